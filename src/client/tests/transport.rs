//! Several clients on one transport.

use super::*;
use crate::client::{Live, Transport};
use std::sync::mpsc;

async fn on(transport: &Arc<Transport>, port: u16, timeouts: Timeouts) -> Client {
    let base = Target::base_url(&format!("http://127.0.0.1:{port}")).expect("a URL");
    let target = Arc::new(Target { timeouts, ..Target::new(base, Api::Completions) });
    Client::Http(Box::new(Http::new(target, transport.clone()).await.expect("a client")))
}

/// Reads its requests and says nothing, until the sender is dropped.
fn mute() -> (u16, mpsc::Sender<()>) {
    let (held, until) = mpsc::channel::<()>();
    let until = std::sync::Mutex::new(until);
    let port = server(1, move |_, mut socket| {
        request(&mut socket);
        let _ = until.lock().expect("held once").recv();
    });
    (port, held)
}

/// Answers every request on its one connection.
fn quick() -> u16 {
    server(1, |_, mut socket| {
        while request(&mut socket) {
            reply(&mut socket, &whole());
        }
    })
}

fn block_on<F: Future>(future: F) -> F::Output {
    // As that of a run: one thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let limit = Duration::from_secs(60);
    runtime.block_on(async { tokio::time::timeout(limit, future).await }).expect("it ends")
}

#[test]
fn a_server_that_says_nothing_keeps_no_other_from_being_read() {
    block_on(async {
        let transport = Transport::start().expect("a transport");
        let (port, held) = mute();
        let (stalled, other) = (
            on(&transport, port, Timeouts::default()).await,
            on(&transport, quick(), Timeouts::default()).await,
        );
        let (gives_up, given_up) = tokio::sync::oneshot::channel::<()>();
        let waits = tokio::spawn(async move {
            let order = order(&stalled, 0);
            let given_up = pin!(async { drop(given_up.await) });
            *stalled.send(order, given_up).await.open()
        });
        for seq in 0..20 {
            assert!(send(&other, seq).await.success());
        }
        assert!(!waits.is_finished());
        drop(gives_up);
        assert_eq!(waits.await.expect("it ends").outcome, Outcome::Cancelled);
        drop(held);
    });
}

#[test]
fn each_client_has_its_own_limits_and_counts_its_own_arrivals() {
    block_on(async {
        let transport = Transport::start().expect("a transport");
        let (port, _held) = mute();
        let short = Timeouts { first_token: Duration::from_millis(50), ..Timeouts::default() };
        let (stalled, other) =
            (on(&transport, port, short).await, on(&transport, quick(), Timeouts::default()).await);
        assert!(send(&other, 0).await.success());
        assert_eq!(send(&stalled, 0).await.outcome, Outcome::TimedOut(Timeout::FirstToken));
        assert!(send(&other, 1).await.success());
        let tokens = |live: Arc<Live>| live.tokens();
        assert_eq!((tokens(stalled.live()), tokens(other.live())), (0.0, 4.0));
    });
}

#[test]
fn what_one_client_leaves_in_flight_when_it_goes_is_nothing_to_the_others() {
    block_on(async {
        let transport = Transport::start().expect("a transport");
        let (port, _held) = mute();
        let other = on(&transport, quick(), Timeouts::default()).await;
        let gone = on(&transport, port, Timeouts::default()).await;
        let waits = tokio::spawn(async move { send(&gone, 0).await });
        assert!(send(&other, 0).await.success());
        waits.abort();
        assert!(waits.await.is_err(), "it was given up without a word");
        for seq in 1..5 {
            assert!(send(&other, seq).await.success());
        }
    });
}
