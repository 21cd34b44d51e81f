//! `Plan`: one run, checked once; past this point nothing is optional or re-validated.

use crate::client::Target;
use crate::schedule::Shape;
use crate::stats::Slo;
use crate::workload::Workload;
use std::sync::Arc;
use std::time::Duration;

/// Traffic before the measured part, on top of `requests` and `duration`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Warmup {
    None,
    Requests(u64),
    Time(Duration),
}

/// What a slot does when no place is free at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverCap {
    /// It waits and keeps its planned time.
    Wait,
    /// It becomes a record with the outcome `dropped`.
    Drop,
}

/// How many failures end a run early.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxErrors {
    Count(u64),
    /// Share of finished requests, judged from 20 on.
    Share(f64),
}

/// Which text is kept in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capture {
    None,
    All,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The cell's name; unique within a results folder.
    pub name: String,
    pub target: Arc<Target>,
    pub workload: Workload,
    pub arrivals: Shape,
    /// Most requests in flight; closed shapes bring their own.
    pub cap: Option<usize>,
    pub over_cap: OverCap,
    /// Measured requests, warm-up not counted.
    pub requests: Option<u64>,
    /// Measured time, warm-up not counted.
    pub duration: Option<Duration>,
    pub max_errors: Option<MaxErrors>,
    pub warmup: Warmup,
    /// How long stragglers may take after the last request was sent; `None`: until they end.
    pub drain: Option<Duration>,
    pub seed: u64,
    pub salt: u64,
    pub slo: Option<Slo>,
    pub capture: Capture,
    /// Free labels, kept in `runs.parquet`.
    pub tags: serde_json::Map<String, serde_json::Value>,
}
