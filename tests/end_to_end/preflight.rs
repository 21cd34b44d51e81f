//! Before any load: what a server refuses is learnt, and one that is not up yet is waited for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::lab::{Lab, single};
use crate::recorder::{Recorder, Seen, http, reply, usual_look};

/// A refusal in OpenAI's form.
fn refusal(status: u16, message: &str) -> String {
    http(status, "application/json", &json!({ "error": { "message": message } }).to_string())
}

/// A server that takes these fields and no others, and says which it does not know.
fn strict(known: &'static [&'static str]) -> Recorder {
    Recorder::answering(move |seen| {
        let fields = seen.body.as_object().expect("an object");
        match fields.keys().find(|field| !known.contains(&field.as_str())) {
            Some(field) => refusal(400, &format!("Unrecognized request argument supplied: {field}")),
            None => reply(),
        }
    })
}

/// Says 404 to every look.
fn no_looks(_: &str) -> String {
    http(404, "application/json", r#"{"error":{"message":"no such route"}}"#)
}

fn manifest(lab: &Lab) -> Value {
    serde_json::from_slice(&std::fs::read(lab.result().join("manifest.json")).expect("a manifest"))
        .expect("JSON")
}

fn fields(seen: &Seen) -> Vec<&str> {
    seen.body.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn what_a_server_does_not_know_is_left_out_of_every_later_request() {
    let (lab, server) = (Lab::new(), strict(&["model", "prompt", "max_tokens", "stream"]));
    let done = lab.single(&server.url, &["--num-prompts", "3", "--max-concurrency", "1"]).exits(0);
    let measured = server.measured();
    assert_eq!(measured.len(), 3);
    for seen in &measured {
        assert_eq!(fields(seen), ["model", "prompt", "max_tokens", "stream"]);
    }
    for told in [
        "note: the server refuses ignore_eos, so replies may be shorter than asked",
        "note: the server refuses stream_options, so it may not count tokens",
        "note: the server refuses temperature, so it samples as it does by default",
    ] {
        assert!(done.out.contains(told) || done.err.contains(told), "{told}: {}", done.out);
    }
    let rows = done.out.lines().filter(|line| line.contains("│ note")).count();
    assert!(rows >= 3, "the table tells it: {}", done.out);
    let manifest = manifest(&lab);
    let target = manifest["targets"].as_object().expect("targets").values().next().expect("one").clone();
    let left: Vec<&str> = target["preflight"]["adaptions"]
        .as_array()
        .expect("adaptions")
        .iter()
        .filter_map(|adaption| adaption["field"].as_str())
        .collect();
    assert_eq!(left.len(), 4, "{left:?}");
    assert_eq!(target["preflight"]["exact_length"], "not asked");
}

#[test]
fn what_was_learnt_holds_for_sweeps_and_single_requests() {
    let (lab, server) = (Lab::new(), strict(&["model", "prompt", "max_tokens", "stream", "stream_options"]));
    let script = format!(
        "let t = target({:?}, #{{ backend: \"vllm\" }});\n\
         let s = sweep(#{{ n: [1, 2] }}, |p| #{{ target: t, workload: prompts(#{{ input: 8, output: 4 }}), \
         arrivals: closed(1), requests: p.n }});\n\
         print(request(t, #{{ prompt: \"hi\" }}).ok);\n",
        server.url
    );
    lab.file("learn.rhai", &script);
    let done = lab.run(&["run", "learn.rhai"]).exits(0);
    assert!(done.out.contains("true"), "{}", done.out);
    let measured = server.measured();
    assert_eq!(measured.len(), 4);
    for seen in measured {
        assert_eq!(fields(&seen), ["model", "prompt", "max_tokens", "stream", "stream_options"]);
    }
}

#[test]
fn a_refusal_without_a_name_gives_up_no_more_than_it_must() {
    let server = Recorder::answering(|seen| match seen.body.get("stream_options") {
        Some(_) => http(400, "text/html", "<html><h1>400 Bad Request</h1></html>"),
        None => reply(),
    });
    Lab::new().single(&server.url, &["--num-prompts", "1"]).exits(0);
    let expected = ["model", "prompt", "temperature", "max_tokens", "min_tokens", "ignore_eos", "stream"];
    assert_eq!(fields(&server.measured()[0]), expected);
}

#[test]
fn what_the_user_asked_for_is_not_taken_away() {
    let known = &["model", "prompt", "max_tokens", "stream", "stream_options", "min_tokens", "ignore_eos"];
    for (more, field, hint) in [
        (&["--extra-body", "{\"top_k\": 5}"][..], "top_k", "take \"top_k\" out of --extra-body"),
        (&["--temperature", "0.5"], "temperature", "leave out --temperature, which asks for \"temperature\""),
        (&["--top-p", "0.5"], "top_p", "leave out --top-p, which asks for \"top_p\""),
        (
            &["--extra-body", "{\"temperature\": 0.5}"],
            "temperature",
            "take \"temperature\" out of --extra-body",
        ),
    ] {
        let (lab, server) = (Lab::new(), strict(known));
        let done = lab.single(&server.url, more).exits(2);
        assert!(done.error().contains(&format!("supplied: {field}")), "{}", done.err);
        assert!(done.err.contains(hint), "{}", done.err);
        assert!(server.measured().is_empty());
    }
}

#[test]
fn a_prompt_that_is_too_long_changes_no_field() {
    let server = Recorder::answering(|_| {
        let words = "This model's maximum context length is 8 tokens. However, you requested 20 tokens \
                     (16 in the messages, 4 in max_tokens with min_tokens and ignore_eos)";
        refusal(400, words)
    });
    let done = Lab::new().single(&server.url, &[]).exits(2);
    assert_eq!(server.all().len(), 1, "{}", done.err);
    assert!(done.err.contains("limit of the context"), "{}", done.err);
}

#[test]
fn a_gateway_whose_back_end_starts_is_waited_for() {
    for status in [502, 503, 504, 429] {
        let asked = AtomicUsize::new(0);
        let server = Recorder::answering(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
            0..2 => refusal(status, "no healthy upstream"),
            _ => reply(),
        });
        let done = Lab::new().single(&server.url, &["--num-prompts", "1"]).exits(0);
        assert_eq!((server.all().len(), server.measured().len()), (4, 1), "{status}: {}", done.err);
        assert_eq!(server.looks("/v1/models"), 1, "the list of models is asked for once");
    }
}

#[test]
fn the_last_refusal_is_told_of_a_server_that_never_was_ready() {
    let asked = AtomicUsize::new(0);
    let server = Recorder::answering(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => refusal(502, "bad gateway"),
        n => refusal(503, &format!("still loading, {n}")),
    });
    let lab = Lab::new();
    let done = lab.single(&server.url, &["--ready-timeout", "1s"]).exits(97);
    let last = server.all().len() - 1;
    assert!(last > 1, "it was asked again");
    assert!(done.error().contains("was not ready after 1 s: the first request to "), "{}", done.err);
    assert!(done.error().contains(&format!("status 503: still loading, {last}")), "{}", done.err);
    assert!(lab.results().is_empty());
    let impatient = lab.single(&server.url, &["--ready-timeout", "0"]).exits(97);
    assert!(impatient.error().contains("still loading"), "{}", impatient.err);
}

