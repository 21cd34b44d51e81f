//! The measured window: where it ends, and that every file and every word of a run has the same.

use crate::lab::{Engine, Lab, manifest, records, runs, single};
use rampant::record::Phase;
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

/// Holds the one run of a folder to its rows; its row of numbers, and its seconds.
#[track_caller]
fn held(folder: &Path) -> (Map<String, Value>, f64) {
    let (run, records) = (runs(folder).remove(0), records(folder));
    let whole = |key: &str| run[key].as_i64().expect(key);
    let number = |key: &str| run[key].as_f64().expect(key);
    let (start, end) = (whole("window_start_ns"), whole("window_end_ns"));
    let told = &manifest(folder)["runs"][0];
    assert_eq!((told["window_start_ns"].as_i64(), told["window_end_ns"].as_i64()), (Some(start), Some(end)));
    let seconds = (end - start) as f64 / 1e9;
    let near = |what: &str, a: f64, b: f64| assert!((a - b).abs() <= 1e-9 * b.abs(), "{what}: {a}, not {b}");
    near("duration", number("duration_s"), seconds);

    let good = || records.iter().filter(|record| record.success());
    let inside = good().filter(|record| record.timeline.end > start && record.timeline.end <= end).count();
    near("requests", number("requests_rate"), inside as f64 / seconds);
    let measured = |record: &&rampant::record::Record| record.phase == Phase::Measured;
    let sent = records.iter().filter(measured).filter(|record| record.timeline.sent.is_some());
    let last = sent.map(|record| record.timeline.end).max().expect("a reply");
    near("vLLM's", number("request_throughput"), good().filter(measured).count() as f64 / number("duration"));
    near("vLLM's duration", number("duration"), (last - start) as f64 / 1e9);
    assert!(end <= last);
    (run, seconds)
}

#[test]
fn a_run_that_is_done_long_before_its_duration_is_not_divided_by_it() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=5ms,itl=1ms"));
    let more = ["--num-prompts", "12", "--duration", "1h", "--max-concurrency", "4", "--save-result"];
    lab.single(&engine.url, &more).exits(0);
    let (run, seconds) = held(&lab.result());
    assert!(seconds < 60.0, "{seconds} s");
    assert_eq!(run["stopped_by"], "requests");
    let saved = fs::read_dir(lab.path()).expect("a folder").flatten().map(|entry| entry.path());
    let saved =
        saved.chain(fs::read_dir(lab.result()).expect("a folder").flatten().map(|entry| entry.path()));
    let json = saved.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    let json = json.filter(|path| !path.ends_with("manifest.json")).next().expect("the result");
    let json: Value = serde_json::from_slice(&fs::read(json).expect("readable")).expect("JSON");
    for key in ["duration", "request_throughput", "output_throughput", "total_token_throughput"] {
        let [saved, stored] = [&json[key], &run[key]].map(|value| value.as_f64().expect(key));
        assert!((saved - stored).abs() < 1e-9 * stored, "{key}: {saved}, not {stored}");
    }
}

#[test]
fn an_interrupted_run_ends_with_the_last_reply_that_was_waited_for() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=20ms,itl=5ms"));
    let more = ["--duration", "1h", "--max-concurrency", "4", "--warmup", "3"];
    let running = lab.start(&single(&engine.url, &more));
    engine.until(|engine| engine.truth().len() > 20);
    running.signal(libc::SIGINT);
    running.finish().exits(130);
    let (run, seconds) = held(&lab.result());
    assert!(seconds < 600.0, "{seconds} s");
    assert_eq!(run["stopped_by"], "interrupted");
}

#[test]
fn a_server_that_dies_is_measured_while_it_lived() {
    let (lab, mut engine) = (Lab::new(), Engine::start("ttft=5ms,itl=1ms"));
    let more = ["--duration", "1h", "--max-concurrency", "4", "--reconnect-for", "1s"];
    let running = lab.start(&single(&engine.url, &more));
    engine.until(|engine| engine.truth().len() > 20);
    engine.kill();
    running.finish().exits(1);
    held(&lab.result());
}

#[test]
fn a_run_whose_time_is_up_has_exactly_that_time() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=5ms,itl=1ms"));
    lab.single(&engine.url, &["--duration", "300ms", "--max-concurrency", "4"]).exits(0);
    let (run, seconds) = held(&lab.result());
    assert_eq!((seconds, &run["stopped_by"]), (0.3, &Value::from("duration")));
    assert_eq!(run["peak_output_tokens_per_s"], Value::Null, "less than a second has no peak in one");
}

#[test]
fn parts_of_a_run_add_up_to_it_and_refuse_what_only_the_whole_has() {
    let lab = Lab::new();
    lab.file(
        "parts.rhai",
        r##"
        let short = prompts(#{ class: "short", input: 8, output: 4 });
        let long  = prompts(#{ class: "long", input: 8, output: 12 });
        let r = run(#{
            target: target("builtin:ttft=5ms,itl=1ms"), workload: mix([[1, short], [1, long]]),
            arrivals: closed(4), requests: 30, warmup: 6,
        });
        let parts = r.by("class");
        for name in ["requests.rate", "output_tokens.rate"] {
            check(name, abs(parts.short[name] + parts.long[name] - r[name]) < 1e-6 * r[name]);
        }
        check("one window", parts.long.duration == r.duration && r.duration == r["duration"]);
        check("a series of its own", parts.long.series("output_tokens", "1h")[0].value < r.series("output_tokens", "1h")[0].value);
        for (f, i) in [
            || parts.long.save_vllm(#{}), || parts.long.charts(), || parts.long.series("server.running", "1s"),
            || parts.long.by("class"), || parts.long.evidence(),
        ] {
            let told = "";
            try { f.call(); } catch (e) { told = `${e}`; }
            check(`${i} refuses: ${told}`, told.contains("is a part of a run, and this is there for whole runs alone"));
        }
        "##,
    );
    lab.run(&["run", "parts.rhai"]).exits(0);
}

#[test]
fn a_burst_has_no_time_before_it() {
    let lab = Lab::new();
    lab.file(
        "burst.rhai",
        "run(#{ target: target(\"builtin:\"), workload: prompts(#{ input: 8, output: 4 }), arrivals: at_once(), requests: 4, warmup: \"1s\" });",
    );
    let done = lab.run(&["run", "burst.rhai"]).exits(2);
    assert!(done.error().contains("none after a `warmup` by time"), "{}", done.err);
}
