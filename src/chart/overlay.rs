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
    let dotted = |series: &Series| matches!(series.style, Style::Dots(_));
    let spots = |series: &Series| places(series, frame).into_iter().map(|(_, point)| point).collect();
    let spots: Vec<Vec<Pair>> =
        panel.series.iter().map(|one| if dotted(one) { spots(one) } else { Vec::new() }).collect();
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
                    // What others hide is larger, and seen around them.
                    let near = |(x, y): &Pair| (x - point.0).abs() < 3.0 && (y - point.1).abs() < 3.0;
                    let above = spots[i + 1..].iter().filter(|later| later.iter().any(near)).count();
                    dot(canvas, point, dots.get(at).copied().unwrap_or(Dot::Full), color, above as f64 * 1.8);
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

/// `more`: by how many pixels it is larger than others.
fn dot(canvas: &mut Canvas, (x, y): Pair, dot: Dot, color: Color, more: f64) {
    let paper = canvas.palette().paper;
    match dot {
        Dot::Full => canvas.circle((x, y), 4.2 + more, color),
        Dot::Ring => {
            canvas.circle((x, y), 4.2 + more, color);
            canvas.circle((x, y), 2.7 + more, paper);
        }
        Dot::Cross => {
            let half = 4.0 + more;
            canvas.circle((x, y), 5.0, paper);
            canvas.line((x - half, y - half), (x + half, y + half), color, 1.8);
            canvas.line((x - half, y + half), (x + half, y - half), color, 1.8);
        }
    }
}

/// What texts beside points keep clear of.
struct Obstacles {
    dots: Vec<Pair>,
    whiskers: Vec<(Pair, Pair)>,
    lines: Vec<(Pair, Pair)>,
}

impl Obstacles {
    fn of(panel: &Panel, frame: &Frame<'_>) -> Obstacles {
        let mut found = Obstacles { dots: Vec::new(), whiskers: Vec::new(), lines: Vec::new() };
        for series in &panel.series {
            let spots = places(series, frame);
            match series.style {
                Style::Dots(_) => {
                    for (at, (x, y)) in &spots {
                        let ends = |spread: &[Option<(f64, f64)>]| spread.get(*at).copied().flatten();
                        let px = |value: f64| frame.x.unit(value).map(|unit| frame.px(unit));
                        let py = |value: f64| frame.y.unit(value).map(|unit| frame.py(unit));
                        let upright = ends(&series.spread).and_then(|(low, high)| py(low).zip(py(high)));
                        let level = ends(&series.spread_x).and_then(|(low, high)| px(low).zip(px(high)));
                        found.whiskers.extend(upright.map(|(low, high)| ((*x, low), (*x, high))));
                        found.whiskers.extend(level.map(|(low, high)| ((low, *y), (high, *y))));
                        found.dots.push((*x, *y));
                    }
                }
                Style::Rule => {
                    let ends = spots.windows(2).map(|pair| (pair[0].1, pair[1].1));
                    found.lines.extend(ends);
                }
                _ => {}
            }
        }
        found
    }

    /// The ends of a whisker that lies through a point, else the point.
    fn ends(&self, (x, y): Pair) -> Pair {
        let through = |((low, at), (high, to)): &&(Pair, Pair)| {
            (at - y).abs() < 0.5 && (to - y).abs() < 0.5 && *low <= x + 0.5 && *high >= x - 0.5
        };
        self.whiskers.iter().find(through).map_or((x, x), |(low, high)| (low.0, high.0))
    }
}

