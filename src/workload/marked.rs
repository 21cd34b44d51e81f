//! `Marked`: what is written on the requests of a workload beside what they ask: that their user hangs up
//! before the reply has ended, and the name of their session.

use super::draw::Draw;
use super::{AskedSize, Length, Session, Think, Workload, merged};
use crate::record::{Leave, Request};
use rand::Rng;
use serde_json::Map;
use std::sync::Arc;
use std::time::Duration;

/// See the file's head.
#[derive(Debug, Clone)]
pub struct Marked {
    pub marks: Arc<Marks>,
    pub workload: Box<Workload>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marks {
    pub cancel: Option<Cancel>,
    pub session_id: Option<SessionId>,
}

/// Where a server finds out which requests are of one session: a name that is the same in all of them, and
/// another in each run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionId {
    /// In lower case.
    pub header: Option<String>,
    /// Of the body.
    pub field: Option<String>,
}

/// Which requests are left, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Cancel {
    /// From 0 to 1, of the requests.
    pub share: f64,
    pub after: CancelAfter,
}

#[derive(Debug, Clone, PartialEq)]
pub enum CancelAfter {
    /// So many events with output.
    Tokens(Length),
    /// So long after the send.
    Time(Think),
    /// So long after the send, unless the first token has come.
    Silence(Duration),
}

impl Cancel {
    fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.share) {
            return Err(format!("cancel: the share must be from 0 to 1, got {}", self.share));
        }
        match &self.after {
            CancelAfter::Tokens(length) => length.check().map_err(|told| format!("cancel: {told}")),
            CancelAfter::Time(time) => time.check().map_err(|told| format!("cancel: {told}")),
            CancelAfter::Silence(_) => Ok(()),
        }
    }

    /// What becomes of turn `turn` of the session.
    fn of(&self, draw: &Draw, turn: u32) -> Option<Leave> {
        let rng = &mut draw.rng(&format!("cancel {turn} "));
        if !rng.random_bool(self.share) {
            return None;
        }
        Some(match &self.after {
            CancelAfter::Tokens(length) => Leave::Outputs(length.sample(rng)),
            CancelAfter::Time(time) => Leave::After(time.sample(rng)),
            CancelAfter::Silence(time) => Leave::Silent(*time),
        })
    }
}

/// Marks the requests of one session.
pub(super) struct Marker {
    marks: Arc<Marks>,
    /// The session's name.
    id: String,
    traffic: super::Traffic,
    part: String,
    seq: u64,
}

impl Marker {
    pub fn mark(&self, request: &mut Request) {
        let draw = Draw { traffic: &self.traffic, part: self.part.clone(), seq: self.seq };
        request.leave = self.marks.cancel.as_ref().and_then(|cancel| cancel.of(&draw, request.turn));
        let Some(SessionId { header, field }) = &self.marks.session_id else { return };
        request.headers.extend(header.iter().map(|name| (name.clone(), self.id.clone())));
        if let Some(field) = field {
            let fields = Map::from_iter([(field.clone(), self.id.as_str().into())]);
            request.extra = merged(&request.extra, &Some(Arc::new(fields)));
        }
    }
}

impl Marked {
    pub(super) fn check(&self) -> Result<(), String> {
        self.marks.cancel.as_ref().map_or(Ok(()), Cancel::check)?;
        self.workload.check()
    }

    pub(super) fn session(&self, draw: &Draw) -> Session {
        let mut session = self.workload.session_in(draw);
        // The salt makes it fresh: a server that was asked before must not take it for the same session.
        let id = draw.salted("session id").at(draw.seq).random::<u64>();
        session.marker = Some(Box::new(Marker {
            marks: self.marks.clone(),
            id: format!("{id:016x}"),
            traffic: draw.traffic.clone(),
            part: draw.part.clone(),
            seq: draw.seq,
        }));
        session
    }

    pub(super) fn asked(&self, draw: &Draw) -> AskedSize {
        self.workload.asked_in(draw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::testing::{request, traffic};

    fn leaving(share: f64, after: CancelAfter) -> Workload {
        let workload = crate::workload::testing::some_prompts();
        let marks = Marks { cancel: Some(Cancel { share, after }), session_id: None };
        Workload::Marked(Marked { marks: Arc::new(marks), workload: Box::new(workload) })
    }

    #[test]
    fn as_many_leave_as_were_asked_for_and_always_the_same() {
        let workload = leaving(0.25, CancelAfter::Tokens(Length::Uniform(5, 50)));
        assert_eq!(workload.check(), Ok(()));
        let left = |salt| -> Vec<Option<Leave>> {
            (0..2_000).map(|seq| request(&workload, &traffic("cell", salt), seq).leave).collect()
        };
        let first = left(1);
        assert_eq!(first, left(2), "the salt changes words alone");
        let leavers = first.iter().flatten().count();
        assert!((430..570).contains(&leavers), "{leavers}");
        assert!(first.iter().flatten().all(|leave| matches!(leave, Leave::Outputs(5..=50))));
        let plain = request(&crate::workload::testing::some_prompts(), &traffic("cell", 1), 7);
        let marked = request(&workload, &traffic("cell", 1), 7);
        assert_eq!((plain.asked_input, plain.prompt), (marked.asked_input, marked.prompt));
    }

    #[test]
    fn a_share_beyond_all_is_refused() {
        let told = leaving(1.5, CancelAfter::Silence(Duration::ZERO)).check();
        assert_eq!(told, Err("cancel: the share must be from 0 to 1, got 1.5".into()));
    }

    #[test]
    fn a_session_has_one_name_in_header_and_body_and_another_in_each_run() {
        let id = SessionId { header: Some("x-session".into()), field: Some("prompt_cache_key".into()) };
        let marks = Arc::new(Marks { cancel: None, session_id: Some(id) });
        let workload = Box::new(crate::workload::testing::some_prompts());
        let workload = Workload::Marked(Marked { marks, workload });
        let named = |salt, seq| {
            let request = request(&workload, &traffic("cell", salt), seq);
            let [(header, id)] = &request.headers[..] else { panic!("{:?}", request.headers) };
            assert_eq!(header, "x-session");
            let field = request.extra.expect("a field")["prompt_cache_key"].clone();
            assert_eq!(field.as_str(), Some(&**id));
            id.clone()
        };
        assert_eq!(named(1, 3), named(1, 3));
        let all: std::collections::HashSet<String> = (1..=2)
            .flat_map(|salt| (0..50).map(move |seq| (salt, seq)))
            .map(|(salt, seq)| named(salt, seq))
            .collect();
        assert_eq!(all.len(), 100);
    }
}
