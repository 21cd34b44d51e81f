//! `Child`: the built-in engine as a process of its own, so that its CPU is never counted as
//! ours.

use crate::error::{Error, Result};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// A running engine; dropping it ends the process.
pub struct Child {
    process: std::process::Child,
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// What it was started with.
    pub config: String,
}

impl Child {
    /// Starts this program as `engine` on a free loopback port and waits until it listens.
    pub fn start(config: &str) -> Result<Child> {
        let failed = |error: std::io::Error| Error::run(format!("cannot start the built-in engine: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let mut process = Command::new(program)
            .args(["engine", "--port", "0", "--until-stdin-closes", "--config", config])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            // Ctrl-C in a terminal goes to a whole group, and would end the replies in flight.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let mut line = String::new();
        let out = process.stdout.take().expect("its output was asked for");
        BufReader::new(out).read_line(&mut line).map_err(failed)?;
        match line.trim().strip_prefix("listening on ") {
            Some(url) => Ok(Child { url: url.to_string(), config: config.to_string(), process }),
            None => {
                let _ = process.kill();
                let _ = process.wait();
                Err(Error::run("the built-in engine ended before it listened"))
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It also ends by itself when its input closes, should this process be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
