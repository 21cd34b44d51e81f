//! `What`: which numbers a comparison has rows of.

use super::loaded::RATES;
use crate::lang::Lang;
use crate::stats::metric::{Better, Metric, MetricReader};
use crate::stats::names::{Name, Statistic};
use crate::stats::versus::rows::STEPS;

/// What a row is of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum What {
    Named(Name),
    /// From the send to so many output tokens, mean; where events cannot be compared.
    TimeTo(usize),
    /// A conversation, thinking apart: mean.
    Session,
}

impl What {
    pub fn label(self) -> String {
        match self {
            What::Named(name) => name.to_string(),
            What::TimeTo(step) => format!("time to {} tokens", STEPS[step]),
            What::Session => "session".into(),
        }
    }

    pub fn head(self, lang: Lang) -> String {
        match self {
            What::TimeTo(step) if lang == Lang::Chinese => format!("前 {} 令牌用时", STEPS[step]),
            What::Session if lang == Lang::Chinese => "会话用时".into(),
            what => what.label(),
        }
    }

    pub fn better(self) -> Better {
        match self {
            What::Named(name) => name.metric.about().better,
            What::TimeTo(_) | What::Session => Better::Lower,
        }
    }

    pub fn statistic(self) -> Statistic {
        match self {
            What::Named(name) => name.statistic,
            What::TimeTo(_) | What::Session => Statistic::Mean,
        }
    }

    pub fn is_share(self) -> bool {
        self.statistic() == Statistic::Share
    }
}

const fn number(metric: Metric, statistic: Statistic) -> Name {
    Name::new(metric, statistic)
}

/// What is compared where nobody says.
const DEFAULT: [Name; 15] = [
    number(Metric::Ttft, Statistic::Mean),
    number(Metric::Ttft, Statistic::Percentile(50.0)),
    number(Metric::Ttft, Statistic::Percentile(99.0)),
    number(Metric::Tpot, Statistic::Mean),
    number(Metric::Tpot, Statistic::Percentile(99.0)),
    number(Metric::Itl, Statistic::Mean),
    number(Metric::Itl, Statistic::Percentile(99.0)),
    number(Metric::E2el, Statistic::Mean),
    number(Metric::E2el, Statistic::Percentile(99.0)),
    number(Metric::Ntpot, Statistic::Mean),
    number(Metric::Requests, Statistic::Rate),
    number(Metric::OutputTokens, Statistic::Rate),
    number(Metric::Errors, Statistic::Share),
    number(Metric::Goodput, Statistic::Share),
    number(Metric::Goodput, Statistic::Rate),
];

pub fn names(wanted: &[Name]) -> Vec<Name> {
    if wanted.is_empty() { DEFAULT.to_vec() } else { wanted.to_vec() }
}

/// Reads the name of a number that can be compared; the error is a sentence.
pub fn parse(text: &str) -> Result<Name, String> {
    let name = Name::parse(text)?;
    let about = name.metric.about();
    let of_values = matches!(name.statistic, Statistic::Mean | Statistic::Median | Statistic::Percentile(_))
        && (matches!(about.reader, MetricReader::Each(_)) || name.metric == Metric::Itl);
    let rate = name.statistic == Statistic::Rate && RATES.contains(&name.metric);
    let share = name == number(Metric::Errors, Statistic::Share)
        || name == number(Metric::Goodput, Statistic::Share)
        || name == number(Metric::Goodput, Statistic::Rate);
    if about.better == Better::Neither {
        return Err(format!("{text} says what the load was: none of two values is better"));
    }
    match of_values || rate || share {
        true => Ok(name),
        false => Err(format!(
            "{text} cannot be compared: means and percentiles of requests can, requests.rate, \
             output_tokens.rate, total_tokens.rate, errors.share, goodput.share and goodput.rate"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_compared_say_why() {
        assert!(parse("ttft.p99.9").is_ok() && parse("itl.mean").is_ok() && parse("requests.rate").is_ok());
        for (text, told) in [
            ("ttft.max", "cannot be compared"),
            ("itl_token.mean", "cannot be compared"),
            ("goodput.count", "cannot be compared"),
            ("input_tokens.mean", "says what the load was"),
            ("tftt.mean", "did you mean \"ttft.mean\"?"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        assert!(DEFAULT.iter().all(|name| parse(&name.to_string()) == Ok(*name)));
    }
}
