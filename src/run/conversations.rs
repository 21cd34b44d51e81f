//! `Conversations`: where sessions of several turns get the next one, until the run ends.

use super::maker::{Conversation, MadeRequest};
use super::prepare::Turns;
use crate::error::Error;
use crate::os;
use crate::record::{Nanos, Reply};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;

/// What lets the sessions of a run go on. Times are absolute.
pub(super) struct Conversations {
    turns: Turns,
    /// No turn is sent that is due then or later.
    end: AtomicI64,
    ended: Notify,
    /// One was broken off by the end.
    cut: AtomicBool,
    /// Why a request could not be made.
    broken: OnceLock<Error>,
}

impl Conversations {
    pub fn new(turns: Turns) -> Conversations {
        Conversations {
            turns,
            end: AtomicI64::new(Nanos::MAX),
            ended: Notify::new(),
            cut: AtomicBool::new(false),
            broken: OnceLock::new(),
        }
    }

    /// No turn is sent any more that is due at `time` or later.
    pub fn end_at(&self, time: Nanos) {
        self.end.fetch_min(time, Relaxed);
        self.ended.notify_waiters();
    }

    /// A request cannot be made: the run ends, and no session goes on. The first reason counts.
    pub fn fail(&self, error: Error) {
        let _ = self.broken.set(error);
        self.end_at(Nanos::MIN);
    }

    /// Why a request could not be made.
    pub fn broken(&self) -> Option<&Error> {
        self.broken.get()
    }

    /// Whether the end came before the last turn of some session.
    pub fn were_cut(&self) -> bool {
        self.cut.load(Relaxed)
    }

    /// The turn after `reply`, which ended at `end`. `None`: there is none any more.
    pub async fn next(
        &self,
        conversation: Box<Conversation>,
        reply: Reply,
        end: Nanos,
    ) -> Option<MadeRequest> {
        // It cannot be due before the end of the reply.
        match self.until_no_more(end, self.turns.next(conversation, reply)).await? {
            Ok(made) => made,
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    /// Awaits `step` as long as a turn that is due at `due` may still be sent.
    pub async fn until_no_more<T>(&self, due: Nanos, step: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.is_over(due) => {
                self.cut.store(true, Relaxed);
                None
            }
            done = step => Some(done),
        }
    }

    /// Awaits `step` until the run's end: a turn that is due by then and has no place stays without.
    pub async fn until_the_end<T>(&self, step: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.has_ended() => None,
            done = step => Some(done),
        }
    }

    async fn has_ended(&self) {
        loop {
            let told = self.ended.notified();
            let left = self.end.load(Relaxed).saturating_sub(os::now());
            if left <= 0 {
                return;
            }
            tokio::select! {
                () = told => {}
                () = tokio::time::sleep(Duration::from_nanos(left as u64)) => {}
            }
        }
    }

