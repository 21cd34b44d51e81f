//! What a `--tokenizer` name means: nothing, a file, a folder, or a name in the local hub cache.

use super::{Real, Tokens};
use crate::error::Result;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// See [`Tokens::find`]; `variable` reads the environment.
pub(super) fn find(
    name: &str,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<(Tokens, Option<String>)> {
    let name = name.trim();
    if name == "none" {
        return Ok((Tokens::Words, None));
    }
    let path = Path::new(name);
    if !name.is_empty() && path.is_dir() && !path.join("tokenizer.json").exists() {
        return Ok((Tokens::Words, Some(not_found(&format!("no tokenizer.json in \"{name}\"")))));
    }
    if !name.is_empty() && path.exists() {
        return Ok((Tokens::load(path)?, None));
    }
    if !is_hub_name(name) {
        return Ok((Tokens::Words, Some(not_found(&format!("no tokenizer at \"{name}\"")))));
    }
    match newest(&hub_caches(variable), name) {
        Some(file) => Ok((Tokens::Real(Box::new(Real::load(&file, name)?)), None)),
        None => {
            let what = format!("no tokenizer.json of \"{name}\" in the local hub cache");
            Ok((Tokens::Words, Some(not_found(&what))))
        }
    }
}

/// A plan that was written for another machine names a tokenizer of that machine: it runs, and the
/// difference is told.
fn not_found(what: &str) -> String {
    format!(
        "{what}: prompts are made of common English words, and token counts are the server's \
         (for exact lengths give --tokenizer a tokenizer.json)"
    )
}

/// `model` or `org/model`; what looks like a path is none.
pub fn is_hub_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let parts: Vec<&str> = name.split('/').collect();
    parts.len() <= 2
        && !name.ends_with(".json")
        && parts.iter().all(|part| !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed))
}

/// The places where hub files are kept, the most specific first.
pub fn hub_caches(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let folder = |name: &str, below: &str| {
        variable(name).filter(|value| !value.is_empty()).map(|value| PathBuf::from(value).join(below))
    };
    [
        folder("HF_HUB_CACHE", ""),
        folder("HF_HOME", "hub"),
        folder("XDG_CACHE_HOME", "huggingface/hub"),
        folder("HOME", ".cache/huggingface/hub"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The newest snapshot's `tokenizer.json` in the first cache that has one.
fn newest(caches: &[PathBuf], name: &str) -> Option<PathBuf> {
    let model = format!("models--{}", name.replace('/', "--"));
    caches.iter().find_map(|cache| {
        let snapshots = std::fs::read_dir(cache.join(&model).join("snapshots")).ok()?;
        snapshots
            .filter_map(|entry| {
                let folder = entry.ok()?.path();
                let file = folder.join("tokenizer.json");
                let changed = std::fs::metadata(&file).and_then(|meta| meta.modified()).ok()?;
                let arrived = std::fs::metadata(&folder).and_then(|meta| meta.modified()).ok();
                Some((arrived.unwrap_or(SystemTime::UNIX_EPOCH).max(changed), file))
            })
            .max()
            .map(|(_, file)| file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::sample;

    fn nowhere(_: &str) -> Option<OsString> {
        None
    }

    #[test]
    fn none_means_the_word_list_without_a_warning() {
        let (tokens, warning) = find("none", nowhere).expect("none is a name");
        assert!(matches!(tokens, Tokens::Words) && warning.is_none());
    }

    #[test]
    fn a_name_that_is_not_in_the_cache_is_a_warning() {
        let (tokens, warning) = find("org/model-7B", nowhere).expect("a hub name");
        assert!(matches!(tokens, Tokens::Words));
        assert!(
            warning.expect("not there").starts_with("no tokenizer.json of \"org/model-7B\" in the local")
        );
    }

    #[test]
    fn a_path_that_is_not_there_is_a_warning() {
        for path in ["./model", "/nowhere/model", "model.json", "../a/b", "a/b/c", ".hidden", "~/m"] {
            let (tokens, warning) = find(path, nowhere).expect(path);
            assert!(matches!(tokens, Tokens::Words), "{path}");
            let warning = warning.expect(path);
            assert!(
                warning.starts_with(&format!("no tokenizer at \"{path}\": prompts are made")),
                "{warning}"
            );
        }
    }

    #[test]
    fn a_folder_without_a_tokenizer_is_a_warning_and_a_broken_tokenizer_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = folder.path().display().to_string();
        let (tokens, warning) = find(&name, nowhere).expect("a folder");
        assert!(matches!(tokens, Tokens::Words));
        assert!(warning.expect("a warning").starts_with(&format!("no tokenizer.json in \"{name}\"")));
        std::fs::write(folder.path().join("tokenizer.json"), "{").expect("written");
        assert_eq!(find(&name, nowhere).expect_err("broken").kind, crate::error::ErrorKind::Usage);
    }

    #[test]
    fn a_file_and_a_folder_are_loaded() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tokenizer.json");
        std::fs::write(&file, sample::byte_level_json()).expect("written");
        for path in [folder.path(), &file] {
            let (tokens, warning) = find(&path.display().to_string(), nowhere).expect("loads");
            assert_eq!((tokens.count("the cat"), warning), (Some(2), None));
            assert_eq!(tokens.name(), path.display().to_string());
        }
    }

    #[test]
    fn a_hub_name_takes_the_newest_snapshot_of_the_first_cache() {
        let home = tempfile::tempdir().expect("a folder");
        let snapshot = |cache: &str, hash: &str, age: u64, text: &str| {
            let folder = home.path().join(cache).join("models--org--model/snapshots").join(hash);
            std::fs::create_dir_all(&folder).expect("made");
            std::fs::write(folder.join("tokenizer.json"), text).expect("written");
            let then = SystemTime::now() - std::time::Duration::from_secs(age);
            for path in [folder.join("tokenizer.json"), folder] {
                std::fs::File::open(path).and_then(|file| file.set_modified(then)).expect("dated");
            }
        };
        let good = sample::byte_level_json();
        snapshot("mine/hub", "aaa", 500, "{}");
        snapshot("mine/hub", "bbb", 100, &good);
        snapshot("mine/hub", "ccc", 900, "{}");
        snapshot(".cache/huggingface/hub", "ddd", 1, "{}");
        let environment = |name: &str| match name {
            "HF_HOME" => Some(home.path().join("mine").into_os_string()),
            "HOME" => Some(home.path().as_os_str().to_os_string()),
            _ => None,
        };
        let (tokens, warning) = find("org/model", environment).expect("in the cache");
        assert_eq!((tokens.name(), warning), ("org/model".to_string(), None));
        assert_eq!(tokens.count("the cat"), Some(2));
    }
}
