//! `rampant visualize`: what it draws of what, and what it says of what it cannot.

use crate::lab::{Engine, Lab, files};
use std::path::Path;

const REFERENCE: &str = include_str!("../data/pictures/reference.csv");
const HEAD: &str =
    "input_len,output_len,max_concurrency,num_prompts,output_throughput,mean_ttft_ms,mean_tpot_ms";

/// A CSV of two configurations, of a model and with a tag.
fn csv(model: &str, tp: u32) -> String {
    let row = |users: u32| format!("{model},{tp},512,512,{users},{},{},100,50\n", users * 10, users * 20);
    format!("model_id,tp,{HEAD}\n{}{}", row(1), row(4))
}

fn pictures(folder: &Path, ending: &str) -> Vec<String> {
    let all = files(folder).into_iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    let mut names: Vec<String> = all.filter(|name| name.ends_with(ending)).collect();
    names.sort();
    names
}

#[test]
fn what_cannot_be_drawn_is_one_sentence() {
    let lab = Lab::new();
    let row = "512,512,1,10,20,100,50\n";
    for (name, text) in [
        ("empty.csv", String::new()),
        ("header.csv", format!("{HEAD}\n")),
        ("words.csv", "a,b\n1,2\n".into()),
        ("negative.csv", format!("{HEAD}\n{row}512,512,4,40,-70,100,50\n")),
        ("late.csv", format!("{HEAD}\n{row}512,512,4,40,70,-100,50\n")),
        ("twice.csv", format!("{HEAD},mean_tpot_ms\n512,512,1,10,20,100,50,50\n")),
        ("commas.csv", format!("{HEAD}\n512,512,1,10,22,9,553,0,42,6\n")),
        ("open.csv", "model_id,output_throughput\n\"abc,5\n".into()),
        ("file", "a file where a folder should be".into()),
        ("good.csv", format!("{HEAD}\n{row}")),
    ] {
        lab.file(name, &text);
    }
    std::fs::create_dir(lab.path().join("nothing")).unwrap();
    std::fs::write(lab.path().join("wide.csv"), b"\xff\xfem\0o\0d\0e\0l\0").unwrap();
    let cases: [(&[&str], i32, &str); 24] = [
        (&[], 2, "there is no aggregated CSV in"),
        (&["--csv", "empty.csv"], 2, "cannot read empty.csv: the CSV is empty"),
        (&["--csv", "header.csv"], 2, "header.csv holds no row of results"),
        (&["--csv", "words.csv"], 2, "none of the columns that are drawn"),
        (
            &["--csv", "negative.csv"],
            2,
            "output_throughput of io512x512_mc4_np40 is -70, and cannot be negative",
        ),
        (&["--csv", "late.csv"], 2, "mean_ttft_ms of io512x512_mc4_np40 is -100"),
        (&["--csv", "twice.csv"], 2, "the CSV has two columns \"mean_tpot_ms\""),
        (&["--csv", "commas.csv"], 2, "line 2 of the CSV has 10 cells under 7 names"),
        (&["--csv", "open.csv"], 2, "opens a quote that is never closed"),
        (&["--csv", "wide.csv"], 2, "the CSV is not UTF-8 (byte 0): save it as such"),
        (&["--csv", "gone.csv"], 2, "cannot read \"gone.csv\": no such file"),
        (&["--csv", "nothing"], 2, "it is a folder"),
        (&["--dir", "nothing"], 2, "holds no finished run"),
        (&["--dir", "gone"], 2, "there is no results folder \"gone\""),
        (&["--dir", "g*ne"], 2, "fits \"g*ne\""),
        (&["--all"], 2, "there are no results in"),
        (&["--csv", "good.csv", "--tag", "tp"], 2, "a tag is KEY=VALUE, got \"tp\""),
        (&["--csv", "good.csv", "--output", "file"], 2, "it is a file"),
        (&["--csv", "good.csv", "--output", "file/below"], 2, "file/below"),
        (&["--csv", "good.csv", "--output", "/proc/nowhere"], 1, "cannot make the folder /proc/nowhere"),
        (
            &["--csv", "good.csv", "--mode", "fancy"],
            2,
            "--mode: must be one of simple, advanced, both, got fancy",
        ),
        (
            &["--csv", "good.csv", "--lang", "fr"],
            2,
            "invalid value 'fr' for '--lang <LANG>' [possible values: en, zh]",
        ),
        (&["--csv", "good.csv", "--theme", "blue"], 2, "invalid value 'blue' for '--theme <THEME>'"),
        (&["--csv", "good.csv", "--weights", "1,2"], 2, "--weights: must be three numbers"),
    ];
    for (args, code, sentence) in cases {
        let done = lab.run(&[&["visualize"], args].concat()).exits(code);
        assert!(done.error().contains(sentence), "{args:?}: {:?} does not say {sentence:?}", done.err);
        assert!(!lab.path().join("charts").exists(), "{args:?}");
    }
}

