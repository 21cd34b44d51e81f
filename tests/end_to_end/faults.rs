//! Servers that misbehave: every request has its row, under the right name.

use rampant::record::Record;

use crate::lab::{Engine, Lab, manifest, outcomes, records, runs};
use crate::recorder::{Recorder, reply};

/// Forty requests to an engine that spoils every tenth; the preflight is the first generation,
/// so four of the forty are hit, whatever their order.
#[track_caller]
fn spoiled(fail: &str, outcome: &'static str, words: &str) {
    let (lab, engine) = (Lab::new(), Engine::start(&format!("ttft=2ms,itl=1ms,fail={fail}:0.1")));
    let more = ["--num-prompts", "40", "--max-concurrency", "8", "--idle-timeout", "500ms"];
    let done = lab.single(&engine.url, &more).exits(0);
    assert!(done.out.contains("40 total, 36 succeeded, 4 failed (10.00 %)"), "{}", done.out);
    // A status is told by its number.
    let shown = if outcome == "status" { format!("http_{words}") } else { outcome.to_string() };
    let line = done.out.lines().find(|line| line.contains(&format!("  {shown} ")));
    assert!(line.is_some_and(|line| line.contains("4, such as: ")), "{}", done.out);

    let records = records(&lab.result());
    assert_eq!(outcomes(&records), [("success", 36), (outcome, 4)].into());
    for record in records.iter().filter(|record| !record.success()) {
        let told = record.error.as_deref().unwrap_or_default();
        assert!(told.contains(words), "{told:?} does not say {words:?}");
        assert!(record.timeline.end - record.timeline.sent.unwrap() < 60_000_000_000, "given up in time");
    }
    let run = &runs(&lab.result())[0];
    assert_eq!((run["completed"].as_u64(), run["failed"].as_u64()), (Some(36), Some(4)));
}

#[test]
fn an_error_status_is_told_in_the_servers_words() {
    spoiled("status:503", "status", "503");
}

#[test]
fn an_error_inside_a_stream_is_no_success() {
    spoiled("error_event", "server_error", "simulated");
}

#[test]
fn a_stream_that_is_cut_is_truncated() {
    spoiled("cut", "truncated", "closed the connection before the body ended");
}

#[test]
fn a_stream_that_goes_silent_is_given_up_after_the_idle_timeout() {
    spoiled("stall", "timeout_idle", "idle timeout of 0.5 s");
}

#[test]
fn a_stream_without_a_finish_reason_is_unfinished() {
    spoiled("no_finish", "unfinished", "finish reason");
}

#[test]
fn a_server_that_closes_after_every_reply_costs_connections_and_nothing_else() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1ms,close=true"));
    let more = ["--num-prompts", "30", "--max-concurrency", "3"];
    lab.single(&engine.url, &more).exits(0);
    let records = records(&lab.result());
    assert_eq!(outcomes(&records), [("success", 30)].into());
    assert_eq!(engine.truth().len(), 31, "the preflight and 30 requests, none of them twice");
}

