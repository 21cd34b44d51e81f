//! Everything random, as a pure function of (seed, cell, stream, sequence number): never of
//! thread, rank or time.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// A family of random streams for one purpose in one cell.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u8; 32],
}

impl Stream {
    /// `cell` is the run's name, `stream` the purpose, such as `"arrivals"`.
    pub fn new(seed: u64, cell: &str, stream: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update((cell.len() as u64).to_le_bytes());
        hash.update(cell.as_bytes());
        hash.update(stream.as_bytes());
        Stream { key: hash.finalize().into() }
    }

    /// The generator of sequence number `seq`.
    pub fn at(&self, seq: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::from_seed(self.key);
        rng.set_stream(seq);
        rng
    }
}
