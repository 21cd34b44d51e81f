//! `metric`: what a script measures itself while a run goes on.

use std::cell::RefCell;
use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Dynamic, Engine, ImmutableString, Map};

use crate::error::Error;
use crate::experiment::limits;
use crate::script::fault::{Fallible, raise, shown};
use crate::script::options::metric::METRIC;
use crate::script::opts::{Opts, number};
use crate::script::state::State;
use crate::stats::names::Metric;
use crate::stats::own::{OwnMetric, OwnMetricKind, OwnValue};

/// A metric in a script.
#[derive(Debug, Clone)]
pub struct OwnMetricHandle(Arc<OwnMetric>);

thread_local! {
    /// What the hook has added that is being called in this thread; `None`: it may add nothing.
    static ADDED: RefCell<Option<Vec<OwnValue>>> = const { RefCell::new(None) };
}

/// Calls a hook that may add values; what it returned, and what it added.
pub fn gather<T>(call: impl FnOnce() -> T) -> (T, Vec<OwnValue>) {
    ADDED.set(Some(Vec::new()));
    let done = call();
    (done, ADDED.take().unwrap_or_default())
}

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<OwnMetricHandle>("metric");
    engine.register_global_module(exported_module!(making).into());
    engine.register_global_module(exported_module!(adding).into());
}

/// What hooks can do with one.
pub fn register_for_hooks(engine: &mut Engine) {
    engine.register_type_with_name::<OwnMetricHandle>("metric");
    engine.register_global_module(exported_module!(adding).into());
}

fn refuse<T>(told: String) -> Fallible<T> {
    Err(raise(Error::usage(told)))
}

fn add_to(metric: &OwnMetricHandle, value: f64) -> Fallible<()> {
    let name = &metric.0.name;
    if !value.is_finite() {
        return refuse(format!("add: {name} takes finite numbers, got {value}"));
    }
    ADDED.with_borrow_mut(|added| match added {
        Some(added) => {
            added.push(OwnValue { metric: metric.0.clone(), value });
            Ok(())
        }
        None => {
            refuse(format!("add: values are added to {name} in `on_response` of a run, and nowhere else"))
        }
    })
}

#[export_module]
mod making {
    /// A metric of your own: `let slow = metric("slow", #{ kind: "share" })`, to which `on_response` of a run adds
    /// values. Then `r["slow.share"]` is a value of the run, and each one a row of `metrics.parquet`.
    #[rhai_fn(return_raw)]
    pub fn metric(name: &str, options: Map) -> Fallible<OwnMetricHandle> {
        let mut opts = Opts::of(&METRIC, options);
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(letters) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return refuse(format!("metric: a name has small letters, digits and _, got {name:?}"));
        }
        if Metric::ALL.iter().any(|known| known.name() == name) {
            return refuse(format!("metric: {name} is a metric of every run; take another name"));
        }
        limits::fits("metric", "a name", name).map_err(raise)?;
        let Some(kind) = opts.take_word("kind", &OwnMetricKind::NAMES)? else {
            return refuse(METRIC.missing("metric", "kind"));
        };
        let mut text = |name| opts.take::<String>(name).map(|text| text.unwrap_or_default().into());
        let (unit, help) = (text("unit")?, text("help")?);
        opts.finish()?;
        Ok(OwnMetricHandle(Arc::new(OwnMetric { name: name.into(), kind, unit, help })))
    }
}

#[export_module]
mod adding {
    /// Adds a value; of a share, whether it holds.
    #[rhai_fn(name = "add", volatile, return_raw)]
    pub fn add(metric: &mut OwnMetricHandle, value: Dynamic) -> Fallible<()> {
        match (metric.0.kind, value.as_bool(), number(&value)) {
            (OwnMetricKind::Share, Ok(holds), _) => add_to(metric, f64::from(u8::from(holds))),
            (OwnMetricKind::Share, ..) => refuse(format!(
                "add: {} is a share and takes true or false, got {}",
                metric.0.name,
                shown(&value)
            )),
            (_, _, Some(value)) => add_to(metric, value),
            _ => refuse(format!("add: {} takes numbers, got {}", metric.0.name, shown(&value))),
        }
    }

    /// Adds 1 to a counter.
    #[rhai_fn(name = "add", volatile, return_raw)]
    pub fn add_one(metric: &mut OwnMetricHandle) -> Fallible<()> {
        match metric.0.kind {
            OwnMetricKind::Counter => add_to(metric, 1.0),
            _ => refuse(format!("add: {} is no counter and needs a value", metric.0.name)),
        }
    }

    /// Its name.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(metric: &mut OwnMetricHandle) -> ImmutableString {
        (&*metric.0.name).into()
    }
}
