//! Functions of a script that are called while a run goes on: what goes over the wire, and how they fail.

use crate::lab::{Lab, manifest};
use crate::recorder::{Recorder, http};
use rampant::store::reader;

/// A chat server that says a number of words and counts them.
fn talker(words: usize) -> Recorder {
    Recorder::answering(move |_| {
        let text = vec!["yes"; words].join(" ");
        let events = [
            format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#),
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#.into(),
            format!(r#"{{"choices":[],"usage":{{"prompt_tokens":16,"completion_tokens":{words}}}}}"#),
            "[DONE]".into(),
        ];
        let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        http(200, "text/event-stream", &body)
    })
}

/// A run of two conversations, one after the other, whose `next_turn` is this.
fn script(url: &str, next_turn: &str) -> String {
    format!(
        "let t = target(\"{url}\", #{{ backend: \"openai-chat\" }});\n\
         let c = chat(#{{ turns: 4, user: 5, reply: 9, next_turn: {next_turn} }});\n\
         run(#{{ target: t, workload: c, arrivals: closed(1), sessions: 2 }});\n"
    )
}

#[test]
fn the_next_question_is_what_the_script_makes_of_the_reply() {
    for (words, wanted) in [(2, "more than 2?"), (7, "shorter")] {
        let (lab, server) = (Lab::new(), talker(words));
        let next = "|turn| { if turn.output_tokens > 5 { return #{ user: \"shorter\", max_tokens: 3 }; } \
                    `more than ${turn.output_tokens}?` }";
        lab.file("a.rhai", &script(&server.url, next));
        lab.run(&["run", "a.rhai", "--undecided", "pass"]).exits(0);
        let seen = server.measured();
        assert_eq!(seen.len(), 8);
        let said = vec!["yes"; words].join(" ");
        for (at, request) in seen.iter().enumerate() {
            let messages = request.body["messages"].as_array().expect("messages");
            assert_eq!(messages.len(), 1 + 2 * (at % 4));
            for pair in messages[1..].chunks(2) {
                assert_eq!(
                    (&pair[0]["content"], &pair[1]["content"]),
                    (&said.clone().into(), &wanted.into())
                );
            }
        }
        let hooks = &manifest(&lab.result())["runs"][0]["hooks"][0];
        assert_eq!(
            (&hooks["hook"], &hooks["at"], &hooks["calls"]),
            (&"next_turn".into(), &"a.rhai:2:64".into(), &6.into())
        );
    }
}

#[test]
fn a_mistake_that_comes_up_in_a_run_ends_it_with_its_place_and_keeps_the_rows() {
    let (lab, server) = (Lab::new(), talker(2));
    let next = "|turn| {\n    if turn.index == 3 { turn.text.frobnicate() } \"and?\"\n}";
    lab.file("a.rhai", &script(&server.url, next).replace("frobnicate", "parse_float"));
    let done = lab.run(&["run", "a.rhai"]).exits(1);
    assert!(
        done.said().contains("cannot make turn 3 of session 0") && done.said().contains("--> a.rhai:3:36"),
        "{}",
        done.said()
    );
    let mut rows = 0;
    reader::requests(&lab.result(), None, |_, _| rows += 1).expect("rows");
    assert_eq!(rows, 3);
}

#[test]
fn a_mistake_that_always_comes_up_is_told_before_anything_is_sent() {
    let (lab, server) = (Lab::new(), talker(2));
    lab.file("a.rhai", &script(&server.url, "|turn| { sleep(1); \"and?\" }"));
    let said = lab.run(&["run", "a.rhai"]).exits(2).said();
    assert!(
        said.contains("`sleep` cannot be called in `next_turn`") && said.contains("--> a.rhai:2:"),
        "{said}"
    );
    assert!(server.all().is_empty() && lab.results().is_empty());
}

/// A run of prompts with hooks, against a server.
fn hooked(url: &str, before: &str, more: &str, after: &str) -> String {
    format!(
        "let t = target(\"{url}\", #{{ headers: #{{ \"x-who\": \"all\" }} }});\n{before}\n\
         let r = run(#{{ target: t, workload: prompts(#{{ input: 5, output: 4 }}), {more} }});\n{after}\n"
    )
}

#[test]
fn a_request_is_sent_as_before_request_leaves_it() {
    let bodies = |preparing: &str| {
        let (lab, server) = (Lab::new(), Recorder::start());
        let hook = format!(
            "arrivals: poisson(200), requests: 30, seed: 7, before_request: |req| {{ {preparing}\n\
             req.header(\"X-Who\", `user-${{req.index % 3}}`);\n\
             req.field(\"temperature\", 0.25);\n\
             req.max_tokens = req.rng.int(1, 500);\n\
             if req.index == 4 {{ req.prompt = \"four\"; }}\n\
             if req.at > 0.05 {{ req.class = \"late\"; }} }}"
        );
        lab.file("a.rhai", &hooked(&server.url, "", &hook, "print(r.by(\"class\").keys());"));
        let said = lab.run(&["run", "a.rhai", "--same-bytes"]).exits(0).said();
        assert!(said.contains("\"late\""), "{said}");
        let mut seen = server.measured();
        let number = |head: &str| {
            let id = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).expect("an id");
            id.rsplit('-').next().and_then(|seq| seq.trim().parse::<usize>().ok()).expect("a number")
        };
        seen.sort_by_key(|seen| number(&seen.head));
        for (at, seen) in seen.iter().enumerate() {
            assert_eq!(seen.body["temperature"], 0.25);
            let who: Vec<&str> = seen.head.lines().filter(|line| line.starts_with("x-who")).collect();
            assert_eq!(who, [format!("x-who: user-{}", at % 3)], "in the place of the target's");
            assert_eq!(seen.text("prompt") == "four", at == 4);
        }
        seen.into_iter().map(|seen| seen.body).collect::<Vec<_>>()
    };
    let once = bodies("");
    let drawn: std::collections::BTreeSet<i64> =
        once.iter().map(|body| body["max_tokens"].as_i64().expect("a number")).collect();
    assert!(drawn.len() > 20, "{drawn:?}");
    assert!(once == bodies("let nothing = 5;"), "the same draws in every run");
}

