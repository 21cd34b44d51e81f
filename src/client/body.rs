//! `Body`: bytes of an HTTP/1.1 response body -> data. Pure; any cut of the bytes gives the
//! same data.
//!
//! As strict as hyper about chunked framing: a stream that hyper would call broken is no
//! success here.

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes (0: no body at all).
    Exact(u64),
    Chunked,
    /// Until the connection closes.
    UntilClose,
}

/// Decodes one body.
#[derive(Debug)]
pub struct Body {
    state: State,
    /// Bytes that remain of the body or of the chunk.
    remaining: u64,
    extension_bytes: usize,
    trailer: Vec<u8>,
    trailer_lines: usize,
}

/// What a feed came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyProgress {
    /// Bytes that belonged to the body. Any others came after its end, which no honest server
    /// does: the connection is not to be used again.
    pub used: usize,
    /// The body is complete.
    pub finished: bool,
}

/// Limits of what is not data, as in hyper: bytes of all chunk extensions together, bytes of all
/// trailer lines together, and trailer lines.
const EXTENSION_MAX: usize = 16 << 10;
const TRAILER_MAX: usize = 16 << 10;
const TRAILER_LINES_MAX: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Exact,
    UntilClose,
    /// At the first digit of a chunk's size.
    Start,
    Size,
    SizeSpace,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line, or at the CR that ends the body.
    LastCr,
    Trailer,
    TrailerLf,
    LastLf,
    Finished,
}

impl Body {
    pub fn new(framing: Framing) -> Self {
        let (state, remaining) = match framing {
            Framing::Exact(0) => (State::Finished, 0),
            Framing::Exact(n) => (State::Exact, n),
            Framing::Chunked => (State::Start, 0),
            Framing::UntilClose => (State::UntilClose, 0),
        };
        Body { state, remaining, extension_bytes: 0, trailer: Vec::new(), trailer_lines: 0 }
    }

    /// Every byte has arrived.
    pub fn finished(&self) -> bool {
        self.state == State::Finished
    }

    /// Feeds bytes; calls `each` with every run of data in them. Fails when they break the
    /// chunked framing; the connection is then of no more use.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<BodyProgress, String> {
        let mut at = 0;
        while at < bytes.len() && !self.finished() {
            match self.state {
                State::Exact | State::Data | State::UntilClose => at += self.data(&bytes[at..], &mut each),
                _ => {
                    self.framing_byte(bytes[at])?;
                    at += 1;
                }
            }
        }
        Ok(BodyProgress { used: at, finished: self.finished() })
    }

    /// The connection closed. True: the body is complete. False: it was cut off.
    pub fn closed(&mut self) -> bool {
        if self.state == State::UntilClose {
            self.state = State::Finished;
        }
        self.finished()
    }

    fn data(&mut self, bytes: &[u8], each: &mut impl FnMut(&[u8])) -> usize {
        if self.state == State::UntilClose {
            each(bytes);
            return bytes.len();
        }
        let len = usize::try_from(self.remaining).map_or(bytes.len(), |n| n.min(bytes.len()));
        each(&bytes[..len]);
        self.remaining -= len as u64;
        if self.remaining == 0 {
            self.state = if self.state == State::Exact { State::Finished } else { State::DataCr };
        }
        len
    }

    fn framing_byte(&mut self, byte: u8) -> Result<(), String> {
        self.state = match (self.state, byte) {
            (State::Start | State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.size_digit(byte)?,
            (State::Size | State::SizeSpace, b' ' | b'\t') => State::SizeSpace,
            (State::Size | State::SizeSpace, b';') => State::Extension,
            (State::Size | State::SizeSpace | State::Extension, b'\r') => State::SizeLf,
            (State::Extension, byte) if byte != b'\n' => self.extension_byte()?,
            (State::SizeLf, b'\n') if self.remaining > 0 => State::Data,
            (State::SizeLf, b'\n') => State::LastCr,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Start,
            (State::LastCr, b'\r') => self.trailer_byte(byte, State::LastLf)?,
            (State::LastCr | State::Trailer, _) => {
                self.trailer_byte(byte, if byte == b'\r' { State::TrailerLf } else { State::Trailer })?
            }
            (State::TrailerLf, b'\n') => self.trailer_line()?,
            (State::LastLf, b'\n') => self.last_byte()?,
            (State::Start | State::Size | State::SizeSpace, _) => {
                return Err(format!("the chunked body has a bad chunk size (byte {byte:#04x})"));
            }
            _ => return Err(format!("the chunked body has byte {byte:#04x} where a line must end")),
        };
        Ok(())
    }

    fn size_digit(&mut self, digit: u8) -> Result<State, String> {
        let value = char::from(digit).to_digit(16).map_or(0, u64::from);
        self.remaining = self
            .remaining
            .checked_mul(16)
            .and_then(|size| size.checked_add(value))
            .ok_or("the chunked body has a chunk size over 64 bits")?;
        Ok(State::Size)
    }

    fn extension_byte(&mut self) -> Result<State, String> {
        self.extension_bytes += 1;
        if self.extension_bytes >= EXTENSION_MAX {
            return Err(format!("the chunk extensions are longer than {} KiB", EXTENSION_MAX >> 10));
        }
        Ok(State::Extension)
    }

    fn trailer_byte(&mut self, byte: u8, next: State) -> Result<State, String> {
        if next == State::LastLf && self.trailer.is_empty() {
            return Ok(next);
        }
        self.trailer.push(byte);
        if self.trailer.len() >= TRAILER_MAX {
            return Err(format!("the trailers are longer than {} KiB", TRAILER_MAX >> 10));
        }
        Ok(next)
    }

    fn trailer_line(&mut self) -> Result<State, String> {
        self.trailer_lines += 1;
        if self.trailer_lines > TRAILER_LINES_MAX {
            return Err(format!("the chunked body has more than {TRAILER_LINES_MAX} trailers"));
        }
        self.trailer_byte(b'\n', State::LastCr)
    }

    fn last_byte(&mut self) -> Result<State, String> {
        if !self.trailer.is_empty() {
            self.trailer.push(b'\n');
            let mut headers = vec![httparse::EMPTY_HEADER; self.trailer_lines];
            match httparse::parse_headers(&self.trailer, &mut headers) {
                Ok(httparse::Status::Complete(_)) => {}
                _ => return Err("the trailers of the chunked body are no headers".to_string()),
            }
        }
        Ok(State::Finished)
    }
}

