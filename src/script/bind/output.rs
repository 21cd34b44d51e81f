//! Lines for the user, verdicts and notes.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, Map, NativeCallContext};

use crate::error::{Error, ErrorKind};
use crate::experiment::check::{Check, Held};
use crate::experiment::columns::columns;
use crate::experiment::{limits, sentences};
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

/// A cell of a CSV, in quotes where it must be.
fn cell(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.into(),
    }
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

    /// Rows (maps) as CSV, with these columns; a value that is `()`, or not there, is an empty cell.
    #[rhai_fn(return_raw)]
    pub fn csv(rows: Array, columns: Array) -> Fallible<String> {
        weigh_all("csv", columns.iter().chain(&rows))?;
        let columns: Vec<String> = columns.iter().map(Dynamic::to_string).collect();
        let mut text = columns.iter().map(|name| cell(name)).collect::<Vec<_>>().join(",") + "\n";
        for row in rows {
            let Some(row) = row.try_cast::<Map>() else {
                return Err(raise(Error::usage(
                    "csv: every row must be a map such as #{ rate: 4, ttft: 12.5 }",
                )));
            };
            let value = |name: &String| row.get(name.as_str()).filter(|value| !value.is_unit());
            let cells = columns
                .iter()
                .map(|name| value(name).map_or(String::new(), |value| cell(&value.to_string())));
            text += &(cells.collect::<Vec<_>>().join(",") + "\n");
            if text.len() > TEXT_MAX {
                return Err(raise(Error::usage(format!("csv: it has more than {} MB", TEXT_MAX >> 20))));
            }
        }
        Ok(text)
    }

    /// A sentence of the built-in commands in the language of tables; `rampant script calibrate` shows
    /// some.
    #[rhai_fn(name = "said", volatile, return_raw)]
    pub fn said(context: NativeCallContext, name: &str) -> Fallible<String> {
        said_of(context, name, Map::new())
    }

    /// As above, with the values that it says.
    #[rhai_fn(name = "said", volatile, return_raw)]
    pub fn said_of(context: NativeCallContext, name: &str, values: Map) -> Fallible<String> {
        let values: Vec<(String, String)> =
            values.into_iter().map(|(name, value)| (name.to_string(), line(&context, value))).collect();
        let told = sentences::said(State::of(&context).console.words(), name, &values);
        told.map_err(|told| raise(Error::usage(format!("said: {told}"))))
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
        Err(raise(Error::new(ErrorKind::Failed, limits::shortened(&reason, limits::REASON_MAX))))
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
        state.experiment.check(Check::own(limits::shortened(name, limits::NAME_MAX), Held::of(held)));
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
    fn rows_become_csv_with_quotes_where_they_are_needed() {
        let rows = "[#{ a: 1, b: \"x, y\" }, #{ a: 0.5, b: (), c: 3 }, #{ b: \"say \\\"hi\\\"\" }]";
        let csv = printed(&format!("print(csv({rows}, [\"a\", \"b\"]));"));
        assert_eq!(csv, "a,b\n1,\"x, y\"\n0.5,\n,\"say \"\"hi\"\"\"\n\n");
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
