//! The result of a run, as a script holds it.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, ImmutableString, Map, NativeCallContext};
use std::time::Duration;

use crate::error::Error;
use crate::experiment::check::{Check, Held};
use crate::experiment::finished::Finished;
use crate::experiment::pictures;
use crate::experiment::portion::Portion;
use crate::experiment::series;
use crate::experiment::vllm::save;
use crate::lang::Lang;
use crate::os::heap;
use crate::script::fault::{Fallible, raise};
use crate::script::options::vllm::SAVE_VLLM;
use crate::script::opts::{Opts, need};
use crate::script::state::State;
use crate::script::vllm;
use crate::script::weight::need_room;
use crate::stats::estimate::Estimate;
use crate::stats::{Condition, Slo, Summary};

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<ResultHandle>("result");
    engine.register_global_module(exported_module!(functions).into());
}

/// A finished run, or a part of one.
#[derive(Clone)]
pub struct ResultHandle {
    pub portion: Portion,
    /// Where in a sweep it stands.
    pub point: Map,
}

impl ResultHandle {
    pub fn new(run: Finished, point: Map) -> ResultHandle {
        ResultHandle { portion: Portion::whole(run), point }
    }

    pub fn summary(&self) -> &Summary {
        self.portion.summary()
    }

    pub fn name(&self) -> String {
        self.portion.name()
    }

    /// A value by its name; `()` when it was not observed.
    pub fn value(&self, name: &str) -> Fallible<Dynamic> {
        match self.summary().value(name) {
            // A count is a whole number, also when it is printed.
            Ok(Some(value)) if name.ends_with(".count") => Ok((value as i64).into()),
            Ok(value) => Ok(value.map_or(Dynamic::UNIT, Dynamic::from)),
            Err(what) => self.own(name).unwrap_or_else(|| Err(raise(Error::usage(what)))),
        }
    }

    /// A value of a metric of the script's own; `None`: nothing was added to any of that name.
    fn own(&self, name: &str) -> Option<Fallible<Dynamic>> {
        let run = &self.portion.run;
        let seconds = run.summary.span().map(|(start, end)| (end - start) as f64 / 1e9);
        let value = run.own.value(name, seconds)?;
        if !self.portion.part().name().is_empty() {
            let told = format!("{name} is a value of the whole run, and not of a part of it");
            return Some(Err(raise(Error::usage(told))));
        }
        Some(match value {
            Ok(Some(value)) if name.ends_with(".count") => Ok((value as i64).into()),
            Ok(value) => Ok(value.map_or(Dynamic::UNIT, Dynamic::from)),
            Err(told) => Err(raise(Error::usage(told))),
        })
    }
}

