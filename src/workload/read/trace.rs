//! A trace in a file, read row by row: JSON lines, tables, Parquet, also packed with gzip. A row that
//! cannot be read is an error that names file, line and column: a trace with a hole is another load.

use super::entry::{Cell, Entry, EntryFault, EntryField, EntryOrigin};
use super::table;
use crate::csv;
use crate::error::{Error, ErrorKind, Result, caught, nearest};
use crate::record::Nanos;
use crate::workload::{TraceBuilder, TraceRow};
use chrono::{DateTime, NaiveDateTime};
use flate2::read::MultiGzDecoder;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whose columns a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceFormat {
    Mooncake,
    /// vLLM's timed traces: Mooncake's columns, in seconds and blocks of 16.
    Vllm,
    Azure,
    BurstGpt,
}

/// Names of columns, in the file's own spelling or another case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceColumns {
    pub at: Option<String>,
    pub input: Option<String>,
    pub output: Option<String>,
    pub class: Option<String>,
    pub session: Option<String>,
    pub hash_ids: Option<String>,
}

/// How a file is to be read.
#[derive(Debug, Clone, Default)]
pub struct TraceHow {
    /// `None`: by the names of its columns.
    pub format: Option<TraceFormat>,
    /// In place of those that the format has.
    pub columns: TraceColumns,
    /// Nanoseconds in one unit of its times; `None`: as the format has them, else seconds.
    pub unit: Option<i64>,
    /// Set once the reading is to be given up.
    pub stop: Option<Arc<AtomicBool>>,
}

impl TraceFormat {
    pub const NAMES: [(&'static str, TraceFormat); 4] = [
        ("mooncake", TraceFormat::Mooncake),
        ("vllm", TraceFormat::Vllm),
        ("azure", TraceFormat::Azure),
        ("burstgpt", TraceFormat::BurstGpt),
    ];

    /// Tokens of a block that a hash stands for.
    pub fn block(self) -> u32 {
        match self {
            TraceFormat::Vllm => 16,
            _ => 512,
        }
    }

    /// Nanoseconds in one unit of a time that is a number.
    fn unit(self) -> i64 {
        match self {
            TraceFormat::Mooncake => 1_000_000,
            _ => 1_000_000_000,
        }
    }

    fn columns(self) -> TraceColumns {
        let [at, input, output] = match self {
            TraceFormat::Mooncake | TraceFormat::Vllm => ["timestamp", "input_length", "output_length"],
            TraceFormat::Azure => ["TIMESTAMP", "ContextTokens", "GeneratedTokens"],
            TraceFormat::BurstGpt => ["Timestamp", "Request tokens", "Response tokens"],
        };
        let some = |name: &str| Some(name.to_string());
        TraceColumns { at: some(at), input: some(input), output: some(output), ..TraceColumns::default() }
    }

    /// That of a file with these columns.
    fn of(names: &[&str]) -> Option<TraceFormat> {
        let has = |name: &str| names.iter().any(|one| one.eq_ignore_ascii_case(name));
        [TraceFormat::Mooncake, TraceFormat::Azure, TraceFormat::BurstGpt].into_iter().find(|format| {
            let columns = format.columns();
            [columns.at, columns.input, columns.output].iter().flatten().all(|name| has(name))
        })
    }
}

/// Most bytes of a line.
const LINE_MAX: u64 = 64 << 20;
/// Rows of a Parquet file that are decoded at a time.
const BATCH_ROWS: usize = 1_024;

/// Reads all rows of a file.
pub fn trace(path: &Path, how: &TraceHow, builder: &mut TraceBuilder) -> Result<()> {
    let name = path.display().to_string();
    let cannot = |what: &dyn Display| Error::usage(format!("cannot read \"{name}\": {what}"));
    let about = std::fs::metadata(path).map_err(|error| cannot(&error))?;
    if !about.is_file() {
        return Err(cannot(&if about.is_dir() { "it is a folder" } else { "it is no regular file" }));
    }
    let open = || File::open(path).map_err(|error| cannot(&error));
    let mut start = [0; 4];
    let read = open()?.read(&mut start).map_err(|error| cannot(&error))?;
    let mut reading = Reading { name: name.clone(), how, builder, columns: None, rows: 0 };
    match &start[..read] {
        b"PAR1" => {
            let file = open()?;
            // The library has asserts where a damaged file is wrong.
            caught(|| reading.parquet(file)).unwrap_or_else(|_| {
                Err(Error::usage(format!("cannot read \"{name}\": it is damaged")).hint("is the file whole?"))
            })
        }
        [0x1f, 0x8b, ..] => reading.text(&mut BufReader::new(MultiGzDecoder::new(BufReader::new(open()?)))),
        _ => reading.text(&mut BufReader::with_capacity(1 << 18, open()?)),
    }
}

/// A file that is being read.
struct Reading<'a> {
    name: String,
    how: &'a TraceHow,
    builder: &'a mut TraceBuilder,
    columns: Option<Columns>,
    rows: u64,
}

