//! The options of `param` and `preset`.

use super::table::{OptionKind, OptionRow, Table, is_text, words};

/// The type of one value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Int,
    Float,
    Bool,
    Text,
    /// Pairs of whole numbers above 0: `[[128, 64]]`, or `128x64,512x64`.
    Pairs,
    /// A JSON object.
    Map,
    /// An address, whose host the script may then reach.
    Url,
}

pub const KINDS: &[(&str, Type)] = &[
    ("int", Type::Int),
    ("float", Type::Float),
    ("bool", Type::Bool),
    ("string", Type::Text),
    ("pairs", Type::Pairs),
    ("map", Type::Map),
    ("url", Type::Url),
];

pub static PARAM: Table = Table::new("param", &[
    OptionRow::new("help", OptionKind::Text, "what it is, for `--help`", "\"requests per second\"").or(|| "".into()),
    OptionRow::new("unit", OptionKind::Text, "its unit, for `--help` and errors", "\"ms\"").or_else("none"),
    OptionRow::new("min", OptionKind::Number(f64::NEG_INFINITY, f64::INFINITY), "the least that it may be", "1").or_else("no limit"),
    OptionRow::new("max", OptionKind::Number(f64::NEG_INFINITY, f64::INFINITY), "the most that it may be", "64").or_else("no limit"),
    OptionRow::new("choices", OptionKind::List, "the only values that it may have", "[\"a\", \"b\"]").or_else("any"),
    OptionRow::new(
        "type",
        OptionKind::Word(|| words(KINDS)),
        "its type: \"pairs\" such as 128x64,512x64; \"map\" from JSON; \"url\": an address, which the script may then \
         reach; with the default `()` the parameter is optional",
        "\"int\"",
    )
    .or_else("that of the default"),
    OptionRow::new("many", OptionKind::Truth, "it may be given several times; its value is a list", "true").or(|| false.into()),
    OptionRow::new("required", OptionKind::Truth, "it must be given", "true").or(|| false.into()),
    OptionRow::new("flag", OptionKind::Text, "what its flag is called", "\"max-users\"").or_else("its name"),
    OptionRow::new("also", OptionKind::ListOf("names", is_text), "further names of its flag", "[\"headers\"]").or_else("none"),
]);

pub static PRESET: Table = Table::new(
    "preset",
    &[OptionRow::new(
        "required",
        OptionKind::ListOf("names", is_text),
        "parameters that the file or the command line must give",
        "[\"model\"]",
    )
    .or_else("none")],
);
