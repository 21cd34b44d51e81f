//! Names of metrics, conditions and series as they are written in a script, held against the
//! parsers that a run uses: a slip is found before any load, not after it.

use std::collections::BTreeMap;

use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

use crate::error::nearest;
use crate::stats::Condition;
use crate::stats::names::{Metric, Name, Statistic};
use crate::stats::series;

/// A text whose place says what it must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// `r["ttft.p99"]`: of a run, or a key of a map.
    Index { holder: Option<String>, text: String },
    /// `sweep.best("...")`, `sweep.table(["..."])`.
    Metric(String),
    /// `chart(#{ y: ["..."] })`: of a run, or a key of a map.
    Axis(String),
    /// `r.require("...")`.
    Condition(String),
    /// `r.series("...", "1s")`.
    Series(String),
}

/// Variables, and whether each holds a finished run wherever it is set; metrics of the script's own.
pub struct Runs {
    variables: BTreeMap<String, bool>,
    own_metrics: Vec<String>,
}

impl Runs {
    pub fn of(ast: &AST) -> Runs {
        let (mut runs, mut own_metrics) = (BTreeMap::new(), Vec::new());
        let mut bind = |name: &str, value: Option<&Expr>| {
            let is_run =
                matches!(value, Some(Expr::FnCall(call, _)) if call.name == "run" && !call.is_qualified());
            let known = runs.entry(name.to_string()).or_insert(is_run);
            *known &= is_run;
        };
        for function in ast.iter_functions() {
            function.params.iter().for_each(|param| bind(param, None));
        }
        ast.walk(&mut |path| {
            match path.last() {
                Some(ASTNode::Stmt(Stmt::Var(var, ..))) => bind(&var.0.name, Some(&var.1)),
                Some(ASTNode::Stmt(Stmt::Assignment(set))) => {
                    if let Expr::Variable(variable, ..) = &set.1.lhs {
                        bind(&variable.1, Some(&set.1.rhs));
                    }
                }
                Some(ASTNode::Stmt(Stmt::For(named, ..))) => bind(&named.0.name, None),
                Some(ASTNode::Expr(Expr::FnCall(call, _))) if call.name == "metric" => {
                    own_metrics.extend(texts(&call.args).map(|(_, text)| text));
                }
                _ => {}
            }
            true
        });
        Runs { variables: runs, own_metrics }
    }

    /// Whether the text is a statistic of a metric of the script's own.
    fn know(&self, text: &str) -> bool {
        text.split_once('.').is_some_and(|(metric, _)| self.own_metrics.iter().any(|own| own == metric))
    }

    fn holds(&self, variable: &str) -> bool {
        self.variables.get(variable) == Some(&true)
    }
}

/// What an expression writes down, if anything.
pub fn of_expression(expr: &Expr) -> Vec<(Position, Written)> {
    match expr {
        Expr::Index(pair, ..) => match &pair.rhs {
            Expr::StringConstant(text, at) => {
                let holder = match &pair.lhs {
                    Expr::Variable(variable, ..) => Some(variable.1.to_string()),
                    _ => None,
                };
                vec![(*at, Written::Index { holder, text: text.to_string() })]
            }
            _ => Vec::new(),
        },
        Expr::MethodCall(call, _) => of_method(call),
        Expr::FnCall(call, _) if call.name == "require" && call.args.len() == 2 => {
            texts(&call.args[1..]).map(|(at, text)| (at, Written::Condition(text))).collect()
        }
        _ => Vec::new(),
    }
}

fn of_method(call: &FnCallExpr) -> Vec<(Position, Written)> {
    let (name, args) = (call.name.as_str(), &call.args[..]);
    match (name, args) {
        ("require", [_]) => texts(args).map(|(at, text)| (at, Written::Condition(text))).collect(),
        ("get" | "metric", [_]) => {
            texts(args).map(|(at, text)| (at, Written::Index { holder: None, text })).collect()
        }
        ("best", [_]) => texts(args).map(|(at, text)| (at, Written::Metric(text))).collect(),
        ("table", [Expr::Array(items, _)]) => {
            texts(items).map(|(at, text)| (at, Written::Metric(text))).collect()
        }
        ("series", [name, _]) => {
            texts(std::slice::from_ref(name)).map(|(at, text)| (at, Written::Series(text))).collect()
        }
        _ => Vec::new(),
    }
}

fn texts(args: &[Expr]) -> impl Iterator<Item = (Position, String)> {
    args.iter().filter_map(|arg| match arg {
        Expr::StringConstant(text, at) => Some((*at, text.to_string())),
        _ => None,
    })
}

