//! Lines for the user, verdicts and notes.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, NativeCallContext};

use crate::error::{Error, Kind};
use crate::experiment::columns::columns;
use crate::experiment::limits;
use crate::script::fault::{Fallible, raise, shown};
use crate::script::json;
use crate::script::state::State;
use crate::script::weight::{TEXT_MAX, weigh, weigh_all};

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_global_module(exported_module!(functions).into());
}

/// What `print` would show.
fn line(context: &NativeCallContext, value: Dynamic) -> String {
    context
        .call_native_fn::<rhai::ImmutableString>("to_string", (value.clone(),))
        .map_or_else(|_| value.to_string(), |text| text.to_string())
}

#[export_module]
mod functions {
    /// Prints one line of information; silent with `--quiet`.
    #[rhai_fn(volatile)]
    pub fn info(context: NativeCallContext, value: Dynamic) {
        let state = State::of(&context);
        if let Some(line) = state.say(&line(&context, value)) {
            state.console.inform(&line);
        }
    }

    /// Prints one line about what the script does on standard error, such as a file that it wrote;
    /// silent with `--quiet`.
    #[rhai_fn(volatile)]
    pub fn mention(context: NativeCallContext, value: Dynamic) {
        State::of(&context).console.mention(&line(&context, value));
    }

    /// Prints a warning on standard error, also with `--quiet`.
    #[rhai_fn(volatile)]
    pub fn warn(context: NativeCallContext, value: Dynamic) {
        let state = State::of(&context);
        if let Some(line) = state.say(&line(&context, value)) {
            state.console.warn(&line);
        }
    }

    /// Rows of cells under a header, all of them lists, as a table for the terminal.
    #[rhai_fn(return_raw)]
    pub fn table(header: Array, rows: Array) -> Fallible<String> {
        let texts = |cells: Array| cells.iter().map(Dynamic::to_string).collect::<Vec<_>>();
        weigh_all("table", header.iter().chain(&rows))?;
        let width = header.len();
        let mut lines = Vec::new();
        for row in rows {
            let row = row.into_array().map(texts).unwrap_or_default();
            if row.len() != width {
                let told = format!("table: every row must be a list of {width} cells, as the header is");
                return Err(raise(Error::usage(told)));
            }
            lines.push(row);
        }
        let header = texts(header);
        // Every row gets as wide as the widest cell of each column.
        let widest = |column: usize| {
            lines.iter().chain([&header]).map(|row: &Vec<String>| row[column].len()).max().unwrap_or(0) + 3
        };
        let row = (0..width).map(widest).fold(2, usize::saturating_add);
        if row.saturating_mul(lines.len() + 4) > TEXT_MAX {
            return Err(raise(Error::usage(format!("table: it has more than {} MB", TEXT_MAX >> 20))));
        }
        Ok(columns(header, lines))
    }

    /// The language of tables: `"en"` or `"zh"`.
    #[rhai_fn(volatile)]
    pub fn lang(context: NativeCallContext) -> String {
        State::of(&context).experiment.switches.lang.name().into()
    }

    /// Ends the script now with exit code 98; what was measured so far is kept.
    #[rhai_fn(volatile, return_raw)]
    pub fn fail(context: NativeCallContext, reason: Dynamic) -> Fallible<()> {
        let reason = match line(&context, reason) {
            reason if reason.trim().is_empty() => "the script failed and did not say why".into(),
            reason => reason,
        };
        let reason = State::of(&context).experiment.secrets.scrub(&reason).into_owned();
        Err(raise(Error::new(Kind::Failed, limits::shortened(&reason, limits::REASON_MAX))))
    }

    /// Records a verdict and goes on; the process ends with exit code 99 when one did not hold.
    /// Returns `held`, which must be true or false.
    #[rhai_fn(volatile, return_raw)]
    pub fn check(context: NativeCallContext, name: &str, held: Dynamic) -> Fallible<bool> {
        let state = State::of(&context);
        let Ok(held) = held.as_bool() else {
            let advice = match held.is_unit() {
                true => "; () is a value that was not observed or not given",
                false => "",
            };
            let got = if held.is_unit() { "()".into() } else { shown(&held) };
            let name = limits::shortened(name, limits::NAME_MAX);
            let told = format!("check: {name:?} must be true or false, got {got}{advice}");
            return Err(raise(Error::usage(told)));
        };
        state.experiment.check(&limits::shortened(name, limits::NAME_MAX), held);
        Ok(held)
    }

    /// Keeps a value in the manifest of the results folder, under `key`.
    #[rhai_fn(volatile, return_raw)]
    pub fn note(context: NativeCallContext, key: &str, value: Dynamic) -> Fallible<()> {
        weigh("note", &value)?;
        limits::fits("note", "the key", key).map_err(raise)?;
        let state = State::of(&context);
        state.experiment.findings().notes.push((key.into(), json::from_dynamic(&value.flatten())));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::script::testing::{error, printed};

    #[test]
    fn rows_of_cells_become_a_table_with_numbers_on_the_right() {
        let table = printed("print(table([\"rate\", \"ms\"], [[4, \"0.125\"], [16, 12.5]]));");
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[1], "│ rate      ms │");
        assert_eq!(&lines[3..5], ["│ 4      0.125 │", "│ 16      12.5 │"]);
    }

    #[test]
    fn a_check_takes_true_or_false_and_nothing_else() {
        for (value, got) in [
            ("()", "(); () is a value that was not observed or not given"),
            ("1", "1"),
            ("0", "0"),
            ("0.5", "0.5"),
            ("\"yes\"", "\"yes\""),
            ("[true]", "[true]"),
            ("#{ held: true }", "#{\"held\": true}"),
        ] {
            let told = error(&format!("check(\"fast\", {value});"));
            let wanted = format!("check: \"fast\" must be true or false, got {got}\n  --> test.rhai:1:1\n");
            assert!(told.starts_with(&wanted), "{told}");
        }
        assert_eq!(printed("print(check(\"fast\", true));"), "true\n");
        assert_eq!(error("check(\"fast\", false)"), "1 of 1 checks failed: fast");
    }

    #[test]
    fn a_row_of_another_width_is_refused() {
        let told = printed("try { table([\"a\", \"b\"], [[1, 2], [3]]) } catch (e) { print(e.message) }");
        assert_eq!(told, "table: every row must be a list of 2 cells, as the header is\n");
    }
}
