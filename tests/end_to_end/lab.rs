//! `Lab`: a temporary folder, the real binary in it, and what it leaves behind.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rampant::record::Record;
use rampant::store::reader;
use serde_json::{Map, Value};

/// Longer than anything here takes on a busy machine; a hang fails instead of blocking.
const PATIENCE: Duration = Duration::from_secs(120);

/// A temporary folder in which the binary is run.
pub struct Lab {
    folder: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Lab {
    pub fn new() -> Lab {
        Lab { folder: tempfile::tempdir().expect("a temporary folder"), env: Vec::new() }
    }

    /// The same with one more environment variable.
    pub fn with_env(mut self, name: &str, value: &str) -> Lab {
        self.env.push((name.into(), value.into()));
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file; its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("the folder is ours");
        path
    }

    /// Starts the binary. The environment is empty save what the lab was given.
    pub fn start(&self, args: &[&str]) -> Running {
        self.start_in(args, None)
    }

    /// The same as the leader of a group of its own, as a shell with a terminal starts it.
    pub fn start_as_leader(&self, args: &[&str]) -> Running {
        self.start_in(args, Some(0))
    }

    fn start_in(&self, args: &[&str], group: Option<i32>) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rampant"));
        command.args(args).current_dir(self.path()).env_clear().env("HOME", self.path());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(group) = group {
            command.process_group(group);
        }
        let mut child = command.spawn().expect("the binary starts");
        let out = gather(child.stdout.take().expect("piped"));
        let err = gather(child.stderr.take().expect("piped"));
        Running { child, out, err, what: args.join(" ") }
    }

    /// Runs the binary to its end.
    pub fn run(&self, args: &[&str]) -> Done {
        self.start(args).finish()
    }

    /// `rampant single` against `url` with short prompts and replies.
    pub fn single(&self, url: &str, more: &[&str]) -> Done {
        self.run(&single(url, more))
    }

    /// The results folders, oldest first.
    pub fn results(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path().join("results")).into_iter().flatten();
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        folders.sort();
        folders
    }

    /// The one results folder.
    #[track_caller]
    pub fn result(&self) -> PathBuf {
        let mut folders = self.results();
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders.remove(0)
    }
}

/// The arguments of a `single` with short prompts and replies.
pub fn single<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let short = ["single", "--base-url", url, "--random-input-len", "16", "--random-output-len", "8"];
    short.into_iter().chain(more.iter().copied()).collect()
}

fn gather(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (done, result) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = done.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    result
}

/// A binary under way.
pub struct Running {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
    what: String,
}

