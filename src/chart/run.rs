//! The three pictures of one run: distributions, rates over time, timeline of requests.

use super::ticks::{Format, thousands};
use super::{Axis, Figure, Panel, Series, Style, Tone};
use crate::lang::Lang;
use crate::record::{Nanos, Phase, Record};

/// Bins of a histogram.
const BINS: usize = 60;
/// Lines of a timeline, beyond which requests are sampled.
const LINES: usize = 400;

/// A text in the language asked for.
pub(super) fn say(lang: Lang, en: &str, zh: &str) -> String {
    lang.pick(en, zh).to_owned()
}

pub(super) fn titled(name: &str, own: &str) -> String {
    if name.is_empty() { own.to_owned() } else { format!("{name} — {own}") }
}

/// TTFT and ITL on a log axis with percentiles marked.
///
/// Measured requests that succeeded; warm-up and failures have no part in it.
pub fn distributions(name: &str, records: &[Record], lang: Lang) -> Figure {
    let good: Vec<&Record> =
        records.iter().filter(|record| record.phase == Phase::Measured && record.success()).collect();
    let ttft: Vec<f64> = good.iter().filter_map(|record| record.ttft_ms()).collect();
    let itl: Vec<f64> = good.iter().flat_map(|record| record.itl_ms()).collect();
    let none = |of_one: (&str, &str)| match (good.is_empty(), ttft.is_empty()) {
        (true, _) => say(lang, "no data: no request succeeded", "没有数据：没有成功的请求"),
        (_, true) => say(lang, "no data: no reply was streamed", "没有数据：没有流式回复"),
        _ => say(lang, of_one.0, of_one.1),
    };
    let no_ttft = none(("", ""));
    let no_itl = none(("no data: no reply came in several events", "没有数据：回复都只有一个事件"));
    let (requests, firsts, gaps) = (count(good.len()), count(ttft.len()), count(itl.len()));
    let subtitle = say(
        lang,
        &format!("successful requests: {requests}, TTFT values: {firsts}, ITL values: {gaps}"),
        &format!("成功请求 {requests} 个，首令牌时间 {firsts} 个，令牌间延迟 {gaps} 个"),
    );
    let panels = vec![
        histogram(
            &say(lang, "Time to first token (TTFT)", "首令牌时间 (TTFT)"),
            &say(lang, "share of requests", "请求占比"),
            ttft,
            no_ttft,
            0,
        ),
        histogram(
            &say(lang, "Inter-token latency (ITL)", "令牌间延迟 (ITL)"),
            &say(lang, "share of gaps", "间隔占比"),
            itl,
            no_itl,
            2,
        ),
    ];
    let mut figure =
        Figure::new(titled(name, "TTFT and ITL distributions · 首令牌时间与令牌间延迟分布"), 2, panels);
    figure.subtitle = subtitle;
    figure.height = 560;
    figure
}

fn histogram(title: &str, y_label: &str, mut values: Vec<f64>, none: String, accent: usize) -> Panel {
    // Gaps of zero (events of one read) have no place on a log axis: they count at 1 µs.
    values.iter_mut().for_each(|value| *value = value.max(1e-3));
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let mut panel = Panel {
        title: title.to_owned(),
        x: Axis::log("").format(Format::Ms),
        y: Axis::linear(y_label).format(Format::Share),
        ..Panel::default()
    };
    if values.is_empty() {
        panel.note = Some(none);
        return panel;
    }
    let (from, to) = view(&values);
    panel.x.range = Some((10f64.powf(from), 10f64.powf(to)));
    let (points, labels) = percentile_marks(&values);
    panel.series = vec![
        Series::new("", Style::Area, outline(&values, from, to)).tone(Tone::Accent(accent)),
        Series::new("", Style::Marks(labels), points),
    ];
    panel
}

/// The exponents of ten to show: all values, and half a decade at least.
fn view(sorted: &[f64]) -> (f64, f64) {
    let (lo, hi) = (sorted[0].log10(), sorted[sorted.len() - 1].log10());
    let pad = ((hi - lo) * 0.05).max((0.7 - (hi - lo)) / 2.0);
    (lo - pad, hi + pad)
}

