//! The allocator. It counts what a thread holds that asked to be charged, such as a script's;
//! all other threads pay one look at a thread-local word.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// More than this is too much: whoever asks ([`over`]) should end what it does.
pub const MOST: usize = 200 << 20;

/// What nobody stopped in time ends the process here, with a sentence. More than twice as much,
/// since one step may copy all that is held, and the next one can still say where it stands.
const CEILING: isize = 430 << 20;

/// Not charged.
const OFF: isize = isize::MIN;

thread_local! {
    // Without a destructor, so that the allocator may use it at any time in a thread's life.
    static HELD: Cell<isize> = const { Cell::new(OFF) };
}

/// The system's allocator, with the count.
pub struct Counting;

/// The program has it in `main.rs`: whoever uses the library chooses an allocator of their own.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size as isize - layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[inline]
fn note(bytes: isize) {
    HELD.with(|held| {
        let before = held.get();
        if before != OFF {
            charge(held, before, bytes);
        }
    });
}

#[cold]
fn charge(held: &Cell<isize>, before: isize, bytes: isize) {
    // What others have made and this thread frees is no credit.
    let now = before.saturating_add(bytes).max(0);
    held.set(now);
    if now > CEILING && bytes > 0 {
        super::end_with(b"error: the script holds more than 430 MB of memory, and was ended\n  try: keep less at a time\n");
    }
}

/// Charges the calling thread from now on.
pub fn charge_this_thread() {
    HELD.with(|held| held.set(0));
}

/// What the calling thread holds; 0 when it is not charged.
pub fn held() -> usize {
    HELD.with(|held| usize::try_from(held.get()).unwrap_or(0))
}

/// Whether the calling thread holds too much.
pub fn over() -> bool {
    held() > MOST
}

/// Whether the calling thread may take `bytes` more.
pub fn has_room(bytes: usize) -> bool {
    HELD.with(Cell::get) == OFF || held().saturating_add(bytes) <= MOST
}

/// Memory of the machine that is free, bytes; `None` where it does not say.
pub fn free() -> Option<u64> {
    let told = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = told.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

/// Does `work` at nobody's charge: what it leaves belongs to a run and not to the script.
pub fn aside<T>(work: impl FnOnce() -> T) -> T {
    charged_with(OFF, work)
}

/// Does `work` at a charge of its own, which begins at nothing.
pub fn afresh<T>(work: impl FnOnce() -> T) -> T {
    charged_with(0, work)
}

fn charged_with<T>(held: isize, work: impl FnOnce() -> T) -> T {
    /// Puts the count back, whatever happens.
    struct Back(isize);
    impl Drop for Back {
        fn drop(&mut self) {
            HELD.with(|held| held.set(self.0));
        }
    }
    let _back = Back(HELD.with(|before| before.replace(held)));
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charged_thread_is_charged_for_what_it_holds_and_no_other_is() {
        assert!(held() == 0 && has_room(usize::MAX) && !over());
        let thread = std::thread::spawn(|| {
            charge_this_thread();
            let mut bytes = vec![0_u8; 1 << 20];
            let first = held();
            bytes.resize(3 << 20, 0);
            bytes.shrink_to_fit();
            let grown = held();
            let outside = aside(|| vec![0_u8; 1 << 20]);
            let beside = held();
            assert!(!has_room(MOST) && has_room(MOST / 2));
            drop(bytes);
            drop(outside);
            (first >> 20, grown >> 20, beside >> 20, held())
        });
        let (first, grown, beside, left) = thread.join().expect("no panic");
        assert_eq!((first, grown, beside), (1, 3, 3));
        assert!(left < 1 << 20, "{left}");
    }
}
