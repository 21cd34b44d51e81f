//! `Limits`: how long a reply may take, and what it means when it takes longer. Pure.
//!
//! A limit is passed at its time whatever arrives meanwhile: a reply is looked at after each read
//! and, when it is silent, by the clock.

use super::exchange::ExchangeFault;
use super::target::Timeouts;
use crate::record::{Nanos, Outcome, Timeout};

/// How long the body may stay open behind a reply that has said everything.
pub const GRACE: Nanos = 500_000_000;

/// The limits of one target, nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    first_token: Nanos,
    idle: Nanos,
    total: Nanos,
}

/// Its user has hung up at `at`.
pub fn left(at: Nanos) -> ExchangeFault {
    ExchangeFault { at: Some(at), ..ExchangeFault::new(Outcome::UserCancelled, "its user hung up") }
}

/// How far one reply has come. Times are absolute.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplyTimes {
    /// The request began to leave, or is due.
    pub sent: Nanos,
    /// The latest event once there was output, or the latest byte of a reply in one piece.
    pub latest: Option<Nanos>,
    /// Everything was said: every finish reason, and `[DONE]`.
    pub whole: Option<Nanos>,
    /// When its user hangs up, as it stands.
    pub left: Option<Nanos>,
}

/// What the end of the wait means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Late(Timeout),
    /// Its user has hung up.
    Left,
    /// The reply is whole, and only its body has no end.
    Whole,
}

impl Limits {
    pub fn new(timeouts: &Timeouts) -> Limits {
        Limits {
            first_token: nanos(timeouts.first_token),
            idle: nanos(timeouts.idle),
            total: nanos(timeouts.total),
        }
    }

    /// The shortest of them.
    pub fn shortest(&self) -> Nanos {
        self.first_token.min(self.idle).min(self.total)
    }

    /// Until when the reply may take as it stands, and what it means when it takes longer.
    pub fn deadline(&self, course: &ReplyTimes) -> (Nanos, Over) {
        if let Some(whole) = course.whole {
            return (whole.saturating_add(GRACE), Over::Whole);
        }
        let total = course.sent.saturating_add(self.total);
        let (next, limit) = match course.latest {
            Some(latest) => (latest.saturating_add(self.idle), Timeout::Idle),
            None => (course.sent.saturating_add(self.first_token), Timeout::FirstToken),
        };
        let late =
            if next <= total { (next, Over::Late(limit)) } else { (total, Over::Late(Timeout::Total)) };
        course.left.filter(|left| *left <= late.0).map_or(late, |left| (left, Over::Left))
    }

    /// A limit was passed, which was noticed at `now`.
    pub fn fault(&self, limit: Timeout, sent: Nanos, now: Nanos) -> ExchangeFault {
        let (name, time) = match limit {
            Timeout::Connect => unreachable!("connecting is over before a reply is waited for"),
            Timeout::FirstToken => ("first-token", self.first_token),
            Timeout::Idle => ("idle", self.idle),
            Timeout::Total => ("total", self.total),
        };
        let (time, after) = (time as f64 / 1e9, (now - sent) as f64 / 1e9);
        let text = format!("the {name} timeout of {time} s was over {after:.3} s after the send");
        ExchangeFault { at: Some(now), ..ExchangeFault::new(Outcome::TimedOut(limit), text) }
    }
}

fn nanos(duration: std::time::Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const S: Nanos = 1_000_000_000;

    fn limits(first_token: u64, idle: u64, total: u64) -> Limits {
        Limits::new(&Timeouts {
            first_token: Duration::from_secs(first_token),
            idle: Duration::from_secs(idle),
            total: Duration::from_secs(total),
            ..Timeouts::default()
        })
    }

    #[test]
    fn the_limit_that_counts_is_the_next_one_to_be_passed() {
        use Over::{Late, Whole};
        let sent = 100 * S;
        for (latest, whole, deadline) in [
            (None, None, (110 * S, Late(Timeout::FirstToken))),
            (Some(103 * S), None, (108 * S, Late(Timeout::Idle))),
            (Some(126 * S), None, (130 * S, Late(Timeout::Total))),
            (Some(103 * S), Some(103 * S), (103 * S + GRACE, Whole)),
            (Some(129 * S), Some(130 * S), (130 * S + GRACE, Whole)),
        ] {
            let course = ReplyTimes { sent, latest, whole, left: None };
            assert_eq!(limits(10, 5, 30).deadline(&course), deadline, "{course:?}");
        }
        let course = ReplyTimes { sent, ..ReplyTimes::default() };
        assert_eq!(limits(60, 5, 30).deadline(&course), (130 * S, Late(Timeout::Total)));
        assert_eq!(limits(60, 5, 30).shortest(), 5 * S);
        let endless = Limits { first_token: Nanos::MAX, idle: Nanos::MAX, total: Nanos::MAX };
        assert_eq!(endless.deadline(&course).0, Nanos::MAX);
    }

    #[test]
    fn a_user_who_hangs_up_before_a_limit_is_gone_by_then() {
        let course = |left| ReplyTimes { sent: 100 * S, left: Some(left), ..ReplyTimes::default() };
        let limits = limits(10, 5, 30);
        assert_eq!(limits.deadline(&course(104 * S)), (104 * S, Over::Left));
        assert_eq!(limits.deadline(&course(111 * S)), (110 * S, Over::Late(Timeout::FirstToken)));
        let whole = ReplyTimes { whole: Some(103 * S), ..course(104 * S) };
        assert_eq!(limits.deadline(&whole).1, Over::Whole);
    }

    #[test]
    fn a_limit_that_was_passed_says_which_and_when() {
        let fault = limits(10, 5, 30).fault(Timeout::Idle, 100 * S, 107 * S + 250_000_000);
        assert_eq!(fault.text, "the idle timeout of 5 s was over 7.250 s after the send");
        assert_eq!(
            (fault.outcome, fault.at),
            (Outcome::TimedOut(Timeout::Idle), Some(107 * S + 250_000_000))
        );
    }
}
