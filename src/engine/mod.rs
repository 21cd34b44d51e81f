//! The built-in simulated inference server: real sockets, real time, and a log of the truth.

use crate::error::Result;

/// How the engine behaves. Times are milliseconds.
#[derive(Debug, Clone)]
pub struct Config {
    pub model: String,
    pub ttft_ms: f64,
    pub itl_ms: f64,
}

/// `builtin:slots=32,prefill=9000,itl=9ms` -> `Config`; errors name the key and the nearest one.
pub fn parse(_text: &str) -> std::result::Result<Config, String> {
    todo!()
}

/// Serves on 127.0.0.1:`port` (0: a free one) until the process is told to stop; prints
/// `listening on http://127.0.0.1:PORT` as its first line.
pub fn serve(_port: u16, _config: Config) -> Result<()> {
    todo!()
}
