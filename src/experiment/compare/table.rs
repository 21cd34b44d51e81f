//! The rows of a comparison as a table, and as a picture.

use super::cell::Cell;
use super::source::Side;
use super::verdict::{More, Outcome, Row};
use crate::chart::forest::{Forest, ForestGroup, ForestRow};
use crate::lang::Lang;
use crate::stats::names::Unit;
use crate::stats::versus::change::{Missing, Span};
use crate::stats::versus::judge::Word;
use crate::stats::words::grouped;
use comfy_table::{CellAlignment, Table, presets};

use super::what::What;

const HEADS: [[&str; 9]; 2] = [
    ["", "A", "B", "difference", "B to A, 95 % interval", "margin", "p", "of", ""],
    ["", "A", "B", "差值", "B 相对 A（95 % 区间）", "容差", "p", "样本", ""],
];

/// The table; where there are several cells, all of them together stand first.
pub fn table(cells: &[Cell], outcome: &Outcome, lang: Lang) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header(lang.pick(HEADS[0], HEADS[1]));
    let several = cells.len() > 1;
    if several {
        let all = match lang {
            Lang::English => format!("all {} cells", cells.len()),
            Lang::Chinese => format!("全部 {} 个单元", cells.len()),
        };
        table.add_row([all.as_str(), "", "", "", "", "", "", "", ""]);
    }
    table.add_rows(outcome.rows.iter().map(|row| line(row, lang)));
    let mut last = "";
    for row in &outcome.of_cells {
        if row.cell != last {
            table.add_row([row.cell.as_str(), "", "", "", "", "", "", "", ""]);
            last = &row.cell;
        }
        table.add_row(line(row, lang));
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if at == 0 { 0 } else { 1 }, 0));
        if (1..8).contains(&at) && at != 4 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// As a cell.
pub fn value(row: &Row, side: usize) -> String {
    row.values[side].map_or_else(|| "-".into(), |value| of_unit(value, unit(row.what)))
}

/// Half of an interval: `±2.3 %`.
pub fn plus_minus(half: f64, points: bool, lang: Lang) -> String {
    let unit = if points { lang.pick("pt", "点") } else { "%" };
    format!("±{} {unit}", digits(half * 100.0, 2))
}

fn line(row: &Row, lang: Lang) -> [String; 9] {
    let unit = unit(row.what);
    let difference = match (row.values, unit) {
        ([Some(_), Some(_)], Unit::Share) => String::new(),
        ([Some(a), Some(b)], unit) => signed(b - a, |size| of_unit(size, unit)),
        _ => String::new(),
    };
    let change = match (row.shown(), row.change) {
        (Some(span), _) => interval(&span, row.what.is_share(), lang),
        (None, Err(missing)) => missing_text(missing, row, lang),
        (None, Ok(_)) => "-".into(),
    };
    let (margin, chance) = match row.shown() {
        Some(_) => (margin(row, lang), row.chance.map_or_else(String::new, chance)),
        None => (String::new(), String::new()),
    };
    let word = match row.fixed_by_arrivals {
        true => lang.pick("fixed by arrivals", "由到达决定").to_string(),
        false => row.word.text(lang).to_string(),
    };
    let [a, b] = row.counts.map(grouped);
    let of = match (row.joint, lang) {
        (true, Lang::English) => format!("{a} pairs"),
        (true, Lang::Chinese) => format!("{a} 对"),
        (false, _) => format!("{a} / {b}"),
    };
    [row.what.head(lang), value(row, 0), value(row, 1), difference, change, margin, chance, of, word]
}

fn unit(what: What) -> Unit {
    match what {
        What::Named(name) => name.unit(),
        What::TimeTo(_) | What::Session => Unit::Ms,
    }
}

fn of_unit(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => format!("{} %", digits(value * 100.0, 3)),
        Unit::Ms => format!("{} ms", digits(value, 4)),
        Unit::Seconds => format!("{} s", digits(value, 4)),
        Unit::PerSecond => format!("{} /s", digits(value, 4)),
        Unit::Plain => digits(value, 4),
    }
}

