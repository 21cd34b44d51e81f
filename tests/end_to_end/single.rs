//! `rampant single`: what is sent, how much and how fast, and what is kept.

use crate::lab::{Engine, Lab, manifest, outcomes, records, runs};
use crate::recorder::{Recorder, Seen};
use rampant::record::{EventKind, Phase, Record};
use serde_json::{Value, json};

const MS: i64 = 1_000_000;

/// How far the kernel's receive times may be off from the clock of the sends.
const CLOCK_MS: f64 = 0.1;

#[track_caller]
fn all_succeeded(records: &[Record], n: usize) {
    assert_eq!(outcomes(records), [("success", n)].into());
}

#[test]
fn completions_give_one_row_and_one_served_request_each() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let done = lab.single(&engine.url, &["--num-prompts", "20", "--max-concurrency", "4"]).exits(0);
    assert!(done.out.contains("20 total, 20 succeeded, 0 failed"), "{}", done.out);

    let records = records(&lab.result());
    all_succeeded(&records, 20);
    let truth = engine.truth();
    assert_eq!(truth.len(), 21, "the preflight and 20 requests");
    for (seq, record) in records.iter().enumerate() {
        assert_eq!(record.seq, seq as u64);
        let served = &truth[&record.id];
        assert_eq!(record.usage.output, Some(8));
        assert_eq!(served["output_tokens"], 8);
        assert_eq!(served["prompt_tokens"], 16);
        assert_eq!(served["streamed"], true);
        assert_eq!(record.timeline.events.output().count(), 8);
        assert!(record.ttft_ms().unwrap() >= 2.0 - CLOCK_MS && record.e2el_ms() > record.ttft_ms());
    }
    let runs = runs(&lab.result());
    assert_eq!(runs.len(), 1);
    assert_eq!((&runs[0]["run"], &runs[0]["completed"]), (&json!("io16x8_mc4_np20"), &json!(20)));
}

#[test]
fn chat_is_timed_from_the_first_text_and_not_from_the_role() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=30ms,itl=1ms,role_chunk=true"));
    lab.single(&engine.url, &["--num-prompts", "6", "--backend", "openai-chat"]).exits(0);
    let records = records(&lab.result());
    all_succeeded(&records, 6);
    for record in &records {
        let events = &record.timeline.events;
        let first = events.output().next().expect("text");
        assert!(first > 0 && events.kind[0].has(EventKind::ROLE), "the role comes first");
        let (ttft, at) = (record.ttft_ms().unwrap(), f64::from(events.at_us[first]) / 1e3);
        assert!(
            (ttft - at).abs() < 1e-6 && ttft >= 30.0 - CLOCK_MS,
            "{ttft} ms, the text came after {at} ms"
        );
    }
    assert_eq!(runs(&lab.result())[0]["endpoint_type"], "openai-chat");
}

#[test]
fn a_reply_in_one_piece_has_no_first_token() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let done = lab.single(&engine.url, &["--num-prompts", "5", "--no-stream"]).exits(0);
    let records = records(&lab.result());
    all_succeeded(&records, 5);
    for record in &records {
        assert!(!record.streamed && record.usage.output == Some(8));
        assert_eq!((record.ttft_ms(), record.tpot_ms()), (None, None));
        assert!(record.e2el_ms().unwrap() >= 9.0 - CLOCK_MS);
    }
    assert!(engine.truth().values().all(|served| served["streamed"] == false), "{}", done.out);
}

#[test]
fn a_duration_ends_the_sending_and_not_the_requests() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let more = ["--duration", "700ms", "--request-rate", "100", "--burstiness", "4"];
    lab.single(&engine.url, &more).exits(0);
    let records = records(&lab.result());
    let n = records.len();
    all_succeeded(&records, n);
    assert!((55..=85).contains(&n), "{n} requests in 0.7 s at 100 a second");
    assert!(records.iter().all(|record| record.timeline.planned < 700 * MS));
    assert_eq!(manifest(&lab.result())["runs"][0]["stopped_by"], "duration");
}

