//! `Target`: a server and how to talk to it, checked once.

use super::caps::Caps;
use super::dialect::Dialect;
use super::protocol::Api;
use crate::error;
use crate::scrub::{LEAST, MASK, Scrubber};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A secret that prints as `<secret>` and goes into a request header and nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct HiddenValue(String);

impl HiddenValue {
    pub fn new(value: impl Into<String>) -> Self {
        HiddenValue(value.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for HiddenValue {
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
    /// How long a server that refuses connections in the middle of a run is borne with.
    pub reconnect: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(10),
            first_token: Duration::from_secs(300),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(6 * 3600),
            reconnect: Duration::from_secs(30),
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

/// Which connection carries a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connections {
    /// The one that was used last, so that as few as possible are open.
    #[default]
    Pooled,
    /// A new one for every request.
    PerRequest,
    /// A session keeps its own.
    Sticky,
    /// The one that was used longest ago, so that all of them stay in use.
    RoundRobin,
}

impl Connections {
    pub const NAMES: [(&'static str, Connections); 4] = [
        ("pooled", Connections::Pooled),
        ("per-request", Connections::PerRequest),
        ("sticky", Connections::Sticky),
        ("round-robin", Connections::RoundRobin),
    ];
}

/// A header's value: text, or a secret.
#[derive(Debug, Clone)]
pub enum HeaderValue {
    Text(String),
    Secret(HiddenValue),
}

/// A server, the API it speaks, and everything that is the same for all requests to it.
#[derive(Clone)]
pub struct Target {
    /// For reports: given, or host:port.
    pub name: String,
    /// `http://host:port/prefix`, without a trailing slash and without `/v1`.
    pub base: url::Url,
    pub api: Api,
    /// Path and query of the generation endpoint, such as `/v1/completions`.
    pub endpoint: String,
    pub model: String,
    pub api_key: Option<HiddenValue>,
    pub headers: Vec<(String, HeaderValue)>,
    /// Fields laid over every body; a request's own `extra` wins.
    pub extra_body: serde_json::Map<String, serde_json::Value>,
    pub stream: bool,
    pub exact: Exact,
    /// Replies of the asked length are wanted, whether or not the server can be asked for them.
    pub exact_length: bool,
    /// What the server at hand does without (learnt from the preflight).
    pub dialect: Dialect,
    pub temperature: Option<f64>,
    /// A reply with more events is cut off.
    pub events_max: usize,
    pub connections: Connections,
    pub timeouts: Timeouts,
    pub caps: Caps,
    /// Takes the secrets of the session out of what a server says.
    pub scrubber: Arc<Scrubber>,
    /// Accept any certificate.
    pub insecure: bool,
    pub ca_cert: Option<PathBuf>,
    /// Where the server's metrics are. None: `/metrics` below the base.
    pub metrics_urls: Vec<MetricsUrl>,
    /// Programs of this machine that are a part of the server: names, process ids, ports.
    pub server_processes: Vec<String>,
}

/// One page of metrics, and the role of who gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsUrl {
    pub role: Option<String>,
    pub url: url::Url,
}

impl MetricsUrl {
    /// `http://host:port`, with `/metrics` where no path is given, or `ROLE=http://...`.
    pub fn parse(text: &str) -> Result<MetricsUrl, String> {
        let (role, address) = match text.split_once('=') {
            Some((role, address)) if !role.contains(':') => (Some(role.trim()), address.trim()),
            _ => (None, text.trim()),
        };
        if role.is_some_and(|role| role.is_empty() || role.contains(['"', '\\', '\n'])) {
            return Err(format!(
                "{text} has no role before `=`: write something like prefill=http://host:8000"
            ));
        }
        let mut url = Target::base_url(address)?;
        if matches!(url.path(), "" | "/") {
            url.set_path("/metrics");
        }
        Ok(MetricsUrl { role: role.map(str::to_string), url })
    }

    /// As labels of a series.
    pub fn labels(&self) -> String {
        let role = self.role.as_ref().map_or(String::new(), |role| format!("role=\"{role}\","));
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("{role}server=\"{host}:{port}\"")
    }
}

impl Target {
    /// What the users of vLLM's benchmark know as `--backend`, or the name of an [`Api`].
    /// Fails with the nearest name.
    pub fn backend(name: &str) -> Result<Backend, String> {
        if let Some(backend) = BACKENDS.into_iter().find(|backend| backend.name == name) {
            return Ok(backend);
        }
        let names = || BACKENDS.into_iter().map(|backend| backend.name);
        Err(match error::nearest(name, names()) {
            Some(near) => format!("there is no backend {name:?}: did you mean {near:?}?"),
            None => {
                format!("there is no backend {name:?}: use one of {}", names().collect::<Vec<_>>().join(", "))
            }
        })
    }

    /// The names of all backends.
    pub fn backends() -> Vec<&'static str> {
        BACKENDS.iter().map(|backend| backend.name).collect()
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
            exact_length: false,
            dialect: Dialect::default(),
            temperature: Some(0.0),
            events_max: usize::MAX,
            connections: Connections::default(),
            timeouts: Timeouts::default(),
            caps: Caps::default(),
            scrubber: Arc::default(),
            insecure: false,
            ca_cert: None,
            metrics_urls: Vec::new(),
            server_processes: Vec::new(),
        }
    }

    /// Where requests go: the endpoint below the base, with the model's name in the place of
    /// `<model>`. TGI and TensorRT-LLM have a second endpoint for replies that are not streamed.
    pub fn endpoint_url(&self) -> url::Url {
        let (path, query) = match self.endpoint.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.endpoint.as_str(), None),
        };
        let whole = matches!(self.api, Api::Tgi | Api::TensorRt) && !self.stream;
        let path = match path.strip_suffix("/generate_stream") {
            Some(before) if whole => format!("{before}/generate"),
            _ => path.to_string(),
        };
        // A model name may hold a slash, which must not become a part of the path.
        let model: String = url::form_urlencoded::byte_serialize(self.model.as_bytes()).collect();
        let mut url = self.url(&path.replace("<model>", &model.replace('+', "%20")));
        url.set_query(query);
        url
    }

    /// A key goes with every request, in one header or another.
    pub fn sends_key(&self) -> bool {
        self.api_key.is_some()
            || self.headers.iter().any(|(_, value)| matches!(value, HeaderValue::Secret(_)))
    }

    /// A path below the base, such as `/health`.
    pub fn url(&self, path: &str) -> url::Url {
        let mut url = self.base.clone();
        let base = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{base}/{}", path.trim_start_matches('/')));
        url
    }

    /// `text` without secrets: for words that came from a server, which may repeat a key that it
    /// refused. Values under [`LEAST`] letters are not searched.
    pub fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut clean = self.scrubber.scrub(text);
        let headers = self.headers.iter().filter_map(|(_, value)| match value {
            HeaderValue::Secret(secret) => Some(secret),
            HeaderValue::Text(_) => None,
        });
        let secrets = self.api_key.iter().chain(headers).map(HiddenValue::reveal);
        for secret in secrets.flat_map(|secret| [secret, bare(secret)]) {
            if secret.len() >= LEAST && clean.contains(secret) {
                clean = clean.replace(secret, MASK).into();
            }
        }
        clean
    }
}

