//! What a server's own counters say, for people.

use super::names::{Metric, Name, Statistic};
use super::summary::Summary;
use super::words::{fixed, grouped};
use crate::lang::Lang;
use crate::record::{Span, Told};

/// The input tokens that came from the server's prefix cache, by its own counters.
pub(super) fn cached(summary: &Summary, lang: Lang) -> Option<String> {
    let cache = summary.cache_told()?;
    let [part, whole] = [cache.part, cache.whole].map(|n| grouped(n as u64));
    let share = fixed(cache.share()? * 100.0, 2);
    Some(match lang {
        Lang::English => format!("{part} of {whole} ({share} %), by the server's counters"),
        Lang::Chinese => format!("{whole} 中的 {part}（{share} %），来自服务器的计数"),
    })
}

/// The server's own means beside ours, its drafts, and what its counters are worth.
pub(super) fn rows(summary: &Summary, lang: Lang) -> Vec<[String; 2]> {
    let Some(told) = summary.told.as_deref() else { return Vec::new() };
    let comma = if lang == Lang::English { ", " } else { "，" };
    let [means, drafts, counters] = match lang {
        Lang::English => ["server's own means", "accepted drafts", "server's counters"],
        Lang::Chinese => ["服务器自测平均", "草稿接受率", "服务器计数"],
    };
    let all: Vec<String> = Span::ALL.into_iter().filter_map(|span| mean(summary, told, span, lang)).collect();
    let accepted = told.speculates.then(|| told.accepted()).flatten();
    let all = (!all.is_empty()).then(|| all.join(comma));
    let accepted = accepted.map(|share| format!("{} %", fixed(share * 100.0, 1)));
    let worth = worth(told, lang).map(str::to_string);
    let rows = [(means, all), (drafts, accepted), (counters, worth)];
    rows.into_iter().filter_map(|(label, text)| Some([label.to_string(), text?])).collect()
}

/// `ttft 41.20 ms (ours 41.90)`
fn mean(summary: &Summary, told: &Told, span: Span, lang: Lang) -> Option<String> {
    let metric = match span {
        Span::Ttft => Some(Metric::Ttft),
        Span::Itl => Some(Metric::Itl),
        Span::E2el => Some(Metric::E2el),
        Span::Queue | Span::KvTransfer => None,
    };
    let ms = fixed(told.mean(span)?.ms, 2);
    let ours = metric.and_then(|metric| summary.number(Name::new(metric, Statistic::Mean)));
    let ours = ours.map_or(String::new(), |ours| match lang {
        Lang::English => format!(" (ours {})", fixed(ours, 2)),
        Lang::Chinese => format!("（本机 {}）", fixed(ours, 2)),
    });
    Some(format!("{} {ms} ms{ours}", span.name()))
}

