//! `Entry`: one entry of a file, whatever the file is: named values with their places.

use super::json::{self, Wrong};
use std::borrow::Cow;

/// A value as the file has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    /// Text that the file does not quote as JSON does.
    Text(Cow<'a, str>),
    Json(Cow<'a, str>),
}

#[derive(Debug, Clone)]
pub(super) struct EntryField<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) cell: Cell<'a>,
    /// The byte of the entry's text at which the value begins.
    pub(super) at: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub(super) fields: Vec<EntryField<'a>>,
}

/// The text of an entry, and where it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryOrigin<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
    /// Characters before it on that line.
    pub(super) before: usize,
    /// What is counted: `line`, or `row` of a table that has no lines.
    pub(super) unit: &'static str,
}

/// Why an entry asks nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryFault {
    /// The byte of the entry's text; `None`: the entry as a whole.
    pub(super) at: Option<usize>,
    pub(super) words: String,
}

impl EntryFault {
    pub(super) fn whole(words: impl Into<String>) -> EntryFault {
        EntryFault { at: None, words: words.into() }
    }
}

impl From<Wrong> for EntryFault {
    fn from(wrong: Wrong) -> EntryFault {
        EntryFault { at: Some(wrong.at), words: wrong.words }
    }
}

impl EntryOrigin<'_> {
    /// `line 3 column 12`, for a byte of the text.
    pub(super) fn place(&self, at: Option<usize>) -> String {
        let Some(at) = at else { return format!("{} {}", self.unit, self.line) };
        if self.unit == "row" {
            return format!("row {}", self.line);
        }
        let before = &self.text[..at.min(self.text.len())];
        let line = self.line + crate::csv::line_breaks(before);
        let column = match before.rfind(['\n', '\r']) {
            Some(last) => before[last + 1..].chars().count(),
            None => self.before + before.chars().count(),
        };
        format!("line {line} column {}", column + 1)
    }
}

impl<'a> Entry<'a> {
    /// The fields of a JSON object.
    pub(super) fn object(text: &'a str) -> Result<Entry<'a>, EntryFault> {
        let fields = json::fields(text)?.into_iter().map(|(name, piece)| EntryField {
            name,
            cell: Cell::Json(piece.json.into()),
            at: piece.at,
        });
        Ok(Entry { fields: fields.collect() })
    }

    /// The field with this name, whatever its case, unless its value is null or no text at all.
    /// Of several with that name the last one counts, as in most JSON readers.
    pub(super) fn get(&self, name: &str) -> Option<&EntryField<'a>> {
        self.fields.iter().rfind(|field| field.name.eq_ignore_ascii_case(name) && !field.is_null())
    }
}

impl EntryField<'_> {
    fn is_null(&self) -> bool {
        match &self.cell {
            Cell::Text(text) => text.trim().is_empty(),
            Cell::Json(json) => json == "null" || json == "NaN",
        }
    }

    pub(super) fn fault(&self, words: impl Into<String>) -> EntryFault {
        EntryFault { at: Some(self.at), words: words.into() }
    }

    /// A fault inside of the value.
    pub(super) fn inside(&self, wrong: Wrong) -> EntryFault {
        match &self.cell {
            Cell::Json(_) => EntryFault { at: Some(self.at + wrong.at), words: wrong.words },
            // Quotes that a table doubles move what is behind them.
            Cell::Text(_) => self.fault(format!("{}: {}", self.name, wrong.words)),
        }
    }

    /// The value as text; `None` when it is none.
    pub(super) fn text(&self) -> Result<Option<Cow<'_, str>>, EntryFault> {
        match &self.cell {
            Cell::Text(text) => Ok(Some(text.as_ref().into())),
            Cell::Json(json) if json.starts_with('"') => {
                json::string(json).map(Some).map_err(|words| self.fault(words))
            }
            Cell::Json(_) => Ok(None),
        }
    }

    /// What is written there, where it is text, a number or a truth.
    pub(super) fn words(&self) -> Option<String> {
        match (self.text(), &self.cell) {
            (Ok(Some(text)), _) => Some(text.into_owned()),
            (Ok(None), Cell::Json(json)) if !json.starts_with(['[', '{']) => Some(json.to_string()),
            _ => None,
        }
    }

    /// The value as JSON: a list or an object, also one that is written into text.
    pub(super) fn structure(&self) -> Option<Cow<'_, str>> {
        let json = match &self.cell {
            Cell::Json(json) if json.starts_with('"') => json::string(json).ok()?,
            Cell::Json(json) | Cell::Text(json) => json.as_ref().into(),
        };
        json.trim_start().starts_with(['[', '{']).then_some(json)
    }

    /// A number of tokens above 0. Tables of other programs may have it as `128.0`, or as text.
    pub(super) fn tokens(&self) -> Result<u32, EntryFault> {
        let text = match &self.cell {
            Cell::Json(json) => json::string(json).unwrap_or(json.as_ref().into()),
            Cell::Text(text) => text.as_ref().into(),
        };
        let number = text.trim().parse::<f64>().ok();
        let whole = number.filter(|n| n.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(n));
        let wrong =
            || self.fault(format!("expected a whole number of tokens above 0, got {}", shown(&self.cell)));
        whole.map(|number| number as u32).ok_or_else(wrong)
    }
}

fn shown(cell: &Cell) -> String {
    let (text, quote) = match cell {
        Cell::Text(text) => (text, "\""),
        Cell::Json(json) => (json, ""),
    };
    let short: String = text.chars().take(40).collect();
    let more = if short.len() < text.len() { "..." } else { "" };
    format!("{quote}{short}{more}{quote}")
}
