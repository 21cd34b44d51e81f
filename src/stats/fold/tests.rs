//! What holds for every fold: it reads the fields that it names and no others, and any split of the rows
//! into parts gives what one pass over all of them gives.

use super::super::departures::Departures;
use super::super::fixture::{MS, reply};
use super::super::latencies::Latencies;
use super::super::lines::Lines;
use super::super::metric::Metric;
use super::super::occupancy::Occupancy;
use super::super::token_bins::TokenBins;
use super::super::truth::{Errors, Truth};
use super::super::values::Values;
use super::super::view::{View, ViewStats};
use super::super::vllm::{Detailed, Meta, VllmResult};
use super::super::weighed::Weighed;
use super::super::{ClientSeries, Limit, Slo, Summary, Window};
use super::Fold;
use crate::record::{EventKind, Nanos, Outcome, Record, Timeout};
use std::collections::HashMap;

const SECOND: Nanos = 1_000 * MS;

/// A small generator: the same numbers in every run of the test.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// A request of any kind: streamed or not, with and without usage, warm-up, failed, never sent.
fn record(seq: u64, chance: &mut Chance) -> Record {
    let mut reply = reply(seq, chance.below(20_000) as Nanos);
    let told = chance.below(3) as u32;
    let mut at = 5 + chance.below(300) as u32;
    reply = reply.event(at, EventKind::ROLE, 0);
    for _ in 0..1 + chance.below(20) {
        at += [0, 1, 10, 40, 400][chance.below(5) as usize];
        reply = reply.event(
            at,
            if chance.below(5) == 0 { EventKind::REASONING } else { EventKind::CONTENT },
            told,
        );
    }
    if chance.below(3) > 0 {
        reply = reply.usage(100 + chance.below(50) as u32, 5 + chance.below(20) as u32);
    }
    if chance.below(8) == 0 {
        reply = reply.warmup();
    }
    if chance.below(6) == 0 {
        let how = [Outcome::Status, Outcome::Truncated, Outcome::TimedOut(Timeout::Idle)];
        reply = reply.fails(how[chance.below(3) as usize], ["busy", "gone"][chance.below(2) as usize]);
    }
    let mut record = match chance.below(12) {
        0 => reply.dropped().record(),
        1 => reply.not_streamed(700).record(),
        _ => reply.record(),
    };
    let timeline = &mut record.timeline;
    timeline.planned -= chance.below(50) as Nanos * MS;
    timeline.written = timeline.sent.map(|sent| sent + MS / 5);
    timeline.read_lag_us = Some(chance.below(90) as u32);
    timeline.tcp_retransmits = Some(u32::from(chance.below(9) == 0));
    timeline.tcp_min_rtt_us = Some(80 + chance.below(9) as u32);
    timeline.shared_reads = chance.below(2) as u32;
    record.id = format!("r{seq}");
    record.turn = (seq % 3) as u32;
    record.status = Some(if record.outcome == Outcome::Status { 503 } else { 200 });
    record.reconnects = u32::from(chance.below(9) == 0);
    record.text = (chance.below(4) == 0).then(|| format!("text {seq}"));
    record.audio_ms = (chance.below(9) == 0).then_some(1_500);
    record.usage.cached = record.usage.input.filter(|_| chance.below(2) == 0).map(|input| input / 2);
    record
}

fn records(n: u64, seed: u64) -> Vec<Record> {
    let mut chance = Chance(seed);
    (0..n).map(|seq| record(seq, &mut chance)).collect()
}

/// Whole numbers and texts, which are the same to the last bit, and numbers that are sums.
type Said = (String, Vec<f64>);

fn of_weighed(weighed: &Weighed) -> String {
    format!("{weighed:?}")
}

/// Folds the records in one pass, each with the named fields alone, and in parts that are merged in
/// any order.
fn holds<F: Fold>(name: &str, new: impl Fn() -> F, said: impl Fn(F) -> Said) {
    for seed in 1..6 {
        let records = records(400, seed);
        let mut chance = Chance(seed + 100);
        let mut whole = new();
        records.iter().for_each(|record| whole.add(record));
        let fields = whole.fields();
        let whole = said(whole);

        let mut blank = new();
        records.iter().for_each(|record| blank.add(&record.only(fields)));
        same(name, "with its fields alone", &whole, &said(blank));

        let count = 2 + chance.below(5) as usize;
        let mut parts: Vec<F> = (0..count).map(|_| new().fresh()).collect();
        records.iter().for_each(|record| parts[chance.below(count as u64) as usize].add(record));
        let mut merged = new();
        while !parts.is_empty() {
            merged.merge(parts.swap_remove(chance.below(parts.len() as u64) as usize));
        }
        same(name, "in parts", &whole, &said(merged));
    }
}

fn same(name: &str, how: &str, whole: &Said, other: &Said) {
    assert_eq!(whole.0, other.0, "{name} {how}");
    assert_eq!(whole.1.len(), other.1.len(), "{name} {how}");
    for (i, (a, b)) in whole.1.iter().zip(&other.1).enumerate() {
        let near = (a - b).abs() <= 1e-9 * a.abs().max(1.0) || a.is_nan() && b.is_nan();
        assert!(near, "{name} {how}, number {i}: {a} and {b}");
    }
}

