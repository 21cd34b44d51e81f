//! `Turnout`: how many requests there were, as a picture says it under its title.

use crate::record::{Phase, Record};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turnout {
    pub measured: u64,
    /// Of the measured ones.
    pub failed: u64,
    pub warmup: u64,
}

impl Turnout {
    pub fn add(&mut self, record: &Record) {
        match record.phase {
            Phase::Warmup => self.warmup += 1,
            Phase::Measured => {
                self.measured += 1;
                self.failed += u64::from(record.failed());
            }
        }
    }

    pub fn merge(&mut self, other: Turnout) {
        self.measured += other.measured;
        self.failed += other.failed;
        self.warmup += other.warmup;
    }
}
