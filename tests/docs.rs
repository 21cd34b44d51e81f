//! What the documentation shows is true: its commands parse, its scripts run, its links lead
//! somewhere, and what it takes from the code is what the code says.
//!
//! `UPDATE_DOCS=1 cargo test --release --test docs` writes the parts that come from the code.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::mem_forget,
    reason = "a test ends where it fails, and says why"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rampant::cli;
use rampant::error::Result;
use rampant::experiment::recalled;
use rampant::host::Host;
use rampant::stats::names::{Metric, Name};
use rampant::stats::series;
use rampant::store::{reader, schema};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files below `folder` with this ending, sorted.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let inside = path.strip_prefix(root()).expect("below the root").to_path_buf();
        if path.is_dir() {
            found.extend(files(&inside.to_string_lossy(), ending));
        } else if inside.to_string_lossy().ends_with(ending) {
            found.push(inside);
        }
    }
    found.sort();
    found
}

fn pages() -> Vec<PathBuf> {
    let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from);
    top.into_iter().chain(files("docs", ".md")).collect()
}

/// Fenced blocks of a page: language and content.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                found.push((language.into(), String::new()));
            }
            None if open => {
                let block = &mut found.last_mut().expect("a block is open").1;
                block.push_str(line);
                block.push('\n');
            }
            None => {}
        }
    }
    found
}

/// A page without its fenced blocks.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// What stands between backticks in prose.
fn spans(text: &str) -> Vec<String> {
    prose(text).lines().flat_map(|line| line.split('`').skip(1).step_by(2).map(String::from)).collect()
}

/// In this process, in the repository.
fn in_process(args: &[&str]) -> Result<String> {
    let host = Host::fake(root(), &[]);
    let argv = std::iter::once("rampant").chain(args.iter().copied()).map(String::from).collect();
    cli::execute(argv, &host).map(|()| host.written().0)
}

fn rampant(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rampant"));
    command.current_dir(folder).stdin(Stdio::null());
    for name in ["LC_ALL", "LANG", "COLUMNS", "RAMPANT_PATH", "OPENAI_API_KEY"] {
        command.env_remove(name);
    }
    command
}

/// Runs the program in `folder`; it must end with 0. Returns standard output.
fn runs_well(folder: &Path, args: &[&str], what: &str) -> String {
    let done = rampant(folder).args(args).output().expect("the program starts");
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{what}: {args:?} ended with {}\n{out}{told}", done.status);
    out
}

/// Runs a script that stands in a folder of its own.
fn script_runs_well(text: &str, what: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("script.rhai"), text).expect("writable");
    runs_well(folder.path(), &["check", "script.rhai"], what);
    if text.contains("builtin") || text.contains("assert::") {
        runs_well(folder.path(), &["run", "script.rhai", "-q"], what);
    }
}

/// `content` is what the file must hold; writes it when asked to.
fn is_up_to_date(path: &str, content: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(path), content).expect("writable");
    }
    let now = fs::read_to_string(root().join(path)).unwrap_or_default();
    assert!(now == content, "{path} is out of date: UPDATE_DOCS=1 cargo test --release --test docs");
}

#[test]
fn every_example_runs_in_its_folder_and_measures_every_request_that_it_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    for file in files("examples", "") {
        let copy = folder.path().join(&file);
        fs::create_dir_all(copy.parent().expect("a folder")).expect("writable");
        fs::copy(root().join(&file), copy).expect("copied");
    }
    std::thread::scope(|scope| {
        for file in files("examples", ".rhai") {
            let folder = folder.path();
            scope.spawn(move || {
                let file = file.to_string_lossy().into_owned();
                // All at once on a small machine: a run that is not steady decides nothing.
                let out = format!("out/{file}");
                runs_well(folder, &["run", &file, "-q", "--undecided", "pass", "--out", &out], &file);
            });
        }
    });
    let mut counted = 0;
    for file in files("examples", ".rhai") {
        let Ok(results) = fs::read_dir(folder.path().join("out").join(&file)) else { continue };
        for result in results {
            for run in recalled::rows(&result.expect("an entry").path()).expect("readable") {
                if run["stopped_by"] == "requests" {
                    assert_eq!(run["requests_count"].as_f64(), run["num_prompts"].as_f64(), "{file:?}");
                    counted += 1;
                }
            }
        }
    }
    assert!(counted >= 5, "{counted} runs with a number of requests");
}

