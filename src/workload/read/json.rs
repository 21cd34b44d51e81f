//! JSON text taken apart without being rebuilt: fields of an object, elements of an array, each
//! as the text that it is.

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// A value and the byte of the text at which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) json: &'a str,
    pub(super) at: usize,
}

/// What is wrong, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) words: String,
}

/// The fields of an object that is the whole text, in order.
pub(super) fn fields(text: &str) -> Result<Vec<(Cow<'_, str>, Piece<'_>)>, Wrong> {
    let mut scan = Scan { text, at: 0 };
    scan.open(b'{', "an object")?;
    let mut fields = Vec::new();
    while scan.goes_on(b'}', fields.is_empty())? {
        if scan.peek() != Some(b'"') {
            return Err(scan.wrong(scan.at, "expected the name of a field in quotes"));
        }
        let name = scan.value()?;
        if !name.json.starts_with('"') {
            return Err(scan.wrong(name.at, "expected the name of a field in quotes"));
        }
        scan.expect(b':', "expected `:` after the name of a field")?;
        let name = string(name.json).map_err(|words| scan.wrong(name.at, &words))?;
        let value = scan.no_number().map_or_else(|| scan.value(), Ok)?;
        fields.push((name, value));
    }
    scan.end()?;
    Ok(fields)
}

/// The elements of an array that is the whole text, one by one; after an error there are none.
pub(super) fn elements(text: &str) -> Elements<'_> {
    Elements { scan: Scan { text, at: 0 }, state: State::Before, start: None }
}

pub(super) struct Elements<'a> {
    scan: Scan<'a>,
    state: State,
    /// Where the element begins whose value is being read; `None`: it was read.
    start: Option<usize>,
}

#[derive(PartialEq)]
enum State {
    Before,
    First,
    Inside,
    Done,
}

impl<'a> Elements<'a> {
    fn step(&mut self) -> Result<Option<Piece<'a>>, Wrong> {
        if self.state == State::Before {
            self.scan.open(b'[', "a list")?;
            self.state = State::First;
        }
        if !self.scan.goes_on(b']', self.state == State::First)? {
            self.state = State::Done;
            return self.scan.end().map(|()| None);
        }
        self.state = State::Inside;
        self.scan.peek();
        self.start = Some(self.scan.at);
        let value = self.scan.value()?;
        self.start = None;
        Ok(Some(value))
    }

    /// After an error: the element as far as its brackets go, which is no JSON, and the elements go
    /// on behind it. `None`: nobody knows where it ends.
    pub(super) fn salvage(&mut self) -> Option<Piece<'a>> {
        let start = self.start.take()?;
        let rest = &self.scan.text[start..];
        let length = extent(rest)?;
        self.scan.at = start + length;
        self.state = State::Inside;
        Some(Piece { json: &rest[..length], at: start })
    }
}

/// The length of an object or a list at the beginning of a text, by its brackets alone.
fn extent(text: &str) -> Option<usize> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let (mut open, mut quoted, mut escaped) = (Vec::new(), false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' if open.pop() != Some(byte) => return None,
            _ if open.is_empty() => return (at > 0).then_some(at + 1),
            _ => {}
        }
    }
    None
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Piece<'a>, Wrong>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.state = State::Done;
        }
        step.transpose()
    }
}

/// A JSON string as text.
pub(super) fn string(json: &str) -> Result<Cow<'_, str>, String> {
    let plain = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    match plain.filter(|plain| !plain.contains('\\')) {
        Some(plain) => Ok(plain.into()),
        None => serde_json::from_str::<String>(json).map(Cow::Owned).map_err(|error| match words(&error) {
            words if words.contains("hex escape") => "half of a surrogate pair (\\ud800) is no text".into(),
            words => words,
        }),
    }
}

/// The words of a parser's error, without its place.
pub(super) fn words(error: &serde_json::Error) -> String {
    let whole = error.to_string();
    let words = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(problem, _)| problem);
    match words.starts_with("control character") {
        true => "a tab or another control character stands in a text as it is".into(),
        false => words.into(),
    }
}

/// The byte of `text` that an error of its parser means.
pub(super) fn offset(text: &str, error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let start: usize = lines.map(str::len).sum();
    floor(text, start + error.column().saturating_sub(1))
}

