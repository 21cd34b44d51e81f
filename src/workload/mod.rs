//! What each request asks: `session(seq) -> Session`, a pure function of the traffic key and
//! the sequence number. A plain request is a session of one.

mod chat;
mod clips;
mod dataset;
mod draw;
mod fields;
mod hook;
mod length;
mod marked;
mod mix;
mod models;
mod prompts;
pub mod read;
mod recorded;
mod replay;
mod sonnet;
mod trace;
mod turn;

use crate::error::Result;
use crate::record::{Reply, Request};
pub use chat::{Carry, Chat, Think};
pub use clips::{Clips, clips};
pub use dataset::{Ask, Dataset, PromptCounts, PromptRow, RowOrder, count};
pub use draw::{AskedSize, Traffic};
use draw::{Draw, part_key};
pub use fields::{Extra, merged};
pub use hook::{FollowUp, Heard, HookCost, HookTotals, NextTurn, Says, SessionTurns, TurnHook};
pub use length::{Length, TOKENS_MAX};
pub use marked::{Cancel, CancelAfter, Marked, Marks, SessionId};
pub use models::Models;
pub use prompts::{Prefix, Prompts};
pub use recorded::Recorded;
pub use replay::{Conversations, RecordedCarry, RecordedReply, RecordedTurn};
pub use sonnet::{PoemLine, Sonnet};
use std::sync::Arc;
use std::time::Duration;
pub use trace::{Replay, Trace, TraceBuilder, TraceCut, TraceRow};
pub use turn::Turn;

/// A workload.
#[derive(Debug, Clone)]
pub enum Workload {
    Prompts(Prompts),
    /// Parts with their weights.
    Mix(Vec<(f64, Workload)>),
    Dataset(Dataset),
    Sonnet(Sonnet),
    Clips(Clips),
    /// Rows of a trace.
    Trace(Replay),
    /// Conversations of any length.
    Chat(Arc<Chat>),
    /// Another workload, spread over several model names.
    Models(Models),
    /// Another workload, with more written on its requests.
    Marked(Marked),
    /// Sessions of any length, told turn by turn.
    #[cfg(test)]
    Talks(testing::Talks),
}

/// One conversation: requests one after another.
pub struct Session {
    turns: Turns,
    /// Body fields of all its requests, over their own.
    over: Extra,
    /// What else is written on them.
    marker: Option<Box<marked::Marker>>,
}

/// What a session has still to ask.
enum Turns {
    /// At most one request.
    One(Option<Request>),
    Chat(Box<chat::Talk>),
    Replay(Box<replay::Replay>),
    #[cfg(test)]
    Talk(testing::Talk),
}

impl Workload {
    /// Whether requests name different models.
    pub fn draws_models(&self) -> bool {
        match self {
            Workload::Models(_) => true,
            Workload::Marked(marked) => marked.workload.draws_models(),
            Workload::Mix(parts) => parts.iter().any(|(_, part)| part.draws_models()),
            Workload::Prompts(_)
            | Workload::Dataset(_)
            | Workload::Sonnet(_)
            | Workload::Clips(_)
            | Workload::Trace(_)
            | Workload::Chat(_) => false,
            #[cfg(test)]
            Workload::Talks(_) => false,
        }
    }

    /// What is wrong with the numbers, as a sentence. The other functions may panic on a
    /// workload that does not pass.
    pub fn check(&self) -> std::result::Result<(), String> {
        match self {
            Workload::Prompts(prompts) => prompts.check(),
            Workload::Mix(parts) => mix::check(parts),
            Workload::Dataset(dataset) => dataset.check(),
            Workload::Sonnet(sonnet) => sonnet.check(),
            Workload::Clips(clips) => clips.check(),
            Workload::Chat(chat) => chat.check(),
            Workload::Trace(_) => Ok(()),
            Workload::Models(models) => models.check(),
            Workload::Marked(marked) => marked.check(),
            #[cfg(test)]
            Workload::Talks(_) => Ok(()),
        }
    }

    /// All of it is sound, or none of it; `None`: some of it is.
    pub fn is_audio(&self) -> Option<bool> {
        match self {
            Workload::Clips(_) => Some(true),
            Workload::Models(models) => models.workload.is_audio(),
            Workload::Marked(marked) => marked.workload.is_audio(),
            Workload::Mix(parts) => {
                let first = parts.first()?.1.is_audio()?;
                parts.iter().all(|(_, part)| part.is_audio() == Some(first)).then_some(first)
            }
            _ => Some(false),
        }
    }

