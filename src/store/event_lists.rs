//! `EventLists`: the lists of events of a part, read as columns of numbers without a row in between.
//!
//! The library can read them, too, as it can write them (`event_column.rs`): at five times the cost. Its pages are
//! taken from it whole, with checksums compared and unpacked.

use super::schema::LISTS;
use super::unpack::{deltas, plain, runs, take};
use super::windows::Windows;
use crate::error::caught;
use crate::record::{EventKind, Events, Fields};
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageReader};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use std::sync::Arc;

/// What is wrong with a column, as the end of a sentence.
type Broken = String;

/// The events of the next rows of a part.
pub(super) struct EventLists {
    /// In the order of `LISTS`; `None` where it is not wanted.
    columns: [Option<ListColumn>; 4],
}

impl EventLists {
    /// Of these row groups. `None` where the lists are not such as we write, and for the library to read.
    pub fn new(
        file: &Windows,
        metadata: &ParquetMetaData,
        groups: &[usize],
        fields: Fields,
    ) -> Option<EventLists> {
        let mut columns = [const { None }; 4];
        for (column, (name, of)) in columns.iter_mut().zip(LISTS) {
            if fields.has(of) {
                *column = Some(ListColumn::new(file, metadata, groups, name)?);
            }
        }
        columns.iter().any(Option::is_some).then_some(EventLists { columns })
    }

    /// Goes on by so many rows.
    pub fn next(&mut self, rows: usize) -> Result<(), Broken> {
        self.columns.iter_mut().flatten().try_for_each(|column| column.next(rows))
    }

    /// The events of row `i` of those; lists that are not wanted are empty.
    pub fn fill(&self, i: usize, events: &mut Events) -> Result<(), Broken> {
        events.clear();
        let [at, kind, tokens, bytes] =
            self.columns.each_ref().map(|column| column.as_ref().map(|column| column.list(i)));
        let lengths = [at, kind, tokens, bytes].into_iter().flatten().map(<[u32]>::len);
        if lengths.clone().min() != lengths.max() {
            return Err("event lists of different lengths".to_string());
        }
        events.at_us.extend_from_slice(at.unwrap_or_default());
        events.tokens.extend_from_slice(tokens.unwrap_or_default());
        events.bytes.extend_from_slice(bytes.unwrap_or_default());
        let kind = kind.unwrap_or_default();
        events.kind.resize(kind.len(), EventKind::default());
        let mut all = 0;
        for (to, of) in events.kind.iter_mut().zip(kind) {
            *to = EventKind(*of as u16);
            all |= of;
        }
        match u16::try_from(all) {
            Ok(_) => Ok(()),
            Err(_) => Err("an unknown kind of event".to_string()),
        }
    }
}

/// One column of lists.
struct ListColumn {
    /// Of row groups that are not begun, the next one last.
    groups: Vec<SerializedPageReader<Windows>>,
    dictionary: Vec<i64>,
    /// How many numbers each row of the pages at hand has that was not given yet, and the numbers.
    lengths: Vec<u32>,
    ahead: Vec<u32>,
    /// The rows that were asked for.
    numbers: Vec<u32>,
    ends: Vec<usize>,
    /// Reused from page to page.
    wide: Vec<i64>,
}

impl ListColumn {
    fn new(file: &Windows, metadata: &ParquetMetaData, groups: &[usize], name: &str) -> Option<ListColumn> {
        let file = Arc::new(file.clone());
        let group = |group: &usize| {
            let group = metadata.row_groups().get(*group)?;
            let column = group.columns().iter().find(|column| column.column_path().parts()[0] == name)?;
            let rows = usize::try_from(group.num_rows()).ok()?;
            is_ours(column).then(|| SerializedPageReader::new(file.clone(), column, rows, None).ok())?
        };
        Some(ListColumn {
            groups: groups.iter().rev().map(group).collect::<Option<_>>()?,
            dictionary: Vec::new(),
            lengths: Vec::new(),
            ahead: Vec::new(),
            numbers: Vec::new(),
            ends: Vec::new(),
            wide: Vec::new(),
        })
    }

    /// Of row `i` of those that were asked for.
    fn list(&self, i: usize) -> &[u32] {
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.numbers[start..self.ends[i]]
    }

    fn next(&mut self, rows: usize) -> Result<(), Broken> {
        while self.lengths.len() < rows {
            self.read_page()?;
        }
        self.ends.clear();
        let mut end = 0;
        for length in self.lengths.drain(..rows) {
            end += length as usize;
            self.ends.push(end);
        }
        self.numbers.clear();
        self.numbers.extend_from_slice(&self.ahead[..end]);
        self.ahead.drain(..end);
        Ok(())
    }

