//! `rampant run`: a script's own verdict, its language, its noise.

use crate::lab::{Engine, Lab, files, manifest, outcomes, records};

/// The first example, with its times cut to what a test can wait for.
fn first_example() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/01_first_run.rhai");
    let text = std::fs::read_to_string(path).expect("the example");
    let shorter = |line: &str| match line.trim_start() {
        start if start.starts_with("duration:") => "    duration: \"900ms\",".to_string(),
        start if start.starts_with("warmup:") => "    warmup: \"200ms\",".to_string(),
        _ => line.to_string(),
    };
    text.lines().map(shorter).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_first_example_leaves_a_manifest_rows_and_charts() {
    let lab = Lab::new();
    let script = lab.file("01_first_run.rhai", &first_example());
    let done = lab.run(&["run", "01_first_run.rhai"]).exits(0);
    assert!(done.out.contains("succeeded, 0 failed"), "{}", done.out);
    let folder = lab.result();

    let manifest = manifest(&folder);
    assert_eq!(manifest["exit_code"], 0);
    assert_eq!(manifest["script"]["name"], "01_first_run.rhai");
    assert_eq!(manifest["checks"].as_array().unwrap().len(), 2);
    assert!(manifest["checks"].as_array().unwrap().iter().all(|check| check["held"] == true));
    let kept = std::fs::read(folder.join("script/01_first_run.rhai")).unwrap();
    assert_eq!(kept, std::fs::read(script).unwrap(), "the script that ran is in the folder");

    let records = records(&folder);
    assert!(records.len() > 10);
    assert_eq!(outcomes(&records), [("success", records.len())].into());
    let charts = files(&folder.join("charts"));
    assert!(charts.iter().any(|path| path.extension().is_some_and(|e| e == "svg")), "{charts:?}");
    assert!(charts.iter().any(|path| path.extension().is_some_and(|e| e == "png")), "{charts:?}");
}

#[test]
fn a_failed_check_exits_with_99_after_the_whole_script() {
    let lab = Lab::new();
    lab.file(
        "check.rhai",
        "check(\"one is two\", 1 == 2);\ncheck(\"one is one\", 1 == 1);\nprint(\"after\");\n",
    );
    let done = lab.run(&["run", "check.rhai"]).exits(99);
    assert_eq!(done.error(), "1 of 2 checks failed: one is two");
    assert_eq!(done.out, "after\n");
}

#[test]
fn a_requirement_that_does_not_hold_exits_with_99() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=20ms,itl=1ms"));
    let script = format!(
        "let t = target(\"{}\");\n\
         let r = run(#{{ target: t, workload: prompts(#{{ input: 8, output: 4 }}), arrivals: closed(4), requests: 40 }});\n\
         r.require(\"ttft.mean < 1ms\");\nr.require(\"errors.share < 50%\");\nprint(\"after\");\n",
        engine.url
    );
    lab.file("require.rhai", &script);
    let done = lab.run(&["run", "require.rhai"]).exits(99);
    assert!(done.error().contains("1 of 2 checks failed: run-1: ttft.mean < 1ms"), "{}", done.err);
    assert!(done.out.contains("after"), "{}", done.out);
    assert_eq!(manifest(&lab.result())["exit_code"], 99);
}

#[test]
fn a_limit_within_the_interval_of_a_value_is_undecided() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=20ms,itl=1ms"));
    let script = format!(
        "let t = target(\"{}\");\n\
         let r = run(#{{ target: t, workload: prompts(#{{ input: 8, output: 4 }}), \
         arrivals: constant(200.0), requests: 400 }});\n\
         let i = r.ci(\"ttft.mean\");\n\
         print(`${{i.low < i.value && i.value < i.high}} ${{i.n}} ${{i.mark}}`);\n\
         r.require(\"ttft.mean < \" + i.value + \"ms\");\nr.require(\"ttft.mean < 10s\");\n",
        engine.url
    );
    lab.file("limit.rhai", &script);
    let done = lab.run(&["run", "limit.rhai"]).exits(95);
    assert!(done.out.starts_with("true 400 \n"), "{}", done.out);
    assert!(done.err.contains("UNDECIDED: run-1: ttft.mean < "), "{}", done.err);
    assert!(done.err.contains("1 of 2 checks are undecided"), "{}", done.err);
    let manifest = manifest(&lab.result());
    assert!(manifest["checks"][0]["held"].is_null() && manifest["checks"][1]["held"] == true);
    lab.run(&["run", "--undecided", "pass", "limit.rhai"]).exits(0);
}

