//! `Sources`: every text that this session compiled, for error places and for the manifest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rhai::AST;
use sha2::{Digest, Sha256};
use unicode_width::UnicodeWidthStr;

/// The script and the modules that it loaded, by the name under which the language knows them.
#[derive(Debug, Default)]
pub struct Sources {
    texts: Mutex<BTreeMap<String, SourceText>>,
}

/// One script or module.
#[derive(Debug, Clone)]
pub struct SourceText {
    /// The name that a person sees: a path, or `std/...` for the embedded library.
    pub shown: String,
    pub text: Arc<str>,
    /// Where it was read from; `None` for an embedded text.
    pub path: Option<PathBuf>,
    pub sha256: String,
    /// Its functions, closures under their names inside the language.
    functions: BTreeMap<String, Body>,
}

impl SourceText {
    pub fn new(shown: &str, text: &str, path: Option<&Path>) -> Self {
        let sha256 = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        let path = path.map(Path::to_path_buf);
        SourceText { shown: shown.into(), text: text.into(), path, sha256, functions: BTreeMap::new() }
    }
}

/// Where the body of a function is: lines from 1 to the last, and the column of the first.
#[derive(Debug, Clone, Copy)]
struct Body {
    line: usize,
    column: usize,
    end: usize,
}

/// A place in one of the sources; line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePlace {
    pub source: String,
    pub line: usize,
    pub column: usize,
}

impl Sources {
    /// Remembers a text under the name of its `import`; the script itself goes by its shown name.
    pub fn add(&self, name: &str, text: SourceText) {
        self.lock().insert(name.into(), text);
    }

    /// Learns where the functions of a compiled text are.
    pub fn learn(&self, name: &str, ast: &AST) {
        let place = |function: &rhai::ScriptFuncDef| {
            let start = function.body.start_position();
            let (line, column) = (start.line().unwrap_or(0), start.position().unwrap_or(1));
            Body { line, column, end: function.body.end_position().line().unwrap_or(line) }
        };
        let functions =
            ast.iter_fn_def().map(|function| (function.name.to_string(), place(function))).collect();
        if let Some(text) = self.lock().get_mut(name) {
            text.functions = functions;
        }
    }

    /// The source in which a function is. The language names the one that was running when a
    /// function value was called, which is not always where the function was written.
    pub fn home_of(&self, function: &str, named: &str) -> String {
        let sources = self.lock();
        let has = |text: &SourceText| text.functions.contains_key(function);
        match sources.get(named).is_some_and(has) {
            true => named.into(),
            false => {
                sources.iter().find(|(_, text)| has(text)).map_or(named.into(), |(name, _)| name.clone())
            }
        }
    }

    /// Where the body of a function begins.
    pub fn place_of(&self, function: &str) -> Option<SourcePlace> {
        let sources = self.lock();
        let found = sources.iter().find_map(|(name, text)| Some((name, text.functions.get(function)?)));
        found.map(|(name, body)| SourcePlace { source: name.clone(), line: body.line, column: body.column })
    }

