//! Throughput and latency of a sweep with more configurations than a page holds bars: curves over what
//! was swept, one for each combination of the rest, and maps where these are very many.

use super::heat;
use super::layout::{dot, marks_named, note_when_empty, spans_decades, without_empty};
use super::metrics::{self, Compared, latency as of};
use super::row::{ComparedRow, Look, eligible};
use crate::chart::{Axis, ColourRamp, Figure, Panel, Scale, Series, Style, TickFormat, Tone};
use crate::lang::Lang;
use crate::stats::metric::Metric;
use std::collections::HashMap;

/// Up to this many configurations are bars.
const BARS_MOST: usize = 12;
/// Curves of one page, and those that three pages hold.
const CURVES: usize = 6;
const CURVES_MOST: usize = 18;
/// Rows of one page of maps.
const MAP_ROWS: usize = 120;

/// What may be swept, the first that is.
const SWEPT: [&str; 4] = ["max_concurrency", "request_rate", "input_len", "output_len"];

/// Configurations in curves.
struct Sweep<'a> {
    /// The column that is swept.
    column: &'static str,
    curves: Vec<(String, Vec<&'a ComparedRow>)>,
    all: &'a [ComparedRow],
}

impl<'a> Sweep<'a> {
    /// What curves there are; `None` where bars show more.
    fn of(all: &'a [ComparedRow]) -> Option<Sweep<'a>> {
        if all.len() <= BARS_MOST {
            return None;
        }
        SWEPT.into_iter().find_map(|column| Sweep::over(column, all))
    }

    fn over(column: &'static str, all: &'a [ComparedRow]) -> Option<Sweep<'a>> {
        let known = all.iter().all(|row| row.value(column) > 0.0);
        if !known || places(all, column).len() <= 2 {
            return None;
        }
        let differing = Differing::of(column, all);
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut curves: Vec<(String, Vec<&ComparedRow>)> = Vec::new();
        for row in all {
            let name = differing.name(row);
            let number = *numbers.entry(name.clone()).or_insert_with(|| {
                curves.push((name, Vec::new()));
                curves.len() - 1
            });
            curves[number].1.push(row);
        }
        for (_, rows) in &mut curves {
            rows.sort_by(|a, b| a.value(column).total_cmp(&b.value(column)));
        }
        // A curve of one point says less than a bar.
        (curves.len() * 3 <= all.len()).then_some(Sweep { column, curves, all })
    }

    fn x(&self, look: &Look) -> Axis {
        let places = places(self.all, self.column);
        let wide = places.last().zip(places.first()).is_some_and(|(last, first)| last / first >= 8.0);
        let scale = if wide { Scale::Log } else { Scale::Linear };
        let axis = Axis { scale, ..Axis::linear(self.label(look)) };
        let rate = self.column == "request_rate";
        axis.at(places).format(if rate { TickFormat::Number } else { TickFormat::Count })
    }

    fn label(&self, look: &Look) -> String {
        match self.column {
            "max_concurrency" => look.say("concurrency (requests at once)", "并发数（同时请求）"),
            "request_rate" => look.say("request rate (requests/s)", "请求速率（请求/s）"),
            "input_len" => look.say("length of prompts (tokens)", "输入长度（令牌）"),
            _ => look.say("length of replies (tokens)", "输出长度（令牌）"),
        }
    }

    /// One value over what is swept, on a log axis where it spans decades.
    fn panel(
        &self,
        metric: &Compared,
        curves: &[(String, Vec<&ComparedRow>)],
        from: usize,
        look: &Look,
    ) -> Panel {
        let all = || self.all.iter().map(|row| row.value(&metric.column));
        let mut panel = Panel { title: metric.title(look.lang), x: self.x(look), ..Panel::default() };
        let scale = if spans_decades(all()) { Scale::Log } else { Scale::Linear };
        panel.y = Axis { scale, format: metric.format, ..Axis::default() };
        for (place, (name, rows)) in curves.iter().enumerate() {
            let tone = Tone::Accent(from + place);
            let points: Vec<(f64, f64)> =
                rows.iter().map(|row| (row.value(self.column), row.value(&metric.column))).collect();
            let dots = rows.iter().map(|row| dot(row, &metric.column)).collect();
            let spread = rows.iter().map(|row| row.interval(&metric.column)).collect();
            panel.series.push(Series::new("", Style::Rule, points.clone()).tone(tone));
            let dots = Series::new(name.clone(), Style::Dots(dots), points).tone(tone);
            panel.series.push(Series { spread, ..dots });
        }
        note_when_empty(&mut panel, look);
        panel
    }

