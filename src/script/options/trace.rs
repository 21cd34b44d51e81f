//! The options of `trace`.

use super::table::{OptionKind, OptionRow, Table, words};
use super::workload::{CANCEL, CLASS, MODELS, SAMPLING, SESSION_ID};
use crate::workload::read::TraceFormat;

pub static TRACE: Table = Table::new(
    "trace",
    &[
        OptionRow::new(
            "format",
            OptionKind::Word(formats),
            "whose columns it has; rampant: a results folder, whose requests are asked again",
            "\"mooncake\"",
        )
        .or_else("by its columns"),
        OptionRow::new(
            "columns",
            OptionKind::Map(&COLUMNS),
            "names of columns, where it has others than its format",
            "#{ at: \"when\", input: \"prompt_tokens\", output: \"reply_tokens\" }",
        ),
        OptionRow::new("unit", OptionKind::Word(|| words(&UNITS)), "of times that are numbers", "\"ms\"")
            .or_else("ms for mooncake, else s"),
        OptionRow::new(
            "block",
            OptionKind::Whole(1, 1 << 20),
            "tokens that one of its `hash_ids` stands for",
            "512",
        )
        .unit("tokens")
        .or_else("16 for vllm, else 512"),
        OptionRow::new(
            "from",
            OptionKind::Time,
            "only rows from this time on, after the first row",
            "\"10m\"",
        )
        .unit("s"),
        OptionRow::new(
            "to",
            OptionKind::TimeAbove0,
            "only rows before this time after the first row",
            "\"20m\"",
        )
        .unit("s"),
        OptionRow::new(
            "thin",
            OptionKind::Number(0.0, 1.0),
            "the share of rows that is kept, whole sessions where it has some",
            "0.25",
        )
        .or(|| 1.0.into()),
        OptionRow::new("scale_input", OptionKind::Above0, "factor of all prompt lengths", "0.5")
            .or(|| 1.0.into()),
        OptionRow::new("scale_output", OptionKind::Above0, "factor of all reply lengths", "0.5")
            .or(|| 1.0.into()),
        OptionRow::new("run", OptionKind::Text, "for rampant: which run of the folder", "\"run-1\"")
            .or_else("the only one"),
        CANCEL,
        SESSION_ID,
        CLASS,
        SAMPLING,
        MODELS,
    ],
);

pub static COLUMNS: Table = Table::new(
    "columns",
    &[
        OptionRow::new(
            "at",
            OptionKind::Text,
            "when the request came: a number, or a date with a time of day",
            "\"timestamp\"",
        ),
        OptionRow::new("input", OptionKind::Text, "tokens of the prompt", "\"input_length\""),
        OptionRow::new(
            "output",
            OptionKind::Text,
            "tokens of the reply; a row with 0 is left out",
            "\"output_length\"",
        ),
        OptionRow::new("class", OptionKind::Text, "a label by which results can be split", "\"kind\""),
        OptionRow::new("session", OptionKind::Text, "rows that are kept or left out together", "\"user\""),
        OptionRow::new(
            "hash_ids",
            OptionKind::Text,
            "a list of numbers, one for each block of the prompt: equal ones are equal text",
            "\"hash_ids\"",
        ),
    ],
);

/// Nanoseconds in one of them.
pub const UNITS: [(&str, i64); 4] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];

/// The format of a results folder.
pub const OWN: &str = "rampant";

fn formats() -> Vec<&'static str> {
    [words(&TraceFormat::NAMES), vec![OWN]].concat()
}
