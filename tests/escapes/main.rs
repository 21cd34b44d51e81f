//! What a script from a stranger might try, a line each, and what comes of it: a sentence and the
//! right exit code, nothing read, written, reached or told that should not be, never more than
//! 500 MB, and an end within a second of Ctrl-C. Beside them what must go on working.
//!
//! Each line is a script that the real binary runs in a folder of its own.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::mem_forget,
    reason = "a test ends where it fails, and says why"
)]

mod table;
mod world;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use table::{
    DISK, HARMLESS, HOSTS, INTERRUPTED, LIMITS, MEMORY, OUTPUT, READING, RUN, SECRETS, Try, WRITING,
};
use world::{Done, KEY, PATIENCE, SECRET, World, run};

/// Most memory that any of them may take, kilobytes.
const MEMORY_MAX: i64 = 500 * 1024;

/// The script as it is written to the file.
fn written(attempt: &Try, world: &World, url: &str) -> String {
    let script = match attempt.script {
        "DEEP_PARENS" => format!("let x = {}1{};", "(".repeat(100_000), ")".repeat(100_000)),
        "DEEP_LIST" => format!("let x = {}1{};", "[".repeat(100_000), "]".repeat(100_000)),
        "DEEP_BLOCKS" => format!("{}{}", "{".repeat(100_000), "}".repeat(100_000)),
        "LONG_LINE" => format!("let x = \"{}\"; broken()", "中".repeat(100_000)),
        script => script.to_string(),
    };
    let telltale = r#"
        let t = target("$URL", #{ api_key: secret("K") });
        let plan = #{ target: t, workload: prompts(#{ input: 8, output: 4 }), arrivals: closed(1), requests: 2, capture: "all" };
    "#;
    let outside = world.at("outside").display().to_string();
    script
        .replace("$OUTSIDE", &outside)
        .replace("RUN ", RUN)
        .replace("TELLTALE ", telltale)
        .replace("$URL", url)
}

/// Plays a table, two at a time, and gathers what is wrong with each line.
#[track_caller]
fn play(
    table: &[Try],
    world: impl Fn() -> World + Sync,
    more: &[&str],
    url: &str,
    wrong: impl Fn(&World, &Done) -> Option<String> + Sync,
) {
    let (next, faults, most) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new((0, "")));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(attempt) = table.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let world = world();
                    std::fs::write(world.at("mine/try.rhai"), written(attempt, &world, url))
                        .expect("written");
                    let args: Vec<&str> = attempt.args.iter().chain(more).copied().collect();
                    let before = world.belongings();
                    let done = run(&world, "mine/try.rhai", &args, url, |_| {});
                    let fault = match () {
                        () if attempt.code >= 0 && done.code != Some(attempt.code) => {
                            Some(format!("exit code {:?}", done.code))
                        }
                        () if !matches!(done.code, Some(0 | 1 | 2 | 98 | 99)) => {
                            Some(format!("exit code {:?}", done.code))
                        }
                        () if !done.said.contains(attempt.told) => {
                            Some(format!("not told {:?}", attempt.told))
                        }
                        () if done.said.contains("panicked") => Some("a panic".into()),
                        () if done.said.contains(SECRET) => Some("it has read what it may not".into()),
                        () if done.kilobytes > MEMORY_MAX => Some(format!("{} MB", done.kilobytes / 1024)),
                        () => wrong(&world, &done).or_else(|| {
                            let kept = attempt.args.contains(&"dir=outside") && attempt.code == 0;
                            (!kept && world.belongings() != before)
                                .then(|| "a file outside was changed".into())
                        }),
                    };
                    let mut most = most.lock().expect("no panic");
                    *most = (*most).max((done.kilobytes / 1024, attempt.script));
                    if let Some(fault) = fault {
                        let said: String = done.said.chars().take(1500).collect();
                        faults
                            .lock()
                            .expect("no panic")
                            .push(format!("{}\n  {fault}\n{said}", attempt.script));
                    }
                }
            });
        }
    });
    println!("{} lines, at most {:?} MB", table.len(), most.into_inner().expect("no panic"));
    let faults = faults.into_inner().expect("no panic");
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), table.len(), faults.join("\n---\n"));
}

fn nothing(_: &World, _: &Done) -> Option<String> {
    None
}

#[test]
fn there_are_at_least_150() {
    let tables = [READING, WRITING, HOSTS, MEMORY, DISK, LIMITS, OUTPUT, SECRETS];
    let all: usize = tables.iter().map(|table| table.len()).sum();
    assert!(all + INTERRUPTED.len() >= 150, "{all}");
}

#[test]
fn no_path_leads_out() {
    play(READING, World::new, &[], "", nothing);
}

#[test]
fn nothing_is_written_elsewhere_and_nothing_destroyed() {
    play(WRITING, World::new, &[], "", nothing);
}

#[test]
fn no_host_is_reached_that_the_command_line_does_not_name() {
    play(HOSTS, World::new, &[], "", nothing);
}

#[test]
fn no_script_takes_the_memory() {
    play(
        MEMORY,
        || World::new().with_bombs(),
        &[],
        "",
        |_, done| {
            let placed = done.code == Some(0)
                || done.said.contains("is used while it changes")
                || done.said.contains("\n  --> mine/try.rhai:");
            (!placed).then(|| "it is not said where".into())
        },
    );
}

#[test]
fn no_script_fills_the_disk() {
    play(DISK, World::new, &[], "", |world, _| {
        let bytes: u64 =
            world.left().iter().filter_map(|path| path.metadata().ok()).map(|found| found.len()).sum();
        (bytes > 8 << 20).then(|| format!("{bytes} bytes were left"))
    });
}

