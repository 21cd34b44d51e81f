//! The result JSON of vLLM's benchmark with its lists, as its client would have written it: statistics and
//! lists are by its definitions, so that the one follows from the other.

use super::files::{Export, Exported, NewFile, Run, cannot_write, quoted};
use crate::error::{Error, Result};
use crate::experiment::finished::file_name;
use crate::experiment::objectives::Objectives;
use crate::experiment::part::Part;
use crate::os::{file, heap};
use crate::record::{Fields, Phase, Record};
use crate::stats::Fold;
use crate::stats::view::{View, ViewStats, is_vllm_success, vllm_tokens_us};
use serde_json::{Map, Value};
use std::io::Result as IoResult;

pub fn write(asked: &Export, runs: &[Run]) -> Result<Exported> {
    let mut done = Exported::default();
    let objectives = Objectives::read(&asked.folder);
    for run in runs {
        check_memory(run)?;
        let stats = ViewStats::with_limits(View::Vllm, objectives.limits(run.name()));
        let folds = (stats, Lists::default());
        let ((mut stats, lists), warnings) = Part::default().fold(&asked.folder, run.name(), folds)?;
        done.warn(warnings);
        stats.close(run.0.get("duration").and_then(Value::as_f64));
        let mut map = Map::new();
        for key in crate::stats::vllm::head() {
            map.insert(key.into(), run.0.get(key).cloned().unwrap_or_default());
        }
        let (tokens, requests) = lists.peaks();
        for (key, value) in stats.columns().into_iter().filter(|(key, _)| !key.ends_with("_count")) {
            let is_last = key == "total_token_throughput";
            map.insert(key, value);
            if is_last {
                map.insert("max_output_tokens_per_s".into(), tokens.into());
                map.insert("max_concurrent_requests".into(), requests.into());
            }
        }
        let name = format!("vllm_{}", file_name(run.name()));
        let mut file = NewFile::create(&asked.output, &name, "json")?;
        let put = |file: &mut NewFile| lists.write(file, &map);
        put(&mut file).map_err(|error| cannot_write(&asked.output, &error))?;
        done.files.push(file.finish()?);
    }
    Ok(done)
}

/// Bytes that a request takes in the lists, and each of its events.
const ROW: u64 = 200;
const EVENT: u64 = 4;

/// The lists are in the order of submission, rows in that of their ends: all are kept until then.
fn check_memory(run: &Run) -> Result<()> {
    let number = |key: &str| run.0.get(key).and_then(Value::as_f64).unwrap_or_default() as u64;
    let needed = number("num_prompts") * ROW + number("total_output_tokens") * EVENT;
    let free = heap::free().unwrap_or(u64::MAX);
    if needed <= free / 2 {
        return Ok(());
    }
    let told = format!(
        "the lists of {:?} take about {} of memory, and {} are free",
        run.name(),
        file::size(needed),
        file::size(free)
    );
    Err(Error::run(told).hint("name one run with --run, or read its Parquet files on a larger machine"))
}

/// What vLLM lists of every request.
#[derive(Default)]
struct Lists(Vec<Listed>);

struct Listed {
    order: (u64, u32),
    input: u32,
    output: u32,
    ttft_us: u32,
    gaps_us: Vec<u32>,
    start_ns: i64,
    text: String,
    error: String,
}

impl Fold for Lists {
    fn fields(&self) -> Fields {
        Fields::OUTPUT.with(Fields::WORDS).with(Fields::TEXT)
    }

    fn add(&mut self, record: &Record) {
        if record.phase != Phase::Measured {
            return;
        }
        let events: Vec<u32> = vllm_tokens_us(record).collect();
        let success = is_vllm_success(record, events.len());
        let error = match (&record.error, success) {
            (_, true) => String::new(),
            (Some(words), _) => format!("{}: {words}", record.outcome.name()),
            (None, _) => record.outcome.name().to_string(),
        };
        self.0.push(Listed {
            order: (record.seq, record.turn),
            input: record.input_tokens().or(record.asked_input).unwrap_or_default(),
            output: record.output_tokens().filter(|_| success).map_or(0, |(n, _)| n),
            ttft_us: events.first().copied().filter(|_| success).unwrap_or_default(),
            gaps_us: events.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect(),
            start_ns: record.timeline.sent.unwrap_or(record.timeline.planned),
            text: record.text.clone().unwrap_or_default(),
            error,
        });
    }

    fn merge(&mut self, other: Lists) {
        self.0.extend(other.0);
    }

    fn fresh(&self) -> Lists {
        Lists::default()
    }
}

/// The second since `zero` in which a moment lies.
fn second(at: i64, zero: i64) -> usize {
    ((at - zero).max(0) / 1_000_000_000) as usize
}

impl Lists {
    /// The most events of successes in a second, and the most of them that were there in a part of one; seconds
    /// count from the first send, as vLLM has them.
    fn peaks(&self) -> (u64, u64) {
        let done = || self.0.iter().filter(|row| row.ttft_us > 0);
        let zero = done().map(|row| row.start_ns).min().unwrap_or_default();
        let (mut tokens, mut requests): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
        let add = |counts: &mut Vec<u64>, at: usize| {
            if counts.len() <= at {
                counts.resize(at + 1, 0);
            }
            counts[at] += 1;
        };
        for row in done() {
            let mut at = row.start_ns + i64::from(row.ttft_us) * 1_000;
            add(&mut tokens, second(at, zero));
            for gap in &row.gaps_us {
                at += i64::from(*gap) * 1_000;
                add(&mut tokens, second(at, zero));
            }
            (second(row.start_ns, zero)..=second(at, zero)).for_each(|second| add(&mut requests, second));
        }
        let most = |counts: Vec<u64>| counts.into_iter().max().unwrap_or_default();
        (most(tokens), most(requests))
    }

    fn write(&self, file: &mut NewFile, map: &Map<String, Value>) -> IoResult<()> {
        let mut rows: Vec<&Listed> = self.0.iter().collect();
        rows.sort_by_key(|row| row.order);
        file.put("{")?;
        for (key, value) in map {
            file.put(format!("{}: {value}, ", quoted(key)))?;
        }
        let seconds = |us: u32| f64::from(us) / 1e6;
        let gaps = |row: &Listed| {
            let gaps: Vec<String> = row.gaps_us.iter().map(|us| seconds(*us).to_string()).collect();
            format!("[{}]", gaps.join(", "))
        };
        list(file, "input_lens", &rows, |row| row.input.to_string())?;
        list(file, "output_lens", &rows, |row| row.output.to_string())?;
        list(file, "ttfts", &rows, |row| seconds(row.ttft_us).to_string())?;
        list(file, "itls", &rows, gaps)?;
        list(file, "start_times", &rows, |row| (row.start_ns as f64 / 1e9).to_string())?;
        list(file, "generated_texts", &rows, |row| quoted(&row.text))?;
        list(file, "errors", &rows, |row| quoted(&row.error))?;
        file.put("\"source\": \"rampant export\"}\n")
    }
}

fn list(file: &mut NewFile, key: &str, rows: &[&Listed], cell: impl Fn(&Listed) -> String) -> IoResult<()> {
    file.put(format!("\"{key}\": ["))?;
    for (i, row) in rows.iter().enumerate() {
        file.put(if i == 0 { "" } else { ", " })?;
        file.put(cell(row))?;
    }
    file.put("], ")
}
