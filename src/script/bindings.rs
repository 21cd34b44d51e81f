//! `Bindings`: what the variables of a script hold, wherever it can be known without running it.
//!
//! A variable is known when it is set once, by `let` or `const`, and nothing changes it after. It is
//! better to know nothing than something wrong: whatever is out of the ordinary makes it unknown.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Expr, FnCallExpr, FnPtr, Position, Stmt};

/// The text outside of functions, or the body of one; closures are functions.
#[derive(Debug)]
pub struct Unit {
    /// Empty for the text outside of functions.
    pub name: String,
    pub params: Vec<String>,
    pub body: Vec<Stmt>,
    /// Variable -> how often it is set, and to what the first time.
    set: BTreeMap<String, (usize, Option<Expr>)>,
    /// Of a closure: the unit around it, from which it has its first parameters.
    around: Option<(usize, Vec<String>)>,
    /// A closure that a function of a script is given: it may be there to fail.
    handed: bool,
}

/// Every unit of a text, the one outside of functions first.
#[derive(Debug)]
pub struct Bindings {
    pub units: Vec<Unit>,
    /// Variables that are changed somewhere, by name.
    changed: BTreeSet<String>,
    /// Maps that get further keys somewhere, by the name of their variable.
    grown: BTreeSet<String>,
}

/// What a variable was set to.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    pub expr: &'a Expr,
    /// Where its own variables are looked for.
    pub unit: usize,
    /// It is a map that may have got other values, and further keys, since.
    pub grown: bool,
}

/// Functions that change what they are called on.
const CHANGING: [&str; 29] = [
    "append",
    "chop",
    "clear",
    "crop",
    "dedup",
    "drain",
    "extract",
    "fill_with",
    "insert",
    "make_lower",
    "make_upper",
    "mixin",
    "order",
    "pad",
    "pop",
    "push",
    "remove",
    "replace",
    "retain",
    "reverse",
    "set",
    "shift",
    "sort",
    "sort_by",
    "sort_desc",
    "splice",
    "split_at",
    "trim",
    "truncate",
];

impl Bindings {
    pub fn of(ast: &AST) -> Bindings {
        let mut units = vec![Unit::new("", Vec::new(), ast.statements().to_vec())];
        let mut own: BTreeSet<String> = BTreeSet::new();
        let functions = ast.clone_functions_only();
        for function in ast.iter_functions() {
            own.insert(function.name.to_string());
            let params: Vec<String> = function.params.iter().map(ToString::to_string).collect();
            let body = body(&functions, function.name, params.len());
            units.push(Unit::new(function.name, params, body));
        }
        let mut bindings = Bindings { units: Vec::new(), changed: BTreeSet::new(), grown: BTreeSet::new() };
        let (mut closures, mut handed) = (Vec::new(), Vec::new());
        for (at, unit) in units.iter_mut().enumerate() {
            let body = std::mem::take(&mut unit.body);
            each_node(&body, &mut |node| {
                unit.learn(node);
                bindings.learn(node, &own);
                if let ASTNode::Expr(expr) = node
                    && let Some((name, captured)) = closure(expr)
                {
                    closures.push((name, at, captured));
                }
                handed.extend(given(node, &own));
            });
            unit.body = body;
        }
        for (name, around, captured) in closures {
            // The walk meets what captures before what is captured for.
            if let Some(unit) = units.iter_mut().find(|unit| unit.name == name && unit.around.is_none()) {
                unit.around = Some((around, captured));
            }
        }
        for unit in units.iter_mut().filter(|unit| handed.contains(&unit.name)) {
            unit.handed = true;
        }
        bindings.units = units;
        bindings
    }

    /// Whether what a unit does may be meant to fail: a function of a script, such as
    /// `assert::fails`, is given it, or what is around it.
    pub fn may_fail(&self, unit: usize) -> bool {
        let Some(here) = self.units.get(unit) else { return false };
        here.handed
            || here.around.as_ref().is_some_and(|(around, _)| *around != unit && self.may_fail(*around))
    }

