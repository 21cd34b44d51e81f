//! `Yaml`: the values of a YAML file, each with the place where it stands.

use std::fmt;

use rhai::{Array, Dynamic, Map};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{Location, Spanned};

/// A value of a file and its place; line and column count from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Yaml {
    pub node: Node,
    pub line: u64,
    pub column: u64,
    /// A number or a truth as it is written, without quotes; `None` for anything else.
    pub raw: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    Int(i64),
    /// Infinity (`.inf`) among them.
    Float(f64),
    Text(String),
    List(Vec<Yaml>),
    Map(Vec<(YamlKey, Yaml)>),
}

/// The name of a value, and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct YamlKey {
    pub name: String,
    pub line: u64,
    pub column: u64,
}

/// A plan is written by hand; a script cannot hold more text than this.
const BYTES_MAX: usize = 4 << 20;

/// Reads a whole file; `file` names it in errors, which begin with `file:line:column: `.
pub fn parse(text: &str, file: &str) -> Result<Yaml, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("{file}: it has {} bytes, and a plan at most {BYTES_MAX}", text.len()));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = serde_saphyr::options! {
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        // 8 for some readers and 10 for others: who uses it decides, with the text in hand.
        leading_zero_numbers_as_strings: true,
        with_snippet: false,
    };
    let read: Result<Spanned<Node>, _> = serde_saphyr::from_str_with_options(text, options);
    match read {
        Ok(spanned) => {
            let mut yaml = Yaml::of(spanned);
            yaml.learn_raw(text);
            Ok(yaml)
        }
        Err(error) => Err(told(&error, text, file)),
    }
}

fn told(error: &serde_saphyr::Error, text: &str, file: &str) -> String {
    let words = words(&error.to_string());
    let other = match () {
        () if words.contains("bracket") || words.starts_with("illegal placement") => {
            unclosed(text).map(|(line, column, c)| {
                (line, column, format!("the bracket {c} that opens here is never closed"))
            })
        }
        () if words == TAB => tab(text).map(|(line, column)| (line, column, words.clone())),
        () => None,
    };
    if let Some((line, column, words)) = other {
        return format!("{file}:{line}:{column}: {words}");
    }
    match error.location() {
        Some(at) if at.line() > 0 => format!("{file}:{}:{}: {words}", at.line(), at.column()),
        _ => format!("{file}: {words}"),
    }
}

/// The first line of an error, without the place and the names that only a programmer knows.
fn words(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default().trim();
    let mut line = line.strip_prefix("error: ").unwrap_or(line);
    if let Some(rest) = line.strip_prefix("line ")
        && let Some((place, rest)) = rest.split_once(": ")
        && place.chars().all(|c| c.is_ascii_digit() || " ,column".contains(c))
    {
        line = rest;
    }
    let end = ["; use ", ", set ", " by the configured policy", " at line "];
    let end = end.iter().filter_map(|cut| line.find(cut)).min();
    let line = &line[..end.unwrap_or(line.len())];
    match PLAIN.iter().find(|(theirs, _)| line.contains(theirs)) {
        Some((_, plain)) => (*plain).into(),
        None => match line.strip_prefix("duplicate mapping key: ") {
            Some(key) => format!("the key {key:?} stands twice"),
            None => line.to_string(),
        },
    }
}

const TAB: &str = "a tab where only spaces may indent";

/// What the parser says, and that in plain words.
const PLAIN: [(&str, &str); 17] = [
    ("budget breached", "it is larger or deeper than a plan can be"),
    ("tabs disallowed", TAB),
    ("tab character", TAB),
    ("found a tab", TAB),
    ("unclosed quote", "the quote that opens here is never closed"),
    ("illegal placement of ':'", "a `:` inside of brackets that are not closed"),
    ("misplaced bracket", "a bracket closes here that was never opened"),
    (
        "mapping values are not allowed",
        "a `:` where none can be: indent keys alike, and put a text with `: ` in quotes",
    ),
    ("simple key expected", "a key has no `:` behind it, with a space before its value"),
    ("did not find expected key", "this does not stand in line with what is above: indent alike"),
    ("did not find expected '-'", "this does not stand in line with what is above: indent alike"),
    ("alias references unknown anchor", "the alias (*name) has no anchor (&name) above it"),
    ("multiple YAML documents", "a second document begins here (---), and a plan is one"),
    ("invalid trailing content", "there is more behind the closing quote"),
    ("unknown escape character", "a backslash that means nothing in double quotes: use single quotes"),
    ("unexpected character", "a value cannot begin with this character: put it in quotes"),
    ("invalid indentation", "this does not stand in line with what is above: indent alike"),
];

