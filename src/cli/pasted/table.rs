//! What flags of other benchmarks mean here, where it is not our flag of the same name.

use super::FlagOrigin;
use crate::error::{Error, Result};

/// What a flag of theirs is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FlagMeaning {
    /// This flag of ours, with the same value.
    Same(&'static str),
    /// This flag of ours, whose value there is a number of seconds.
    Seconds(&'static str),
    /// A switch that is these words here.
    Is(&'static [&'static str]),
    /// A file of results, one object a line.
    File,
    /// How many prompts share a prefix.
    PerGroup,
    /// It changes nothing that is measured here; why, where that is not plain.
    Nothing(Values, &'static str),
    /// The same for this value alone; otherwise what to use instead.
    NothingIf(&'static str, &'static str),
    /// It cannot be had; what to use instead.
    Instead(&'static str),
}

/// How many values a flag has that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    None,
    One,
    Many,
}

use FlagMeaning::{File, Instead, Is, Nothing, NothingIf, PerGroup, Same, Seconds};
use Values::{Many, None as No, One};

const SERVER: &str =
    "it is an option of the server, not of its load; --metadata KEY=VALUE keeps it with the results";
const IMAGES: &str = "record prompts with images as JSON lines: --backend openai-chat --dataset-name custom --dataset-path FILE";
const EMBEDDINGS: &str =
    "rampant measures the generation of text; embeddings and scores have no tokens to time";
const TEXT: &str = "rampant measures the generation of text and the transcription of speech";
const STRUCTURED: &str = "--extra-body '{\"response_format\": {...}}' asks for structured output";
const TRACE: &str = "a script can replay times: `rampant docs steps`";
const ROWS: &str = "--dataset-name custom --dataset-path FILE, with the rows that you want";
const TOOLS: &str = "record messages with their tools as JSON lines: --backend openai-chat --dataset-name custom --dataset-path FILE";
const SOUND: &str = "--backend openai-audio --dataset-name audio --dataset-path FOLDER, with its WAV files";
const CHAT: &str = "--backend openai-chat, which such a server speaks as well";

/// By the names that they have there; of vLLM first, then of SGLang.
pub const FLAGS: &[(&str, FlagMeaning)] = &[
    ("disable-tqdm", Nothing(No, "")),
    ("trust-remote-code", Nothing(No, "")),
    ("tokenizer-mode", Nothing(One, "")),
    ("skip-chat-template", Nothing(No, "")),
    ("disable-shuffle", Nothing(No, "")),
    ("custom-skip-chat-template", Nothing(No, "")),
    ("custom-ensure-client-side-data", Instead(IMAGES)),
    (
        "chat-template-kwargs",
        Instead("--extra-body '{\"chat_template_kwargs\": {...}}': the server's own template reads them"),
    ),
    (
        "probe-request-rate",
        NothingIf("0", "a mix in a script sends small requests beside the load: `rampant docs mix`"),
    ),
    ("self-timed", Instead(TRACE)),
    ("omni", Nothing(No, "the endpoint says which API it is")),
    ("no-self-timed", Nothing(No, "")),
    ("timed-trace-chunk-hash-size", Instead(TRACE)),
    ("timed-trace-sec-multiplier", Instead(TRACE)),
    ("timed-trace-label-timestamp", Instead(TRACE)),
    ("timed-trace-label-input-length", Instead(TRACE)),
    ("timed-trace-label-output-length", Instead(TRACE)),
    ("timed-trace-label-hash-ids", Instead(TRACE)),
    ("bfcl-categories", Instead(TOOLS)),
    ("speed-bench-dataset-subset", Instead(ROWS)),
    ("speed-bench-output-len", Same("output-len")),
    ("speed-bench-category", Instead(ROWS)),
    ("request-id-prefix", Nothing(One, "")),
    ("plot-timeline", Nothing(No, "charts are always drawn")),
    ("plot-dataset-stats", Nothing(No, "")),
    ("timeline-itl-thresholds", Nothing(Many, "")),
    ("enable-multimodal-chat", Nothing(No, "")),
    ("hf-name", Nothing(One, "")),
    ("asr-max-audio-len-sec", Nothing(One, "")),
    ("asr-min-audio-len-sec", Nothing(One, "")),
    ("lora-assignment", NothingIf("random", "each request takes one adapter at random: leave it out")),
    ("random-batch-size", NothingIf("1", EMBEDDINGS)),
    ("no-reranker", Instead(EMBEDDINGS)),
    ("ready-check-timeout-sec", Seconds("ready-timeout")),
    ("num-warmups", Same("warmup")),
    ("skip-tokenizer-init", Is(&["--tokenizer", "none"])),
    ("best-of", NothingIf("1", "--extra-body '{\"best_of\": N}'")),
    ("n", NothingIf("1", "--extra-body '{\"n\": N}'")),
    ("use-beam-search", Instead("--extra-body '{\"use_beam_search\": true}'")),
    ("dataset", Instead("--dataset-name sharegpt --dataset-path FILE")),
    ("config", Instead("`rampant batch --config FILE` runs a grid from a file")),
    ("api-key", Instead("the environment keeps it secret: OPENAI_API_KEY=... rampant single ...")),
    ("spec-bench-output-len", Same("output-len")),
    ("spec-bench-category", Instead(ROWS)),
    ("blazedit-min-distance", Instead(ROWS)),
    ("blazedit-max-distance", Instead(ROWS)),
    ("random-mm-base-items-per-request", Instead(IMAGES)),
    ("random-mm-num-mm-items-range-ratio", Instead(IMAGES)),
    ("random-mm-limit-mm-per-prompt", Instead(IMAGES)),
    ("random-mm-bucket-config", Instead(IMAGES)),
    ("structured-output-ratio", Instead(STRUCTURED)),
    ("structured-output-backend", Instead(STRUCTURED)),
    ("json-schema-path", Instead(STRUCTURED)),
    ("tensor-parallel-size", Instead(SERVER)),
    ("pipeline-parallel-size", Instead(SERVER)),
    ("data-parallel-size", Instead(SERVER)),
    ("gpu-memory-utilization", Instead(SERVER)),
    ("max-model-len", Instead(SERVER)),
    ("max-num-seqs", Instead(SERVER)),
    ("max-num-batched-tokens", Instead(SERVER)),
    ("dtype", Instead(SERVER)),
    ("quantization", Instead(SERVER)),
    ("kv-cache-dtype", Instead(SERVER)),
    ("enforce-eager", Instead(SERVER)),
    ("enable-prefix-caching", Instead(SERVER)),
    ("no-enable-prefix-caching", Instead(SERVER)),
    ("enable-chunked-prefill", Instead(SERVER)),
    ("speculative-config", Instead(SERVER)),
    // SGLang's own.
    ("warmup-requests", Same("warmup")),
    ("disable-stream", Is(&["--no-stream"])),
    ("disable-ignore-eos", Is(&["--natural-length"])),
    ("extra-request-body", Same("extra-body")),
    ("return-logprob", Is(&["--logprobs", "1"])),
    ("output-details", Is(&["--save-detailed"])),
    ("output-file", File),
    ("tag", Same("label")),
    ("lora-name", Same("lora-modules")),
    ("gsp-num-groups", Same("prefix-repetition-num-prefixes")),
    ("gsp-system-prompt-len", Same("prefix-repetition-prefix-len")),
    ("gsp-question-len", Same("prefix-repetition-suffix-len")),
    ("gsp-output-len", Same("prefix-repetition-output-len")),
    ("gsp-prompts-per-group", PerGroup),
    ("tokenize-prompt", Nothing(No, "")),
    ("print-requests", Nothing(No, "")),
    ("flush-cache", Nothing(No, "prompts are new in every run")),
    ("sharegpt-context-len", Nothing(One, "no prompt is cut")),
    ("pd-separated", Nothing(No, "")),
    (
        "apply-chat-template",
        Instead("--backend openai-chat: the server puts its template around each prompt"),
    ),
    ("prompt-suffix", Instead("record the prompts with it: --dataset-name custom --dataset-path FILE")),
    ("use-trace-timestamps", Instead(TRACE)),
    ("mooncake-slowdown-factor", Instead(TRACE)),
    ("mooncake-num-rounds", Instead(TRACE)),
    ("mooncake-workload", Instead(TRACE)),
    ("mooncake-block-size", Instead(TRACE)),
    ("top-logprobs-num", Same("logprobs")),
    ("logprob-start-len", Nothing(One, "")),
    ("token-ids-logprob", Nothing(Many, "")),
    ("return-routed-experts", Instead("--extra-body '{\"return_routed_experts\": true}'")),
    (
        "lora-request-distribution",
        NothingIf("uniform", "each request takes one adapter at random: leave it out"),
    ),
    ("lora-zipf-alpha", Instead("each request takes one adapter at random: leave it out")),
    ("gsp-fast-prepare", Nothing(No, "")),
    ("gsp-ordered", Nothing(No, "")),
    ("gsp-range-ratio", NothingIf("1", "lengths of prefix_repetition are exact: leave it out")),
    (
        "gsp-num-turns",
        NothingIf("1", "record the turns as messages: --dataset-name custom --dataset-path FILE"),
    ),
    ("gsp-send-routing-key", Instead("--header KEY=VALUE sends one to every request")),
    ("fake-prefill", Instead(SERVER)),
    ("profile-start-step", Nothing(One, "")),
    ("profile-steps", Nothing(One, "")),
    ("profile-output-dir", Nothing(One, "")),
    ("profile-prefix", Nothing(One, "")),
    ("profile-prefill-url", Nothing(Many, "--profile calls the base URL alone")),
    ("profile-decode-url", Nothing(Many, "--profile calls the base URL alone")),
    ("profile-activities", Nothing(Many, "")),
    ("profile-num-steps", Nothing(One, "")),
    ("profile-by-stage", Nothing(No, "")),
    ("plot-throughput", Nothing(No, "charts are always drawn")),
    ("image-count", Instead(IMAGES)),
    ("image-resolution", Instead(IMAGES)),
    ("image-format", Instead(IMAGES)),
    ("image-content", Instead(IMAGES)),
    ("random-image-num-images", Instead(IMAGES)),
    ("random-image-resolution", Instead(IMAGES)),
    // Older names, and those of other clients for the same things.
    ("version", Nothing(One, "")),
    ("random-ids", Nothing(No, "")),
    ("tokenize-on-client", Nothing(No, "")),
    ("disable-log-requests", Nothing(No, "")),
    ("streaming", Nothing(No, "replies are streams unless --no-stream")),
    ("non-streaming", Is(&["--no-stream"])),
    ("url", Same("base-url")),
    ("target", Same("base-url")),
    ("model-path", Same("model")),
    ("tokenizer-path", Same("tokenizer")),
    ("processor", Same("tokenizer")),
    ("concurrency", Same("max-concurrency")),
    ("parallel", Same("max-concurrency")),
    ("number", Same("num-prompts")),
    ("max-requests", Same("num-prompts")),
    ("request-count", Same("num-prompts")),
    ("max-seconds", Seconds("duration")),
    ("max-tokens", Same("output-len")),
    ("min-tokens", Instead("--output-len N, and --ignore-eos for exact lengths of a data set")),
    ("stop", Instead("--extra-body '{\"stop\": [...]}'")),
    (
        "hf-token",
        Instead("the hub is not asked: `hf download` brings files, --dataset-path and --tokenizer name them"),
    ),
    ("revision", Instead("the hub is not asked: --tokenizer names a folder or a tokenizer.json")),
];

pub fn meaning(name: &str) -> Option<&'static FlagMeaning> {
    FLAGS.iter().find(|(known, _)| *known == name).map(|(_, meaning)| meaning)
}

