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
