use super::*;
use crate::error::ErrorKind;
use crate::lang::Lang;

fn host(folder: &Path) -> Host {
    Host::fake(folder, &[])
}

fn rampant(line: &[&str], host: &Host) -> Result<String> {
    let argv = std::iter::once("rampant").chain(line.iter().copied()).map(String::from).collect();
    execute(argv, host).map(|()| host.written().0)
}

/// A folder with one script, and what a command line says about it.
fn with_script(text: &str, line: &[&str]) -> Result<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.rhai"), text).unwrap();
    rampant(line, &host(folder.path()))
}

#[test]
fn the_parser_tree_is_sound() {
    command::root(None).debug_assert();
    for (name, _) in embedded::COMMANDS {
        let source = embedded::program(name).unwrap();
        let host = host(Path::new("/"));
        let session = Script::prepare(source, Args::default(), Switches::default(), host).unwrap();
        assert!(session.errors.is_empty(), "{name}: {}", session.errors[0]);
        command::root(Some(&session)).debug_assert();
    }
}

#[test]
fn a_script_runs_with_its_parameters() {
    let script = "print(param(\"rate\", 4.0)); print(param(\"users\", [1]));";
    let line = ["run", "a.rhai", "-p", "rate=8", "-p", "users=1,2", "-p", "users=4"];
    assert_eq!(with_script(script, &line).unwrap(), "8.0\n[1, 2, 4]\n");
}

#[test]
fn an_unknown_parameter_is_refused_before_the_script_runs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.rhai"), "print(\"ran\"); param(\"rate\", 4.0);").unwrap();
    let host = host(folder.path());
    let error = rampant(&["run", "a.rhai", "-p", "ratte=8"], &host).unwrap_err();
    assert_eq!(
        error.to_string(),
        "-p ratte: the script has no such parameter; did you mean `rate`? (parameters: rate)"
    );
    assert_eq!((error.kind, host.written().0.as_str()), (ErrorKind::Usage, ""));
}

#[test]
fn help_of_a_script_lists_its_parameters_without_running_it() {
    let script = "//! Finds the knee.\nprint(\"ran\");\nlet a = param(\"top\", 24.0, #{ help: \"highest rate\", min: 1.0 });\n\
                  let b = param(\"users\", geometric(1, 4, 2), #{ type: \"int\" });";
    assert_eq!(
        with_script(script, &["run", "a.rhai", "--help"]).unwrap(),
        "Finds the knee.\n\nUsage: rampant run a.rhai [-p NAME=VALUE]...\n\nParameters (-p NAME=VALUE):\n  \
         top    float  highest rate [at least 1; default: 24.0]\n  users  int    [default: computed]\n"
    );
}

#[test]
fn check_reports_every_mistake_and_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.rhai"), "print(\"ran\");\nlinaer(1, 2, 3);\nround();").unwrap();
    let host = host(folder.path());
    let last = rampant(&["check", "a.rhai"], &host).unwrap_err();
    assert!(last.message.starts_with("`round` got no arguments"), "{last}");
    let (out, err) = host.written();
    assert_eq!(out, "");
    assert!(
        err.starts_with("error: unknown function `linaer`; did you mean `linear`?\n  --> a.rhai:2:1"),
        "{err}"
    );
}

#[test]
fn flags_of_a_built_in_command_come_from_its_script() {
    let host = host(Path::new("/"));
    // Nothing listens on the discard port: the flags are all taken, and the server is not there.
    let line = "single --model m --port 9 --ready-timeout 1ms --max-concurrency 4 --no-stream --goodput ttft:400 tpot:30";
    let line: Vec<&str> = line.split(' ').collect();
    assert_eq!(rampant(&line, &host).unwrap_err().kind, ErrorKind::NotReady);
    let error = rampant(&["single", "--goodput", "ttft=400"], &host).unwrap_err();
    assert!(error.message.contains("--goodput"), "{error}");
    let error = rampant(&["single", "--max-concurrency", "0"], &host).unwrap_err();
    assert_eq!(error.to_string(), "--max-concurrency: must be at least 1, got 0");
    assert_eq!(error.kind.exit_code(), 2);
    let help = rampant(&["single", "--help"], &Host::fake("/", &[])).unwrap();
    assert!(help.contains("--max-concurrency <N>") && help.contains("[at least 1]"), "{help}");
    assert!(help.contains("--allow <HOST[:PORT]>") && help.contains("--no-stream\n"), "{help}");
}

