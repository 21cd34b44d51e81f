//! `OwnValues`: what a script measured itself while a run went on.

use super::names::Statistic;
use super::sample::Sample;
use crate::error::nearest;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A metric of a script's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnMetric {
    pub name: Arc<str>,
    pub kind: OwnMetricKind,
    pub unit: Arc<str>,
    pub help: Arc<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnMetricKind {
    /// Values that are added up.
    Counter,
    /// Values of which a distribution is made.
    Trend,
    /// How often something holds.
    Share,
}

impl OwnMetricKind {
    pub const NAMES: [(&'static str, OwnMetricKind); 3] = [
        ("counter", OwnMetricKind::Counter),
        ("trend", OwnMetricKind::Trend),
        ("share", OwnMetricKind::Share),
    ];

    /// The statistics that it has, for a sentence.
    fn statistics(self) -> &'static str {
        match self {
            OwnMetricKind::Counter => "sum, count, rate",
            OwnMetricKind::Trend => "mean, min, max, sum, count, std, p0 to p100",
            OwnMetricKind::Share => "share, count",
        }
    }
}

/// One value; 1 and 0 of what holds and what does not.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnValue {
    pub metric: Arc<OwnMetric>,
    pub value: f64,
}

/// A value with the request that it is of.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnRow {
    pub seq: u64,
    pub turn: u32,
    pub value: OwnValue,
}

/// All values of a run.
#[derive(Debug, Clone, Default)]
pub struct OwnValues {
    samples: BTreeMap<Arc<str>, (OwnMetricKind, Sample)>,
}

impl OwnValues {
    /// Of the metrics that hooks know, also where nothing was added to them.
    pub fn of(rows: &[OwnRow]) -> OwnValues {
        // In an order of their own: what is kept of many values must not depend on who came first.
        let mut sorted: Vec<&OwnRow> = rows.iter().collect();
        sorted.sort_by_key(|row| (row.seq, row.turn));
        let mut values = OwnValues::default();
        for OwnRow { value: OwnValue { metric, value }, .. } in sorted {
            let of = values.samples.entry(metric.name.clone());
            of.or_insert_with(|| (metric.kind, Sample::default())).1.add(*value);
        }
        values
    }

    /// The names of its metrics.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.samples.keys().map(|name| &**name)
    }

    /// The value under `metric.statistic`; `None`: no metric of that name was added to. `seconds` are those of
    /// the measured window. Fails with the statistics that the metric has.
    pub fn value(&self, name: &str, seconds: Option<f64>) -> Option<Result<Option<f64>, String>> {
        let (metric, statistic) = name.rsplit_once('.').unwrap_or((name, ""));
        let (kind, sample) = self.samples.get(metric)?;
        let view = sample.view();
        let none = || {
            let told = format!("{metric} is a {kind:?} and has no statistic {statistic:?}").to_lowercase();
            Err(format!("{told}: it has {}", kind.statistics()))
        };
        Some(match (kind, Statistic::parse(statistic)) {
            (_, Some(Statistic::Count)) => Ok(Some(sample.count() as f64)),
            (OwnMetricKind::Counter | OwnMetricKind::Trend, Some(Statistic::Sum)) => Ok(view.sum()),
            (OwnMetricKind::Counter, Some(Statistic::Rate)) => {
                Ok(view.sum().zip(seconds.filter(|s| *s > 0.0)).map(|(sum, seconds)| sum / seconds))
            }
            (OwnMetricKind::Share, Some(Statistic::Share | Statistic::Mean)) => Ok(view.mean()),
            (OwnMetricKind::Trend, Some(statistic)) => match statistic {
                Statistic::Mean => Ok(view.mean()),
                Statistic::Min => Ok(view.min()),
                Statistic::Max => Ok(view.max()),
                Statistic::Std => Ok(view.std()),
                other => other.percentile().map_or_else(none, |p| Ok(view.percentile(p))),
            },
            _ => none(),
        })
    }

    /// What is said of a name that is none of ours and none of these.
    pub fn near(&self, name: &str) -> Option<&str> {
        let (metric, _) = name.rsplit_once('.').unwrap_or((name, ""));
        nearest(metric, self.names())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(kind: OwnMetricKind, values: &[f64]) -> Vec<OwnRow> {
        let metric = Arc::new(OwnMetric { name: "words".into(), kind, unit: "".into(), help: "".into() });
        let row = |(seq, value): (usize, &f64)| OwnRow {
            seq: seq as u64,
            turn: 0,
            value: OwnValue { metric: metric.clone(), value: *value },
        };
        values.iter().enumerate().map(row).collect()
    }

    #[test]
    fn each_kind_has_its_statistics_and_says_which() {
        let said =
            |kind, name: &str| OwnValues::of(&rows(kind, &[1.0, 0.0, 1.0, 1.0])).value(name, Some(2.0));
        for (kind, name, wanted) in [
            (OwnMetricKind::Counter, "words.sum", 3.0),
            (OwnMetricKind::Counter, "words.count", 4.0),
            (OwnMetricKind::Counter, "words.rate", 1.5),
            (OwnMetricKind::Share, "words.share", 0.75),
            (OwnMetricKind::Trend, "words.mean", 0.75),
            (OwnMetricKind::Trend, "words.p50", 1.0),
            (OwnMetricKind::Trend, "words.min", 0.0),
        ] {
            assert_eq!(said(kind, name), Some(Ok(Some(wanted))), "{kind:?} {name}");
        }
        assert_eq!(said(OwnMetricKind::Share, "wards.share"), None);
        let told = said(OwnMetricKind::Share, "words.p50").expect("known").unwrap_err();
        assert_eq!(told, "words is a share and has no statistic \"p50\": it has share, count");
    }

    #[test]
    fn the_order_in_which_values_came_makes_no_difference() {
        let mut all = rows(OwnMetricKind::Trend, &[3.0, 1.5, 0.1, 7.25, 2.0]);
        let mean = |rows: &[OwnRow]| OwnValues::of(rows).value("words.mean", None);
        let before = mean(&all);
        all.reverse();
        assert_eq!(mean(&all), before);
    }
}
