//! `Wanted`: which results folders, and which of their runs.

use super::aggregate::killed_before_a_run;
use crate::error::{Error, Result, nearest};
use crate::store::folder::{FoundFolder, short_model_name};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Which results.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Names, paths or patterns; none: the newest folder.
    pub names: Vec<String>,
    pub all: bool,
    /// The newest so many.
    pub last: Option<usize>,
    /// A model by its whole or its short name.
    pub model: Option<String>,
    /// Tags and other columns, with the value that a run must have.
    pub tags: Vec<(String, String)>,
}

impl Wanted {
    /// The folders, oldest first; those that were named stand in the order of their names. `found`: newest
    /// first. Fails when a name or a pattern fits nothing.
    pub fn folders(&self, found: &[FoundFolder], parent: &Path, cwd: &Path) -> Result<Vec<PathBuf>> {
        let mut paths: Vec<PathBuf> = Vec::new();
        for name in &self.names {
            let fits = self.named(name, found, parent, cwd)?;
            paths.extend(fits.into_iter().filter(|path| !paths.contains(path)).collect::<Vec<_>>());
        }
        if self.names.is_empty() {
            let with_runs = found.iter().filter(|found| found.runs > 0);
            let of_model = with_runs.filter(|found| self.is_of_model(found.model.as_deref()));
            let most = match (self.all, self.last) {
                (_, Some(last)) => last,
                (true, None) => usize::MAX,
                // A filter looks through all of them.
                (false, None) if self.model.is_some() || !self.tags.is_empty() => usize::MAX,
                (false, None) => 1,
            };
            paths = of_model.take(most).map(|found| found.path.clone()).collect();
            paths.reverse();
        }
        if !paths.is_empty() {
            return Ok(paths);
        }
        let models = models_of(found);
        Err(match &self.model {
            Some(model) => {
                let error = Error::usage(format!(
                    "there are no results of the model {model:?} in {}",
                    parent.display()
                ));
                match nearest(model, models) {
                    Some(near) => error.hint(format!("did you mean {near:?}?")),
                    None => error.hint(match names_of(models_of(found)) {
                        Some(names) => format!("there are {names}"),
                        None => "`rampant aggregate --list` shows the folders with their models".into(),
                    }),
                }
            }
            None => match found.first().and_then(|newest| killed_before_a_run(&newest.path)) {
                Some(killed) => killed,
                None => Error::usage(format!("there are no results in {}", parent.display()))
                    .hint("run `rampant single` or `rampant batch` first, or name their folder with --out"),
            },
        })
    }

    fn named(&self, name: &str, found: &[FoundFolder], parent: &Path, cwd: &Path) -> Result<Vec<PathBuf>> {
        if !name.contains(['*', '?']) {
            let path = [parent.join(name), cwd.join(name)].into_iter().find(|path| path.is_dir());
            return path.map(|path| vec![path]).ok_or_else(|| {
                let told = format!("there is no results folder {name:?} in {}", parent.display());
                let names = || found.iter().map(|found| found.name.as_str());
                match nearest(name, names()).or_else(|| names().find(|known| known.starts_with(name))) {
                    Some(near) => Error::usage(told).hint(near),
                    None => Error::usage(told).hint("`rampant aggregate --list` shows the folders"),
                }
            });
        }
        let mut fits = below(parent, name);
        if fits.is_empty() {
            fits = below(cwd, name);
        }
        fits.retain(|path| path.join(crate::store::folder::MANIFEST).is_file());
        if fits.is_empty() {
            let told = format!("no results folder in {} fits {name:?}", parent.display());
            return Err(Error::usage(told).hint("`rampant aggregate --list` shows the folders"));
        }
        let began =
            |path: &PathBuf| found.iter().find(|found| found.path == *path).map(|found| found.started_ms);
        fits.sort_by_key(|path| (began(path), path.clone()));
        Ok(fits)
    }

