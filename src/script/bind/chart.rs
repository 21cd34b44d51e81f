//! Charts: of results and sweeps, of a script's own rows, and of aggregated configurations.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Engine, ImmutableString, Map, NativeCallContext};

use super::files;
use crate::chart::compare::{self, ComparedRow, Comparison, Look};
use crate::chart::{Figure, Theme, save};
use crate::error::{Error, Result};
use crate::experiment::{configurations, folder};
use crate::script::fault::{Fallible, raise};
use crate::script::options::chart::{
    self, COMPARISON_CHARTS, COMPARISON_REPORT, MODES, Mode, TERMINAL_CHARTS,
};
use crate::script::opts::Opts;
use crate::script::plot;
use crate::script::state::State;

/// A picture that a script has made.
pub type ChartHandle = Arc<Figure>;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<ChartHandle>("chart");
    engine.register_global_module(exported_module!(functions).into());
}

/// What is compared, and how it is to look.
struct Compared {
    rows: Vec<ComparedRow>,
    look: Look,
}

impl Compared {
    /// The rows and the options that all pictures and texts over configurations have.
    fn of(
        call: &'static str,
        state: &State,
        rows: Array,
        opts: &mut Opts,
        has: &[&str],
    ) -> Fallible<Compared> {
        let title = opts.take::<String>("title")?;
        let gpus = if has.contains(&"gpus") { opts.take::<f64>("gpus")? } else { None };
        let weights = if has.contains(&"weights") { opts.take_judged("weights")? } else { None };
        let weights = weights.map(|value| chart::weights(&value)).transpose();
        let weights = weights.map_err(|told| opts.error("weights", &told))?.unwrap_or(compare::WEIGHTS);
        let rows = files::rows(call, rows)?;
        if rows.is_empty() {
            return Err(raise(Error::usage(format!("{call}: there are no configurations to draw"))));
        }
        let title = title.unwrap_or_else(|| configurations::models_of(&rows));
        let rows = configurations::configurations(&rows, gpus);
        if !compare::drawable(&rows) {
            let told = format!(
                "{call}: none of the columns that are drawn, such as request_throughput or mean_ttft_ms, holds a number"
            );
            return Err(raise(Error::usage(told).hint("name a CSV of `rampant aggregate`")));
        }
        if let Some(told) = compare::impossible(&rows) {
            return Err(raise(Error::usage(format!("{call}: {told}"))));
        }
        let lang = state.experiment.switches.lang;
        Ok(Compared { rows, look: Look { title, lang, theme: Theme::Light, weights } })
    }

    /// Draws the pictures, and writes the report, into `output`.
    fn draw(&self, state: &State, mode: Mode, output: &str) -> Result<Vec<PathBuf>> {
        let folder = state.experiment.may_write(output)?;
        if folder.is_file() {
            let error =
                Error::usage(format!("cannot write pictures into {}: it is a file", folder.display()));
            return Err(error.hint("name a folder with --output"));
        }
        std::fs::create_dir_all(&folder)
            .map_err(|error| Error::run(format!("cannot make the folder {}: {error}", folder.display())))?;
        let kinds: &[Comparison] = if mode == Mode::Simple { &Comparison::SIMPLE } else { &Comparison::ALL };
        // The same command as yesterday draws the same pictures anew; a script overwrites nothing.
        let anew = state.experiment.program.built_in;
        let quota = &state.experiment.quota;
        let mut paths = Vec::new();
        let mut boxes = BTreeSet::new();
        for kind in kinds {
            let mut pages = compare::pages(*kind, &self.rows, &self.look);
            let more = pages.len().saturating_sub(SIMPLE_PAGES);
            if mode == Mode::Simple && more > 0 {
                pages.truncate(SIMPLE_PAGES);
                state.console.mention(&state.console.words().pages_left_out(more, kind.name()));
            }
            let count = pages.len();
            for (number, mut figure) in pages.into_iter().enumerate() {
                state.experiment.secrets.scrub_figure(&mut figure);
                boxes.extend(figure.missing_letters());
                let page = if number == 0 { String::new() } else { format!("-{}", number + 1) };
                for ending in ["svg", "png"] {
                    let path = folder.join(format!("{}{page}.{ending}", kind.name()));
                    let write = || if anew { figure.replace(&path) } else { figure.save(&path) };
                    paths.push(quota.saving("comparison_charts", || write().map(|()| path.clone()))?);
                }
            }
            if anew {
                save::forget_pages(&folder, kind.name(), count);
            }
        }
        if !boxes.is_empty() {
            state
                .console
                .warn(&state.console.words().boxes_in_pictures(&boxes.into_iter().collect::<String>()));
        }
        if mode != Mode::Simple {
            let path = folder.join("performance_report.txt");
            let report = compare::report(&self.rows, &self.look);
            let report = state.experiment.secrets.scrub(&report).into_owned();
            let write = || save::text(&path, &report, anew).map(|()| path.clone());
            paths.push(quota.saving("comparison_charts", write)?);
        }
        Ok(paths)
    }
}