#[test]
fn a_server_says_when_to_come_back() {
    let asked = AtomicUsize::new(0);
    let begun = Instant::now();
    let server = Recorder::answering(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => refusal(429, "slow down").replacen("\r\n", "\r\nRetry-After: 1\r\n", 1),
        _ => reply(),
    });
    Lab::new().single(&server.url, &["--num-prompts", "1"]).exits(0);
    assert!(begun.elapsed() >= Duration::from_secs(1), "it waits as long as it was told to");
    let never =
        Recorder::answering(|_| refusal(429, "enough").replacen("\r\n", "\r\nRetry-After: 3600\r\n", 1));
    let done = Lab::new().single(&never.url, &[]).exits(97);
    assert_eq!(never.all().len(), 1);
    assert!(done.error().contains("it asks to come back in 3600 s"), "{}", done.err);
}

#[test]
fn with_the_model_named_the_request_itself_shows_that_a_server_is_there() {
    let server = Recorder::listening("127.0.0.1:0", no_looks, |_| reply());
    let named = ["--model", "glm", "--num-prompts", "1"];
    Lab::new().single(&server.url, &named).exits(0);
    let done = Lab::new().single(&server.url, &["--ready-timeout", "300ms"]).exits(2);
    assert!(done.error().contains("/health says 404"), "{}", done.err);
    let silent = Recorder::listening("127.0.0.1:0", no_looks, |_| reply());
    Lab::new()
        .single(&silent.url, &["--model", "glm", "--num-prompts", "1", "--ready-timeout", "0"])
        .exits(0);
    let asked: Vec<String> = silent.looked().into_iter().filter(|path| path != "/metrics").collect();
    assert_eq!(asked, Vec::<String>::new(), "without patience nobody is asked");
}

