//! One connection: its requests one after the other, each with its answer.

use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use serde_json::json;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use crate::engine::config::FailKind;
use crate::engine::generation::Generation;
use crate::engine::generation_request::{BadRequest, GenerationRequest};
use crate::engine::http::{self, HttpRefusal, HttpRequest, Incoming, Step};
use crate::engine::nanos::Nanos;
use crate::engine::prefix_cache::Prompt;
use crate::engine::reply::{ReplyPhase, StreamedReply};
use crate::engine::server::EngineServer;
use crate::engine::text::GeneratedText;
use crate::engine::truth::TruthEntry;
use crate::os;

/// Room that is made for each read.
const READ_BYTES: usize = 4096;
/// What a client may send ahead while its reply is under way.
const AHEAD_BYTES_MAX: usize = 1024 * 1024;
/// What `/v1/models` says; nothing is refused for its length.
const MODEL_TOKENS_MAX: u32 = 131_072;

const JSON: &str = "application/json";

struct Connection {
    socket: Rc<TcpStream>,
    incoming: Incoming,
    accepted: Nanos,
    /// When the kernel received the last bytes, and when they were read.
    received: Nanos,
    read_at: Nanos,
    server: Rc<EngineServer>,
}

/// Serves one connection to its end.
pub async fn serve(stream: TcpStream, accepted: Nanos, server: Rc<EngineServer>) {
    // Without it a token would wait for the client to confirm the one before.
    let _ = stream.set_nodelay(true);
    os::enable_receive_stamps(stream.as_raw_fd());
    let socket = Rc::new(stream);
    let mut connection = Connection {
        socket,
        incoming: Incoming::default(),
        accepted,
        received: accepted,
        read_at: accepted,
        server,
    };
    // Whatever goes wrong with a socket, its client is gone, and nobody is left to be told.
    let _ = connection.serve().await;
    if let Ok(mut stream) = Rc::try_unwrap(connection.socket) {
        let _ = stream.shutdown().await;
    }
}

