//! `r.by(label)`: parts of a run, which answer what a run answers.

use crate::lab::{Lab, files};

const RUN: &str = r#"
let t = target("builtin:ttft=20ms,itl=2ms,fail=status:503:0.2");
let short = prompts(#{ class: "short/1", input: 16, output: 4 });
let long = prompts(#{ class: "long", input: 64, output: 16 });
let r = run(#{
    target: t, name: "mixed", workload: mix([[0.5, short], [0.5, long]]), arrivals: closed(8),
    requests: 60, warmup: 20, tags: #{ gpu: "H100", cards: 8 }, max_errors: "100%",
});
fn total(parts, metric) {
    let all = 0.0;
    for part in parts.values() { all += part[metric] ?? 0.0; }
    all
}
let near = |a, b| abs(a - b) < 1e-6 * max(abs(b), 1.0);
"#;

/// Runs the script with `more` behind it.
fn run(more: &str) -> (Lab, crate::lab::Done) {
    let lab = Lab::new();
    lab.file("parts.rhai", &format!("{RUN}{more}"));
    let done = lab.run(&["run", "parts.rhai"]);
    (lab, done)
}

#[test]
fn the_parts_of_every_label_add_up_to_the_run() {
    let (_lab, done) = run(r#"
for label in ["class", "turn", "outcome", "model", "target", "gpu", "cards"] {
    let parts = r.by(label);
    check(label + " counts", total(parts, "requests.count") == 60.0);
    check(label + " rates", near.call(total(parts, "requests.rate"), r["requests.rate"]));
    check(label + " tokens", near.call(total(parts, "output_tokens.rate"), r["output_tokens.rate"]));
}
check("values of class", r.by("class").keys() == ["long", "short/1"]);
check("values of a tag", r.by("gpu").keys() == ["H100"] && r.by("cards").keys() == ["8"]);
check("the first turn", r.by("turn")["0"]["ttft.p50"] == r["ttft.p50"]);
let outcomes = r.by("outcome");
check("successes", outcomes.success["errors.share"] == 0.0 && outcomes.success["ttft.p50"] == r["ttft.p50"]);
check("failures", outcomes.len() == 2 && outcomes.values()[0].errors() == r.errors());
let phases = r.by("phase");
check("the measured phase", phases.measured["requests.count"] == 60);
check("the warm-up", phases.warmup["requests.count"] == 20 && phases.warmup["ttft.count"] > 0);
check("before the window", phases.warmup.series("requests.started", "10s")[0].value == 20.0);
"#);
    done.exits(0);
}

#[test]
fn a_part_answers_what_a_run_answers() {
    let (lab, done) = run(r#"
let part = r.by("class")["short/1"];
let again = part.by("outcome").success;
check("parts of parts", again["requests.count"] == part["ttft.count"]);
check("a name", again.name == "mixed, short/1, outcome success");
check("a table", again.summary().contains("outcome success"));
check("a requirement", part.require("ttft.p50 < 10s"));
check("the truth", part.truth().compared == part["ttft.count"]);
let started = |of| of.series("requests.started", "20s")[0].value;
let both = r.by("class");
check("a series", started.call(both["short/1"]) + started.call(both["long"]) == started.call(r));
check("charts", part.charts().len() == 6 && r.by("class")["long"].charts().len() == 6);
let all = r.charts();
let json = read(part.save_vllm(#{ filename: "{run}.json", detailed: true }));
check("as JSON", json.completed == part["ttft.count"] && json.class == "short/1" && json.gpu == "H100");
check("in detail", json.ttfts.len() == part["requests.count"]);
check("to Poisson", part.distance_to_poisson(10.0).sent > 0.0);
chart(#{ data: [part, again], kind: "cdf", x: "itl" }).save("itl.svg");
"#);
    done.exits(0);
    let names: Vec<String> = files(&lab.result().join("charts"))
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    for start in ["mixed-timeline", "mixed@long-timeline", "mixed@short_1-"] {
        assert!(names.iter().any(|name| name.starts_with(start)), "{start}: {names:?}");
    }
}

#[test]
fn a_label_that_rows_do_not_have_is_told_with_those_that_they_have() {
    let (_lab, done) = run("r.by(\"klass\");");
    let done = done.exits(1);
    let error = done.error();
    assert!(
        error.contains("by: results can be split by class, turn, phase, outcome, model, target, cards, gpu"),
        "{error}"
    );
    assert!(done.err.contains("did you mean \"class\"?"), "{}", done.err);
}

#[test]
fn only_what_the_server_said_and_the_evidence_are_of_a_whole_run() {
    for (call, told) in [
        ("evidence()", "evidence: \"mixed, long\" is a part of a run"),
        ("series(\"server.running\", \"1s\")", "series: \"mixed, long\" is a part of a run"),
    ] {
        let (_lab, done) = run(&format!("r.by(\"class\").long.{call};"));
        let done = done.exits(1);
        assert!(done.error().contains(told), "{}", done.error());
    }
    let (lab, done) = run("r.by(\"gpu\")[\"H100\"].evidence();\nr.by(\"class\").long.charts();");
    done.exits(0);
    assert!(!files(&lab.result().join("charts")).is_empty());
}
