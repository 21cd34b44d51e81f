//! `Trace`: requests as they were recorded: when each came, how long prompt and reply were, and which
//! blocks of its prompt others had, too. The words are made.
//!
//! A row takes some twenty bytes, and a block that is new four words: a million rows are a matter of tens
//! of megabytes, whatever the file.

use super::draw::Draw;
use super::{AskedSize, Extra};
use crate::random::Stream;
use crate::record::{Nanos, Prompt, Request};
use crate::tokens::Tokens;
use rand::Rng;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Rows of a trace, as many as were kept.
pub struct Trace {
    /// The file or folder, as a person knows it.
    pub name: Arc<str>,
    /// When each row came, ascending, since the beginning.
    pub at: Arc<[Nanos]>,
    /// Seconds from the beginning to the end.
    pub over: f64,
    /// Rows whose prompt or reply has no tokens: they are none.
    pub empty: u64,
    lengths: Vec<(u32, u32)>,
    /// Of each row; empty: no row has one.
    classes: Vec<u16>,
    names: Vec<Arc<str>>,
    /// Of each row the last block of its prompt; empty: no row has any.
    last: Vec<u32>,
    blocks: Vec<Block>,
    block_tokens: f64,
    /// Input tokens of whole blocks that an earlier row had, too.
    shared: u64,
    input: u64,
}

/// A block behind another one.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// Depends on all blocks before it, and is the same in every process.
    chain: u64,
    parent: u32,
}

/// No block.
const NONE: u32 = u32::MAX;

/// What is taken of a trace, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceCut {
    /// Rows from this time after the first on, and before that one.
    pub from: Option<Nanos>,
    pub to: Option<Nanos>,
    /// The share of all rows that is kept, above 0 and at most 1.
    pub thin: f64,
    pub scale_input: f64,
    pub scale_output: f64,
    /// Tokens of a block, before they are scaled.
    pub block: u32,
}

/// One row as the file has it.
#[derive(Debug, Clone, Copy)]
pub struct TraceRow<'a> {
    /// On any clock.
    pub at: Nanos,
    pub input: u32,
    pub output: u32,
    pub class: Option<&'a str>,
    /// Rows of one are kept or left out together.
    pub session: Option<&'a str>,
    pub blocks: &'a [i64],
}

/// Takes rows in, one after the other.
pub struct TraceBuilder {
    cut: TraceCut,
    seen: u64,
    empty: u64,
    rows: Vec<Row>,
    names: Vec<Arc<str>>,
    blocks: Vec<Block>,
    known: HashMap<u64, u32>,
    sessions: HashMap<u64, u32>,
    thinned: Stream,
}

#[derive(Clone, Copy)]
struct Row {
    at: Nanos,
    input: u32,
    output: u32,
    last: u32,
    /// A number of a session; `NONE`: it is alone.
    session: u32,
    class: u16,
}

impl TraceBuilder {
    pub fn new(cut: TraceCut) -> TraceBuilder {
        TraceBuilder {
            cut,
            seen: 0,
            empty: 0,
            rows: Vec::new(),
            names: vec!["".into()],
            blocks: Vec::new(),
            known: HashMap::new(),
            sessions: HashMap::new(),
            thinned: Stream::new(0, "", "thin"),
        }
    }

    /// Adds a row. Fails with what is wrong with it.
    pub fn push(&mut self, row: TraceRow) -> Result<(), String> {
        self.seen += 1;
        if row.input == 0 || row.output == 0 {
            self.empty += 1;
            return Ok(());
        }
        let session_key = row.session.map(hash_of);
        if self.cut.thin < 1.0 {
            let key = session_key.unwrap_or(self.seen);
            if self.thinned.at(key).random::<f64>() >= self.cut.thin {
                return Ok(());
            }
        }
        let next = self.sessions.len() as u32;
        let session = session_key.map_or(NONE, |key| *self.sessions.entry(key).or_insert(next));
        let class = self.class(row.class.unwrap_or_default())?;
        let mut last = NONE;
        for id in row.blocks {
            last = self.block(last, *id)?;
        }
        let (input, output) = (row.input, row.output);
        self.rows.push(Row { at: row.at, input, output, last, session, class });
        Ok(())
    }

