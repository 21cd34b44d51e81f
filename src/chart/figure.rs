//! `Figure`: a grid of panels as plain data, and its drawing.

use crate::error::Result;
use std::path::Path;

/// A picture: a title above a grid of panels.
#[derive(Debug, Clone)]
pub struct Figure {
    pub title: String,
    /// Smaller line under the title.
    pub subtitle: String,
    pub columns: usize,
    pub panels: Vec<Panel>,
    /// Pixels of the whole picture at scale 1 (PNG is drawn at twice that).
    pub width: u32,
    pub height: u32,
}

#[derive(Debug, Clone)]
pub struct Panel {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
}

#[derive(Debug, Clone)]
pub struct Axis {
    pub label: String,
    pub scale: Scale,
    /// Fixed ends; else from the data.
    pub range: Option<(f64, f64)>,
}

#[derive(Debug, Clone)]
pub enum Scale {
    Linear,
    Log,
    /// Named places 0, 1, 2, ...
    Names(Vec<String>),
}

#[derive(Debug, Clone)]
pub struct Series {
    pub name: String,
    pub style: Style,
    pub points: Vec<(f64, f64)>,
}

#[derive(Debug, Clone)]
pub enum Style {
    Line,
    /// Staircase: each value holds until the next x.
    Step,
    Area,
    Points,
    Bars,
    /// A vertical mark at each x with this label, such as `p99 12.3 ms`.
    Marks(Vec<String>),
    /// Horizontal bars from points[2i].0 to points[2i+1].0 at height points[2i].1.
    Spans,
    /// Heat-map cells: value at (column, row), 0 bad .. 1 good, with the text to print.
    Cells(Vec<(f64, String)>),
}

impl Figure {
    pub fn svg(&self) -> Result<String> {
        todo!()
    }

    pub fn png(&self) -> Result<Vec<u8>> {
        todo!()
    }

    /// Writes `path`; the ending says which (`.svg`, `.png`; anything else is an error).
    pub fn save(&self, _path: &Path) -> Result<()> {
        todo!()
    }
}
