//! The options of `compare`.

use rhai::Dynamic;

use super::slo::SLO;
use super::table::{OptionKind, OptionRow, Table, is_text};
use crate::script::fault::shown;
use crate::script::opts::number;

pub static COMPARE: Table = Table::new(
    "compare",
    &[
        OptionRow::new(
            "margin",
            OptionKind::Own("a share from 0 to 1 such as \"5%\" or 0.05", |value| margin(value).map(drop)),
            "a smaller difference is none",
            "\"5%\"",
        )
        .or_else("3 % where requests are paired, else 5 %"),
        OptionRow::new(
            "metrics",
            OptionKind::ListOf("names such as \"ttft.p99\"", is_text),
            "what is compared",
            "[\"ttft.p99\", \"e2el.mean\"]",
        )
        .or_else("the latencies, rates and shares that everybody asks for"),
        OptionRow::new(
            "slo",
            OptionKind::Made("like slo(#{ ttft: \"400ms\" })", Some(&SLO)),
            "which requests of both sides are good, for goodput",
            "slo(#{ ttft: \"400ms\" })",
        )
        .or_else("that of the runs, where all have the same"),
        OptionRow::new(
            "restarted",
            OptionKind::Truth,
            "each run was made on a server that was started for it: no turns are needed",
            "true",
        )
        .or(|| false.into()),
        OptionRow::new(
            "history",
            OptionKind::Truth,
            "the first side is the past: its last ten runs, and how much they varied",
            "true",
        )
        .or(|| false.into()),
    ],
);

/// `"5%"`, `"0.05"` or a number, as a share.
pub fn margin(value: &Dynamic) -> Result<f64, String> {
    let refused = || format!("must be a share from 0 to 1 such as \"5%\" or 0.05, got {}", shown(value));
    let share = match value.clone().into_immutable_string() {
        Ok(text) => match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim_end().parse::<f64>().ok().map(|percent| percent / 100.0),
            None => text.trim().parse().ok(),
        },
        Err(_) => number(value),
    };
    share.filter(|share| (0.0..1.0).contains(share)).ok_or_else(refused)
}
