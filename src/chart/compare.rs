//! The pictures over several configurations: throughput, latency, heat map.

use super::ticks::TickFormat;
use super::{Axis, ColourRamp, Figure, Panel, Scale, Series, Style, Tone};
use crate::lang::Lang;
use crate::stats::metric::{Better, Metric};

/// One configuration: its label (`io512x512_mc4_np40`) and the columns of the aggregated CSV.
#[derive(Debug, Clone)]
pub struct ComparedRow {
    pub label: String,
    pub values: std::collections::BTreeMap<String, f64>,
}

/// Which picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Throughput,
    Latency,
    HeatMap,
}

/// Configurations of one picture. More are too tall to be looked at, and to be kept in memory.
const PAGE_ROWS: usize = 100;

/// Some of the configurations that are compared, from place `from` on.
struct Page<'a> {
    rows: &'a [ComparedRow],
    all: &'a [ComparedRow],
    from: usize,
}

impl Page<'_> {
    #[cfg(test)]
    fn whole(rows: &[ComparedRow]) -> Page<'_> {
        Page { rows, all: rows, from: 0 }
    }

    fn is_part(&self) -> bool {
        self.rows.len() < self.all.len()
    }
}

/// One picture for each hundred configurations, all on the same scales.
pub fn pages(kind: Comparison, all: &[ComparedRow], title: &str) -> Vec<Figure> {
    let draw = |(number, rows)| {
        let page = Page { rows, all, from: number * PAGE_ROWS };
        match kind {
            Comparison::Throughput => throughput_of(&page, title),
            Comparison::Latency => latency_of_page(&page, title),
            Comparison::HeatMap => heatmap_of(&page, title),
        }
    };
    all.chunks(PAGE_ROWS).enumerate().map(draw).collect()
}

/// Up to this many configurations the panels stand in a grid, and beyond it all in one row,
/// since they need the height.
const GRID_MOST: usize = 14;

/// What is compared: a column of the aggregated CSV, its name in both languages, whether more is better.
struct Compared {
    column: String,
    en: String,
    zh: String,
    format: TickFormat,
    higher: bool,
}

fn rate(of: Metric, column: &str, en: &str, zh: &str) -> Compared {
    let higher = of.about().better == Better::Higher;
    Compared { column: column.into(), en: en.into(), zh: zh.into(), format: TickFormat::Number, higher }
}

fn total() -> Compared {
    rate(Metric::TotalTokens, "total_token_throughput", "Total tokens/s", "总吞吐量")
}

fn output() -> Compared {
    rate(Metric::OutputTokens, "output_throughput", "Output tokens/s", "输出吞吐量")
}

fn requests() -> Compared {
    rate(Metric::Requests, "request_throughput", "Requests/s", "请求吞吐量")
}

fn goodput() -> Compared {
    rate(Metric::Goodput, "request_goodput", "Good requests/s", "有效吞吐量")
}

/// The means of vLLM's latencies, and behind the first of them its 99th percentile.
fn latencies() -> Vec<Compared> {
    let compared = |of: Metric, statistic: &str, en: &str, zh: String| Compared {
        column: format!("{statistic}_{}_ms", of.name()),
        en: format!("{en} {}", of.written_out(Lang::English)),
        zh,
        format: TickFormat::Ms,
        higher: of.about().better == Better::Higher,
    };
    let mean = |of: Metric| compared(of, "mean", "Mean", format!("平均{}", of.written_out(Lang::Chinese)));
    let mut all: Vec<Compared> = Metric::OF_VLLM.into_iter().map(mean).collect();
    let first = Metric::OF_VLLM[0];
    all.insert(1, compared(first, "p99", "P99", format!("{} P99", first.written_out(Lang::Chinese))));
    all
}

fn compared() -> Vec<Compared> {
    [total(), output(), requests(), goodput()].into_iter().chain(latencies()).collect()
}

impl Compared {
    fn title(&self) -> String {
        format!("{} · {}", self.en, self.zh)
    }
}

