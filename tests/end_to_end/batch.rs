//! `rampant batch`, and what `aggregate` and `visualize` make of its folder.

use crate::lab::{Engine, Lab, files, rows, runs};
use std::path::{Path, PathBuf};

/// The aggregated CSV's first row.
const ENGLISH: &str = "date,backend,model_id,tokenizer_id,num_prompts,request_rate,burstiness,\
    max_concurrency,duration,completed,total_input_tokens,total_output_tokens,request_throughput,\
    request_goodput,output_throughput,total_token_throughput,mean_ttft_ms,median_ttft_ms,std_ttft_ms,\
    p99_ttft_ms,mean_tpot_ms,median_tpot_ms,std_tpot_ms,p99_tpot_ms,mean_itl_ms,median_itl_ms,std_itl_ms,\
    p99_itl_ms,mean_e2el_ms,median_e2el_ms,std_e2el_ms,p99_e2el_ms,input_len,output_len,filename,\
    result_dir,failed,tp,data_type,batch,prompt_tokens,completion_tokens,verdict,marks";

/// Its second row.
const CHINESE: &str = "日期,后端,模型ID,分词器ID,提示数量,请求速率,突发性,最大并发数,持续时间,完成数量,\
    总输入令牌数,总输出令牌数,请求吞吐量,请求有效吞吐量,输出吞吐量,总令牌吞吐量,平均首令牌时间(ms),\
    中位首令牌时间(ms),首令牌时间标准差(ms),首令牌时间P99(ms),平均每令牌时间(ms),中位每令牌时间(ms),\
    每令牌时间标准差(ms),每令牌时间P99(ms),平均令牌间延迟(ms),中位令牌间延迟(ms),令牌间延迟标准差(ms),\
    令牌间延迟P99(ms),平均端到端延迟(ms),中位端到端延迟(ms),端到端延迟标准差(ms),端到端延迟P99(ms),\
    输入长度,输出长度,文件名,结果目录,失败数量,张量并行度,数据类型,批处理大小,输入令牌数/请求,\
    输出令牌数/请求,结论,标记";

/// The plan that users of the Python framework have, with its five keys.
fn plan(url: &str) -> String {
    format!(
        "model: deepseek-ai/DeepSeek-R1-AWQ\nbase_url: {url}\ntokenizer: deepseek-ai/DeepSeek-R1-AWQ\n\
         input_output:\n  - [8, 4]\n  - [16, 8]\nconcurrency_prompts:\n  - [1, 3]\n  - [2, 4]\n"
    )
}

/// A batch of four cells that has run.
fn batch() -> (Lab, PathBuf) {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1ms,model=deepseek-ai/DeepSeek-R1-AWQ"));
    lab.file("config.yaml", &plan(&engine.url));
    lab.run(&["batch"]).exits(0);
    let folder = lab.result();
    (lab, folder)
}

const CELLS: [&str; 4] = ["io8x4_mc1_np3", "io8x4_mc2_np4", "io16x8_mc1_np3", "io16x8_mc2_np4"];

#[test]
fn every_length_pair_meets_every_load_in_one_folder() {
    let (_lab, folder) = batch();
    let name = folder.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("DeepSeek-R1_2"), "the short model name: {name}");
    let runs = runs(&folder);
    assert_eq!(runs.iter().map(|run| run["run"].as_str().unwrap()).collect::<Vec<_>>(), CELLS);
    assert_eq!(runs.iter().map(|run| run["completed"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 4, 3, 4]);
    let rows = rows(&folder);
    for (cell, n) in CELLS.iter().zip([3, 4, 3, 4]) {
        assert_eq!(rows.iter().filter(|(run, _)| run == cell).count(), n);
        let saved = folder.join(format!("bench_{cell}.json"));
        let saved: serde_json::Value = serde_json::from_slice(&std::fs::read(saved).unwrap()).unwrap();
        assert_eq!(saved["completed"], n);
    }
}

#[test]
fn a_base_url_with_v1_is_the_same_server() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1ms,model=deepseek-ai/DeepSeek-R1-AWQ"));
    lab.file("mine.yaml", &plan(&format!("{}/v1/", engine.url)));
    lab.run(&["batch", "--config", "mine.yaml"]).exits(0);
    assert_eq!(runs(&lab.result()).len(), 4);
}

