//! Columns of prompts and replies by the names that data sets usually give them.

use super::entry::{Cell, Entry, EntryFault, EntryField};
use super::{How, ask, json, sharegpt};
use crate::workload::{Ask, PromptRow};

/// In the order in which they are looked for.
const PROMPTS: [&str; 16] = [
    "prompt",
    "messages",
    "conversations",
    "conversation",
    "question",
    "instruction",
    "query",
    "problem",
    "turns",
    "inputs",
    "input",
    "user",
    "text",
    "content",
    "article",
    "document",
];
const REPLIES: [&str; 13] = [
    "response",
    "answer",
    "output",
    "completion",
    "reply",
    "solution",
    "target",
    "label",
    "assistant",
    "answers",
    "reference",
    "summary",
    "highlights",
];
/// What an instruction may be about, in a column of its own.
const SUBJECTS: [&str; 2] = ["input", "context"];

/// Which columns of a file are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) prompt: String,
    pub(super) reply: Option<String>,
}

/// The columns that the user names, or those with usual names. Fails with the names that are there.
pub(super) fn columns(names: &[&str], how: &How) -> Result<Columns, String> {
    let find = |wanted: &str| {
        names.iter().find(|name| name.eq_ignore_ascii_case(wanted)).map(|name| name.to_string())
    };
    let named = |wanted: &Option<String>| match wanted {
        None => Ok(None),
        Some(wanted) => match find(wanted) {
            Some(name) => Ok(Some(name)),
            None => Err(format!("there is no column \"{wanted}\" (columns: {})", names.join(", "))),
        },
    };
    let prompt = match named(&how.prompt_column)? {
        Some(prompt) => prompt,
        None => PROMPTS.iter().find_map(|name| find(name)).ok_or_else(|| {
            format!("no column has a usual name of prompts (columns: {})", names.join(", "))
        })?,
    };
    let reply = match named(&how.reply_column)? {
        Some(reply) => Some(reply),
        None => ask::LIMITS.iter().chain(&REPLIES).find_map(|name| find(name)).filter(|name| *name != prompt),
    };
    Ok(Columns { prompt, reply })
}

pub(super) fn row(entry: &Entry, columns: &Columns, named_reply: bool) -> Result<PromptRow, EntryFault> {
    let field = ask::named(entry, &columns.prompt)?;
    let mut row = prompt(field)?;
    ask::tools(entry, &mut row.ask);
    if let Ask::Text(text) = &mut row.ask
        && field.name.eq_ignore_ascii_case("instruction")
        && let Some(subject) = SUBJECTS.iter().find_map(|name| entry.get(name))
        && let Some(subject) = subject.text()?.filter(|subject| !subject.trim().is_empty())
    {
        *text = format!("{text}\n\n{subject}").into();
    }
    let recorded = row.reply.take();
    let named = columns.reply.as_deref().filter(|_| named_reply);
    match ask::about(entry, field, named, &mut row) {
        // A usual name may stand for something else.
        Err(_) if !named_reply => {}
        other => other?,
    }
    if row.reply.is_none() && row.output.is_none() {
        row.reply = recorded;
    }
    Ok(row)
}

/// The value of an entry under a usual name of replies, if it is not the prompt.
pub(super) fn reply<'e, 'a>(entry: &'e Entry<'a>, prompt: &EntryField) -> Option<&'e EntryField<'a>> {
    let names = REPLIES.iter().filter(|name| !prompt.name.eq_ignore_ascii_case(name));
    names.into_iter().find_map(|name| entry.get(name))
}

/// The name of the column in which [`reply`] finds it, for people.
pub(super) fn reply_name(entry: &Entry) -> Option<String> {
    let found = REPLIES.iter().find_map(|name| entry.get(name));
    found.map(|field| field.name.to_string())
}

fn prompt(field: &EntryField) -> Result<PromptRow, EntryFault> {
    if let Some(list) = field.structure() {
        let first = json::elements(&list).next().and_then(Result::ok);
        let first = first.map(|first| first.json.to_string()).unwrap_or_default();
        match first.as_bytes().first() {
            Some(b'{') if is_turn(&first) => return sharegpt::conversation(field),
            // Turns of a user that are asked one after another: the first.
            Some(b'"') if matches!(field.cell, Cell::Json(_)) => {
                let cell = Cell::Json(first.into());
                return Ok(PromptRow::new(ask::ask(&EntryField {
                    name: field.name.clone(),
                    cell,
                    at: field.at,
                })?));
            }
            _ => {}
        }
    }
    Ok(PromptRow::new(ask::ask(field)?))
}

