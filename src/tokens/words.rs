//! `WordList`: what text is made of, and how a text is drawn from it.

use rand::{Rng, RngCore};
use std::borrow::Cow;
use std::sync::LazyLock;

/// One of the common words, which are part of the program, or one of a vocabulary.
pub(super) type Word = Cow<'static, str>;

/// Words of which each should be one token where it stands.
#[derive(Debug)]
pub(super) struct WordList {
    /// Words that are one token at the start of a text.
    pub(super) openers: Vec<Word>,
    /// Words that are one token after another word.
    pub(super) others: Vec<Word>,
    /// What stands between two words.
    pub(super) glue: &'static str,
    /// A word's tokens depend on its near neighbours only.
    pub(super) local: bool,
}

/// Common English words. Each is one token after a space in the vocabularies of Llama 2 and 3,
/// Qwen 3, Gemma 3, DeepSeek V3, SmolLM 2 and Claude 2; those before the blank line are one
/// token at the start of a text too.
static COMMON: LazyLock<WordList> = LazyLock::new(|| {
    let list = include_str!("words.txt");
    let openers = list.split("\n\n").next().unwrap_or(list);
    let words = |part: &'static str| part.split_whitespace().map(Cow::Borrowed).collect();
    WordList { openers: words(openers), others: words(list), glue: " ", local: true }
});

impl WordList {
    pub(super) fn common() -> &'static WordList {
        &COMMON
    }

    /// `n` words; the first opens a text if `opens` says so.
    pub(super) fn draw(&self, n: usize, opens: bool, rng: &mut dyn RngCore) -> Vec<&str> {
        let mut words = Vec::with_capacity(n);
        if opens && n > 0 {
            words.push(self.pick(true, rng));
        }
        while words.len() < n {
            words.push(self.pick(false, rng));
        }
        words
    }

    pub(super) fn pick(&self, opens: bool, rng: &mut dyn RngCore) -> &str {
        let from = if opens && !self.openers.is_empty() { &self.openers } else { &self.others };
        &from[rng.random_range(0..from.len())]
    }

    /// The words as text that follows `before`.
    pub(super) fn join(&self, before: &str, words: &[&str]) -> String {
        let text = words.join(self.glue);
        match before.is_empty() || words.is_empty() {
            true => text,
            false => [self.glue, &text].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_list_is_many_short_lowercase_words_without_repeats() {
        let words = WordList::common();
        assert!(words.others.len() >= 1000 && words.openers.len() >= 1000);
        assert!(words.others.len() > words.openers.len());
        assert_eq!(words.others.iter().collect::<HashSet<_>>().len(), words.others.len());
        let plain = |word: &str| word.len() <= 16 && word.bytes().all(|b| b.is_ascii_lowercase());
        assert!(words.others.iter().all(|word| plain(word)));
    }
}
