//! `Folder`: `results/<name>_<YYYYMMDD_HHMMSS>/`, made once per invocation, never overwritten.

use super::aside::write_aside;
use super::identity::{self, RunIdentity};
use super::lock::{self, Asked, FolderLock};
use super::{journal, own_metrics, parts, reader, runs, series, statistics};
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// The name of the file that says what ran.
pub const MANIFEST: &str = "manifest.json";

/// Names that belong to the folder itself.
const OURS: [&str; 7] =
    [MANIFEST, runs::FILE, statistics::FILE, own_metrics::FILE, "requests", series::FILE, series::PARTS];

#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held by who made it, as long as it is written.
    _lock: Option<FolderLock>,
}

/// How often a fresh folder's lock is asked for, and how long between: somebody who lists folders looks at it
/// for a moment.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

impl Folder {
    /// Makes `<parent>/<name>_<stamp>/`; a taken name gets `-2`, `-3`, ...
    /// Fails when `name` is no plain name, or when `parent` cannot be written to.
    pub fn create(parent: &Path, name: &str, stamp: &str) -> Result<Folder> {
        let name = format!("{name}_{stamp}");
        check_name(&name).map_err(|error| error.context("cannot make a results folder"))?;
        fs::create_dir_all(parent).map_err(|error| cannot_make(parent, error))?;
        let mut path = parent.join(&name);
        for number in 2.. {
            match fs::create_dir(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    path = parent.join(format!("{name}-{number}"));
                }
                Err(error) => return Err(cannot_make(&path, error)),
                Ok(()) => break,
            }
        }
        let _lock = lock_of(&path);
        Ok(Folder { path, _lock })
    }

    /// An existing results folder, to go on writing into it. Fails when there is none, or when another
    /// process writes into it.
    pub fn open_to_write(path: &Path) -> Result<Folder> {
        let folder = Folder::open(path)?;
        let lock = lock_of(path);
        match (&lock, lock::is_live(path)) {
            (None, true) => Err(Error::usage(format!(
                "cannot go on in {}: a run is still going on there",
                path.display()
            ))
            .hint("wait until it has ended, or interrupt it")),
            _ => Ok(Folder { _lock: lock, ..folder }),
        }
    }

    /// Fails, with the sentence of [`Folder::create`], when `parent` cannot hold results folders.
    /// Leaves nothing behind.
    pub fn check_parent(parent: &Path) -> Result<()> {
        let there = parent.ancestors().find(|path| path.exists()).unwrap_or(parent);
        // Rights, full disks and read-only mounts: only an attempt knows them all.
        let probe = there.join(format!(".rampant-{}.tmp", std::process::id()));
        match fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(cannot_make(parent, error)),
            _ => Ok(()),
        }
    }

    /// An existing results folder. Fails when there is none.
    pub fn open(path: &Path) -> Result<Folder> {
        if path.is_dir() {
            return Ok(Folder { path: path.to_path_buf(), _lock: None });
        }
        let what = if path.exists() { "it is no folder" } else { "it does not exist" };
        Err(Error::usage(format!("cannot open the results folder {}: {what}", path.display())))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes `manifest.json` (read, change, write aside, rename).
    pub fn manifest(&self, change: impl FnOnce(&mut Map<String, Value>)) -> Result<()> {
        let path = self.path.join(MANIFEST);
        let mut manifest = if path.exists() { read_manifest(&path)? } else { Map::new() };
        change(&mut manifest);
        let mut text = serde_json::to_string_pretty(&manifest).expect("a map of JSON values is JSON");
        text.push('\n');
        write_aside(&path, text.as_bytes())
    }

    /// What `manifest.json` says; empty when there is none yet.
    pub fn read_manifest(&self) -> Result<Map<String, Value>> {
        let path = self.path.join(MANIFEST);
        if path.exists() { read_manifest(&path) } else { Ok(Map::new()) }
    }

    /// A run of the invocation that made the folder, in a cell of its own. Fails when the manifest cannot be
    /// read.
    pub fn identity(&self, index: u32, run: &str, traffic: &str) -> Result<RunIdentity> {
        let manifest = self.read_manifest()?;
        let now = || self.path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(RunIdentity {
            experiment_id: identity::experiment_id(&manifest),
            folder: identity::folder_name(&manifest).or_else(now).unwrap_or_default(),
            index,
            run: run.to_string(),
            cell: run.to_string(),
            traffic: traffic.to_string(),
        })
    }

    /// Writes a new file into the folder; a taken name is an error, and so is one that leads
    /// elsewhere.
    pub fn save(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        self.save_new(&self.path, name, content)
    }

    /// The same for a folder inside of this one, such as `charts`, which is made when missing.
    pub fn save_in(&self, inner: &str, name: &str, content: &[u8]) -> Result<PathBuf> {
        check_free(inner).map_err(|error| error.context(format!("cannot save \"{name}\"")))?;
        let folder = self.path.join(inner);
        fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, &error))?;
        self.save_new(&folder, name, content)
    }

    /// Writes a file of ours in a folder inside of this one, in place of the one that may be there.
    pub fn replace_in(&self, inner: &str, name: &str, content: &[u8]) -> Result<()> {
        let folder = self.path.join(inner);
        fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, &error))?;
        write_aside(&folder.join(name), content)
    }

    fn save_new(&self, folder: &Path, name: &str, content: &[u8]) -> Result<PathBuf> {
        check_free(name).map_err(|error| error.context(format!("cannot save \"{name}\"")))?;
        let path = folder.join(name);
        let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Error::usage(format!(
                    "cannot save \"{name}\": {} exists, and results are never overwritten",
                    path.display()
                ))
                .hint("save it under another name"));
            }
            Err(error) => return Err(cannot_write(&path, &error)),
        };
        file.write_all(content).map_err(|error| {
            // Half a file would look like a whole one.
            let _ = fs::remove_file(&path);
            cannot_write(&path, &error)
        })?;
        Ok(path)
    }

    /// Takes the folder away again when nothing was put into it; says whether it did.
    pub fn remove_if_empty(self) -> bool {
        // Both fail, as they should, when there is a file.
        let _ = fs::remove_dir(parts::requests_folder(&self.path));
        let _ = fs::remove_dir(journal::folder(&self.path));
        let only_lock = |entry: std::io::Result<fs::DirEntry>| {
            entry.is_ok_and(|entry| entry.path() == lock::path(&self.path))
        };
        if fs::read_dir(&self.path).is_ok_and(|mut entries| entries.all(only_lock)) {
            let _ = fs::remove_file(lock::path(&self.path));
        }
        fs::remove_dir(&self.path).is_ok()
    }
}

