//! Script values to JSON and back.

use super::text::DEPTH_MAX;
use crate::os::heap;
use rhai::{Array, Dynamic, ImmutableString, Map};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A script value as JSON. Secrets and other handles become null; a float that JSON cannot hold
/// becomes its name. What a script hands over is weighed first ([`super::weight::weigh`]).
pub fn from_dynamic(value: &Dynamic) -> Value {
    if let Ok(int) = value.as_int() {
        return int.into();
    }
    if let Ok(float) = value.as_float() {
        return serde_json::Number::from_f64(float)
            .map_or_else(|| Value::String(float.to_string()), Value::Number);
    }
    if let Ok(truth) = value.as_bool() {
        return truth.into();
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return text.as_str().into();
    }
    if let Some(list) = value.read_lock::<Array>() {
        return list.iter().map(from_dynamic).collect();
    }
    value.read_lock::<Map>().map_or(Value::Null, |map| Value::Object(object(&map)))
}

/// A map as a JSON object.
pub fn object(map: &Map) -> serde_json::Map<String, Value> {
    map.iter().map(|(key, value)| (key.to_string(), from_dynamic(value))).collect()
}

/// As [`object`], for what is sent to a server: nothing in it may be lost on the way. Fails with
/// the place of the first value that JSON does not have.
pub fn faithful(map: &Map) -> Result<serde_json::Map<String, Value>, String> {
    super::weight::check(map.values())?;
    map.iter().try_for_each(|(key, value)| has_json(value, key, 0))?;
    Ok(object(map))
}

fn has_json(value: &Dynamic, at: &str, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("cannot send what nests more than {DEPTH_MAX} levels deep"));
    }
    if let Some(list) = value.read_lock::<Array>() {
        let mut items = list.iter().enumerate();
        return items.try_for_each(|(i, value)| has_json(value, &format!("{at}[{i}]"), depth + 1));
    }
    if let Some(map) = value.read_lock::<Map>() {
        return map.iter().try_for_each(|(key, value)| has_json(value, &format!("{at}.{key}"), depth + 1));
    }
    let plain = value.is_unit() || value.is_int() || value.is_bool() || value.is_string();
    match value.as_float() {
        Ok(float) if !float.is_finite() => Err(format!("cannot send {float} (at {at})")),
        Err(_) if !plain => Err(format!(
            "cannot send {} (at {at})",
            super::fault::a(&super::vocabulary::friendly(value.type_name()))
        )),
        _ => Ok(()),
    }
}

/// A script value as JSON text; functions and handles become the names of their types.
pub fn written(value: &Dynamic) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// JSON text as a script value, built piece by piece: it ends where the script may hold no more.
pub fn parse(text: &str) -> Result<Dynamic, serde_json::Error> {
    serde_json::from_str::<Held>(text).map(|held| held.0)
}

/// A script value on its way out of a text.
struct Held(Dynamic);

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Held, D::Error> {
        deserializer.deserialize_any(Reader).map(Held)
    }
}

struct Reader;

impl Reader {
    fn room<E: serde::de::Error>() -> Result<(), E> {
        match heap::over() {
            true => Err(E::custom(format!("it is too large: a script may hold {} MB", heap::MOST >> 20))),
            false => Ok(()),
        }
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Dynamic;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Dynamic, E> {
        Ok(Dynamic::UNIT)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Dynamic, E> {
        Ok(truth.into())
    }

    fn visit_i64<E>(self, int: i64) -> Result<Dynamic, E> {
        Ok(int.into())
    }

    fn visit_u64<E>(self, int: u64) -> Result<Dynamic, E> {
        Ok(i64::try_from(int).map_or_else(|_| (int as f64).into(), Dynamic::from))
    }

    fn visit_f64<E>(self, float: f64) -> Result<Dynamic, E> {
        Ok(float.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Dynamic, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Dynamic, A::Error> {
        let mut list = Array::new();
        while let Some(Held(item)) = items.next_element()? {
            Reader::room()?;
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Dynamic, A::Error> {
        let mut map = Map::new();
        while let Some((key, Held(value))) = entries.next_entry::<String, Held>()? {
            Reader::room()?;
            map.insert(key.into(), value);
        }
        Ok(map.into())
    }
}

/// JSON as a script value; null is `()`.
pub fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match number.as_i64() {
            Some(int) => int.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(list) => list.iter().map(to_dynamic).collect::<rhai::Array>().into(),
        Value::Object(map) => to_map(map).into(),
    }
}

pub fn to_map(map: &serde_json::Map<String, Value>) -> Map {
    map.iter().map(|(key, value)| (key.as_str().into(), to_dynamic(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_script_values() {
        let text = r#" {"a": [1, -2.5, 9223372036854775808, true, null, "x\u00e9"], "b": {}} "#;
        let parsed = parse(text).unwrap();
        assert_eq!(parsed.to_string(), to_dynamic(&serde_json::from_str(text).unwrap()).to_string());
        assert!(parse("[1,]").unwrap_err().to_string().contains("line 1 column 4"));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse(&deep).unwrap_err().to_string().contains("recursion limit"));
    }

    #[test]
    fn what_json_does_not_have_is_not_sent_as_something_else() {
        let told = |value: Dynamic| faithful(&Map::from([("a".into(), value)])).unwrap_err();
        assert_eq!(told(f64::NAN.into()), "cannot send NaN (at a)");
        assert_eq!(
            told(vec![Dynamic::from(1_i64), f64::INFINITY.into()].into()),
            "cannot send inf (at a[1])"
        );
        let inner = Map::from([("b".into(), rhai::FnPtr::new("f").unwrap().into())]);
        assert_eq!(told(inner.into()), "cannot send a function (at a.b)");
        let fine = Map::from([("a".into(), Dynamic::UNIT), ("b".into(), 1.5.into())]);
        assert_eq!(Value::Object(faithful(&fine).unwrap()).to_string(), r#"{"a":null,"b":1.5}"#);
    }
}