impl ComparedRow {
    /// A missing value is not a number: a gap with a "-".
    fn value(&self, column: &str) -> f64 {
        self.values.get(column).copied().unwrap_or(f64::NAN)
    }
}

/// Whether anything of these configurations can be drawn.
pub fn drawable(rows: &[ComparedRow]) -> bool {
    compared().iter().any(|metric| rows.iter().any(|row| row.value(&metric.column).is_finite()))
}

/// Chart 1: total tok/s, output tok/s, token counts, req/s by configuration (2x2).
///
/// `title`: what is compared, such as the model's name; it stands in front of the chart's own.
#[cfg(test)]
pub fn throughput(rows: &[ComparedRow], title: &str) -> Figure {
    throughput_of(&Page::whole(rows), title)
}

fn throughput_of(page: &Page, title: &str) -> Figure {
    let rows = page.rows;
    let mut tokens = panel(rows, "Tokens in and out · 输入与输出令牌数", TickFormat::Number);
    if tokens.note.is_none() {
        let counts = [("input · 输入", "total_input_tokens"), ("output · 输出", "total_output_tokens")];
        tokens.series = counts.map(|(name, column)| bars(rows, name, column, Tone::Auto)).into();
        tokens.x.range = common_range(page, &counts.map(|(_, column)| column));
    }
    let mut panels = vec![one(page, &total(), 0), one(page, &output(), 0), tokens, one(page, &requests(), 0)];
    panels.iter_mut().for_each(note_when_empty);
    finish(page, title, "Throughput · 吞吐量对比", panels, 2)
}

/// Chart 2: mean TTFT, P99 TTFT, mean TPOT, mean ITL, mean E2EL, each on its own axis.
///
/// `title`: what is compared, such as the model's name; it stands in front of the chart's own.
#[cfg(test)]
pub fn latency(rows: &[ComparedRow], title: &str) -> Figure {
    latency_of_page(&Page::whole(rows), title)
}

fn latency_of_page(page: &Page, title: &str) -> Figure {
    let mut panels: Vec<Panel> = latencies().iter().map(|metric| one(page, metric, 2)).collect();
    panels.iter_mut().for_each(note_when_empty);
    finish(page, title, "Latency · 延迟对比", panels, 3)
}

/// Chart 3: configuration x metric, normalised so that green is always better.
///
/// A cell's colour is its place between the worst and the best value of its column. Equal
/// values are neutral, and so is a single configuration; a column whose values differ by
/// less than 10 % is pale in proportion.
#[cfg(test)]
pub fn heatmap(rows: &[ComparedRow], title: &str) -> Figure {
    heatmap_of(&Page::whole(rows), title)
}

fn heatmap_of(page: &Page, title: &str) -> Figure {
    let rows = page.rows;
    let seen = |metric: &Compared| page.all.iter().any(|row| row.value(&metric.column).is_finite());
    let metrics: Vec<Compared> = compared().into_iter().filter(seen).collect();
    let (mut points, mut cells) = (Vec::new(), Vec::new());
    for (column, metric) in metrics.iter().enumerate() {
        let values: Vec<f64> = rows.iter().map(|row| row.value(&metric.column)).collect();
        let all: Vec<f64> = page.all.iter().map(|row| row.value(&metric.column)).collect();
        for (place, label) in metric.format.column(&values).into_iter().enumerate() {
            points.push((column as f64, place as f64));
            cells.push((goodness(values[place], &all, metric.higher), label));
        }
    }
    let mut panel = Panel {
        x: Axis::names("", metrics.iter().map(|metric| format!("{}\n{}", metric.en, metric.zh)).collect()),
        y: Axis::names("", rows.iter().map(|row| row.label.clone()).collect()),
        ramp: ColourRamp::Verdict,
        ramp_ends: Some(("worse · 较差".into(), "better · 较好".into())),
        ..Panel::default()
    };
    if page.all.len() == 1 {
        panel.ramp_ends = None;
    }
    if metrics.is_empty() {
        panel.note = Some("no data · 没有数据".into());
        panel.ramp_ends = None;
    } else {
        panel.series = vec![Series::new("", Style::Cells(cells), points)];
    }
    let mut figure = Figure::new(joined(title, "Performance heat map · 性能热力图"), 1, vec![panel]);
    figure.subtitle = subtitle(page);
    if page.all.len() > 1 {
        figure.subtitle += "\ncolours compare within a column; pale: less than 10% apart · 颜色按列比较；颜色浅：相差不到 10%";
    }
    let rows_height = (rows.len() as u32 * 44).clamp(70, 500).max(rows.len() as u32 * 24);
    figure.height = 240 + rows_height;
    figure
}

