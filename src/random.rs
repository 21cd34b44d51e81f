//! Everything random, as a pure function of (seed, traffic, stream, sequence number): never of
//! thread, rank or time.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// A family of random streams for one purpose in one traffic.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u8; 32],
}

impl Stream {
    /// `traffic` is the plan's key (the run's name unless it says another), `stream` the purpose,
    /// such as `"arrivals"`.
    pub fn new(seed: u64, traffic: &str, stream: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update((traffic.len() as u64).to_le_bytes());
        hash.update(traffic.as_bytes());
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

/// A random order of `0..len`, known at each place without storing it.
///
/// A keyed Feistel network on the next power of four, walked until the value falls below
/// `len`; that is at most four steps on average.
#[derive(Debug, Clone)]
pub struct Shuffle {
    keys: [u64; 8],
    half: u32,
    len: u64,
}

impl Shuffle {
    /// The order that `rng` draws.
    pub fn new(len: u64, rng: &mut impl Rng) -> Self {
        let bits = u64::BITS - len.saturating_sub(1).leading_zeros();
        Shuffle { keys: rng.random(), half: bits.div_ceil(2).max(1), len }
    }

    /// The value at `place`, which must be below the length.
    pub fn at(&self, place: u64) -> u64 {
        assert!(place < self.len, "place {place} of {}", self.len);
        let mut value = place;
        loop {
            value = self.permute(value);
            if value < self.len {
                return value;
            }
        }
    }

    fn permute(&self, value: u64) -> u64 {
        let mask = (1 << self.half) - 1;
        let (mut left, mut right) = (value >> self.half, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half | right
    }
}

/// The finalizer of SplitMix64: every bit of the result depends on every bit of the value.
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_depends_on_seed_traffic_stream_and_sequence_number() {
        let draw = |seed, traffic, stream, seq| Stream::new(seed, traffic, stream).at(seq).random::<u64>();
        let one = draw(1, "a", "x", 5);
        assert_eq!(one, draw(1, "a", "x", 5));
        for other in [draw(2, "a", "x", 5), draw(1, "b", "x", 5), draw(1, "a", "y", 5), draw(1, "a", "x", 6)]
        {
            assert_ne!(one, other);
        }
        assert_ne!(draw(1, "ab", "c", 0), draw(1, "a", "bc", 0));
    }

    #[test]
    fn a_shuffle_holds_every_value_once() {
        let stream = Stream::new(0, "cell", "rows");
        for len in (1..70).chain([1000, 4096, 4097]) {
            let shuffle = Shuffle::new(len, &mut stream.at(len));
            let mut order: Vec<u64> = (0..len).map(|place| shuffle.at(place)).collect();
            order.sort_unstable();
            assert_eq!(order, (0..len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_value_is_as_likely_at_every_place() {
        let stream = Stream::new(0, "cell", "rows");
        for len in [2, 3, 7] {
            let mut seen = vec![vec![0u32; len]; len];
            for seq in 0..6000 {
                let shuffle = Shuffle::new(len as u64, &mut stream.at(seq));
                for (place, counts) in seen.iter_mut().enumerate() {
                    counts[shuffle.at(place as u64) as usize] += 1;
                }
            }
            let expected = 6000.0 / len as f64;
            let near = |count: &u32| (f64::from(*count) - expected).abs() < 5.0 * expected.sqrt();
            assert!(seen.iter().flatten().all(near), "{seen:?}");
        }
    }
}
