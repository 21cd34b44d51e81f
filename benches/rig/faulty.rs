//! `Faulty`: a small server in this process whose faults depend on how many requests it has had.

use super::Result;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Milliseconds to the first token and between tokens, where nothing is wrong.
const TTFT_MS: f64 = 20.0;
const ITL: Duration = Duration::from_millis(5);

/// What is wrong with the server.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    None,
    /// The time to the first token grows to three times over so many requests.
    Drift(usize),
    /// The first so many requests take five times as long to their first token.
    SlowStart(usize),
    /// A prompt that was seen before is reported as cached.
    Cache,
}

/// A listening server. Its threads end with this process.
pub struct Faulty {
    pub url: String,
}

struct Server {
    fault: Fault,
    generations: AtomicUsize,
    seen: Mutex<HashSet<String>>,
}

impl Faulty {
    /// Listens on a free port of `address`.
    pub fn start(address: IpAddr, fault: Fault) -> Result<Faulty> {
        let listener = TcpListener::bind((address, 0))?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = Arc::new(Server { fault, generations: AtomicUsize::new(0), seen: Mutex::default() });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                // A client that leaves early is its own business.
                std::thread::spawn(move || drop(server.serve(stream)));
            }
        });
        Ok(Faulty { url })
    }
}

impl Server {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some((path, body)) = read_request(&mut reader)? {
            match &*path {
                "/v1/completions" => self.generate(&mut stream, &body)?,
                "/v1/models" => reply(&mut stream, r#"{"object":"list","data":[{"id":"faulty"}]}"#)?,
                _ => reply(&mut stream, "{}")?,
            }
        }
        Ok(())
    }

    fn generate(&self, stream: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
        let asked: serde_json::Value = serde_json::from_slice(body)?;
        let tokens = asked["max_tokens"].as_u64().unwrap_or(1);
        let prompt = asked["prompt"].as_str().unwrap_or_default();
        let words = prompt.split_whitespace().count();
        let known = !self.seen.lock().expect("nobody panics in here").insert(prompt.to_string());
        let cached = if known && matches!(self.fault, Fault::Cache) { words } else { 0 };
        let number = self.generations.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs_f64(self.ttft_ms(number) / 1e3));
        stream.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        )?;
        for token in 1..=tokens {
            let finish = if token == tokens { r#""length""# } else { "null" };
            event(
                stream,
                &format!(r#"{{"choices":[{{"index":0,"text":" word","finish_reason":{finish}}}]}}"#),
            )?;
            if token < tokens {
                std::thread::sleep(ITL);
            }
        }
        let total = words as u64 + tokens;
        event(
            stream,
            &format!(
                r#"{{"choices":[],"usage":{{"prompt_tokens":{words},"completion_tokens":{tokens},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":{cached}}}}}}}"#
            ),
        )?;
        event(stream, "[DONE]")?;
        stream.write_all(b"0\r\n\r\n")
    }

    /// Of the generation `number`, from 0; the first one is the client's trial.
    fn ttft_ms(&self, number: usize) -> f64 {
        match self.fault {
            Fault::Drift(over) => TTFT_MS * (1.0 + 2.0 * number as f64 / over as f64),
            Fault::SlowStart(first) if number <= first => 5.0 * TTFT_MS,
            _ => TTFT_MS,
        }
    }
}

/// Path and body; `None` where the client has closed.
fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let (mut first, mut length) = (String::new(), 0);
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((first.split(' ').nth(1).unwrap_or_default().to_string(), body)))
}

fn reply(stream: &mut TcpStream, body: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// One server-sent event in a chunk of its own, in one write.
fn event(stream: &mut TcpStream, data: &str) -> std::io::Result<()> {
    let text = format!("data: {data}\n\n");
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())
}
