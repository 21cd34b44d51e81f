//! `Target`: a server and how to talk to it, checked once.

use super::protocol::Api;
use std::path::PathBuf;
use std::time::Duration;

/// A secret that prints as `<secret>` and goes into a request header and nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Secret(value.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

/// Limits of waiting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timeouts {
    pub connect: Duration,
    /// From `sent` to the first event with output.
    pub first_token: Duration,
    /// Between events.
    pub idle: Duration,
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(10),
            first_token: Duration::from_secs(300),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(6 * 3600),
        }
    }
}

/// How to ask for replies of an exact length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exact {
    /// Do not ask.
    #[default]
    No,
    /// `ignore_eos: true` (llama.cpp, and more).
    IgnoreEos,
    /// `ignore_eos: true` and `min_tokens` (vLLM, SGLang).
    MinTokens,
}

/// A header's value: text, or a secret.
#[derive(Debug, Clone)]
pub enum HeaderValue {
    Text(String),
    Secret(Secret),
}

/// A server, the API it speaks, and everything that is the same for all requests to it.
#[derive(Debug, Clone)]
pub struct Target {
    /// For reports: given, or host:port.
    pub name: String,
    /// `http://host:port/prefix`, without a trailing slash and without `/v1`.
    pub base: url::Url,
    pub api: Api,
    /// Path and query of the generation endpoint, such as `/v1/completions`.
    pub endpoint: String,
    pub model: String,
    pub api_key: Option<Secret>,
    pub headers: Vec<(String, HeaderValue)>,
    /// Fields laid over every body; a request's own `extra` wins.
    pub extra_body: serde_json::Map<String, serde_json::Value>,
    pub stream: bool,
    pub exact: Exact,
    /// Chat: send `max_tokens` instead of `max_completion_tokens` (learnt from the preflight).
    pub old_max_tokens: bool,
    pub temperature: Option<f64>,
    pub timeouts: Timeouts,
    /// Accept any certificate.
    pub insecure: bool,
    pub ca_cert: Option<PathBuf>,
}

impl Target {
    /// Parses a base URL with or without a trailing `/v1`; errors are sentences (no scheme, no
    /// host, a scheme that is not http or https).
    pub fn base_url(_text: &str) -> Result<url::Url, String> {
        todo!()
    }

    /// A target with defaults for everything but where and how.
    pub fn new(base: url::Url, api: Api) -> Self {
        Target {
            name: format!("{}:{}", base.host_str().unwrap_or(""), base.port_or_known_default().unwrap_or(0)),
            endpoint: api.endpoint().to_string(),
            base,
            api,
            model: String::new(),
            api_key: None,
            headers: Vec::new(),
            extra_body: serde_json::Map::new(),
            stream: true,
            exact: Exact::No,
            old_max_tokens: false,
            temperature: Some(0.0),
            timeouts: Timeouts::default(),
            insecure: false,
            ca_cert: None,
        }
    }
}
