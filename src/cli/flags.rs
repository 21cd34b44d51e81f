//! Flags: those of the switches, and those that a built-in command's parameters become.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::error::{Error, Result};
use crate::experiment::args::{Args, Given};
use crate::experiment::quota::parse_size;
use crate::experiment::secret;
use crate::experiment::switches::{self, Switches};
use crate::host::Host;
use crate::lang::Lang;
use crate::script::param::{self, Kind, Param};

/// A parameter's id beside those of the switches.
fn id(param: &Param) -> String {
    format!("param:{}", param.name)
}

/// Gives a built-in command a flag for each of its script's parameters, and the switches whose
/// names those have left free.
pub fn add(mut command: Command, params: &[Param]) -> Command {
    for param in params {
        command = command.arg(flag(param));
    }
    if RESUMABLE.contains(&command.get_name()) {
        command = command.arg(resume());
    }
    let taken: Vec<&str> = params.iter().map(|param| param.flag.as_str()).collect();
    // Of a flag that is given twice the last one counts, as people know it.
    add_switches(command, &taken).args_override_self(true)
}

/// The commands that can go on where an earlier invocation was cut off.
const RESUMABLE: [&str; 1] = ["batch"];

fn resume() -> Arg {
    Arg::new("resume")
        .long("resume")
        .value_name("FOLDER")
        .num_args(0..=1)
        .default_missing_value("")
        .help("Go on in this results folder (default: the newest of this command): what is there and whole is skipped, what was cut off is measured again")
}

fn flag(param: &Param) -> Arg {
    let arg = Arg::new(id(param)).long(param.flag.clone()).allow_negative_numbers(true);
    let arg = arg.aliases(param.also.clone());
    if param.is_switch() {
        return arg.action(ArgAction::Set).num_args(0).default_missing_value("true").help(param.help.clone());
    }
    let arg = arg.help(param.about());
    let value = match param.kind {
        Some(Kind::Int) => "N",
        Some(Kind::Float) => "X",
        Some(Kind::Bool) => "BOOL",
        Some(Kind::Pairs) => "AxB,...",
        Some(Kind::Map) => "JSON",
        Some(Kind::Url) => "URL",
        Some(Kind::Text) | None => "TEXT",
    };
    match param.kind {
        _ if param.many => arg.action(ArgAction::Append).num_args(1..).value_name(value),
        _ if param.list => arg.action(ArgAction::Append).value_name(format!("{value},...")),
        Some(Kind::Bool) => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name(value)
        }
        _ => arg.action(ArgAction::Set).value_name(value),
    }
}

/// A flag of a command, as far as its names go.
#[derive(Debug, Clone)]
pub struct Known {
    pub flag: String,
    pub also: Vec<String>,
    pub takes_value: bool,
}

impl Known {
    pub fn is_called(&self, name: &str) -> bool {
        self.flag == name || self.also.iter().any(|other| other == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.flag.as_str()).chain(self.also.iter().map(String::as_str))
    }
}

/// The long flags of a command.
pub fn known(command: &Command) -> Vec<Known> {
    let help = Known { flag: "help".into(), also: Vec::new(), takes_value: false };
    let of = |arg: &Arg| {
        let also = arg.get_all_aliases().unwrap_or_default();
        let values = arg.get_num_args().is_none_or(|range| range.min_values() > 0);
        Some(Known {
            flag: arg.get_long()?.to_string(),
            also: also.into_iter().map(String::from).collect(),
            takes_value: arg.get_action().takes_values() && values,
        })
    };
    command.get_arguments().filter_map(of).chain([help]).collect()
}

