//! `--dry`: what a script would do, in virtual time; nothing is sent.

use crate::lab::{Engine, Lab, manifest, runs};
use std::fs;
use std::path::Path;

/// The only results folder of a dry run.
fn result(lab: &Lab) -> std::path::PathBuf {
    let mut folders = fs::read_dir(lab.path().join("results/dry")).unwrap();
    folders.next().expect("a results folder").unwrap().path()
}

#[test]
fn an_hour_is_over_in_a_moment_and_the_server_hears_nothing() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let script = format!(
        "let t = target(\"{}\");\n\
         check(\"ready\", t.ready(\"1s\") && t.models().len() == 1);\n\
         check(\"one\", request(t, #{{ prompt: \"a b\", max_tokens: 3 }}).usage.output == 3);\n\
         sleep(\"10m\");\n\
         let r = run(#{{ name: \"day\", target: t, workload: prompts(#{{ input: 8, output: 4 }}), \
         arrivals: constant(2.0), duration: \"1h\" }});\n\
         check(\"all\", r[\"requests.count\"] == 7200);\n\
         r.require(\"ttft.p99 < 1s\");\n",
        engine.url
    );
    lab.file("day.rhai", &script);
    let done = lab.run(&["run", "day.rhai", "--dry"]).exits(0);
    assert!(done.err.contains("day: planned requests over 3,599.5 s, 2.0/s at most:"), "{}", done.err);
    assert_eq!(engine.truth().len(), 0);
    let folder = result(&lab);
    let runs = runs(&folder);
    assert_eq!((&runs[0]["completed"], &runs[0]["simulated"]), (&7200.into(), &true.into()));
    assert_eq!(manifest(&folder)["exit_code"], 0);
    assert!(!lab.path().join("results").read_dir().unwrap().any(|found| found.unwrap().file_name() != "dry"));
}

#[test]
fn a_host_that_a_dry_script_names_needs_neither_leave_nor_a_server() {
    let lab = Lab::new();
    let script = "let t = target(\"http://inference.example\", #{ model: \"m\" });\n\
                  let s = sweep(#{ users: [1, 2] }, |p| #{ target: t, arrivals: closed(p.users), requests: 20, \
                  cooldown: \"1m\", workload: prompts(#{ input: 8, output: 4 }) });\n\
                  check(\"twice as fast\", s.runs[1][\"requests.rate\"] > 1.9 * s.runs[0][\"requests.rate\"]);\n";
    lab.file("far.rhai", script);
    lab.run(&["run", "far.rhai", "--dry"]).exits(0);
    lab.run(&["run", "far.rhai"]).exits(2);
}

#[test]
fn commands_and_shipped_examples_can_be_tried_dry() {
    let lab = Lab::new();
    lab.run(&["single", "--base-url", "http://nowhere.example", "--num-prompts", "50", "--dry"]).exits(0);
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut tried = 0;
    for file in fs::read_dir(&examples).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|ending| ending == "rhai") {
            let path = file.display().to_string();
            let lab = Lab::new();
            let done = lab.run(&["run", &path, "--dry", "--allow-read", &examples.display().to_string()]);
            // A gate may well be broken by a server that is only played.
            assert!([0, 95, 99].contains(&done.code.unwrap_or(-1)), "{path}: {}", done.said());
            tried += 1;
        }
    }
    assert!(tried > 10, "{tried}");
}
