//! `Metrics`: what the server counts, as Prometheus text under vLLM's names.

use std::fmt::{Display, Write};

use serde_json::Value;

/// Seconds, as vLLM buckets them.
const TTFT: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0,
    80.0, 160.0, 640.0, 2560.0,
];
const PER_TOKEN: &[f64] = &[
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
];
const PER_REQUEST: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0,
    960.0, 1920.0, 7680.0,
];
const TOKENS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0, 20000.0, 50000.0,
    100000.0,
];
/// Not vLLM's: how late this server's own writes are.
const LATENESS: &[f64] =
    &[1e-5, 2e-5, 3e-5, 5e-5, 7.5e-5, 1e-4, 1.5e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2, 0.1, 1.0];

/// A Prometheus histogram.
pub struct Histogram {
    bounds: &'static [f64],
    /// One more than `bounds`: the last is for everything above.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Histogram { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    pub fn add(&mut self, value: f64) {
        let place = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        self.counts[place] += 1;
        self.sum += value;
    }
}

/// How a request ended, as `finished_reason` says it; the order of the counts.
const REASONS: [&str; 4] = ["stop", "length", "abort", "error"];

/// See the file's head. Histograms of times are in seconds.
pub struct Metrics {
    labels: String,
    created: f64,
    pub prompt_tokens: u64,
    /// Of the prompts, tokens that were in the prefix cache.
    pub cached_tokens: u64,
    pub generation_tokens: u64,
    finished: [u64; REASONS.len()],
    pub ttft: Histogram,
    pub inter_token: Histogram,
    pub per_output_token: Histogram,
    pub e2e: Histogram,
    pub queue: Histogram,
    pub prefill: Histogram,
    pub decode: Histogram,
    pub request_prompt_tokens: Histogram,
    pub request_generation_tokens: Histogram,
    pub lateness: Histogram,
}

/// What is true at the moment of a scrape.
pub struct Now {
    pub running: usize,
    pub waiting: usize,
    /// Share of the cache that is in use, 0 to 1.
    pub kv_cache: f64,
}

impl Metrics {
    /// `created`: Unix time in seconds.
    pub fn new(model: &str, created: f64) -> Self {
        Metrics {
            labels: format!("engine=\"0\",model_name={}", Value::from(model)),
            created,
            prompt_tokens: 0,
            cached_tokens: 0,
            generation_tokens: 0,
            finished: [0; REASONS.len()],
            ttft: Histogram::new(TTFT),
            inter_token: Histogram::new(PER_TOKEN),
            per_output_token: Histogram::new(PER_TOKEN),
            e2e: Histogram::new(PER_REQUEST),
            queue: Histogram::new(PER_REQUEST),
            prefill: Histogram::new(PER_REQUEST),
            decode: Histogram::new(PER_REQUEST),
            request_prompt_tokens: Histogram::new(TOKENS),
            request_generation_tokens: Histogram::new(TOKENS),
            lateness: Histogram::new(LATENESS),
        }
    }

    /// Counts one finished request; a `reason` that vLLM does not have is an error.
    pub fn finish(&mut self, reason: &str) {
        let place = REASONS.iter().position(|name| *name == reason).unwrap_or(REASONS.len() - 1);
        self.finished[place] += 1;
    }

    pub fn to_text(&self, now: &Now) -> String {
        let mut page = Page { out: String::with_capacity(16 * 1024), metrics: self };
        page.gauge("vllm:num_requests_running", "Requests in execution.", now.running);
        page.gauge("vllm:num_requests_waiting", "Requests waiting for a slot.", now.waiting);
        page.gauge("vllm:kv_cache_usage_perc", "KV cache usage, 1 is full.", now.kv_cache);
        page.counter("vllm:num_preemptions", "Preemptions.", &[("", 0)]);
        page.counter(
            "vllm:prefix_cache_queries",
            "Prefix cache queries, in tokens.",
            &[("", self.prompt_tokens)],
        );
        let hits = self.cached_tokens;
        page.counter("vllm:prefix_cache_hits", "Prefix cache hits, in tokens.", &[("", hits)]);
        page.counter("vllm:prompt_tokens", "Prefill tokens processed.", &[("", self.prompt_tokens)]);
        page.counter(
            "vllm:generation_tokens",
            "Generation tokens processed.",
            &[("", self.generation_tokens)],
        );
        let finished: Vec<(String, u64)> = REASONS
            .iter()
            .zip(self.finished)
            .map(|(reason, count)| (format!(",finished_reason=\"{reason}\""), count))
            .collect();
        let finished: Vec<(&str, u64)> = finished.iter().map(|(label, count)| (&**label, *count)).collect();
        page.counter("vllm:request_success", "Finished requests.", &finished);
        page.histogram("vllm:time_to_first_token_seconds", "Time to first token.", &self.ttft);
        page.histogram("vllm:inter_token_latency_seconds", "Inter-token latency.", &self.inter_token);
        let per_output = "vllm:request_time_per_output_token_seconds";
        page.histogram(per_output, "Time per output token of a request.", &self.per_output_token);
        page.histogram("vllm:e2e_request_latency_seconds", "Latency of a request.", &self.e2e);
        page.histogram("vllm:request_queue_time_seconds", "Time in the queue.", &self.queue);
        page.histogram("vllm:request_prefill_time_seconds", "Time in prefill.", &self.prefill);
        page.histogram("vllm:request_decode_time_seconds", "Time in decode.", &self.decode);
        page.histogram("vllm:request_prompt_tokens", "Prefill tokens.", &self.request_prompt_tokens);
        page.histogram(
            "vllm:request_generation_tokens",
            "Generation tokens.",
            &self.request_generation_tokens,
        );
        page.histogram("rampant:emission_lateness_seconds", "Writes after their deadline.", &self.lateness);
        page.out
    }
}

