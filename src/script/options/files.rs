//! The options of functions that read files and find results.

use super::table::{self, OptionKind, OptionRow, Table, is_text};
use crate::stats::view::View;
use crate::store::table::OwnKind;
use rhai::{Dynamic, Map};

pub static KNOWN_KEYS: Table = Table::new(
    "known_keys",
    &[
        keys("required", "keys that must be there", "[\"model\"]"),
        keys("optional", "keys that may be there", "[\"seed\"]"),
        keys("pairs", "keys whose values must be lists of pairs of whole numbers", "[\"lengths\"]"),
        keys("maps", "keys whose values must be maps", "[\"headers\"]"),
        keys("numbers", "keys whose values must be numbers, or `inf`", "[\"rate\"]"),
        keys("counts", "keys whose values must be whole numbers from 1 to 10000", "[\"repeats\"]"),
        keys("texts", "keys whose values must be text", "[\"base_url\"]"),
    ],
);

const fn keys(name: &'static str, help: &'static str, example: &'static str) -> OptionRow {
    OptionRow::new(name, OptionKind::ListOf("names", is_text), help, example).or_else("none")
}

pub static RESULTS: Table = Table::new(
    "results",
    &[
        OptionRow::new("model", OptionKind::Text, "those of this model alone", "\"llama\"").or_else("any"),
        OptionRow::new("newest", OptionKind::Whole(0, i64::MAX), "how many at most", "5")
            .unit("folders")
            .or_else("all"),
    ],
);

const COLUMNS: &str = "a map from columns to \"int\", \"float\", \"text\" or \"bool\"";

pub static SAVE_TABLE: Table = Table::new(
    "save_table",
    &[OptionRow::new(
        "columns",
        OptionKind::Own(COLUMNS, |value| match column_kinds(value) {
            Some(_) => Ok(()),
            None => Err(OptionKind::Own(COLUMNS, |_| Ok(())).refusal(value)),
        }),
        "types of columns, which are in the file whatever the rows have",
        "#{ users: \"int\", note: \"text\" }",
    )
    .or_else("by what is in them")],
);

/// The types of columns, where each has one.
pub fn column_kinds(value: &Dynamic) -> Option<Vec<(String, OwnKind)>> {
    let map = value.clone().try_cast::<Map>()?;
    let kind = |value: Dynamic| match value.into_string().ok()?.as_str() {
        "int" => Some(OwnKind::Whole),
        "float" => Some(OwnKind::Real),
        "bool" => Some(OwnKind::Truth),
        "text" => Some(OwnKind::Text),
        _ => None,
    };
    map.into_iter().map(|(name, value)| Some((name.to_string(), kind(value)?))).collect()
}

pub static FOLDERS: Table = Table::new(
    "folders",
    &[
        keys("names", "folders by name, path or pattern", "[\"llama_*\"]"),
        OptionRow::new("all", OptionKind::Truth, "every folder with runs", "true").or(|| false.into()),
        OptionRow::new("last", OptionKind::Whole(0, i64::MAX), "the newest so many; 0: the newest", "5")
            .unit("folders")
            .or(|| 0_i64.into()),
        OptionRow::new(
            "model",
            OptionKind::Text,
            "those of this model alone, by its whole or its short name",
            "\"llama\"",
        )
        .or(|| "".into()),
        keys("tags", "look into all folders for runs with these tags, KEY=VALUE", "[\"tp=8\"]"),
    ],
);

pub static AGGREGATE: Table = Table::new(
    "aggregate",
    &[
        OptionRow::new("model", OptionKind::Text, "runs of this model alone", "\"llama\"").or(|| "".into()),
        keys("tags", "runs with these tags alone, KEY=VALUE", "[\"tp=8\"]"),
        OptionRow::new(
            "view",
            OptionKind::Word(|| table::words(&View::ALL)),
            "whose definitions the numbers follow; made again from the rows of requests",
            "\"vllm\"",
        )
        .or(|| "rampant".into()),
        OptionRow::new(
            "repeats",
            OptionKind::Word(|| table::words(&REPEATS)),
            "\"fold\": runs of the same cell are one row of all their requests, with the spread between them",
            "\"fold\"",
        )
        .or(|| "each".into()),
    ],
);

pub static MATCHING: Table = Table::new(
    "matching",
    &[
        OptionRow::new(
            "model",
            OptionKind::Text,
            "rows of this model alone, by its whole or its short name",
            "\"llama\"",
        )
        .or(|| "".into()),
        keys("tags", "rows with these values alone, KEY=VALUE", "[\"tp=8\"]"),
        keys("of", "the files that they come from, for errors", "[\"night.csv\"]"),
    ],
);

/// Whether repeats are folded.
pub const REPEATS: [(&str, bool); 2] = [("each", false), ("fold", true)];
