//! Values of a file as what they have to be, or a sentence with the key at fault.

use serde_json::{Map, Value};

/// No reply takes longer; times of events are kept as 32 bits of microseconds.
const LONGEST_S: f64 = 4_294.0;

/// Seconds since 1970 of the year 2200.
const LATEST_S: f64 = 7.3e9;

/// A value at the end of a path such as `/info/timings/request_start`, with its name for an error.
pub struct At<'a> {
    pub value: &'a Value,
    pub key: String,
}

fn what(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(is) => is.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.chars().count() > 40 => "a long text".into(),
        Value::String(text) => format!("{text:?}"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map".into(),
    }
}

impl<'a> At<'a> {
    pub fn new(value: &'a Value, key: impl Into<String>) -> At<'a> {
        At { value, key: key.into() }
    }

    fn must_be(&self, wanted: &str) -> String {
        format!("`{}` must be {wanted}, got {}", self.key, what(self.value))
    }

    pub fn number(&self) -> Result<f64, String> {
        self.value.as_f64().ok_or_else(|| self.must_be("a number"))
    }

    /// A length of time of a reply, in units of so many seconds.
    pub fn seconds(&self, unit: f64) -> Result<f64, String> {
        let seconds = self.number()? * unit;
        match seconds {
            s if s < 0.0 => Err(self.must_be("a time from 0 on")),
            s if s > LONGEST_S => Err(self.must_be("the time of a reply (71 minutes at most)")),
            s => Ok(s),
        }
    }

    /// A moment, in seconds.
    pub fn moment(&self, unit: f64) -> Result<f64, String> {
        let seconds = self.number()? * unit;
        if (-LATEST_S..LATEST_S).contains(&seconds) { Ok(seconds) } else { Err(self.must_be("a moment")) }
    }

    /// A number of tokens; some tools write 12.0.
    pub fn count(&self) -> Result<u64, String> {
        let number = self.number()?;
        let is_count = (0.0..=f64::from(u32::MAX)).contains(&number) && number.fract() == 0.0;
        if is_count { Ok(number as u64) } else { Err(self.must_be("a whole number from 0 on")) }
    }

    pub fn list(&self) -> Result<&'a [Value], String> {
        self.value.as_array().map(Vec::as_slice).ok_or_else(|| self.must_be("a list"))
    }

    /// The entries of a list, each with its place.
    pub fn entries(&self) -> Result<Vec<At<'a>>, String> {
        let list = self.list()?.iter().enumerate();
        Ok(list.map(|(i, value)| At::new(value, format!("{}[{i}]", self.key))).collect())
    }

    /// The first value that is there at one of several paths below.
    pub fn below(&self, paths: &[&str]) -> Option<At<'a>> {
        paths.iter().find_map(|path| {
            let value = self.value.pointer(path).filter(|value| !value.is_null())?;
            let end = path.trim_start_matches('/').replace('/', ".");
            let key = if self.key.is_empty() { end } else { format!("{}.{end}", self.key) };
            Some(At::new(value, key))
        })
    }

    /// The same where one of them has to be there.
    pub fn needed(&self, paths: &[&str]) -> Result<At<'a>, String> {
        self.below(paths).ok_or_else(|| {
            let end = paths[0].trim_start_matches('/').replace('/', ".");
            match self.key.as_str() {
                "" => format!("it has no `{end}`"),
                key => format!("`{key}` has no `{end}`"),
            }
        })
    }

    pub fn text(&self) -> String {
        match self.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// A list of a map, where it is there.
pub fn list_of<'a>(map: &'a Map<String, Value>, key: &str) -> Result<Option<Vec<At<'a>>>, String> {
    let value = map.get(key).filter(|value| !value.is_null());
    value.map(|value| At::new(value, key).entries()).transpose()
}

/// JSON without the words `NaN`, `Infinity` and `-Infinity`, which Python writes and JSON does not know: they
/// become `null`.
pub fn without_nan(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let (mut in_text, mut at) = (false, 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let words: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
        if let Some(word) = words.into_iter().find(|word| !in_text && rest.starts_with(word)) {
            plain.extend_from_slice(b"null");
            at += word.len();
            continue;
        }
        // What is behind a backslash ends no text.
        let n = if in_text && rest[0] == b'\\' { rest.len().min(2) } else { 1 };
        in_text ^= rest[0] == b'"';
        plain.extend_from_slice(&rest[..n]);
        at += n;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_python_become_nothing_outside_of_texts() {
        let plain = |text: &str| String::from_utf8(without_nan(text.as_bytes())).unwrap();
        assert_eq!(plain(r#"{"a": NaN, "b": [-Infinity, Infinity]}"#), r#"{"a": null, "b": [null, null]}"#);
        let kept = r#"{"NaN": "say \"NaN\" \\", "x": 1}"#;
        assert_eq!(plain(kept), kept);
    }

    #[test]
    fn a_value_that_is_none_is_named() {
        let value = serde_json::json!({"a": {"b": "x"}, "n": 1.5, "t": [1e99, -1.0]});
        let at = At::new(&value, "");
        assert_eq!(at.needed(&["/a/c", "/c"]).err().unwrap(), "it has no `a.c`");
        let b = at.below(&["/a/b"]).unwrap();
        assert_eq!(b.number().unwrap_err(), "`a.b` must be a number, got \"x\"");
        let n = at.below(&["/n"]).unwrap();
        assert_eq!(n.count().unwrap_err(), "`n` must be a whole number from 0 on, got 1.5");
        let times = at.below(&["/t"]).unwrap().entries().unwrap();
        assert!(times[0].seconds(1.0).unwrap_err().contains("`t[0]`"));
        assert!(times[1].seconds(1.0).unwrap_err().contains("from 0 on"));
        assert!(times[0].moment(1.0).is_err());
    }
}
