//! `interval`: how far chance may have moved a number of one run; `Resamples`: draws of its blocks of time.
//!
//! A run is cut into blocks (`blocks`); by how much each of them pulls a number away says how else it
//! could have come out. Of one number the draws need not be made: a sum of pulls is what each draw would
//! give, so that its variance and its skewness, to which any number of draws tends, are known without
//! them. What compares two runs draws (`versus`). Four things make a plain interval miss:
//!
//! - Neighbouring blocks resemble each other. The variance is widened by their autocorrelation, as in
//!   the method of batch means (Law 2015, section 9.5.3): by (1 + r) / (1 - r), or by what sums of four
//!   and of eight neighbours vary more than as many blocks do, whichever is most.
//! - The variance itself is an estimate from few blocks. Student's t stands in for the normal
//!   distribution, with the degrees of freedom that the blocks are worth: as many as they are
//!   independent, and fewer where few of them carry most of the variance (Satterthwaite's, by kurtosis).
//! - Queues are skewed: a run that happens to see few bursts has a low mean and a small variance at once.
//!   Hall's transformation (1992, "On the removal of skewness by transformation") takes that out, so
//!   that an interval reaches further up than down.
//! - Percentiles are asked for by the share of values beyond them (Woodruff 1952): the interval lies
//!   between the values that slightly more and slightly fewer of them exceed.
//!
//! What makes variance large must not withhold an interval by itself: runs that happen to see no burst
//! look calm, and would be the ones that are left. So there is one from [`BLOCKS_MIN`] blocks on, wide
//! where neighbours are alike, and none only where hardly any of them is independent. Of a percentile
//! whose tail is a few bursts the upper end is not known; the lower end is.

use super::estimate::Interval;

/// Runs that are drawn. Chance in their 2.5th and 97.5th percentiles moves a bound by a tenth of the
/// interval's half, which is less than its estimate from few blocks does.
pub const RESAMPLES: usize = 400;

/// Below this a variance is itself known to no better than a third, and an autocorrelation hardly at all.
pub const BLOCKS_MIN: f64 = 20.0;

/// So many of the blocks must be independent of each other. More would leave too few runs, and the wrong
/// ones: of 1,000 queues at 90 % of their load that lasted 25 of their relaxation times, intervals of the
/// mean that twenty independent blocks let pass held the truth in 69, those that four let pass in 94 of 100.
pub const INDEPENDENT_MIN: f64 = 4.0;

/// So many stretches of a run must hold what a share or a rate counts: how often it comes is not known
/// from a few of them.
pub const CARRIERS_MIN: f64 = 10.0;

/// Neighbours whose sums are looked at: they see what outlasts the next block.
const TOGETHER: [usize; 2] = [4, 8];

/// Every interval of every run is drawn with these numbers: the same records give the same interval.
const SEED: u64 = 0x5EED_0F81_0C45;

/// The 97.5th percentile of the normal distribution.
pub const Z: f64 = 1.959_964;

/// A skewness beyond this says that one block makes it all, and no more.
const SKEWNESS_MAX: f64 = 2.0;

/// A normal distribution's kurtosis.
const NORMAL_KURTOSIS: f64 = 3.0;

/// How often each block occurs in each of the runs that are drawn.
#[derive(Debug, Clone)]
pub struct Resamples {
    blocks: usize,
    times: Vec<u8>,
}

impl Resamples {
    /// For statistics of this many blocks, at most 255: all of one run share their draws.
    pub fn of(blocks: usize) -> Resamples {
        assert!(blocks <= 255, "there are at most 64 blocks of time");
        let mut times = vec![0_u8; RESAMPLES * blocks];
        let mut state = SEED;
        for run in times.chunks_exact_mut(blocks.max(1)) {
            for _ in 0..blocks {
                // The upper half of a product is an even draw below `blocks`, to 2^-32.
                let draw = ((next(&mut state) >> 32) * blocks as u64) >> 32;
                run[draw as usize] += 1;
            }
        }
        Resamples { blocks, times }
    }

    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Each run that is drawn: how often each block occurs in it.
    pub fn runs(&self) -> impl Iterator<Item = &[u8]> {
        self.times.chunks_exact(self.blocks.max(1))
    }
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

/// A number that is made of blocks.
pub trait BlockStatistic {
    fn blocks(&self) -> usize;

