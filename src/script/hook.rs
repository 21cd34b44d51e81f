//! `Hook`: a function of a script that is called while a run goes on, from threads that make requests
//! or hear of their replies; never from one that sends or reads.
//!
//! It works on its arguments and on what it captured, of which it has copies, and on nothing else: its
//! engine knows no function that measures, waits, or touches a file ([`super::engine`]).

use std::sync::Arc;

use rhai::{Dynamic, EvalAltResult, Position};

use super::explain::explain;
use super::fault::raise;
use super::function::Callable;
use super::sources::SourcePlace;
use super::state::State;
use crate::error::{Error, Result, caught};
use crate::os::heap;
use crate::workload::HookCost;

/// See the file's head.
#[derive(Debug, Clone)]
pub struct Hook {
    /// The option that it was given for: `next_turn`.
    name: &'static str,
    function: Callable,
    state: Arc<State>,
}

impl Hook {
    pub fn new(name: &'static str, function: Callable, state: Arc<State>) -> Hook {
        Hook { name, function, state }
    }

    /// For what its calls cost in a run.
    pub fn cost(&self) -> HookCost {
        let sources = &self.state.sources;
        HookCost::new(self.name, sources.cite(&self.place()), sources.hash_of(self.function.name()))
    }

    /// Whether it may ask for this property: it does where the script, or a module of it, names one.
    pub fn reads(&self, property: &str) -> bool {
        let asked = format!(".{property}");
        self.state.sources.all().iter().any(|(_, source)| source.text.contains(&asked))
    }

    /// Where its body begins; where it was handed over, if it came bound from a library.
    fn place(&self) -> SourcePlace {
        self.state.sources.place_of(self.function.name()).unwrap_or_else(|| {
            let (source, at) = self.function.bound_at();
            let source = source.unwrap_or(&self.state.experiment.program.name).to_string();
            SourcePlace { source, line: at.line().unwrap_or(1), column: at.position().unwrap_or(1) }
        })
    }

    /// Calls it. An error says where in the script it is.
    pub fn call(&self, args: impl IntoIterator<Item = Dynamic>) -> Result<Dynamic> {
        let engines = self.state.hook_engines();
        let called = heap::afresh(|| caught(|| engines.with(|engine| self.function.call(engine, args))));
        match called {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.told(*error)),
            Err(panic) => Err(self.error(panic)),
        }
    }

    /// What a call ended with, in our words.
    fn told(&self, error: EvalAltResult) -> Error {
        let error = refused(error, &|function| {
            let known = !self.state.vocabulary().signatures(function).is_empty();
            let here = self.state.hook_engines().know(function);
            (known && !here).then(|| {
                Error::usage(format!(
                    "`{function}` cannot be called in `{}`: it runs while requests are sent, and works on its \
                     arguments alone",
                    self.name
                ))
            })
        });
        let told = explain(&self.state, Box::new(error));
        match told.place {
            Some(_) => told,
            None => self.error(told.message),
        }
    }

    /// An error of it as a whole: of what it returned, say.
    pub fn error(&self, told: impl Into<String>) -> Error {
        let place = Some(self.state.sources.render(&self.place()));
        Error { place, ..Error::new(self.state.experiment.kind_of_fault(), told) }
    }

    /// As [`Hook::error`], of an error that a reader of options raised.
    pub fn wrong(&self, error: Box<EvalAltResult>) -> Error {
        let told = explain(&self.state, error);
        Error { hint: told.hint, ..self.error(told.message) }
    }
}

/// The same error, with what is said of a function that is not there in the place of the language's words.
fn refused(error: EvalAltResult, told: &dyn Fn(&str) -> Option<Error>) -> EvalAltResult {
    match error {
        EvalAltResult::ErrorInFunctionCall(name, source, inner, at) => {
            EvalAltResult::ErrorInFunctionCall(name, source, Box::new(refused(*inner, told)), at)
        }
        EvalAltResult::ErrorInModule(name, inner, at) => {
            EvalAltResult::ErrorInModule(name, Box::new(refused(*inner, told)), at)
        }
        EvalAltResult::ErrorFunctionNotFound(call, at) => {
            let name = call.split(" (").next().unwrap_or_default();
            match told(name) {
                Some(error) => placed(error, at),
                None => EvalAltResult::ErrorFunctionNotFound(call, at),
            }
        }
        other => other,
    }
}

fn placed(error: Error, at: Position) -> EvalAltResult {
    match *raise(error) {
        EvalAltResult::ErrorRuntime(token, _) => EvalAltResult::ErrorRuntime(token, at),
        other => other,
    }
}

#[cfg(test)]
mod tests;
