use super::super::fixture::MS;
use super::super::quotient::{Quotient, Tower};
use super::super::sample::Sample;
use super::super::sketch::SketchBlocks;
use super::*;

/// Quick draws, by number.
struct Draws(u64);

impl Draws {
    fn of(trial: u64) -> Draws {
        Draws(trial.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    /// From above 0 to 1.
    fn even(&mut self) -> f64 {
        ((next(&mut self.0) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Of mean 1.
    fn exponential(&mut self) -> f64 {
        -self.even().ln()
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.even().ln()).sqrt() * (std::f64::consts::TAU * self.even()).cos()
    }
}

/// How often the intervals of `trials` runs hold the true value, and how many have an interval.
fn coverage(
    trials: u64,
    run: impl Fn(&mut Draws) -> SketchBlocks,
    truth: f64,
    of: impl Fn(&SketchBlocks) -> Result<Interval, f64>,
) -> (f64, f64) {
    let (mut printed, mut held) = (0.0, 0.0);
    for trial in 0..trials {
        let sketches = run(&mut Draws::of(trial));
        if let Ok(interval) = of(&sketches) {
            printed += 1.0;
            held += f64::from(u8::from(interval.low <= truth && truth <= interval.high));
        }
    }
    (held / printed, printed / trials as f64)
}

fn mean_of(sketches: &SketchBlocks) -> Result<Interval, f64> {
    let mean = Quotient::mean(sketches);
    let value = mean.of(&vec![1; mean.blocks()]).ok_or(0.0)?;
    interval(&mean, value).map(|found| found.interval)
}

fn percentile_of(sketches: &SketchBlocks, p: f64) -> Result<Interval, f64> {
    let tower = Tower::new(sketches, &[]);
    let quantile = tower.percentile(p);
    let value = quantile.of(&vec![1; quantile.blocks()]).ok_or(0.0)?;
    interval(&quantile, value).map(|found| found.interval)
}

/// The same of the values themselves, as a run has them.
fn percentile_among(sketches: &SketchBlocks, values: &Sample, p: f64) -> Result<Interval, f64> {
    let (tower, view) = (Tower::new(sketches, &[]), values.view());
    let value = view.percentile(p).ok_or(0.0)?;
    interval(&tower.percentile(p).among(&view), value).map(|found| found.interval)
}

/// `n` independent exponential values, one every 10 ms.
fn independent(n: i64) -> impl Fn(&mut Draws) -> SketchBlocks {
    move |rng| {
        let mut sketches = SketchBlocks::default();
        (0..n).for_each(|i| sketches.add(i * 10 * MS, 100.0 * rng.exponential()));
        sketches
    }
}

/// `n` values around 100 of which each resembles the one before.
fn resembling(n: i64, r: f64) -> impl Fn(&mut Draws) -> SketchBlocks {
    move |rng| {
        let mut sketches = SketchBlocks::default();
        let mut level = rng.normal();
        for i in 0..n {
            level = r * level + f64::sqrt(1.0 - r * r) * rng.normal();
            sketches.add(i * 10 * MS, 100.0 + 10.0 * level);
        }
        sketches
    }
}

const TRIALS: u64 = 400;

/// Three standard errors of a share of 400 trials lie around what is wanted.
fn covers((held, _): (f64, f64), what: &str) {
    assert!((0.917..=0.99).contains(&held), "{what}: {held}");
}

#[test]
fn intervals_of_independent_values_hold_the_truth_in_95_of_100_runs() {
    for (n, printed) in [(300, 0.8), (3_000, 0.95)] {
        let found = coverage(TRIALS, independent(n), 100.0, mean_of);
        covers(found, &format!("mean of {n}"));
        assert!(found.1 > printed, "{n}: {}", found.1);
    }
    for (p, truth) in [(50.0, 2f64.ln()), (90.0, 10f64.ln()), (99.0, 100f64.ln())] {
        let found = coverage(TRIALS, independent(5_000), 100.0 * truth, |s| percentile_of(s, p));
        covers(found, &format!("p{p}"));
        assert!(found.1 > 0.9, "p{p}: {}", found.1);
    }
}

#[test]
fn intervals_of_values_that_resemble_their_neighbours_hold_the_truth_too() {
    for r in [0.5, 0.9, 0.97] {
        let found = coverage(TRIALS, resembling(4_000, r), 100.0, mean_of);
        covers(found, &format!("mean, {r}"));
        assert!(found.1 > 0.5, "{r}: {}", found.1);
        covers(
            coverage(TRIALS, resembling(4_000, r), 100.0, |s| percentile_of(s, 50.0)),
            &format!("p50, {r}"),
        );
    }
}

#[test]
fn values_that_hardly_change_within_a_run_have_no_interval() {
    let (_, printed) = coverage(TRIALS, resembling(1_000, 0.998), 100.0, mean_of);
    assert!(printed < 0.2, "{printed}");
}

#[test]
fn a_percentile_with_hardly_anything_beyond_it_has_a_lower_end_and_no_upper_one() {
    for trial in 0..100 {
        let sketches = independent(200)(&mut Draws::of(trial));
        let tower = Tower::new(&sketches, &[]);
        let quantile = tower.percentile(99.0);
        let value = quantile.of(&vec![1; quantile.blocks()]).unwrap();
        let Found { interval, times } = interval(&quantile, value).unwrap();
        assert!(interval.low > 0.0 && interval.low < value, "{interval:?}");
        assert!(interval.high == f64::INFINITY && times > 1.0, "{interval:?} {times}");
    }
}

/// Values so alike that a bin holds most of them: only chance within it moves their median.
#[test]
fn intervals_narrower_than_a_bin_hold_the_truth() {
    for (spread, r) in [(0.3, 0.0), (0.5, 0.0), (0.5, 0.8), (1.0, 0.9)] {
        let run = |trial: u64| {
            let rng = &mut Draws::of(trial);
            let (mut sketches, mut sample, mut level) = (SketchBlocks::default(), Sample::default(), 0.0);
            for i in -100..3_000 {
                level = r * level + f64::sqrt(1.0 - r * r) * rng.normal();
                if i >= 0 {
                    let value: f64 = 100.0 + spread * level;
                    sketches.add(i * 10 * MS, value);
                    sample.add(value);
                }
            }
            (sketches, sample)
        };
        for (p, z) in [(50.0, 0.0), (90.0, 1.281_552)] {
            let truth = 100.0 + spread * z;
            let held = (0..TRIALS).filter(|trial| {
                let (sketches, sample) = run(*trial);
                let Interval { low, high } = percentile_among(&sketches, &sample, p).unwrap();
                low <= truth && truth <= high
            });
            let held = held.count() as f64 / TRIALS as f64;
            covers((held, 1.0), &format!("p{p} of {spread}, {r}"));
        }
    }
}

/// What waits for one server of this load: bursts whose length is as random as their size.
fn queue(n: i64, load: f64) -> impl Fn(&mut Draws) -> SketchBlocks {
    move |rng| {
        let (mut sketches, mut wait) = (SketchBlocks::default(), 0.0_f64);
        for i in -n / 10..n {
            wait = (wait + load * rng.exponential() - rng.exponential()).max(0.0);
            if i >= 0 {
                sketches.add(i * 10 * MS, 1.0 + wait);
            }
        }
        sketches
    }
}

/// The wait for one server is exponential but for those who find it idle (Kleinrock 1975, section 5.12).
#[test]
fn intervals_of_queues_hold_the_truth_however_few_bursts_a_run_saw() {
    let (load, n) = (0.8_f64, 6_000);
    let mean = 1.0 + load * load / (1.0 - load);
    let at = |p: f64| 1.0 + load * (load / (1.0 - p / 100.0)).ln() / (1.0 - load);
    let found = coverage(TRIALS, queue(n, load), mean, mean_of);
    covers(found, "mean");
    assert!(found.1 > 0.97, "{}", found.1);
    for p in [50.0, 90.0, 99.0] {
        let found = coverage(TRIALS, queue(n, load), at(p), |sketches| percentile_of(sketches, p));
        covers(found, &format!("p{p}"));
        assert!(found.1 > 0.97, "p{p}: {}", found.1);
    }
}

#[test]
fn a_mean_that_one_value_makes_has_a_wide_interval() {
    let mut sketches = SketchBlocks::default();
    (0..1_000).for_each(|i| sketches.add(i * MS, if i == 500 { 5_000.0 } else { 20.0 + (i % 7) as f64 }));
    let mean = mean_of(&sketches).unwrap();
    assert!(mean.low < 22.0 && mean.high > 36.0, "one value moves it by 5: {mean:?}");
    assert!(percentile_of(&sketches, 50.0).is_ok());
}

#[test]
fn values_that_are_all_the_same_have_an_interval_of_no_width() {
    let mut sketches = SketchBlocks::default();
    (0..1_000).for_each(|i| sketches.add(i * MS, 20.0));
    let interval = mean_of(&sketches).unwrap();
    assert!((interval.low - 20.0).abs() < 1e-9 && (interval.high - 20.0).abs() < 1e-9, "{interval:?}");
    let mut one = SketchBlocks::default();
    one.add(0, 20.0);
    assert_eq!(mean_of(&one), Err(1.0));
}

#[test]
fn the_same_blocks_give_the_same_interval() {
    let sketches = independent(1_000)(&mut Draws::of(0));
    assert_eq!(mean_of(&sketches), mean_of(&sketches));
    let resamples = Resamples::of(64);
    assert_eq!(resamples.runs().count(), RESAMPLES);
    assert!(resamples.runs().all(|run| run.iter().map(|n| u32::from(*n)).sum::<u32>() == 64));
}

#[test]
fn students_t_is_that_of_the_tables() {
    for (freedom, t) in [(10.0, 2.228), (19.0, 2.093), (30.0, 2.042), (63.0, 1.998)] {
        assert!((student(freedom) - t).abs() < 1e-3, "{freedom}: {}", student(freedom));
    }
}

#[test]
fn a_statistic_that_does_not_say_its_pulls_is_asked_without_each_block() {
    struct Plain(Quotient);
    impl BlockStatistic for Plain {
        fn blocks(&self) -> usize {
            self.0.blocks()
        }
        fn of(&self, times: &[u8]) -> Option<f64> {
            self.0.of(times)
        }
        fn filled(&self) -> usize {
            self.0.filled()
        }
        fn ends(&self, value: f64, down: f64, up: f64) -> Interval {
            self.0.ends(value, down, up)
        }
    }
    let quotient = Quotient::mean(&independent(2_000)(&mut Draws::of(0)));
    let (a, b) = (worth(&quotient.influence(), 64), worth(&Plain(quotient).influence(), 64));
    assert!((a.effective / b.effective - 1.0).abs() < 0.05, "{a:?} {b:?}");
}
