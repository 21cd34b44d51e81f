//! Option maps as they are written in a script, held against the tables that calls read them by: a
//! slip is found before any load, in the words in which the call would tell it.
//!
//! What is computed is not judged, and what may be changed before the call is judged no further than
//! it is certain.

use rhai::{AST, ASTNode, Dynamic, Expr, FnCallExpr, Ident, Position, Stmt};

use super::bindings::{Bindings, closure, each_node, results};
use super::options::chart::CHART;
use super::options::run::RUN;
use super::options::table::{OptionKind, Rest, Table, Type};
use super::options::{self, Call};
use super::{literals, plot};

/// Something that an option map writes down.
#[derive(Debug)]
pub enum Found {
    /// Wrong, in a sentence.
    Wrong(String),
    /// What may be the name of a metric.
    Metric(String),
    /// A call of which everything is written down: it can only end in one way.
    Call(Box<Expr>),
}

/// How deep variables and maps are followed.
const DEPTH: usize = 8;

/// What is wrong with the option maps of a text. `functions` are its own (name and number of
/// parameters), `keys` those of its maps, behind each of which a function may sit.
pub fn found(ast: &AST, functions: &[(String, usize)], keys: &[String]) -> Vec<(Position, Found)> {
    let bindings = Bindings::of(ast);
    let mut pass = Pass { bindings: &bindings, functions, keys, found: Vec::new() };
    for (unit, body) in bindings.units.iter().enumerate().filter(|(unit, _)| !bindings.may_fail(*unit)) {
        each_node(&body.body, &mut |node| pass.see(unit, node));
    }
    pass.found
}

struct Pass<'a> {
    bindings: &'a Bindings,
    functions: &'a [(String, usize)],
    keys: &'a [String],
    found: Vec<(Position, Found)>,
}

/// A map that is passed on: its keys, where they stand, and whether each value is certain.
struct Part<'a> {
    unit: usize,
    items: &'a [(Ident, Expr)],
    certain: bool,
}

/// What is known of a value.
enum Known {
    Value(Dynamic),
    Type(Type),
    Nothing,
}

impl<'a> Pass<'a> {
    fn see(&mut self, unit: usize, node: &ASTNode) {
        match node {
            ASTNode::Expr(Expr::FnCall(call, position)) | ASTNode::Stmt(Stmt::FnCall(call, position)) => {
                if literals::is_constant(call) {
                    let call = Expr::FnCall(call.clone(), *position);
                    self.found.push((*position, Found::Call(Box::new(call))));
                }
                if !call.is_qualified() && !call.is_operator_call() {
                    self.call(unit, call, &call.args, false);
                }
            }
            // `plan.run()`, `rows.comparison_charts(#{ ... })`: the receiver is the first argument.
            ASTNode::Expr(Expr::Dot(pair, ..)) => {
                if let Expr::MethodCall(call, _) = &pair.rhs {
                    let args = [std::slice::from_ref(&pair.lhs), &call.args[..]].concat();
                    self.call(unit, call, &args, true);
                } else if let Expr::Dot(inner, ..) | Expr::Index(inner, ..) = &pair.rhs {
                    self.chained(unit, inner);
                }
            }
            ASTNode::Expr(Expr::Index(pair, ..)) => self.chained(unit, pair),
            _ => {}
        }
    }

    /// A method somewhere in a chain, whose receiver is not known.
    fn chained(&mut self, unit: usize, pair: &rhai::BinaryExpr) {
        if let Expr::MethodCall(call, _) = &pair.lhs {
            let args = [&[Expr::ThisPtr(Position::NONE)], &call.args[..]].concat();
            self.call(unit, call, &args, true);
        }
    }

