//! `PrefixCache`: blocks of prompts that were read before, as engines keep them: a block is known by all
//! tokens from the beginning of its prompt on, and the blocks that nobody has asked for longest go first.
//!
//! Only what is known is kept, and nothing of the tokens themselves. Requests under way hold no blocks.

use std::collections::HashMap;

use crate::engine::Config;
use crate::engine::block_names::BlockNames;
use crate::engine::generation::Generation;
use crate::engine::generation_request::GenerationRequest;
use crate::engine::text;

/// What a request brings to a slot.
pub struct Prompt {
    pub tokens: u32,
    pub known: Option<Box<KnownPrompt>>,
}

impl Prompt {
    /// That of generation `number`.
    pub fn of(ask: &GenerationRequest, course: &Generation, number: u64) -> Prompt {
        let known = ask.blocks.as_ref().map(|blocks| {
            let (blocks, with_text) = (blocks.clone(), course.tokens_with_text());
            Box::new(KnownPrompt { blocks, chat: ask.chat, number, with_text })
        });
        Prompt { tokens: ask.prompt_tokens, known }
    }
}

/// A prompt whose blocks have names, and what the reply to it will be.
pub struct KnownPrompt {
    pub blocks: BlockNames,
    /// The reply is a message of its own.
    pub chat: bool,
    /// Of the generation.
    pub number: u64,
    /// Tokens of the reply that have text.
    pub with_text: u32,
}

/// A prompt that has a slot, and how much of its reply was made.
pub struct Reading {
    known: Option<Box<KnownPrompt>>,
    /// Tokens of the prompt that were in the cache.
    pub cached: u32,
    made: u32,
}

impl Reading {
    /// Looks a prompt up. Its last token is never taken from the cache: what follows it has to be computed.
    pub fn begin(prompt: Prompt, cache: &mut Option<PrefixCache>) -> Reading {
        let cached = match (&prompt.known, cache) {
            (Some(known), Some(cache)) => {
                let most = prompt.tokens.saturating_sub(1) / cache.block;
                let names = known.blocks.names();
                cache.find(&names[..names.len().min(most as usize)]) * cache.block
            }
            _ => 0,
        };
        Reading { known: prompt.known, cached, made: 0 }
    }

    /// A token was made; with the first one the whole prompt has been read.
    pub fn made_one(&mut self, cache: &mut Option<PrefixCache>) {
        self.made += 1;
        if let (1, Some(known), Some(cache)) = (self.made, &self.known, cache) {
            cache.keep(known.blocks.names());
        }
    }

    /// The request is over: the next turn of its conversation finds the reply, too.
    pub fn ended(&mut self, cache: &mut Option<PrefixCache>) {
        if let (1.., Some(known), Some(cache)) = (self.made, self.known.take(), cache) {
            let mut blocks = known.blocks;
            if known.chat {
                blocks.speaks("assistant");
            }
            for index in 0..self.made.min(known.with_text) {
                blocks.words(text::word(known.number, index));
            }
            cache.keep(blocks.names());
        }
    }
}

/// See the file's head.
pub struct PrefixCache {
    block: u32,
    capacity: usize,
    places: HashMap<u64, usize>,
    /// A ring in the order of use; place 0 stands between the newest and the oldest.
    ring: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    name: u64,
    older: usize,
    newer: usize,
}

impl PrefixCache {
    /// That of a configuration; `None`: it has none.
    pub fn of(config: &Config) -> Option<PrefixCache> {
        (config.cache > 0).then(|| PrefixCache::new(config.block, config.cache))
    }

    fn new(block: u32, capacity: usize) -> PrefixCache {
        let between = Place { name: 0, older: 0, newer: 0 };
        PrefixCache { block, capacity, places: HashMap::new(), ring: vec![between] }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = PrefixCache::new(self.block, self.capacity);
    }

    /// How many of these blocks are there, from the first one on. They have been used now.
    fn find(&mut self, names: &[u64]) -> u32 {
        let found: Vec<usize> = names.iter().map_while(|name| self.places.get(name).copied()).collect();
        // The last block of a prompt is of use to the fewest others: it is the oldest of them.
        found.iter().rev().for_each(|place| self.use_now(*place));
        found.len() as u32
    }

    /// These blocks, one behind the other, have been used now. Those that were used longest ago make room.
    fn keep(&mut self, names: &[u64]) {
        for name in names.iter().take(self.capacity).rev() {
            let place = match self.places.get(name).copied() {
                Some(place) => place,
                None if self.places.len() < self.capacity => {
                    self.ring.push(Place { name: *name, older: 0, newer: 0 });
                    let place = self.ring.len() - 1;
                    (self.ring[place].older, self.ring[place].newer) = (place, place);
                    self.places.insert(*name, place);
                    place
                }
                None => {
                    let oldest = self.ring[0].newer;
                    self.places.remove(&self.ring[oldest].name);
                    self.ring[oldest].name = *name;
                    self.places.insert(*name, oldest);
                    oldest
                }
            };
            self.use_now(place);
        }
    }

