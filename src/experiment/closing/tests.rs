use super::*;
use crate::error::ErrorKind;
use crate::experiment::check::{Check, Held};
use crate::experiment::findings::{Findings, RunEnd};
use crate::lang::Lang;
use crate::stats::estimate::{Estimate, Interval};
use crate::stats::ruling::Ruling;
use crate::stats::words::Said;

fn run(name: &str, verdict: &'static str) -> RunEnd {
    let reasons =
        if verdict == "valid" { vec![] } else { vec![format!("{verdict}: too <busy>\nfor \"it\" & |more|")] };
    let line = "10 requests, 0 failed".into();
    RunEnd { name: name.into(), seconds: Some(1.5), verdict: Some(verdict), reasons, problems: vec![], line }
}

fn condition(run: &str, text: &str, holds: Option<bool>) -> Check {
    let said = Said {
        condition: text.into(),
        holds,
        undecided: holds.is_none(),
        value: Some("31 ms".into()),
        interval: Some("[29 ms .. 34 ms]".into()),
        ..Said::default()
    };
    let interval = Some(Interval { low: 29.0, high: 34.0 });
    let estimate = Estimate { value: Some(31.0), interval, n: 1200, mark: None };
    let ruling = Ruling {
        measured: Some(31.0),
        holds,
        value_holds: holds,
        estimate,
        text: said.text(Lang::English),
        said,
    };
    Check::condition(run.into(), ruling)
}

fn closing<'a>(checks: Vec<Check>, runs: Vec<RunEnd>, error: Option<&'a Error>) -> Closing<'a> {
    Closing {
        title: "gate.rhai".into(),
        findings: Findings { checks, runs, ..Findings::default() },
        error,
        folder: Some("results/m_1".into()),
        undecided_passes: false,
        strict: false,
        lang: Lang::English,
    }
}

#[test]
fn all_is_well_in_two_lines() {
    let closing =
        closing(vec![condition("a", "ttft.p99 < 500ms", Some(true))], vec![run("a", "valid")], None);
    assert_eq!(
        markdown::text(&closing),
        "### gate.rhai: **ok** · 1 of 1 checks ok · measurement valid\n1 run, results in `results/m_1`\n"
    );
}

#[test]
fn what_was_not_kept_comes_first_and_text_of_others_is_no_markup() {
    let error = Error::new(ErrorKind::Check, "1 of 3 checks failed");
    let checks = vec![
        condition("a", "ttft.p99 < 500ms", Some(true)),
        condition("a", "e2el.p99 < 1s", None),
        Check::own("<script>|`*", Held::No),
    ];
    let closing = closing(checks, vec![run("a", "client_bound")], Some(&error));
    let text = markdown::text(&closing);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "### gate.rhai: **failed** · 1 of 3 checks ok, 1 failed, 1 undecided · 1 of 1 runs not valid (client_bound)"
    );
    assert_eq!(lines[4], "| \\<script\\>\\|\\`\\* |  |  |  | **FAILED** |");
    assert_eq!(lines[5], "| a: e2el.p99 \\< 1s | 31 ms | 29 ms .. 34 ms | 1,200 | **undecided** |");
    assert_eq!(lines[6], "| a: ttft.p99 \\< 500ms | 31 ms | 29 ms .. 34 ms | 1,200 | ok |");
    assert!(text.contains("- `a`: client\\_bound: too \\<busy\\> for \"it\" \\& \\|more\\|\n"), "{text}");
}

#[test]
fn a_page_has_an_end_and_says_what_it_left_out() {
    let error = Error::new(ErrorKind::Check, "many");
    let checks = (0..5000).map(|i| Check::own(format!("check {i}"), Held::of(i % 2 == 0))).collect();
    let text = markdown::text(&closing(checks, vec![], Some(&error)));
    assert!(text.len() < 21 << 10, "{}", text.len());
    assert!(text.contains("more lines are in the results folder"), "{text}");
}

/// Name and outcome of each case.
fn cases(xml: &str) -> Vec<(String, String)> {
    let cases = xml.split("<testcase ").skip(1);
    let of = |case: &str| {
        let name = case.split("name=\"").nth(2).unwrap().split('"').next().unwrap().to_string();
        let kind = ["<failure", "<error", "<skipped"].into_iter().find(|kind| case.contains(kind));
        (name, kind.map_or("passed", |kind| &kind[1..]).to_string())
    };
    cases.map(of).collect()
}

#[test]
fn a_case_a_check_with_names_that_never_change() {
    let error = Error::new(ErrorKind::Check, "1 of 3 checks failed");
    let checks = || {
        vec![
            condition("a", "ttft.p99 < 500ms", Some(false)),
            condition("a", "e2el.p99 < 1s", None),
            Check::own("fast", Held::Yes),
        ]
    };
    let named = |name: &str, kind: &str| (name.to_string(), kind.to_string());
    let mut closing = closing(checks(), vec![run("a", "client_bound")], Some(&error));
    let xml = junit::text(&closing);
    assert_eq!(
        cases(&xml),
        [
            named("ttft.p99 &lt; 500ms", "failure"),
            named("e2el.p99 &lt; 1s", "failure"),
            named("the measurement is valid", "skipped"),
            named("fast", "passed"),
            named("ran to its end", "passed"),
        ]
    );
    assert!(xml.contains("<property name=\"low\" value=\"29\"/>"), "{xml}");
    assert!(xml.contains("tests=\"5\" failures=\"2\" errors=\"0\" skipped=\"1\""), "{xml}");
    closing.undecided_passes = true;
    closing.strict = true;
    let kinds: Vec<String> = cases(&junit::text(&closing)).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["failure", "skipped", "failure", "passed", "passed"]);
}

#[test]
fn an_error_of_the_script_is_an_error_and_one_of_a_run_stands_at_the_run() {
    let error = Error::new(ErrorKind::Failed, "no \u{1b}[31mmodel");
    let xml = junit::text(&closing(vec![], vec![], Some(&error)));
    assert_eq!(cases(&xml), [("ran to its end".to_string(), "error".to_string())]);
    assert!(!xml.contains('\u{1b}'), "{xml}");
    let error = Error::run("run \"a\": every request failed");
    let mut failed = run("a", "valid");
    failed.problems.push("every request failed".into());
    let mut closing = closing(vec![], vec![failed], Some(&error));
    closing.findings.problems.push("run \"a\": every request failed".into());
    let kinds: Vec<String> = cases(&junit::text(&closing)).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["error", "passed"]);
}
