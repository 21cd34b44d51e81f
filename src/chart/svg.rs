//! A canvas as an SVG document.

use super::canvas::{Anchor, Canvas, CanvasShape, Fill, Ink, Pair};
use super::text;
use std::fmt::Write;

/// The same canvas is the same text, byte for byte.
pub(super) fn write(canvas: &Canvas) -> String {
    let (width, height) = (number(canvas.width), number(canvas.height));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{}\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n",
        text::FAMILY,
        canvas.palette().paper.hex()
    );
    for shape in &canvas.shapes {
        element(&mut out, shape);
    }
    out.push_str("</svg>\n");
    out
}

fn element(out: &mut String, shape: &CanvasShape) {
    let done = match shape {
        CanvasShape::Text { text, at, ink } => text_element(out, text, *at, *ink),
        CanvasShape::Rect { at, size, fill } => {
            let [x, y, width, height] = [at.0, at.1, size.0, size.1].map(number);
            let fill = paint(*fill);
            writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"{fill}/>")
        }
        CanvasShape::Circle { middle, radius, fill } => {
            let [x, y, radius] = [middle.0, middle.1, *radius].map(number);
            writeln!(out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"{}/>", paint(*fill))
        }
        CanvasShape::Polygon { points, fill } => {
            writeln!(out, "<polygon points=\"{}\"{}/>", places(points), paint(*fill))
        }
        CanvasShape::Line { ends: [from, to], color, thick } => {
            let [x1, y1, x2, y2, thick] = [from.0, from.1, to.0, to.1, *thick].map(number);
            let line = format!("x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"");
            writeln!(out, "<line {line} stroke=\"{}\" stroke-width=\"{thick}\"/>", color.hex())
        }
        CanvasShape::Curve { points, color, thick } => writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" \
             stroke-linejoin=\"round\" stroke-linecap=\"round\"/>",
            places(points),
            color.hex(),
            number(*thick)
        ),
        CanvasShape::Clip { at, size } => {
            let [x, y, width, height] = [at.0, at.1, size.0, size.1].map(number);
            // Several pictures may stand in one page: there the same name means the same place.
            let id = format!("clip-{x}-{y}-{width}-{height}");
            let rect = format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>");
            writeln!(out, "<clipPath id=\"{id}\">{rect}</clipPath>\n<g clip-path=\"url(#{id})\">")
        }
        CanvasShape::Unclip => writeln!(out, "</g>"),
    };
    done.expect("a string takes every text");
}

fn text_element(out: &mut String, text: &str, at: Pair, ink: Ink) -> std::fmt::Result {
    let anchor = match ink.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let (x, y) = (number(at.0), number(at.1));
    let turn = if ink.upright { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
    let (size, fill, text) = (number(ink.size), ink.color.hex(), escape(text));
    writeln!(
        out,
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{fill}\"{anchor}{turn}>{text}</text>"
    )
}

fn paint(fill: Fill) -> String {
    let color = fill.color.hex();
    if fill.alpha < 1.0 {
        format!(" fill=\"{color}\" fill-opacity=\"{}\"", number(fill.alpha))
    } else {
        format!(" fill=\"{color}\"")
    }
}

fn places(points: &[Pair]) -> String {
    let mut out = String::with_capacity(points.len() * 14);
    for (i, (x, y)) in points.iter().enumerate() {
        let space = if i == 0 { "" } else { " " };
        write!(out, "{space}{},{}", number(*x), number(*y)).expect("a string takes every text");
    }
    out
}

/// With at most two decimals.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
