//! The rows of `requests/part-*.parquet`: columns, packing, and what else is in the files.
//!
//! Plain types only: no Arrow dictionaries, no unsigned numbers (a difference of two must not
//! wrap), lists with the standard three levels (`event_us.list.element`).

use super::column::{self, Column, IDENTITY, Kind::*, column};
use crate::record::{EventKind, Fields};
use arrow_schema::SchemaRef;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::sync::LazyLock;

pub use super::column::{KEY_VERSION, VERSION};

/// Rows of a row group, and of a part.
pub const GROUP_ROWS: usize = 65_536;

/// Keys of the file metadata.
pub const KEY_RUN: &str = "rampant.run";
pub const KEY_ZERO_MS: &str = "rampant.zero_ms";
const KEY_ZERO: &str = "rampant.zero";
const KEY_EVENT_KIND: &str = "rampant.event_kind";
const KEY_TIMES: &str = "rampant.times";

/// The columns of a request, in file order.
pub(super) const REQUEST: &[Column] = &[
    column("traffic", Word, "what lengths, words and planned times were drawn from: [traffic](metrics.md#traffic)").null("from elsewhere"),
    column("tenant", Word, "for whom").null("always, so far"),
    column("server", Word, "which of several servers answered").null("always, so far"),
    column("class", Word, "label of the workload; empty without one"),
    column("seq", Number, "number in the run's schedule, from 0, warm-up included"),
    column("request_id", Text, "the `x-request-id` header that was sent: joins with server logs"),
    column("phase", Word, "`warmup` or `measured`"),
    column("session", Number, "conversation, from 0").null("not known"),
    column("turn", Number, "request within its conversation, from 0").null("not known"),
    column("parent", Number, "`seq` of the request that it goes on from").null("always, so far"),
    column("branch", Number, "which of several ways on from its parent").null("always, so far"),
    column("prefix", Word, "the prefix that it shares with others").null("always, so far"),
    column("outcome", Word, "`success`, or what went wrong ([list](metrics.md#success))"),
    column("error", Word, "what the server or the system said").null("success"),
    column("status", Code, "HTTP status").null("no response"),
    column("finish_reason", Word, "of the first choice").null("none came"),
    column("streamed", Bool, "the reply was asked for as events"),
    column("sent_at", Instant, "wall clock of `sent_ns`").null("never sent"),
    column("asked_input_tokens", Number, "tokens that the workload asked for").unit("tokens").null("not a made prompt"),
    column("asked_output_tokens", Number, "the limit of the reply that was sent (`max_tokens`), times `n` where several replies are asked for").unit("tokens"),
    column("forced_length", Bool, "the body kept the model from ending its reply itself (`ignore_eos`, `min_tokens` and their like): such a reply goes on beyond its natural end"),
    column("synthetic_text", Bool, "the prompt was made of random words"),
    column("input_tokens", Number, "usage, else the tokenizer's count").unit("tokens").null("nobody knows"),
    column("output_tokens", Number, "usage, else the tokenizer's count, else events").unit("tokens").null("nobody knows"),
    column("output_tokens_source", Word, "`usage`, `tokenizer`, `events`").null("nobody knows"),
    column("input_tokens_usage", Number, "input tokens as the server said").unit("tokens").null("not told"),
    column("output_tokens_usage", Number, "output tokens as the server said").unit("tokens").null("not told"),
    column("cached_tokens", Number, "input tokens from its prefix cache, as the server said").unit("tokens").null("not told"),
    column("reasoning_tokens", Number, "output tokens of reasoning, as the server said").unit("tokens").null("not told"),
    column("doubted_counts", Word, "which of these counts cannot be (`output`, `input`, `cached`; several by commas): 4,294,967,295 tokens in two events, 1 token in fifty. They are kept here and used for nothing").null("none"),
    column("counted_input_tokens", Number, "input tokens by the tokenizer").unit("tokens").null("no tokenizer, or not needed"),
    column("counted_output_tokens", Number, "output tokens by the tokenizer").unit("tokens").null("no tokenizer, or not needed"),
    column("ttft_ms", Real, "from the send to the first event with output").unit("ms").null("no success, or none came"),
    column("ttfo_ms", Real, "from the send to the first event with content; reasoning does not count").unit("ms").null("no success, or none came"),
    column("e2el_ms", Real, "from the send to the last event with output").unit("ms").null("no success"),
    column("tpot_ms", Real, "time per output token after the first").unit("ms").null("fewer than two tokens"),
    column("ntpot_ms", Real, "`e2el_ms` by output tokens").unit("ms").null("no success, or no tokens"),
    column("itl_mean_ms", Real, "mean gap between the output events of this request").unit("ms").null("fewer than two output events"),
    column("response_ttft_ms", Real, "the same as `ttft_ms` from the planned time on: waiting included").unit("ms").null("as `ttft_ms`"),
    column("response_e2el_ms", Real, "the same as `e2el_ms` from the planned time on: waiting included").unit("ms").null("as `e2el_ms`"),
    column("queue_delay_ms", Real, "from the planned time to the send").unit("ms").null("never sent"),
    column("lateness_ms", Real, "how much later than it could it was sent: our own fault").unit("ms").null("never sent"),
    column("audio_ms", Number, "how long the sound in the request plays, by its WAV header or as given").unit("ms").null("no sound, or nobody knows"),
    column("rtfx", Real, "`audio_ms` / `e2el_ms`").null("as `audio_ms`"),
    column("planned_ns", Number, "when it was due").unit("ns"),
    column("admitted_ns", Number, "when `max_in_flight` allowed it").unit("ns"),
    column("connect_started_ns", Number, "when a connection for it was begun").unit("ns").null("it found one"),
    column("connected_ns", Number, "when that connection was open").unit("ns").null("it found one"),
    column("sent_ns", Number, "first byte handed to the socket").unit("ns").null("never sent"),
    column("written_ns", Number, "last byte handed to the socket").unit("ns").null("never sent"),
    column("head_ns", Number, "status line and headers were there").unit("ns").null("no response"),
    column("end_ns", Number, "the body ended, or the fault happened").unit("ns"),
    column("clock", Word, "`kernel` or `read`: where event times come from"),
    column("read_lag_us", Number, "longest delay between the kernel's receipt and our read, without the wait of up to 1 ms in which arrivals gather under load (event times are the kernel's)").unit("µs").null("not known"),
    column("shared_reads", Number, "reads that carried more than one event with output"),
    column("tcp_retransmits", Number, "segments of the request that were sent again").null("not asked"),
    column("tcp_out_of_order", Number, "segments of the reply that came out of order, as behind a lost one").null("not asked"),
    column("tcp_min_rtt_us", Number, "the shortest round trip that the connection has seen").unit("µs").null("not asked"),
    column("body_bytes", Number, "of the response body").unit("bytes"),
    column("reused", Bool, "over a connection that had carried another request"),
    column("reconnects", Number, "1: sent again on a fresh connection, see [metrics](metrics.md)"),
    column("connect_tries", Number, "tries of this request to open a connection: 0 when it found one, above 1 when it waited for a server that refused"),
    column("unclosed", Bool, "the reply said everything, `[DONE]` too, or was a whole JSON object, and its body had no end: it stayed open, or the connection was cut"),
    column("event_us", Times, "when each event arrived, since `sent_ns`").unit("µs"),
    column("event_kind", Repeats, "what each event was: a sum of bits, see below"),
    column("event_tokens", Repeats, "output tokens in each event; 0 where the server did not say").unit("tokens"),
    column("event_bytes", Repeats, "bytes of output text in each event").unit("bytes"),
    column("text", Text, "the reply, with `capture: \"all\"`").null("not kept"),
];