impl Connection {
    async fn serve(&mut self) -> io::Result<()> {
        // Before it a request that was sent ahead waits for the one before it.
        let mut free = self.accepted;
        loop {
            match self.incoming.next() {
                Ok(Step::Request(request)) => {
                    if !self.answer(request, self.received.max(free)).await? {
                        return Ok(());
                    }
                    free = os::now();
                }
                Ok(Step::More) => self.read().await?,
                Ok(Step::Continue) => {
                    write_all(&self.socket, b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                }
                Err(HttpRefusal(status, reason)) => {
                    let fault = BadRequest::new(status, reason, "BadRequestError");
                    let text = http::reply(status, JSON, fault.body.as_bytes(), false);
                    return write_all(&self.socket, &text).await;
                }
            }
        }
    }

    /// Reads at least one byte. What counts as its time is when the kernel received it: this one
    /// thread may come to it later, and the client cannot see that.
    async fn read(&mut self) -> io::Result<()> {
        loop {
            self.socket.readable().await?;
            let bytes = &mut self.incoming.bytes;
            let before = bytes.len();
            bytes.resize(before + READ_BYTES, 0);
            let fd = self.socket.as_raw_fd();
            let read = self.socket.try_io(Interest::READABLE, || os::receive(fd, &mut bytes[before..]));
            bytes.truncate(before + read.as_ref().map_or(0, |received| received.bytes));
            match read {
                Ok(received) if received.bytes == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(received) => {
                    self.received = received.at();
                    self.read_at = received.read_at;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Answers one request that arrived at `arrival`; whether the connection stays open.
    async fn answer(&mut self, request: HttpRequest, arrival: Nanos) -> io::Result<bool> {
        let keep = request.keep;
        let server = self.server.clone();
        let key = &server.config.api_key;
        if request.path.starts_with("/v1/") && key.is_some() && request.bearer != *key {
            return self.send(401, JSON, br#"{"error":"Unauthorized"}"#, keep).await;
        }
        match (&*request.method, &*request.path) {
            ("POST", "/v1/completions") => self.generate(false, request, arrival).await,
            ("POST", "/v1/chat/completions") => self.generate(true, request, arrival).await,
            ("GET", "/health") => self.send(200, JSON, b"", keep).await,
            ("GET", "/version") => {
                let version = json!({"version": concat!("rampant-", env!("CARGO_PKG_VERSION"))});
                self.send(200, JSON, version.to_string().as_bytes(), keep).await
            }
            ("GET", "/v1/models") => self.send(200, JSON, models(&server).as_bytes(), keep).await,
            ("GET", "/metrics") => {
                let text = server.metrics();
                self.send(200, "text/plain; version=0.0.4; charset=utf-8", text.as_bytes(), keep).await
            }
            ("GET", "/truth") => {
                let only = request.query.split('&').find_map(|pair| pair.strip_prefix("id="));
                let truth = server.books.truth.borrow().to_json(only);
                self.send(200, JSON, &truth, keep).await
            }
            ("GET" | "POST", "/reset") => {
                let forgotten = server.books.truth.borrow_mut().reset();
                self.send(200, JSON, json!({ "forgotten": forgotten }).to_string().as_bytes(), keep).await
            }
            ("POST", "/reset_prefix_cache") => {
                server.forget_prompts();
                self.send(200, JSON, b"", keep).await
            }
            (_, path) if PATHS.contains(&path) => {
                self.send(405, JSON, br#"{"detail":"Method Not Allowed"}"#, keep).await
            }
            _ => self.send(404, JSON, br#"{"detail":"Not Found"}"#, keep).await,
        }
    }

    async fn send(&self, status: u16, content_type: &str, body: &[u8], keep: bool) -> io::Result<bool> {
        write_all(&self.socket, &http::reply(status, content_type, body, keep)).await?;
        Ok(keep)
    }

    async fn generate(&mut self, chat: bool, request: HttpRequest, arrival: Nanos) -> io::Result<bool> {
        let server = self.server.clone();
        let config = &server.config;
        let ask = match GenerationRequest::read(chat, &request.body, config) {
            Ok(ask) => ask,
            Err(fault) => return self.send(fault.status, JSON, fault.body.as_bytes(), request.keep).await,
        };
        let number = server.number();
        let course = Generation::new(&ask, config, number);
        let prompt = Prompt::of(&ask, &course, number);
        let entry = TruthEntry {
            id: id(request.request_id, number),
            accepted: self.accepted,
            arrival,
            read: self.read_at.max(arrival),
            streamed: ask.stream,
            prompt_tokens: ask.prompt_tokens,
            cached_tokens: ask.blocks.as_ref().map(|_| 0),
            ..TruthEntry::default()
        };
        if let Some(FailKind::Status(status)) = course.fail {
            let fault = BadRequest::new(status, "simulated failure", "SimulatedFailure");
            server.books.finish(entry, &Default::default(), "status", os::now());
            return self.send(status, JSON, fault.body.as_bytes(), request.keep).await;
        }
        let created = server.started + (arrival - server.started_at).max(0) as u64 / 1_000_000_000;
        let text = GeneratedText::new(&ask, &entry.id, &config.model, created, request.chunks, number);
        // Without chunks only the end of the connection says where the body ends.
        let keep = request.keep && (request.chunks || !ask.stream);
        let reply =
            Rc::new(StreamedReply::new(self.socket.clone(), server.books.clone(), text, course, keep, entry));
        reply.open();
        server.add(reply.clone(), arrival, prompt);
        let whole = self.attend(&reply).await;
        if reply.abort() {
            server.release(&reply);
        }
        Ok(whole && keep && !config.close)
    }

    /// Stays with a reply until all of it is written or the client is gone; whether the
    /// connection can be used again.
    async fn attend(&mut self, reply: &Rc<StreamedReply>) -> bool {
        loop {
            let blocked = reply.is_blocked();
            match reply.phase() {
                ReplyPhase::Ended { cut } if !blocked => return !cut,
                ReplyPhase::Lost | ReplyPhase::Gone => return false,
                ReplyPhase::Burst if !blocked => {
                    reply.burst();
                    if matches!(reply.phase(), ReplyPhase::Ended { .. }) {
                        self.server.release(reply);
                    } else {
                        tokio::task::yield_now().await;
                    }
                    continue;
                }
                _ => {}
            }
            let socket = self.socket.clone();
            tokio::select! {
                _ = reply.wake.notified() => {}
                _ = socket.writable(), if blocked => reply.flush(),
                read = self.read(), if self.incoming.bytes.len() < AHEAD_BYTES_MAX => {
                    if read.is_err() {
                        return false;
                    }
                }
            }
        }
    }
}

const PATHS: [&str; 9] = [
    "/v1/completions",
    "/v1/chat/completions",
    "/v1/models",
    "/health",
    "/version",
    "/metrics",
    "/truth",
    "/reset",
    "/reset_prefix_cache",
];

fn models(server: &EngineServer) -> String {
    let model = &server.config.model;
    let card = json!({
        "id": model,
        "object": "model",
        "created": server.started,
        "owned_by": "rampant",
        "root": model,
        "parent": null,
        "max_model_len": MODEL_TOKENS_MAX,
        "permission": [],
    });
    json!({"object": "list", "data": [card]}).to_string()
}

/// The client's id when it can stand in a header and in JSON as it is; otherwise one of our own.
fn id(sent: Option<String>, number: u64) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    match sent {
        Some(id) if !id.is_empty() && id.bytes().all(plain) => id,
        _ => format!("{number:016x}"),
    }
}

async fn write_all(socket: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        socket.writable().await?;
        match socket.try_write(bytes) {
            Ok(taken) => bytes = &bytes[taken..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