/// With this many digits; what is larger than they reach is whole.
fn digits(value: f64, most: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let decimals = (most - 1 - value.abs().log10().floor() as i32).clamp(0, 6);
    format!("{value:.*}", decimals as usize)
}

fn signed(value: f64, text: impl Fn(f64) -> String) -> String {
    let sign = if value < 0.0 { "-" } else { "+" };
    format!("{sign}{}", text(value.abs()))
}

/// Decimals that a share in percent is told with: two digits of its interval.
fn decimals(span: &Span) -> usize {
    let width = ((span.high - span.low) * 100.0).max(span.value.abs() * 2.0);
    match width {
        width if width >= 10.0 => 1,
        width if width >= 0.5 => 1,
        _ => 2,
    }
}

/// `+9.8 % [9.6 .. 10.0]`.
pub fn interval(span: &Span, points: bool, lang: Lang) -> String {
    let decimals = decimals(span);
    let percent = |value: f64| {
        let text = format!("{:.*}", decimals, value * 100.0);
        if text.trim_start_matches('-').parse() == Ok(0.0) {
            text.trim_start_matches('-').to_string()
        } else {
            text
        }
    };
    let value = percent(span.value);
    let sign = if span.value > 0.0 && !value.starts_with('-') { "+" } else { "" };
    let of = match points {
        true => lang.pick(" points", " 个百分点"),
        false => " %",
    };
    format!("{sign}{value}{of} [{} .. {}]", percent(span.low), percent(span.high))
}

pub fn margin(row: &Row, lang: Lang) -> String {
    let size = digits(row.margin * 100.0, 2);
    let size = short(&size);
    match row.what.is_share() {
        true => format!("{size} {}", lang.pick("pt", "点")),
        false => format!("{size} %"),
    }
}

