//! `Summary`: all numbers of one run.

use super::slo::Slo;
use crate::record::{Nanos, Outcome, Record};

/// Which part of the run is measured.
///
/// A run that stops at a duration has an end known beforehand: throughputs count what arrived
/// in [start, end]. A run that stops at a number of requests ends with its last request, as
/// in every tool of the field: throughputs then count the measured requests alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// `None` until the first measured request is planned.
    pub start: Option<Nanos>,
    pub end: Option<Nanos>,
}

/// All numbers of one run, computed from its records in any order.
#[derive(Debug, Clone)]
pub struct Summary {
    _private: (),
}

impl Summary {
    /// `open`: the run has an open-loop schedule (response_ times judge the SLO then).
    pub fn new(_window: Window, _slo: Option<Slo>, _open: bool) -> Self {
        todo!()
    }

    /// The planned time of the first measured request, once known; before any measured record.
    pub fn start_window(&mut self, _at: Nanos) {
        todo!()
    }

    pub fn add(&mut self, _record: &Record) {
        todo!()
    }

    /// A value by its name, such as `"ttft.p99"`, `"output_tokens.rate"`, `"errors.share"`.
    /// `Ok(None)`: not observed. `Err`: no such name, as a sentence with the nearest one.
    pub fn value(&self, _name: &str) -> Result<Option<f64>, String> {
        todo!()
    }

    /// Failures by kind with their counts and one example text each, most frequent first.
    pub fn failures(&self) -> Vec<(Outcome, u64, Option<String>)> {
        todo!()
    }

    /// Every number as (column name, value), for `runs.parquet`, in a fixed order.
    pub fn columns(&self) -> Vec<(String, Option<f64>)> {
        todo!()
    }

    /// The table for the terminal, English (`"en"`) or Chinese (`"zh"`).
    pub fn table(&self, _lang: &str) -> String {
        todo!()
    }
}

impl std::ops::AddAssign<&Summary> for Summary {
    fn add_assign(&mut self, _other: &Summary) {
        todo!()
    }
}
