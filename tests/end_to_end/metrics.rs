//! What a server tells of itself: its counters in the table and the verdict, several pages of
//! metrics, programs that belong to it.

use crate::lab::{Engine, Lab, runs};
use crate::recorder::{Recorder, http, reply, usual_look};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use std::collections::BTreeSet;
use std::fs::File;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// A server whose page of metrics is another each time that it is looked at.
fn told(page: impl Fn(u32) -> String + Send + Sync + 'static) -> Recorder {
    let looks = AtomicU32::new(0);
    let look = move |path: &str| match path {
        "/metrics" => http(200, "text/plain", &page(looks.fetch_add(1, Ordering::Relaxed))),
        path => usual_look(path),
    };
    Recorder::listening("127.0.0.1:0", look, |_| reply())
}

fn cache(hits: u32, queries: u32) -> String {
    format!("vllm:prefix_cache_hits_total {hits}\nvllm:prefix_cache_queries_total {queries}\n")
}

#[test]
fn a_warm_cache_of_which_replies_say_nothing_shows_in_the_counters_of_the_server() {
    let (lab, server) = (Lab::new(), told(|n| cache(50 * n, 100 * n)));
    let done = lab.single(&server.url, &["--num-prompts", "30"]).exits(0);
    assert!(done.out.contains("(50.00 %), by the server's counters"), "{}", done.out);
    assert!(done.out.contains("cache_contaminated"), "{}", done.out);
    let run = &runs(&lab.result())[0];
    assert_eq!(
        (&run["cached_tokens_share_seen"], &run["cached_tokens_share_from"]),
        (&0.5.into(), &"server".into())
    );
    assert!(run["verdicts"].as_str().unwrap().contains("cache_contaminated"), "{}", run["verdicts"]);
    for verdict in run["verdicts"].as_str().unwrap().split(',') {
        assert!(done.out.contains(verdict), "{verdict} is not in the table: {}", done.out);
    }
}

#[test]
fn a_cold_cache_contaminates_nothing() {
    let (lab, server) = (Lab::new(), told(|n| cache(0, 100 * n)));
    lab.single(&server.url, &["--num-prompts", "30"]).exits(0);
    assert!(!runs(&lab.result())[0]["verdicts"].as_str().unwrap().contains("cache_contaminated"));
}

#[test]
fn workers_that_answer_in_turn_are_told_and_their_counters_not_used() {
    let page = |n: u32| if n.is_multiple_of(2) { cache(5_000 + n, 9_000 + n) } else { cache(n, 2 * n) };
    let (lab, server) = (Lab::new(), told(page));
    let more = ["--request-rate", "10", "--num-prompts", "35"];
    let done = lab.single(&server.url, &more).exits(0);
    assert!(done.out.contains("jump between workers") && done.out.contains("--metrics-url"), "{}", done.out);
    let run = &runs(&lab.result())[0];
    assert_eq!((&run["server_counters_jump"], &run["cached_tokens_share_seen"]), (&true.into(), &().into()));
}

#[test]
fn random_words_against_speculative_decoding_are_unrealistic() {
    let page = |n: u32| {
        format!(
            "vllm:spec_decode_num_accepted_tokens_total {}\nvllm:spec_decode_num_draft_tokens_total {}\n",
            10 * n,
            100 * n
        )
    };
    let (lab, server) = (Lab::new(), told(page));
    let done = lab.single(&server.url, &["--num-prompts", "30"]).exits(0);
    assert!(done.out.contains("unrealistic_text: the server drafts tokens"), "{}", done.out);
    assert_eq!(runs(&lab.result())[0]["spec_acceptance"], 0.1);
}

#[test]
fn every_worker_is_asked_and_their_means_stand_beside_ours() {
    let (lab, engine, other) = (Lab::new(), Engine::fast(), Engine::fast());
    let pages = [format!("prefill={}", engine.url), other.url.clone()];
    let more = [
        "--num-prompts",
        "20",
        "--metrics-url",
        &pages[0],
        "--metrics-url",
        &pages[1],
        "--server-process",
        "no-such",
    ];
    let done = lab.single(&engine.url, &more).exits(0);
    assert!(done.out.contains("server's own means"), "{}", done.out);
    let run = &runs(&lab.result())[0];
    let (theirs, ours) =
        (run["server_ttft_ms_mean"].as_f64().unwrap(), run["mean_ttft_ms"].as_f64().unwrap());
    assert!(theirs >= 2.0 && theirs <= ours + 1.0, "{theirs} ms, ours {ours} ms");
    assert_eq!((&run["server_counters_jump"], &run["server_scrape_gaps"]), (&false.into(), &0.into()));
    assert!(done.err.contains("no program of this machine is \"no-such\""), "{}", done.err);
    let mut labels = BTreeSet::new();
    rampant::store::series::read(&lab.result(), run["run"].as_str().unwrap(), |point| {
        if &*point.metric == "vllm:num_requests_running" {
            labels.extend(point.labels.as_deref().map(str::to_string));
        }
    })
    .unwrap();
    let [one, two] =
        [&engine.url, &other.url].map(|url| format!("server=\"{}\"", url.strip_prefix("http://").unwrap()));
    assert!(
        labels.iter().any(|labels| labels.contains("role=\"prefill\"") && labels.contains(&one)),
        "{labels:?}"
    );
    assert!(labels.iter().any(|labels| !labels.contains("role=") && labels.contains(&two)), "{labels:?}");
}

