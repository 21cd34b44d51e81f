//! The table of one run for the terminal: how it went, then its latencies.

use super::intervals::Estimator;
use super::margin::{MarginNotes, with_margin};
use super::names::{Metric, Name, Statistic};
use super::numbers::Censored;
use super::sample::{View, supports};
use super::summary::Summary;
use super::words::{fixed, grouped, one_line, span};
use super::wrap::wrapped;
use crate::lang::Lang;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};
use unicode_width::UnicodeWidthStr;

/// Light lines, no line between rows.
const STYLE: &str = "││──├─┼┤│    ┬┴┌┐└┘";

/// Columns of a terminal.
const WIDTH: usize = 80;

/// Characters of an error that are shown.
const EXAMPLE_MAX: usize = 160;

/// Columns of the latency table that are percentiles.
const MEDIAN: f64 = 50.0;
const HIGH: [f64; 2] = [90.0, 99.0];

impl Summary {
    /// The table for the terminal.
    pub fn table(&self, lang: Lang) -> String {
        table(self, None, false, lang)
    }

    /// As [`Summary::table`], under the name of the run. `told`: its verdict was told in full before,
    /// and stands here as a word.
    pub fn table_named(&self, name: &str, told: bool, lang: Lang) -> String {
        table(self, Some(name), told, lang)
    }
}

fn table(summary: &Summary, name: Option<&str>, told: bool, lang: Lang) -> String {
    let mut latencies = Latencies::new(summary, lang, Thrift::None);
    for thrift in [Thrift::Digits, Thrift::Spread] {
        if latencies.width() > WIDTH {
            latencies = Latencies::new(summary, lang, thrift);
        }
    }
    let (lower, width) = (latencies.table.to_string(), latencies.width());
    let mut text = String::new();
    if let Some(name) = name {
        text += &format!("{}\n", one_line(name));
    }
    text += &format!("{}\n{lower}", overview(summary, told, lang, width));
    if let Some(report) = summary.report() {
        text += &format!("\n{}", two_columns(report.rows(lang), width));
    }
    for note in latencies.notes() {
        text += &format!("\n{note}");
    }
    text
}

fn empty_table() -> Table {
    let mut table = Table::new();
    table.load_preset(STYLE);
    table
}

/// A number of the summary, or `-`.
fn number(summary: &Summary, metric: Metric, statistic: Statistic, decimals: usize) -> String {
    summary.number(Name::new(metric, statistic)).map_or("-".into(), |value| fixed(value, decimals))
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".into(), |share| format!("{:.2} %", share * 100.0))
}

/// The beginning of a long text.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(EXAMPLE_MAX) {
        Some((end, _)) => format!("{}...", text[..end].trim_end()),
        None => text.into(),
    }
}

/// Requests, rates and lengths, one a line.
fn overview(summary: &Summary, told: bool, lang: Lang, width: usize) -> Table {
    let (words, tally) = (lang.words(), summary.tally());
    let mut rows: Vec<[String; 2]> = Vec::new();
    let mut row = |label: &str, text: String| rows.push([label.to_string(), text]);
    if let Some(report) = summary.report().filter(|_| told) {
        row(words.verdict, report.verdicts().join(", "));
        let remarks = report.remark_names();
        if !remarks.is_empty() {
            row(words.remark, remarks.join(", "));
        }
    } else if let Some(report) = summary.report() {
        report.sentences(lang).into_iter().for_each(|sentence| row(words.verdict, sentence));
        for remark in &report.remarks {
            row(words.remark, format!("{}{}{}", remark.name(), lang.colon(), remark.text(lang)));
        }
    }
    row(words.requests, lang.outcome(tally.requests, tally.succeeded, tally.left));
    for failed in summary.failures() {
        let example = failed.words.as_deref().map(|text| shortened(&one_line(text)));
        let example = example.filter(|text| !text.is_empty());
        row(&format!("  {}", failed.name()), lang.example(failed.count, example.as_deref()));
    }
    for adaption in summary.adaptions.iter() {
        row(words.note, lang.adaption(adaption));
    }
    let seconds = summary.number(Name::new(Metric::Duration, Statistic::Sum));
    row(words.duration, seconds.map_or("-".into(), |s| format!("{} s", fixed(s, 2))));
    let rate = |metric| number(summary, metric, Statistic::Rate, 2);
    let margin =
        |metric, text: String| with_margin(&text, &summary.estimate_of(Name::new(metric, Statistic::Rate)));
    row(words.request_throughput, margin(Metric::Requests, lang.requests_per_s(&rate(Metric::Requests))));
    let peak = number(summary, Metric::OutputTokens, Statistic::Peak, 0);
    let peak = if peak == "-" { String::new() } else { lang.peak(&peak) };
    let output = margin(Metric::OutputTokens, lang.tokens_per_s(&rate(Metric::OutputTokens)));
    row(words.output_throughput, [output, peak].concat());
    let total = margin(Metric::TotalTokens, lang.tokens_per_s(&rate(Metric::TotalTokens)));
    row(words.total_token_throughput, total);
    let concurrency = summary.concurrency();
    let (mean, max) = (concurrency.map(|c| fixed(c.mean, 2)), concurrency.map(|c| grouped(c.max)));
    row(words.concurrency, lang.mean_and_max(mean.as_deref().unwrap_or("-"), max.as_deref().unwrap_or("-")));
    lengths(summary, lang, &mut row);
    for [label, text] in super::told::rows(summary, lang) {
        row(&label, text);
    }
    objectives(summary, lang, &mut row);
    two_columns(rows, width)
}

