//! `Layout`: where everything of a figure stands, computed from measured texts before
//! anything is drawn, so that nothing is clipped and nothing lies over another.

use super::axis::{AxisPlan, AxisSide};
use super::figure::{Figure, Panel, Scale, Series, Style};
use super::marks::{self, Mark};
use super::palette::ColourRamp;
use super::text;

pub(super) const MARGIN: f64 = 36.0;
pub(super) const TITLE: f64 = 22.0;
pub(super) const TITLE_LINE: f64 = 30.0;
pub(super) const SUBTITLE: f64 = 13.0;
pub(super) const SUBTITLE_LINE: f64 = 19.0;
pub(super) const HEADING: f64 = 15.0;
pub(super) const HEADING_LINE: f64 = 20.0;
/// Axis labels and legends.
pub(super) const LABEL: f64 = 12.0;
pub(super) const LABEL_LINE: f64 = 18.0;
/// Values written beside bars.
pub(super) const VALUE: f64 = 11.5;
/// Space between an axis and its labels.
pub(super) const TICK_GAP: f64 = 8.0;
/// Legend: the coloured square with the space behind it, and the space between entries.
pub(super) const SWATCH: f64 = 17.0;
const ENTRY_GAP: f64 = 18.0;
const LEGEND_LINES: usize = 4;
/// Height of a row of a table below the panels.
const TABLE_ROW: f64 = 20.0;
const RAMP_KEY: f64 = 34.0;
const COLUMN_GAP: f64 = 30.0;
const ROW_GAP: f64 = 26.0;
const PLOT_HEIGHT_MIN: f64 = 60.0;
const PLOT_WIDTH_MIN: f64 = 60.0;

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Area {
    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// A legend entry: which series, its name, where it begins.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub series: usize,
    pub name: String,
    pub left: f64,
}

#[derive(Debug)]
pub(super) struct Layout {
    pub width: f64,
    pub height: f64,
    pub title: Vec<String>,
    pub subtitle: Vec<String>,
    /// Of all panels together.
    pub legend: Vec<Vec<Entry>>,
    pub panels: Vec<PanelPlan>,
}

/// Where one panel's parts stand.
#[derive(Debug)]
pub(super) struct PanelPlan {
    pub x: AxisPlan,
    pub y: AxisPlan,
    /// Between the axes.
    pub plot: Area,
    /// Plot and all that belongs to it.
    pub cell: Area,
    pub heading: Vec<String>,
    pub legend: Vec<Vec<Entry>>,
    pub marks: Vec<Mark>,
    /// False where the panel on the left has the same names.
    pub y_labels: bool,
    /// The x labels stand above the plot, as the heads of a table's columns.
    pub heads: bool,
}

/// Space around a plot.
#[derive(Debug, Clone, Copy, Default)]
struct Margins {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Layout {
    pub fn new(figure: &Figure) -> Layout {
        let width = f64::from(figure.width).max(240.0);
        let title = text::wrap(&figure.title, TITLE, width - 2.0 * MARGIN, 2);
        let subtitle: Vec<String> = figure
            .subtitle
            .lines()
            .flat_map(|line| text::wrap(line, SUBTITLE, width - 2.0 * MARGIN, 3))
            .collect();
        let first = figure.panels.first().filter(|_| figure.one_legend);
        let legend = first.map(|panel| legend(panel, width - 2.0 * MARGIN)).unwrap_or_default();
        let height = f64::from(figure.height);
        let mut layout = Layout { width, height, title, subtitle, legend, panels: Vec::new() };
        let header = layout.header();
        let grid = Grid { legends: !figure.one_legend, ..Grid::new(figure.columns, figure.panels.len()) };
        let below = figure.below.as_slice();
        let foot: f64 = below.iter().map(table_height).sum();
        // How many ticks fit depends on the plot's size, and the plot's size on the ticks'
        // labels: the first round guesses the size, the second starts from its result.
        let mut size = grid.guess(layout.width, layout.height - header - foot);
        let mut end = (header, layout.height - MARGIN * 0.7 - foot);
        let (mut panels, from) = (Vec::new(), end);
        for _ in 0..2 {
            (panels, size, end.0) = layout.arrange(&figure.panels, &grid, from, size);
        }
        let top = end.0 + if below.is_empty() { 0.0 } else { ROW_GAP };
        let (one, mut size) = (Grid::new(1, below.len()), (layout.width - 2.0 * MARGIN, foot));
        let (mut table, mut bottom) = (Vec::new(), end.0);
        for _ in 0..if below.is_empty() { 0 } else { 2 } {
            (table, size, bottom) = layout.arrange(below, &one, (top, top + foot - ROW_GAP), size);
        }
        panels.append(&mut table);
        layout.panels = panels;
        // Sums of what fills the picture are off by their rounding.
        layout.height = layout.height.max((bottom + MARGIN * 0.7 - 1e-6).ceil());
        layout
    }

