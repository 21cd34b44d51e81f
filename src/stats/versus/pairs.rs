//! `Pairing`: the requests of two runs that are one and the same request.
//!
//! Two runs with the same traffic ask the same lengths at the same times, so that B/A can be computed
//! request by request: what chance does to the load is the same on both sides and falls out.

use super::rows::{ComparedRows, Key, Place, UNKNOWN};

/// Above this share of requests without a partner the others are a selection.
pub const UNMATCHED_MAX: f64 = 0.01;

/// Cached tokens of one and the same prompt may differ by a block of the server's cache.
const CACHE_BLOCK_TOKENS: u32 = 16;

/// Planned times of an open loop are the same but for the last bit of a logarithm.
const SAME_TIME_NS: i64 = 2_000;

/// The requests of two runs, matched by [`Key`].
#[derive(Debug, Clone, Default)]
pub struct Pairing {
    /// Places of pairs on either side, in the order of the traffic: both succeeded.
    pub pairs: Vec<(u32, u32)>,
    /// The planned times are those of the traffic: an open loop. Else each request waited for others.
    pub open: bool,
    /// Requests that both sides could have: all of an open loop; of a closed one those up to the last
    /// that both have reached.
    pub common: u64,
    /// Of these, by why they have no partner.
    pub unmatched: Unmatched,
    /// Requests that only one of the sides has reached.
    pub beyond: [u64; 2],
    /// Turns after the first, which depend on the replies before.
    pub later_turns: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unmatched {
    /// The other side never had it.
    pub missing: u64,
    pub failed: u64,
    /// It was asked for other lengths, or planned at another time.
    pub asked_otherwise: u64,
    /// The cache of one side knew more of it.
    pub cached_otherwise: u64,
}

impl Unmatched {
    pub fn all(&self) -> u64 {
        self.missing + self.failed + self.asked_otherwise + self.cached_otherwise
    }
}

impl Pairing {
    /// Both sides sorted. Turns after the first are left out.
    pub fn of(a: &ComparedRows, b: &ComparedRows) -> Pairing {
        let (firsts_a, firsts_b) = (firsts(a.places()), firsts(b.places()));
        let mut pairing =
            Pairing { later_turns: (a.places().len() - firsts_a.len()) as u64, ..Pairing::default() };
        let both = joined(a.places(), &firsts_a, b.places(), &firsts_b);
        let partners = || {
            both.iter().filter_map(|(one, two)| {
                Some((
                    a.places()[one.as_ref().copied()? as usize],
                    b.places()[two.as_ref().copied()? as usize],
                ))
            })
        };
        let (mut at_once, mut all) = (0_u64, 0_u64);
        for (one, two) in partners() {
            all += 1;
            at_once += u64::from((one.planned - two.planned).abs() <= SAME_TIME_NS);
        }
        pairing.open = all > 0 && at_once as f64 >= (1.0 - UNMATCHED_MAX) * all as f64;
        // Of a closed loop the faster side has gone further.
        let reached = Reached::of(a.places(), &firsts_a).both(&Reached::of(b.places(), &firsts_b));
        let within = |key: Key| pairing.open || reached.has(key);
        let (mut common, mut unmatched, mut beyond) = (0, Unmatched::default(), [0, 0]);
        let mut pairs = Vec::with_capacity(both.len());
        for (one, two) in &both {
            match (*one, *two) {
                (Some(at_a), Some(at_b)) => {
                    common += 1;
                    match partner(&a.places()[at_a as usize], &b.places()[at_b as usize], pairing.open) {
                        Ok(()) => pairs.push((at_a, at_b)),
                        Err(count) => *count(&mut unmatched) += 1,
                    }
                }
                (Some(at), None) if within(a.places()[at as usize].key) => unmatched.missing += 1,
                (None, Some(at)) if within(b.places()[at as usize].key) => unmatched.missing += 1,
                (Some(_), None) => beyond[0] += 1,
                (None, _) => beyond[1] += 1,
            }
        }
        common += unmatched.missing;
        Pairing { pairs, common, unmatched, beyond, ..pairing }
    }

    pub fn unmatched_share(&self) -> f64 {
        if self.common == 0 { 1.0 } else { self.unmatched.all() as f64 / self.common as f64 }
    }

    /// Whether the pairs stand for all requests.
    pub fn holds(&self) -> bool {
        !self.pairs.is_empty() && self.unmatched_share() <= UNMATCHED_MAX
    }