    /// The first digits of a hash of the lines of a function's body: another text, another hash, wherever
    /// it stands. Empty where its text is not known.
    pub fn hash_of(&self, function: &str) -> String {
        let sources = self.lock();
        let found = sources.values().find_map(|text| Some((text, text.functions.get(function)?)));
        let Some((text, body)) = found else { return String::new() };
        let lines = text.text.lines().skip(body.line.saturating_sub(1)).take(body.end + 1 - body.line);
        let mut hash = Sha256::new();
        lines.for_each(|line| hash.update(line.trim()));
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn get(&self, name: &str) -> Option<SourceText> {
        self.lock().get(name).cloned()
    }

    /// Everything that was loaded, for the manifest.
    pub fn all(&self) -> Vec<(String, SourceText)> {
        self.lock().iter().map(|(name, text)| (name.clone(), text.clone())).collect()
    }

    /// `file:line:column`.
    pub fn cite(&self, place: &SourcePlace) -> String {
        let shown = self.get(&place.source).map_or(place.source.clone(), |text| text.shown);
        format!("{shown}:{}:{}", place.line, place.column)
    }

    /// The place, its line, and a caret under the column.
    pub fn render(&self, place: &SourcePlace) -> String {
        let mut rendered = format!("  --> {}", self.cite(place));
        let text = self.get(&place.source);
        let line = text.as_ref().and_then(|text| text.text.lines().nth(place.line.saturating_sub(1)));
        if let Some(line) = line {
            let number = place.line.to_string();
            let gutter = " ".repeat(number.len() + 1);
            let (line, before) = around(line, place.column.saturating_sub(1));
            let under: String = match before.contains('\t') {
                true => before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect(),
                false => " ".repeat(before.width()),
            };
            rendered += &format!("\n{gutter}|\n{number} | {line}\n{gutter}| {under}^");
        }
        rendered
    }

    /// How a person calls a function: `name`, or the closure at its line.
    pub fn function(&self, name: &str, source: &str) -> String {
        if !name.starts_with("anon$") {
            return format!("`{name}`");
        }
        let line = self.lock().get(source).and_then(|text| text.functions.get(name).copied());
        line.map_or("a closure".into(), |body| format!("the closure at line {}", body.line))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, SourceText>> {
        self.texts.lock().expect("nobody panics while holding the sources")
    }
}

/// Letters of a line that are shown: a script made by a program may have one line of a megabyte.
const SHOWN: usize = 120;

/// What is shown of a line around a column that counts from 0, and the part of it before.
fn around(line: &str, column: usize) -> (String, String) {
    let letters = line.chars().count();
    if letters <= SHOWN {
        return (line.into(), line.chars().take(column).collect());
    }
    // Two thirds before it: what comes before says more.
    let start = column.saturating_sub(SHOWN * 2 / 3).min(letters - SHOWN);
    let (left, right) = (["", "…"][usize::from(start > 0)], ["", "…"][usize::from(start + SHOWN < letters)]);
    let part = |n: usize| line.chars().skip(start).take(n).collect::<String>();
    (
        format!("{left}{}{right}", part(SHOWN)),
        format!("{left}{}", part(column.saturating_sub(start).min(SHOWN))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_line_only_what_stands_around_the_column_is_shown() {
        let sources = Sources::default();
        let line = format!("{}X{}", "a".repeat(200_000), "中".repeat(200_000));
        sources.add("a", SourceText::new("a.rhai", &line, None));
        let at = |column| sources.render(&SourcePlace { source: "a".into(), line: 1, column });
        let shown = at(200_001);
        let wanted = format!(
            "  --> a.rhai:1:200001\n  |\n1 | …{}X{}…\n  | {}^",
            "a".repeat(80),
            "中".repeat(39),
            " ".repeat(81)
        );
        assert_eq!(shown, wanted);
        assert!(at(1).contains(&format!("\n1 | {}…\n  | ^", "a".repeat(120))));
        assert!(at(400_001).contains(&format!("\n1 | …{}\n", "中".repeat(120))), "{}", at(400_001));
        assert!(at(999_999_999).len() < 1000);
    }

    #[test]
    fn the_caret_stands_under_the_column_behind_wide_characters_and_tabs() {
        let sources = Sources::default();
        sources.add("a", SourceText::new("dir/a.rhai", "let 中 = x;\n\tlet b = y;", None));
        let wide = SourcePlace { source: "a".into(), line: 1, column: 9 };
        assert_eq!(sources.render(&wide), "  --> dir/a.rhai:1:9\n  |\n1 | let 中 = x;\n  |          ^");
        let tab = SourcePlace { source: "a".into(), line: 2, column: 10 };
        assert_eq!(sources.render(&tab), "  --> dir/a.rhai:2:10\n  |\n2 | \tlet b = y;\n  | \t        ^");
    }

    #[test]
    fn an_unknown_source_is_cited_by_its_own_name() {
        let place = SourcePlace { source: "gone".into(), line: 3, column: 1 };
        assert_eq!(Sources::default().render(&place), "  --> gone:3:1");
    }
}
