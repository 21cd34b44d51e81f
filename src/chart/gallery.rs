//! Figures that the checks look at: ordinary and awkward ones of every kind.

use super::compare::{self, ComparedRow, Comparison, Look};
use super::forest::{self, Forest, ForestGroup, ForestRow};
use super::generic::{self, Chart};
use super::palette::Theme;
use super::{Figure, TickFormat, run, server};
use crate::lang::Lang;
use crate::record::{
    Connect, EventKind, Events, Outcome, Phase, Point, Record, Source, Timeline, Timeout, Usage,
};
use crate::stats::Fold;
use crate::stats::latencies::Latencies;
use crate::stats::lines::Lines;
use crate::stats::occupancy::Occupancy;
use crate::stats::versus::judge::Word;

/// A small generator of repeatable numbers in 0..1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A request planned at `planned` and sent at `sent` (ms), with `events` output events.
pub fn record(seq: u64, planned: f64, sent: f64, ttft: f64, gaps: &[f64]) -> Record {
    let nanos = |ms: f64| (ms * 1e6) as i64;
    let mut events = Events::with_capacity(gaps.len() + 1);
    let mut at = ttft;
    events.push((at * 1e3) as u32, EventKind::CONTENT, 1, 4);
    for gap in gaps {
        at += gap;
        events.push((at * 1e3) as u32, EventKind::CONTENT, 1, 4);
    }
    let mut timeline = Timeline::planned(nanos(planned), nanos(sent));
    timeline.sent = Some(nanos(sent));
    timeline.connect = Some(Connect { started: nanos(planned), done: nanos(planned) });
    timeline.end = nanos(sent + at + 1.0);
    timeline.events = events;
    Record {
        seq,
        id: format!("r{seq}"),
        phase: Phase::Measured,
        session: seq,
        turn: 0,
        tenant: None,
        branch: None,
        class: "chat".into(),
        asked_input: Some(512),
        asked_output: 256,
        forced_length: false,
        synthetic_text: false,
        streamed: true,
        timeline,
        outcome: Outcome::Success,
        error: None,
        status: Some(200),
        finish: Some("stop".into()),
        usage: Usage { output: Some(gaps.len() as u32 + 1), ..Usage::default() },
        counted_output: None,
        counted_input: None,
        text: None,
        body_bytes: 0,
        reused: false,
        reconnects: 0,
        connect_tries: 0,
        unclosed: false,
        audio_ms: None,
        doubts: Default::default(),
    }
}

/// `n` requests over a minute or so, behind a cap, some of them failing.
fn traffic(n: usize) -> Vec<Record> {
    let mut numbers = Numbers(7);
    let mut records = Vec::new();
    let mut clock = 0.0;
    for seq in 0..n {
        clock += -(1.0 - numbers.next()).ln() * 60_000.0 / n as f64;
        let wait = if seq % 7 == 3 { 2000.0 * numbers.next() } else { 0.0 };
        let ttft = 80.0 * (1.2 * (numbers.next() + numbers.next() + numbers.next() - 1.5)).exp();
        let count = 30 + (numbers.next() * 90.0) as usize;
        let gaps: Vec<f64> = (0..count).map(|_| 18.0 + 14.0 * numbers.next() * numbers.next()).collect();
        let mut one = record(seq as u64, clock, clock + wait, ttft, &gaps);
        if seq < n / 20 {
            one.phase = Phase::Warmup;
        }
        if seq % 29 == 11 {
            one.outcome = Outcome::TimedOut(Timeout::Idle);
        }
        if seq % 97 == 40 {
            one.outcome = Outcome::Dropped;
            one.timeline.sent = None;
            one.timeline.events = Events::default();
        }
        records.push(one);
    }
    records
}

const COLUMNS: [&str; 9] = [
    "total_token_throughput",
    "output_throughput",
    "request_throughput",
    "mean_ttft_ms",
    "mean_tpot_ms",
    "mean_itl_ms",
    "mean_e2el_ms",
    "total_input_tokens",
    "total_output_tokens",
];

fn row(label: &str, values: [f64; 9]) -> ComparedRow {
    let mut values: std::collections::BTreeMap<String, f64> =
        COLUMNS.iter().map(|name| (*name).to_owned()).zip(values).collect();
    values.insert("p99_ttft_ms".into(), values["mean_ttft_ms"] * 1.7);
    let shape = label.trim_start_matches("io").split('_').next().unwrap_or_default().to_string();
    ComparedRow { label: label.into(), values, shape, repeats: 1, ..ComparedRow::default() }
}

