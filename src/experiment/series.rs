//! One line of a run over time: of what the client saw, or of what the server told.

use super::Experiment;
use super::finished::Finished;
use super::portion::Portion;
use crate::client::scrape::names::{RULES, SCRAPE_GAP, SCRAPE_MS, SHARES};
use crate::error::{self, Error, Result};
use crate::record::{Nanos, Point, Source};
use crate::stats::series::NAMES;
use crate::stats::{ClientSeries, counter};
use crate::store;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Windows of one line: more are a slip in the unit.
const WINDOWS_MAX: Nanos = 1_000_000;

/// What comes before the name of a server's metric.
const SERVER: &str = "server.";

/// (end of the window in nanoseconds since the run's zero, value); windows in which nothing was
/// observed are left out.
pub type Line = Vec<(Nanos, f64)>;

/// A line of what the client saw, or, for `server.NAME`, of what the server told of a whole run. Fails
/// for a name that nobody knows, and where the windows are too many for the run.
pub fn line(experiment: &Experiment, portion: &Portion, name: &str, window: Duration) -> Result<Line> {
    let run = &portion.run;
    let width = width(run, window)?;
    if let Some(metric) = name.strip_prefix(SERVER) {
        let instead =
            "ask the whole run for what the server told; the client's own series are there for parts, too";
        portion.need_whole("series", instead)?;
        return server_line(run, metric, width);
    }
    let series = portion.fold(experiment, ClientSeries::new(width))?;
    series.line(name, run.ended.lasted).ok_or_else(|| {
        let error = Error::usage(format!("series: the client has no series {name:?}"));
        match error::nearest(name, NAMES) {
            Some(near) => error.hint(format!("did you mean {near:?}?")),
            None => error
                .hint(format!("there are {}, and server.NAME such as \"server.running\"", NAMES.join(", "))),
        }
    })
}

/// The windows of a line, in nanoseconds.
fn width(run: &Finished, window: Duration) -> Result<Nanos> {
    let width = Nanos::try_from(window.as_nanos()).unwrap_or(Nanos::MAX / 4).min(Nanos::MAX / 4);
    if width == 0 || run.ended.lasted / width > WINDOWS_MAX {
        return Err(Error::usage(format!("series: a window of {window:?} makes too many points"))
            .hint("a window is a time such as \"1s\""));
    }
    Ok(width)
}

/// The points of a run as they are in its folder.
pub fn points(run: &Finished, mut wanted: impl FnMut(&Point) -> bool) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    let folder = run.folder.path();
    store::series::read(folder, &run.plan.name, |point| {
        if wanted(&point) {
            points.push(point);
        }
    })?;
    Ok(points)
}

/// A line of what the server told. Fails for a metric that nobody knows.
fn server_line(run: &Finished, wanted: &str, width: Nanos) -> Result<Line> {
    let (base, rate) = match wanted.strip_suffix(".rate") {
        Some(base) => (base, true),
        None => (wanted, false),
    };
    let total = format!("{base}_total");
    let mut told = BTreeSet::new();
    let asked = points(run, |point| {
        let mine = point.source == Source::Server;
        if mine && !told.contains(&point.metric) {
            told.insert(point.metric.clone());
        }
        mine && (*point.metric == *base || *point.metric == *total)
    })?;
    let (total, base_line) = (joined(&asked, &total), joined(&asked, base));
    Ok(match (rate, total.is_empty(), base_line.is_empty()) {
        (true, false, _) => counter::rate(&total, width),
        (true, true, false) => counter::rate(&base_line, width),
        (false, _, false) if counts(base) => counter::last(&base_line, width),
        (false, _, false) => counter::mean(&base_line, width),
        // A metric that this server does not tell is no fault of the script.
        _ if is_ours(wanted) => Vec::new(),
        _ => return Err(unknown(wanted, &told)),
    })
}

/// The values of a metric in order of time; those of several label sets are added.
fn joined(points: &[Point], metric: &str) -> Vec<(Nanos, f64)> {
    let mut line: Vec<(Nanos, f64)> = Vec::new();
    for point in points.iter().filter(|point| *point.metric == *metric) {
        match line.last_mut() {
            Some(last) if last.0 == point.at => last.1 += point.value,
            _ => line.push((point.at, point.value)),
        }
    }
    line
}

/// Whether values of this name only grow.
fn counts(name: &str) -> bool {
    ["_total", "_sum", "_count"].iter().any(|ending| name.ends_with(ending))
}

/// Whether we have this name for something that some server tells.
fn is_ours(name: &str) -> bool {
    match name.strip_suffix(".rate") {
        Some(base) => ours().any(|name| name.strip_suffix("_total").unwrap_or(name) == base),
        None => ours().any(|ours| ours == name),
    }
}

fn ours() -> impl Iterator<Item = &'static str> {
    let shares = SHARES.iter().map(|share| share.0);
    RULES.iter().map(|rule| rule.metric).chain(shares).chain([SCRAPE_MS, SCRAPE_GAP])
}

fn unknown(name: &str, told: &BTreeSet<Arc<str>>) -> Error {
    let error = Error::usage(format!("series: the server told no metric {name:?}"));
    let rates = ours().filter_map(|name| Some(format!("{}.rate", name.strip_suffix("_total")?)));
    let names: Vec<String> =
        ours().map(str::to_string).chain(rates).chain(told.iter().map(|name| name.to_string())).collect();
    match error::nearest(name, names.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean \"{SERVER}{near}\"?")),
        None => error.hint("the column `metric` of series.parquet has the names"),
    }
}
