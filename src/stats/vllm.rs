//! `VllmResult`: the result JSON of vLLM's serving benchmark, which dashboards read.
//!
//! The keys are vLLM's, in its order; the numbers are ours, by our definitions, but for the
//! throughputs: as vLLM has them they are the measured requests and their tokens, divided by the
//! time to the end of the last one. (Those of the [`Summary`] are of what arrived in the window.)
//! Statistics are milliseconds, the lists of single requests seconds.

use super::flow::Flow;
use super::fold::Fold;
use super::names::Metric;
use super::sample::View;
use super::summary::Summary;
use crate::record::{Fields, Nanos, Phase, Record};
use serde_json::{Map, Value, json};

/// What a key of the result holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    Text,
    Number,
    /// One entry a request; only with the details.
    List,
}

/// The keys of the result in its order, but for those of latencies and of metadata, which stand behind
/// `num_prompts`; those of a ramp, of sound and of limits are there where the run had any.
pub const KEYS: [(&str, KeyKind); 32] = [
    ("date", KeyKind::Text),
    ("endpoint_type", KeyKind::Text),
    ("backend", KeyKind::Text),
    ("label", KeyKind::Text),
    ("model_id", KeyKind::Text),
    ("tokenizer_id", KeyKind::Text),
    ("num_prompts", KeyKind::Number),
    ("request_rate", KeyKind::Number),
    ("burstiness", KeyKind::Number),
    ("max_concurrency", KeyKind::Number),
    ("ramp_up_strategy", KeyKind::Text),
    ("ramp_up_start_rps", KeyKind::Number),
    ("ramp_up_end_rps", KeyKind::Number),
    ("duration", KeyKind::Number),
    ("completed", KeyKind::Number),
    ("failed", KeyKind::Number),
    ("total_input_tokens", KeyKind::Number),
    ("total_output_tokens", KeyKind::Number),
    ("request_throughput", KeyKind::Number),
    ("request_goodput", KeyKind::Number),
    ("output_throughput", KeyKind::Number),
    ("total_token_throughput", KeyKind::Number),
    ("max_output_tokens_per_s", KeyKind::Number),
    ("max_concurrent_requests", KeyKind::Number),
    ("rtfx", KeyKind::Number),
    ("input_lens", KeyKind::List),
    ("output_lens", KeyKind::List),
    ("ttfts", KeyKind::List),
    ("itls", KeyKind::List),
    ("start_times", KeyKind::List),
    ("generated_texts", KeyKind::List),
    ("errors", KeyKind::List),
];

/// Behind this key stands the metadata.
const BEFORE_METADATA: &str = "num_prompts";

/// What kind of key of the result a name is; `None`: none of [`KEYS`], and of no latency.
pub fn key_kind(name: &str) -> Option<KeyKind> {
    let known = KEYS.iter().find(|(key, _)| *key == name).map(|(_, kind)| *kind);
    known.or_else(|| is_latency(name).then_some(KeyKind::Number))
}

/// `mean_ttft_ms`, `p99.9_e2el_ms`.
fn is_latency(name: &str) -> bool {
    let parts = name.strip_suffix("_ms").and_then(|name| name.split_once('_'));
    let of_vllm = |metric: &str| Metric::OF_VLLM.iter().any(|known| known.name() == metric);
    parts.is_some_and(|(statistic, metric)| {
        let percentile = statistic.strip_prefix('p').is_some_and(|p| p.parse::<f64>().is_ok());
        of_vllm(metric) && (percentile || matches!(statistic, "mean" | "median" | "std"))
    })
}

/// The keys of what was run and how fast it was to be asked, as a row of a run has them; metadata and a ramp
/// left out.
pub fn head() -> impl Iterator<Item = &'static str> {
    let asked = KEYS.iter().map(|(key, _)| *key).take_while(|key| *key != "duration");
    asked.filter(|key| !key.starts_with("ramp_up"))
}

