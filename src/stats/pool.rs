//! `Pooled`: one number of several runs of the same plan.
//!
//! What is pooled are the values, never the numbers made of them: a percentile of repeats is that of all
//! their values, a rate is all that came over all the time. How far it may be off is told by how far the
//! repeats lie apart: what makes them differ (a restart, a placement, a clock) moves all requests of a
//! repeat together, so that the requests of one say nothing of it.

use super::estimate::{Estimate, Interval, Mark};
use super::names::{Metric, Name, Statistic};
use super::resample::student;
use super::summary::Summary;

/// Repeats from which their spread says something: of two it would have one degree of freedom.
pub const REPEATS_MIN: usize = 3;

/// One number of all repeats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pooled {
    /// `n` is of all repeats, the interval that of their spread.
    pub estimate: Estimate,
    pub repeats: usize,
    /// Standard deviation of the number between repeats, in its own unit. `None`: of one.
    pub between: Option<f64>,
    /// The standard error that the requests of one repeat give it, in the mean. `None`: none of them
    /// has an interval.
    pub within: Option<f64>,
}

impl Pooled {
    /// The number of this name in all of these runs together.
    pub fn of(repeats: &[&Summary], name: Name) -> Pooled {
        let estimates: Vec<Estimate> = repeats.iter().map(|repeat| repeat.estimate_of(name)).collect();
        let values: Vec<f64> = estimates.iter().filter_map(|estimate| estimate.value).collect();
        let n = estimates.iter().map(|estimate| estimate.n).sum();
        let value = value(repeats, name);
        let errors: Vec<f64> = estimates.iter().filter_map(standard_error).collect();
        let within = (!errors.is_empty())
            .then(|| (errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64).sqrt());
        let between = spread(&values);
        let estimate = match (&estimates[..], value) {
            ([only], _) => *only,
            (_, None) => Estimate::plain(None, n),
            _ if !has_interval(name) => Estimate::plain(value, n),
            (_, Some(value)) => judge(value, &values, n, &estimates),
        };
        Pooled { estimate, repeats: repeats.len(), between, within }
    }
}

fn has_interval(name: Name) -> bool {
    name.statistic.percentile().is_some()
        || matches!(name.statistic, Statistic::Mean | Statistic::Rate | Statistic::Share)
}

fn judge(value: f64, values: &[f64], n: u64, estimates: &[Estimate]) -> Estimate {
    let without = |mark| Estimate { value: Some(value), interval: None, n, mark: Some(mark) };
    if estimates.iter().any(|estimate| estimate.mark == Some(Mark::NotSteady)) {
        return without(Mark::NotSteady);
    }
    if values.len() < REPEATS_MIN {
        return without(Mark::FewRepeats { more: REPEATS_MIN - values.len() });
    }
    // Ratios, where there are any: repeats of a slow server lie further apart.
    let ratios = values.iter().all(|value| *value > 0.0);
    let scaled: Vec<f64> = values.iter().map(|value| if ratios { value.ln() } else { *value }).collect();
    let freedom = values.len() - 1;
    let t = OF_FEW.get(freedom).copied().unwrap_or_else(|| student(freedom as f64));
    let side = t * spread(&scaled).unwrap_or(0.0) / (values.len() as f64).sqrt();
    let interval = match ratios {
        true => Interval { low: value * (-side).exp(), high: value * side.exp() },
        false => Interval { low: value - side, high: value + side },
    };
    Estimate { value: Some(value), interval: Some(interval), n, mark: None }
}

/// The 97.5th percentiles of Student's t of 0 to 4 degrees of freedom.
const OF_FEW: [f64; 5] = [f64::INFINITY, 12.706, 4.303, 3.182, 2.776];

