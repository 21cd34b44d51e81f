//! Tables as they are seen.

use super::super::fixture::{FixtureReply, reply};
use super::super::sample::Sample;
use super::super::{Condition, Limit, Slo, Window};
use super::*;
use crate::record::{EventKind, Outcome};

fn summary(slo: Option<Slo>, open: bool, replies: impl IntoIterator<Item = FixtureReply>) -> Summary {
    let mut summary = Summary::new(Window::UNKNOWN, slo, open);
    replies.into_iter().for_each(|reply| summary.add(&reply.record()));
    summary
}

/// 40 requests of an open loop with every kind of row: two failures, an SLO, reasoning,
/// cached tokens, stalls, one reply that is too short.
fn full() -> Summary {
    let slo = Slo {
        limits: vec![Limit::parse("ttft", "60ms").unwrap()],
        overall: vec![
            Condition::parse("errors.share < 1%").unwrap(),
            Condition::parse("e2el.p99 < 1s").unwrap(),
        ],
        from_sent: false,
    };
    let good = (0..38_u32).map(|i| {
        let first = 30 + i;
        reply(u64::from(i), i64::from(i) * 100)
            .waited(i64::from(i % 4))
            .event(first, EventKind::REASONING, 0)
            .tokens_at(&[first + 10, first + 20, first + 20 + if i == 5 { 90 } else { 11 }])
            .asked(1_024, 4)
            .usage(1_025, if i == 7 { 3 } else { 4 })
            .cached(i % 2 * 100)
    });
    let bad = [
        reply(40, 100).times_out(60_000),
        reply(41, 120).tokens_at(&[50]).fails(
            Outcome::ServerError,
            "out of\nmemory: a server may have quite a lot to say about what went wrong, and all of it is shown",
        ),
    ];
    summary(Some(slo), true, good.chain(bad))
}

/// One reply with its tokens, and one that was not streamed.
fn small() -> Summary {
    let streamed = reply(0, 0).tokens_at(&[10, 20]).usage(5, 2);
    summary(None, false, [streamed, reply(1, 5).not_streamed(80)])
}

fn empty() -> Summary {
    summary(None, false, [])
}

#[test]
fn the_kind_of_load_is_told_where_it_is_not_what_people_ask() {
    let line = |forced: u64, synthetic: u64, lang: Lang| {
        let replies = (0..4).map(|i| reply(i, 0).tokens_at(&[10, 20]).load(i < forced, i < synthetic));
        let summary = summary(None, false, replies);
        assert_eq!(summary.value("forced_length.share"), Ok(Some(forced as f64 / 4.0)));
        assert_eq!(summary.value("synthetic_text.count"), Ok(Some(synthetic as f64)));
        let table = table(&summary, None, false, lang);
        let line = table.lines().find(|line| line.contains(lang.words().load));
        line.and_then(|line| line.split('│').nth(2)).unwrap_or_default().trim().to_string()
    };
    assert_eq!(line(0, 0, Lang::English), "");
    assert_eq!(line(4, 4, Lang::English), "random words, replies of forced length");
    assert_eq!(line(0, 4, Lang::English), "random words");
    assert_eq!(line(1, 0, Lang::English), "replies of forced length (1 of 4 requests)");
    assert_eq!(line(4, 2, Lang::Chinese), "随机词（2 / 4 请求），回复长度被强制");
}

