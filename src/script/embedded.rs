//! `Embedded`: the texts inside the binary. The built-in commands, and the library that
//! scripts import as `std/...`.

use crate::experiment::program::Program;

/// A name and its text.
pub type Embedded = (&'static str, &'static str);

macro_rules! embedded {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../", $folder, "/", $name, ".rhai")))),*]
    };
}

/// The built-in commands, in the order of `--help`.
pub const COMMANDS: &[Embedded] =
    embedded!("scripts": "single", "batch", "aggregate", "visualize", "calibrate");

/// The library. `"shapes"` here is `import "std/shapes"` in a script.
pub const LIBRARY: &[Embedded] = embedded!("stdlib": "assert", "mixes", "options", "shapes", "slo", "tables");

/// The text of a built-in command.
pub fn command(name: &str) -> Option<&'static str> {
    COMMANDS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The program of a built-in command.
pub fn program(name: &str) -> Option<Program> {
    let text = command(name)?;
    Some(Program { name: name.into(), text: text.into(), path: None, built_in: true })
}

/// What the `//!` lines at the top of a script say, without the marks.
pub fn description(text: &str) -> String {
    let lines = text.lines().skip_while(|line| line.trim().is_empty());
    let said = lines.map_while(|line| line.trim_start().strip_prefix("//!"));
    said.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n").trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_the_block_of_comments_at_the_top() {
        assert_eq!(description("\n//! One.\n//!  two\n\n//! not this"), "One.\n two");
        assert_eq!(description("let a = 1; //! no"), "");
    }

    #[test]
    fn every_built_in_command_describes_itself() {
        for (name, text) in COMMANDS {
            assert!(!description(text).is_empty(), "{name} has no //! line");
        }
    }
}
