//! Gates of a CI server: `--require`, and what `--junit` and `--summary` write.

use crate::lab::{Engine, Lab, manifest, until};
use std::fs;

#[test]
fn require_judges_a_single_run_and_both_files_say_what_became_of_it() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=5ms,itl=1ms"));
    let flags =
        ["--require", "errors.share < 50%", "e2el.p50 < 1ms", "--junit", "out/j.xml", "--summary", "s.md"];
    let done = lab.single(&engine.url, &[&["--num-prompts", "20"][..], &flags].concat()).exits(99);
    assert_eq!(done.error().lines().count(), 1, "{}", done.err);
    assert!(done.err.contains("FAILED: io16x8_mc10_np20: e2el.p50 < 1ms: fails, "), "{}", done.err);
    let xml = fs::read_to_string(lab.path().join("out/j.xml")).unwrap();
    let failed = "name=\"e2el.p50 &lt; 1ms\"";
    assert!(xml.contains(failed) && xml.contains(" failures=\"1\" errors=\"0\""), "{xml}");
    assert!(xml.ends_with("</testsuites>\n"), "{xml}");
    let page = fs::read_to_string(lab.path().join("s.md")).unwrap();
    assert!(page.starts_with("### rampant single: **failed** · 1 of 2 checks ok, 1 failed"), "{page}");
    let checks = &manifest(&lab.result())["checks"];
    assert_eq!((&checks[1]["condition"], &checks[1]["held"]), (&"e2el.p50 < 1ms".into(), &false.into()));
    assert!(checks[1]["measured"].as_f64().unwrap() > 5.0 && checks[1]["n"] == 20, "{checks}");
}

#[test]
fn require_judges_every_cell_of_a_batch() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=5ms,itl=1ms"));
    let file = format!(
        "base_url: {}\nmodel: rampant-sim\ninput_output: [[8, 2]]\nconcurrency_prompts: [[1, 4], [2, 4]]\n\
         require: [\"errors.share < 90%\"]\n",
        engine.url
    );
    lab.file("config.yaml", &file);
    let done = lab.run(&["batch", "--junit", "j.xml"]).exits(0);
    assert!(done.err.contains("ok: io8x2_mc1_np4: errors.share < 90%: holds"), "{}", done.err);
    assert!(done.err.contains("all 2 checks ok"), "{}", done.err);
    let xml = fs::read_to_string(lab.path().join("j.xml")).unwrap();
    assert_eq!(xml.matches("<testsuite ").count(), 3, "two cells and the command: {xml}");
}

#[test]
fn a_slip_in_a_condition_or_a_file_that_cannot_be_written_is_told_before_any_load() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let told = lab.single(&engine.url, &["--require", "ttftt.p99 < 1s"]).exits(2);
    assert!(told.error().starts_with("--require: has a mistake: cannot read the condition"), "{}", told.err);
    lab.file("flat", "");
    for flag in ["--junit", "--summary"] {
        let told = lab.single(&engine.url, &[flag, "flat/x"]).exits(2);
        assert!(told.error().starts_with(&format!("{flag}: cannot write ")), "{}", told.err);
    }
    assert_eq!(engine.truth().len(), 0);
}

#[test]
fn a_killed_process_leaves_a_file_that_says_so_and_an_ended_script_its_reason() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=5ms,itl=1ms"));
    let line = ["single", "--base-url", &engine.url, "--num-prompts", "100000", "--junit", "j.xml"];
    let running = lab.start(&line);
    until(|| !engine.truth().is_empty());
    running.signal(libc::SIGKILL);
    running.finish();
    let xml = fs::read_to_string(lab.path().join("j.xml")).unwrap();
    assert!(xml.contains("<error message=\"it was stopped before its end\">"), "{xml}");

    lab.file("fail.rhai", "fail(\"no <model> & no \\\"hope\\\"\");");
    lab.run(&["run", "fail.rhai", "--junit", "f.xml", "--summary", "f.md"]).exits(98);
    let xml = fs::read_to_string(lab.path().join("f.xml")).unwrap();
    assert!(xml.contains("<error message=\"no &lt;model&gt; &amp; no &quot;hope&quot;\">"), "{xml}");
    let page = fs::read_to_string(lab.path().join("f.md")).unwrap();
    assert!(page.starts_with("### fail.rhai: **failed** · no checks\n"), "{page}");
}

#[test]
fn github_shows_each_command_that_measured_or_checked() {
    let lab = Lab::new().with_env("GITHUB_STEP_SUMMARY", "gh.md");
    lab.file("nothing.rhai", "print(1);");
    lab.file("a.rhai", "check(\"one\", true);");
    for (script, code) in [("nothing.rhai", 0), ("a.rhai", 0), ("a.rhai", 0)] {
        lab.run(&["run", script]).exits(code);
    }
    let page = fs::read_to_string(lab.path().join("gh.md")).unwrap();
    assert_eq!(page.matches("### a.rhai: **ok** · 1 of 1 checks ok").count(), 2, "{page}");
    assert!(!page.contains("nothing"), "{page}");
}