/// The columns that a file turned out to have.
struct Columns {
    at: String,
    input: String,
    output: String,
    class: Option<String>,
    session: Option<String>,
    hash_ids: Option<String>,
    unit: i64,
}

impl Reading<'_> {
    fn text(&mut self, lines: &mut dyn BufRead) -> Result<()> {
        let (mut bytes, mut number) = (Vec::new(), 0);
        let mut header: Option<(u8, Vec<String>)> = None;
        loop {
            bytes.clear();
            let read = Read::take(&mut *lines, LINE_MAX).read_until(b'\n', &mut bytes);
            let read = read.map_err(|error| {
                Error::usage(format!("cannot read \"{}\" line {}: {error}", self.name, number + 1))
            })?;
            if read == 0 {
                break;
            }
            number += 1;
            let line = self.line(&bytes, number)?;
            if line.trim().is_empty() {
                continue;
            }
            let origin = EntryOrigin { text: line, line: number, before: 0, unit: "line" };
            match &header {
                _ if line.trim_start().starts_with('{') => {
                    let entry = Entry::object(line.trim_end().trim_end_matches(','));
                    self.entry(&origin, entry)?;
                }
                None if line.trim_start().starts_with('[') => {
                    return Err(Error::usage(format!("cannot read \"{}\": it is one JSON list", self.name))
                        .hint("write one object a line: jq -c '.[]' FILE > FILE.jsonl"));
                }
                None => {
                    let separator = csv::separator(line);
                    let names = fields(line, separator).into_iter().map(|(text, _)| text.trim().to_string());
                    let names: Vec<String> = names.collect();
                    self.columns(&names.iter().map(String::as_str).collect::<Vec<_>>(), number)?;
                    header = Some((separator, names));
                }
                Some((separator, names)) => {
                    let found = fields(line, *separator);
                    let entry = match found.len() == names.len() {
                        true => Ok(record(names, found)),
                        false => Err(EntryFault::whole(format!(
                            "a record has {} fields, the header has {}",
                            found.len(),
                            names.len()
                        ))),
                    };
                    self.entry(&origin, entry)?;
                }
            }
        }
        match self.columns.is_some() {
            true => Ok(()),
            false => Err(Error::usage(format!("cannot use \"{}\": it holds no requests", self.name))),
        }
    }

    fn line<'b>(&self, bytes: &'b [u8], number: usize) -> Result<&'b str> {
        let place = format!("cannot read \"{}\" line {number}", self.name);
        if bytes.len() as u64 >= LINE_MAX {
            return Err(Error::usage(format!("{place}: it has more than {} MiB", LINE_MAX >> 20)));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let column = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).chars().count() + 1;
            Error::usage(format!("{place} column {column}: the text is not UTF-8"))
        })?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        Ok(if number == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text })
    }

    fn parquet(&mut self, file: File) -> Result<()> {
        let name = self.name.clone();
        table::each_row(&name, file, BATCH_ROWS, &mut |row, entry| match row {
            0 => {
                let names: Vec<&str> = entry.fields.iter().map(|field| &*field.name).collect();
                self.columns(&names, 0)
            }
            row => {
                let origin = EntryOrigin { text: "", line: row, before: 0, unit: "row" };
                self.entry(&origin, Ok(entry))
            }
        })
    }

    /// Finds the columns among these names, which stand on a line. Fails with what is missing.
    fn columns(&mut self, names: &[&str], line: usize) -> Result<()> {
        let place = if line > 0 { format!(" line {line}") } else { String::new() };
        let cannot = |what: &str| Error::usage(format!("cannot read \"{}\"{place}: {what}", self.name));
        let format = self.how.format.or_else(|| TraceFormat::of(names));
        let (usual, own) = (format.map(TraceFormat::columns).unwrap_or_default(), &self.how.columns);
        let listed = || format!("its columns are {}", names.join(", "));
        let there = |what: &str, own: &Option<String>, usual: &Option<String>| -> Result<String> {
            let Some(wanted) = own.clone().or_else(|| usual.clone()) else {
                return Err(cannot(&format!("nothing says which column is `{what}`")).hint(format!(
                    "columns: #{{ at: \"...\", input: \"...\", output: \"...\" }}, or format: \"mooncake\" and its like; {}",
                    listed()
                )));
            };
            match names.iter().any(|name| name.eq_ignore_ascii_case(&wanted)) {
                true => Ok(wanted),
                false => Err(cannot(&match nearest(&wanted, names.iter().copied()) {
                    Some(near) => format!("there is no column {wanted:?}; did you mean {near:?}?"),
                    None => format!("there is no column {wanted:?}"),
                })
                .hint(listed())),
            }
        };
        let maybe = |what: &str, own: &Option<String>, usual: &[&str]| match own {
            Some(_) => there(what, own, &None).map(Some),
            None => Ok(usual
                .iter()
                .find(|wanted| names.iter().any(|name| name.eq_ignore_ascii_case(wanted)))
                .map(ToString::to_string)),
        };
        let known = format.is_some();
        self.columns = Some(Columns {
            at: there("at", &own.at, &usual.at)?,
            input: there("input", &own.input, &usual.input)?,
            output: there("output", &own.output, &usual.output)?,
            class: maybe("class", &own.class, &[])?,
            session: maybe("session", &own.session, if known { &["Session ID", "SessionID"] } else { &[] })?,
            hash_ids: maybe("hash_ids", &own.hash_ids, if known { &["hash_ids"] } else { &[] })?,
            unit: self.how.unit.or(format.map(TraceFormat::unit)).unwrap_or(1_000_000_000),
        });
        Ok(())
    }

    fn entry(&mut self, origin: &EntryOrigin, entry: std::result::Result<Entry, EntryFault>) -> Result<()> {
        self.rows += 1;
        if self.rows.is_multiple_of(1_024)
            && self.how.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
        {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        let broken = |fault: EntryFault| {
            Error::usage(format!("cannot read \"{}\" {}: {}", self.name, origin.place(fault.at), fault.words))
        };
        let entry = entry.map_err(broken)?;
        if self.columns.is_none() {
            let names: Vec<&str> = entry.fields.iter().map(|field| &*field.name).collect();
            self.columns(&names, origin.line)?;
        }
        let Some(columns) = &self.columns else { return Ok(()) };
        let pushed = row(columns, &entry, |row| self.builder.push(row));
        pushed.map_err(|fault| {
            Error::usage(format!("cannot read \"{}\" {}: {}", self.name, origin.place(fault.at), fault.words))
        })
    }
}

