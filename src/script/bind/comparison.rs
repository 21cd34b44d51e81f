//! `compare(a, b)`: two results, or several of each, side by side. The same as `rampant compare`.

use std::path::Path;
use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, ImmutableString, Map, NativeCallContext};

use super::result::ResultHandle;
use super::slo;
use super::sweep::Sweep;
use crate::error::{Error, nearest};
use crate::experiment::check::{Check, Held};
use crate::experiment::compare::{self, Comparison, Gate, Given, Places, Row};
use crate::experiment::folder;
use crate::lang::Lang;
use crate::os::heap;
use crate::script::fault::{Fallible, a, raise};
use crate::script::options::comparison::{COMPARE, margin};
use crate::script::opts::Opts;
use crate::script::plot;
use crate::script::state::State;
use crate::script::vocabulary::friendly;

/// A comparison that was made.
pub type Compared = Arc<compare::Compared>;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<Compared>("comparison");
    engine.register_global_module(exported_module!(functions).into());
}

/// What a side is made of.
fn side(name: &str, value: &Dynamic) -> Fallible<Vec<Given>> {
    let run = |result: &ResultHandle, of_several: bool| Given::Run {
        folder: result.portion.run.folder.path().to_path_buf(),
        run: result.portion.run.plan.name.clone(),
        part: result.portion.part().clone(),
        of_several,
    };
    if let Some(result) = value.clone().try_cast::<ResultHandle>() {
        return Ok(vec![run(&result, false)]);
    }
    if let Some(sweep) = value.clone().try_cast::<Sweep>() {
        return Ok(sweep.all().iter().map(|result| run(result, true)).collect());
    }
    if let Ok(text) = value.clone().into_immutable_string() {
        return Ok(vec![Given::Named(text.to_string())]);
    }
    let Ok(list) = value.clone().into_array() else {
        let told = format!(
            "compare: `{name}` must be a result, a sweep, a results folder by its name (\"FOLDER\" or \
             \"FOLDER:RUN\"), or a list of these, got {}",
            a(&friendly(value.type_name()))
        );
        return Err(raise(Error::usage(told)));
    };
    if list.is_empty() {
        return Err(raise(Error::usage(format!("compare: the list `{name}` is empty"))));
    }
    let each = list.iter().map(|one| match one.is_array() {
        true => {
            Err(raise(Error::usage(format!("compare: `{name}` is a list of lists; one list has all runs"))))
        }
        false => side(name, one),
    });
    Ok(each.collect::<Fallible<Vec<_>>>()?.concat())
}

/// How it is compared.
fn how(state: &State, options: Map) -> Fallible<Comparison> {
    let mut opts = Opts::of(&COMPARE, options);
    let margin = opts.take_judged("margin")?.and_then(|value| margin(&value).ok());
    let metrics = opts.take::<Array>("metrics")?.unwrap_or_default();
    let parse = |name: &Dynamic| {
        compare::name(&name.to_string()).map_err(|told| opts.error("metrics", &format!("has {told}")))
    };
    let metrics = metrics.iter().map(parse).collect::<Fallible<Vec<_>>>()?;
    let goals = slo::taken(&mut opts)?.filter(|slo| !slo.limits.is_empty());
    let (restarted, history) = (opts.get("restarted")?, opts.get("history")?);
    opts.finish()?;
    let lang = state.experiment.switches.lang;
    Ok(Comparison { margin, metrics, goals, restarted, history, lang, ..Comparison::default() })
}

fn compare_sides(state: &State, a: &Dynamic, b: &Dynamic, options: Map) -> Fallible<Compared> {
    let how = how(state, options)?;
    let (a, b) = (side("a", a)?, side("b", b)?);
    let experiment = &state.experiment;
    let permits = |path: &Path| {
        let path = experiment.access.may_read(&path.display().to_string())?;
        experiment.access.check_links(&path)
    };
    let places = Places {
        host: &experiment.host,
        results: experiment.switches.results(&experiment.host),
        permits: &permits,
        lang: how.lang,
    };
    let compared = heap::aside(|| compare::Compared::read(&a, &b, &places, &how)).map_err(raise)?;
    compared.warnings.iter().for_each(|warning| state.console.warn(warning));
    Ok(Arc::new(compared))
}

