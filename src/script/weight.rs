//! What a value weighs when it is written out. A list may hold the same text a million times, and
//! itself in a closure: in memory that is little, as text it has no end.

use rhai::{Array, Dynamic, ImmutableString, Map};

use super::fault::{Fallible, raise};
use super::text::DEPTH_MAX;
use crate::error::Error;
use crate::os::{file, heap};

/// Most bytes of one text that a value becomes.
pub const TEXT_MAX: usize = 32 << 20;

/// Fails, in the name of `call`, when `value` cannot be written out: it nests too deeply or is too
/// large. Gives its bytes.
pub fn weigh(call: &str, value: &Dynamic) -> Fallible<usize> {
    let mut bytes = 0;
    match add(value, 0, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(why) => Err(raise(Error::usage(format!("{call}: {why}")))),
    }
}

/// The same for many values that are written into one place.
pub fn weigh_all<'a>(call: &str, values: impl IntoIterator<Item = &'a Dynamic>) -> Fallible<()> {
    check(values).map_err(|why| raise(Error::usage(format!("{call}: {why}"))))
}

/// What is wrong with the values if they nest too deeply or are too large to be written out.
pub fn check<'a>(values: impl IntoIterator<Item = &'a Dynamic>) -> Result<(), String> {
    let mut bytes = 0;
    values.into_iter().try_for_each(|value| add(value, 0, &mut bytes))
}

fn add(value: &Dynamic, depth: usize, bytes: &mut usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("the value nests more than {DEPTH_MAX} levels deep"));
    }
    *bytes += 16;
    if *bytes > TEXT_MAX {
        return Err(format!("the values have more than {} as text", file::size(TEXT_MAX as u64)));
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        *bytes += text.len();
    } else if let Some(list) = value.read_lock::<Array>() {
        list.iter().try_for_each(|item| add(item, depth + 1, bytes))?;
    } else if let Some(map) = value.read_lock::<Map>() {
        for (key, item) in map.iter() {
            *bytes += key.len();
            add(item, depth + 1, bytes)?;
        }
    } else if let Some(blob) = value.read_lock::<rhai::Blob>() {
        *bytes += 2 * blob.len();
    }
    Ok(())
}

/// Fails, in the name of `call`, when the script may not hold `bytes` more.
pub fn need_room(call: &str, bytes: usize) -> Fallible<()> {
    match heap::has_room(bytes) {
        true => Ok(()),
        false if bytes == 0 => Err(raise(
            Error::usage(format!("{call}: the script holds more than {}", file::size(heap::MOST as u64)))
                .hint("keep less at a time"),
        )),
        false => Err(raise(
            Error::usage(format!(
                "{call}: this would take {}, and a script may hold {} in all",
                file::size(bytes as u64),
                file::size(heap::MOST as u64)
            ))
            .hint("keep less at a time"),
        )),
    }
}
