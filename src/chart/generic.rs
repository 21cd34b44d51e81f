//! Charts of plain points, for scripts: line, cdf, bar, scatter, heat map.

use super::ticks::TickFormat;
use super::{Axis, ColourRamp, Figure, Panel, Scale, Series, Style};
use crate::stats::weighed::Weighed;

/// What all of these charts share.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    pub title: String,
    pub subtitle: String,
    pub x_label: String,
    pub y_label: String,
    pub x_format: TickFormat,
    pub y_format: TickFormat,
    pub log_x: bool,
    pub log_y: bool,
    /// Vertical marks: x and label.
    pub marks: Vec<(f64, String)>,
    /// Filled bands behind a line chart.
    pub bands: Vec<Band>,
}

/// A name and the band's (x, low, high).
pub type Band = (String, Vec<(f64, f64, f64)>);

/// A named list of points.
pub type Named = (String, Vec<(f64, f64)>);

/// Lines over x; points are drawn in order of x.
pub fn line(chart: Chart, series: Vec<Named>) -> Figure {
    let lines = series.into_iter().map(|(name, mut points)| {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Series::new(name, Style::Line, points)
    });
    // A band takes the colour of the line with its number; lines lie above bands.
    let mut all: Vec<Series> = Vec::new();
    for (i, (name, band)) in chart.bands.iter().enumerate() {
        let edges = band.iter().flat_map(|(x, low, high)| [(*x, *low), (*x, *high)]).collect();
        all.push(Series::new(name.clone(), Style::Band, edges).tone(super::Tone::Accent(i)));
    }
    all.extend(lines.enumerate().map(|(i, line)| line.tone(super::Tone::Accent(i))));
    chart.figure(all)
}

/// The share of values at or below x, one curve for each list of values.
pub fn cdf(mut chart: Chart, samples: Vec<(String, Weighed)>) -> Figure {
    chart.y_format = TickFormat::Share;
    chart.log_y = false;
    let series = samples.into_iter().map(|(name, values)| Series::new(name, Style::Line, steps(&values)));
    let mut figure = chart.figure(series.collect());
    for panel in &mut figure.panels {
        panel.y.range = Some((0.0, 1.0));
    }
    figure
}

/// Bars at named places; `series` holds one value for each name (not a number: a gap).
/// The bars lie when their names are long.
pub fn bar(chart: Chart, names: Vec<String>, series: Vec<(String, Vec<f64>)>) -> Figure {
    let widest = names.iter().map(|name| super::text::width(name, 12.0)).fold(0.0, f64::max);
    let lying = widest + 12.0 > 1100.0 / names.len().max(1) as f64;
    let bars = series.into_iter().map(|(name, values)| {
        let points = values.into_iter().enumerate().map(|(place, value)| match lying {
            true => (value, place as f64),
            false => (place as f64, value),
        });
        Series::new(name, Style::Bars, points.collect())
    });
    let bars: Vec<Series> = bars.collect();
    let needed = (names.len() * 24 * bars.len().max(1) + 170) as u32;
    let mut figure = chart.figure(bars);
    for panel in &mut figure.panels {
        let scale = Scale::Names(names.clone());
        if lying {
            // Value and name change places.
            std::mem::swap(&mut panel.x, &mut panel.y);
            panel.y.scale = scale;
            figure.height = figure.height.max(needed);
        } else {
            panel.x.scale = scale;
        }
    }
    figure
}

/// One dot for each point.
pub fn scatter(chart: Chart, series: Vec<Named>) -> Figure {
    let dots = series.into_iter().map(|(name, points)| Series::new(name, Style::Points, points));
    chart.figure(dots.collect())
}

/// A value at each (x, y): rows and columns are the different values of y and x in order.
/// Darker is more. Of several values at one place the last counts.
pub fn heatmap(chart: Chart, values: &[(f64, f64, f64)]) -> Figure {
    let (xs, ys) = (different(values.iter().map(|v| v.0)), different(values.iter().map(|v| v.1)));
    let finite = values.iter().map(|v| v.2).filter(|value| value.is_finite());
    let (lo, hi) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    let mut grid = vec![f64::NAN; xs.len() * ys.len()];
    for (x, y, value) in values {
        let place = |list: &[f64], at: &f64| list.iter().position(|one| one == at);
        if let (Some(column), Some(row)) = (place(&xs, x), place(&ys, y)) {
            grid[row * xs.len() + column] = *value;
        }
    }
    let share = |value: f64| match value.is_finite() {
        true if hi > lo => (value - lo) / (hi - lo),
        true => 0.5,
        false => f64::NAN,
    };
    let labels = TickFormat::Number.column(&grid);
    let cells = grid.iter().zip(labels).map(|(value, label)| (share(*value), label)).collect();
    // The largest y is at the top, as on any other y axis.
    let top = ys.len().saturating_sub(1);
    let places = (0..grid.len()).map(|i| ((i % xs.len()) as f64, (top - i / xs.len()) as f64)).collect();
    let (x_format, y_format) = (chart.x_format, chart.y_format);
    let mut figure = chart.figure(vec![Series::new("", Style::Cells(cells), places)]);
    for panel in &mut figure.panels {
        panel.x.scale = Scale::Names(xs.iter().map(|x| x_format.value(*x)).collect());
        panel.y.scale = Scale::Names(ys.iter().rev().map(|y| y_format.value(*y)).collect());
        panel.ramp = ColourRamp::Amount;
        if lo <= hi {
            panel.ramp_ends = Some((TickFormat::Number.value(lo), TickFormat::Number.value(hi)));
        }
    }
    figure
}

