//! The example of `docs/series.md` runs as it stands there.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::mem_forget,
    reason = "a test ends where it fails, and says why"
)]

use std::process::Command;

#[test]
fn the_example_of_the_page_on_series_runs() {
    let page = include_str!("../docs/series.md");
    let example =
        page.split("```rhai\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("example.rhai"), example).expect("written");
    let run = Command::new(env!("CARGO_BIN_EXE_rampant"))
        .args(["run", "example.rhai", "--out", "out"])
        .current_dir(folder.path())
        .output()
        .expect("rampant starts");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains(" requests wait in the server"), "{said}");
    assert!(said.contains("first second: "), "{said}");
    let results =
        std::fs::read_dir(folder.path().join("out")).expect("results").next().expect("one").expect("it");
    let results = results.path();
    for file in ["series.parquet", "charts/running.svg", "charts/run-1-server.svg", "charts/run-1-server.png"]
    {
        assert!(results.join(file).exists(), "{file} is missing");
    }
    assert!(!results.join("series").exists(), "the parts were joined");
}
