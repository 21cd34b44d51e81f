//! Two runs of one server that are called different, and a slower server that is found out.

use super::simulated::{self, Load, METRICS};
use super::{Options, each, wilson};
use rampant::record::{Phase, Record};
use rampant::stats::names::{Metric, Statistic};
use rampant::stats::versus::change::{Change, Span};
use rampant::stats::versus::judge;
use rampant::stats::versus::needed::Aim;
use rampant::stats::versus::series::{Piece, Series};

/// What is compared of each of [`METRICS`].
const STATISTICS: [Statistic; 4] =
    [Statistic::Mean, Statistic::Percentile(50.0), Statistic::Percentile(90.0), Statistic::Percentile(99.0)];

/// A difference that must be found, and in how many of 100 pairs.
const SLOWER: f64 = 0.1;
const FOUND_IN: f64 = 0.8;

/// At most so many pairs of equal servers may be called different.
const CALLED_IN: f64 = 0.05;

/// A run for which a length is named is not lengthened further than this.
const TIMES_MAX: f64 = 60.0;

/// The series of a run: each statistic of each metric.
fn series(load: &Load, requests: f64, seed: u64, way_seed: u64, slower: f64) -> Vec<Series> {
    let mut at = Vec::new();
    let mut values: [Vec<f32>; 3] = Default::default();
    simulated::play(load, requests, seed, way_seed, slower, |record: Record| {
        if record.phase == Phase::Measured {
            at.push(record.timeline.planned);
            for (values, metric) in values.iter_mut().zip([Metric::Ttft, Metric::E2el, Metric::ItlRequest]) {
                let value = metric.values(&record).and_then(|values| values.first().copied());
                values.push(value.map_or(f32::NAN, |value| value as f32));
            }
        }
    });
    let of = |values: &Vec<f32>| {
        let piece = || Piece::Values { at: at.clone(), values: values.clone() };
        STATISTICS.map(|statistic| Series { pieces: vec![piece()], statistic })
    };
    values.iter().flat_map(of).collect()
}

/// Two runs: of the same traffic, or of other traffic.
fn pair(load: &Load, requests: f64, n: u64, slower: f64, joint: bool, options: &Options) -> [Vec<Series>; 2] {
    let seed = options.seed + 2_000_000 + n;
    let other = if joint { seed } else { seed + 500_000 };
    let b = series(load, requests, other, seed + 700_000, 1.0 + slower);
    [series(load, requests, seed, seed, 1.0), b]
}

fn changes([a, b]: &[Vec<Series>; 2], joint: bool) -> Vec<Option<Change>> {
    // Only a request that ended on both sides is a pair: here all do, but those of the last moment.
    let same = a.iter().zip(b).all(|(a, b)| a.count() == b.count());
    a.iter().zip(b).map(|(a, b)| a.change_to(b, joint && same).ok()).collect()
}

/// Prints how often two runs of one server are called different, and how often a slower one is found.
pub fn differences(loads: &[Load], options: &Options) -> Vec<String> {
    println!(
        "\nOf {} pairs of equal servers, called different in any of {} rows, % (upper bound;",
        options.pairs,
        STATISTICS.len() * METRICS.len()
    );
    println!("without any interval); and TTFT +10 % found at the length that a first pair names for it, %");
    let mut missed = Vec::new();
    for load in loads {
        for joint in [true, false].into_iter().filter(|joint| load.is_open() || !joint) {
            let name = format!("{}{}", load.name(), if joint { ", same traffic" } else { "" });
            let all = each(options.pairs, |n| {
                changes(&pair(load, options.requests, n as u64, 0.0, joint, options), joint)
            });
            let judged: Vec<bool> = all.iter().filter_map(|rows| different(rows)).collect();
            let called = judged.iter().filter(|called| **called).count();
            let (least, most) = wilson(called, judged.len());
            let share = 100.0 * called as f64 / judged.len().max(1) as f64;
            let (found, pairs, times) = power(load, joint, &all, options);
            println!(
                "{name:28}{share:6.1} (≤ {:.1}; {}){:>24}",
                100.0 * most,
                all.len() - judged.len(),
                match pairs {
                    0 => "no length named".into(),
                    _ => format!("{:.0} of {pairs}, {times:.1} x", 100.0 * found as f64 / pairs as f64),
                }
            );
            if least > CALLED_IN {
                missed.push(format!("{name}: equal servers are called different"));
            }
            if pairs > 0 && wilson(found, pairs).1 < FOUND_IN {
                missed.push(format!("{name}: a slower server is not found"));
            }
        }
    }
    missed
}

/// The rows of a comparison as they are judged: chances of those that have an interval.
fn adjusted(rows: &[Option<Change>]) -> Vec<Option<(Span, f64)>> {
    let spans: Vec<Option<Span>> =
        rows.iter().map(|row| row.as_ref().and_then(|row| row.log_ratio)).collect();
    let chances: Vec<f64> = spans.iter().flatten().map(judge::chance).collect();
    let mut adjusted = judge::holm(&chances).into_iter();
    spans.into_iter().map(|span| span.and_then(|span| Some((span, adjusted.next()?)))).collect()
}

/// `None`: no row has an interval.
fn different(rows: &[Option<Change>]) -> Option<bool> {
    let rows = adjusted(rows);
    let mut known = rows.iter().flatten().peekable();
    known.peek()?;
    Some(known.any(|(_, chance)| *chance < judge::LEVEL))
}

/// The mean TTFT of a slower server, called worse; of so many pairs, each so many times as long as the
/// first, by what the middle one of some first pairs names.
fn power(load: &Load, joint: bool, first: &[Vec<Option<Change>>], options: &Options) -> (usize, usize, f64) {
    let mut named: Vec<f64> = first
        .iter()
        .take(40)
        .filter_map(|rows| {
            let aim = Aim { change: SLOWER, margin: 0.0, rows: rows.iter().flatten().count() };
            aim.times_as_long(&rows[0].as_ref()?.log_ratio?.as_share())
        })
        .collect();
    named.sort_by(f64::total_cmp);
    let Some(times) = named.get(named.len() / 2).copied().filter(|times| *times <= TIMES_MAX) else {
        return (0, 0, 0.0);
    };
    let pairs = (options.pairs as f64 / times.max(1.0)).clamp(20.0, 200.0) as usize;
    let found = each(pairs, |n| {
        let both = pair(load, options.requests * times, 100_000 + n as u64, SLOWER, joint, options);
        let rows = adjusted(&changes(&both, joint));
        // `worse`, as the comparison has it.
        rows[0].is_some_and(|(span, chance)| span.low > 0.0 && chance < judge::LEVEL)
    });
    (found.iter().filter(|found| **found).count(), pairs, times)
}
