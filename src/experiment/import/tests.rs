use super::super::recalled;
use super::*;
use crate::stats::view::{View, ViewStats};
use serde_json::Map;

fn files(parent: &Path, named: &[(&str, &str)]) -> Vec<PathBuf> {
    let write = |(name, text): &(&str, &str)| {
        let path = parent.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    named.iter().map(write).collect()
}

const DETAILED: &str = r#"{"date": "20250301-101010", "backend": "vllm", "model_id": "org/R1-AWQ",
    "num_prompts": 3, "tp": "8", "request_rate": "inf", "duration": 2.0, "completed": 2, "failed": 1,
    "request_goodput:": null, "mean_ttft_ms": 15.0, "input_lens": [8, 8, 8], "output_lens": [3, 2, 0],
    "ttfts": [0.01, 0.02, 0.0], "itls": [[0.03, 0.05], [0.04], []], "start_times": [100.0, 100.5, 101.0],
    "generated_texts": ["a b c", "d e", ""], "errors": ["", "", "Service Unavailable"]}"#;

#[test]
fn the_lists_of_vllm_become_requests_of_which_its_view_says_the_same() {
    let parent = tempfile::tempdir().unwrap();
    let files = files(parent.path(), &[("bench_io8x3_mc2_np3.json", DETAILED)]);
    let imported = import(&files, &parent.path().join("results")).unwrap();
    assert_eq!((imported.runs, imported.requests, imported.before), (1, 3, false));
    let row = &recalled::rows(&imported.folder).unwrap()[0];
    assert_eq!((&row["run"], &row["input_len"]), (&json!("io8x3_mc2_np3"), &json!(8)));
    assert_eq!((&row["mean_ttft_ms"], &row["request_goodput"]), (&json!(15.0), &Value::Null));
    let fold = super::super::part::Part::default().fold(
        &imported.folder,
        "io8x3_mc2_np3",
        ViewStats::new(View::Vllm),
    );
    let (mut stats, warnings) = fold.unwrap();
    stats.close(Some(2.0));
    let map = stats.columns();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!((&map["completed"], &map["failed"]), (&json!(2), &json!(1)));
    let near = |key: &str, value: f64| {
        assert!((map[key].as_f64().unwrap() - value).abs() < 1e-6, "{key}: {}", map[key])
    };
    near("mean_ttft_ms", 15.0);
    near("mean_itl_ms", 40.0);
    near("mean_tpot_ms", 40.0);
    near("mean_e2el_ms", 75.0);
    near("output_throughput", 2.5);
}

#[test]
fn importing_twice_gives_one_id_and_one_folder() {
    let parent = tempfile::tempdir().unwrap();
    let files = files(parent.path(), &[("a.json", DETAILED), ("b.json", &DETAILED.replace("15.0", "16.0"))]);
    let results = parent.path().join("results");
    let first = import(&files, &results).unwrap();
    let again = import(&[files[1].clone(), files[0].clone()], &results).unwrap();
    assert_eq!(first.experiment_id, again.experiment_id);
    assert_eq!((again.before, &again.folder), (true, &first.folder));
    let elsewhere = import(&files, &parent.path().join("elsewhere")).unwrap();
    assert_eq!((elsewhere.before, &elsewhere.experiment_id), (false, &first.experiment_id));
    assert_ne!(import(&files[..1], &results).unwrap().experiment_id, first.experiment_id);
}

#[test]
fn results_that_were_appended_are_runs_and_those_without_lists_have_no_requests() {
    let parent = tempfile::tempdir().unwrap();
    let one = r#"{"date": "20250301-101010", "model_id": "m", "completed": 4, "mean_ttft_ms": 5.5,
        "request_throughput": 2.0, "total_output_tokens": 80, "gpu": "H200"}"#;
    let files = files(parent.path(), &[("r.json", &format!("{one}\n{one}\n"))]);
    let imported = import(&files, parent.path()).unwrap();
    assert_eq!((imported.runs, imported.requests), (2, 0));
    assert!(imported.notes[0].contains("no single requests"), "{:?}", imported.notes);
    let names: Vec<Value> =
        recalled::rows(&imported.folder).unwrap().into_iter().map(|row| row["run"].clone()).collect();
    assert_eq!(names, ["r", "r-2"]);
    let row = &super::super::aggregate::runs(&imported.folder).unwrap()[0].row;
    assert_eq!((&row["mean_ttft_ms"], &row["request_throughput"]), (&json!(5.5), &json!(2.0)));
    assert_eq!((&row["output_throughput"], &row["completed"]), (&json!(40.0), &json!(4)));
    assert_eq!((&row["gpu"], &row["marks"]), (&json!("H200"), &json!("imported")));
}

