//! `RULES`: what servers call the things that we have one name for.
//!
//! Where the names come from:
//! - vLLM: its page "Production Metrics" and `vllm/v1/metrics/loggers.py`; the Python client
//!   appends `_total` to every counter on the wire. The `gpu_` names are those before 0.10.
//! - SGLang: its page "Production Metrics" and `observability/metrics_collector.py`. A
//!   retraction is what others call a preemption. `sglang:cache_hit_rate` is not used: decode
//!   steps set it back to 0, so its counters of tokens are.
//! - llama.cpp: the answer of its server with `--metrics`, and `tools/server/README.md` for the
//!   share of the KV cache, which it told until 2025. It has no count of requests, and counts
//!   generated tokens when a request ends.
//! - TGI: its page "Metrics". It has no counters of tokens, but histograms with their sums.

use crate::record::Span;

/// How the series of one name become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    Sum,
    /// For shares: engines beside each other are full to their mean.
    Mean,
}

/// A metric of ours and where it comes from.
pub struct Rule {
    pub metric: &'static str,
    pub join: Join,
    /// In order of preference; the values of names that stand together are added.
    pub names: &'static [&'static [&'static str]],
    /// Series with one of these labels do not count.
    pub not: &'static [&'static str],
}

const fn sum(metric: &'static str, names: &'static [&'static [&'static str]]) -> Rule {
    Rule { metric, join: Join::Sum, names, not: &[] }
}

/// Requests that the server computes.
pub const RUNNING: &str = "running";
/// Requests that wait in the server.
pub const WAITING: &str = "waiting";
/// Share of the KV cache in use, 0 to 1.
pub const KV_USE: &str = "kv_use";
pub const CACHE_QUERIES: &str = "prefix_cache_queries_total";
pub const CACHE_HITS: &str = "prefix_cache_hits_total";
pub const SPEC_DRAFT: &str = "spec_draft_tokens_total";
pub const SPEC_ACCEPTED: &str = "spec_accepted_tokens_total";

/// Every metric of ours, in the order of a page.
pub const RULES: &[Rule] = &[
    sum(
        RUNNING,
        &[
            &["vllm:num_requests_running"],
            &["sglang:num_running_reqs"],
            &["llamacpp:requests_processing"],
            &["tgi_batch_current_size"],
        ],
    ),
    sum(
        WAITING,
        &[
            &["vllm:num_requests_waiting"],
            &["sglang:num_queue_reqs"],
            &["llamacpp:requests_deferred"],
            &["tgi_queue_size"],
        ],
    ),
    Rule {
        metric: KV_USE,
        join: Join::Mean,
        names: &[
            &["vllm:kv_cache_usage_perc"],
            &["vllm:gpu_cache_usage_perc"],
            &["sglang:token_usage"],
            &["llamacpp:kv_cache_usage_ratio"],
        ],
        not: &[],
    },
    sum("preemptions_total", &[&["vllm:num_preemptions_total"], &["sglang:num_retracted_requests_total"]]),
    sum(
        CACHE_QUERIES,
        &[
            &["vllm:prefix_cache_queries_total"],
            &["vllm:gpu_prefix_cache_queries_total"],
            &["sglang:prompt_tokens_total"],
            &["llamacpp:prompt_tokens_total", "llamacpp:prompt_tokens_cached_total"],
        ],
    ),
    sum(
        CACHE_HITS,
        &[
            &["vllm:prefix_cache_hits_total"],
            &["vllm:gpu_prefix_cache_hits_total"],
            &["sglang:cached_tokens_total"],
            &["llamacpp:prompt_tokens_cached_total"],
        ],
    ),
    // Cached ones included, as vLLM and SGLang count.
    sum(
        "prompt_tokens_total",
        &[
            &["vllm:prompt_tokens_total"],
            &["sglang:prompt_tokens_total"],
            &["llamacpp:prompt_tokens_total", "llamacpp:prompt_tokens_cached_total"],
            &["llamacpp:prompt_tokens_total"],
            &["tgi_request_input_length_sum"],
        ],
    ),
    sum(
        "generation_tokens_total",
        &[
            &["vllm:generation_tokens_total"],
            &["sglang:generation_tokens_total"],
            &["llamacpp:tokens_predicted_total"],
            // Counted when a request ends.
            &["tgi_request_generated_tokens_sum"],
        ],
    ),
    sum(
        SPEC_ACCEPTED,
        &[
            &["vllm:spec_decode_num_accepted_tokens_total"],
            &["llamacpp:spec_decode_num_accepted_tokens_total"],
        ],
    ),
    sum(
        SPEC_DRAFT,
        &[&["vllm:spec_decode_num_draft_tokens_total"], &["llamacpp:spec_decode_num_draft_tokens_total"]],
    ),
    Rule {
        metric: "requests_success_total",
        join: Join::Sum,
        names: &[&["vllm:request_success_total"], &["sglang:num_requests_total"], &["tgi_request_success"]],
        // vLLM counts every end of a request under this name.
        not: &["finished_reason=\"abort\"", "finished_reason=\"error\""],
    },
];

