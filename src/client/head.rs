//! `Head`: the start of an HTTP/1.1 response, read; and [`RequestHead`]: the start of every
//! request to one target, written. Pure.

use super::Target;
use super::body::Framing;
use super::control::retry_after;
use super::protocol::{Api, audio_content_type};
use super::target::HeaderValue;
use std::time::Duration;

/// What the status line and the headers of a response say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub framing: Framing,
    /// The server is willing to read another request on this connection.
    pub keep_alive: bool,
    /// For how long it keeps an idle connection (`keep-alive: timeout=5`), when it says so.
    pub idle: Option<Duration>,
    pub content: ContentKind,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// How the body is compressed, when it is.
    pub encoding: Option<String>,
    /// The `x-request-id` that it answers, or says that it does.
    pub request_id: Option<String>,
    /// When to come back, as a server that refuses says it.
    pub retry_after: Option<Duration>,
}

/// What the body is, by `content-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentKind {
    EventStream,
    Json,
    Other,
    Missing,
}

/// Longest head, bytes.
pub const HEAD_MAX: usize = 64 << 10;

/// Headers for which there is room without asking for more.
const HEADERS_USUAL: usize = 64;

/// More than can stand in a head.
const HEADERS_MAX: usize = HEAD_MAX / 3;

/// How TLS begins that has no use for what it was sent.
const TLS_ALERT: &[u8] = &[0x15, 0x03];

impl Head {
    /// Reads the head at the start of `bytes`. Gives it with its length (any 1xx heads before
    /// it included), or `None` when more bytes are needed. `to_head`: it answers a HEAD
    /// request, so that no body follows. A header that breaks the rules is left out; fails on
    /// bytes that are no HTTP/1 response, on more than [`HEAD_MAX`] bytes, and on a length that
    /// cannot be trusted.
    pub fn parse(bytes: &[u8], to_head: bool) -> Result<Option<(Head, usize)>, String> {
        let mut from = 0;
        let mut usual = [httparse::EMPTY_HEADER; HEADERS_USUAL];
        let mut many = Vec::new();
        loop {
            let mut response = httparse::Response::new(&mut usual);
            let mut parsed = lenient().parse_response(&mut response, &bytes[from..]);
            if matches!(parsed, Err(httparse::Error::TooManyHeaders)) {
                many.resize(HEADERS_MAX, httparse::EMPTY_HEADER);
                response = httparse::Response::new(&mut many);
                parsed = lenient().parse_response(&mut response, &bytes[from..]);
            }
            let parsed = parsed.map_err(|error| no_http(&bytes[from..], error))?;
            let end = match parsed {
                httparse::Status::Complete(len) => from + len,
                httparse::Status::Partial => bytes.len(),
            };
            if end > HEAD_MAX {
                return Err(format!("the response has a head of more than {} KiB", HEAD_MAX >> 10));
            }
            if parsed.is_partial() {
                return Ok(None);
            }
            match response.code.unwrap_or(0) {
                101 => return Err("the server wants to switch protocols (status 101)".to_string()),
                100..=199 => from = end,
                _ => return Ok(Some((Head::read(&response, to_head)?, end))),
            }
        }
    }

    fn read(response: &httparse::Response, to_head: bool) -> Result<Head, String> {
        let status = response.code.unwrap_or(0);
        if status < 100 {
            return Err(format!("the response has the impossible status {status:03}"));
        }
        let old = response.version == Some(0);
        let framing = if to_head || status == 204 || status == 304 {
            Framing::Exact(0)
        } else {
            framing(response.headers, old)?
        };
        Ok(Head {
            status,
            framing,
            keep_alive: framing != Framing::UntilClose && keep_alive(response.headers, old),
            idle: idle(response.headers),
            content: content(response.headers),
            location: said(response.headers, "location"),
            encoding: said(response.headers, "content-encoding")
                .filter(|coding| !coding.eq_ignore_ascii_case("identity")),
            request_id: said(response.headers, "x-request-id"),
            retry_after: (status >= 300)
                .then(|| said(response.headers, "retry-after"))
                .flatten()
                .and_then(|value| retry_after(&value)),
        })
    }
}

/// Reads what proxies and home-made servers write: no header but those that we ask for matters.
fn lenient() -> httparse::ParserConfig {
    let mut config = httparse::ParserConfig::default();
    config
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    config
}

fn no_http(bytes: &[u8], error: httparse::Error) -> String {
    if bytes.starts_with(TLS_ALERT) {
        return "the server speaks TLS where plain HTTP was sent: write https:// in the base URL".into();
    }
    format!("the response is not HTTP/1.1: {error}")
}

