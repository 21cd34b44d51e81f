//! Throughput against latency: what a user gets, and what the server gives, along the concurrency.

use super::layout::{marks, note_when_empty, spans_decades, tie_rule};
use super::metrics::{self, PER_GPU};
use super::row::{ComparedRow, Look, eligible};
use super::ties;
use crate::chart::{Axis, Dot, Figure, Panel, Scale, Series, Style, Tone};
use crate::lang::Lang;
use crate::stats::metric::Better;
use crate::stats::tied::{Candidate, front};

/// Panels of one page, and of one page where there are more than two of these.
const PANELS: usize = 6;
const PANELS_OF_MANY: usize = 20;

/// One configuration in the plane.
struct Spot<'a> {
    row: &'a ComparedRow,
    /// Tokens a second that one user gets.
    x: Candidate,
    y: Candidate,
    /// Whether the interval of each was measured.
    known: [bool; 2],
    /// It may win: it is sound, or none is.
    counts: bool,
}

/// What lies on the axes.
struct Plane {
    /// The column of the time for a token.
    tpot: &'static str,
    /// The column of the throughput.
    output: &'static str,
}

impl Plane {
    /// The same for all rows: the median where all have one, GPUs where all know theirs.
    fn of(rows: &[ComparedRow]) -> Plane {
        let measured = || rows.iter().filter(|row| row.value("output_throughput").is_finite());
        let has = |column: &str| measured().all(|row| row.value(column).is_finite());
        Plane {
            tpot: if has("median_tpot_ms") { "median_tpot_ms" } else { "mean_tpot_ms" },
            output: if has(PER_GPU) { PER_GPU } else { "output_throughput" },
        }
    }

    fn spot<'a>(&self, row: &'a ComparedRow, counts: bool) -> Option<Spot<'a>> {
        let per_user = |ms: f64| 1000.0 / ms;
        let ms = row.value(self.tpot);
        let interval = row.interval(self.tpot).map(|(low, high)| (per_user(high), per_user(low)));
        let x = ties::candidate(per_user(ms), interval).filter(|_| ms > 0.0)?;
        let y = row.candidate(self.output).filter(|one| one.value > 0.0)?;
        let known = [self.tpot, self.output].map(|column| row.interval(column).is_some());
        Some(Spot { row, x, y, known, counts })
    }

    fn x_label(&self, look: &Look) -> String {
        let median = self.tpot.starts_with("median");
        match (look.lang, median) {
            (Lang::English, true) => "tokens/s per user (1 / median TPOT)".into(),
            (Lang::English, false) => "tokens/s per user (1 / mean TPOT)".into(),
            (Lang::Chinese, true) => "每用户令牌/s（1 / TPOT 中位数）".into(),
            (Lang::Chinese, false) => "每用户令牌/s（1 / TPOT 平均值）".into(),
        }
    }

    fn y_label(&self, look: &Look) -> String {
        match self.output == PER_GPU {
            true => look.say("output tokens/s per GPU", "每 GPU 输出令牌/s"),
            false => look.say("output tokens/s, all together", "总输出令牌/s"),
        }
    }
}

/// One panel for each length of prompts and replies, since only their curves can be compared.
pub fn pages(all: &[ComparedRow], look: &Look) -> Vec<Figure> {
    let plane = Plane::of(all);
    let eligible = eligible(all);
    let spots: Vec<Spot<'_>> =
        all.iter().zip(&eligible).filter_map(|(row, counts)| plane.spot(row, *counts)).collect();
    let left_out = all.len() - spots.len();
    let shapes = different(spots.iter().map(|spot| spot.row.shape.as_str()));
    let groups = different(spots.iter().map(|spot| spot.row.group.as_str()));
    let one_each = groups.iter().all(|group| {
        let of_group = || spots.iter().filter(|spot| spot.row.group == *group);
        different(of_group().map(|spot| spot.row.shape.as_str())).len() == of_group().count()
    });
    // A panel of one point shows nothing: lengths that were each measured once share one.
    let by_length = shapes.len() > 1 && one_each;
    let axes = axes(&plane, &spots, shapes.len() > 1, look);
    let drawn = Drawn { groups: &groups, axes: &axes, by_length, same_verdict: same_verdict(all) };
    let mut panels: Vec<Panel> = if by_length {
        vec![drawn.panel(String::new(), &spots.iter().collect::<Vec<_>>(), look)]
    } else {
        let of_shape = |shape: &&str| {
            let of_shape: Vec<&Spot<'_>> = spots.iter().filter(|spot| spot.row.shape == *shape).collect();
            let title = if shapes.len() > 1 { look_shape(shape, look) } else { String::new() };
            drawn.panel(title, &of_shape, look)
        };
        shapes.iter().map(of_shape).collect()
    };
    if panels.is_empty() {
        let mut panel = Panel { x: axes.0.clone(), y: axes.1.clone(), ..Panel::default() };
        note_when_empty(&mut panel, look);
        panels.push(panel);
    }
    let subtitle = subtitle(all, &shapes, by_length, left_out, look);
    let most = if panels.len() > 2 * PANELS { PANELS_OF_MANY } else { PANELS };
    let count = panels.len().div_ceil(most);
    let per_page = panels.len().div_ceil(count);
    panels
        .chunks(per_page)
        .map(|panels| {
            let columns = match panels.len() {
                1..=3 => panels.len(),
                4 => 2,
                5..=6 => 3,
                _ => 5,
            };
            let titled = look.titled("Throughput against latency", "吞吐量与延迟的权衡");
            let mut figure = Figure::new(titled, columns, panels.to_vec());
            figure.one_legend = true;
            if columns == 5 {
                // Small ones say once what lies on their axes.
                let (x, y) = (axes.0.label.as_str(), axes.1.label.as_str());
                figure.subtitle = look.say(&format!("{y} by {x}\n"), &format!("纵轴：{y}；横轴：{x}\n"));
                for panel in &mut figure.panels {
                    (panel.x.label, panel.y.label) = (String::new(), String::new());
                }
            }
            figure.subtitle += &subtitle;
            figure
        })
        .collect()
}