    /// The pairs whose replies are equally long, for what grows with the reply; and the share that is
    /// left out for it.
    pub fn equally_long(&self, a: &ComparedRows, b: &ComparedRows) -> (Vec<(u32, u32)>, f64) {
        let equal = |pair: &&(u32, u32)| {
            let (one, two) = (&a.places()[pair.0 as usize], &b.places()[pair.1 as usize]);
            one.output == two.output && one.output != UNKNOWN
        };
        let kept: Vec<(u32, u32)> = self.pairs.iter().filter(equal).copied().collect();
        let share = 1.0 - kept.len() as f64 / (self.pairs.len() as f64).max(1.0);
        (kept, share)
    }
}

fn firsts(places: &[Place]) -> Vec<u32> {
    (0..places.len() as u32).filter(|at| places[*at as usize].key.turn() == 0).collect()
}

/// From where to where a side went in the traffic of each tenant.
#[derive(Debug, Default)]
struct Reached(Vec<(Key, Key)>);

impl Reached {
    /// `firsts`: places of first turns, in order.
    fn of(places: &[Place], firsts: &[u32]) -> Reached {
        let keys = firsts.iter().map(|at| places[*at as usize].key);
        let mut reached: Vec<(Key, Key)> = Vec::new();
        for key in keys {
            match reached.last_mut() {
                Some(last) if last.0.tenant() == key.tenant() => last.1 = key,
                _ => reached.push((key, key)),
            }
        }
        Reached(reached)
    }

    /// What both went through.
    fn both(&self, other: &Reached) -> Reached {
        let of_both = |mine: &(Key, Key)| {
            let theirs = other.0.iter().find(|theirs| theirs.0.tenant() == mine.0.tenant())?;
            Some((mine.0.max(theirs.0), mine.1.min(theirs.1)))
        };
        Reached(self.0.iter().filter_map(of_both).collect())
    }

    fn has(&self, key: Key) -> bool {
        self.0.iter().any(|(first, last)| *first <= key && key <= *last)
    }
}

type Joined = Vec<(Option<u32>, Option<u32>)>;

/// Every key of either side, in order.
fn joined(a: &[Place], firsts_a: &[u32], b: &[Place], firsts_b: &[u32]) -> Joined {
    let (mut at, mut bt) = (firsts_a.iter().copied().peekable(), firsts_b.iter().copied().peekable());
    let mut both = Vec::with_capacity(firsts_a.len().max(firsts_b.len()));
    loop {
        let order = match (at.peek(), bt.peek()) {
            (None, None) => return both,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(one), Some(two)) => a[*one as usize].key.cmp(&b[*two as usize].key),
        };
        both.push(match order {
            std::cmp::Ordering::Less => (at.next(), None),
            std::cmp::Ordering::Greater => (None, bt.next()),
            std::cmp::Ordering::Equal => (at.next(), bt.next()),
        });
    }
}

type Counted = fn(&mut Unmatched) -> &mut u64;

/// Whether two requests of one number are the same request, and what is counted where they are not.
fn partner(a: &Place, b: &Place, open: bool) -> Result<(), Counted> {
    if a.asked != b.asked || open && (a.planned - b.planned).abs() > SAME_TIME_NS {
        return Err(|unmatched| &mut unmatched.asked_otherwise);
    }
    if !a.success || !b.success {
        return Err(|unmatched| &mut unmatched.failed);
    }
    // A server that does not tell has cached nothing that could be known.
    let told = |cached: u32| if cached == UNKNOWN { 0 } else { cached };
    if told(a.cached).abs_diff(told(b.cached)) > CACHE_BLOCK_TOKENS {
        return Err(|unmatched| &mut unmatched.cached_otherwise);
    }
    Ok(())
}

/// Conversations of several turns that both sides had in whole.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    /// Planned time of the first turn, milliseconds in all on either side, thinking apart.
    pub pairs: Vec<(i64, f32, f32)>,
    /// Those that both sides began, and that only one of them had in whole, or that went another way.
    pub unmatched: u64,
}

impl Sessions {
    /// Both sides sorted.
    pub fn of(a: &ComparedRows, b: &ComparedRows) -> Sessions {
        let (one, two) = (Session::all(a), Session::all(b));
        let mut theirs = two.iter().peekable();
        let mut both = Sessions::default();
        for session in &one {
            while theirs.peek().is_some_and(|other| other.of < session.of) {
                theirs.next();
            }
            let Some(other) = theirs.peek().filter(|other| other.of == session.of) else { continue };
            let whole = session.is_whole() && other.is_whole() && session.turns == other.turns;
            match session.turns.max(other.turns) {
                1 => {}
                _ if whole => both.pairs.push((session.planned, session.took, other.took)),
                _ => both.unmatched += 1,
            }
        }
        both
    }