    /// The number when each block occurs so many times. `None`: those say nothing. Infinite: it lies
    /// above all that is known.
    fn of(&self, times: &[u8]) -> Option<f64>;

    /// By how much each block pulls the number away, to first order and up to a common factor; 0 of a
    /// block with nothing in it. By default the number without that block tells.
    fn influence(&self) -> Vec<f64> {
        let mut times = vec![1; self.blocks()];
        let whole = self.of(&times).unwrap_or(0.0);
        (0..self.blocks())
            .map(|block| {
                times[block] = 0;
                let without = self.of(&times).unwrap_or(whole);
                times[block] = 1;
                whole - without
            })
            .collect()
    }

    /// Blocks with something in them.
    fn filled(&self) -> usize;

    /// How many blocks hold what decides over it, where that is only part of the values; a block that
    /// holds more than others counts for less. `None`: all values do.
    fn carriers(&self) -> Option<f64> {
        None
    }

    /// By how much its error is greater than its pulls say. 1: not at all.
    fn widened(&self) -> f64 {
        1.0
    }

    /// The ends of the interval around its value, where the sum of all pulls may be too small by `down`
    /// and too large by `up`.
    fn ends(&self, value: f64, down: f64, up: f64) -> Interval;

    /// Of its value, a standard error in its unit that no draw of blocks shows: values that one bin holds
    /// are not told apart.
    fn blur(&self) -> f64 {
        0.0
    }

    /// Whether there is an upper end where the sum of all pulls may be too large by so much.
    fn has_end(&self, _up: f64) -> bool {
        true
    }
}

/// What the blocks of a statistic are worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// Blocks that would say as much if they were independent of each other.
    pub effective: f64,
    /// Degrees of freedom of the variance.
    pub freedom: f64,
    /// The variance of a mean is so many times that of independent blocks.
    pub inflation: f64,
    /// Standard error of the sum of all pulls.
    error: f64,
    /// Of that sum.
    skewness: f64,
}

/// How many independent blocks these are worth, by what each adds to a statistic.
pub fn worth(influence: &[f64], filled: usize) -> Worth {
    let n = influence.len() as f64;
    let mean = influence.iter().sum::<f64>() / n.max(1.0);
    let moment = |power: i32| influence.iter().map(|pull| (pull - mean).powi(power)).sum::<f64>() / n;
    let spread = moment(2);
    let size = influence.iter().fold(0.0, |most: f64, pull| most.max(pull.abs()));
    if influence.len() < 4 || spread.is_nan() || spread <= (size * 1e-9).powi(2) {
        // Every block says the same, so that each is worth one.
        let blocks = filled as f64;
        return Worth { effective: blocks, freedom: blocks, inflation: 1.0, error: 0.0, skewness: 0.0 };
    }
    let shared: f64 = influence.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    // A short series understates it by (1 + 3 r) / n (Kendall 1954).
    let r = ((shared / spread + 1.0) / (n - 3.0)).clamp(0.0, 0.99);
    let sums = TOGETHER.map(|together| of_sums(influence, together, mean, spread));
    let inflation = sums.into_iter().fold((1.0 + r) / (1.0 - r), f64::max);
    // The variance of a variance is (kurtosis - 1) / n of its square: 2 / n where it is normal.
    let kurtosis = moment(4) / (spread * spread);
    let even = ((NORMAL_KURTOSIS - 1.0) / (kurtosis - 1.0)).min(1.0);
    let effective = (n / inflation).min(filled as f64);
    let error = n * (spread / (n - 1.0) * inflation).sqrt();
    // Neighbours that are alike add their third moments as they add their variances, and once more.
    let skewness = moment(3) / spread.powf(1.5) * (inflation / n).sqrt();
    let skewness = skewness.clamp(-SKEWNESS_MAX, SKEWNESS_MAX);
    Worth { effective, freedom: effective * even, inflation, error, skewness }
}

