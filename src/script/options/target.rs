//! The options of `target` and `engine`.

use std::time::Duration;

use rhai::{Array, Dynamic};

use super::table::{OptionKind, OptionRow, Rest, Table, words};
use crate::client::Target;
use crate::client::caps::Caps;
use crate::client::target::{Connections, MetricsUrl, Timeouts};

pub static TARGET: Table = Table::new(
    "target",
    &[
        OptionRow::new(
            "backend",
            OptionKind::Word(Target::backends),
            "which API the server speaks",
            "\"openai-chat\"",
        )
        .or(|| "openai".into()),
        OptionRow::new(
            "api",
            OptionKind::Word(Target::backends),
            "another name of `backend`",
            "\"openai-chat\"",
        )
        .or_else("`backend`"),
        OptionRow::new("endpoint", OptionKind::Own("a path", path), "path of the API", "\"/v1/completions\"")
            .or_else("the backend's usual one"),
        OptionRow::new(
            "model",
            OptionKind::Text,
            "the model's name; \"auto\": the only one that the server lists",
            "\"llama\"",
        )
        .or(|| "auto".into()),
        OptionRow::new(
            "tokenizer",
            OptionKind::Text,
            "tokenizer.json, a folder with one, a hub name in the local cache, or \"none\"",
            "\"models/llama\"",
        )
        .or_else("looked for by the model's name"),
        OptionRow::new("name", OptionKind::Text, "what the target is called in reports", "\"node 1\"")
            .or_else("host:port"),
        OptionRow::new(
            "api_key",
            OptionKind::Made("a secret, as in secret(\"NAME\")", None),
            "what the server is shown as `Authorization: Bearer ...`",
            "secret(\"NAME\")",
        ),
        OptionRow::new(
            "headers",
            OptionKind::Map(&HEADERS),
            "further request headers: text, or secrets",
            "#{ \"X-Team\": \"a\" }",
        ),
        OptionRow::new(
            "extra_body",
            OptionKind::Map(&EXTRA_BODY),
            "fields laid over every request body",
            "#{ priority: 1 }",
        ),
        OptionRow::new("insecure", OptionKind::Truth, "accept any TLS certificate", "true")
            .or(|| false.into()),
        OptionRow::new(
            "ca_cert",
            OptionKind::Text,
            "file with the certificate authority to trust (PEM)",
            "\"ca.pem\"",
        )
        .or_else("those of the system"),
        OptionRow::new("stream", OptionKind::Truth, "ask for replies token by token", "false")
            .or(|| true.into()),
        OptionRow::new("exact", OptionKind::Truth, "ask for replies of the exact length", "false")
            .or(|| true.into()),
        OptionRow::new("temperature", OptionKind::Number(0.0, f64::MAX), "sampling temperature", "0.7")
            .or(|| 0.0.into()),
        OptionRow::new(
            "connections",
            OptionKind::Word(|| words(&Connections::NAMES)),
            "which connection carries a request; \"sticky\": a session keeps its own",
            "\"per-request\"",
        )
        .or(|| "pooled".into()),
        OptionRow::new(
            "ready_timeout",
            OptionKind::Time,
            "how long to wait for the server to be ready",
            "\"5m\"",
        )
        .unit("s")
        .or(|| "60s".into()),
        OptionRow::new(
            "preflight",
            OptionKind::Truth,
            "send one request before the first run, and learn from it what the server can do",
            "false",
        )
        .or(|| true.into()),
        OptionRow::new(
            "connect_timeout",
            OptionKind::TimeAbove0,
            "longest time to open a connection",
            "\"2s\"",
        )
        .unit("s")
        .or(|| seconds(Timeouts::default().connect)),
        OptionRow::new(
            "first_token_timeout",
            OptionKind::TimeAbove0,
            "longest time to the first token",
            "\"30s\"",
        )
        .unit("s")
        .or(|| seconds(Timeouts::default().first_token)),
        OptionRow::new(
            "idle_timeout",
            OptionKind::TimeAbove0,
            "longest silence between two events of a reply",
            "\"30s\"",
        )
        .unit("s")
        .or(|| seconds(Timeouts::default().idle)),
        OptionRow::new("timeout", OptionKind::TimeAbove0, "longest time of a whole request", "\"10m\"")
            .unit("s")
            .or(|| seconds(Timeouts::default().total)),
        OptionRow::new(
            "reconnect_for",
            OptionKind::Time,
            "how long a closed loop waits for a server that refuses connections in the middle of a run",
            "\"2m\"",
        )
        .unit("s")
        .or(|| seconds(Timeouts::default().reconnect)),
        OptionRow::new(
            "max_reply_events",
            COUNT,
            "most events of a reply; one with more ends as a failure",
            "5000000",
        )
        .unit("events")
        .or(|| i64::from(Caps::default().events).into()),
        OptionRow::new(
            "max_reply_mib",
            COUNT,
            "most text of a reply; one with more ends as a failure",
            "256",
        )
        .unit("MiB")
        .or(|| i64::from(Caps::default().mib).into()),
        OptionRow::new(
            "metrics_url",
            OptionKind::Own("a URL or ROLE=URL, or a list of them", |value| metrics_urls(value).map(drop)),
            "where the server's metrics are; several for several workers",
            "[\"prefill=http://10.0.0.1:8000/metrics\"]",
        )
        .or_else("/metrics of the server"),
        OptionRow::new(
            "server_process",
            OptionKind::Own("text or a list of texts", |value| texts(value).map(drop)),
            "programs of this machine that are a part of the server: names, process ids or ports",
            "[\"vllm\", 8000]",
        )
        .or_else("whoever listens at the address, where it is this machine"),
    ],
);