/// The lists of events, and for which fields each is wanted.
pub(super) const LISTS: [(&str, Fields); 4] = [
    ("event_us", Fields::EVENTS),
    ("event_kind", Fields::EVENTS),
    ("event_tokens", Fields::EVENT_TOKENS),
    ("event_bytes", Fields::EVENT_BYTES),
];

/// What a journal has in their place: all events of a row, and how many they are.
pub(super) const EVENTS: &str = "events";
pub(super) const EVENT_COUNT: &str = "event_count";

/// The Arrow schema of a part.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| column::schema_of(&[IDENTITY, REQUEST]));
    SCHEMA.clone()
}

/// How the columns of a part are packed, in their order.
pub(super) fn kinds() -> impl Iterator<Item = column::Kind> {
    IDENTITY.iter().chain(REQUEST).map(|column| column.kind)
}

/// The columns that these fields of a record are rebuilt from; the others are derived, or not wanted.
pub(super) fn raw_columns(wanted: Fields) -> impl Iterator<Item = &'static str> {
    let not_read =
        ["traffic", "server", "parent", "prefix", "input_tokens", "output_tokens", "output_tokens_source"];
    let raw = REQUEST.iter().filter(|column| !matches!(column.kind, Real | Instant));
    let raw = raw.map(|column| column.name).filter(move |name| !not_read.contains(name));
    std::iter::once("run").chain(raw.filter(move |name| wanted.has(fields(name))))
}