impl Written {
    /// What is wrong with it. `keys` are those of the script's own maps.
    pub fn fault(&self, runs: &Runs, keys: &[String]) -> Option<String> {
        match self {
            Written::Index { text, .. } | Written::Metric(text) | Written::Axis(text) if runs.know(text) => {
                None
            }
            Written::Index { holder, text } => {
                let told = Name::parse(text).err()?;
                let of_a_run = holder.as_deref().is_some_and(|holder| runs.holds(holder));
                let meant = of_a_run || is_like_a_metric(text);
                (meant && !keys.contains(text)).then_some(told)
            }
            Written::Metric(text) => Name::parse(text).err().filter(|_| is_like_a_metric(text)),
            Written::Axis(text) => {
                Name::parse(text).err().filter(|_| is_like_a_metric(text) && !keys.contains(text))
            }
            Written::Condition(text) if runs.know(text) => None,
            Written::Condition(text) => Condition::parse(text).err().map(|told| format!("require: {told}")),
            Written::Series(text) => {
                let known = text.starts_with("server.") || series::NAMES.contains(&text.as_str());
                let known = known || Name::parse(text).is_ok();
                let near = nearest(text, series::NAMES).filter(|_| !known)?;
                Some(format!("series: the client has no series {text:?}; did you mean {near:?}?"))
            }
        }
    }
}

/// Whether one half of `metric.statistic` is right: keys of other maps are seldom so.
fn is_like_a_metric(text: &str) -> bool {
    let Some((metric, statistic)) = text.split_once('.') else { return false };
    let is_metric = Metric::ALL.iter().any(|known| known.name() == metric);
    let is_statistic = Statistic::parse(statistic).is_some();
    is_metric || is_statistic && Name::parse(text).is_err_and(|told| told.contains("did you mean"))
}

#[cfg(test)]
mod tests {
    use crate::script::testing::session;

    fn found(line: &str) -> Vec<String> {
        let start = "let r = run(#{}); let m = #{ a: 1, \"e2e.mean\": 2 }; let s = sweep(#{}, |p| p);";
        session(&format!("{start} {line}")).errors.into_iter().map(|error| error.to_string()).collect()
    }

    #[test]
    fn a_slip_in_a_name_is_found_before_any_load() {
        for (line, told) in [
            ("print(r[\"tft.p99\"]);", "there is no metric \"tft\"; did you mean \"ttft.p99\"?"),
            ("print(r[\"duraton\"]);", "there is no metric \"duraton\"; did you mean \"duration\"?"),
            ("print(r[\"ttft\"]);", "\"ttft\" needs a statistic: \"ttft.p99\""),
            ("check(\"a\", r[\"ttft.p999\"] < 1);", "ttft has no statistic \"p999\""),
            ("for x in s.runs { print(x[\"itl.avg\"]); }", "did you mean \"itl.mean\"?"),
            ("print(r.get(\"tpto.mean\"));", "did you mean \"tpot.mean\"?"),
            ("let f = |q| q.by(\"class\").a[\"tft.p50\"];", "did you mean \"ttft.p50\"?"),
            (
                "r.require(\"tft.p99 < 10ms\");",
                "require: cannot read the condition \"tft.p99 < 10ms\": there is no metric",
            ),
            ("r.require(\"ttft.p99 = 10ms\");", "it needs one of < <= > >="),
            ("require(r, \"ttft.p99 < 10\");", "require: cannot read the condition"),
            ("s.best(\"output_token.rate\");", "did you mean \"output_tokens.rate\"?"),
            ("print(s.table([\"ttft.p99\", \"tft.p99\"]));", "did you mean \"ttft.p99\"?"),
            ("r.series(\"output_tokens.rat\", \"1s\");", "did you mean \"output_tokens.rate\"?"),
        ] {
            let errors = found(line);
            assert!(errors.len() == 1 && errors[0].contains(told), "{line}: {errors:?}");
            let lines: Vec<&str> = errors[0].lines().collect();
            let column = lines[4].find('^').expect("a caret");
            assert_eq!(lines[3].as_bytes()[column], b'"', "{}", errors[0]);
        }
    }

    #[test]
    fn what_may_be_a_key_of_a_map_is_left_alone() {
        for line in [
            "print(m[\"e2e.mean\"]);",
            "print(m[\"anything\"]);",
            "print(m[\"file.txt\"]);",
            "print(m[\"a.b.c\"]);",
            "let g = |r| r[\"nothing\"];",
            "r.require(\"ttft.p99 < 10ms\");",
            "r.series(\"server.running\", \"1s\");",
            "print(m.get(\"name\"));",
            "print(table([\"a.b\"], [[1]]));",
        ] {
            assert_eq!(found(line), Vec::<String>::new(), "{line}");
        }
    }
}
