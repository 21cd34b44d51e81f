//! `Talks`: sessions that a test tells turn by turn; and what the tests of all workloads share.

use super::*;
use crate::record::Prompt;
use std::fmt;

/// What turn `turn` of session `seq` is, given the reply to the one before.
type Tell = dyn Fn(u64, u32, Option<&Reply>) -> Result<Option<Turn>> + Send + Sync;

/// A workload of sessions of any length.
#[derive(Clone)]
pub struct Talks(Arc<Tell>);

/// One of them.
pub(super) struct Talk {
    tell: Arc<Tell>,
    seq: u64,
    turn: u32,
}

impl Talks {
    pub fn told(
        tell: impl Fn(u64, u32, Option<&Reply>) -> Result<Option<Turn>> + Send + Sync + 'static,
    ) -> Workload {
        Workload::Talks(Talks(Arc::new(tell)))
    }

    pub(super) fn session(&self, seq: u64) -> Talk {
        Talk { tell: self.0.clone(), seq, turn: 0 }
    }
}

impl Talk {
    pub(super) fn next(&mut self, previous: Option<&Reply>) -> Result<Option<Turn>> {
        let turn = (self.tell)(self.seq, self.turn, previous);
        self.turn += 1;
        turn
    }
}

impl fmt::Debug for Talks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Talks")
    }
}

impl Turn {
    /// A turn of a test's session.
    pub(crate) fn of(seq: u64, turn: u32, after: Duration) -> Turn {
        Turn { request: request_of(seq, turn), after }
    }
}

/// Random words of some lengths.
pub(super) fn some_prompts() -> Workload {
    Workload::Prompts(Prompts {
        class: "".into(),
        input: Length::Uniform(3, 30),
        output: Length::Uniform(1, 9),
        prefix: None,
        extra: None,
        tokens: Arc::new(crate::tokens::Tokens::Words),
    })
}

pub(super) fn request_of(seq: u64, turn: u32) -> Request {
    Request {
        seq,
        session: seq,
        turn,
        class: "".into(),
        prompt: Prompt::Text(format!("{seq}.{turn}")),
        asked_input: None,
        counted_input: None,
        max_tokens: 1,
        synthetic: false,
        forced_length: false,
        extra: None,
        headers: Vec::new(),
        leave: None,
    }
}

pub(super) fn traffic(key: &str, salt: u64) -> Traffic {
    Traffic { seed: 0, key: key.into(), salt }
}

pub(super) fn request(workload: &Workload, traffic: &Traffic, seq: u64) -> Request {
    let mut session = workload.session(traffic, seq);
    let first = session.next(None).expect("it can be made").expect("a first request");
    assert!(!session.goes_on(), "a session of one");
    assert!(session.next(None).expect("it can be asked").is_none(), "a session of one");
    first.request
}

pub(super) fn requests(workload: &Workload, traffic: &Traffic, count: u64) -> Vec<Request> {
    assert_eq!(workload.check(), Ok(()));
    (0..count).map(|seq| request(workload, traffic, seq)).collect()
}

pub(super) fn text(request: &Request) -> &str {
    match &request.prompt {
        Prompt::Text(text) => text,
        _ => panic!("a text was expected"),
    }
}
