//! `Bound`: how long the reply to a first request may take, and which limit of the user's says so.
//! Pure.

use crate::client::target::Timeouts;
use crate::record::Timeout;
use std::time::Duration;

/// Where readiness has no limit of its own: nobody is waited for, but a reply takes its time.
const OWN: Duration = Duration::from_secs(60);

/// A limit, and the options of a target that raise it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    pub time: Duration,
    /// All of those that say so: each of them must be raised.
    pub options: Vec<&'static str>,
}

impl Bound {
    /// The smallest of the limits that a whole first reply has. `ready`: how long the server is
    /// waited for.
    pub fn of(timeouts: &Timeouts, ready: Duration) -> Bound {
        let ready = if ready.is_zero() { OWN } else { ready };
        let limits = [
            ("ready_timeout", ready),
            ("first_token_timeout", timeouts.first_token),
            ("timeout", timeouts.total),
        ];
        let time = limits.iter().map(|(_, limit)| *limit).min().unwrap_or(OWN);
        let options = limits.iter().filter(|(_, limit)| *limit == time).map(|(option, _)| *option).collect();
        Bound { time, options }
    }

    /// The limits under which the first request goes out.
    pub fn applied(&self, timeouts: &Timeouts) -> Timeouts {
        Timeouts { first_token: self.time, total: self.time, ..*timeouts }
    }

    /// The limit that a reply has passed which ran into this one. Silence between two pieces of a
    /// reply has its own.
    pub fn passed(self, limit: Timeout, timeouts: &Timeouts) -> Bound {
        match limit {
            Timeout::Idle => Bound { time: timeouts.idle, options: vec!["idle_timeout"] },
            Timeout::Connect => Bound { time: timeouts.connect, options: vec!["connect_timeout"] },
            Timeout::FirstToken | Timeout::Total => self,
        }
    }

    /// More than it is, as an option's value.
    pub fn longer(&self) -> String {
        format!("{}s", (self.time * 2).as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_bounds_the_first_reply_and_is_the_one_that_is_told() {
        let s = Duration::from_secs;
        // In seconds: ready, first token, idle, total; which limit fired; the limit that is told.
        let table = [
            ((60, 300, 120, 21_600), Timeout::FirstToken, 60, &["ready_timeout"][..]),
            ((2, 300, 120, 21_600), Timeout::FirstToken, 2, &["ready_timeout"]),
            ((60, 2, 120, 21_600), Timeout::FirstToken, 2, &["first_token_timeout"]),
            ((60, 300, 120, 2), Timeout::FirstToken, 2, &["timeout"]),
            ((60, 300, 120, 2), Timeout::Total, 2, &["timeout"]),
            ((60, 300, 2, 21_600), Timeout::Idle, 2, &["idle_timeout"]),
            ((60, 300, 2, 21_600), Timeout::FirstToken, 60, &["ready_timeout"]),
            ((0, 300, 120, 21_600), Timeout::FirstToken, 60, &["ready_timeout"]),
            ((0, 5, 120, 21_600), Timeout::FirstToken, 5, &["first_token_timeout"]),
            // A model that is loaded by its first request may take minutes, if the user says so.
            ((600, 300, 120, 21_600), Timeout::FirstToken, 300, &["first_token_timeout"]),
            ((900, 900, 120, 21_600), Timeout::FirstToken, 900, &["ready_timeout", "first_token_timeout"]),
            ((5, 5, 120, 5), Timeout::Total, 5, &["ready_timeout", "first_token_timeout", "timeout"]),
        ];
        for ((ready, first_token, idle, total), fired, time, options) in table {
            let timeouts = Timeouts {
                first_token: s(first_token),
                idle: s(idle),
                total: s(total),
                ..Timeouts::default()
            };
            let bound = Bound::of(&timeouts, s(ready));
            let applied = bound.applied(&timeouts);
            assert_eq!((applied.first_token, applied.total, applied.idle), (bound.time, bound.time, s(idle)));
            let passed = bound.passed(fired, &timeouts);
            let what = format!("{ready} {first_token} {idle} {total} {fired:?}");
            assert_eq!((passed.time, &passed.options[..]), (s(time), options), "{what}");
        }
        assert_eq!(Bound { time: Duration::from_millis(500), options: vec![] }.longer(), "1s");
    }
}
