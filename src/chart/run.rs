//! The three pictures of one run: distributions, rates over time, timeline of requests.

use super::ticks::{TickFormat, thousands};
use super::{Axis, Figure, Panel, Series, Style, Tone};
use crate::lang::Lang;
use crate::record::Nanos;
use crate::stats::latencies::Latencies;
use crate::stats::levels::Levels;
use crate::stats::lines::{Lines, SeriesLine};
use crate::stats::occupancy::Occupancy;
use crate::stats::token_bins::TokenBins;
use crate::stats::turnout::Turnout;
use crate::stats::weighed::Weighed;

/// Bins of a histogram.
const BINS: usize = 60;
/// Lines of a timeline, beyond which requests are sampled.
const LINES: u64 = 400;

/// A text in the language asked for.
pub(super) fn say(lang: Lang, en: &str, zh: &str) -> String {
    lang.pick(en, zh).to_owned()
}

pub(super) fn titled(name: &str, own: &str) -> String {
    if name.is_empty() { own.to_owned() } else { format!("{name} — {own}") }
}

/// TTFT and ITL on a log axis with percentiles marked.
pub fn distributions(name: &str, latencies: &Latencies, lang: Lang) -> Figure {
    let (ttft, itl) = (latencies.ttft(), latencies.itl());
    let none = |of_one: (&str, &str)| match (latencies.succeeded == 0, ttft.is_empty()) {
        (true, _) => say(lang, "no data: no request succeeded", "没有数据：没有成功的请求"),
        (_, true) => say(lang, "no data: no reply was streamed", "没有数据：没有流式回复"),
        _ => say(lang, of_one.0, of_one.1),
    };
    let no_ttft = none(("", ""));
    let no_itl = none(("no data: no reply came in several events", "没有数据：回复都只有一个事件"));
    let (requests, firsts, gaps) = (count(latencies.succeeded), count(ttft.count()), count(itl.count()));
    let subtitle = say(
        lang,
        &format!("successful requests: {requests}, TTFT values: {firsts}, ITL values: {gaps}"),
        &format!("成功请求 {requests} 个，首令牌时间 {firsts} 个，令牌间延迟 {gaps} 个"),
    );
    let panels = vec![
        histogram(
            &say(lang, "Time to first token (TTFT)", "首令牌时间 (TTFT)"),
            &say(lang, "share of requests", "请求占比"),
            &ttft,
            no_ttft,
            0,
        ),
        histogram(
            &say(lang, "Inter-token latency (ITL)", "令牌间延迟 (ITL)"),
            &say(lang, "share of gaps", "间隔占比"),
            &itl,
            no_itl,
            2,
        ),
    ];
    let own = lang.pick("TTFT and ITL distributions", "首令牌时间与令牌间延迟分布");
    let mut figure = Figure::new(titled(name, own), 2, panels);
    figure.subtitle = subtitle;
    figure
}

fn histogram(title: &str, y_label: &str, values: &Weighed, none: String, accent: usize) -> Panel {
    // Gaps of zero (events of one read) have no place on a log axis: they count at 1 µs.
    let values = values.at_least(1e-3);
    let mut panel = Panel {
        title: title.to_owned(),
        x: Axis::log("").format(TickFormat::Ms),
        y: Axis::linear(y_label).format(TickFormat::Share),
        ..Panel::default()
    };
    let (Some(least), Some(most)) = (values.min(), values.max()) else {
        panel.note = Some(none);
        return panel;
    };
    let (from, to) = view(least, most);
    panel.x.range = Some((10f64.powf(from), 10f64.powf(to)));
    let (points, labels) = percentile_marks(&values);
    panel.series = vec![
        Series::new("", Style::Area, outline(&values, from, to)).tone(Tone::Accent(accent)),
        Series::new("", Style::Marks(labels), points),
    ];
    panel
}

/// The exponents of ten to show: all values, and half a decade at least.
fn view(least: f64, most: f64) -> (f64, f64) {
    let (lo, hi) = (least.log10(), most.log10());
    let pad = ((hi - lo) * 0.05).max((0.7 - (hi - lo)) / 2.0);
    (lo - pad, hi + pad)
}

