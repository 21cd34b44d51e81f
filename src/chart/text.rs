//! The embedded font: how wide a text is, and how to make it fit.
//!
//! The font has no kerning and no other layout table, so the width of a text is the sum of
//! its advances, and measuring agrees with drawing to the pixel.

use std::sync::OnceLock;
use ttf_parser::{Face, GlyphId};
use unicode_width::UnicodeWidthChar;

/// Latin, signs and the 3,755 Chinese characters of GB2312 level 1; see `font/README.md`.
pub(super) const FONT: &[u8] = include_bytes!("font/RampantSans-Regular.otf");

/// What a viewer of an SVG uses; our own PNG always uses the embedded font.
pub(super) const FAMILY: &str = "Rampant Sans, Noto Sans CJK SC, Noto Sans SC, Source Han Sans SC, PingFang SC, Microsoft YaHei, sans-serif";

/// Width of `text` in pixels at `size` pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// Whether the embedded font can draw `c`, if it takes any place.
pub fn has_glyph(c: char) -> bool {
    index(c).is_some() || c.width() == Some(0)
}

/// `text`, or its beginning with an ellipsis when it is wider than `limit`.
pub(super) fn cut(text: &str, size: f64, limit: f64) -> String {
    if width(text, size) <= limit {
        return text.to_owned();
    }
    let mut room = limit - width("…", size);
    let mut kept = String::new();
    for c in text.chars() {
        room -= advance(c) * size;
        if room < 0.0 {
            break;
        }
        kept.push(c);
    }
    format!("{}…", kept.trim_end())
}

/// `text`, or its beginning and its end with an ellipsis between them when it is wider than `limit`.
pub(super) fn elide(text: &str, size: f64, limit: f64) -> String {
    elided(text, limit / size, advance)
}

/// The same in any unit in which letters have a width: columns of a terminal, or letters.
pub fn elided(text: &str, limit: f64, advance: impl Fn(char) -> f64) -> String {
    let wide = |text: &str| text.chars().map(&advance).sum::<f64>();
    if wide(text) <= limit {
        return text.to_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    let room = limit - advance('…');
    let (mut head, mut tail, mut used) = (0, letters.len(), 0.0);
    // A little more of the end, which tells apart what begins alike.
    while head < tail {
        let from_end = letters.len() - tail <= head + 1;
        used += advance(letters[if from_end { tail - 1 } else { head }]);
        if used > room {
            break;
        }
        if from_end { tail -= 1 } else { head += 1 }
    }
    let part = |letters: &[char]| letters.iter().collect::<String>();
    format!("{}…{}", part(&letters[..head]).trim_end(), part(&letters[tail..]).trim_start())
}

/// `text` in at most `lines` lines of at most `limit` pixels; the last is cut with an ellipsis.
pub(super) fn wrap(text: &str, size: f64, limit: f64, lines: usize) -> Vec<String> {
    let mut done: Vec<String> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && done.len() < lines {
        if done.len() + 1 == lines {
            done.push(cut(rest, size, limit));
            break;
        }
        let (line, after) = rest.split_at(line_end(rest, size, limit));
        done.push(line.trim_end().to_owned());
        rest = after.trim_start();
    }
    done
}

/// The same in lines about as long as each other: no single character or word is left over.
pub(super) fn balanced(text: &str, size: f64, limit: f64, lines: usize) -> Vec<String> {
    let widest = wrap(text, size, limit, lines);
    if widest.len() < 2 {
        return widest;
    }
    // No word is broken that need not be.
    let words = text.split(' ').filter(|word| word.is_ascii()).map(|word| width(word, size));
    let least = words.fold(0.0, f64::max);
    let narrower = (1..20).map(|step| limit * (1.0 - 0.05 * f64::from(step)));
    let fits =
        |tried: &Vec<String>| tried.len() == widest.len() && tried.iter().all(|line| !line.ends_with('…'));
    let tries = narrower.take_while(|limit| *limit >= least).map(|limit| wrap(text, size, limit, lines));
    tries.take_while(fits).last().unwrap_or_else(|| widest.clone())
}

/// Where the first line of `text` ends: before the last word, or the last Chinese character,
/// that passes the limit.
fn line_end(text: &str, size: f64, limit: f64) -> usize {
    let mut used = 0.0;
    let mut last = None;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        let breaks = c != ' ' && (previous == ' ' || is_chinese(c) || is_chinese(previous));
        if at > 0 && breaks && !",.;:)，。；：）、".contains(c) {
            last = Some(at);
        }
        used += advance(c) * size;
        if used > limit && c != ' ' {
            return last.unwrap_or(at.max(c.len_utf8()));
        }
        previous = c;
    }
    text.len()
}