/// An estimate for a script.
fn told(estimate: &Estimate, value: Dynamic, lang: Lang) -> Map {
    let number = |number: Option<f64>| number.map_or(Dynamic::UNIT, Dynamic::from);
    let words = |words: Option<String>| words.map_or(Dynamic::UNIT, Dynamic::from);
    Map::from([
        ("value".into(), value),
        ("low".into(), number(estimate.low())),
        ("high".into(), number(estimate.high())),
        ("n".into(), (estimate.n as i64).into()),
        ("mark".into(), words(estimate.mark.map(|mark| mark.name().into()))),
        ("why".into(), words(estimate.mark.map(|mark| mark.text(lang)))),
    ])
}

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
    pub fn at(result: &mut ResultHandle, name: &str) -> Fallible<Dynamic> {
        result.value(name)
    }

    /// The same as `r[name]`.
    #[rhai_fn(name = "get", name = "metric", pure, return_raw)]
    pub fn get(result: &mut ResultHandle, name: &str) -> Fallible<Dynamic> {
        result.value(name)
    }

    /// A value with its 95 % interval: `#{ value, low, high, n, mark, why }`. `n` is how many values stand
    /// behind it. Without an interval `low` and `high` are `()`, and `mark` says why: `"few_blocks"` (too
    /// short a run), `"few_values"` (of a percentile, which may have a `low` all the same), `"not_steady"`,
    /// or `()` of what has none: a count, a sum, a maximum. `"none_seen"`: it never happened, and the
    /// interval is what so many requests can exclude. `why` is the same in words.
    #[rhai_fn(volatile, return_raw)]
    pub fn ci(context: NativeCallContext, result: &mut ResultHandle, name: &str) -> Fallible<Map> {
        let lang = State::of(&context).experiment.switches.lang;
        let estimate = result.summary().estimate(name).map_err(|what| raise(Error::usage(what)))?;
        Ok(super::told(&estimate, result.value(name)?, lang))
    }

    /// The summary as a table.
    #[rhai_fn(volatile)]
    pub fn summary(context: NativeCallContext, result: &mut ResultHandle) -> String {
        let state = State::of(&context);
        let told = !state.experiment.tells_in_tables();
        result.summary().table_named(&result.name(), told, state.experiment.switches.lang)
    }

    /// Draws pictures (SVG and PNG) into the results folder: distributions of TTFT and ITL,
    /// rates over time, timeline of requests, and, when the server has metrics, server and
    /// client over time. Returns their paths.
    #[rhai_fn(volatile, return_raw)]
    pub fn charts(context: NativeCallContext, result: &mut ResultHandle) -> Fallible<Array> {
        let state = State::of(&context);
        let paths = heap::aside(|| pictures::draw(&state.experiment, &result.portion)).map_err(raise)?;
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
        result: &mut ResultHandle,
        name: &str,
        window: Dynamic,
    ) -> Fallible<Array> {
        let window = need::<Duration>("series", "the window", &window)?;
        let state = State::of(&context);
        let line = heap::aside(|| series::line(&state.experiment, &result.portion, name, window));
        let line = line.map_err(raise)?;
        need_room("series", line.len().saturating_mul(POINT))?;
        let point = |(at, value): (i64, f64)| {
            let t = Dynamic::from(at as f64 / 1e9);
            Dynamic::from(Map::from([("t".into(), t), ("value".into(), Dynamic::from(value))]))
        };
        Ok(line.into_iter().map(point).collect())
    }

    /// Records whether a condition held, such as `r.require("ttft.p99 < 500ms")`, and goes on. It holds
    /// when all of the value's interval is within the limit, and is broken when none of it is: the process
    /// ends with exit code 99 when one was broken, and with 95 when one is undecided and none broken
    /// (unless `--undecided pass`). Without an interval the value alone decides; a run that was not steady
    /// never shows that a limit holds.
    #[rhai_fn(volatile, return_raw)]
    pub fn require(context: NativeCallContext, result: &mut ResultHandle, condition: &str) -> Fallible<bool> {
        let state = State::of(&context);
        let parsed =
            Condition::parse(condition).map_err(|what| raise(Error::usage(format!("require: {what}"))))?;
        let check = Check::condition(result.name(), parsed.judge(result.summary()));
        let held = check.held;
        state.experiment.check(check);
        Ok(held == Held::Yes || held == Held::Undecided && state.experiment.switches.undecided_passes)
    }

    /// Whether the run met the objectives: every overall condition, and no more than 1 % of
    /// requests over a limit. What was not observed is not met.
    #[rhai_fn(pure)]
    pub fn meets(result: &mut ResultHandle, slo: Slo) -> bool {
        slo.met(result.summary())
    }

    /// Failures: a map from their kind to their number. A kind is an outcome, or the HTTP status
    /// that the server gave: `http_429`, `http_503`.
    #[rhai_fn(pure)]
    pub fn errors(result: &mut ResultHandle) -> Map {
        let failures = result.summary().failures();
        failures
            .into_iter()
            .map(|failed| (failed.name().into(), Dynamic::from(failed.count as i64)))
            .collect()
    }

    /// The parts of a run as results of their own: `r.by("class").short["ttft.p99"]`. Labels are
    /// `"class"`, `"turn"` (of a conversation, from 0), `"phase"` (`warmup`, `measured`), `"outcome"`
    /// (`success` and the kinds of failures), `"model"`, `"target"`, and the name of a tag of the run.
    /// A part answers what a run answers, `by` too: `r.by("class").short.by("turn")`. Rates are of the
    /// same window as those of the run; the part `warmup` has a window of its own. Only `evidence()` and
    /// the server's series are of the whole run alone.
    #[rhai_fn(volatile, return_raw)]
    pub fn by(context: NativeCallContext, result: &mut ResultHandle, label: &str) -> Fallible<Map> {
        let state = State::of(&context);
        let parts = heap::aside(|| result.portion.split(&state.experiment, label)).map_err(raise)?;
        // At the script's charge: the parts live as long as it holds them.
        let handle = |portion: Portion| {
            Dynamic::from(ResultHandle { portion: portion.own(), point: result.point.clone() })
        };
        Ok(parts.into_iter().map(|(value, portion)| (value.into(), handle(portion))).collect())
    }

    /// Writes the result as vLLM's benchmark does, as JSON. Returns the path.
    #[rhai_fn(volatile, return_raw)]
    pub fn save_vllm(
        context: NativeCallContext,
        result: &mut ResultHandle,
        options: Map,
    ) -> Fallible<String> {
        let state = State::of(&context);
        let mut opts = Opts::of(&SAVE_VLLM, options);
        let wanted = vllm::wanted(&mut opts)?;
        opts.finish()?;
        let path = heap::aside(|| save(&state.experiment, &result.portion, &wanted)).map_err(raise)?;
        Ok(path.display().to_string())
    }

    /// The run's name.
    #[rhai_fn(get = "name", pure)]
    pub fn name(result: &mut ResultHandle) -> String {
        result.name()
    }

    /// What the run is worth as a measurement: `"valid"`, or the worst of what speaks against
    /// it, such as `"client_bound"`. A part is worth what its run is worth.
    #[rhai_fn(get = "verdict", pure)]
    pub fn verdict(result: &mut ResultHandle) -> String {
        result.portion.run.summary.report().map_or("", |report| report.verdict().name()).into()
    }

    /// Seconds of the measured window, which all rates are divided by, the same as
    /// `r["duration"]`; `()` when nothing was measured.
    #[rhai_fn(get = "duration", pure, return_raw)]
    pub fn duration(result: &mut ResultHandle) -> Fallible<Dynamic> {
        result.value("duration")
    }

    /// The results folder.
    #[rhai_fn(get = "path", pure)]
    pub fn path(result: &mut ResultHandle) -> String {
        result.portion.run.folder.path().display().to_string()
    }

    /// The values of a sweep's axes in this run; empty outside a sweep.
    #[rhai_fn(get = "point", pure)]
    pub fn point(result: &mut ResultHandle) -> Map {
        result.point.clone()
    }

    /// The run's name, for printing.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(result: &mut ResultHandle) -> ImmutableString {
        format!("run {}", result.name()).into()
    }
}