/// Labels as wide as they are, texts wrapped to fill the rest of the width.
fn two_columns(rows: Vec<[String; 2]>, width: usize) -> Table {
    // A cell is its content and a space on either side.
    let label = rows.iter().map(|[label, _]| label.width()).max().unwrap_or(0) + 2;
    let text = width.saturating_sub(label + 3).max(20);
    let rows = rows.into_iter().map(|[label, told]| [label, wrapped(&told, text - 2)]);
    let mut table = empty_table();
    table.set_content_arrangement(ContentArrangement::Dynamic).add_rows(rows).set_constraints(
        [label, text].map(|n| ColumnConstraint::Absolute(Width::Fixed(u16::try_from(n).unwrap_or(u16::MAX)))),
    );
    table
}

/// Input and output tokens, what was asked for, and what is remarkable about them.
fn lengths(summary: &Summary, lang: Lang, row: &mut impl FnMut(&str, String)) {
    let (words, tally) = (lang.words(), summary.tally());
    let length = |metric| {
        let sum = number(summary, metric, Statistic::Sum, 0);
        lang.sum_and_mean(&sum, &number(summary, metric, Statistic::Mean, 1))
    };
    row(
        words.input_tokens,
        [length(Metric::InputTokens), lang.input_difference(&tally.asked_input)].concat(),
    );
    row(words.output_tokens, [length(Metric::OutputTokens), lang.sources(&tally.sources)].concat());
    if tally.asked_output.compared > 0 {
        row(words.output_length, lang.lengths(&tally.asked_output));
    }
    if let Some(load) = lang.load(tally.synthetic_text, tally.forced_length, tally.requests) {
        row(words.load, load);
    }
    if tally.audio_replies > 0 {
        let sum = number(summary, Metric::AudioSeconds, Statistic::Sum, 1);
        let rate = number(summary, Metric::AudioSeconds, Statistic::Rate, 2);
        row(words.audio, lang.audio(&sum, &rate, tally.audio_replies, tally.succeeded));
    }
    if tally.cached.reports > 0 {
        let tokens = number(summary, Metric::CachedTokens, Statistic::Sum, 0);
        let share = percent(summary.number(Name::new(Metric::CachedTokens, Statistic::Share)));
        let uncached = number(summary, Metric::UncachedInputTokens, Statistic::Rate, 2);
        row(words.cached_tokens, lang.cached(&tokens, &share, &uncached));
    } else if let Some(told) = super::told::cached(summary, lang) {
        row(words.cached_tokens, told);
    }
    if tally.wasted_tokens > 0 {
        row(words.wasted_tokens, grouped(tally.wasted_tokens));
    }
    let stalls = summary.view(Metric::Stall);
    if let (Some(max), Some(sum)) = (stalls.max(), stalls.sum()) {
        row(words.stalls, lang.stalls(&grouped(stalls.count()), &span(max), &span(sum)));
    }
}

/// Goodput and the overall conditions of the SLO.
fn objectives(summary: &Summary, lang: Lang, row: &mut impl FnMut(&str, String)) {
    let Some(slo) = summary.slo() else { return };
    if !slo.limits.is_empty() {
        let limits: Vec<String> =
            slo.limits.iter().map(|limit| format!("{} <= {}", limit.metric, span(limit.ms))).collect();
        let rate = number(summary, Metric::Goodput, Statistic::Rate, 2);
        let share = percent(summary.number(Name::new(Metric::Goodput, Statistic::Share)));
        row(lang.words().goodput, lang.goodput(&rate, &share, &limits.join(", ")));
    }
    for verdict in slo.judge(summary) {
        row(lang.words().condition, verdict.said.text(lang));
    }
}

/// The cells of a row that are shown.
fn kept(mut cells: Vec<String>, thrift: Thrift) -> Vec<String> {
    const STD: usize = 3;
    if thrift >= Thrift::Spread {
        cells.remove(STD);
    }
    cells
}

/// Milliseconds; from a second on a hundredth of one says nothing, and takes room.
fn latency(ms: f64, decimals: usize) -> String {
    let fewer = if ms >= 10_000.0 { decimals } else { usize::from(ms >= 1_000.0) };
    fixed(ms, decimals.saturating_sub(fewer))
}

/// What a table goes without that would be wider than a terminal.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Thrift {
    None,
    /// A digit of each number.
    Digits,
    /// The standard deviation, too.
    Spread,
}

/// The latency table under construction.
struct Latencies<'a> {
    summary: &'a Summary,
    lang: Lang,
    table: Table,
    few_values: bool,
    rounded: bool,
    censored: bool,
    margins: MarginNotes,
    thrift: Thrift,
}

