//! Files and texts that become script values.

use super::json;
use super::state::State;
use crate::error::{Error, Result, nearest};
use crate::os::heap;
use crate::workload;
use crate::workload::read::{How, PromptRows};
use rhai::{Array, Dynamic, Map};
use std::path::{Path, PathBuf};

/// Reads a granted file by its ending.
pub fn read(state: &State, path: &str) -> Result<Dynamic> {
    let cannot = |what: String| Error::usage(format!("cannot read {path}: {what}"));
    let (real, bytes) = state.experiment.access.read(path, BYTES_MAX)?;
    let ending = real.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    if ending == "csv" {
        let cells = bytes.iter().filter(|byte| b",;\t\n\r".contains(byte)).count();
        if !heap::has_room(cells.saturating_mul(CELL)) {
            return Err(cannot(format!("it has {cells} cells, more than a script may hold")));
        }
        let rows = crate::stats::csv::parse_csv(&bytes).map_err(cannot)?;
        return Ok(rows.iter().map(|row| json::to_map(row).into()).collect::<Array>().into());
    }
    let text = text_of(path, bytes)?;
    let value = match ending.as_str() {
        "yaml" | "yml" => super::yaml::parse(&text, path)
            .map(|yaml| yaml.to_dynamic())
            .map_err(|told| Error::usage(format!("cannot read {told}")))?,
        "json" => json::parse(&text).map_err(|error| cannot(error.to_string()))?,
        "jsonl" => lines(&text).map_err(cannot)?,
        _ => {
            return Err(cannot(format!("its ending {ending:?} is none of .yaml, .yml, .json, .jsonl, .csv")));
        }
    };
    for address in value.read_lock::<Map>().map(|map| addresses(&map)).unwrap_or_default() {
        state.experiment.access.learn(&real, &address);
    }
    Ok(value)
}

/// The servers that a plan names.
fn addresses(plan: &Map) -> Vec<String> {
    let named = ["base_url", "metrics_url"].into_iter().filter_map(|key| plan.get(key).cloned());
    let all = named.flat_map(|value| value.clone().into_array().unwrap_or_else(|_| vec![value]));
    all.filter_map(|value| value.into_string().ok()).collect()
}

/// Most bytes of a file that becomes script values: they take many times the room.
const BYTES_MAX: u64 = 16 << 20;

/// What one cell of a CSV takes on its way to a script's value.
const CELL: usize = 160;

/// The text of a granted file.
pub fn text(state: &State, path: &str) -> Result<String> {
    let (_, bytes) = state.experiment.access.read(path, BYTES_MAX)?;
    text_of(path, bytes)
}

/// Where a data set of the hub is: a file or folder, or `org/name` in the local cache, which a
/// script may read when the command line names it.
pub fn data_set(state: &State, path: &str) -> Result<PathBuf> {
    match state.experiment.access.may_read(path) {
        Err(error) if !state.experiment.access.is_there(path) && !path.starts_with(['.', '/', '~']) => {
            let folder = workload::read::cached(path, |name| std::env::var_os(name))?;
            match state.experiment.access.is_named(path) {
                true => Ok(folder),
                false => state.experiment.access.may_read(&folder.to_string_lossy()).map_err(|_| Error {
                    message: format!("a script may not read {path:?}: it is not named on the command line"),
                    ..error
                }),
            }
        }
        other => other,
    }
}

/// The rows of a data set; what is left out of it is told. Reads on a thread of its own: what it
/// takes is no memory of the script's.
pub fn rows(state: &State, path: &Path, how: How) -> Result<PromptRows> {
    let name = path.display();
    let broken = |what: &str| Error::run(format!("cannot read \"{name}\": {what}"));
    let rows = std::thread::scope(|scope| {
        let work = || workload::read::read(path, &how);
        let thread = std::thread::Builder::new().name("data set".into()).spawn_scoped(scope, work);
        let thread = thread.map_err(|error| broken(&format!("no thread for it: {error}")))?;
        thread.join().unwrap_or_else(|_| Err(broken("its reader broke down")))
    })?;
    // A sweep reads it for each of its cells.
    if let Some(note) = rows.note.as_ref().map(|note| state.console.words().note(&format!("{name}: {note}")))
        && state.console.first_time(&note)
    {
        state.console.mention(&note);
    }
    if let Some(skipped) = &rows.skipped {
        let told =
            state.console.words().skipped(&name.to_string(), skipped.count, skipped.of, &skipped.first);
        if state.console.first_time(&told) {
            state.console.warn(&told);
        }
    }
    Ok(rows)
}

