//! Values of a server over time, in windows of one width: gauges and counters. Pure.
//!
//! Points are (nanoseconds since the run's zero, value) in order of time; a window is named by
//! its end, and one without an observation is left out.

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
    points
        .chunk_by(|a, b| end(a.0, width) == end(b.0, width))
        .map(|values| (end(values[0].0, width), of(values)))
        .collect()
}

/// The end of the window in which `at` lies; a moment on the edge ends one.
fn end(at: Nanos, width: Nanos) -> Nanos {
    -(-at).div_euclid(width) * width
}

/// What a counter grew by from one value to the next. A counter that went back began again at
/// zero: its server was started anew.
pub fn increase(before: f64, now: f64) -> f64 {
    if now < before { now } else { now - before }
}

/// The increase per second of a counter in each window. Between two values it is taken to grow
/// evenly, so that a scrape a little early or late makes no wave.
pub fn rate(points: &[(Nanos, f64)], width: Nanos) -> Points {
    let mut windows: Vec<(Nanos, f64, Nanos)> = Vec::new();
    for pair in points.windows(2) {
        let ((from, before), (to, now)) = (pair[0], pair[1]);
        let whole = to - from;
        let mut start = from;
        while start < to {
            let edge = end(start + 1, width);
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
    windows.into_iter().map(|(end, sum, span)| (end, sum * 1e9 / span as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_named_by_its_end() {
        let points = [(0, 1.0), (5, 2.0), (10, 4.0), (11, 8.0), (35, 16.0)];
        assert_eq!(mean(&points, 10), [(0, 1.0), (10, 3.0), (20, 8.0), (40, 16.0)]);
        assert_eq!(last(&points, 10), [(0, 1.0), (10, 4.0), (20, 8.0), (40, 16.0)]);
        assert_eq!(mean(&[(-5, 1.0)], 10), [(0, 1.0)]);
        assert_eq!(mean(&[], 10), []);
    }

    const S: Nanos = 1_000_000_000;

    #[test]
    fn a_rate_is_shared_out_to_the_windows_that_it_spans() {
        // 30 tokens in 3 s.
        assert_eq!(
            rate(&[(S / 2, 100.0), (7 * S / 2, 130.0)], S),
            [(S, 10.0), (2 * S, 10.0), (3 * S, 10.0), (4 * S, 10.0)]
        );
        // The first window saw nothing but the quarter before its end.
        assert_eq!(rate(&[(3 * S / 4, 0.0), (S, 5.0), (2 * S, 5.0)], S), [(S, 20.0), (2 * S, 0.0)]);
        assert_eq!(rate(&[(0, 5.0)], S), []);
    }

    #[test]
    fn a_counter_that_went_back_began_at_zero() {
        assert_eq!(
            rate(&[(0, 1000.0), (S, 1010.0), (2 * S, 4.0), (3 * S, 7.0)], S),
            [(S, 10.0), (2 * S, 4.0), (3 * S, 3.0)]
        );
    }
}