/// Hands over what a row says. Fails with what is wrong with it.
fn row(
    columns: &Columns,
    entry: &Entry,
    take: impl FnOnce(TraceRow) -> std::result::Result<(), String>,
) -> std::result::Result<(), EntryFault> {
    let field = |name: &str| {
        entry.get(name).ok_or_else(|| EntryFault::whole(format!("there is nothing in the column {name:?}")))
    };
    let at = field(&columns.at)?;
    let words = |name: &Option<String>| name.as_deref().and_then(|name| entry.get(name)?.words());
    let (class, session) = (words(&columns.class), words(&columns.session));
    let blocks = match columns.hash_ids.as_deref().and_then(|name| entry.get(name)) {
        None => Vec::new(),
        Some(field) => blocks(field)?,
    };
    let row = TraceRow {
        at: instant(at, columns.unit)?,
        input: tokens(field(&columns.input)?)?,
        output: tokens(field(&columns.output)?)?,
        class: class.as_deref(),
        session: session.as_deref(),
        blocks: &blocks,
    };
    take(row).map_err(EntryFault::whole)
}

fn blocks(field: &EntryField) -> std::result::Result<Vec<i64>, EntryFault> {
    let list = field.structure().ok_or_else(|| field.fault("expected a list of whole numbers"))?;
    serde_json::from_str(&list).map_err(|_| field.fault("expected a list of whole numbers"))
}

/// A whole number of tokens; 0 of a request that failed.
fn tokens(field: &EntryField) -> std::result::Result<u32, EntryFault> {
    let zero = field.words().is_some_and(|text| text.trim().parse::<f64>() == Ok(0.0));
    if zero { Ok(0) } else { field.tokens() }
}

/// A number of units, or a date with a time of day. Numbers are read as they are written, without the
/// rounding of a floating-point one.
fn instant(field: &EntryField, unit: i64) -> std::result::Result<Nanos, EntryFault> {
    let text = field.words().unwrap_or_default();
    let text = text.trim();
    decimal(text, unit).or_else(|| date(text)).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        field.fault(format!("expected a time, as a number or as 2024-05-10 00:00:00.5, got {shown:?}"))
    })
}

