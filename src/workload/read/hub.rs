//! The files of a data set of the hub: one file, a folder with splits, or the local cache.

use super::ending;
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Endings of data, the best first: the first kind that a folder has is read.
const KINDS: [&[&str]; 4] = [&["parquet"], &["jsonl", "ndjson", "json"], &["csv", "tsv"], &["txt"]];

/// Files beside the data.
const BESIDE: [&str; 7] = [
    "dataset_infos.json",
    "dataset_info.json",
    "dataset_dict.json",
    "state.json",
    "config.json",
    "requirements.txt",
    "LICENSE.txt",
];

/// What a folder or file that is named after a split means.
const SPLITS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "val", "dev"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];

/// Most files of a folder that are looked at, and how deep.
const FILES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 5;

/// The newest snapshot of `org/name` in the local hub cache. Nothing is fetched.
pub fn cached(name: &str, variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let folder = format!("datasets--{}", name.replace('/', "--"));
    let known = crate::tokens::is_hub_name(name);
    let caches = crate::tokens::hub_caches(variable);
    let found = caches.iter().filter(|_| known).find_map(|cache| snapshot(&cache.join(&folder)));
    found.ok_or_else(|| {
        Error::usage(format!(
            "cannot find the data set \"{name}\": it is no file or folder, and not in the local hub cache; nothing is \
             fetched from the network"
        ))
        .hint(match known {
            true => format!("fetch it first: hf download --repo-type dataset {name}"),
            false => "name a file, a folder, or a data set such as org/name".to_string(),
        })
    })
}

/// The snapshot of the branch `main`, else the newest.
fn snapshot(data_set: &Path) -> Option<PathBuf> {
    let snapshots = data_set.join("snapshots");
    let main = fs::read_to_string(data_set.join("refs/main")).ok();
    let main = main.map(|revision| snapshots.join(revision.trim())).filter(|folder| folder.is_dir());
    let newest = || {
        let folders = fs::read_dir(&snapshots).ok()?.filter_map(|entry| {
            let folder = entry.ok()?.path();
            let about = fs::metadata(&folder).ok().filter(fs::Metadata::is_dir)?;
            Some((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), folder))
        });
        folders.max().map(|(_, folder)| folder)
    };
    main.or_else(newest)
}

/// A file of a data set, by what its path says.
struct File {
    path: PathBuf,
    /// Folders below the data set.
    folders: Vec<String>,
    stem: String,
    ending: String,
}

/// The files of one split and subset, in order. A path to a file is that file.
pub(super) fn files(path: &Path, split: Option<&str>, subset: Option<&str>) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let cannot =
        |what: String| Error::usage(format!("cannot read the data set \"{}\": {what}", path.display()));
    let mut all = Vec::new();
    walk(path, &mut Vec::new(), &mut all).map_err(|error| cannot(error.to_string()))?;
    let kind = KINDS.iter().find(|kind| all.iter().any(|file| kind.contains(&&*file.ending)));
    let kind = kind.ok_or_else(|| cannot("it holds no Parquet, JSON, CSV or text file".into()))?;
    all.retain(|file| kind.contains(&&*file.ending));
    all.sort_by(|a, b| a.path.cmp(&b.path));
    let of_subset = in_subset(all, subset).map_err(|(what, hint)| cannot(what).hint(hint))?;
    let splits: BTreeSet<String> = of_subset.iter().map(File::split).collect();
    let wanted = match split {
        Some(split) => splits.get(split),
        None => splits.get("train").or_else(|| splits.iter().find(|name| name.starts_with("train"))),
    };
    let wanted = wanted.or_else(|| splits.first().filter(|_| split.is_none() && splits.len() == 1));
    let names: Vec<&str> = splits.iter().map(String::as_str).collect();
    let wanted = wanted.ok_or_else(|| {
        let what = match split {
            Some(split) => format!("it has no split {split:?}"),
            None => "it has no split \"train\"".to_string(),
        };
        cannot(what).hint(format!("choose one with --hf-split: {}", names.join(", ")))
    })?;
    Ok(of_subset.into_iter().filter(|file| file.split() == *wanted).map(|file| file.path).collect())
}

