//! Prompts from files: what goes out, what is left out, and where files are found.

use crate::lab::{Engine, Lab, files, manifest, outcomes, records, runs};
use crate::recorder::{Recorder, http};
use rampant::record::{Clip, Record};
use serde_json::{Value, json};
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

#[test]
fn runs_are_named_after_their_data_set_and_the_lengths_that_were_asked() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let one = "{\"prompt\": \"one two\", \"output_tokens\": 3}\n";
    let turns = r#"[{"from":"human","value":"one two"},{"from":"gpt","value":"three"}]"#;
    let shared = format!("[{{\"conversations\": {turns}}}]");
    let burst = "Request tokens,Response tokens\n9,2\n";
    let poem = lab.file("poem.txt", &"the cat sat on the mat\n".repeat(400));
    let texts = [
        lab.file("prompts.jsonl", one),
        lab.file("table.csv", "prompt,output_tokens\none two,3\n"),
        lab.file("shared.json", &shared),
        lab.file("burst.csv", burst),
    ];
    let [jsonl, csv, shared, burst] = texts.each_ref().map(|path| path.to_str().expect("UTF-8"));
    let table = parquet("question-gzip.parquet");
    let table = table.to_str().expect("UTF-8");
    let poem = poem.to_str().expect("UTF-8");
    // Data set, file, more; the run's name; lengths in the CSV.
    let sets: [(&str, &str, &[&str], &str, &str); 10] = [
        ("custom", jsonl, &[], "custom_prompts", ","),
        ("custom", csv, &["--output-len", "5"], "custom_table_out5", ",5"),
        ("custom", csv, &["--custom-output-len", "4"], "custom_table_out4", ",4"),
        ("custom", csv, &["--custom-output-len", "-1"], "custom_table", ","),
        ("hf", table, &[], "hf_question-gzip", ","),
        ("sharegpt", shared, &[], "sharegpt", ","),
        ("sharegpt", shared, &["--sharegpt-output-len", "6"], "sharegpt_out6", ",6"),
        ("burstgpt", burst, &[], "burstgpt", ","),
        (
            "sonnet",
            poem,
            &["--sonnet-input-len", "60", "--sonnet-prefix-len", "20"],
            "sonnet_io60x150",
            "60,150",
        ),
        (
            "prefix_repetition",
            "",
            &["--prefix-repetition-suffix-len", "8"],
            "prefix_repetition_io264x128",
            "264,128",
        ),
    ];
    for (set, path, more, name, lengths) in sets {
        let mut args =
            vec!["--num-prompts", "1", "--dataset-name", set, "--save-result", "--tokenizer", "none"];
        args.extend(if path.is_empty() { vec![] } else { vec!["--dataset-path", path] });
        args.extend(more);
        lab.single(&engine.url, &args).exits(0);
        let folder = lab
            .results()
            .into_iter()
            .max_by_key(|path| path.metadata().and_then(|about| about.modified()).expect("there"));
        let folder = folder.expect("a folder");
        let rows = runs(&folder);
        let wanted = format!("{name}_mc10_np1");
        assert_eq!(rows[0]["run"], wanted.as_str(), "{set} {more:?}");
        let dir = folder.file_name().expect("a name").to_string_lossy().into_owned();
        lab.run(&["aggregate", "--dir", &dir]).exits(0);
        let csv = files(&folder).into_iter().find(|path| path.extension().is_some_and(|e| e == "csv"));
        let csv = fs::read_to_string(csv.expect("a CSV")).expect("readable");
        let told = format!(",{lengths},bench_{wanted}.json,");
        assert!(csv.contains(&told), "{set} {more:?}: {told} is not in\n{csv}");
        let saved = files(&folder)
            .into_iter()
            .find(|path| path.extension().is_some_and(|e| e == "json") && !path.ends_with("manifest.json"));
        let saved = fs::read_to_string(saved.expect("the result")).expect("readable");
        assert!(!saved.contains("input_len\"") && !saved.contains("output_len\""), "{saved}");
        fs::remove_dir_all(&folder).expect("removed");
    }
}

#[test]
fn a_batch_over_a_data_set_says_which_of_its_lengths_count() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    lab.file("prompts.jsonl", &"{\"prompt\": \"one two\"}\n".repeat(4));
    lab.file(
        "config.yaml",
        &format!(
            "model: rampant-sim\nbase_url: {}\ntokenizer: none\ndataset_name: custom\ndataset_path: prompts.jsonl\n\
             input_output: [[100, 4], [100, 6]]\nconcurrency_prompts: [[1, 2]]\n",
            engine.url
        ),
    );
    let done = lab.run(&["batch"]).exits(0);
    let told = "prompts of --dataset-name custom are as long as they are: the first number of a pair of input_output";
    assert_eq!(done.err.matches(told).count(), 1, "{}", done.err);
    let names: Vec<String> =
        runs(&lab.result()).iter().map(|run| run["run"].as_str().unwrap_or_default().into()).collect();
    assert_eq!(names, ["custom_prompts_out4_mc1_np2", "custom_prompts_out6_mc1_np2"]);
    for name in names {
        assert!(lab.result().join(format!("bench_{name}.json")).exists(), "{name}");
    }
}

