//! The options of a plan: `run`, `plan`, and what the function of a `sweep` returns.

use std::time::Duration;

use rhai::Dynamic;

use super::slo::SLO;
use super::table::{self, OptionKind, OptionRow, Table, is_empty_text, number};
use super::vllm::SAVE_VLLM;
use crate::run::plan::{Capture, MaxErrors, OverCap, Warmup};
use crate::script::duration;

pub const OVER_CAP: [(&str, OverCap); 2] = [("wait", OverCap::Wait), ("drop", OverCap::Drop)];

pub const CAPTURE: [(&str, Capture); 2] = [("none", Capture::None), ("all", Capture::All)];

pub static RUN: Table = Table::new("run", &[
    OptionRow::new(
        "target",
        OptionKind::Made("like target(\"http://127.0.0.1:8000\")", None),
        "the server that is loaded",
        "target(\"http://127.0.0.1:8000\")",
    )
    .needed(),
    OptionRow::new(
        "workload",
        OptionKind::Made("like prompts(#{ input: 512, output: 128 })", None),
        "what requests ask",
        "prompts(#{ input: 512, output: 128 })",
    )
    .needed(),
    OptionRow::new("arrivals", OptionKind::Made("like poisson(4.0) or closed(16)", None), "when they are sent", "poisson(4.0)")
        .needed(),
    OptionRow::new("duration", OptionKind::TimeAbove0, "how long measured traffic is sent; warm-up comes on top", "\"30s\"")
        .unit("s")
        .or_else("until `requests`, or the end of the arrivals"),
    OptionRow::new("requests", OptionKind::Whole(1, i64::MAX), "how many measured requests are sent; warm-up comes on top", "100")
        .unit("requests")
        .or_else("until `duration`, or the end of the arrivals"),
    OptionRow::new(
        "sessions",
        OptionKind::Whole(1, i64::MAX),
        "how many conversations begin in the measured part, each of which goes on to its end",
        "20",
    )
    .unit("conversations")
    .or_else("until `duration` or `requests`"),
    OptionRow::new("name", OptionKind::Text, "what the run is called in tables and files", "\"warm cache\"").or_else("run-1, run-2, ..."),
    OptionRow::new(
        "cell",
        OptionKind::Text,
        "what is measured: runs of the same cell are repeats of each other",
        "\"warm cache\"",
    )
    .or_else("the run's name"),
    OptionRow::new(
        "traffic",
        OptionKind::Text,
        "runs of the same traffic and seed ask for the same lengths at the same planned times",
        "\"round 1\"",
    )
    .or_else("the run's name"),
    OptionRow::new("once", OptionKind::Truth, "no prompt of a file is asked twice", "true").or(|| false.into()),
    OptionRow::new(
        "warmup",
        OptionKind::Own("a number of requests or a time such as \"10s\"", |value| judged(warmup(value), WARMUP, value)),
        "requests (5) or time (\"10s\") before the measured part, which no number counts",
        "\"5s\"",
    )
    .unit("requests")
    .or_else("none"),
    OptionRow::new("max_in_flight", OptionKind::Whole(1, i64::MAX), "most requests that are under way at once", "64")
        .unit("requests")
        .or_else("no limit"),
    OptionRow::new(
        "over_cap",
        OptionKind::Word(|| table::words(&OVER_CAP)),
        "what a request does that is due while `max_in_flight` are under way: it waits, or becomes a record \
         with the outcome dropped",
        "\"drop\"",
    )
    .or(|| "wait".into()),
    OptionRow::new(
        "max_errors",
        OptionKind::Own("a number of requests or a share such as \"5%\"", |value| judged(max_errors(value), MAX_ERRORS, value)),
        "after more failures than these (50), or this share of the finished requests (\"5%\"), nothing more is sent",
        "\"5%\"",
    )
    .unit("requests")
    .or_else("no limit"),
    OptionRow::new(
        "drain",
        OptionKind::Own(DRAIN, |value| judged(drain(value), DRAIN, value)),
        "how long replies are awaited once the last request was sent; later ones are cancelled",
        "\"30s\"",
    )
    .unit("s")
    .or_else("until they end"),
    OptionRow::new("cooldown", OptionKind::Time, "pause after the run", "\"10s\"").unit("s").or_else("none"),
    OptionRow::new(
        "slo",
        OptionKind::Made("like slo(#{ ttft: \"400ms\" })", Some(&SLO)),
        "objectives: what makes a request good, and what makes the run good",
        "slo(#{ ttft: \"400ms\" })",
    ),
    OptionRow::new("seed", OptionKind::Whole(0, i64::MAX), "what random lengths, words and times depend on", "7").or(|| 0_i64.into()),
    OptionRow::new("capture", OptionKind::Word(|| table::words(&CAPTURE)), "\"all\" keeps the text of replies", "\"all\"")
        .or(|| "none".into()),
    OptionRow::new(
        "before_request",
        OptionKind::Function("|req| req.header(\"x-user\", `user-${req.index % 100}`)", None),
        "is called for each request before it is put into bytes, ahead of its time, and may change it",
        "|req| req.header(\"x-user\", `user-${req.index % 100}`)",
    ),
    OptionRow::new(
        "on_response",
        OptionKind::Function("|resp| if resp.ok { print(resp.ttft) }", None),
        "is called for each request that has ended, warm-up included, and may add values to metrics of your own",
        "|resp| if resp.ok { print(resp.ttft) }",
    ),
    OptionRow::new(
        "stop_when",
        OptionKind::Function("|so_far| so_far[\"errors.share\"] > 0.5", None),
        "is called each second with what was measured so far; when it returns true, nothing more is sent",
        "|so_far| so_far[\"errors.share\"] > 0.5",
    ),
    OptionRow::new("tags", OptionKind::Map(&TAGS), "names and values that are kept with the results", "#{ gpu: \"H100\" }"),
    OptionRow::new(
        "save_vllm",
        OptionKind::Map(&SAVE_VLLM),
        "the result is also written as vLLM's benchmark does, as soon as the run has ended, also when Ctrl-C ended it",
        "#{ filename: \"{run}.json\" }",
    ),
]);

