//! JUnit's XML: a suite a run, a case a check, and one for the verdict. Names hold no measured value, so that
//! a CI server sees the history of each.

use super::facts::Closing;
use crate::experiment::check::{Check, Held};
use crate::experiment::findings::RunEnd;
use std::fmt::Write;

/// A case: its name, its class, what became of it.
struct Case {
    class: String,
    name: String,
    properties: Vec<(&'static str, String)>,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Failed(String),
    /// It could not be told.
    Skipped(String),
    Error(String),
}

/// A suite: its name, how long it took, its cases.
struct Suite {
    name: String,
    seconds: f64,
    cases: Vec<Case>,
}

pub fn text(closing: &Closing) -> String {
    let runs = &closing.findings.runs;
    let mut suites: Vec<Suite> = runs.iter().map(|run| of_run(closing, run)).collect();
    let apart: Vec<Case> = closing
        .findings
        .checks
        .iter()
        .filter(|check| check.run.as_ref().is_none_or(|name| runs.iter().all(|run| run.name != *name)))
        .map(|check| of_check(closing, &closing.title, check))
        .collect();
    let end = Case {
        class: closing.title.clone(),
        name: "ran to its end".into(),
        properties: Vec::new(),
        outcome: closing.own_error().map_or(Outcome::Passed, |error| Outcome::Error(error.to_string())),
    };
    suites.push(Suite {
        name: closing.title.clone(),
        seconds: 0.0,
        cases: apart.into_iter().chain([end]).collect(),
    });
    document(&suites)
}

fn of_run(closing: &Closing, run: &RunEnd) -> Suite {
    let class = format!("{}.{}", closing.title, run.name);
    let mine = closing.findings.checks.iter().filter(|check| check.run.as_ref() == Some(&run.name));
    let mut cases: Vec<Case> = mine.map(|check| of_check(closing, &class, check)).collect();
    let reasons = run.reasons.join("\n");
    let outcome = match (&run.problems[..], run.is_valid()) {
        ([], true) => Outcome::Passed,
        // It ends the process with 0, so it is no failure here either.
        ([], false) if !closing.strict => Outcome::Skipped(reasons),
        ([], false) => Outcome::Failed(reasons),
        (problems, _) => Outcome::Error(problems.join("\n")),
    };
    let verdict = run.verdict.map(|verdict| ("verdict", verdict.to_string()));
    let properties = verdict.into_iter().collect();
    cases.push(Case { class, name: "the measurement is valid".into(), properties, outcome });
    Suite { name: run.name.clone(), seconds: run.seconds.unwrap_or(0.0), cases }
}

fn of_check(closing: &Closing, class: &str, check: &Check) -> Case {
    let told = check.told(closing.lang);
    let outcome = match check.held {
        Held::Yes => Outcome::Passed,
        Held::Undecided if closing.undecided_passes => Outcome::Skipped(told),
        _ => Outcome::Failed(told),
    };
    let mut properties = Vec::new();
    if let Some(ruling) = &check.ruling {
        let interval = ruling.estimate.interval;
        let numbers = [
            ("measured", ruling.measured),
            ("low", interval.map(|of| of.low)),
            ("high", interval.map(|of| of.high).filter(|high| high.is_finite())),
        ];
        properties.extend(numbers.into_iter().filter_map(|(name, value)| Some((name, value?.to_string()))));
        properties.push(("n", ruling.estimate.n.to_string()));
    }
    Case { class: class.into(), name: check.name.clone(), properties, outcome }
}

fn document(suites: &[Suite]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all = totals(suites.iter().flat_map(|suite| &suite.cases));
    let seconds: f64 = suites.iter().map(|suite| suite.seconds).sum();
    put(&mut text, format_args!("<testsuites name=\"rampant\" {all} time=\"{seconds:.3}\">\n"));
    for suite in suites {
        let (name, counts) = (escaped(&suite.name), totals(suite.cases.iter()));
        put(
            &mut text,
            format_args!("  <testsuite name=\"{name}\" {counts} time=\"{:.3}\">\n", suite.seconds),
        );
        suite.cases.iter().for_each(|case| put_case(&mut text, case, suite.seconds));
        text += "  </testsuite>\n";
    }
    text + "</testsuites>\n"
}

fn put(text: &mut String, more: std::fmt::Arguments) {
    text.write_fmt(more).expect("a string takes all text");
}

fn totals<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    let mut counts = [0; 4];
    for case in cases {
        counts[0] += 1;
        match case.outcome {
            Outcome::Passed => {}
            Outcome::Failed(_) => counts[1] += 1,
            Outcome::Error(_) => counts[2] += 1,
            Outcome::Skipped(_) => counts[3] += 1,
        }
    }
    let [tests, failures, errors, skipped] = counts;
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
}

fn put_case(text: &mut String, case: &Case, seconds: f64) {
    let (class, name) = (escaped(&case.class), escaped(&case.name));
    put(text, format_args!("    <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.3}\">"));
    if !case.properties.is_empty() {
        *text += "<properties>";
        for (name, value) in &case.properties {
            put(text, format_args!("<property name=\"{name}\" value=\"{}\"/>", escaped(value)));
        }
        *text += "</properties>";
    }
    let (kind, told) = match &case.outcome {
        Outcome::Passed => ("", ""),
        Outcome::Failed(told) => ("failure", told.as_str()),
        Outcome::Error(told) => ("error", told.as_str()),
        Outcome::Skipped(told) => ("skipped", told.as_str()),
    };
    if !kind.is_empty() {
        let first = escaped(told.lines().next().unwrap_or_default());
        put(text, format_args!("<{kind} message=\"{first}\">{}</{kind}>", escaped(told)));
    }
    *text += "</testcase>\n";
}

/// What XML has no sign for, such as the escape character, becomes a replacement character.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\n' | '\t' => safe.push(c),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}
