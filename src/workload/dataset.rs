//! `Dataset`: prompts that were read from a file before the run.

use super::draw::Draw;
use super::read::Skipped;
use super::replay::{Conversations, RecordedTurn};
use super::sonnet::words;
use super::{AskedSize, Extra, Length};
use crate::random::Shuffle;
use crate::record::{Prompt, Request, Verbatim};
use crate::tokens::Tokens;
use std::sync::Arc;

/// What a row of a file asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    Text(Box<str>),
    /// Messages, token ids, or a whole body.
    Verbatim(Arc<Verbatim>),
    /// Only a length was recorded: random words of so many tokens.
    Tokens(u32),
}

/// One row of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptRow {
    pub ask: Ask,
    /// Tokens to allow for the reply, when the file says.
    pub output: Option<u32>,
    /// The reply that was recorded: where `output` is not known its length is the one to allow.
    pub reply: Option<Box<str>>,
    /// Replaces the dataset's class.
    pub class: Option<Arc<str>>,
    /// Every recorded turn of a conversation that is to be played as a whole.
    pub turns: Arc<[RecordedTurn]>,
}

/// What a tokenizer counts in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PromptCounts {
    /// Tokens of the prompt's text, without BOS and chat template.
    pub input: Option<u32>,
    /// Tokens to allow for the reply.
    pub output: Option<u32>,
}

/// In which order rows are asked. Both begin again when the rows are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOrder {
    Sequential,
    /// A new random order in each round.
    Shuffled,
}

/// Rows of a file as requests.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub class: Arc<str>,
    /// The file, as a person knows it.
    pub name: Arc<str>,
    /// Entries of the file that were left out.
    pub skipped: Option<Skipped>,
    pub rows: Arc<Vec<PromptRow>>,
    /// One for each row, see [`count`].
    pub counts: Arc<Vec<PromptCounts>>,
    pub order: RowOrder,
    /// Tokens to allow for replies of rows that do not say.
    pub output: Length,
    /// Tokens to allow for every reply, whatever its row says.
    pub fixed_output: Option<u32>,
    /// Rows are conversations, and are played as they were recorded.
    pub conversations: Option<Arc<Conversations>>,
    pub extra: Extra,
    /// Makes the text of rows that have only a length.
    pub tokens: Arc<Tokens>,
}

impl Ask {
    /// Tokens where only a length was recorded, else bytes: neither depends on a tokenizer.
    fn size(&self) -> u64 {
        match self {
            Ask::Text(text) => text.len() as u64,
            Ask::Verbatim(recorded) => recorded.texts().iter().map(|text| text.len() as u64).sum(),
            Ask::Tokens(n) => u64::from((*n).max(1)),
        }
    }
}

impl PromptRow {
    pub fn new(ask: Ask) -> Self {
        PromptRow { ask, output: None, reply: None, class: None, turns: Arc::new([]) }
    }

    /// Bytes of its texts.
    pub(super) fn bytes(&self) -> u64 {
        let ask = match &self.ask {
            Ask::Text(text) => text.len(),
            Ask::Verbatim(recorded) => {
                recorded.json.len() + recorded.fields.iter().map(|(_, json)| json.len()).sum::<usize>()
            }
            Ask::Tokens(_) => 0,
        };
        let turn = |turn: &RecordedTurn| {
            turn.asks.len() + turn.reply.as_ref().map_or(0, |reply| reply.message.len() + reply.text.len())
        };
        let turns: usize = self.turns.iter().map(turn).sum();
        (ask + turns + self.reply.as_ref().map_or(0, |reply| reply.len()) + size_of::<PromptRow>()) as u64
    }
}

/// Counts every row. `output` replaces the reply's length of all of them; a recorded reply is
/// counted by the tokenizer, in words when there is none.
pub fn count(rows: &[PromptRow], tokens: &Tokens, output: Option<u32>) -> Vec<PromptCounts> {
    let texts: Vec<Vec<String>> = match tokens {
        // Nothing would be counted.
        Tokens::Words => vec![Vec::new(); rows.len()],
        Tokens::Real(_) => rows.iter().map(texts).collect(),
    };
    let mut counted = tokens.count_batch(&texts.concat()).into_iter();
    let recorded = |row: &PromptRow| row.reply.clone().filter(|_| row.output.or(output).is_none());
    let replies: Vec<Option<Box<str>>> = rows.iter().map(recorded).collect();
    let known: Vec<&str> = replies.iter().flatten().map(|reply| &**reply).collect();
    let mut lengths = tokens.count_batch(&known).into_iter();
    let one = |((row, texts), reply): ((&PromptRow, &Vec<String>), &Option<Box<str>>)| {
        let ids = match &row.ask {
            Ask::Verbatim(recorded) => recorded.ids(),
            _ => None,
        };
        let input = match texts.len() {
            0 => ids,
            parts => counted.by_ref().take(parts).sum(),
        };
        let length = |reply: &str| lengths.next().flatten().unwrap_or_else(|| words(reply)).max(1);
        PromptCounts { input, output: output.or(row.output).or(reply.as_deref().map(length)) }
    };
    rows.iter().zip(&texts).zip(&replies).map(one).collect()
}

