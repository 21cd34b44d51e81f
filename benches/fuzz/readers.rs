//! Every reader of bytes that others wrote, and what it promises beside not to break.

use crate::samples;
use flate2::Compression;
use flate2::write::GzEncoder;
use rampant::client::Target;
use rampant::client::body::{Body, Framing};
use rampant::client::control;
use rampant::client::head::Head;
use rampant::client::protocol::{self, Api, ReplyState, TemplateReader as Events};
use rampant::client::scrape::Page;
use rampant::client::sse;
use rampant::record::{Prompt, Request};
use rampant::store::{Folder, folder, reader, runs, series};
use rampant::tokens::Tokens;
use rampant::workload::read::{DataFormat, How, parse};
use rampant::workload::{Ask, count};
use serde::de::IgnoredAny;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

type Read = Box<dyn Fn(&[u8]) -> Result<(), String>>;

pub struct Reader {
    pub name: &'static str,
    pub samples: Vec<Vec<u8>>,
    /// Inputs are packed.
    pub gzip: bool,
    /// `Err`: a promise that does not hold.
    pub read: Read,
}

impl Reader {
    pub fn packed(&self, bytes: Vec<u8>) -> Vec<u8> {
        if !self.gzip {
            return bytes;
        }
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&bytes).expect("memory");
        packed.finish().expect("memory")
    }
}

pub fn all() -> Vec<Reader> {
    let of = |name, samples, read: Read| Reader { name, samples, gzip: false, read };
    let set = |format| -> Read { Box::new(move |bytes| data_set(format, bytes)) };
    let parquet = || samples::below("tests/data/parquet", "parquet");
    vec![
        of("data-jsonl", samples::json_lines(), set(DataFormat::Jsonl)),
        of("data-csv", samples::tables(), set(DataFormat::Csv)),
        of("data-lines", samples::tables(), set(DataFormat::Lines)),
        of("data-sharegpt", samples::conversations(), set(DataFormat::ShareGpt)),
        of("data-batch", samples::batches(), set(DataFormat::OpenAiBatch)),
        of("data-burstgpt", samples::tables(), set(DataFormat::BurstGpt)),
        of("data-hf", [samples::json_lines(), samples::conversations()].concat(), set(DataFormat::Hf)),
        of("data-parquet", parquet(), set(DataFormat::Hf)),
        Reader { gzip: true, ..of("data-gzip", samples::json_lines(), set(DataFormat::Jsonl)) },
        of("csv", samples::tables(), Box::new(|bytes| quiet(rampant::stats::csv::parse_csv(bytes)))),
        of("yaml", samples::plans(), Box::new(yaml)),
        of("results-requests", results(&["requests/part-000-0000.parquet"]), Box::new(requests)),
        of("results-runs", [results(&["runs.parquet"]), parquet()].concat(), Box::new(rows)),
        of("results-series", results(&["series.parquet"]), Box::new(points)),
        of("results-manifest", results(&["manifest.json"]), Box::new(manifest)),
        of("reply-head", samples::heads(), Box::new(head)),
        of("reply-chunks", samples::chunks(), Box::new(chunks)),
        of("reply-events", samples::events(), Box::new(events)),
        of("reply-whole", samples::events(), Box::new(whole)),
        of("metrics", samples::below("tests/data/metrics", "txt"), Box::new(metrics)),
    ]
}

/// What is found of each of the broken readers.
pub const FOUND: [&str; 5] =
    ["panicked", "more than 8 s of CPU", "more than 1 GiB", "the process ended with", "a promise"];

