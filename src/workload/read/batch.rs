//! Input files of OpenAI's batch API: a request body a line.

use super::ask;
use super::entry::{Cell, Entry, EntryFault, EntryField};
use crate::record::{Key, Verbatim};
use crate::workload::{Ask, PromptRow};
use std::sync::Arc;

/// Fields that the target decides: which model, and how it streams.
const TARGET_DECIDES: [&str; 3] = ["model", "stream", "stream_options"];

const LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// The body goes out as it is, but for what the target decides and for the name of the limit.
pub(super) fn row(entry: &Entry) -> Result<PromptRow, EntryFault> {
    if let Some(url) = entry.get("url")
        && let Some(path) = url.text()?
        && !path.trim_end_matches('/').ends_with("completions")
    {
        return Err(url.fault(format!("it asks {path}, which generates no text")));
    }
    let field = entry.get("body").ok_or_else(|| EntryFault::whole("body is missing"))?;
    let Some(json) = field.structure() else { return Err(field.fault("body: expected an object")) };
    let body = Entry::object(&json).map_err(|fault| within(field, fault))?;
    asked(&body).map_err(|fault| within(field, fault))
}

fn asked(body: &Entry) -> Result<PromptRow, EntryFault> {
    let (field, key) = match (body.get("prompt"), body.get("messages")) {
        (Some(prompt), None) => (prompt, Key::Prompt),
        (None, Some(messages)) => (messages, Key::Messages),
        (None, None) => return Err(EntryFault::whole("prompt or messages is missing")),
        (Some(_), Some(messages)) => {
            return Err(messages.fault("there must be prompt or messages, not both"));
        }
    };
    ask::ask(field)?;
    let Cell::Json(json) = &field.cell else { return Err(field.fault("expected JSON")) };
    let mut recorded = Verbatim::new(key, json.as_ref());
    let mut output = None;
    for field in &body.fields {
        let Cell::Json(json) = &field.cell else { continue };
        match &*field.name {
            "prompt" | "messages" => {}
            name if TARGET_DECIDES.contains(&name) => {}
            name if LIMITS.contains(&name) => {
                if json != "null" {
                    output = Some(field.tokens()?);
                }
            }
            name => recorded.fields.push((name.into(), json.as_ref().into())),
        }
    }
    Ok(PromptRow { output, ..PromptRow::new(Ask::Verbatim(Arc::new(recorded))) })
}

/// A fault of the body, in its line.
fn within(body: &EntryField, fault: EntryFault) -> EntryFault {
    match &body.cell {
        Cell::Json(json) if json.starts_with('{') => {
            EntryFault { at: Some(body.at + fault.at.unwrap_or(0)), words: fault.words }
        }
        _ => body.fault(format!("body: {}", fault.words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::read::DataFormat;
    use crate::workload::read::testing::{read, skipped};

    #[test]
    fn a_body_goes_out_as_it_is_and_the_target_keeps_its_model() {
        let line = r#"{"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": {
            "model": "m", "messages": [{"role": "user", "content": "hi", "name": null, "x": 1.50}], "max_completion_tokens": 7,
            "tools": [ {"b":1e2, "a":2} ], "temperature": 0.50, "stream": false, "stop": ["\u0041"]}}"#;
        let rows = read(&line.replace('\n', ""), DataFormat::OpenAiBatch).rows;
        let Ask::Verbatim(recorded) = &rows[0].ask else { panic!("verbatim") };
        assert_eq!(recorded.key, Key::Messages);
        assert_eq!(&*recorded.json, r#"[{"role": "user", "content": "hi", "name": null, "x": 1.50}]"#);
        let fields: Vec<(&str, &str)> =
            recorded.fields.iter().map(|(name, json)| (&**name, &**json)).collect();
        let expected =
            [("tools", r#"[ {"b":1e2, "a":2} ]"#), ("temperature", "0.50"), ("stop", r#"["\u0041"]"#)];
        assert_eq!((fields.as_slice(), rows[0].output), (expected.as_slice(), Some(7)));
    }

    #[test]
    fn prompts_may_be_text_and_token_ids() {
        let line = |prompt: &str| format!(r#"{{"body": {{"prompt": {prompt}, "max_tokens": null}}}}"#);
        for prompt in [r#""a\/b""#, "[1, 2,3]", "[[1],[2]]", r#"["a", "b"]"#] {
            let rows = read(&line(prompt), DataFormat::OpenAiBatch).rows;
            let expected = Ask::Verbatim(Arc::new(Verbatim::new(Key::Prompt, prompt)));
            assert_eq!((&rows[0].ask, rows[0].output), (&expected, None));
        }
    }

    #[test]
    fn a_line_that_asks_nothing_is_skipped_and_told() {
        for (line, told) in [
            (r#"{"custom_id": "r-1"}"#, "line 2: body is missing"),
            (r#"{"body": 5}"#, "line 2 column 10: body: expected an object"),
            (r#"{"body": {"n": 1}}"#, "line 2 column 10: prompt or messages is missing"),
            (
                r#"{"body": {"prompt": [1.5]}}"#,
                "line 2 column 22: expected token ids (whole numbers) or texts",
            ),
            (
                r#"{"url": "/v1/embeddings", "body": {"input": "a"}}"#,
                "line 2 column 9: it asks /v1/embeddings, which generates no text",
            ),
            (r#"{"body": {"messages": [{"content": "x"}]}}"#, "line 2 column 24: a message has no role"),
        ] {
            let text = [r#"{"body": {"prompt": "a"}}"#, line].join("\n");
            assert_eq!(skipped(&text, DataFormat::OpenAiBatch), (1, told.into()), "{line}");
        }
    }
}
