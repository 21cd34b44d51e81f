//! `Name`: `metric.statistic`, the name of one number of a summary, such as `ttft.p99`.

use crate::error::nearest;
use crate::record::Span;

/// What is measured. The metrics up to [`Metric::Stall`] hold one sample of values each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    Ttft,
    Ttfo,
    ItlRequest,
    ItlToken,
    Tpot,
    Ntpot,
    E2el,
    ResponseTtft,
    ResponseE2el,
    QueueDelay,
    Lateness,
    OutputTpsPerUser,
    InputTokens,
    OutputTokens,
    TotalTokens,
    Stall,
    Itl,
    Requests,
    Errors,
    Goodput,
    CachedTokens,
    UncachedInputTokens,
    WastedTokens,
    ForcedLength,
    SyntheticText,
    Concurrency,
    AudioSeconds,
    Duration,
    ServerTtft,
    ServerItl,
    ServerQueue,
    ServerE2el,
    ServerKvTransfer,
    ServerCachedTokens,
    SpecAcceptance,
}

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

/// A metric and one of its statistics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Name {
    pub metric: Metric,
    pub statistic: Statistic,
}

/// Names that are a word of their own.
const ALIASES: [(&str, &str); 6] = [
    ("rtfx", "audio_seconds.rate"),
    ("duration", "duration.sum"),
    ("peak_output_tokens_per_s", "output_tokens.peak"),
    ("request_throughput", "requests.rate"),
    ("output_throughput", "output_tokens.rate"),
    ("total_token_throughput", "total_tokens.rate"),
];

