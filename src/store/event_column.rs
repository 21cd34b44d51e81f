//! `EventColumn`: the lists of numbers of one column of events, as the pages of a row group.
//!
//! The library would write them, too: at some 25 ns a number, which for four lists of 128 is four fifths of what it
//! takes to write a request. Here it is a few, since what all lists of events have in common is known: none is null,
//! most have many numbers, the kinds and sizes of text repeat, and times within a reply are evenly apart.
//!
//! **Times** are differences in blocks of 128, each as wide as its widest: the step back to the start of the next
//! reply makes every number of its block some 21 bits wide. That is why a page ends with a long reply.
//! **Others** are places in a dictionary, which is one number a run where they are all the same.

use super::pack::{Hybrid, deltas};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

/// Numbers of a page: of times some 160 kB as they are.
const PAGE: usize = 20_000;
/// Numbers of a list that gets a page to itself: a header of 50 bytes is less than what a common page would cost.
const LONG: usize = 96;
/// Numbers below may stand in the dictionary. A power of two.
const KNOWN: usize = 4_096;

const ZSTD_LEVEL: i32 = 1;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Times,
    Repeats,
}

pub(super) struct EventColumn {
    holds: Holds,
    column: ColumnDescPtr,
    compression: Compression,
    codec: Option<zstd::bulk::Compressor<'static>>,
    pages: TrackedWrite<Vec<u8>>,
    /// Of the page that is being filled.
    numbers: Vec<u32>,
    starts: Hybrid,
    filled: Hybrid,
    levels: u32,
    dictionary: Dictionary,
    encodings: Vec<Encoding>,
    uncompressed: usize,
    rows: u64,
    empty: u64,
    all_levels: i64,
    ends: Option<(u32, u32)>,
}

impl EventColumn {
    pub fn new(holds: Holds, column: ColumnDescPtr) -> Result<EventColumn> {
        // Packed differences have nothing left that zstd could find.
        let (compression, codec) = match holds {
            Holds::Times => (Compression::UNCOMPRESSED, None),
            Holds::Repeats => {
                let codec = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
                (Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?), Some(codec))
            }
        };
        Ok(EventColumn {
            holds,
            column,
            compression,
            codec,
            pages: TrackedWrite::new(Vec::new()),
            numbers: Vec::new(),
            starts: Hybrid::new(1),
            filled: Hybrid::new(1),
            levels: 0,
            dictionary: Dictionary::default(),
            encodings: vec![Encoding::RLE],
            uncompressed: 0,
            rows: 0,
            empty: 0,
            all_levels: 0,
            ends: None,
        })
    }

    /// Bytes of the pages so far.
    pub fn bytes(&self) -> usize {
        self.pages.bytes_written()
    }

    /// The list of the next row.
    pub fn add<N: Copy + Into<u32>>(&mut self, list: &[N]) -> Result<()> {
        let length = list.len();
        self.starts.push(0, 1);
        self.rows += 1;
        self.levels += length.max(1) as u32;
        if length == 0 {
            // An empty list has levels, and no number.
            self.filled.push(0, 1);
            self.empty += 1;
        } else {
            self.starts.push(1, length - 1);
            self.filled.push(1, length);
            let before = self.numbers.len();
            self.numbers.resize(before + length, 0);
            for (number, of) in self.numbers[before..].iter_mut().zip(list) {
                *number = (*of).into();
            }
        }
        let alone = self.holds == Holds::Times && length >= LONG;
        if alone || self.levels as usize >= PAGE { self.end_page() } else { Ok(()) }
    }

    fn end_page(&mut self) -> Result<()> {
        if self.levels == 0 {
            return Ok(());
        }
        let mut ends = self.ends.unwrap_or((u32::MAX, 0));
        for number in &self.numbers {
            ends = (ends.0.min(*number), ends.1.max(*number));
        }
        self.ends = Some(ends).filter(|(low, high)| low <= high);
        let mut page = Vec::with_capacity(self.numbers.len() * 2 + 64);
        for levels in [self.starts.take(), self.filled.take()] {
            page.extend_from_slice(&(levels.len() as u32).to_le_bytes());
            page.extend_from_slice(&levels);
        }
        let encoding = self.encode(&mut page);
        if !self.encodings.contains(&encoding) {
            self.encodings.push(encoding);
        }
        let header = |buf, num_values| Page::DataPage {
            buf,
            num_values,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        self.uncompressed += put(&mut self.pages, &mut self.codec, page, |buf| header(buf, self.levels))?;
        self.all_levels += i64::from(std::mem::take(&mut self.levels));
        self.numbers.clear();
        Ok(())
    }

    fn encode(&mut self, page: &mut Vec<u8>) -> Encoding {
        // A dictionary that nothing is in would not be written.
        let repeats = self.holds == Holds::Repeats && !self.numbers.is_empty();
        if !(repeats && self.dictionary.knows(&mut self.numbers)) {
            deltas(&self.numbers, page);
            return Encoding::DELTA_BINARY_PACKED;
        }
        let width = self.dictionary.width();
        let mut places = Hybrid::new(width);
        places.extend(&self.numbers);
        page.push(width as u8);
        page.extend_from_slice(&places.take());
        Encoding::RLE_DICTIONARY
    }

    /// The pages in the order of a file, the dictionary first, and what is to be said of them.
    pub fn close(mut self) -> Result<(Bytes, ColumnCloseResult)> {
        self.end_page()?;
        let mut chunk = TrackedWrite::new(Vec::new());
        if !self.dictionary.numbers.is_empty() {
            let numbers = &self.dictionary.numbers;
            let plain = numbers.iter().flat_map(|number| i64::from(*number).to_le_bytes()).collect();
            let num_values = numbers.len() as u32;
            let header =
                |buf| Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, is_sorted: false };
            self.uncompressed += put(&mut chunk, &mut self.codec, plain, header)?;
            self.encodings.push(Encoding::PLAIN);
        }
        let (mut bytes, data) = (chunk.into_inner()?, self.pages.into_inner()?);
        let data_at = bytes.len() as i64;
        bytes.extend_from_slice(&data);
        let ends = self.ends.map(|(low, high)| (i64::from(low), i64::from(high)));
        let (low, high) = ends.unzip();
        let metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(self.compression)
            .set_encodings(self.encodings)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_num_values(self.all_levels)
            .set_dictionary_page_offset((data_at > 0).then_some(0))
            .set_data_page_offset(data_at)
            .set_statistics(Statistics::int64(low, high, None, Some(self.empty), false))
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok((bytes.into(), close))
    }
}