impl Chart {
    fn figure(self, mut series: Vec<Series>) -> Figure {
        let empty = !series.iter().flat_map(|one| &one.points).any(|p| p.0.is_finite() && p.1.is_finite());
        if !self.marks.is_empty() {
            let points = self.marks.iter().map(|(x, _)| (*x, 0.0)).collect();
            let labels = self.marks.into_iter().map(|(_, label)| label).collect();
            series.push(Series::new("", Style::Marks(labels), points));
        }
        let scale = |log: bool| if log { Scale::Log } else { Scale::Linear };
        let panel = Panel {
            x: Axis {
                label: self.x_label,
                scale: scale(self.log_x),
                format: self.x_format,
                ..Axis::default()
            },
            y: Axis {
                label: self.y_label,
                scale: scale(self.log_y),
                format: self.y_format,
                ..Axis::default()
            },
            series,
            note: empty.then(|| "no data".into()),
            ..Panel::default()
        };
        let mut figure = Figure::new(self.title, 1, vec![panel]);
        figure.subtitle = self.subtitle;
        figure.height = 640;
        figure
    }
}

/// The staircase of an empirical distribution; of very many values only what a picture can
/// show.
fn steps(values: &Weighed) -> Vec<(f64, f64)> {
    let count = values.count();
    let stride = (count / 2000).max(1);
    let mut points = Vec::new();
    let mut below = 0.0;
    let mut place = 0;
    while let Some((value, reached)) = values.at(place) {
        let share = reached as f64 / count as f64;
        points.push((value, below));
        points.push((value, share));
        below = share;
        place = reached.max(place + stride);
    }
    // The largest value, where the curve arrives at 1.
    if let (Some(largest), true) = (values.max(), below < 1.0) {
        points.push((largest, below));
        points.push((largest, 1.0));
    }
    points
}

fn different(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cdf_rises_from_nothing_to_one() {
        let points = steps(&[3.0, 1.0, 1.0, f64::NAN].into_iter().collect());
        let third = 2.0 / 3.0;
        assert_eq!(points, [(1.0, 0.0), (1.0, third), (3.0, third), (3.0, 1.0)]);
        let many = steps(&(0..100_000).map(f64::from).collect());
        assert!(many.len() < 5000);
        assert_eq!(many.last(), Some(&(99_999.0, 1.0)));
        assert!(steps(&Weighed::default()).is_empty());
    }

    #[test]
    fn bars_with_long_names_lie() {
        let short =
            bar(Chart::default(), vec!["1".into(), "2".into()], vec![(String::new(), vec![1.0, 2.0])]);
        assert!(matches!(short.panels[0].x.scale, Scale::Names(_)));
        let names: Vec<String> = (0..20).map(|i| format!("io1024x1024_mc{i}_np1280")).collect();
        let long = bar(Chart::default(), names, vec![(String::new(), vec![1.0; 20])]);
        assert!(matches!(long.panels[0].y.scale, Scale::Names(_)));
        assert_eq!(long.panels[0].series[0].points[3], (1.0, 3.0));
    }

    #[test]
    fn a_heat_map_has_the_largest_y_at_the_top_and_holes_stay_empty() {
        let figure = heatmap(Chart::default(), &[(1.0, 10.0, 5.0), (2.0, 20.0, 7.0)]);
        let panel = &figure.panels[0];
        assert_eq!(panel.y.scale, Scale::Names(vec!["20".into(), "10".into()]));
        let Style::Cells(cells) = &panel.series[0].style else { panic!("cells") };
        let empty = cells.iter().filter(|cell| cell.0.is_nan()).count();
        assert_eq!((cells.len(), empty), (4, 2));
        assert_eq!(panel.series[0].points[0], (0.0, 1.0));
    }

    #[test]
    fn nothing_to_draw_is_said() {
        assert!(line(Chart::default(), vec![]).panels[0].note.is_some());
        assert!(heatmap(Chart::default(), &[]).panels[0].note.is_some());
    }
}
