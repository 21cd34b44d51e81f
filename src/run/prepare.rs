//! `Ahead`: requests made before their time, by threads of their own into a bounded queue, so that
//! making them is never a latency.
//!
//! A session's later turns go to the same threads with the reply that they follow, and come back to
//! the session: nothing is made on a thread that sends, reads, or decides who is next.

use super::Plan;
use super::maker::{Conversation, MadeRequest, Maker, Prepared};
use crate::client::Client;
use crate::error::Result;
use crate::record::{Reply, Slot};
use crate::schedule::Schedule;
use std::collections::VecDeque;
use std::iter::Take;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};

/// Most requests that are taken out of the queue in one go.
const BUNDLE_MAX: usize = 32;
/// Bytes of those from which no more are.
const BUNDLE_BYTES: usize = 1 << 20;
/// Bytes that wait in the queue before no more are made.
const QUEUE_BYTES: usize = 32 << 20;

/// The requests that are ready, in the order of their slots, however many threads make them. They
/// end with it.
pub struct Ahead {
    queue: Arc<Queue>,
    bundle: VecDeque<Prepared>,
}

/// Where sessions ask for their next turns.
#[derive(Clone)]
pub struct Turns(Arc<Queue>);

/// What there is to make, and what is made. Whoever holds the lock makes nothing meanwhile.
struct Queue {
    state: Mutex<State>,
    /// For the threads: there is something to make.
    jobs: Condvar,
    /// For whoever takes: the next request is ready, or there is none.
    ready: Notify,
    /// Slots that may be taken up before their requests are taken.
    slots_max: usize,
}

struct State {
    schedule: Take<Schedule>,
    /// First requests in the order of their slots; `None`: a thread is at it.
    slots: VecDeque<Option<Prepared>>,
    /// Requests that were taken out of it.
    taken: u64,
    /// Bytes of those that are ready.
    bytes: usize,
    /// No slot will be added.
    ended: bool,
    turns: VecDeque<Asked>,
    /// The last thing that was taken up was a turn.
    turn_last: bool,
    /// Somebody waits for the next request.
    awaited: bool,
    /// Threads that have nothing to do.
    resting: usize,
    over: bool,
}

/// A next turn that somebody waits for.
struct Asked {
    conversation: Box<Conversation>,
    reply: Reply,
    answer: oneshot::Sender<Result<Option<MadeRequest>>>,
}

/// What a thread does next.
enum Job {
    /// The request of a slot, and its place in the order of all.
    First(u64, Slot),
    Turn(Asked),
}

/// Starts the threads. The queue ends after `limit` slots, or with the schedule. Fails when the
/// system gives no thread.
pub fn start(
    plan: &Plan,
    client: Arc<Client>,
    id_prefix: String,
    limit: Option<u64>,
) -> std::io::Result<Ahead> {
    let limit = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let places = plan.places().unwrap_or(128);
    let queue = Arc::new(Queue {
        state: Mutex::new(State {
            schedule: plan.schedule().take(limit),
            slots: VecDeque::new(),
            taken: 0,
            bytes: 0,
            ended: false,
            turns: VecDeque::new(),
            turn_last: false,
            awaited: false,
            resting: 0,
            over: false,
        }),
        jobs: Condvar::new(),
        ready: Notify::new(),
        slots_max: places.saturating_mul(2).clamp(128, 4096),
    });
    let ahead = Ahead { queue: queue.clone(), bundle: VecDeque::new() };
    let maker = Arc::new(Maker::new(plan, client, id_prefix));
    for _ in 0..plan.preparers.max(1) {
        let (queue, maker) = (queue.clone(), maker.clone());
        std::thread::Builder::new().name("prepare".into()).spawn(move || queue.work(&maker))?;
    }
    Ok(ahead)
}

impl Ahead {
    /// The next one, once it is made; `None` after the last. Nothing is lost when the wait is
    /// broken off.
    pub async fn next(&mut self) -> Option<Prepared> {
        loop {
            if let Some(next) = self.bundle.pop_front() {
                return Some(next);
            }
            if !self.queue.take(&mut self.bundle) {
                return None;
            }
            if self.bundle.is_empty() {
                self.queue.ready.notified().await;
            }
        }
    }

    /// Where the sessions of this run ask for their next turns, as long as it is there.
    pub fn turns(&self) -> Turns {
        Turns(self.queue.clone())
    }