    /// What a variable holds, seen from a unit.
    pub fn held(&self, unit: usize, name: &str) -> Option<Held<'_>> {
        if self.changed.contains(name) {
            return None;
        }
        let here = self.units.get(unit)?;
        if let Some((around, captured)) = &here.around
            && captured.iter().any(|one| one == name)
        {
            // A parameter of its own, or a variable, of the same name hides what it captured.
            let own = here.params.iter().filter(|param| *param == name).count()
                + usize::from(here.set.contains_key(name));
            return if own == 1 { self.held(*around, name) } else { None };
        }
        match here.set.get(name) {
            Some((1, Some(expr))) if !here.params.iter().any(|param| param == name) => {
                Some(Held { expr, unit, grown: self.grown.contains(name) })
            }
            _ => None,
        }
    }

    /// Variables from outside that a closure changes, though it will have a copy of them, and where.
    pub fn lost(&self, unit: usize) -> Vec<(String, Position)> {
        let here = &self.units[unit];
        let Some((_, captured)) = &here.around else { return Vec::new() };
        let from_outside = |name: &String| {
            let own = here.params.iter().filter(|param| *param == name).count();
            captured.contains(name) && own == 1 && !here.set.contains_key(name)
        };
        let mut lost = Vec::new();
        each_node(&here.body, &mut |node| {
            let changed = match node {
                ASTNode::Stmt(Stmt::Assignment(set)) => {
                    root(&set.1.lhs).map(|name| (name, set.1.lhs.start_position()))
                }
                ASTNode::Expr(Expr::Dot(pair, ..)) => match &pair.rhs {
                    Expr::MethodCall(call, _) if CHANGING.contains(&call.name.as_str()) => {
                        root(&pair.lhs).map(|name| (name, pair.lhs.start_position()))
                    }
                    _ => None,
                },
                _ => None,
            };
            lost.extend(changed.filter(|(name, _)| from_outside(name)));
        });
        lost
    }

    /// The unit of a closure, or of the only function of this name.
    pub fn function(&self, name: &str, arguments: Option<usize>) -> Option<usize> {
        let is = |unit: &Unit| unit.name == name && arguments.is_none_or(|count| unit.params.len() == count);
        let mut found = (1..self.units.len()).filter(|at| is(&self.units[*at]));
        found.next().filter(|_| found.next().is_none())
    }

    fn learn(&mut self, node: &ASTNode, own: &BTreeSet<String>) {
        match node {
            ASTNode::Stmt(Stmt::Assignment(set)) => {
                let Some(name) = root(&set.1.lhs) else { return };
                match (&set.1.lhs, set.0.get_op_assignment_info()) {
                    (Expr::Variable(..), None) => self.changed.insert(name),
                    // `map += #{ ... }`, `map.key = ...`, `map["key"] = ...`
                    _ => self.grown.insert(name),
                };
            }
            ASTNode::Expr(Expr::Dot(pair, ..) | Expr::Index(pair, ..)) => {
                if let Some(name) = root(&pair.lhs).filter(|_| changes(&pair.rhs, own)) {
                    self.changed.insert(name);
                }
            }
            ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)) => {
                let name = call.args.first().and_then(root);
                if let Some(name) = name.filter(|_| CHANGING.contains(&call.name.as_str())) {
                    self.changed.insert(name);
                }
            }
            _ => {}
        }
    }
}

impl Unit {
    fn new(name: &str, params: Vec<String>, body: Vec<Stmt>) -> Unit {
        Unit { name: name.into(), params, body, set: BTreeMap::new(), around: None, handed: false }
    }

    fn learn(&mut self, node: &ASTNode) {
        let mut set = |name: &str, value: Option<&Expr>| {
            let known = self.set.entry(name.to_string()).or_insert((0, value.cloned()));
            known.0 += 1;
        };
        match node {
            ASTNode::Stmt(Stmt::Var(var, ..)) => set(&var.0.name, Some(&var.1)),
            ASTNode::Stmt(Stmt::For(names, ..)) => {
                set(&names.0.name, None);
                if let Some(counter) = &names.1 {
                    set(&counter.name, None);
                }
            }
            ASTNode::Stmt(Stmt::TryCatch(flow, _)) => {
                if let Expr::Variable(variable, ..) = &flow.expr {
                    set(&variable.1, None);
                }
            }
            ASTNode::Stmt(Stmt::Import(import, _)) => set(&import.1.name, None),
            _ => {}
        }
    }

    /// The values that the unit may end with, as far as they are written down.
    pub fn results(&self) -> Vec<&Expr> {
        results(&self.body)
    }
}

/// The statements of one of the functions of a text.
fn body(functions: &AST, name: &str, arguments: usize) -> Vec<Stmt> {
    let mut only = functions.clone();
    only.retain_functions(|_, _, one, count| one == name && count == arguments);
    let mut body = Vec::new();
    only.walk(&mut |path| {
        if let [ASTNode::Stmt(stmt)] = path {
            body.push((*stmt).clone());
        }
        true
    });
    body
}

/// The values that a block may end with.
pub fn results(block: &[Stmt]) -> Vec<&Expr> {
    match block.last() {
        Some(Stmt::Expr(expr) | Stmt::Return(Some(expr), ..)) => vec![&**expr],
        Some(Stmt::Block(block)) => results(block.statements()),
        Some(Stmt::If(flow, _)) => {
            [results(flow.body.statements()), results(flow.branch.statements())].concat()
        }
        _ => Vec::new(),
    }
}

