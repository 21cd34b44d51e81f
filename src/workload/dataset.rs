//! `Dataset`: prompts that were read from a file before the run.

use super::{Asked, Draw, Extra, Length, merged};
use crate::random::Shuffle;
use crate::record::{Message, Prompt, Request};
use crate::tokens::Tokens;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What a row of a file asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    Text(String),
    Messages(Vec<Message>),
    /// Only a length was recorded: random words of so many tokens.
    Tokens(u32),
}

/// One row of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub ask: Ask,
    /// Tokens of the text by the tokenizer, without BOS and chat template.
    pub counted: Option<u32>,
    /// Tokens to allow for the reply, when the file says.
    pub output: Option<u32>,
    /// Body fields of this request; they win over the dataset's.
    pub extra: Extra,
    /// The other columns. A column `class` replaces the dataset's class.
    pub tags: Map<String, Value>,
}

/// In which order rows are asked. Both begin again when the rows are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Sequential,
    /// A new random order in each round.
    Shuffled,
}

/// Rows of a file as requests.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub class: Arc<str>,
    pub rows: Arc<Vec<Row>>,
    pub order: Order,
    /// Tokens to allow for replies of rows that do not say.
    pub output: Length,
    pub extra: Extra,
    /// Makes the text of rows that have only a length.
    pub tokens: Arc<Tokens>,
}

impl Ask {
    /// Tokens where only a length was recorded, else bytes: neither depends on a tokenizer.
    fn size(&self) -> u64 {
        match self {
            Ask::Text(text) => text.len() as u64,
            Ask::Messages(messages) => messages.iter().map(|message| message.content.len() as u64).sum(),
            Ask::Tokens(n) => u64::from((*n).max(1)),
        }
    }
}

impl Row {
    pub(super) fn new(ask: Ask) -> Self {
        Row { ask, counted: None, output: None, extra: None, tags: Map::new() }
    }
}

impl Dataset {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.rows.is_empty() {
            return Err("a dataset needs at least one row".into());
        }
        self.output.check().map_err(|problem| format!("output: {problem}"))
    }

    /// Tokens to allow for the reply of a row.
    fn reply(&self, row: &Row, draw: &Draw) -> u32 {
        row.output.unwrap_or_else(|| self.output.sample(&mut draw.rng("lengths"))).max(1)
    }

    pub(super) fn asked(&self, draw: &Draw) -> Asked {
        let row = &self.rows[self.index(draw)];
        Asked { input: row.ask.size(), output: self.reply(row, draw) }
    }

    pub(super) fn request(&self, draw: &Draw) -> Request {
        let row = &self.rows[self.index(draw)];
        let output = self.reply(row, draw);
        let (prompt, asked, counted) = match &row.ask {
            Ask::Text(text) => (Prompt::Text(text.clone()), None, row.counted),
            Ask::Messages(messages) => (Prompt::Messages(messages.clone()), None, row.counted),
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
            class: match row.tags.get("class").and_then(Value::as_str) {
                Some(class) => class.into(),
                None => self.class.clone(),
            },
            prompt,
            asked_input: asked,
            counted_input: counted,
            max_tokens: output,
            synthetic: matches!(row.ask, Ask::Tokens(_)),
            forced_length: false,
            extra: merged(&self.extra, &row.extra),
        }
    }

    fn index(&self, draw: &Draw) -> usize {
        let len = self.rows.len() as u64;
        let (round, place) = (draw.seq / len, draw.seq % len);
        let index = match self.order {
            Order::Sequential => place,
            Order::Shuffled => Shuffle::new(len, &mut draw.stream("rows").at(round)).at(place),
        };
        index as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::sample;
    use crate::workload::Workload;
    use crate::workload::testing::{requests, text, traffic};

    fn dataset(rows: Vec<Row>, order: Order) -> Dataset {
        Dataset {
            class: "file".into(),
            rows: Arc::new(rows),
            order,
            output: Length::Fixed(32),
            extra: None,
            tokens: Arc::new(sample::byte_level()),
        }
    }

    fn numbered(order: Order) -> Dataset {
        dataset((0..10).map(|n| Row::new(Ask::Text(n.to_string()))).collect(), order)
    }

    fn asked(dataset: Dataset, key: &str, count: u64) -> Vec<String> {
        let requests = requests(&Workload::Dataset(dataset), &traffic(key, 0), count);
        requests.iter().map(|request| text(request).to_string()).collect()
    }

    #[test]
    fn sequential_rows_begin_again_when_used_up() {
        let texts = asked(numbered(Order::Sequential), "a", 13);
        assert_eq!(texts.concat(), "0123456789012");
    }

    #[test]
    fn shuffled_rows_are_each_used_once_a_round_in_an_order_of_the_traffic() {
        let texts = asked(numbered(Order::Shuffled), "a", 20);
        for round in texts.chunks(10) {
            let mut sorted = round.to_vec();
            sorted.sort();
            assert_eq!(sorted.concat(), "0123456789");
        }
        assert_ne!(texts[..10], texts[10..]);
        assert_eq!(texts, asked(numbered(Order::Shuffled), "a", 20));
        assert_ne!(texts, asked(numbered(Order::Shuffled), "b", 20));
    }

    #[test]
    fn a_row_that_has_only_a_length_becomes_words_of_that_length() {
        let row = Row { output: Some(9), ..Row::new(Ask::Tokens(25)) };
        let dataset = dataset(vec![row], Order::Sequential);
        let tokens = dataset.tokens.clone();
        let workload = Workload::Dataset(dataset);
        let requests = requests(&workload, &traffic("a", 0), 2);
        for request in &requests {
            assert_eq!(workload.asked(&traffic("a", 0), request.seq), Asked { input: 25, output: 9 });
            assert_eq!((request.asked_input, request.counted_input), (Some(25), Some(25)));
            assert!(request.synthetic);
            assert_eq!(tokens.count(text(request)), Some(25));
            assert_eq!(request.max_tokens, 9);
        }
        assert_ne!(text(&requests[0]), text(&requests[1]));
    }

    #[test]
    fn a_row_wins_over_the_dataset() {
        let fields = |text: &str| Some(Arc::new(serde_json::from_str(text).expect("an object")));
        let row = Row {
            extra: fields(r#"{"top_p": 0.5}"#),
            tags: Map::from_iter([("class".to_string(), "code".into())]),
            ..Row::new(Ask::Messages(vec![Message { role: "user".into(), content: "hi".into() }]))
        };
        let plain = Row::new(Ask::Text("hi".into()));
        let mut dataset = dataset(vec![row, plain], Order::Sequential);
        dataset.extra = fields(r#"{"top_p": 0.9, "top_k": 3}"#);
        let requests = requests(&Workload::Dataset(dataset), &traffic("a", 0), 2);
        assert_eq!(requests[0].extra, fields(r#"{"top_p": 0.5, "top_k": 3}"#));
        assert_eq!(requests[1].extra, fields(r#"{"top_p": 0.9, "top_k": 3}"#));
        assert_eq!((&*requests[0].class, &*requests[1].class), ("code", "file"));
        assert_eq!((requests[0].max_tokens, requests[0].asked_input), (32, None));
        assert!(!requests[0].synthetic && !requests[1].synthetic, "the words of a file are somebody's");
    }

    #[test]
    fn a_dataset_without_rows_is_named_in_a_sentence() {
        assert_eq!(dataset(vec![], Order::Shuffled).check(), Err("a dataset needs at least one row".into()));
    }
}
