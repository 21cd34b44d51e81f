//! `Records`: the records of a CSV text, each field with its place.
//!
//! As programs write it: separated by commas, semicolons, tabs or bars (the header tells which),
//! lines that end in LF, CRLF or CR, quoted fields with line breaks and doubled quotes.

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};
use std::borrow::Cow;

/// One value and the byte of the text at which it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvField<'a> {
    pub text: Cow<'a, str>,
    pub at: usize,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvRecord<'a> {
    pub fields: Vec<CsvField<'a>>,
    /// The line, from 1, on which it begins.
    pub line: usize,
    /// Where text stands behind a closing quote: it was taken as it is.
    pub torn: Option<usize>,
}

/// A quoted field that begins at this byte and has no end, so that the rest of the text is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclosed {
    pub at: usize,
    /// The line, from 1, on which its record begins.
    pub line: usize,
}

/// Records of a text; blank lines are none.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    text: &'a str,
    reader: Reader,
    /// The byte that is read next, and its line.
    at: usize,
    line: usize,
    /// The byte behind the last field.
    end: usize,
    /// A quoted field in the making.
    unquoted: Vec<u8>,
}

const SEPARATORS: [u8; 4] = *b",;\t|";

/// What the reader hands out at a time of a field.
const PIECE: usize = 512;

/// What ends a field.
#[derive(PartialEq)]
enum Behind {
    Separator,
    LineBreak,
    Nothing,
}

impl<'a> Records<'a> {
    /// Takes the separator that the first line has most of, or the one that a line `sep=;`
    /// in front of it names, as spreadsheets write it.
    pub fn new(text: &'a str) -> Self {
        let at = text.len() - text.trim_start_matches(['\n', '\r']).len();
        let first = text[at..].split(['\n', '\r']).next().unwrap_or_default();
        let named = match first.strip_prefix("sep=").map(str::as_bytes) {
            Some(&[separator]) if separator.is_ascii() && separator != b'"' => Some(separator),
            _ => None,
        };
        let at = if named.is_some() { at + first.len() } else { at };
        Records {
            text,
            reader: reader(named.unwrap_or_else(|| separator(first))),
            at,
            line: 1 + line_breaks(&text[..at]),
            end: at,
            unquoted: Vec::new(),
        }
    }

    /// The byte behind the last record.
    #[allow(clippy::misnamed_getters, reason = "where one is, is behind the last record")]
    pub fn at(&self) -> usize {
        self.end
    }

    /// Steps over line breaks; the reader would, and would not say on which line it goes on.
    fn blank_lines(&mut self) {
        let rest = &self.text[self.at..];
        let blank = &rest[..rest.len() - rest.trim_start_matches(['\n', '\r']).len()];
        self.at += blank.len();
        self.line += line_breaks(blank);
    }

    /// Lets the reader find the end of the field that begins here.
    fn step(&mut self) -> Behind {
        self.unquoted.clear();
        let mut piece = [0; PIECE];
        loop {
            let input = &self.text.as_bytes()[self.at..];
            let (found, read, written) = self.reader.read_field(input, &mut piece);
            self.at += read;
            self.unquoted.extend_from_slice(&piece[..written]);
            let record_end = match found {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => continue,
                ReadFieldResult::Field { record_end } => record_end,
                ReadFieldResult::End => true,
            };
            // It is told of the end of the text by an input without bytes.
            return match (input.is_empty(), record_end) {
                (true, _) => Behind::Nothing,
                (false, true) => Behind::LineBreak,
                (false, false) => Behind::Separator,
            };
        }
    }

    /// One field and what follows it.
    fn field(&mut self, torn: &mut Option<usize>) -> Result<(CsvField<'a>, Behind), Unclosed> {
        let at = self.at;
        let behind = self.step();
        self.end = self.at - usize::from(behind != Behind::Nothing);
        let raw = &self.text[at..self.end];
        if behind == Behind::LineBreak {
            // Of a return and a line feed the reader takes the first.
            self.at = self.end;
        }
        let Some(quoted) = raw.strip_prefix('"') else {
            return Ok((CsvField { text: raw.into(), at }, behind));
        };
        let close = closing(quoted).ok_or(Unclosed { at, line: self.line })?;
        let (inside, more) = (&quoted[..close], &quoted[close + 1..]);
        self.line += line_breaks(inside);
        if !more.is_empty() {
            torn.get_or_insert(at + 1 + close + 1);
        }
        let text = match more.is_empty() && !inside.contains('"') {
            true => inside.into(),
            false => String::from_utf8_lossy(&self.unquoted).into_owned().into(),
        };
        Ok((CsvField { text, at }, behind))
    }
}

/// A reader that keeps a byte order mark: it would step over one that its first input begins
/// with, and take a mark alone for a record. Marks are taken off where a file is read.
fn reader(separator: u8) -> Reader {
    let mut reader = ReaderBuilder::new().delimiter(separator).build();
    let _blank_line = reader.read_field(b"\n", &mut []);
    reader
}

