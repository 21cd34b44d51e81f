//! Columns of text, as a table for the terminal.

use comfy_table::{CellAlignment, Table, presets};

/// The first column stands on the left, the others, which are mostly numbers, on the right.
pub fn columns(header: Vec<String>, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}
