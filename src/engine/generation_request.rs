//! `GenerationRequest`: what the body of a completion request asks for, and the errors of those that cannot be
//! served, in vLLM's words.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use crate::engine::Config;
use crate::engine::block_names::BlockNames;

/// `max_tokens` of a request that has none.
const COMPLETION_TOKENS: u32 = 16;
const CHAT_TOKENS: u32 = 128;

/// A request that can be served.
#[derive(Debug, PartialEq)]
pub struct GenerationRequest {
    pub chat: bool,
    pub stream: bool,
    pub include_usage: bool,
    pub ignore_eos: bool,
    pub min_tokens: u32,
    pub max_tokens: u32,
    /// The length of a list of token ids; otherwise the count of words in the prompt or in the
    /// contents of the messages.
    pub prompt_tokens: u32,
    /// The prompt as a prefix cache knows it; only where the server has one.
    pub blocks: Option<BlockNames>,
}

/// An error reply.
#[derive(Debug, PartialEq)]
pub struct BadRequest {
    pub status: u16,
    pub body: String,
}

impl BadRequest {
    pub fn new(status: u16, message: &str, kind: &str) -> Self {
        let error = json!({"message": message, "type": kind, "param": null, "code": status});
        BadRequest { status, body: json!({ "error": error }).to_string() }
    }

