//! Pages of a Parquet file, by their headers: sizes that are looked at before anything is
//! unpacked, and checksums, which the library verifies but does not write.

use flate2::Crc;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::ChunkReader;

/// Most bytes that a page may unpack to. Writers make pages of about a megabyte.
const PAGE_BYTES_MAX: i64 = 256 << 20;

/// The header of a page: a struct in Thrift's compact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// Its own bytes.
    length: usize,
    uncompressed: i64,
    compressed: i64,
    has_checksum: bool,
    /// The byte before which the checksum belongs.
    slot: usize,
}

/// Fails, in words, where the file declares what it cannot hold or what nobody should unpack.
/// The library trusts these numbers: it would take the memory, or panic.
pub fn check(file: &impl ChunkReader, metadata: &ParquetMetaData) -> std::result::Result<(), String> {
    let mut rows = 0_i64;
    for group in metadata.row_groups() {
        if group.num_rows() < 0 {
            return Err("a row group has fewer than no rows".into());
        }
        rows = rows.saturating_add(group.num_rows());
        for column in group.columns() {
            let (start, length) = range(file, column)?;
            pages(file, start, length)?;
        }
    }
    match rows == metadata.file_metadata().num_rows() {
        true => Ok(()),
        false => Err("its row groups have other rows than its footer says".into()),
    }
}

/// Where the pages of a column are.
fn range(file: &impl ChunkReader, column: &ColumnChunkMetaData) -> std::result::Result<(u64, u64), String> {
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let ends = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
    let inside = ends.filter(|(start, length)| start.saturating_add(*length) <= file.len());
    inside.ok_or_else(|| format!("the column {} lies outside of the file", column.column_path().string()))
}

fn pages(file: &impl ChunkReader, start: u64, length: u64) -> std::result::Result<(), String> {
    let (mut at, end) = (start, start + length);
    while at < end {
        let header =
            header_at(file, at, end).map_err(|error| error.to_string())?.ok_or("a page has no header")?;
        if !(0..=PAGE_BYTES_MAX).contains(&header.uncompressed) {
            return Err(format!(
                "a page unpacks to {} bytes, and may to {PAGE_BYTES_MAX}",
                header.uncompressed
            ));
        }
        let data = at + header.length as u64;
        at = u64::try_from(header.compressed).ok().map(|size| data.saturating_add(size)).unwrap_or(u64::MAX);
        if at > end {
            return Err("a page is longer than its column".into());
        }
    }
    Ok(())
}

/// Statistics in a header may be long; most headers are not.
fn header_at(file: &impl ChunkReader, at: u64, end: u64) -> Result<Option<Header>> {
    for most in [256, 64 << 10, 4 << 20] {
        let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(most);
        let header = header(&file.get_bytes(at, most)?);
        if header.is_some() {
            return Ok(header);
        }
    }
    Ok(None)
}

/// A column chunk whose pages carry checksums, with its metadata, ready to be appended to a file.
pub fn with_checksums(
    file: &impl ChunkReader,
    column: &ColumnChunkMetaData,
) -> Result<(bytes::Bytes, ColumnChunkMetaData)> {
    let broken = || ParquetError::General("a page has no header".to_string());
    let (start, length) = range(file, column).map_err(ParquetError::General)?;
    let chunk = file.get_bytes(start, usize::try_from(length).unwrap_or(usize::MAX))?;
    let mut sealed: Vec<u8> = Vec::with_capacity(chunk.len() + chunk.len() / 1000 + 64);
    // Where the first page of data comes to stand, behind the dictionary.
    let data_at = usize::try_from(column.data_page_offset() - start as i64).map_err(|_| broken())?;
    let mut data_sealed_at = data_at;
    let mut at = 0;
    while at < chunk.len() {
        if at == data_at {
            data_sealed_at = sealed.len();
        }
        let page = &chunk[at..];
        let header = header(page).ok_or_else(broken)?;
        let size = usize::try_from(header.compressed).map_err(|_| broken())?;
        let data = page.get(header.length..header.length + size).ok_or_else(broken)?;
        match header.has_checksum {
            true => sealed.extend_from_slice(&page[..header.length]),
            false => insert(&mut sealed, &page[..header.length], header.slot, checksum(data)),
        }
        sealed.extend_from_slice(data);
        at += header.length + size;
    }
    let more = (sealed.len() - chunk.len()) as i64;
    let dictionary = column.dictionary_page_offset().map(|_| 0);
    let metadata = column
        .clone()
        .into_builder()
        .set_data_page_offset(data_sealed_at as i64)
        .set_dictionary_page_offset(dictionary)
        .set_total_compressed_size(column.compressed_size() + more)
        .set_total_uncompressed_size(column.uncompressed_size() + more)
        .build()?;
    Ok((sealed.into(), metadata))
}

fn checksum(data: &[u8]) -> i32 {
    let mut crc = Crc::new();
    crc.update(data);
    crc.sum() as i32
}

