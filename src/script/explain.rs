//! `explain`: an error of the language in our words, for the user of this program.

use super::state::State;
use super::{fault, typed};
use crate::error::{Error, ErrorKind};
use rhai::EvalAltResult;

/// Puts an error of the language into our words, secrets removed.
pub fn explain(state: &State, error: Box<EvalAltResult>) -> Error {
    let experiment = &state.experiment;
    let kind = experiment.kind_of_fault();
    let ours = fault::kind(&error).is_some();
    let option = fault::option(&error);
    let mut told = fault::explain(error, &experiment.program.name, kind, &state.sources, state.vocabulary());
    if ours && experiment.program.built_in {
        // The user of a built-in command has not written its script, but perhaps a file.
        told.place = None;
        if told.kind == ErrorKind::Usage {
            told = typed::told(state, told, option.as_deref());
        }
    }
    let clean = |text: &str| experiment.secrets.scrub(text).into_owned();
    Error {
        message: clean(&told.message),
        hint: told.hint.as_deref().map(clean),
        place: told.place.as_deref().map(clean),
        ..told
    }
}