/// The last bracket that opens and is never closed, with its line and column. Quoted texts, comments
/// and brackets in the middle of words do not count.
fn unclosed(text: &str) -> Option<(usize, usize, char)> {
    let mut open: Vec<(usize, usize, char)> = Vec::new();
    let mut quote: Option<char> = None;
    for (number, line) in text.lines().enumerate() {
        let mut before = ' ';
        let mut spaced = true;
        for (column, c) in line.chars().enumerate() {
            let begins = !open.is_empty() || matches!(before, ':' | '-' | ' ' | ',');
            match (quote, c) {
                (Some(mark), c) if c == mark => quote = None,
                (Some(_), _) => {}
                (None, '#') if spaced => break,
                (None, '"' | '\'') if matches!(before, ':' | '-' | ' ' | ',' | '[' | '{') => quote = Some(c),
                (None, '[' | '{') if begins => open.push((number + 1, column + 1, c)),
                (None, ']' | '}') => drop(open.pop()),
                _ => {}
            }
            spaced = c == ' ';
            if !spaced {
                before = c;
            }
        }
    }
    open.first().copied()
}

/// The first tab that indents a line.
fn tab(text: &str) -> Option<(usize, usize)> {
    text.lines().enumerate().find_map(|(number, line)| {
        let column = line.chars().take_while(|c| c.is_whitespace()).position(|c| c == '\t')?;
        Some((number + 1, column + 1))
    })
}

impl Yaml {
    fn of(spanned: Spanned<Node>) -> Yaml {
        let at: Location = spanned.defined;
        let span = (at.span().byte_offset(), at.span().byte_len());
        // Until the text is at hand, `raw` holds where it stands.
        let raw = match (span, &spanned.value) {
            ((Some(from), Some(len)), Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Text(_)) => {
                Some(format!("{from} {len}"))
            }
            _ => None,
        };
        Yaml { node: spanned.value, line: at.line(), column: at.column(), raw }
    }

    fn learn_raw(&mut self, text: &str) {
        match &mut self.node {
            Node::List(items) => items.iter_mut().for_each(|item| item.learn_raw(text)),
            Node::Map(items) => items.iter_mut().for_each(|(_, item)| item.learn_raw(text)),
            _ => {}
        }
        let Some(span) = self.raw.take() else { return };
        let place =
            span.split_once(' ').and_then(|(from, len)| Some((from.parse().ok()?, len.parse().ok()?)));
        let Some((from, len)) = place else { return };
        let from: usize = from;
        let len: usize = len;
        let Some(written) = text.get(from..from.saturating_add(len)) else { return };
        let written = written.trim();
        let plain = !written.is_empty()
            && !written.starts_with(['"', '\'', '!', '&', '|', '>'])
            && !written.contains('\n');
        if plain && (!matches!(self.node, Node::Text(_)) || is_zero_led(written)) {
            self.raw = Some(written.into());
        }
    }

    /// `file:line:column`.
    pub fn place(&self, file: &str) -> String {
        format!("{file}:{}:{}", self.line, self.column)
    }

    /// Whether it is a bare number with leading zeros, which readers of YAML do not agree about.
    pub fn is_ambiguous(&self) -> bool {
        self.raw.as_deref().is_some_and(is_zero_led)
    }

    /// As a script value.
    pub fn to_dynamic(&self) -> Dynamic {
        match &self.node {
            Node::Null => Dynamic::UNIT,
            Node::Bool(truth) => (*truth).into(),
            Node::Int(int) => (*int).into(),
            Node::Float(float) => (*float).into(),
            Node::Text(text) => text.as_str().into(),
            Node::List(items) => items.iter().map(Yaml::to_dynamic).collect::<Array>().into(),
            Node::Map(items) => items
                .iter()
                .map(|(key, item)| (key.name.as_str().into(), item.to_dynamic()))
                .collect::<Map>()
                .into(),
        }
    }
}

