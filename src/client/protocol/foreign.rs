//! Replies without `choices`: those of other APIs that a gateway may pass through as they are.

use super::reading::{Object, Reading, items, word};
use super::usage;
use crate::record::{EventKind, Usage};
use serde_json::Value;

pub(super) fn read(reply: &Object, reading: &mut Reading) {
    let named = reply.get("type").and_then(Value::as_str).unwrap_or("");
    if named.contains('.') || named.contains('_') {
        return typed(named, reply, reading);
    }
    let said = reply.get("response").filter(|said| !said.is_array());
    if let Some(said) = reply.get("message").filter(|message| message.is_object()).or(said) {
        return ollama(reply, said, reading);
    }
    // DeepSpeed-MII and demo servers: `{"text": ["..", ".."]}`; transcriptions: `{"text": ".."}`.
    let texts = reply.get("text").or(reply.get("response"));
    for (index, piece) in (0..).zip(texts.map_or(&[][..], items)) {
        reading.meaning.choice(index);
        reading.text(EventKind::CONTENT, Some(piece));
        reading.meaning.finish(index, "");
    }
    // TGI behind a path that is not its own, DashScope's own form.
    for inner in items(reply.get("output").unwrap_or(&Value::Null)).iter().filter_map(Value::as_object) {
        reading.meaning.choice(0);
        reading.text(EventKind::CONTENT, inner.get("text"));
        end(inner.get("finish_reason"), reading);
    }
}

/// `{"message": {"content": ".."}, "done": false}`, or `{"response": "..", "done": true}`.
fn ollama(reply: &Object, said: &Value, reading: &mut Reading) {
    reading.meaning.choice(0);
    match said {
        Value::String(_) => reading.text(EventKind::CONTENT, Some(said)),
        said => reading.delta(said),
    }
    if reply.get("done") == Some(&Value::Bool(true)) {
        let reason = word(reply.get("done_reason").unwrap_or(&Value::Null));
        reading.meaning.finish(0, &reason);
    }
}

/// The events of Anthropic's messages, and of OpenAI's responses and transcriptions.
fn typed(named: &str, reply: &Object, reading: &mut Reading) {
    let delta = reply.get("delta");
    match named {
        "content_block_delta" | "content_block_start" => {
            reading.meaning.choice(0);
            reading.delta(delta.or(reply.get("content_block")).unwrap_or(&Value::Null));
        }
        "message_delta" => end(delta.and_then(|delta| delta.get("stop_reason")), reading),
        "message_stop" => reading.meaning.add(EventKind::DONE),
        "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
            let response = reply.get("response");
            let detail = response.and_then(|response| response.get("incomplete_details")?.get("reason"));
            end(detail.or_else(|| response?.get("status")), reading);
        }
        "transcript.text.done" => {
            reading.meaning.choice(0);
            reading.text(EventKind::CONTENT, reply.get("text"));
            reading.meaning.whole = true;
            reading.meaning.finish(0, "");
        }
        _ if named.ends_with(".delta") => {
            reading.meaning.choice(0);
            let kind = match named {
                _ if named.contains("reasoning") => EventKind::REASONING,
                _ if named.contains("arguments") || named.contains("input") => EventKind::TOOL,
                _ => EventKind::CONTENT,
            };
            reading.text(kind, delta);
        }
        _ => {}
    }
}

fn end(reason: Option<&Value>, reading: &mut Reading) {
    let word = word(reason.unwrap_or(&Value::Null));
    if super::finish::FinishReason::of(&word) != super::finish::FinishReason::Not {
        reading.meaning.choice(0);
        reading.meaning.finish(0, &word);
    }
}

/// Counts that stand at the top of a reply without a name for all of them, as Ollama's do.
pub(super) fn usage(reply: &Object) -> Option<Usage> {
    Some(usage::of(reply)).filter(|usage| *usage != Usage::default())
}
