//! What records tell of a run, and runs that were made up: steady ones must be called steady,
//! growing queues must not.

use super::super::fixture::{MS, reply};
use super::super::report::{ExpectedLoad, Report};
use super::super::verdict::Verdict;
use super::super::{Summary, Window};
use super::*;
use crate::record::{EventKind, Health};

fn conduct(records: impl IntoIterator<Item = Record>) -> LoadStats {
    let (mut conduct, mut flow) = (LoadStats::default(), Flow::default());
    for record in records {
        flow.read(&record);
        conduct.add(&record, &flow, true);
    }
    conduct
}

#[test]
fn events_of_one_read_are_counted_with_the_first_of_them() {
    assert_eq!(shared(&[10, 0, 0, 7, 0, 9]), 5);
    assert_eq!(shared(&[10, 7]), 0);
    assert_eq!(shared(&[]), 0);
}

#[test]
fn events_share_a_read_only_where_a_read_brought_several() {
    let mut together = reply(0, 0).tokens_at(&[10, 20, 20, 30]).record();
    together.timeline.shared_reads = 1;
    let conduct = conduct([together, reply(1, 0).tokens_at(&[10, 20, 30]).record()]);
    assert_eq!((conduct.events, conduct.shared_events), (7, 2));
}

#[test]
fn a_read_that_waited_for_a_lost_segment_was_not_late() {
    let lags = |out_of_order: Option<u32>| {
        let mut record = reply(0, 0).tokens_at(&[10, 20]).record();
        record.timeline.read_lag_us = Some(50_000);
        record.timeline.tcp_retransmits = out_of_order.map(|_| 0);
        record.timeline.tcp_out_of_order = out_of_order;
        let conduct = conduct([record]);
        (conduct.lags.view().count(), conduct.out_of_order)
    };
    assert_eq!(lags(Some(3)), (0, 1));
    assert_eq!((lags(Some(0)), lags(None)), ((1, 0), (1, 0)));
}

#[test]
fn the_rate_that_was_sent_is_that_of_the_plan_when_all_leave_in_time() {
    let even = (0..11).map(|i| reply(i, 100 * i as Nanos).tokens_at(&[5]).record());
    assert_eq!(conduct(even).rates(), Some((10.0, 10.0)));
}

#[test]
fn requests_that_leave_ever_later_lower_the_rate() {
    let dragged = (0..11).map(|i| {
        let mut record = reply(i, 100 * i as Nanos).tokens_at(&[5]).record();
        record.timeline.sent = Some(200 * i as Nanos * MS);
        record
    });
    assert_eq!(conduct(dragged).rates(), Some((10.0, 5.0)));
}

#[test]
fn requests_that_were_never_sent_lower_the_rate() {
    let cut = (0..10).map(|i| {
        let reply = reply(i, 100 * i as Nanos);
        if i < 5 { reply.tokens_at(&[5]).record() } else { reply.dropped().record() }
    });
    let (asked, sent) = conduct(cut).rates().unwrap();
    assert_eq!((asked, sent), (10.0, 5.0));
}

#[test]
fn later_turns_are_not_part_of_the_schedule() {
    let turns = (0..30).map(|i| {
        let mut record = reply(i / 3, 100 * (i / 3) as Nanos).tokens_at(&[5]).record();
        record.turn = (i % 3) as u32;
        record.timeline.planned += 7 * MS * Nanos::from(record.turn);
        record
    });
    assert_eq!(conduct(turns).rates().unwrap().0, 10.0);
}

#[test]
fn a_long_run_keeps_a_part_of_its_course() {
    let mut conduct = LoadStats::default();
    let flow = Flow::default();
    let record = reply(0, 0).tokens_at(&[5]).record();
    for seq in 0..(2 * COURSE_MAX as u64 + 10) {
        let record = Record { seq, ..record.clone() };
        conduct.add(&record, &flow, true);
    }
    assert_eq!(conduct.stride, 4);
    assert!(conduct.course.len() <= COURSE_MAX && conduct.course.len() > COURSE_MAX / 4);
    assert!(conduct.course.iter().all(|step| step.seq.is_multiple_of(4)));
}

/// A generator of its own, so that the runs stay the same for ever.
struct Dice(u64);

impl Dice {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Around 1.
    fn noise(&mut self, sigma: f64) -> f64 {
        (sigma * self.normal() - sigma * sigma / 2.0).exp()
    }

    /// Gaps with mean 1: even, Poisson, or in bursts.
    fn gap(&mut self, cv: f64) -> f64 {
        if cv == 0.0 {
            return 1.0;
        }
        let short = 0.5 * (1.0 + ((cv * cv - 1.0) / (cv * cv + 1.0)).sqrt());
        let share = if self.uniform() < short { short } else { 1.0 - short };
        self.exponential() / (2.0 * share)
    }
}

