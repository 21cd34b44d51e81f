//! `Resamples`: how far chance may have moved a statistic, by drawing its blocks of time again.
//!
//! A run is cut into blocks (`blocks`), and 400 runs are made of as many blocks, drawn with replacement
//! (Efron and Tibshirani 1993, chapter 8): the statistic of each says how else it could have come out.
//! Three things make such an interval too short, and each is made good for what it is:
//!
//! - Neighbouring blocks resemble each other. The variance is widened by their autocorrelation, as in
//!   the method of batch means (Law 2015, section 9.5.3): by (1 + r) / (1 - r), or by what sums of four
//!   neighbours vary more than four do, whichever is more.
//! - The variance itself is an estimate from few blocks. Student's t stands in for the normal
//!   distribution, with the degrees of freedom that the blocks are worth: as many as they are
//!   independent, and fewer where few of them carry most of the variance (Satterthwaite's, by kurtosis).
//! - Times are skewed. Intervals of what is positive are made of logarithms, those of shares of
//!   log-odds: there the distance that chance moves a value depends least on the value.
//!
//! Below [`EFFECTIVE_MIN`] independent blocks there is no interval, and the reply is how many there are.
//! What makes variance large must not withhold an interval by itself: runs that happen to see no burst
//! look calm, and would be the ones that are left.

use super::estimate::Interval;

/// Runs that are drawn. Chance in their 2.5th and 97.5th percentiles moves a bound by a tenth of the
/// interval's half, which is less than its estimate from few blocks does.
pub const RESAMPLES: usize = 400;

/// Below this a variance is itself known to no better than a third, and an autocorrelation hardly at all.
pub const EFFECTIVE_MIN: f64 = 20.0;

/// So many stretches of a run must hold what lies beyond a percentile: bursts of a queue make its tail,
/// and how often they come is not known from a few of them.
pub const CARRIERS_MIN: f64 = 10.0;

/// Neighbours whose sums are looked at: the shortest that see what outlasts the next block.
const TOGETHER: usize = 4;

/// Every interval of every run is drawn with these numbers: the same records give the same interval.
const SEED: u64 = 0x5EED_0F81_0C45;

/// The 97.5th percentile of the normal distribution.
const Z: f64 = 1.959_964;

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
}

/// Where distances are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// As they are: differences.
    Plain,
    /// By ratio: times, rates, lengths, and what is positive.
    Log,
    /// By odds: shares from 0 to 1.
    Odds,
}

impl Scale {
    fn to(self, value: f64) -> f64 {
        match self {
            Scale::Plain => value,
            Scale::Log => value.ln(),
            Scale::Odds => (value / (1.0 - value)).ln(),
        }
    }

    fn back(self, value: f64) -> f64 {
        match self {
            Scale::Plain => value,
            Scale::Log => value.exp(),
            // Of the greater infinity the quotient would be none.
            Scale::Odds => 1.0 / (1.0 + (-value).exp()),
        }
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
        return Worth { effective: filled as f64, freedom: filled as f64, inflation: 1.0 };
    }
    let shared: f64 = influence.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    // A short series understates it by (1 + 3 r) / n (Kendall 1954).
    let r = ((shared / spread + 1.0) / (n - 3.0)).clamp(0.0, 0.99);
    let inflation = ((1.0 + r) / (1.0 - r)).max(of_sums(influence, mean, spread));
    // The variance of a variance is (kurtosis - 1) / n of its square: 2 / n where it is normal.
    let kurtosis = moment(4) / (spread * spread);
    let even = ((NORMAL_KURTOSIS - 1.0) / (kurtosis - 1.0)).min(1.0);
    let effective = (n / inflation).min(filled as f64);
    Worth { effective, freedom: effective * even, inflation }
}

/// The variance of sums of neighbours over that of as many independent blocks; 1 at least.
fn of_sums(influence: &[f64], mean: f64, spread: f64) -> f64 {
    let (n, m) = (influence.len() as f64, TOGETHER as f64);
    let sums = influence.windows(TOGETHER).map(|few| few.iter().map(|pull| pull - mean).sum::<f64>());
    let count = influence.len().saturating_sub(TOGETHER - 1).max(1) as f64;
    // All pulls together are nothing, so that sums of them are smaller than those of other runs.
    let variance = sums.map(|sum| sum * sum).sum::<f64>() / count / (1.0 - m / n).max(0.1);
    (variance / (m * spread)).max(1.0)
}

/// The interval of a statistic around its value, which is that of the whole run. Where the blocks are too
/// few for one: how many of the [`EFFECTIVE_MIN`] there are.
pub fn interval(
    statistic: &impl BlockStatistic,
    value: f64,
    scale: Scale,
    resamples: &Resamples,
) -> Result<Interval, f64> {
    let worth = worth(&statistic.influence(), statistic.filled());
    let carried = statistic.carriers().map_or(1.0, |carriers| (carriers / CARRIERS_MIN).min(1.0));
    if worth.effective < EFFECTIVE_MIN || carried < 1.0 {
        return Err(worth.effective.min(EFFECTIVE_MIN * carried));
    }
    let whole = statistic.of(&vec![1; statistic.blocks()]).ok_or(worth.effective)?;
    let scale = if whole > 0.0 && value > 0.0 { scale } else { Scale::Plain };
    let centre = scale.to(whole);
    let mut moves: Vec<f64> = resamples
        .runs()
        .filter_map(|times| statistic.of(times))
        .map(|drawn| scale.to(drawn) - centre)
        .collect();
    if moves.len() < RESAMPLES / 2 || !centre.is_finite() {
        return Err(worth.effective);
    }
    moves.sort_unstable_by(f64::total_cmp);
    let n = statistic.blocks() as f64;
    let wider = student(worth.freedom - 1.0) / Z * (worth.inflation * n / (n - 1.0)).sqrt();
    let at = |share: f64| scale.back(scale.to(value) + wider * quantile(&moves, share));
    Ok(Interval { low: at(0.025).min(value), high: at(0.975).max(value) })
}

/// Of sorted values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    if below == above { below } else { below + (above - below) * place.fract() }
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
