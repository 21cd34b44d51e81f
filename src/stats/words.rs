//! Words for people, in English and Chinese, and how numbers are written.

use super::counts::{LengthCheck, TokenSources};
use super::estimate::Mark;
use super::statistic::Statistic;
use crate::lang::Lang;
use crate::record::Adaption;

/// What is said of a condition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    pub condition: String,
    /// `None`: not observed, or undecided.
    pub holds: Option<bool>,
    pub undecided: bool,
    /// The name of the value, where it is another than the condition's.
    pub other: Option<String>,
    /// With its unit.
    pub value: Option<String>,
    /// With the units of its ends.
    pub interval: Option<String>,
    /// Why there is none.
    pub mark: Option<Mark>,
    /// The value is only known to be more than `value`.
    pub above: bool,
    /// Failed requests are counted in the value.
    pub censored: bool,
    /// How many values there were, where they are too few.
    pub few: Option<u64>,
}

impl Said {
    /// One line.
    pub fn text(&self, lang: Lang) -> String {
        let (yes, no, unseen, with_failures, few, undecided) = match lang {
            Lang::English => {
                ("holds", "fails", "not observed", " with failures counted", "too few values", "undecided")
            }
            Lang::Chinese => ("满足", "不满足", "无数据", "（计入失败请求）", "样本不足", "无法判定"),
        };
        let unseen = if self.undecided { undecided } else { unseen };
        let (colon, comma) = if lang == Lang::English { (": ", ", ") } else { ("：", "，") };
        let word = self.holds.map_or(unseen, |holds| if holds { yes } else { no });
        let mut text = format!("{}{colon}{word}", self.condition);
        if let Some(value) = &self.value {
            let other = self.other.as_ref().map_or(String::new(), |name| format!("{name} "));
            text += &format!("{comma}{other}{}{value}", if self.above { "> " } else { "" });
        }
        if let Some(interval) = &self.interval {
            text += &format!(" {interval}");
        }
        if self.censored {
            text += with_failures;
        }
        if let Some(count) = self.few {
            text += &format!("{comma}{few} ({})", grouped(count));
        } else if let Some(mark) = self.mark {
            text += &match (mark, lang) {
                (Mark::NotSteady, _) => format!("{comma}{}", mark.text(lang)),
                (_, Lang::English) => format!("{comma}no interval"),
                (_, Lang::Chinese) => format!("{comma}没有区间"),
            };
        }
        text
    }
}

/// Labels of the rows and columns of a table.
#[derive(Debug)]
pub struct Words {
    pub run: &'static str,
    pub verdict: &'static str,
    pub remark: &'static str,
    pub requests: &'static str,
    pub note: &'static str,
    pub duration: &'static str,
    pub request_throughput: &'static str,
    pub output_throughput: &'static str,
    pub total_token_throughput: &'static str,
    pub concurrency: &'static str,
    pub input_tokens: &'static str,
    pub output_tokens: &'static str,
    pub output_length: &'static str,
    pub load: &'static str,
    pub cached_tokens: &'static str,
    pub wasted_tokens: &'static str,
    pub audio: &'static str,
    pub stalls: &'static str,
    pub goodput: &'static str,
    pub condition: &'static str,
    pub latency: &'static str,
    pub mean: &'static str,
    pub median: &'static str,
    pub std: &'static str,
    pub max: &'static str,
    pub count: &'static str,
    pub with_failures: &'static str,
    pub few_values: &'static str,
    pub histogram: &'static str,
    pub failures_above: &'static str,
}

const ENGLISH: Words = Words {
    run: "run",
    verdict: "verdict",
    remark: "remark",
    requests: "requests",
    note: "note",
    duration: "duration",
    request_throughput: "request throughput",
    output_throughput: "output throughput",
    total_token_throughput: "total token throughput",
    concurrency: "concurrency",
    input_tokens: "input tokens",
    output_tokens: "output tokens",
    output_length: "output length",
    load: "kind of load",
    cached_tokens: "cached input tokens",
    wasted_tokens: "wasted output tokens",
    audio: "audio",
    stalls: "stalls",
    goodput: "goodput",
    condition: "condition",
    latency: "latency (ms)",
    mean: "mean",
    median: "median",
    std: "std",
    max: "max",
    count: "count",
    with_failures: "  with failures",
    few_values: "~ too few values for this percentile (p90 needs 10, p99 needs 100)",
    histogram: "* percentiles from a histogram of 3 significant digits",
    failures_above: "with failures: each failed request counts as longer than every success",
};

