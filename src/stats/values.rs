//! `Values`: the values of one metric of the requests that the table counts.

use super::flow::Flow;
use super::fold::Fold;
use super::gaps::GapStats;
use super::metric::Metric;
use super::sample::Sample;
use super::weighed::Weighed;
use crate::record::{Fields, Phase, Record};

/// Values of the measured requests that succeeded.
pub struct Values {
    metric: Metric,
    sample: Sample,
    gaps: GapStats,
    /// Reused from record to record.
    flow: Flow,
}

impl Values {
    /// A metric of which single requests have values.
    pub fn new(metric: Metric) -> Values {
        Values { metric, sample: Sample::default(), gaps: GapStats::default(), flow: Flow::default() }
    }

    pub fn weighed(&self) -> Weighed {
        match self.metric {
            Metric::Itl => self.gaps.view().weighed(),
            _ => self.sample.view().weighed(),
        }
    }
}

impl Fold for Values {
    fn fields(&self) -> Fields {
        match self.metric {
            Metric::QueueDelay => Fields::TIMES,
            Metric::Lateness => Fields::TIMES.with(Fields::WAY),
            Metric::Ttft | Metric::Ttfo | Metric::E2el | Metric::Itl => Fields::LATENCIES,
            Metric::ResponseTtft | Metric::ResponseE2el => Fields::LATENCIES,
            _ => Fields::OUTPUT,
        }
    }

    fn add(&mut self, record: &Record) {
        if record.phase != Phase::Measured || !record.success() {
            return;
        }
        if self.metric == Metric::Itl {
            // Whole microseconds, a hundred times more than requests: they are counted and not kept.
            self.flow.read_times(record);
            self.gaps.add(&self.flow.gaps_us);
            return;
        }
        let values = self.metric.values(record).unwrap_or_default();
        values.into_iter().for_each(|value| self.sample.add(value));
    }

    fn merge(&mut self, other: Values) {
        self.sample.merge(&other.sample);
        self.gaps.merge(&other.gaps);
    }

    fn fresh(&self) -> Values {
        Values::new(self.metric)
    }
}