impl<'a> Latencies<'a> {
    fn new(summary: &'a Summary, lang: Lang, thrift: Thrift) -> Self {
        let words = lang.words();
        let mut table = empty_table();
        let heads =
            [words.latency, words.mean, words.median, words.std, "p90", "p99", words.max, words.count];
        table
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(kept(heads.map(String::from).to_vec(), thrift));
        let mut latencies = Latencies {
            summary,
            lang,
            table,
            few_values: false,
            rounded: false,
            censored: false,
            margins: MarginNotes::default(),
            thrift,
        };
        latencies.fill();
        latencies
    }

    fn width(&self) -> usize {
        self.table.to_string().lines().next().map_or(0, UnicodeWidthStr::width)
    }

    fn fill(&mut self) {
        let tally = self.summary.tally();
        let (succeeded, requests) = (Some(tally.succeeded), Some(tally.requests));
        self.row(Metric::Ttft, succeeded, 2);
        if tally.ttfo_differs {
            self.row(Metric::Ttfo, succeeded, 2);
        }
        self.row(Metric::Itl, None, 2);
        self.row(Metric::Tpot, succeeded, 2);
        self.row(Metric::E2el, succeeded, 2);
        if self.summary.is_open() {
            self.row(Metric::ResponseTtft, succeeded, 2);
            self.row(Metric::ResponseE2el, succeeded, 2);
        }
        self.row(Metric::QueueDelay, requests, 3);
        self.row(Metric::Lateness, requests, 3);
        for column in self.table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }

    /// `of`: how many requests could have had a value.
    fn row(&mut self, metric: Metric, of: Option<u64>, decimals: usize) {
        let decimals = decimals - usize::from(self.thrift >= Thrift::Digits);
        let estimator = Estimator::new(self.summary, metric);
        let view = estimator.view();
        let cell = |value: Option<f64>| value.map_or("-".into(), |value| latency(value, decimals));
        let mut cells = vec![metric.row_head(self.lang).to_string(), cell(view.mean())];
        cells.push(self.percentile(view, MEDIAN, &cell));
        cells.push(cell(view.std()));
        cells.extend(HIGH.map(|p| self.percentile(view, p, &cell)));
        cells.push(cell(view.max()));
        let count = self.lang.part_of(view.count(), of.unwrap_or(view.count()));
        cells.push(if view.exact() { count } else { format!("{count}*") });
        self.rounded |= !view.exact();
        self.table.add_row(kept(cells, self.thrift));
        self.row_of_margins(metric, &estimator);
        self.row_with_failures(metric, view, decimals);
    }

    /// How far chance may have moved them. What the client does wrong is no sample of anything.
    fn row_of_margins(&mut self, metric: Metric, estimator: &Estimator) {
        if matches!(metric, Metric::QueueDelay | Metric::Lateness) || estimator.view().count() == 0 {
            return;
        }
        let [p90, p99] = HIGH.map(Statistic::Percentile);
        let estimates = [Statistic::Mean, Statistic::Median, p90, p99].map(|one| estimator.estimate(one));
        let Some(margins) = self.margins.cells(&estimates) else { return };
        let [mean, median, p90, p99] = &margins[..] else { return };
        let cells = ["  ± 95%", mean, median, "", p90, p99, "", ""].map(String::from);
        self.table.add_row(kept(cells.to_vec(), self.thrift));
    }

    fn percentile(&mut self, view: &View, p: f64, cell: &impl Fn(Option<f64>) -> String) -> String {
        let value = view.percentile(p);
        let few = value.is_some() && !supports(view.count(), p);
        self.few_values |= few;
        format!("{}{}", if few { "~" } else { "" }, cell(value))
    }

    /// The same latency with failures counted, where they are many.
    fn row_with_failures(&mut self, metric: Metric, view: &View, decimals: usize) {
        let Some(max) = self.summary.censored_in(metric, 100.0, view) else { return };
        self.censored = true;
        let cell = |censored: Option<Censored>| match censored {
            Some(Censored::Value(value)) => latency(value, decimals),
            Some(Censored::Above(least)) => format!("> {}", span(least)),
            None => "-".into(),
        };
        let count = view.count() + self.summary.tally().failed();
        let at = |p| {
            let censored = self.summary.censored_in(metric, p, view);
            let few = matches!(censored, Some(Censored::Value(_))) && !supports(count, p);
            format!("{}{}", if few { "~" } else { "" }, cell(censored))
        };
        let cells = vec![
            self.lang.words().with_failures.to_string(),
            String::new(),
            at(MEDIAN),
            String::new(),
            at(HIGH[0]),
            at(HIGH[1]),
            cell(Some(max)),
            grouped(count),
        ];
        self.table.add_row(kept(cells, self.thrift));
    }

    fn notes(&self) -> Vec<String> {
        let words = self.lang.words();
        let notes = [
            (self.few_values, words.few_values),
            (self.rounded, words.histogram),
            (self.censored, words.failures_above),
        ];
        let notes = notes.into_iter().filter(|(needed, _)| *needed).map(|(_, note)| note.to_string());
        notes.chain(self.margins.text(self.lang)).collect()
    }
}

#[cfg(test)]
mod tests;
