//! `rampant batch --resume`: a batch that was cut off goes on in its folder.

use crate::lab::{Engine, Lab, files, manifest, readable_rows, rows, runs};
use serde_json::Value;
use std::path::Path;

const CELLS: [&str; 4] = ["io8x4_mc2_np500", "io8x4_mc1_np3", "io16x8_mc2_np500", "io16x8_mc1_np3"];

/// Rows of each, the warm-up with them.
const ROWS: [usize; 4] = [501, 4, 501, 4];

fn plan(url: &str, more: &str) -> String {
    format!(
        "model: rampant-sim\nbase_url: {url}\ninput_output: [[8, 4], [16, 8]]\n\
         concurrency_prompts: [[2, 500], [1, 3]]\nwarmup: 1\ngoodput: [\"e2el:60000\"]\n{more}"
    )
}

/// Runs of a folder by their names, and how many rows of requests each has.
fn there(folder: &Path) -> Vec<(String, usize)> {
    let rows = rows(folder);
    let of = |run: &str| rows.iter().filter(|(name, _)| name == run).count();
    let names = runs(folder).into_iter().map(|run| run["run"].as_str().unwrap().to_string());
    names.map(|name| (name.clone(), of(&name))).collect()
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn csv(folder: &Path) -> Vec<Vec<String>> {
    let path = files(folder).into_iter().find(|path| path.extension().is_some_and(|e| e == "csv")).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().skip(2).map(|line| line.split(',').map(String::from).collect()).collect()
}

#[test]
fn a_batch_that_was_killed_goes_on_in_its_folder_and_comes_to_what_it_would_have_come_to() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=5ms,itl=2ms"));
    lab.file("config.yaml", &plan(&engine.url, ""));
    let running = lab.start(&["batch"]);
    engine.until(|_| {
        lab.results().first().is_some_and(|folder| {
            readable_rows(folder).0.iter().filter(|(run, _)| run == CELLS[2]).count() >= 20
        })
    });
    running.signal(libc::SIGKILL);
    assert_eq!(running.finish().code, None);
    let folder = lab.result();
    let before = rows(&folder).len();
    assert!(before < 505 + 500, "it was killed in the middle of its third cell");

    let done = lab.run(&["batch", "--resume"]).exits(0);
    let told = words(&done.err);
    let skipped = format!("skipped 2 of 4 runs, which are there and whole: {}, {}", CELLS[0], CELLS[1]);
    assert!(told.contains(&skipped), "{told}");
    let again = format!("{} is measured again (its process was killed); its {} rows", CELLS[2], before - 505);
    assert!(told.contains(&again) && told.contains("kept in .superseded/run-002"), "{told}");
    // All four are in the table, the one that was skipped, too.
    CELLS.iter().for_each(|cell| assert!(done.out.contains(cell), "{}", done.out));
    assert_eq!(there(&folder), CELLS.map(String::from).into_iter().zip(ROWS).collect::<Vec<_>>());
    // What was cut off is there for whoever looks for it.
    let aside = folder.join(".superseded/run-002");
    let kept = lab.path().join("kept");
    std::fs::create_dir_all(kept.join("requests")).unwrap();
    for part in files(&aside.join("requests")) {
        assert!(part.extension().is_some_and(|end| end == "aside"), "no glob counts it: {part:?}");
        std::fs::copy(&part, kept.join("requests").join(part.file_stem().unwrap())).unwrap();
    }
    assert_eq!(rows(&kept).len(), before - 505);

    let told = manifest(&folder);
    assert_eq!(told["invocations"].as_array().unwrap().len(), 2);
    assert_eq!(told["invocations"][0].get("exit_code"), None, "killed");
    let second = &told["invocations"][1];
    assert_eq!(second["argv"].as_array().unwrap().last().unwrap(), "--resume");
    assert_eq!(
        (&second["skipped"], &second["measured_again"]),
        (&vec![CELLS[0], CELLS[1]].into(), &vec![CELLS[2]].into())
    );
    assert_eq!((&second["exit_code"], &told["exit_code"]), (&0.into(), &0.into()));
    let names: Vec<&Value> = told["runs"].as_array().unwrap().iter().map(|run| &run["name"]).collect();
    assert_eq!(names, CELLS);
    assert_eq!(
        (&told["superseded"][0]["name"], &told["superseded"][0]["index"]),
        (&CELLS[2].into(), &2.into())
    );

    // The same seed and lengths, other words for what the server has seen.
    let whole = Lab::new();
    whole.file("config.yaml", &plan(&engine.url, ""));
    whole.run(&["batch"]).exits(0);
    let (resumed, uninterrupted) = (runs(&folder), runs(&whole.result()));
    let column = |runs: &[serde_json::Map<String, Value>], key: &str| -> Vec<Value> {
        runs.iter().map(|run| run[key].clone()).collect()
    };
    for key in ["run", "traffic_hash", "seed", "completed", "planned_requests", "recovered", "stopped_by"] {
        assert_eq!(column(&resumed, key), column(&uninterrupted, key), "{key}");
    }
    let salts = column(&resumed, "salt");
    assert_eq!((&salts[0], &salts[0]), (&salts[1], &salts[3]));
    assert_ne!(salts[0], salts[2]);
    for at in [&lab, &whole] {
        let done = at.run(&["aggregate"]).exits(0);
        assert!(!done.err.contains("runs are there"), "{}", done.err);
    }
    let (one, other) = (csv(&folder), csv(&whole.result()));
    let shape = |csv: &[Vec<String>]| -> Vec<Vec<bool>> {
        csv.iter().map(|row| row.iter().map(String::is_empty).collect()).collect()
    };
    assert_eq!((one.len(), shape(&one)[0].len()), (4, shape(&other)[0].len()));
    for (one, other) in one.iter().zip(&other) {
        // prompts, concurrency, completed, lengths, file.
        for column in [4, 7, 9, 32, 33, 34] {
            assert_eq!(one[column], other[column]);
        }
    }

    // A second time there is nothing to do, and nobody is asked for anything.
    let asked = engine.truth().len();
    drop(engine);
    let done = lab.run(&["batch", "--resume"]).exits(0);
    assert!(words(&done.err).contains("all 4 runs of"), "{}", done.err);
    CELLS.iter().for_each(|cell| assert!(done.out.contains(cell), "{}", done.out));
    assert!(asked > 0);
}