#[test]
fn a_script_has_what_the_server_tells_by_name() {
    let lab = Lab::new();
    let script = "let r = run(#{ target: target(\"builtin:ttft=5ms,itl=1ms\"), workload: prompts(#{ input: 8, output: 4 }), \
                  arrivals: closed(2), requests: 20 });\n\
                  check(\"ttft\", r[\"server_ttft.mean\"] >= 5.0);\n\
                  check(\"e2el\", r[\"server_e2el.mean\"] > r[\"server_ttft.mean\"]);\n\
                  check(\"queue\", r[\"server_queue.mean\"] >= 0.0);\n\
                  check(\"cache\", r[\"server_cached_tokens.share\"] == 0.0);\n\
                  check(\"no drafts\", r[\"spec_acceptance.share\"] == ());\n";
    lab.file("told.rhai", script);
    lab.run(&["run", "told.rhai"]).exits(0);
    lab.file("wrong.rhai", &script.replace("server_queue.mean", "server_queue.p99"));
    let done = lab.run(&["run", "wrong.rhai"]);
    assert!(done.err.contains("server_queue has no statistic \"p99\""), "{}", done.err);
}

#[test]
fn the_metrics_url_of_a_batch_is_as_much_the_users_word_as_its_base_url() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let plan = format!(
        "model: rampant-sim\nbase_url: {}\ninput_output: [[8, 4]]\nconcurrency_prompts: [[2, 10]]\n\
         metrics_url:\n  - prefill=http://198.51.100.9:1\n  - http://198.51.100.10:2/metrics\n",
        engine.url
    );
    lab.file("config.yaml", &plan);
    let done = lab.run(&["batch"]).exits(0);
    assert!(!done.err.contains("may not reach"), "{}", done.err);
}

#[test]
fn a_page_of_metrics_that_cannot_be_is_one_sentence_before_any_load() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let done = lab.single(&engine.url, &["--metrics-url", "host:1"]).exits(2);
    assert!(done.error().contains("--metrics-url: host:1 has no scheme"), "{}", done.err);
    assert!(engine.truth().is_empty());
}

/// Microseconds since 1970.
fn wall_us() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_micros() as i64
}

/// The column `sent_at` of a results folder, sorted: microseconds since 1970.
fn sent_at(folder: &std::path::Path) -> Vec<i64> {
    let mut all = Vec::new();
    for part in std::fs::read_dir(folder.join("requests")).expect("a folder of requests") {
        let file = File::open(part.expect("a file").path()).expect("readable");
        let builder = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
        for batch in builder.expect("Parquet").build().expect("a reader") {
            let batch = batch.expect("rows");
            let column = batch.column_by_name("sent_at").expect("a column sent_at");
            all.extend(column.as_primitive::<TimestampMicrosecondType>().iter().map(|at| at.expect("sent")));
        }
    }
    all.sort_unstable();
    all
}

#[test]
fn the_moment_of_each_request_is_right_by_the_servers_clock_whatever_metrics_take() {
    let arrived = Arc::<Mutex<Vec<i64>>>::default();
    let (log, looks) = (arrived.clone(), AtomicU32::new(0));
    let slow = move |path: &str| {
        if path == "/metrics" && looks.fetch_add(1, Ordering::Relaxed) < 2 {
            std::thread::sleep(Duration::from_millis(700));
        }
        usual_look(path)
    };
    let server = Recorder::listening("127.0.0.1:0", slow, move |seen| {
        if !seen.is_preflight() {
            log.lock().expect("no panic").push(wall_us());
        }
        reply()
    });
    let lab = Lab::new();
    lab.single(&server.url, &["--num-prompts", "21", "--request-rate", "40"]).exits(0);
    let mut arrived = arrived.lock().expect("no panic").clone();
    arrived.sort_unstable();
    let sent = sent_at(&lab.result());
    assert_eq!(sent.len(), arrived.len());
    let mut off: Vec<i64> = arrived.iter().zip(&sent).map(|(arrived, sent)| arrived - sent).collect();
    off.sort_unstable();
    // The one in the middle: a busy machine may hold back some.
    assert!((-1_000..5_000).contains(&off[10]), "arrivals after `sent_at`, us: {off:?}");
}
