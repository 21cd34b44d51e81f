//! `Control`: the calls to a target that are not timed: models, readiness, metrics, hooks.

mod fingerprint;
mod prometheus;

pub use prometheus::metric;
pub(in crate::client) use prometheus::{labels, samples};

use super::protocol::{Api, error_words};
use super::target::HeaderValue;
use super::{Target, tls};
use crate::error::{self, Error, Kind, Result};
use reqwest::{Method, StatusCode, redirect};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A client for everything but generation. It uses no proxy, follows a redirect on the same
/// host only, and shows no secret in an error.
#[derive(Clone)]
pub struct Control {
    target: Target,
    http: reqwest::Client,
}

/// Limit of one call; profiler hooks write their traces before they answer.
const CALL: Duration = Duration::from_secs(30);
const HOOK: Duration = Duration::from_secs(600);
/// Limit of one look at a server that is starting, and the pause between two.
const LOOK: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);
const REDIRECTS_MAX: usize = 5;
/// Most bytes of an answer: a server that never ends one does not fill our memory.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const CERTIFICATE_HINT: &str = "give the server's authority, or its own certificate, as a CA file (--ca-cert), or accept any (--insecure)";

impl Control {
    /// Fails when the target's CA file cannot be used or a header cannot be sent.
    pub fn new(target: &Target) -> Result<Self> {
        // Plain HTTP must work on a machine without any certificates; a redirect cannot turn it
        // into HTTPS.
        let tls = match target.base.scheme() {
            "https" => tls::config(target.insecure, target.ca_cert.as_deref())?,
            _ => tls::believing_nobody(),
        };
        let http = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .redirect(redirect::Policy::custom(same_host))
            .connect_timeout(target.timeouts.connect)
            .user_agent(concat!("rampant/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured((*tls).clone())
            .default_headers(headers(target)?)
            .build()
            .map_err(|error| {
                Error::run(format!("cannot set up a client for {}: {}", target.name, cause(&error)))
            })?;
        Ok(Control { target: target.clone(), http })
    }

    /// The names of the models that the target serves; may be empty. TGI's comes from `/info`
    /// where it has no `/v1/models`.
    pub async fn models(&self) -> Result<Vec<String>> {
        let doing = || format!("cannot ask {} for its models", self.target.name);
        let listed =
            self.call(Method::GET, "/v1/models", CALL).await.map_err(|error| error.context(doing()))?;
        if self.target.api == Api::Tgi && listed.status == StatusCode::NOT_FOUND {
            let info = self.call(Method::GET, "/info", CALL).await.and_then(|info| info.good(self));
            let info = info.map_err(|error| error.context(doing()))?;
            return Ok(info.json()["model_id"].as_str().map(str::to_string).into_iter().collect());
        }
        let listed = listed.good(self).map_err(|error| error.context(doing()))?.json();
        let models = listed["data"].as_array().ok_or_else(|| {
            Error::run(format!("{}: {} has no list of models", doing(), self.target.url("/v1/models")))
        })?;
        Ok(models.iter().filter_map(|model| model["id"].as_str()).map(str::to_string).collect())
    }

    /// Waits until the target answers, and gives how long that took. It is ready when its
    /// health or its list of models says 2xx, or asks who we are (401 or 403). Looks again and
    /// again until `timeout`, then fails with the last reason; fails at once when `stop` says so.
    pub async fn ready(&self, timeout: Duration, stop: &(dyn Fn() -> bool + Sync)) -> Result<Duration> {
        tokio::select! {
            biased;
            () = stopped(stop) => {
                let message = format!("stopped while waiting for {} to be ready", self.target.name);
                Err(Error::new(Kind::Interrupted, message))
            }
            ready = self.wait(timeout) => ready,
        }
    }

    async fn wait(&self, timeout: Duration) -> Result<Duration> {
        let began = Instant::now();
        loop {
            let left = timeout.saturating_sub(began.elapsed());
            let Err(reason) = self.look(LOOK.min(left.max(PAUSE))).await else { return Ok(began.elapsed()) };
            if reason.contains("certificate") {
                let message = format!("cannot trust {}: {reason}", self.target.name);
                return Err(Error::new(Kind::NotReady, message).hint(CERTIFICATE_HINT));
            }
            if began.elapsed() + PAUSE >= timeout {
                let message =
                    format!("{} was not ready after {} s: {reason}", self.target.name, timeout.as_secs_f64());
                return Err(Error::new(Kind::NotReady, message)
                    .hint(format!("check that a server runs at {}, or wait longer", self.target.base)));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One look; the error is why it is not ready.
    async fn look(&self, limit: Duration) -> std::result::Result<(), String> {
        let paths: &[&str] = match self.target.api {
            Api::TensorRt => &["/v2/health/ready", "/health", "/v1/models"],
            _ => &["/health", "/v1/models"],
        };
        let mut reasons = Vec::new();
        for path in paths {
            // A failed call says nothing of this path alone: the next one would fail as well.
            let answer = self.call(Method::GET, path, limit).await.map_err(|error| error.message)?;
            if answer.is_alive() {
                return Ok(());
            }
            reasons.push(format!("{path} says {}", answer.said(&self.target)));
        }
        Err(reasons.join("; "))
    }

    /// The target's metrics, as Prometheus text.
    pub async fn metrics(&self) -> Result<String> {
        let doing = || format!("cannot read the metrics of {}", self.target.name);
        let answer =
            self.call(Method::GET, "/metrics", CALL).await.map_err(|error| error.context(doing()))?;
        let missing = matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::NOT_IMPLEMENTED);
        let answer = answer.good(self).map_err(|error| match error.context(doing()) {
            error if missing => {
                error.hint("start llama.cpp with --metrics; some servers have no metrics at all")
            }
            error => error,
        })?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// One look at `/metrics`: its status, and its text without secrets.
    pub(in crate::client) async fn metrics_now(&self, limit: Duration) -> Result<(StatusCode, String)> {
        let answer = self.call(Method::GET, "/metrics", limit).await?;
        Ok((answer.status, self.target.scrub(&String::from_utf8_lossy(&answer.body))))
    }

    /// The present value of a metric; see [`metric`]. Fails when the target has no such metric.
    pub async fn scrape(&self, name: &str) -> Result<f64> {
        let text = self.metrics().await?;
        metric(&text, name).ok_or_else(|| {
            let error = Error::run(format!("{} has no metric {name:?}", self.target.name));
            match error::nearest(name, samples(&text).map(|(known, _, _)| known)) {
                Some(near) => error.hint(format!("did you mean {near:?}?")),
                None => error.hint(format!("look at {} for the names", self.target.url("/metrics"))),
            }
        })
    }

    /// What the built-in engine did of late, as JSON by request id. Other servers have no such log.
    pub async fn truth(&self) -> Result<Vec<u8>> {
        let answer = self.call(Method::GET, "/truth", CALL).await.and_then(|answer| answer.good(self));
        answer.map(|answer| answer.body).map_err(|error| {
            error
                .context(format!("cannot ask {} for the truth", self.target.name))
                .hint("only the built-in engine has a log of what it did, and only as long as it lives")
        })
    }

    /// Posts nothing to a path of the target, such as `/start_profile`. Fails unless the answer
    /// is 2xx.
    pub async fn post(&self, path: &str) -> Result<()> {
        let answer = self.call(Method::POST, path, HOOK).await.and_then(|answer| answer.good(self));
        answer
            .map(|_| ())
            .map_err(|error| error.context(format!("cannot post {path} to {}", self.target.name)))
    }

    async fn call(&self, method: Method, path: &str, limit: Duration) -> Result<Answer> {
        let fail = |error: reqwest::Error| {
            let reason = self.target.scrub(&cause(&error));
            let certificate = reason.contains("certificate");
            match Error::run(reason) {
                error if certificate => error.hint(CERTIFICATE_HINT),
                error => error,
            }
        };
        let (plain, query) = path.split_once('?').map_or((path, None), |(plain, query)| (plain, Some(query)));
        let mut url = self.target.url(plain);
        url.set_query(query);
        let mut response = self.http.request(method, url).timeout(limit).send().await.map_err(fail)?;
        let server =
            response.headers().get("server").and_then(|value| value.to_str().ok()).map(str::to_string);
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(fail)? {
            body.extend_from_slice(&piece);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(Error::run(format!("the answer of {path} does not end")));
            }
        }
        Ok(Answer { status, server, body })
    }
}

struct Answer {
    status: StatusCode,
    server: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    fn is_alive(&self) -> bool {
        self.status.is_success() || matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    }

    fn good(self, control: &Control) -> Result<Answer> {
        if self.status.is_success() {
            return Ok(self);
        }
        let error = Error::run(format!("it says {}", self.said(&control.target)));
        Err(match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => error.hint("give the target's API key"),
            _ => error,
        })
    }

    /// Null where the body is no JSON.
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Status and the server's words, without secrets.
    fn said(&self, target: &Target) -> String {
        let words = target.scrub(&error_words(&self.body));
        match words.as_str() {
            "" => self.status.as_u16().to_string(),
            words => format!("{} ({words})", self.status.as_u16()),
        }
    }
}

async fn stopped(stop: &(dyn Fn() -> bool + Sync)) {
    while !stop() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn headers(target: &Target) -> Result<reqwest::header::HeaderMap> {
    let mut headers = reqwest::header::HeaderMap::new();
    let bearer = target.api_key.iter().map(|key| ("authorization", format!("Bearer {}", key.reveal())));
    let custom = target.headers.iter().map(|(name, value)| match value {
        HeaderValue::Text(text) => (name.as_str(), text.clone()),
        HeaderValue::Secret(secret) => (name.as_str(), secret.reveal().to_string()),
    });
    for (name, value) in bearer.chain(custom) {
        let wrong =
            |what| Error::usage(format!("cannot send the header {name:?} to {}: bad {what}", target.name));
        let parsed = reqwest::header::HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("name"))?;
        let mut value = reqwest::header::HeaderValue::from_str(value.trim()).map_err(|_| wrong("value"))?;
        value.set_sensitive(true);
        headers.insert(parsed, value);
    }
    Ok(headers)
}

/// A redirect to another host would carry our headers to a stranger, and measure a stranger.
fn same_host(attempt: redirect::Attempt) -> redirect::Action {
    let place =
        |url: &reqwest::Url| (url.scheme().to_string(), url.host_str().map(str::to_string), url.port());
    let same = attempt.previous().first().is_some_and(|first| place(first) == place(attempt.url()));
    if !same {
        return attempt.error("it redirects to another host");
    }
    if attempt.previous().len() > REDIRECTS_MAX {
        return attempt.error("it redirects in a circle");
    }
    attempt.follow()
}

/// The innermost reason, without the URL.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_string();
    }
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    certificate_words(reason.to_string())
}

/// What is wrong with a certificate, in words; any other reason as it is.
fn certificate_words(reason: String) -> String {
    let known = [
        ("UnknownIssuer", "it is signed by an authority that is not known here"),
        ("CaUsedAsEndEntity", "it is self-signed"),
        ("NotValidForName", "it is for another host name"),
        ("Expired", "it has expired"),
    ];
    if !reason.contains("certificate") {
        return reason;
    }
    match known.into_iter().find(|(name, _)| reason.contains(name)) {
        Some((_, words)) => format!("invalid peer certificate: {words}"),
        None => reason,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::client::target::Secret;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    pub type Answers = fn(path: &str, call: usize) -> String;

    /// A server on loopback that answers each call by its path and its number, and the heads
    /// that it read.
    pub async fn server(answers: Answers) -> (Target, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        tokio::spawn(async move {
            let calls = AtomicUsize::new(0);
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && socket.read_buf(&mut head).await.unwrap_or(0) > 0 {}
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or("").to_string();
                seen.lock().expect("heads").push(head);
                let answer = answers(&path, calls.fetch_add(1, Ordering::Relaxed));
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        let mut target = target(port);
        target.api_key = Some(Secret::new("sk-hunter"));
        (target, heads)
    }

    fn target(port: u16) -> Target {
        Target::new(
            Target::base_url(&format!("http://127.0.0.1:{port}")).expect("a base URL"),
            Api::Completions,
        )
    }

    pub fn answer(status: u16, body: &str) -> String {
        let length = body.len();
        format!(
            "HTTP/1.1 {status} X\r\nserver: test\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    }

    pub fn control(target: &Target) -> Control {
        Control::new(target).expect("a client")
    }

    const NEVER: fn() -> bool = || false;

    /// Answers one call over TLS with an empty list of models.
    fn tls_server() -> (Target, String) {
        let (config, authority) = tls::tests::server();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            let (socket, _) = listener.accept().expect("a call");
            let tls = rustls::ServerConnection::new(config).expect("TLS");
            let mut stream = rustls::StreamOwned::new(tls, socket);
            let mut head = [0; 4096];
            if std::io::Read::read(&mut stream, &mut head).is_ok() {
                let _ = std::io::Write::write_all(&mut stream, answer(200, r#"{"data":[]}"#).as_bytes());
                stream.conn.send_close_notify();
                let _ = std::io::Write::flush(&mut stream);
            }
        });
        let base = Target::base_url(&format!("https://localhost:{port}")).expect("a base URL");
        (Target::new(base, Api::Chat), authority)
    }

    #[tokio::test]
    async fn nobody_waits_for_a_certificate_to_become_good() {
        let ((mut target, _), (_, other)) = (tls_server(), tls_server());
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), other).expect("written");
        target.ca_cert = Some(file.path().to_path_buf());
        let error = control(&target).ready(Duration::from_secs(600), &NEVER).await.expect_err("refused");
        assert_eq!((error.kind, error.hint.as_deref()), (Kind::NotReady, Some(CERTIFICATE_HINT)));
        assert!(error.message.starts_with("cannot trust "), "{error}");
    }

    #[tokio::test]
    async fn certificates_are_believed_as_the_target_says() {
        let (mut target, _) = tls_server();
        target.insecure = true;
        assert_eq!(control(&target).models().await.expect("any certificate"), [""; 0]);
        let (mut target, authority) = tls_server();
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), authority).expect("written");
        target.ca_cert = Some(file.path().to_path_buf());
        assert_eq!(control(&target).models().await.expect("its authority"), [""; 0]);
        let (mut target, _) = tls_server();
        target.ca_cert = Some(file.path().to_path_buf());
        let error = control(&target).models().await.expect_err("another authority");
        assert!(error.message.contains("invalid peer certificate"), "{error}");
        assert!(error.hint.is_some());
    }

    #[tokio::test]
    async fn models_are_listed_with_the_key_in_a_header() {
        let (target, heads) = server(|path, _| match path {
            "/v1/models" => answer(200, r#"{"models":[],"object":"list","data":[{"id":"a"},{"id":"b"}]}"#),
            _ => answer(404, ""),
        })
        .await;
        assert_eq!(control(&target).models().await.expect("models"), ["a", "b"]);
        assert!(heads.lock().expect("heads")[0].contains("authorization: Bearer sk-hunter\r\n"));
    }

    #[tokio::test]
    async fn tgi_tells_its_model_in_its_own_way() {
        let (mut target, _) = server(|path, _| match path {
            "/info" => answer(200, r#"{"model_id":"org/m","version":"3.0","router":"x"}"#),
            _ => answer(404, ""),
        })
        .await;
        target.api = Api::Tgi;
        assert_eq!(control(&target).models().await.expect("models"), ["org/m"]);
        let found = control(&target).fingerprint().await;
        assert_eq!(Value::from(found).to_string(), r#"{"server":"test","model_id":"org/m","version":"3.0"}"#);
    }

    #[tokio::test]
    async fn an_error_has_the_words_of_the_server_but_no_secret() {
        let (target, _) = server(|_, _| answer(401, r#"{"error":{"message":"bad key sk-hunter"}}"#)).await;
        let error = control(&target).models().await.expect_err("refused");
        let expected = format!("cannot ask {} for its models: it says 401 (bad key <secret>)", target.name);
        assert_eq!(
            (error.message.as_str(), error.hint.as_deref()),
            (expected.as_str(), Some("give the target's API key"))
        );
    }

    #[tokio::test]
    async fn a_redirect_is_followed_on_the_same_host_only() {
        let (target, heads) = server(|path, _| match path {
            "/v1/models" => {
                "HTTP/1.1 307 X\r\nlocation: /v1/models/\r\nconnection: close\r\n\r\n".to_string()
            }
            "/v1/models/" => answer(200, r#"{"data":[{"id":"a"}]}"#),
            _ => "HTTP/1.1 307 X\r\nlocation: http://localhost:1/\r\nconnection: close\r\n\r\n".to_string(),
        })
        .await;
        assert_eq!(control(&target).models().await.expect("models"), ["a"]);
        let error = control(&target).post("/start_profile").await.expect_err("another host");
        assert!(error.message.ends_with("it redirects to another host"), "{error}");
        let posted = heads.lock().expect("heads").last().cloned().expect("a call");
        assert!(posted.starts_with("POST /start_profile HTTP/1.1\r\n"), "{posted}");
    }

    #[tokio::test]
    async fn a_target_is_ready_when_it_answers() {
        for answers in [
            |path: &str, _: usize| answer(if path == "/health" { 200 } else { 500 }, ""),
            |path: &str, _: usize| answer(if path == "/v1/models" { 200 } else { 404 }, ""),
            |_: &str, _: usize| answer(401, ""),
            |_: &str, call: usize| answer(if call < 2 { 503 } else { 200 }, ""),
        ] {
            let (target, _) = server(answers).await;
            control(&target).ready(Duration::from_secs(20), &NEVER).await.expect("ready");
        }
    }

    #[tokio::test]
    async fn a_target_that_is_never_ready_gives_the_last_reason() {
        let (target, _) = server(|path, _| match path {
            "/health" => answer(503, r#"{"error":{"message":"Loading model"}}"#),
            _ => answer(404, ""),
        })
        .await;
        let error = control(&target).ready(Duration::from_millis(10), &NEVER).await.expect_err("not ready");
        assert_eq!(error.kind, Kind::NotReady);
        let reason = "was not ready after 0.01 s: /health says 503 (Loading model); /v1/models says 404";
        assert!(error.message.ends_with(reason), "{error}");
    }

    /// A port on which nobody listens.
    async fn closed_port() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listener.local_addr().expect("an address").port()
    }

    #[tokio::test]
    async fn a_refused_connection_is_tried_again_until_the_time_is_over() {
        let control = control(&target(closed_port().await));
        let error = control.ready(Duration::from_millis(300), &NEVER).await.expect_err("nobody there");
        assert_eq!(error.kind, Kind::NotReady);
        assert!(error.message.contains("refused"), "{error}");
        assert!(control.fingerprint().await.is_empty());
    }

    #[tokio::test]
    async fn waiting_ends_when_it_is_stopped() {
        let control = control(&target(closed_port().await));
        let looks = AtomicUsize::new(0);
        let stop = || looks.fetch_add(1, Ordering::Relaxed) > 0;
        let error = control.ready(Duration::from_secs(60), &stop).await.expect_err("stopped");
        assert_eq!(error.kind, Kind::Interrupted);
    }

    #[tokio::test]
    async fn a_metric_is_scraped_and_a_slip_in_its_name_is_pointed_out() {
        let (target, _) =
            server(|_, _| answer(200, "# TYPE vllm:running gauge\nvllm:running{engine=\"0\"} 3\n")).await;
        let control = control(&target);
        assert_eq!(control.scrape("vllm:running").await.expect("a value"), 3.0);
        let error = control.scrape("vllm:runing").await.expect_err("a slip");
        assert_eq!(error.hint.as_deref(), Some("did you mean \"vllm:running\"?"));
    }
}
