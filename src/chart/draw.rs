//! Draws a figure on a canvas: frames, texts and axes; the data are drawn by [`series`].

use super::axis::{TICK, TICK_LINE};
use super::canvas::{Anchor, Canvas, Ink};
use super::figure::{Figure, Panel, Series, Style};
use super::layout::*;
use super::marks;
use super::overlay;
use super::palette::ColourRamp;
use super::series::{self, Frame};
use super::text;
use super::ticks::TickFormat;

/// The whole picture on a canvas.
pub(super) fn figure(figure: &Figure) -> Canvas {
    let layout = Layout::new(figure);
    let mut canvas = Canvas::new(layout.width, layout.height);
    canvas.theme = figure.theme;
    header(&mut canvas, figure, &layout);
    // Maps beside each other all have their numbers, or none has.
    let maps = figure.panels.iter().zip(&layout.panels);
    let size = maps.map(|(panel, plan)| cell_size(panel, plan)).fold(CELL, f64::min);
    for (panel, plan) in figure.panels.iter().zip(&layout.panels) {
        draw_panel(&mut canvas, panel, plan, size);
    }
    if let (Some(panel), Some(plan)) = (&figure.below, layout.panels.last()) {
        draw_panel(&mut canvas, panel, plan, cell_size(panel, plan));
    }
    canvas
}

/// Size of the texts in cells at most; the least that can be read.
const CELL: f64 = 13.0;
const CELL_LEAST: f64 = 8.5;

/// At what size the texts of all cells of a panel fit: one for all, so that size says nothing.
fn cell_size(panel: &Panel, plan: &PanelPlan) -> f64 {
    let frame = Frame { plot: plan.plot, x: &plan.x, y: &plan.y };
    let wide = (frame.px(1.0) - frame.px(0.0)).abs() - 8.0;
    let high = (frame.py(1.0) - frame.py(0.0)).abs() - 2.0;
    let cells = panel.series.iter().filter_map(|series| match &series.style {
        Style::Cells(values) => Some(values),
        _ => None,
    });
    let widest = cells.flatten().map(|(_, label)| text::width(label, 1.0)).fold(0.0, f64::max);
    if widest > 0.0 { (wide / widest).min(high).min(CELL) } else { CELL }
}

fn header(canvas: &mut Canvas, figure: &Figure, layout: &Layout) {
    let colors = canvas.palette();
    let mut y = MARGIN * 0.8 + TITLE_LINE / 2.0;
    for line in &layout.title {
        canvas.text(line, (MARGIN, y), Ink::new(TITLE, colors.ink));
        y += TITLE_LINE;
    }
    y += (SUBTITLE_LINE - TITLE_LINE) / 2.0;
    for line in &layout.subtitle {
        canvas.text(line, (MARGIN, y), Ink::new(SUBTITLE, colors.text));
        y += SUBTITLE_LINE;
    }
    if let Some(panel) = figure.panels.first() {
        legend(canvas, panel, &layout.legend, (MARGIN, y - LABEL_LINE / 2.0 + 3.0));
    }
}

/// Squares with names, in lines from the upper left corner; returns where the next line begins.
fn legend(canvas: &mut Canvas, panel: &Panel, lines: &[Vec<Entry>], (left, mut y): (f64, f64)) -> f64 {
    let colors = canvas.palette();
    for line in lines {
        let middle = y + LABEL_LINE / 2.0 + 1.0;
        for entry in line {
            if let Some(series) = panel.series.get(entry.series) {
                let color = colors.tone(series.tone, entry.series);
                let faint = matches!(series.style, Style::Band | Style::Area);
                let color = if faint { color.mix(colors.paper, 0.65) } else { color };
                canvas.rect((left + entry.left, middle - 5.5), (11.0, 11.0), color);
                canvas.text(&entry.name, (left + entry.left + SWATCH, middle), Ink::new(LABEL, colors.text));
            } else {
                canvas.text(&entry.name, (left + entry.left, middle), Ink::new(LABEL, colors.text));
            }
        }
        y += LABEL_LINE;
    }
    y
}

fn draw_panel(canvas: &mut Canvas, panel: &Panel, plan: &PanelPlan, cell_size: f64) {
    head(canvas, panel, plan);
    if let Some(note) = &panel.note {
        empty(canvas, plan, note);
        return;
    }
    let frame = Frame { plot: plan.plot, x: &plan.x, y: &plan.y };
    let cells = panel.series.iter().any(|series| matches!(series.style, Style::Cells(_)));
    if !cells {
        let dots = panel.series.iter().any(|series| matches!(series.style, Style::Dots(_)));
        grid(canvas, &frame, dots);
    }
    // A little more than the plot, so that points and lines on its edge are whole.
    let (plot, slack) = (plan.plot, 4.0);
    canvas.clip((plot.left - slack, plot.top - slack), (plot.width + 2.0 * slack, plot.height + 2.0 * slack));
    series::draw(canvas, panel, &frame);
    overlay::draw(canvas, panel, &frame);
    canvas.unclip();
    if !cells {
        base(canvas, &frame);
    }
    tick_labels(canvas, panel, plan, &frame);
    mark_lines(canvas, plan);
    for (i, one) in panel.series.iter().enumerate() {
        match &one.style {
            Style::Bars => bar_values(canvas, panel, i, one, &frame),
            Style::Cells(values) if cell_size >= CELL_LEAST => {
                cell_texts(canvas, panel, (one, values), &frame, cell_size);
            }
            _ => {}
        }
    }
    overlay::labels(canvas, panel, &frame);
    if let Some((low, high)) = &panel.ramp_ends {
        ramp_key(canvas, panel, plan, (low, high));
    }
}

