//! A report from records, and how it is shown.

use super::super::fixture::{FixtureReply, reply};
use super::super::summary::Summary;
use super::super::{Condition, Slo, Window};
use super::*;
use crate::record::{Health, Nanos, PartOf, Throttled, Told};

const MS: Nanos = 1_000_000;

fn summary(slo: Option<Slo>, open: bool, replies: impl IntoIterator<Item = FixtureReply>) -> Summary {
    let mut summary = Summary::new(Window::Running { start: Some(0), latest: None }, slo, open);
    replies.into_iter().for_each(|reply| summary.add(&reply.record()));
    summary
}

fn report(summary: &Summary, intent: ExpectedLoad) -> Report {
    Report::new(summary, &intent, &Health::default(), 0.0)
}

/// A closed loop of two places, without a pause between two requests.
fn pairs(n: u64) -> impl Iterator<Item = FixtureReply> {
    (0..n).map(|i| reply(i, 100 * (i / 2) as Nanos).tokens_at(&[40, 60, 80, 100]).usage(128, 4))
}

const TWO_PLACES: ExpectedLoad = ExpectedLoad {
    places: Some(2),
    places_from: 0,
    level: true,
    rate: None,
    exact: false,
    streamed: false,
    shared_tokens: Some(0.0),
};

#[test]
fn full_places_are_delivered_places() {
    let report = report(&summary(None, false, pairs(40)), TWO_PLACES);
    assert_eq!(report.evidence.places, Some((2, 2.0)));
    assert_eq!(report.evidence.rates, None, "a closed loop asks for no rate");
    assert_eq!(report.verdict(), Verdict::Valid);
}

#[test]
fn places_that_stand_empty_between_requests_are_seen() {
    let gaps = (0..40).map(|i| reply(i, 100 * (i / 2) as Nanos).tokens_at(&[40, 80]));
    let report = report(&summary(None, false, gaps), TWO_PLACES);
    let (_, mean) = report.evidence.places.unwrap();
    assert!((mean - 1.6).abs() < 1e-9, "{mean}");
    assert_eq!(report.verdict(), Verdict::ScheduleMissed);
}

#[test]
fn a_run_needs_twenty_requests_and_two_for_each_place() {
    let needs = |places| {
        report(&summary(None, false, pairs(40)), ExpectedLoad { places: Some(places), ..TWO_PLACES })
            .evidence
            .needed
    };
    assert_eq!((needs(2), needs(10), needs(40)), (20, 20, 80));
    assert_eq!(report(&summary(None, false, pairs(19)), TWO_PLACES).verdict(), Verdict::TooFewSamples);
    assert_eq!(report(&summary(None, false, []), TWO_PLACES).verdict(), Verdict::TooFewSamples);
}

#[test]
fn a_burst_needs_no_more_than_any_run() {
    let burst = |level| {
        let replies = (0..64).map(|i| reply(i, 0).tokens_at(&[40, 60, 80, 100]).usage(128, 4));
        report(&summary(None, true, replies), ExpectedLoad { level, ..ExpectedLoad::default() })
            .evidence
            .needed
    };
    assert_eq!((burst(true), burst(false)), (128, 20));
}

#[test]
fn an_objective_needs_a_sample_that_supports_its_percentile() {
    let judged = |condition: &str| {
        let slo = Slo { overall: vec![Condition::parse(condition).unwrap()], ..Slo::default() };
        report(&summary(Some(slo), false, pairs(40)), TWO_PLACES).verdict()
    };
    assert_eq!(judged("ttft.p99 < 1s"), Verdict::TooFewSamples);
    assert_eq!(judged("ttft.p90 < 1s"), Verdict::Valid);
    assert_eq!(judged("errors.share < 1%"), Verdict::Valid);
}

