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
    Parquet(Bytes),
}

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
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = good.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) + 1;
        Error::usage(format!("cannot read \"{name}\" line {line} column {column}: the text is not UTF-8"))
            .hint("save it as UTF-8, from its own encoding: iconv -f LATIN1 (or GBK ...) -t UTF-8 FILE")
    })?;
    if text.contains('\0') {
        return Err(cannot("it is no text (a byte is 0)"));
    }
    Ok(Content::Text(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_string(),
        None => text,
    }))
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
    fn what_cannot_be_read_is_a_sentence() {
        let whole = packed(b"one two three four five six seven");
        for (bytes, words) in [
            (&whole[..whole.len() - 9], "cannot unpack \"file\": "),
            (b"\x1f\x8b", "cannot unpack \"file\": "),
            (b"\x28\xb5\x2f\xfdrest", "cannot read \"file\": it is packed with zstd"),
            (b"\xff\xfea\0", "cannot read \"file\": the text is UTF-16"),
            (b"PK\x03\x04", "cannot read \"file\": it is a zip archive (or an Excel file)"),
            (b"good\nba\xffd\n", "cannot read \"file\" line 2 column 3: the text is not UTF-8"),
            (b"a\0b", "cannot read \"file\": it is no text (a byte is 0)"),
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
