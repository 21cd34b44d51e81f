//! `Portion`: a finished run, or a part of one, and what is asked of its rows.

use super::Experiment;
use super::finished::{Finished, file_name};
use super::part::{Label, Mark, Part};
use crate::error::{self, Error, Result};
use crate::os::heap;
use crate::stats::{Fold, Summary};
use crate::store::manifest::sha256;
use serde_json::Value;
use std::sync::Arc;

/// A finished run, or a part of one.
#[derive(Clone)]
pub struct Portion {
    pub run: Finished,
    part: Part,
    /// The part's own numbers, unless they are those of the run.
    summary: Option<Arc<Summary>>,
}

impl Portion {
    pub fn whole(run: Finished) -> Portion {
        Portion { run, part: Part::default(), summary: None }
    }

    pub fn summary(&self) -> &Summary {
        self.summary.as_ref().unwrap_or(&self.run.summary)
    }

    pub fn part(&self) -> &Part {
        &self.part
    }

    /// `mixed`, or `mixed, short` for a part.
    pub fn name(&self) -> String {
        match self.part.name() {
            part if part.is_empty() => self.run.plan.name.clone(),
            part => format!("{}, {part}", self.run.plan.name),
        }
    }

    /// The name as that of a file; no run and no other part has the same.
    pub fn file_name(&self) -> String {
        let run = file_name(&self.run.plan.name);
        // No run's file name has this sign.
        self.part_file_name().map_or_else(|| run.clone(), |part| format!("{run}@{part}"))
    }

    /// What of it names the part.
    pub fn part_file_name(&self) -> Option<String> {
        let part = self.part.name();
        let plain = file_name(&part);
        match part.is_empty() {
            true => None,
            false if plain == part => Some(plain),
            false => Some(format!("{plain}-{}", &sha256(&part)[..8])),
        }
    }

    /// Fails for a part of a run where `what` is there for whole runs alone; `instead` is what to do.
    pub fn need_whole(&self, what: &str, instead: &str) -> Result<()> {
        if self.part.is_whole() {
            return Ok(());
        }
        let name = self.name();
        let told = format!("{what}: {name:?} is a part of a run, and this is there for whole runs alone");
        Err(Error::usage(told).hint(instead))
    }

    /// Reads the rows from disk, as far as `fold` looks at them.
    pub fn fold<F: Fold>(&self, experiment: &Experiment, fold: F) -> Result<F> {
        let (fold, warnings) = self.part.fold(self.run.folder.path(), &self.run.plan.name, fold)?;
        warnings.iter().for_each(|warning| experiment.console.warn(warning));
        Ok(fold)
    }

    /// Makes its numbers anew on the calling thread, which is charged for them from now on.
    pub fn own(mut self) -> Portion {
        let mine = self.summary.as_ref().map(|summary| Arc::new((**summary).clone()));
        let theirs = std::mem::replace(&mut self.summary, mine);
        heap::aside(|| drop(theirs));
        self
    }

    /// Its parts by the value of a label. All of them have the window of the run, so that their rates
    /// add up to its own; only the warm-up has one of its own. Fails for a label that rows do not have.
    pub fn split(&self, experiment: &Experiment, label: &str) -> Result<Vec<(String, Portion)>> {
        let Some((_, of)) = Label::ALL.into_iter().find(|(name, _)| *name == label) else {
            let mark = self.run_mark(label)?;
            let (value, part) = (mark.value(), self.part.with(mark));
            return Ok(vec![(value, Portion { part, ..self.clone() })]);
        };
        let (folder, run) = (self.run.folder.path(), &self.run.plan.name);
        let (parts, warnings) = self.part.summaries(folder, run, of, &self.run.summary)?;
        warnings.iter().for_each(|warning| experiment.console.warn(warning));
        let portion = |(mark, summary): (Mark, Summary)| {
            let (value, part) = (mark.value(), self.part.with(mark));
            (value, Portion { part, summary: Some(Arc::new(summary)), ..self.clone() })
        };
        Ok(parts.into_iter().map(portion).collect())
    }

    /// What all rows of the run have in common: the model, the target, or a tag that it was given.
    fn run_mark(&self, label: &str) -> Result<Mark> {
        let plan = &self.run.plan;
        let value = match label {
            "model" if plan.workload.draws_models() => {
                let told = "by: each request of this run drew its model, and its row does not say which one";
                return Err(Error::usage(told).hint("give each model a class of its own in a mix"));
            }
            "model" => Some(plan.target.model.clone()),
            "target" => Some(plan.target.name.clone()),
            tag => plan.tags.get(tag).map(|value| match value {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            }),
        };
        value.map(|value| Mark::Run(label.to_string(), value)).ok_or_else(|| self.no_label(label))
    }

    fn no_label(&self, label: &str) -> Error {
        let rows = Label::ALL.iter().map(|(name, _)| *name);
        let tags = self.run.plan.tags.keys().map(String::as_str);
        let known: Vec<&str> = rows.chain(["model", "target"]).chain(tags).collect();
        let error = Error::usage(format!("by: results can be split by {}, got {label:?}", known.join(", ")));
        match error::nearest(label, known.iter().copied()) {
            Some(near) => error.hint(format!("did you mean {near:?}?")),
            None => error.hint("the names of the run's `tags` are labels, too"),
        }
    }
}
