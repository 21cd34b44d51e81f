//! OpenAI `/v1/audio/transcriptions`: a form with a file of sound. Events are read in `event`.

use super::overlay::{extras, lay_over};
use crate::client::Target;
use crate::record::{Clip, Prompt, Request};
use serde_json::{Map, Value};

/// What parts the fields of the form: no file of sound holds it.
const BOUNDARY: &str = "rampant-7b1f0c95e3d84a26";

/// The `content-type` of the body.
pub fn content_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// The form. A prompt that is no sound, such as the one of the preflight, is a second of silence.
pub(super) fn body(target: &Target, request: &Request) -> Vec<u8> {
    let silence;
    let clip = match &request.prompt {
        Prompt::Audio(clip) => clip.as_ref(),
        _ => {
            silence = Clip::silence(1);
            &silence
        }
    };
    let fields = fields(target, request);
    let mut body = Vec::with_capacity(clip.bytes.len() + 256 * (fields.len() + 1));
    for (name, value) in &fields {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        let head = format!("content-disposition: form-data; name=\"{}\"", quoted(name));
        body.extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\n\r\n{value}\r\n").as_bytes());
    }
    let head = format!("content-disposition: form-data; name=\"file\"; filename=\"{}\"", quoted(&clip.name));
    let kind = kind(&clip.name);
    body.extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\ncontent-type: {kind}\r\n\r\n").as_bytes());
    body.extend_from_slice(&clip.bytes);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    body
}

fn fields(target: &Target, request: &Request) -> Map<String, Value> {
    let mut fields = super::openai::model(target);
    super::openai::sampling(target, &mut fields);
    fields.insert("max_completion_tokens".into(), request.max_tokens.into());
    fields.insert("stream".into(), target.stream.into());
    if target.stream {
        // A form has no objects: vLLM takes the options of a stream by these names.
        fields.insert("stream_include_usage".into(), true.into());
        fields.insert("stream_continuous_usage_stats".into(), true.into());
    }
    for extra in extras(target, request) {
        lay_over(&mut fields, extra);
    }
    fields
}

/// A name inside of quotes, as browsers write it.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or("").to_ascii_lowercase().as_str() {
        "mp3" | "mpga" | "mpeg" => "audio/mpeg",
        "flac" => "audio/flac",
        "ogg" | "opus" => "audio/ogg",
        "m4a" | "mp4" => "audio/mp4",
        "webm" => "audio/webm",
        _ => "audio/wav",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::protocol::tests::{request, target};
    use crate::client::protocol::{Api, body};
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn a_form_carries_the_fields_and_the_file() {
        let mut asked = request(json!({"language": "en", "temperature": null}));
        let clip = Clip { name: "a \"b\".flac".into(), bytes: b"\0\xff\r\n--x".to_vec(), micros: None };
        asked.prompt = Prompt::Audio(Arc::new(clip));
        let form = body(&target(Api::Audio), &asked);
        let part = |name: &str, value: &str| {
            format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let fields = [
            part("model", "m"),
            part("max_completion_tokens", "16"),
            part("stream", "true"),
            part("stream_include_usage", "true"),
            part("stream_continuous_usage_stats", "true"),
            part("language", "en"),
        ];
        let file = "content-disposition: form-data; name=\"file\"; filename=\"a %22b%22.flac\"\r\ncontent-type: audio/flac";
        let expected = [
            fields.concat().as_bytes(),
            format!("--{BOUNDARY}\r\n{file}\r\n\r\n").as_bytes(),
            b"\0\xff\r\n--x",
            format!("\r\n--{BOUNDARY}--\r\n").as_bytes(),
        ]
        .concat();
        assert_eq!(String::from_utf8_lossy(&form), String::from_utf8_lossy(&expected));
    }

    #[test]
    fn the_preflight_sends_silence_and_a_whole_reply_asks_for_no_stream() {
        let mut target = target(Api::Audio);
        target.stream = false;
        let form = body(&target, &request(json!({})));
        let text = String::from_utf8_lossy(&form);
        assert!(text.contains("filename=\"silence.wav\"") && text.contains("name=\"stream\"\r\n\r\nfalse"));
        assert!(!text.contains("stream_include_usage"));
    }
}
