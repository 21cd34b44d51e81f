//! What an entry asks: text, messages or token ids, and what comes with them.

use super::entry::{Cell, Entry, EntryFault, EntryField};
use super::json::{self, Piece};
use super::usual;
use crate::record::{Key, Verbatim};
use crate::workload::{Ask, PromptRow};
use std::sync::Arc;

/// Where a file says how many tokens a reply may have.
pub(super) const LIMITS: [&str; 4] = ["output_tokens", "max_tokens", "max_completion_tokens", "output_len"];

pub(super) fn named<'e, 'a>(entry: &'e Entry<'a>, name: &str) -> Result<&'e EntryField<'a>, EntryFault> {
    entry.get(name).ok_or_else(|| EntryFault::whole(format!("{name} is missing or empty")))
}

/// Class and reply of an entry: the reply's tokens where the entry says them, else its text, in the
/// column that is named or in one with a usual name.
pub(super) fn about(
    entry: &Entry,
    prompt: &EntryField,
    reply: Option<&str>,
    row: &mut PromptRow,
) -> Result<(), EntryFault> {
    row.class = match entry.get("class") {
        Some(class) => class.text()?.map(|class| class.as_ref().into()),
        None => None,
    };
    if let Some(reply) = reply {
        let field = named(entry, reply)?;
        match field.text()? {
            Some(text) if text.trim().parse::<f64>().is_err() => row.reply = Some(text.as_ref().into()),
            _ => row.output = Some(field.tokens()?),
        }
        return Ok(());
    }
    row.output = LIMITS.iter().find_map(|name| entry.get(name)).map(EntryField::tokens).transpose()?;
    if row.output.is_none() {
        row.reply = usual::reply(entry, prompt).and_then(|field| field.words()).map(Into::into);
    }
    Ok(())
}

/// Tools belong to the messages that call them.
pub(super) fn tools(entry: &Entry, ask: &mut Ask) {
    let Ask::Verbatim(recorded) = ask else { return };
    if recorded.key != Key::Messages {
        return;
    }
    let tools =
        entry.get("tools").and_then(EntryField::structure).filter(|tools| json::elements(tools).count() > 0);
    if let Some(tools) = tools
        && json::elements(&tools).all(|tool| tool.is_ok())
    {
        let recorded = Arc::make_mut(recorded);
        recorded.fields.push(("tools".into(), tools.as_ref().into()));
        if let Some(Cell::Json(choice)) = entry.get("tool_choice").map(|field| &field.cell) {
            recorded.fields.push(("tool_choice".into(), choice.as_ref().into()));
        }
    }
}

/// What a value asks. A list of messages may also be written into text.
pub(super) fn ask(field: &EntryField) -> Result<Ask, EntryFault> {
    let is_messages = field.name.eq_ignore_ascii_case("messages");
    let text = match (field.text(), &field.cell) {
        // Half of a surrogate pair is no text, and goes out as the escape that it is.
        (Err(_), Cell::Json(json)) if !is_messages => return Ok(verbatim(Key::Prompt, json)),
        (text, _) => text?,
    };
    if let Some(text) = text {
        if is_messages || looks_like_messages(&text) {
            let json = text.trim();
            messages(json).map_err(|wrong| field.fault(format!("{}: {}", field.name, wrong.words)))?;
            return Ok(verbatim(Key::Messages, json));
        }
        if text.trim().is_empty() {
            return Err(field.fault("the prompt is empty"));
        }
        return Ok(Ask::Text(text.as_ref().into()));
    }
    let Cell::Json(json) = &field.cell else { return Err(field.fault("the prompt is empty")) };
    if !json.starts_with('[') {
        return Err(field.fault(format!("expected text or a list, got {}", json::kind(json))));
    }
    let first = match json::elements(json).next() {
        Some(first) => first.map_err(|wrong| field.inside(wrong))?,
        None => return Err(field.fault(format!("{} is empty", field.name))),
    };
    if is_messages || first.json.starts_with('{') {
        messages(json).map_err(|wrong| field.inside(wrong))?;
        return Ok(verbatim(Key::Messages, json));
    }
    prompt_list(json).map_err(|wrong| field.inside(wrong))?;
    Ok(verbatim(Key::Prompt, json))
}

pub(super) fn verbatim(key: Key, json: &str) -> Ask {
    Ask::Verbatim(Arc::new(Verbatim::new(key, json)))
}

fn looks_like_messages(text: &str) -> bool {
    let start = text.trim_start();
    start.starts_with('[') && start[1..].trim_start().starts_with('{') && messages(text).is_ok()
}

/// Fails unless the text is a list of at least one message: an object with a role.
pub(super) fn messages(json: &str) -> Result<(), json::Wrong> {
    let mut count = 0;
    for message in json::elements(json) {
        let Piece { json, at } = message?;
        let fields = json::fields(json).map_err(|wrong| json::Wrong { at: at + wrong.at, ..wrong })?;
        let role = fields.iter().any(|(name, value)| name == "role" && value.json.starts_with('"'));
        if !role {
            return Err(json::Wrong { at, words: "a message has no role".into() });
        }
        count += 1;
    }
    match count {
        0 => Err(json::Wrong { at: 0, words: "messages is empty".into() }),
        _ => Ok(()),
    }
}

/// Fails unless the text is a list of token ids, of lists of them, or of texts.
fn prompt_list(json: &str) -> Result<(), json::Wrong> {
    let is_id = |piece: &Piece| piece.json.bytes().all(|byte| byte.is_ascii_digit());
    for element in json::elements(json) {
        let element = element?;
        let wrong =
            |at: usize| json::Wrong { at, words: "expected token ids (whole numbers) or texts".into() };
        match element.json.as_bytes().first() {
            Some(b'"') => {}
            Some(b'[') => {
                let inner = json::elements(element.json).find(|id| !id.as_ref().is_ok_and(is_id));
                if inner.is_some() {
                    return Err(wrong(element.at));
                }
            }
            _ if is_id(&element) => {}
            _ => return Err(wrong(element.at)),
        }
    }
    Ok(())
}
