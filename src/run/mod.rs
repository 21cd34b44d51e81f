//! The one loop: take a slot, wait until it is due, start its session; finished records go
//! into a channel.

pub mod plan;

pub use plan::Plan;
