//! Charts: of results and sweeps, of a script's own rows, and of aggregated configurations.

use std::path::PathBuf;
use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Engine, ImmutableString, Map, NativeCallContext};

use super::files;
use crate::chart::Figure;
use crate::chart::compare::{self, ComparedRow, Comparison};
use crate::error::{Error, Result};
use crate::experiment::folder;
use crate::script::fault::{Fallible, raise};
use crate::script::options::chart::{COMPARISON_CHARTS, MODES, Mode};
use crate::script::opts::Opts;
use crate::script::plot;
use crate::script::state::State;

/// A picture that a script has made.
pub type ChartHandle = Arc<Figure>;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<ChartHandle>("chart");
    engine.register_global_module(exported_module!(functions).into());
}

fn draw(state: &State, rows: &[ComparedRow], title: &str, mode: Mode, output: &str) -> Result<Vec<PathBuf>> {
    let folder = state.experiment.may_write(output)?;
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::run(format!("cannot make the folder {}: {error}", folder.display())))?;
    let mut kinds =
        vec![("throughput_comparison", Comparison::Throughput), ("latency_comparison", Comparison::Latency)];
    if mode != Mode::Simple {
        kinds.push(("performance_heatmap", Comparison::HeatMap));
    }
    let mut paths = Vec::new();
    for (name, kind) in kinds {
        for (number, mut figure) in compare::pages(kind, rows, title).into_iter().enumerate() {
            state.experiment.secrets.scrub_figure(&mut figure);
            let page = if number == 0 { String::new() } else { format!("-{}", number + 1) };
            for ending in ["svg", "png"] {
                let path = folder.join(format!("{name}{page}.{ending}"));
                // The same command as yesterday draws the same pictures anew; a script overwrites nothing.
                let anew = state.experiment.program.built_in;
                let write = || if anew { figure.replace(&path) } else { figure.save(&path) };
                paths.push(
                    state.experiment.quota.saving("comparison_charts", || write().map(|()| path.clone()))?,
                );
            }
        }
    }
    Ok(paths)
}

#[export_module]
mod functions {
    /// A chart of runs, of a sweep, or of rows of a script's own.
    #[rhai_fn(name = "chart", volatile, return_raw)]
    pub fn chart(context: NativeCallContext, options: Map) -> Fallible<ChartHandle> {
        plot::chart(&State::of(&context), options).map(Arc::new)
    }

    /// Writes the chart into the results folder; the ending says how: `.svg` or `.png`. Returns
    /// the path.
    #[rhai_fn(name = "save", volatile, return_raw)]
    pub fn save(context: NativeCallContext, chart: &mut ChartHandle, name: &str) -> Fallible<String> {
        let state = State::of(&context);
        let experiment = &state.experiment;
        let folder = folder::need(experiment, None).map_err(raise)?;
        let path = plot::place(&folder, name).map_err(raise)?;
        let write = || chart.save(&path).map(|()| path.clone());
        state.experiment.quota.saving("save", write).map_err(raise)?;
        state.console.mention(&state.console.words().chart(&path.display().to_string()));
        Ok(path.display().to_string())
    }

    /// Charts over the configurations of an aggregated CSV (rows of `read` or `aggregate`):
    /// throughput, latency, and in the advanced mode a heat map. A picture has at most 100 of them;
    /// further pages are numbered from 2. Returns the paths.
    #[rhai_fn(volatile, return_raw)]
    pub fn comparison_charts(context: NativeCallContext, rows: Array, options: Map) -> Fallible<Array> {
        let mut opts = Opts::of(&COMPARISON_CHARTS, options);
        let output: String = opts.get("output")?;
        let mode = opts.take_word("mode", &MODES)?.unwrap_or(Mode::Advanced);
        let title = opts.take::<String>("title")?;
        opts.finish()?;
        let rows = files::rows("comparison_charts", rows)?;
        if rows.is_empty() {
            return Err(raise(Error::usage("comparison_charts: there are no configurations to draw")));
        }
        let title = title.unwrap_or_else(|| plot::model_of(&rows));
        let rows: Vec<ComparedRow> = plot::configurations(&rows);
        if !compare::drawable(&rows) {
            let told = "comparison_charts: none of the columns that are drawn, such as request_throughput or \
                        mean_ttft_ms, holds a number";
            return Err(raise(Error::usage(told).hint("name a CSV of `rampant aggregate`")));
        }
        let state = State::of(&context);
        let paths = draw(&state, &rows, &title, mode, &output).map_err(raise)?;
        Ok(paths.into_iter().map(|path| path.display().to_string().into()).collect())
    }

    /// The chart's title, for printing.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(chart: &mut ChartHandle) -> ImmutableString {
        format!("chart {:?}", chart.title).into()
    }
}
