//! The result of a run, as a script holds it.

use std::path::PathBuf;
use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, ImmutableString, Map, NativeCallContext};
use std::time::Duration;

use crate::chart;
use crate::error::{Error, Result};
use crate::experiment::finished::{Finished, file_name};
use crate::experiment::series;
use crate::experiment::vllm::{Wanted, save};
use crate::os::{file, heap};
use crate::record::{Record, Source};
use crate::script::fault::{Fallible, raise};
use crate::script::opts::{Opts, need};
use crate::script::state::State;
use crate::script::vllm;
use crate::script::weight::need_room;
use crate::stats::words::grouped;
use crate::stats::{ClientSeries, Condition, Slo, Summary, Window};
use crate::store::reader;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<Handle>("result");
    engine.register_global_module(exported_module!(functions).into());
}

/// A finished run, or a part of one.
#[derive(Clone)]
pub struct Handle {
    pub run: Finished,
    /// The part's own numbers, and its name.
    part: Option<(String, Arc<Summary>)>,
    /// Where in a sweep it stands.
    pub point: Map,
}

impl Handle {
    pub fn new(run: Finished, point: Map) -> Handle {
        Handle { run, part: None, point }
    }

    pub fn summary(&self) -> &Summary {
        self.part.as_ref().map_or(&self.run.summary, |(_, summary)| summary)
    }

    pub fn name(&self) -> String {
        match &self.part {
            Some((part, _)) => format!("{}, {part}", self.run.plan.name),
            None => self.run.plan.name.clone(),
        }
    }

    /// A value by its name; `()` when it was not observed.
    pub fn value(&self, name: &str) -> Fallible<Dynamic> {
        match self.summary().value(name) {
            // A count is a whole number, also when it is printed.
            Ok(Some(value)) if name.ends_with(".count") => Ok((value as i64).into()),
            Ok(value) => Ok(value.map_or(Dynamic::UNIT, Dynamic::from)),
            Err(what) => Err(raise(Error::usage(what))),
        }
    }

    /// Every record of this run, or of this part of it, as they ended, read back from disk.
    pub fn each_record(&self, state: &State, mut each: impl FnMut(Record)) -> Result<()> {
        let class = self.part.as_ref().map(|(class, _)| class.as_str());
        let folder = self.run.folder.path();
        let warnings = reader::requests(folder, Some(&self.run.plan.name), |_, record| {
            if class.is_none_or(|class| class == &*record.class) {
                each(record);
            }
        })?;
        warnings.iter().for_each(|warning| state.console.warn(warning));
        Ok(())
    }

    /// The same in the order of their slots, all at once. Fails when they would take most of the
    /// memory that is free; `call` is what needs them.
    pub fn records(&self, call: &str, state: &State) -> Result<Vec<Record>> {
        let tally = self.summary().tally();
        let tokens = self.summary().value("output_tokens.mean").ok().flatten().unwrap_or(0.0) as u64;
        let each = size_of::<Record>() as u64 + EVENT * tokens;
        let (needed, free) = (tally.requests.saturating_mul(each), heap::free().unwrap_or(u64::MAX));
        if needed > free / 2 {
            let (rows, needed, free) = (grouped(tally.requests), file::size(needed), file::size(free));
            return Err(Error::run(format!(
                "{call}: the {rows} rows of {:?} take about {needed} of memory, and {free} are free",
                self.name()
            ))
            .hint("read its Parquet files on a larger machine"));
        }
        let mut records = Vec::new();
        self.each_record(state, |record| records.push(record))?;
        records.sort_by_key(|record| (record.seq, record.turn));
        Ok(records)
    }

    /// Fails for a part of a run where `what` is there for whole runs alone; `instead` is what to do.
    pub fn whole(&self, what: &str, instead: &str) -> Result<()> {
        match &self.part {
            None => Ok(()),
            Some(_) => {
                let name = self.name();
                let told =
                    format!("{what}: {name:?} is a part of a run, and this is there for whole runs alone");
                Err(Error::usage(told).hint(instead))
            }
        }
    }