#[test]
fn random_prompts_from_a_cache_are_contaminated_and_a_template_is_not() {
    let cached = |tokens, input, shared_tokens| {
        let replies = pairs(40).map(|reply| reply.asked(128, 4).usage(input, 4).cached(tokens));
        report(&summary(None, false, replies), ExpectedLoad { shared_tokens, ..TWO_PLACES }).verdict()
    };
    assert_eq!(cached(0, 128, Some(0.0)), Verdict::Valid);
    assert_eq!(cached(64, 128, Some(0.0)), Verdict::CacheContaminated);
    assert_eq!(cached(16, 154, Some(0.0)), Verdict::Valid, "26 tokens around each prompt are the same");
    assert_eq!(cached(64, 154, Some(0.0)), Verdict::CacheContaminated);
    assert_eq!(cached(64, 128, Some(64.0)), Verdict::Valid, "the workload shares a prefix");
    assert_eq!(cached(128, 128, None), Verdict::Valid, "a data set may share anything");
}

#[test]
fn what_a_run_shows_at_its_end_in_both_languages() {
    let health = Health {
        wall: 2_000 * MS,
        cpu: 400 * MS,
        cores: 2,
        waited: Some(900 * MS),
        busy: Some(1.0),
        taken: Some(0.05),
        stolen: Some(0.0),
        throttled: Some(Throttled { periods: 3, time: 12 * MS }),
        paused: 0,
        longest_pause: 3 * MS,
        clock_steps: 1,
        largest_step: 7 * MS,
        handing_over: 0,
    };
    let mut summary = summary(None, false, pairs(40));
    summary.attach(Report::new(&summary, &TWO_PLACES, &health, 0.0));
    let report = summary.report().unwrap();
    assert_eq!(report.rows(Lang::English), ENGLISH.map(|row| row.map(String::from)));
    assert_eq!(report.rows(Lang::Chinese), CHINESE.map(|row| row.map(String::from)));
    for (lang, first, last) in [(Lang::English, "verdict", "network"), (Lang::Chinese, "结论", "网络")] {
        let table = summary.table(lang);
        let mut lines = table.lines();
        assert!(lines.nth(1).unwrap().starts_with(&format!("│ {first}")), "{table}");
        assert!(table.contains("client_bound"), "{table}");
        let end = lines.rfind(|line| line.starts_with('│')).unwrap();
        assert!(end.starts_with(&format!("│ {last}")), "{table}");
    }
}

const ENGLISH: [[&str; 2]; 4] = [
    ["sent", "2.00 of 2 in flight, late p50/p99/max 0 ms / 0 ms / 0 ms"],
    ["read", "events that share a read 0.0 %"],
    [
        "client",
        "CPU 10.0 % (2 cores), cores busy 100.0 %, without a core 45.0 %, throttled 0.6 %, longest pause 3 ms, clock steps 1 (7 ms)",
    ],
    ["network", "reconnects 0"],
];

const CHINESE: [[&str; 2]; 4] = [
    ["发送", "2.00 / 2 进行中，滞后 p50/p99/最大 0 ms / 0 ms / 0 ms"],
    ["读取", "同一次读取的事件 0.0 %"],
    [
        "客户端",
        "CPU 10.0 % (2 核)，核总占用 100.0 %，等待 CPU 45.0 %，被限额停顿 0.6 %，最长停顿 3 ms，时钟跳变 1 (7 ms)",
    ],
    ["网络", "重连 0"],
];

