//! `Incoming`: HTTP/1.1 requests out of the bytes of one connection, and reply text. Pure bytes,
//! no socket.

/// A head longer than this is refused.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// A body longer than this is refused.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One whole request.
#[derive(Debug, PartialEq)]
pub struct HttpRequest {
    pub method: String,
    /// The path without its query.
    pub path: String,
    pub query: String,
    pub body: Vec<u8>,
    /// The client can read a chunked body.
    pub chunks: bool,
    /// The client wants the connection to stay open.
    pub keep: bool,
    pub request_id: Option<String>,
    pub bearer: Option<String>,
}

/// What the bytes so far amount to.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// More bytes are needed.
    More,
    /// More bytes are needed, and the client waits for `100 Continue` before it sends them.
    Continue,
    Request(HttpRequest),
}

/// A request that is not understood: the status and the reason. The connection ends with it.
#[derive(Debug, PartialEq)]
pub struct HttpRefusal(pub u16, pub &'static str);

/// The bytes of one connection that no request has used yet.
#[derive(Default)]
pub struct Incoming {
    pub bytes: Vec<u8>,
    head: Option<Head>,
    /// The decoded part of a chunked body.
    decoded: Vec<u8>,
}

struct Head {
    request: HttpRequest,
    length: Length,
    expects: bool,
}

enum Length {
    Bytes(usize),
    Chunked,
}

impl Incoming {
    /// The next request in the bytes, if it is whole. Bytes after it are kept for the one after.
    pub fn next(&mut self) -> Result<Step, HttpRefusal> {
        if self.head.is_none() {
            let Some((head, used)) = read_head(&self.bytes)? else { return Ok(Step::More) };
            self.bytes.drain(..used);
            self.head = Some(head);
        }
        let Some(head) = &mut self.head else { return Ok(Step::More) };
        let body = match head.length {
            Length::Bytes(length) if self.bytes.len() >= length => {
                let rest = self.bytes.split_off(length);
                Some(std::mem::replace(&mut self.bytes, rest))
            }
            Length::Bytes(_) => None,
            Length::Chunked if read_chunks(&mut self.bytes, &mut self.decoded)? => {
                Some(std::mem::take(&mut self.decoded))
            }
            Length::Chunked => None,
        };
        match body {
            Some(body) => {
                let request = self.head.take().map(|head| HttpRequest { body, ..head.request });
                Ok(request.map_or(Step::More, Step::Request))
            }
            None if std::mem::take(&mut head.expects) => Ok(Step::Continue),
            None => Ok(Step::More),
        }
    }
}

/// The head at the start of `bytes` and its length, once it is whole.
fn read_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, HttpRefusal> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let used = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) if bytes.len() > HEAD_BYTES_MAX => {
            return Err(HttpRefusal(431, "the request head is too long"));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(HttpRefusal(400, "invalid HTTP request received")),
    };
    let target = parsed.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let is_1_1 = parsed.version == Some(1);
    let mut head = Head {
        request: HttpRequest {
            method: parsed.method.unwrap_or_default().to_string(),
            path: path.to_string(),
            query: query.to_string(),
            body: Vec::new(),
            chunks: is_1_1,
            keep: is_1_1,
            request_id: None,
            bearer: None,
        },
        length: Length::Bytes(0),
        expects: false,
    };
    for header in parsed.headers.iter() {
        read_header(&mut head, header.name, header.value.trim_ascii())?;
    }
    Ok(Some((head, used)))
}

fn read_header(head: &mut Head, name: &str, value: &[u8]) -> Result<(), HttpRefusal> {
    let text = || std::str::from_utf8(value).ok();
    if name.eq_ignore_ascii_case("content-length") {
        let length = text().and_then(|text| text.parse::<usize>().ok());
        let length = length.ok_or(HttpRefusal(400, "the content-length is not a number"))?;
        if length > BODY_BYTES_MAX {
            return Err(HttpRefusal(413, "the request body is too long"));
        }
        if !matches!(head.length, Length::Chunked) {
            head.length = Length::Bytes(length);
        }
    } else if name.eq_ignore_ascii_case("transfer-encoding") {
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(HttpRefusal(501, "the transfer-encoding is not chunked"));
        }
        head.length = Length::Chunked;
    } else if name.eq_ignore_ascii_case("connection") {
        let names = |wanted: &[u8]| {
            value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(wanted))
        };
        head.request.keep = (head.request.keep || names(b"keep-alive")) && !names(b"close");
    } else if name.eq_ignore_ascii_case("expect") {
        head.expects = value.eq_ignore_ascii_case(b"100-continue");
    } else if name.eq_ignore_ascii_case("x-request-id") {
        head.request.request_id = text().map(str::to_string);
    } else if name.eq_ignore_ascii_case("authorization") {
        head.request.bearer = text().and_then(|text| text.strip_prefix("Bearer ")).map(str::to_string);
    }
    Ok(())
}