    fn is_of_model(&self, model: Option<&str>) -> bool {
        self.model.as_ref().is_none_or(|wanted| model.is_some_and(|model| is_model(wanted, model)))
    }

    /// What to try where no run has the tags: the values of the runs that there are, or a name that comes near.
    pub fn hint(&self, runs: &[Map<String, Value>]) -> String {
        let missing = self.tags.iter().find(|(key, value)| {
            let one = Wanted { tags: vec![(key.clone(), value.clone())], ..Wanted::default() };
            !runs.iter().any(|run| one.takes(run))
        });
        let Some((key, _)) = missing else {
            return "name other folders, or leave --tag or --model out".into();
        };
        let values: Vec<String> = runs.iter().filter_map(|run| word(run, key)).collect();
        if let Some(values) = names_of(values.iter().map(String::as_str)) {
            return format!("{key} is {values} there");
        }
        let keys = runs.iter().flat_map(Map::keys).map(String::as_str);
        let keys = keys.filter(|other| other != key && runs.iter().any(|run| word(run, other).is_some()));
        match nearest(key, keys).filter(|_| values.is_empty()) {
            Some(near) => format!("did you mean {near}?"),
            None => "name other folders, or leave --tag out".into(),
        }
    }

    /// Whether a run, as its folder has it, is wanted.
    pub fn takes(&self, run: &Map<String, Value>) -> bool {
        let text = |key: &str| word(run, key);
        let same = |value: &str, wanted: &str| {
            // 8 and 8.0 are one number.
            value == wanted || value.parse::<f64>().is_ok_and(|a| wanted.parse::<f64>().is_ok_and(|b| a == b))
        };
        self.is_of_model(text("model_id").as_deref())
            && self.tags.iter().all(|(key, wanted)| text(key).is_some_and(|value| same(&value, wanted)))
    }
}

fn models_of(found: &[FoundFolder]) -> impl Iterator<Item = &str> {
    found.iter().filter_map(|found| found.model.as_deref())
}

/// Up to five of different names, in words; `None`: there is none, or there are more.
pub fn names_of<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: BTreeSet<&str> = names.collect();
    let told = names.iter().copied().collect::<Vec<_>>().join(", ");
    (1..=5).contains(&names.len()).then_some(told)
}

fn is_model(wanted: &str, model: &str) -> bool {
    wanted.eq_ignore_ascii_case(model) || wanted.eq_ignore_ascii_case(&short_model_name(model))
}

/// A column of a run as text; `None`: it is not there.
fn word(run: &Map<String, Value>, key: &str) -> Option<String> {
    match run.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// The folders that a pattern fits, part by part.
fn below(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut fits = vec![if pattern.starts_with('/') { PathBuf::from("/") } else { folder.to_path_buf() }];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let next = |path: &PathBuf| -> Vec<PathBuf> {
            if !part.contains(['*', '?']) {
                return vec![path.join(part)];
            }
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            let names = entries.filter(|entry| is_like(&entry.file_name().to_string_lossy(), part));
            names.map(|entry| entry.path()).collect()
        };
        fits = fits.iter().flat_map(next).filter(|path| path.is_dir()).collect();
    }
    fits
}

