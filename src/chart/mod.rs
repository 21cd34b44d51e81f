//! Figures: pictures as data, drawn to SVG and PNG with one embedded font.

pub mod compare;
pub mod figure;
pub mod run;

pub use figure::{Axis, Figure, Panel, Scale, Series, Style};
