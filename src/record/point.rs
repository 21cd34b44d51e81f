//! `Point`: one value of a metric at one moment of a run.

use super::Nanos;
use std::sync::Arc;

/// Who saw a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The server, in the answer of its `/metrics`.
    Server,
    /// This program, from its own records.
    Client,
}

impl Source {
    /// The name in Parquet.
    pub fn name(self) -> &'static str {
        match self {
            Source::Server => "server",
            Source::Client => "client",
        }
    }
}

/// One value of a metric at one moment of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Since the run's zero: when the server's answer arrived, or where the client's window ends.
    pub at: Nanos,
    pub source: Source,
    /// Our name, such as `running`; a series that we have no name for keeps the server's.
    pub metric: Arc<str>,
    /// As the server wrote them, without the braces.
    pub labels: Option<Arc<str>>,
    pub value: f64,
    /// The server's name; several when they were joined.
    pub raw_name: Option<Arc<str>>,
}
