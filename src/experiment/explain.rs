//! What `rampant explain` says.

use crate::error::{Error, Result};
use crate::lang::Lang;
use crate::stats::explain::Explained;
use crate::stats::names::Metric;
use unicode_width::UnicodeWidthStr;

/// A metric under any of its names: its definition, and what other tools make of it.
pub fn metric(name: &str, lang: Lang) -> Result<String> {
    let found = Explained::parse(name);
    found
        .map(|found| found.text(lang))
        .map_err(|told| Error::usage(told).hint("`rampant explain` lists all metrics"))
}

/// All metrics, a line each.
pub fn list(lang: Lang) -> String {
    let wide = Metric::all().map(|metric| metric.name().width()).max().unwrap_or_default();
    let line = |metric: Metric| format!("{:<wide$}  {}\n", metric.name(), metric.says(lang));
    Metric::all().map(line).collect()
}