/// The values of a header, those with bytes other than visible ASCII as "".
fn values<'a>(headers: &'a [httparse::Header], name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| {
        let visible = header.value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        if visible { std::str::from_utf8(header.value).unwrap_or("") } else { "" }
    })
}

/// The comma-separated parts of a header.
fn parts<'a>(headers: &'a [httparse::Header], name: &'a str) -> impl Iterator<Item = &'a str> {
    values(headers, name).flat_map(|value| value.split(',')).map(str::trim)
}

/// The first value of a header, when it says anything.
fn said(headers: &[httparse::Header], name: &str) -> Option<String> {
    values(headers, name).next().map(str::trim).filter(|value| !value.is_empty()).map(str::to_string)
}

fn framing(headers: &[httparse::Header], old: bool) -> Result<Framing, String> {
    if let Some(codings) = values(headers, "transfer-encoding").next_back() {
        if old {
            return Err("an HTTP/1.0 response cannot have a transfer-encoding".to_string());
        }
        // A length beside it is ignored: the chunks say where the body ends.
        let last = codings.rsplit(',').next().unwrap_or("").trim();
        return Ok(if last.eq_ignore_ascii_case("chunked") { Framing::Chunked } else { Framing::UntilClose });
    }
    let mut length = None;
    for part in parts(headers, "content-length") {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let n: u64 = part
            .parse()
            .ok()
            .filter(|n| digits && *n <= u64::MAX - 2)
            .ok_or_else(|| format!("the response has the bad content-length {part:?}"))?;
        if length.is_some_and(|before| before != n) {
            return Err("the response has two different content-lengths".to_string());
        }
        length = Some(n);
    }
    Ok(length.map_or(Framing::UntilClose, Framing::Exact))
}

fn keep_alive(headers: &[httparse::Header], old: bool) -> bool {
    let mut options = parts(headers, "connection");
    if old {
        let (mut keeps, mut closes) = (false, false);
        for option in options {
            keeps |= option.eq_ignore_ascii_case("keep-alive");
            closes |= option.eq_ignore_ascii_case("close");
        }
        return keeps && !closes;
    }
    !options.any(|option| option.eq_ignore_ascii_case("close"))
}

fn idle(headers: &[httparse::Header]) -> Option<Duration> {
    parts(headers, "keep-alive")
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))
        .and_then(|(_, seconds)| seconds.trim().parse().ok())
        .map(Duration::from_secs)
}

fn content(headers: &[httparse::Header]) -> ContentKind {
    let Some(value) = values(headers, "content-type").next() else { return ContentKind::Missing };
    let essence = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/event-stream" => ContentKind::EventStream,
        "application/json" => ContentKind::Json,
        _ => ContentKind::Other,
    }
}

/// The head of every request to one target, built once; only the length and the id change.
/// Holds secrets, hence no `Debug`.
#[derive(Clone)]
pub struct RequestHead {
    before_length: Vec<u8>,
    /// A custom `x-request-id` stands in `before_length`.
    own_id: bool,
}

/// Where the head written ahead ends.
const LENGTH: &[u8] = b"content-length: ";

impl RequestHead {
    /// Fails, without showing the value, on a custom header that cannot be sent.
    pub fn new(target: &Target) -> Result<Self, String> {
        let url = target.endpoint_url();
        let mut headers: Vec<(String, String)> = vec![
            ("host".into(), host(&url)),
            (
                "content-type".into(),
                if target.api == Api::Audio { audio_content_type() } else { "application/json".into() },
            ),
            ("accept".into(), accept(target).into()),
            ("user-agent".into(), concat!("rampant/", env!("CARGO_PKG_VERSION")).into()),
        ];
        if let Some(key) = &target.api_key {
            headers.push(("authorization".into(), format!("Bearer {}", key.reveal())));
        }
        for (name, value) in &target.headers {
            let name = name.to_ascii_lowercase();
            if is_ours(&name) {
                return Err(format!(
                    "the header {name:?} is about the connection, which is ours to handle: take it out"
                ));
            }
            headers.retain(|(default, _)| *default != name);
            let value = match value {
                HeaderValue::Text(text) => text.clone(),
                HeaderValue::Secret(secret) => secret.reveal().to_string(),
            };
            headers.push((name, value));
        }
        let query = url.query().map_or(String::new(), |query| format!("?{query}"));
        let mut before_length = format!("POST {}{query} HTTP/1.1\r\n", url.path()).into_bytes();
        for (name, value) in &headers {
            check(name, value)?;
            before_length.extend_from_slice(format!("{name}: {}\r\n", value.trim()).as_bytes());
        }
        before_length.extend_from_slice(LENGTH);
        Ok(RequestHead { before_length, own_id: headers.iter().any(|(name, _)| name == "x-request-id") })
    }

