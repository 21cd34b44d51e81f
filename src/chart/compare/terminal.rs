//! Charts of characters for the terminal, and columns of text.

use super::metrics;
use super::row::{ComparedRow, Look};
use crate::chart::elided;
use crate::stats::metric::Metric;
use std::collections::BTreeSet;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns of a terminal.
const WIDTH: usize = 80;
/// Columns of a configuration's name at most.
const NAME: usize = 34;
/// Configurations of one chart.
const ROWS: usize = 40;

/// To which side the cells of a column are set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Side {
    Left,
    Right,
}

/// Bars of output throughput, mean TTFT and mean TPOT, a configuration a line.
pub fn terminal(rows: &[ComparedRow], look: &Look) -> String {
    let shown =
        [metrics::output(), metrics::latency(Metric::Ttft, "mean"), metrics::latency(Metric::Tpot, "mean")];
    let mut text = look.title.clone();
    let names = names(rows);
    for metric in shown {
        let values: Vec<f64> = rows.iter().map(|row| row.value(&metric.column)).collect();
        if !values.iter().any(|value| value.is_finite()) {
            continue;
        }
        let better = if metric.higher {
            look.say("higher is better", "越高越好")
        } else {
            look.say("lower is better", "越低越好")
        };
        text += &format!("\n{}{}{better}\n", metric.title(look.lang), look.say(", ", "，"));
        let labels = metric.format.column(&values);
        let name = names.iter().map(|name| name.width()).max().unwrap_or(0);
        let label = labels.iter().map(|label| label.width()).max().unwrap_or(0);
        let room = WIDTH.saturating_sub(name + label + 5).max(10);
        let most = values.iter().copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
        for ((row, name_of), (value, told)) in
            rows.iter().zip(&names).zip(values.iter().zip(&labels)).take(ROWS)
        {
            let bar = bar(value / most * room as f64, row.is_sound());
            let line = format!("  {}  {bar} {told}", padded(name_of, name, Side::Left));
            text += &format!("{}\n", line.trim_end());
        }
        if rows.len() > ROWS {
            let more = rows.len() - ROWS;
            text += &format!("  {}\n", look.say(&format!("and {more} more"), &format!("另有 {more} 个")));
        }
    }
    if rows.iter().any(|row| !row.is_sound()) {
        text += &format!("\n  {}\n", look.say("░ not valid, do not quote", "░ 无效，不可引用"));
    }
    text.trim_start_matches('\n').to_string()
}

/// `length` characters in eighths.
fn bar(length: f64, sound: bool) -> String {
    if !length.is_finite() {
        return String::new();
    }
    let eighths = (length * 8.0).round().max(1.0) as usize;
    if !sound {
        return "░".repeat(eighths.div_ceil(8));
    }
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    format!("{}{rest}", "█".repeat(eighths / 8))
}

/// No two the same: with their verdicts where that fits, else without, since the bars show what is not valid;
/// of longer ones the end, or the beginning and the end, or else all of it.
fn names(rows: &[ComparedRow]) -> Vec<String> {
    let all = |of: &dyn Fn(&ComparedRow) -> String| rows.iter().map(of).collect::<Vec<String>>();
    let fit = |names: &[String]| names.iter().all(|name| name.width() <= NAME);
    let different = |names: &[String]| names.iter().collect::<BTreeSet<_>>().len() == names.len();
    let label = |row: &ComparedRow| row.label.clone();
    let shortened = |row: &ComparedRow| elided(&row.label, NAME as f64, |c| c.width().unwrap_or(0) as f64);
    let tries = [all(&ComparedRow::named), all(&label), all(&|row| ending(&row.label)), all(&shortened)];
    tries.into_iter().find(|names| fit(names) && different(names)).unwrap_or_else(|| all(&label))
}

