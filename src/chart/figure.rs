//! `Figure`: a grid of panels as plain data.

use super::palette::{ColourRamp, Theme, Tone};
use super::ticks::TickFormat;

/// A picture: a title above a grid of panels.
#[derive(Debug, Clone)]
pub struct Figure {
    pub title: String,
    /// Smaller lines under the title.
    pub subtitle: String,
    pub columns: usize,
    pub panels: Vec<Panel>,
    /// All panels have the series of the first: their names stand once, above all of them.
    pub one_legend: bool,
    /// A panel below all others, as wide as the picture: a table.
    pub below: Option<Panel>,
    pub theme: Theme,
    /// Pixels of the whole picture at scale 1 (PNG is drawn at twice that). The picture
    /// becomes larger than this when its texts leave too little room for the plots.
    pub width: u32,
    pub height: u32,
}

#[derive(Debug, Clone, Default)]
pub struct Panel {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
    /// Why there is nothing to see, written in the middle: `no data: no reply was streamed`.
    pub note: Option<String>,
    /// The colours of [`Style::Cells`].
    pub ramp: ColourRamp,
    /// What the low and the high end of the colours mean, drawn as a key below the cells.
    pub ramp_ends: Option<(String, String)>,
}

#[derive(Debug, Clone, Default)]
pub struct Axis {
    pub label: String,
    pub scale: Scale,
    /// Fixed ends; else from the data. The first may be the larger one: the axis is turned.
    pub range: Option<(f64, f64)>,
    /// Where nothing is fixed: a value that there is room for, and for its text beside its bar.
    pub reach: Option<f64>,
    /// The values that are labelled, as far as there is room; else round ones.
    pub at: Vec<f64>,
    pub format: TickFormat,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Scale {
    #[default]
    Linear,
    /// Points at or below zero have no place on it and are left out.
    Log,
    /// Named places 0, 1, 2, ... On the y axis the first is at the top. A line break in a
    /// name is kept where there is room.
    Names(Vec<String>),
}

#[derive(Debug, Clone)]
pub struct Series {
    /// In the legend; empty: none.
    pub name: String,
    pub style: Style,
    /// A value that is not a number is a gap.
    pub points: Vec<(f64, f64)>,
    pub tone: Tone,
    /// From where to where each value may lie, drawn as a whisker along its axis: of bars the axis that
    /// they lie along, else y. Shorter than `points`: the others have none.
    pub spread: Vec<Option<(f64, f64)>>,
    /// The same of x, where a point has one of each.
    pub spread_x: Vec<Option<(f64, f64)>>,
    /// Bars that are hatched: numbers that should not be quoted.
    pub hatched: Vec<bool>,
}

/// How one point of [`Style::Dots`] is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dot {
    Full,
    Ring,
    Cross,
}

#[derive(Debug, Clone)]
pub enum Style {
    Line,
    /// A thin line without its points, in front of nothing.
    Rule,
    /// Points, each as it is to be drawn.
    Dots(Vec<Dot>),
    /// A text beside each point, where there is room; an empty one is none.
    Labels(Vec<String>),
    /// Staircase: each value holds until the next x.
    Step,
    Area,
    Points,
    /// A bar at each place of a named axis, its value written beside it where it fits. With
    /// names on the y axis a point is (value, place) and the bars lie.
    Bars,
    /// A vertical mark at each x with this label, such as `p99 12.3 ms`.
    Marks(Vec<String>),
    /// Horizontal bars from `points[2i].0` to `points[2i+1].0` at height `points[2i].1`.
    Spans,
    /// A filled band between `points[2i]` (low) and `points[2i+1]` (high), same x.
    Band,
    /// Heat-map cells: value at (column, row), 0 bad .. 1 good, with the text to print.
    Cells(Vec<(f64, String)>),
}

impl Default for Figure {
    /// An empty slide.
    fn default() -> Self {
        Figure {
            title: String::new(),
            subtitle: String::new(),
            columns: 1,
            panels: Vec::new(),
            one_legend: false,
            below: None,
            theme: Theme::Light,
            width: 1280,
            height: 720,
        }
    }
}

impl Figure {
    /// One picture of `panels` in `columns` columns, of the size of a slide.
    pub fn new(title: impl Into<String>, columns: usize, panels: Vec<Panel>) -> Figure {
        Figure { title: title.into(), columns, panels, ..Figure::default() }
    }
}

impl Axis {
    pub fn linear(label: impl Into<String>) -> Axis {
        Axis { label: label.into(), ..Axis::default() }
    }

    pub fn log(label: impl Into<String>) -> Axis {
        Axis { label: label.into(), scale: Scale::Log, ..Axis::default() }
    }

    pub fn names(label: impl Into<String>, names: Vec<String>) -> Axis {
        Axis { label: label.into(), scale: Scale::Names(names), ..Axis::default() }
    }

    pub fn format(mut self, format: TickFormat) -> Axis {
        self.format = format;
        self
    }

    pub fn at(mut self, at: Vec<f64>) -> Axis {
        self.at = at;
        self
    }

    pub fn range(mut self, from: f64, to: f64) -> Axis {
        self.range = Some((from, to));
        self
    }
}

impl Default for Series {
    fn default() -> Self {
        Series {
            name: String::new(),
            style: Style::Line,
            points: Vec::new(),
            tone: Tone::Auto,
            spread: Vec::new(),
            spread_x: Vec::new(),
            hatched: Vec::new(),
        }
    }
}

impl Series {
    pub fn new(name: impl Into<String>, style: Style, points: Vec<(f64, f64)>) -> Series {
        Series { name: name.into(), style, points, ..Series::default() }
    }

    /// The far end of the whisker of value `i`.
    pub(super) fn end(&self, i: usize) -> Option<f64> {
        self.spread.get(i).copied().flatten().map(|(_, high)| high)
    }

    pub fn tone(mut self, tone: Tone) -> Series {
        self.tone = tone;
        self
    }
}
