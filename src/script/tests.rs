//! Whole scripts and what comes of them; error texts stand here as a user reads them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rhai::{FnPtr, NativeCallContext};

use super::testing::{self, error, printed, run_with};
use super::*;
use crate::experiment::findings::RunEnd;

/// Script, and the error with which it ends; places are in `test.rhai`.
const MISTAKES: &[(&str, &str)] = &[
    (
        "let a = geometrc(1, 2, 3);",
        "unknown function `geometrc`; did you mean `geometric`?\n  --> test.rhai:1:9\n  |\n\
         1 | let a = geometrc(1, 2, 3);\n  |         ^",
    ),
    (
        "let alpha = 5;\nprint(alpa);",
        "unknown variable `alpa`; did you mean `alpha`?\n  --> test.rhai:2:7\n  |\n2 | print(alpa);\n  |       ^",
    ),
    (
        "fn f(x) { x.push_all(1) }\nf(1);",
        "unknown method `push_all`\n  --> test.rhai:1:13\n  |\n1 | fn f(x) { x.push_all(1) }\n  |             ^",
    ),
    (
        "let f = || geometric(1, 2);",
        "`geometric` got 2 arguments; it is called as geometric(first, last, factor)\n  --> test.rhai:1:12\n  |\n\
         1 | let f = || geometric(1, 2);\n  |            ^",
    ),
    (
        "let r = rng(1);\nr.int(5);",
        "`int` got 1 argument; it is called as .int(low: int, high: int)\n  --> test.rhai:2:3\n  |\n\
         2 | r.int(5);\n  |   ^",
    ),
    ("fn f(x) { x }\nf(1, 2);", "`f` takes 1 argument, got 2\n  --> test.rhai:2:1\n  |\n2 | f(1, 2);\n  | ^"),
    (
        "fn f(x) { x }\n1.f();",
        "`f` is a function of the script; write f(value, ...) instead of value.f(...)\n  --> test.rhai:2:3\n  |\n\
         2 | 1.f();\n  |   ^",
    ),
    (
        "let f = |x| x;\nf(1);",
        "`f` is a variable; a function in it is called with f.call(...)\n  --> test.rhai:2:1\n  |\n2 | f(1);\n  | ^",
    ),
    (
        "let f = Fn(\"geometrik\");",
        "unknown function `geometrik`; did you mean `geometric`?\n  --> test.rhai:1:12\n  |\n\
         1 | let f = Fn(\"geometrik\");\n  |            ^",
    ),
    (
        "let a = loop { break geometrc(1); };",
        "unknown function `geometrc`; did you mean `geometric`?\n  --> test.rhai:1:22\n  |\n\
         1 | let a = loop { break geometrc(1); };\n  |                      ^",
    ),
    (
        "let a = #{ rate: 1 };\nprint(a.rte);",
        "unknown property `rte`; did you mean `rate`? (`map?.name ?? other` reads one that may be absent)\n  \
         --> test.rhai:2:9\n  |\n2 | print(a.rte);\n  |         ^",
    ),
    (
        "try { fail_not() } catch { }",
        "unknown function `fail_not`\n  --> test.rhai:1:7\n  |\n1 | try { fail_not() } catch { }\n  |       ^",
    ),
    (
        "try { sleep(\"x\") } catch (e) { e.mesage }",
        "`mesage` is not a property of an error; did you mean `message`?\n  --> test.rhai:1:34\n  |\n\
         1 | try { sleep(\"x\") } catch (e) { e.mesage }\n  |                                  ^",
    ),
    (
        "rng(\"a\");",
        "`rng` does not take (string); it is called as rng(seed: int)\n  --> test.rhai:1:1\n  |\n\
         1 | rng(\"a\");\n  | ^",
    ),
    (
        "let a = \"x\" * 2;",
        "`*` does not work between a string and an int\n  --> test.rhai:1:13\n  |\n1 | let a = \"x\" * 2;\n  |             ^",
    ),
    (
        "let a = 1;\nfn f() { a }\nf();",
        "variable `a` is not visible inside a function; hand it over as an argument\n  --> test.rhai:2:10\n  |\n\
         2 | fn f() { a }\n  |          ^",
    ),
    (
        "if true { import \"x\" as y; }",
        "`import` belongs to the top of a script, so that what it loads is known before it runs\n  \
         --> test.rhai:1:11\n  |\n1 | if true { import \"x\" as y; }\n  |           ^",
    ),
    (
        "fn f() { import \"x\" as y; }",
        "`import` belongs to the top of a script, so that what it loads is known before it runs\n  \
         --> test.rhai:1:10\n  |\n1 | fn f() { import \"x\" as y; }\n  |          ^",
    ),
    (
        "let n = \"x\";\nimport n as y;",
        "the name of an import must be text that is written down\n  --> test.rhai:2:1\n  |\n2 | import n as y;\n  | ^",
    ),
    (
        "import \"gone\" as y;",
        "no module \"gone\" (looked beside the script, in --lib folders and in the embedded library)\n  \
         --> test.rhai:1:8\n  |\n1 | import \"gone\" as y;\n  |        ^",
    ),
    (
        "import \"../x\" as y;",
        "import \"../x\": a module's name is a path without \"..\" below the script's folder\n  \
         --> test.rhai:1:8\n  |\n1 | import \"../x\" as y;\n  |        ^",
    ),
    ("let a = 1 +;", "unexpected ';'\n  --> test.rhai:1:12\n  |\n1 | let a = 1 +;\n  |            ^"),
    ("eval(\"1\");", "`eval` is not available in scripts\n  --> test.rhai:1:1\n  |\n1 | eval(\"1\");\n  | ^"),
    (
        "let default = 1;",
        "`default` is a reserved word\n  --> test.rhai:1:5\n  |\n1 | let default = 1;\n  |     ^",
    ),
    (
        "lib::f(1);",
        "unknown module `lib`; import \"...\" as lib comes first\n  --> test.rhai:1:1\n  |\n1 | lib::f(1);\n  | ^",
    ),
    (
        "let x = [1, 2][5];",
        "array index 5 out of bounds: only 2 elements in array\n  --> test.rhai:1:16\n  |\n\
         1 | let x = [1, 2][5];\n  |                ^",
    ),
    ("throw \"boom\";", "the script threw \"boom\"\n  --> test.rhai:1:1\n  |\n1 | throw \"boom\";\n  | ^"),
    (
        "fn inner(x) { geometric(x, 1, 2) }\nfn outer(x) {\n    inner(x)\n}\nouter(0);",
        "geometric: needs 0 < first <= last and a factor above 1, got (0, 1, 2)\n  --> test.rhai:1:15\n  |\n\
         1 | fn inner(x) { geometric(x, 1, 2) }\n  |               ^\n  in `inner`, called from test.rhai:3:5\n  \
         in `outer`, called from test.rhai:5:1",
    ),
    (
        "[0].map(|x| {\n  geometric(x, 1, 2)\n});",
        "geometric: needs 0 < first <= last and a factor above 1, got (0, 1, 2)\n  --> test.rhai:2:3\n  |\n\
         2 |   geometric(x, 1, 2)\n  |   ^\n  in the closure at line 1, called from test.rhai:1:5",
    ),
    (
        "let r = param(\"rate\", 4.0, #{\n    halp: \"x\",\n});",
        "param: unknown option `halp`; did you mean `help`?\n  --> test.rhai:2:5\n  |\n2 |     halp: \"x\",\n  |     ^",
    ),
    (
        "let n = \"x\"; param(n, 1);",
        "param: the name of a parameter must be text that is written down\n  --> test.rhai:1:14\n  |\n\
         1 | let n = \"x\"; param(n, 1);\n  |              ^",
    ),
    (
        "fn f() { f() }\nf();",
        "functions call each other too deeply\n  --> test.rhai:2:1\n  |\n2 | f();\n  | ^",
    ),
    (
        "loop { }",
        "the script took too many steps; an endless loop? (to wait, use sleep)\n  --> test.rhai:1:6\n  |\n\
         1 | loop { }\n  |      ^",
    ),
    ("fail(\"no good\");", "no good"),
];

