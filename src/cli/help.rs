//! The help of a script: its own words, and its parameters.

use crate::script::{Script, embedded};
use unicode_width::UnicodeWidthStr;

/// What `rampant run FILE --help` prints.
pub fn script(session: &Script) -> String {
    let program = &session.state.experiment.program;
    let mut text = embedded::description(&program.text);
    if !text.is_empty() {
        text += "\n\n";
    }
    text += &format!("Usage: rampant run {} [-p NAME=VALUE]...\n\n", program.name);
    text += &params(session);
    text
}

/// A line for each parameter.
pub fn params(session: &Script) -> String {
    if session.params.is_empty() {
        return "This script has no parameters.\n".into();
    }
    let rows: Vec<[String; 3]> =
        session.params.iter().map(|param| [param.name.clone(), param.type_name(), param.about()]).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
    let (names, types) = (width(0), width(1));
    let mut text = String::from("Parameters (-p NAME=VALUE):\n");
    for [name, kind, about] in &rows {
        text += &format!("  {name:<names$}  {kind:<types$}  {about}\n");
    }
    text
}