/// Numbers that were once measured on DeepSeek-R1-AWQ.
pub(super) fn measured() -> Vec<ComparedRow> {
    vec![
        row("io512x512_mc1_np10", [45.8, 22.9, 0.045, 553.0, 42.6, 42.6, 22336.0, 5110.0, 5120.0]),
        row("io512x512_mc4_np40", [140.8, 70.5, 0.138, 1191.8, 54.6, 54.6, 29067.0, 20440.0, 20480.0]),
        row("io1024x1024_mc1_np10", [46.0, 23.0, 0.022, 783.3, 42.7, 42.7, 44474.0, 10230.0, 10240.0]),
        row("io1024x1024_mc4_np40", [140.0, 70.0, 0.068, 1973.2, 55.2, 55.2, 58477.0, 40920.0, 40960.0]),
    ]
}

fn many(n: usize) -> Vec<ComparedRow> {
    let mut numbers = Numbers(3);
    let one = |i: usize| {
        let users = f64::from(1 << (i % 8));
        let length = 1 << (7 + i / 8);
        let rate = 40.0 * users.powf(0.8) * (0.9 + 0.2 * numbers.next());
        let ttft = 60.0 * users.powf(0.7) * f64::from(length) / 256.0;
        let tpot = 12.0 + users * 0.4;
        let e2el = ttft + tpot * f64::from(length);
        let tokens = users * 10.0 * f64::from(length);
        let label = format!("io{length}x{length}_mc{users}_np{}", users * 10.0);
        let rates = [2.0 * rate, rate, rate / f64::from(length)];
        let [total, output, requests] = rates;
        row(&label, [total, output, requests, ttft, tpot, tpot * 1.01, e2el, tokens, tokens * 0.98])
    };
    let mut rows: Vec<ComparedRow> = (0..n).map(one).collect();
    if n > 6 {
        rows[5].values.clear();
        rows[3].values.remove("mean_ttft_ms");
    }
    rows
}

fn wave(name: &str, n: usize, shift: f64) -> (String, Vec<(f64, f64)>) {
    let points = (0..n).map(|i| (i as f64 + 1.0, 40.0 + 30.0 * (i as f64 * 0.3 + shift).sin())).collect();
    (name.to_owned(), points)
}

pub(super) fn generic_figures() -> Vec<(String, Figure)> {
    let mut numbers = Numbers(11);
    let chart = |title: &str, x: &str, y: &str| Chart {
        title: title.into(),
        x_label: x.into(),
        y_label: y.into(),
        ..Chart::default()
    };
    let mut cloud = |n: usize| -> Vec<(f64, f64)> {
        (0..n).map(|_| (10f64.powf(3.0 * numbers.next()), numbers.next() * numbers.next())).collect()
    };
    let lines = Chart {
        bands: vec![(
            "p10 to p90".into(),
            (1..=40).map(|x| (f64::from(x), 10.0, 50.0 + f64::from(x))).collect(),
        )],
        marks: vec![(12.0, "knee".into()), (12.5, "SLO".into()), (39.9, "the end of it".into())],
        ..chart("Goodput against rate", "requests per second", "goodput (req/s)")
    };
    let ramp = (1..14).map(|i| (f64::from(1 << i), 20.0 * f64::from(1 << i).powf(0.9))).collect();
    let log_log = Chart {
        log_x: true,
        log_y: true,
        y_format: TickFormat::Ms,
        ..chart("按并发的延迟", "并发数", "首令牌时间")
    };
    let cdf_chart = Chart {
        log_x: true,
        x_format: TickFormat::Ms,
        ..chart("TTFT by class", "TTFT", "share of requests")
    };
    let samples = ["short", "long", "all of them together"]
        .map(|name| (name.to_owned(), cloud(3000).into_iter().map(|point| point.0).collect()));
    let series = (0..14).map(|i| wave(&format!("series with a long name {i}"), 40, f64::from(i))).collect();
    let cells: Vec<(f64, f64, f64)> =
        (0..48).map(|i| (f64::from(1 << (i % 8)), f64::from(i / 8), f64::from(i * i))).collect();
    let names: Vec<String> = (0..6).map(|i| format!("{}", 1 << i)).collect();
    let long: Vec<String> = many(12).into_iter().map(|row| row.label).collect();
    let bars = vec![
        ("run A".to_owned(), vec![1.0, 2.0, f64::NAN, 8.0, 12.5, 13.0]),
        ("run B".into(), vec![1.5, 2.5, 4.0, 9.0, 14.0, 18.0]),
    ];
    vec![
        ("line".into(), generic::line(lines, vec![wave("measured", 40, 0.0), wave("expected", 40, 0.4)])),
        ("line_log".into(), generic::line(log_log, vec![(String::new(), ramp)])),
        ("line_many".into(), generic::line(chart("Fourteen series", "time (s)", "tokens/s"), series)),
        ("cdf".into(), generic::cdf(cdf_chart, samples.into())),
        ("bar".into(), generic::bar(chart("Bars", "concurrency", "req/s"), names, bars)),
        (
            "bar_long".into(),
            generic::bar(
                chart("Long names", "configuration", "req/s"),
                long,
                vec![(String::new(), (1..=12).map(f64::from).collect())],
            ),
        ),
        (
            "scatter".into(),
            generic::scatter(
                Chart { log_x: true, ..chart("A cloud", "x", "y") },
                vec![("many".into(), cloud(100_000)), ("few".into(), cloud(50))],
            ),
        ),
        ("heat".into(), generic::heatmap(chart("Goodput", "concurrency", "input length"), &cells)),
        ("empty".into(), generic::line(chart("Nothing", "x", "y"), vec![])),
        (
            "one_point".into(),
            generic::scatter(chart("One", "x", "y"), vec![(String::new(), vec![(5.0, 0.0)])]),
        ),
    ]
}

