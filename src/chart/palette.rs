//! The colours of every picture: one calm palette that colour-blind readers can tell apart.

/// Red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

/// The colours of a picture that is light or dark.
#[derive(Debug)]
pub(super) struct Palette {
    pub ink: Color,
    pub text: Color,
    pub grid: Color,
    pub grid_minor: Color,
    pub axis: Color,
    pub paper: Color,
    empty: Color,
    muted: Color,
    bad: Color,
    accents: [Color; 8],
    verdict: [Color; 5],
    amount: [Color; 5],
}

/// Whether a picture is drawn on white paper or on a dark slide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    #[default]
    Light,
    Dark,
}

static LIGHT: Palette = Palette {
    ink: Color(0x1B, 0x24, 0x30),
    text: Color(0x5A, 0x66, 0x73),
    grid: Color(0xE6, 0xEA, 0xEE),
    grid_minor: Color(0xF3, 0xF5, 0xF7),
    axis: Color(0x9A, 0xA5, 0xB1),
    paper: Color(0xFF, 0xFF, 0xFF),
    empty: Color(0xF1, 0xF3, 0xF5),
    muted: Color(0xB4, 0xBC, 0xC5),
    bad: Color(0xC8, 0x38, 0x3A),
    accents: [
        Color(0x2C, 0x6F, 0xB7), // blue
        Color(0xE3, 0x8B, 0x2A), // orange
        Color(0x1F, 0x9E, 0x89), // teal
        Color(0x8C, 0x67, 0xB3), // violet
        Color(0x6F, 0xB4, 0xE3), // sky
        Color(0xB0, 0x5A, 0x2C), // brown
        Color(0xC9, 0xA9, 0x27), // ochre
        Color(0x4A, 0x55, 0x63), // slate
    ],
    verdict: [
        Color(0xD6, 0x9B, 0x5F),
        Color(0xEB, 0xD2, 0xAE),
        Color(0xF7, 0xF6, 0xF2),
        Color(0xAE, 0xDB, 0xC8),
        Color(0x48, 0xAA, 0x89),
    ],
    amount: [
        Color(0xF7, 0xFA, 0xFD),
        Color(0xC9, 0xDD, 0xF0),
        Color(0x85, 0xB5, 0xDD),
        Color(0x3F, 0x80, 0xBF),
        Color(0x1C, 0x4A, 0x85),
    ],
};

static DARK: Palette = Palette {
    ink: Color(0xEE, 0xF2, 0xF6),
    text: Color(0xA9, 0xB4, 0xC0),
    grid: Color(0x2B, 0x34, 0x3F),
    grid_minor: Color(0x21, 0x29, 0x33),
    axis: Color(0x6B, 0x77, 0x84),
    paper: Color(0x16, 0x1B, 0x22),
    empty: Color(0x20, 0x27, 0x30),
    muted: Color(0x5B, 0x66, 0x73),
    bad: Color(0xF0, 0x6A, 0x6A),
    accents: [
        Color(0x5B, 0x9F, 0xE8),
        Color(0xF0, 0xA2, 0x4B),
        Color(0x3E, 0xC3, 0xAA),
        Color(0xB3, 0x91, 0xDC),
        Color(0x95, 0xD0, 0xF7),
        Color(0xD9, 0x83, 0x55),
        Color(0xE2, 0xC5, 0x4A),
        Color(0x9A, 0xA8, 0xB8),
    ],
    verdict: [
        Color(0x9A, 0x5F, 0x2B),
        Color(0x63, 0x48, 0x2E),
        Color(0x2F, 0x36, 0x3D),
        Color(0x28, 0x58, 0x4B),
        Color(0x1F, 0x7D, 0x60),
    ],
    amount: [
        Color(0x1D, 0x26, 0x31),
        Color(0x1F, 0x3F, 0x63),
        Color(0x2A, 0x62, 0x9B),
        Color(0x4C, 0x93, 0xD1),
        Color(0xA5, 0xCF, 0xF5),
    ],
};

impl Theme {
    /// With their names on the command line and in scripts.
    pub const ALL: [(&str, Theme); 2] = [("light", Theme::Light), ("dark", Theme::Dark)];

    pub(super) fn palette(self) -> &'static Palette {
        match self {
            Theme::Light => &LIGHT,
            Theme::Dark => &DARK,
        }
    }
}

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
    /// As dark as the text: a rule that is no series.
    Ink,
}

