//! `Turn`: one request of a session.

use crate::record::Request;
use std::time::Duration;

/// See the file's head.
#[derive(Debug)]
pub struct Turn {
    pub request: Request,
    /// How long after the end of the previous reply it is due; a first turn is due when its slot is.
    pub after: Duration,
}
