//! `AxisPlan`: where an axis begins and ends, and which of its labels fit.

use super::figure::{Axis, Panel, Scale, Series, Style};
use super::text;
use super::ticks::{self, Tick, TickFormat};

/// Size of tick labels, pixels.
pub(super) const TICK: f64 = 12.0;
/// Height of a line of tick labels.
pub(super) const TICK_LINE: f64 = 15.0;
/// Names longer than this lose their middle.
const NAME_WIDTH: f64 = 400.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AxisSide {
    X,
    Y,
}

/// An axis in its own units: the value itself, its power of ten on a log axis, or the number
/// of a named place.
#[derive(Debug, Clone)]
pub(super) struct AxisPlan {
    pub lo: f64,
    pub hi: f64,
    pub log: bool,
    pub named: bool,
    pub format: TickFormat,
    /// Lines of a label are parted by line breaks.
    pub ticks: Vec<Tick>,
    pub minor: Vec<f64>,
    /// Labels read upwards, since they are too wide.
    pub upright: bool,
    fixed: bool,
}

impl AxisPlan {
    /// The ends of `side` from the panel's data, without ticks yet.
    pub fn new(panel: &Panel, side: AxisSide) -> AxisPlan {
        let axis = if side == AxisSide::X { &panel.x } else { &panel.y };
        let (log, named) = (axis.scale == Scale::Log, matches!(axis.scale, Scale::Names(_)));
        let (lo, hi) = ends(panel, axis, side);
        AxisPlan {
            lo,
            hi,
            log,
            named,
            format: axis.format,
            ticks: Vec::new(),
            minor: Vec::new(),
            upright: false,
            fixed: axis.range.is_some(),
        }
    }

    /// `value` in axis units; `None`: it has no place here.
    pub fn unit(&self, value: f64) -> Option<f64> {
        let unit = if self.log { value.log10() } else { value };
        unit.is_finite().then_some(unit)
    }

    /// How far along the axis `unit` lies: 0 at its beginning, 1 at its end.
    pub fn share(&self, unit: f64) -> f64 {
        (unit - self.lo) / (self.hi - self.lo)
    }

    /// Makes room at the end for the values written beyond the bars: `room` is (value, share
    /// of the axis that its text takes).
    pub fn make_room(&mut self, room: &[(f64, f64)]) {
        if self.fixed || self.log {
            return;
        }
        for (value, share) in room.iter().filter(|(value, share)| *value > 0.0 && *share < 0.7) {
            self.hi = self.hi.max(self.lo + (value - self.lo) / (1.0 - share));
        }
    }

    /// Chooses the ticks of a horizontal axis of `width` pixels.
    pub fn fit_x(&mut self, axis: &Axis, width: f64) {
        match &axis.scale {
            Scale::Names(names) => self.name_x(names, width),
            _ => {
                let fits = |plan: &AxisPlan, ticks: &[Tick]| plan.side_by_side(ticks, width);
                self.choose(axis, ((width / 56.0) as usize).clamp(3, 10), fits);
            }
        }
    }

    /// Chooses the ticks of a vertical axis of `height` pixels.
    pub fn fit_y(&mut self, axis: &Axis, height: f64) {
        match &axis.scale {
            Scale::Names(names) => {
                let every = (TICK_LINE * 0.9 / (height / names.len().max(1) as f64)).ceil().max(1.0);
                self.ticks = thinned(names, every as usize);
            }
            _ => {
                let fits = |plan: &AxisPlan, ticks: &[Tick]| plan.nearest(ticks) * height >= 20.0;
                self.choose(axis, ((height / 42.0) as usize).clamp(2, 8), fits);
            }
        }
    }

    fn choose(&mut self, axis: &Axis, most: usize, fits: impl Fn(&AxisPlan, &[Tick]) -> bool) {
        let (lo, hi) = (self.lo.min(self.hi), self.lo.max(self.hi));
        let mut sets: Vec<Vec<Tick>> = if self.log {
            self.minor = ticks::log_minor(lo, hi);
            ticks::log(lo, hi, self.format)
        } else {
            (1..=most).rev().map(|count| ticks::linear(lo, hi, count, self.format)).collect()
        };
        let asked = self.asked(axis);
        if !asked.is_empty() {
            self.minor.clear();
            sets.splice(0..0, (0..5).map(|halved| asked.iter().step_by(1 << halved).cloned().collect()));
        }
        let chosen = sets.iter().position(|set| set.len() >= 2 && fits(self, set));
        self.ticks = match chosen {
            Some(i) => sets[i].clone(),
            None => sets.into_iter().filter(|set| !set.is_empty()).min_by_key(Vec::len).unwrap_or_default(),
        };
        if chosen.is_none() {
            self.ticks.truncate(1);
        }
    }

