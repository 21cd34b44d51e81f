//! An event of the OpenAI APIs that is not as it should be, as far as it can be understood: any
//! field may be null, text, a list or an object, and may have another name.

use super::meaning::EventMeaning;
use super::reading::{Object, Reading, choices};
use super::{fault, foreign, usage};
use crate::record::{EventKind, Usage};

/// What an event, or a whole reply, means.
pub(super) fn read(reply: &Object, text: Option<&mut String>) -> EventMeaning {
    if let Some(words) = fault::in_reply(reply) {
        return EventMeaning::error(words);
    }
    let mut reading = Reading::default();
    match choices(reply) {
        Some(choices) => {
            for (position, choice) in (0..).zip(choices) {
                if let Some(words) = choice.get("error").and_then(fault::words) {
                    return EventMeaning::error(words);
                }
                reading.choice(position, choice);
            }
        }
        None => foreign::read(reply, &mut reading),
    }
    if let Some(usage) = usage_of(reply) {
        reading.meaning.add(EventKind::USAGE);
        reading.meaning.usage = usage;
    }
    if let Some(text) = text {
        text.push_str(&reading.said);
    }
    reading.meaning
}

/// Usage at the top, in the choices, or in an object of the vendor's.
fn usage_of(reply: &Object) -> Option<Usage> {
    let top = reply.get("usage").and_then(usage::told);
    let in_choices =
        choices(reply).unwrap_or_default().iter().filter_map(|choice| usage::anywhere(choice, 3));
    let in_choices = in_choices.reduce(usage::sum);
    let vendors =
        reply.iter().filter(|(key, _)| !matches!(key.as_str(), "usage" | "choices" | usage::TIMINGS));
    let mut vendor = vendors.filter_map(|(key, value)| {
        let own = usage::is_name(key).then(|| usage::told(value)).flatten();
        own.or_else(|| usage::anywhere(value, 4))
    });
    let vendor = vendor.next();
    // The later one says it better.
    let timings = reply.get(usage::TIMINGS).and_then(usage::told);
    let all = [timings, vendor, in_choices, top];
    let told = all.into_iter().flatten().reduce(|older, newer| usage::over(newer, older));
    told.or_else(|| foreign::usage(reply))
}
