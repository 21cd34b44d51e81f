//! The three pictures of one run: distributions, rates over time, timeline of requests.

use super::Figure;
use crate::record::Record;

/// TTFT and ITL on a log axis with percentiles marked.
pub fn distributions(_name: &str, _records: &[Record], _lang: &str) -> Figure {
    todo!()
}

/// Output tokens per second and requests in flight over time.
pub fn over_time(_name: &str, _records: &[Record], _lang: &str) -> Figure {
    todo!()
}

/// One line per request: waiting, time to first token, streaming, failures.
pub fn timeline(_name: &str, _records: &[Record], _lang: &str) -> Figure {
    todo!()
}
