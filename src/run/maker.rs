//! `Maker`: turns slots and replies into requests ready for the wire. It runs on the threads of
//! `prepare`, and whatever goes wrong here has a reason.

use super::{Hooks, Plan};
use crate::client::Client;
use crate::error::{Error, Result, caught};
use crate::os;
use crate::record::{Due, Nanos, Reply, Request, Slot};
use crate::workload::{HookCost, Session, Traffic, Turn, Workload};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// A slot with its first request, or the reason why there is none.
pub struct Prepared {
    pub slot: Slot,
    pub first: Result<MadeRequest>,
}

/// A request ready for the wire.
pub struct MadeRequest {
    pub request: Request,
    pub id: String,
    pub bytes: Bytes,
    /// How long after the end of the turn before it is due.
    pub after: Duration,
    /// Where the turn after it comes from, if one may come.
    pub conversation: Option<Box<Conversation>>,
    /// A hook has made it: by when, and what it costs.
    hooked: Option<(Nanos, Arc<HookCost>)>,
}

/// A turn that is later than its user thought by no more than this is on time.
const PUNCTUAL: Nanos = 1_000_000;

impl MadeRequest {
    /// When it is due that was to be at `planned`, absolute. What a hook takes is a part of thinking: where
    /// it takes longer, its user has thought longer, and no server was slow.
    pub fn due(&self, planned: Nanos) -> Nanos {
        let Some((made, cost)) = &self.hooked else { return planned };
        if made - planned > PUNCTUAL {
            cost.overran(made - planned);
        }
        planned.max(*made)
    }
}

/// A session that goes on after its latest request.
pub struct Conversation {
    session: Session,
    seq: u64,
    /// The id of its first request.
    id: String,
    /// Turns so far.
    turns: u32,
}

impl Conversation {
    /// Whether its next turn is made from the text of a reply.
    pub fn reads_replies(&self) -> bool {
        self.session.reads_replies()
    }
}

impl Prepared {
    /// Bytes of its request.
    pub fn bytes(&self) -> usize {
        self.first.as_ref().map_or(0, |made| made.bytes.len())
    }
}

/// Makes requests, the same ones on any thread; hooks that change them are called here.
pub struct Maker {
    workload: Workload,
    traffic: Traffic,
    client: Arc<Client>,
    id_prefix: String,
    hooks: Hooks,
}

impl Maker {
    pub fn new(plan: &Plan, client: Arc<Client>, id_prefix: String) -> Maker {
        let hooks = plan.hooks.clone();
        Maker { workload: plan.workload.clone(), traffic: plan.traffic(), client, id_prefix, hooks }
    }

    /// The first request of a slot's session.
    pub fn first(&self, slot: Slot) -> Prepared {
        let seq = slot.seq;
        let made = aloud(|| {
            let mut session = self.workload.session(&self.traffic, seq);
            let due = match slot.due {
                Due::At(due) => Some(due),
                Due::Free { .. } => None,
            };
            let id = format!("{}-{seq}", self.id_prefix);
            let Some(mut made) = self.next(&mut session, None, id, due)? else {
                return Err(Error::run("its session asks nothing"));
            };
            if session.goes_on() {
                let conversation = Conversation { session, seq, id: made.id.clone(), turns: 1 };
                made.conversation = Some(Box::new(conversation));
            }
            Ok(made)
        });
        let first = made.map_err(|error| error.context(format_args!("cannot make request {seq}")));
        Prepared { slot, first }
    }

    /// The turn after `reply`; `None` after the last.
    pub fn turn(&self, mut conversation: Box<Conversation>, reply: &Reply) -> Result<Option<MadeRequest>> {
        let Conversation { seq, turns, .. } = *conversation;
        let made = aloud(|| {
            let id = format!("{}.{turns}", conversation.id);
            let Some(mut made) = self.next(&mut conversation.session, Some(reply), id, None)? else {
                return Ok(None);
            };
            conversation.turns += 1;
            made.hooked = conversation.session.hook_cost().map(|cost| (os::now(), cost.clone()));
            made.conversation = conversation.session.goes_on().then_some(conversation);
            Ok(Some(made))
        });
        made.map_err(|error| error.context(format_args!("cannot make turn {turns} of session {seq}")))
    }

    fn next(
        &self,
        session: &mut Session,
        reply: Option<&Reply>,
        id: String,
        due: Option<Nanos>,
    ) -> Result<Option<MadeRequest>> {
        let Some(Turn { mut request, after }) = session.next(reply)? else { return Ok(None) };
        self.hooks.prepare(&self.traffic, &mut request, due)?;
        let bytes = self.client.encode(&request, &id);
        Ok(Some(MadeRequest { request, id, bytes, after, conversation: None, hooked: None }))
    }
}

/// A panic is an error, too.
fn aloud<T>(make: impl FnOnce() -> Result<T>) -> Result<T> {
    caught(make).unwrap_or_else(|words| Err(Error::run(words)))
}
