//! `trace(path, #{ ... })`: requests as they were recorded, with their times.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rhai::plugin::*;
use rhai::{Dynamic, Engine, Map, NativeCallContext};

use super::workload::common;
use crate::error::{Error, Result};
use crate::experiment::replayed::replayed;
use crate::experiment::source::WorkloadSource;
use crate::record::Nanos;
use crate::schedule::Shape;
use crate::script::fault::{Fallible, raise};
use crate::script::options::trace::{OWN, TRACE, UNITS};
use crate::script::opts::{Opts, need_number};
use crate::script::state::State;
use crate::stats::words::grouped;
use crate::workload::read::{self, TraceColumns, TraceFormat, TraceHow};
use crate::workload::{Trace, TraceBuilder, TraceCut};

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_global_module(exported_module!(functions).into());
}

fn columns(opts: &mut Opts) -> Fallible<TraceColumns> {
    let Some(mut inner) = opts.take_map("columns")? else { return Ok(TraceColumns::default()) };
    let columns = TraceColumns {
        at: inner.take("at")?,
        input: inner.take("input")?,
        output: inner.take("output")?,
        class: inner.take("class")?,
        session: inner.take("session")?,
        hash_ids: inner.take("hash_ids")?,
    };
    inner.finish()?;
    Ok(columns)
}

/// What is taken of the trace. `format`: whose it is.
fn cut(opts: &mut Opts, format: Option<TraceFormat>) -> Fallible<TraceCut> {
    let nanos = |time: Duration| Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX);
    let (from, to) = (opts.take::<Duration>("from")?.map(nanos), opts.take::<Duration>("to")?.map(nanos));
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(opts.error("to", "must be later than `from`"));
    }
    let thin: f64 = opts.get("thin")?;
    if thin <= 0.0 {
        return Err(opts.error("thin", &format!("must be above 0, got {thin}")));
    }
    let block = opts.take::<u64>("block")?.map(|block| block as u32);
    let usual = format.map_or(TraceFormat::Mooncake.block(), TraceFormat::block);
    Ok(TraceCut {
        from,
        to,
        thin,
        scale_input: opts.get("scale_input")?,
        scale_output: opts.get("scale_output")?,
        block: block.unwrap_or(usual),
    })
}

/// Where the rows of a trace come from.
enum From {
    File(TraceHow),
    Run(Option<String>),
}

/// Reads on a thread of its own: what it takes is no memory of the script's.
fn rows(state: &State, path: &Path, from: &From, cut: TraceCut) -> Result<Trace> {
    let name = path.display().to_string();
    let broken = |what: &str| Error::run(format!("cannot read \"{name}\": {what}"));
    let work = || {
        let mut builder = TraceBuilder::new(cut);
        match from {
            From::File(how) => read::trace(path, how, &mut builder)?,
            From::Run(run) => replayed(path, run.as_deref(), &mut builder)?,
        }
        builder.finish(&name).map_err(Error::usage)
    };
    let trace = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("trace".into()).spawn_scoped(scope, work);
        let thread = thread.map_err(|error| broken(&format!("no thread for it: {error}")))?;
        thread.join().unwrap_or_else(|_| Err(broken("its reader broke down")))
    })?;
    if trace.empty > 0 {
        let words = state.console.words();
        let told = words.left_out_of_trace(&name, &grouped(trace.empty));
        if state.console.first_time(&told) {
            state.console.warn(&told);
        }
    }
    Ok(trace)
}

fn open(context: &NativeCallContext, path: &str, options: Map) -> Fallible<WorkloadSource> {
    let state = State::of(context);
    let mut opts = Opts::of(&TRACE, options);
    let common = common(&mut opts)?;
    let format = opts.take_judged("format")?.map(|format| format.to_string());
    let named = TraceFormat::NAMES.into_iter().find(|(name, _)| Some(*name) == format.as_deref());
    let named = named.map(|(_, format)| format);
    let columns = columns(&mut opts)?;
    let unit = opts.take_word("unit", &UNITS)?;
    let cut = cut(&mut opts, named)?;
    let run = opts.take::<String>("run")?;
    opts.finish()?;
    let path = state.experiment.access.may_read(path).map_err(raise)?;
    let from = match format.as_deref() == Some(OWN) || (format.is_none() && path.is_dir()) {
        true => {
            state.experiment.access.check_links(&path).map_err(raise)?;
            From::Run(run)
        }
        false => From::File(TraceHow { format: named, columns, unit, stop: Some(state.cancel.clone()) }),
    };
    let trace = rows(&state, &path, &from, cut).map_err(raise)?;
    Ok(WorkloadSource::Trace { trace: Arc::new(trace), common })
}

/// The trace that a workload is.
fn known(call: &str, workload: &WorkloadSource) -> Fallible<Arc<Trace>> {
    match workload {
        WorkloadSource::Trace { trace, .. } => Ok(trace.clone()),
        _ => Err(raise(Error::usage(format!("{call}: only what trace(...) returns has it")))),
    }
}

#[export_module]
mod functions {
    /// Requests as they were recorded, as a workload that has times, too: `let tr = trace("day.jsonl");`, then
    /// `workload: tr, arrivals: tr.arrivals(2.0)`. A file of Mooncake, Azure, BurstGPT or vLLM, any JSON lines, CSV or
    /// Parquet by `columns`, or the folder of an earlier result.
    #[rhai_fn(volatile, return_raw)]
    pub fn trace(context: NativeCallContext, path: &str, options: Map) -> Fallible<WorkloadSource> {
        open(&context, path, options)
    }

    /// As above, all of it, as it is.
    #[rhai_fn(name = "trace", volatile, return_raw)]
    pub fn trace_plain(context: NativeCallContext, path: &str) -> Fallible<WorkloadSource> {
        open(&context, path, Map::new())
    }

