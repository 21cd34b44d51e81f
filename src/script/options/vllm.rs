//! The options of `save_vllm`.

use rhai::{Array, Dynamic};

use super::table::{OptionKind, OptionRow, Table};
use crate::experiment::vllm::metrics as all_metrics;

pub static SAVE_VLLM: Table = Table::new(
    "save_vllm",
    &[
        OptionRow::new(
            "filename",
            OptionKind::Own("a plain file name", plain_name),
            "the file, in which `{run}` is the run's name",
            "\"{run}.json\"",
        )
        .or_else("as vLLM's benchmark names it"),
        OptionRow::new("dir", OptionKind::Text, "its folder", "\"results\"").or_else("the results folder"),
        OptionRow::new("detailed", OptionKind::Truth, "with the lists of every request", "true")
            .or(|| false.into()),
        OptionRow::new("append", OptionKind::Truth, "one object a line is added to the file", "true")
            .or(|| false.into()),
        OptionRow::new(
            "percentiles",
            OptionKind::Own("numbers from 0 to 100, as text by commas or as a list", |value| {
                percentiles(value).map(drop)
            }),
            "which percentiles",
            "\"50,99\"",
        )
        .or(|| "99".into()),
        OptionRow::new(
            "percentile_metrics",
            OptionKind::Own("ttft, tpot, itl, e2el, as text by commas or as a list", |value| {
                metrics(value).map(drop)
            }),
            "which metrics have percentiles",
            "\"ttft,itl\"",
        )
        .or(|| all_metrics().join(",").into()),
    ],
);

fn plain_name(value: &Dynamic) -> Result<(), String> {
    let Ok(name) = value.clone().into_string() else { return Err(OptionKind::Text.refusal(value)) };
    match name.contains(['/', '\\']) {
        true => {
            Err(format!("must be a plain file name, got {name:?}; `dir` (--result-dir) names the folder"))
        }
        false => Ok(()),
    }
}

/// The items of a text with commas, or of a list.
fn listed(value: &Dynamic) -> Option<Vec<String>> {
    if let Some(items) = value.read_lock::<Array>() {
        return Some(items.iter().map(ToString::to_string).collect());
    }
    let text = value.clone().into_string().ok()?;
    Some(text.split(',').map(|part| part.trim().to_string()).filter(|part| !part.is_empty()).collect())
}

/// Percentiles such as `"50,99"`. Fails with what they must be.
pub fn percentiles(value: &Dynamic) -> Result<Vec<f64>, String> {
    let items = listed(value).ok_or_else(|| OptionKind::Text.refusal(value))?;
    let read = |text: String| match text.parse::<f64>() {
        Ok(p) if (0.0..=100.0).contains(&p) => Ok(p),
        _ => Err(format!("must be numbers from 0 to 100, got {text:?}")),
    };
    items.into_iter().map(read).collect()
}

/// Metrics such as `"ttft,itl"`. Fails with what they may be.
pub fn metrics(value: &Dynamic) -> Result<Vec<String>, String> {
    let items = listed(value).ok_or_else(|| OptionKind::Text.refusal(value))?;
    match items.iter().find(|metric| !all_metrics().contains(&metric.as_str())) {
        Some(unknown) => Err(format!("may name {}, got {unknown:?}", all_metrics().join(", "))),
        None => Ok(items),
    }
}