/// A row for a script.
fn told(compared: &compare::Compared, row: &Row) -> Map {
    let number = |number: Option<f64>| number.map_or(Dynamic::UNIT, Dynamic::from);
    let span = row.shown();
    let [a, b] = row.values;
    let both = a.zip(b);
    Map::from([
        ("name".into(), row.what.label().into()),
        ("cell".into(), row.cell.clone().into()),
        ("a".into(), number(a)),
        ("b".into(), number(b)),
        ("difference".into(), number(both.map(|(a, b)| b - a))),
        ("ratio".into(), number(both.filter(|(a, _)| *a != 0.0).map(|(a, b)| b / a))),
        ("change".into(), number(span.map(|span| span.value))),
        ("low".into(), number(span.map(|span| span.low))),
        ("high".into(), number(span.map(|span| span.high))),
        ("margin".into(), row.margin.into()),
        ("p".into(), number(row.chance)),
        ("word".into(), row.word.text(Lang::English).into()),
        ("paired".into(), row.joint.into()),
        ("n".into(), Array::from(row.counts.map(|count| Dynamic::from(count as i64))).into()),
        ("why".into(), compared.missing(row).map_or(Dynamic::UNIT, Dynamic::from)),
    ])
}

/// The row of all cells together that has this name.
fn row_named<'a>(compared: &'a compare::Compared, name: &str) -> Fallible<&'a Row> {
    let rows = || compared.rows().filter(|row| row.cell.is_empty());
    if let Some(row) = rows().find(|row| row.what.label() == name) {
        return Ok(row);
    }
    let names: Vec<String> = rows().map(|row| row.what.label()).collect();
    let error = Error::usage(format!("compare: there is no row {name:?}"));
    Err(raise(match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean {near:?}?")),
        None => error.hint(format!("the rows are {}; `metrics` asks for others", names.join(", "))),
    }))
}

fn require(state: &State, compared: &compare::Compared, name: Option<&str>) -> Fallible<bool> {
    let row = name.map(|name| row_named(compared, name)).transpose()?;
    let counts = |one: &Row| row.is_none_or(|row| row.what == one.what);
    let gate = compared.gate(None, counts);
    let held = match gate {
        Gate::Holds => Held::Yes,
        Gate::Fails => Held::No,
        Gate::Undecided => Held::Undecided,
    };
    let what = name.map_or_else(|| "B is not worse".to_string(), |name| format!("{name} of B is not worse"));
    let why = (held != Held::Yes).then(|| compared.why(gate));
    state.experiment.check(Check { why, ..Check::own(what, held) });
    Ok(held == Held::Yes || held == Held::Undecided && state.experiment.switches.undecided_passes)
}

#[export_module]
mod functions {
    /// By how much `b` differs from `a`, how sure that is, and what may be said of it: the same as
    /// `rampant compare`. Each side is a result, a sweep, a results folder by its path or name (`"FOLDER"`
    /// or `"FOLDER:RUN"`), or a list of these, such as the rounds of it. Prints as its sentence.
    #[rhai_fn(volatile, return_raw)]
    pub fn compare(context: NativeCallContext, a: Dynamic, b: Dynamic) -> Fallible<Compared> {
        compare_sides(&State::of(&context), &a, &b, Map::new())
    }

    /// As above, with options.
    #[rhai_fn(name = "compare", volatile, return_raw)]
    pub fn compare_with(
        context: NativeCallContext,
        a: Dynamic,
        b: Dynamic,
        options: Map,
    ) -> Fallible<Compared> {
        compare_sides(&State::of(&context), &a, &b, options)
    }

    /// The row of a number, such as `c["ttft.p99"]`: a map as in `c.rows`.
    #[rhai_fn(index_get, pure, return_raw)]
    pub fn at(compared: &mut Compared, name: &str) -> Fallible<Map> {
        row_named(compared, name).map(|row| super::told(compared, row))
    }