/// `512x512` in words.
fn look_shape(shape: &str, look: &Look) -> String {
    match (shape.split_once('x'), look.lang) {
        (Some((input, output)), Lang::English) => format!("{input} tokens in, {output} out"),
        (Some((input, output)), Lang::Chinese) => format!("输入 {input}，输出 {output} 令牌"),
        _ => shape.to_string(),
    }
}

fn different<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all: Vec<&str> = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

/// The same for all panels, so that they can be compared.
fn axes(plane: &Plane, spots: &[Spot<'_>], shared: bool, look: &Look) -> (Axis, Axis) {
    let axis = |label: String, values: Vec<f64>, ends: Vec<f64>| {
        let log = spans_decades(values.iter().copied());
        let mut axis = Axis { scale: if log { Scale::Log } else { Scale::Linear }, ..Axis::linear(label) };
        let (lo, hi) = ends.iter().fold((f64::INFINITY, 0.0f64), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
        if shared && hi > 0.0 {
            // Values that are all equal stand in the middle.
            let pad = (0.08 * (hi - lo)).max(0.02 * hi);
            let from = if lo > 0.4 * hi { lo - pad } else { 0.0 };
            axis.range = Some(if log { (lo / 1.3, hi * 1.3) } else { (from, hi + pad) });
        }
        axis
    };
    let values =
        |of: fn(&Spot<'_>) -> Candidate| -> Vec<f64> { spots.iter().map(|spot| of(spot).value).collect() };
    let ends = |of: fn(&Spot<'_>) -> Candidate| -> Vec<f64> {
        spots
            .iter()
            .flat_map(|spot| [of(spot).value].into_iter().chain(of(spot).interval.map(|known| known.high)))
            .filter(|value| value.is_finite())
            .collect()
    };
    let x = axis(plane.x_label(look), values(|spot| spot.x), ends(|spot| spot.x));
    (x, axis(plane.y_label(look), values(|spot| spot.y), ends(|spot| spot.y)))
}

fn subtitle(all: &[ComparedRow], shapes: &[&str], by_length: bool, left_out: usize, look: &Look) -> String {
    let open = !all.iter().any(|row| row.value("max_concurrency").is_finite());
    let mut told = match (open, look.lang) {
        (_, Lang::English) if by_length => "at a point: tokens in x out".to_string(),
        (_, Lang::Chinese) if by_length => "点旁：输入x输出令牌数".into(),
        (false, Lang::English) => "a number at a point: concurrency".to_string(),
        (true, Lang::English) => "a number at a point: requests/s asked for".into(),
        (false, Lang::Chinese) => "点旁数字：并发数".into(),
        (true, Lang::Chinese) => "点旁数字：请求速率（请求/s）".into(),
    };
    if let ([shape], Lang::English) = (shapes, look.lang) {
        told = format!("{}; {told}", look_shape(shape, look)).trim_start_matches("; ").to_string();
    } else if let [shape] = shapes {
        told = format!("{}；{told}", look_shape(shape, look)).trim_start_matches('；').to_string();
    }
    if by_length {
        told += &look.say(
            "; each length was measured once, and different lengths have no Pareto front together",
            "；每种长度只测了一次，不同长度之间没有共同的帕累托前沿",
        );
        told += &marks(all, look);
    } else {
        told += &look.say(
            "; filled: on the Pareto front, measured points only; ring: beaten in both\n",
            "；实心：位于帕累托前沿（仅实测点）；空心：两项均被超越\n",
        );
        told += tie_rule(all, look).as_str();
        told += &marks(all, look);
    }
    if left_out > 0 {
        told += &match look.lang {
            Lang::English => format!("; {left_out} without a throughput or a time per token left out"),
            Lang::Chinese => format!("；{left_out} 个没有吞吐量或每令牌时间，未画出"),
        };
    }
    told
}

/// Whether all that is not valid is so for the same reason, which the subtitle then says.
fn same_verdict(all: &[ComparedRow]) -> bool {
    all.len() > 1 && all.iter().all(|row| row.verdict.is_some() && row.verdict == all[0].verdict)
}

/// What all panels have in common.
struct Drawn<'a> {
    groups: &'a [&'a str],
    axes: &'a (Axis, Axis),
    /// The points are told apart by their lengths.
    by_length: bool,
    same_verdict: bool,
}

impl Drawn<'_> {
    fn panel(&self, title: String, spots: &[&Spot<'_>], look: &Look) -> Panel {
        let places: Vec<Option<[Candidate; 2]>> =
            spots.iter().map(|spot| spot.counts.then_some([spot.x, spot.y])).collect();
        let mut panel = Panel { title, x: self.axes.0.clone(), y: self.axes.1.clone(), ..Panel::default() };
        let winners = match self.by_length {
            true => (0..spots.len()).filter(|i| spots[*i].counts).collect(),
            false => {
                let winners = front(&places, [Better::Higher, Better::Higher]);
                let name = look.say("Pareto front", "帕累托前沿");
                let steps = staircase(spots, &winners);
                panel.series.push(Series::new(name, Style::Rule, steps).tone(Tone::Muted));
                winners
            }
        };
        for (place, group) in self.groups.iter().enumerate() {
            self.curve(&mut panel, spots, &winners, (place, group), look);
        }
        note_when_empty(&mut panel, look);
        panel
    }

    fn curve(
        &self,
        panel: &mut Panel,
        spots: &[&Spot<'_>],
        winners: &[usize],
        (place, group): (usize, &str),
        look: &Look,
    ) {
        let mut curve: Vec<usize> = (0..spots.len()).filter(|i| spots[*i].row.group == group).collect();
        let order = |i: &usize| if self.by_length { tokens(spots[*i].row) } else { load(spots[*i].row) };
        curve.sort_by(|a, b| order(a).total_cmp(&order(b)));
        let tone = Tone::Accent(place);
        let points: Vec<(f64, f64)> = curve.iter().map(|i| (spots[*i].x.value, spots[*i].y.value)).collect();
        let dots = curve.iter().map(|i| match () {
            () if !spots[*i].row.is_sound() => Dot::Cross,
            () if winners.contains(i) => Dot::Full,
            () => Dot::Ring,
        });
        let labels = curve.iter().map(|i| self.at_point(spots[*i].row)).collect();
        let interval = |one: &Candidate| one.interval.map(|known| (known.low, known.high));
        let spread = curve.iter().map(|i| interval(&spots[*i].y).filter(|_| spots[*i].known[1])).collect();
        let spread_x = curve.iter().map(|i| interval(&spots[*i].x).filter(|_| spots[*i].known[0])).collect();
        let named = if group.is_empty() { look.say("measured", "实测") } else { group.to_string() };
        panel.series.push(Series::new("", Style::Rule, points.clone()).tone(tone));
        let dots = Series::new(named, Style::Dots(dots.collect()), points.clone()).tone(tone);
        panel.series.push(Series { spread, spread_x, ..dots });
        panel.series.push(Series::new("", Style::Labels(labels), points).tone(Tone::Ink));
    }

    fn at_point(&self, row: &ComparedRow) -> String {
        let number = load(row);
        let label = match (self.by_length, number.is_finite()) {
            (true, _) => row.shape.clone(),
            (false, true) => number.to_string(),
            (false, false) => String::new(),
        };
        match row.verdict.as_ref().filter(|_| !self.same_verdict) {
            Some(verdict) => format!("{label} {verdict}").trim().to_string(),
            None => label,
        }
    }
}

/// How much a request reads and writes.
fn tokens(row: &ComparedRow) -> f64 {
    row.value("input_len") + row.value("output_len")
}

/// What orders the points of a curve: how many at once, or how many a second.
fn load(row: &ComparedRow) -> f64 {
    let concurrency = row.value("max_concurrency");
    if concurrency.is_finite() { concurrency } else { row.value("request_rate") }
}

/// The edge of what was measured: nothing between two points is promised.
fn staircase(spots: &[&Spot<'_>], winners: &[usize]) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> =
        winners.iter().map(|i| (spots[*i].x.value, spots[*i].y.value)).collect();
    points.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for (x, y) in points {
        match steps.last().copied() {
            // Within the noise below one further to the right.
            Some((_, reached)) if y <= reached => continue,
            Some((_, reached)) => steps.push((x, reached)),
            None => {}
        }
        steps.push((x, y));
    }
    steps
}

/// The rows that are on a front of their lengths, each with the tokens a second that one user gets.
pub fn on_front(rows: &[ComparedRow]) -> Vec<(&ComparedRow, f64)> {
    let (plane, eligible) = (Plane::of(rows), eligible(rows));
    let spots: Vec<Spot<'_>> =
        rows.iter().zip(&eligible).filter_map(|(row, counts)| plane.spot(row, *counts)).collect();
    let mut found = Vec::new();
    for shape in different(spots.iter().map(|spot| spot.row.shape.as_str())) {
        let of_shape: Vec<&Spot<'_>> = spots.iter().filter(|spot| spot.row.shape == shape).collect();
        let places: Vec<_> = of_shape.iter().map(|spot| spot.counts.then_some([spot.x, spot.y])).collect();
        found.extend(
            front(&places, [Better::Higher, Better::Higher])
                .into_iter()
                .map(|i| (of_shape[i].row, of_shape[i].x.value)),
        );
    }
    found
}

/// What the speed of a user follows from, for texts: `1 / median TPOT`.
pub fn speed_of(rows: &[ComparedRow], look: &Look) -> String {
    Plane::of(rows).x_label(look)
}

/// Name of the throughput on the front, for texts.
pub fn throughput_of(rows: &[ComparedRow]) -> metrics::Compared {
    if Plane::of(rows).output == PER_GPU { metrics::output_per_gpu() } else { metrics::output() }
}

#[cfg(test)]
mod tests {
    use super::super::row::testing::{look, table};
    use super::*;

    fn rows() -> Vec<ComparedRow> {
        let mut rows = table(
            ["max_concurrency", "output_throughput", "mean_tpot_ms"],
            &[
                ("a", [4.0, 70.0, 54.0]),
                ("b", [1.0, 23.0, 42.0]),
                ("c", [8.0, 60.0, 90.0]),
                ("d", [16.0, 120.0, 100.0]),
            ],
        );
        rows.iter_mut().for_each(|row| row.shape = "512x512".into());
        rows
    }

    #[test]
    fn the_front_holds_measured_points_alone_and_no_beaten_one() {
        let names: Vec<String> = on_front(&rows()).iter().map(|(row, _)| row.label.clone()).collect();
        assert_eq!(names, ["a", "b", "d"]);
        let mut rows = rows();
        rows.iter_mut().for_each(|row| {
            row.values.insert("median_tpot_ms".into(), 20.0);
        });
        assert!(on_front(&rows).iter().all(|(_, speed)| *speed == 50.0), "as the picture has it");
        let rows = self::rows();
        let figure = &pages(&rows, &look("m", Lang::English))[0];
        let Style::Dots(dots) = &figure.panels[0].series[2].style else { panic!("dots") };
        assert_eq!(dots, &[Dot::Full, Dot::Full, Dot::Ring, Dot::Full]);
        let Style::Labels(labels) = &figure.panels[0].series[3].style else { panic!("labels") };
        assert_eq!(labels, &["1", "4", "8", "16"]);
        let measured: Vec<f64> = rows.iter().map(|row| row.value("output_throughput")).collect();
        assert!(figure.panels[0].series[0].points.iter().all(|point| measured.contains(&point.1)));
    }

    #[test]
    fn lengths_that_were_each_measured_once_share_a_panel_without_a_front() {
        let mut rows = rows();
        for (i, row) in rows.iter_mut().enumerate() {
            row.shape = format!("{}x64", 128 << i);
        }
        let figures = pages(&rows, &look("m", Lang::English));
        assert_eq!((figures.len(), figures[0].panels.len(), figures[0].panels[0].series.len()), (1, 1, 3));
        assert!(!figures[0].panels[0].series.iter().any(|series| series.name == "Pareto front"));
        let Style::Labels(labels) = &figures[0].panels[0].series[2].style else { panic!("labels") };
        assert!(labels.contains(&"128x64".to_string()), "{labels:?}");
    }

    #[test]
    fn gpus_of_all_rows_make_it_a_throughput_per_gpu() {
        let mut rows = rows();
        assert!(pages(&rows, &look("", Lang::English))[0].panels[0].y.label.contains("all together"));
        for row in &mut rows {
            row.values.insert(PER_GPU.into(), row.value("output_throughput") / 8.0);
        }
        assert_eq!(pages(&rows, &look("", Lang::English))[0].panels[0].y.label, "output tokens/s per GPU");
    }
}
