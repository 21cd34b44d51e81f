//! `Length`: a distribution of lengths in tokens.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// Longest text and longest reply, tokens. No context is as long yet, and a slip of the finger
/// must not fill the memory.
pub const TOKENS_MAX: u32 = 10_000_000;

/// A distribution of lengths in tokens. Samples are from 1 to [`TOKENS_MAX`].
#[derive(Debug, Clone, PartialEq)]
pub enum Length {
    Fixed(u32),
    /// Both ends included.
    Uniform(u32, u32),
    Normal {
        mean: f64,
        sd: f64,
    },
    Lognormal {
        median: f64,
        sigma: f64,
    },
    /// (value, weight) pairs.
    Empirical(Vec<(u32, f64)>),
}

impl Length {
    /// Uniform within `ratio` of `n` on both sides, as vLLM's `--random-range-ratio` has it;
    /// fixed for a ratio of 0. Fails when the ratio is not in 0..=1.
    ///
    /// ```
    /// use rampant::workload::Length;
    /// assert_eq!(Length::ranged(100, 0.2), Ok(Length::Uniform(80, 120)));
    /// assert_eq!(Length::ranged(100, 0.0), Ok(Length::Fixed(100)));
    /// ```
    pub fn ranged(n: u32, ratio: f64) -> Result<Length, String> {
        if !(0.0..=1.0).contains(&ratio) {
            return Err(format!("the range ratio must be from 0 to 1, got {ratio}"));
        }
        // 10 x (1 - 0.7) is a hair above 3, and 100 x 1.1 above 110.
        let hair = 1e-6;
        let low = (f64::from(n) * (1.0 - ratio) - hair).ceil() as u32;
        let high = (f64::from(n) * (1.0 + ratio) + hair).floor() as u32;
        Ok(if low == high { Length::Fixed(n) } else { Length::Uniform(low.max(1), high) })
    }

    /// What is wrong with the numbers, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        let finite = |what: &str, value: f64, least: f64| match value {
            v if !v.is_finite() => Err(format!("{what} must be a finite number, got {v}")),
            v if v < least => Err(format!("{what} must be at least {least}, got {v}")),
            _ => Ok(()),
        };
        let short = |tokens: f64| match tokens > f64::from(TOKENS_MAX) {
            true => Err(format!("a length must be at most {TOKENS_MAX} tokens, got {tokens}")),
            false => Ok(()),
        };
        match self {
            Length::Fixed(0) => Err("a length must be at least 1 token, got 0".into()),
            Length::Fixed(n) => short(f64::from(*n)),
            Length::Uniform(0, _) => Err("a length must be at least 1 token, got 0".into()),
            Length::Uniform(low, high) if low > high => {
                Err(format!("a uniform length from {low} to {high} is empty"))
            }
            Length::Uniform(_, high) => short(f64::from(*high)),
            Length::Normal { mean, sd } => {
                finite("the mean of a length", *mean, 1.0)?;
                short(*mean)?;
                finite("the standard deviation of a length", *sd, 0.0)
            }
            Length::Lognormal { median, sigma } => {
                finite("the median of a length", *median, 1.0)?;
                short(*median)?;
                finite("the sigma of a length", *sigma, 0.0)
            }
            Length::Empirical(pairs) => {
                for (value, weight) in pairs {
                    finite(&format!("the weight of length {value}"), *weight, 0.0)?;
                    short(f64::from(*value))?;
                }
                match pairs.iter().find(|(value, _)| *value == 0) {
                    Some(_) => Err("a length must be at least 1 token, got 0".into()),
                    None if pairs.iter().map(|(_, weight)| weight).sum::<f64>() > 0.0 => Ok(()),
                    None => Err("an empirical length needs a value with a weight above 0".into()),
                }
            }
        }
    }

    /// One length, from 1 to [`TOKENS_MAX`].
    pub fn sample(&self, rng: &mut impl Rng) -> u32 {
        match self {
            Length::Uniform(low, high) => rng.random_range(*low..=(*high).max(*low)).max(1),
            other => other.draw(rng).round().clamp(1.0, f64::from(TOKENS_MAX)) as u32,
        }
    }

    /// One number of the distribution, of any size and not whole: `Uniform` is even between its ends.
    pub fn draw(&self, rng: &mut impl Rng) -> f64 {
        let normal = |rng: &mut _| -> f64 { StandardNormal.sample(rng) };
        match self {
            Length::Fixed(n) => f64::from(*n),
            Length::Uniform(low, high) => rng.random_range(f64::from(*low)..=f64::from((*high).max(*low))),
            Length::Normal { mean, sd } => mean + sd * normal(rng),
            Length::Lognormal { median, sigma } => median * (sigma * normal(rng)).exp(),
            Length::Empirical(pairs) => {
                let weights = pairs.iter().map(|(_, weight)| *weight);
                pairs.get(weighted(weights, rng)).map_or(1.0, |(value, _)| f64::from(*value))
            }
        }
    }
}

