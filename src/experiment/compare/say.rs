//! What a comparison says in words: of its sides, of pairs, of what differs, and the conclusion.

use super::cell::{Cell, Differs, PairsSeen, WhyUnpaired};
use super::environment::Unlike;
use super::refused::Refused;
use super::source::{MatchedCells, Side};
use super::table;
use super::verdict::{More, OnlyRuns, Outcome};
use super::wanted::Comparison;
use crate::lang::Lang;
use crate::stats::Slo;
use crate::stats::names::Statistic;
use crate::stats::versus::judge::Word;
use crate::stats::versus::rounds::Design;
use crate::stats::words::grouped;

fn say(lang: Lang, english: String, chinese: String) -> String {
    lang.pick(english, chinese)
}

/// Which folders, how many runs.
pub fn sides(a: &Side, b: &Side, lang: Lang) -> [String; 2] {
    [("A", a), ("B", b)].map(|(letter, side)| {
        let (n, name) = (side.runs.len(), side.place());
        let s = if n == 1 { "" } else { "s" };
        say(lang, format!("{letter}: {name}, {n} run{s}"), format!("{letter}：{name}，{n} 个运行"))
    })
}

pub fn unmatched_cells(matched: &MatchedCells, lang: Lang) -> Vec<String> {
    let told = |letter: &str, cells: &[String]| {
        let names = cells.join(", ");
        let line = say(lang, format!("only {letter} has {names}"), format!("仅 {letter} 有 {names}"));
        (!cells.is_empty()).then_some(line)
    };
    [told("A", &matched.only_a), told("B", &matched.only_b)].into_iter().flatten().collect()
}

/// What is to be known of the rows, before them.
pub fn about(cells: &[Cell], wanted: &Comparison) -> Vec<String> {
    let lang = wanted.lang;
    let mut lines: Vec<String> = Vec::new();
    // Mostly the same of all cells.
    for line in cells.iter().flat_map(|cell| &cell.unlike).map(|unlike| of_environment(unlike, lang)) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    for cell in cells {
        let of_cell = match cells.len() {
            1 => String::new(),
            _ => format!("{}{}", cell.name, lang.colon()),
        };
        let mut told: Vec<String> = Vec::new();
        told.extend(cell.differs.iter().map(|differs| of_traffic(differs, lang)));
        told.extend(doubts(&cell.doubts, lang));
        told.push(match &cell.pairs {
            Ok(seen) => paired(seen, lang),
            Err(why) => unpaired(why, lang),
        });
        told.extend(cell.refused.map(|refused| refusal(refused, lang)));
        told.extend(cell.goals.as_ref().map(|goals| of_goals(goals, lang)));
        told.extend(cell.other_goals.as_ref().map(|[a, b]| other_goals(a, b, lang)));
        for number in &cell.numbers {
            if let Some(share) = number.unequal_replies {
                let (what, share) = (number.what.head(lang), percent(share));
                told.push(say(
                    lang,
                    format!("{what} is not paired: {share} of the pairs have replies of other lengths"),
                    format!("{what} 未配对：{share} 的配对回复长度不同"),
                ));
            }
        }
        lines.extend(told.into_iter().map(|line| format!("{of_cell}{line}")));
    }
    lines.extend(estimands(cells, lang));
    lines
}

/// Which runs are no valid measurement; several with the same verdict together.
fn doubts(doubts: &[(bool, String, String)], lang: Lang) -> Vec<String> {
    let mut kinds: Vec<(bool, &str, Vec<&str>)> = Vec::new();
    for (second, run, verdict) in doubts {
        match kinds.iter_mut().find(|kind| kind.0 == *second && kind.1 == verdict) {
            Some(kind) => kind.2.push(run),
            None => kinds.push((*second, verdict, vec![run])),
        }
    }
    let line = |(second, verdict, runs): &(bool, &str, Vec<&str>)| {
        let (side, n) = (if *second { "B" } else { "A" }, runs.len());
        let (en, zh) = match runs[..] {
            [run] => (format!("run {run:?} of {side} is"), format!("{side} 的运行 {run:?} ")),
            _ => (format!("{n} runs of {side} are"), format!("{side} 的 {n} 个运行")),
        };
        match *verdict {
            "recovered" => {
                say(lang, format!("{en} cut off: the process was killed"), format!("{zh}未完成：进程被终止"))
            }
            verdict => say(lang, format!("{en} not valid: {verdict}"), format!("{zh}无效：{verdict}")),
        }
    };
    kinds.iter().map(line).collect()
}

