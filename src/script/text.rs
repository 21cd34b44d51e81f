//! A value of a script as text, of which there may be too much.

use rhai::{Array, Dynamic, ImmutableString, Map};
use std::fmt::Write;

/// Lists in lists and maps in maps, at most.
pub const DEPTH_MAX: usize = 100;

/// A value as `print` shows it, with `...` in the place of what is beyond `most` bytes or nests
/// too deeply. `leaf` shows a value that is neither a list nor a map.
pub fn text(value: &Dynamic, most: usize, leaf: &mut dyn FnMut(&Dynamic) -> String) -> String {
    let mut out = String::new();
    write_value(value, 0, most, leaf, &mut out);
    out
}

fn write_value(
    value: &Dynamic,
    depth: usize,
    most: usize,
    leaf: &mut dyn FnMut(&Dynamic) -> String,
    out: &mut String,
) {
    if out.len() > most || depth > DEPTH_MAX {
        out.push_str("...");
    } else if let Some(list) = value.read_lock::<Array>() {
        out.push('[');
        for (i, item) in list.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { ", " });
            write_value(item, depth + 1, most, leaf, out);
            if out.len() > most {
                break;
            }
        }
        out.push(']');
    } else if let Some(map) = value.read_lock::<Map>() {
        out.push_str("#{");
        for (i, (key, item)) in map.iter().enumerate() {
            let _ = write!(out, "{}{key:?}: ", if i == 0 { "" } else { ", " });
            write_value(item, depth + 1, most, leaf, out);
            if out.len() > most {
                break;
            }
        }
        out.push('}');
    } else if let Some(text) = value.read_lock::<ImmutableString>()
        && out.len() + text.len() > most
    {
        let cut: String = text.chars().take(most - out.len().min(most)).collect();
        let _ = write!(out, "{cut:?}...");
        // Nothing comes after it.
        out.push_str(&" ".repeat((most + 1).saturating_sub(out.len()).min(4)));
    } else {
        out.push_str(&leaf(value));
    }
}