#[test]
fn what_a_conversation_carries_is_not_what_before_request_sends() {
    let (lab, server) = (Lab::new(), talker(2));
    let chat = "chat(#{ turns: 2, user: 5, reply: 4 })";
    let script = hooked(
        &server.url,
        "",
        "arrivals: closed(1), sessions: 1, before_request: |req| { \
         req.messages = req.messages + [#{ role: \"user\", content: `turn ${req.turn}` }]; }",
        "",
    );
    let script = script.replace("prompts(#{ input: 5, output: 4 })", chat);
    lab.file("a.rhai", &script.replace("headers:", "backend: \"openai-chat\", headers:"));
    lab.run(&["run", "a.rhai", "--undecided", "pass"]).exits(0);
    let seen = server.measured();
    let said = |at: usize| {
        let messages = seen[at].body["messages"].as_array().expect("messages").clone();
        messages
            .into_iter()
            .map(|message| message["content"].as_str().expect("text").to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!((said(0).len(), said(1).len()), (2, 4));
    assert_eq!((&*said(0)[1], &*said(1)[1], &*said(1)[3]), ("turn 0", "yes yes", "turn 1"));
}

#[test]
fn what_on_response_measures_is_a_value_of_the_run_and_a_row_of_its_own_table() {
    let (lab, server) = (Lab::new(), Recorder::start());
    let before = "let fast = metric(\"fast\", #{ kind: \"share\" });\n\
                  let words = metric(\"words\", #{ kind: \"trend\", unit: \"words\" });\n\
                  let seen = metric(\"seen\", #{ kind: \"counter\" });";
    let hook = "arrivals: closed(2), requests: 20, warmup: 4, on_response: |resp| { seen.add(); \
                fast.add(resp.index % 4 == 0); words.add(resp.text.len()); }";
    let after = "print([r[\"fast.share\"], r[\"words.mean\"], r[\"words.p50\"], r[\"seen.sum\"], r[\"seen.count\"]]);\n\
                 try { r[\"words.share\"] } catch (e) { print(e.message); }\n\
                 try { seen.add() } catch (e) { print(e.message); }";
    lab.file("a.rhai", &hooked(&server.url, before, hook, after));
    let said = lab.run(&["run", "a.rhai", "--undecided", "pass"]).exits(0).said();
    assert!(said.contains("[0.25, 4.0, 4.0, 20.0, 20]"), "{said}");
    assert!(said.contains("words is a trend and has no statistic \"share\": it has mean, min"), "{said}");
    assert!(
        said.contains("add: values are added to seen in `on_response` of a run, and nowhere else"),
        "{said}"
    );
    let table = table_rows(&lab.result().join("metrics.parquet"));
    assert_eq!(table.len(), 60);
    let of = |name: &str| table.iter().filter(|(_, own, _)| own == name).cloned().collect::<Vec<_>>();
    let seqs: Vec<i64> = of("words").iter().map(|(seq, _, _)| *seq).collect();
    assert_eq!(seqs, (4..24).collect::<Vec<_>>(), "in the order of their requests, without the warm-up");
    assert_eq!(of("fast").iter().map(|(_, _, value)| value).sum::<f64>(), 5.0);
    let runs = manifest(&lab.result());
    assert_eq!(runs["runs"][0]["hooks"][0]["calls"], 24);
}

/// (seq, name, value) of each row.
fn table_rows(path: &std::path::Path) -> Vec<(i64, String, f64)> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type};
    let file = std::fs::File::open(path).expect("it is there");
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    let mut rows = Vec::new();
    for batch in reader.build().expect("readable") {
        let batch = batch.expect("a batch");
        let column = |name: &str| batch.column_by_name(name).expect("a column");
        let (seq, value) =
            (column("seq").as_primitive::<Int64Type>(), column("value").as_primitive::<Float64Type>());
        let name = column("name").as_string::<i32>();
        rows.extend((0..batch.num_rows()).map(|i| (seq.value(i), name.value(i).to_string(), value.value(i))));
    }
    rows
}