fn of_environment(unlike: &Unlike, lang: Lang) -> String {
    let what = unlike.what(lang);
    let [a, b] = unlike.sides.each_ref().map(|side| side.join(lang.pick(" and ", "、")));
    say(lang, format!("{what}: A {a}, B {b}"), format!("{what}：A {a}，B {b}"))
}

fn of_goals(goals: &Slo, lang: Lang) -> String {
    let limits = goals.limits.iter().map(|limit| format!("{} {} ms", limit.metric, limit.ms));
    let limits = limits.collect::<Vec<_>>().join(lang.pick(", ", "，"));
    say(lang, format!("a request is good within {limits}"), format!("有效请求：{limits} 以内"))
}

fn other_goals(a: &str, b: &str, lang: Lang) -> String {
    let or_none = |text: &str| match text {
        "" => lang.pick("none", "无").to_string(),
        text => text.to_string(),
    };
    let (a, b) = (or_none(a), or_none(b));
    say(
        lang,
        format!(
            "goodput is not compared: the objectives of A are {a}, those of B {b}; --goodput ttft:400 sets them for both"
        ),
        format!("不比较有效请求：A 的目标为 {a}，B 为 {b}；--goodput ttft:400 可为两侧统一设定"),
    )
}

fn of_traffic(differs: &Differs, lang: Lang) -> String {
    let rate = |rate: &Option<f64>| rate.map_or_else(|| "-".to_string(), |rate| format!("{rate}"));
    match differs {
        Differs::Draw => say(
            lang,
            "the traffic is of the same kind and drawn anew: other lengths at other times".into(),
            "流量类型相同但重新抽取：长度与到达时间不同".into(),
        ),
        Differs::Rate(a, b) => say(
            lang,
            format!("the traffic differs: A was asked for {} requests/s, B for {}", rate(a), rate(b)),
            format!("流量不同：A 请求速率 {}/s，B 为 {}/s", rate(a), rate(b)),
        ),
        Differs::Concurrency(a, b) => say(
            lang,
            format!("the traffic differs: A kept {} requests in flight, B {}", rate(a), rate(b)),
            format!("流量不同：A 并发 {}，B 并发 {}", rate(a), rate(b)),
        ),
        Differs::Input(a, b) => say(
            lang,
            format!("the traffic differs: A asked {a:.1} input tokens a request, B {b:.1}"),
            format!("流量不同：A 每请求输入 {a:.1} 令牌，B {b:.1}"),
        ),
        Differs::Output(a, b) => say(
            lang,
            format!("the traffic differs: A asked {a:.1} output tokens a request, B {b:.1}"),
            format!("流量不同：A 每请求输出 {a:.1} 令牌，B {b:.1}"),
        ),
    }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 { "0 %".into() } else { format!("{percent:.1} %") }
}

fn reasons(seen: &PairsSeen, lang: Lang) -> String {
    let unmatched = &seen.unmatched;
    let told = [
        (unmatched.missing, "only on one side", "仅一侧有"),
        (unmatched.failed, "failed", "失败"),
        (unmatched.asked_otherwise, "asked otherwise", "请求内容不同"),
        (unmatched.cached_otherwise, "answered otherwise by the cache", "缓存命中不同"),
    ];
    let told = told.into_iter().filter(|(n, ..)| *n > 0);
    let told: Vec<String> = told.map(|(n, en, zh)| format!("{} {}", grouped(n), lang.pick(en, zh))).collect();
    if told.is_empty() {
        String::new()
    } else {
        format!("{}{}", lang.colon(), told.join(lang.pick(", ", "，")))
    }
}

fn share_of(seen: &PairsSeen) -> f64 {
    if seen.common == 0 { 1.0 } else { seen.unmatched.all() as f64 / seen.common as f64 }
}

