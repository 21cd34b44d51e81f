//! `Compared`: what configurations are compared by.

use super::row::{ComparedRow, Look};
use crate::chart::TickFormat;
use crate::lang::Lang;
use crate::stats::metric::{Better, Metric};

/// A column of the aggregated CSV, its name, whether more is better.
#[derive(Debug, Clone)]
pub struct Compared {
    pub column: String,
    en: String,
    zh: String,
    /// Over a narrow column.
    head: Option<(&'static str, &'static str)>,
    /// What follows the name: of rates their unit, of times nothing, since their values carry it.
    unit: (&'static str, &'static str),
    pub format: TickFormat,
    pub higher: bool,
}

impl Compared {
    /// The name with its unit.
    pub fn title(&self, lang: Lang) -> String {
        let unit = lang.pick(self.unit.0, self.unit.1);
        let name = lang.pick(&self.en, &self.zh);
        match (unit, lang) {
            ("", _) => name.clone(),
            (unit, Lang::English) => format!("{name} ({unit})"),
            (unit, Lang::Chinese) => format!("{name}（{unit}）"),
        }
    }

    /// The name over a narrow column, with its unit.
    pub fn head(&self, lang: Lang) -> String {
        self.head.map_or_else(|| self.title(lang), |(en, zh)| lang.pick(en, zh).to_string())
    }

    fn headed(self, en: &'static str, zh: &'static str) -> Compared {
        Compared { head: Some((en, zh)), ..self }
    }

    pub fn name(&self, lang: Lang) -> &str {
        lang.pick(&self.en, &self.zh)
    }

    /// One value with its unit.
    pub fn told(&self, value: f64, lang: Lang) -> String {
        format!("{} {}", self.format.value(value), lang.pick(self.unit.0, self.unit.1)).trim_end().to_string()
    }
}

const TOKENS: (&str, &str) = ("tokens/s", "令牌/s");
const REQUESTS: (&str, &str) = ("requests/s", "请求/s");

fn rate(of: Metric, column: &str, (en, zh): (&str, &str), unit: (&'static str, &'static str)) -> Compared {
    let higher = of.about().better == Better::Higher;
    Compared {
        column: column.into(),
        en: en.into(),
        zh: zh.into(),
        head: None,
        unit,
        format: TickFormat::Number,
        higher,
    }
}

pub fn total() -> Compared {
    rate(Metric::TotalTokens, "total_token_throughput", ("Total throughput", "总吞吐量"), TOKENS)
        .headed("Total tokens/s", "总令牌/s")
}

pub fn output() -> Compared {
    rate(Metric::OutputTokens, "output_throughput", ("Output throughput", "输出吞吐量"), TOKENS)
        .headed("Output tokens/s", "输出令牌/s")
}

pub fn output_per_gpu() -> Compared {
    let names = ("Output throughput per GPU", "每 GPU 输出吞吐量");
    rate(Metric::OutputTokens, PER_GPU, names, TOKENS).headed("Output tokens/s per GPU", "每 GPU 输出令牌/s")
}

/// Output tokens a second, divided by the GPUs that served them.
pub const PER_GPU: &str = "output_tps_per_gpu";

pub fn requests() -> Compared {
    rate(Metric::Requests, "request_throughput", ("Request throughput", "请求吞吐量"), REQUESTS)
        .headed("Requests/s", "请求/s")
}

/// How many tokens came back: the size of a sample, neither good nor bad.
pub fn output_tokens() -> Compared {
    let unit = ("tokens", "令牌");
    rate(Metric::OutputTokens, "total_output_tokens", ("Tokens out", "输出令牌数"), unit)
}

fn goodput() -> Compared {
    rate(Metric::Goodput, "request_goodput", ("Goodput", "有效吞吐量"), REQUESTS)
        .headed("Good requests/s", "有效请求/s")
}

pub fn latency(of: Metric, statistic: &str) -> Compared {
    let (long_en, long_zh) = (of.written_out(Lang::English), of.written_out(Lang::Chinese));
    let (en, zh) = match statistic {
        "mean" => (format!("Mean {long_en}"), format!("平均{long_zh}")),
        "median" => (format!("Median {long_en}"), format!("中位{long_zh}")),
        other => {
            let other = other.to_uppercase();
            (format!("{other} {long_en}"), format!("{long_zh} {other}"))
        }
    };
    let column = format!("{statistic}_{}_ms", of.name());
    let higher = of.about().better == Better::Higher;
    Compared { column, en, zh, head: None, unit: ("", ""), format: TickFormat::Ms, higher }
}

/// Mean and 99th percentile of each of vLLM's latencies; of the whole request the mean alone.
pub fn latencies() -> Vec<Compared> {
    let of = |metric: Metric| match metric {
        Metric::E2el => vec![latency(metric, "mean")],
        _ => vec![latency(metric, "mean"), latency(metric, "p99")],
    };
    Metric::OF_VLLM.into_iter().flat_map(of).collect()
}

pub fn all() -> Vec<Compared> {
    let rates = [total(), output(), output_per_gpu(), requests(), goodput()];
    rates.into_iter().chain(latencies()).collect()
}

/// Those of which there is a value.
pub fn seen(rows: &[ComparedRow]) -> Vec<Compared> {
    let has = |metric: &Compared| rows.iter().any(|row| row.value(&metric.column).is_finite());
    all().into_iter().filter(has).collect()
}

/// Whether anything of these configurations can be drawn.
pub fn drawable(rows: &[ComparedRow]) -> bool {
    !seen(rows).is_empty()
}

/// The first value that no measurement has, in words.
pub fn impossible(rows: &[ComparedRow]) -> Option<String> {
    let columns: Vec<Compared> = all();
    let of = |row: &ComparedRow| {
        let column = columns.iter().map(|metric| &metric.column).find(|column| row.value(column) < 0.0)?;
        Some(format!("{column} of {} is {}, and cannot be negative", row.label, row.value(column)))
    };
    rows.iter().find_map(of)
}

pub fn no_data(look: &Look) -> String {
    look.say("no data", "没有数据")
}