impl Metric {
    pub const ALL: [Metric; 35] = [
        Metric::Ttft,
        Metric::Ttfo,
        Metric::ItlRequest,
        Metric::ItlToken,
        Metric::Tpot,
        Metric::Ntpot,
        Metric::E2el,
        Metric::ResponseTtft,
        Metric::ResponseE2el,
        Metric::QueueDelay,
        Metric::Lateness,
        Metric::OutputTpsPerUser,
        Metric::InputTokens,
        Metric::OutputTokens,
        Metric::TotalTokens,
        Metric::Stall,
        Metric::Itl,
        Metric::Requests,
        Metric::Errors,
        Metric::Goodput,
        Metric::CachedTokens,
        Metric::UncachedInputTokens,
        Metric::WastedTokens,
        Metric::ForcedLength,
        Metric::SyntheticText,
        Metric::Concurrency,
        Metric::AudioSeconds,
        Metric::Duration,
        Metric::ServerTtft,
        Metric::ServerItl,
        Metric::ServerQueue,
        Metric::ServerE2el,
        Metric::ServerKvTransfer,
        Metric::ServerCachedTokens,
        Metric::SpecAcceptance,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Metric::Ttft => "ttft",
            Metric::Ttfo => "ttfo",
            Metric::ItlRequest => "itl_request",
            Metric::ItlToken => "itl_token",
            Metric::Tpot => "tpot",
            Metric::Ntpot => "ntpot",
            Metric::E2el => "e2el",
            Metric::ResponseTtft => "response_ttft",
            Metric::ResponseE2el => "response_e2el",
            Metric::QueueDelay => "queue_delay",
            Metric::Lateness => "lateness",
            Metric::OutputTpsPerUser => "output_tps_per_user",
            Metric::InputTokens => "input_tokens",
            Metric::OutputTokens => "output_tokens",
            Metric::TotalTokens => "total_tokens",
            Metric::Stall => "stall",
            Metric::Itl => "itl",
            Metric::Requests => "requests",
            Metric::Errors => "errors",
            Metric::Goodput => "goodput",
            Metric::CachedTokens => "cached_tokens",
            Metric::UncachedInputTokens => "uncached_input_tokens",
            Metric::WastedTokens => "wasted_tokens",
            Metric::ForcedLength => "forced_length",
            Metric::SyntheticText => "synthetic_text",
            Metric::Concurrency => "concurrency",
            Metric::AudioSeconds => "audio_seconds",
            Metric::Duration => "duration",
            Metric::ServerTtft => "server_ttft",
            Metric::ServerItl => "server_itl",
            Metric::ServerQueue => "server_queue",
            Metric::ServerE2el => "server_e2el",
            Metric::ServerKvTransfer => "server_kv_transfer",
            Metric::ServerCachedTokens => "server_cached_tokens",
            Metric::SpecAcceptance => "spec_acceptance",
        }
    }

    /// Values in milliseconds.
    pub fn is_time(self) -> bool {
        matches!(self, Metric::Itl | Metric::Stall)
            || (self as usize) <= Metric::Lateness as usize
            || self.span().is_some()
    }

    /// Of which the server tells the mean by its own counters.
    pub fn span(self) -> Option<Span> {
        match self {
            Metric::ServerTtft => Some(Span::Ttft),
            Metric::ServerItl => Some(Span::Itl),
            Metric::ServerQueue => Some(Span::Queue),
            Metric::ServerE2el => Some(Span::E2el),
            Metric::ServerKvTransfer => Some(Span::KvTransfer),
            _ => None,
        }
    }

    /// One value a request at most, and a time: what a limit may be set on.
    pub fn is_time_of_request(self) -> bool {
        self.is_time() && self.span().is_none() && !matches!(self, Metric::Stall | Metric::ItlToken)
    }

    fn is_sample(self) -> bool {
        (self as usize) <= Metric::Itl as usize
    }

    pub fn allows(self, statistic: Statistic) -> bool {
        use Statistic::{Count, Max, Mean, Peak, Rate, Share, Sum};
        match self {
            Metric::InputTokens | Metric::TotalTokens => !matches!(statistic, Share | Peak),
            Metric::OutputTokens => statistic != Share,
            Metric::Requests => matches!(statistic, Count | Rate),
            Metric::Errors => matches!(statistic, Count | Share),
            Metric::Goodput => matches!(statistic, Count | Rate | Share),
            Metric::CachedTokens | Metric::ServerCachedTokens => matches!(statistic, Sum | Share),
            Metric::SpecAcceptance => statistic == Share,
            _ if self.span().is_some() => statistic == Mean,
            Metric::AudioSeconds => matches!(statistic, Sum | Rate),
            Metric::UncachedInputTokens => matches!(statistic, Sum | Rate),
            Metric::WastedTokens | Metric::Duration => statistic == Sum,
            Metric::ForcedLength | Metric::SyntheticText => matches!(statistic, Count | Share),
            Metric::Concurrency => matches!(statistic, Mean | Max),
            _ => self.is_sample() && !matches!(statistic, Rate | Share | Peak),
        }
    }

    /// The statistics of this metric, for an error message.
    fn statistics(self) -> String {
        let mut names: Vec<String> =
            Statistic::NAMED.into_iter().filter(|s| self.allows(*s)).map(Statistic::name).collect();
        if self.allows(Statistic::Percentile(50.0)) {
            names.push("p0 to p100".into());
        }
        names.join(", ")
    }
}

