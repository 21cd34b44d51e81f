//! Count tokens and make text of an exact number of them: before a run and after it, never
//! during.

mod find;
mod real;
#[cfg(test)]
pub(crate) mod sample;
mod vocabulary;
mod words;

use crate::error::Result;
pub use find::{hub_caches, is_hub_name};
pub use real::Real;
use std::path::Path;
use std::sync::Arc;
use words::WordList;

/// A tokenizer, or the built-in word list when there is none.
#[derive(Debug)]
pub enum Tokens {
    /// No tokenizer: prompts are made of common English words, one counted as one token; the
    /// server's count is the truth.
    Words,
    Real(Box<Real>),
}

/// Text that was made, and what it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeText {
    pub text: String,
    /// By the tokenizer; `None` without one. It differs from what was asked only when the
    /// vocabulary cannot make that many.
    pub tokens: Option<u32>,
}

impl Tokens {
    /// Loads a `tokenizer.json`, or the one inside a folder.
    pub fn load(path: &Path) -> Result<Tokens> {
        Ok(Tokens::Real(Box::new(Real::load(path, &path.display().to_string())?)))
    }

    /// What `--tokenizer` means: `none`, a file, a folder, or a hub name that is looked up in
    /// the local hub cache. The second value is a warning to show when a name was not found.
    /// Fails when a file is there but cannot be loaded, or when a path is not there.
    pub fn find(name: &str) -> Result<(Tokens, Option<String>)> {
        find::find(name, |variable| std::env::var_os(variable))
    }

    /// Tokens of `text` without special tokens; `None` without a tokenizer, or when the
    /// tokenizer has no token for some of it.
    pub fn count(&self, text: &str) -> Option<u32> {
        match self {
            Tokens::Words => None,
            Tokens::Real(real) => real.count(text),
        }
    }

    /// Tokens of each text, as [`Tokens::count`], on all cores.
    pub fn count_batch<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Vec<Option<u32>> {
        let Tokens::Real(real) = self else { return vec![None; texts.len()] };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut counts = vec![None; texts.len()];
        let share = texts.len().div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            for (texts, counts) in texts.chunks(share).zip(counts.chunks_mut(share)) {
                scope.spawn(move || {
                    for (text, count) in texts.iter().zip(counts) {
                        *count = real.count(text.as_ref());
                    }
                });
            }
        });
        counts
    }

    /// Text of exactly `n` tokens before BOS and chat template (with the word list: `n` words).
    pub fn text(&self, n: u32, rng: &mut impl rand::Rng) -> String {
        self.after("", n, rng).text
    }

    /// Text that, put behind `before`, adds exactly `n` tokens. It begins with what separates
    /// the two. [`MadeText::tokens`] counts the new part alone.
    ///
    /// ```
    /// use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
    /// let rng = &mut ChaCha8Rng::seed_from_u64(0);
    /// let more = rampant::tokens::Tokens::Words.after("once upon", 3, rng);
    /// assert!(more.text.starts_with(' '));
    /// assert_eq!(more.text.split_whitespace().count(), 3);
    /// ```
    pub fn after(&self, before: &str, n: u32, rng: &mut impl rand::Rng) -> MadeText {
        match self {
            Tokens::Words => {
                let words = WordList::common();
                let drawn = words.draw(n as usize, before.is_empty(), rng);
                MadeText { text: words.join(before, &drawn), tokens: None }
            }
            Tokens::Real(real) => real.after(before, n, rng),
        }
    }

    /// Text of exactly `n` tokens that many requests share: the same generator state and `n`
    /// give the same text, which is made once and kept.
    pub fn shared(&self, n: u32, rng: &mut impl rand::Rng) -> Arc<MadeText> {
        match self {
            Tokens::Words => {
                // Real text takes this number as its key: the rest is then drawn alike.
                let _: u128 = rng.random();
                Arc::new(self.after("", n, rng))
            }
            Tokens::Real(real) => real.shared(n, rng),
        }
    }

    /// The name for manifests and reports: `none`, or what the tokenizer was asked for by.
    pub fn name(&self) -> String {
        match self {
            Tokens::Words => "none".into(),
            Tokens::Real(real) => real.name().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    #[test]
    fn without_a_tokenizer_a_word_is_a_token_and_nothing_is_counted() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        for n in [0, 1, 2, 500] {
            assert_eq!(Tokens::Words.text(n, rng).split_whitespace().count(), n as usize);
        }
        assert_eq!(Tokens::Words.count("one two"), None);
        assert_eq!(Tokens::Words.count_batch(&["one", "two"]), [None, None]);
        assert_eq!(Tokens::Words.name(), "none");
    }

    #[test]
    fn a_batch_counts_as_one_by_one() {
        let tokens = sample::byte_level();
        let texts: Vec<String> = (0..7).map(|n| "the cat ".repeat(n)).collect();
        let one_by_one: Vec<_> = texts.iter().map(|text| tokens.count(text)).collect();
        assert_eq!(tokens.count_batch(&texts), one_by_one);
        assert!(one_by_one.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(tokens.count_batch::<String>(&[]), []);
    }
}