/// 0 worst, 1 best, 0.5 when there is nothing to compare.
fn goodness(value: f64, all: &[f64], higher: bool) -> f64 {
    if !value.is_finite() {
        return f64::NAN;
    }
    let finite = all.iter().copied().filter(|value| value.is_finite());
    let (lo, hi) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    if hi <= lo {
        return 0.5;
    }
    let place = (value - lo) / (hi - lo) - 0.5;
    // A difference within the noise of a benchmark must not look like day and night.
    let strength = ((hi - lo) / hi.abs().max(lo.abs()) / 0.10).min(1.0);
    0.5 + if higher { place } else { -place } * strength
}

/// A panel of lying bars, one row a configuration, without series yet.
fn panel(rows: &[ComparedRow], title: &str, format: TickFormat) -> Panel {
    Panel {
        title: title.to_owned(),
        x: Axis::linear("").format(format),
        y: Axis {
            scale: Scale::Names(rows.iter().map(|row| row.label.clone()).collect()),
            ..Axis::default()
        },
        note: rows.is_empty().then(|| "no data · 没有数据".into()),
        ..Panel::default()
    }
}

fn one(page: &Page, metric: &Compared, accent: usize) -> Panel {
    let series = vec![bars(page.rows, "", &metric.column, Tone::Accent(accent))];
    let mut panel = Panel { series, ..panel(page.rows, &metric.title(), metric.format) };
    panel.x.range = common_range(page, &[metric.column.as_str()]);
    panel
}

/// The same ends on every page; `None` where one page is all there is.
fn common_range(page: &Page, columns: &[&str]) -> Option<(f64, f64)> {
    let values = page.all.iter().flat_map(|row| columns.iter().map(move |column| row.value(column)));
    let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
    (page.is_part() && most > 0.0).then_some((0.0, most))
}

fn bars(rows: &[ComparedRow], name: &str, column: &str, tone: Tone) -> Series {
    let points = rows.iter().enumerate().map(|(place, row)| (row.value(column), place as f64)).collect();
    Series::new(name, Style::Bars, points).tone(tone)
}

fn note_when_empty(panel: &mut Panel) {
    if !panel.series.iter().flat_map(|series| &series.points).any(|point| point.0.is_finite()) {
        panel.note = Some("no data · 没有数据".into());
    }
}

fn finish(page: &Page, title: &str, own: &str, panels: Vec<Panel>, columns: usize) -> Figure {
    let rows = page.rows;
    let columns = if rows.len() > GRID_MOST { panels.len() } else { columns };
    let grid_rows = panels.len().div_ceil(columns) as u32;
    let mut figure = Figure::new(joined(title, own), columns, panels);
    figure.subtitle = subtitle(page);
    // Two bars of a row stay thick enough for their values.
    let needed = grid_rows * (rows.len() as u32 * 25 + 100) + 110;
    figure.height = if rows.len() == 1 { 420 } else { needed.max(720) };
    figure
}

