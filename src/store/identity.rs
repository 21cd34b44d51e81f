//! `RunIdentity`: of which run of which invocation a row is. It stands in every table, so that any number
//! of folders can be read together and joined.

use super::manifest::sha256;
use super::schema::KEY_RUN;
use serde_json::{Map, Value};
use std::collections::HashMap;

const KEY_EXPERIMENT_ID: &str = "rampant.experiment_id";
const KEY_FOLDER: &str = "rampant.folder";
const KEY_INDEX: &str = "rampant.run_index";
const KEY_CELL: &str = "rampant.cell";
const KEY_TRAFFIC: &str = "rampant.traffic";

/// Keys of the manifest: the id of the invocation, and the folder's name when it was made.
pub const EXPERIMENT_ID: &str = "experiment_id";
pub const FOLDER: &str = "folder";

/// What all rows of a run have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIdentity {
    /// Of the invocation: 26 characters, unique for ever.
    pub experiment_id: String,
    /// The folder's name at its creation, wherever it is now.
    pub folder: String,
    /// Place of the run in its folder.
    pub index: u32,
    pub run: String,
    /// What is measured; its repeats are runs of the same cell.
    pub cell: String,
    pub traffic: String,
}

impl RunIdentity {
    /// The same run as one of another cell.
    pub fn of_cell(self, cell: &str) -> RunIdentity {
        RunIdentity { cell: cell.to_string(), ..self }
    }

    /// Puts it into a row of a table.
    pub fn put(&self, row: &mut Map<String, Value>) {
        for (name, value) in [
            ("experiment_id", self.experiment_id.clone()),
            ("run_id", self.run_id()),
            ("folder", self.folder.clone()),
            ("run", self.run.clone()),
            ("cell", self.cell.clone()),
        ] {
            row.insert(name.to_string(), value.into());
        }
    }

    /// That of a row of `runs.parquet`; `None` when it has none.
    pub fn from_row(row: &Map<String, Value>) -> Option<RunIdentity> {
        let text = |key: &str| row.get(key).and_then(Value::as_str).map(str::to_string);
        let index = row.get("run_index").and_then(Value::as_u64)?;
        Some(RunIdentity {
            experiment_id: text("experiment_id")?,
            folder: text("folder")?,
            index: u32::try_from(index).ok()?,
            run: text("run")?,
            cell: text("cell")?,
            traffic: text("traffic")?,
        })
    }

    /// For the head of a journal.
    pub(super) fn to_metadata(&self) -> HashMap<String, String> {
        let facts = [
            (KEY_EXPERIMENT_ID, self.experiment_id.clone()),
            (KEY_FOLDER, self.folder.clone()),
            (KEY_INDEX, self.index.to_string()),
            (KEY_RUN, self.run.clone()),
            (KEY_CELL, self.cell.clone()),
            (KEY_TRAFFIC, self.traffic.clone()),
        ];
        facts.map(|(key, value)| (key.to_string(), value)).into()
    }

    /// Back from there, by the names of the facts; what is missing is empty.
    pub(super) fn from_metadata(fact: impl Fn(&str) -> Option<String>) -> RunIdentity {
        let text = |key: &str| fact(key).unwrap_or_default();
        RunIdentity {
            experiment_id: text(KEY_EXPERIMENT_ID),
            folder: text(KEY_FOLDER),
            index: text(KEY_INDEX).parse().unwrap_or_default(),
            run: text(KEY_RUN),
            cell: text(KEY_CELL),
            traffic: text(KEY_TRAFFIC),
        }
    }

    /// Unique for ever, as the id of the invocation is.
    pub fn run_id(&self) -> String {
        run_id(&self.experiment_id, self.index)
    }
}

/// The cell of a run from elsewhere, by its name alone: a batch calls the second run of a cell `..._r2`.
pub fn cell_of_name(run: &str) -> &str {
    let is_number = |n: &str| !n.is_empty() && n.bytes().all(|digit| digit.is_ascii_digit());
    run.rsplit_once("_r").filter(|(_, n)| is_number(n)).map_or(run, |(cell, _)| cell)
}

pub fn run_id(experiment_id: &str, index: u32) -> String {
    format!("{experiment_id}-{index}")
}

/// The name that the folder had when it was made, if its manifest says so.
pub fn folder_name(manifest: &Map<String, Value>) -> Option<String> {
    text(manifest, FOLDER)
}

/// The id in a manifest. One from before there were ids has one that follows from what never changes in
/// it: when it was begun, its script and its salt.
pub fn experiment_id(manifest: &Map<String, Value>) -> String {
    text(manifest, EXPERIMENT_ID).unwrap_or_else(|| {
        let part = |key: &str| manifest.get(key).unwrap_or(&Value::Null).to_string();
        let hash = sha256(["started_ms", "started", "salt", "script"].map(part).join("\n"));
        let mut chance = [0; 10];
        for (byte, digits) in chance.iter_mut().zip(hash.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(&String::from_utf8_lossy(digits), 16).unwrap_or_default();
        }
        new_id(manifest.get("started_ms").and_then(Value::as_i64).unwrap_or_default(), chance)
    })
}

fn text(manifest: &Map<String, Value>, key: &str) -> Option<String> {
    manifest.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_string)
}

/// Crockford's digits: none is taken for another.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A ULID: the time in milliseconds since 1970 (48 bits), then chance (80 bits); in the order of time.
/// <https://github.com/ulid/spec>
pub fn new_id(ms: i64, chance: [u8; 10]) -> String {
    let chance = chance.into_iter().fold(0_u128, |number, byte| number << 8 | u128::from(byte));
    let number = (ms.max(0) as u128 & 0xFFFF_FFFF_FFFF) << 80 | chance;
    (0..26).rev().map(|place| DIGITS[(number >> (5 * place)) as usize & 31] as char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_id_is_a_ulid() {
        // The example of the specification.
        assert_eq!(&new_id(1_469_918_176_385, [0; 10])[..10], "01ARYZ6S41");
        assert_eq!(new_id((1 << 48) - 1, [0xFF; 10]), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        assert_eq!(new_id(-1, [0; 10]), "0".repeat(26));
        assert!(new_id(1, [0; 10]) > new_id(0, [0xFF; 10]), "later sorts later");
    }

    #[test]
    fn names_of_a_batch_say_of_which_cell_they_are() {
        for (name, cell) in
            [("io8x8_mc1_np4_r2", "io8x8_mc1_np4"), ("c8", "c8"), ("x_rate", "x_rate"), ("a_r", "a_r")]
        {
            assert_eq!(cell_of_name(name), cell);
        }
    }

    #[test]
    fn an_old_manifest_has_the_same_id_each_time_and_another_one_another() {
        let manifest = |salt: &str| json!({"started_ms": 1_795_999_532_618_i64, "salt": salt});
        let id = |value: Value| experiment_id(value.as_object().unwrap());
        assert_eq!(id(manifest("a")), id(manifest("a")));
        assert_ne!(id(manifest("a")), id(manifest("b")));
        assert_eq!(id(manifest("a")).len(), 26);
        assert_eq!(id(json!({"experiment_id": "01ARYZ6S41TSV4RRFFQ69G5FAV"})), "01ARYZ6S41TSV4RRFFQ69G5FAV");
    }
}
