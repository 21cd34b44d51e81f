//! Every run-level number, from records alone: `add`, `+=`, then ask. Pure.
//!
//! A [`Summary`] keeps samples (`sample`, `gaps`), counts (`tally`) and what arrived when
//! (`rates`) in the [`Window`]; `metric` says what there is to know of every metric, `names` and `numbers`
//! answer `metric.statistic`; [`Slo`] judges. `table`,
//! `columns`, `vllm` and `csv` write summaries down; `view` prepares records for charts;
//! `series` and `counter` say what happened in each window of a run; `truth` lays records beside
//! what their server says that it did.

mod advice;
mod columns;
mod conduct;
pub mod counter;
pub mod csv;
mod evidence;
#[cfg(test)]
pub(crate) mod fixture;
mod flow;
mod gaps;
mod intent;
pub mod metric;
pub mod names;
mod numbers;
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
mod told;
pub mod trend;
pub mod truth;
pub mod verdict;
pub mod view;
pub mod vllm;
mod window;
pub mod words;
pub mod wrap;

pub use ruling::Ruling;
pub use series::ClientSeries;
pub use slo::{Condition, Limit, Slo};
pub use summary::Summary;
pub use window::Window;
