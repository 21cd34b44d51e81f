//! `FirstWrite`: the first write of one request, and what became of it.
//!
//! The thread that fires it, the session that waits for the reply and the reader of the reply
//! share it, so that nobody has to be woken to learn that a request has left.

use crate::os;
use crate::record::Nanos;
use bytes::Bytes;
use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// In place of the time of a write: not yet.
const WAITING: Nanos = 0;

/// In place of the time of a write: never.
const CALLED_OFF: Nanos = Nanos::MIN;

/// One first write.
#[derive(Debug, Default)]
pub struct FirstWrite {
    sent: AtomicI64,
    written: AtomicI64,
    /// The socket has taken the whole request.
    whole: AtomicBool,
    /// What a write has left over that the socket did not take whole.
    short: Mutex<Option<io::Result<Bytes>>>,
    fell_short: Notify,
}

impl FirstWrite {
    /// Takes the time, writes what the socket takes at once, takes the time again. Nothing is
    /// written once it has been called off. A socket takes nothing more than once.
    pub fn fire(&self, socket: &TcpStream, bytes: Bytes) {
        let now = os::now();
        // Told before the write, so that a reply never comes before it.
        if self.sent.compare_exchange(WAITING, now, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return;
        }
        let taken = match os::send(socket.as_raw_fd(), &bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            taken => taken,
        };
        let whole = matches!(taken, Ok(n) if n == bytes.len());
        if !whole {
            let rest = taken.map(|taken| bytes.slice(taken..));
            *self.short.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
        }
        self.whole.store(whole, Ordering::Relaxed);
        self.written.store(os::now(), Ordering::Release);
        if !whole {
            self.fell_short.notify_one();
        }
    }

    /// Nothing will be written any more; false: it has been, or is being written.
    pub fn call_off(&self) -> bool {
        match self.sent.compare_exchange(WAITING, CALLED_OFF, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(sent) => sent == CALLED_OFF,
        }
    }

    /// Nobody waits for it any more.
    pub fn called_off(&self) -> bool {
        self.sent.load(Ordering::Acquire) == CALLED_OFF
    }

    /// The time right before the write.
    pub fn sent(&self) -> Option<Nanos> {
        Some(self.sent.load(Ordering::Acquire)).filter(|sent| *sent > WAITING)
    }

    /// The time right after the write.
    pub fn written(&self) -> Option<Nanos> {
        Some(self.written.load(Ordering::Acquire)).filter(|written| *written != 0)
    }

    /// Once [`FirstWrite::written`] tells a time: whether the socket has taken the whole request.
    pub fn whole(&self) -> bool {
        self.whole.load(Ordering::Acquire)
    }

    /// Ends when the socket has not taken the whole request: with the bytes that are left, or
    /// its error. Never ends otherwise.
    pub async fn fell_short(&self) -> io::Result<Bytes> {
        loop {
            self.fell_short.notified().await;
            let short = self.short.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(short) = short {
                return short;
            }
        }
    }
}

/// Calls a shot off that has not been fired when whoever waits for its reply goes.
pub struct CallsOff<'a>(pub &'a FirstWrite);

impl Drop for CallsOff<'_> {
    fn drop(&mut self) {
        self.0.call_off();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connects");
        client.set_nonblocking(true).expect("non-blocking");
        (client, listener.accept().expect("accepts").0)
    }

    #[test]
    fn it_leaves_once_and_tells_its_times() {
        let (client, mut server) = pair();
        let shot = FirstWrite::default();
        assert_eq!((shot.sent(), shot.written()), (None, None));
        let before = os::now();
        shot.fire(&client, Bytes::from_static(b"a"));
        shot.fire(&client, Bytes::from_static(b"b"));
        let (sent, written) = (shot.sent().expect("sent"), shot.written().expect("written"));
        assert!(before <= sent && sent <= written);
        assert!(shot.whole() && !shot.call_off() && !shot.called_off());
        drop(client);
        let mut text = String::new();
        server.read_to_string(&mut text).expect("reads");
        assert_eq!(text, "a");
    }

    #[test]
    fn what_was_called_off_never_leaves() {
        let (client, mut server) = pair();
        let shot = FirstWrite::default();
        assert!(shot.call_off() && shot.call_off() && shot.called_off());
        shot.fire(&client, Bytes::from_static(b"a"));
        assert_eq!((shot.sent(), shot.written()), (None, None));
        drop(client);
        assert_eq!(server.read(&mut [0; 1]).expect("reads"), 0);
    }

    #[tokio::test]
    async fn a_socket_that_takes_a_part_or_fails_is_told() {
        let (client, server) = pair();
        let shot = FirstWrite::default();
        let long = Bytes::from(vec![b'x'; 64 << 20]);
        shot.fire(&client, long.clone());
        assert!(shot.written().is_some() && !shot.whole());
        let rest = shot.fell_short().await.expect("takes some");
        assert!(!rest.is_empty() && rest.len() < long.len());
        drop(server);
        let failed = FirstWrite::default();
        // The reset is known once it has come back.
        while os::send(client.as_raw_fd(), b"x").is_ok_and(|_| true) {}
        std::thread::sleep(std::time::Duration::from_millis(20));
        failed.fire(&client, Bytes::from_static(b"x"));
        assert!(failed.fell_short().await.is_err());
    }
}
