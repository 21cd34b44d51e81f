//! `Found`: one result of another tool, as far as it says.

use crate::record::Record;
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

/// Keys of the results that are no metadata of the user.
const KNOWN: [&str; 28] = [
    "date",
    "endpoint_type",
    "backend",
    "label",
    "model_id",
    "tokenizer_id",
    "num_prompts",
    "request_rate",
    "burstiness",
    "max_concurrency",
    "ramp_up_strategy",
    "ramp_up_start_rps",
    "ramp_up_end_rps",
    "duration",
    "completed",
    "failed",
    "total_input_tokens",
    "total_output_tokens",
    "request_throughput",
    "request_goodput",
    "output_throughput",
    "total_token_throughput",
    "max_output_tokens_per_s",
    "max_concurrent_requests",
    "input_len",
    "output_len",
    "filename",
    "result_dir",
];

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
            !KNOWN.contains(&key.as_str())
                && !key.ends_with("_ms")
                && !["prompt_tokens", "completion_tokens", "verdict", "marks", "rtfx"].contains(&key.as_str())
                && !value.is_null()
        };
        self.values.iter().filter(label).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// As columns of `runs.parquet`, with the lengths that a name such as `io512x512_mc1_np10` tells.
    pub fn row(&self) -> Map<String, Value> {
        let mut row = self.values.clone();
        for key in ["filename", "result_dir", "prompt_tokens", "completion_tokens", "marks"] {
            row.remove(key);
        }
        let (input, output) = lengths(&self.name).unzip();
        for (key, value) in [("input_len", input), ("output_len", output)] {
            if row.get(key).is_none_or(Value::is_null) {
                row.insert(key.into(), value.into());
            }
        }
        row
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
