//! `Sheet`: a canvas as plotters draws on it, in whole numbers of parts of a pixel.

use super::canvas::{Canvas, Fill, Pair};
use super::palette::Color;
use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingBackend, IntoDrawingArea};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, DrawingErrorKind};
use std::convert::Infallible;

/// Parts of a pixel: plotters knows whole numbers only.
pub(super) const FINE: f64 = 64.0;

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// A canvas as a back end of plotters.
pub(super) struct Sheet<'a>(&'a mut Canvas);

impl<'a> Sheet<'a> {
    /// The whole canvas, to be drawn on.
    pub fn over(canvas: &'a mut Canvas) -> DrawingArea<Sheet<'a>, Shift> {
        Sheet(canvas).into_drawing_area()
    }
}

fn pixels((x, y): BackendCoord) -> Pair {
    (f64::from(x) / FINE, f64::from(y) / FINE)
}

fn all(points: impl IntoIterator<Item = BackendCoord>) -> Vec<Pair> {
    points.into_iter().map(pixels).collect()
}

fn color(BackendColor { rgb: (red, green, blue), .. }: BackendColor) -> Color {
    Color(red, green, blue)
}

fn fill(style: &impl BackendStyle) -> Fill {
    Fill::new(color(style.color()), style.color().alpha)
}

impl DrawingBackend for Sheet<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        ((self.0.width * FINE) as u32, (self.0.height * FINE) as u32)
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, at: BackendCoord, paint: BackendColor) -> Drawn {
        self.0.rect(pixels(at), (1.0 / FINE, 1.0 / FINE), Fill::new(color(paint), paint.alpha));
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        self.0.curve(all(path), color(style.color()), f64::from(style.stroke_width()) / FINE);
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        _filled: bool,
    ) -> Drawn {
        let (one, other) = (pixels(upper_left), pixels(bottom_right));
        let at = (one.0.min(other.0), one.1.min(other.1));
        self.0.rect(at, ((one.0 - other.0).abs(), (one.1 - other.1).abs()), fill(style));
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        _filled: bool,
    ) -> Drawn {
        self.0.circle(pixels(center), f64::from(radius) / FINE, fill(style));
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        points: I,
        style: &S,
    ) -> Drawn {
        self.0.polygon(all(points), fill(style));
        Ok(())
    }
}
