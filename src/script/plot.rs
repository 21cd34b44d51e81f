//! From script data to a figure: runs, sweeps and rows become named lists of points.

use super::bind::result::ResultHandle;
use super::bind::sweep::Sweep;
use super::fault::Fallible;
use super::options::chart::{self, CHART, PICTURES, Picture};
use super::opts::{Opts, number};
use super::state::State;
use super::weight::{need_room, weigh_all};
use crate::chart::generic::{self, Chart};
use crate::chart::{Figure, Theme};
use crate::error::{Error, Result};
use crate::stats::names::{Metric, Name, Unit};
use crate::stats::values::Values;
use crate::stats::weighed::Weighed;
use crate::store::Folder;
use rhai::{Array, Dynamic, Map};
use std::path::PathBuf;

/// What a chart is made of: runs, or rows of named values.
enum Data {
    Runs(Vec<ResultHandle>),
    Rows(Vec<Map>),
}

/// Reads the options and makes the figure.
pub fn chart(state: &State, options: Map) -> Fallible<Figure> {
    let mut opts = Opts::of(&CHART, options);
    let theme = opts.take_word("theme", &Theme::ALL)?;
    let mut figure = draw(state, opts)?;
    figure.theme = theme.unwrap_or(state.experiment.switches.theme);
    state.experiment.secrets.scrub_figure(&mut figure);
    Ok(figure)
}

fn draw(state: &State, mut opts: Opts) -> Fallible<Figure> {
    let data = data(&mut opts)?;
    let kind = opts.take_word("kind", &PICTURES)?.unwrap_or(Picture::Line);
    let x = opts.need::<String>("x")?;
    let y = opts.take_judged("y")?.map_or(Ok(Vec::new()), |value| chart::names(&value));
    let y = y.map_err(|told| opts.error("y", &told))?;
    let series = opts.take::<String>("series")?;
    let mut chart = Chart {
        title: opts.get("title")?,
        x_label: opts.take::<String>("x_label")?.unwrap_or_else(|| labelled(std::slice::from_ref(&x))),
        y_label: opts.take::<String>("y_label")?.unwrap_or_else(|| labelled(&y)),
        log_x: opts.get("log_x")?,
        log_y: opts.get("log_y")?,
        ..Chart::default()
    };
    let marks = opts.take::<Array>("mark")?.unwrap_or_default();
    chart.marks = marks.iter().filter_map(number).map(|value| (value, value.to_string())).collect();
    if kind == Picture::Cdf {
        chart.y_label = "share of requests".into();
        let samples = samples(state, &opts, data, &x)?;
        opts.finish()?;
        return Ok(generic::cdf(chart, samples));
    }
    if y.is_empty() {
        return Err(opts.error("y", "is missing; for example [\"ttft.p99\"]"));
    }
    let rows = Rows::of(data, x, y, series);
    let figure = rows.figure(&opts, kind, chart)?;
    opts.finish()?;
    Ok(figure)
}

fn data(opts: &mut Opts) -> Fallible<Data> {
    let value = opts.need_judged("data")?;
    if let Some(run) = value.clone().try_cast::<ResultHandle>() {
        return Ok(Data::Runs(vec![run]));
    }
    if let Some(sweep) = value.clone().try_cast::<Sweep>() {
        return Ok(Data::Runs(sweep.all().to_vec()));
    }
    let wrong = |opts: &Opts| opts.error("data", "must be a run, a list of runs, a sweep, or a list of maps");
    let Ok(list) = value.into_array() else { return Err(wrong(opts)) };
    weigh_all("chart", &list)?;
    let runs: Option<Vec<ResultHandle>> = list.iter().map(|item| item.clone().try_cast()).collect();
    let rows: Option<Vec<Map>> = list.iter().map(|item| item.clone().try_cast()).collect();
    match (runs, rows) {
        (Some(runs), _) => Ok(Data::Runs(runs)),
        (None, Some(rows)) => Ok(Data::Rows(rows)),
        (None, None) => Err(wrong(opts)),
    }
}

/// Names as the label of an axis, with their unit where all have the same.
fn labelled(names: &[String]) -> String {
    let unit = |name: &String| {
        let of_values = of_requests(name).map(|metric| metric.about().unit);
        match of_values.or_else(|| Name::parse(name).ok().map(Name::unit)) {
            Some(Unit::Ms) => " (ms)",
            Some(Unit::Seconds) => " (s)",
            Some(Unit::PerSecond) => " (per second)",
            Some(Unit::Share | Unit::Plain) | None => "",
        }
    };
    let first = names.first().map_or("", unit);
    let same = names.iter().all(|name| unit(name) == first);
    format!("{}{}", names.join(", "), if same { first } else { "" })
}

/// The metric of this name, if single requests have values of it.
fn of_requests(name: &str) -> Option<Metric> {
    Metric::all().find(|metric| metric.name() == name && metric.is_of_requests())
}

/// The metric of which a cdf is drawn. Fails with the names of those that single requests have.
pub fn distribution(x: &str) -> std::result::Result<Metric, String> {
    of_requests(x).ok_or_else(|| {
        let names: Vec<&str> = Metric::all().filter(|m| m.is_of_requests()).map(Metric::name).collect();
        format!("must be one of {} for a cdf, got {x:?}", names.join(", "))
    })
}