/// All values together.
fn value(repeats: &[&Summary], name: Name) -> Option<f64> {
    let of = |statistic| Name { statistic, ..name };
    let over_time = name.statistic == Statistic::Rate
        || name.metric == Metric::Concurrency && name.statistic == Statistic::Mean;
    if over_time {
        let seconds = Name::new(Metric::Duration, Statistic::Sum);
        let weighed = repeats.iter().filter_map(|repeat| repeat.number(name).zip(repeat.number(seconds)));
        let (amount, time) =
            weighed.fold((0.0, 0.0), |(amount, time), (rate, s)| (amount + rate * s, time + s));
        return (time > 0.0).then(|| amount / time);
    }
    match name.statistic {
        Statistic::Peak => repeats.iter().filter_map(|repeat| repeat.number(name)).reduce(f64::max),
        Statistic::Max if name.metric == Metric::Concurrency => {
            repeats.iter().filter_map(|repeat| repeat.number(name)).reduce(f64::max)
        }
        _ if name.metric == Metric::Duration => repeats.iter().map(|repeat| repeat.number(name)).sum(),
        statistic => {
            let (first, rest) = repeats.split_first()?;
            let mut all = (*first).clone();
            rest.iter().for_each(|repeat| all += repeat);
            all.number(of(statistic))
        }
    }
}

/// Of the normal distribution that has this interval.
fn standard_error(estimate: &Estimate) -> Option<f64> {
    let interval = estimate.interval.filter(|interval| interval.high.is_finite())?;
    Some((interval.high - interval.low) / 2.0 / 1.96)
}

/// The standard deviation that a sample says of what it comes from. `None`: of one value.
pub fn spread(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::super::Window;
    use super::super::fixture::reply;
    use super::*;

    /// A run of 2,000 requests whose TTFT leaps about around `ms`.
    fn run(ms: u32, seed: u64) -> Summary {
        let mut summary = Summary::new(Window::UNKNOWN, None, false);
        for i in 0..2_000_u64 {
            let first = ms + ((i + seed) * 7_919 % 41) as u32;
            summary.add(&reply(i, i as i64 * 10).tokens_at(&[first, first + 10]).usage(9, 2).record());
        }
        summary.close();
        summary
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn a_percentile_of_repeats_is_that_of_all_values_and_no_mean_of_percentiles() {
        let (fast, slow) = (run(10, 1), run(1_000, 2));
        let pooled = Pooled::of(&[&fast, &slow], name("ttft.p90")).estimate.value.unwrap();
        let mean = (fast.number(name("ttft.p90")).unwrap() + slow.number(name("ttft.p90")).unwrap()) / 2.0;
        assert!(pooled > 1_000.0 && mean < 600.0, "{pooled} {mean}");
    }

    #[test]
    fn the_interval_is_that_of_the_spread_between_repeats() {
        let runs = [run(100, 1), run(110, 2), run(120, 3)];
        let runs: Vec<&Summary> = runs.iter().collect();
        let pooled = Pooled::of(&runs, name("ttft.mean"));
        let (between, within) = (pooled.between.unwrap(), pooled.within.unwrap());
        assert!((between - 10.0).abs() < 0.2 && within < 1.0, "{pooled:?}");
        let interval = pooled.estimate.interval.unwrap();
        // 4.3 of 10 ms over the root of 3.
        assert!((interval.low - 107.0).abs() < 2.0 && (interval.high - 157.0).abs() < 3.0, "{interval:?}");
        assert_eq!((pooled.estimate.n, pooled.repeats), (6_000, 3));
    }

    #[test]
    fn two_repeats_have_no_interval_and_one_has_its_own() {
        let (one, two) = (run(100, 1), run(110, 2));
        let pooled = Pooled::of(&[&one, &two], name("ttft.mean"));
        assert_eq!(pooled.estimate.mark, Some(Mark::FewRepeats { more: 1 }));
        assert!(pooled.between.is_some());
        let alone = Pooled::of(&[&one], name("ttft.mean"));
        assert_eq!((alone.estimate, alone.between), (one.estimate("ttft.mean").unwrap(), None));
    }

    #[test]
    fn rates_are_all_that_came_over_all_the_time() {
        let (one, two) = (run(100, 1), run(100, 2));
        let rate = one.number(name("requests.rate")).unwrap();
        let pooled = Pooled::of(&[&one, &two], name("requests.rate")).estimate;
        assert!((pooled.value.unwrap() / rate - 1.0).abs() < 0.01, "{pooled:?} {rate}");
        let counted = Pooled::of(&[&one, &two], name("requests.count")).estimate;
        assert_eq!((counted.value, counted.interval), (Some(4_000.0), None));
    }
}
