//! Files and texts that become script values.

use super::json;
use super::state::State;
use crate::error::{Error, Result, nearest};
use rhai::{Array, Dynamic, Map};
use serde_json::Value;

/// Reads a granted file by its ending.
pub fn read(state: &State, path: &str) -> Result<Dynamic> {
    let real = state.access.may_read(path)?;
    let cannot = |what: String| Error::usage(format!("cannot read {path}: {what}"));
    let bytes = std::fs::read(&real).map_err(|error| cannot(super::state::plain(&error)))?;
    let ending = real.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    if ending == "csv" {
        let rows = crate::stats::csv::parse_csv(&bytes).map_err(cannot)?;
        return Ok(rows.iter().map(|row| json::to_map(row).into()).collect::<Array>().into());
    }
    let text = String::from_utf8(bytes).map_err(|_| cannot("it is not UTF-8 text".into()))?;
    state.access.learn(&real, &text);
    let value = match ending.as_str() {
        "yaml" | "yml" => {
            serde_saphyr::from_str::<Value>(&text).map_err(|error| cannot(first_line(&error)))?
        }
        "json" => serde_json::from_str(&text).map_err(|error| cannot(error.to_string()))?,
        "jsonl" => lines(&text).map_err(cannot)?,
        _ => {
            return Err(cannot(format!("its ending {ending:?} is none of .yaml, .yml, .json, .jsonl, .csv")));
        }
    };
    Ok(json::to_dynamic(&value))
}

fn first_line(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim().to_string()
}

fn lines(text: &str) -> std::result::Result<Value, String> {
    let rows = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    rows.map(|(i, line)| {
        serde_json::from_str::<Value>(line)
            .map_err(|error| format!("line {}, column {}: {error}", i + 1, error.column()))
    })
    .collect()
}

/// Refuses what a file should not have, and what it lacks.
pub fn known_keys(map: &Map, file: &str, required: &Array, optional: &Array) -> Result<()> {
    let names: Vec<String> = required.iter().chain(optional).map(ToString::to_string).collect();
    for key in map.keys() {
        if !names.iter().any(|name| name == key.as_str()) {
            let near = nearest(key, names.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            let known = names.join(", ");
            return Err(Error::usage(format!(
                "{file}: unknown key {:?}{near} (keys: {known})",
                key.as_str()
            )));
        }
    }
    for name in required.iter().map(ToString::to_string) {
        if map.get(name.as_str()).is_none_or(Dynamic::is_unit) {
            return Err(Error::usage(format!("{file}: the key {name:?} is missing")));
        }
    }
    Ok(())
}

/// A JSON object from the command line.
pub fn json(text: &str, what: &str) -> Result<Dynamic> {
    if text.trim().is_empty() {
        return Ok(Map::new().into());
    }
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Error::usage(format!("{what}: this is no JSON: {error}")))?;
    Ok(json::to_dynamic(&value))
}

/// `KEY=VALUE` each.
pub fn pairs(list: Array, what: &str) -> Result<Map> {
    let mut map = Map::new();
    for pair in list {
        let pair = pair.to_string();
        let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Error::usage(format!("{what}: {pair:?} is not KEY=VALUE")));
        };
        let value: Dynamic = match (value.parse::<i64>(), value.parse::<f64>()) {
            (Ok(int), _) => int.into(),
            (_, Ok(float)) if float.is_finite() => float.into(),
            _ => value.into(),
        };
        map.insert(key.into(), value);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let map = Map::from_iter([("modle".into(), Dynamic::from("x"))]);
        let names =
            |list: &[&str]| list.iter().map(|name| Dynamic::from(name.to_string())).collect::<Array>();
        let error = known_keys(&map, "c.yaml", &names(&["model"]), &names(&["seed"])).unwrap_err();
        assert_eq!(
            error.message,
            "c.yaml: unknown key \"modle\"; did you mean \"model\"? (keys: model, seed)"
        );
        let error = known_keys(&Map::new(), "c.yaml", &names(&["model"]), &names(&[])).unwrap_err();
        assert_eq!(error.message, "c.yaml: the key \"model\" is missing");
    }

    #[test]
    fn pairs_keep_numbers_as_numbers() {
        let map = pairs(vec!["tp=8".into(), "gpu=H100 a=b".into(), "x=0.5".into()], "--metadata").unwrap();
        assert_eq!(map["tp"].as_int(), Ok(8));
        assert_eq!(map["gpu"].clone().into_string().as_deref(), Ok("H100 a=b"));
        assert_eq!(map["x"].as_float(), Ok(0.5));
        assert!(pairs(vec!["tp".into()], "--metadata").unwrap_err().message.contains("KEY=VALUE"));
    }
}