#[test]
fn whatever_makes_sense_for_both_is_an_option_of_single_and_of_batch() {
    let params = |name: &str| -> std::collections::BTreeSet<String> {
        let source = embedded::program(name).unwrap();
        let session =
            Script::prepare(source, Args::default(), Switches::default(), host(Path::new("/"))).unwrap();
        session.params.iter().map(|param| param.name.clone()).collect()
    };
    let (single, batch) = (params("single"), params("batch"));
    // What one run is asked for and a grid has in its cells, and where a single JSON goes.
    let single_only = [
        "append_result",
        "duration",
        "input_len",
        "max_concurrency",
        "num_prompts",
        "output_len",
        "profile",
        "random_input_len",
        "random_output_len",
        "result_dir",
        "result_filename",
        "save_result",
    ];
    let batch_only = ["columns", "concurrency_prompts", "config", "cooldown", "input_output", "repeats"];
    assert_eq!(single.difference(&batch).collect::<Vec<_>>(), single_only);
    assert_eq!(batch.difference(&single).collect::<Vec<_>>(), batch_only);
}

#[test]
fn a_parameter_takes_the_flag_of_a_switch_with_the_same_name() {
    let text = "param(\"seed\", 0); param(\"quiet\", false);".to_string();
    let source = Program { name: "single".into(), text, path: None, built_in: false };
    let host = host(Path::new("/"));
    let session = Script::prepare(source, Args::default(), Switches::default(), host.clone()).unwrap();
    let root = command::root(Some(&session));
    root.clone().debug_assert();
    let found = root.try_get_matches_from(["rampant", "single", "--seed", "7", "--quiet"]).unwrap();
    let (_, found) = found.subcommand().unwrap();
    let given = flags::given(&session.params, found);
    assert_eq!(given.iter().map(|one| one.texts.join(" ")).collect::<Vec<_>>(), ["7", "true"]);
    let switches = flags::switches(found, &host).unwrap();
    assert_eq!((switches.seed, switches.quiet), (None, false));
}

#[test]
fn a_wrong_flag_is_one_sentence_with_a_hint() {
    let host = host(Path::new("/"));
    let error = rampant(&["single", "--max-concurency", "4"], &host).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unexpected argument '--max-concurency' found\n  try: a similar argument exists: '--max-concurrency'"
    );
    let error = rampant(&["run", "a.rhai", "--seed", "-1"], &host).unwrap_err();
    assert_eq!(
        error.message,
        "invalid value '-1' for '--seed <N>': a seed is a whole number from 0 to 18446744073709551615"
    );
    let error = rampant(&["run", "a.rhai", "--quiet", "-1"], &host).unwrap_err();
    assert!(error.message.contains("--quiet"), "{error}");
    let error = rampant(&["a.rhai"], &host).unwrap_err();
    assert_eq!(error.to_string(), "\"a.rhai\" is a script, not a command\n  try: rampant run a.rhai");
    let error = rampant(&["check"], &host).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the following required arguments were not provided: <FILE>\n  try: --help lists what there is"
    );
    let error = rampant(&["run", "gone.rhai"], &host).unwrap_err();
    assert_eq!(error.to_string(), "cannot read script \"gone.rhai\": no such file");
    let error = rampant(&["run", "gone.rhai", "-p", "rate"], &host).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
}

#[test]
fn a_built_in_script_can_be_printed_and_run_as_a_file() {
    let host = host(Path::new("/"));
    let text = rampant(&["script", "single"], &host).unwrap();
    assert_eq!(text.trim_end(), embedded::command("single").unwrap().trim_end());
    let error = rampant(&["script", "singel"], &host).unwrap_err();
    assert!(error.message.starts_with("no built-in script \"singel\"; did you mean single?"), "{error}");
    let line = ["run", "a.rhai", "-p", "port=9", "-p", "ready_timeout=1ms", "-q"];
    assert_eq!(with_script(&text, &line).unwrap_err().kind, ErrorKind::NotReady);
}

#[test]
fn the_language_comes_from_the_flag_then_from_the_environment() {
    let lang = |line: &[&str], env: &[(&str, &str)]| {
        let found =
            command::root(None).try_get_matches_from(["rampant", "run", "a"].iter().chain(line)).unwrap();
        let (_, found) = found.subcommand().unwrap();
        flags::switches(found, &Host::fake("/", env)).unwrap().lang
    };
    assert_eq!(lang(&[], &[]), Lang::English);
    assert_eq!(lang(&[], &[("LANG", "zh_CN.UTF-8")]), Lang::Chinese);
    assert_eq!(lang(&[], &[("LC_ALL", "C"), ("LANG", "zh_CN.UTF-8")]), Lang::English);
    assert_eq!(lang(&["--lang", "en"], &[("LANG", "zh_CN.UTF-8")]), Lang::English);
}
