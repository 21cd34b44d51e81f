//! The options of workloads: `prompts`, `chat` and `dataset`.

use rhai::{Dynamic, Map};

use super::table::{self, OptionKind, OptionRow, Table, number};
use crate::script::duration;
use crate::workload::read::DataFormat;
use crate::workload::{CancelAfter, Carry, Length, RecordedCarry, RowOrder, TOKENS_MAX, Think};

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
        CANCEL,
        SESSION_ID,
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
        OptionRow::new(
            "next_turn",
            OptionKind::Function("|turn| if turn.output_tokens > 100 { \"Shorter, please.\" } else { () }", Some(&NEXT_TURN)),
            "what is asked after each reply, as text or as a map of the options below; `()` ends the conversation",
            "|turn| if turn.output_tokens > 100 { \"Shorter, please.\" } else { () }",
        )
        .or_else("questions of random words"),
        CANCEL,
        SESSION_ID,
        CLASS,
        SAMPLING,
        MODELS,
    ],
);

/// What `next_turn` returns.
pub static NEXT_TURN: Table = Table::new(
    "next_turn",
    &[
        OptionRow::new("user", OptionKind::Text, "what the user asks", "\"And then?\"")
            .or_else("random words, as many as `user` of the chat says"),
        OptionRow::new(
            "messages",
            OptionKind::ListOf("messages", table::is_map),
            "messages that come behind those before, instead of a question: the result of a tool, say",
            "[#{ role: \"tool\", tool_call_id: \"1\", content: \"21 degrees\" }]",
        ),
        OptionRow::new(
            "max_tokens",
            OptionKind::Whole(1, TOKENS_MAX as i64),
            "most tokens of the reply",
            "200",
        )
        .unit("tokens")
        .or_else("`reply` of the chat"),
        OptionRow::new("think", OptionKind::Time, "from the end of the reply to this question", "\"2s\"")
            .unit("s")
            .or_else("`think` of the chat"),
        OptionRow::new(
            "tools",
            OptionKind::ListOf("maps", table::is_map),
            "the field of that name in the body",
            "[#{ type: \"function\", function: #{ name: \"weather\" } }]",
        ),
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
    OptionRow::new(
        "turns",
        OptionKind::Word(|| table::words(&RECORDED_TURNS)),
        "of a recorded conversation: \"first\", one request, or \"all\", each recorded question in its turn",
        "\"all\"",
    )
    .or(|| "first".into()),
    OptionRow::new(
        "think",
        OptionKind::Own(THINK, |value| think(value).map(drop)),
        "for turns: \"all\": from the end of a reply to the next question",
        "\"2s\"",
    )
    .unit("s")
    .or_else("none"),
    OptionRow::new(
        "carry",
        OptionKind::Word(|| table::words(&RECORDED_CARRY)),
        "for turns: \"all\": what later turns carry as the server's part: \"recorded\", the replies of the file byte \
         for byte, or \"reply\", its own words",
        "\"reply\"",
    )
    .or(|| "recorded".into()),
    OptionRow::new("strict", OptionKind::Truth, "an entry that asks nothing is an error, and not left out", "true")
        .or(|| false.into()),
    OptionRow::new("split", OptionKind::Text, "for hf: which split", "\"test\"").or_else("train"),
    OptionRow::new("subset", OptionKind::Text, "for hf: which subset", "\"en\"").or_else("the only one"),
    OptionRow::new("input", OptionKind::Whole(0, i64::MAX), "for sonnet: tokens of a prompt", "512").unit("tokens").or(|| 550_i64.into()),
    OptionRow::new("prefix", OptionKind::Whole(0, i64::MAX), "for sonnet: tokens that prompts share in front", "100")
        .unit("tokens")
        .or(|| 200_i64.into()),
    OptionRow::new("seconds", OptionKind::Time, "for audio: how long a file plays whose header does not say", "\"12.5s\"").unit("s"),
    CANCEL,
    SESSION_ID,
    CLASS,
    SAMPLING,
    MODELS,
]);

pub const RECORDED_TURNS: [(&str, bool); 2] = [("first", false), ("all", true)];

pub const RECORDED_CARRY: [(&str, RecordedCarry); 2] =
    [("recorded", RecordedCarry::Recorded), ("reply", RecordedCarry::Reply)];

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

pub(super) const CANCEL: OptionRow = OptionRow::new(
    "cancel",
    OptionKind::Map(&CANCELLED),
    "users who hang up before the reply has ended: no errors, and an outcome of their own",
    "#{ share: 0.05, after: uniform(5, 50) }",
)
.or_else("nobody does");

pub(super) const SESSION_ID: OptionRow = OptionRow::new(
    "session_id",
    OptionKind::Map(&SESSION),
    "a name on all requests of a session, for gateways that route by it and servers that cache by it",
    "#{ header: \"x-session-id\", field: \"prompt_cache_key\" }",
)
.or_else("none");

static SESSION: Table = Table::new(
    "session_id",
    &[
        OptionRow::new("header", OptionKind::Text, "the header in which it stands", "\"x-session-id\""),
        OptionRow::new(
            "field",
            OptionKind::Text,
            "the field of the body in which it stands",
            "\"prompt_cache_key\"",
        ),
    ],
);

static CANCELLED: Table = Table::new(
    "cancel",
    &[
        OptionRow::new("share", OptionKind::Number(0.0, 1.0), "how many of the requests", "0.05").needed(),
        OptionRow::new(
            "after",
            OptionKind::Own(AFTER, |value| after(value).map(drop)),
            "when they hang up: after so many tokens (one for each event of the stream), a time after the send \
             (\"2s\"), or a time without a first token (\"first_token > 10s\")",
            "uniform(5, 50)",
        )
        .unit("tokens")
        .needed(),
    ],
);

const AFTER: &str =
    "a number of tokens or a length such as uniform(5, 50), a time such as \"2s\", or \"first_token > 10s\"";

/// When a user hangs up.
pub fn after(value: &Dynamic) -> Result<CancelAfter, String> {
    let refusal = || OptionKind::Own(AFTER, |_| Ok(())).refusal(value);
    let Ok(text) = value.clone().into_immutable_string() else {
        return length(value).map(CancelAfter::Tokens).map_err(|_| refusal());
    };
    let silence = text.trim().strip_prefix("first_token").map(|rest| rest.trim().strip_prefix('>'));
    let time = match silence {
        Some(rest) => duration::parse(rest.unwrap_or_default().trim()).map(CancelAfter::Silence),
        None => duration::parse(text.trim()).map(|time| CancelAfter::Time(Think::For(time))),
    };
    time.ok_or_else(refusal)
}

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
