//! The server's own words about a failure, in whatever shape it says them.

use serde_json::{Map, Value};

/// Most characters that are kept of them.
const WORDS_MAX: usize = 500;

/// The server's own words out of an error body of any engine: `{"error":{"message":..}}`,
/// `{"error":".."}`, `{"detail":..}`, plain text; at most 500 characters.
pub fn error_words(body: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(body).ok().and_then(|value| words(&value));
    said.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(&body[..body.len().min(PAGE_MAX)]);
        if text.trim_start().starts_with('<') { short(&text_of_page(&text)) } else { short(&text) }
    })
}

/// Bytes of a page that are looked at.
const PAGE_MAX: usize = 16 << 10;

/// What a person reads on a page such as a proxy's, each line once.
fn text_of_page(page: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some((text, tag)) = rest.split_once('<') {
        let text = text.trim();
        if !text.is_empty() && !lines.contains(&text) {
            lines.push(text);
        }
        let opens =
            |name: &&&str| tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        // What stands in these is for no person.
        let tag = match ["style", "script"].iter().find(opens) {
            Some(name) => tag.to_ascii_lowercase().find(&format!("</{name}")).map_or("", |end| &tag[end..]),
            None => tag,
        };
        rest = tag.split_once('>').map_or("", |(_, rest)| rest);
    }
    if !rest.trim().is_empty() {
        lines.push(rest.trim());
    }
    lines.join("; ")
}

/// Where an object has its words, the likeliest first.
const KEYS: [&str; 16] = [
    "message",
    "error",
    "detail",
    "msg",
    "errmsg",
    "err_msg",
    "error_msg",
    "error_message",
    "errorMessage",
    "error_description",
    "Message",
    "Error",
    "errors",
    "exception",
    "fault",
    "reason",
];

fn is_none(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text.eq_ignore_ascii_case("null") || text.eq_ignore_ascii_case("none")
}

/// The words of an error that came in the place of a reply, or of an event of one, with whatever
/// status: OpenAI's `error`, FastAPI's `detail`, and the `code` and `message` of gateways, which
/// say it with status 200.
pub(super) fn in_reply(reply: &Map<String, Value>) -> Option<String> {
    let whole = || Value::Object(reply.clone());
    if let Some(said) = ["error", "Error", "errors"].iter().find_map(|key| words(reply.get(*key)?)) {
        // `"error": true` and `"error": 500` have their words beside them.
        let bare = ["error", "Error", "errors"]
            .iter()
            .any(|key| reply.get(*key).is_some_and(|said| said.is_boolean() || said.is_number()));
        return Some(if bare { words(&whole()).unwrap_or(said) } else { said });
    }
    let named = |key: &str, word: &str| reply.get(key).and_then(Value::as_str) == Some(word);
    if named("object", "error") || named("type", "error") {
        return Some(KEYS.iter().find_map(|key| words(reply.get(*key)?)).unwrap_or_default());
    }
    if super::reading::choices(reply).is_some() {
        return None;
    }
    let refused = ["success", "ok", "Success"].iter().any(|key| reply.get(*key) == Some(&Value::Bool(false)));
    match code(reply) {
        _ if refused => words(&whole()),
        Code::Bad => words(&whole()),
        Code::Good => None,
        Code::None => KEYS
            .iter()
            // A message that is an object is a reply of another API, and one with a type an event of it.
            .filter(|key| reply.get(**key).is_some_and(|said| said.is_string() || **key == "detail"))
            .filter(|key| **key == "detail" || !reply.contains_key("type"))
            .find_map(|key| words(&reply[*key])),
    }
}

/// What a `code` beside a message says.
enum Code {
    None,
    Good,
    Bad,
}

fn code(reply: &Map<String, Value>) -> Code {
    let names = [
        "code",
        "errcode",
        "error_code",
        "errorCode",
        "status_code",
        "statusCode",
        "errno",
        "status",
        "Code",
    ];
    let mut codes = names.iter().filter_map(|name| match (reply.get(*name)?, *name) {
        (Value::Number(code), _) => Some(match code.as_i64() {
            Some(0 | 200..=299) => Code::Good,
            _ => Code::Bad,
        }),
        // A status may say anything of a reply that is being made.
        (Value::String(code), "status") => {
            let bad =
                ["error", "failed", "fail", "failure"].iter().any(|word| code.eq_ignore_ascii_case(word));
            bad.then_some(Code::Bad)
        }
        (Value::String(code), _) => Some(match code.to_ascii_lowercase().as_str() {
            "" | "0" | "200" | "ok" | "success" | "succeeded" => Code::Good,
            _ => Code::Bad,
        }),
        _ => None,
    });
    codes.next().unwrap_or(Code::None)
}

