//! `Display`: the live bar of a run, or a line now and then where no terminal is.

use super::Experiment;
use super::status::{Goal, Stage, Status};
use super::terminal::columns;
use crate::host::Host;
use crate::lang::Lang;
use crate::os;
use crate::run::plan::Warmup;
use crate::run::{Plan, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const REDRAW: Duration = Duration::from_millis(100);

/// How often a log file gets a line.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Columns of the bar; it is left out where the line would have to lose words for it.
const BAR: usize = 12;

/// Columns of a terminal that does not tell.
const WIDTH: usize = 80;

/// Shows a run's progress on standard error until it is finished.
pub struct Display {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    /// Nothing is shown with `--quiet`.
    pub fn start(experiment: &Experiment, plan: &Plan, progress: Arc<Progress>) -> Display {
        let done = Arc::new(AtomicBool::new(false));
        if experiment.console.is_quiet() {
            return Display { done, thread: None };
        }
        let shown = Shown::new(experiment, plan, progress);
        let theirs = done.clone();
        let thread = std::thread::Builder::new()
            .name("display".into())
            .spawn(move || if shown.host.is_terminal() { shown.bar(&theirs) } else { shown.lines(&theirs) });
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
    host: Host,
    label: String,
    lang: Lang,
    goal: Goal,
    progress: Arc<Progress>,
    /// What the cells after this one take, if each takes what those before it took.
    after: Option<Duration>,
}

impl Shown {
    fn new(experiment: &Experiment, plan: &Plan, progress: Arc<Progress>) -> Shown {
        let warm = match plan.warmup {
            Warmup::Time(time) => time,
            _ => Duration::ZERO,
        };
        let length =
            plan.arrivals.length().map(|seconds| Duration::from_secs_f64(seconds).saturating_sub(warm));
        Shown {
            host: experiment.host.clone(),
            label: crate::host::visible(&format!(
                "{}{}",
                experiment.cells.label(),
                experiment.secrets.scrub(&plan.name)
            ))
            .replace('\n', " "),
            lang: experiment.console.words(),
            goal: Goal { warmup: plan.warmup, requests: plan.requests, time: plan.duration.or(length) },
            progress,
            after: experiment.cells.left(),
        }
    }

    fn bar(&self, done: &AtomicBool) {
        let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
        let style = |text: &str| ProgressStyle::with_template(text).expect("a template of ours");
        let (with, without) =
            (style(&format!("{{msg}} [{{bar:{BAR}}}]")).progress_chars("=> "), style("{msg}"));
        let mut rate = Rate::new();
        while !done.load(Relaxed) {
            let status = self.status(&mut rate);
            let width = columns().unwrap_or(WIDTH);
            let line = |width: usize| self.goal.line(&status, &self.label, self.after, self.lang, width);
            let (whole, beside) = (line(width.saturating_sub(1)), line(width.saturating_sub(BAR + 4)));
            bar.set_style(if whole == beside { with.clone() } else { without.clone() });
            bar.set_position((1000.0 * self.goal.share(&status)) as u64);
            bar.set_message(whole);
            std::thread::park_timeout(REDRAW);
        }
        bar.finish_and_clear();
    }

    fn lines(&self, done: &AtomicBool) {
        let started = Instant::now();
        let mut rate = Rate::new();
        let mut next = LINE_EVERY;
        while !done.load(Relaxed) {
            let status = self.status(&mut rate);
            if started.elapsed() >= next {
                next += LINE_EVERY;
                self.host.err(&self.goal.line(&status, &self.label, self.after, self.lang, usize::MAX));
            }
            std::thread::park_timeout(REDRAW);
        }
    }

    fn status(&self, rate: &mut Rate) -> Status {
        let (progress, now) = (&self.progress, os::now());
        let since_zero = progress.zero().map_or(0, |zero| (now - zero).max(0));
        let measured = progress.measured();
        let window = progress.window().filter(|start| since_zero >= *start);
        let stage = match (progress.drains(), window) {
            (true, _) => Stage::Drain,
            (false, Some(_)) => Stage::Measured,
            (false, None) if matches!(self.goal.warmup, Warmup::None) => Stage::Measured,
            (false, None) => Stage::Warmup,
        };
        let start = if stage == Stage::Warmup { 0 } else { window.unwrap_or(0) };
        let (ttft, itl) = progress.live.typical(now);
        Status {
            stage,
            part: if stage == Stage::Warmup { progress.warmup() } else { measured },
            failed: progress.failed.load(Relaxed),
            tokens_per_s: rate.next(progress.live.tokens()),
            ttft,
            itl,
            elapsed: Duration::from_nanos((since_zero - start).max(0) as u64),
        }
    }
}

/// Output tokens per second, over the last few seconds.
struct Rate {
    seen: VecDeque<(Instant, f64)>,
}

impl Rate {
    fn new() -> Rate {
        Rate { seen: VecDeque::from([(Instant::now(), 0.0)]) }
    }

    fn next(&mut self, tokens: f64) -> f64 {
        let now = Instant::now();
        self.seen.push_back((now, tokens));
        while self.seen.len() > 2 && now - self.seen[0].0 > Duration::from_secs(5) {
            self.seen.pop_front();
        }
        let (then, before) = self.seen[0];
        (tokens - before).max(0.0) / (now - then).as_secs_f64().max(0.1)
    }
}