    /// No more slots are wanted.
    pub fn stop(&mut self) {
        self.bundle.clear();
        let mut state = self.queue.lock();
        state.ended = true;
        state.bytes = 0;
        let unwanted = std::mem::take(&mut state.slots);
        drop(state);
        drop(unwanted);
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.stop();
        let mut state = self.queue.lock();
        state.over = true;
        // Who waits for a turn learns that there is none.
        state.turns.clear();
        drop(state);
        self.queue.jobs.notify_all();
    }
}

impl Turns {
    /// The next turn, made from `reply` on another thread; `None` after the last, and when the run
    /// is over.
    pub async fn next(&self, conversation: Box<Conversation>, reply: Reply) -> Result<Option<MadeRequest>> {
        let (answer, made) = oneshot::channel();
        self.0.ask(Asked { conversation, reply, answer });
        made.await.unwrap_or(Ok(None))
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is ready; false: there is nothing and will be nothing.
    fn take(&self, bundle: &mut VecDeque<Prepared>) -> bool {
        let mut state = self.lock();
        let mut bytes = 0;
        while bundle.len() < BUNDLE_MAX
            && bytes < BUNDLE_BYTES
            && let Some(next) = state.slots.front_mut().and_then(Option::take)
        {
            state.slots.pop_front();
            state.taken += 1;
            bytes += next.bytes();
            bundle.push_back(next);
        }
        state.bytes -= bytes;
        if bundle.is_empty() {
            state.awaited = true;
            return !(state.ended && state.slots.is_empty());
        }
        let resting = state.resting > 0;
        drop(state);
        if resting {
            self.jobs.notify_all();
        }
        true
    }

    fn ask(&self, asked: Asked) {
        let mut state = self.lock();
        if state.over {
            return;
        }
        state.turns.push_back(asked);
        let resting = state.resting > 0;
        drop(state);
        if resting {
            self.jobs.notify_one();
        }
    }

    /// One of the threads.
    fn work(&self, maker: &Maker) {
        while let Some(job) = self.next_job() {
            match job {
                Job::First(place, slot) => self.put(place, maker.first(slot)),
                // Nobody waits for it any more.
                Job::Turn(Asked { answer, .. }) if answer.is_closed() => {}
                Job::Turn(Asked { conversation, reply, answer }) => {
                    let _ = answer.send(maker.turn(conversation, &reply));
                }
            }
        }
    }

    /// Waits for something to make; `None`: the run is over.
    fn next_job(&self) -> Option<Job> {
        let mut state = self.lock();
        while !state.over {
            let job = state.job(self.slots_max);
            if state.ended && state.slots.is_empty() && std::mem::take(&mut state.awaited) {
                self.ready.notify_one();
            }
            if job.is_some() {
                return job;
            }
            state.resting += 1;
            state = self.jobs.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.resting -= 1;
        }
        None
    }

    /// Puts the request of a slot into its place in the queue.
    fn put(&self, place: u64, made: Prepared) {
        let mut state = self.lock();
        let index = (place - state.taken) as usize;
        let bytes = made.bytes();
        // What comes after it is never sent.
        state.ended |= made.first.is_err();
        // Nobody wants it any more.
        let Some(entry) = state.slots.get_mut(index) else { return };
        *entry = Some(made);
        state.bytes += bytes;
        if index == 0 && std::mem::take(&mut state.awaited) {
            drop(state);
            self.ready.notify_one();
        }
    }
}

impl State {
    /// A turn is due sooner than a slot that nobody waits for; where both are waited for, they
    /// alternate.
    fn job(&mut self, slots_max: usize) -> Option<Job> {
        let slot_first = self.turn_last && self.awaited;
        if let Some(slot) = slot_first.then(|| self.slot(slots_max)).flatten() {
            return Some(slot);
        }
        let Some(turn) = self.turns.pop_front() else { return self.slot(slots_max) };
        self.turn_last = true;
        Some(Job::Turn(turn))
    }

    /// The next slot, if its request has room.
    fn slot(&mut self, slots_max: usize) -> Option<Job> {
        if !self.has_room(slots_max) {
            return None;
        }
        let Some(slot) = self.schedule.next() else {
            self.ended = true;
            return None;
        };
        let place = self.taken + self.slots.len() as u64;
        self.slots.push_back(None);
        self.turn_last = false;
        Some(Job::First(place, slot))
    }