/// The files of a subset: those in a folder of that name, or whose name begins with it.
fn in_subset(all: Vec<File>, subset: Option<&str>) -> std::result::Result<Vec<File>, (String, String)> {
    let subsets: BTreeSet<String> = all.iter().filter_map(File::subset).collect();
    let names = subsets.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let wanted = match subset {
        Some(subset) => Some(subset.to_string()),
        // What the hub takes when no subset is named.
        None if all.iter().any(|file| file.subset().is_none()) => None,
        None if subsets.len() == 1 => subsets.first().cloned(),
        None => match subsets.get("default") {
            Some(default) => Some(default.clone()),
            None => {
                return Err((
                    "it has several subsets".into(),
                    format!("choose one with --hf-subset: {names}"),
                ));
            }
        },
    };
    let belongs = |file: &File| match &wanted {
        None => file.subset().is_none(),
        Some(wanted) => {
            file.folders.contains(wanted)
                || file
                    .stem
                    .strip_prefix(&**wanted)
                    .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        }
    };
    let found: Vec<File> = all.into_iter().filter(belongs).collect();
    match found.is_empty() {
        false => Ok(found),
        true => Err((
            format!("it has no subset {:?}", wanted.unwrap_or_default()),
            if names.is_empty() {
                "leave --hf-subset out".into()
            } else {
                format!("choose one with --hf-subset: {names}")
            },
        )),
    }
}

impl File {
    /// `train-00000-of-00002` and `default-train-00000-of-00002` are parts of splits; else a word
    /// of the file's or a folder's name says it; what says nothing is for training.
    fn split(&self) -> String {
        if let Some(name) = part_of(&self.stem) {
            return match SPLITS.iter().find(|(split, _)| name.ends_with(&format!("-{split}"))) {
                Some((split, _)) => split.to_string(),
                None => name.to_string(),
            };
        }
        let word =
            |text: &String| SPLITS.iter().find(|(_, words)| has_word(text, words)).map(|(split, _)| *split);
        let found = word(&self.stem).or_else(|| self.folders.iter().rev().find_map(word));
        found.unwrap_or("train").to_string()
    }

    /// The folder that makes the file part of a subset; folders of splits and `data` make none.
    fn subset(&self) -> Option<String> {
        let of_split = |name: &&String| SPLITS.iter().any(|(_, words)| words.contains(&name.as_str()));
        self.folders.iter().find(|name| *name != "data" && !of_split(name)).cloned()
    }
}

/// `NAME-00000-of-00002` -> `NAME`
fn part_of(stem: &str) -> Option<&str> {
    let (rest, of) = stem.rsplit_once("-of-")?;
    let (name, part) = rest.rsplit_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A hash may follow, as in `train-00000-of-00001-a09b74b3ef9c3b56`.
    (digits(of.split('-').next()?) && digits(part)).then_some(name)
}

fn has_word(text: &str, words: &[&str]) -> bool {
    text.to_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).any(|part| words.contains(&part))
}

