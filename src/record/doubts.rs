//! `Doubts`: which counts that a server told cannot be.

use super::Usage;

/// Counts that cannot be, as a bit set. They are kept as they were told, and used for nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doubts(u8);

/// What else is known of a reply that was counted.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Bytes of the request, of which every input token takes one at least.
    pub request_bytes: u64,
    /// Output tokens that the request allowed, for all choices.
    pub allowed: u64,
    /// Events with output, and bytes of output text.
    pub outputs: u64,
    pub text_bytes: u64,
}

/// Input tokens that a server may add to a prompt by itself: its instructions, tools, images.
const ADDED_MAX: u64 = 1 << 20;

/// Output tokens beyond the allowed ones that have no text to show: special ones.
const SPECIAL_MAX: u64 = 16;

/// Pieces into which a gateway may cut a token, and bytes that a token may have.
const PIECES_MAX: u64 = 8;
const TOKEN_BYTES_MAX: u64 = 1024;

/// A token of a text that comes in pieces has fewer: this many bytes, and at most [`PIECES_MAX`]
/// pieces.
const PIECED_BYTES_MAX: u64 = 16;

impl Doubts {
    const OUTPUT: u8 = 1;
    const INPUT: u8 = 2;
    const CACHED: u8 = 4;
    /// By the bits.
    const NAMES: [&str; 8] = [
        "",
        "output",
        "input",
        "output,input",
        "cached",
        "output,cached",
        "input,cached",
        "output,input,cached",
    ];

    /// Which of these counts cannot be. A server may make more than was allowed, and may count
    /// tokens that it does not show; it does not do both a thousandfold.
    pub fn of(usage: &Usage, seen: &Seen) -> Doubts {
        let output = usage.output.is_some_and(|n| {
            let shown = u64::from(n).saturating_sub(u64::from(usage.reasoning.unwrap_or(0)));
            let n = u64::from(n);
            let too_many = n > seen.allowed && shown > seen.text_bytes + SPECIAL_MAX;
            let pieced = seen.outputs > PIECES_MAX * n && seen.text_bytes > PIECED_BYTES_MAX * n;
            // One event may hold anything, such as a picture that is counted as a few tokens; text
            // in more pieces than it has tokens is text.
            let dense = seen.outputs > n && seen.text_bytes > TOKEN_BYTES_MAX * n;
            too_many || pieced || dense
        });
        let input = usage.input.is_some_and(|n| n == 0 || u64::from(n) > seen.request_bytes + ADDED_MAX);
        let cached = usage.cached.zip(usage.input).is_some_and(|(cached, input)| cached > input);
        let bit = |doubted: bool, bit: u8| if doubted { bit } else { 0 };
        Doubts(
            bit(output, Self::OUTPUT)
                | bit(input, Self::INPUT)
                | bit(cached || input && usage.cached.is_some(), Self::CACHED),
        )
    }

    pub fn any(self) -> bool {
        self.0 != 0
    }

    pub fn output(self) -> bool {
        self.0 & Self::OUTPUT != 0
    }

    pub fn input(self) -> bool {
        self.0 & Self::INPUT != 0
    }

    pub fn cached(self) -> bool {
        self.0 & Self::CACHED != 0
    }

    /// The names of the counts, such as `output,input`; "" when there is no doubt.
    pub fn names(self) -> &'static str {
        Self::NAMES[usize::from(self.0 & 7)]
    }

    /// The reverse of [`Doubts::names`]; none where the names are unknown.
    pub fn named(names: &str) -> Doubts {
        let bits = Self::NAMES.iter().position(|known| *known == names).unwrap_or(0);
        Doubts(bits as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_cannot_be_are_doubted_and_odd_ones_are_not() {
        let seen = |outputs, text_bytes| Seen { request_bytes: 400, allowed: 16, outputs, text_bytes };
        for (what, input, output, seen, names) in [
            ("a usual reply", 9, 16, seen(16, 64), ""),
            ("as many as there are numbers, in two events", 9, u32::MAX, seen(2, 6), "output"),
            ("one in fifty events", 9, 1, seen(50, 150), "output"),
            ("none, with text", 9, 0, seen(1, 3), "output"),
            ("none, without text", 9, 0, seen(0, 0), ""),
            ("a limit that was ignored", 9, 138, seen(137, 500), ""),
            ("hidden thoughts within the limit", 9, 16, seen(1, 2), ""),
            ("letter by letter", 9, 10, seen(45, 45), ""),
            ("two signs in one event", 9, 1, seen(9, 9), ""),
            ("one token a mebibyte", 9, 1, seen(1, 1 << 20), ""),
            ("a picture in one event", 9, 20, seen(2, 30 << 20), ""),
            ("more pieces than tokens, each longer than any", 9, 20, seen(60, 30 << 20), "output"),
            ("one token for a long text in pieces", 9, 1, seen(600, 30 << 10), "output"),
            ("none for a picture", 9, 0, seen(1, 30 << 20), "output"),
            ("long tokens", 9, 4_000, seen(2, (1 << 20) + 3), ""),
            ("no input", 0, 16, seen(16, 64), "input"),
            ("more input than was sent", u32::MAX, 16, seen(16, 64), "input"),
            ("a server's own instructions", 20_000, 16, seen(16, 64), ""),
        ] {
            let usage = Usage { input: Some(input), output: Some(output), ..Usage::default() };
            assert_eq!(Doubts::of(&usage, &seen).names(), names, "{what}");
        }
        let usage = Usage { input: Some(9), output: Some(4_000), reasoning: Some(3_990), cached: Some(10) };
        let doubts = Doubts::of(&usage, &seen(4, 12));
        assert_eq!((doubts.names(), Doubts::named("cached")), ("cached", doubts));
        assert!(!Doubts::of(&Usage::default(), &seen(4, 12)).any(), "nothing was told");
    }
}
