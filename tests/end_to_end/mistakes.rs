//! What users get wrong: one sentence, the right exit code, and no results folder.

use crate::lab::{Done, Engine, Lab, single};

/// Runs with something wrong that is noticed before any load: exit 2, one sentence.
#[track_caller]
fn refused(lab: &Lab, args: &[&str], sentence: &str) -> Done {
    let done = lab.run(args).exits(2);
    assert!(done.error().contains(sentence), "{:?} does not say {sentence:?}", done.err);
    assert_eq!(lab.results(), Vec::<std::path::PathBuf>::new(), "nothing was run");
    done
}

#[test]
fn numbers_that_make_no_sense_name_their_flag() {
    let lab = Lab::new();
    let url = "http://127.0.0.1:9";
    let cases = [
        (["--max-concurrency", "0"], "--max-concurrency: must be at least 1, got 0"),
        (["--num-prompts", "0"], "--num-prompts: must be at least 1, got 0"),
        (["--request-rate", "-3"], "--request-rate: must be at least"),
        (["--random-input-len", "0"], "--random-input-len: must be at least 1, got 0"),
        (["--num-prompts", "many"], "--num-prompts"),
        (["--goodput", "ttft:fast"], "fast"),
        (["--backend", "vlm"], "vllm"),
        (["--duration", "5 parsecs"], "duration"),
        (["--duration", "-5s"], "--duration: must be a duration such as"),
        (["--percentile-metrics", "x"], "--percentile-metrics: must be one of ttft, tpot, itl, e2el, got x"),
        (["--metric-percentiles", "101"], "--metric-percentiles: must be at most 100, got 101"),
        (["--result-filename", "a/b"], "--result-filename: must be a plain file name"),
        (["--warmup", "soon"], "--warmup: must be a number of requests or a time"),
        (["--max-errors", "many"], "--max-errors: must be a number of requests or a share"),
        (["--drain", "later"], "--drain: must be a duration"),
        (["--ready-timeout", "x"], "--ready-timeout: must be a duration"),
        (["--timeout", "x"], "--timeout: must be a duration"),
        (["--endpoint", "http://x/v1"], "--endpoint: must be a path"),
        (["--slo", "{\"ttft\": 5}"], "--slo: the limit of `ttft` must be a string with a unit"),
        (["--ramp-up-strategy", "linear"], "--ramp-up-strategy: needs the rates at its ends"),
        (["--ca-cert", "gone.pem"], "gone.pem"),
        (["--metrics-url", "nowhere"], "--metrics-url: "),
        (["--header", "x"], "--header: "),
        (["--base-url", "ftp://x"], "--base-url: "),
        (["--seed", "-1"], "--seed"),
    ];
    for (flag, sentence) in cases {
        let args = if flag[0] == "--random-input-len" {
            ["single", "--base-url", url, flag[0], flag[1]].to_vec()
        } else {
            single(url, &flag)
        };
        refused(&lab, &args, sentence);
    }
}

#[test]
fn an_unknown_flag_names_the_nearest() {
    let done = refused(&Lab::new(), &["single", "--max-concurency", "4"], "--max-concurency");
    assert!(done.err.contains("--max-concurrency"), "{}", done.err);
}

#[test]
fn an_address_without_a_scheme_says_how_to_write_it() {
    let sentence = "127.0.0.1:8000 has no scheme: write http://127.0.0.1:8000";
    refused(&Lab::new(), &["single", "--base-url", "127.0.0.1:8000"], sentence);
}

#[test]
fn a_path_that_the_server_does_not_have_is_a_404_with_advice() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let done = refused(&lab, &single(&engine.url, &["--endpoint", "/v1/nothing"]), "status 404: Not Found");
    assert!(done.err.contains("try: ") && done.err.contains("--endpoint"), "{}", done.err);
}

#[test]
fn a_model_that_the_server_does_not_have_is_named_beside_those_it_has() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1ms,model=real"));
    let sentence = "The model `nosuch` does not exist";
    let done = refused(&lab, &single(&engine.url, &["--model", "nosuch"]), sentence);
    assert!(done.err.contains("it lists real"), "{}", done.err);
}

