//! `page`: the lists of columns in the documentation.

use super::column::{self, Column, IDENTITY};
use super::{own_metrics, runs, schema, series, statistics};

/// The tables of a results folder: each has the columns that identify a run, then its own.
const TABLES: [(&str, &[Column]); 5] = [
    ("requests", schema::REQUEST),
    ("runs", runs::COLUMNS),
    ("statistics", statistics::COLUMNS),
    ("series", series::COLUMNS),
    ("metrics", own_metrics::COLUMNS),
];

/// The name of each table with the list of its columns, in Markdown.
pub fn pages() -> impl Iterator<Item = (&'static str, String)> {
    TABLES.iter().map(|(name, columns)| (*name, column::page(&[IDENTITY, columns])))
}

#[cfg(test)]
mod tests {
    use super::super::column::Kind::*;
    use super::*;

    #[test]
    fn every_column_of_every_table_says_what_it_is_and_every_number_its_unit() {
        for column in TABLES.iter().flat_map(|(_, columns)| *columns).chain(IDENTITY) {
            let Column { name, kind, unit, says, .. } = *column;
            assert!(!says.is_empty(), "{name} says nothing");
            let ending = |ending: &str| name.ends_with(ending) || name.contains(&format!("{ending}_p"));
            for (end, of) in
                [("_ns", "ns"), ("_us", "µs"), ("_ms", "ms"), ("_tokens", "tokens"), ("_bytes", "bytes")]
            {
                assert!(!ending(end) || unit == of, "{name} in {unit:?}");
            }
            let bare = matches!(kind, Word | Text | Bool | Instant | Map);
            assert!(!bare || unit.is_empty(), "{name} in {unit:?}");
        }
    }
}
