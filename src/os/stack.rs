//! What becomes of a script that nests too deeply for its stack: a sentence, and not a crash.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Where the guarded thread's stack ends, and how far below it a first touch may lie.
static END: AtomicUsize = AtomicUsize::new(0);
const BELOW: usize = 1 << 20;
const ABOVE: usize = 64 << 10;

/// From now on an overflow of the calling thread's stack ends the process with a sentence. One
/// thread at a time.
#[cfg(target_os = "linux")]
pub fn guard_this_thread() {
    use std::sync::Once;
    static INSTALLED: Once = Once::new();
    let Some(end) = end_of_stack() else { return };
    END.store(end, Relaxed);
    INSTALLED.call_once(|| {
        // SAFETY: the handler does atomic loads, `write`, `_exit` and `sigaction` only. Threads of
        // the standard library have a stack of their own for signals.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            for (signal, before) in SIGNALS.into_iter().zip(&BEFORE) {
                let mut old: libc::sigaction = std::mem::zeroed();
                if libc::sigaction(signal, &action, &mut old) == 0 {
                    before.store(old.sa_sigaction, Relaxed);
                }
            }
        }
    });
}

#[cfg(not(target_os = "linux"))]
pub fn guard_this_thread() {
    let _ = (&END, BELOW, ABOVE);
}

#[cfg(target_os = "linux")]
const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Who handled those before us.
#[cfg(target_os = "linux")]
static BEFORE: [AtomicUsize; 2] = [AtomicUsize::new(libc::SIG_DFL), AtomicUsize::new(libc::SIG_DFL)];

#[cfg(target_os = "linux")]
fn end_of_stack() -> Option<usize> {
    // SAFETY: the attributes are made by the first call, read by the second, given back by the third.
    unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        if libc::pthread_getattr_np(libc::pthread_self(), &mut attributes) != 0 {
            return None;
        }
        let (mut end, mut size) = (std::ptr::null_mut(), 0);
        let found = libc::pthread_attr_getstack(&attributes, &mut end, &mut size);
        libc::pthread_attr_destroy(&mut attributes);
        (found == 0).then_some(end as usize)
    }
}

#[cfg(target_os = "linux")]
extern "C" fn on_fault(signal: libc::c_int, about: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let end = END.load(Relaxed);
    // SAFETY: the kernel hands over a valid description.
    let at = unsafe { (*about).si_addr() } as usize;
    if end != 0 && (end.saturating_sub(BELOW)..end + ABOVE).contains(&at) {
        super::end_with(
            b"error: the script nests values or calls too deeply, and was ended\n  try: nest less\n",
        );
    }
    // Not ours: whoever was there before sees it when it happens again.
    let index = usize::from(signal == libc::SIGBUS);
    // SAFETY: what was stored is what the system gave.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = BEFORE[index].load(Relaxed);
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}
