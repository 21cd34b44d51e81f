//! The columns of `runs.parquet`: every number of a summary, in a fixed order.

use super::estimate::Estimate;
use super::intervals::Estimator;
use super::names::{Metric, Name, Statistic, Unit};
use super::summary::Summary;
use crate::record::Outcome;

/// The numbers that are columns, metric by metric, in the order of the file.
fn numbers() -> Vec<(Metric, &'static [Statistic])> {
    let groups = |metric: Metric| {
        let groups = metric.about().columns.into_iter();
        groups.map(move |(place, statistics)| (place, (metric, statistics)))
    };
    let mut placed: Vec<_> = Metric::all().flat_map(groups).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, group)| group).collect()
}

/// One number, for `statistics.parquet`.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    pub metric: String,
    pub statistic: String,
    pub unit: Unit,
    /// With how many values it was made of.
    pub estimate: Estimate,
    /// As a column of a wide table.
    pub column: String,
}

impl Summary {
    /// Every number of a run, the same for every run, in a fixed order.
    pub fn all_numbers(&self) -> Vec<Number> {
        self.numbers(|estimator, statistic| estimator.estimate(statistic))
    }

    /// Every number as (column name, value), in the same order.
    pub fn columns(&self) -> Vec<(String, Option<f64>)> {
        let all = self.numbers(|estimator, statistic| estimator.value(statistic));
        all.into_iter().map(|number| (number.column, number.estimate.value)).collect()
    }

    fn numbers(&self, of: impl Fn(&Estimator, Statistic) -> Estimate) -> Vec<Number> {
        let mut all = Vec::new();
        for (metric, statistics) in numbers() {
            // Sorted once for all of them.
            let estimator = Estimator::new(self, metric);
            for statistic in statistics {
                let name = Name::new(metric, *statistic);
                all.push(Number {
                    metric: metric.name().to_string(),
                    statistic: statistic.name(),
                    unit: name.unit(),
                    estimate: of(&estimator, *statistic),
                    column: name.column(),
                });
            }
        }
        all.extend(counts(self));
        all
    }
}

/// Where the output tokens were counted, and the failures by their kind.
fn counts(summary: &Summary) -> Vec<Number> {
    let mut all = Vec::new();
    let sources = summary.tally().sources;
    let mut put = |metric: &str, statistic: String, count: u64| {
        all.push(Number {
            column: format!("{metric}_{statistic}"),
            metric: metric.to_string(),
            statistic,
            unit: Unit::Plain,
            estimate: Estimate::plain(Some(count as f64), summary.tally().requests),
        });
    };
    for (source, count) in
        [("usage", sources.usage), ("tokenizer", sources.tokenizer), ("events", sources.events)]
    {
        put("output_tokens", format!("from_{source}"), count);
    }
    put("requests", Outcome::UserCancelled.name().to_string(), summary.tally().left);
    for outcome in Outcome::ALL.into_iter().filter(|outcome| outcome.is_failure()) {
        let count = summary.tally().failures.of(outcome);
        put("errors", outcome.name().to_string(), count);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::fixture::reply;
    use super::super::{Summary, Window};

    #[test]
    fn an_empty_run_has_the_same_columns_as_a_full_one() {
        let mut full = Summary::new(Window::UNKNOWN, None, false);
        let empty = full.clone();
        full.add(&reply(0, 0).tokens_at(&[10, 20, 30]).usage(8, 3).record());
        let names =
            |summary: &Summary| summary.columns().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&full), names(&empty));
        let mut unique = names(&full);
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), names(&full).len());
    }

    #[test]
    fn columns_carry_their_unit_and_say_what_value_says() {
        let mut summary = Summary::new(Window::UNKNOWN, None, false);
        summary.add(&reply(0, 0).tokens_at(&[10, 20, 40]).usage(8, 3).record());
        let columns = summary.columns();
        let column = |name: &str| columns.iter().find(|(column, _)| column == name).map(|(_, value)| *value);
        assert_eq!(column("ttft_ms_p99_9"), Some(Some(10.0)));
        assert_eq!(column("itl_ms_mean"), Some(Some(15.0)));
        assert_eq!(column("duration_s"), Some(Some(0.04)));
        assert_eq!(column("goodput_share"), Some(None));
        assert_eq!(column("peak_output_tokens_per_s"), Some(summary.value("output_tokens.peak").unwrap()));
        assert_eq!(column("errors_timeout_total"), Some(Some(0.0)));
    }
}
