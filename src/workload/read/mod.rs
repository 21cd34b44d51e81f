//! Files that users already have, read into rows before a run. An entry that asks nothing is
//! left out and counted; what makes the rest unreadable is an error that names file and line.

mod ask;
mod batch;
#[cfg(test)]
mod broken;
mod burstgpt;
mod bytes;
mod container;
mod entry;
mod gather;
mod hub;
mod json;
mod sharegpt;
mod table;
mod usual;

use super::{Line, Row};
use crate::error::{Error, Result};
use crate::tokens::Tokens;
use bytes::Content;
use gather::Gather;
pub use hub::cached;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What a file of prompts looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One JSON object a line, or all in one list: `prompt` (text or token ids) or `messages`,
    /// optional `output_tokens`. A line may also be a list of messages.
    #[default]
    Jsonl,
    /// A header and the same columns; `messages` holds JSON.
    Csv,
    /// One prompt a line.
    Lines,
    /// Conversations, of which the first prompt and reply count.
    ShareGpt,
    /// One request body a line, as for the batch API of OpenAI.
    OpenAiBatch,
    /// `Request tokens` and `Response tokens`; the text is made.
    BurstGpt,
    /// A table whose columns of prompts and replies are named, or have usual names.
    Parquet,
    /// The same from a data set of the hub: a file, a folder with splits, the local cache.
    Hf,
}

/// How to read a file.
#[derive(Debug, Clone, Default)]
pub struct How {
    pub format: Format,
    /// The column that holds prompts or messages, and the one that holds replies or their tokens.
    pub prompt_column: Option<String>,
    pub reply_column: Option<String>,
    /// Which files of a data set of the hub: `train` and the only subset, unless they are named.
    pub split: Option<String>,
    pub subset: Option<String>,
    /// An entry that asks nothing is an error.
    pub strict: bool,
    /// Set by Ctrl-C.
    pub stop: Option<Arc<AtomicBool>>,
}

/// The rows of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// The file or folder, as a person knows it.
    pub name: Arc<str>,
    pub rows: Arc<Vec<Row>>,
    /// Entries that ask nothing: no JSON, a conversation without a reply, a failed request.
    pub skipped: Option<Skipped>,
    /// Which columns were taken, where the file does not use our names.
    pub note: Option<String>,
}

/// Entries that were left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub count: u64,
    pub of: u64,
    /// Place and fault of the first.
    pub first: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipped {} of {}: first at {}", thousands(self.count), thousands(self.of), self.first)
    }
}

fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

impl Format {
    /// The name that scripts and the command line use, and its format.
    pub const NAMES: [(&str, Format); 8] = [
        ("jsonl", Format::Jsonl),
        ("csv", Format::Csv),
        ("lines", Format::Lines),
        ("sharegpt", Format::ShareGpt),
        ("openai-batch", Format::OpenAiBatch),
        ("burstgpt", Format::BurstGpt),
        ("parquet", Format::Parquet),
        ("hf", Format::Hf),
    ];

    pub fn named(name: &str) -> Option<Format> {
        Format::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }
}

/// Reads a file.
pub fn read(path: &Path, how: &How) -> Result<Rows> {
    let mut gather = Gather::new(how);
    let name = path.display().to_string();
    if how.format != Format::Hf {
        file(path, &name, &mut gather)?;
        return gather.finish(&name);
    }
    let files = hub::files(path, how.split.as_deref(), how.subset.as_deref())?;
    gather.several = files.len() > 1;
    for path in files {
        file(&path, &path.display().to_string(), &mut gather)?;
    }
    gather.finish(&name)
}

/// As [`read`], from bytes; `name` stands for the file in errors.
pub fn parse(name: &str, bytes: &[u8], how: &How) -> Result<Rows> {
    let mut gather = Gather::new(how);
    let content = bytes::content(name, bytes.to_vec())?;
    gather.begin(name, bytes.len() as u64);
    entries(content, name, &mut gather)?;
    gather.finish(name)
}

fn file(path: &Path, name: &str, gather: &mut Gather) -> Result<()> {
    let (content, size) = bytes::load(path, name)?;
    gather.begin(name, size);
    gather.go_on()?;
    entries(content, name, gather)
}

fn entries(content: Content, name: &str, gather: &mut Gather) -> Result<()> {
    let text = match content {
        Content::Parquet(bytes) => {
            if matches!(gather.format, Format::Jsonl | Format::Csv | Format::Lines) {
                gather.format = Format::Parquet;
            }
            return table::rows(bytes, gather);
        }
        Content::Text(text) => text,
        Content::Torn(text) => {
            gather.torn = true;
            text
        }
    };
    match gather.format {
        Format::Jsonl | Format::ShareGpt | Format::OpenAiBatch => container::json(&text, gather),
        Format::Csv | Format::BurstGpt => container::table(&text, gather),
        Format::Lines => container::lines(&text, gather),
        Format::Hf => match ending(name) {
            "csv" | "tsv" => container::table(&text, gather),
            "txt" | "text" => container::lines(&text, gather),
            _ => container::json(&text, gather),
        },
        Format::Parquet => {
            let what = if text.is_empty() { "it is empty" } else { "it is no Parquet file" };
            Err(Error::usage(format!("cannot read \"{name}\": {what}")))
        }
    }
}