/// Prints everything but the values of headers that usually hold a secret.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let secret = HeaderValue::Secret(HiddenValue::new(""));
        let headers: Vec<(&str, &HeaderValue)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), if usually_secret(name) { &secret } else { value }))
            .collect();
        f.debug_struct("Target")
            .field("name", &self.name)
            .field("base", &self.base.as_str())
            .field("api", &self.api)
            .field("endpoint", &self.endpoint)
            .field("model", &self.model)
            .field("api_key", &self.api_key)
            .field("headers", &headers)
            .field("extra_body", &self.extra_body)
            .field("stream", &self.stream)
            .field("exact", &self.exact)
            .field("dialect", &self.dialect)
            .field("temperature", &self.temperature)
            .field("connections", &self.connections)
            .field("timeouts", &self.timeouts)
            .field("caps", &self.caps)
            .field("insecure", &self.insecure)
            .field("ca_cert", &self.ca_cert)
            .finish()
    }
}

/// The key itself in a header's value such as `Bearer KEY`.
pub fn bare(value: &str) -> &str {
    value.split_whitespace().next_back().unwrap_or(value)
}

/// Whether a header of this name usually holds a secret.
pub fn usually_secret(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    ["auth", "key", "token", "cookie", "secret"].iter().any(|word| header.contains(word))
}

/// What a backend's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backend {
    pub name: &'static str,
    pub api: Api,
    pub stream: bool,
    /// How this server is asked for an exact length, when one is wanted.
    pub exact: Exact,
}

impl Backend {
    /// The API that an endpoint of this backend speaks: one that ends in `chat/completions`
    /// is a chat, one that ends in another `/completions` is not, whatever the name says.
    pub fn api_at(&self, endpoint: &str) -> Api {
        let path = endpoint.split('?').next().unwrap_or("").trim_end_matches('/');
        match self.api {
            _ if path.ends_with("chat/completions") => Api::Chat,
            _ if path.ends_with("audio/transcriptions") || path.ends_with("audio/translations") => Api::Audio,
            Api::Chat if path.ends_with("/completions") => Api::Completions,
            api => api,
        }
    }
}

const fn backend(name: &'static str, api: Api, exact: Exact) -> Backend {
    Backend { name, api, stream: true, exact }
}

