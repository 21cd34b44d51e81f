//! `Error`: what kind of failure, what we were doing, what to try, where in the script.
//!
//! Errors are data until `main` prints one of them, once. The text is a sentence for the
//! user: lower case, what we were doing, with which thing, what to try.

mod nearest;

pub use nearest::nearest;

use std::cell::Cell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// Every reason for which the process ends with a code other than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Something went wrong during a run (exit 1).
    Run,
    /// The command line, a file or the script is wrong; no load was sent (exit 2).
    Usage,
    /// A condition that chance may have decided; nothing failed (exit 95).
    Undecided,
    /// `--strict`: a run whose verdict is not `valid` (exit 96).
    NotValid,
    /// The target never became ready (exit 97).
    NotReady,
    /// The script called `fail()` (exit 98).
    Failed,
    /// A `check` or `require` did not hold (exit 99).
    Check,
    /// Ctrl-C (exit 130).
    Interrupted,
}

impl ErrorKind {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Run => 1,
            ErrorKind::Usage => 2,
            ErrorKind::Undecided => 95,
            ErrorKind::NotValid => 96,
            ErrorKind::NotReady => 97,
            ErrorKind::Failed => 98,
            ErrorKind::Check => 99,
            ErrorKind::Interrupted => 130,
        }
    }
}

/// A failure on its way to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub kind: ErrorKind,
    /// One sentence, lower case, without a final stop.
    pub message: String,
    /// What to try next, when we know.
    pub hint: Option<String>,
    /// The script's place, source line and caret, already rendered.
    pub place: Option<String>,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), hint: None, place: None }
    }

    /// A wrong command line, file or script.
    pub fn usage(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Usage, message)
    }

    /// A failure while running.
    pub fn run(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Run, message)
    }

    /// Adds what to try.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts what we were doing in front: `context: message`.
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if let Some(place) = &self.place {
            write!(f, "\n{}", place.trim_end())?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  try: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

pub type Result<T> = std::result::Result<T, Error>;

/// Runs work of a library that may panic on broken input; the panic's words are the error, and
/// nothing is printed.
///
/// ```
/// let broken = rampant::error::caught(|| [1, 2][std::hint::black_box(2)]);
/// assert!(broken.unwrap_err().starts_with("index out of bounds"));
/// ```
pub fn caught<T>(work: impl FnOnce() -> T) -> std::result::Result<T, String> {
    thread_local! {
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                others(info);
            }
        }));
    });
    let was = QUIET.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    QUIET.set(was);
    done.map_err(|words| match words.downcast_ref::<&str>() {
        Some(words) => words.to_string(),
        None => words.downcast_ref::<String>().cloned().unwrap_or_default(),
    })
}
