//! `Objectives`: what the runs of a results folder were to hold to, as the folder keeps it.

use crate::stats::{Limit, Slo};
use crate::store::{Folder, journal};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// By the names of runs.
#[derive(Debug, Default)]
pub struct Objectives(HashMap<String, Slo>);

/// Puts those of a run into its entry in the manifest.
pub fn note(entry: &mut Map<String, Value>, slo: Option<&Slo>) {
    let limits = slo.into_iter().flat_map(|slo| &slo.limits);
    let limits = limits.map(|limit| json!({ "metric": limit.metric, "ms": limit.ms })).collect();
    entry.insert("slo".into(), limits);
    let from_sent = slo.is_some_and(|slo| slo.from_sent);
    entry.insert("slo_from".into(), if from_sent { "sent" } else { "planned" }.into());
}

impl Objectives {
    /// What the manifest says; of runs that a killed process left and nobody could complete, what it noted of
    /// them before they began.
    pub fn of(folder: &Path, manifest: &Map<String, Value>) -> Objectives {
        let mut found = HashMap::new();
        for (_, begun) in journal::begun(folder).unwrap_or_default() {
            let name = begun.get("row").and_then(|row| row["run"].as_str());
            let slo = begun.get("plan").and_then(|plan| plan.get("slo")).and_then(Slo::from_json);
            found.extend(name.map(String::from).zip(slo));
        }
        let runs = manifest.get("runs").and_then(Value::as_array);
        for run in runs.into_iter().flatten() {
            found.extend(run["name"].as_str().map(String::from).zip(noted(run)));
        }
        found.retain(|_, slo| !slo.limits.is_empty());
        Objectives(found)
    }

    /// The same of a folder whose manifest nobody has read yet.
    pub fn read(folder: &Path) -> Objectives {
        let manifest = Folder::open(folder).and_then(|folder| folder.read_manifest());
        Objectives::of(folder, &manifest.unwrap_or_default())
    }

    /// The limits of the requests of a run; none: it had none.
    pub fn limits(&self, name: &str) -> Arc<[Limit]> {
        self.run(name).map(|slo| slo.limits.as_slice().into()).unwrap_or_default()
    }

    pub fn run(&self, name: &str) -> Option<&Slo> {
        self.0.get(name)
    }
}

/// What stands in a run's entry.
fn noted(run: &Value) -> Option<Slo> {
    let limit = |of: &Value| Some(Limit { metric: of["metric"].as_str()?.into(), ms: of["ms"].as_f64()? });
    let limits = run["slo"].as_array()?.iter().filter_map(limit).collect();
    Some(Slo { limits, from_sent: run["slo_from"] == "sent", ..Slo::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_found_again_and_no_limits_are_none() {
        let slo = Slo {
            limits: vec![Limit { metric: "ttft".into(), ms: 400.0 }],
            from_sent: true,
            ..Slo::default()
        };
        let entry = |name: &str, slo: Option<&Slo>| {
            let mut entry = Map::from_iter([("name".to_string(), name.into())]);
            note(&mut entry, slo);
            entry
        };
        let runs = json!([entry("a", Some(&slo)), entry("b", None), { "name": "of an older one" }]);
        let manifest = Map::from_iter([("runs".to_string(), runs)]);
        let found = Objectives::of(Path::new("/nowhere"), &manifest);
        assert_eq!(["a", "b", "of an older one"].map(|run| found.run(run)), [Some(&slo), None, None]);
    }
}
