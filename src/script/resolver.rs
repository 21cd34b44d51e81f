//! `Library`: where `import` finds a module.
//!
//! Beside the script, then in the `--lib` folders, then in the binary; the first hit wins, and a
//! broken one fails rather than letting the next one through. Nothing outside those folders can be
//! imported.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use rhai::{AST, Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};

use super::embedded::{Embedded, LIBRARY};
use super::fault::{Fallible, raise};
use super::sources::SourceText;
use super::state::State;
use crate::error::{Error, Result};
use crate::experiment::program::TEXT_BYTES_MAX;
use crate::os::file::plain;

/// The modules of a session. Every text is read once, so what was checked is what runs.
#[derive(Debug)]
pub struct Library {
    state: Arc<State>,
    folders: Vec<PathBuf>,
    embedded: &'static [Embedded],
    texts: Mutex<HashMap<String, SourceText>>,
    modules: Mutex<HashMap<String, Shared<Module>>>,
}

impl Library {
    pub fn new(state: Arc<State>) -> Arc<Self> {
        Library::with(state, LIBRARY)
    }

    fn with(state: Arc<State>, embedded: &'static [Embedded]) -> Arc<Self> {
        let host = &state.experiment.host;
        let lib = state.experiment.switches.lib.iter().map(|folder| host.cwd().join(folder));
        // A built-in command stands in no folder: what lies where it was called is not part of it.
        let beside = (!state.experiment.program.built_in).then(|| state.experiment.program.folder(host));
        let folders = beside.into_iter().chain(lib).collect();
        Arc::new(Library { state, folders, embedded, texts: Mutex::default(), modules: Mutex::default() })
    }

    /// The text of a module; `None` when nobody has it. Fails when the name leads outside, or the
    /// file cannot be read.
    pub fn text(&self, name: &str) -> Result<Option<SourceText>> {
        if let Some(text) = self.texts.lock().expect("nobody panics while reading").get(name) {
            return Ok(Some(text.clone()));
        }
        let Some(text) = self.find(name)? else { return Ok(None) };
        self.state.sources.add(name, text.clone());
        self.texts.lock().expect("nobody panics while reading").insert(name.into(), text.clone());
        Ok(Some(text))
    }

    /// A module's syntax tree, with its own name as the source of its errors.
    pub fn compile(
        &self,
        engine: &Engine,
        name: &str,
        text: &SourceText,
    ) -> std::result::Result<AST, rhai::ParseError> {
        let mut ast = engine.compile(&*text.text)?;
        ast.set_source(name);
        self.state.sources.learn(name, &ast);
        Ok(ast)
    }

    fn find(&self, name: &str) -> Result<Option<SourceText>> {
        let path = Path::new(name);
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !inside || name.contains('\\') || name.ends_with('/') {
            let told = format!(
                "import {name:?}: a module's name is a path without \"..\" below the script's folder"
            );
            return Err(Error::usage(told));
        }
        let file = if name.ends_with(".rhai") { name.into() } else { format!("{name}.rhai") };
        for folder in &self.folders {
            let path = folder.join(&file);
            if path.is_file() {
                return read(folder, &path, &self.state).map(Some);
            }
        }
        let embedded =
            name.strip_prefix("std/").and_then(|name| self.embedded.iter().find(|(known, _)| *known == name));
        Ok(embedded.map(|(_, text)| SourceText::new(name, text, None)))
    }

    /// Names that could be imported, for "did you mean".
    pub fn embedded_names(&self) -> Vec<String> {
        self.embedded.iter().map(|(name, _)| format!("std/{name}")).collect()
    }

    fn load(&self, engine: &Engine, name: &str) -> Fallible<Option<Shared<Module>>> {
        if let Some(module) = self.modules.lock().expect("nobody panics while loading").get(name) {
            return Ok(Some(module.clone()));
        }
        let Some(text) = self.text(name).map_err(raise)? else { return Ok(None) };
        let ast = self.compile(engine, name, &text)?;
        let module: Shared<Module> = Module::eval_ast_as_new(Scope::new(), &ast, engine)?.into();
        self.modules.lock().expect("nobody panics while loading").insert(name.into(), module.clone());
        Ok(Some(module))
    }
}

fn read(folder: &Path, path: &Path, state: &State) -> Result<SourceText> {
    let shown = path.strip_prefix(state.experiment.host.cwd()).unwrap_or(path).display().to_string();
    let failed =
        |error: std::io::Error| Error::usage(format!("cannot read module {shown:?}: {}", plain(&error)));
    let real = path.canonicalize().map_err(failed)?;
    if !real.starts_with(folder.canonicalize().map_err(failed)?) {
        return Err(Error::usage(format!("module {shown:?} is a link that leads out of its folder")));
    }
    let bytes = crate::os::file::read(&real, TEXT_BYTES_MAX).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|_| failed(std::io::ErrorKind::InvalidData.into()))?;
    Ok(SourceText::new(&shown, &text, Some(&real)))
}