/// The texts that make up a prompt.
fn texts(row: &PromptRow) -> Vec<String> {
    match &row.ask {
        Ask::Text(text) => vec![text.to_string()],
        Ask::Verbatim(recorded) => recorded.texts(),
        Ask::Tokens(_) => Vec::new(),
    }
}

impl Dataset {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.rows.is_empty() {
            return Err("a dataset needs at least one row".into());
        }
        if self.counts.len() != self.rows.len() {
            return Err("a dataset needs counts of all its rows".into());
        }
        if let Some(how) = &self.conversations {
            how.think.check().map_err(|problem| format!("think: {problem}"))?;
        }
        self.output.check().map_err(|problem| format!("output: {problem}"))
    }

    /// Tokens to allow for the reply of a row.
    fn reply(&self, counts: PromptCounts, draw: &Draw) -> u32 {
        counts.output.unwrap_or_else(|| self.output.sample(&mut draw.rng("lengths"))).max(1)
    }

    pub(super) fn asked(&self, draw: &Draw) -> AskedSize {
        let index = self.index(draw);
        if let (Some(_), Some(first)) = (&self.conversations, self.rows[index].turns.first()) {
            return AskedSize { input: first.asks.len() as u64, output: self.allowed(first, draw, 0) };
        }
        AskedSize { input: self.rows[index].ask.size(), output: self.reply(self.counts[index], draw) }
    }

    pub(super) fn request(&self, draw: &Draw) -> Request {
        let index = self.index(draw);
        let (row, counts) = (&self.rows[index], self.counts[index]);
        let output = self.reply(counts, draw);
        let (prompt, asked, counted) = match &row.ask {
            Ask::Text(text) => (Prompt::Text(text.to_string()), None, counts.input),
            Ask::Verbatim(recorded) => (Prompt::Verbatim(recorded.clone()), None, counts.input),
            Ask::Tokens(n) => {
                let n = (*n).max(1);
                let made = self.tokens.after("", n, &mut draw.salted("words").at(draw.seq));
                (Prompt::Text(made.text), Some(n), made.tokens)
            }
        };
        Request {
            seq: draw.seq,
            session: draw.seq,
            turn: 0,
            class: row.class.clone().unwrap_or_else(|| self.class.clone()),
            prompt,
            asked_input: asked,
            counted_input: counted,
            max_tokens: output,
            synthetic: matches!(row.ask, Ask::Tokens(_)),
            forced_length: false,
            extra: self.extra.clone(),
            headers: Vec::new(),
            leave: None,
        }
    }

    pub(super) fn index(&self, draw: &Draw) -> usize {
        let len = self.rows.len() as u64;
        let (round, place) = (draw.seq / len, draw.seq % len);
        let index = match self.order {
            RowOrder::Sequential => place,
            RowOrder::Shuffled => Shuffle::new(len, &mut draw.stream("rows").at(round)).at(place),
        };
        index as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Key;
    use crate::tokens::sample;
    use crate::workload::Workload;
    use crate::workload::testing::{requests, text, traffic};

    fn dataset(rows: Vec<PromptRow>, order: RowOrder) -> Dataset {
        let tokens = sample::byte_level();
        Dataset {
            class: "file".into(),
            name: "file.jsonl".into(),
            skipped: None,
            counts: Arc::new(count(&rows, &tokens, None)),
            rows: Arc::new(rows),
            order,
            output: Length::Fixed(32),
            fixed_output: None,
            conversations: None,
            extra: None,
            tokens: Arc::new(tokens),
        }
    }

    fn numbered(order: RowOrder) -> Dataset {
        dataset((0..10).map(|n| PromptRow::new(Ask::Text(n.to_string().into()))).collect(), order)
    }

    fn asked(dataset: Dataset, key: &str, count: u64) -> Vec<String> {
        let requests = requests(&Workload::Dataset(dataset), &traffic(key, 0), count);
        requests.iter().map(|request| text(request).to_string()).collect()
    }

    #[test]
    fn sequential_rows_begin_again_when_used_up() {
        let texts = asked(numbered(RowOrder::Sequential), "a", 13);
        assert_eq!(texts.concat(), "0123456789012");
    }

    #[test]
    fn shuffled_rows_are_each_used_once_a_round_in_an_order_of_the_traffic() {
        let texts = asked(numbered(RowOrder::Shuffled), "a", 20);
        for round in texts.chunks(10) {
            let mut sorted = round.to_vec();
            sorted.sort();
            assert_eq!(sorted.concat(), "0123456789");
        }
        assert_ne!(texts[..10], texts[10..]);
        assert_eq!(texts, asked(numbered(RowOrder::Shuffled), "a", 20));
        assert_ne!(texts, asked(numbered(RowOrder::Shuffled), "b", 20));
    }

    #[test]
    fn a_row_that_has_only_a_length_becomes_words_of_that_length() {
        let row = PromptRow { output: Some(9), ..PromptRow::new(Ask::Tokens(25)) };
        let dataset = dataset(vec![row], RowOrder::Sequential);
        let tokens = dataset.tokens.clone();
        let workload = Workload::Dataset(dataset);
        let requests = requests(&workload, &traffic("a", 0), 2);
        for request in &requests {
            assert_eq!(workload.asked(&traffic("a", 0), request.seq), AskedSize { input: 25, output: 9 });
            assert_eq!((request.asked_input, request.counted_input), (Some(25), Some(25)));
            assert!(request.synthetic);
            assert_eq!(tokens.count(text(request)), Some(25));
            assert_eq!(request.max_tokens, 9);
        }
        assert_ne!(text(&requests[0]), text(&requests[1]));
    }

    #[test]
    fn a_row_has_its_class_and_what_was_recorded() {
        let recorded = Arc::new(Verbatim::new(Key::Messages, r#"[{"role":"user","content":"the cat"}]"#));
        let row = PromptRow { class: Some("code".into()), ..PromptRow::new(Ask::Verbatim(recorded.clone())) };
        let dataset = dataset(vec![row, PromptRow::new(Ask::Text("hi".into()))], RowOrder::Sequential);
        let requests = requests(&Workload::Dataset(dataset), &traffic("a", 0), 2);
        assert_eq!(requests[0].prompt, Prompt::Verbatim(recorded));
        assert_eq!((&*requests[0].class, &*requests[1].class), ("code", "file"));
        assert_eq!((requests[0].max_tokens, requests[0].asked_input), (32, None));
        assert!(!requests[0].synthetic && !requests[1].synthetic, "the words of a file are somebody's");
        assert_eq!(requests[0].counted_input, Some(2));
    }

    #[test]
    fn prompts_and_replies_are_counted_and_the_output_can_be_replaced() {
        let messages = r#"[{"role":"system","content":"old"},{"role":"user","content":[{"type":"text","text":"red dog"}]}]"#;
        let verbatim = |key, json: &str| PromptRow::new(Ask::Verbatim(Arc::new(Verbatim::new(key, json))));
        let rows = [
            PromptRow { output: Some(5), ..PromptRow::new(Ask::Text("the cat".into())) },
            PromptRow { reply: Some("catdog".into()), ..verbatim(Key::Messages, messages) },
            verbatim(Key::Prompt, "[1, 2, 3, 4]"),
            PromptRow::new(Ask::Tokens(9)),
        ];
        let counts = |tokens: &Tokens, output| -> Vec<(Option<u32>, Option<u32>)> {
            count(&rows, tokens, output).iter().map(|counts| (counts.input, counts.output)).collect()
        };
        let real = sample::byte_level();
        assert_eq!(
            counts(&real, None),
            [(Some(2), Some(5)), (Some(3), Some(2)), (Some(4), None), (None, None)]
        );
        assert!(counts(&real, Some(7)).iter().all(|(_, output)| *output == Some(7)));
        let words = [(None, Some(5)), (None, Some(1)), (Some(4), None), (None, None)];
        assert_eq!(counts(&Tokens::Words, None), words);
    }

    #[test]
    fn a_dataset_without_rows_is_named_in_a_sentence() {
        assert_eq!(
            dataset(vec![], RowOrder::Shuffled).check(),
            Err("a dataset needs at least one row".into())
        );
    }
}
