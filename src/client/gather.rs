//! `GatherTimer`: the poller of the reader, and its waits.

use crate::os::{self, Timer};
use mio::Poll;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// A poller that the runtime watches, or, while arrivals are left to gather, does not: each would
/// wake it.
pub struct GatherTimer {
    poller: Option<Poller>,
    /// Finer than the runtime's own, which turn in milliseconds. `None`: nothing is left to gather.
    timer: Option<AsyncFd<Timer>>,
}

enum Poller {
    Watched(AsyncFd<Poll>),
    Unwatched(Poll),
}

impl GatherTimer {
    /// On the current runtime.
    pub fn new(poll: Poll) -> io::Result<GatherTimer> {
        let timer = os::timer().and_then(watch).ok();
        Ok(GatherTimer { poller: Some(Poller::Watched(watch(poll)?)), timer })
    }

    /// The poller, to be asked what is ready.
    pub fn poll(&mut self) -> &mut Poll {
        match self.poller.as_mut().expect(HELD) {
            Poller::Watched(watched) => watched.get_mut(),
            Poller::Unwatched(poll) => poll,
        }
    }

    /// Ends when something is ready that was not at the last look.
    pub async fn ready(&mut self) -> io::Result<()> {
        let watched = match self.poller.take().expect(HELD) {
            Poller::Watched(watched) => watched,
            Poller::Unwatched(poll) => watch(poll)?,
        };
        let Poller::Watched(watched) = self.poller.insert(Poller::Watched(watched)) else {
            unreachable!("it was put there")
        };
        // Before the look: what comes after it is told again.
        watched.readable_mut().await?.clear_ready();
        Ok(())
    }

    /// Lets so much time pass, whatever arrives; false: it cannot be told here.
    pub async fn wait(&mut self, time: Duration) -> bool {
        let Some(timer) = &mut self.timer else { return false };
        if let Some(Poller::Watched(watched)) = self.poller.take_if(|poller| poller.is_watched()) {
            self.poller = Some(Poller::Unwatched(watched.into_inner()));
        }
        if timer.get_ref().set(time).is_err() {
            return false;
        }
        match timer.readable_mut().await {
            Ok(mut ready) => ready.clear_ready(),
            Err(_) => return false,
        }
        true
    }
}

const HELD: &str = "a poller is always held";

impl Poller {
    fn is_watched(&self) -> bool {
        matches!(self, Poller::Watched(_))
    }
}

fn watch<T: AsRawFd>(owner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: a poller and a timer keep their descriptor, and keep it open, as long as they live.
    Ok(unsafe { AsyncFd::register(owner) }?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::unix::SourceFd;
    use mio::{Events, Interest, Token};
    use std::net::UdpSocket;

    /// A poller with a socket of which it tells, and one that sends to it.
    fn pair() -> (Poll, UdpSocket, UdpSocket) {
        let [to, from] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a port"));
        from.connect(to.local_addr().expect("an address")).expect("connects");
        let poll = Poll::new().expect("a poller");
        let fd = to.as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), Token(7), Interest::READABLE).expect("watches");
        (poll, to, from)
    }

    fn is_ready(gather: &mut GatherTimer) -> bool {
        let mut events = Events::with_capacity(4);
        gather.poll().poll(&mut events, Some(Duration::ZERO)).expect("looks");
        !events.is_empty()
    }

    #[tokio::test]
    async fn what_arrives_meanwhile_ends_no_wait_and_is_not_lost() {
        let (poll, to, from) = pair();
        let mut gather = GatherTimer::new(poll).expect("on a runtime");
        for _ in 0..3 {
            from.send(b"x").expect("sends");
            let (began, time) = (os::now(), Duration::from_millis(20));
            assert!(gather.wait(time).await);
            assert!(os::now() - began >= time.as_nanos() as i64, "nothing cuts it short");
            gather.ready().await.expect("watches");
            assert!(is_ready(&mut gather));
            let mut buffer = [0; 8];
            to.recv(&mut buffer).expect("it came");
        }
    }

    #[tokio::test]
    async fn others_on_the_runtime_go_on_while_it_waits() {
        let (poll, _to, _from) = pair();
        let mut gather = GatherTimer::new(poll).expect("on a runtime");
        let (go_on, goes_on) = tokio::sync::oneshot::channel();
        let other = tokio::spawn(async move {
            tokio::task::yield_now().await;
            go_on.send(()).expect("is waited for");
        });
        tokio::select! {
            biased;
            waited = gather.wait(Duration::from_secs(3_600)) => panic!("it is not over: {waited}"),
            told = goes_on => told.expect("told"),
        }
        other.await.expect("ends");
    }
}
