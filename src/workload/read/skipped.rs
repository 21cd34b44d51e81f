//! `Skipped`: entries of a file that ask nothing.

use std::fmt;

/// Entries that were left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub count: u64,
    pub of: u64,
    /// Place and fault of the first.
    pub first: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipped {} of {}: first at {}", thousands(self.count), thousands(self.of), self.first)
    }
}

pub(super) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}
