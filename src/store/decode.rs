//! `DecodedRows`: columns as records, the inverse of `encode`.

use super::event_lists::EventLists;
use super::schema::{EVENT_COUNT, EVENTS};
use crate::record::{
    Clock, Connect, Doubts, EventKind, Events, Fields, Outcome, Packed, Phase, Record, Timeline, Usage,
};
use arrow_array::{
    Array, BinaryArray, BooleanArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    UInt16Array, UInt32Array,
};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// What is wrong with a column, as the end of a sentence.
pub(super) type Broken = String;

/// The columns of a batch that records are rebuilt from, each with its type; only those of the wanted
/// [`Fields`].
pub(super) struct DecodedRows<'a> {
    who: Who<'a>,
    belongs: Option<Belongs<'a>>,
    times: Option<Times<'a>>,
    way: Option<Way<'a>>,
    counts: Option<ColumnCounts<'a>>,
    at: Option<List<'a>>,
    kind: Option<List<'a>>,
    tokens: Option<List<'a>>,
    bytes: Option<List<'a>>,
    /// All four lists, as a journal has them.
    packed: Option<PackedEvents<'a>>,
    /// The same, as they were read of a part beside the batch.
    lists: Option<&'a EventLists>,
    id: Option<&'a StringArray>,
    words: Option<[&'a StringArray; 2]>,
    text: Option<&'a StringArray>,
}

struct Who<'a> {
    run: &'a StringArray,
    seq: &'a Int64Array,
    phase: &'a StringArray,
    session: &'a Int64Array,
    turn: &'a Int64Array,
    class: &'a StringArray,
    outcome: &'a StringArray,
    streamed: &'a BooleanArray,
}

/// Columns that older files do not have.
struct Belongs<'a> {
    tenant: Option<&'a StringArray>,
    branch: Option<&'a Int64Array>,
}

struct Times<'a> {
    planned: &'a Int64Array,
    admitted: &'a Int64Array,
    sent: &'a Int64Array,
    end: &'a Int64Array,
}

