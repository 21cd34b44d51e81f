//! `traffic`: which runs ask for the same, and in which words.

use std::path::Path;

use rampant::experiment::recalled;
use rampant::record::{Phase, Record};
use rampant::store::reader;
use serde_json::Value;

use crate::lab::{Lab, manifest};
use crate::recorder::Recorder;

/// Runs one after another, each on server `a` or `b`; prints nothing.
fn script(a: &Recorder, b: &Recorder, runs: &[(&str, &str, &str)]) -> String {
    let mut script = format!(
        "let a = target(\"{}\");\nlet b = target(\"{}\");\n\
         let work = mix([[0.7, prompts(#{{ class: \"short\", input: uniform(4, 40), output: uniform(1, 50) }})],\n\
         [0.3, prompts(#{{ class: \"long\", input: uniform(50, 90), output: 60, prefix: #{{ tokens: 9, groups: 2 }} }})]]);\n",
        a.url, b.url
    );
    for (target, name, traffic) in runs {
        script += &format!(
            "run(#{{ name: \"{name}\", traffic: {traffic}, target: {target}, workload: work, \
             arrivals: poisson(200), requests: 18, warmup: 2 }});\n"
        );
    }
    script
}

/// What the runs of a script sent: bodies by server in the order of their slots, and its folder.
struct Sent {
    lab: Lab,
    a: Vec<Value>,
    b: Vec<Value>,
}

fn sent(runs: &[(&str, &str, &str)], more: &[&str]) -> Sent {
    let (lab, a, b) = (Lab::new(), Recorder::start(), Recorder::start());
    lab.file("two.rhai", &script(&a, &b, runs));
    lab.run(&[&["run", "two.rhai"], more].concat()).exits(0);
    let bodies = |server: &Recorder| {
        let mut seen = server.measured();
        // `<nonce>-<run>-<seq>`: connections overtake each other.
        let place = |head: &str| {
            let id = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).expect("an id").trim();
            let mut parts = id.rsplit('-').map(|part| part.parse::<u64>().expect("a number"));
            let (seq, run) = (parts.next(), parts.next());
            (run, seq)
        };
        seen.sort_by_key(|seen| place(&seen.head));
        seen.into_iter().map(|seen| seen.body).collect::<Vec<_>>()
    };
    Sent { a: bodies(&a), b: bodies(&b), lab }
}

fn rows(folder: &Path, run: &str) -> Vec<Record> {
    let mut records = Vec::new();
    reader::requests(folder, Some(run), |_, record| records.push(record)).expect("rows");
    records.sort_by_key(|record| record.seq);
    records
}

/// What was asked and when, without words and without what the server did.
fn planned(folder: &Path, run: &str) -> Vec<(u64, Phase, i64, String, Option<u32>, u32)> {
    let of =
        |r: Record| (r.seq, r.phase, r.timeline.planned, r.class.to_string(), r.asked_input, r.asked_output);
    rows(folder, run).into_iter().map(of).collect()
}

fn equal(left: &[Value], right: &[Value]) -> usize {
    left.iter().zip(right).filter(|(left, right)| left == right).count()
}

fn hashes(folder: &Path) -> Vec<String> {
    let rows = recalled::rows(folder).expect("runs");
    rows.iter().map(|row| row["traffic_hash"].as_str().expect("a hash").to_string()).collect()
}

#[test]
fn two_servers_get_the_same_bytes_of_the_same_traffic() {
    let sent = sent(&[("a", "one", "\"day\""), ("b", "two", "\"day\"")], &[]);
    assert_eq!((sent.a.len(), sent.b.len(), equal(&sent.a, &sent.b)), (20, 20, 20));
    let folder = sent.lab.result();
    assert_eq!(planned(&folder, "one"), planned(&folder, "two"));
    let hashes = hashes(&folder);
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0].len(), 16);
}