    fn call(&mut self, unit: usize, call: &FnCallExpr, args: &[Expr], method: bool) {
        let name = call.name.as_str();
        let own_arguments = args.len() - usize::from(method);
        let is_own = self.functions.iter().any(|(own, count)| own == name && *count == own_arguments);
        if is_own || (method && self.keys.iter().any(|key| key == name)) {
            return;
        }
        if name == "sweep"
            && let Some(make) = args.get(1).and_then(|make| self.unit_of(make))
        {
            for plan in self.bindings.units[make].results() {
                self.options("sweep", &RUN, make, plan);
            }
        }
        if let Some(Call { argument, table, .. }) = options::of_call(name, args.len()) {
            // What `plan` checks is said to be of `plan`.
            let called = if std::ptr::eq(*table, &RUN) { call.name.as_str() } else { table.call };
            self.options(called, table, unit, &args[*argument]);
        }
    }

    /// The closure, or the function of the script, that an argument is.
    fn unit_of(&self, argument: &Expr) -> Option<usize> {
        let (name, _) = closure(argument)?;
        self.bindings.function(&name, None)
    }

    /// The same where it may stand in a variable.
    fn unit_held(&self, unit: usize, value: &Expr) -> Option<usize> {
        match value {
            Expr::Variable(variable, ..) if variable.2.is_empty() => {
                self.bindings.held(unit, &variable.1).and_then(|held| self.unit_of(held.expr))
            }
            _ => self.unit_of(value),
        }
    }

    /// Judges a map of options.
    fn options(&mut self, call: &str, table: &'static Table, unit: usize, map: &Expr) {
        if let Expr::Stmt(block) = map
            && let [_, _, ..] = results(block.statements())[..]
        {
            // One branch or the other.
            for branch in results(block.statements()) {
                self.options(call, table, unit, branch);
            }
            return;
        }
        let mut parts = Vec::new();
        let bindings = self.bindings;
        split(bindings, self.functions, unit, map, true, DEPTH, &mut parts);
        // What stands on the right wins.
        let mut later: Vec<&str> = Vec::new();
        let mut unknown_later = false;
        for part in parts.iter().rev() {
            let Some(part) = part else {
                unknown_later = true;
                continue;
            };
            for (key, value) in part.items {
                let certain = part.certain && !unknown_later && !later.contains(&key.name.as_str());
                self.option(call, table, part.unit, key, value, certain);
            }
            later.extend(part.items.iter().map(|(key, _)| key.name.as_str()));
        }
        if let ([Some(part)], true) = (&parts[..], std::ptr::eq(table, &CHART)) {
            self.distribution(part);
        }
    }

    /// A cdf is one of a few metrics.
    fn distribution(&mut self, chart: &Part) {
        let text = |name: &str| {
            let (key, value) = chart.items.iter().find(|(key, _)| key.name == name)?;
            match self.known(chart.unit, value, DEPTH) {
                Known::Value(value) if chart.certain => Some((key.pos, value.into_string().ok()?)),
                _ => None,
            }
        };
        if text("kind").is_some_and(|(_, kind)| kind == "cdf")
            && let Some((position, x)) = text("x")
            && let Err(told) = plot::distribution(&x)
        {
            self.found.push((position, Found::Wrong(format!("chart: `x` {told}"))));
        }
    }