/// The lock of a folder that is to be written; none where there are no locks, or another one has it.
fn lock_of(path: &Path) -> Option<FolderLock> {
    for _ in 0..LOCK_TRIES {
        match lock::take(path) {
            Asked::Held(lock) => return Some(lock),
            Asked::Live => std::thread::sleep(LOCK_PAUSE),
            Asked::Unknown => return None,
        }
    }
    None
}

/// A results folder on disk, found by [`look`].
#[derive(Debug, Clone)]
pub struct FoundFolder {
    pub path: PathBuf,
    /// Folder name.
    pub name: String,
    /// Start, from the manifest: milliseconds since 1970.
    pub started_ms: i64,
    pub runs: usize,
    pub requests: u64,
    pub model: Option<String>,
}

/// Results folders under `parent`, newest start first. Folders without a manifest are left out, and
/// so are broken ones: [`look`] names those.
#[cfg(test)]
pub fn list(parent: &Path) -> Result<Vec<FoundFolder>> {
    Ok(look(parent)?.found)
}

/// What a folder of results folders holds.
#[derive(Debug, Default)]
pub struct FolderListing {
    /// Newest start first.
    pub found: Vec<FoundFolder>,
    /// Folders that could not be read: when they began (milliseconds since 1970), and a sentence.
    pub broken: Vec<(i64, String)>,
    /// A sentence for each part that could not be read.
    pub warnings: Vec<String>,
}

impl FolderListing {
    /// What is wrong with the newest folder of all, so that nobody takes an older one for it;
    /// `newest`: when the newest that can be read began.
    pub fn broken_since(&self, newest: Option<i64>) -> Option<&str> {
        let later = self.broken.iter().filter(|(began, _)| newest.is_none_or(|newest| *began >= newest));
        later.max_by_key(|(began, _)| *began).map(|(_, told)| told.as_str())
    }
}