    /// Writes it as vLLM's benchmark does; the path.
    pub fn save_vllm(&self, state: &State, wanted: &Wanted) -> Result<PathBuf> {
        let records = wanted.detailed.then(|| self.records("save_vllm", state)).transpose()?;
        save(&state.experiment, &self.run, records.as_deref(), wanted)
    }

    /// One line of it over time.
    fn line(&self, state: &State, name: &str, window: Duration) -> Result<series::Line> {
        let width = series::width(&self.run, window)?;
        let Some(metric) = series::of_server(name) else {
            let fill = |series: &mut ClientSeries| self.each_record(state, |record| series.add(&record));
            return series::client_line(&self.run, name, width, fill);
        };
        let instead =
            "ask the whole run for what the server told; the client's own series are there for parts, too";
        self.whole("series", instead)?;
        series::server_line(&self.run, metric, width)
    }

    /// The pictures of the run, as SVG and PNG. Returns their paths.
    fn draw(&self, state: &State) -> Result<Vec<PathBuf>> {
        self.whole(
            "charts",
            "draw those of the whole run, or chart(#{ data: part, kind: \"cdf\", x: \"ttft\" }) of the part",
        )?;
        heap::aside(|| self.draw_all(state))
    }

    fn draw_all(&self, state: &State) -> Result<Vec<PathBuf>> {
        let records = self.records("charts", state)?;
        let (name, lang) = (self.run.plan.name.as_str(), state.experiment.switches.lang);
        let start = self.run.summary.span().map(|(start, _)| start);
        let mut figures = vec![
            ("distributions", chart::run::distributions(name, &records, lang)),
            ("over_time", chart::run::over_time(name, &records, start, lang)),
            ("timeline", chart::run::timeline(name, &records, lang)),
        ];
        // Counters of several processes in turn have no rate.
        let jumps = self.run.summary.told().is_some_and(|told| told.jumps);
        let told =
            |metric: &str| chart::server::DRAWN.contains(&metric) && !(jumps && metric.ends_with("_total"));
        let points =
            series::points(&self.run, |point| point.source == Source::Server && told(&point.metric))?;
        figures.extend(
            chart::server::over_time(name, &records, &points, start, lang).map(|figure| ("server", figure)),
        );
        let folder = self.run.folder.path().join("charts");
        std::fs::create_dir_all(&folder)
            .map_err(|error| Error::run(format!("cannot make the folder {}: {error}", folder.display())))?;
        let mut paths = Vec::new();
        for (kind, mut figure) in figures {
            state.experiment.secrets.scrub_figure(&mut figure);
            for ending in ["svg", "png"] {
                let path = folder.join(format!("{}-{kind}.{ending}", file_name(name)));
                // Drawn before: the same rows give the same picture.
                if !path.exists() {
                    state.experiment.quota.saving("charts", || figure.save(&path).map(|()| path.clone()))?;
                }
                paths.push(path);
            }
        }
        Ok(paths)
    }

    /// The parts of the run with the same class. All of them have the window of the run, so that
    /// their rates add up to its own.
    fn parts(&self, state: &State) -> Result<Vec<Handle>> {
        self.whole("by", "a part is of one class already; split the whole run")?;
        let mut parts: Vec<(String, Summary)> = Vec::new();
        let span = self.run.summary.span();
        let window = span.map_or(Window::UNKNOWN, |(start, end)| Window::Over { start, end });
        // At the script's charge: the parts live as long as it holds them.
        self.each_record(state, |record| {
            let at = parts.iter().position(|(class, _)| **class == *record.class).unwrap_or_else(|| {
                parts.push((
                    record.class.to_string(),
                    Summary::new(window, self.run.plan.slo.clone(), self.run.plan.open()),
                ));
                parts.len() - 1
            });
            parts[at].1.add(&record);
        })?;
        let part = |(name, summary)| Handle { part: Some((name, Arc::new(summary))), ..self.clone() };
        Ok(parts.into_iter().map(part).collect())
    }
}

