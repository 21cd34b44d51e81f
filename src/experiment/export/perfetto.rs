//! Chrome's trace events: each request an async slice with its wait, its first token and its tokens in it,
//! and the server's metrics as counters.
//! <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>

use super::files::{Export, Exported, NewFile, Run, cannot_write, quoted};
use crate::error::Result;
use crate::record::{Fields, Nanos, Record, Source};
use crate::store::{reader, series};
use std::io::Result as IoResult;

pub fn write(asked: &Export, runs: &[Run]) -> Result<Exported> {
    let mut done = Exported::default();
    let mut file = NewFile::create(&asked.output, "trace", "json")?;
    let path = asked.output.clone();
    let failed = |error: std::io::Error| cannot_write(&path, &error);
    let first = runs.iter().map(Run::zero_ms).min().unwrap_or_default();
    file.put("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[").map_err(failed)?;
    for (place, run) in runs.iter().enumerate() {
        let track = Track { pid: place + 1, zero_us: (run.zero_ms() - first) as f64 * 1e3 };
        let comma = if place == 0 { "" } else { "," };
        let name = quoted(run.name());
        let head = format!(
            "{comma}\n{{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":{},\"args\":{{\"name\":{name}}}}}",
            track.pid
        );
        file.put(head).map_err(failed)?;
        let thread = format!(
            ",\n{{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":{},\"tid\":1,\"args\":{{\"name\":\"requests\"}}}}",
            track.pid
        );
        file.put(thread).map_err(failed)?;
        let mut broken = None;
        let fields = Fields::OUTPUT.with(Fields::WORDS);
        done.warn(reader::scan(&asked.folder, Some(run.name()), fields, |_, record| {
            if broken.is_none() {
                broken = track.request(&mut file, record).err();
            }
        })?);
        series::read(&asked.folder, run.name(), |point| {
            if broken.is_none() && point.source == Source::Server {
                let labels = point.labels.as_ref().map(|labels| format!("{{{labels}}}")).unwrap_or_default();
                let name = quoted(&format!("{}{labels}", point.metric));
                // The server was asked before the run began: what it said then holds at the beginning.
                let (at, pid) = (track.at(point.at).max(0.0), track.pid);
                let value = if point.value.is_finite() { point.value } else { 0.0 };
                let line = format!(
                    ",\n{{\"ph\":\"C\",\"name\":{name},\"pid\":{pid},\"ts\":{at:.3},\"args\":{{\"value\":{value}}}}}"
                );
                broken = file.put(line).err();
            }
        })?;
        if let Some(error) = broken {
            return Err(failed(error));
        }
    }
    file.put("\n]}\n").map_err(failed)?;
    done.files.push(file.finish()?);
    Ok(done)
}

/// A run is a process of the trace.
struct Track {
    pid: usize,
    /// Of the run's zero since the first run's.
    zero_us: f64,
}

impl Track {
    /// Microseconds since the zero of the first run.
    fn at(&self, at: Nanos) -> f64 {
        self.zero_us + at as f64 / 1e3
    }

    fn request(&self, file: &mut NewFile, record: &Record) -> IoResult<()> {
        let timeline = &record.timeline;
        let id = format!("{}.{}.{}", self.pid, record.seq, record.turn);
        let begin = timeline.planned.min(timeline.sent.unwrap_or(timeline.planned));
        let args = format!(
            "\"seq\":{},\"turn\":{},\"class\":{},\"phase\":\"{}\",\"outcome\":\"{}\",\"input_tokens\":{},\"output_tokens\":{}{}",
            record.seq,
            record.turn,
            quoted(&record.class),
            record.phase.name(),
            record.outcome.name(),
            record.input_tokens().map_or("null".into(), |n| n.to_string()),
            record.output_tokens().map_or("null".into(), |(n, _)| n.to_string()),
            record.error.as_ref().map(|words| format!(",\"error\":{}", quoted(words))).unwrap_or_default(),
        );
        self.slice(file, &id, "request", (begin, timeline.end.max(begin)), &args, |file| {
            let Some(sent) = timeline.sent else { return Ok(()) };
            if sent > begin {
                self.slice(file, &id, "queue", (begin, sent), "", |_| Ok(()))?;
            }
            let mut before = sent;
            for (n, i) in timeline.events.output().enumerate() {
                let at = timeline.event(i).unwrap_or(before).max(before);
                let name = if n == 0 { "first token" } else { "token" };
                let tokens = timeline.events.tokens[i];
                let args = if tokens > 0 { format!("\"tokens\":{tokens}") } else { String::new() };
                self.slice(file, &id, name, (before, at), &args, |_| Ok(()))?;
                before = at;
            }
            Ok(())
        })
    }

    /// A slice with what is in it.
    fn slice(
        &self,
        file: &mut NewFile,
        id: &str,
        name: &str,
        (from, to): (Nanos, Nanos),
        args: &str,
        inner: impl FnOnce(&mut NewFile) -> IoResult<()>,
    ) -> IoResult<()> {
        let head =
            format!("\"cat\":\"request\",\"name\":\"{name}\",\"id\":\"{id}\",\"pid\":{},\"tid\":1", self.pid);
        file.put(format!(",\n{{\"ph\":\"b\",{head},\"ts\":{:.3},\"args\":{{{args}}}}}", self.at(from)))?;
        inner(file)?;
        file.put(format!(",\n{{\"ph\":\"e\",{head},\"ts\":{:.3}}}", self.at(to)))
    }
}
