//! `Blame`: why a server gave no good answer before any load, and so how the process ends.

use super::refusal::Remedy;
use crate::error::ErrorKind;
use crate::record::{Outcome, Record};

/// Why there is no good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// It may pass by itself, or is the server's own fault: nobody there, busy, mute, broken.
    Server,
    /// The server has understood, and says that what we ask is wrong: the command must change.
    Command,
}

impl Blame {
    /// By the status of an answer.
    pub fn of_status(status: u16) -> Blame {
        match status {
            // Too slow, too early, too many: a moment later it may be otherwise.
            408 | 425 | 429 => Blame::Server,
            300..=499 => Blame::Command,
            _ => Blame::Server,
        }
    }

    /// Of a request that was no success. `refusal`: what its words refuse by name, if anything.
    pub fn of(record: &Record, refusal: Option<&Remedy>) -> Blame {
        let by_name =
            matches!(refusal, Some(Remedy::Asked(_) | Remedy::Needed(_) | Remedy::Wants(_) | Remedy::Length));
        match (record.outcome, record.status) {
            (Outcome::Status, Some(status)) => Blame::of_status(status),
            // Some servers answer 200 and say in the body what is wrong with the request.
            (Outcome::ServerError, _) if by_name => Blame::Command,
            _ => Blame::Server,
        }
    }

    /// The exit code that follows: 97 or 2.
    pub fn kind(self) -> ErrorKind {
        match self {
            Blame::Server => ErrorKind::NotReady,
            Blame::Command => ErrorKind::Usage,
        }
    }
}

/// Whether a status says that nobody is there yet, or has time: it is asked again.
pub fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 502..=504 | 520..=530)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Timeout;
    use crate::stats::fixture::reply;

    #[test]
    fn what_the_command_must_change_is_told_from_what_may_pass_or_is_the_servers_fault() {
        let codes = |statuses: &[u16]| -> Vec<u8> {
            statuses.iter().map(|status| Blame::of_status(*status).kind().exit_code()).collect()
        };
        assert_eq!(codes(&[400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 431, 451]), [2; 12]);
        assert_eq!(codes(&[301, 302, 307, 308]), [2; 4], "another address must be given");
        assert_eq!(codes(&[408, 425, 429, 500, 501, 502, 503, 504, 520, 529]), [97; 10]);
        let field = || "top_k".to_string();
        for (outcome, status, refusal, code) in [
            (Outcome::Status, Some(400), None, 2),
            (Outcome::Status, Some(429), None, 97),
            // A failure of the server's own that names a field is one all the same.
            (Outcome::Status, Some(500), Some(Remedy::Asked(field())), 97),
            (Outcome::Connect, None, None, 97),
            (Outcome::Disconnected, None, None, 97),
            (Outcome::Truncated, Some(200), None, 97),
            (Outcome::Protocol, Some(200), None, 97),
            (Outcome::Unfinished, Some(200), None, 97),
            (Outcome::Aborted, Some(200), None, 97),
            (Outcome::ContentFilter, Some(200), None, 97),
            (Outcome::TimedOut(Timeout::Connect), None, None, 97),
            (Outcome::TimedOut(Timeout::FirstToken), Some(200), None, 97),
            (Outcome::TimedOut(Timeout::Idle), Some(200), None, 97),
            (Outcome::TimedOut(Timeout::Total), Some(200), None, 97),
            (Outcome::ServerError, Some(200), None, 97),
            (Outcome::ServerError, Some(200), Some(Remedy::Elsewhere), 97),
            (Outcome::ServerError, Some(200), Some(Remedy::Asked(field())), 2),
            (Outcome::ServerError, Some(200), Some(Remedy::Length), 2),
        ] {
            let mut record = reply(0, 0).record();
            (record.outcome, record.status) = (outcome, status);
            let blame = Blame::of(&record, refusal.as_ref());
            assert_eq!(blame.kind().exit_code(), code, "{outcome:?} {status:?} {refusal:?}");
        }
    }
}