struct Way<'a> {
    status: Whole<'a>,
    connect: [&'a Int64Array; 2],
    written: &'a Int64Array,
    head: &'a Int64Array,
    clock: &'a StringArray,
    read_lag: &'a Int64Array,
    shared_reads: &'a Int64Array,
    /// Columns that older files do not have.
    tcp: [Option<&'a Int64Array>; 3],
    body_bytes: &'a Int64Array,
    reused: &'a BooleanArray,
    reconnects: &'a Int64Array,
    /// Newer, too.
    connect_tries: Option<&'a Int64Array>,
    unclosed: Option<&'a BooleanArray>,
}

struct ColumnCounts<'a> {
    asked_input: &'a Int64Array,
    asked_output: &'a Int64Array,
    /// Columns that older files do not have.
    load: [Option<&'a BooleanArray>; 2],
    usage: [&'a Int64Array; 4],
    /// A column that older files do not have.
    doubts: Option<&'a StringArray>,
    counted: [&'a Int64Array; 2],
    /// Newer, too.
    audio: Option<&'a Int64Array>,
}

/// A list of numbers for each row.
struct List<'a> {
    list: &'a ListArray,
    values: Whole<'a>,
}

/// The events of each row as they were in memory.
struct PackedEvents<'a> {
    fields: Fields,
    events: &'a BinaryArray,
    count: &'a Int64Array,
}

/// Whole numbers; those of the first version of the schema were as wide as they had to be.
#[derive(Clone, Copy)]
enum Whole<'a> {
    Wide(&'a Int64Array),
    Code(&'a Int32Array),
    Old32(&'a UInt32Array),
    Old16(&'a UInt16Array),
}

/// Classes and tenants that were seen, so that all records of one share its text.
#[derive(Default)]
pub(super) struct Classes(HashMap<String, Arc<str>>);

impl<'a> DecodedRows<'a> {
    /// `lists`: the events of the same rows, where the batch has none.
    pub(super) fn new(
        batch: &'a RecordBatch,
        fields: Fields,
        lists: Option<&'a EventLists>,
    ) -> Result<DecodedRows<'a>, Broken> {
        let has = |of: Fields| fields.has(of).then_some(());
        let texts = |of: Fields, name: &str| has(of).map(|()| column(batch, name)).transpose();
        let packed = PackedEvents::new(batch, fields)?;
        let beside = lists.is_some() || packed.is_some();
        let list = |of: Fields, name: &str| {
            let wanted = has(of).filter(|()| !beside);
            wanted.map(|()| List::new(batch, name)).transpose()
        };
        Ok(DecodedRows {
            who: Who::new(batch)?,
            belongs: has(Fields::BELONGS).map(|()| Belongs::new(batch)).transpose()?,
            times: has(Fields::TIMES).map(|()| Times::new(batch)).transpose()?,
            way: has(Fields::WAY).map(|()| Way::new(batch)).transpose()?,
            counts: has(Fields::COUNTS).map(|()| ColumnCounts::new(batch)).transpose()?,
            at: list(Fields::EVENTS, "event_us")?,
            kind: list(Fields::EVENTS, "event_kind")?,
            tokens: list(Fields::EVENT_TOKENS, "event_tokens")?,
            bytes: list(Fields::EVENT_BYTES, "event_bytes")?,
            packed,
            lists,
            id: texts(Fields::ID, "request_id")?,
            words: texts(Fields::WORDS, "error")?
                .zip(texts(Fields::WORDS, "finish_reason")?)
                .map(<[_; 2]>::from),
            text: texts(Fields::TEXT, "text")?,
        })
    }

    pub(super) fn run(&self, i: usize) -> &'a str {
        self.who.run.value(i)
    }

    /// Writes row `i` over what was in `record`, of which the fields that nobody wants stay as they are.
    pub(super) fn fill(&self, i: usize, record: &mut Record, classes: &mut Classes) -> Result<(), Broken> {
        self.who.fill(i, record, classes)?;
        if let Some(belongs) = &self.belongs {
            belongs.fill(i, record, classes)?;
        }
        if let Some(times) = &self.times {
            times.fill(i, &mut record.timeline);
        }
        if let Some(way) = &self.way {
            way.fill(i, record)?;
        }
        if let Some(counts) = &self.counts {
            counts.fill(i, record)?;
        }
        if let Some(id) = self.id {
            id.value(i).clone_into(&mut record.id);
        }
        if let Some([error, finish]) = self.words {
            record.error = text(error, i);
            record.finish = text(finish, i);
        }
        if let Some(of) = self.text {
            record.text = text(of, i);
        }
        self.events(i, &mut record.timeline.events)
    }

    fn events(&self, i: usize, events: &mut Events) -> Result<(), Broken> {
        if let Some(packed) = &self.packed {
            return packed.fill(i, events);
        }
        if let Some(lists) = self.lists {
            return lists.fill(i, events);
        }
        events.clear();
        if let Some(at) = &self.at {
            at.extend(i, &mut events.at_us)?;
        }
        if let Some(kind) = &self.kind {
            kind.kinds(i, &mut events.kind)?;
        }
        if let Some(tokens) = &self.tokens {
            tokens.extend(i, &mut events.tokens)?;
        }
        if let Some(bytes) = &self.bytes {
            bytes.extend(i, &mut events.bytes)?;
        }
        let lengths = [
            self.kind.is_some().then_some(events.kind.len()),
            self.tokens.is_some().then_some(events.tokens.len()),
            self.bytes.is_some().then_some(events.bytes.len()),
        ];
        if self.at.is_some() && lengths.into_iter().flatten().any(|length| length != events.len()) {
            return Err("event lists of different lengths".to_string());
        }
        Ok(())
    }
}

impl<'a> Who<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Who<'a>, Broken> {
        Ok(Who {
            run: column(batch, "run")?,
            seq: column(batch, "seq")?,
            phase: column(batch, "phase")?,
            session: column(batch, "session")?,
            turn: column(batch, "turn")?,
            class: column(batch, "class")?,
            outcome: column(batch, "outcome")?,
            streamed: column(batch, "streamed")?,
        })
    }

    fn fill(&self, i: usize, record: &mut Record, classes: &mut Classes) -> Result<(), Broken> {
        record.seq = required(self.seq, i)?;
        record.phase = match self.phase.value(i) {
            "warmup" => Phase::Warmup,
            "measured" => Phase::Measured,
            other => return Err(format!("unknown phase \"{other}\"")),
        };
        // What came from elsewhere may know no conversations.
        record.session = optional(self.session, i)?.unwrap_or(record.seq);
        record.turn = optional(self.turn, i)?.unwrap_or(0);
        if *record.class != *self.class.value(i) {
            record.class = classes.share(self.class.value(i));
        }
        record.outcome = Outcome::from_name(self.outcome.value(i))
            .ok_or_else(|| format!("unknown outcome \"{}\"", self.outcome.value(i)))?;
        record.streamed = self.streamed.value(i);
        Ok(())
    }
}

impl<'a> Belongs<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Belongs<'a>, Broken> {
        Ok(Belongs { tenant: newer(batch, "tenant")?, branch: newer(batch, "branch")? })
    }

    fn fill(&self, i: usize, record: &mut Record, texts: &mut Classes) -> Result<(), Broken> {
        let tenant = self.tenant.filter(|tenant| tenant.is_valid(i));
        record.tenant = tenant.map(|tenant| texts.share(tenant.value(i)));
        record.branch = self.branch.map(|branch| optional(branch, i)).transpose()?.flatten();
        Ok(())
    }
}