fn subtitle(page: &Page) -> String {
    let (first, last) = (page.from + 1, page.from + page.rows.len());
    match page.all.len() {
        n if page.is_part() => {
            format!("configurations {first} to {last} of {n} · {n} 个配置中的第 {first} 至 {last} 个")
        }
        1 => "1 configuration · 1 个配置".into(),
        n => format!("{n} configurations · {n} 个配置"),
    }
}

fn joined(title: &str, own: &str) -> String {
    if title.is_empty() { own.to_owned() } else { format!("{title} — {own}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(label: &str, values: &[(&str, f64)]) -> ComparedRow {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        ComparedRow { label: label.to_owned(), values }
    }

    fn shares(figure: &Figure) -> Vec<f64> {
        let Style::Cells(cells) = &figure.panels[0].series[0].style else { panic!("cells") };
        cells.iter().map(|cell| cell.0).collect()
    }

    #[test]
    fn green_means_more_throughput_and_less_latency() {
        let rows = [
            row("a", &[("output_throughput", 10.0), ("mean_ttft_ms", 100.0)]),
            row("b", &[("output_throughput", 20.0), ("mean_ttft_ms", 900.0)]),
        ];
        assert_eq!(shares(&heatmap(&rows, "")), [0.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn a_single_configuration_and_equal_values_are_neutral() {
        let one = [row("a", &[("output_throughput", 10.0), ("mean_ttft_ms", 100.0)])];
        assert_eq!(shares(&heatmap(&one, "")), [0.5, 0.5]);
        let equal = [row("a", &[("output_throughput", 10.0)]), row("b", &[("output_throughput", 10.0)])];
        assert_eq!(shares(&heatmap(&equal, "")), [0.5, 0.5]);
    }

    #[test]
    fn a_difference_of_one_percent_is_pale() {
        let near = [row("a", &[("output_throughput", 99.0)]), row("b", &[("output_throughput", 100.0)])];
        let shares = shares(&heatmap(&near, ""));
        assert!(shares[0] > 0.44 && shares[1] < 0.56, "{shares:?}");
    }

    #[test]
    fn a_missing_value_is_an_empty_cell_and_no_bar() {
        let rows = [row("a", &[("output_throughput", 10.0)]), row("b", &[])];
        let figure = heatmap(&rows, "");
        assert!(shares(&figure)[1].is_nan());
        let chart = throughput(&rows, "model");
        assert!(chart.panels[1].series[0].points[1].0.is_nan());
        assert!(chart.panels[0].note.is_some() && chart.panels[1].note.is_none());
    }

    #[test]
    fn many_configurations_come_on_pages_with_the_same_scales_and_colours() {
        let rows: Vec<ComparedRow> = (0..250)
            .map(|n| row(&format!("c{n}"), &[("output_throughput", f64::from(n)), ("mean_ttft_ms", 10.0)]))
            .collect();
        let pages = pages(Comparison::Throughput, &rows, "model");
        let rows_of = |figure: &Figure| figure.panels[1].series[0].points.len();
        assert_eq!(pages.iter().map(rows_of).collect::<Vec<_>>(), [100, 100, 50]);
        assert!(pages.iter().all(|page| page.panels[1].x.range == Some((0.0, 249.0)) && page.height < 3_000));
        assert_eq!(pages[2].subtitle, "configurations 201 to 250 of 250 · 250 个配置中的第 201 至 250 个");
        let heat = super::pages(Comparison::HeatMap, &rows, "");
        assert!(
            shares(&heat[0])[..100].iter().all(|share| *share < 0.5),
            "the worst of all, not of its page"
        );
        assert!(shares(&heat[2])[..50].iter().all(|share| *share > 0.5));
        let one = super::pages(Comparison::Latency, &rows[..100], "");
        assert_eq!((one.len(), one[0].panels[0].x.range), (1, None));
    }

    #[test]
    fn the_title_names_what_is_compared_in_both_languages() {
        assert_eq!(throughput(&[], "Qwen").title, "Qwen — Throughput · 吞吐量对比");
        assert_eq!(latency(&[], "").title, "Latency · 延迟对比");
    }
}