static TAGS: Table = Table::free("tags");

const WARMUP: &str = "a number of requests or a time such as \"10s\"";

const MAX_ERRORS: &str = "a number of requests or a share such as \"5%\"";

const DRAIN: &str = "a duration such as \"250ms\", \"30s\", \"5m\", or a number of seconds";

fn judged<T>(read: Option<T>, wanted: &'static str, value: &Dynamic) -> Result<(), String> {
    let refusal = || OptionKind::Own(wanted, |_| Ok(())).refusal(value);
    read.map(drop).ok_or_else(refusal)
}

/// A number of requests (5), or a time ("10s"); text without a unit is a number of requests.
pub fn warmup(value: &Dynamic) -> Option<Warmup> {
    let text = value.clone().into_string().ok();
    let count = number(value).or_else(|| text.as_deref()?.trim().parse().ok());
    match (count, text.as_deref().and_then(duration::parse)) {
        (Some(0.0), _) => Some(Warmup::None),
        (Some(n), _) if n > 0.0 && n < 9e15 && n.fract() == 0.0 => Some(Warmup::Requests(n as u64)),
        (None, Some(time)) if time.is_zero() => Some(Warmup::None),
        (None, Some(time)) => Some(Warmup::Time(time)),
        _ => None,
    }
}

/// `50`, or `"5%"` of the finished requests; "" is no limit.
pub fn max_errors(value: &Dynamic) -> Option<Option<MaxErrors>> {
    if is_empty_text(value) {
        return Some(None);
    }
    let text = value.clone().into_string().ok();
    // A flag brings a number as text.
    let count = value.as_int().ok().or_else(|| text.as_deref()?.trim().parse().ok());
    let share = || text.as_deref()?.trim().strip_suffix('%')?.trim().parse::<f64>().ok();
    match count {
        Some(n) => (n >= 0).then(|| Some(MaxErrors::Count(n.unsigned_abs()))),
        None => share()
            .filter(|share| (0.0..=100.0).contains(share))
            .map(|share| Some(MaxErrors::Share(share / 100.0))),
    }
}

/// A time; "" is no limit.
pub fn drain(value: &Dynamic) -> Option<Option<Duration>> {
    if is_empty_text(value) { Some(None) } else { table::time(value).map(Some) }
}