/// The header with field 4 in front of byte `slot`. Ids of fields count from the one before.
fn insert(to: &mut Vec<u8>, header: &[u8], slot: usize, checksum: i32) {
    const FIELD_4: u8 = 0x15; // one behind field 3, an i32
    to.extend_from_slice(&header[..slot]);
    to.push(FIELD_4);
    let mut zigzag = ((checksum << 1) ^ (checksum >> 31)) as u32;
    while zigzag >= 0x80 {
        to.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    to.push(zigzag as u8);
    let next = header[slot];
    // The end, and a field with its whole id, stay as they are.
    to.push(if next >> 4 > 1 { next - 0x10 } else { next });
    to.extend_from_slice(&header[slot + 1..]);
}

/// The header at the start of `bytes`; `None` when it is none, or not all there.
fn header(bytes: &[u8]) -> Option<Header> {
    let mut thrift = Thrift { bytes, at: 0 };
    let (mut sizes, mut has_checksum, mut slot) = ([None; 2], false, None);
    let mut id = 0;
    loop {
        let start = thrift.at;
        let field = thrift.field(id)?;
        if slot.is_none() && field.is_none_or(|(next, _)| next > 4) {
            slot = Some((start, id));
        }
        let Some((next, kind)) = field else { break };
        id = next;
        match (id, kind) {
            (2 | 3, 5) => sizes[usize::from(id == 3)] = Some(thrift.zigzag()?),
            (4, 5) => {
                has_checksum = true;
                thrift.zigzag()?;
            }
            _ => thrift.skip(kind, 8)?,
        }
    }
    // Without field 3 right before it there would be no place for field 4.
    let (slot, before) = slot?;
    if before != 3 && !has_checksum {
        return None;
    }
    let [uncompressed, compressed] = sizes;
    Some(Header {
        length: thrift.at,
        uncompressed: uncompressed?,
        compressed: compressed?,
        has_checksum,
        slot,
    })
}

/// A reader of Thrift's compact form that knows no schema.
struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Thrift<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn step(&mut self, bytes: u64) -> Option<()> {
        self.at = self.at.checked_add(usize::try_from(bytes).ok()?)?;
        (self.at <= self.bytes.len()).then_some(())
    }

    /// Id and type of the next field of a struct; `None` inside: its end.
    fn field(&mut self, before: i64) -> Option<Option<(i64, u8)>> {
        let byte = self.byte()?;
        match (byte >> 4, byte & 0x0f) {
            (_, 0) => Some(None),
            (0, kind) => Some(Some((self.zigzag()?, kind))),
            (step, kind) => Some(Some((before.checked_add(i64::from(step))?, kind))),
        }
    }

    /// Steps over a value of this type; `deep` structs and lists may stand inside of each other.
    fn skip(&mut self, kind: u8, deep: u8) -> Option<()> {
        match kind {
            // Truth is in the type.
            1 | 2 => Some(()),
            3 => self.step(1),
            4..=6 => self.varint().map(drop),
            7 => self.step(8),
            8 => {
                let length = self.varint()?;
                self.step(length)
            }
            9 | 10 => {
                let byte = self.byte()?;
                let count = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
                let kind = byte & 0x0f;
                for _ in 0..count {
                    if matches!(kind, 1 | 2) { self.step(1)? } else { self.skip(kind, deep.checked_sub(1)?)? }
                }
                Some(())
            }
            12 => {
                let deep = deep.checked_sub(1)?;
                let mut id = 0;
                while let Some((next, kind)) = self.field(id)? {
                    id = next;
                    self.skip(kind, deep)?;
                }
                Some(())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Type 0, sizes 100 and 50, then a data page header with one number and a text.
    const PLAIN: &[u8] = b"\x15\x00\x15\xc8\x01\x15\x64\x2c\x15\x0a\x18\x02hi\x00\x00rest";

    #[test]
    fn a_header_gives_its_sizes_and_the_place_of_its_checksum() {
        let header = header(PLAIN).expect("a header");
        let expected = Header { length: 16, uncompressed: 100, compressed: 50, has_checksum: false, slot: 7 };
        assert_eq!(header, expected);
        for end in 0..16 {
            assert_eq!(super::header(&PLAIN[..end]), None, "{end}");
        }
    }

    #[test]
    fn a_checksum_is_put_in_and_the_rest_means_the_same() {
        for sum in [0, 1, -1, i32::MIN, i32::MAX, 0x1234_5678] {
            let mut sealed = Vec::new();
            insert(&mut sealed, &PLAIN[..16], 7, sum);
            let header = header(&sealed).expect("a header");
            assert_eq!((header.uncompressed, header.compressed, header.has_checksum), (100, 50, true));
            assert_eq!(header.length, sealed.len());
            let mut thrift = Thrift { bytes: &sealed, at: 8 };
            assert_eq!(thrift.zigzag(), Some(i64::from(sum)));
            assert_eq!(thrift.field(4), Some(Some((5, 12))), "the field behind it keeps its id");
        }
    }

    #[test]
    fn a_list_of_any_declared_length_costs_no_more_than_its_bytes() {
        assert_eq!(header(b"\x19\xf1\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), None);
        assert_eq!(header(&[0x1c; 100_000]), None, "structs without end");
    }
}
