//! `Explained`: what a metric means, and what other tools print under the same or another name.
//!
//! Definitions of other tools are read from their code: vLLM's `benchmarks/serve.py` and
//! `endpoint_request_func.py` (2026), GuideLLM 0.8.1 `request_stats.py`, AIPerf 0.13 `metrics/types/`,
//! inference-perf `reportgen/base.py` (2026).

use super::elsewhere::{ELSEWHERE, Elsewhere};
use super::metric::{Better, Metric};
use super::names;
use super::statistic::{Statistic, Unit, meant, plain};
use crate::error::nearest;
use crate::lang::Lang;

/// A metric, and the statistic of it that was asked for, if any.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Explained {
    pub metric: Metric,
    pub statistic: Option<Statistic>,
}

impl Explained {
    /// Reads our names (`ttft`, `ttft.p99`, `request_throughput`), columns (`ttft_ms_p99`, `p99_ttft_ms`),
    /// names of other tools (`inter_chunk_latency`) and of articles (`P99_TTFT`). The error is a sentence
    /// with the nearest known name.
    pub fn parse(text: &str) -> Result<Explained, String> {
        let wanted = plain(text.trim());
        if let Some(found) = exact(&wanted) {
            return Ok(found);
        }
        let known: Vec<&str> = known().collect();
        let hint = match nearest(&wanted, known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => {
                format!("known are {}", Metric::all().map(Metric::name).collect::<Vec<_>>().join(", "))
            }
        };
        Err(format!("there is no metric {text:?}; {hint}"))
    }

    /// The definition, then a paragraph for each tool.
    pub fn text(&self, lang: Lang) -> String {
        let (metric, about) = (self.metric, self.metric.about());
        let mut lines = vec![self.title(lang)];
        let definition = ELSEWHERE.iter().find(|of| of.metric == metric).map(|of| of.definition);
        let definition =
            definition.map_or(metric.says(lang), |[english, chinese]| lang.pick(english, chinese));
        lines.push(definition.to_string());
        let label = |english: &'static str, chinese: &'static str, value: String| match lang {
            Lang::English => format!("  {english:<12}{value}"),
            Lang::Chinese => format!("  {chinese}：{value}"),
        };
        lines.push(String::new());
        let unit = unit(metric, lang);
        if !unit.is_empty() {
            lines.push(label("unit", "单位", unit.into()));
        }
        let better = match about.better {
            Better::Lower => lang.pick("lower is better", "越低越好"),
            Better::Higher => lang.pick("higher is better", "越高越好"),
            Better::Neither => lang.pick("neither: it says what the load was", "无：说明负载本身"),
        };
        lines.push(label("better", "优劣", better.into()));
        lines.push(label("statistics", "统计量", names::statistics(metric)));
        if let Some(column) = about.stored {
            lines.push(label("column", "列", format!("{column} (requests/*.parquet)")));
        }
        let called: Vec<&str> =
            about.called.iter().copied().chain(metric.words().map(|(word, _)| word)).collect();
        if !called.is_empty() {
            lines.push(label("also called", "别名", called.join(", ")));
        }
        if let Some(statistic) = self.statistic {
            lines.push(label("this number", "该数值", of_statistic(statistic, lang)));
        }
        lines.push(String::new());
        lines.extend(elsewhere(metric, lang));
        lines.join("\n")
    }

    fn title(&self, lang: Lang) -> String {
        let name = match self.statistic {
            Some(statistic) => names::Name::new(self.metric, statistic).to_string(),
            None => self.metric.name().to_string(),
        };
        let long = self.metric.written_out(lang);
        if long.eq_ignore_ascii_case(&name) || lang == Lang::English {
            name
        } else {
            format!("{name}（{long}）")
        }
    }
}

fn unit(metric: Metric, lang: Lang) -> &'static str {
    match metric.about().unit {
        Unit::Ms => lang.pick("milliseconds", "毫秒"),
        Unit::Seconds => lang.pick("seconds", "秒"),
        Unit::PerSecond => lang.pick("per second", "每秒"),
        Unit::Share => lang.pick("share, 0 to 1", "比例，0 到 1"),
        Unit::Plain => "",
    }
}