    /// Whether users hang up.
    pub fn is_left(&self) -> bool {
        match self {
            Workload::Marked(marked) => marked.marks.cancel.is_some(),
            Workload::Models(models) => models.workload.is_left(),
            Workload::Mix(parts) => parts.iter().any(|(_, part)| part.is_left()),
            _ => false,
        }
    }

    /// Whether a session may have more than one request.
    pub fn converses(&self) -> bool {
        match self {
            Workload::Chat(_) => true,
            Workload::Models(models) => models.workload.converses(),
            Workload::Marked(marked) => marked.workload.converses(),
            Workload::Mix(parts) => parts.iter().any(|(_, part)| part.converses()),
            Workload::Dataset(dataset) => dataset.conversations.is_some(),
            Workload::Prompts(_) | Workload::Sonnet(_) | Workload::Trace(_) | Workload::Clips(_) => false,
            #[cfg(test)]
            Workload::Talks(_) => true,
        }
    }

    /// What the hooks of its parts cost.
    pub fn hook_costs(&self) -> Vec<Arc<HookCost>> {
        match self {
            Workload::Chat(chat) => chat.next_turn.iter().map(|hook| hook.cost.clone()).collect(),
            Workload::Models(models) => models.workload.hook_costs(),
            Workload::Marked(marked) => marked.workload.hook_costs(),
            Workload::Mix(parts) => parts.iter().flat_map(|(_, part)| part.hook_costs()).collect(),
            _ => Vec::new(),
        }
    }

    /// The `seq`-th session of a run.
    pub fn session(&self, traffic: &Traffic, seq: u64) -> Session {
        self.session_in(&self.draw(traffic, seq))
    }

    fn session_in(&self, draw: &Draw) -> Session {
        match self {
            Workload::Prompts(prompts) => Session::one(prompts.request(draw)),
            Workload::Mix(parts) => mix::pick(parts, draw, |part, draw| part.session_in(draw)),
            Workload::Dataset(dataset) => match &dataset.conversations {
                Some(how) => Session::of(Turns::Replay(Box::new(dataset.replay(how, draw)))),
                None => Session::one(dataset.request(draw)),
            },
            Workload::Sonnet(sonnet) => Session::one(sonnet.request(draw)),
            Workload::Clips(clips) => Session::one(clips.request(draw)),
            Workload::Trace(replay) => Session::one(replay.request(draw)),
            Workload::Chat(chat) => Session::of(Turns::Chat(Box::new(chat.talk(draw)))),
            Workload::Models(models) => models.session(draw),
            Workload::Marked(marked) => marked.session(draw),
            #[cfg(test)]
            Workload::Talks(talks) => Session::of(Turns::Talk(talks.session(draw.seq))),
        }
    }

    /// The turns of the `seq`-th session after its first, as far as they are known before a reply: when
    /// they come after the one before, and what they ask.
    pub fn later_turns(&self, traffic: &Traffic, seq: u64) -> Vec<(Duration, AskedSize)> {
        self.later_in(&self.draw(traffic, seq))
    }

    fn later_in(&self, draw: &Draw) -> Vec<(Duration, AskedSize)> {
        match self {
            Workload::Mix(parts) => mix::pick(parts, draw, |part, draw| part.later_in(draw)),
            Workload::Models(models) => models.workload.later_in(draw),
            Workload::Marked(marked) => marked.workload.later_in(draw),
            Workload::Chat(chat) => chat.later(draw),
            Workload::Dataset(dataset) => {
                dataset.conversations.as_ref().map_or(Vec::new(), |how| dataset.later(how, draw))
            }
            _ => Vec::new(),
        }
    }

    /// How much the first request of the `seq`-th session asks, without making its text.
    pub fn asked(&self, traffic: &Traffic, seq: u64) -> AskedSize {
        self.asked_in(&self.draw(traffic, seq))
    }

    /// The first request of the `seq`-th session without its words, where all that it asks is known
    /// without them: many times as fast.
    pub fn wordless(&self, traffic: &Traffic, seq: u64) -> Option<Request> {
        self.wordless_in(&self.draw(traffic, seq))
    }

