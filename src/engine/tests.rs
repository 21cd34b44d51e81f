//! The whole server over real sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::{Running, parse, start_in_thread};

const FAST: &str = "ttft=1ms,itl=0.1ms";

struct Engine {
    port: u16,
    _running: Running,
}

impl Engine {
    fn new(config: &str) -> Self {
        let (port, running) = start_in_thread(parse(config).unwrap());
        Engine { port, _running: running }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        // A fault of the server must fail the test instead of hanging it.
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes on a connection of their own; everything that comes back until it ends.
    fn ask(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        read_to_end(&mut stream)
    }

    fn get(&self, path: &str) -> String {
        let reply = self.ask(format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n").as_bytes());
        reply.split_once("\r\n\r\n").unwrap().1.to_string()
    }

    fn complete(&self, more: Value) -> String {
        self.ask(&request("completions", "r", "Connection: close\r\n", more))
    }

    /// What the server says about the request `id` once it is finished.
    fn truth(&self, id: &str) -> Value {
        loop {
            let truth: Value = serde_json::from_str(&self.get("/truth")).unwrap();
            if let Some(entry) = truth.get(id) {
                return entry.clone();
            }
        }
    }

    fn metric(&self, start: &str) -> f64 {
        let page = self.get("/metrics");
        let line = page.lines().find(|line| line.starts_with(start)).unwrap();
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }
}

fn request(path: &str, id: &str, headers: &str, more: Value) -> Vec<u8> {
    let mut body = json!({"prompt": "a b c", "messages": [{"role": "user", "content": "a b c"}]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST /v1/{path} HTTP/1.1\r\nx-request-id: {id}\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut bytes = [0; 4096];
    while !text.contains(wanted) {
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "{wanted} never came: {text}");
        text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    text
}

fn events(reply: &str) -> Vec<Value> {
    let data = reply.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn a_streamed_chat_is_written_at_its_deadlines_and_logged_as_written() {
    let engine = Engine::new("ttft=5ms,itl=2ms");
    let more = json!({"stream": true, "max_tokens": 4, "stream_options": {"include_usage": true}});
    let reply = engine.ask(&request("chat/completions", "r1", "Connection: close\r\n", more));
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.contains("x-request-id: r1\r\n"));
    assert!(reply.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"));
    let events = events(&reply);
    assert_eq!(events.len(), 6);
    assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    let finishes: Vec<&Value> =
        events[1..5].iter().map(|event| &event["choices"][0]["finish_reason"]).collect();
    assert_eq!(finishes, [&Value::Null, &Value::Null, &Value::Null, &json!("length")]);
    assert_eq!(events[5]["usage"], json!({"prompt_tokens": 3, "total_tokens": 7, "completion_tokens": 4}));

    let truth = engine.truth("r1");
    let arrival = truth["arrival_ns"].as_i64().unwrap();
    let emissions: Vec<i64> =
        truth["emissions_ns"].as_array().unwrap().iter().map(|stamp| stamp.as_i64().unwrap()).collect();
    assert_eq!(emissions.len(), 4);
    for (token, stamp) in emissions.iter().enumerate() {
        let due = arrival + 5_000_000 + token as i64 * 2_000_000;
        assert!(*stamp >= due, "token {token} left {} ns early", due - stamp);
    }
    assert!(truth["accepted_ns"].as_i64().unwrap() <= arrival);
    assert!(truth["end_ns"].as_i64().unwrap() >= emissions[3]);
    assert_eq!(truth["output_tokens"], 4);
    assert_eq!(truth["outcome"], "length");
}

#[test]
fn a_reply_that_is_not_streamed_comes_whole() {
    let engine = Engine::new(FAST);
    let reply = engine.complete(json!({"max_tokens": 3}));
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())));
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["choices"][0]["text"].as_str().unwrap().split_whitespace().count(), 3);
    assert_eq!(body["usage"]["completion_tokens"], 3);
    assert_eq!(engine.truth("r")["emissions_ns"].as_array().unwrap().len(), 1);
}

#[test]
fn pipelined_requests_are_answered_in_turn_on_one_connection() {
    let engine = Engine::new(FAST);
    let more = || json!({"stream": true, "max_tokens": 2});
    let mut bytes = request("completions", "r1", "", more());
    bytes.extend(request("completions", "r2", "", more()));
    bytes.extend(b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n");
    let reply = engine.ask(&bytes);
    let ids: Vec<Value> = events(&reply).iter().map(|event| event["id"].clone()).collect();
    assert_eq!(ids, ["cmpl-r1", "cmpl-r1", "cmpl-r2", "cmpl-r2"]);
    assert!(reply.ends_with("connection: close\r\n\r\n"));
    assert_eq!(engine.truth("r1")["accepted_ns"], engine.truth("r2")["accepted_ns"]);
}

#[test]
fn a_client_that_leaves_frees_its_slot() {
    for model in ["", ",prefill=100000"] {
        let engine = Engine::new(&format!("ttft=1ms,itl=1ms,slots=1{model}"));
        let mut leaver = engine.connect();
        let more = json!({"stream": true, "max_tokens": 1_000_000});
        leaver.write_all(&request("completions", "gone", "", more)).unwrap();
        read_until(&mut leaver, "data: ");
        assert_eq!(engine.metric("vllm:num_requests_running"), 1.0);
        drop(leaver);
        let reply = engine.complete(json!({"max_tokens": 2}));
        assert!(reply.starts_with("HTTP/1.1 200"));
        assert_eq!(engine.truth("gone")["outcome"], "abort");
        assert_eq!(engine.metric("vllm:num_requests_running"), 0.0);
        assert_eq!(engine.metric("vllm:kv_cache_usage_perc"), 0.0);
    }
}

#[test]
fn a_reader_that_does_not_read_delays_nobody_and_loses_nothing() {
    for config in ["ttft=0,itl=0", "ttft=0,burst=64"] {
        let engine = Engine::new(config);
        let mut slow = engine.connect();
        let more = json!({"stream": true, "max_tokens": 60_000});
        slow.write_all(&request("completions", "slow", "Connection: close\r\n", more)).unwrap();
        let reply = engine.complete(json!({"stream": true, "max_tokens": 100}));
        assert_eq!(events(&reply).len(), 100, "{config}");
        let reply = read_to_end(&mut slow);
        assert_eq!(events(&reply).len(), 60_000, "{config}");
        assert!(reply.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"), "{config}");
        assert_eq!(engine.truth("slow")["emissions_ns"].as_array().unwrap().len(), 60_000);
    }
}

#[test]
fn every_fault_looks_like_itself() {
    let streamed = json!({"stream": true, "max_tokens": 6});
    let play = |fail: &str, more: &Value| {
        let engine = Engine::new(&format!("{FAST},fail={fail}:1"));
        let reply = engine.complete(more.clone());
        (reply, engine.truth("r")["outcome"].as_str().unwrap().to_string())
    };
    let (reply, outcome) = play("status:503", &streamed);
    assert!(reply.starts_with("HTTP/1.1 503 Service Unavailable\r\n") && reply.contains(r#""code":503"#));
    assert_eq!(outcome, "status");

    let (reply, outcome) = play("error_event", &streamed);
    let seen = events(&reply);
    assert_eq!((seen.len(), &seen[3]["error"]["code"]), (4, &json!(500)));
    assert!(reply.ends_with("0\r\n\r\n"));
    assert_eq!(outcome, "error_event");
    assert!(play("error_event", &json!({"max_tokens": 6})).0.starts_with("HTTP/1.1 500 "));

    let (reply, outcome) = play("cut", &streamed);
    assert_eq!((events(&reply).len(), outcome.as_str()), (3, "cut"));
    assert!(!reply.contains("[DONE]") && !reply.ends_with("0\r\n\r\n"));
    let (reply, _) = play("cut", &json!({"max_tokens": 6}));
    assert!(serde_json::from_str::<Value>(reply.split_once("\r\n\r\n").unwrap().1).is_err());

    let (reply, outcome) = play("no_finish", &streamed);
    assert!(events(&reply).iter().all(|event| event["choices"][0]["finish_reason"].is_null()));
    assert!(!reply.contains("usage"));
    assert!(reply.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"));
    assert_eq!((events(&reply).len(), outcome.as_str()), (6, "no_finish"));
}

#[test]
fn a_stall_lasts_until_the_client_leaves() {
    for config in [FAST, "ttft=1ms,burst=2"] {
        let engine = Engine::new(&format!("{config},fail=stall:0.5,slots=1"));
        assert_eq!(events(&engine.complete(json!({"stream": true, "max_tokens": 6}))).len(), 6);
        let mut stalled = engine.connect();
        stalled
            .write_all(&request("completions", "s", "", json!({"stream": true, "max_tokens": 6})))
            .unwrap();
        let mut reply = read_until(&mut stalled, "data: ");
        while events(&reply).len() < 3 {
            reply.push_str(&read_until(&mut stalled, "data: "));
        }
        stalled.set_nonblocking(true).unwrap();
        assert!(stalled.read(&mut [0; 1]).is_err(), "nothing more comes");
        assert_eq!(engine.metric("vllm:num_requests_running"), 1.0);
        drop(stalled);
        assert_eq!(engine.truth("s")["outcome"], "stall");
        assert_eq!(engine.metric("vllm:num_requests_running"), 0.0);
    }
}

#[test]
fn a_server_told_to_close_does_so_without_a_word() {
    let engine = Engine::new(&format!("{FAST},close=true"));
    let reply = engine.ask(&request("completions", "r", "", json!({"stream": true, "max_tokens": 2})));
    assert!(reply.ends_with("0\r\n\r\n") && !reply.contains("connection: close"));
}

#[test]
fn an_http_1_0_client_gets_a_body_without_chunks() {
    let engine = Engine::new(FAST);
    let bytes = request("completions", "r", "", json!({"stream": true, "max_tokens": 2}));
    let bytes = String::from_utf8(bytes).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    let reply = engine.ask(bytes.as_bytes());
    assert!(!reply.contains("transfer-encoding") && reply.ends_with("data: [DONE]\n\n"));
    assert_eq!(events(&reply).len(), 2);
}

#[test]
fn a_key_is_asked_for_where_vllm_asks_for_it() {
    let engine = Engine::new(&format!("{FAST},api_key=k"));
    let status = |headers: &str| {
        let headers = format!("{headers}Connection: close\r\n");
        engine.ask(&request("completions", "r", &headers, json!({})))[9..12].to_string()
    };
    assert_eq!(status(""), "401");
    assert_eq!(status("Authorization: Bearer x\r\n"), "401");
    assert_eq!(status("Authorization: Bearer k\r\n"), "200");
    assert_eq!(engine.get("/v1/models"), r#"{"error":"Unauthorized"}"#);
    assert_eq!(engine.get("/health"), "");
}

#[test]
fn other_paths_answer_as_vllm_does() {
    let engine = Engine::new("model=m");
    let models: Value = serde_json::from_str(&engine.get("/v1/models")).unwrap();
    assert_eq!((&models["object"], &models["data"][0]["id"]), (&json!("list"), &json!("m")));
    assert!(engine.get("/version").starts_with(r#"{"version":"rampant-"#));
    assert_eq!(engine.get("/nope"), r#"{"detail":"Not Found"}"#);
    assert_eq!(engine.get("/v1/completions"), r#"{"detail":"Method Not Allowed"}"#);
    assert!(engine.complete(json!({"model": "x"})).starts_with("HTTP/1.1 404 Not Found\r\n"));
    assert!(engine.complete(json!({"max_tokens": 0})).starts_with("HTTP/1.1 400 Bad Request\r\n"));
    assert!(engine.ask(b"nonsense\r\n\r\n").starts_with("HTTP/1.1 400 Bad Request\r\n"));
    assert_eq!(engine.get("/truth"), "{}", "nothing was generated");
}

#[test]
fn the_page_of_metrics_counts_what_was_served_and_reset_forgets_the_truth() {
    let engine = Engine::new(FAST);
    engine.complete(json!({"stream": true, "max_tokens": 5}));
    assert_eq!(engine.metric("vllm:prompt_tokens_total"), 3.0);
    assert_eq!(engine.metric("vllm:generation_tokens_total"), 5.0);
    assert_eq!(engine.metric("vllm:time_to_first_token_seconds_count"), 1.0);
    assert_eq!(engine.metric("vllm:inter_token_latency_seconds_count"), 4.0);
    assert_eq!(engine.get("/reset"), r#"{"forgotten":1}"#);
    assert_eq!(engine.get("/truth"), "{}");
}

#[test]
fn an_engine_with_one_slot_serves_one_after_the_other() {
    let engine = Engine::new("prefill=10000,itl=0.5ms,slots=1");
    let mut clients: Vec<TcpStream> = ["a", "b"]
        .map(|id| {
            let mut client = engine.connect();
            let more = json!({"stream": true, "max_tokens": 100});
            client.write_all(&request("completions", id, "Connection: close\r\n", more)).unwrap();
            client
        })
        .into();
    for client in &mut clients {
        assert_eq!(events(&read_to_end(client)).len(), 100);
    }
    let (mut first, mut second) = (engine.truth("a"), engine.truth("b"));
    if first["arrival_ns"].as_i64() > second["arrival_ns"].as_i64() {
        std::mem::swap(&mut first, &mut second);
    }
    // 3 prompt tokens at 10,000 a second, then 99 decodes of half a millisecond.
    let free = first["admitted_ns"].as_i64().unwrap() + 300_000 + 99 * 500_000;
    let arrival = second["arrival_ns"].as_i64().unwrap();
    assert_eq!(second["admitted_ns"].as_i64(), Some(free.max(arrival)));
}

#[test]
fn a_server_in_a_thread_ends_with_its_handle() {
    let engine = Engine::new(FAST);
    let mut idle = engine.connect();
    idle.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
    read_until(&mut idle, "\r\n\r\n");
    let port = engine.port;
    drop(engine);
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
