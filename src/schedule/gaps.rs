//! `Gaps`: the running sum of gaps with mean 1; gap `i` depends on (seed, traffic, stream, i) alone.

use super::process::Process;
use crate::random::Stream;
use rand_distr::{Distribution, Exp1, Gamma};

#[derive(Debug, Clone)]
pub(super) struct Gaps {
    stream: Stream,
    process: Process,
    gamma: Option<Gamma<f64>>,
    next: u64,
    sum: f64,
}

impl Gaps {
    pub(super) fn new(process: Process, seed: u64, traffic: &str, stream: &str) -> Self {
        let gamma = match process {
            // Mean shape x scale = 1, variance shape x scale^2 = cv^2.
            Process::Gamma { cv } => Gamma::new(1.0 / (cv * cv), cv * cv).ok(),
            Process::Poisson | Process::Even => None,
        };
        Gaps { stream: Stream::new(seed, traffic, stream), process, gamma, next: 0, sum: 0.0 }
    }

    /// The sum of the gaps before the next arrival. Even arrivals begin at 0 and are whole
    /// numbers; random ones begin after their first gap.
    pub(super) fn next_sum(&mut self) -> f64 {
        let index = self.next;
        self.next += 1;
        if self.process == Process::Even {
            return index as f64;
        }
        let rng = &mut self.stream.at(index);
        self.sum += match &self.gamma {
            Some(gamma) => gamma.sample(rng),
            None => Exp1.sample(rng),
        };
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(process: Process, count: usize) -> Vec<f64> {
        let mut gaps = Gaps::new(process, 0, "gaps", "arrivals");
        let sums: Vec<f64> = (0..count).map(|_| gaps.next_sum()).collect();
        std::iter::once(sums[0]).chain(sums.windows(2).map(|pair| pair[1] - pair[0])).collect()
    }

    fn mean_and_cv(values: &[f64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        (mean, variance.sqrt() / mean)
    }

    #[test]
    fn gamma_gaps_have_mean_one_and_the_asked_variation() {
        for cv in [0.25, 1.0, 2.0] {
            let (mean, seen) = mean_and_cv(&gaps(Process::Gamma { cv }, 40_000));
            assert!((mean - 1.0).abs() < 0.01 + 0.02 * cv, "mean {mean} at cv {cv}");
            assert!((seen / cv - 1.0).abs() < 0.03, "cv {seen} instead of {cv}");
        }
    }

    #[test]
    fn neighbouring_gaps_are_independent() {
        let gaps = gaps(Process::Poisson, 20_000);
        let (mean, _) = mean_and_cv(&gaps);
        let covariance = gaps.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>()
            / (gaps.len() - 1) as f64;
        assert!(covariance.abs() < 0.03, "correlation {covariance}");
    }
}
