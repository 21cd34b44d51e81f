//! What the built-in scripts say, in English and Chinese: a script names a sentence and hands over
//! what it says, so that scripts are short and both languages stand side by side.

use crate::error::nearest;
use crate::lang::Lang;

/// Name, English, Chinese; `{name}` stands for a value. Items of a header are divided by `|`.
const SENTENCES: &[(&str, &str, &str)] = &[
    ("wrote", "wrote {path}", "已写入 {path}"),
    (
        "prompts_have_lengths",
        "prompts of --dataset-name {set} are as long as they are: the first number of a pair of input_output is not used",
        "--dataset-name {set} 的提示长度由数据决定：input_output 每对中的第一个数不使用",
    ),
    // Of `calibrate`: kinds of load, and how one is called.
    ("alone", "alone", "单流"),
    ("at once", "at once", "同时开始"),
    ("in step", "in step", "同步"),
    ("apart", "apart", "错开"),
    ("of_rate", "{load} requests/s", "{load} 请求/s"),
    ("of_stream", "{load} stream {kind}", "{load} 条流（{kind}）"),
    ("of_streams", "{load} streams {kind}", "{load} 条流（{kind}）"),
    // What is wrong with one.
    (
        "given_up",
        "it was not done in time: {requests} requests were given up",
        "未能按时完成：放弃了 {requests} 个请求",
    ),
    ("verdict_is", "the verdict is {verdict}", "结论为 {verdict}"),
    (
        "unmatched",
        "{requests} requests failed or are not in the engine's log",
        "{requests} 个请求失败或不在引擎日志中",
    ),
    (
        "over_limit",
        "{what} is {value}{unit}, limit {limit}{unit}",
        "{what} 为 {value}{unit}，上限 {limit}{unit}",
    ),
    ("not_in_time", "was not done in time", "未能按时完成"),
    ("not_as_planned", "was not sent as planned", "未能按计划发出"),
    // Where an error comes about.
    ("joint", "; ", "；"),
    (
        "sent_late",
        "requests leave {p50} to {p99} ms late (p50, p99), and the mean gap between two is {gap} ms",
        "请求滞后 {p50} 到 {p99} ms（P50、P99）发出，而平均间隔为 {gap} ms",
    ),
    (
        "parts",
        "of the mean error of ttft {writing} ms in the client's write, {way_there} ms on the way there, {way_back} ms on \
         the way back",
        "ttft 平均误差中：客户端写出 {writing} ms，去程 {way_there} ms，回程 {way_back} ms",
    ),
    (
        "loopback",
        "the client had written by then: over loopback the kernel delivers, on the same cores",
        "此时客户端已写完：环回由内核在同一组核心上投递",
    ),
    (
        "engine_late",
        "the engine, which shares the cores, itself wrote up to {late} ms after its plan (p99), which is not counted as \
         an error",
        "与客户端共用核心的引擎自身比计划晚写出 {late} ms（P99），不计入误差",
    ),
    (
        "busy",
        "the cores were {cores} % busy, {client} % with the client",
        "核心占用 {cores} %，其中客户端 {client} %",
    ),
    // Tables.
    (
        "about_streams",
        "Errors in ms: ttft, e2el: mean, and p99 of single values; itl: of its p50 and p99; tpot: p99 of single values",
        "误差 (ms)：ttft、e2el 为平均误差与单值误差 P99；itl 为其 P50、P99 的误差；tpot 为单值误差 P99",
    ),
    (
        "head_of_streams",
        "streams||ttft|p99|itl p50|p99|tpot p99|e2el|p99|read lag p99|CPU %|verdict",
        "并发流|方式|首令牌 ttft|P99|令牌间 itl P50|P99|每令牌 tpot P99|端到端 e2el|P99|读取滞后 P99|CPU %|结论",
    ),
    (
        "about_rates",
        "Requests at random times (KS: distance of their gaps to the exponential distribution; times in ms)",
        "随机到达（KS：间隔与指数分布的距离；时间单位 ms）",
    ),
    (
        "head_of_rates",
        "rate/s|sent/s|% of plan|KS plan|KS sent|late p50|p99|max|ttft|p99|CPU %|verdict",
        "速率/s|实发/s|占计划 %|KS 计划|KS 实发|滞后 P50|P99|最大|首令牌 ttft|P99|CPU %|结论",
    ),
    // What came out.
    (
        "first_to_break",
        "First to break, {load}: {fault}. What bounds it: {bound}.",
        "首先越限，{load}：{fault}。限制来自：{bound}。",
    ),
    ("not_tried", "Not tried: {load}.", "未尝试：{load}。"),
    (
        "trusted",
        "This machine can be trusted with {at_once} streams started at once, {in_step} in step, {apart} apart, and {rate} \
         requests/s.",
        "本机可信负载：同时开始 {at_once} 条流，同步 {in_step} 条，错开 {apart} 条，{rate} 请求/s。",
    ),
    (
        "that_is",
        "That is: means, and p50 and p99 of itl, within {mean} ms of the truth, 99 of 100 values within {each} ms, verdict \
         valid. The engine took its share of the same cores: with the server elsewhere it is more.",
        "即：均值及 itl 的 P50、P99 与真值相差不超过 {mean} ms，99 % 的单值不超过 {each} ms，结论为 \
         valid。引擎占用了同一组核心：服务器在别处时可信负载更高。",
    ),
    ("title", "Error of TTFT, p99", "TTFT 误差 P99"),
    ("streams", "streams", "并发流"),
];

