//! The terminal at standard error: how wide it is, and text that fits it.

use crate::host::Host;
use crate::stats::wrap::folded;

/// Columns of the terminal at standard error.
pub fn columns() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| usize::from(width.0))
}

/// A text for standard error: a terminal would break it in the middle of a word.
pub fn fit(host: &Host, text: &str) -> String {
    match columns().filter(|_| host.is_terminal()) {
        Some(columns) => folded(text, columns),
        None => text.into(),
    }
}
