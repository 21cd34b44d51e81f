//! Files that users already have, read into rows before a run. A bad line is an error that
//! names file, line and column.

mod batch;
mod burstgpt;
mod chat;
mod csv;
mod jsonl;
mod sharegpt;

use super::sonnet::words;
use super::{Ask, Line, Row};
use crate::error::{Error, Result};
use crate::tokens::Tokens;
use std::fmt::Display;
use std::path::Path;

/// What a file of prompts looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line: `prompt` or `messages`, optional `output_tokens`; the other
    /// fields become tags.
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
}

/// The rows of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    pub rows: Vec<Row>,
    /// Entries that ask nothing: a conversation without a reply, a failed request of a trace.
    pub skipped: usize,
}

impl Format {
    /// The name that scripts and the command line use, and its format.
    pub const NAMES: [(&str, Format); 6] = [
        ("jsonl", Format::Jsonl),
        ("csv", Format::Csv),
        ("lines", Format::Lines),
        ("sharegpt", Format::ShareGpt),
        ("openai-batch", Format::OpenAiBatch),
        ("burstgpt", Format::BurstGpt),
    ];

    pub fn named(name: &str) -> Option<Format> {
        Format::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }
}

/// Reads a file and counts its prompts. `output` replaces the output length of every row.
/// Without it, a ShareGPT row allows as many tokens as its reply has by the tokenizer, or words
/// when there is none.
pub fn read(path: &Path, format: Format, tokens: &Tokens, output: Option<u32>) -> Result<Rows> {
    let name = path.display().to_string();
    parse(&name, &load(path)?, format, tokens, output)
}

/// The lines of a text file that hold text, counted, for [`super::Sonnet`].
pub fn poem(path: &Path, tokens: &Tokens) -> Result<Vec<Line>> {
    let text = load(path)?;
    let lines: Vec<Line> =
        text.lines().filter(|line| !line.trim().is_empty()).map(|line| Line::new(line, tokens)).collect();
    match lines.is_empty() {
        true => Err(Error::usage(format!("cannot use \"{}\": it holds no line of text", path.display()))),
        false => Ok(lines),
    }
}

/// As [`read`], from a text; `name` stands for the file in errors.
pub fn parse(name: &str, text: &str, format: Format, tokens: &Tokens, output: Option<u32>) -> Result<Rows> {
    let file = File { name, text: text.strip_prefix('\u{feff}').unwrap_or(text) };
    let mut rows = match format {
        Format::Jsonl => jsonl::rows(&file),
        Format::Csv => csv::rows(&file),
        Format::Lines => Ok(lines(&file)),
        Format::ShareGpt => sharegpt::rows(&file, tokens, output.is_none()),
        Format::OpenAiBatch => batch::rows(&file),
        Format::BurstGpt => burstgpt::rows(&file),
    }?;
    if rows.rows.is_empty() {
        let hint = match rows.skipped {
            0 => "look at the file and its format".to_string(),
            skipped => format!("all of its {skipped} entries lack a prompt or a reply"),
        };
        return Err(Error::usage(format!("cannot use \"{name}\": it holds no prompts")).hint(hint));
    }
    count(&mut rows.rows, tokens);
    if output.is_some() {
        rows.rows.iter_mut().for_each(|row| row.output = output);
    }
    Ok(rows)
}

impl Rows {
    fn new(rows: Vec<Row>) -> Rows {
        Rows { rows, skipped: 0 }
    }

    /// Leaves out (and counts as skipped) rows with fewer than `least` tokens of prompt or of
    /// reply, with more than `prompt_most` of prompt, or more than `total_most` of both. vLLM
    /// does so with ShareGPT, at 4, 1024 and 2048. Words count where no tokenizer did.
    pub fn keep_within(&mut self, least: u32, prompt_most: u32, total_most: u32) {
        let before = self.rows.len();
        self.rows.retain(|row| {
            let prompt = row.counted.unwrap_or_else(|| row.ask.words());
            let reply = row.output.unwrap_or(least);
            prompt >= least
                && reply >= least
                && prompt <= prompt_most
                && prompt.saturating_add(reply) <= total_most
        });
        self.skipped += before - self.rows.len();
    }
}

impl Ask {
    fn words(&self) -> u32 {
        match self {
            Ask::Text(text) => words(text),
            Ask::Messages(messages) => messages.iter().map(|message| words(&message.content)).sum(),
            Ask::Tokens(n) => *n,
        }
    }
}

/// A file's text on its way to rows.
struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl File<'_> {
    /// `line` and `column` count from 1.
    fn error(&self, line: usize, column: usize, problem: impl Display) -> Error {
        Error::usage(format!("cannot read \"{}\" line {line} column {column}: {problem}", self.name))
    }

    /// An error of the JSON parser in a part of the file that begins at line `first`.
    fn json_error(&self, first: usize, error: &serde_json::Error) -> Error {
        let whole = error.to_string();
        let problem = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(problem, _)| problem);
        let line = first + error.line().max(1) - 1;
        let text = self.text.lines().nth(line - 1).unwrap_or("").as_bytes();
        // The parser counts bytes, and says 0 for a line that it has not begun.
        let before = error.column().saturating_sub(1).min(text.len());
        self.error(line, String::from_utf8_lossy(&text[..before]).chars().count() + 1, problem)
    }

    /// Lines that are not blank, with their numbers from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        numbered.filter(|(_, line)| !line.trim().is_empty())
    }
}

