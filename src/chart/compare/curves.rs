//! Throughput and latency of a sweep with more configurations than a page holds bars: one curve for
//! each length of prompts and replies, over the concurrency or the rate.

use super::layout::{dot, marks_named, note_when_empty, spans_decades};
use super::metrics::{self, Compared, latency as of};
use super::row::{ComparedRow, Look};
use crate::chart::{Axis, Figure, Panel, Scale, Series, Style, TickFormat, Tone};
use crate::lang::Lang;
use crate::stats::metric::Metric;

/// Up to this many configurations are bars.
const BARS_MOST: usize = 12;
/// Curves of one page.
const CURVES: usize = 6;

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
        let column = ["max_concurrency", "request_rate"].into_iter().find(|column| {
            let known = all.iter().all(|row| row.value(column) > 0.0);
            known && places(all, column).len() > 2
        })?;
        let mut curves: Vec<(String, Vec<&ComparedRow>)> = Vec::new();
        for row in all {
            let name = name(row, column, all);
            match curves.iter_mut().find(|(known, _)| *known == name) {
                Some((_, rows)) => rows.push(row),
                None => curves.push((name, vec![row])),
            }
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
        let concurrency = self.column == "max_concurrency";
        let label = match concurrency {
            true => look.say("concurrency (requests at once)", "并发数（同时请求）"),
            false => look.say("request rate (requests/s)", "请求速率（请求/s）"),
        };
        let axis = Axis { scale: if wide { Scale::Log } else { Scale::Linear }, ..Axis::linear(label) };
        axis.at(places).format(if concurrency { TickFormat::Count } else { TickFormat::Number })
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
        let count = self.curves.len().div_ceil(CURVES);
        let per_page = self.curves.len().div_ceil(count);
        let page = |(number, curves): (usize, &[(String, Vec<&ComparedRow>)])| {
            // The same colour for the same curve on all pages of one picture.
            let panels = metrics.iter().map(|metric| self.panel(metric, curves, number * per_page, look));
            let mut figure = Figure::new(look.titled(en, zh), columns, panels.collect());
            figure.subtitle = self.subtitle(curves, look);
            figure
        };
        self.curves.chunks(per_page).enumerate().map(page).collect()
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

/// What a curve is called: what all of its rows have in common and others have not.
fn name(row: &ComparedRow, column: &str, all: &[ComparedRow]) -> String {
    let differs = |of: fn(&ComparedRow) -> &str| all.iter().any(|other| of(other) != of(row));
    let mut parts: Vec<String> = Vec::new();
    if differs(|row| &row.group) {
        parts.push(row.group.clone());
    }
    if differs(|row| &row.shape) {
        parts.push(row.shape.clone());
    }
    let rate = row.value("request_rate");
    if column != "request_rate" && rate.is_finite() && places(all, "request_rate").len() > 1 {
        parts.push(format!("r{rate}"));
    }
    parts.join(" ")
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
            row.shape = format!("{0}x{0}", 128 << shape);
            row
        };
        (0..shapes * concurrencies).map(one).collect()
    }

    #[test]
    fn forty_configurations_of_a_sweep_are_five_curves_with_ticks_where_they_were_measured() {
        let rows = swept(5, 8);
        let pages = throughput(&rows, &look("m", Lang::English)).expect("a sweep");
        assert_eq!(pages.len(), 1);
        let panel = &pages[0].panels[1];
        assert_eq!(panel.x.at, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]);
        assert_eq!(panel.x.scale, Scale::Log);
        let named = panel.series.iter().filter(|series| !series.name.is_empty());
        assert_eq!(
            named.map(|series| series.name.as_str()).collect::<Vec<_>>(),
            ["128x128", "256x256", "512x512", "1024x1024", "2048x2048"]
        );
    }

    #[test]
    fn a_dozen_is_bars_and_so_is_what_was_not_swept() {
        assert!(Sweep::of(&swept(3, 4)).is_none());
        assert!(Sweep::of(&swept(20, 2)).is_none());
        assert_eq!(throughput(&swept(14, 4), &look("", Lang::English)).map(|pages| pages.len()), Some(3));
    }
}