fn text_of(path: &str, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::usage(format!("cannot read {path}: it is not UTF-8 text")))
}

/// What the values of known keys must be.
#[derive(Debug, Default)]
pub struct Kinds {
    /// Lists of two whole numbers of at least 1 each.
    pub pairs: Array,
    /// Maps.
    pub maps: Array,
    /// Finite numbers, or `inf` as a word.
    pub numbers: Array,
    /// Whole numbers from 1 to 10000.
    pub counts: Array,
    pub texts: Array,
}

/// Names of keys, what their values must be, and that in words.
type Rule<'a> = (&'a Array, fn(&Dynamic) -> bool, &'a str);

impl Kinds {
    /// Refuses a value of another kind; one that is absent is fine.
    pub fn check(&self, map: &Map, file: &str) -> Result<()> {
        let rules: [Rule; 5] = [
            (
                &self.pairs,
                is_pairs,
                "a list of pairs of whole numbers above 0, such as [[128, 64], [512, 64]]",
            ),
            (&self.maps, |value| value.is_map(), "a map, such as {name: value}"),
            (&self.numbers, is_number, "a number"),
            (&self.counts, is_count, "a whole number from 1 to 10000"),
            (&self.texts, |value| value.is_string(), "text"),
        ];
        for (names, holds, must) in rules {
            for name in names.iter().map(ToString::to_string) {
                match map.get(name.as_str()).filter(|value| !value.is_unit()) {
                    Some(value) if !holds(value) => {
                        let mut got = json::from_dynamic(value).to_string();
                        if let Some((cut, _)) = got.char_indices().nth(60) {
                            got.truncate(cut);
                            got.push_str("...");
                        }
                        return Err(Error::usage(format!("{file}: {name} must be {must}, got {got}")));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn is_pairs(value: &Dynamic) -> bool {
    let whole = |value: &Dynamic| value.as_int().is_ok_and(|n| n > 0);
    let pair = |value: &Dynamic| {
        value.clone().into_array().is_ok_and(|pair| pair.len() == 2 && pair.iter().all(whole))
    };
    value.clone().into_array().is_ok_and(|pairs| !pairs.is_empty() && pairs.iter().all(pair))
}

fn is_number(value: &Dynamic) -> bool {
    let word = value.clone().into_string().is_ok_and(|word| word == "inf");
    word || super::opts::number(value).is_some_and(f64::is_finite)
}

fn is_count(value: &Dynamic) -> bool {
    value.as_int().is_ok_and(|n| (1..=10_000).contains(&n))
}

fn lines(text: &str) -> std::result::Result<Dynamic, String> {
    let rows = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let row = |(i, line): (usize, &str)| {
        json::parse(line).map_err(|error| format!("line {}, column {}: {error}", i + 1, error.column()))
    };
    rows.map(row).collect::<std::result::Result<Array, String>>().map(Dynamic::from)
}

/// Refuses what a file should not have, and what it lacks.
pub fn known_keys(map: &Map, file: &str, required: &Array, optional: &Array) -> Result<()> {
    let names: Vec<String> = required.iter().chain(optional).map(ToString::to_string).collect();
    for key in map.keys().filter(|key| !key.starts_with("x-")) {
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
    json::parse(text).map_err(|error| Error::usage(format!("{what}: this is no JSON: {error}")))
}

/// `KEY=VALUE` each; a header also as it stands on the wire, `KEY: VALUE`.
pub fn pairs(list: Array, what: &str) -> Result<Map> {
    let mut map = Map::new();
    let header = what == "--header";
    for (at, pair) in list.into_iter().enumerate() {
        let pair = pair.to_string();
        let cut = if header { pair.split_once(['=', ':']) } else { pair.split_once('=') };
        let Some((key, value)) = cut.filter(|(key, _)| !key.trim().is_empty()) else {
            // A header may be a secret.
            return Err(Error::usage(match header {
                true => format!("{what}: number {} is neither KEY=VALUE nor KEY: VALUE", at + 1),
                false => format!("{what}: {pair:?} is not KEY=VALUE"),
            }));
        };
        let (key, value) = if header { (key.trim(), value.trim()) } else { (key, value) };
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
    use serde_json::Value;

    #[test]
    fn values_of_a_plan_are_what_they_should_be() {
        let names = |name: &str| vec![Dynamic::from(name.to_string())];
        let kinds = Kinds {
            pairs: names("io"),
            maps: names("map"),
            numbers: names("rate"),
            counts: names("repeats"),
            texts: names("url"),
        };
        let told = |json: &str| {
            let map: serde_json::Map<String, Value> = serde_json::from_str(json).unwrap();
            kinds.check(&json::to_map(&map), "c.yaml").map_err(|error| error.message)
        };
        let good = r#"{"io":[[8,5]],"map":{},"rate":"inf","repeats":1,"url":"x"}"#;
        assert_eq!(told(good), Ok(()));
        assert_eq!(told(r#"{"rate":null}"#), Ok(()));
        for io in ["[8,5]", "[[8]]", "[[8,5,7]]", r#"[["8",5]]"#, "[[8.5,5]]", "[[0,5]]", "[]", "{}"] {
            let told = told(&format!(r#"{{"io":{io}}}"#)).unwrap_err();
            assert!(
                told.starts_with("c.yaml: io must be a list of pairs of whole numbers above 0"),
                "{told}"
            );
            assert!(told.ends_with(&format!("got {io}")), "{told}");
        }
        assert_eq!(
            told(r#"{"map":5}"#).unwrap_err(),
            "c.yaml: map must be a map, such as {name: value}, got 5"
        );
        assert_eq!(told(r#"{"rate":"fast"}"#).unwrap_err(), "c.yaml: rate must be a number, got \"fast\"");
        assert_eq!(
            told(r#"{"repeats":0}"#).unwrap_err(),
            "c.yaml: repeats must be a whole number from 1 to 10000, got 0"
        );
        assert_eq!(told(r#"{"url":5}"#).unwrap_err(), "c.yaml: url must be text, got 5");
    }

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
        let helper = Map::from_iter([("x-lengths".into(), Dynamic::from(1_i64))]);
        assert!(
            known_keys(&helper, "c.yaml", &names(&[]), &names(&[])).is_ok(),
            "a key that only holds an anchor"
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

    #[test]
    fn a_header_is_written_as_a_pair_or_as_on_the_wire() {
        for (written, key, value) in [
            ("Authorization: Bearer a=b==", "Authorization", "Bearer a=b=="),
            ("Authorization=Bearer a:b", "Authorization", "Bearer a:b"),
            ("X-Url=http://x", "X-Url", "http://x"),
            ("X-Empty:", "X-Empty", ""),
            ("Cookie:a=b", "Cookie", "a=b"),
        ] {
            let map = pairs(vec![written.into()], "--header").unwrap();
            assert_eq!(map[key].clone().into_string().as_deref(), Ok(value), "{written}");
        }
        let error = pairs(vec!["A=b".into(), "sk-secret".into()], "--header").unwrap_err().message;
        assert_eq!(error, "--header: number 2 is neither KEY=VALUE nor KEY: VALUE");
        assert!(
            pairs(vec!["path: x".into()], "--metadata").is_err(),
            "a colon is a part of a name elsewhere"
        );
    }
}
