//! `ServerControl`: the calls to a target that are not timed: models, readiness, metrics, hooks.

mod fingerprint;
mod listing;
mod pages;
mod patience;
mod prometheus;

pub use listing::{ModelListing, Unlisted};
pub use patience::{Again, Patience, retry_after};
pub use prometheus::metric;
pub(in crate::client) use prometheus::{labels, samples};

use super::blame::{Blame, may_pass};
use super::protocol::{Api, error_words};
use super::target::HeaderValue;
use super::{Target, tls, trouble};
use crate::error::{self, Error, ErrorKind, Result};
use reqwest::{Method, StatusCode, redirect};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A client for everything but generation. It uses no proxy, follows a redirect on the same
/// host only, and shows no secret in an error.
#[derive(Clone)]
pub struct ServerControl {
    target: Target,
    http: reqwest::Client,
}

/// Limit of one call; profiler hooks write their traces before they answer.
const CALL: Duration = Duration::from_secs(30);
const HOOK: Duration = Duration::from_secs(600);
/// Limit of one look at a server that is starting, and the pause between two.
const LOOK: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);
/// So often and for so long a path is looked for that is not there: what stands in front of a
/// server may say so while it starts.
const DEFINITE_LOOKS: u32 = 3;
const DEFINITE_FOR: Duration = Duration::from_millis(1_500);
const NO_ANSWER: &str = "no answer in time";
const REDIRECTS_MAX: usize = 5;
/// Most bytes of an answer: a server that never ends one does not fill our memory.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const CERTIFICATE_HINT: &str = "give the server's authority, or its own certificate, as a CA file (--ca-cert), or accept any (--insecure)";

impl ServerControl {
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
        Ok(ServerControl { target: target.clone(), http })
    }

    /// The names of the models that the target serves; may be empty.
    pub async fn models(&self) -> Result<Vec<String>> {
        let listing = self.list(false).await.map_err(|unlisted| unlisted.error)?;
        self.names(&listing)
    }

    /// Asks for the list of models, beside the endpoint and below the base. TGI's one model comes
    /// from `/info` where it has no list.
    /// `named`: the model is known and the list a hint, for which nobody waits long.
    pub async fn list(&self, named: bool) -> std::result::Result<ModelListing, Unlisted> {
        let limit = if named { LOOK } else { CALL };
        let mut paths = vec!["/v1/models".to_string()];
        let path = self.target.endpoint.split('?').next().unwrap_or_default();
        let beside = ["/chat/completions", "/completions"].into_iter().find_map(|end| path.strip_suffix(end));
        if let Some(before) = beside.filter(|before| *before != "/v1") {
            paths.insert(0, format!("{before}/models"));
        }
        if self.target.api == Api::Tgi {
            paths.push("/info".to_string());
        }
        let unlisted = |error: Error, busy| Unlisted {
            error: error.context(format!("cannot ask {} for its models", self.target.name)),
            busy,
        };
        let mut refused = None;
        for path in paths {
            let answer = self.call(Method::GET, &path, limit).await.map_err(|error| {
                let error = Error { kind: ErrorKind::NotReady, ..error };
                unlisted(error, true)
            })?;
            let status = answer.status.as_u16();
            match answer.good(self) {
                Ok(answer) => return Ok(ModelListing { path, answer }),
                Err(error) if matches!(status, 404 | 405) => refused = refused.or(Some(error)),
                Err(error) => {
                    let kind = Blame::of_status(status).kind();
                    return Err(unlisted(Error { kind, ..error }, may_pass(status)));
                }
            }
        }
        let refused = refused.unwrap_or_else(|| Error::run("it has no list"));
        Err(unlisted(Error { kind: ErrorKind::Usage, ..refused }, false))
    }

    /// The names in a list of models; fails when it is none.
    pub fn names(&self, listing: &ModelListing) -> Result<Vec<String>> {
        if listing.path == "/info" {
            let model = listing.answer.json()["model_id"].as_str().map(str::to_string);
            return Ok(model.into_iter().collect());
        }
        listing.names().ok_or_else(|| {
            let url = self.target.url(&listing.path);
            let told = format!("cannot ask {} for its models: {url} has no list of models", self.target.name);
            Error::new(ErrorKind::NotReady, told)
        })
    }

    /// Waits until the target answers. It is ready when its health or its list of models says
    /// 2xx, or asks who we are (401 or 403); `named`: the model is known, so that any answer that
    /// is no failure of the server's own will do. Looks again and again while there is patience,
    /// then fails with the last reason; fails soon where each path is refused for good, and at once
    /// when it is stopped.
    pub async fn ready(&self, patience: &mut Patience<'_>, named: bool) -> Result<()> {
        let mut definite: Option<(u32, Instant)> = None;
        let awaited = format!("{} to answer, up to {} s", self.target.name, patience.limit().as_secs_f64());
        loop {
            let limit = LOOK.min(patience.left().max(PAUSE));
            let looked = patience.aloud(&awaited, self.look(limit, named)).await?;
            let Err(reason) = looked else { return Ok(()) };
            definite = (reason.kind == ErrorKind::Usage)
                .then(|| definite.map_or_else(|| (1, Instant::now()), |(looks, since)| (looks + 1, since)));
            let refused =
                |reason| Err(Error::usage(format!("{} has no list of models: {reason}", self.target.name)));
            if definite
                .is_some_and(|(looks, since)| looks >= DEFINITE_LOOKS && since.elapsed() >= DEFINITE_FOR)
            {
                return refused(reason.message);
            }
            if reason.kind == ErrorKind::NotReady {
                let doing = if reason.message.contains("certificate") { "trust" } else { "talk to" };
                return Err(reason.context(format!("cannot {doing} {}", self.target.name)));
            }
            let reason = reason.message;
            if patience.again(None, &format!("{} is not ready: {reason}", self.target.name)).await?
                != Again::Yes
            {
                if definite.is_some() {
                    return refused(reason);
                }
                let seconds = patience.limit().as_secs_f64();
                let message = format!("{} was not ready after {seconds} s: {reason}", self.target.name);
                return Err(Error::new(ErrorKind::NotReady, message));
            }
        }
    }

    /// One look; the error is why it is not ready: [`ErrorKind::NotReady`] when it never will be,
    /// [`ErrorKind::Usage`] when it says of each path that it is wrong.
    async fn look(&self, limit: Duration, named: bool) -> Result<()> {
        let paths: &[&str] = match self.target.api {
            Api::TensorRt => &["/v2/health/ready", "/health", "/v1/models"],
            _ => &["/health", "/v1/models"],
        };
        let (mut reasons, mut definite) = (Vec::new(), true);
        for path in paths {
            match self.call(Method::GET, path, limit).await {
                Ok(answer) if answer.is_alive(named) => return Ok(()),
                Ok(answer) => {
                    definite &= Blame::of_status(answer.status.as_u16()) == Blame::Command;
                    reasons.push(answer.says(&self.target));
                }
                // A gateway may ask all of its back ends before it says how it is.
                Err(error) if error.message == NO_ANSWER => {
                    definite = false;
                    reasons.push(format!("{} gives no answer", self.target.url(path)));
                }
                // A failed call says nothing of this path alone: the next one would fail as well.
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(if definite { ErrorKind::Usage } else { ErrorKind::Run }, reasons.join("; ")))
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
        if !self.target.metrics_urls.is_empty() {
            return self.named_pages(limit).await;
        }
        let answer = self.call(Method::GET, "/metrics", limit).await?;
        Ok((answer.status, self.target.scrub(&String::from_utf8_lossy(&answer.body)).into_owned()))
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

    /// What to do about a certificate, less what was done already.
    fn hinted(&self, error: Error) -> Error {
        match (self.target.insecure, &self.target.ca_cert) {
            (true, _) => error.hint("every certificate is accepted already: look at the server's TLS settings"),
            (false, Some(file)) => error.hint(format!(
                "look whether {} holds the authority of this server's certificate, or accept any (--insecure)",
                file.display()
            )),
            (false, None) => error.hint(CERTIFICATE_HINT),
        }
    }

    async fn call(&self, method: Method, path: &str, limit: Duration) -> Result<Answer> {
        let fail = |error: reqwest::Error| {
            let strange = no_http(&error, &self.target);
            let kind = if trouble::lasts(&error) || strange.is_some() {
                ErrorKind::NotReady
            } else {
                ErrorKind::Run
            };
            let words = trouble::words(&error).or(strange);
            let words = words.unwrap_or_else(|| self.target.scrub(&cause(&error)).into_owned());
            let certificate = kind == ErrorKind::NotReady && words.contains("certificate");
            let error = Error::new(kind, words);
            if certificate { self.hinted(error) } else { error }
        };
        let (plain, query) = path.split_once('?').map_or((path, None), |(plain, query)| (plain, Some(query)));
        let mut url = self.target.url(plain);
        url.set_query(query);
        let mut response = self.http.request(method, url).timeout(limit).send().await.map_err(fail)?;
        let server =
            response.headers().get("server").and_then(|value| value.to_str().ok()).map(str::to_string);
        let (status, url) = (response.status(), response.url().clone());
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(fail)? {
            body.extend_from_slice(&piece);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(Error::run(format!("the answer of {path} does not end")));
            }
        }
        Ok(Answer { status, url, server, body })
    }
}