/// The staircase of a histogram with bins of equal width on the log axis.
fn outline(values: &Weighed, from: f64, to: f64) -> Vec<(f64, f64)> {
    // Few values need wide bins, or every bin holds one. An odd number has a bin in the
    // middle, where values stand that are all equal.
    let all = values.count() as f64;
    let bins = (2 * all.sqrt().ceil() as usize).clamp(15, BINS) | 1;
    let width = (to - from) / bins as f64;
    let mut counts = vec![0; bins];
    for (value, times) in values.each() {
        let bin = ((value.log10() - from) / width) as usize;
        counts[bin.min(bins - 1)] += times;
    }
    let edge = |bin: usize| 10f64.powf(from + width * bin as f64);
    let mut points = vec![(edge(0), 0.0)];
    for (bin, count) in counts.iter().enumerate() {
        let share = *count as f64 / all;
        points.push((edge(bin), share));
        points.push((edge(bin + 1), share));
    }
    points.push((edge(bins), 0.0));
    points
}

/// p50, p90 and p99; those with the same text share a mark. A percentile that stands on less
/// than one value carries their number.
fn percentile_marks(values: &Weighed) -> (Vec<(f64, f64)>, Vec<String>) {
    let mut marks: Vec<(f64, String, String)> = Vec::new();
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        let Some(value) = values.quantile(share) else { continue };
        let weak = (1.0 - share) * (values.count() as f64) < 0.999;
        let text = TickFormat::Ms.value(value);
        let of = if weak { format!(" (n = {})", values.count()) } else { String::new() };
        match marks.iter_mut().find(|mark| mark.2.split(" (").next() == Some(&text)) {
            Some(mark) => (mark.1, mark.2) = (format!("{} = {name}", mark.1), [text, of].concat()),
            None => marks.push((value, name.to_owned(), [text, of].concat())),
        }
    }
    marks.into_iter().map(|(value, name, text)| ((value, 0.0), format!("{name} = {text}"))).unzip()
}

/// Bins for the output tokens of a run whose picture ends at `end`.
pub fn token_bins(end: Nanos) -> TokenBins {
    TokenBins::new((bin_width(seconds(end)) * 1e9).round() as Nanos, end)
}

/// Output tokens per second and requests in flight over time; `tokens` are in the bins of
/// [`token_bins`] until the end of the last request. `start`: of the measured window.
pub fn over_time(
    name: &str,
    occupancy: &Occupancy,
    tokens: &TokenBins,
    start: Option<Nanos>,
    lang: Lang,
) -> Figure {
    let end = seconds(occupancy.end());
    let rates = token_rates(tokens, end);
    let warmup_ends = warmup_mark(&occupancy.turnout, start, lang);
    let mut figure = Figure::new(
        titled(name, lang.pick("Throughput and load over time", "吞吐量与负载随时间变化")),
        1,
        vec![
            Panel {
                title: say(lang, "Output tokens per second", "每秒输出令牌数"),
                x: time_axis("", end),
                y: Axis::linear(""),
                note: rates
                    .is_empty()
                    .then(|| say(lang, "no data: no output tokens", "没有数据：没有输出令牌")),
                series: [Some(Series::new("", Style::Area, rates)), warmup_ends]
                    .into_iter()
                    .flatten()
                    .collect(),
                ..Panel::default()
            },
            load_panel(occupancy, end, lang),
        ],
    );
    let (counts, bin) = (counts(&occupancy.turnout, lang), bin_text(bin_width(end)));
    figure.subtitle = say(lang, &format!("{counts}; bins of {bin}"), &format!("{counts}；每格 {bin}"));
    figure
}

/// The measured requests, as the table of the run counts them, and those of the warm-up.
pub(super) fn counts(turnout: &Turnout, lang: Lang) -> String {
    let (measured, failed) = (count(turnout.measured), count(turnout.failed));
    let (en, zh) = match turnout.warmup {
        0 => (String::new(), String::new()),
        n => (format!(", warm-up: {}", count(n)), format!("，预热 {} 个", count(n))),
    };
    say(
        lang,
        &format!("requests: {measured}, failed: {failed}{en}"),
        &format!("{measured} 个请求，{failed} 个失败{zh}"),
    )
}

/// Seconds from 0 to `end`, written out: 1,500 and not 1.5k.
pub(super) fn time_axis(label: &str, end: f64) -> Axis {
    let format = if end > 10.0 { TickFormat::Count } else { TickFormat::Number };
    Axis::linear(label).range(0.0, end.max(1e-3)).format(format)
}