#[test]
fn prompts_that_are_asked_again_are_told_once_and_counted() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let line = |n: usize| format!("{{\"prompt\": \"number {n}\", \"output_tokens\": 2}}\n");
    let text: String = (0..12).map(line).collect();
    lab.file("prompts.jsonl", &format!("{text}{{\"prompt\": 7}}\n"));
    let data = ["--dataset-name", "custom", "--dataset-path", "prompts.jsonl"];
    let told = "12 prompts, asked 100: each is used about 8 times; a server's prefix cache may answer";
    let done =
        lab.single(&engine.url, &[&data[..], &["--num-prompts", "96", "--warmup", "4"]].concat()).exits(0);
    assert_eq!(done.err.matches(told).count(), 1, "{}", done.err);
    let set = manifest(&lab.result())["runs"][0]["data_sets"][0].clone();
    for (key, value) in
        [("prompts", 12), ("asked", 100), ("asked_again", 88), ("skipped", 1), ("entries", 13)]
    {
        assert_eq!(set[key], value, "{key}: {set}");
    }
    assert!(set["first_skipped"].as_str().is_some_and(|first| first.starts_with("line 13 ")), "{set}");
    fs::remove_dir_all(lab.result()).expect("removed");
    let done = lab.single(&engine.url, &[&data[..], &["--num-prompts", "12"]].concat()).exits(0);
    assert!(!done.err.contains("prefix cache may answer"), "{}", done.err);
    fs::remove_dir_all(lab.result()).expect("removed");
    // By time it is known at the end.
    let done =
        lab.single(&engine.url, &[&data[..], &["--duration", "300ms", "--max-concurrency", "4"]].concat());
    assert!(done.exits(0).err.contains("12 prompts, asked "));
}

#[test]
fn a_folder_of_sound_is_transcribed_and_its_speed_told_everywhere() {
    let event = |event: Value| format!("data: {event}\n\n");
    let body = [
        event(json!({"type": "transcript.text.delta", "delta": "the cat"})),
        event(json!({"type": "transcript.text.delta", "delta": " sat"})),
        event(json!({"type": "transcript.text.done", "text": "the cat sat",
            "usage": {"type": "tokens", "input_tokens": 10, "output_tokens": 3, "total_tokens": 13}})),
    ];
    let body = body.concat();
    let recorder = Recorder::answering(move |_| http(200, "text/event-stream", &body));
    let lab = Lab::new();
    let sound = lab.path().join("sound");
    fs::create_dir(&sound).expect("made");
    for (name, seconds) in [("a.wav", 1), ("b.wav", 3)] {
        fs::write(sound.join(name), &Clip::silence(seconds).bytes).expect("written");
    }
    let args = ["--backend", "openai-audio", "--dataset-name", "audio", "--dataset-path", "sound"];
    let more = ["--num-prompts", "4", "--save-result", "--result-filename", "saved.json"];
    let done = lab.single(&recorder.url, &[&args[..], &more].concat()).exits(0);
    assert!(done.out.contains("8.0 s, RTFx "), "{}", done.out);
    assert!(done.err.contains("2 prompts, asked 4: each is used about 2 times"), "{}", done.err);
    for seen in recorder.measured() {
        assert_eq!(seen.path, "/v1/audio/transcriptions");
        assert!(seen.sent.contains("name=\"file\"; filename=\"") && seen.sent.contains("name=\"stream\""));
    }
    let run = runs(&lab.result()).remove(0);
    assert_eq!(run["run"], "audio_sound_mc10_np4");
    assert_eq!((run["completed"].as_u64(), run["audio_seconds_sum"].as_f64()), (Some(4), Some(8.0)));
    let text = fs::read_to_string(lab.result().join("saved.json")).expect("saved");
    let saved: Value = serde_json::from_str(&text).expect("JSON");
    let duration = saved["duration"].as_f64().expect("a duration");
    let rtfx = saved["rtfx"].as_f64().expect("an RTFx");
    assert!((rtfx * duration - 8.0).abs() < 1e-6, "{saved}");
    assert!(text.find("\"max_concurrent_requests\"") < text.find("\"rtfx\""), "as vLLM has it");
    lab.run(&["aggregate"]).exits(0);
    let csv = files(&lab.result()).into_iter().find(|path| path.extension().is_some_and(|e| e == "csv"));
    let rows =
        rampant::stats::csv::parse_csv(&fs::read(csv.expect("a CSV")).expect("readable")).expect("a table");
    assert!(rows[0]["rtfx"].as_f64().is_some_and(|rtfx| rtfx > 0.0), "{:?}", rows[0]);
    let done = lab.run(&["visualize", "--output", "drawn"]).exits(0);
    assert!(files(&lab.path().join("drawn")).len() > 1, "{}", done.err);
}

#[test]
fn half_of_a_surrogate_pair_goes_out_as_recorded_and_a_torn_line_costs_no_other() {
    let recorder = Recorder::start();
    let lab = Lab::new();
    let prompt = r#""caf\u00e9 \ud800 x""#;
    let good = format!("{{\"prompt\": {prompt}, \"output_tokens\": 1}}\n");
    let torn = [b"{\"prompt\": \"a b c d e f g h i j\0 k l\"}\n", good.as_bytes()].concat();
    fs::write(lab.path().join("p.jsonl"), torn).expect("written");
    let data = ["--dataset-name", "custom", "--dataset-path", "p.jsonl", "--num-prompts", "1"];
    for (backend, sent) in [
        ("vllm", format!("\"prompt\":{prompt}")),
        ("openai-chat", format!("\"messages\":[{{\"role\":\"user\",\"content\":{prompt}}}]")),
    ] {
        let done = lab.single(&recorder.url, &[&data[..], &["--backend", backend]].concat()).exits(0);
        assert!(done.err.contains("skipped 1 of 2: first at line 1 column 32: a byte is 0"), "{}", done.err);
        let seen = recorder.measured();
        let last = &seen.last().expect("a request").sent;
        assert!(last.contains(&sent), "{sent}\nis not in\n{last}");
    }
}
