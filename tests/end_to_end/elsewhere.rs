//! Results of other tools in, ours out for them, and one table of many folders.

use crate::lab::{Done, Engine, Lab, files, rows};
use rampant::record::{Phase, Record};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

fn data(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/elsewhere").join(name).display().to_string()
}

/// A lab with the results of three tools and the reference rows, each in a folder of its own.
fn imported() -> Lab {
    let lab = Lab::new();
    for file in ["vllm_detailed.json", "benchmarks.json", "profile_export.jsonl", "reference.csv"] {
        lab.run(&["import", &data(file)]).exits(0);
    }
    lab
}

fn aggregated(lab: &Lab, more: &[&str]) -> Vec<Map<String, Value>> {
    let done = lab.run(&[&["aggregate", "--format", "json"], more].concat()).exits(0);
    let Value::Array(rows) = json_at(lab, &written(&done, ".json")[0]) else {
        panic!("a list: {}", done.err)
    };
    rows.into_iter().map(|row| row.as_object().expect("a map").clone()).collect()
}

fn json_at(lab: &Lab, path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(lab.path().join(path)).unwrap()).expect("JSON")
}

/// The files that a command says it wrote.
fn written(done: &Done, ending: &str) -> Vec<PathBuf> {
    let text = format!("{}\n{}", done.out, done.err);
    let paths = text.lines().filter_map(|line| line.strip_prefix("wrote "));
    paths.filter(|path| path.ends_with(ending)).map(PathBuf::from).collect()
}

/// The measured requests of the one results folder.
fn records_of(lab: &Lab) -> Vec<Record> {
    let all = rows(&lab.result()).into_iter().map(|(_, record)| record);
    all.filter(|record| record.phase == Phase::Measured).collect()
}

fn names(rows: &[Map<String, Value>]) -> Vec<&str> {
    rows.iter().map(|row| row["filename"].as_str().unwrap()).collect()
}

/// Compares with a file of `tests/data/elsewhere`, or writes it where `UPDATE_GOLDEN` is set.
#[track_caller]
fn golden(name: &str, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(data(name), text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(data(name)).unwrap(), "{name}");
}

#[test]
fn the_reference_rows_give_their_csv_charts_ranking_and_report() {
    let lab = Lab::new().with_env("TZ", "UTC");
    let done = lab.run(&["import", &data("reference.csv")]).exits(0);
    assert!(done.out.contains("imported 4 runs with 0 requests"), "{}", done.out);
    let again = lab.run(&["import", &data("reference.csv")]).exits(0);
    assert!(again.out.contains("imported before: "), "{}", again.out);
    let id = |done: &Done| done.out.rsplit_once("experiment_id ").unwrap().1.to_string();
    assert_eq!(id(&done), id(&again));

    let done = lab.run(&["aggregate"]).exits(0);
    let csv = std::fs::read_to_string(&written(&done, ".csv")[0]).unwrap();
    golden("reference_aggregated.csv", &csv);
    // As the wrapper that they come from shows them.
    for shown in ["45.8,", "140.8,", "553.0,", "1973.2,", "58477", ",5110,5120,", ",40920,40960,"] {
        assert!(csv.contains(shown), "{shown}: {csv}");
    }
    lab.run(&["visualize", "--mode", "both", "--output", "drawn", "--lang", "en"]).exits(0);
    let drawn = files(&lab.path().join("drawn"));
    let has = |part: &str| drawn.iter().any(|path| path.display().to_string().contains(part));
    for part in
        ["throughput_comparison", "latency_comparison", "heatmap", "dashboard", "ranking", "report.txt"]
    {
        assert!(has(part), "{part}: {drawn:?}");
    }
    let report = drawn.iter().find(|path| path.ends_with("performance_report.txt")).unwrap();
    let report = std::fs::read_to_string(report).unwrap();
    golden("reference_report.txt", &report);
}