/// Texts beside their points: on the first side on which they meet no other text, no point, no whisker
/// and no line; else at least none of the first; and nowhere if there is no such side.
pub(super) fn labels(canvas: &mut Canvas, panel: &Panel, frame: &Frame<'_>) {
    let obstacles = Obstacles::of(panel, frame);
    for (i, series) in panel.series.iter().enumerate() {
        let Style::Labels(texts) = &series.style else { continue };
        let ink = Ink::new(LABEL, canvas.palette().tone(series.tone, i));
        for (at, (x, y)) in places(series, frame) {
            let Some(label) = texts.get(at).filter(|label| !label.is_empty()) else { continue };
            // In a row of its own a text stands on it, and nowhere else.
            let (low, high) = obstacles.ends((x, y));
            let level = [((high + 9.0, y), Anchor::Start), ((low - 9.0, y), Anchor::End)];
            let sides = [
                ((x + 8.0, y - 7.0), Anchor::Start),
                ((x + 8.0, y + 8.0), Anchor::Start),
                ((x - 8.0, y - 7.0), Anchor::End),
                ((x - 8.0, y + 8.0), Anchor::End),
                ((x, y - 12.0), Anchor::Middle),
                ((x, y + 13.0), Anchor::Middle),
            ];
            let sides = if frame.y.named { &level[..] } else { &sides[..] };
            let wide = text::width(label, LABEL);
            let clear = |care: usize| {
                sides.iter().copied().find(|(place, anchor)| {
                    let left = match anchor {
                        Anchor::Start => place.0,
                        Anchor::Middle => place.0 - wide / 2.0,
                        Anchor::End => place.0 - wide,
                    };
                    let (top, bottom) = (place.1 - LABEL / 2.0, place.1 + LABEL / 2.0);
                    let space = Space { left, right: left + wide, top, bottom };
                    space.is_free(canvas, frame, &obstacles, care)
                })
            };
            if let Some((place, anchor)) = (0..=2).rev().find_map(clear) {
                canvas.text(label, place, ink.anchor(anchor));
            }
        }
    }
}

/// Where a text is to stand.
struct Space {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Space {
    /// `care`: 0 for other texts and points, 1 for whiskers too, 2 for lines too.
    fn is_free(&self, canvas: &Canvas, frame: &Frame<'_>, of: &Obstacles, care: usize) -> bool {
        let (plot, right) = (frame.plot, frame.plot.right() + 10.0);
        let inside = self.left >= plot.left && self.right <= right && self.top >= plot.top - 2.0;
        let meets = |other: &TextBox| {
            let beside = self.left < other.right + 2.0 && other.left < self.right + 2.0;
            beside && self.top < other.bottom && other.top < self.bottom
        };
        let hides = |(x, y): &Pair| {
            let level = *x > self.left - 4.0 && *x < self.right + 4.0;
            level && *y > self.top - 4.0 && *y < self.bottom + 4.0
        };
        let crossed = |lines: &[(Pair, Pair)]| lines.iter().any(|line| self.is_crossed(*line));
        inside
            && self.bottom <= plot.bottom()
            && !canvas.texts.iter().any(meets)
            && !of.dots.iter().any(hides)
            && !(care > 0 && crossed(&of.whiskers))
            && !(care > 1 && crossed(&of.lines))
    }

    /// Whether a straight line passes through: what is left of it between each pair of sides.
    fn is_crossed(&self, (from, to): (Pair, Pair)) -> bool {
        let (mut start, mut end) = (0.0f64, 1.0f64);
        for (at, by, low, high) in
            [(from.0, to.0 - from.0, self.left, self.right), (from.1, to.1 - from.1, self.top, self.bottom)]
        {
            if by.abs() < 1e-9 {
                if at < low || at > high {
                    return false;
                }
                continue;
            }
            let (one, other) = ((low - at) / by, (high - at) / by);
            start = start.max(one.min(other));
            end = end.min(one.max(other));
        }
        start <= end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_crosses_a_text_or_passes_it() {
        let space = Space { left: 10.0, right: 20.0, top: 10.0, bottom: 16.0 };
        for (from, to, crosses) in [
            ((0.0, 0.0), (30.0, 30.0), true),
            ((0.0, 12.0), (30.0, 12.0), true),
            ((15.0, 0.0), (15.0, 9.0), false),
            ((0.0, 12.0), (5.0, 12.0), false),
            ((0.0, 20.0), (30.0, 17.0), false),
        ] {
            assert_eq!(space.is_crossed((from, to)), crosses, "{from:?} {to:?}");
        }
    }
}