/// The nearest boundary of a character at or below a byte of the text.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rfind(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn wrong(&self, at: usize, words: &str) -> Wrong {
        Wrong { at: floor(self.text, at), words: words.into() }
    }

    /// Steps over white space and shows the byte behind it.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let space = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        self.at += space.unwrap_or(rest.len());
        self.text.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, byte: u8, otherwise: &str) -> Result<(), Wrong> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.wrong(self.at, otherwise)),
        }
    }

    fn open(&mut self, byte: u8, what: &str) -> Result<(), Wrong> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            _ => {
                // What is no JSON at all has the parser's words.
                let at = self.at;
                if self.value().is_err_and(|wrong| wrong.at > at) || self.at == at {
                    return Err(self.wrong(at, "this is no JSON"));
                }
                let found = kind(&self.text[at..]);
                Err(self.wrong(at, &format!("expected {what}, got {found}")))
            }
        }
    }

    /// Steps to the next element, or over `close`.
    fn goes_on(&mut self, close: u8, first: bool) -> Result<bool, Wrong> {
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if first => Ok(true),
            None => Err(self.wrong(self.at, "the JSON ends in the middle")),
            Some(_) => Err(self.wrong(self.at, &format!("expected `,` or `{}`", char::from(close)))),
        }
    }

    fn end(&mut self) -> Result<(), Wrong> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.wrong(self.at, "more text behind the JSON")),
        }
    }

    /// `NaN` and infinity as Python writes them: no JSON, and harmless where nobody asks for them.
    fn no_number(&mut self) -> Option<Piece<'a>> {
        self.peek();
        let (at, rest) = (self.at, &self.text[self.at..]);
        let word = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| rest.starts_with(word))?;
        self.at += word.len();
        Some(Piece { json: &rest[..word.len()], at })
    }

    fn value(&mut self) -> Result<Piece<'a>, Wrong> {
        self.peek();
        let (at, rest) = (self.at, &self.text[self.at..]);
        let mut parser = serde_json::Deserializer::from_str(rest);
        if let Err(error) = IgnoredAny::deserialize(&mut parser) {
            return Err(self.wrong(at + offset(rest, &error), &words(&error)));
        }
        let length = parser.into_iter::<IgnoredAny>().byte_offset();
        self.at += length;
        Ok(Piece { json: &rest[..length], at })
    }
}

/// What a JSON value is, by its first byte.
pub(super) fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "text",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        Some(b'N' | b'I') => "no number",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extent_is_that_of_an_object_or_a_list_alone() {
        for (text, length) in [
            ("{\"a\": [1, \"}\"]} , 2", Some(15)),
            ("[\u{fdd0}]\u{fdd0}", Some(5)),
            ("{\"a\": 1", None),
            ("{\"a\": 1]", None),
            ("\"},\n {\"\u{fdd0}rompf", None),
            ("\"a\"\u{fdd0}", None),
            ("12}", None),
            ("", None),
        ] {
            assert_eq!(extent(text), length, "{text}");
        }
    }

    #[test]
    fn fields_and_elements_are_the_text_that_they_are() {
        let text = r#" {"a" : 1.50e0 ,"b\u0041":[ {"c":"\/"} ], "a":null,"d":-0} "#;
        let found = fields(text).expect("an object");
        let found: Vec<(&str, &str)> = found.iter().map(|(name, piece)| (&**name, piece.json)).collect();
        assert_eq!(found, [("a", "1.50e0"), ("bA", r#"[ {"c":"\/"} ]"#), ("a", "null"), ("d", "-0")]);
        assert!(
            fields(text)
                .expect("an object")
                .iter()
                .all(|(_, piece)| text[piece.at..].starts_with(piece.json))
        );
        let list: Vec<&str> =
            elements("[1, \"a,]\" ,[2],{}]").map(|piece| piece.expect("good").json).collect();
        assert_eq!(list, ["1", "\"a,]\"", "[2]", "{}"]);
        assert_eq!((fields("{}"), elements(" [ ] ").count()), (Ok(vec![]), 0));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let of = |text: &str| fields(text).map(drop).expect_err(text);
        for (text, at, words) in [
            ("", 0, "this is no JSON"),
            ("[1]", 0, "expected an object, got a list"),
            ("5", 0, "expected an object, got a number"),
            ("prompt;x", 0, "this is no JSON"),
            ("{\"a\": 1", 7, "the JSON ends in the middle"),
            ("{\"a\": }", 6, "expected value"),
            ("{\"a\" 1}", 5, "expected `:` after the name of a field"),
            ("{a: 1}", 1, "key must be a string"),
            ("{\"a\": 1 \"b\"}", 8, "expected `,` or `}`"),
            ("{\"a\": 1} x", 9, "more text behind the JSON"),
            ("{\"ü\": \"é", 8, "EOF while parsing a string"),
        ] {
            let wrong = of(text);
            let told = if text == "{a: 1}" { words } else { &wrong.words };
            assert_eq!((wrong.at, told), (at, words), "{text}: {wrong:?}");
        }
        let mut list = elements("[1, x, 2]");
        assert!(list.next().is_some_and(|piece| piece.is_ok()));
        assert_eq!(list.next(), Some(Err(Wrong { at: 4, words: "expected value".into() })));
        assert_eq!(list.next(), None);
    }

    #[test]
    fn a_value_that_is_nested_without_end_needs_no_stack() {
        let deep = [&"[".repeat(200_000), "1", &"]".repeat(200_000)].concat();
        assert_eq!(fields(&format!("{{\"a\":{deep}}}")).expect("an object").len(), 1);
        assert!(fields(&"{\"a\":".repeat(200_000)).is_err());
    }
}
