//! How far a result can be trusted: beside the truth, beside its schedule, by its own evidence.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Dynamic, Engine, Map, NativeCallContext};

use super::result::ResultHandle;
use crate::client::control::ServerControl;
use crate::error::{Error, Result};
use crate::os::heap;
use crate::script::fault::{Fallible, raise};
use crate::script::json;
use crate::script::opts::{need, need_number};
use crate::script::state::State;
use crate::stats::departures::Departures;
use crate::stats::report::Report;
use crate::stats::truth::{Errors, Truth, Versus, distance_to_poisson};

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_global_module(exported_module!(functions).into());
}

/// Of the requests whose sequence number is below `first`.
fn compare(state: &State, result: &ResultHandle, first: u64) -> Result<Map> {
    let experiment = &state.experiment;
    let run = &result.portion.run;
    let control = ServerControl::new(&run.plan.target)?;
    let log = experiment.runtime()?.block_on(control.truth())?;
    let truths = Truth::read(&log).map_err(|what| Error::run(format!("truth: {what}")))?;
    let errors = result.portion.fold(experiment, Errors::beside(&truths, run.ended.zero, first))?;
    Ok(as_map(&errors))
}

fn or_unit(value: Option<f64>) -> Dynamic {
    value.map_or(Dynamic::UNIT, Dynamic::from)
}

fn numbers(versus: &Versus) -> Map {
    let mut map: Map =
        versus.numbers().into_iter().map(|(name, value)| (name.into(), or_unit(value))).collect();
    map.insert("count".into(), (versus.count() as i64).into());
    map
}

fn as_map(errors: &Errors) -> Map {
    let mut map = Map::new();
    for (name, count) in
        [("compared", errors.compared), ("missing", errors.missing), ("uneven", errors.uneven)]
    {
        map.insert(name.into(), (count as i64).into());
    }
    for (name, versus) in
        [("ttft", &errors.ttft), ("itl", &errors.itl), ("tpot", &errors.tpot), ("e2el", &errors.e2el)]
    {
        map.insert(name.into(), numbers(versus).into());
    }
    let means = errors.parts.means();
    for (i, name) in ["writing", "way_there", "way_back"].into_iter().enumerate() {
        map.insert(name.into(), or_unit(means.map(|means| means[i])));
    }
    map
}

#[export_module]
mod functions {
    /// The run beside what the built-in engine logged of it: a map with `ttft`, `itl`, `tpot` and
    /// `e2el`. Each has `mean`, `p50`, `p99` (the client's number less the server's, ms),
    /// `each_p50`, `each_p99`, `each_max` (how far apart one and the same value is, ms),
    /// `server_mean`, `server_p50`, `server_p99` (what the server did) and `count`. Beside them
    /// `compared`, `missing` (requests that the log does not have), `uneven` (other events than
    /// writes), and the means of the parts of the error of `ttft`, ms: `writing` (from our stamp to
    /// the end of the write), `way_there` (to its arrival), `way_back` (from the server's stamp to ours).
    #[rhai_fn(name = "truth", volatile, return_raw)]
    pub fn truth(context: NativeCallContext, result: &mut ResultHandle) -> Fallible<Map> {
        compare(&State::of(&context), result, u64::MAX).map_err(raise)
    }

    /// The same of the `first` requests of a run alone (a warm-up counts among them).
    #[rhai_fn(name = "truth", volatile, return_raw)]
    pub fn truth_of_first(
        context: NativeCallContext,
        result: &mut ResultHandle,
        first: Dynamic,
    ) -> Fallible<Map> {
        let first = need::<u64>("truth", "the number of requests", &first)?;
        compare(&State::of(&context), result, first).map_err(raise)
    }

    /// Kolmogorov's distance (0 to 1) between the gaps of a run's requests and the exponential
    /// distribution of `rate`, which independent users have: `#{ planned, sent }`, as the schedule
    /// wanted them and as they left. Chance alone makes it up to 1.4 / sqrt(requests).
    #[rhai_fn(volatile, return_raw)]
    pub fn distance_to_poisson(
        context: NativeCallContext,
        result: &mut ResultHandle,
        rate: Dynamic,
    ) -> Fallible<Map> {
        let rate = need_number("distance_to_poisson", "the rate", &rate)?;
        let state = State::of(&context);
        let left = heap::aside(|| result.portion.fold(&state.experiment, Departures::default()));
        let left = left.map_err(raise)?;
        let planned = super::distance_to_poisson(left.planned, rate);
        let sent = super::distance_to_poisson(left.sent, rate);
        Ok(Map::from([("planned".into(), or_unit(planned)), ("sent".into(), or_unit(sent))]))
    }

    /// What the run measured of itself, under the names of the columns in `runs.parquet`:
    /// `client_cpu_share`, `read_lag_ms_p99`, `asked_rate`, `achieved_rate`, `verdict_reason` ...
    #[rhai_fn(pure, return_raw)]
    pub fn evidence(result: &mut ResultHandle) -> Fallible<Map> {
        result.portion.need_whole("evidence", "ask the whole run for it").map_err(raise)?;
        Ok(json::to_map(&result.portion.run.summary.report().map(Report::columns).unwrap_or_default()))
    }
}
