//! `runs.parquet`: one row per measured run: what it was asked, and what became of it. Its numbers are
//! rows of `statistics.parquet`.

use super::aside::write_aside;
use super::column::{
    self, Column, IDENTITY,
    Kind::{self, Bool, Instant, Number, Real, Text, Word},
    column,
};
use super::identity::RunIdentity;
use super::{reader, table};
use crate::error::Result;
use arrow_array::RecordBatch;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The file's name in a results folder.
pub const FILE: &str = "runs.parquet";

/// What is known of a run, behind what identifies it.
pub(super) const COLUMNS: &[Column] = &[
    column("run_index", Number, "place of the run in its folder, from 0"),
    column("traffic", Word, "what lengths, words and planned times were drawn from: [traffic](metrics.md#traffic)").null("from elsewhere"),
    column("traffic_hash", Word, "[a hash](#traffic_hash) of what it asked and when").null("from elsewhere"),
    column("tenant", Word, "for whom").null("always, so far"),
    column("server", Word, "which of several servers").null("always, so far"),
    column("target", Word, "name of the target"),
    column("api", Word, "protocol"),
    column("backend", Word, "the server by its name in other tools, or the protocol"),
    column("model", Word, "as requests named it"),
    column("tokenizer", Word, "what counted tokens where the server did not"),
    column("seed", Word, "of everything random").null("from elsewhere"),
    column("salt", Word, "what made the words fresh").null("from elsewhere"),
    column("arrivals", Word, "the load shape in words").null("from elsewhere"),
    column("planned_requests", Number, "measured requests that were to be sent").null("no number was given"),
    column("planned_duration_ns", Number, "how long the measured part was to last").unit("ns").null("no time was given"),
    column("request_rate", Real, "requests per second of a load at one rate").unit("1/s").null("of another shape"),
    column("burstiness", Real, "shape of the gaps between requests at one rate: 1 is Poisson, more is more even"),
    column("max_concurrency", Number, "requests in flight at most").null("no limit"),
    column("ramp_up_strategy", Word, "how a rate that grows grows").null("no such load"),
    column("ramp_up_start_rps", Real, "the rate at its beginning").unit("1/s").null("no such load"),
    column("ramp_up_end_rps", Real, "the rate at its end").unit("1/s").null("no such load"),
    column("tags", Kind::Map, "what the script or the command called it"),
    column("parameters", Kind::Map, "the parameters that the script was given"),
    column("date", Word, "when the run began, local time, `YYYYmmdd-HHMMSS`"),
    column("zero_at", Instant, "wall clock of the run's zero"),
    column("zero_ms", Number, "the same in milliseconds since 1970").unit("ms"),
    column("window_start_ns", Number, "beginning of [the window](metrics.md#numbers-of-a-run), since the zero").unit("ns").null("nothing was measured"),
    column("window_end_ns", Number, "its end").unit("ns").null("nothing was measured"),
    column("last_end_ns", Number, "end of the last measured request").unit("ns").null("nothing was measured"),
    column("stopped_by", Word, "why no more was sent"),
    column("recovered", Bool, "the process that measured it was killed, and another one completed its files"),
    column("failures", Text, "failed requests by kind and HTTP status"),
    column("never_sent", Number, "requests that were due for which one cancelled row stands"),
    column("unrecorded", Number, "requests in flight that have no row, since a second Ctrl-C left no time"),
    column("rows_written", Number, "rows in `requests/`"),
    column("verdict", Word, "what the run is worth, in one word: [verdicts](verdicts.md)").null("not judged"),
    column("verdict_reason", Text, "why not more, in one sentence").null("valid"),
    column("verdicts", Word, "every verdict that holds, by commas").null("not judged"),
    column("remarks", Word, "where the load was another than the asked one, by commas: [remarks](verdicts.md#remarks-another-load-than-the-asked-one)").null("none"),
    column("asked_rate", Real, "requests per second of the plan").unit("1/s").null("a closed loop"),
    column("scheduled_rate", Real, "what its schedule drew at random").unit("1/s").null("a closed loop"),
    column("achieved_rate", Real, "what was sent of it").unit("1/s").null("a closed loop"),
    column("asked_concurrency", Number, "users of the plan").null("an open loop"),
    column("delivered_concurrency", Real, "requests in flight on average").null("an open loop"),
    column("read_lag_ms_p50", Real, "how late replies were read, median").unit("ms").null("not known"),
    column("read_lag_ms_p99", Real, "how late replies were read, p99").unit("ms").null("not known"),
    column("shared_read_events_share", Real, "events that came together with others").unit("share").null("no events"),
    column("reconnects", Number, "requests that were sent again on a fresh connection"),
    column("outlasted", Number, "requests that waited for a server to come back"),
    column("unclosed", Number, "whole replies whose body had no end"),
    column("tcp_retransmits_share", Real, "requests with segments that were sent again").unit("share").null("not asked"),
    column("tcp_out_of_order_share", Real, "replies with segments out of order").unit("share").null("not asked"),
    column("tcp_min_rtt_us_p10", Real, "shortest round trip of a connection, p10").unit("µs").null("not asked"),
    column("tcp_min_rtt_us_p90", Real, "shortest round trip of a connection, p90").unit("µs").null("not asked"),
    column("client_cores", Number, "cores that the client might use"),
    column("client_cpu_share", Real, "of them, used by the client").unit("share").null("not known"),
    column("client_cpu_ms", Real, "CPU time of the client").unit("ms"),
    column("cores_busy_share", Real, "of them, used by anybody").unit("share").null("not known"),
    column("cores_taken_share", Real, "of them, used by others").unit("share").null("not known"),
    column("run_queue_share", Real, "of the run, the client's threads waited for a core").unit("share").null("not known"),
    column("cpu_steal_share", Real, "of the cores, taken by other virtual machines").unit("share").null("not known"),
    column("cpu_throttled_share", Real, "of the run, the client was held back by its CPU limit").unit("share").null("not known"),
    column("cpu_throttled_periods", Number, "how often it was held back").null("not known"),
    column("paused_share", Real, "of the run, the client stood still").unit("share").null("not known"),
    column("longest_pause_ms", Real, "the longest time that it stood still").unit("ms").null("not known"),
    column("handing_over_ms", Real, "time that sessions waited to hand their records over").unit("ms").null("not known"),
    column("writer_blocked_ms", Real, "time that rows waited for the disk").unit("ms").null("not known"),
    column("clock_steps", Number, "jumps of the wall clock"),
    column("clock_step_ms_max", Real, "the largest of them").unit("ms").null("not known"),
    column("cached_tokens_share_wanted", Real, "cached share of the input that the load was to have").unit("share").null("no such load"),
    column("cached_tokens_share_seen", Real, "cached share of the input").unit("share").null("not told"),
    column("cached_tokens_share_from", Word, "who told it: the `usage` of the replies, or the counters of the `server`").null("not told"),
    column("requests_needed", Number, "successes that this load needs to be judged").null("not known"),
    column("latency_change_share", Real, "how much the latency moved from the beginning of the run to its end, in shares of it").unit("share").null("too short"),
    column("itl_change_share", Real, "the same of the gaps between tokens").unit("share").null("too short"),
    column("in_flight_change_share", Real, "the same of the requests in flight").unit("share").null("too short"),
    column("server_ttft_ms_mean", Real, "the server's own mean of the time to the first token: [series](series.md#the-servers-own-means)").unit("ms").null("not told"),
    column("server_itl_ms_mean", Real, "the server's own mean of the gaps between tokens").unit("ms").null("not told"),
    column("server_queue_ms_mean", Real, "the server's own mean of the time in its queue").unit("ms").null("not told"),
    column("server_e2el_ms_mean", Real, "the server's own mean of the whole").unit("ms").null("not told"),
    column("server_kv_transfer_ms_mean", Real, "the server's own mean of the transfer of KV caches").unit("ms").null("not told"),
    column("spec_acceptance", Real, "drafted tokens that were accepted").unit("share").null("no speculative decoding"),
    column("server_counter_restarts", Number, "how often the server's counters began again").null("not told"),
    column("server_counters_jump", Bool, "answers came from several workers in turn").null("not told"),
    column("server_scrapes", Number, "answers of the server's `/metrics`"),
    column("server_scrape_gaps", Number, "seconds without one"),
    column("server_scrape_gap_reason", Text, "why the first gap was one").null("no gap"),
    column("server_not_scraped", Text, "why the server's metrics were not read").null("they were"),
    column("server_series_left_out", Number, "series that were too many to be kept"),
];