impl<'a> Times<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Times<'a>, Broken> {
        Ok(Times {
            planned: column(batch, "planned_ns")?,
            admitted: column(batch, "admitted_ns")?,
            sent: column(batch, "sent_ns")?,
            end: column(batch, "end_ns")?,
        })
    }

    fn fill(&self, i: usize, timeline: &mut Timeline) {
        timeline.planned = self.planned.value(i);
        timeline.admitted = self.admitted.value(i);
        timeline.sent = nanos(self.sent, i);
        timeline.end = self.end.value(i);
    }
}

impl<'a> Way<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Way<'a>, Broken> {
        Ok(Way {
            status: whole(batch, "status")?,
            connect: [column(batch, "connect_started_ns")?, column(batch, "connected_ns")?],
            written: column(batch, "written_ns")?,
            head: column(batch, "head_ns")?,
            clock: column(batch, "clock")?,
            read_lag: column(batch, "read_lag_us")?,
            shared_reads: column(batch, "shared_reads")?,
            tcp: [
                newer(batch, "tcp_retransmits")?,
                newer(batch, "tcp_out_of_order")?,
                newer(batch, "tcp_min_rtt_us")?,
            ],
            body_bytes: column(batch, "body_bytes")?,
            reused: column(batch, "reused")?,
            reconnects: column(batch, "reconnects")?,
            connect_tries: newer(batch, "connect_tries")?,
            unclosed: newer(batch, "unclosed")?,
        })
    }

    fn fill(&self, i: usize, record: &mut Record) -> Result<(), Broken> {
        let [started, done] = self.connect.map(|time| nanos(time, i));
        let timeline = &mut record.timeline;
        timeline.connect = started.zip(done).map(|(started, done)| Connect { started, done });
        timeline.written = nanos(self.written, i);
        timeline.head = nanos(self.head, i);
        timeline.clock = match self.clock.value(i) {
            "kernel" => Clock::Kernel,
            "read" => Clock::Read,
            other => return Err(format!("unknown clock \"{other}\"")),
        };
        timeline.read_lag_us = optional(self.read_lag, i)?;
        timeline.shared_reads = required(self.shared_reads, i)?;
        let tcp = |array: Option<&Int64Array>| array.map(|array| optional(array, i)).transpose();
        timeline.tcp_retransmits = tcp(self.tcp[0])?.flatten();
        timeline.tcp_out_of_order = tcp(self.tcp[1])?.flatten();
        timeline.tcp_min_rtt_us = tcp(self.tcp[2])?.flatten();
        record.status = number(self.status.at(i))?;
        record.body_bytes = required(self.body_bytes, i)?;
        record.reused = self.reused.value(i);
        record.reconnects = required(self.reconnects, i)?;
        record.connect_tries = self.connect_tries.map_or(Ok(0), |tries| required(tries, i))?;
        record.unclosed = self.unclosed.is_some_and(|unclosed| unclosed.value(i));
        Ok(())
    }
}