    fn wordless_in(&self, draw: &Draw) -> Option<Request> {
        match self {
            Workload::Prompts(prompts) => Some(prompts.wordless(draw)),
            Workload::Trace(replay) => Some(replay.wordless(draw)),
            Workload::Mix(parts) => mix::pick(parts, draw, |part, draw| part.wordless_in(draw)),
            Workload::Models(models) => models.workload.wordless_in(draw),
            _ => None,
        }
    }

    fn draw<'a>(&self, traffic: &'a Traffic, seq: u64) -> Draw<'a> {
        let part = self.class().map_or(String::new(), |class| part_key(Some(class), 0));
        Draw { traffic, part, seq }
    }

    fn asked_in(&self, draw: &Draw) -> AskedSize {
        match self {
            Workload::Prompts(prompts) => prompts.asked(draw),
            Workload::Mix(parts) => mix::pick(parts, draw, |part, draw| part.asked_in(draw)),
            Workload::Dataset(dataset) => dataset.asked(draw),
            Workload::Sonnet(sonnet) => AskedSize { input: u64::from(sonnet.input), output: sonnet.output },
            Workload::Clips(clips) => clips.asked(draw),
            Workload::Trace(replay) => replay.asked(draw),
            Workload::Chat(chat) => chat.asked(draw),
            Workload::Models(models) => models.workload.asked_in(draw),
            Workload::Marked(marked) => marked.asked(draw),
            #[cfg(test)]
            Workload::Talks(_) => AskedSize { input: 1, output: 1 },
        }
    }

    /// The label of its requests; a mix has none of its own.
    fn class(&self) -> Option<&str> {
        match self {
            Workload::Prompts(prompts) => Some(&prompts.class),
            Workload::Mix(_) => None,
            Workload::Dataset(dataset) => Some(&dataset.class),
            Workload::Sonnet(sonnet) => Some(&sonnet.class),
            Workload::Clips(clips) => Some(&clips.class),
            Workload::Trace(replay) => Some(&replay.class),
            Workload::Chat(chat) => Some(&chat.class),
            Workload::Models(models) => models.workload.class(),
            Workload::Marked(marked) => marked.workload.class(),
            #[cfg(test)]
            Workload::Talks(_) => Some(""),
        }
    }
}

impl Session {
    fn of(turns: Turns) -> Session {
        Session { turns, over: None, marker: None }
    }

    fn one(request: Request) -> Session {
        Session::of(Turns::One(Some(request)))
    }

    /// The next turn, given the reply to the one before (`None` for the first); `Ok(None)` after the
    /// last. It may take its time, so it is asked for where nothing is measured. An error is the
    /// reason why the turn cannot be made.
    pub fn next(&mut self, previous: Option<&Reply>) -> Result<Option<Turn>> {
        let next = match &mut self.turns {
            Turns::One(request) => request.take().map(|request| Turn { request, after: Duration::ZERO }),
            Turns::Chat(talk) => talk.next(previous)?,
            Turns::Replay(replay) => replay.next(previous)?,
            #[cfg(test)]
            Turns::Talk(talk) => talk.next(previous)?,
        };
        Ok(next.map(|mut turn| {
            if self.over.is_some() {
                turn.request.extra = merged(&turn.request.extra, &self.over);
            }
            if let Some(marker) = &self.marker {
                marker.mark(&mut turn.request);
            }
            turn
        }))
    }

    /// Whether a reply may be followed by another turn.
    pub fn goes_on(&self) -> bool {
        match &self.turns {
            Turns::One(request) => request.is_some(),
            Turns::Chat(talk) => talk.goes_on(),
            Turns::Replay(replay) => replay.goes_on(),
            #[cfg(test)]
            Turns::Talk(_) => true,
        }
    }

    /// What the hook costs that makes its turns, if one does.
    pub fn hook_cost(&self) -> Option<&Arc<HookCost>> {
        match &self.turns {
            Turns::Chat(talk) => talk.hook_cost(),
            _ => None,
        }
    }

    /// Whether its next turn is made from the text of a reply.
    pub fn reads_replies(&self) -> bool {
        match &self.turns {
            Turns::One(_) => false,
            Turns::Chat(talk) => talk.reads_replies(),
            Turns::Replay(replay) => replay.reads_replies(),
            #[cfg(test)]
            Turns::Talk(_) => true,
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
