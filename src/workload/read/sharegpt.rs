//! Conversations: which prompt is sent, and which reply was recorded.

use super::entry::{Cell, Entry, EntryFault, EntryField};
use super::{ask, json};
use crate::record::Key;
use crate::workload::{Ask, PromptRow, RecordedReply, RecordedTurn};

/// One turn of a conversation: `from` and `value`, or `role` and `content`.
struct Turn {
    role: Role,
    text: String,
    /// The message as it was recorded, where it has the form that servers take.
    message: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    System,
    User,
    Assistant,
    Other,
}

/// ShareGPT: the first prompt that has a reply counts.
pub(super) fn row(entry: &Entry) -> Result<PromptRow, EntryFault> {
    let names = ["conversations", "conversation", "messages"];
    let field = names.iter().find_map(|name| entry.get(name));
    let field = field.ok_or_else(|| EntryFault::whole("conversations is missing"))?;
    let turns = turns(field)?;
    let (prompt, reply) = first_pair(&turns).ok_or_else(|| field.fault("no prompt with a reply"))?;
    let ask = Ask::Text(turns[prompt].text.as_str().into());
    Ok(PromptRow { reply: Some(turns[reply].text.as_str().into()), ..PromptRow::new(ask) })
}

/// A conversation that may be whole or may wait for its last reply. A whole one asks its first
/// prompt that has a reply, behind the system's message; the other is asked as it is.
pub(super) fn conversation(field: &EntryField) -> Result<PromptRow, EntryFault> {
    let turns = turns(field)?;
    if turns.last().is_some_and(|turn| turn.role != Role::Assistant) {
        let all: Vec<usize> = (0..turns.len()).collect();
        return Ok(PromptRow::new(messages(&turns, &all)));
    }
    let (prompt, reply) = first_pair(&turns).ok_or_else(|| field.fault("no prompt with a reply"))?;
    let mut asked: Vec<usize> = (0..prompt).filter(|index| turns[*index].role == Role::System).collect();
    asked.push(prompt);
    Ok(PromptRow {
        reply: Some(turns[reply].text.as_str().into()),
        ..PromptRow::new(messages(&turns, &asked))
    })
}

/// Every turn of an entry with a conversation, in the column that is named or in one with a usual name.
pub(super) fn whole(entry: &Entry, named: Option<&str>) -> Result<PromptRow, EntryFault> {
    let names = named.map_or(vec!["messages", "conversations", "conversation"], |name| vec![name]);
    let field = names.iter().find_map(|name| entry.get(name));
    let field = field.ok_or_else(|| EntryFault::whole(format!("{} is missing", names.join(" or "))))?;
    let turns = turns(field)?;
    let mut recorded: Vec<RecordedTurn> = Vec::new();
    let mut asked: Vec<usize> = Vec::new();
    for (index, turn) in turns.iter().enumerate() {
        let answers = asked.iter().any(|one| matches!(turns[*one].role, Role::User | Role::Other));
        if turn.role == Role::Assistant && answers {
            let (message, text) = (turn.json().into(), turn.text.as_str().into());
            let asks = list(&turns, &std::mem::take(&mut asked)).into();
            recorded.push(RecordedTurn { asks, reply: Some(RecordedReply { message, text }) });
        } else {
            asked.push(index);
        }
    }
    if asked.iter().any(|one| matches!(turns[*one].role, Role::User | Role::Other)) {
        recorded.push(RecordedTurn { asks: list(&turns, &asked).into(), reply: None });
    }
    let first = recorded.first().ok_or_else(|| field.fault("nothing is asked in it"))?;
    let reply = first.reply.as_ref().map(|reply| reply.text.clone());
    let mut row = PromptRow::new(ask::verbatim(Key::Messages, &format!("[{}]", first.asks)));
    ask::tools(entry, &mut row.ask);
    row.class = match entry.get("class") {
        Some(class) => class.text()?.map(|class| class.as_ref().into()),
        None => None,
    };
    Ok(PromptRow { reply, turns: recorded.into(), ..row })
}

fn messages(turns: &[Turn], asked: &[usize]) -> Ask {
    ask::verbatim(Key::Messages, &format!("[{}]", list(turns, asked)))
}

/// Messages as JSON, without the brackets around them.
fn list(turns: &[Turn], asked: &[usize]) -> String {
    asked.iter().map(|index| turns[*index].json()).collect::<Vec<_>>().join(",")
}

impl Turn {
    /// The message as it was recorded, or as servers take it.
    fn json(&self) -> String {
        let role = match self.role {
            Role::System => "system",
            Role::Assistant => "assistant",
            Role::User | Role::Other => "user",
        };
        let built = || serde_json::json!({ "role": role, "content": self.text }).to_string();
        self.message.clone().unwrap_or_else(built)
    }
}

