//! `Console`: what an invocation says on the terminal, in its user's language and without secrets.

use super::secret::Secrets;
use super::switches::Switches;
use super::terminal::fit;
use crate::host::Host;
use crate::lang::Lang;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Where sentences and tables go.
pub struct Console {
    host: Host,
    lang: Lang,
    quiet: bool,
    secrets: Arc<Secrets>,
    /// What is told once in an invocation and was told.
    told: Mutex<HashSet<String>>,
}

impl Console {
    pub fn new(host: Host, switches: &Switches, secrets: Arc<Secrets>) -> Console {
        let lang = switches.lang;
        Console { host, lang, quiet: switches.quiet, secrets, told: Mutex::default() }
    }

    /// The language of what we say.
    pub fn words(&self) -> Lang {
        self.lang
    }

    /// Whether only results, warnings and errors are said.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// An information line of the script; silent with `--quiet`.
    pub fn inform(&self, line: &str) {
        if !self.quiet {
            self.host.out(&self.secrets.scrub(line));
        }
    }

    /// What we did or are about to do, on standard error; silent with `--quiet`.
    pub fn mention(&self, line: &str) {
        if !self.quiet {
            self.to_err(&self.secrets.scrub(line));
        }
    }

    /// What a run came to, also with `--quiet`.
    pub fn tell(&self, text: &str) {
        self.host.out(&self.secrets.scrub(text));
    }

    /// A warning line, also with `--quiet`.
    pub fn warn(&self, line: &str) {
        self.to_err(&format!("{}{}", self.lang.warning(), self.secrets.scrub(line)));
    }

    /// A line that says itself what it is, also with `--quiet`.
    pub fn stress(&self, line: &str) {
        self.to_err(&self.secrets.scrub(line));
    }

    /// True the first time that it is asked of this `thing`.
    pub fn first_time(&self, thing: &str) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(thing.to_string())
    }

    fn to_err(&self, line: &str) {
        self.host.err(&fit(&self.host, line));
    }
}
