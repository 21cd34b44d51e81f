//! `Scrubber`: takes secrets out of text that others wrote, before anybody sees it.
//!
//! A server may repeat a key as it is, in base64, or percent-encoded.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// What stands in the place of a secret.
pub const MASK: &str = "<secret>";

/// Shorter values are not searched: ordinary words would be torn apart with them.
pub const LEAST: usize = 8;

/// The secrets of a session, in every form in which they are searched.
#[derive(Default)]
pub struct Scrubber {
    /// The longest first, so that a secret inside of another one spoils nothing.
    needles: RwLock<Arc<[String]>>,
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrubber")
    }
}

impl Scrubber {
    /// Searches for `secret` from now on, unless it is shorter than [`LEAST`].
    pub fn learn(&self, secret: &str) {
        if secret.len() < LEAST {
            return;
        }
        let mut needles = self.needles.write().unwrap_or_else(PoisonError::into_inner);
        let mut all = needles.to_vec();
        all.extend(forms(secret).into_iter().filter(|form| form.len() >= LEAST));
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        *needles = all.into();
    }

    /// Learns the value of a header: the whole, and the parts that a server may repeat alone, such
    /// as the key in `Bearer KEY` or the value in `name=value; other=value`.
    pub fn learn_header(&self, value: &str) {
        self.learn(value);
        for part in value.split([' ', ';', ',', '\t']) {
            self.learn(part);
            if let Some((_, value)) = part.split_once('=') {
                self.learn(value);
            }
        }
    }

    /// Learns the password in an address such as `http://user:password@host`.
    pub fn learn_address(&self, text: &str) {
        let Some((_, rest)) = text.split_once("://") else { return };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@') {
            self.learn(user);
            user.split_once(':').into_iter().for_each(|(_, password)| self.learn(password));
        }
    }

    /// `text` with [`MASK`] in the place of every secret.
    pub fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let needles = self.needles.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut clean = Cow::Borrowed(text);
        for needle in needles.iter() {
            if clean.contains(needle) {
                clean = clean.replace(needle, MASK).into();
            }
        }
        clean
    }
}

/// How a secret may stand in a text.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_string()];
    // Inside a JSON string.
    forms.push(secret.replace('\\', "\\\\").replace('"', "\\\""));
    let unreserved = |c: u8| c.is_ascii_alphanumeric() || b"-_.~".contains(&c);
    let component = |c: u8| unreserved(c) || b"!*'()".contains(&c);
    for kept in [&unreserved as &dyn Fn(u8) -> bool, &component] {
        let percent = |upper: bool| -> String {
            let one = |c: u8| match (kept(c), upper) {
                (true, _) => char::from(c).to_string(),
                (_, true) => format!("%{c:02X}"),
                (_, false) => format!("%{c:02x}"),
            };
            secret.bytes().map(one).collect()
        };
        forms.extend([percent(true), percent(false), percent(true).replace("%20", "+")]);
    }
    for letters in [STANDARD, URL_SAFE] {
        forms.extend((0..3).map(|before| base64_inside(secret.as_bytes(), before, letters)));
    }
    forms
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What is the same in every base64 of a text in which `bytes` stand behind `before` (0 to 2, or
/// that and a multiple of 3) others: without the letters at both ends that other bytes share.
fn base64_inside(bytes: &[u8], before: usize, letters: &[u8; 64]) -> String {
    let bits = |i: usize| -> bool {
        let byte = bytes[i / 8];
        byte >> (7 - i % 8) & 1 == 1
    };
    // The first letter that begins inside of the bytes, counted in bits behind their start.
    let first = (6 - before * 8 % 6) % 6;
    let whole = (bytes.len() * 8 - first.min(bytes.len() * 8)) / 6;
    let letter = |n: usize| {
        let value = (0..6).fold(0, |value, bit| value << 1 | usize::from(bits(first + n * 6 + bit)));
        char::from(letters[value])
    };
    (0..whole).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knowing(secret: &str) -> Scrubber {
        let scrubber = Scrubber::default();
        scrubber.learn(secret);
        scrubber
    }

    #[test]
    fn a_secret_is_found_as_it_is_percent_encoded_and_in_base64() {
        let scrubber = knowing("sk-Ab9+/=?ü key\"");
        for text in [
            "the key sk-Ab9+/=?ü key\" is spent",
            r#"{"key":"sk-Ab9+/=?ü key\""}"#,
            "sk-Ab9%2B%2F%3D%3F%C3%BC%20key%22",
            "sk-Ab9%2b%2f%3d%3f%c3%bc%20key%22",
            "sk-Ab9%2B%2F%3D%3F%C3%BC+key%22",
        ] {
            let clean = scrubber.scrub(text);
            assert!(clean.contains(MASK) && !clean.contains("Ab9"), "{clean}");
        }
        assert_eq!(scrubber.scrub("nothing to see"), "nothing to see");
    }

    #[test]
    fn base64_is_found_behind_any_number_of_bytes() {
        // printf 'sk-test-12345678' | base64, and with 1, 2 and 7 bytes in front.
        let scrubber = knowing("sk-test-12345678");
        for text in [
            "c2stdGVzdC0xMjM0NTY3OA==",
            "eHNrLXRlc3QtMTIzNDU2Nzg=",
            "eHhzay10ZXN0LTEyMzQ1Njc4",
            "QmVhcmVyIHNrLXRlc3QtMTIzNDU2Nzg=",
            "dXNlcjpzay10ZXN0LTEyMzQ1Njc4",
        ] {
            let clean = scrubber.scrub(text);
            assert!(clean.contains(MASK) && clean.len() < 24, "{text}: {clean}");
        }
    }

    #[test]
    fn short_values_are_left_alone_and_longer_ones_go_first() {
        let scrubber = knowing("short");
        assert_eq!(scrubber.scrub("a short text"), "a short text");
        scrubber.learn("password");
        scrubber.learn("password-and-more");
        assert_eq!(scrubber.scrub("password-and-more, password"), "<secret>, <secret>");
    }

    #[test]
    fn headers_and_addresses_are_known_in_their_parts() {
        let scrubber = Scrubber::default();
        scrubber.learn_header("Bearer sk-header-key");
        scrubber.learn_header("session=0123456789; theme=dark");
        scrubber.learn_address("http://user:pass-word-1@host:8000/v1");
        for secret in ["sk-header-key", "0123456789", "pass-word-1"] {
            assert_eq!(scrubber.scrub(&format!("x {secret} y")), "x <secret> y");
        }
        assert_eq!(
            scrubber.scrub("a dark theme, the host:8000, Bearer"),
            "a dark theme, the host:8000, Bearer"
        );
    }
}
