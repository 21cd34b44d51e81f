//! `Host`: the process outside us. Output, environment, working folder, Ctrl-C, wall clock.
//!
//! Code that wants one of these is handed a `Host`; tests hand over [`Host::fake`], which keeps
//! what was printed and knows only the environment that it was given.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The process outside us. Clones are the same host.
#[derive(Debug, Clone)]
pub struct Host {
    outside: Arc<Outside>,
    stop: Arc<AtomicBool>,
    abort: Arc<AtomicBool>,
    /// A run is under way: it ends by itself after an interrupt, and keeps what it has. What is to be
    /// said when it cannot be waited for.
    measures: Arc<Mutex<Option<String>>>,
}

/// As long as this lives, a run is under way.
pub struct Measuring(Host);

impl Drop for Measuring {
    fn drop(&mut self) {
        *self.0.run_under_way() = None;
    }
}

#[derive(Debug)]
enum Outside {
    /// With why standard output could not be written, once it could not.
    Process {
        out_lost: OnceLock<String>,
    },
    Fake {
        env: BTreeMap<String, String>,
        cwd: PathBuf,
        out: Mutex<String>,
        err: Mutex<String>,
    },
}

impl Host {
    /// The process that we are.
    pub fn process() -> Self {
        Host::around(Outside::Process { out_lost: OnceLock::new() })
    }

    /// A host for tests: output is kept, the environment is `env` and nothing else.
    pub fn fake(cwd: impl Into<PathBuf>, env: &[(&str, &str)]) -> Self {
        let env = env.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Host::around(Outside::Fake { env, cwd: cwd.into(), out: Mutex::default(), err: Mutex::default() })
    }

    fn around(outside: Outside) -> Self {
        Host {
            outside: Arc::new(outside),
            stop: Arc::default(),
            abort: Arc::default(),
            measures: Arc::default(),
        }
    }

    /// Says that a run is under way, until what is returned is dropped; `abandoned`: what is lost
    /// when its end is not waited for.
    pub fn measuring(&self, abandoned: String) -> Measuring {
        *self.run_under_way() = Some(abandoned);
        Measuring(self.clone())
    }

    /// What is lost when the run that is under way is not waited for; `None`: there is none.
    pub fn measures(&self) -> Option<String> {
        self.run_under_way().clone()
    }

    fn run_under_way(&self) -> MutexGuard<'_, Option<String>> {
        self.measures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes one line to standard output. Where a reader has gone (`| head`), the line is
    /// dropped; any other reason is kept for [`Host::out_lost`].
    pub fn out(&self, line: &str) {
        let line = &*visible(line);
        match &*self.outside {
            Outside::Process { out_lost } => {
                if let Err(error) = writeln!(std::io::stdout(), "{line}")
                    && error.kind() != ErrorKind::BrokenPipe
                {
                    let _ = out_lost.set(error.to_string());
                }
            }
            Outside::Fake { out, .. } => keep(out, line),
        }
    }

    /// Writes one line to standard error.
    pub fn err(&self, line: &str) {
        let line = &*visible(line);
        match &*self.outside {
            Outside::Process { .. } => drop(writeln!(std::io::stderr(), "{line}")),
            Outside::Fake { err, .. } => keep(err, line),
        }
    }

    /// Why lines for standard output were lost, such as a full disk; `None`: none was.
    pub fn out_lost(&self) -> Option<&str> {
        match &*self.outside {
            Outside::Process { out_lost } => out_lost.get().map(String::as_str),
            Outside::Fake { .. } => None,
        }
    }

    /// What a fake host was told to write to standard output, and to standard error.
    pub fn written(&self) -> (String, String) {
        match &*self.outside {
            Outside::Process { .. } => Default::default(),
            Outside::Fake { out, err, .. } => (text(out), text(err)),
        }
    }

    /// True when a person reads standard error, so that a progress line makes sense.
    pub fn is_terminal(&self) -> bool {
        matches!(&*self.outside, Outside::Process { .. }) && std::io::stderr().is_terminal()
    }

    /// An environment variable; one that is not text counts as absent.
    pub fn env(&self, name: &str) -> Option<String> {
        match &*self.outside {
            Outside::Process { .. } => std::env::var(name).ok(),
            Outside::Fake { env, .. } => env.get(name).cloned(),
        }
    }

    /// The working folder.
    pub fn cwd(&self) -> PathBuf {
        match &*self.outside {
            Outside::Process { .. } => std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            Outside::Fake { cwd, .. } => cwd.clone(),
        }
    }