fn paired(seen: &PairsSeen, lang: Lang) -> String {
    let (pairs, common, share) = (grouped(seen.pairs), grouped(seen.common), percent(share_of(seen)));
    let reasons = reasons(seen, lang);
    let mut line = say(
        lang,
        format!(
            "paired: {pairs} of {common} requests are the same on both sides ({share} unmatched{reasons})"
        ),
        format!("已配对：{common} 个请求中 {pairs} 个两侧相同（未配对 {share}{reasons}）"),
    );
    if !seen.open {
        let [a, b] = seen.beyond.map(grouped);
        line += &say(
            lang,
            format!(
                "; a closed loop: conditional on the set that both finished ({a} more of A, {b} of B are left out), throughput is not paired"
            ),
            format!("；闭环：仅限两侧共同完成的集合（另有 A {a} 个、B {b} 个未计入），吞吐量不配对"),
        );
    }
    if seen.later_turns > 0 {
        line += &say(
            lang,
            "; first turns and whole sessions are paired, later turns never".into(),
            "；首轮与完整会话配对，后续轮次从不配对".into(),
        );
    }
    line
}

fn unpaired(why: &WhyUnpaired, lang: Lang) -> String {
    let because = match why {
        WhyUnpaired::Alone => return lang.pick("not paired", "未配对").to_string(),
        WhyUnpaired::History => {
            return lang
                .pick("not paired: B is compared with all of the past", "未配对：B 与全部历史比较")
                .to_string();
        }
        WhyUnpaired::Runs => {
            say(lang, "the sides have other numbers of runs".into(), "两侧运行数不同".into())
        }
        WhyUnpaired::Traffic => {
            say(lang, "other lengths or other arrivals".into(), "长度或到达时间不同".into())
        }
        WhyUnpaired::NoHash => say(lang, "it is not known what was asked".into(), "不知道请求了什么".into()),
        WhyUnpaired::NotSteady => say(lang, "a run was not steady".into(), "有运行不平稳".into()),
        WhyUnpaired::Unmatched(seen) => {
            let (share, reasons) = (percent(share_of(seen)), reasons(seen, lang));
            say(
                lang,
                format!("{share} of the requests have no partner{reasons}"),
                format!("{share} 的请求没有对应{reasons}"),
            )
        }
    };
    let how = match why {
        WhyUnpaired::Traffic | WhyUnpaired::NoHash => say(lang,
            "pairs, which tell far smaller differences, come of the same traffic: run both with the same name or `traffic`, seed, lengths and load".into(),
            "相同流量才能配对，可分辨小得多的差异：两侧使用相同的名称或 `traffic`、种子、长度与负载".into()),
        WhyUnpaired::Runs => say(lang,
            "pairs take as many runs of B as of A".into(),
            "配对需要两侧运行数相同".into()),
        WhyUnpaired::NotSteady => say(lang,
            "pairs take runs that settle: a longer warm-up, or a load that the server keeps up with".into(),
            "配对需要平稳的运行：延长预热，或采用服务器能承受的负载".into()),
        WhyUnpaired::Unmatched(seen) => how_to_match(seen, lang),
        WhyUnpaired::Alone | WhyUnpaired::History => String::new(),
    };
    let how = format!("{}{how}", lang.pick("; ", "；"));
    say(lang, format!("not paired: {because}{how}"), format!("未配对：{because}{how}"))
}

/// What to do against the reason for which most requests have no partner.
fn how_to_match(seen: &PairsSeen, lang: Lang) -> String {
    let of = &seen.unmatched;
    let most =
        [of.missing, of.failed, of.asked_otherwise, of.cached_otherwise].into_iter().max().unwrap_or(0);
    match most {
        n if n == of.failed => say(lang,
            "pairs take requests that both servers answer: see why they fail, or ask for less".into(),
            "配对需要两侧都成功的请求：请查明失败原因，或降低负载".into()),
        n if n == of.missing => say(lang,
            "pairs take the same requests: run both as long, with the same number of requests".into(),
            "配对需要相同的请求：两侧运行时间与请求数应相同".into()),
        n if n == of.cached_otherwise => say(lang,
            "pairs take the same state of the prefix cache: restart or flush both servers, or give each run fresh words".into(),
            "配对需要前缀缓存状态相同：重启或清空两侧服务器的缓存，或每次使用新的词".into()),
        _ => say(lang,
            "pairs take the same lengths at the same times: the same workload, seed and load".into(),
            "配对需要相同的长度与到达时间：相同的工作负载、种子与负载".into()),
    }
}

fn refusal(refused: Refused, lang: Lang) -> String {
    match refused {
        Refused::Events(a, b) => say(
            lang,
            format!(
                "itl is not compared: an event of A holds {a:.2} tokens, one of B {b:.2}; tpot and the time to so many tokens are"
            ),
            format!("不比较 itl：A 每事件 {a:.2} 令牌，B {b:.2}；改比 tpot 与前若干令牌用时"),
        ),
        Refused::Lengths(first) => {
            let side = if first { "A" } else { "B" };
            say(
                lang,
                format!(
                    "only {side} kept the lengths that replies were forced to: what grows with a reply is not compared"
                ),
                format!("仅 {side} 遵守强制的回复长度：不比较随回复长度增长的指标"),
            )
        }
    }
}

