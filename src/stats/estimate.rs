//! `Estimate`: a number of a run, and how far chance may have moved it.

use crate::lang::Lang;

/// Holds the true value in 95 of 100 runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub low: f64,
    /// Infinite where a percentile may as well lie among the requests that failed.
    pub high: f64,
}

/// A value with its interval, or with the reason why it has none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Estimate {
    /// `None`: not observed.
    pub value: Option<f64>,
    pub interval: Option<Interval>,
    /// How many values stand behind it.
    pub n: u64,
    pub mark: Option<Mark>,
}

/// What there is to know of a number that has no interval, or a bound in place of one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mark {
    /// The run holds too few stretches that are independent of each other. Seconds that it would have to
    /// go on for; `None`: no length of such a run helps, since all of its requests came at once.
    FewBlocks { more_s: Option<f64> },
    /// Hardly a value is expected beyond this percentile.
    FewValues { more_s: Option<f64> },
    /// Repeats are too few for their spread to say anything.
    FewRepeats { more: usize },
    /// The run has no level that a value could be of.
    NotSteady,
    /// It never happened, or always: the interval is the bound that the number of requests allows, as
    /// long as they fail independently of each other.
    NoneSeen,
}

impl Mark {
    /// As it stands in `statistics.parquet`.
    pub fn name(self) -> &'static str {
        match self {
            Mark::FewBlocks { .. } => "few_blocks",
            Mark::FewValues { .. } => "few_values",
            Mark::FewRepeats { .. } => "few_repeats",
            Mark::NotSteady => "not_steady",
            Mark::NoneSeen => "none_seen",
        }
    }

    /// Why there is no interval, and what helps.
    pub fn text(self, lang: Lang) -> String {
        let more = |more_s: Option<f64>| match (more_s, lang) {
            (Some(s), Lang::English) => format!("cannot tell, needs about {} more", seconds(s)),
            (Some(s), Lang::Chinese) => format!("无法判断，约需再运行 {}", seconds(s)),
            (None, Lang::English) => "cannot tell, all requests came at once".into(),
            (None, Lang::Chinese) => "无法判断，所有请求同时到达".into(),
        };
        match (self, lang) {
            (Mark::FewBlocks { more_s }, _) => more(more_s),
            (Mark::FewValues { more_s }, Lang::English) => format!("too few values: {}", more(more_s)),
            (Mark::FewValues { more_s }, Lang::Chinese) => format!("样本过少：{}", more(more_s)),
            (Mark::FewRepeats { more }, Lang::English) => {
                format!("cannot tell, needs {more} more repeats")
            }
            (Mark::FewRepeats { more }, Lang::Chinese) => format!("无法判断，还需重复 {more} 次"),
            (Mark::NotSteady, Lang::English) => "no interval, the run was not steady".into(),
            (Mark::NotSteady, Lang::Chinese) => "运行不平稳，没有区间".into(),
            (Mark::NoneSeen, Lang::English) => "none seen".into(),
            (Mark::NoneSeen, Lang::Chinese) => "未观察到".into(),
        }
    }
}

/// Two digits, since more of them are not known: `40 s`, `3 min`, `2 h`.
fn seconds(s: f64) -> String {
    let rounded = |value: f64| {
        let step = 10f64.powf((value.max(1.0).log10().floor() - 1.0).max(0.0));
        (value / step).ceil() * step
    };
    match s {
        s if s <= 180.0 => format!("{} s", rounded(s)),
        s if s <= 180.0 * 60.0 => format!("{} min", rounded(s / 60.0)),
        s => format!("{} h", rounded(s / 3_600.0)),
    }
}

impl Estimate {
    /// A value that chance has no interval for: a count, a sum, a maximum.
    pub fn plain(value: Option<f64>, n: u64) -> Estimate {
        Estimate { value, interval: None, n, mark: None }
    }

    pub fn low(&self) -> Option<f64> {
        self.interval.map(|interval| interval.low)
    }

    /// `None` where nothing bounds it, too.
    pub fn high(&self) -> Option<f64> {
        self.interval.map(|interval| interval.high).filter(|high| high.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_in_two_digits_and_the_unit_that_fits() {
        let told = |s| Mark::FewBlocks { more_s: Some(s) }.text(Lang::English);
        for (s, wanted) in [(0.2, "1 s"), (12.3, "13 s"), (151.0, "160 s"), (200.0, "4 min"), (9e4, "25 h")] {
            assert_eq!(told(s), format!("cannot tell, needs about {wanted} more"));
        }
        assert_eq!(Mark::FewBlocks { more_s: None }.text(Lang::Chinese), "无法判断，所有请求同时到达");
    }
}
