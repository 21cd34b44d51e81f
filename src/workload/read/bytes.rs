//! The bytes of a regular file, unpacked, and its text.

use crate::error::{Error, Result};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Most bytes of a file, and of what is packed in it.
const BYTES_MAX: u64 = 4 << 30;
/// A file may unpack to so much, or to so many times its size.
const UNPACKED_MAX: u64 = 256 << 20;
const UNPACKED_TIMES: u64 = 100;

/// What a file holds.
pub(super) enum Content {
    Text(String),
    /// Text some of whose bytes are none: [`TORN`] and [`NUL`] stand in their places.
    Torn(String),
    Parquet(Bytes),
}

/// In place of bytes that are no UTF-8, and of bytes that are 0: noncharacters, which no text has.
pub(super) const TORN: char = '\u{fdd0}';
pub(super) const NUL: char = '\u{fdd1}';

/// A file that has a larger share of such bytes is no text, or one of another encoding.
const TORN_SHARE: f64 = 0.1;

/// What is wrong with the bytes that a stand-in stands for.
pub(super) fn torn(text: &str) -> Option<(usize, &'static str)> {
    text.find([TORN, NUL])
        .map(|at| (at, if text[at..].starts_with(NUL) { "a byte is 0" } else { "the text is not UTF-8" }))
}

/// What to do with a file of another encoding.
pub(super) const ENCODE: &str =
    "save it as UTF-8, from its own encoding: iconv -f LATIN1 (or GBK ...) -t UTF-8 FILE";

/// How files begin that cannot be read as they are, and what to do.
const OTHERS: [(&[u8], &str, &str); 8] = [
    (b"\x28\xb5\x2f\xfd", "it is packed with zstd", "unpack it first: zstd -d FILE"),
    (b"\xfd7zXZ\0", "it is packed with xz", "unpack it first: xz -d FILE"),
    (b"BZh", "it is packed with bzip2", "unpack it first: bzip2 -d FILE"),
    (b"PK\x03\x04", "it is a zip archive (or an Excel file)", "unzip it, or save it as CSV"),
    (b"ARROW1", "it is an Arrow file", "save it as Parquet or JSON lines"),
    (b"\xff\xfe", "the text is UTF-16", "save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE"),
    (b"\xfe\xff", "the text is UTF-16", "save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE"),
    (b"version https://git-lfs", "it is a pointer of Git LFS, not the file", "fetch it: git lfs pull"),
];

/// The content of a file, and its bytes on disk.
pub(super) fn load(path: &Path, name: &str) -> Result<(Content, u64)> {
    let cannot = |what: &dyn Display| Error::usage(format!("cannot read \"{name}\": {what}"));
    let about = std::fs::metadata(path).map_err(|error| cannot(&error))?;
    if !about.is_file() {
        return Err(cannot(&if about.is_dir() { "it is a folder" } else { "it is no regular file" }));
    }
    if about.len() > BYTES_MAX {
        return Err(too_large(name, "it has more than 4 GiB"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0));
    let file = File::open(path).map_err(|error| cannot(&error))?;
    file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(|error| cannot(&error))?;
    let size = bytes.len() as u64;
    Ok((content(name, bytes)?, size))
}

/// What the bytes of a file hold.
pub(super) fn content(name: &str, mut bytes: Vec<u8>) -> Result<Content> {
    if bytes.starts_with(b"\x1f\x8b") {
        bytes = unpacked(name, &bytes)?;
    }
    if bytes.starts_with(b"PAR1") {
        return Ok(Content::Parquet(bytes.into()));
    }
    let cannot = |what: &str| Error::usage(format!("cannot read \"{name}\": {what}"));
    if let Some((_, what, hint)) = OTHERS.iter().find(|(magic, ..)| bytes.starts_with(magic)) {
        return Err(cannot(what).hint(*hint));
    }
    let unmarked = |text: String| match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_string(),
        None => text,
    };
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(Content::Text(unmarked(text))),
        Ok(text) => mended(name, text.as_bytes()).map(unmarked).map(Content::Torn),
        Err(error) => mended(name, error.as_bytes()).map(unmarked).map(Content::Torn),
    }
}