struct Page<'a> {
    out: String,
    metrics: &'a Metrics,
}

impl Page<'_> {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn value(&mut self, name: &str, more: &str, value: impl Display) {
        let _ = writeln!(self.out, "{name}{{{}{more}}} {value}", self.metrics.labels);
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "gauge");
        self.value(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, values: &[(&str, u64)]) {
        self.head(&format!("{name}_total"), help, "counter");
        for (more, value) in values {
            self.value(&format!("{name}_total"), more, value);
        }
        self.created(name, help, values.iter().map(|(more, _)| *more));
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, help, "histogram");
        let mut below = 0;
        for (place, count) in histogram.counts.iter().enumerate() {
            below += count;
            let bound = histogram.bounds.get(place).map_or("+Inf".to_string(), |bound| format!("{bound:?}"));
            self.value(&format!("{name}_bucket"), &format!(",le=\"{bound}\""), below);
        }
        self.value(&format!("{name}_count"), "", below);
        self.value(&format!("{name}_sum"), "", histogram.sum);
        self.created(name, help, [""]);
    }

    fn created<'a>(&mut self, name: &str, help: &str, labels: impl IntoIterator<Item = &'a str>) {
        let name = format!("{name}_created");
        self.head(&name, help, "gauge");
        for more in labels {
            self.value(&name, more, self.metrics.created);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_names_and_labels_of_vllm() {
        let mut metrics = Metrics::new("m\"x", 5.5);
        metrics.prompt_tokens = 7;
        metrics.cached_tokens = 4;
        metrics.finish("stop");
        metrics.finish("cut");
        metrics.ttft.add(0.05);
        metrics.ttft.add(9999.0);
        let page = metrics.to_text(&Now { running: 3, waiting: 2, kv_cache: 0.25 });
        let lines: Vec<&str> = page.lines().collect();
        for line in [
            r#"vllm:num_requests_running{engine="0",model_name="m\"x"} 3"#,
            r#"vllm:num_requests_waiting{engine="0",model_name="m\"x"} 2"#,
            r#"vllm:kv_cache_usage_perc{engine="0",model_name="m\"x"} 0.25"#,
            "# TYPE vllm:prompt_tokens_total counter",
            r#"vllm:prompt_tokens_total{engine="0",model_name="m\"x"} 7"#,
            r#"vllm:prefix_cache_queries_total{engine="0",model_name="m\"x"} 7"#,
            r#"vllm:prefix_cache_hits_total{engine="0",model_name="m\"x"} 4"#,
            r#"vllm:prompt_tokens_created{engine="0",model_name="m\"x"} 5.5"#,
            r#"vllm:request_success_total{engine="0",model_name="m\"x",finished_reason="stop"} 1"#,
            r#"vllm:request_success_total{engine="0",model_name="m\"x",finished_reason="error"} 1"#,
            "# TYPE vllm:time_to_first_token_seconds histogram",
            r#"vllm:time_to_first_token_seconds_bucket{engine="0",model_name="m\"x",le="0.04"} 0"#,
            r#"vllm:time_to_first_token_seconds_bucket{engine="0",model_name="m\"x",le="0.06"} 1"#,
            r#"vllm:time_to_first_token_seconds_bucket{engine="0",model_name="m\"x",le="2560.0"} 1"#,
            r#"vllm:time_to_first_token_seconds_bucket{engine="0",model_name="m\"x",le="+Inf"} 2"#,
            r#"vllm:time_to_first_token_seconds_count{engine="0",model_name="m\"x"} 2"#,
        ] {
            assert!(lines.contains(&line), "{line} is missing in\n{page}");
        }
    }
}
