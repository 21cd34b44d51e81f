//! The options of `slo`: limits by the names of metrics, and conditions of a whole run.

use rhai::{Array, Dynamic};

use super::table::{OptionKind, OptionRow, Rest, Table};
use crate::stats::{Condition, Limit};

pub static SLO: Table = Table {
    call: "slo",
    rows: &[
        OptionRow::new(
            "overall",
            OptionKind::Own("a list of conditions such as [\"errors.share < 1%\"]", |value| {
                conditions(value).map(drop)
            }),
            "what the run as a whole must hold",
            "[\"errors.share < 1%\"]",
        ),
        OptionRow::new(
            "from",
            OptionKind::Word(|| vec!["planned", "sent"]),
            "from when the latencies of an open loop are judged",
            "\"sent\"",
        )
        .or(|| "planned".into()),
    ],
    rest: Rest::Judged(|metric, limit| match limit {
        Some(limit) => self::limit(metric, limit).map(drop),
        // Whatever its value is, the metric must be one.
        None => Limit::parse(metric, "1ms").map(drop),
    }),
};

/// The conditions of a run. Fails with the first that is none.
pub fn conditions(value: &Dynamic) -> Result<Vec<Condition>, String> {
    let Some(list) = value.read_lock::<Array>() else { return Err("must be a list of conditions".into()) };
    let read = |condition: &Dynamic| match condition.clone().into_string() {
        Ok(text) => Condition::parse(&text).map_err(|what| format!("has a mistake: {what}")),
        Err(_) => Err("must be a list of conditions, each of them a string".into()),
    };
    list.iter().map(read).collect()
}

/// The limit of a metric. Fails when there is no such metric, or the limit is no time.
pub fn limit(metric: &str, limit: &Dynamic) -> Result<Limit, String> {
    let Ok(text) = limit.clone().into_string() else {
        return Err(format!("the limit of `{metric}` must be a string with a unit, such as \"400ms\""));
    };
    Limit::parse(metric, &text)
}
