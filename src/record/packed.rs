//! `Packed`: the events of a reply until they become rows, some 3 bytes each instead of 14.
//!
//! An event is a number, 7 bits a byte: by how many microseconds the time since the event before
//! it is longer or shorter than that one's, and in the two lowest bits whether its kind and tokens,
//! and whether its bytes of text, are other than that one's. What is other follows as further
//! numbers. Nothing is rounded.

use super::{EventKind, Events};

const OTHER_KIND: u64 = 1;
const OTHER_BYTES: u64 = 2;

/// What an event with a word of text usually takes.
const BYTES_EXPECTED: usize = 3;

#[derive(Debug, Clone, Default)]
pub struct Packed {
    packed: Vec<u8>,
    count: usize,
    last: Event,
    /// Microseconds between the last two.
    since: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Event {
    at_us: u32,
    kind: EventKind,
    tokens: u32,
    bytes: u32,
}

impl Packed {
    /// Makes room for so many events.
    pub fn reserve(&mut self, events: usize) {
        self.packed.reserve_exact(events * BYTES_EXPECTED);
    }

    pub fn of(events: &Events) -> Packed {
        let mut packed = Packed::default();
        for i in 0..events.len() {
            packed.push(events.at_us[i], events.kind[i], events.tokens[i], events.bytes[i]);
        }
        packed
    }

    /// Bytes that the events take.
    pub fn bytes(&self) -> usize {
        self.packed.len()
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// No more events will come: gives back room that was made for many more.
    pub fn close(&mut self) {
        if self.packed.len() < self.packed.capacity() / 2 {
            self.packed.shrink_to_fit();
        }
    }

    pub fn push(&mut self, at_us: u32, kind: EventKind, tokens: u32, bytes: u32) {
        let event = Event { at_us, kind, tokens, bytes };
        let other_kind = (kind, tokens) != (self.last.kind, self.last.tokens);
        let other_bytes = bytes != self.last.bytes;
        // Times may step back (a clock that is mapped anew), so differences wrap.
        let since = at_us.wrapping_sub(self.last.at_us);
        let change = fold(since.wrapping_sub(self.since));
        self.since = since;
        self.put(u64::from(change) << 2 | u64::from(other_bytes) << 1 | u64::from(other_kind));
        if other_kind {
            self.put(kind.0.into());
            self.put(tokens.into());
        }
        if other_bytes {
            self.put(bytes.into());
        }
        self.last = event;
        self.count += 1;
    }

    fn put(&mut self, mut number: u64) {
        while number >= 128 {
            self.packed.push(number as u8 | 128);
            number >>= 7;
        }
        self.packed.push(number as u8);
    }

    pub fn unpack(&self) -> Events {
        let mut events = Events::with_capacity(self.count);
        self.unpack_into(&mut events);
        events
    }

    /// Replaces what is in `events`.
    pub fn unpack_into(&self, events: &mut Events) {
        unpack(&self.packed, self.count, events);
    }

    /// How they are kept, for [`Packed::read`].
    pub fn as_bytes(&self) -> &[u8] {
        &self.packed
    }

    /// Replaces what is in `events` by `count` events that were kept as these bytes; false, and none: they are not so
    /// many.
    pub fn read(bytes: &[u8], count: usize, events: &mut Events) -> bool {
        // An event has a byte at least.
        let whole = count <= bytes.len() && unpack(bytes, count, events).is_some_and(|rest| rest.is_empty());
        if !whole {
            events.clear();
        }
        whole
    }
}

/// What is behind so many events; `None`: there are fewer.
fn unpack<'a>(bytes: &'a [u8], count: usize, events: &mut Events) -> Option<&'a [u8]> {
    events.resize(count);
    let Events { at_us, kind, tokens, bytes: sizes } = events;
    let places = at_us.iter_mut().zip(kind).zip(tokens.iter_mut().zip(sizes));
    let mut rest = bytes;
    let (mut event, mut since) = (Event::default(), 0u32);
    for ((at_us, kind), (tokens, bytes)) in places {
        let head = number(&mut rest)?;
        since = since.wrapping_add(unfold((head >> 2) as u32));
        event.at_us = event.at_us.wrapping_add(since);
        if head & OTHER_KIND != 0 {
            event.kind = EventKind(number(&mut rest)? as u16);
            event.tokens = number(&mut rest)? as u32;
        }
        if head & OTHER_BYTES != 0 {
            event.bytes = number(&mut rest)? as u32;
        }
        (*at_us, *kind, *tokens, *bytes) = (event.at_us, event.kind, event.tokens, event.bytes);
    }
    Some(rest)
}