/// The staircase of a histogram with bins of equal width on the log axis.
fn outline(sorted: &[f64], from: f64, to: f64) -> Vec<(f64, f64)> {
    // Few values need wide bins, or every bin holds one. An odd number has a bin in the
    // middle, where values stand that are all equal.
    let bins = (2 * (sorted.len() as f64).sqrt().ceil() as usize).clamp(15, BINS) | 1;
    let width = (to - from) / bins as f64;
    let mut shares = vec![0.0; bins];
    for value in sorted {
        let bin = ((value.log10() - from) / width) as usize;
        shares[bin.min(bins - 1)] += 1.0 / sorted.len() as f64;
    }
    let edge = |bin: usize| 10f64.powf(from + width * bin as f64);
    let mut points = vec![(edge(0), 0.0)];
    for (bin, share) in shares.iter().enumerate() {
        points.push((edge(bin), *share));
        points.push((edge(bin + 1), *share));
    }
    points.push((edge(bins), 0.0));
    points
}

/// p50, p90 and p99; those with the same text share a mark. A percentile that stands on less
/// than one value carries their number.
fn percentile_marks(sorted: &[f64]) -> (Vec<(f64, f64)>, Vec<String>) {
    let mut marks: Vec<(f64, String, String)> = Vec::new();
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        let value = quantile(sorted, share);
        let weak = (1.0 - share) * (sorted.len() as f64) < 0.999;
        let text = Format::Ms.value(value);
        let of = if weak { format!(" (n = {})", sorted.len()) } else { String::new() };
        match marks.iter_mut().find(|mark| mark.2.split(" (").next() == Some(&text)) {
            Some(mark) => (mark.1, mark.2) = (format!("{} = {name}", mark.1), [text, of].concat()),
            None => marks.push((value, name.to_owned(), [text, of].concat())),
        }
    }
    marks.into_iter().map(|(value, name, text)| ((value, 0.0), format!("{name} = {text}"))).unzip()
}

/// Linear interpolation between the two nearest of sorted values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    below + (above - below) * place.fract()
}

/// Output tokens per second and requests in flight over time. `start`: of the measured window.
pub fn over_time(name: &str, records: &[Record], start: Option<Nanos>, lang: Lang) -> Figure {
    let end = seconds(records.iter().map(|record| record.timeline.end).max().unwrap_or(0));
    let bin = bin_width(end);
    let rates = token_rates(records, bin, end);
    let mut figure = Figure::new(
        titled(name, "Throughput and load over time · 吞吐量与负载随时间变化"),
        1,
        vec![
            Panel {
                title: say(lang, "Output tokens per second", "每秒输出令牌数"),
                x: time_axis("", end),
                y: Axis::linear(""),
                note: rates
                    .is_empty()
                    .then(|| say(lang, "no data: no output tokens", "没有数据：没有输出令牌")),
                series: [Some(Series::new("", Style::Area, rates)), warmup_mark(records, start, lang)]
                    .into_iter()
                    .flatten()
                    .collect(),
                ..Panel::default()
            },
            load_panel(records, end, lang),
        ],
    );
    let (counts, bin) = (counts(records, lang), bin_text(bin));
    figure.subtitle = say(lang, &format!("{counts}; bins of {bin}"), &format!("{counts}；每格 {bin}"));
    figure
}

/// The measured requests, as the table of the run counts them, and those of the warm-up.
pub(super) fn counts<'a>(records: impl IntoIterator<Item = &'a Record>, lang: Lang) -> String {
    let (mut measured, mut failed, mut warmup) = (0, 0, 0);
    for record in records {
        match record.phase {
            Phase::Warmup => warmup += 1,
            Phase::Measured => {
                measured += 1;
                failed += usize::from(!record.success());
            }
        }
    }
    let (measured, failed) = (count(measured), count(failed));
    let (en, zh) = match warmup {
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
    let format = if end > 10.0 { Format::Count } else { Format::Number };
    Axis::linear(label).range(0.0, end.max(1e-3)).format(format)
}

/// Requests in flight, those that wait at the cap, and failures at the height of the load.
fn load_panel(records: &[Record], end: f64, lang: Lang) -> Panel {
    let flying = records.iter().filter_map(|record| Some((record.timeline.sent?, record.timeline.end)));
    let flight = levels(flying);
    let waiting = records.iter().map(|record| {
        let timeline = &record.timeline;
        (timeline.planned, timeline.sent.unwrap_or(timeline.end))
    });
    // Less than a millisecond is the way to the socket and no queue.
    let waiting = levels(waiting.filter(|(from, to)| to - from > 1_000_000));
    let failures: Vec<(f64, f64)> = records
        .iter()
        .filter(|record| !record.success())
        .map(|record| seconds(record.timeline.end))
        .map(|at| (at, level_at(&flight, at)))
        .collect();
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
        y: Axis::linear("").format(Format::Count),
        note: flight.is_empty().then(|| say(lang, "no data: no request was sent", "没有数据：没有发出请求")),
        series,
        ..Panel::default()
    }
}