const CHINESE: Words = Words {
    run: "运行",
    verdict: "结论",
    remark: "注意",
    requests: "请求",
    note: "注",
    duration: "持续时间",
    request_throughput: "请求吞吐量",
    output_throughput: "输出吞吐量",
    total_token_throughput: "总令牌吞吐量",
    concurrency: "并发数",
    input_tokens: "总输入令牌数",
    output_tokens: "总输出令牌数",
    output_length: "输出长度",
    load: "负载性质",
    cached_tokens: "缓存命中令牌数",
    wasted_tokens: "失败请求的输出令牌数",
    audio: "音频",
    stalls: "停顿",
    goodput: "请求有效吞吐量",
    condition: "条件",
    latency: "延迟(ms)",
    mean: "平均",
    median: "中位",
    std: "标准差",
    max: "最大",
    count: "数量",
    with_failures: "  计入失败请求",
    few_values: "~ 样本不足以支持该百分位（P90 需要 10 个，P99 需要 100 个）",
    histogram: "* 百分位取自 3 位有效数字的直方图",
    failures_above: "计入失败请求：每个失败请求视为比所有成功请求更慢",
};

fn counted_replies(n: u64) -> String {
    if n == 1 { "1 reply".to_string() } else { format!("{} replies", grouped(n)) }
}

