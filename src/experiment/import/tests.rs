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
    let row = &super::super::aggregate::rows(&imported.folder).unwrap()[0];
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

#[test]
fn what_cannot_be_imported_is_one_sentence() {
    let parent = tempfile::tempdir().unwrap();
    for (name, text, told) in [
        ("a.json", "{\"completed\": 4", "line 1"),
        ("b.json", "{\"x\": 1}", "no result of a tool"),
        ("c.csv", "a,b\n1,2\n", "neither JSON nor a CSV"),
        ("d.json", "[1, 2]", "other JSON than objects"),
        ("e.json", "[]", "it is empty"),
        ("f.json", "", "the CSV is empty"),
    ] {
        let error = import(&files(parent.path(), &[(name, text)]), parent.path()).unwrap_err();
        assert!(error.message.contains(told), "{name}: {error}");
    }
    let names: Vec<_> =
        std::fs::read_dir(parent.path()).unwrap().flatten().filter(|entry| entry.path().is_dir()).collect();
    assert!(names.is_empty(), "nothing is left behind");
}
