//! Commands on results that need no script.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::flags;
use crate::error::Result;
use crate::experiment::export::{self, Export, ExportFormat};
use crate::experiment::{explain, import};
use crate::host::Host;
use crate::lang::Lang;

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

fn parent() -> Arg {
    Arg::new("out")
        .long("out")
        .value_name("DIR")
        .value_parser(value_parser!(PathBuf))
        .help("Parent of the results folders [default: results]")
}

fn results(found: &ArgMatches, host: &Host) -> PathBuf {
    host.cwd().join(found.get_one::<PathBuf>("out").map_or(Path::new("results"), PathBuf::as_path))
}

pub fn import() -> Command {
    Command::new("import")
        .about(
            "Read results of vLLM's benchmark, GuideLLM, AIPerf, or an aggregated CSV, into a results folder",
        )
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .required(true)
                .num_args(1..)
                .value_parser(value_parser!(PathBuf))
                .help(
                    "Result JSON of vLLM, GuideLLM's benchmarks.json, AIPerf's profile_export.jsonl or \
                     profile_export_aiperf.json, a CSV",
                ),
        )
        .arg(parent())
        .arg(flags::lang("Language [default: from the environment, else en]"))
}

pub fn run_import(found: &ArgMatches, host: &Host) -> Result<()> {
    let lang = flags::language(found, host);
    let files: Vec<PathBuf> =
        found.get_many::<PathBuf>("file").into_iter().flatten().map(|file| host.cwd().join(file)).collect();
    let imported = import::import(&files, &results(found, host))?;
    for note in &imported.notes {
        host.err(&format!("{}: {note}", lang.pick("note", "注意")));
    }
    let (folder, id) = (imported.folder.display(), &imported.experiment_id);
    let (runs, requests) = (imported.runs, imported.requests);
    host.out(&match (imported.before, lang) {
        (true, Lang::English) => format!("imported before: {folder} (experiment_id {id})"),
        (true, Lang::Chinese) => format!("此前已导入：{folder}（experiment_id {id}）"),
        (false, Lang::English) => {
            let s = |n: usize| if n == 1 { "" } else { "s" };
            let (of_runs, of_requests) = (s(runs), s(requests));
            format!(
                "imported {runs} run{of_runs} with {requests} request{of_requests}: {folder} (experiment_id {id})"
            )
        }
        (false, Lang::Chinese) => {
            format!("已导入 {runs} 次运行、{requests} 个请求：{folder}（experiment_id {id}）")
        }
    });
    Ok(())
}

pub fn export() -> Command {
    Command::new("export")
        .about("Write a results folder as vLLM's result JSON, a trace for Perfetto, or a CSV of its requests")
        .arg(
            Arg::new("folder")
                .value_name("FOLDER")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("A results folder by name or path"),
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .required(true)
                .value_parser(ExportFormat::ALL.map(|(name, _)| name))
                .help("What is written"),
        )
        .arg(
            Arg::new("run")
                .long("run")
                .value_name("NAME")
                .action(ArgAction::Append)
                .help("This run alone; may be given again"),
        )
        .arg(
            Arg::new("output")
                .long("output")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Where the files go [default: the results folder]"),
        )
        .arg(parent())
        .arg(flags::lang("Language [default: from the environment, else en]"))
}

pub fn run_export(found: &ArgMatches, host: &Host) -> Result<()> {
    let lang = flags::language(found, host);
    let named = found.get_one::<PathBuf>("folder").expect("clap asks for it");
    let below = results(found, host).join(named);
    let folder = if below.is_dir() { below } else { host.cwd().join(named) };
    let format = found.get_one::<String>("format").expect("clap asks for it");
    let (_, format) =
        ExportFormat::ALL.into_iter().find(|(name, _)| name == format).expect("clap knows the words");
    let output =
        found.get_one::<PathBuf>("output").map_or_else(|| folder.clone(), |dir| host.cwd().join(dir));
    let runs = found.get_many::<String>("run").into_iter().flatten().cloned().collect();
    let done = export::export(&Export { folder, output, format, runs })?;
    for warning in &done.warnings {
        host.err(&format!("{}: {warning}", lang.pick("warning", "警告")));
    }
    for file in &done.files {
        host.out(&format!("{} {}", lang.pick("wrote", "已写入"), file.display()));
    }
    Ok(())
}