/// Why counters cannot be used as they are.
fn worth(told: &Told, lang: Lang) -> Option<&'static str> {
    Some(match (told.jumps, told.restarts, lang) {
        (false, 0, _) => return None,
        (true, _, Lang::English) => {
            "they jump between workers behind a balancer and are not used: name each worker with --metrics-url"
        }
        (true, _, Lang::Chinese) => {
            "计数在负载均衡器后的多个进程之间跳变，未使用：请用 --metrics-url 指明每个进程"
        }
        (false, _, Lang::English) => "they began again at zero during the run, as after a restart",
        (false, _, Lang::Chinese) => "运行中计数重新从零开始，如同服务器重启",
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{all, reply};
    use super::*;
    use crate::record::{Mean, PartOf};

    fn heard(told: Told) -> Summary {
        let mut summary =
            all((0..4).map(|i| reply(i, i as i64 * 100).tokens_at(&[40, 50, 60]).usage(100, 3)));
        summary.hear(told);
        summary
    }

    #[test]
    fn the_means_of_the_server_stand_beside_ours() {
        let mut told = Told::default();
        told.means[Span::Ttft as usize] = Some(Mean { ms: 38.5, count: 4.0 });
        told.means[Span::Queue as usize] = Some(Mean { ms: 0.25, count: 4.0 });
        told.means[Span::KvTransfer as usize] = Some(Mean { ms: 3.0, count: 4.0 });
        let summary = heard(told);
        let text = "ttft 38.50 ms (ours 40.00), queue 0.25 ms, kv_transfer 3.00 ms";
        assert_eq!(rows(&summary, Lang::English), [["server's own means".to_string(), text.to_string()]]);
        assert!(
            summary.table(Lang::Chinese).contains("ttft 38.50 ms（本机 40.00）"),
            "{}",
            summary.table(Lang::Chinese)
        );
        assert!(rows(&heard(Told::default()), Lang::English).is_empty());
    }

    #[test]
    fn what_the_server_tells_has_names() {
        let mut told = Told { cache: Some(PartOf { part: 100.0, whole: 400.0 }), ..Told::default() };
        (told.drafts, told.speculates) = (Some(PartOf { part: 30.0, whole: 100.0 }), true);
        for (i, span) in Span::ALL.into_iter().enumerate() {
            told.means[span as usize] = Some(Mean { ms: 10.0 + i as f64, count: 4.0 });
        }
        let (summary, silent) = (heard(told), heard(Told::default()));
        let names = ["ttft", "itl", "queue", "e2el", "kv_transfer"].map(|span| format!("server_{span}.mean"));
        let rest = ["server_cached_tokens.sum", "server_cached_tokens.share", "spec_acceptance.share"];
        let values = [10.0, 11.0, 12.0, 13.0, 14.0, 100.0, 0.25, 0.3];
        for (name, value) in names.iter().map(String::as_str).chain(rest).zip(values) {
            assert_eq!(summary.value(name), Ok(Some(value)), "{name}");
            assert_eq!(silent.value(name), Ok(None), "{name}");
        }
        assert_eq!(Name::parse("server_ttft.mean").map(Name::column), Ok("server_ttft_ms_mean".into()));
        assert_eq!(Name::parse("spec_acceptance.share").map(Name::column), Ok("spec_acceptance".into()));
        assert!(Name::parse("server_ttft.p99").is_err(), "a server tells its mean alone");
    }

    #[test]
    fn the_cached_line_is_filled_by_counters_unless_they_count_others_as_well() {
        let cache = |part, whole| heard(Told { cache: Some(PartOf { part, whole }), ..Told::default() });
        let summary = cache(100.0, 400.0);
        assert_eq!(
            cached(&summary, Lang::English).unwrap(),
            "100 of 400 (25.00 %), by the server's counters"
        );
        assert!(
            summary.table(Lang::English).contains("cached input tokens"),
            "{}",
            summary.table(Lang::English)
        );
        assert_eq!(cached(&cache(100.0, 9_000.0), Lang::English), None, "somebody else asks the server, too");
        // What the replies say themselves goes first.
        let mut summary = all([reply(0, 0).tokens_at(&[40]).usage(100, 1).cached(7)]);
        summary.hear(Told { cache: Some(PartOf { part: 100.0, whole: 100.0 }), ..Told::default() });
        let table = summary.table(Lang::English);
        assert!(table.contains("7 (7.00 % of input)") && !table.contains("by the server"), "{table}");
    }

    #[test]
    fn counters_that_cannot_be_used_are_told() {
        let text =
            |told| rows(&heard(told), Lang::English).into_iter().map(|[_, text]| text).collect::<String>();
        assert!(text(Told { jumps: true, restarts: 3, ..Told::default() }).contains("--metrics-url"));
        assert!(text(Told { restarts: 1, ..Told::default() }).contains("began again"));
        let drafts = Some(PartOf { part: 30.0, whole: 100.0 });
        assert_eq!(text(Told { speculates: true, drafts, ..Told::default() }), "30.0 %");
    }
}
