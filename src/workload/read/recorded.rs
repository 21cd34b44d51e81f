//! An entry of a file in our own words: `prompt` or `messages`.

use super::entry::{Entry, EntryFault, EntryField};
use super::how::How;
use super::{ask, batch};
use crate::workload::PromptRow;

/// An entry with `prompt` or `messages`, or with the column that the user names.
pub(super) fn row(entry: &Entry, how: &How) -> Result<PromptRow, EntryFault> {
    let field = match &how.prompt_column {
        Some(name) => ask::named(entry, name)?,
        None => match (entry.get("prompt"), entry.get("messages")) {
            (Some(prompt), None) => prompt,
            (None, Some(messages)) => messages,
            // A line of OpenAI's batch API.
            (None, None) if entry.get("body").and_then(EntryField::structure).is_some() => {
                return batch::row(entry);
            }
            (None, None) => return Err(EntryFault::whole("prompt or messages is missing")),
            (Some(_), Some(messages)) => {
                return Err(messages.fault("there must be prompt or messages, not both"));
            }
        },
    };
    let mut row = PromptRow::new(ask::ask(field)?);
    ask::tools(entry, &mut row.ask);
    ask::about(entry, field, how.reply_column.as_deref(), &mut row)?;
    Ok(row)
}
