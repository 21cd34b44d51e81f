//! The heat map: configuration by metric, green always better.

use super::layout::{DECADES, Page};
use super::metrics;
use super::row::{ComparedRow, Look, eligible};
use crate::chart::{Axis, ColourRamp, Figure, Panel, Series, Style};

/// A cell's colour is its place between the worst and the best value of its column. Equal values are
/// neutral, and so is a single configuration; a column whose values differ by less than 10 % is pale
/// in proportion. What is not valid has no colour.
pub fn map(page: &Page<'_>, look: &Look) -> Figure {
    let (rows, metrics) = (page.rows, metrics::seen(page.all));
    let counted = eligible(page.all);
    let all: Vec<&ComparedRow> =
        page.all.iter().zip(&counted).filter(|(_, is)| **is).map(|(row, _)| row).collect();
    let none_sound = !page.all.iter().any(ComparedRow::is_sound);
    let (mut points, mut cells, mut hatched) = (Vec::new(), Vec::new(), Vec::new());
    for (column, metric) in metrics.iter().enumerate() {
        let values: Vec<f64> = rows.iter().map(|row| row.value(&metric.column)).collect();
        let others: Vec<f64> = all.iter().map(|row| row.value(&metric.column)).collect();
        for (place, label) in metric.format.column(&values).into_iter().enumerate() {
            let judged = rows[place].is_sound() || none_sound;
            let share = if judged { goodness(values[place], &others, metric.higher) } else { f64::NAN };
            let label = if rows[place].weak.contains(&metric.column) { format!("~{label}") } else { label };
            points.push((column as f64, place as f64));
            cells.push((share, label));
            hatched.push(!rows[place].is_sound());
        }
    }
    let mut panel = Panel {
        x: Axis::names("", metrics.iter().map(|metric| metric.head(look.lang).to_string()).collect()),
        y: Axis::names("", rows.iter().map(ComparedRow::named).collect()),
        ramp: ColourRamp::Verdict,
        ramp_ends: (page.all.len() > 1).then(|| (look.say("worse", "较差"), look.say("better", "较好"))),
        ..Panel::default()
    };
    if metrics.is_empty() {
        panel.note = Some(metrics::no_data(look));
        panel.ramp_ends = None;
    } else {
        panel.series = vec![Series { hatched, ..Series::new("", Style::Cells(cells), points) }];
    }
    let mut figure = Figure::new(look.titled("Performance heat map", "性能热力图"), 1, vec![panel]);
    figure.subtitle = page.subtitle(look);
    if page.all.len() > 1 {
        let meaning = look.say(
            "colours compare within a column, on a log scale where values span decades; pale: less than 10% apart",
            "颜色按列比较，跨数量级时按对数；颜色浅：相差不到 10%",
        );
        figure.subtitle += &format!("\n{meaning}");
    }
    let rows_height = (rows.len() as u32 * 44).clamp(70, 480).max(rows.len() as u32 * 24);
    figure.height = (240 + rows_height).max(720);
    figure
}

/// 0 worst, 1 best, 0.5 when there is nothing to compare.
pub fn goodness(value: f64, all: &[f64], higher: bool) -> f64 {
    if !value.is_finite() {
        return f64::NAN;
    }
    let finite = all.iter().copied().filter(|value| value.is_finite());
    let (lo, hi) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    if hi <= lo {
        return 0.5;
    }
    // Far apart, all but the largest would look alike.
    let log = lo > 0.0 && hi >= DECADES * lo;
    let at = |value: f64| if log { value.log10() } else { value };
    let place = (at(value) - at(lo)) / (at(hi) - at(lo)) - 0.5;
    // A difference within the noise of a benchmark must not look like day and night.
    let strength = ((hi - lo) / hi.abs().max(lo.abs()) / 0.10).min(1.0);
    0.5 + if higher { place } else { -place } * strength
}

#[cfg(test)]
mod tests {
    use super::super::row::testing::{look, row};
    use super::*;
    use crate::lang::Lang;

    fn heatmap(rows: &[ComparedRow]) -> Figure {
        map(&Page::of(rows, 20)[0], &look("", Lang::English))
    }

    fn shares(figure: &Figure) -> Vec<f64> {
        let Style::Cells(cells) = &figure.panels[0].series[0].style else { panic!("cells") };
        cells.iter().map(|cell| cell.0).collect()
    }

    #[test]
    fn green_means_more_throughput_and_less_latency() {
        let rows = [
            row("a", &[("output_throughput", 10.0), ("mean_ttft_ms", 100.0)]),
            row("b", &[("output_throughput", 20.0), ("mean_ttft_ms", 900.0)]),
        ];
        assert_eq!(shares(&heatmap(&rows)), [0.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn a_single_configuration_and_equal_values_are_neutral() {
        let one = [row("a", &[("output_throughput", 10.0), ("mean_ttft_ms", 100.0)])];
        assert_eq!(shares(&heatmap(&one)), [0.5, 0.5]);
        let equal = [row("a", &[("output_throughput", 10.0)]), row("b", &[("output_throughput", 10.0)])];
        assert_eq!(shares(&heatmap(&equal)), [0.5, 0.5]);
    }

    #[test]
    fn a_difference_of_one_percent_is_pale_and_a_missing_value_is_empty() {
        let near = [row("a", &[("output_throughput", 99.0)]), row("b", &[("output_throughput", 100.0)])];
        let shares_near = shares(&heatmap(&near));
        assert!(shares_near[0] > 0.44 && shares_near[1] < 0.56, "{shares_near:?}");
        let rows = [row("a", &[("output_throughput", 10.0)]), row("b", &[])];
        assert!(shares(&heatmap(&rows))[1].is_nan());
    }

    #[test]
    fn what_is_not_valid_has_no_colour_and_moves_none() {
        let rows = |verdict: Option<&str>| {
            let mut wild = row("wild", &[("output_throughput", 200.0)]);
            wild.verdict = verdict.map(String::from);
            [row("a", &[("output_throughput", 10.0)]), row("b", &[("output_throughput", 20.0)]), wild]
        };
        let of = |verdict| shares(&heatmap(&rows(verdict)));
        assert!(of(None)[1] < 0.1 && of(Some("client_bound"))[1] == 1.0);
        assert!(of(Some("client_bound"))[2].is_nan());
    }
}