static HEADERS: Table = Table::free("headers");

static EXTRA_BODY: Table = Table::free("extra_body");

/// Whatever the built-in engine can be told; it says itself what is wrong.
pub static ENGINE: Table = Table {
    call: "engine",
    rows: &[],
    rest: Rest::Judged(|key, value| match value {
        Some(value) => crate::engine::parse(&setting(key, value)).map(drop),
        None => crate::engine::parse(key).map(drop).or_else(|told| match told.contains("needs a value") {
            true => Ok(()),
            false => Err(told),
        }),
    }),
};

/// One setting of the engine, as it reads them: `ttft=50ms`.
pub fn setting(key: &str, value: &Dynamic) -> String {
    format!("{key}={value}")
}

const COUNT: OptionKind = OptionKind::Whole(1, u32::MAX as i64);

/// A default of ours as a script would write it: `10s`, `6h`.
fn seconds(time: Duration) -> Dynamic {
    let seconds = time.as_secs();
    match seconds % 3600 {
        0 if seconds > 0 => format!("{}h", seconds / 3600).into(),
        _ => format!("{seconds}s").into(),
    }
}

fn path(value: &Dynamic) -> Result<(), String> {
    let Ok(path) = value.clone().into_string() else { return Err(OptionKind::Text.refusal(value)) };
    match path.contains("://") {
        true => Err(format!("must be a path such as \"/v1/completions\", got {path:?}")),
        false => Ok(()),
    }
}

/// A text or a number, or a list of them; empty ones are none.
pub fn texts(value: &Dynamic) -> Result<Vec<String>, String> {
    let items = value.read_lock::<Array>().map_or_else(|| vec![value.clone()], |items| items.clone());
    let must = OptionKind::Own("text or a list of texts", |_| Ok(()));
    match items.iter().find(|item| !(item.is_string() || item.is_int())) {
        Some(wrong) => Err(must.refusal(wrong)),
        None => Ok(items.iter().map(ToString::to_string).filter(|text| !text.is_empty()).collect()),
    }
}

/// The pages of metrics. Fails with what is no page.
pub fn metrics_urls(value: &Dynamic) -> Result<Vec<MetricsUrl>, String> {
    texts(value)?.iter().map(|text| MetricsUrl::parse(text)).collect()
}
