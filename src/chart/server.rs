//! Server and client over time: what the client saw above, what the server says of itself below.

use super::run::{
    bin_text, bin_width, count, counts, say, stairs, time_axis, titled, token_rates, warmup_mark,
};
use super::{Axis, Figure, Panel, Series, Style, TickFormat, Tone};
use crate::lang::Lang;
use crate::record::{Nanos, Point, Source};
use crate::stats::counter;
use crate::stats::occupancy::Occupancy;
use crate::stats::token_bins::TokenBins;

/// Points of a line, beyond which windows are averaged.
const POINTS_MAX: i64 = 600;
const SECOND: Nanos = 1_000_000_000;

/// The metrics that the picture is made of.
pub const DRAWN: [&str; 6] =
    ["running", "waiting", "kv_use", "generation_tokens_total", "scrape_ms", "scrape_gap"];

/// Where the picture ends: with the last request, or the last that the server told.
pub fn end(occupancy: &Occupancy, points: &[Point]) -> Nanos {
    points.iter().map(|point| point.at).fold(occupancy.end(), Nanos::max).max(1)
}

/// Tokens per second and requests in flight as the client saw them; running and waiting
/// requests and the use of the KV cache as the server told, on the same time axis. `None` when
/// the server told nothing of these. `points` are those of the run; others than the server's
/// are passed over; `tokens` are in bins until [`end`]. `start`: of the measured window.
pub fn over_time(
    name: &str,
    occupancy: &Occupancy,
    tokens: &TokenBins,
    points: &[Point],
    start: Option<Nanos>,
    lang: Lang,
) -> Option<Figure> {
    let server = Server::of(points);
    if server.running.is_empty() && server.waiting.is_empty() && server.kv_use.is_empty() {
        return None;
    }
    let end = end(occupancy, points) as f64 / 1e9;
    let flight = stairs(&occupancy.in_flight);
    // What the client has in flight is what the server runs or lets wait: one scale for both.
    let most = [&flight, &server.running, &server.waiting].into_iter().flatten();
    let most = round_above(most.map(|point| point.1).fold(1.0, f64::max));
    let mut panels = vec![
        output(token_rates(tokens, end), &server, end, warmup_mark(&occupancy.turnout, start, lang), lang),
        Panel {
            title: say(lang, "Client: requests in flight", "客户端：进行中的请求"),
            y: Axis::linear("").range(0.0, most).format(TickFormat::Count),
            series: vec![Series::new("", Style::Step, flight).tone(Tone::Accent(2))],
            ..panel(end, TickFormat::Count)
        },
        requests(&server, end, most, lang),
    ];
    if !server.kv_use.is_empty() {
        panels.push(Panel {
            title: say(lang, "Server: KV cache in use", "服务端：KV 缓存占用"),
            y: Axis::linear("").range(0.0, 1.0).format(TickFormat::Share),
            series: vec![Series::new("", Style::Line, server.kv_use.clone()).tone(Tone::Accent(3))],
            ..panel(end, TickFormat::Share)
        });
    }
    // Four of them as a slide holds them: the client above, the server below.
    let columns = if panels.len() == 4 { 2 } else { 1 };
    for last in panels.iter_mut().rev().take(columns) {
        last.x.label = say(lang, "time (s)", "时间 (秒)");
    }
    let own = lang.pick("Server and client over time", "服务端与客户端随时间变化");
    let mut figure = Figure::new(titled(name, own), columns, panels);
    figure.subtitle = subtitle(points, &counts(&occupancy.turnout, lang), bin_width(end), lang);
    Some(figure)
}

/// The end of an axis that has a label there.
fn round_above(most: f64) -> f64 {
    let ten = 10f64.powf(most.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * ten).find(|end| *end >= most).unwrap_or(most)
}

/// The server's lines, ready to draw: seconds and value.
struct Server {
    running: Vec<(f64, f64)>,
    waiting: Vec<(f64, f64)>,
    kv_use: Vec<(f64, f64)>,
    /// Output tokens per second.
    tokens: Vec<(f64, f64)>,
}

impl Server {
    fn of(points: &[Point]) -> Server {
        let found = |metric: &str| -> Vec<(Nanos, f64)> {
            let mine =
                points.iter().filter(|point| point.source == Source::Server && &*point.metric == metric);
            mine.map(|point| (point.at, point.value)).collect()
        };
        let width = width(points);
        let gauge = |metric| {
            let points = found(metric);
            // At one a second they are drawn where they were seen.
            if width > SECOND { line(&counter::mean(&points, width), width) } else { line(&points, width) }
        };
        Server {
            running: gauge("running"),
            waiting: gauge("waiting"),
            kv_use: gauge("kv_use"),
            tokens: line(&counter::rate(&found("generation_tokens_total"), width), width),
        }
    }
}

/// A window for [`POINTS_MAX`] windows at most, in whole seconds.
fn width(points: &[Point]) -> Nanos {
    let last = points.iter().map(|point| point.at).max().unwrap_or(0);
    ((last / SECOND + POINTS_MAX - 1) / POINTS_MAX).max(1) * SECOND
}

