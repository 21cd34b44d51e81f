//! The dashboard: throughput, latency, token counts, request rate and a table, on one page.

use super::bars::tokens;
use super::layout::{Page, one, several};
use super::metrics::{self, Compared, PER_GPU, latency};
use super::row::{ComparedRow, Look};
use crate::chart::{Axis, ColourRamp, Figure, Panel, Series, Style, TickFormat, Tone};
use crate::stats::metric::Metric;

pub fn dashboard(page: &Page<'_>, look: &Look) -> Figure {
    let per_gpu = page.all.iter().any(|row| row.value(PER_GPU).is_finite());
    let output = if per_gpu { metrics::output_per_gpu() } else { metrics::output() };
    let panels = vec![
        one(page, &output, 0, look),
        latencies(page, look),
        tokens(page, look),
        one(page, &metrics::requests(), 4, look),
    ];
    let mut figure = page.figure(look, ("Dashboard", "性能总览"), panels, 4);
    figure.below = Some(table(page, look));
    if page.rows.len() > 20 {
        figure.height += page.rows.len() as u32 * 20;
    }
    figure
}

/// Means of TTFT, TPOT and E2EL on one axis, which is a log one where they lie far apart.
fn latencies(page: &Page<'_>, look: &Look) -> Panel {
    let shown = [(Metric::Ttft, 2), (Metric::Tpot, 1), (Metric::E2el, 3)];
    let columns: Vec<(String, String, Tone)> = shown
        .into_iter()
        .map(|(metric, accent)| {
            (metric.name().to_uppercase(), latency(metric, "mean").column, Tone::Accent(accent))
        })
        .collect();
    let columns: Vec<(String, &str, Tone)> =
        columns.iter().map(|(name, column, tone)| (name.clone(), column.as_str(), *tone)).collect();
    let mut panel = several(page, &look.say("Mean latency", "平均延迟"), TickFormat::Ms, &columns, look);
    // Three values a row: the table tells them.
    panel.series.retain(|series| !matches!(series.style, Style::Labels(_)));
    panel
}

/// The columns of the table.
fn columns(rows: &[ComparedRow]) -> Vec<Compared> {
    let mut columns =
        vec![metrics::total(), metrics::output(), metrics::output_per_gpu(), metrics::requests()];
    let latencies = [Metric::Ttft, Metric::Tpot, Metric::Itl, Metric::E2el];
    columns.push(latency(latencies[0], "mean"));
    columns.push(latency(latencies[0], "p99"));
    columns.extend(latencies[1..].iter().map(|metric| latency(*metric, "mean")));
    columns.retain(|metric| rows.iter().any(|row| row.value(&metric.column).is_finite()));
    columns
}

/// Every configuration with its numbers; the columns on counts of failures where there are some.
fn table(page: &Page<'_>, look: &Look) -> Panel {
    let columns = columns(page.all);
    let mut heads: Vec<String> = columns.iter().map(|metric| metric.head(look.lang).to_string()).collect();
    let (mut points, mut cells) = (Vec::new(), Vec::new());
    let mut column = |values: Vec<String>| {
        let at = points.len() / page.rows.len().max(1);
        for (place, text) in values.into_iter().enumerate() {
            points.push((at as f64, place as f64));
            cells.push((f64::NAN, text));
        }
    };
    for metric in &columns {
        let values: Vec<f64> = page.rows.iter().map(|row| row.value(&metric.column)).collect();
        column(metric.format.column(&values));
    }
    if page.all.iter().any(|row| row.value("failed") > 0.0) {
        heads.push(look.say("Failed requests", "失败请求"));
        let values: Vec<f64> = page.rows.iter().map(|row| row.value("failed")).collect();
        column(TickFormat::Count.column(&values));
    }
    let names = page.rows.iter().map(ComparedRow::named).collect();
    let (x, y) = (Axis::names("", heads), Axis::names("", names));
    let cells = Style::Cells(cells);
    let mut panel = Panel { x, y, ramp: ColourRamp::Table, ..Panel::default() };
    match columns.is_empty() {
        true => panel.note = Some(metrics::no_data(look)),
        false => panel.series = vec![Series::new("", cells, points)],
    }
    panel
}
