//! `Load`: requests to send, and the `rampant` process that sends them.

use super::child::{self, Cost};
use super::{Cores, Result};
use rampant::record::Record;
use std::process::{Command, Stdio};

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
    /// What `rampant` measures of this load, and what that costs it. Warm-up is not in the records.
    pub fn run(&self, url: &str, cores: &Cores) -> Result<(Vec<Record>, Cost)> {
        let folder = tempfile::tempdir()?;
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
        command.args(["run", SCRIPT, "--quiet", "--out"]).arg(folder.path());
        params.iter().for_each(|param| {
            command.arg("-p").arg(param);
        });
        command.stdout(Stdio::null());
        let cost = child::run(&mut command, &cores.client)?;
        let made = std::fs::read_dir(folder.path())?.next().ok_or("rampant left no results")??;
        let mut records = Vec::with_capacity(self.requests);
        rampant::store::reader::requests(&made.path(), None, |_, record| records.push(record))
            .map_err(|error| error.to_string())?;
        records.retain(|record| record.phase == rampant::record::Phase::Measured);
        let failed = records.iter().filter(|record| !record.success()).count();
        if failed > 0 || records.len() != self.requests {
            return Err(format!("{failed} of {} requests failed", records.len()).into());
        }
        Ok((records, cost))
    }
}
