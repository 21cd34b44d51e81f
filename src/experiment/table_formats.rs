//! `TableFormat`: as what the rows of `aggregate` are written.

use super::aggregate::is_end_of_interval;
use crate::error::Result;
use crate::lang::Lang;
use crate::stats::csv;
use crate::store::table::{self, OwnColumn, OwnKind};
use serde_json::{Map, Value};

type Row = Map<String, Value>;

/// What a file of rows can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TableFormat {
    /// With English and Chinese headers, without intervals.
    #[default]
    Csv,
    /// One header, and the ends of the intervals beside their values.
    PlainCsv,
    Parquet,
    Json,
    /// A table of the columns that one reads first.
    Markdown,
}

impl TableFormat {
    pub const ALL: [(&'static str, TableFormat); 5] = [
        ("csv", TableFormat::Csv),
        ("plain-csv", TableFormat::PlainCsv),
        ("parquet", TableFormat::Parquet),
        ("json", TableFormat::Json),
        ("markdown", TableFormat::Markdown),
    ];

    pub fn ending(self) -> &'static str {
        match self {
            TableFormat::Csv | TableFormat::PlainCsv => "csv",
            TableFormat::Parquet => "parquet",
            TableFormat::Json => "json",
            TableFormat::Markdown => "md",
        }
    }

    pub fn bytes(self, rows: &[Row], lang: Lang) -> Result<Vec<u8>> {
        match self {
            TableFormat::Csv => {
                let mut rows = rows.to_vec();
                rows.iter_mut().for_each(|row| row.retain(|key, _| !is_end_of_interval(key)));
                Ok(csv::write(&rows))
            }
            TableFormat::PlainCsv => Ok(csv::write_plain(rows)),
            TableFormat::Parquet => {
                table::to_parquet(&columns(rows), &rows.iter().map(typed).collect::<Vec<_>>(), &[])
            }
            TableFormat::Json => {
                let mut text = serde_json::to_vec_pretty(rows).expect("maps of JSON values are JSON");
                text.push(b'\n');
                Ok(text)
            }
            TableFormat::Markdown => Ok(markdown(rows, lang).into_bytes()),
        }
    }
}

/// The columns of the rows. The type of each follows from its name: `request_rate` is a number, null without a
/// limit, and labels are text.
fn columns(rows: &[Row]) -> Vec<OwnColumn> {
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(Row::keys) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let column = |name: &str| OwnColumn {
        name: name.to_string(),
        kind: kind(name),
        unit: unit(name).to_string(),
        says: if is_known(name) { "as in the aggregated CSV" } else { "a label of the run" }.to_string(),
    };
    names.into_iter().map(column).collect()
}

fn is_known(key: &str) -> bool {
    csv::HEADER.iter().chain(&csv::LAST).any(|(name, _)| *name == key) || kind(key) != OwnKind::Text
}

fn unit(key: &str) -> &'static str {
    match spread_of(key) {
        "duration" => "s",
        key if key.ends_with("_ms") => "ms",
        key if key.ends_with("_throughput") || ["request_rate", "request_goodput"].contains(&key) => "1/s",
        key if key.ends_with("_tokens") => "tokens",
        _ => "",
    }
}

fn kind(key: &str) -> OwnKind {
    let whole =
        ["num_prompts", "max_concurrency", "completed", "failed", "input_len", "output_len", "repeats"];
    match key {
        key if is_number(key) => OwnKind::Real,
        key if whole.contains(&key) => OwnKind::Whole,
        key if key.starts_with("total_") && key.ends_with("_tokens") => OwnKind::Whole,
        _ => OwnKind::Text,
    }
}

/// What is no value of its column's type is null: a rate without a limit is `inf` in the CSV.
fn typed(row: &Row) -> Row {
    let value = |key: &str, value: &Value| match kind(key) {
        OwnKind::Real => value.as_f64().into(),
        OwnKind::Whole => value.as_f64().map(|number| number as i64).into(),
        OwnKind::Truth | OwnKind::Text => value.clone(),
    };
    row.iter().map(|(key, of)| (key.clone(), value(key, of))).collect()
}

/// The column of which this one is the spread or an end of the interval, or itself.
fn spread_of(key: &str) -> &str {
    let endings = ["_min", "_max", "_std_between", "_std_within", "_low", "_high"];
    endings.iter().find_map(|ending| key.strip_suffix(ending)).unwrap_or(key)
}

/// A column of numbers with a fraction.
fn is_number(key: &str) -> bool {
    let key = spread_of(key);
    [
        "request_rate",
        "burstiness",
        "duration",
        "request_goodput",
        "prompt_tokens",
        "completion_tokens",
        "rtfx",
    ]
    .contains(&key)
        || key.ends_with("_ms")
        || key.ends_with("_throughput")
}

/// The columns of the table, each with its decimals.
const SHOWN: [(&str, usize); 15] = [
    ("date", 0),
    ("model_id", 0),
    ("filename", 0),
    ("max_concurrency", 0),
    ("request_rate", 2),
    ("completed", 0),
    ("failed", 0),
    ("request_throughput", 3),
    ("output_throughput", 1),
    ("mean_ttft_ms", 2),
    ("p99_ttft_ms", 2),
    ("mean_tpot_ms", 2),
    ("mean_itl_ms", 2),
    ("mean_e2el_ms", 1),
    ("repeats", 0),
];