fn of_statistic(statistic: Statistic, lang: Lang) -> String {
    match statistic {
        Statistic::Percentile(_) | Statistic::Median => lang.pick(
            "percentile of the pooled values, linear between ranks, as numpy; needs a value above it",
            "汇总值的百分位数，秩间线性插值，与 numpy 一致；其上至少要有一个值",
        ),
        Statistic::Std => lang.pick("standard deviation of the population", "总体标准差"),
        Statistic::Rate => lang
            .pick("what arrived in the window, by the seconds of the window", "窗口内到达的量除以窗口秒数"),
        Statistic::Mean => lang.pick("arithmetic mean of the values that were observed", "观测值的算术平均"),
        Statistic::Share => {
            lang.pick("share of all requests planned in the window", "占窗口内全部计划请求的比例")
        }
        Statistic::Count => lang.pick("how many", "数量"),
        Statistic::Sum => lang.pick("all together", "总和"),
        Statistic::Min => lang.pick("the least", "最小值"),
        Statistic::Max => lang.pick("the most", "最大值"),
        Statistic::Peak => lang.pick("the most in any window of 1 s", "任意 1 秒窗口内的最大值"),
    }
    .to_string()
}

fn elsewhere(metric: Metric, lang: Lang) -> Vec<String> {
    let of = ELSEWHERE.iter().find(|of| of.metric == metric);
    let tools = of.map_or(&[][..], |of| of.tools);
    if tools.is_empty() {
        let none = lang.pick(
            "Other tools (vLLM bench, GuideLLM, AIPerf, inference-perf) print nothing of the kind.",
            "其他工具（vLLM bench、GuideLLM、AIPerf、inference-perf）没有对应的指标。",
        );
        return vec![none.to_string()];
    }
    let head = lang.pick("Elsewhere:", "其他工具：");
    let line = |tool: &Elsewhere| {
        let words = lang.pick(tool.says[0], tool.says[1]);
        let name = if tool.name.is_empty() { String::new() } else { format!(" `{}`", tool.name) };
        match lang {
            Lang::English => format!("  {}{name}: {words}", tool.tool),
            Lang::Chinese => format!("  {}{name}：{words}", tool.tool),
        }
    };
    std::iter::once(head.to_string()).chain(tools.iter().map(line)).collect()
}

/// What articles and the wrapper before this call a number.
const ARTICLES: &[(&str, &str)] = &[
    ("req_throughput", "requests.rate"),
    ("e2e_time", "duration"),
    ("gen_throughput", "output_tokens.rate"),
    ("total_throughput", "total_tokens.rate"),
    ("throughput", "output_tokens.rate"),
    ("request_goodput", "goodput.rate"),
    ("total_input_tokens", "input_tokens.sum"),
    ("total_output_tokens", "output_tokens.sum"),
    ("max_output_tokens_per_s", "output_tokens.peak"),
    ("max_concurrent_requests", "concurrency.max"),
    ("max_concurrency", "concurrency.max"),
];

/// Every name that stands for a metric alone.
fn known() -> impl Iterator<Item = &'static str> {
    let ours = Metric::all().flat_map(|metric| {
        let words = metric.words().map(|(word, _)| word);
        std::iter::once(metric.name()).chain(metric.about().called.iter().copied()).chain(words)
    });
    let theirs = ELSEWHERE.iter().flat_map(|of| of.tools).map(|tool| tool.name);
    ours.chain(theirs.filter(|name| !name.is_empty())).chain(ARTICLES.iter().map(|(name, _)| *name))
}

