//! `Before`: what an earlier invocation measured of a sweep, where this one goes on in its folder.

use super::cell_plan::CellPlan;
use super::resume::Found;
use super::{Experiment, manifest};
use crate::error::Result;
use crate::store::Folder;
use serde_json::{Map, Value};
use std::sync::Arc;

type Row = Map<String, Value>;

/// What there is of each cell.
pub struct Before {
    folder: Arc<Folder>,
    cells: Vec<Found>,
}

impl Before {
    /// Takes the folder that is gone on in, says what is skipped and what is measured again, and puts aside
    /// what there is of that. `None` where a new folder is begun. Fails, before anything has changed, when
    /// the folder was to hold other cells. `files`: what each has of its own in the folder.
    pub fn of(
        experiment: &Experiment,
        plans: &[CellPlan],
        files: Vec<Option<String>>,
    ) -> Result<Option<Before>> {
        let Some(resumed) = &experiment.resumed else { return Ok(None) };
        let parameters = experiment.findings().params.iter().cloned().collect();
        let cells = resumed.cells(plans, &experiment.secrets.scrub_map(parameters))?;
        let (lang, console) = (experiment.console.words(), &experiment.console);
        let place = resumed.folder.path().display().to_string();
        let (mut skipped, mut again) = (Vec::new(), Vec::new());
        for ((plan, found), file) in plans.iter().zip(&cells).zip(files) {
            match found {
                Found::New => {}
                Found::Whole(_) => skipped.push(plan.name.clone()),
                Found::CutOff(row, why) => {
                    let aside = resumed.put_aside(row, lang.cut_off(why), file)?;
                    let rows = row.get("rows_written").and_then(Value::as_u64).unwrap_or_default();
                    let told = lang.measured_again(&plan.name, why, rows, &aside.display().to_string());
                    console.mention(&told);
                    again.push(plan.name.clone());
                }
            }
        }
        console.mention(&lang.going_on(&place, &skipped, plans.len()));
        manifest::go_on(experiment, &resumed.folder, &skipped, &again)?;
        experiment.go_on(resumed.folder.clone());
        Ok(Some(Before { folder: resumed.folder.clone(), cells }))
    }

    /// The row of a cell that need not be measured again, and the folder that it is in.
    pub fn whole(&self, cell: usize) -> Option<(Arc<Folder>, &Row)> {
        match &self.cells[cell] {
            Found::Whole(row) => Some((self.folder.clone(), row)),
            _ => None,
        }
    }
}
