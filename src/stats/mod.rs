//! Every run-level number, from records alone: `add`, `+=`, `finish`. Pure.

pub mod slo;
pub mod summary;

pub use slo::{Condition, Limit, Slo};
pub use summary::{Summary, Window};