    fn pages(
        &self,
        (en, zh): (&str, &str),
        metrics: &[Compared],
        columns: usize,
        look: &Look,
    ) -> Vec<Figure> {
        if self.curves.len() > CURVES_MOST {
            return self.maps((en, zh), metrics, look);
        }
        let count = self.curves.len().div_ceil(CURVES);
        let per_page = self.curves.len().div_ceil(count);
        let page = |(number, curves): (usize, &[(String, Vec<&ComparedRow>)])| {
            // The same colour for the same curve on all pages of one picture.
            let panels = metrics.iter().map(|metric| self.panel(metric, curves, number * per_page, look));
            let (panels, left_out) = without_empty(panels.collect(), look);
            let columns = if panels.len() <= 4 { columns.min(2) } else { columns };
            let mut figure = Figure::new(look.titled(en, zh), columns, panels);
            figure.subtitle = format!("{}{left_out}", self.subtitle(curves, look));
            figure.one_legend = true;
            figure
        };
        self.curves.chunks(per_page).enumerate().map(page).collect()
    }

    /// A map for each value: what was swept by the rest, green better.
    fn maps(&self, (en, zh): (&str, &str), metrics: &[Compared], look: &Look) -> Vec<Figure> {
        let places = places(self.all, self.column);
        let counted = eligible(self.all);
        let none_sound = !self.all.iter().any(ComparedRow::is_sound);
        let page = |curves: &[(String, Vec<&ComparedRow>)]| {
            let panels = metrics.iter().enumerate().map(|(number, metric)| {
                let of_all = self.all.iter().zip(&counted).filter(|(_, is)| **is);
                let all: Vec<f64> = of_all.map(|(row, _)| row.value(&metric.column)).collect();
                let format = self.x(look).format;
                let names = curves.iter().map(|(name, _)| name.clone()).collect();
                let mut panel = Panel {
                    title: metric.title(look.lang),
                    x: Axis::names("", places.iter().map(|at| format.value(*at)).collect()),
                    y: Axis::names("", names),
                    ramp: ColourRamp::Verdict,
                    // Once: beside each other they have no room.
                    ramp_ends: (number == 0).then(|| (look.say("worse", "较差"), look.say("better", "较好"))),
                    ..Panel::default()
                };
                let (mut points, mut cells, mut hatched) = (Vec::new(), Vec::new(), Vec::new());
                for (line, (_, rows)) in curves.iter().enumerate() {
                    for row in rows {
                        let value = row.value(&metric.column);
                        let at = places.iter().position(|place| *place == row.value(self.column));
                        points.push((at.map_or(f64::NAN, |at| at as f64), line as f64));
                        let share = heat::goodness(value, &all, metric.higher);
                        let judged = row.is_sound() || none_sound;
                        cells.push((if judged { share } else { f64::NAN }, metric.format.value(value)));
                        hatched.push(!row.is_sound());
                    }
                }
                panel.series = vec![Series { hatched, ..Series::new("", Style::Cells(cells), points) }];
                panel
            });
            let (panels, left_out) = without_empty(panels.collect(), look);
            let mut figure = Figure::new(look.titled(en, zh), panels.len(), panels);
            let meaning = look.say(
                "colours compare within a map, on a log scale where values span decades",
                "颜色在每张图内比较，跨数量级时按对数",
            );
            let swept = match look.lang {
                Lang::English => format!("from left to right: {}; ", self.label(look)),
                Lang::Chinese => format!("从左到右：{}；", self.label(look)),
            };
            figure.subtitle = format!("{}{left_out}\n{swept}{meaning}", self.subtitle(curves, look));
            figure
        };
        let count = self.curves.len().div_ceil(MAP_ROWS);
        self.curves.chunks(self.curves.len().div_ceil(count)).map(page).collect()
    }

    fn subtitle(&self, curves: &[(String, Vec<&ComparedRow>)], look: &Look) -> String {
        let (n, here) = (self.all.len(), curves.iter().map(|(_, rows)| rows.len()).sum::<usize>());
        let told = match look.lang {
            Lang::English if here < n => format!("{here} of {n} configurations"),
            Lang::English => format!("{n} configurations"),
            Lang::Chinese if here < n => format!("{n} 个配置中的 {here} 个"),
            Lang::Chinese => format!("{n} 个配置"),
        };
        format!("{told}{}", marks_named(self.all, look, true))
    }
}

/// The values that are swept, in order.
fn places(all: &[ComparedRow], column: &str) -> Vec<f64> {
    let mut places: Vec<f64> = all.iter().map(|row| row.value(column)).filter(|x| x.is_finite()).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    places
}

/// What tells the curves of a sweep apart.
struct Differing {
    group: bool,
    /// Lengths as `512x512`, or the name of a data set.
    shape: bool,
    /// Columns with what stands before and behind their values.
    columns: Vec<(&'static str, &'static str, &'static str)>,
}

impl Differing {
    fn of(swept: &str, all: &[ComparedRow]) -> Differing {
        let differs = |of: fn(&ComparedRow) -> &str| all.iter().any(|other| of(other) != of(&all[0]));
        let over_length = swept.ends_with("_len");
        // Of lengths the one that is not swept.
        let mut columns = if over_length {
            vec![("input_len", "io", "x*"), ("output_len", "io*x", ""), ("max_concurrency", "mc", "")]
        } else {
            Vec::new()
        };
        columns.push(("request_rate", "r", ""));
        columns.retain(|(column, ..)| *column != swept && places(all, column).len() > 1);
        Differing {
            group: differs(|row| &row.group),
            shape: !over_length && differs(|row| &row.shape),
            columns,
        }
    }

