//! What a run says of itself, for people: one sentence of advice for each doubt, and a few
//! lines of what was measured.

use super::report::Report;
use super::trend::Trend;
use super::verdict::{Doubt, Evidence};
use super::words::{fixed, grouped, span};
use crate::lang::Lang;

impl Doubt {
    /// What is wrong and what to do about it, in one sentence.
    pub fn text(&self, lang: Lang) -> String {
        match lang {
            Lang::English => self.english(),
            Lang::Chinese => self.chinese(),
        }
    }

    fn english(&self) -> String {
        match self {
            Doubt::ReadLate { typical, ms } => {
                let who = if *typical { "half of the replies" } else { "one reply in a hundred" };
                format!(
                    "{who} lay {} or more in the kernel before the client read on: free CPU for it, or run it on another machine",
                    span(*ms)
                )
            }
            Doubt::WaitedForCore { share } => format!(
                "a sending thread was without a core for {} of the run, longer than the client ran: stop other load on this machine, or keep a core free for it",
                percent(*share)
            ),
            Doubt::CpuFull { share, cores } => format!(
                "the client used {} of its {}: give it more cores, or less to send",
                percent(*share),
                counted(*cores, "core")
            ),
            Doubt::CoresTaken { share } => format!(
                "other programs used {} of the cores that the client may use, and none was free: stop them, or give the client cores of its own (name programs of the server's path, such as a gateway, with --server-process)",
                percent(*share)
            ),
            Doubt::Throttled { share } => format!(
                "the CPU limit of the container stopped the client for {} of the run: raise the limit",
                percent(*share)
            ),
            Doubt::Stolen { share } => format!(
                "the hypervisor gave {} of this machine's time to others: use a machine of its own",
                percent(*share)
            ),
            Doubt::Paused { longest_ms, share } => format!(
                "the client stood still for {} at once, {} of the run in all: find what stops it, such as a full machine, a debugger or a suspended VM",
                span(*longest_ms),
                percent(*share)
            ),
            Doubt::HandedOverLate { share } => format!(
                "finished requests waited {} of the run to be collected: give the client more cores, or a faster disk for results",
                percent(*share)
            ),
            Doubt::Rate { scheduled, sent, capped: true } => format!(
                "{} of the {} requests/s of the schedule were sent, max_in_flight kept the rest waiting: raise max_in_flight (--max-concurrency), or ask for less than the server can carry",
                fixed(*sent, 2),
                fixed(*scheduled, 2)
            ),
            Doubt::Rate { scheduled, sent, .. } => format!(
                "{} of the {} requests/s of the schedule were sent: ask for less, or send from more cores",
                fixed(*sent, 2),
                fixed(*scheduled, 2)
            ),
            Doubt::SentLate { ms, gap_ms } => format!(
                "requests left {} and more after their time, with {} between two: free CPU for the client, or ask for a lower rate",
                span(*ms),
                span(*gap_ms)
            ),
            Doubt::Places { asked, mean, failed: failed @ 2.. } => format!(
                "{} of {} requests were in flight on average, since users rest after requests that fail at once, and {} failed: look into those first",
                fixed(*mean, 2),
                grouped(*asked as u64),
                grouped(*failed)
            ),
            Doubt::Places { asked, mean, .. } => format!(
                "{} of {} requests were in flight on average: they are short against the time between them, so ask for more at a time (users, max_in_flight, --max-concurrency) or for longer replies",
                fixed(*mean, 2),
                grouped(*asked as u64)
            ),
            Doubt::Unreached { share } => format!(
                "{} of the requests could not open a connection: check the address, the server's backlog and the limits of a proxy",
                percent(*share)
            ),
            Doubt::Retransmits { share } => format!(
                "TCP sent parts of {} of the requests again: look for loss between client and server, or measure from nearer",
                percent(*share)
            ),
            Doubt::OutOfOrder { share } => format!(
                "parts of {} of the replies came out of order, as they do behind lost ones: look for loss between server and client",
                percent(*share)
            ),
            Doubt::Jitter { ms } => format!(
                "the shortest round trips of connections differ by {}: make all of them take the same way, or measure from nearer",
                span(*ms)
            ),
            Doubt::Latency(trend) => format!(
                "the latency went from {} to {} over the run: {}",
                span(trend.from.max(0.0)),
                span(trend.to.max(0.0)),
                steady_english(trend)
            ),
            Doubt::Gaps(trend) => format!(
                "the gap between events went from {} to {} over the run: {}",
                span(trend.from.max(0.0)),
                span(trend.to.max(0.0)),
                steady_english(trend)
            ),
            Doubt::InFlight(trend) => format!(
                "the requests in flight went from {} to {} over the run: {}",
                fixed(trend.from.max(0.0), 1),
                fixed(trend.to.max(0.0), 1),
                steady_english(trend)
            ),
            Doubt::Cached { share, wanted, counters } => format!(
                "the server answered {} of the input from its cache{} where the workload shares {} at most: use fresh prompts, or switch its prefix cache off",
                percent(*share),
                if *counters { " (by its own counters)" } else { "" },
                percent(*wanted)
            ),
            Doubt::RandomWords { accepted } => format!(
                "the server drafts tokens (speculative decoding) and the prompts are random words{}: use prompts that people wrote (--dataset-name, --dataset-path)",
                accepted.map_or(String::new(), |share| format!(", of which it accepted {}", percent(share)))
            ),
            Doubt::Few { succeeded, needed } => format!(
                "{} succeeded where this load needs {}: send more",
                counted(*succeeded as usize, "request"),
                grouped(*needed)
            ),
            Doubt::Unsupported { condition, succeeded } => {
                format!("{} cannot decide {condition}: send more", counted(*succeeded as usize, "request"))
            }
            Doubt::Kept { reason, .. } => reason.clone(),
        }
    }

