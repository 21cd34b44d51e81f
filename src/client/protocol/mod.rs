//! One API a file: build a body, read an event. Pure.

use super::Target;
use crate::record::{Kind, Request, Usage};

/// The request format of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// OpenAI `/v1/completions` (vllm, openai, sglang, lmdeploy, scalellm, deepspeed-mii).
    Completions,
    /// OpenAI `/v1/chat/completions`.
    Chat,
    /// TGI `/generate_stream`.
    Tgi,
    /// TensorRT-LLM / Triton `/v2/models/<m>/generate_stream`.
    TensorRt,
}

impl Api {
    pub const NAMES: [&'static str; 4] = ["openai-completions", "openai-chat", "tgi", "tensorrt-llm"];

    pub fn name(self) -> &'static str {
        match self {
            Api::Completions => "openai-completions",
            Api::Chat => "openai-chat",
            Api::Tgi => "tgi",
            Api::TensorRt => "tensorrt-llm",
        }
    }

    pub fn from_name(name: &str) -> Option<Api> {
        [Api::Completions, Api::Chat, Api::Tgi, Api::TensorRt].into_iter().find(|api| api.name() == name)
    }

    /// The usual path; `<model>` stands for the model's name.
    pub fn endpoint(self) -> &'static str {
        match self {
            Api::Completions => "/v1/completions",
            Api::Chat => "/v1/chat/completions",
            Api::Tgi => "/generate_stream",
            Api::TensorRt => "/v2/models/<model>/generate_stream",
        }
    }
}

/// What one event (or the whole body of a reply that was not streamed) means.
#[derive(Debug, Clone, Default)]
pub struct Meaning {
    pub kind: Kind,
    /// Output tokens in this event, when the server says (token ids, continuous usage).
    pub tokens: u32,
    /// Bytes of output text.
    pub bytes: u32,
    pub usage: Usage,
    /// (choice index, finish reason) of each choice that ended here.
    pub finishes: Vec<(u32, String)>,
    /// Indexes of the choices that this event speaks of, as a bit set of the first 64.
    pub choices: u64,
    pub error: Option<String>,
}

/// The JSON body of a request.
pub fn body(_target: &Target, _request: &Request) -> Vec<u8> {
    todo!()
}

/// Reads the data of one server-sent event. `text`: where to append output text, when it is
/// kept. `Err`: not JSON of this API, as a sentence.
pub fn read_event(_api: Api, _data: &[u8], _text: Option<&mut String>) -> Result<Meaning, String> {
    todo!()
}

/// Reads the whole body of a reply that was not streamed.
pub fn read_reply(_api: Api, _body: &[u8], _text: Option<&mut String>) -> Result<Meaning, String> {
    todo!()
}

/// The server's own words out of an error body of any engine: `{"error":{"message":..}}`,
/// `{"error":".."}`, `{"detail":..}`, plain text; at most 500 characters.
pub fn error_words(_body: &[u8]) -> String {
    todo!()
}