#[test]
fn fail_ends_the_script_with_98_and_its_own_words() {
    let lab = Lab::new();
    lab.file("fail.rhai", "try { fail(\"this server is too old\"); } catch { }\nprint(\"after\");\n");
    let done = lab.run(&["run", "fail.rhai"]).exits(98);
    assert_eq!(done.error(), "this server is too old");
    assert_eq!(done.out, "");
}

#[test]
fn tables_speak_chinese_when_asked() {
    let engine = Engine::fast();
    let by_switch = Lab::new().single(&engine.url, &["--num-prompts", "2", "--lang", "zh"]).exits(0).out;
    let by_locale =
        Lab::new().with_env("LANG", "zh_CN.UTF-8").single(&engine.url, &["--num-prompts", "2"]).exits(0).out;
    for out in [by_switch, by_locale] {
        assert!(out.contains("共 2，成功 2，失败 0") && out.contains("首令牌 ttft"), "{out}");
        assert!(!out.contains("succeeded"), "{out}");
    }
}

#[test]
fn quiet_prints_the_result_and_where_it_lies_and_nothing_around_it() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let done = lab.single(&engine.url, &["--num-prompts", "2", "--quiet"]).exits(0);
    // Warnings are told all the same: two requests are too few for a verdict of `valid`.
    assert!(done.err.lines().all(|line| line.starts_with("warning: run ")), "{}", done.err);
    assert!(done.out.contains("2 total, 2 succeeded"), "{}", done.out);
    assert!(done.out.lines().last().is_some_and(|line| line.starts_with("results: ")), "{}", done.out);
    assert!(!done.said().contains("charts: "), "{}", done.said());
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_unless_its_reader_has_left() {
    let lab = Lab::new();
    lab.file("many.rhai", "for n in 0..100000 { print(n); }\n");
    let into = |out: std::process::Stdio| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rampant"));
        command.args(["run", "many.rhai"]).current_dir(lab.path()).stdout(out);
        command.stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    if let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") {
        let done = into(full.into()).wait_with_output().unwrap();
        let err = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{err}");
        assert!(err.starts_with("error: cannot write to standard output: No space left"), "{err}");
    }
    let mut child = into(std::process::Stdio::piped());
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), String::from_utf8(done.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn a_built_in_command_can_be_copied_and_changed() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let script = lab.run(&["script", "single"]).exits(0).out;
    lab.file("mine.rhai", &script);
    lab.run(&["check", "mine.rhai"]).exits(0);
    let url = format!("base_url={}", engine.url);
    let short = ["-p", "random_input_len=8", "-p", "random_output_len=4", "-p", "num_prompts=3"];
    lab.run(&[&["run", "mine.rhai", "-p", &url][..], &short].concat()).exits(0);
    assert_eq!(records(&lab.result()).len(), 3);
}

#[test]
fn every_command_explains_itself() {
    let lab = Lab::new();
    let commands = [
        "single",
        "batch",
        "aggregate",
        "visualize",
        "calibrate",
        "run",
        "check",
        "params",
        "script",
        "engine",
    ];
    let all = lab.run(&["--help"]).exits(0).out;
    for command in commands {
        assert!(all.contains(&format!("\n  {command} ")), "{command} is not in the help");
        assert!(lab.run(&[command, "--help"]).exits(0).out.contains("Usage: rampant"), "{command}");
    }
    assert!(lab.run(&["--version"]).exits(0).out.starts_with("rampant "));
    lab.file("p.rhai", "let rate = param(\"rate\", 4.0, #{ help: \"requests per second\" });\n");
    assert!(lab.run(&["params", "p.rhai"]).exits(0).out.contains("requests per second"));
    assert!(lab.run(&["run", "p.rhai", "--help"]).exits(0).out.contains("requests per second"));
}
