//! Ctrl-C and worse: what was finished is kept.

use crate::lab::{Engine, Lab, files, manifest, outcomes, readable_rows, records, runs, single, until};
use crate::recorder::Recorder;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn one_interrupt_stops_sending_and_keeps_every_row() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=20ms,itl=5ms"));
    let running = lab.start(&single(&engine.url, &["--num-prompts", "100000", "--max-concurrency", "4"]));
    engine.until(|engine| engine.truth().len() > 20);
    running.signal(libc::SIGINT);
    let done = running.finish().exits(130);
    assert!(done.error().starts_with("interrupted; what was finished is in "), "{}", done.err);
    assert!(done.out.contains("total"), "the table of what there is: {}", done.out);

    let records = records(&lab.result());
    assert!(records.len() >= 20);
    assert_eq!(outcomes(&records), [("success", records.len())].into(), "requests in flight were let end");
    assert_eq!(engine.truth().len(), records.len() + 1, "with the preflight");
    let manifest = manifest(&lab.result());
    assert_eq!(manifest["runs"][0]["stopped_by"], "interrupted");
    assert_eq!(manifest["exit_code"], 130);
}

#[test]
fn a_second_interrupt_does_not_wait_for_what_is_in_flight() {
    // The first generation is the preflight; the 2nd, 4th, 6th and 8th fall silent for ever, and
    // then all four places are taken.
    let (lab, engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1ms,fail=stall:0.5"));
    let running = lab.start(&single(&engine.url, &["--num-prompts", "1000", "--max-concurrency", "4"]));
    engine.until(|engine| engine.truth().len() == 4 && running_now(engine) == 4.0);
    running.signal(libc::SIGINT);
    // Two signals of one kind may be delivered as one.
    running.signal(libc::SIGTERM);
    let done = running.finish().exits(130);
    assert!(done.error().starts_with("interrupted"), "{}", done.err);
    assert_eq!(outcomes(&records(&lab.result())), [("success", 3), ("cancelled", 4)].into());
}

#[test]
fn an_interrupted_batch_does_not_begin_its_next_cell() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=20ms,itl=5ms"));
    let url = &engine.url;
    let plan = format!(
        "model: rampant-sim\nbase_url: {url}\ninput_output: [[8, 4]]\n\
         concurrency_prompts: [[1, 2], [2, 100000], [1, 1]]\n"
    );
    lab.file("config.yaml", &plan);
    let running = lab.start(&["batch"]);
    engine.until(|engine| engine.truth().len() > 10);
    running.signal(libc::SIGINT);
    running.finish().exits(130);
    let runs = runs(&lab.result());
    let names: Vec<_> = runs.iter().map(|run| run["run"].as_str().unwrap()).collect();
    assert_eq!(names, ["io8x4_mc1_np2", "io8x4_mc2_np100000"]);
    // What was measured of the cell has its result and its row, both marked.
    let saved = |name: &str| -> serde_json::Value {
        let path = lab.result().join(format!("bench_{name}.json"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    assert_eq!(saved(names[0]).get("interrupted"), None);
    let cell = saved(names[1]);
    assert_eq!((&cell["interrupted"], &cell["num_prompts"]), (&true.into(), &100_000.into()));
    assert_eq!(cell["completed"], runs[1]["completed"]);
    assert!(cell["completed"].as_u64().unwrap() >= 8, "{cell}");
    lab.run(&["aggregate"]).exits(0);
    let csv = files(&lab.result()).into_iter().find(|path| path.extension().is_some_and(|e| e == "csv"));
    let csv = std::fs::read_to_string(csv.unwrap()).unwrap();
    let lines: Vec<&str> = csv.lines().skip(2).collect();
    assert!(!lines[0].contains("interrupted") && lines[1].contains("interrupted"), "{csv}");
}

#[test]
fn an_interrupted_single_run_writes_the_result_that_was_asked_for() {
    for more in [&["--save-result"][..], &["--append-result", "--save-detailed"]] {
        let (lab, engine) = (Lab::new(), Engine::start("ttft=20ms,itl=5ms"));
        let args =
            [&["--num-prompts", "100000", "--max-concurrency", "4", "--result-filename", "r.json"], more];
        let running = lab.start(&single(&engine.url, &args.concat()));
        engine.until(|engine| engine.truth().len() > 20);
        running.signal(libc::SIGINT);
        let done = running.finish().exits(130);
        let saved = std::fs::read(lab.result().join("r.json"));
        let saved: serde_json::Value = serde_json::from_slice(&saved.expect(&done.err)).unwrap();
        assert_eq!(saved["interrupted"], true);
        assert_eq!(saved["completed"], records(&lab.result()).len());
    }
}

#[test]
fn ctrl_c_in_a_terminal_lets_the_built_in_engine_finish_what_is_in_flight() {
    let lab = Lab::new();
    let script = "let t = target(\"builtin:ttft=20ms,itl=20ms\");\n\
        run(#{ target: t, workload: prompts(#{ input: 8, output: 20 }), arrivals: closed(4), requests: 100000 });\n";
    lab.file("long.rhai", script);
    let running = lab.start_as_leader(&["run", "long.rhai"]);
    until(|| {
        let rows = |folder: &std::path::PathBuf| {
            folder.join("manifest.json").exists() && !readable_rows(folder).0.is_empty()
        };
        lab.results().iter().any(rows)
    });
    running.signal_group(libc::SIGINT);
    running.finish().exits(130);
    let records = records(&lab.result());
    assert_eq!(outcomes(&records), [("success", records.len())].into());
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_script_leaves_no_engine_behind() {
    let lab = Lab::new();
    let script = "let t = target(\"builtin:ttft=2ms,itl=1ms\");\n\
        run(#{ target: t, workload: prompts(#{ input: 8, output: 4 }), arrivals: closed(2), duration: \"1h\" });\n";
    lab.file("long.rhai", script);
    let running = lab.start(&["run", "long.rhai"]);
    let children = format!("/proc/{0}/task", running.id());
    let engines = || -> Vec<String> {
        let tasks = std::fs::read_dir(&children).into_iter().flatten().flatten();
        let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children"));
        tasks
            .filter_map(|task| of(task).ok())
            .flat_map(|ids| ids.split_whitespace().map(String::from).collect::<Vec<_>>())
            .collect()
    };
    until(|| engines().len() == 1);
    let engine = engines().remove(0);
    running.signal(libc::SIGKILL);
    assert_eq!(running.finish().code, None);
    // Its zombie, if nobody has waited for it yet, has no command line.
    until(|| std::fs::read(format!("/proc/{engine}/cmdline")).unwrap_or_default().is_empty());
}

fn running_now(engine: &Engine) -> f64 {
    let metrics = engine.get("/metrics");
    let line = metrics.lines().find(|line| line.starts_with("vllm:num_requests_running"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("the gauge of running requests")
}

#[test]
fn a_killed_process_loses_no_more_than_its_last_second_and_its_folder_is_completed() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=5ms,itl=1ms"));
    let running = lab.start(&single(&engine.url, &["--num-prompts", "100000", "--max-concurrency", "2"]));
    // A row is in the journal half a second after it came; the rest is for a machine that is busy with
    // other tests.
    let margin = 3_000_000_000;
    let finished_before = |engine: &Engine, moment: i64| -> HashSet<String> {
        let truth = engine.truth();
        let old = truth.iter().filter(|(_, served)| served["end_ns"].as_i64().unwrap() < moment);
        old.map(|(id, _)| id.clone()).filter(|id| !id.starts_with("preflight-")).collect()
    };
    engine.until(|engine| finished_before(engine, rampant::os::now() - margin).len() > 20);
    let must_be_there = finished_before(&engine, rampant::os::now() - margin);
    // While it lives nothing is completed.
    let live = lab.run(&["recover", lab.result().to_str().unwrap()]).exits(0);
    assert!(live.out.starts_with("a run is still going on in "), "{}", live.out);
    assert!(runs(&lab.result()).is_empty());
    running.signal(libc::SIGKILL);
    assert_eq!(running.finish().code, None);

    let (rows, _) = readable_rows(&lab.result());
    let kept: HashSet<String> = rows.iter().map(|(_, record)| record.id.clone()).collect();
    let lost: Vec<_> = must_be_there.difference(&kept).collect();
    assert!(lost.is_empty(), "{} of {} are lost", lost.len(), must_be_there.len());
    assert!(rows.iter().all(|(_, record)| record.success()));
    assert_eq!(manifest(&lab.result())["script"]["name"], "single");
    let listed = lab.run(&["aggregate", "--list"]).exits(0).out;
    assert!(listed.contains(&rows.len().to_string()), "{listed}");

    let done = lab.run(&["aggregate"]).exits(0);
    let told = "requests that had finished, marked recovered";
    assert!(
        done.err.contains("which was left by a killed process") && done.err.contains(told),
        "{}",
        done.err
    );
    let (again, warnings) = readable_rows(&lab.result());
    assert_eq!((again.len(), warnings), (rows.len(), vec![]));
    let row = &runs(&lab.result())[0];
    assert_eq!((&row["recovered"], &row["stopped_by"]), (&true.into(), &"killed".into()));
    assert_eq!(row["rows_written"], rows.len());
    assert_eq!(manifest(&lab.result())["runs"][0]["recovered"], true);
    let csv =
        files(&lab.result()).into_iter().find(|path| path.extension().is_some_and(|e| e == "csv")).unwrap();
    assert!(std::fs::read_to_string(csv).unwrap().contains("recovered"));
    let nothing = lab.run(&["recover", lab.result().to_str().unwrap()]).exits(0);
    assert!(nothing.out.starts_with("nothing is missing in "), "{}", nothing.out);
}

#[test]
fn a_killed_batch_is_aggregated_with_a_word_on_the_cells_that_are_missing() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=5ms,itl=1ms"));
    let url = &engine.url;
    let plan = format!(
        "model: rampant-sim\nbase_url: {url}\ninput_output: [[8, 4]]\n\
         concurrency_prompts: [[1, 2], [2, 100000], [1, 1]]\n"
    );
    lab.file("config.yaml", &plan);
    let running = lab.start(&["batch"]);
    engine.until(|_| lab.results().first().is_some_and(|folder| readable_rows(folder).0.len() > 20));
    running.signal(libc::SIGKILL);
    running.finish();
    let done = lab.run(&["aggregate"]).exits(0);
    assert!(done.err.contains("2 of 3 runs are there"), "{}", done.err);
    let kept = std::fs::read_to_string(lab.result().join("script/config.yaml")).unwrap();
    assert_eq!(kept, plan, "what defined the load is beside it");
    let read_only = lab.run(&["recover", "no/such/folder"]).exits(2);
    assert!(read_only.error().contains("no/such/folder: it does not exist"), "{}", read_only.err);
}

#[test]
fn an_interrupt_ends_a_script_that_does_not_run_load() {
    let lab = Lab::new();
    lab.file(
        "wait.rhai",
        "save(\"begun.txt\", \"now\");\ntry { sleep(\"1h\"); } catch { }\nprint(\"after\");\n",
    );
    let running = lab.start(&["run", "wait.rhai"]);
    until(|| lab.results().iter().any(|folder| folder.join("begun.txt").exists()));
    running.signal(libc::SIGINT);
    let done = running.finish().exits(130);
    assert!(!done.out.contains("after"), "{}", done.out);
}

/// Accepts every connection and never says anything; the test's end closes them.
fn mute() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept() {
            held.push(socket);
        }
    });
    url
}

/// Much longer than an end may take, and much shorter than what would have been waited for.
const SOON: std::time::Duration = std::time::Duration::from_secs(20);

#[track_caller]
fn ends_soon(running: crate::lab::Running) -> crate::lab::Done {
    let begun = std::time::Instant::now();
    let done = running.finish().exits(130);
    assert!(begun.elapsed() < SOON, "{:?}: {}", begun.elapsed(), done.err);
    assert!(done.error().starts_with("interrupted"), "{}", done.err);
    done
}

#[test]
fn a_second_interrupt_ends_thousands_in_flight_and_each_has_a_row_or_is_told() {
    let asked = Arc::<AtomicUsize>::default();
    let theirs = asked.clone();
    let mute = Recorder::answering(move |_| {
        theirs.fetch_add(1, Ordering::Relaxed);
        loop {
            std::thread::park();
        }
    });
    let (lab, url) = (Lab::new(), &mute.url);
    let script = format!(
        "let t = target(\"{url}\", #{{ model: \"m\", preflight: false, ready_timeout: 0 }});\n\
         run(#{{ target: t, workload: prompts(#{{ input: 4, output: 4 }}), arrivals: at_once(), max_in_flight: 500, requests: 100000 }});\n"
    );
    lab.file("mute.rhai", &script);
    let running = lab.start(&["run", "mute.rhai"]);
    until(|| asked.load(Ordering::Relaxed) == 500);
    running.signal(libc::SIGINT);
    std::thread::sleep(std::time::Duration::from_millis(300));
    running.signal(libc::SIGTERM);
    let done = ends_soon(running);
    if done.error().contains("for which there was no time") {
        return; // A machine that is so busy was told what is lost.
    }
    let run = &runs(&lab.result())[0];
    let rows = records(&lab.result());
    let (never_sent, unrecorded) = (run["never_sent"].as_u64().unwrap(), run["unrecorded"].as_u64().unwrap());
    assert_eq!(rows.len() as u64 + unrecorded, 501, "one row for all that were never sent");
    assert!(never_sent > 90_000, "{never_sent}");
    assert!(rows.iter().all(|record| record.outcome.name() == "cancelled"));
    assert_eq!(unrecorded > 0, done.error().contains("were given up without a row"), "{}", done.err);
}

#[test]
fn one_interrupt_ends_every_wait_in_which_no_load_runs() {
    let nobody = "http://127.0.0.1:9";
    let mute = mute();
    let busy = "let n = 0;\nsave(\"begun.txt\", \"now\");\nloop { n += 1; }\n";
    let deep = "fn f(n) { if n < 2 { n } else { f(n - 1) + f(n - 2) } }\nsave(\"begun.txt\", \"now\");\nprint(f(60));\n";
    let sorts = "let l = []; for i in 0..200000 { l.push((i * 7919) % 200000); }\nsave(\"begun.txt\", \"now\");\nloop { l.sort(|a, b| a - b); l.reverse(); }\n";
    for (what, script, args) in [
        ("a script that never ends", busy, vec!["run", "x.rhai"]),
        ("a recursion", deep, vec!["run", "x.rhai"]),
        ("a native that calls back", sorts, vec!["run", "x.rhai"]),
        ("a mute server that is asked whether it is ready", "", single(&mute, &["--ready-timeout", "1h"])),
        (
            "a mute server that is asked for a reply",
            "",
            single(&mute, &["--model", "m", "--ready-timeout", "1h"]),
        ),
        ("nobody there", "", single(nobody, &["--model", "m", "--ready-timeout", "1h"])),
    ] {
        let lab = Lab::new();
        lab.file("x.rhai", script);
        let running = lab.start(&args);
        match script {
            "" => std::thread::sleep(std::time::Duration::from_millis(300)),
            _ => until(|| lab.results().iter().any(|folder| folder.join("begun.txt").exists())),
        }
        running.signal(libc::SIGINT);
        println!("{what}");
        ends_soon(running);
    }
}

#[test]
fn an_interrupted_calibration_ends() {
    let lab = Lab::new();
    let running = lab.start(&["calibrate", "--streams", "64", "--rounds", "1000"]);
    until(|| !lab.results().is_empty());
    std::thread::sleep(std::time::Duration::from_millis(300));
    running.signal(libc::SIGINT);
    running.signal(libc::SIGTERM);
    ends_soon(running);
}

#[test]
fn after_one_interrupt_the_drain_is_as_long_as_it_was_said() {
    // Tokens drip for an hour.
    let (lab, engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1s"));
    let more =
        ["--num-prompts", "1000", "--max-concurrency", "4", "--random-output-len", "3600", "--drain", "1s"];
    let mut args = single(&engine.url, &more);
    args.extend(["--ready-timeout", "0", "--model", "rampant-sim"]);
    let running = lab.start(&args);
    engine.until(|engine| running_now(engine) == 4.0);
    running.signal(libc::SIGINT);
    ends_soon(running);
    assert_eq!(outcomes(&records(&lab.result())), [("cancelled", 4)].into());
}