/// The library as the language wants it. Anything but "not found" and "in module" makes the
/// language panic when resolvers are stacked, so there are no other errors.
pub struct Resolver(pub Arc<Library>);

impl ModuleResolver for Resolver {
    fn resolve(
        &self,
        engine: &Engine,
        _source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Fallible<Shared<Module>> {
        match self.0.load(engine, path) {
            Ok(Some(module)) => Ok(module),
            Ok(None) => Err(EvalAltResult::ErrorModuleNotFound(path.into(), position).into()),
            Err(error) => Err(EvalAltResult::ErrorInModule(path.into(), error, position).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::args::Args;
    use crate::experiment::program::Program;
    use crate::experiment::switches::Switches;
    use crate::host::Host;

    const TABLE: &[Embedded] = &[("shapes", "fn n() { 1 }"), ("other", "fn n() { 2 }")];

    fn library(folder: &Path, lib: &[&str]) -> Arc<Library> {
        let source = Program {
            name: "s.rhai".into(),
            text: String::new(),
            path: Some(folder.join("mine/s.rhai")),
            built_in: false,
        };
        let switches = Switches { lib: lib.iter().map(PathBuf::from).collect(), ..Default::default() };
        let state = State::new(source, Args::default(), switches, Host::fake(folder, &[])).unwrap();
        Library::with(state, TABLE)
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn text(library: &Library, name: &str) -> Option<(String, String)> {
        library.text(name).unwrap().map(|text| (text.shown, text.text.to_string()))
    }

    #[test]
    fn the_first_of_script_folder_lib_folders_and_binary_wins() {
        let folder = folder(&[
            ("mine/a.rhai", "1"),
            ("l1/a.rhai", "2"),
            ("l1/std/shapes.rhai", "3"),
            ("l2/b.rhai", "4"),
        ]);
        let library = library(folder.path(), &["l1", "l2"]);
        assert_eq!(text(&library, "a"), Some(("mine/a.rhai".into(), "1".into())));
        assert_eq!(text(&library, "std/shapes"), Some(("l1/std/shapes.rhai".into(), "3".into())));
        assert_eq!(text(&library, "b"), Some(("l2/b.rhai".into(), "4".into())));
        assert_eq!(text(&library, "std/other"), Some(("std/other".into(), "fn n() { 2 }".into())));
        assert_eq!(text(&library, "other"), None);
    }

    #[test]
    fn a_built_in_command_takes_no_module_from_the_folder_where_it_was_called() {
        let folder = folder(&[("std/options.rhai", "let a = 1;"), ("options.rhai", "let a = 1;")]);
        let source = crate::script::embedded::program("single").unwrap();
        let host = crate::host::Host::fake(folder.path(), &[]);
        let state = State::new(source, Default::default(), Default::default(), host).unwrap();
        let library = Library::new(state);
        assert_eq!(library.text("options").unwrap().map(|text| text.shown), None);
        let text = library.text("std/options").unwrap().unwrap();
        assert!(text.path.is_none() && text.text.starts_with("//! std/options"), "{}", text.shown);
    }

    #[test]
    fn a_name_that_leads_outside_is_refused() {
        let folder = folder(&[("a.rhai", "1"), ("mine/x", "")]);
        let library = library(folder.path(), &[]);
        let absolute = folder.path().join("a").display().to_string();
        for name in ["../a", "x/../../a", &absolute, "", "a\\b", "./a"] {
            let error = library.text(name).unwrap_err();
            assert!(error.message.ends_with("is a path without \"..\" below the script's folder"), "{error}");
        }
        std::os::unix::fs::symlink(folder.path().join("a.rhai"), folder.path().join("mine/out.rhai"))
            .unwrap();
        let error = library.text("out").unwrap_err();
        assert_eq!(error.message, "module \"mine/out.rhai\" is a link that leads out of its folder");
    }

    #[test]
    fn what_was_loaded_is_recorded_with_its_hash() {
        let folder = folder(&[("mine/a.rhai", "1")]);
        let library = library(folder.path(), &[]);
        library.text("a").unwrap();
        let recorded = library.state.sources.get("a").unwrap();
        assert_eq!(recorded.sha256, "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b");
        assert_eq!(recorded.path, Some(folder.path().join("mine/a.rhai").canonicalize().unwrap()));
    }

    #[test]
    fn a_broken_override_fails_instead_of_falling_through() {
        let folder = folder(&[("mine/std/shapes.rhai", "fn n( {")]);
        let library = library(folder.path(), &[]);
        let mut engine = Engine::new();
        engine.set_module_resolver(Resolver(library));
        let error = engine.run("import \"std/shapes\" as s; s::n();").unwrap_err();
        assert!(matches!(*error, EvalAltResult::ErrorInModule(..)), "{error}");
        let error = engine.run("import \"gone\" as s;").unwrap_err();
        assert!(matches!(*error, EvalAltResult::ErrorModuleNotFound(..)), "{error}");
    }
}
