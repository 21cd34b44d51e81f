//! A server that goes away and comes back.

use super::super::Outage;
use super::*;

/// A port on which nobody listens until it is told to.
fn reserved() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address")
}

/// One request of a run that bears with an outage; `returns`: the server comes back after a moment.
fn through_an_outage(borne: Duration, waited_for: bool, returns: bool) -> (Record, Arc<Outage>) {
    let address = reserved();
    let outage = Arc::new(Outage::new(borne, waited_for));
    let theirs = outage.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let record = runtime.block_on(async move {
        let client = client(address.port(), Timeouts::default()).await;
        if returns {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(120));
                let listener = TcpListener::bind(address).expect("the port is still free");
                let (mut socket, _) = listener.accept().expect("accepts");
                request(&mut socket);
                reply(&mut socket, &whole());
            });
        }
        let mut order = order(&client, 0);
        order.outage = Some(theirs);
        *client.send(order, pin!(std::future::pending())).await.open()
    });
    (record, outage)
}

#[test]
fn a_request_waits_for_a_server_that_is_started_again_and_is_one_record() {
    let (record, outage) = through_an_outage(Duration::from_secs(60), true, true);
    assert!(record.success(), "{record:?}");
    assert!(record.connect_tries > 1, "{}", record.connect_tries);
    assert_eq!(record.reconnects, 0, "it was sent once");
    let connect = record.timeline.connect.expect("a new connection");
    assert!(connect.done - connect.started >= 100_000_000, "the wait is time of connecting");
    assert!(record.timeline.lateness().expect("sent") < 50_000_000, "and no lateness of ours");
    assert!(!outage.is_too_long(i64::MAX), "it is over");
}

#[test]
fn patience_ends_and_the_record_counts_its_tries() {
    let (record, _) = through_an_outage(Duration::from_millis(160), true, false);
    assert_eq!((record.outcome, record.timeline.sent), (Outcome::Connect, None));
    assert!(record.connect_tries >= 3, "{}", record.connect_tries);
    let words = record.error.expect("words");
    assert!(
        words.contains("refused") && words.contains(&format!("(tried {} times in ", record.connect_tries)),
        "{words}"
    );
}

#[test]
fn an_open_loop_waits_for_nobody() {
    let (record, _) = through_an_outage(Duration::from_secs(60), false, false);
    assert_eq!((record.outcome, record.connect_tries), (Outcome::Connect, 1));
    assert!(!record.error.expect("words").contains("tried"));
}

#[test]
fn a_wait_for_a_server_can_be_given_up() {
    let address = reserved();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = client(address.port(), Timeouts::default()).await;
        let mut order = order(&client, 0);
        order.outage = Some(Arc::new(Outage::new(Duration::from_secs(3_600), true)));
        let record = client.send(order, pin!(tokio::time::sleep(Duration::from_millis(30)))).await.open();
        assert_eq!((record.outcome, record.timeline.sent), (Outcome::Cancelled, None));
        let mut order = super::order(&client, 1);
        let outage = Arc::new(Outage::new(Duration::from_secs(3_600), true));
        outage.give_up();
        order.outage = Some(outage);
        let record = client.send(order, pin!(std::future::pending())).await.open();
        assert_eq!((record.outcome, record.connect_tries), (Outcome::Connect, 1));
    });
}
