//! `Transport`: the thread that sends and the task that reads, for all clients of a measuring.
//!
//! Clients that send at the same time share one: two threads that pace would take each other's
//! core in a burst, and two readers would each wait while the other one has something to read.

use super::pacer::Pacer;
use super::reader::ReplyReader;
use crate::error::Error;
use std::sync::Arc;

/// The pacer and the reader, lent to clients. Dropping the last hold ends both.
pub struct Transport {
    pub(super) pacer: Pacer,
    pub(super) reader: ReplyReader,
}

impl Transport {
    /// Starts the thread, and the task on the current runtime.
    pub fn start() -> Result<Arc<Transport>, Error> {
        let pacer = Pacer::start()
            .map_err(|error| Error::run(format!("cannot start the thread that paces sends: {error}")))?;
        let reader =
            ReplyReader::start().map_err(|error| Error::run(format!("cannot watch for replies: {error}")))?;
        Ok(Arc::new(Transport { pacer, reader }))
    }
}