    fn class(&mut self, name: &str) -> Result<u16, String> {
        let place = match self.names.iter().position(|known| **known == *name) {
            Some(place) => place,
            None if self.names.len() > CLASSES_MAX => {
                return Err(format!(
                    "a trace has at most {CLASSES_MAX} classes, and this is one more: {name:?}"
                ));
            }
            None => {
                self.names.push(name.into());
                self.names.len() - 1
            }
        };
        Ok(place as u16)
    }

    fn block(&mut self, parent: u32, id: i64) -> Result<u32, String> {
        let before = if parent == NONE { 0 } else { self.blocks[parent as usize].chain };
        let chain = mixed(before.wrapping_add(0x9E37_79B9_7F4A_7C15) ^ mixed(id as u64));
        if let Some(place) = self.known.get(&chain) {
            return Ok(*place);
        }
        if self.blocks.len() >= BLOCKS_MAX {
            return Err(format!("a trace has at most {BLOCKS_MAX} different blocks: take a part of it"));
        }
        self.blocks.push(Block { chain, parent });
        let place = self.blocks.len() as u32 - 1;
        self.known.insert(chain, place);
        Ok(place)
    }

    /// All rows. Fails when none is left.
    pub fn finish(self, name: &str) -> Result<Trace, String> {
        let TraceBuilder { cut, seen, empty, mut rows, names, blocks, sessions, known, .. } = self;
        drop(known);
        let cannot = |why: &str| Err(format!("cannot use \"{name}\": {why}"));
        let Some(first) = rows.iter().map(|row| row.at).min() else {
            return match seen {
                0 => cannot("it holds no requests"),
                _ if empty == seen => cannot("no row of it has a prompt and a reply with tokens"),
                _ => cannot("no row of it is left with this `thin`"),
            };
        };
        rows.sort_by_key(|row| row.at);
        let whole = rows.last().map_or(0, |row| row.at - first);
        let (from, to) = (cut.from.unwrap_or(0), cut.to.unwrap_or(Nanos::MAX));
        // A session goes by its first row.
        let mut begins: Vec<Option<Nanos>> = vec![None; sessions.len()];
        rows.retain_mut(|row| {
            row.at -= first;
            let at = match begins.get_mut(row.session as usize) {
                Some(begin) => *begin.get_or_insert(row.at),
                None => row.at,
            };
            row.at -= from;
            (from..to).contains(&at)
        });
        rows.shrink_to_fit();
        let Some(end) = rows.last().map(|row| row.at) else {
            let seconds = whole as f64 / 1e9;
            return cannot(&format!("no request of it lies between `from` and `to`; it lasts {seconds} s"));
        };
        let over = cut.to.map_or(end, |to| end.max(to.min(whole) - from)) as f64 / 1e9;
        let mut trace = Trace {
            name: name.into(),
            at: rows.iter().map(|row| row.at).collect(),
            over,
            empty,
            lengths: rows.iter().map(|row| scaled(row, &cut)).collect(),
            classes: if names.len() > 1 { rows.iter().map(|row| row.class).collect() } else { Vec::new() },
            names,
            last: if blocks.is_empty() { Vec::new() } else { rows.iter().map(|row| row.last).collect() },
            blocks,
            block_tokens: f64::from(cut.block) * cut.scale_input,
            shared: 0,
            input: 0,
        };
        trace.input = trace.lengths.iter().map(|(input, _)| u64::from(*input)).sum();
        trace.shared = trace.shared_tokens();
        Ok(trace)
    }
}

/// Classes, and different blocks, of one trace.
const CLASSES_MAX: usize = 1_000;
const BLOCKS_MAX: usize = 200_000_000;

fn scaled(row: &Row, cut: &TraceCut) -> (u32, u32) {
    let scaled = |tokens: u32, scale: f64| ((f64::from(tokens) * scale).round() as u32).max(1);
    (scaled(row.input, cut.scale_input), scaled(row.output, cut.scale_output))
}

/// The finalizer of SplitMix64.
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