/// The quote that ends a quoted field; a doubled one is part of its text.
fn closing(quoted: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let quote = from + quoted[from..].find('"')?;
        match quoted.as_bytes().get(quote + 1) {
            Some(b'"') => from = quote + 2,
            _ => return Some(quote),
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<CsvRecord<'a>, Unclosed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.blank_lines();
        if self.at >= self.text.len() {
            return None;
        }
        let (line, mut fields, mut torn) = (self.line, Vec::new(), None);
        loop {
            match self.field(&mut torn) {
                Ok((field, behind)) => {
                    fields.push(field);
                    if behind != Behind::Separator {
                        return Some(Ok(CsvRecord { fields, line, torn }));
                    }
                }
                Err(unclosed) => {
                    self.at = self.text.len();
                    return Some(Err(Unclosed { line, ..unclosed }));
                }
            }
        }
    }
}

/// What separates the fields of a header.
pub fn separator(header: &str) -> u8 {
    // `max_by_key` takes the last of equals, and a comma is the first choice.
    let most = SEPARATORS.into_iter().rev().max_by_key(|separator| outside_quotes(header, *separator));
    most.unwrap_or(b',')
}

fn outside_quotes(line: &str, separator: u8) -> usize {
    let mut quoted = false;
    let mut count = 0;
    for byte in line.bytes() {
        quoted ^= byte == b'"';
        count += usize::from(byte == separator && !quoted);
    }
    count
}

/// Line breaks of a text, CRLF as one.
pub fn line_breaks(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_break = |(i, byte): &(usize, &u8)| match byte {
        b'\n' => true,
        b'\r' => bytes.get(i + 1) != Some(&b'\n'),
        _ => false,
    };
    bytes.iter().enumerate().filter(is_break).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Vec<String>> {
        let texts = |record: CsvRecord| record.fields.iter().map(|field| field.text.to_string()).collect();
        Records::new(text).map(|record| texts(record.expect("closed"))).collect()
    }

    #[test]
    fn fields_may_be_quoted_hold_line_breaks_and_be_empty() {
        let text = "a,\"b, \"\"c\"\"\nd\",e\r\n\r\n,ü,\n";
        assert_eq!(read(text), [vec!["a", "b, \"c\"\nd", "e"], vec!["", "ü", ""]]);
        let places: Vec<(usize, Vec<usize>)> = Records::new(text)
            .map(|record| record.expect("closed"))
            .map(|record| (record.line, record.fields.iter().map(|field| field.at).collect()))
            .collect();
        assert_eq!(places, [(1, vec![0, 2, 15]), (4, vec![20, 21, 24])]);
        assert_eq!(read("a,b"), [["a", "b"]]);
        assert!(read("").is_empty() && read("\n\n\r\r\n").is_empty());
    }

    #[test]
    fn every_end_of_line_ends_a_record() {
        for end in ["\n", "\r\n", "\r"] {
            for last in ["", end] {
                let text = ["a,b", end, "1,\"2\"", end, end, "3,4", last].concat();
                assert_eq!(read(&text), [["a", "b"], ["1", "2"], ["3", "4"]], "{text:?}");
            }
        }
        assert_eq!(read("a\r"), [["a"]]);
        assert_eq!(line_breaks("a\r\nb\rc\n"), 3);
    }

    #[test]
    fn the_header_tells_the_separator() {
        for (text, record) in [
            ("a;b\n1,5;2\n", ["1,5", "2"]),
            ("a\tb\n1\t2", ["1", "2"]),
            ("a|b\n1|2", ["1", "2"]),
            ("\"x;y;z\",b\n1;,2", ["1;", "2"]),
            ("sep=;\r\na;b\r\n1;2", ["1", "2"]),
        ] {
            assert_eq!(read(text).last().expect("records"), &record, "{text}");
        }
        assert_eq!(read("prompt\none; two, three"), [vec!["prompt"], vec!["one; two", " three"]]);
    }

    #[test]
    fn a_quote_without_its_end_is_told_and_ends_the_text() {
        let mut records = Records::new("a\n\"b\nc");
        assert!(records.next().expect("a header").is_ok());
        assert_eq!(records.next(), Some(Err(Unclosed { at: 2, line: 2 })));
        assert_eq!(records.next(), None);
        let torn = Records::new("\"a\"b,c").next().expect("one").expect("closed");
        assert_eq!((torn.torn, &*torn.fields[0].text, &*torn.fields[1].text), (Some(3), "ab", "c"));
    }

    #[test]
    fn a_byte_order_mark_is_text() {
        for (text, records) in [
            ("\u{feff}", vec![vec!["\u{feff}"]]),
            ("\n\u{feff}\r\n", vec![vec!["\u{feff}"]]),
            ("sep=;\n\u{feff}", vec![vec!["\u{feff}"]]),
            ("\u{feff}a;\u{feff}\n", vec![vec!["\u{feff}a", "\u{feff}"]]),
            ("\u{feff}\u{feff}", vec![vec!["\u{feff}\u{feff}"]]),
        ] {
            assert_eq!(read(text), records, "{text:?}");
        }
    }

    #[test]
    fn any_text_ends() {
        let pieces = ["a", "\"", ",", ";", "\r", "\n", "ü", "\"\"", "\t", "sep=", "\u{feff}", ""];
        for seed in 0..20_000_usize {
            let mut n = seed;
            let text: String = std::iter::repeat_with(|| {
                n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                pieces[(n >> 33) % pieces.len()]
            })
            .take(seed % 12)
            .collect();
            let count = Records::new(&text).take(1_000).count();
            assert!(count <= text.len(), "{text:?}");
        }
    }
}
