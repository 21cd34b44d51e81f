//! `rampant calibrate`, with loads that any machine can carry.

use crate::lab::{Lab, manifest, runs};

/// A tiny calibration; `more` comes last.
fn tiny<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let small = ["calibrate", "--streams", "1,3", "--rates", "40", "--duration", "600ms", "--rounds", "7"];
    small.into_iter().chain(["--tokens", "3"]).chain(more.iter().copied()).collect()
}

#[test]
fn a_calibration_prints_both_tables_and_what_can_be_trusted_and_leaves_a_folder() {
    let lab = Lab::new();
    // What the machine is worth is not the test's affair.
    let done = lab.run(&tiny(&[]));
    assert!(matches!(done.code, Some(0 | 99)), "{:?}\n{}", done.code, done.said());
    let bare = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let table: Vec<String> = done.out.lines().map(bare).collect();
    for row in ["│ 1 alone ", "│ 3 at once ", "│ 3 in step ", "│ 3 apart ", "│ 40 "] {
        assert!(table.iter().any(|line| line.starts_with(row)), "{row:?} is not in\n{}", done.said());
    }
    let said =
        |line: &str| line.starts_with("This machine can be trusted with ") && line.ends_with(" requests/s.");
    assert!(done.out.lines().any(said), "{}", done.said());

    let folder = lab.result();
    assert!(folder.file_name().unwrap().to_string_lossy().starts_with("calibration_"), "{folder:?}");
    let runs: Vec<String> =
        runs(&folder).iter().map(|run| run["run"].as_str().unwrap().to_string()).collect();
    assert_eq!(runs, ["1 alone", "3 at once", "3 in step", "3 apart", "40 per second"]);
    let csv = std::fs::read_to_string(folder.join("calibration.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0][..4], ["kind", "load", "compared", "unmatched"]);
    // Every request of the log was found and compared; of those at once, the first of each stream.
    let compared: Vec<&[&str]> = rows[1..5].iter().map(|row| &row[..4]).collect();
    assert_eq!(compared[0], ["alone", "1.0", "20", "0"]);
    assert_eq!(compared[1], ["at once", "3.0", "3", "0"]);
    assert_eq!(compared[2], ["in step", "3.0", "21", "0"]);
    assert_eq!(compared[3], ["apart", "3.0", "21", "0"]);
    assert_eq!(rows[5][3], "0");
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{csv}");
}

#[test]
fn a_machine_that_cannot_be_trusted_with_anything_exits_with_99_and_says_which_limit_broke() {
    let lab = Lab::new();
    let done = lab.run(&tiny(&["--limit-mean", "0", "--lang", "zh"])).exits(99);
    assert!(done.out.contains("首先越限，1 条流（单流）："), "{}", done.out);
    assert!(done.out.contains("首令牌 ttft") && done.out.contains("结论"), "{}", done.out);
    assert!(
        done.out.contains("本机可信负载：同时开始 0 条流，同步 0 条，错开 0 条，0 请求/s。"),
        "{}",
        done.out
    );
    assert!(done.error().contains("2 项检查中 2 项未通过"), "{}", done.err);
    assert_eq!(manifest(&lab.result())["exit_code"], 99);
}

#[test]
fn requests_that_the_log_does_not_have_are_counted_and_said() {
    let (lab, server) = (Lab::new(), crate::recorder::Recorder::start());
    let script = format!(
        "let t = target(\"{}\");\n\
         let r = run(#{{ target: t, workload: prompts(#{{ input: 8, output: 1 }}), arrivals: closed(1), requests: 3 }});\n\
         let truth = r.truth();\n\
         print(`${{truth.compared}} ${{truth.missing}} ${{truth.ttft.mean == ()}}`);\n",
        server.url
    );
    lab.file("truth.rhai", &script);
    assert!(lab.run(&["run", "truth.rhai", "-q"]).exits(0).out.contains("0 3 true"));
}

#[test]
fn an_engine_that_is_gone_cannot_be_asked_for_the_truth() {
    let lab = Lab::new();
    let script = "fn gone() {\n\
         let t = target(\"builtin:ttft=1ms,itl=1ms\");\n\
         run(#{ target: t, workload: prompts(#{ input: 8, output: 2 }), arrivals: closed(1), requests: 1 })\n\
         }\n\
         gone().truth();\n";
    lab.file("gone.rhai", script);
    let done = lab.run(&["run", "gone.rhai", "-q"]).exits(1);
    assert!(done.error().contains("for the truth"), "{}", done.err);
    assert!(done.err.contains("only the built-in engine has a log of what it did"), "{}", done.err);
}

#[test]
fn a_load_that_no_machine_carries_ends_and_no_larger_one_is_tried() {
    let lab = Lab::new();
    let done = lab.run(&tiny(&["--rates", "60000,200000", "--duration", "150ms"]));
    assert!(matches!(done.code, Some(0 | 1 | 99)), "{:?}\n{}", done.code, done.said());
    assert!(done.out.contains("Not tried: 200000 requests/s (60000 requests/s was not "), "{}", done.said());
    let tried = |name: &str| runs(&lab.result()).iter().any(|run| run["run"] == name);
    assert!(tried("60000 per second") && !tried("200000 per second"));
}