fn load(path: &Path) -> Result<String> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|e| Error::usage(format!("cannot read \"{shown}\": {e}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = good.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) + 1;
        let name = shown.to_string();
        File { name: &name, text: "" }.error(line, column, "the text is not UTF-8")
    })
}

fn lines(file: &File) -> Rows {
    Rows::new(file.lines().map(|(_, line)| Row::new(Ask::Text(line.trim().into()))).collect())
}

/// Fills in what the tokenizer counts in each prompt.
fn count(rows: &mut [Row], tokens: &Tokens) {
    let texts: Vec<&str> = rows.iter().flat_map(|row| parts(&row.ask)).collect();
    let mut counts = tokens.count_batch(&texts).into_iter();
    for row in rows {
        row.counted = match parts(&row.ask).count() {
            0 => None,
            parts => counts.by_ref().take(parts).sum(),
        };
    }
}

/// The texts that make up a prompt.
fn parts(ask: &Ask) -> impl Iterator<Item = &str> {
    let (text, messages) = match ask {
        Ask::Text(text) => (Some(text.as_str()), [].as_slice()),
        Ask::Messages(messages) => (None, messages.as_slice()),
        Ask::Tokens(_) => (None, [].as_slice()),
    };
    text.into_iter().chain(messages.iter().map(|message| message.content.as_str()))
}

/// What the tests of all readers share.
#[cfg(test)]
mod testing {
    use super::*;

    pub(super) fn read(text: &str, format: Format) -> Rows {
        parse("file", text, format, &Tokens::Words, None).expect("a good file")
    }

    pub(super) fn error(text: &str, format: Format) -> String {
        parse("file", text, format, &Tokens::Words, None).expect_err("a bad file").message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Message;
    use crate::tokens::sample;

    #[test]
    fn every_line_of_text_is_a_prompt() {
        let rows = testing::read("\u{feff}one\r\n\n two words \n", Format::Lines);
        let expected = ["one", "two words"].map(|text| Row::new(Ask::Text(text.into())));
        assert_eq!(rows, Rows::new(expected.to_vec()));
    }

    #[test]
    fn prompts_are_counted_and_the_output_can_be_replaced() {
        let text = r#"{"prompt": "the cat", "output_tokens": 5}
            {"messages": [{"role": "system", "content": "old"}, {"role": "user", "content": "red dog"}]}"#;
        let tokens = sample::byte_level();
        let rows = parse("file", text, Format::Jsonl, &tokens, Some(9)).expect("good").rows;
        assert_eq!(rows.iter().map(|row| row.counted).collect::<Vec<_>>(), [Some(2), Some(3)]);
        assert_eq!(rows.iter().map(|row| row.output).collect::<Vec<_>>(), [Some(9), Some(9)]);
        let rows = parse("file", text, Format::Jsonl, &Tokens::Words, None).expect("good").rows;
        assert_eq!(rows.iter().map(|row| row.counted).collect::<Vec<_>>(), [None, None]);
        assert_eq!(rows.iter().map(|row| row.output).collect::<Vec<_>>(), [Some(5), None]);
        assert_eq!(
            rows[1].ask,
            Ask::Messages(vec![
                Message { role: "system".into(), content: "old".into() },
                Message { role: "user".into(), content: "red dog".into() },
            ])
        );
    }

    #[test]
    fn a_file_without_prompts_is_an_error() {
        for format in [Format::Jsonl, Format::Lines, Format::ShareGpt, Format::OpenAiBatch] {
            assert_eq!(testing::error(" \n", format), "cannot use \"file\": it holds no prompts");
        }
    }

    #[test]
    fn a_file_that_is_missing_or_not_text_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("prompts.txt");
        let message = || read(&path, Format::Lines, &Tokens::Words, None).expect_err("bad").message;
        assert!(message().starts_with(&format!("cannot read \"{}\": ", path.display())), "{}", message());
        std::fs::write(&path, b"good\nba\xffd\n").expect("written");
        let expected = format!("cannot read \"{}\" line 2 column 3: the text is not UTF-8", path.display());
        assert_eq!(message(), expected);
        std::fs::write(&path, "Shall I\n\ncompare\n").expect("written");
        let lines = poem(&path, &Tokens::Words).expect("a poem");
        assert_eq!(lines, ["Shall I", "compare"].map(|text| Line::new(text, &Tokens::Words)));
    }

    #[test]
    fn rows_outside_the_limits_are_left_out_and_counted() {
        let row = |words: usize, output| Row { output, ..Row::new(Ask::Text("a ".repeat(words))) };
        let mut rows = Rows::new(vec![
            row(3, Some(10)),
            row(4, Some(3)),
            row(4, Some(4)),
            row(4, None),
            row(11, Some(4)),
            row(10, Some(11)),
        ]);
        rows.keep_within(4, 10, 20);
        assert_eq!(rows, Rows { rows: vec![row(4, Some(4)), row(4, None)], skipped: 4 });
    }

    #[test]
    fn every_format_has_a_name() {
        assert!(Format::NAMES.iter().all(|(name, format)| Format::named(name) == Some(*format)));
        assert_eq!(Format::named("parquet"), None);
    }
}
