//! `Closed`: a number of users, each sends, waits for the reply, and sends again.

use super::check::{nanos, zero_or_above};
use crate::record::Due;

#[derive(Debug, Clone, Copy)]
pub(super) struct Closed {
    pub(super) places: usize,
    pub(super) from: usize,
    pub(super) over: f64,
}

impl Closed {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.places == 0 {
            return Err("a closed load needs at least 1 user, got 0".into());
        }
        if self.from > self.places {
            return Err(format!(
                "a closed load cannot start with {} users when it has {}",
                self.from, self.places
            ));
        }
        zero_or_above("the time in which the users start", self.over)
    }

    /// The first request of each place starts the place; the others wait for a free one.
    pub(super) fn due(&self, seq: u64) -> Due {
        if seq >= self.places as u64 {
            return Due::Free { think: 0 };
        }
        let late = (seq + 1).saturating_sub(self.from as u64);
        if late == 0 {
            return Due::At(0);
        }
        let rest = (self.places - self.from) as f64;
        Due::At(nanos(self.over * late as f64 / rest))
    }
}

#[cfg(test)]
mod tests {
    use crate::record::Due;
    use crate::schedule::Shape;

    fn dues(places: usize, from: usize, over: f64) -> Vec<Due> {
        let shape = Shape::Closed { places, from, over };
        assert_eq!(shape.check(), Ok(()));
        shape.schedule(0, "closed").take(places + 2).map(|slot| slot.due).collect()
    }

    #[test]
    fn all_places_start_at_once_without_a_ramp() {
        let free = Due::Free { think: 0 };
        assert_eq!(dues(3, 3, 0.0), [Due::At(0), Due::At(0), Due::At(0), free, free]);
        assert_eq!(dues(2, 0, 0.0), [Due::At(0), Due::At(0), free, free]);
    }

    #[test]
    fn the_other_places_start_evenly_and_the_last_at_the_end() {
        let free = Due::Free { think: 0 };
        let second = 1_000_000_000;
        assert_eq!(
            dues(6, 2, 8.0),
            [0, 0, 2 * second, 4 * second, 6 * second, 8 * second]
                .map(Due::At)
                .into_iter()
                .chain([free, free])
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn bad_places_are_named_in_a_sentence() {
        let check = |places, from, over| Shape::Closed { places, from, over }.check();
        assert_eq!(check(0, 0, 0.0), Err("a closed load needs at least 1 user, got 0".into()));
        assert_eq!(check(2, 3, 1.0), Err("a closed load cannot start with 3 users when it has 2".into()));
        assert_eq!(
            check(2, 1, f64::NAN),
            Err("the time in which the users start must be a number, got NaN".into())
        );
    }

    #[test]
    fn a_closed_shape_has_places_and_no_length() {
        let shape = Shape::Closed { places: 4, from: 4, over: 0.0 };
        assert_eq!((shape.places(), shape.length()), (Some(4), None));
    }
}
