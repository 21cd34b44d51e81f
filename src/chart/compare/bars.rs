//! Throughput and latency of a dozen configurations: bars.

use super::layout::{Page, one, several};
use super::metrics::{self, latency as of};
use super::row::Look;
use crate::chart::{Figure, TickFormat, Tone};
use crate::stats::metric::Metric;

/// Total and output tokens per second, token counts, requests per second (2x2).
pub fn throughput(page: &Page<'_>, look: &Look) -> Figure {
    let panels = vec![
        one(page, &metrics::total(), 0, look),
        one(page, &metrics::output(), 0, look),
        tokens(page, look),
        one(page, &metrics::requests(), 0, look),
    ];
    page.figure(look, ("Throughput", "吞吐量"), panels, 2)
}

/// How many tokens went in and came out.
pub fn tokens(page: &Page<'_>, look: &Look) -> crate::chart::Panel {
    let counts = [
        (look.say("input", "输入"), "total_input_tokens", Tone::Accent(0)),
        (look.say("output", "输出"), "total_output_tokens", Tone::Accent(1)),
    ];
    let title = look.say("Tokens in and out (tokens)", "输入与输出令牌数（令牌）");
    several(page, &title, TickFormat::Number, &counts, look)
}

/// Mean and P99 of TTFT and TPOT, both of ITL in one panel, mean E2EL (3x2).
pub fn latency(page: &Page<'_>, look: &Look) -> Figure {
    let itl = [of(Metric::Itl, "mean"), of(Metric::Itl, "p99")];
    let both = [
        (look.say("mean", "平均"), itl[0].column.as_str(), Tone::Accent(2)),
        ("P99".to_string(), itl[1].column.as_str(), Tone::Accent(1)),
    ];
    let name = Metric::Itl.written_out(look.lang);
    let title = match look.lang {
        crate::lang::Lang::English => format!("{name}, mean and P99"),
        crate::lang::Lang::Chinese => format!("{name}（平均与 P99）"),
    };
    let panels = vec![
        one(page, &of(Metric::Ttft, "mean"), 2, look),
        one(page, &of(Metric::Tpot, "mean"), 2, look),
        several(page, &title, TickFormat::Ms, &both, look),
        one(page, &of(Metric::Ttft, "p99"), 1, look),
        one(page, &of(Metric::Tpot, "p99"), 1, look),
        one(page, &of(Metric::E2el, "mean"), 2, look),
    ];
    page.figure(look, ("Latency", "延迟"), panels, 3)
}
