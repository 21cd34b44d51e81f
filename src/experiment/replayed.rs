//! `replayed`: the requests of an earlier run as a trace.

use crate::error::{Error, Result};
use crate::record::Fields;
use crate::store::{reader, runs};
use crate::workload::{TraceBuilder, TraceRow};
use serde_json::Value;
use std::path::Path;

/// Hands over every request that a run of the folder planned, also those that failed: prompts as long as
/// they were, replies as long as they were or were asked to be. Fails where the folder has several runs
/// and none is named.
pub fn replayed(folder: &Path, run: Option<&str>, builder: &mut TraceBuilder) -> Result<()> {
    let name = folder.display();
    let rows = runs::rows(folder)?;
    let names: Vec<&str> = rows.iter().filter_map(|row| row.get("run").and_then(Value::as_str)).collect();
    let run = match (run, &names[..]) {
        (Some(run), _) if names.contains(&run) => run,
        (Some(run), _) => {
            let told = format!("cannot use \"{name}\": it has no run {run:?}");
            return Err(Error::usage(told).hint(format!("its runs are {}", names.join(", "))));
        }
        (None, [run]) => run,
        (None, []) => return Err(Error::usage(format!("cannot use \"{name}\": it has no finished run"))),
        (None, _) => {
            let told = format!("cannot use \"{name}\": it has {} runs; name one with `run`", names.len());
            return Err(Error::usage(told).hint(format!("its runs are {}", names.join(", "))));
        }
    };
    let mut wrong = None;
    let fields = Fields::TIMES.with(Fields::COUNTS);
    reader::scan(folder, Some(run), fields, |_, record| {
        let row = TraceRow {
            at: record.timeline.planned,
            input: record.asked_input.or(record.input_tokens()).unwrap_or(0),
            output: record.usage.output.filter(|_| record.success()).unwrap_or(record.asked_output),
            class: Some(&*record.class).filter(|class| !class.is_empty()),
            session: None,
            blocks: &[],
        };
        if let Err(told) = builder.push(row) {
            wrong.get_or_insert(told);
        }
    })?;
    wrong.map_or(Ok(()), |told| Err(Error::usage(format!("cannot use \"{name}\": {told}"))))
}
