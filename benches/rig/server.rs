//! `Engine`: the built-in engine as a process on a core of its own, and its log of the truth.

use super::{Cores, Result, child};
use rampant::stats::truth::Truth;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A running engine; dropping it ends the process.
pub struct Engine {
    child: Child,
    pub url: String,
}

impl Engine {
    /// Starts one on a free port. `config` is as in `rampant engine --config`.
    pub fn start(config: &str, cores: &Cores) -> Result<Engine> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rampant"));
        let config = format!("{config},until_stdin_closes=true");
        command.args(["engine", "--port", "0", "--config", &config]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        child::tie(&mut command, &cores.server);
        let mut child = command.spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("the engine has no output")?;
        BufReader::new(out).read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ").map(str::to_string);
        let url = url.ok_or_else(|| format!("the engine did not start: {line:?}"))?;
        Ok(Engine { child, url })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Every finished request by its id.
    pub fn truth(&self) -> Result<HashMap<String, Truth>> {
        let place = self.url.trim_start_matches("http://");
        let mut socket = TcpStream::connect(place)?;
        write!(socket, "GET /truth HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\n\r\n")?;
        let mut reply = Vec::new();
        socket.read_to_end(&mut reply)?;
        let head = reply.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no reply from /truth")?;
        Ok(Truth::read(&reply[head + 4..])?)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
