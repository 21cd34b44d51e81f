//! Options that nobody should give, and the sentence that each gets: before any load is sent,
//! and without filling the memory.

use super::testing::{error, printed};

/// A part of a plan, and the first line of its error.
const PLANS: &[(&str, &str)] = &[
    (
        "arrivals: closed(1), duration: \"1000000h\"",
        "run: `duration` must be a duration such as \"250ms\", \"30s\", \"5m\", or a number of seconds, got \"1000000h\"",
    ),
    (
        "arrivals: closed(1), requests: 1, warmup: 1e300",
        "run: `warmup` must be a number of requests or a time such as \"10s\", got 1e300",
    ),
    (
        "arrivals: closed(1), requests: 1, warmup: 9223372036854775807",
        "run: `warmup` must be a number of requests or a time such as \"10s\", got 9223372036854775807",
    ),
    (
        "arrivals: closed(1), requests: 1, typo: 1",
        "run: unknown option `typo` (options: target, workload, arrivals, ",
    ),
    ("arrivals: closed(1e12), duration: 1", "cannot have 1000000000000 requests in flight: "),
    (
        "arrivals: poisson(1), max_in_flight: 1e12, duration: 1",
        "cannot have 1000000000000 requests in flight: ",
    ),
];

/// A whole line, and the first line of its error.
const LINES: &[(&str, &str)] = &[
    (
        "prompts(#{ input: 4294967295, output: 5 })",
        "prompts: `input` must be at most 10000000 tokens, got 4294967295",
    ),
    ("fixed(99999999999)", "fixed: the length must be at most 10000000 tokens, got 99999999999"),
    ("uniform(1, 10000001)", "uniform: the greatest length must be at most 10000000 tokens, got 10000001"),
    ("normal(1e300, 1)", "normal: a length must be at most 10000000 tokens, got 1000000"),
    ("prompts(#{ inptu: 8, output: 5 })", "prompts: unknown option `inptu`; did you mean `input`?"),
    (
        "prompts(#{ input: 8, output: 5, sampling: #{ a: [1, 0.0/0.0] } })",
        "prompts: `sampling` cannot send NaN (at a[1])",
    ),
    (
        "target(\"http://127.0.0.1:1\", #{ temperature: 0.0/0.0 })",
        "target: `temperature` must be a number of at least 0, got NaN",
    ),
    (
        "target(\"http://127.0.0.1:1\", #{ headers: #{ a: [] } })",
        "target: `headers` must hold text or secrets, and `a` is a list",
    ),
    (
        "target(\"http://127.0.0.1:1\", #{ extra_body: #{ f: |x| x } })",
        "target: `extra_body` cannot send a function (at f)",
    ),
    (
        "target(\"http://127.0.0.1:1\", #{ endpoint: \"http://a/b\" })",
        "target: `endpoint` must be a path such as \"/v1/completions\", got \"http://a/b\"",
    ),
    ("sweep(#{ a: [] }, |p| p)", "sweep: axis \"a\" has no values"),
    (
        "sweep(#{}, |p| p)",
        "sweep: the axes must be a map of lists, or a list such as [[\"rate\", [1, 2, 4]]]",
    ),
    ("sweep([[\"a\", [1]], [\"a\", [2]]], |p| p)", "sweep: there are two axes \"a\""),
    (
        "let l = []; l.pad(1000, 1); sweep([[\"a\", l], [\"b\", l], [\"c\", l]], |p| p)",
        "sweep: the grid has more than 100000 cells; take values or axes away",
    ),
    ("fail(\" \")", "the script failed and did not say why"),
];

#[test]
fn senseless_options_get_a_sentence_before_any_load() {
    for (part, told) in PLANS {
        let script = format!(
            "run(#{{ target: target(\"http://127.0.0.1:1\"), workload: prompts(#{{ input: 8, output: 5 }}), {part} }})"
        );
        let error = error(&script);
        assert!(error.starts_with(told), "{part}: {error}");
    }
    for (line, told) in LINES {
        let error = error(line);
        let first = error.lines().next().unwrap_or_default();
        assert!(first == *told || error.starts_with(told) && told.ends_with('0'), "{line}: {error}");
    }
}

#[test]
fn text_from_the_command_line_may_be_a_bare_number_of_seconds() {
    assert_eq!(printed("print(target(\"http://127.0.0.1:1\", #{ timeout: \"5\" }).name);"), "127.0.0.1:1\n");
    let told = error("target(\"http://127.0.0.1:1\", #{ timeout: \"0\" })");
    assert!(told.starts_with("target: `timeout` must be above 0"), "{told}");
}