/// Points in seconds, from zero on, with a hole where more than one window has nothing.
fn line(points: &[(Nanos, f64)], width: Nanos) -> Vec<(f64, f64)> {
    let mut line: Vec<(f64, f64)> = Vec::with_capacity(points.len());
    let mut before: Option<Nanos> = None;
    for (at, value) in points {
        if before.is_some_and(|before| 2 * (at - before) > 5 * width) {
            line.push((*at as f64 / 1e9, f64::NAN));
        }
        line.push(((*at).max(0) as f64 / 1e9, *value));
        before = Some(*at);
    }
    line
}

fn panel(end: f64, format: TickFormat) -> Panel {
    Panel { x: time_axis("", end), y: Axis::linear("").format(format), ..Panel::default() }
}

fn output(client: Vec<(f64, f64)>, server: &Server, end: f64, mark: Option<Series>, lang: Lang) -> Panel {
    let none = client.is_empty().then(|| say(lang, "no data: no output tokens", "没有数据：没有输出令牌"));
    let mut series = vec![
        Series::new(say(lang, "arrived at the client", "客户端收到"), Style::Area, client)
            .tone(Tone::Accent(0)),
    ];
    if !server.tokens.is_empty() {
        let name = say(lang, "generated by the server", "服务端生成");
        series.push(Series::new(name, Style::Line, server.tokens.clone()).tone(Tone::Accent(1)));
    }
    series.extend(mark);
    Panel {
        title: say(lang, "Client: output tokens per second", "客户端：每秒输出令牌数"),
        note: none,
        series,
        ..panel(end, TickFormat::Number)
    }
}

fn requests(server: &Server, end: f64, most: f64, lang: Lang) -> Panel {
    let lines = [
        (say(lang, "running", "运行中"), &server.running, Tone::Accent(2)),
        (say(lang, "waiting", "排队中"), &server.waiting, Tone::Accent(5)),
    ];
    let told = lines.into_iter().filter(|(_, points, _)| !points.is_empty());
    Panel {
        title: say(lang, "Server: requests running and waiting", "服务端：运行中与排队中的请求"),
        y: Axis::linear("").range(0.0, most).format(TickFormat::Count),
        series: told
            .map(|(name, points, tone)| Series::new(name, Style::Line, points.clone()).tone(tone))
            .collect(),
        ..panel(end, TickFormat::Count)
    }
}

fn subtitle(points: &[Point], requests: &str, bin: f64, lang: Lang) -> String {
    let of = |metric: &str| points.iter().filter(|point| &*point.metric == metric).collect::<Vec<_>>();
    let gaps: u64 = of("scrape_gap").iter().map(|gap| gap.value as u64).sum();
    let (answers, bin) = (count(of("scrape_ms").len() as u64), bin_text(bin));
    let text = say(
        lang,
        &format!("{requests}; bins of {bin}; answers of /metrics: {answers}"),
        &format!("{requests}；每格 {bin}；/metrics 应答 {answers} 次"),
    );
    match gaps {
        0 => text,
        gaps => {
            let gaps = count(gaps);
            text + say(lang, &format!(", {gaps} s without one"), &format!("，缺 {gaps} 秒")).as_str()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::token_bins;
    use super::*;

    fn point(second: i64, metric: &str, value: f64) -> Point {
        let at = second * SECOND;
        Point { at, source: Source::Server, metric: metric.into(), labels: None, value, raw_name: None }
    }

    fn drawn(points: &[Point], lang: Lang) -> Option<Figure> {
        let occupancy = Occupancy::default();
        over_time("c1", &occupancy, &token_bins(end(&occupancy, points)), points, None, lang)
    }

    #[test]
    fn a_server_that_tells_nothing_has_no_picture() {
        assert!(drawn(&[], Lang::English).is_none());
        assert!(drawn(&[point(1, "scrape_gap", 1.0)], Lang::English).is_none());
        let mut seen_by_client = point(1, "running", 1.0);
        seen_by_client.source = Source::Client;
        assert!(drawn(&[seen_by_client], Lang::English).is_none());
    }

    #[test]
    fn a_server_without_a_kv_cache_has_no_panel_of_it() {
        let points = [point(0, "running", 1.0), point(1, "running", 2.0)];
        assert_eq!(drawn(&points, Lang::English).unwrap().panels.len(), 3);
        let kv = [point(0, "running", 1.0), point(0, "kv_use", 0.5)];
        let figure = drawn(&kv, Lang::Chinese).unwrap();
        assert_eq!(figure.panels.len(), 4);
        assert!(figure.svg().contains("KV 缓存占用"));
    }

    #[test]
    fn seconds_without_an_answer_are_a_hole_in_the_line() {
        let line = line(&[(0, 1.0), (2 * SECOND, 2.0), (5 * SECOND, 3.0)], SECOND);
        assert_eq!(line.len(), 4);
        assert!(line[2].1.is_nan());
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        let ends = [1.0, 1.2, 40.0, 64.0, 100.0, 101.0].map(round_above);
        assert_eq!(ends, [1.0, 1.5, 40.0, 80.0, 100.0, 150.0]);
    }

    #[test]
    fn a_long_run_is_drawn_in_few_points() {
        let points: Vec<Point> = (0..21_600).map(|second| point(second, "running", 4.0)).collect();
        let server = Server::of(&points);
        assert!(server.running.len() <= 601, "{}", server.running.len());
        assert!(server.running.iter().all(|point| point.1 == 4.0));
    }
}