/// Pages of a picture in the mode "simple", which `aggregate` draws on its way: each takes a fifth of a
/// second.
const SIMPLE_PAGES: usize = 4;

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

    /// Pictures over configurations (rows of `read` or `aggregate`):
    /// throughput and latency; in the modes "advanced" and "both" also throughput against latency, a
    /// heat map, a dashboard, a ranking, and the report as text. More configurations than fit on a slide
    /// go to further pages, numbered from 2, or become curves where they are a sweep; the mode "simple"
    /// draws four pages of each and tells how many there are more. Returns the paths.
    #[rhai_fn(volatile, return_raw)]
    pub fn comparison_charts(context: NativeCallContext, rows: Array, options: Map) -> Fallible<Array> {
        let state = State::of(&context);
        let mut opts = Opts::of(&COMPARISON_CHARTS, options);
        let output: String = opts.get("output")?;
        let mode = opts.take_word("mode", &MODES)?.unwrap_or(Mode::Advanced);
        let theme = opts.take_word("theme", &Theme::ALL)?;
        let mut compared = Compared::of("comparison_charts", &state, rows, &mut opts, &["gpus", "weights"])?;
        opts.finish()?;
        compared.look.theme = theme.unwrap_or(state.experiment.switches.theme);
        let paths = compared.draw(&state, mode, &output).map_err(raise)?;
        Ok(paths.into_iter().map(|path| path.display().to_string().into()).collect())
    }

    /// What the pictures say, as text: the best configurations with all that cannot be told from them,
    /// the ranking, the Pareto front, and what not to quote.
    #[rhai_fn(volatile, return_raw)]
    pub fn comparison_report(context: NativeCallContext, rows: Array, options: Map) -> Fallible<String> {
        let state = State::of(&context);
        let mut opts = Opts::of(&COMPARISON_REPORT, options);
        let compared = Compared::of("comparison_report", &state, rows, &mut opts, &["gpus", "weights"])?;
        opts.finish()?;
        Ok(compare::report(&compared.rows, &compared.look))
    }

    /// Bars of characters for the terminal: output throughput, TTFT and TPOT of each configuration.
    #[rhai_fn(volatile, return_raw)]
    pub fn terminal_charts(context: NativeCallContext, rows: Array, options: Map) -> Fallible<String> {
        let state = State::of(&context);
        let mut opts = Opts::of(&TERMINAL_CHARTS, options);
        let compared = Compared::of("terminal_charts", &state, rows, &mut opts, &[])?;
        opts.finish()?;
        Ok(compare::terminal(&compared.rows, &compared.look))
    }

    /// The chart's title, for printing.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(chart: &mut ChartHandle) -> ImmutableString {
        format!("chart {:?}", chart.title).into()
    }
}