    /// Whether they stand for all of them. Those of a closed loop are cut by its end.
    pub fn holds(&self, open: bool) -> bool {
        let all = self.pairs.len() as f64 + self.unmatched as f64;
        !self.pairs.is_empty() && (!open || self.unmatched as f64 <= UNMATCHED_MAX * all)
    }
}

/// How long a conversation took: the sum over its turns.
struct Session {
    of: (u32, u64),
    planned: i64,
    took: f32,
    turns: u32,
    /// The first of them may have been warm-up.
    begins: bool,
}

impl Session {
    fn all(rows: &ComparedRows) -> Vec<Session> {
        let e2el = rows.values(crate::stats::metric::Metric::E2el).unwrap_or(&[]);
        let mut sessions: Vec<Session> = Vec::new();
        for (place, took) in rows.places().iter().zip(e2el) {
            let of = place.key.session();
            match sessions.last_mut() {
                Some(last) if last.of == of => {
                    last.took += took;
                    last.turns += 1;
                }
                _ => {
                    let begins = place.key.turn() == 0;
                    sessions.push(Session { of, planned: place.planned, took: *took, turns: 1, begins });
                }
            }
        }
        sessions
    }

    /// A turn that failed has no time, and makes the sum none.
    fn is_whole(&self) -> bool {
        self.begins && self.took.is_finite()
    }
}