fn file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// A row with nothing but what each must have: an identity, and else empty texts and zeros.
pub fn blank(of: &RunIdentity) -> Map<String, Value> {
    let mut row = Map::new();
    of.put(&mut row);
    for column in COLUMNS.iter().filter(|column| column.null.is_empty()) {
        let value = match column.kind {
            Word | Text => "".into(),
            Bool => false.into(),
            Kind::Map => Value::Object(Map::new()),
            _ => 0.into(),
        };
        row.insert(column.name.to_string(), value);
    }
    row.insert("run_index".to_string(), of.index.into());
    row
}

/// Adds a row and rewrites the file (aside, then rename). What the row lacks is null; fails when it has
/// more than there are columns, or a value of another type.
pub fn append(folder: &Path, row: Map<String, Value>) -> Result<()> {
    append_all(folder, &[row])
}

/// The same for many rows, of which the file is written once.
pub fn append_all(folder: &Path, more: &[Map<String, Value>]) -> Result<()> {
    let path = file(folder);
    let columns = [IDENTITY, COLUMNS];
    let (mut batches, mut zeros) = before(&path)?;
    zeros.extend(self::zeros(more));
    let bytes = table::fixed(&columns, more).and_then(|more| {
        batches.push(more);
        table::file_of(&columns, batches, &zeros)
    });
    let bytes = bytes.map_err(|error| error.context(format!("cannot write a run to {}", path.display())))?;
    write_aside(&path, &bytes)
}