fn exact(wanted: &str) -> Option<Explained> {
    if let Some((_, name)) = ARTICLES.iter().find(|(article, _)| *article == wanted) {
        return names::Name::parse(name).ok().map(of_name);
    }
    if let Ok(name) = names::Name::parse(wanted) {
        return Some(of_name(name));
    }
    if let Some(metric) = bare(wanted) {
        return Some(Explained { metric, statistic: None });
    }
    // `ttft_ms_p99`, `p99_ttft_ms`, `time_to_first_token_p99`, `mean_itl`.
    let (head, tail) = (wanted.split_once('_'), wanted.rsplit_once('_'));
    let dotted = wanted.split_once('.').map(|(metric, statistic)| (statistic, metric));
    let parts = [dotted, head, tail.map(|(metric, statistic)| (statistic, metric))];
    parts.into_iter().flatten().find_map(|(statistic, rest)| {
        let metric = bare(rest.trim_end_matches("_ms"))?;
        let found = Statistic::parse(statistic).or_else(|| Statistic::parse(meant(statistic)?))?;
        metric.allows(found).then_some(Explained { metric, statistic: Some(found) })
    })
}

fn of_name(name: names::Name) -> Explained {
    Explained { metric: name.metric, statistic: Some(name.statistic) }
}

/// A metric under any of its names, with or without its unit.
fn bare(wanted: &str) -> Option<Metric> {
    let short = wanted.strip_suffix("_ms").unwrap_or(wanted);
    let ours = |metric: &Metric| {
        let is = |name: &str| name == wanted || name == short;
        is(metric.name()) || metric.about().called.iter().any(|name| is(name))
    };
    let theirs = |name: &str| name == wanted || name.strip_suffix("_ms").unwrap_or(name) == short;
    Metric::all().find(ours).or_else(|| {
        let of = |of: &&super::elsewhere::Definition| {
            of.tools.iter().any(|tool| !tool.name.is_empty() && theirs(tool.name))
        };
        ELSEWHERE.iter().find(of).map(|of| of.metric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_explained_in_both_languages() {
        for metric in Metric::all() {
            for lang in Lang::ALL {
                let text = Explained { metric, statistic: None }.text(lang);
                assert!(text.starts_with(metric.name()) && text.lines().count() >= 5, "{text}");
            }
        }
    }

    #[test]
    fn every_name_and_alias_finds_a_metric() {
        for name in known() {
            Explained::parse(name).unwrap();
        }
    }

    #[test]
    fn names_of_columns_other_tools_and_articles_are_known() {
        let found = |text: &str| {
            let found = Explained::parse(text).unwrap();
            (found.metric.name(), found.statistic.map(Statistic::name))
        };
        let p99 = Some("p99".to_string());
        for (text, metric, statistic) in [
            ("ttft.p99", "ttft", p99.clone()),
            ("P99_TTFT", "ttft", p99.clone()),
            ("p99_ttft_ms", "ttft", p99.clone()),
            ("ttft_ms_p99", "ttft", p99.clone()),
            ("mean_itl_ms", "itl", Some("mean".into())),
            ("median_e2el_ms", "e2el", Some("median".into())),
            ("avg_ttft", "ttft", Some("mean".into())),
            ("TTFT", "ttft", None),
            ("Time to First Token", "ttft", None),
            ("time_to_first_token_ms", "ttft", None),
            ("inter_chunk_latency", "itl", None),
            ("normalized_time_per_output_token", "ntpot", None),
            ("request_throughput", "requests", Some("rate".into())),
            ("GEN_THROUGHPUT", "output_tokens", Some("rate".into())),
            ("request_goodput", "goodput", Some("rate".into())),
        ] {
            assert_eq!(found(text), (metric, statistic), "{text}");
        }
    }

    #[test]
    fn a_misspelt_name_gets_the_nearest_one() {
        let told = Explained::parse("ttfft").unwrap_err();
        assert_eq!(told, "there is no metric \"ttfft\"; did you mean \"ttft\"?");
        let told = Explained::parse("inter_chnk_latency").unwrap_err();
        assert!(told.ends_with("did you mean \"inter_chunk_latency\"?"), "{told}");
        assert!(Explained::parse("zzzzzz").unwrap_err().contains("known are ttft, ttfo"));
    }
}