/// The end of a name that is too long.
fn ending(name: &str) -> String {
    let mut room = NAME;
    let fits = |c: &char| {
        let left = room.checked_sub(c.width().unwrap_or(0)).filter(|left| *left > 0);
        room = left.unwrap_or_default();
        left.is_some()
    };
    let mut end: Vec<char> = name.chars().rev().take_while(fits).collect();
    end.reverse();
    match end.len() == name.chars().count() {
        true => name.to_string(),
        false => format!("…{}", end.iter().collect::<String>().trim_start()),
    }
}

fn padded(text: &str, width: usize, side: Side) -> String {
    let space = " ".repeat(width.saturating_sub(text.width()));
    if side == Side::Left { format!("{text}{space}") } else { format!("{space}{text}") }
}

/// Lines of cells under each other, two spaces between them.
pub fn columns(lines: &[Vec<String>], sides: &[Side]) -> String {
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..sides.len()).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells =
            line.iter().zip(&widths).zip(sides).map(|((cell, width), side)| padded(cell, *width, *side));
        text += &format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::row::testing::{look, row};
    use super::*;
    use crate::lang::Lang;

    #[test]
    fn bars_are_as_long_as_their_values_and_what_is_not_valid_is_grey() {
        let mut rows = [
            row("a", &[("output_throughput", 10.0)]),
            row("b", &[("output_throughput", 20.0)]),
            row("c", &[]),
        ];
        rows[1].verdict = Some("client_bound".into());
        let text = terminal(&rows, &look("m", Lang::English));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "Output throughput (tokens/s), higher is better");
        let full = |line: &str| line.chars().filter(|c| "█░".contains(*c)).count();
        assert_eq!((full(lines[2]), full(lines[3]), full(lines[4])), (28, 57, 0));
        assert!(lines[3].contains("b (client_bound)") && lines[4].ends_with('-'), "{text}");
        assert!(text.lines().all(|line| line.width() <= WIDTH));
    }

    #[test]
    fn names_that_are_too_long_can_be_told_apart() {
        let rows = |labels: &[&str]| -> Vec<ComparedRow> {
            let unsound = Some("client_bound".to_string());
            labels.iter().map(|label| ComparedRow { verdict: unsound.clone(), ..row(label, &[]) }).collect()
        };
        let dated = ["2026-11-30 13:29:32 io512x64_mc16_np80", "2026-11-30 13:29:32 io128x64_mc16_np80"];
        assert_eq!(
            names(&rows(&dated)),
            ["…11-30 13:29:32 io512x64_mc16_np80", "…11-30 13:29:32 io128x64_mc16_np80"]
        );
        assert_eq!(names(&rows(&["io512x64_mc16"])), ["io512x64_mc16 (client_bound)"]);
        assert_eq!(names(&rows(&["DeepSeek-R1 io512x64_mc16_np80"])), ["DeepSeek-R1 io512x64_mc16_np80"]);
        let long = "-Distill-Llama-70B-Instruct io512x512_mc16_np160";
        let both = [format!("A{long}"), format!("B{long}")];
        assert_eq!(names(&rows(&both.each_ref().map(String::as_str)))[1].chars().next(), Some('B'));
        let ends = [format!("{}x", "same ".repeat(20)), format!("other {}x", "same ".repeat(20))];
        let middle = ["A", "B"].map(|which| format!("{}{which}{}", "same ".repeat(9), " same".repeat(9)));
        for labels in [ends, middle] {
            let names = names(&rows(&labels.each_ref().map(String::as_str)));
            assert_ne!(names[0], names[1]);
        }
    }

    #[test]
    fn chinese_names_keep_the_columns_straight() {
        let rows = [row("通义千问", &[("mean_ttft_ms", 10.0)]), row("a", &[("mean_ttft_ms", 20.0)])];
        let text = terminal(&rows, &look("", Lang::Chinese));
        let starts: Vec<usize> =
            text.lines().filter_map(|line| line.split_once('█').map(|(before, _)| before.width())).collect();
        assert_eq!(starts, [12, 12]);
    }
}
