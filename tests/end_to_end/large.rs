//! Large results: many cells, long tables.

use std::path::{Path, PathBuf};

use rampant::store::{Folder, runs, statistics};
use serde_json::Value;

use crate::lab::{Engine, Lab, files};

/// A results folder with `cells` runs of one batch: one that was measured, and its likes.
fn batch(lab: &Lab, cells: usize) -> PathBuf {
    let engine = Engine::start("ttft=5ms,itl=1ms");
    lab.single(&engine.url, &["--num-prompts", "4", "--max-concurrency", "2"]).exits(0);
    let folder = lab.result();
    let opened = Folder::open(&folder).expect("a folder of ours");
    let measured = runs::rows(&folder).expect("a run").remove(0);
    let mut numbers = Vec::new();
    statistics::read(&folder, |_, number| numbers.push(number)).expect("its numbers");
    let rows: Vec<_> = (0..cells)
        .map(|cell| {
            let (length, users) = (16_usize << (cell % 10), 1 + cell / 10);
            let name = format!("io{length}x8_mc{users}_np{}", 4 * users);
            let of = opened.identity(cell as u32, &name, &name).expect("a manifest");
            let mut row = measured.clone();
            of.put(&mut row);
            row["run_index"] = cell.into();
            row["max_concurrency"] = users.into();
            row["tags"] = serde_json::json!({ "input_len": length, "output_len": 8 });
            if cell > 0 {
                statistics::append(&folder, &of, 0, &numbers).expect("writable");
            }
            row
        })
        .collect();
    // In place of the one run.
    std::fs::remove_file(folder.join("runs.parquet")).expect("it is there");
    runs::append_all(&folder, &rows).expect("writable");
    let named = |manifest: &mut serde_json::Map<String, Value>| {
        let one = manifest["runs"][0].clone();
        let runs = rows.iter().map(|row| {
            let mut run = one.clone();
            run["name"] = row["run"].clone();
            run
        });
        manifest["runs"] = runs.collect();
    };
    opened.manifest(named).expect("a manifest");
    folder
}

fn ending(folder: &Path, end: &str) -> Vec<PathBuf> {
    files(folder).into_iter().filter(|path| path.to_string_lossy().ends_with(end)).collect()
}

#[test]
fn a_batch_of_a_thousand_cells_is_aggregated_and_drawn() {
    let lab = Lab::new();
    let folder = batch(&lab, 1_000);
    lab.run(&["aggregate"]).exits(0);
    let csv = ending(&folder, ".csv");
    assert_eq!(csv.len(), 1, "{csv:?}");
    let text = std::fs::read_to_string(&csv[0]).expect("the CSV");
    assert_eq!(text.lines().count(), 2 + 1_000);
    let done = lab.run(&["visualize", "--mode", "both"]).exits(0);
    for kind in ["throughput_comparison", "latency_comparison", "performance_heatmap"] {
        let pictures = ending(&lab.path().join("charts"), ".png");
        let of_kind = pictures.iter().filter(|path| path.to_string_lossy().contains(kind));
        // Curves over the concurrency, or bars on pages.
        assert!((1..=10).contains(&of_kind.count()), "{kind}: {}", done.err);
    }
}

#[test]
fn results_beside_the_working_folder_are_aggregated() {
    let lab = Lab::new();
    let folder = batch(&lab, 1);
    let below = lab.path().join("below");
    std::fs::create_dir(&below).expect("a folder");
    let binary = env!("CARGO_BIN_EXE_rampant");
    let done = std::process::Command::new(binary)
        .args(["aggregate", "--out", "../results"])
        .current_dir(&below)
        .output()
        .expect("it starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(ending(&folder, ".csv").len(), 1);
}

#[test]
fn a_script_works_on_long_tables() {
    let lab = Lab::new();
    let lines = |count: usize| (0..count).map(|n| format!("{n},2,x\n")).collect::<String>();
    lab.file("table.csv", &format!("a,b,c\n{}", lines(3_334)));
    lab.file(
        "long.rhai",
        "let table = read(\"table.csv\");\n\
         print(table.filter(|row| row.a >= 334).len());\n\
         let rows = [];\n\
         for i in 0..100000 { rows.push(#{ i: i, half: i * 0.5 }); }\n\
         print(rows.len());\n\
         let maps = [];\n\
         for i in 0..400 { let row = #{}; for k in 0..60 { row[`key${k}`] = k; } maps.push(row); }\n\
         print(maps[399].len());\n\
         rows.truncate(1000);\n\
         save_table(\"rows\", rows);\n",
    );
    let done = lab.run(&["run", "long.rhai"]).exits(0);
    assert!(done.out.starts_with("3000\n100000\n60\n"), "{}", done.out);
}
