//! `Real`: a loaded tokenizer, and text of an exact count by it.

use super::MadeText;
use super::vocabulary;
use super::words::WordList;
use crate::error::{Error, Result};
use rand::{Rng, RngCore};
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokenizers::Tokenizer;

/// A loaded tokenizer with its vocabulary of safe words.
pub struct Real {
    name: String,
    tokenizer: Tokenizer,
    /// Built when the first text is made: counting alone does not need it.
    words: OnceLock<WordList>,
    shared: Mutex<Shared>,
}

/// Shared texts that were made, by their length and their generator.
#[derive(Default)]
struct Shared {
    texts: HashMap<(u32, u128), Arc<MadeText>>,
    bytes: usize,
}

/// Most bytes of a tokenizer's file; the largest known have a tenth of it.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Most texts tried for one count.
const TRIES: u32 = 24;
/// Words of the text in front that are encoded again to verify what follows.
const NEIGHBOURS: usize = 8;
/// Bytes of shared texts that are kept: a long series of runs makes more and more of them.
const SHARED_BYTES_MAX: usize = 64 << 20;

impl Real {
    /// Loads a `tokenizer.json`, or the one inside a folder.
    pub(super) fn load(path: &Path, name: &str) -> Result<Real> {
        let shown = path.display();
        let hint = "give a tokenizer.json, a folder that holds one, or none";
        if !path.exists() {
            return Err(Error::usage(format!("cannot load tokenizer \"{shown}\": no such file")).hint(hint));
        }
        let file = if path.is_dir() { path.join("tokenizer.json") } else { path.to_path_buf() };
        if !file.exists() {
            return Err(Error::usage(format!(
                "cannot load tokenizer: no tokenizer.json in folder \"{shown}\""
            ))
            .hint(hint));
        }
        let bytes = crate::os::file::read(&file, FILE_BYTES_MAX)
            .map_err(|e| Error::usage(format!("cannot read tokenizer \"{}\": {e}", file.display())))?;
        Real::parse(&bytes, name).map_err(|problem| {
            Error::usage(format!("cannot load tokenizer \"{}\": {problem}", file.display())).hint(
                "the file must be a tokenizer.json in the format of the Hugging Face tokenizers library",
            )
        })
    }

    pub(super) fn parse(bytes: &[u8], name: &str) -> std::result::Result<Real, String> {
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|e| e.to_string())?;
        if tokenizer.get_vocab_size(true) == 0 {
            return Err("its vocabulary is empty".into());
        }
        // A file may ask for cutting or filling up to a length: that is not the text's count.
        tokenizer.with_truncation(None).map_err(|e| e.to_string())?;
        tokenizer.with_padding(None);
        Ok(Real { name: name.to_string(), tokenizer, words: OnceLock::new(), shared: Mutex::default() })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn count(&self, text: &str) -> Option<u32> {
        let encoding = self.tokenizer.encode_fast(text, false).ok()?;
        u32::try_from(encoding.len()).ok()
    }

    /// The words that text is made of.
    pub(super) fn words(&self) -> &WordList {
        self.words.get_or_init(|| vocabulary::build(&self.tokenizer))
    }

    pub(super) fn shared(&self, n: u32, rng: &mut impl Rng) -> Arc<MadeText> {
        let key = (n, rng.random::<u128>());
        let lock = || self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = lock().texts.get(&key) {
            return made.clone();
        }
        let made = Arc::new(self.after("", n, rng));
        let mut shared = lock();
        if shared.bytes > SHARED_BYTES_MAX {
            *shared = Shared::default();
        }
        shared.bytes += made.text.len();
        shared.texts.insert(key, made.clone());
        made
    }

    /// Draws words, counts the text, and corrects it until it adds exactly `n` tokens behind
    /// `before`; the nearest text when the vocabulary does not allow it.
    pub(super) fn after(&self, before: &str, n: u32, rng: &mut dyn RngCore) -> MadeText {
        let words = self.words();
        let context = if words.local { tail(before) } else { before };
        let base = i64::from(self.count(context).unwrap_or(0));
        let mut drawn = words.draw(n as usize, before.is_empty(), rng);
        let mut best: Option<(i64, MadeText)> = None;
        for attempt in 0..TRIES {
            let text = words.join(before, &drawn);
            let Some(whole) = self.count(&[context, &text].concat()) else {
                return MadeText { text, tokens: None };
            };
            let tokens = i64::from(whole) - base;
            let missing = i64::from(n) - tokens;
            if best.as_ref().is_none_or(|(least, _)| missing.abs() < *least) {
                best = Some((missing.abs(), MadeText { text, tokens: u32::try_from(tokens).ok() }));
            }
            // A tokenizer that finds no token in words would be given more and more of them.
            if missing == 0 || tokens <= 0 {
                break;
            }
            correct(&mut drawn, missing, tokens, attempt, |opens| {
                words.pick(opens && before.is_empty(), rng)
            });
        }
        best.map_or(MadeText { text: String::new(), tokens: Some(0) }, |(_, made)| made)
    }
}

