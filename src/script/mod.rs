//! The Rhai engine: the only place that knows the script language.
//!
//! A script is an ordinary program that runs once, from top to bottom, on a thread of its own. It
//! builds plans, runs them, looks at results and decides; nothing of it happens per request, save
//! the hooks that a plan names.
//!
//! [`Script::prepare`] reads, compiles and checks a script without running it; [`Script::play`]
//! runs it. [`bind`] holds the functions that scripts call, and says how to write one.

#[allow(clippy::unwrap_used, reason = "the macro that exports functions takes their arguments so")]
pub(crate) mod bind;
mod bindings;
pub(crate) mod compare;
pub(crate) mod duration;
pub(crate) mod embedded;
pub(crate) mod engine;
pub(crate) mod explain;
pub(crate) mod fault;
pub(crate) mod function;
pub(crate) mod grid;
pub(crate) mod hook;
mod hook_engines;
pub(crate) mod json;
pub(crate) mod lint;
mod literals;
mod maps;
pub(crate) mod options;
pub(crate) mod opts;
pub(crate) mod param;
pub(crate) mod plot;
pub(crate) mod preset;
pub(crate) mod reading;
pub(crate) mod reference;
pub(crate) mod resolver;
mod scan;
pub(crate) mod sources;
pub(crate) mod state;
pub(crate) mod text;
mod typed;
pub(crate) mod vllm;
pub(crate) mod vocabulary;
pub(crate) mod weight;
mod written;
pub mod yaml;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rhai::{AST, Engine};

use crate::error::{Error, ErrorKind, Result};
use crate::experiment::args::Args;
use crate::experiment::closing;
use crate::experiment::manifest;
use crate::experiment::program::Program;
use crate::experiment::switches::Switches;
use crate::host::Host;
use crate::lang::Lang;
use crate::os::{self, heap, stack};
use param::Param;
use resolver::Library;
pub use state::State;

/// Deep recursion in a script must hit the language's limit, not the end of the stack.
const STACK_BYTES: usize = 64 << 20;

/// A script that was read and checked, ready to run once.
pub struct Script {
    pub engine: Engine,
    pub state: Arc<State>,
    pub library: Arc<Library>,
    pub ast: AST,
    /// The parameters that the script and its modules declare.
    pub params: Vec<Param>,
    /// What is wrong with the script, in the order of its text.
    pub errors: Vec<Error>,
}

impl Script {
    /// Reads and checks a script. Fails when it cannot be parsed; calls that cannot work are in
    /// [`Script::errors`].
    pub fn prepare(program: Program, args: Args, switches: Switches, host: Host) -> Result<Script> {
        Script::prepare_with(program, args, switches, host, |_| {})
    }

    /// As [`Script::prepare`], with functions of the caller's own.
    fn prepare_with(
        program: Program,
        args: Args,
        switches: Switches,
        host: Host,
        more: impl FnOnce(&mut Engine),
    ) -> Result<Script> {
        let state = State::new(program, args, switches, host)?;
        let library = Library::new(state.clone());
        let engine = engine::build_with(&state, &library, state.cancel.clone(), more);
        let name = state.experiment.program.name.clone();
        let mut ast = engine
            .compile(&state.experiment.program.text)
            .map_err(|error| fault::explain_parse(error, &name, &state.sources, state.vocabulary()))?;
        ast.set_source(&name);
        state.sources.learn(&name, &ast);
        let found = lint::lint(&engine, &state, &library, &ast);
        state.learn_params(&found.params);
        Ok(Script { engine, state, library, ast, params: found.params, errors: found.errors })
    }

    /// Refuses a script with known errors, and values that its parameters do not accept.
    pub fn check(&mut self) -> Result<()> {
        if !self.errors.is_empty() {
            return Err(self.errors.remove(0));
        }
        param::check(&self.params, &self.state.args.given)
    }

    /// Runs the script to its end. An error of the script comes before an interruption, that
    /// before a failed check, that before a doubtful run with `--strict`.
    pub fn play(self) -> Result<()> {
        let experiment = &self.state.experiment;
        closing::begin(experiment)?;
        let played = self.run_to_end();
        self.finish(&played);
        let saved = closing::save(experiment, played.as_ref().err());
        let played = played.and(saved);
        if self.state.experiment.host.abort_requested() {
            #[allow(clippy::mem_forget, reason = "ten thousand connections are faster closed by the system")]
            std::mem::forget(self);
        }
        played
    }

