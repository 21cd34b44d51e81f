use super::super::fixture::{FixtureReply, reply};
use super::*;

/// A chat: a role event, reasoning, two events of two tokens each, an empty finish event, usage.
fn chat(seq: u64, at: Nanos) -> FixtureReply {
    let choices = |kind: EventKind| EventKind(kind.0 | EventKind::CHOICES.0);
    reply(seq, at)
        .event(10, choices(EventKind::ROLE), 0)
        .event(50, choices(EventKind::REASONING), 1)
        .event(80, choices(EventKind::CONTENT), 2)
        .event(120, choices(EventKind::CONTENT), 2)
        .event(130, choices(EventKind::FINISH), 0)
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
fn vllm_counts_every_event_with_choices() {
    let map = stats(View::Vllm, [chat(0, 0)]);
    says(
        &map,
        &[
            ("mean_ttft_ms", Some(10.0)),
            ("mean_e2el_ms", Some(130.0)),
            ("mean_tpot_ms", Some(30.0)),
            ("mean_itl_ms", Some(30.0)),
            // 10, 30, 40 and 40: the third of four ranks.
            ("p99_itl_ms", Some(40.0)),
            ("duration", Some(2.0)),
            ("output_throughput", Some(2.5)),
            ("total_token_throughput", Some(6.0)),
        ],
    );
    assert_eq!(map["itl_count"], 4);
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
        (View::Aiperf, Outcome::Unfinished, 0),
    ] {
        let map = stats(view, [odd(outcome)]);
        assert_eq!(
            (&map["completed"], &map["failed"]),
            (&json!(completed), &json!(1 - completed)),
            "{view:?}"
        );
    }
    let silent = reply(0, 0).event(5, EventKind::USAGE, 0).usage(4, 1);
    assert_eq!(stats(View::Vllm, [silent])["completed"], 0, "no event with choices");
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
    assert_eq!(map["itl_count"], 16);
}

#[test]
fn a_warm_up_is_in_no_view_and_nothing_gives_nulls() {
    for (_, view) in View::ALL {
        let map = stats(view, [chat(0, 0).warmup()]);
        assert_eq!((&map["completed"], &map["mean_ttft_ms"]), (&json!(0), &Value::Null));
    }
}
