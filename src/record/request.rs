//! `Request`: what is asked, before any protocol has turned it into bytes.

use super::{Clip, Nanos, Verbatim};
use std::sync::Arc;
use std::time::Duration;

/// The text of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    Text(String),
    /// Recorded messages, token ids or a whole body.
    Verbatim(Arc<Verbatim>),
    /// Sound to be transcribed.
    Audio(Arc<Clip>),
}

/// One request of a session.
#[derive(Debug, Clone)]
pub struct Request {
    pub seq: u64,
    pub session: u64,
    pub turn: u32,
    /// Label of the workload's part that made it; results can be split by it.
    pub class: Arc<str>,
    pub prompt: Prompt,
    /// Tokens that the workload asked for, before BOS and chat template.
    pub asked_input: Option<u32>,
    /// Tokens that our tokenizer counts in the prompt.
    pub counted_input: Option<u32>,
    pub max_tokens: u32,
    /// The prompt is made of random words.
    pub synthetic: bool,
    /// The body keeps the model from ending its reply itself; known once it is on its way.
    pub forced_length: bool,
    /// Sampling and other body fields of this request; they win over the target's.
    pub extra: Option<Arc<serde_json::Map<String, serde_json::Value>>>,
    /// Headers of this request, names in lower case; they win over the target's.
    pub headers: Vec<(String, String)>,
    /// When its user hangs up, if they do.
    pub leave: Option<Leave>,
}

/// When a user hangs up before the reply has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// After so many events with output.
    Outputs(u32),
    /// So long after the send.
    After(Duration),
    /// So long after the send, unless output has come by then.
    Silent(Duration),
}

impl Leave {
    /// The time after the send by which the clock alone tells.
    pub fn within(self) -> Option<Nanos> {
        match self {
            Leave::Outputs(_) => None,
            Leave::After(time) | Leave::Silent(time) => {
                Some(Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX))
            }
        }
    }
}

/// What a session's next turn may be built from.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub text: String,
    /// As the next request takes them.
    pub tool_calls: Vec<serde_json::Value>,
    pub output_tokens: u32,
    /// Of its request, where the server counts them.
    pub input_tokens: Option<u32>,
    /// As the server named it.
    pub finish_reason: Option<String>,
    pub success: bool,
}
