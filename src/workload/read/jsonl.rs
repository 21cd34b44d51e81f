//! JSON lines: `prompt` or `messages`, optional `output_tokens`, tags.

use super::chat::Asked;
use super::{File, Rows};
use crate::error::Result;
use crate::workload::Row;

pub(super) fn rows(file: &File) -> Result<Rows> {
    let row = |(number, line): (usize, &str)| {
        let asked: Asked = serde_json::from_str(line).map_err(|e| file.json_error(number, &e))?;
        Ok(Row { output: asked.output, tags: asked.rest, ..Row::new(asked.ask) })
    };
    Ok(Rows::new(file.lines().map(row).collect::<Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use crate::workload::read::Format;
    use crate::workload::read::testing::{error, read};
    use crate::workload::{Ask, Row};
    use serde_json::{Map, json};

    #[test]
    fn other_fields_become_tags() {
        let rows = read(r#"{"prompt": "hi", "output_tokens": 12.0, "topic": "a", "n": 3}"#, Format::Jsonl);
        let tags = Map::from_iter([("topic".to_string(), json!("a")), ("n".to_string(), json!(3))]);
        let expected = Row { output: Some(12), tags, ..Row::new(Ask::Text("hi".into())) };
        assert_eq!(rows.rows, [expected]);
    }

    #[test]
    fn content_may_be_a_list_of_text_parts() {
        let rows = read(
            r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]}"#,
            Format::Jsonl,
        );
        let Ask::Messages(messages) = &rows.rows[0].ask else { panic!("messages") };
        assert_eq!(messages[0].content, "a\nb");
    }

    #[test]
    fn a_bad_line_is_named_by_line_and_column() {
        let of = |line: &str| error(&format!("{{\"prompt\": \"good\"}}\n\n{line}\n"), Format::Jsonl);
        for (line, expected) in [
            (r#"{"prompt": 5}"#, "column 12: invalid type: integer `5`, expected a string"),
            (
                r#"{"prompt": "a", "output_tokens": -3}"#,
                "column 35: expected a whole number of tokens above 0, got -3",
            ),
            (
                r#"{"output_tokens": 1.5, "prompt": "a"}"#,
                "column 21: expected a whole number of tokens above 0, got 1.5",
            ),
            (r#"{"text": "ü"}"#, "column 13: prompt or messages is missing"),
            (r#"{"prompt": "a", "messages": []}"#, "column 31: messages is empty"),
            (r#"{"prompt": "a""#, "column 14: EOF while parsing an object"),
            (r#"["a"]"#, "column 1: invalid type: sequence, expected an object with prompt or messages"),
            (
                r#"{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}"#,
                "column 65: only text content can be sent, got \"image_url\"",
            ),
        ] {
            let found = of(line);
            assert_eq!(found, format!("cannot read \"file\" line 3 {expected}"));
        }
    }
}