impl Worth {
    /// Of the sum of all pulls.
    pub fn variance(&self) -> f64 {
        self.error * self.error
    }

    /// The same of a run that is so many times as long, as part of what it has more.
    fn after(self, times: f64) -> Worth {
        Worth { error: self.error / times.sqrt(), skewness: self.skewness / times.sqrt(), ..self }
    }

    /// By how much the sum of all pulls may be too large, and too small, in 95 of 100 runs; where all of
    /// them are greater by `widened`.
    fn reach(&self, widened: f64) -> (f64, f64) {
        let t = student(self.freedom - 1.0);
        let error = self.error * widened;
        (error * unskewed(t, self.skewness), -error * unskewed(-t, self.skewness))
    }
}

/// Where a sum of this skewness lies, in standard errors, when its transform by Hall's cubic lies at `x`.
fn unskewed(x: f64, skewness: f64) -> f64 {
    if skewness.abs() < 1e-3 {
        return x;
    }
    3.0 / skewness * ((1.0 + skewness * (x - skewness / 6.0)).cbrt() - 1.0)
}

/// The variance of sums of so many neighbours over that of as many independent blocks.
fn of_sums(influence: &[f64], together: usize, mean: f64, spread: f64) -> f64 {
    let (n, m) = (influence.len() as f64, together as f64);
    let sums = influence.windows(together).map(|few| few.iter().map(|pull| pull - mean).sum::<f64>());
    let count = (influence.len() + 1).saturating_sub(together).max(1) as f64;
    // All pulls together are nothing, so that sums of them are smaller than those of other runs.
    let variance = sums.map(|sum| sum * sum).sum::<f64>() / count / (1.0 - m / n).max(0.1);
    variance / (m * spread)
}

/// Lengths that are tried, up to 50,000 times as long.
const TRIED: i32 = 50;

/// An interval, and what it would take to have all of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Without an upper end where that is infinite.
    pub interval: Interval,
    /// How many times as long the run must be to have an upper end; 1 where there is one.
    pub times: f64,
}

/// The interval of a statistic around its value, which is that of the whole run. Where the blocks are too
/// few for one: how many of the [`BLOCKS_MIN`] there are.
pub fn interval(statistic: &impl BlockStatistic, value: f64) -> Result<Found, f64> {
    let worth = worth(&statistic.influence(), statistic.filled());
    let independent = BLOCKS_MIN / INDEPENDENT_MIN * worth.effective;
    let carried = BLOCKS_MIN / CARRIERS_MIN * statistic.carriers().unwrap_or(CARRIERS_MIN);
    let blocks = independent.min(carried).min(statistic.filled() as f64);
    if blocks < BLOCKS_MIN
        || statistic.of(&vec![1; statistic.blocks()]).is_none_or(|whole| !whole.is_finite())
    {
        return Err(blocks.min(BLOCKS_MIN));
    }
    let widened = statistic.widened();
    let (too_large, too_small) = worth.reach(widened);
    let Interval { low, high } = statistic.ends(value, too_large, too_small);
    let interval = Interval { low: low.min(value), high: high.max(value) };
    let has_end = |times: &f64| statistic.has_end(worth.after(*times).reach(widened).1);
    let mut lengths = (0..TRIED).map(|step| 1.25_f64.powi(step));
    Ok(Found { interval, times: lengths.find(has_end).unwrap_or(f64::INFINITY) })
}

/// The 97.5th percentile of Student's t, by its expansion (Abramowitz and Stegun 26.7.5): right to a
/// hundredth from four degrees of freedom on, and never of fewer.
pub fn student(freedom: f64) -> f64 {
    let (z, v) = (Z, freedom.max(4.0));
    z + (z.powi(3) + z) / (4.0 * v)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * v * v)
        + (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / (384.0 * v.powi(3))
}

#[cfg(test)]
mod tests;
