//! Lists put in order by a function.

use std::cmp::Ordering;
use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, FnPtr, NativeCallContext};

use crate::error::Error;
use crate::script::fault::{Fallible, a, raise, shown};
use crate::script::function::bind;
use crate::script::opts::number;
use crate::script::state::State;
use crate::script::vocabulary::friendly;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_global_module(exported_module!(functions).into());
}

/// What the answer of a comparing function says of its two arguments.
fn verdict(answer: &Dynamic) -> Fallible<Ordering> {
    let below = |below: bool| if below { Ordering::Less } else { Ordering::Greater };
    let number = number(answer).and_then(|number| number.partial_cmp(&0.0));
    answer.as_bool().map(below).ok().or(number).ok_or_else(|| {
        let got = if answer.is_float() { shown(answer) } else { a(&friendly(answer.type_name())) };
        raise(Error::usage(format!("sort: the function must return a number or true or false, got {got}")))
    })
}

/// The places of a list in their order: a merge of halves, which no answers can bring out of step.
fn sorted(
    places: &[usize],
    compare: &mut impl FnMut(usize, usize) -> Fallible<Ordering>,
) -> Fallible<Vec<usize>> {
    if places.len() < 2 {
        return Ok(places.to_vec());
    }
    let (left, right) = places.split_at(places.len() / 2);
    let (left, right) = (sorted(left, compare)?, sorted(right, compare)?);
    let (mut l, mut r, mut merged) = (0, 0, Vec::with_capacity(places.len()));
    while l < left.len() && r < right.len() {
        let take_right = compare(left[l], right[r])? == Ordering::Greater;
        let (from, at) = if take_right { (&right, &mut r) } else { (&left, &mut l) };
        merged.push(from[*at]);
        *at += 1;
    }
    merged.extend_from_slice(&left[l..]);
    merged.extend_from_slice(&right[r..]);
    Ok(merged)
}

fn ordered(context: &NativeCallContext, list: &Array, function: &FnPtr) -> Fallible<Array> {
    let function = bind(context, function);
    let places: Vec<usize> = (0..list.len()).collect();
    let order = sorted(&places, &mut |x, y| {
        verdict(&function.call(context.engine(), [list[x].clone(), list[y].clone()])?)
    })?;
    Ok(order.into_iter().map(|place| list[place].clone()).collect())
}

#[export_module]
mod functions {
    /// Sorts a list by a function of two values: a number below 0 or `true` puts the first one
    /// first, as in `rows.sort(|a, b| a.ttft - b.ttft)`. An error in it ends the sorting.
    #[rhai_fn(name = "sort", name = "sort_by", return_raw)]
    pub fn sort(context: NativeCallContext, list: &mut Array, compare: FnPtr) -> Fallible<()> {
        *list = ordered(&context, list, &compare)?;
        Ok(())
    }

    /// As `sort`, and returns a new list.
    #[rhai_fn(name = "order", name = "order_by", pure, return_raw)]
    pub fn order(context: NativeCallContext, list: &mut Array, compare: FnPtr) -> Fallible<Array> {
        ordered(&context, list, &compare)
    }
}

#[cfg(test)]
mod tests {
    use crate::script::testing::{error, printed};

    #[test]
    fn a_function_may_answer_with_an_int_a_float_or_a_truth() {
        for compare in ["a - b", "(a - b) / 10.0", "a < b", "if a < b { -1 } else if a > b { 1 } else { 0 }"]
        {
            let script = format!(
                "let l = [3, 1, 2, 5, 4]; print(l.order(|a, b| {compare})); l.sort(|a, b| {compare}); print(l);"
            );
            assert_eq!(printed(&script), "[1, 2, 3, 4, 5]\n[1, 2, 3, 4, 5]\n", "{compare}");
        }
    }

    #[test]
    fn equal_values_keep_their_order() {
        let script = "let l = [[1, \"a\"], [0, \"b\"], [1, \"c\"]]; l.sort(|x, y| x[0] - y[0]); print(l);";
        assert_eq!(printed(script), "[[0, \"b\"], [1, \"a\"], [1, \"c\"]]\n");
    }

    #[test]
    fn an_answer_that_says_nothing_is_an_error_and_leaves_the_list_alone() {
        assert!(error("[2, 1].sort(|a, b| ())").starts_with(
            "sort: the function must return a number or true or false, got nothing\n  --> test.rhai:1:8"
        ));
        assert!(error("[2, 1].sort(|a, b| 0.0/0.0)").contains("got NaN"));
        let script = "let l = [2, 1]; try { l.sort(|a, b| \"x\") } catch (e) { print(e.message) } print(l);";
        let told = "sort: the function must return a number or true or false, got a string\n[2, 1]\n";
        assert_eq!(printed(script), told);
    }

    #[test]
    fn no_answers_bring_it_out_of_step() {
        printed(
            "let l = []; for i in 0..500 { l.push((i * 7919) % 500); } l.sort(|a, b| true); l.sort(|a, b| 1);",
        );
    }
}