/// A closure where it is written: its name inside the language, and the variables that it captured.
pub fn closure(expr: &Expr) -> Option<(String, Vec<String>)> {
    match expr {
        Expr::DynamicConstant(value, _) => {
            let function = value.read_lock::<FnPtr>()?;
            Some((function.fn_name().to_string(), Vec::new()))
        }
        Expr::FnCall(call, _) if call.name == "curry" => captured(call),
        Expr::Stmt(block) => match block.statements() {
            [Stmt::Share(..), Stmt::Expr(expr)] => closure(expr),
            _ => None,
        },
        _ => None,
    }
}

fn captured(call: &FnCallExpr) -> Option<(String, Vec<String>)> {
    let (first, rest) = call.args.split_first()?;
    let (name, _) = closure(first)?;
    let variables = rest.iter().filter_map(|arg| match arg {
        Expr::Variable(variable, ..) => Some(variable.1.to_string()),
        _ => None,
    });
    Some((name, variables.collect()))
}

/// The closures that a function of a script is given, whether it is one of this text or of a module.
fn given(node: &ASTNode, own: &BTreeSet<String>) -> Vec<String> {
    match node {
        ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))
            if call.is_qualified() || own.contains(call.name.as_str()) =>
        {
            call.args.iter().filter_map(closure).map(|(name, _)| name).collect()
        }
        _ => Vec::new(),
    }
}

/// The variable at the start of `a.b["c"]`.
fn root(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Variable(variable, ..) => Some(variable.1.to_string()),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => root(&pair.lhs),
        _ => None,
    }
}

/// Whether a chain of calls changes what it is called on.
fn changes(chain: &Expr, own: &BTreeSet<String>) -> bool {
    match chain {
        Expr::MethodCall(call, _) => {
            CHANGING.contains(&call.name.as_str()) || own.contains(call.name.as_str())
        }
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => changes(&pair.lhs, own) || changes(&pair.rhs, own),
        _ => false,
    }
}

/// Every node of a block, from the outside in.
pub fn each_node(block: &[Stmt], on_node: &mut dyn FnMut(&ASTNode)) {
    for stmt in block {
        stmt.walk(&mut Vec::new(), &mut |path| {
            if let Some(node) = path.last() {
                on_node(node);
                // The language's own walk does not enter the value of a `break`.
                if let ASTNode::Stmt(Stmt::BreakLoop(Some(value), ..)) = node {
                    each_node(&[Stmt::Expr(value.clone())], on_node);
                }
            }
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `m` holds where the text ends.
    fn held(text: &str) -> Option<(String, bool)> {
        let ast = crate::script::testing::session(text).ast;
        let bindings = Bindings::of(&ast);
        let held = bindings.held(0, "m")?;
        Some((held.expr.get_literal_value(None)?.to_string(), held.grown))
    }

    #[test]
    fn a_variable_that_nothing_changes_is_known() {
        for text in [
            "let m = #{ a: 1 };",
            "const m = #{ a: 1 }; print(m); let f = |x| m.a + x; m.keys();",
            "let m = #{ a: 1 }; let n = m + #{ b: 2 }; for k in m.keys() { print(m[k]); }",
        ] {
            assert_eq!(held(text), Some(("#{\"a\": 1}".into(), false)), "{text}");
        }
        for text in [
            "let m = #{ a: 1 }; m.b = 2;",
            "let m = #{ a: 1 }; m += #{ b: 2 };",
            "let m = #{ a: 1 }; m[\"b\"] = 2;",
        ] {
            assert_eq!(held(text), Some(("#{\"a\": 1}".into(), true)), "{text}");
        }
    }

    #[test]
    fn every_function_has_its_own_statements() {
        let text = "fn f(a) { a } fn f(a, b) { let c = 1; c } let g = |x| { let y = 2; let z = 3; y };";
        let bindings = Bindings::of(&crate::script::testing::session(text).ast);
        let mut sizes: Vec<usize> = bindings.units.iter().map(|unit| unit.body.len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 1, 2, 3]);
    }

    #[test]
    fn a_variable_that_may_be_something_else_is_unknown() {
        for text in [
            "let m = #{ a: 1 }; m = #{ b: 2 };",
            "let m = #{ a: 1 }; m.remove(\"a\");",
            "let m = #{ a: 1 }; remove(m, \"a\");",
            "let m = #{ a: 1 }; let m = #{ b: 2 };",
            "let m = #{ a: 1 }; for m in [1] { print(m); }",
            "let m = #{ a: 1 }; let f = || m.clear(); f.call();",
            "fn own() { this.remove(\"a\"); } let m = #{ a: 1 }; m.own();",
            "let m = 1; if m > 0 { let m = 2; }",
        ] {
            assert_eq!(held(text), None, "{text}");
        }
    }
}