#[test]
fn the_requests_of_guidellm_and_aiperf_are_read() {
    let guidellm = r#"{"metadata": {}, "benchmarks": [{"config": {"backend": {"model": "m"}}, "requests": {
        "successful": [{"request_id": "x", "prompt_tokens": 8, "output_tokens": 5, "info": {"timings": {
            "request_start": 1000.0, "request_end": 1000.5, "first_token_iteration": 1000.1,
            "last_token_iteration": 1000.4, "token_iterations": 4}}}],
        "errored": [{"info": {"timings": {"request_start": 1001.0, "request_end": 1001.2}, "error": "gone"}}]}}]}"#;
    let aiperf = concat!(
        r#"{"metadata": {"request_start_ns": 5000000000, "request_end_ns": 5200000000}, "metrics": {"#,
        r#""time_to_first_token": {"value": 50.0, "unit": "ms"}, "request_latency": {"value": 150.0, "unit": "ms"}, "#,
        r#""inter_chunk_latency": {"value": [40.0, 60.0], "unit": "ms"}, "output_sequence_length": {"value": 3, "unit": "tokens"}}, "error": null}"#,
    );
    let parent = tempfile::tempdir().unwrap();
    let files = files(parent.path(), &[("benchmarks.json", guidellm), ("profile_export.jsonl", aiperf)]);
    let imported = import(&files, parent.path()).unwrap();
    assert_eq!((imported.runs, imported.requests), (2, 3));
    let of = |run: &str, view: View| {
        let fold = super::super::part::Part::default().fold(&imported.folder, run, ViewStats::new(view));
        let (mut stats, _) = fold.unwrap();
        stats.close(None);
        stats.columns()
    };
    let near = |map: &Map<String, Value>, key: &str, value: f64| {
        assert!((map[key].as_f64().unwrap() - value).abs() < 1e-3, "{key}: {}", map[key]);
    };
    let map = of("benchmarks", View::Guidellm);
    assert_eq!((&map["completed"], &map["failed"]), (&json!(1), &json!(1)));
    [("mean_ttft_ms", 100.0), ("mean_itl_ms", 75.0), ("mean_tpot_ms", 80.0), ("mean_e2el_ms", 500.0)]
        .into_iter()
        .for_each(|(key, value)| near(&map, key, value));
    let map = of("profile_export", View::Aiperf);
    [
        ("mean_ttft_ms", 50.0),
        ("mean_itl_ms", 50.0),
        ("mean_e2el_ms", 150.0),
        ("mean_inter_chunk_latency_ms", 50.0),
    ]
    .into_iter()
    .for_each(|(key, value)| near(&map, key, value));
}

fn elsewhere(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/elsewhere").join(name)
}

fn json_of(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(elsewhere(name)).unwrap()).unwrap()
}

/// The numbers of the one run of a file by the definitions of its tool.
fn viewed(name: &str, view: View) -> (Imported, Map<String, Value>) {
    let parent = tempfile::tempdir().unwrap();
    let imported = import(&[elsewhere(name)], parent.path()).unwrap();
    let run = recalled::rows(&imported.folder).unwrap()[0].clone();
    let part = super::super::part::Part::default();
    let stats = part.fold(&imported.folder, run["run"].as_str().unwrap(), ViewStats::new(view));
    let (mut stats, warnings) = stats.unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    stats.close(run["duration"].as_f64());
    (imported, stats.columns())
}

/// Our times have a resolution of a microsecond.
#[track_caller]
fn same(what: &str, ours: &Value, theirs: f64) {
    let ours = ours.as_f64().unwrap_or_else(|| panic!("{what}: {ours}"));
    assert!((ours - theirs).abs() <= theirs.abs() * 1e-5 + 1e-3, "{what}: {ours}, not {theirs}");
}

#[test]
fn what_vllm_printed_follows_from_the_lists_that_it_wrote() {
    let printed = json_of("vllm_detailed.json");
    let (imported, map) = viewed("vllm_detailed.json", View::Vllm);
    assert_eq!((imported.requests, imported.notes.len()), (24, 0));
    let keys = ["completed", "failed", "total_input_tokens", "total_output_tokens", "request_throughput"];
    let latencies = ["ttft", "tpot", "itl", "e2el"].iter().flat_map(|metric| {
        ["mean", "median", "std", "p99"].iter().map(move |statistic| format!("{statistic}_{metric}_ms"))
    });
    for key in keys.iter().map(|key| key.to_string()).chain(latencies) {
        same(&key, &map[&key], printed[&key].as_f64().unwrap());
    }
}