    /// Height of title and subtitle with the space below.
    fn header(&self) -> f64 {
        let lines = self.title.len() as f64 * TITLE_LINE + self.subtitle.len() as f64 * SUBTITLE_LINE;
        let legend = self.legend.len() as f64 * LABEL_LINE;
        MARGIN * 0.8 + lines + legend + if lines > 0.0 { 18.0 } else { 0.0 }
    }

    /// Plans every panel for plots of about `size`, between two heights of the picture; returns the
    /// size that the plots got, and where they end.
    fn arrange(
        &mut self,
        panels: &[Panel],
        grid: &Grid,
        (from, to): (f64, f64),
        size: (f64, f64),
    ) -> (Vec<PanelPlan>, (f64, f64), f64) {
        let mut plans: Vec<PanelPlan> = (0..panels.len()).map(|i| grid.plan(panels, i, size)).collect();
        let cells: Vec<Margins> = panels.iter().zip(&plans).map(|(panel, plan)| plan.sides(panel)).collect();
        let columns = grid.sum(grid.columns, |i| i % grid.columns, &cells);
        let taken: f64 = columns.iter().map(|side| side.left + side.right).sum();
        let taken_width = 2.0 * MARGIN + taken + COLUMN_GAP * (grid.columns - 1) as f64;
        let plot_width = ((self.width - taken_width) / grid.columns as f64).max(PLOT_WIDTH_MIN);

        for (i, plan) in plans.iter_mut().enumerate() {
            plan.fill_width(&panels[i], plot_width, columns[i % grid.columns]);
            if !grid.legends {
                plan.legend.clear();
            }
        }
        let cells: Vec<Margins> =
            panels.iter().zip(&plans).map(|(panel, plan)| plan.above_and_below(panel)).collect();
        let rows = grid.sum(grid.rows, |i| i / grid.columns, &cells);
        let taken: f64 = rows.iter().map(|side| side.top + side.bottom).sum();
        let gaps = ROW_GAP * (grid.rows.max(1) - 1) as f64;
        let free = to - from - taken - gaps;
        let least = panels.iter().map(least_height).fold(PLOT_HEIGHT_MIN, f64::max);
        let plot_height = (free / grid.rows.max(1) as f64).max(least);

        // Texts come first: a picture that is too small grows.
        let widths = taken_width + plot_width * grid.columns as f64;
        self.width = self.width.max(widths.ceil());
        let mut top = from;
        for (row, sides) in rows.iter().enumerate() {
            let mut left = MARGIN;
            for (column, around) in columns.iter().enumerate() {
                if let Some(plan) = plans.get_mut(row * grid.columns + column) {
                    let plot = Area {
                        left: left + around.left,
                        top: top + sides.top,
                        width: plot_width,
                        height: plot_height,
                    };
                    let cell_width = around.left + plot_width + around.right;
                    let cell_height = sides.top + plot_height + sides.bottom;
                    plan.cell = Area { left, top, width: cell_width, height: cell_height };
                    plan.plot = plot;
                }
                left += around.left + plot_width + around.right + COLUMN_GAP;
            }
            top += sides.top + plot_height + sides.bottom + ROW_GAP;
        }
        (plans, (plot_width, plot_height), top - ROW_GAP)
    }
}

/// Rows and columns of panels.
struct Grid {
    columns: usize,
    rows: usize,
    /// Each panel has its own.
    legends: bool,
}

impl Grid {
    fn new(columns: usize, panels: usize) -> Grid {
        let columns = columns.clamp(1, panels.max(1));
        Grid { columns, rows: panels.div_ceil(columns), legends: true }
    }

    fn guess(&self, width: f64, height: f64) -> (f64, f64) {
        let wide = (width - 2.0 * MARGIN) / self.columns as f64 - 90.0;
        let high = height / self.rows.max(1) as f64 - 110.0;
        (wide.max(PLOT_WIDTH_MIN), high.max(PLOT_HEIGHT_MIN))
    }