#[test]
fn a_server_that_is_asked_again_gets_the_same_lengths_and_times_in_fresh_words() {
    let sent = sent(&[("a", "one", "\"day\""), ("a", "two", "\"day\""), ("b", "three", "\"day\"")], &[]);
    let (first, second) = sent.a.split_at(20);
    assert_eq!((second.len(), equal(first, second)), (20, 0));
    assert_eq!(equal(first, &sent.b), 20, "the other server was not asked before");
    let folder = sent.lab.result();
    assert_eq!(planned(&folder, "one"), planned(&folder, "two"));
    let count = |body: &Value| body["prompt"].as_str().expect("text").split_whitespace().count();
    assert!(first.iter().map(count).eq(second.iter().map(count)));
    let prefixes = |bodies: &[Value]| {
        let long = bodies.iter().filter(|body| count(body) > 50);
        let prefix = |body: &Value| {
            body["prompt"].as_str().map(|text| text.split(' ').take(9).collect::<Vec<_>>().join(" "))
        };
        long.map(|body| prefix(body).expect("text")).collect::<std::collections::BTreeSet<_>>()
    };
    assert!(prefixes(first).is_disjoint(&prefixes(second)), "shared texts are fresh, too");
    let salts: Vec<String> =
        recalled::rows(&folder).unwrap().iter().map(|row| row["salt"].to_string()).collect();
    assert!(salts[0] != salts[1] && salts[0] == salts[2], "{salts:?}");
}

#[test]
fn same_bytes_leaves_different_traffic_different() {
    let runs = [("a", "one", "\"day\""), ("a", "two", "\"day\""), ("a", "three", "\"night\"")];
    let one = sent(&runs, &["--same-bytes"]);
    assert_eq!(equal(&one.a[..20], &one.a[20..40]), 20);
    assert_eq!(equal(&one.a[..20], &one.a[40..]), 0);
    let another = sent(&runs, &["--same-bytes"]);
    assert_eq!(equal(&one.a, &another.a), 60, "in every invocation");
    let hashes = hashes(&one.lab.result());
    assert!(hashes[0] == hashes[1] && hashes[0] != hashes[2], "{hashes:?}");
}

#[test]
fn without_the_key_a_run_is_its_own_traffic() {
    let sent = sent(&[("a", "one", "()"), ("b", "two", "()")], &["--same-bytes"]);
    assert_eq!(equal(&sent.a, &sent.b), 0);
    let folder = sent.lab.result();
    assert_ne!(planned(&folder, "one"), planned(&folder, "two"));
    let rows = recalled::rows(&folder).expect("runs");
    assert_eq!((rows[0]["traffic"].as_str(), rows[1]["traffic"].as_str()), (Some("one"), Some("two")));
    let manifest = manifest(&folder);
    assert_eq!(manifest["runs"][1]["traffic"], "two");
    assert_eq!(manifest["runs"][1]["traffic_hash"], rows[1]["traffic_hash"]);
}

#[test]
fn rows_say_what_kind_of_load_they_are() {
    let load = |more: &[&str]| {
        let (lab, server) = (Lab::new(), Recorder::start());
        lab.file("recorded.jsonl", "{\"prompt\": \"hello there\"}\n");
        let done =
            lab.single(&server.url, &[&["--num-prompts", "3", "--backend", "vllm"], more].concat()).exits(0);
        let folder = lab.result();
        let mut seen = Vec::new();
        reader::requests(&folder, None, |_, record| seen.push((record.forced_length, record.synthetic_text)))
            .expect("rows");
        seen.dedup();
        let run = recalled::rows(&folder).expect("a run").remove(0);
        let shares = ["forced_length_share", "synthetic_text_share"].map(|share| run[share].as_f64());
        (seen, shares, done.out.contains("kind of load"))
    };
    assert_eq!(load(&[]), (vec![(true, true)], [Some(1.0), Some(1.0)], true));
    assert_eq!(load(&["--natural-length"]), (vec![(false, true)], [Some(0.0), Some(1.0)], true));
    let file = ["--dataset-name", "custom", "--dataset-path", "recorded.jsonl", "--natural-length"];
    assert_eq!(load(&file), (vec![(false, false)], [Some(0.0), Some(0.0)], false));
}