    fn bad(message: impl AsRef<str>) -> Self {
        BadRequest::new(400, message.as_ref(), "BadRequestError")
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    prompt: Option<Prompt<'a>>,
    #[serde(borrow)]
    messages: Option<Vec<Message<'a>>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<i64>,
    max_completion_tokens: Option<i64>,
    min_tokens: Option<i64>,
    ignore_eos: Option<bool>,
    n: Option<i64>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Prompt<'a> {
    #[serde(borrow)]
    Text(Cow<'a, str>),
    Ids(Vec<u64>),
    #[serde(borrow)]
    Texts(Vec<Cow<'a, str>>),
    IdLists(Vec<Vec<u64>>),
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<Content<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content<'a> {
    #[serde(borrow)]
    Text(Cow<'a, str>),
    #[serde(borrow)]
    Parts(Vec<Part<'a>>),
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

impl GenerationRequest {
    /// Reads a request body. Fails with the reply that says what is wrong with it.
    pub fn read(chat: bool, body: &[u8], config: &Config) -> Result<GenerationRequest, BadRequest> {
        let body: Body = serde_json::from_slice(body).map_err(|error| BadRequest::bad(error.to_string()))?;
        if let Some(model) = body.model.as_deref()
            && !model.is_empty()
            && model != config.model
            && !config.any_model()
        {
            let message = format!("The model `{model}` does not exist.");
            return Err(BadRequest::new(404, &message, "NotFoundError"));
        }
        if body.n.is_some_and(|n| n != 1) {
            return Err(BadRequest::bad("n must be 1"));
        }
        let prompt_tokens = if chat { messages_tokens(&body)? } else { prompt_tokens(&body)? };
        let usual = i64::from(if chat { CHAT_TOKENS } else { COMPLETION_TOKENS });
        let max_tokens = body.max_completion_tokens.or(body.max_tokens).unwrap_or(usual);
        if max_tokens < 1 {
            return Err(BadRequest::bad(format!("max_tokens must be at least 1, got {max_tokens}.")));
        }
        let min_tokens = body.min_tokens.unwrap_or(0);
        if min_tokens < 0 || min_tokens > max_tokens {
            let message = format!("min_tokens must be from 0 to max_tokens={max_tokens}, got {min_tokens}.");
            return Err(BadRequest::bad(message));
        }
        Ok(GenerationRequest {
            chat,
            stream: body.stream.unwrap_or(false),
            include_usage: body
                .stream_options
                .as_ref()
                .and_then(|options| options.include_usage)
                .unwrap_or(false),
            ignore_eos: body.ignore_eos.unwrap_or(false),
            min_tokens: u32::try_from(min_tokens).unwrap_or(u32::MAX),
            max_tokens: u32::try_from(max_tokens).unwrap_or(u32::MAX),
            prompt_tokens: u32::try_from(prompt_tokens).unwrap_or(u32::MAX),
            blocks: (config.cache > 0).then(|| block_names(&body, chat, config.block)),
        })
    }
}

fn prompt_tokens(body: &Body) -> Result<usize, BadRequest> {
    match &body.prompt {
        Some(Prompt::Text(text)) => Ok(words(text)),
        Some(Prompt::Ids(ids)) => Ok(ids.len()),
        Some(Prompt::Texts(texts)) if texts.len() == 1 => Ok(words(&texts[0])),
        Some(Prompt::IdLists(lists)) if lists.len() == 1 => Ok(lists[0].len()),
        Some(_) => Err(BadRequest::bad("prompt must be one prompt")),
        None => Err(BadRequest::bad("prompt is missing")),
    }
}

fn messages_tokens(body: &Body) -> Result<usize, BadRequest> {
    let messages = body.messages.as_ref().ok_or_else(|| BadRequest::bad("messages are missing"))?;
    let count = |message: &Message| match &message.content {
        Some(Content::Text(text)) => words(text),
        Some(Content::Parts(parts)) => parts.iter().map(|part| part.text.as_deref().map_or(0, words)).sum(),
        None => 0,
    };
    Ok(messages.iter().map(count).sum())
}

/// The tokens of a prompt that can be served, in blocks. The same words by another speaker are other tokens.
fn block_names(body: &Body, chat: bool, block: u32) -> BlockNames {
    let mut names = BlockNames::new(block);
    match (&body.prompt, &body.messages) {
        (_, Some(messages)) if chat => {
            for message in messages {
                let speaker = message.role.as_deref().unwrap_or_default();
                let mut texts = Vec::new();
                match &message.content {
                    Some(Content::Text(text)) => texts.push(&**text),
                    Some(Content::Parts(parts)) => {
                        texts.extend(parts.iter().filter_map(|part| part.text.as_deref()))
                    }
                    None => {}
                }
                names.speaks(speaker);
                texts.into_iter().for_each(|text| names.words(text));
            }
        }
        (Some(Prompt::Text(text)), _) => names.words(text),
        (Some(Prompt::Texts(texts)), _) => texts.iter().for_each(|text| names.words(text)),
        (Some(Prompt::Ids(ids)), _) => ids.iter().for_each(|id| names.push(*id)),
        (Some(Prompt::IdLists(lists)), _) => lists.iter().flatten().for_each(|id| names.push(*id)),
        (None, _) => {}
    }
    names
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chat: bool, body: &str) -> Result<GenerationRequest, BadRequest> {
        GenerationRequest::read(chat, body.as_bytes(), &Config::default())
    }

    #[test]
    fn prompt_tokens_are_words_or_token_ids() {
        let count = |chat, body| read(chat, body).unwrap().prompt_tokens;
        assert_eq!(count(false, r#"{"prompt":" Once upon\na time "}"#), 4);
        assert_eq!(count(false, r#"{"prompt":[5,6,7]}"#), 3);
        assert_eq!(count(false, r#"{"prompt":["a b"]}"#), 2);
        assert_eq!(count(false, r#"{"prompt":[[1,2,3,4]]}"#), 4);
        let messages = r#"{"messages":[{"role":"system","content":"be brief"},
            {"role":"user","content":[{"type":"text","text":"a b c"},{"type":"image_url"}]},
            {"role":"assistant","content":null}]}"#;
        assert_eq!(count(true, messages), 5);
    }

    #[test]
    fn fields_have_the_meaning_they_have_in_vllm() {
        let ask = read(
            true,
            r#"{"model":"","messages":[],"stream":true,"stream_options":{"include_usage":true},
                "max_tokens":9,"max_completion_tokens":7,"min_tokens":2,"ignore_eos":true,"n":1,"other":{}}"#,
        );
        let expected = GenerationRequest {
            chat: true,
            stream: true,
            include_usage: true,
            ignore_eos: true,
            min_tokens: 2,
            max_tokens: 7,
            prompt_tokens: 0,
            blocks: None,
        };
        assert_eq!(ask, Ok(expected));
        assert_eq!(read(false, r#"{"prompt":"a","max_tokens":null}"#).unwrap().max_tokens, 16);
    }

    #[test]
    fn what_cannot_be_served_is_refused_as_vllm_does() {
        let status = |chat, body| read(chat, body).unwrap_err().status;
        assert_eq!(status(false, "{"), 400);
        assert_eq!(status(false, "{}"), 400);
        assert_eq!(status(true, r#"{"prompt":"a"}"#), 400);
        assert_eq!(status(false, r#"{"prompt":"a","max_tokens":0}"#), 400);
        assert_eq!(status(false, r#"{"prompt":"a","max_tokens":-5}"#), 400);
        assert_eq!(status(false, r#"{"prompt":"a","max_tokens":"5"}"#), 400);
        assert_eq!(status(false, r#"{"prompt":"a","max_tokens":5,"min_tokens":6}"#), 400);
        assert_eq!(status(false, r#"{"prompt":"a","n":2}"#), 400);
        assert_eq!(status(false, r#"{"prompt":["a","b"]}"#), 400);
        assert!(read(false, r#"{"prompt":"a","model":"x"}"#).is_ok(), "nobody has named the model");
        let named = Config { model: "m".into(), ..Config::default() };
        let fault = GenerationRequest::read(false, br#"{"prompt":"a","model":"x"}"#, &named).unwrap_err();
        assert_eq!(
            fault.body,
            r#"{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}}"#
        );
        assert_eq!(fault.status, 404);
    }
}