impl Statistic {
    const NAMED: [Statistic; 10] = [
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

impl Name {
    pub const fn new(metric: Metric, statistic: Statistic) -> Name {
        Name { metric, statistic }
    }

    /// Reads `ttft.p99`, or a word of its own such as `duration`. The error is a sentence
    /// with the nearest known name.
    pub fn parse(text: &str) -> Result<Name, String> {
        let full = ALIASES.iter().find(|(alias, _)| *alias == text).map_or(text, |(_, full)| full);
        let (metric, statistic) = match full.split_once('.') {
            Some((metric, statistic)) => (metric_named(metric, text)?, statistic),
            None => {
                let metric = metric_named(full, text)?;
                return Err(format!("\"{text}\" needs a statistic: {}", example(metric)));
            }
        };
        match Statistic::parse(statistic) {
            Some(found) if metric.allows(found) => Ok(Name::new(metric, found)),
            _ => Err(format!(
                "{} has no statistic \"{statistic}\"; it has {}{}",
                metric.name(),
                metric.statistics(),
                statistic_meant(metric, statistic)
                    .map_or(String::new(), |near| format!(" (did you mean \"{}.{near}\"?)", metric.name())),
            )),
        }
    }

    pub fn unit(self) -> Unit {
        match self.statistic {
            Statistic::Count => Unit::Plain,
            Statistic::Rate if self.metric == Metric::AudioSeconds => Unit::Plain,
            Statistic::Sum if self.metric == Metric::AudioSeconds => Unit::Seconds,
            Statistic::Rate | Statistic::Peak => Unit::PerSecond,
            Statistic::Share => Unit::Share,
            _ if self.metric == Metric::Duration => Unit::Seconds,
            _ if self.metric == Metric::OutputTpsPerUser => Unit::PerSecond,
            _ if self.metric.is_time() => Unit::Ms,
            _ => Unit::Plain,
        }
    }

    /// The column in `runs.parquet`, with the unit: `ttft_ms_p99`, `output_tokens_rate`.
    pub fn column(self) -> String {
        let metric = self.metric.name();
        match self.statistic {
            _ if self.metric == Metric::Duration => "duration_s".into(),
            Statistic::Rate if self.metric == Metric::AudioSeconds => "rtfx".into(),
            Statistic::Peak => "peak_output_tokens_per_s".into(),
            _ if self.metric == Metric::SpecAcceptance => metric.into(),
            Statistic::Count => format!("{metric}_count"),
            statistic if self.metric.is_time() => {
                format!("{metric}_ms_{}", statistic.name().replace('.', "_"))
            }
            statistic => format!("{metric}_{}", statistic.name().replace('.', "_")),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self.metric {
            Metric::Duration => f.write_str("duration"),
            metric => write!(f, "{}.{}", metric.name(), self.statistic.name()),
        }
    }
}

/// What else people call a metric.
const METRICS_ELSEWHERE: [(&str, &str); 24] = [
    ("time_to_first_token", "ttft"),
    ("first_token", "ttft"),
    ("inter_token_latency", "itl"),
    ("intertoken_latency", "itl"),
    ("time_per_output_token", "tpot"),
    ("latency", "e2el"),
    ("e2e", "e2el"),
    ("e2e_latency", "e2el"),
    ("end_to_end", "e2el"),
    ("end_to_end_latency", "e2el"),
    ("request_latency", "e2el"),
    ("prompt_tokens", "input_tokens"),
    ("completion_tokens", "output_tokens"),
    ("generated_tokens", "output_tokens"),
    ("tokens", "output_tokens"),
    ("failures", "errors"),
    ("failed", "errors"),
    ("error", "errors"),
    ("completed", "requests"),
    ("successes", "requests"),
    ("queue", "queue_delay"),
    ("queue_time", "queue_delay"),
    ("in_flight", "concurrency"),
    ("users", "concurrency"),
];

/// What else people call a statistic.
const STATISTICS_ELSEWHERE: [(&str, &str); 21] = [
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

fn elsewhere(table: &[(&str, &'static str)], name: &str) -> Option<String> {
    let name = name.to_lowercase().replace(['-', ' '], "_");
    table.iter().find(|(other, _)| *other == name).map(|(_, ours)| (*ours).into())
}

/// The metric called `name`; `whole` is what was written, for the error.
pub fn metric_named(name: &str, whole: &str) -> Result<Metric, String> {
    if let Some(metric) = Metric::ALL.into_iter().find(|metric| metric.name() == name) {
        return Ok(metric);
    }
    let known = Metric::ALL.into_iter().map(Metric::name).chain(ALIASES.iter().map(|(alias, _)| *alias));
    let near = elsewhere(&METRICS_ELSEWHERE, name).or_else(|| nearest(name, known).map(String::from));
    let hint = match near {
        Some(near) => format!("did you mean \"{}\"?", whole.replacen(name, &near, 1)),
        None => {
            format!("known are {}", Metric::ALL.into_iter().map(Metric::name).collect::<Vec<_>>().join(", "))
        }
    };
    Err(format!("there is no metric \"{name}\"; {hint}"))
}

/// The statistic that was meant, if it is one of this metric.
fn statistic_meant(metric: Metric, text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    let around: String = text.to_lowercase().chars().filter(char::is_ascii_alphabetic).collect();
    let percentile =
        ["", "p", "pp", "th", "pth", "perc", "pct", "percentile", "q"].contains(&around.as_str());
    let percentile = Statistic::parse(&format!("p{digits}")).filter(|_| percentile && !digits.is_empty());
    if let Some(percentile) = percentile.filter(|found| metric.allows(*found)) {
        return Some(percentile.name());
    }
    let allowed: Vec<String> =
        Statistic::NAMED.into_iter().filter(|known| metric.allows(*known)).map(Statistic::name).collect();
    let near = || nearest(text, allowed.iter().map(String::as_str)).map(String::from);
    elsewhere(&STATISTICS_ELSEWHERE, text).filter(|meant| allowed.contains(meant)).or_else(near)
}

fn example(metric: Metric) -> String {
    let usual = [
        Statistic::Percentile(99.0),
        Statistic::Rate,
        Statistic::Share,
        Statistic::Mean,
        Statistic::Sum,
        Statistic::Count,
    ];
    let names: Vec<String> = usual
        .into_iter()
        .filter(|s| metric.allows(*s))
        .take(3)
        .map(|s| format!("\"{}\"", Name::new(metric, s)))
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allowed_name_reads_back_as_itself() {
        for metric in Metric::ALL {
            for statistic in Statistic::NAMED.into_iter().chain([Statistic::Percentile(99.9)]) {
                if metric.allows(statistic) {
                    let name = Name::new(metric, statistic);
                    assert_eq!(Name::parse(&name.to_string()), Ok(name));
                }
            }
        }
    }

    #[test]
    fn metrics_stand_in_the_list_in_the_order_of_their_numbers() {
        for (i, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!(metric as usize, i);
        }
    }

    #[test]
    fn percentiles_may_have_a_fraction() {
        let name = Name::parse("ttft.p99.9").unwrap();
        assert_eq!(name.statistic, Statistic::Percentile(99.9));
        assert_eq!(name.column(), "ttft_ms_p99_9");
    }

    #[test]
    fn words_of_their_own_stand_for_full_names() {
        assert_eq!(Name::parse("duration"), Name::parse("duration.sum"));
        assert_eq!(Name::parse("peak_output_tokens_per_s"), Name::parse("output_tokens.peak"));
        assert_eq!(Name::parse("request_throughput"), Name::parse("requests.rate"));
    }

    #[test]
    fn a_wrong_name_gives_the_nearest_one() {
        assert_eq!(
            Name::parse("ttfft.p99").unwrap_err(),
            "there is no metric \"ttfft\"; did you mean \"ttft.p99\"?"
        );
        assert_eq!(
            Name::parse("output_token.rate").unwrap_err(),
            "there is no metric \"output_token\"; did you mean \"output_tokens.rate\"?"
        );
        assert_eq!(
            Name::parse("errors.shares").unwrap_err(),
            "errors has no statistic \"shares\"; it has count, share (did you mean \"errors.share\"?)"
        );
        assert_eq!(
            Name::parse("ttft.p101").unwrap_err(),
            "ttft has no statistic \"p101\"; it has mean, median, std, min, max, sum, count, p0 to p100"
        );
        assert_eq!(
            Name::parse("ttft").unwrap_err(),
            "\"ttft\" needs a statistic: \"ttft.p99\", \"ttft.mean\", \"ttft.sum\""
        );
        assert!(Name::parse("zzz.p99").unwrap_err().contains("known are ttft, ttfo"));
    }

    #[test]
    fn what_was_meant_is_found_behind_plausible_slips() {
        for (typed, meant) in [
            ("tft.p99", "ttft.p99"),
            ("ttf.p99", "ttft.p99"),
            ("TTFT.p99", "ttft.p99"),
            ("tftt.p99", "ttft.p99"),
            ("itls.mean", "itl.mean"),
            ("tpto.mean", "tpot.mean"),
            ("e2e.p99", "e2el.p99"),
            ("e2le.p99", "e2el.p99"),
            ("latency.p99", "e2el.p99"),
            ("time_to_first_token.p99", "ttft.p99"),
            ("time to first token.p99", "ttft.p99"),
            ("output-tokens.rate", "output_tokens.rate"),
            ("outputtokens.rate", "output_tokens.rate"),
            ("ouput_tokens.rate", "output_tokens.rate"),
            ("completion_tokens.sum", "output_tokens.sum"),
            ("prompt_tokens.sum", "input_tokens.sum"),
            ("request.rate", "requests.rate"),
            ("reqeusts.rate", "requests.rate"),
            ("error.share", "errors.share"),
            ("failures.share", "errors.share"),
            ("godput.share", "goodput.share"),
            ("good_put.share", "goodput.share"),
            ("queue_dealy.p99", "queue_delay.p99"),
            ("latness.max", "lateness.max"),
            ("concurency.mean", "concurrency.mean"),
            ("response_tft.p99", "response_ttft.p99"),
        ] {
            let told = Name::parse(typed).unwrap_err();
            assert!(told.ends_with(&format!("did you mean \"{meant}\"?")), "{typed}: {told}");
        }
        for (typed, meant) in [
            ("ttft.99", "ttft.p99"),
            ("ttft.P99", "ttft.p99"),
            ("ttft.p_99", "ttft.p99"),
            ("ttft.99th", "ttft.p99"),
            ("ttft.perc95", "ttft.p95"),
            ("ttft.pp50", "ttft.p50"),
            ("ttft.avg", "ttft.mean"),
            ("ttft.meen", "ttft.mean"),
            ("ttft.maen", "ttft.mean"),
            ("ttft.mdeian", "ttft.median"),
            ("ttft.medain", "ttft.median"),
            ("ttft.stddev", "ttft.std"),
            ("ttft.maximum", "ttft.max"),
            ("ttft.mx", "ttft.max"),
            ("ttft.cuont", "ttft.count"),
            ("errors.ratio", "errors.share"),
            ("errors.shrae", "errors.share"),
            ("errors.num", "errors.count"),
            ("output_tokens.raet", "output_tokens.rate"),
            ("output_tokens.total", "output_tokens.sum"),
            ("output_tokens.throughput", "output_tokens.rate"),
            ("output_tokens.paek", "output_tokens.peak"),
        ] {
            let told = Name::parse(typed).unwrap_err();
            assert!(told.ends_with(&format!("(did you mean \"{meant}\"?)")), "{typed}: {told}");
        }
    }

    #[test]
    fn units_follow_from_metric_and_statistic() {
        for (name, unit) in [
            ("ttft.p99", Unit::Ms),
            ("ttft.count", Unit::Plain),
            ("errors.share", Unit::Share),
            ("output_tokens.rate", Unit::PerSecond),
            ("output_tokens.mean", Unit::Plain),
            ("duration", Unit::Seconds),
            ("stall.max", Unit::Ms),
            ("output_tps_per_user.median", Unit::PerSecond),
        ] {
            assert_eq!(Name::parse(name).unwrap().unit(), unit, "{name}");
        }
    }
}