#[test]
fn every_key_is_a_flag_that_goes_before_the_file() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1ms,model=m"));
    let file = "x-load: &load [[2, 3]]\nx-base: &base {tp: 8, seed: 5}\nmodel: /models/elsewhere\n\
                base_url: http://127.0.0.1:9\ntokenizer: /models/elsewhere\ninput_output: [[8, 4]]\n\
                concurrency_prompts: *load\nrequest_rate: .inf\nburstiness: \"1.0\"\nwarmup: 1\nstream: no\n\
                metadata: {gpu: H100, note: 'a=b'}\nheaders: {x-team: blue}\n<<: *base\n";
    lab.file("config.yaml", file);
    let flags = [
        "batch",
        "--base-url",
        &engine.url,
        "--model",
        "m",
        "--tokenizer",
        "none",
        "--tp",
        "4",
        "--input-output",
        "16x8,8x4",
        "--goodput",
        "e2el:60000",
        "--percentile-metrics",
        "ttft",
    ];
    let done = lab.run(&flags).exits(0);
    assert!(!done.err.contains("no tokenizer"), "{}", done.err);
    let runs = runs(&lab.result());
    assert_eq!(runs.iter().map(|run| &run["run"]).collect::<Vec<_>>(), ["io16x8_mc2_np3", "io8x4_mc2_np3"]);
    let saved = lab.result().join("bench_io16x8_mc2_np3.json");
    let saved: serde_json::Value = serde_json::from_slice(&std::fs::read(saved).unwrap()).unwrap();
    for (key, value) in [
        ("tp", 4.into()),
        ("gpu", "H100".into()),
        ("note", "a=b".into()),
        ("request_rate", serde_json::json!("inf")),
    ] {
        assert_eq!(saved[key], value, "{key}: {saved}");
    }
    assert!(saved["request_goodput"].as_f64().unwrap() > 0.0, "{saved}");
    assert!(saved.get("p99_ttft_ms").is_some() && saved.get("p99_tpot_ms").is_none(), "{saved}");
    let rows = rows(&lab.result());
    assert!(rows.iter().all(|(_, record)| !record.streamed), "`stream: no` is no stream");
}

/// The three steps and their neighbours, word for word as the Python wrapper has them.
#[test]
fn the_wrappers_steps_work_word_for_word() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1ms,model=DeepSeek-R1-AWQ"));
    let port = engine.url.rsplit(':').next().unwrap();
    let config = format!(
        "# model\nmodel: \"DeepSeek-R1-AWQ\"\nbase_url: \"http://localhost:{port}\"\n\
         tokenizer: \"/data/models/DeepSeek-R1-AWQ\"\n\n# [input, output]\ninput_output:\n  - [16, 8]\n  - [32, 8]\n\n\
         # [concurrency, prompts]\nconcurrency_prompts:\n  - [1, 5]\n  - [4, 10]\n"
    );
    lab.file("config.yaml", &config);
    let done = lab.run(&["batch", "--config", "config.yaml"]).exits(0);
    assert_eq!(done.err.matches("no tokenizer at").count(), 1, "{}", done.err);
    let folder = lab.result();
    let name = folder.file_name().unwrap().to_str().unwrap().to_string();
    assert!(name.starts_with("DeepSeek-R1_2"), "{name}");

    lab.run(&["aggregate"]).exits(0);
    let listed = lab.run(&["aggregate", "--list"]).exits(0);
    assert!(listed.out.contains(&name), "{}", listed.out);
    lab.run(&["visualize"]).exits(0);
    let drawn = |folder: &str| -> Vec<String> {
        let pictures = files(&lab.path().join(folder));
        assert!(
            pictures
                .iter()
                .filter(|path| path.extension().is_some_and(|e| e == "png" || e == "svg"))
                .all(|path| is_picture(path))
        );
        pictures.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    let names = drawn("charts");
    assert!(names.iter().any(|name| name.contains("heat")), "{names:?}");

    lab.run(&["aggregate", "--dir", &name]).exits(0);
    let csv = files(&folder).into_iter().find(|path| path.extension().is_some_and(|e| e == "csv")).unwrap();
    let csv = csv.to_str().unwrap();
    for mode in ["simple", "advanced", "both"] {
        lab.run(&["visualize", "--csv", csv, "--output", mode, "--mode", mode]).exits(0);
    }
    let (simple, advanced, both) = (drawn("simple"), drawn("advanced"), drawn("both"));
    assert!(!simple.is_empty() && !advanced.is_empty(), "{simple:?} {advanced:?}");
    assert!(simple.iter().chain(&advanced).all(|name| both.contains(name)), "{both:?}");

    let url = format!("http://localhost:{port}");
    let single = [
        "single",
        "--model",
        "DeepSeek-R1-AWQ",
        "--base-url",
        &url,
        "--num-prompts",
        "6",
        "--max-concurrency",
        "2",
        "--random-input-len",
        "16",
        "--random-output-len",
        "8",
        "--tokenizer",
        "/data/models/DeepSeek-R1-AWQ",
    ];
    let done = lab.run(&single).exits(0);
    assert_eq!(done.err.matches("no tokenizer at").count(), 1, "{}", done.err);
    assert_eq!(lab.results().len(), 2);
}

