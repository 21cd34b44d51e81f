//! `GeneratedText`: the bytes of one reply, as vLLM words them: its head, an event for each token, its end;
//! or the whole of it in one JSON.

use std::io::Write;

use serde_json::{Value, json};

use crate::engine::generation_request::GenerationRequest;

/// The words that replies are made of; a token is one of them with a space in front.
const WORDS: [&str; 32] = [
    " the",
    " quiet",
    " river",
    " turns",
    " under",
    " a",
    " stone",
    " bridge",
    " and",
    " carries",
    " small",
    " boats",
    " past",
    " gardens",
    " where",
    " children",
    " draw",
    " maps",
    " of",
    " islands",
    " they",
    " will",
    " visit",
    " when",
    " morning",
    " light",
    " returns",
    " over",
    " every",
    " open",
    " window",
    " again",
];

/// Why a generation ended, as `finish_reason` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GenerationEnd {
    Stop,
    Length,
}

impl GenerationEnd {
    pub fn name(self) -> &'static str {
        match self {
            GenerationEnd::Stop => "stop",
            GenerationEnd::Length => "length",
        }
    }
}

/// Tokens that usage tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub output: u32,
    /// Of the prompt, those that were in the prefix cache; `None`: the server has none.
    pub cached: Option<u32>,
}

/// See the file's head. What does not change from token to token is formatted once.
pub struct GeneratedText {
    chat: bool,
    include_usage: bool,
    prompt_tokens: u32,
    /// Frame events as HTTP chunks; otherwise the body ends with the connection.
    chunks: bool,
    /// The start of every event, up to its choices.
    start: String,
    /// Where in the list of words this reply begins.
    first_word: usize,
}

impl GeneratedText {
    /// `id` must need no escape in JSON; `created` is Unix time in seconds.
    pub fn new(
        ask: &GenerationRequest,
        id: &str,
        model: &str,
        created: u64,
        chunks: bool,
        number: u64,
    ) -> Self {
        let (prefix, object) = match (ask.chat, ask.stream) {
            (true, true) => ("chatcmpl", "chat.completion.chunk"),
            (true, false) => ("chatcmpl", "chat.completion"),
            (false, _) => ("cmpl", "text_completion"),
        };
        let model = Value::from(model);
        GeneratedText {
            chat: ask.chat,
            include_usage: ask.include_usage,
            prompt_tokens: ask.prompt_tokens,
            chunks,
            start: format!(
                r#"{{"id":"{prefix}-{id}","object":"{object}","created":{created},"model":{model},"choices":["#
            ),
            first_word: (number % WORDS.len() as u64) as usize,
        }
    }

    /// The head of a streamed reply. `keep`: whether it announces that the connection stays open.
    pub fn stream_head(&self, out: &mut Vec<u8>, id: &str, keep: bool) {
        let framing = if self.chunks { "transfer-encoding: chunked\r\n" } else { "" };
        let connection = if keep { "" } else { "connection: close\r\n" };
        let _ = write!(
            out,
            "HTTP/1.1 200 OK\r\nserver: rampant\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
             cache-control: no-cache\r\nx-request-id: {id}\r\n{framing}{connection}\r\n"
        );
    }

    /// The event that opens a chat and carries only the role.
    pub fn role(&self, out: &mut Vec<u8>) {
        let rest =
            r#"{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}"#;
        self.data(out, &[&self.start, rest]);
    }

    /// The event of token `index`.
    pub fn token(&self, out: &mut Vec<u8>, index: u32, finish: Option<GenerationEnd>) {
        self.content(out, self.word(index), finish);
    }

    /// The event of the end-of-text token, which has no text.
    pub fn end_of_text(&self, out: &mut Vec<u8>, finish: Option<GenerationEnd>) {
        self.content(out, "", finish);
    }

    fn content(&self, out: &mut Vec<u8>, word: &str, finish: Option<GenerationEnd>) {
        let open = match self.chat {
            true => r#"{"index":0,"delta":{"content":""#,
            false => r#"{"index":0,"text":""#,
        };
        let close = match (self.chat, finish) {
            (true, None) => r#""},"logprobs":null,"finish_reason":null,"token_ids":null}]}"#,
            (true, Some(GenerationEnd::Length)) => {
                r#""},"logprobs":null,"finish_reason":"length","stop_reason":null,"token_ids":null}]}"#
            }
            (true, Some(GenerationEnd::Stop)) => {
                r#""},"logprobs":null,"finish_reason":"stop","stop_reason":null,"token_ids":null}]}"#
            }
            (false, None) => {
                r#"","logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}"#
            }
            (false, Some(GenerationEnd::Length)) => {
                r#"","logprobs":null,"finish_reason":"length","stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}"#
            }
            (false, Some(GenerationEnd::Stop)) => {
                r#"","logprobs":null,"finish_reason":"stop","stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}"#
            }
        };
        self.data(out, &[&self.start, open, word, close]);
    }

