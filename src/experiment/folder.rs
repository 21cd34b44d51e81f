//! The results folder of an invocation: made once, before anything is written into it.

use super::{Experiment, manifest};
use crate::error::{Error, Result};
use crate::store::Folder;
use crate::store::folder::short_model_name;
use std::sync::{Arc, PoisonError};

/// The results folder, made at its first use and named after `model` or the script.
pub fn need(experiment: &Experiment, model: Option<&str>) -> Result<Arc<Folder>> {
    let mut slot = experiment.folder.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = &*slot {
        return Ok(folder.clone());
    }
    let name = match model {
        Some(model) if !model.is_empty() => short_model_name(&experiment.secrets.scrub(model)),
        _ => experiment.program.stem(),
    };
    let now = chrono::Local::now();
    let stamp = now.format("%Y%m%d_%H%M%S").to_string();
    let folder = Folder::create(&experiment.switches.results(&experiment.host), &name, &stamp)
        .map_err(|error| Error { kind: experiment.kind_of_fault(), ..error })?;
    manifest::begin(experiment, &folder, now)?;
    let folder = Arc::new(folder);
    *slot = Some(folder.clone());
    Ok(folder)
}

/// Fails when the results folder, not made yet, plainly cannot be: better told before the server
/// is asked for anything.
pub fn check(experiment: &Experiment) -> Result<()> {
    match experiment.folder() {
        Some(_) => Ok(()),
        None => Folder::check_parent(&experiment.switches.results(&experiment.host))
            .map_err(|error| Error { kind: experiment.kind_of_fault(), ..error }),
    }
}
