//! Imports go one way. This test reads the `crate::` paths of every module and holds the
//! directions that the crate's map promises.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which modules each top-level module may import.
const ALLOWED: &[(&str, &[&str])] = &[
    ("main", &["cli", "os"]),
    ("cli", &["script", "experiment", "host", "error", "engine"]),
    (
        "script",
        &[
            "experiment",
            "run",
            "client",
            "workload",
            "schedule",
            "record",
            "store",
            "stats",
            "chart",
            "engine",
            "host",
            "error",
            "os",
            "tokens",
            "random",
            "scrub",
        ],
    ),
    (
        "experiment",
        &[
            "run", "client", "workload", "schedule", "record", "store", "stats", "chart", "host", "error",
            "os", "tokens", "scrub",
        ],
    ),
    ("schedule", &["record", "random"]),
    ("workload", &["record", "tokens", "random", "error", "csv", "pages", "os"]),
    ("run", &["schedule", "workload", "client", "stats", "record", "error", "os"]),
    ("client", &["record", "error", "os", "scrub"]),
    ("store", &["record", "error", "pages", "os"]),
    ("stats", &["record", "csv", "error"]),
    ("chart", &["stats", "record", "error", "os"]),
    ("engine", &["error", "os"]),
    ("record", &[]),
    ("tokens", &["error", "os"]),
    ("csv", &[]),
    ("error", &[]),
    ("host", &["error"]),
    ("os", &[]),
    ("pages", &[]),
    ("random", &[]),
    ("scrub", &[]),
];

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("src is readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
    files
}

/// Code without its tests and comments.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a source file is text");
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_string();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in source_files(&root) {
        let inside = path.strip_prefix(&root).expect("below src");
        let module = inside.components().next().expect("a name").as_os_str().to_string_lossy();
        let module = module.trim_end_matches(".rs").to_string();
        if module == "lib" {
            continue;
        }
        let text = code(&path);
        let targets = found.entry(module.clone()).or_default();
        let start = if module == "main" { "rampant::" } else { "crate::" };
        for part in text.split(start).skip(1) {
            let name: String = part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            if !name.is_empty() && name != module {
                targets.insert(name);
            }
        }
    }
    found
}

#[test]
fn imports_go_only_where_the_map_says() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    for (module, targets) in imports() {
        let may =
            allowed.get(module.as_str()).copied().unwrap_or_else(|| panic!("{module} is not in the table"));
        wrong.extend(
            targets.iter().filter(|t| !may.contains(&t.as_str())).map(|t| format!("{module} -> {t}")),
        );
    }
    assert!(wrong.is_empty(), "imports against the map: {wrong:?}");
}

#[test]
fn the_table_has_no_cycle() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    fn reaches(from: &str, to: &str, allowed: &BTreeMap<&str, &[&str]>) -> bool {
        allowed[from].iter().any(|next| *next == to || reaches(next, to, allowed))
    }
    for module in allowed.keys() {
        assert!(!reaches(module, module, &allowed), "{module} reaches itself");
    }
}

#[test]
fn only_script_knows_the_script_language() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in source_files(&root) {
        if !path.starts_with(root.join("script")) {
            assert!(!code(&path).contains("rhai::"), "{} names rhai", path.display());
        }
    }
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in source_files(&root) {
        let lines = std::fs::read_to_string(&path).expect("text").lines().count();
        assert!(lines <= 600, "{} has {lines} lines", path.display());
    }
}