/// What of a record a raw column is for.
fn fields(name: &str) -> Fields {
    match name {
        "run" | "seq" | "phase" | "session" | "turn" | "class" | "outcome" | "streamed" => Fields::NONE,
        "planned_ns" | "admitted_ns" | "sent_ns" | "end_ns" => Fields::TIMES,
        "event_us" | "event_kind" => Fields::EVENTS,
        "event_tokens" => Fields::EVENT_TOKENS,
        "event_bytes" => Fields::EVENT_BYTES,
        "tenant" | "branch" => Fields::BELONGS,
        "request_id" => Fields::ID,
        "error" | "finish_reason" => Fields::WORDS,
        "text" => Fields::TEXT,
        "forced_length" | "synthetic_text" | "doubted_counts" | "audio_ms" => Fields::COUNTS,
        name if name.contains("_tokens") => Fields::COUNTS,
        _ => Fields::WAY,
    }
}

/// How a part is packed, with what a reader has to know in its metadata.
pub(super) fn properties(run: &str, zero_ms: i64) -> WriterProperties {
    column::packed_as(&[IDENTITY, REQUEST]).set_key_value_metadata(Some(metadata(run, zero_ms))).build()
}

fn metadata(run: &str, zero_ms: i64) -> Vec<KeyValue> {
    let kinds: Vec<String> = KIND_BITS.iter().map(|(name, bit)| format!("\"{name}\": {}", bit.0)).collect();
    let zero = chrono::DateTime::from_timestamp_millis(zero_ms)
        .map_or_else(String::new, |time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    let pair = |key: &str, value: String| KeyValue::new(key.to_string(), value);
    let mut pairs = column::about(&[]);
    pairs.extend([
        pair(KEY_RUN, run.to_string()),
        pair(KEY_ZERO_MS, zero_ms.to_string()),
        pair(KEY_ZERO, zero),
        pair(KEY_EVENT_KIND, format!("{{{}}}", kinds.join(", "))),
        pair(
            KEY_TIMES,
            "columns in _ns count from the run's zero on a monotonic clock; event_us counts from sent_ns; \
             null: not observed"
                .to_string(),
        ),
    ]);
    pairs
}

/// What each bit of `event_kind` says.
const KIND_BITS: [(&str, EventKind); 11] = [
    ("role", EventKind::ROLE),
    ("reasoning", EventKind::REASONING),
    ("content", EventKind::CONTENT),
    ("tool", EventKind::TOOL),
    ("finish", EventKind::FINISH),
    ("usage", EventKind::USAGE),
    ("error", EventKind::ERROR),
    ("done", EventKind::DONE),
    ("empty", EventKind::EMPTY),
    ("choices", EventKind::CHOICES),
    ("blank", EventKind::BLANK),
];

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::arrow::ArrowSchemaConverter;

    #[test]
    fn lists_have_the_three_standard_levels() {
        let parquet = ArrowSchemaConverter::new().convert(&schema()).unwrap();
        let paths: Vec<String> = parquet.columns().iter().map(|column| column.path().string()).collect();
        assert!(paths.contains(&"event_us.list.element".to_string()), "{paths:?}");
        assert_eq!(paths.len(), IDENTITY.len() + REQUEST.len());
    }

    #[test]
    fn schemas_hold_their_units_and_meanings_and_no_type_that_a_reader_may_lack() {
        let field = schema().field_with_name("event_us").unwrap().clone();
        assert_eq!(field.metadata()["unit"], "µs");
        assert!(field.metadata()["description"].contains("sent_ns"));
        for field in schema().fields() {
            let of = field.data_type().to_string();
            assert!(!of.contains("UInt") && !of.contains("Dictionary"), "{field}");
        }
    }
}