/// What an event of a record takes.
const EVENT: u64 = 24;

/// What a point of a series takes as a map.
const POINT: usize = 700;

#[export_module]
mod functions {
    /// A value of the run, such as `r["ttft.p99"]` (ms), `r["output_tokens.rate"]` (per second),
    /// `r["errors.share"]`; `()` when it was not observed. By the server's own counters:
    /// `r["server_ttft.mean"]` (ms; `server_itl`, `server_queue`, `server_e2el`,
    /// `server_kv_transfer`, too), `r["server_cached_tokens.share"]` (or `.sum`),
    /// `r["spec_acceptance.share"]`.
    #[rhai_fn(index_get, pure, return_raw)]
    pub fn at(result: &mut Handle, name: &str) -> Fallible<Dynamic> {
        result.value(name)
    }

    /// The same as `r[name]`.
    #[rhai_fn(name = "get", name = "metric", pure, return_raw)]
    pub fn get(result: &mut Handle, name: &str) -> Fallible<Dynamic> {
        result.value(name)
    }

    /// The summary as a table.
    #[rhai_fn(volatile)]
    pub fn summary(context: NativeCallContext, result: &mut Handle) -> String {
        let state = State::of(&context);
        let told = !state.experiment.tells_in_tables();
        result.summary().table_named(&result.name(), told, state.experiment.switches.lang)
    }

    /// Draws pictures (SVG and PNG) into the results folder: distributions of TTFT and ITL,
    /// rates over time, timeline of requests, and, when the server has metrics, server and
    /// client over time. Returns their paths.
    #[rhai_fn(volatile, return_raw)]
    pub fn charts(context: NativeCallContext, result: &mut Handle) -> Fallible<Array> {
        let state = State::of(&context);
        let paths = result.draw(&state).map_err(raise)?;
        if let Some(folder) = paths.first().and_then(|path| path.parent()) {
            state.console.mention(&state.console.words().charts(&folder.display().to_string()));
        }
        Ok(paths.into_iter().map(|path| path.display().to_string().into()).collect())
    }

    /// One line over time as a list of `#{ t, value }`: `r.series("output_tokens.rate", "1s")`
    /// from the client's records, `r.series("server.running", "1s")` from the server's metrics
    /// (of a whole run, since a server does not tell the classes of a mix apart).
    /// `t` is where a window ends, in seconds since the run's zero; windows in which nothing
    /// was observed have no point.
    #[rhai_fn(volatile, return_raw)]
    pub fn series(
        context: NativeCallContext,
        result: &mut Handle,
        name: &str,
        window: Dynamic,
    ) -> Fallible<Array> {
        let window = need::<Duration>("series", "the window", &window)?;
        let state = State::of(&context);
        let line = heap::aside(|| result.line(&state, name, window)).map_err(raise)?;
        need_room("series", line.len().saturating_mul(POINT))?;
        let point = |(at, value): (i64, f64)| {
            let t = Dynamic::from(at as f64 / 1e9);
            Dynamic::from(Map::from([("t".into(), t), ("value".into(), Dynamic::from(value))]))
        };
        Ok(line.into_iter().map(point).collect())
    }

    /// Records whether a condition held, such as `r.require("ttft.p99 < 500ms")`, and goes on;
    /// the process ends with exit code 99 when one did not hold.
    #[rhai_fn(volatile, return_raw)]
    pub fn require(context: NativeCallContext, result: &mut Handle, condition: &str) -> Fallible<bool> {
        let state = State::of(&context);
        let parsed =
            Condition::parse(condition).map_err(|what| raise(Error::usage(format!("require: {what}"))))?;
        let verdict = parsed.judge(result.summary());
        let held = verdict.holds == Some(true);
        state.experiment.check(&format!("{}: {}", result.name(), verdict.text), held);
        Ok(held)
    }

