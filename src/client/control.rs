//! `Control`: the calls to a target that are not timed: models, readiness, metrics, hooks.

use super::protocol::{Api, error_words};
use super::target::HeaderValue;
use super::{Target, tls};
use crate::error::{self, Error, Kind, Result};
use reqwest::{Method, StatusCode, redirect};
use serde_json::{Map, Value};
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

impl Control {
    /// Fails when the target's CA file cannot be used or a header cannot be sent.
    pub fn new(target: &Target) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .redirect(redirect::Policy::custom(same_host))
            .connect_timeout(target.timeouts.connect)
            .user_agent(concat!("rampant/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured((*tls::config(target.insecure, target.ca_cert.as_deref())?).clone())
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
        let began = Instant::now();
        loop {
            let left = timeout.saturating_sub(began.elapsed());
            let reason = match self.look(LOOK.min(left.max(PAUSE)), stop).await? {
                Ok(()) => return Ok(began.elapsed()),
                Err(reason) => reason,
            };
            if began.elapsed() + PAUSE >= timeout {
                let message =
                    format!("{} was not ready after {} s: {reason}", self.target.name, timeout.as_secs_f64());
                return Err(Error::new(Kind::NotReady, message)
                    .hint(format!("check that a server runs at {}, or wait longer", self.target.base)));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One look; the inner error is why it is not ready.
    async fn look(
        &self,
        limit: Duration,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<std::result::Result<(), String>> {
        let paths: &[&str] = match self.target.api {
            Api::TensorRt => &["/v2/health/ready", "/health", "/v1/models"],
            _ => &["/health", "/v1/models"],
        };
        let mut reasons = Vec::new();
        for path in paths {
            let answer = tokio::select! {
                answer = self.call(Method::GET, path, limit) => answer,
                () = stopped(stop) => {
                    let message = format!("stopped while waiting for {} to be ready", self.target.name);
                    return Err(Error::new(Kind::Interrupted, message));
                }
            };
            match answer {
                Ok(answer) if answer.is_alive() => return Ok(Ok(())),
                Ok(answer) => reasons.push(format!("{path} says {}", answer.said(&self.target))),
                // The next path would fail in the same way.
                Err(error) => return Ok(Err(error.message)),
            }
        }
        Ok(Err(reasons.join("; ")))
    }

    /// The target's metrics, as Prometheus text.
    pub async fn metrics(&self) -> Result<String> {
        let answer = self.call(Method::GET, "/metrics", CALL).await.and_then(|answer| answer.good(self));
        let answer = answer.map_err(|error| {
            error.context(format!("cannot read the metrics of {}", self.target.name)).hint(
                "llama.cpp has metrics only when started with --metrics; transformers and llama-cpp-python have none",
            )
        })?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
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

    /// Posts nothing to a path of the target, such as `/start_profile`. Fails unless the answer
    /// is 2xx.
    pub async fn post(&self, path: &str) -> Result<()> {
        let answer = self.call(Method::POST, path, HOOK).await.and_then(|answer| answer.good(self));
        answer
            .map(|_| ())
            .map_err(|error| error.context(format!("cannot post {path} to {}", self.target.name)))
    }

    /// What tells one server from another: its version, its `server` header, its models with
    /// their limits. What it does not tell is left out; a target that is not there gives an
    /// empty map.
    pub async fn fingerprint(&self) -> Map<String, Value> {
        let mut found = Map::new();
        if let Ok(answer) = self.call(Method::GET, "/version", CALL).await
            && answer.status.is_success()
            && let Some(version) = answer.json().get("version")
        {
            found.insert("version".into(), version.clone());
        }
        if let Ok(answer) = self.call(Method::GET, "/v1/models", CALL).await {
            if let Some(server) = &answer.server {
                found.insert("server".into(), server.as_str().into());
            }
            let models: Vec<Value> =
                answer.json()["data"].as_array().into_iter().flatten().map(model).collect();
            if !models.is_empty() {
                found.insert("models".into(), models.into());
            }
        }
        if self.target.api == Api::Tgi
            && let Ok(answer) = self.call(Method::GET, "/info", CALL).await
            && let Value::Object(info) = answer.json()
        {
            let kept = ["version", "model_id", "model_dtype", "max_input_tokens", "max_total_tokens"];
            found.extend(
                info.into_iter().filter(|(key, value)| kept.contains(&key.as_str()) && !value.is_null()),
            );
        }
        found
    }

    async fn call(&self, method: Method, path: &str, limit: Duration) -> Result<Answer> {
        let fail = |error: reqwest::Error| Error::run(self.target.scrub(&cause(&error)));
        let response =
            self.http.request(method, self.target.url(path)).timeout(limit).send().await.map_err(fail)?;
        let server =
            response.headers().get("server").and_then(|value| value.to_str().ok()).map(str::to_string);
        let status = response.status();
        let body = response.bytes().await.map_err(fail)?.to_vec();
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

/// The telling fields of an entry of `/v1/models`.
fn model(entry: &Value) -> Value {
    let mut kept = Map::new();
    for key in ["id", "root", "owned_by", "max_model_len"] {
        if let Some(value) = entry.get(key).filter(|value| !value.is_null()) {
            kept.insert(key.into(), value.clone());
        }
    }
    if let Some(meta @ Value::Object(_)) = entry.get("meta") {
        kept.insert("meta".into(), meta.clone());
    }
    kept.into()
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
    reason.to_string()
}

/// The value of a metric in Prometheus text: the sum over all label sets of that name, or over
/// those that have the labels given, as in `name{engine="0"}`. `None`: no such metric.
pub fn metric(text: &str, name: &str) -> Option<f64> {
    let (name, wanted) = name.split_once('{').unwrap_or((name, ""));
    let wanted: Vec<&str> = labels(wanted.trim_end().trim_end_matches('}')).collect();
    samples(text)
        .filter(|(known, own, _)| {
            *known == name.trim() && wanted.iter().all(|label| labels(own).any(|own| own == *label))
        })
        .map(|(_, _, value)| value)
        .reduce(|sum, value| sum + value)
}

/// Name, inside of the braces, and value of every sample.
fn samples(text: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        if line.starts_with('#') {
            return None;
        }
        let name_end = line.find(|c: char| c == '{' || c.is_whitespace())?;
        let (name, rest) = line.split_at(name_end);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_at(labels_end(rest)?),
            None => ("", rest),
        };
        let value = rest.trim_start_matches('}').split_whitespace().next()?.parse().ok()?;
        Some((name, labels, value))
    })
}

/// Where the closing brace is: not one inside a quoted value.
fn labels_end(text: &str) -> Option<usize> {
    ends(text, '}').next()
}

fn labels(text: &str) -> impl Iterator<Item = &str> {
    let mut from = 0;
    ends(text, ',')
        .chain([text.len()])
        .map(move |end| {
            let label = text.get(from..end).unwrap_or("").trim();
            from = end + 1;
            label
        })
        .filter(|label| !label.is_empty())
}

/// Positions of `end` outside quotes.
fn ends(text: &str, end: char) -> impl Iterator<Item = usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.char_indices().filter_map(move |(at, c)| {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            _ if was_escaped => {}
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ if c == end && !quoted => return Some(at),
            _ => {}
        }
        None
    })
}
