//! Comparisons that are plainly wrong where they are written: a metric beside a text, a number
//! beside `()`.

use rhai::{Expr, FnCallExpr};

use super::compare::{Side, refusal};
use crate::stats::names::Name;

/// What is wrong with a comparison, as far as its two sides are written down.
pub fn comparison(call: &FnCallExpr) -> Option<String> {
    let [left, right] = &call.args[..] else { return None };
    let sign = call.name.as_str();
    match sign {
        "<" | "<=" | ">" | ">=" => ordering(sign, side(left), side(right)),
        "==" | "!=" => equality(sign, left, right).or_else(|| equality(sign, right, left)),
        _ => None,
    }
}

/// Functions that do nothing but make a value of ours from what they are given.
const MAKERS: [&str; 13] = [
    "closed",
    "constant",
    "empirical",
    "fixed",
    "gamma",
    "goodput_slo",
    "lognormal",
    "normal",
    "poisson",
    "ramp",
    "ranged",
    "steps",
    "uniform",
];

/// Whether a call can only end in one way: a value of ours is made from what is written down.
pub fn is_constant(call: &FnCallExpr) -> bool {
    let written = |arg: &Expr| arg.get_literal_value(None).is_some();
    MAKERS.contains(&call.name.as_str()) && !call.is_qualified() && call.args.iter().all(written)
}

fn ordering(sign: &str, left: Option<Side>, right: Option<Side>) -> Option<String> {
    match (left, right) {
        (Some(left), Some(right)) => refusal(sign, &left, &right),
        // Whatever the other side is: nothing has an order with these.
        (Some(known @ (Side::Nothing | Side::Other(_))), None) => {
            refusal(sign, &known, &Side::Other("value".into()))
        }
        (None, Some(known @ (Side::Nothing | Side::Other(_)))) => {
            refusal(sign, &Side::Other("value".into()), &known)
        }
        _ => None,
    }
}

/// A metric equals no text, and `!=` would hold whatever was measured.
fn equality(sign: &str, metric: &Expr, other: &Expr) -> Option<String> {
    let name = metric_name(metric)?;
    match side(other)? {
        Side::Number(_) | Side::Nothing => None,
        text @ Side::Text(_) => refusal(sign, &Side::Number(name), &text),
        other => refusal(sign, &Side::Number(name), &other),
    }
}

/// What an expression is, where it says so itself.
fn side(expr: &Expr) -> Option<Side> {
    Some(match expr {
        Expr::Unit(_) => Side::Nothing,
        Expr::IntegerConstant(number, _) => Side::Number(number.to_string()),
        Expr::FloatConstant(number, _) => Side::Number(number.to_string()),
        Expr::BoolConstant(..) => Side::Truth,
        Expr::CharConstant(letter, _) => Side::Text(letter.to_string()),
        Expr::StringConstant(text, _) => Side::Text(text.to_string()),
        Expr::Array(..) => Side::Other("list".into()),
        Expr::Map(..) => Side::Other("map".into()),
        Expr::FnCall(call, _) if call.is_operator_call() && call.args.len() == 2 => {
            match call.name.as_str() {
                "*" | "/" | "%" => Side::Number("a number".into()),
                _ => return None,
            }
        }
        other => Side::Number(metric_name(other)?),
    })
}

/// `r["ttft.p99"]`, as it is written.
fn metric_name(expr: &Expr) -> Option<String> {
    let Expr::Index(pair, ..) = expr else { return None };
    let (Expr::Variable(holder, ..), Expr::StringConstant(name, _)) = (&pair.lhs, &pair.rhs) else {
        return None;
    };
    Name::parse(name).ok()?;
    Some(format!("{}[{name:?}]", holder.1))
}

#[cfg(test)]
mod tests {
    use crate::script::testing::session;

    /// What is found before anything runs, in a line with `r` and `x`.
    fn found(line: &str) -> Vec<String> {
        let session = session(&format!("let r = #{{}}; let x = 1; {line}"));
        session.errors.into_iter().map(|error| error.message).collect()
    }

    #[test]
    fn a_comparison_that_is_plainly_wrong_is_found_before_the_script_runs() {
        for (line, told) in [
            (
                "if r[\"ttft.p99\"] > \"10ms\" { }",
                "`>` cannot compare r[\"ttft.p99\"] with \"10ms\"; write a bare number in the unit of the value: 10 for a \
                 latency (milliseconds), 0.01 for a duration (seconds)",
            ),
            (
                "check(\"a\", \"5%\" >= r[\"errors.share\"]);",
                "`>=` cannot compare \"5%\" with r[\"errors.share\"]; a share is from 0 to 1: write 0.05",
            ),
            (
                "x > ()",
                "`>` cannot compare a value with (); () is a value that was not observed or not given: ask `value != \
                 ()` before `>`",
            ),
            (
                "let f = || 1 < \"a\";",
                "`<` cannot compare 1 with \"a\"; both sides must be numbers, or both text",
            ),
            (
                "x * 2 < \"a\"",
                "`<` cannot compare a number with \"a\"; both sides must be numbers, or both text",
            ),
            ("x >= [1]", "`>=` cannot compare a value with a list"),
            (
                "r[\"errors.count\"] != \"0\"",
                "`!=` cannot compare r[\"errors.count\"] with \"0\"; write 0 without quotes, or turn text into a \
                 number: parse_float(text)",
            ),
            ("r[\"errors.count\"] == true", "`==` cannot compare r[\"errors.count\"] with true or false"),
        ] {
            assert_eq!(found(line), [told], "{line}");
        }
    }

    #[test]
    fn a_call_that_cannot_work_is_found_before_the_script_runs() {
        for (line, told) in [
            ("poisson(\"fast\")", "poisson: the rate must be a number, got \"fast\""),
            ("let f = || poisson(-1);", "poisson: the rate must be above 0, got -1"),
            ("closed(0);", "closed: the number of users must be a whole number of at least 1, got 0"),
            ("steps([[2, \"30 parsecs\"]])", "steps: a time must be a duration such as"),
            ("uniform(20, 10)", "uniform: "),
            ("goodput_slo([\"tft:400\"])", "--goodput: "),
        ] {
            let errors = found(line);
            assert!(errors.len() == 1 && errors[0].starts_with(told), "{line}: {errors:?}");
        }
        for line in [
            "poisson(x)",
            "poisson(4)",
            "closed(1, x, \"5s\")",
            "fn closed(n) { n } closed(0)",
            "steps([[x, 0]])",
        ] {
            assert_eq!(found(line), Vec::<String>::new(), "{line}");
        }
    }

    #[test]
    fn what_may_be_right_is_left_alone() {
        for line in [
            "r[\"ttft.p99\"] > 10",
            "x > \"10ms\"",
            "\"a\" < \"b\"",
            "r[\"ttft.p99\"] == ()",
            "() != r[\"ttft.p99\"]",
            "r[\"name\"] == \"a\"",
            "r[\"name\"] > \"a\"",
            "x == \"inf\"",
            "x * 2 > 1.5",
            "x + 2 > \"a\"",
            "true == x",
        ] {
            assert_eq!(found(line), Vec::<String>::new(), "{line}");
        }
    }
}