/// Values that are called otherwise here: flag, theirs, ours.
const RENAMED: &[(&str, &str, &str)] = &[
    ("backend", "vllm-chat", "openai-chat"),
    ("backend", "sglang-oai", "sglang"),
    ("backend", "sglang-native", "sglang"),
    ("backend", "sglang-oai-chat", "openai-chat"),
    ("backend", "lmdeploy-chat", "openai-chat"),
    ("backend", "trt", "tensorrt-llm"),
    ("backend", "openai-completions", "openai"),
    ("backend", "llama.cpp", "openai"),
    ("dataset-name", "random-ids", "random"),
    ("dataset-name", "openai", "custom"),
    ("dataset-name", "generated-shared-prefix", "prefix_repetition"),
    ("dataset-name", "prefix-repetition", "prefix_repetition"),
];

/// Values that cannot be had: flag, how they begin, what to use instead.
const REFUSED: &[(&str, &str, &str)] = &[
    ("backend", "openai-embeddings", EMBEDDINGS),
    ("backend", "infinity-embeddings", EMBEDDINGS),
    ("backend", "vllm-pooling", EMBEDDINGS),
    ("backend", "vllm-rerank", EMBEDDINGS),
    ("backend", "sglang-embedding", EMBEDDINGS),
    ("backend", "openai-responses", CHAT),
    ("backend", "gserver", "rampant speaks HTTP: name the API of the server behind it"),
    ("backend", "truss", "--base-url with --backend openai-chat, where the deployment has that API"),
    ("dataset-name", "random-mm", IMAGES),
    ("dataset-name", "random-rerank", EMBEDDINGS),
    ("dataset-name", "custom_mm", IMAGES),
    ("dataset-name", "custom_image", IMAGES),
    ("dataset-name", "custom_audio", SOUND),
    ("dataset-name", "random_image", IMAGES),
    ("dataset-name", "mmmu", IMAGES),
    ("dataset-name", "image", IMAGES),
    ("dataset-name", "mooncake", TRACE),
    ("dataset-name", "timed_trace", TRACE),
    ("dataset-name", "spec_bench", ROWS),
    ("dataset-name", "speed_bench", ROWS),
    ("dataset-name", "longbench", ROWS),
    ("dataset-name", "trtllm_custom", ROWS),
];

