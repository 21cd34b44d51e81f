//! `rampant compare`: its flags, and what they ask for.

use super::flags;
use crate::error::{Error, Result};
use crate::experiment::compare::{self, Comparison};
use crate::host::Host;
use crate::lang::Lang;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::path::PathBuf;

pub fn command() -> Command {
    let set = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let side = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("FOLDER[:RUN]")
            .num_args(1..)
            .action(ArgAction::Append)
            .help(help)
    };
    Command::new("compare")
        .about("Compare two results, or several of each: by how much, how sure, and what may be said of it")
        .after_help(
            "Requests of the same traffic are compared one by one. One run a side says that these two runs \
             differ; a verdict about a server, and exit code 99, takes at least three rounds in turn of each \
             side (--a A1 A2 A3 --b B1 B2 B3), or three earlier runs and --history.\n\
             Exit codes: 99 worse (with --fail-if worse), 95 cannot be told (with --fail-if, or --undecided fail).",
        )
        .arg(Arg::new("first").value_name("A").help("Results folder, or FOLDER:RUN for one of its runs"))
        .arg(Arg::new("second").value_name("B").help("What is compared with it"))
        .arg(side("a", "Several of the first side, in place of A"))
        .arg(side("b", "Several of the second side, in place of B"))
        .arg(
            Arg::new("margin")
                .long("margin")
                .value_name("SHARE")
                .value_parser(margin)
                .help("A smaller difference is none [default: 3% where requests are paired, else 5%]"),
        )
        .arg(
            Arg::new("fail-if")
                .long("fail-if")
                .value_name("worse[:SHARE]")
                .value_parser(fail_if)
                .help("Exit with 99 when B is worse by more than the margin, or than SHARE"),
        )
        .arg(
            Arg::new("undecided")
                .long("undecided")
                .value_name("pass|fail")
                .value_parser(["pass", "fail"])
                .help("Exit with 95 when it cannot be told: fail [default: fail with --fail-if, else pass]"),
        )
        .arg(
            Arg::new("goodput")
                .long("goodput")
                .value_name("KEY:MS")
                .num_args(1..)
                .action(ArgAction::Append)
                .help("Requests of both sides are good within these limits [default: those of their runs]"),
        )
        .arg(
            Arg::new("metrics")
                .long("metrics")
                .value_name("NAME,...")
                .value_delimiter(',')
                .action(ArgAction::Append)
                .help("What is compared, such as ttft.p99,output_tokens.rate"),
        )
        .arg(set("restarted", "Each run was made on a server that was started for it: no turns are needed"))
        .arg(set("history", "A is the past: its last ten runs, and how much they varied"))
        .arg(set("plan", "Say how long each side must be to show a difference of the margin; B may be left out"))
        .arg(
            Arg::new("save")
                .long("save")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("The picture, .png or .svg [default: charts/compare_<A>.png in the folder of B]"),
        )
        .arg(
            Arg::new("theme")
                .long("theme")
                .value_name("THEME")
                .value_parser(["light", "dark"])
                .default_value("light")
                .help("Colours of the picture, for paper or for a dark slide"),
        )
        .arg(
            Arg::new("out")
                .long("out")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Where folders are looked for by name [default: results]"),
        )
        .arg(
            Arg::new("lang")
                .long("lang")
                .value_name("LANG")
                .value_parser(Lang::ALL.map(Lang::name))
                .help("Language of the table [default: from the environment, else en]"),
        )
        .arg(set("quiet", "Print results, warnings and errors only").short('q'))
}

