//! Folders of killed processes, whoever reads them.

use crate::lab::{Engine, Lab, files, manifest, readable_rows, rows, runs, single, until};
use crate::recorder::Recorder;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A `single` that was killed once some of its requests had finished.
fn killed(more: &[&str]) -> (Lab, PathBuf) {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=5ms,itl=1ms"));
    let args = [&["--num-prompts", "100000", "--max-concurrency", "2"], more].concat();
    let running = lab.start(&single(&engine.url, &args));
    until(|| lab.results().first().is_some_and(|folder| readable_rows(folder).0.len() > 40));
    running.signal(libc::SIGKILL);
    running.finish();
    let folder = lab.result();
    (lab, folder)
}

/// Numbers of `statistics.parquet`: `goodput_count`.
fn number(run: &serde_json::Map<String, Value>, name: &str) -> f64 {
    run[name].as_f64().unwrap_or_else(|| panic!("{name}: {run:?}"))
}

#[test]
fn a_recovered_run_has_its_goodput_its_window_and_its_series() {
    let (lab, folder) = killed(&["--warmup", "10", "--goodput", "e2el:60000", "ttft:0"]);
    let requests = rows(&folder).len();
    let told = lab.run(&["recover", folder.to_str().unwrap()]).exits(0);
    assert!(told.out.contains("marked recovered"), "{}", told.out);
    let run = &runs(&folder)[0];
    assert_eq!((&run["recovered"], &run["stopped_by"]), (&true.into(), &"killed".into()));
    // No request is answered within 0 ms.
    assert_eq!((number(run, "goodput_count"), number(run, "request_goodput")), (0.0, 0.0));
    // The window opens when the warm-up is over, not with the first request that had ended.
    let measured: Vec<i64> = rows(&folder)
        .iter()
        .filter(|(_, record)| record.phase == rampant::record::Phase::Measured)
        .map(|(_, record)| record.timeline.planned)
        .collect();
    let start = run["window_start_ns"].as_i64().unwrap();
    assert!(start > 0 && start <= *measured.iter().min().unwrap(), "{start}");
    assert_eq!(number(run, "requests_count") as usize, requests - 10);
    let kept = manifest(&folder)["runs"][0].clone();
    assert_eq!((&kept["plan"]["warmup"], &kept["recovered"]), (&"requests(10)".into(), &true.into()));
    let limit = |metric: &str, ms: f64| serde_json::json!({ "metric": metric, "ms": ms });
    assert_eq!(kept["slo"], Value::Array(vec![limit("e2el", 60_000.0), limit("ttft", 0.0)]));
    // What server and client looked like, until about the end.
    let (mut server, mut client, mut last) = (0, 0, 0);
    rampant::store::series::read(&folder, run["run"].as_str().unwrap(), |point| match point.source {
        rampant::record::Source::Server => (server, last) = (server + 1, last.max(point.at)),
        rampant::record::Source::Client => client += 1,
    })
    .unwrap();
    let ended = rows(&folder).iter().map(|(_, record)| record.timeline.end).max().unwrap();
    assert!(client > 0, "of the client");
    assert!(
        server > 0 && ended - last < 5_000_000_000,
        "the server's last is {} ms older",
        (ended - last) / 1_000_000
    );
    assert!(!folder.join("series").exists() && !folder.join(".journal").exists());
}

#[test]
fn goodput_counts_what_was_good() {
    let (lab, folder) = killed(&["--goodput", "e2el:60000"]);
    lab.run(&["aggregate"]).exits(0);
    let run = &runs(&folder)[0];
    assert_eq!(number(run, "goodput_count"), number(run, "completed"));
    assert_eq!(number(run, "request_goodput"), number(run, "request_throughput"));
}

