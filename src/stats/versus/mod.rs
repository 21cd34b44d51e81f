//! Two sides of a comparison: what is kept of their requests (`rows`), which of them are the same
//! request (`pairs`), by how much a statistic differs (`series`, `change`), what restarts and rounds add
//! to that (`rounds`), and the word for it (`judge`, by
//! `student`).

pub mod change;
pub mod judge;
pub mod pairs;
pub mod rounds;
pub mod rows;
pub mod series;
pub mod student;
