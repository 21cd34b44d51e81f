//! `Status`: what is said of a run that goes on, in one line that fits its place.

use crate::lang::Lang;
use crate::record::Nanos;
use crate::run::plan::Warmup;
use crate::run::progress::StageProgress;
use crate::stats::words::{fixed, grouped, span};
use std::time::Duration;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns of a label below which shortening it no longer helps.
const LABEL_MIN: usize = 8;

/// What a run wants to reach.
#[derive(Debug, Clone)]
pub struct Goal {
    pub warmup: Warmup,
    /// Measured requests.
    pub requests: Option<u64>,
    /// Length of the measured part.
    pub time: Option<Duration>,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Warmup,
    Measured,
    /// Everything is sent.
    Drain,
}

/// A run at one moment.
#[derive(Debug, Clone)]
pub struct Status {
    pub stage: Stage,
    /// Requests of the stage; of the measured part in a drain.
    pub part: StageProgress,
    pub failed: u64,
    pub tokens_per_s: f64,
    /// Medians of the last seconds.
    pub ttft: Option<Nanos>,
    pub itl: Option<Nanos>,
    /// Time in the stage.
    pub elapsed: Duration,
}

impl Goal {
    /// How much of the measured part is done, by whichever goal is nearer; 0 to 1.
    pub fn share(&self, status: &Status) -> f64 {
        if status.stage == Stage::Warmup {
            return 0.0;
        }
        let finished = status.part.finished as f64;
        let by_requests = self.requests.map_or(0.0, |n| finished / n.max(1) as f64);
        let by_time = self.time.map_or(0.0, |time| part_of(status.elapsed, time));
        by_requests.max(by_time).min(1.0)
    }

    /// How long the measured part may still take: the time that is left, or what the requests
    /// that are left take at the rate so far.
    pub fn left(&self, status: &Status) -> Option<Duration> {
        if status.stage != Stage::Measured {
            return None;
        }
        let by_time = self.time.map(|time| time.saturating_sub(status.elapsed));
        let finished = status.part.finished;
        let by_requests = self.requests.filter(|_| finished > 0).map(|n| {
            let each = status.elapsed.as_secs_f64() / finished as f64;
            Duration::from_secs_f64(each * n.saturating_sub(finished) as f64)
        });
        match (by_time, by_requests) {
            (Some(time), Some(requests)) => Some(time.min(requests)),
            (time, requests) => time.or(requests),
        }
    }

    /// One line behind `label`, at most `width` columns wide: what matters least goes first, and
    /// nothing is cut in its middle. `after`: what all that comes after this run takes.
    pub fn line(
        &self,
        status: &Status,
        label: &str,
        after: Option<Duration>,
        lang: Lang,
        width: usize,
    ) -> String {
        let mut parts = self.parts(status, after, lang);
        let joined = |parts: &[(u8, String)]| {
            let texts: Vec<&str> = parts.iter().map(|(_, text)| text.as_str()).collect();
            texts.join(if lang == Lang::English { ", " } else { "，" })
        };
        let room = |parts: &[(u8, String)]| width.saturating_sub(joined(parts).width() + 2);
        while room(&parts) < label.width().min(LABEL_MIN)
            && let Some(least) = (1..parts.len()).max_by_key(|i| parts[*i].0)
        {
            parts.remove(least);
        }
        format!("{}{}{}", shortened(label, room(&parts)), lang.colon(), joined(&parts))
    }

    /// What is told, and how early each is left out: the highest number first.
    fn parts(&self, status: &Status, after: Option<Duration>, lang: Lang) -> Vec<(u8, String)> {
        let english = lang == Lang::English;
        let say = |english_text: String, chinese: String| if english { english_text } else { chinese };
        let (finished, in_flight) = (grouped(status.part.finished), grouped(status.part.in_flight));
        let of = self.requests.map(|n| format!("/{}", grouped(n))).unwrap_or_default();
        let mut parts = vec![match (status.stage, &self.warmup) {
            (Stage::Warmup, Warmup::Time(time)) => {
                let time =
                    format!("{}/{}", status.elapsed.min(*time).as_secs(), span(time.as_secs_f64() * 1e3));
                (0, say(format!("warm-up {time}"), format!("预热 {time}")))
            }
            (Stage::Warmup, Warmup::Requests(n)) => {
                let done = format!("{finished}/{}", grouped(*n));
                (0, say(format!("warm-up {done} done"), format!("预热 {done}")))
            }
            (Stage::Drain, _) => (
                0,
                say(
                    format!("all sent, {finished}{of} done, {in_flight} in flight"),
                    format!("已全部发出，完成 {finished}{of}，进行中 {in_flight}"),
                ),
            ),
            _ => (0, say(format!("{finished}{of} done"), format!("完成 {finished}{of}"))),
        }];
        if status.stage != Stage::Drain {
            parts.push((3, say(format!("{in_flight} in flight"), format!("进行中 {in_flight}"))));
        }
        if status.failed > 0 {
            let failed = grouped(status.failed);
            parts.push((1, say(format!("{failed} FAILED"), format!("失败 {failed}"))));
        }
        let rate = fixed(status.tokens_per_s, 0);
        parts.push((2, say(format!("{rate} tok/s"), format!("{rate} 令牌/s"))));
        let ms = |time: Nanos| span(significant(time as f64 / 1e6));
        parts.extend(status.ttft.map(|time| (5, format!("TTFT {}", ms(time)))));
        parts.extend(status.itl.map(|time| (6, format!("ITL {}", ms(time)))));
        if let Some(time) = self.time.filter(|_| status.stage == Stage::Measured) {
            let seconds = status.elapsed.min(time).as_secs();
            parts.push((8, format!("{seconds}/{} s", time.as_secs())));
        }
        let left = self.left(status);
        parts.extend(left.map(|left| {
            let left = whole(left);
            (4, say(format!("ETA {left}"), format!("预计还需 {left}")))
        }));
        parts.extend(after.map(|after| {
            let all = whole(after + left.unwrap_or_default());
            (7, say(format!("all {all}"), format!("全部 {all}")))
        }));
        parts
    }
}

