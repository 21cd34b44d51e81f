//! `Pairing`: the requests of two runs that are one and the same request.
//!
//! Two runs with the same traffic ask the same lengths at the same times, so that B/A can be computed
//! request by request: what chance does to the load is the same on both sides and falls out.

use super::rows::{ComparedRows, Place, UNKNOWN};

/// Above this share of requests without a partner the others are a selection.
pub const UNMATCHED_MAX: f64 = 0.01;

/// Cached tokens of one and the same prompt may differ by a block of the server's cache.
const CACHE_BLOCK_TOKENS: u32 = 16;

/// Planned times of an open loop are the same but for the last bit of a logarithm.
const SAME_TIME_NS: i64 = 2_000;

/// The requests of two runs, matched by their numbers.
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
        let last = |places: &[Place], firsts: &[u32]| firsts.last().map(|at| places[*at as usize].key);
        let first = |places: &[Place], firsts: &[u32]| firsts.first().map(|at| places[*at as usize].key);
        let (last_a, last_b) = (last(a.places(), &firsts_a), last(b.places(), &firsts_b));
        let (first_a, first_b) = (first(a.places(), &firsts_a), first(b.places(), &firsts_b));
        let within =
            |key: u64| pairing.open || (Some(key) <= last_a.min(last_b) && Some(key) >= first_a.max(first_b));
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
    (0..places.len() as u32).filter(|at| places[*at as usize].turn() == 0).collect()
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

/// How long each conversation took, thinking apart: the sum over its turns, for sessions of several
/// turns that both sides finished. With the planned time of its first turn.
pub fn sessions(a: &ComparedRows, b: &ComparedRows) -> Vec<(i64, f32, f32)> {
    let (one, two) = (whole_sessions(a), whole_sessions(b));
    let mut theirs = two.iter().peekable();
    let mut both = Vec::new();
    for (session, planned, took, turns) in &one {
        while theirs.peek().is_some_and(|other| other.0 < *session) {
            theirs.next();
        }
        if let Some((_, _, other, _)) = theirs.peek().filter(|other| other.0 == *session && other.3 == *turns)
        {
            both.push((*planned, *took, *other));
        }
    }
    both
}

/// Session, planned time, milliseconds in all, turns; of those that succeeded to the end.
fn whole_sessions(rows: &ComparedRows) -> Vec<(u64, i64, f32, u16)> {
    let e2el = rows.values(crate::stats::metric::Metric::E2el).unwrap_or(&[]);
    let mut sessions: Vec<(u64, i64, f32, u16)> = Vec::new();
    for (place, took) in rows.places().iter().zip(e2el) {
        match sessions.last_mut() {
            Some(last) if last.0 == place.session() => {
                last.2 += took;
                last.3 += 1;
            }
            _ => sessions.push((place.session(), place.planned, *took, 1)),
        }
    }
    // A turn that failed has no time, and makes the sum none.
    sessions.retain(|session| session.2.is_finite());
    sessions
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
        let sums: Vec<(f32, f32)> = sessions(&a, &b).iter().map(|(_, a, b)| (*a, *b)).collect();
        assert_eq!(sums, vec![(90.0, 99.0); 5]);
        assert!(sessions(&a, &side(30, 2)).is_empty(), "they went another way");
    }
}
