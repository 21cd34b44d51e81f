//! `TruthLog`: what the server really did and when, for clients to be checked against.

use std::collections::{HashMap, VecDeque};
use std::io::Write;

use serde_json::Value;

use crate::engine::nanos::Nanos;

/// Requests that are remembered; the oldest are forgotten first.
const REQUESTS_MAX: usize = 200_000;
/// Stamps that are remembered over all requests (128 MB).
const STAMPS_MAX: usize = 16_000_000;

/// One finished request. Times are nanoseconds of the monotonic clock.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TruthEntry {
    /// The `x-request-id` that came with the request, or the server's own.
    pub id: String,
    /// When its connection was accepted.
    pub accepted: Nanos,
    /// When the last byte of its body had been received by the kernel.
    pub arrival: Nanos,
    /// When the server read it.
    pub read: Nanos,
    /// When it got its slot; `None` if it had no token before its end.
    pub admitted: Option<Nanos>,
    /// One stamp, taken just before the write, for each event with text (events of one write
    /// share it); of a reply that is not streamed, one.
    pub emissions: Vec<Nanos>,
    /// The write of the reply's end; after an abort, when it was noticed.
    pub end: Nanos,
    pub streamed: bool,
    pub prompt_tokens: u32,
    /// Those that were in the prefix cache; `None`: the server has none.
    pub cached_tokens: Option<u32>,
    /// Tokens made, the end-of-text token included.
    pub output_tokens: u32,
    /// `length`, `stop`, `abort`, or the name of the simulated fault.
    pub outcome: &'static str,
}

/// The log of finished requests, oldest first.
#[derive(Default)]
pub struct TruthLog {
    entries: VecDeque<TruthEntry>,
    stamps: usize,
}

impl TruthLog {
    pub fn push(&mut self, entry: TruthEntry) {
        self.stamps += entry.emissions.len();
        self.entries.push_back(entry);
        while self.entries.len() > REQUESTS_MAX || self.stamps > STAMPS_MAX {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.stamps -= oldest.emissions.len();
        }
    }

    /// Forgets everything; how many requests that were.
    pub fn reset(&mut self) -> usize {
        let forgotten = self.entries.len();
        *self = TruthLog::default();
        forgotten
    }

    /// A JSON object by request id, oldest first; with `only`, just that one. An id that was used
    /// again gets `#2`, `#3` and so on.
    pub fn to_json(&self, only: Option<&str>) -> Vec<u8> {
        let mut out = vec![b'{'];
        let mut seen: HashMap<&str, u32> = HashMap::new();
        for entry in self.entries.iter().filter(|entry| only.is_none_or(|id| entry.id == id)) {
            let count = seen.entry(&entry.id).or_insert(0);
            *count += 1;
            if out.len() > 1 {
                out.push(b',');
            }
            let key = if *count == 1 { entry.id.clone() } else { format!("{}#{count}", entry.id) };
            write_entry(&mut out, &key, entry);
        }
        out.push(b'}');
        out
    }
}

fn write_entry(out: &mut Vec<u8>, key: &str, entry: &TruthEntry) {
    let or_null = |time: Option<&Nanos>| time.map_or("null".to_string(), Nanos::to_string);
    let _ = write!(
        out,
        "{}:{{\"accepted_ns\":{},\"arrival_ns\":{},\"read_ns\":{},\"admitted_ns\":{},\"first_ns\":{},\"last_ns\":{},\
         \"end_ns\":{},\"streamed\":{},\"prompt_tokens\":{},\"cached_tokens\":{},\"output_tokens\":{},\"outcome\":\"{}\",\
         \"emissions_ns\":[",
        Value::from(key),
        entry.accepted,
        entry.arrival,
        entry.read,
        or_null(entry.admitted.as_ref()),
        or_null(entry.emissions.first()),
        or_null(entry.emissions.last()),
        entry.end,
        entry.streamed,
        entry.prompt_tokens,
        entry.cached_tokens.map_or("null".to_string(), |tokens| tokens.to_string()),
        entry.output_tokens,
        entry.outcome,
    );
    for (index, stamp) in entry.emissions.iter().enumerate() {
        let _ = write!(out, "{}{stamp}", if index == 0 { "" } else { "," });
    }
    out.extend_from_slice(b"]}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, emissions: Vec<Nanos>) -> TruthEntry {
        TruthEntry {
            id: id.to_string(),
            accepted: 1,
            arrival: 2,
            read: 2,
            admitted: Some(2),
            emissions,
            end: 9,
            streamed: true,
            prompt_tokens: 4,
            cached_tokens: None,
            output_tokens: 3,
            outcome: "length",
        }
    }

    #[test]
    fn the_log_is_json_by_request_id() {
        let mut truth = TruthLog::default();
        truth.push(entry("a", vec![5, 7]));
        truth.push(entry("b", vec![]));
        truth.push(entry("a", vec![8]));
        let json: Value = serde_json::from_slice(&truth.to_json(None)).unwrap();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["a", "b", "a#2"]);
        assert_eq!(json["a"]["emissions_ns"], serde_json::json!([5, 7]));
        assert_eq!((&json["a"]["first_ns"], &json["a"]["last_ns"]), (&Value::from(5), &Value::from(7)));
        assert_eq!(json["b"]["first_ns"], Value::Null);
        let one: Value = serde_json::from_slice(&truth.to_json(Some("b"))).unwrap();
        assert_eq!(one.as_object().unwrap().len(), 1);
        assert_eq!(truth.reset(), 3);
        assert_eq!(truth.to_json(None), b"{}");
    }

    #[test]
    fn the_oldest_are_forgotten_beyond_the_limits() {
        let mut truth = TruthLog::default();
        for number in 0..REQUESTS_MAX + 5 {
            truth.push(entry(&number.to_string(), Vec::new()));
        }
        assert_eq!(truth.entries.len(), REQUESTS_MAX);
        assert_eq!(truth.entries[0].id, "5");
        truth.push(entry("long", vec![0; STAMPS_MAX]));
        assert_eq!(truth.entries.len(), REQUESTS_MAX);
        truth.push(entry("longer", vec![0; 1]));
        assert_eq!(truth.entries.len(), 1);
    }
}