fn is_turn(json: &str) -> bool {
    let fields = json::fields(json).unwrap_or_default();
    fields.iter().any(|(name, _)| matches!(&**name, "role" | "from"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Key, Verbatim};
    use crate::workload::read::{DataFormat, testing};
    use std::sync::Arc;

    fn how(prompt: Option<&str>, reply: Option<&str>) -> How {
        let own = |name: Option<&str>| name.map(str::to_string);
        How { format: DataFormat::Hf, prompt_column: own(prompt), reply_column: own(reply), ..How::default() }
    }

    fn read(line: &str, how: &How) -> PromptRow {
        let rows = testing::read_how(&[line, line].join("\n"), how).rows;
        assert_eq!(rows[0], rows[1]);
        rows[0].clone()
    }

    fn messages(json: &str) -> Ask {
        Ask::Verbatim(Arc::new(Verbatim::new(Key::Messages, json)))
    }

    #[test]
    fn columns_are_found_by_their_usual_names() {
        let text = |prompt: &str, reply: Option<&str>| PromptRow {
            reply: reply.map(Into::into),
            ..PromptRow::new(Ask::Text(prompt.into()))
        };
        for (line, row) in [
            (r#"{"question": "2+2?", "answer": "4, I think"}"#, text("2+2?", Some("4, I think"))),
            (r#"{"output": "b c", "instruction": "Sort", "input": "c b"}"#, text("Sort\n\nc b", Some("b c"))),
            (r#"{"instruction": "Sing", "input": "", "context": null}"#, text("Sing", None)),
            (r#"{"id": 1, "Text": "once"}"#, text("once", None)),
            (r#"{"turns": ["first", "second"], "category": "x"}"#, text("first", None)),
            (
                r#"{"prompt": "a", "messages": [], "output_tokens": 7}"#,
                PromptRow { output: Some(7), ..text("a", None) },
            ),
            // A reply may be a number: that of its tokens has names of its own.
            (r#"{"question": "a", "answer": "42"}"#, text("a", Some("42"))),
            (r#"{"question": "a", "answer": 42}"#, text("a", Some("42"))),
        ] {
            assert_eq!(read(line, &how(None, None)), row, "{line}");
        }
        let named = how(Some("b"), Some("c"));
        assert_eq!(read(r#"{"prompt": "x", "b": "y", "c": "z w"}"#, &named), text("y", Some("z w")));
    }

    #[test]
    fn a_whole_conversation_asks_its_first_prompt_and_an_open_one_all() {
        let whole = r#"{"messages": [{"role":"system","content":"s"},{"role":"user","content":"q", "x":1.0},
            {"role":"assistant","content":"a b"},{"role":"user","content":"r"},{"role":"assistant","content":"t"}]}"#;
        let row = read(&whole.replace('\n', ""), &how(None, None));
        assert_eq!(
            row.ask,
            messages(r#"[{"role":"system","content":"s"},{"role":"user","content":"q", "x":1.0}]"#)
        );
        assert_eq!(row.reply.as_deref(), Some("a b"));
        let open = r#"{"messages": [{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"r"}]}"#;
        let row = read(open, &how(None, None));
        assert!(matches!(&row.ask, Ask::Verbatim(asked) if asked.texts() == ["q", "a", "r"]));
        assert_eq!(row.reply, None);
        let shared = r#"{"conversations": [{"from":"human","value":"hé"},{"from":"gpt","value":"b"}]}"#;
        assert_eq!(read(shared, &how(None, None)).ask, messages(r#"[{"role":"user","content":"hé"}]"#));
    }

    #[test]
    fn a_file_without_such_columns_tells_those_that_it_has() {
        let error = |line: &str, how: &How| testing::error_how(line, how);
        assert_eq!(
            error(r#"{"id": 1, "score": 2}"#, &how(None, None)),
            "cannot read \"file\": no column has a usual name of prompts (columns: id, score)"
        );
        assert_eq!(
            error(r#"{"prompt": "a"}"#, &how(Some("ask"), None)),
            "cannot read \"file\": there is no column \"ask\" (columns: prompt)"
        );
    }
}