#[test]
fn a_tokenizer_that_is_none_is_named() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    lab.file("bad.json", "{bad");
    let bad = single(&engine.url, &["--tokenizer", "bad.json"]);
    refused(&lab, &bad, "bad.json");
    let done = lab.single(&engine.url, &["--tokenizer", "./absent.json", "--num-prompts", "1"]).exits(0);
    assert_eq!(done.err.matches("warning: no tokenizer at \"./absent.json\"").count(), 1, "{}", done.err);
}

#[test]
fn a_data_set_that_nobody_reads_is_told() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let done = lab.single(&engine.url, &["--num-prompts", "1", "--dataset-path", "prompts.jsonl"]).exits(0);
    assert!(done.err.contains("the file of --dataset-path is not read"), "{}", done.err);
}

#[test]
fn what_cannot_be_read_is_told_in_plain_words_by_every_command() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path().join("folder")).unwrap();
    std::fs::write(lab.path().join("bytes"), b"\xff\xfe\0\x80").unwrap();
    let commands: [&[&str]; 6] =
        [&["run"], &["check"], &["params"], &["import"], &["batch", "--config"], &["visualize", "--csv"]];
    for command in commands {
        for (name, told) in [("gone", "no such file"), ("folder", "it is a folder"), ("bytes", "UTF-8")] {
            let done = refused(&lab, &[command, &[name]].concat(), told);
            let named = done.error().contains(name) && !done.err.contains("os error");
            assert!(named, "{command:?} {name}: {}", done.err);
        }
    }
}

#[test]
fn a_server_that_is_not_there_exits_with_97() {
    // A port that was just free, and that nobody listens on.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let lab = Lab::new();
    let done = lab.single(&url, &["--ready-timeout", "300ms"]).exits(97);
    assert!(done.error().contains("was not ready after 0.3 s"), "{}", done.err);
    assert!(done.err.contains("refused"), "{}", done.err);
    assert!(lab.results().is_empty());
}

#[test]
fn results_that_cannot_be_written_are_a_sentence() {
    let lab = Lab::new();
    lab.file("taken", "a file where a folder should be");
    // Nobody listens there: it is told before the server is asked for anything.
    let args = single("http://127.0.0.1:9", &["--num-prompts", "1", "--out", "taken/inside"]);
    let done = refused(&lab, &args, "cannot make the results folder");
    assert!(done.err.contains("--out"), "{}", done.err);
}

#[test]
fn a_key_that_the_batch_plan_does_not_have_names_the_nearest() {
    let lab = Lab::new();
    let plan =
        "model: m\nbase_url: http://127.0.0.1:9\ninput_outptu: [[8, 4]]\nconcurrency_prompts: [[1, 1]]\n";
    lab.file("config.yaml", plan);
    refused(&lab, &["batch"], "unknown key \"input_outptu\"; did you mean \"input_output\"?");
    lab.file("broken.yaml", "model: [\n");
    refused(&lab, &["batch", "--config", "broken.yaml"], "broken.yaml");
    refused(&lab, &["batch", "--config", "absent.yaml"], "cannot read \"absent.yaml\": no such file");
}

