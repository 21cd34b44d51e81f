//! The pictures and texts over several configurations.

mod bars;
mod curves;
mod dashboard;
mod heat;
mod layout;
mod metrics;
mod pages;
mod ranking;
mod report;
mod row;
mod terminal;
mod ties;
mod tradeoff;

pub use metrics::{PER_GPU, drawable, impossible};
pub use pages::{Comparison, pages};
pub use ranking::{Ranked, WEIGHTS, rank};
pub use report::report;
pub use row::{ComparedRow, Look};
pub use terminal::terminal;
