//! What lies over the data of a panel: hatches, whiskers, dots of several kinds, and texts beside them.

use super::canvas::{Anchor, Canvas, Ink, Pair, TextBox};
use super::figure::{Dot, Panel, Series, Style};
use super::palette::Color;
use super::series::{self, Frame};
use super::text;

/// Pixels from one line of a hatch to the next.
const HATCH: f64 = 7.0;
/// Half the length of a whisker's end.
const CAP: f64 = 3.5;
/// Size of a text beside a point.
const LABEL: f64 = 11.5;

/// Hatches and whiskers of bars, dots and theirs.
pub(super) fn draw(canvas: &mut Canvas, panel: &Panel, frame: &Frame<'_>) {
    for (i, series) in panel.series.iter().enumerate() {
        let color = canvas.palette().tone(series.tone, i);
        match &series.style {
            Style::Bars => bars(canvas, panel, i, frame),
            Style::Cells(_) => cells(canvas, series, frame),
            Style::Dots(dots) => {
                let ink = color;
                for (at, point) in places(series, frame) {
                    whisker(canvas, frame, series.spread.get(at), point, false, ink);
                    whisker(canvas, frame, series.spread_x.get(at), point, true, ink);
                }
                for (at, point) in places(series, frame) {
                    dot(canvas, point, dots.get(at).copied().unwrap_or(Dot::Full), color);
                }
            }
            _ => {}
        }
    }
}

/// The points of a series that have a place, with their numbers, in pixels.
fn places(series: &Series, frame: &Frame<'_>) -> Vec<(usize, Pair)> {
    let place = |(i, (x, y)): (usize, &(f64, f64))| {
        Some((i, (frame.px(frame.x.unit(*x)?), frame.py(frame.y.unit(*y)?))))
    };
    series.points.iter().enumerate().filter_map(place).collect()
}

fn bars(canvas: &mut Canvas, panel: &Panel, i: usize, frame: &Frame<'_>) {
    let (series, slots) = (&panel.series[i], series::bar_slots(panel, i, frame));
    let (paper, ink) = (canvas.palette().paper, canvas.palette().ink);
    for (at, (x, y)) in series.points.iter().enumerate() {
        let lying = frame.y.named;
        let (Some(x), Some(y)) = (frame.x.unit(*x), frame.y.unit(*y)) else { continue };
        let ends = match lying {
            true => (
                (frame.px(frame.base(frame.x)), frame.py(y + slots.middle - slots.half)),
                (frame.px(x), frame.py(y + slots.middle + slots.half)),
            ),
            false => (
                (frame.px(x + slots.middle - slots.half), frame.py(y)),
                (frame.px(x + slots.middle + slots.half), frame.py(frame.base(frame.y))),
            ),
        };
        if series.hatched.get(at).copied().unwrap_or(false) {
            hatch(canvas, ends, paper);
        }
        let middle = ((ends.0.0 + ends.1.0) / 2.0, (ends.0.1 + ends.1.1) / 2.0);
        whisker(canvas, frame, series.spread.get(at), middle, lying, ink);
    }
}

fn cells(canvas: &mut Canvas, series: &Series, frame: &Frame<'_>) {
    let color = canvas.palette().grid;
    let half = ((frame.px(1.0) - frame.px(0.0)).abs() / 2.0, (frame.py(1.0) - frame.py(0.0)).abs() / 2.0);
    for (at, (x, y)) in places(series, frame) {
        if series.hatched.get(at).copied().unwrap_or(false) {
            hatch(canvas, ((x - half.0, y - half.1), (x + half.0, y + half.1)), color);
        }
    }
}

/// Lines from the lower left to the upper right, over a rectangle between two corners.
fn hatch(canvas: &mut Canvas, (one, other): (Pair, Pair), color: Color) {
    let (left, right) = (one.0.min(other.0), one.0.max(other.0));
    let (top, bottom) = (one.1.min(other.1), one.1.max(other.1));
    let mut sum = left + top + HATCH / 2.0;
    while sum < right + bottom {
        let (from, to) = ((sum - bottom).max(left), (sum - top).min(right));
        canvas.line((from, sum - from), (to, sum - to), color, 2.4);
        sum += HATCH;
    }
}

