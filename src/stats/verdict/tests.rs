//! Every limit from both of its sides.

use super::*;

/// A run as it should be: 100 requests of 40 ms to the first token and 8 ms between two.
fn clean() -> Evidence {
    Evidence {
        requests: 100,
        succeeded: 100,
        scale_ms: Some(8.0),
        lag_ms: Some((0.1, 3.0)),
        lateness_ms: Some((0.04, 0.2, 0.5)),
        rates: Some((20.0, 20.0)),
        cores: 2,
        cpu: Some(0.02),
        busy: Some(0.3),
        waited: Some(0.01),
        stolen: Some(0.0),
        throttled: Some(0.0),
        paused: Some(0.0),
        handing_over: Some(0.0),
        needed: 20,
        ..Evidence::default()
    }
}

/// The verdicts of a clean run that was changed in one way.
fn verdicts(change: impl FnOnce(&mut Evidence)) -> Vec<Verdict> {
    let mut evidence = clean();
    change(&mut evidence);
    judge(&evidence).iter().map(Doubt::verdict).collect()
}

#[test]
fn a_run_as_it_should_be_is_valid() {
    assert_eq!(verdicts(|_| ()), []);
    let unobserved = Evidence { requests: 40, succeeded: 40, ..Evidence::default() };
    assert_eq!(judge(&unobserved), []);
}

#[test]
fn full_cores_are_a_doubt_when_others_fill_them_and_not_when_the_server_does() {
    let verdict = |busy, taken| verdicts(|e| (e.busy, e.taken) = (Some(busy), taken));
    assert_eq!(verdict(0.99, Some(0.8)), [Verdict::ClientBound]);
    assert_eq!(verdict(0.99, Some(0.1)), []);
    assert_eq!(verdict(0.99, None), [], "a server that is hidden from us may have used them");
    assert_eq!(verdict(0.8, Some(0.7)), [], "one was free");
}

/// The verdicts of reads with this delay, on cores that are this busy.
fn late(busy: f64, scale_ms: f64, lag_ms: (f64, f64)) -> Vec<Verdict> {
    verdicts(|e| {
        e.busy = Some(busy);
        e.scale_ms = Some(scale_ms);
        e.lag_ms = Some(lag_ms);
    })
}

#[test]
fn reads_that_come_late_on_full_cores_bound_the_run_by_the_client() {
    assert_eq!(late(1.0, 8.0, (0.26, 3.0)), [Verdict::ClientBound]);
    assert_eq!(late(1.0, 8.0, (0.24, 9.0)), []);
    assert_eq!(late(1.0, 200.0, (5.9, 30.0)), [], "a delay is held against the latencies");
    assert_eq!(late(1.0, 200.0, (6.1, 30.0)), [Verdict::ClientBound]);
}

#[test]
fn many_streams_that_wake_at_once_on_cores_of_their_own_do_not() {
    assert_eq!(late(0.4, 8.0, (3.4, 5.2)), []);
    assert_eq!(late(0.4, 8.0, (5.1, 5.2)), [Verdict::ClientBound]);
    assert_eq!(late(0.4, 40.0, (9.0, 19.0)), []);
    assert_eq!(late(0.4, 40.0, (11.0, 19.0)), [Verdict::ClientBound]);
}

#[test]
fn one_read_in_a_hundred_counts_when_it_is_very_late() {
    assert_eq!(late(0.4, 8.0, (0.1, 9.0)), []);
    assert_eq!(late(0.4, 8.0, (0.1, 11.0)), [Verdict::ClientBound]);
    assert_eq!(late(0.4, 200.0, (0.1, 90.0)), []);
    assert_eq!(late(0.4, 200.0, (0.1, 110.0)), [Verdict::ClientBound]);
}

#[test]
fn cores_of_which_nothing_is_known_may_have_been_full() {
    assert_eq!(verdicts(|e| (e.busy, e.lag_ms) = (None, Some((0.3, 3.0)))), [Verdict::ClientBound]);
}

#[test]
fn waiting_for_a_core_counts_when_it_is_longer_than_the_client_ran() {
    let waited = |busy, cpu, waited, rare| {
        verdicts(|e| {
            (e.busy, e.cpu, e.waited) = (Some(busy), Some(cpu), Some(waited));
            e.lag_ms = Some((0.1, rare));
        })
    };
    assert_eq!(waited(1.0, 0.02, 0.05, 3.0), [Verdict::ClientBound]);
    assert_eq!(waited(1.0, 0.03, 0.05, 3.0), [], "it ran for 0.06 of the run");
    assert_eq!(waited(1.0, 0.001, 0.009, 3.0), [], "too little to matter");
    assert_eq!(waited(1.0, 0.02, 0.05, 1.9), [], "reads were in time all the same");
    assert_eq!(waited(0.8, 0.02, 0.05, 3.0), [], "there were cores to be had");
}

