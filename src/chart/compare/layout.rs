//! `Page`: some of the configurations that are compared, and panels of one value each.

use super::metrics::{self, Compared};
use super::row::{ComparedRow, Look};
use super::ties;
use crate::chart::{Axis, Dot, Figure, Panel, Scale, Series, Style, TickFormat, Tone};
use crate::lang::Lang;
use std::collections::BTreeSet;

/// Up to this many configurations come on slides; more than these nobody shows, and their pages hold
/// more and are as tall as they must be.
pub const ON_SLIDES: usize = 120;
const TALL_ROWS: usize = 100;

/// From here on, largest by smallest, values stand on a log axis.
pub const DECADES: f64 = 30.0;

/// Some of the configurations that are compared.
pub struct Page<'a> {
    pub rows: &'a [ComparedRow],
    pub all: &'a [ComparedRow],
    /// The place of the first among all.
    from: usize,
}

impl<'a> Page<'a> {
    /// Pages of at most `most` configurations, about as many on each.
    pub fn of(all: &'a [ComparedRow], most: usize) -> Vec<Page<'a>> {
        let most = if all.len() > ON_SLIDES { TALL_ROWS } else { most };
        let count = all.len().div_ceil(most).max(1);
        // Tall pages are filled, slides are balanced.
        let rows = if most == TALL_ROWS { most } else { all.len().div_ceil(count).max(1) };
        let page = |(number, rows_of_page)| Page { rows: rows_of_page, all, from: number * rows };
        match all.is_empty() {
            true => vec![Page { rows: all, all, from: 0 }],
            false => all.chunks(rows).enumerate().map(page).collect(),
        }
    }

    pub fn is_part(&self) -> bool {
        self.rows.len() < self.all.len()
    }

    /// How many configurations there are, which of them these are, and what marks mean.
    pub fn subtitle(&self, look: &Look) -> String {
        let (first, last, n) = (self.from + 1, self.from + self.rows.len(), self.all.len());
        let mut told = match look.lang {
            Lang::English if self.is_part() => format!("configurations {first} to {last} of {n}"),
            Lang::Chinese if self.is_part() => format!("{n} 个配置中的第 {first} 至 {last} 个"),
            Lang::English if n == 1 => "1 configuration".into(),
            Lang::English => format!("{n} configurations"),
            Lang::Chinese => format!("{n} 个配置"),
        };
        told += &marks(self.all, look);
        told
    }

    /// A figure of these panels, at least as high as a slide.
    pub fn figure(&self, look: &Look, (en, zh): (&str, &str), panels: Vec<Panel>, columns: usize) -> Figure {
        let (panels, left_out) = without_empty(panels, look);
        // Four panels of what would have been six.
        let columns = if panels.len() <= 4 && columns == 3 { 2 } else { columns };
        let columns = if self.rows.len() > 14 { panels.len() } else { columns };
        let grid_rows = panels.len().div_ceil(columns) as u32;
        let mut figure = Figure::new(look.titled(en, zh), columns, panels);
        figure.subtitle = format!("{}{left_out}", self.subtitle(look));
        // A row stays thick enough for its value.
        let needed =
            if self.rows.len() <= 20 { 0 } else { grid_rows * (self.rows.len() as u32 * 25 + 100) + 110 };
        figure.height = figure.height.max(needed);
        figure
    }
}

/// What whiskers and hatches mean, where there are some.
pub fn marks(rows: &[ComparedRow], look: &Look) -> String {
    marks_named(rows, look, false)
}

/// The same; `named`: with the names of the few that are not valid, where nothing else names them.
pub fn marks_named(rows: &[ComparedRow], look: &Look, named: bool) -> String {
    let mut told = String::new();
    let joint = look.say("; ", "；");
    let most = rows.iter().map(|row| row.repeats).max().unwrap_or(1);
    if most > 1 {
        told += &joint;
        told += &match look.lang {
            Lang::English => {
                format!("the middle of up to {most} repeats, whiskers from the lowest to the highest")
            }
            Lang::Chinese => format!("最多 {most} 次重复的中间值，须线表示最低至最高"),
        };
    } else if rows.iter().any(|row| !row.intervals.is_empty()) {
        told += &joint;
        told += &look.say("whiskers: 95% interval", "须线：95% 区间");
    }
    let unsound: Vec<String> = rows.iter().filter(|row| !row.is_sound()).map(ComparedRow::named).collect();
    if !unsound.is_empty() {
        let n = unsound.len();
        let why: BTreeSet<&str> = rows.iter().filter_map(|row| row.verdict.as_deref()).collect();
        let names = match why.into_iter().collect::<Vec<_>>()[..] {
            _ if named && n <= 2 => format!(": {}", unsound.join(", ")),
            [why] if n > 1 => look.say(&format!(" ({why})"), &format!("（{why}）")),
            _ => String::new(),
        };
        told += &joint;
        told += &match look.lang {
            Lang::English => format!("hatched or crossed, do not quote: {n} not valid{names}"),
            Lang::Chinese => format!("斜线或叉号不可引用：{n} 个无效{names}"),
        };
    }
    if rows.iter().any(|row| row.is_sound() && !row.weak.is_empty()) {
        told += &joint;
        told +=
            &look.say("hatched or ringed percentiles: too few requests", "百分位数带斜线或空心：请求太少");
    }
    told
}

/// Lying bars of one value, a configuration a row; dots on a log axis where values span decades.
pub fn one(page: &Page<'_>, metric: &Compared, accent: usize, look: &Look) -> Panel {
    let columns = [(String::new(), metric.column.as_str(), Tone::Accent(accent))];
    several(page, &metric.title(look.lang), metric.format, &columns, look)
}

/// The same of several values: name, column and tone of each.
pub fn several(
    page: &Page<'_>,
    title: &str,
    format: TickFormat,
    columns: &[(String, &str, Tone)],
    look: &Look,
) -> Panel {
    let names = page.rows.iter().map(ComparedRow::named).collect();
    let mut panel = Panel { title: title.into(), y: Axis::names("", names), ..Panel::default() };
    panel.x = Axis::linear("").format(format);
    let all = || page.all.iter().flat_map(|row| columns.iter().map(move |(_, column, _)| row.value(column)));
    let wide = spans_decades(all());
    panel.x.scale = if wide { Scale::Log } else { Scale::Linear };
    let most = all().filter(|value| value.is_finite()).fold(0.0, f64::max);
    let least = all().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
    // Two bars of one row are too thin for a dozen rows; dots are not.
    let dotted = wide || (columns.len() > 1 && (page.rows.len() > 6 || page.is_part()));
    if page.is_part() && most > 0.0 {
        match (wide, dotted) {
            (true, _) => panel.x.range = Some((least / 1.3, most * 1.3)),
            (false, true) => panel.x.range = Some((0.0, most * 1.15)),
            (false, false) => panel.x.reach = Some(most),
        }
    }
    let has = |column: &str| page.all.iter().any(|row| row.value(column).is_finite());
    for (place, (name, column, tone)) in columns.iter().enumerate() {
        if place > 0 && !has(column) {
            continue;
        }
        let value = |row: &ComparedRow| row.value(column);
        let points: Vec<(f64, f64)> =
            page.rows.iter().enumerate().map(|(i, row)| (value(row), i as f64)).collect();
        let spread = page.rows.iter().map(|row| row.interval(column)).collect();
        if !dotted {
            let hatched = page.rows.iter().map(|row| row.is_doubtful(column)).collect();
            panel.series.push(Series {
                spread,
                hatched,
                ..Series::new(name.clone(), Style::Bars, points).tone(*tone)
            });
            continue;
        }
        let texts = format.column(&points.iter().map(|point| point.0).collect::<Vec<f64>>());
        let dots = Style::Dots(page.rows.iter().map(|row| dot(row, column)).collect());
        let labels = Series::new("", Style::Labels(texts), points.clone()).tone(Tone::Ink);
        panel.series.push(Series { spread_x: spread, ..Series::new(name.clone(), dots, points).tone(*tone) });
        panel.series.push(labels);
    }
    note_when_empty(&mut panel, look);
    panel
}

/// Crossed is what is not valid, a ring a percentile of too few values.
pub fn dot(row: &ComparedRow, column: &str) -> Dot {
    match () {
        () if !row.is_sound() => Dot::Cross,
        () if row.is_doubtful(column) => Dot::Ring,
        () => Dot::Full,
    }
}

/// Whether the largest value is far above the smallest.
pub fn spans_decades(values: impl Iterator<Item = f64>) -> bool {
    let (lo, hi) = values
        .filter(|value| *value > 0.0 && value.is_finite())
        .fold((f64::INFINITY, 0.0), |(lo, hi): (f64, f64), value| (lo.min(value), hi.max(value)));
    hi >= DECADES * lo
}

/// Whether there is nothing to see.
fn is_empty(panel: &Panel) -> bool {
    let cells = |series: &Series| match &series.style {
        Style::Cells(cells) => cells.iter().any(|(_, text)| text != "-"),
        _ => series.points.iter().any(|point| point.0.is_finite() && point.1.is_finite()),
    };
    !panel.series.iter().any(cells)
}

pub fn note_when_empty(panel: &mut Panel, look: &Look) {
    if is_empty(panel) {
        panel.note = Some(metrics::no_data(look));
    }
}

/// The panels that show something, and which are left out, in words; all of them where none shows any.
pub fn without_empty(mut panels: Vec<Panel>, look: &Look) -> (Vec<Panel>, String) {
    panels.iter_mut().for_each(|panel| note_when_empty(panel, look));
    let empty: Vec<String> =
        panels.iter().filter(|panel| panel.note.is_some()).map(|panel| panel.title.clone()).collect();
    if empty.is_empty() || empty.len() == panels.len() {
        return (panels, String::new());
    }
    panels.retain(|panel| panel.note.is_none());
    let told = match look.lang {
        Lang::English => format!("; no data on {}", empty.join(", ")),
        Lang::Chinese => format!("；没有数据：{}", empty.join("、")),
    };
    (panels, told)
}

/// What is said of ties.
pub fn tie_rule(rows: &[ComparedRow], look: &Look) -> String {
    let assumed = format!("{}%", ties::ASSUMED * 100.0);
    let has =
        |row: &ComparedRow, column: &str| !row.value(column).is_finite() || row.interval(column).is_some();
    let parts = super::ranking::parts();
    let whole = rows.iter().all(|row| parts.iter().all(|part| has(row, &part.column)));
    let known = rows.iter().any(|row| !row.intervals.is_empty());
    match (look.lang, known, whole) {
        (Lang::English, false, _) => {
            format!("no intervals: a value is taken to be known to within {assumed}")
        }
        (Lang::English, true, true) => "a tie: a difference within the intervals".into(),
        (Lang::English, true, false) => {
            format!(
                "a tie: a difference within the intervals; a value without one is taken to be known to within {assumed}"
            )
        }
        (Lang::Chinese, false, _) => format!("没有区间：数值按 ±{assumed} 的误差看待"),
        (Lang::Chinese, true, true) => "差异在区间之内视为并列".into(),
        (Lang::Chinese, true, false) => {
            format!("差异在区间之内视为并列；没有区间的数值按 ±{assumed} 的误差看待")
        }
    }
}
