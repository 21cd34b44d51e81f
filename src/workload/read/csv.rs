//! CSV: records with their places in the file, and tables of prompts.

use super::chat::{Count, Messages};
use super::{File, Rows};
use crate::error::{Result, nearest};
use crate::workload::{Ask, Row};
use std::borrow::Cow;

/// One value and where it begins.
pub(super) struct Field<'a> {
    pub(super) text: Cow<'a, str>,
    line: usize,
    column: usize,
}

/// A header, and records that have as many fields.
pub(super) struct Table<'a> {
    file: &'a File<'a>,
    header: Vec<String>,
    records: Records<'a>,
}

impl<'a> Table<'a> {
    pub(super) fn new(file: &'a File<'a>) -> Result<Self> {
        let mut records = Records { file, at: 0, line: 1, line_start: 0 };
        let header = records.next().transpose()?.unwrap_or_default();
        let header = header.into_iter().map(|field| field.text.trim().to_string()).collect();
        Ok(Table { file, header, records })
    }

    /// The place of a column, whatever its case.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|known| known.eq_ignore_ascii_case(name))
    }

    /// The place of a column that must be there.
    pub(super) fn column(&self, name: &str) -> Result<usize> {
        self.find(name).ok_or_else(|| {
            let error = self.file.error(1, 1, format!("there is no column \"{name}\""));
            match nearest(name, self.header.iter().map(String::as_str)) {
                Some(near) => error.hint(format!("rename the column \"{near}\"")),
                None => error.hint(format!("the columns are: {}", self.header.join(", "))),
            }
        })
    }

    pub(super) fn error(&self, field: &Field, problem: impl std::fmt::Display) -> crate::error::Error {
        self.file.error(field.line, field.column, problem)
    }

    /// The next record.
    pub(super) fn next(&mut self) -> Result<Option<Vec<Field<'a>>>> {
        let Some(record) = self.records.next().transpose()? else { return Ok(None) };
        match (record.len(), self.header.len()) {
            (fields, columns) if fields == columns => Ok(Some(record)),
            (fields, columns) => {
                let line = record.first().map_or(1, |field| field.line);
                let problem = format!("a record has {fields} fields, the header has {columns}");
                Err(self.file.error(line, 1, problem))
            }
        }
    }
}

struct Records<'a> {
    file: &'a File<'a>,
    at: usize,
    line: usize,
    line_start: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Vec<Field<'a>>>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.end_of_line() {}
        if self.at >= self.file.text.len() {
            return None;
        }
        let mut fields = Vec::new();
        loop {
            match self.field() {
                Ok(field) => fields.push(field),
                Err(error) => return Some(Err(error)),
            }
            match self.rest().as_bytes().first() {
                Some(b',') => self.at += 1,
                _ => return Some(Ok(fields)),
            }
        }
    }
}

impl<'a> Records<'a> {
    fn rest(&self) -> &'a str {
        &self.file.text[self.at..]
    }

    /// Steps over a line break, if one is here.
    fn end_of_line(&mut self) -> bool {
        let step = match self.rest().as_bytes() {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            _ => return false,
        };
        self.at += step;
        self.new_line(self.at);
        true
    }

    fn new_line(&mut self, start: usize) {
        self.line += 1;
        self.line_start = start;
    }

    /// One field; what follows it is a comma, a line break, or nothing.
    fn field(&mut self) -> Result<Field<'a>> {
        let column = self.file.text[self.line_start..self.at].chars().count() + 1;
        let (line, rest) = (self.line, self.rest());
        if let Some(quoted) = rest.strip_prefix('"') {
            let text = self.quoted(quoted, line, column)?;
            return Ok(Field { text, line, column });
        }
        let text = rest.find([',', '\n']).map_or(rest, |end| &rest[..end]);
        let text = text.strip_suffix('\r').unwrap_or(text);
        self.at += text.len();
        Ok(Field { text: text.into(), line, column })
    }

    fn quoted(&mut self, quoted: &'a str, line: usize, column: usize) -> Result<Cow<'a, str>> {
        let start = self.at + 1;
        let mut from = 0;
        let end = loop {
            let Some(quote) = quoted[from..].find('"').map(|quote| from + quote) else {
                return Err(self.file.error(line, column, "a quoted field has no end"));
            };
            match quoted.as_bytes().get(quote + 1) {
                Some(b'"') => from = quote + 2,
                None | Some(b',' | b'\n' | b'\r') => break quote,
                Some(_) => {
                    let problem = "a quoted field must end before a comma (a quote inside is written twice)";
                    return Err(self.file.error(line, column, problem));
                }
            }
        };
        let text = &quoted[..end];
        for (index, _) in text.match_indices('\n') {
            self.new_line(start + index + 1);
        }
        self.at = start + end + 1;
        Ok(if text.contains('"') { text.replace("\"\"", "\"").into() } else { text.into() })
    }
}