    /// The places that the axis is to be labelled at.
    fn asked(&self, axis: &Axis) -> Vec<Tick> {
        let (lo, hi) = (self.lo.min(self.hi), self.lo.max(self.hi));
        let places = axis.at.iter().filter_map(|value| Some((self.unit(*value)?, *value)));
        let seen = places.filter(|(at, _)| (lo..=hi).contains(at));
        seen.map(|(at, value)| Tick { at, label: axis.format.tick(value, 0.0) }).collect()
    }

    /// Distance of the two nearest ticks, as a share of the axis.
    fn nearest(&self, ticks: &[Tick]) -> f64 {
        let gaps = ticks.windows(2).map(|pair| (self.share(pair[1].at) - self.share(pair[0].at)).abs());
        gaps.fold(f64::INFINITY, f64::min)
    }

    fn side_by_side(&self, ticks: &[Tick], width: f64) -> bool {
        ticks.windows(2).all(|pair| {
            let room = (self.share(pair[1].at) - self.share(pair[0].at)).abs() * width;
            let labels = text::width(&pair[0].label, TICK) + text::width(&pair[1].label, TICK);
            room >= labels / 2.0 + 14.0
        })
    }

    /// Names side by side, in three lines for each line of their own; else upright; else only some of them.
    fn name_x(&mut self, names: &[String], width: f64) {
        let room = width / names.len().max(1) as f64 - 10.0;
        let widest_word = names
            .iter()
            .flat_map(|name| name.split([' ', '\n']))
            .filter(|word| word.is_ascii())
            .map(|word| text::width(word, TICK))
            .fold(0.0, f64::max);
        let broken =
            |name: &String| name.lines().flat_map(|line| text::balanced(line, TICK, room, 3)).collect();
        let lines: Vec<Vec<String>> = names.iter().map(broken).collect();
        let whole = lines.iter().flatten().all(|line| !line.ends_with('…'));
        if widest_word <= room && whole {
            self.ticks = numbered(lines.into_iter().map(|lines| lines.join("\n")));
            return;
        }
        self.upright = true;
        let every = (TICK_LINE / (room + 10.0)).ceil().max(1.0);
        self.ticks = thinned(names, every as usize);
    }

    /// Width of the widest label line.
    pub fn label_width(&self) -> f64 {
        let lines = self.ticks.iter().flat_map(|tick| tick.label.lines());
        lines.map(|line| text::width(line, TICK)).fold(0.0, f64::max)
    }

    /// Height that the labels of a horizontal axis take.
    pub fn label_height(&self) -> f64 {
        if self.upright {
            return self.label_width();
        }
        let lines = self.ticks.iter().map(|tick| tick.label.lines().count()).max();
        lines.unwrap_or(0) as f64 * TICK_LINE
    }
}

fn numbered(labels: impl Iterator<Item = String>) -> Vec<Tick> {
    labels.enumerate().map(|(i, label)| Tick { at: i as f64, label }).collect()
}

fn thinned(names: &[String], every: usize) -> Vec<Tick> {
    let ticks = numbered(names.iter().map(|name| text::elide(&name.replace('\n', " "), TICK, NAME_WIDTH)));
    ticks.into_iter().step_by(every).collect()
}

/// First and last value of the axis, in axis units.
fn ends(panel: &Panel, axis: &Axis, side: AxisSide) -> (f64, f64) {
    if let Scale::Names(names) = &axis.scale {
        let last = names.len().max(1) as f64 - 0.5;
        return if side == AxisSide::X { (-0.5, last) } else { (last, -0.5) };
    }
    let log = axis.scale == Scale::Log;
    let unit = |value: f64| if log { value.log10() } else { value };
    if let Some((from, to)) = axis.range {
        let (from, to) = (unit(from), unit(to));
        if from.is_finite() && to.is_finite() && from != to {
            return (from, to);
        }
    }
    let seen = panel.series.iter().flat_map(|series| reach(series, panel, side));
    let values = seen.chain(axis.reach).map(unit);
    let (lo, hi) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), value| (lo.min(value), hi.max(value)));
    if lo > hi {
        return (0.0, 1.0);
    }
    if log { padded_log(lo, hi) } else { padded(panel, side, lo, hi) }
}

