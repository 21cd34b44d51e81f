//! `Parser`: bytes of a `text/event-stream` -> events. Pure; any cut of the bytes gives the
//! same events.

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its `data:` lines, joined by newlines.
    pub data: &'a [u8],
    /// It is named `error`.
    pub fault: bool,
}

/// Gathers bytes and gives whole events.
#[derive(Debug)]
pub struct Parser {
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// Data lines of an event whose end has not arrived.
    data: Vec<u8>,
    /// How many.
    data_lines: usize,
    /// The only data line so far was looked at, and is no event by itself.
    looked_at: bool,
    /// The event is named `error`.
    fault: bool,
    /// The last line ended with CR: an LF that follows belongs to it.
    after_cr: bool,
    /// The first line, which may carry a byte order mark, has been read.
    begun: bool,
    too_long: bool,
    /// Longest line and longest event, bytes.
    most: usize,
}

impl Parser {
    /// `most`: the longest line and the longest event, bytes, so that a server which never ends a
    /// line does not fill our memory.
    pub fn new(most: usize) -> Parser {
        Parser {
            line: Vec::new(),
            data: Vec::new(),
            data_lines: 0,
            looked_at: false,
            fault: false,
            after_cr: false,
            begun: false,
            too_long: false,
            most,
        }
    }

    /// Feeds bytes; calls `each` with every event that they complete (comments, `id:`, `retry:`,
    /// and events without data, unless they are named `error`, give nothing). Returns how many
    /// events were given.
    ///
    /// An event that lies wholly inside `bytes` is given as a part of it, without a copy.
    /// Fails, now and ever after, when a line or an event is too long.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Event)) -> Result<usize, String> {
        let mut rest = bytes;
        // The data of the present event, as long as it is one line inside `bytes`.
        let mut whole: Option<&[u8]> = None;
        let mut events = 0;
        while !self.too_long && !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = line_end(rest) else { break };
            let (line, next) = (&rest[..end], &rest[end + 1..]);
            self.after_cr = rest[end] == b'\r';
            rest = next;
            if self.line.len() + line.len() > self.most {
                self.too_long = true;
            } else if !self.line.is_empty() {
                self.line.extend_from_slice(line);
                let line = std::mem::take(&mut self.line);
                events += self.whole_line(&line, &mut whole, &mut each);
                self.line = line;
                self.line.clear();
            } else {
                if line.starts_with(NAME) {
                    events += self.unended(&mut whole, &mut each);
                }
                match self.field(line, whole.is_some()) {
                    Line::Blank => events += self.dispatch(whole.take(), &mut each),
                    Line::Data(value) if whole.is_none() && self.data_lines == 0 => whole = Some(value),
                    Line::Data(value) => {
                        events += self.unended(&mut whole, &mut each);
                        self.keep(whole.take());
                        self.keep(Some(value));
                    }
                    Line::Other => {}
                }
            }
        }
        events += self.unended(&mut whole, &mut each);
        self.keep(whole);
        if !self.too_long {
            self.too_long = self.line.len() + rest.len() > self.most;
            self.line.extend_from_slice(if self.too_long { &[] } else { rest });
        }
        if self.too_long {
            return Err(format!("an event of the stream is longer than {} MiB", self.most >> 20));
        }
        Ok(events)
    }

    /// Whether what has come last, and is no event yet, is a data line of this.
    pub fn ends_with(&self, data: &[u8]) -> bool {
        match self.line.strip_prefix(b"data:") {
            Some(line) => self.data_lines == 0 && line.trim_ascii() == data,
            None => self.line.is_empty() && self.data.trim_ascii() == data,
        }
    }

    /// The body ended: an event without its closing blank line is given as well.
    pub fn finish(&mut self, mut each: impl FnMut(Event)) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.whole_line(&line, &mut None, &mut each);
        }
        self.dispatch(None, &mut each);
    }

    /// A line that was put together from several feeds.
    fn whole_line(&mut self, line: &[u8], whole: &mut Option<&[u8]>, each: &mut impl FnMut(Event)) -> usize {
        let mut given = if line.starts_with(NAME) { self.unended(whole, each) } else { 0 };
        match self.field(line, whole.is_some()) {
            Line::Blank => given += self.dispatch(whole.take(), each),
            Line::Data(value) => {
                given += self.unended(whole, each);
                self.keep(whole.take());
                self.keep(Some(value));
            }
            Line::Other => {}
        }
        given
    }

    /// Some servers leave the blank line out. A line that is a JSON object by itself is an event
    /// as soon as it is there: no event goes on behind one.
    fn unended(&mut self, whole: &mut Option<&[u8]>, each: &mut impl FnMut(Event)) -> usize {
        let data = match whole {
            Some(data) => *data,
            None if self.data_lines == 1 && !self.looked_at => self.data.as_slice(),
            None => return 0,
        };
        if !is_whole(data) {
            self.looked_at = true;
            return 0;
        }
        each(Event { data, fault: std::mem::take(&mut self.fault) });
        *whole = None;
        self.data.clear();
        self.data_lines = 0;
        self.looked_at = false;
        1
    }

    /// Adds a data line to the event that is being gathered.
    fn keep(&mut self, value: Option<&[u8]>) {
        let Some(value) = value else { return };
        if self.data.len() + 1 + value.len() > self.most {
            self.too_long = true;
            return;
        }
        if self.data_lines > 0 {
            self.data.push(b'\n');
        }
        self.data_lines += 1;
        self.data.extend_from_slice(value);
    }

    fn dispatch(&mut self, whole: Option<&[u8]>, each: &mut impl FnMut(Event)) -> usize {
        let data = whole.unwrap_or(&self.data);
        let fault = std::mem::take(&mut self.fault);
        let given = usize::from((!data.is_empty() || fault) && !self.too_long);
        if given == 1 {
            each(Event { data, fault });
        }
        self.data.clear();
        self.data_lines = 0;
        self.looked_at = false;
        given
    }

    /// `begun`: the event has data already. Its name comes before that, as all servers write it.
    fn field<'a>(&mut self, mut line: &'a [u8], begun: bool) -> Line<'a> {
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            return Line::Blank;
        }
        match line.strip_prefix(b"data") {
            Some([]) => return Line::Data(&[]),
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => return Line::Data(value),
            _ => {}
        }
        if let Some(name) = line.strip_prefix(NAME)
            && !begun
            && self.data_lines == 0
        {
            self.fault = name.trim_ascii().eq_ignore_ascii_case(b"error");
        }
        Line::Other
    }
}