    /// Puts the rows of the next page behind those that are ahead.
    fn read_page(&mut self) -> Result<(), Broken> {
        let reader = self.groups.last_mut().ok_or("fewer event lists than rows")?;
        let page = caught(|| reader.get_next_page()).map_err(|_| "the file is damaged")?;
        match page.map_err(|error| error.to_string())? {
            None => drop(self.groups.pop()),
            Some(Page::DictionaryPage { buf, num_values, .. }) => {
                self.dictionary.clear();
                plain(&buf, num_values as usize, &mut self.dictionary).ok_or_else(cut)?;
            }
            Some(Page::DataPage { buf, num_values, encoding, .. }) => {
                self.read_data(&buf, num_values as usize, encoding)?;
            }
            Some(Page::DataPageV2 { .. }) => return Err("a page of another kind than ours".to_string()),
        }
        Ok(())
    }

    fn read_data(&mut self, mut bytes: &[u8], levels: usize, encoding: Encoding) -> Result<(), Broken> {
        let mut level_bytes = || {
            let length = take(&mut bytes, 4)?.try_into().ok().map(u32::from_le_bytes)?;
            take(&mut bytes, length as usize)
        };
        let (starts, filled) = level_bytes().zip(level_bytes()).ok_or_else(cut)?;
        let numbers = self.read_lengths(starts, filled, levels).ok_or_else(cut)?;
        self.wide.clear();
        match encoding {
            Encoding::DELTA_BINARY_PACKED => deltas(bytes, numbers, &mut self.wide),
            Encoding::PLAIN => plain(bytes, numbers, &mut self.wide),
            _ => self.read_places(bytes, numbers),
        }
        .ok_or_else(cut)?;
        let at = self.ahead.len();
        self.ahead.resize(at + self.wide.len(), 0);
        let mut signs = 0;
        for (to, wide) in self.ahead[at..].iter_mut().zip(&self.wide) {
            // What is too large for a record is the largest there.
            *to = u32::try_from(*wide).unwrap_or(u32::MAX);
            signs |= wide;
        }
        if signs < 0 { Err("a number below 0".to_string()) } else { Ok(()) }
    }

    /// How long each list of a page is; returns how many numbers they have together.
    fn read_lengths(&mut self, starts: &[u8], filled: &[u8], levels: usize) -> Option<usize> {
        let lengths = &mut self.lengths;
        let first = lengths.len();
        let mut whole = true;
        runs(starts, 1, levels, |goes_on, count| match goes_on {
            0 => lengths.extend(std::iter::repeat_n(1, count)),
            // Our lists do not go on in the next page.
            _ if lengths.len() == first => whole = false,
            _ => *lengths.last_mut().expect("a list has begun") += count as u32,
        })?;
        // An empty list is a level without a number.
        let (mut row, mut start, mut level, mut numbers) = (first, 0, 0, 0);
        runs(filled, 1, levels, |is_filled, count| {
            if is_filled == 1 {
                numbers += count;
            } else {
                for empty in level..level + count {
                    while start < empty && row < lengths.len() {
                        start += lengths[row] as usize;
                        row += 1;
                    }
                    match lengths.get_mut(row) {
                        Some(length) if start == empty && *length == 1 => *length = 0,
                        _ => whole = false,
                    }
                    start += 1;
                    row += 1;
                }
            }
            level += count;
        })?;
        whole.then_some(numbers)
    }

    fn read_places(&mut self, bytes: &[u8], numbers: usize) -> Option<()> {
        let (width, places) = bytes.split_first()?;
        let (wide, dictionary) = (&mut self.wide, &self.dictionary);
        let mut known = true;
        runs(places, u32::from(*width), numbers, |place, count| match dictionary.get(place as usize) {
            Some(number) => wide.extend(std::iter::repeat_n(*number, count)),
            None => known = false,
        })?;
        known.then_some(())
    }
}

/// Whether the lists of a chunk are such as we write: whole numbers of 64 bits, none of them null.
fn is_ours(column: &ColumnChunkMetaData) -> bool {
    use Encoding::{DELTA_BINARY_PACKED, PLAIN, RLE, RLE_DICTIONARY};
    let about = column.column_descr();
    column.column_type() == Type::INT64
        && (about.max_def_level(), about.max_rep_level()) == (1, 1)
        && column.encodings().all(|of| matches!(of, DELTA_BINARY_PACKED | PLAIN | RLE | RLE_DICTIONARY))
}

fn cut() -> Broken {
    "a page is damaged".to_string()
}
