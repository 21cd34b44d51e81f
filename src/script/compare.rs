//! Comparisons: `<`, `<=`, `>`, `>=` between numbers, and between two texts. Everything else is an
//! error; the language itself answers `false`, and a gate such as `r["ttft.p99"] > "10ms"` would
//! stay silent whatever was measured.

use std::cmp::Ordering;

use rhai::{Dynamic, Engine, ImmutableString, NativeCallContext};

use super::duration;
use super::fault::{Fallible, a, raise, shown};
use super::opts::number;
use super::vocabulary::friendly;
use crate::error::Error;

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// `()`: not observed, or not given.
    Nothing,
    /// As it is shown.
    Number(String),
    Text(String),
    Truth,
    /// Of this type.
    Other(String),
}

impl Side {
    fn of(engine: &Engine, value: &Dynamic) -> Side {
        if value.is_unit() {
            Side::Nothing
        } else if number(value).is_some() {
            Side::Number(shown(value))
        } else if value.is_bool() {
            Side::Truth
        } else if let Some(text) = text(value) {
            Side::Text(text.into())
        } else {
            Side::Other(friendly(engine.map_type_name(value.type_name())))
        }
    }

    fn told(&self) -> String {
        match self {
            Side::Nothing => "()".into(),
            Side::Number(number) => number.clone(),
            Side::Text(text) => shown(&text.as_str().into()),
            Side::Truth => "true or false".into(),
            Side::Other(kind) => a(kind),
        }
    }
}

/// Why `left sign right` has no answer; `None` where it has one.
pub fn refusal(sign: &str, left: &Side, right: &Side) -> Option<String> {
    let advice = match (left, right) {
        (Side::Number(_), Side::Number(_)) | (Side::Text(_), Side::Text(_)) | (Side::Truth, Side::Truth) => {
            return None;
        }
        (Side::Nothing, _) | (_, Side::Nothing) => {
            format!("; () is a value that was not observed or not given: ask `value != ()` before `{sign}`")
        }
        (Side::Number(_), Side::Text(text)) | (Side::Text(text), Side::Number(_)) => advice(text),
        _ => String::new(),
    };
    Some(format!("`{sign}` cannot compare {} with {}{advice}", left.told(), right.told()))
}

/// What to write in place of a text beside a number.
fn advice(text: &str) -> String {
    let bare = text.trim();
    if let Some(time) = duration::parse(bare) {
        let (ms, seconds) = (time.as_secs_f64() * 1e3, time.as_secs_f64());
        return format!(
            "; write a bare number in the unit of the value: {ms} for a latency (milliseconds), {seconds} for a \
             duration (seconds)"
        );
    }
    let share = bare.strip_suffix('%').and_then(|share| share.trim().parse::<f64>().ok());
    match (share, bare.parse::<f64>()) {
        (Some(share), _) => format!("; a share is from 0 to 1: write {}", share / 100.0),
        (_, Ok(_)) => format!("; write {bare} without quotes, or turn text into a number: parse_float(text)"),
        _ => "; both sides must be numbers, or both text".into(),
    }
}

/// As the language has it: numbers that differ in the last bit only are equal. `None` with a NaN.
fn order(x: f64, y: f64) -> Option<Ordering> {
    let near = (x - y).abs() <= f64::EPSILON * x.abs().max(y.abs());
    if near && x.is_finite() && y.is_finite() { Some(Ordering::Equal) } else { x.partial_cmp(&y) }
}

fn text(value: &Dynamic) -> Option<ImmutableString> {
    value.as_char().map(|letter| letter.to_string().into()).ok().or_else(|| value.clone().try_cast())
}

/// `None` when one of them is NaN.
fn compared(engine: &Engine, sign: &str, x: &Dynamic, y: &Dynamic) -> Fallible<Option<Ordering>> {
    if let (Ok(x), Ok(y)) = (x.as_int(), y.as_int()) {
        return Ok(Some(x.cmp(&y)));
    }
    if let (Some(x), Some(y)) = (number(x), number(y)) {
        return Ok(order(x, y));
    }
    if let (Some(x), Some(y)) = (text(x), text(y)) {
        return Ok(Some(x.cmp(&y)));
    }
    if let (Ok(x), Ok(y)) = (x.as_bool(), y.as_bool()) {
        return Ok(Some(x.cmp(&y)));
    }
    match refusal(sign, &Side::of(engine, x), &Side::of(engine, y)) {
        Some(told) => Err(raise(Error::usage(told))),
        None => Ok(None),
    }
}

/// For these to be asked, the language's shortcut around registered operators has to be off: 35
/// to 130 ns an operation. `==` and `!=` differ from the language's own in infinity alone, which
/// its tolerance makes unequal to itself.
pub fn register(engine: &mut Engine) {
    engine.set_fast_operators(false);
    macro_rules! orders {
        ($($sign:literal: $($holds:ident)|+;)*) => {$(
            engine.register_fn($sign, |context: NativeCallContext, x: Dynamic, y: Dynamic| -> Fallible<bool> {
                Ok(matches!(compared(context.engine(), $sign, &x, &y)?, $(Some(Ordering::$holds))|+))
            });
        )*};
    }
    orders! { "<": Less; "<=": Less | Equal; ">": Greater; ">=": Greater | Equal; }
    macro_rules! equals {
        ($($sign:literal: $wanted:literal;)*) => {$(
            engine.register_fn($sign, |x: f64, y: f64| (order(x, y) == Some(Ordering::Equal)) == $wanted);
            engine.register_fn($sign, |x: f64, y: i64| (order(x, y as f64) == Some(Ordering::Equal)) == $wanted);
            engine.register_fn($sign, |x: i64, y: f64| (order(x as f64, y) == Some(Ordering::Equal)) == $wanted);
        )*};
    }
    equals! { "==": true; "!=": false; }
}

