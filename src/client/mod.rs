//! Put one request on a socket and return one finished record.
//!
//! `http` is the only socket code; `sse` and `body` are pure bytes -> events; `protocol` turns
//! a request into a body and an event into meaning, pure. Control-plane calls that are not
//! timed (models, readiness) are in `control`; `scrape` reads a server's metrics beside a run.

mod address;
pub(crate) mod blame;
pub mod body;
pub(crate) mod caps;
mod conn;
pub mod control;
pub(crate) mod dialect;
mod exchange;
pub(crate) mod fake;
mod first_write;
mod gather;
pub mod head;
mod http;
mod limits;
pub(crate) mod live;
pub(crate) mod outage;
mod outgoing_request;
mod pacer;
mod pool;
pub mod protocol;
mod read_coalescing;
mod reader;
pub(crate) mod refusal;
pub mod scrape;
mod sniff;
pub mod sse;
pub mod target;
pub(crate) mod tls;
mod transport;
mod trouble;

pub use fake::Fake;
pub use http::Http;
pub use live::Live;
pub use outage::Outage;
pub use outgoing_request::OutgoingRequest;
pub use target::Target;
pub use transport::Transport;

use crate::record::{Nanos, PackedRecord, Request};
use bytes::Bytes;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

/// What sends requests: a server behind HTTP, or a stand-in for tests.
pub enum Client {
    Http(Box<Http>),
    Fake(Fake),
}

/// Ends when a request must be given up.
pub type Cancel<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send)>;

impl Client {
    /// The bytes of a request on the wire, before TLS.
    pub fn encode(&self, request: &Request, id: &str) -> Bytes {
        match self {
            Client::Http(http) => http.encode(request, id),
            Client::Fake(_) => Bytes::new(),
        }
    }

    /// Where its connections go, the one or the other.
    pub fn addresses(&self) -> &[SocketAddr] {
        match self {
            Client::Http(http) => http.addresses(),
            Client::Fake(_) => &[],
        }
    }

    /// Opens connections that will be needed at once.
    pub async fn open_ahead(&self, n: usize) {
        match self {
            Client::Http(http) => http.open_ahead(n).await,
            Client::Fake(_) => {}
        }
    }

    /// How long opening a connection takes.
    pub fn connect_time(&self) -> Nanos {
        match self {
            Client::Http(http) => http.connect_time(),
            Client::Fake(_) => 0,
        }
    }

    /// What arrives meanwhile.
    pub fn live(&self) -> Arc<Live> {
        match self {
            Client::Http(http) => http.live(),
            Client::Fake(_) => Arc::default(),
        }
    }

    /// Sends a request when it is due and follows it to its end. Times in the record are
    /// absolute. When `cancel` ends first, the record says so.
    pub async fn send(&self, order: Box<OutgoingRequest>, cancel: Cancel<'_>) -> PackedRecord {
        match self {
            Client::Http(http) => http.send(order, cancel).await,
            Client::Fake(fake) => fake.send(order, cancel).await,
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wild;
