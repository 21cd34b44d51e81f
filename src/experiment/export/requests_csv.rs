//! One row a request, for spreadsheets; the raw times of events are in the Parquet files alone.

use super::files::{Export, Exported, NewFile, Run, cannot_write};
use crate::error::Result;
use crate::record::{Fields, Record};
use crate::store::reader;

const COLUMNS: [&str; 22] = [
    "run",
    "seq",
    "session",
    "turn",
    "class",
    "phase",
    "outcome",
    "status",
    "planned_ms",
    "sent_ms",
    "end_ms",
    "queue_delay_ms",
    "ttft_ms",
    "ttfo_ms",
    "e2el_ms",
    "tpot_ms",
    "itl_mean_ms",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "finish",
    "error",
];

pub fn write(asked: &Export, runs: &[Run]) -> Result<Exported> {
    let mut done = Exported::default();
    let mut file = NewFile::create(&asked.output, "requests", "csv")?;
    let failed = |error: std::io::Error| cannot_write(&asked.output, &error);
    file.put(format!("\u{feff}{}\r\n", COLUMNS.join(","))).map_err(failed)?;
    for run in runs {
        let mut broken = None;
        let fields = Fields::OUTPUT.with(Fields::WORDS).with(Fields::WAY);
        done.warn(reader::scan(&asked.folder, Some(run.name()), fields, |name, record| {
            if broken.is_none() {
                broken = file.put(line(name, record)).err();
            }
        })?);
        if let Some(error) = broken {
            return Err(failed(error));
        }
    }
    done.files.push(file.finish()?);
    Ok(done)
}

fn line(run: &str, record: &Record) -> String {
    let timeline = &record.timeline;
    let ms = |ns: i64| (ns as f64 / 1e6).to_string();
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let whole = |value: Option<u32>| value.map_or(String::new(), |value| value.to_string());
    let cells: [String; COLUMNS.len()] = [
        run.to_string(),
        record.seq.to_string(),
        record.session.to_string(),
        record.turn.to_string(),
        record.class.to_string(),
        record.phase.name().to_string(),
        record.outcome.name().to_string(),
        record.status.map_or(String::new(), |status| status.to_string()),
        ms(timeline.planned),
        timeline.sent.map_or(String::new(), ms),
        ms(timeline.end),
        number(timeline.queue_delay().map(|ns| ns as f64 / 1e6)),
        number(record.ttft_ms()),
        number(record.ttfo_ms()),
        number(record.e2el_ms()),
        number(record.tpot_ms()),
        number(record.itl_request_ms()),
        whole(record.input_tokens()),
        whole(record.output_tokens().map(|(n, _)| n)),
        whole(record.cached_tokens()),
        record.finish.clone().unwrap_or_default(),
        record.error.clone().unwrap_or_default(),
    ];
    let quoted = |cell: &String| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.clone(),
    };
    format!("{}\r\n", cells.iter().map(quoted).collect::<Vec<_>>().join(","))
}