/// Requests in flight, those that wait at the cap, and failures at the height of the load.
fn load_panel(occupancy: &Occupancy, end: f64, lang: Lang) -> Panel {
    let (flight, waiting) = (stairs(&occupancy.in_flight), stairs(&occupancy.waiting));
    let failures: Vec<(f64, f64)> =
        occupancy.failures().into_iter().map(seconds).map(|at| (at, level_at(&flight, at))).collect();
    let mut series = Vec::new();
    if !waiting.is_empty() {
        let name = say(lang, "waiting to be sent", "等待发送");
        series.push(Series::new(name, Style::Step, waiting).tone(Tone::Muted));
    }
    let name = say(lang, "in flight", "进行中");
    series.push(Series::new(name, Style::Step, flight.clone()).tone(Tone::Accent(2)));
    if !failures.is_empty() {
        series.push(Series::new(say(lang, "failed", "失败"), Style::Points, failures).tone(Tone::Bad));
    }
    Panel {
        title: say(lang, "Requests in flight", "进行中的请求"),
        x: time_axis(&say(lang, "time (s)", "时间 (秒)"), end),
        y: Axis::linear("").format(TickFormat::Count),
        note: flight.is_empty().then(|| say(lang, "no data: no request was sent", "没有数据：没有发出请求")),
        series,
        ..Panel::default()
    }
}

/// Where the measured window begins, when there was a warm-up.
pub(super) fn warmup_mark(turnout: &Turnout, start: Option<Nanos>, lang: Lang) -> Option<Series> {
    let start = start.filter(|_| turnout.warmup > 0)?;
    let label = say(lang, "warm-up ends", "预热结束");
    Some(Series::new("", Style::Marks(vec![label]), vec![(seconds(start), 0.0)]))
}

/// A round bin (seconds) that gives about a hundred bins.
pub(super) fn bin_width(end: f64) -> f64 {
    let widths =
        [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0];
    widths.into_iter().find(|width| end / width <= 120.0).unwrap_or(3600.0)
}

pub(super) fn bin_text(bin: f64) -> String {
    TickFormat::Ms.tick(bin * 1e3, 0.0)
}

/// The staircase of output tokens per second, with the tokens where they arrived.
pub(super) fn token_rates(tokens: &TokenBins, end: f64) -> Vec<(f64, f64)> {
    let (bins, bin, mut tokens) = (tokens.tokens.len(), seconds(tokens.width), tokens.tokens.clone());
    if tokens.iter().all(|n| *n == 0.0) {
        return Vec::new();
    }
    // A short rest at the end would show a rate of chance: it joins the bin before it.
    let mut edges: Vec<f64> = (0..=bins).map(|i| (i as f64 * bin).min(end)).collect();
    if bins > 1 && edges[bins] - edges[bins - 1] < 0.5 * bin {
        edges.remove(bins - 1);
        let rest = tokens.pop().unwrap_or_default();
        tokens[bins - 2] += rest;
    }
    let bins = tokens.iter().zip(edges.windows(2));
    bins.flat_map(|(n, edge)| {
        let rate = n / (edge[1] - edge[0]).max(1e-9);
        [(edge[0], rate), (edge[1], rate)]
    })
    .collect()
}

/// How many intervals hold each moment: (second, count), each count until the next second.
pub(super) fn stairs(levels: &Levels) -> Vec<(f64, f64)> {
    let mut steps: Vec<(f64, f64)> =
        levels.steps().into_iter().map(|(at, level)| (seconds(at), level as f64)).collect();
    // Before the first change there is nothing.
    if let Some(first) = steps.first().filter(|first| first.0 > 0.0) {
        let start = (first.0.min(0.0), 0.0);
        steps.insert(0, start);
    }
    steps
}

/// The level just before `at`, so that a failure sits on top of the load that it was part of.
fn level_at(levels: &[(f64, f64)], at: f64) -> f64 {
    let after = levels.partition_point(|step| step.0 < at);
    after.checked_sub(1).map_or(0.0, |i| levels[i].1)
}

