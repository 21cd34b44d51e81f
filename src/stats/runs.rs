//! `table`: several runs, one a line, for the terminal.

use super::names::{Metric, Name, Statistic, Unit};
use super::sample::supports;
use super::summary::Summary;
use super::words::{fixed, grouped, one_line};
use crate::lang::Lang;
use comfy_table::{CellAlignment, Table, presets};

/// One line a run and one column a number, then its verdict: `~` marks a percentile with too few
/// values, `-` what was not observed.
pub fn table(runs: &[(String, &Summary)], numbers: &[Name], lang: Lang) -> String {
    let words = lang.words();
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    let headings = numbers.iter().map(|name| heading(*name, lang));
    table.set_header([words.run.to_string()].into_iter().chain(headings).chain([words.verdict.to_string()]));
    let mut few = false;
    for (name, summary) in runs {
        let mut row = vec![one_line(name)];
        for number in numbers {
            let weak = number.statistic.percentile().is_some_and(|p| {
                let count = summary.count_of(number.metric);
                count > 0 && !supports(count, p)
            });
            few |= weak;
            row.push(format!(
                "{}{}",
                if weak { "~" } else { "" },
                shown(summary.number(*number), number.unit())
            ));
        }
        row.push(verdict(summary, lang));
        table.add_row(row);
    }
    // Narrow, so that a batch fits 80 columns.
    for i in 1..=numbers.len() {
        if let Some(column) = table.column_mut(i) {
            column.set_cell_alignment(CellAlignment::Right);
            column.set_padding((1, 0));
        }
    }
    let note = if few { format!("\n{}", words.few_values) } else { String::new() };
    format!("{table}{note}")
}

/// What a finished run came to, in one line.
pub fn line(summary: &Summary, lang: Lang) -> String {
    let number = |metric, statistic| summary.number(Name::new(metric, statistic));
    let tally = summary.tally();
    let mut parts = vec![lang.outcome(tally.requests, tally.succeeded, tally.left)];
    let rate = |metric, decimals| number(metric, Statistic::Rate).map(|rate| fixed(rate, decimals));
    parts.extend(rate(Metric::Requests, 2).map(|rate| lang.requests_per_s(&rate)));
    parts.extend(rate(Metric::OutputTokens, 0).map(|rate| lang.tokens_per_s(&rate)));
    for metric in [Metric::Ttft, Metric::Tpot] {
        let label = metric.written_out(Lang::English);
        let median = number(metric, Statistic::Median);
        parts.extend(median.map(|ms| format!("{label} p50 {} ms", shown(Some(ms), Unit::Ms))));
    }
    parts.push(verdict(summary, lang).replace('\n', " "));
    parts.join(if lang == Lang::English { ", " } else { "，" })
}

/// What is measured, and below it how and in which unit.
fn heading(name: Name, lang: Lang) -> String {
    let unit = match name.unit() {
        Unit::Ms => " ms",
        Unit::Seconds => " s",
        Unit::Share => " %",
        Unit::PerSecond | Unit::Plain => "",
    };
    let below = match (name.metric, name.statistic) {
        (Metric::OutputTokens | Metric::TotalTokens | Metric::InputTokens, Statistic::Rate) => {
            if lang == Lang::English { "tok/s".into() } else { "令牌/s".into() }
        }
        (_, Statistic::Rate) => "/s".into(),
        (Metric::Duration, _) => "s".into(),
        (_, Statistic::Share) => "%".into(),
        (_, statistic) => format!("{}{unit}", lang.statistic(statistic)),
    };
    format!("{}\n{below}", name.metric.column_head(lang))
}

/// The verdict, what the load is remarked for, and how many failed.
fn verdict(summary: &Summary, lang: Lang) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some(report) = summary.report() {
        parts.push(report.verdict().name().into());
        parts.extend(report.remark_names().into_iter().map(String::from));
    }
    let failed = summary.tally().failed();
    if failed > 0 {
        parts.push(lang.failed(&grouped(failed)));
    }
    if parts.is_empty() { "-".into() } else { parts.join("\n") }
}

/// A number to about four digits; `-` for a value that was not observed.
fn shown(value: Option<f64>, unit: Unit) -> String {
    let value = if unit == Unit::Share { value.map(|share| 100.0 * share) } else { value };
    match value {
        Some(value) if value.abs() >= 1000.0 => fixed(value, 0),
        Some(value) if value.abs() >= 100.0 => fixed(value, 1),
        Some(0.0) => "0".into(),
        Some(value) if value.abs() >= 10.0 => fixed(value, 2),
        Some(value) => fixed(value, 3),
        None => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::expected_load::ExpectedLoad;
    use super::super::fixture::{all, reply};
    use super::super::report::Report;
    use super::*;
    use crate::record::{Health, Outcome};
    use unicode_width::UnicodeWidthStr;

    fn summary(requests: u64) -> Summary {
        let mut summary = all((0..requests)
            .map(|seq| reply(seq, seq as i64 * 100).tokens_at(&[40, 48, 56]).asked(1024, 3).usage(1024, 3)));
        let report = Report::new(&summary, &ExpectedLoad::default(), &Health::default(), 0.0);
        summary.attach(report);
        summary
    }

    fn names(names: &[&str]) -> Vec<Name> {
        names.iter().map(|name| Name::parse(name).unwrap()).collect()
    }

    #[test]
    fn runs_stand_below_each_other_with_units_and_verdicts_in_80_columns() {
        let (few, many) = (summary(6), summary(200));
        let runs =
            [("io1024x1024_mc4_np6".to_string(), &few), ("io1024x1024_mc256_np2560".to_string(), &many)];
        let numbers = names(&["output_tokens.rate", "ttft.mean", "ttft.p99", "tpot.mean"]);
        let told = table(&runs, &numbers, Lang::English);
        assert!(told.lines().all(|line| line.width() <= 80), "{told}");
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(
            [lines[1], lines[2], lines[4], lines[5]]
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")),
            [
                "│ run output ttft ttft tpot verdict │",
                "│ tok/s mean ms p99 ms mean ms │",
                "│ io1024x1024_mc4_np6 32.37 40.00 ~40.00 8.000 too_few_samples │",
                "│ io1024x1024_mc256_np2560 30.07 40.00 40.00 8.000 valid │",
            ]
        );
        assert!(lines.last().unwrap().starts_with("~ too few values"), "{told}");
    }

    #[test]
    fn a_chinese_table_has_no_english_headings_but_names() {
        let few = summary(6);
        let told = table(
            &[("a".into(), &few)],
            &names(&["requests.rate", "ttft.p99", "errors.share"]),
            Lang::Chinese,
        );
        for word in ["结论", "首令牌", "请求", "失败"] {
            assert!(told.contains(word), "{word}: {told}");
        }
        assert!(!told.contains("errors") && !told.contains("requests"), "{told}");
    }

    #[test]
    fn failures_and_remarks_stand_with_the_verdict() {
        let mut broken = all([
            reply(0, 0).tokens_at(&[40, 48]).asked(8_000, 2).usage(2_048, 2),
            reply(1, 0).fails(Outcome::Status, "no"),
        ]);
        let report = Report::new(&broken, &ExpectedLoad::default(), &Health::default(), 0.0);
        broken.attach(report);
        assert_eq!(
            line(&broken, Lang::English),
            "2 total, 1 succeeded, 1 failed (50.00 %), 20.83 requests/s, 42 tokens/s, TTFT p50 40.00 ms, \
             TPOT p50 8.000 ms, too_few_samples prompts_cut 1 failed"
        );
    }
}