const ENGLISH: &str = r"io1024x4_poisson10
┌────────────────────────┬────────────────────────────────────────────────────┐
│ requests               │ 40 total, 38 succeeded, 2 failed (5.00 %)          │
│   server_error         │ 1, such as: out of memory: a server may have quite │
│                        │ a lot to say about what went wrong, and all of it  │
│                        │ is shown                                           │
│   timeout_total        │ 1, such as: no end of the reply in time            │
│ duration               │ 60.10 s                                            │
│ request throughput     │ 0.63 requests/s                                    │
│ output throughput      │ 2.51 tokens/s, at most 40 in one second            │
│ total token throughput │ 650.60 tokens/s                                    │
│ concurrency            │ mean 1.05, max 3                                   │
│ input tokens           │ 38,950 (mean 1,025.0), asked 1,024: 38 differ,     │
│                        │ +1.0 on average                                    │
│ output tokens          │ 151 (mean 4.0), from usage                         │
│ output length          │ 37 of 38 replies had the asked 4 tokens            │
│ cached input tokens    │ 1,900 (4.88 % of input), uncached 616.47 tokens/s  │
│ wasted output tokens   │ 1                                                  │
│ stalls                 │ 1, longest 90 ms, 90 ms together                   │
│ goodput                │ 0.50 requests/s, 75.00 % of all requests (ttft <=  │
│                        │ 60 ms)                                             │
│ condition              │ errors.share < 1%: fails, 5.00 %, no interval      │
│ condition              │ e2el.p99 < 1s: fails, response_e2el.p99 > 60 s     │
│                        │ with failures counted, too few values (38)         │
└────────────────────────┴────────────────────────────────────────────────────┘
┌─────────────────┬───────┬────────┬───────┬───────┬─────────┬────────┬───────┐
│ latency (ms)    │  mean │ median │   std │   p90 │     p99 │    max │ count │
├─────────────────┼───────┼────────┼───────┼───────┼─────────┼────────┼───────┤
│ ttft            │ 48.50 │  48.50 │ 10.97 │ 63.30 │  ~66.63 │  67.00 │    38 │
│   ± 95%         │  ±18% │   ±33% │       │     ? │       ? │        │       │
│   with failures │       │  49.50 │       │ 65.10 │  > 60 s │ > 60 s │    40 │
│ ttfo            │ 58.50 │  58.50 │ 10.97 │ 73.30 │  ~76.63 │  77.00 │    38 │
│   ± 95%         │  ±15% │   ±27% │       │     ? │       ? │        │       │
│   with failures │       │  59.50 │       │ 75.10 │  > 60 s │ > 60 s │    40 │
│ itl             │ 11.03 │  10.00 │  7.44 │ 11.00 │   11.00 │  90.00 │   114 │
│   ± 95%         │  ±44% │     ±0 │       │    ±0 │       ? │        │       │
│ tpot            │ 11.16 │  10.33 │  4.27 │ 10.33 │  ~28.84 │  36.67 │    38 │
│   ± 95%         │  ±47% │     ±0 │       │     ? │       ? │        │       │
│ e2el            │ 81.58 │  80.50 │ 14.97 │ 95.30 │ ~127.61 │ 145.00 │    38 │
│   ± 95%         │  ±19% │   ±20% │       │     ? │       ? │        │       │
│   with failures │       │  81.50 │       │ 97.10 │  > 60 s │ > 60 s │    40 │
│ response_ttft   │ 49.95 │  50.00 │ 11.05 │ 64.60 │  ~68.00 │  68.00 │    38 │
│   ± 95%         │  ±17% │   ±32% │       │     ? │       ? │        │       │
│   with failures │       │  51.00 │       │ 66.20 │  > 60 s │ > 60 s │    40 │
│ response_e2el   │ 83.03 │  82.00 │ 14.96 │ 97.00 │ ~128.61 │ 146.00 │    38 │
│   ± 95%         │  ±17% │   ±18% │       │     ? │       ? │        │       │
│   with failures │       │  83.00 │       │ 99.00 │  > 60 s │ > 60 s │    40 │
│ queue_delay     │ 1.375 │  1.000 │ 1.133 │ 3.000 │  ~3.000 │  3.000 │    40 │
│ lateness        │ 0.000 │  0.000 │ 0.000 │ 0.000 │  ~0.000 │  0.000 │    40 │
└─────────────────┴───────┴────────┴───────┴───────┴─────────┴────────┴───────┘
~ too few values for this percentile (p90 needs 10, p99 needs 100)
with failures: each failed request counts as longer than every success
? too few values: cannot tell, needs about 99 s more";

