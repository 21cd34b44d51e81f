//! `Origin`: whose benchmark a whole line was written for, and what that line leaves unsaid.

use super::Flags;
use crate::error::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// One of our own commands.
    #[default]
    Ours,
    /// `vllm bench serve`.
    Vllm,
    /// `benchmark_serving.py`, before that.
    VllmScript,
    /// `python -m sglang.bench_serving`.
    Sglang,
}

/// Commands of our own that a wrapper's line may name.
const COMMANDS: [&str; 4] = ["single", "batch", "aggregate", "visualize"];

/// Programs that are something else, and what to do.
const OTHERS: &[(&str, &str)] = &[
    (
        "vllm bench latency",
        "it runs the model in its own process; start a server (`vllm serve MODEL`) and use `rampant single --max-concurrency 1`",
    ),
    (
        "vllm bench throughput",
        "it runs the model in its own process; start a server (`vllm serve MODEL`) and use `rampant single --max-concurrency 256`",
    ),
    ("vllm bench sweep", "`rampant batch --config config.yaml` runs a grid"),
    ("vllm bench startup", "rampant loads a server that runs"),
    ("vllm bench mm-processor", "rampant loads a server that runs"),
    (
        "vllm serve",
        "start the server without rampant, then `rampant single --base-url http://127.0.0.1:8000`",
    ),
    (
        "vllm.entrypoints.openai.api_server",
        "start the server without rampant, then `rampant single --base-url http://127.0.0.1:8000`",
    ),
    (
        "sglang.launch_server",
        "start the server without rampant, then `rampant single --base-url http://127.0.0.1:30000 --backend sglang`",
    ),
    (
        "sglang.bench_offline_throughput",
        "it runs the model in its own process; start a server and use `rampant single --max-concurrency 256`",
    ),
    (
        "sglang.bench_one_batch",
        "it runs the model in its own process; start a server and use `rampant single --max-concurrency 1`",
    ),
    (
        "benchmark_throughput.py",
        "it runs the model in its own process; start a server (`vllm serve MODEL`) and use `rampant single --max-concurrency 256`",
    ),
    (
        "benchmark_latency.py",
        "it runs the model in its own process; start a server (`vllm serve MODEL`) and use `rampant single --max-concurrency 1`",
    ),
    (
        "benchmark_serving_structured_output.py",
        "`rampant single --extra-body '{\"response_format\": {...}}'` asks for structured output",
    ),
];

/// Other load generators, whose lines are not read, and the same in our words.
const RIVALS: &[(&str, &str)] = &[
    (
        "guidellm",
        "rampant single --base-url TARGET --duration 60s with --max-concurrency N or --request-rate R",
    ),
    (
        "genai-perf",
        "rampant single --base-url URL --max-concurrency C --num-prompts N --random-input-len I --random-output-len O",
    ),
    (
        "aiperf",
        "rampant single --base-url URL --max-concurrency C --num-prompts N --random-input-len I --random-output-len O",
    ),
    (
        "evalscope",
        "rampant single --base-url URL --backend openai-chat --max-concurrency PARALLEL --num-prompts NUMBER",
    ),
    (
        "inference-perf",
        "`rampant batch --config FILE` runs a grid; `rampant single --help` lists what a run has",
    ),
    (
        "token_benchmark_ray.py",
        "rampant single --base-url URL --backend openai-chat --max-concurrency C --num-prompts N --random-input-len I --random-output-len O",
    ),
];

/// A pasted line as one of our command lines. `argv[0]` is the program; `ours` are the names of
/// our commands.
pub fn command(argv: &[String], ours: &[&str]) -> Result<(Vec<String>, Origin)> {
    let first = argv.get(1).map_or("", String::as_str);
    let behind = if ["single", "batch"].contains(&first) { 2 } else { 1 };
    // `rampant script single` and its like are never another program's line.
    if behind == 1 && (ours.contains(&first) || first.starts_with('-')) {
        return Ok((argv.to_vec(), Origin::Ours));
    }
    let words = &argv[behind.min(argv.len())..];
    let Some((origin, start)) = program(words)? else { return Ok((argv.to_vec(), Origin::Ours)) };
    let key = words[..start]
        .iter()
        .find_map(|word| word.split_once('=').filter(|(name, _)| *name == "OPENAI_API_KEY"));
    if let Some((name, _)) = key {
        let told = format!("{name} stands behind rampant, where the shell does not set it");
        return Err(Error::usage(told).hint(format!("put it in front: {name}=... rampant single ...")));
    }
    let (command, start) = match origin {
        Origin::Ours => (words[start].as_str(), start + 1),
        _ => ("single", start),
    };
    let mut line = vec![argv[0].clone(), command.to_string()];
    line.extend_from_slice(&words[start..]);
    Ok((line, origin))
}

