//! Commands on results that need no script.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};

use super::flags;
use crate::error::{Error, Result};
use crate::experiment::{explain, recover};
use crate::host::Host;

pub fn explain() -> Command {
    Command::new("explain")
        .about(
            "Say what a metric means, and what other tools print under that name; without a name, list them",
        )
        .arg(
            Arg::new("name")
                .value_name("METRIC")
                .help("Such as ttft, ttft.p99, inter_chunk_latency, P99_TTFT"),
        )
        .arg(flags::lang("Language [default: from the environment, else en]"))
}

pub fn run_explain(found: &ArgMatches, host: &Host) -> Result<()> {
    let lang = flags::language(found, host);
    let text = match found.get_one::<String>("name") {
        Some(name) => explain::metric(name, lang)?,
        None => explain::list(lang),
    };
    host.out(text.trim_end());
    Ok(())
}

pub fn recover() -> Command {
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

pub fn run_recover(found: &ArgMatches, host: &Host) -> Result<()> {
    let lang = flags::language(found, host);
    let named: &Path = found.get_one::<PathBuf>("folder").expect("clap asks for it");
    let path = host.cwd().join(named);
    let shown = named.display().to_string();
    crate::store::Folder::open(&path)?;
    let recovered = recover::recover(&path)?;
    let told = lang.recovered(&shown, &recovered);
    if recovered.unwritten.is_some() {
        return Err(Error::run(told));
    }
    host.out(&told);
    Ok(())
}