/// Writes all rows of a folder in place of those that are there.
pub fn save(folder: &Path, rows: &[Map<String, Value>]) -> Result<()> {
    let path = file(folder);
    let columns = [IDENTITY, COLUMNS];
    let zeros = zeros(rows);
    let bytes = table::fixed(&columns, rows).and_then(|rows| table::file_of(&columns, vec![rows], &zeros));
    let bytes = bytes.map_err(|error| error.context(format!("cannot write runs to {}", path.display())))?;
    write_aside(&path, &bytes)
}

/// When a run began, by its id.
fn zero_of(row: &Map<String, Value>) -> Option<(String, i64)> {
    Some((row.get("run_id")?.as_str()?.to_string(), row.get("zero_ms")?.as_i64()?))
}

/// When runs began, milliseconds since 1970, by their ids.
pub(super) type Zeros = Vec<(String, i64)>;

/// The rows that are in the file, and when their runs began.
fn before(path: &Path) -> Result<(Vec<RecordBatch>, Zeros)> {
    if !path.exists() {
        return Ok(Default::default());
    }
    let footer = reader::footer(path)?;
    let batches = reader::batches(path)?.collect::<std::result::Result<Vec<_>, _>>();
    let batches = batches.map_err(|error| reader::cannot_read(path, error))?;
    let schema = column::schema_of(&[IDENTITY, COLUMNS]);
    let batches = match batches.iter().all(|batch| batch.schema().fields() == schema.fields()) {
        true => batches,
        // Of a version without some of the columns.
        false => vec![table::fixed(&[IDENTITY, COLUMNS], &table::from_parquet(path)?)?],
    };
    Ok((batches, column::zeros(footer.file_metadata().key_value_metadata())))
}

/// When the runs of these rows began, milliseconds since 1970, by their ids.
pub(super) fn zeros(rows: &[Map<String, Value>]) -> Zeros {
    rows.iter().filter_map(zero_of).collect()
}

/// All rows of a folder; none when no run is finished yet. A folder of the first version of the schema has
/// the numbers in the same rows.
pub fn rows(folder: &Path) -> Result<Vec<Map<String, Value>>> {
    let path = file(folder);
    if path.exists() { table::from_parquet(&path) } else { Ok(Vec::new()) }
}

#[cfg(test)]
mod tests {
    use super::super::{reader, sample};
    use super::*;
    use serde_json::json;

    fn row(value: Value) -> Map<String, Value> {
        let mut row = blank(&sample::identity("c1", 0));
        row.extend(value.as_object().unwrap().clone());
        row
    }

    #[test]
    fn a_folder_without_runs_has_no_rows() {
        let folder = tempfile::tempdir().unwrap();
        assert!(rows(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn types_never_follow_the_values() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        append(first.path(), row(json!({"achieved_rate": 1, "server_not_scraped": null}))).unwrap();
        let full = json!({"achieved_rate": 2.5, "server_not_scraped": "no", "tags": {"gpus": 8, "a": [1]}});
        append(second.path(), row(full)).unwrap();
        let schema = |folder: &Path| reader::open(&file(folder)).unwrap().schema().fields().clone();
        assert_eq!(schema(first.path()), schema(second.path()));
        let back = rows(second.path()).unwrap().remove(0);
        assert_eq!(back["tags"], json!({"gpus": 8, "a": [1]}));
        assert_eq!((&back["achieved_rate"], &back["run"]), (&json!(2.5), &json!("c1")));
        assert_eq!(rows(first.path()).unwrap()[0]["achieved_rate"], json!(1.0));
        let names: Vec<_> = std::fs::read_dir(first.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing is left aside");
    }

    #[test]
    fn a_row_that_does_not_fit_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for (odd, told) in [
            (json!({"ttft_ms_p99": 1}), "no column \"ttft_ms_p99\""),
            (json!({"never_sent": "many"}), "\"many\" is no value of the column \"never_sent\""),
            (json!({"never_sent": null}), "the column \"never_sent\" needs a value"),
        ] {
            let error = append(folder.path(), row(odd)).unwrap_err();
            assert!(error.message.ends_with(told), "{error}");
        }
        assert!(!file(folder.path()).exists());
    }

    #[test]
    fn a_broken_file_is_an_error_and_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(file(folder.path()), "no parquet").unwrap();
        let error = append(folder.path(), row(json!({}))).unwrap_err();
        assert!(error.message.contains("runs.parquet"), "{error}");
        assert_eq!(std::fs::read(file(folder.path())).unwrap(), b"no parquet");
    }
}
