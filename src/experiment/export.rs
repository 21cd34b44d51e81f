//! `rampant export`: a results folder in the words of other tools.

mod files;
mod perfetto;
mod requests_csv;
mod vllm;

pub use files::{Export, ExportFormat, Exported};

use super::recalled;
use crate::error::{Error, Result, nearest};
use crate::store::folder::MANIFEST;
use files::Run;
use std::fs;

pub fn export(asked: &Export) -> Result<Exported> {
    if !asked.folder.join(MANIFEST).is_file() {
        let told = format!("{} is no results folder: it has no {MANIFEST}", asked.folder.display());
        return Err(Error::usage(told).hint("`rampant aggregate --list` shows the folders"));
    }
    let all: Vec<Run> = recalled::rows(&asked.folder)?.into_iter().map(Run).collect();
    if all.is_empty() {
        return Err(Error::usage(format!("{} holds no finished run", asked.folder.display())));
    }
    for wanted in &asked.runs {
        if !all.iter().any(|run| run.name() == wanted) {
            let told = format!("{} holds no run {wanted:?}", asked.folder.display());
            let near = nearest(wanted, all.iter().map(Run::name)).unwrap_or(all[0].name());
            return Err(Error::usage(told).hint(format!("such as {near:?}")));
        }
    }
    let chosen = |run: &Run| asked.runs.is_empty() || asked.runs.iter().any(|name| name == run.name());
    let chosen: Vec<Run> = all.into_iter().filter(chosen).collect();
    fs::create_dir_all(&asked.output)
        .map_err(|error| Error::run(format!("cannot make the folder {}: {error}", asked.output.display())))?;
    match asked.format {
        ExportFormat::Vllm => vllm::write(asked, &chosen),
        ExportFormat::Perfetto => perfetto::write(asked, &chosen),
        ExportFormat::Csv => requests_csv::write(asked, &chosen),
    }
}
