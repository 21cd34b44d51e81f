//! `VirtualEngine`: the simulated server without sockets and without a clock. The same scheduler and the
//! same generations as in `server`; whoever drives it says what time it is.

use std::collections::VecDeque;

use crate::engine::config::{Config, FailKind};
use crate::engine::due::{Deadline, Next};
use crate::engine::generation::{Generation, Step};
use crate::engine::generation_request::GenerationRequest;
use crate::engine::nanos::Nanos;
use crate::engine::prefix_cache::Prompt;
use crate::engine::scheduler::Scheduler;
use crate::engine::text::{self, GenerationEnd};

/// See the file's head. `T` is what the driver keeps of a request, until its end.
pub struct VirtualEngine<T> {
    config: Config,
    scheduler: Scheduler<u64>,
    /// Requests in the server by their numbers, from `first` on; `None`: it has ended.
    jobs: VecDeque<Option<Job<T>>>,
    first: u64,
}

struct Job<T> {
    kept: T,
    course: Generation,
    made: u32,
    /// Tokens of the prompt that were in the prefix cache; `None`: there is none.
    cached: Option<u32>,
}

/// What a reply writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The event that opens a chat.
    Role,
    /// The event of a token: bytes of its text, which the token that ends a text has none of.
    Token { bytes: u32, finish: Option<GenerationEnd> },
}

/// How a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All of it is written.
    Whole {
        tokens: u32,
        finish: Option<GenerationEnd>,
        /// Of the prompt, in the prefix cache; `None`: there is none.
        cached: Option<u32>,
    },
    ErrorEvent,
    /// The connection was closed in mid-way.
    Cut,
}

/// What came of one deadline.
#[derive(Debug)]
pub enum Played<T> {
    /// None was due.
    Nothing,
    /// A token, or the end of a step.
    Something,
    /// Nothing comes any more of this request, and the client is left waiting.
    Stalled(u64),
    Ended {
        kept: T,
        number: u64,
        ending: Ending,
        at: Nanos,
    },
}

impl<T> VirtualEngine<T> {
    /// Fails with a sentence when a value is outside of what the server can do.
    pub fn new(config: Config) -> Result<VirtualEngine<T>, String> {
        config.check()?;
        Ok(VirtualEngine { scheduler: Scheduler::new(&config), config, jobs: VecDeque::new(), first: 1 })
    }

    /// The number that the next request gets; the first is 1.
    pub fn next_number(&self) -> u64 {
        self.first + self.jobs.len() as u64
    }

    /// A request arrives, none earlier than those before it. `Err`: it is refused with this status at
    /// once.
    pub fn arrive(&mut self, ask: &GenerationRequest, at: Nanos, kept: T) -> Result<(), (T, u16)> {
        let number = self.next_number();
        let course = Generation::new(ask, &self.config, number);
        if let Some(FailKind::Status(status)) = course.fail {
            self.jobs.push_back(None);
            return Err((kept, status));
        }
        self.scheduler.add(number, at, Prompt::of(ask, &course, number));
        let cached = ask.blocks.as_ref().map(|_| 0);
        self.jobs.push_back(Some(Job { kept, course, made: 0, cached }));
        Ok(())
    }

    /// When the next deadline is.
    pub fn next(&self) -> Option<Nanos> {
        self.scheduler.next()
    }

    /// Plays one deadline that is not after `now`; `see` is shown what it writes.
    pub fn play(&mut self, now: Nanos, mut see: impl FnMut(&mut T, Nanos, Written)) -> Played<T> {
        let (jobs, first) = (&mut self.jobs, self.first);
        let mut ended = None;
        let mut stalled = None;
        let played = self.scheduler.play(now, |number, Deadline { at, cached, .. }| {
            // Those who left are asked for once more by a scheduler that has them in its heap.
            let place = number.checked_sub(first).and_then(|place| jobs.get_mut(place as usize));
            let Some(place) = place else { return Next::Gone };
            let Some(job) = place else { return Next::Gone };
            job.cached = job.cached.map(|_| cached);
            match job.play(*number, at, &mut see) {
                Ok(next) => {
                    stalled = (next == Next::Hold).then_some(*number);
                    next
                }
                Err(ending) => {
                    let kept = place.take().map(|job| job.kept);
                    ended = kept.map(|kept| Played::Ended { kept, number: *number, ending, at });
                    Next::Done
                }
            }
        });
        self.forget();
        match (played, ended, stalled) {
            (false, ..) => Played::Nothing,
            (_, Some(ended), _) => ended,
            (_, _, Some(number)) => Played::Stalled(number),
            _ => Played::Something,
        }
    }

