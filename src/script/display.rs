//! `Display`: the live bar of a run, or a line now and then where no terminal is.

use super::state::State;
use crate::run::{Plan, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const REDRAW: Duration = Duration::from_millis(100);

/// How often a log file gets a line.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows a run's progress on standard error until it is finished.
pub struct Display {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    /// Nothing is shown with `--quiet`.
    pub fn start(state: &State, plan: &Plan, progress: Arc<Progress>) -> Display {
        let done = Arc::new(AtomicBool::new(false));
        if state.switches.quiet {
            return Display { done, thread: None };
        }
        let shown = Shown::new(plan, state.cell_label());
        let theirs = done.clone();
        let thread = std::thread::Builder::new().name("display".into()).spawn(move || {
            if std::io::stderr().is_terminal() {
                shown.bar(&progress, &theirs)
            } else {
                shown.lines(&progress, &theirs)
            }
        });
        // A display that cannot start is no reason not to measure.
        Display { done, thread: thread.ok() }
    }

    /// Takes the bar away.
    pub fn finish(mut self) {
        self.done.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// What is shown, and against which goal.
struct Shown {
    label: String,
    requests: Option<u64>,
    time: Option<Duration>,
}

impl Shown {
    fn new(plan: &Plan, cell: String) -> Shown {
        use crate::run::plan::Warmup;
        let (warm_requests, warm_time) = match plan.warmup {
            Warmup::None => (0, Duration::ZERO),
            Warmup::Requests(n) => (n, Duration::ZERO),
            Warmup::Time(time) => (0, time),
        };
        let length = plan.arrivals.length().map(Duration::from_secs_f64);
        Shown {
            label: format!("{cell}{}", plan.name),
            requests: plan.requests.map(|n| n + warm_requests),
            time: plan.duration.map(|time| time + warm_time).or(length),
        }
    }

    fn bar(&self, progress: &Progress, done: &AtomicBool) {
        let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {msg}").expect("a template of ours");
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(self.label.clone());
        let started = Instant::now();
        let mut rate = Rate::new();
        while !done.load(Relaxed) {
            bar.set_position((1000.0 * self.share(progress, started.elapsed())) as u64);
            bar.set_message(self.message(progress, started.elapsed(), rate.next(progress)));
            std::thread::park_timeout(REDRAW);
        }
        bar.finish_and_clear();
    }

    fn lines(&self, progress: &Progress, done: &AtomicBool) {
        let started = Instant::now();
        let mut rate = Rate::new();
        let mut next = LINE_EVERY;
        while !done.load(Relaxed) {
            if started.elapsed() >= next {
                next += LINE_EVERY;
                eprintln!(
                    "{}: {}",
                    self.label,
                    self.message(progress, started.elapsed(), rate.next(progress))
                );
            }
            std::thread::park_timeout(REDRAW);
        }
    }

    /// How much of the run is done, by whichever goal is nearer.
    fn share(&self, progress: &Progress, elapsed: Duration) -> f64 {
        let by_requests = self.requests.map(|n| progress.finished.load(Relaxed) as f64 / n.max(1) as f64);
        let by_time = self.time.map(|time| elapsed.as_secs_f64() / time.as_secs_f64().max(1e-3));
        by_requests.unwrap_or(0.0).max(by_time.unwrap_or(0.0)).min(1.0)
    }

    fn message(&self, progress: &Progress, elapsed: Duration, tokens_per_s: f64) -> String {
        let finished = progress.finished.load(Relaxed);
        let of = self.requests.map(|n| format!("/{n}")).unwrap_or_default();
        let until = self.time.map(|time| format!("/{}", time.as_secs())).unwrap_or_default();
        let failed = match progress.failed.load(Relaxed) {
            0 => String::new(),
            n => format!(", {n} FAILED"),
        };
        let in_flight = progress.in_flight();
        let seconds = elapsed.as_secs();
        format!(
            "{finished}{of} done, {in_flight} in flight{failed}, {tokens_per_s:.0} tok/s, {seconds}{until} s"
        )
    }
}

/// Output tokens per second, over the last few seconds.
struct Rate {
    seen: std::collections::VecDeque<(Instant, u64)>,
}

impl Rate {
    fn new() -> Rate {
        Rate { seen: std::collections::VecDeque::new() }
    }

    fn next(&mut self, progress: &Progress) -> f64 {
        let now = Instant::now();
        let tokens = progress.output_tokens.load(Relaxed);
        self.seen.push_back((now, tokens));
        while self.seen.len() > 2 && now - self.seen[0].0 > Duration::from_secs(5) {
            self.seen.pop_front();
        }
        let (then, before) = self.seen[0];
        (tokens - before) as f64 / (now - then).as_secs_f64().max(0.1)
    }
}