#[test]
fn a_killed_folder_is_drawn_and_loaded_by_scripts() {
    let (lab, folder) = killed(&[]);
    let script = "let chosen = folders(#{ names: [], all: true });\n\
        let rows = aggregate(chosen, #{});\n\
        print(`${rows.len()} ${rows[0].completed > 0} ${rows[0].marks}`);\n";
    lab.file("read.rhai", script);
    // A folder that nobody has completed yet.
    let copy = lab.path().join("results").join("copy");
    copy_folder(&folder, &copy);
    let done = lab.run(&["run", "read.rhai", "--allow-read", "results"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.out.starts_with("2 true") && done.out.contains("recovered"), "{}", done.out);
    let drawn = lab.run(&["visualize", "--dir", copy.to_str().unwrap(), "--output", "drawn"]).exits(0);
    assert!(files(&lab.path().join("drawn")).len() > 2, "{}", drawn.err);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy_folder(&path, &target),
            false => assert!(std::fs::copy(&path, &target).is_ok()),
        }
    }
}

#[test]
fn a_process_that_was_killed_before_anything_finished_leaves_a_folder_that_says_so() {
    let lab = Lab::new();
    // It answers the first request, which goes ahead, and none after it.
    let server = Recorder::answering(|seen| match seen.is_preflight() {
        true => crate::recorder::reply(),
        false => loop {
            std::thread::park();
        },
    });
    let running =
        lab.start(&single(&server.url, &["--num-prompts", "9", "--model", "m", "--goodput", "ttft:9"]));
    let noted = |folder: &PathBuf| folder.join(".journal/run-000.json").exists();
    until(|| lab.results().iter().any(noted));
    running.signal(libc::SIGKILL);
    running.finish();
    let done = lab.run(&["aggregate"]).exits(0);
    assert!(done.err.contains("nothing had finished of io16x8_mc10_np9"), "{}", done.err);
    let again = lab.run(&["recover", lab.result().to_str().unwrap()]).exits(0);
    assert!(again.out.starts_with("nothing is missing in "), "{}", again.out);
    let run = &runs(&lab.result())[0];
    assert_eq!((&run["recovered"], &run["rows_written"]), (&true.into(), &0.into()));
    assert_eq!(run["completed"], 0);
    assert!(lab.run(&["aggregate", "--list"]).exits(0).out.contains("m_2"));
}

#[test]
fn a_process_that_was_killed_before_its_first_run_is_told() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    lab.single(&engine.url, &["--num-prompts", "3"]).exits(0);
    let folder = lab.result();
    for entry in std::fs::read_dir(&folder).unwrap().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => std::fs::remove_dir_all(path).unwrap(),
            false if path.ends_with("manifest.json") => {}
            false => std::fs::remove_file(path).unwrap(),
        }
    }
    let mut manifest: Value = manifest(&folder);
    for key in ["ended_ms", "exit_code", "runs"] {
        manifest.as_object_mut().unwrap().remove(key);
    }
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    for more in [&[][..], &["--dir", folder.to_str().unwrap()]] {
        let done = lab.run(&[&["aggregate"], more].concat()).exits(1);
        assert!(done.error().starts_with("nothing had finished in "), "{}", done.err);
    }
}

#[test]
fn a_killed_folder_of_the_first_version_is_read_by_its_rows_and_left_as_it_is() {
    let lab = Lab::new();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/results/version-1");
    let folder = lab.path().join("results").join("old");
    copy_folder(&old, &folder);
    lab.run(&["aggregate", "--dir", "old"]).exits(0);
    let whole = runs(&folder);
    std::fs::remove_file(folder.join("runs.parquet")).unwrap();
    let names = |folder: &Path| files(folder);
    let before = names(&folder);
    let done = lab.run(&["recover", folder.to_str().unwrap()]).exits(0);
    let told = "a rampant of schema version 1 made it, so nothing is written: `aggregate`, `compare`";
    assert!(done.out.contains(told) && done.out.contains(" finished requests of "), "{}", done.out);
    let again = runs(&folder);
    assert_eq!(again.len(), 1, "there are rows of one run");
    assert!(
        whole.iter().any(|run| run["run"] == again[0]["run"] && run["completed"] == again[0]["completed"])
    );
    let kept: Vec<_> = names(&folder).into_iter().filter(|path| !path.ends_with(".lock")).collect();
    assert_eq!(kept, before);
    lab.run(&["aggregate", "--dir", "old"]).exits(0);
}

