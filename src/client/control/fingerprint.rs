//! `fingerprint`: what tells one server from another, for the manifest.

use super::{Answer, LOOK, ModelListing, ServerControl};
use crate::client::control::samples;
use crate::client::protocol::Api;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Bytes of a server's description of itself, beyond which its simple values are kept only.
const INFO_BYTES_MAX: usize = 32 << 10;
const TEXT_CHARS_MAX: usize = 1_000;
const LIST_MAX: usize = 64;
const METRICS_MAX: usize = 300;

/// What llama.cpp's `/props` says of the server and not of one request.
const PROPS: [&str; 6] =
    ["build_info", "total_slots", "model_alias", "model_path", "model_ftype", "modalities"];

/// Parts of a key whose value is not for a file that is shared.
const SECRET: [&str; 10] =
    ["key", "keys", "token", "password", "passwd", "secret", "secrets", "credential", "credentials", "auth"];

/// Limit of the look at `/metrics`, of which only the names are wanted: one that hangs must not
/// delay a short run.
const METRICS: Duration = Duration::from_secs(1);

impl ServerControl {
    /// What tells one server from another: its version, its `server` header, its models with
    /// their limits, its settings where it tells them, the names of its metrics. What it does
    /// not tell is left out; a target that is not there gives an empty map.
    /// `listing`: its list of models, which is not asked for again.
    pub async fn fingerprint(&self, listing: Option<&ModelListing>) -> Map<String, Value> {
        let mut found = Map::new();
        let asked = self.call(Method::GET, "/version", LOOK).await.ok();
        let version = asked.as_ref().filter(|answer| answer.status.is_success());
        if let Some(version) = version.and_then(|answer| answer.json().get("version").cloned()) {
            found.insert("version".into(), version);
        }
        let answers = [listing.map(|listing| &listing.answer), asked.as_ref()];
        if let Some(server) = answers.into_iter().flatten().find_map(|answer| answer.server.as_deref()) {
            found.insert("server".into(), server.into());
        }
        let mut owner = String::new();
        if let Some(listing) = listing {
            let entries = listing.entries().unwrap_or_default();
            owner =
                entries.iter().find_map(|entry| entry["owned_by"].as_str()).unwrap_or_default().to_string();
            let models: Vec<Value> = entries.iter().map(model).filter(|model| model != &json!({})).collect();
            if !models.is_empty() {
                found.insert("models".into(), models.into());
            }
        }
        found.extend(self.settings(&owner).await);
        if self.target.api == Api::Tgi
            && let Some(Value::Object(info)) = self.told("/info").await
        {
            let kept = ["version", "model_id", "model_dtype", "max_input_tokens", "max_total_tokens"];
            found.extend(
                info.into_iter().filter(|(key, value)| kept.contains(&key.as_str()) && !value.is_null()),
            );
        }
        if let Ok((status, text)) = self.metrics_now(METRICS).await
            && status.is_success()
        {
            let names = metric_names(&text);
            if !names.is_empty() {
                found.insert("metrics".into(), names.into());
            }
        }
        found
    }

    /// Settings of the kinds of servers that tell them; others are not asked.
    async fn settings(&self, owner: &str) -> Map<String, Value> {
        let mut found = Map::new();
        match owner {
            "llamacpp" => {
                if let Some(Value::Object(props)) = self.told("/props").await {
                    let props = llamacpp(&props);
                    if !props.is_empty() {
                        found.insert("props".into(), self.clean(props.into()));
                    }
                }
            }
            "vllm" | "sglang" => {
                // SGLang had the first name until 0.5; vLLM has the second in its development mode.
                let paths: &[&str] = if owner == "vllm" {
                    &["/server_info?config_format=json"]
                } else {
                    &["/server_info", "/get_server_info"]
                };
                for path in paths {
                    if let Some(info @ Value::Object(_)) = self.told(path).await {
                        found.insert("server_info".into(), bounded(self.clean(info)));
                        break;
                    }
                }
            }
            _ => {}
        }
        found
    }

    /// The JSON of a path that answers with 2xx.
    async fn told(&self, path: &str) -> Option<Value> {
        let answer: Answer = self.call(Method::GET, path, LOOK).await.ok()?;
        answer.status.is_success().then(|| answer.json()).filter(|told| !told.is_null())
    }

    /// Without secrets, long texts and long lists.
    fn clean(&self, value: Value) -> Value {
        match value {
            Value::String(text) => {
                let text = self.target.scrub(&text);
                match text.char_indices().nth(TEXT_CHARS_MAX) {
                    Some((end, _)) => format!("{}…", &text[..end]).into(),
                    None => text.into(),
                }
            }
            Value::Array(list) => list.into_iter().take(LIST_MAX).map(|value| self.clean(value)).collect(),
            Value::Object(map) => {
                let safe = map.into_iter().filter(|(key, _)| !names_a_secret(key));
                safe.map(|(key, value)| (key, self.clean(value))).collect()
            }
            other => other,
        }
    }
}

fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.split(|c: char| !c.is_alphanumeric()).any(|part| SECRET.contains(&part)) || key.contains("apikey")
}