#[test]
fn folders_are_chosen_by_name_pattern_number_model_and_tag() {
    let lab = imported();
    let names_of = |more: &[&str]| {
        let rows = aggregated(&lab, more);
        let mut names: Vec<String> = names(&rows).into_iter().map(String::from).collect();
        names.sort();
        names
    };
    let all = names_of(&["--all"]);
    assert_eq!(all.len(), 7, "{all:?}");
    let folder = |part: &str| {
        let found = lab.results().into_iter().find(|path| path.display().to_string().contains(part));
        found.unwrap().file_name().unwrap().to_str().unwrap().to_string()
    };
    let (r1, reference) = (folder("R1_2026"), folder("DeepSeek-R1_"));
    assert_eq!(names_of(&["--dir", &r1]), ["bench_detailed.json"]);
    assert_eq!(names_of(&["--dir", &r1, "--dir", &reference]).len(), 5);
    assert_eq!(names_of(&["--dir", "*R1_*"]).len(), 5);
    assert_eq!(names_of(&["--dir", &format!("results/{r1}")]), ["bench_detailed.json"]);
    assert_eq!(names_of(&["--last", "2"]).len(), 2);
    assert_eq!(names_of(&["--model", "deepseek-r1"]).len(), 4);
    assert_eq!(names_of(&["--model", "org/R1-AWQ"]), ["bench_detailed.json"]);
    assert_eq!(names_of(&["--tag", "tp=8"]), ["bench_detailed.json"]);
    assert_eq!(names_of(&["--tag", "tp=8", "--tag", "gpu=H200"]), ["bench_detailed.json"]);
    assert_eq!(names_of(&["--tag", "max_concurrency=4", "--tag", "input_len=512"]).len(), 1);

    for (args, told, hint) in [
        (&["--dir", "R1_20261130_10282"][..], "there is no results folder", "R1_2026"),
        (&["--dir", "x*"], "fits \"x*\"", "--list"),
        (&["--model", "R2"], "there are no results of the model \"R2\"", "org/R1-AWQ"),
        (&["--tag", "tp=9"], "has tp=9", "tp is 8 there"),
        (&["--tag", "tp"], "KEY=VALUE", "tp=8"),
        (&["--view", "vlm"], "vlm", "vllm"),
        (&["--format", "xlsx"], "xlsx", "csv"),
        (&["--repeats", "some"], "some", "fold"),
        (&["--last", "-1"], "last", "0"),
    ] {
        let done = lab.run(&[&["aggregate"], args].concat()).exits(2);
        assert!(done.err.contains(told) && done.err.contains(hint), "{args:?}: {}", done.err);
    }
}

#[test]
fn every_format_has_the_verdicts_and_marks() {
    let lab = imported();
    for (format, ending) in [
        ("csv", ".csv"),
        ("plain-csv", ".csv"),
        ("json", ".json"),
        ("markdown", ".md"),
        ("parquet", ".parquet"),
    ] {
        let done = lab.run(&["aggregate", "--all", "--format", format]).exits(0);
        let bytes = std::fs::read(lab.path().join(&written(&done, ending)[0])).unwrap();
        let holds = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
        assert!(
            holds(b"imported") && holds(b"~p99_ttft_ms") && holds(b"verdict") | holds(b"marks"),
            "{format}"
        );
    }
    let done = lab.run(&["aggregate", "--all", "--format", "markdown"]).exits(0);
    assert!(done.out.contains("| marks |") && done.out.contains("imported"), "{}", done.out);
}

#[test]
fn a_view_is_named_in_its_rows_and_runs_without_requests_have_none() {
    let lab = imported();
    let rows = aggregated(&lab, &["--all", "--view", "vllm"]);
    for row in &rows {
        assert_eq!(row["view"], "vllm");
        let no_requests = row["marks"].as_str().unwrap().contains("no_requests");
        assert_eq!(no_requests, row["filename"].as_str().unwrap().starts_with("bench_io"), "{row:?}");
        assert_eq!(row["mean_ttft_ms"].is_null(), no_requests, "{row:?}");
    }
}

