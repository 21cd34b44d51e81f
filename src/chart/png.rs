//! SVG to PNG, with the embedded font alone: the fonts of the system are never looked at.

use super::text::FONT;
use crate::error::{Error, Result};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, ID, Source};
use resvg::usvg::{FontResolver, Options, Tree};
use std::sync::{Arc, OnceLock};

/// PNG pixels in one pixel of the picture.
pub(super) const SCALE: u32 = 2;

/// Draws an SVG document at twice its size.
pub(super) fn render(svg: &str) -> Result<Vec<u8>> {
    let tree = parse(svg)?;
    let size = tree.size().to_int_size();
    let mut pixmap = Pixmap::new(size.width() * SCALE, size.height() * SCALE).ok_or_else(|| {
        Error::run(format!("a picture of {} x {} pixels is too large for a PNG", size.width(), size.height()))
            .hint("save it as .svg")
    })?;
    resvg::render(&tree, Transform::from_scale(SCALE as f32, SCALE as f32), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|error| Error::run(format!("cannot encode the picture as PNG: {error}")))
}

/// The document as usvg understands it, every text in the embedded font.
pub(super) fn parse(svg: &str) -> Result<Tree> {
    let (fonts, face) = fonts();
    let options = Options {
        fontdb: Arc::clone(fonts),
        font_resolver: FontResolver {
            select_font: Box::new(move |_, _| Some(*face)),
            select_fallback: Box::new(|_, _, _| None),
        },
        ..Options::default()
    };
    Tree::from_str(svg, &options)
        .map_err(|error| Error::run(format!("cannot read the picture's own SVG: {error}")))
}

fn fonts() -> &'static (Arc<Database>, ID) {
    static FONTS: OnceLock<(Arc<Database>, ID)> = OnceLock::new();
    FONTS.get_or_init(|| {
        let mut fonts = Database::new();
        let face = fonts.load_font_source(Source::Binary(Arc::new(FONT)))[0];
        (Arc::new(fonts), face)
    })
}
