//! `World`: a folder with what a script may see and what it may not, and the binary run in it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than a line takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What stands in the files that nobody may read.
pub const SECRET: &str = "top-secret-content-4711";

/// A key that goes into headers and nowhere else.
pub const KEY: &str = "sk-k3y/with+odd=chars";

/// A folder with what a script may see and what it may not.
pub struct World {
    pub folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> World {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let world = World { folder };
        for made in [
            "mine/sub/.hidden",
            "mine/.ssh",
            "mine/tok",
            "mine/set",
            "outside",
            "results/old_20260101_000000",
        ] {
            std::fs::create_dir_all(world.at(made)).expect("made");
        }
        let secret_rows = format!("a\n{SECRET}\n");
        for (name, text) in [
            ("mine/data.csv", "a\n1\n2\n"),
            ("mine/sub/more.json", "{\"a\": 1}"),
            ("mine/.env.csv", secret_rows.as_str()),
            ("mine/.ssh/id.csv", &secret_rows),
            ("mine/sub/.hidden/x.csv", &secret_rows),
            ("mine/module.rhai", "fn n() { 7 }"),
            ("mine/ring.rhai", "import \"ring_b\" as b; fn f() { b::f() }"),
            ("mine/ring_b.rhai", "import \"ring\" as a; fn f() { a::f() }"),
            ("mine/key.csv", KEY),
            ("mine/urls.json", "{\"base_url\": \"http://198.51.100.7\"}"),
            (
                "mine/urls.yaml",
                "base_url: http://198.51.100.7\nother_url: http://198.51.100.8\nmetrics_url:\n  - http://198.51.100.9\n  - prefill=http://198.51.100.10\n",
            ),
            ("outside/secret.csv", &secret_rows),
            ("outside/open.csv", "a\n1\n2\n"),
            ("outside/tokenizer.json", SECRET),
            ("outside/ca.pem", SECRET),
            ("outside/module.rhai", "fn n() { 8 }"),
            ("outside/victim.parquet", "PAR1 and rows"),
            ("outside/notes.txt", "dear diary"),
            ("outside/results.json", "{\"date\":\"x\",\"model_id\":\"m\",\"completed\":1}\n"),
            ("results/old_20260101_000000/manifest.json", "{\"started_ms\": 1}"),
            ("results/old_20260101_000000/notes.parquet", "PAR1 and rows"),
        ] {
            std::fs::write(world.at(name), text).expect("written");
        }
        for (to, name) in [
            ("../outside/secret.csv", "mine/link.csv"),
            ("link.csv", "mine/chain.csv"),
            ("../outside", "mine/folder_link"),
            ("gone.csv", "mine/dangling.csv"),
            ("loop.csv", "mine/loop.csv"),
            ("/dev/zero", "mine/zero.csv"),
            ("/proc/self/environ", "mine/environ.json"),
            ("key.csv", "mine/key_link.csv"),
            ("data.csv", "mine/inner_link.csv"),
            ("../outside/module.rhai", "mine/module_link.rhai"),
            ("../../outside/secret.csv", "mine/set/train.csv"),
            ("victim.parquet", "outside/to_victim.json"),
        ] {
            symlink(to, world.at(name)).expect("linked");
        }
        std::fs::hard_link(world.at("outside/results.json"), world.at("outside/second_name.json"))
            .expect("linked");
        for name in ["mine/pipe.csv", "mine/pipe.rhai", "mine/tok/tokenizer.json"] {
            let path = std::ffi::CString::new(world.at(name).display().to_string()).expect("a path");
            // SAFETY: the path ends with a zero byte.
            assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        }
        drop(std::os::unix::net::UnixListener::bind(world.at("mine/socket.csv")).expect("bound"));
        for (name, bytes) in
            [("mine/big.csv", 300 << 20), ("mine/large.json", 20 << 20), ("mine/fat.rhai", 5 << 20)]
        {
            let file = std::fs::File::create(world.at(name)).expect("made");
            file.set_len(bytes).expect("a hole takes no room");
        }
        world
    }

    /// The files that are large when they are read, for those who read them.
    pub fn with_bombs(self) -> World {
        std::fs::write(self.at("mine/bomb.json"), format!("[{}0]", "{},".repeat(5_000_000)))
            .expect("written");
        std::fs::write(self.at("mine/bomb.csv"), format!("a,b\n{}", "1,2\n".repeat(3_500_000)))
            .expect("written");
        let levels =
            (1..12).map(|i| format!("l{i}: &l{i} [{}]\n", vec![format!("*l{}", i - 1); 9].join(", ")));
        let yaml: String =
            std::iter::once("l0: &l0 [x, x, x, x, x, x, x, x, x]\n".to_string()).chain(levels).collect();
        std::fs::write(self.at("mine/bomb.yaml"), yaml).expect("written");
        self
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Everything that lies outside of new results, as name and content.
    pub fn belongings(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        for name in ["outside", "results/old_20260101_000000"] {
            for entry in std::fs::read_dir(self.at(name)).expect("a folder") {
                let path = entry.expect("an entry").path();
                found.push((path.clone(), std::fs::read(path).expect("readable")));
            }
        }
        found.sort();
        found
    }

    /// Every file that a run may have left.
    pub fn left(&self) -> Vec<PathBuf> {
        fn below(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { below(&path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        below(&self.at("results"), &mut found);
        found
    }
}

/// What a script did.
pub struct Done {
    pub code: Option<i32>,
    pub said: String,
    pub kilobytes: i64,
}

/// Runs the binary in `world` to its end; `interrupt` is called while it runs.
pub fn run(world: &World, name: &str, args: &[&str], url: &str, interrupt: impl FnOnce(u32)) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rampant"));
    command.args(["run", name]).args(args).current_dir(world.folder.path()).env_clear();
    command.env("HOME", world.folder.path()).env("SHORT", "short").env("TELLTALE", url);
    // Files instead of pipes, which would have to be emptied while the child is waited for.
    let (out, err) = (world.at("out.txt"), world.at("err.txt"));
    let file = |path: &Path| std::fs::File::create(path).expect("made");
    // It is waited for below, with `wait4`, which tells its memory.
    #[allow(clippy::zombie_processes, reason = "whoever asks for it waits for its end")]
    let child =
        command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).spawn().expect("it starts");
    interrupt(child.id());
    let (mut status, began) = (0, Instant::now());
    // SAFETY: an all-zero rusage is a valid one.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: the child is ours and has not been waited for; both places are valid.
        let ended = unsafe { libc::wait4(child.id() as i32, &mut status, libc::WNOHANG, &mut usage) };
        if ended != 0 {
            break;
        }
        if began.elapsed() > PATIENCE {
            // SAFETY: as above.
            unsafe { libc::kill(child.id() as i32, libc::SIGKILL) };
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
    let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).expect("written")).into_owned();
    Done { code, said: format!("{}{}", text(&out), text(&err)), kilobytes: usage.ru_maxrss }
}
