//! `Code`: the files of the crate, and which file uses what of which other.
//!
//! A use is traced to the file that defines the item: `mod` and `pub use` lines are signposts and
//! no uses. Tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Path_ = Vec<String>;

/// A source file without its tests, comments and `use` lines.
#[derive(Default)]
struct File {
    path: PathBuf,
    /// `["stats", "summary"]`; empty: the crate's root.
    module: Path_,
    text: String,
    /// `use` lines, expanded: the name that a path has here, and the path.
    uses: Vec<(String, Path_)>,
    /// The same of `pub use` lines.
    signposts: Vec<(String, Path_)>,
}

pub struct Code {
    files: Vec<File>,
}

/// File uses file, by their places in [`Code`].
pub type Edges = BTreeMap<String, BTreeSet<String>>;

impl Code {
    pub fn read() -> Code {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        let mut waiting =
            vec![(root.join("lib.rs"), Vec::new()), (root.join("main.rs"), vec!["main".into()])];
        while let Some((path, module)) = waiting.pop() {
            let whole = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            let text = flat(&plain(&whole));
            for child in children(&text) {
                let mut inside = module.clone();
                inside.push(child.clone());
                let folder = inside.iter().fold(root.clone(), |folder, name| folder.join(name));
                let (one, of_folder) = (folder.with_extension("rs"), folder.join("mod.rs"));
                let path = [one, of_folder].into_iter().find(|path| path.exists());
                waiting.extend(path.map(|path| (path, inside)));
            }
            let inside = path.strip_prefix(&root).expect("below src").to_path_buf();
            files.push(File::read(inside, module, &text));
        }
        Code { files }
    }

    pub fn files(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.files.iter().map(|file| (file.path.as_path(), file.text.as_str()))
    }

    /// Which file uses which.
    pub fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for file in &self.files {
            let from = shown(&file.path);
            let targets = file.paths().into_iter().filter_map(|path| self.home(&file.module, &path, 0));
            edges.entry(from.clone()).or_default().extend(targets.filter(|to| *to != from));
        }
        edges
    }

    fn file(&self, module: &[String]) -> Option<&File> {
        self.files.iter().find(|file| file.module == module)
    }

    /// The file that defines what `path` names in `module`; `None` for what is of other crates, and
    /// for a module as such.
    fn home(&self, module: &[String], path: &[String], depth: usize) -> Option<String> {
        let (mut at, mut rest) = (module.to_vec(), path);
        match rest.first()?.as_str() {
            "crate" | "rampant" => (at, rest) = (Vec::new(), &rest[1..]),
            "self" | "super" => {}
            first => {
                self.file(&[module, &[first.to_string()]].concat())?;
            }
        }
        while let Some("self" | "super") = rest.first().map(String::as_str) {
            if rest[0] == "super" {
                at.pop();
            }
            rest = &rest[1..];
        }
        while let Some(name) = rest.first() {
            let inside = [&at[..], std::slice::from_ref(name)].concat();
            if self.file(&inside).is_none() {
                break;
            }
            (at, rest) = (inside, &rest[1..]);
        }
        let (file, name) = (self.file(&at)?, rest.first()?);
        let signpost = file.signposts.iter().find(|(known, _)| known == name);
        match signpost.filter(|_| depth < 8) {
            Some((_, path)) => self.home(&at, &[path, &rest[1..]].concat(), depth + 1),
            None => Some(shown(&file.path)),
        }
    }
}

impl File {
    fn read(path: PathBuf, module: Path_, text: &str) -> File {
        let mut file = File { path, module, ..File::default() };
        let mut rest = text;
        while let Some((start, end)) = next_use(rest) {
            file.text.push_str(&rest[..start]);
            let line = &rest[start..end];
            let (before, tree) = line.split_once("use ").expect("it was found");
            let into = if before.trim().is_empty() { &mut file.uses } else { &mut file.signposts };
            expand(&[], tree, into);
            rest = &rest[end + 1..];
        }
        file.text.push_str(rest);
        file
    }

