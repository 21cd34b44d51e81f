//! `Replay`: a recorded conversation as a session, question after question.

use super::chat::carried;
use super::dataset::PromptRow;
use super::draw::Draw;
use super::sonnet::words;
use super::{AskedSize, Dataset, Think, Turn};
use crate::error::Result;
use crate::record::{Key, Prompt, Reply, Request, Verbatim};
use std::sync::Arc;
use std::time::Duration;

/// How recorded conversations are played.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversations {
    /// Between the end of a reply and the next question.
    pub think: Think,
    pub carry: RecordedCarry,
}

/// What stands in the history as the server's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordedCarry {
    /// What was recorded, byte for byte.
    Recorded,
    /// What the server said.
    Reply,
}

/// What is asked before a recorded reply, and the reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedTurn {
    /// Messages as JSON, without the brackets around them.
    pub asks: Box<str>,
    /// `None`: the record ends with a question.
    pub reply: Option<RecordedReply>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedReply {
    /// The message as it was recorded.
    pub message: Box<str>,
    pub text: Box<str>,
}

/// One conversation, as far as it has come.
pub(super) struct Replay {
    set: Arc<Dataset>,
    how: Arc<Conversations>,
    traffic: super::Traffic,
    part: String,
    seq: u64,
    row: usize,
    turn: usize,
    /// The messages so far as JSON, without the brackets around them.
    history: String,
    counted: Option<u32>,
    /// A reply has failed.
    over: bool,
}

impl Dataset {
    /// The session of a row that has turns.
    pub(super) fn replay(&self, how: &Arc<Conversations>, draw: &Draw) -> Replay {
        Replay {
            set: Arc::new(self.clone()),
            how: how.clone(),
            traffic: draw.traffic.clone(),
            part: draw.part.clone(),
            seq: draw.seq,
            row: self.index(draw),
            turn: 0,
            history: String::new(),
            counted: Some(0),
            over: false,
        }
    }

    /// The turns after the first, as far as they are known before a reply: their bytes, and what they may
    /// answer.
    pub(super) fn later(&self, how: &Conversations, draw: &Draw) -> Vec<(Duration, AskedSize)> {
        let row = &self.rows[self.index(draw)];
        let mut bytes = 0;
        let mut later = Vec::new();
        for (turn, recorded) in row.turns.iter().enumerate() {
            bytes += recorded.asks.len() as u64;
            let size = AskedSize { input: bytes, output: self.allowed(recorded, draw, turn) };
            if turn > 0 {
                later.push((think(how, draw, turn), size));
            }
            bytes += recorded.reply.as_ref().map_or(0, |reply| reply.message.len() as u64);
        }
        later
    }

    /// Tokens to allow for a reply: those of the recorded one.
    pub(super) fn allowed(&self, recorded: &RecordedTurn, draw: &Draw, turn: usize) -> u32 {
        let text = recorded.reply.as_ref().map(|reply| &*reply.text);
        let counted = text.map(|text| self.tokens.count(text).unwrap_or_else(|| words(text)));
        let drawn = || self.output.sample(&mut draw.rng(&format!("turn lengths {turn} ")));
        self.fixed_output.or(counted).unwrap_or_else(drawn).max(1)
    }
}

fn think(how: &Conversations, draw: &Draw, turn: usize) -> Duration {
    how.think.sample(&mut draw.rng(&format!("think {turn} ")))
}

impl Replay {
    fn row(&self) -> &PromptRow {
        &self.set.rows[self.row]
    }

    pub(super) fn goes_on(&self) -> bool {
        !self.over && self.turn < self.row().turns.len()
    }

    pub(super) fn reads_replies(&self) -> bool {
        self.how.carry == RecordedCarry::Reply
    }

    /// The next turn; a reply that failed ends the conversation.
    pub(super) fn next(&mut self, previous: Option<&Reply>) -> Result<Option<Turn>> {
        self.over |= previous.is_some_and(|reply| !reply.success);
        if !self.goes_on() {
            return Ok(None);
        }
        if let Some(reply) = previous {
            self.hear(reply);
        }
        let set = self.set.clone();
        let (row, turn) = (&set.rows[self.row], self.turn);
        let recorded = &row.turns[turn];
        self.put(&recorded.asks);
        let (traffic, part) = (self.traffic.clone(), self.part.clone());
        let draw = Draw { traffic: &traffic, part, seq: self.seq };
        let mut asked = Verbatim::new(Key::Messages, format!("[{}]", self.history));
        if let super::Ask::Verbatim(first) = &row.ask {
            asked.fields.clone_from(&first.fields);
        }
        let request = Request {
            seq: self.seq,
            session: self.seq,
            turn: turn as u32,
            class: row.class.clone().unwrap_or_else(|| set.class.clone()),
            prompt: Prompt::Verbatim(Arc::new(asked)),
            asked_input: None,
            counted_input: self.counted,
            max_tokens: set.allowed(recorded, &draw, turn),
            synthetic: false,
            forced_length: false,
            extra: set.extra.clone(),
            headers: Vec::new(),
            leave: None,
        };
        let after = if turn == 0 { Duration::ZERO } else { think(&self.how, &draw, turn) };
        self.turn += 1;
        Ok(Some(Turn { request, after }))
    }