/// The values that an axis must show of a series.
fn reach<'a>(series: &'a Series, panel: &'a Panel, side: AxisSide) -> Box<dyn Iterator<Item = f64> + 'a> {
    let lying = matches!(panel.y.scale, Scale::Names(_));
    let based = match series.style {
        Style::Bars => (side == AxisSide::X) == lying,
        Style::Area | Style::Step => side == AxisSide::Y,
        _ => false,
    };
    if side == AxisSide::Y && matches!(series.style, Style::Marks(_)) {
        return Box::new(std::iter::empty());
    }
    let values = series.points.iter().map(move |point| if side == AxisSide::X { point.0 } else { point.1 });
    let bars = matches!(series.style, Style::Bars);
    let along = if bars && lying { AxisSide::X } else { AxisSide::Y };
    let spread = if side == along { &series.spread } else { &series.spread_x };
    let whiskers = spread.iter().flatten().flat_map(|(low, high)| [*low, *high]);
    Box::new(values.chain(whiskers).chain(based.then_some(0.0)))
}

/// At least one decade, so that there are several labels.
fn padded_log(lo: f64, hi: f64) -> (f64, f64) {
    let pad = ((hi - lo) * 0.04).max((1.0 - (hi - lo)) / 2.0);
    (lo - pad, hi + pad)
}

fn padded(panel: &Panel, side: AxisSide, lo: f64, hi: f64) -> (f64, f64) {
    let scattered = panel.series.iter().any(|series| matches!(series.style, Style::Points | Style::Dots(_)));
    // A y axis that begins near zero begins at zero; a bar always does.
    let lo = if side == AxisSide::Y && lo > 0.0 && lo < 0.5 * hi { 0.0 } else { lo };
    if lo == hi {
        let pad = if lo == 0.0 { 1.0 } else { lo.abs() * 0.5 };
        return if lo == 0.0 { (0.0, 1.0) } else { (lo - pad, hi + pad) };
    }
    let span = hi - lo;
    let share = if side == AxisSide::Y {
        0.06
    } else if scattered {
        0.03
    } else {
        0.0
    };
    let above = if hi == 0.0 { 0.0 } else { span * share };
    let below = if lo == 0.0 { 0.0 } else { span * share };
    (lo - below, hi + above)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(x: Axis, y: Axis, style: Style, points: Vec<(f64, f64)>) -> Panel {
        Panel { x, y, series: vec![Series::new("", style, points)], ..Panel::default() }
    }

    #[test]
    fn bars_stand_on_zero_and_equal_values_get_a_range() {
        let bars = panel(Axis::default(), Axis::default(), Style::Bars, vec![(0.0, 90.0), (1.0, 100.0)]);
        assert_eq!(AxisPlan::new(&bars, AxisSide::Y).lo, 0.0);
        let equal = panel(Axis::log(""), Axis::default(), Style::Line, vec![(7.0, 7.0), (7.0, 7.0)]);
        let (x, y) = (AxisPlan::new(&equal, AxisSide::X), AxisPlan::new(&equal, AxisSide::Y));
        assert!((x.hi - x.lo - 1.0).abs() < 1e-9);
        assert!(y.lo < 7.0 && y.hi > 7.0);
    }

    #[test]
    fn values_without_a_place_on_a_log_axis_do_not_move_it() {
        let line =
            panel(Axis::log(""), Axis::default(), Style::Line, vec![(0.0, 1.0), (10.0, 1.0), (1000.0, 2.0)]);
        let plan = AxisPlan::new(&line, AxisSide::X);
        assert!(plan.lo > 0.8 && plan.hi < 3.2);
        assert_eq!(plan.unit(0.0), None);
        assert_eq!(plan.unit(-1.0), None);
    }

    #[test]
    fn long_names_stand_upright_and_very_many_are_thinned() {
        let names: Vec<String> = (0..100).map(|i| format!("io1024x1024_mc{i}_np1280")).collect();
        let axis = Axis::names("", names[..4].to_vec());
        let mut plan = AxisPlan::new(&panel(axis.clone(), Axis::default(), Style::Bars, vec![]), AxisSide::X);
        plan.fit_x(&axis, 1000.0);
        assert!(!plan.upright);
        plan.fit_x(&axis, 300.0);
        assert!(plan.upright);
        let axis = Axis::names("", names);
        plan.fit_x(&axis, 500.0);
        assert!(plan.upright && plan.ticks.len() == 34, "{}", plan.ticks.len());
    }

    #[test]
    fn neighbouring_labels_never_touch() {
        let axis = Axis::log("").format(TickFormat::Ms);
        for width in (40..900).step_by(20) {
            for high in [3.0, 40.0, 900.0, 2e5, 4e8] {
                let line = panel(axis.clone(), Axis::default(), Style::Line, vec![(1.0, 1.0), (high, 2.0)]);
                let mut plan = AxisPlan::new(&line, AxisSide::X);
                plan.fit_x(&axis, f64::from(width));
                assert!(plan.side_by_side(&plan.ticks, f64::from(width)));
                assert!(!plan.ticks.is_empty());
            }
        }
    }
}