    /// Whether the run met the objectives: every overall condition, and no more than 1 % of
    /// requests over a limit. What was not observed is not met.
    #[rhai_fn(pure)]
    pub fn meets(result: &mut Handle, slo: Slo) -> bool {
        slo.met(result.summary())
    }

    /// Failures: a map from their kind to their number. A kind is an outcome, or the HTTP status
    /// that the server gave: `http_429`, `http_503`.
    #[rhai_fn(pure)]
    pub fn errors(result: &mut Handle) -> Map {
        let failures = result.summary().failures();
        failures
            .into_iter()
            .map(|failed| (failed.name().into(), Dynamic::from(failed.count as i64)))
            .collect()
    }

    /// The parts of a mix as results of their own: `r.by("class").short["ttft.p99"]`. Rates are
    /// of the same window as those of the run; `charts()`, `save_vllm(...)`, `evidence()` and the
    /// server's series are of the whole run alone.
    #[rhai_fn(volatile, return_raw)]
    pub fn by(context: NativeCallContext, result: &mut Handle, label: &str) -> Fallible<Map> {
        if label != "class" {
            return Err(raise(Error::usage(format!("by: results can be split by \"class\", got {label:?}"))));
        }
        let parts = result.parts(&State::of(&context)).map_err(raise)?;
        Ok(parts
            .into_iter()
            .filter_map(|part| Some((part.part.as_ref()?.0.as_str().into(), Dynamic::from(part.clone()))))
            .collect())
    }

    /// Writes the result as vLLM's benchmark does, as JSON. Options: `filename` (in which `{run}` is
    /// the run's name), `dir`, `detailed` (lists of every request), `append`, `percentiles` (`"50,99"`),
    /// `percentile_metrics` (`"ttft,tpot,itl,e2el"`). Returns the path.
    #[rhai_fn(volatile, return_raw)]
    pub fn save_vllm(context: NativeCallContext, result: &mut Handle, options: Map) -> Fallible<String> {
        let state = State::of(&context);
        let mut opts = Opts::new("save_vllm", options);
        let wanted = vllm::wanted(&mut opts)?;
        opts.finish()?;
        let instead = "save the whole run; a part's numbers are values such as part[\"ttft.p99\"]";
        result.whole("save_vllm", instead).map_err(raise)?;
        let path = heap::aside(|| result.save_vllm(&state, &wanted)).map_err(raise)?;
        Ok(path.display().to_string())
    }

    /// The same options, checked: a slip in them is told before the run and not after it.
    #[rhai_fn(return_raw)]
    pub fn vllm_options(options: Map) -> Fallible<Map> {
        let mut opts = Opts::new("save_vllm", options.clone());
        vllm::wanted(&mut opts)?;
        opts.finish()?;
        Ok(options)
    }

    /// The run's name.
    #[rhai_fn(get = "name", pure)]
    pub fn name(result: &mut Handle) -> String {
        result.name()
    }

    /// What the run is worth as a measurement: `"valid"`, or the worst of what speaks against
    /// it, such as `"client_bound"`. A part is worth what its run is worth.
    #[rhai_fn(get = "verdict", pure)]
    pub fn verdict(result: &mut Handle) -> String {
        result.run.summary.report().map_or("", |report| report.verdict().name()).into()
    }

    /// Seconds of the measured window, which all rates are divided by, the same as
    /// `r["duration"]`; `()` when nothing was measured.
    #[rhai_fn(get = "duration", pure, return_raw)]
    pub fn duration(result: &mut Handle) -> Fallible<Dynamic> {
        result.value("duration")
    }

    /// The results folder.
    #[rhai_fn(get = "path", pure)]
    pub fn path(result: &mut Handle) -> String {
        result.run.folder.path().display().to_string()
    }

    /// The values of a sweep's axes in this run; empty outside a sweep.
    #[rhai_fn(get = "point", pure)]
    pub fn point(result: &mut Handle) -> Map {
        result.point.clone()
    }

    /// The run's name, for printing.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(result: &mut Handle) -> ImmutableString {
        format!("run {}", result.name()).into()
    }
}
