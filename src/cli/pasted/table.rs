//! What flags of other benchmarks mean here, where it is not our flag of the same name.

use super::Origin;
use crate::error::{Error, Result};

/// What a flag of theirs is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Meaning {
    /// This flag of ours, with the same value.
    Same(&'static str),
    /// This flag of ours, whose value there is a number of seconds.
    Seconds(&'static str),
    /// A switch that is these words here.
    Is(&'static [&'static str]),
    /// A file of results, one object a line.
    File,
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

use Meaning::{File, Instead, Is, Nothing, NothingIf, Same, Seconds};
use Values::{Many, None as No, One};

const SERVER: &str =
    "it is an option of the server, not of its load; --metadata KEY=VALUE keeps it with the results";
const IMAGES: &str = "record prompts with images as JSON lines: --backend openai-chat --dataset-name custom --dataset-path FILE";
const EMBEDDINGS: &str =
    "rampant measures the generation of text; embeddings and scores have no tokens to time";
const STRUCTURED: &str = "--extra-body '{\"response_format\": {...}}' asks for structured output";
const TRACE: &str = "a script can replay times: `rampant docs steps`";

/// By the names that they have there; of vLLM first, then of SGLang.
pub const FLAGS: &[(&str, Meaning)] = &[
    ("disable-tqdm", Nothing(No, "")),
    ("trust-remote-code", Nothing(No, "")),
    ("tokenizer-mode", Nothing(One, "")),
    ("skip-chat-template", Nothing(No, "")),
    ("disable-shuffle", Nothing(No, "")),
    ("no-oversample", Nothing(No, "rows are used again when there are fewer than --num-prompts")),
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
    (
        "spec-bench-category",
        Instead("--dataset-name custom --dataset-path FILE, with the rows of that category"),
    ),
    (
        "blazedit-min-distance",
        Instead("--dataset-name custom --dataset-path FILE, with the rows that you want"),
    ),
    (
        "blazedit-max-distance",
        Instead("--dataset-name custom --dataset-path FILE, with the rows that you want"),
    ),
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
    ("gsp-prompts-per-group", Instead("--num-prompts says how many there are in all groups together")),
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
];

pub fn meaning(name: &str) -> Option<&'static Meaning> {
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
    ("dataset-name", "random-ids", "random"),
    ("dataset-name", "generated-shared-prefix", "prefix_repetition"),
    ("dataset-name", "prefix-repetition", "prefix_repetition"),
];

/// Values that cannot be had: flag, how they begin, what to use instead.
const REFUSED: &[(&str, &str, &str)] = &[
    ("backend", "openai-embeddings", EMBEDDINGS),
    ("backend", "infinity-embeddings", EMBEDDINGS),
    ("backend", "vllm-pooling", EMBEDDINGS),
    ("backend", "vllm-rerank", EMBEDDINGS),
    ("backend", "gserver", "rampant speaks HTTP: name the API of the server behind it"),
    ("backend", "truss", "--base-url with --backend openai-chat, where the deployment has that API"),
    ("dataset-name", "random-mm", IMAGES),
    ("dataset-name", "random-rerank", EMBEDDINGS),
    ("dataset-name", "custom_mm", IMAGES),
    ("dataset-name", "mmmu", IMAGES),
    ("dataset-name", "image", IMAGES),
    ("dataset-name", "mooncake", TRACE),
    (
        "dataset-name",
        "spec_bench",
        "--dataset-name custom --dataset-path FILE, with its questions as JSON lines",
    ),
];

/// A value of one of our flags as we have it, and what to say of that.
pub fn value(flag: &str, value: &str, origin: Origin) -> Result<(String, Option<String>)> {
    if let Some((_, theirs, ours)) =
        RENAMED.iter().find(|(name, theirs, _)| *name == flag && *theirs == value)
    {
        return Ok((ours.to_string(), Some(format!("--{flag} {theirs} as {ours}"))));
    }
    let refused = |(name, theirs, _): &&(&str, &str, &str)| *name == flag && value.starts_with(theirs);
    if let Some((_, _, instead)) = REFUSED.iter().find(refused) {
        return Err(Error::usage(format!("--{flag} {value} is not available here")).hint(*instead));
    }
    // In SGLang, and in vLLM before 0.8.5, 1 says that all lengths are what was asked.
    if flag == "random-range-ratio" && origin != Origin::Sglang && value.parse() == Ok(1.0) {
        return Ok(("0".into(), Some("--random-range-ratio 1 as 0, exact lengths".into())));
    }
    Ok((value.into(), None))
}