fn hash_of(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl Trace {
    pub fn rows(&self) -> usize {
        self.at.len()
    }

    pub fn input_tokens(&self) -> u64 {
        self.input
    }

    /// Input tokens that an endless prefix cache would have had, of whole blocks; `None`: the trace has no
    /// blocks, and its prompts share nothing.
    pub fn reusable_tokens(&self) -> Option<u64> {
        (!self.blocks.is_empty()).then_some(self.shared)
    }

    /// A short text that tells two traces apart.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (row, (at, (input, output))) in self.at.iter().zip(&self.lengths).enumerate() {
            hash.update(at.to_le_bytes());
            hash.update(input.to_le_bytes());
            hash.update(output.to_le_bytes());
            hash.update(self.class(row).as_bytes());
            if let Some(block) = self.last.get(row).and_then(|last| self.blocks.get(*last as usize)) {
                hash.update(block.chain.to_le_bytes());
            }
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    fn class(&self, row: usize) -> &Arc<str> {
        &self.names[self.classes.get(row).map_or(0, |class| usize::from(*class))]
    }

    /// Where block `index` of a prompt ends, in tokens.
    fn end_of(&self, index: usize) -> f64 {
        ((index + 1) as f64 * self.block_tokens).round()
    }

    /// The chains of a row's blocks, from the first one on.
    fn chains(&self, row: usize) -> Vec<u64> {
        let mut chains = Vec::new();
        let mut place = self.last.get(row).copied().unwrap_or(NONE);
        while let Some(block) = self.blocks.get(place as usize) {
            chains.push(block.chain);
            place = block.parent;
        }
        chains.reverse();
        chains
    }

    fn shared_tokens(&self) -> u64 {
        let mut seen = vec![false; self.blocks.len()];
        let mut shared = 0;
        for (last, (input, _)) in self.last.iter().zip(&self.lengths) {
            // What has been seen has been seen with all that stands before it.
            let (mut fresh, mut place) = (Vec::new(), *last);
            while let Some(block) = self.blocks.get(place as usize).filter(|_| !seen[place as usize]) {
                fresh.push(place);
                place = block.parent;
            }
            let mut depth = 0;
            let mut above = place;
            while let Some(block) = self.blocks.get(above as usize) {
                depth += 1;
                above = block.parent;
            }
            // The last block of a prompt may not be whole.
            while depth > 0 && self.end_of(depth - 1) > f64::from(*input) {
                depth -= 1;
            }
            shared += if depth > 0 { self.end_of(depth - 1) as u64 } else { 0 };
            fresh.into_iter().for_each(|place| seen[place as usize] = true);
        }
        shared
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({}, {} rows)", self.name, self.rows())
    }
}

/// A trace as a workload.
#[derive(Debug, Clone)]
pub struct Replay {
    pub trace: Arc<Trace>,
    /// Of rows that have none of their own.
    pub class: Arc<str>,
    pub extra: Extra,
    pub tokens: Arc<Tokens>,
}

impl Replay {
    /// The row that a request asks, and how often all of them were asked before.
    fn row(&self, draw: &Draw) -> (usize, u64) {
        let rows = self.trace.rows() as u64;
        ((draw.seq % rows) as usize, draw.seq / rows)
    }

    pub(super) fn asked(&self, draw: &Draw) -> AskedSize {
        let (input, output) = self.trace.lengths[self.row(draw).0];
        AskedSize { input: u64::from(input), output }
    }

    /// A request without its words.
    pub(super) fn wordless(&self, draw: &Draw) -> Request {
        let (row, _) = self.row(draw);
        let (input, output) = self.trace.lengths[row];
        let own = self.trace.class(row);
        Request {
            seq: draw.seq,
            session: draw.seq,
            turn: 0,
            class: if own.is_empty() { self.class.clone() } else { own.clone() },
            prompt: Prompt::Text(String::new()),
            asked_input: Some(input),
            counted_input: None,
            max_tokens: output,
            synthetic: true,
            forced_length: false,
            extra: self.extra.clone(),
            headers: Vec::new(),
            leave: None,
        }
    }

    pub(super) fn request(&self, draw: &Draw) -> Request {
        let (row, round) = self.row(draw);
        let wordless = self.wordless(draw);
        let input = wordless.asked_input.unwrap_or(1);
        let again = if round == 0 { String::new() } else { format!(" {round}") };
        let blocks = draw.salted(&format!("blocks{again}"));
        let (mut text, mut counted, mut done) = (String::new(), Some(0), 0);
        let mut add = |tokens: u32, rng: &mut rand_chacha::ChaCha8Rng| {
            let made = self.tokens.after(&text, tokens, rng);
            text.push_str(&made.text);
            counted = counted.zip(made.tokens).map(|(all, more)| all + more);
        };
        for (index, chain) in self.trace.chains(row).into_iter().enumerate() {
            let end = (self.trace.end_of(index) as u32).min(input);
            if end > done {
                add(end - done, &mut blocks.at(chain));
                done = end;
            }
        }
        if input > done {
            add(input - done, &mut draw.salted("words").at(draw.seq));
        }
        Request { prompt: Prompt::Text(text), counted_input: counted, ..wordless }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::sample;
    use crate::workload::Workload;
    use crate::workload::testing::{requests, text, traffic};

    const WHOLE: TraceCut =
        TraceCut { from: None, to: None, thin: 1.0, scale_input: 1.0, scale_output: 1.0, block: 4 };
    const SECOND: Nanos = 1_000_000_000;

    fn row(at: Nanos, input: u32, blocks: &[i64]) -> TraceRow<'_> {
        TraceRow { at, input, output: 5, class: None, session: None, blocks }
    }

    fn built(cut: TraceCut, rows: &[TraceRow]) -> Result<Trace, String> {
        let mut builder = TraceBuilder::new(cut);
        rows.iter().try_for_each(|row| builder.push(*row))?;
        builder.finish("t.jsonl")
    }

    fn replay(trace: Trace, tokens: Tokens) -> Workload {
        let replay =
            Replay { trace: Arc::new(trace), class: "t".into(), extra: None, tokens: Arc::new(tokens) };
        Workload::Trace(replay)
    }

    fn words(workload: &Workload, count: u64) -> Vec<Vec<String>> {
        let asked = requests(workload, &traffic("a", 1), count);
        asked.iter().map(|request| text(request).split(' ').map(String::from).collect()).collect()
    }

    #[test]
    fn rows_are_sorted_and_their_times_count_from_the_first() {
        let rows = [row(7 * SECOND, 1, &[]), row(5 * SECOND, 2, &[]), row(6 * SECOND + 1, 3, &[])];
        let trace = built(WHOLE, &rows).expect("rows");
        assert_eq!(trace.at[..], [0, SECOND + 1, 2 * SECOND]);
        assert_eq!(trace.lengths, [(2, 5), (3, 5), (1, 5)]);
        assert_eq!((trace.over, trace.reusable_tokens()), (2.0, None));
    }

    #[test]
    fn a_window_keeps_its_place_and_whole_sessions() {
        let at: Vec<Nanos> = (0..10).map(|second| 100 * SECOND + second * SECOND).collect();
        let mut rows: Vec<TraceRow> = at.iter().map(|at| row(*at, 1, &[])).collect();
        let cut = TraceCut { from: Some(2 * SECOND + 1), to: Some(6 * SECOND), ..WHOLE };
        let trace = built(cut.clone(), &rows).expect("rows");
        assert_eq!(trace.at[..], [SECOND - 1, 2 * SECOND - 1, 3 * SECOND - 1]);
        assert_eq!(trace.over, 3.999999999, "as long as the window");
        for index in [1, 4, 5, 8] {
            rows[index].session = Some(if index % 4 == 1 { "a" } else { "b" });
        }
        let trace = built(cut, &rows).expect("rows");
        assert_eq!(trace.at[..], [SECOND - 1, 2 * SECOND - 1, 6 * SECOND - 1], "b from 4 on; a began before");
        let late = TraceCut { from: Some(50 * SECOND), ..WHOLE };
        let told = "cannot use \"t.jsonl\": no request of it lies between `from` and `to`; it lasts 9 s";
        assert_eq!(built(late, &rows).expect_err("none"), told);
        assert_eq!(built(WHOLE, &[]).expect_err("none"), "cannot use \"t.jsonl\": it holds no requests");
        let empty = TraceRow { output: 0, ..row(0, 3, &[]) };
        assert!(
            built(WHOLE, &[empty])
                .expect_err("none")
                .ends_with("no row of it has a prompt and a reply with tokens")
        );
        assert_eq!(built(WHOLE, &[empty, rows[0]]).expect("one").empty, 1);
    }

    #[test]
    fn thinning_keeps_its_share_always_the_same_rows_and_whole_sessions() {
        let names: Vec<String> = (0..4_000).map(|n| (n / 4).to_string()).collect();
        let rows = |sessions: bool| -> Vec<TraceRow> {
            let row = |(n, name): (usize, &'_ String)| TraceRow {
                session: sessions.then(|| names[n].as_str()).filter(|_| !name.is_empty()),
                ..row(n as Nanos, 1, &[])
            };
            names.iter().enumerate().map(row).collect()
        };
        let thin = TraceCut { thin: 0.3, ..WHOLE };
        let alone = built(thin.clone(), &rows(false)).expect("rows");
        assert!((alone.rows() as f64 / 4_000.0 - 0.3).abs() < 0.03, "{}", alone.rows());
        assert_eq!(alone.at, built(thin.clone(), &rows(false)).expect("rows").at);
        let whole = built(thin, &rows(true)).expect("rows");
        let first = whole.at[0];
        assert!(whole.at.chunks(4).all(|four| four[3] - four[0] == 3), "four by four from {first}");
    }

    #[test]
    fn equal_blocks_after_equal_blocks_are_equal_words_and_nothing_else_is() {
        let rows = [row(0, 10, &[1, 2, 3]), row(1, 9, &[1, 2, 9]), row(2, 8, &[7, 2]), row(3, 12, &[1, 2])];
        for tokens in [Tokens::Words, sample::byte_level()] {
            let trace = built(WHOLE, &rows).expect("rows");
            // Blocks 1 and 2 of the second row, and of the fourth: four tokens each.
            assert_eq!((trace.reusable_tokens(), trace.input_tokens()), (Some(16), 39));
            let workload = replay(trace, tokens);
            let asked = words(&workload, 8);
            let lengths: Vec<usize> = asked.iter().map(Vec::len).collect();
            assert_eq!(lengths, [10, 9, 8, 12, 10, 9, 8, 12]);
            assert_eq!(asked[0][..8], asked[1][..8]);
            assert_ne!(asked[0][8], asked[1][8]);
            assert_ne!(asked[0][4..8], asked[2][4..8], "the same block behind another one");
            assert_eq!(asked[0][..8], asked[3][..8]);
            assert_ne!(asked[0][..8], asked[4][..8], "a second round does not find the first one's blocks");
            assert_eq!(asked[4][..8], asked[5][..8]);
            assert_eq!(asked, words(&workload, 8));
            let other = requests(&workload, &traffic("a", 2), 1);
            assert!(!text(&other[0]).starts_with(&asked[0].join(" ")), "the salt makes them fresh");
        }
    }

    #[test]
    fn scaled_lengths_keep_what_prompts_share() {
        let rows = [row(0, 10, &[1, 2, 3]), row(1, 9, &[1, 2, 9])];
        let cut = TraceCut { scale_input: 1.5, scale_output: 0.1, ..WHOLE };
        let trace = built(cut, &rows).expect("rows");
        assert_eq!((trace.lengths.clone(), trace.reusable_tokens()), (vec![(15, 1), (14, 1)], Some(12)));
        let asked = words(&replay(trace, Tokens::Words), 2);
        assert_eq!((asked[0].len(), asked[1].len()), (15, 14));
        assert_eq!(asked[0][..12], asked[1][..12]);
        assert_ne!(asked[0][12], asked[1][12]);
    }

    #[test]
    fn a_row_has_its_class_and_what_is_asked_is_known_without_words() {
        let chat = TraceRow { class: Some("chat"), ..row(0, 3, &[]) };
        let workload = replay(built(WHOLE, &[chat, row(1, 4, &[])]).expect("rows"), Tokens::Words);
        let asked = requests(&workload, &traffic("a", 1), 2);
        assert_eq!((&*asked[0].class, &*asked[1].class), ("chat", "t"));
        for request in &asked {
            let known = workload.asked(&traffic("a", 1), request.seq);
            assert_eq!((Some(known.input as u32), known.output), (request.asked_input, request.max_tokens));
            let wordless = workload.wordless(&traffic("a", 1), request.seq).expect("made of words");
            assert_eq!((wordless.asked_input, wordless.class), (request.asked_input, request.class.clone()));
        }
    }
}
