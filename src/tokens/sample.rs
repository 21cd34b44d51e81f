//! Tiny tokenizers of each kind, for tests.

use super::{Real, Tokens};
use serde_json::{Value, json};
use std::collections::HashMap;

const WORDS: &str = "the cat dog sat on a mat and ran to house with red green blue big small old new tree \
    river stone water fire wind light dark day night sun moon star road home door table chair book \
    pen paper letter word line page story song voice hand head heart eye foot arm back front side top \
    end start city town street shop market field farm hill lake sea ship boat train car wheel glass";

pub(crate) fn parse(json: &Value) -> Tokens {
    Tokens::Real(Box::new(Real::parse(json.to_string().as_bytes(), "sample").expect("a sample loads")))
}

/// Vocabulary and merges that make each of `words` one token out of its characters.
fn merged(words: impl Iterator<Item = String>, more: &str) -> (Value, Vec<String>) {
    let mut vocabulary: HashMap<String, usize> = HashMap::new();
    let mut merges = Vec::new();
    let mut add = |token: String| {
        let next = vocabulary.len();
        *vocabulary.entry(token).or_insert(next)
    };
    ('a'..='z').chain(more.chars()).for_each(|c| {
        add(c.to_string());
    });
    for word in words {
        let chars: Vec<char> = word.chars().collect();
        for cut in 1..chars.len() {
            let left: String = chars[..cut].iter().collect();
            let merge = format!("{left} {}", chars[cut]);
            add(format!("{left}{}", chars[cut]));
            if !merges.contains(&merge) {
                merges.push(merge);
            }
        }
    }
    (json!(vocabulary), merges)
}

pub(crate) fn byte_level_json() -> String {
    let words = WORDS.split_whitespace();
    let (vocab, merges) = merged(words.flat_map(|word| [format!("Ġ{word}"), word.to_string()]), "Ġ");
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
        "use_regex": true});
    json!({
        "version": "1.0", "truncation": {"direction": "Right", "max_length": 16, "strategy": "LongestFirst",
            "stride": 0}, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": byte_level, "post_processor": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "vocab": vocab, "merges": merges}
    })
    .to_string()
}

/// Byte-level BPE. Its file cuts texts after 16 tokens, as some files do.
pub(crate) fn byte_level() -> Tokens {
    parse(&serde_json::from_str(&byte_level_json()).expect("valid"))
}

/// SentencePiece as the tokenizers library has it: a mark in front of each word and of the text.
pub(super) fn sentence_piece() -> Tokens {
    let (vocab, merges) = merged(WORDS.split_whitespace().map(|word| format!("▁{word}")), "▁");
    parse(&json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null, "post_processor": null,
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "vocab": vocab, "merges": merges}
    }))
}

/// A unigram vocabulary behind a metaspace, as T5 and XLM-R have it.
pub(super) fn unigram() -> Tokens {
    let words = WORDS.split_whitespace().map(|word| json!([format!("▁{word}"), -6.0]));
    let pieces = ('a'..='z').chain(['▁']).map(|c| json!([c.to_string(), -9.0]));
    let vocab: Vec<Value> = [json!(["<unk>", 0.0])].into_iter().chain(words).chain(pieces).collect();
    let metaspace =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
    parse(&json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": metaspace, "post_processor": null, "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": false}
    }))
}

fn word_piece(pieces: impl Iterator<Item = String>) -> Tokens {
    let vocab: HashMap<String, usize> =
        std::iter::once("[UNK]".to_string()).chain(pieces).enumerate().map(|(id, p)| (p, id)).collect();
    parse(&json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab}
    }))
}

/// WordPiece with English words.
pub(super) fn english_word_piece() -> Tokens {
    let letters = ('a'..='z').map(|c| format!("##{c}"));
    word_piece(WORDS.split_whitespace().map(str::to_string).chain(letters))
}

/// WordPiece with Chinese characters only.
pub(super) fn chinese_word_piece() -> Tokens {
    word_piece(('\u{4e00}'..'\u{4f00}').map(|c| c.to_string()))
}

/// One token a letter and one a space, so that no word with a space is one token.
pub(super) fn letters() -> Tokens {
    let (vocab, _) = merged(std::iter::empty(), " ");
    parse(&json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "vocab": vocab, "merges": []}
    }))
}

/// As [`letters`], but many pairs of letters are one token: neighbours merge, so that the count of
/// a text is not the sum of its parts.
pub(super) fn pairs() -> Tokens {
    let pairs = "bcdfghjklmnp".chars().flat_map(|c| "aeiou".chars().map(move |v| format!("{c}{v}")));
    let (vocab, merges) = merged(pairs, " ");
    parse(&json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "vocab": vocab, "merges": merges}
    }))
}

/// Every common word is one token.
pub(super) fn word_level() -> Tokens {
    let words = include_str!("words.txt").split_whitespace();
    let vocab: HashMap<&str, usize> = words.enumerate().map(|(id, word)| (word, id)).collect();
    parse(&json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"}
    }))
}

/// Every letter of a text is two tokens: no odd count can be met.
pub(super) fn twos() -> Tokens {
    let replace = |from: String, to| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let twice: Vec<Value> =
        ('a'..='z').map(|c| replace(c.to_string(), "11")).chain([replace(" ".into(), "")]).collect();
    parse(&json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": twice},
        "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "vocab": {"1": 0}, "merges": []}
    }))
}