#[test]
fn what_vllm_printed_is_kept_where_it_wrote_no_lists() {
    let parent = tempfile::tempdir().unwrap();
    let imported = import(&[elsewhere("vllm.json")], parent.path()).unwrap();
    let row = &recalled::rows(&imported.folder).unwrap()[0];
    let printed = json_of("vllm.json");
    for (key, value) in printed.as_object().unwrap().iter().filter(|(_, value)| value.is_number()) {
        match key.as_str() {
            // No sound; the names of the folder have no dot.
            "rtfx" => assert_eq!(row.get("rtfx"), None),
            key if key.starts_with("p9") && !key.starts_with("p99_") => {
                let (p, rest) = key.split_once('_').unwrap();
                let metric = rest.strip_suffix("_ms").unwrap();
                same(key, &row[&format!("{metric}_ms_{}", p.replace('.', "_"))], value.as_f64().unwrap());
            }
            key => same(key, &row[key], value.as_f64().unwrap()),
        }
    }
    assert_eq!((&row["gpu"], &row["tp"]), (&json!("H200"), &json!("8")));
}

#[test]
fn what_guidellm_and_aiperf_printed_follows_from_their_requests() {
    let printed = json_of("benchmarks.json");
    let (imported, map) = viewed("benchmarks.json", View::Guidellm);
    assert_eq!(imported.requests, 60);
    let metrics = &printed["benchmarks"][0]["metrics"];
    for (ours, theirs, unit) in [
        ("ttft", "time_to_first_token_ms", 1.0),
        ("tpot", "time_per_output_token_ms", 1.0),
        ("itl", "inter_token_latency_ms", 1.0),
        ("e2el", "request_latency", 1e3),
    ] {
        let of = &metrics[theirs]["successful"];
        for (statistic, value) in [
            ("mean", &of["mean"]),
            ("median", &of["median"]),
            ("std", &of["std_dev"]),
            ("p99", &of["percentiles"]["p99"]),
        ] {
            let key = format!("{statistic}_{ours}_ms");
            let (value, ours) = (value.as_f64().unwrap() * unit, map[&key].as_f64().unwrap());
            // Its moments have a resolution of 0.24 us, ours of 1 us.
            assert!((ours - value).abs() < value * 1e-4, "{key}: {ours}, not {value}");
        }
    }
    same(
        "requests per second",
        &map["request_throughput"],
        metrics["requests_per_second"]["successful"]["mean"].as_f64().unwrap(),
    );

    let printed = json_of("profile_export_aiperf.json");
    let (imported, map) = viewed("profile_export.jsonl", View::Aiperf);
    assert_eq!((imported.requests, imported.notes.len()), (60, 0));
    for (ours, theirs) in [
        ("ttft", "time_to_first_token"),
        ("itl", "inter_token_latency"),
        ("e2el", "request_latency"),
        ("inter_chunk_latency", "inter_chunk_latency"),
    ] {
        for (statistic, part) in [("mean", "avg"), ("median", "p50"), ("std", "std"), ("p99", "p99")] {
            let (key, value) = (format!("{statistic}_{ours}_ms"), printed[theirs][part].as_f64().unwrap());
            let ours = map[&key].as_f64().unwrap();
            assert!((ours - value).abs() < value * 2e-4, "{key}: {ours}, not {value}");
        }
    }
    // Its phase begins before its first request and ends after the last, which it does not tell.
    let rate = (
        map["output_throughput"].as_f64().unwrap(),
        printed["output_token_throughput"]["avg"].as_f64().unwrap(),
    );
    assert!((rate.0 / rate.1 - 1.0).abs() < 0.005, "{rate:?}");
    // The file beside it tells the model and the load.
    let parent = tempfile::tempdir().unwrap();
    let imported = import(&[elsewhere("profile_export.jsonl")], parent.path()).unwrap();
    let row = &recalled::rows(&imported.folder).unwrap()[0];
    assert_eq!((&row["model_id"], &row["max_concurrency"]), (&json!("m"), &json!(8)));
}