/// The words in an error value. `None`: null, false, 0, "", "none" and an empty list are ways of
/// saying that there is no error.
pub(super) fn words(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Number(number) if number.as_f64() == Some(0.0) => None,
        Value::Array(items) if items.is_empty() => None,
        Value::String(text) if is_none(text) => None,
        Value::String(text) => Some(short(text)),
        Value::Object(fields) => KEYS
            .into_iter()
            .find_map(|key| fields.get(key).filter(|said| !said.is_boolean()).and_then(words))
            .map(|said| match (place(value), particulars(fields)) {
                (Some(place), _) => short(&format!("{place}: {said}")),
                (None, Some(more)) => short(&format!("{said}: {more}")),
                (None, None) => said,
            })
            .or_else(|| Some(short(&value.to_string()))),
        Value::Array(items) => {
            let said: Vec<String> = items.iter().filter_map(words).collect();
            Some(short(&if said.is_empty() { value.to_string() } else { said.join("; ") }))
        }
        other => Some(short(&other.to_string())),
    }
}

/// Where in the request the fault is, as FastAPI (`"loc": ["body", "messages"]`) and OpenAI
/// (`"param": "messages"`) say it.
fn place(fault: &Value) -> Option<String> {
    if let Some(parts) = fault.get("loc").and_then(Value::as_array) {
        let words: Vec<String> =
            parts.iter().map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_string)).collect();
        return Some(words.join("."));
    }
    let named = ["param", "field"].into_iter().find_map(|key| fault.get(key)?.as_str());
    named.filter(|name| !name.is_empty()).map(str::to_string)
}

/// What stands beside a message that only says that something is wrong with the fields.
fn particulars(fields: &serde_json::Map<String, Value>) -> Option<String> {
    let told = ["errors", "details", "violations", "fields"].into_iter().find_map(|key| fields.get(key))?;
    let empty =
        told.as_array().is_some_and(Vec::is_empty) || told.as_object().is_some_and(|told| told.is_empty());
    if empty { None } else { words(told) }
}

/// One line of at most [`WORDS_MAX`] characters.
fn short(text: &str) -> String {
    // Control characters could move the cursor of the terminal that shows them.
    let parts = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|part| !part.is_empty());
    let line = parts.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => line[..end].to_string(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_every_engine_are_found() {
        for (body, said) in [
            (
                r#"{"error":{"message":"too long","type":"BadRequestError","param":null,"code":400}}"#,
                "too long",
            ),
            (
                r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
                "Loading model",
            ),
            (r#"{"error":"no such model","error_type":"validation"}"#, "no such model"),
            (r#"{"object":"error","message":"bad request","code":400}"#, "bad request"),
            (r#"{"detail":"Not Found"}"#, "Not Found"),
            (
                r#"{"detail":[{"type":"missing","loc":["body","messages",0],"msg":"Field required"},{"msg":"x"}]}"#,
                "body.messages.0: Field required; x",
            ),
            (
                r#"{"error":{"message":"not supported","param":"temperature","code":"x"}}"#,
                "temperature: not supported",
            ),
            (
                r#"{"message":"Validation failed","errors":[{"field":"n","message":"unknown"}]}"#,
                "Validation failed: n: unknown",
            ),
            (
                r#"{"message":"bad","details":{"ignore_eos":["Unknown field."]}}"#,
                r#"bad: {"ignore_eos":["Unknown field."]}"#,
            ),
            (
                "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n",
                "502 Bad Gateway; nginx/1.22.1",
            ),
            (
                "<!DOCTYPE html><html><head><style>h1 { color: red }</style><script>if (a < b) {}</script></head><body><h1>Not here</h1><p>look <b>there</b>",
                "Not here; look; there",
            ),
            ("<", ""),
            ("Internal Server Error\r\n", "Internal Server Error"),
            (r#"{"status":"starting"}"#, r#"{"status":"starting"}"#),
            ("", ""),
        ] {
            assert_eq!(error_words(body.as_bytes()), said, "{body}");
        }
    }

    #[test]
    fn words_cannot_command_a_terminal() {
        assert_eq!(error_words(b"\x1b[31mred\x07\0 end\r\n"), "[31mred end");
        assert_eq!(error_words(br#"{"error":"a\u001b]0;b\u0007c"}"#), "a ]0;b c");
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        let long = "é".repeat(3_000);
        assert_eq!(error_words(long.as_bytes()).chars().count(), 500);
        assert_eq!(error_words(format!("{{\"error\":{long:?}}}").as_bytes()), "é".repeat(500));
    }
}
