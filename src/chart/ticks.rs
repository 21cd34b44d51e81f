//! Ticks: where an axis is labelled, and what the labels say.

/// What the numbers of an axis are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TickFormat {
    /// `0.5`, `250`, `1.5k`, `20M`.
    #[default]
    Number,
    /// Whole numbers, written out: `1,500`.
    Count,
    /// Milliseconds, shown as `250 µs`, `250 ms`, `1.5 s`.
    Ms,
    /// 0.25 is `25%`.
    Share,
    /// No labels at all.
    Hidden,
}

/// A labelled place, in axis units (the exponent of ten on a log axis).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub at: f64,
    pub label: String,
}

impl TickFormat {
    /// A tick's label; `step` is the distance to the next tick (0: none).
    pub(super) fn tick(self, value: f64, step: f64) -> String {
        match self {
            TickFormat::Hidden => String::new(),
            TickFormat::Count => large(value),
            TickFormat::Share => format!("{}%", plain(value * 100.0, step * 100.0)),
            TickFormat::Ms if value == 0.0 => "0".into(),
            TickFormat::Ms => {
                let (factor, unit) = unit_of_ms(value);
                match value.abs() * factor {
                    1e4.. => format!("{} {unit}", large(value * factor)),
                    _ => format!("{} {unit}", trim(value * factor, 6)),
                }
            }
            TickFormat::Number => match value.abs() {
                1e13.. => large(value),
                1e9.. => format!("{}G", trim(value / 1e9, 3)),
                1e6.. => format!("{}M", trim(value / 1e6, 3)),
                1e3.. => format!("{}k", trim(value / 1e3, 3)),
                _ => plain(value, step),
            },
        }
    }

    /// The values of one column or one kind of bars, with as many decimals as any of them
    /// needs, so that they look alike: `45.8`, `46.0`.
    pub(super) fn column(self, values: &[f64]) -> Vec<String> {
        let plain = |value: f64| self == TickFormat::Number && (0.1..999.95).contains(&value.abs());
        let shown = values.iter().filter(|value| plain(**value)).map(|value| short(*value));
        let decimals = shown.map(|text| text.split_once('.').map_or(0, |(_, digits)| digits.len()));
        let decimals = decimals.max().unwrap_or(0);
        let text = |value: &f64| match plain(*value) {
            true => format!("{value:.*}", decimals.min(most_decimals(*value))),
            false => self.value(*value),
        };
        values.iter().map(text).collect()
    }

    /// One value as text, with three to four digits: `22.9`, `0.045`, `20,480`, `1.19 s`.
    pub fn value(self, value: f64) -> String {
        if !value.is_finite() {
            return "-".into();
        }
        match self {
            TickFormat::Share => format!("{}%", short(value * 100.0)),
            TickFormat::Ms if value == 0.0 => "0 ms".into(),
            TickFormat::Ms => {
                let (factor, unit) = unit_of_ms(value);
                format!("{} {unit}", three_digits(value * factor))
            }
            TickFormat::Number | TickFormat::Count | TickFormat::Hidden => match value.abs() {
                1e13.. => large(value),
                1e9.. => format!("{}G", trim(value / 1e9, 2)),
                1e6.. => format!("{}M", trim(value / 1e6, 2)),
                _ => short(value),
            },
        }
    }
}

fn unit_of_ms(ms: f64) -> (f64, &'static str) {
    match ms.abs() {
        1e3.. => (1e-3, "s"),
        0.9995.. => (1.0, "ms"),
        _ => (1e3, "µs"),
    }
}

/// With just the decimals that `step` needs.
fn plain(value: f64, step: f64) -> String {
    if step <= 0.0 {
        let tiny = value != 0.0 && value.abs() < 9e-7;
        return if tiny { format!("{value:.0e}") } else { trim(value, 6) };
    }
    let mut decimals = (-step.log10()).ceil().max(0.0) as usize;
    let scaled = step * 10f64.powi(decimals as i32);
    decimals += usize::from((scaled - scaled.round()).abs() > 1e-6);
    if value.abs() < step * 1e-6 {
        return "0".into();
    }
    format!("{value:.decimals$}")
}

