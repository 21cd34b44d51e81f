//! The data themselves: every style of series, drawn by plotters in its coordinates.

use super::axis::AxisPlan;
use super::canvas::Canvas;
use super::figure::{Panel, Series, Style};
use super::layout::Area;
use super::palette::{Color, Palette};
use super::sheet::{FINE, Sheet};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::Color as _;
use std::collections::HashSet;

/// Bars that lie and bars that stand are never thicker than this many pixels.
const BAR_MAX: (f64, f64) = (30.0, 48.0);
/// Lines with at most this many points show them.
const DOTTED: usize = 24;

/// A cloud of more dots than this is thinned.
const DOTS_MOST: usize = 15_000;

/// A plot with its axes.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub plot: Area,
    pub x: &'a AxisPlan,
    pub y: &'a AxisPlan,
}

type Plane<'a> = DrawingArea<Sheet<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn<'a> = std::result::Result<(), DrawingAreaErrorKind<<Sheet<'a> as DrawingBackend>::ErrorType>>;

impl Frame<'_> {
    pub fn px(&self, unit: f64) -> f64 {
        self.plot.left + self.x.share(unit) * self.plot.width
    }

    pub fn py(&self, unit: f64) -> f64 {
        self.plot.bottom() - self.y.share(unit) * self.plot.height
    }

    /// Where bars and areas begin on `axis`, in its units.
    pub fn base(&self, axis: &AxisPlan) -> f64 {
        if axis.log || axis.lo > axis.hi {
            axis.lo
        } else {
            0.0f64.clamp(axis.lo.min(axis.hi), axis.hi.max(axis.lo))
        }
    }

    /// A point in axis units, kept near the plot: what is far outside is not seen anyway.
    fn unit(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let near = |axis: &AxisPlan, unit: f64| {
            let (lo, hi) = (axis.lo.min(axis.hi), axis.lo.max(axis.hi));
            unit.clamp(lo - (hi - lo), hi + (hi - lo))
        };
        Some((near(self.x, self.x.unit(x)?), near(self.y, self.y.unit(y)?)))
    }

    /// The series' points in axis units, in pieces without gaps.
    fn pieces(&self, points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
        let mut pieces = vec![Vec::new()];
        for point in points {
            match self.unit(*point) {
                Some(unit) => pieces.last_mut().expect("one piece at least").push(unit),
                None => pieces.push(Vec::new()),
            }
        }
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }
}

/// Every series of a panel, in order.
pub(super) fn draw(canvas: &mut Canvas, panel: &Panel, frame: &Frame<'_>) {
    let palette = canvas.palette();
    draw_on(&Sheet::over(canvas), palette, panel, frame)
        .expect("a canvas takes every shape, and is lent to one alone");
}

fn draw_on<'a>(
    sheet: &DrawingArea<Sheet<'a>, Shift>,
    palette: &Palette,
    panel: &Panel,
    frame: &Frame<'_>,
) -> Drawn<'a> {
    let fine = |pixels: f64| (pixels * FINE).round() as i32;
    let plot = frame.plot;
    let plane: Plane<'a> = sheet.apply_coord_spec(Cartesian2d::new(
        frame.x.lo..frame.x.hi,
        frame.y.lo..frame.y.hi,
        (fine(plot.left)..fine(plot.right()), fine(plot.bottom())..fine(plot.top)),
    ));
    for (i, series) in panel.series.iter().enumerate() {
        let color = palette.tone(series.tone, i);
        match &series.style {
            Style::Line => line(&plane, frame, &series.points, (color, 2.0), series.points.len() <= DOTTED)?,
            Style::Rule => line(&plane, frame, &series.points, (color, 1.4), false)?,
            Style::Step => line(&plane, frame, &staircase(&series.points), (color, 2.0), false)?,
            Style::Area => area(&plane, frame, &series.points, color)?,
            Style::Points => dots(&plane, frame, &series.points, color)?,
            Style::Bars => bars(&plane, panel, i, frame, color)?,
            Style::Spans => spans(&plane, panel, series, frame, color)?,
            Style::Band => band(&plane, frame, &series.points, color)?,
            Style::Cells(values) => cells(&plane, palette, panel, series, values, frame)?,
            Style::Marks(_) | Style::Dots(_) | Style::Labels(_) => {}
        }
    }
    Ok(())
}

