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
mod how;
mod hub;
mod json;
mod recorded;
mod rows;
mod sharegpt;
mod skipped;
mod table;
mod trace;
mod usual;

use super::PoemLine;
use crate::error::{Error, Result};
use crate::tokens::Tokens;
use bytes::Content;
use gather::RowGatherer;
pub use how::{DataFormat, How, ending};
pub use hub::cached;
pub use rows::PromptRows;
pub use skipped::Skipped;
use std::path::Path;
pub use trace::{TraceColumns, TraceFormat, TraceHow, trace};

/// Reads a file.
pub fn read(path: &Path, how: &How) -> Result<PromptRows> {
    let mut gather = RowGatherer::new(how);
    let name = path.display().to_string();
    if how.format != DataFormat::Hf {
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
pub fn parse(name: &str, bytes: &[u8], how: &How) -> Result<PromptRows> {
    let mut gather = RowGatherer::new(how);
    let content = bytes::content(name, bytes.to_vec())?;
    gather.begin(name, bytes.len() as u64);
    entries(content, name, &mut gather)?;
    gather.finish(name)
}

fn file(path: &Path, name: &str, gather: &mut RowGatherer) -> Result<()> {
    let (content, size) = bytes::load(path, name)?;
    gather.begin(name, size);
    gather.go_on()?;
    entries(content, name, gather)
}

fn entries(content: Content, name: &str, gather: &mut RowGatherer) -> Result<()> {
    let text = match content {
        Content::Parquet(bytes) => {
            if matches!(gather.format, DataFormat::Jsonl | DataFormat::Csv | DataFormat::Lines) {
                gather.format = DataFormat::Parquet;
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
        DataFormat::Jsonl | DataFormat::ShareGpt | DataFormat::OpenAiBatch => container::json(&text, gather),
        DataFormat::Csv | DataFormat::BurstGpt => container::table(&text, gather),
        DataFormat::Lines => container::lines(&text, gather),
        DataFormat::Hf => match ending(name) {
            "csv" | "tsv" => container::table(&text, gather),
            "txt" | "text" => container::lines(&text, gather),
            _ => container::json(&text, gather),
        },
        DataFormat::Parquet => {
            let what = if text.is_empty() { "it is empty" } else { "it is no Parquet file" };
            Err(Error::usage(format!("cannot read \"{name}\": {what}")))
        }
    }
}

/// The lines of a text file that hold text, counted, for [`super::Sonnet`].
pub fn poem(path: &Path, tokens: &Tokens) -> Result<Vec<PoemLine>> {
    let name = path.display().to_string();
    let lines: Vec<PoemLine> = match bytes::load(path, &name)?.0 {
        Content::Parquet(_) => Vec::new(),
        Content::Text(text) => container::lines_of(&text).map(|line| PoemLine::new(line, tokens)).collect(),
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

    pub(super) fn read(text: &str, format: DataFormat) -> PromptRows {
        read_how(text, &How { format, ..How::default() })
    }

    pub(super) fn read_how(text: &str, how: &How) -> PromptRows {
        parse("file", text.as_bytes(), how).expect("a good file")
    }

    /// How many entries were left out, and the first of them.
    pub(super) fn skipped(text: &str, format: DataFormat) -> (u64, String) {
        let skipped = read(text, format).skipped.expect("something is skipped");
        (skipped.count, skipped.first)
    }

    pub(super) fn error(text: &str, format: DataFormat) -> String {
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
        for format in [
            DataFormat::Jsonl,
            DataFormat::Lines,
            DataFormat::ShareGpt,
            DataFormat::OpenAiBatch,
            DataFormat::Csv,
            DataFormat::Hf,
        ] {
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
        use super::skipped::thousands;
        assert_eq!([thousands(7), thousands(1_234_567)], ["7", "1,234,567"]);
    }

    #[test]
    fn every_text_format_may_be_packed() {
        for (text, format) in [
            ("{\"prompt\": \"a\"}", DataFormat::Jsonl),
            ("prompt\na\n", DataFormat::Csv),
            ("a\n", DataFormat::Lines),
            (
                "[{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},{\"from\":\"gpt\",\"value\":\"b\"}]}]",
                DataFormat::ShareGpt,
            ),
            ("{\"body\":{\"prompt\":\"a\"}}", DataFormat::OpenAiBatch),
            ("Request tokens,Response tokens\n1,2\n", DataFormat::BurstGpt),
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
        let how = How { format: DataFormat::Lines, ..How::default() };
        let message = read(&path, &how).expect_err("not there").message;
        assert!(message.starts_with(&format!("cannot read \"{}\": ", path.display())), "{message}");
        std::fs::write(&path, "Shall I\n\ncompare\n").expect("written");
        assert_eq!(read(&path, &how).expect("good").rows.len(), 2);
        let lines = poem(&path, &Tokens::Words).expect("a poem");
        assert_eq!(lines, ["Shall I", "compare"].map(|text| PoemLine::new(text, &Tokens::Words)));
    }

    #[test]
    fn every_format_has_a_name() {
        assert!(DataFormat::NAMES.iter().all(|(name, format)| DataFormat::named(name) == Some(*format)));
        assert_eq!([ending("a.jsonl.gz"), ending("b/c.CSV"), ending("d")], ["jsonl", "CSV", ""]);
    }
}
