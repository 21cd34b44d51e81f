//! ShareGPT: a JSON array of conversations (or one a line), of which the first prompt that has
//! a reply counts.

use super::{File, Rows, words};
use crate::error::Result;
use crate::tokens::Tokens;
use crate::workload::{Ask, Row};

#[derive(serde::Deserialize)]
struct Conversation {
    conversations: Vec<Turn>,
}

#[derive(serde::Deserialize)]
struct Turn {
    #[serde(alias = "role")]
    from: String,
    #[serde(alias = "content")]
    value: String,
}

/// With `count_replies`, a row allows as many tokens as its reply has.
pub(super) fn rows(file: &File, tokens: &Tokens, count_replies: bool) -> Result<Rows> {
    let conversations = conversations(file)?;
    let total = conversations.len();
    let pairs: Vec<(String, String)> = conversations.into_iter().filter_map(first_pair).collect();
    let mut rows: Vec<Row> = Vec::with_capacity(pairs.len());
    let replies: Vec<&str> = pairs.iter().map(|(_, reply)| reply.as_str()).collect();
    let counts = if count_replies { tokens.count_batch(&replies) } else { vec![None; pairs.len()] };
    for ((prompt, reply), counted) in pairs.into_iter().zip(counts) {
        let output = count_replies.then(|| counted.unwrap_or_else(|| words(&reply)).max(1));
        rows.push(Row { output, ..Row::new(Ask::Text(prompt)) });
    }
    Ok(Rows { skipped: total - rows.len(), rows })
}

fn conversations(file: &File) -> Result<Vec<Conversation>> {
    if file.text.trim_start().starts_with('[') {
        return serde_json::from_str(file.text).map_err(|e| file.json_error(1, &e));
    }
    let one =
        |(number, line): (usize, &str)| serde_json::from_str(line).map_err(|e| file.json_error(number, &e));
    file.lines().map(one).collect()
}

fn first_pair(conversation: Conversation) -> Option<(String, String)> {
    let mut turns = conversation.conversations.into_iter().peekable();
    while let Some(turn) = turns.next() {
        let asks = matches!(turn.from.as_str(), "human" | "user") && !turn.value.trim().is_empty();
        if let Some(reply) = turns.next_if(|next| asks && is_reply(&next.from)) {
            return Some((turn.value, reply.value));
        }
    }
    None
}

fn is_reply(from: &str) -> bool {
    matches!(from, "gpt" | "assistant" | "chatgpt" | "bing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::sample;
    use crate::workload::read::testing::{error, read};
    use crate::workload::read::{Format, parse};

    const FILE: &str = r#"[
        {"id": "a", "conversations": [
            {"from": "system", "value": "be kind"},
            {"from": "human", "value": "the cat"}, {"from": "gpt", "value": "sat on a mat"},
            {"from": "human", "value": "more"}, {"from": "gpt", "value": "no"}]},
        {"id": "b", "conversations": [{"from": "gpt", "value": "hello"}]},
        {"id": "c", "conversations": []},
        {"id": "d", "conversations": [{"role": "user", "content": "dogs"}, {"role": "assistant", "content": ""}]}
    ]"#;

    fn asks(rows: &Rows) -> Vec<(&str, Option<u32>)> {
        rows.rows.iter().map(|row| (text(row), row.output)).collect()
    }

    fn text(row: &Row) -> &str {
        match &row.ask {
            Ask::Text(text) => text,
            _ => panic!("a text was expected"),
        }
    }

    #[test]
    fn the_first_prompt_with_a_reply_counts() {
        let rows = read(FILE, Format::ShareGpt);
        assert_eq!(asks(&rows), [("the cat", Some(4)), ("dogs", Some(1))]);
        assert_eq!(rows.skipped, 2);
    }

    #[test]
    fn replies_are_counted_by_the_tokenizer_unless_the_output_is_given() {
        let text = FILE.replace("sat on a mat", "catdog");
        let by =
            |output| parse("file", &text, Format::ShareGpt, &sample::byte_level(), output).expect("good");
        assert_eq!(asks(&by(None))[0], ("the cat", Some(2)));
        assert_eq!(asks(&by(Some(99)))[1], ("dogs", Some(99)));
    }

    #[test]
    fn one_conversation_a_line_is_read_as_well() {
        let line = r#"{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b c"}]}"#;
        assert_eq!(asks(&read(&[line, line].join("\n"), Format::ShareGpt)), [("a", Some(2)); 2]);
        assert_eq!(
            error(&[line, "{}"].join("\n"), Format::ShareGpt),
            "cannot read \"file\" line 2 column 2: missing field `conversations`"
        );
    }

    #[test]
    fn a_bad_entry_is_named_by_line_and_column() {
        assert_eq!(
            error("[\n{\"conversations\": [{\"from\": \"human\", \"value\": 5}]}]", Format::ShareGpt),
            "cannot read \"file\" line 2 column 47: invalid type: integer `5`, expected a string"
        );
    }
}
