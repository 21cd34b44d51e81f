//! Imports go one way. These tests read the paths in every source file and hold the directions that
//! the crate's map promises (docs/architecture.md).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::mem_forget,
    reason = "a test ends where it fails, and says why"
)]

mod code;

use code::{Code, Edges, shown};
use std::collections::{BTreeMap, BTreeSet};

/// Which modules each top-level module may import.
const ALLOWED: &[(&str, &[&str])] = &[
    ("main", &["cli", "os"]),
    ("cli", &["script", "experiment", "host", "lang", "error", "engine"]),
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
            "lang",
            "error",
            "os",
            "tokens",
            "random",
            "scrub",
            "simulate",
        ],
    ),
    (
        "experiment",
        &[
            "run", "client", "workload", "schedule", "record", "store", "stats", "chart", "host", "lang",
            "error", "os", "tokens", "scrub", "simulate", "engine",
        ],
    ),
    ("schedule", &["record", "random"]),
    ("workload", &["record", "tokens", "random", "error", "csv", "pages", "os"]),
    ("run", &["schedule", "workload", "client", "stats", "record", "error", "os"]),
    ("client", &["record", "error", "os", "scrub"]),
    ("store", &["record", "error", "pages", "os"]),
    ("stats", &["record", "lang", "csv", "error"]),
    ("chart", &["stats", "record", "lang", "error", "os"]),
    ("engine", &["error", "os"]),
    ("simulate", &["run", "schedule", "workload", "client", "record", "engine", "random", "error"]),
    ("record", &[]),
    ("tokens", &["error", "os"]),
    ("csv", &[]),
    ("error", &[]),
    ("host", &["error"]),
    ("lang", &[]),
    ("os", &[]),
    ("pages", &[]),
    ("random", &[]),
    ("scrub", &[]),
];

/// Folders in which no files use each other in a circle.
const STRAIGHT: [&str; 4] = ["script/", "experiment/", "stats/", "client/protocol/"];

/// Files that may use each other in a circle elsewhere.
const CIRCLE_MAX: usize = 3;

/// The top-level module of a file.
fn module(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

#[test]
fn imports_go_only_where_the_map_says() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, targets) in Code::read().edges() {
        let from = module(&file);
        if from == "lib" {
            continue;
        }
        let may = allowed.get(from).copied().unwrap_or_else(|| panic!("{from} is not in the table"));
        let is_wrong = |target: &&String| module(target) != from && !may.contains(&module(target));
        wrong.extend(targets.iter().filter(is_wrong).map(|target| format!("{file} -> {target}")));
    }
    assert!(wrong.is_empty(), "imports against the map: {wrong:#?}");
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
fn files_do_not_use_each_other_in_circles() {
    let mut wrong = Vec::new();
    for circle in circles(&Code::read().edges()) {
        let straight = circle.iter().any(|file| STRAIGHT.iter().any(|folder| file.starts_with(folder)));
        if straight || circle.len() > CIRCLE_MAX {
            wrong.push(circle);
        }
    }
    assert!(wrong.is_empty(), "files that use each other in a circle: {wrong:#?}");
}

/// Sets of files of which each reaches each other.
fn circles(edges: &Edges) -> Vec<Vec<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|file| (file.as_str(), reach(edges, file))).collect();
    let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
    for (file, others) in &reached {
        let back = |other: &&&str| reached.get(**other).is_some_and(|theirs| theirs.contains(file));
        let circle: Vec<String> = others.iter().filter(back).map(|other| other.to_string()).collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reach<'e>(edges: &'e Edges, from: &str) -> BTreeSet<&'e str> {
    let (mut seen, mut waiting) = (BTreeSet::new(), vec![from]);
    while let Some(file) = waiting.pop() {
        for next in edges.get(file).into_iter().flatten() {
            if seen.insert(next.as_str()) {
                waiting.push(next);
            }
        }
    }
    seen
}

#[test]
fn uses_are_traced_to_the_file_that_defines_them() {
    let edges = Code::read().edges();
    let uses = |from: &str, to: &str| edges[from].contains(to);
    // Through a signpost, in braces, by `super::super`, and by the name of an imported module.
    assert!(uses("run/load.rs", "client/mod.rs"));
    assert!(uses("script/mod.rs", "experiment/manifest.rs"));
    assert!(uses("experiment/measure.rs", "experiment/row.rs"));
    assert!(uses("main.rs", "cli/mod.rs"));
    assert!(!uses("lib.rs", "cli/mod.rs"), "a map is no use");
}

#[test]
fn only_script_knows_the_script_language() {
    for (path, text) in Code::read().files() {
        let knows = text.contains("rhai::") || text.contains("rhai}");
        assert!(!knows || path.starts_with("script"), "{} names rhai", path.display());
    }
}

#[test]
fn no_file_is_longer_than_600_lines() {
    for (path, _) in Code::read().files() {
        let whole = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path);
        let lines = std::fs::read_to_string(whole).expect("text").lines().count();
        assert!(lines <= 600, "{} has {lines} lines", shown(path));
    }
}