#[test]
fn what_is_no_results_folder_is_one_sentence() {
    let lab = Lab::new();
    lab.file("file", "no folder");
    std::fs::create_dir(lab.path().join("empty")).unwrap();
    for (name, told) in [
        ("gone", "it does not exist"),
        ("file", "it is no folder"),
        ("empty", "empty is no results folder: it has no manifest.json"),
    ] {
        let done = lab.run(&["recover", name]).exits(2);
        assert!(done.error().contains(told), "{name}: {}", done.err);
    }
}

#[test]
fn killed_runs_are_compared_by_their_objectives_completed_or_not() {
    let (lab, folder) = killed(&["--goodput", "e2el:60000"]);
    let other = lab.path().join("results").join("other");
    copy_folder(&folder, &other);
    lab.run(&["recover", other.to_str().unwrap()]).exits(0);
    set_rights(&folder, false);
    let done = lab.run(&["compare", folder.to_str().unwrap(), other.to_str().unwrap(), "--save", "c.svg"]);
    set_rights(&folder, true);
    assert!(done.out.contains("goodput.share"), "{} {}", done.out, done.err);
}

/// Takes the right to write from a folder and all that is in it.
fn set_rights(folder: &Path, write: bool) {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let change = |path: &Path| {
        let mode = if write { mode(path) | 0o200 } else { mode(path) & !0o222 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    if write {
        change(folder);
    }
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() { set_rights(&entry.path(), write) } else { change(&entry.path()) }
    }
    if !write {
        change(folder);
    }
}

#[test]
fn a_killed_folder_that_cannot_be_written_to_is_completed_in_memory() {
    let (lab, folder) = killed(&["--goodput", "e2el:60000"]);
    let requests = rows(&folder).len() as u64;
    set_rights(&folder, false);
    let before = files(&folder);
    // Root writes whatever the rights say.
    // SAFETY: it only asks.
    let is_root = unsafe { libc::geteuid() } == 0;
    let binary = env!("CARGO_BIN_EXE_rampant");
    let mut command = std::process::Command::new(if is_root { "setpriv" } else { binary });
    if is_root {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", binary]);
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(lab.path(), open).unwrap();
    }
    let told = command.args(["recover", folder.to_str().unwrap()]).current_dir("/").output();
    let Ok(done) = told.map_err(|error| println!("SKIPPED: without setpriv root cannot try it: {error}"))
    else {
        return;
    };
    let err = String::from_utf8_lossy(&done.stderr).into_owned();
    if is_root && err.contains("setpriv") {
        println!("SKIPPED: setpriv cannot take rights away here: {err}");
        set_rights(&folder, true);
        return;
    }
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(0), "{err}");
    assert!(out.contains(&format!("with {requests} finished requests of ")), "{out}");
    assert!(out.contains("it cannot be written to, so nothing is written"), "{out}");
    // The same by another way in: an aggregate that writes elsewhere.
    let script = lab.file(
        "read.rhai",
        "let rows = aggregate(folders(#{ names: [], all: true }), #{});\n\
         print(`${rows.len()} ${rows[0].completed} ${rows[0].marks} ${rows[0].request_goodput > 0.0}`);\n",
    );
    let mut command = std::process::Command::new(if is_root { "setpriv" } else { binary });
    if is_root {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", binary]);
    }
    let results = lab.path().join("results");
    let read = command
        .args(["run", script.to_str().unwrap(), "--out", results.to_str().unwrap()])
        .args(["--allow-read", results.to_str().unwrap()])
        .current_dir(lab.path())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
    assert!(
        out.contains(&format!("1 {requests} ")) && out.contains("recovered") && out.contains("true"),
        "{out} {err}"
    );
    assert_eq!(files(&folder), before, "nothing was written");
    set_rights(&folder, true);
}