const SERVICE_MS: f64 = 500.0;

/// A request that is sent, waits, and is then served: 40 ms to its first token, then the rest.
fn served(seq: usize, sent: f64, start: f64, service: f64, gap: f64) -> Record {
    let us = |ms: f64| (ms * 1e3) as u32;
    let mut record = reply(seq as u64, 0).usage(128, 64).record();
    let time = &mut record.timeline;
    let sent_ns = (sent * 1e6) as Nanos;
    (time.planned, time.admitted, time.sent) = (sent_ns, sent_ns, Some(sent_ns));
    let first = start - sent + 40.0 * gap;
    for at in [first, first + 8.0 * gap, start - sent + service.max(50.0)] {
        time.events.push(us(at), EventKind::CONTENT, 0, 4);
    }
    time.end = sent_ns + Nanos::from(time.events.at_us[2]) * 1_000;
    record
}

fn earliest(free: &[f64]) -> usize {
    (0..free.len()).min_by(|a, b| free[*a].total_cmp(&free[*b])).unwrap()
}

/// An open loop at `load` times what `slots` can serve.
fn open(dice: &mut Dice, n: usize, load: f64, slots: usize, cv: f64, sigma: f64) -> Vec<Record> {
    let mean_gap = SERVICE_MS / slots as f64 / load;
    let mut free = vec![0.0; slots];
    let mut sent = 0.0;
    let serve = |seq| {
        sent += mean_gap * dice.gap(cv);
        let slot = earliest(&free);
        let (start, service) = (f64::max(free[slot], sent), SERVICE_MS * dice.noise(sigma));
        free[slot] = start + service;
        served(seq, sent, start, service, dice.noise(0.05))
    };
    (0..n).map(serve).collect()
}

/// A closed loop. `memory`: how much a request resembles the one before it; `drift`: by which
/// share the server slows down until the end.
fn closed(dice: &mut Dice, n: usize, places: usize, sigma: f64, memory: f64, drift: f64) -> Vec<Record> {
    let mut free = vec![0.0; places];
    let mut mood = 0.0;
    let serve = |seq| {
        let place = earliest(&free);
        mood = memory * mood + (1.0 - memory * memory).sqrt() * dice.normal();
        let slow = (1.0 + drift * seq as f64 / n as f64) * (0.1 * mood).exp();
        let (sent, service) = (free[place], SERVICE_MS * slow * dice.noise(sigma));
        free[place] += service.max(50.0);
        served(seq, sent, sent, service, slow * dice.noise(0.05))
    };
    (0..n).map(serve).collect()
}

fn verdict(records: &[Record], places: Option<usize>) -> Verdict {
    let mut summary = Summary::new(Window::Running { start: Some(0), latest: None }, None, places.is_none());
    records.iter().for_each(|record| summary.add(record));
    let intent = ExpectedLoad { places, level: true, ..ExpectedLoad::default() };
    Report::new(&summary, &intent, &Health::default(), 0.0).verdict()
}

/// Makes a run: its records, and the places of a closed loop.
type Make<'a> = dyn Fn(&mut Dice) -> (Vec<Record>, Option<usize>) + 'a;

/// How many of `runs` made-up runs get a verdict.
fn count(runs: u64, wanted: Verdict, make: impl Fn(&mut Dice) -> (Vec<Record>, Option<usize>)) -> u64 {
    let one = |seed: u64| {
        let (records, places) = make(&mut Dice(seed * 7_919 + 1));
        u64::from(verdict(&records, places) == wanted)
    };
    (0..runs).map(one).sum()
}

#[test]
fn at_least_99_of_100_steady_runs_are_valid() {
    let runs = 100;
    let mut valid = 0;
    let mut worst = runs;
    let mut of = 0;
    let mut shape = |make: &Make| {
        let n = count(runs, Verdict::Valid, make);
        valid += n;
        of += runs;
        worst = worst.min(n);
    };
    for n in [40, 100, 400] {
        shape(&|dice| (closed(dice, n, 8, 0.05, 0.0, 0.0), Some(8)));
        shape(&|dice| (closed(dice, n, 8, 0.6, 0.0, 0.0), Some(8)));
        shape(&|dice| (closed(dice, n, 4, 0.3, 0.5, 0.0), Some(4)));
        shape(&|dice| (open(dice, n, 0.05, 200, 1.0, 0.3), None));
        shape(&|dice| (open(dice, n, 0.05, 200, 0.0, 0.0), None));
        shape(&|dice| (open(dice, n, 0.05, 200, 2.0, 0.3), None));
    }
    // Servers with a queue, and little of it.
    shape(&|dice| (open(dice, 400, 0.6, 8, 1.0, 0.2), None));
    shape(&|dice| (open(dice, 400, 0.5, 1, 1.0, 0.2), None));
    assert_eq!(of, 2_000);
    assert!(valid * 100 >= of * 99, "{valid} of {of}");
    assert!(worst >= 95, "the worst shape has {worst} of {runs}");
}

