//! `Api`: the request format of a server.

/// The request format of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// OpenAI `/v1/completions` (vllm, openai, sglang, lmdeploy, scalellm).
    Completions,
    /// OpenAI `/v1/chat/completions`.
    Chat,
    /// TGI `/generate_stream`.
    Tgi,
    /// TensorRT-LLM / Triton `/v2/models/<m>/generate_stream`.
    TensorRt,
    /// DeepSpeed-MII: a prompt, and `{"text": [..]}`.
    Mii,
    /// OpenAI `/v1/audio/transcriptions`.
    Audio,
}

impl Api {
    pub const NAMES: [&'static str; 6] =
        ["openai-completions", "openai-chat", "tgi", "tensorrt-llm", "deepspeed-mii", "openai-audio"];
    pub(super) const ALL: [Api; 6] =
        [Api::Completions, Api::Chat, Api::Tgi, Api::TensorRt, Api::Mii, Api::Audio];

    pub fn name(self) -> &'static str {
        match self {
            Api::Completions => "openai-completions",
            Api::Chat => "openai-chat",
            Api::Tgi => "tgi",
            Api::TensorRt => "tensorrt-llm",
            Api::Mii => "deepspeed-mii",
            Api::Audio => "openai-audio",
        }
    }

    pub fn from_name(name: &str) -> Option<Api> {
        Api::ALL.into_iter().find(|api| api.name() == name)
    }

    /// The usual path; `<model>` stands for the model's name.
    pub fn endpoint(self) -> &'static str {
        match self {
            Api::Completions | Api::Mii => "/v1/completions",
            Api::Chat => "/v1/chat/completions",
            Api::Tgi => "/generate_stream",
            Api::TensorRt => "/v2/models/<model>/generate_stream",
            Api::Audio => "/v1/audio/transcriptions",
        }
    }
}