/// A difference that wraps as a number that is small where the difference is, up or down.
fn fold(difference: u32) -> u32 {
    difference << 1 ^ ((difference as i32) >> 31) as u32
}

fn unfold(number: u32) -> u32 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

/// The next number, which is taken from the bytes; `None`: it is not whole.
#[inline]
fn number(bytes: &mut &[u8]) -> Option<u64> {
    // Most are of one byte or two.
    match *bytes {
        [one @ ..128, rest @ ..] => {
            *bytes = rest;
            Some(u64::from(*one))
        }
        [one, two @ ..128, rest @ ..] => {
            *bytes = rest;
            Some(u64::from(one & 127) | u64::from(*two) << 7)
        }
        _ => long_number(bytes),
    }
}

fn long_number(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    while let [byte, rest @ ..] = bytes {
        *bytes = rest;
        number |= u64::from(byte & 127) << shift;
        if *byte < 128 {
            return Some(number);
        }
        shift += 7;
        if shift >= u64::BITS {
            break;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    fn both(given: &[(u32, EventKind, u32, u32)]) -> (Events, Packed) {
        let (mut plain, mut packed) = (Events::default(), Packed::default());
        for &(at_us, kind, tokens, bytes) in given {
            plain.push(at_us, kind, tokens, bytes);
            packed.push(at_us, kind, tokens, bytes);
        }
        (plain, packed)
    }

    #[test]
    fn every_event_comes_back_as_it_was() {
        let most = (u32::MAX, EventKind(u16::MAX), u32::MAX, u32::MAX);
        let ends = [
            (0, EventKind(0), 0, 0),
            most,
            most,
            (0, EventKind::DONE, 0, 0),
            (7, EventKind::CONTENT, 1, 4),
            most,
        ];
        let (plain, packed) = both(&ends);
        assert_eq!(packed.unpack(), plain);

        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let mut any = || random.random::<u32>() >> random.random_range(0..32);
        let some: Vec<_> = (0..10_000).map(|_| (any(), EventKind(any() as u16), any(), any())).collect();
        let (plain, packed) = both(&some);
        assert_eq!(packed.unpack(), plain);
        assert_eq!(Packed::default().unpack(), Events::default());
    }

    #[test]
    fn bytes_that_are_cut_or_counted_wrongly_are_no_events() {
        let (plain, packed) = both(&[(7, EventKind::CONTENT, 1, 4), (900, EventKind::DONE, 0, 0)]);
        let bytes = packed.as_bytes();
        let mut events = Events::default();
        assert!(Packed::read(bytes, 2, &mut events));
        assert_eq!(events, plain);
        for (bytes, count) in
            [(bytes, 1), (bytes, 3), (bytes, usize::MAX), (&bytes[..3], 1), (&[][..], 1), (&[255; 20], 1)]
        {
            assert!(!Packed::read(bytes, count, &mut events), "{bytes:?} as {count}");
            assert!(events.is_empty());
        }
        assert!(Packed::read(&[], 0, &mut events));
    }

    #[test]
    fn a_usual_stream_takes_the_room_that_was_made_for_it() {
        let kind = EventKind::CONTENT.with(EventKind::CHOICES);
        // 20 ms apart, up to a millisecond early or late, in words of 3 to 7 bytes.
        let at = |i: u32| 50_000 + i * 20_000 + i * 7_919 % 2_000;
        let stream: Vec<_> = (0..1_000).map(|i| (at(i), kind, 1, 3 + i % 5)).collect();
        let (_, packed) = both(&stream);
        assert!(packed.packed.len() <= 1_004 * BYTES_EXPECTED, "{}", packed.packed.len());
    }
}