const CHINESE: &str = r"io1024x4_poisson10
┌──────────────────────┬────────────────────────────────────────────────────┐
│ 请求                 │ 共 40，成功 38，失败 2 (5.00 %)                    │
│   server_error       │ 1，例如：out of memory: a server may have quite a  │
│                      │ lot to say about what went wrong, and all of it is │
│                      │ shown                                              │
│   timeout_total      │ 1，例如：no end of the reply in time               │
│ 持续时间             │ 60.10 s                                            │
│ 请求吞吐量           │ 0.63 请求/s                                        │
│ 输出吞吐量           │ 2.51 令牌/s，1 秒内最多 40                         │
│ 总令牌吞吐量         │ 650.60 令牌/s                                      │
│ 并发数               │ 平均 1.05，最大 3                                  │
│ 总输入令牌数         │ 38,950（平均 1,025.0），要求 1,024：38 个不符，平  │
│                      │ 均差 +1.0                                          │
│ 总输出令牌数         │ 151（平均 4.0），服务器 usage                      │
│ 输出长度             │ 38 个回复中 37 个达到要求的 4 令牌                 │
│ 缓存命中令牌数       │ 1,900（占输入 4.88 %），未命中 616.47 令牌/s       │
│ 失败请求的输出令牌数 │ 1                                                  │
│ 停顿                 │ 1 次，最长 90 ms，共 90 ms                         │
│ 请求有效吞吐量       │ 0.50 请求/s，占全部请求 75.00 %（ttft <= 60 ms）   │
│ 条件                 │ errors.share < 1%：不满足，5.00 %，没有区间        │
│ 条件                 │ e2el.p99 < 1s：不满足，response_e2el.p99 > 60 s    │
│                      │ （计入失败请求），样本不足 (38)                    │
└──────────────────────┴────────────────────────────────────────────────────┘
┌────────────────┬───────┬───────┬────────┬───────┬─────────┬────────┬──────┐
│ 延迟(ms)       │  平均 │  中位 │ 标准差 │   p90 │     p99 │   最大 │ 数量 │
├────────────────┼───────┼───────┼────────┼───────┼─────────┼────────┼──────┤
│ 首令牌 ttft    │ 48.50 │ 48.50 │  10.97 │ 63.30 │  ~66.63 │  67.00 │   38 │
│   ± 95%        │  ±18% │  ±33% │        │     ? │       ? │        │      │
│   计入失败请求 │       │ 49.50 │        │ 65.10 │  > 60 s │ > 60 s │   40 │
│ 首正文 ttfo    │ 58.50 │ 58.50 │  10.97 │ 73.30 │  ~76.63 │  77.00 │   38 │
│   ± 95%        │  ±15% │  ±27% │        │     ? │       ? │        │      │
│   计入失败请求 │       │ 59.50 │        │ 75.10 │  > 60 s │ > 60 s │   40 │
│ 令牌间 itl     │ 11.03 │ 10.00 │   7.44 │ 11.00 │   11.00 │  90.00 │  114 │
│   ± 95%        │  ±44% │    ±0 │        │    ±0 │       ? │        │      │
│ 每令牌 tpot    │ 11.16 │ 10.33 │   4.27 │ 10.33 │  ~28.84 │  36.67 │   38 │
│   ± 95%        │  ±47% │    ±0 │        │     ? │       ? │        │      │
│ 端到端 e2el    │ 81.58 │ 80.50 │  14.97 │ 95.30 │ ~127.61 │ 145.00 │   38 │
│   ± 95%        │  ±19% │  ±20% │        │     ? │       ? │        │      │
│   计入失败请求 │       │ 81.50 │        │ 97.10 │  > 60 s │ > 60 s │   40 │
│ 含等待首令牌   │ 49.95 │ 50.00 │  11.05 │ 64.60 │  ~68.00 │  68.00 │   38 │
│   ± 95%        │  ±17% │  ±32% │        │     ? │       ? │        │      │
│   计入失败请求 │       │ 51.00 │        │ 66.20 │  > 60 s │ > 60 s │   40 │
│ 含等待端到端   │ 83.03 │ 82.00 │  14.96 │ 97.00 │ ~128.61 │ 146.00 │   38 │
│   ± 95%        │  ±17% │  ±18% │        │     ? │       ? │        │      │
│   计入失败请求 │       │ 83.00 │        │ 99.00 │  > 60 s │ > 60 s │   40 │
│ 排队           │ 1.375 │ 1.000 │  1.133 │ 3.000 │  ~3.000 │  3.000 │   40 │
│ 滞后           │ 0.000 │ 0.000 │  0.000 │ 0.000 │  ~0.000 │  0.000 │   40 │
└────────────────┴───────┴───────┴────────┴───────┴─────────┴────────┴──────┘
~ 样本不足以支持该百分位（P90 需要 10 个，P99 需要 100 个）
计入失败请求：每个失败请求视为比所有成功请求更慢
? 样本过少：无法判断，约需再运行 99 s";