fn decimal(text: &str, unit: i64) -> Option<Nanos> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = whole.strip_prefix('-').unwrap_or(whole);
    if unsigned.is_empty() || !digits(unsigned) || !digits(part) {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
        let nanos = number * unit as f64;
        return (nanos.abs() < 9e18).then_some(nanos.round() as Nanos);
    }
    let whole: i128 = whole.parse().ok()?;
    let part = &part[..part.len().min(18)];
    let scale = 10_i128.pow(part.len() as u32);
    let part: i128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let unit = i128::from(unit);
    let rest = (part * unit + scale / 2) / scale;
    let nanos = whole * unit + if text.starts_with('-') { -rest } else { rest };
    Nanos::try_from(nanos).ok()
}

fn date(text: &str) -> Option<Nanos> {
    let zoned = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%:z"))
        .map(|time| time.to_utc());
    let plain = || {
        ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
            .map(|time| time.and_utc())
    };
    zoned.ok().or_else(plain)?.timestamp_nanos_opt()
}

/// The fields of a line of a table, each with the byte at which it begins. Traces are numbers: a field in
/// quotes ends on its line.
fn fields(line: &str, separator: u8) -> Vec<(String, usize)> {
    let (mut fields, mut start, mut quoted) = (Vec::new(), 0, false);
    let mut add = |start: usize, end: usize| {
        let raw = &line[start..end];
        let inner = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
        fields.push((inner.map_or_else(|| raw.to_string(), |inner| inner.replace("\"\"", "\"")), start));
    };
    for (at, byte) in line.bytes().enumerate() {
        quoted ^= byte == b'"';
        if byte == separator && !quoted {
            add(start, at);
            start = at + 1;
        }
    }
    add(start, line.len());
    fields
}