    fn chinese(&self) -> String {
        match self {
            Doubt::ReadLate { typical, ms } => {
                let who = if *typical { "一半的回复" } else { "百分之一的回复" };
                format!(
                    "{who}到达内核 {} 之后才被客户端读取：请为客户端留出 CPU，或换一台机器运行",
                    span(*ms)
                )
            }
            Doubt::WaitedForCore { share } => {
                format!(
                    "发送线程有 {} 的时间等不到 CPU 核：请停止本机其他负载，或为客户端保留一个核",
                    percent(*share)
                )
            }
            Doubt::CpuFull { share, cores } => {
                format!("客户端用掉了 {cores} 个核的 {}：请增加核数，或减小负载", percent(*share))
            }
            Doubt::CoresTaken { share } => format!(
                "其他程序占用了客户端可用核的 {}，没有空闲的核：请停掉它们，或给客户端独占的核（属于服务路径的程序，如网关，可用 --server-process 指明）",
                percent(*share)
            ),
            Doubt::Throttled { share } => {
                format!("容器的 CPU 限额使客户端停顿了 {} 的时间：请提高限额", percent(*share))
            }
            Doubt::Stolen { share } => {
                format!("虚拟机监控器把本机 {} 的时间给了别人：请使用独占的机器", percent(*share))
            }
            Doubt::Paused { longest_ms, share } => format!(
                "客户端一次停住 {}，共占 {} 的时间：请查明原因，例如机器过载、调试器或虚拟机挂起",
                span(*longest_ms),
                percent(*share)
            ),
            Doubt::HandedOverLate { share } => {
                format!("已完成的请求有 {} 的时间在等待收集：请增加核数，或换更快的磁盘", percent(*share))
            }
            Doubt::Rate { scheduled, sent, capped } => {
                let advice = if *capped {
                    "，其余在 max_in_flight（--max-concurrency）处等待：请提高它，或降低速率"
                } else {
                    "：请降低速率，或用更多的核发送"
                };
                format!("计划 {} 请求/s，实际发送 {}{advice}", fixed(*scheduled, 2), fixed(*sent, 2))
            }
            Doubt::SentLate { ms, gap_ms } => format!(
                "请求比计划晚 {} 以上发出，而平均间隔为 {}：请为客户端留出 CPU，或降低速率",
                span(*ms),
                span(*gap_ms)
            ),
            Doubt::Places { asked, mean, failed: failed @ 2.. } => format!(
                "并发数为 {}，平均在途请求只有 {} 个，因为用户在请求立即失败后会暂停，而有 {} 个请求失败：请先查看失败原因",
                grouped(*asked as u64),
                fixed(*mean, 2),
                grouped(*failed)
            ),
            Doubt::Places { asked, mean, .. } => format!(
                "并发数为 {}，平均在途请求只有 {} 个：请求相对于间隔太短，请增加并发（用户数、max_in_flight、--max-concurrency）或加长回复",
                grouped(*asked as u64),
                fixed(*mean, 2)
            ),
            Doubt::Unreached { share } => {
                format!("{} 的请求无法建立连接：请检查地址、服务器的连接队列和代理的限制", percent(*share))
            }
            Doubt::Retransmits { share } => {
                format!("{} 的请求被 TCP 重传：请检查客户端到服务器的丢包，或从更近处测量", percent(*share))
            }
            Doubt::OutOfOrder { share } => {
                format!(
                    "{} 的回复有乱序到达的部分，通常意味着丢包：请检查服务器到客户端的网络",
                    percent(*share)
                )
            }
            Doubt::Jitter { ms } => {
                format!("各连接的最短往返时间相差 {}：请让连接走同一路径，或从更近处测量", span(*ms))
            }
            Doubt::Latency(trend) => format!(
                "延迟在运行中从 {} 变为 {}：{}",
                span(trend.from.max(0.0)),
                span(trend.to.max(0.0)),
                steady_chinese(trend)
            ),
            Doubt::Gaps(trend) => format!(
                "事件间隔在运行中从 {} 变为 {}：{}",
                span(trend.from.max(0.0)),
                span(trend.to.max(0.0)),
                steady_chinese(trend)
            ),
            Doubt::InFlight(trend) => format!(
                "进行中的请求数从 {} 变为 {}：{}",
                fixed(trend.from.max(0.0), 1),
                fixed(trend.to.max(0.0), 1),
                steady_chinese(trend)
            ),
            Doubt::RandomWords { accepted } => format!(
                "服务器使用投机解码，而提示是随机词{}：请使用真实文本（--dataset-name、--dataset-path）",
                accepted.map_or(String::new(), |share| format!("，草稿接受率 {}", percent(share)))
            ),
            Doubt::Cached { share, wanted, counters } => format!(
                "服务器用缓存回答了 {} 的输入{}，而工作负载最多共享 {}：请使用新的提示，或关闭前缀缓存",
                percent(*share),
                if *counters { "（服务器自己的计数）" } else { "" },
                percent(*wanted)
            ),
            Doubt::Few { succeeded, needed } => {
                format!(
                    "成功 {} 个请求，而该负载至少需要 {}：请增加请求数",
                    grouped(*succeeded),
                    grouped(*needed)
                )
            }
            Doubt::Unsupported { condition, succeeded } => {
                format!("{} 个请求不足以判断 {condition}：请增加请求数", grouped(*succeeded))
            }
            Doubt::Kept { reason, .. } => reason.clone(),
        }
    }
}

