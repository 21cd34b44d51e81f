//! `wrapped`: a text in lines of so many columns, broken where a reader would break it: never
//! between a number and its unit, and no line begins with what ends a sentence.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stays with the number before it.
const UNITS: [&str; 14] =
    ["%", "ms", "s", "m", "h", "us", "µs", "MB", "GB", "MiB", "tokens/s", "requests/s", "令牌/s", "请求/s"];

/// What no line begins with, and what none ends with.
const CLOSING: &str = "，。：；、）”》？！,.:;)%…";
const OPENING: &str = "（“《(";

/// The lines, joined with line breaks; a word that is wider than a line is cut.
pub fn wrapped(text: &str, width: usize) -> String {
    broken(text, width, true)
}

/// The same for a terminal, which shows a word that is wider than a line, such as a path, in a way
/// that it can be copied. Line breaks of the text stay.
pub fn folded(text: &str, width: usize) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| broken(line, width, false)).collect();
    lines.join("\n")
}

fn broken(text: &str, width: usize, cut: bool) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for (space, piece) in pieces(text) {
        let needed = line.width() + usize::from(space && !line.is_empty()) + piece.width();
        if needed > width && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        } else if space && !line.is_empty() {
            line.push(' ');
        }
        for c in piece.chars() {
            // A single word that is wider than a line.
            if cut && line.width() + c.width().unwrap_or(0) > width && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines.join("\n")
}

/// What is not to be divided, and whether a space stands before it.
fn pieces(text: &str) -> Vec<(bool, String)> {
    let mut pieces: Vec<(bool, String)> = Vec::new();
    for (i, word) in text.split(' ').enumerate() {
        let mut parts = parts(word).into_iter();
        let first = parts.next().unwrap_or_default();
        match pieces.last_mut() {
            Some((_, before)) if stays(before, &first) => {
                before.push(' ');
                before.push_str(&first);
            }
            _ => pieces.push((i > 0, first)),
        }
        pieces.extend(parts.map(|part| (false, part)));
    }
    pieces
}

/// Whether what comes behind a space belongs to what stands before it.
fn stays(before: &str, word: &str) -> bool {
    let bare = word.trim_end_matches(|c| CLOSING.contains(c) && c != '%');
    let counts = before.ends_with(|c: char| c.is_ascii_digit());
    counts && UNITS.contains(&bare) || word == "/"
}

/// A word where it may be divided: between letters that are as wide as two.
fn parts(word: &str) -> Vec<String> {
    let wide = |c: char| c.width() == Some(2);
    let mut parts: Vec<String> = vec![String::new()];
    let mut before: Option<char> = None;
    for c in word.chars() {
        let may = before.is_some_and(|before| (wide(before) || wide(c)) && !OPENING.contains(before));
        if may && !CLOSING.contains(c) {
            parts.push(String::new());
        }
        parts.last_mut().expect("there is one").push(c);
        before = Some(c);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_unit_and_no_line_begins_with_a_comma() {
        let told = "late p50/p99 0.524 ms / 5.372 ms, events that share a read 0.0 %";
        assert_eq!(wrapped(told, 63), "late p50/p99 0.524 ms / 5.372 ms, events that share a read\n0.0 %");
        assert_eq!(wrapped("1.5 ms / 6.5 ms", 9), "1.5 ms /\n6.5 ms");
        let told = "其他程序占用了客户端可用核的 93.9 %，没有空闲的核：请停掉它们";
        for width in 8..70 {
            let lines = wrapped(told, width);
            for line in lines.lines() {
                assert!(line.width() <= width, "{width}: {lines}");
                assert!(!line.starts_with(|c| CLOSING.contains(c)), "{width}: {lines}");
            }
            assert_eq!(lines.replace(['\n', ' '], ""), told.replace(' ', ""), "{width}");
        }
    }

    #[test]
    fn on_a_terminal_a_path_stays_whole() {
        let told = "wrote /a/long/path/to/a/file.csv and more\nsecond line";
        assert_eq!(folded(told, 16), "wrote\n/a/long/path/to/a/file.csv\nand more\nsecond line");
        assert_eq!(folded("结果：/a/long/path/to/a/file.csv", 16), "结果：\n/a/long/path/to/a/file.csv");
    }

    #[test]
    fn what_fits_is_left_alone_and_a_word_that_never_fits_is_cut() {
        assert_eq!(wrapped("a  b", 10), "a  b");
        assert_eq!(wrapped("", 10), "");
        assert_eq!(wrapped("abcdefghij", 4), "abcd\nefgh\nij");
    }
}
