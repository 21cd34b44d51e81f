//! `rampant compare`: two folders of the real binary, side by side.

use crate::lab::{Engine, Lab};
use crate::recorder::{Recorder, http};
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
    let done = compare(&["--fail-if", "worse", "--undecided", "pass"]).exits(0);
    assert!(done.out.contains("paired: "), "{}", done.out);
    assert!(done.out.contains("These two runs differ: B is worse: "), "{}", done.out);
    assert!(done.out.contains("at least three rounds in turn"), "{}", done.out);
    assert!(side.lab.path().join("x.svg").is_file());
    // A gate that cannot tell lets nothing through, unless it is told to; no gate ends with 95 only on demand.
    compare(&[]).exits(0);
    let undecided = compare(&["--fail-if", "worse"]).exits(95);
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

/// Runs a script of two runs, `a` and `b`, with an engine each; the folder.
fn two(lab: &Lab, a: &str, b: &str, plan: &str) -> String {
    let text = format!(
        "let base = #{{ traffic: \"same\", seed: 7, {plan} }};\n\
         run(base + #{{ name: \"a\", target: target(\"{}\") }});\n\
         run(base + #{{ name: \"b\", target: target(\"{}\") }});\n",
        a, b
    );
    lab.file("two.rhai", &text);
    let done = lab.run(&["run", "two.rhai", "-q"]).exits(0);
    done.out.lines().find_map(|line| line.strip_prefix("results: ")).expect("a folder").to_string()
}

#[test]
fn a_closed_loop_pairs_what_both_finished_and_gaps_with_it() {
    let lab = Lab::new();
    let (fast, slow) = (Engine::start("ttft=20ms,itl=4ms"), Engine::start("ttft=40ms,itl=8ms"));
    let plan = "workload: prompts(#{ input: 50, output: 8 }), arrivals: closed(4), duration: \"4s\", \
                slo: slo(#{ ttft: \"30ms\" })";
    let folder = two(&lab, &fast.url, &slow.url, plan);
    let (a, b) = (format!("{folder}:a"), format!("{folder}:b"));
    let done = lab.run(&["compare", &a, &b, "--save", "x.svg"]).exits(0);
    assert!(done.out.contains("a closed loop: conditional on the set that both finished"), "{}", done.out);
    let row = |name: &str| done.out.lines().find(|line| line.contains(name)).unwrap_or_default().to_string();
    assert!(row("itl.mean").contains("pairs"), "{}", done.out);
    assert!(!row("output_tokens.rate").contains("pairs"), "throughput is never paired: {}", done.out);
    assert!(row("goodput.share").contains('%') && row("goodput.rate").contains("/s"), "{}", done.out);
    // Limits of the command line stand in for those of the runs.
    let loose = lab.run(&["compare", &a, &b, "--save", "y.svg", "--goodput", "ttft:1000"]).exits(0);
    let share = loose.out.lines().find(|line| line.contains("goodput.share")).unwrap_or_default().to_string();
    assert!(share.matches("100 %").count() == 2, "{}", loose.out);
}