/// Whether a name fits a pattern, in which `*` is anything and `?` one letter.
fn is_like(name: &str, pattern: &str) -> bool {
    let (name, pattern): (Vec<char>, Vec<char>) = (name.chars().collect(), pattern.chars().collect());
    // fits[i]: the first i letters fit what was read of the pattern.
    let mut fits = vec![false; name.len() + 1];
    fits[0] = true;
    for sign in pattern {
        if sign == '*' {
            (1..=name.len()).for_each(|i| fits[i] |= fits[i - 1]);
        } else {
            for i in (1..=name.len()).rev() {
                fits[i] = fits[i - 1] && (sign == '?' || sign == name[i - 1]);
            }
            fits[0] = false;
        }
    }
    fits[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(path: &Path, name: &str, started_ms: i64, model: &str) -> FoundFolder {
        let path = path.join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("manifest.json"), "{}").unwrap();
        let model = Some(model.to_string());
        FoundFolder { path, name: name.into(), started_ms, runs: 1, requests: 1, model }
    }

    fn names(wanted: &Wanted, found: &[FoundFolder], parent: &Path) -> Vec<String> {
        let paths = wanted.folders(found, parent, Path::new("/nowhere")).unwrap();
        paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn folders_are_chosen_by_name_pattern_number_and_model() {
        let parent = tempfile::tempdir().unwrap();
        let all = [("b_2", 30, "org/B-AWQ"), ("a_2", 20, "org/A"), ("a_1", 10, "org/A")]
            .map(|(name, at, model)| found(parent.path(), name, at, model));
        let chosen = |wanted: Wanted| names(&wanted, &all, parent.path());
        let strings = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        assert_eq!(chosen(Wanted::default()), ["b_2"]);
        assert_eq!(chosen(Wanted { all: true, ..Wanted::default() }), ["a_1", "a_2", "b_2"]);
        assert_eq!(chosen(Wanted { last: Some(2), ..Wanted::default() }), ["a_2", "b_2"]);
        assert_eq!(chosen(Wanted { model: Some("a".into()), ..Wanted::default() }), ["a_1", "a_2"]);
        assert_eq!(chosen(Wanted { model: Some("org/B-AWQ".into()), ..Wanted::default() }), ["b_2"]);
        assert_eq!(
            chosen(Wanted { names: strings(&["b_2", "a_*", "a_1"]), ..Wanted::default() }),
            ["b_2", "a_1", "a_2"]
        );
        assert_eq!(chosen(Wanted { names: strings(&["?_1"]), ..Wanted::default() }), ["a_1"]);
        let fails = |wanted: Wanted| wanted.folders(&all, parent.path(), Path::new("/nowhere")).unwrap_err();
        assert!(
            fails(Wanted { names: strings(&["c_*"]), ..Wanted::default() }).message.contains("fits \"c_*\"")
        );
        assert_eq!(
            fails(Wanted { names: strings(&["a_3"]), ..Wanted::default() }).hint.as_deref(),
            Some("a_2")
        );
        let error = fails(Wanted { model: Some("org/C".into()), ..Wanted::default() });
        assert!(error.message.contains("no results of the model \"org/C\""), "{error}");
    }

    #[test]
    fn runs_are_chosen_by_their_tags() {
        let run = json!({"model_id": "org/A", "tp": 8.0, "gpu": "H200", "rate": null});
        let takes = |key: &str, value: &str| {
            let tags = vec![(key.to_string(), value.to_string())];
            Wanted { tags, ..Wanted::default() }.takes(run.as_object().unwrap())
        };
        assert!(takes("tp", "8") && takes("gpu", "H200"));
        assert!(!takes("gpu", "H100") && !takes("rate", "") && !takes("zone", "a"));
    }

    #[test]
    fn what_no_run_has_is_told_with_what_there_is() {
        let runs = [json!({"tp": "8", "gpu": "H200"}), json!({"tp": 4, "zone": null})];
        let runs: Vec<Map<String, Value>> = runs.iter().map(|run| run.as_object().unwrap().clone()).collect();
        let hint = |key: &str, value: &str| {
            Wanted { tags: vec![(key.into(), value.into())], ..Wanted::default() }.hint(&runs)
        };
        assert_eq!(hint("tp", "9"), "tp is 4, 8 there");
        assert_eq!(hint("gpus", "H200"), "did you mean gpu?");
        assert_eq!(hint("zone", "a"), "name other folders, or leave --tag out");
    }

    #[test]
    fn a_star_is_anything() {
        for (name, pattern, fits) in [
            ("abc", "*", true),
            ("abc", "a*c", true),
            ("abc", "a?c", true),
            ("abc", "a?", false),
            ("", "*", true),
        ] {
            assert_eq!(is_like(name, pattern), fits, "{name} {pattern}");
        }
    }
}
