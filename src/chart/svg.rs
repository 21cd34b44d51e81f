//! `Canvas`: an SVG document under construction.
//!
//! Series are drawn by plotters, which knows whole pixels only: it gets a sheet ten times as
//! large, which is scaled down as one group, so that slopes stay smooth. Texts and frames
//! are written directly, since only so do we know the place of each.

use super::palette::Color;
use super::text;
use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend};

/// The sheet's pixels in one pixel of the picture.
pub(super) const FINE: f64 = 10.0;

/// Where a text's anchor point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
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

/// How a text is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ink {
    pub size: f64,
    pub color: Color,
    pub anchor: Anchor,
    /// Reads upwards.
    pub upright: bool,
}

/// What plotters draws on.
pub(super) type Sheet<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// An SVG document under construction.
pub(super) struct Canvas {
    pub body: String,
    /// Every text drawn so far.
    pub texts: Vec<TextBox>,
    pub width: f64,
    pub height: f64,
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
        Canvas { body: String::new(), texts: Vec::new(), width, height }
    }

    /// Draws `text` with the middle of its letters at height `y`.
    pub fn text(&mut self, text: &str, (x, y): (f64, f64), ink: Ink) {
        if text.is_empty() {
            return;
        }
        // A digit is 0.73 of the size high and stands on the baseline.
        let baseline = ink.size * 0.36;
        let (along, across) = if ink.upright { (y, x) } else { (x, y) };
        let wide = text::width(text, ink.size);
        let (start, end) = match (ink.anchor, ink.upright) {
            (Anchor::Middle, _) => (along - wide / 2.0, along + wide / 2.0),
            (Anchor::Start, false) | (Anchor::End, true) => (along, along + wide),
            (Anchor::End, false) | (Anchor::Start, true) => (along - wide, along),
        };
        let (above, below) = (across - ink.size * 0.5, across + ink.size * 0.5);
        let (left, top, right, bottom) =
            if ink.upright { (above, start, below, end) } else { (start, above, end, below) };
        self.texts.push(TextBox { text: text.to_owned(), left, top, right, bottom });

        let anchor = match ink.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let turn = if ink.upright {
            format!(" transform=\"rotate(-90 {} {})\"", number(x + baseline), number(y))
        } else {
            String::new()
        };
        let (x, y) = if ink.upright { (x + baseline, y) } else { (x, y + baseline) };
        self.body.push_str(&format!(
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"{}\"{anchor}{turn}>{}</text>\n",
            number(x),
            number(y),
            number(ink.size),
            ink.color.hex(),
            escape(text)
        ));
    }

    pub fn rect(&mut self, (left, top): (f64, f64), (width, height): (f64, f64), color: Color) {
        self.body.push_str(&format!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>\n",
            number(left),
            number(top),
            number(width.max(0.0)),
            number(height.max(0.0)),
            color.hex()
        ));
    }

    /// A straight line of `thick` pixels.
    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), color: Color, thick: f64) {
        self.body.push_str(&format!(
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{}\" stroke-width=\"{}\"/>\n",
            number(x1),
            number(y1),
            number(x2),
            number(y2),
            color.hex(),
            number(thick)
        ));
    }

    /// What is drawn until [`Canvas::unclip`] shows only inside this rectangle.
    pub fn clip(&mut self, (left, top): (f64, f64), (width, height): (f64, f64)) {
        let [left, top, width, height] = [left, top, width, height].map(number);
        // Several pictures may stand in one page: there the same name means the same place.
        let id = format!("clip-{left}-{top}-{width}-{height}");
        self.body.push_str(&format!(
            "<clipPath id=\"{id}\"><rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/></clipPath>\n<g clip-path=\"url(#{id})\">\n"
        ));
    }

    pub fn unclip(&mut self) {
        self.body.push_str("</g>\n");
    }

    /// Lets plotters draw on a sheet of [`FINE`] times our size.
    pub fn sheet<E>(&mut self, draw: impl FnOnce(&Sheet<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut document = String::new();
        let size = ((self.width * FINE) as u32, (self.height * FINE) as u32);
        let sheet = SVGBackend::with_string(&mut document, size).into_drawing_area();
        let drawn = draw(&sheet);
        drop(sheet);
        // Only what is inside the document's own <svg> element.
        let start = document.find('>').map_or(0, |at| at + 1);
        let end = document.rfind("</svg>").unwrap_or(document.len());
        self.body.push_str("<g transform=\"scale(0.1)\" stroke-linejoin=\"round\" stroke-linecap=\"round\">");
        self.body.push_str(&document[start..end]);
        self.body.push_str("</g>\n");
        drawn
    }

    /// The finished document.
    pub fn finish(self) -> String {
        let (width, height) = (number(self.width), number(self.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"{}\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{}</svg>\n",
            text::FAMILY,
            self.body
        )
    }
}

/// With at most two decimals.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Characters that XML forbids become a space.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