pub(super) fn run_figures() -> Vec<(String, Figure)> {
    let plain = record(0, 0.0, 0.5, 553.0, &[]);
    let equal: Vec<Record> = (0..50).map(|i| record(i, 0.0, 0.0, 553.0, &[20.0; 30])).collect();
    let mut silent = traffic(40);
    silent.iter_mut().for_each(|record| {
        record.streamed = false;
        record.timeline.events = Events::default();
    });
    let mut failing = traffic(60);
    failing.iter_mut().for_each(|record| record.outcome = Outcome::Status);
    let sets = [
        ("120", traffic(120)),
        ("3000", traffic(3000)),
        ("one", vec![plain]),
        ("equal", equal),
        ("none", vec![]),
        ("silent", silent),
        ("failing", failing),
    ];
    let mut all = Vec::new();
    for (name, records) in sets {
        let mut seen = (Latencies::default(), Lines::default(), Occupancy::default());
        records.iter().for_each(|record| seen.add(record));
        let (latencies, lines, occupancy) = seen;
        let mut tokens = run::token_bins(occupancy.end());
        records.iter().for_each(|record| tokens.add(record));
        for lang in Lang::ALL {
            let figures = [
                ("distributions", run::distributions("DeepSeek-R1", &latencies, lang)),
                ("over_time", run::over_time("DeepSeek-R1", &occupancy, &tokens, Some(0), lang)),
                ("timeline", run::timeline("DeepSeek-R1", &lines, lang)),
            ];
            all.extend(figures.map(|(kind, figure)| (format!("{kind}_{name}_{}", lang.name()), figure)));
            let told = server::over_time("DeepSeek-R1", &occupancy, &tokens, &told(), Some(0), lang);
            all.extend(told.map(|figure| (format!("server_{name}_{}", lang.name()), figure)));
        }
    }
    all
}

/// What a server tells of itself over a minute, with three seconds of silence.
fn told() -> Vec<Point> {
    let second = |at: i64| {
        let gauges =
            [("running", (at % 9) as f64), ("waiting", (at % 4) as f64), ("kv_use", 0.01 * at as f64)];
        let rest = [("generation_tokens_total", 900.0 * at as f64), ("scrape_ms", 2.0), ("scrape_gap", 3.0)];
        let all = gauges.into_iter().chain(rest).filter(move |(name, _)| *name != "scrape_gap" || at == 33);
        all.map(move |(metric, value)| Point {
            at: at * 1_000_000_000,
            source: Source::Server,
            metric: metric.into(),
            labels: None,
            value,
            raw_name: None,
        })
    };
    (0..60).filter(|at| !(30..33).contains(at)).flat_map(second).collect()
}