    /// The widest margins of each of `count` rows or columns.
    fn sum(&self, count: usize, of: impl Fn(usize) -> usize, cells: &[Margins]) -> Vec<Margins> {
        let mut widest = vec![Margins::default(); count];
        for (i, cell) in cells.iter().enumerate() {
            let side = &mut widest[of(i)];
            side.left = side.left.max(cell.left);
            side.right = side.right.max(cell.right);
            side.top = side.top.max(cell.top);
            side.bottom = side.bottom.max(cell.bottom);
        }
        widest
    }

    /// Axes of panel `i` for a plot of about `size`.
    fn plan(&self, panels: &[Panel], i: usize, size: (f64, f64)) -> PanelPlan {
        let panel = &panels[i];
        let (mut x, mut y) = (AxisPlan::new(panel, AxisSide::X), AxisPlan::new(panel, AxisSide::Y));
        if y.named {
            x.make_room(&bar_texts(panel, AxisSide::X, size));
        } else {
            y.make_room(&bar_texts(panel, AxisSide::Y, size));
        }
        x.fit_x(&panel.x, size.0);
        y.fit_y(&panel.y, size.1);
        let first = &panels[i / self.columns * self.columns];
        let repeated = y.named && !i.is_multiple_of(self.columns) && first.y.scale == panel.y.scale;
        let nowhere = Area { left: 0.0, top: 0.0, width: size.0, height: size.1 };
        PanelPlan {
            x,
            y,
            plot: nowhere,
            cell: nowhere,
            heading: Vec::new(),
            legend: Vec::new(),
            marks: Vec::new(),
            y_labels: !repeated,
            heads: is_table(panel),
        }
    }
}

/// Height of a table below the panels, its heading and the space above.
fn table_height(panel: &Panel) -> f64 {
    let rows = if let Scale::Names(names) = &panel.y.scale { names.len() } else { 0 };
    ROW_GAP + HEADING_LINE + 2.0 * super::axis::TICK_LINE + TICK_GAP + 18.0 + rows as f64 * TABLE_ROW
}

/// Height that the rows of a table need.
fn least_height(panel: &Panel) -> f64 {
    match &panel.y.scale {
        Scale::Names(names) if panel.ramp == ColourRamp::Table => names.len() as f64 * (TABLE_ROW - 3.0),
        _ => 0.0,
    }
}

/// (value, share of the axis that its text takes beyond the bar's end) of every bar.
fn bar_texts(panel: &Panel, side: AxisSide, size: (f64, f64)) -> Vec<(f64, f64)> {
    let format = if side == AxisSide::X { panel.x.format } else { panel.y.format };
    let bars = panel.series.iter().filter(|series| matches!(series.style, Style::Bars));
    let mut room = Vec::new();
    for series in bars {
        let value = |point: &(f64, f64)| if side == AxisSide::X { point.0 } else { point.1 };
        let values: Vec<f64> = series.points.iter().map(value).collect();
        let share = |label: &String| match side {
            AxisSide::X => (text::width(label, VALUE) + 10.0) / size.0,
            AxisSide::Y => (VALUE + 8.0) / size.1,
        };
        let shares = format.column(&values).iter().map(share).collect::<Vec<f64>>();
        let ends = values.iter().enumerate().map(|(i, value)| series.end(i).unwrap_or(*value));
        room.extend(ends.zip(shares));
    }
    let (reach, length) = if side == AxisSide::X { (panel.x.reach, size.0) } else { (panel.y.reach, size.1) };
    // The same on all pages of a picture, whatever their texts.
    room.extend(reach.map(|reach| (reach, (TEXT_BESIDE / length).min(0.5))));
    room
}

/// Width of a usual value beside its bar.
const TEXT_BESIDE: f64 = 62.0;

impl PanelPlan {
    /// Left and right margins that the axis labels need.
    fn sides(&self, panel: &Panel) -> Margins {
        let y_labels = if self.y_labels { self.y.label_width() } else { 0.0 };
        let left = if y_labels > 0.0 { y_labels + TICK_GAP } else { 0.0 };
        // Labels of a horizontal axis are centred on their ticks and may reach over its ends.
        let half = |tick: &super::ticks::Tick| {
            let lines = tick.label.lines().map(|line| text::width(line, super::axis::TICK));
            if self.x.upright { super::axis::TICK_LINE / 2.0 } else { lines.fold(0.0, f64::max) / 2.0 }
        };
        let width = self.plot.width;
        let over = |from: f64, tick| (half(tick) - from * width).max(0.0);
        let left_over = self.x.ticks.iter().map(|tick| over(self.x.share(tick.at), tick)).fold(0.0, f64::max);
        let right_over =
            self.x.ticks.iter().map(|tick| over(1.0 - self.x.share(tick.at), tick)).fold(0.0, f64::max);
        let turned = matches!(panel.x.scale, Scale::Names(_));
        let right = if turned { right_over } else { right_over.max(6.0) };
        Margins { left: left.max(left_over), right, ..Margins::default() }
    }