/// Answers with `tokens` output tokens, so many in an event.
fn replying(tokens: u32, in_an_event: usize) -> Recorder {
    Recorder::answering(move |_| {
        let words: Vec<String> = (0..tokens).map(|i| format!(" w{i}")).collect();
        let text = |words: &[String]| {
            format!(r#"{{"choices":[{{"index":0,"text":"{}","finish_reason":null}}]}}"#, words.concat())
        };
        let mut events: Vec<String> = words.chunks(in_an_event).map(text).collect();
        events.push(r#"{"choices":[{"index":0,"text":"","finish_reason":"length"}]}"#.into());
        events
            .push(format!(r#"{{"choices":[],"usage":{{"prompt_tokens":16,"completion_tokens":{tokens}}}}}"#));
        events.push("[DONE]".into());
        let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        http(200, "text/event-stream", &body)
    })
}

#[test]
fn what_is_not_the_same_thing_on_both_sides_is_refused() {
    let lab = Lab::new();
    let plan = "workload: prompts(#{ input: 50, output: 20 }), arrivals: constant(40.0), duration: \"2s\"";
    let compare = |a: &Recorder, b: &Recorder, more: &[&str]| {
        let folder = two(&lab, &a.url, &b.url, plan);
        let (a, b) = (format!("{folder}:a"), format!("{folder}:b"));
        let line = [&["compare", &a, &b, "--save", "x.svg"][..], more].concat();
        lab.run(&line).exits(0)
    };
    let (one, pairs, short) = (replying(20, 1), replying(20, 2), replying(10, 1));
    let done = compare(&one, &pairs, &[]);
    assert!(done.out.contains("itl is not compared: an event of A holds 1.00 tokens"), "{}", done.out);
    assert!(!done.out.contains("itl.mean") && done.out.contains("tpot.mean"), "{}", done.out);
    assert!(done.out.contains("time to 16 tokens"), "{}", done.out);
    let chinese = compare(&one, &pairs, &["--lang", "zh"]);
    assert!(chinese.out.contains("不比较 itl") && chinese.out.contains("前 16 令牌用时"), "{}", chinese.out);
    let done = compare(&one, &short, &[]);
    assert!(done.out.contains("only A kept the lengths that replies were forced to"), "{}", done.out);
    assert!(!done.out.contains("e2el.mean") && done.out.contains("ttft.mean"), "{}", done.out);
}

#[test]
fn a_plan_names_the_time_and_the_requests_that_each_side_takes() {
    let side = Side::new();
    let (a, b) = (side.run("a", false, 7), side.run("b", true, 7));
    let alone = side.lab.run(&["compare", &a, "--plan", "--margin", "5%", "--metrics", "ttft.mean"]).exits(0);
    assert!(alone.out.contains("each side takes") && alone.out.contains("5 %"), "{}", alone.out);
    assert!(alone.out.contains("requests") || alone.out.contains("needs about"), "{}", alone.out);
    assert!(alone.out.contains("rampant compare A B --plan"), "{}", alone.out);
    let both = side.lab.run(&["compare", &a, &b, "--plan", "--lang", "zh"]).exits(0);
    assert!(both.out.contains("每侧需要") && both.out.contains("已配对"), "{}", both.out);
    side.lab.run(&["compare", "--plan"]).exits(2);
}

#[test]
fn a_script_compares_as_the_command_does() {
    let lab = Lab::new();
    let (fast, slow) = (Engine::start("ttft=20ms,itl=4ms"), Engine::start("ttft=40ms,itl=8ms"));
    let text = format!(
        r#"let base = #{{ traffic: "same", workload: prompts(#{{ input: 50, output: 6 }}), arrivals: constant(50.0), duration: "2s" }};
let fast = target("{}", #{{ name: "fast" }});
let slow = target("{}", #{{ name: "slow" }});
let a = [];
let b = [];
for round in 1..4 {{
    a.push(run(base + #{{ name: `a${{round}}`, target: fast }}));
    b.push(run(base + #{{ name: `b${{round}}`, target: slow }}));
}}
let c = compare(a, b, #{{ metrics: ["ttft.mean", "e2el.mean"] }});
print(c.table());
print(`${{c.verdict}} ${{c.about_servers}} ${{c["ttft.mean"].word}} ${{c.rows.len()}} ${{c["ttft.mean"].low > 0.1}}`);
print(c.save("compare.svg"));
let one = compare(a[0], `${{a[0].path}}:b1`, #{{ metrics: ["ttft.mean"] }});
print(`one ${{one.about_servers}} ${{one["ttft.mean"].paired}}`);
compare(b, a, #{{ metrics: ["ttft.mean"] }}).require_not_worse();
try {{ c["ttft.p50"] }} catch (e) {{ print(e.message); }}
try {{ compare(a, [], #{{}}) }} catch (e) {{ print(e.message); }}
try {{ compare(a, 5) }} catch (e) {{ print(e.message); }}
try {{ compare(a, "nowhere") }} catch (e) {{ print(e.message); }}
c.require_not_worse("ttft.mean");
"#,
        fast.url, slow.url
    );
    lab.file("compare.rhai", &text);
    let done = lab.run(&["run", "compare.rhai", "-q"]).exits(99);
    assert!(done.out.contains("The server of B is worse (by 3 rounds in turn): ttft.mean"), "{}", done.out);
    for told in [
        "worse true worse 2 true",
        "charts/compare.svg",
        "one false true",
        "compare: there is no row \"ttft.p50\"",
        "compare: the list `b` is empty",
        "compare: `b` must be a result, a sweep",
        "compare: there is no results folder \"nowhere\"",
    ] {
        assert!(done.out.contains(told), "{told}: {}", done.out);
    }
    assert!(done.err.contains("ttft.mean of B is not worse: B is worse"), "{}", done.err);
}

#[test]
fn the_best_of_a_sweep_is_a_list_and_of_a_latency_the_lowest() {
    let lab = Lab::new();
    let engine = Engine::start("prefill=9000,itl=4ms,itl_per_seq=4ms");
    let text = format!(
        r#"let t = target("{}");
let cells = sweep([["users", [1, 8]]], |p| #{{
    name: `u${{p.users}}`, target: t, workload: prompts(#{{ input: 30, output: uniform(4, 12) }}),
    arrivals: closed(p.users), duration: "10s",
}});
print(cells.best("tpot.mean"));
try {{ cells.best("input_tokens.mean") }} catch (e) {{ print(e.message); }}
print(cells.best("stall.max").len());
"#,
        engine.url
    );
    lab.file("best.rhai", &text);
    let done = lab.run(&["run", "best.rhai", "-q"]).exits(0);
    // The lowest comes first, and the other behind it only where chance may have put it there.
    assert!(done.out.contains("[run u1"), "{}", done.out);
    assert!(done.out.contains("input_tokens.mean says what the load was"), "{}", done.out);
}

#[test]
fn folders_that_hold_nothing_to_compare_are_one_sentence_each() {
    let lab = Lab::new();
    let engine = Engine::start("ttft=20ms,itl=4ms");
    let plan = "workload: prompts(#{ input: 50, output: 6 }), arrivals: constant(50.0), duration: \"2s\"";
    let folder = two(&lab, &engine.url, &engine.url, plan);
    let whole = format!("{folder}:a");
    // A server that answers nothing but errors is worse, and that is all that can be said.
    let dead = Recorder::answering(|seen| match seen.is_preflight() {
        true => crate::recorder::reply(),
        false => http(500, "application/json", "{}"),
    });
    let text = format!(
        "run(#{{ name: \"a\", traffic: \"same\", seed: 7, target: target(\"{}\"), {plan} }});\n",
        dead.url
    );
    lab.file("dead.rhai", &text);
    let ended = lab.run(&["run", "dead.rhai", "-q", "--out", "dead"]).exits(1);
    let failed = ended.out.lines().find_map(|line| line.strip_prefix("results: ")).expect("a folder");
    let done = lab.run(&["compare", &whole, failed, "--save", "x.svg"]).exits(0);
    assert!(
        done.out.contains("errors.share") && done.out.contains("B is worse: errors.share"),
        "{}",
        done.out
    );
    assert!(done.out.contains("not observed on both sides"), "{}", done.out);
    std::fs::create_dir(lab.path().join("empty")).unwrap();
    let json = r#"{"date": "20260101-000000", "model_id": "m", "num_prompts": 10, "completed": 10, "duration": 5.0, "mean_ttft_ms": 10.0, "p99_ttft_ms": 12.0, "total_input_tokens": 100, "total_output_tokens": 100, "request_throughput": 2.0}"#;
    lab.file("totals.json", json);
    let imported = lab.run(&["import", "totals.json", "--out", "imported"]).exits(0);
    let imported = format!("{}{}", imported.out, imported.err);
    let totals = std::fs::read_dir(lab.path().join("imported")).unwrap().next().unwrap().unwrap().path();
    let totals = totals.display().to_string();
    for (line, told) in [
        (["compare", "empty", &whole], "empty holds no finished run"),
        (["compare", &whole, &totals], "has no measured request"),
        (["compare", &whole, "two.rhai"], "there is no results folder"),
    ] {
        let done = lab.run(&line).exits(2);
        assert!(done.err.contains(told), "{line:?}: {}\n{imported}", done.err);
        assert_eq!(done.err.matches("error:").count(), 1, "{}", done.err);
    }
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
        (vec!["compare", sample, sample, "--save", "a.gif"], "cannot save a chart as \"a.gif\""),
    ] {
        let done = lab.run(&line).exits(2);
        assert!(done.err.contains(told), "{line:?}: {}", done.err);
    }
    let done = lab.run(&["compare", sample, sample, "--save", "a.svg"]);
    assert!(done.err.contains("is on both sides: it is compared with itself"), "{}", done.err);
}