impl Lang {
    pub fn colon(self) -> &'static str {
        if self == Lang::English { ": " } else { "：" }
    }

    pub fn words(self) -> &'static Words {
        match self {
            Lang::English => &ENGLISH,
            Lang::Chinese => &CHINESE,
        }
    }

    /// A statistic as the head of a column.
    pub fn statistic(self, statistic: Statistic) -> String {
        let chinese = match statistic {
            _ if self == Lang::English => return statistic.name(),
            Statistic::Mean => "平均",
            Statistic::Median => "中位",
            Statistic::Std => "标准差",
            Statistic::Min => "最小",
            Statistic::Max => "最大",
            Statistic::Sum => "总和",
            Statistic::Count => "数量",
            other => return other.name(),
        };
        chinese.into()
    }

    /// What a warning begins with.
    pub fn warning(self) -> &'static str {
        if self == Lang::English { "warning: " } else { "警告：" }
    }

    /// Before what is said of a run.
    pub fn of_run(self, run: &str) -> String {
        let run = unbroken(run);
        match self {
            Lang::English => format!("run {run}: "),
            Lang::Chinese => format!("运行 {run}："),
        }
    }

    /// A run that ended before its time.
    pub fn ended_early(self, why: &str) -> String {
        match self {
            Lang::English => format!("ended early: {why}"),
            Lang::Chinese => format!("提前结束：{why}"),
        }
    }

    /// More requests failed than succeeded.
    pub fn mostly_failed(self, failed: u64, of: u64) -> String {
        let (failed, of) = (grouped(failed), grouped(of));
        match self {
            Lang::English if failed == of => format!("none of {of} requests succeeded"),
            Lang::English => format!("{failed} of {of} requests failed"),
            Lang::Chinese if failed == of => format!("{of} 个请求无一成功"),
            Lang::Chinese => format!("{of} 个请求中 {failed} 个失败"),
        }
    }

    pub fn failed(self, count: &str) -> String {
        match self {
            Lang::English => format!("{count} failed"),
            Lang::Chinese => format!("失败 {count}"),
        }
    }

    /// `left`: those whose users hung up.
    pub fn outcome(self, total: u64, succeeded: u64, left: u64) -> String {
        let failed = total - succeeded - left;
        let share = 100.0 * failed as f64 / total.max(1) as f64;
        let share = if failed == 0 { String::new() } else { format!(" ({share:.2} %)") };
        let (total, succeeded, failed) = (grouped(total), grouped(succeeded), grouped(failed));
        let told = match self {
            Lang::English => format!("{total} total, {succeeded} succeeded, {failed} failed{share}"),
            Lang::Chinese => format!("共 {total}，成功 {succeeded}，失败 {failed}{share}"),
        };
        match (self, left) {
            (_, 0) => told,
            (Lang::English, left) => format!("{told}, {} left by their users", grouped(left)),
            (Lang::Chinese, left) => format!("{told}，用户中途取消 {}", grouped(left)),
        }
    }

    pub fn example(self, count: u64, words: Option<&str>) -> String {
        let count = grouped(count);
        match (self, words) {
            (_, None) => count,
            (Lang::English, Some(words)) => format!("{count}, such as: {words}"),
            (Lang::Chinese, Some(words)) => format!("{count}，例如：{words}"),
        }
    }

    pub fn requests_per_s(self, rate: &str) -> String {
        match self {
            Lang::English => format!("{rate} requests/s"),
            Lang::Chinese => format!("{rate} 请求/s"),
        }
    }

    pub fn tokens_per_s(self, rate: &str) -> String {
        match self {
            Lang::English => format!("{rate} tokens/s"),
            Lang::Chinese => format!("{rate} 令牌/s"),
        }
    }

    pub fn peak(self, tokens: &str) -> String {
        match self {
            Lang::English => format!(", at most {tokens} in one second"),
            Lang::Chinese => format!("，1 秒内最多 {tokens}"),
        }
    }

    pub fn mean_and_max(self, mean: &str, max: &str) -> String {
        match self {
            Lang::English => format!("mean {mean}, max {max}"),
            Lang::Chinese => format!("平均 {mean}，最大 {max}"),
        }
    }

    pub fn sum_and_mean(self, sum: &str, mean: &str) -> String {
        match self {
            Lang::English => format!("{sum} (mean {mean})"),
            Lang::Chinese => format!("{sum}（平均 {mean}）"),
        }
    }

    /// Seconds of sound that were transcribed, and how many of them in a second.
    pub fn audio(self, sum: &str, rtfx: &str, known: u64, succeeded: u64) -> String {
        let (known, of) = (grouped(known), grouped(succeeded));
        match self {
            Lang::English if known == of => format!("{sum} s, RTFx {rtfx}"),
            Lang::Chinese if known == of => format!("{sum} 秒，RTFx {rtfx}"),
            Lang::English => format!("{sum} s in {known} of {of} replies, RTFx {rtfx}"),
            Lang::Chinese => format!("{sum} 秒（{of} 个回复中的 {known} 个），RTFx {rtfx}"),
        }
    }

    /// Where the counts of output tokens come from.
    pub fn sources(self, sources: &TokenSources) -> String {
        let names = match self {
            Lang::English => ["from usage", "by our tokenizer", "estimated from events", "unknown"],
            Lang::Chinese => ["服务器 usage", "本地分词器", "按事件估计", "未知"],
        };
        let counts = [sources.usage, sources.tokenizer, sources.events, sources.unknown];
        let used: Vec<(&str, u64)> = names.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect();
        let comma = if self == Lang::English { ", " } else { "，" };
        let told = match used[..] {
            [] => String::new(),
            [(name, _)] => format!("{comma}{name}"),
            _ => used.iter().map(|(name, n)| format!("{comma}{} {name}", grouped(*n))).collect(),
        };
        let impossible = match (self, sources.impossible) {
            (_, 0) => String::new(),
            (Lang::English, n) => format!(", impossible counts in {}", counted_replies(n)),
            (Lang::Chinese, n) => format!("，{} 个回复的计数不可能", grouped(n)),
        };
        told + impossible.as_str()
    }

    /// How many replies had the length that was asked for.
    pub fn lengths(self, asked: &LengthCheck) -> String {
        let (met, of) = (grouped(asked.met), grouped(asked.compared));
        let tokens = asked_tokens(asked);
        match self {
            Lang::English if asked.compared == 1 => format!("{met} of 1 reply had the asked {tokens} tokens"),
            Lang::English => format!("{met} of {of} replies had the asked {tokens} tokens"),
            Lang::Chinese => format!("{of} 个回复中 {met} 个达到要求的 {tokens} 令牌"),
        }
    }

    /// In what the load differs from what people ask: `None` where it does not.
    pub fn load(self, synthetic: u64, forced: u64, of: u64) -> Option<String> {
        let (words, held, comma) = match self {
            Lang::English => ("random words", "replies of forced length", ", "),
            Lang::Chinese => ("随机词", "回复长度被强制", "，"),
        };
        let part = |what: &str, count: u64| match (self, count) {
            (_, 0) => None,
            (_, all) if all == of => Some(what.to_string()),
            (Lang::English, some) => Some(format!("{what} ({} of {} requests)", grouped(some), grouped(of))),
            (Lang::Chinese, some) => Some(format!("{what}（{} / {} 请求）", grouped(some), grouped(of))),
        };
        let parts: Vec<String> = part(words, synthetic).into_iter().chain(part(held, forced)).collect();
        (!parts.is_empty()).then(|| parts.join(comma))
    }

    /// What the server counted against what was asked, where that differs.
    pub fn input_difference(self, asked: &LengthCheck) -> String {
        if asked.met == asked.compared {
            return String::new();
        }
        let (tokens, difference) = (asked_tokens(asked), format!("{:+.1}", asked.mean_difference()));
        let differ = grouped(asked.compared - asked.met);
        match self {
            Lang::English => format!(", asked {tokens}: {differ} differ, {difference} on average"),
            Lang::Chinese => format!("，要求 {tokens}：{differ} 个不符，平均差 {difference}"),
        }
    }

    pub fn cached(self, tokens: &str, share: &str, uncached: &str) -> String {
        match self {
            Lang::English => format!("{tokens} ({share} of input), uncached {uncached} tokens/s"),
            Lang::Chinese => format!("{tokens}（占输入 {share}），未命中 {uncached} 令牌/s"),
        }
    }

    pub fn stalls(self, count: &str, longest: &str, total: &str) -> String {
        match self {
            Lang::English => format!("{count}, longest {longest}, {total} together"),
            Lang::Chinese => format!("{count} 次，最长 {longest}，共 {total}"),
        }
    }

    pub fn goodput(self, rate: &str, share: &str, limits: &str) -> String {
        match self {
            Lang::English => format!("{rate} requests/s, {share} of all requests ({limits})"),
            Lang::Chinese => format!("{rate} 请求/s，占全部请求 {share}（{limits}）"),
        }
    }

    /// What a server does not take of our fields, and what follows from that.
    pub fn adaption(self, adaption: &Adaption) -> String {
        let Adaption { field, instead, ignored } = adaption;
        let held = ["ignore_eos", "ignore_eos_token", "min_tokens", "min_length"].contains(&field.as_str());
        match (self, instead) {
            (Lang::English, Some(instead)) => {
                let does = if *ignored { "ignores" } else { "refuses" };
                format!("the server {does} {field}; {instead} is sent instead")
            }
            (Lang::Chinese, Some(instead)) => {
                let does = if *ignored { "忽略" } else { "拒绝" };
                format!("服务器{does} {field}，改发 {instead}")
            }
            (Lang::English, None) => {
                let so = match field.as_str() {
                    _ if held => "replies may be shorter than asked",
                    "temperature" => "it samples as it does by default",
                    "stream_options" => "it may not count tokens",
                    _ => "requests go without it",
                };
                format!("the server refuses {field}, so {so}")
            }
            (Lang::Chinese, None) => {
                let so = match field.as_str() {
                    _ if held => "回复可能比要求的短",
                    "temperature" => "按其默认方式采样",
                    "stream_options" => "可能不报告令牌数",
                    _ => "请求不再带此字段",
                };
                format!("服务器拒绝 {field}，{so}")
            }
        }
    }

    pub fn part_of(self, part: u64, whole: u64) -> String {
        match self {
            _ if part == whole => grouped(part),
            Lang::English => format!("{} of {}", grouped(part), grouped(whole)),
            Lang::Chinese => format!("{} / {}", grouped(part), grouped(whole)),
        }
    }
}