/// What the rows estimate.
fn estimands(cells: &[Cell], lang: Lang) -> Vec<String> {
    let any =
        |of: &dyn Fn(&super::numbers::Number) -> bool| cells.iter().flat_map(|cell| &cell.numbers).any(of);
    let mut told = Vec::new();
    if any(&|number| number.what.statistic() == Statistic::Mean) {
        told.push(lang.pick("means: ratio of the means", "均值：均值之比"));
    }
    if any(&|number| number.what.statistic().percentile().is_some()) {
        told.push(lang.pick("percentiles: shift of the percentile", "百分位：百分位的移动"));
    }
    let line = told.join(lang.pick("; ", "；"));
    if line.is_empty() { Vec::new() } else { vec![line] }
}

/// One sentence of what came out, and what would tell more.
pub fn conclusion(cells: &[Cell], outcome: &Outcome, wanted: &Comparison) -> Vec<String> {
    let lang = wanted.lang;
    let mut lines = vec![headline(outcome, cells, lang)];
    lines.extend(variance(outcome, lang));
    if let Some(more) = most_needed(outcome).filter(|_| outcome.headline == Word::Unclear) {
        let more = table::more(more, lang);
        lines.push(say(
            lang,
            format!("To tell every row takes about {more} more on each side; --plan says how long for each."),
            format!("要判断每一行，每侧约需再运行 {more}；--plan 给出每一行所需时长。"),
        ));
    }
    if let Some(why) = outcome.only_runs {
        lines.push(only_runs(why, lang));
    }
    lines
}

/// What the row takes that takes most.
fn most_needed(outcome: &Outcome) -> Option<More> {
    let unclear = outcome.rows.iter().filter(|row| row.word == Word::Unclear && !row.fixed_by_arrivals);
    let size = |more: &More| match more {
        More::Seconds(seconds) => *seconds,
        More::Runs(runs) => *runs as f64,
    };
    unclear.filter_map(|row| row.more).max_by(|a, b| size(a).total_cmp(&size(b)))
}

fn headline(outcome: &Outcome, cells: &[Cell], lang: Lang) -> String {
    let about_servers = outcome.only_runs.is_none();
    let named = |word: Word| table::named(outcome, word, 4, lang);
    let both = outcome.with(Word::Worse).next().is_some() && outcome.with(Word::Better).next().is_some();
    let design = cells.iter().find_map(|cell| cell.design.map(|design| (design, cell.runs)));
    let by = match (design, about_servers) {
        (Some((design, runs)), true) => by_design(design, runs, lang),
        _ => String::new(),
    };
    match (outcome.headline, about_servers) {
        (Word::Worse | Word::Better, true) => {
            let word = outcome.headline;
            let rest = if both {
                format!("{}{}", lang.pick("; better: ", "；更好："), named(Word::Better))
            } else {
                String::new()
            };
            let (text, rows) = (word.text(lang), named(word));
            say(
                lang,
                format!("The server of B is {text}{by}: {rows}{rest}."),
                format!("结论：B 的服务器{text}{by}：{rows}{rest}。"),
            )
        }
        (Word::Worse | Word::Better, false) => {
            let told = |word: Word| {
                let rows = named(word);
                (!rows.is_empty()).then(|| format!("{}{}{rows}", word.text(lang), lang.colon()))
            };
            let told: Vec<String> = [Word::Worse, Word::Better].into_iter().filter_map(told).collect();
            let told = told.join(lang.pick("; ", "；"));
            say(lang, format!("These two runs differ: B is {told}."), format!("这两个运行有差异：B {told}。"))
        }
        (Word::Same, true) => say(
            lang,
            format!("The servers are the same within the margins{by}."),
            format!("两个服务器在容差内相同{by}。"),
        ),
        (Word::Same, false) => say(
            lang,
            "These two runs are the same within the margins.".into(),
            "这两个运行在容差内相同。".into(),
        ),
        (Word::Unclear, _) => {
            let (same, all) = (outcome.with(Word::Same).count(), outcome.rows.len());
            let open: Vec<String> = outcome
                .with(Word::Unclear)
                .filter(|row| !row.fixed_by_arrivals)
                .map(|row| row.what.head(lang))
                .collect();
            let open = open.join(lang.pick(", ", "，"));
            say(
                lang,
                format!(
                    "Unclear: {same} of {all} rows are the same within the margins; these cannot be told: {open}."
                ),
                format!("不明：{all} 行中 {same} 行在容差内相同，以下无法判断：{open}。"),
            )
        }
    }
}

