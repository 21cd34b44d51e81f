//! `Weighed`: a distribution as its different values and how often each occurs.

/// Values in order, each with the number of values up to and with it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weighed {
    values: Vec<(f64, u64)>,
}

impl Weighed {
    /// The next greater value, so many times.
    pub fn push(&mut self, value: f64, times: u64) {
        match self.values.last_mut() {
            _ if times == 0 => {}
            Some(last) if last.0 >= value => last.1 += times,
            last => {
                let before = last.map_or(0, |last| last.1);
                self.values.push((value, before + times));
            }
        }
    }

    pub fn count(&self) -> u64 {
        self.values.last().map_or(0, |last| last.1)
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn min(&self) -> Option<f64> {
        self.values.first().map(|first| first.0)
    }

    pub fn max(&self) -> Option<f64> {
        self.values.last().map(|last| last.0)
    }

    /// The value of a rank from 0, and how many values are not greater.
    pub fn at(&self, rank: u64) -> Option<(f64, u64)> {
        self.values.get(self.values.partition_point(|value| value.1 <= rank)).copied()
    }

    /// The value below which this share of all lies, between the two nearest. `None`: no values.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let place = share * self.count().checked_sub(1)? as f64;
        let (below, above) = (self.at(place.floor() as u64)?.0, self.at(place.ceil() as u64)?.0);
        Some(below + (above - below) * place.fract())
    }

    /// Every value, and how often it occurs.
    pub fn each(&self) -> impl Iterator<Item = (f64, u64)> {
        let before = std::iter::once(0).chain(self.values.iter().map(|value| value.1));
        self.values.iter().zip(before).map(|((value, upto), before)| (*value, upto - before))
    }

    /// No value below `least`: those count as it.
    pub fn at_least(&self, least: f64) -> Weighed {
        self.each().fold(Weighed::default(), |mut raised, (value, times)| {
            raised.push(value.max(least), times);
            raised
        })
    }
}

impl FromIterator<f64> for Weighed {
    /// From values in any order; what is no number is left out.
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Weighed {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.into_iter().fold(Weighed::default(), |mut weighed, value| {
            weighed.push(value, 1);
            weighed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_quantiles_are_those_of_the_sorted_values() {
        let weighed: Weighed = [3.0, 1.0, 2.0, 1.0, f64::NAN].into_iter().collect();
        assert_eq!((weighed.count(), weighed.min(), weighed.max()), (4, Some(1.0), Some(3.0)));
        assert_eq!(
            [0, 1, 2, 3, 4].map(|rank| weighed.at(rank)),
            [Some((1.0, 2)), Some((1.0, 2)), Some((2.0, 3)), Some((3.0, 4)), None]
        );
        assert_eq!([0.0, 0.5, 1.0].map(|share| weighed.quantile(share)), [Some(1.0), Some(1.5), Some(3.0)]);
        assert_eq!(weighed.each().collect::<Vec<_>>(), [(1.0, 2), (2.0, 1), (3.0, 1)]);
        assert_eq!(Weighed::default().quantile(0.5), None);
    }

    #[test]
    fn small_values_are_raised_to_the_least() {
        let weighed: Weighed = [0.0, 0.5, 2.0].into_iter().collect();
        assert_eq!(weighed.at_least(1.0).each().collect::<Vec<_>>(), [(1.0, 2), (2.0, 1)]);
    }
}
