//! What holds for every picture, checked over a gallery of ordinary and awkward ones.

use super::canvas::{Anchor, Canvas, CanvasShape, Fill, Ink, TextBox};
use super::compare::{self, ComparedRow, Comparison, Look};
use super::generic::{self, Chart};
use super::palette::{Color, Theme};
use super::{Figure, TickFormat, draw, has_glyph, png, run};
use crate::lang::Lang;
use crate::record::{Connect, EventKind, Events, Outcome, Phase, Record, Timeline, Timeout, Usage};
use crate::stats::Fold;
use crate::stats::latencies::Latencies;
use crate::stats::lines::Lines;
use crate::stats::occupancy::Occupancy;
use std::io::Read;

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
fn measured() -> Vec<ComparedRow> {
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

fn generic_figures() -> Vec<(String, Figure)> {
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

fn run_figures() -> Vec<(String, Figure)> {
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
        }
    }
    all
}

fn look(lang: Lang, theme: Theme) -> Look {
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

fn compare_figures() -> Vec<(String, Figure)> {
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
fn of_measured(kind: Comparison) -> Figure {
    compare::pages(kind, &measured(), &look(Lang::English, Theme::Light)).remove(0)
}

fn gallery() -> Vec<(String, Figure)> {
    [compare_figures(), run_figures(), generic_figures()].concat()
}

fn overlap(a: &TextBox, b: &TextBox) -> bool {
    let slack = 0.5;
    a.left + slack < b.right
        && b.left + slack < a.right
        && a.top + slack < b.bottom
        && b.top + slack < a.bottom
}

fn faults(figure: &Figure) -> Vec<String> {
    let canvas = draw::figure(figure);
    let mut faults = Vec::new();
    for (i, text) in canvas.texts.iter().enumerate() {
        if text.left < 0.0 || text.top < 0.0 || text.right > canvas.width || text.bottom > canvas.height {
            faults.push(format!("outside: {text:?}"));
        }
        faults.extend(
            canvas.texts[i + 1..]
                .iter()
                .filter(|other| overlap(text, other))
                .map(|other| format!("overlap: {text:?} {other:?}")),
        );
    }
    faults
}

#[test]
fn no_text_leaves_the_picture_and_no_two_overlap() {
    for (name, figure) in gallery() {
        assert_eq!(faults(&figure), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn pictures_over_configurations_are_slides_whatever_there_is() {
    for (name, figure) in compare_figures() {
        let canvas = draw::figure(&figure);
        assert_eq!((canvas.width, canvas.height), (1280.0, 720.0), "{name}");
    }
}

#[test]
fn a_picture_speaks_one_language() {
    let chinese = |c: char| ('\u{4E00}'..='\u{9FFF}').contains(&c);
    for (name, figure) in compare_figures() {
        let texts: String = draw::figure(&figure).texts.into_iter().map(|text| text.text).collect();
        assert_eq!(texts.contains(chinese), name.contains("_zh"), "{name}: {texts}");
        assert!(!texts.contains(" · "), "{name}: {texts}");
    }
}

#[test]
fn a_picture_that_is_too_small_grows_before_texts_overlap() {
    for (name, mut figure) in gallery().into_iter().filter(|(name, _)| !name.contains("_zh-")) {
        figure.width = 560;
        figure.height = 200;
        assert_eq!(faults(&figure), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn every_svg_is_well_formed_and_the_same_each_time() {
    for (name, figure) in gallery() {
        let svg = figure.svg();
        assert!(roxmltree::Document::parse(&svg).is_ok(), "{name}");
        assert_eq!(svg, figure.svg(), "{name}");
    }
}

#[test]
fn every_built_in_text_has_glyphs() {
    for (name, figure) in gallery() {
        for text in draw::figure(&figure).texts {
            let missing: Vec<char> = text.text.chars().filter(|c| !has_glyph(*c)).collect();
            assert!(missing.is_empty(), "{name}: {missing:?} in \"{}\"", text.text);
        }
    }
}

#[test]
fn a_measured_text_is_as_wide_as_it_is_drawn() {
    let figure = of_measured(Comparison::HeatMap);
    let canvas = draw::figure(&figure);
    let drawn = canvas.shapes.iter().filter_map(|shape| match shape {
        CanvasShape::Text { text, ink, .. } => {
            png::outline(text, *ink).map(|path| f64::from(path.bounds().width()))
        }
        _ => None,
    });
    let drawn: Vec<f64> = drawn.collect();
    assert_eq!(drawn.len(), canvas.texts.len());
    for (text, width) in canvas.texts.iter().zip(drawn) {
        // An upright text's box is as high as the text is wide.
        let measured = (text.right - text.left).max(text.bottom - text.top);
        assert!(
            (measured - width).abs() < 0.02 * measured + 2.5,
            "{} is {width}, measured {measured}",
            text.text
        );
    }
}

#[test]
fn a_png_is_twice_the_size_and_shows_something() {
    let figure = of_measured(Comparison::Throughput);
    let picture = png::paint(&draw::figure(&figure)).unwrap();
    assert_eq!((picture.width(), picture.height()), (2 * figure.width, 2 * figure.height));
    let white = picture.pixels().iter().filter(|p| (p.red(), p.green(), p.blue()) == (255, 255, 255)).count();
    let share = white as f64 / picture.pixels().len() as f64;
    assert!((0.5..0.97).contains(&share), "{share} of the picture is white");
    assert!(picture.pixels().iter().all(|pixel| pixel.is_opaque()));

    let file = figure.png().unwrap();
    assert_eq!(file[..16], *b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR");
    let sizes = [&file[16..20], &file[20..24]].map(|four| u32::from_be_bytes(four.try_into().unwrap()));
    assert_eq!(sizes, [picture.width(), picture.height()]);
    let (start, end) = (41, file.len() - 16);
    assert_eq!((&file[start - 4..start], &file[end + 8..end + 12]), (&b"IDAT"[..], &b"IEND"[..]));
    let mut lines = Vec::new();
    flate2::read::ZlibDecoder::new(&file[start..end]).read_to_end(&mut lines).unwrap();
    let wide = picture.width() as usize;
    for (line, pixels) in lines.chunks(1 + 3 * wide).zip(picture.pixels().chunks(wide)) {
        let colors: Vec<u8> = pixels.iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect();
        assert_eq!((line[0], &line[1..]), (0, &colors[..]));
    }
}

/// The pixel at a place of the picture.
fn pixel(canvas: &Canvas, (x, y): (u32, u32)) -> (u8, u8, u8) {
    let picture = png::paint(canvas).unwrap();
    let pixel = picture.pixel(x * png::SCALE, y * png::SCALE).unwrap();
    (pixel.red(), pixel.green(), pixel.blue())
}

#[test]
fn a_png_mixes_what_lets_through_and_shows_nothing_outside_a_clip() {
    let mut canvas = Canvas::new(40.0, 20.0);
    canvas.clip((10.0, 0.0), (10.0, 20.0));
    canvas.rect((0.0, 0.0), (40.0, 20.0), Fill::new(Color(200, 0, 0), 0.5));
    canvas.unclip();
    canvas.rect((30.0, 0.0), (10.0, 20.0), Color(0, 0, 200));
    assert_eq!(pixel(&canvas, (5, 10)), (255, 255, 255));
    let (red, green, blue) = pixel(&canvas, (15, 10));
    assert!(red.abs_diff(227) < 2 && green.abs_diff(127) < 2 && blue == green, "{red} {green} {blue}");
    assert_eq!(pixel(&canvas, (25, 10)), (255, 255, 255));
    assert_eq!(pixel(&canvas, (35, 10)), (0, 0, 200));
}

#[test]
fn a_png_has_its_texts_where_their_boxes_are() {
    let ends = [Anchor::Start, Anchor::Middle, Anchor::End];
    for (anchor, upright) in ends.into_iter().flat_map(|anchor| [(anchor, false), (anchor, true)]) {
        let mut canvas = Canvas::new(200.0, 200.0);
        let ink = Ink { upright, ..Ink::new(20.0, Color(0, 0, 0)).anchor(anchor) };
        canvas.text("Hm 吞吐量", (100.0, 100.0), ink);
        let picture = png::paint(&canvas).unwrap();
        let dark = |at: &usize| picture.pixels()[*at].red() < 128;
        let wide = picture.width() as usize;
        let marked: Vec<usize> = (0..picture.pixels().len()).filter(dark).collect();
        let scale = f64::from(png::SCALE);
        let place = |at: usize| at as f64 / scale;
        let xs = marked.iter().map(|at| place(at % wide));
        let ys = marked.iter().map(|at| place(at / wide));
        let (left, right) = (xs.clone().fold(f64::MAX, f64::min), xs.fold(0.0, f64::max));
        let (top, bottom) = (ys.clone().fold(f64::MAX, f64::min), ys.fold(0.0, f64::max));
        let text = &canvas.texts[0];
        let near = |drawn: f64, told: f64| (drawn - told).abs() < 4.0;
        let all = near(left, text.left) && near(right, text.right) && near(top, text.top);
        assert!(
            all && near(bottom, text.bottom),
            "{anchor:?} {upright}: {left} {top} {right} {bottom} {text:?}"
        );
    }
}

#[test]
fn a_title_from_outside_cannot_break_the_document() {
    let chart = Chart { title: "a < b & \"c\" \u{0} \u{1b}[0m 😀 </svg>".into(), ..Chart::default() };
    let figure =
        generic::line(chart, vec![("<&>".into(), vec![(0.0, 1.0), (1.0, f64::INFINITY), (2.0, -1e300)])]);
    assert!(roxmltree::Document::parse(&figure.svg()).is_ok());
}

#[test]
fn the_ending_of_a_file_says_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let figure = generic::line(Chart::default(), vec![(String::new(), vec![(0.0, 1.0), (1.0, 2.0)])]);
    figure.save(&folder.path().join("a.svg")).unwrap();
    figure.save(&folder.path().join("a.PNG")).unwrap();
    assert!(std::fs::read_to_string(folder.path().join("a.svg")).unwrap().starts_with("<svg"));
    assert!(std::fs::read(folder.path().join("a.PNG")).unwrap().starts_with(b"\x89PNG"));
    let error = figure.save(&folder.path().join("a.gif")).unwrap_err();
    assert!(error.to_string().contains("a.gif") && error.hint.unwrap().contains(".svg"));
}