/// The values behind a distribution, of each run.
fn samples(state: &State, opts: &Opts, data: Data, x: &str) -> Fallible<Vec<(String, Weighed)>> {
    let metric = distribution(x).map_err(|told| opts.error("x", &told))?;
    let Data::Runs(runs) = data else {
        return Err(opts.error("data", "must be runs for a cdf"));
    };
    let mut samples = Vec::new();
    for run in runs {
        let values = run.portion.fold(&state.experiment, Values::new(metric)).map_err(super::fault::raise)?;
        samples.push((run.name(), values.weighed()));
        need_room("chart", 0)?;
    }
    Ok(samples)
}

/// Rows with what is drawn of them.
struct Rows {
    data: Data,
    x: String,
    y: Vec<String>,
    series: Option<String>,
}

impl Rows {
    fn of(data: Data, x: String, y: Vec<String>, series: Option<String>) -> Rows {
        Rows { data, x, y, series }
    }

    fn len(&self) -> usize {
        match &self.data {
            Data::Runs(runs) => runs.len(),
            Data::Rows(rows) => rows.len(),
        }
    }

    /// A value of row `i`: of a run its metric, the axis of its sweep, or its name.
    fn value(&self, i: usize, key: &str) -> Fallible<Dynamic> {
        match &self.data {
            Data::Rows(rows) => Ok(rows[i].get(key).cloned().unwrap_or(Dynamic::UNIT)),
            Data::Runs(runs) if key == "name" => Ok(runs[i].name().into()),
            Data::Runs(runs) => match runs[i].point.get(key) {
                Some(value) => Ok(value.clone()),
                None => runs[i].value(key),
            },
        }
    }

    fn points(&self, y: &str) -> Fallible<Vec<generic::Named>> {
        let mut lists: Vec<generic::Named> = Vec::new();
        for i in 0..self.len() {
            let name = match &self.series {
                Some(key) => format!("{key} {}", self.value(i, key)?),
                None => y.to_string(),
            };
            let (Some(x), Some(y)) = (plain(&self.value(i, &self.x)?), plain(&self.value(i, y)?)) else {
                continue;
            };
            match lists.iter_mut().find(|(known, _)| *known == name) {
                Some((_, points)) => points.push((x, y)),
                None => lists.push((name, vec![(x, y)])),
            }
        }
        Ok(lists)
    }

    fn figure(&self, opts: &Opts, kind: Picture, chart: Chart) -> Fallible<Figure> {
        match kind {
            Picture::Bar => self.bars(chart),
            Picture::Heatmap => self.cells(opts, chart),
            _ => {
                let mut series = Vec::new();
                for y in &self.y {
                    series.extend(self.points(y)?);
                }
                if series.is_empty() {
                    return Err(opts.error("data", "has no pair of numbers for x and y"));
                }
                Ok(if kind == Picture::Line {
                    generic::line(chart, series)
                } else {
                    generic::scatter(chart, series)
                })
            }
        }
    }

    fn bars(&self, chart: Chart) -> Fallible<Figure> {
        let mut names = Vec::new();
        let mut series: Vec<(String, Vec<f64>)> = self.y.iter().map(|y| (y.clone(), Vec::new())).collect();
        for i in 0..self.len() {
            names.push(self.value(i, &self.x)?.to_string());
            for (y, values) in &mut series {
                values.push(plain(&self.value(i, y)?).unwrap_or(f64::NAN));
            }
        }
        Ok(generic::bar(chart, names, series))
    }

    fn cells(&self, opts: &Opts, chart: Chart) -> Fallible<Figure> {
        let [y, value] = &self.y[..] else {
            return Err(opts.error("y", "must be [\"row\", \"value\"] for a heat map"));
        };
        let mut cells = Vec::new();
        for i in 0..self.len() {
            let triple =
                (plain(&self.value(i, &self.x)?), plain(&self.value(i, y)?), plain(&self.value(i, value)?));
            if let (Some(x), Some(y), Some(value)) = triple {
                cells.push((x, y, value));
            }
        }
        Ok(generic::heatmap(chart, &cells))
    }
}

/// A number that can be drawn; true is 1.
fn plain(value: &Dynamic) -> Option<f64> {
    value
        .as_bool()
        .ok()
        .map(|truth| f64::from(u8::from(truth)))
        .or_else(|| number(value))
        .filter(|n| n.is_finite())
}

/// Where a picture goes: `charts/` in the results folder; a taken name is an error.
pub fn place(folder: &Folder, name: &str) -> Result<PathBuf> {
    let plain = crate::experiment::finished::file_name(name);
    if plain != name {
        return Err(Error::usage(format!(
            "cannot save the chart {name:?}: give a plain file name such as \"ttft.svg\""
        )));
    }
    let charts = folder.path().join("charts");
    std::fs::create_dir_all(&charts)
        .map_err(|error| Error::run(format!("cannot make the folder {}: {error}", charts.display())))?;
    let path = charts.join(name);
    match path.exists() {
        true => {
            Err(Error::usage(format!("cannot save the chart {name:?}: there is one of that name already")))
        }
        false => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_the_unit_of_what_stands_on_it() {
        let label = |names: &[&str]| labelled(&names.iter().map(|name| name.to_string()).collect::<Vec<_>>());
        assert_eq!(label(&["ttft"]), "ttft (ms)");
        assert_eq!(label(&["ttft.p50", "ttft.p99"]), "ttft.p50, ttft.p99 (ms)");
        assert_eq!(label(&["output_tokens.rate"]), "output_tokens.rate (per second)");
        assert_eq!(label(&["ttft.p50", "output_tokens.rate"]), "ttft.p50, output_tokens.rate");
        assert_eq!([label(&["users"]), label(&["errors.share"])], ["users", "errors.share"]);
    }
}