fn part_of(time: Duration, whole: Duration) -> f64 {
    time.as_secs_f64() / whole.as_secs_f64().max(1e-3)
}

/// Whole seconds.
fn whole(time: Duration) -> String {
    match time.as_secs_f64().round() {
        seconds if seconds < 1.0 => "0 s".into(),
        seconds => span(seconds * 1e3),
    }
}

/// Three digits are enough for a glance.
fn significant(value: f64) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    let scale = 10f64.powi(2 - value.log10().floor() as i32);
    (value * scale).round() / scale
}

/// The beginning of a label that is wider than `width`.
fn shortened(label: &str, width: usize) -> String {
    if label.width() <= width {
        return label.into();
    }
    let mut text = String::new();
    for c in label.chars() {
        if text.width() + c.width().unwrap_or(0) + 1 > width {
            break;
        }
        text.push(c);
    }
    text + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    fn status(stage: Stage, finished: u64, in_flight: u64, seconds: u64) -> Status {
        Status {
            stage,
            part: StageProgress { finished, in_flight },
            failed: 0,
            tokens_per_s: 1532.4,
            ttft: Some(40_123_456),
            itl: Some(8 * MS),
            elapsed: Duration::from_secs(seconds),
        }
    }

    fn goal(warmup: Warmup, requests: Option<u64>, seconds: Option<u64>) -> Goal {
        Goal { warmup, requests, time: seconds.map(Duration::from_secs) }
    }

    #[test]
    fn a_line_tells_what_is_done_what_runs_and_when_it_ends() {
        let goal = goal(Warmup::None, Some(80), None);
        let line = goal.line(&status(Stage::Measured, 20, 4, 10), "run-1", None, Lang::English, 200);
        assert_eq!(line, "run-1: 20/80 done, 4 in flight, 1,532 tok/s, TTFT 40.1 ms, ITL 8 ms, ETA 30 s");
        let line = goal.line(&status(Stage::Measured, 20, 4, 10), "run-1", None, Lang::Chinese, 200);
        assert_eq!(line, "run-1：完成 20/80，进行中 4，1,532 令牌/s，TTFT 40.1 ms，ITL 8 ms，预计还需 30 s");
    }

    #[test]
    fn warm_up_and_drain_are_told_apart_from_the_measured_part() {
        let told = |goal: &Goal, status: &Status| goal.line(status, "x", None, Lang::English, 200);
        let by_time = goal(Warmup::Time(Duration::from_secs(5)), Some(9), None);
        assert!(told(&by_time, &status(Stage::Warmup, 7, 1, 3)).starts_with("x: warm-up 3/5 s, 1 in flight"));
        let by_count = goal(Warmup::Requests(24), Some(9), None);
        assert!(told(&by_count, &status(Stage::Warmup, 7, 1, 3)).starts_with("x: warm-up 7/24 done"));
        let drained = told(&by_count, &status(Stage::Drain, 7, 2, 3));
        assert!(drained.starts_with("x: all sent, 7/9 done, 2 in flight, "), "{drained}");
        assert!(!drained.contains("ETA"), "{drained}");
    }

    #[test]
    fn nothing_is_more_than_whole() {
        let goal = goal(Warmup::None, Some(9), Some(60));
        let over = status(Stage::Measured, 9, 0, 75);
        assert_eq!(goal.share(&over), 1.0);
        let line = goal.line(&over, "x", None, Lang::English, 200);
        assert!(line.contains(", 60/60 s, ETA 0 s"), "{line}");
    }

    #[test]
    fn a_narrow_line_loses_whole_parts_and_never_a_piece_of_a_word() {
        let goal = goal(Warmup::None, Some(80), Some(3600));
        let mut now = status(Stage::Measured, 20, 4, 10);
        now.failed = 2;
        let label = "[12/240] io1024x1024_mc256_np2560";
        let after = Some(Duration::from_secs(7000));
        let whole = goal.parts(&now, after, Lang::English);
        for lang in [Lang::English, Lang::Chinese] {
            for width in 30..160 {
                let line = goal.line(&now, label, after, lang, width);
                assert!(line.width() <= width, "{width}: {line}");
                if lang == Lang::English {
                    let told = line.split_once(": ").expect("a label").1;
                    assert!(
                        told.split(", ")
                            .all(|part| part.contains("1,") || whole.iter().any(|(_, known)| known == part)),
                        "{line}"
                    );
                }
            }
        }
        let line = goal.line(&now, label, None, Lang::English, 80);
        assert_eq!(line, "[12/240…: 20/80 done, 4 in flight, 2 FAILED, 1,532 tok/s, TTFT 40.1 ms, ETA 30 s");
        now.failed = 0;
        let line = goal.line(&now, label, None, Lang::English, 80);
        assert_eq!(line, "[12/240…: 20/80 done, 4 in flight, 1,532 tok/s, TTFT 40.1 ms, ITL 8 ms, ETA 30 s");
    }

    #[test]
    fn what_comes_after_a_run_is_told_with_it() {
        let goal = goal(Warmup::None, Some(80), None);
        let after = Some(Duration::from_secs(90));
        let line = goal.line(&status(Stage::Measured, 20, 4, 10), "x", after, Lang::English, 200);
        assert!(line.ends_with(", ETA 30 s, all 2 m"), "{line}");
    }
}
