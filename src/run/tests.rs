//! The loop against a client that computes its times, so that they can be named exactly.

use super::plan::{MaxErrors, OverCap, Plan, Warmup};
use super::{Control, Ended, Load, Message, Progress, Reason, Stop, together};
use crate::client::protocol::Api;
use crate::client::{Client, Fake, Target};
use crate::record::{Outcome, Phase, Record};
use crate::schedule::{Process, Shape, Share};
use crate::tokens::Tokens;
use crate::workload::{Length, Prompts, Workload};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn plan(arrivals: Shape) -> Plan {
    let base = Target::base_url("http://127.0.0.1:9").expect("a URL");
    let mut target = Target::new(base, Api::Completions);
    target.timeouts.reconnect = Duration::ZERO;
    let workload = Workload::Prompts(Prompts {
        class: "".into(),
        input: Length::Fixed(4),
        output: Length::Fixed(1),
        prefix: None,
        extra: None,
        tokens: Arc::new(Tokens::Words),
    });
    Plan::new("cell", target, workload, arrivals)
}

pub(crate) fn even(per_second: f64) -> Shape {
    Shape::Rate { per_second, process: Process::Even }
}

pub(crate) fn closed(places: usize) -> Shape {
    Shape::Closed { places, from: places, over: 0.0 }
}

/// Runs one plan.
pub(crate) async fn alone(
    plan: &Plan,
    client: Arc<Client>,
    control: &Control,
    progress: Arc<Progress>,
    out: mpsc::Sender<Message>,
) -> Ended {
    let load = Load { plan, client, progress, out, id_prefix: "id" };
    together(vec![load], control).await.expect("it starts").remove(0)
}

/// Records in order of their slots, and how the run ended.
pub(crate) fn play(plan: Plan, fake: Fake) -> (Vec<Record>, Ended) {
    play_until(plan, fake, Control::watching(|| Stop::No))
}

pub(super) fn play_until(plan: Plan, fake: Fake, control: Control) -> (Vec<Record>, Ended) {
    let (records, ended, _) = gather(plan, fake, control);
    (records, ended)
}

/// Records in order of their slots, how the run ended, and where it said that its window begins,
/// with the number of records that came before.
fn gather(plan: Plan, fake: Fake, control: Control) -> (Vec<Record>, Ended, Vec<(i64, usize)>) {
    let runtime = super::runtime().expect("a runtime");
    runtime.block_on(async {
        let (out, mut inbox) = mpsc::channel(1024);
        let progress = Arc::new(Progress::default());
        let client = Arc::new(Client::Fake(fake));
        let gather = tokio::spawn(async move {
            let (mut records, mut starts) = (Vec::new(), Vec::new());
            while let Some(message) = inbox.recv().await {
                match message {
                    Message::Zero(_) => assert!(records.is_empty() && starts.is_empty(), "it comes first"),
                    Message::Record(parcel) => records.push(*parcel.open()),
                    Message::Window(start) => starts.push((start, records.len())),
                    Message::End => break,
                }
            }
            (records, starts)
        });
        let ended = alone(&plan, client, &control, progress, out).await;
        let (mut records, starts) = gather.await.expect("it gathers");
        records.sort_by_key(|record| record.seq);
        (records, ended, starts)
    })
}

fn queue_delays(records: &[Record]) -> Vec<f64> {
    records.iter().map(|record| record.queue_delay_ms().expect("sent")).collect()
}

#[test]
fn waiting_for_a_free_place_counts_as_queue_delay() {
    let plan = Plan { cap: Some(1), requests: Some(3), ..plan(even(50.0)) };
    let (records, ended) = play(plan, Fake::after(ms(50)));
    assert_eq!(queue_delays(&records), [0.0, 30.0, 60.0]);
    let planned: Vec<i64> = records.iter().map(|record| record.timeline.planned / 1_000_000).collect();
    assert_eq!(planned, [0, 20, 40], "a late send never moves the next one");
    assert_eq!(ended.reason, Reason::Requests);
}

#[test]
fn without_a_cap_no_request_waits_for_another() {
    let plan = Plan { requests: Some(4), ..plan(even(100.0)) };
    let (records, _) = play(plan, Fake::after(ms(60)));
    assert_eq!(queue_delays(&records), [0.0; 4]);
}

#[test]
fn over_the_cap_a_plan_that_drops_makes_a_record_of_it() {
    let plan = Plan { cap: Some(1), over_cap: OverCap::Drop, requests: Some(3), ..plan(even(50.0)) };
    let (records, _) = play(plan, Fake::after(ms(30)));
    let outcomes: Vec<Outcome> = records.iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Outcome::Success, Outcome::Dropped, Outcome::Success]);
    assert_eq!(records[1].timeline.sent, None);
    assert_eq!(
        records[1].error.as_deref(),
        Some("as many requests were in flight as max_in_flight 1 allows")
    );
}