const SMALL: &str = r"┌────────────────────────┬─────────────────────────────────────────────────┐
│ requests               │ 2 total, 2 succeeded, 0 failed                  │
│ duration               │ 0.09 s                                          │
│ request throughput     │ 23.53 requests/s                                │
│ output throughput      │ 23.53 tokens/s                                  │
│ total token throughput │ 82.35 tokens/s                                  │
│ concurrency            │ mean 1.18, max 2                                │
│ input tokens           │ 5 (mean 5.0)                                    │
│ output tokens          │ 2 (mean 2.0), 1 from usage, 1 unknown           │
│ output length          │ 0 of 1 reply had the asked 4 tokens             │
└────────────────────────┴─────────────────────────────────────────────────┘
┌──────────────┬───────┬────────┬───────┬────────┬────────┬───────┬────────┐
│ latency (ms) │  mean │ median │   std │    p90 │    p99 │   max │  count │
├──────────────┼───────┼────────┼───────┼────────┼────────┼───────┼────────┤
│ ttft         │ 10.00 │ ~10.00 │  0.00 │ ~10.00 │ ~10.00 │ 10.00 │ 1 of 2 │
│ itl          │ 10.00 │ ~10.00 │  0.00 │ ~10.00 │ ~10.00 │ 10.00 │      1 │
│ tpot         │ 10.00 │ ~10.00 │  0.00 │ ~10.00 │ ~10.00 │ 10.00 │ 1 of 2 │
│ e2el         │ 50.00 │  50.00 │ 30.00 │ ~74.00 │ ~79.40 │ 80.00 │      2 │
│ queue_delay  │ 0.000 │  0.000 │ 0.000 │ ~0.000 │ ~0.000 │ 0.000 │      2 │
│ lateness     │ 0.000 │  0.000 │ 0.000 │ ~0.000 │ ~0.000 │ 0.000 │      2 │
└──────────────┴───────┴────────┴───────┴────────┴────────┴───────┴────────┘
~ too few values for this percentile (p90 needs 10, p99 needs 100)
95 % intervals: too few values: cannot tell, needs about 1 s more";

