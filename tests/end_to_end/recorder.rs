//! `Recorder`: a server that keeps every request that it was sent, to compare them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// One request to generate something.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    /// The head as it came, in lower case.
    pub head: String,
    pub body: Value,
    /// The body as it came.
    pub sent: String,
}

impl Seen {
    pub fn is_preflight(&self) -> bool {
        self.head.contains("x-request-id: preflight-")
    }

    pub fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_else(|| panic!("no {key:?} in {}", self.body))
    }
}

/// Listens until the test ends; answers every generation with one token.
pub struct Recorder {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Paths that were only looked at.
    looked: Arc<Mutex<Vec<String>>>,
}

type Reply = dyn Fn(&Seen) -> String + Send + Sync;
type Look = dyn Fn(&str) -> String + Send + Sync;

impl Recorder {
    pub fn start() -> Recorder {
        Recorder::answering(|_| reply())
    }

    /// With replies of the caller's own: a whole HTTP response for each request.
    pub fn answering(reply: impl Fn(&Seen) -> String + Send + Sync + 'static) -> Recorder {
        Recorder::listening("127.0.0.1:0", usual_look, reply)
    }

    /// The same at an address of the caller's choice, with answers to GETs of its own.
    pub fn listening(
        address: &str,
        look: impl Fn(&str) -> String + Send + Sync + 'static,
        reply: impl Fn(&Seen) -> String + Send + Sync + 'static,
    ) -> Recorder {
        let listener = TcpListener::bind(address).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let looked = Arc::<Mutex<Vec<String>>>::default();
        let theirs = (seen.clone(), looked.clone());
        let (look, reply): (Arc<Look>, Arc<Reply>) = (Arc::new(look), Arc::new(reply));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let ((seen, looked), look, reply) = (theirs.clone(), look.clone(), reply.clone());
                std::thread::spawn(move || answer(socket, (&seen, &looked), &*look, &*reply));
            }
        });
        Recorder { url, seen, looked }
    }

    /// All requests to generate something, the preflight's first.
    pub fn all(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic while recording").clone()
    }

    /// How often a path was looked at.
    pub fn looks(&self, path: &str) -> usize {
        let looked = self.looked.lock().expect("no panic while recording");
        looked.iter().filter(|known| *known == path).count()
    }

    /// All paths that were looked at.
    pub fn looked(&self) -> Vec<String> {
        self.looked.lock().expect("no panic while recording").clone()
    }

    /// The measured requests, in the order of their arrival.
    pub fn measured(&self) -> Vec<Seen> {
        let seen = self.seen.lock().expect("no panic while recording");
        seen.iter().filter(|seen| !seen.is_preflight()).cloned().collect()
    }
}

fn answer(
    mut socket: TcpStream,
    (seen, looked): (&Mutex<Vec<Seen>>, &Mutex<Vec<String>>),
    look: &Look,
    reply: &Reply,
) -> Option<()> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        match socket.read(&mut buffer) {
            Ok(n) if n > 0 => bytes.extend_from_slice(&buffer[..n]),
            _ => return None,
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length.unwrap_or(0) {
        match socket.read(&mut buffer) {
            Ok(n) if n > 0 => body.extend_from_slice(&buffer[..n]),
            _ => return None,
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_string();
    let text = if head.starts_with("get ") {
        looked.lock().expect("no panic while recording").push(path.clone());
        look(&path)
    } else {
        // A form with sound is neither text nor JSON, and half of a surrogate pair is no text.
        let sent = String::from_utf8_lossy(&body).into_owned();
        let other = head.contains("content-type: multipart/form-data") || sent.contains("\\ud800");
        let body = match other {
            true => Value::Null,
            false => serde_json::from_str(&sent).expect("a JSON body"),
        };
        let request = Seen { path, head, body, sent };
        let text = reply(&request);
        seen.lock().expect("no panic while recording").push(request);
        text
    };
    socket.write_all(text.as_bytes()).ok()
}

/// A response whose end is the end of the connection.
pub fn http(status: u16, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

/// One model, and everything is well.
pub fn usual_look(path: &str) -> String {
    let card = r#"{"object":"list","data":[{"id":"recorded","object":"model"}]}"#;
    http(200, "application/json", if path == "/v1/models" { card } else { "{}" })
}

/// One token, its end, its usage.
pub fn reply() -> String {
    let events = [
        r#"{"choices":[{"index":0,"text":" yes","finish_reason":null}]}"#,
        r#"{"choices":[{"index":0,"text":"","finish_reason":"length"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":16,"completion_tokens":1}}"#,
        "[DONE]",
    ];
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    http(200, "text/event-stream", &body)
}