/// Shares that are computed from one answer to the next: name, part, whole.
pub const SHARES: [(&str, &str, &str); 2] = [
    ("prefix_cache_hit_share", CACHE_HITS, CACHE_QUERIES),
    ("spec_acceptance_share", SPEC_ACCEPTED, SPEC_DRAFT),
];

/// How long an answer took, milliseconds.
pub const SCRAPE_MS: &str = "scrape_ms";
/// Whole seconds without an answer; the label says why.
pub const SCRAPE_GAP: &str = "scrape_gap";

/// What servers tell the mean of: the names of a sum and its count, and the milliseconds of one
/// unit of the sum. In order of preference.
pub const MEANS: &[(Span, &str, &str, f64)] = &[
    (Span::Ttft, "vllm:time_to_first_token_seconds_sum", "vllm:time_to_first_token_seconds_count", SECOND),
    (
        Span::Ttft,
        "sglang:time_to_first_token_seconds_sum",
        "sglang:time_to_first_token_seconds_count",
        SECOND,
    ),
    (Span::Itl, "vllm:inter_token_latency_seconds_sum", "vllm:inter_token_latency_seconds_count", SECOND),
    // Before 0.11 this was the gap between tokens.
    (Span::Itl, "vllm:time_per_output_token_seconds_sum", "vllm:time_per_output_token_seconds_count", SECOND),
    (Span::Itl, "sglang:inter_token_latency_seconds_sum", "sglang:inter_token_latency_seconds_count", SECOND),
    (
        Span::Itl,
        "sglang:time_per_output_token_seconds_sum",
        "sglang:time_per_output_token_seconds_count",
        SECOND,
    ),
    (
        Span::Itl,
        "tgi_request_mean_time_per_token_duration_sum",
        "tgi_request_mean_time_per_token_duration_count",
        SECOND,
    ),
    (Span::Itl, "llamacpp:tokens_predicted_seconds_total", "llamacpp:tokens_predicted_total", SECOND),
    (Span::Queue, "vllm:request_queue_time_seconds_sum", "vllm:request_queue_time_seconds_count", SECOND),
    (Span::Queue, "sglang:queue_time_seconds_sum", "sglang:queue_time_seconds_count", SECOND),
    (Span::Queue, "tgi_request_queue_duration_sum", "tgi_request_queue_duration_count", SECOND),
    (Span::E2el, "vllm:e2e_request_latency_seconds_sum", "vllm:e2e_request_latency_seconds_count", SECOND),
    (
        Span::E2el,
        "sglang:e2e_request_latency_seconds_sum",
        "sglang:e2e_request_latency_seconds_count",
        SECOND,
    ),
    (Span::E2el, "tgi_request_duration_sum", "tgi_request_duration_count", SECOND),
    (Span::KvTransfer, "vllm:nixl_xfer_time_seconds_sum", "vllm:nixl_xfer_time_seconds_count", SECOND),
    (Span::KvTransfer, "sglang:kv_transfer_latency_ms_sum", "sglang:kv_transfer_latency_ms_count", 1.0),
];
const SECOND: f64 = 1_000.0;

/// When a process that answers began, seconds since 1970.
pub const STARTED: &str = "process_start_time_seconds";
/// SGLang tells of speculative decoding as it stands: tokens accepted in one step, and the share
/// of the drafts that is accepted. 0 without it.
pub const ACCEPT_LENGTH: Rule = mean(&[&["sglang:spec_accept_length"]]);
pub const ACCEPT_SHARE: Rule = mean(&[&["sglang:spec_accept_rate"]]);

const fn mean(names: &'static [&'static [&'static str]]) -> Rule {
    Rule { metric: "", join: Join::Mean, names, not: &[] }
}