#[test]
fn an_interrupted_cell_and_one_in_which_nothing_succeeded_are_measured_again() {
    let (lab, mut engine) = (Lab::new(), Engine::start("ttft=5ms,itl=2ms"));
    lab.file("config.yaml", &plan(&engine.url, ""));
    let running = lab.start(&["batch"]);
    engine.until(|engine| engine.truth().len() > 20);
    running.signal(libc::SIGINT);
    running.finish().exits(130);
    let folder = lab.result();
    assert!(folder.join(format!("bench_{}.json", CELLS[0])).exists());
    // A server that is away: the cell fails, and so do those after it.
    engine.kill();
    let more = ["batch", "--ready-timeout", "0", "--resume", folder.to_str().unwrap()];
    let away = lab.run(&more);
    assert_ne!(away.code, Some(0), "{}", away.err);
    engine.start_again("ttft=2ms,itl=1ms");
    let done = lab.run(&more).exits(0);
    assert_eq!(
        there(&folder),
        CELLS.map(String::from).into_iter().zip(ROWS).collect::<Vec<_>>(),
        "{}",
        done.err
    );
    let saved = std::fs::read(folder.join(format!("bench_{}.json", CELLS[0]))).unwrap();
    let saved: Value = serde_json::from_slice(&saved).unwrap();
    assert_eq!((&saved["completed"], saved.get("interrupted")), (&500.into(), None));
    let invocations = manifest(&folder)["invocations"].as_array().unwrap().clone();
    let codes: Vec<&Value> = invocations.iter().map(|one| &one["exit_code"]).collect();
    assert_eq!((codes.first(), codes.last()), (Some(&&130.into()), Some(&&0.into())));
}

#[test]
fn what_differs_from_the_plan_of_the_folder_is_named_and_nothing_is_changed() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let short = |more: &str| plan(&engine.url, more).replace("500, ", "4, ").replace("500]", "4]");
    lab.file("config.yaml", &short(""));
    lab.run(&["batch"]).exits(0);
    let folder = lab.result();
    let before = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    for (config, told) in [
        (short("seed: 5\n"), "`seed` was 0 and is 5 now"),
        (short("").replace("warmup: 1", "warmup: 2"), "`warmup` was \"1\" and is \"2\" now"),
        (short("").replace("60000", "50000"), "`goodput` was [\"e2el:60000\"] and is [\"e2el:50000\"] now"),
        (
            short("").replace("[2, 4]", "[3, 4]"),
            "`concurrency_prompts` was [[2,4],[1,3]] and is [[3,4],[1,3]] now",
        ),
        (
            short("").replace("[[8, 4], [16, 8]]", "[[8, 4]]"),
            "`input_output` was [[8,4],[16,8]] and is [[8,4]] now",
        ),
        (short("repeats: 2\n"), "`repeats` was 1 and is 2 now"),
        (short("").replace("rampant-sim", "auto"), "`model` was \"rampant-sim\" and is \"auto\" now"),
        (short("tp: 8\n"), "`tp` was \"\" and is \"8\" now"),
    ] {
        lab.file("config.yaml", &config);
        let done = lab.run(&["batch", "--resume"]).exits(2);
        let error = words(&done.err);
        assert!(error.contains(&format!("{}: {told}", folder.display())), "{told}: {error}");
    }
    lab.file("config.yaml", &short(""));
    let done = lab.run(&["batch", "--resume", "--seed", "7"]).exits(2);
    assert!(words(&done.err).contains("`seed` was 0 and is 7 now"), "{}", done.err);
    assert_eq!(std::fs::read_to_string(folder.join("manifest.json")).unwrap(), before);
    // What does not touch the load is no difference.
    lab.file("config.yaml", &format!("# a remark\n{}columns: [requests.rate]\n", short("")));
    lab.run(&["batch", "--resume"]).exits(0);
}

