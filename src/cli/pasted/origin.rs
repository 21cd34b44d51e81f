//! `FlagOrigin`: whose benchmark a whole line was written for, and what that line leaves unsaid.

use super::{Flags, others};
use crate::error::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FlagOrigin {
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

/// A pasted line as one of our command lines. `argv[0]` is the program; `ours` are the names of
/// our commands.
pub fn command(argv: &[String], ours: &[&str]) -> Result<(Vec<String>, FlagOrigin)> {
    // Lines of Windows end in a return, which is a part of their last word.
    let argv: Vec<String> = argv.iter().map(|word| word.trim_end_matches('\r').to_string()).collect();
    let argv = &argv[..];
    let first = argv.get(1).map_or("", String::as_str);
    let behind = if ["single", "batch"].contains(&first) { 2 } else { 1 };
    // `rampant script single` and its like are never another program's line.
    if behind == 1 && (ours.contains(&first) || first.starts_with('-')) {
        return Ok((argv.to_vec(), FlagOrigin::Ours));
    }
    let words = &argv[behind.min(argv.len())..];
    let Some((origin, start)) = program(words)? else { return Ok((argv.to_vec(), FlagOrigin::Ours)) };
    let key = words[..start]
        .iter()
        .find_map(|word| word.split_once('=').filter(|(name, _)| *name == "OPENAI_API_KEY"));
    if let Some((name, _)) = key {
        let told = format!("{name} stands behind rampant, where the shell does not set it");
        return Err(Error::usage(told).hint(format!("put it in front: {name}=... rampant single ...")));
    }
    let (command, start) = match origin {
        FlagOrigin::Ours => (words[start].as_str(), start + 1),
        _ => ("single", start),
    };
    let mut line = vec![argv[0].clone(), command.to_string()];
    line.extend_from_slice(&words[start..]);
    Ok((line, origin))
}

/// Which program's line this is, and where its flags begin; with [`FlagOrigin::Ours`] the name of one
/// of our commands stands there. Fails for one that we cannot stand in for.
fn program(words: &[String]) -> Result<Option<(FlagOrigin, usize)>> {
    // Only what stands before the first flag of the program itself; `python3 -m` has one too.
    for (i, word) in words.iter().enumerate() {
        let base = word.rsplit('/').next().unwrap_or(word);
        let next = |n: usize| words.get(i + n).map_or("", String::as_str);
        let three = [base, next(1), next(2)];
        match three {
            ["vllm" | "vllm.entrypoints.cli.main", "bench", "serve"] => {
                return Ok(Some((FlagOrigin::Vllm, i + 3)));
            }
            ["bench", "serve", _] if i == 0 => return Ok(Some((FlagOrigin::Vllm, 2))),
            ["vllm.benchmarks.serve", ..] => return Ok(Some((FlagOrigin::Vllm, i + 1))),
            ["benchmark_serving.py" | "benchmark_serving", ..] => {
                return Ok(Some((FlagOrigin::VllmScript, i + 1)));
            }
            ["sglang.bench_serving" | "bench_serving.py" | "bench_serving", ..] => {
                return Ok(Some((FlagOrigin::Sglang, i + 1)));
            }
            _ => {}
        }
        // A container may be called as a program is.
        let leads = words[..i].iter().all(|word| is_launcher(word));
        if let Some(error) = others::told(&words[i..], leads) {
            return Err(error);
        }
        let is_wrapper = i > 0 && base.ends_with(".py") && words[..i].iter().any(|word| is_python(word));
        if is_wrapper && COMMANDS.contains(&next(1)) {
            return Ok(Some((FlagOrigin::Ours, i + 1)));
        }
        if word.starts_with("--") {
            break;
        }
    }
    let called: Vec<&str> =
        words.iter().map(String::as_str).skip_while(|word| is_set(word)).take(3).collect();
    match called[..] {
        [python, ..] if is_python(python) => {
            let count = if called.get(1) == Some(&"-m") { 3 } else { 2 };
            let name = called[..count.min(called.len())].join(" ");
            let hint = "`rampant single --base-url http://127.0.0.1:8000` is one load test of a server, and `rampant --help` lists the rest";
            Err(Error::usage(format!("`{name}` is no command of rampant")).hint(hint))
        }
        _ => Ok(None),
    }
}

/// `NAME=value` in front of a program.
fn is_set(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    })
}

