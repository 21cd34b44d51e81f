//! Commands on results that need no script.

use clap::{Arg, ArgMatches, Command};

use super::flags;
use crate::error::Result;
use crate::experiment::explain;
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
