//! Limits of one input: memory at its allocation, CPU time by a thread that looks.

use std::alloc::{GlobalAlloc, Layout, System};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// Most bytes that an input may take beyond what was taken before it.
const MEMORY_MAX: i64 = 1 << 30;
/// Most CPU time of an input, nanoseconds.
const CPU_MAX: i64 = 8_000_000_000;

/// The system's memory, counted.
pub struct Counted;

static LIVE: AtomicI64 = AtomicI64::new(0);
static BEFORE: AtomicI64 = AtomicI64::new(i64::MAX / 2);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's layout.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, Relaxed);
        // SAFETY: the caller's pointer and layout.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: the caller's pointer and layout.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Asking for too much is the finding, whether or not the system would give it.
fn count(bytes: i64) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    if live > BEFORE.load(Relaxed).saturating_add(MEMORY_MAX) {
        stop("takes more than 1 GiB");
    }
}

/// Ends the process with a finding. Takes no memory itself.
fn stop(told: &str) -> ! {
    BEFORE.store(i64::MAX / 2, Relaxed);
    eprintln!("FOUND {}: {told}", last_case());
    std::process::exit(1)
}

/// When the present input began, in CPU time of the process; 0: none is being tried.
static BEGAN: AtomicI64 = AtomicI64::new(0);
static NUMBER: AtomicU64 = AtomicU64::new(0);

pub fn begin(case: &str) {
    remember(case);
    NUMBER.fetch_add(1, Relaxed);
    BEFORE.store(LIVE.load(Relaxed), Relaxed);
    BEGAN.store(rampant::os::cpu(), Relaxed);
}

pub fn end() {
    BEGAN.store(0, Relaxed);
    BEFORE.store(i64::MAX / 2, Relaxed);
}

/// Looks at the time of the present input for as long as the process lives.
pub fn watch() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let (number, began) = (NUMBER.load(Relaxed), BEGAN.load(Relaxed));
            if began > 0 && rampant::os::cpu() - began > CPU_MAX && NUMBER.load(Relaxed) == number {
                stop("takes more than 8 s of CPU");
            }
        }
    });
}

/// The file in which the present input stands, for the process outside.
fn file() -> &'static Mutex<std::fs::File> {
    static FILE: OnceLock<Mutex<std::fs::File>> = OnceLock::new();
    FILE.get_or_init(|| {
        let open = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path(std::process::id()));
        Mutex::new(open.expect("a temporary folder"))
    })
}

fn path(process: u32) -> std::path::PathBuf {
    // The outer process is the parent of the one that writes.
    std::env::temp_dir().join(format!("rampant-fuzz-{process}"))
}

fn remember(case: &str) {
    let mut line = [b' '; 80];
    let length = case.len().min(line.len());
    line[..length].copy_from_slice(&case.as_bytes()[..length]);
    let file = file().lock().expect("nobody panics here");
    file.write_all_at(&line, 0).expect("a temporary file");
}

/// The input that was begun last, here or in the process that was started.
pub fn last_case() -> String {
    let read = |process: u32| std::fs::read_to_string(path(process)).ok();
    let own = read(std::process::id()).or_else(|| read(CHILD.load(Relaxed)));
    own.map_or("an unknown input".into(), |case| case.trim().to_string())
}

/// The process that was started last to try inputs; 0: none.
pub static CHILD: AtomicU32 = AtomicU32::new(0);

pub fn forget() {
    let _ = std::fs::remove_file(path(std::process::id()));
    let _ = std::fs::remove_file(path(CHILD.load(Relaxed)));
}