    fn option(
        &mut self,
        call: &str,
        table: &'static Table,
        unit: usize,
        key: &Ident,
        value: &Expr,
        certain: bool,
    ) {
        let known = self.known(unit, value, DEPTH);
        // `()` is an option that was not given.
        let known = if certain { known } else { Known::Nothing };
        let Some(row) = table.row(&key.name) else {
            let value = match &known {
                Known::Value(value) => Some(value),
                _ => None,
            };
            let told = match table.rest {
                Rest::Refused => Err(table.unknown(call, &key.name)),
                _ => table.judge_rest(&key.name, value),
            };
            if let Err(told) = told {
                self.found.push((key.pos, Found::Wrong(told)));
            }
            return;
        };
        if let (OptionKind::Map(inner) | OptionKind::Made(_, Some(inner)), true) = (&row.kind, certain) {
            self.options(inner.call, inner, unit, value);
        }
        if let OptionKind::Function(_, returned) = &row.kind
            && let Some(function) = self.unit_held(unit, value)
        {
            let bindings = self.bindings;
            for result in returned.iter().flat_map(|_| bindings.units[function].results()) {
                self.options(row.name, returned.expect("it has one"), function, result);
            }
            self.found.extend(bindings.lost(function).into_iter().map(|(name, at)| {
                let told = format!(
                    "{call}: `{}` has a copy of `{name}`: what it changes in it is lost after each call",
                    row.name
                );
                (at, Found::Wrong(told))
            }));
        }
        let told = match &known {
            Known::Value(value) if value.is_unit() => Ok(()),
            Known::Value(value) => row.kind.judge(value),
            Known::Type(kind) => row.kind.judge_type(*kind),
            Known::Nothing => Ok(()),
        };
        match (told, &known) {
            (Err(told), _) => {
                self.found.push((key.pos, Found::Wrong(format!("{call}: `{}` {told}", row.name))));
            }
            (Ok(()), Known::Value(value)) if std::ptr::eq(table, &CHART) => self.metrics(key, value),
            _ => {}
        }
    }

    /// The names on the axes of a chart.
    fn metrics(&mut self, key: &Ident, value: &Dynamic) {
        if !["x", "y", "series"].contains(&key.name.as_str()) {
            return;
        }
        let names = options::chart::names(value).unwrap_or_default();
        self.found.extend(names.into_iter().map(|name| (key.pos, Found::Metric(name))));
    }

    fn known(&self, unit: usize, expr: &Expr, depth: usize) -> Known {
        if let Some(value) = expr.get_literal_value(None) {
            return Known::Value(value);
        }
        match expr {
            Expr::InterpolatedString(..) => Known::Type(Type::Text),
            Expr::Array(..) => Known::Type(Type::List),
            Expr::Map(..) => Known::Type(Type::Map),
            Expr::Variable(variable, ..) if depth > 0 && variable.2.is_empty() => {
                match self.bindings.held(unit, &variable.1) {
                    Some(held) if held.grown => Known::Nothing,
                    Some(held) => self.known(held.unit, held.expr, depth - 1),
                    None => Known::Nothing,
                }
            }
            _ if closure(expr).is_some() => Known::Type(Type::Function),
            _ => Known::Nothing,
        }
    }
}

/// The maps of which an expression is made, from left to right; `None` stands for what is not known.
fn split<'a>(
    bindings: &'a Bindings,
    functions: &[(String, usize)],
    unit: usize,
    expr: &'a Expr,
    certain: bool,
    depth: usize,
    parts: &mut Vec<Option<Part<'a>>>,
) {
    let Some(deeper) = depth.checked_sub(1) else { return parts.push(None) };
    match expr {
        Expr::Map(map, _) => parts.push(Some(Part { unit, items: &map.0, certain })),
        Expr::FnCall(call, _) if call.is_operator_call() && call.name == "+" && call.args.len() == 2 => {
            for side in &call.args {
                split(bindings, functions, unit, side, certain, deeper, parts);
            }
        }
        Expr::Variable(variable, ..) if variable.2.is_empty() => match bindings.held(unit, &variable.1) {
            Some(held) => {
                split(bindings, functions, held.unit, held.expr, certain && !held.grown, deeper, parts);
                if held.grown {
                    parts.push(None);
                }
            }
            None => parts.push(None),
        },
        // A function of the script, where one map is what it returns.
        Expr::FnCall(call, _) if !call.is_qualified() => {
            let is_own =
                functions.iter().any(|(own, count)| own == call.name.as_str() && *count == call.args.len());
            let body = bindings.function(&call.name, Some(call.args.len())).filter(|_| is_own);
            match body.map(|body| (body, bindings.units[body].results())) {
                Some((body, results)) if results.len() == 1 => {
                    split(bindings, functions, body, results[0], certain, deeper, parts);
                }
                _ => parts.push(None),
            }
        }
        Expr::Stmt(block) => match results(block.statements())[..] {
            [only] => split(bindings, functions, unit, only, certain, deeper, parts),
            _ => parts.push(None),
        },
        _ => parts.push(None),
    }
}