/// At most `decimals` decimals, without trailing zeros.
fn trim(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Three or four digits, without zeros at the end.
fn short(value: f64) -> String {
    match value.abs() {
        999.95.. => thousands(value.round() as i64),
        _ => trim(value, most_decimals(value)),
    }
}

/// Decimals that leave about three digits.
fn most_decimals(value: f64) -> usize {
    match value.abs() {
        999.95.. => 0,
        9.995.. => 1,
        1.0.. => 2,
        v if v > 0.0 => (2 - v.log10().floor() as i32).clamp(0, 9) as usize,
        _ => 0,
    }
}

/// Three digits, as many as a time deserves.
fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        999.5.. => return large(value),
        99.95.. => 0,
        9.995.. => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

/// `20,480`, and `1e18` of what nobody counts any more.
fn large(value: f64) -> String {
    if value.abs() < 1e10 {
        return thousands(value.round() as i64);
    }
    let text = format!("{value:.2e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// `20,480`.
pub(super) fn thousands(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    if value < 0 { format!("-{text}") } else { text }
}

/// Round steps over [lo, hi], at most about `count` of them.
pub(super) fn linear(lo: f64, hi: f64, count: usize, format: TickFormat) -> Vec<Tick> {
    let (lo, hi) = (lo.min(hi), lo.max(hi));
    let raw = (hi - lo) / count.max(1) as f64;
    let step = match format {
        TickFormat::Count => nice_step(raw.max(1.0), &[1.0, 2.0, 5.0, 10.0]),
        _ => nice_step(raw, &[1.0, 2.0, 2.5, 5.0, 10.0]),
    };
    if !step.is_finite() || step <= 0.0 {
        return Vec::new();
    }
    let first = (lo / step - 1e-9).ceil() as i64;
    let last = (hi / step + 1e-9).floor() as i64;
    (first..=last.min(first + 200))
        .map(|i| i as f64 * step)
        .map(|at| Tick { at, label: format.tick(at, step) })
        .collect()
}

/// The smallest of `factors` x 10^n that is not below `raw`.
fn nice_step(raw: f64, factors: &[f64]) -> f64 {
    let base = 10f64.powf(raw.log10().floor());
    let steps = factors.iter().map(|factor| factor * base);
    let mut fitting = steps.filter(|step| *step >= raw * (1.0 - 1e-9));
    fitting.next().unwrap_or(f64::NAN)
}

/// Candidate tick sets of a log axis over the exponents [lo, hi], densest first: within each
/// decade at 1, 2 and 5 (when there are few decades), at decades, at every 2nd, 3rd, ... one.
pub(super) fn log(lo: f64, hi: f64, format: TickFormat) -> Vec<Vec<Tick>> {
    let mut sets = Vec::new();
    if hi - lo <= 3.2 {
        if hi - lo <= 1.1 {
            sets.push(log_set(lo, hi, &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0], 1, format));
            sets.push(log_set(lo, hi, &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0], 1, format));
        }
        sets.push(log_set(lo, hi, &[1.0, 2.0, 5.0], 1, format));
        sets.push(log_set(lo, hi, &[1.0, 3.0], 1, format));
    }
    sets.extend((1..=6).map(|every| log_set(lo, hi, &[1.0], every, format)));
    sets
}

fn log_set(lo: f64, hi: f64, within: &[f64], every: i64, format: TickFormat) -> Vec<Tick> {
    let decades = (lo.floor() as i64..=hi.ceil() as i64).filter(|decade| decade.rem_euclid(every) == 0);
    decades
        .flat_map(|decade| within.iter().map(move |factor| factor * 10f64.powi(decade as i32)))
        .map(|value| Tick { at: value.log10(), label: format.tick(value, 0.0) })
        .filter(|tick| tick.at >= lo - 1e-9 && tick.at <= hi + 1e-9)
        .collect()
}

/// The unlabelled grid of a log axis: 2 to 9 within each decade.
pub(super) fn log_minor(lo: f64, hi: f64) -> Vec<f64> {
    if hi - lo > 4.0 {
        return Vec::new();
    }
    (lo.floor() as i32..=hi.ceil() as i32)
        .flat_map(|decade| (2..=9).map(move |factor| f64::from(factor).log10() + f64::from(decade)))
        .filter(|at| *at > lo && *at < hi)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_round_and_inside() {
        assert_eq!(labels(&linear(0.0, 148.0, 5, TickFormat::Number)), ["0", "50", "100"]);
        assert_eq!(labels(&linear(0.0, 0.15, 5, TickFormat::Number)), ["0", "0.05", "0.10", "0.15"]);
        assert_eq!(labels(&linear(0.0, 9000.0, 4, TickFormat::Number)), ["0", "2.5k", "5k", "7.5k"]);
        assert_eq!(labels(&linear(0.0, 2000.0, 4, TickFormat::Ms)), ["0", "500 ms", "1 s", "1.5 s", "2 s"]);
        assert_eq!(labels(&linear(0.0, 1.0, 4, TickFormat::Share)), ["0%", "25%", "50%", "75%", "100%"]);
        assert_eq!(labels(&linear(-1.0, 1.0, 4, TickFormat::Number)), ["-1.0", "-0.5", "0", "0.5", "1.0"]);
    }

    #[test]
    fn counts_have_whole_ticks_only() {
        assert_eq!(labels(&linear(0.0, 1.06, 8, TickFormat::Count)), ["0", "1"]);
        assert_eq!(
            labels(&linear(0.0, 4000.0, 4, TickFormat::Count)),
            ["0", "1,000", "2,000", "3,000", "4,000"]
        );
    }

    #[test]
    fn log_ticks_stand_at_decades_and_between_them_when_there_are_few() {
        let few = log(0.9, 3.1, TickFormat::Ms);
        assert_eq!(labels(&few[0]), ["10 ms", "20 ms", "50 ms", "100 ms", "200 ms", "500 ms", "1 s"]);
        let many = log(-1.0, 6.0, TickFormat::Ms);
        assert_eq!(labels(&many[0])[..3], ["100 µs", "1 ms", "10 ms"]);
        assert_eq!(many[0].len(), 8);
    }

    #[test]
    fn values_keep_three_or_four_digits() {
        let texts =
            [45.8, 140.8, 0.045, 20480.0, 2.0, 0.0, 999.96, 1_234_567.0].map(|v| TickFormat::Number.value(v));
        assert_eq!(texts, ["45.8", "140.8", "0.045", "20,480", "2", "0", "1,000", "1.23M"]);
        assert_eq!(
            TickFormat::Number.column(&[45.8, 46.0, 1234.4, f64::NAN]),
            ["45.8", "46.0", "1,234", "-"]
        );
        assert_eq!(TickFormat::Number.column(&[1.0, 2.5, 14.0]), ["1.0", "2.5", "14.0"]);
        assert_eq!(TickFormat::Number.column(&[5.0, 512.0]), ["5", "512"]);
        let texts = [553.0, 1191.8, 58477.0, 0.25, 42.6].map(|v| TickFormat::Ms.value(v));
        assert_eq!(texts, ["553 ms", "1.19 s", "58.5 s", "250 µs", "42.6 ms"]);
        assert_eq!([1.5e7, 2e18].map(|v| TickFormat::Ms.value(v)), ["15,000 s", "2e15 s"]);
        assert_eq!([1e8, 1e18].map(|v| TickFormat::Ms.tick(v, 0.0)), ["100,000 s", "1e15 s"]);
        assert_eq!([1e-5, 1e-9].map(|v| TickFormat::Number.tick(v, 0.0)), ["0.00001", "1e-9"]);
        assert_eq!([2.5e9, 1.25e18].map(|v| TickFormat::Number.value(v)), ["2.5G", "1.25e18"]);
        assert_eq!(TickFormat::Ms.value(f64::NAN), "-");
        assert_eq!(thousands(-1234567), "-1,234,567");
    }
}
