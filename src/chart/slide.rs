//! The size of a slide: the smaller a picture that fills it, the larger are the texts on it.

use super::draw;
use super::figure::{Figure, Panel, Scale};
use super::layout::{Area, Layout};

/// 16:9, smaller than usual ones, the smallest first.
const SIZES: [(u32, u32); 2] = [(960, 540), (1120, 630)];
/// Least pixels of a plot, and of the height of a row in it.
const PLOT_WIDTH: f64 = 130.0;
const PLOT_HEIGHT: f64 = 90.0;
const ROW: f64 = 26.0;
/// Of a plot of curves, whose axis needs some numbers.
const CURVE_HEIGHT: f64 = 145.0;

/// Gives the pages of a picture the smallest size at which each still says all that it says at the usual
/// one, word for word. Pages that need more than a slide keep what they have.
pub(super) fn enlarge(pages: &mut [Figure]) {
    let usual = Figure::default();
    if pages.iter().any(|page| (page.width, page.height) != (usual.width, usual.height)) {
        return;
    }
    let small = SIZES.into_iter().find(|size| pages.iter().all(|page| fits(page, *size)));
    for page in pages {
        (page.width, page.height) = small.unwrap_or((usual.width, usual.height));
    }
}

fn fits(figure: &Figure, (width, height): (u32, u32)) -> bool {
    // Most pages have too many rows for any: that is known without drawing them.
    if figure.panels.iter().any(|panel| rows(panel) as f64 * ROW > f64::from(height)) {
        return false;
    }
    let small = Figure { width, height, ..figure.clone() };
    let layout = Layout::new(&small);
    let has_size = (layout.width, layout.height) == (f64::from(width), f64::from(height));
    let roomy = |(panel, plot): (&Panel, Area)| {
        let least = match rows(panel) {
            0 => CURVE_HEIGHT,
            rows => PLOT_HEIGHT.max(rows as f64 * ROW),
        };
        plot.width >= PLOT_WIDTH && plot.height >= least
    };
    let plots = layout.panels.iter().map(|plan| plan.plot);
    has_size && small.panels.iter().zip(plots).all(roomy) && says_all(&small, figure)
}

/// Whether the first has every text of the second, as often; the numbers along an axis may be others.
fn says_all(small: &Figure, usual: &Figure) -> bool {
    let layout = Layout::new(usual);
    let axes = layout.panels.iter().flat_map(|plan| [&plan.x, &plan.y]).filter(|axis| !axis.named);
    let numbers: Vec<&str> = axes.flat_map(|axis| &axis.ticks).map(|tick| tick.label.as_str()).collect();
    let mut said = texts(small);
    texts(usual).iter().all(|text| match said.iter().position(|one| one == text) {
        Some(place) => {
            said.swap_remove(place);
            true
        }
        None => numbers.contains(&text.as_str()),
    })
}

fn rows(panel: &Panel) -> usize {
    if let Scale::Names(names) = &panel.y.scale { names.len() } else { 0 }
}

fn texts(figure: &Figure) -> Vec<String> {
    draw::figure(figure).texts.into_iter().map(|text| text.text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Axis, Series, Style};

    fn page(rows: usize) -> Figure {
        let points = (0..rows).map(|row| (10.0 + row as f64, row as f64)).collect();
        let names = (0..rows).map(|row| format!("io512x512_mc{row}_np{row}")).collect();
        let panel = |title: &str| Panel {
            title: title.into(),
            y: Axis::names("", names),
            series: vec![Series::new("", Style::Bars, points)],
            ..Panel::default()
        };
        Figure::new("a model", 1, vec![panel("Total throughput (tokens/s)")])
    }

    fn width(mut pages: Vec<Figure>) -> u32 {
        enlarge(&mut pages);
        assert!(pages.iter().all(|page| page.width * 9 == page.height * 16 && page.width == pages[0].width));
        pages[0].width
    }

    #[test]
    fn few_rows_have_larger_texts_than_many_and_all_pages_the_same() {
        assert_eq!([1, 4, 30].map(|rows| width(vec![page(rows)])), [960, 960, 1280]);
        assert_eq!(width(vec![page(4), page(30)]), 1280);
    }

    #[test]
    fn a_picture_whose_words_would_be_cut_stays_as_it_is() {
        let mut long = page(2);
        long.subtitle = "words ".repeat(24).trim().into();
        assert_eq!(width(vec![long]), 1120);
    }

    #[test]
    fn a_page_that_is_taller_than_a_slide_stays_so() {
        let mut pages = [page(4), Figure { height: 2000, ..page(4) }];
        enlarge(&mut pages);
        assert_eq!(pages.map(|page| page.height), [720, 2000]);
    }
}