    /// What follows the last token: usage, when asked for and known, `[DONE]`, and the end of the
    /// body.
    pub fn stream_end(&self, out: &mut Vec<u8>, counted: Option<Counted>) {
        if let Some(counted) = counted.filter(|_| self.include_usage) {
            let usage = self.usage(counted);
            self.data(out, &[&self.start, r#"],"usage":"#, &usage, "}"]);
        }
        self.data(out, &["[DONE]"]);
        self.close(out);
    }

    /// An error in mid-stream, and the clean end that follows it.
    pub fn stream_error(&self, out: &mut Vec<u8>) {
        self.data(
            out,
            &[r#"{"error":{"message":"simulated failure","type":"InternalServerError","param":null,"code":500}}"#],
        );
        self.data(out, &["[DONE]"]);
        self.close(out);
    }

    fn close(&self, out: &mut Vec<u8>) {
        if self.chunks {
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }

    /// One `data:` line, as a chunk of its own when the body is chunked.
    fn data(&self, out: &mut Vec<u8>, parts: &[&str]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if self.chunks {
            let _ = write!(out, "{:x}\r\n", length + b"data: \n\n".len());
        }
        out.extend_from_slice(b"data: ");
        for part in parts {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(if self.chunks { b"\n\n\r\n" } else { b"\n\n" });
    }

    fn usage(&self, Counted { output, cached }: Counted) -> String {
        let details = cached.map_or(String::new(), |cached| {
            format!(r#","prompt_tokens_details":{{"cached_tokens":{cached}}}"#)
        });
        format!(
            r#"{{"prompt_tokens":{},"total_tokens":{},"completion_tokens":{output}{details}}}"#,
            self.prompt_tokens,
            u64::from(self.prompt_tokens) + u64::from(output),
        )
    }

    /// The JSON of a reply that is not streamed; `with_text` of its tokens have text.
    pub fn whole(&self, with_text: u32, counted: Counted, finish: Option<GenerationEnd>) -> String {
        let text: String = (0..with_text).map(|index| self.word(index)).collect();
        let finish = finish.map(GenerationEnd::name);
        let choice = match self.chat {
            true => json!({
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "logprobs": null,
                "finish_reason": finish,
                "stop_reason": null,
            }),
            false => json!({
                "index": 0,
                "text": text,
                "logprobs": null,
                "finish_reason": finish,
                "stop_reason": null,
            }),
        };
        format!(r#"{}{choice}],"usage":{}}}"#, self.start, self.usage(counted))
    }

    fn word(&self, index: u32) -> &'static str {
        word(self.first_word as u64, index)
    }
}

/// The text of token `index` of generation `number`.
pub fn word(number: u64, index: u32) -> &'static str {
    WORDS[((number % WORDS.len() as u64) as usize + index as usize) % WORDS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Config;

    fn counted(output: u32) -> Counted {
        Counted { output, cached: None }
    }

    fn text(chat: bool, chunks: bool) -> GeneratedText {
        let body = r#"{"prompt":"a b","messages":[{"content":"a b"}],"stream":true,"max_tokens":3,
            "stream_options":{"include_usage":true}}"#;
        let ask = GenerationRequest::read(chat, body.as_bytes(), &Config::default()).unwrap();
        GeneratedText::new(&ask, "r1", "m\"x", 7, chunks, 0)
    }

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn events_look_like_those_of_vllm() {
        let start = r#"data: {"id":"chatcmpl-r1","object":"chat.completion.chunk","created":7,"model":"m\"x","choices":["#;
        let chat = text(true, false);
        assert_eq!(
            written(|out| chat.role(out)),
            format!(
                "{start}{}\n\n",
                r#"{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}"#
            )
        );
        assert_eq!(
            written(|out| chat.token(out, 1, Some(GenerationEnd::Length))),
            format!(
                "{start}{}\n\n",
                r#"{"index":0,"delta":{"content":" quiet"},"logprobs":null,"finish_reason":"length","stop_reason":null,"token_ids":null}]}"#
            )
        );
        assert_eq!(
            written(|out| chat.stream_end(out, Some(counted(3)))),
            format!(
                "{start}{}\n\ndata: [DONE]\n\n",
                r#"],"usage":{"prompt_tokens":2,"total_tokens":5,"completion_tokens":3}}"#
            )
        );
        let cached = Counted { output: 3, cached: Some(2) };
        assert!(
            written(|out| chat.stream_end(out, Some(cached)))
                .contains(r#""completion_tokens":3,"prompt_tokens_details":{"cached_tokens":2}}}"#)
        );
        assert_eq!(
            written(|out| text(false, false).end_of_text(out, None)),
            r#"data: {"id":"cmpl-r1","object":"text_completion","created":7,"model":"m\"x","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}"#
                .to_string()
                + "\n\n"
        );
    }

    #[test]
    fn every_event_is_valid_json_in_a_chunk_of_its_own() {
        for chat in [true, false] {
            let text = text(chat, true);
            for finish in [None, Some(GenerationEnd::Stop), Some(GenerationEnd::Length)] {
                let chunk = written(|out| text.token(out, 40, finish));
                let (size, rest) = chunk.split_once("\r\n").unwrap();
                let data = rest.strip_suffix("\r\n").unwrap();
                assert_eq!(usize::from_str_radix(size, 16).unwrap(), data.len());
                let event: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                assert_eq!(event["choices"][0]["finish_reason"].as_str(), finish.map(GenerationEnd::name));
            }
            assert!(
                written(|out| text.stream_end(out, Some(counted(3))))
                    .ends_with("data: [DONE]\n\n\r\n0\r\n\r\n")
            );
            let whole: Value =
                serde_json::from_str(&text.whole(2, counted(3), Some(GenerationEnd::Stop))).unwrap();
            assert_eq!(whole["usage"]["completion_tokens"], 3);
            assert_eq!(whole["choices"][0]["finish_reason"], "stop");
            let content = &whole["choices"][0];
            let content = if chat { &content["message"]["content"] } else { &content["text"] };
            assert_eq!(content, " the quiet");
        }
    }
}