/// A description that is too long keeps its simple values, in their order, as far as they fit.
fn bounded(info: Value) -> Value {
    if info.to_string().len() <= INFO_BYTES_MAX {
        return info;
    }
    let Value::Object(map) = info else { return Value::Null };
    let mut room = INFO_BYTES_MAX;
    let simple = map.into_iter().filter(|(_, value)| !value.is_array() && !value.is_object());
    let fitting = simple.take_while(|(key, value)| {
        let bytes = key.len() + value.to_string().len() + 4;
        let fits = bytes <= room;
        room = room.saturating_sub(bytes);
        fits
    });
    let mut kept: Map<String, Value> = fitting.collect();
    kept.insert("cut".into(), true.into());
    kept.into()
}

fn llamacpp(props: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    if let Some(n_ctx) = props.get("default_generation_settings").and_then(|settings| settings.get("n_ctx")) {
        kept.insert("n_ctx".into(), n_ctx.clone());
    }
    for key in PROPS {
        if let Some(value) = props.get(key).filter(|value| !value.is_null()) {
            kept.insert(key.into(), value.clone());
        }
    }
    kept
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

/// The names in Prometheus text, a histogram's once, in order.
fn metric_names(text: &str) -> Vec<Value> {
    let names = samples(text).map(|(name, _, _)| name).filter(|name| !name.ends_with("_created"));
    let names: BTreeSet<&str> = names.map(|name| name.strip_suffix("_bucket").unwrap_or(name)).collect();
    let part = |name: &&str| {
        let whole = name.strip_suffix("_sum").or_else(|| name.strip_suffix("_count"));
        !whole.is_some_and(|whole| names.contains(whole))
    };
    names.iter().filter(|name| part(name)).take(METRICS_MAX).map(|name| Value::from(*name)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answer, control, server};
    use super::*;

    async fn told(answers: super::super::tests::Answers) -> Value {
        let (target, _) = server(answers).await;
        let control = control(&target);
        let listing = control.list(true).await.ok();
        Value::from(control.fingerprint(listing.as_ref()).await)
    }

    #[tokio::test]
    async fn a_fingerprint_tells_version_server_limits_and_metrics() {
        let found = told(|path, _| match path {
            "/version" => answer(200, r#"{"version":"0.32.0"}"#),
            "/v1/models" => answer(
                200,
                r#"{"data":[{"id":"m","created":5,"owned_by":"vllm","max_model_len":2048,"root":null}]}"#,
            ),
            "/metrics" => {
                answer(200, "a_total 1\na_created 1\nb_bucket{le=\"1\"} 1\nb_sum 1\nb_count 1\nc_count 2\n")
            }
            _ => answer(404, "{}"),
        })
        .await;
        let expected = r#"{"version":"0.32.0","server":"test","models":[{"id":"m","owned_by":"vllm","max_model_len":2048}],"metrics":["a_total","b","c_count"]}"#;
        assert_eq!(found.to_string(), expected);
    }

    #[tokio::test]
    async fn llamacpp_tells_its_context_and_its_build() {
        let found = told(|path, _| match path {
            "/v1/models" => answer(200, r#"{"data":[{"id":"m","owned_by":"llamacpp"}]}"#),
            "/props" => answer(
                200,
                r#"{"default_generation_settings":{"params":{"seed":1},"n_ctx":2048},"total_slots":16,
                    "chat_template":"long","build_info":"b1-abc","model_ftype":null}"#,
            ),
            _ => answer(404, ""),
        })
        .await;
        assert_eq!(found["props"].to_string(), r#"{"n_ctx":2048,"build_info":"b1-abc","total_slots":16}"#);
    }

    #[tokio::test]
    async fn settings_are_told_without_secrets_and_only_by_servers_that_have_them() {
        let answers: super::super::tests::Answers = |path, _| match path {
            "/v1/models" => answer(200, r#"{"data":[{"id":"m","owned_by":"sglang"}]}"#),
            "/get_server_info" => answer(
                200,
                r#"{"tp_size":2,"api_key":"sk-other","admin-api-key":"x","hf_token":"y","max_total_num_tokens":99,
                    "tokenizer_path":"p","note":"key is sk-hunter","states":[{"password":"z","version":"1"}]}"#,
            ),
            _ => answer(404, ""),
        };
        let expected = r#"{"tp_size":2,"max_total_num_tokens":99,"tokenizer_path":"p","note":"key is <secret>","states":[{"version":"1"}]}"#;
        assert_eq!(told(answers).await["server_info"].to_string(), expected);
        let (target, heads) = server(|path, _| match path {
            "/v1/models" => answer(200, r#"{"data":[{"id":"m","owned_by":"someone"}]}"#),
            _ => answer(404, ""),
        })
        .await;
        let control = control(&target);
        let listing = control.list(true).await.ok();
        control.fingerprint(listing.as_ref()).await;
        assert!(!heads.lock().expect("heads").iter().any(|head| head.contains("server_info")));
    }

    #[test]
    fn a_long_description_keeps_its_simple_values() {
        let long: String = "x".repeat(INFO_BYTES_MAX);
        let info = serde_json::json!({ "tp_size": 2, "states": [long], "version": "1" });
        assert_eq!(bounded(info).to_string(), r#"{"tp_size":2,"version":"1","cut":true}"#);
    }
}
