//! Several plans at once, against clients that compute their times and against real servers.

use super::{Load, join_all, together};
use crate::client::{Client, Fake, Http, Target, Transport};
use crate::engine::{self, Running};
use crate::record::{Due, Outcome, Record};
use crate::run::tests::{closed, even, plan};
use crate::run::{Control, Ended, Message, Plan, Progress, Reason, Stop};
use crate::schedule::{Process, Shape};
use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::mpsc;

/// What came of one of the plans: the wall clock of its zero, as it was told first of all, and its
/// records in the order of their slots.
struct Came {
    zero_ms: i64,
    records: Vec<Record>,
    ended: Ended,
    progress: Arc<Progress>,
}

impl Came {
    fn planned(&self) -> Vec<i64> {
        self.records.iter().map(|record| record.timeline.planned).collect()
    }
}

/// Plays them at once; `stop` sees how far each has come.
fn play<const N: usize>(
    plans: [Plan; N],
    clients: impl AsyncFn(&Plan, usize) -> Client,
    stop: impl Fn(&[Arc<Progress>]) -> Stop + Send + Sync + 'static,
) -> [Came; N] {
    let runtime = crate::run::runtime().expect("a runtime");
    let played = async {
        let progress: Vec<Arc<Progress>> = plans.iter().map(|_| Arc::default()).collect();
        let (mut loads, mut gathering) = (Vec::new(), Vec::new());
        for (i, plan) in plans.iter().enumerate() {
            let (out, mut inbox) = mpsc::channel(1024);
            let client = Arc::new(clients(plan, i).await);
            loads.push(Load { plan, client, progress: progress[i].clone(), out, id_prefix: "id" });
            gathering.push(tokio::spawn(async move {
                let Some(Message::Zero(zero_ms)) = inbox.recv().await else { panic!("the zero comes first") };
                let mut records = Vec::new();
                while let Some(message) = inbox.recv().await {
                    match message {
                        Message::Record(parcel) => records.push(*parcel.open()),
                        Message::End => break,
                        Message::Zero(_) => panic!("there is one zero"),
                        Message::Window(_) => {}
                    }
                }
                records.sort_by_key(|record: &Record| record.seq);
                (zero_ms, records)
            }));
        }
        let theirs = progress.clone();
        let ended = together(loads, &Control::watching(move || stop(&theirs))).await.expect("they start");
        let mut came = Vec::new();
        for ((gathering, ended), progress) in gathering.into_iter().zip(ended).zip(progress) {
            let (zero_ms, records) = gathering.await.expect("it gathers");
            came.push(Came { zero_ms, records, ended, progress });
        }
        came
    };
    let in_time = async { tokio::time::timeout(Duration::from_secs(60), played).await };
    let came = runtime.block_on(in_time).expect("none waits for another for ever");
    came.try_into().ok().expect("as many as there were plans")
}

async fn fake(_: &Plan, _: usize) -> Client {
    Client::Fake(Fake::after(Duration::from_millis(5)))
}

fn poisson(per_second: f64) -> Shape {
    Shape::Rate { per_second, process: Process::Poisson }
}