fn of_summary(mut summary: Summary) -> Said {
    summary.close();
    let failures = format!("{:?} {:?}", summary.failures(), summary.span());
    let (names, values): (Vec<String>, Vec<Option<f64>>) = summary.columns().into_iter().unzip();
    (format!("{failures} {names:?}"), values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

fn numbers_of(values: impl IntoIterator<Item = Option<f64>>) -> Vec<f64> {
    values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect()
}

#[test]
fn a_summary() {
    let slo = || Slo { limits: vec![Limit { metric: "ttft".into(), ms: 200.0 }], ..Slo::default() };
    for window in [Window::UNKNOWN, Window::Over { start: 2 * SECOND, end: 15 * SECOND }] {
        for open in [false, true] {
            holds("summary", || Summary::new(window, Some(slo()), open), of_summary);
        }
    }
}

#[test]
fn what_pictures_show() {
    holds("latencies", Latencies::default, |latencies| {
        let (ttft, itl) = (of_weighed(&latencies.ttft()), of_weighed(&latencies.itl()));
        (format!("{} {ttft} {itl}", latencies.succeeded), Vec::new())
    });
    holds("lines", Lines::default, |lines| {
        (format!("{:?} {:?} {:?}", lines.turnout, lines.counts(), lines.kept()), Vec::new())
    });
    holds("occupancy", Occupancy::default, |seen| {
        let steps = (seen.in_flight.steps(), seen.waiting.steps());
        (format!("{:?} {} {:?} {steps:?}", seen.turnout, seen.end(), seen.failures()), Vec::new())
    });
    holds("token bins", || TokenBins::new(SECOND / 2, 18 * SECOND), |bins| (String::new(), bins.tokens));
    for metric in Metric::all().filter(|metric| metric.is_of_requests()) {
        let of = |values: Values| (of_weighed(&values.weighed()), Vec::new());
        holds(metric.name(), || Values::new(metric), of);
    }
}

#[test]
fn what_scripts_ask_for() {
    for name in super::super::series::NAMES {
        holds(
            name,
            || ClientSeries::new(SECOND),
            |series| {
                let line = series.line(name, 21 * SECOND).expect("a name of ours");
                let times: Vec<Nanos> = line.iter().map(|point| point.0).collect();
                (format!("{times:?}"), line.into_iter().map(|point| point.1).collect())
            },
        );
    }
    holds("departures", Departures::default, |mut left| {
        left.planned.sort_unstable();
        left.sent.sort_unstable();
        (format!("{:?} {:?}", left.planned, left.sent), Vec::new())
    });
    holds("detailed", Detailed::default, |detailed| {
        let summary = Summary::new(Window::UNKNOWN, None, false);
        let json = VllmResult::new(&summary, Meta::default()).detailed(detailed);
        (serde_json::to_string(json.map()).expect("JSON"), Vec::new())
    });
}

#[test]
fn the_views_of_other_tools() {
    for (name, view) in View::ALL {
        let of = |mut stats: ViewStats| {
            stats.close(None);
            numbers_of_map(&stats.columns())
        };
        holds(name, || ViewStats::new(view), of);
    }
}

fn numbers_of_map(map: &serde_json::Map<String, serde_json::Value>) -> Said {
    let numbers = map.values().map(serde_json::Value::as_f64);
    (String::new(), numbers_of(numbers))
}

#[test]
fn the_errors_of_a_client() {
    let truth = |record: &Record| {
        let sent = record.timeline.sent?;
        let output = record.timeline.events.output();
        let emissions_ns = output.map(|i| sent + 1_000 * Nanos::from(record.timeline.events.at_us[i]) - MS);
        Some(Truth { arrival_ns: sent + MS, read_ns: None, emissions_ns: emissions_ns.collect() })
    };
    let all: Vec<Record> = (1..6).flat_map(|seed| records(400, seed)).collect();
    let known = all.iter().filter(|record| record.seq % 5 > 0);
    let truths: HashMap<String, Truth> =
        known.filter_map(|record| Some((record.id.clone(), truth(record)?))).collect();
    holds(
        "errors",
        || Errors::beside(&truths, 0, 300),
        |errors| {
            let of = [&errors.ttft, &errors.itl, &errors.tpot, &errors.e2el];
            let counts = of.map(|versus| versus.count());
            let numbers = of.into_iter().flat_map(|versus| versus.numbers()).map(|number| number.1);
            let numbers = numbers.chain(errors.parts.means().into_iter().flatten().map(Some));
            let told = format!("{} {} {} {counts:?}", errors.compared, errors.missing, errors.uneven);
            (told, numbers_of(numbers))
        },
    );
}

#[test]
fn several_together() {
    let new = || (Latencies::default(), Some(Lines::default()), None::<Occupancy>);
    holds("several", new, |(latencies, lines, none)| {
        assert!(none.is_none());
        (format!("{} {:?}", latencies.succeeded, lines.expect("it was there").kept()), Vec::new())
    });
}
