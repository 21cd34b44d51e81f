//! `Name`: `metric.statistic`, the name of one number of a summary, such as `ttft.p99`.

use super::statistic::{meant, plain};
use crate::error::nearest;

pub use super::metric::Metric;
pub use super::statistic::{Statistic, Unit};

/// A metric and one of its statistics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Name {
    pub metric: Metric,
    pub statistic: Statistic,
}

impl Name {
    pub const fn new(metric: Metric, statistic: Statistic) -> Name {
        Name { metric, statistic }
    }

    /// Reads `ttft.p99`, or a word of its own such as `duration`. The error is a sentence
    /// with the nearest known name.
    pub fn parse(text: &str) -> Result<Name, String> {
        if let Some((_, name)) = words().find(|(word, _)| *word == text) {
            return Ok(name);
        }
        let Some((metric, statistic)) = text.split_once('.') else {
            let metric = metric_named(text, text)?;
            return Err(format!("\"{text}\" needs a statistic: {}", example(metric)));
        };
        let metric = metric_named(metric, text)?;
        match Statistic::parse(statistic) {
            Some(found) if metric.allows(found) => Ok(Name::new(metric, found)),
            _ => Err(format!(
                "{} has no statistic \"{statistic}\"; it has {}{}",
                metric.name(),
                statistics(metric),
                statistic_meant(metric, statistic)
                    .map_or(String::new(), |near| format!(" (did you mean \"{}.{near}\"?)", metric.name())),
            )),
        }
    }

    pub fn unit(self) -> Unit {
        let of_values = self.metric.about().unit;
        match self.statistic {
            Statistic::Count => Unit::Plain,
            Statistic::Rate if of_values == Unit::Seconds => Unit::Plain,
            Statistic::Rate | Statistic::Peak => Unit::PerSecond,
            Statistic::Share => Unit::Share,
            _ => of_values,
        }
    }

    /// The column in `runs.parquet`, with the unit: `ttft_ms_p99`, `output_tokens_rate`.
    pub fn column(self) -> String {
        let (metric, statistic) = (self.metric.name(), self.statistic.name().replace('.', "_"));
        match self.metric.own_column(self.statistic) {
            Some(column) => column.into(),
            None if self.unit() == Unit::Ms => format!("{metric}_ms_{statistic}"),
            None => format!("{metric}_{statistic}"),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let name = self.metric.name();
        match self.metric.words().any(|(word, _)| word == name) {
            true => f.write_str(name),
            false => write!(f, "{name}.{}", self.statistic.name()),
        }
    }
}

/// Names that are a word of their own.
fn words() -> impl Iterator<Item = (&'static str, Name)> {
    Metric::all()
        .flat_map(|metric| metric.words().map(move |(word, statistic)| (word, Name::new(metric, statistic))))
}

/// The statistics of a metric, for an error message.
pub fn statistics(metric: Metric) -> String {
    let mut names: Vec<String> = allowed(metric).map(Statistic::name).collect();
    if metric.about().percentiles {
        names.push("p0 to p100".into());
    }
    names.join(", ")
}

fn allowed(metric: Metric) -> impl Iterator<Item = Statistic> {
    Statistic::NAMED.into_iter().filter(move |statistic| metric.allows(*statistic))
}

/// The metric called `name`; `whole` is what was written, for the error.
pub fn metric_named(name: &str, whole: &str) -> Result<Metric, String> {
    if let Some(metric) = Metric::all().find(|metric| metric.name() == name) {
        return Ok(metric);
    }
    let elsewhere = plain(name);
    let elsewhere = Metric::all().find(|metric| metric.about().called.contains(&elsewhere.as_str()));
    let known = Metric::all().map(Metric::name).chain(words().map(|(word, _)| word));
    let hint = match elsewhere.map(Metric::name).or_else(|| nearest(name, known)) {
        Some(near) => format!("did you mean \"{}\"?", whole.replacen(name, near, 1)),
        None => format!("known are {}", Metric::all().map(Metric::name).collect::<Vec<_>>().join(", ")),
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
    let allowed: Vec<String> = allowed(metric).map(Statistic::name).collect();
    let near = || nearest(text, allowed.iter().map(String::as_str)).map(String::from);
    meant(text).map(String::from).filter(|meant| allowed.contains(meant)).or_else(near)
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
        for metric in Metric::all() {
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
        for (i, metric) in Metric::all().enumerate() {
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