#[cfg(test)]
mod tests {
    use crate::script::testing::session;

    /// What is found in a script that defines `t`, `w` and `r` first, without its place.
    fn found(text: &str) -> Vec<String> {
        let start = "let t = target(\"builtin\"); let w = prompts(#{ input: 1, output: 1 }); let r = json(\"{}\", \"r\");\n";
        session(&format!("{start}{text}")).errors.into_iter().map(|error| error.message).collect()
    }

    #[test]
    fn slips_in_option_maps_are_found_before_any_load() {
        for (text, told) in [
            ("prompts(#{ outputs: 4 });", "prompts: unknown option `outputs`; did you mean `output`?"),
            ("run(#{ requsts: 5 });", "run: unknown option `requsts`; did you mean `requests`?"),
            (
                "r.save_vllm(#{ filenam: \"x\" });",
                "save_vllm: unknown option `filenam`; did you mean `filename`?",
            ),
            (
                "run(#{ save_vllm: #{ filenam: \"x\" } });",
                "save_vllm: unknown option `filenam`; did you mean `filename`?",
            ),
            (
                "prompts(#{ prefix: #{ token: 4 } });",
                "prefix: unknown option `token`; did you mean `tokens`?",
            ),
            ("let m = #{ requsts: 5 }; run(m);", "run: unknown option `requsts`; did you mean `requests`?"),
            (
                "const M = #{ requsts: 5 }; plan(M);",
                "plan: unknown option `requsts`; did you mean `requests`?",
            ),
            (
                "let m = #{ requsts: 5 }; m.seed = 1; run(m);",
                "run: unknown option `requsts`; did you mean `requests`?",
            ),
            ("let m = #{ requsts: 5 }; let f = || run(m + #{ seed: 1 });", "run: unknown option `requsts`"),
            ("run(r + #{ requsts: 5 });", "run: unknown option `requsts`; did you mean `requests`?"),
            ("#{ requsts: 5 }.run();", "run: unknown option `requsts`; did you mean `requests`?"),
            (
                "fn p(n) { #{ requsts: n } } run(p(5));",
                "run: unknown option `requsts`; did you mean `requests`?",
            ),
            ("run(if r == #{} { #{ requsts: 5 } } else { #{ seed: 1 } });", "run: unknown option `requsts`"),
            ("sweep([[\"n\", [1]]], |p| #{ requsts: p.n });", "sweep: unknown option `requsts`"),
            (
                "sweep([[\"n\", [1]]], |p| { let q = #{ requsts: p.n }; q });",
                "sweep: unknown option `requsts`",
            ),
            ("run(#{ seed: -1 });", "run: `seed` must be a whole number of at least 0, got -1"),
            (
                "run(#{ max_in_flight: 0 });",
                "run: `max_in_flight` must be a whole number of at least 1, got 0",
            ),
            ("run(#{ duration: \"10 parsecs\" });", "run: `duration` must be a duration such as"),
            ("run(#{ duration: 0 });", "run: `duration` must be above 0, got 0"),
            (
                "run(#{ requests: \"many\" });",
                "run: `requests` must be a whole number of at least 1, got \"many\"",
            ),
            (
                "run(#{ requests: `${1}0` });",
                "run: `requests` must be a whole number of at least 1, got a string",
            ),
            ("run(#{ duration: [t] });", "run: `duration` must be a duration such as"),
            ("run(#{ duration: |x| x });", "got a function"),
            ("run(#{ arrivals: 4.0 });", "run: `arrivals` must be like poisson(4.0) or closed(16), got 4.0"),
            (
                "let n = \"fast\"; run(#{ requests: n });",
                "run: `requests` must be a whole number of at least 1, got \"fast\"",
            ),
            ("chart(#{ kind: \"cfd\" });", "chart: `kind` must be one of \"line\", \"cdf\""),
            ("chart(#{ kind: \"cfd\" });", "got \"cfd\"; did you mean \"cdf\"?"),
            ("chart(#{ data: r, x: \"users\", y: [\"tft.p99\"] });", "did you mean \"ttft.p99\"?"),
            ("chart(#{ data: r, kind: \"cdf\", x: \"ttft.p99\" });", "chart: `x` must be one of ttft, "),
            ("run(#{ slo: #{ tft: \"400ms\" } });", "slo: "),
            (
                "slo(#{ ttft: 400 });",
                "slo: the limit of `ttft` must be a string with a unit, such as \"400ms\"",
            ),
            ("slo(#{ ttft: \"4 parsecs\" });", "slo: "),
            ("slo(#{ overall: [\"erors.share < 1%\"] });", "did you mean \"errors.share\"?"),
            ("engine(#{ slot: 4 });", "engine: the engine has no setting \"slot\" (did you mean \"slots\"?)"),
            ("engine(#{ ttft: \"soon\" });", "engine: "),
            (
                "target(\"builtin\", #{ backend: \"vlm\" });",
                "target: `backend` knows no \"vlm\"; did you mean \"vllm\"?",
            ),
            ("param(\"a\", 1, #{ hlp: \"x\" });", "param: unknown option `hlp`; did you mean `help`?"),
            ("param(\"a\", 1, #{ hlp: r });", "param: unknown option `hlp`; did you mean `help`?"),
            (
                "loop { break run(#{ requsts: 5 }); }",
                "run: unknown option `requsts`; did you mean `requests`?",
            ),
        ] {
            let errors = found(text);
            assert!(errors.len() == 1 && errors[0].contains(told), "{text}: {errors:?}");
        }
    }