#[test]
fn two_plans_on_two_servers_have_one_zero_on_both_clocks() {
    let servers: [(u16, Running); 2] = std::array::from_fn(|_| {
        engine::start_in_thread(engine::parse("ttft=1ms,itl=0.1ms").expect("options"))
    });
    let on = |arrivals, requests, i: usize| {
        let mut plan = Plan { requests: Some(requests), ..plan(arrivals) };
        let mut target = (*plan.target).clone();
        target.base = Target::base_url(&format!("http://127.0.0.1:{}", servers[i].0)).expect("a URL");
        plan.target = Arc::new(target);
        plan
    };
    let plans = [on(poisson(300.0), 40, 0), on(closed(4), 40, 1)];
    let due: Vec<Due> = plans[0].schedule().take(40).map(|slot| slot.due).collect();
    let transport = OnceCell::new();
    let http = async |plan: &Plan, _| {
        let transport = transport.get_or_init(|| Transport::start().expect("a transport"));
        Client::Http(Box::new(Http::new(plan.target.clone(), transport.clone()).await.expect("a client")))
    };
    let [open, closed] = play(plans, http, |_| Stop::No);
    for came in [&open, &closed] {
        assert_eq!((came.ended.zero, came.ended.zero_ms), (open.ended.zero, came.zero_ms));
        assert_eq!(came.zero_ms, open.zero_ms);
        assert_eq!(came.progress.zero(), Some(open.ended.zero));
        assert_eq!(came.ended.reason, Reason::Requests);
        assert!(came.records.iter().all(Record::success) && came.records.len() == 40);
    }
    assert_eq!(open.planned().into_iter().map(Due::At).collect::<Vec<_>>(), due);
    assert_eq!(closed.planned()[..4], [0; 4]);
}

#[test]
fn a_server_that_stalls_moves_no_send_to_the_other() {
    let takes = async |_: &Plan, i| {
        Client::Fake(Fake::after([Duration::from_secs(3_600), Duration::from_millis(1)][i]))
    };
    let plans = [plan(closed(3)), Plan { requests: Some(20), ..plan(even(100.0)) }];
    let [stalled, other] = play(plans, takes, |progress| match progress[1].finished.load(Relaxed) {
        20 => Stop::Abort,
        _ => Stop::No,
    });
    let due: Vec<i64> = (0..20).map(|i| i * 10_000_000).collect();
    assert_eq!((&other.ended.reason, other.records.len()), (&Reason::Requests, 20));
    assert!(other.records.iter().all(Record::success));
    let sent: Vec<i64> = other.records.iter().filter_map(|record| record.timeline.sent).collect();
    assert_eq!((other.planned(), sent), (due.clone(), due));
    assert_eq!(stalled.ended.reason, Reason::Interrupted);
    assert!(stalled.records.iter().all(|record| record.outcome == Outcome::Cancelled));
    assert_eq!(stalled.progress.started.load(Relaxed), 3);
}

#[test]
fn who_says_stop_stops_all_and_what_is_in_flight_ends() {
    let plans = [plan(closed(2)), plan(even(200.0)), plan(closed(1))];
    let came = play(plans, fake, |progress| {
        let all = progress.iter().all(|progress| progress.finished.load(Relaxed) >= 3);
        if all { Stop::Drain } else { Stop::No }
    });
    for Came { records, ended, .. } in came {
        assert_eq!(ended.reason, Reason::Interrupted);
        assert!(records.len() >= 3 && records.iter().all(Record::success));
    }
}

#[test]
fn each_ends_for_its_own_reason_and_none_waits_for_the_others() {
    let plans = [
        Plan { requests: Some(5), ..plan(closed(2)) },
        Plan { duration: Some(Duration::from_millis(50)), ..plan(even(100.0)) },
        plan(Shape::Ramp { from: 50.0, to: 150.0, over: 0.1, process: Process::Even }),
    ];
    let came = play(plans, fake, |_| Stop::No);
    assert_eq!(came.each_ref().map(|came| came.records.len()), [5, 5, 10]);
    let reasons = came.map(|came| came.ended.reason);
    assert_eq!(reasons, [Reason::Requests, Reason::Duration, Reason::Schedule]);
}

#[test]
fn a_load_that_always_has_more_to_do_leaves_the_others_their_turn() {
    let done = Cell::new(false);
    let greedy = async {
        while !done.get() {
            tokio::task::consume_budget().await;
        }
    };
    let modest = async {
        for _ in 0..10 {
            tokio::task::consume_budget().await;
        }
        done.set(true);
    };
    let both: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + '_>>> =
        vec![Box::pin(greedy), Box::pin(modest)];
    let runtime = crate::run::runtime().expect("a runtime");
    let within = async { tokio::time::timeout(Duration::from_secs(10), join_all(both)).await };
    assert!(runtime.block_on(within).is_ok());
}
