//! `Hybrid`, `deltas`: whole numbers in two of Parquet's encodings, [RLE / bit-packed][hybrid] and
//! [DELTA_BINARY_PACKED][delta], as many as an event list has, at some nanoseconds each.
//!
//! [hybrid]: https://parquet.apache.org/docs/file-format/data-pages/encodings/#run-length-encoding--bit-packing-hybrid-rle--3
//! [delta]: https://parquet.apache.org/docs/file-format/data-pages/encodings/#delta-encoding-delta_binary_packed--5

/// Values that are packed together.
const GROUP: usize = 8;
/// Groups behind one header of a byte, which is what every writer makes.
const GROUPS_MAX: u32 = 63;

/// Runs of one value, and groups of others. A group has eight values, the last one is filled up with zeros: whoever
/// reads knows how many there are.
#[derive(Debug)]
pub(super) struct Hybrid {
    width: u32,
    out: Vec<u8>,
    /// A value that came `run` times, and no group is begun; or none did.
    value: u32,
    run: usize,
    group: [u32; GROUP],
    in_group: usize,
    /// Where the header of the groups before is, and how many they are.
    header: usize,
    groups: u32,
}

impl Hybrid {
    /// Of values below 2^`width`, which is 16 at most.
    pub fn new(width: u32) -> Hybrid {
        let (group, out) = ([0; GROUP], Vec::new());
        Hybrid { width, out, value: 0, run: 0, group, in_group: 0, header: 0, groups: 0 }
    }

    pub fn extend(&mut self, mut values: &[u32]) {
        while let Some(first) = values.first().copied() {
            let whole = values.first_chunk::<GROUP>().filter(|_| self.in_group == 0);
            let taken = match whole {
                Some(group) if is_same(group) => {
                    let same = values.iter().position(|value| *value != first).unwrap_or(values.len());
                    self.push(first, same);
                    same
                }
                Some(_) if self.run >= GROUP => {
                    self.end_run();
                    0
                }
                Some(group) if self.run == 0 => {
                    self.group = *group;
                    self.end_group();
                    GROUP
                }
                _ => {
                    self.push(first, 1);
                    1
                }
            };
            values = &values[taken..];
        }
    }

    /// The same value `count` times.
    pub fn push(&mut self, value: u32, mut count: usize) {
        while count > 0 {
            if self.in_group == 0 {
                if self.run == 0 || self.value == value {
                    self.value = value;
                    self.run += count;
                    return;
                }
                if self.run >= GROUP {
                    self.end_run();
                    continue;
                }
                // Too short for a run of its own.
                self.group[..self.run].fill(self.value);
                self.in_group = std::mem::take(&mut self.run);
            }
            let some = count.min(GROUP - self.in_group);
            self.group[self.in_group..self.in_group + some].fill(value);
            self.in_group += some;
            count -= some;
            if self.in_group == GROUP {
                self.end_group();
            }
        }
    }

    fn end_run(&mut self) {
        self.groups = 0;
        varint(&mut self.out, (self.run as u64) << 1);
        let bytes = self.width.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.value.to_le_bytes()[..bytes]);
        self.run = 0;
    }

    fn end_group(&mut self) {
        if self.groups == 0 || self.groups == GROUPS_MAX {
            self.header = self.out.len();
            self.groups = 0;
            self.out.push(0);
        }
        self.groups += 1;
        self.out[self.header] = (self.groups << 1) as u8 | 1;
        let (mut packed, mut at) = (0u128, 0);
        for value in &self.group {
            packed |= u128::from(*value) << at;
            at += self.width;
        }
        self.out.extend_from_slice(&packed.to_le_bytes()[..self.width as usize]);
        self.in_group = 0;
    }

    /// The bytes of all that came. It begins anew.
    pub fn take(&mut self) -> Vec<u8> {
        if self.run > 0 {
            self.end_run();
        }
        if self.in_group > 0 {
            self.group[self.in_group..].fill(0);
            self.end_group();
        }
        self.groups = 0;
        std::mem::take(&mut self.out)
    }
}

fn is_same(group: &[u32; GROUP]) -> bool {
    let mut other = 0;
    for value in group {
        other |= value ^ group[0];
    }
    other == 0
}

const BLOCK: usize = 128;
const MINI_BLOCKS: usize = 4;
const MINI_BLOCK: usize = BLOCK / MINI_BLOCKS;

/// Numbers as their differences.
pub(super) fn deltas(values: &[u32], out: &mut Vec<u8>) {
    let first = values.first().copied().unwrap_or_default();
    for number in [BLOCK, MINI_BLOCKS, values.len()] {
        varint(out, number as u64);
    }
    zigzag(out, first.into());
    let mut block = [0i64; BLOCK];
    let mut before = first;
    for some in values.get(1..).unwrap_or_default().chunks(BLOCK) {
        let mut least = i64::MAX;
        for (delta, value) in block.iter_mut().zip(some) {
            *delta = i64::from(*value) - i64::from(before);
            least = least.min(*delta);
            before = *value;
        }
        zigzag(out, least);
        // What is behind the last value is written as the least.
        block[some.len()..].fill(least);
        let widths_at = out.len();
        out.extend_from_slice(&[0; MINI_BLOCKS]);
        for (i, mini) in block.chunks(MINI_BLOCK).enumerate().take(some.len().div_ceil(MINI_BLOCK)) {
            let mut most = 0;
            for delta in mini {
                most |= (delta - least) as u64;
            }
            let width = u64::BITS - most.leading_zeros();
            out[widths_at + i] = width as u8;
            pack(mini, least, width, out);
        }
    }
}

/// How far 32 deltas are above the least one, each in `width` bits: 33 at most.
fn pack(mini: &[i64], least: i64, width: u32, out: &mut Vec<u8>) {
    let (mut waiting, mut bits) = (0u64, 0);
    for delta in mini {
        let above = (delta - least) as u64;
        waiting |= above << bits;
        bits += width;
        if bits >= u64::BITS {
            out.extend_from_slice(&waiting.to_le_bytes());
            bits -= u64::BITS;
            // What of it had no room.
            waiting = above >> (width - bits);
        }
    }
    // 32 values are whole bytes.
    out.extend_from_slice(&waiting.to_le_bytes()[..(bits / 8) as usize]);
}

fn zigzag(out: &mut Vec<u8>, number: i64) {
    varint(out, (number << 1 ^ number >> 63) as u64);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        out.push(number as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}
