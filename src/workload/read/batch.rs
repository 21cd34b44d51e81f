//! Input files of OpenAI's batch API: a request body a line.

use super::chat::Asked;
use super::{File, Rows};
use crate::error::Result;
use crate::workload::Row;
use serde_json::{Map, Value};
use std::sync::Arc;

#[derive(serde::Deserialize)]
struct Line {
    custom_id: Option<Value>,
    body: Asked,
}

/// Fields that the target decides: which model, and how it streams.
const TARGET_DECIDES: [&str; 3] = ["model", "stream", "stream_options"];

/// The other body fields are sent as they are; `custom_id` and the file's model become tags.
pub(super) fn rows(file: &File) -> Result<Rows> {
    let row = |(number, text): (usize, &str)| {
        let line: Line = serde_json::from_str(text).map_err(|e| file.json_error(number, &e))?;
        let Asked { ask, output, rest: mut extra } = line.body;
        let decided = TARGET_DECIDES.map(|key| extra.shift_remove(key));
        let [model, ..] = decided;
        let named = [("custom_id", line.custom_id), ("model", model)];
        let tags: Map<String, Value> =
            named.into_iter().filter_map(|(key, value)| Some((key.to_string(), value?))).collect();
        let extra = (!extra.is_empty()).then(|| Arc::new(extra));
        Ok(Row { output, extra, tags, ..Row::new(ask) })
    };
    Ok(Rows::new(file.lines().map(row).collect::<Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Ask;
    use crate::workload::read::Format;
    use crate::workload::read::testing::{error, read};
    use serde_json::json;

    #[test]
    fn a_body_becomes_a_row_and_the_target_keeps_its_model() {
        let line = json!({"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": {
            "model": "m", "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 7,
            "temperature": 0.5, "stream": false, "stop": ["x"]}});
        let rows = read(&line.to_string(), Format::OpenAiBatch).rows;
        let row = &rows[0];
        assert!(matches!(&row.ask, Ask::Messages(messages) if messages[0].content == "hi"));
        assert_eq!(row.output, Some(7));
        let extra = row.extra.clone().expect("body fields");
        assert_eq!(Value::Object((*extra).clone()), json!({"temperature": 0.5, "stop": ["x"]}));
        assert_eq!(Value::Object(row.tags.clone()), json!({"custom_id": "r-1", "model": "m"}));
    }

    #[test]
    fn a_line_without_a_body_is_named_by_line_and_column() {
        assert_eq!(
            error("{\"custom_id\": \"r-1\"}", Format::OpenAiBatch),
            "cannot read \"file\" line 1 column 20: missing field `body`"
        );
    }
}
