//! `Lint`: what can be known to be wrong before a script runs.
//!
//! The language finds a misspelt function only when its line runs, possibly after an hour of load.
//! This pass looks at every call in the script, its functions, closures and modules, against the
//! names that the engine itself knows.

use std::collections::BTreeMap;

use rhai::{AST, ASTNode, Engine, Expr, FnAccess, FnCallExpr, Map, Position, Stmt};

use super::fault::{explain_parse, unknown};
use super::literals;
use super::maps::{self, Found};
use super::param::Param;
use super::resolver::Library;
use super::scan;
use super::sources::SourcePlace;
use super::state::State;
use super::vocabulary::Vocabulary;
use super::written::{self, Runs, Written};
use crate::error::{Error, nearest};

/// What the pass found.
#[derive(Debug, Default)]
pub struct Lint {
    /// In the order of their places; modules before the line that imports them.
    pub errors: Vec<Error>,
    /// Every parameter that the script and its modules declare.
    pub params: Vec<Param>,
}

/// Looks at a script and everything that it imports.
pub fn lint(engine: &Engine, state: &State, library: &Library, ast: &AST) -> Lint {
    let mut pass = Pass { engine, state, library, found: Lint::default(), modules: BTreeMap::new() };
    pass.text(&state.experiment.program.name, ast, &mut vec![state.experiment.program.name.clone()]);
    pass.found
}

struct Pass<'a> {
    engine: &'a Engine,
    state: &'a State,
    library: &'a Library,
    found: Lint,
    /// The public functions of every module seen so far: name and number of parameters.
    modules: BTreeMap<String, Functions>,
}

type Functions = Vec<(String, usize)>;

/// What can be called inside one text.
struct Names {
    functions: Functions,
    /// Import alias -> module name.
    imports: BTreeMap<String, String>,
    /// Keys of maps; a function value may sit behind each.
    keys: Vec<String>,
    variables: Vec<String>,
    runs: Runs,
}

