//! `Request`: what is asked, before any protocol has turned it into bytes.

use super::{Clip, Verbatim};
use std::sync::Arc;

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
}

/// What a session's next turn may be built from.
#[derive(Debug, Clone)]
pub struct Reply {
    pub text: String,
    pub output_tokens: u32,
    pub success: bool,
}