    /// The server's part becomes history.
    fn hear(&mut self, reply: &Reply) {
        let set = self.set.clone();
        let recorded = &set.rows[self.row].turns[self.turn - 1].reply;
        match (self.how.carry, recorded) {
            (RecordedCarry::Recorded, Some(recorded)) => self.put(&recorded.message),
            _ => self.put(&carried(reply).to_string()),
        }
    }

    fn put(&mut self, messages: &str) {
        if messages.is_empty() {
            return;
        }
        if !self.history.is_empty() {
            self.history.push(',');
        }
        self.history.push_str(messages);
        let texts = Verbatim::new(Key::Messages, format!("[{messages}]")).texts();
        for text in texts {
            let counted = self.set.tokens.count(&text);
            self.counted = self.counted.zip(counted).map(|(all, more)| all.saturating_add(more));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Tokens;
    use crate::workload::read::{DataFormat, How, parse};
    use crate::workload::testing::traffic;
    use crate::workload::{Length, RowOrder, Workload, count};

    const FILE: &str = r#"{"messages": [{"role":"system","content":"be kind"},{"role":"user","content":"q", "n":1.0},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"21"},{"role":"assistant","content":"a b c"},{"role":"user","content":"bye"}], "tools": [{"type":"function"}]}"#;

    fn replayed(carry: RecordedCarry, lines: &str, format: DataFormat) -> Workload {
        let how = How { format, all_turns: true, ..How::default() };
        let rows = parse("file", lines.as_bytes(), &how).expect("readable");
        let tokens = Arc::new(Tokens::Words);
        let think = Think::For(Duration::from_secs(2));
        let counts = Arc::new(count(&rows.rows, &tokens, None));
        let set = Dataset {
            class: "a".into(),
            name: rows.name.clone(),
            skipped: rows.skipped.clone(),
            counts,
            rows: rows.rows.clone(),
            order: RowOrder::Sequential,
            output: Length::Fixed(9),
            fixed_output: None,
            conversations: Some(Arc::new(Conversations { think, carry })),
            extra: None,
            tokens,
        };
        Workload::Dataset(set)
    }

    fn turns(workload: &Workload, said: &str) -> Vec<Turn> {
        let mut session = workload.session(&traffic("cell", 1), 0);
        let reply = Reply { text: said.into(), output_tokens: 2, success: true, ..Reply::default() };
        let mut turns: Vec<Turn> = session.next(None).unwrap().into_iter().collect();
        while session.goes_on() {
            turns.extend(session.next(Some(&reply)).unwrap());
        }
        turns
    }

    fn json(turn: &Turn) -> &str {
        let Prompt::Verbatim(asked) = &turn.request.prompt else { panic!("messages") };
        &asked.json
    }

    #[test]
    fn every_recorded_turn_is_asked_byte_for_byte() {
        let workload = replayed(RecordedCarry::Recorded, FILE, DataFormat::Jsonl);
        assert!(workload.converses());
        let turns = turns(&workload, "not carried");
        let first = r#"{"role":"system","content":"be kind"},{"role":"user","content":"q", "n":1.0}"#;
        let call = r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}"#;
        let second = format!(r#"{first},{call},{{"role":"tool","tool_call_id":"c","content":"21"}}"#);
        let third =
            format!(r#"{second},{{"role":"assistant","content":"a b c"}},{{"role":"user","content":"bye"}}"#);
        let asked: Vec<&str> = turns.iter().map(json).collect();
        assert_eq!(asked, [format!("[{first}]"), format!("[{second}]"), format!("[{third}]")]);
        let allowed: Vec<u32> = turns.iter().map(|turn| turn.request.max_tokens).collect();
        assert_eq!(allowed[1..], [3, 9], "as many as were recorded, or as the set says");
        let times: Vec<u64> = turns.iter().map(|turn| turn.after.as_secs()).collect();
        assert_eq!(times, [0, 2, 2]);
        let Prompt::Verbatim(asked) = &turns[2].request.prompt else { panic!("messages") };
        assert_eq!(&*asked.fields[0].1, r#"[{"type":"function"}]"#);
        assert_eq!(workload.later_turns(&traffic("cell", 1), 0).len(), 2);
    }

    #[test]
    fn a_history_may_be_the_servers_own_words() {
        let lines = r#"[{"conversations": [{"from":"human","value":"hé"},{"from":"gpt","value":"b"},{"from":"human","value":"c"},{"from":"gpt","value":"d"}]}]"#;
        let turns = turns(&replayed(RecordedCarry::Reply, lines, DataFormat::ShareGpt), "so \"it\"");
        assert_eq!(turns.len(), 2);
        let second = r#"[{"role":"user","content":"hé"},{"role":"assistant","content":"so \"it\""},{"role":"user","content":"c"}]"#;
        assert_eq!(json(&turns[1]), second);
    }

    #[test]
    fn a_reply_that_failed_ends_its_conversation() {
        let workload = replayed(RecordedCarry::Recorded, FILE, DataFormat::Jsonl);
        let mut session = workload.session(&traffic("cell", 1), 0);
        session.next(None).unwrap();
        assert!(session.next(Some(&Reply::default())).unwrap().is_none() && !session.goes_on());
    }
}