/// From the low to the high end of `spread`, through `point`.
fn whisker(
    canvas: &mut Canvas,
    frame: &Frame<'_>,
    spread: Option<&Option<(f64, f64)>>,
    point: Pair,
    level: bool,
    color: Color,
) {
    let Some(Some((low, high))) = spread else { return };
    let place = |value: f64| match level {
        true => frame.x.unit(value).map(|unit| frame.px(unit)),
        false => frame.y.unit(value).map(|unit| frame.py(unit)),
    };
    let (Some(low), Some(high)) = (place(*low), place(*high)) else { return };
    let at =
        |along: f64, across: f64| if level { (along, point.1 + across) } else { (point.0 + across, along) };
    canvas.line(at(low, 0.0), at(high, 0.0), color, 1.3);
    for end in [low, high] {
        canvas.line(at(end, -CAP), at(end, CAP), color, 1.3);
    }
}

fn dot(canvas: &mut Canvas, (x, y): Pair, dot: Dot, color: Color) {
    let paper = canvas.palette().paper;
    match dot {
        Dot::Full => canvas.circle((x, y), 4.2, color),
        Dot::Ring => {
            canvas.circle((x, y), 4.2, color);
            canvas.circle((x, y), 2.7, paper);
        }
        Dot::Cross => {
            let half = 4.0;
            canvas.circle((x, y), 5.0, paper);
            canvas.line((x - half, y - half), (x + half, y + half), color, 1.8);
            canvas.line((x - half, y + half), (x + half, y - half), color, 1.8);
        }
    }
}

/// Texts beside their points: on the first side on which they meet no other text and no point, and
/// nowhere if there is none.
pub(super) fn labels(canvas: &mut Canvas, panel: &Panel, frame: &Frame<'_>) {
    let dots: Vec<Pair> = panel
        .series
        .iter()
        .filter(|series| matches!(series.style, Style::Dots(_)))
        .flat_map(|series| places(series, frame))
        .map(|(_, point)| point)
        .collect();
    for (i, series) in panel.series.iter().enumerate() {
        let Style::Labels(texts) = &series.style else { continue };
        let ink = Ink::new(LABEL, canvas.palette().tone(series.tone, i));
        for (at, (x, y)) in places(series, frame) {
            let Some(label) = texts.get(at).filter(|label| !label.is_empty()) else { continue };
            // In a row of its own a text stands on it, and nowhere else.
            let level = [((x + 9.0, y), Anchor::Start), ((x - 9.0, y), Anchor::End)];
            let sides = [
                ((x + 8.0, y - 7.0), Anchor::Start),
                ((x + 8.0, y + 8.0), Anchor::Start),
                ((x - 8.0, y - 7.0), Anchor::End),
                ((x - 8.0, y + 8.0), Anchor::End),
                ((x, y - 12.0), Anchor::Middle),
                ((x, y + 13.0), Anchor::Middle),
            ];
            let sides = if frame.y.named { &level[..] } else { &sides[..] };
            let free = sides.iter().copied().find(|(place, anchor)| {
                let wide = text::width(label, LABEL);
                let left = match anchor {
                    Anchor::Start => place.0,
                    Anchor::Middle => place.0 - wide / 2.0,
                    Anchor::End => place.0 - wide,
                };
                is_free(canvas, frame, &dots, (left, left + wide), place.1)
            });
            if let Some((place, anchor)) = free {
                canvas.text(label, place, ink.anchor(anchor));
            }
        }
    }
}

fn is_free(canvas: &Canvas, frame: &Frame<'_>, dots: &[Pair], (left, right): Pair, middle: f64) -> bool {
    let (top, bottom) = (middle - LABEL / 2.0, middle + LABEL / 2.0);
    let inside = left >= frame.plot.left && right <= frame.plot.right() + 10.0 && top >= frame.plot.top - 2.0;
    let meets = |other: &TextBox| {
        left < other.right + 2.0 && other.left < right + 2.0 && top < other.bottom && other.top < bottom
    };
    let hides = |(x, y): &Pair| *x > left - 4.0 && *x < right + 4.0 && *y > top - 4.0 && *y < bottom + 4.0;
    inside && bottom <= frame.plot.bottom() && !canvas.texts.iter().any(meets) && !dots.iter().any(hides)
}
