//! A forest: by how much each number of the second side differs from the first, with its interval.

use super::figure::{Axis, Figure, Panel, Series, Style};
use super::palette::Tone;
use super::ticks::TickFormat;
use crate::lang::Lang;
use crate::stats::versus::judge::Word;

/// What is drawn.
#[derive(Debug, Clone, Default)]
pub struct Forest {
    pub title: String,
    pub subtitle: String,
    /// All together first, then each cell, where there are several.
    pub groups: Vec<ForestGroup>,
    /// The widest margin of its rows.
    pub margin: f64,
}

/// Rows that have a panel of their own.
#[derive(Debug, Clone, Default)]
pub struct ForestGroup {
    pub name: String,
    /// Shares of the first side's value.
    pub rows: Vec<ForestRow>,
}

#[derive(Debug, Clone)]
pub struct ForestRow {
    pub label: String,
    pub value: f64,
    pub low: f64,
    pub high: f64,
    pub word: Word,
}

/// Panels of one picture.
const PANELS: usize = 8;

/// The colour of a word: red is for failures alone.
fn tone(word: Word) -> Tone {
    match word {
        Word::Better => Tone::Accent(2),
        Word::Worse => Tone::Accent(1),
        Word::Same => Tone::Accent(0),
        Word::Unclear => Tone::Muted,
    }
}

/// One line a row, its interval as a bar and its value as a dot; 0 and the margin are marked. Groups stand
/// beside each other, on the same scale; of more than fit those that hold a worse row go first.
pub fn figure(forest: &Forest, lang: Lang) -> Figure {
    let groups = shown(&forest.groups);
    let names = names(&groups);
    let range = range(&groups, forest.margin);
    let all = || groups.iter().flat_map(|group| &group.rows);
    let words = [Word::Worse, Word::Better, Word::Same, Word::Unclear];
    let words: Vec<Word> = words.into_iter().filter(|word| all().any(|row| row.word == *word)).collect();
    let columns = match groups.len() {
        n @ 0..=3 => n.max(1),
        4 => 2,
        5..=6 => 3,
        _ => 4,
    };
    let mut panels: Vec<Panel> =
        groups.iter().map(|group| panel(group, &names, &words, range, lang)).collect();
    if all().next().is_none() {
        let note = Some(lang.pick("nothing could be told", "无法判断").to_string());
        panels = vec![Panel { note, ..Panel::default() }];
    }
    for panel in panels.iter_mut().filter(|panel| panel.note.is_none()) {
        panel.series.push(marks(forest.margin, groups.len() == 1, lang));
    }
    for panel in panels.iter_mut().rev().take(columns) {
        panel.x.label = lang.pick("change of B against A", "B 相对 A 的变化").into();
    }
    let lines = panels.len().div_ceil(columns) as u32;
    let mut figure = Figure::new(forest.title.clone(), columns, panels);
    figure.subtitle = forest.subtitle.clone();
    if groups.len() > 1 {
        figure.one_legend = true;
        figure.subtitle += &of_groups(forest, groups.len(), lang);
    }
    // A slide, or as tall as many rows need.
    figure.height = (lines * (names.len() as u32 * 18 + 90) + 130).max(figure.height);
    figure
}

/// The first of all, and of the others as many as there is room for, in their order.
fn shown(groups: &[ForestGroup]) -> Vec<&ForestGroup> {
    let is_worse = |group: &ForestGroup| group.rows.iter().any(|row| row.word == Word::Worse);
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|i| (*i > 0, *i > 0 && !is_worse(&groups[*i])));
    order.truncate(PANELS);
    order.sort_unstable();
    order.into_iter().map(|i| &groups[i]).collect()
}

/// The same rows in each panel, those that one of them has.
fn names(groups: &[&ForestGroup]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for row in groups.iter().flat_map(|group| &group.rows) {
        if !names.contains(&row.label) {
            names.push(row.label.clone());
        }
    }
    names
}

/// Where the axis begins and ends: all intervals, no change, and the margin.
fn range(groups: &[&ForestGroup], margin: f64) -> (f64, f64) {
    let rows = groups.iter().flat_map(|group| &group.rows);
    let reach = rows.flat_map(|row| [row.low, row.high]).chain([-margin, margin]);
    let (least, most) =
        reach.fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let pad = ((most - least) * 0.06).max(1e-3);
    (least - pad, most + pad)
}

