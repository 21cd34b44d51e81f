//! `Found`: one result of another tool, as far as it says.

use crate::record::Record;
use crate::stats::{csv, vllm};
use crate::store::statistics::Statistic;
use chrono::TimeZone;
use serde_json::{Map, Value};

/// One result.
#[derive(Debug, Default)]
pub struct Found {
    pub tool: &'static str,
    /// Name of the file without its ending, without what tools put before it.
    pub name: String,
    /// Milliseconds since 1970.
    pub began_ms: Option<i64>,
    /// Numbers of the run under the keys of vLLM's JSON, and whatever else the file says in one word.
    pub values: Map<String, Value>,
    /// Its single requests; times since the first.
    pub records: Vec<Record>,
    /// What of it is not what it seems.
    pub note: Option<String>,
}

impl Found {
    pub fn text(&self, key: &str) -> Option<String> {
        self.values.get(key)?.as_str().map(String::from)
    }

    pub fn run_name(&self) -> String {
        if self.name.is_empty() { "imported".into() } else { self.name.clone() }
    }

    /// The user's own labels.
    pub fn tags(&self) -> Map<String, Value> {
        let label = |(key, value): &(&String, &Value)| {
            let of_csv = csv::HEADER.iter().chain(&csv::LAST).any(|(column, _)| column == key)
                && !csv::LABELS.contains(&key.as_str());
            vllm::key_kind(key).is_none() && !of_csv && !key.ends_with("_ms") && !value.is_null()
        };
        self.values.iter().filter(label).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.values.get(key)?.as_f64()
    }

    /// How long it took, or what its throughputs say of that; that of tokens has more digits.
    pub fn seconds(&self) -> Option<f64> {
        let by =
            |amount: Option<f64>, rate: &str| Some(amount? / self.number(rate).filter(|rate| *rate > 0.0)?);
        let told = self.number("duration").filter(|seconds| *seconds > 0.0);
        told.or_else(|| by(self.number("total_output_tokens"), "output_throughput"))
            .or_else(|| by(self.completed(), "request_throughput"))
    }

    fn completed(&self) -> Option<f64> {
        self.number("completed").or(self.number("num_prompts"))
    }

    /// As columns of `runs.parquet`: what was asked. The lengths that a name such as `io512x512_mc1_np10`
    /// tells are labels, as those of a batch are.
    pub fn row(&self) -> Map<String, Value> {
        let mut tags = self.tags();
        let (input, output) = lengths(&self.name).unzip();
        for (key, of_name) in [("input_len", input), ("output_len", output)] {
            let told = self.number(key).map(|number| number as u64).or(of_name);
            tags.extend(told.map(|length| (key.to_string(), Value::from(length))));
        }
        if let Some(label) = self.values.get("label").filter(|label| !label.is_null()) {
            tags.insert("label".into(), label.clone());
        }
        let text = |key: &str| Value::from(self.text(key).unwrap_or_default());
        let whole = |key: &str| Value::from(self.number(key).map(|number| number as i64));
        let mut row = Map::new();
        for (ours, value) in [
            ("date", text("date")),
            ("api", text("endpoint_type")),
            ("backend", text("backend")),
            ("model", text("model_id")),
            ("tokenizer", text("tokenizer_id")),
            ("planned_requests", whole("num_prompts")),
            ("max_concurrency", whole("max_concurrency")),
            ("request_rate", self.number("request_rate").into()),
            ("burstiness", self.number("burstiness").unwrap_or(1.0).into()),
            ("tags", Value::Object(tags)),
            ("verdict", self.text("verdict").filter(|verdict| !verdict.is_empty()).into()),
            ("verdicts", self.text("verdict").filter(|verdict| !verdict.is_empty()).into()),
        ] {
            row.insert(ours.into(), value);
        }
        row
    }

    /// Its numbers, where there are no requests to make them from.
    pub fn numbers(&self) -> Vec<Statistic> {
        let mut numbers = Vec::new();
        let mut put = |metric: &str, statistic: &str, unit: &str, value: Option<f64>| {
            numbers.extend(value.map(|value| Statistic {
                metric: metric.into(),
                statistic: statistic.into(),
                unit: unit.into(),
                value: Some(value),
                ..Statistic::default()
            }));
        };
        let completed = self.completed();
        let asked =
            self.number("num_prompts").zip(completed).map(|(asked, completed)| (asked - completed).max(0.0));
        let failed = self.number("failed").or(asked);
        put("requests", "count", "", completed.map(|n| n + failed.unwrap_or_default()));
        put("errors", "count", "", completed.and(Some(failed.unwrap_or_default())));
        put("input_tokens", "sum", "", self.number("total_input_tokens"));
        put("output_tokens", "sum", "", self.number("total_output_tokens"));
        put("output_tokens", "peak", "1/s", self.number("max_output_tokens_per_s"));
        put("concurrency", "max", "", self.number("max_concurrent_requests"));
        // As it was printed: sums and times may have fewer digits.
        put("requests", "rate", "1/s", self.number("request_throughput"));
        put("output_tokens", "rate", "1/s", self.number("output_throughput"));
        put("total_tokens", "rate", "1/s", self.number("total_token_throughput"));
        let good = self.number("request_goodput").zip(self.seconds()).map(|(rate, seconds)| rate * seconds);
        put("goodput", "count", "", good);
        for metric in ["ttft", "tpot", "itl", "e2el"] {
            for (theirs, ours) in [("mean", "mean"), ("median", "p50"), ("std", "std")] {
                put(metric, ours, "ms", self.number(&format!("{theirs}_{metric}_ms")));
            }
            let percentile = |key: &str| key.strip_suffix(&format!("_{metric}_ms")).map(String::from);
            let percentiles =
                self.values.iter().filter_map(|(key, value)| Some((percentile(key)?, value.as_f64()?)));
            for (statistic, value) in percentiles.filter(|(name, _)| name.starts_with('p')) {
                put(metric, &statistic, "ms", Some(value));
            }
        }
        numbers
    }

    /// Reads when it began from `date`, as vLLM writes it.
    pub fn date_of_values(&mut self) {
        let date = match self.values.get("date") {
            Some(Value::String(date)) => date.clone(),
            _ => return,
        };
        let read = ["%Y%m%d-%H%M%S", "%Y%m%d_%H%M%S", "%Y-%m-%d %H:%M:%S"]
            .into_iter()
            .find_map(|form| chrono::NaiveDateTime::parse_from_str(&date, form).ok());
        let read = read.and_then(|time| chrono::Local.from_local_datetime(&time).earliest());
        self.began_ms = read.map(|time| time.timestamp_millis());
    }
}

fn lengths(name: &str) -> Option<(u64, u64)> {
    let (input, rest) = name.strip_prefix("io")?.split_once('x')?;
    let output: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((input.parse().ok()?, output.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_lengths() {
        assert_eq!(lengths("io512x1024_mc1_np10"), Some((512, 1024)));
        assert_eq!(lengths("iox"), None);
        assert_eq!(lengths("sharegpt_mc4"), None);
    }
}
