//! What holds for every picture, checked over a gallery of ordinary and awkward ones.

use super::canvas::{Anchor, Canvas, CanvasShape, Fill, Ink, TextBox};
use super::compare::Comparison;
use super::gallery::{compare_figures, forests, gallery, of_measured, run_figures};
use super::generic::{self, Chart};
use super::palette::Color;
use super::{Figure, draw, has_glyph, png};
use std::io::Read;

fn overlap(a: &TextBox, b: &TextBox) -> bool {
    let slack = 0.5;
    a.left + slack < b.right
        && b.left + slack < a.right
        && a.top + slack < b.bottom
        && b.top + slack < a.bottom
}

fn faults(figure: &Figure) -> Vec<String> {
    let canvas = draw::figure(figure);
    let mut faults = Vec::new();
    for (i, text) in canvas.texts.iter().enumerate() {
        if text.left < 0.0 || text.top < 0.0 || text.right > canvas.width || text.bottom > canvas.height {
            faults.push(format!("outside: {text:?}"));
        }
        faults.extend(
            canvas.texts[i + 1..]
                .iter()
                .filter(|other| overlap(text, other))
                .map(|other| format!("overlap: {text:?} {other:?}")),
        );
    }
    faults
}

#[test]
fn no_text_leaves_the_picture_and_no_two_overlap() {
    for (name, figure) in gallery() {
        assert_eq!(faults(&figure), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn our_own_pictures_are_slides_whatever_there_is() {
    for (name, figure) in [compare_figures(), run_figures(), forests()].concat() {
        let canvas = draw::figure(&figure);
        assert_eq!(canvas.width * 9.0, canvas.height * 16.0, "{name}");
        assert!((960.0..=1280.0).contains(&canvas.width), "{name}: {}", canvas.width);
    }
}

/// What a Chinese picture may hold in Latin letters: terms of the field, verdicts as every table has them, and
/// the names of what the gallery measures.
const LATIN: &str = "TTFT ITL TPOT GPU metrics all_failed client_bound cache_contaminated \
                     DeepSeek Llama Qwen Instruct ttft tpot itl e2el mean output_tokens rate";

#[test]
fn a_picture_speaks_one_language() {
    let chinese = |c: char| matches!(c, '\u{3000}'..='\u{9FFF}' | '\u{FF00}'..='\u{FFEF}');
    for (name, figure) in [compare_figures(), run_figures(), forests()].concat() {
        let texts: Vec<String> = draw::figure(&figure).texts.into_iter().map(|text| text.text).collect();
        if name.contains("_en") {
            let other: Vec<&String> = texts.iter().filter(|text| text.contains(chinese)).collect();
            assert!(other.is_empty(), "{name}: {other:?}");
            continue;
        }
        assert!(texts.concat().contains(chinese), "{name}: {texts:?}");
        for word in texts.iter().flat_map(|text| text.split(|c: char| !c.is_ascii_alphabetic())) {
            assert!(word.len() <= 2 || LATIN.contains(word), "{name} says {word:?} in English");
        }
    }
}

#[test]
fn a_picture_that_is_too_small_grows_before_texts_overlap() {
    for (name, mut figure) in gallery().into_iter().filter(|(name, _)| !name.contains("_zh-")) {
        figure.width = 560;
        figure.height = 200;
        assert_eq!(faults(&figure), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn every_svg_is_well_formed_and_the_same_each_time() {
    for (name, figure) in gallery() {
        let svg = figure.svg();
        assert!(roxmltree::Document::parse(&svg).is_ok(), "{name}");
        assert_eq!(svg, figure.svg(), "{name}");
    }
}

#[test]
fn every_built_in_text_has_glyphs() {
    for (name, figure) in gallery() {
        for text in draw::figure(&figure).texts {
            let missing: Vec<char> = text.text.chars().filter(|c| !has_glyph(*c)).collect();
            assert!(missing.is_empty(), "{name}: {missing:?} in \"{}\"", text.text);
        }
    }
}

#[test]
fn a_measured_text_is_as_wide_as_it_is_drawn() {
    let figure = of_measured(Comparison::HeatMap);
    let canvas = draw::figure(&figure);
    let drawn = canvas.shapes.iter().filter_map(|shape| match shape {
        CanvasShape::Text { text, ink, .. } => {
            png::outline(text, *ink).map(|path| f64::from(path.bounds().width()))
        }
        _ => None,
    });
    let drawn: Vec<f64> = drawn.collect();
    assert_eq!(drawn.len(), canvas.texts.len());
    for (text, width) in canvas.texts.iter().zip(drawn) {
        // An upright text's box is as high as the text is wide.
        let measured = (text.right - text.left).max(text.bottom - text.top);
        assert!(
            (measured - width).abs() < 0.02 * measured + 2.5,
            "{} is {width}, measured {measured}",
            text.text
        );
    }
}

#[test]
fn a_png_is_twice_the_size_and_shows_something() {
    let figure = of_measured(Comparison::Throughput);
    let picture = png::paint(&draw::figure(&figure)).unwrap();
    assert_eq!((picture.width(), picture.height()), (2 * figure.width, 2 * figure.height));
    let white = picture.pixels().iter().filter(|p| (p.red(), p.green(), p.blue()) == (255, 255, 255)).count();
    let share = white as f64 / picture.pixels().len() as f64;
    assert!((0.5..0.97).contains(&share), "{share} of the picture is white");
    assert!(picture.pixels().iter().all(|pixel| pixel.is_opaque()));

    let file = figure.png().unwrap();
    assert_eq!(file[..16], *b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR");
    let sizes = [&file[16..20], &file[20..24]].map(|four| u32::from_be_bytes(four.try_into().unwrap()));
    assert_eq!(sizes, [picture.width(), picture.height()]);
    let (start, end) = (41, file.len() - 16);
    assert_eq!((&file[start - 4..start], &file[end + 8..end + 12]), (&b"IDAT"[..], &b"IEND"[..]));
    let mut lines = Vec::new();
    flate2::read::ZlibDecoder::new(&file[start..end]).read_to_end(&mut lines).unwrap();
    let wide = picture.width() as usize;
    for (line, pixels) in lines.chunks(1 + 3 * wide).zip(picture.pixels().chunks(wide)) {
        let colors: Vec<u8> = pixels.iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect();
        assert_eq!((line[0], &line[1..]), (0, &colors[..]));
    }
}

/// The pixel at a place of the picture.
fn pixel(canvas: &Canvas, (x, y): (u32, u32)) -> (u8, u8, u8) {
    let picture = png::paint(canvas).unwrap();
    let pixel = picture.pixel(x * png::SCALE, y * png::SCALE).unwrap();
    (pixel.red(), pixel.green(), pixel.blue())
}

#[test]
fn a_png_mixes_what_lets_through_and_shows_nothing_outside_a_clip() {
    let mut canvas = Canvas::new(40.0, 20.0);
    canvas.clip((10.0, 0.0), (10.0, 20.0));
    canvas.rect((0.0, 0.0), (40.0, 20.0), Fill::new(Color(200, 0, 0), 0.5));
    canvas.unclip();
    canvas.rect((30.0, 0.0), (10.0, 20.0), Color(0, 0, 200));
    assert_eq!(pixel(&canvas, (5, 10)), (255, 255, 255));
    let (red, green, blue) = pixel(&canvas, (15, 10));
    assert!(red.abs_diff(227) < 2 && green.abs_diff(127) < 2 && blue == green, "{red} {green} {blue}");
    assert_eq!(pixel(&canvas, (25, 10)), (255, 255, 255));
    assert_eq!(pixel(&canvas, (35, 10)), (0, 0, 200));
}

#[test]
fn a_png_has_its_texts_where_their_boxes_are() {
    let ends = [Anchor::Start, Anchor::Middle, Anchor::End];
    for (anchor, upright) in ends.into_iter().flat_map(|anchor| [(anchor, false), (anchor, true)]) {
        let mut canvas = Canvas::new(200.0, 200.0);
        let ink = Ink { upright, ..Ink::new(20.0, Color(0, 0, 0)).anchor(anchor) };
        canvas.text("Hm 吞吐量", (100.0, 100.0), ink);
        let picture = png::paint(&canvas).unwrap();
        let dark = |at: &usize| picture.pixels()[*at].red() < 128;
        let wide = picture.width() as usize;
        let marked: Vec<usize> = (0..picture.pixels().len()).filter(dark).collect();
        let scale = f64::from(png::SCALE);
        let place = |at: usize| at as f64 / scale;
        let xs = marked.iter().map(|at| place(at % wide));
        let ys = marked.iter().map(|at| place(at / wide));
        let (left, right) = (xs.clone().fold(f64::MAX, f64::min), xs.fold(0.0, f64::max));
        let (top, bottom) = (ys.clone().fold(f64::MAX, f64::min), ys.fold(0.0, f64::max));
        let text = &canvas.texts[0];
        let near = |drawn: f64, told: f64| (drawn - told).abs() < 4.0;
        let all = near(left, text.left) && near(right, text.right) && near(top, text.top);
        assert!(
            all && near(bottom, text.bottom),
            "{anchor:?} {upright}: {left} {top} {right} {bottom} {text:?}"
        );
    }
}

#[test]
fn a_title_from_outside_cannot_break_the_document() {
    let chart = Chart { title: "a < b & \"c\" \u{0} \u{1b}[0m 😀 </svg>".into(), ..Chart::default() };
    let figure =
        generic::line(chart, vec![("<&>".into(), vec![(0.0, 1.0), (1.0, f64::INFINITY), (2.0, -1e300)])]);
    assert!(roxmltree::Document::parse(&figure.svg()).is_ok());
}

#[test]
fn the_ending_of_a_file_says_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let figure = generic::line(Chart::default(), vec![(String::new(), vec![(0.0, 1.0), (1.0, 2.0)])]);
    figure.save(&folder.path().join("a.svg")).unwrap();
    figure.save(&folder.path().join("a.PNG")).unwrap();
    assert!(std::fs::read_to_string(folder.path().join("a.svg")).unwrap().starts_with("<svg"));
    assert!(std::fs::read(folder.path().join("a.PNG")).unwrap().starts_with(b"\x89PNG"));
    let error = figure.save(&folder.path().join("a.gif")).unwrap_err();
    assert!(error.to_string().contains("a.gif") && error.hint.unwrap().contains(".svg"));
}