#[test]
fn odd_values_and_files_are_drawn() {
    let lab = Lab::new();
    for (name, text) in [
        ("one", format!("{HEAD}\n512,512,1,10,20,100,50\n")),
        ("few", "input_len,output_throughput\n512,20\n".into()),
        (
            "marked",
            format!(
                "\u{feff}{HEAD}\n输入长度,输出长度,最大并发数,提示数量,输出吞吐量,x,y\n512,512,1,10,20,100,50\n"
            ),
        ),
        ("semicolons", format!("{}\n512;512;1;10;22,5;100,25;50\n", HEAD.replace(',', ";"))),
        ("nothing", format!("{HEAD}\n512,512,1,10,NaN,nan,50\n512,512,4,40,inf,-inf,60\n")),
        ("huge", format!("{HEAD}\n512,512,1,10,1e18,1e18,1e18\n512,512,4,40,1,1,1e-9\n")),
        ("script", csv("نموذج/🚀 模型 <b>&\\\"", 1)),
    ] {
        lab.file(&format!("{name}.csv"), &text);
        lab.run(&["visualize", "--csv", &format!("{name}.csv"), "--output", name]).exits(0);
        assert!(pictures(&lab.path().join(name), ".png").len() >= 6, "{name}");
    }
}

#[test]
fn results_are_chosen_as_aggregate_chooses_them() {
    let lab = Lab::new();
    for (name, model, tp) in
        [("a.csv", "org/Alpha-AWQ", 4), ("b.csv", "org/Beta", 4), ("c.csv", "org/Beta", 8)]
    {
        lab.file(name, &csv(model, tp));
        lab.run(&["import", name]).exits(0);
    }
    let counted = |args: &[&str]| {
        let done = lab.run(&[&["visualize", "--mode", "both"], args].concat()).exits(0);
        let told = done.out.lines().nth(1).unwrap_or_default().to_string();
        told.split(' ').next().and_then(|count| count.parse::<usize>().ok()).unwrap_or_default()
    };
    assert_eq!(counted(&["--all"]), 6);
    assert_eq!(counted(&["--last", "2"]), 4);
    assert_eq!(counted(&["--dir", "Alpha*", "--dir", "Beta*"]), 6);
    assert_eq!(counted(&["--model", "beta"]), 4);
    assert_eq!(counted(&["--tag", "tp=8"]), 2);
    assert_eq!(counted(&["--csv", "a.csv", "--csv", "b.csv", "--model", "Alpha"]), 2);
    lab.run(&["aggregate", "--all", "--output", "else/where"]).exits(0);
    let elsewhere = files(&lab.path().join("else/where"));
    assert!(elsewhere.iter().any(|path| path.extension().is_some_and(|end| end == "csv")), "{elsewhere:?}");
    assert!(
        files(&lab.path().join("results")).iter().all(|path| path.extension().is_none_or(|end| end != "csv"))
    );
    for (args, hint) in [
        (["--model", "Bete"], "Beta"),
        (["--tag", "tp=2"], "tp is 4, 8 there"),
        (["--tag", "pt=8"], "did you mean tp?"),
        (["--dir", "Alpha"], "Alpha_"),
    ] {
        let done = lab.run(&[&["visualize"][..], &args].concat()).exits(2);
        assert!(done.err.contains(hint), "{args:?}: {}", done.err);
    }
}

#[test]
fn the_reference_rows_make_the_same_report_as_ever() {
    let lab = Lab::new();
    lab.file("reference.csv", REFERENCE);
    lab.run(&["import", "reference.csv"]).exits(0);
    for (lang, golden) in [
        ("en", include_str!("../data/pictures/report.en.txt")),
        ("zh", include_str!("../data/pictures/report.zh.txt")),
    ] {
        let done = lab.run(&["visualize", "--all", "--lang", lang, "--output", lang]).exits(0);
        let report = std::fs::read_to_string(lab.path().join(lang).join("performance_report.txt")).unwrap();
        assert_eq!(report, golden);
        assert!(done.out.starts_with(golden), "{}", done.out);
        assert_eq!(
            pictures(&lab.path().join(lang), ".svg"),
            [
                "latency_comparison.svg",
                "performance_dashboard.svg",
                "performance_heatmap.svg",
                "performance_ranking.svg",
                "throughput_comparison.svg",
                "throughput_vs_latency.svg",
            ]
        );
    }
}

#[test]
fn fewer_pages_than_yesterday_leave_none_of_yesterday() {
    let lab = Lab::new();
    let row = |model: usize| format!("m{model},512,512,4,40,70,100,50\n");
    let models = |count: usize| format!("model_id,{HEAD}\n{}", (0..count).map(row).collect::<String>());
    let drawn = |count: usize| {
        lab.file("now.csv", &models(count));
        lab.run(&["visualize", "--csv", "now.csv"]).exits(0);
        pictures(&lab.path().join("charts"), ".png").len()
    };
    assert!(drawn(30) > 6);
    assert_eq!(drawn(3), 6);
}

#[test]
fn pictures_of_a_run_and_of_a_script_are_dark_when_asked() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    lab.file(
        "dark.rhai",
        "let t = target(param(\"url\", \"\"));\n\
         let r = run(#{ target: t, workload: prompts(#{ input: 8, output: 4 }), arrivals: closed(1), requests: 3 });\n\
         r.charts();\n\
         chart(#{ data: [#{ a: 1, b: 2 }], x: \"a\", y: \"b\" }).save(\"own.svg\");\n\
         chart(#{ data: [#{ a: 1, b: 2 }], x: \"a\", y: \"b\", theme: \"light\" }).save(\"light.svg\");\n",
    );
    lab.run(&["run", "dark.rhai", "-p", &format!("url={}", engine.url), "--theme", "dark"]).exits(0);
    let svgs =
        files(&lab.result()).into_iter().filter(|path| path.extension().is_some_and(|end| end == "svg"));
    let mut seen = 0;
    for svg in svgs {
        let text = std::fs::read_to_string(&svg).unwrap();
        assert_eq!(text.contains("#161b22"), !svg.ends_with("light.svg"), "{}", svg.display());
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}