#[test]
fn what_is_exported_for_vllm_comes_back_with_the_same_numbers() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=20ms,itl=3ms"));
    let chat = ["--backend", "openai-chat", "--endpoint", "/v1/chat/completions", "--goodput", "ttft:25"];
    lab.single(&engine.url, &[&["--num-prompts", "30", "--max-concurrency", "6"], &chat[..]].concat());
    let folder = lab.result();
    let name = folder.file_name().unwrap().to_str().unwrap().to_string();
    let before = aggregated(&lab, &["--view", "vllm"]).remove(0);
    let done = lab.run(&["export", &name, "--format", "vllm", "--output", "out"]).exits(0);
    let file = written(&done, ".json").remove(0);
    let exported = json_at(&lab, &file);
    for key in ["request_goodput", "max_output_tokens_per_s", "max_concurrent_requests"] {
        assert!(exported[key].is_number(), "{key}: {}", exported[key]);
    }
    lab.run(&["import", file.to_str().unwrap(), "--out", "back"]).exits(0);
    let after = aggregated(&lab, &["--view", "vllm", "--out", "back"]).remove(0);
    let ending = ["_ms", "_throughput", "completed", "failed", "_tokens", "duration", "num_prompts"];
    let numbers = before.iter().filter(|(key, _)| ending.iter().any(|end| key.ends_with(end)));
    let mut compared = 0;
    for (key, value) in numbers {
        let (a, b) = (value.as_f64(), after[key].as_f64());
        let near = a.zip(b).is_some_and(|(a, b)| (a - b).abs() <= a.abs() * 1e-6);
        assert!(near || a == b, "{key}: {a:?} and {b:?}");
        compared += 1;
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn repeats_are_one_row_of_all_their_requests() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=10ms,itl=2ms"));
    let config = format!(
        "model: m\nbase_url: {}\ninput_output: [[16, 4]]\nconcurrency_prompts: [[4, 20]]\nrepeats: 3\n",
        engine.url
    );
    lab.file("c.yaml", &config);
    let done = lab.run(&["batch", "--config", "c.yaml"]);
    assert!(matches!(done.code, Some(0 | 99)), "{}", done.err);
    let each = aggregated(&lab, &[]);
    assert_eq!(each.len(), 3);
    let folded = aggregated(&lab, &["--repeats", "fold"]);
    let [row] = &folded[..] else { panic!("{folded:?}") };
    let number = |row: &Map<String, Value>, key: &str| row[key].as_f64().unwrap_or_else(|| panic!("{key}"));
    assert_eq!(
        (number(row, "repeats"), number(row, "completed"), number(row, "num_prompts")),
        (3.0, 60.0, 60.0)
    );
    let sum: f64 = each.iter().map(|row| number(row, "duration")).sum();
    assert!((number(row, "duration") - sum).abs() < 1e-9);
    assert!((number(row, "request_throughput") - 60.0 / sum).abs() < 1e-9);
    // Of all values; no percentile of percentiles.
    let all = records_of(&lab);
    let mut ttfts: Vec<f64> = all.iter().filter_map(Record::ttft_ms).collect();
    ttfts.sort_by(f64::total_cmp);
    let at = 0.99 * (ttfts.len() - 1) as f64;
    let (low, high) = (ttfts[at as usize], ttfts[at.ceil() as usize]);
    let p99 = low + (high - low) * at.fract();
    assert!((number(row, "p99_ttft_ms") - p99).abs() < 1e-9, "{p99} {}", row["p99_ttft_ms"]);
    // Three repeats are enough for an interval from what lies between them.
    let (mean, low, high) =
        (number(row, "mean_ttft_ms"), number(row, "mean_ttft_ms_low"), number(row, "mean_ttft_ms_high"));
    assert!(low <= mean && mean <= high && low < high, "{low} {mean} {high}");
    assert!(number(row, "mean_ttft_ms_std_between") >= 0.0 && row.contains_key("mean_ttft_ms_std_within"));
    let vllm = aggregated(&lab, &["--repeats", "fold", "--view", "vllm"]).remove(0);
    assert!((number(&vllm, "p99_ttft_ms") - p99).abs() < 1e-9);
    assert!(!vllm.contains_key("mean_ttft_ms_low"));
}

