//! `Rows`: columns as records, the inverse of `encode`.

use crate::record::{Clock, Connect, Doubts, Events, Kind, Outcome, Phase, Record, Timeline, Usage};
use arrow_array::{
    Array, BooleanArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, UInt16Array,
    UInt32Array,
};
use std::collections::HashMap;
use std::sync::Arc;

/// What is wrong with a column, as the end of a sentence.
pub(super) type Broken = String;

/// The columns of a batch that records are rebuilt from, each with its type.
pub(super) struct Rows<'a> {
    run: &'a StringArray,
    seq: &'a Int64Array,
    id: &'a StringArray,
    phase: &'a StringArray,
    session: &'a Int64Array,
    turn: &'a Int64Array,
    class: &'a StringArray,
    outcome: &'a StringArray,
    error: &'a StringArray,
    status: &'a Int32Array,
    finish: &'a StringArray,
    streamed: &'a BooleanArray,
    asked_input: &'a Int64Array,
    asked_output: &'a Int64Array,
    /// Columns that older files do not have.
    load: [Option<&'a BooleanArray>; 2],
    usage: [&'a Int64Array; 4],
    /// A column that older files do not have.
    doubts: Option<&'a StringArray>,
    counted: [&'a Int64Array; 2],
    planned: &'a Int64Array,
    admitted: &'a Int64Array,
    connect: [&'a Int64Array; 2],
    sent: &'a Int64Array,
    written: &'a Int64Array,
    head: &'a Int64Array,
    end: &'a Int64Array,
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
    events: Lists<'a>,
    text: &'a StringArray,
    /// A column that older files do not have.
    audio: Option<&'a Int64Array>,
}

struct Lists<'a> {
    lists: [&'a ListArray; 4],
    at_us: &'a [u32],
    kind: &'a [u16],
    tokens: &'a [u32],
    bytes: &'a [u32],
}

/// Classes that were seen, so that all records of a class share its text.
#[derive(Default)]
pub(super) struct Classes(HashMap<String, Arc<str>>);

impl<'a> Rows<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Result<Rows<'a>, Broken> {
        Ok(Rows {
            run: column(batch, "run")?,
            seq: column(batch, "seq")?,
            id: column(batch, "request_id")?,
            phase: column(batch, "phase")?,
            session: column(batch, "session")?,
            turn: column(batch, "turn")?,
            class: column(batch, "class")?,
            outcome: column(batch, "outcome")?,
            error: column(batch, "error")?,
            status: column(batch, "status")?,
            finish: column(batch, "finish_reason")?,
            streamed: column(batch, "streamed")?,
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
            planned: column(batch, "planned_ns")?,
            admitted: column(batch, "admitted_ns")?,
            connect: [column(batch, "connect_started_ns")?, column(batch, "connected_ns")?],
            sent: column(batch, "sent_ns")?,
            written: column(batch, "written_ns")?,
            head: column(batch, "head_ns")?,
            end: column(batch, "end_ns")?,
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
            events: Lists::new(batch)?,
            text: column(batch, "text")?,
            audio: newer(batch, "audio_ms")?,
        })
    }

    pub(super) fn run(&self, i: usize) -> &'a str {
        self.run.value(i)
    }

    pub(super) fn record(&self, i: usize, classes: &mut Classes) -> Result<Record, Broken> {
        let [input, output, cached, reasoning] = self.usage;
        let [counted_input, counted_output] = self.counted;
        let [forced_length, synthetic_text] =
            self.load.map(|flags| flags.is_some_and(|flags| flags.is_valid(i) && flags.value(i)));
        let status = number(self.status.is_valid(i).then(|| i64::from(self.status.value(i))))?;
        Ok(Record {
            seq: required(self.seq, i)?,
            id: self.id.value(i).to_string(),
            phase: match self.phase.value(i) {
                "warmup" => Phase::Warmup,
                "measured" => Phase::Measured,
                other => return Err(format!("unknown phase \"{other}\"")),
            },
            session: required(self.session, i)?,
            turn: required(self.turn, i)?,
            class: classes.share(self.class.value(i)),
            asked_input: optional(self.asked_input, i)?,
            asked_output: required(self.asked_output, i)?,
            forced_length,
            synthetic_text,
            streamed: self.streamed.value(i),
            timeline: self.timeline(i)?,
            outcome: Outcome::from_name(self.outcome.value(i))
                .ok_or_else(|| format!("unknown outcome \"{}\"", self.outcome.value(i)))?,
            error: text(self.error, i),
            status,
            finish: text(self.finish, i),
            usage: Usage {
                input: optional(input, i)?,
                output: optional(output, i)?,
                cached: optional(cached, i)?,
                reasoning: optional(reasoning, i)?,
            },
            doubts: self
                .doubts
                .and_then(|names| text(names, i))
                .map_or_else(Doubts::default, |names| Doubts::named(&names)),
            counted_output: optional(counted_output, i)?,
            counted_input: optional(counted_input, i)?,
            text: text(self.text, i),
            audio_ms: self.audio.map(|audio| optional(audio, i)).transpose()?.flatten(),
            body_bytes: required(self.body_bytes, i)?,
            reused: self.reused.value(i),
            reconnects: required(self.reconnects, i)?,
            connect_tries: self.connect_tries.map_or(Ok(0), |tries| required(tries, i))?,
            unclosed: self.unclosed.is_some_and(|unclosed| unclosed.value(i)),
        })
    }

    fn timeline(&self, i: usize) -> Result<Timeline, Broken> {
        let [started, done] = self.connect.map(|time| time.is_valid(i).then(|| time.value(i)));
        let nanos = |times: &Int64Array| times.is_valid(i).then(|| times.value(i));
        let mut tcp = [None; 3];
        for (value, array) in tcp.iter_mut().zip(self.tcp) {
            *value = array.map(|array| optional(array, i)).transpose()?.flatten();
        }
        let [retransmits, out_of_order, min_rtt] = tcp;
        Ok(Timeline {
            planned: self.planned.value(i),
            admitted: self.admitted.value(i),
            connect: started.zip(done).map(|(started, done)| Connect { started, done }),
            sent: nanos(self.sent),
            written: nanos(self.written),
            head: nanos(self.head),
            end: self.end.value(i),
            clock: match self.clock.value(i) {
                "kernel" => Clock::Kernel,
                "read" => Clock::Read,
                other => return Err(format!("unknown clock \"{other}\"")),
            },
            events: self.events.events(i)?,
            read_lag_us: optional(self.read_lag, i)?,
            shared_reads: required(self.shared_reads, i)?,
            tcp_retransmits: retransmits,
            tcp_out_of_order: out_of_order,
            tcp_min_rtt_us: min_rtt,
        })
    }
}

impl<'a> Lists<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Lists<'a>, Broken> {
        let lists: [&ListArray; 4] = [
            column(batch, "event_us")?,
            column(batch, "event_kind")?,
            column(batch, "event_tokens")?,
            column(batch, "event_bytes")?,
        ];
        let numbers = |i: usize, name: &str| {
            let values = lists[i].values().as_any().downcast_ref::<UInt32Array>();
            values.map(|values| &values.values()[..]).ok_or_else(|| wrong_type(name))
        };
        let kinds = lists[1].values().as_any().downcast_ref::<UInt16Array>();
        Ok(Lists {
            at_us: numbers(0, "event_us")?,
            kind: kinds.map(|kinds| &kinds.values()[..]).ok_or_else(|| wrong_type("event_kind"))?,
            tokens: numbers(2, "event_tokens")?,
            bytes: numbers(3, "event_bytes")?,
            lists,
        })
    }

    fn events(&self, i: usize) -> Result<Events, Broken> {
        let [at, kind, tokens, bytes] = self.lists.map(|list| {
            let offsets = list.value_offsets();
            offsets[i] as usize..offsets[i + 1] as usize
        });
        if at.len() != kind.len() || at.len() != tokens.len() || at.len() != bytes.len() {
            return Err("event lists of different lengths".to_string());
        }
        Ok(Events {
            at_us: self.at_us[at].to_vec(),
            kind: self.kind[kind].iter().map(|&bits| Kind(bits)).collect(),
            tokens: self.tokens[tokens].to_vec(),
            bytes: self.bytes[bytes].to_vec(),
        })
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
    use super::super::{encode, sample};
    use super::*;

    #[test]
    fn columns_that_an_older_file_lacks_were_not_observed() {
        let records = sample::records(5);
        let batch = encode::batch("a", "a", 0, &records);
        let old: Vec<usize> = (0..batch.num_columns())
            .filter(|i| !batch.schema().field(*i).name().starts_with("tcp_"))
            .collect();
        let old = batch.project(&old).unwrap();
        let back = Rows::new(&old).unwrap().record(4, &mut Classes::default()).unwrap();
        assert_eq!(records[4].timeline.tcp_min_rtt_us, Some(87));
        assert_eq!((back.timeline.tcp_retransmits, back.timeline.tcp_min_rtt_us), (None, None));
        assert_eq!(back.timeline.end, records[4].timeline.end);
    }
}
