//! `metric`: one value out of the text that a Prometheus endpoint gives. Pure.

/// The value of a metric in Prometheus text: the sum over all label sets of that name, or over
/// those that have the labels given, as in `name{engine="0"}`. `None`: no such metric.
pub fn metric(text: &str, name: &str) -> Option<f64> {
    let (name, wanted) = name.split_once('{').unwrap_or((name, ""));
    let wanted: Vec<&str> = labels(wanted.trim_end().trim_end_matches('}')).collect();
    samples(text)
        .filter(|(known, own, _)| {
            *known == name.trim() && wanted.iter().all(|label| labels(own).any(|own| own == *label))
        })
        .map(|(_, _, value)| value)
        .reduce(|sum, value| sum + value)
}

/// Name, inside of the braces, and value of every sample.
pub(in crate::client) fn samples(text: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        if line.starts_with('#') {
            return None;
        }
        let name_end = line.find(|c: char| c == '{' || c.is_whitespace())?;
        let (name, rest) = line.split_at(name_end);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_at(labels_end(rest)?),
            None => ("", rest),
        };
        let value = rest.trim_start_matches('}').split_whitespace().next()?.parse().ok()?;
        Some((name, labels, value))
    })
}

/// Where the closing brace is: not one inside a quoted value.
fn labels_end(text: &str) -> Option<usize> {
    ends(text, '}').next()
}

/// The labels in the inside of the braces, such as `engine="0"`.
pub(in crate::client) fn labels(text: &str) -> impl Iterator<Item = &str> {
    let mut from = 0;
    ends(text, ',')
        .chain([text.len()])
        .map(move |end| {
            let label = text.get(from..end).unwrap_or("").trim();
            from = end + 1;
            label
        })
        .filter(|label| !label.is_empty())
}

/// Positions of `end` outside quotes.
fn ends(text: &str, end: char) -> impl Iterator<Item = usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.char_indices().filter_map(move |(at, c)| {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            _ if was_escaped => {}
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ if c == end && !quoted => return Some(at),
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read_as_prometheus_writes_them() {
        let text = "# HELP a help\n# TYPE a counter\na{e=\"0\",m=\"x\"} 1.5\na{e=\"1\",m=\"x, \\\"}\"} 2e1 1795487069\n\
                    a_total 7\nb +Inf\nb_bucket{le=\"+Inf\"} 4 # {trace=\"1\"} 0.5\nempty{} 3\nbad x\nnan NaN\n";
        assert_eq!(metric(text, "a"), Some(21.5));
        assert_eq!(metric(text, "a{e=\"1\"}"), Some(20.0));
        assert_eq!(metric(text, "a{m=\"x\", e=\"0\"}"), Some(1.5));
        assert_eq!(metric(text, "a{m=\"x, \\\"}\"}"), Some(20.0));
        assert_eq!(metric(text, "a{e=\"2\"}"), None);
        assert_eq!(metric(text, "a_total"), Some(7.0));
        assert_eq!(metric(text, "b"), Some(f64::INFINITY));
        assert_eq!(metric(text, "b_bucket"), Some(4.0));
        assert_eq!(metric(text, "empty"), Some(3.0));
        assert_eq!(metric(text, "bad"), None);
        assert!(metric(text, "nan").is_some_and(f64::is_nan));
    }
}