/// Where the measured window begins, when there was a warm-up.
pub(super) fn warmup_mark(records: &[Record], start: Option<Nanos>, lang: Lang) -> Option<Series> {
    let start = start.filter(|_| records.iter().any(|record| record.phase == Phase::Warmup))?;
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
    Format::Ms.tick(bin * 1e3, 0.0)
}

/// The staircase of output tokens per second, with the tokens where they arrived.
pub(super) fn token_rates(records: &[Record], bin: f64, end: f64) -> Vec<(f64, f64)> {
    let bins = (end / bin).ceil().max(1.0) as usize;
    let mut tokens = vec![0.0; bins];
    for (at, n) in records.iter().flat_map(arrivals) {
        tokens[((at / bin) as usize).min(bins - 1)] += n;
    }
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

/// (second, output tokens) of each event; where the server did not say how many an event
/// holds, the reply's tokens are shared out evenly.
fn arrivals(record: &Record) -> Vec<(f64, f64)> {
    let events = &record.timeline.events;
    let places: Vec<usize> = events.output().collect();
    let total = record.output_tokens().map_or(0.0, |(n, _)| f64::from(n));
    if places.is_empty() {
        return if total > 0.0 { vec![(seconds(record.timeline.end), total)] } else { Vec::new() };
    }
    let known = places.iter().all(|i| events.tokens[*i] > 0);
    let even = total / places.len() as f64;
    let at = |i: usize| record.timeline.event(i).map(seconds);
    let tokens = |i: usize| if known { f64::from(events.tokens[i]) } else { even };
    places.into_iter().filter_map(|i| Some((at(i)?.max(0.0), tokens(i)))).collect()
}

/// How many intervals hold each moment: (second, count), each count until the next second.
pub(super) fn levels(intervals: impl Iterator<Item = (Nanos, Nanos)>) -> Vec<(f64, f64)> {
    let mut changes: Vec<(Nanos, i64)> =
        intervals.flat_map(|(from, to)| [(from, 1), (to.max(from), -1)]).collect();
    changes.sort_unstable();
    let mut level = 0;
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for same_time in changes.chunk_by(|a, b| a.0 == b.0) {
        level += same_time.iter().map(|change| change.1).sum::<i64>();
        steps.push((seconds(same_time[0].0), level as f64));
    }
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
pub fn timeline(name: &str, records: &[Record], lang: Lang) -> Figure {
    let mut order: Vec<&Record> = records.iter().collect();
    order.sort_by_key(|record| (record.timeline.planned, record.seq));
    let shown = sample(&order);
    let [mut waiting, mut first, mut streaming, mut failed] = [const { Vec::new() }; 4];
    for (line, record) in shown.iter().enumerate() {
        let timeline = &record.timeline;
        let span = |list: &mut Vec<(f64, f64)>, from: Nanos, to: Nanos| {
            list.extend([(seconds(from), line as f64), (seconds(to.max(from)), line as f64)]);
        };
        let Some(sent) = timeline.sent else {
            span(&mut failed, timeline.planned, timeline.end);
            continue;
        };
        if sent - timeline.planned > 1_000_000 {
            span(&mut waiting, timeline.planned, sent);
        }
        if !record.success() {
            span(&mut failed, sent, timeline.end);
            continue;
        }
        let token = record.first_output().unwrap_or(timeline.end);
        span(&mut first, sent, token);
        if timeline.end > token {
            span(&mut streaming, token, timeline.end);
        }
    }
    let kinds = [
        (say(lang, "waiting to be sent", "等待发送"), waiting, Tone::Muted),
        (say(lang, "until the first token", "等待首令牌"), first, Tone::Accent(4)),
        (say(lang, "streaming", "流式输出"), streaming, Tone::Accent(0)),
        (say(lang, "failed", "失败"), failed, Tone::Bad),
    ];
    let end = seconds(shown.iter().map(|record| record.timeline.end).max().unwrap_or(0));
    let panel = Panel {
        x: time_axis(&say(lang, "time (s)", "时间 (秒)"), end),
        // Turned: the first request is at the top.
        y: Axis::linear(say(
            lang,
            "one line per request, in order of planned time",
            "每行一个请求，按计划时间排序",
        ))
        .range(shown.len() as f64 - 0.5, -0.5)
        .format(Format::Hidden),
        note: shown.is_empty().then(|| say(lang, "no data: no request was made", "没有数据：没有请求")),
        series: kinds
            .into_iter()
            .filter(|(_, points, _)| !points.is_empty())
            .map(|(name, points, tone)| Series::new(name, Style::Spans, points).tone(tone))
            .collect(),
        ..Panel::default()
    };
    let mut figure = Figure::new(titled(name, "Timeline of requests · 请求时间线"), 1, vec![panel]);
    figure.subtitle = timeline_subtitle(&order, &shown, lang);
    figure
}

fn timeline_subtitle(records: &[&Record], shown: &[&Record], lang: Lang) -> String {
    let counts = counts(records.iter().copied(), lang);
    if shown.len() == records.len() {
        return counts;
    }
    let bad = |list: &[&Record]| count(list.iter().filter(|record| !record.success()).count());
    let (few, all, seen, failed) = (count(shown.len()), count(records.len()), bad(shown), bad(records));
    let en = format!("{counts}; an even sample of {few} lines from {all}, with {seen} of {failed} failures");
    say(lang, &en, &format!("{counts}；从 {all} 个中均匀抽样 {few} 行，含 {failed} 个失败中的 {seen} 个"))
}

/// At most [`LINES`] records in order, failures in proportion, but twenty of them at least,
/// since a single one may be what is looked for.
fn sample<'a>(order: &[&'a Record]) -> Vec<&'a Record> {
    if order.len() <= LINES {
        return order.to_vec();
    }
    let (good, bad): (Vec<usize>, Vec<usize>) = (0..order.len()).partition(|i| order[*i].success());
    let bad_lines = (bad.len() * LINES / order.len()).max(20).min(bad.len());
    let mut chosen = evenly(&bad, bad_lines);
    chosen.extend(evenly(&good, LINES - bad_lines));
    chosen.sort_unstable();
    chosen.into_iter().map(|i| order[i]).collect()
}

