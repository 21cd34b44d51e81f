//! Count tokens and make text of an exact number of them: before a run and after it, never
//! during.

use crate::error::Result;
use std::path::Path;

/// A tokenizer, or the built-in word list when there is none.
#[derive(Debug)]
pub enum Tokens {
    /// No tokenizer: prompts are made of common English words, one counted as one token; the
    /// server's count is the truth.
    Words,
    Real(Box<Real>),
}

/// A loaded tokenizer with its vocabulary of safe words.
#[derive(Debug)]
pub struct Real {
    _private: (),
}

impl Tokens {
    /// Loads a `tokenizer.json`, or the one inside a folder.
    pub fn load(_path: &Path) -> Result<Tokens> {
        todo!()
    }

    /// What `--tokenizer` means: `none`, a file, a folder, or a hub name that is looked up in
    /// the local hub cache. The second value is a warning to show when a name was not found.
    pub fn find(_name: &str) -> Result<(Tokens, Option<String>)> {
        todo!()
    }

    /// Tokens of `text` without special tokens; `None` without a tokenizer.
    pub fn count(&self, _text: &str) -> Option<u32> {
        todo!()
    }

    /// Text of exactly `n` tokens before BOS and chat template (with the word list: `n` words).
    pub fn text(&self, _n: u32, _rng: &mut impl rand::Rng) -> String {
        todo!()
    }

    /// The name for manifests and reports.
    pub fn name(&self) -> String {
        todo!()
    }
}