#[test]
fn mistakes_are_told_with_their_place_and_what_was_meant() {
    for (script, wanted) in MISTAKES {
        assert_eq!(error(script), *wanted, "\n{script}");
    }
}

#[test]
fn a_mistake_that_can_be_seen_stops_the_script_before_it_runs() {
    let host = Host::fake("/", &[]);
    let told = run_with("print(1); fn f() { poison(4) }", &[], Switches::default(), host.clone());
    assert_eq!((told.unwrap_err().kind, host.written().0.as_str()), (ErrorKind::Usage, ""));
}

#[test]
fn errors_of_ours_keep_their_kind_through_the_language() {
    let kind = |script| run_with(script, &[], Switches::default(), Host::fake("/", &[])).unwrap_err().kind;
    assert_eq!(kind("sleep(-1);"), ErrorKind::Usage);
    assert_eq!(kind("fail(1);"), ErrorKind::Failed);
    assert_eq!(kind("check(\"a\", 1 > 2); check(\"b\", true);"), ErrorKind::Check);
    assert_eq!(kind("check(\"a\", false); fail(1);"), ErrorKind::Failed);
    assert_eq!(kind("try { fail(1) } catch { }"), ErrorKind::Failed);
}

#[test]
fn a_caught_error_of_ours_can_be_read_and_thrown_again() {
    let script = "try { sleep(\"soon\") } catch (e) { print(e.kind); print(`${e}`.len() > 20); }";
    assert_eq!(printed(script), "usage\ntrue\n");
    assert!(error("try { sleep(\"soon\") } catch (e) { throw e; }").starts_with("sleep: the time must be"));
}