/// Which program's line this is, and where its flags begin; with [`Origin::Ours`] the name of one
/// of our commands stands there. Fails for one that we cannot stand in for.
fn program(words: &[String]) -> Result<Option<(Origin, usize)>> {
    // Only what stands before the first flag of the program itself; `python3 -m` has one too.
    for (i, word) in words.iter().enumerate() {
        let base = word.rsplit('/').next().unwrap_or(word);
        let next = |n: usize| words.get(i + n).map_or("", String::as_str);
        let three = [base, next(1), next(2)];
        match three {
            ["vllm" | "vllm.entrypoints.cli.main", "bench", "serve"] => {
                return Ok(Some((Origin::Vllm, i + 3)));
            }
            ["bench", "serve", _] if i == 0 => return Ok(Some((Origin::Vllm, 2))),
            ["vllm.benchmarks.serve", ..] => return Ok(Some((Origin::Vllm, i + 1))),
            ["benchmark_serving.py" | "benchmark_serving", ..] => {
                return Ok(Some((Origin::VllmScript, i + 1)));
            }
            ["sglang.bench_serving" | "bench_serving.py" | "bench_serving", ..] => {
                return Ok(Some((Origin::Sglang, i + 1)));
            }
            _ => {}
        }
        let told = OTHERS.iter().find(|(name, _)| {
            let parts: Vec<&str> = name.split(' ').collect();
            parts.iter().zip(three).all(|(part, word)| *part == word)
        });
        if let Some((name, instead)) = told {
            return Err(Error::usage(format!("`{name}` is no load test of a server")).hint(*instead));
        }
        if let Some((name, ours)) = RIVALS.iter().find(|(name, _)| *name == base) {
            return Err(Error::usage(format!("lines of `{name}` are not read")).hint(*ours));
        }
        let is_wrapper = i > 0 && base.ends_with(".py") && words[..i].iter().any(|word| is_python(word));
        if is_wrapper && COMMANDS.contains(&next(1)) {
            return Ok(Some((Origin::Ours, i + 1)));
        }
        if word.starts_with("--") {
            break;
        }
    }
    Ok(None)
}

fn is_python(word: &str) -> bool {
    let base = word.rsplit('/').next().unwrap_or(word);
    base.strip_prefix("python").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

impl Origin {
    pub(super) fn defaults(self) -> &'static str {
        match self {
            Origin::Ours => "added: ",
            Origin::Vllm => "as `vllm bench serve` has it: ",
            Origin::VllmScript => "as benchmark_serving.py has it: ",
            Origin::Sglang => "as sglang.bench_serving has it: ",
        }
    }

    /// A switch of ours that means something harmless over there.
    pub(super) fn leaves_out(self, flag: &str) -> bool {
        // There: do not stream the data set from the hub.
        flag == "no-stream" && matches!(self, Origin::Vllm | Origin::VllmScript)
    }

    /// What a whole line of another benchmark leaves unsaid: its defaults are not ours.
    pub(super) fn fill_in(
        self,
        flags: &mut Flags,
        added: &mut Vec<String>,
        read_as: &mut Vec<String>,
    ) -> Result<()> {
        if self == Origin::Ours {
            return Ok(());
        }
        let mut put = |flags: &mut Flags, flag: &str, value: &str| {
            flags.add(flag, value);
            added.push(format!("--{flag} {value}"));
        };
        if !flags.has("dataset-name") && (self == Origin::Sglang || flags.has("dataset-path")) {
            put(flags, "dataset-name", "sharegpt");
        }
        let random = flags.get("dataset-name").is_none_or(|name| name == "random");
        let output = if self == Origin::Sglang { "1024" } else { "128" };
        for (flag, general, usual) in
            [("random-input-len", "input-len", "1024"), ("random-output-len", "output-len", output)]
        {
            if random && !flags.has(flag) && !flags.has(general) {
                put(flags, flag, usual);
            }
        }
        if !flags.has("num-prompts") && !flags.has("duration") {
            put(flags, "num-prompts", "1000");
        }
        let paced =
            flags.get("request-rate").is_some_and(|rate| rate != "inf") || flags.has("ramp-up-strategy");
        if !paced && !flags.has("max-concurrency") {
            let all = flags.get("num-prompts").unwrap_or_else(|| "1000".into());
            put(flags, "max-concurrency", &all);
        }
        if self == Origin::Sglang {
            let backend = flags.get("backend").unwrap_or_else(|| "sglang".into());
            if !flags.has("backend") {
                put(flags, "backend", "sglang");
            }
            if !flags.has("port") && !flags.has("base-url") && backend.starts_with("sglang") {
                put(flags, "port", "30000");
            }
            if random {
                spread(flags, read_as)?;
            }
        }
        Ok(())
    }
}

/// SGLang's lengths are uniform in n * ratio .. n; ours lie around their middle.
fn spread(flags: &mut Flags, read_as: &mut Vec<String>) -> Result<()> {
    let text = flags.get("random-range-ratio").unwrap_or_else(|| "0".into());
    let ratio: f64 = match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
        _ => {
            return Err(Error::usage(format!(
                "--random-range-ratio: must be a number from 0 to 1, got {text:?}"
            )));
        }
    };
    if ratio < 1.0 {
        for flag in ["random-input-len", "random-output-len"] {
            let general = flag.trim_start_matches("random-");
            let typed = flags.get(general).or_else(|| flags.get(flag));
            let Some(most) = typed.and_then(|text| text.parse::<f64>().ok()) else { continue };
            let middle = (most * (1.0 + ratio) / 2.0).round().max(1.0);
            flags.add(if flags.has(general) { general } else { flag }, &format!("{middle}"));
        }
        read_as.push(format!("lengths from n * {ratio} to n"));
    }
    let around = ((1.0 - ratio) / (1.0 + ratio)).min(0.998);
    flags.add("random-range-ratio", &format!("{around:.4}"));
    Ok(())
}