fn panel(group: &ForestGroup, names: &[String], words: &[Word], range: (f64, f64), lang: Lang) -> Panel {
    let place = |row: &ForestRow| names.iter().position(|name| *name == row.label).unwrap_or(0) as f64;
    let mut series = Vec::new();
    for word in words {
        let of_word = group.rows.iter().filter(|row| row.word == *word);
        let ends = of_word.flat_map(|row| [(row.low, place(row)), (row.high, place(row))]).collect();
        series.push(Series::new(word.text(lang), Style::Spans, ends).tone(tone(*word)));
    }
    let dots = group.rows.iter().map(|row| (row.value, place(row))).collect();
    series.push(Series::new("", Style::Points, dots).tone(Tone::Accent(7)));
    Panel {
        title: group.name.clone(),
        x: Axis::linear("").format(TickFormat::Share).range(range.0, range.1),
        y: Axis::names("", names.to_vec()),
        series,
        ..Panel::default()
    }
}

/// Lines at no change and at the margin; small panels have no room for what they are.
fn marks(margin: f64, named: bool, lang: Lang) -> Series {
    let percent = percent(margin);
    let labels = [format!("-{percent}"), lang.pick("no change", "无变化").to_string(), format!("+{percent}")];
    let labels = labels.map(|label| if named { label } else { String::new() });
    Series::new("", Style::Marks(labels.into()), vec![(-margin, 0.0), (0.0, 0.0), (margin, 0.0)])
}

fn percent(share: f64) -> String {
    let percent = format!("{:.3}", share * 100.0);
    format!("{}%", percent.trim_end_matches('0').trim_end_matches('.'))
}

/// What the lines of small panels are, and how many groups have none.
fn of_groups(forest: &Forest, shown: usize, lang: Lang) -> String {
    let (percent, more) = (percent(forest.margin), forest.groups.len() - shown);
    let left_out = match (more, lang) {
        (0, _) => String::new(),
        (_, Lang::English) => format!("; {more} more cells are in the table"),
        (_, Lang::Chinese) => format!("；另有 {more} 个单元见表格"),
    };
    match lang {
        Lang::English => format!("; lines: no change, and the margin of {percent}{left_out}"),
        Lang::Chinese => format!("；竖线：无变化与界限 {percent}{left_out}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(label: &str, low: f64, high: f64, word: Word) -> ForestRow {
        ForestRow { label: label.into(), value: f64::midpoint(low, high), low, high, word }
    }

    fn spans(panel: &Panel) -> Vec<&Series> {
        panel.series.iter().filter(|series| matches!(series.style, Style::Spans)).collect()
    }

    #[test]
    fn each_row_has_its_interval_at_its_place_and_no_change_is_marked() {
        let rows = vec![row("ttft.mean", 0.09, 0.1, Word::Worse), row("itl.p99", -0.01, 0.01, Word::Same)];
        let groups = vec![ForestGroup { rows, ..ForestGroup::default() }];
        let figure = figure(&Forest { groups, margin: 0.03, ..Forest::default() }, Lang::English);
        let panel = &figure.panels[0];
        assert_eq!(spans(panel)[0].points, [(0.09, 0.0), (0.1, 0.0)]);
        assert_eq!(spans(panel)[1].points, [(-0.01, 1.0), (0.01, 1.0)]);
        let Style::Marks(labels) = &panel.series.last().unwrap().style else { panic!("marks") };
        assert_eq!(labels, &["-3%", "no change", "+3%"]);
        let (from, to) = panel.x.range.unwrap();
        assert!(from < -0.03 && to > 0.1);
    }

    #[test]
    fn cells_stand_beside_each_other_and_a_worse_one_is_never_left_out() {
        let cell = |i: usize| {
            let word = if i == 11 { Word::Worse } else { Word::Same };
            let missing = row("itl.p99", 0.0, 0.01, Word::Same);
            let rows = [row("ttft.mean", 0.09, 0.1, word)].into_iter().chain((i > 0).then_some(missing));
            ForestGroup { name: format!("cell {i}"), rows: rows.collect() }
        };
        let forest = Forest { groups: (0..12).map(cell).collect(), margin: 0.05, ..Forest::default() };
        let figure = figure(&forest, Lang::English);
        let titles: Vec<&str> = figure.panels.iter().map(|panel| panel.title.as_str()).collect();
        assert_eq!((titles.len(), titles[0], titles[7]), (PANELS, "cell 0", "cell 11"));
        assert!(figure.subtitle.contains("margin of 5%; 4 more cells"), "{}", figure.subtitle);
        let same = |panel: &Panel| {
            (panel.y.scale.clone(), panel.x.range)
                == (figure.panels[0].y.scale.clone(), figure.panels[0].x.range)
        };
        assert!(figure.panels.iter().all(same));
        assert_eq!((figure.width, figure.height), (1280, 720));
    }

    #[test]
    fn nothing_to_draw_is_said() {
        assert!(figure(&Forest::default(), Lang::Chinese).panels[0].note.is_some());
    }
}