    /// The client of a request is gone: its slot is free. `None`: it had ended.
    pub fn leave(&mut self, number: u64, now: Nanos) -> Option<T> {
        let place = number.checked_sub(self.first)?;
        let job = self.jobs.get_mut(place as usize)?.take()?;
        self.scheduler.cancel(&number, now);
        Some(job.kept)
    }

    /// Numbers of the requests in the server, and what is kept of each.
    pub fn inside(&self) -> impl Iterator<Item = (u64, &T)> {
        let numbered = (self.first..).zip(&self.jobs);
        numbered.filter_map(|(number, job)| job.as_ref().map(|job| (number, &job.kept)))
    }

    /// What is kept of a request in the server.
    pub fn get(&self, number: u64) -> Option<&T> {
        let job = self.jobs.get(number.checked_sub(self.first)? as usize)?;
        job.as_ref().map(|job| &job.kept)
    }

    /// Requests that hold a slot.
    pub fn running(&self) -> usize {
        self.scheduler.running()
    }

    /// Requests that wait for a slot.
    pub fn waiting(&self) -> usize {
        self.scheduler.waiting()
    }

    /// Those at the front that have ended.
    fn forget(&mut self) {
        while self.jobs.front().is_some_and(Option::is_none) {
            self.jobs.pop_front();
            self.first += 1;
        }
    }
}

impl<T> Job<T> {
    /// One deadline: what it does next, or how it has ended.
    fn play(
        &mut self,
        number: u64,
        at: Nanos,
        see: &mut impl FnMut(&mut T, Nanos, Written),
    ) -> Result<Next, Ending> {
        match self.course.step(self.made) {
            Step::BreakOff => return self.break_off(),
            Step::Token => self.token(number, at, see),
            Step::Burst => {
                let stop = self.course.broken_at().unwrap_or(self.course.tokens);
                while self.made < stop {
                    self.token(number, at, see);
                }
                if self.course.broken_at().is_some() {
                    return self.break_off();
                }
            }
        }
        if self.made < self.course.tokens {
            return Ok(Next::Token);
        }
        let (finish, cached) = (self.course.finish(), self.cached);
        Err(Ending::Whole { tokens: self.made, finish, cached })
    }

    fn break_off(&self) -> Result<Next, Ending> {
        match self.course.fail {
            Some(FailKind::Stall) => Ok(Next::Hold),
            Some(FailKind::ErrorEvent) => Err(Ending::ErrorEvent),
            _ => Err(Ending::Cut),
        }
    }