#[test]
fn stop_when_ends_a_run_and_the_script_goes_on() {
    let (lab, server) = (Lab::new(), Recorder::start());
    let hook = "arrivals: closed(1), duration: \"60s\", stop_when: |so_far| so_far[\"requests.count\"] >= 5 && so_far.seconds > 0.5";
    lab.file("a.rhai", &hooked(&server.url, "", hook, "print(`counted ${r[\"requests.count\"] >= 5}`);"));
    let begun = std::time::Instant::now();
    let done = lab.run(&["run", "a.rhai", "--undecided", "pass"]).exits(0);
    assert!(begun.elapsed().as_secs() < 50, "it ended before its time");
    assert!(
        done.said().contains("counted true") && done.said().contains("ended by `stop_when` at a.rhai:3:")
    );
    let run = &manifest(&lab.result())["runs"][0];
    assert!(run["stopped_by"].as_str().expect("words").starts_with("stop_when: a.rhai:3:"), "{run}");
}

#[test]
fn a_hook_that_fails_while_a_run_goes_on_ends_it_with_its_place_and_keeps_the_rows() {
    for (hook, told) in [
        ("before_request: |req| { if req.index == 3 { [][1] } }", "cannot make request 3: array index 1"),
        (
            "on_response: |resp| { if resp.index == 3 { [][1] } }",
            "on_response failed for request 3: array index 1",
        ),
        (
            "stop_when: |so_far| { if so_far.seconds > 1.0 { [][1] } false }",
            "stop_when failed: array index 1",
        ),
    ] {
        let (lab, server) = (Lab::new(), Recorder::start());
        let more = format!("arrivals: constant(20), duration: \"30s\", {hook}");
        lab.file("a.rhai", &hooked(&server.url, "", &more, ""));
        let done = lab.run(&["run", "a.rhai"]).exits(1);
        assert!(
            done.said().contains(told) && done.said().contains("--> a.rhai:3:"),
            "{hook}: {}",
            done.said()
        );
        let mut rows = 0;
        reader::requests(&lab.result(), None, |_, _| rows += 1).expect("rows");
        assert!((3..200).contains(&rows), "{hook}: {rows}");
    }
}

