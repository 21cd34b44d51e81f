//! Disks that fill, turn read-only, do not answer or are taken away while a run goes on: told at once,
//! nothing that is held is lost, and the numbers are printed whatever becomes of the files.
//!
//! `tests/data/disk.c` plays the disk; without a C compiler the tests that need it are skipped, and say so.

use crate::lab::{Done, Engine, Lab, readable_rows, rows, runs, single, until};
use std::path::PathBuf;
use std::process::Command;

/// A lab whose results lie on a disk that can be broken.
struct Disk {
    lab: Lab,
    state: PathBuf,
}

impl Disk {
    /// `None`: there is no C compiler.
    fn new() -> Option<Disk> {
        let lab = Lab::new();
        let (state, library) = (lab.path().join("state"), lab.path().join("disk.so"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/disk.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-w", "-o", library.to_str().unwrap(), source, "-ldl"])
            .status();
        if !cfg!(target_os = "linux") || !built.is_ok_and(|status| status.success()) {
            println!("SKIPPED: there is no C compiler that makes a library to load");
            return None;
        }
        let below = lab.path().canonicalize().unwrap().join("results");
        let lab = lab
            .with_env("LD_PRELOAD", library.to_str().unwrap())
            .with_env("DISK_BELOW", below.to_str().unwrap())
            .with_env("DISK_STATE", state.to_str().unwrap());
        Some(Disk { lab, state })
    }

    /// Breaks it, and waits until that was met.
    fn becomes(&self, state: &str) {
        std::fs::write(&self.state, state).unwrap();
        let seen = self.state.with_extension("seen");
        if !state.is_empty() {
            until(|| seen.exists());
        }
    }

    fn start(&self, url: &str) -> crate::lab::Running {
        let more = ["--num-prompts", "100000", "--max-concurrency", "2", "--lang", "en"];
        let running = self.lab.start(&single(url, &more));
        until(|| self.lab.results().first().is_some_and(|folder| readable_rows(folder).0.len() > 20));
        running
    }
}

fn words(done: &Done) -> String {
    done.err.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the table says of all requests: `57 total`.
fn total(done: &Done) -> usize {
    let at = done.out.find(" total").unwrap_or_else(|| panic!("no table: {}{}", done.out, done.err));
    let number = done.out[..at].rsplit(|c: char| !c.is_ascii_digit() && c != ',').next().unwrap();
    number.replace(',', "").parse().unwrap()
}

#[test]
fn a_disk_that_fills_or_turns_read_only_and_is_well_again_loses_nothing() {
    for (state, told) in [("f", "No space left on device"), ("r", "Read-only file system")] {
        let Some(disk) = Disk::new() else { return };
        let engine = Engine::start("ttft=2ms,itl=1ms");
        let running = disk.start(&engine.url);
        disk.becomes(state);
        let before = engine.truth().len();
        engine.until(|engine| engine.truth().len() > before + 300);
        disk.becomes("");
        until(|| readable_rows(&disk.lab.result()).0.len() > before + 200);
        running.signal(libc::SIGINT);
        let done = running.finish().exits(130);
        let err = words(&done);
        assert!(err.contains(told) && err.contains("finished requests are held in memory"), "{err}");
        assert!(err.contains("results are written again; nothing is lost"), "{err}");
        let kept = rows(&disk.lab.result());
        // One was sent ahead.
        assert_eq!(kept.len(), engine.truth().len() - 1);
        assert_eq!(
            (total(&done), kept.len()),
            (kept.len(), runs(&disk.lab.result())[0]["rows_written"].as_u64().unwrap() as usize)
        );
    }
}

#[test]
fn a_disk_that_stays_full_or_read_only_ends_with_the_numbers_and_with_what_is_safe() {
    for (state, told) in [("f", "No space left on device"), ("r", "Read-only file system")] {
        let Some(disk) = Disk::new() else { return };
        let engine = Engine::start("ttft=2ms,itl=1ms");
        let running = disk.start(&engine.url);
        disk.becomes(state);
        let before = engine.truth().len();
        engine.until(|engine| engine.truth().len() > before + 100);
        running.signal(libc::SIGINT);
        let done = running.finish().exits(1);
        let (error, err) = (done.error().to_string(), words(&done));
        let total = total(&done);
        assert!(total > before, "the numbers of all that finished: {}", done.out);
        assert!(err.contains(told) && error.contains(&format!(" of {total} requests are safe")), "{error}");
        disk.becomes("");
        // What it said is safe, is.
        let safe: usize = error.split("; ").last().unwrap().split(' ').next().unwrap().parse().unwrap();
        lab_recovers(&disk.lab, safe);
    }
}

fn lab_recovers(lab: &Lab, safe: usize) {
    let folder = lab.result();
    lab.run(&["recover", folder.to_str().unwrap()]).exits(0);
    let run = &runs(&folder)[0];
    assert_eq!((rows(&folder).len(), run["rows_written"].as_u64()), (safe, Some(safe as u64)));
    lab.run(&["aggregate"]).exits(0);
}

#[test]
fn a_disk_that_does_not_answer_for_some_seconds_is_told_and_loses_nothing() {
    let Some(disk) = Disk::new() else { return };
    let engine = Engine::start("ttft=2ms,itl=1ms");
    let running = disk.start(&engine.url);
    disk.becomes("s");
    let stalled = std::time::Instant::now();
    engine.until(|_| stalled.elapsed() > std::time::Duration::from_secs(5));
    let before = engine.truth().len();
    engine.until(|engine| engine.truth().len() > before + 20);
    disk.becomes("");
    until(|| readable_rows(&disk.lab.result()).0.len() > before);
    running.signal(libc::SIGINT);
    let done = running.finish().exits(130);
    let err = words(&done);
    assert!(err.contains("the disk of the results does not answer"), "{err}");
    assert!(err.contains("results are written again; nothing is lost"), "{err}");
    assert_eq!(rows(&disk.lab.result()).len(), engine.truth().len() - 1);
}

#[test]
fn a_disk_that_never_answers_again_keeps_nobody_from_the_end_and_from_the_numbers() {
    let Some(disk) = Disk::new() else { return };
    let engine = Engine::start("ttft=2ms,itl=1ms");
    let running = disk.start(&engine.url);
    disk.becomes("s");
    let before = engine.truth().len();
    engine.until(|engine| engine.truth().len() > before + 50);
    running.signal(libc::SIGINT);
    std::thread::sleep(std::time::Duration::from_millis(300));
    running.signal(libc::SIGTERM);
    let done = running.finish().exits(130);
    // The line of the run, before any file is looked at.
    assert!(done.err.contains(" succeeded, 0 failed, "), "{}", done.err);
    disk.becomes("");
    lab_recovers(&disk.lab, readable_rows(&disk.lab.result()).0.len());
}

#[test]
fn a_folder_that_is_deleted_in_the_middle_of_a_run_is_told_and_its_numbers_are_printed() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1ms"));
    let running = lab.start(&single(&engine.url, &["--num-prompts", "100000", "--max-concurrency", "2"]));
    until(|| lab.results().first().is_some_and(|folder| readable_rows(folder).0.len() > 20));
    std::fs::remove_dir_all(lab.result()).unwrap();
    let before = engine.truth().len();
    engine.until(|engine| engine.truth().len() > before + 300);
    running.signal(libc::SIGINT);
    let done = running.finish().exits(1);
    assert!(
        words(&done).contains("the results folder is gone; finished requests are held in memory"),
        "{}",
        done.err
    );
    assert!(done.error().contains("when it was moved or deleted"), "{}", done.err);
    assert_eq!(total(&done), engine.truth().len() - 1);
    assert!(lab.results().is_empty(), "nothing is made in the place of what was deleted");
}
