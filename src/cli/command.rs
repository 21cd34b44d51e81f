//! The tree of commands, as data for the argument parser.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};

use super::{compare, data, flags, recover};
use crate::script::{Script, embedded};

/// All commands. A built-in command has its own flags only when it is the one that was asked for,
/// because they are read from its script.
pub fn root(built_in: Option<&Script>) -> Command {
    let mut root = Command::new("rampant")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A scriptable load engine for LLM inference servers: workloads in Rhai, results in Parquet")
        .after_help("A built-in command is a script: `rampant script single` prints one, to copy and change.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true);
    for (name, text) in embedded::COMMANDS {
        let about = embedded::description(text);
        let mut command = Command::new(*name).about(about.lines().next().unwrap_or_default().to_string());
        if let Some(session) = built_in.filter(|session| session.state.experiment.program.name == *name) {
            command = flags::add(command.about(about), &session.params);
        }
        root = root.subcommand(command);
    }
    root.subcommand(run())
        .subcommand(
            with_script(Command::new("check"))
                .about("Check a script without running it: unknown functions, wrong arguments, parameters"),
        )
        .subcommand(
            with_script(Command::new("params")).about("List the parameters of a script, without running it"),
        )
        .subcommand(
            Command::new("script")
                .about("Print a built-in script, to copy and change; without a name, list them")
                .arg(Arg::new("name").value_name("NAME")),
        )
        .subcommand(
            Command::new("docs")
                .about("Say what a function or an option of scripts does; without a name, list all functions")
                .arg(Arg::new("name").value_name("NAME"))
                .arg(
                    Arg::new("markdown")
                        .long("markdown")
                        .action(ArgAction::SetTrue)
                        .help("The whole reference as Markdown"),
                ),
        )
        .subcommand(data::explain())
        .subcommand(data::import())
        .subcommand(data::export())
        .subcommand(compare::command())
        .subcommand(recover::command())
        .subcommand(engine())
}

/// The names of all commands.
pub fn names() -> impl Iterator<Item = &'static str> {
    let rest = [
        "run", "check", "params", "script", "docs", "explain", "import", "export", "compare", "recover",
        "engine", "help",
    ];
    embedded::COMMANDS.iter().map(|(name, _)| *name).chain(rest)
}

fn run() -> Command {
    let run = with_script(Command::new("run"))
        .about("Run a script; `rampant run FILE --help` lists its parameters")
        .disable_help_flag(true)
        .mut_arg("file", |file| file.required(false))
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .action(ArgAction::SetTrue)
                .help("With FILE: describe the script and its parameters"),
        );
    flags::add_switches(run, &[])
}

/// The help of `run` without a file.
pub fn run_help() -> String {
    run().bin_name("rampant run").render_help().to_string()
}

fn with_script(command: Command) -> Command {
    command
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("The script"),
        )
        .arg(
            Arg::new("param")
                .short('p')
                .value_name("NAME=VALUE")
                .action(ArgAction::Append)
                .help("Set a parameter; items of a list are separated by commas"),
        )
        .arg(
            Arg::new("lib")
                .long("lib")
                .value_name("DIR")
                .action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf))
                .help("Look for imported modules there as well"),
        )
}

fn engine() -> Command {
    let ms = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("MS").value_parser(value_parser!(f64)).help(help)
    };
    Command::new("engine")
        .about("Serve the built-in simulated inference server, to try scripts without a model")
        .arg(
            Arg::new("port")
                .long("port")
                .value_name("N")
                .default_value("8000")
                .value_parser(value_parser!(u16))
                .help("Port on 127.0.0.1; 0 takes a free one and prints it"),
        )
        .arg(ms("ttft-ms", "Time to the first token"))
        .arg(ms("itl-ms", "Time between tokens"))
        .arg(Arg::new("model").long("model").value_name("NAME").help("Name of the model that it serves"))
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("KEY=VALUE,...")
                .help("Everything else, such as \"slots=32,prefill=9000\""),
        )
        .arg(
            Arg::new("until-stdin-closes")
                .long("until-stdin-closes")
                .action(ArgAction::SetTrue)
                .help("End when standard input does, as a child whose parent is gone"),
        )
}
