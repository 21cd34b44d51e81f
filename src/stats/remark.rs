//! `Remark`: where the load that was delivered is another than the one that was asked for. The
//! numbers are right, but they are those of another load.

use super::counts::{Counts, LengthCheck};
use super::expected_load::ExpectedLoad;
use super::words::{fixed, grouped};
use crate::lang::Lang;

/// Below this share of the asked input tokens, prompts were cut: tokenizers of one text differ
/// by less.
const CUT_SHARE: f64 = 0.8;

/// Above this share, and by more tokens than a chat template has, it is another tokenizer's text.
const LONG_SHARE: f64 = 1.25;
const TEMPLATE_MAX: f64 = 128.0;

/// Replies of an exact length have this share of their tokens at least.
const SHORT_SHARE: f64 = 0.95;

/// What holds streams back does so with most of them; a few are those of an overloaded machine.
const HELD_BACK_SHARE: f64 = 0.5;

/// The same of replies that came as one JSON object, although streams were asked for.
const IN_ONE_PIECE_SHARE: f64 = 0.1;

/// One difference between the load asked for and the load delivered. Lengths are means in tokens.
#[derive(Debug, Clone, PartialEq)]
pub enum Remark {
    PromptsCut {
        asked: f64,
        counted: f64,
    },
    PromptsLong {
        asked: f64,
        counted: f64,
    },
    RepliesShort {
        asked: f64,
        counted: f64,
    },
    /// Replies that have output tokens by their usage and no event with output.
    OutputUnseen {
        replies: u64,
        of: u64,
    },
    /// Streams that came whole at their end.
    StreamHeldBack {
        replies: u64,
        of: u64,
    },
    /// Replies in one piece, although streams were asked for.
    NotStreamed {
        replies: u64,
        of: u64,
    },
    /// Replies whose server told counts of tokens that cannot be.
    CountsImpossible {
        replies: u64,
        of: u64,
    },
}

impl Remark {
    /// Every difference; none: what was asked for was delivered.
    pub fn all(tally: &Counts, intent: &ExpectedLoad) -> Vec<Remark> {
        let mut remarks = Vec::new();
        if let Some((asked, counted)) = means(&tally.asked_input) {
            if counted < CUT_SHARE * asked {
                remarks.push(Remark::PromptsCut { asked, counted });
            } else if counted > LONG_SHARE * asked && counted - asked > TEMPLATE_MAX {
                remarks.push(Remark::PromptsLong { asked, counted });
            }
        }
        if let Some((asked, counted)) = means(&tally.asked_output).filter(|_| intent.exact)
            && counted < SHORT_SHARE * asked
        {
            remarks.push(Remark::RepliesShort { asked, counted });
        }
        if tally.unseen_output > 0 {
            remarks.push(Remark::OutputUnseen { replies: tally.unseen_output, of: tally.succeeded });
        }
        if tally.held_back > 0 && tally.held_back as f64 >= HELD_BACK_SHARE * tally.succeeded as f64 {
            remarks.push(Remark::StreamHeldBack { replies: tally.held_back, of: tally.succeeded });
        }
        if intent.streamed && tally.in_one_piece as f64 > IN_ONE_PIECE_SHARE * tally.succeeded as f64 {
            remarks.push(Remark::NotStreamed { replies: tally.in_one_piece, of: tally.succeeded });
        }
        if tally.sources.impossible > 0 {
            remarks.push(Remark::CountsImpossible { replies: tally.sources.impossible, of: tally.succeeded });
        }
        remarks
    }