/// Ends of endpoints that are another API, and what to use instead.
const ENDPOINTS: &[(&str, &str)] = &[
    ("/embeddings", EMBEDDINGS),
    ("/embed", EMBEDDINGS),
    ("/rerank", EMBEDDINGS),
    ("/score", EMBEDDINGS),
    ("/pooling", EMBEDDINGS),
    ("/classify", EMBEDDINGS),
    ("/images/generations", TEXT),
    ("/videos", TEXT),
    ("/audio/speech", TEXT),
    ("/responses", CHAT),
    ("/messages", CHAT),
];

/// Metrics of theirs whose percentiles stand in the table alone, and their names there.
const IN_THE_TABLE: &[(&str, &str)] =
    &[("client_queue_time", "queue_delay"), ("e2el_including_client_queue", "response_e2el")];

/// A value of one of our flags as we have it, and what to say of that.
pub fn value(flag: &str, value: &str, origin: FlagOrigin) -> Result<(String, Option<String>)> {
    if let Some((_, theirs, ours)) =
        RENAMED.iter().find(|(name, theirs, _)| *name == flag && *theirs == value)
    {
        return Ok((ours.to_string(), Some(format!("--{flag} {theirs} as {ours}"))));
    }
    let refused = |(name, theirs, _): &&(&str, &str, &str)| *name == flag && value.starts_with(theirs);
    if let Some((_, _, instead)) = REFUSED.iter().find(refused) {
        return Err(Error::usage(format!("--{flag} {value} is not available here")).hint(*instead));
    }
    if let Some((_, instead)) = ENDPOINTS.iter().find(|(end, _)| flag == "endpoint" && value.ends_with(end)) {
        return Err(Error::usage(format!("--{flag} {value} is another API")).hint(*instead));
    }
    match flag {
        "num-prompts" if value == "-1" => {
            return Err(Error::usage("--num-prompts -1 is not available here")
                .hint("say how many, or for how long: --duration 60s"));
        }
        "percentile-metrics" => return Ok(percentile_metrics(value)),
        _ => {}
    }
    // In SGLang, and in vLLM before 0.8.5, 1 says that all lengths are what was asked.
    if RATIOS.contains(&flag) && origin != FlagOrigin::Sglang && value.parse() == Ok(1.0) {
        return Ok(("0".into(), Some(format!("--{flag} 1 as 0, exact lengths"))));
    }
    Ok((value.into(), None))
}

