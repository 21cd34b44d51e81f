//! What others wrote and we ship: under which licences, in how many versions, and with their notices.
//!
//! `UPDATE_NOTICE=1 cargo test --release --test dependencies` writes `NOTICE` again.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::mem_forget,
    reason = "a test ends where it fails, and says why"
)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Licences of which a package must offer one. None asks more than to be named and reprinted.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "MIT",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Zlib",
    // Waives everything.
    "CC0-1.0",
    // Asks for the source of its own files alone, which NOTICE names.
    "MPL-2.0",
];

/// Crates of which there is more than one version, and why.
const DUPLICATES: &[(&str, &str)] = &[
    ("base64", "a part of tokenizers stays at 0.13"),
    ("getrandom", "0.2 for ring and a part of rhai, 0.3 for rand, 0.4 for the tests' tempfile"),
    ("syn", "2 for the macros of rhai and tokenizers, 3 for those of serde, clap and tokio"),
];

/// One package of `cargo metadata`.
struct Package {
    name: String,
    version: String,
    licence: String,
    place: String,
    folder: PathBuf,
    /// It is part of the program: no tool of the build or of the tests.
    shipped: bool,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What cargo writes to its standard output, for Linux, on which the wheel runs: the same on every machine.
fn cargo(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    let out = command.args(arguments).arg("--locked").current_dir(root()).output().expect("cargo starts");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("cargo writes UTF-8")
}

/// Names and versions that are compiled along these kinds of edges. `cargo metadata` alone tells more:
/// what a feature would bring if something else switched it on.
fn compiled(edges: &str) -> BTreeSet<(String, String)> {
    let format = ["--prefix=none", "--format={p}", "--target=x86_64-unknown-linux-gnu"];
    let lines = cargo(&[&["tree", "-e", edges][..], &format[..]].concat());
    let words = lines.lines().filter_map(|line| line.split_once(" v"));
    words.map(|(name, rest)| (name.into(), rest.split(' ').next().unwrap_or(rest).into())).collect()
}

/// All packages of others that are compiled, in order; asked for once.
fn packages() -> &'static [Package] {
    static PACKAGES: OnceLock<Vec<Package>> = OnceLock::new();
    PACKAGES.get_or_init(read_packages)
}

fn read_packages() -> Vec<Package> {
    let all = compiled("normal,build,dev");
    let linked = compiled("normal,no-proc-macro");
    let metadata = cargo(&["metadata", "--format-version=1", "--filter-platform=x86_64-unknown-linux-gnu"]);
    let data: Value = serde_json::from_str(&metadata).expect("cargo writes JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let mut packages: Vec<Package> = data["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .filter(|package| !package["source"].is_null())
        .map(|package| Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            licence: text(&package["license"]),
            place: text(&package["repository"]),
            folder: Path::new(&text(&package["manifest_path"])).parent().expect("a folder").to_path_buf(),
            shipped: linked.contains(&(text(&package["name"]), text(&package["version"]))),
        })
        .filter(|package| all.contains(&(package.name.clone(), package.version.clone())))
        .collect();
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    assert!(packages.len() + 1 >= all.len(), "cargo tree and cargo metadata tell of different packages");
    packages
}

/// Whether an SPDX expression can be met with [`LICENCES`].
fn allowed(expression: &str) -> bool {
    let text = expression.replace(" WITH LLVM-exception", "").replace('/', " OR ");
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (met, rest) = either(&words);
    met && rest.is_empty()
}

fn either<'a>(words: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    let (mut met, mut rest) = both(words);
    while let ["OR", more @ ..] = rest {
        let (other, after) = both(more);
        (met, rest) = (met | other, after);
    }
    (met, rest)
}

fn both<'a>(words: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    let (mut met, mut rest) = one(words);
    while let ["AND", more @ ..] = rest {
        let (other, after) = one(more);
        (met, rest) = (met & other, after);
    }
    (met, rest)
}

fn one<'a>(words: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    match words {
        ["(", inner @ ..] => match either(inner) {
            (met, [")", rest @ ..]) => (met, rest),
            _ => (false, &[]),
        },
        [name, rest @ ..] => (LICENCES.contains(&name.trim_end_matches('+')), rest),
        [] => (false, &[]),
    }
}