impl Palette {
    /// The colour of the `place`-th series of a panel.
    pub fn tone(&self, tone: Tone, place: usize) -> Color {
        match tone {
            Tone::Auto => self.accent(place),
            Tone::Accent(i) => self.accent(i),
            Tone::Muted => self.muted,
            Tone::Bad => self.bad,
            Tone::Ink => self.ink,
        }
    }

    /// The palette, and when it is used up, nearer to the paper.
    fn accent(&self, i: usize) -> Color {
        let color = self.accents[i % self.accents.len()];
        if (i / self.accents.len()).is_multiple_of(2) { color } else { color.mix(self.paper, 0.5) }
    }

    /// The colour of a heat map's cell at `share` (0..1); not a number: empty.
    pub fn ramp(&self, ramp: ColourRamp, share: f64) -> Color {
        let stops = match ramp {
            ColourRamp::Table => return self.paper,
            _ if !share.is_finite() => return self.empty,
            ColourRamp::Verdict => &self.verdict,
            ColourRamp::Amount => &self.amount,
        };
        let place = share.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
        let below = (place as usize).min(stops.len() - 2);
        stops[below].mix(stops[below + 1], place - below as f64)
    }
}

/// How the cells of a heat map are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourRamp {
    /// Brown (0, worse) over white to green (1, better).
    #[default]
    Verdict,
    /// White (0, little) to dark blue (1, much): says nothing about good and bad.
    Amount,
    /// None: the cells of a table.
    Table,
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

    /// Ink or paper: what can be read better on this colour.
    pub(super) fn readable(self) -> Color {
        let [ink, paper] = [LIGHT.ink, LIGHT.paper];
        if self.contrast(ink) > self.contrast(paper) { ink } else { paper }
    }

    /// From 1, the same brightness, to 21, black on white: the contrast ratio of WCAG 2.1.
    fn contrast(self, other: Color) -> f64 {
        let (a, b) = (self.luminance() + 0.05, other.luminance() + 0.05);
        a.max(b) / a.min(b)
    }

    /// The relative luminance of WCAG 2.1, from 0 to 1.
    fn luminance(self) -> f64 {
        let linear = |byte: u8| {
            let share = f64::from(byte) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_runs_from_brown_over_paper_to_green() {
        for theme in [Theme::Light, Theme::Dark] {
            let palette = theme.palette();
            let [bad, even, good] = [0.0, 0.5, 1.0].map(|share| palette.ramp(ColourRamp::Verdict, share));
            assert!(bad.0 > bad.1 && bad.1 > bad.2);
            assert!(good.1 > good.0 && good.1 > good.2);
            let off = |a: u8, b: u8| a.abs_diff(b);
            assert!(off(even.0, even.1) < 12 && off(even.1, palette.paper.1) < 40, "{even:?}");
            assert_eq!(palette.ramp(ColourRamp::Verdict, f64::NAN), palette.empty);
            assert_eq!(palette.ramp(ColourRamp::Verdict, 7.0), good);
        }
    }

    #[test]
    fn text_on_a_dark_cell_is_white_and_on_a_light_one_dark() {
        let color = |share| LIGHT.ramp(ColourRamp::Amount, share).readable();
        assert_eq!([color(1.0), color(0.0)], [LIGHT.paper, LIGHT.ink]);
    }

    #[test]
    fn the_text_of_a_cell_can_be_read_on_every_colour() {
        for theme in [Theme::Light, Theme::Dark] {
            for (ramp, least) in [(ColourRamp::Verdict, 4.5), (ColourRamp::Amount, 3.9)] {
                for step in 0..=100 {
                    let color = theme.palette().ramp(ramp, f64::from(step) / 100.0);
                    let contrast = color.contrast(color.readable());
                    assert!(contrast >= least, "{theme:?} {ramp:?} {step}: {contrast}");
                }
            }
        }
    }

    #[test]
    fn every_colour_can_be_told_from_its_paper() {
        let bright = |c: Color| 0.299 * f64::from(c.0) + 0.587 * f64::from(c.1) + 0.114 * f64::from(c.2);
        for palette in [&LIGHT, &DARK] {
            let paper = bright(palette.paper);
            let texts = [palette.ink, palette.text, palette.bad, palette.muted];
            for color in palette.accents.into_iter().chain(texts) {
                assert!((bright(color) - paper).abs() > 60.0, "{color:?}");
            }
        }
    }
}