    /// Everything that depends on the width alone: heading, legend, marks, horizontal ticks.
    fn fill_width(&mut self, panel: &Panel, plot_width: f64, around: Margins) {
        let cell_width = around.left + plot_width + around.right;
        self.heading = text::wrap(&panel.title, HEADING, cell_width, 2);
        self.legend = legend(panel, cell_width);
        let mut wanted = Vec::new();
        for series in &panel.series {
            let Style::Marks(labels) = &series.style else { continue };
            for (i, point) in series.points.iter().enumerate() {
                let Some(at) = self.x.unit(point.0) else { continue };
                let share = self.x.share(at);
                if (-1e-9..=1.0 + 1e-9).contains(&share) {
                    wanted.push((share * plot_width, labels.get(i).cloned().unwrap_or_default()));
                }
            }
        }
        self.marks = marks::place(wanted, plot_width);
    }

    fn above_and_below(&self, panel: &Panel) -> Margins {
        let lanes = self.marks.iter().map(|mark| mark.lane + 1).max().unwrap_or(0);
        let mut top = self.heading.len() as f64 * HEADING_LINE
            + self.legend.len() as f64 * LABEL_LINE
            + lanes as f64 * marks::LANE
            + 10.0;
        if !panel.y.label.is_empty() {
            top += LABEL_LINE;
        }
        let ticks = self.x.label_height() + if self.x.label_height() > 0.0 { TICK_GAP } else { 0.0 };
        let mut bottom = if self.heads { 0.0 } else { ticks.max(4.0) };
        top += if self.heads { ticks } else { 0.0 };
        if !panel.x.label.is_empty() {
            bottom += LABEL_LINE + 2.0;
        }
        if panel.ramp_ends.is_some() {
            bottom += RAMP_KEY;
        }
        Margins { top, bottom, ..Margins::default() }
    }
}

/// Cells that are judged: read column by column.
fn is_table(panel: &Panel) -> bool {
    panel.ramp != ColourRamp::Amount
        && panel.series.iter().any(|series| matches!(series.style, Style::Cells(_)))
}

/// Names of the series in lines of at most `width`; what does not fit in the allowed lines
/// is counted in a last entry.
fn legend(panel: &Panel, width: f64) -> Vec<Vec<Entry>> {
    let is_text = |series: &&Series| matches!(series.style, Style::Marks(_) | Style::Labels(_));
    let drawn = panel.series.iter().filter(|series| !is_text(series)).count();
    let named = panel.series.iter().enumerate().filter(|(_, series)| !series.name.is_empty());
    let named: Vec<(usize, &str)> = named.map(|(i, series)| (i, series.name.as_str())).collect();
    if named.is_empty() || drawn < 2 {
        return Vec::new();
    }
    let mut lines: Vec<Vec<Entry>> = vec![Vec::new()];
    let mut left = 0.0;
    for (done, (series, name)) in named.iter().enumerate() {
        let name = text::cut(name, LABEL, (width - SWATCH).min(320.0));
        let wide = SWATCH + text::width(&name, LABEL);
        // The last line keeps room for the count of those that are left.
        let reserve = if lines.len() == LEGEND_LINES && done + 1 < named.len() { 60.0 } else { 0.0 };
        if left > 0.0 && left + wide + reserve > width {
            if lines.len() == LEGEND_LINES {
                let more = format!("+{}", named.len() - done);
                lines[LEGEND_LINES - 1].push(Entry { series: usize::MAX, name: more, left });
                break;
            }
            lines.push(Vec::new());
            left = 0.0;
        }
        lines.last_mut().expect("one line at least").push(Entry { series: *series, name, left });
        left += wide + ENTRY_GAP;
    }
    lines
}