#[test]
fn a_folder_in_which_nobody_may_go_on_is_one_sentence() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=20ms,itl=5ms"));
    lab.file("config.yaml", &plan(&engine.url, ""));
    let none = lab.run(&["batch", "--resume"]).exits(2);
    assert!(
        none.error().starts_with("cannot go on: there is no results folder of `rampant batch` in "),
        "{}",
        none.err
    );
    let none = lab.run(&["batch", "--resume", "no/such"]).exits(2);
    assert!(none.error().contains("no/such: it does not exist"), "{}", none.err);

    lab.single(&engine.url, &["--num-prompts", "2"]).exits(0);
    let single = lab.result();
    let of_single = lab.run(&["batch", "--resume", single.to_str().unwrap()]).exits(2);
    let told = words(&of_single.err);
    assert!(told.contains("`rampant single` made it, and not `rampant batch`"), "{told}");

    std::fs::remove_dir_all(single).unwrap();
    let running = lab.start(&["batch"]);
    engine.until(|engine| engine.truth().len() > 6);
    let live = lab.run(&["batch", "--resume"]).exits(2);
    assert!(words(&live.err).contains("a run is still going on there"), "{}", live.err);
    running.signal(libc::SIGKILL);
    running.finish();

    let folder = lab.result();
    std::fs::remove_file(folder.join("script/plans.json")).unwrap();
    let old = lab.run(&["batch", "--resume"]).exits(2);
    assert!(words(&old.err).contains("did not note what it was to measure"), "{}", old.err);
}

#[test]
fn a_folder_of_a_batch_holds_its_file_and_its_plans_in_full() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let secret = "sk-very-secret-key";
    let config =
        plan(&engine.url, "repeats: 2\nseed: 9\ndrain: 7s\n").replace("500, ", "4, ").replace("500]", "4]");
    lab.file("config.yaml", &config);
    lab.run(&["batch", "--header", &format!("authorization=Bearer {secret}"), "x-team=blue"]).exits(0);
    let folder = lab.result();
    assert_eq!(std::fs::read_to_string(folder.join("script/config.yaml")).unwrap(), config);
    let plans = std::fs::read_to_string(folder.join("script/plans.json")).unwrap();
    assert!(!plans.contains(secret));
    let plans: Vec<Value> = serde_json::from_str(&plans).unwrap();
    assert_eq!(plans.len(), 8, "each of two repeats is a run");
    let manifest = manifest(&folder);
    assert!(
        !manifest.to_string().contains(secret)
            && manifest["invocations"][0]["argv"].to_string().contains("x-team")
    );
    for (plan, run) in plans.iter().zip(manifest["runs"].as_array().unwrap()) {
        assert_eq!(
            (&plan["name"], &plan["plan"], &plan["plan_hash"]),
            (&run["name"], &run["plan"], &run["plan_hash"])
        );
    }
    let plan = &plans[0]["plan"];
    assert_eq!((&plan["workload"]["input"], &plan["workload"]["output"]), (&8.into(), &4.into()));
    assert_eq!(plan["slo"]["limits"][0], serde_json::json!({"metric": "e2el", "ms": 60_000.0}));
    assert_eq!(
        (&plan["seed"], &plan["drain_s"], &plan["warmup"]),
        (&9.into(), &7.0.into(), &"requests(1)".into())
    );
    assert_eq!((&plan["arrivals"], &plan["requests"]), (&"closed, 2 users".into(), &4.into()));
    assert_eq!(plan["target"]["headers"], serde_json::json!({"authorization": "<secret>", "x-team": "blue"}));
}