    /// As it stands in `runs.parquet` and the manifest.
    pub fn name(&self) -> &'static str {
        match self {
            Remark::PromptsCut { .. } => "prompts_cut",
            Remark::PromptsLong { .. } => "prompts_long",
            Remark::RepliesShort { .. } => "replies_short",
            Remark::OutputUnseen { .. } => "output_unseen",
            Remark::StreamHeldBack { .. } => "stream_held_back",
            Remark::NotStreamed { .. } => "not_streamed",
            Remark::CountsImpossible { .. } => "counts_impossible",
        }
    }

    /// What it is and what to do about it, in one sentence.
    pub fn text(&self, lang: Lang) -> String {
        let n = |tokens: &f64| fixed(*tokens, 0);
        match (self, lang) {
            (Remark::PromptsCut { asked, counted }, Lang::English) => format!(
                "prompts of {} tokens (mean) counted {} at the server: it cuts them (look at its context length), or its tokenizer is another than ours",
                n(asked),
                n(counted)
            ),
            (Remark::PromptsCut { asked, counted }, Lang::Chinese) => format!(
                "提示平均要求 {} 令牌，服务器只计 {}：服务器截断了提示（请检查其上下文长度），或其分词器与本地不同",
                n(asked),
                n(counted)
            ),
            (Remark::PromptsLong { asked, counted }, Lang::English) => format!(
                "prompts of {} tokens (mean) counted {} at the server: name its tokenizer, so that lengths are right",
                n(asked),
                n(counted)
            ),
            (Remark::PromptsLong { asked, counted }, Lang::Chinese) => format!(
                "提示平均要求 {} 令牌，服务器计为 {}：请指定服务器的分词器，使长度准确",
                n(asked),
                n(counted)
            ),
            (Remark::RepliesShort { asked, counted }, Lang::English) => format!(
                "replies of {} tokens (mean) had {}: the server ends them early, so these are the numbers of shorter replies (it may not know ignore_eos, or have a lower limit)",
                n(asked),
                n(counted)
            ),
            (Remark::RepliesShort { asked, counted }, Lang::Chinese) => format!(
                "回复平均要求 {} 令牌，实际 {}：服务器提前结束了回复，因此这是较短回复的数据（服务器可能不支持 ignore_eos，或上限更低）",
                n(asked),
                n(counted)
            ),
            (Remark::OutputUnseen { replies, of }, Lang::English) => format!(
                "{} of {} replies have output tokens by their usage and none in their events: TTFT and ITL are unknown for them (the server streams its text in a form that is not known here)",
                grouped(*replies),
                grouped(*of)
            ),
            (Remark::OutputUnseen { replies, of }, Lang::Chinese) => format!(
                "{} 个回复中有 {} 个在 usage 中有输出令牌，事件中却没有：它们的 TTFT 和 ITL 未知（服务器以未知形式输出文本）",
                grouped(*of),
                grouped(*replies)
            ),
            (Remark::StreamHeldBack { replies, of }, Lang::English) => format!(
                "{} of {} streams came whole at their end: the server, or a gateway in between, holds them back, so TTFT is the time of the whole reply, and ITL and TPOT say nothing (nginx: proxy_buffering off)",
                grouped(*replies),
                grouped(*of)
            ),
            (Remark::StreamHeldBack { replies, of }, Lang::Chinese) => format!(
                "{} 个流中有 {} 个在结束时才一次到达：服务器或中间的网关扣住了流，因此 TTFT 是整个回复的时间，ITL 和 TPOT 没有意义（nginx：proxy_buffering off）",
                grouped(*of),
                grouped(*replies)
            ),
            (Remark::NotStreamed { replies, of }, Lang::English) => format!(
                "{} of {} replies came as one JSON object, although streams were asked for: the server does not stream, so they have no TTFT, ITL or TPOT (--no-stream, in scripts stream: false, says that this is wanted)",
                grouped(*replies),
                grouped(*of)
            ),
            (Remark::NotStreamed { replies, of }, Lang::Chinese) => format!(
                "要求流式输出，{} 个回复中却有 {} 个以一整个 JSON 对象返回：服务器不支持流式输出，因此它们没有 TTFT、ITL 和 TPOT（若本意如此，请加 --no-stream，脚本中为 stream: false）",
                grouped(*of),
                grouped(*replies)
            ),
            (Remark::CountsImpossible { replies, of }, Lang::English) => format!(
                "the server told counts of tokens that cannot be in {} of {} replies: they are kept in the rows (doubted_counts) and not used",
                grouped(*replies),
                grouped(*of)
            ),
            (Remark::CountsImpossible { replies, of }, Lang::Chinese) => format!(
                "{} 个回复中有 {} 个的令牌数不可能为真：它们保留在行中（doubted_counts），不参与计算",
                grouped(*of),
                grouped(*replies)
            ),
        }
    }
}

