//! A figure as SVG and PNG, in memory and in files.

use super::figure::Figure;
use super::{draw, png, svg};
use crate::error::{Error, Result};
use std::path::Path;

impl Figure {
    /// The picture as an SVG document. The same figure is the same text, byte for byte.
    pub fn svg(&self) -> String {
        svg::write(&draw::figure(self))
    }

    /// The picture as PNG. Fails if it is too large for one.
    pub fn png(&self) -> Result<Vec<u8>> {
        png::render(&draw::figure(self))
    }

    /// Writes `path`, which must be free; the ending says which (`.svg`, `.png`; anything else is
    /// an error).
    pub fn save(&self, path: &Path) -> Result<()> {
        save(path, &self.bytes(path)?)
    }

    /// As [`Figure::save`], in the place of a file that may be there.
    pub fn replace(&self, path: &Path) -> Result<()> {
        replace(path, &self.bytes(path)?)
    }

    /// Letters of the picture that the font of PNGs lacks: it shows boxes in their place.
    pub fn missing_letters(&self) -> Vec<char> {
        let texts = draw::figure(self).texts;
        texts.iter().flat_map(|one| one.text.chars()).filter(|c| !super::has_glyph(*c)).collect()
    }

    fn bytes(&self, path: &Path) -> Result<Vec<u8>> {
        match ending(path)? {
            Ending::Svg => Ok(self.svg().into_bytes()),
            Ending::Png => self.png(),
        }
    }
}

enum Ending {
    Svg,
    Png,
}

fn ending(path: &Path) -> Result<Ending> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "svg" => Ok(Ending::Svg),
        "png" => Ok(Ending::Png),
        _ => Err(Error::usage(format!("cannot save a chart as \"{}\"", path.display()))
            .hint("end the name with .svg or .png")),
    }
}

/// Fails where the ending of `path` names no kind of picture.
pub fn check_ending(path: &Path) -> Result<()> {
    ending(path).map(|_| ())
}

/// Writes the text that belongs to pictures, in the place of one that may be there only if `anew`.
pub fn text(path: &Path, text: &str, anew: bool) -> Result<()> {
    if anew { replace(path, text.as_bytes()) } else { save(path, text.as_bytes()) }
}

/// Removes what an earlier picture of this name had more: its pages behind the first `count`. What cannot be
/// removed stays.
pub fn forget_pages(folder: &Path, name: &str, count: usize) {
    let numbers = (count.max(1) + 1)..;
    let pages =
        numbers.map(|number| ["svg", "png"].map(|ending| folder.join(format!("{name}-{number}.{ending}"))));
    for page in pages.take_while(|page| page.iter().any(|path| path.is_file())) {
        page.iter().for_each(|path| drop(std::fs::remove_file(path)));
    }
}

fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let file = std::fs::File::options().write(true).create_new(true).open(path);
    match file.and_then(|mut file| file.write_all(bytes)) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Error::usage(format!(
            "cannot write the chart \"{}\": it exists, and nothing is overwritten",
            path.display()
        ))
        .hint("choose another folder or another name")),
        written => written.map_err(|error| cannot_write(path, &error)),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = std::fs::write(&aside, bytes).and_then(|()| std::fs::rename(&aside, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&aside);
        cannot_write(path, &error)
    })
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::run(format!("cannot write the chart \"{}\": {error}", path.display()))
}