/// Values in the order of the result, metadata at its place; what is neither stands behind them.
fn in_order(mut values: Map<String, Value>, mut metadata: Map<String, Value>) -> Map<String, Value> {
    metadata.retain(|key, _| !values.contains_key(key));
    let mut whole = Map::new();
    for (key, _) in KEYS {
        whole.extend(values.shift_remove(key).map(|value| (key.to_string(), value)));
        if key == BEFORE_METADATA {
            whole.append(&mut metadata);
        }
    }
    whole.extend(values);
    whole
}

/// What a summary does not know of its run.
#[derive(Debug, Clone)]
pub struct Meta {
    /// `YYYYmmdd-HHMMSS`.
    pub date: String,
    pub endpoint_type: String,
    pub backend: String,
    pub label: Option<String>,
    pub model_id: String,
    pub tokenizer_id: String,
    pub num_prompts: u64,
    /// Free keys; they stand flat among the others, whose names they cannot take.
    pub metadata: Map<String, Value>,
    /// Requests per second; `None` or infinite: `"inf"`.
    pub request_rate: Option<f64>,
    pub burstiness: f64,
    pub max_concurrency: Option<u64>,
    pub ramp: Option<RampUpMeta>,
    /// Percentiles of each latency.
    pub percentiles: Vec<f64>,
}

#[derive(Debug, Clone)]
pub struct RampUpMeta {
    /// `linear`, `exponential`.
    pub strategy: String,
    pub start_rps: f64,
    pub end_rps: f64,
}

impl Default for Meta {
    fn default() -> Self {
        Meta {
            date: String::new(),
            endpoint_type: String::new(),
            backend: String::new(),
            label: None,
            model_id: String::new(),
            tokenizer_id: String::new(),
            num_prompts: 0,
            metadata: Map::new(),
            request_rate: None,
            burstiness: 1.0,
            max_concurrency: None,
            ramp: None,
            percentiles: vec![99.0],
        }
    }
}

/// One result, its keys in order.
#[derive(Debug, Clone, PartialEq)]
pub struct VllmResult {
    map: Map<String, Value>,
}

/// What [`VllmResult::detailed`] lists of every measured request.
#[derive(Debug, Clone, Default)]
pub struct Detailed(Vec<Row>);

#[derive(Debug, Clone)]
struct Row {
    seq: u64,
    turn: u32,
    input: u32,
    output: u32,
    ttft_ms: f64,
    gaps_us: Vec<u32>,
    start: Nanos,
    text: String,
    error: String,
}

impl Fold for Detailed {
    fn fields(&self) -> Fields {
        Fields::OUTPUT.with(Fields::WORDS).with(Fields::TEXT)
    }

    fn add(&mut self, record: &Record) {
        if record.phase != Phase::Measured {
            return;
        }
        let (timeline, success) = (&record.timeline, record.success());
        let mut flow = Flow::default();
        flow.read_times(record);
        self.0.push(Row {
            seq: record.seq,
            turn: record.turn,
            input: record.input_tokens().unwrap_or(0),
            output: record.output_tokens().filter(|_| success).map_or(0, |(n, _)| n),
            ttft_ms: record.ttft_ms().filter(|_| success).unwrap_or(0.0),
            gaps_us: flow.gaps_us,
            start: timeline.sent.unwrap_or(timeline.planned),
            text: record.text.clone().unwrap_or_default(),
            error: match &record.error {
                _ if success => String::new(),
                Some(words) => format!("{}: {words}", record.outcome.name()),
                None => record.outcome.name().to_string(),
            },
        });
    }

    fn merge(&mut self, other: Detailed) {
        self.0.extend(other.0);
    }

    fn fresh(&self) -> Detailed {
        Detailed::default()
    }
}