#[test]
fn the_numbers_of_a_run_of_aiperf_are_kept_as_it_printed_them() {
    let parent = tempfile::tempdir().unwrap();
    let imported = import(&[elsewhere("profile_export_aiperf.json")], parent.path()).unwrap();
    let row = &recalled::rows(&imported.folder).unwrap()[0];
    let printed = json_of("profile_export_aiperf.json");
    for (key, theirs, part) in [
        ("mean_ttft_ms", "time_to_first_token", "avg"),
        ("p99_e2el_ms", "request_latency", "p99"),
        ("std_itl_ms", "inter_token_latency", "std"),
        ("duration", "benchmark_duration", "avg"),
        ("completed", "request_count", "avg"),
    ] {
        same(key, &row[key], printed[theirs][part].as_f64().unwrap());
    }
    assert_eq!((&row["model_id"], &row["max_concurrency"]), (&json!("m"), &json!(8)));
    assert!(imported.folder.file_name().unwrap().to_str().unwrap().starts_with("m_2026"));
}

/// A file with one change, as text.
fn changed(name: &str, change: impl Fn(&mut Value)) -> String {
    let mut value = json_of(name);
    change(&mut value);
    value.to_string()
}

#[test]
fn what_cannot_be_imported_is_one_sentence_with_the_file_and_the_key() {
    let vllm = |change: fn(&mut Value)| changed("vllm_detailed.json", change);
    let guidellm = |change: fn(&mut Value)| changed("benchmarks.json", change);
    let lines = std::fs::read_to_string(elsewhere("profile_export.jsonl")).unwrap();
    let line = |change: fn(&mut Value)| {
        let mut all: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        change(&mut all[2]);
        all.iter().map(|line| format!("{line}\n")).collect::<String>()
    };
    let whole = std::fs::read_to_string(elsewhere("vllm_detailed.json")).unwrap();
    let half = |text: &str| text[..text.len() / 2].to_string();
    let parent = tempfile::tempdir().unwrap();
    for (name, text, told) in [
        ("cut.json", half(&whole), "it ends within line 1, as a file does that was cut off"),
        ("cut.jsonl", half(&lines), "it ends within line"),
        (
            "cut2.json",
            half(&std::fs::read_to_string(elsewhere("benchmarks.json")).unwrap()),
            "it ends within",
        ),
        ("empty.json", String::new(), "it is empty"),
        ("blank.json", " \n".into(), "it is empty"),
        (
            "other.json",
            "{\"x\": 1, \"y\": 2}".into(),
            "no result of a tool that is known has keys such as x, y",
        ),
        ("nothing.json", "{}".into(), "has no key"),
        ("list.json", "[1, 2]".into(), "other JSON than objects"),
        ("none.json", "[]".into(), "it is empty"),
        ("wrong.json", "{\"completed\": 4,}".into(), "line 1"),
        ("huge.json", "{\"completed\": 1e400}".into(), "line 1: number out of range"),
        ("a.csv", "a,b\n1,2\n".into(), "neither JSON nor a CSV"),
        (
            "text.json",
            vllm(|of| of["completed"] = json!("many")),
            "`completed` must be a number, got \"many\"",
        ),
        (
            "rate.json",
            vllm(|of| of["request_rate"] = json!("fast")),
            "`request_rate` must be a number, got \"fast\"",
        ),
        (
            "ttft.json",
            vllm(|of| of["mean_ttft_ms"] = json!([1])),
            "`mean_ttft_ms` must be a number, got a list",
        ),
        ("word.json", vllm(|of| of["ttfts"] = json!("x")), "`ttfts` must be a list, got \"x\""),
        ("entry.json", vllm(|of| of["ttfts"][3] = json!("x")), "`ttfts[3]` must be a number, got \"x\""),
        ("null.json", vllm(|of| of["ttfts"][3] = json!(null)), "`ttfts[3]` must be a number, got nothing"),
        (
            "past.json",
            vllm(|of| of["ttfts"][3] = json!(-0.5)),
            "`ttfts[3]` must be a time from 0 on, got -0.5",
        ),
        ("long.json", vllm(|of| of["ttfts"][3] = json!(1e300)), "`ttfts[3]` must be the time of a reply"),
        ("gap.json", vllm(|of| of["itls"][2][1] = json!(true)), "`itls[2][1]` must be a number, got true"),
        ("gaps.json", vllm(|of| of["itls"][2] = json!(0.1)), "`itls[2]` must be a list, got 0.1"),
        (
            "half.json",
            vllm(|of| of["output_lens"][0] = json!(1.5)),
            "`output_lens[0]` must be a whole number from 0 on",
        ),
        (
            "many.json",
            vllm(|of| of["output_lens"][0] = json!(1e18)),
            "`output_lens[0]` must be a whole number from 0 on",
        ),
        ("start.json", vllm(|of| of["start_times"][0] = json!(1e99)), "`start_times[0]` must be a moment"),
        (
            "short.json",
            vllm(|of| drop(of["itls"].as_array_mut().unwrap().pop())),
            "`itls` has 23 entries, and `ttfts` has 24",
        ),
        (
            "errors.json",
            vllm(|of| drop(of["errors"].as_array_mut().unwrap().pop())),
            "`errors` has 23 entries, and `ttfts` has 24",
        ),
        (
            "no_itls.json",
            vllm(|of| drop(of.as_object_mut().unwrap().remove("itls"))),
            "it has `ttfts`, and no `itls`",
        ),
        (
            "no_ttfts.json",
            vllm(|of| drop(of.as_object_mut().unwrap().remove("ttfts"))),
            "it has `itls`, and no `ttfts`",
        ),
        ("g1.json", guidellm(|of| of["benchmarks"] = json!(7)), "`benchmarks` must be a list, got 7"),
        ("g2.json", guidellm(|of| of["benchmarks"][0] = json!({})), "`benchmarks[0]` has neither"),
        (
            "g3.json",
            guidellm(|of| of["benchmarks"][0]["requests"]["successful"] = json!({})),
            "`benchmarks[0].requests.successful` must be a list, got a map",
        ),
        (
            "g4.json",
            guidellm(|of| of["benchmarks"][0]["requests"]["successful"][1]["info"] = json!({})),
            "`benchmarks[0].requests.successful[1]` has no `info.timings.request_start`",
        ),
        (
            "g5.json",
            guidellm(|of| {
                of["benchmarks"][0]["requests"]["successful"][1]["info"]["timings"]["request_end"] =
                    json!("late");
            }),
            "`benchmarks[0].requests.successful[1].info.timings.request_end` must be a number, got \"late\"",
        ),
        (
            "g6.json",
            guidellm(|of| {
                of["benchmarks"][0]["requests"]["successful"][1]["info"]["timings"]["request_end"] =
                    json!(1.0);
            }),
            "must be a time from 0 on",
        ),
        ("a1.jsonl", line(|of| of["metadata"] = json!({})), "`line 3` has no `metadata.request_start_ns`"),
        (
            "a2.jsonl",
            line(|of| of["metrics"]["time_to_first_token"]["value"] = json!("x")),
            "`line 3.metrics.time_to_first_token.value` must be a number, got \"x\"",
        ),
        (
            "a3.jsonl",
            line(|of| of["metrics"]["inter_chunk_latency"]["value"][1] = json!(-1)),
            "`line 3.metrics.inter_chunk_latency.value[1]` must be a time from 0 on",
        ),
        (
            "a4.json",
            changed("profile_export_aiperf.json", |of| of["request_latency"]["avg"] = json!("x")),
            "`request_latency.avg` must be a number, got \"x\"",
        ),
    ] {
        let error = import(&files(parent.path(), &[(name, &text)]), parent.path()).unwrap_err();
        assert!(error.message.contains(told), "{name}: {error}");
        assert!(error.message.contains(name) && !error.message.contains('\n'), "{name}: {error}");
        assert_eq!(error.kind.exit_code(), 2, "{name}");
    }
    let names: Vec<_> =
        std::fs::read_dir(parent.path()).unwrap().flatten().filter(|entry| entry.path().is_dir()).collect();
    assert!(names.is_empty(), "nothing is left behind");
}

#[test]
fn what_python_calls_nan_is_not_observed() {
    let parent = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(elsewhere("vllm.json")).unwrap();
    let text = text.replacen("\"burstiness\": 1.0", "\"burstiness\": Infinity", 1);
    let place = text.find("\"mean_tpot_ms\": ").unwrap();
    let end = place + text[place..].find(',').unwrap();
    let text = format!("{}\"mean_tpot_ms\": NaN{}", &text[..place], &text[end..]);
    let imported = import(&files(parent.path(), &[("nan.json", &text)]), parent.path()).unwrap();
    let row = &recalled::rows(&imported.folder).unwrap()[0];
    assert_eq!(row["mean_tpot_ms"], Value::Null);
    assert!(row["mean_ttft_ms"].is_number());
}
