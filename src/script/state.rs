//! `State`: what a script and the functions that it calls share during one session.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rhai::{Dynamic, NativeCallContext};

use super::fault::{self, Fallible, raise};
use super::hook_engines::HookEngines;
use super::param::Param;
use super::sources::{SourceText, Sources};
use super::vocabulary::Vocabulary;
use crate::error::{Error, ErrorKind, Result};
use crate::experiment::Experiment;
use crate::experiment::args::{Args, Given};
use crate::experiment::console::Console;
use crate::experiment::program::Program;
use crate::experiment::reopened;
use crate::experiment::switches::Switches;
use crate::host::Host;
use crate::os::heap;

/// The most bytes of `text`, up to `max`, that end with a whole letter.
fn whole_letters(text: &str, max: usize) -> usize {
    (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
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
    pub experiment: Arc<Experiment>,
    /// The experiment's own.
    pub console: Arc<Console>,
    pub args: Args,
    pub sources: Sources,
    /// Ends the script at its next step, through `try`/`catch`.
    pub cancel: Arc<AtomicBool>,
    /// What a file gives for parameters that the command line does not name.
    presets: Mutex<Vec<Given>>,
    params: std::sync::OnceLock<Vec<Param>>,
    said: Said,
    vocabulary: std::sync::OnceLock<Vocabulary>,
    hook_engines: std::sync::OnceLock<HookEngines>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("program", &self.experiment.program.name).finish_non_exhaustive()
    }
}

impl State {
    /// Fails when a secret cannot be had, so that nobody learns it after an hour.
    pub fn new(program: Program, args: Args, switches: Switches, host: Host) -> Result<Arc<Self>> {
        let sources = Sources::default();
        sources.add(&program.name, SourceText::new(&program.name, &program.text, program.path.as_deref()));
        let (resumed, completed) = match &switches.resume {
            Some(named) => Some(reopened::open(named, &program, &switches, &host)?).unzip(),
            None => (None, None),
        };
        let experiment = Arc::new(Experiment::new(program, &args, switches, host, resumed)?);
        if let (Some(resumed), Some(completed)) = (&experiment.resumed, completed)
            && !completed.is_nothing()
        {
            let place = resumed.folder.path().display().to_string();
            experiment.console.mention(&experiment.console.words().recovered(&place, &completed));
        }
        Ok(Arc::new(State {
            cancel: experiment.host.stop_flag(),
            console: experiment.console.clone(),
            experiment,
            args,
            sources,
            presets: Mutex::default(),
            params: std::sync::OnceLock::new(),
            said: Said::default(),
            vocabulary: std::sync::OnceLock::new(),
            hook_engines: std::sync::OnceLock::new(),
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

    /// Why the script may not take another step: it holds or says too much. `None`: it may.
    pub fn must_end(&self) -> Option<Dynamic> {
        let told = match (heap::over(), self.said.too_much.load(Ordering::Relaxed)) {
            (false, false) => return None,
            (true, _) => Error::new(
                self.experiment.kind_of_fault(),
                format!("the script holds more than {} MB of memory", heap::MOST >> 20),
            )
            .hint("keep less at a time: save tables and texts, and let go of what is not needed any more"),
            (_, true) => Error::new(
                self.experiment.kind_of_fault(),
                format!("the script prints more than {LINES_MAX} lines or {} MB", PRINTED_MAX >> 20),
            )
            .hint("save(...) writes a file into the results"),
        };
        Some(Dynamic::from(fault::ScriptFault { error: told, option: None }))
    }

    /// What a script may say on the terminal of `text`: all, a part, or, when it has said too much,
    /// nothing.
    pub fn say<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        if self.experiment.program.built_in {
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
            true => Err(raise(Error::new(ErrorKind::Interrupted, "interrupted"))),
            false => Ok(()),
        }
    }

    /// Waits, unless Ctrl-C is pressed.
    pub fn pause(&self, time: std::time::Duration) -> Fallible<()> {
        let time = if self.experiment.switches.dry { std::time::Duration::ZERO } else { time };
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

    /// The functions that scripts know. Empty until the first engine is built.
    pub fn vocabulary(&self) -> &Vocabulary {
        static NONE: std::sync::LazyLock<Vocabulary> = std::sync::LazyLock::new(Vocabulary::default);
        self.vocabulary.get().unwrap_or(&NONE)
    }

    /// What calls hooks.
    pub fn hook_engines(&self) -> &HookEngines {
        self.hook_engines.get().expect("the script's engine was built first")
    }

    pub(super) fn learn_hook_engines(&self, learn: impl FnOnce() -> HookEngines) {
        self.hook_engines.get_or_init(learn);
    }

    pub(super) fn learn_vocabulary(&self, learn: impl FnOnce() -> Vocabulary) {
        self.vocabulary.get_or_init(learn);
    }
}
