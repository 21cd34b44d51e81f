//! The table of one run for the terminal: how it went, then its latencies.

use super::names::{Metric, Name, Statistic};
use super::sample::{View, supports};
use super::slo::Censored;
use super::summary::Summary;
use super::words::{Lang, fixed, grouped, one_line, span};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table};
use unicode_width::UnicodeWidthStr;

/// Light lines, no line between rows.
const STYLE: &str = "││──├─┼┤│    ┬┴┌┐└┘";

/// The overview is never narrower than this.
const WIDTH_MIN: usize = 78;

/// Columns of the latency table that are percentiles.
const MEDIAN: f64 = 50.0;
const HIGH: [f64; 2] = [90.0, 99.0];

pub fn table(summary: &Summary, name: Option<&str>, lang: &str) -> String {
    let lang = Lang::named(lang);
    let mut latencies = Latencies::new(summary, lang);
    latencies.fill();
    let lower = latencies.table.to_string();
    let width = lower.lines().next().map_or(0, UnicodeWidthStr::width).max(WIDTH_MIN);
    let mut text = String::new();
    if let Some(name) = name {
        text += &format!("{}\n", one_line(name));
    }
    text += &format!("{}\n{lower}", overview(summary, lang, width));
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

/// Requests, rates and lengths, one a line.
fn overview(summary: &Summary, lang: Lang, width: usize) -> Table {
    let (words, tally) = (lang.words(), summary.tally());
    let mut table = empty_table();
    table
        .set_content_arrangement(ContentArrangement::DynamicFullWidth)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    let mut row = |label: &str, text: String| {
        table.add_row([label, &text]);
    };
    row(words.requests, lang.outcome(tally.requests, tally.succeeded));
    for (outcome, count, example) in summary.failures() {
        let example = example.map(|text| one_line(&text)).filter(|text| !text.is_empty());
        row(&format!("  {}", outcome.name()), lang.example(count, example.as_deref()));
    }
    let seconds = summary.number(Name::new(Metric::Duration, Statistic::Sum));
    row(words.duration, seconds.map_or("-".into(), |s| format!("{} s", fixed(s, 2))));
    let rate = |metric| number(summary, metric, Statistic::Rate, 2);
    row(words.request_throughput, lang.requests_per_s(&rate(Metric::Requests)));
    let peak = number(summary, Metric::OutputTokens, Statistic::Peak, 0);
    let peak = if peak == "-" { String::new() } else { lang.peak(&peak) };
    row(words.output_throughput, [lang.tokens_per_s(&rate(Metric::OutputTokens)), peak].concat());
    row(words.total_token_throughput, lang.tokens_per_s(&rate(Metric::TotalTokens)));
    let concurrency = summary.concurrency();
    let (mean, max) = (concurrency.map(|c| fixed(c.mean, 2)), concurrency.map(|c| grouped(c.max)));
    row(words.concurrency, lang.mean_and_max(mean.as_deref().unwrap_or("-"), max.as_deref().unwrap_or("-")));
    lengths(summary, lang, &mut row);
    objectives(summary, lang, &mut row);
    if let Some(labels) = table.column_mut(0) {
        labels.set_constraint(ColumnConstraint::ContentWidth);
    }
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
    if tally.cached.reports > 0 {
        let tokens = number(summary, Metric::CachedTokens, Statistic::Sum, 0);
        let share = percent(summary.number(Name::new(Metric::CachedTokens, Statistic::Share)));
        let uncached = number(summary, Metric::UncachedInputTokens, Statistic::Rate, 2);
        row(words.cached_tokens, lang.cached(&tokens, &share, &uncached));
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

/// The latency table under construction.
struct Latencies<'a> {
    summary: &'a Summary,
    lang: Lang,
    table: Table,
    few_values: bool,
    rounded: bool,
    censored: bool,
}

impl<'a> Latencies<'a> {
    fn new(summary: &'a Summary, lang: Lang) -> Self {
        let words = lang.words();
        let mut table = empty_table();
        table.set_content_arrangement(ContentArrangement::Disabled).set_header([
            words.latency,
            words.mean,
            words.median,
            words.std,
            "p90",
            "p99",
            words.max,
            words.count,
        ]);
        Latencies { summary, lang, table, few_values: false, rounded: false, censored: false }
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
        let view = self.summary.view(metric);
        let cell = |value: Option<f64>| value.map_or("-".into(), |value| fixed(value, decimals));
        let mut cells = vec![self.lang.latency(metric), cell(view.mean())];
        cells.push(self.percentile(&view, MEDIAN, &cell));
        cells.push(cell(view.std()));
        cells.extend(HIGH.map(|p| self.percentile(&view, p, &cell)));
        cells.push(cell(view.max()));
        let count = self.lang.part_of(view.count(), of.unwrap_or(view.count()));
        cells.push(if view.exact() { count } else { format!("{count}*") });
        self.rounded |= !view.exact();
        self.table.add_row(cells);
        self.row_with_failures(metric, &view, decimals);
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
            Some(Censored::Value(value)) => fixed(value, decimals),
            Some(Censored::Above(least)) => format!("> {}", span(least)),
            None => "-".into(),
        };
        let at = |p| cell(self.summary.censored_in(metric, p, view));
        let count = view.count() + self.summary.tally().failed();
        self.table.add_row([
            self.lang.words().with_failures.to_string(),
            String::new(),
            at(MEDIAN),
            String::new(),
            at(HIGH[0]),
            at(HIGH[1]),
            cell(Some(max)),
            grouped(count),
        ]);
    }

    fn notes(&self) -> Vec<&'static str> {
        let words = self.lang.words();
        [
            (self.few_values, words.few_values),
            (self.rounded, words.histogram),
            (self.censored, words.failures_above),
        ]
        .into_iter()
        .filter_map(|(needed, note)| needed.then_some(note))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Reply, reply};
    use super::super::{Condition, Limit, Slo, Window};
    use super::*;
    use crate::record::{Kind, Outcome};

    fn summary(slo: Option<Slo>, open: bool, replies: impl IntoIterator<Item = Reply>) -> Summary {
        let mut summary = Summary::new(Window { start: None, end: None }, slo, open);
        replies.into_iter().for_each(|reply| summary.add(&reply.record()));
        summary
    }

    #[test]
    fn print() {
        let slo = Slo {
            limits: vec![Limit::parse("ttft", "40ms").unwrap()],
            overall: vec![
                Condition::parse("errors.share < 1%").unwrap(),
                Condition::parse("ttft.p99 < 50ms").unwrap(),
            ],
            from_sent: false,
        };
        let good = (0..38).map(|i| {
            reply(i, i as i64 * 100)
                .tokens_at(&[30 + i as u32, 40 + i as u32, 52 + i as u32, 140])
                .usage(21, 4)
                .cached(5)
                .asked(20, 4)
        });
        let bad = [
            reply(40, 100).times_out(60_000),
            reply(41, 120).tokens_at(&[50]).fails(Outcome::ServerError, "out of\nmemory: the long words of a server that has quite something to say about what went wrong here"),
        ];
        let s = summary(Some(slo), true, good.chain(bad));
        println!("{}", s.table_named("io20x4_mc4_np40", "en"));
        println!("{}", s.table_named("io20x4_mc4_np40", "zh"));
        let s = summary(
            None,
            false,
            [
                reply(0, 0).event(10, Kind::REASONING, 0).event(20, Kind::CONTENT, 0).usage(5, 3),
                reply(1, 5).not_streamed(80),
            ],
        );
        println!("{}", s.table("en"));
        println!("{}", Summary::new(Window { start: None, end: None }, None, false).table("zh"));
    }
}
