//! Put one request on a socket and return one finished record.
//!
//! `http` is the only socket code; `sse` and `body` are pure bytes -> events; `protocol` turns
//! a request into a body and an event into meaning, pure. Control-plane calls that are not
//! timed (models, readiness, scrapes) are in `control`.

pub mod body;
pub mod control;
pub mod head;
pub mod protocol;
pub mod sse;
pub mod target;
pub mod tls;

pub use target::Target;
