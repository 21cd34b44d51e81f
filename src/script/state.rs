//! `State`: what a script and the functions that it calls share during one session.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rhai::{Dynamic, EvalAltResult, NativeCallContext};

use super::access::Access;
use super::bench::Bench;
use super::embedded;
use super::fault::{self, Fallible, raise};
use super::param::{Given, Param};
use super::quota::Quota;
use super::secret::{From as SecretFrom, Secrets};
use super::sources::{Sources, Text};
use super::typed;
use super::vocabulary::Vocabulary;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::os::heap;
use crate::record::Nanos;

/// Most bytes of a script or a module.
pub const TEXT_BYTES_MAX: u64 = 4 << 20;

/// The program to run.
#[derive(Debug, Clone)]
pub struct Source {
    /// What errors call it: the path as it was typed, or `single` for a built-in command.
    pub name: String,
    pub text: String,
    /// Where the file is; `None` for a built-in command.
    pub path: Option<PathBuf>,
}

impl Source {
    /// Reads a script file. Fails when it cannot be read or is not UTF-8.
    pub fn file(path: &Path, host: &Host) -> Result<Self> {
        let full = host.cwd().join(path);
        let shown = path.display().to_string();
        let cannot =
            |error: &std::io::Error| Error::usage(format!("cannot read script {shown:?}: {}", plain(error)));
        let bytes = crate::os::file::read(&full, TEXT_BYTES_MAX).map_err(|error| cannot(&error))?;
        let text = String::from_utf8(bytes).map_err(|_| cannot(&std::io::ErrorKind::InvalidData.into()))?;
        // Some editors put a byte order mark in front.
        let text = text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_string);
        Ok(Source { name: shown, text, path: Some(full) })
    }

    /// A built-in command.
    pub fn built_in(name: &str) -> Option<Self> {
        let text = embedded::command(name)?;
        Some(Source { name: name.into(), text: text.into(), path: None })
    }

    /// Whether it is a built-in command and not a user's file.
    pub fn is_built_in(&self) -> bool {
        self.path.is_none() && embedded::command(&self.name).is_some()
    }

    /// The folder beside which modules are looked for and under which files may be read.
    pub fn folder(&self, host: &Host) -> PathBuf {
        let parent = self.path.as_deref().and_then(Path::parent);
        parent.map_or_else(|| host.cwd(), Path::to_path_buf)
    }

    /// The script's own words about itself: its `//!` lines.
    pub fn description(&self) -> String {
        embedded::description(&self.text)
    }
}

/// An I/O error without the "(os error 2)" that helps nobody.
pub fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        std::io::ErrorKind::InvalidData => "not UTF-8 text".into(),
        _ => error.to_string(),
    }
}

/// The language of tables and charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    #[default]
    En,
    Zh,
}

impl Lang {
    /// `en` or `zh`.
    pub fn name(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Zh => "zh",
        }
    }
}

/// What the command line says beside the script's own parameters.
#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// Replaces every plan's seed.
    pub seed: Option<u64>,
    /// The parent of the results folder; `results` when not given.
    pub out: Option<PathBuf>,
    pub lang: Lang,
    /// No progress and no `info` lines.
    pub quiet: bool,
    /// A run whose verdict is not `valid` ends the process with 96.
    pub strict: bool,
    /// Send the same prompts in every cell and in the warm-up.
    pub same_bytes: bool,
    /// Hosts that the script may reach: `host` or `host:port`.
    pub allow: Vec<String>,
    /// Folders that the script may read.
    pub allow_read: Vec<PathBuf>,
    /// Most bytes of the files that are saved; see [`Quota`].
    pub max_disk: Option<u64>,
    /// Folders with modules.
    pub lib: Vec<PathBuf>,
    pub secrets: Vec<(String, SecretFrom)>,
}

impl Switches {
    /// The parent of the results folder.
    pub fn results(&self, host: &Host) -> PathBuf {
        host.cwd().join(self.out.as_deref().unwrap_or(Path::new("results")))
    }
}

/// The parameters that the command line gives.
#[derive(Debug, Clone, Default)]
pub struct Args {
    pub given: Vec<Given>,
}