#[test]
fn once_load_was_sent_a_script_error_is_an_error_while_running() {
    let session = session_with("begin();\nlet x = [1][2];", Path::new("/"), |engine| {
        engine
            .register_fn("begin", |context: NativeCallContext| State::of(&context).experiment.load_begins());
    });
    assert_eq!(session.play().unwrap_err().kind, ErrorKind::Run);
}

#[test]
fn failed_checks_are_listed_at_the_end_and_the_script_goes_on() {
    let host = Host::fake("/", &[]);
    let script = "check(\"fast\", false); check(\"good\", true); check(\"small\", false); info(\"end\");";
    let told = run_with(script, &[], Switches::default(), host.clone()).unwrap_err();
    assert_eq!(told.to_string(), "2 of 3 checks failed: fast; small");
    assert_eq!(host.written(), ("end\n".into(), "FAILED: fast\nok: good\nFAILED: small\n".into()));
}

#[test]
fn a_doubtful_run_counts_only_with_strict_and_after_failed_checks() {
    let play = |strict, script| {
        let switches = Switches { strict, ..Default::default() };
        let mut session =
            Script::prepare(testing::program(script), Args::default(), switches, Host::fake("/", &[]))
                .unwrap();
        session.check().unwrap();
        let end = RunEnd {
            name: "a".into(),
            seconds: Some(1.0),
            verdict: Some("client_bound"),
            reasons: vec!["the client was the limit".into()],
            problems: Vec::new(),
            line: String::new(),
        };
        session.state.experiment.findings().runs.push(end);
        session.play().map_err(|error| error.kind)
    };
    assert_eq!(play(false, ""), Ok(()));
    assert_eq!(play(true, ""), Err(ErrorKind::NotValid));
    assert_eq!(play(true, "check(\"a\", false)"), Err(ErrorKind::Check));
}

