//! `Outcome`: every way in which a request can end.

/// Which limit was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timeout {
    Connect,
    FirstToken,
    Idle,
    Total,
}

/// How a request ended. Only [`Outcome::Success`] has latencies.
///
/// Neither status 200 nor `[DONE]` is a success: see [`Outcome::Success`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Status 2xx, no event carried an error, every choice has a finish reason that is known as a
    /// good one (or, without a reason, `[DONE]` and a count of tokens that shows the reply to be as
    /// long as it might be), and the body ended cleanly.
    Success,
    /// A status outside 2xx.
    Status,
    /// An error object inside a body of status 200.
    ServerError,
    /// Every byte arrived, but a choice never got a finish reason.
    Unfinished,
    /// The server said that it gave the request up (finish reason abort, error, timeout, or any
    /// other that is not known as a good one).
    Aborted,
    /// A filter cut the reply off or held it back (finish reason content_filter).
    ContentFilter,
    /// The body was cut off.
    Truncated,
    /// The connection could not be opened (DNS, TCP, TLS).
    Connect,
    /// The connection broke before any byte of a response.
    Disconnected,
    /// The bytes were no HTTP, no event stream or no JSON, or more than a reply may have.
    Protocol,
    TimedOut(Timeout),
    /// Over the concurrency cap of a plan that drops; never sent.
    Dropped,
    /// Its user hung up before the reply had ended, as the workload has it: no failure.
    UserCancelled,
    /// We stopped it (second Ctrl-C, or the drain time was over).
    Cancelled,
}

impl Outcome {
    pub const ALL: [Outcome; 17] = [
        Outcome::Success,
        Outcome::Status,
        Outcome::ServerError,
        Outcome::Unfinished,
        Outcome::Aborted,
        Outcome::ContentFilter,
        Outcome::Truncated,
        Outcome::Connect,
        Outcome::Disconnected,
        Outcome::Protocol,
        Outcome::TimedOut(Timeout::Connect),
        Outcome::TimedOut(Timeout::FirstToken),
        Outcome::TimedOut(Timeout::Idle),
        Outcome::TimedOut(Timeout::Total),
        Outcome::Dropped,
        Outcome::UserCancelled,
        Outcome::Cancelled,
    ];

    pub fn is_success(self) -> bool {
        self == Outcome::Success
    }

    /// Whether something went wrong.
    pub fn is_failure(self) -> bool {
        !matches!(self, Outcome::Success | Outcome::UserCancelled)
    }

    /// The name in Parquet, tables and scripts.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Status => "status",
            Outcome::ServerError => "server_error",
            Outcome::Unfinished => "unfinished",
            Outcome::Aborted => "aborted",
            Outcome::ContentFilter => "content_filter",
            Outcome::Truncated => "truncated",
            Outcome::Connect => "connect",
            Outcome::Disconnected => "disconnected",
            Outcome::Protocol => "protocol",
            Outcome::TimedOut(Timeout::Connect) => "timeout_connect",
            Outcome::TimedOut(Timeout::FirstToken) => "timeout_first_token",
            Outcome::TimedOut(Timeout::Idle) => "timeout_idle",
            Outcome::TimedOut(Timeout::Total) => "timeout_total",
            Outcome::Dropped => "dropped",
            Outcome::UserCancelled => "user_cancelled",
            Outcome::Cancelled => "cancelled",
        }
    }

    pub fn from_name(name: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_found_by_its_name() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_name(outcome.name()), Some(outcome));
        }
    }
}