/// A sentence with its values. Fails with what is wrong with its name, or with the first value that
/// it has no place for, or that is not there.
pub fn said(lang: Lang, name: &str, values: &[(String, String)]) -> Result<String, String> {
    let Some((_, english, chinese)) = SENTENCES.iter().find(|(known, ..)| *known == name) else {
        let near = nearest(name, SENTENCES.iter().map(|(known, ..)| *known));
        let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        return Err(format!("there is no sentence {name:?}{near}"));
    };
    let sentence = if lang == Lang::English { english } else { chinese };
    let mut rest = *sentence;
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once('{') {
        let (value, after) = after.split_once('}').unwrap_or((after, ""));
        let known = values.iter().find(|(one, _)| one == value);
        let (_, known) = known.ok_or_else(|| format!("the sentence {name:?} needs `{value}`"))?;
        text += before;
        text += known;
        rest = after;
    }
    text += rest;
    match values.iter().find(|(value, _)| !sentence.contains(&format!("{{{value}}}"))) {
        Some((value, _)) => Err(format!("the sentence {name:?} has no `{value}`")),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(sentence: &str) -> Vec<&str> {
        sentence.split('{').skip(1).filter_map(|part| part.split('}').next()).collect()
    }

    #[test]
    fn both_languages_say_the_same_things() {
        for (name, english, chinese) in SENTENCES {
            let sorted = |sentence| {
                let mut found = values(sentence);
                found.sort_unstable();
                found
            };
            let (mut en, mut zh) = (sorted(english), sorted(chinese));
            en.dedup();
            zh.dedup();
            // One stream and many are the same in Chinese, which has its own word for a kind.
            assert_eq!(en, zh, "{name}");
            assert_eq!(english.matches('|').count(), chinese.matches('|').count(), "{name}");
            assert_eq!(SENTENCES.iter().filter(|(other, ..)| other == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn a_sentence_needs_its_values_and_no_others() {
        let told = |name: &str, values: &[(&str, &str)]| {
            let values: Vec<_> =
                values.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            said(Lang::English, name, &values)
        };
        assert_eq!(told("wrote", &[("path", "a{b}")]), Ok("wrote a{b}".into()));
        assert_eq!(told("wrot", &[]), Err("there is no sentence \"wrot\"; did you mean \"wrote\"?".into()));
        assert_eq!(told("wrote", &[]), Err("the sentence \"wrote\" needs `path`".into()));
        let more = told("wrote", &[("path", "a"), ("load", "b")]);
        assert_eq!(more, Err("the sentence \"wrote\" has no `load`".into()));
    }
}