#[test]
fn a_plan_that_was_written_for_another_machine_runs_with_one_warning() {
    let (lab, engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1ms,model=/data/models/R1-AWQ"));
    let plan = plan(&engine.url).replace("deepseek-ai/DeepSeek-R1-AWQ", "/data/models/R1-AWQ");
    lab.file("config.yaml", &plan);
    let done = lab.run(&["batch"]).exits(0);
    let warning =
        "warning: no tokenizer at \"/data/models/R1-AWQ\": prompts are made of common English words";
    assert_eq!(done.err.matches(warning).count(), 1, "{}", done.err);
    let name = lab.result().file_name().unwrap().to_str().unwrap().to_string();
    assert!(name.starts_with("R1_2"), "{name}");
}

#[test]
fn a_cell_that_fails_does_not_stop_the_rest() {
    // The preflight is the first generation; the fourth is the third cell's only request.
    let (lab, engine) = (Lab::new(), Engine::start("ttft=2ms,itl=1ms,fail=status:500:0.25"));
    let url = &engine.url;
    let plan = format!(
        "model: rampant-sim\nbase_url: {url}\ninput_output: [[8, 4], [16, 8]]\n\
         concurrency_prompts: [[1, 1], [2, 1]]\n"
    );
    lab.file("config.yaml", &plan);
    let done = lab.run(&["batch"]).exits(1);
    assert!(done.error().starts_with("run io16x8_mc1_np1: none of 1 requests succeeded"), "{}", done.err);
    let runs = runs(&lab.result());
    let completed: Vec<u64> = runs.iter().map(|run| run["completed"].as_u64().unwrap()).collect();
    assert_eq!(completed, [1, 1, 0, 1]);
    assert!(done.out.contains("io16x8_mc2_np1"), "the last cell is in the table: {}", done.out);
}

fn is_picture(path: &Path) -> bool {
    let bytes = std::fs::read(path).unwrap();
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("png") => bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
        Some("svg") => bytes.starts_with(b"<svg") || bytes.starts_with(b"<?xml"),
        _ => false,
    }
}