    /// Writes the end of the manifest and says where the results are. A disk that does not answer is not
    /// waited for.
    fn finish(&self, played: &Result<()>) {
        let experiment = &self.state.experiment;
        let Some(folder) = experiment.folder() else { return };
        let code = played.as_ref().map_or_else(|error| error.kind.exit_code(), |()| 0);
        // A script that was interrupted in a run is not given up while this is waited for: its error says what is safe.
        let told =
            played.as_ref().err().map_or_else(|| interrupted(self.state.console.words()), Clone::clone);
        let _measuring = experiment.host.measuring(told.message);
        let (ended, end) = std::sync::mpsc::channel();
        let (theirs, place) = (experiment.clone(), folder.clone());
        let write = move || drop(ended.send(manifest::end(&theirs, &place, code)));
        // Without a thread the channel is closed, and that is told.
        let _ = std::thread::Builder::new().name("manifest".into()).spawn(write);
        match end.recv_timeout(DISK_PATIENCE) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.state.console.warn(&error.to_string()),
            Err(_) => self.state.console.warn(&self.state.console.words().manifest_unwritten()),
        }
        self.state.console.tell(&self.state.console.words().results(&folder.path().display().to_string()));
    }

    fn run_to_end(&self) -> Result<()> {
        let done = self.engine.run_ast(&self.ast);
        if let Err(error) = done {
            let told = explain::explain(&self.state, error);
            // An interrupted run says where its rows are; a stopped script has only the fact.
            let stopped = self.state.experiment.host.stop_requested() && told.message == fault::STOPPED;
            return Err(if stopped { interrupted(self.state.console.words()) } else { told });
        }
        if self.state.experiment.host.stop_requested() {
            return Err(interrupted(self.state.console.words()));
        }
        self.state.experiment.verdict()?;
        let checks = self.state.experiment.findings().checks.len();
        if checks > 1 {
            self.state.console.mention(&self.state.console.words().checks_held(checks));
        }
        Ok(())
    }
}

fn interrupted(lang: Lang) -> Error {
    Error::new(ErrorKind::Interrupted, lang.interrupted())
}

/// Runs a script on a thread of its own and waits for its end.
pub fn run(program: Program, args: Args, switches: Switches, host: Host) -> Result<()> {
    let lang = switches.lang;
    let script = std::thread::Builder::new().name("script".into()).stack_size(STACK_BYTES);
    let (ended, end) = std::sync::mpsc::channel();
    let theirs = host.clone();
    let thread = script
        .spawn(move || {
            stack::guard_this_thread();
            heap::charge_this_thread();
            let _ended = ended;
            let mut session = Script::prepare(program, args, switches, theirs)?;
            session.check()?;
            session.play()
        })
        .map_err(|error| Error::run(format!("cannot start the script's thread: {error}")))?;
    if let Some(lost) = await_end(&end, &host, lang) {
        return Err(lost);
    }
    // The panic has been printed where it happened.
    thread.join().unwrap_or_else(|_| {
        Err(Error::run("rampant made a mistake of its own; please report the lines above"))
    })
}

/// How often the end of the script is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// How long an interrupted script may go on outside of a run (reading a large file, drawing), and a
/// run after the second interrupt, in which its rows are written.
const PATIENCE: Duration = Duration::from_millis(600);

/// How long the end of the manifest may take.
const DISK_PATIENCE: Duration = Duration::from_secs(10);

/// Waits for the script's end; the error when it was interrupted and does not come.
fn await_end(end: &Receiver<()>, host: &Host, lang: Lang) -> Option<Error> {
    let (mut stopped, mut aborted): (Option<Instant>, Option<Instant>) = (None, None);
    // A machine full of the work of others must not keep us from the end.
    let hurry = || {
        os::be_urgent(true);
        Instant::now()
    };
    loop {
        match end.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return None,
        }
        if host.abort_requested() && aborted.get_or_insert_with(hurry).elapsed() > PATIENCE {
            return Some(match host.measures() {
                Some(lost) => Error::new(ErrorKind::Interrupted, lost),
                None => interrupted(lang),
            });
        }
        if !host.stop_requested() || host.measures().is_some() {
            stopped = None;
        } else if stopped.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return Some(interrupted(lang));
        }
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::experiment::args::Given;

    pub fn program(text: &str) -> Program {
        Program { name: "test.rhai".into(), text: text.into(), path: None, built_in: false }
    }

    /// A checked session of a script.
    pub fn session(text: &str) -> Script {
        Script::prepare(program(text), Args::default(), Switches::default(), Host::fake("/", &[])).unwrap()
    }

    pub fn run_with(text: &str, params: &[(&str, &str)], switches: Switches, host: Host) -> Result<()> {
        let given = params
            .iter()
            .map(|(name, value)| Given {
                name: name.to_string(),
                flag: format!("-p {name}"),
                texts: vec![value.to_string()],
                split: true,
            })
            .collect();
        run(program(text), Args { given }, switches, host)
    }

    /// What a script prints on standard output.
    pub fn printed(text: &str) -> String {
        let host = Host::fake("/", &[]);
        run_with(text, &[], Switches::default(), host.clone()).unwrap();
        host.written().0
    }

    /// The error with which a script ends.
    pub fn error(text: &str) -> String {
        run_with(text, &[], Switches::default(), Host::fake("/", &[])).unwrap_err().to_string()
    }
}