/// Asked and counted tokens of a request, on average.
fn means(asked: &LengthCheck) -> Option<(f64, f64)> {
    let n = asked.compared as f64;
    (asked.compared > 0).then(|| (asked.asked_tokens as f64 / n, asked.counted_tokens as f64 / n))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{all, reply};
    use super::super::names::Metric;
    use super::*;

    fn remarks(input: (u32, u32), output: (u32, u32), exact: bool) -> Vec<&'static str> {
        let mut summary = all([]);
        for seq in 0..4 {
            let reply = reply(seq, 0).tokens_at(&[10, 20]).asked(input.0, output.0);
            summary.add(&reply.usage(input.1, output.1).record());
        }
        let intent = ExpectedLoad { exact, ..ExpectedLoad::default() };
        Remark::all(summary.tally(), &intent).iter().map(Remark::name).collect()
    }

    #[test]
    fn a_load_as_it_was_asked_for_has_no_remarks() {
        for input in [(8_000, 8_000), (8_000, 7_900), (16, 40), (100, 228), (8_000, 9_000)] {
            assert_eq!(remarks(input, (64, 64), true), [""; 0], "{input:?}");
        }
        assert_eq!(remarks((100, 100), (64, 62), true), [""; 0]);
        assert_eq!(remarks((100, 100), (64, 3), false), [""; 0], "a model that ends where it wants");
    }

    #[test]
    fn prompts_that_are_cut_or_counted_otherwise_and_short_replies_are_remarked() {
        assert_eq!(remarks((8_000, 2_048), (64, 64), true), ["prompts_cut"]);
        assert_eq!(remarks((1_000, 1_400), (64, 64), true), ["prompts_long"]);
        assert_eq!(remarks((100, 100), (64, 3), true), ["replies_short"]);
    }

    #[test]
    fn tokens_that_no_event_carried_are_remarked() {
        let mut summary = all([]);
        summary.add(&reply(0, 0).usage(8, 5).record());
        summary.add(&reply(1, 0).tokens_at(&[10, 20]).usage(8, 5).record());
        // One token may be the end of the text, which has none.
        summary.add(&reply(2, 0).usage(8, 1).record());
        summary.add(&reply(3, 0).not_streamed(50).usage(8, 5).record());
        let all = Remark::all(summary.tally(), &ExpectedLoad::default());
        assert_eq!(all, [Remark::OutputUnseen { replies: 1, of: 4 }]);
        assert!(all[0].text(Lang::English).starts_with("1 of 4 replies have output tokens"));
        assert_eq!(summary.view(Metric::Ttft).count(), 1);
    }

    #[test]
    fn json_in_answer_to_streams_is_remarked() {
        let of = |whole: u64, streamed: bool| {
            let mut summary = all([]);
            for seq in 0..20 {
                let reply = reply(seq, 0).usage(8, 2);
                let reply = if seq < whole { reply.not_streamed(50) } else { reply.tokens_at(&[10, 20]) };
                summary.add(&reply.record());
            }
            Remark::all(summary.tally(), &ExpectedLoad { streamed, ..ExpectedLoad::default() })
        };
        assert_eq!(of(20, true), [Remark::NotStreamed { replies: 20, of: 20 }]);
        assert_eq!(of(3, true), [Remark::NotStreamed { replies: 3, of: 20 }]);
        assert_eq!(of(2, true), []);
        assert_eq!(of(20, false), [], "nobody asked for streams");
        let text = of(20, true)[0].text(Lang::English);
        assert!(text.starts_with("20 of 20 replies came as one JSON object"), "{text}");
    }

    #[test]
    fn streams_that_come_whole_at_their_end_are_remarked() {
        let of = |replies: &[(&[u32], u32)]| {
            let mut summary = all([]);
            for (seq, (times, tokens)) in (0..).zip(replies) {
                summary.add(&reply(seq, 0).tokens_at(times).usage(8, *tokens).record());
            }
            Remark::all(summary.tally(), &ExpectedLoad::default())
        };
        let held = |replies, of| vec![Remark::StreamHeldBack { replies, of }];
        // In one read, and in one event.
        assert_eq!(of(&[(&[900; 64], 64), (&[800], 64)]), held(2, 2));
        assert_eq!(of(&[(&[900; 64], 64), (&[10, 20, 30], 3)]), held(1, 2));
        let text = held(1, 2)[0].text(Lang::English);
        assert!(
            text.starts_with("1 of 2 streams came whole at their end: the server, or a gateway"),
            "{text}"
        );
        let honest: [(&[u32], u32); 7] = [
            (&[900, 901, 902], 3),
            // Few tokens, as one step with drafts makes them.
            (&[900], 8),
            // At once: nobody waited for it, or not long enough for so many.
            (&[2; 64], 64),
            (&[60; 64], 64),
            // A long thinking nobody is shown comes in the first event; the rest is a stream.
            (&[900, 910, 920], 500),
            // Longer than its tokens need to be made, as it were.
            (&[900, 902], 64),
            (&[], 64),
        ];
        for reply in honest {
            let remarks = of(&[reply]);
            assert!(
                !remarks.iter().any(|remark| remark.name() == "stream_held_back"),
                "{reply:?}: {remarks:?}"
            );
        }
        // One of many is a pause of the network, or of ours.
        let mut many = vec![(&[10, 20, 30][..], 3); 20];
        many.push((&[900; 64], 64));
        assert_eq!(of(&many), []);
    }
}
