//! The embedded font: how wide a text is, and how to make it fit.
//!
//! The font has no kerning and no other layout table, so the width of a text is the sum of
//! its advances, and measuring agrees with drawing to the pixel.

use std::sync::OnceLock;

/// Latin, signs and the 3,755 Chinese characters of GB2312 level 1; see `font/README.md`.
pub(super) const FONT: &[u8] = include_bytes!("font/RampantSans-Regular.otf");

/// What a viewer of an SVG uses; our own PNG always uses the embedded font.
pub(super) const FAMILY: &str = "Rampant Sans, Noto Sans CJK SC, Noto Sans SC, Source Han Sans SC, PingFang SC, Microsoft YaHei, sans-serif";

/// Width of `text` in pixels at `size` pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// Whether the embedded font can draw `c`.
pub fn has_glyph(c: char) -> bool {
    find(c).is_some()
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

/// In units of the font size; a character that the font lacks is drawn as a box of one.
fn advance(c: char) -> f64 {
    find(c).map_or(1.0, |units| f64::from(units) / 1000.0)
}

fn find(c: char) -> Option<u16> {
    let code = u16::try_from(u32::from(c)).ok()?;
    let table = advances();
    table.binary_search_by_key(&code, |entry| entry.0).ok().map(|i| table[i].1)
}

/// (character, advance) in order of characters, read once from the font's own tables.
fn advances() -> &'static [(u16, u16)] {
    static TABLE: OnceLock<Vec<(u16, u16)>> = OnceLock::new();
    TABLE.get_or_init(read_advances)
}

/// Reads `cmap` (format 4) and `hmtx`. The font is ours, so its layout is an invariant.
fn read_advances() -> Vec<(u16, u16)> {
    let cmap = table(b"cmap");
    let map = &cmap[long(cmap, 8) as usize..];
    assert_eq!(short(map, 0), 4, "the embedded font has a format 4 character map");
    let segments = usize::from(short(map, 6)) / 2;
    let (ends, starts) = (14, 16 + segments * 2);
    let (deltas, offsets) = (starts + segments * 2, starts + segments * 4);
    let hmtx = table(b"hmtx");
    let measured = short(table(b"hhea"), 34);

    let mut found = Vec::with_capacity(4500);
    for segment in 0..segments {
        let at = |list: usize| short(map, list + segment * 2);
        let (start, end, delta, offset) = (at(starts), at(ends), at(deltas), at(offsets));
        for code in (start..=end).filter(|code| *code != 0xFFFF) {
            let glyph = if offset == 0 {
                code.wrapping_add(delta)
            } else {
                let place = offsets + segment * 2 + usize::from(offset) + usize::from(code - start) * 2;
                let glyph = short(map, place);
                if glyph == 0 { 0 } else { glyph.wrapping_add(delta) }
            };
            if glyph != 0 {
                found.push((code, short(hmtx, usize::from(glyph.min(measured - 1)) * 4)));
            }
        }
    }
    found
}

fn table(name: &[u8; 4]) -> &'static [u8] {
    let count = usize::from(short(FONT, 4));
    let entry = (0..count)
        .map(|i| &FONT[12 + i * 16..28 + i * 16])
        .find(|entry| entry.starts_with(name))
        .expect("the embedded font has the table");
    let start = long(entry, 8) as usize;
    &FONT[start..start + long(entry, 12) as usize]
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from(short(bytes, at)) << 16 | u32::from(short(bytes, at + 2))
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
    fn lines_break_between_words_and_between_chinese_characters() {
        assert_eq!(wrap("mean time to first token", 10.0, 80.0, 3), ["mean time to", "first token"]);
        assert_eq!(wrap("平均首令牌时间", 10.0, 40.0, 2), ["平均首令", "牌时间"]);
        assert_eq!(wrap("abc", 10.0, 100.0, 2), ["abc"]);
        assert!(wrap("", 10.0, 100.0, 2).is_empty());
        assert!(wrap("one two three four five six", 10.0, 40.0, 2)[1].ends_with('…'));
    }
}
