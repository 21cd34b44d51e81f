//! What stands in the tables of a results folder beside the requests: cells, parts, tables of scripts.

use crate::lab::{Engine, Lab, runs};
use rampant::store::{reader, statistics};
use std::path::Path;

/// The run and the cell of every run of a folder.
fn cells(folder: &Path) -> Vec<(String, String)> {
    let text =
        |run: &serde_json::Map<String, serde_json::Value>, key: &str| run[key].as_str().unwrap().to_string();
    runs(folder).iter().map(|run| (text(run, "run"), text(run, "cell"))).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(run, cell)| (run.to_string(), cell.to_string())).collect()
}

#[test]
fn repeats_of_a_batch_are_runs_of_one_cell() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1ms,model=m"));
    let plan = format!(
        "model: m\nbase_url: {}\ninput_output: [[8, 4]]\nconcurrency_prompts: [[1, 2], [2, 2]]\nrepeats: 2\n",
        engine.url
    );
    lab.file("config.yaml", &plan);
    lab.run(&["batch", "-q"]).exits(0);
    let folder = lab.result();
    let expected = pairs(&[
        ("io8x4_mc1_np2", "io8x4_mc1_np2"),
        ("io8x4_mc1_np2_r2", "io8x4_mc1_np2"),
        ("io8x4_mc2_np2", "io8x4_mc2_np2"),
        ("io8x4_mc2_np2_r2", "io8x4_mc2_np2"),
    ]);
    assert_eq!(cells(&folder), expected);
    lab.run(&["aggregate", "--repeats", "fold", "--format", "json"]).exits(0);
    let json = crate::lab::files(&folder).into_iter().find(|path| {
        path.extension().is_some_and(|ending| ending == "json")
            && path.to_string_lossy().contains("aggregate")
    });
    let rows: Vec<serde_json::Value> =
        serde_json::from_slice(&std::fs::read(json.unwrap()).unwrap()).unwrap();
    assert_eq!(rows.iter().map(|row| row["repeats"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn a_script_says_what_is_a_repeat_of_what() {
    let lab = Lab::new();
    lab.file(
        "cells.rhai",
        r#"
let t = target("builtin:ttft=2ms,itl=1ms");
let plan = #{ target: t, workload: prompts(#{ input: 8, output: 2 }), arrivals: closed(1), requests: 2 };
sweep([["users", [1, 2]], ["repeat", [1, 2]]], |p| plan + #{ name: `u${p.users} no ${p.repeat}`, arrivals: closed(p.users) });
sweep([["repeat", [1, 2]]], |p| plan);
for round in ["a", "b"] { run(plan + #{ name: `mine ${round}`, cell: "mine" }); }
run(plan + #{ name: "alone_r2" });
"#,
    );
    lab.run(&["run", "cells.rhai", "-q"]).exits(0);
    let expected = pairs(&[
        ("u1 no 1", "u1 no 1"),
        ("u1 no 2", "u1 no 1"),
        ("u2 no 1", "u2 no 1"),
        ("u2 no 2", "u2 no 1"),
        ("run-5", "run-5"),
        ("run-6", "run-5"),
        ("mine a", "mine"),
        ("mine b", "mine"),
        ("alone_r2", "alone_r2"),
    ]);
    assert_eq!(cells(&lab.result()), expected);
}

#[test]
fn each_class_of_a_run_has_its_numbers_as_rows() {
    let lab = Lab::new();
    lab.file(
        "classes.rhai",
        r#"
let t = target("builtin:ttft=5ms,itl=1ms,fail=status:503:0.2");
let of = |class, output| prompts(#{ class: class, input: 16, output: output });
let plan = #{ target: t, arrivals: closed(8), requests: 80, warmup: 10, max_errors: "100%" };
let r = run(plan + #{ name: "mixed", workload: mix([[0.5, of.call("short", 4)], [0.5, of.call("聊 天", 16)]]) });
run(plan + #{ name: "one", workload: of.call("short", 4) });
let parts = r.by("class");
for class in ["short", "聊 天"] {
    let part = parts[class];
    for name in ["ttft.p50", "output_tokens.rate", "errors.share", "requests.count", "itl.mean"] {
        note(`${class} ${name}`, [part[name], part.ci(name)]);
    }
}
"#,
    );
    lab.run(&["run", "classes.rhai", "-q"]).exits(0);
    let folder = lab.result();
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let mut parts = std::collections::BTreeMap::<(String, String), Vec<statistics::Statistic>>::new();
    statistics::read(&folder, |run_id, number| {
        parts.entry((run_id.to_string(), number.part.clone())).or_default().push(number);
    })
    .unwrap();
    let names: Vec<(&str, &str)> =
        parts.keys().map(|(run, part)| (run.rsplit_once('-').unwrap().1, part.as_str())).collect();
    assert_eq!(names, [("0", ""), ("0", "class=short"), ("0", "class=聊 天"), ("1", "")]);
    let rows: Vec<usize> = parts.values().map(Vec::len).collect();
    assert!(rows[1] >= rows[3] - 10 && rows[1] <= rows[0], "{rows:?}");
    for (class, numbers) in
        parts.iter().filter_map(|((_, part), all)| Some((part.strip_prefix("class=")?, all)))
    {
        for name in ["ttft.p50", "output_tokens.rate", "errors.share", "requests.count", "itl.mean"] {
            let (metric, statistic) = name.split_once('.').unwrap();
            let row = numbers.iter().find(|row| row.metric == metric && row.statistic == statistic).unwrap();
            let noted = &manifest["notes"][format!("{class} {name}")];
            // The last bit of a number in JSON may be lost.
            for (mine, noted) in
                [(row.value, &noted[0]), (row.low, &noted[1]["low"]), (row.high, &noted[1]["high"])]
            {
                let noted = noted.as_f64();
                let near = mine.zip(noted).is_some_and(|(a, b)| (a - b).abs() <= 1e-12 * a.abs());
                assert!(near || mine == noted, "{class} {name}: {mine:?} {noted:?}");
            }
        }
    }
}

#[test]
fn a_folder_has_every_table_and_a_saved_one_the_stated_columns() {
    let lab = Lab::new();
    lab.file(
        "table.rhai",
        r#"
let t = target("builtin:ttft=2ms,itl=1ms");
let r = run(#{ target: t, workload: prompts(#{ input: 8, output: 2 }), arrivals: closed(1), requests: 2, name: "a" });
let types = #{ columns: #{ users: "int", note: "text" } };
save_table("knees", [#{ run: r.name, rate: 2, users: 4 }], types);
"#,
    );
    lab.run(&["run", "table.rhai", "-q"]).exits(0);
    let folder = lab.result();
    for table in ["runs", "statistics", "series", "metrics", "requests/part-000-0000"] {
        assert!(folder.join(format!("{table}.parquet")).exists(), "{table}");
    }
    assert_eq!(reader::rows(&folder.join("knees.parquet")).unwrap(), 1);
    lab.file("odd.rhai", r#"save_table("x", [#{ a: 1 }], #{ columns: #{ a: "number" } });"#);
    let done = lab.run(&["run", "odd.rhai"]).exits(2);
    assert!(done.error().contains("`columns` must be a map from columns to \"int\""), "{}", done.error());
}