#[test]
fn a_bad_value_of_a_batch_plan_is_told_with_its_place() {
    let lab = Lab::new();
    let needed = "model: m\nbase_url: http://127.0.0.1:9\nready_timeout: 1ms\ntokenizer: none\n";
    let grid = "input_output: [[8, 4]]\nconcurrency_prompts: [[1, 1]]\n";
    let numbers = "must be a list of pairs of whole numbers above 0";
    for (more, sentence) in [
        ("request_rate: fast", "plan.yaml:7:15: request_rate: must be a number, got \"fast\""),
        ("request_rate: [1, 2]", "plan.yaml:7:15: request_rate: must be a number, got a list"),
        ("request_rate: 0", "plan.yaml:7:15: request_rate: must be at least 0.000001, got 0"),
        ("repeats: 1.5", "plan.yaml:7:10: repeats: must be a whole number, got \"1.5\""),
        ("repeats: 010", "plan.yaml:7:10: repeats: 010 is octal for some readers of YAML"),
        ("insecure: maybe", "plan.yaml:7:11: insecure: must be true or false, got \"maybe\""),
        ("backend: vlm", "plan.yaml:7:10: backend: must be one of vllm"),
        ("warmup: soon", "plan.yaml:7:9: warmup: must be"),
        ("endpoint: http://x/v1", "plan.yaml:7:11: endpoint: must be a path"),
        ("slo: {ttft: 400}", "plan.yaml:7:6: slo: the limit of `ttft` must be a string with a unit"),
        ("slo: fast", "plan.yaml:7:6: slo: must be a JSON object"),
        ("goodput: ttft=5", "plan.yaml:7:10: --goodput: a goodput limit is written KEY:MS"),
        ("metadata: [tp]", "plan.yaml:7:11: --metadata: \"tp\" is not KEY=VALUE"),
        ("ramp_up_strategy: linear", "plan.yaml:7:19: ramp_up_strategy: needs the rates"),
        ("repeats: 1\nrepeats: 2", "plan.yaml:8:1: the key \"repeats\" stands twice"),
        ("metadata:\n\t- a", "plan.yaml:8:1: a tab where only spaces may indent"),
        ("tokenzier: none", "plan.yaml:7:1: unknown key \"tokenzier\"; did you mean \"tokenizer\"?"),
    ] {
        lab.file("plan.yaml", &format!("{needed}{grid}{more}\n"));
        let done = refused(&lab, &["batch", "--config", "plan.yaml"], sentence);
        assert!(!done.err.contains("-->"), "{}", done.err);
    }
    for (grid, sentence) in [
        (
            "input_output: [[8, 4, 5]]\nconcurrency_prompts: [[1, 1]]\n",
            "plan.yaml:5:15: input_output: must be a list",
        ),
        (
            "input_output: [[8, 4]]\nconcurrency_prompts: [[1, 010]]\n",
            "plan.yaml:6:22: concurrency_prompts: 010 is octal",
        ),
        ("input_output: 5\nconcurrency_prompts: [[1, 1]]\n", numbers),
        ("concurrency_prompts: [[1, 1]]\n", "plan.yaml: the key \"input_output\" is missing"),
    ] {
        lab.file("plan.yaml", &format!("{needed}{grid}"));
        refused(&lab, &["batch", "--config", "plan.yaml"], sentence);
    }
    for (text, sentence) in [
        ("- model: m\n", "plan.yaml: it must be keys with values, such as `model: NAME`, got a list"),
        ("", "plan.yaml: it must be keys with values"),
        ("model: [\n", "plan.yaml:"),
    ] {
        lab.file("plan.yaml", text);
        refused(&lab, &["batch", "--config", "plan.yaml"], sentence);
    }
}

#[test]
fn a_script_with_a_typo_shows_its_line() {
    let lab = Lab::new();
    lab.file("typo.rhai", "let rate = 4;\nlet a = poisson(rate;\n");
    let done = refused(&lab, &["run", "typo.rhai"], "");
    assert!(done.err.contains("--> typo.rhai:2:"), "{}", done.err);
    assert!(done.err.contains("let a = poisson(rate;"), "{}", done.err);
}

#[test]
fn an_unknown_function_names_the_nearest_before_anything_runs() {
    let lab = Lab::new();
    lab.file("far.rhai", "print(\"begun\");\nlet a = poison(4.0);\n");
    let done = refused(&lab, &["run", "far.rhai"], "unknown function `poison`; did you mean `poisson`?");
    assert_eq!(done.out, "");
    refused(&lab, &["check", "far.rhai"], "did you mean `poisson`?");
}

#[test]
fn an_unknown_option_or_parameter_names_the_nearest() {
    let lab = Lab::new();
    lab.file("option.rhai", "let w = prompts(#{ inptu: 512, output: 8 });\n");
    let done = refused(&lab, &["run", "option.rhai"], "unknown option `inptu`; did you mean `input`?");
    assert!(done.err.contains("--> option.rhai:1:20"), "{}", done.err);
    lab.file("params.rhai", "let rate = param(\"rate\", 4.0);\n");
    refused(&lab, &["run", "params.rhai", "-p", "rte=5"], "rate");
    refused(&lab, &["run", "absent.rhai"], "absent.rhai");
}

#[test]
fn a_host_that_a_script_names_by_itself_needs_leave() {
    let lab = Lab::new();
    lab.file("far.rhai", "let t = target(\"http://inference.example:8000\");\n");
    let done = refused(&lab, &["run", "far.rhai"], "inference.example");
    assert!(done.err.contains("--allow inference.example"), "{}", done.err);
}