impl Pass<'_> {
    /// `chain` holds the texts that are being imported right now.
    fn text(&mut self, source: &str, ast: &AST, chain: &mut Vec<String>) {
        let mut imports = BTreeMap::new();
        let body: Vec<&Stmt> = ast.statements().iter().collect();
        for stmt in &body {
            if let Stmt::Import(import, position) = stmt {
                let (Expr::StringConstant(name, at), alias) = (&import.0, &import.1) else {
                    let told = "the name of an import must be text that is written down";
                    self.error(source, *position, told);
                    continue;
                };
                self.import(source, name, *at, chain);
                if !alias.name.is_empty() {
                    imports.insert(alias.name.to_string(), name.to_string());
                }
            }
        }
        let functions = ast.iter_functions().map(|one| (one.name.to_string(), one.params.len())).collect();
        let text = self.state.sources.get(source).map(|text| text.text);
        let names = Names {
            functions,
            imports,
            // A map may come from a module, which has been read by now.
            keys: self.state.sources.all().iter().flat_map(|(_, text)| scan::keys(&text.text)).collect(),
            variables: text.map(|text| scan::variables(&text)).unwrap_or_default(),
            runs: Runs::of(ast),
        };
        let mut seen: Vec<(Position, Seen)> = Vec::new();
        // The walk visits the statements of the text first, then those of its functions.
        let mut left = body.len();
        ast.walk(&mut |path| {
            let outermost = path.len() == 1;
            see(path, outermost && left > 0, &mut seen);
            left -= usize::from(outermost && left > 0);
            true
        });
        for (position, found) in maps::found(ast, &names.functions, &names.keys) {
            let found = match found {
                Found::Wrong(told) => Seen::Wrong(told),
                Found::Metric(text) => Seen::Written(Written::Axis(text)),
                Found::Call(call) => Seen::Constant(call),
            };
            seen.push((position, found));
        }
        seen.sort_by_key(|(position, _)| *position);
        for (position, one) in seen {
            self.judge(source, &names, position, one);
        }
        // A slip in a declaration is found with the other option maps, and where it is declared.
        self.found.errors.dedup_by(|one, before| one.to_string() == before.to_string());
    }

    fn import(&mut self, source: &str, name: &str, at: Position, chain: &mut Vec<String>) {
        if chain.iter().any(|one| one == name) {
            let told = format!("module \"{name}\" imports itself: {} -> {name}", chain.join(" -> "));
            return self.error(source, at, &told);
        }
        if self.modules.contains_key(name) {
            return;
        }
        let text = match self.library.text(name) {
            Ok(Some(text)) => text,
            Ok(None) => {
                let known = self.library.embedded_names();
                let near = nearest(name, known.iter().map(String::as_str));
                let near = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
                let told = format!(
                    "no module \"{name}\"{near} (looked beside the script, in --lib folders and in the embedded library)"
                );
                return self.error(source, at, &told);
            }
            Err(error) => return self.error(source, at, &error.message),
        };
        self.modules.insert(name.into(), Functions::new());
        match self.library.compile(self.engine, name, &text) {
            Ok(ast) => {
                chain.push(name.into());
                self.text(name, &ast, chain);
                chain.pop();
                let public = ast.iter_functions().filter(|one| one.access == FnAccess::Public);
                let public = public.map(|one| (one.name.to_string(), one.params.len())).collect();
                self.modules.insert(name.into(), public);
            }
            Err(error) => {
                let told = explain_parse(error, name, &self.state.sources, self.state.vocabulary());
                self.found.errors.push(told);
            }
        }
    }

    fn judge(&mut self, source: &str, names: &Names, position: Position, seen: Seen) {
        let vocabulary = self.state.vocabulary();
        let told = match seen {
            Seen::Call { namespace: Some(space), name, args } => {
                qualified(&space, &name, args, names, &self.modules, vocabulary)
            }
            Seen::Call { namespace: None, name, args } => plain_call(&name, args, names, vocabulary),
            Seen::Method { name, args } => method(&name, args, names, vocabulary),
            Seen::Pointer(name) => pointer(&name, names, vocabulary),
            Seen::InnerImport => Some(
                "`import` belongs to the top of a script, so that what it loads is known before it runs"
                    .into(),
            ),
            Seen::Param(declared) => return self.param(source, position, declared),
            Seen::Written(Written::Condition(_)) if names.functions.iter().any(|one| one.0 == "require") => {
                None
            }
            Seen::Constant(call) => return self.try_out(source, names, *call),
            Seen::Written(written) => written.fault(&names.runs, &names.keys),
            Seen::Wrong(told) => Some(told),
        };
        if let Some(told) = told {
            self.error(source, position, &told);
        }
    }

    fn param(&mut self, source: &str, position: Position, declared: Declared) {
        let Some(name) = declared.name else {
            let told = "param: the name of a parameter must be text that is written down";
            return self.error(source, position, told);
        };
        match Param::describe(&name, declared.default.as_ref(), declared.options) {
            Ok(param) if self.found.params.iter().all(|known| known.name != param.name) => {
                self.found.params.push(param);
            }
            Ok(_) => {}
            Err(mut error) => {
                error.set_position(position);
                let kind = crate::error::ErrorKind::Usage;
                let vocabulary = self.state.vocabulary();
                let told = super::fault::explain(error, source, kind, &self.state.sources, vocabulary);
                self.found.errors.push(told);
            }
        }
    }

    /// Makes a call that can only end in one way.
    fn try_out(&mut self, source: &str, names: &Names, call: Expr) {
        let Expr::FnCall(called, _) = &call else { return };
        if names.functions.iter().any(|(own, _)| own == called.name.as_str()) {
            return;
        }
        let ast = AST::new([Stmt::Expr(Box::new(call))], rhai::Module::new());
        if let Err(error) = self.engine.eval_ast::<rhai::Dynamic>(&ast) {
            let kind = crate::error::ErrorKind::Usage;
            let (sources, vocabulary) = (&self.state.sources, self.state.vocabulary());
            self.found.errors.push(super::fault::explain(error, source, kind, sources, vocabulary));
        }
    }

    fn error(&mut self, source: &str, position: Position, told: &str) {
        let mut error = Error::usage(told);
        if let Some(line) = position.line() {
            let place =
                SourcePlace { source: source.into(), line, column: position.position().unwrap_or(1).max(1) };
            error.place = Some(self.state.sources.render(&place));
        }
        self.found.errors.push(error);
    }
}

