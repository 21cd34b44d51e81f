//! Prompts from files: what goes out, what is left out, and where files are found.

use crate::lab::{Engine, Lab, outcomes, records};
use crate::recorder::Recorder;
use rampant::record::Record;
use std::fs;
use std::path::{Path, PathBuf};

/// Nothing listens here: whoever asks it for something waits and fails with another code.
const NOBODY: &str = "http://127.0.0.1:9";

fn parquet(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/parquet").join(name)
}

fn succeeded(lab: &Lab) -> Vec<Record> {
    let records = records(&lab.result());
    assert_eq!(outcomes(&records), [("success", records.len())].into());
    records
}

#[test]
fn a_recorded_chat_with_tools_goes_out_byte_for_byte() {
    let messages = r#"[ {"role":"user","content":"Weather in \u004fslo?","name":"anna","x":1.50},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"12 C"},{"type":"image_url","image_url":{"url":"data:,"}}]} ]"#;
    let messages = messages.replace('\n', "");
    let tools = r#"[ {"type":"function","function":{"name":"f","parameters":{"maximum":1e2}}} ]"#;
    let body = format!(
        r#"{{"model":"theirs","messages":{messages},"tools":{tools},"max_tokens":3,"seed":12345678901234567890123,"stream":false}}"#
    );
    let recorder = Recorder::start();
    let lab = Lab::new();
    lab.file(
        "batch.jsonl",
        &format!("{{\"custom_id\":\"1\",\"url\":\"/v1/chat/completions\",\"body\":{body}}}\n"),
    );
    let run = |format: &str| {
        let script = format!(
            "let t = target(\"{}\", #{{ backend: \"openai-chat\", model: \"ours\" }});\n\
             run(#{{ target: t, workload: dataset(\"batch.jsonl\", #{{ {format} }}), arrivals: closed(1), requests: 1 }});",
            recorder.url
        );
        let path = lab.file("script.rhai", &script);
        lab.run(&["run", &path.to_string_lossy()]).exits(0);
    };
    run("format: \"openai-batch\"");
    run("");
    let seen = recorder.measured();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        for part in [
            format!("\"messages\":{messages}"),
            format!("\"tools\":{tools}"),
            "\"seed\":12345678901234567890123".into(),
        ] {
            assert!(seen.sent.contains(&part), "{part}\nis not in\n{}", seen.sent);
        }
        assert_eq!((seen.text("model"), &seen.body["stream"]), ("ours", &true.into()));
        assert_eq!((&seen.body["max_completion_tokens"], &seen.body["max_tokens"]), (&3.into(), &().into()));
    }
}

#[test]
fn bad_entries_are_left_out_and_told_or_refused() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    lab.file(
        "prompts.jsonl",
        "{\"prompt\": \"one\"}\n{\"prompt\": 5}\n\nthree\n{\"prompt\": \"four\", \"output_tokens\": 2}\n",
    );
    let data = ["--dataset-name", "custom", "--dataset-path", "prompts.jsonl"];
    let told = "skipped 2 of 4: first at line 2 column 12: expected text or a list, got a number";
    let done = lab.single(&engine.url, &[&data[..], &["--num-prompts", "4"]].concat()).exits(0);
    assert!(done.err.contains(told), "{}", done.err);
    let texts: Vec<Option<u32>> = succeeded(&lab).iter().map(|record| record.usage.output).collect();
    assert_eq!(texts, [Some(256), Some(2), Some(256), Some(2)]);
    let done = lab.single(NOBODY, &[&data[..], &["--strict-data"]].concat()).exits(2);
    assert!(done.err.contains("line 2 column 12: expected text or a list, got a number"), "{}", done.err);
}

#[test]
fn a_file_that_asks_nothing_ends_before_the_server_is_asked() {
    let lab = Lab::new();
    for (name, text, told) in [
        ("empty.jsonl", "", "it holds no prompts"),
        ("bad.jsonl", "prompt\n", "its only entry asks nothing: line 1 column 1: this is no JSON"),
        ("table.csv", "id;text\n1;a\n", "there is no column \"prompt\""),
        ("cut.parquet", "PAR1 and no more", "cannot read "),
    ] {
        let path = lab.file(name, text);
        let path = path.to_string_lossy();
        let done = lab.single(NOBODY, &["--dataset-name", "custom", "--dataset-path", &path]).exits(2);
        assert!(done.err.contains(told), "{name}: {}", done.err);
    }
    let done = lab.single(NOBODY, &["--dataset-name", "hf", "--dataset-path", "org/other"]).exits(2);
    assert!(done.err.contains("nothing is fetched from the network"), "{}", done.err);
}

#[test]
fn a_data_set_of_the_hub_is_read_from_the_local_cache() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let data = lab.path().join(".cache/huggingface/hub/datasets--org--set/snapshots/abc/data");
    fs::create_dir_all(&data).expect("made");
    for (from, to) in [
        ("question-gzip.parquet", "train-00000-of-00002.parquet"),
        ("question-gzip.parquet", "train-00001-of-00002.parquet"),
        ("conversations-zstd.parquet", "test-00000-of-00001.parquet"),
    ] {
        fs::copy(parquet(from), data.join(to)).expect("copied");
    }
    let args =
        ["--dataset-name", "hf", "--dataset-path", "org/set", "--num-prompts", "3", "--hf-output-len", "2"];
    let done = lab.single(&engine.url, &args).exits(0);
    assert!(
        format!("{}{}", done.out, done.err).contains("prompts are in the column \"Question\""),
        "{}",
        done.err
    );
    assert_eq!(succeeded(&lab).len(), 3);
    let done = lab.single(NOBODY, &[&args[..], &["--hf-split", "dev"]].concat()).exits(2);
    assert!(done.err.contains("choose one with --hf-split: test, train"), "{}", done.err);
    // Without its name on the command line a script does not reach the cache.
    let script = format!("dataset({:?}, #{{ format: \"hf\" }});", "org/set");
    fs::create_dir(lab.path().join("scripts")).expect("made");
    lab.file("scripts/mine.rhai", &script);
    let done = lab.run(&["run", "scripts/mine.rhai"]).exits(2);
    assert!(done.err.contains("not named on the command line"), "{}", done.err);
    lab.file("scripts/mine.rhai", "dataset(param(\"data\", \"\"), #{ format: \"hf\" });");
    lab.run(&["run", "scripts/mine.rhai", "-p", "data=org/set"]).exits(0);
}

#[test]
fn token_ids_go_to_completions_and_nowhere_else() {
    let recorder = Recorder::start();
    let lab = Lab::new();
    lab.file("ids.jsonl", "{\"prompt\": [1, 2,3]}\n");
    let data = ["--dataset-name", "custom", "--dataset-path", "ids.jsonl", "--num-prompts", "1"];
    lab.single(&recorder.url, &data).exits(0);
    assert!(recorder.measured()[0].sent.contains("\"prompt\":[1, 2,3]"));
    let done = lab.single(NOBODY, &[&data[..], &["--backend", "openai-chat"]].concat()).exits(2);
    assert!(done.err.contains("asks token ids, which openai-chat does not take"), "{}", done.err);
}
