//! BurstGPT: a table of request and response lengths.

use super::entry::{Cell, Entry, EntryFault, EntryField};
use crate::workload::{Ask, PromptRow};

pub(super) const COLUMNS: [&str; 2] = ["Request tokens", "Response tokens"];

/// A request that failed has a response of 0 tokens.
pub(super) fn row(entry: &Entry) -> Result<PromptRow, EntryFault> {
    let of = |name: &str| {
        let field = entry.get(name).ok_or_else(|| EntryFault::whole(format!("{name} is empty")))?;
        if is_zero(field) { Err(field.fault("a request that failed")) } else { field.tokens() }
    };
    let [asked, replied] = COLUMNS.map(of);
    Ok(PromptRow { output: Some(replied?), ..PromptRow::new(Ask::Tokens(asked?)) })
}

fn is_zero(field: &EntryField) -> bool {
    let (Cell::Text(text) | Cell::Json(text)) = &field.cell;
    text.trim().parse::<f64>() == Ok(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::read::DataFormat;
    use crate::workload::read::testing::{error, read, skipped};

    const FILE: &str = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
        5,ChatGPT,472,18,490,Conversation log\n\
        45,ChatGPT,1087,0,1087,Conversation log\n\
        118,GPT-4,417.0,276.0,693,API log\n";

    #[test]
    fn lengths_are_read_by_column_name_and_failed_requests_skipped() {
        let row = |asked, replied| PromptRow { output: Some(replied), ..PromptRow::new(Ask::Tokens(asked)) };
        assert_eq!(read(FILE, DataFormat::BurstGpt).rows[..], [row(472, 18), row(417, 276)]);
        assert_eq!(
            skipped(FILE, DataFormat::BurstGpt),
            (1, "line 3 column 17: a request that failed".into())
        );
        let other_order = "response tokens,Session ID,request tokens\n18,x,472\n";
        assert_eq!(read(other_order, DataFormat::BurstGpt).rows[..], [row(472, 18)]);
    }

    #[test]
    fn a_bad_table_is_named_by_line_and_column() {
        assert_eq!(
            skipped(&FILE.replace("417.0", "many").replace(",0,", ",7,"), DataFormat::BurstGpt),
            (1, "line 4 column 11: expected a whole number of tokens above 0, got \"many\"".into())
        );
        assert_eq!(
            error("Request tokens,Response\n", DataFormat::BurstGpt),
            "cannot read \"file\" line 1: there is no column \"Response tokens\""
        );
    }
}
