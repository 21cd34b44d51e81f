//! The options of workloads: `prompts`, `chat` and `dataset`.

use rhai::{Dynamic, Map};

use super::table::{self, OptionKind, OptionRow, Table, number};
use crate::workload::read::DataFormat;
use crate::workload::{Carry, Length, RowOrder, TOKENS_MAX, Think};

pub static PROMPTS: Table = Table::new(
    "prompts",
    &[
        OptionRow::new("input", LENGTH, "how long prompts are", "512").unit("tokens").needed(),
        OptionRow::new("output", LENGTH, "how long replies are", "128").unit("tokens").needed(),
        OptionRow::new(
            "prefix",
            OptionKind::Map(&PREFIX),
            "text in front that prompts share",
            "#{ tokens: 200, groups: 4 }",
        ),
        CLASS,
        SAMPLING,
        MODELS,
    ],
);

pub static CHAT: Table = Table::new(
    "chat",
    &[
        OptionRow::new("turns", TURNS, "how many requests a conversation has", "uniform(2, 8)").needed(),
        OptionRow::new("user", LENGTH, "how long a question is", "60").unit("tokens").needed(),
        OptionRow::new("reply", LENGTH, "how long replies are", "180").unit("tokens").needed(),
        OptionRow::new(
            "think",
            OptionKind::Own(THINK, |value| think(value).map(drop)),
            "from the end of a reply to the next question; lognormal(5.0, 0.6) and its like are read in seconds",
            "\"2s\"",
        )
        .unit("s")
        .or_else("none"),
        OptionRow::new(
            "system",
            OptionKind::Own(SYSTEM, |value| system(value).map(drop)),
            "tokens of a system prompt that all conversations share, or the conversations of a group",
            "#{ tokens: 600, groups: 4 }",
        )
        .unit("tokens")
        .or_else("none"),
        OptionRow::new(
            "carry",
            OptionKind::Word(|| table::words(&CARRY)),
            "what later turns carry as the server's part of the history: \"reply\", its own words, or \"synthetic\", \
             random words of the length that was asked for",
            "\"synthetic\"",
        )
        .or(|| "reply".into()),
        CLASS,
        SAMPLING,
        MODELS,
    ],
);

pub const CARRY: [(&str, Carry); 2] = [("reply", Carry::Reply), ("synthetic", Carry::Synthetic)];

const TURNS: OptionKind =
    OptionKind::Own("a number or a length such as uniform(2, 8)", |value| length(value).map(drop));

const THINK: &str = "a duration such as \"2s\", or a length such as lognormal(5.0, 0.6), read in seconds";

const SYSTEM: &str = "a number of tokens, or a map such as #{ tokens: 600, groups: 4 }";

/// A time, a number of seconds, or what `uniform` and its like return.
pub fn think(value: &Dynamic) -> Result<Think, String> {
    match value.clone().try_cast::<Length>() {
        Some(seconds) => Ok(Think::Drawn(seconds)),
        None => table::time(value)
            .map(Think::For)
            .ok_or_else(|| OptionKind::Own(THINK, |_| Ok(())).refusal(value)),
    }
}

/// A number of tokens, or a map as that of `prefix`.
pub fn system(value: &Dynamic) -> Result<Option<Map>, String> {
    match value.clone().try_cast::<Map>() {
        Some(map) => Ok(Some(map)),
        None => length(value).map(|_| None).map_err(|_| OptionKind::Own(SYSTEM, |_| Ok(())).refusal(value)),
    }
}