fn walk(folder: &Path, inside: &mut Vec<String>, files: &mut Vec<File>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || BESIDE.contains(&&*name) || files.len() >= FILES_MAX {
            continue;
        }
        // Files of the cache are links.
        let Ok(about) = fs::metadata(&path) else { continue };
        if about.is_dir() && inside.len() < DEPTH_MAX {
            inside.push(name);
            walk(&path, inside, files)?;
            inside.pop();
        } else if about.is_file() {
            let lower = name.to_lowercase();
            let ending = ending(&lower).to_string();
            let end = name.len() - (lower.len() - lower.rfind(&format!(".{ending}")).unwrap_or(lower.len()));
            let stem = name.get(..end).unwrap_or(&name).to_string();
            files.push(File { path, folders: inside.clone(), stem, ending });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, "").expect("written");
        }
        folder
    }

    fn found(
        names: &[&str],
        split: Option<&str>,
        subset: Option<&str>,
    ) -> std::result::Result<Vec<String>, Error> {
        let folder = folder(names);
        let relative =
            |path: PathBuf| path.strip_prefix(folder.path()).expect("below").to_string_lossy().into_owned();
        Ok(files(folder.path(), split, subset)?.into_iter().map(relative).collect())
    }

    #[test]
    fn a_split_is_found_in_every_layout_of_the_hub() {
        for (names, split, subset, expected) in [
            (
                vec![
                    "data/train-00000-of-00002.parquet",
                    "data/train-00001-of-00002.parquet",
                    "data/test-00000-of-00001.parquet",
                ],
                None,
                None,
                vec!["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
            ),
            (
                vec!["data/train-00000-of-00001-a09b74b3ef9c3b56.parquet", "README.md"],
                Some("train"),
                None,
                vec!["data/train-00000-of-00001-a09b74b3ef9c3b56.parquet"],
            ),
            (
                vec!["data/train_sft-00000-of-00001.parquet", "data/test_sft-00000-of-00001.parquet"],
                None,
                None,
                vec!["data/train_sft-00000-of-00001.parquet"],
            ),
            (
                vec!["data/train_sft-00000-of-00001.parquet", "data/test_sft-00000-of-00001.parquet"],
                Some("test_sft"),
                None,
                vec!["data/test_sft-00000-of-00001.parquet"],
            ),
            (
                vec!["train.jsonl", "test.jsonl.gz", "dataset_infos.json"],
                Some("test"),
                None,
                vec!["test.jsonl.gz"],
            ),
            (
                vec!["default/train/0000.parquet", "default/validation/0000.parquet"],
                Some("validation"),
                None,
                vec!["default/validation/0000.parquet"],
            ),
            (
                vec!["main/train-00000-of-00001.parquet", "socratic/train-00000-of-00001.parquet"],
                None,
                Some("main"),
                vec!["main/train-00000-of-00001.parquet"],
            ),
            (vec!["questions.csv"], None, None, vec!["questions.csv"]),
            (vec!["a.txt", "b.parquet", ".hidden.parquet"], None, None, vec!["b.parquet"]),
            (vec!["lima_dev.json"], None, None, vec!["lima_dev.json"]),
        ] {
            assert_eq!(
                found(&names, split, subset).map_err(|error| error.message),
                Ok(expected.iter().map(|name| name.to_string()).collect()),
                "{names:?}"
            );
        }
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let told = |names: &[&str], split, subset| {
            let error = found(names, split, subset).expect_err("nothing");
            let (_, what) = error.message.split_once("\": ").expect("a name");
            (what.to_string(), error.hint.unwrap_or_default())
        };
        let own = |pair: (&str, &str)| (pair.0.to_string(), pair.1.to_string());
        let two = ["a/train-00000-of-00001.parquet", "b/test-00000-of-00001.parquet"];
        assert_eq!(
            told(&two, None, None),
            own(("it has several subsets", "choose one with --hf-subset: a, b"))
        );
        assert_eq!(
            told(&two, None, Some("c")),
            own(("it has no subset \"c\"", "choose one with --hf-subset: a, b"))
        );
        assert_eq!(
            told(&two, Some("test"), Some("a")),
            own(("it has no split \"test\"", "choose one with --hf-split: train"))
        );
        assert_eq!(told(&["README.md"], None, None).0, "it holds no Parquet, JSON, CSV or text file");
    }

    #[test]
    fn the_cache_gives_the_revision_of_main() {
        let cache = folder(&[
            "datasets--org--set/snapshots/aaa/train.jsonl",
            "datasets--org--set/snapshots/bbb/train.jsonl",
        ]);
        let variable = |name: &str| (name == "HF_HUB_CACHE").then(|| cache.path().as_os_str().to_owned());
        let main = cache.path().join("datasets--org--set/refs/main");
        fs::create_dir_all(main.parent().expect("refs")).expect("made");
        fs::write(&main, "aaa\n").expect("written");
        let expected = cache.path().join("datasets--org--set/snapshots/aaa");
        assert_eq!(cached("org/set", variable).expect("there"), expected);
        let error = cached("org/other", variable).expect_err("not there");
        assert!(error.message.ends_with("nothing is fetched from the network"), "{error}");
        assert_eq!(error.hint.as_deref(), Some("fetch it first: hf download --repo-type dataset org/other"));
        assert!(cached("../org/set", variable).is_err());
    }
}
