//! Functions of the language by which a small value becomes a large one in a single step: here
//! they look first whether there is room. Each does what the one of the language does.

use std::sync::Arc;

use rhai::{Array, Blob, Dynamic, Engine, ImmutableString, Map, NativeCallContext};

use crate::error::Error;
use crate::script::fault::{Fallible, raise};
use crate::script::json;
use crate::script::state::State;
use crate::script::text::text;
use crate::script::weight::{TEXT_MAX, need_room, weigh};

/// What one more item of a list of texts takes.
const ITEM: usize = 96;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    joining(engine);
    padding(engine);
    replacing(engine);
    splitting(engine);
    writing(engine);
}

/// A length as the language takes it: below 0 is 0.
fn length(len: i64) -> usize {
    usize::try_from(len.max(0)).unwrap_or(usize::MAX)
}

/// `a += a` doubles what there is. The right side of two lists is a copy already.
fn joining(engine: &mut Engine) {
    type Text = ImmutableString;
    fn texts(left: &Text, right: &Text) -> Fallible<()> {
        need_room("+", left.len() + right.len())
    }
    engine.register_fn("+", |left: Text, right: Text| texts(&left, &right).map(|()| left + right));
    engine.register_fn("+=", |left: &mut Text, right: Text| {
        texts(left, &right).map(|()| *left += right.as_str())
    });
    for name in ["append", "+="] {
        engine.register_fn(name, |left: &mut Array, right: Array| -> Fallible<()> {
            need_room(name, 16 * (left.len() + right.len()))?;
            left.extend(right);
            Ok(())
        });
        engine.register_fn(name, |left: &mut Blob, right: Blob| -> Fallible<()> {
            need_room(name, left.len() + right.len())?;
            left.extend(right);
            Ok(())
        });
    }
    engine.register_fn("+", |mut left: Array, right: Array| -> Fallible<Array> {
        need_room("+", 16 * (left.len() + right.len()))?;
        left.extend(right);
        Ok(left)
    });
    engine.register_fn("+", |mut left: Blob, right: Blob| -> Fallible<Blob> {
        need_room("+", left.len() + right.len())?;
        left.extend(right);
        Ok(left)
    });
}

fn padding(engine: &mut Engine) {
    engine.register_fn("pad", |text: &mut ImmutableString, len: i64, c: char| {
        pad(text, len, c.encode_utf8(&mut [0; 4]))
    });
    engine.register_fn("pad", |text: &mut ImmutableString, len: i64, filling: ImmutableString| {
        pad(text, len, &filling)
    });
    engine.register_fn("pad", |list: &mut Array, len: i64, item: Dynamic| -> Fallible<()> {
        let more = length(len).saturating_sub(list.len());
        if more > 0 {
            need_room("pad", more.saturating_mul(16 + held(&item, 0)))?;
            list.resize(length(len), item);
        }
        Ok(())
    });
    engine.register_fn("pad", |blob: &mut Blob, len: i64, value: i64| -> Fallible<()> {
        let more = length(len).saturating_sub(blob.len());
        if more > 0 {
            need_room("pad", more)?;
            blob.resize(length(len), (value & 0xff) as u8);
        }
        Ok(())
    });
    engine.register_fn("blob", |len: i64| blob(len, 0));
    engine.register_fn("blob", blob);
}

fn blob(len: i64, value: i64) -> Fallible<Blob> {
    need_room("blob", length(len))?;
    Ok(vec![(value & 0xff) as u8; length(len)])
}

fn pad(text: &mut ImmutableString, len: i64, filling: &str) -> Fallible<()> {
    let more = length(len).saturating_sub(text.chars().count());
    if more == 0 || filling.is_empty() {
        return Ok(());
    }
    let width = filling.chars().count();
    need_room("pad", (more / width + 1).saturating_mul(2 * filling.len()))?;
    let (whole, rest) = (more / width, more % width);
    let mut longer = String::with_capacity(text.len() + (whole + 1) * filling.len());
    longer.push_str(text.as_str());
    longer.push_str(&filling.repeat(whole));
    longer.extend(filling.chars().take(rest));
    *text = longer.into();
    Ok(())
}

/// Roughly the bytes of a copy: texts are shared, lists and maps are not.
fn held(value: &Dynamic, depth: usize) -> usize {
    if depth > 64 {
        return 0;
    }
    let inside = |values: &mut dyn Iterator<Item = &Dynamic>, each: usize| -> usize {
        values.map(|value| each + held(value, depth + 1)).fold(24, usize::saturating_add)
    };
    if let Some(list) = value.read_lock::<Array>() {
        inside(&mut list.iter(), 16)
    } else if let Some(map) = value.read_lock::<Map>() {
        inside(&mut map.values(), 64).saturating_add(400)
    } else {
        value.read_lock::<Blob>().map_or(0, |blob| blob.len())
    }
}

