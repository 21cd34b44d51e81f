//! `sweep(axes, |p| plan)`: one run for every point of a grid.

use std::collections::HashMap;
use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, FnPtr, ImmutableString, Map, NativeCallContext};

use super::result::ResultHandle;
use super::run::Draft;
use crate::error::{Error, ErrorKind, Result};
use crate::experiment::cell_plan::CellPlan;
use crate::experiment::going_on::Before;
use crate::experiment::manifest;
use crate::script::explain::explain;
use crate::script::fault::{Fallible, a, raise};
use crate::script::function::{Callable, bind};
use crate::script::grid;
use crate::script::options::sweep::{ON_ERROR, OnError, SWEEP};
use crate::script::opts::Opts;
use crate::script::state::State;
use crate::script::vocabulary::friendly;
use crate::stats::metric::Better;
use crate::stats::names::Name;
use crate::stats::tied::{Candidate, tied};

/// The runs of a sweep, in the order of their points.
#[derive(Clone)]
pub struct Sweep {
    runs: Arc<Vec<ResultHandle>>,
}

impl Sweep {
    /// The runs.
    pub fn all(&self) -> &[ResultHandle] {
        &self.runs
    }
}

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<Sweep>("sweep");
    engine.register_global_module(exported_module!(functions).into());
}

/// The axes: `[["b", [...]], ["a", [...]]]`, outer first, or `#{ a: [...], b: [...] }`.
fn axes(value: &Dynamic) -> Fallible<Vec<(ImmutableString, Array)>> {
    let wrong = || {
        raise(Error::usage(
            "sweep: the axes must be a map of lists, or a list such as [[\"rate\", [1, 2, 4]]]",
        ))
    };
    let list_of = |values: Dynamic| values.into_array().map_err(|_| wrong());
    let mut axes: Vec<(ImmutableString, Array)> = Vec::new();
    if let Some(map) = value.clone().try_cast::<Map>() {
        for (name, values) in map {
            axes.push((name.as_str().into(), list_of(values)?));
        }
    } else {
        for axis in value.clone().into_array().map_err(|_| wrong())? {
            let [name, values] =
                <[Dynamic; 2]>::try_from(axis.into_array().map_err(|_| wrong())?).map_err(|_| wrong())?;
            axes.push((name.into_immutable_string().map_err(|_| wrong())?, list_of(values)?));
        }
    }
    if axes.is_empty() {
        return Err(wrong());
    }
    let mut cells = 1usize;
    for (i, (name, values)) in axes.iter().enumerate() {
        if values.is_empty() {
            return Err(raise(Error::usage(format!("sweep: axis {name:?} has no values"))));
        }
        if axes[..i].iter().any(|(before, _)| before == name) {
            return Err(raise(Error::usage(format!("sweep: there are two axes {name:?}"))));
        }
        cells = cells.saturating_mul(values.len());
    }
    if cells > CELLS_MAX {
        let told = format!("sweep: the grid has more than {CELLS_MAX} cells; take values or axes away");
        return Err(raise(Error::usage(told)));
    }
    Ok(axes)
}

/// Most cells of a grid: years of runs, and little memory.
const CELLS_MAX: usize = 100_000;

fn plan_of(context: &NativeCallContext, make: &Callable, point: &Map) -> Fallible<Draft> {
    let plan = make.call(context.engine(), [point.clone().into()])?;
    match plan.try_cast::<Map>() {
        Some(plan) => Draft::read(context, "sweep", plan),
        None => {
            Err(raise(Error::usage("sweep: the function must return a plan, such as #{ target: t, ... }")))
        }
    }
}

fn play(context: &NativeCallContext, axes: &Dynamic, make: &FnPtr, options: Map) -> Fallible<Sweep> {
    let state = State::of(context);
    let make = bind(context, make);
    let mut opts = Opts::of(&SWEEP, options);
    let on_error = opts.take_word("on_error", &ON_ERROR)?;
    let cooldown = opts.take::<std::time::Duration>("cooldown")?.unwrap_or_default();
    let each = opts.take_fn("each", context)?;
    let stop_when = opts.take_fn("stop_when", context)?;
    opts.finish()?;
    let points = grid::points(&self::axes(axes)?);
    state.experiment.quota.check_runs("sweep", points.len() as u64, 0).map_err(raise)?;
    // Every plan is made and checked before the first load: a slip in the last cell is found now.
    let mut drafts = Vec::new();
    let mut cells = RepeatedCells::default();
    for point in &points {
        let draft = plan_of(context, &make, point)?;
        cells.meet(point, draft.name().map(String::from));
        drafts.push(draft);
    }
    let before = begin(&state, &drafts).map_err(raise)?;
    drop(drafts);
    let mut runs = Vec::new();
    for (i, point) in points.iter().enumerate() {
        state.experiment.cells.set(i + 1, points.len(), crate::os::now());
        let mut draft = plan_of(context, &make, point)?;
        draft.cell = draft.cell.take().or_else(|| cells.of(point));
        let kept = before.as_ref().and_then(|before| before.whole(i));
        let is_new = kept.is_none();
        let done = match kept {
            Some(kept) => draft.recall(&state, point.clone(), kept),
            None => draft.run(&state, point.clone()),
        };
        match done {
            Ok(run) => {
                cells.meet(point, Some(run.portion.run.plan.cell.clone()));
                runs.push(run);
            }
            Err(error) if on_error == Some(OnError::Continue) && !fatal(&state, &error) => {
                let Error { message, hint, .. } = explain(&state, error);
                let told = hint.map_or(message.clone(), |hint| format!("{message} (try: {hint})"));
                state.experiment.problem(state.console.words().cell_failed(i + 1, points.len(), &told));
                continue;
            }
            Err(error) => return Err(error),
        }
        let last = runs.last().cloned().expect("a run was just added");
        if let Some(each) = &each {
            each.call(context.engine(), [Dynamic::from(last.clone())]).map(drop)?;
        }
        if let Some(stop) = &stop_when
            && says_stop(stop.call(context.engine(), [Dynamic::from(last)])?)?
        {
            break;
        }
        if i + 1 < points.len() && !cooldown.is_zero() && is_new {
            state.pause(cooldown)?;
        }
    }
    state.experiment.cells.set(0, 0, crate::os::now());
    Ok(Sweep { runs: Arc::new(runs) })
}