/// One line per request: waiting, time to first token, streaming, failures.
///
/// Of more than a few hundred requests an even sample is shown.
pub fn timeline(name: &str, lines: &Lines, lang: Lang) -> Figure {
    let shown = sample(lines);
    let [mut waiting, mut first, mut streaming, mut failed] = [const { Vec::new() }; 4];
    for (row, line) in shown.iter().enumerate() {
        let span = |list: &mut Vec<(f64, f64)>, from: Nanos, to: Nanos| {
            list.extend([(seconds(from), row as f64), (seconds(to.max(from)), row as f64)]);
        };
        let Some(sent) = line.sent else {
            span(&mut failed, line.planned, line.end);
            continue;
        };
        if sent - line.planned > 1_000_000 {
            span(&mut waiting, line.planned, sent);
        }
        if !line.success {
            span(&mut failed, sent, line.end);
            continue;
        }
        let token = line.first_output.unwrap_or(line.end);
        span(&mut first, sent, token);
        if line.end > token {
            span(&mut streaming, token, line.end);
        }
    }
    let kinds = [
        (say(lang, "waiting to be sent", "等待发送"), waiting, Tone::Muted),
        (say(lang, "until the first token", "等待首令牌"), first, Tone::Accent(4)),
        (say(lang, "streaming", "流式输出"), streaming, Tone::Accent(0)),
        (say(lang, "failed", "失败"), failed, Tone::Bad),
    ];
    let end = seconds(shown.iter().map(|line| line.end).max().unwrap_or(0));
    let panel = Panel {
        x: time_axis(&say(lang, "time (s)", "时间 (秒)"), end),
        // Turned: the first request is at the top.
        y: Axis::linear(say(
            lang,
            "one line per request, in order of planned time",
            "每行一个请求，按计划时间排序",
        ))
        .range(shown.len() as f64 - 0.5, -0.5)
        .format(TickFormat::Hidden),
        note: shown.is_empty().then(|| say(lang, "no data: no request was made", "没有数据：没有请求")),
        series: kinds
            .into_iter()
            .filter(|(_, points, _)| !points.is_empty())
            .map(|(name, points, tone)| Series::new(name, Style::Spans, points).tone(tone))
            .collect(),
        ..Panel::default()
    };
    let own = lang.pick("Timeline of requests", "请求时间线");
    let mut figure = Figure::new(titled(name, own), 1, vec![panel]);
    figure.subtitle = timeline_subtitle(lines, &shown, lang);
    figure
}

fn timeline_subtitle(lines: &Lines, shown: &[SeriesLine], lang: Lang) -> String {
    let counts = counts(&lines.turnout, lang);
    let (good, bad) = lines.counts();
    if shown.len() as u64 == good + bad {
        return counts;
    }
    let seen = shown.iter().filter(|line| !line.success).count() as u64;
    let (few, all, seen, failed) = (count(shown.len() as u64), count(good + bad), count(seen), count(bad));
    let (en, zh) = match bad {
        0 => (String::new(), String::new()),
        _ => (format!(", with {seen} of {failed} failures"), format!("，含 {failed} 个失败中的 {seen} 个")),
    };
    say(
        lang,
        &format!("{counts}; an even sample of {few} lines from {all}{en}"),
        &format!("{counts}；从 {all} 个中均匀抽样 {few} 行{zh}"),
    )
}

/// At most [`LINES`] requests in order, failures in proportion, but twenty of them at least,
/// since a single one may be what is looked for.
fn sample(lines: &Lines) -> Vec<SeriesLine> {
    let ((all_good, all_bad), (good, bad)) = (lines.counts(), lines.kept());
    let all = all_good + all_bad;
    let mut chosen = if all <= LINES {
        [good, bad].concat()
    } else {
        let bad_lines = (all_bad * LINES / all).max(20).min(all_bad);
        let mut chosen = evenly(&bad, bad_lines as usize);
        chosen.extend(evenly(&good, (LINES - bad_lines) as usize));
        chosen
    };
    chosen.sort_unstable_by_key(SeriesLine::place);
    chosen
}

fn evenly(lines: &[SeriesLine], wanted: usize) -> Vec<SeriesLine> {
    let wanted = wanted.min(lines.len());
    (0..wanted).map(|i| lines[i * lines.len() / wanted]).collect()
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}