fn replacing(engine: &mut Engine) {
    fn replace(text: &mut ImmutableString, from: &str, to: &str) -> Fallible<()> {
        let more = to.len().saturating_sub(from.len());
        if more > 0 {
            need_room("replace", text.matches(from).count().saturating_mul(more).saturating_add(text.len()))?;
        }
        *text = text.replace(from, to).into();
        Ok(())
    }
    fn one(c: char) -> String {
        c.to_string()
    }
    type Text = ImmutableString;
    engine.register_fn("replace", |text: &mut Text, from: Text, to: Text| replace(text, &from, &to));
    engine.register_fn("replace", |text: &mut Text, from: Text, to: char| replace(text, &from, &one(to)));
    engine.register_fn("replace", |text: &mut Text, from: char, to: Text| replace(text, &one(from), &to));
    engine
        .register_fn("replace", |text: &mut Text, from: char, to: char| replace(text, &one(from), &one(to)));
}

/// Pieces of a text as a list of at most `most`, once there is room for them.
fn pieces<'a>(text: &str, count: usize, pieces: impl Iterator<Item = &'a str>) -> Fallible<Array> {
    need_room("split", count.saturating_mul(ITEM).saturating_add(text.len()))?;
    Ok(pieces.map(Into::into).collect())
}

fn splitting(engine: &mut Engine) {
    type Text = ImmutableString;
    /// At least one piece, as the language has it.
    fn limit(n: i64) -> usize {
        length(n).max(1)
    }
    engine.register_fn("split", |text: &mut Text| match text.is_empty() {
        true => Ok(vec![text.clone().into()]),
        false => pieces(text, text.split_whitespace().count(), text.split_whitespace()),
    });
    engine.register_fn("split", |text: &mut Text, by: Text| match text.is_empty() {
        true => Ok(vec![text.clone().into()]),
        false => pieces(text, text.matches(by.as_str()).count() + 1, text.split(by.as_str())),
    });
    engine.register_fn("split", |text: &mut Text, by: char| {
        pieces(text, text.matches(by).count() + 1, text.split(by))
    });
    engine.register_fn("split", |text: &mut Text, by: Text, n: i64| match limit(n) {
        1 => Ok(vec![text.clone().into()]),
        n => pieces(text, n.min(text.len() + 2), text.splitn(n, by.as_str())),
    });
    engine.register_fn("split", |text: &mut Text, by: char, n: i64| {
        pieces(text, limit(n).min(text.len() + 2), text.splitn(limit(n), by))
    });
    engine.register_fn("split_rev", |text: &mut Text, by: Text| match text.is_empty() {
        true => Ok(vec![text.clone().into()]),
        false => pieces(text, text.matches(by.as_str()).count() + 1, text.rsplit(by.as_str())),
    });
    engine.register_fn("split_rev", |text: &mut Text, by: char| {
        pieces(text, text.matches(by).count() + 1, text.rsplit(by))
    });
    engine.register_fn("split_rev", |text: &mut Text, by: Text, n: i64| match limit(n) {
        1 => Ok(vec![text.clone().into()]),
        n => pieces(text, n.min(text.len() + 2), text.rsplitn(n, by.as_str())),
    });
    engine.register_fn("split_rev", |text: &mut Text, by: char, n: i64| {
        pieces(text, limit(n).min(text.len() + 2), text.rsplitn(limit(n), by))
    });
    engine.register_fn("to_chars", |text: Text| -> Fallible<Array> {
        need_room("to_chars", text.len().saturating_mul(16))?;
        Ok(text.chars().map(Into::into).collect())
    });
    engine.register_fn("to_array", |blob: &mut Blob| -> Fallible<Array> {
        need_room("to_array", blob.len().saturating_mul(16))?;
        Ok(blob.iter().map(|byte| i64::from(*byte).into()).collect())
    });
}

/// Lists and maps as text, with an end also where they have none.
fn writing(engine: &mut Engine) {
    fn shown(context: &NativeCallContext, value: Dynamic) -> ImmutableString {
        let mut leaf = |value: &Dynamic| {
            let value = &value.flatten_clone();
            let plain =
                value.is_string() || value.is_int() || value.is_float() || value.is_bool() || value.is_unit();
            match plain || value.is_char() {
                true => format!("{value:?}"),
                false => context
                    .call_native_fn::<ImmutableString>("to_debug", (value.clone(),))
                    .map_or_else(|_| value.type_name().to_string(), |text| text.to_string()),
            }
        };
        text(&value, TEXT_MAX, &mut leaf).into()
    }
    for name in ["print", "to_string", "debug", "to_debug"] {
        engine.register_fn(name, |context: NativeCallContext, list: Array| shown(&context, list.into()));
        engine.register_fn(name, |context: NativeCallContext, map: Map| shown(&context, map.into()));
    }
    engine.register_fn("to_json", |map: Map| -> Fallible<String> {
        let map = Dynamic::from(map);
        weigh("to_json", &map)?;
        Ok(json::written(&map))
    });
    engine.register_fn("parse_json", |text: ImmutableString| -> Fallible<Dynamic> {
        json::parse(&text).map_err(|what| raise(Error::usage(format!("parse_json: this is no JSON: {what}"))))
    });
}