/// What stands in front of a program's own name.
fn is_launcher(word: &str) -> bool {
    is_set(word)
        || is_python(word)
        || ["-m", "env", "time", "nohup", "sudo", "uv", "uvx", "run", "poetry"].contains(&word)
}

fn is_python(word: &str) -> bool {
    let base = word.rsplit('/').next().unwrap_or(word);
    base.strip_prefix("python").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

impl FlagOrigin {
    pub(super) fn defaults(self) -> &'static str {
        match self {
            FlagOrigin::Ours => "added: ",
            FlagOrigin::Vllm => "not said, and so as `vllm bench serve` has it by default: ",
            FlagOrigin::VllmScript => "not said, and so as benchmark_serving.py has it by default: ",
            FlagOrigin::Sglang => "not said, and so as sglang.bench_serving has it by default: ",
        }
    }

    /// What a whole line of another benchmark leaves unsaid: its defaults are not ours.
    pub(super) fn fill_in(
        self,
        flags: &mut Flags,
        added: &mut Vec<String>,
        read_as: &mut Vec<String>,
    ) -> Result<()> {
        if self == FlagOrigin::Ours {
            return Ok(());
        }
        let mut because = |flags: &mut Flags, flag: &str, value: &str, why: &str| {
            flags.add(flag, value);
            added.push(format!("--{flag} {value}{why}"));
        };
        if !flags.has("dataset-name") && (self == FlagOrigin::Sglang || flags.has("dataset-path")) {
            because(flags, "dataset-name", "sharegpt", "");
        }
        if self == FlagOrigin::Sglang
            && flags.get("dataset-name").is_some_and(|name| name == "prefix_repetition")
        {
            for (flag, usual) in SHARED_PREFIX {
                if !flags.has(flag) {
                    because(flags, flag, usual, "");
                }
            }
        }
        let random = flags.get("dataset-name").is_none_or(|name| name == "random");
        let output = if self == FlagOrigin::Sglang { "1024" } else { "128" };
        for (flag, general, usual) in
            [("random-input-len", "input-len", "1024"), ("random-output-len", "output-len", output)]
        {
            if random && !flags.has(flag) && !flags.has(general) {
                because(flags, flag, usual, "");
            }
        }
        let custom = flags.get("dataset-name").is_some_and(|name| name == "custom");
        if self != FlagOrigin::Sglang && custom && !flags.has("custom-output-len") && !flags.has("output-len")
        {
            because(flags, "custom-output-len", "256", "");
        }
        if !flags.has("num-prompts") && !flags.has("duration") {
            because(flags, "num-prompts", "1000", "");
        }
        let paced =
            flags.get("request-rate").is_some_and(|rate| rate != "inf") || flags.has("ramp-up-strategy");
        if !paced && !flags.has("max-concurrency") {
            let all = flags.get("num-prompts").unwrap_or_else(|| "1000".into());
            because(flags, "max-concurrency", &all, " (it has no limit: all prompts at once)");
        }
        if self == FlagOrigin::Sglang {
            let backend = flags.get("backend").unwrap_or_else(|| "sglang".into());
            if !flags.has("backend") {
                because(flags, "backend", "sglang", "");
            }
            if !flags.has("port") && !flags.has("base-url") && backend.starts_with("sglang") {
                because(flags, "port", "30000", "");
            }
            if random {
                spread(flags, read_as)?;
            }
        }
        Ok(())
    }
}

/// SGLang's generated-shared-prefix.
const SHARED_PREFIX: [(&str, &str); 4] = [
    ("prefix-repetition-num-prefixes", "64"),
    ("prefix-repetition-prefix-len", "2048"),
    ("prefix-repetition-suffix-len", "128"),
    ("prefix-repetition-output-len", "256"),
];

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