#[test]
fn every_package_may_be_used_and_passed_on() {
    let refused: Vec<String> = packages()
        .iter()
        .filter(|package| !allowed(&package.licence))
        .map(|package| format!("{} {}: \"{}\"", package.name, package.version, package.licence))
        .collect();
    assert!(refused.is_empty(), "licences that are not on the list: {refused:#?}");
}

#[test]
fn an_expression_of_licences_is_read_as_it_is_meant() {
    for good in ["MIT", "GPL-3.0 OR MIT", "(GPL-3.0 OR MIT) AND ISC", "Unlicense/MIT", "MPL-2.0+"] {
        assert!(allowed(good), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "MIT ISC"] {
        assert!(!allowed(bad), "{bad}");
    }
}

#[test]
fn a_crate_in_two_versions_has_its_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        versions.entry(package.name.clone()).or_default().insert(package.version.clone());
    }
    versions.retain(|_, versions| versions.len() > 1);
    let known: BTreeSet<&str> = DUPLICATES.iter().map(|(name, _)| *name).collect();
    let new: Vec<_> = versions.iter().filter(|(name, _)| !known.contains(name.as_str())).collect();
    assert!(
        new.is_empty(),
        "in more than one version (cargo tree -d says whose), without a reason: {new:#?}"
    );
    let gone: Vec<_> = known.iter().filter(|name| !versions.contains_key(**name)).collect();
    assert!(gone.is_empty(), "in one version by now, to be struck from the list: {gone:?}");
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let (mut inside, mut above, mut silent) = (false, "", Vec::new());
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if inside && line.contains(" = ") && !above.starts_with('#') {
            silent.push(line);
        }
        above = line;
    }
    assert!(silent.is_empty(), "without a comment above: {silent:#?}");
}

#[test]
fn notice_is_current() {
    let (path, now) = (root().join("NOTICE"), notice());
    if std::env::var_os("UPDATE_NOTICE").is_some() {
        std::fs::write(&path, &now).expect("NOTICE can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let old = "NOTICE is old: UPDATE_NOTICE=1 cargo test --release --test dependencies";
    assert!(written == now, "{old}");
}

/// Every package of the program with its copyright, then each text that is not MIT's or Apache's, once.
fn notice() -> String {
    let mut out = String::from(HEAD);
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages().iter().filter(|package| package.shipped) {
        let name = format!("{} {}", package.name, package.version);
        writeln!(out, "{name} ({}) {}", package.licence, package.place).expect("a string");
        let mut seen = BTreeSet::new();
        for text in notices(&package.folder) {
            if is_apache(&text) {
                continue;
            }
            let lines = text.lines().map(str::trim);
            for line in lines.filter(|line| is_copyright(line) && seen.insert(line.to_string())) {
                writeln!(out, "    {line}").expect("a string");
            }
            if !is_mit(&text) {
                texts.entry(text).or_default().push(name.clone());
            }
        }
    }
    for (text, names) in texts {
        writeln!(out, "\n{}\n{}\n\n{text}", "-".repeat(80), names.join(", ")).expect("a string");
    }
    out
}

const HEAD: &str = "\
Rampant contains the packages below, each under the licence beside it. Where it offers MIT or Apache-2.0,
their texts are those in LICENSE-MIT and LICENSE-APACHE, with the copyright named here; every other text
follows the list. It also contains Rust's standard library (MIT OR Apache-2.0, https://www.rust-lang.org)
and a font (OFL-1.1), whose copyright and licence are in src/chart/font.

";

/// The files beside a package's manifest that say who owns it and what is allowed.
fn notices(folder: &Path) -> Vec<String> {
    let names = ["license", "licence", "copying", "copyright", "notice", "unlicense"];
    let entries = std::fs::read_dir(folder).expect("cargo has unpacked the package");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            path.is_file() && names.iter().any(|start| name.starts_with(start))
        })
        .collect();
    files.sort();
    let text = |path: &PathBuf| String::from_utf8_lossy(&std::fs::read(path).expect("a file")).into_owned();
    let trim =
        |text: String| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_string();
    files.iter().map(text).map(trim).collect()
}

fn is_copyright(line: &str) -> bool {
    let line = line.to_lowercase();
    (line.starts_with("copyright") || line.starts_with("(c) ")) && line.contains(|c: char| c.is_ascii_digit())
}

fn is_mit(text: &str) -> bool {
    text.contains("Permission is hereby granted, free of charge, to any") && text.len() < 1500
}

fn is_apache(text: &str) -> bool {
    text.contains("TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION") && text.len() < 12_500
}