/// Results folders under `parent`, newest start first, and what could not be read. Folders without a
/// manifest are left out.
pub fn look(parent: &Path) -> Result<FolderListing> {
    let mut listing = FolderListing::default();
    let cannot = |error| Error::run(format!("cannot list the results in {}: {error}", parent.display()));
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(listing),
        Err(error) => return Err(cannot(error)),
    };
    for entry in entries {
        let path = entry.map_err(cannot)?.path();
        if !path.join(MANIFEST).is_file() {
            continue;
        }
        match look_into(&path, &mut listing.warnings) {
            Ok(folder) => listing.found.push(folder),
            Err(error) => {
                let told = format!("the results folder {}: {}", path.display(), error.message);
                listing.broken.push((began(&path), told));
            }
        }
    }
    listing.found.sort_by(|a, b| b.started_ms.cmp(&a.started_ms).then_with(|| b.name.cmp(&a.name)));
    Ok(listing)
}

/// When a broken folder began, milliseconds since 1970: by its manifest, else by its name, else by
/// the last change of the manifest.
fn began(path: &Path) -> i64 {
    let manifest = path.join(MANIFEST);
    let told = || read_manifest(&manifest).ok()?.get("started_ms")?.as_i64();
    let named = || {
        let name = path.file_name()?.to_str()?;
        let time = name.get(name.len().checked_sub(15)?..)?;
        let time = chrono::NaiveDateTime::parse_from_str(time, "%Y%m%d_%H%M%S").ok()?;
        time.and_local_timezone(chrono::Local).earliest().map(|time| time.timestamp_millis())
    };
    let changed = || {
        let changed = fs::metadata(&manifest).ok()?.modified().ok()?;
        Some(changed.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis() as i64)
    };
    told().or_else(named).or_else(changed).unwrap_or(i64::MAX)
}

fn look_into(path: &Path, warnings: &mut Vec<String>) -> Result<FoundFolder> {
    let manifest = read_manifest(&path.join(MANIFEST))?;
    let started_ms = manifest.get("started_ms").and_then(Value::as_i64);
    let started_ms = started_ms.ok_or_else(|| Error::run("its manifest.json has no started_ms"))?;
    let model = manifest.get("model").or_else(|| manifest.get("target")?.get("model"));
    let mut requests = 0;
    let mut begun = HashSet::new();
    for part in parts::list(path)?.live {
        match reader::rows_of(&part) {
            Ok(rows) => requests += rows,
            Err(error) => warnings.push(error.message),
        }
        begun.insert(part.run);
    }
    begun.extend(journal::begun(path)?.into_iter().map(|(run, _)| run));
    // A run gets its row when it ends; one that was killed is known by its parts, or by its note.
    let file = path.join(runs::FILE);
    let finished = if file.exists() { reader::rows(&file)? as usize } else { 0 };
    Ok(FoundFolder {
        path: path.to_path_buf(),
        name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        started_ms,
        runs: finished.max(begun.len()),
        requests,
        model: model.and_then(Value::as_str).map(str::to_string),
    })
}

fn read_manifest(path: &Path) -> Result<Map<String, Value>> {
    let text = fs::read_to_string(path).map_err(|error| reader::cannot_read(path, error))?;
    serde_json::from_str(&text).map_err(|error| reader::cannot_read(path, error))
}

fn cannot_make(path: &Path, error: std::io::Error) -> Error {
    Error::run(format!("cannot make the results folder {}: {error}", path.display()))
        .hint("name a folder that you may write to with --out")
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::run(format!("cannot write {}: {error}", path.display()))
}

/// A plain file name: one that stays in its folder, is visible, and can be typed.
fn check_name(name: &str) -> Result<()> {
    let mut components = Path::new(name).components();
    let plain = matches!((components.next(), components.next()), (Some(Component::Normal(_)), None));
    let odd = |c: char| c.is_control() || c == '/' || c == '\\';
    if !plain || name.starts_with('.') || name.contains(odd) {
        return Err(Error::usage(format!("\"{}\" is no plain file name", name.escape_debug()))
            .hint("use a name without folders, such as \"ttft.svg\""));
    }
    Ok(())
}