fn evenly(places: &[usize], wanted: usize) -> Vec<usize> {
    let wanted = wanted.min(places.len());
    (0..wanted).map(|i| places[i * places.len() / wanted]).collect()
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}

pub(super) fn count(n: usize) -> String {
    thousands(n as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Kind, Outcome, Timeline, Usage};

    #[test]
    fn a_picture_counts_requests_as_the_table_does_and_tells_the_warm_up_apart() {
        let mut records: Vec<Record> = (0..7).map(|seq| request(seq, Outcome::Success)).collect();
        records[6].outcome = Outcome::ServerError;
        records[..2].iter_mut().for_each(|record| record.phase = Phase::Warmup);
        let told = "requests: 5, failed: 1, warm-up: 2";
        assert_eq!(timeline("a", &records, Lang::English).subtitle, told);
        assert!(
            over_time("a", &records, Some(0), Lang::English)
                .subtitle
                .starts_with(&format!("{told}; bins of "))
        );
        assert_eq!(timeline("a", &records, Lang::Chinese).subtitle, "5 个请求，1 个失败，预热 2 个");
        assert_eq!(timeline("a", &records[2..], Lang::English).subtitle, "requests: 5, failed: 1");
    }

    #[test]
    fn percentiles_with_the_same_text_share_one_mark() {
        let (points, labels) = percentile_marks(&[20.0; 200]);
        assert_eq!((points.len(), labels), (1, vec!["p50 = p90 = p99 = 20.0 ms".to_owned()]));
        let spread: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile_marks(&spread).1, ["p50 = 100 ms", "p90 = 180 ms", "p99 = 198 ms"]);
    }

    #[test]
    fn a_percentile_of_too_few_values_says_how_many_there_were() {
        let few: Vec<f64> = (1..=40).map(f64::from).collect();
        let labels = percentile_marks(&few).1;
        assert_eq!(labels, ["p50 = 20.5 ms", "p90 = 36.1 ms", "p99 = 39.6 ms (n = 40)"]);
        assert_eq!(percentile_marks(&[553.0]).1, ["p50 = p90 = p99 = 553 ms (n = 1)"]);
    }

    #[test]
    fn the_shares_of_a_histogram_add_up_to_one() {
        let values = [1.0, 5.0, 5.0, 80.0, 900.0];
        let (from, to) = view(&values);
        let points = outline(&values, from, to);
        let bins = &points[1..points.len() - 1];
        let sum: f64 = bins.iter().step_by(2).map(|point| point.1).sum();
        assert!((sum - 1.0).abs() < 1e-9);
        assert_eq!((points[0].1, points[points.len() - 1].1), (0.0, 0.0));
    }

    #[test]
    fn requests_in_flight_are_counted_at_every_moment() {
        let second = 1_000_000_000;
        let steps = levels([(second, 3 * second), (2 * second, 4 * second)].into_iter());
        assert_eq!(steps, [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (3.0, 1.0), (4.0, 0.0)]);
        assert_eq!(level_at(&steps, 3.0), 2.0);
        assert_eq!(level_at(&steps, 0.0), 0.0);
    }

    fn request(seq: u64, outcome: Outcome) -> Record {
        Record {
            seq,
            id: String::new(),
            phase: Phase::Measured,
            session: seq,
            turn: 0,
            class: "".into(),
            asked_input: None,
            asked_output: 8,
            forced_length: false,
            synthetic_text: false,
            streamed: true,
            timeline: Timeline::planned(seq as i64, seq as i64),
            outcome,
            error: None,
            status: None,
            finish: None,
            usage: Usage { output: Some(6), ..Usage::default() },
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

    #[test]
    fn a_sample_keeps_failures_in_proportion_but_never_loses_the_few() {
        let fails = |every: u64| -> (usize, usize) {
            let outcome = |seq| if seq % every == 0 { Outcome::Status } else { Outcome::Success };
            let records: Vec<Record> = (0..4000).map(|seq| request(seq, outcome(seq))).collect();
            let chosen = sample(&records.iter().collect::<Vec<_>>());
            assert!(chosen.is_sorted_by_key(|record| record.seq));
            (chosen.len(), chosen.iter().filter(|record| !record.success()).count())
        };
        assert_eq!(fails(2), (LINES, LINES / 2));
        assert_eq!(fails(1), (LINES, LINES));
        assert_eq!(fails(1000), (LINES, 4));
    }

    #[test]
    fn tokens_are_counted_where_they_arrived() {
        let mut record = request(0, Outcome::Success);
        record.timeline.sent = Some(1_000_000_000);
        record.timeline.end = 4_000_000_000;
        record.timeline.events.push(500_000, Kind::ROLE, 0, 0);
        record.timeline.events.push(1_000_000, Kind::CONTENT, 0, 4);
        record.timeline.events.push(2_000_000, Kind::CONTENT, 0, 4);
        // The server did not say how many tokens an event holds: the six are shared out.
        assert_eq!(arrivals(&record), [(2.0, 3.0), (3.0, 3.0)]);
        record.timeline.events.tokens = vec![0, 5, 1];
        assert_eq!(arrivals(&record), [(2.0, 5.0), (3.0, 1.0)]);
        let rates = token_rates(&[record], 1.0, 4.0);
        let total: f64 = rates.chunks(2).map(|bin| bin[0].1 * (bin[1].0 - bin[0].0)).sum();
        assert!((total - 6.0).abs() < 1e-9, "{rates:?}");
    }
}
