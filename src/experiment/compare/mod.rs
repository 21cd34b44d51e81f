//! Two results, or several of each, side by side: by how much every number differs, how sure that is, and
//! what may be said of it. `rampant compare` and the script function `compare` are both this.
//!
//! [`wanted`] is what was asked; [`source`] finds the runs, [`loaded`] reads one, [`cell`] matches those of a
//! cell, [`numbers`] makes the rows of its table (of [`what`], from [`pieces`], less what is [`refused`]),
//! [`verdict`] judges them, [`plan`] says how long they would have to be, [`compared`] holds it all, [`table`] and [`say`] write it down.

mod cell;
mod command;
mod compared;
mod environment;
mod loaded;
mod numbers;
mod pieces;
mod plan;
mod refused;
mod say;
mod source;
mod table;
mod verdict;
mod wanted;
mod what;

pub use command::{Command, run};
pub use compared::Compared;
pub use source::{Given, Places};
pub use verdict::{Gate, Row};
pub use wanted::{Comparison, goals};
pub use what::parse as name;
