//! Entries of a text: JSON lines or one JSON list, tables, plain lines.

use super::entry::{Cell, Entry, EntryFault, EntryField, EntryOrigin};
use super::gather::RowGatherer;
use super::json;
use crate::csv::Records;
use crate::error::Result;

/// One value a line, or all of them in one list.
pub(super) fn json(text: &str, gather: &mut RowGatherer) -> Result<()> {
    match is_one_list(text) {
        true => list(text, gather),
        false => json_lines(text, gather),
    }
}

/// A text that begins with a list is one, unless it begins with a list of messages, which is
/// an entry of its own.
fn is_one_list(text: &str) -> bool {
    text.trim_start().starts_with('[')
        && !matches!(json::elements(text).next(), Some(Ok(first)) if is_message(first.json))
}

fn is_message(json: &str) -> bool {
    json::fields(json).is_ok_and(|fields| fields.iter().any(|(name, _)| name == "role"))
}

fn json_lines(text: &str, gather: &mut RowGatherer) -> Result<()> {
    for (index, line) in every_line(text).enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let origin = EntryOrigin { text: line, line: index + 1, before: 0, unit: "line" };
        // Lines that were cut out of a list have its commas.
        let line = line.trim_end();
        gather.take(&origin, value(line.strip_suffix(',').unwrap_or(line)))?;
    }
    Ok(())
}

/// The lines of a text, whatever ends them; a return alone ends one where nothing else does.
fn every_line(text: &str) -> impl Iterator<Item = &str> {
    let end = if text.contains('\n') { '\n' } else { '\r' };
    text.split_terminator(end).map(|line| line.strip_suffix('\r').unwrap_or(line))
}

/// The lines that hold text.
pub(super) fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    every_line(text).filter(|line| !line.trim().is_empty())
}

fn list(text: &str, gather: &mut RowGatherer) -> Result<()> {
    let (mut line, mut before, mut seen) = (1, 0, 0);
    let mut elements = json::elements(text);
    while let Some(element) = elements.next() {
        let element = match element {
            // A comma behind the last entry.
            Err(wrong) if text[wrong.at..].trim_end() == "]" => return Ok(()),
            Err(wrong) => elements.salvage().ok_or(wrong),
            good => good,
        };
        let at = element.as_ref().map_or_else(|wrong| wrong.at, |element| element.at);
        // A list may be one line of a gigabyte: each byte is looked at once.
        let passed = &text[seen..at];
        match passed.rfind('\n') {
            Some(last) => {
                line += passed.bytes().filter(|byte| *byte == b'\n').count();
                before = passed[last + 1..].chars().count();
            }
            None => before += passed.chars().count(),
        }
        seen = at;
        match element {
            Ok(element) => {
                let origin = EntryOrigin { text: element.json, line, before, unit: "line" };
                gather.take(&origin, value(element.json))?;
            }
            // Where the next entry begins is not known.
            Err(wrong) => {
                let origin = EntryOrigin { text: "", line, before, unit: "line" };
                return Err(gather.broken(&origin.place(Some(0)), &wrong.words));
            }
        }
    }
    Ok(())
}

/// An object; a list is one of messages.
fn value(text: &str) -> std::result::Result<Entry<'_>, EntryFault> {
    if !text.trim_start().starts_with('[') {
        return Entry::object(text);
    }
    let start = text.len() - text.trim_start().len();
    let cell = Cell::Json(text.trim().into());
    Ok(Entry { fields: vec![EntryField { name: "messages".into(), cell, at: start }] })
}