/// Heading, legend and the y axis' label, from the top.
fn head(canvas: &mut Canvas, panel: &Panel, plan: &PanelPlan) {
    let colors = canvas.palette();
    let left = plan.cell.left;
    let mut y = plan.cell.top;
    for line in &plan.heading {
        canvas.text(line, (left, y + HEADING_LINE / 2.0), Ink::new(HEADING, colors.ink));
        y += HEADING_LINE;
    }
    y = legend(canvas, panel, &plan.legend, (left, y));
    if !panel.y.label.is_empty() {
        let label = text::cut(&panel.y.label, LABEL, plan.cell.width);
        canvas.text(&label, (left, y + LABEL_LINE / 2.0 + 1.0), Ink::new(LABEL, colors.text));
    }
}

/// The frame of a panel that has nothing to show, and why.
fn empty(canvas: &mut Canvas, plan: &PanelPlan, note: &str) {
    let colors = canvas.palette();
    let plot = plan.plot;
    canvas.rect((plot.left, plot.top), (plot.width, plot.height), colors.paper);
    for y in [plot.top, plot.bottom()] {
        canvas.line((plot.left, y), (plot.right(), y), colors.grid, 1.0);
    }
    let lines = text::wrap(note, SUBTITLE, plot.width - 16.0, 3);
    let mut y = plot.top + plot.height / 2.0 - (lines.len() as f64 - 1.0) * SUBTITLE_LINE / 2.0;
    for line in lines {
        let ink = Ink::new(SUBTITLE, colors.text).anchor(Anchor::Middle);
        canvas.text(&line, (plot.left + plot.width / 2.0, y), ink);
        y += SUBTITLE_LINE;
    }
}

/// `dots`: rows of names have a line that leads to their dots.
fn grid(canvas: &mut Canvas, frame: &Frame<'_>, dots: bool) {
    let colors = canvas.palette();
    let plot = frame.plot;
    let upright = |canvas: &mut Canvas, x: f64, color| {
        canvas.line((x, plot.top), (x, plot.bottom()), color, 1.0);
    };
    let level = |canvas: &mut Canvas, y: f64, color| {
        canvas.line((plot.left, y), (plot.right(), y), color, 1.0);
    };
    frame.x.minor.iter().for_each(|at| upright(canvas, frame.px(*at), colors.grid_minor));
    frame.y.minor.iter().for_each(|at| level(canvas, frame.py(*at), colors.grid_minor));
    if !frame.x.named {
        frame.x.ticks.iter().for_each(|tick| upright(canvas, frame.px(tick.at), colors.grid));
    }
    if frame.y.named && dots {
        frame.y.ticks.iter().for_each(|tick| level(canvas, frame.py(tick.at), colors.grid_minor));
    }
    if !frame.y.named && frame.y.format != TickFormat::Hidden {
        frame.y.ticks.iter().for_each(|tick| level(canvas, frame.py(tick.at), colors.grid));
    }
}

/// The line that the data stand on.
fn base(canvas: &mut Canvas, frame: &Frame<'_>) {
    let colors = canvas.palette();
    let plot = frame.plot;
    if frame.y.named {
        let x = frame.px(frame.base(frame.x));
        canvas.line((x, plot.top), (x, plot.bottom()), colors.axis, 1.0);
    } else {
        let y = frame.py(frame.base(frame.y));
        canvas.line((plot.left, y), (plot.right(), y), colors.axis, 1.0);
    }
}

