//! JSON as servers write it: read as it is where it is right, mended where it is not.
//!
//! A reply is worth more than a field of it. Half a surrogate pair, a `NaN`, a number that no
//! number holds, a trailing comma, bytes that are no UTF-8: each costs itself and nothing else.

use serde::Deserialize;
use serde::de::Error;
use serde_json::{Map, Value};

/// Containers inside containers; what lies deeper reads as null.
const DEPTH_MAX: usize = 100;

/// Reads a JSON object. A list, which serde would take for the fields in order, is none.
pub(super) fn object<'a, T: Deserialize<'a>>(data: &'a [u8]) -> serde_json::Result<T> {
    if data.trim_ascii_start().starts_with(b"[") {
        return Err(serde_json::Error::custom("a list where an object should be"));
    }
    // One look at all bytes costs less than one at each of the many strings.
    match std::str::from_utf8(data) {
        Ok(data) => serde_json::from_str(data),
        Err(error) => Err(serde_json::Error::custom(error)),
    }
}

/// Reads an object that [`object`] could not read: any field may be anything. Fails when there
/// is no object.
pub(super) fn mended(data: &[u8]) -> serde_json::Result<Map<String, Value>> {
    serde_json::from_str(&mend(&String::from_utf8_lossy(data)))
}

/// JSON without the faults that can be taken away, one value of it.
pub(super) fn mend(text: &str) -> String {
    let mut mender =
        Mender { rest: text.trim_start_matches(['\u{feff}', '\0']), out: String::new(), depth: 0 };
    mender.out.reserve(text.len() + 16);
    while let Some(next) = mender.rest.chars().next() {
        mender.step(next);
    }
    while mender.out.ends_with([',', ';', '\0']) || mender.out.ends_with(char::is_whitespace) {
        mender.out.pop();
    }
    mender.out
}

struct Mender<'a> {
    rest: &'a str,
    out: String,
    depth: usize,
}

