//! The numbers of runs by the definitions of a tool, made again from the rows of requests.

use super::part::Part;
use crate::error::Result;
use crate::record::{Fields, Record};
use crate::stats::Fold;
use crate::stats::view::{View, ViewStats};
use crate::store::reader;
use std::path::Path;

/// Up to so many runs are read one by one, a long one on two threads; more in one pass over the folder.
const ONE_BY_ONE: usize = 4;

/// Hands over the numbers of each wanted run of a folder, one run in memory at a time, in the order of their
/// rows; the warnings are about what could not be read.
pub fn each_run(
    folder: &Path,
    wanted: &[&str],
    view: View,
    mut take: impl FnMut(&str, ViewStats),
) -> Result<Vec<String>> {
    let mut warnings: Vec<String> = Vec::new();
    if wanted.len() <= ONE_BY_ONE {
        for run in wanted {
            let (stats, told) = Part::default().fold(folder, run, ViewStats::new(view))?;
            warnings.extend(told.into_iter().filter(|one| !warnings.contains(one)).collect::<Vec<_>>());
            take(run, stats);
        }
        return Ok(warnings);
    }
    let mut open: Option<(String, ViewStats)> = None;
    let fields: Fields = ViewStats::new(view).fields();
    let each = |run: &str, record: &mut Record| {
        if open.as_ref().is_none_or(|(name, _)| name != run) {
            let next = (run.to_string(), ViewStats::new(view));
            if let Some((name, stats)) = open.replace(next)
                && wanted.contains(&name.as_str())
            {
                take(&name, stats);
            }
        }
        if let Some((_, stats)) = &mut open {
            stats.add(record);
        }
    };
    warnings.extend(reader::scan(folder, None, fields, each)?);
    if let Some((name, stats)) = open.filter(|(name, _)| wanted.contains(&name.as_str())) {
        take(&name, stats);
    }
    Ok(warnings)
}
