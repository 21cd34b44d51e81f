//! The options that scripts write in maps, as tables: one file for each group of functions.

pub mod arrivals;
pub mod chart;
pub mod comparison;
pub mod files;
pub mod metric;
pub mod param;
pub mod request;
pub mod run;
pub mod shown;
pub mod slo;
pub mod sweep;
pub mod table;
pub mod target;
pub mod trace;
pub mod vllm;
pub mod workload;

use table::Table;

/// A function that takes options: which of its arguments they are, of how many.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub function: &'static str,
    pub argument: usize,
    pub arguments: usize,
    pub table: &'static Table,
}

const fn call(function: &'static str, argument: usize, arguments: usize, table: &'static Table) -> Call {
    Call { function, argument, arguments, table }
}

/// Every function that takes options.
pub static CALLS: &[Call] = &[
    call("param", 2, 3, &param::PARAM),
    call("preset", 1, 2, &param::PRESET),
    call("target", 1, 2, &target::TARGET),
    call("engine", 0, 1, &target::ENGINE),
    call("prompts", 0, 1, &workload::PROMPTS),
    call("chat", 0, 1, &workload::CHAT),
    call("dataset", 1, 2, &workload::DATASET),
    call("trace", 1, 2, &trace::TRACE),
    call("vllm_arrivals", 0, 1, &arrivals::VLLM_ARRIVALS),
    call("slo", 0, 1, &slo::SLO),
    call("run", 0, 1, &run::RUN),
    call("plan", 0, 1, &run::RUN),
    call("sweep", 2, 3, &sweep::SWEEP),
    call("compare", 2, 3, &comparison::COMPARE),
    call("save_vllm", 1, 2, &vllm::SAVE_VLLM),
    call("request", 1, 2, &request::REQUEST),
    call("metric", 1, 2, &metric::METRIC),
    call("chart", 0, 1, &chart::CHART),
    call("comparison_charts", 1, 2, &chart::COMPARISON_CHARTS),
    call("comparison_report", 1, 2, &chart::COMPARISON_REPORT),
    call("terminal_charts", 1, 2, &chart::TERMINAL_CHARTS),
    call("known_keys", 2, 3, &files::KNOWN_KEYS),
    call("results", 0, 1, &files::RESULTS),
    call("folders", 0, 1, &files::FOLDERS),
    call("aggregate", 1, 2, &files::AGGREGATE),
    call("save_table", 2, 3, &files::SAVE_TABLE),
    call("matching", 1, 2, &files::MATCHING),
];

/// The function of this name that is called with so many arguments.
pub fn of_call(function: &str, arguments: usize) -> Option<&'static Call> {
    CALLS.iter().find(|call| call.function == function && call.arguments == arguments)
}

#[cfg(test)]
mod tests {
    use super::shown::places;
    use super::table::{OptionKind, OptionRow, Otherwise, Rest, Table};
    use super::*;
    use crate::experiment::args::Args;
    use crate::experiment::program::Program;
    use crate::experiment::switches::Switches;
    use crate::host::Host;
    use crate::script::Script;

