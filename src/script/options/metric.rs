//! The options of `metric`.

use super::table::{self, OptionKind, OptionRow, Table};
use crate::stats::own::OwnMetricKind;

pub static METRIC: Table = Table::new(
    "metric",
    &[
        OptionRow::new(
            "kind",
            OptionKind::Word(|| table::words(&OwnMetricKind::NAMES)),
            "what becomes of its values: they are added up, or make a distribution, or say how often something holds",
            "\"share\"",
        )
        .needed(),
        OptionRow::new("unit", OptionKind::Text, "of a value", "\"ms\"").or_else("none"),
        OptionRow::new("help", OptionKind::Text, "what it is, in a sentence", "\"replies in bad English\""),
    ],
);