#[test]
fn warm_up_requests_are_kept_but_not_counted() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let more = ["--num-prompts", "12", "--warmup", "5", "--max-concurrency", "2"];
    let done = lab.single(&engine.url, &more).exits(0);
    assert!(done.out.contains("12 total, 12 succeeded"), "{}", done.out);
    let records = records(&lab.result());
    let warm = |record: &Record| record.phase == Phase::Warmup;
    assert_eq!(records.len(), 17);
    assert!(records[..5].iter().all(warm) && !records[5..].iter().any(warm));
    assert_eq!(runs(&lab.result())[0]["completed"], 12);
}

#[test]
fn warm_up_time_comes_before_the_measured_time() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let more = ["--duration", "400ms", "--warmup", "300ms", "--request-rate", "100"];
    lab.single(&engine.url, &more).exits(0);
    let records = records(&lab.result());
    let (warm, measured): (Vec<_>, Vec<_>) = records.iter().partition(|r| r.phase == Phase::Warmup);
    assert!(warm.len() > 10 && measured.len() > 10, "{} and {}", warm.len(), measured.len());
    assert!(warm.iter().all(|record| record.timeline.planned < 300 * MS));
    assert!(measured.iter().all(|record| (300 * MS..700 * MS).contains(&record.timeline.planned)));
    assert_eq!(runs(&lab.result())[0]["num_prompts"], measured.len());
}

#[test]
fn a_rate_plans_every_send_by_itself() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=50ms,itl=1ms"));
    let more = ["--num-prompts", "60", "--request-rate", "120", "--burstiness", "1000000"];
    lab.single(&engine.url, &more).exits(0);
    let records = records(&lab.result());
    all_succeeded(&records, 60);
    let planned: Vec<i64> = records.iter().map(|record| record.timeline.planned).collect();
    for pair in planned.windows(2) {
        let gap_ms = (pair[1] - pair[0]) as f64 / 1e6;
        assert!((gap_ms - 1000.0 / 120.0).abs() < 0.2, "evenly spaced, got a gap of {gap_ms} ms");
    }
    // 120 a second and 57 ms each: about seven at a time, with no cap in the way.
    let sent = records.iter().map(|record| record.timeline.sent.unwrap());
    assert!(sent.zip(&planned).all(|(sent, planned)| sent >= *planned));
    assert!(runs(&lab.result())[0]["max_concurrent_requests"].as_f64().unwrap() >= 3.0);
}

#[test]
fn goodput_counts_requests_within_every_limit() {
    let share = |limits: &[&str]| {
        let (lab, engine) = (Lab::new(), Engine::start("ttft=20ms,itl=1ms"));
        let more = [&["--num-prompts", "8", "--goodput"], limits].concat();
        lab.single(&engine.url, &more).exits(0);
        runs(&lab.result())[0]["request_goodput"].as_f64().unwrap()
    };
    assert!(share(&["ttft:60000", "tpot:60000"]) > 0.0);
    assert_eq!(share(&["ttft:60000", "e2el:21"]), 0.0);
}

/// Everything that a dashboard reads, in vLLM's order, with metadata where vLLM has it.
const RESULT_KEYS: &str = "date endpoint_type backend label model_id tokenizer_id num_prompts gpus tp \
    request_rate burstiness max_concurrency duration completed failed total_input_tokens \
    total_output_tokens request_throughput request_goodput output_throughput total_token_throughput \
    max_output_tokens_per_s max_concurrent_requests mean_ttft_ms median_ttft_ms std_ttft_ms p50_ttft_ms \
    p99.9_ttft_ms mean_tpot_ms median_tpot_ms std_tpot_ms p50_tpot_ms p99.9_tpot_ms mean_itl_ms \
    median_itl_ms std_itl_ms p50_itl_ms p99.9_itl_ms mean_e2el_ms median_e2el_ms std_e2el_ms p50_e2el_ms \
    p99.9_e2el_ms input_lens output_lens ttfts itls start_times generated_texts errors";

