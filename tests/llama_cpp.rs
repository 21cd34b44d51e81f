//! Against a real inference server: llama.cpp, when it is at hand.
//!
//! `tests/data/setup_llama_cpp.sh DIR` makes the folder that `RAMPANT_LLAMA_CPP` names. Without
//! it these tests say that they are skipped, and pass.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::mem_forget,
    reason = "a test ends where it fails, and says why"
)]

#[allow(dead_code, reason = "each program uses some of it")]
#[path = "end_to_end/lab.rs"]
mod lab;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lab::{Lab, manifest, outcomes, records, runs, until};
use rampant::record::Record;

/// One server at a time: two would only make each other slow.
static TURN: Mutex<()> = Mutex::new(());

/// llama.cpp's server with its small model, for as long as this lives.
struct Server {
    child: Child,
    // It ends with this pipe, should the test be killed.
    _stdin: Option<ChildStdin>,
    url: String,
    tokenizer: String,
    _turn: MutexGuard<'static, ()>,
}

impl Server {
    /// `None`, and a line that cannot be overlooked, when there is no server on this machine.
    fn start() -> Option<Server> {
        let Some(folder) = std::env::var_os("RAMPANT_LLAMA_CPP").map(PathBuf::from) else {
            // Straight to the stream: what a passing test prints by the macros is not shown.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: {} needs a llama.cpp server: run tests/data/setup_llama_cpp.sh DIR and set \
                 RAMPANT_LLAMA_CPP=DIR",
                std::thread::current().name().unwrap_or("this test")
            );
            return None;
        };
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = Command::new(folder.join("venv/bin/python"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/llama_cpp_server.py"))
            .arg(folder.join("models/SmolLM2-135M-Instruct.Q4_1.gguf"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("RAMPANT_LLAMA_CPP names a folder made by tests/data/setup_llama_cpp.sh");
        let mut out = BufReader::new(child.stdout.take().expect("piped")).lines();
        let url = out.find_map(|line| line.ok()?.strip_prefix("listening on ").map(String::from));
        let stdin = child.stdin.take();
        let tokenizer = folder.join("models/tokenizer.json").display().to_string();
        let url = url.expect("tests/data/llama_cpp_server.py says where it listens");
        Some(Server { child, _stdin: stdin, url, tokenizer, _turn: turn })
    }

    /// Output tokens that it has made since it began.
    fn tokens_made(&self) -> u64 {
        let metrics = lab::get(&self.url, "/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix("llamacpp:tokens_predicted_total "));
        line.and_then(|count| count.parse().ok()).expect("the counter of output tokens")
    }

    /// The arguments of a `single` with its real tokenizer.
    fn single<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let own = ["single", "--base-url", &self.url, "--tokenizer", &self.tokenizer];
        own.into_iter().chain(more.iter().copied()).collect()
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn preflight(lab: &Lab, what: &str) -> u64 {
    let manifest = manifest(&lab.result());
    let target = manifest["targets"].as_object().and_then(|all| all.values().next()).expect("one target");
    target["preflight"][what].as_u64().unwrap_or_else(|| panic!("no {what} in {target}"))
}

#[test]
fn the_tokens_that_are_reported_are_those_that_the_server_made() {
    let Some(server) = Server::start() else { return };
    for backend in ["vllm", "openai-chat"] {
        let lab = Lab::new();
        let before = server.tokens_made();
        let more = "--num-prompts 40 --max-concurrency 4 --random-input-len 32 --random-output-len 8";
        let more: Vec<&str> = more.split(' ').chain(["--backend", backend]).collect();
        let done = lab.run(&server.single(&more)).exits(0);
        let records = records(&lab.result());
        assert_eq!(outcomes(&records), [("success", 40)].into(), "{backend}: {}", done.out);
        let of = |record: &Record| u64::from(record.usage.output.expect("usage"));
        let reported: u64 = records.iter().map(of).sum();
        assert_eq!(runs(&lab.result())[0]["total_output_tokens"], reported);
        let made = server.tokens_made() - before;
        assert_eq!(reported + preflight(&lab, "output_tokens"), made, "{backend}");
    }
}

#[test]
fn a_prompt_has_the_asked_length_by_the_servers_own_count() {
    let Some(server) = Server::start() else { return };
    for (backend, template) in [("vllm", false), ("openai-chat", true)] {
        let lab = Lab::new();
        let more = "--num-prompts 4 --max-concurrency 2 --random-input-len 256 --random-output-len 4";
        let more: Vec<&str> = more.split(' ').chain(["--backend", backend]).collect();
        lab.run(&server.single(&more)).exits(0);
        let overhead = preflight(&lab, "overhead_tokens");
        assert_eq!(overhead > 0, template, "{backend}: {overhead} tokens of template");
        for record in records(&lab.result()) {
            assert_eq!(record.asked_input, Some(256));
            assert_eq!(record.usage.input.map(u64::from), Some(256 + overhead), "{backend}");
        }
    }
}

#[test]
fn a_killed_server_leaves_classified_failures_and_a_readable_folder() {
    let Some(mut server) = Server::start() else { return };
    let lab = Lab::new();
    let more = "--num-prompts 1000 --max-concurrency 4 --random-input-len 16 --random-output-len 16 --reconnect-for 1s";
    let running = lab.start(&server.single(&more.split(' ').collect::<Vec<_>>()));
    // Whole replies, and some that are under way.
    until(|| server.tokens_made() > 100);
    server.kill();
    let done = running.finish().exits(1);
    assert!(done.error().contains("ended early: no connection for 1 s ("), "{}", done.err);

    let records = records(&lab.result());
    let counts = outcomes(&records);
    // Each of the four places waits for the server in one request.
    assert!(counts["success"] >= 4 && (1..=4).contains(&counts["connect"]), "{counts:?}");
    let known = ["success", "connect", "truncated", "disconnected"];
    assert!(counts.keys().all(|name| known.contains(name)), "{counts:?}");
    let run = &runs(&lab.result())[0];
    assert_eq!(run["failed"].as_u64(), Some((records.len() - counts["success"]) as u64));
}
