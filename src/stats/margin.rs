//! Margins: intervals as a terminal has room for them.

use super::estimate::{Estimate, Mark};
use crate::lang::Lang;

/// `±4%`: the longer side of the interval, as part of the value. `None`: there is none.
pub fn margin(estimate: &Estimate) -> Option<String> {
    let (value, interval) = (estimate.value?, estimate.interval.filter(|_| estimate.mark.is_none())?);
    let side = (interval.high - value).max(value - interval.low) / value.abs();
    Some(match side * 100.0 {
        // Of nothing no part can be told.
        percent if percent.is_nan() => "±0".into(),
        percent if percent.is_infinite() => "±∞".into(),
        0.0 => "±0".into(),
        percent if percent < 0.05 => "±<0.1%".into(),
        percent if percent < 0.95 => format!("±{percent:.1}%"),
        percent => format!("±{percent:.0}%"),
    })
}

/// The same behind a value.
pub fn with_margin(value: &str, estimate: &Estimate) -> String {
    margin(estimate).map_or_else(|| value.into(), |margin| format!("{value} {margin}"))
}

/// What is said of the intervals below a table, by what its cells were marked with.
#[derive(Debug, Default)]
pub struct MarginNotes {
    marks: Vec<Mark>,
    shown: bool,
}

impl MarginNotes {
    /// Cells of a row of margins; `None`: none of these has one.
    pub fn cells(&mut self, estimates: &[Estimate]) -> Option<Vec<String>> {
        self.marks.extend(estimates.iter().filter_map(|estimate| estimate.mark));
        let margins: Vec<Option<String>> = estimates.iter().map(margin).collect();
        margins.iter().any(Option::is_some).then(|| {
            self.shown = true;
            let cell = |(margin, estimate): (Option<String>, &Estimate)| match (margin, estimate.mark) {
                (Some(margin), _) => margin,
                (None, Some(_)) => "?".into(),
                (None, None) => String::new(),
            };
            margins.into_iter().zip(estimates).map(cell).collect()
        })
    }

    /// Why there are none, or not of all.
    pub fn text(&self, lang: Lang) -> Option<String> {
        // What takes least brings the first of them; the time that the last would take is a guess far
        // beyond the run.
        let weight = |mark: &Mark| weight(*mark);
        let first = self.marks.iter().copied().min_by(|a, b| weight(a).total_cmp(&weight(b)))?;
        let why = first.text(lang);
        Some(match (self.shown, first, lang) {
            (_, Mark::NotSteady, _) => why,
            (true, _, Lang::English) => format!("? {why}"),
            (true, _, Lang::Chinese) => format!("? {why}"),
            (false, _, Lang::English) => format!("95 % intervals: {why}"),
            (false, _, Lang::Chinese) => format!("95 % 区间：{why}"),
        })
    }
}

fn weight(mark: Mark) -> f64 {
    match mark {
        Mark::NotSteady => 0.0,
        Mark::FewBlocks { more_s } | Mark::FewValues { more_s } => more_s.unwrap_or(f64::MAX),
        Mark::FewRepeats { .. } | Mark::NoneSeen => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::super::estimate::Interval;
    use super::*;

    fn estimate(low: f64, value: f64, high: f64) -> Estimate {
        Estimate { value: Some(value), interval: Some(Interval { low, high }), n: 9, mark: None }
    }

    #[test]
    fn a_margin_is_the_longer_side() {
        for (low, value, high, wanted) in [
            (95.0, 100.0, 103.0, "±5%"),
            (95.0, 100.0, 120.0, "±20%"),
            (99.8, 100.0, 100.1, "±0.2%"),
            (99.99, 100.0, 100.01, "±<0.1%"),
            (100.0, 100.0, 100.0, "±0"),
            (0.0, 0.0, 0.0, "±0"),
            (9.0, 10.0, f64::INFINITY, "±∞"),
        ] {
            assert_eq!(margin(&estimate(low, value, high)).as_deref(), Some(wanted));
        }
        assert_eq!(margin(&Estimate::plain(Some(3.0), 4)), None);
    }

    #[test]
    fn the_shortest_wait_is_what_is_told() {
        let short = |more_s| Estimate {
            value: Some(3.0),
            mark: Some(Mark::FewBlocks { more_s: Some(more_s) }),
            ..Estimate::default()
        };
        let mut notes = MarginNotes::default();
        assert_eq!(notes.text(Lang::English), None);
        assert_eq!(notes.cells(&[short(3.0), short(40.0)]), None);
        assert_eq!(notes.text(Lang::English).unwrap(), "95 % intervals: cannot tell, needs about 3 s more");
        let cells = notes.cells(&[estimate(95.0, 100.0, 101.0), short(9.0)]);
        assert_eq!(cells.unwrap(), ["±5%", "?"]);
        assert_eq!(notes.text(Lang::Chinese).unwrap(), "? 无法判断，约需再运行 3 s");
    }
}