/// A header and records that have as many fields.
pub(super) fn table(text: &str, gather: &mut RowGatherer) -> Result<()> {
    let mut records = Records::new(text);
    let mut header: Option<Vec<String>> = None;
    while let Some(record) = records.next() {
        let record = match record {
            Ok(record) => record,
            Err(unclosed) => {
                let origin = EntryOrigin { text, line: 1, before: 0, unit: "line" };
                return Err(gather.broken(&origin.place(Some(unclosed.at)), "a quoted field has no end"));
            }
        };
        if header.is_none() && record.fields.iter().all(|field| field.text.trim().is_empty()) {
            continue;
        }
        let Some(header) = &header else {
            let names: Vec<String> =
                record.fields.into_iter().map(|field| field.text.trim().to_string()).collect();
            gather.columns(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
            header = Some(names);
            continue;
        };
        let start = record.fields.first().map_or(0, |field| field.at);
        let origin =
            EntryOrigin { text: &text[start..records.at()], line: record.line, before: 0, unit: "line" };
        let entry = match record.torn {
            Some(at) => {
                let words = "a quoted field must end before a separator (a quote inside is written twice)";
                Err(EntryFault { at: Some(at - start), words: words.into() })
            }
            None if record.fields.len() != header.len() => Err(EntryFault::whole(format!(
                "a record has {} fields, the header has {}",
                record.fields.len(),
                header.len()
            ))),
            None => Ok(Entry {
                fields: header
                    .iter()
                    .zip(record.fields)
                    .map(|(name, field)| EntryField {
                        name: name.as_str().into(),
                        cell: Cell::Text(field.text),
                        at: field.at - start,
                    })
                    .collect(),
            }),
        };
        gather.take(&origin, entry)?;
    }
    Ok(())
}

/// Every line that is not blank is a prompt.
pub(super) fn lines(text: &str, gather: &mut RowGatherer) -> Result<()> {
    for (index, line) in every_line(text).enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let cell = Cell::Text(line.trim().into());
        let entry = Entry { fields: vec![EntryField { name: "prompt".into(), cell, at: 0 }] };
        gather.take(&EntryOrigin { text: line, line: index + 1, before: 0, unit: "line" }, Ok(entry))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::record::Key;
    use crate::workload::read::DataFormat;
    use crate::workload::read::testing::{error, read, skipped};
    use crate::workload::{Ask, PromptRow};

    #[test]
    fn every_line_of_text_is_a_prompt() {
        let rows = read("\u{feff}one\r\n\n two words \n", DataFormat::Lines).rows;
        assert_eq!(rows[..], ["one", "two words"].map(|text| PromptRow::new(Ask::Text(text.into()))));
    }

    #[test]
    fn a_table_of_prompts_is_read() {
        let rows = read("class,Prompt,output_tokens\nx,\"one, two\",7\ny,three,\n", DataFormat::Csv).rows;
        assert_eq!(rows[0].ask, Ask::Text("one, two".into()));
        assert_eq!((rows[0].output, rows[1].output), (Some(7), None));
        assert_eq!(rows[1].class.as_deref(), Some("y"));
        let semicolons = "\u{feff}prompt;output_tokens\r\n\"a; b\r\nc\";7\r\nd;8\r\n";
        let rows = read(semicolons, DataFormat::Csv).rows;
        assert_eq!((&rows[0].ask, rows[1].output), (&Ask::Text("a; b\r\nc".into()), Some(8)));
        let messages = "messages\n\"[{\"\"role\"\":\"\"user\"\", \"\"content\"\":\"\"hi\"\"}]\"\n";
        let rows = read(messages, DataFormat::Csv).rows;
        let expected = r#"[{"role":"user", "content":"hi"}]"#;
        assert!(matches!(&rows[0].ask, Ask::Verbatim(asked) if &*asked.json == expected));
    }

    #[test]
    fn a_table_whose_last_line_ends_in_a_lone_return_ends() {
        for text in ["prompt\ra\rb\r", "prompt,n\r\na,1\r", "prompt\n\"a\"\r", "prompt\r\ra\r\r"] {
            assert!(!read(text, DataFormat::Csv).rows.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn a_bad_table_is_named_by_line_and_column() {
        let of = |text: &str| error(text, DataFormat::Csv);
        assert_eq!(of("promt\na\n"), "cannot read \"file\" line 1: there is no column \"prompt\"");
        assert_eq!(of("prompt\n\"a\nb\n"), "cannot read \"file\" line 2 column 1: a quoted field has no end");
        assert_eq!(of(""), "cannot use \"file\": it holds no prompts");
        for (record, told) in [
            ("b,five", "line 3 column 3: expected a whole number of tokens above 0, got \"five\""),
            ("b", "line 3: a record has 1 fields, the header has 2"),
            (
                "\"b\"c,5",
                "line 3 column 4: a quoted field must end before a separator (a quote inside is written twice)",
            ),
            (",5", "line 3: prompt or messages is missing"),
        ] {
            let text = format!("prompt,output_tokens\na,5\n{record}\nc,7\n");
            assert_eq!(skipped(&text, DataFormat::Csv), (1, told.into()), "{record}");
        }
    }

    #[test]
    fn lines_and_lists_hold_objects_or_lists_of_messages() {
        let messages = r#"[{"role":"user","content":"hi"}]"#;
        let prompt = r#"{"prompt":"a"}"#;
        for (text, count) in [
            (format!("{messages}\n{prompt}\n{messages}\n"), 3),
            (format!("[{prompt},\n {prompt}]"), 2),
            (format!("[{messages},{prompt}]"), 2),
            (messages.to_string(), 1),
        ] {
            let rows = read(&text, DataFormat::Jsonl).rows;
            assert_eq!(rows.len(), count, "{text}");
        }
        let rows = read(messages, DataFormat::Jsonl).rows;
        assert!(matches!(&rows[0].ask, Ask::Verbatim(a) if a.key == Key::Messages && &*a.json == messages));
        assert_eq!(
            skipped("[{\"prompt\":\"a\"},\n{\"prompt\": 5},{\"prompt\":\"b\"}]", DataFormat::Jsonl),
            (1, "line 2 column 12: expected text or a list, got a number".into())
        );
    }

    #[test]
    fn a_bad_line_is_skipped_and_named_by_line_and_column() {
        let of = |line: &str| skipped(&format!("{{\"prompt\": \"good\"}}\n\n{line}\n"), DataFormat::Jsonl);
        for (line, told) in [
            (r#"{"prompt": 5}"#, "line 3 column 12: expected text or a list, got a number"),
            (r#"{"prompt": " "}"#, "line 3 column 12: the prompt is empty"),
            (
                r#"{"prompt": "a", "output_tokens": -3}"#,
                "line 3 column 34: expected a whole number of tokens above 0, got -3",
            ),
            (
                r#"{"output_tokens": 1.5, "prompt": "a"}"#,
                "line 3 column 19: expected a whole number of tokens above 0, got 1.5",
            ),
            (r#"{"text": "ü"}"#, "line 3: prompt or messages is missing"),
            (
                r#"{"prompt": "a", "messages": [{"role":"user"}]}"#,
                "line 3 column 29: there must be prompt or messages, not both",
            ),
            (r#"{"prompt": "a""#, "line 3 column 15: the JSON ends in the middle"),
            (r#"{"messages": []}"#, "line 3 column 14: messages is empty"),
            (r#"{"messages": ["a"]}"#, "line 3 column 15: expected an object, got text"),
            (
                r#"{"messages": [{"role": "user"}, {"content": "ü"}]}"#,
                "line 3 column 33: a message has no role",
            ),
            (r#"["a"]"#, "line 3 column 2: expected an object, got text"),
            ("hello", "line 3 column 1: this is no JSON"),
        ] {
            assert_eq!(of(line), (1, told.into()), "{line}");
        }
    }

    #[test]
    fn other_keys_of_messages_stay_and_tools_come_along() {
        let line = r#"{"messages": [ {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}}],"name":"a","z":1.0} ], "tools":[{"type":"function"}], "tool_choice":"auto", "topic": "t", "output_tokens": 12.0}"#;
        let rows = read(line, DataFormat::Jsonl).rows;
        let Ask::Verbatim(asked) = &rows[0].ask else { panic!("verbatim") };
        assert!(line.contains(&*asked.json) && asked.json.contains("1.0"));
        let fields: Vec<(&str, &str)> = asked.fields.iter().map(|(name, json)| (&**name, &**json)).collect();
        assert_eq!(fields, [("tools", r#"[{"type":"function"}]"#), ("tool_choice", "\"auto\"")]);
        assert_eq!(rows[0].output, Some(12));
    }
}