fn record<'n>(names: &'n [String], fields: Vec<(String, usize)>) -> Entry<'n> {
    let field = |(name, (text, at)): (&'n String, (String, usize))| EntryField {
        name: name.as_str().into(),
        cell: Cell::Text(text.into()),
        at,
    };
    Entry { fields: names.iter().zip(fields).map(field).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::read::bytes::packed;
    use crate::workload::{Trace, TraceCut};
    use std::io::Write;

    const CUT: TraceCut =
        TraceCut { from: None, to: None, thin: 1.0, scale_input: 1.0, scale_output: 1.0, block: 512 };

    fn read_bytes(bytes: &[u8], how: &TraceHow) -> std::result::Result<Trace, String> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("a disk");
        let mut builder = TraceBuilder::new(CUT);
        let name = file.path().display().to_string();
        let read = trace(file.path(), how, &mut builder);
        read.map_err(|error| error.message.replace(&name, "t"))?;
        builder.finish("t")
    }

    fn read(text: &str) -> std::result::Result<Trace, String> {
        read_bytes(text.as_bytes(), &TraceHow::default())
    }

    const MOONCAKE: &str = "{\"timestamp\": 27482, \"input_length\": 6955, \"output_length\": 52, \"hash_ids\": [46, 47, 2354]}\n\
        {\"timestamp\": 30535, \"input_length\": 6472, \"output_length\": 26, \"hash_ids\": [46, 47, 2355]}\n";

    #[test]
    fn each_known_format_is_found_by_its_columns() {
        let mooncake = read(MOONCAKE).expect("rows");
        assert_eq!(mooncake.at[..], [0, 3_053_000_000]);
        assert_eq!((mooncake.reusable_tokens(), mooncake.input_tokens()), (Some(1_024), 13_427));
        let azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n";
        assert_eq!(read(azure).expect("rows").at[..], [0, 4_314_579_000]);
        let zoned = azure.replace("5900,", "5900+00:00,").replace("1690,", "1690+00:00,");
        assert_eq!(read(&zoned).expect("rows").at[..], [0, 4_314_579_000]);
        let burst = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
            5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,1087,0,1087,Conversation log\n118.5,GPT-4,417.0,276.0,693,API log\n";
        let burst = read(burst).expect("rows");
        assert_eq!((&burst.at[..], burst.empty), (&[0, 113_500_000_000][..], 1));
        let gzip = read_bytes(&packed(MOONCAKE.as_bytes()), &TraceHow::default()).expect("rows");
        assert_eq!(gzip.hash(), mooncake.hash());
        let vllm = TraceHow { format: Some(TraceFormat::Vllm), ..TraceHow::default() };
        let vllm = read_bytes(MOONCAKE.as_bytes(), &vllm).expect("rows");
        assert_eq!(vllm.at[..], [0, 3_053_000_000_000]);
    }

    #[test]
    fn any_table_is_read_by_the_names_of_its_columns() {
        let some = |name: &str| Some(name.to_string());
        let columns = TraceColumns {
            at: some("when"),
            input: some("in"),
            output: some("out"),
            class: some("kind"),
            ..TraceColumns::default()
        };
        let how = TraceHow { columns, unit: Some(1_000_000), ..TraceHow::default() };
        let table =
            "\u{feff}kind;in;out;when\r\n\"a;b\";10;2;1700000000123.456789\r\nc;11;3;1700000000125\r\n\r\n";
        let trace = read_bytes(table.as_bytes(), &how).expect("rows");
        assert_eq!(trace.at[..], [0, 1_543_211], "to the nanosecond");
        let json = "{\"when\":1,\"in\":5,\"out\":6,\"kind\":null}\n{\"when\":1.5,\"in\":5,\"out\":6},\n";
        assert_eq!(read_bytes(json.as_bytes(), &how).expect("rows").at[..], [0, 500_000]);
        let unknown = read(table).expect_err("no columns");
        assert_eq!(unknown, "cannot read \"t\" line 1: nothing says which column is `at`");
        let slip = TraceHow { columns: TraceColumns { at: some("wehn"), ..how.columns.clone() }, ..how };
        let told = read_bytes(table.as_bytes(), &slip).expect_err("a slip");
        assert_eq!(told, "cannot read \"t\" line 1: there is no column \"wehn\"; did you mean \"when\"?");
    }

    #[test]
    fn a_broken_row_is_one_sentence_with_its_place() {
        let azure = |row: &str| {
            read(&format!("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,374,44\n{row}\n"))
        };
        for (row, told) in [
            (
                "yesterday,3,4",
                "line 3 column 1: expected a time, as a number or as 2024-05-10 00:00:00.5, got \"yesterday\"",
            ),
            (
                "2023-11-16 18:15:46,many,4",
                "line 3 column 21: expected a whole number of tokens above 0, got \"many\"",
            ),
            (
                "2023-11-16 18:15:46,-3,4",
                "line 3 column 21: expected a whole number of tokens above 0, got \"-3\"",
            ),
            ("2023-11-16 18:15:46,3", "line 3: a record has 2 fields, the header has 3"),
            ("2023-11-16 18:15:46,,4", "line 3: there is nothing in the column \"ContextTokens\""),
        ] {
            assert_eq!(azure(row).expect_err(row), format!("cannot read \"t\" {told}"));
        }
        let mooncake = |line: &str| read(&format!("{MOONCAKE}{line}\n"));
        for (line, told) in [
            ("{\"timestamp\": 1", "line 3 column 16: the JSON ends in the middle"),
            (
                "{\"timestamp\": 1, \"input_length\": 5}",
                "line 3: there is nothing in the column \"output_length\"",
            ),
            (
                "{\"timestamp\": 1, \"input_length\": 5, \"output_length\": 2, \"hash_ids\": \"x\"}",
                "line 3 column 69: expected a list of whole numbers",
            ),
        ] {
            assert_eq!(mooncake(line).expect_err(line), format!("cannot read \"t\" {told}"));
        }
        assert_eq!(
            read("[{\"timestamp\": 1}]").expect_err("a list"),
            "cannot read \"t\": it is one JSON list"
        );
        assert_eq!(read("").expect_err("nothing"), "cannot use \"t\": it holds no requests");
        let torn = read_bytes(b"TIMESTAMP,ContextTokens,GeneratedTokens\n\xff,1,2\n", &TraceHow::default());
        assert_eq!(torn.expect_err("torn"), "cannot read \"t\" line 2 column 1: the text is not UTF-8");
    }

    #[test]
    fn numbers_keep_every_digit() {
        for (text, nanos) in [
            ("1700000000.123456789", 1_700_000_000_123_456_789),
            ("0.0000000005", 1),
            ("-1.5", -1_500_000_000),
            ("1e3", 1_000_000_000_000),
            ("3", 3_000_000_000),
        ] {
            assert_eq!(decimal(text, 1_000_000_000), Some(nanos), "{text}");
        }
        for text in ["", "-", "1.2.3", "x", "1e300", "99999999999999999999", "inf", "NaN"] {
            assert_eq!(decimal(text, 1_000_000_000), None, "{text}");
        }
    }
}
