//! Small helpers with numbers.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, ImmutableString};

use crate::error::Error;
use crate::script::fault::{Fallible, raise};
use crate::script::opts::{need, need_number};
use crate::script::state::State;
use crate::script::weight::weigh;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_global_module(exported_module!(functions).into());
}

/// A list of more values than this is a slip.
const VALUES_MAX: usize = 10_000;

fn refuse(told: impl Into<String>) -> Box<rhai::EvalAltResult> {
    raise(Error::usage(told))
}

/// All ints, when every value was one: a sweep over users should not run with 4.0 users.
fn alike(values: Vec<f64>, whole: bool) -> Array {
    values
        .into_iter()
        .map(|value| if whole { Dynamic::from(value as i64) } else { Dynamic::from(value) })
        .collect()
}

#[export_module]
mod functions {
    /// `value` with `digits` decimals; `round(3.14159, 2)` is `3.14`, `round(12.7, 0)` is `13`.
    #[rhai_fn(name = "round", return_raw)]
    pub fn round_to(value: Dynamic, digits: i64) -> Fallible<Dynamic> {
        let value = need_number("round", "the value", &value)?;
        if !(0..=15).contains(&digits) {
            return Err(refuse(format!("round: digits must be 0 to 15, got {digits}")));
        }
        let scale = 10_f64.powi(digits as i32);
        let rounded = (value * scale).round() / scale;
        // Beyond this a float has no decimals left, and `scale` may overflow it.
        let rounded = if rounded.is_finite() { rounded } else { value };
        Ok(match digits == 0 && rounded.abs() < 9e15 {
            true => (rounded as i64).into(),
            false => rounded.into(),
        })
    }

    /// The list `first, first * factor, ...` up to `last`: `geometric(1, 32, 2)` is
    /// `[1, 2, 4, 8, 16, 32]`.
    #[rhai_fn(return_raw)]
    pub fn geometric(first: Dynamic, last: Dynamic, factor: Dynamic) -> Fallible<Array> {
        let whole = [&first, &last, &factor].iter().all(|value| value.is_int());
        let first = need_number("geometric", "the first value", &first)?;
        let last = need_number("geometric", "the last value", &last)?;
        let factor = need_number("geometric", "the factor", &factor)?;
        let sane = first > 0.0 && last >= first && factor > 1.0 && last.is_finite();
        if !sane {
            let told = "geometric: needs 0 < first <= last and a factor above 1";
            return Err(refuse(format!("{told}, got ({first}, {last}, {factor})")));
        }
        let mut values = Vec::new();
        let mut value = first;
        // A little tolerance: 0.1 * 2 * 2 ... must reach a last value of 12.8.
        while value <= last * (1.0 + 1e-9) {
            if values.len() == VALUES_MAX {
                return Err(refuse(format!(
                    "geometric: more than {VALUES_MAX} values; a larger factor gives fewer"
                )));
            }
            values.push(value);
            value *= factor;
        }
        Ok(alike(values, whole))
    }

    /// `count` values at equal distance from `first` to `last`, both included:
    /// `linear(0, 10, 3)` is `[0, 5, 10]`.
    #[rhai_fn(return_raw)]
    pub fn linear(first: Dynamic, last: Dynamic, count: Dynamic) -> Fallible<Array> {
        let both_whole = first.is_int() && last.is_int();
        let first = need_number("linear", "the first value", &first)?;
        let last = need_number("linear", "the last value", &last)?;
        let count = need::<u64>("linear", "the count", &count)? as usize;
        if !(2..=VALUES_MAX).contains(&count) || !first.is_finite() || !last.is_finite() {
            return Err(refuse(format!("linear: needs two finite values and a count of 2 to {VALUES_MAX}")));
        }
        let step = (last - first) / (count - 1) as f64;
        let values: Vec<f64> = (0..count)
            .map(|index| if index + 1 == count { last } else { first + step * index as f64 })
            .collect();
        let whole = both_whole && values.iter().all(|value| value.fract() == 0.0);
        Ok(alike(values, whole))
    }

    /// `value` as text with exactly `digits` decimals: `fixed_digits(2, 3)` is `"2.000"`.
    #[rhai_fn(return_raw)]
    pub fn fixed_digits(value: Dynamic, digits: i64) -> Fallible<ImmutableString> {
        let value = need_number("fixed_digits", "the value", &value)?;
        if !(0..=15).contains(&digits) {
            return Err(refuse(format!("fixed_digits: digits must be 0 to 15, got {digits}")));
        }
        Ok(format!("{value:.*}", digits as usize).into())
    }

    /// `value` as text, filled with spaces on the left to `width`.
    #[rhai_fn(return_raw)]
    pub fn pad_left(value: Dynamic, width: Dynamic) -> Fallible<ImmutableString> {
        let width = need::<u64>("pad_left", "the width", &width)?.min(1000) as usize;
        weigh("pad_left", &value)?;
        let text = value.to_string();
        let taken = unicode_width::UnicodeWidthStr::width(text.as_str());
        Ok(format!("{}{text}", " ".repeat(width.saturating_sub(taken))).into())
    }

    /// `value` as text, filled with spaces on the right to `width`.
    #[rhai_fn(return_raw)]
    pub fn pad_right(value: Dynamic, width: Dynamic) -> Fallible<ImmutableString> {
        let width = need::<u64>("pad_right", "the width", &width)?.min(1000) as usize;
        weigh("pad_right", &value)?;
        let text = value.to_string();
        let taken = unicode_width::UnicodeWidthStr::width(text.as_str());
        Ok(format!("{text}{}", " ".repeat(width.saturating_sub(taken))).into())
    }
}

#[cfg(test)]
mod tests {
    use crate::script::testing::printed;

    #[test]
    fn lists_of_whole_numbers_stay_whole() {
        assert_eq!(printed("print(geometric(1, 32, 2));"), "[1, 2, 4, 8, 16, 32]\n");
        assert_eq!(printed("print(geometric(0.1, 0.4, 2));"), "[0.1, 0.2, 0.4]\n");
        assert_eq!(printed("print(linear(0, 10, 3));"), "[0, 5, 10]\n");
        assert_eq!(printed("print(linear(0, 1, 3));"), "[0.0, 0.5, 1.0]\n");
    }

    #[test]
    fn numbers_are_rounded_and_filled() {
        assert_eq!(
            printed("print(round(3.14159, 2)); print(round(12.7, 0)); print(round(4, 1));"),
            "3.14\n13\n4.0\n"
        );
        assert_eq!(printed("print(round(inf, 1)); print(round(2.5));"), "inf\n3.0\n");
        assert_eq!(
            printed("print(`[${pad_left(7, 3)}|${pad_right(\"中\", 4)}|${fixed_digits(2, 2)}]`);"),
            "[  7|中  |2.00]\n"
        );
        assert_eq!(printed("print(max(1, 2.5)); print(min(3, 2));"), "2.5\n2\n");
    }
}