/// What happened so far, for the end of the session and for the manifest.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// `check` and `require`: name, and whether it held.
    pub checks: Vec<(String, bool)>,
    /// `note(key, value)`.
    pub notes: Vec<(String, Dynamic)>,
    /// Parameters as the script read them.
    pub params: Vec<(String, Dynamic)>,
    /// Runs whose verdict is not `valid`: name and worst verdict.
    pub doubts: Vec<(String, String)>,
    /// Runs that ended early or in which nothing succeeded, as sentences.
    pub problems: Vec<String>,
}

/// The most bytes of `text`, up to `max`, that end with a whole letter.
fn whole_letters(text: &str, max: usize) -> usize {
    (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Which cell of how many a sweep is at; 0: no sweep.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    at: usize,
    of: usize,
    /// When the sweep's first cell and this one began.
    first: Nanos,
    began: Nanos,
}

/// Lines that a script may print, and bytes of them; most bytes of what is printed at once.
const LINES_MAX: usize = 100_000;
const PRINTED_MAX: usize = 32 << 20;
const LINE_MAX: usize = 1 << 20;

/// What a script has said on the terminal.
#[derive(Debug, Default)]
struct Said {
    lines: AtomicUsize,
    bytes: AtomicUsize,
    too_much: AtomicBool,
}

/// What natives share. Reach it with [`State::of`] inside a native function.
pub struct State {
    pub host: Host,
    pub switches: Switches,
    pub source: Source,
    pub args: Args,
    pub access: Access,
    pub secrets: Secrets,
    pub sources: Sources,
    pub quota: Arc<Quota>,
    /// Ends the script at its next step, through `try`/`catch`.
    pub cancel: Arc<AtomicBool>,
    /// When the session began.
    pub started: Nanos,
    /// What a file gives for parameters that the command line does not name.
    presets: Mutex<Vec<Given>>,
    params: std::sync::OnceLock<Vec<Param>>,
    tally: Mutex<Tally>,
    bench: std::sync::OnceLock<Arc<Bench>>,
    cell: Mutex<Cell>,
    load_sent: AtomicBool,
    said: Said,
    vocabulary: std::sync::OnceLock<Vocabulary>,
    /// What is told once in an invocation and was told.
    told: Mutex<HashSet<String>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("source", &self.source.name).finish_non_exhaustive()
    }
}

impl State {
    /// Fails when a secret cannot be had, so that nobody learns it after an hour.
    pub fn new(source: Source, args: Args, switches: Switches, host: Host) -> Result<Arc<Self>> {
        let access = Access::new(&source, &args, &switches, &host);
        let secrets = Secrets::read(&switches.secrets, &host)?;
        let texts = args.given.iter().flat_map(|given| &given.texts);
        texts.for_each(|text| secrets.scrubber().learn_address(text));
        let sources = Sources::default();
        sources.add(&source.name, Text::new(&source.name, &source.text, source.path.as_deref()));
        Ok(Arc::new(State {
            cancel: host.stop_flag(),
            started: crate::os::now(),
            quota: Arc::new(Quota::new(switches.max_disk, source.is_built_in())),
            host,
            switches,
            source,
            args,
            access,
            secrets,
            sources,
            presets: Mutex::default(),
            params: std::sync::OnceLock::new(),
            tally: Mutex::default(),
            bench: std::sync::OnceLock::new(),
            cell: Mutex::default(),
            load_sent: AtomicBool::new(false),
            said: Said::default(),
            vocabulary: std::sync::OnceLock::new(),
            told: Mutex::default(),
        }))
    }

    /// The state of the session in which a native function was called.
    pub fn of(context: &NativeCallContext) -> Arc<State> {
        let tag = context.tag().and_then(|tag| tag.clone().try_cast::<Arc<State>>());
        tag.expect("every engine is made with its state as the tag")
    }

    /// The parameters that the script and its modules declare, once it has been looked at.
    pub fn params(&self) -> &[Param] {
        self.params.get().map_or(&[], Vec::as_slice)
    }

    pub(super) fn learn_params(&self, params: &[Param]) {
        self.params.get_or_init(|| params.to_vec());
    }