#[test]
fn no_line_of_a_script_is_longer_than_a_line_of_the_code() {
    let scripts = ["scripts", "stdlib", "examples"].map(|folder| files(folder, ".rhai")).concat();
    assert!(scripts.len() >= 20, "{}", scripts.len());
    let mut long = Vec::new();
    for file in scripts {
        let text = read(&file);
        let lines = text.lines().enumerate().filter(|(_, line)| line.len() > 110);
        long.extend(lines.map(|(at, _)| format!("{}:{}", file.display(), at + 1)));
    }
    assert_eq!(long, [""; 0]);
}

#[test]
fn every_example_is_short_and_introduces_itself() {
    for file in files("examples", ".rhai") {
        let text = read(&file);
        assert!(text.starts_with("//! "), "{file:?} has no //! line");
        assert!(text.lines().count() < 40, "{file:?} is too long");
        let guide = read("docs/scripting.md");
        let name = file.file_name().expect("a name").to_string_lossy();
        assert!(guide.contains(&*format!("examples/{name}")), "{name} is not in the guide");
        in_process(&["check", &file.to_string_lossy()]).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    }
}

#[test]
fn every_script_in_the_documentation_passes_the_check_and_those_with_a_built_in_target_run() {
    let mut seen = 0;
    for page in pages() {
        for (_, text) in blocks(&read(&page)).iter().filter(|(language, _)| language == "rhai") {
            script_runs_well(text, &format!("{}: {text}", page.display()));
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen} scripts");
}

/// The documented functions of a module: name and documentation.
fn functions(module: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut docs = String::new();
    for line in module.lines() {
        if let Some(text) = line.strip_prefix("///") {
            docs.push_str(text.strip_prefix(' ').unwrap_or(text));
            docs.push('\n');
        } else if let Some(rest) = line.strip_prefix("fn ") {
            let name = rest.split('(').next().unwrap_or_default();
            found.push((name.to_string(), std::mem::take(&mut docs)));
        } else {
            docs.clear();
        }
    }
    found
}

#[test]
fn every_public_function_of_a_standard_module_has_an_example_that_runs() {
    let guide = read("docs/scripting.md");
    for file in files("stdlib", ".rhai") {
        let text = read(&file);
        assert!(text.starts_with("//! std/"), "{file:?} does not say its name");
        for (name, docs) in functions(&text) {
            let what = format!("{}: {name}", file.display());
            let examples = blocks(&docs);
            assert!(!examples.is_empty(), "{what} has no example");
            assert!(guide.contains(&name), "{what} is not in the guide");
            examples.iter().for_each(|(_, example)| script_runs_well(example, &what));
        }
    }
}

#[test]
fn the_reference_is_what_the_engine_has_registered() {
    let intro = "# Function reference\n\nEverything that scripts can call, written by `rampant docs --markdown` from the documentation \
                 in the code.\nThe [guide](scripting.md) shows how the parts fit together.\n";
    let text = in_process(&["docs", "--markdown"]).expect("the reference");
    is_up_to_date("docs/reference.md", &format!("{intro}\n{}\n", text.trim()));
}

#[test]
fn help_texts_in_the_documentation_are_those_of_the_program() {
    let page = read("docs/commands.md");
    let mut fresh = String::new();
    let mut rest = page.as_str();
    while let Some(at) = rest.find("```text\n$ rampant ") {
        let (before, block) = rest.split_at(at + "```text\n".len());
        let end = block.find("```").expect("the block ends");
        let command = block.lines().next().expect("the command");
        let args: Vec<&str> = command.split(' ').skip(2).collect();
        let told = runs_well(root(), &args, command);
        fresh += &format!("{before}{command}\n{}\n", told.trim_end());
        rest = &block[end..];
    }
    is_up_to_date("docs/commands.md", &(fresh + rest));
}

/// The arguments of a `rampant` line, with a script that is there in place of one that is not.
fn arguments(line: &str) -> Option<Vec<String>> {
    let line = line.split(" #").next().unwrap_or(line).trim();
    let args = line.strip_prefix("rampant ").or(line.strip_prefix("cargo run --release -- "))?;
    if args.contains(['[', '|', '>', '…']) || args.contains("...") {
        return None;
    }
    let name = |word: &str| match word {
        "NAME" if args.starts_with("docs ") => "closed".to_string(),
        "NAME" => "single".to_string(),
        "FILE" | "mine.rhai" => "examples/05_your_own_server.rhai".to_string(),
        word => word.to_string(),
    };
    Some(args.split_whitespace().map(name).collect())
}

#[test]
fn every_command_line_in_the_documentation_is_understood() {
    let mut seen = 0;
    for page in pages() {
        let text = read(&page);
        let shown = blocks(&text).into_iter().filter(|(language, _)| language == "sh");
        let lines = shown.flat_map(|(_, block)| block.lines().map(String::from).collect::<Vec<_>>());
        for line in lines.chain(spans(&text)) {
            let Some(args) = arguments(&line) else { continue };
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            understood(&args, &format!("{}: {line}", page.display()));
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen} command lines");
}

fn understood(args: &[&str], what: &str) {
    let told = |error| panic!("{what}: {error}");
    match args[0] {
        "docs" | "check" | "params" | "script" if args.len() > 1 => {
            drop(in_process(args).unwrap_or_else(told))
        }
        // Parameters are looked at, the switches of a run are not known to `check`.
        "run" if args.len() > 1 => {
            let check: Vec<&str> = std::iter::once("check")
                .chain(args[1..].iter().copied().filter(|arg| *arg != "--help"))
                .collect();
            drop(in_process(&check).unwrap_or_else(told));
        }
        "engine" => {
            let config = args.iter().skip_while(|arg| **arg != "--config").nth(1);
            config.map_or(Ok(()), |config| rampant::engine::parse(config).map(drop)).expect(what);
        }
        _ => {}
    }
    // Everything up to here is parsed before help is given.
    let asked: Vec<&str> = args.iter().copied().chain(["--help"]).collect();
    let once = if args.contains(&"--help") { args } else { &asked[..] };
    drop(in_process(once).unwrap_or_else(told));
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut seen = 0;
    for page in pages() {
        let text = prose(&read(&page));
        for part in text.split("](").skip(1) {
            let link = part.split(')').next().expect("a link ends");
            if link.contains("://") {
                continue;
            }
            let (path, place) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.clone(),
                path => page.parent().expect("a folder").join(path),
            };
            assert!(root().join(&target).exists(), "{}: {link} leads nowhere", page.display());
            let found = place.is_empty()
                || read(&target).lines().any(|line| line.starts_with('#') && anchor(line) == place);
            assert!(found, "{}: {link} has no such heading", page.display());
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen} links");
}

#[test]
fn the_documentation_speaks_of_the_project_alone() {
    let mut all = pages();
    for folder in ["examples", "stdlib", "scripts", "results/sample/script"] {
        all.extend(files(folder, ""));
    }
    for page in all {
        let text = read(&page);
        for word in ["TODO", "FIXME", "issue", "/tmp", "/root", "/home"] {
            assert!(!text.contains(word), "{} has the word {word}", page.display());
        }
    }
}

#[test]
fn the_columns_of_every_table_are_listed_as_the_program_has_them() {
    let mut page = read("docs/results.md");
    for (table, list) in rampant::store::page::pages() {
        let mark = format!("<!-- columns of {table} -->\n");
        let (before, rest) = page.split_once(&mark).expect("the mark before the list");
        let (_, after) = rest.split_once("<!-- end -->").expect("the mark behind the list");
        page = format!("{before}{mark}{list}<!-- end -->{after}");
    }
    is_up_to_date("docs/results.md", &page);
}

#[test]
fn the_list_of_metrics_is_the_programs_and_its_columns_are_there() {
    let page = read("docs/metrics.md");
    let (before, rest) = page.split_once("<!-- all metrics -->\n").expect("the mark before the list");
    let (_, after) = rest.split_once("<!-- end -->").expect("the mark behind the list");
    let list = rampant::stats::page::page();
    is_up_to_date("docs/metrics.md", &format!("{before}<!-- all metrics -->\n{list}<!-- end -->{after}"));
    let schema = schema::schema();
    let stored: Vec<&str> = Metric::all().filter_map(|metric| metric.about().stored).collect();
    assert!(stored.len() > 10);
    for column in stored {
        assert!(schema.field_with_name(column).is_ok(), "there is no column {column}");
    }
}

#[test]
fn what_a_metric_reads_of_a_request_is_what_its_column_holds() {
    let sample = root().join("results/sample");
    let mut records = Vec::new();
    reader::requests(&sample, None, |_, record| records.push(record)).expect("readable");
    let file = fs::File::open(sample.join("requests/part-000-0000.parquet")).expect("the only part");
    let rows = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").with_batch_size(1024);
    let batch = rows.build().expect("a reader").next().expect("one batch").expect("rows");
    assert_eq!(batch.num_rows(), records.len());
    let mut seen = 0;
    for metric in Metric::all() {
        let about = metric.about();
        let Some(column) = about.stored else { continue };
        let stored = batch.column_by_name(column).expect("a column");
        for (i, record) in records.iter().enumerate().filter(|(_, r)| about.of_all_sent || r.success()) {
            let stored = stored.is_valid(i).then(|| match stored.data_type() {
                DataType::Int64 => stored.as_primitive::<Int64Type>().value(i) as f64,
                _ => stored.as_primitive::<Float64Type>().value(i),
            });
            let read = metric.values(record).expect("a metric of requests").first().copied();
            let near = stored.zip(read).is_none_or(|(a, b)| (a - b).abs() <= 1e-9 * a.abs());
            assert!(near && stored.is_some() == read.is_some(), "{column}: {stored:?}, not {read:?}");
            seen += usize::from(read.is_some());
        }
    }
    assert!(seen > 200, "{seen} values");
}

#[test]
fn every_number_that_is_named_in_the_documentation_exists() {
    let mut seen = 0;
    for page in pages() {
        let text = read(&page);
        let quoted = text.split('"').skip(1).step_by(2).map(String::from);
        for name in spans(&text).into_iter().chain(quoted) {
            let Some((metric, statistic)) = name.split_once('.') else { continue };
            let is_metric = Name::parse(&format!("{metric}.count")).is_ok()
                || Name::parse(&format!("{metric}.sum")).is_ok();
            // What a run looks like over time has names of its own beside these.
            let is_series = series::NAMES.contains(&name.as_str());
            if is_metric && !is_series && statistic.chars().all(|c| c.is_ascii_alphanumeric() || c == '.') {
                Name::parse(&name).unwrap_or_else(|told| panic!("{}: {name}: {told}", page.display()));
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen} names");
}

#[test]
fn the_sample_is_small_anonymous_and_readable() {
    let sample = root().join("results/sample");
    // What a reader who tries the commands on it has added is ignored, here and by git.
    let kept = [".parquet", ".json", ".rhai"].map(|ending| files("results/sample", ending)).concat();
    let size: u64 = kept.iter().map(|file| fs::metadata(root().join(file)).expect("a file").len()).sum();
    assert!(size < 100_000, "{size} bytes");
    let manifest = read("results/sample/manifest.json");
    assert!(manifest.contains("\"hostname\": \"example\""), "{manifest}");

    let mut measured = 0;
    reader::requests(&sample, None, |_, record| {
        measured += u32::from(record.phase == rampant::record::Phase::Measured)
    })
    .expect("readable");
    let run = &recalled::rows(&sample).expect("readable")[0];
    assert_eq!((measured, run["requests_count"].as_f64()), (20, Some(20.0)));
    assert_eq!((run["completed"].as_u64(), run["failed"].as_u64()), (Some(18), Some(2)));
}

#[test]
fn results_of_every_version_of_the_schema_are_read() {
    for (folder, version) in [("tests/data/results/version-1", 1), ("results/sample", schema::VERSION)] {
        let path = root().join(folder);
        let manifest: serde_json::Value =
            serde_json::from_str(&read(format!("{folder}/manifest.json"))).unwrap();
        assert_eq!(manifest["versions"]["schema"], version, "{folder}");
        let rows = recalled::rows(&path).expect("readable");
        let run = &rows[0];
        let number = |key: &str| run[key].as_f64().unwrap_or_else(|| panic!("{folder}: {key} in {run:?}"));
        let (mut events, mut ttft) = (0, Vec::new());
        let warnings = reader::requests(&path, Some("mixed"), |_, record| {
            events += record.timeline.events.len();
            if record.success() && record.phase == rampant::record::Phase::Measured {
                ttft.extend(record.ttft_ms());
            }
        });
        assert_eq!(warnings.expect("readable"), [""; 0], "{folder}");
        let mean = ttft.iter().sum::<f64>() / ttft.len() as f64;
        assert!((mean - number("mean_ttft_ms")).abs() < 1e-9 && events > 150, "{folder}: {mean} {events}");
        assert_eq!(number("mean_ttft_ms"), number("ttft_ms_mean"), "{folder}");
        assert_eq!((number("completed"), number("failed"), number("num_prompts")), (18.0, 2.0, 20.0));
        assert!((number("completed") / number("duration") - number("request_throughput")).abs() < 1e-9);
        assert_eq!((&run["model_id"], &run["gpus"]), (&"sample-chat".into(), &1.into()), "{folder}");
        let mut points = 0;
        rampant::store::series::read(&path, "mixed", |_| points += 1).expect("readable");
        assert!(points > 10, "{folder}: {points}");
        // The same id each time, in old folders too.
        let id = |_| {
            let folder = rampant::store::Folder::open(&path).expect("a folder");
            folder.identity(0, "mixed", "mixed").expect("a manifest").run_id()
        };
        let ids = [(); 2].map(id);
        assert!(ids[0] == ids[1] && ids[0].len() == 28, "{ids:?}");
    }
}

/// The built-in engine on a free port; it ends when its input closes.
fn engine(config: &str) -> (std::process::Child, String) {
    let mut command = rampant(root());
    command.args(["engine", "--port", "0", "--until-stdin-closes", "--config", config]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the engine starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let url = line.trim().strip_prefix("listening on ").expect("its address").to_string();
    (child, url)
}

#[test]
fn the_readmes_grid_goes_from_its_yaml_to_a_csv_and_charts() {
    let readme = read("README.md");
    let yaml = blocks(&readme).into_iter().find(|(language, _)| language == "yaml").expect("the plan").1;
    let (mut child, url) = engine("model=demo-model,ttft=2ms,itl=200us");
    let folder = tempfile::tempdir().expect("a folder");
    let plan = yaml.replace("http://127.0.0.1:8000", &url);
    assert_ne!(plan, yaml);
    fs::write(folder.path().join("config.yaml"), plan).expect("writable");
    for args in [&["batch", "--config", "config.yaml"][..], &["aggregate"], &["visualize"]] {
        runs_well(folder.path(), args, "README.md");
    }
    drop(child.stdin.take());
    child.wait().expect("the engine ends");

    let results: Vec<_> = fs::read_dir(folder.path().join("results")).expect("results").collect();
    assert_eq!(results.len(), 1);
    let results = results[0].as_ref().expect("an entry").path();
    assert!(results.join("bench_io128x64_mc4_np20.json").is_file());
    let mut inside = fs::read_dir(&results).expect("results").map(|entry| entry.expect("an entry").path());
    let csv = inside.find(|path| path.extension().is_some_and(|ending| ending == "csv"));
    let csv = fs::read_to_string(csv.expect("a CSV")).expect("text");
    assert!(csv.starts_with("\u{feff}date,") && csv.contains("\n日期,"), "{csv}");
    assert_eq!(csv.lines().count(), 2 + 6);
    assert!(folder.path().join("charts/performance_heatmap.png").is_file());
}
