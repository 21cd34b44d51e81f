//! `RowGatherer`: takes the entries of files one by one, keeps what can be asked, and counts the rest.

use super::entry::{Entry, EntryFault, EntryOrigin};
use super::usual::{self, Columns};
use super::{DataFormat, How, PromptRows, Skipped, batch, burstgpt, bytes, recorded, sharegpt};
use crate::error::{Error, ErrorKind, Result, nearest};
use crate::workload::PromptRow;
use std::sync::atomic::Ordering;

/// Most entries of a data set.
const ENTRIES_MAX: u64 = 50_000_000;

/// Most bytes of one entry: no server takes such a prompt.
const ENTRY_BYTES_MAX: usize = 64 << 20;

/// Most bytes of text that rows may hold, above what their file holds.
const ROWS_BYTES_MAX: u64 = 256 << 20;
/// The same as a multiple of the file.
const ROWS_BYTES_TIMES: u64 = 100;

pub(super) struct RowGatherer<'h> {
    pub(super) how: &'h How,
    /// The format of the file that is being read.
    pub(super) format: DataFormat,
    /// The file that is being read, as a person knows it, and its bytes.
    pub(super) name: String,
    bytes: u64,
    columns: Option<Columns>,
    rows: Vec<PromptRow>,
    held: u64,
    entries: u64,
    skipped: u64,
    first: Option<String>,
    /// Some bytes of the file that is being read are no text.
    pub(super) torn: bool,
    /// Entries that were left out for that, and the first of them.
    torn_entries: u64,
    torn_first: Option<String>,
    /// The column of replies that was found by its name, entry by entry.
    reply: Option<String>,
    /// In several files the place of an entry begins with its file.
    pub(super) several: bool,
}

impl<'h> RowGatherer<'h> {
    pub(super) fn new(how: &'h How) -> RowGatherer<'h> {
        RowGatherer {
            how,
            format: how.format,
            name: String::new(),
            bytes: 0,
            columns: None,
            rows: Vec::new(),
            held: 0,
            entries: 0,
            skipped: 0,
            first: None,
            torn: false,
            torn_entries: 0,
            torn_first: None,
            reply: None,
            several: false,
        }
    }

    /// The next file.
    pub(super) fn begin(&mut self, name: &str, bytes: u64) {
        self.name = name.to_string();
        self.bytes += bytes;
        self.columns = None;
        self.torn = false;
        self.format = self.how.format;
    }

    /// The names of a table's columns: some must be there.
    pub(super) fn columns(&mut self, names: &[&str]) -> Result<()> {
        let has = |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
        let missing = match self.format {
            DataFormat::Parquet | DataFormat::Hf => {
                self.columns =
                    Some(usual::columns(names, self.how).map_err(|words| self.no_columns(&words))?);
                return Ok(());
            }
            DataFormat::BurstGpt => burstgpt::COLUMNS.into_iter().find(|name| !has(name)),
            DataFormat::Jsonl | DataFormat::Csv | DataFormat::Lines => match &self.how.prompt_column {
                Some(named) => Some(named.as_str()).filter(|named| !has(named)),
                None => Some("prompt").filter(|_| !has("prompt") && !has("messages")),
            },
            DataFormat::ShareGpt | DataFormat::OpenAiBatch => None,
        };
        let Some(missing) = missing else { return Ok(()) };
        let error = self.broken("line 1", &format!("there is no column \"{missing}\""));
        Err(match nearest(missing, names.iter().copied()) {
            Some(near) => {
                error.hint(format!("rename the column {near:?}, or name it: --prompt-column {near}"))
            }
            None => error.hint(format!("name one of the columns with --prompt-column: {}", names.join(", "))),
        })
    }

    fn no_columns(&self, words: &str) -> Error {
        Error::usage(format!("cannot read \"{}\": {words}", self.name))
            .hint("name the column with --prompt-column NAME, and that of replies with --reply-column NAME")
    }

    /// One entry. Fails with `strict` when it asks nothing.
    pub(super) fn take(
        &mut self,
        origin: &EntryOrigin,
        entry: std::result::Result<Entry, EntryFault>,
    ) -> Result<()> {
        self.entries += 1;
        if self.entries.is_multiple_of(1024) {
            self.go_on()?;
        }
        if self.entries > ENTRIES_MAX {
            return Err(self.too_large(&format!("it holds more than {ENTRIES_MAX} entries")));
        }
        let broken = bytes::torn(origin.text).filter(|_| self.torn);
        let row = match (broken, entry) {
            (Some((at, words)), _) => Err(EntryFault { at: Some(at), words: words.into() }),
            _ if origin.text.len() > ENTRY_BYTES_MAX => {
                Err(EntryFault::whole(format!("it has more than {} MiB", ENTRY_BYTES_MAX >> 20)))
            }
            (None, Ok(entry)) => self.row(&entry)?,
            (None, Err(fault)) => Err(fault),
        };
        let is_torn = broken.is_some();
        match row {
            Ok(row) => {
                self.held += row.bytes();
                if self.held > ROWS_BYTES_MAX && self.held > self.bytes.saturating_mul(ROWS_BYTES_TIMES) {
                    return Err(self.too_large("its entries take more than a hundred times its size"));
                }
                self.rows.push(row);
                Ok(())
            }
            Err(fault) => {
                let place = origin.place(fault.at);
                if self.how.strict {
                    return Err(self
                        .broken(&place, &fault.words)
                        .hint("without --strict-data such entries are left out and counted"));
                }
                self.skipped += 1;
                if is_torn {
                    self.torn_entries += 1;
                    self.torn_first.get_or_insert_with(|| format!("{place}: {}", fault.words));
                }
                if self.first.is_none() {
                    let file = if self.several { format!("{} ", self.name) } else { String::new() };
                    self.first = Some(format!("{file}{place}: {}", fault.words));
                }
                Ok(())
            }
        }
    }

    fn row(&mut self, entry: &Entry) -> Result<std::result::Result<PromptRow, EntryFault>> {
        if self.how.all_turns {
            return Ok(sharegpt::whole(entry, self.how.prompt_column.as_deref()));
        }
        Ok(match self.format {
            DataFormat::Jsonl | DataFormat::Csv | DataFormat::Lines => {
                let row = recorded::row(entry, self.how);
                if self.reply.is_none() && row.as_ref().is_ok_and(|row| row.reply.is_some()) {
                    self.reply = usual::reply_name(entry);
                }
                row
            }
            DataFormat::ShareGpt => sharegpt::row(entry),
            DataFormat::OpenAiBatch => batch::row(entry),
            DataFormat::BurstGpt => burstgpt::row(entry),
            DataFormat::Parquet | DataFormat::Hf => {
                if self.columns.is_none() {
                    let names: Vec<&str> = entry.fields.iter().map(|field| &*field.name).collect();
                    self.columns(&names)?;
                }
                match &self.columns {
                    Some(columns) => usual::row(entry, columns, self.how.reply_column.is_some()),
                    None => Err(EntryFault::whole("it has no columns")),
                }
            }
        })
    }

    /// Fails after Ctrl-C.
    pub(super) fn go_on(&self) -> Result<()> {
        match self.how.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            true => Err(Error::new(ErrorKind::Interrupted, "interrupted")),
            false => Ok(()),
        }
    }

