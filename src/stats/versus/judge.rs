//! `Word`: what a difference with its interval comes to: better, worse, the same, or not to be told.

use super::change::Span;
use super::student::{critical, two_sided};
use crate::lang::Lang;
use crate::stats::metric::Better;

/// One side against the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    /// The whole interval lies beyond the margin, on the good side.
    Better,
    Worse,
    /// The whole interval lies within the margin.
    Same,
    Unclear,
}

impl Word {
    pub fn text(self, lang: Lang) -> &'static str {
        match self {
            Word::Better => lang.pick("better", "更好"),
            Word::Worse => lang.pick("worse", "更差"),
            Word::Same => lang.pick("same", "相同"),
            Word::Unclear => lang.pick("unclear", "不明"),
        }
    }
}

/// At most so many of a hundred comparisons of equals may call any row different.
pub const LEVEL: f64 = 0.05;

/// The word for a change (0: none) with its interval, by a margin that is as wide to both sides. A
/// difference that is told must have an `adjusted` chance below [`LEVEL`], too.
pub fn word(change: &Span, margin: f64, better: Better, adjusted: f64) -> Word {
    if change.low > margin || change.high < -margin {
        return match better {
            _ if adjusted >= LEVEL => Word::Unclear,
            Better::Lower if change.low > margin => Word::Worse,
            Better::Higher if change.high < -margin => Word::Worse,
            Better::Neither => Word::Unclear,
            _ => Word::Better,
        };
    }
    if change.low >= -margin && change.high <= margin { Word::Same } else { Word::Unclear }
}

/// The word for all rows together.
pub fn headline(words: &[Word]) -> Word {
    let any = |word: Word| words.contains(&word);
    match () {
        () if any(Word::Worse) => Word::Worse,
        () if any(Word::Better) => Word::Better,
        () if !words.is_empty() && words.iter().all(|word| *word == Word::Same) => Word::Same,
        () => Word::Unclear,
    }
}

/// Holm's step-down adjustment (1979): the chance that any row of so many is called different where none
/// is. In the order of the rows.
pub fn holm(chances: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|a, b| chances[*a].total_cmp(&chances[*b]));
    let mut adjusted = vec![1.0; chances.len()];
    let mut least: f64 = 0.0;
    for (rank, place) in order.into_iter().enumerate() {
        least = least.max(((chances.len() - rank) as f64 * chances[place]).min(1.0));
        adjusted[place] = least;
    }
    adjusted
}

/// The chance of an estimate at least so far from 0 where there is no difference, by Student's t: how
/// often the part of the interval towards 0 fits into its distance.
pub fn chance(span: &Span) -> f64 {
    let half = if span.value > 0.0 { span.value - span.low } else { span.high - span.value };
    match span.value.abs() {
        0.0 => 1.0,
        _ if half.is_nan() || half.is_infinite() => 1.0,
        distance if half <= 0.0 || distance / half > 1e6 => 0.0,
        distance => two_sided(distance / half * critical(span.freedom), span.freedom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(value: f64, low: f64, high: f64) -> Span {
        Span { value, low, high, freedom: 40.0 }
    }

    #[test]
    fn the_word_is_where_the_whole_interval_lies() {
        let lower = |low, high| word(&span((low + high) / 2.0, low, high), 0.03, Better::Lower, 0.001);
        assert_eq!(lower(0.09, 0.096), Word::Worse);
        assert_eq!(lower(-0.2, -0.1), Word::Better);
        assert_eq!(lower(-0.01, 0.02), Word::Same);
        assert_eq!(lower(0.01, 0.02), Word::Same, "a difference below the margin is none that matters");
        assert_eq!(lower(0.01, 0.08), Word::Unclear);
        assert_eq!(lower(-0.1, 0.1), Word::Unclear);
        let higher = |low, high| word(&span((low + high) / 2.0, low, high), 0.03, Better::Higher, 0.001);
        assert_eq!((higher(0.09, 0.1), higher(-0.1, -0.09)), (Word::Better, Word::Worse));
    }

    #[test]
    fn a_row_that_is_one_of_many_needs_more_than_its_own_interval() {
        assert_eq!(word(&span(0.09, 0.05, 0.13), 0.03, Better::Lower, 0.2), Word::Unclear);
    }

    #[test]
    fn one_worse_row_is_the_headline_and_one_unclear_row_is_no_sameness() {
        use Word::{Better, Same, Unclear, Worse};
        for (words, all) in [
            (vec![Same, Worse, Better], Worse),
            (vec![Same, Better, Unclear], Better),
            (vec![Same, Same], Same),
            (vec![Same, Unclear], Unclear),
            (vec![], Unclear),
        ] {
            assert_eq!(headline(&words), all, "{words:?}");
        }
    }

    #[test]
    fn holms_adjustment_is_that_of_the_textbook() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (value, wanted) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((value - wanted).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn chances_are_those_of_students_distribution() {
        // R: 2 * pt(-t, v)
        let cases = [
            (2.0, 2.0, 0.183_503),
            (4.302_65, 2.0, 0.05),
            (10.0, 2.0, 0.009_852),
            (2.5, 19.0, 0.021_740),
            (1.0, 60.0, 0.321_323),
        ];
        for (t, freedom, wanted) in cases {
            assert!(
                (two_sided(t, freedom) - wanted).abs() < 2e-5,
                "t {t}, {freedom}: {}",
                two_sided(t, freedom)
            );
        }
        assert!((chance(&span(0.1, 0.0, 0.2)) - 0.05).abs() < 1e-3, "an interval that ends at 0");
        assert_eq!(chance(&span(0.0, -0.1, 0.1)), 1.0);
        assert_eq!(chance(&span(0.1, 0.1, 0.1)), 0.0);
    }
}
