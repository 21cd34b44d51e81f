//! Words for people, in English and Chinese, and how numbers are written.

/// 1234567 -> `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with grouped thousands and this many decimals.
pub fn fixed(number: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", number.abs());
    let (whole, rest) =
        text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let whole = whole.parse().map_or_else(|_| whole.to_string(), grouped);
    let sign = if number < 0.0 && text.chars().any(|c| c.is_ascii_digit() && c != '0') { "-" } else { "" };
    match rest {
        Some(rest) => format!("{sign}{whole}.{rest}"),
        None => format!("{sign}{whole}"),
    }
}

/// A length of time given in milliseconds: `412.3 ms`, `60 s`, `2 m 5 s`.
pub fn span(ms: f64) -> String {
    if ms < 1_000.0 {
        return format!("{} ms", trimmed(ms, if ms < 10.0 { 3 } else { 1 }));
    }
    if ms < 120_000.0 {
        return format!("{} s", trimmed(ms / 1e3, 2));
    }
    let seconds = (ms / 1e3).round() as u64;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, m, 0) => format!("{m} m"),
        (0, m, s) => format!("{m} m {s} s"),
        (h, m, _) => format!("{h} h {m} m"),
    }
}

/// At most this many decimals, and no zeros at their end.
fn trimmed(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}