/// Writes a page; how many bytes it has unpacked, with its header.
fn put(
    to: &mut TrackedWrite<Vec<u8>>,
    codec: &mut Option<zstd::bulk::Compressor>,
    plain: Vec<u8>,
    page: impl FnOnce(Bytes) -> Page,
) -> Result<usize> {
    let length = plain.len();
    let packed = match codec {
        Some(codec) => codec.compress(&plain)?,
        None => plain,
    };
    let page = CompressedPage::new(page(packed.into()), length);
    Ok(SerializedPageWriter::new(to).write_page(page)?.uncompressed_size)
}

/// The numbers of a row group that repeat, in the order in which they came.
#[derive(Default)]
struct Dictionary {
    numbers: Vec<u32>,
    /// The place of each number, and one more; 0: not there.
    places: Vec<u16>,
}

impl Dictionary {
    /// Puts places in the place of numbers; of none when one is too large.
    fn knows(&mut self, numbers: &mut [u32]) -> bool {
        let mut all = 0;
        for number in &*numbers {
            all |= *number;
        }
        if all as usize >= KNOWN {
            return false;
        }
        self.places.resize(KNOWN, 0);
        for number in numbers {
            let place = &mut self.places[*number as usize];
            if *place == 0 {
                self.numbers.push(*number);
                *place = self.numbers.len() as u16;
            }
            *number = u32::from(*place) - 1;
        }
        true
    }

