//! `Thinned`: an even part of very many things.

/// Things with a number each, at most so many of them: when there are more, those whose scattered
/// number a mask lets through. Which ones these are does not depend on the order in which they come, and
/// a pattern in the numbers (every fourth request is of another class) is none in them.
#[derive(Debug, Clone)]
pub struct Thinned<T> {
    most: usize,
    mask: u64,
    kept: Vec<(u64, T)>,
    count: u64,
}

impl<T> Thinned<T> {
    pub fn at_most(most: usize) -> Thinned<T> {
        Thinned { most, mask: 0, kept: Vec::new(), count: 0 }
    }

    pub fn add(&mut self, number: u64, thing: T) {
        self.count += 1;
        let scattered = mix(number);
        if scattered & self.mask == 0 {
            self.kept.push((scattered, thing));
            self.thin();
        }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Those that were kept, in no order.
    pub fn kept(&self) -> impl Iterator<Item = &T> {
        self.kept.iter().map(|(_, thing)| thing)
    }

    pub fn merge(&mut self, other: Thinned<T>) {
        self.count += other.count;
        self.mask |= other.mask;
        self.kept.extend(other.kept);
        self.kept.retain(|(scattered, _)| scattered & self.mask == 0);
        self.thin();
    }

    fn thin(&mut self) {
        // With all bits set nothing can be told apart any more.
        while self.kept.len() > self.most && self.mask != u64::MAX {
            self.mask = self.mask << 1 | 1;
            self.kept.retain(|(scattered, _)| scattered & self.mask == 0);
        }
    }
}

/// Scatters a number: the last steps of SplitMix64.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thinned(numbers: impl Iterator<Item = u64>) -> Thinned<u64> {
        let mut thinned = Thinned::at_most(1_000);
        numbers.for_each(|number| thinned.add(number, number));
        thinned
    }

    fn kept(thinned: &Thinned<u64>) -> Vec<u64> {
        let mut kept: Vec<u64> = thinned.kept().copied().collect();
        kept.sort_unstable();
        kept
    }

    #[test]
    fn up_to_the_bound_everything_is_kept() {
        let all = thinned(0..1_000);
        assert_eq!((kept(&all).len(), all.count()), (1_000, 1_000));
    }

    #[test]
    fn the_same_things_are_kept_in_any_order_and_from_any_parts() {
        let all = thinned(0..100_000);
        let mut merged = thinned((0..100_000).rev().filter(|number| number % 3 == 0));
        merged.merge(thinned((0..100_000).filter(|number| number % 3 == 2)));
        merged.merge(thinned((0..100_000).filter(|number| number % 3 == 1)));
        assert_eq!((kept(&all), all.count()), (kept(&merged), merged.count()));
        assert!((500..=1_000).contains(&kept(&all).len()), "{}", kept(&all).len());
    }

    #[test]
    fn a_pattern_in_the_numbers_is_none_in_those_that_are_kept() {
        let even = kept(&thinned(0..100_000)).iter().filter(|number| *number % 4 == 0).count();
        let share = even as f64 / kept(&thinned(0..100_000)).len() as f64;
        assert!((share - 0.25).abs() < 0.06, "{share}");
    }
}