fn steady_english(trend: &Trend) -> &'static str {
    if trend.to > trend.from {
        "send less than the server can carry, or look at it over time instead of as one level"
    } else {
        "add a warm-up, or look at it over time instead of as one level"
    }
}

fn steady_chinese(trend: &Trend) -> &'static str {
    if trend.to > trend.from {
        "请把负载降到服务器能承受的水平，或按时间查看"
    } else {
        "请增加预热，或按时间查看"
    }
}

fn percent(share: f64) -> String {
    format!("{} %", fixed(share * 100.0, 1))
}

fn counted(n: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(n as u64), if n == 1 { "" } else { "s" })
}

impl Report {
    /// What was measured, one subject a line; what is as it should be is left out where it can
    /// be.
    pub(super) fn rows(&self, lang: Lang) -> Vec<[String; 2]> {
        let words = if lang == Lang::English { &ENGLISH } else { &CHINESE };
        let evidence = &self.evidence;
        let rows = [
            (words.sent, sent(evidence, words)),
            (words.read, read(evidence, words)),
            (words.client, client(evidence, words)),
            (words.network, network(evidence, words)),
        ];
        let comma = if lang == Lang::English { ", " } else { "，" };
        let filled = rows.into_iter().filter(|(_, parts)| !parts.is_empty());
        filled.map(|(label, parts)| [label.to_string(), parts.join(comma)]).collect()
    }
}