    /// What makes the rest of the file unreadable.
    pub(super) fn broken(&self, place: &str, words: &str) -> Error {
        Error::usage(format!("cannot read \"{}\" {place}: {words}", self.name))
    }

    fn too_large(&self, words: &str) -> Error {
        Error::usage(format!("cannot read \"{}\": {words}", self.name)).hint("take a part of it")
    }

    /// All rows. Fails when there are none.
    pub(super) fn finish(self, name: &str) -> Result<PromptRows> {
        if let Some(first) = self.torn_first.filter(|_| self.torn_entries * 2 > self.entries) {
            return Err(Error::usage(format!("cannot read \"{name}\" {first}")).hint(bytes::ENCODE));
        }
        let skipped = self.first.map(|first| Skipped { count: self.skipped, of: self.entries, first });
        if self.rows.is_empty() {
            let error = Error::usage(format!("cannot use \"{name}\": it holds no prompts"));
            return Err(match skipped {
                None => error.hint("look at the file and its format"),
                Some(Skipped { of: 1, first, .. }) => {
                    error.hint(format!("its only entry asks nothing: {first}"))
                }
                Some(Skipped { of, first, .. }) => {
                    error.hint(format!("none of its {of} entries asks anything: the first at {first}"))
                }
            });
        }
        let note = self.columns.map(|Columns { prompt, reply }| match reply {
            Some(reply) => format!("prompts are in the column {prompt:?}, replies in {reply:?}"),
            None => format!("prompts are in the column {prompt:?}"),
        });
        let named = self.how.reply_column.is_some();
        let reply = self.reply.filter(|_| !named);
        let note =
            note.or(reply.map(|reply| format!("replies, whose lengths are asked for, are in {reply:?}")));
        Ok(PromptRows { name: name.into(), rows: self.rows.into(), skipped, note })
    }
}