fn by_design(design: Design, [a, b]: [usize; 2], lang: Lang) -> String {
    match design {
        Design::Rounds => say(lang, format!(" (by {a} rounds in turn)"), format!("（交替 {a} 轮）")),
        Design::Restarts => {
            say(lang, format!(" (by {a} and {b} restarts)"), format!("（重启 {a} 与 {b} 次）"))
        }
        Design::History => {
            say(lang, format!(" (against the last {a} runs)"), format!("（对比最近 {a} 个运行）"))
        }
    }
}

/// How much runs vary from one to the next beside requests within them, of the first row that knows both.
fn variance(outcome: &Outcome, lang: Lang) -> Option<String> {
    outcome.rows.iter().find_map(|row| {
        let between = row.change.ok()?.log_ratio?.as_share();
        let within = row.within?.log_ratio?.as_share();
        let half = |span: &crate::stats::versus::change::Span| (span.high - span.low) * 50.0;
        let (what, b, w) = (row.what.head(lang), half(&between), half(&within));
        Some(say(
            lang,
            format!("{what}: ±{b:.2} % from run to run, ±{w:.2} % by chance within the runs."),
            format!("{what}：运行之间 ±{b:.2} %，运行之内 ±{w:.2} %。"),
        ))
    })
}

fn only_runs(why: OnlyRuns, lang: Lang) -> String {
    match why {
        OnlyRuns::Few => say(lang,
            "That says nothing of the servers yet: restarts, placement and clocks vary more than requests do. A verdict takes at least three rounds in turn (A B A B A B): rampant compare --a A1 A2 A3 --b B1 B2 B3; or --history with three earlier runs as A.".into(),
            "这还不能说明服务器本身：重启、部署位置与时钟的变化大于请求之间的变化。结论至少需要三轮交替运行（A B A B A B）：rampant compare --a A1 A2 A3 --b B1 B2 B3；或用 --history 并以三个较早的运行作为 A。".into()),
        OnlyRuns::NotInterleaved => say(lang,
            "That says nothing of the servers yet: one side ran after the other, so that whatever drifted is in the difference. Let them take turns (A B A B A B), or say --restarted where each run had a fresh server.".into(),
            "这还不能说明服务器本身：两侧先后运行，期间的漂移也在差异之中。请交替运行（A B A B A B）；若每个运行都用新启动的服务器，请加 --restarted。".into()),
        OnlyRuns::OtherTraffic => say(lang,
            "That says nothing of the servers: the sides were not asked the same.".into(),
            "这不能说明服务器本身：两侧的请求不同。".into()),
    }
}

pub fn gate_fails(outcome: &Outcome, lang: Lang) -> String {
    let rows = table::named(outcome, Word::Worse, 3, lang);
    let rows = if rows.is_empty() { String::new() } else { format!("{}{rows}", lang.colon()) };
    say(lang, format!("B is worse{rows}"), format!("B 更差{rows}"))
}

pub fn gate_undecided(outcome: &Outcome, lang: Lang) -> String {
    match outcome.only_runs {
        Some(OnlyRuns::OtherTraffic) => say(
            lang,
            "undecided: the sides were not asked the same".into(),
            "无法判定：两侧的请求不同".into(),
        ),
        Some(_) => say(
            lang,
            "undecided: a verdict about a server takes at least three rounds in turn of each side".into(),
            "无法判定：对服务器下结论至少需要每侧三轮交替运行".into(),
        ),
        None => say(lang, "undecided: the intervals are too wide".into(), "无法判定：区间过宽".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_verdict_are_told_together() {
        let of = |second: bool, run: &str, verdict: &str| (second, run.to_string(), verdict.to_string());
        let told = doubts(
            &[of(false, "a", "client_bound"), of(false, "b", "client_bound"), of(true, "c", "recovered")],
            Lang::English,
        );
        assert_eq!(
            told,
            ["2 runs of A are not valid: client_bound", "run \"c\" of B is cut off: the process was killed"]
        );
    }
}