    /// What all rows of a curve have in common and others have not.
    fn name(&self, row: &ComparedRow) -> String {
        let mut parts: Vec<String> = Vec::new();
        if self.group {
            parts.push(row.group.clone());
        }
        if self.shape {
            parts.push(row.shape.clone());
        }
        for (column, before, behind) in &self.columns {
            let value = row.value(column);
            if value.is_finite() {
                parts.push(format!("{before}{value}{behind}"));
            }
        }
        parts.join(" ")
    }
}

pub fn throughput(all: &[ComparedRow], look: &Look) -> Option<Vec<Figure>> {
    let shown = [metrics::total(), metrics::output(), metrics::output_tokens(), metrics::requests()];
    Some(Sweep::of(all)?.pages(("Throughput", "吞吐量"), &shown, 2, look))
}

pub fn latency(all: &[ComparedRow], look: &Look) -> Option<Vec<Figure>> {
    let tokens = [Metric::Ttft, Metric::Tpot, Metric::Itl];
    let mut shown: Vec<Compared> = tokens.iter().map(|metric| of(*metric, "mean")).collect();
    shown.push(of(Metric::E2el, "mean"));
    shown.extend(tokens.iter().map(|metric| of(*metric, "p99")));
    Some(Sweep::of(all)?.pages(("Latency", "延迟"), &shown, 4, look))
}

#[cfg(test)]
mod tests {
    use super::super::row::testing::{look, row};
    use super::*;

    fn swept(shapes: usize, concurrencies: usize) -> Vec<ComparedRow> {
        let one = |i: usize| {
            let (shape, users) = (i / concurrencies, f64::from(1u32 << (i % concurrencies)));
            let mut row =
                row(&format!("c{i}"), &[("output_throughput", users * 20.0), ("max_concurrency", users)]);
            row.shape = format!("{0}x{0}", 2f64.powi(7 + shape as i32));
            row
        };
        (0..shapes * concurrencies).map(one).collect()
    }

    #[test]
    fn forty_configurations_of_a_sweep_are_five_curves_with_ticks_where_they_were_measured() {
        let rows = swept(5, 8);
        let pages = throughput(&rows, &look("m", Lang::English)).expect("a sweep");
        assert_eq!(pages.len(), 1);
        let panel = &pages[0].panels[0];
        assert_eq!(panel.x.at, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]);
        assert_eq!(panel.x.scale, Scale::Log);
        let named = panel.series.iter().filter(|series| !series.name.is_empty());
        assert_eq!(
            named.map(|series| series.name.as_str()).collect::<Vec<_>>(),
            ["128x128", "256x256", "512x512", "1024x1024", "2048x2048"]
        );
    }

    #[test]
    fn lengths_are_swept_too_and_a_curve_is_named_by_the_other() {
        let one = |i: usize| {
            let (input, output) = (f64::from(16u32 << (i % 8)), [64.0, 256.0][i / 8]);
            let values = [("output_throughput", 20.0), ("max_concurrency", 8.0), ("input_len", input)];
            let mut row = row(&format!("c{i}"), &values);
            row.values.insert("output_len".into(), output);
            row.shape = format!("{input}x{output}");
            row
        };
        let rows: Vec<ComparedRow> = (0..16).map(one).collect();
        let pages = throughput(&rows, &look("m", Lang::English)).expect("a sweep");
        let panel = &pages[0].panels[0];
        assert_eq!((panel.x.label.as_str(), panel.x.at.len()), ("length of prompts (tokens)", 8));
        let named: Vec<&str> =
            panel.series.iter().map(|one| one.name.as_str()).filter(|name| !name.is_empty()).collect();
        assert_eq!(named, ["io*x64", "io*x256"]);
    }

    #[test]
    fn a_hundred_curves_are_one_page_of_maps() {
        let pages = throughput(&swept(100, 10), &look("m", Lang::English)).expect("a sweep");
        assert_eq!(pages.len(), 1);
        let Style::Cells(cells) = &pages[0].panels[0].series[0].style else { panic!("cells") };
        assert_eq!(cells.len(), 1_000);
    }

    #[test]
    fn a_dozen_is_bars_and_so_is_what_was_not_swept() {
        assert!(Sweep::of(&swept(3, 4)).is_none());
        assert!(Sweep::of(&swept(20, 2)).is_none());
        assert_eq!(throughput(&swept(14, 4), &look("", Lang::English)).map(|pages| pages.len()), Some(3));
    }
}