#[test]
fn a_trace_holds_each_request_with_its_tokens_in_it_and_counters() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=300ms,itl=20ms"));
    lab.single(&engine.url, &["--num-prompts", "12", "--max-concurrency", "3"]);
    let name = lab.result().file_name().unwrap().to_str().unwrap().to_string();
    let done = lab.run(&["export", &name, "--format", "perfetto"]).exits(0);
    let trace = json_at(&lab, &written(&done, ".json")[0]);
    let events = trace["traceEvents"].as_array().unwrap();
    let mut open: HashMap<String, Vec<(String, f64)>> = HashMap::new();
    let mut last: HashMap<String, f64> = HashMap::new();
    let mut counted: HashMap<&str, usize> = HashMap::new();
    let mut slices: HashMap<String, usize> = HashMap::new();
    for event in events {
        let phase = event["ph"].as_str().unwrap();
        *counted.entry(phase).or_default() += 1;
        assert!(event["pid"].is_u64() && event["name"].is_string(), "{event}");
        if phase == "M" {
            assert!(event["args"]["name"].is_string(), "{event}");
            continue;
        }
        let ts = event["ts"].as_f64().unwrap();
        assert!(ts >= 0.0, "{event}");
        if phase == "C" {
            assert!(event["args"]["value"].is_number(), "{event}");
            continue;
        }
        let id = event["id"].as_str().unwrap().to_string();
        assert!(event["cat"].is_string() && event["tid"].is_u64(), "{event}");
        // In order, and what is in another ends before it.
        assert!(last.insert(id.clone(), ts).is_none_or(|before| before <= ts), "{event}");
        let stack = open.entry(id).or_default();
        let name = event["name"].as_str().unwrap().to_string();
        match phase {
            "b" => stack.push((name, ts)),
            "e" => {
                let (opened, from) = stack.pop().expect("it was opened");
                assert!(opened == name && from <= ts, "{event}");
                *slices.entry(name).or_default() += 1;
            }
            other => panic!("no such phase: {other}"),
        }
    }
    assert!(open.values().all(Vec::is_empty));
    assert_eq!((slices["request"], slices["first token"]), (12, 12));
    let tokens: usize =
        rows(&lab.result()).iter().map(|(_, record)| record.timeline.events.output().count()).sum();
    assert_eq!(slices["token"] + slices["first token"], tokens);
    assert!(counted["M"] >= 2 && counted.get("C").is_some_and(|n| *n > 0), "{counted:?}");
}

#[test]
fn a_csv_of_requests_has_one_row_each_and_quotes_what_needs_it() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    lab.single(&engine.url, &["--num-prompts", "5"]);
    let name = lab.result().file_name().unwrap().to_str().unwrap().to_string();
    let done = lab.run(&["export", &name, "--format", "csv"]).exits(0);
    let text = std::fs::read_to_string(&written(&done, ".csv")[0]).unwrap();
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
    assert!(lines.len() >= 6 && lines[0].starts_with("run,seq,session,turn,"), "{text}");
    let columns = lines[0].split(',').count();
    assert!(lines.iter().all(|line| line.split(',').count() == columns), "{text}");
    let again = lab.run(&["export", &name, "--format", "csv"]).exits(0);
    assert!(written(&again, ".csv")[0].ends_with("requests-2.csv"), "{}", again.out);
}

#[test]
fn wrong_names_of_an_export_and_an_import_get_hints() {
    let lab = imported();
    let name = lab.results()[0].file_name().unwrap().to_str().unwrap().to_string();
    for (args, code, told) in [
        (&["export", "nowhere", "--format", "csv"][..], 2, "is no results folder"),
        (&["export", &name, "--format", "xml"], 2, "[possible values: vllm, perfetto, csv]"),
        (&["export", &name, "--format", "csv", "--run", "detaild"], 2, "holds no run \"detaild\""),
        (&["import", "nothing.json"], 2, "cannot read"),
        (&["import"], 2, "<FILE>"),
        (&["explain", "ttftt"], 2, "ttft"),
    ] {
        let done = lab.run(args).exits(code);
        assert!(done.err.contains(told), "{args:?}: {}", done.err);
    }
}

#[test]
fn explain_says_what_each_tool_prints_under_a_name() {
    let lab = Lab::new();
    let told = lab.run(&["explain", "ttft.p99"]).exits(0).out;
    for part in ["vLLM bench", "GuideLLM", "AIPerf", "inference-perf", "First event that holds output"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let chinese = lab.run(&["explain", "P99_TTFT", "--lang", "zh"]).exits(0).out;
    assert!(chinese.contains("第一个含任何输出"), "{chinese}");
    let list = lab.run(&["explain"]).exits(0).out;
    assert!(list.lines().count() > 20 && list.contains("goodput"), "{list}");
}
