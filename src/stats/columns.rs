//! The columns of `runs.parquet`: every number of a summary, in a fixed order.

use super::names::{Metric, Name, Statistic};
use super::summary::Summary;
use crate::record::Outcome;

/// Percentiles that every sample has a column for.
const PERCENTILES: [f64; 5] = [50.0, 90.0, 95.0, 99.0, 99.9];

pub fn columns(summary: &Summary) -> Vec<(String, Option<f64>)> {
    use Statistic::{Count, Max, Mean, Min, Rate, Share, Std, Sum};
    let mut columns = Vec::new();
    let mut add = |metric, statistics: &[Statistic]| {
        for statistic in statistics {
            let name = Name::new(metric, *statistic);
            columns.push((name.column(), summary.number(name)));
        }
    };
    add(Metric::Duration, &[Sum]);
    add(Metric::Requests, &[Count, Rate]);
    add(Metric::Errors, &[Count, Share]);
    add(Metric::Goodput, &[Rate, Share]);
    for metric in [Metric::InputTokens, Metric::OutputTokens, Metric::TotalTokens] {
        add(metric, &[Sum, Rate, Mean, Min, Max]);
    }
    add(Metric::OutputTokens, &[Statistic::Peak]);
    add(Metric::CachedTokens, &[Sum, Share]);
    add(Metric::UncachedInputTokens, &[Sum, Rate]);
    add(Metric::WastedTokens, &[Sum]);
    add(Metric::ForcedLength, &[Share]);
    add(Metric::SyntheticText, &[Share]);
    add(Metric::AudioSeconds, &[Sum, Rate]);
    add(Metric::Stall, &[Count, Max, Sum]);

    let concurrency = summary.concurrency();
    columns.push(("concurrency_mean".into(), concurrency.map(|c| c.mean)));
    columns.push(("concurrency_max".into(), concurrency.map(|c| c.max as f64)));

    for metric in Metric::ALL.into_iter().filter(|metric| is_latency(*metric)) {
        let view = summary.view(metric);
        let mut add = |statistic, value| columns.push((Name::new(metric, statistic).column(), value));
        add(Count, Some(view.count() as f64));
        add(Mean, view.mean());
        add(Std, view.std());
        add(Min, view.min());
        add(Max, view.max());
        for p in PERCENTILES {
            add(Statistic::Percentile(p), view.percentile(p));
        }
    }

    let sources = summary.tally().sources;
    for (source, count) in
        [("usage", sources.usage), ("tokenizer", sources.tokenizer), ("events", sources.events)]
    {
        columns.push((format!("output_tokens_from_{source}"), Some(count as f64)));
    }
    for outcome in Outcome::ALL.into_iter().filter(|outcome| !outcome.is_success()) {
        let count = summary.tally().failures.of(outcome);
        columns.push((format!("errors_{}", outcome.name()), Some(count as f64)));
    }
    columns
}

fn is_latency(metric: Metric) -> bool {
    metric == Metric::OutputTpsPerUser
        || (metric.is_time() && metric.span().is_none() && metric != Metric::Stall)
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