/// Notes what the sweep is to measure. What an earlier invocation measured of it, where this one goes on in
/// its folder.
fn begin(state: &State, drafts: &[Draft]) -> Result<Option<Before>> {
    let experiment = &state.experiment;
    let names = experiment.names_to_come(drafts.iter().map(|draft| draft.name().map(String::from)));
    let plan = |(draft, name): (&Draft, &String)| CellPlan {
        name: name.clone(),
        plan: draft.definition(experiment),
    };
    let plans: Vec<CellPlan> = drafts.iter().zip(&names).map(plan).collect();
    let files = drafts.iter().zip(&names).map(|(draft, name)| draft.own_file(name)).collect();
    let before = Before::of(experiment, &plans, files)?;
    manifest::plan_cells(experiment, plans)?;
    Ok(before)
}

/// The axis whose values are repeats of the same.
const REPEAT: &str = "repeat";

/// What the runs of a sweep measure: those whose points differ in the axis [`REPEAT`] alone have the cell that
/// the first of them is named after.
#[derive(Default)]
struct RepeatedCells(HashMap<String, String>);

impl RepeatedCells {
    /// `None`: it repeats nothing.
    fn key(point: &Map) -> Option<String> {
        let mut rest = point.clone();
        rest.remove(REPEAT).map(|_| format!("{rest:?}"))
    }

    /// The plan of the point has this name, if it has one.
    fn meet(&mut self, point: &Map, name: Option<String>) {
        if let Some((key, name)) = Self::key(point).zip(name) {
            self.0.entry(key).or_insert(name);
        }
    }

    fn of(&self, point: &Map) -> Option<String> {
        self.0.get(&Self::key(point)?).cloned()
    }
}

fn says_stop(answer: Dynamic) -> Fallible<bool> {
    answer.as_bool().map_err(|kind| {
        let got = a(&friendly(kind));
        raise(Error::usage(format!("sweep: `stop_when` must return true or false, it returned {got}")))
    })
}

/// What no other cell would survive either: an interruption, and a mistake found before load.
fn fatal(state: &State, error: &rhai::EvalAltResult) -> bool {
    let kind = crate::script::fault::kind(error).unwrap_or(ErrorKind::Run);
    kind == ErrorKind::Interrupted
        || (kind != ErrorKind::Run && state.experiment.kind_of_fault() == ErrorKind::Usage)
}

#[export_module]
mod functions {
    /// One run for every point of a grid: `sweep([["users", [1, 4, 16]]], |p| #{ ... })`. Axes as
    /// a list run the first one outermost; as a map in the order of their names.
    #[rhai_fn(name = "sweep", volatile, return_raw)]
    pub fn sweep(context: NativeCallContext, axes: Dynamic, make: FnPtr) -> Fallible<Sweep> {
        play(&context, &axes, &make, Map::new())
    }

    /// As above, with options.
    #[rhai_fn(name = "sweep", volatile, return_raw)]
    pub fn sweep_with(
        context: NativeCallContext,
        axes: Dynamic,
        make: FnPtr,
        options: Map,
    ) -> Fallible<Sweep> {
        play(&context, &axes, &make, options)
    }

    /// The runs, in order.
    #[rhai_fn(get = "runs", pure)]
    pub fn runs(sweep: &mut Sweep) -> Array {
        sweep.runs.iter().cloned().map(Dynamic::from).collect()
    }

    /// A table of the given metrics with their units, one line a run, and its verdict; `~` marks a
    /// percentile with too few values.
    #[rhai_fn(volatile, return_raw)]
    pub fn table(context: NativeCallContext, sweep: &mut Sweep, metrics: Array) -> Fallible<String> {
        let lang = State::of(&context).console.words();
        grid::table(&sweep.runs, metrics, lang)
    }

    /// The runs that are best by a metric: first the one with the best value (the lowest of a latency, the
    /// highest of a rate), then all that chance may have put behind it, by their 95 % intervals. A run
    /// without an interval, such as a short one, is always among them. Empty when no run has a value.
    #[rhai_fn(pure, return_raw)]
    pub fn best(sweep: &mut Sweep, metric: &str) -> Fallible<Array> {
        let name = Name::parse(metric).map_err(|told| raise(Error::usage(told)))?;
        let better = name.metric.about().better;
        if better == Better::Neither {
            let told = format!("best: {metric} says what the load was: no value of it is better");
            return Err(raise(Error::usage(told)));
        }
        let candidate = |run: &ResultHandle| {
            let estimate = run.summary().estimate_of(name);
            estimate.value.map(|value| Candidate { value, interval: estimate.interval })
        };
        let candidates: Vec<_> = sweep.runs.iter().map(candidate).collect();
        let set = tied(&candidates, better).map(|tied| tied.set).unwrap_or_default();
        Ok(set.into_iter().map(|place| Dynamic::from(sweep.runs[place].clone())).collect())
    }

    /// How many runs, for printing.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(sweep: &mut Sweep) -> ImmutableString {
        format!("sweep of {} runs", sweep.runs.len()).into()
    }
}