impl<'a> ColumnCounts<'a> {
    fn new(batch: &'a RecordBatch) -> Result<ColumnCounts<'a>, Broken> {
        Ok(ColumnCounts {
            asked_input: column(batch, "asked_input_tokens")?,
            asked_output: column(batch, "asked_output_tokens")?,
            load: [newer(batch, "forced_length")?, newer(batch, "synthetic_text")?],
            usage: [
                column(batch, "input_tokens_usage")?,
                column(batch, "output_tokens_usage")?,
                column(batch, "cached_tokens")?,
                column(batch, "reasoning_tokens")?,
            ],
            doubts: newer(batch, "doubted_counts")?,
            counted: [column(batch, "counted_input_tokens")?, column(batch, "counted_output_tokens")?],
            audio: newer(batch, "audio_ms")?,
        })
    }

    fn fill(&self, i: usize, record: &mut Record) -> Result<(), Broken> {
        let [input, output, cached, reasoning] = self.usage;
        let [counted_input, counted_output] = self.counted;
        let [forced_length, synthetic_text] =
            self.load.map(|flags| flags.is_some_and(|flags| flags.is_valid(i) && flags.value(i)));
        record.asked_input = optional(self.asked_input, i)?;
        record.asked_output = required(self.asked_output, i)?;
        record.forced_length = forced_length;
        record.synthetic_text = synthetic_text;
        record.usage = Usage {
            input: optional(input, i)?,
            output: optional(output, i)?,
            cached: optional(cached, i)?,
            reasoning: optional(reasoning, i)?,
        };
        let doubted = self.doubts.filter(|names| names.is_valid(i));
        record.doubts = doubted.map_or_else(Doubts::default, |names| Doubts::named(names.value(i)));
        record.counted_output = optional(counted_output, i)?;
        record.counted_input = optional(counted_input, i)?;
        record.audio_ms = self.audio.map(|audio| optional(audio, i)).transpose()?.flatten();
        Ok(())
    }
}

impl<'a> List<'a> {
    fn new(batch: &'a RecordBatch, name: &str) -> Result<List<'a>, Broken> {
        let list: &ListArray = column(batch, name)?;
        let values = Whole::of(list.values()).ok_or_else(|| wrong_type(name))?;
        Ok(List { list, values })
    }

    /// Adds the numbers of row `i`. One that is too large for a record is the largest there.
    fn extend(&self, i: usize, to: &mut Vec<u32>) -> Result<(), Broken> {
        let range = self.range(i);
        match self.values {
            Whole::Wide(values) => {
                let values = &values.values()[range];
                if let Some(value) = values.iter().find(|value| **value < 0) {
                    return Err(format!("a number out of range: {value}"));
                }
                to.extend(values.iter().map(|value| u32::try_from(*value).unwrap_or(u32::MAX)));
            }
            Whole::Old32(values) => to.extend_from_slice(&values.values()[range]),
            Whole::Old16(values) => to.extend(values.values()[range].iter().map(|value| u32::from(*value))),
            Whole::Code(_) => return Err("numbers of another type than ours".to_string()),
        }
        Ok(())
    }

    fn kinds(&self, i: usize, to: &mut Vec<EventKind>) -> Result<(), Broken> {
        if let Whole::Old16(values) = self.values {
            to.extend(values.values()[self.range(i)].iter().map(|bits| EventKind(*bits)));
            return Ok(());
        }
        let Whole::Wide(values) = self.values else {
            return Err("kinds of events of another type than ours".to_string());
        };
        for value in &values.values()[self.range(i)] {
            to.push(EventKind(u16::try_from(*value).map_err(|_| format!("unknown kind of event {value}"))?));
        }
        Ok(())
    }

    fn range(&self, i: usize) -> Range<usize> {
        let offsets = self.list.value_offsets();
        offsets[i] as usize..offsets[i + 1] as usize
    }
}

impl<'a> PackedEvents<'a> {
    /// `None` where the columns are those of a part.
    fn new(batch: &'a RecordBatch, fields: Fields) -> Result<Option<PackedEvents<'a>>, Broken> {
        let Some(events) = newer(batch, EVENTS)? else { return Ok(None) };
        Ok(Some(PackedEvents { fields, events, count: column(batch, EVENT_COUNT)? }))
    }

    fn fill(&self, i: usize, events: &mut Events) -> Result<(), Broken> {
        let has = |of: Fields| self.fields.has(of);
        let wanted = [Fields::EVENTS, Fields::EVENT_TOKENS, Fields::EVENT_BYTES].map(has);
        if wanted == [false; 3] {
            events.clear();
            return Ok(());
        }
        if !Packed::read(self.events.value(i), required(self.count, i)?, events) {
            return Err("events that are damaged".to_string());
        }
        let [times, tokens, bytes] = wanted;
        if !times {
            events.at_us.clear();
            events.kind.clear();
        }
        if !tokens {
            events.tokens.clear();
        }
        if !bytes {
            events.bytes.clear();
        }
        Ok(())
    }
}

impl Classes {
    fn share(&mut self, class: &str) -> Arc<str> {
        if let Some(known) = self.0.get(class) {
            return known.clone();
        }
        let new: Arc<str> = Arc::from(class);
        self.0.insert(class.to_string(), new.clone());
        new
    }
}

fn column<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A, Broken> {
    let column = batch.column_by_name(name).ok_or_else(|| format!("no column \"{name}\""))?;
    column.as_any().downcast_ref::<A>().ok_or_else(|| wrong_type(name))
}

impl<'a> Whole<'a> {
    fn of(array: &'a dyn Array) -> Option<Whole<'a>> {
        let any = array.as_any();
        let wide = || any.downcast_ref().map(Whole::Wide);
        let code = || any.downcast_ref().map(Whole::Code);
        let old = || any.downcast_ref().map(Whole::Old32);
        wide().or_else(code).or_else(old).or_else(|| any.downcast_ref().map(Whole::Old16))
    }

    fn at(self, i: usize) -> Option<i64> {
        match self {
            Whole::Wide(array) => array.is_valid(i).then(|| array.value(i)),
            Whole::Code(array) => array.is_valid(i).then(|| array.value(i).into()),
            Whole::Old32(array) => array.is_valid(i).then(|| array.value(i).into()),
            Whole::Old16(array) => array.is_valid(i).then(|| array.value(i).into()),
        }
    }
}

fn whole<'a>(batch: &'a RecordBatch, name: &str) -> Result<Whole<'a>, Broken> {
    let column = batch.column_by_name(name).ok_or_else(|| format!("no column \"{name}\""))?;
    Whole::of(column).ok_or_else(|| wrong_type(name))
}

/// A column that files of an earlier version may lack.
fn newer<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<Option<&'a A>, Broken> {
    if batch.column_by_name(name).is_none() {
        return Ok(None);
    }
    column(batch, name).map(Some)
}

fn wrong_type(name: &str) -> Broken {
    format!("column \"{name}\" has another type than ours")
}

fn text(array: &StringArray, i: usize) -> Option<String> {
    array.is_valid(i).then(|| array.value(i).to_string())
}

fn nanos(times: &Int64Array, i: usize) -> Option<i64> {
    times.is_valid(i).then(|| times.value(i))
}

fn required<N: TryFrom<i64>>(array: &Int64Array, i: usize) -> Result<N, Broken> {
    number(Some(array.value(i)))?.ok_or_else(|| "an empty cell where a number must be".to_string())
}

fn optional<N: TryFrom<i64>>(array: &Int64Array, i: usize) -> Result<Option<N>, Broken> {
    number(array.is_valid(i).then(|| array.value(i)))
}

fn number<N: TryFrom<i64>>(value: Option<i64>) -> Result<Option<N>, Broken> {
    let fit = |value| N::try_from(value).map_err(|_| format!("a number out of range: {value}"));
    value.map(fit).transpose()
}

#[cfg(test)]
mod tests {
    use super::super::{sample, schema};
    use super::*;