fn check_free(name: &str) -> Result<()> {
    check_name(name)?;
    if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
        return Err(
            Error::usage("the results folder itself uses this name").hint("save it under another name")
        );
    }
    Ok(())
}

/// `deepseek-ai/DeepSeek-R1-AWQ` -> `DeepSeek-R1`: last path part, without `-awq`, `-gptq`,
/// `-gguf` in any case, safe as a folder name, never empty.
pub fn short_model_name(model: &str) -> String {
    let last = model.split(['/', '\\']).rfind(|part| !part.trim().is_empty()).unwrap_or_default().trim();
    let kept = |c: char| c.is_alphanumeric() || "._-+".contains(c);
    let mut short = String::new();
    // What a file's name should not hold becomes one dash, however much of it there is.
    for part in last.split_inclusive(|c| !kept(c)) {
        let text = part.trim_end_matches(|c| !kept(c));
        short += text;
        if text.len() < part.len() && !short.ends_with('-') {
            short.push('-');
        }
    }
    for format in ["-awq", "-gptq", "-gguf"] {
        // Lower-casing ASCII alone keeps every index where it was.
        let lower = short.to_ascii_lowercase();
        let whole = |&at: &usize| !lower[at + format.len()..].starts_with(char::is_alphanumeric);
        let places: Vec<usize> = lower.match_indices(format).map(|found| found.0).filter(whole).collect();
        for at in places.into_iter().rev() {
            short.replace_range(at..at + format.len(), "");
        }
    }
    let short: String = short.trim_matches(['.', '-']).chars().take(100).collect();
    if short.is_empty() { "model".to_string() } else { short }
}

#[cfg(test)]
mod tests {
    use super::super::{sample, writer::RowWriter};
    use super::*;
    use serde_json::json;