    fn token(&mut self, number: u64, at: Nanos, see: &mut impl FnMut(&mut T, Nanos, Written)) {
        let index = self.made;
        if index == 0 && self.course.role_chunk {
            see(&mut self.kept, at, Written::Role);
        }
        let has_text = index < self.course.tokens_with_text();
        let bytes = if has_text { text::word(number, index).len() as u32 } else { 0 };
        see(&mut self.kept, at, Written::Token { bytes, finish: self.course.finish_at(index) });
        self.made += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::parse;

    fn ask(tokens: u32) -> GenerationRequest {
        let body = format!(r#"{{"prompt":"a","max_tokens":{tokens},"stream":true}}"#);
        GenerationRequest::read(false, body.as_bytes(), &Config::default()).unwrap()
    }

    /// Plays all; (who, when in us, bytes) of each token, and who ended how.
    #[allow(clippy::type_complexity, reason = "three lists, taken apart at once")]
    fn play(engine: &mut VirtualEngine<char>) -> (Vec<(char, i64)>, Vec<(char, Ending)>, Vec<u64>) {
        let (mut tokens, mut ends, mut stalls) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(at) = engine.next() {
            match engine.play(at, |who, at, _| tokens.push((*who, at / 1_000))) {
                Played::Ended { kept, ending, .. } => ends.push((kept, ending)),
                Played::Stalled(number) => stalls.push(number),
                Played::Nothing | Played::Something => {}
            }
        }
        (tokens, ends, stalls)
    }

    fn whole(tokens: u32) -> Ending {
        Ending::Whole { tokens, finish: Some(GenerationEnd::Length), cached: None }
    }

    #[test]
    fn tokens_come_when_the_scheduler_says() {
        let mut engine = VirtualEngine::new(parse("ttft=1ms,itl=1ms,slots=1").unwrap()).unwrap();
        engine.arrive(&ask(2), 0, 'a').unwrap();
        engine.arrive(&ask(1), 500_000, 'b').unwrap();
        assert_eq!((engine.running(), engine.waiting(), engine.inside().count()), (1, 1, 2));
        let (tokens, ends, _) = play(&mut engine);
        assert_eq!(tokens, [('a', 1_000), ('a', 2_000), ('b', 3_000)]);
        assert_eq!(ends, [('a', whole(2)), ('b', whole(1))]);
        assert_eq!((engine.running(), engine.inside().count()), (0, 0));
    }

    #[test]
    fn faults_end_a_reply_as_they_do_on_a_socket() {
        let ended = |config: &str| {
            let mut engine = VirtualEngine::new(parse(config).unwrap()).unwrap();
            let refused = engine.arrive(&ask(4), 0, 'a').err();
            let (tokens, ends, stalls) = play(&mut engine);
            (refused, tokens.len(), ends.first().map(|end| end.1), stalls)
        };
        assert_eq!(ended("fail=status:503:1"), (Some(('a', 503)), 0, None, vec![]));
        assert_eq!(ended("fail=error_event:1"), (None, 2, Some(Ending::ErrorEvent), vec![]));
        assert_eq!(ended("fail=cut:1,burst=2"), (None, 2, Some(Ending::Cut), vec![]));
        assert_eq!(ended("fail=stall:1"), (None, 2, None, vec![1]));
        let nameless = Ending::Whole { tokens: 4, finish: None, cached: None };
        assert_eq!(ended("fail=no_finish:1"), (None, 4, Some(nameless), vec![]));
    }

    #[test]
    fn who_leaves_gives_the_slot_away() {
        for model in ["ttft=1ms,itl=1ms,slots=1", "prefill=1000,itl=1ms,slots=1"] {
            let mut engine = VirtualEngine::new(parse(model).unwrap()).unwrap();
            engine.arrive(&ask(100), 0, 'a').unwrap();
            engine.arrive(&ask(1), 0, 'b').unwrap();
            assert_eq!(engine.leave(1, 100_000), Some('a'));
            assert_eq!(engine.leave(1, 100_000), None);
            let (tokens, ends, _) = play(&mut engine);
            assert_eq!((tokens.len(), ends), (1, vec![('b', whole(1))]), "{model}");
        }
    }

    #[test]
    fn a_burst_comes_all_at_once_and_frees_its_slot() {
        let mut engine = VirtualEngine::new(parse("ttft=1ms,itl=1ms,slots=1,burst=2").unwrap()).unwrap();
        engine.arrive(&ask(3), 0, 'a').unwrap();
        engine.arrive(&ask(1), 0, 'b').unwrap();
        let (tokens, ends, _) = play(&mut engine);
        assert_eq!(tokens, [('a', 1_000), ('a', 1_000), ('a', 1_000), ('b', 2_000)]);
        assert_eq!(ends.len(), 2);
    }

    #[test]
    fn numbers_of_the_past_are_forgotten_and_those_that_left_may_be_asked_for() {
        let mut engine = VirtualEngine::new(parse("ttft=1ms,itl=1ms").unwrap()).unwrap();
        for i in 0..20_000_i64 {
            engine.arrive(&ask(1), i * 10_000, 'x').unwrap();
            if i % 3 == 0 {
                engine.leave(engine.next_number() - 1, i * 10_000);
            }
            while !matches!(engine.play(i * 10_000, |_, _, _| {}), Played::Nothing) {}
        }
        let (_, ends, _) = play(&mut engine);
        assert!(!ends.is_empty() && engine.jobs.is_empty());
    }
}