fn turns(field: &EntryField) -> Result<Vec<Turn>, EntryFault> {
    let list =
        field.structure().ok_or_else(|| field.fault(format!("{}: expected a list of turns", field.name)))?;
    let mut turns = Vec::new();
    for element in json::elements(&list) {
        let element = element.map_err(|wrong| field.inside(wrong))?;
        let at = |wrong: json::Wrong| json::Wrong { at: element.at + wrong.at, ..wrong };
        let fields = json::fields(element.json).map_err(|wrong| field.inside(at(wrong)))?;
        let turn = Entry {
            fields: fields
                .into_iter()
                .map(|(name, piece)| EntryField { name, cell: Cell::Json(piece.json.into()), at: piece.at })
                .collect(),
        };
        let fault = |words: &str| field.inside(at(json::Wrong { at: 0, words: words.into() }));
        let own = turn.get("role").is_some() && turn.get("from").is_none();
        let who =
            turn.get("from").or(turn.get("role")).ok_or_else(|| fault("a turn says not whose it is"))?;
        let role = match who.text().ok().flatten().as_deref() {
            Some("human" | "user") => Role::User,
            Some("gpt" | "assistant" | "chatgpt" | "bing" | "bard" | "model") => Role::Assistant,
            Some("system") => Role::System,
            Some(_) => Role::Other,
            None => return Err(fault("a turn says not whose it is")),
        };
        let text = match turn.get("value").or(turn.get("content")) {
            None => String::new(),
            Some(value) => match value.text() {
                Ok(Some(text)) => text.into_owned(),
                Err(wrong) if !own => return Err(fault(&wrong.words)),
                _ => {
                    let parts = ask::verbatim(Key::Messages, &format!("[{}]", element.json));
                    let Ask::Verbatim(parts) = parts else { continue };
                    parts.texts().join("\n")
                }
            },
        };
        turns.push(Turn { role, text, message: own.then(|| element.json.to_string()) });
    }
    match turns.is_empty() {
        true => Err(field.fault(format!("{} is empty", field.name))),
        false => Ok(turns),
    }
}

fn first_pair(turns: &[Turn]) -> Option<(usize, usize)> {
    let asks = |turn: &Turn| turn.role == Role::User && !turn.text.trim().is_empty();
    let pair = |index: &usize| asks(&turns[*index]) && turns[index + 1].role == Role::Assistant;
    (0..turns.len().saturating_sub(1)).find(pair).map(|index| (index, index + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::read::DataFormat;
    use crate::workload::read::testing::{error, read, skipped};

    const FILE: &str = r#"[
        {"id": "a", "conversations": [
            {"from": "system", "value": "be kind"},
            {"from": "human", "value": "the cat"}, {"from": "gpt", "value": "sat on a mat"},
            {"from": "human", "value": "more"}, {"from": "gpt", "value": "no"}]},
        {"id": "b", "conversations": [{"from": "gpt", "value": "hello"}]},
        {"id": "c", "conversations": []},
        {"id": "d", "conversations": [{"role": "user", "content": "dogs"}, {"role": "assistant", "content": ""}]}
    ]"#;

    fn asks(text: &str) -> Vec<(String, String)> {
        let pair = |row: &PromptRow| match (&row.ask, &row.reply) {
            (Ask::Text(text), Some(reply)) => (text.to_string(), reply.to_string()),
            _ => panic!("a text and a reply were expected"),
        };
        read(text, DataFormat::ShareGpt).rows.iter().map(pair).collect()
    }

    #[test]
    fn the_first_prompt_with_a_reply_counts() {
        let own = |pair: (&str, &str)| (pair.0.to_string(), pair.1.to_string());
        assert_eq!(asks(FILE), [("the cat", "sat on a mat"), ("dogs", "")].map(own));
        assert_eq!(
            skipped(FILE, DataFormat::ShareGpt),
            (2, "line 6 column 38: no prompt with a reply".into())
        );
    }

    #[test]
    fn one_conversation_a_line_is_read_as_well() {
        let line = r#"{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b c"}]}"#;
        assert_eq!(asks(&[line, line].join("\n")).len(), 2);
        let bad = [line, "{}"].join("\n");
        assert_eq!(skipped(&bad, DataFormat::ShareGpt), (1, "line 2: conversations is missing".into()));
    }

    #[test]
    fn a_list_that_is_no_json_is_named_by_line_and_column() {
        assert_eq!(
            error("[\n{\"conversations\": [}]", DataFormat::ShareGpt),
            "cannot read \"file\" line 2 column 20: expected value"
        );
    }
}