    /// The wall clock: nanoseconds since 1970 in UTC. Never used to measure.
    pub fn wall(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_nanos() as i64
    }

    /// The first Ctrl-C asks to stop, the second to abort.
    pub fn interrupt(&self) {
        if self.stop.swap(true, Ordering::SeqCst) {
            self.abort.store(true, Ordering::SeqCst);
        }
    }

    /// After the first Ctrl-C: stop sending, drain, write everything, end.
    pub fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// After the second Ctrl-C: end now, with what is written.
    pub fn abort_requested(&self) -> bool {
        self.abort.load(Ordering::Relaxed)
    }

    /// The flag behind [`Host::stop_requested`], for code that polls it often.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Makes Ctrl-C, a polite kill and the end of the terminal call [`Host::interrupt`]. A third
    /// one ends the process at once. Only the first host that asks is told.
    pub fn listen_to_signals(&self) {
        if LISTENER.set((self.stop.clone(), self.abort.clone())).is_ok() {
            let handler = on_signal as *const () as libc::sighandler_t;
            for signal in [libc::SIGINT, libc::SIGTERM] {
                // SAFETY: `on_signal` does atomic operations and `_exit` only, which a handler may.
                unsafe { libc::signal(signal, handler) };
            }
            // SAFETY: as above. Who started us with `nohup` wants us to live on.
            unsafe {
                if libc::signal(libc::SIGHUP, handler) == libc::SIG_IGN {
                    libc::signal(libc::SIGHUP, libc::SIG_IGN);
                }
            }
        }
    }
}

static LISTENER: OnceLock<(Arc<AtomicBool>, Arc<AtomicBool>)> = OnceLock::new();

extern "C" fn on_signal(_signal: libc::c_int) {
    let Some((stop, abort)) = LISTENER.get() else { return };
    if stop.swap(true, Ordering::SeqCst) && abort.swap(true, Ordering::SeqCst) {
        // SAFETY: `_exit` may be called from a signal handler.
        unsafe { libc::_exit(130) };
    }
}

/// `text` with everything that would steer a terminal written out, such as `\\x1b` for an escape:
/// control characters but the line end and the tab, and what turns the direction of text around or
/// hides in it.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match u32::from(c) {
            _ if !steers(c) => shown.push(c),
            code @ ..0x100 => shown.push_str(&format!("\\x{code:02x}")),
            code => shown.push_str(&format!("\\u{{{code:x}}}")),
        }
    }
    Cow::Owned(shown)
}

fn steers(c: char) -> bool {
    matches!(c,
        '\0'..='\x08' | '\x0b'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn keep(place: &Mutex<String>, line: &str) {
    let mut kept = place.lock().expect("nobody panics while writing a line");
    kept.push_str(line);
    kept.push('\n');
}

fn text(place: &Mutex<String>) -> String {
    place.lock().expect("nobody panics while writing a line").clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_interrupt_stops_and_the_second_aborts() {
        let host = Host::fake("/", &[]);
        assert!(!host.stop_requested());
        host.interrupt();
        assert!(host.stop_requested() && !host.abort_requested());
        host.interrupt();
        assert!(host.abort_requested());
    }

    #[test]
    fn what_would_steer_a_terminal_is_written_out() {
        for (text, shown) in [
            ("plain ✓ 中文 é\ttab\nline", "plain ✓ 中文 é\ttab\nline"),
            ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
            ("\x1b]8;;http://evil\x07click\x1b]8;;\x07", "\\x1b]8;;http://evil\\x07click\\x1b]8;;\\x07"),
            ("\u{9b}2J", "\\x9b2J"),
            ("ok\rfailed", "ok\\x0dfailed"),
            ("a\x08b\x7f\0", "a\\x08b\\x7f\\x00"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            ("\u{2066}x\u{2069}\u{200b}\u{feff}", "\\u{2066}x\\u{2069}\\u{200b}\\u{feff}"),
        ] {
            assert_eq!(visible(text), shown);
            let host = Host::fake("/", &[]);
            host.out(text);
            host.err(text);
            assert_eq!(host.written(), (format!("{shown}\n"), format!("{shown}\n")));
        }
    }

    #[test]
    fn a_fake_keeps_what_was_written_and_knows_only_its_own_environment() {
        let host = Host::fake("/", &[("KEY", "value")]);
        host.out("to out");
        host.clone().err("to err");
        assert_eq!(host.written(), ("to out\n".into(), "to err\n".into()));
        assert_eq!(host.env("KEY").as_deref(), Some("value"));
        assert_eq!(host.env("PATH"), None);
    }
}