/// Without those that stand in the table alone.
fn percentile_metrics(given: &str) -> (String, Option<String>) {
    let elsewhere = |name: &str| IN_THE_TABLE.iter().find(|(theirs, _)| *theirs == name.trim());
    let told: Vec<String> = given
        .split(',')
        .filter_map(elsewhere)
        .map(|(theirs, ours)| format!("{theirs} ({ours} in the table)"))
        .collect();
    let kept: Vec<&str> = given.split(',').filter(|name| elsewhere(name).is_none()).collect();
    match told.is_empty() || kept.is_empty() {
        true => (given.into(), None),
        false => (kept.join(","), Some(format!("--percentile-metrics without {}", told.join(", ")))),
    }
}

const RATIOS: [&str; 3] = ["random-range-ratio", "range-ratio-input", "range-ratio-output"];

/// `{"input": 0.1, "output": 0.2}` in place of one ratio.
pub fn is_map_of_ratios(flag: &str, value: &str) -> bool {
    flag == RATIOS[0] && value.trim_start().starts_with('{')
}

/// Its ratios as flags; what is not named keeps the lengths exact.
pub fn ratios(value: &str) -> Result<Vec<(&'static str, String)>> {
    let wrong = |what: &str| {
        Error::usage(format!("--random-range-ratio: {what}"))
            .hint("{\"input\": 0.1, \"output\": 0.2}, or one number")
    };
    let map: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(value).map_err(|error| wrong(&format!("this is no JSON object: {error}")))?;
    if let Some(other) = map.keys().find(|key| !["input", "output"].contains(&key.as_str())) {
        return Err(wrong(&format!("has \"input\" and \"output\", got {other:?}")));
    }
    let of = |name: &str| match map.get(name) {
        None => Ok("0".to_string()),
        Some(ratio) if ratio.is_number() => Ok(ratio.to_string()),
        Some(other) => Err(wrong(&format!("{name:?} must be a number, got {other}"))),
    };
    let (input, output) = (of("input")?, of("output")?);
    match input == output {
        true => Ok(vec![(RATIOS[0], input)]),
        false => Ok(vec![(RATIOS[1], input), (RATIOS[2], output)]),
    }
}
