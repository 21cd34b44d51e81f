//! `runs`, `deltas`, `plain`: numbers of a page, in the encodings of `pack.rs`, and as they are. Bytes that are none, or
//! too few, are `None`; nothing larger than what was asked for is made of them.

/// Numbers of the hybrid encoding, below 2^`width`: `each` is given them in order, a value and how often it comes,
/// until there were `count`.
pub(super) fn runs(
    mut bytes: &[u8],
    width: u32,
    mut count: usize,
    mut each: impl FnMut(u32, usize),
) -> Option<()> {
    if width > u32::BITS {
        return None;
    }
    while count > 0 {
        let header = varint(&mut bytes)?;
        let length = usize::try_from(header >> 1).ok()?;
        if header & 1 == 0 {
            let value = take(&mut bytes, width.div_ceil(8) as usize)?;
            let value = value.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
            let some = length.min(count);
            if some == 0 {
                return None;
            }
            each(value, some);
            count -= some;
            continue;
        }
        // Groups of eight, whose last one is filled up.
        for _ in 0..length {
            let group = take(&mut bytes, width as usize)?;
            let some = count.min(8);
            if width == 1 && group[0] == u8::MAX {
                each(1, some);
            } else {
                let mut values = [0; 8];
                unpack(group, width, &mut values);
                values[..some].iter().for_each(|value| each(*value as u32, 1));
            }
            count -= some;
            if count == 0 {
                return Some(());
            }
        }
        if length == 0 {
            return None;
        }
    }
    Some(())
}

/// `count` numbers of DELTA_BINARY_PACKED.
pub(super) fn deltas(mut bytes: &[u8], count: usize, out: &mut Vec<i64>) -> Option<()> {
    let block = usize::try_from(varint(&mut bytes)?).ok()?;
    let minis = usize::try_from(varint(&mut bytes)?).ok()?;
    let total = usize::try_from(varint(&mut bytes)?).ok()?;
    let mut value = zigzag(&mut bytes)?;
    if total != count || minis == 0 || block % minis != 0 || (block / minis) % 32 != 0 {
        return None;
    }
    let mini = block / minis;
    let mut left = count;
    if left > 0 {
        out.push(value);
        left -= 1;
    }
    while left > 0 {
        let least = zigzag(&mut bytes)?;
        let widths = take(&mut bytes, minis)?;
        for width in widths {
            if left == 0 {
                break;
            }
            let width = u32::from(*width);
            if width > u64::BITS || mini == 0 {
                return None;
            }
            let packed = take(&mut bytes, mini / 8 * width as usize)?;
            let some = mini.min(left);
            let mut above = [0u64; 32];
            for (i, start) in (0..some).step_by(32).enumerate() {
                let words = 4 * width as usize;
                unpack(&packed[i * words..(i + 1) * words], width, &mut above);
                for above in &above[..(some - start).min(32)] {
                    value = value.wrapping_add(least).wrapping_add(*above as i64);
                    out.push(value);
                }
            }
            left -= some;
        }
    }
    Some(())
}

/// `count` numbers as they are.
pub(super) fn plain(mut bytes: &[u8], count: usize, out: &mut Vec<i64>) -> Option<()> {
    let all = take(&mut bytes, count.checked_mul(8)?)?;
    let (numbers, _) = all.as_chunks::<8>();
    out.extend(numbers.iter().map(|number| i64::from_le_bytes(*number)));
    Some(())
}

/// Numbers of `width` bits each, the lowest first, as many as there is room for, 32 at most; they are all there.
fn unpack(packed: &[u8], width: u32, values: &mut [u64]) {
    // So that a whole word can be read where the last number begins.
    let mut room = [0u8; 32 * 8 + 16];
    room[..packed.len()].copy_from_slice(packed);
    let mask = if width == 0 { 0 } else { u64::MAX >> (u64::BITS - width) };
    let mut at = 0;
    for value in values {
        // Plain, since the everyday profile calls the methods of arrays one by one.
        let word = word_at(&room, at / 8) >> (at % 8);
        let beyond = if width > 56 && at % 8 > 0 { word_at(&room, at / 8 + 8) << (64 - at % 8) } else { 0 };
        *value = (word | beyond) & mask;
        at += width as usize;
    }
}

#[inline]
fn word_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

pub(super) fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (some, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(some)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    while shift < u64::BITS {
        let [byte, rest @ ..] = *bytes else { return None };
        *bytes = rest;
        number |= u64::from(byte & 127) << shift;
        if *byte < 128 {
            return Some(number);
        }
        shift += 7;
    }
    None
}

fn zigzag(bytes: &mut &[u8]) -> Option<i64> {
    let number = varint(bytes)?;
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

#[cfg(test)]
mod tests {
    use super::super::pack;
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn what_was_packed_comes_back_and_what_is_cut_or_changed_does_no_harm() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        for round in 0..400 {
            let bits = round % 33;
            let repeat = random.random_range(1..12);
            let mut last = 0;
            let numbers: Vec<u32> = (0..random.random_range(1..500))
                .map(|i: usize| {
                    if i.is_multiple_of(repeat) {
                        last = (u64::from(random.random::<u32>()) & ((1u64 << bits) - 1)) as u32;
                    }
                    last
                })
                .collect();
            let mut packed = Vec::new();
            pack::deltas(&numbers, &mut packed);
            let mut back = Vec::new();
            deltas(&packed, numbers.len(), &mut back).unwrap();
            assert!(back.iter().copied().eq(numbers.iter().map(|number| i64::from(*number))), "{bits} bits");

            let width = bits.clamp(1, 16) as u32;
            let few: Vec<u32> = numbers.iter().map(|number| number & ((1 << width) - 1)).collect();
            let mut hybrid = pack::Hybrid::new(width);
            hybrid.extend(&few);
            let hybrid = hybrid.take();
            let mut back = Vec::new();
            runs(&hybrid, width, few.len(), |value, n| back.extend(std::iter::repeat_n(value, n))).unwrap();
            assert_eq!(back, few, "{width} bits");

            for mut bytes in [packed, hybrid] {
                let at = random.random_range(0..bytes.len());
                bytes[at] ^= 1 << random.random_range(0..8);
                for bytes in [&bytes[..], &bytes[..at]] {
                    let mut count = 0;
                    let _ = runs(bytes, width, numbers.len(), |_, n| count += n);
                    assert!(count <= numbers.len());
                    let mut out = Vec::new();
                    let _ = deltas(bytes, numbers.len(), &mut out);
                    assert!(out.len() <= numbers.len());
                }
            }
        }
    }
}