fn markdown(rows: &[Row], lang: Lang) -> String {
    let there = |key: &str| rows.iter().any(|row| row.get(key).is_some_and(|value| !value.is_null()));
    let last = csv::LAST.iter().map(|(key, _)| (*key, 0)).chain([("view", 0)]);
    let columns: Vec<(&str, usize)> =
        SHOWN.into_iter().chain(last).filter(|(key, _)| there(key) || *key == "verdict").collect();
    let head = |key: &str| {
        let known = csv::HEADER.iter().chain(&csv::LAST).find(|(english, _)| *english == key);
        known.map_or(key, |(english, chinese)| lang.pick(english, chinese)).to_string()
    };
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(columns.iter().map(|(key, _)| head(key)).collect());
    let rule = |(key, _): &(&str, usize)| if is_text(key) { "---" } else { "---:" }.to_string();
    text += &line(columns.iter().map(rule).collect());
    for row in rows {
        text += &line(columns.iter().map(|(key, decimals)| with_interval(row, key, *decimals)).collect());
    }
    text
}

fn is_text(key: &str) -> bool {
    ["date", "model_id", "filename", "verdict", "marks", "view"].contains(&key)
}

/// A value and its interval, where it has one: `12.35 [11.90 .. 12.80]`.
fn with_interval(row: &Row, key: &str, decimals: usize) -> String {
    let value = shown(row.get(key), decimals);
    let ends = ["low", "high"].map(|end| row.get(&format!("{key}_{end}")).filter(|value| value.is_number()));
    match ends {
        [Some(low), Some(high)] => {
            format!("{value} [{} .. {}]", shown(Some(low), decimals), shown(Some(high), decimals))
        }
        _ => value,
    }
}

/// A value that belongs into a cell: no bar and no line break may leave it.
fn shown(value: Option<&Value>, decimals: usize) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.replace('|', "\\|").replace(['\n', '\r'], " "),
        Some(Value::Number(number)) => match number.as_f64() {
            Some(number) => format!("{number:.decimals$}"),
            None => number.to_string(),
        },
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows() -> Vec<Row> {
        let rows = json!([
            {"date": "d", "filename": "a|b", "request_rate": "inf", "mean_ttft_ms": 12.345, "tp": 8, "failed": 0,
             "verdict": "client_bound", "marks": "~p99_ttft_ms", "mean_ttft_ms_low": 11.9, "mean_ttft_ms_high": 12.8},
            {"date": "d", "filename": "c", "request_rate": 4, "mean_ttft_ms": null, "tp": "8", "failed": 2,
             "verdict": "valid", "marks": null},
        ]);
        rows.as_array().unwrap().iter().map(|row| row.as_object().unwrap().clone()).collect()
    }

    #[test]
    fn verdicts_and_marks_are_in_every_format() {
        for (name, format) in TableFormat::ALL {
            let bytes = format.bytes(&rows(), Lang::English).unwrap();
            assert!(bytes.windows(12).any(|part| part == b"client_bound"), "{name}");
            assert!(bytes.windows(12).any(|part| part == b"~p99_ttft_ms"), "{name}");
        }
    }

    #[test]
    fn intervals_are_in_every_format_but_the_bilingual_csv() {
        for (name, format) in TableFormat::ALL {
            let bytes = format.bytes(&rows(), Lang::English).unwrap();
            let named = bytes.windows(16).any(|part| part == b"mean_ttft_ms_low");
            let shown = bytes.windows(5).any(|part| part == b"11.90");
            assert_eq!(named || shown, format != TableFormat::Csv, "{name}");
        }
        let plain = String::from_utf8(TableFormat::PlainCsv.bytes(&rows(), Lang::English).unwrap()).unwrap();
        let header = plain.lines().next().unwrap();
        assert!(header.starts_with("date,") && !plain.contains("日期"), "{plain}");
        assert!(header.contains(",mean_ttft_ms,mean_ttft_ms_low,mean_ttft_ms_high,"), "{header}");
        assert!(header.ends_with(",verdict,marks"), "{header}");
    }

    #[test]
    fn a_markdown_table_has_one_line_a_row() {
        let text = markdown(&rows(), Lang::English);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0], "| date | filename | request_rate | failed | mean_ttft_ms | verdict | marks |");
        assert_eq!(
            lines[2],
            "| d | a\\|b | inf | 0 | 12.35 [11.90 .. 12.80] | client_bound | ~p99_ttft_ms |"
        );
        assert!(markdown(&rows(), Lang::Chinese).contains("结论"));
    }

    #[test]
    fn a_column_has_one_type_whatever_is_in_it() {
        let typed: Vec<Row> = rows().iter().map(typed).collect();
        assert_eq!((&typed[0]["request_rate"], &typed[1]["request_rate"]), (&Value::Null, &json!(4.0)));
        assert_eq!(typed[1]["failed"], json!(2));
        let mut none = rows();
        none.iter_mut().flat_map(|row| row.iter_mut()).for_each(|(_, value)| *value = Value::Null);
        assert_eq!(columns(&none), columns(&rows()));
        let kinds: Vec<OwnKind> = columns(&rows()).iter().map(|column| column.kind).collect();
        use OwnKind::{Real, Text, Whole};
        assert_eq!(kinds, [Text, Text, Real, Real, Text, Whole, Text, Text, Real, Real]);
    }
}