/// Readers that are broken on purpose, to see that it is found.
pub fn broken() -> Vec<Reader> {
    fn deeper(bytes: &[u8]) -> usize {
        let here = std::hint::black_box([bytes.len(); 512]);
        if here[0] == usize::MAX { 0 } else { deeper(std::hint::black_box(bytes)) + here[1] }
    }
    let of = |name, read: Read| Reader { name, samples: vec![b"x".to_vec()], gzip: false, read };
    vec![
        of("broken-panic", Box::new(|bytes| if bytes[bytes.len()] == 0 { Ok(()) } else { Err("".into()) })),
        of(
            "broken-hang",
            Box::new(|bytes| {
                while !std::hint::black_box(bytes).is_empty() {}
                Ok(())
            }),
        ),
        of(
            "broken-memory",
            Box::new(|_| quiet::<_, ()>(Ok(std::hint::black_box(Vec::<u8>::with_capacity(2 << 30))))),
        ),
        of("broken-stack", Box::new(|bytes| if deeper(bytes) == 0 { Ok(()) } else { Err("".into()) })),
        of("broken-promise", Box::new(|_| Err("a promise".into()))),
    ]
}

fn results(names: &[&str]) -> Vec<Vec<u8>> {
    let names: Vec<String> = names.iter().map(|name| format!("results/sample/{name}")).collect();
    samples::files(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn quiet<T, E>(_: Result<T, E>) -> Result<(), String> {
    Ok(())
}

/// Whatever is read can be sent: the body is JSON.
fn data_set(format: DataFormat, bytes: &[u8]) -> Result<(), String> {
    let how = How { format, ..How::default() };
    let Ok(rows) = parse("file", bytes, &how) else { return Ok(()) };
    let strict = parse("file", bytes, &How { strict: true, ..how });
    if strict.is_ok() != rows.skipped.is_none() {
        return Err("what is skipped is no error, or the other way round".into());
    }
    let counts = count(&rows.rows, &Tokens::Words, None);
    if counts.len() != rows.rows.len() {
        return Err("not every row is counted".into());
    }
    let base = Target::base_url("http://127.0.0.1:1").map_err(|error| error.to_string())?;
    for (row, counts) in rows.rows.iter().zip(counts).take(64) {
        let prompt = match &row.ask {
            Ask::Text(text) => Prompt::Text(text.to_string()),
            Ask::Verbatim(recorded) => Prompt::Verbatim(recorded.clone()),
            Ask::Tokens(_) => continue,
        };
        for api in [Api::Completions, Api::Chat, Api::Tgi, Api::TensorRt] {
            let body =
                protocol::body(&Target::new(base.clone(), api), &request(prompt.clone(), counts.output));
            serde_json::from_slice::<IgnoredAny>(&body).map_err(|error| {
                format!("a body that is no JSON ({error}): {}", String::from_utf8_lossy(&body))
            })?;
        }
    }
    Ok(())
}

fn request(prompt: Prompt, output: Option<u32>) -> Request {
    Request {
        seq: 0,
        session: 0,
        turn: 0,
        class: "".into(),
        prompt,
        asked_input: None,
        counted_input: None,
        max_tokens: output.unwrap_or(16),
        synthetic: false,
        forced_length: false,
        extra: None,
        headers: Vec::new(),
        leave: None,
    }
}

fn yaml(bytes: &[u8]) -> Result<(), String> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
    match rampant::script::yaml::parse(text, "plan.yaml") {
        Ok(_) => Ok(()),
        Err(told) if told.starts_with("plan.yaml") => Ok(()),
        Err(told) => Err(format!("an error without its place: {told}")),
    }
}

/// A folder of our own in memory, where there is one.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let folder = parent.join(format!("rampant-fuzz-{}", std::process::id()));
    fs::create_dir_all(folder.join("requests")).expect("a temporary folder");
    folder
}

fn written(name: &str, bytes: &[u8], read: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    let folder = scratch();
    fs::write(folder.join(name), bytes).expect("a temporary file");
    let done = read(&folder);
    let _ = fs::remove_file(folder.join(name));
    done
}