    /// A value of a kind that the option does not have.
    fn wrong(kind: &OptionKind) -> &'static str {
        match kind {
            OptionKind::Truth => "\"yes\"",
            OptionKind::Text => "[1]",
            OptionKind::Number(..) | OptionKind::Above0 | OptionKind::Whole(..) => "\"many\"",
            OptionKind::Time | OptionKind::TimeAbove0 => "\"5 parsecs\"",
            OptionKind::Word(_) => "\"zzzzz\"",
            OptionKind::List
            | OptionKind::ListOf(..)
            | OptionKind::Map(_)
            | OptionKind::Made(..)
            | OptionKind::Function(..) => "5",
            OptionKind::Own(..) => "true",
        }
    }

    /// The options that must be there beside the one that is looked at.
    fn others(table: &Table, name: &str) -> String {
        let needed =
            table.rows.iter().filter(|row| matches!(row.otherwise, Otherwise::Needed) && row.name != name);
        let mut text: String = needed.map(|row| format!("{}: {}, ", row.name, row.example)).collect();
        match (table.call, name) {
            ("dataset", "input" | "prefix") => text += "format: \"sonnet\", ",
            ("dataset", "think" | "carry") => text += "turns: \"all\", ",
            ("dataset", "seconds") => text += "format: \"audio\", ",
            ("chart", _) if name != "y" => text += "y: \"ttft\", ",
            _ => {}
        }
        text
    }

    /// A script that hands `item` to a table of the call, however deep in it.
    fn script(place: &str, table: &Table, name: &str, item: &str) -> String {
        let mut map = format!("#{{ {}{item} }}", others(table, name));
        let mut path: Vec<&str> = place.split(" of ").collect();
        let function = path.pop().expect("a place has a function");
        let mut outer: Vec<&Table> =
            vec![CALLS.iter().find(|call| call.function == function).expect("a call").table];
        for key in path.iter().rev() {
            let Some(OptionKind::Map(inner) | OptionKind::Function(_, Some(inner))) =
                outer.last().and_then(|table| table.row(key)).map(|row| row.kind)
            else {
                panic!("{place}")
            };
            outer.push(inner);
        }
        for (key, table) in path.iter().zip(outer.iter().rev().skip(1)) {
            let function = matches!(table.row(key).map(|row| row.kind), Some(OptionKind::Function(..)));
            let bars = if function { "|_given| " } else { "" };
            map = format!("#{{ {}{key}: {bars}{map} }}", others(table, key));
        }
        let before = match function {
            "target" => "\"http://127.0.0.1:8000\", ",
            "dataset" => "\"prompts.jsonl\", ",
            "trace" => "\"trace.jsonl\", ",
            "param" => "\"a\", 1, ",
            "metric" => "\"a\", ",
            "preset" => "\"plan.yaml\", ",
            "sweep" => "[[\"a\", [1]]], |p| p, ",
            "save_vllm" => "(), ",
            "compare" => "\"a\", \"b\", ",
            "request" => "target(\"http://127.0.0.1:8000\"), ",
            "comparison_charts" | "comparison_report" | "terminal_charts" => "[#{ a: 1 }], ",
            "known_keys" => "#{}, \"plan.yaml\", ",
            "aggregate" => "[\"results/a\"], ",
            "save_table" => "\"knees\", [#{ a: 1 }], ",
            "matching" => "[], ",
            _ => "",
        };
        format!("{function}({before}{map});\n")
    }

    fn session(text: &str, folder: &std::path::Path) -> Script {
        let path = Some(folder.join("test.rhai"));
        let program = Program { name: "test.rhai".into(), text: text.into(), path, built_in: false };
        Script::prepare(program, Args::default(), Switches::default(), Host::fake(folder, &[]))
            .expect("it parses")
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("prompts.jsonl"), "{\"prompt\": \"a\"}\n").expect("writable");
        let row = "{\"timestamp\": 1, \"input_length\": 2, \"output_length\": 3}\n";
        std::fs::write(folder.path().join("trace.jsonl"), row).expect("writable");
        folder
    }

    /// Every row with a place that it can be written at.
    fn all() -> Vec<(String, &'static Table, &'static OptionRow)> {
        let rows = |(place, table): (String, &'static Table)| {
            table.rows.iter().map(move |row| (place.clone(), table, row))
        };
        places().into_iter().flat_map(rows).collect()
    }

    /// What is found in lines of a script before it runs, a mistake each.
    fn found(lines: &[String], folder: &std::path::Path) -> Vec<crate::error::Error> {
        let errors = session(&lines.concat(), folder).errors;
        for (line, error) in lines.iter().zip(&errors) {
            let at = lines.iter().position(|one| one == line).expect("it is there") + 1;
            assert!(error.to_string().contains(&format!("\n  --> test.rhai:{at}:")), "{line}{error}");
        }
        assert_eq!(errors.len(), lines.len());
        errors
    }

    /// The columns of an error's place.
    fn column(error: &crate::error::Error) -> usize {
        let place = error.place.clone().unwrap_or_default();
        let column = place.lines().next().and_then(|first| first.rsplit(':').next()?.parse().ok());
        column.expect("line and column")
    }

    #[test]
    fn a_misspelt_key_of_every_table_is_found_with_its_place_and_the_right_name() {
        let folder = folder();
        let (mut lines, mut slips) = (Vec::new(), Vec::new());
        for (place, table, row) in all() {
            for at in 0..row.name.len() {
                let slip = [&row.name[..at], &row.name[at + 1..]].concat();
                // Two letters tell nothing, a slip may be another option or a word of the language, and these
                // are as near to two.
                let tells = slip.len() >= 3
                    && slip.starts_with(|c: char| c.is_alphabetic())
                    && !["log_", "may", "man", "use"].contains(&slip.as_str());
                let line = script(&place, table, row.name, &format!("{slip}: {}", row.example));
                if tells && table.row(&slip).is_none() && !lines.contains(&line) {
                    lines.push(line);
                    slips.push((slip, row.name));
                }
            }
        }
        assert!(lines.len() > 500, "{}", lines.len());
        for (error, (line, (slip, name))) in found(&lines, folder.path()).iter().zip(lines.iter().zip(slips))
        {
            let near = format!("unknown option `{slip}`; did you mean `{name}`?");
            assert!(error.message.ends_with(&near), "{line}{}", error.message);
            assert_eq!(column(error), line.find(&format!(" {slip}: ")).expect("it is there") + 2, "{line}");
            assert_eq!(error.kind.exit_code(), 2);
        }
    }

    #[test]
    fn a_value_of_a_wrong_kind_is_told_before_a_run_as_the_call_itself_tells_it() {
        let folder = folder();
        let (mut lines, mut names) = (Vec::new(), Vec::new());
        for (place, table, row) in all() {
            let line = script(&place, table, row.name, &format!("{}: {}", row.name, wrong(&row.kind)));
            if !lines.contains(&line) {
                lines.push(line);
                names.push(row.name);
            }
        }
        assert!(lines.len() > 100, "{}", lines.len());
        let errors = found(&lines, folder.path());
        for (error, (line, name)) in errors.iter().zip(lines.iter().zip(names)) {
            assert!(error.message.contains(&format!("`{name}` ")), "{line}{}", error.message);
            assert_eq!(column(error), line.rfind(&format!("{name}: ")).expect("it is there") + 1, "{line}");
            assert_eq!(error.kind.exit_code(), 2);
        }
        // A row that no call asks for would say something else there, or nothing. `save_vllm` wants a result,
        // and has the options that `run` hands to it.
        let called = |line: &&String| !line.starts_with("save_vllm");
        let tried = |line: &String| format!("try {{ {} }} catch (e) {{ print(e.message) }}\n", line.trim());
        let all = session(&lines.iter().filter(called).map(tried).collect::<String>(), folder.path());
        let host = all.state.experiment.host.clone();
        all.play().expect("every mistake is caught");
        let told =
            lines.iter().zip(&errors).filter(|(line, _)| called(line)).map(|(_, error)| &error.message);
        for (said, told) in host.written().0.lines().zip(told.clone()) {
            assert_eq!(said, told);
        }
        assert_eq!(host.written().0.lines().count(), told.count());
    }

    #[test]
    fn examples_and_defaults_are_what_their_options_accept() {
        let folder = folder();
        let mut lines = Vec::new();
        for (place, table, row) in all() {
            lines.push(script(&place, table, row.name, &format!("{}: {}", row.name, row.example)));
            if let Otherwise::Is(value) = row.otherwise {
                assert_eq!(row.kind.judge(&value()), Ok(()), "{place}: {}", row.name);
            }
            assert!(!row.help.is_empty() && !row.help.ends_with('.'), "{place}: {}", row.name);
        }
        let errors = session(&lines.concat(), folder.path()).errors;
        assert!(errors.is_empty(), "{}", errors[0]);
    }

    #[test]
    fn no_option_of_a_table_is_there_twice() {
        for (place, table) in places() {
            let mut names: Vec<&str> = table.rows.iter().map(|row| row.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.rows.len(), "{place}");
            assert!(!table.rows.is_empty() || !matches!(table.rest, Rest::Refused), "{place}");
        }
    }

    #[test]
    fn every_function_that_takes_a_map_of_options_has_a_table() {
        let session = crate::script::testing::session("");
        let vocabulary = session.state.vocabulary();
        for Call { function, argument, arguments, .. } in CALLS {
            let takes =
                |params: &Vec<String>| params.len() == *arguments && params[*argument].ends_with(": map");
            let known = vocabulary.signatures(function).iter().any(|one| takes(&one.params));
            assert!(known, "{function}");
        }
        for (name, signature) in vocabulary.ours() {
            let is_options = |param: &String| param == "options: map" || param == "plan: map";
            if let Some(argument) = signature.params.iter().position(is_options) {
                let call =
                    of_call(name, signature.params.len()).unwrap_or_else(|| panic!("{name} has no table"));
                assert_eq!(call.argument, argument, "{name}");
            }
        }
    }
}