/// The ending of a file's name, without that of its packing.
pub fn ending(name: &str) -> &str {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// The lines of a text file that hold text, counted, for [`super::Sonnet`].
pub fn poem(path: &Path, tokens: &Tokens) -> Result<Vec<Line>> {
    let name = path.display().to_string();
    let lines: Vec<Line> = match bytes::load(path, &name)?.0 {
        Content::Parquet(_) => Vec::new(),
        Content::Text(text) => container::lines_of(&text).map(|line| Line::new(line, tokens)).collect(),
        Content::Torn(text) => {
            let (at, words) = bytes::torn(&text).unwrap_or_default();
            let line = crate::csv::line_breaks(&text[..at]) + 1;
            return Err(Error::usage(format!("cannot read \"{name}\" line {line}: {words}")));
        }
    };
    match lines.is_empty() {
        true => Err(Error::usage(format!("cannot use \"{name}\": it holds no line of text"))),
        false => Ok(lines),
    }
}

/// What the tests of all readers share.
#[cfg(test)]
mod testing {
    use super::*;

    pub(super) fn read(text: &str, format: Format) -> Rows {
        read_how(text, &How { format, ..How::default() })
    }

    pub(super) fn read_how(text: &str, how: &How) -> Rows {
        parse("file", text.as_bytes(), how).expect("a good file")
    }

    /// How many entries were left out, and the first of them.
    pub(super) fn skipped(text: &str, format: Format) -> (u64, String) {
        let skipped = read(text, format).skipped.expect("something is skipped");
        (skipped.count, skipped.first)
    }

    pub(super) fn error(text: &str, format: Format) -> String {
        error_how(text, &How { format, ..How::default() })
    }

    pub(super) fn error_how(text: &str, how: &How) -> String {
        parse("file", text.as_bytes(), how).expect_err("a bad file").message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_prompts_is_an_error() {
        for format in
            [Format::Jsonl, Format::Lines, Format::ShareGpt, Format::OpenAiBatch, Format::Csv, Format::Hf]
        {
            assert_eq!(testing::error(" \n", format), "cannot use \"file\": it holds no prompts");
        }
        let error = parse("file", b"{}\n5", &How::default()).expect_err("nothing to ask");
        let hint = "none of its 2 entries asks anything: the first at line 1: prompt or messages is missing";
        assert_eq!(error.hint.as_deref(), Some(hint));
    }

    #[test]
    fn a_strict_reader_leaves_nothing_out() {
        let text = "{\"prompt\": \"a\"}\n{\"prompt\": 5}\n";
        let how = How { strict: true, ..How::default() };
        let told = "cannot read \"file\" line 2 column 12: expected text or a list, got a number";
        assert_eq!(testing::error_how(text, &how), told);
        assert_eq!(testing::read_how(text, &How::default()).rows.len(), 1);
    }

    #[test]
    fn what_is_left_out_is_one_sentence() {
        let skipped = Skipped { count: 3, of: 90_000, first: "line 17: no JSON".into() };
        assert_eq!(skipped.to_string(), "skipped 3 of 90,000: first at line 17: no JSON");
        assert_eq!([thousands(7), thousands(1_234_567)], ["7", "1,234,567"]);
    }

    #[test]
    fn every_text_format_may_be_packed() {
        for (text, format) in [
            ("{\"prompt\": \"a\"}", Format::Jsonl),
            ("prompt\na\n", Format::Csv),
            ("a\n", Format::Lines),
            (
                "[{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},{\"from\":\"gpt\",\"value\":\"b\"}]}]",
                Format::ShareGpt,
            ),
            ("{\"body\":{\"prompt\":\"a\"}}", Format::OpenAiBatch),
            ("Request tokens,Response tokens\n1,2\n", Format::BurstGpt),
        ] {
            let how = How { format, ..How::default() };
            let packed = bytes::packed(text.as_bytes());
            assert_eq!(
                parse("file", &packed, &how).expect("good"),
                parse("file", text.as_bytes(), &how).expect("good")
            );
        }
    }

    #[test]
    fn a_file_is_read_from_its_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("prompts.txt");
        let how = How { format: Format::Lines, ..How::default() };
        let message = read(&path, &how).expect_err("not there").message;
        assert!(message.starts_with(&format!("cannot read \"{}\": ", path.display())), "{message}");
        std::fs::write(&path, "Shall I\n\ncompare\n").expect("written");
        assert_eq!(read(&path, &how).expect("good").rows.len(), 2);
        let lines = poem(&path, &Tokens::Words).expect("a poem");
        assert_eq!(lines, ["Shall I", "compare"].map(|text| Line::new(text, &Tokens::Words)));
    }

    #[test]
    fn every_format_has_a_name() {
        assert!(Format::NAMES.iter().all(|(name, format)| Format::named(name) == Some(*format)));
        assert_eq!([ending("a.jsonl.gz"), ending("b/c.CSV"), ending("d")], ["jsonl", "CSV", ""]);
    }
}
