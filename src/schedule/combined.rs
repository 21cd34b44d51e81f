//! `Sum` and `Chain`: several open shapes at the same time, or one after the other.

use super::Source;
use super::check::nanos;
use crate::record::{Due, Nanos};

/// Superposition: each part has arrivals of its own, as if it were alone.
#[derive(Debug, Clone)]
pub(super) struct Sum {
    /// The next arrival of each part, and what comes after it.
    parts: Vec<(Option<Nanos>, Source)>,
}

impl Sum {
    pub(super) fn new(parts: Vec<Source>) -> Sum {
        let first = |mut part: Source| (part.next_at(), part);
        Sum { parts: parts.into_iter().map(first).collect() }
    }

    /// Of two at the same time, the one of the earlier part comes first.
    pub(super) fn next(&mut self) -> Option<Nanos> {
        let (at, index) =
            self.parts.iter().enumerate().filter_map(|(index, (at, _))| Some(((*at)?, index))).min()?;
        let (next, part) = &mut self.parts[index];
        *next = part.next_at();
        Some(at)
    }
}

/// One part after the other: a part begins when the one before it has had its time.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    /// When each part begins.
    parts: Vec<(Nanos, Source)>,
    now: usize,
}

impl Chain {
    /// Of parts with their lengths in seconds; that of the last one is not asked.
    pub(super) fn new(parts: Vec<(Source, Option<f64>)>) -> Chain {
        let mut start = 0.0;
        let begins = |(part, length): (Source, Option<f64>)| {
            let begin = nanos(start);
            start += length.unwrap_or(0.0);
            (begin, part)
        };
        Chain { parts: parts.into_iter().map(begins).collect(), now: 0 }
    }

    pub(super) fn next(&mut self) -> Option<Nanos> {
        loop {
            let (begin, part) = self.parts.get_mut(self.now)?;
            match part.next_at() {
                Some(at) => return Some(*begin + at),
                None => self.now += 1,
            }
        }
    }
}

impl Source {
    /// The next arrival of an open shape.
    fn next_at(&mut self) -> Option<Nanos> {
        // An open shape does not ask for the number of its slot.
        match self.next(0)? {
            Due::At(at) => Some(at),
            Due::Free { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::schedule::tests::times;
    use crate::schedule::{Process, Shape};

    fn rate(per_second: f64, process: Process) -> Shape {
        Shape::Rate { per_second, process }
    }

    fn steps(steps: &[(f64, f64)], process: Process) -> Shape {
        Shape::Steps { steps: steps.to_vec(), process }
    }

    fn first(shape: &Shape, count: usize) -> Vec<f64> {
        assert_eq!(shape.check(), Ok(()));
        shape.schedule(0, "parts").take(count).map(|slot| crate::schedule::tests::at(slot.due)).collect()
    }

    #[test]
    fn a_sum_has_the_arrivals_of_each_part_and_the_first_part_keeps_its_own() {
        let (base, crowd) = (rate(20.0, Process::Poisson), steps(&[(0.0, 1.0), (80.0, 1.0)], Process::Even));
        let sum = base.clone().plus(crowd.clone()).expect("open shapes");
        let seen = first(&sum, 200);
        assert!(seen.is_sorted());
        let alone = first(&base, 100);
        assert!(alone.iter().filter(|at| **at < 2.0).all(|at| seen.contains(at)), "as if it were alone");
        let crowd_alone = first(&crowd, 100);
        assert_eq!(crowd_alone.len(), 80);
        assert!(crowd_alone.iter().all(|at| seen.contains(at)));
    }

    #[test]
    fn two_parts_of_the_same_process_draw_different_arrivals() {
        let one = || rate(50.0, Process::Poisson);
        let sum = one().plus(one()).expect("open").plus(one()).expect("open");
        let Shape::Sum(parts) = &sum else { panic!("{sum}") };
        assert_eq!(parts.len(), 3, "a sum of a sum is one sum");
        let seen = first(&sum, 3_000);
        assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
        assert!((seen[2_999] - 20.0).abs() < 1.5, "three times the rate: {}", seen[2_999]);
        // Superposed Poisson processes are one: gaps have the variation of an exponential.
        let gaps: Vec<f64> = seen.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.1);
    }

    #[test]
    fn what_follows_begins_when_the_part_before_has_had_its_time() {
        let quiet = steps(&[(2.0, 1.0), (0.0, 1.0)], Process::Even);
        let chain = quiet.clone().then(quiet.clone()).expect("it ends").then(rate(4.0, Process::Even));
        let chain = chain.expect("both end");
        assert_eq!(chain.length(), None, "the last part is endless");
        assert_eq!(first(&chain, 7), [0.0, 0.5, 2.0, 2.5, 4.0, 4.25, 4.5]);
        let ended = quiet.clone().then(quiet).expect("it ends");
        assert_eq!((ended.length(), times(&ended).len()), (Some(4.0), 4));
    }

    #[test]
    fn parts_of_parts_keep_their_order_and_their_lengths() {
        let one = || steps(&[(10.0, 2.0)], Process::Even);
        let long = steps(&[(1.0, 5.0)], Process::Even);
        let sum = one().plus(long).expect("open");
        assert_eq!(sum.length(), Some(5.0), "the longest part");
        let both = sum.then(one()).expect("it ends");
        let seen = times(&both);
        assert!(seen.is_sorted());
        assert_eq!((seen.len(), both.length()), (45, Some(7.0)));
        assert_eq!(one().plus(rate(1.0, Process::Even)).expect("open").length(), None);
        assert_eq!((both.peak(), both.level()), (11.0, None));
        assert_eq!(
            rate(1.0, Process::Even).plus(rate(2.5, Process::Poisson)).expect("open").level(),
            Some(3.5)
        );
    }

    #[test]
    fn what_cannot_be_combined_is_a_sentence() {
        let closed = Shape::Closed { places: 4, from: 4, over: 0.0 };
        let even = || rate(1.0, Process::Even);
        let told =
            "closed, 4 users: users that wait for their replies cannot be put together with other shapes";
        assert_eq!(even().plus(closed.clone()), Err(told.into()));
        assert_eq!(closed.then(even()), Err(told.into()));
        assert_eq!(
            Shape::AtOnce.plus(even()),
            Err("all at once: it has no end and no rate, and cannot be put together with other shapes".into())
        );
        assert_eq!(
            even().then(even()),
            Err("even, 1 per second: it never ends, so that nothing comes after it; steps([[rate, time]]) and \
                 ramp(from, to, time) end"
                .into())
        );
    }
}
