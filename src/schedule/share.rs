//! `Share`: what one of several processes takes of a load that they carry together.
//!
//! Everything random depends on a slot's number and never on who sends it, so a load is divided by
//! its slots. Places are dealt to the processes like cards, and slots to the places: slot `s` is
//! place `s mod places`'s, and place `p` is process `p mod ranks`'s.
//!
//! In a closed loop of one process the place that comes free first takes the next slot, so which
//! place asks what depends on the replies, though what is asked, and in which order, does not. Several
//! processes do not know of each other's places: if whoever is free took the next slot, what each of
//! them asks would hang on the other's replies. As they are dealt here, each has the requests of its
//! places, in the order of their numbers, whatever comes back; one process alone has all of them, in
//! that same order, and with as many processes as places each place has its own.

/// One of several processes that carry a load together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    rank: u64,
    ranks: u64,
}

/// The slots of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deal {
    share: Share,
    /// Those of all processes together; `None`: requests in flight are not limited.
    places: Option<u64>,
}

impl Share {
    /// One process carries it alone.
    pub const WHOLE: Share = Share { rank: 0, ranks: 1 };

    /// Process `rank` of `ranks`, counted from 0. `None`: there is no such process.
    #[allow(dead_code, reason = "one process is the only user so far")]
    pub fn new(rank: u32, ranks: u32) -> Option<Share> {
        (rank < ranks).then_some(Share { rank: rank.into(), ranks: ranks.into() })
    }

    /// How many of so many places are its own. Those of all processes add up to all places.
    pub fn of(&self, places: u64) -> u64 {
        (places + self.ranks - 1 - self.rank) / self.ranks
    }

    fn owns(&self, place: u64) -> bool {
        place % self.ranks == self.rank
    }
}

impl Deal {
    /// The slots of `share` in a load of so many places in all.
    pub fn new(share: Share, places: Option<usize>) -> Deal {
        Deal { share, places: places.map(|places| places as u64) }
    }

    /// Whether this slot of the whole load is its own.
    pub fn owns(&self, seq: u64) -> bool {
        self.share.owns(self.places.map_or(seq, |places| seq % places))
    }

    /// How many of the first so many slots of the whole load are its own. Those of all processes
    /// add up to all.
    pub fn of(&self, slots: u64) -> u64 {
        match self.places {
            Some(places) => (slots / places) * self.share.of(places) + self.share.of(slots % places),
            None => self.share.of(slots),
        }
    }

    /// There are more processes than places, and it has none.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_some_and(|places| self.share.of(places) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Slot;
    use crate::schedule::{Growth, Process, Schedule, Shape};

    const RANKS: [u32; 5] = [1, 2, 3, 5, 8];

    fn shares(ranks: u32) -> impl Iterator<Item = Share> {
        (0..ranks).filter_map(move |rank| Share::new(rank, ranks))
    }

    /// Every kind of shape, with the places that it may have.
    fn shapes() -> Vec<(Shape, Vec<Option<usize>>)> {
        let mut shapes = vec![(Shape::AtOnce, vec![None, Some(1), Some(7)])];
        for process in [Process::Poisson, Process::Even, Process::Gamma { cv: 2.0 }] {
            let steps = vec![(20.0, 3.0), (0.0, 1.0), (50.0, 2.0)];
            let growth = Growth::Exponential;
            let open = [
                Shape::Rate { per_second: 25.0, process },
                Shape::Ramp { from: 5.0, to: 60.0, over: 4.0, process },
                Shape::RampUp { from: 5.0, to: 60.0, requests: 90, growth, process },
                Shape::Steps { steps, process },
            ];
            let sampled = Shape::Sampled { rates: (0..40).map(f64::from).collect(), over: 4.0, process };
            let combined = [
                sampled.clone().plus(open[0].clone()).expect("open"),
                sampled.clone().then(open[3].clone()).expect("it ends"),
                sampled,
            ];
            shapes.extend(combined.map(|shape| (shape, vec![None, Some(1), Some(5)])));
            shapes.extend(open.map(|shape| (shape, vec![None, Some(1), Some(5), Some(64)])));
        }
        for (places, from, over) in [(1, 1, 0.0), (4, 4, 0.0), (7, 2, 5.0), (64, 64, 0.0)] {
            let cap = places.min(3);
            shapes.push((Shape::Closed { places, from, over }, vec![Some(places), Some(cap)]));
        }
        shapes
    }

    #[test]
    fn the_slots_of_all_processes_are_those_of_one_exactly() {
        const SLOTS: usize = 150;
        for (shape, places) in shapes() {
            for places in places {
                let whole: Vec<Slot> = shape.schedule(7, "all").take(SLOTS).collect();
                for ranks in RANKS {
                    let mut dealt: Vec<Slot> = Vec::new();
                    for share in shares(ranks) {
                        let deal = Deal::new(share, places);
                        let own = Schedule::dealt(shape.schedule(7, "all"), deal)
                            .take_while(|slot| slot.seq < SLOTS as u64);
                        let own: Vec<Slot> = own.collect();
                        assert_eq!(own.len() as u64, deal.of(whole.len() as u64), "{shape} {deal:?}");
                        assert!(own.is_sorted_by_key(|slot| slot.seq), "in their order");
                        dealt.extend(own);
                    }
                    dealt.sort_by_key(|slot| slot.seq);
                    assert_eq!(dealt, whole, "{shape} of {places:?} places over {ranks}");
                }
            }
        }
    }

    #[test]
    fn every_count_is_divided_without_a_rest() {
        for ranks in RANKS {
            for n in (0..70).chain([1_000_003]) {
                assert_eq!(shares(ranks).map(|share| share.of(n)).sum::<u64>(), n);
                let counts: Vec<u64> = shares(ranks).map(|share| share.of(n)).collect();
                assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
                for places in [None, Some(1), Some(3), Some(8), Some(50)] {
                    let of = |share| Deal::new(share, places).of(n);
                    assert_eq!(shares(ranks).map(of).sum::<u64>(), n, "{places:?}");
                }
            }
        }
    }

    #[test]
    fn with_as_many_processes_as_places_each_has_every_so_many_th_slot() {
        for (share, first) in shares(5).zip(0..) {
            let deal = Deal::new(share, Some(5));
            let own: Vec<u64> = (0..20).filter(|seq| deal.owns(*seq)).collect();
            assert_eq!(own, [first, first + 5, first + 10, first + 15]);
        }
    }

    #[test]
    fn a_process_without_a_place_has_nothing_to_do_and_one_alone_has_all() {
        let shape = Shape::Closed { places: 2, from: 2, over: 0.0 };
        let deal = Deal::new(Share::new(2, 3).expect("the last"), Some(2));
        assert_eq!((shape.schedule(0, "a").dealt(deal).next(), deal.of(1_000)), (None, 0));
        let alone = Deal::new(Share::WHOLE, Some(2));
        assert!((0..100).all(|seq| alone.owns(seq)));
        assert_eq!(alone.of(u64::MAX), u64::MAX);
        assert_eq!(Share::new(3, 3), None);
        assert_eq!(Share::new(0, 1), Some(Share::WHOLE));
    }
}