/// A table with the column `prompt` or `messages`, optional `output_tokens`, tags.
pub(super) fn rows(file: &File) -> Result<Rows> {
    let mut table = Table::new(file)?;
    let (prompt, output) = (table.find("prompt"), table.find("output_tokens"));
    let messages = match prompt {
        Some(_) => None,
        None if table.header.is_empty() => return Ok(Rows::new(Vec::new())),
        None => Some(table.find("messages").map_or_else(|| table.column("prompt"), Ok)?),
    };
    let mut rows = Vec::new();
    while let Some(record) = table.next()? {
        let mut row = Row::new(Ask::Text(String::new()));
        for (index, field) in record.iter().enumerate() {
            if prompt == Some(index) {
                row.ask = Ask::Text(field.text.to_string());
            } else if messages == Some(index) {
                let Messages(messages) = serde_json::from_str(&field.text)
                    .map_err(|e| table.error(field, format!("messages: {e}")))?;
                row.ask = Ask::Messages(messages);
            } else if output == Some(index) {
                let given = (!field.text.trim().is_empty()).then(|| Count::parse(&field.text));
                row.output = given.transpose().map_err(|e| table.error(field, e))?.map(|count| count.0);
            } else {
                row.tags.insert(table.header[index].clone(), field.text.as_ref().into());
            }
        }
        rows.push(row);
    }
    Ok(Rows::new(rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::read::Format;
    use crate::workload::read::testing::{error, read};

    fn fields(text: &str) -> Vec<Vec<(String, usize, usize)>> {
        let file = File { name: "file", text };
        let records = Records { file: &file, at: 0, line: 1, line_start: 0 };
        let places = |field: &Field| (field.text.to_string(), field.line, field.column);
        records.map(|record| record.expect("good").iter().map(places).collect()).collect()
    }

    #[test]
    fn fields_may_be_quoted_hold_line_breaks_and_be_empty() {
        let field = |text: &str, line, column| (text.to_string(), line, column);
        assert_eq!(
            fields("a,\"b, \"\"c\"\"\nd\",e\r\n\r\n,ü,\n"),
            [
                vec![field("a", 1, 1), field("b, \"c\"\nd", 1, 3), field("e", 2, 4)],
                vec![field("", 4, 1), field("ü", 4, 2), field("", 4, 4)],
            ]
        );
        assert_eq!(fields("a,b"), [vec![field("a", 1, 1), field("b", 1, 3)]]);
        assert!(fields("").is_empty() && fields("\n\n").is_empty());
    }

    #[test]
    fn a_table_of_prompts_is_read() {
        let rows = read("topic,Prompt,output_tokens\nx,\"one, two\",7\ny,three,\n", Format::Csv).rows;
        assert_eq!(rows[0].ask, Ask::Text("one, two".into()));
        assert_eq!((rows[0].output, rows[1].output), (Some(7), None));
        assert_eq!(rows[1].tags["topic"], "y");
        let rows =
            read("messages\n\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"hi\"\"}]\"\n", Format::Csv)
                .rows;
        assert!(matches!(&rows[0].ask, Ask::Messages(messages) if messages[0].content == "hi"));
    }

    #[test]
    fn a_bad_table_is_named_by_line_and_column() {
        let of = |text: &str| error(text, Format::Csv);
        assert_eq!(of("promt\na\n"), "cannot read \"file\" line 1 column 1: there is no column \"prompt\"");
        assert_eq!(
            of("prompt,output_tokens\na,5\nb,five\n"),
            "cannot read \"file\" line 3 column 3: expected a whole number of tokens above 0, got \"five\""
        );
        assert_eq!(
            of("prompt,n\na,1\nb\n"),
            "cannot read \"file\" line 3 column 1: a record has 1 fields, the header has 2"
        );
        assert_eq!(of("prompt\n\"a\nb\n"), "cannot read \"file\" line 2 column 1: a quoted field has no end");
        assert!(of("prompt\n\"a\"b\n").ends_with("(a quote inside is written twice)"));
        assert_eq!(of(""), "cannot use \"file\": it holds no prompts");
    }
}