/// Something worth a judgement.
enum Seen {
    Call {
        namespace: Option<Vec<String>>,
        name: String,
        args: usize,
    },
    Method {
        name: String,
        args: usize,
    },
    /// `Fn("name")`.
    Pointer(String),
    InnerImport,
    Param(Declared),
    Written(Written),
    /// A call of which everything is written down.
    Constant(Box<Expr>),
    /// Wrong whatever else the script says.
    Wrong(String),
}

/// A call of `param`, as far as it is written down.
struct Declared {
    name: Option<String>,
    default: Option<rhai::Dynamic>,
    options: Map,
}

/// Looks at the innermost node of a path.
fn see(path: &[ASTNode], top: bool, seen: &mut Vec<(Position, Seen)>) {
    if let Some(ASTNode::Expr(expr)) = path.last() {
        let written = written::of_expression(expr).into_iter();
        seen.extend(written.map(|(position, written)| (position, Seen::Written(written))));
    }
    match path.last() {
        Some(ASTNode::Expr(Expr::FnCall(call, position)) | ASTNode::Stmt(Stmt::FnCall(call, position))) => {
            see_call(call, *position, seen);
        }
        Some(ASTNode::Expr(Expr::MethodCall(call, position))) => {
            let (name, args) = (call.name.to_string(), call.args.len());
            seen.push((*position, Seen::Method { name, args }));
        }
        Some(ASTNode::Stmt(Stmt::Import(_, position))) if !top => {
            seen.push((*position, Seen::InnerImport));
        }
        // The language's own walk does not enter the value of a `break`.
        Some(ASTNode::Stmt(Stmt::BreakLoop(Some(value), ..))) => {
            value.walk(&mut Vec::new(), &mut |path| {
                see(path, false, seen);
                true
            });
        }
        _ => {}
    }
}

fn see_call(call: &FnCallExpr, position: Position, seen: &mut Vec<(Position, Seen)>) {
    if call.is_operator_call() {
        seen.extend(literals::comparison(call).map(|told| (position, Seen::Wrong(told))));
        return;
    }
    let name = call.name.to_string();
    if call.is_qualified() {
        let namespace = Some(call.namespace.path.iter().map(|part| part.name.to_string()).collect());
        return seen.push((position, Seen::Call { namespace, name, args: call.args.len() }));
    }
    if let ("Fn", [Expr::StringConstant(pointer, at)]) = (name.as_str(), &call.args[..]) {
        return seen.push((*at, Seen::Pointer(pointer.to_string())));
    }
    if name == "param" && (2..=3).contains(&call.args.len()) {
        let declared = Declared {
            name: match &call.args[0] {
                Expr::StringConstant(name, _) => Some(name.to_string()),
                _ => None,
            },
            default: call.args[1].get_literal_value(None),
            options: call.args.get(2).map(literal_options).unwrap_or_default(),
        };
        seen.push((position, Seen::Param(declared)));
    }
    seen.push((position, Seen::Call { namespace: None, name, args: call.args.len() }));
}

/// The options that are written down; a computed one is read when the script runs.
fn literal_options(expr: &Expr) -> Map {
    match expr {
        Expr::Map(map, _) => {
            let literal = |(key, value): &(rhai::Ident, Expr)| {
                Some((key.name.as_str().into(), value.get_literal_value(None)?))
            };
            map.0.iter().filter_map(literal).collect()
        }
        other => other.get_literal_value(None).and_then(|value| value.try_cast()).unwrap_or_default(),
    }
}

fn counted(args: usize) -> String {
    match args {
        0 => "no arguments".into(),
        1 => "1 argument".into(),
        more => format!("{more} arguments"),
    }
}