    /// All rows as maps: `name`, `cell` (empty: all cells together), the values `a` and `b`, their
    /// `difference` (`b - a`) and `ratio` (`b / a`); the `change` of `b` against `a` as a share (of a share:
    /// in points) with the ends of its 95 % interval, `low` and `high`; the `margin`, the adjusted `p`,
    /// the `word` (`"better"`, `"worse"`, `"same"`, `"unclear"`), whether requests are `paired`, and `n`,
    /// how many values of each side. Without an interval `change`, `low`, `high` and `p` are `()`, and
    /// `why` says what is missing.
    #[rhai_fn(get = "rows", pure)]
    pub fn rows(compared: &mut Compared) -> Array {
        compared.rows().map(|row| Dynamic::from(super::told(compared, row))).collect()
    }

    /// What came out, in one sentence.
    #[rhai_fn(get = "sentence", pure)]
    pub fn sentence(compared: &mut Compared) -> String {
        compared.conclusion().into_iter().next().unwrap_or_default()
    }

    /// The word for all rows together: `"worse"` where one is, else `"better"` where one is, `"same"` where
    /// all are, else `"unclear"`.
    #[rhai_fn(get = "verdict", pure)]
    pub fn verdict(compared: &mut Compared) -> String {
        compared.headline().text(Lang::English).into()
    }

    /// Whether the verdict is one about servers: at least three rounds of the same traffic of each side.
    /// Otherwise it says that these runs differ.
    #[rhai_fn(get = "about_servers", pure)]
    pub fn about_servers(compared: &mut Compared) -> bool {
        compared.is_about_servers()
    }

    /// All that `rampant compare` prints: the sides, pairs, what differs, the table, the conclusion.
    #[rhai_fn(pure)]
    pub fn table(compared: &mut Compared) -> String {
        let mut lines = compared.about();
        lines.push(compared.table());
        lines.extend(compared.conclusion());
        lines.join("\n")
    }

    /// How long each side must be to show a difference of the margin, as `rampant compare --plan` prints it.
    #[rhai_fn(pure)]
    pub fn plan(compared: &mut Compared) -> String {
        compared.plan().join("\n")
    }

    /// Records whether no row is worse by more than the margin, and goes on: exit code 99 when one is, 95
    /// when that is undecided (unless `--undecided pass`), which it always is before there are three rounds
    /// of each side.
    #[rhai_fn(volatile, return_raw)]
    pub fn require_not_worse(context: NativeCallContext, compared: &mut Compared) -> Fallible<bool> {
        super::require(&State::of(&context), compared, None)
    }

    /// The same of one row alone: `c.require_not_worse("ttft.p99")`.
    #[rhai_fn(name = "require_not_worse", volatile, return_raw)]
    pub fn require_row_not_worse(
        context: NativeCallContext,
        compared: &mut Compared,
        name: &str,
    ) -> Fallible<bool> {
        super::require(&State::of(&context), compared, Some(name))
    }

    /// Writes the picture of all changes into the results folder; the ending says how: `.svg` or `.png`.
    /// Returns the path.
    #[rhai_fn(name = "save", volatile, return_raw)]
    pub fn save(context: NativeCallContext, compared: &mut Compared, name: &str) -> Fallible<String> {
        let state = State::of(&context);
        let folder = folder::need(&state.experiment, None).map_err(raise)?;
        let path = plot::place(&folder, name).map_err(raise)?;
        let mut figure = compared.figure();
        state.experiment.secrets.scrub_figure(&mut figure);
        let write = || figure.save(&path).map(|()| path.clone());
        state.experiment.quota.saving("save", write).map_err(raise)?;
        state.console.mention(&state.console.words().chart(&path.display().to_string()));
        Ok(path.display().to_string())
    }

    /// Its sentence, for printing.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(compared: &mut Compared) -> ImmutableString {
        sentence(compared).into()
    }
}