fn paint(color: Color, alpha: f64) -> RGBAColor {
    RGBColor(color.0, color.1, color.2).mix(alpha)
}

fn pen(color: Color, pixels: f64) -> ShapeStyle {
    paint(color, 1.0).stroke_width((pixels * FINE) as u32)
}

/// `dotted`: its points are seen.
fn line<'a>(
    plane: &Plane<'a>,
    frame: &Frame<'_>,
    points: &[(f64, f64)],
    (color, thick): (Color, f64),
    dotted: bool,
) -> Drawn<'a> {
    for piece in frame.pieces(points) {
        let dotted = piece.len() == 1 || dotted;
        let thinned = thin(frame, piece);
        let size = if dotted { (2.8 * FINE) as u32 } else { 0 };
        // Plotters fills the points of a series only when its style is filled.
        for element in LineSeries::new(thinned, pen(color, thick).filled()).point_size(size) {
            plane.draw(&element)?;
        }
    }
    Ok(())
}

fn area<'a>(plane: &Plane<'a>, frame: &Frame<'_>, points: &[(f64, f64)], color: Color) -> Drawn<'a> {
    let base = frame.base(frame.y);
    for piece in frame.pieces(points) {
        let fill = paint(color, 0.28);
        for element in AreaSeries::new(thin(frame, piece), base, fill).border_style(pen(color, 1.4)) {
            plane.draw(&element)?;
        }
    }
    Ok(())
}

fn band<'a>(plane: &Plane<'a>, frame: &Frame<'_>, points: &[(f64, f64)], color: Color) -> Drawn<'a> {
    let side = |from: usize| points.iter().skip(from).step_by(2).filter_map(|point| frame.unit(*point));
    let mut outline = thin(frame, side(0).collect());
    let mut back = thin(frame, side(1).collect());
    back.reverse();
    outline.append(&mut back);
    plane.draw(&Polygon::new(outline, paint(color, 0.18)))
}

fn dots<'a>(plane: &Plane<'a>, frame: &Frame<'_>, points: &[(f64, f64)], color: Color) -> Drawn<'a> {
    let (radius, alpha) = match points.len() {
        0..=200 => (3.4, 0.9),
        201..=2000 => (2.6, 0.6),
        _ => (1.8, 0.45),
    };
    let points = points.iter().filter_map(|point| frame.unit(*point)).collect();
    for unit in scattered(frame, points) {
        plane.draw(&Circle::new(unit, (radius * FINE) as u32, paint(color, alpha).filled()))?;
    }
    Ok(())
}

/// A cloud thinned evenly, so that it is as dense here and as thin there as before; a dot
/// that stands alone is never lost.
fn scattered(frame: &Frame<'_>, points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= DOTS_MOST {
        return points;
    }
    let square = |unit: &(f64, f64)| ((frame.px(unit.0) / 6.0) as i64, (frame.py(unit.1) / 6.0) as i64);
    let every = points.len().div_ceil(DOTS_MOST);
    let mut kept: Vec<(f64, f64)> = points.iter().copied().step_by(every).collect();
    let mut seen: HashSet<(i64, i64)> = kept.iter().map(square).collect();
    kept.extend(points.into_iter().filter(|unit| seen.insert(square(unit))));
    kept
}

/// Where the bars of one series stand within their places.
pub(super) struct Slots {
    /// Half the thickness of a bar, axis units.
    pub half: f64,
    /// From the middle of the place to the middle of the bar, axis units.
    pub middle: f64,
    /// From one bar to the next, pixels.
    pub pitch: f64,
}

