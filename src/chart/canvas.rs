//! `Canvas`: a picture as a list of shapes, which [`super::svg`] writes and [`super::png`] paints.

use super::palette::{Color, Palette, Theme};
use super::text;

/// A place, or a size, in pixels.
pub(super) type Pair = (f64, f64);

/// A picture under construction.
pub(super) struct Canvas {
    pub width: f64,
    pub height: f64,
    /// In the order in which they are drawn.
    pub shapes: Vec<CanvasShape>,
    /// The place of every text drawn so far.
    pub texts: Vec<TextBox>,
    pub theme: Theme,
}

/// One thing on a canvas; all of it in pixels.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CanvasShape {
    /// `at` is on the baseline.
    Text {
        text: String,
        at: Pair,
        ink: Ink,
    },
    /// From its upper left corner.
    Rect {
        at: Pair,
        size: Pair,
        fill: Fill,
    },
    Circle {
        middle: Pair,
        radius: f64,
        fill: Fill,
    },
    Polygon {
        points: Vec<Pair>,
        fill: Fill,
    },
    /// A straight line with square ends.
    Line {
        ends: [Pair; 2],
        color: Color,
        thick: f64,
    },
    /// A line of many points, with round ends and corners.
    Curve {
        points: Vec<Pair>,
        color: Color,
        thick: f64,
    },
    /// What follows shows only inside this rectangle, until [`CanvasShape::Unclip`].
    Clip {
        at: Pair,
        size: Pair,
    },
    Unclip,
}

/// What fills a shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fill {
    pub color: Color,
    /// 0 shows what is below, 1 hides it.
    pub alpha: f64,
}

/// Where a text's anchor point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ink {
    pub size: f64,
    pub color: Color,
    pub anchor: Anchor,
    /// Reads upwards.
    pub upright: bool,
}

/// The place that a drawn text takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TextBox {
    pub text: String,
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Fill {
    pub fn new(color: Color, alpha: f64) -> Self {
        Fill { color, alpha }
    }
}

impl From<Color> for Fill {
    fn from(color: Color) -> Self {
        Fill { color, alpha: 1.0 }
    }
}

impl Ink {
    pub fn new(size: f64, color: Color) -> Self {
        Ink { size, color, anchor: Anchor::Start, upright: false }
    }

    pub fn anchor(mut self, anchor: Anchor) -> Self {
        self.anchor = anchor;
        self
    }
}

impl Canvas {
    pub fn new(width: f64, height: f64) -> Self {
        Canvas { width, height, shapes: Vec::new(), texts: Vec::new(), theme: Theme::default() }
    }

    pub fn palette(&self) -> &'static Palette {
        self.theme.palette()
    }

    /// Draws `text` with the middle of its letters at height `y`.
    pub fn text(&mut self, text: &str, (x, y): Pair, ink: Ink) {
        if text.is_empty() {
            return;
        }
        // What no document may hold becomes a space, here and in the file alike.
        let forbidden = |c: char| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}');
        let text = text.replace(forbidden, " ");
        let (along, across) = if ink.upright { (y, x) } else { (x, y) };
        let wide = text::width(&text, ink.size);
        let (start, end) = match (ink.anchor, ink.upright) {
            (Anchor::Middle, _) => (along - wide / 2.0, along + wide / 2.0),
            (Anchor::Start, false) | (Anchor::End, true) => (along, along + wide),
            (Anchor::End, false) | (Anchor::Start, true) => (along - wide, along),
        };
        let (above, below) = (across - ink.size * 0.5, across + ink.size * 0.5);
        let (left, top, right, bottom) =
            if ink.upright { (above, start, below, end) } else { (start, above, end, below) };
        self.texts.push(TextBox { text: text.clone(), left, top, right, bottom });

        // A digit is 0.73 of the size high and stands on the baseline.
        let baseline = ink.size * 0.36;
        let at = if ink.upright { (x + baseline, y) } else { (x, y + baseline) };
        self.shapes.push(CanvasShape::Text { text, at, ink });
    }

    /// A rectangle from its upper left corner.
    pub fn rect(&mut self, at: Pair, (width, height): Pair, fill: impl Into<Fill>) {
        self.shapes.push(CanvasShape::Rect {
            at,
            size: (width.max(0.0), height.max(0.0)),
            fill: fill.into(),
        });
    }

    pub fn circle(&mut self, middle: Pair, radius: f64, fill: impl Into<Fill>) {
        self.shapes.push(CanvasShape::Circle { middle, radius, fill: fill.into() });
    }

    pub fn polygon(&mut self, points: Vec<Pair>, fill: impl Into<Fill>) {
        self.shapes.push(CanvasShape::Polygon { points, fill: fill.into() });
    }

    /// A straight line of `thick` pixels with square ends.
    pub fn line(&mut self, from: Pair, to: Pair, color: Color, thick: f64) {
        self.shapes.push(CanvasShape::Line { ends: [from, to], color, thick });
    }

    /// A line through all `points`, with round ends and corners.
    pub fn curve(&mut self, points: Vec<Pair>, color: Color, thick: f64) {
        self.shapes.push(CanvasShape::Curve { points, color, thick });
    }

    /// What is drawn until [`Canvas::unclip`] shows only inside this rectangle.
    pub fn clip(&mut self, at: Pair, size: Pair) {
        self.shapes.push(CanvasShape::Clip { at, size });
    }

    pub fn unclip(&mut self) {
        self.shapes.push(CanvasShape::Unclip);
    }
}
