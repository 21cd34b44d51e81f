//! The colours of every picture: one calm palette that colour-blind readers can tell apart.

/// Red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

pub(super) const INK: Color = Color(0x1B, 0x24, 0x30);
pub(super) const TEXT: Color = Color(0x5A, 0x66, 0x73);
pub(super) const GRID: Color = Color(0xE6, 0xEA, 0xEE);
pub(super) const GRID_MINOR: Color = Color(0xF3, 0xF5, 0xF7);
pub(super) const AXIS: Color = Color(0x9A, 0xA5, 0xB1);
pub(super) const PAPER: Color = Color(0xFF, 0xFF, 0xFF);
pub(super) const EMPTY: Color = Color(0xF1, 0xF3, 0xF5);

const ACCENTS: [Color; 8] = [
    Color(0x2C, 0x6F, 0xB7), // blue
    Color(0xE3, 0x8B, 0x2A), // orange
    Color(0x1F, 0x9E, 0x89), // teal
    Color(0x8C, 0x67, 0xB3), // violet
    Color(0x6F, 0xB4, 0xE3), // sky
    Color(0xB0, 0x5A, 0x2C), // brown
    Color(0xC9, 0xA9, 0x27), // ochre
    Color(0x4A, 0x55, 0x63), // slate
];

/// What a series is; its colour follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// The next colour of the palette.
    #[default]
    Auto,
    /// This colour of the palette, counted from 0.
    Accent(usize),
    /// Grey: background, waiting.
    Muted,
    /// Red: failures, and nothing else.
    Bad,
}

impl Tone {
    /// The colour of the `place`-th series of a panel.
    pub(super) fn color(self, place: usize) -> Color {
        match self {
            Tone::Auto => accent(place),
            Tone::Accent(i) => accent(i),
            Tone::Muted => Color(0xB4, 0xBC, 0xC5),
            Tone::Bad => Color(0xC8, 0x38, 0x3A),
        }
    }
}

/// The palette, and when it is used up, paler.
fn accent(i: usize) -> Color {
    let color = ACCENTS[i % ACCENTS.len()];
    if (i / ACCENTS.len()).is_multiple_of(2) { color } else { color.mix(PAPER, 0.5) }
}

/// How the cells of a heat map are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourRamp {
    /// Brown (0, worse) over white to green (1, better).
    #[default]
    Verdict,
    /// White (0, little) to dark blue (1, much): says nothing about good and bad.
    Amount,
}

impl ColourRamp {
    /// The colour at `share` (0..1); not a number: empty.
    pub(super) fn color(self, share: f64) -> Color {
        if !share.is_finite() {
            return EMPTY;
        }
        let stops: &[Color] = match self {
            ColourRamp::Verdict => &[
                Color(0xD6, 0x9B, 0x5F),
                Color(0xEB, 0xD2, 0xAE),
                Color(0xF7, 0xF6, 0xF2),
                Color(0xAE, 0xDB, 0xC8),
                Color(0x48, 0xAA, 0x89),
            ],
            ColourRamp::Amount => &[
                Color(0xF7, 0xFA, 0xFD),
                Color(0xC9, 0xDD, 0xF0),
                Color(0x85, 0xB5, 0xDD),
                Color(0x3F, 0x80, 0xBF),
                Color(0x1C, 0x4A, 0x85),
            ],
        };
        let place = share.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
        let below = (place as usize).min(stops.len() - 2);
        stops[below].mix(stops[below + 1], place - below as f64)
    }
}

impl Color {
    /// `#rrggbb`.
    pub(super) fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    pub(super) fn mix(self, other: Color, share: f64) -> Color {
        let one = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
        Color(one(self.0, other.0), one(self.1, other.1), one(self.2, other.2))
    }

    /// Ink or paper: what can be read on this colour.
    pub(super) fn readable(self) -> Color {
        let bright = 0.299 * f64::from(self.0) + 0.587 * f64::from(self.1) + 0.114 * f64::from(self.2);
        if bright > 118.0 { INK } else { PAPER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_runs_from_brown_over_white_to_green() {
        let (bad, even, good) =
            (ColourRamp::Verdict.color(0.0), ColourRamp::Verdict.color(0.5), ColourRamp::Verdict.color(1.0));
        assert!(bad.0 > bad.1 && bad.1 > bad.2);
        assert!(even.0 > 240 && even.1 > 240 && even.2 > 235);
        assert!(good.1 > good.0 && good.1 > good.2);
        assert_eq!(ColourRamp::Verdict.color(f64::NAN), EMPTY);
        assert_eq!(ColourRamp::Verdict.color(7.0), good);
    }

    #[test]
    fn text_on_a_dark_cell_is_white_and_on_a_light_one_dark() {
        assert_eq!(ColourRamp::Amount.color(1.0).readable(), PAPER);
        assert_eq!(ColourRamp::Amount.color(0.0).readable(), INK);
    }
}
