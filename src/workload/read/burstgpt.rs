//! BurstGPT: a table of request and response lengths.

use super::csv::{Field, Table};
use super::{File, Rows};
use crate::error::Result;
use crate::workload::{Ask, Row};

/// A request that failed has a response of 0 tokens; it is skipped.
pub(super) fn rows(file: &File) -> Result<Rows> {
    let mut table = Table::new(file)?;
    let (asked, replied) = (table.column("Request tokens")?, table.column("Response tokens")?);
    let mut rows = Rows::new(Vec::new());
    while let Some(record) = table.next()? {
        let (asked, replied) = (tokens(&table, &record[asked])?, tokens(&table, &record[replied])?);
        match (asked, replied) {
            (0, _) | (_, 0) => rows.skipped += 1,
            _ => rows.rows.push(Row { output: Some(replied), ..Row::new(Ask::Tokens(asked)) }),
        }
    }
    Ok(rows)
}

fn tokens(table: &Table, field: &Field) -> Result<u32> {
    let text = field.text.trim();
    let number = text.parse::<f64>().ok().filter(|n| n.fract() == 0.0 && (0.0..=4e9).contains(n));
    let problem = || table.error(field, format!("expected a whole number of tokens, got \"{text}\""));
    number.map(|n| n as u32).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::read::Format;
    use crate::workload::read::testing::{error, read};

    const FILE: &str = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
        5,ChatGPT,472,18,490,Conversation log\n\
        45,ChatGPT,1087,0,1087,Conversation log\n\
        118,GPT-4,417.0,276.0,693,API log\n";

    #[test]
    fn lengths_are_read_by_column_name_and_failed_requests_skipped() {
        let row = |asked, replied| Row { output: Some(replied), ..Row::new(Ask::Tokens(asked)) };
        let expected = Rows { rows: vec![row(472, 18), row(417, 276)], skipped: 1 };
        assert_eq!(read(FILE, Format::BurstGpt), expected);
        let other_order = "response tokens,Session ID,request tokens\n18,x,472\n";
        assert_eq!(read(other_order, Format::BurstGpt).rows, [row(472, 18)]);
    }

    #[test]
    fn a_bad_table_is_named_by_line_and_column() {
        assert_eq!(
            error(&FILE.replace("417.0", "many"), Format::BurstGpt),
            "cannot read \"file\" line 4 column 11: expected a whole number of tokens, got \"many\""
        );
        assert_eq!(
            error("Request tokens,Response\n", Format::BurstGpt),
            "cannot read \"file\" line 1 column 1: there is no column \"Response tokens\""
        );
    }
}
