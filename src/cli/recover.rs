//! `rampant recover`: completes the folder of a killed process.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};

use super::flags;
use crate::error::{Error, Result};
use crate::experiment::recover::{self, Unwritten};
use crate::host::Host;

pub fn command() -> Command {
    Command::new("recover")
        .about("Complete the results folder of a killed process: its rows become parts, its runs get their numbers")
        .arg(
            Arg::new("folder")
                .value_name("FOLDER")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("The results folder"),
        )
        .arg(flags::lang("Language [default: from the environment, else en]"))
}

pub fn run(found: &ArgMatches, host: &Host) -> Result<()> {
    let lang = flags::language(found, host);
    let named: &Path = found.get_one::<PathBuf>("folder").expect("clap asks for it");
    let path = host.cwd().join(named);
    let shown = named.display().to_string();
    let recovered = recover::named(&path)?;
    let told = lang.recovered(&shown, &recovered);
    // A folder that is to stay as it is can be read as well; one that could not be completed may be one day.
    if let Some(Unwritten::Failed(_)) = recovered.unwritten {
        return Err(Error::run(told).hint("see that there is room and that the disk answers, then try again"));
    }
    host.out(&told);
    Ok(())
}
