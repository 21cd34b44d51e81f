//! The pictures of a run or of a part of it, drawn from its rows.

use super::Experiment;
use super::portion::Portion;
use super::series;
use crate::chart::{self, Figure};
use crate::error::{Error, Result};
use crate::record::{Point, Source};
use crate::stats::latencies::Latencies;
use crate::stats::lines::Lines;
use crate::stats::occupancy::Occupancy;
use std::path::PathBuf;

/// Draws them into the results folder, as SVG and PNG. Returns their paths.
pub fn draw(experiment: &Experiment, portion: &Portion) -> Result<Vec<PathBuf>> {
    let folder = portion.run.folder.path().join("charts");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::run(format!("cannot make the folder {}: {error}", folder.display())))?;
    let mut paths = Vec::new();
    for (kind, mut figure) in figures(experiment, portion)? {
        figure.theme = experiment.switches.theme;
        experiment.secrets.scrub_figure(&mut figure);
        for ending in ["svg", "png"] {
            let path = folder.join(format!("{}-{kind}.{ending}", portion.file_name()));
            // Drawn before: the same rows give the same picture.
            if !path.exists() {
                experiment.quota.saving("charts", || figure.save(&path).map(|()| path.clone()))?;
            }
            paths.push(path);
        }
    }
    Ok(paths)
}

fn figures(experiment: &Experiment, portion: &Portion) -> Result<Vec<(&'static str, Figure)>> {
    let (name, lang) = (portion.name(), experiment.switches.lang);
    let name = name.as_str();
    let start = portion.summary().span().map(|(start, _)| start);
    let points = server_points(portion)?;
    // Where the pictures end comes first: their bins depend on it.
    let occupancy = portion.fold(experiment, Occupancy::default())?;
    let server_end = (!points.is_empty()).then(|| chart::server::end(&occupancy, &points));
    let folds = (
        Latencies::default(),
        Lines::default(),
        chart::run::token_bins(occupancy.end()),
        server_end.map(chart::run::token_bins),
    );
    let (latencies, lines, tokens, server_tokens) = portion.fold(experiment, folds)?;
    let mut figures = vec![
        ("distributions", chart::run::distributions(name, &latencies, lang)),
        ("over_time", chart::run::over_time(name, &occupancy, &tokens, start, lang)),
        ("timeline", chart::run::timeline(name, &lines, lang)),
    ];
    let server = server_tokens
        .and_then(|tokens| chart::server::over_time(name, &occupancy, &tokens, &points, start, lang));
    figures.extend(server.map(|figure| ("server", figure)));
    Ok(figures)
}

/// What the server told of itself and a picture shows; nothing for a part, of which it knows nothing.
fn server_points(portion: &Portion) -> Result<Vec<Point>> {
    if !portion.part().is_whole() {
        return Ok(Vec::new());
    }
    // Counters of several processes in turn have no rate.
    let jumps = portion.run.summary.told().is_some_and(|told| told.jumps);
    let told =
        |metric: &str| chart::server::DRAWN.contains(&metric) && !(jumps && metric.ends_with("_total"));
    series::points(&portion.run, |point| point.source == Source::Server && told(&point.metric))
}
