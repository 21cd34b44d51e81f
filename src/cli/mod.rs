//! The command line: argv -> which script, its arguments, and a few switches.

mod command;
mod compare;
mod data;
mod flags;
mod help;
mod pasted;
mod recover;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;
use clap::error::ErrorKind;

use crate::engine;
use crate::error::{Error, Result};
use crate::experiment::args::Args;
use crate::experiment::program::Program;
use crate::experiment::switches::Switches;
use crate::experiment::terminal::fit;
use crate::host::Host;
use crate::script::reference::Reference;
use crate::script::{self, Script, embedded};

/// Runs the command line of this process and returns its exit code.
pub fn run() -> ExitCode {
    let host = Host::process();
    host.listen_to_signals();
    let done = execute(std::env::args().collect(), &host).and_then(|()| match host.out_lost() {
        Some(why) => Err(Error::run(format!("cannot write to standard output: {why}"))
            .hint("what was measured is in the results folder; make room, or send the output elsewhere")),
        None => Ok(()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let told = format!("error: {error}");
            // A line of a script stays as it is, with its caret below.
            host.err(&if error.place.is_none() { fit(&host, &told) } else { told });
            ExitCode::from(error.kind.exit_code())
        }
    }
}

/// Does what `argv` says; its first item is the name of the program.
pub fn execute(argv: Vec<String>, host: &Host) -> Result<()> {
    let names: Vec<&str> = command::names().collect();
    let typed = argv.clone();
    let (mut argv, origin) = pasted::command(&argv, &names)?;
    let wanted = argv.get(1).cloned().unwrap_or_default();
    let wanted = wanted.as_str();
    let built_in = match embedded::program(wanted) {
        Some(source) => Some(Script::prepare(source, Args::default(), Switches::default(), host.clone())?),
        None => None,
    };
    let command = command::root(built_in.as_ref());
    if built_in.is_some() {
        let known = flags::known(command.find_subcommand(wanted).expect("it has a session"));
        let benchmark = ["single", "batch"].contains(&wanted);
        let line = pasted::translate(&argv[2..], &known, benchmark, origin)?;
        let quiet = line.args.iter().any(|arg| arg == "-q" || arg == "--quiet");
        if let Some(note) = line.note.filter(|_| !quiet) {
            host.err(&format!("note: {note}"));
        }
        argv.truncate(2);
        argv.extend(line.args);
    }
    let matches = match command.try_get_matches_from(flags::negatives_joined(&argv)) {
        Ok(matches) => matches,
        Err(error) => return refused(error, wanted, host),
    };
    match (matches.subcommand(), built_in) {
        (Some((_, found)), Some(session)) => run_built_in(session, found, host, typed),
        (Some(("run", found)), _) => run_file(found, host, typed),
        (Some(("check", found)), _) => check_file(found, host),
        (Some(("params", found)), _) => {
            let session = open(found, host)?;
            host.out(help::params(&session).trim_end());
            Ok(())
        }
        (Some(("script", found)), _) => show_script(found.get_one::<String>("name"), host),
        (Some(("docs", found)), _) => show_docs(found, host),
        (Some(("explain", found)), _) => data::run_explain(found, host),
        (Some(("import", found)), _) => data::run_import(found, host),
        (Some(("export", found)), _) => data::run_export(found, host),
        (Some(("compare", found)), _) => compare::run(found, host),
        (Some(("recover", found)), _) => recover::run(found, host),
        (Some(("engine", found)), _) => serve(found),
        _ => Err(Error::usage("no command was given").hint("rampant --help")),
    }
}

/// Help and version are answers, not errors; an error becomes one sentence.
fn refused(error: clap::Error, wanted: &str, host: &Host) -> Result<()> {
    let shown = error.to_string();
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            host.out(shown.trim_end());
            return Ok(());
        }
        ErrorKind::InvalidSubcommand if wanted.ends_with(".rhai") => {
            let told = format!("{wanted:?} is a script, not a command");
            return Err(Error::usage(told).hint(format!("rampant run {wanted}")));
        }
        _ => {}
    }
    let mut paragraphs = shown.trim_start_matches("error: ").split("\n\n");
    let sentence = paragraphs.next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let tip = paragraphs.find_map(|text| text.trim().strip_prefix("tip: "));
    let error = Error::usage(sentence);
    Err(match tip.and_then(|tip| tip.lines().next()) {
        Some(tip) => error.hint(tip.trim()),
        None => error.hint("--help lists what there is"),
    })
}