    /// Bytes that [`RequestHead::write`] appends, at most.
    pub fn length(&self, id: &str) -> usize {
        self.before_length.len() + id.len() + 48
    }

    /// All before the length, with these headers in the place of those of the same names.
    fn write_with(&self, own: &[(String, String)], out: &mut Vec<u8>) {
        let is_own = |line: &[u8]| {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            own.iter().any(|(own, _)| own.as_bytes().eq_ignore_ascii_case(name))
        };
        let last = self.before_length.len() - LENGTH.len();
        for line in
            self.before_length[..last].split_inclusive(|byte| *byte == b'\n').filter(|line| !is_own(line))
        {
            out.extend_from_slice(line);
        }
        for (name, value) in own {
            out.extend_from_slice(format!("{name}: {}\r\n", value.trim()).as_bytes());
        }
        out.extend_from_slice(LENGTH);
    }

    /// Appends the whole head, its blank line included, to `out`. `id` is the `x-request-id`
    /// (visible ASCII), unless the target has one of its own. `own`: headers of this request, which stand in
    /// the place of the target's, and were [`fits`].
    pub fn write(&self, id: &str, own: &[(String, String)], body_bytes: usize, out: &mut Vec<u8>) {
        match own.is_empty() {
            true => out.extend_from_slice(&self.before_length),
            false => self.write_with(own, out),
        }
        out.extend_from_slice(body_bytes.to_string().as_bytes());
        if !self.own_id && own.iter().all(|(name, _)| name != "x-request-id") {
            out.extend_from_slice(b"\r\nx-request-id: ");
            out.extend_from_slice(id.as_bytes());
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// Headers that say where a request ends or what its connection is for: one of another's would
/// break the next request, or this one.
const OURS: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a header of this name is about the connection and cannot be sent for a user.
pub fn is_ours(name: &str) -> bool {
    OURS.iter().any(|ours| name.trim().eq_ignore_ascii_case(ours))
}

/// What is wrong with a header that one request is to have.
pub fn fits(name: &str, value: &str) -> Result<(), String> {
    if is_ours(name) {
        return Err(format!("the header {name:?} is about the connection, which is ours to handle"));
    }
    check(name, value)
}

/// Host and port as in a `host` header: IPv6 in brackets, the scheme's own port left out.
pub(super) fn host(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or("");
    url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"))
}

fn accept(target: &Target) -> &'static str {
    match target.api {
        _ if !target.stream => "application/json",
        Api::TensorRt | Api::Tgi => "text/event-stream",
        // The errors of these servers are JSON, and a gateway in between may look at this.
        Api::Completions | Api::Chat | Api::Mii | Api::Audio => "text/event-stream, application/json",
    }
}

/// A name or value with a line break in it would let a script write headers, or a second
/// request, of its own.
fn check(name: &str, value: &str) -> Result<(), String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("{name:?} is no header name: use letters, digits and dashes"));
    }
    if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
        return Err(format!(
            "the value of the header {name:?} has a line break or another control character in it"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::target::HiddenValue;

    fn parse(text: &str) -> Result<Option<(Head, usize)>, String> {
        Head::parse(text.as_bytes(), false)
    }

    fn head(text: &str) -> Head {
        parse(text).expect("an HTTP head").expect("a whole head").0
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5, max=100\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(parse(&text[..end]), Ok(None), "{end} bytes");
        }
        let expected = Head {
            status: 200,
            framing: Framing::Chunked,
            keep_alive: true,
            idle: Some(Duration::from_secs(5)),
            content: ContentKind::EventStream,
            location: None,
            encoding: None,
            request_id: None,
            retry_after: None,
        };
        assert_eq!(parse(&format!("{text}data")), Ok(Some((expected, text.len()))));
    }

    #[test]
    fn the_length_of_a_body_follows_the_standard() {
        for (headers, framing) in [
            ("content-length: 12\r\n", Framing::Exact(12)),
            ("content-length: 12\r\ncontent-length: 12\r\n", Framing::Exact(12)),
            ("content-length: 12\r\ntransfer-encoding: chunked\r\n", Framing::Chunked),
            ("transfer-encoding: gzip, Chunked\r\n", Framing::Chunked),
            ("transfer-encoding: gzip\r\n", Framing::UntilClose),
            ("", Framing::UntilClose),
        ] {
            assert_eq!(head(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n")).framing, framing, "{headers:?}");
        }
        for status in [204, 304] {
            assert_eq!(
                head(&format!("HTTP/1.1 {status} X\r\ncontent-length: 9\r\n\r\n")).framing,
                Framing::Exact(0)
            );
        }
        let to_head = Head::parse(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", true);
        assert_eq!(to_head.map(|head| head.map(|(head, _)| head.framing)), Ok(Some(Framing::Exact(0))));
    }

    #[test]
    fn connections_are_kept_as_the_version_and_the_server_say() {
        for (text, keeps) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: Upgrade, Close\r\n", false),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\nconnection: keep-alive\r\n",
                false,
            ),
            ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n", false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: Keep-Alive\r\n", true),
            ("HTTP/1.1 200 OK\r\n", false),
        ] {
            assert_eq!(head(&format!("{text}\r\n")).keep_alive, keeps, "{text:?}");
        }
    }

    #[test]
    fn a_redirect_says_where_to_and_a_compressed_body_says_how() {
        let head = head("HTTP/1.1 307 X\r\nLocation: /v2\r\nContent-Encoding: gzip\r\n\r\n");
        assert_eq!((head.location.as_deref(), head.encoding.as_deref()), (Some("/v2"), Some("gzip")));
        let head = self::head("HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\nlocation:\r\n\r\n");
        assert_eq!((head.location, head.encoding), (None, None));
    }

    #[test]
    fn interim_responses_are_skipped() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 429 Busy\r\n\r\n";
        assert_eq!(parse(&text[..25]), Ok(None));
        let (head, used) = parse(text).expect("HTTP").expect("whole");
        assert_eq!((head.status, used), (429, text.len()));
    }

    #[test]
    fn a_head_that_cannot_be_trusted_is_an_error() {
        for text in [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 099 Low\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_MAX));
        assert!(parse(&long).is_err());
    }

    fn target(base: &str) -> Target {
        Target::new(Target::base_url(base).expect("a base URL"), Api::Completions)
    }

    fn written(target: &Target) -> String {
        let mut out = Vec::new();
        RequestHead::new(target).expect("headers that can be sent").write("r-1", &[], 42, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn a_request_head_has_everything_that_a_server_needs() {
        let mut target = target("http://[::1]:8000/gate/v1/");
        target.api_key = Some(HiddenValue::new("sk-1"));
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            written(&target),
            format!(
                "POST /gate/v1/completions HTTP/1.1\r\nhost: [::1]:8000\r\ncontent-type: application/json\r\n\
                 accept: text/event-stream, application/json\r\nuser-agent: rampant/{version}\r\n\
                 authorization: Bearer sk-1\r\ncontent-length: 42\r\nx-request-id: r-1\r\n\r\n"
            )
        );
    }

    #[test]
    fn custom_headers_take_the_place_of_the_defaults() {
        let mut target = target("https://api.example:443");
        target.api_key = Some(HiddenValue::new("sk-1"));
        target.headers = vec![
            ("Authorization".into(), HeaderValue::Secret(HiddenValue::new("Basic eA=="))),
            ("X-Request-ID".into(), HeaderValue::Text("mine".into())),
            ("x-tenant".into(), HeaderValue::Text("blue".into())),
        ];
        let written = written(&target);
        assert!(written.contains("\r\nhost: api.example\r\n"), "{written}");
        assert!(
            written.contains("\r\nauthorization: Basic eA==\r\nx-request-id: mine\r\nx-tenant: blue\r\n")
        );
        assert!(!written.contains("sk-1") && !written.contains("r-1"), "{written}");
    }

    #[test]
    fn headers_of_the_connection_are_ours_and_all_others_are_sent() {
        let with = |name: &str| {
            let mut target = target("http://localhost:1");
            target.headers = vec![(name.into(), HeaderValue::Text("3".into()))];
            RequestHead::new(&target).err()
        };
        for name in OURS.into_iter().chain(["Content-Length", "TRANSFER-ENCODING", "Connection", "TE"]) {
            assert!(with(name).is_some_and(|why| why.contains(&name.to_lowercase())), "{name}");
        }
        for name in ["Host", "X-Content-Length", "Accept", "Content-Type", "Cookie", "Trailer-Park"] {
            assert_eq!(with(name), None, "{name}");
        }
    }

    #[test]
    fn a_header_cannot_smuggle_a_line_in_and_its_secret_is_not_shown() {
        for (name, value) in
            [("x", "secret\r\nhost: other"), ("x\ny", "secret"), ("", "secret"), ("content-length", "9")]
        {
            let mut target = target("http://localhost:1");
            target.headers = vec![(name.into(), HeaderValue::Secret(HiddenValue::new(value)))];
            let error = RequestHead::new(&target).err().expect("refused");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