#[test]
fn a_hook_that_cannot_work_is_told_before_anything_is_sent() {
    for (hook, told) in [
        (
            "before_request: |req| { req.headr(\"a\", \"b\") }",
            "unknown method `headr`; did you mean `header`?",
        ),
        (
            "before_request: |req| { req.header(\"content-length\", \"5\") }",
            "the header \"content-length\" is about the connection",
        ),
        ("before_request: |req| { req.max_tokens = 0; }", "max_tokens: it must be a whole number from 1 to"),
        ("before_request: |req| { run(#{}) }", "`run` cannot be called in `before_request`"),
        ("on_response: |resp| { resp.tftt }", "`tftt` is not a property of a response"),
        ("on_response: |resp| { check(\"a\", true) }", "`check` cannot be called in `on_response`"),
        ("stop_when: |so_far| 5", "stop_when: it must return true or false, got an int"),
        ("stop_when: |so_far| so_far[\"tft.p99\"] > 5", "there is no metric \"tft\""),
        ("on_respons: |resp| 5", "run: unknown option `on_respons`; did you mean `on_response`?"),
    ] {
        let (lab, server) = (Lab::new(), Recorder::start());
        lab.file(
            "a.rhai",
            &hooked(&server.url, "", &format!("arrivals: closed(1), requests: 5, {hook}"), ""),
        );
        let done = lab.run(&["run", "a.rhai"]).exits(2);
        assert!(
            done.said().contains(told) && done.said().contains("--> a.rhai:3:"),
            "{hook}: {}",
            done.said()
        );
        assert!(server.all().is_empty() && lab.results().is_empty(), "{hook}");
    }
}

/// (outcome, output events) of each measured request of a run whose users may hang up.
fn left(engine: &str, cancel: &str, more: &str) -> (Lab, Vec<rampant::record::Record>) {
    let (lab, engine) = (Lab::new(), crate::lab::Engine::start(engine));
    lab.file(
        "a.rhai",
        &format!(
            "let t = target(\"{}\");\nlet w = prompts(#{{ input: 5, output: 40, cancel: {cancel} }});\n\
             let r = run(#{{ target: t, workload: w, arrivals: closed(4), requests: 40, {more} }});\n\
             print(`errors ${{r[\"errors.count\"]}}, ttft p99 over 90 ms: ${{r[\"ttft.p99\"] >= 90.0}}, good ${{r[\"goodput.share\"]}}`);",
            engine.url
        ),
    );
    let done = lab.run(&["run", "a.rhai", "--undecided", "pass"]).exits(0);
    assert!(done.said().contains("errors 0, "), "{}", done.said());
    let records = crate::lab::records(&lab.result());
    assert_eq!(records.len(), 40);
    lab.file("said.txt", &done.said());
    (lab, records)
}

fn said(lab: &Lab) -> String {
    std::fs::read_to_string(lab.path().join("said.txt")).expect("it is there")
}

#[test]
fn users_hang_up_after_so_many_tokens_and_that_is_no_error() {
    use rampant::record::Outcome::{Success, UserCancelled};
    let (lab, records) =
        left("ttft=2ms,itl=2ms", "#{ share: 0.5, after: uniform(5, 10) }", "slo: #{ ttft: \"5s\" }");
    let outputs = |record: &rampant::record::Record| record.timeline.events.output().count();
    let gone: Vec<_> = records.iter().filter(|record| record.outcome == UserCancelled).collect();
    assert!((8..32).contains(&gone.len()), "{}", gone.len());
    assert!(gone.iter().all(|record| (5..=30).contains(&outputs(record)) && record.error.is_none()));
    assert!(records.iter().all(|record| record.outcome == UserCancelled || record.outcome == Success));
    let good = 1.0 - gone.len() as f64 / 40.0;
    assert!(said(&lab).contains(&format!("good {good}")), "who left was not served: {}", said(&lab));
}

#[test]
fn users_hang_up_after_a_time_or_without_a_first_token_and_their_wait_counts() {
    use rampant::record::Outcome::UserCancelled;
    let (lab, records) = left("ttft=400ms,itl=1ms", "#{ share: 1, after: \"first_token > 100ms\" }", "");
    for record in &records {
        let waited = record.timeline.end - record.timeline.sent.expect("it was sent");
        assert_eq!((record.outcome, record.timeline.events.output().count()), (UserCancelled, 0));
        assert!((99_000_000..350_000_000).contains(&waited), "{waited}");
    }
    assert!(said(&lab).contains("ttft p99 over 90 ms: true"), "{}", said(&lab));
    let (_, records) = left("ttft=2ms,itl=1ms", "#{ share: 1, after: \"first_token > 30s\" }", "");
    assert!(records.iter().all(|record| record.outcome.is_success()), "they have begun to read");
    let (_, records) = left("ttft=2ms,itl=50ms", "#{ share: 1, after: \"120ms\" }", "");
    assert!(records.iter().all(|record| record.outcome == UserCancelled));
    assert!(records.iter().any(|record| record.timeline.events.output().count() > 1));
}