/// The text with stand-ins where bytes are none. Fails when so many are that it is another thing.
fn mended(name: &str, bytes: &[u8]) -> Result<String> {
    let mut text = String::with_capacity(bytes.len());
    let mut bad = 0;
    for chunk in bytes.utf8_chunks() {
        bad += chunk.invalid().len();
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(TORN);
        }
    }
    let zeros = text.bytes().filter(|byte| *byte == 0).count();
    let cannot = |what: &str| Error::usage(format!("cannot read \"{name}\"{what}"));
    // Letters of the Latin alphabet in UTF-16 have every other byte 0.
    if zeros * 5 > bytes.len() * 2 && zeros * 5 < bytes.len() * 3 {
        return Err(cannot(": the text is UTF-16").hint(OTHERS[5].2));
    }
    if (bad + zeros) as f64 <= TORN_SHARE * bytes.len() as f64 {
        return Ok(text.replace('\0', NUL.encode_utf8(&mut [0; 4])));
    }
    if zeros > 0 {
        return Err(cannot(": it is no text (a byte is 0)"));
    }
    let good = text.split(TORN).next().unwrap_or_default();
    let line = good.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = good.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    Err(cannot(&format!(" line {line} column {column}: the text is not UTF-8")).hint(ENCODE))
}

/// What is packed in a gzip file, of one part or several.
fn unpacked(name: &str, packed: &[u8]) -> Result<Vec<u8>> {
    let most = UNPACKED_MAX.max((packed.len() as u64).saturating_mul(UNPACKED_TIMES)).min(BYTES_MAX);
    let mut bytes = Vec::new();
    MultiGzDecoder::new(packed).take(most + 1).read_to_end(&mut bytes).map_err(|error| {
        Error::usage(format!("cannot unpack \"{name}\": {error}")).hint("is it whole? gzip -t FILE")
    })?;
    match bytes.len() as u64 > most {
        true => Err(too_large(name, &format!("it unpacks to more than {} MiB", most >> 20))),
        false => Ok(bytes),
    }
}

fn too_large(name: &str, what: &str) -> Error {
    Error::usage(format!("cannot read \"{name}\": {what}")).hint("take a part of it: head -n 100000")
}

#[cfg(test)]
pub(super) fn packed(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).expect("memory");
    packed.finish().expect("memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> String {
        match content("file", bytes.to_vec()) {
            Err(error) => error.message,
            Ok(_) => "read".into(),
        }
    }

    fn text(bytes: &[u8]) -> String {
        match content("file", bytes.to_vec()) {
            Ok(Content::Text(text)) => text,
            Ok(Content::Torn(text)) => text,
            _ => panic!("a text"),
        }
    }

    #[test]
    fn gzip_is_known_by_its_first_bytes_and_may_have_several_parts() {
        let two = [packed(b"\xef\xbb\xbfone\n"), packed(b"two\n")].concat();
        assert_eq!(text(&two), "one\ntwo\n");
        assert_eq!(text(b""), "");
    }

    #[test]
    fn a_few_bytes_that_are_no_text_are_kept_apart() {
        let line = "words of a line that is text\n".repeat(3);
        let whole = [line.as_bytes(), b"caf\xe9 \0", line.as_bytes()].concat();
        let Ok(Content::Torn(text)) = content("file", whole) else { panic!("torn") };
        assert_eq!(torn(&text), Some((line.len() + 3, "the text is not UTF-8")));
        assert_eq!(torn(&text[line.len() + 3 + TORN.len_utf8()..]), Some((1, "a byte is 0")));
        assert_eq!(torn(&line), None);
        assert!(!text.contains('\0'));
    }

    #[test]
    fn what_cannot_be_read_is_a_sentence() {
        let whole = packed(b"one two three four five six seven");
        for (bytes, words) in [
            (&whole[..whole.len() - 9], "cannot unpack \"file\": "),
            (b"\x1f\x8b", "cannot unpack \"file\": "),
            (b"\x28\xb5\x2f\xfdrest", "cannot read \"file\": it is packed with zstd"),
            (b"\xff\xfea\0", "cannot read \"file\": the text is UTF-16"),
            (b"PK\x03\x04", "cannot read \"file\": it is a zip archive (or an Excel file)"),
            (b"ok\nba\xffd\n", "cannot read \"file\" line 2 column 3: the text is not UTF-8"),
            (b"a\0b", "cannot read \"file\": it is no text (a byte is 0)"),
            (b"{\0\"\0a\0\"\0:\x001\0}\0", "cannot read \"file\": the text is UTF-16"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x10", "cannot read \"file\": it is no text (a byte is 0)"),
        ] {
            assert!(told(bytes).starts_with(words), "{}", told(bytes));
        }
        let folder = tempfile::tempdir().expect("a folder");
        let error = load(folder.path(), "it").err().expect("no file");
        assert_eq!(error.message, "cannot read \"it\": it is a folder");
    }

    #[test]
    fn a_packed_bomb_is_refused() {
        let bomb = packed(&vec![b'a'; (UNPACKED_MAX + 2) as usize]);
        assert_eq!(told(&bomb), "cannot read \"file\": it unpacks to more than 256 MiB");
    }
}
