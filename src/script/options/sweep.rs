//! The options of `sweep`.

use super::table::{self, OptionKind, OptionRow, Table};

/// What a failing cell means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OnError {
    Stop,
    Continue,
}

pub const ON_ERROR: [(&str, OnError); 2] = [("stop", OnError::Stop), ("continue", OnError::Continue)];

pub static SWEEP: Table = Table::new(
    "sweep",
    &[
        OptionRow::new("cooldown", OptionKind::Time, "pause between two runs", "\"10s\"")
            .unit("s")
            .or_else("none"),
        OptionRow::new(
            "on_error",
            OptionKind::Word(|| table::words(&ON_ERROR)),
            "what follows on a run that fails: the end, or the next cell (the exit code is then 1)",
            "\"continue\"",
        )
        .or(|| "stop".into()),
        OptionRow::new(
            "each",
            OptionKind::Function("|run| print(run.name)", None),
            "called after each run",
            "|run| print(run.name)",
        ),
        OptionRow::new(
            "stop_when",
            OptionKind::Function("|run| run[\"errors.share\"] > 0.1", None),
            "called after each run; true ends the sweep",
            "|run| run[\"errors.share\"] > 0.1",
        ),
    ],
);
