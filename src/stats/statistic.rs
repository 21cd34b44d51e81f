//! `Statistic`: how the values of a metric become one number.

/// How a metric becomes one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    Mean,
    Median,
    Std,
    Min,
    Max,
    Sum,
    Count,
    Rate,
    Share,
    /// The most in any window of 1 s.
    Peak,
    /// From 0 to 100.
    Percentile(f64),
}

/// What a number is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Ms,
    Seconds,
    PerSecond,
    /// From 0 to 1.
    Share,
    /// Requests, tokens, gaps.
    Plain,
}

impl Unit {
    /// As it stands beside a number in a file; empty for counts.
    pub fn symbol(self) -> &'static str {
        match self {
            Unit::Ms => "ms",
            Unit::Seconds => "s",
            Unit::PerSecond => "1/s",
            Unit::Share => "share",
            Unit::Plain => "",
        }
    }
}

impl Statistic {
    pub(super) const NAMED: [Statistic; 10] = [
        Statistic::Mean,
        Statistic::Median,
        Statistic::Std,
        Statistic::Min,
        Statistic::Max,
        Statistic::Sum,
        Statistic::Count,
        Statistic::Rate,
        Statistic::Share,
        Statistic::Peak,
    ];

    /// `mean`, `p99`, `p99.9`.
    pub fn name(self) -> String {
        match self {
            Statistic::Mean => "mean".into(),
            Statistic::Median => "median".into(),
            Statistic::Std => "std".into(),
            Statistic::Min => "min".into(),
            Statistic::Max => "max".into(),
            Statistic::Sum => "sum".into(),
            Statistic::Count => "count".into(),
            Statistic::Rate => "rate".into(),
            Statistic::Share => "share".into(),
            Statistic::Peak => "peak".into(),
            Statistic::Percentile(p) => format!("p{p}"),
        }
    }

    /// Reads `mean`, `p99`.
    pub fn parse(text: &str) -> Option<Statistic> {
        if let Some(named) = Statistic::NAMED.into_iter().find(|s| s.name() == text) {
            return Some(named);
        }
        let digits = text.strip_prefix('p')?;
        if !digits.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return None;
        }
        let p: f64 = digits.parse().ok()?;
        (0.0..=100.0).contains(&p).then_some(Statistic::Percentile(p))
    }

    /// The percentile that this is, the median being p50.
    pub fn percentile(self) -> Option<f64> {
        match self {
            Statistic::Median => Some(50.0),
            Statistic::Percentile(p) => Some(p),
            _ => None,
        }
    }
}

/// What else people call a statistic.
const CALLED: [(&str, &str); 21] = [
    ("avg", "mean"),
    ("average", "mean"),
    ("p50th", "median"),
    ("med", "median"),
    ("stddev", "std"),
    ("stdev", "std"),
    ("sd", "std"),
    ("minimum", "min"),
    ("maximum", "max"),
    ("total", "sum"),
    ("n", "count"),
    ("num", "count"),
    ("number", "count"),
    ("per_second", "rate"),
    ("throughput", "rate"),
    ("ratio", "share"),
    ("percent", "share"),
    ("percentage", "share"),
    ("fraction", "share"),
    ("highest", "max"),
    ("lowest", "min"),
];

/// The statistic that people call `name`, where that is another name than ours.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let name = plain(name);
    CALLED.iter().find(|(other, _)| *other == name).map(|(_, ours)| *ours)
}

/// `Time to first-token` as `time_to_first_token`.
pub(super) fn plain(name: &str) -> String {
    name.to_lowercase().replace(['-', ' '], "_")
}