fn requests(bytes: &[u8]) -> Result<(), String> {
    written("requests/part-000-0000.parquet", bytes, |folder| {
        let mut records = 0;
        let read = reader::requests(folder, None, |_, record| {
            records += 1;
            std::hint::black_box((record.ttft_ms(), record.e2el_ms()));
        });
        quiet(read)
    })
}

fn rows(bytes: &[u8]) -> Result<(), String> {
    written(runs::FILE, bytes, |folder| quiet(runs::rows(folder)))
}

fn points(bytes: &[u8]) -> Result<(), String> {
    written(series::FILE, bytes, |folder| {
        quiet(series::read(folder, "mixed", |point| drop(std::hint::black_box(point))))
    })
}

fn manifest(bytes: &[u8]) -> Result<(), String> {
    written(folder::MANIFEST, bytes, |path| {
        let _ = Folder::open(path).map(|folder| folder.read_manifest());
        quiet(folder::look(path.parent().unwrap_or(path)))
    })
}

fn head(bytes: &[u8]) -> Result<(), String> {
    for to_head in [false, true] {
        match Head::parse(bytes, to_head) {
            Ok(Some((_, length))) if length > bytes.len() => {
                return Err("a head longer than its bytes".into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Another cut of the bytes gives the same data.
fn chunks(bytes: &[u8]) -> Result<(), String> {
    for framing in [Framing::Chunked, Framing::UntilClose, Framing::Exact(bytes.len() as u64 / 2)] {
        let run = |piece: usize| {
            let mut body = Body::new(framing);
            let mut data = Vec::new();
            let mut failed = false;
            for part in bytes.chunks(piece.max(1)) {
                match body.feed(part, |more| data.extend_from_slice(more)) {
                    Ok(progress) if progress.finished => break,
                    Ok(_) => {}
                    Err(_) => {
                        failed = true;
                        break;
                    }
                }
            }
            (data, failed, body.finished())
        };
        if run(bytes.len()) != run(3) {
            return Err(format!("{framing:?}: another cut gives other data"));
        }
    }
    Ok(())
}

/// Another cut of the bytes gives the same events; a reader that learns gives the same meanings.
fn events(bytes: &[u8]) -> Result<(), String> {
    for api in [Api::Completions, Api::Chat, Api::Tgi, Api::TensorRt] {
        let run = |piece: usize| {
            let (mut parser, mut events, mut tally) =
                (sse::Parser::new(1 << 20), Events::new(api), ReplyState::new(api));
            let (mut meanings, mut text) = (Vec::new(), String::new());
            let mut each = |event: sse::Event| match events.read(event, Some(&mut text)) {
                Ok(meaning) => {
                    tally.add(&meaning);
                    meanings.push(Some(meaning));
                }
                Err(why) => {
                    tally.broken(why);
                    meanings.push(None);
                }
            };
            let fed = bytes.chunks(piece.max(1)).all(|part| parser.feed(part, &mut each).is_ok());
            parser.finish(&mut each);
            let verdict = tally.outcome(true, 16, true);
            (meanings, text, fed, format!("{verdict:?}"))
        };
        if run(bytes.len()) != run(7) {
            return Err(format!("{}: another cut gives other events", api.name()));
        }
    }
    Ok(())
}

fn whole(bytes: &[u8]) -> Result<(), String> {
    for api in [Api::Completions, Api::Chat, Api::Tgi, Api::TensorRt] {
        let mut text = String::new();
        let read = protocol::read_reply(api, bytes, Some(&mut text));
        if let Ok(meaning) = read {
            let mut tally = ReplyState::new(api);
            tally.add(&meaning);
            std::hint::black_box(tally.outcome(true, 16, false));
        }
    }
    std::hint::black_box(protocol::error_words(bytes));
    Ok(())
}

fn metrics(bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let page = Page::read(&text);
    std::hint::black_box(page.value("prefix_cache_hits"));
    std::hint::black_box(control::metric(&text, "vllm:num_requests_running{engine=\"0\"}"));
    Ok(())
}
