//! `rampant compare A B`: reads, prints, draws, and ends as a gate does where one was asked for.

use super::compared::Compared;
use super::source::{Given, Places};
use super::verdict::Gate;
use super::wanted::Comparison;
use crate::chart::{Theme, save};
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::stats::versus::judge::Word;
use std::path::PathBuf;

pub struct Command {
    /// `FOLDER` or `FOLDER:RUN`, of each side.
    pub a: Vec<String>,
    pub b: Vec<String>,
    /// Where folders are looked for by their names.
    pub results: PathBuf,
    pub how: Comparison,
    /// What cannot be told ends with an error.
    pub undecided_fails: bool,
    /// How long it must be is asked, not what came out; then `b` may be empty.
    pub plan: bool,
    /// Where the picture goes; `None`: into the second side's folder.
    pub save: Option<PathBuf>,
    /// For a dark slide.
    pub dark: bool,
    pub quiet: bool,
}

/// Compares, prints, draws. The error is the verdict that a gate asked for, or why there is none.
pub fn run(wanted: &Command, host: &Host) -> Result<()> {
    let lang = wanted.how.lang;
    // A slip in the command line is told before anything is read.
    wanted.save.as_deref().map_or(Ok(()), save::check_ending)?;
    let given = |texts: &[String]| texts.iter().cloned().map(Given::Named).collect::<Vec<_>>();
    let places = Places { host, results: wanted.results.clone(), permits: &|_| Ok(()), lang };
    let compared = Compared::read(&given(&wanted.a), &given(&wanted.b), &places, &wanted.how)?;
    compared.warnings.iter().for_each(|warning| host.err(&format!("{}{warning}", lang.warning())));
    compared.about().iter().for_each(|line| host.out(line));
    if wanted.plan {
        compared.plan().iter().for_each(|line| host.out(line));
        return Ok(());
    }
    host.out(&compared.table());
    compared.conclusion().iter().for_each(|line| host.out(line));
    draw(&compared, wanted, host);
    gate(&compared, wanted)
}

/// Saves the picture. That it cannot be is a warning: the numbers are told.
fn draw(compared: &Compared, wanted: &Command, host: &Host) {
    let lang = wanted.how.lang;
    let path = match &wanted.save {
        Some(path) => host.cwd().join(path),
        None => compared.folder().join("charts").join(format!("{}.png", compared.file_name())),
    };
    let mut figure = compared.figure();
    figure.theme = if wanted.dark { Theme::Dark } else { Theme::Light };
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let saved = made
        .map_err(|error| Error::run(format!("cannot write the chart \"{}\": {error}", path.display())))
        .and_then(|()| figure.replace(&path));
    match saved {
        Ok(()) if wanted.quiet => {}
        Ok(()) => host.err(&lang.chart(&path.display().to_string())),
        Err(error) => {
            let hint = lang.pick("; --save FILE puts it elsewhere", "；可用 --save FILE 另存");
            host.err(&format!("{}{}{hint}", lang.warning(), error.message));
        }
    }
}

/// What the comparison comes to for whoever waits for its exit code.
fn gate(compared: &Compared, wanted: &Command) -> Result<()> {
    let gate = match wanted.how.fail_if_worse {
        Some(margin) => compared.gate(margin, |_| true),
        None if compared.headline() == Word::Unclear => Gate::Undecided,
        None => Gate::Holds,
    };
    let told = |kind: ErrorKind| Err(Error::new(kind, compared.why(gate)));
    match gate {
        Gate::Fails => told(ErrorKind::Check),
        Gate::Undecided if wanted.undecided_fails => told(ErrorKind::Undecided),
        _ => Ok(()),
    }
}