impl VllmResult {
    pub fn new(summary: &Summary, meta: Meta) -> VllmResult {
        let mut map = names(&meta);
        map.extend(load(&meta));
        let tally = summary.tally();
        let value = |name: &str| json!(summary.value(name).expect("a name of ours"));
        let whole = |name: &str| match summary.value(name).expect("a name of ours") {
            Some(number) => json!(number.round() as u64),
            None => Value::Null,
        };
        let seconds = summary.measuring().map(|(start, end)| (end - start) as f64 / 1e9);
        let per_second = |amount: f64| json!(seconds.filter(|s| *s > 0.0).map(|s| amount / s));
        let tokens = |name: &str| summary.value(name).expect("a name of ours").unwrap_or_default();
        let (input, output) = (tokens("input_tokens.sum"), tokens("output_tokens.sum"));
        let mut put = |key: &str, value: Value| map.insert(key.into(), value);
        put("duration", json!(seconds));
        put("completed", json!(tally.succeeded));
        put("failed", json!(tally.failed()));
        put("total_input_tokens", whole("input_tokens.sum"));
        put("total_output_tokens", whole("output_tokens.sum"));
        put("request_throughput", per_second(tally.succeeded as f64));
        put(
            "request_goodput",
            if summary.has_limits() { per_second(tally.good as f64) } else { Value::Null },
        );
        put("output_throughput", per_second(output));
        put("total_token_throughput", per_second(input + output));
        put("max_output_tokens_per_s", value("peak_output_tokens_per_s"));
        put("max_concurrent_requests", whole("concurrency.max"));
        if tally.audio_replies > 0 {
            put("rtfx", per_second(tally.audio_seconds));
        }
        for metric in Metric::OF_VLLM {
            latency(&mut map, metric, &summary.view(metric), &meta.percentiles);
        }
        VllmResult { map: in_order(map, meta.metadata) }
    }

    /// Adds the lists with one entry per measured request, in order of submission. Failures
    /// are among them, with a ttft of 0 and no output, as vLLM has them.
    pub fn detailed(mut self, detailed: Detailed) -> VllmResult {
        let mut rows = detailed.0;
        rows.sort_by_key(|row| (row.seq, row.turn));
        let mut put = |key: &str, each: &mut dyn FnMut(&mut Row) -> Value| {
            self.map.insert(key.into(), rows.iter_mut().map(each).collect());
        };
        put("input_lens", &mut |row| json!(row.input));
        put("output_lens", &mut |row| json!(row.output));
        put("ttfts", &mut |row| json!(row.ttft_ms / 1e3));
        put("itls", &mut |row| {
            std::mem::take(&mut row.gaps_us).into_iter().map(|us| json!(f64::from(us) / 1e3 / 1e3)).collect()
        });
        put("start_times", &mut |row| json!(row.start as f64 / 1e9));
        put("generated_texts", &mut |row| std::mem::take(&mut row.text).into());
        put("errors", &mut |row| std::mem::take(&mut row.error).into());
        self
    }

    #[cfg(test)]
    pub fn map(&self) -> &Map<String, Value> {
        &self.map
    }

    pub fn into_map(self) -> Map<String, Value> {
        self.map
    }
}

/// What was run.
fn names(meta: &Meta) -> Map<String, Value> {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.into(), value);
    put("date", json!(meta.date));
    put("endpoint_type", json!(meta.endpoint_type));
    put("backend", json!(meta.backend));
    put("label", json!(meta.label));
    put("model_id", json!(meta.model_id));
    put("tokenizer_id", json!(meta.tokenizer_id));
    put("num_prompts", json!(meta.num_prompts));
    map
}

/// How fast it was to be asked.
fn load(meta: &Meta) -> Map<String, Value> {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.into(), value);
    let rate = meta.request_rate.filter(|rate| rate.is_finite());
    put("request_rate", rate.map_or(json!("inf"), |rate| json!(rate)));
    put("burstiness", json!(meta.burstiness));
    put("max_concurrency", json!(meta.max_concurrency));
    if let Some(ramp) = &meta.ramp {
        put("ramp_up_strategy", json!(ramp.strategy));
        put("ramp_up_start_rps", json!(ramp.start_rps));
        put("ramp_up_end_rps", json!(ramp.end_rps));
    }
    map
}

