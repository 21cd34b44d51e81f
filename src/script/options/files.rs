//! The options of functions that read files and find results.

use super::table::{OptionKind, OptionRow, Table, is_text};

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