#[test]
fn a_closed_place_plans_its_next_request_at_the_end_of_the_last() {
    let plan = Plan { requests: Some(4), ..plan(closed(1)) };
    let (records, _) = play(plan, Fake::after(ms(5)));
    let planned: Vec<i64> = records.iter().map(|record| record.timeline.planned / 1_000_000).collect();
    assert_eq!(planned, [0, 5, 10, 15]);
    assert_eq!(queue_delays(&records), [0.0; 4]);
}

#[test]
fn a_count_of_requests_is_kept_exactly_and_warmup_comes_on_top() {
    let plan = Plan { requests: Some(7), warmup: Warmup::Requests(3), ..plan(closed(4)) };
    let (records, _, starts) = gather(plan, Fake::after(ms(2)), Control::watching(|| Stop::No));
    let warm = records.iter().filter(|record| record.phase == Phase::Warmup).count();
    assert_eq!((records.len(), warm), (10, 3));
    assert!(records[..3].iter().all(|record| record.phase == Phase::Warmup));
    let first = records[3..].iter().map(|record| record.timeline.planned).min();
    assert_eq!(starts.last().map(|(start, _)| *start), first);
}

#[test]
fn where_the_window_begins_is_told_before_anything_that_may_arrive_in_it() {
    let wait = Plan { cap: Some(1), requests: Some(2), warmup: Warmup::Requests(3), ..plan(even(1_000.0)) };
    let time = Plan { duration: Some(ms(40)), warmup: Warmup::Time(ms(30)), ..plan(closed(1)) };
    let none = Plan { requests: Some(2), ..plan(closed(1)) };
    for (plan, start) in [(wait, 3_000_000), (time, 30_000_000), (none, 0)] {
        let (_, _, starts) = gather(plan, Fake::after(ms(5)), Control::watching(|| Stop::No));
        assert_eq!(starts, [(start, 0)]);
    }
}

#[test]
fn a_run_lasts_until_its_last_request_has_ended() {
    let (records, ended) = play(Plan { requests: Some(4), ..plan(closed(2)) }, Fake::after(ms(5)));
    assert_eq!(Some(ended.lasted), records.iter().map(|record| record.timeline.end).max());
}

#[test]
fn a_duration_counts_from_the_end_of_a_timed_warmup() {
    let plan = Plan { duration: Some(ms(60)), warmup: Warmup::Time(ms(40)), ..plan(even(100.0)) };
    let (records, ended) = play(plan, Fake::after(ms(1)));
    assert_eq!(records.len(), 10, "100 ms at 100/s");
    assert_eq!(records.iter().filter(|record| record.phase == Phase::Warmup).count(), 4);
    assert_eq!(ended.reason, Reason::Duration);
}

#[test]
fn a_ramp_ends_with_its_schedule() {
    let shape = Shape::Ramp { from: 50.0, to: 150.0, over: 0.1, process: Process::Even };
    let (records, ended) = play(plan(shape), Fake::after(ms(1)));
    assert_eq!(ended.reason, Reason::Schedule);
    assert_eq!(records.len(), 10);
}

#[test]
fn slots_that_still_wait_at_the_end_are_records_too() {
    let plan = Plan { cap: Some(1), duration: Some(ms(95)), ..plan(even(100.0)) };
    let (records, _) = play(plan, Fake::after(ms(300)));
    assert_eq!(records.len(), 10, "each slot that was due is in the results");
    assert_eq!(records[0].outcome, Outcome::Success, "what was sent is followed to its end");
    assert!(records[1..].iter().all(|record| record.outcome == Outcome::Cancelled));
    assert!(records[1..].iter().all(|record| record.phase == Phase::Measured));
}

#[test]
fn ten_failures_in_a_row_to_connect_end_the_run_early() {
    let plan = Plan { requests: Some(500), ..plan(closed(2)) };
    let (records, ended) = play(
        plan,
        Fake {
            outcome: |seq| if seq < 5 { Outcome::Success } else { Outcome::Connect },
            ..Fake::after(ms(1))
        },
    );
    assert_eq!(ended.reason, Reason::Early("10 failures in a row to connect".into()));
    assert!(records.len() < 500, "{}", records.len());
    assert!(records.iter().filter(|record| record.outcome == Outcome::Connect).count() >= 10);
}

#[test]
fn failures_to_connect_end_no_run_as_long_as_an_outage_is_borne_with() {
    let mut plan = Plan { requests: Some(40), ..plan(closed(2)) };
    let mut target = (*plan.target).clone();
    target.timeouts.reconnect = Duration::from_secs(3_600);
    plan.target = Arc::new(target);
    let (records, ended) = play(plan, Fake { outcome: |_| Outcome::Connect, ..Fake::after(ms(1)) });
    assert_eq!((records.len(), ended.reason), (40, Reason::Requests));
}