pub fn run(found: &ArgMatches, host: &Host) -> Result<()> {
    let switches = flags::switches(found, host)?;
    let plan = found.get_flag("plan");
    let [a, b] = sides(found, plan)?;
    let metrics = found.get_many::<String>("metrics").into_iter().flatten();
    let metrics = metrics.map(|text| compare::name(text.trim())).collect::<std::result::Result<_, _>>();
    let fail_if_worse = found.get_one::<Option<f64>>("fail-if").copied();
    let undecided = found.get_one::<String>("undecided");
    let limits: Vec<&String> = found.get_many::<String>("goodput").into_iter().flatten().collect();
    let goals = compare::goals(&limits).map_err(|told| Error::usage(format!("--goodput: {told}")))?;
    let how = Comparison {
        margin: found.get_one::<f64>("margin").copied(),
        fail_if_worse,
        restarted: found.get_flag("restarted"),
        history: found.get_flag("history"),
        metrics: metrics.map_err(|told| Error::usage(format!("--metrics: {told}")))?,
        goals,
        alone: false,
        lang: switches.lang,
    };
    let wanted = compare::Command {
        a,
        b,
        results: switches.results(host),
        plan,
        how,
        // Who asks for a gate is not served by one that lets through what it cannot tell.
        undecided_fails: undecided.map_or(fail_if_worse.is_some(), |what| what == "fail"),
        save: found.get_one::<PathBuf>("save").cloned(),
        dark: found.get_one::<String>("theme").is_some_and(|theme| theme == "dark"),
        quiet: switches.quiet,
    };
    compare::run(&wanted, host)
}

/// Both sides: by place, or by flag; `alone`: the second may be empty.
fn sides(found: &ArgMatches, alone: bool) -> Result<[Vec<String>; 2]> {
    let many = |name: &str| -> Vec<String> {
        found.get_many::<String>(name).into_iter().flatten().cloned().collect()
    };
    let mut placed = many("first").into_iter().chain(many("second"));
    let (mut a, mut b) = (many("a"), many("b"));
    for side in [&mut a, &mut b] {
        if side.is_empty() {
            side.extend(placed.next());
        }
    }
    let error = match (placed.next(), a.is_empty() || b.is_empty() && !alone) {
        (Some(more), _) => format!("compare: {more:?} is of neither side"),
        (None, true) => "compare: two results are compared".to_string(),
        (None, false) => return Ok([a, b]),
    };
    Err(Error::usage(error).hint("rampant compare A B, or --a A1 A2 A3 --b B1 B2 B3"))
}

/// `5%` or `0.05`, as a share.
fn margin(text: &str) -> std::result::Result<f64, String> {
    let (number, of) = match text.trim().strip_suffix('%') {
        Some(number) => (number.trim_end(), 100.0),
        None => (text.trim(), 1.0),
    };
    let share = number.parse::<f64>().ok().map(|number| number / of);
    match share.filter(|share| (0.0..1.0).contains(share)) {
        Some(share) => Ok(share),
        None => Err("a share from 0 to 1, such as 5% or 0.05".into()),
    }
}

fn fail_if(text: &str) -> std::result::Result<Option<f64>, String> {
    match text.split_once(':') {
        None if text == "worse" => Ok(None),
        Some(("worse", share)) => margin(share).map(Some),
        _ => Err("worse, or worse:5%".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_with_and_without_a_percent_sign() {
        assert_eq!((margin("5%"), margin("0.05"), margin(" 2.5 %")), (Ok(0.05), Ok(0.05), Ok(0.025)));
        for text in ["5", "-1%", "abc", "%", "nan", "100%"] {
            assert!(margin(text).is_err(), "{text}");
        }
        assert_eq!((fail_if("worse"), fail_if("worse:10%")), (Ok(None), Ok(Some(0.1))));
        assert!(fail_if("better").is_err() && fail_if("worse:x").is_err());
    }

    #[test]
    fn a_side_is_a_place_or_a_flag() {
        let sides = |line: &[&str]| {
            let line = std::iter::once("compare").chain(line.iter().copied());
            sides(&command().try_get_matches_from(line).expect("flags"), false)
        };
        let of = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>();
        assert_eq!(sides(&["x", "y"]).unwrap(), [of(&["x"]), of(&["y"])]);
        assert_eq!(sides(&["--a", "x", "y", "--b", "z"]).unwrap(), [of(&["x", "y"]), of(&["z"])]);
        assert_eq!(sides(&["new", "--a", "x", "--a", "y"]).unwrap(), [of(&["x", "y"]), of(&["new"])]);
        assert!(sides(&["x"]).is_err() && sides(&["x", "y", "--a", "z"]).is_err());
    }
}
