//! `Load`: requests to send, and the `rampant` command that sends them.

use std::path::Path;
use std::process::Command;

/// The script that turns a load's numbers into one run.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/rig/load.rhai");

/// When requests start.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// All of them at the same time.
    Together,
    /// At random times, so many a second.
    Rate(f64),
    /// So many at a time, each after the end of another.
    Places(usize),
}

/// One run's traffic.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub start: Start,
    pub requests: usize,
    /// Output tokens of each.
    pub tokens: usize,
    /// Requests before the measured ones.
    pub warmup: usize,
}

impl Load {
    /// The command that sends this load with `rampant`.
    pub fn command(&self, url: &str, out: &Path) -> Command {
        let (shape, value) = match self.start {
            Start::Together => ("together", self.requests as f64),
            Start::Rate(rate) => ("rate", rate),
            Start::Places(places) => ("places", places as f64),
        };
        let params = [
            format!("url={url}"),
            format!("shape={shape}"),
            format!("value={value}"),
            format!("requests={}", self.requests),
            format!("tokens={}", self.tokens),
            format!("warmup={}", self.warmup),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_rampant"));
        command.args(["run", SCRIPT, "--quiet", "--out"]).arg(out);
        for param in params {
            command.arg("-p").arg(param);
        }
        command
    }
}