#[test]
fn failures_that_connect_do_not_end_a_run_unless_asked() {
    let failing = || Fake { outcome: |_| Outcome::Status, ..Fake::after(ms(1)) };
    let (records, ended) = play(Plan { requests: Some(40), ..plan(closed(4)) }, failing());
    assert_eq!((records.len(), ended.reason), (40, Reason::Requests));
    let asked = Plan { requests: Some(4000), max_errors: Some(MaxErrors::Share(0.5)), ..plan(closed(4)) };
    let (records, ended) = play(asked, failing());
    assert!(matches!(ended.reason, Reason::Early(_)) && records.len() < 4000);
}

#[test]
fn the_first_interruption_drains_and_the_second_gives_up() {
    let level = Arc::new(AtomicU8::new(0));
    let theirs = level.clone();
    let control = Control::watching(move || match theirs.load(Ordering::Relaxed) {
        0 => Stop::No,
        1 => Stop::Drain,
        _ => Stop::Abort,
    });
    let at = level.clone();
    let presser = std::thread::spawn(move || {
        std::thread::sleep(ms(60));
        at.store(1, Ordering::Relaxed);
    });
    let (records, ended) = play_until(plan(closed(3)), Fake::after(ms(150)), control.clone());
    presser.join().expect("pressed");
    assert_eq!(ended.reason, Reason::Interrupted);
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(Record::success), "what was in flight has ended");

    level.store(2, Ordering::Relaxed);
    let again = play_until(plan(closed(3)), Fake::after(Duration::from_secs(3600)), control);
    assert!(again.0.iter().all(|record| record.outcome == Outcome::Cancelled));
}

#[test]
fn a_drain_time_gives_stragglers_up() {
    let plan = Plan { requests: Some(2), drain: Some(ms(20)), ..plan(closed(2)) };
    let (records, _) = play(plan, Fake::after(Duration::from_secs(3600)));
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.outcome == Outcome::Cancelled));
}

/// What is asked, when it was planned, and whether it is measured; a closed loop plans what comes
/// after the start of its places by the replies.
fn asked(records: &[Record]) -> Vec<(u64, Option<i64>, Option<u32>, Phase)> {
    let planned = |record: &Record| Some(record.timeline.planned);
    records.iter().map(|record| (record.seq, planned(record), record.asked_input, record.phase)).collect()
}

#[test]
fn what_several_processes_send_is_what_one_would_send() {
    let random = |arrivals| {
        let mut plan = plan(arrivals);
        let Workload::Prompts(prompts) = &mut plan.workload else { unreachable!("it has prompts") };
        prompts.input = Length::Uniform(1, 1_000);
        plan
    };
    let poisson = Shape::Rate { per_second: 2_000.0, process: Process::Poisson };
    let (some, time) = (Some(41), Warmup::Time(ms(10)));
    let plans = [
        Plan { requests: some, ..random(poisson.clone()) },
        Plan { requests: some, warmup: Warmup::Requests(7), ..random(poisson.clone()) },
        Plan { requests: some, warmup: time, cap: Some(9), ..random(poisson.clone()) },
        Plan { duration: Some(ms(20)), warmup: time, ..random(poisson) },
        Plan { requests: some, warmup: Warmup::Requests(7), ..random(closed(6)) },
        Plan { requests: some, ..random(closed(2)) },
        Plan { requests: some, cap: Some(4), ..random(Shape::AtOnce) },
    ];
    for plan in plans {
        let whole = asked(&play(plan.clone(), Fake::after(ms(1))).0);
        for ranks in [2, 3, 5] {
            let mut all = Vec::new();
            for rank in 0..ranks {
                let share = Share::new(rank, ranks).expect("one of them");
                all.extend(asked(&play(Plan { share, ..plan.clone() }, Fake::after(ms(1))).0));
            }
            all.sort_by_key(|(seq, ..)| *seq);
            let mut whole = whole.clone();
            if !plan.open() {
                all.iter_mut().chain(&mut whole).for_each(|(_, planned, ..)| *planned = None);
            }
            assert_eq!(all, whole, "{} over {ranks}", plan.arrivals);
        }
    }
}

#[test]
fn what_a_process_of_a_closed_loop_asks_does_not_depend_on_which_reply_comes_first() {
    let share = Share::new(1, 3).expect("the second");
    let asks = |fake: Fake| {
        let plan = Plan { requests: Some(60), share, ..plan(closed(9)) };
        let (records, _) = play(plan, fake);
        records.iter().map(|record| record.seq).collect::<Vec<_>>()
    };
    let own: Vec<u64> = (0..60).filter(|seq| seq % 9 % 3 == 1).collect();
    assert_eq!(asks(Fake::after(ms(2))), own);
    assert_eq!(asks(Fake::varied(ms(9))), own);
}
