//! Which words of a vocabulary are safe: one token each, whatever words stand beside them.
//!
//! Random token ids do not survive decoding and encoding, so text is made of words instead. A
//! candidate is proved by encoding it between other words, not by its spelling in the
//! vocabulary, so that the method holds for every kind of tokenizer.

use super::words::{Word, WordList};
use std::collections::HashSet;
use std::ops::Range;
use tokenizers::Tokenizer;

/// So many of the common words, and text is made of those alone.
const COMMON_MIN: usize = 1000;
/// Enough for varied text; more would only take longer to prove.
const WORDS_MAX: usize = 8192;
const OPENERS_MAX: usize = 1024;
/// Fewer safe words than this are not a vocabulary: try the next way.
const WORDS_MIN: usize = 64;
/// Words that are encoded together.
const BATCH: usize = 256;
/// Letters of the longest word.
const LETTERS_MAX: usize = 14;

/// Common English words; else lowercase Latin words of the vocabulary; else words of any script;
/// else tokens of any script without spaces; else the common words, correct or not.
///
/// The common words come first for three reasons: tokenizers that know them all give the same
/// prompts, people can read them, and no content filter stops them, as it would some words that
/// vocabularies hold.
pub(super) fn build(tokenizer: &Tokenizer) -> WordList {
    let common = WordList::common();
    let known = safe(tokenizer, common.others.clone());
    if known.len() >= COMMON_MIN {
        let openers = common.openers.iter().filter(|word| is_one(tokenizer, word)).cloned().collect();
        return WordList { openers, others: known, glue: " ", local: true };
    }
    let tokens = sorted_tokens(tokenizer);
    let latin = safe(tokenizer, unique(tokens.iter().filter_map(|(_, token)| latin(token))));
    if latin.len() >= WORDS_MIN {
        return spaced(tokenizer, latin);
    }
    let any = unique(tokens.iter().filter_map(|(id, _)| letters(tokenizer, *id)));
    let mut others = safe(tokenizer, any.clone());
    others.extend(latin);
    others.sort();
    others.dedup();
    if others.len() >= WORDS_MIN {
        return spaced(tokenizer, others);
    }
    let alone: Vec<Word> = any.into_iter().filter(|word| is_one(tokenizer, word)).collect();
    if alone.len() > others.len() {
        return WordList { openers: alone.clone(), others: alone, glue: "", local: false };
    }
    match others.is_empty() {
        true => {
            let (openers, others) = (common.openers.clone(), common.others.clone());
            WordList { openers, others, glue: " ", local: false }
        }
        false => spaced(tokenizer, others),
    }
}

fn spaced(tokenizer: &Tokenizer, others: Vec<Word>) -> WordList {
    let openers = others.iter().filter(|word| is_one(tokenizer, word)).take(OPENERS_MAX).cloned().collect();
    WordList { openers, others, glue: " ", local: true }
}

/// The vocabulary in the order of ids: common words first in most vocabularies.
fn sorted_tokens(tokenizer: &Tokenizer) -> Vec<(u32, String)> {
    let mut tokens: Vec<(u32, String)> =
        tokenizer.get_vocab(false).into_iter().map(|(token, id)| (id, token)).collect();
    tokens.sort_unstable();
    tokens
}

fn unique(words: impl Iterator<Item = Word>) -> Vec<Word> {
    let mut seen = HashSet::new();
    words.filter(|word| seen.insert(word.clone())).collect()
}

/// The lowercase ASCII word in a token, without the marks of byte-level, SentencePiece and
/// end-of-word vocabularies.
fn latin(token: &str) -> Option<Word> {
    let word = token.strip_prefix(['Ġ', '▁', ' ']).unwrap_or(token);
    let word = word.strip_suffix("</w>").unwrap_or(word);
    let plain = (2..=LETTERS_MAX).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase());
    plain.then(|| Word::Owned(word.into()))
}

/// A token's text when it is nothing but letters.
fn letters(tokenizer: &Tokenizer, id: u32) -> Option<Word> {
    let text = tokenizer.decode(&[id], false).ok()?;
    let text = text.trim();
    let plain = (1..=LETTERS_MAX).contains(&text.chars().count()) && text.chars().all(char::is_alphabetic);
    plain.then(|| Word::Owned(text.into()))
}

fn is_one(tokenizer: &Tokenizer, text: &str) -> bool {
    tokenizer.encode_fast(text, false).is_ok_and(|encoding| encoding.len() == 1)
}

/// Those candidates that are one token each between other words.
fn safe(tokenizer: &Tokenizer, candidates: Vec<Word>) -> Vec<Word> {
    let mut safe: Vec<Word> = Vec::new();
    for batch in candidates.chunks(BATCH) {
        let Some(ones) = ones_in(tokenizer, batch) else { continue };
        safe.extend(batch.iter().zip(ones).filter(|(_, one)| *one).map(|(word, _)| word.clone()));
        if safe.len() >= WORDS_MAX {
            break;
        }
    }
    safe.truncate(WORDS_MAX);
    safe
}

/// For each word of one text, joined with spaces: is it exactly one token, and no other's?
fn ones_in(tokenizer: &Tokenizer, words: &[Word]) -> Option<Vec<bool>> {
    // The first word has no space in front: a copy of it takes that place.
    let mut text = words.first()?.to_string();
    let mut places: Vec<Range<usize>> = Vec::with_capacity(words.len());
    for word in words {
        let space = text.len();
        text.push(' ');
        text.push_str(word);
        places.push(space..text.len());
    }
    let encoding = tokenizer.encode(text.as_str(), false).ok()?;
    let mut tokens = vec![0u32; words.len()];
    let mut strays = vec![false; words.len()];
    for (start, end) in encoding.get_offsets() {
        if start >= end {
            continue;
        }
        let place = places.partition_point(|place| place.end < *end);
        let Some(range) = places.get(place) else { continue };
        if *end <= range.start {
            continue;
        }
        tokens[place] += 1;
        strays[place] |= *start < range.start;
    }
    Some(tokens.iter().zip(strays).map(|(tokens, stray)| *tokens == 1 && !stray).collect())
}
