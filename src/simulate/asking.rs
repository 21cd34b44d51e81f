//! `Asking`: what a request asks of the server, as the server reads it.

use crate::client::Target;
use crate::client::protocol::{self, Api};
use crate::client::target::Exact;
use crate::engine::{Config, GenerationRequest};
use crate::error::{Error, Result};
use crate::record::{Nanos, Reply, Request};
use crate::run::Plan;
use crate::workload::{Session, Traffic};
use std::time::Duration;

/// A request that is about to be sent.
pub struct Asked {
    pub request: Request,
    pub ask: GenerationRequest,
    /// How long after the turn before it.
    pub after: Duration,
    /// Where the turn after it comes from, if one may come.
    pub session: Option<Session>,
}

/// Makes requests of a plan.
pub struct Asking<'a> {
    plan: &'a Plan,
    traffic: Traffic,
    config: Config,
    /// Whether nobody lays fields over a body or remembers its words, so that they need not be made.
    plain: bool,
}

impl<'a> Asking<'a> {
    /// Fails when the engine does not speak the target's protocol.
    pub fn new(plan: &'a Plan, config: &Config) -> Result<Asking<'a>> {
        if !matches!(plan.target.api, Api::Completions | Api::Chat) {
            return Err(Error::usage("only completions and chats can be simulated")
                .hint("the built-in engine speaks no other protocol"));
        }
        if plan.workload.is_left() {
            return Err(Error::usage("users who hang up cannot be simulated"));
        }
        let plain =
            plan.target.extra_body.is_empty() && config.cache == 0 && plan.hooks.before_request.is_none();
        Ok(Asking { plan, traffic: plan.traffic(), config: config.clone(), plain })
    }

    /// The first request of a session.
    /// It is due then, where that is known beforehand.
    pub fn first(&self, seq: u64, due: Option<Nanos>) -> Result<Asked> {
        let target = &*self.plan.target;
        if self.plain
            && let Some(mut request) = self.plan.workload.wordless(&self.traffic, seq)
            && request.extra.is_none()
        {
            request.forced_length = target.exact != Exact::No;
            let ask = ask(target, &request);
            return Ok(Asked { request, ask, after: Duration::ZERO, session: None });
        }
        let session = self.plan.workload.session(&self.traffic, seq);
        self.asked(session, None, due)?.ok_or_else(|| Error::run(format!("session {seq} asks nothing")))
    }

    /// The next turn of a session, after this reply; `None`: there is none.
    pub fn turn(&self, session: Session, reply: Option<&Reply>) -> Result<Option<Asked>> {
        self.asked(session, reply, None)
    }

    fn asked(
        &self,
        mut session: Session,
        reply: Option<&Reply>,
        due: Option<Nanos>,
    ) -> Result<Option<Asked>> {
        let Some(turn) = session.next(reply)? else { return Ok(None) };
        let (target, mut request) = (&*self.plan.target, turn.request);
        self.plan.hooks.prepare(&self.traffic, &mut request, due)?;
        request.forced_length = protocol::forces_length(target, &request);
        let body = protocol::body(target, &request);
        let ask = GenerationRequest::read(target.api == Api::Chat, &body, &self.config)
            .map_err(|refusal| Error::run(format!("the engine refuses a request: {}", refusal.body)))?;
        let session = session.goes_on().then_some(session);
        Ok(Some(Asked { request, ask, after: turn.after, session }))
    }
}

/// What the engine reads in the body of a made request; its test lays both side by side.
fn ask(target: &Target, request: &Request) -> GenerationRequest {
    GenerationRequest {
        chat: target.api == Api::Chat,
        stream: target.stream,
        include_usage: target.stream,
        ignore_eos: target.exact != Exact::No,
        min_tokens: if target.exact == Exact::MinTokens { request.max_tokens } else { 0 },
        max_tokens: request.max_tokens,
        prompt_tokens: request.asked_input.unwrap_or(0),
        blocks: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::{closed, plan};
    use crate::tokens::Tokens;
    use crate::workload::{Length, Prefix, Prompts, Workload};
    use std::sync::Arc;

    #[test]
    fn what_is_asked_without_words_is_what_the_engine_reads_in_the_body() {
        let workload = Workload::Prompts(Prompts {
            class: "a".into(),
            input: Length::Uniform(1, 30),
            output: Length::Uniform(1, 9),
            prefix: Some(Prefix { tokens: 7, groups: 2 }),
            extra: None,
            tokens: Arc::new(Tokens::Words),
        });
        for api in [Api::Completions, Api::Chat] {
            for exact in [Exact::No, Exact::IgnoreEos, Exact::MinTokens] {
                for stream in [true, false] {
                    let mut plan = plan(closed(1));
                    plan.workload = workload.clone();
                    let base = plan.target.base.clone();
                    plan.target = Arc::new(Target { exact, stream, ..Target::new(base, api) });
                    let asking = Asking::new(&plan, &Config::default()).unwrap();
                    for seq in 0..5 {
                        let quick = asking.first(seq, None).unwrap();
                        let session = plan.workload.session(&plan.traffic(), seq);
                        let whole = asking.turn(session, None).unwrap().unwrap();
                        assert_eq!(quick.ask, whole.ask, "{api:?} {exact:?}");
                        assert_eq!(quick.request.forced_length, whole.request.forced_length);
                    }
                }
            }
        }
    }
}