#[cfg(test)]
mod against_hyper;

#[cfg(test)]
mod tests {
    use super::*;

    /// Data, bytes used, and whether the body was complete at the end of `bytes`.
    fn decode(framing: Framing, bytes: &[u8], cut: usize) -> Result<(String, usize, bool), String> {
        let mut body = Body::new(framing);
        let mut data = Vec::new();
        let mut used = 0;
        for part in bytes.chunks(cut) {
            used += body.feed(part, |run| data.extend_from_slice(run))?.used;
        }
        Ok((String::from_utf8_lossy(&data).into_owned(), used, body.finished()))
    }

    fn chunked(bytes: &str) -> Result<(String, usize, bool), String> {
        let whole = decode(Framing::Chunked, bytes.as_bytes(), usize::MAX);
        for cut in [1, 2, 3, 7] {
            assert_eq!(decode(Framing::Chunked, bytes.as_bytes(), cut), whole, "{bytes:?} cut at {cut}");
        }
        whole
    }

    #[test]
    fn chunks_are_joined_whatever_their_case_extensions_and_trailers() {
        for bytes in [
            "5\r\nhello\r\n0\r\n\r\n",
            "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            "05;name=value;x\r\nhello\r\n0 \t;y\r\n\r\n",
            "5\r\nhello\r\n000\r\nExpires: never\r\nX-Sum: 1\r\n\r\n",
        ] {
            assert_eq!(chunked(bytes), Ok(("hello".into(), bytes.len(), true)), "{bytes:?}");
        }
        let long = format!("aB\r\n{}\r\n0\r\n\r\n", "x".repeat(0xab));
        assert_eq!(chunked(&long), Ok(("x".repeat(0xab), long.len(), true)));
    }

    #[test]
    fn a_cut_chunked_body_is_never_complete() {
        let bytes = b"5\r\nhello\r\n0\r\nA: b\r\n\r\n";
        for end in 0..bytes.len() {
            let mut body = Body::new(Framing::Chunked);
            body.feed(&bytes[..end], |_| {}).expect("well formed so far");
            assert!(!body.closed(), "cut after {end} bytes");
        }
    }

    #[test]
    fn bad_framing_is_an_error() {
        for bytes in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "5 5\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5;a\nhello\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\r0\r\n\r\n",
            "0\r\n\rx",
            "0\r\nno colon\r\n\r\n",
            "0\r\nA: b\rx\r\n\r\n",
            "10000000000000000\r\n",
            "fffffffffffffffff\r\n",
        ] {
            assert!(chunked(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn framing_that_never_ends_is_bounded() {
        assert!(chunked(&format!("5;{}", "x".repeat(EXTENSION_MAX))).is_err());
        assert!(chunked(&format!("0\r\n{}", "x".repeat(TRAILER_MAX))).is_err());
        assert!(chunked(&format!("0\r\n{}", "a: b\r\n".repeat(TRAILER_LINES_MAX + 1))).is_err());
    }

    #[test]
    fn a_body_with_a_length_ends_there_and_leaves_the_rest() {
        for cut in [1, 3, usize::MAX] {
            assert_eq!(decode(Framing::Exact(5), b"hello, world", cut), Ok(("hello".into(), 5, true)));
            assert_eq!(decode(Framing::Exact(5), b"hell", cut), Ok(("hell".into(), 4, false)));
            assert_eq!(decode(Framing::Exact(0), b"x", cut), Ok((String::new(), 0, true)));
        }
        assert!(!Body::new(Framing::Exact(5)).closed());
        assert!(Body::new(Framing::Exact(0)).closed());
    }

    #[test]
    fn a_body_without_a_length_ends_when_the_connection_closes() {
        let mut body = Body::new(Framing::UntilClose);
        let fed = body.feed(b"hello", |run| assert_eq!(run, b"hello"));
        assert_eq!(fed, Ok(BodyProgress { used: 5, finished: false }));
        assert!(body.closed());
        assert!(body.finished());
    }
}