/// Words of the lines; `{}` is where the numbers go.
struct Words {
    sent: &'static str,
    read: &'static str,
    client: &'static str,
    network: &'static str,
    rate: [&'static str; 2],
    /// Behind a rate that was drawn at random.
    drawn: &'static str,
    places: [&'static str; 2],
    late: &'static str,
    lag: &'static str,
    shared: &'static str,
    cpu: [&'static str; 2],
    busy: &'static str,
    waited: &'static str,
    pause: &'static str,
    stolen: &'static str,
    throttled: &'static str,
    steps: &'static str,
    handing_over: &'static str,
    writer: &'static str,
    reconnects: &'static str,
    outlasted: &'static str,
    unclosed: &'static str,
    retransmits: &'static str,
    out_of_order: &'static str,
    rtt: &'static str,
}

const ENGLISH: Words = Words {
    sent: "sent",
    read: "read",
    client: "client",
    network: "network",
    rate: ["requests/s", "of"],
    drawn: " (drawn at random for {})",
    places: ["in flight", "of"],
    late: "late p50/p99/max",
    lag: "late p50/p99",
    shared: "events that share a read",
    cpu: ["CPU", "cores"],
    busy: "cores busy",
    waited: "without a core",
    pause: "longest pause",
    stolen: "steal",
    throttled: "throttled",
    steps: "clock steps",
    handing_over: "waiting for the collector",
    writer: "waiting for the disk",
    reconnects: "reconnects",
    outlasted: "requests that waited for the server to come back",
    unclosed: "whole replies whose body had no end",
    retransmits: "requests with retransmits",
    out_of_order: "replies out of order",
    rtt: "shortest round trip p10/p90",
};

const CHINESE: Words = Words {
    sent: "发送",
    read: "读取",
    client: "客户端",
    network: "网络",
    rate: ["请求/s", "/"],
    drawn: "（按 {} 随机抽取）",
    places: ["进行中", "/"],
    late: "滞后 p50/p99/最大",
    lag: "滞后 p50/p99",
    shared: "同一次读取的事件",
    cpu: ["CPU", "核"],
    busy: "核总占用",
    waited: "等待 CPU",
    pause: "最长停顿",
    stolen: "被虚拟机占用",
    throttled: "被限额停顿",
    steps: "时钟跳变",
    handing_over: "等待收集",
    writer: "等待磁盘",
    reconnects: "重连",
    outlasted: "等待服务器恢复的请求",
    unclosed: "内容完整但响应体没有结尾的回复",
    retransmits: "有重传的请求",
    out_of_order: "乱序的回复",
    rtt: "最短往返 p10/p90",
};

fn sent(evidence: &Evidence, words: &Words) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some((scheduled, sent)) = evidence.rates {
        let [unit, of] = words.rate;
        let drawn = evidence.asked_rate.filter(|asked| fixed(*asked, 2) != fixed(scheduled, 2));
        let drawn = drawn.map_or(String::new(), |asked| words.drawn.replace("{}", &fixed(asked, 2)));
        parts.push(format!("{} {of} {} {unit}{drawn}", fixed(sent, 2), fixed(scheduled, 2)));
    }
    if let Some((places, mean)) = evidence.places {
        let [unit, of] = words.places;
        parts.push(format!("{} {of} {} {unit}", fixed(mean, 2), grouped(places as u64)));
    }
    if let Some((p50, high, max)) = evidence.lateness_ms {
        parts.push(format!("{} {} / {} / {}", words.late, span(p50), span(high), span(max)));
    }
    parts
}

fn read(evidence: &Evidence, words: &Words) -> Vec<String> {
    let lag = evidence.lag_ms.map(|(p50, high)| format!("{} {} / {}", words.lag, span(p50), span(high)));
    let shared = evidence.shared_events.map(|share| format!("{} {}", words.shared, percent(share)));
    lag.into_iter().chain(shared).collect()
}

fn client(evidence: &Evidence, words: &Words) -> Vec<String> {
    let [name, cores] = words.cpu;
    let mut parts = Vec::new();
    if let Some(share) = evidence.cpu {
        parts.push(format!("{name} {} ({} {cores})", percent(share), evidence.cores));
    }
    let mut share = |name: &str, share: Option<f64>, always: bool| {
        let shown = share.filter(|share| always || *share > 0.0);
        parts.extend(shown.map(|share| format!("{name} {}", percent(share))));
    };
    share(words.busy, evidence.busy, true);
    share(words.waited, evidence.waited, true);
    share(words.stolen, evidence.stolen, false);
    share(words.throttled, evidence.throttled, false);
    parts.push(format!("{} {}", words.pause, span(evidence.longest_pause_ms)));
    if evidence.clock_steps > 0 {
        let largest = span(evidence.largest_step_ms);
        parts.push(format!("{} {} ({largest})", words.steps, evidence.clock_steps));
    }
    for (name, ms) in
        [(words.handing_over, evidence.handing_over_ms), (words.writer, evidence.writer_blocked_ms)]
    {
        if ms >= 1.0 {
            parts.push(format!("{name} {}", span(ms)));
        }
    }
    parts
}

fn network(evidence: &Evidence, words: &Words) -> Vec<String> {
    let mut parts = vec![format!("{} {}", words.reconnects, grouped(evidence.reconnects))];
    for (name, count) in [(words.outlasted, evidence.outlasted), (words.unclosed, evidence.unclosed)] {
        if count > 0 {
            parts.push(format!("{name} {}", grouped(count)));
        }
    }
    if let Some(share) = evidence.retransmits {
        parts.push(format!("{} {}", words.retransmits, percent(share)));
    }
    if let Some(share) = evidence.out_of_order.filter(|share| *share > 0.0) {
        parts.push(format!("{} {}", words.out_of_order, percent(share)));
    }
    if let Some((low, high)) = evidence.rtt_us {
        parts.push(format!("{} {} / {}", words.rtt, span(low / 1e3), span(high / 1e3)));
    }
    parts
}