fn plain_call(name: &str, args: usize, names: &Names, vocabulary: &Vocabulary) -> Option<String> {
    if vocabulary.is_language(name) {
        return None;
    }
    let own: Vec<usize> =
        names.functions.iter().filter(|(one, _)| one == name).map(|(_, arity)| *arity).collect();
    let native = vocabulary.signatures(name);
    if own.contains(&args) || native.iter().any(|one| one.params.len() == args) {
        return None;
    }
    if let Some(arity) = own.first() {
        return Some(format!("`{name}` takes {}, got {args}", counted(*arity)));
    }
    if !native.is_empty() {
        let accepted = vocabulary.accepted(name);
        return Some(format!("`{name}` got {}; it is called as {accepted}", counted(args)));
    }
    if names.variables.iter().any(|one| one == name) {
        return Some(format!("`{name}` is a variable; a function in it is called with {name}.call(...)"));
    }
    let own = names.functions.iter().map(|(one, _)| one.as_str()).filter(|one| !one.contains('$'));
    let known: Vec<&str> = own.chain(vocabulary.names()).collect();
    Some(unknown("function", name, &known))
}

fn method(name: &str, args: usize, names: &Names, vocabulary: &Vocabulary) -> Option<String> {
    let native = vocabulary.signatures(name);
    let is_own = |one: &&(String, usize)| one.0 == name;
    let known = vocabulary.is_language(name)
        || names.keys.iter().any(|key| key == name)
        || names.functions.iter().filter(is_own).any(|(_, arity)| *arity == args)
        || native.iter().any(|one| one.params.len() == args + 1);
    if known {
        return None;
    }
    if let Some((_, arity)) = names.functions.iter().find(is_own) {
        return Some(match *arity == args + 1 {
            true => format!(
                "`{name}` is a function of the script; write {name}(value, ...) instead of value.{name}(...)"
            ),
            false => format!("`{name}` takes {}, got {args}", counted(*arity)),
        });
    }
    if !native.is_empty() {
        let accepted = vocabulary.accepted_as_method(name);
        return Some(format!("`{name}` got {}; it is called as {accepted}", counted(args)));
    }
    let own = names.functions.iter().map(|(one, _)| one.as_str()).filter(|one| !one.contains('$'));
    let known: Vec<&str> = own.chain(vocabulary.names()).collect();
    Some(unknown("method", name, &known))
}

fn pointer(name: &str, names: &Names, vocabulary: &Vocabulary) -> Option<String> {
    let own = names.functions.iter().map(|(one, _)| one.as_str());
    if own.clone().any(|one| one == name) || !vocabulary.signatures(name).is_empty() {
        return None;
    }
    let own = own.filter(|one| !one.contains('$'));
    Some(unknown("function", name, &own.chain(vocabulary.names()).collect::<Vec<_>>()))
}

fn qualified(
    space: &[String],
    name: &str,
    args: usize,
    names: &Names,
    modules: &BTreeMap<String, Functions>,
    vocabulary: &Vocabulary,
) -> Option<String> {
    let prefix = space.join("::");
    let native = vocabulary.signatures(&format!("{prefix}::{name}"));
    if native.iter().any(|one| one.params.len() == args) {
        return None;
    }
    if !native.is_empty() {
        let accepted = vocabulary.accepted(&format!("{prefix}::{name}"));
        return Some(format!("`{prefix}::{name}` got {}; it is called as {accepted}", counted(args)));
    }
    let [alias] = space else { return None };
    let Some(functions) = names.imports.get(alias).and_then(|module| modules.get(module)) else {
        // A module that could not be read has been reported; `global` and the like are the language's.
        return None;
    };
    let own: Vec<usize> = functions.iter().filter(|(one, _)| one == name).map(|(_, arity)| *arity).collect();
    match own.first() {
        _ if own.contains(&args) => None,
        Some(arity) => Some(format!("`{alias}::{name}` takes {}, got {args}", counted(*arity))),
        None if functions.is_empty() => None,
        None => {
            let known: Vec<&str> = functions.iter().map(|(one, _)| one.as_str()).collect();
            let told = unknown("function", name, &known);
            Some(format!("module `{alias}` has no such function: {told}"))
        }
    }
}