#[test]
fn the_saved_result_has_the_keys_of_vllm_in_their_order() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let more = [
        "--num-prompts",
        "4",
        "--save-result",
        "--save-detailed",
        "--result-filename",
        "saved.json",
        "--metric-percentiles",
        "50,99.9",
        "--metadata",
        "tp=8",
        "gpus=2",
    ];
    lab.single(&engine.url, &more).exits(0);
    let text = std::fs::read_to_string(lab.result().join("saved.json")).unwrap();
    let Value::Object(saved) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
    assert_eq!(saved.keys().map(String::as_str).collect::<Vec<_>>().join(" "), RESULT_KEYS);
    assert_eq!(saved["request_rate"], "inf");
    assert_eq!((&saved["tp"], &saved["gpus"]), (&json!(8), &json!(2)));
    assert_eq!(saved["request_goodput"], Value::Null);
    assert_eq!(saved["total_output_tokens"], 32);
    assert_eq!(saved["ttfts"].as_array().map(Vec::len), Some(4));
    assert_eq!(saved["itls"][0].as_array().map(Vec::len), Some(7));
}

#[test]
fn the_body_on_the_wire_is_what_the_server_expects() {
    let (lab, server) = (Lab::new().with_env("OPENAI_API_KEY", "sk-for-the-header"), Recorder::start());
    lab.single(&server.url, &["--num-prompts", "1", "--header", "x-team=blue", "--top-p", "0.5"]).exits(0);
    let seen = server.measured();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path, "/v1/completions");
    assert!(seen[0].head.contains("authorization: bearer sk-for-the-header\r\n"), "{}", seen[0].head);
    assert!(seen[0].head.contains("x-team: blue"), "{}", seen[0].head);
    let mut body = seen[0].body.clone();
    assert_eq!(body["prompt"].as_str().unwrap().split_whitespace().count(), 16);
    body.as_object_mut().unwrap().remove("prompt");
    assert_eq!(
        body,
        json!({
            "model": "recorded", "temperature": 0.0, "top_p": 0.5, "max_tokens": 8, "min_tokens": 8,
            "ignore_eos": true, "stream": true, "stream_options": {"include_usage": true},
        })
    );
}

#[test]
fn chat_asks_with_messages_and_the_new_limit() {
    let (lab, server) = (Lab::new(), Recorder::start());
    let more = ["--num-prompts", "1", "--endpoint", "/v1/chat/completions", "--natural-length"];
    lab.single(&server.url, &more).exits(0);
    let body = server.measured()[0].body.clone();
    assert_eq!(body["messages"][0]["role"], "user");
    assert_eq!(body["max_completion_tokens"], 8);
    for absent in ["prompt", "max_tokens", "min_tokens", "ignore_eos"] {
        assert!(body.get(absent).is_none(), "{absent} in {body}");
    }
}

/// The prompts and reply limits that a run of ten requests sent.
fn sent(more: &[&str]) -> Vec<(String, u64)> {
    let (lab, server) = (Lab::new(), Recorder::start());
    let ten = ["--num-prompts", "10", "--max-concurrency", "1", "--random-range-ratio", "0.5"];
    lab.single(&server.url, &[&ten, more].concat()).exits(0);
    let of = |seen: &Seen| (seen.text("prompt").to_string(), seen.body["max_tokens"].as_u64().unwrap());
    server.measured().iter().map(of).collect()
}

fn lengths(sent: &[(String, u64)]) -> Vec<(usize, u64)> {
    sent.iter().map(|(prompt, limit)| (prompt.split_whitespace().count(), *limit)).collect()
}

#[test]
fn the_same_seed_and_bytes_send_the_same_prompts() {
    let first = sent(&["--seed", "5", "--same-bytes"]);
    assert_eq!(first.len(), 10);
    assert_eq!(first, sent(&["--seed", "5", "--same-bytes"]));
    assert_ne!(lengths(&first), lengths(&sent(&["--seed", "6", "--same-bytes"])));
}

#[test]
fn a_rerun_sends_the_same_lengths_in_other_words() {
    let (first, second) = (sent(&["--seed", "5"]), sent(&["--seed", "5"]));
    assert_eq!(lengths(&first), lengths(&second));
    assert!(first.iter().zip(&second).all(|(a, b)| a.0 != b.0), "a server's prefix cache must not help");
}