/// Without the zeros behind a point that say nothing.
fn short(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

fn chance(chance: f64) -> String {
    match chance {
        chance if chance < 0.001 => "<0.001".into(),
        chance => format!("{chance:.3}"),
    }
}

pub fn missing_text(missing: Missing, row: &Row, lang: Lang) -> String {
    let more = row.more.map(|more| self::more(more, lang));
    match (missing, lang) {
        (Missing::NotSteady, Lang::English) => "no interval: a side was not steady".into(),
        (Missing::NotSteady, Lang::Chinese) => "没有区间：有一侧不平稳".into(),
        (Missing::NotObserved, Lang::English) => "not observed on both sides".into(),
        (Missing::NotObserved, Lang::Chinese) => "并非两侧都有数据".into(),
        (Missing::FewBlocks { .. }, Lang::English) => {
            format!("cannot tell, needs about {} more", more.unwrap_or_default())
        }
        (Missing::FewBlocks { .. }, Lang::Chinese) => {
            format!("无法判断，约需再运行 {}", more.unwrap_or_default())
        }
        (Missing::FewValues { count, .. }, Lang::English) => {
            format!("too few values ({}): needs about {} more", grouped(count), more.unwrap_or_default())
        }
        (Missing::FewValues { count, .. }, Lang::Chinese) => {
            format!("样本过少（{}）：约需再运行 {}", grouped(count), more.unwrap_or_default())
        }
    }
}

/// `3 min`, `4 runs`.
pub fn more(more: More, lang: Lang) -> String {
    match (more, lang) {
        (More::Seconds(more), _) => seconds(more, lang),
        (More::Runs(1), Lang::English) => "1 run".into(),
        (More::Runs(more), Lang::English) => format!("{more} runs"),
        (More::Runs(more), Lang::Chinese) => format!("{more} 个运行"),
    }
}

/// Two digits, since more of them are not known.
pub fn seconds(seconds: f64, lang: Lang) -> String {
    let rounded = |value: f64| {
        let step = 10f64.powf((value.max(1.0).log10().floor() - 1.0).max(0.0));
        (value / step).ceil() * step
    };
    match seconds {
        s if s <= 180.0 => format!("{} {}", rounded(s), lang.pick("s", "秒")),
        s if s <= 180.0 * 60.0 => format!("{} {}", rounded(s / 60.0), lang.pick("min", "分钟")),
        s => format!("{} {}", rounded(s / 3_600.0), lang.pick("h", "小时")),
    }
}

/// The picture's content: every row with an interval, shares apart, which have another axis.
pub fn forest(a: &Side, b: &Side, outcome: &Outcome, lang: Lang) -> Forest {
    let of = |row: &Row| -> Option<ForestRow> {
        let span = row.shown().filter(|_| !row.what.is_share())?;
        let Span { value, low, high, .. } = span;
        Some(ForestRow { label: row.what.head(lang), value, low, high, word: row.word })
    };
    let mut groups =
        vec![ForestGroup { name: String::new(), rows: outcome.rows.iter().filter_map(of).collect() }];
    if !outcome.of_cells.is_empty() {
        groups[0].name = lang.pick("all cells together", "所有单元合计").into();
    }
    for row in &outcome.of_cells {
        if groups.last().is_none_or(|group| group.name != row.cell) {
            groups.push(ForestGroup { name: row.cell.clone(), ..ForestGroup::default() });
        }
        let rows = groups.last_mut().map(|group| &mut group.rows);
        rows.into_iter().for_each(|rows| rows.extend(of(row)));
    }
    let all = outcome.rows.iter().filter(|row| !row.what.is_share());
    let margin = all.map(|row| row.margin).fold(0.0, f64::max);
    let subtitle = lang.pick(
        "95 % intervals; less is better for times, more for rates",
        "95 % 区间；时间越小越好，速率越大越好",
    );
    let title = match lang {
        Lang::English => format!("B: {} against A: {}", b.name(), a.name()),
        Lang::Chinese => format!("B：{} 对比 A：{}", b.name(), a.name()),
    };
    Forest { title, subtitle: subtitle.to_string(), groups, margin }
}

/// Rows with a word, by name: `ttft.mean +9.8 % [9.6 .. 10.0]`.
pub fn named(outcome: &Outcome, word: Word, most: usize, lang: Lang) -> String {
    let rows: Vec<&Row> = outcome.with(word).filter(|row| !row.fixed_by_arrivals).collect();
    let text = |row: &&&Row| {
        let span = row.shown()?;
        Some(format!("{} {}", row.what.head(lang), interval(&span, row.what.is_share(), lang)))
    };
    let mut texts: Vec<String> = rows.iter().take(most).filter_map(|row| text(&row)).collect();
    if rows.len() > most {
        let more = rows.len() - most;
        texts.push(match lang {
            Lang::English => format!("and {more} more"),
            Lang::Chinese => format!("另有 {more} 项"),
        });
    }
    texts.join(lang.pick(", ", "，"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_told_with_the_digits_that_they_have() {
        let told =
            |value, low, high| interval(&Span { value, low, high, freedom: 30.0 }, false, Lang::English);
        assert_eq!(told(0.0932, 0.0903, 0.0961), "+9.3 % [9.0 .. 9.6]");
        assert_eq!(told(-0.25, -0.4, 0.05), "-25.0 % [-40.0 .. 5.0]");
        assert_eq!(told(0.0, -0.0001, 0.0001), "0.00 % [-0.01 .. 0.01]");
        let points =
            interval(&Span { value: 0.02, low: 0.01, high: 0.03, freedom: 30.0 }, true, Lang::English);
        assert_eq!(points, "+2.0 points [1.0 .. 3.0]");
    }

    #[test]
    fn numbers_have_four_digits() {
        for (value, text) in [(50.1234, "50.12"), (1234.5, "1234"), (0.012_345, "0.01235"), (0.0, "0")] {
            assert_eq!(digits(value, 4), text);
        }
        for (number, told) in [("20", "20"), ("5.0", "5"), ("2.50", "2.5"), ("0.60", "0.6")] {
            assert_eq!(short(number), told);
        }
        assert_eq!(signed(-3.25, |size| of_unit(size, Unit::Ms)), "-3.250 ms");
    }
}