pub static DATASET: Table = Table::new("dataset", &[
    OptionRow::new(
        "format",
        OptionKind::Word(formats),
        "what the file holds; \"custom\": as vLLM calls JSON lines; \"audio\": a folder of WAV files for the backend \
         openai-audio",
        "\"jsonl\"",
    )
    .or_else("by the file's ending"),
    OptionRow::new("output", OptionKind::Whole(0, i64::MAX), "tokens of a reply, instead of the recorded ones", "128")
        .unit("tokens")
        .or_else("those of the file; 256 where it has none"),
    OptionRow::new("order", OptionKind::Word(|| table::words(&ORDER)), "in which its prompts are asked", "\"shuffle\"")
        .or(|| "sequential".into()),
    OptionRow::new("prompt_column", OptionKind::Text, "column of prompts or messages", "\"question\"").or_else("found by its name"),
    OptionRow::new("reply_column", OptionKind::Text, "column of replies, or of their tokens", "\"answer\"")
        .or_else("found by its name"),
    OptionRow::new("strict", OptionKind::Truth, "an entry that asks nothing is an error, and not left out", "true")
        .or(|| false.into()),
    OptionRow::new("split", OptionKind::Text, "for hf: which split", "\"test\"").or_else("train"),
    OptionRow::new("subset", OptionKind::Text, "for hf: which subset", "\"en\"").or_else("the only one"),
    OptionRow::new("input", OptionKind::Whole(0, i64::MAX), "for sonnet: tokens of a prompt", "512").unit("tokens").or(|| 550_i64.into()),
    OptionRow::new("prefix", OptionKind::Whole(0, i64::MAX), "for sonnet: tokens that prompts share in front", "100")
        .unit("tokens")
        .or(|| 200_i64.into()),
    OptionRow::new("seconds", OptionKind::Time, "for audio: how long a file plays whose header does not say", "\"12.5s\"").unit("s"),
    CLASS,
    SAMPLING,
    MODELS,
]);

pub const ORDER: [(&str, RowOrder); 2] =
    [("sequential", RowOrder::Sequential), ("shuffle", RowOrder::Shuffled)];

/// What a data set may be called.
fn formats() -> Vec<&'static str> {
    [table::words(&DataFormat::NAMES), vec!["sonnet", "audio", "custom", "auto"]].concat()
}

pub static PREFIX: Table = Table::new(
    "prefix",
    &[
        OptionRow::new("tokens", OptionKind::Whole(0, i64::MAX), "its length", "200").unit("tokens").needed(),
        OptionRow::new("groups", OptionKind::Whole(0, i64::MAX), "how many different ones there are", "4")
            .or(|| 1_i64.into()),
    ],
);

pub(super) const CLASS: OptionRow =
    OptionRow::new("class", OptionKind::Text, "a label by which results can be split", "\"chat\"")
        .or_else("none");

pub(super) const SAMPLING: OptionRow = OptionRow::new(
    "sampling",
    OptionKind::Map(&SAMPLED),
    "fields of the request's body",
    "#{ temperature: 0.7 }",
);

pub static SAMPLED: Table = Table::free("sampling");

pub(super) const MODELS: OptionRow = OptionRow::new(
    "models",
    OptionKind::ListOf("names", table::is_text),
    "names of models, of which each request takes one at random",
    "[\"adapter-1\", \"adapter-2\"]",
)
.or_else("the target's");

const LENGTH: OptionKind =
    OptionKind::Own("a number of tokens or a length such as uniform(100, 200)", |value| {
        length(value).map(drop)
    });

/// A number, or what `uniform` and its like return. Fails with what it must be.
pub fn length(value: &Dynamic) -> Result<Length, String> {
    if let Some(length) = value.clone().try_cast::<Length>() {
        return Ok(length);
    }
    let must = |wanted: &'static str| OptionKind::Own(wanted, |_| Ok(())).refusal(value);
    match number(value) {
        Some(n) if n.fract() == 0.0 && (1.0..=f64::from(TOKENS_MAX)).contains(&n) => {
            Ok(Length::Fixed(n as u32))
        }
        Some(n) if n > 1.0 && n.fract() == 0.0 => {
            Err(format!("must be at most {TOKENS_MAX} tokens, got {n}"))
        }
        Some(_) => Err(must("a whole number of at least 1 token")),
        None => Err(must("a number of tokens or a length such as uniform(100, 200)")),
    }
}