pub(super) fn count(n: u64) -> String {
    thousands(n as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Outcome, Phase, Record};
    use crate::stats::Fold;

    fn fold<F: Fold + Default>(records: &[Record]) -> F {
        let mut fold = F::default();
        records.iter().for_each(|record| fold.add(record));
        fold
    }

    #[test]
    fn a_picture_counts_requests_as_the_table_does_and_tells_the_warm_up_apart() {
        let mut records: Vec<Record> = (0..7).map(|seq| request(seq, Outcome::Success)).collect();
        records[6].outcome = Outcome::ServerError;
        records[..2].iter_mut().for_each(|record| record.phase = Phase::Warmup);
        let told = "requests: 5, failed: 1, warm-up: 2";
        let (lines, occupancy): (Lines, Occupancy) = (fold(&records), fold(&records));
        assert_eq!(timeline("a", &lines, Lang::English).subtitle, told);
        let over_time = over_time("a", &occupancy, &token_bins(occupancy.end()), Some(0), Lang::English);
        assert!(over_time.subtitle.starts_with(&format!("{told}; bins of ")), "{}", over_time.subtitle);
        assert_eq!(timeline("a", &lines, Lang::Chinese).subtitle, "5 个请求，1 个失败，预热 2 个");
        assert_eq!(timeline("a", &fold(&records[2..]), Lang::English).subtitle, "requests: 5, failed: 1");
    }

    #[test]
    fn percentiles_with_the_same_text_share_one_mark() {
        let weighed = |values: &[f64]| values.iter().copied().collect::<Weighed>();
        let (points, labels) = percentile_marks(&weighed(&[20.0; 200]));
        assert_eq!((points.len(), labels), (1, vec!["p50 = p90 = p99 = 20.0 ms".to_owned()]));
        let spread: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile_marks(&weighed(&spread)).1, ["p50 = 100 ms", "p90 = 180 ms", "p99 = 198 ms"]);
    }

    #[test]
    fn a_percentile_of_too_few_values_says_how_many_there_were() {
        let few: Vec<f64> = (1..=40).map(f64::from).collect();
        let labels = percentile_marks(&few.into_iter().collect()).1;
        assert_eq!(labels, ["p50 = 20.5 ms", "p90 = 36.1 ms", "p99 = 39.6 ms (n = 40)"]);
        assert_eq!(percentile_marks(&[553.0].into_iter().collect()).1, ["p50 = p90 = p99 = 553 ms (n = 1)"]);
    }

    #[test]
    fn the_shares_of_a_histogram_add_up_to_one() {
        let values: Weighed = [1.0, 5.0, 5.0, 80.0, 900.0].into_iter().collect();
        let (from, to) = view(1.0, 900.0);
        let points = outline(&values, from, to);
        let bins = &points[1..points.len() - 1];
        let sum: f64 = bins.iter().step_by(2).map(|point| point.1).sum();
        assert!((sum - 1.0).abs() < 1e-9);
        assert_eq!((points[0].1, points[points.len() - 1].1), (0.0, 0.0));
    }

    #[test]
    fn requests_in_flight_are_counted_at_every_moment() {
        let second = 1_000_000_000;
        let mut levels = Levels::default();
        levels.add(second, 3 * second);
        levels.add(2 * second, 4 * second);
        let steps = stairs(&levels);
        assert_eq!(steps, [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (3.0, 1.0), (4.0, 0.0)]);
        assert_eq!(level_at(&steps, 3.0), 2.0);
        assert_eq!(level_at(&steps, 0.0), 0.0);
    }

    fn request(seq: u64, outcome: Outcome) -> Record {
        Record { outcome, ..crate::chart::gallery::record(seq, seq as f64, seq as f64, 1.0, &[1.0; 5]) }
    }

    #[test]
    fn a_sample_keeps_failures_in_proportion_but_never_loses_the_few() {
        let fails = |every: u64| -> (u64, u64) {
            let outcome = |seq| if seq % every == 0 { Outcome::Status } else { Outcome::Success };
            let records: Vec<Record> = (0..4000).map(|seq| request(seq, outcome(seq))).collect();
            let chosen = sample(&fold(&records));
            assert!(chosen.is_sorted_by_key(|line| line.seq));
            (chosen.len() as u64, chosen.iter().filter(|line| !line.success).count() as u64)
        };
        assert_eq!(fails(2), (LINES, LINES / 2));
        assert_eq!(fails(1), (LINES, LINES));
        assert_eq!(fails(1000), (LINES, 4));
    }
}