const BACKENDS: [Backend; 20] = [
    backend("vllm", Api::Completions, Exact::MinTokens),
    backend("vllm-chat", Api::Chat, Exact::MinTokens),
    backend("openai", Api::Completions, Exact::IgnoreEos),
    backend("openai-completions", Api::Completions, Exact::IgnoreEos),
    backend("openai-chat", Api::Chat, Exact::IgnoreEos),
    backend("sglang", Api::Completions, Exact::MinTokens),
    backend("sglang-oai", Api::Completions, Exact::MinTokens),
    backend("sglang-chat", Api::Chat, Exact::MinTokens),
    backend("sglang-oai-chat", Api::Chat, Exact::MinTokens),
    backend("lmdeploy", Api::Completions, Exact::IgnoreEos),
    backend("lmdeploy-chat", Api::Chat, Exact::IgnoreEos),
    backend("scalellm", Api::Completions, Exact::IgnoreEos),
    backend("scalellm-chat", Api::Chat, Exact::IgnoreEos),
    backend("llamacpp", Api::Completions, Exact::IgnoreEos),
    backend("llama.cpp", Api::Completions, Exact::IgnoreEos),
    backend("llamacpp-chat", Api::Chat, Exact::IgnoreEos),
    backend("tgi", Api::Tgi, Exact::IgnoreEos),
    backend("tensorrt-llm", Api::TensorRt, Exact::IgnoreEos),
    Backend { name: "deepspeed-mii", api: Api::Mii, stream: false, exact: Exact::No },
    backend("openai-audio", Api::Audio, Exact::No),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base: &str, api: Api, change: impl FnOnce(&mut Target)) -> String {
        let mut target = Target::new(Target::base_url(base).expect("a base URL"), api);
        change(&mut target);
        target.endpoint_url().to_string()
    }

    #[test]
    fn a_page_of_metrics_has_an_address_and_perhaps_a_role() {
        let page = |text| MetricsUrl::parse(text).map(|page| (page.url.to_string(), page.labels()));
        assert_eq!(page("http://a:1"), Ok(("http://a:1/metrics".into(), "server=\"a:1\"".into())));
        assert_eq!(
            page("prefill=http://a:1/x/metrics"),
            Ok(("http://a:1/x/metrics".into(), "role=\"prefill\",server=\"a:1\"".into()))
        );
        for bad in ["a:1", "=http://a:1", "ftp://a", "http://u:p@a", ""] {
            assert!(page(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_endpoint_lies_below_the_base() {
        assert_eq!(url("http://h:1/v1", Api::Chat, |_| {}), "http://h:1/v1/chat/completions");
        assert_eq!(url("http://h:1/gate", Api::Completions, |_| {}), "http://h:1/gate/v1/completions");
        assert_eq!(
            url("http://h:1", Api::TensorRt, |target| target.model = "org/llama 8b".into()),
            "http://h:1/v2/models/org%2Fllama%208b/generate_stream"
        );
        assert_eq!(url("http://h:1", Api::Tgi, |target| target.stream = false), "http://h:1/generate");
        assert_eq!(
            url("http://h:1", Api::Chat, |target| target.endpoint = "chat?version=2".into()),
            "http://h:1/chat?version=2"
        );
    }

    #[test]
    fn backends_are_found_by_the_names_that_users_know() {
        for name in
            "vllm openai openai-chat sglang lmdeploy scalellm tgi tensorrt-llm deepspeed-mii openai-audio"
                .split(' ')
                .chain(Api::NAMES)
        {
            assert_eq!(Target::backend(name).map(|backend| backend.name), Ok(name));
        }
        assert_eq!(Target::backend("vllm").map(|backend| backend.exact), Ok(Exact::MinTokens));
        assert_eq!(Target::backend("deepspeed-mii").map(|backend| backend.stream), Ok(false));
        assert_eq!(Target::backend("vlm"), Err("there is no backend \"vlm\": did you mean \"vllm\"?".into()));
        assert!(Target::backend("bedrock").expect_err("unknown").contains("use one of vllm, "));
    }

    #[test]
    fn an_endpoint_says_whether_it_is_a_chat() {
        let api = |name, endpoint| Target::backend(name).map(|backend| backend.api_at(endpoint));
        assert_eq!(api("vllm", "/v1/chat/completions"), Ok(Api::Chat));
        assert_eq!(api("vllm", "/v1/completions"), Ok(Api::Completions));
        assert_eq!(api("openai-chat", "/v1/completions?x=1"), Ok(Api::Completions));
        assert_eq!(api("tgi", "/generate_stream"), Ok(Api::Tgi));
    }

    #[test]
    fn secrets_are_never_printed() {
        let mut target = Target::new(Target::base_url("http://h:1").expect("a base URL"), Api::Chat);
        target.api_key = Some(HiddenValue::new("hunter1"));
        target.headers = vec![
            ("x-a".into(), HeaderValue::Secret(HiddenValue::new("hunter2"))),
            ("X-Api-Key".into(), HeaderValue::Text("hunter3".into())),
            ("x-tenant".into(), HeaderValue::Text("blue".into())),
        ];
        let printed = format!("{target:?}");
        assert!(!printed.contains("hunter") && printed.contains("blue"), "{printed}");
        target.api_key = Some(HiddenValue::new("hunter-one"));
        assert_eq!(target.scrub("bad key hunter-one, hunter2"), "bad key <secret>, hunter2");
    }
}