fn asked_tokens(asked: &LengthCheck) -> String {
    match asked.range {
        Some((min, max)) if min != max => format!("{}–{}", grouped(min.into()), grouped(max.into())),
        Some((min, _)) => grouped(min.into()),
        None => "-".into(),
    }
}

/// A name without line breaks, which could begin a line of ours.
pub fn unbroken(name: &str) -> String {
    name.replace(['\n', '\r'], " ")
}

/// Text of a server, fit for a terminal: control characters become spaces.
pub fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// 1234567 -> `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with grouped thousands and this many decimals.
pub fn fixed(number: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", number.abs());
    let (whole, rest) =
        text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let whole = whole.parse().map_or_else(|_| whole.to_string(), grouped);
    let sign = if number < 0.0 && text.chars().any(|c| c.is_ascii_digit() && c != '0') { "-" } else { "" };
    match rest {
        Some(rest) => format!("{sign}{whole}.{rest}"),
        None => format!("{sign}{whole}"),
    }
}

/// A length of time given in milliseconds: `412.3 ms`, `60 s`, `2 m 5 s`.
pub fn span(ms: f64) -> String {
    if ms < 1_000.0 {
        return format!("{} ms", trimmed(ms, if ms < 10.0 { 3 } else { 1 }));
    }
    if ms < 120_000.0 {
        return format!("{} s", trimmed(ms / 1e3, 2));
    }
    let seconds = (ms / 1e3).round() as u64;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, m, 0) => format!("{m} m"),
        (0, m, s) => format!("{m} m {s} s"),
        (h, m, _) => format!("{h} h {m} m"),
    }
}

/// At most this many decimals, and no zeros at their end.
fn trimmed(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"].map(String::from)
        );
        assert_eq!(fixed(22_336.046, 2), "22,336.05");
        assert_eq!(fixed(-1_234.5, 1), "-1,234.5");
        assert_eq!(fixed(-0.001, 2), "0.00");
    }

    #[test]
    fn times_are_written_in_the_unit_that_fits() {
        assert_eq!(
            [0.0125, 412.34, 1_500.0, 60_000.0, 125_000.0, 7_260_000.0].map(span),
            ["0.013 ms", "412.3 ms", "1.5 s", "60 s", "2 m 5 s", "2 h 1 m"].map(String::from)
        );
    }

    #[test]
    fn text_of_a_server_cannot_steer_the_terminal() {
        assert_eq!(one_line("bad\n\u{1b}[31mred\u{7}  end"), "bad [31mred end");
    }
}
