//! Every run-level number, from records alone: `add`, `+=`, `finish`. Pure.

mod columns;
pub mod csv;
#[cfg(test)]
mod fixture;
mod flow;
mod gaps;
pub mod names;
mod numbers;
mod rates;
pub mod sample;
pub mod slo;
pub mod summary;
mod table;
pub mod tally;
pub mod view;
pub mod vllm;
pub mod words;

pub use slo::{Condition, Limit, Slo, Verdict};
pub use summary::{Summary, Window};