/// `mean_ttft_ms`, `median_ttft_ms`, `std_ttft_ms`, `p99_ttft_ms`.
fn latency(map: &mut Map<String, Value>, metric: Metric, view: &View, percentiles: &[f64]) {
    let name = metric.name();
    let mut put =
        |statistic: String, value: Option<f64>| map.insert(format!("{statistic}_{name}_ms"), json!(value));
    put("mean".into(), view.mean());
    put("median".into(), view.percentile(50.0));
    put("std".into(), view.std());
    for p in percentiles {
        put(format!("p{p}"), view.percentile(*p));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{MS, reply};
    use super::super::{Limit, Slo, Window};
    use super::*;
    use crate::record::Outcome;

    fn records() -> Vec<Record> {
        vec![
            reply(1, 500).tokens_at(&[20, 40, 60]).usage(10, 3).ends(1_500).record(),
            reply(0, 0).tokens_at(&[10, 20, 40]).usage(8, 3).record(),
            reply(2, 600).tokens_at(&[7]).fails(Outcome::Truncated, "cut off").record(),
            reply(9, 0).tokens_at(&[10]).warmup().record(),
        ]
    }

    fn summary(slo: Option<Slo>) -> Summary {
        let mut summary = Summary::new(Window::UNKNOWN, slo, false);
        records().iter().for_each(|record| summary.add(record));
        summary
    }

    #[test]
    fn keys_stand_in_the_order_that_dashboards_know() {
        let mut metadata = Map::new();
        metadata.insert("tp".into(), json!("4"));
        let meta = Meta { metadata, percentiles: vec![50.0, 99.9], ..Meta::default() };
        let result = VllmResult::new(&summary(None), meta);
        let keys: Vec<&str> = result.map().keys().map(String::as_str).collect();
        let head = "date endpoint_type backend label model_id tokenizer_id num_prompts tp request_rate burstiness \
                    max_concurrency duration completed failed total_input_tokens total_output_tokens \
                    request_throughput request_goodput output_throughput total_token_throughput \
                    max_output_tokens_per_s max_concurrent_requests";
        let mut expected: Vec<String> = head.split_whitespace().map(String::from).collect();
        for metric in ["ttft", "tpot", "itl", "e2el"] {
            for statistic in ["mean", "median", "std", "p50", "p99.9"] {
                expected.push(format!("{statistic}_{metric}_ms"));
            }
        }
        assert_eq!(keys, expected);
        for key in keys.iter().filter(|key| **key != "tp") {
            assert!(key_kind(key).is_some_and(|kind| kind != KeyKind::List), "{key}");
        }
        assert_eq!(
            (key_kind("tp"), key_kind("mean_of_ms"), key_kind("itls")),
            (None, None, Some(KeyKind::List))
        );
    }

    #[test]
    fn numbers_are_those_of_the_summary() {
        let slo = Slo { limits: vec![Limit::parse("ttft", "15ms").unwrap()], ..Slo::default() };
        let result =
            VllmResult::new(&summary(Some(slo)), Meta { max_concurrency: Some(4), ..Meta::default() });
        // The window: 0 to the last end of a measured request, 500 + 1500 ms.
        for (key, value) in [
            ("duration", json!(2.0)),
            ("completed", json!(2)),
            ("failed", json!(1)),
            ("total_input_tokens", json!(18)),
            ("total_output_tokens", json!(6)),
            ("request_throughput", json!(1.0)),
            ("request_goodput", json!(0.5)),
            ("output_throughput", json!(3.0)),
            ("total_token_throughput", json!(12.0)),
            // A token of the warm-up arrived in the window, and its request was in flight too.
            ("max_output_tokens_per_s", json!(7.0)),
            ("max_concurrent_requests", json!(2)),
            ("max_concurrency", json!(4)),
            ("mean_ttft_ms", json!(15.0)),
            ("p99_ttft_ms", json!(19.9)),
            ("std_itl_ms", json!(4.330127018922194)),
            ("request_rate", json!("inf")),
        ] {
            assert_eq!(result.map()[key], value, "{key}");
        }
    }

    #[test]
    fn throughputs_are_of_the_measured_requests_whatever_arrived_in_the_window() {
        let window = Window::Running { start: Some(1_000 * MS), latest: Some(2_000 * MS) };
        let mut summary = Summary::new(window, None, false);
        summary.add(&reply(0, 0).tokens_at(&[500, 1_500]).usage(5, 8).warmup().record());
        summary.add(&reply(1, 1_500).tokens_at(&[250, 1_500]).usage(10, 6).record());
        summary.close();
        assert_eq!(summary.value("duration"), Ok(Some(1.0)));
        assert_eq!(summary.value("output_tokens.rate"), Ok(Some(7.0)));
        let result = VllmResult::new(&summary, Meta::default());
        for (key, value) in [
            ("duration", json!(2.0)),
            ("completed", json!(1)),
            ("request_throughput", json!(0.5)),
            ("output_throughput", json!(3.0)),
            ("total_token_throughput", json!(8.0)),
        ] {
            assert_eq!(result.map()[key], value, "{key}");
        }
    }

    #[test]
    fn what_was_not_observed_is_null() {
        let mut summary = Summary::new(Window::UNKNOWN, None, false);
        summary.add(&reply(0, 0).not_streamed(40).usage(3, 1).record());
        let result = VllmResult::new(&summary, Meta::default());
        for key in
            ["label", "max_concurrency", "request_goodput", "mean_ttft_ms", "p99_itl_ms", "mean_tpot_ms"]
        {
            assert_eq!(result.map()[key], Value::Null, "{key}");
        }
        assert_eq!(result.map()["mean_e2el_ms"], json!(40.0));
    }

    #[test]
    fn a_ramp_has_its_own_keys() {
        let ramp = Some(RampUpMeta { strategy: "linear".into(), start_rps: 1.0, end_rps: 8.0 });
        let result =
            VllmResult::new(&summary(None), Meta { ramp, request_rate: Some(2.5), ..Meta::default() });
        assert_eq!(result.map()["ramp_up_end_rps"], json!(8.0));
        assert_eq!(result.map()["request_rate"], json!(2.5));
    }

    #[test]
    fn metadata_cannot_take_the_name_of_a_result() {
        let mut metadata = Map::new();
        metadata.insert("model_id".into(), json!("mine"));
        metadata.insert("completed".into(), json!("mine"));
        let result =
            VllmResult::new(&summary(None), Meta { metadata, model_id: "m".into(), ..Meta::default() });
        assert_eq!((&result.map()["model_id"], &result.map()["completed"]), (&json!("m"), &json!(2)));
    }

    #[test]
    fn the_lists_hold_every_measured_request_in_order_of_submission() {
        let mut detailed = Detailed::default();
        records().iter().for_each(|record| detailed.add(record));
        let result = VllmResult::new(&summary(None), Meta::default()).detailed(detailed);
        for (key, value) in [
            ("input_lens", json!([8, 10, 0])),
            ("output_lens", json!([3, 3, 0])),
            ("ttfts", json!([0.01, 0.02, 0.0])),
            ("itls", json!([[0.01, 0.02], [0.02, 0.02], []])),
            ("start_times", json!([0.0, 0.5, 0.6])),
            ("generated_texts", json!(["", "", ""])),
            ("errors", json!(["", "", "truncated: cut off"])),
        ] {
            assert_eq!(result.map()[key], value, "{key}");
        }
    }
}
