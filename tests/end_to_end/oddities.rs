//! What people met with other clients, each in the smallest form that shows it.

use crate::lab::{Engine, Lab, runs, single};
use crate::recorder::{Recorder, http, reply};
use std::time::Duration;

/// A server that lists these models, and knows them only.
fn listing(models: &'static str) -> Recorder {
    let look =
        move |path: &str| http(200, "application/json", if path == "/v1/models" { models } else { "{}" });
    Recorder::listening("127.0.0.1:0", look, move |seen| {
        match models.contains(&seen.body["model"].to_string()) {
            true => reply(),
            false => http(404, "application/json", r#"{"error":{"message":"no such adapter"}}"#),
        }
    })
}

/// A base model and two adapters, as vLLM lists them.
const WITH_ADAPTERS: &str =
    r#"{"data":[{"id":"base","parent":null},{"id":"l1","parent":"base"},{"id":"l2","parent":"base"}]}"#;

#[test]
fn adapters_stand_beside_their_model_and_need_no_name_of_it() {
    let (lab, server) = (Lab::new(), listing(WITH_ADAPTERS));
    // As the server's own flag has them, too.
    let done =
        lab.single(&server.url, &["--num-prompts", "12", "--lora-modules", "l1=/adapters/1", "l2"]).exits(0);
    assert!(!done.err.contains("does not list"), "{}", done.err);
    let mut asked: Vec<String> =
        server.measured().iter().map(|seen| seen.text("model").to_string()).collect();
    asked.sort();
    asked.dedup();
    assert_eq!(asked, ["l1", "l2"]);
    lab.single(&server.url, &["--num-prompts", "2"]).exits(0);
    assert_eq!(server.all().last().expect("a request").text("model"), "base");
}

#[test]
fn an_adapter_that_the_server_does_not_have_ends_before_any_load() {
    let (lab, server) = (Lab::new(), listing(WITH_ADAPTERS));
    let done = lab.single(&server.url, &["--num-prompts", "12", "--lora-modules", "l3"]).exits(2);
    assert!(done.error().contains("no such adapter"), "{}", done.err);
    assert_eq!(server.measured().len(), 0);
}

#[test]
fn several_models_that_are_no_adapters_want_a_choice() {
    let (lab, server) = (Lab::new(), listing(r#"{"data":[{"id":"a"},{"id":"b","parent":null}]}"#));
    let done = lab.single(&server.url, &[]).exits(2);
    assert!(done.error().contains("lists 2 models"), "{}", done.err);
}

#[test]
fn a_header_as_it_stands_on_the_wire_is_sent_and_a_broken_one_is_not_shown() {
    let (lab, server) = (Lab::new(), Recorder::start());
    let given = ["--num-prompts", "1", "--header", "Authorization: Bearer sk-abc=", "X-Team=red"];
    lab.single(&server.url, &given).exits(0);
    let head = &server.measured()[0].head;
    assert!(
        head.contains("\r\nauthorization: bearer sk-abc=\r\n") && head.contains("\r\nx-team: red\r\n"),
        "{head}"
    );
    let done = lab.single(&server.url, &["--header", "Bearer sk-abc"]).exits(2);
    assert!(done.error().contains("--header: number 1 is neither KEY=VALUE nor KEY: VALUE"), "{}", done.err);
    assert!(!done.err.contains("sk-abc"), "{}", done.err);
}

#[test]
fn a_gateway_that_holds_streams_back_is_told() {
    let words: String = (0..32)
        .map(|i| {
            format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"w{i} "}},"finish_reason":null}}]}}"#)
        })
        .chain([
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#.into(),
            r#"{"choices":[],"usage":{"prompt_tokens":16,"completion_tokens":32}}"#.into(),
        ])
        .map(|event: String| format!("data: {event}\n\n"))
        .collect();
    let server = Recorder::answering(move |_| {
        std::thread::sleep(Duration::from_millis(70));
        http(200, "text/event-stream", &words)
    });
    let lab = Lab::new();
    let args = ["--backend", "openai-chat", "--num-prompts", "3", "--random-output-len", "32"];
    let args = single(&server.url, &args);
    let done = lab.run(&args).exits(0);
    assert!(done.err.contains(" stream_held_back"), "{}", done.err);
    assert!(done.out.contains("3 of 3 streams came whole"), "{}", done.out);
    assert_eq!(runs(&lab.result())[0]["remarks"], "stream_held_back");
}

#[test]
fn prompts_of_a_file_that_are_asked_again_are_told() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    lab.file("few.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n");
    let args =
        ["--dataset-name", "custom", "--dataset-path", "few.jsonl", "--output-len", "2", "--num-prompts"];
    let of = |n: &'static str| args.into_iter().chain([n]).collect::<Vec<_>>();
    let done = lab.single(&engine.url, &of("5")).exits(0);
    assert!(
        done.err.contains("2 prompts, asked 5: each is used about 3 times; a server's prefix cache"),
        "{}",
        done.err
    );
    let done = lab.single(&engine.url, &of("2")).exits(0);
    assert!(!done.err.contains("prompts, asked"), "{}", done.err);
}

#[test]
fn prompts_of_a_file_are_asked_once_where_that_is_wanted() {
    let (lab, server) = (Lab::new(), Recorder::start());
    lab.file("few.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n");
    // vLLM's own examples ask for all there are in this way.
    let all = "--dataset-name custom --dataset-path few.jsonl --no-oversample --output-len 2 --num-prompts 99999999";
    let all: Vec<&str> = all.split(' ').collect();
    let done = lab.single(&server.url, &all).exits(0);
    assert!(!done.err.contains("different prompts"), "{}", done.err);
    let mut asked: Vec<String> =
        server.measured().iter().map(|seen| seen.text("prompt").to_string()).collect();
    asked.sort();
    assert_eq!(asked, ["a", "b"]);
}