    fn has_room(&self, slots_max: usize) -> bool {
        !self.ended && self.slots.len() < slots_max && self.bytes <= QUEUE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Fake, Http, Transport};
    use crate::record::{Prompt, Verbatim};
    use crate::run::tests::{closed, plan};
    use crate::schedule::{Process, Shape};
    use crate::tokens::{Tokens, sample};
    use crate::workload::testing::Talks;
    use crate::workload::{
        Ask, Dataset, Length, Models, Prefix, PromptRow, Prompts, RowOrder, Turn, Workload, count,
    };
    use sha2::{Digest, Sha256};
    use std::time::{Duration, Instant};

    fn runtime() -> tokio::runtime::Runtime {
        crate::run::runtime().expect("a runtime")
    }

    /// A client that makes whole requests; nothing is sent.
    async fn http(plan: &Plan) -> Arc<Client> {
        let transport = Transport::start().expect("it starts");
        let http = Http::new(plan.target.clone(), transport).await.expect("a client");
        Arc::new(Client::Http(Box::new(http)))
    }

    fn prompts(class: &str, prefix: Option<Prefix>, tokens: Tokens) -> Workload {
        Workload::Prompts(Prompts {
            class: class.into(),
            input: Length::Uniform(1, 400),
            output: Length::Lognormal { median: 100.0, sigma: 0.5 },
            prefix,
            extra: None,
            tokens: Arc::new(tokens),
        })
    }

    fn recorded() -> Workload {
        let verbatim = Verbatim::new(crate::record::Key::Messages, r#"[{"role":"user","content":"hi"}]"#);
        let row = |n: u32| match n % 3 {
            0 => PromptRow::new(Ask::Text(format!("the cat {n}").into())),
            1 => PromptRow::new(Ask::Tokens(n)),
            _ => PromptRow::new(Ask::Verbatim(Arc::new(verbatim.clone()))),
        };
        let rows: Vec<PromptRow> = (0..50).map(row).collect();
        let tokens = Arc::new(Tokens::Words);
        Workload::Dataset(Dataset {
            class: "file".into(),
            name: "file".into(),
            skipped: None,
            counts: Arc::new(count(&rows, &tokens, None)),
            rows: Arc::new(rows),
            order: RowOrder::Shuffled,
            output: Length::Fixed(32),
            fixed_output: None,
            conversations: None,
            extra: None,
            tokens,
        })
    }

    /// All that is prepared, as one text a request, with a digest of its bytes.
    async fn all(mut ahead: Ahead) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(next) = ahead.next().await {
            let made = next.first.expect("it can be made");
            told.push(format!("{:?} {} {:x?}", next.slot, made.id, Sha256::digest(&made.bytes)));
        }
        told
    }

    #[test]
    fn bodies_ids_times_and_order_are_the_same_however_many_threads_make_them() {
        let mix = Workload::Mix(vec![
            (3.0, prompts("a", Some(Prefix { tokens: 30, groups: 3 }), Tokens::Words)),
            (1.0, prompts("b", None, sample::byte_level())),
            (1.0, recorded()),
        ]);
        let models =
            Workload::Models(Models { models: vec!["m".into(), "n".into()], workload: Box::new(mix) });
        let poisson = Shape::Rate { per_second: 500.0, process: Process::Poisson };
        runtime().block_on(async {
            for arrivals in [poisson, closed(3), Shape::AtOnce] {
                let plan = Plan { workload: models.clone(), seed: 7, salt: 3, ..plan(arrivals) };
                let client = http(&plan).await;
                let mut alone = None;
                for preparers in [1, 2, 3, 8] {
                    let plan = Plan { preparers, ..plan.clone() };
                    let told =
                        all(start(&plan, client.clone(), "id".into(), Some(1_500)).expect("it starts")).await;
                    assert_eq!(told.len(), 1_500);
                    let first = alone.get_or_insert_with(|| told.clone());
                    assert!(*first == told, "{preparers} threads");
                }
                // As without any thread.
                let (traffic, slots) = (plan.traffic(), plan.schedule().take(1_500));
                let by_hand = slots.map(|slot| {
                    let mut session = plan.workload.session(&traffic, slot.seq);
                    let turn = session.next(None).expect("made").expect("one");
                    let id = format!("id-{}", slot.seq);
                    let digest = Sha256::digest(client.encode(&turn.request, &id));
                    format!("{slot:?} {id} {digest:x?}")
                });
                assert!(alone.expect("told") == by_hand.collect::<Vec<_>>());
            }
        });
    }

