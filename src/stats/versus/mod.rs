//! Two sides of a comparison: what is kept of their requests (`rows`), which of them are the same
//! request (`pairs`), by how much a statistic differs (`series`, `change`), what restarts and rounds add
//! to that (`rounds`), the word for it (`judge`, by `student`), and how long the sides must be for a word
//! (`needed`).

pub mod change;
pub mod gaps;
pub mod judge;
pub mod needed;
pub mod pairs;
pub mod rounds;
pub mod rows;
pub mod series;
pub mod student;
