//! `EngineServer`: what all connections share, the one task that plays deadlines, and the listener.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Notify;

use crate::engine::Config;
use crate::engine::accounting::Accounting;
use crate::engine::connection;
use crate::engine::kernel::{self, Timer};
use crate::engine::metrics::{Metrics, Now};
use crate::engine::nanos::Nanos;
use crate::engine::prefix_cache::Prompt;
use crate::engine::reply::StreamedReply;
use crate::engine::scheduler::Scheduler;
use crate::os;

/// Connections that may wait to be accepted: a load test opens thousands at once.
const BACKLOG: u32 = 4096;
/// Deadlines that are played before the sockets get their turn again.
const PLAYED_IN_A_ROW: u32 = 32;
/// Tokens of simulated cache for each slot, and the slots to count with when there is no limit.
const CACHE_TOKENS_PER_SLOT: usize = 4096;
const CACHE_SLOTS: usize = 256;

/// What all connections share.
pub struct EngineServer {
    pub config: Config,
    pub books: Rc<Accounting>,
    /// Unix time of the start, seconds.
    pub started: u64,
    /// The same moment on the monotonic clock.
    pub started_at: Nanos,
    pace: RefCell<Scheduler<Rc<StreamedReply>>>,
    /// The next deadline came nearer.
    sooner: Notify,
    generations: Cell<u64>,
}

impl EngineServer {
    fn new(config: Config) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let metrics = Metrics::new(&config.model, since_1970.as_secs_f64());
        EngineServer {
            pace: RefCell::new(Scheduler::new(&config)),
            books: Rc::new(Accounting::new(metrics)),
            started: since_1970.as_secs(),
            started_at: os::now(),
            sooner: Notify::new(),
            generations: Cell::new(0),
            config,
        }
    }

    /// The number of a new generation; the first is 1.
    pub fn number(&self) -> u64 {
        self.generations.set(self.generations.get() + 1);
        self.generations.get()
    }

    /// Puts a reply under way.
    pub fn add(&self, reply: Rc<StreamedReply>, arrival: Nanos, prompt: Prompt) {
        let mut pace = self.pace.borrow_mut();
        let before = pace.next();
        pace.add(reply, arrival, prompt);
        let after = pace.next();
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.sooner.notify_one();
        }
    }

    /// Frees the slot of a reply that will not be played any more.
    pub fn release(&self, reply: &Rc<StreamedReply>) {
        self.pace.borrow_mut().cancel(reply, os::now());
        self.sooner.notify_one();
    }

    /// Forgets all prompts that were read.
    pub fn forget_prompts(&self) {
        self.pace.borrow_mut().forget_prompts();
    }

    pub fn metrics(&self) -> String {
        let pace = self.pace.borrow();
        let slots = match self.config.slots {
            0 => CACHE_SLOTS,
            slots => slots,
        };
        let share = self.books.cached.get() as f64 / (slots * CACHE_TOKENS_PER_SLOT) as f64;
        let now = Now { running: pace.running(), waiting: pace.waiting(), kv_cache: share.min(1.0) };
        self.books.metrics.borrow().to_text(&now)
    }

    /// Plays some of the deadlines up to `now`; whether there may be more.
    fn play_due(&self, now: Nanos) -> bool {
        let mut pace = self.pace.borrow_mut();
        (0..PLAYED_IN_A_ROW).all(|_| pace.play(now, |reply, due| reply.play(due)))
    }

    /// Plays every deadline when it is due, for ever.
    async fn play(&self) -> io::Result<()> {
        let timer = Timer::new()?;
        loop {
            let next = self.pace.borrow().next();
            let Some(at) = next else {
                self.sooner.notified().await;
                continue;
            };
            let now = os::now();
            if now < at {
                tokio::select! {
                    waited = timer.until(at) => waited?,
                    _ = self.sooner.notified() => {}
                }
                continue;
            }
            if self.play_due(now) {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Serves on 127.0.0.1:`port` until `stop`; tells the real port to `listening`.
pub fn run(
    port: u16,
    config: Config,
    listening: impl FnOnce(u16),
    stop: impl Future<Output = io::Result<()>>,
) -> Result<(), Failure> {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(LocalOptions::default()).map_err(Failure::Run)?;
    runtime.block_on(async {
        let listener = listen(port).map_err(Failure::Listen)?;
        listening(listener.local_addr().map_err(Failure::Listen)?.port());
        let server = Rc::new(EngineServer::new(config));
        tokio::select! {
            ended = server.play() => ended.map_err(Failure::Run),
            () = accept(&listener, &server) => Ok(()),
            asked = stop => asked.map_err(Failure::Run),
        }
    })
}

/// Why [`run`] ended before it was told to.
#[derive(Debug)]
pub enum Failure {
    Listen(io::Error),
    Run(io::Error),
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    socket.listen(BACKLOG)
}

async fn accept(listener: &TcpListener, server: &Rc<EngineServer>) {
    kernel::raise_file_limit();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let accepted = os::now();
                tokio::task::spawn_local(connection::serve(stream, accepted, server.clone()));
            }
            // Out of files, most likely: the connections that end will free some.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
