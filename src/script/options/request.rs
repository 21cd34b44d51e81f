//! The options of `request`.

use super::table::{Kind, Row, Table, is_map};
use super::workload::SAMPLED;

pub static REQUEST: Table = Table::new(
    "request",
    &[
        Row::new("prompt", Kind::Text, "what is asked", "\"Say hello.\"").or_else("`messages`"),
        Row::new(
            "messages",
            Kind::ListOf("#{ role: \"user\", content: \"...\" }", is_map),
            "what is asked, as a chat",
            "[#{ role: \"user\", content: \"Say hello.\" }]",
        )
        .or_else("`prompt`"),
        Row::new("max_tokens", Kind::Whole(0, i64::MAX), "most tokens of the reply", "16")
            .unit("tokens")
            .or(|| 128_i64.into()),
        Row::new("sampling", Kind::Map(&SAMPLED), "fields of the request's body", "#{ temperature: 0.7 }"),
    ],
);
