//! A canvas as a PNG, with the embedded font alone: the fonts of the system are never looked at.

use super::canvas::{Anchor, Canvas, CanvasShape, Fill, Ink, Pair};
use super::palette::Color;
use super::text;
use crate::error::{Error, Result};
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use std::io::{self, Write};
use tiny_skia::{
    FillRule, LineCap, LineJoin, Mask, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform,
};
use ttf_parser::OutlineBuilder;

/// PNG pixels in one pixel of the picture.
pub(super) const SCALE: u32 = 2;

/// Draws a canvas at twice its size.
pub(super) fn render(canvas: &Canvas) -> Result<Vec<u8>> {
    encode(&paint(canvas)?).map_err(|error| Error::run(format!("cannot encode the picture as PNG: {error}")))
}

/// Red, green and blue, each line as it is: flat colours pack better than their differences do.
fn encode(pixmap: &Pixmap) -> io::Result<Vec<u8>> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::new(3));
    let width = pixmap.width() as usize;
    let mut row = vec![0; 1 + 3 * width];
    for line in pixmap.data().chunks_exact(4 * width) {
        let colors = row[1..].chunks_exact_mut(3).zip(line.chunks_exact(4));
        colors.for_each(|(to, pixel)| to.copy_from_slice(&pixel[..3]));
        packed.write_all(&row)?;
    }
    let mut head = [pixmap.width().to_be_bytes(), pixmap.height().to_be_bytes()].concat();
    // Eight bits of each of three colours; the only packing, the only filters, from top to bottom.
    head.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut file, b"IHDR", &head);
    chunk(&mut file, b"IDAT", &packed.finish()?);
    chunk(&mut file, b"IEND", &[]);
    Ok(file)
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(data);
    file.extend((data.len() as u32).to_be_bytes());
    file.extend(kind);
    file.extend(data);
    file.extend(crc.sum().to_be_bytes());
}

/// The pixels; none of them lets anything through.
pub(super) fn paint(canvas: &Canvas) -> Result<Pixmap> {
    let (width, height) = (canvas.width.ceil() as u32, canvas.height.ceil() as u32);
    let sheet = width.checked_mul(SCALE).zip(height.checked_mul(SCALE));
    let pixmap = sheet.and_then(|(width, height)| Pixmap::new(width, height));
    let mut pixmap = pixmap.ok_or_else(|| {
        Error::run(format!("a picture of {width} x {height} pixels is too large for a PNG"))
            .hint("save it as .svg")
    })?;
    let Color(red, green, blue) = canvas.palette().paper;
    pixmap.fill(tiny_skia::Color::from_rgba8(red, green, blue, 255));
    let mut painter = Painter { pixmap, mask: None };
    canvas.shapes.iter().for_each(|shape| painter.shape(shape));
    Ok(painter.pixmap)
}

struct Painter {
    pixmap: Pixmap,
    /// What may be painted on now; all of it if there is none.
    mask: Option<Mask>,
}

impl Painter {
    fn shape(&mut self, shape: &CanvasShape) {
        match shape {
            CanvasShape::Text { text, at, ink } => {
                self.fill(outline(text, *ink), place(*at, ink.upright), ink.color)
            }
            CanvasShape::Rect { at, size, fill } => self.fill(rect(*at, *size), scale(), *fill),
            CanvasShape::Circle { middle, radius, fill } => {
                let path = PathBuilder::from_circle(middle.0 as f32, middle.1 as f32, *radius as f32);
                self.fill(path, scale(), *fill);
            }
            CanvasShape::Polygon { points, fill } => self.fill(through(points, true), scale(), *fill),
            CanvasShape::Line { ends, color, thick } => {
                let stroke = Stroke { width: *thick as f32, ..Stroke::default() };
                self.stroke(through(ends, false), &stroke, *color);
            }
            CanvasShape::Curve { points, color, thick } => {
                let (line_cap, line_join) = (LineCap::Round, LineJoin::Round);
                let stroke = Stroke { width: *thick as f32, line_cap, line_join, ..Stroke::default() };
                self.stroke(through(points, false), &stroke, *color);
            }
            CanvasShape::Clip { at, size } => {
                let mut mask =
                    Mask::new(self.pixmap.width(), self.pixmap.height()).expect("the picture has a size");
                if let Some(path) = rect(*at, *size) {
                    mask.fill_path(&path, FillRule::Winding, true, scale());
                }
                self.mask = Some(mask);
            }
            CanvasShape::Unclip => self.mask = None,
        }
    }

    fn fill(&mut self, path: Option<Path>, place: Transform, fill: impl Into<Fill>) {
        if let Some(path) = path {
            let paint = solid(fill.into());
            self.pixmap.fill_path(&path, &paint, FillRule::Winding, place, self.mask.as_ref());
        }
    }

    fn stroke(&mut self, path: Option<Path>, stroke: &Stroke, color: Color) {
        if let Some(path) = path {
            self.pixmap.stroke_path(&path, &solid(color.into()), stroke, scale(), self.mask.as_ref());
        }
    }
}

fn scale() -> Transform {
    Transform::from_scale(SCALE as f32, SCALE as f32)
}

/// From a text's own place, which is (0, 0), to the picture's pixels.
fn place((x, y): Pair, upright: bool) -> Transform {
    let place = scale().pre_translate(x as f32, y as f32);
    if upright { place.pre_rotate(-90.0) } else { place }
}

fn solid(fill: Fill) -> Paint<'static> {
    let Color(red, green, blue) = fill.color;
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, (fill.alpha * 255.0).round() as u8);
    paint
}

fn rect((x, y): Pair, (width, height): Pair) -> Option<Path> {
    Rect::from_xywh(x as f32, y as f32, width as f32, height as f32).map(PathBuilder::from_rect)
}

/// `None` where there is nothing to draw.
fn through(points: &[Pair], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (i, (x, y)) in points.iter().map(|(x, y)| (*x as f32, *y as f32)).enumerate() {
        if i == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    if closed {
        path.close();
    }
    path.finish()
}

/// The letters of a text whose anchor is at (0, 0). `None` for nothing but spaces.
pub(super) fn outline(text: &str, ink: Ink) -> Option<Path> {
    let share = match ink.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => 0.5,
        Anchor::End => 1.0,
    };
    let mut left = -share * text::width(text, ink.size);
    let face = text::face();
    let unit = ink.size / f64::from(face.units_per_em());
    let mut path = PathBuilder::new();
    for (glyph, advance) in text::glyphs(text) {
        face.outline_glyph(glyph, &mut Letter { path: &mut path, left: left as f32, unit: unit as f32 });
        left += advance * ink.size;
    }
    path.finish()
}

/// Puts a glyph's outline, whose y grows upwards, at its place.
struct Letter<'a> {
    path: &'a mut PathBuilder,
    left: f32,
    unit: f32,
}

impl Letter<'_> {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.left + x * self.unit, -y * self.unit)
    }
}

impl OutlineBuilder for Letter<'_> {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