    #[test]
    fn columns_that_an_older_file_lacks_were_not_observed() {
        let records = sample::records(5);
        let batch = sample::batch(&sample::identity("a", 0), 0, &records);
        let old: Vec<usize> = (0..batch.num_columns())
            .filter(|i| !batch.schema().field(*i).name().starts_with("tcp_"))
            .collect();
        let old = batch.project(&old).unwrap();
        let mut back = Record::blank();
        let rows = DecodedRows::new(&old, Fields::ALL, None).unwrap();
        rows.fill(4, &mut back, &mut Classes::default()).unwrap();
        assert_eq!(records[4].timeline.tcp_min_rtt_us, Some(87));
        assert_eq!((back.timeline.tcp_retransmits, back.timeline.tcp_min_rtt_us), (None, None));
        assert_eq!(back.timeline.end, records[4].timeline.end);
    }
    #[test]
    fn only_the_wanted_fields_are_filled_in_and_a_row_leaves_nothing_of_the_one_before() {
        let records = sample::records(60);
        let batch = sample::batch(&sample::identity("a", 0), 0, &records);
        let one = [
            Fields::NONE,
            Fields::TIMES,
            Fields::WAY,
            Fields::COUNTS,
            Fields::EVENTS,
            Fields::EVENT_TOKENS,
            Fields::EVENT_BYTES,
            Fields::ID,
            Fields::WORDS,
            Fields::TEXT,
            Fields::BELONGS,
            Fields::OUTPUT,
            Fields::ALL,
        ];
        for fields in one {
            let names: Vec<&str> = schema::raw_columns(fields).collect();
            let wanted = |i: &usize| names.contains(&&**batch.schema().field(*i).name());
            let some: Vec<usize> = (0..batch.num_columns()).filter(wanted).collect();
            let some = batch.project(&some).unwrap();
            let rows = DecodedRows::new(&some, fields, None).unwrap();
            let (mut back, mut classes) = (Record::blank(), Classes::default());
            for (i, record) in records.iter().enumerate() {
                rows.fill(i, &mut back, &mut classes).unwrap();
                assert_eq!(format!("{back:?}"), format!("{:?}", record.only(fields)), "{fields:?}");
            }
        }
    }
}