    /// Takes a place out of the ring, and puts it in as the newest.
    fn use_now(&mut self, place: usize) {
        let Place { older, newer, .. } = self.ring[place];
        self.ring[older].newer = newer;
        self.ring[newer].older = older;
        let newest = self.ring[0].older;
        self.ring[newest].newer = place;
        (self.ring[place].older, self.ring[place].newer) = (newest, 0);
        self.ring[0].older = place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, block: u32) -> Vec<u64> {
        let mut names = BlockNames::new(block);
        names.words(text);
        names.names().to_vec()
    }

    #[test]
    fn a_block_is_known_by_all_that_stands_before_it() {
        let one = names("a b c d e f g h i", 4);
        assert_eq!(one.len(), 2, "whole blocks alone");
        assert_eq!(names("a b c d e f g h", 4), one);
        let other = names("x b c d e f g h", 4);
        assert!(other.iter().all(|name| !one.contains(name)), "the same words behind others are others");
        assert_eq!(names("a b c d e x g h", 4)[0], one[0]);
        assert_ne!(names("a b c d e x g h", 4)[1], one[1]);
    }

    #[test]
    fn the_blocks_that_nobody_has_asked_for_longest_go_first() {
        let mut cache = PrefixCache::new(1, 4);
        let [ab, ac, d] = ["a b", "a c", "d"].map(|text| names(text, 1));
        cache.keep(&ab);
        cache.keep(&ac);
        assert_eq!(cache.places.len(), 3, "what two share is there once");
        assert_eq!((cache.find(&ab), cache.find(&ac)), (2, 2));
        cache.keep(&d);
        cache.keep(&names("e", 1));
        assert_eq!((cache.find(&ab), cache.find(&ac)), (1, 2), "b was asked for longest ago");
        cache.keep(&names("f g", 1));
        assert_eq!((cache.find(&d), cache.find(&ac)), (0, 2));
        cache.clear();
        assert_eq!(cache.find(&ac), 0);
    }

    #[test]
    fn of_a_prompt_longer_than_the_cache_its_beginning_stays() {
        let mut cache = PrefixCache::new(2, 3);
        let long = names("a b c d e f g h i j", 2);
        cache.keep(&long);
        assert_eq!(cache.find(&long), 3);
        cache.keep(&names("x y", 2));
        assert_eq!(cache.find(&long), 2, "its end goes first");
    }

    /// The same by a list that is searched from end to end.
    #[test]
    fn a_thousand_prompts_leave_what_a_plain_list_says() {
        let mut cache = PrefixCache::new(1, 20);
        let mut list: Vec<u64> = Vec::new();
        for n in 0..1_000_u64 {
            let text = format!("{} {} {} {}", n % 3, n % 7, n * n % 11, n % 2);
            let names = names(&text, 1);
            let plain = names.iter().take_while(|name| list.contains(name)).count();
            assert_eq!(cache.find(&names), plain as u32, "{n}");
            for name in names[..plain].iter().rev().chain(names.iter().rev()) {
                list.retain(|other| other != name);
                list.push(*name);
            }
            list.drain(..list.len().saturating_sub(20));
            cache.keep(&names);
        }
    }

    #[test]
    fn the_last_token_of_a_prompt_is_always_computed() {
        let mut cache = Some(PrefixCache::new(4, 100));
        let begin = |text: &str, cache: &mut Option<PrefixCache>| {
            let mut blocks = BlockNames::new(4);
            blocks.words(text);
            let known = KnownPrompt { blocks, chat: false, number: 3, with_text: 2 };
            let tokens = text.split_whitespace().count() as u32;
            Reading::begin(Prompt { tokens, known: Some(Box::new(known)) }, cache)
        };
        let mut first = begin("a b c d e f g h", &mut cache);
        assert_eq!(first.cached, 0);
        first.made_one(&mut cache);
        assert_eq!(begin("a b c d e f g h", &mut cache).cached, 4, "not all eight");
        assert_eq!(begin("a b c d e f g h i", &mut cache).cached, 8);
        first.made_one(&mut cache);
        first.ended(&mut cache);
        let reply = [text::word(3, 0), text::word(3, 1)].concat();
        assert_eq!(begin(&format!("a b c d e f g h{reply} y z and more"), &mut cache).cached, 8);
        let mut second = begin("a b c d e f", &mut cache);
        (0..2).for_each(|_| second.made_one(&mut cache));
        second.ended(&mut cache);
        assert_eq!(
            begin(&format!("a b c d e f{reply} more"), &mut cache).cached,
            8,
            "with the reply's words"
        );
    }
}
