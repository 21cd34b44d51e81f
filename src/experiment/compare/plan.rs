//! `Planned`: how long each side of a comparison must be to show a difference of the margin.

use super::cell::Cell;
use super::table;
use super::verdict::{self, Outcome, Row};
use crate::lang::Lang;
use crate::stats::versus::change::{Missing, Span};
use crate::stats::versus::needed::Aim;
use crate::stats::versus::rounds::runs_needed;
use crate::stats::words::grouped;
use comfy_table::{CellAlignment, Table, presets};

/// What it takes for a row.
pub struct Planned<'a> {
    pub row: &'a Row,
    /// Half of its interval now.
    pub half: Option<f64>,
    pub takes: Result<Takes, Missing>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Takes {
    Seconds(f64),
    /// Runs of each side; `None`: more than a thousand.
    Runs(Option<usize>),
}

/// Of each row that arrivals do not fix.
pub fn planned<'a>(outcome: &'a Outcome, cells: &[Cell]) -> Vec<Planned<'a>> {
    let counted = || outcome.rows.iter().filter(|row| !row.fixed_by_arrivals);
    let rows = counted().filter(|row| row.shown().is_some()).count();
    let seconds = seconds(cells);
    let runs = verdict::runs(cells);
    let of = |row: &'a Row| {
        let span = row.shown();
        let takes = match (span, row.change.err()) {
            (Some(span), _) => Ok(takes(&span, row.margin, rows, seconds, runs)),
            (None, missing) => Err(missing.unwrap_or(Missing::NotObserved)),
        };
        Planned { row, half: span.map(|span| (span.high - span.low) / 2.0), takes }
    };
    counted().map(of).collect()
}

/// Until a difference of the margin is told from none, and none from a difference of the margin.
fn takes(now: &Span, margin: f64, rows: usize, seconds: f64, runs: Option<usize>) -> Takes {
    let aims = [Aim { change: margin, margin: 0.0, rows }, Aim { change: 0.0, margin, rows }];
    match runs {
        Some(runs) => {
            let each = aims.map(|aim| runs_needed(&aim, now, runs));
            Takes::Runs(each.into_iter().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max()))
        }
        None => {
            let times = aims.iter().filter_map(|aim| aim.times_as_long(now)).fold(0.0, f64::max);
            Takes::Seconds(seconds * times)
        }
    }
}

/// Of the cell with the shortest side.
fn seconds(cells: &[Cell]) -> f64 {
    cells.iter().map(|cell| cell.seconds).fold(f64::INFINITY, f64::min)
}

/// One line a row. `alone`: there is no second side.
pub fn table(planned: &[Planned], cells: &[Cell], alone: bool, lang: Lang) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    let [now, margin, each] =
        [lang.pick("± now", "当前 ±"), lang.pick("margin", "容差"), lang.pick("each side takes", "每侧需要")];
    match alone {
        true => table.set_header(["", "A", now, margin, each]),
        false => table.set_header(["", "A", "B", now, margin, each]),
    };
    for one in planned {
        let row = one.row;
        let half =
            one.half.map_or_else(|| "-".into(), |half| table::plus_minus(half, row.what.is_share(), lang));
        let values = (0..if alone { 1 } else { 2 }).map(|side| table::value(row, side));
        let takes = match one.takes {
            Ok(takes) => told(takes, cells, lang),
            Err(missing) => table::missing_text(missing, row, lang),
        };
        let cells = std::iter::once(row.what.head(lang)).chain(values);
        table.add_row(cells.chain([half, table::margin(row, lang), takes]));
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if at == 0 { 0 } else { 1 }, 0));
        if at > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// `4 min, 4,800 requests`.
fn told(takes: Takes, cells: &[Cell], lang: Lang) -> String {
    match takes {
        Takes::Seconds(seconds) => {
            let requests: u64 = cells.iter().map(|cell| cell.requests).sum();
            let now: f64 = cells.iter().map(|cell| cell.seconds).sum();
            let share = seconds / self::seconds(cells);
            let all = (requests as f64 * share).ceil().max(1.0) as u64;
            let each = if now > 0.0 { grouped(two_digits(all)) } else { String::new() };
            let time = table::seconds(seconds, lang);
            match lang {
                Lang::English => format!("{time}, {each} requests"),
                Lang::Chinese => format!("{time}，{each} 个请求"),
            }
        }
        Takes::Runs(Some(runs)) => match lang {
            Lang::English => format!("{runs} runs"),
            Lang::Chinese => format!("{runs} 个运行"),
        },
        Takes::Runs(None) => lang.pick("more than 1,000 runs", "超过 1,000 个运行").into(),
    }
}

/// More of them are not known.
fn two_digits(n: u64) -> u64 {
    let step = 10_u64.pow(n.max(1).ilog10().saturating_sub(1));
    n.div_ceil(step) * step
}

/// What the table means, and what would make it shorter.
pub fn about(planned: &[Planned], cells: &[Cell], alone: bool, lang: Lang) -> Vec<String> {
    let mut lines = vec![
        lang.pick(
            "So long, each in 80 of 100 comparisons a true difference of the margin is told from none, one of twice the margin is called better or worse, and equals are called the same.",
            "达到该规模时，每 100 次比较中有 80 次：等于容差的真实差异可与无差异区分，两倍容差的差异被判定为更好或更差，相同者被判定为相同。",
        )
        .to_string(),
    ];
    let seconds = planned.iter().filter_map(|one| match one.takes {
        Ok(Takes::Seconds(seconds)) => Some(seconds),
        _ => None,
    });
    let longest = seconds.fold(0.0, f64::max);
    if longest > 0.0 {
        let longest = table::seconds(longest, lang);
        lines.push(match lang {
            Lang::English => format!("For every row: {longest} a side; --metrics names fewer."),
            Lang::Chinese => format!("要判断每一行：每侧 {longest}；--metrics 可减少指标。"),
        });
    }
    if alone {
        lines.push(
            lang.pick(
                "That is for requests that are not paired. Pairs take far less: run both sides with the same traffic, and ask for both: rampant compare A B --plan.",
                "以上针对未配对的请求。配对所需少得多：两侧使用相同流量运行后，执行 rampant compare A B --plan。",
            )
            .to_string(),
        );
    }
    if cells.iter().any(|cell| cell.design.is_none()) {
        lines.push(
            lang.pick(
                "It is for what two runs say of each other; a verdict about a server takes at least three rounds in turn of each side.",
                "以上针对两个运行之间的比较；对服务器下结论至少需要每侧三轮交替运行。",
            )
            .to_string(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_with_two_digits() {
        for (n, told) in [(1, 1), (37, 37), (4_812, 4_900), (100, 100), (0, 0)] {
            assert_eq!(two_digits(n), told);
        }
    }

    #[test]
    fn half_the_margin_takes_four_times_as_long_and_few_runs_are_counted_in_runs() {
        let now = Span { value: 0.2, low: 0.15, high: 0.25, freedom: 40.0 };
        let seconds = |margin: f64| match takes(&now, margin, 12, 60.0, None) {
            Takes::Seconds(seconds) => seconds,
            Takes::Runs(_) => panic!("seconds"),
        };
        assert!((seconds(0.025) / seconds(0.05) - 4.0).abs() < 1e-6);
        assert!(seconds(0.05) > 2.0 * 60.0, "an interval as wide as the margin is right half of the time");
        let Takes::Runs(Some(runs)) = takes(&now, 0.05, 1, 60.0, Some(3)) else { panic!("runs") };
        assert!(runs > 3);
    }
}
