//! One word for one thing, in all that a user reads: what the program says, what scripts say, the pages.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::mem_forget,
    reason = "a test ends where it fails, and says why"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// A limit of concurrency is `max_in_flight` (`--max-concurrency`), and who sends in a closed loop is
/// a user: these words were used for both.
const NOT_OURS: [&str; 4] = ["places", "cap", "caps", "capped"];

/// The same, where one of two words alone is an ordinary one.
const NOT_OURS_TOGETHER: [&str; 9] = [
    "free place",
    "no place",
    "a place rests",
    "each place",
    "waiting for a place",
    "had a place",
    "without a place",
    "并发位",
    "空位",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|found| found == ending) {
            found.push(path);
        }
    }
    found
}

/// The string literals of Rust code, each with its line; those of its tests are left out.
fn literals(code: &str) -> Vec<(usize, String)> {
    let code = code.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let (mut found, mut rest, mut line) = (Vec::new(), code, 1);
    while let Some(first) = rest.chars().next() {
        let raw = rest.strip_prefix('r').map(|tail| tail.trim_start_matches('#'));
        let hashes = raw.map_or(0, |tail| rest.len() - tail.len() - 1);
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(inside) = raw.and_then(|tail| tail.strip_prefix('"')) {
            let end = format!("\"{}", "#".repeat(hashes));
            let text = inside.split(&end).next().unwrap_or_default();
            found.push((line, text.to_string()));
            (2 + hashes + text.len() + end.len()).min(rest.len())
        } else if first == '"' {
            let mut end = 1;
            while !rest[end..].starts_with('"') {
                end += if rest[end..].starts_with('\\') { 2 } else { 1 };
                while !rest.is_char_boundary(end) {
                    end += 1;
                }
            }
            found.push((line, rest[1..end].to_string()));
            end + 1
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") || rest.starts_with("b'\"'") {
            rest[2..].find('\'').map_or(rest.len(), |end| end + 3)
        } else if first.is_alphanumeric() || first == '_' {
            // A whole word, so that the r of `for"` begins no raw string.
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()).max(1)
        } else {
            first.len_utf8()
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// The words of `text` that are not ours.
fn wrong(text: &str) -> Vec<&'static str> {
    // What stands in braces is the name of a variable.
    let mut lower = text.to_lowercase();
    while let Some((open, close)) = lower.find('{').zip(lower.find('}')).filter(|(open, close)| open < close)
    {
        lower.replace_range(open..=close, "");
    }
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let single = NOT_OURS.into_iter().filter(|word| words.contains(word));
    single.chain(NOT_OURS_TOGETHER.into_iter().filter(|words| lower.contains(words))).collect()
}

#[test]
fn a_limit_of_concurrency_has_one_word_in_all_that_a_user_reads() {
    let mut found = Vec::new();
    let mut sentences = 0;
    for path in files(&root().join("src"), "rs") {
        if path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        for (line, text) in literals(&fs::read_to_string(&path).expect("text")) {
            // One word alone is a name, such as a field of a Debug output.
            if text.contains(' ') || !text.is_ascii() {
                sentences += 1;
                found.extend(wrong(&text).into_iter().map(|word| (word, path.clone(), line, text.clone())));
            }
        }
    }
    let mut pages = vec![root().join("README.md")];
    pages.extend(
        files(&root().join("docs"), "md").into_iter().filter(|path| !path.ends_with("architecture.md")),
    );
    pages.extend(
        ["stdlib", "scripts", "examples"].iter().flat_map(|folder| files(&root().join(folder), "rhai")),
    );
    for path in pages {
        for (i, line) in fs::read_to_string(&path).expect("text").lines().enumerate() {
            found.extend(wrong(line).into_iter().map(|word| (word, path.clone(), i + 1, line.to_string())));
        }
    }
    let told: Vec<String> = found
        .iter()
        .map(|(word, path, line, text)| format!("{}:{line}: \"{word}\" in {text}", path.display()))
        .collect();
    assert!(told.is_empty(), "say max_in_flight, or users:\n{}", told.join("\n"));
    assert!(sentences > 1_000, "only {sentences} sentences were read");
}

#[test]
fn the_scan_sees_what_is_written() {
    let code =
        "// \"no\"\nlet a = \"all {} places\\\"\"; let b = r#\"raw \"x\" cap\"#; 'x' '\"' // end\nfor \"z\"";
    let texts: Vec<(usize, String)> = literals(code);
    let expected = [(2, "all {} places\\\""), (2, "raw \"x\" cap"), (3, "z")];
    assert_eq!(texts, expected.map(|(line, text)| (line, text.to_string())));
    assert_eq!(wrong("no place was free under the cap of {places}"), ["cap", "no place"]);
    assert_eq!(wrong("over_cap, name another place, in place of"), [] as [&str; 0]);
}

#[test]
fn there_is_one_type_for_the_two_languages() {
    let mut types = Vec::new();
    for path in files(&root().join("src"), "rs") {
        let text = fs::read_to_string(&path).expect("text");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        types.extend(code.lines().filter(|line| line.contains("enum Lang")).map(|_| path.clone()));
        let compares = literals(code).iter().any(|(_, text)| text == "zh") && !path.ends_with("lang.rs");
        assert!(!compares, "{} knows a language by its name; take a Lang", path.display());
    }
    assert_eq!(types, [root().join("src/lang.rs")]);
}