/// Moves whole chunks from `bytes` to `decoded`; whether the last one and the trailers were seen.
fn read_chunks(bytes: &mut Vec<u8>, decoded: &mut Vec<u8>) -> Result<bool, HttpRefusal> {
    let mut at = 0;
    let ended = loop {
        let (start, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(httparse::Status::Complete((used, size))) => (at + used, size),
            Ok(httparse::Status::Partial) => break false,
            Err(_) => return Err(HttpRefusal(400, "a chunk size is invalid")),
        };
        if size > (BODY_BYTES_MAX - decoded.len()) as u64 {
            return Err(HttpRefusal(413, "the request body is too long"));
        }
        if size == 0 {
            match trailers(&bytes[start..])? {
                Some(used) => {
                    at = start + used;
                    break true;
                }
                None => break false,
            }
        }
        let end = start + size as usize;
        match bytes.get(end..end + 2) {
            Some(b"\r\n") => decoded.extend_from_slice(&bytes[start..end]),
            Some(_) => return Err(HttpRefusal(400, "a chunk does not end with its line")),
            None => break false,
        }
        at = end + 2;
    };
    bytes.drain(..at);
    Ok(ended)
}

/// The length of the trailers with their empty line, once they are whole.
fn trailers(bytes: &[u8]) -> Result<Option<usize>, HttpRefusal> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    match httparse::parse_headers(bytes, &mut headers) {
        Ok(httparse::Status::Complete((used, _))) => Ok(Some(used)),
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_BYTES_MAX => Ok(None),
        _ => Err(HttpRefusal(400, "the trailers are invalid")),
    }
}

/// The reason phrase of the statuses that the server sends or is told to send.
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

/// A whole reply. `keep`: whether it announces that the connection stays open.
pub fn reply(status: u16, content_type: &str, body: &[u8], keep: bool) -> Vec<u8> {
    let mut text = format!(
        "HTTP/1.1 {status} {}\r\nserver: rampant\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n{}\r\n",
        phrase(status),
        body.len(),
        if keep { "" } else { "connection: close\r\n" },
    )
    .into_bytes();
    text.extend_from_slice(body);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(step: Step) -> HttpRequest {
        match step {
            Step::Request(request) => request,
            other => panic!("no request yet: {other:?}"),
        }
    }

    #[test]
    fn a_request_is_read_whatever_the_pieces_it_comes_in() {
        let text = b"POST /v1/completions?x=1 HTTP/1.1\r\nHost: a\r\nX-Request-Id: r1\r\n\
            Authorization: Bearer k\r\nContent-Length: 4\r\n\r\nbody";
        for cut in 1..text.len() {
            let mut incoming = Incoming::default();
            incoming.bytes.extend_from_slice(&text[..cut]);
            assert_eq!(incoming.next(), Ok(Step::More), "cut at {cut}");
            incoming.bytes.extend_from_slice(&text[cut..]);
            let request = request(incoming.next().unwrap());
            assert_eq!(
                (&*request.method, &*request.path, &*request.query),
                ("POST", "/v1/completions", "x=1")
            );
            assert_eq!(request.body, b"body");
            assert_eq!(request.request_id.as_deref(), Some("r1"));
            assert_eq!(request.bearer.as_deref(), Some("k"));
            assert!(request.keep && request.chunks);
        }
    }

    #[test]
    fn pipelined_requests_come_one_after_the_other() {
        let mut incoming = Incoming::default();
        incoming.bytes.extend_from_slice(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\nGET");
        assert_eq!(request(incoming.next().unwrap()).path, "/a");
        assert_eq!(request(incoming.next().unwrap()).path, "/b");
        assert_eq!(incoming.next(), Ok(Step::More));
        assert_eq!(incoming.bytes, b"GET");
    }

    #[test]
    fn a_chunked_body_is_put_together() {
        let text = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\nGET /next HTTP/1.1\r\n\r\n";
        let end = text.len() - b"GET /next HTTP/1.1\r\n\r\n".len();
        for cut in 1..end {
            let mut incoming = Incoming::default();
            incoming.bytes.extend_from_slice(&text[..cut]);
            assert_eq!(incoming.next(), Ok(Step::More), "cut at {cut}");
            incoming.bytes.extend_from_slice(&text[cut..]);
            assert_eq!(request(incoming.next().unwrap()).body, b"abcde", "cut at {cut}");
            assert_eq!(request(incoming.next().unwrap()).path, "/next", "cut at {cut}");
        }
    }

    #[test]
    fn continue_is_asked_for_once() {
        let mut incoming = Incoming::default();
        incoming
            .bytes
            .extend_from_slice(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
        assert_eq!(incoming.next(), Ok(Step::Continue));
        assert_eq!(incoming.next(), Ok(Step::More));
        incoming.bytes.extend_from_slice(b"ok");
        assert_eq!(request(incoming.next().unwrap()).body, b"ok");
    }

    #[test]
    fn the_connection_is_kept_as_the_client_says() {
        let keep = |text: &[u8]| {
            let mut incoming = Incoming { bytes: text.to_vec(), ..Incoming::default() };
            let request = request(incoming.next().unwrap());
            (request.keep, request.chunks)
        };
        assert_eq!(keep(b"GET / HTTP/1.1\r\nConnection: TE, Close\r\n\r\n"), (false, true));
        assert_eq!(keep(b"GET / HTTP/1.0\r\n\r\n"), (false, false));
        assert_eq!(keep(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), (true, false));
    }

    #[test]
    fn nonsense_is_refused() {
        let refusal = |text: &[u8]| {
            let mut incoming = Incoming { bytes: text.to_vec(), ..Incoming::default() };
            incoming.next().unwrap_err().0
        };
        assert_eq!(refusal(b"\x16\x03\x01 hello\r\n\r\n"), 400);
        assert_eq!(refusal(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), 400);
        assert_eq!(refusal(b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"), 413);
        assert_eq!(refusal(b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n"), 501);
        assert_eq!(refusal(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 400);
        assert_eq!(refusal(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabXX"), 400);
    }
}