/// The name of an event. Behind data that is an event by itself it begins the next one: had the
/// bytes ended between them, that data would have been given already.
const NAME: &[u8] = b"event:";

enum Line<'a> {
    Blank,
    Data(&'a [u8]),
    Other,
}

fn is_whole(data: &[u8]) -> bool {
    match data.trim_ascii() {
        b"[DONE]" => true,
        data @ [b'{', .., b'}'] => serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok(),
        _ => false,
    }
}

/// Where the first LF or CR is. Blocks of 32 bytes are looked at whole, which compiles to
/// vector instructions; a search byte by byte costs more than everything else here.
fn line_end(bytes: &[u8]) -> Option<usize> {
    let is_end = |byte: &u8| *byte == b'\n' || *byte == b'\r';
    let without = bytes
        .chunks_exact(32)
        .take_while(|block| !block.iter().fold(false, |hit, byte| hit | is_end(byte)))
        .count();
    let from = without * 32;
    bytes[from..].iter().position(is_end).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT_MAX: usize = 8 << 20;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn events(feeds: &[&[u8]]) -> Vec<String> {
        let mut parser = Parser::new(EVENT_MAX);
        let mut events = Vec::new();
        let mut each = |event: Event| {
            let name = if event.fault { "!" } else { "" };
            events.push(format!("{name}{}", String::from_utf8_lossy(event.data)));
        };
        let mut given = 0;
        for feed in feeds {
            given += parser.feed(feed, &mut each).expect("short events");
        }
        let before_finish = given;
        parser.finish(&mut each);
        assert!(events.len() >= before_finish && events.len() <= before_finish + 2);
        events
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        for (stream, expected) in [
            ("data: a\n\ndata: b\n\n", vec!["a", "b"]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", vec!["a", "b"]),
            ("data: a\r\rdata: b\r\r", vec!["a", "b"]),
            ("\u{feff}data: a\n\n", vec!["a"]),
            ("data: \u{feff}a\n\n", vec!["\u{feff}a"]),
            (":\n\n: ping\n\ndata: a\n\n", vec!["a"]),
            ("data:a\n\ndata:  b\n\n", vec!["a", " b"]),
            ("data: a\ndata: b\n\n", vec!["a\nb"]),
            ("data: a\n: between\ndata: b\n\n", vec!["a\nb"]),
            ("data: a\ndata\ndata: b\n\n", vec!["a\n\nb"]),
            ("event: x\nid: 1\nretry: 5\n\n", vec![]),
            ("event: x\ndata: a\nid: 1\n\n", vec!["a"]),
            ("data:\n\ndata\n\ndata: a\n\n", vec!["a"]),
            ("database: x\nDATA: y\n data: z\n\n", vec![]),
            ("data: a\n\n\n\ndata: [DONE]\n\n\n", vec!["a", "[DONE]"]),
            ("event: error\ndata: a\n\ndata: b\n\n", vec!["!a", "b"]),
            ("event: error\n\ndata: b\n\n", vec!["!", "b"]),
            ("event:Error\nevent: message\ndata: a\n\n", vec!["a"]),
            ("data: a\nevent: error\n\n", vec!["a"]),
            ("data: {\"a\":1}\ndata: {\"b\":2}\ndata: [DONE]\n", vec!["{\"a\":1}", "{\"b\":2}", "[DONE]"]),
            ("data: {\ndata: \"a\":{}\ndata: }\n\n", vec!["{\n\"a\":{}\n}"]),
            ("data: unclosed", vec!["unclosed"]),
            ("data: unclosed\n", vec!["unclosed"]),
            ("", vec![]),
        ] {
            assert_eq!(events(&[stream.as_bytes()]), expected, "{stream:?}");
        }
    }

    #[test]
    fn a_name_behind_a_whole_event_begins_the_next_one_whatever_the_cut() {
        for stream in ["data: {\"x\":1}\nevent: error\n\n", "data: {\"x\":1}\nevent: error\ndata: y\n\n"] {
            let whole = events(&[stream.as_bytes()]);
            assert_eq!((whole[0].as_str(), whole[1].starts_with('!')), ("{\"x\":1}", true), "{whole:?}");
            for size in 1..stream.len() {
                let cut: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
                assert_eq!(events(&cut), whole, "{stream:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn any_cut_gives_the_same_events() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let words = [
            "data",
            "data:",
            "data: ",
            ":",
            "id: 4",
            "a",
            "{\"x\":1}",
            "event: error",
            "event:",
            "\n",
            "\r",
            "\r\n",
            "\n\n",
            "\r\r",
            "\r\n\r\n",
            "\u{feff}",
            " ",
            "a line which is longer than thirty-two bytes: ",
            "[DONE]",
        ];
        for _ in 0..2_000 {
            let count = random.random_range(0..30);
            let stream: String = (0..count).map(|_| words[random.random_range(0..words.len())]).collect();
            let whole = events(&[stream.as_bytes()]);
            let single: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            assert_eq!(events(&single), whole, "{stream:?} byte by byte");
            let size = random.random_range(2..20);
            let cut: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            assert_eq!(events(&cut), whole, "{stream:?} in pieces of {size}");
        }
    }

    #[test]
    fn an_event_inside_one_feed_is_given_without_a_copy() {
        let stream = b"data: one\n\ndata: two\n\n";
        let mut parser = Parser::new(EVENT_MAX);
        parser
            .feed(stream, |event| assert!(stream.as_ptr_range().contains(&event.data.as_ptr())))
            .expect("short events");
        assert_eq!(parser.data.capacity() + parser.line.capacity(), 0);
    }

    #[test]
    fn a_line_without_an_end_is_an_error_and_not_all_of_the_memory() {
        let block = vec![b'x'; 1 << 20];
        let mut parser = Parser::new(EVENT_MAX);
        let fed = (0..20).take_while(|_| parser.feed(&block, |_| {}).is_ok()).count();
        assert_eq!(fed, EVENT_MAX >> 20);
        assert!(parser.feed(b"\n\ndata: a\n\n", |_| panic!("nothing comes after the error")).is_err());
    }

    #[test]
    fn many_short_lines_of_one_event_are_bounded_as_well() {
        let line = [b"data: ".as_slice(), &[b'x'; 1 << 16], b"\n"].concat();
        let mut parser = Parser::new(EVENT_MAX);
        let fed = (0..1_000).take_while(|_| parser.feed(&line, |_| {}).is_ok()).count();
        assert!((120..=128).contains(&fed), "{fed}");
    }

    #[test]
    fn the_length_limit_does_not_depend_on_the_cut() {
        let stream = [b"data: ".as_slice(), &vec![b'x'; EVENT_MAX], b"\n\n"].concat();
        assert!(Parser::new(EVENT_MAX).feed(&stream, |_| panic!("too long")).is_err());
        let mut parser = Parser::new(EVENT_MAX);
        assert!(stream.chunks(1 << 16).any(|part| parser.feed(part, |_| panic!("too long")).is_err()));
    }
}