/// A change of one kind, and the words that it must bring.
#[test]
fn every_doubt_is_one_sentence_of_advice_in_both_languages() {
    let trend = Trend { from: 40.0, to: 4_000.0, unsteady: true };
    let falling = Trend { from: 400.0, to: 40.0, unsteady: true };
    let doubts = [
        (Doubt::ReadLate { typical: true, ms: 2.5 }, "half of the replies lay 2.5 ms or more"),
        (Doubt::ReadLate { typical: false, ms: 25.0 }, "one reply in a hundred lay 25 ms or more"),
        (Doubt::WaitedForCore { share: 0.05 }, "5.0 % of the run"),
        (Doubt::CpuFull { share: 0.9, cores: 1 }, "used 90.0 % of its 1 core:"),
        (Doubt::CoresTaken { share: 0.8 }, "other programs used 80.0 % of the cores"),
        (Doubt::Throttled { share: 0.02 }, "raise the limit"),
        (Doubt::Stolen { share: 0.1 }, "hypervisor"),
        (
            Doubt::Paused { longest_ms: 300.0, share: 0.03 },
            "stood still for 300 ms at once, 3.0 % of the run",
        ),
        (Doubt::HandedOverLate { share: 0.02 }, "to be collected"),
        (Doubt::Rate { scheduled: 20.0, sent: 15.0, capped: true }, "raise max_in_flight"),
        (Doubt::Rate { scheduled: 20.0, sent: 15.0, capped: false }, "15.00 of the 20.00 requests/s"),
        (Doubt::SentLate { ms: 9.0, gap_ms: 50.0 }, "9 ms and more after their time, with 50 ms between two"),
        (
            Doubt::Places { asked: 8, mean: 7.1, failed: 1 },
            "7.10 of 8 requests were in flight on average: they are short",
        ),
        (
            Doubt::Places { asked: 8, mean: 7.1, failed: 36 },
            "users rest after requests that fail at once, and 36 failed",
        ),
        (Doubt::Unreached { share: 0.5 }, "50.0 % of the requests could not open"),
        (Doubt::Retransmits { share: 0.02 }, "sent parts of 2.0 %"),
        (Doubt::OutOfOrder { share: 0.02 }, "out of order"),
        (Doubt::Jitter { ms: 4.0 }, "differ by 4 ms"),
        (Doubt::Latency(trend), "the latency went from 40 ms to 4 s over the run: send less"),
        (
            Doubt::Gaps(falling),
            "the gap between events went from 400 ms to 40 ms over the run: add a warm-up",
        ),
        (Doubt::InFlight(trend), "in flight went from 40.0 to 4,000.0"),
        (
            Doubt::Cached { share: 0.5, wanted: 0.0, counters: false },
            "answered 50.0 % of the input from its cache where",
        ),
        (Doubt::Cached { share: 0.5, wanted: 0.0, counters: true }, "its cache (by its own counters)"),
        (Doubt::RandomWords { accepted: Some(0.1) }, "it accepted 10.0 %"),
        (Doubt::RandomWords { accepted: None }, "the prompts are random words"),
        (Doubt::Few { succeeded: 1, needed: 20 }, "1 request succeeded where this load needs 20"),
        (
            Doubt::Unsupported { condition: "ttft.p99 < 1s".into(), succeeded: 40 },
            "cannot decide ttft.p99 < 1s",
        ),
    ];
    for (doubt, words) in doubts {
        let english = doubt.text(Lang::English);
        assert!(english.contains(words), "{english}");
        assert!(!english.ends_with('.') && english.matches(": ").count() == 1, "{english}");
        let chinese = doubt.text(Lang::Chinese);
        assert_eq!(chinese.matches('：').count(), 1, "{chinese}");
    }
}

#[test]
fn the_rate_that_was_asked_for_is_not_the_one_that_chance_drew() {
    let replies = |gap: Nanos| (0..40).map(move |i| reply(i, gap * i as Nanos).tokens_at(&[20, 40, 60]));
    let five = ExpectedLoad { level: true, rate: Some(5.0), ..ExpectedLoad::default() };
    for (gap, rows) in [
        (
            160,
            ["6.25 of 6.25 requests/s (drawn at random for 5.00)", "6.25 / 6.25 请求/s（按 5.00 随机抽取）"],
        ),
        (200, ["5.00 of 5.00 requests/s, ", "5.00 / 5.00 请求/s，"]),
    ] {
        let report = report(&summary(None, true, replies(gap)), five);
        for (lang, row) in [Lang::English, Lang::Chinese].into_iter().zip(rows) {
            let sent = &report.rows(lang)[0][1];
            assert!(sent.starts_with(row), "{sent}");
        }
        let columns = report.columns();
        let drawn = 1e3 / gap as f64;
        for (column, rate) in [("asked_rate", 5.0), ("scheduled_rate", drawn), ("achieved_rate", drawn)] {
            assert_eq!(columns[column].as_f64(), Some(rate), "{column}");
        }
        assert_eq!(report.verdict(), Verdict::Valid);
    }
}