#[test]
fn a_queue_that_grows_is_no_level() {
    // Poisson arrivals make the growth itself random: a small excess shows after many requests.
    for (load, n, least) in [(1.5, 100, 90), (1.2, 400, 90), (1.05, 4_000, 88), (1.05, 10_000, 97)] {
        let runs = if n > 1_000 { 60 } else { 100 };
        let caught = count(runs, Verdict::NotSteady, |dice| (open(dice, n, load, 2, 1.0, 0.1), None));
        assert!(caught * 100 >= least * runs, "{load} x, {n} requests: {caught} of {runs}");
    }
    // Even arrivals leave no doubt.
    for (load, n) in [(1.5, 40), (1.2, 100), (1.05, 400)] {
        let caught = count(20, Verdict::NotSteady, |dice| (open(dice, n, load, 2, 0.0, 0.1), None));
        assert_eq!(caught, 20, "{load} x, {n} requests");
    }
}

#[test]
fn a_server_that_slows_down_under_a_closed_loop_is_not_steady() {
    let slowing =
        |drift| count(20, Verdict::NotSteady, |dice| (closed(dice, 400, 8, 0.1, 0.0, drift), Some(8)));
    assert_eq!(slowing(0.5), 20);
    assert_eq!(slowing(0.1), 0, "a tenth is no matter of concern");
}

#[test]
fn a_warm_up_that_was_measured_is_no_part_of_a_level() {
    let warmed = |n: usize, first: usize| {
        move |dice: &mut Dice| {
            let mut records = open(dice, n, 0.05, 200, 1.0, 0.3);
            for record in records.iter_mut().take(first) {
                record.timeline.events.at_us.iter_mut().for_each(|at| *at += 160_000);
            }
            (records, None)
        }
    };
    assert_eq!(count(50, Verdict::NotSteady, warmed(100, 25)), 50);
    assert_eq!(count(50, Verdict::NotSteady, warmed(400, 80)), 50);
}

#[test]
fn the_beginning_and_the_end_of_a_closed_loop_are_its_nature() {
    // The first wave waits for each other, the last has the server for itself.
    let edges = |dice: &mut Dice| {
        let mut records = closed(dice, 64, 16, 0.02, 0.0, 0.0);
        for record in records.iter_mut().take(16) {
            record.timeline.events.at_us[0] += 400_000;
        }
        for record in records.iter_mut().skip(48) {
            record.timeline.events.at_us[1] -= 4_000;
        }
        (records, Some(16))
    };
    assert_eq!(count(50, Verdict::Valid, edges), 50);
}

#[test]
fn a_ramp_has_no_level_to_judge() {
    let mut summary = Summary::new(Window::Running { start: Some(0), latest: None }, None, true);
    open(&mut Dice(1), 200, 3.0, 2, 0.0, 0.0).iter().for_each(|record| summary.add(record));
    let judged = |level| {
        let intent = ExpectedLoad { level, ..ExpectedLoad::default() };
        Report::new(&summary, &intent, &Health::default(), 0.0).verdict()
    };
    assert_eq!((judged(true), judged(false)), (Verdict::NotSteady, Verdict::Valid));
}

#[test]
fn in_flight_is_judged_in_parts_as_long_as_a_request() {
    let mut in_flight = OpenIntervals::default();
    let growing: Vec<Record> =
        (0..100).map(|i| reply(i, 10 * i as Nanos).ends(50 + 10 * i as Nanos).record()).collect();
    growing.iter().for_each(|record| in_flight.add(record));
    assert!(in_flight_trend(&in_flight, 0, 1_000 * MS, 60 * MS).unwrap().unsteady);
    assert_eq!(in_flight_trend(&in_flight, 0, 1_000 * MS, 200 * MS), None, "5 parts are too few");
}

#[test]
fn merged_parts_tell_what_the_whole_tells() {
    let records = open(&mut Dice(3), 300, 1.5, 2, 1.0, 0.2);
    let whole = conduct(records.clone());
    let mut merged = conduct(records.iter().filter(|record| record.seq % 3 == 0).cloned());
    merged.merge(&conduct(records.iter().filter(|record| record.seq % 3 != 0).cloned()));
    assert_eq!(whole.rates(), merged.rates());
    assert_eq!(whole.trends(None, 0), merged.trends(None, 0));
    assert_eq!((whole.events, whole.late), (merged.events, merged.late));
}
