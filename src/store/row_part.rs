//! `RowPart`: a Parquet file of requests, written a batch of records at a time.

use super::column::Kind;
use super::event_column::{EventColumn, Holds};
use super::identity::RunIdentity;
use super::{encode, schema, seal};
use crate::record::{Events, Record};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::Result;
use parquet::file::writer::SerializedFileWriter;
use std::io::Write;

/// Encoded bytes that may wait in memory before they become a row group.
const GROUP_BYTES: usize = 8 << 20;

pub(super) struct RowPart<W: Write + Send> {
    of: RunIdentity,
    zero_ms: i64,
    file: SerializedFileWriter<W>,
    columns: ArrowRowGroupWriterFactory,
    groups: usize,
    open: Option<Group>,
}

/// A row group that is being filled: a writer for each column, in the order of the schema.
struct Group {
    columns: Vec<Writer>,
    rows: usize,
}

enum Writer {
    Flat(Box<ArrowColumnWriter>),
    Events(Box<EventColumn>),
}

impl<W: Write + Send> RowPart<W> {
    /// Empty so far; `zero_ms`: when the run began, milliseconds since 1970.
    pub fn create(to: W, of: &RunIdentity, zero_ms: i64) -> Result<RowPart<W>> {
        let properties = schema::properties(&of.run, zero_ms);
        let (file, columns) =
            ArrowWriter::try_new(to, schema::schema(), Some(properties))?.into_serialized_writer()?;
        Ok(RowPart { of: of.clone(), zero_ms, file, columns, groups: 0, open: None })
    }

    /// A batch of few rows: a row group ends behind one.
    pub fn add(&mut self, records: &[&Record]) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(self.group()?);
        }
        let Some(group) = &mut self.open else { return Ok(()) };
        let schema = schema::schema();
        let mut flat = encode::flat(&self.of, self.zero_ms, records).into_iter();
        for (field, writer) in schema.fields().iter().zip(&mut group.columns) {
            match writer {
                Writer::Flat(writer) => {
                    let array = flat.next().expect("there are as many columns as writers");
                    compute_leaves(field, &array)?.iter().try_for_each(|leaf| writer.write(leaf))?;
                }
                Writer::Events(column) => {
                    let name = field.name();
                    records.iter().try_for_each(|record| add(column, name, &record.timeline.events))?;
                }
            }
        }
        group.rows += records.len();
        let events = group.columns.iter().map(|writer| match writer {
            Writer::Events(column) => column.bytes(),
            Writer::Flat(_) => 0,
        });
        // All else is some 100 bytes a row.
        let bytes = events.sum::<usize>() + group.rows * 100;
        if bytes >= GROUP_BYTES || group.rows >= schema::GROUP_ROWS { self.end_group() } else { Ok(()) }
    }

    fn group(&self) -> Result<Group> {
        let flat = self.columns.create_column_writers(self.groups)?;
        let (kinds, leaves) = (schema::kinds(), self.file.schema_descr().columns());
        let writers = flat.into_iter().zip(kinds).zip(leaves).map(|((flat, kind), leaf)| {
            let holds = match kind {
                Kind::Times => Holds::Times,
                Kind::Repeats => Holds::Repeats,
                _ => return Ok(Writer::Flat(Box::new(flat))),
            };
            EventColumn::new(holds, leaf.clone()).map(|column| Writer::Events(Box::new(column)))
        });
        Ok(Group { columns: writers.collect::<Result<_>>()?, rows: 0 })
    }

    /// Writes the row group to memory, and from there, its pages with checksums, to the file.
    fn end_group(&mut self) -> Result<()> {
        let Some(group) = self.open.take() else { return Ok(()) };
        let schema = self.file.schema_descr().root_schema_ptr();
        let room = Vec::with_capacity(GROUP_BYTES + GROUP_BYTES / 8);
        let mut plain = SerializedFileWriter::new(room, schema, self.file.properties().clone())?;
        let mut to = plain.next_row_group()?;
        for writer in group.columns {
            match writer {
                Writer::Flat(writer) => writer.close()?.append_to_row_group(&mut to)?,
                Writer::Events(column) => {
                    let (bytes, close) = column.close()?;
                    to.append_column(&bytes, close)?;
                }
            }
        }
        let about = to.close()?;
        self.groups += 1;
        seal::append(&Bytes::from(plain.into_inner()?), std::slice::from_ref(&*about), &mut self.file)
    }

    /// What it was written to, with a whole file.
    pub fn finish(mut self) -> Result<W> {
        self.end_group()?;
        self.file.into_inner()
    }
}

fn add(column: &mut EventColumn, name: &str, events: &Events) -> Result<()> {
    match name {
        "event_us" => column.add(&events.at_us),
        "event_kind" => column.add(&events.kind),
        "event_tokens" => column.add(&events.tokens),
        _ => column.add(&events.bytes),
    }
}
