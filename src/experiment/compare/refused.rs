//! `Refused`: what must not be compared, since it is not the same thing on both sides.

use crate::stats::metric::Metric;
use crate::stats::versus::rows::Habits;

/// What is not compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Refused {
    /// Gaps between events, since an event holds other numbers of tokens.
    Events(f64, f64),
    /// All that grows with a reply, since only one side kept the lengths that it was forced to; the first?
    Lengths(bool),
}

/// Tokens in an event may differ by this much.
const SAME_EVENTS: f64 = 0.01;

impl Refused {
    pub fn of([a, b]: &[Habits; 2]) -> Option<Refused> {
        let (kept_a, kept_b) = (a.keeps_forced_lengths(), b.keeps_forced_lengths());
        if kept_a != kept_b && a.forced + b.forced > 0 {
            return Some(Refused::Lengths(kept_a));
        }
        let (one, two) = (a.tokens_an_event()?, b.tokens_an_event()?);
        ((two / one - 1.0).abs() > SAME_EVENTS).then_some(Refused::Events(one, two))
    }

    /// Whether a number is left out. What is good depends on what its `limits` are on.
    pub fn has(self, metric: Metric, limits: &[Metric]) -> bool {
        if metric == Metric::Goodput {
            return limits.iter().any(|limit| self.has(*limit, &[]));
        }
        let gaps = matches!(metric, Metric::Itl | Metric::ItlRequest | Metric::Stall);
        match self {
            Refused::Events(..) => gaps,
            Refused::Lengths(_) => {
                gaps || matches!(
                    metric,
                    Metric::ItlToken
                        | Metric::Tpot
                        | Metric::Ntpot
                        | Metric::E2el
                        | Metric::ResponseE2el
                        | Metric::OutputTpsPerUser
                        | Metric::OutputTokens
                        | Metric::TotalTokens
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn habits(tokens: u64, forced_kept: u64) -> Habits {
        Habits {
            requests: 100,
            successes: 100,
            tokens,
            events: 1_000,
            forced: 100,
            forced_kept,
            asked: [0; 2],
        }
    }

    #[test]
    fn gaps_are_refused_where_events_hold_other_numbers_of_tokens() {
        assert_eq!(Refused::of(&[habits(1_000, 100), habits(1_009, 100)]), None);
        let refused = Refused::of(&[habits(1_000, 100), habits(2_000, 100)]).unwrap();
        assert_eq!(refused, Refused::Events(1.0, 2.0));
        assert!(refused.has(Metric::Itl, &[]) && !refused.has(Metric::Tpot, &[]));
    }

    #[test]
    fn what_grows_with_a_reply_is_refused_where_one_side_kept_forced_lengths() {
        let refused = Refused::of(&[habits(1_000, 100), habits(1_000, 50)]).unwrap();
        assert_eq!(refused, Refused::Lengths(true));
        for (metric, left_out) in [(Metric::E2el, true), (Metric::Itl, true), (Metric::Ttft, false)] {
            assert_eq!(refused.has(metric, &[]), left_out);
            assert_eq!(refused.has(Metric::Goodput, &[Metric::Ttft, metric]), left_out);
        }
        let free = Habits { forced: 0, ..habits(1_000, 0) };
        assert_eq!(Refused::of(&[free, free]), None);
        assert_eq!(Refused::of(&[habits(1_000, 100), free]), Some(Refused::Lengths(true)));
    }
}
