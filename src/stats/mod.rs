//! Every run-level number, from records alone: `add`, `+=`, then ask. Pure.
//!
//! A [`Summary`] keeps samples (`sample`, `gaps`), counts (`tally`) and what arrived when
//! (`rates`) in the [`Window`]; `names` and `numbers` answer `metric.statistic`; [`Slo`] judges. `table`,
//! `columns`, `vllm` and `csv` write summaries down; `view` prepares records for charts;
//! `series` and `counter` say what happened in each window of a run; `truth` lays records beside
//! what their server says that it did.

mod advice;
mod columns;
mod conduct;
pub mod counter;
pub mod csv;
#[cfg(test)]
pub(crate) mod fixture;
mod flow;
mod gaps;
pub mod names;
mod numbers;
mod rates;
pub mod remark;
pub mod report;
pub mod runs;
pub mod sample;
pub mod series;
pub mod slo;
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

pub use series::ClientSeries;
pub use slo::{Condition, Limit, Ruling, Slo};
pub use summary::Summary;
pub use window::Window;