fn tick_labels(canvas: &mut Canvas, panel: &Panel, plan: &PanelPlan, frame: &Frame<'_>) {
    let colors = canvas.palette();
    let plot = plan.plot;
    let ink = Ink::new(TICK, colors.text);
    let top = plot.bottom() + TICK_GAP;
    let heads = plot.top - TICK_GAP - plan.x.label_height();
    for tick in &plan.x.ticks {
        let x = frame.px(tick.at);
        if plan.x.upright {
            let (y, anchor) =
                if plan.heads { (plot.top - TICK_GAP, Anchor::Start) } else { (top, Anchor::End) };
            canvas.text(&tick.label, (x, y), Ink { upright: true, ..ink.anchor(anchor) });
            continue;
        }
        for (i, line) in tick.label.lines().enumerate() {
            let y = if plan.heads { heads } else { top } + (i as f64 + 0.5) * TICK_LINE;
            canvas.text(line, (x, y), ink.anchor(Anchor::Middle));
        }
    }
    if plan.y_labels {
        for tick in &plan.y.ticks {
            let place = (plot.left - TICK_GAP, frame.py(tick.at));
            canvas.text(&tick.label, place, ink.anchor(Anchor::End));
        }
    }
    if !panel.x.label.is_empty() {
        let label = text::cut(&panel.x.label, LABEL, plan.cell.width);
        let half = text::width(&label, LABEL) / 2.0;
        let middle = (plot.left + plot.width / 2.0).max(plan.cell.left + half).min(plan.cell.right() - half);
        let ticks = if plan.heads { 0.0 } else { plan.x.label_height() };
        let y = top + ticks + 2.0 + LABEL_LINE / 2.0;
        canvas.text(&label, (middle, y), Ink::new(LABEL, colors.text).anchor(Anchor::Middle));
    }
}

/// Marks reach from the axis up to the lane of their label.
fn mark_lines(canvas: &mut Canvas, plan: &PanelPlan) {
    let colors = canvas.palette();
    let plot = plan.plot;
    for mark in &plan.marks {
        let x = plot.left + mark.x;
        let y = plot.top - 3.0 - (mark.lane as f64 + 0.5) * marks::LANE;
        let top = if mark.label.is_empty() { plot.top } else { y - 5.0 };
        canvas.line((x, top), (x, plot.bottom()), colors.ink, 1.2);
        let anchor = if mark.leftwards { Anchor::End } else { Anchor::Start };
        canvas.text(
            &mark.label,
            (plot.left + mark.label_x(), y),
            Ink::new(marks::SIZE, colors.ink).anchor(anchor),
        );
    }
}

/// Values beside the bars where they fit; a "-" where there is none.
fn bar_values(canvas: &mut Canvas, panel: &Panel, i: usize, series: &Series, frame: &Frame<'_>) {
    let colors = canvas.palette();
    let slots = series::bar_slots(panel, i, frame);
    let lying = frame.y.named;
    let (along, across) = if lying { (frame.x, frame.y) } else { (frame.y, frame.x) };
    let values: Vec<f64> = series.points.iter().map(|point| if lying { point.0 } else { point.1 }).collect();
    for (i, label) in along.format.column(&values).iter().enumerate() {
        let (value, place) = (values[i], if lying { series.points[i].1 } else { series.points[i].0 });
        let Some(place) = across.unit(place) else { continue };
        let reached = series.end(i).map_or(value, |end| end.max(value));
        let at = along.unit(reached).map_or(frame.base(along), |unit| unit.max(frame.base(along)));
        if lying {
            let size = VALUE.min(slots.pitch * 1.02);
            let end = frame.px(at) + 6.0 + text::width(label, size);
            if size >= 8.5 && end <= frame.plot.right() + 6.0 {
                canvas.text(
                    label,
                    (frame.px(at) + 6.0, frame.py(place + slots.middle)),
                    Ink::new(size, colors.ink),
                );
            }
        } else if text::width(label, VALUE) <= slots.pitch - 4.0 {
            let spot = (frame.px(place + slots.middle), frame.py(at) - VALUE * 0.5 - 4.0);
            canvas.text(label, spot, Ink::new(VALUE, colors.ink).anchor(Anchor::Middle));
        }
    }
}

fn cell_texts(
    canvas: &mut Canvas,
    panel: &Panel,
    (series, values): (&Series, &[(f64, String)]),
    frame: &Frame<'_>,
    size: f64,
) {
    let colors = canvas.palette();
    for (point, (share, label)) in series.points.iter().zip(values) {
        let color = match panel.ramp {
            ColourRamp::Table => colors.ink,
            ramp => colors.ramp(ramp, *share).readable(),
        };
        let ink = Ink::new(size, color).anchor(Anchor::Middle);
        canvas.text(label, (frame.px(point.0), frame.py(point.1)), ink);
    }
}

/// What the colours mean: a strip between its two ends' names, below the cells.
fn ramp_key(canvas: &mut Canvas, panel: &Panel, plan: &PanelPlan, (low, high): (&str, &str)) {
    let colors = canvas.palette();
    let y = plan.cell.bottom() - 10.0;
    let (steps, step) = (40, 4.0);
    let ink = Ink::new(LABEL, colors.text);
    let wide = text::width(low, LABEL) + text::width(high, LABEL) + 20.0 + f64::from(steps) * step;
    let start = plan.plot.left.min(plan.cell.right() - wide).max(plan.cell.left);
    canvas.text(low, (start, y), ink);
    let left = start + text::width(low, LABEL) + 10.0;
    for i in 0..steps {
        let color = colors.ramp(panel.ramp, f64::from(i) / f64::from(steps - 1));
        canvas.rect((left + f64::from(i) * step, y - 6.0), (step + 0.4, 12.0), color);
    }
    canvas.text(high, (left + f64::from(steps) * step + 10.0, y), ink);
}
