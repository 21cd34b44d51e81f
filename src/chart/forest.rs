//! A forest: by how much each number of the second side differs from the first, with its interval.

use super::figure::{Axis, Figure, Panel, Scale, Series, Style};
use super::palette::Tone;
use super::ticks::TickFormat;
use crate::lang::Lang;
use crate::stats::versus::judge::Word;

/// What is drawn.
#[derive(Debug, Clone, Default)]
pub struct Forest {
    pub title: String,
    pub subtitle: String,
    /// Shares of the first side's value.
    pub rows: Vec<ForestRow>,
    /// The widest margin of its rows.
    pub margin: f64,
}

#[derive(Debug, Clone)]
pub struct ForestRow {
    pub label: String,
    pub value: f64,
    pub low: f64,
    pub high: f64,
    pub word: Word,
}

/// The colour of a word: red is for failures alone.
fn tone(word: Word) -> Tone {
    match word {
        Word::Better => Tone::Accent(2),
        Word::Worse => Tone::Accent(1),
        Word::Same => Tone::Accent(0),
        Word::Unclear => Tone::Muted,
    }
}

/// One line a row, its interval as a bar and its value as a dot; 0 and the margin are marked.
pub fn figure(forest: &Forest, lang: Lang) -> Figure {
    let names = forest.rows.iter().map(|row| row.label.clone()).collect();
    let mut series = Vec::new();
    for word in [Word::Worse, Word::Better, Word::Same, Word::Unclear] {
        let of_word = || forest.rows.iter().enumerate().filter(move |(_, row)| row.word == word);
        let ends = of_word().flat_map(|(place, row)| [(row.low, place as f64), (row.high, place as f64)]);
        let ends: Vec<(f64, f64)> = ends.collect();
        if ends.is_empty() {
            continue;
        }
        series.push(Series::new(word.text(lang), Style::Spans, ends).tone(tone(word)));
    }
    let dots = forest.rows.iter().enumerate().map(|(place, row)| (row.value, place as f64)).collect();
    series.push(Series::new("", Style::Points, dots).tone(Tone::Accent(7)));
    let margin = forest.margin;
    let marks = vec![(-margin, 0.0), (0.0, 0.0), (margin, 0.0)];
    let percent = format!("{:.3}", margin * 100.0);
    let percent = percent.trim_end_matches('0').trim_end_matches('.');
    let labels =
        vec![format!("-{percent}%"), lang.pick("no change", "无变化").to_string(), format!("+{percent}%")];
    if !forest.rows.is_empty() {
        series.push(Series::new("", Style::Marks(labels), marks));
    }
    let reach = forest.rows.iter().flat_map(|row| [row.low, row.high]).chain([-margin, margin]);
    let (least, most) =
        reach.fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let pad = ((most - least) * 0.06).max(1e-3);
    let x = Axis::linear(lang.pick("change of B against A", "B 相对 A 的变化"))
        .format(TickFormat::Share)
        .range(least - pad, most + pad);
    let panel = Panel {
        x,
        y: Axis { scale: Scale::Names(names), ..Axis::default() },
        series,
        note: forest.rows.is_empty().then(|| lang.pick("nothing could be told", "无法判断").to_string()),
        ..Panel::default()
    };
    let mut figure = Figure::new(forest.title.clone(), 1, vec![panel]);
    figure.subtitle = forest.subtitle.clone();
    figure.height = (forest.rows.len() as u32 * 34 + 230).max(360);
    figure
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(label: &str, low: f64, high: f64, word: Word) -> ForestRow {
        ForestRow { label: label.into(), value: f64::midpoint(low, high), low, high, word }
    }

    #[test]
    fn each_row_has_its_interval_at_its_place_and_no_change_is_marked() {
        let rows = vec![row("ttft.mean", 0.09, 0.1, Word::Worse), row("itl.p99", -0.01, 0.01, Word::Same)];
        let figure = figure(&Forest { rows, margin: 0.03, ..Forest::default() }, Lang::English);
        let panel = &figure.panels[0];
        let spans: Vec<&Series> =
            panel.series.iter().filter(|series| matches!(series.style, Style::Spans)).collect();
        assert_eq!(spans[0].points, [(0.09, 0.0), (0.1, 0.0)]);
        assert_eq!(spans[1].points, [(-0.01, 1.0), (0.01, 1.0)]);
        let Style::Marks(labels) = &panel.series.last().unwrap().style else { panic!("marks") };
        assert_eq!(labels, &["-3%", "no change", "+3%"]);
        let (from, to) = panel.x.range.unwrap();
        assert!(from < -0.03 && to > 0.1);
    }

    #[test]
    fn nothing_to_draw_is_said() {
        assert!(figure(&Forest::default(), Lang::Chinese).panels[0].note.is_some());
    }
}
