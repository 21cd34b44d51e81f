//! Labels of vertical marks, in lanes above the plot, so that none lies over another.

use super::text;

/// Size of a mark's label, pixels.
pub(super) const SIZE: f64 = 11.5;
/// Height of a lane.
pub(super) const LANE: f64 = 16.0;
/// Space between a mark's line and its label.
const GAP: f64 = 5.0;
/// Marks beyond this many in one panel are drawn without a label.
const MOST: usize = 6;

/// A mark with the place of its label.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mark {
    /// Pixels from the left end of the plot.
    pub x: f64,
    /// Empty: only a line.
    pub label: String,
    /// 0 is the lane next to the plot.
    pub lane: usize,
    /// The label ends at the line, since it has no room on the right.
    pub leftwards: bool,
}

impl Mark {
    /// From where to where the label reaches.
    fn label_span(&self) -> (f64, f64) {
        let wide = text::width(&self.label, SIZE);
        if self.leftwards { (self.x - GAP - wide, self.x - GAP) } else { (self.x + GAP, self.x + GAP + wide) }
    }

    /// Where the label is anchored.
    pub fn label_x(&self) -> f64 {
        if self.leftwards { self.x - GAP } else { self.x + GAP }
    }

    /// One's label covers the other's, or is crossed by its line.
    fn disturbs(&self, other: &Mark) -> bool {
        let (from, to) = self.label_span();
        let (other_from, other_to) = other.label_span();
        let covers = self.lane == other.lane && from < other_to + 6.0 && other_from < to + 6.0;
        let inside = |x: f64, (from, to): (f64, f64)| x > from - 3.0 && x < to + 3.0;
        covers
            || (other.lane >= self.lane && inside(other.x, (from, to)))
            || (self.lane >= other.lane && inside(self.x, (other_from, other_to)))
    }
}

/// Places marks (pixels from the plot's left end, label) over a plot of `width` pixels with
/// as few lanes as possible.
pub(super) fn place(mut wanted: Vec<(f64, String)>, width: f64) -> Vec<Mark> {
    wanted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let marks: Vec<Mark> = wanted
        .into_iter()
        .enumerate()
        .map(|(i, (x, label))| {
            let label = if i < MOST { text::cut(&label, SIZE, width * 0.6) } else { String::new() };
            Mark { x, label, lane: 0, leftwards: false }
        })
        .collect();
    let (labelled, bare): (Vec<Mark>, Vec<Mark>) = marks.into_iter().partition(|mark| !mark.label.is_empty());
    let lanes = labelled.len();
    // A label on the left of its line may seem to belong to the line before: only where it
    // must be, even if that takes more lanes.
    let mut placed = [true, false]
        .into_iter()
        .flat_map(|strict| (1..=lanes).map(move |lanes| (strict, lanes)))
        .find_map(|(strict, lanes)| search(&labelled, Vec::new(), lanes, width, strict))
        .unwrap_or_else(|| one_lane_each(labelled, width));
    placed.extend(bare);
    placed
}

/// Tries every lane and side for the next mark, has_room mark first, highest lane first.
fn search(rest: &[Mark], placed: Vec<Mark>, lanes: usize, width: f64, strict: bool) -> Option<Vec<Mark>> {
    let Some((next, rest)) = rest.split_first() else { return Some(placed) };
    let has_room = strict && fits(next, width);
    for leftwards in [false, true].into_iter().filter(|leftwards| !(has_room && *leftwards)) {
        for lane in (0..lanes).rev() {
            let mark = Mark { lane, leftwards, ..next.clone() };
            if fits(&mark, width) && !placed.iter().any(|other| mark.disturbs(other)) {
                let mut placed = placed.clone();
                placed.push(mark);
                if let Some(found) = search(rest, placed, lanes, width, strict) {
                    return Some(found);
                }
            }
        }
    }
    None
}

fn fits(mark: &Mark, width: f64) -> bool {
    let (from, to) = mark.label_span();
    from >= 0.0 && to <= width
}

/// Always possible: a line may cross a label, but no label covers another.
fn one_lane_each(marks: Vec<Mark>, width: f64) -> Vec<Mark> {
    let lanes = marks.len();
    marks
        .into_iter()
        .enumerate()
        .map(|(i, mark)| {
            let right = Mark { lane: lanes - 1 - i, ..mark };
            if fits(&right, width) { right } else { Mark { leftwards: true, ..right } }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(xs: &[f64], width: f64) -> Vec<Mark> {
        place(xs.iter().map(|x| (*x, "p99 = 123 ms".to_owned())).collect(), width)
    }

    #[test]
    fn marks_far_apart_share_one_lane() {
        let marks = lanes(&[10.0, 150.0, 300.0], 450.0);
        assert!(marks.iter().all(|mark| mark.lane == 0 && !mark.leftwards));
    }

    #[test]
    fn no_label_lies_on_another_or_under_a_line() {
        for xs in [[10.0, 20.0, 30.0], [380.0, 390.0, 399.0], [5.0, 200.0, 399.0], [200.0, 200.5, 399.0]] {
            let marks = lanes(&xs, 400.0);
            assert_eq!(marks.len(), 3);
            for (i, mark) in marks.iter().enumerate() {
                let (from, to) = mark.label_span();
                assert!(from >= 0.0 && to <= 400.0, "{marks:?}");
                for other in &marks[i + 1..] {
                    assert!(!mark.disturbs(other), "{marks:?}");
                }
            }
        }
    }

    #[test]
    fn marks_beyond_the_sixth_are_lines_only() {
        let xs: Vec<f64> = (0..12).map(|i| f64::from(i) * 30.0).collect();
        let marks = lanes(&xs, 400.0);
        assert_eq!(marks.len(), 12);
        assert_eq!(marks.iter().filter(|mark| mark.label.is_empty()).count(), 6);
    }
}