#[test]
fn no_limit_can_be_raised_and_no_line_is_endless() {
    play(LIMITS, World::new, &[], "", |_, done| {
        // What a script prints is its own; a reason that it gives may be a paragraph.
        let ours = done.said.lines().filter(|line| !line.starts_with("xxx"));
        let longest = ours.map(|line| line.chars().count()).max().unwrap_or(0);
        (longest > 2_100).then(|| format!("a line of {longest} letters"))
    });
}

#[test]
fn nothing_steers_the_terminal() {
    play(OUTPUT, World::new, &[], "", |_, done| {
        let steers = done.said.chars().any(|c| c.is_control() && c != '\n' && c != '\t' || c == '\u{202e}');
        steers.then(|| "a control character came through".into())
    });
}

#[test]
fn what_is_harmless_goes_on_working() {
    play(HARMLESS, World::new, &[], "", nothing);
}

/// Every form in which the key may stand.
fn forms() -> Vec<String> {
    let percent = KEY.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
    vec![
        KEY.into(),
        percent.to_lowercase(),
        percent,
        base64(KEY.as_bytes()),
        base64(format!("key:{KEY}").as_bytes()),
    ]
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let value = |six: &[u8]| six.iter().chain([0; 6].iter()).take(6).fold(0, |value, bit| value << 1 | *bit);
    let mut text: String = bits.chunks(6).map(|six| char::from(LETTERS[usize::from(value(six))])).collect();
    text.push_str(&"=".repeat((4 - text.len() % 4) % 4));
    text
}

/// A server that answers with the key in everything that it says. Its model is called by it.
fn telltale() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let words = forms().join(" and ");
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let words = words.clone();
            std::thread::spawn(move || {
                let mut buffer = [0; 65536];
                let mut head = Vec::new();
                while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                    match socket.read(&mut buffer) {
                        Ok(n) if n > 0 => head.extend_from_slice(&buffer[..n]),
                        _ => return,
                    }
                }
                let text = serde_json::to_string(&words).expect("text");
                let get = head.starts_with(b"GET");
                let (kind, body) = match get {
                    true => (
                        "application/json",
                        format!(r#"{{"object":"list","data":[{{"id":{text},"object":"model"}}]}}"#),
                    ),
                    false => (
                        "text/event-stream",
                        format!(
                            "data: {{\"choices\":[{{\"index\":0,\"text\":{text},\"finish_reason\":\"length\"}}],\
                             \"usage\":{{\"prompt_tokens\":8,\"completion_tokens\":4}}}}\n\ndata: [DONE]\n\n"
                        ),
                    ),
                };
                let _ = write!(
                    socket,
                    "HTTP/1.1 200 OK\r\nserver: {words}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
            });
        }
    });
    url
}

#[test]
fn a_secret_is_told_to_nobody() {
    let url = telltale();
    let given = url.clone();
    play(
        SECRETS,
        World::new,
        &["--secret", "K=file:mine/key.csv", "--allow", &given],
        &url,
        |world, done| {
            let mut texts = vec![("what was said".to_string(), done.said.clone().into_bytes())];
            for path in world.left() {
                texts.push((path.display().to_string(), std::fs::read(&path).expect("readable")));
                if path.extension().is_some_and(|ending| ending == "parquet") {
                    texts.push((path.display().to_string(), format!("{:?}", rows_of(&path)).into_bytes()));
                }
            }
            let has = |text: &[u8], form: &str| {
                let form = form.trim_end_matches('=').as_bytes();
                // The letters at the ends of a base64 text belong to its neighbours, too.
                let form = &form[2..form.len() - 2];
                text.windows(form.len()).any(|window| window == form)
            };
            let told = texts.iter().find(|(_, text)| forms().iter().any(|form| has(text, form)));
            told.map(|(name, _)| format!("the key is in {name}"))
        },
    );
}

/// The rows of a Parquet file of results, whichever it is.
fn rows_of(path: &Path) -> String {
    let mut text = String::new();
    let folder = path.parent().expect("in a folder");
    if path.ends_with("runs.parquet") {
        text = format!("{:?}", rampant::experiment::recalled::rows(folder).expect("readable"));
    } else if folder.ends_with("requests") {
        let root = folder.parent().expect("in a folder");
        rampant::store::reader::requests(root, None, |_, record| text.push_str(&format!("{record:?}")))
            .expect("readable");
    }
    text
}

#[test]
fn nothing_outlives_an_interrupt() {
    let mute = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", mute.local_addr().expect("its address"));
    let mut faults = Vec::new();
    for (script, signals) in INTERRUPTED {
        let world = World::new();
        std::fs::write(world.at("mine/try.rhai"), script.replace("$MUTE", &url)).expect("written");
        let mut pressed = Instant::now();
        let done = run(&world, "mine/try.rhai", &[], "", |child| {
            let began = Instant::now();
            while !std::fs::read_to_string(world.at("out.txt")).unwrap_or_default().contains("begun") {
                if began.elapsed() > PATIENCE {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_millis(700));
            for _ in 0..*signals {
                pressed = Instant::now();
                // SAFETY: the child is ours and has not been waited for.
                unsafe { libc::kill(child as i32, libc::SIGINT) };
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let after = pressed.elapsed();
        println!("{:4} ms  {script}", after.as_millis());
        // A second by itself; on a machine that is busy with other tests some more.
        if done.code != Some(130) || after > Duration::from_secs(5) || done.said.contains("panicked") {
            faults.push(format!("{script}\n  {:?} after {after:?}\n{}", done.code, done.said));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n---\n"));
}