fn is_chinese(c: char) -> bool {
    ('\u{4E00}'..='\u{9FFF}').contains(&c)
}

/// In units of the font size.
fn advance(c: char) -> f64 {
    glyph(c).map_or(0.0, |(_, advance)| advance)
}

/// What is drawn of `text`: glyphs of [`face`], and how far it is to the next in units of the font size.
pub(super) fn glyphs(text: &str) -> impl Iterator<Item = (GlyphId, f64)> {
    text.chars().filter_map(glyph)
}

/// A character that the font lacks is a box; one that takes no place (joiners, selectors) is nothing.
fn glyph(c: char) -> Option<(GlyphId, f64)> {
    let face = face();
    let Some(glyph) = index(c) else {
        return (c.width() != Some(0)).then_some((GlyphId(0), 1.0));
    };
    let units = face.glyph_hor_advance(glyph).unwrap_or(face.units_per_em());
    Some((glyph, f64::from(units) / f64::from(face.units_per_em())))
}

/// Glyph 0 is the box of what is missing.
fn index(c: char) -> Option<GlyphId> {
    face().glyph_index(c).filter(|glyph| glyph.0 != 0)
}

/// The embedded font, its tables found once.
pub(super) fn face() -> &'static Face<'static> {
    static FACE: OnceLock<Face<'static>> = OnceLock::new();
    FACE.get_or_init(|| Face::parse(FONT, 0).expect("the embedded font is one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_and_chinese_have_their_own_widths() {
        assert_eq!(width("吞吐量", 10.0), 30.0);
        assert!((width("0000", 1000.0) - 4.0 * 555.0).abs() < 1.0);
        assert!(width("iii", 10.0) < width("mmm", 10.0));
    }

    #[test]
    fn signs_of_our_texts_have_glyphs_and_rare_ones_do_not() {
        for c in "µ×≤≥–—…·±≈σ→←“”‘’%（），。：延迟分布啊齄".chars().filter(|c| *c != '齄')
        {
            assert!(has_glyph(c), "no glyph for {c}");
        }
        assert!(!has_glyph('齉'));
        assert!(!has_glyph('😀'));
    }

    #[test]
    fn a_cut_text_is_never_wider_than_its_limit() {
        let text = "DeepSeek-R1-Distill-Qwen-32B 吞吐量对比";
        for limit in 20..300 {
            assert!(width(&cut(text, 12.0, f64::from(limit)), 12.0) <= f64::from(limit));
        }
        assert_eq!(cut("short", 12.0, 100.0), "short");
    }

    #[test]
    fn an_elided_text_keeps_its_beginning_and_its_end() {
        let one = |_: char| 1.0;
        assert_eq!(elided("abcdefghij", 7.0, one), "ab…ghij");
        assert_eq!(elided("abcdefghij", 10.0, one), "abcdefghij");
        for limit in 20..300 {
            let text = elide("DeepSeek-R1-Distill-Qwen-32B 吞吐量对比 io1_mc4", 12.0, f64::from(limit));
            assert!(width(&text, 12.0) <= f64::from(limit), "{text}");
        }
    }

    #[test]
    fn lines_break_between_words_and_between_chinese_characters() {
        assert_eq!(wrap("mean time to first token", 10.0, 80.0, 3), ["mean time to", "first token"]);
        assert_eq!(balanced("平均首令牌时间", 10.0, 60.0, 3), ["平均首令", "牌时间"]);
        assert_eq!(balanced("Output tokens/s per GPU", 10.0, 80.0, 3), ["Output tokens/s", "per GPU"]);
        assert_eq!(balanced("abc", 10.0, 100.0, 2), ["abc"]);
        assert_eq!(wrap("平均首令牌时间", 10.0, 40.0, 2), ["平均首令", "牌时间"]);
        assert_eq!(wrap("abc", 10.0, 100.0, 2), ["abc"]);
        assert!(wrap("", 10.0, 100.0, 2).is_empty());
        assert!(wrap("one two three four five six", 10.0, 40.0, 2)[1].ends_with('…'));
    }
}
