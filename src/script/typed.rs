//! What a built-in command says of a wrong value: its user has typed a flag or written a file, and
//! has not seen the script whose call found the mistake.

use super::param::Param;
use super::state::State;
use crate::error::Error;
use crate::experiment::args::Given;

/// Options of calls in the built-in scripts that are called otherwise than their parameter.
const OPTIONS: [(&str, &[&str]); 18] = [
    ("filename", &["result_filename"]),
    ("dir", &["result_dir"]),
    ("percentiles", &["metric_percentiles"]),
    ("detailed", &["save_detailed"]),
    ("append", &["append_result"]),
    ("users", &["max_concurrency", "concurrency_prompts"]),
    ("max_in_flight", &["max_concurrency", "concurrency_prompts"]),
    ("requests", &["num_prompts", "concurrency_prompts"]),
    ("headers", &["header"]),
    ("api_key", &["api_key_env"]),
    ("models", &["lora_modules"]),
    ("seconds", &["audio_seconds"]),
    ("split", &["hf_split"]),
    ("subset", &["hf_subset"]),
    ("strict", &["strict_data"]),
    ("format", &["dataset_name"]),
    ("exact", &["ignore_eos"]),
    ("overall", &["require"]),
];

/// Calls whose names say nothing to somebody who has typed flags.
const CALLS: [&str; 12] = [
    "run",
    "sweep",
    "plan",
    "target",
    "save_vllm",
    "vllm_arrivals",
    "dataset",
    "prompts",
    "slo",
    "comparison_charts",
    "comparison_report",
    "terminal_charts",
];

/// The error with the flag that was typed, or the place in the file, in place of a call and its option.
pub fn told(state: &State, mut error: Error, option: Option<&str>) -> Error {
    let message = error.message.clone();
    let (call, rest) = message.split_once(": ").unwrap_or(("", &message));
    let (named, what) = match rest.strip_prefix('`').and_then(|rest| rest.split_once("` ")) {
        Some((named, what)) => (Some(named), what),
        None => (None, rest),
    };
    let names =
        || [option, named, Some(call)].into_iter().flatten().filter_map(|name| parameter(state, name));
    // The mistake is in what was typed: `overall` may be of --require or of --slo.
    let found = names().find(|param| state.given(&param.name).is_some()).or_else(|| names().next());
    let Some(param) = found else {
        if CALLS.contains(&call) && call != "dataset" {
            error.message = what.to_string();
        }
        return error;
    };
    let typed = state.given(&param.name);
    let flag = typed.as_ref().map_or_else(|| format!("--{}", param.flag), |given| given.flag.clone());
    if message.starts_with(&flag) {
        return error;
    }
    error.message = match (CALLS.contains(&call), place(typed.as_ref())) {
        // It has a flag in front, and perhaps stands in a file.
        (false, Some(place)) => format!("{place}: {message}"),
        (_, None) if call == param.name => format!("{flag}: {rest}"),
        (false, None) => message,
        (true, _) => format!("{flag}: {what}"),
    };
    error
}

/// `plan.yaml:7:9` of `plan.yaml:7:9: warmup`.
fn place(given: Option<&Given>) -> Option<&str> {
    given?.flag.rsplit_once(": ").map(|(place, _)| place)
}

fn parameter<'s>(state: &'s State, option: &str) -> Option<&'s Param> {
    let option = option.trim_start_matches("--");
    let called = |name: &str| state.params().iter().find(|param| param.is_called(name));
    let others = OPTIONS.iter().find(|(known, _)| *known == option).map_or(&[][..], |(_, names)| names);
    called(option).or_else(|| others.iter().find_map(|name| called(name)))
}
