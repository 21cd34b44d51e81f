//! Options as documentation shows them: in the terminal, and as Markdown.

use super::table::{OptionKind, OptionRow, Otherwise, Rest, Table};
use super::{CALLS, Call};

/// Columns of a line in the terminal.
const LINE: usize = 96;

impl OptionRow {
    /// What it accepts, in which unit, and what holds without it.
    pub fn facts(&self) -> String {
        let mut facts = vec![self.kind.shown()];
        facts.extend(Some(self.unit.to_string()).filter(|unit| !unit.is_empty()));
        let default = self.default_shown();
        match self.otherwise {
            Otherwise::Needed => facts.push("needed".into()),
            _ if default.is_empty() => {}
            _ => facts.push(format!("default: {default}")),
        }
        facts.join("; ")
    }
}

impl OptionKind {
    /// What values are such, for a reader who looks for one.
    fn shown(&self) -> String {
        match self {
            OptionKind::Time => "a time".into(),
            OptionKind::TimeAbove0 => "a time above 0".into(),
            OptionKind::List => "a list".into(),
            OptionKind::Map(Table { rest: Rest::Free, .. }) => "a map with keys of your own".into(),
            OptionKind::Map(table) => format!("a map of {}", names(table)),
            OptionKind::Function(..) => "a function".into(),
            OptionKind::Made(wanted, _) => wanted.trim_start_matches("like ").into(),
            other => other.wanted(),
        }
    }
}

fn names(table: &Table) -> String {
    let names: Vec<String> = table.rows.iter().map(|row| format!("`{}`", row.name)).collect();
    names.join(", ")
}

/// The options of a call as items of a Markdown list, those of maps inside of it below them.
pub fn markdown(table: &Table) -> String {
    let mut text = String::new();
    items(table, "", &mut text);
    text
}

fn items(table: &Table, path: &str, text: &mut String) {
    for row in table.rows {
        let name = format!("{path}{}", row.name);
        *text += &format!("- `{name}`: {} ({}). `{}: {}`\n", row.help, row.facts(), row.name, row.example);
        if let OptionKind::Map(inner) | OptionKind::Function(_, Some(inner)) = row.kind {
            items(inner, &format!("{name}."), text);
        }
    }
}

/// The same for the terminal.
pub fn terminal(table: &Table) -> String {
    let mut lines = Vec::new();
    rows(table, "", &mut lines);
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0).min(24);
    let shown = |(name, told): &(String, String)| {
        let mut text = format!("{name:width$}  ");
        let mut column = text.len();
        for word in told.split(' ') {
            if column + word.len() > LINE {
                text = format!("{}\n{:width$}  ", text.trim_end(), "");
                column = width + 2;
            }
            text += word;
            text += " ";
            column += word.len() + 1;
        }
        text.trim_end().to_string()
    };
    lines.iter().map(shown).collect::<Vec<_>>().join("\n")
}

fn rows(table: &Table, path: &str, lines: &mut Vec<(String, String)>) {
    for row in table.rows {
        let name = format!("{path}{}", row.name);
        lines.push((name.clone(), format!("{} [{}]", row.help, row.facts())));
        if let OptionKind::Map(inner) | OptionKind::Function(_, Some(inner)) = row.kind {
            rows(inner, &format!("{name}."), lines);
        }
    }
}

/// Every option of this name, for the terminal: which functions take it, what it does, what it
/// accepts, how it is written. Empty when there is none.
pub fn about(name: &str) -> String {
    let mut told: Vec<(String, Vec<String>)> = Vec::new();
    for (place, table) in places() {
        let Some(row) = table.row(name) else { continue };
        let text = format!("    {}\n    {}\n    {name}: {}", row.help, row.facts(), row.example);
        match told.iter_mut().find(|(known, _)| *known == text) {
            Some((_, places)) => places.push(place),
            None => told.push((text, vec![place])),
        }
    }
    let shown =
        |(text, places): &(String, Vec<String>)| format!("{name}: option of {}\n{text}", places.join(", "));
    told.iter().map(shown).collect::<Vec<_>>().join("\n\n")
}

/// The names of all options.
pub fn all_names() -> Vec<&'static str> {
    let mut names: Vec<&str> =
        places().iter().flat_map(|(_, table)| table.rows).map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Every table with what it belongs to: `run`, or `prefix of prompts`.
pub fn places() -> Vec<(String, &'static Table)> {
    let mut places = Vec::new();
    for Call { function, table, .. } in CALLS {
        below(function, table, &mut places);
    }
    places
}

fn below(place: &str, table: &'static Table, places: &mut Vec<(String, &'static Table)>) {
    places.push((place.to_string(), table));
    for row in table.rows {
        if let OptionKind::Map(inner) | OptionKind::Function(_, Some(inner)) = row.kind {
            below(&format!("{} of {place}", row.name), inner, places);
        }
    }
}
