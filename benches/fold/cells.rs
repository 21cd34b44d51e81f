//! What a folder of many runs costs: it is imported from results of vLLM's benchmark, then aggregated.

use super::{Command, Path, Result, Stdio, digits, of_child, print_table, tell};
use serde_json::{Value, json};
use std::fmt::Write;

const RUNS: u32 = 1_000;
const REQUESTS: u32 = 8;
const TOKENS: u32 = 8;

/// What a child is asked with.
pub const CELLS: &str = "--cells";

pub fn run(parent: &Path) -> Result<()> {
    let parent = parent.join("cells");
    let _ = std::fs::remove_dir_all(&parent);
    std::fs::create_dir_all(&parent)?;
    let file = parent.join("bench.json");
    std::fs::write(&file, results()?)?;
    let results = parent.join("results");
    let mut rows = Vec::new();
    let place = |path: &Path| path.to_string_lossy().into_owned();
    for command in ["import", "aggregate", "aggregate --view vllm", "visualize --mode both"] {
        tell(command);
        let mut args: Vec<String> = command.split(' ').map(String::from).collect();
        args.extend(["--out".into(), place(&results)]);
        match args[0].as_str() {
            "import" => args.push(place(&file)),
            "visualize" => args.extend(["--output".into(), place(&parent.join("charts"))]),
            _ => {}
        }
        let given: Vec<&str> = [CELLS].into_iter().chain(args.iter().map(String::as_str)).collect();
        let [wall, cpu, peak] = of_child(&given)?;
        rows.push(vec![command.to_string(), digits(wall, 2), digits(cpu, 2), digits(peak, 0)]);
    }
    let title = format!("{RUNS} runs of {REQUESTS} requests");
    print_table(&title, &["", "seconds", "CPU seconds", "peak MiB"], &rows);
    Ok(std::fs::remove_dir_all(&parent)?)
}

/// One of the commands, in a process that is measured.
pub fn command(args: &[String]) -> Result<()> {
    let done = Command::new(env!("CARGO_BIN_EXE_rampant")).args(args).stdout(Stdio::null()).status()?;
    if done.success() { Ok(()) } else { Err(format!("rampant {args:?} failed").into()) }
}

/// As many results as there are runs, one a line.
fn results() -> Result<String> {
    let mut text = String::new();
    for run in 0..RUNS {
        let asked = json!({
            "date": format!("20260101-{:02}{:02}{:02}", run / 3600, run / 60 % 60, run % 60),
            "backend": "vllm", "model_id": "org/Model-7B", "tokenizer_id": "org/Model-7B",
            "num_prompts": REQUESTS, "request_rate": "inf", "burstiness": 1.0, "max_concurrency": 1 + run % 40,
            "input_len": 128 << (run / 40 % 5), "output_len": 64 << (run / 200 % 5),
        });
        let requests = json!({
            "input_lens": vec![100; REQUESTS as usize], "output_lens": vec![TOKENS; REQUESTS as usize],
            "start_times": (0..REQUESTS).collect::<Vec<_>>(),
            "ttfts": (0..REQUESTS).map(|i| 0.01 + f64::from(run * 7 + i) / 1e5).collect::<Vec<_>>(),
            "itls": vec![vec![0.01; TOKENS as usize - 1]; REQUESTS as usize],
            "generated_texts": vec!["x"; REQUESTS as usize], "errors": vec![""; REQUESTS as usize],
        });
        let numbers = json!({
            "duration": 10.0, "completed": REQUESTS, "failed": 0, "request_throughput": 0.8,
            "output_throughput": 6.4, "total_token_throughput": 86.4,
            "mean_ttft_ms": 10.0 + f64::from(run) / 10.0, "p99_ttft_ms": 20.0, "mean_tpot_ms": 10.0,
            "p99_tpot_ms": 10.0, "mean_itl_ms": 10.0, "p99_itl_ms": 10.0, "mean_e2el_ms": 80.0,
        });
        let maps = [asked, requests, numbers].map(|map| map.as_object().cloned().unwrap_or_default());
        writeln!(text, "{}", Value::Object(maps.into_iter().flatten().collect()))?;
    }
    Ok(text)
}
