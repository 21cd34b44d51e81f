//! Figures: pictures as data, drawn to SVG and PNG with one embedded font.

pub mod compare;
pub mod figure;
pub mod forest;
pub mod generic;
pub mod run;
pub mod server;

mod axis;
mod canvas;
mod draw;
mod layout;
mod marks;
mod overlay;
mod palette;
mod png;
pub mod save;
mod series;
mod sheet;
mod slide;
mod svg;
mod text;
mod ticks;

pub use figure::{Axis, Dot, Figure, Panel, Scale, Series, Style};
pub use palette::{ColourRamp, Theme, Tone};
pub use text::{elided, has_glyph};
pub use ticks::TickFormat;

#[cfg(test)]
mod checks;
#[cfg(test)]
mod gallery;