    /// What a file gives for parameters.
    pub fn presets(&self) -> MutexGuard<'_, Vec<Given>> {
        self.presets.lock().expect("nobody panics while holding the presets")
    }

    /// What was given for a parameter: by the command line, else by a file.
    pub fn given(&self, name: &str) -> Option<Given> {
        let typed = self.args.given.iter().find(|given| given.name == name).cloned();
        typed.or_else(|| self.presets().iter().find(|given| given.name == name).cloned())
    }

    /// The tally, to add to or to read.
    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("nobody panics while holding the tally")
    }

    /// Records a verdict and tells it; the session ends with 99 when one did not hold.
    pub fn check(&self, name: &str, held: bool) {
        let told = self.words().check(name, held);
        if held {
            self.mention(&told)
        } else {
            self.warn(&told)
        }
        self.tally().checks.push((name.into(), held));
    }

    /// From now on a script error is an error while running (exit 1), no longer a wrong script (2).
    pub fn load_begins(&self) {
        self.load_sent.store(true, Ordering::Relaxed);
        crate::os::load_was_sent();
    }

    /// What an error of the script's own making is at this moment.
    pub fn kind_of_fault(&self) -> Kind {
        if self.load_sent.load(Ordering::Relaxed) { Kind::Run } else { Kind::Usage }
    }

    /// Why the script may not take another step: it holds or says too much. `None`: it may.
    pub fn must_end(&self) -> Option<Dynamic> {
        let told = match (heap::over(), self.said.too_much.load(Ordering::Relaxed)) {
            (false, false) => return None,
            (true, _) => Error::new(
                self.kind_of_fault(),
                format!("the script holds more than {} MB of memory", heap::MOST >> 20),
            )
            .hint("keep less at a time: save tables and texts, and let go of what is not needed any more"),
            (_, true) => Error::new(
                self.kind_of_fault(),
                format!("the script prints more than {LINES_MAX} lines or {} MB", PRINTED_MAX >> 20),
            )
            .hint("save(...) writes a file into the results"),
        };
        Some(Dynamic::from(fault::Fault { error: told, option: None }))
    }

    /// What a script may say on the terminal of `text`: all, a part, or, when it has said too much,
    /// nothing.
    pub fn say<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        if self.source.is_built_in() {
            return Some(text.into());
        }
        let (shown, cut) = match text.len() > LINE_MAX {
            true => (&text[..whole_letters(text, LINE_MAX)], true),
            false => (text, false),
        };
        let lines = self.said.lines.fetch_add(1, Ordering::Relaxed);
        let bytes = self.said.bytes.fetch_add(shown.len(), Ordering::Relaxed);
        if lines >= LINES_MAX || bytes > PRINTED_MAX {
            self.said.too_much.store(true, Ordering::Relaxed);
            return None;
        }
        Some(if cut { format!("{shown}... (cut: {} bytes)", text.len()).into() } else { shown.into() })
    }

    /// Fails with the interruption once Ctrl-C was pressed. Natives that wait call it often.
    pub fn go_on(&self) -> Fallible<()> {
        match self.cancel.load(Ordering::Relaxed) {
            true => Err(raise(Error::new(Kind::Interrupted, "interrupted"))),
            false => Ok(()),
        }
    }

    /// A run that is no success as a whole: the process will end with 1.
    pub fn problem(&self, sentence: String) {
        // The first one is said at the end; nobody should wait for it until a sweep is over.
        if !self.cell_label().is_empty() || !self.tally().problems.is_empty() {
            self.warn(&sentence);
        }
        self.tally().problems.push(sentence);
    }

    /// A run that is not valid as a measurement; with `--strict` the process will end with 96.
    pub fn doubt(&self, run: &str, worst: &str, reasons: Vec<String>) {
        if !self.tells_in_tables() {
            let of_run = self.words().of_run(run);
            reasons.iter().for_each(|reason| self.warn(&format!("{of_run}{reason}")));
        }
        self.tally().doubts.push((run.into(), worst.into()));
    }

    /// Whether every run ends with its table, in which the reasons of its verdict stand: what is
    /// said in full once need not be warned of before.
    pub fn tells_in_tables(&self) -> bool {
        self.source.is_built_in() && self.source.name == "single"
    }

    /// What the runs of this invocation share, made at its first use.
    pub fn bench(&self) -> Result<Arc<Bench>> {
        if let Some(bench) = self.bench.get() {
            return Ok(bench.clone());
        }
        let bench = Arc::new(Bench::new(self.switches.same_bytes)?);
        Ok(self.bench.get_or_init(|| bench).clone())
    }

    /// The same, if anything has used it.
    pub fn bench_if_used(&self) -> Option<Arc<Bench>> {
        self.bench.get().cloned()
    }

    /// See [`Access::may_write`].
    pub fn may_write(&self, path: &str) -> Result<PathBuf> {
        let own = self.bench_if_used().and_then(|bench| bench.folder());
        self.access.may_write(path, own.as_ref().map(|folder| folder.path()))
    }

    /// A sweep is at cell `at` of `of`, from 1 on; 0 of 0 when it has ended.
    pub fn set_cell(&self, at: usize, of: usize) {
        let mut cell = self.cell.lock().expect("nobody panics while holding the cell");
        let began = crate::os::now();
        let first = if at <= 1 { began } else { cell.first };
        *cell = Cell { at, of, first, began };
    }

    fn cell(&self) -> Cell {
        *self.cell.lock().expect("nobody panics while holding the cell")
    }

    /// `[2/8] ` inside a sweep, for the progress line.
    pub fn cell_label(&self) -> String {
        match self.cell() {
            Cell { of: 0, .. } => String::new(),
            Cell { at, of, .. } => format!("[{at}/{of}] "),
        }
    }

    /// What the cells after this one take, if each takes what those before it took on average;
    /// `None` outside a sweep and in its first and last cells.
    pub fn cells_left(&self) -> Option<std::time::Duration> {
        let Cell { at, of, first, began } = self.cell();
        let (before, after) = (at.checked_sub(1).filter(|n| *n > 0)?, of.checked_sub(at).filter(|n| *n > 0)?);
        let taken = std::time::Duration::from_nanos((began - first).max(0) as u64);
        Some(taken.mul_f64(after as f64 / before as f64))
    }

    /// Waits, unless Ctrl-C is pressed.
    pub fn pause(&self, time: std::time::Duration) -> Fallible<()> {
        let end = std::time::Instant::now() + time;
        loop {
            self.go_on()?;
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(std::time::Duration::from_millis(20)));
        }
    }

    /// An information line of the script; silent with `--quiet`.
    pub fn inform(&self, line: &str) {
        if !self.switches.quiet {
            self.host.out(&self.secrets.scrub(line));
        }
    }

    /// What we did or are about to do, on standard error; silent with `--quiet`.
    pub fn mention(&self, line: &str) {
        if !self.switches.quiet {
            self.to_err(&self.secrets.scrub(line));
        }
    }

    /// The language of what we say.
    pub fn words(&self) -> crate::stats::words::Lang {
        crate::stats::words::Lang::named(self.switches.lang.name())
    }

    /// What a run came to, also with `--quiet`.
    pub fn tell(&self, text: &str) {
        self.host.out(&self.secrets.scrub(text));
    }

    /// True the first time that it is asked of this `thing`.
    pub fn first_time(&self, thing: &str) -> bool {
        self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(thing.to_string())
    }

    /// A warning line, also with `--quiet`.
    pub fn warn(&self, line: &str) {
        self.to_err(&format!("{}{}", self.words().warning(), self.secrets.scrub(line)));
    }

    fn to_err(&self, line: &str) {
        self.host.err(&super::display::fit(&self.host, line));
    }

    /// The functions that scripts know. Empty until the first engine is built.
    pub fn vocabulary(&self) -> &Vocabulary {
        static NONE: std::sync::LazyLock<Vocabulary> = std::sync::LazyLock::new(Vocabulary::default);
        self.vocabulary.get().unwrap_or(&NONE)
    }

    pub(super) fn learn_vocabulary(&self, learn: impl FnOnce() -> Vocabulary) {
        self.vocabulary.get_or_init(learn);
    }

    /// Puts an error of the language into our words, secrets removed.
    pub fn explain(&self, error: Box<EvalAltResult>) -> Error {
        let kind = self.kind_of_fault();
        let ours = fault::kind(&error).is_some();
        let option = fault::option(&error);
        let mut told = fault::explain(error, &self.source.name, kind, &self.sources, self.vocabulary());
        if ours && self.source.is_built_in() {
            // The user of a built-in command has not written its script, but perhaps a file.
            told.place = None;
            if told.kind == Kind::Usage {
                told = typed::told(self, told, option.as_deref());
            }
        }
        let clean = |text: &str| self.secrets.scrub(text).into_owned();
        Error {
            message: clean(&told.message),
            hint: told.hint.as_deref().map(clean),
            place: told.place.as_deref().map(clean),
            ..told
        }
    }
}