#[test]
fn a_full_stopped_or_stolen_cpu_bounds_the_run_by_the_client() {
    assert_eq!(verdicts(|e| e.cpu = Some(0.81)), [Verdict::ClientBound]);
    assert_eq!(verdicts(|e| e.cpu = Some(0.79)), []);
    assert_eq!(verdicts(|e| e.throttled = Some(0.011)), [Verdict::ClientBound]);
    assert_eq!(verdicts(|e| e.paused = Some(0.011)), [Verdict::ClientBound]);
    assert_eq!(verdicts(|e| e.paused = Some(0.009)), []);
    assert_eq!(verdicts(|e| e.stolen = Some(0.06)), [Verdict::ClientBound]);
    assert_eq!(verdicts(|e| e.handing_over = Some(0.02)), [Verdict::ClientBound]);
}

#[test]
fn a_rate_that_is_off_by_more_than_a_hundredth_was_missed() {
    assert_eq!(verdicts(|e| e.rates = Some((20.0, 19.7))), [Verdict::ScheduleMissed]);
    assert_eq!(verdicts(|e| e.rates = Some((20.0, 20.3))), [Verdict::ScheduleMissed]);
    assert_eq!(verdicts(|e| e.rates = Some((20.0, 19.9))), []);
}

#[test]
fn lateness_is_held_against_the_mean_gap_of_the_schedule() {
    // 50 ms between two requests.
    assert_eq!(verdicts(|e| e.lateness_ms = Some((0.1, 5.1, 9.0))), [Verdict::ScheduleMissed]);
    assert_eq!(verdicts(|e| e.lateness_ms = Some((0.1, 4.9, 9.0))), []);
    let fast = |late| {
        verdicts(|e| {
            e.rates = Some((5_000.0, 5_000.0));
            e.lateness_ms = Some((0.1, late, late));
        })
    };
    assert_eq!((fast(1.9), fast(2.1)), (vec![], vec![Verdict::ScheduleMissed]));
}

#[test]
fn places_that_stand_empty_miss_the_schedule() {
    let filled = |mean| {
        verdicts(|e| {
            e.rates = None;
            e.places = Some((10, mean));
        })
    };
    assert_eq!((filled(9.6), filled(9.4)), (vec![], vec![Verdict::ScheduleMissed]));
}

#[test]
fn a_network_that_loses_refuses_or_wavers_is_suspect() {
    assert_eq!(verdicts(|e| e.connect_failures = 2), [Verdict::NetworkSuspect]);
    assert_eq!(verdicts(|e| e.connect_failures = 1), []);
    assert_eq!(verdicts(|e| e.retransmits = Some(0.02)), [Verdict::NetworkSuspect]);
    assert_eq!(verdicts(|e| e.out_of_order = Some(0.02)), [Verdict::NetworkSuspect]);
    assert_eq!(verdicts(|e| e.rtt_us = Some((300.0, 1_400.0))), [Verdict::NetworkSuspect]);
    assert_eq!(verdicts(|e| e.rtt_us = Some((300.0, 1_200.0))), []);
}

fn cached(share: f64, wanted: Option<f64>) -> CacheHits {
    CacheHits { share, wanted, counters: false }
}

#[test]
fn random_words_are_no_text_for_a_draft_model() {
    assert_eq!(verdicts(|e| e.speculation = Some((1.0, Some(0.1)))), [Verdict::UnrealisticText]);
    assert_eq!(verdicts(|e| e.speculation = Some((0.0, Some(0.7)))), [], "text of people");
    assert_eq!(verdicts(|e| e.speculation = Some((0.5, None))), [Verdict::UnrealisticText]);
}

#[test]
fn more_from_the_cache_than_the_workload_shares_contaminates() {
    assert_eq!(verdicts(|e| e.cached = Some(cached(0.25, Some(0.0)))), [Verdict::CacheContaminated]);
    assert_eq!(verdicts(|e| e.cached = Some(cached(0.25, Some(0.245)))), []);
    assert_eq!(verdicts(|e| e.cached = Some(cached(0.0, Some(0.5)))), [], "a cache that is off");
    assert_eq!(verdicts(|e| e.cached = Some(cached(0.9, None))), [], "prompts from a file");
}

#[test]
fn too_few_requests_say_nothing() {
    assert_eq!(verdicts(|e| e.succeeded = 19), [Verdict::TooFewSamples]);
    assert_eq!(verdicts(|e| e.needed = 200), [Verdict::TooFewSamples]);
    assert_eq!(verdicts(|e| e.unsupported = Some("ttft.p99.9 < 1s".into())), [Verdict::TooFewSamples]);
}

#[test]
fn the_worst_doubt_comes_first_and_the_cause_before_its_effect() {
    let mut evidence = clean();
    evidence.succeeded = 3;
    evidence.lag_ms = Some((5.0, 50.0));
    evidence.busy = Some(1.0);
    evidence.waited = Some(0.2);
    evidence.rates = Some((20.0, 10.0));
    evidence.trends[0] = Some(Trend { from: 1.0, to: 9.0, unsteady: true });
    let doubts = judge(&evidence);
    assert!(matches!(doubts[0], Doubt::WaitedForCore { .. }), "{doubts:?}");
    let verdicts: Vec<Verdict> = doubts.iter().map(Doubt::verdict).collect();
    assert_eq!(
        verdicts,
        [
            Verdict::ClientBound,
            Verdict::ClientBound,
            Verdict::ScheduleMissed,
            Verdict::NotSteady,
            Verdict::TooFewSamples
        ]
    );
    assert!(verdicts.is_sorted());
}
