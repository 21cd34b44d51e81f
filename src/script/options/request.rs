//! The options of `request`.

use super::table::{OptionKind, OptionRow, Table, is_map};
use super::workload::SAMPLED;

pub static REQUEST: Table = Table::new(
    "request",
    &[
        OptionRow::new("prompt", OptionKind::Text, "what is asked", "\"Say hello.\"").or_else("`messages`"),
        OptionRow::new(
            "messages",
            OptionKind::ListOf("#{ role: \"user\", content: \"...\" }", is_map),
            "what is asked, as a chat",
            "[#{ role: \"user\", content: \"Say hello.\" }]",
        )
        .or_else("`prompt`"),
        OptionRow::new("max_tokens", OptionKind::Whole(0, i64::MAX), "most tokens of the reply", "16")
            .unit("tokens")
            .or(|| 128_i64.into()),
        OptionRow::new(
            "sampling",
            OptionKind::Map(&SAMPLED),
            "fields of the request's body",
            "#{ temperature: 0.7 }",
        ),
    ],
);