    /// Every path of other files that stands in it.
    fn paths(&self) -> Vec<Path_> {
        let mut paths: Vec<Path_> = self.uses.iter().map(|(_, path)| path.clone()).collect();
        for path in written(&self.text) {
            let known = self.uses.iter().find(|(name, _)| *name == path[0]);
            paths.push(known.map_or(path.clone(), |(_, known)| [known, &path[1..]].concat()));
        }
        paths
    }
}

pub fn shown(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

/// Code without comments and tests; modules of tests stand at the end of a file.
fn plain(text: &str) -> String {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let is_test = |i: usize| {
        let mark = code[i].trim();
        (mark == "#[cfg(test)]" || mark.starts_with("#[cfg(all(test"))
            && code.get(i + 1).is_some_and(|next| next.contains("mod ") && next.trim_end().ends_with('{'))
    };
    let end = (0..code.len()).find(|i| is_test(*i)).unwrap_or(code.len());
    let mut kept = Vec::new();
    for (i, line) in code[..end].iter().enumerate() {
        // What a test alone has: one line, or a statement of one.
        let marked = i > 0 && code[i - 1].trim() == "#[cfg(test)]";
        if !marked && !line.trim().starts_with("#[cfg(test)]") {
            kept.push(*line);
        }
    }
    kept.join("\n")
}

/// The same with what modules inside of a file call `super` called `self`: they are of the file.
fn flat(text: &str) -> String {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        let begins =
            line.trim_end().ends_with('{') && (line.starts_with("mod ") || line.starts_with("pub mod "));
        inside = (inside || begins) && line != "}";
        lines.push(if inside { line.replace("super::", "self::") } else { line.to_string() });
    }
    lines.join("\n")
}

/// Names in `mod name;` lines.
fn children(text: &str) -> Vec<String> {
    let name = |line: &str| {
        let line = line.trim().strip_suffix(';')?;
        let (before, name) = line.split_once("mod ")?;
        (before.is_empty() || before.starts_with("pub")).then(|| name.trim().to_string())
    };
    text.lines().filter_map(name).collect()
}

/// Where the next `use` line begins and where its `;` is.
fn next_use(text: &str) -> Option<(usize, usize)> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_start();
        let bare = bare.strip_prefix("pub(crate) ").or(bare.strip_prefix("pub(super) ")).unwrap_or(bare);
        if bare.strip_prefix("pub ").unwrap_or(bare).starts_with("use ") {
            return Some((start, start + text[start..].find(';')?));
        }
        start += line.len();
    }
    None
}

/// `a::{b, c::d as e}` as its paths.
fn expand(before: &[String], tree: &str, into: &mut Vec<(String, Path_)>) {
    let tree = tree.trim();
    let brace = tree.find('{');
    let head = &tree[..brace.unwrap_or(tree.len())];
    let (head, alias) = head.split_once(" as ").unwrap_or((head, ""));
    let names = head.split("::").map(str::trim).filter(|name| !name.is_empty());
    let mut path = before.to_vec();
    path.extend(names.map(str::to_string));
    let Some(brace) = brace else {
        if path.last().is_some_and(|name| name == "self") {
            path.pop();
        }
        let name =
            if alias.is_empty() { path.last().cloned().unwrap_or_default() } else { alias.trim().into() };
        into.push((name, path));
        return;
    };
    let (mut depth, mut part) = (0, String::new());
    for c in tree[brace + 1..tree.rfind('}').unwrap_or(tree.len())].chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&path, &std::mem::take(&mut part), into);
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    if !part.trim().is_empty() {
        expand(&path, &part, into);
    }
}

/// Paths of at least two names in a text.
fn written(text: &str) -> Vec<Path_> {
    let of_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let words = text.split(|c: char| !of_name(c) && c != ':');
    for word in words.filter(|word| word.contains("::")) {
        let names: Path_ = word.split("::").map(str::to_string).take_while(|name| !name.is_empty()).collect();
        if names.len() > 1 {
            found.push(names);
        }
    }
    found
}
