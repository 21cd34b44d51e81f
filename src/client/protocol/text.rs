//! `ReplyText`: a string of an event, borrowed where that can be; and [`Glance`], whether there is
//! one.

use super::usage;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// A string that is borrowed from the event where it has no escapes.
///
/// serde borrows a plain `Cow` field but always copies one inside an `Option`: hence this type.
pub(super) struct ReplyText<'a>(Cow<'a, str>);

impl ReplyText<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The string of a value that is one.
    pub(super) fn of(value: &Value) -> Option<ReplyText<'_>> {
        value.as_str().map(|text| ReplyText(Cow::Borrowed(text)))
    }
}

impl From<String> for ReplyText<'_> {
    fn from(text: String) -> Self {
        ReplyText(Cow::Owned(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ReplyText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = ReplyText<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(ReplyText(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(ReplyText(Cow::Owned(text.to_string())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

/// What a value of an unknown name holds, without keeping any of it.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Glance {
    /// Text that is not empty.
    pub(super) text: bool,
    /// An object under a name of usage.
    pub(super) usage: bool,
    map: bool,
}

impl Glance {
    /// Adds what stands under a key.
    pub(super) fn see(&mut self, key: &str, held: Glance) {
        self.text |= held.text;
        self.usage |= held.usage || held.map && usage::is_name(key) || usage::is_count(key);
    }
}

impl<'de> Deserialize<'de> for Glance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Glance;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_unit<E>(self) -> Result<Glance, E> {
                Ok(Glance::default())
            }

            fn visit_bool<E>(self, _: bool) -> Result<Glance, E> {
                Ok(Glance::default())
            }

            fn visit_u64<E>(self, _: u64) -> Result<Glance, E> {
                Ok(Glance::default())
            }

            fn visit_i64<E>(self, _: i64) -> Result<Glance, E> {
                Ok(Glance::default())
            }

            fn visit_f64<E>(self, _: f64) -> Result<Glance, E> {
                Ok(Glance::default())
            }

            fn visit_str<E>(self, text: &str) -> Result<Glance, E> {
                Ok(Glance { text: !text.is_empty(), ..Glance::default() })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Glance, A::Error> {
                let mut all = Glance::default();
                while let Some(held) = list.next_element::<Glance>()? {
                    all.see("", held);
                    all.map |= held.map;
                }
                Ok(all)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Glance, A::Error> {
                let mut all = Glance { map: true, ..Glance::default() };
                while let Some(key) = map.next_key::<ReplyText>()? {
                    all.see(key.as_str(), map.next_value()?);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_any(Read)
    }
}
