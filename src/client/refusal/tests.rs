//! Refusals as servers word them, and what is sent next.

use super::*;
use crate::client::protocol::error_words;

/// Fields of a chat request of ours, of a completion, of TGI's API.
const CHAT: &[&str] = &[
    "model",
    "messages",
    "temperature",
    "max_completion_tokens",
    "min_tokens",
    "ignore_eos",
    "stream",
    "stream_options",
];
const PLAIN: &[&str] =
    &["model", "prompt", "temperature", "max_tokens", "min_tokens", "ignore_eos", "stream", "stream_options"];
const TGI: &[&str] = &["inputs", "parameters", "max_new_tokens", "do_sample", "truncate", "ignore_eos_token"];

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

/// What a body says of a request with `ours` and `asked`.
fn told(body: &str, ours: &[&str], asked: &[&str]) -> Remedy {
    let (ours, asked) = (strings(ours), strings(asked));
    let words = format!("status 400: {}", error_words(body.as_bytes()));
    read(&words, Sent { ours: &ours, asked: &asked, refused: &[] })
}

fn leave(field: &str) -> Remedy {
    Remedy::LeaveOut(field.into())
}

fn limit(name: &str) -> Remedy {
    Remedy::Limit(name.into())
}

#[test]
fn a_field_that_is_named_is_left_out_or_renamed() {
    for (body, ours, next) in [
        // OpenAI's own.
        (
            r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
            PLAIN,
            limit("max_completion_tokens"),
        ),
        (
            r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}"#,
            CHAT,
            leave("temperature"),
        ),
        (
            r#"{"error":{"message":"Unsupported value: does not support 0 with this model.","param":"temperature","code":"unsupported_value"}}"#,
            CHAT,
            leave("temperature"),
        ),
        (
            r#"{"error":{"message":"Unrecognized request argument supplied: ignore_eos","type":"invalid_request_error","param":null,"code":null}}"#,
            CHAT,
            leave("ignore_eos"),
        ),
        (
            r#"{"error":{"message":"Unrecognized request arguments supplied: ignore_eos, min_tokens","type":"invalid_request_error"}}"#,
            CHAT,
            leave("ignore_eos"),
        ),
        (
            r#"{"error":{"message":"Unknown parameter: 'min_tokens'.","type":"invalid_request_error","param":"min_tokens","code":"unknown_parameter"}}"#,
            CHAT,
            leave("min_tokens"),
        ),
        (
            r#"{"error":{"message":"Unknown parameter: 'stream_options.include_usage'.","param":"stream_options.include_usage"}}"#,
            CHAT,
            leave("stream_options"),
        ),
        // pydantic, FastAPI, and those that print their errors in Python's notation.
        (
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","ignore_eos"],"msg":"Extra inputs are not permitted","input":true}]}"#,
            CHAT,
            leave("ignore_eos"),
        ),
        (
            r#"{"detail":[{"loc":["body","stream_options"],"msg":"extra fields not permitted","type":"value_error.extra"}]}"#,
            CHAT,
            leave("stream_options"),
        ),
        (
            r#"{"object":"error","message":"[{'type': 'extra_forbidden', 'loc': ('body', 'max_completion_tokens'), 'msg': 'Extra inputs are not permitted'}]","type":"BadRequestError","param":null,"code":400}"#,
            CHAT,
            limit("max_tokens"),
        ),
        (
            r#"{"object":"error","message":"[{'type': 'extra_forbidden', 'loc': ('body', 'min_tokens'), 'msg': 'Extra inputs are not permitted', 'input': 4}]","code":400}"#,
            CHAT,
            leave("min_tokens"),
        ),
        (
            r#"{"detail":[{"type":"greater_than","loc":["body","temperature"],"msg":"Input should be greater than 0","input":0.0}]}"#,
            CHAT,
            leave("temperature"),
        ),
        (
            r#"{"detail":[{"type":"missing","loc":["body","max_tokens"],"msg":"Field required"}]}"#,
            CHAT,
            limit("max_tokens"),
        ),
        // Mistral.
        (
            r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","ignore_eos"],"msg":"Extra inputs are not permitted","input":true}]},"type":"invalid_request_error","param":null,"code":null}"#,
            CHAT,
            leave("ignore_eos"),
        ),
        (
            r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted","input":4}]},"type":"invalid_request_error"}"#,
            CHAT,
            limit("max_tokens"),
        ),
        // TGI, and anything of serde's.
        (
            r#"{"error":"Input validation error: `temperature` must be strictly positive","error_type":"validation"}"#,
            CHAT,
            leave("temperature"),
        ),
        (
            "Failed to deserialize the JSON body into the target type: parameters: unknown field `ignore_eos_token`, expected one of `best_of`, `temperature`, `max_new_tokens`, `truncate` at line 1 column 90",
            TGI,
            leave("ignore_eos_token"),
        ),
        (
            "Failed to deserialize the JSON body into the target type: unknown field `max_completion_tokens`, expected one of `messages`, `max_tokens`, `temperature` at line 1 column 80",
            CHAT,
            limit("max_tokens"),
        ),
        (
            r#"{"error":"Input validation error: `truncate` must be strictly positive and less than 1024. Given: 16","error_type":"validation"}"#,
            TGI,
            leave("truncate"),
        ),
        // llama.cpp, transformers, llama-cpp-python.
        (
            r#"{"error":{"code":400,"message":"Unsupported param: min_tokens","type":"invalid_request_error"}}"#,
            CHAT,
            leave("min_tokens"),
        ),
        (r#"{"detail":"Unexpected fields in the request: {'ignore_eos'}"}"#, CHAT, leave("ignore_eos")),
        (
            r#"{"error":{"message":"Llama.create_completion() got an unexpected keyword argument 'ignore_eos'","type":"internal_server_error","code":null}}"#,
            PLAIN,
            leave("ignore_eos"),
        ),
        // vLLM.
        (
            r#"{"object":"error","message":"n must be 1 when using greedy sampling, got 2.","type":"BadRequestError","code":400}"#,
            CHAT,
            leave("temperature"),
        ),
        (
            r#"{"error":{"message":"min_tokens must be less than or equal to max_tokens=2, got 4.","type":"BadRequestError","param":null,"code":400}}"#,
            PLAIN,
            leave("min_tokens"),
        ),
        (
            r#"{"error":{"message":"Stream options can only be defined when `stream=True`. (parameter=stream_options)","type":"BadRequestError","code":400}}"#,
            CHAT,
            leave("stream_options"),
        ),
        // Gateways and languages.
        (
            r#"{"error":{"message":"litellm.UnsupportedParamsError: openai does not support parameters: ['ignore_eos'], for model=gpt-4o. To drop these, set `litellm.drop_params=True` or for proxy:","type":"None","param":null,"code":"400"}}"#,
            CHAT,
            leave("ignore_eos"),
        ),
        (
            r#"{"error":{"message":"litellm.BadRequestError: OpenAIException - Error code: 400 - {'error': {'message': \"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.\", 'type': 'invalid_request_error', 'param': 'max_tokens', 'code': 'unsupported_parameter'}}. Received Model Group=m","code":"400"}}"#,
            PLAIN,
            limit("max_completion_tokens"),
        ),
        (
            r#"{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"ignore_eos\": Cannot find field.","status":"INVALID_ARGUMENT"}}"#,
            CHAT,
            leave("ignore_eos"),
        ),
        (r#"{"error":"json: unknown field \"stream_options\""}"#, CHAT, leave("stream_options")),
        (
            r#"{"message":"Unrecognized field \"min_tokens\" (class ChatRequest), not marked as ignorable"}"#,
            CHAT,
            leave("min_tokens"),
        ),
        (
            r#"{"message":"Validation failed","errors":[{"field":"ignoreEos","message":"property should not exist"}]}"#,
            CHAT,
            leave("ignore_eos"),
        ),
        (
            r#"{"title":"One or more validation errors occurred.","status":400,"errors":{"$.ignore_eos":["The JSON property could not be mapped."]}}"#,
            CHAT,
            leave("ignore_eos"),
        ),
        (r#"{"errors":{"stream_options":["Unknown field."]}}"#, CHAT, leave("stream_options")),
        (
            r#"{"message":"Malformed input request: #: extraneous key [ignore_eos] is not permitted, please reformat your input and try again."}"#,
            CHAT,
            leave("ignore_eos"),
        ),
        (
            r#"{"message":"Additional properties are not allowed ('ignore_eos', 'min_tokens' were unexpected)"}"#,
            CHAT,
            leave("ignore_eos"),
        ),
        ("unsupported parameter: temperature", CHAT, leave("temperature")),
        ("参数 ignore_eos 不支持", CHAT, leave("ignore_eos")),
        ("<html><body><h1>400</h1>unknown option: min_tokens</body></html>", CHAT, leave("min_tokens")),
        (
            r#"{"error":{"message":"Supported parameters: model, messages, temperature, max_completion_tokens. Unknown: ignore_eos"}}"#,
            CHAT,
            Remedy::Silent,
        ),
        (
            r#"{"error":{"message":"Invalid 'max_completion_tokens': integer below minimum value. Expected a value >= 16, but got 4 instead.","param":"max_completion_tokens","code":"integer_below_min_value"}}"#,
            CHAT,
            Remedy::AtLeast(16),
        ),
    ] {
        assert_eq!(told(body, ours, &[]), next, "{body}");
    }
}

#[test]
fn what_is_no_refusal_of_a_field_of_ours_changes_nothing() {
    let asked = |field: &str| Remedy::Asked(field.into());
    let needed = |field: &str| Remedy::Needed(field.into());
    for (body, ours, given, next) in [
        // The prompt's length, in every server's words.
        (
            r#"{"error":{"message":"This model's maximum context length is 16 tokens. However, you requested 20 tokens (16 in the messages, 4 in the completion). Please reduce the length of the messages or completion.","param":"messages","code":"context_length_exceeded"}}"#,
            CHAT,
            &[][..],
            Remedy::Length,
        ),
        (
            r#"{"object":"error","message":"'max_tokens' or 'max_completion_tokens' is too large: 4. This model's maximum context length is 16 tokens and your request has 16 input tokens (4 > 16 - 16).","code":400}"#,
            CHAT,
            &[],
            Remedy::Length,
        ),
        (
            r#"{"error":{"message":"max_tokens must be at least 1, got -3. (parameter=max_tokens) since the prompt is too long for the context window","code":400}}"#,
            PLAIN,
            &[],
            Remedy::Length,
        ),
        (
            r#"{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"exceed_context_size_error","n_prompt_tokens":16,"n_ctx":8}}"#,
            CHAT,
            &[],
            Remedy::Length,
        ),
        (
            r#"{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 16. Given: 16 `inputs` tokens and 4 `max_new_tokens`: input length is too much","error_type":"validation"}"#,
            TGI,
            &[],
            Remedy::Length,
        ),
        // Another field of the user's.
        (
            r#"{"error":{"message":"Unrecognized request argument supplied: top_k","type":"invalid_request_error"}}"#,
            CHAT,
            &["top_k"],
            asked("top_k"),
        ),
        (
            r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.7 with this model.","param":"temperature"}}"#,
            CHAT,
            &["temperature"],
            asked("temperature"),
        ),
        (
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","ignore_eos"],"msg":"Extra inputs are not permitted"}]}"#,
            CHAT,
            &["ignore_eos"],
            asked("ignore_eos"),
        ),
        (r#"{"error":{"message":"n must be 1 when using beam search, got 2."}}"#, CHAT, &["n"], asked("n")),
        (r#"{"error":{"message":"Invalid value for 'n': must be 1","param":"n"}}"#, CHAT, &["n"], asked("n")),
        (
            r#"{"error":{"message":"logprobs is not supported with streaming","param":"logprobs"}}"#,
            CHAT,
            &["logprobs"],
            asked("logprobs"),
        ),
        // What no request can do without.
        (
            r#"{"error":{"message":"Streaming is not supported for this model.","param":"stream","code":"unsupported_value"}}"#,
            CHAT,
            &[],
            needed("stream"),
        ),
        (r#"{"error":{"message":"invalid model","param":"model"}}"#, CHAT, &[], needed("model")),
        (
            r#"{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required"}]}"#,
            PLAIN,
            &[],
            Remedy::Wants("messages".into()),
        ),
        (
            r#"{"detail":[{"type":"missing","loc":["body","prompt"],"msg":"Field required"}]}"#,
            CHAT,
            &[],
            Remedy::Wants("prompt".into()),
        ),
        (
            "Failed to deserialize the JSON body into the target type: missing field `inputs` at line 1 column 99",
            CHAT,
            &[],
            Remedy::Wants("inputs".into()),
        ),
        // Something else altogether.
        (
            r#"{"error":{"message":"The model `m` does not exist.","type":"NotFoundError","code":404}}"#,
            CHAT,
            &[],
            Remedy::Elsewhere,
        ),
        (
            r#"{"error":{"message":"Incorrect API key provided: sk-x. You can find your API key at ...","code":"invalid_api_key"}}"#,
            CHAT,
            &[],
            Remedy::Elsewhere,
        ),
        (
            r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","code":"insufficient_quota"}}"#,
            CHAT,
            &[],
            Remedy::Elsewhere,
        ),
        (
            r#"{"error":{"message":"As of transformers v4.44, default chat template is no longer allowed","code":400}}"#,
            CHAT,
            &[],
            Remedy::Elsewhere,
        ),
        // Nothing is named, or everything.
        ("", CHAT, &[], Remedy::Silent),
        (r#"{"error":{"message":"Bad Request"}}"#, CHAT, &[], Remedy::Silent),
        (r#"{"detail":"Extra inputs are not permitted"}"#, CHAT, &[], Remedy::Silent),
        (
            "<html><head><title>400 Bad Request</title></head><body><center><h1>400 Bad Request</h1></center><hr><center>nginx</center></body></html>",
            CHAT,
            &[],
            Remedy::Silent,
        ),
        (
            r#"{"error":{"message":"cannot handle the request {'model': 'm', 'messages': [{'role': 'user', 'content': 'a'}], 'temperature': 0.0, 'max_completion_tokens': 4, 'min_tokens': 4, 'ignore_eos': True}"}}"#,
            CHAT,
            &[],
            Remedy::Silent,
        ),
    ] {
        assert_eq!(told(body, ours, given), next, "{body}");
    }
}

#[test]
fn a_limit_that_was_refused_under_every_name_is_given_up() {
    let (ours, refused) = (strings(PLAIN), strings(&["max_completion_tokens"]));
    let sent = Sent { ours: &ours, asked: &[], refused: &refused };
    assert_eq!(read("unknown field `max_tokens`", sent), Remedy::Needed("max_tokens".into()));
    let suggested = read("unsupported parameter max_tokens, use max_output_tokens instead", sent);
    assert_eq!(suggested, limit("max_output_tokens"));
}

#[test]
fn only_a_field_that_is_clearly_refused_is_believed_whatever_the_status() {
    let (ours, asked) = (strings(CHAT), Vec::new());
    let sent = Sent { ours: &ours, asked: &asked, refused: &[] };
    let (refusal, certain) = read_closely("got an unexpected keyword argument 'ignore_eos'", sent);
    assert_eq!((refusal, certain), (leave("ignore_eos"), true));
    let (_, certain) = read_closely("internal error while sampling; min_tokens 4", sent);
    assert!(!certain);
}

#[test]
fn a_field_of_the_users_is_found_whether_or_not_its_name_is_a_word() {
    for (said, asked, next) in [
        ("logprobs is not supported", "logprobs", Some("logprobs")),
        ("logprobs must be at most 5", "logprobs", Some("logprobs")),
        ("this server does not support logprobs yet", "logprobs", Some("logprobs")),
        ("seed is not supported", "seed", Some("seed")),
        ("n must be 1", "n", Some("n")),
        ("the length is wrong. seed must not be below 0", "seed", Some("seed")),
        ("response_format: unknown type", "response_format", Some("response_format")),
        // A word of a sentence is no field.
        ("the text to echo is unknown", "echo", None),
        ("please seed the store first: unknown state", "seed", None),
    ] {
        let body = format!(r#"{{"error":{{"message":{said:?}}}}}"#);
        let expected = next.map_or(Remedy::Silent, |name: &str| Remedy::Asked(name.into()));
        assert_eq!(told(&body, PLAIN, &[asked]), expected, "{said}");
    }
}
