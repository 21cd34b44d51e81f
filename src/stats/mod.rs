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
mod block_counts;
pub mod blocks;
mod columns;
pub(crate) mod counter;
pub(crate) mod counts;
pub mod csv;
pub(crate) mod departures;
mod elsewhere;
pub mod estimate;
mod evidence;
mod expected_load;
pub(crate) mod explain;
#[cfg(test)]
pub(crate) mod fixture;
mod flow;
pub mod fold;
mod gaps;
pub mod intervals;
pub mod latencies;
pub(crate) mod levels;
pub mod lines;
mod load_stats;
mod margin;
pub(crate) mod metric;
pub mod names;
mod numbers;
pub mod occupancy;
pub mod own;
pub mod page;
pub mod pool;
pub mod quotient;
mod rates;
pub(crate) mod remark;
pub mod report;
pub mod resample;
pub mod ruling;
pub(crate) mod runs;
pub(crate) mod sample;
pub mod series;
pub mod sketch;
pub(crate) mod slo;
mod statistic;
pub(crate) mod summary;
mod table;
mod thinned;
pub mod tied;
pub(crate) mod token_bins;
mod told;
pub(crate) mod trend;
pub mod truth;
pub(crate) mod turnout;
pub mod values;
pub(crate) mod verdict;
pub mod versus;
pub mod view;
pub(crate) mod vllm;
pub(crate) mod weighed;
mod weights;
mod window;
pub(crate) mod words;
pub(crate) mod wrap;

pub use columns::Number;
pub use fold::Fold;
pub use ruling::Ruling;
pub use series::ClientSeries;
pub use slo::{Condition, Limit, Slo};
pub use summary::Summary;
pub use window::Window;