#[test]
fn a_cache_of_which_replies_say_nothing_is_judged_by_the_counters_of_the_server() {
    let judged = |hits: f64, shared_tokens| {
        let mut summary = summary(None, false, pairs(40).map(|reply| reply.asked(128, 4).usage(128, 4)));
        let cache = Some(PartOf { part: hits, whole: 5_120.0 });
        summary.hear(Told { cache, ..Told::default() });
        report(&summary, ExpectedLoad { shared_tokens, ..TWO_PLACES })
    };
    assert_eq!(judged(0.0, Some(0.0)).verdict(), Verdict::Valid);
    let warm = judged(2_560.0, Some(0.0));
    assert_eq!(warm.verdict(), Verdict::CacheContaminated);
    let columns = warm.columns();
    assert_eq!(
        (&columns["cached_tokens_share_seen"], &columns["cached_tokens_share_from"]),
        (&0.5.into(), &"server".into())
    );
    assert_eq!(judged(2_560.0, Some(64.0)).verdict(), Verdict::Valid, "the workload shares a prefix");
    assert_eq!(judged(2_560.0, None).verdict(), Verdict::Valid, "a data set may share anything");
}

#[test]
fn random_words_against_a_draft_model_are_unrealistic() {
    let judged = |synthetic: u64, speculates| {
        let mut summary =
            summary(None, false, pairs(80).zip(0..).map(|(reply, i)| reply.load(false, i < synthetic)));
        let drafts = Some(PartOf { part: 10.0, whole: 100.0 });
        summary.hear(Told { speculates, drafts, ..Told::default() });
        report(&summary, TWO_PLACES)
    };
    let random = judged(80, true);
    assert_eq!(random.verdicts(), ["unrealistic_text"]);
    assert_eq!(random.columns()["spec_acceptance"], 0.1);
    assert_eq!(judged(0, true).verdict(), Verdict::Valid);
    assert_eq!(judged(80, false).verdict(), Verdict::Valid);
}

#[test]
fn every_verdict_that_holds_is_said_once_the_worst_first() {
    let few = summary(None, false, pairs(10).map(|reply| reply.usage(128, 4).cached(128)));
    let sentences = report(&few, TWO_PLACES).sentences(Lang::English);
    let names: Vec<_> = sentences.iter().filter_map(|text| text.split(": ").next()).collect();
    assert_eq!(names, ["cache_contaminated", "too_few_samples"]);
    assert_eq!(Report::default().sentences(Lang::Chinese), ["valid"]);
}

#[test]
fn every_run_has_the_same_columns() {
    let empty = Report::default();
    let full = report(&summary(None, false, pairs(40)), TWO_PLACES);
    let names = |report: &Report| report.columns().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&empty), names(&full));
    assert_eq!(full.columns()["verdict"], "valid");
    assert_eq!(full.columns()["verdict_reason"], Value::Null);
}

#[test]
fn the_manifest_keeps_every_doubt() {
    let few =
        report(&summary(None, false, pairs(10).map(|reply| reply.usage(128, 4).cached(128))), TWO_PLACES);
    let json = few.to_json();
    assert_eq!(json["verdict"], "cache_contaminated");
    let doubts: Vec<&str> =
        json["doubts"].as_array().unwrap().iter().filter_map(|doubt| doubt["verdict"].as_str()).collect();
    assert_eq!(doubts, ["cache_contaminated", "too_few_samples"]);
    assert_eq!(few.columns()["verdicts"], "cache_contaminated,too_few_samples");
}