#[test]
fn aggregate_writes_the_bilingual_csv_and_the_simple_charts() {
    let (lab, folder) = batch();
    let listed = lab.run(&["aggregate", "--list"]).exits(0).out;
    assert!(listed.contains(folder.file_name().unwrap().to_str().unwrap()), "{listed}");

    lab.run(&["aggregate"]).exits(0);
    let csv = files(&folder).into_iter().find(|path| path.extension().is_some_and(|e| e == "csv")).unwrap();
    assert!(csv.file_name().unwrap().to_str().unwrap().starts_with("aggregate_results_2"));
    let text = std::fs::read_to_string(&csv).unwrap();
    let text = text.strip_prefix('\u{feff}').expect("a byte order mark, for spreadsheets");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], ENGLISH);
    assert_eq!(lines[1], CHINESE);
    assert_eq!(lines.len(), 6);
    for (line, cell) in lines[2..].iter().zip(CELLS) {
        assert_eq!(line.split(',').count(), ENGLISH.split(',').count());
        assert!(line.contains(&format!(",bench_{cell}.json,")), "{line}");
        // Three or four requests are no measurement, and their 99th percentile is none.
        let (verdict, marks) =
            line.rsplit_once(',').map(|(rest, marks)| (rest.rsplit(',').next(), marks)).unwrap();
        assert!(verdict.is_some_and(|verdict| !verdict.is_empty() && verdict != "valid"), "{line}");
        assert!(marks.contains("~p99_ttft_ms") && marks.contains("~p99_e2el_ms"), "{line}");
    }
    let pictures = files(&folder.join("charts"));
    assert!(pictures.len() >= 2 && pictures.iter().all(|path| is_picture(path)), "{pictures:?}");

    lab.run(&["aggregate"]).exits(0);
    let csvs = files(&folder).iter().filter(|path| path.extension().is_some_and(|e| e == "csv")).count();
    assert_eq!(csvs, 2, "the first one was not overwritten");
    assert_eq!(std::fs::read_to_string(&csv).unwrap().trim_start_matches('\u{feff}'), text);
}

#[test]
fn visualize_draws_the_newest_csv_and_one_that_is_named() {
    let (lab, folder) = batch();
    let folder_name = folder.file_name().unwrap().to_str().unwrap();
    lab.run(&["aggregate", "--dir", folder_name]).exits(0);
    lab.run(&["visualize", "--mode", "simple"]).exits(0);
    let simple = files(&lab.path().join("charts"));
    assert!(simple.iter().all(|path| is_picture(path)), "{simple:?}");

    let csv = files(&folder).into_iter().find(|path| path.extension().is_some_and(|e| e == "csv")).unwrap();
    let csv = csv.to_str().unwrap();
    lab.run(&["visualize", "--csv", csv, "--output", "drawn", "--mode", "both", "--lang", "zh"]).exits(0);
    let (report, both): (Vec<_>, Vec<_>) = files(&lab.path().join("drawn"))
        .into_iter()
        .partition(|path| path.ends_with("performance_report.txt"));
    assert!(both.len() > simple.len() && both.iter().all(|path| is_picture(path)), "{both:?}");
    let report = std::fs::read_to_string(report.first().expect("a report")).expect("text");
    assert!(report.contains("性能报告") && report.contains("综合排名"), "{report}");
}

#[test]
fn a_run_of_which_there_are_only_rows_gets_its_numbers_again() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    lab.single(&engine.url, &["--num-prompts", "5"]).exits(0);
    let folder = lab.result();
    let before = runs(&folder);
    std::fs::remove_file(folder.join("runs.parquet")).unwrap();
    let done = lab.run(&["aggregate"]).exits(0);
    assert!(done.err.contains("numbers of io16x8_mc10_np5 by the 5 requests"), "{}", done.err);
    let after = runs(&folder);
    assert_eq!(after[0]["recovered"], true);
    for key in ["run_id", "completed", "model", "traffic_hash", "seed", "p99_ttft_ms", "window_start_ns"] {
        assert_eq!(after[0][key], before[0][key], "{key}");
    }
}

#[test]
fn a_csv_without_columns_to_draw_is_an_error() {
    let lab = Lab::new();
    lab.file("other.csv", "name,colour\nsky,blue\n");
    let done = lab.run(&["visualize", "--csv", "other.csv"]).exits(2);
    assert!(done.error().contains("none of the columns that are drawn"), "{}", done.err);
    assert!(!lab.path().join("charts").exists());
}

#[test]
fn aggregate_without_results_says_so() {
    let lab = Lab::new();
    let done = lab.run(&["aggregate"]).exits(2);
    assert!(done.error().contains("results"), "{}", done.err);
    assert!(lab.run(&["aggregate", "--list"]).exits(0).out.contains("no results in "));
    lab.run(&["visualize"]).exits(2).error();
}
