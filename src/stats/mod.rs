//! Every run-level number, from records alone: `add`, `+=`, then ask. Pure.
//!
//! A [`Summary`] keeps samples (`sample`, `gaps`), counts (`tally`) and what arrived when
//! (`rates`) in the [`Window`]; `metric` says what there is to know of every metric, `names` and `numbers`
//! answer `metric.statistic`; [`Slo`] judges. `table`,
//! `columns`, `vllm` and `csv` write summaries down; `series` and `counter` say what happened in each
//! window of a run; `truth` lays records beside what their server says that it did; `latencies`,
//! `lines`, `occupancy`, `token_bins` and `values` keep what a picture shows. All that is computed from
//! records is a [`Fold`].

mod advice;
mod columns;
mod conduct;
pub mod counter;
pub mod csv;
pub mod departures;
mod evidence;
#[cfg(test)]
pub(crate) mod fixture;
mod flow;
pub mod fold;
mod gaps;
mod intent;
pub mod latencies;
pub mod levels;
pub mod lines;
pub mod metric;
pub mod names;
mod numbers;
pub mod occupancy;
pub mod page;
mod rates;
pub mod remark;
pub mod report;
mod ruling;
pub mod runs;
pub mod sample;
pub mod series;
pub mod slo;
mod statistic;
pub mod summary;
mod table;
pub mod tally;
mod thinned;
pub mod token_bins;
mod told;
pub mod trend;
pub mod truth;
pub mod turnout;
pub mod values;
pub mod verdict;
pub mod vllm;
pub mod weighed;
mod window;
pub mod words;
pub mod wrap;

pub use fold::Fold;
pub use ruling::Ruling;
pub use series::ClientSeries;
pub use slo::{Condition, Limit, Slo};
pub use summary::Summary;
pub use window::Window;