struct Answer {
    status: StatusCode,
    /// Where it comes from in the end.
    url: reqwest::Url,
    server: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    /// `named`: the request itself will show whether this is the right server, so that a path
    /// which is not there (404, 405) or broken says no more than that somebody answers.
    fn is_alive(&self, named: bool) -> bool {
        let asks_who = matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        // Who stands in front of a server that is not up yet says so with one of these.
        let starting = matches!(self.status.as_u16(), 502..=504);
        self.status.is_success() || asks_who || (named && !starting)
    }

    fn good(self, control: &ServerControl) -> Result<Answer> {
        if self.status.is_success() {
            return Ok(self);
        }
        let error = Error::run(self.says(&control.target));
        Err(match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                error.hint(match control.target.sends_key() {
                    true => "the API key that was sent is refused: check it",
                    false => "give the target's API key",
                })
            }
            _ => error,
        })
    }

    /// Null where the body is no JSON.
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Address, status and the server's words, without secrets.
    fn says(&self, target: &Target) -> String {
        format!("{} says {}", self.url, self.said(target))
    }

    /// Status and the server's words, without secrets.
    fn said(&self, target: &Target) -> String {
        let words = error_words(&self.body);
        let words = target.scrub(&words);
        match &*words {
            "" => self.status.as_u16().to_string(),
            words => format!("{} ({words})", self.status.as_u16()),
        }
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

/// A server that answers plain HTTP with something else, as one of TLS does.
fn no_http(error: &reqwest::Error, target: &Target) -> Option<String> {
    let strange = cause(error).contains("invalid HTTP version");
    (strange && target.base.scheme() == "http").then(|| {
        "what answers at this port speaks no HTTP: write https:// in the base URL if it is TLS".to_string()
    })
}

/// The innermost reason, without the URL.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() && !error.is_connect() {
        return NO_ANSWER.to_string();
    }
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    reason.to_string()
}

#[cfg(test)]
pub(super) mod tests;