    async fn is_over(&self, due: Nanos) {
        loop {
            // Listens before it looks, so that nothing is missed.
            let told = self.ended.notified();
            if due >= self.end.load(Relaxed) {
                return;
            }
            told.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::client::Fake;
    use crate::error::Error;
    use crate::record::{Nanos, Outcome, Phase, Record};
    use crate::run::plan::Warmup;
    use crate::run::tests::{closed, even, ms, plan, play, play_until};
    use crate::run::{Control, Ended, Plan, Reason, Stop};
    use crate::schedule::Shape;
    use crate::tokens::Tokens;
    use crate::workload::testing::Talks;
    use crate::workload::{
        Carry, Chat, FollowUp, Heard, HookCost, Length, NextTurn, Says, SessionTurns, Think, Turn, TurnHook,
        Workload,
    };
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
    use std::sync::{Arc, Mutex, mpsc};
    use std::time::Duration;

    /// Sessions of `turns` turns, `think` apart.
    fn talks(turns: u32, think: Duration) -> Workload {
        Talks::told(move |seq, turn, _| Ok((turn < turns).then(|| Turn::of(seq, turn, think))))
    }

    fn sessions(workload: Workload, places: usize, requests: u64) -> Plan {
        Plan { workload, sessions: Some(requests), ..plan(closed(places)) }
    }

    fn planned_ms(records: &[Record]) -> Vec<(u64, u32, Nanos)> {
        records.iter().map(|r| (r.seq, r.turn, r.timeline.planned / 1_000_000)).collect()
    }

    /// Records in order of their sessions and turns.
    fn played(plan: Plan) -> (Vec<Record>, Ended) {
        let (mut records, ended) = play(plan, Fake::after(ms(5)));
        records.sort_by_key(|record| (record.seq, record.turn));
        (records, ended)
    }

    #[test]
    fn a_turn_is_due_when_its_user_has_thought_and_a_session_keeps_its_place() {
        let (records, ended) = played(sessions(talks(3, ms(30)), 1, 2));
        let times = [(0, 0, 0), (0, 1, 35), (0, 2, 70), (1, 0, 75), (1, 1, 110), (1, 2, 145)];
        assert_eq!(planned_ms(&records), times);
        assert!(records.iter().all(|record| record.timeline.admitted == record.timeline.planned));
        assert!(records.iter().all(|record| record.queue_delay_ms() == Some(0.0)));
        let ids: Vec<&str> = records.iter().map(|record| &*record.id).collect();
        assert_eq!(ids, ["id-0", "id-0.1", "id-0.2", "id-1", "id-1.1", "id-1.2"]);
        assert_eq!((ended.reason, ended.lasted / 1_000_000), (Reason::Requests, 150));
    }

    #[test]
    fn every_turn_is_made_by_the_threads_for_it_from_the_whole_reply() {
        let made = Arc::new(Mutex::new(BTreeSet::new()));
        let theirs = made.clone();
        let workload = Talks::told(move |seq, turn, reply| {
            let said = reply.map(|reply| (reply.text.clone(), reply.output_tokens, reply.success));
            let thread = std::thread::current().name().map(str::to_string);
            theirs.lock().unwrap().insert((turn, thread, said));
            Ok((turn < 3).then(|| Turn::of(seq, turn, Duration::ZERO)))
        });
        let (records, _) = played(Plan { preparers: 2, ..sessions(workload, 4, 20) });
        assert_eq!(records.len(), 60);
        let thread = Some("prepare".to_string());
        let said = Some((Fake::TEXT.to_string(), 1, true));
        let after = |turn| (turn, thread.clone(), said.clone());
        let all = BTreeSet::from([(0, thread.clone(), None), after(1), after(2), after(3)]);
        assert_eq!(*made.lock().unwrap(), all);
    }

    #[test]
    fn what_cannot_be_made_ends_the_run_with_its_reason_and_what_was_sent_is_kept() {
        let broken = |at: (u64, u32), panics: bool| {
            Talks::told(move |seq, turn, _| match (seq, turn) == at {
                true if panics => panic!("the tea is cold"),
                true => Err(Error::run("the tea is cold")),
                false => Ok((turn < 2).then(|| Turn::of(seq, turn, Duration::ZERO))),
            })
        };
        for threads in [1, 2, 3, 8] {
            for panics in [false, true] {
                let told = |at, shape| {
                    let workload = broken(at, panics);
                    let plan = Plan { workload, requests: Some(1_000), preparers: threads, ..plan(shape) };
                    let (records, ended) = played(plan);
                    let Reason::Preparation(error) = ended.reason else { panic!("{:?}", ended.reason) };
                    (records, error.message)
                };
                let (records, why) = told((7, 0), closed(1));
                assert_eq!(why, "cannot make request 7: the tea is cold");
                assert_eq!(records.len(), 14, "seven sessions of two turns");
                assert!(records.iter().all(Record::success));
                let (records, why) = told((7, 1), even(1_000.0));
                assert_eq!(why, "cannot make turn 1 of session 7: the tea is cold");
                let firsts: Vec<u64> = records.iter().filter(|r| r.turn == 0).map(|r| r.seq).collect();
                assert_eq!(firsts, (0..firsts.len() as u64).collect::<Vec<_>>(), "no slot is missing");
                assert!((8..1_000).contains(&firsts.len()), "{}", firsts.len());
            }
        }
    }

    #[test]
    fn a_request_that_is_never_due_may_be_impossible() {
        let workload = || {
            Talks::told(|seq, _, _| match seq {
                5.. => Err(Error::run("never asked")),
                _ => Ok(Some(Turn::of(seq, 0, Duration::from_secs(3_600)))),
            })
        };
        let first = Talks::told(|seq, turn, _| match (seq, turn) {
            (5.., _) => Err(Error::run("never asked")),
            (_, turn) => Ok((turn == 0).then(|| Turn::of(seq, 0, Duration::ZERO))),
        });
        let short = Plan { duration: Some(ms(50)), ..plan(even(100.0)) };
        let (records, ended) = played(Plan { workload: workload(), ..short });
        assert_eq!((records.len(), ended.reason), (5, Reason::Duration));
        let (records, ended) = played(sessions(first, 2, 5));
        assert_eq!((records.len(), ended.reason), (5, Reason::Requests));
    }

    #[test]
    fn a_turn_that_takes_its_time_keeps_nobody_waiting_who_has_a_thread() {
        let (finished, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let turns = AtomicU64::new(0);
        let finished = Mutex::new(Some(finished));
        let others = 30;
        let workload = Talks::told(move |seq, turn, _| {
            if seq == 0 && turn == 1 {
                // Made once all turns of all others have been asked for.
                let waited = wait.lock().unwrap().recv_timeout(Duration::from_secs(20));
                assert_eq!(waited, Err(mpsc::RecvTimeoutError::Disconnected), "it held the others up");
            } else if seq > 0 && turn == 2 && turns.fetch_add(1, Relaxed) + 1 == others {
                finished.lock().unwrap().take();
            }
            Ok((turn < 2).then(|| Turn::of(seq, turn, Duration::ZERO)))
        });
        let plan = Plan { preparers: 2, ..sessions(workload, 2, others + 1) };
        let (records, ended) = played(plan);
        assert_eq!((records.len(), ended.reason), (62, Reason::Requests));
        let last = |seq| records.iter().rfind(|r: &&Record| r.seq == seq).map(|r| r.timeline.planned);
        assert_eq!(last(0), Some(5_000_000), "it keeps its planned time, however late it was made");
    }

    #[test]
    fn an_end_breaks_off_who_thinks_and_sends_what_is_due() {
        let hour = Duration::from_secs(3_600);
        let (records, ended) = played(Plan { duration: Some(ms(40)), ..sessions(talks(2, hour), 3, 100) });
        assert_eq!((records.len(), ended.reason), (3, Reason::Duration));
        // Turns at 0, 5, 10 ... 35: the one at 40 is not measured any more.
        let endless = talks(u32::MAX, Duration::ZERO);
        let (records, ended) = played(Plan { duration: Some(ms(40)), ..sessions(endless, 1, 1) });
        assert_eq!(ended.reason, Reason::Requests, "one session is all that was asked for");
        assert_eq!(records.len(), 8);

        let pressed = Arc::new(AtomicBool::new(false));
        let theirs = pressed.clone();
        let asked = Talks::told(move |seq, turn, _| {
            theirs.store(turn > 0, Relaxed);
            Ok(Some(Turn::of(seq, turn, hour)))
        });
        let control = Control::watching(move || if pressed.load(Relaxed) { Stop::Drain } else { Stop::No });
        let plan = Plan { workload: asked, sessions: Some(1), ..plan(Shape::AtOnce) };
        let (records, ended) = play_until(plan, Fake::after(ms(1)), control);
        assert_eq!((records.len(), ended.reason), (1, Reason::Interrupted));
    }

    /// (session, turn, planned, admitted) in order of admission.
    fn admitted_ms(plan: Plan) -> (Vec<(u64, u32, Nanos, Nanos)>, Ended) {
        let (mut records, ended) = play(plan, Fake::after(ms(20)));
        records.sort_by_key(|record| record.timeline.admitted);
        let ms = |nanos: Nanos| nanos / 1_000_000;
        let told = records
            .iter()
            .map(|r| (r.seq, r.turn, ms(r.timeline.planned), ms(r.timeline.admitted)))
            .collect();
        (told, ended)
    }

    #[test]
    fn a_later_turn_is_warm_up_or_measured_by_its_own_time() {
        let warm = |warmup| Plan { warmup, ..sessions(talks(3, ms(30)), 1, 1) };
        let phases = |plan| played(plan).0.iter().map(|r| (r.seq, r.turn, r.phase)).collect::<Vec<_>>();
        let (w, m) = (Phase::Warmup, Phase::Measured);
        let by_time = [(0, 0, w), (0, 1, w), (0, 2, m), (1, 0, m), (1, 1, m), (1, 2, m)];
        assert_eq!(phases(warm(Warmup::Time(ms(50)))), by_time, "turns are due at 0, 35, 70");
        let by_count = [(0, 0, w), (0, 1, m), (0, 2, m), (1, 0, m), (1, 1, m), (1, 2, m)];
        assert_eq!(phases(warm(Warmup::Requests(1))), by_count);
    }

    #[test]
    fn requests_are_counted_turn_by_turn_and_sessions_one_by_one() {
        let plan = Plan { sessions: None, requests: Some(4), ..sessions(talks(3, ms(30)), 1, 1) };
        let (records, ended) = played(plan);
        let sent: Vec<_> = records.iter().map(|record| (record.seq, record.turn)).collect();
        assert_eq!((sent, ended.reason), (vec![(0, 0), (0, 1), (0, 2), (1, 0)], Reason::Requests));
        let (records, ended) = played(Plan { requests: Some(2), ..sessions(talks(3, ms(3_600_000)), 2, 9) });
        assert_eq!(
            (records.len(), ended.reason),
            (2, Reason::Requests),
            "nobody thinks to the end for nothing"
        );
    }

    #[test]
    fn who_thinks_holds_no_place_of_a_request() {
        let workload = talks(2, ms(500));
        let plan = Plan { workload, cap: Some(1), sessions: Some(3), ..plan(even(20.0)) };
        let (told, _) = admitted_ms(plan);
        let first = [(0, 0, 0, 0), (1, 0, 50, 50), (2, 0, 100, 100)];
        let then = [(0, 1, 520, 520), (1, 1, 570, 570), (2, 1, 620, 620)];
        assert_eq!(told, [first, then].concat());
    }

    #[test]
    fn a_later_turn_waits_for_a_place_and_keeps_its_planned_time() {
        let plan = Plan { cap: Some(1), ..sessions(talks(2, Duration::ZERO), 2, 2) };
        let (told, _) = admitted_ms(plan);
        assert_eq!(told, [(0, 0, 0, 0), (1, 0, 0, 20), (0, 1, 20, 40), (1, 1, 40, 60)]);
    }

    #[test]
    fn so_many_requests_are_under_way_whatever_conversations_they_belong_to() {
        let shape = Shape::InFlight { places: 1 };
        let plan = Plan { workload: talks(2, ms(30)), sessions: Some(3), ..plan(shape) };
        let (told, _) = admitted_ms(plan);
        let expected =
            [(0, 0, 0, 0), (1, 0, 20, 20), (2, 0, 40, 40), (0, 1, 50, 60), (1, 1, 70, 80), (2, 1, 90, 100)];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_turn_that_had_no_place_until_the_end_is_told_and_no_other_begins() {
        let plan = Plan { cap: Some(1), duration: Some(ms(30)), ..sessions(talks(9, Duration::ZERO), 3, 9) };
        let (records, ended) = play(Plan { sessions: None, ..plan }, Fake::after(ms(20)));
        let mut told: Vec<_> = records.iter().map(|r| (r.seq, r.turn, r.outcome)).collect();
        told.sort_by_key(|(seq, turn, _)| (*seq, *turn));
        let (success, cancelled) = (Outcome::Success, Outcome::Cancelled);
        assert_eq!(told, [(0, 0, success), (0, 1, cancelled), (1, 0, success), (2, 0, cancelled)]);
        assert_eq!(ended.reason, Reason::Duration);
        let why = records.iter().find_map(|record| record.error.as_deref());
        assert_eq!(
            why,
            Some("until the run ended as many requests were in flight as max_in_flight 1 allows")
        );
    }

    /// Takes longer than anybody thinks.
    struct Slow;

    impl NextTurn for Slow {
        fn session(&self) -> Box<dyn SessionTurns> {
            Box::new(Slow)
        }
    }

    impl SessionTurns for Slow {
        fn next(&mut self, _: Heard) -> crate::error::Result<Option<FollowUp>> {
            std::thread::sleep(SLOW);
            Ok(Some(FollowUp { says: Says::Random, max_tokens: None, think: None, extra: None }))
        }
    }

    const SLOW: Duration = Duration::from_millis(30);

    #[test]
    fn what_a_hook_takes_longer_than_its_user_thinks_is_thinking_and_no_latency() {
        let chat = |think| {
            let cost = HookCost::new("next_turn", "a.rhai:1:1", "");
            Workload::Chat(Arc::new(Chat {
                class: "".into(),
                turns: Length::Fixed(2),
                think: Think::For(think),
                system: None,
                user: Length::Fixed(3),
                reply: Length::Fixed(3),
                carry: Carry::Reply,
                next_turn: Some(TurnHook::new(Arc::new(Slow), cost)),
                extra: None,
                tokens: Arc::new(Tokens::Words),
            }))
        };
        let hasty = chat(Duration::ZERO);
        let (records, _) = played(sessions(hasty.clone(), 1, 2));
        assert_eq!(records.len(), 4);
        for pair in records.chunks(2) {
            let later = pair[1].timeline.planned - pair[0].timeline.end;
            assert!(later >= SLOW.as_nanos() as Nanos, "{later}");
            assert_eq!(pair[1].queue_delay_ms(), Some(0.0));
        }
        let totals = hasty.hook_costs()[0].totals();
        assert_eq!((totals.calls, totals.overruns), (2, 2));
        assert!(totals.overrun >= 2 * SLOW - Duration::from_millis(1), "{totals:?}");

        let patient = chat(Duration::from_millis(1_500));
        let (records, _) = played(sessions(patient.clone(), 1, 1));
        assert_eq!(records[1].timeline.planned - records[0].timeline.end, 1_500_000_000);
        assert_eq!(patient.hook_costs()[0].totals().overruns, 0);
    }
}