const EMPTY: &str = r"┌──────────────┬───────────────────────────────────────────────┐
│ 请求         │ 共 0，成功 0，失败 0                          │
│ 持续时间     │ -                                             │
│ 请求吞吐量   │ - 请求/s                                      │
│ 输出吞吐量   │ - 令牌/s                                      │
│ 总令牌吞吐量 │ - 令牌/s                                      │
│ 并发数       │ 平均 -，最大 -                                │
│ 总输入令牌数 │ 0（平均 -）                                   │
│ 总输出令牌数 │ 0（平均 -）                                   │
└──────────────┴───────────────────────────────────────────────┘
┌─────────────┬──────┬──────┬────────┬─────┬─────┬──────┬──────┐
│ 延迟(ms)    │ 平均 │ 中位 │ 标准差 │ p90 │ p99 │ 最大 │ 数量 │
├─────────────┼──────┼──────┼────────┼─────┼─────┼──────┼──────┤
│ 首令牌 ttft │    - │    - │      - │   - │   - │    - │    0 │
│ 令牌间 itl  │    - │    - │      - │   - │   - │    - │    0 │
│ 每令牌 tpot │    - │    - │      - │   - │   - │    - │    0 │
│ 端到端 e2el │    - │    - │      - │   - │   - │    - │    0 │
│ 排队        │    - │    - │      - │   - │   - │    - │    0 │
│ 滞后        │    - │    - │      - │   - │   - │    - │    0 │
└─────────────┴──────┴──────┴────────┴─────┴─────┴──────┴──────┘";

#[test]
fn an_open_loop_with_failures_and_goals_in_english() {
    assert_eq!(full().table_named("io1024x4_poisson10", false, Lang::English), ENGLISH);
}

#[test]
fn seconds_of_latency_fit_80_columns() {
    let slow =
        (0..200).map(|seq| reply(seq, seq as i64 * 100).tokens_at(&[2_012, 12_345, 123_456]).usage(9, 3));
    let summary = summary(None, false, slow);
    for lang in Lang::ALL {
        let told = summary.table(lang);
        assert!(told.lines().all(|line| line.width() <= 80), "{told}");
        assert!(told.contains("2,012") && told.contains("123,456 "), "{told}");
    }
}

#[test]
fn a_table_goes_without_digits_and_spread_before_it_is_wider_than_a_terminal() {
    let replies = (0..600_u64).map(|seq| match seq % 3 {
        0 => reply(seq, seq as i64 * 1_000).times_out(60_000),
        _ => {
            reply(seq, seq as i64 * 1_000).waited(2_345).tokens_at(&[1_012 + seq as u32, 20_500]).usage(9, 2)
        }
    });
    let summary = summary(None, true, replies);
    for lang in Lang::ALL {
        let told = summary.table(lang);
        assert!(told.lines().all(|line| line.width() <= 80), "{told}");
        assert!(told.contains("20,500 "), "{told}");
    }
}

#[test]
fn the_same_in_chinese() {
    assert_eq!(full().table_named("io1024x4_poisson10", false, Lang::Chinese), CHINESE);
}

#[test]
fn counts_tell_how_many_replies_had_a_value() {
    assert_eq!(small().table(Lang::English), SMALL);
}

#[test]
fn a_run_without_requests_has_a_table_of_nulls() {
    assert_eq!(empty().table(Lang::Chinese), EMPTY);
}

#[test]
fn both_halves_are_equally_wide_in_both_languages() {
    for lang in Lang::ALL {
        let table = full().table(lang);
        let mut widths: Vec<usize> = table
            .lines()
            .filter(|line| line.starts_with(['┌', '│', '└', '├']))
            .map(UnicodeWidthStr::width)
            .collect();
        widths.dedup();
        assert_eq!(widths.len(), 1, "{lang:?}: {widths:?}");
    }
}

#[test]
fn a_histogram_is_named_as_one() {
    let mut summary = small();
    summary.samples[Metric::E2el as usize] = Sample::keeping(1);
    summary.add(&reply(2, 0).tokens_at(&[10]).record());
    summary.add(&reply(3, 0).tokens_at(&[10]).record());
    let table = summary.table(Lang::English);
    assert!(table.contains("2 of 4* │"), "{table}");
    assert!(table.contains("\n* percentiles from a histogram of 3 significant digits"));
}

#[test]
fn a_long_error_is_cut() {
    let long = "Q".repeat(500);
    let table = summary(None, false, [reply(0, 0).fails(Outcome::Status, &long)]).table(Lang::English);
    assert_eq!(table.matches('Q').count(), EXAMPLE_MAX);
    assert!(table.contains("Q..."));
}