#[test]
fn an_interruption_ends_a_loop_that_catches_everything() {
    let host = Host::fake("/", &[]);
    let stopper = host.clone();
    let script = "print(\"on\"); loop { try { loop { let x = 1; } } catch { } }";
    let thread = std::thread::spawn(move || run_with(script, &[], Switches::default(), stopper));
    let deadline = Instant::now() + Duration::from_secs(10);
    while host.written().0.is_empty() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    host.interrupt();
    assert_eq!(thread.join().unwrap().unwrap_err().kind, ErrorKind::Interrupted);
}

#[test]
fn an_interruption_ends_a_sleep_and_a_script_that_ends_by_itself() {
    let host = Host::fake("/", &[]);
    host.interrupt();
    for script in ["sleep(\"1h\");", "try { sleep(\"1h\"); } catch { }", ""] {
        let told = run_with(script, &[], Switches::default(), host.clone()).unwrap_err();
        assert_eq!(told.kind, ErrorKind::Interrupted, "{script}");
    }
}

#[test]
fn quiet_drops_information_but_neither_print_nor_warnings() {
    let host = Host::fake("/", &[]);
    let switches = Switches { quiet: true, ..Default::default() };
    run_with("info(1); print(2); warn(`a ${3}`);", &[], switches, host.clone()).unwrap();
    assert_eq!(host.written(), ("2\n".into(), "warning: a 3\n".into()));
}