#[test]
fn a_server_that_dies_leaves_classified_failures_and_a_readable_folder() {
    let (lab, mut engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1ms"));
    let more = ["--num-prompts", "100000", "--max-concurrency", "4", "--reconnect-for", "300ms"];
    let running = lab.start(&crate::lab::single(&engine.url, &more));
    engine.until(|engine| engine.truth().len() > 20);
    engine.kill();
    let done = running.finish().exits(1);
    assert!(done.error().contains("ended early: no connection for 0.3 s ("), "{}", done.err);

    let records = records(&lab.result());
    let counts = outcomes(&records);
    assert!(counts["success"] >= 20, "{counts:?}");
    assert_eq!(counts["connect"], 4, "one for each place: {counts:?}");
    let refused = records.iter().filter(|record| record.outcome.name() == "connect");
    assert!(
        refused.clone().all(|record| record.connect_tries > 1),
        "{:?}",
        refused.map(|r| r.connect_tries).collect::<Vec<_>>()
    );
    let known = ["success", "connect", "truncated", "disconnected"];
    assert!(counts.keys().all(|name| known.contains(name)), "{counts:?}");
    assert!(done.out.contains(&format!("{} failed", records.len() - counts["success"])), "{}", done.out);
    let manifest = manifest(&lab.result());
    assert_eq!(manifest["exit_code"], 1);
    assert!(manifest["problems"][0].as_str().unwrap().contains("ended early"));
    assert_eq!(runs(&lab.result()).len(), 1);
}

#[test]
fn a_closed_loop_loses_only_what_was_in_flight_when_its_server_is_started_again() {
    let config = "ttft=2ms,itl=1ms";
    let (lab, mut engine) = (Lab::new(), Engine::start(config));
    let running =
        lab.start(&crate::lab::single(&engine.url, &["--num-prompts", "300", "--max-concurrency", "4"]));
    engine.until(|engine| engine.truth().len() > 20);
    engine.kill();
    std::thread::sleep(std::time::Duration::from_millis(400));
    engine.start_again(config);
    let done = running.finish().exits(0);

    let records = records(&lab.result());
    let counts = outcomes(&records);
    assert_eq!(records.len(), 300, "each is one row");
    // Four were in flight, and four more may be let in by a server that is just being killed.
    assert!(counts["success"] >= 292, "{counts:?}");
    assert!(!counts.contains_key("connect"), "{counts:?}");
    let waited: Vec<_> = records.iter().filter(|record| record.connect_tries > 1).collect();
    assert!((1..=4).contains(&waited.len()), "{} waited in 4 places", waited.len());
    for record in &waited {
        assert!(record.success(), "{record:?}");
        let lateness = record.timeline.lateness().expect("sent");
        assert!(
            record.queue_delay_ms().expect("sent") * 1e6 > lateness as f64,
            "the wait is not our lateness"
        );
    }
    let told = format!("requests that waited for the server to come back {}", waited.len());
    // Wherever the table breaks its lines.
    let out = done.out.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(out.contains(&told), "{}", done.out);
    assert_eq!(runs(&lab.result())[0]["outlasted"], waited.len());
}

#[test]
fn an_open_loop_goes_on_through_a_restart_and_each_refused_request_is_a_failure() {
    let config = "ttft=2ms,itl=1ms";
    let (lab, mut engine) = (Lab::new(), Engine::start(config));
    let more = ["--num-prompts", "400", "--request-rate", "200"];
    let running = lab.start(&crate::lab::single(&engine.url, &more));
    engine.until(|engine| engine.truth().len() > 20);
    engine.kill();
    std::thread::sleep(std::time::Duration::from_millis(300));
    engine.start_again(config);
    let done = running.finish();
    assert!(matches!(done.code, Some(0 | 1)), "{}", done.err);
    assert!(!done.err.contains("ended early"), "{}", done.err);

    let records = records(&lab.result());
    let counts = outcomes(&records);
    assert_eq!(records.len(), 400);
    assert!(counts["connect"] > 10, "more in a row than once ended a run: {counts:?}");
    // Only one whose connection died before it was sent looks for another.
    let again = records.iter().filter(|record| record.connect_tries > 1).count();
    assert!(again < 10, "{again} of {counts:?}");
    assert!(records.iter().rev().take(10).all(Record::success), "it is back: {counts:?}");
}

#[test]
fn a_closed_loop_does_not_flood_a_gateway_whose_server_is_away() {
    let gone = "HTTP/1.1 503 X\r\ncontent-length: 4\r\n\r\ngone".to_string();
    let server = Recorder::answering(move |seen| if seen.is_preflight() { reply() } else { gone.clone() });
    let rows = |more: &str| {
        let lab = Lab::new();
        let script = format!(
            "let t = target(\"{}\", #{{ model: \"m\"{more} }});\n\
             run(#{{ target: t, workload: prompts(#{{ input: 8, output: 1 }}), arrivals: closed(4), duration: \"2s\" }});\n",
            server.url
        );
        lab.file("refused.rhai", &script);
        lab.run(&["run", "refused.rhai"]).exits(1);
        records(&lab.result())
    };
    let rested = rows("");
    // After 0, 0, 50, 150, 350, 750 and 1,550 ms: seven for each of four users.
    assert_eq!(outcomes(&rested), [("status", rested.len())].into());
    assert!((8..=28).contains(&rested.len()), "{}", rested.len());
    let waits = rested.iter().filter_map(Record::queue_delay_ms).fold(0.0, f64::max);
    assert!(waits < 1_000.0, "a rest is no delay: {waits}");
    let rushed = rows(", reconnect_for: 0");
    assert!(rushed.len() > 4 * rested.len(), "{} and {}", rushed.len(), rested.len());
}

#[test]
fn a_run_in_which_nothing_succeeds_exits_with_1() {
    // Half of the generations fail: the second, which is the only measured one.
    let (lab, engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1ms,fail=status:500:0.5"));
    let done = lab.single(&engine.url, &["--num-prompts", "1"]).exits(1);
    let told = "run io16x8_mc10_np1: none of 1 requests succeeded: 1 x http_500";
    assert!(done.error().starts_with(told), "{}", done.err);
    assert_eq!(outcomes(&records(&lab.result())), [("status", 1)].into());
}
