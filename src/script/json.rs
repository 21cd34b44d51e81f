//! Script values to JSON and back.

use rhai::{Dynamic, Map};
use serde_json::Value;

/// A script value as JSON. Secrets and other handles become null; a float that JSON cannot hold
/// becomes its name.
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
    if let Ok(text) = value.clone().into_string() {
        return text.into();
    }
    if let Some(list) = value.clone().try_cast::<rhai::Array>() {
        return list.iter().map(from_dynamic).collect();
    }
    value.clone().try_cast::<Map>().map_or(Value::Null, |map| Value::Object(object(&map)))
}

/// A map as a JSON object.
pub fn object(map: &Map) -> serde_json::Map<String, Value> {
    map.iter().map(|(key, value)| (key.to_string(), from_dynamic(value))).collect()
}

/// As [`object`], for what is sent to a server: nothing in it may be lost on the way. Fails with
/// the place of the first value that JSON does not have.
pub fn faithful(map: &Map) -> Result<serde_json::Map<String, Value>, String> {
    map.iter().try_for_each(|(key, value)| has_json(value, key))?;
    Ok(object(map))
}

fn has_json(value: &Dynamic, at: &str) -> Result<(), String> {
    if let Some(list) = value.clone().try_cast::<rhai::Array>() {
        return list.iter().enumerate().try_for_each(|(i, value)| has_json(value, &format!("{at}[{i}]")));
    }
    if let Some(map) = value.clone().try_cast::<Map>() {
        return map.iter().try_for_each(|(key, value)| has_json(value, &format!("{at}.{key}")));
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