/// The index of one of `weights`, as often as its share of their sum.
pub(super) fn weighted(weights: impl Iterator<Item = f64> + Clone, rng: &mut impl Rng) -> usize {
    let mut left = rng.random::<f64>() * weights.clone().sum::<f64>();
    let mut last = 0;
    for (index, weight) in weights.enumerate().filter(|(_, weight)| *weight > 0.0) {
        last = index;
        left -= weight;
        if left < 0.0 {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    fn samples(length: &Length) -> Vec<u32> {
        assert_eq!(length.check(), Ok(()));
        let rng = &mut ChaCha8Rng::seed_from_u64(3);
        let mut samples: Vec<u32> = (0..20_000).map(|_| length.sample(rng)).collect();
        samples.sort_unstable();
        samples
    }

    fn mean(samples: &[u32]) -> f64 {
        samples.iter().map(|v| f64::from(*v)).sum::<f64>() / samples.len() as f64
    }

    #[test]
    fn samples_follow_their_distribution() {
        assert_eq!(samples(&Length::Fixed(7)), vec![7; 20_000]);
        let uniform = samples(&Length::Uniform(10, 12));
        assert_eq!((uniform[0], uniform[19_999]), (10, 12));
        assert!((mean(&uniform) - 11.0).abs() < 0.03);
        let normal = samples(&Length::Normal { mean: 500.0, sd: 50.0 });
        assert!((mean(&normal) - 500.0).abs() < 2.0);
        let inside = normal.iter().filter(|v| (450..=550).contains(*v)).count();
        assert!((inside as f64 / 20_000.0 - 0.688).abs() < 0.015, "{inside}");
        let lognormal = samples(&Length::Lognormal { median: 400.0, sigma: 0.6 });
        assert!((f64::from(lognormal[10_000]) - 400.0).abs() < 10.0);
        assert!((mean(&lognormal) / (400.0 * 0.18_f64.exp()) - 1.0).abs() < 0.03);
    }

    #[test]
    fn no_sample_is_longer_than_any_context() {
        for wild in [Length::Normal { mean: 8.0, sd: 1e300 }, Length::Lognormal { median: 8.0, sigma: 1e3 }] {
            let samples = samples(&wild);
            assert_eq!((samples[0], samples[19_999]), (1, TOKENS_MAX), "{wild:?}");
        }
        assert!(Length::Fixed(TOKENS_MAX + 1).check().is_err());
    }

    #[test]
    fn an_empirical_length_has_the_asked_shares() {
        let samples = samples(&Length::Empirical(vec![(9, 0.0), (5, 1.0), (50, 3.0), (7, 0.0)]));
        let fives = samples.iter().filter(|v| **v == 5).count();
        assert!((fives as f64 / 20_000.0 - 0.25).abs() < 0.015, "{fives}");
        assert_eq!(samples.iter().filter(|v| **v == 50).count(), 20_000 - fives);
    }

    #[test]
    fn a_length_is_never_below_one() {
        assert_eq!(samples(&Length::Normal { mean: 1.0, sd: 10.0 })[0], 1);
        assert_eq!(samples(&Length::Lognormal { median: 1.0, sigma: 3.0 })[0], 1);
    }

    #[test]
    fn a_ranged_length_is_the_interval_around_n() {
        assert_eq!(Length::ranged(1000, 0.5), Ok(Length::Uniform(500, 1500)));
        assert_eq!(Length::ranged(10, 0.9), Ok(Length::Uniform(1, 19)));
        assert_eq!(Length::ranged(10, 0.7), Ok(Length::Uniform(3, 17)));
        assert_eq!(Length::ranged(10, 1.0), Ok(Length::Uniform(1, 20)));
        assert_eq!(Length::ranged(3, 0.1), Ok(Length::Fixed(3)));
        assert_eq!(Length::ranged(3, -0.1), Err("the range ratio must be from 0 to 1, got -0.1".into()));
        assert!(Length::ranged(3, f64::NAN).is_err());
    }

    #[test]
    fn a_bad_length_is_named_in_a_sentence() {
        let sentence = |length: Length| length.check().expect_err("a bad length");
        assert_eq!(sentence(Length::Fixed(0)), "a length must be at least 1 token, got 0");
        assert_eq!(sentence(Length::Uniform(5, 4)), "a uniform length from 5 to 4 is empty");
        assert_eq!(
            sentence(Length::Normal { mean: f64::NAN, sd: 1.0 }),
            "the mean of a length must be a finite number, got NaN"
        );
        assert_eq!(
            sentence(Length::Lognormal { median: 5.0, sigma: -1.0 }),
            "the sigma of a length must be at least 0, got -1"
        );
        for pairs in [vec![], vec![(5, 0.0)]] {
            assert_eq!(
                sentence(Length::Empirical(pairs)),
                "an empirical length needs a value with a weight above 0"
            );
        }
        assert_eq!(
            sentence(Length::Empirical(vec![(5, 1.0), (6, -1.0)])),
            "the weight of length 6 must be at least 0, got -1"
        );
    }
}
