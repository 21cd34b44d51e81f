//! Values of a server over time, in windows of one width: gauges and counters. Pure.
//!
//! Points are (nanoseconds since the run's zero, value) in order of time; a window is named by
//! its end, the last one by the last observation where that came before. One without an
//! observation is left out.

use crate::record::Nanos;

pub type Points = Vec<(Nanos, f64)>;

/// The mean of the values seen in each window: what was running, how full a cache was.
pub fn mean(points: &[(Nanos, f64)], width: Nanos) -> Points {
    by_window(points, width, |values| values.iter().map(|point| point.1).sum::<f64>() / values.len() as f64)
}

/// The last value in each window: where a counter stood.
pub fn last(points: &[(Nanos, f64)], width: Nanos) -> Points {
    by_window(points, width, |values| values[values.len() - 1].1)
}

fn by_window(points: &[(Nanos, f64)], width: Nanos, of: impl Fn(&[(Nanos, f64)]) -> f64) -> Points {
    let until = points.last().map_or(0, |point| point.0.max(0));
    points
        .chunk_by(|a, b| end(a.0, width) == end(b.0, width))
        .map(|values| (end(values[0].0, width).min(until), of(values)))
        .collect()
}

/// A scrape at a whole second arrives a little after it, and tells of the window that ended.
const LATE: Nanos = 100_000_000;

/// The end of the window that a value of `at` is of; a moment on the edge ends one.
fn end(at: Nanos, width: Nanos) -> Nanos {
    -(LATE.min(width / 2) - at).div_euclid(width) * width
}

/// The first edge after `at`.
fn edge_after(at: Nanos, width: Nanos) -> Nanos {
    (at.div_euclid(width) + 1) * width
}

/// What a counter grew by from one value to the next. A counter that went back began again at
/// zero: its server was started anew.
pub fn increase(before: f64, now: f64) -> f64 {
    if now < before { now } else { now - before }
}

/// Whether a counter goes back again and again: it is that of several workers which answer in turn
/// behind one address, and grew by nothing that it shows.
fn jumps(points: &[(Nanos, f64)]) -> bool {
    points.windows(2).filter(|pair| pair[1].1 < pair[0].1).count() > 1
}

/// The increase per second of a counter in each window; none of one that `jumps`. Between two values it is taken to grow
/// evenly, so that a scrape a little early or late makes no wave. Windows that were seen for
/// less than half of their time are left out.
pub fn rate(points: &[(Nanos, f64)], width: Nanos) -> Points {
    if jumps(points) {
        return Points::new();
    }
    let mut windows: Vec<(Nanos, f64, Nanos)> = Vec::new();
    for pair in points.windows(2) {
        let ((from, before), (to, now)) = (pair[0], pair[1]);
        let whole = to - from;
        let mut start = from;
        while start < to {
            let edge = edge_after(start, width);
            let stop = edge.min(to);
            let part = increase(before, now) * (stop - start) as f64 / whole as f64;
            match windows.last_mut() {
                Some(window) if window.0 == edge => {
                    window.1 += part;
                    window.2 += stop - start;
                }
                _ => windows.push((edge, part, stop - start)),
            }
            start = stop;
        }
    }
    let seen = windows.into_iter().filter(|(_, _, span)| 2 * span >= width);
    let until = points.last().map_or(0, |point| point.0);
    seen.map(|(end, sum, span)| (end.min(until), sum * 1e9 / span as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Nanos = 1_000_000_000;
    const MS: Nanos = 1_000_000;

    #[test]
    fn a_window_is_named_by_its_end_and_a_scrape_may_be_a_little_late() {
        let points = [
            (-3 * MS, 0.5),
            (2 * MS, 1.0),
            (S / 2, 2.0),
            (S + 4 * MS, 4.0),
            (S + 200 * MS, 8.0),
            (3 * S, 16.0),
        ];
        assert_eq!(mean(&points, S), [(0, 0.75), (S, 3.0), (2 * S, 8.0), (3 * S, 16.0)]);
        assert_eq!(last(&points, S), [(0, 1.0), (S, 4.0), (2 * S, 8.0), (3 * S, 16.0)]);
        assert_eq!(mean(&[(16 * MS, 1.0)], 10 * MS), [(16 * MS, 1.0)]);
        assert_eq!(mean(&[(-3 * MS, 1.0)], S), [(0, 1.0)]);
        assert_eq!(mean(&[], S), []);
    }

    #[test]
    fn a_rate_is_shared_out_to_the_windows_that_it_spans() {
        // 30 tokens in 3 s.
        let thirty = rate(&[(S / 2, 100.0), (7 * S / 2, 130.0)], S);
        assert_eq!(thirty, [(S, 10.0), (2 * S, 10.0), (3 * S, 10.0), (7 * S / 2, 10.0)]);
        // The first window saw nothing but the quarter before its end.
        assert_eq!(rate(&[(3 * S / 4, 0.0), (S, 5.0), (2 * S, 5.0)], S), [(2 * S, 0.0)]);
        assert_eq!(rate(&[(0, 5.0)], S), []);
    }

    #[test]
    fn a_counter_that_went_back_began_at_zero() {
        assert_eq!(
            rate(&[(0, 1000.0), (S, 1010.0), (2 * S, 4.0), (3 * S, 7.0)], S),
            [(S, 10.0), (2 * S, 4.0), (3 * S, 3.0)]
        );
    }

    #[test]
    fn a_counter_of_several_workers_in_turn_has_no_rate() {
        let turns = [(0, 1000.0), (S, 10.0), (2 * S, 1020.0), (3 * S, 30.0), (4 * S, 1040.0)];
        assert_eq!(rate(&turns, S), []);
        assert_eq!(last(&turns, S).len(), 5, "what was seen is still there");
    }
}