    fn fake(plan: &Plan, limit: Option<u64>) -> Ahead {
        start(plan, Arc::new(Client::Fake(Fake::after(Duration::ZERO))), "id".into(), limit)
            .expect("it starts")
    }

    /// Waits until there is no room, and none of the threads has anything to do.
    fn rested(queue: &Queue, threads: usize) -> MutexGuard<'_, State> {
        let begun = Instant::now();
        loop {
            let state = queue.lock();
            if state.resting == threads && !state.has_room(queue.slots_max) {
                return state;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "they never rest");
            drop(state);
            std::thread::yield_now();
        }
    }

    #[test]
    fn no_more_is_made_than_there_is_room_for_in_number_and_in_bytes() {
        let big = |seq, _: u32, _: Option<&Reply>| {
            let mut turn = Turn::of(seq, 0, Duration::ZERO);
            turn.request.prompt = Prompt::Text("a".repeat(1 << 20));
            Ok(Some(turn))
        };
        runtime().block_on(async {
            for preparers in [1, 2, 8] {
                let small = Plan { preparers, ..plan(closed(4)) };
                let mut ahead = fake(&small, None);
                assert_eq!(rested(&ahead.queue, preparers).slots.len(), 128);
                for seq in 0..1_000 {
                    assert_eq!(ahead.next().await.map(|next| next.slot.seq), Some(seq));
                    assert!(ahead.queue.lock().slots.len() <= 128);
                }

                let plan = Plan { workload: Talks::told(big), ..small };
                let mut ahead = start(&plan, http(&plan).await, "id".into(), None).expect("it starts");
                let most = 33 + preparers;
                assert!((32..=most).contains(&rested(&ahead.queue, preparers).slots.len()));
                for _ in 0..40 {
                    let _ = ahead.next().await;
                    assert!(ahead.bundle.len() <= 1);
                }
                assert!((32..=most).contains(&rested(&ahead.queue, preparers).slots.len()));
            }
        });
    }

    #[test]
    fn who_asks_after_the_end_learns_that_there_is_no_turn() {
        let talks = Talks::told(|seq, turn, _| Ok(Some(Turn::of(seq, turn, Duration::ZERO))));
        runtime().block_on(async {
            let mut ahead = fake(&Plan { workload: talks, ..plan(closed(2)) }, Some(2));
            let turns = ahead.turns();
            let reply = || Reply { success: true, ..Reply::default() };
            let mut next = async || ahead.next().await?.first.ok()?.conversation;
            let (one, other) = (next().await.expect("one"), next().await.expect("another"));
            assert!(next().await.is_none(), "two slots");
            ahead.stop();
            let made = turns.next(one, reply()).await.expect("it can be made").expect("a turn");
            assert_eq!((&*made.id, made.request.turn), ("id-0.1", 1), "slots are over, sessions are not");
            drop(ahead);
            assert!(turns.next(other, reply()).await.expect("no error").is_none());
        });
    }

    #[test]
    fn the_end_of_the_slots_is_told_while_turns_wait_and_they_are_made_all_the_same() {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let talks = Talks::told(move |seq, turn, _| {
            if (seq, turn) == (0, 1) {
                wait.lock().unwrap().recv_timeout(Duration::from_secs(20)).expect("released");
            }
            Ok(Some(Turn::of(seq, turn, Duration::ZERO)))
        });
        let reply = || Reply { success: true, ..Reply::default() };
        runtime().block_on(async {
            let mut ahead = fake(&Plan { workload: talks, ..plan(closed(2)) }, Some(160));
            let (turns, queue) = (ahead.turns(), ahead.queue.clone());
            drop(rested(&queue, 1));
            let mut next = async || ahead.next().await?.first.ok()?.conversation;
            let (held, other) = (next().await.expect("one"), next().await.expect("another"));
            drop(rested(&queue, 1));
            let held = tokio::spawn({
                let turns = turns.clone();
                async move { turns.next(held, reply()).await }
            });
            tokio::task::yield_now().await;
            for _ in 2..160 {
                assert!(next().await.is_some());
            }
            let free = async { release.send(()).expect("it waits") };
            let (end, made, ()) = tokio::join!(next(), turns.next(other, reply()), free);
            assert!(end.is_none() && made.expect("made").is_some());
            assert!(held.await.expect("ended").expect("made").is_some());
        });
    }
}
