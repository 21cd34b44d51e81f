//! Keys go into a request header and nowhere else.

use crate::lab::{Engine, Lab, files, readable_rows};
use crate::recorder::{Recorder, http};

const KEY: &str = "sk-4d6f-not-for-anyones-eyes";

/// Fails when the key is in any file of the lab, as bytes or inside a row of Parquet.
#[track_caller]
fn kept_nowhere(lab: &Lab) {
    for path in files(lab.path()) {
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes());
        assert!(!found, "the key is in {}", path.display());
    }
    for folder in lab.results() {
        let (rows, _) = readable_rows(&folder);
        assert!(rows.iter().all(|row| !format!("{row:?}").contains(KEY)));
        assert!(!format!("{:?}", crate::lab::runs(&folder)).contains(KEY));
    }
}

#[test]
fn the_right_key_opens_the_server_and_is_kept_nowhere() {
    let engine = Engine::start(&format!("ttft=2ms,itl=1ms,api_key={KEY}"));
    let lab = Lab::new().with_env("OPENAI_API_KEY", KEY);
    let done = lab.single(&engine.url, &["--num-prompts", "3", "--save-result"]).exits(0);
    assert!(!done.said().contains(KEY));
    kept_nowhere(&lab);
}

#[test]
fn another_variable_can_hold_the_key() {
    let engine = Engine::start(&format!("ttft=2ms,itl=1ms,api_key={KEY}"));
    let lab = Lab::new().with_env("MY_KEY", KEY);
    lab.single(&engine.url, &["--num-prompts", "1", "--api-key-env", "MY_KEY"]).exits(0);
    lab.file("key.txt", &format!("{KEY}\n"));
    let script = format!(
        "let t = target(\"{}\", #{{ api_key: secret(\"key\") }});\n\
         print(secret(\"key\"));\n\
         let r = run(#{{ target: t, workload: prompts(#{{ input: 8, output: 4 }}), arrivals: closed(1), requests: 2 }});\n",
        engine.url
    );
    lab.file("key.rhai", &script);
    let done = lab.run(&["run", "key.rhai", "--secret", "key=file:key.txt"]).exits(0);
    assert!(done.out.contains("<secret>") && !done.said().contains(KEY), "{}", done.said());
    std::fs::remove_file(lab.path().join("key.txt")).unwrap();
    kept_nowhere(&lab);
}

#[test]
fn a_wrong_key_is_told_without_the_key() {
    let engine = Engine::start("ttft=2ms,itl=1ms,api_key=another");
    let lab = Lab::new().with_env("OPENAI_API_KEY", KEY);
    for more in [&["--num-prompts", "1"][..], &["--num-prompts", "1", "--model", "rampant-sim"]] {
        let done = lab.single(&engine.url, more).exits(2);
        assert!(done.error().contains("401"), "{}", done.err);
        assert!(done.err.contains("OPENAI_API_KEY"), "{}", done.err);
        assert!(!done.said().contains(KEY), "{}", done.said());
    }
    kept_nowhere(&lab);
}

#[test]
fn a_key_in_a_header_of_its_own_is_kept_nowhere_either() {
    let engine = Engine::start(&format!("ttft=2ms,itl=1ms,api_key={KEY}"));
    let lab = Lab::new();
    let (bearer, own) = (format!("Authorization=Bearer {KEY}"), format!("x-api-key={KEY}"));
    let more = ["--num-prompts", "1", "--header", &bearer, "--header", &own, "--save-result"];
    let done = lab.single(&engine.url, &more).exits(0);
    assert!(!done.said().contains(KEY));
    kept_nowhere(&lab);
}

/// Lets the preflight pass and refuses the rest with the key in its words.
fn tell_tale() -> Recorder {
    Recorder::answering(|seen| {
        if seen.is_preflight() {
            let event = r#"{"choices":[{"index":0,"text":" yes","finish_reason":"length"}]}"#;
            return http(200, "text/event-stream", &format!("data: {event}\n\ndata: [DONE]\n\n"));
        }
        let body = format!(r#"{{"error":{{"message":"the key {KEY} is spent","code":403}}}}"#);
        http(403, "application/json", &body)
    })
}

#[test]
fn a_server_that_repeats_the_key_does_not_bring_it_into_the_results() {
    let lab = Lab::new().with_env("OPENAI_API_KEY", KEY);
    let done = lab.single(&tell_tale().url, &["--num-prompts", "2", "--save-detailed"]).exits(1);
    assert!(done.out.contains("is spent") && !done.said().contains(KEY), "{}", done.said());
    kept_nowhere(&lab);

    let lab = Lab::new();
    let bearer = format!("authorization=Bearer {KEY}");
    let done = lab.single(&tell_tale().url, &["--num-prompts", "2", "--header", &bearer]).exits(1);
    assert!(done.out.contains("is spent") && !done.said().contains(KEY), "{}", done.said());
    kept_nowhere(&lab);
}