    /// Bits of a place; not 0, which some readers do not expect.
    fn width(&self) -> u32 {
        let last = self.numbers.len().saturating_sub(1) as u32;
        (u32::BITS - last.leading_zeros()).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::column::element;
    use arrow_array::types::Int64Type;
    use arrow_array::{Array, ListArray};
    use arrow_schema::{DataType, Field, Schema};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use rand::{Rng, SeedableRng};
    use std::sync::Arc;

    /// The lists as the library reads them, with the column's own words about itself.
    fn read_back(holds: Holds, lists: &[Vec<u32>]) -> (Vec<Vec<u32>>, ColumnChunkMetaData) {
        let schema = Schema::new(vec![Field::new("list", DataType::List(element()), false)]);
        let writer = ArrowWriter::try_new(Vec::new(), Arc::new(schema), None).unwrap();
        let (mut file, _) = writer.into_serialized_writer().unwrap();
        let mut column = EventColumn::new(holds, file.schema_descr().column(0)).unwrap();
        lists.iter().for_each(|list| column.add(list).unwrap());
        let (bytes, close) = column.close().unwrap();
        let mut group = file.next_row_group().unwrap();
        group.append_column(&bytes, close).unwrap();
        group.close().unwrap();
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file.into_inner().unwrap())).unwrap();
        let about = builder.metadata().row_group(0).column(0).clone();
        let mut back = Vec::new();
        for batch in builder.with_batch_size(100).build().unwrap() {
            let batch = batch.unwrap();
            let of = batch.column(0).as_any().downcast_ref::<ListArray>().unwrap();
            for list in of.iter() {
                let list = list.unwrap();
                let numbers = list.as_any().downcast_ref::<arrow_array::PrimitiveArray<Int64Type>>().unwrap();
                back.push(numbers.values().iter().map(|number| u32::try_from(*number).unwrap()).collect());
            }
        }
        (back, about)
    }

    #[test]
    fn any_lists_come_back_as_they_went() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(8);
        for round in 0..60 {
            let (length, bits) = ([1, 9, 200, 3_000][round % 4], round as u32 % 33);
            let repeat = random.random_range(1..20);
            let rows = random.random_range(0..300);
            let lists: Vec<Vec<u32>> = (0..rows)
                .map(|_| {
                    let length = random.random_range(0..length);
                    let mut last = 0;
                    let number = |i: usize| {
                        if i.is_multiple_of(repeat) {
                            last = u64::from(random.random::<u32>()) & ((1u64 << bits) - 1);
                        }
                        last as u32
                    };
                    (0..length).map(number).collect()
                })
                .collect();
            for holds in [Holds::Times, Holds::Repeats] {
                let (back, about) = read_back(holds, &lists);
                assert_eq!(back, lists, "{holds:?}, round {round}");
                let Some(Statistics::Int64(of)) = about.statistics() else { panic!("there are statistics") };
                let all = || lists.iter().flatten().map(|number| i64::from(*number));
                assert_eq!((of.min_opt().copied(), of.max_opt().copied()), (all().min(), all().max()));
            }
        }
    }

    #[test]
    fn usual_replies_take_few_bytes() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(8);
        // 10 ms apart, up to a tenth of a millisecond early or late.
        let mut reply = || (0..128).map(|i| 50_000 + 10_000 * i + random.random_range(0..200)).collect();
        let times: Vec<Vec<u32>> = (0..1_000).map(|_| reply()).collect();
        let bytes = |holds, lists: &[Vec<u32>]| {
            let (_, about) = read_back(holds, lists);
            about.compressed_size() as f64 / lists.iter().map(Vec::len).sum::<usize>() as f64
        };
        assert!(bytes(Holds::Times, &times) < 1.7, "{}", bytes(Holds::Times, &times));
        let sizes: Vec<Vec<u32>> =
            (0..1_000).map(|i| (0..128).map(|at| 3 + (i * 7 + at) % 5).collect()).collect();
        assert!(bytes(Holds::Repeats, &sizes) < 0.5, "{}", bytes(Holds::Repeats, &sizes));
        let same = vec![vec![0; 128]; 1_000];
        assert!(bytes(Holds::Repeats, &same) < 0.01, "{}", bytes(Holds::Repeats, &same));
    }

    #[test]
    fn numbers_that_do_not_repeat_stand_outside_of_the_dictionary() {
        let few = vec![vec![1, 1, 2]; 10_000];
        let lists = [&few[..], &[vec![u32::MAX, 0]], &few[..]].concat();
        let (back, about) = read_back(Holds::Repeats, &lists);
        assert_eq!(back, lists);
        let encodings: Vec<Encoding> = about.encodings().collect();
        assert!(encodings.contains(&Encoding::RLE_DICTIONARY), "{encodings:?}");
        assert!(encodings.contains(&Encoding::DELTA_BINARY_PACKED), "{encodings:?}");
    }
}