/// By how much a result differs from another, of a cell and of several.
pub(super) fn forests() -> Vec<(String, Figure)> {
    let words = [Word::Worse, Word::Better, Word::Same, Word::Unclear];
    let named =
        ["ttft.mean", "ttft.p50", "ttft.p99", "tpot.mean", "itl.p99", "e2el.p99", "output_tokens.rate"];
    let row = |(i, label): (usize, &str)| {
        let (value, word) = ([0.31, -0.12, 0.004, 0.05][i % 4] * (1 + i / 4) as f64, words[i % 4]);
        ForestRow { label: label.into(), value, low: value - 0.03, high: value + 0.02, word }
    };
    let group = |i: usize, rows: usize| ForestGroup {
        name: if i == 0 { String::new() } else { format!("io1024x1024_mc{}_np1280", 1 << i) },
        rows: named.into_iter().enumerate().take(rows).map(row).collect(),
    };
    let of = |(groups, rows): (usize, usize)| Forest {
        title: "B: DeepSeek-R1_20261130_065501".into(),
        groups: (0..groups).map(|i| group(i, rows)).collect(),
        margin: 0.03,
        ..Forest::default()
    };
    let sizes = [(0, 0), (1, 1), (1, 7), (3, 7), (7, 7), (20, 7)];
    let each = sizes.into_iter().flat_map(|size| Lang::ALL.map(|lang| (size, lang)));
    each.map(|(size, lang)| {
        let figure = forest::figure(&of(size), lang);
        (format!("forest_{}_{}_{}", size.0, size.1, lang.name()), figure)
    })
    .collect()
}

pub(super) fn look(lang: Lang, theme: Theme) -> Look {
    Look { title: "DeepSeek-R1".into(), lang, theme, weights: compare::WEIGHTS }
}

/// Two models on two dates, with long names.
fn two_models() -> Vec<ComparedRow> {
    let of = |model: &str| {
        many(8)
            .into_iter()
            .map(move |mut row| {
                row.group = format!("{model} 2026-11-30 06:55:01");
                row.label = format!("{} {}", row.group, row.label);
                row
            })
            .collect::<Vec<_>>()
    };
    [of("Llama-3.3-70B-Instruct"), of("Qwen2.5-72B-Instruct")].concat()
}

/// With intervals, some of what was measured not valid, some percentiles of too few values, and GPUs.
fn doubted(n: usize) -> Vec<ComparedRow> {
    let mut rows = many(n);
    for (i, row) in rows.iter_mut().enumerate() {
        for (column, value) in row.values.clone() {
            row.intervals.insert(column, (value * 0.9, if i == 2 { f64::INFINITY } else { value * 1.2 }));
        }
        let output = row.value("output_throughput");
        row.values.insert(compare::PER_GPU.into(), output / 8.0);
        row.weak.insert("p99_ttft_ms".into());
        if i % 5 == 1 {
            row.verdict = Some(if i == 1 { "cache_contaminated" } else { "client_bound" }.into());
        }
    }
    rows
}

pub(super) fn compare_figures() -> Vec<(String, Figure)> {
    let mut repeated = measured();
    for row in &mut repeated {
        row.repeats = 3;
        row.intervals =
            row.values.iter().map(|(name, value)| (name.clone(), (value * 0.9, value * 1.1))).collect();
    }
    let mut failed = measured()[..2].to_vec();
    failed[1].values.clear();
    failed[1].verdict = Some("all_failed".into());
    let odd = |n: usize| -> Vec<ComparedRow> {
        let rows = many(40).into_iter().cycle().take(n).enumerate();
        rows.map(|(i, row)| ComparedRow { label: format!("{} {i}", row.label), ..row }).collect()
    };
    let mut sets = vec![
        ("1", measured()[..1].to_vec()),
        ("4", measured()),
        ("12", many(12)),
        ("40", many(40)),
        ("maps", many(184)),
        ("odd40", odd(40)),
        ("0", vec![]),
        ("failed", failed),
        ("all_failed", vec![ComparedRow { verdict: Some("all_failed".into()), ..row("io", [f64::NAN; 9]) }]),
        ("models", two_models()),
        ("repeats", repeated),
        ("doubted", doubted(12)),
        ("doubted40", doubted(40)),
    ];
    for (_, rows) in &mut sets {
        for row in rows {
            let users = row.label.split("_mc").nth(1).and_then(|rest| rest.split('_').next()?.parse().ok());
            row.values.extend(users.map(|users: f64| ("max_concurrency".to_string(), users)));
        }
    }
    let mut all = Vec::new();
    for (lang, theme) in [(Lang::English, Theme::Light), (Lang::Chinese, Theme::Dark)] {
        for (name, rows) in &sets {
            for kind in Comparison::ALL {
                for (page, figure) in compare::pages(kind, rows, &look(lang, theme)).into_iter().enumerate() {
                    all.push((format!("{}_{name}_{}-{page}", kind.name(), lang.name()), figure));
                }
            }
        }
    }
    all
}

/// One of the pictures over what was once measured.
pub(super) fn of_measured(kind: Comparison) -> Figure {
    compare::pages(kind, &measured(), &look(Lang::English, Theme::Light)).remove(0)
}

pub(super) fn gallery() -> Vec<(String, Figure)> {
    [compare_figures(), run_figures(), forests(), generic_figures()].concat()
}