impl Mender<'_> {
    fn step(&mut self, next: char) {
        match next {
            '"' => self.string(),
            '{' | '[' => {
                self.depth += 1;
                match self.depth {
                    // In the place of what is left out.
                    DEPTH_MAX => self.instead("null"),
                    _ => self.shown(next),
                }
            }
            '}' | ']' => {
                if self.depth < DEPTH_MAX {
                    let kept = self.out.trim_end().strip_suffix(',').map_or(self.out.len(), str::len);
                    self.out.truncate(kept);
                }
                match self.depth {
                    DEPTH_MAX => self.instead(""),
                    _ => self.shown(next),
                }
                self.depth = self.depth.saturating_sub(1);
            }
            '-' | '+' | '.' | '0'..='9' => {
                self.word(|c| matches!(c, '-' | '+' | '.') || c.is_ascii_alphanumeric())
            }
            'a'..='z' | 'A'..='Z' | '_' => self.word(|c| c == '_' || c.is_ascii_alphanumeric()),
            _ => self.shown(next),
        }
    }

    /// `words` in the place of a bracket.
    fn instead(&mut self, words: &str) {
        self.out.push_str(words);
        self.rest = &self.rest[1..];
    }

    fn shown(&mut self, next: char) {
        if self.depth < DEPTH_MAX {
            self.out.push(next);
        }
        self.rest = &self.rest[next.len_utf8()..];
    }

    /// A number or a bare word: as it is when it is JSON, else null.
    fn word(&mut self, belongs: impl Fn(char) -> bool) {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        let right = matches!(word, "true" | "false" | "null")
            || serde_json::from_str::<serde_json::Number>(word).is_ok();
        let word = if right { word.to_string() } else { String::from("null") };
        if self.depth < DEPTH_MAX {
            self.out.push_str(&word);
        }
        self.rest = &self.rest[end..];
    }

    fn string(&mut self) {
        let shown = self.depth < DEPTH_MAX;
        let length = self.out.len();
        self.shown('"');
        while let Some(next) = self.rest.chars().next() {
            match next {
                '"' => {
                    self.shown('"');
                    break;
                }
                '\\' => self.escape(),
                '\0'..='\u{1f}' => {
                    self.out.push_str(&format!("\\u{:04x}", u32::from(next)));
                    self.rest = &self.rest[1..];
                }
                _ => {
                    // A run without anything of interest at once.
                    let end = self.rest.find(|c| matches!(c, '"' | '\\' | '\0'..='\u{1f}'));
                    let run = &self.rest[..end.unwrap_or(self.rest.len())];
                    self.out.push_str(run);
                    self.rest = &self.rest[run.len()..];
                }
            }
        }
        if !shown {
            self.out.truncate(length);
        }
    }

    /// An escape: half of a surrogate pair becomes U+FFFD, an escape that there is not its text.
    fn escape(&mut self) {
        let bytes = self.rest.as_bytes();
        let hex = |at: usize| {
            let digits = self.rest.get(at..at + 4).filter(|_| self.rest.get(at - 2..at) == Some("\\u"));
            digits
                .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        };
        let (kept, used): (&str, usize) = match (bytes.get(1), hex(2)) {
            (Some(b'u'), Some(0xd800..=0xdbff)) if matches!(hex(8), Some(0xdc00..=0xdfff)) => {
                (&self.rest[..12], 12)
            }
            (Some(b'u'), Some(0xd800..=0xdfff)) => ("\\ufffd", 6),
            (Some(b'u'), Some(_)) => (&self.rest[..6], 6),
            (Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'), _) => (&self.rest[..2], 2),
            _ => ("\\\\", 1),
        };
        self.out.push_str(kept);
        self.rest = &self.rest[used..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use serde_json::json;

    #[test]
    fn each_fault_costs_itself_and_nothing_else() {
        for (written, value) in [
            (r#"{"a":"\ud83d\ude00"}"#, json!({"a": "😀"})),
            (r#"{"a":"x\ud83d"}"#, json!({"a": "x\u{fffd}"})),
            (r#"{"a":"\ude00\ud83dx"}"#, json!({"a": "\u{fffd}\u{fffd}x"})),
            (r#"{"a":"\ud83d\u0041"}"#, json!({"a": "\u{fffd}A"})),
            (r#"{"a":"\u12"}"#, json!({"a": "\\u12"})),
            (r#"{"a":"\x41 \' \\ \" é"}"#, json!({"a": "\\x41 \\' \\ \" é"})),
            ("{\"a\":\"one\ntwo\t\"}", json!({"a": "one\ntwo\t"})),
            (
                r#"{"a":NaN,"b":-Infinity,"c":Infinity,"d":[-nan,1]}"#,
                json!({"a": null, "b": null, "c": null, "d": [null, 1]}),
            ),
            (
                r#"{"a":1e400,"b":-1e400,"c":.5,"d":+1,"e":007,"f":1.}"#,
                json!({"a": null, "b": null, "c": null, "d": null, "e": null, "f": null}),
            ),
            (
                r#"{"a":None,"b":True,"c":undefined,"d":12,"e":-0.5e1}"#,
                json!({"a": null, "b": null, "c": null, "d": 12, "e": -5.0}),
            ),
            (r#"{"a":[1,2,],"b":{"c":3,},}"#, json!({"a": [1, 2], "b": {"c": 3}})),
            ("\u{feff}{\"a\":1}\0\0", json!({"a": 1})),
            ("{\"a\":1},\n", json!({"a": 1})),
            (r#"{"a":"{[NaN,]}"}"#, json!({"a": "{[NaN,]}"})),
            (r#"{"a":1,"a":2}"#, json!({"a": 2})),
        ] {
            let read = mended(written.as_bytes()).unwrap_or_else(|error| panic!("{written}: {error}"));
            assert_eq!(Value::Object(read), value, "{written}");
        }
        let read = mended(b"{\"a\":\"x\xff\xe6\x97y\"}").expect("an object");
        assert_eq!(read["a"], "x\u{fffd}\u{fffd}y");
    }

    #[test]
    fn what_is_no_object_stays_none() {
        for written in [
            "",
            "{",
            "[1]",
            "\"x\"",
            "hello",
            "5",
            "{hello}",
            "{\"a\":}",
            "{\"a\":1",
            "{\"a\":1}{\"b\":2}",
            "{\"a\" 1}",
        ] {
            assert!(mended(written.as_bytes()).is_err(), "{written}");
        }
    }

    #[test]
    fn a_pit_of_brackets_is_cut_off_and_the_rest_is_read() {
        for depth in [50, 99, 100, 101, 5_000, 200_000] {
            let pit = format!("{{\"a\":{}\"in\"{},\"b\":\"out\"}}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(mended(pit.as_bytes()).expect("an object")["b"], "out", "{depth}");
        }
        assert!(mended("[".repeat(1_000_000).as_bytes()).is_err());
    }

    #[test]
    fn what_is_right_is_left_as_it_is() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(11);
        for _ in 0..2_000 {
            let value = any(&mut random, 0);
            let written = value.to_string();
            assert_eq!(serde_json::from_str::<Value>(&mend(&written)).ok(), Some(value), "{written}");
        }
    }

    #[test]
    fn no_bytes_whatever_panic() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(12);
        let pieces = [
            "{", "}", "[", "]", "\"", "\\", "\\u", "d83d", "\\ude00", ",", ":", "-", "1", "e4", "NaN", "é",
            "\0", "\n", " ", "null",
        ];
        for _ in 0..5_000 {
            let text: String = (0..random.random_range(0..30))
                .map(|_| pieces[random.random_range(0..pieces.len())])
                .collect();
            let _ = mended(text.as_bytes());
        }
    }

    fn any(random: &mut rand_chacha::ChaCha8Rng, depth: u32) -> Value {
        match random.random_range(0..if depth < 4 { 7 } else { 5 }) {
            0 => Value::Null,
            1 => random.random_bool(0.5).into(),
            2 => random.random::<i64>().into(),
            3 => json!(f64::from(random.random::<i32>()) / 4.0),
            4 => ["", "a", "é\n\"\\/", "\u{1}", "😀", "{,}", "NaN"][random.random_range(0..7)].into(),
            5 => (0..random.random_range(0..4)).map(|_| any(random, depth + 1)).collect(),
            _ => (0..random.random_range(0..4)).map(|i| (format!("k{i}"), any(random, depth + 1))).collect(),
        }
    }
}