#[cfg(test)]
mod tests {
    use crate::script::testing::{error, printed};

    /// A comparison, and what is said of it after its sign.
    const REFUSED: &[(&str, &str)] = &[
        (
            "() > 1",
            "() with 1; () is a value that was not observed or not given: ask `value != ()` before `>`",
        ),
        ("1 < ()", "1 with (); () is a value"),
        ("0.5 >= ()", "0.5 with (); () is"),
        ("() <= \"a\"", "() with \"a\"; () is"),
        ("\"a\" <= ()", "\"a\" with (); () is"),
        ("() < ()", "() with (); () is"),
        ("() <= true", "() with true or false; () is"),
        ("[] > ()", "a list with (); () is"),
        (
            "12.5 > \"10ms\"",
            "12.5 with \"10ms\"; write a bare number in the unit of the value: 10 for a latency (milliseconds), \
             0.01 for a duration (seconds)",
        ),
        ("\"10ms\" < 12.5", "\"10ms\" with 12.5; write a bare number"),
        ("12 <= \"10ms\"", "12 with \"10ms\"; write a bare number"),
        ("0.5 < \"5%\"", "0.5 with \"5%\"; a share is from 0 to 1: write 0.05"),
        (
            "5 < \"10\"",
            "5 with \"10\"; write 10 without quotes, or turn text into a number: parse_float(text)",
        ),
        ("5 < \"fast\"", "5 with \"fast\"; both sides must be numbers, or both text"),
        ("5 < 'c'", "5 with \"c\"; both sides must be numbers"),
        ("true > 0", "true or false with 0"),
        ("0.0 < true", "0.0 with true or false"),
        ("true < \"true\"", "true or false with \"true\""),
        ("[1] < 2", "a list with 2"),
        ("[1] < [2]", "a list with a list"),
        ("#{} >= 1", "a map with 1"),
        ("#{} >= #{}", "a map with a map"),
        ("(|x| x) > 1", "a function with 1"),
        ("rng(1) > 1", "a rng with 1"),
        ("(0..5) < 3", "a range with 3"),
    ];

    /// A condition that has an answer, and the answer.
    const ANSWERED: &[(&str, bool)] = &[
        ("1 < 2", true),
        ("2 <= 2.0", true),
        ("2.5 > 2", true),
        ("2 >= 2.5", false),
        ("inf >= inf", true),
        ("0.1 + 0.2 > 0.3", false),
        ("9007199254740993 > 9007199254740992", true),
        ("0.0/0.0 < 1", false),
        ("0.0/0.0 >= 1", false),
        ("\"a\" < \"b\"", true),
        ("'a' < \"b\"", true),
        ("\"b\" < 'a'", false),
        ("'a' <= 'a'", true),
        ("false < true", true),
        ("timestamp() <= timestamp()", true),
        ("() == 1", false),
        ("1 != ()", true),
        ("() == ()", true),
        ("() != ()", false),
        ("inf == inf", true),
        ("1 == 1.0", true),
        ("1 == \"1\"", false),
        ("\"a\" == ()", false),
        ("5 in [\"a\", 5, ()]", true),
        ("max(2, 2.5) == 2.5 && min(3, 1) == 1", true),
        ("[2.5, 0.5].sort() == ()", true),
        ("switch 7 { 0..10 if 7 > 5 => true, _ => false }", true),
    ];

    #[test]
    fn what_has_no_order_is_an_error_at_its_place() {
        for (script, told) in REFUSED {
            // A closure: nothing of it can be seen before it runs.
            let sign = ["<=", ">=", "<", ">"].into_iter().find(|sign| script.contains(&format!(" {sign} ")));
            let (left, right) = script.split_once(sign.unwrap()).unwrap();
            let script = format!("let f = |x, y| x {} y;\nf.call({left}, {right})", sign.unwrap());
            let error = error(&script);
            let wanted = format!("`{}` cannot compare {told}", sign.unwrap());
            assert!(error.starts_with(&wanted), "{script}: {error}");
            assert!(error.contains("--> test.rhai:1:18"), "{script}: {error}");
        }
    }

    #[test]
    fn numbers_texts_and_truths_have_an_order_and_everything_an_equal() {
        for (condition, answer) in ANSWERED {
            assert_eq!(printed(&format!("print({condition});")), format!("{answer}\n"), "{condition}");
        }
    }

    #[test]
    fn a_comparison_deep_inside_a_native_is_an_error_too() {
        for script in [
            "[1, ()].filter(|x| x > 0)",
            "[1, ()].all(|x| x > 0)",
            "[(), 1].some(|x| x > 0)",
            "[1, ()].find(|x| x > 1)",
            "[1, \"2\"].sort(|x, y| x < y)",
            "[1, \"2\"].order(|x, y| x < y)",
            "let m = #{ a: () }; if m.a < 3 { }",
            "let x = (); while x < 3 { }",
            "let x = (); switch 1 { 1 if x < 3 => 0, _ => 1 }",
            "let x = #{ a: [()] }; x.a[0] >= 0 || true",
        ] {
            assert!(error(script).contains("cannot compare"), "{script}: {}", error(script));
        }
    }
}