#[test]
fn addresses_of_version_6_work_with_and_without_brackets() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let server = Recorder::listening("[::1]:0", usual_look, |_| reply());
    let port = server.url.rsplit(':').next().expect("a port").to_string();
    for host in ["::1", "[::1]"] {
        let line =
            ["single", "--host", host, "--port", &port, "--num-prompts", "1", "--random-input-len", "8"];
        Lab::new().run(&line).exits(0);
    }
    for url in [format!("http://::1:{port}"), format!("http://[::1]:{port}/v1")] {
        Lab::new().single(&url, &["--num-prompts", "1"]).exits(0);
    }
    assert_eq!(server.measured().len(), 4);
}

#[test]
fn the_first_request_is_bounded_and_understands_several_replies() {
    // A server that goes on for ever, and takes no notice of the limit.
    let endless = Recorder::answering(|seen| {
        let event =
            r#"data: {"choices":[{"index":0,"text":" a","delta":{"content":" a"},"finish_reason":null}]}"#;
        let n = if seen.is_preflight() { 5_000 } else { 1 };
        let body: String = std::iter::repeat_n(format!("{event}\n\n"), n).collect();
        http(
            200,
            "text/event-stream",
            &(body
                + "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"),
        )
    });
    let done = Lab::new().single(&endless.url, &["--num-prompts", "1"]).exits(0);
    assert!(done.err.is_empty() || !done.err.contains("error:"), "{}", done.err);
    // Two replies of four tokens are no reply of eight.
    let two = Recorder::answering(|seen| {
        let limit = seen.body["max_completion_tokens"].as_u64().expect("a limit");
        let each = |index: u64, finish: Value| json!({"choices": [{"index": index, "delta": {"content": " a"}, "finish_reason": finish}]});
        let mut events: Vec<Value> =
            (0..limit).flat_map(|_| [each(0, Value::Null), each(1, Value::Null)]).collect();
        events.extend([each(0, "length".into()), each(1, "length".into())]);
        events.push(json!({"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 2 * limit}}));
        let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        http(200, "text/event-stream", &(body + "data: [DONE]\n\n"))
    });
    let more = ["--backend", "openai-chat", "--num-prompts", "1", "--extra-body", "{\"n\": 2}"];
    let done = Lab::new().single(&two.url, &more).exits(0);
    assert_eq!(two.measured()[0].body["max_completion_tokens"], 8, "{}", done.out);
    assert!(!done.out.contains("does not keep to the asked reply length"), "{}", done.out);
}

#[test]
fn the_first_token_limit_bounds_the_first_request_too() {
    let begun = Instant::now();
    let mute = Recorder::answering(|_| {
        std::thread::sleep(Duration::from_secs(100));
        String::new()
    });
    for (stream, flag) in [
        (&[][..], "--first-token-timeout"),
        (&["--no-stream"], "--first-token-timeout"),
        (&[], "--timeout"),
        (&[], "--ready-timeout"),
    ] {
        let more = [stream, &[flag, "500ms"]].concat();
        let done = Lab::new().single(&mute.url, &more).exits(97);
        let told = format!("/v1/completions failed: no reply within 0.5 s ({flag})");
        assert!(done.error().ends_with(&told), "{flag}: {}", done.err);
        assert!(done.err.contains(&format!("or give it longer: {flag} 1s")), "{flag}: {}", done.err);
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_first_reply_that_takes_long_is_told_while_it_does() {
    let slow = Recorder::answering(|seen| {
        if seen.is_preflight() {
            std::thread::sleep(Duration::from_millis(3_000));
        }
        reply()
    });
    let done = Lab::new().single(&slow.url, &["--num-prompts", "1"]).exits(0);
    let told = format!(
        "waiting for the first reply of {}/v1/completions, up to 60 s (--ready-timeout) (Ctrl-C ends the wait)",
        slow.url
    );
    assert_eq!(done.err.matches(&told).count(), 1, "{}", done.err);
    let quick = Recorder::start();
    let done = Lab::new().single(&quick.url, &["--num-prompts", "1"]).exits(0);
    assert!(!done.err.contains("waiting for"), "{}", done.err);
}

/// The measured requests and those before any load, by a field of the body.
fn by_field(server: &Recorder, field: &str) -> (Vec<Value>, Vec<Value>) {
    let all = server.all();
    let of = |ahead: bool| {
        all.iter().filter(|seen| seen.is_preflight() == ahead).map(|seen| seen.body[field].clone()).collect()
    };
    (of(true), of(false))
}

#[test]
fn each_set_of_fields_is_tried_once_before_its_load() {
    let server = Recorder::answering(|seen| match seen.body["logprobs"].as_i64() {
        Some(_) => refusal(400, "logprobs is not supported"),
        None => reply(),
    });
    let lab = Lab::new();
    let script = |on_error: &str| {
        format!(
            "let t = target({:?});\n\
             let s = sweep([[\"fields\", [#{{}}, #{{ top_p: 0.5 }}, #{{ top_p: 0.5 }}, #{{ logprobs: 3 }}, #{{ top_p: 0.9 }}]]], |p| #{{ target: t, \
             workload: prompts(#{{ input: 8, output: 4, sampling: p.fields }}), arrivals: closed(1), requests: 3 }}, #{{ on_error: \"{on_error}\" }});\n",
            server.url
        )
    };
    lab.file("fields.rhai", &script("continue"));
    let done = lab.run(&["run", "fields.rhai"]).exits(1);
    let (ahead, measured) = by_field(&server, "top_p");
    let half = json!(0.5);
    assert_eq!(ahead, [Value::Null, half.clone(), Value::Null, json!(0.9)], "{}", done.err);
    assert_eq!(measured.len(), 12, "no load with fields that are refused: {}", done.err);
    let lab = Lab::new();
    lab.file("fields.rhai", &script("stop"));
    let done = lab.run(&["run", "fields.rhai"]).exits(1);
    assert!(done.error().contains("logprobs is not supported"), "{}", done.err);
    assert!(done.err.contains("leave out `logprobs` of the workload's sampling"), "{}", done.err);
}

#[test]
fn the_parts_of_a_mix_are_all_tried_before_its_load() {
    let server = Recorder::answering(|seen| match seen.body.get("top_k") {
        Some(_) => refusal(400, "Unrecognized request argument supplied: top_k"),
        None => reply(),
    });
    let lab = Lab::new();
    let script = format!(
        "let a = prompts(#{{ class: \"a\", input: 8, output: 4 }});\n\
         let b = prompts(#{{ class: \"b\", input: 8, output: 4, sampling: #{{ top_k: 5 }} }});\n\
         run(#{{ target: target({:?}), workload: mix([[1, a], [1, b]]), arrivals: closed(1), requests: 4 }});\n",
        server.url
    );
    lab.file("mix.rhai", &script);
    let done = lab.run(&["run", "mix.rhai"]).exits(2);
    assert!(server.measured().is_empty() && done.err.contains("top_k"), "{}", done.err);
}

#[test]
fn several_replies_to_one_request_are_as_long_as_was_asked() {
    let two = Recorder::answering(|seen| {
        let limit = seen.body["max_tokens"].as_u64().expect("a limit");
        let choice = |index: u64| json!({"index": index, "text": "a ".repeat(limit as usize), "finish_reason": "length"});
        let usage = json!({"prompt_tokens": 16, "completion_tokens": 2 * limit});
        let body = json!({"choices": [choice(0), choice(1)], "usage": usage});
        http(200, "application/json", &body.to_string())
    });
    let lab = Lab::new();
    let done = lab.single(&two.url, &["--num-prompts", "4", "--extra-body", "{\"n\": 2}"]).exits(0);
    assert!(!done.said().contains("ends them early"), "{}", done.said());
    assert!(done.out.contains("4 of 4"), "each had the asked length: {}", done.out);
    let short = Lab::new().single(&two.url, &["--num-prompts", "4", "--extra-body", "{\"n\": 3}"]).exits(0);
    assert!(short.said().contains("ends them early"), "a reply is missing: {}", short.said());
}

#[test]
fn a_script_is_told_the_option_of_its_target() {
    let mute = Recorder::answering(|_| {
        std::thread::sleep(Duration::from_secs(100));
        String::new()
    });
    let lab = Lab::new();
    let script = format!(
        "let t = target({:?}, #{{ first_token_timeout: 0.5 }});\n\
         run(#{{ target: t, workload: prompts(#{{ input: 8, output: 4 }}), arrivals: closed(1), requests: 1 }});\n",
        mute.url
    );
    lab.file("mute.rhai", &script);
    let done = lab.run(&["run", "mute.rhai"]).exits(97);
    assert!(done.err.contains("no reply within 0.5 s (`first_token_timeout` of target())"), "{}", done.err);
    assert!(done.err.contains("first_token_timeout: \"1s\" in target()"), "{}", done.err);
}

/// What becomes of a first reply: its exit code, streamed and in one piece.
#[test]
fn a_bad_first_reply_ends_the_same_whether_it_was_streamed_or_not() {
    let stream = |events: &[&str]| {
        let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        http(200, "text/event-stream", &body)
    };
    let choice = |finish: &str| {
        format!(
            r#"{{"choices":[{{"index":0,"text":" a","message":{{"content":" a"}},"finish_reason":"{finish}"}}]}}"#
        )
    };
    let json = |body: &str| http(200, "application/json", body);
    let page = "<html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>";
    let table: Vec<(&str, String, i32)> = vec![
        ("a finish reason that is bad, streamed", stream(&[&choice("failed"), "[DONE]"]), 97),
        ("a finish reason that is bad", json(&choice("failed")), 97),
        ("a filter, streamed", stream(&[&choice("content_filter"), "[DONE]"]), 97),
        ("a filter", json(&choice("content_filter")), 97),
        ("an error, streamed", stream(&[r#"{"error":{"message":"CUDA out of memory"}}"#]), 97),
        ("an error", json(r#"{"error":{"message":"CUDA out of memory"}}"#), 97),
        ("no JSON, streamed", stream(&["hello"]), 97),
        ("no JSON", json("hello"), 97),
        ("half of it", json("{\"choices\":["), 97),
        ("nothing, streamed", stream(&[]), 97),
        ("nothing", json(""), 97),
        ("a page", http(200, "text/html", page), 97),
        ("no choices", json("{}"), 97),
        ("a page that is not there", http(404, "text/html", page), 2),
        ("an unknown field of the user's", refusal(400, "top_k is not supported"), 2),
        ("a failure of its own", refusal(500, "CUDA out of memory"), 97),
    ];
    for (what, reply, code) in table {
        let server = Recorder::answering(move |_| reply.clone());
        for more in
            [&["--extra-body", "{\"top_k\": 1}"][..], &["--extra-body", "{\"top_k\": 1}", "--no-stream"]]
        {
            let done = Lab::new().single(&server.url, &[&["--backend", "openai-chat"], more].concat());
            assert_eq!(done.code, Some(code), "{what} {more:?}: {}", done.err);
            assert!(done.err.contains("  try: "), "{what}: {}", done.err);
        }
    }
}

#[test]
fn a_path_that_is_not_there_ends_soon_and_names_what_was_asked() {
    let begun = Instant::now();
    let server = Recorder::listening("127.0.0.1:0", no_looks, |_| reply());
    for (path, asked, hint) in [
        ("", "/v1/models says 404", "requests would go to"),
        ("/v1/v1", "/v1/v1/models says 404", "its /v1 is there twice"),
        ("/v2", "/v2/v1/models says 404", "/v2/v1/completions"),
    ] {
        let base = format!("{}{path}", server.url);
        let done = Lab::new().single(&base, &[]).exits(2);
        assert!(done.error().contains(&format!("{}{asked}", server.url)), "{}", done.err);
        assert!(
            done.err.contains("name the model (--model NAME), or check the path of the base URL"),
            "{}",
            done.err
        );
        assert!(done.err.contains(hint), "{}", done.err);
    }
    assert!(begun.elapsed() < Duration::from_secs(50), "the patience is 60 s each");
}

#[test]
fn interrupted_while_it_waits_it_ends_at_once() {
    let busy =
        Recorder::answering(|_| refusal(503, "starting").replacen("\r\n", "\r\nRetry-After: 50\r\n", 1));
    let mute = Recorder::answering(|_| {
        std::thread::sleep(Duration::from_secs(100));
        String::new()
    });
    for server in [&busy, &mute] {
        let (lab, begun) = (Lab::new(), Instant::now());
        let running = lab.start(&single(&server.url, &[]));
        while server.all().is_empty() && begun.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
        }
        running.signal(libc::SIGINT);
        let done = running.finish();
        done.exits(130);
        assert!(begun.elapsed() < Duration::from_secs(40), "it did not wait to the end");
    }
}

#[test]
fn failures_are_told_by_status_and_most_of_them_end_with_1() {
    let asked = AtomicUsize::new(0);
    let server =
        Recorder::answering(move |seen| match (seen.is_preflight(), asked.fetch_add(1, Ordering::Relaxed)) {
            (true, _) => reply(),
            (_, n) if n % 5 < 3 => refusal(429, "Rate limit reached"),
            (_, n) if n % 5 == 3 => http(503, "text/plain", ""),
            _ => reply(),
        });
    let lab = Lab::new();
    let done = lab.single(&server.url, &["--num-prompts", "20", "--max-concurrency", "1"]).exits(1);
    assert_eq!(server.measured().len(), 20, "failures do not stop a run by themselves");
    assert!(
        done.out.contains("http_429") && done.out.contains("12, such as: Rate limit reached"),
        "{}",
        done.out
    );
    assert!(
        done.err.contains("16 of 20 requests failed: 12 x http_429 (Rate limit reached), 4 x http_503"),
        "{}",
        done.err
    );
    assert_eq!(manifest(&lab)["runs"][0]["failures"], "12 x http_429 (Rate limit reached), 4 x http_503");
    let few =
        lab.single(&server.url, &["--num-prompts", "100", "--max-concurrency", "1", "--max-errors", "5"]);
    assert!(few.exits(1).err.contains("more than 5"), "max_errors has a flag");
}

#[test]
fn no_hint_advises_what_was_given() {
    let locked = Recorder::answering(|_| refusal(401, "bad key"));
    let lab = Lab::new().with_env("OPENAI_API_KEY", "sk-0123456789");
    let done = lab.single(&locked.url, &[]).exits(2);
    assert!(
        done.err.contains("the API key (of OPENAI_API_KEY, or of --api-key-env) is refused"),
        "{}",
        done.err
    );
    let done = Lab::new().single(&locked.url, &[]).exits(2);
    assert!(done.err.contains("give the API key in OPENAI_API_KEY"), "{}", done.err);
}

#[test]
fn a_gateway_that_calls_everything_500_is_waited_for_when_it_says_that_nobody_is_behind_it() {
    let asked = AtomicUsize::new(0);
    let server = Recorder::answering(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => refusal(500, "litellm.InternalServerError: OpenAIException - Connection error."),
        _ => reply(),
    });
    Lab::new().single(&server.url, &["--num-prompts", "1"]).exits(0);
    let broken = Recorder::answering(|_| refusal(500, "out of memory"));
    let done = Lab::new().single(&broken.url, &[]).exits(97);
    assert_eq!(broken.all().len(), 1, "{}", done.err);
}