#[test]
fn recorded_conversations_go_out_turn_by_turn_under_one_name() {
    let (lab, server) = (Lab::new(), talker(2));
    let line = |name: &str| {
        format!(
            "{{\"messages\": [{{\"role\": \"user\", \"content\": \"{name} 1\", \"x\": 1.0}}, {{\"role\": \"assistant\", \
             \"content\": \"one\"}}, {{\"role\": \"user\", \"content\": \"{name} 2\"}}, {{\"role\": \"assistant\", \
             \"content\": \"two words\"}}]}}\n"
        )
    };
    lab.file("talks.jsonl", &[line("a"), line("b")].concat());
    lab.file(
        "a.rhai",
        &format!(
            "let t = target(\"{}\", #{{ backend: \"openai-chat\" }});\n\
             let w = dataset(\"talks.jsonl\", #{{ turns: \"all\", session_id: #{{ header: \"X-Session\", field: \"prompt_cache_key\" }} }});\n\
             let r = run(#{{ target: t, workload: w, arrivals: closed(1), sessions: 2 }});\n\
             print(`turns ${{r.by(\"turn\").len()}}`);",
            server.url
        ),
    );
    let said = lab.run(&["run", "a.rhai", "--undecided", "pass"]).exits(0).said();
    assert!(said.contains("turns 2"), "{said}");
    let seen = server.measured();
    assert_eq!(seen.len(), 4);
    let sent = |at: usize, text: &str| assert!(seen[at].sent.contains(text), "{}", seen[at].sent);
    sent(0, r#""messages":[{"role": "user", "content": "a 1", "x": 1.0}]"#);
    let second = r#""messages":[{"role": "user", "content": "b 1", "x": 1.0},{"role": "assistant", "content": "one"},{"role": "user", "content": "b 2"}]"#;
    sent(3, second);
    let tokens: Vec<i64> =
        seen.iter().map(|seen| seen.body["max_completion_tokens"].as_i64().expect("a number")).collect();
    assert_eq!(tokens, [1, 2, 1, 2], "as many as were recorded");
    let names: Vec<&str> = seen.iter().map(|seen| seen.text("prompt_cache_key")).collect();
    assert!(names[0] == names[1] && names[2] == names[3] && names[0] != names[2], "{names:?}");
    for (seen, name) in seen.iter().zip(names) {
        assert!(seen.head.contains(&format!("x-session: {name}")), "{}", seen.head);
    }
}

#[test]
fn a_conversation_carries_calls_of_tools_on_and_leaves_out_what_was_thought() {
    let server = Recorder::answering(|_| {
        let delta = |delta: &str, finish: &str| {
            format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#)
        };
        let events = [
            delta(r#"{"reasoning_content":"let me think"}"#, "null"),
            delta(r#"{"content":"I look."}"#, "null"),
            delta(
                r#"{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"weather","arguments":"{"}}]}"#,
                "null",
            ),
            delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}"#, "null"),
            delta("{}", r#""tool_calls""#),
            r#"{"choices":[],"usage":{"prompt_tokens":16,"completion_tokens":9}}"#.into(),
            "[DONE]".into(),
        ];
        let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        http(200, "text/event-stream", &body)
    });
    let lab = Lab::new();
    let next = "|turn| { if turn.tool_calls.len() == 0 || turn.finish_reason != \"tool_calls\" || turn.text != \"I look.\" { return (); }\n\
                let asked = turn.tool_calls[0];\n\
                #{ messages: [#{ role: \"tool\", tool_call_id: asked.id, content: asked.function.name + \" \" + asked.function.arguments }] } }";
    // The rehearsal has no calls.
    lab.file("a.rhai", &script(&server.url, next));
    lab.run(&["run", "a.rhai", "--undecided", "pass"]).exits(0);
    let seen = server.measured();
    assert_eq!(seen.len(), 8);
    let messages = seen[1].body["messages"].as_array().expect("messages");
    let call = serde_json::json!([{ "type": "function", "function": { "name": "weather", "arguments": "{}" }, "id": "c1" }]);
    assert_eq!(
        messages[1],
        serde_json::json!({ "role": "assistant", "content": "I look.", "tool_calls": call })
    );
    assert_eq!(
        messages[2],
        serde_json::json!({ "role": "tool", "tool_call_id": "c1", "content": "weather {}" })
    );
}