    const STAMP: &str = "20260102_030405";

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let parent = tempfile::tempdir().unwrap();
        let inner = parent.path().join("made/on/the/way");
        for _ in 0..3 {
            Folder::create(&inner, "R1", STAMP).unwrap();
        }
        assert_eq!(names(&inner), ["R1_20260102_030405", "R1_20260102_030405-2", "R1_20260102_030405-3"]);
    }

    #[test]
    fn a_parent_that_cannot_hold_folders_is_a_sentence() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Folder::create(&file, "R1", STAMP).unwrap_err();
        assert!(error.message.starts_with("cannot make the results folder "), "{error}");
        assert!(error.hint.unwrap().contains("--out"));
        for taken in [file.clone(), file.join("inside")] {
            let error = Folder::check_parent(&taken).unwrap_err();
            assert!(error.message.starts_with("cannot make the results folder "), "{error}");
        }
        Folder::check_parent(&parent.path().join("new/folders")).unwrap();
        assert_eq!(names(parent.path()), ["file"], "looking makes nothing");
    }

    #[test]
    fn the_manifest_keeps_what_it_does_not_change_and_its_order() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::create(parent.path(), "R1", STAMP).unwrap();
        folder.manifest(|manifest| drop(manifest.insert("z".into(), json!(1)))).unwrap();
        folder.manifest(|manifest| drop(manifest.insert("a".into(), json!([true])))).unwrap();
        let text = fs::read_to_string(folder.path().join(MANIFEST)).unwrap();
        assert_eq!(text, "{\n  \"z\": 1,\n  \"a\": [\n    true\n  ]\n}\n");
        assert_eq!(names(folder.path()), [MANIFEST]);
        assert_eq!(Folder::open(folder.path()).unwrap().read_manifest().unwrap()["z"], 1);
    }

    #[test]
    fn a_saved_file_stays_in_the_folder_and_overwrites_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::create(parent.path(), "R1", STAMP).unwrap();
        folder.save("文档 1.txt", b"first").unwrap();
        let error = folder.save("文档 1.txt", b"second").unwrap_err();
        assert!(error.message.contains("never overwritten"), "{error}");
        assert_eq!(fs::read(folder.path().join("文档 1.txt")).unwrap(), b"first");
        let outside = ["", ".", "..", "../x", "a/b", "/etc/x", "a\\b", ".hidden", "x\n", "x/", "C:\\x"];
        for name in outside.into_iter().chain(OURS).chain(["Manifest.JSON"]) {
            assert!(folder.save(name, b"").is_err(), "{name:?} was saved");
        }
        assert_eq!(names(folder.path()), ["文档 1.txt"]);
    }

    #[test]
    fn an_inner_folder_is_made_for_its_files_but_not_for_those_of_requests() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::create(parent.path(), "R1", STAMP).unwrap();
        let path = folder.save_in("charts", "ttft.svg", b"<svg/>").unwrap();
        assert_eq!(path, folder.path().join("charts/ttft.svg"));
        assert!(folder.save_in("requests", "part-000-0000.parquet", b"").is_err());
        assert!(folder.save_in("..", "x", b"").is_err());
        assert!(folder.save_in("charts", "../x", b"").is_err());
    }

    #[test]
    fn only_an_empty_folder_is_taken_away() {
        let parent = tempfile::tempdir().unwrap();
        let empty = Folder::create(parent.path(), "a", STAMP).unwrap();
        fs::create_dir(empty.path().join("requests")).unwrap();
        assert!(empty.remove_if_empty());
        let full = Folder::create(parent.path(), "b", STAMP).unwrap();
        full.save("x", b"").unwrap();
        assert!(!full.remove_if_empty());
        assert_eq!(names(parent.path()), ["b_20260102_030405"]);
    }

    #[test]
    fn opening_what_is_not_there_is_a_sentence() {
        let error = Folder::open(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(error.message, "cannot open the results folder /nowhere/at/all: it does not exist");
    }

    #[test]
    fn folders_are_listed_newest_first_with_their_counts_and_broken_ones_named() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str, manifest: Value| {
            let folder = Folder::create(parent.path(), name, STAMP).unwrap();
            folder.manifest(|m| m.extend(manifest.as_object().unwrap().clone())).unwrap();
            folder
        };
        let old = make("old", json!({"started_ms": 1_000, "model": "m/old"}));
        for (index, run) in ["c1", "c2"].into_iter().enumerate() {
            let mut writer = RowWriter::start(old.path(), sample::identity(run, index as u32)).unwrap();
            writer.write(sample::parcels(&sample::records(30))).unwrap();
            writer.finish().unwrap();
        }
        make("new", json!({"started_ms": 2_000, "target": {"model": "m/new"}}));
        make("timeless", json!({}));
        let torn = make("torn", json!({}));
        fs::write(torn.path().join(MANIFEST), "{").unwrap();
        fs::create_dir(parent.path().join("something else")).unwrap();

        let listing = look(parent.path()).unwrap();
        let seen: Vec<_> = listing
            .found
            .iter()
            .map(|f| (f.name.as_str(), f.runs, f.requests, f.model.as_deref().unwrap()))
            .collect();
        assert_eq!(seen, [("new_20260102_030405", 0, 0, "m/new"), ("old_20260102_030405", 2, 60, "m/old")]);
        assert_eq!((listing.broken.len(), listing.warnings.len()), (2, 0));
        // Both began later than the others, by their names: none of those is the newest.
        let newest = listing.broken_since(Some(2_000)).unwrap();
        assert!(newest.contains("torn_") && newest.contains(MANIFEST) || newest.contains("timeless_"));
        let later = listing.broken.iter().map(|(began, _)| *began).max().unwrap();
        assert_eq!(listing.broken_since(Some(later + 1)), None);
        assert!(list(&parent.path().join("missing")).unwrap().is_empty());
    }

    #[test]
    fn short_model_names_drop_owner_and_packing() {
        let cases = [
            ("deepseek-ai/DeepSeek-R1-AWQ", "DeepSeek-R1"),
            ("/models/Qwen2.5-7B-Instruct-GPTQ-Int4/", "Qwen2.5-7B-Instruct-Int4"),
            ("x/y-gguf", "y"),
            ("a-awqward", "a-awqward"),
            ("llama3:8b", "llama3-8b"),
            ("C:\\models\\通义 千问", "通义-千问"),
            ("🚀Rocket 7B👨‍👩‍👧", "Rocket-7B"),
            ("models--org--name", "models--org--name"),
            ("-AWQ", "model"),
            ("..", "model"),
            ("", "model"),
            ("///", "model"),
        ];
        for (model, short) in cases {
            assert_eq!(short_model_name(model), short, "{model}");
        }
    }
}
