use super::super::fixture::{FixtureReply, reply};
use super::*;

/// A chat: a role event, reasoning, two events of two tokens each, a finish event with empty text, usage.
fn chat(seq: u64, at: Nanos) -> FixtureReply {
    let choices = |kind: EventKind| EventKind(kind.0 | EventKind::CHOICES.0);
    reply(seq, at)
        .event(10, choices(EventKind::ROLE), 0)
        .event(50, choices(EventKind::REASONING), 1)
        .event(80, choices(EventKind::CONTENT), 2)
        .event(120, choices(EventKind::CONTENT), 2)
        .event(130, choices(EventKind::FINISH.with(EventKind::BLANK)), 0)
        .event(140, EventKind::USAGE, 0)
        .usage(7, 5)
        .ends(150)
}

fn stats(view: View, replies: impl IntoIterator<Item = FixtureReply>) -> Map<String, Value> {
    let mut stats = ViewStats::new(view);
    replies.into_iter().for_each(|reply| stats.add(&reply.record()));
    stats.close(Some(2.0));
    stats.columns()
}

fn says(map: &Map<String, Value>, expected: &[(&str, Option<f64>)]) {
    for (key, value) in expected {
        match (map[*key].as_f64(), value) {
            (Some(a), Some(b)) => assert!((a - b).abs() < 1e-9, "{key}: {a}, not {b}"),
            (a, b) => assert_eq!(a, *b, "{key}"),
        }
    }
}

#[test]
fn vllm_counts_text_and_empty_text_but_no_role() {
    let map = stats(View::Vllm, [chat(0, 0)]);
    says(
        &map,
        &[
            ("mean_ttft_ms", Some(50.0)),
            ("mean_e2el_ms", Some(130.0)),
            ("mean_tpot_ms", Some(20.0)),
            ("mean_itl_ms", Some(80.0 / 3.0)),
            // 10, 30 and 40.
            ("p99_itl_ms", Some(39.8)),
            ("duration", Some(2.0)),
            ("output_throughput", Some(2.5)),
            ("total_token_throughput", Some(6.0)),
        ],
    );
    assert_eq!(map["itl_count"], 3);
}

#[test]
fn guidellm_weighs_by_tokens_and_takes_a_value_that_occurred() {
    let long = chat(1, 1_000);
    let short =
        reply(0, 0).event(20, EventKind::CONTENT, 1).event(30, EventKind::CONTENT, 1).usage(3, 2).ends(40);
    let map = stats(View::Guidellm, [short, long]);
    says(
        &map,
        &[
            ("mean_ttft_ms", Some(35.0)),
            ("mean_e2el_ms", Some(95.0)),
            // Of 20 and 50 the lower one, of 40 and 150 as well.
            ("median_ttft_ms", Some(20.0)),
            ("median_e2el_ms", Some(40.0)),
            ("p99_ttft_ms", Some(50.0)),
            // 120 / 5 five times, 30 / 2 twice.
            ("mean_tpot_ms", Some((24.0 * 5.0 + 15.0 * 2.0) / 7.0)),
            ("median_tpot_ms", Some(24.0)),
            // 70 / 4 four times, 10 once.
            ("mean_itl_ms", Some((17.5 * 4.0 + 10.0) / 5.0)),
            ("p99_itl_ms", Some(17.5)),
            ("duration", Some(1.15)),
        ],
    );
}

#[test]
fn aiperf_has_one_gap_a_request_and_chunks_beside_it() {
    let map = stats(View::Aiperf, [chat(0, 0)]);
    says(
        &map,
        &[
            ("mean_ttft_ms", Some(50.0)),
            ("mean_e2el_ms", Some(120.0)),
            ("mean_itl_ms", Some(17.5)),
            ("mean_tpot_ms", None),
            ("mean_inter_chunk_latency_ms", Some(35.0)),
            ("duration", Some(0.12)),
        ],
    );
}

#[test]
fn inference_perf_sees_no_reasoning_and_has_gaps_of_nothing() {
    let map = stats(View::InferencePerf, [chat(0, 0)]);
    says(
        &map,
        &[
            ("mean_ttft_ms", Some(80.0)),
            ("mean_e2el_ms", Some(150.0)),
            ("mean_tpot_ms", Some(10.0)),
            // 0, 40, 0
            ("mean_itl_ms", Some(40.0 / 3.0)),
            ("median_itl_ms", Some(0.0)),
            ("std_ttft_ms", None),
            ("mean_ntpot_ms", Some(30.0)),
        ],
    );
}