impl Running {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: the child has not been waited for, so the number is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
    }

    /// To the group that it leads: what a terminal does with Ctrl-C.
    pub fn signal_group(&self, signal: libc::c_int) {
        // SAFETY: as above; the group is named after its leader.
        unsafe { libc::kill(-(self.child.id() as libc::pid_t), signal) };
    }

    /// Waits for the end; kills and fails when it does not come.
    #[track_caller]
    pub fn finish(mut self) -> Done {
        let deadline = Instant::now() + PATIENCE;
        let mut rest = |pipe: &Receiver<String>| {
            let left = deadline.saturating_duration_since(Instant::now());
            pipe.recv_timeout(left).unwrap_or_else(|_| {
                let _ = self.child.kill();
                panic!("`rampant {}` did not end within {PATIENCE:?}", self.what)
            })
        };
        let (out, err) = (rest(&self.out), rest(&self.err));
        let status = self.child.wait().expect("our child");
        Done { code: status.code(), out, err, what: std::mem::take(&mut self.what) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a finished binary said.
pub struct Done {
    /// `None`: a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    what: String,
}

impl Done {
    /// Fails unless the exit code is `code`, or when there was a panic.
    #[track_caller]
    pub fn exits(self, code: i32) -> Done {
        let told = format!("`rampant {}`\n--- out\n{}\n--- err\n{}", self.what, self.out, self.err);
        assert_eq!(self.code, Some(code), "{told}");
        assert!(!told.contains("panicked"), "{told}");
        self
    }

    /// The one error: its sentence, without what to try and where it is.
    #[track_caller]
    pub fn error(&self) -> &str {
        let mut errors = self.err.lines().filter_map(|line| line.strip_prefix("error: "));
        let first = errors.next().unwrap_or_else(|| panic!("no error: {}", self.err));
        assert_eq!(errors.next(), None, "more than one error: {}", self.err);
        first
    }

    /// Both outputs.
    pub fn said(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

/// The built-in engine as a server of its own.
pub struct Engine {
    child: Child,
    // The engine ends with this pipe, should the test be killed.
    _stdin: Option<ChildStdin>,
    pub url: String,
}

impl Engine {
    /// Starts it on a free port with settings such as `ttft=5ms,itl=1ms`.
    pub fn start(config: &str) -> Engine {
        Engine::start_at("0", config)
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self, config: &str) {
        let (_, port) = self.url.rsplit_once(':').expect("a port");
        *self = Engine::start_at(port, config);
    }

    fn start_at(port: &str, config: &str) -> Engine {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rampant"))
            .args(["engine", "--port", port, "--until-stdin-closes", "--config", config])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the engine starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("listening on ").expect("the engine's first line").to_string();
        let stdin = child.stdin.take();
        Engine { child, _stdin: stdin, url }
    }

    /// A fast one: 2 ms to the first token, 1 ms between tokens.
    pub fn fast() -> Engine {
        Engine::start("ttft=2ms,itl=1ms")
    }

    pub fn get(&self, path: &str) -> String {
        get(&self.url, path)
    }

    /// What the engine knows of its finished requests, by request id; the preflight among them.
    pub fn truth(&self) -> Map<String, Value> {
        let Ok(Value::Object(truth)) = serde_json::from_str(&self.get("/truth")) else {
            panic!("the truth is a JSON object")
        };
        truth
    }

    /// Waits until `met` holds of this engine.
    #[track_caller]
    pub fn until(&self, met: impl Fn(&Engine) -> bool) {
        until(|| met(self));
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The body of a GET; fails when the status is not 200.
pub fn get(url: &str, path: &str) -> String {
    let address = url.strip_prefix("http://").expect("an http URL");
    let mut socket = TcpStream::connect(address).expect("the server listens");
    write!(socket, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("sent");
    let mut reply = String::new();
    socket.read_to_string(&mut reply).expect("a reply");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    body.to_string()
}

/// Looks again and again until `met`; fails when that takes too long.
#[track_caller]
pub fn until(met: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !met() {
        assert!(Instant::now() < deadline, "what was waited for did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// All rows of a results folder with the name of their run, in the order of their requests.
/// Fails when anything could not be read.
#[track_caller]
pub fn rows(folder: &Path) -> Vec<(String, Record)> {
    let (rows, warnings) = readable_rows(folder);
    assert_eq!(warnings, Vec::<String>::new());
    rows
}

/// The rows that can be read, and what is said of the rest.
#[track_caller]
pub fn readable_rows(folder: &Path) -> (Vec<(String, Record)>, Vec<String>) {
    let mut rows = Vec::new();
    let warnings = reader::requests(folder, None, |run, record| rows.push((run.to_string(), record)))
        .expect("the folder is readable");
    rows.sort_by_key(|(_, record)| record.seq);
    (rows, warnings)
}

/// The records of a folder with one run.
#[track_caller]
pub fn records(folder: &Path) -> Vec<Record> {
    rows(folder).into_iter().map(|(_, record)| record).collect()
}

/// How many requests ended how.
pub fn outcomes(records: &[Record]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(record.outcome.name()).or_default() += 1;
    }
    counts
}

/// The rows of `runs.parquet`.
pub fn runs(folder: &Path) -> Vec<Map<String, Value>> {
    rampant::experiment::recalled::rows(folder).expect("runs.parquet is readable")
}

/// The manifest, and how the process said there that it ended.
pub fn manifest(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("manifest.json")).expect("a manifest");
    serde_json::from_str(&text).expect("JSON")
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