/// What each conversation of a side took that it had in whole, with the planned time of its first turn.
pub fn whole_sessions(rows: &ComparedRows) -> Vec<(i64, f32)> {
    let whole = Session::all(rows).into_iter().filter(|session| session.is_whole() && session.turns > 1);
    whole.map(|session| (session.planned, session.took)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Outcome, Record};
    use crate::stats::fixture::{FixtureReply, reply};
    use crate::stats::fold::Fold;

    fn side(replies: impl IntoIterator<Item = FixtureReply>) -> ComparedRows {
        let mut rows = ComparedRows::new(&[], (0, i64::MAX), 0);
        replies.into_iter().for_each(|reply| rows.add(&reply.record()));
        rows.sort();
        rows
    }

    fn request(seq: u64) -> FixtureReply {
        reply(seq, seq as i64 * 10).tokens_at(&[10, 20]).usage(8, 2).asked(8, 2)
    }

    #[test]
    fn the_same_requests_are_pairs_whatever_their_order() {
        let pairing = Pairing::of(&side((0..300).map(request)), &side((0..300).rev().map(request)));
        assert_eq!((pairing.pairs.len(), pairing.common, pairing.unmatched.all()), (300, 300, 0));
        assert!(pairing.open && pairing.holds());
    }

    #[test]
    fn each_reason_to_have_no_partner_is_counted() {
        let a = side((0..300).map(request));
        let b = side((0..299).map(|seq| match seq {
            0 => request(0).fails(Outcome::Truncated, "cut"),
            1 => request(1).asked(9, 2),
            2 => request(2).cached(17),
            3 => request(3).cached(16),
            4 => reply(4, 41).tokens_at(&[10, 20]).usage(8, 2).asked(8, 2),
            seq => request(seq),
        }));
        let pairing = Pairing::of(&a, &b);
        let unmatched = Unmatched { missing: 1, failed: 1, asked_otherwise: 2, cached_otherwise: 1 };
        assert_eq!((pairing.unmatched, pairing.common), (unmatched, 300));
        assert!(!pairing.holds(), "5 of 300 are more than 1 %");
    }

    #[test]
    fn of_a_closed_loop_the_common_finished_set_is_paired() {
        let closed = |pace: i64| {
            move |seq: u64| reply(seq, seq as i64 * pace).tokens_at(&[10, 20]).usage(8, 2).asked(8, 2)
        };
        let pairing = Pairing::of(&side((0..200).map(closed(10))), &side((0..180).map(closed(11))));
        assert_eq!((pairing.open, pairing.pairs.len(), pairing.beyond), (false, 180, [20, 0]));
        assert!(pairing.holds());
    }

    #[test]
    fn replies_of_other_lengths_are_no_pairs_for_what_grows_with_them() {
        let b = side((0..100).map(|seq| if seq < 10 { request(seq).usage(8, 3) } else { request(seq) }));
        let a = side((0..100).map(request));
        let (kept, left_out) = Pairing::of(&a, &b).equally_long(&a, &b);
        assert_eq!(kept.len(), 90);
        assert!((left_out - 0.1).abs() < 1e-12);
    }

    #[test]
    fn conversations_are_paired_whole_and_later_turns_never() {
        let turn = |seq: u64, turn: u32, took: u32| {
            let reply = request(seq).tokens_at(&[took]);
            let record: Record = reply.record();
            Record { turn, ..record }
        };
        let side = |took: u32, turns: u32| {
            let mut rows = ComparedRows::new(&[], (0, i64::MAX), 0);
            (0..5)
                .flat_map(|seq| (0..turns).map(move |number| turn(seq, number, took)))
                .for_each(|r| rows.add(&r));
            rows.sort();
            rows
        };
        let (a, b) = (side(30, 3), side(33, 3));
        let pairing = Pairing::of(&a, &b);
        assert_eq!((pairing.pairs.len(), pairing.later_turns), (5, 10));
        let sessions = Sessions::of(&a, &b);
        let sums: Vec<(f32, f32)> = sessions.pairs.iter().map(|(_, a, b)| (*a, *b)).collect();
        assert_eq!(sums, vec![(90.0, 99.0); 5]);
        assert!(sessions.holds(true));
        let shorter = Sessions::of(&a, &side(30, 2));
        assert_eq!((shorter.pairs.len(), shorter.unmatched), (0, 5), "they went another way");
        assert!(!shorter.holds(false));
        assert!(Sessions::of(&side(30, 1), &side(30, 1)).pairs.is_empty(), "these are no conversations");
    }

    #[test]
    fn a_conversation_that_warm_up_or_a_failure_cut_is_none() {
        let turn = |seq: u64, turn: u32, failed: bool| {
            let reply = request(seq).tokens_at(&[30]);
            let reply = if failed { reply.fails(Outcome::Truncated, "cut") } else { reply };
            Record { turn, ..reply.record() }
        };
        let side = |turns: &[(u64, u32, bool)]| {
            let mut rows = ComparedRows::new(&[], (0, i64::MAX), 0);
            turns.iter().for_each(|(seq, number, failed)| rows.add(&turn(*seq, *number, *failed)));
            rows.sort();
            rows
        };
        // The first turn of session 1 was warm-up, session 2 failed.
        let cut =
            side(&[(0, 0, false), (0, 1, false), (1, 1, false), (1, 2, false), (2, 0, false), (2, 1, true)]);
        let sessions = Sessions::of(&cut, &cut);
        assert_eq!((sessions.pairs.len(), sessions.unmatched), (1, 2));
        assert!(!sessions.holds(true) && sessions.holds(false));
        assert_eq!(whole_sessions(&cut).len(), 1);
    }

    #[test]
    fn requests_of_one_number_are_told_apart_by_tenant_turn_and_branch() {
        let whose = |seq: u64, tenant: Option<&str>, branch: Option<u32>| {
            let record = request(seq).record();
            Record { tenant: tenant.map(Into::into), branch, ..record }
        };
        let side = |records: Vec<Record>| {
            let mut rows = ComparedRows::new(&[], (0, i64::MAX), 0);
            records.iter().for_each(|record| rows.add(record));
            rows.sort();
            rows
        };
        let all = || {
            vec![
                whose(0, None, None),
                whose(0, Some("blue"), None),
                whose(0, Some("red"), None),
                whose(0, Some("red"), Some(0)),
                whose(0, Some("red"), Some(1)),
            ]
        };
        let a = side(all());
        let b = side(all().into_iter().rev().collect());
        let pairing = Pairing::of(&a, &b);
        assert_eq!((pairing.pairs.len(), pairing.unmatched.all()), (5, 0));
        let same = |pair: &(u32, u32)| a.places()[pair.0 as usize].key == b.places()[pair.1 as usize].key;
        assert!(pairing.pairs.iter().all(same));
        let without = Pairing::of(&a, &side(all().split_off(2)));
        assert_eq!((without.pairs.len(), without.unmatched.missing), (3, 2));
    }

    #[test]
    fn each_tenant_of_a_closed_loop_has_a_common_set_of_its_own() {
        let side = |pace: i64, blue: u64, red: u64| {
            let mut rows = ComparedRows::new(&[], (0, i64::MAX), 0);
            for (tenant, n) in [("blue", blue), ("red", red)] {
                for seq in 0..n {
                    let reply = reply(seq, seq as i64 * pace).tokens_at(&[10, 20]).usage(8, 2).asked(8, 2);
                    rows.add(&Record { tenant: Some(tenant.into()), ..reply.record() });
                }
            }
            rows.sort();
            rows
        };
        let pairing = Pairing::of(&side(10, 200, 80), &side(11, 180, 90));
        assert_eq!((pairing.open, pairing.pairs.len(), pairing.beyond), (false, 260, [20, 10]));
        assert!(pairing.holds());
    }
}
