//! The built-in simulated inference server: real sockets, real time, and a log of the truth.
//!
//! One request on its way: `connection` reads it (`http`, `ask`), decides its `course`, and puts a
//! `reply` into the `pace`; `server` plays each deadline when it is due, and the reply writes its
//! `text` straight to the socket; the `books` keep the `metrics` and the `truth`.
//!
//! What decides when a token is made (`scheduler`) and what a generation will be (`generation`) knows
//! neither clock nor socket: `virtual_engine` is the same server without both.
//!
//! Paths: `/v1/completions`, `/v1/chat/completions`, `/v1/models`, `/health`, `/version`,
//! `/metrics` (vLLM's names), `/truth` (finished requests by id; `?id=` for one), `/reset`
//! (forgets the truth) and `/reset_prefix_cache`.

mod accounting;
mod batch;
mod block_names;
mod config;
mod connection;
mod due;
mod fixed;
mod generation;
mod generation_request;
mod http;
mod kernel;
mod metrics;
mod nanos;
mod prefix_cache;
mod reply;
mod scheduler;
mod server;
mod text;
mod truth;
mod virtual_engine;

#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::error::{Error, Result};

pub use config::{Config, Fail, FailKind, parse};
pub use generation_request::GenerationRequest;
use server::Failure;
pub use text::{GenerationEnd, word};
pub use virtual_engine::{Ending, Played, VirtualEngine, Written};

/// Serves on 127.0.0.1:`port` (0: a free one) until the process is told to stop by SIGTERM or
/// Ctrl-C, or, when the configuration says so, until standard input ends. Prints
/// `listening on http://127.0.0.1:PORT` as its first line. Fails when the port is taken or the
/// configuration asks for what cannot be.
pub fn serve(port: u16, config: Config) -> Result<()> {
    config.check().map_err(Error::usage)?;
    let until_stdin_closes = config.until_stdin_closes;
    let stop = async {
        let stdin_ended = if until_stdin_closes { Some(stdin_end()?) } else { None };
        tokio::select! {
            asked = kernel::asked_to_end() => asked,
            _ = async { stdin_ended.expect("checked").await }, if stdin_ended.is_some() => Ok(()),
        }
    };
    server::run(port, config, announce, stop).map_err(|failure| match failure {
        Failure::Listen(error) => Error::run(format!("cannot listen on 127.0.0.1:{port}: {error}"))
            .hint("another port, or port 0 for a free one"),
        Failure::Run(error) => Error::run(format!("the engine stopped: {error}")),
    })
}

fn announce(port: u16) {
    let mut out = io::stdout().lock();
    // A parent that does not listen any more will end us in its own way.
    let _ = writeln!(out, "listening on http://127.0.0.1:{port}");
    let _ = out.flush();
}

/// Ready when standard input has ended or cannot be read.
fn stdin_end() -> io::Result<oneshot::Receiver<()>> {
    let (ended, receiver) = oneshot::channel();
    std::thread::Builder::new().name("engine-stdin".to_string()).spawn(move || {
        let mut bytes = [0; 4096];
        let mut stdin = io::stdin().lock();
        loop {
            match stdin.read(&mut bytes) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // Dropped receiver: the server has ended already.
        let _ = ended.send(());
    })?;
    Ok(receiver)
}

/// A server in a thread of this process; dropping it stops the server.
pub struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the server's thread has been printed already.
            let _ = thread.join();
        }
    }
}

/// Starts a server on a free port in a thread of this process, for tests.
///
/// # Panics
/// When the configuration is impossible or no port can be had.
///
/// ```
/// let (port, _running) = rampant::engine::start_in_thread(Default::default());
/// assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
/// ```
pub fn start_in_thread(config: Config) -> (u16, Running) {
    config.check().expect("a possible engine configuration");
    let (stop, stopped) = oneshot::channel::<()>();
    let (port_sender, port) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let listening = |port| port_sender.send(port).expect("the starter waits for the port");
        let stop = async {
            // Told or dropped, both mean the end.
            let _ = stopped.await;
            Ok(())
        };
        server::run(0, config, listening, stop).expect("a server on a free port");
    });
    let port = port.recv().expect("a server on a free port");
    (port, Running { stop: Some(stop), thread: Some(thread) })
}
