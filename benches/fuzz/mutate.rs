//! An input: samples of a format, broken at random.

use crate::readers::Reader;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Longest input, bytes.
const BYTES_MAX: usize = 256 << 10;

/// Words that parsers stumble over.
const WORDS: &[&[u8]] = &[
    b"\"",
    b"\"\"",
    b"'",
    b",",
    b";",
    b"\t",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\\",
    b"\\u",
    b"\\ud800",
    b"\\u0000",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[",
    b"{}",
    b":",
    b"null",
    b"true",
    b"-0",
    b"1e999",
    b"-1",
    b"NaN",
    b"9223372036854775808",
    b"18446744073709551616",
    b"0.1e-400",
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x98\x80",
    b"\xed\xa0\x80",
    b"data: ",
    b"event: error\n",
    b"[DONE]",
    b"PAR1",
    b"\x1f\x8b",
    b"&a *a",
    b"<<: *x",
    b"!!binary",
    b"ffffffffffffffff\r\n",
];

/// Input `number` of a reader. Number 0 to the last sample are the samples as they are.
pub fn input(reader: &Reader, number: u64) -> Vec<u8> {
    let samples = &reader.samples;
    if let Some(sample) = usize::try_from(number).ok().and_then(|number| samples.get(number)) {
        return reader.packed(sample.clone());
    }
    let name =
        reader.name.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut rng = ChaCha8Rng::seed_from_u64(number ^ (name << 32));
    let mut bytes = samples.choose(&mut rng).cloned().unwrap_or_default();
    for _ in 0..1 << rng.random_range(0..4) {
        change(&mut bytes, samples, &mut rng);
        bytes.truncate(BYTES_MAX);
    }
    let packed = reader.packed(bytes);
    if !reader.gzip || rng.random_bool(0.8) {
        return packed;
    }
    let mut broken = packed;
    change(&mut broken, &[], &mut rng);
    broken
}

fn change(bytes: &mut Vec<u8>, samples: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    let at = place(bytes.len(), rng);
    let to = (at + 1 + length(rng)).min(bytes.len());
    match rng.random_range(0..13) {
        0 => set(bytes, at, |byte| byte ^ (1 << (at % 8))),
        1 => {
            let value = *[0, 1, 0x7f, 0x80, 0xff, b'0', b'9', b' '].choose(rng).unwrap_or(&0);
            set(bytes, at, |_| value);
        }
        2 => {
            let value = rng.random();
            set(bytes, at, |_| value);
        }
        3 => drop(bytes.drain(at..to)),
        4 => {
            let part = bytes[at..to].to_vec();
            let times = 1 << rng.random_range(0..8);
            insert(bytes, at, &part.repeat(times));
        }
        5 => bytes.truncate(at),
        6..=8 => {
            let times = if rng.random_bool(0.05) { 1 << rng.random_range(0..14) } else { 1 };
            insert(bytes, at, &WORDS.choose(rng).unwrap_or(&WORDS[0]).repeat(times));
        }
        9 => {
            let word = *WORDS.choose(rng).unwrap_or(&WORDS[0]);
            bytes.splice(at..to, word.iter().copied());
        }
        10 => number(bytes, at, rng),
        11 => {
            if let Some(other) = samples.choose(rng) {
                let from = place(other.len(), rng);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
        _ => {
            let other = place(bytes.len(), rng);
            let part = bytes[at..to].to_vec();
            insert(bytes, other, &part);
        }
    }
}

/// Ends of a file, which hold lengths and footers, are as likely as its middle.
fn place(length: usize, rng: &mut ChaCha8Rng) -> usize {
    let within = |most: usize, rng: &mut ChaCha8Rng| rng.random_range(0..=most.min(length));
    match rng.random_range(0..4) {
        0 => length - within(600, rng),
        1 => within(64, rng),
        _ => within(length, rng),
    }
}

fn length(rng: &mut ChaCha8Rng) -> usize {
    let most = 1 << rng.random_range(0..10);
    rng.random_range(0..most)
}

fn set(bytes: &mut [u8], at: usize, to: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = to(*byte);
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    if bytes.len() + part.len() <= BYTES_MAX {
        bytes.splice(at..at, part.iter().copied());
    }
}

/// Another number in the place of the next one.
fn number(bytes: &mut Vec<u8>, from: usize, rng: &mut ChaCha8Rng) {
    let Some(start) = bytes[from..].iter().position(u8::is_ascii_digit).map(|at| from + at) else { return };
    let end =
        bytes[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |at| start + at);
    let new = match rng.random_range(0..5) {
        0 => "0".to_string(),
        1 => u64::MAX.to_string(),
        2 => rng.random::<u32>().to_string(),
        3 => "9".repeat(rng.random_range(1..400)),
        _ => format!("{:e}", rng.random::<f64>() * 1e300),
    };
    bytes.splice(start..end, new.bytes());
}