fn run_built_in(session: Script, found: &ArgMatches, host: &Host, argv: Vec<String>) -> Result<()> {
    let name = session.state.experiment.program.name.clone();
    let given = flags::given(&session.params, found);
    let switches = Switches { argv, ..flags::switches(found, host)? };
    let source = embedded::program(&name).expect("the session was made from it");
    script::run(source, Args { given }, switches, host.clone())
}

fn run_file(found: &ArgMatches, host: &Host, argv: Vec<String>) -> Result<()> {
    let file = found.get_one::<PathBuf>("file");
    if found.get_flag("help") {
        let text = match file {
            Some(_) => help::script(&open(found, host)?),
            None => command::run_help(),
        };
        host.out(text.trim_end());
        return Ok(());
    }
    let file = file.ok_or_else(|| Error::usage("run: no script was named").hint("rampant run FILE"))?;
    let source = Program::file(file, host)?;
    let switches = Switches { argv, ..flags::switches(found, host)? };
    script::run(source, flags::assignments(found)?, switches, host.clone())
}

/// Reads, compiles and checks; sends nothing.
fn check_file(found: &ArgMatches, host: &Host) -> Result<()> {
    let mut session = open(found, host)?;
    let more = session.errors.len().saturating_sub(1);
    for error in session.errors.drain(..more) {
        host.err(&format!("error: {error}\n"));
    }
    session.check()?;
    host.out(&format!("{}: no mistakes found", session.state.experiment.program.name));
    Ok(())
}

fn open(found: &ArgMatches, host: &Host) -> Result<Script> {
    let file: &Path = found.get_one::<PathBuf>("file").expect("clap asks for it");
    let args = flags::assignments(found)?;
    // Nothing runs, so what only a run needs, such as the secrets, is not asked for.
    let switches = Switches { lib: flags::libraries(found, host), ..Switches::default() };
    Script::prepare(Program::file(file, host)?, args, switches, host.clone())
}

fn show_script(name: Option<&String>, host: &Host) -> Result<()> {
    let Some(name) = name else {
        for (name, text) in embedded::COMMANDS {
            let about = embedded::description(text);
            host.out(&format!("{name:<11} {}", about.lines().next().unwrap_or_default()));
        }
        return Ok(());
    };
    let Some(text) = embedded::command(name) else {
        let known = || embedded::COMMANDS.iter().map(|(name, _)| *name);
        let near = crate::error::nearest(name, known());
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        let all = known().collect::<Vec<_>>().join(", ");
        return Err(Error::usage(format!("no built-in script {name:?}{near} (scripts: {all})")));
    };
    host.out(text.trim_end());
    Ok(())
}

fn show_docs(found: &ArgMatches, host: &Host) -> Result<()> {
    let empty = Program { name: "docs".into(), text: String::new(), path: None, built_in: false };
    let session = Script::prepare(empty, Args::default(), Switches::default(), host.clone())?;
    let reference = Reference::of(&session);
    let text = match found.get_one::<String>("name") {
        _ if found.get_flag("markdown") => reference.markdown(),
        Some(name) => reference.about(name)?,
        None => reference.list(),
    };
    host.out(text.trim_end());
    Ok(())
}

fn serve(found: &ArgMatches) -> Result<()> {
    let text = found.get_one::<String>("config").map_or("", String::as_str);
    let mut config = engine::parse(text.strip_prefix("builtin:").unwrap_or(text))
        .map_err(|told| Error::usage(format!("--config: {told}")))?;
    let time = |name: &str| match found.get_one::<f64>(name) {
        Some(ms) if !ms.is_finite() || *ms < 0.0 => {
            Err(Error::usage(format!("--{name}: must be at least 0, got {ms}")))
        }
        other => Ok(other.copied()),
    };
    config.ttft_ms = time("ttft-ms")?.unwrap_or(config.ttft_ms);
    config.itl_ms = time("itl-ms")?.unwrap_or(config.itl_ms);
    if let Some(model) = found.get_one::<String>("model") {
        config.model = model.clone();
    }
    config.until_stdin_closes |= found.get_flag("until-stdin-closes");
    engine::serve(*found.get_one::<u16>("port").expect("it has a default"), config)
}

#[cfg(test)]
mod tests;