/// Makes `drawn`, which counted `tokens`, longer or shorter by about `missing` tokens. Later
/// attempts change the last words as well, for another chance at the same length.
fn correct<'a>(
    drawn: &mut Vec<&'a str>,
    missing: i64,
    tokens: i64,
    attempt: u32,
    mut pick: impl FnMut(bool) -> &'a str,
) {
    let words = (missing.abs() * drawn.len().max(1) as i64 / tokens.max(1)).max(1) as usize;
    if missing < 0 {
        drawn.truncate(drawn.len().saturating_sub(words).max(1));
    }
    if attempt > 0 {
        let from = drawn.len().saturating_sub(attempt as usize);
        for (place, word) in drawn.iter_mut().enumerate().skip(from) {
            *word = pick(place == 0);
        }
    }
    if missing > 0 {
        for _ in 0..words {
            let word = pick(drawn.is_empty());
            drawn.push(word);
        }
    }
}

/// The last few words of a text.
fn tail(text: &str) -> &str {
    text.rmatch_indices(' ').nth(NEIGHBOURS).map_or(text, |(space, _)| &text[space + 1..])
}

impl fmt::Debug for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Real").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{Tokens, sample};
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(11)
    }

    fn kinds() -> [(&'static str, Tokens); 8] {
        [
            ("byte level", sample::byte_level()),
            ("sentence piece", sample::sentence_piece()),
            ("word level", sample::word_level()),
            ("unigram", sample::unigram()),
            ("english word piece", sample::english_word_piece()),
            ("chinese word piece", sample::chinese_word_piece()),
            ("letters", sample::letters()),
            ("pairs", sample::pairs()),
        ]
    }

    /// A vocabulary in which no word has a token.
    const BARREN: &str =
        r#"{"version":"1.0","added_tokens":[],"model":{"type":"BPE","vocab":VOCAB,"merges":[]}}"#;

    #[test]
    fn a_tokenizer_without_a_vocabulary_is_refused() {
        let error = Real::parse(BARREN.replace("VOCAB", "{}").as_bytes(), "x").expect_err("refused");
        assert_eq!(error, "its vocabulary is empty");
    }

    #[test]
    fn a_tokenizer_that_counts_no_word_ends_the_search_for_text() {
        let real = Real::parse(BARREN.replace("VOCAB", r#"{"☃":0}"#).as_bytes(), "x").expect("a tokenizer");
        assert_eq!(real.after("", 10_000, &mut rng()).tokens, Some(0));
    }

    #[test]
    fn text_has_exactly_the_asked_tokens_for_every_kind_of_tokenizer() {
        let rng = &mut rng();
        for (kind, tokens) in kinds() {
            for n in [0, 1, 2, 3, 16, 300] {
                let made = tokens.after("", n, rng);
                assert_eq!((tokens.count(&made.text), made.tokens), (Some(n), Some(n)), "{kind}");
                assert_eq!(tokens.count(&tokens.text(n, rng)), Some(n), "{kind}");
            }
        }
    }

    #[test]
    fn text_after_a_prefix_adds_exactly_the_asked_tokens() {
        let rng = &mut rng();
        for (kind, tokens) in kinds() {
            for (prefix, n) in [(1, 1), (7, 5), (120, 31)] {
                let before = tokens.shared(prefix, rng);
                let own = tokens.after(&before.text, n, rng);
                assert_eq!(own.tokens, Some(n), "{kind}");
                assert_eq!(
                    tokens.count(&[before.text.as_str(), &own.text].concat()),
                    Some(prefix + n),
                    "{kind}"
                );
            }
        }
    }

    #[test]
    fn a_count_that_cannot_be_met_gives_the_nearest() {
        let tokens = sample::twos();
        let made = tokens.after("", 7, &mut rng());
        let counted = made.tokens.expect("counted");
        assert_eq!(tokens.count(&made.text), Some(counted));
        assert!(counted == 6 || counted == 8, "{counted}");
    }

    #[test]
    fn a_tokenizer_that_knows_the_common_words_gives_the_text_of_none() {
        let (real, none) = (sample::word_level(), Tokens::Words);
        assert_eq!(real.text(300, &mut rng()), none.text(300, &mut rng()));
        assert_eq!(real.shared(300, &mut rng()).text, none.shared(300, &mut rng()).text);
    }

    #[test]
    fn text_that_the_tokenizer_has_no_token_for_is_not_counted() {
        assert_eq!(sample::word_level().count("the xyzzy"), None);
        assert_eq!(sample::word_level().count("the house"), Some(2));
    }

    #[test]
    fn shared_text_depends_on_the_generator_alone() {
        let (one, other) = (sample::byte_level(), sample::byte_level());
        let first = one.shared(40, &mut rng());
        assert!(Arc::ptr_eq(&first, &one.shared(40, &mut rng())), "it is made once");
        assert_eq!(first, other.shared(40, &mut rng()));
        assert_ne!(first, one.shared(40, &mut ChaCha8Rng::seed_from_u64(12)));
        assert_eq!(one.shared(41, &mut rng()).tokens, Some(41));
    }

    #[test]
    fn what_is_not_a_tokenizer_is_named_in_a_sentence() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().display();
        let message = |path: &Path| Tokens::load(path).expect_err("no tokenizer").message;
        assert_eq!(
            message(folder.path()),
            format!("cannot load tokenizer: no tokenizer.json in folder \"{path}\"")
        );
        let missing = folder.path().join("missing.json");
        assert_eq!(message(&missing), format!("cannot load tokenizer \"{path}/missing.json\": no such file"));
        let other = folder.path().join("tokenizer.json");
        for text in ["{\"model\": 1}", "not json", ""] {
            std::fs::write(&other, text).expect("written");
            let message = message(folder.path());
            assert!(
                message.starts_with(&format!("cannot load tokenizer \"{path}/tokenizer.json\": ")),
                "{message}"
            );
        }
    }
}
