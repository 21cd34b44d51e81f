//! `pause`: how long a place rests after requests that failed at once. Pure.
//!
//! In a closed loop the next request leaves when the one before has ended: in front of a server that
//! refuses in a millisecond that would be a flood, which no user sends and nobody wants to measure.

use crate::client::outage::PAUSE_FIRST as FIRST;
use crate::client::outage::PAUSE_MAX as MOST;
use crate::record::{Nanos, Outcome, Record};
use std::time::Duration;

/// A failure that took longer is no flood.
const AT_ONCE: Nanos = 100_000_000;

/// How long the place rests after this record, and counts its failure; `borne`: for how long the
/// user bears with a server that is away. 0: nobody waits for anything.
pub fn pause(record: &Record, again: Option<Duration>, setbacks: &mut u32, borne: Duration) -> Duration {
    let begun = record.timeline.sent.unwrap_or(record.timeline.admitted);
    let kind = Kind::of(record);
    if kind == Kind::None || kind == Kind::Refusal && record.timeline.end - begun >= AT_ONCE {
        *setbacks = 0;
        return Duration::ZERO;
    }
    *setbacks = setbacks.saturating_add(1);
    if borne.is_zero() {
        return Duration::ZERO;
    }
    if kind == Kind::Away {
        return MOST;
    }
    // Who stands in front of a server that is started again may say how long that takes.
    let again = again.filter(|_| matches!(record.status, Some(502..=504))).unwrap_or_default();
    // Once is an accident.
    let grown = match *setbacks {
        1 => Duration::ZERO,
        n => FIRST.saturating_mul(1 << (n - 2).min(10)).min(MOST),
    };
    grown.max(again.min(borne))
}

/// What an end says of the server.
#[derive(PartialEq, Eq)]
enum Kind {
    /// Nothing that another moment would change.
    None,
    /// It would not, or could not.
    Refusal,
    /// No connection.
    Away,
}

impl Kind {
    fn of(record: &Record) -> Kind {
        match (record.outcome, record.status) {
            (Outcome::Connect, _) => Kind::Away,
            (Outcome::Status, Some(408 | 429 | 500..)) => Kind::Refusal,
            (Outcome::Disconnected | Outcome::Truncated, _) => Kind::Refusal,
            (Outcome::ServerError | Outcome::Protocol, _) => Kind::Refusal,
            _ => Kind::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::fixture::reply;

    const S: Duration = Duration::from_secs(1);

    fn ended(outcome: Outcome, status: Option<u16>, took_ms: i64) -> Record {
        let mut record = reply(0, 0).record();
        let sent = record.timeline.sent.expect("sent");
        record.timeline.end = sent + took_ms * 1_000_000;
        Record { outcome, status, ..record }
    }

    #[test]
    fn pauses_grow_from_the_second_failure_on_and_a_success_ends_them() {
        let (refused, fine) = (ended(Outcome::Status, Some(503), 2), ended(Outcome::Success, Some(200), 2));
        let mut setbacks = 0;
        let mut next = |record: &Record| pause(record, None, &mut setbacks, 30 * S).as_millis();
        let told: Vec<_> = (0..8).map(|_| next(&refused)).collect();
        assert_eq!(told, [0, 50, 100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!((next(&fine), next(&refused), next(&refused)), (0, 0, 50));
        let mut long = u32::MAX;
        assert_eq!(pause(&refused, None, &mut long, 30 * S), S);
    }

    #[test]
    fn only_what_another_moment_may_change_is_waited_for() {
        for (outcome, status, took, waits) in [
            (Outcome::Status, Some(502), 2, true),
            (Outcome::Status, Some(500), 2, true),
            (Outcome::Status, Some(429), 2, true),
            (Outcome::Disconnected, None, 2, true),
            (Outcome::ServerError, Some(200), 2, true),
            (Outcome::Status, Some(504), 60_000, false),
            (Outcome::Status, Some(400), 2, false),
            (Outcome::Status, Some(404), 2, false),
            (Outcome::ContentFilter, Some(200), 2, false),
            (Outcome::Cancelled, None, 2, false),
        ] {
            let mut setbacks = 5;
            let pause = pause(&ended(outcome, status, took), None, &mut setbacks, 30 * S);
            assert_eq!(!pause.is_zero(), waits, "{outcome:?} {status:?} after {took} ms");
        }
    }

    #[test]
    fn a_gateway_may_say_how_long_and_nobody_waits_without_patience() {
        let at = |status, borne| pause(&ended(Outcome::Status, Some(status), 2), Some(5 * S), &mut 0, borne);
        assert_eq!(at(503, 30 * S), 5 * S);
        assert_eq!(at(503, 2 * S), 2 * S, "no longer than the patience");
        assert_eq!(at(503, Duration::ZERO), Duration::ZERO);
        assert_eq!(at(429, 30 * S), Duration::ZERO, "what admits us is measured");
        let away = ended(Outcome::Connect, None, 30_000);
        assert_eq!(pause(&away, None, &mut 0, 30 * S), S);
        assert_eq!(pause(&away, None, &mut 0, Duration::ZERO), Duration::ZERO);
    }
}