#[test]
fn our_own_view_is_what_a_summary_says() {
    let replies = || (0..40).map(|i| chat(i, 10 * i as Nanos).waited(3));
    let map = stats(View::Rampant, replies());
    let summary = super::super::fixture::all(replies());
    for (key, name) in [
        ("mean_ttft_ms", "ttft.mean"),
        ("p99_tpot_ms", "tpot.p99"),
        ("std_itl_ms", "itl.std"),
        ("median_e2el_ms", "e2el.median"),
        ("total_output_tokens", "output_tokens.sum"),
    ] {
        says(&map, &[(key, summary.value(name).unwrap())]);
    }
}

#[test]
fn whose_definition_it_is_says_what_a_success_is() {
    let odd = |outcome| chat(0, 0).fails(outcome, "odd");
    for (view, outcome, completed) in [
        (View::Vllm, Outcome::Unfinished, 1),
        (View::Vllm, Outcome::ServerError, 1),
        (View::Vllm, Outcome::Truncated, 0),
        (View::Rampant, Outcome::Unfinished, 0),
        (View::Aiperf, Outcome::ServerError, 1),
        (View::Guidellm, Outcome::Unfinished, 1),
        (View::Guidellm, Outcome::ServerError, 0),
        (View::InferencePerf, Outcome::ServerError, 1),
        (View::InferencePerf, Outcome::Status, 0),
    ] {
        let map = stats(view, [odd(outcome)]);
        assert_eq!(
            (&map["completed"], &map["failed"]),
            (&json!(completed), &json!(1 - completed)),
            "{view:?}"
        );
    }
    let silent = || reply(0, 0).event(5, EventKind::USAGE, 0).usage(4, 1);
    assert_eq!(stats(View::Vllm, [silent()])["completed"], 0, "no event with choices");
    assert_eq!(stats(View::Guidellm, [silent()])["completed"], 1, "the server counted one");
}

#[test]
fn each_tool_judges_goodput_by_its_own_values_and_has_none_of_limits_that_it_does_not_know() {
    // ttft 50, e2el 120, 130 or 150; five tokens, the last at 120.
    let good = |view, limits: &[(&str, f64)]| {
        let limit = |(metric, ms): &(&str, f64)| Limit { metric: metric.to_string(), ms: *ms };
        let mut stats = ViewStats::with_limits(view, limits.iter().map(limit).collect());
        let one = reply(1, 0).event(20, EventKind::CONTENT.with(EventKind::CHOICES), 0).usage(3, 1).ends(30);
        [chat(0, 0), one].into_iter().for_each(|reply| stats.add(&reply.record()));
        stats.close(Some(2.0));
        let seconds = stats.columns()["duration"].as_f64().unwrap();
        stats.columns()["request_goodput"].as_f64().map(|rate| (rate * seconds).round())
    };
    for (view, limits, expected) in [
        (View::Vllm, &[("ttft", 50.0)][..], Some(2.0)),
        (View::Vllm, &[("ttft", 49.0)], Some(1.0)),
        (View::Vllm, &[("e2el", 125.0)], Some(1.0)),
        // A single token: 0.
        (View::Vllm, &[("tpot", 1.0)], Some(1.0)),
        (View::Vllm, &[("itl", 99.0)], None),
        (View::Vllm, &[("ttft", 50.0), ("queue_delay", 9.0)], None),
        (View::Guidellm, &[("tpot", 17.5)], Some(1.0)),
        (View::Guidellm, &[("e2el", 149.0)], Some(1.0)),
        (View::Aiperf, &[("itl", 17.5)], Some(1.0)),
        (View::Aiperf, &[("tpot", 99.0)], None),
        // It sees no first token of a reply of one.
        (View::InferencePerf, &[("ttft", 80.0)], Some(1.0)),
        (View::InferencePerf, &[("ntpot", 30.0)], Some(2.0)),
        (View::InferencePerf, &[("itl", 13.0)], Some(0.0)),
        (View::InferencePerf, &[("itl", 13.4)], Some(1.0)),
        (View::Vllm, &[], None),
    ] {
        assert_eq!(good(view, limits), expected, "{view:?} {limits:?}");
    }
}

#[test]
fn runs_are_pooled_request_by_request() {
    let run = |at: Nanos, n: u64| {
        let mut stats = ViewStats::new(View::Vllm);
        (0..n).for_each(|i| stats.add(&chat(i, at).ends(200 + at).record()));
        stats.close(Some(1.0));
        stats
    };
    let mut both = run(0, 3);
    both.merge(run(5_000, 1));
    let map = both.columns();
    says(&map, &[("duration", Some(2.0)), ("request_throughput", Some(2.0)), ("completed", Some(4.0))]);
    assert_eq!(map["itl_count"], 12);
}

#[test]
fn a_warm_up_is_in_no_view_and_nothing_gives_nulls() {
    for (_, view) in View::ALL {
        let map = stats(view, [chat(0, 0).warmup()]);
        assert_eq!((&map["completed"], &map["mean_ttft_ms"]), (&json!(0), &Value::Null));
    }
}