/// `010`, `-007`; not `0`, `0.5`, `0x1F`.
fn is_zero_led(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    digits.len() > 1 && digits.starts_with('0') && digits.chars().all(|c| c.is_ascii_digit() || c == '_')
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_bool<E>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::Bool(truth))
    }
    fn visit_i64<E>(self, int: i64) -> Result<Node, E> {
        Ok(Node::Int(int))
    }
    fn visit_u64<E>(self, int: u64) -> Result<Node, E> {
        Ok(i64::try_from(int).map_or(Node::Float(int as f64), Node::Int))
    }
    fn visit_f64<E>(self, float: f64) -> Result<Node, E> {
        Ok(Node::Float(float))
    }
    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.into()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element::<Spanned<Node>>()? {
            items.push(Yaml::of(item));
        }
        Ok(Node::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some((key, item)) = map.next_entry::<Spanned<String>, Spanned<Node>>()? {
            let (line, column) = (key.defined.line(), key.defined.column());
            items.push((YamlKey { name: key.value, line, column }, Yaml::of(item)));
        }
        Ok(Node::Map(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        parse(text, "c.yaml").map_or_else(|told| format!("! {told}"), |yaml| yaml.to_dynamic().to_string())
    }

    #[test]
    fn what_programs_write_is_read() {
        for (text, wanted) in [
            ("a: .inf", "#{\"a\": inf}"),
            ("a: -.INF", "#{\"a\": -inf}"),
            ("a: .nan", "#{\"a\": NaN}"),
            ("a: \"10\"", "#{\"a\": \"10\"}"),
            ("a: 1e3", "#{\"a\": 1000.0}"),
            ("a: 0x10", "#{\"a\": 16}"),
            ("a: ~\nb:", "#{\"a\": (), \"b\": ()}"),
            ("a: yes\nb: off", "#{\"a\": true, \"b\": false}"),
            ("\u{feff}a: 1\r\nb: 2\r\n", "#{\"a\": 1, \"b\": 2}"),
            ("---\na: 1\n...\n", "#{\"a\": 1}"),
            ("x-l: &l [[1, 2]]\na: *l", "#{\"a\": [[1, 2]], \"x-l\": [[1, 2]]}"),
            (
                "x: &b {c: 1, d: 2}\na:\n  <<: *b\n  d: 3",
                "#{\"a\": #{\"c\": 1, \"d\": 3}, \"x\": #{\"c\": 1, \"d\": 2}}",
            ),
            ("10: a", "#{\"10\": \"a\"}"),
            ("a: 99999999999999999999", "#{\"a\": 1e20}"),
            ("", ""),
        ] {
            assert_eq!(value(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_file_line_and_column() {
        for (text, wanted) in [
            ("a: 1\na: 2", "! c.yaml:2:1: the key \"a\" stands twice"),
            ("a:\n\t- 1", "! c.yaml:2:1: a tab where only spaces may indent"),
            ("a: 1\n\tb: 2", "! c.yaml:2:1: a tab where only spaces may indent"),
            ("a: [1, 2", "! c.yaml:1:4: the bracket [ that opens here is never closed"),
            ("a: 1\nb: [[8, 4]\nc: 2", "! c.yaml:2:4: the bracket [ that opens here is never closed"),
            ("a: [[8, 4], [2, 3\n", "! c.yaml:1:4: the bracket [ that opens here is never closed"),
            ("a: {b: 1\n", "! c.yaml:1:4: the bracket { that opens here is never closed"),
            ("a: it's [x] # [\nb: [1\n", "! c.yaml:2:4: the bracket [ that opens here is never closed"),
            ("a: [1]]\n", "! c.yaml:1:7: a bracket closes here that was never opened"),
            ("a: \"x\nb: 1\n", "! c.yaml:1:4: the quote that opens here is never closed"),
            ("a: 'x\n", "! c.yaml:1:4: the quote that opens here is never closed"),
            ("a: 1\n  b: 2", "! c.yaml:2:4: a `:` where none can be"),
            ("a: b: c", "! c.yaml:1:5: a `:` where none can be"),
            ("a: 1\nb 2\n", "! c.yaml:2:1: a key has no `:` behind it"),
            ("a: 1\n- b\n", "! c.yaml:2:3: this does not stand in line"),
            ("a:\n  - 1\n - 2\n", "! c.yaml:3:2: this does not stand in line"),
            ("a: @b", "! c.yaml:1:4: a value cannot begin with this character"),
            ("a: `b`", "! c.yaml:1:4: a value cannot begin with this character"),
            ("a: 1\n---\nb: 2", "! c.yaml:3:1: a second document begins here (---)"),
            ("a: \"b\" c", "! c.yaml:1:8: there is more behind the closing quote"),
            ("a: \"\\q\"", "! c.yaml:1:4: a backslash that means nothing"),
            ("a: *gone", "! c.yaml:1:4: the alias (*name) has no anchor"),
        ] {
            let told = value(text);
            assert!(told.starts_with(wanted), "{text:?}: {told}");
            let jargon = ["Policy", "scalar", "mapping", "scanning", "parsing", "block", "indicator"];
            assert!(jargon.iter().all(|word| !told.contains(word)), "{told}");
        }
        let deep = format!("a: {}1", "[".repeat(4000));
        assert!(value(&deep).starts_with("! c.yaml:"), "{}", value(&deep));
    }

    #[test]
    fn values_know_their_place_and_how_they_were_written() {
        let yaml = parse("a: 1\nb:\n  - 1.50\n  - '010'\n  - 010\n  - no\n", "c.yaml").unwrap();
        let Node::Map(map) = &yaml.node else { panic!("{yaml:?}") };
        assert_eq!(map[0].1.place("c.yaml"), "c.yaml:1:4");
        let Node::List(list) = &map[1].1.node else { panic!("{yaml:?}") };
        assert_eq!(list[0].place("c.yaml"), "c.yaml:3:5");
        let raw: Vec<Option<&str>> = list.iter().map(|item| item.raw.as_deref()).collect();
        assert_eq!(raw, [Some("1.50"), None, Some("010"), Some("no")]);
        assert_eq!(list.iter().map(Yaml::is_ambiguous).collect::<Vec<_>>(), [false, false, true, false]);
        assert_eq!(list[2].node, Node::Text("010".into()));
    }
}