    #[test]
    fn what_is_not_certain_is_left_alone() {
        for text in [
            "run(r);",
            "fn fails(f) { try { f.call(); false } catch { true } } fails(|| run(#{ requsts: 5 })); fails(|| poisson(-1));",
            "fn fails(f) { f } let n = 1; fails(|| { let g = || n + run(#{ requsts: 5 }); g.call() });",
            "let m = #{}; m.requsts = 5; run(m);",
            "let m = #{ requsts: 5 }; m.remove(\"requsts\"); run(m);",
            "let m = #{ requsts: 5 }; m = r; run(m);",
            "let m = #{ duration: \"soon\" }; m.duration = \"5s\"; run(m);",
            "let m = #{ duration: \"soon\" }; run(m + #{ duration: \"5s\" });",
            "let m = #{ duration: \"soon\" }; run(m + r);",
            "fn run(m) { m } run(#{ requsts: 5 });",
            "let m = #{ chart: |x| x }; m.chart(#{ nothing: 1 });",
            "run(#{ tags: #{ anything: |x| x, goes: [1] } });",
            "target(\"builtin\", #{ headers: #{ \"X-A\": 1 }, extra_body: #{ a: #{ b: 1 } } });",
            "prompts(#{ input: 1, output: uniform(1, 2), sampling: #{ anything: 1 } });",
            "run(#{ slo: slo(#{ ttft: \"400ms\" }), warmup: 5, drain: \"\", max_errors: \"\", duration: () });",
            "run(#{ duration: \"10\", max_errors: \"5\", requests: 5.0, cooldown: 0.5 });",
            "chart(#{ data: [#{ users: 1, tft_p99: 2 }], x: \"users\", y: \"tft_p99\" });",
            "chart(#{ data: [#{ \"tft.p99\": 2 }], x: \"users\", y: \"tft.p99\" });",
            "let stalled = metric_of(\"stalled\"); fn metric_of(n) { n }",
            "for m in [#{ a: 1 }] { run(m); }",
            "let f = |m| run(m); f.call(#{ requsts: 5 });",
            "switch 1 { 1 => run(r), _ => () }",
            "json(\"{}\", \"x\"); table([\"a\"], [[1]]);",
            "sweep([[\"n\", [1]]], |p| r);",
        ] {
            assert_eq!(found(text), Vec::<String>::new(), "{text}");
        }
    }
}