/// The bars of series `i`, side by side with those of the panel's other series.
pub(super) fn bar_slots(panel: &Panel, i: usize, frame: &Frame<'_>) -> Slots {
    let (across, pixels, lying) =
        if frame.y.named { (frame.y, frame.plot.height, true) } else { (frame.x, frame.plot.width, false) };
    let bars: Vec<usize> =
        (0..panel.series.len()).filter(|i| matches!(panel.series[*i].style, Style::Bars)).collect();
    let count = bars.len().max(1) as f64;
    let order = bars.iter().position(|bar| *bar == i).unwrap_or(0) as f64;
    let unit_pixels = pixels / (across.hi - across.lo).abs();
    let place = if across.named { 1.0 } else { narrowest(panel, across, lying) };
    let share = if count > 1.0 { 0.8 } else { 0.68 };
    let pitch = (place * share / count).min(if lying { BAR_MAX.0 } else { BAR_MAX.1 } / unit_pixels);
    // Without names the bars of a place that holds one value alone may fill it.
    let label_room = if count > 1.0 { pitch } else { place };
    let half = pitch * if count > 1.0 { 0.46 } else { 0.5 };
    let pitch_pixels = if lying { pitch } else { label_room } * unit_pixels;
    Slots { half, middle: (order - (count - 1.0) / 2.0) * pitch, pitch: pitch_pixels }
}

/// The smallest distance between two bars of an axis without names.
fn narrowest(panel: &Panel, across: &AxisPlan, lying: bool) -> f64 {
    let bars = panel.series.iter().filter(|series| matches!(series.style, Style::Bars));
    let mut places: Vec<f64> = bars
        .flat_map(|series| &series.points)
        .filter_map(|point| across.unit(if lying { point.1 } else { point.0 }))
        .collect();
    places.sort_by(f64::total_cmp);
    let gaps = places.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.0);
    gaps.fold((across.hi - across.lo).abs() / 2.0, f64::min)
}

fn bars<'a>(plane: &Plane<'a>, panel: &Panel, i: usize, frame: &Frame<'_>, color: Color) -> Drawn<'a> {
    let slots = bar_slots(panel, i, frame);
    for (x, y) in panel.series[i].points.iter().filter_map(|point| frame.unit(*point)) {
        let corners = if frame.y.named {
            let place = y + slots.middle;
            [(frame.base(frame.x), place - slots.half), (x, place + slots.half)]
        } else {
            let place = x + slots.middle;
            [(place - slots.half, frame.base(frame.y)), (place + slots.half, y)]
        };
        plane.draw(&Rectangle::new(corners, paint(color, 1.0).filled()))?;
    }
    Ok(())
}

/// Bars of a Gantt chart: as thick as the rows allow.
fn spans<'a>(
    plane: &Plane<'a>,
    panel: &Panel,
    series: &Series,
    frame: &Frame<'_>,
    color: Color,
) -> Drawn<'a> {
    let rows: HashSet<u64> =
        panel.series.iter().flat_map(|one| &one.points).map(|point| point.1.to_bits()).collect();
    let row = frame.plot.height / (rows.len().max(1) + 1) as f64;
    let half = (row * 0.39).clamp(0.3, 7.0) / frame.plot.height * (frame.y.hi - frame.y.lo).abs();
    let sliver = 1.0 / frame.plot.width * (frame.x.hi - frame.x.lo).abs();
    for pair in series.points.chunks_exact(2) {
        let (Some(from), Some(to)) = (frame.unit(pair[0]), frame.unit(pair[1])) else { continue };
        // Something that happened is seen even if it was short.
        let end = if to.0 - from.0 < sliver { from.0 + sliver } else { to.0 };
        let corners = [(from.0, from.1 - half), (end, from.1 + half)];
        plane.draw(&Rectangle::new(corners, paint(color, 1.0).filled()))?;
    }
    Ok(())
}

fn cells<'a>(
    plane: &Plane<'a>,
    palette: &Palette,
    panel: &Panel,
    series: &Series,
    values: &[(f64, String)],
    frame: &Frame<'_>,
) -> Drawn<'a> {
    // A hair of paper between the cells.
    let gap_x = 0.75 / frame.plot.width * (frame.x.hi - frame.x.lo).abs();
    let gap_y = 0.75 / frame.plot.height * (frame.y.hi - frame.y.lo).abs();
    for (point, (share, _)) in series.points.iter().zip(values) {
        let Some((x, y)) = frame.unit(*point) else { continue };
        let corners = [(x - 0.5 + gap_x, y - 0.5 + gap_y), (x + 0.5 - gap_x, y + 0.5 - gap_y)];
        plane.draw(&Rectangle::new(corners, paint(palette.ramp(panel.ramp, *share), 1.0).filled()))?;
    }
    Ok(())
}