#[test]
fn parameters_are_found_everywhere_without_running() {
    let script = r#"
        let a = param("rate", 4.0, #{ help: "per second", min: 0.5 });
        fn f() { param("users", [1, 2]) }
        let g = |x| param("top", inf);
        let b = param("mode", "a", #{ choices: ["a", "b"] });
        let c = param("limit", (), #{ type: "int" });
        let d = param("grid", geometric(1, 4, 2));
        let e = param("rate", 4.0);
    "#;
    let session = testing::session(script);
    let found: Vec<(&str, String, String)> =
        session.params.iter().map(|param| (param.name.as_str(), param.type_name(), param.about())).collect();
    let wanted = [
        ("rate", "float", "per second [at least 0.5; default: 4.0]"),
        ("users", "list of int", "[default: 1,2]"),
        ("top", "float", "[default: inf]"),
        ("mode", "string", "[one of a, b; default: a]"),
        ("limit", "int", ""),
        ("grid", "value", "[default: computed]"),
    ];
    assert_eq!(found, wanted.map(|(name, kind, about)| (name, kind.to_string(), about.to_string())));
}

#[test]
fn a_computed_default_gives_the_type_when_the_script_runs() {
    let run = |value| {
        let host = Host::fake("/", &[]);
        run_with(
            "print(param(\"grid\", geometric(1, 4, 2)));",
            &[("grid", value)],
            Switches::default(),
            host.clone(),
        )
        .map(|()| host.written().0)
    };
    assert_eq!(run("8,16").unwrap(), "[8, 16]\n");
    assert!(run("a").unwrap_err().message.starts_with("-p grid: must be a whole number, got \"a\""));
}

#[test]
fn infinity_is_a_number_that_can_be_compared() {
    let holds = [
        "-inf < 1.0",
        "1.0 < inf",
        "1 < inf",
        "inf > 1",
        "inf == inf",
        "inf != 1.0",
        "inf >= 3",
        "4.0 <= inf",
        "-inf != inf",
        "0.1 + 0.2 == 0.3",
        "!(0.1 + 0.2 > 0.3)",
        "1 == 1.0",
        "1.5 > 1",
        "2 >= 2.0",
        "0.0 == 0",
        "!(1.0 < 1)",
        "1.0 != 1.1",
    ];
    for expression in holds {
        assert_eq!(printed(&format!("print({expression});")), "true\n", "{expression}");
    }
    assert_eq!(printed("fn f() { inf } print(f());"), "inf\n");
}

/// A session in `folder`, whose script may call what `more` registers.
fn session_with(text: &str, folder: &Path, more: impl FnOnce(&mut Engine)) -> Script {
    let source = Program {
        name: "main.rhai".into(),
        text: text.into(),
        path: Some(folder.join("main.rhai")),
        built_in: false,
    };
    Script::prepare_with(source, Args::default(), Switches::default(), Host::fake(folder, &[]), more).unwrap()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Runs `main` beside the module files and returns the error.
fn error_beside(files: &[(&str, &str)], main: &str) -> String {
    let folder = folder(files);
    let mut session = session_with(main, folder.path(), |_| {});
    session.check().and_then(|()| session.play()).unwrap_err().to_string()
}

#[test]
fn an_error_in_a_module_is_shown_in_the_module_with_its_callers() {
    let files = [("lib.rhai", "fn bad(x) {\n    geometric(x, 1, 2)\n}\nfn twice(f) { f.call(0) }\n")];
    assert_eq!(
        error_beside(&files, "import \"lib\" as lib;\n\nlib::bad(0);"),
        "geometric: needs 0 < first <= last and a factor above 1, got (0, 1, 2)\n  --> lib.rhai:2:5\n  |\n\
         2 |     geometric(x, 1, 2)\n  |     ^\n  in `bad`, called from main.rhai:3:6"
    );
    assert_eq!(
        error_beside(&files, "import \"lib\" as lib;\nlib::twice(|x| geometric(x, 1, 2));"),
        "geometric: needs 0 < first <= last and a factor above 1, got (0, 1, 2)\n  --> main.rhai:2:16\n  |\n\
         2 | lib::twice(|x| geometric(x, 1, 2));\n  |                ^\n  in the closure at line 2, called from \
         lib.rhai:4:17\n  in `twice`, called from main.rhai:2:6"
    );
}

#[test]
fn a_mistake_in_a_module_is_found_before_anything_runs() {
    let files = [("lib.rhai", "fn good(x) { x }\nfn bad(x) { poison(x) }\nprivate fn own() { 1 }\n")];
    assert_eq!(
        error_beside(&files, "import \"lib\" as lib;"),
        "unknown function `poison`; did you mean `poisson`?\n  --> lib.rhai:2:13\n  |\n2 | fn bad(x) { poison(x) }\n  |             ^"
    );
    let files = [("lib.rhai", "fn good(x) { x }\nprivate fn own() { 1 }\n")];
    let cases = [
        ("lib::god(1);", "module `lib` has no such function: unknown function `god`; did you mean `good`?"),
        ("lib::good();", "`lib::good` takes 1 argument, got 0"),
        ("lib::own();", "module `lib` has no such function: unknown function `own`"),
    ];
    for (call, wanted) in cases {
        let told = error_beside(&files, &format!("import \"lib\" as lib;\n{call}"));
        assert_eq!(told.lines().next(), Some(wanted));
    }
    let broken = [("lib.rhai", "let a = ;")];
    assert_eq!(
        error_beside(&broken, "import \"lib\" as lib;"),
        "unexpected ';'\n  --> lib.rhai:1:9\n  |\n1 | let a = ;\n  |         ^"
    );
    let circle = [("lib.rhai", "import \"two\" as t;"), ("two.rhai", "import \"lib\" as l;")];
    let told = error_beside(&circle, "import \"lib\" as lib;");
    assert!(told.starts_with("module \"lib\" imports itself: main.rhai -> lib -> two -> lib\n"), "{told}");
}

#[test]
fn a_closure_of_a_module_that_a_native_bound_works_everywhere_and_its_errors_have_a_place() {
    let files = folder(&[(
        "lib.rhai",
        "fn helper(x) { x + 1 }\nfn hook(n) {\n    keep(|x| geometric(helper(x) - n, 100, 10))\n}\n",
    )]);
    let register = |engine: &mut Engine| {
        engine.register_fn("keep", |context: NativeCallContext, hook: FnPtr| {
            function::bind(&context, &hook).into_value()
        });
    };
    let session = session_with("import \"lib\" as lib; print(lib::hook(0).call(0));", files.path(), register);
    let host = session.state.experiment.host.clone();
    session.play().unwrap();
    assert_eq!(host.written().0, "[1, 10, 100]\n");
    let session = session_with("import \"lib\" as lib;\nlib::hook(1).call(0);", files.path(), register);
    assert_eq!(
        session.play().unwrap_err().to_string(),
        "geometric: needs 0 < first <= last and a factor above 1, got (0, 100, 10)\n  --> lib.rhai:3:14\n  |\n\
         3 |     keep(|x| geometric(helper(x) - n, 100, 10))\n  |              ^\n  in the closure at line 3, called \
         from main.rhai:2:14"
    );
}

/// The scripts that the project ships: those of the built-in commands, modules, examples.
fn shipped() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in ["scripts", "stdlib", "examples"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rhai") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

#[test]
fn the_check_has_nothing_to_say_about_correct_scripts() {
    let shipped = shipped();
    assert!(shipped.len() > 20, "{}", shipped.len());
    for (path, text) in shipped {
        let session = session_with(&text, path.parent().unwrap(), |_| {});
        assert!(session.errors.is_empty(), "{}: {}", path.display(), session.errors[0]);
    }
}

#[test]
fn no_variable_of_a_shipped_script_hides_a_function() {
    let session = testing::session("");
    let vocabulary = session.state.vocabulary();
    let mut hidden = Vec::new();
    for (path, text) in shipped().into_iter().filter(|(path, _)| !path.to_string_lossy().contains("examples"))
    {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let text = lines.collect::<Vec<_>>().join("\n");
        let own: Vec<&str> = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next()).collect();
        for name in scan::variables(&text) {
            let is_ours = vocabulary.signatures(&name).iter().any(|one| !one.standard);
            let let_it = text.contains(&format!("let {name} ")) || text.contains(&format!("const {name} "));
            if let_it && (is_ours || own.contains(&name.as_str())) {
                hidden.push(format!("{}: {name}", path.file_name().unwrap().to_string_lossy()));
            }
        }
    }
    assert_eq!(hidden, Vec::<String>::new());
}

#[test]
fn a_function_in_a_map_may_be_called_like_a_method() {
    let files = folder(&[("lib.rhai", "fn tools() { #{ twice: |x| x * 2 } }")]);
    let script = "import \"lib\" as lib; let m = #{}; m.once = |x| x; m.once(1); #{ a: |x| x }.a(1); lib::tools().twice.type_of();";
    let session = session_with(script, files.path(), |_| {});
    assert!(session.errors.is_empty(), "{}", session.errors[0]);
    session.play().unwrap();
}

#[test]
fn slips_in_a_correct_script_are_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let text = std::fs::read_to_string(folder.join("01_first_run.rhai")).unwrap();
    let slips = [
        ("poisson(", "poison(", "unknown function `poison`; did you mean `poisson`?"),
        ("summary()", "sumary()", "unknown method `sumary`; did you mean `summary`?"),
        ("r.require(\"errors", "r.requre(\"errors", "unknown method `requre`; did you mean `require`?"),
        ("summary()", "summary(1)", "`summary` got 1 argument; it is called as .summary()"),
        ("warmup:", "warmp:", "run: unknown option `warmp`; did you mean `warmup`?"),
        ("output:", "outputs:", "prompts: unknown option `outputs`; did you mean `output`?"),
    ];
    for (right, wrong, wanted) in slips {
        let session = session_with(&text.replace(right, wrong), &folder, |_| {});
        assert_eq!(session.errors.len(), 1);
        assert_eq!(session.errors[0].message, wanted);
    }
}
