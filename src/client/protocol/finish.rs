//! `FinishReason`: what the word means by which a server ends a choice.

/// How a choice ended, by the server's word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FinishReason {
    /// The word is a way of saying that nothing has ended.
    Not,
    /// As it should: by the model, by a stop word, at the limit, in a call of a tool.
    Whole,
    /// A filter cut it off or held it back.
    Filtered,
    /// Any other way. Only words that are known to be good are.
    Badly,
}

/// A word in lower case with `_` in the place of `-` and spaces.
const NOT: [&str; 11] = [
    "",
    "null",
    "none",
    "nil",
    "undefined",
    "unspecified",
    "finish_reason_unspecified",
    "not_finished",
    "unfinished",
    "in_progress",
    "running",
];
const WHOLE: [&str; 37] = [
    // OpenAI, and nearly everybody.
    "stop",
    "length",
    "tool_calls",
    "function_call",
    // TGI, llama.cpp, SGLang, TensorRT-LLM, and gateways that pass their words on.
    "eos",
    "eos_token",
    "stop_sequence",
    "stop_str",
    "stop_word",
    "stop_words",
    "stop_token",
    "stop_token_id",
    "end_id",
    "matched_stop",
    "limit",
    "repetition",
    // Anthropic, Cohere, Gemini, Bedrock, Mistral.
    "end_turn",
    "max_tokens",
    "tool_use",
    "tool_call",
    "complete",
    "model_length",
    "max_output_tokens",
    "model_context_window_exceeded",
    "context_length",
    "max_length",
    "max_new_tokens",
    "length_limit",
    // Others.
    "completed",
    "finish",
    "finished",
    "end",
    "end_of_text",
    "end_of_turn",
    "eot",
    "done",
    "success",
];
const FILTERED: [&str; 15] = [
    "content_filter",
    "content_filtered",
    "safety",
    "recitation",
    "refusal",
    "sensitive",
    "blocked",
    "blocklist",
    "prohibited_content",
    "spii",
    "image_safety",
    "guardrail_intervened",
    "guardrails",
    "error_toxic",
    "moderation",
];

impl FinishReason {
    pub(super) fn of(word: &str) -> FinishReason {
        // Nearly every event has none, or one of the first of these.
        if word.is_empty() {
            return FinishReason::Not;
        }
        if WHOLE[..4].contains(&word) {
            return FinishReason::Whole;
        }
        let plain: String = word
            .trim()
            .chars()
            .map(|c| if matches!(c, '-' | ' ') { '_' } else { c.to_ascii_lowercase() })
            .collect();
        let plain = plain.as_str();
        if NOT.contains(&plain) {
            FinishReason::Not
        } else if WHOLE.contains(&plain) {
            FinishReason::Whole
        } else if FILTERED.contains(&plain) {
            FinishReason::Filtered
        } else {
            FinishReason::Badly
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_that_are_known_to_be_good_are() {
        for word in [
            "stop",
            "length",
            "tool_calls",
            "eos_token",
            "STOP",
            "MAX_TOKENS",
            "end_turn",
            "stop-sequence",
            " stop ",
        ] {
            assert_eq!(FinishReason::of(word), FinishReason::Whole, "{word}");
        }
        for word in ["null", "None", "NULL", "", " ", "none", "not_finished", "FINISH_REASON_UNSPECIFIED"] {
            assert_eq!(FinishReason::of(word), FinishReason::Not, "{word}");
        }
        for word in ["content_filter", "SAFETY", "refusal", "guardrail_intervened"] {
            assert_eq!(FinishReason::of(word), FinishReason::Filtered, "{word}");
        }
        for word in [
            "failed",
            "timeout",
            "error",
            "abort",
            "cancelled",
            "insufficient_system_resource",
            "OTHER",
            "x",
            "1",
            "é",
        ] {
            assert_eq!(FinishReason::of(word), FinishReason::Badly, "{word}");
        }
    }
}
