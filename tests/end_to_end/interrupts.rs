//! Ctrl-C and worse: what was finished is kept.

use crate::lab::{Engine, Lab, manifest, outcomes, readable_rows, records, runs, single, until};
use std::collections::HashSet;

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
            std::fs::read_dir(folder.join("requests")).into_iter().flatten().count() > 0
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
fn a_killed_process_loses_no_more_than_its_last_seconds() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=5ms,itl=1ms"));
    let running = lab.start(&single(&engine.url, &["--num-prompts", "100000", "--max-concurrency", "2"]));
    // A part is closed within 5 s of its first row; the rest is for a machine that is busy with
    // other tests.
    let margin = 8_000_000_000;
    let finished_before = |engine: &Engine, moment: i64| -> HashSet<String> {
        let truth = engine.truth();
        let old = truth.iter().filter(|(_, served)| served["end_ns"].as_i64().unwrap() < moment);
        old.map(|(id, _)| id.clone()).filter(|id| !id.starts_with("preflight-")).collect()
    };
    engine.until(|engine| finished_before(engine, rampant::os::now() - margin).len() > 20);
    let must_be_there = finished_before(&engine, rampant::os::now() - margin);
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
