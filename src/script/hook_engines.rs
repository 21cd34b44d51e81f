//! `HookEngines`: engines for the functions of a script that are called while a run goes on.

use rhai::Engine;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::vocabulary::Vocabulary;

/// What comes with the language and is not for hooks: it waits, or knows the time.
pub const REFUSED: [&str; 3] = ["sleep", "timestamp", "elapsed"];

/// Engines of which each serves one call at a time. There are as many as threads have called at once,
/// and none before the first call.
pub struct HookEngines {
    make: Box<dyn Fn() -> Engine + Send + Sync>,
    idle: Mutex<Vec<Engine>>,
    vocabulary: OnceLock<Vocabulary>,
}

impl HookEngines {
    pub fn new(make: impl Fn() -> Engine + Send + Sync + 'static) -> HookEngines {
        HookEngines { make: Box::new(make), idle: Mutex::default(), vocabulary: OnceLock::new() }
    }

    /// Works with an engine that nobody else has meanwhile.
    pub fn with<T>(&self, work: impl FnOnce(&Engine) -> T) -> T {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let engine = taken.unwrap_or_else(&self.make);
        let done = work(&engine);
        idle().push(engine);
        done
    }

    /// Whether a hook can call a function of this name.
    pub fn know(&self, function: &str) -> bool {
        if REFUSED.contains(&function) {
            return false;
        }
        let vocabulary = self.vocabulary.get_or_init(|| self.with(Vocabulary::of));
        vocabulary.is_language(function) || !vocabulary.signatures(function).is_empty()
    }
}
