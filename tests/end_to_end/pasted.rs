//! Commands of other benchmarks, pasted behind `rampant`.

use crate::lab::{Engine, Lab, records, runs};
use serde_json::{Value, json};

/// The saved result.
fn saved(lab: &Lab) -> Value {
    serde_json::from_slice(&std::fs::read(lab.result().join("saved.json")).expect("saved")).expect("JSON")
}

#[test]
fn a_whole_line_runs_with_one_note_for_all_that_has_no_meaning_here() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let line = "vllm bench serve --backend openai-chat --model rampant-sim --endpoint /v1/chat/completions \
                --random_input_len 16 --random-output-len 8 --num-prompts 1000 --max-concurrency 2 --num-prompts 6 \
                --trust-remote-code --disable-tqdm --seed 7 --label tp8 --save-result --result-filename saved.json --base-url";
    let line: Vec<&str> = line.split_whitespace().chain([engine.url.as_str()]).collect();
    let done = lab.run(&line).exits(0);
    let note = "note: without a meaning here, left out: --trust-remote-code, --disable-tqdm\n";
    assert_eq!(done.err.matches(note).count(), 1, "{}", done.err);
    assert_eq!(done.err.matches("--trust-remote-code").count(), 1, "{}", done.err);
    assert_eq!(runs(&lab.result())[0]["run"], "io16x8_mc2_np6");
    assert!(records(&lab.result()).iter().all(|record| record.success()));
    let saved = saved(&lab);
    assert_eq!(
        (&saved["label"], &saved["backend"], &saved["completed"]),
        (&json!("tp8"), &json!("openai-chat"), &json!(6))
    );
}

#[test]
fn a_ramp_sends_its_requests_at_growing_rates_and_says_so_in_vllms_words() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let flags = [
        "--num-prompts",
        "60",
        "--ramp-up-strategy",
        "exponential",
        "--ramp-up-start-rps",
        "20",
        "--ramp-up-end-rps",
        "320",
        "--burstiness",
        "inf",
        "--save-result",
        "--result-filename",
        "saved.json",
    ];
    lab.single(&engine.url, &flags).exits(0);
    let mut planned: Vec<f64> =
        records(&lab.result()).iter().map(|record| record.timeline.planned as f64 / 1e9).collect();
    planned.sort_by(f64::total_cmp);
    assert_eq!(planned.len(), 60);
    // Gaps of 1/20 s at first and of 1/320 s at last, each the same factor shorter than the one before.
    let gap = |i: usize| planned[i + 1] - planned[i];
    let factor = (320.0_f64 / 20.0).powf(1.0 / 59.0);
    for i in 0..58 {
        assert!((gap(i) / gap(i + 1) / factor - 1.0).abs() < 0.01, "{i}: {} {}", gap(i), gap(i + 1));
    }
    assert!(
        (gap(0) * 20.0 - 1.0).abs() < 0.05 && (gap(58) * 320.0 - 1.0).abs() < 0.05,
        "{} {}",
        gap(0),
        gap(58)
    );
    let saved = saved(&lab);
    for (key, value) in [
        ("ramp_up_strategy", json!("exponential")),
        ("ramp_up_start_rps", json!(20.0)),
        ("ramp_up_end_rps", json!(320.0)),
        ("request_rate", json!("inf")),
        ("max_concurrency", Value::Null),
    ] {
        assert_eq!(saved[key], value, "{key}");
    }
}

#[test]
fn a_model_that_is_a_folder_with_a_tokenizer_uses_it() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1ms,model=./m"));
    std::fs::create_dir(lab.path().join("m")).unwrap();
    lab.single(&engine.url, &["--model", "./m", "--num-prompts", "1"]).exits(0);
    lab.file("m/tokenizer.json", r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
        "normalizer":null,"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,
        "model":{"type":"WordLevel","vocab":{"the":0,"of":1,"and":2,"to":3,"a":4,"[UNK]":5},"unk_token":"[UNK]"}}"#);
    let done = lab
        .single(
            &engine.url,
            &["--model", "./m", "--num-prompts", "1", "--save-result", "--result-filename", "saved.json"],
        )
        .exits(0);
    assert!(!done.err.contains("no tokenizer"), "{}", done.err);
    let folder = lab.results().into_iter().find(|folder| folder.join("saved.json").exists()).expect("saved");
    let saved: Value = serde_json::from_slice(&std::fs::read(folder.join("saved.json")).unwrap()).unwrap();
    assert_eq!(saved["tokenizer_id"], "./m");
}