/// The same arguments with `--flag -5s` as `--flag=-5s`: no flag begins with a digit, so it is a
/// value, and whatever is wrong with it is said of its flag.
pub fn negatives_joined(argv: &[String]) -> Vec<String> {
    let negative = |text: &str| {
        text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let mut joined: Vec<String> = Vec::new();
    for text in argv {
        match joined.last_mut() {
            Some(flag) if negative(text) && flag.starts_with("--") && !flag.contains('=') => {
                flag.push('=');
                flag.push_str(text);
            }
            _ => joined.push(text.clone()),
        }
    }
    joined
}

/// A seed, as `--seed` takes it.
fn seed(text: &str) -> std::result::Result<u64, String> {
    text.parse().map_err(|_| format!("a seed is a whole number from 0 to {}", u64::MAX))
}

/// The values that were given for the parameters of a built-in command.
pub fn given(params: &[Param], found: &ArgMatches) -> Vec<Given> {
    let of = |param: &Param| {
        let texts: Vec<String> = found.get_many::<String>(&id(param))?.cloned().collect();
        Some(Given { name: param.name.clone(), flag: format!("--{}", param.flag), texts, split: false })
    };
    params.iter().filter_map(of).collect()
}

/// The values given with `-p`; a name that is given again adds to a list.
pub fn assignments(found: &ArgMatches) -> Result<Args> {
    let mut given: Vec<Given> = Vec::new();
    for text in found.get_many::<String>("param").into_iter().flatten() {
        let (name, value) =
            param::parse_assignment(text).map_err(|told| Error::usage(format!("-p: {told}")))?;
        match given.iter_mut().find(|known| known.name == name) {
            Some(known) => known.texts.push(value),
            None => given.push(Given { flag: format!("-p {name}"), name, texts: vec![value], split: true }),
        }
    }
    Ok(Args { given })
}

/// `--lang`.
pub fn lang(help: &'static str) -> Arg {
    Arg::new("lang").long("lang").value_name("LANG").value_parser(Lang::ALL.map(Lang::name)).help(help)
}

/// The switches that all commands which run something have, but for names that are `taken`.
pub fn add_switches(mut command: Command, taken: &[&str]) -> Command {
    let set = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let file = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
    };
    let list = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).action(ArgAction::Append).help(help)
    };
    let switches = [
        Arg::new("seed")
            .long("seed")
            .value_name("N")
            .value_parser(seed)
            .help("Replace the seed of every plan"),
        Arg::new("out")
            .long("out")
            .value_name("DIR")
            .value_parser(value_parser!(PathBuf))
            .help("Parent of the results folder [default: results]"),
        lang("Language of tables and charts [default: from the environment, else en]"),
        Arg::new("theme")
            .long("theme")
            .value_name("THEME")
            .value_parser(switches::themes().collect::<Vec<_>>())
            .help("Colours of charts, for paper or for a dark slide [default: light]"),
        set("quiet", "Print results, warnings and errors only").short('q'),
        set("strict", "Exit with 96 when a run is not valid as a measurement"),
        Arg::new("undecided")
            .long("undecided")
            .value_name("WHAT")
            .value_parser(["pass", "fail"])
            .help("What becomes of a condition that the run was too short to decide: fail ends with 95 [default: fail]"),
        set(
            "same-bytes",
            "No fresh words: the same traffic sends the same bytes, in every invocation and to a server that is asked again",
        ),
        list("allow", "HOST[:PORT]", "Let the script reach this host"),
        list("allow-read", "DIR", "Let the script read files below this folder")
            .value_parser(value_parser!(PathBuf)),
        Arg::new("max-disk")
            .long("max-disk")
            .value_name("SIZE")
            .value_parser(parse_size)
            .help("Most that a script may save, such as 2GB; the rows of requests may take ten times as much [default: 1GB; no end for the built-in commands]"),
        file("junit", "Write checks and verdicts as JUnit XML, for a CI server"),
        file("summary", "Write checks and verdicts as Markdown, for a page of a CI server"),
        list("secret", "NAME=env:VAR|file:PATH", "Hand a secret to the script"),
    ];
    let dry = set(
        "dry",
        "Send nothing: the runs are simulated, in a moment, and their results are below results/dry",
    );
    let loads = ["run", "single", "batch"].contains(&command.get_name());
    for switch in switches.into_iter().chain(loads.then_some(dry)) {
        if taken.iter().all(|name| switch.get_long() != Some(*name)) {
            command = command.arg(switch);
        }
    }
    command
}

/// What the switches say. Those that a command does not have keep their defaults.
pub fn switches(found: &ArgMatches, host: &Host) -> Result<Switches> {
    let is_set = |name: &str| matches!(found.try_get_one::<bool>(name), Ok(Some(true)));
    let path = |name: &str| found.try_get_one::<PathBuf>(name).ok().flatten().cloned();
    let texts = |name: &str| -> Vec<String> {
        let values = found.try_get_many::<String>(name).ok().flatten();
        values.into_iter().flatten().cloned().collect()
    };
    let secrets =
        texts("secret").iter().map(|text| secret::parse(text)).collect::<std::result::Result<_, _>>();
    let paths = found.try_get_many::<PathBuf>("allow-read").ok().flatten();
    let theme = found.try_get_one::<String>("theme").ok().flatten();
    let undecided = found.try_get_one::<String>("undecided").ok().flatten();
    Ok(Switches {
        seed: found.try_get_one::<u64>("seed").ok().flatten().copied(),
        out: path("out"),
        lang: language(found, host),
        theme: theme.map(|name| switches::theme(name)).unwrap_or_default(),
        quiet: is_set("quiet"),
        dry: is_set("dry"),
        strict: is_set("strict"),
        undecided_passes: undecided.map(String::as_str) == Some("pass"),
        same_bytes: is_set("same-bytes"),
        allow: texts("allow"),
        max_disk: found.try_get_one::<u64>("max-disk").ok().flatten().copied(),
        allow_read: paths.into_iter().flatten().cloned().collect(),
        lib: libraries(found, host),
        secrets: secrets.map_err(|told| Error::usage(format!("--secret: {told}")))?,
        junit: path("junit"),
        summary: path("summary"),
        resume: found.try_get_one::<String>("resume").ok().flatten().cloned(),
        argv: Vec::new(),
    })
}

/// `--lib`, then the folders of `RAMPANT_PATH`.
pub fn libraries(found: &ArgMatches, host: &Host) -> Vec<PathBuf> {
    let typed = found.try_get_many::<PathBuf>("lib").ok().flatten();
    let mut folders: Vec<PathBuf> = typed.into_iter().flatten().cloned().collect();
    let path = host.env("RAMPANT_PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path).filter(|folder| !folder.as_os_str().is_empty()));
    folders
}

/// What `--lang` says, else the environment.
pub fn language(found: &ArgMatches, host: &Host) -> Lang {
    let typed = found.try_get_one::<String>("lang").ok().flatten();
    let from_environment = || {
        let set =
            ["LC_ALL", "LANG"].into_iter().find_map(|name| host.env(name).filter(|text| !text.is_empty()));
        set.unwrap_or_default()
    };
    let chosen = typed.cloned().unwrap_or_else(from_environment);
    Lang::named(&chosen)
}
