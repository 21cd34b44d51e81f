//! `Form`: what a body is, by how it begins. Its label says little: gateways relay a stream of
//! events under the name of JSON, and servers answer in one piece where a stream was asked for, and
//! the other way round.

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Server-sent events.
    Events,
    /// JSON, or something that is neither.
    Whole,
}

/// What the bytes at the beginning of a body say; `None`: too few. `streamed`: a stream was asked
/// for, so that what cannot be told is one.
pub fn form(bytes: &[u8], streamed: bool) -> Option<Form> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).trim_ascii_start();
    match bytes {
        [] => None,
        [b'{' | b'[', ..] => Some(Form::Whole),
        [b':', ..] => Some(Form::Events),
        _ if streamed => Some(Form::Events),
        _ => {
            let fields = ["data:", "event:", "id:", "retry:"].map(str::as_bytes);
            if fields.iter().any(|field| bytes.starts_with(field)) {
                return Some(Form::Events);
            }
            let beginning = fields.iter().any(|field| field.starts_with(bytes));
            (!beginning).then_some(Form::Whole)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_say_what_a_body_is() {
        use Form::{Events, Whole};
        for (bytes, asked, unasked) in [
            ("", None, None),
            (" \r\n", None, None),
            ("{", Some(Whole), Some(Whole)),
            ("\n\n {\"a\"", Some(Whole), Some(Whole)),
            ("\u{feff}{", Some(Whole), Some(Whole)),
            ("[", Some(Whole), Some(Whole)),
            (": OPENROUTER", Some(Events), Some(Events)),
            ("data: {", Some(Events), Some(Events)),
            ("\n\u{feff}", Some(Events), Some(Whole)),
            ("dat", Some(Events), None),
            ("date", Some(Events), Some(Whole)),
            ("event:x", Some(Events), Some(Events)),
            ("retry: 5", Some(Events), Some(Events)),
            ("<html>", Some(Events), Some(Whole)),
        ] {
            assert_eq!(
                (form(bytes.as_bytes(), true), form(bytes.as_bytes(), false)),
                (asked, unasked),
                "{bytes:?}"
            );
        }
    }
}