    /// The times of a trace, `speed` times as fast.
    #[rhai_fn(return_raw)]
    pub fn arrivals(workload: WorkloadSource, speed: Dynamic) -> Fallible<Shape> {
        let trace = known("arrivals", &workload)?;
        let speed = need_number("arrivals", "the speed", &speed)?;
        let (name, times) = (trace.name.clone(), trace.at.clone());
        let shape = Shape::Recorded { name, times, over: trace.over, speed };
        shape.check().map_err(|told| raise(Error::usage(format!("arrivals: {told}"))))?;
        Ok(shape)
    }

    /// The times of a trace, as they were.
    #[rhai_fn(name = "arrivals", return_raw)]
    pub fn arrivals_plain(workload: WorkloadSource) -> Fallible<Shape> {
        arrivals(workload, 1.0.into())
    }

    /// Requests of a trace.
    #[rhai_fn(get = "rows", pure, return_raw)]
    pub fn rows_of(workload: &mut WorkloadSource) -> Fallible<i64> {
        known("rows", workload).map(|trace| trace.rows() as i64)
    }

    /// Seconds that a trace lasts, as it was recorded.
    #[rhai_fn(get = "duration", pure, return_raw)]
    pub fn duration(workload: &mut WorkloadSource) -> Fallible<f64> {
        known("duration", workload).map(|trace| trace.over)
    }

    /// The share of a trace's input tokens that a prefix cache without an end would have had, in whole blocks: what
    /// `r["cached_tokens.share"]` of a run of it could be at most. `()`: the trace has no `hash_ids`.
    #[rhai_fn(get = "reuse", pure, return_raw)]
    pub fn reuse(workload: &mut WorkloadSource) -> Fallible<Dynamic> {
        let trace = known("reuse", workload)?;
        let share = |tokens: u64| Dynamic::from(tokens as f64 / trace.input_tokens().max(1) as f64);
        Ok(trace.reusable_tokens().map_or(Dynamic::UNIT, share))
    }
}

#[cfg(test)]
mod tests {
    use crate::experiment::switches::Switches;
    use crate::host::Host;
    use crate::script::testing::run_with;

    /// What a script prints, or the error with which it ends, beside files.
    fn told(script: &str, files: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("writable");
        }
        let host = Host::fake(folder.path(), &[]);
        let path = folder.path().display().to_string();
        // It may read what a parameter names.
        let script = format!("let dir = param(\"dir\", \".\");\n{script}");
        match run_with(&script, &[("dir", &path)], Switches::default(), host.clone()) {
            Ok(()) => host.written().0,
            Err(error) => error.message.replace(&format!("{path}/"), ""),
        }
    }

    const DAY: (&str, &str) = (
        "day.jsonl",
        "{\"timestamp\": 0, \"input_length\": 1024, \"output_length\": 5, \"hash_ids\": [1, 2]}\n\
         {\"timestamp\": 1500, \"input_length\": 1030, \"output_length\": 7, \"hash_ids\": [1, 2, 3]}\n\
         {\"timestamp\": 4000, \"input_length\": 100, \"output_length\": 7, \"hash_ids\": [9]}\n",
    );

    #[test]
    fn a_trace_tells_what_it_holds() {
        let script = "let tr = trace(dir + \"/day.jsonl\");\n\
            print(`${tr.rows} ${tr.duration} ${round(tr.reuse, 4)}`);\n\
            let cut = trace(dir + \"/day.jsonl\", #{ from: 1, to: \"2s\", scale_input: 0.1 });\n\
            print(`${cut.rows} ${cut.duration} ${cut.reuse}`);";
        assert_eq!(told(script, &[DAY]), "3 4.0 0.4754\n1 1.0 0.0\n");
        let arrivals = "print(`${trace(dir + \"/day.jsonl\").arrivals(2)}`.len() > 20);";
        assert_eq!(told(arrivals, &[DAY]), "true\n");
    }

    #[test]
    fn what_is_wrong_is_a_sentence() {
        for (script, sentence) in [
            ("trace(dir + \"/day.jsonl\", #{ from: 5, to: 4 });", "trace: `to` must be later than `from`"),
            ("trace(dir + \"/day.jsonl\", #{ thin: 0 });", "trace: `thin` must be above 0, got 0"),
            (
                "trace(dir + \"/day.jsonl\", #{ colums: #{} });",
                "trace: unknown option `colums`; did you mean `columns`?",
            ),
            (
                "trace(dir + \"/day.jsonl\", #{ columns: #{ inptu: \"a\" } });",
                "columns: unknown option `inptu`; did you mean `input`?",
            ),
            ("trace(dir + \"/day.jsonl\").arrivals(0);", "arrivals: the speed must be above 0, got 0"),
            (
                "trace(dir + \"/day.jsonl\").arrivals(\"fast\");",
                "arrivals: the speed must be a number, got \"fast\"",
            ),
            (
                "prompts(#{ input: 5, output: 5 }).arrivals(1);",
                "arrivals: only what trace(...) returns has it",
            ),
            (
                "trace(dir + \"/day.jsonl\", #{ from: 60 });",
                "cannot use \"day.jsonl\": no request of it lies between `from` and `to`; it lasts 4 s",
            ),
        ] {
            assert_eq!(told(script, &[DAY]), sentence, "{script}");
        }
        let broken = ("day.jsonl", "{\"timestamp\": 0, \"input_length\": \"x\", \"output_length\": 5}\n");
        assert_eq!(
            told("trace(dir + \"/day.jsonl\");", &[broken]),
            "cannot read \"day.jsonl\" line 1 column 34: expected a whole number of tokens above 0, got \"x\""
        );
    }
}
