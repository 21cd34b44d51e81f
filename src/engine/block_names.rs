//! `BlockNames`: whole blocks of tokens, each known by all tokens from the beginning of its prompt on.

/// The tokens of a text as the names of its whole blocks, each of which depends on all tokens before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockNames {
    block: u32,
    /// Tokens behind the last whole block.
    filled: u32,
    chain: u64,
    names: Vec<u64>,
}

impl BlockNames {
    /// Of no tokens, in blocks of so many.
    pub fn new(block: u32) -> Self {
        BlockNames { block, filled: 0, chain: 0, names: Vec::new() }
    }

    /// The names of the whole blocks, in their order.
    pub fn names(&self) -> &[u64] {
        &self.names
    }

    /// Adds a token, which is known by a number.
    pub fn push(&mut self, token: u64) {
        // SplitMix64's finalizer: each bit depends on every bit before it.
        let mut bits = self.chain.wrapping_add(0x9E37_79B9_7F4A_7C15) ^ token;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        self.chain = bits ^ (bits >> 31);
        self.filled += 1;
        if self.filled == self.block {
            self.filled = 0;
            self.names.push(self.chain);
        }
    }

    /// What follows is said by another: its first token is another than that of the same words by somebody
    /// else. A template's own tokens are not counted.
    pub fn speaks(&mut self, speaker: &str) {
        self.chain ^= number_of(speaker);
    }

    /// Adds the words of a text, each of which is a token.
    pub fn words(&mut self, text: &str) {
        text.split_whitespace().for_each(|word| self.push(number_of(word)));
    }
}

/// FNV-1a.
fn number_of(word: &str) -> u64 {
    let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    word.bytes().fold(0xcbf2_9ce4_8422_2325, add)
}
