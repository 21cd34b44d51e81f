//! `rampant compare`: two folders of the real binary, side by side.

use crate::lab::{Engine, Lab};
use std::path::PathBuf;

const SCRIPT: &str = r#"
let t = target(param("url", "http://127.0.0.1:1"));
run(#{
    name: param("name", "x"), traffic: "same", target: t, seed: param("drawn", 7),
    workload: prompts(#{ input: uniform(20, 60), output: 6 }), arrivals: poisson(60.0), duration: "3s",
    warmup: "300ms",
});
"#;

struct Side {
    lab: Lab,
    fast: Engine,
    slow: Engine,
}

impl Side {
    fn new() -> Side {
        let lab = Lab::new();
        lab.file("one.rhai", SCRIPT);
        Side { lab, fast: Engine::start("ttft=20ms,itl=4ms"), slow: Engine::start("ttft=40ms,itl=8ms") }
    }

    fn run(&self, name: &str, slow: bool, seed: u32) -> String {
        let url = format!("url={}", if slow { &self.slow.url } else { &self.fast.url });
        let (name_is, seed) = (format!("name={name}"), format!("drawn={seed}"));
        self.lab
            .run(&["run", "one.rhai", "-q", "--out", name, "-p", &url, "-p", &name_is, "-p", &seed])
            .exits(0);
        let folders = std::fs::read_dir(self.lab.path().join(name)).unwrap();
        let folders: Vec<PathBuf> = folders.map(|entry| entry.unwrap().path()).collect();
        folders.last().unwrap().display().to_string()
    }
}

#[test]
fn one_run_a_side_says_that_the_runs_differ_and_never_exits_99() {
    let side = Side::new();
    let (a, b) = (side.run("a", false, 7), side.run("b", true, 7));
    let compare = |more: &[&str]| {
        let line: Vec<&str> =
            ["compare", &a, &b, "--save", "x.svg"].into_iter().chain(more.iter().copied()).collect();
        side.lab.run(&line)
    };
    let done = compare(&["--fail-if", "worse"]).exits(0);
    assert!(done.out.contains("paired: "), "{}", done.out);
    assert!(done.out.contains("These two runs differ: B is worse: "), "{}", done.out);
    assert!(done.out.contains("at least three rounds in turn"), "{}", done.out);
    assert!(side.lab.path().join("x.svg").is_file());
    let undecided = compare(&["--fail-if", "worse", "--undecided", "fail"]).exits(95);
    assert!(undecided.err.contains("error: undecided: a verdict about a server takes"), "{}", undecided.err);
    let chinese = compare(&["--lang", "zh"]).exits(0);
    assert!(chinese.out.contains("这两个运行有差异：B 更差：ttft"), "{}", chinese.out);
    // With itself, nothing differs.
    let same = side.lab.run(&["compare", &a, &a, "--save", "y.png"]).exits(0);
    assert!(same.out.contains("These two runs are the same within the margins."), "{}", same.out);
}

#[test]
fn three_rounds_in_turn_are_a_verdict_about_the_server() {
    let side = Side::new();
    let names = ["a1", "b1", "a2", "b2", "a3", "b3"];
    let folders: Vec<String> = names.iter().map(|name| side.run(name, name.starts_with('b'), 7)).collect();
    let [a1, b1, a2, b2, a3, b3] = &folders[..] else { panic!("six folders") };
    let a = ["compare", "--a", a1, a2, a3, "--save", "x.svg", "--metrics", "ttft.mean,e2el.mean"];
    let line = |b: &[&'static str], more: [&str; 3]| -> Vec<String> {
        a.iter().copied().chain(b.iter().copied()).chain(more).map(String::from).collect()
    };
    let run = |line: Vec<String>| side.lab.run(&line.iter().map(String::as_str).collect::<Vec<_>>());
    let gate = ["--fail-if", "worse:5%", "--undecided=fail"];
    let worse =
        run([line(&[], gate), vec!["--b".into(), b1.clone(), b2.clone(), b3.clone()]].concat()).exits(99);
    assert!(worse.out.contains("The server of B is worse (by 3 rounds in turn): ttft.mean"), "{}", worse.out);
    assert!(worse.err.contains("error: B is worse: "), "{}", worse.err);
    // One run against three of the past.
    let history =
        run([line(&[], gate), vec!["--history".into(), "--b".into(), b1.clone()]].concat()).exits(99);
    assert!(history.out.contains("against the last 3 runs"), "{}", history.out);
    let swapped = side
        .lab
        .run(&[
            "compare",
            "--a",
            b1,
            b2,
            b3,
            "--b",
            a1,
            a2,
            a3,
            "--save",
            "y.svg",
            "--metrics",
            "ttft.mean",
            "--fail-if",
            "worse",
        ])
        .exits(0);
    assert!(swapped.out.contains("is better"), "{}", swapped.out);
}

#[test]
fn other_traffic_is_named_and_not_paired() {
    let side = Side::new();
    let (a, b) = (side.run("a", false, 7), side.run("b", false, 8));
    let done = side.lab.run(&["compare", &a, &b, "--save", "x.svg"]).exits(0);
    assert!(
        done.out.contains("drawn anew") && done.out.contains("not paired: other lengths"),
        "{}",
        done.out
    );
    assert!(done.out.contains("seed"), "how to get pairs: {}", done.out);
}

#[test]
fn what_cannot_be_compared_is_one_sentence() {
    let lab = Lab::new();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/results/sample");
    let missing = format!("{sample}:nothing");
    for (line, told) in [
        (vec!["compare", "nowhere", sample], "there is no results folder \"nowhere\""),
        (vec!["compare", sample], "two results are compared"),
        (vec!["compare", &missing, sample], "has no run \"nothing\""),
        (vec!["compare", sample, sample, "--metrics", "ttft.max"], "--metrics: ttft.max cannot be compared"),
        (vec!["compare", sample, sample, "--margin", "5"], "a share from 0 to 1"),
        (vec!["compare", sample, sample, "--fail-if", "slower"], "worse, or worse:5%"),
        (vec!["compare", sample, sample, "--a", sample], "is of neither side"),
    ] {
        let done = lab.run(&line).exits(2);
        assert!(done.err.contains(told), "{line:?}: {}", done.err);
    }
}