/// Each value holds until the next x.
fn staircase(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut steps = Vec::with_capacity(points.len() * 2);
    for pair in points.windows(2) {
        steps.push(pair[0]);
        steps.push((pair[1].0, pair[0].1));
    }
    steps.extend(points.last());
    steps
}

/// First, lowest, highest and last point of each half pixel: a long line without what
/// nobody could see.
fn thin(frame: &Frame<'_>, piece: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if piece.len() < 2000 {
        return piece;
    }
    let column = |point: &(f64, f64)| (frame.px(point.0) * 2.0).floor() as i64;
    let mut kept = Vec::new();
    for run in piece.chunk_by(|a, b| column(a) == column(b)) {
        let by_y = |a: &usize, b: &usize| run[*a].1.total_cmp(&run[*b].1);
        let lowest = (0..run.len()).min_by(by_y).unwrap_or(0);
        let highest = (0..run.len()).max_by(by_y).unwrap_or(0);
        let mut places = vec![0, lowest, highest, run.len() - 1];
        places.sort_unstable();
        places.dedup();
        kept.extend(places.into_iter().map(|place| run[place]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::Axis;
    use super::super::axis::AxisSide;
    use super::*;

    fn framed(points: &[(f64, f64)], check: impl Fn(&Frame<'_>)) {
        let series = vec![Series::new("", Style::Line, points.to_vec())];
        let panel = Panel { x: Axis::linear(""), series, ..Panel::default() };
        let (x, y) = (AxisPlan::new(&panel, AxisSide::X), AxisPlan::new(&panel, AxisSide::Y));
        let plot = Area { left: 50.0, top: 20.0, width: 400.0, height: 200.0 };
        check(&Frame { plot, x: &x, y: &y });
    }

    #[test]
    fn a_long_line_is_thinned_and_keeps_its_ends_and_peaks() {
        let points: Vec<(f64, f64)> =
            (0..100_000).map(|i| (f64::from(i), if i == 54_321 { 9.0 } else { f64::from(i % 3) })).collect();
        framed(&points, |frame| {
            let thinned = thin(frame, points.clone());
            assert!(thinned.len() < 4000, "{}", thinned.len());
            assert!(thinned.contains(&(54_321.0, 9.0)));
            assert_eq!((thinned[0], thinned[thinned.len() - 1]), (points[0], points[points.len() - 1]));
        });
    }

    #[test]
    fn a_cloud_is_thinned_evenly_and_a_dot_alone_is_kept() {
        let mut points: Vec<(f64, f64)> =
            (0..100_000).map(|i| (f64::from(i % 1000), f64::from(i * 7919 % 10_007))).collect();
        points.push((500.0, 90_000.0));
        framed(&points, |frame| {
            let kept = scattered(frame, points.clone());
            assert!(kept.len() < DOTS_MOST * 2 && kept.contains(&(500.0, 90_000.0)), "{}", kept.len());
        });
        framed(&points[..100], |frame| assert_eq!(scattered(frame, points[..100].to_vec()).len(), 100));
    }

    #[test]
    fn a_missing_value_parts_a_line_in_two() {
        let points = [(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0), (3.0, 4.0)];
        framed(&points, |frame| {
            assert_eq!(frame.pieces(&points), [vec![(0.0, 1.0)], vec![(2.0, 3.0), (3.0, 4.0)]]);
        });
    }

    #[test]
    fn a_step_holds_its_value_until_the_next() {
        let steps = staircase(&[(0.0, 1.0), (2.0, 5.0)]);
        assert_eq!(steps, [(0.0, 1.0), (2.0, 1.0), (2.0, 5.0)]);
        assert!(staircase(&[]).is_empty());
    }
}
