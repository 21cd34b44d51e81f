//! `Opts`: the one reader of option maps.
//!
//! ```text
//! let mut opts = Opts::of(&PROMPTS, map);
//! let input = opts.need::<u64>("input")?;
//! let think = opts.take::<Duration>("think")?.unwrap_or_default();
//! opts.finish()?;
//! ```
//! What an option is stands in its [`Table`]. A slip in a key, a missing option or a value of a
//! wrong type becomes an error that names the call and the option, with the caret under the option.

use std::time::Duration;

use rhai::{Array, Dynamic, FnPtr, ImmutableString, Map, NativeCallContext};

use super::fault::{Fallible, a, raise, raise_at, shown};
use super::function::{Callable, bind};
use super::options::table::{self, OptionKind, OptionRow, Otherwise, Table};
use super::vocabulary::friendly;
use crate::error::{Error, nearest};

pub use super::options::table::number;

/// The options of one call, taken one by one.
#[derive(Debug)]
pub struct Opts {
    /// The function that was called.
    what: &'static str,
    table: &'static Table,
    rest: Map,
}

/// A type that an option can have.
pub trait OptionValue: Sized {
    /// What such a value is called in an error, with an example.
    const WANTED: &'static str;
    /// `None` when the value is of another type.
    fn of(value: &Dynamic) -> Option<Self>;
}

impl Opts {
    /// The options of a call, or of a map inside of it.
    pub fn of(table: &'static Table, map: Map) -> Self {
        Opts::of_call(table.call, table, map)
    }

    /// As [`Opts::of`], where several functions have the same options.
    pub fn of_call(what: &'static str, table: &'static Table, map: Map) -> Self {
        Opts { what, table, rest: map }
    }

    /// What an option is. Who asks for one that no row names has forgotten to write it down.
    fn row(&self, name: &str) -> &'static OptionRow {
        self.table.row(name).unwrap_or_else(|| panic!("`{name}` is no row of `{}`", self.table.call))
    }

    /// The value of an option; `None` when it is absent or `()`.
    pub fn take<T: OptionValue>(&mut self, name: &'static str) -> Fallible<Option<T>> {
        let Some(value) = self.take_judged(name)? else { return Ok(None) };
        match T::of(&value) {
            Some(value) => Ok(Some(value)),
            None => Err(self.wrong(name, &format!("must be {}", T::WANTED), &value)),
        }
    }

    /// The value of an option, or what holds without it.
    pub fn get<T: OptionValue>(&mut self, name: &'static str) -> Fallible<T> {
        let value = self.judged(name)?;
        T::of(&value).ok_or_else(|| self.wrong(name, &format!("must be {}", T::WANTED), &value))
    }

    /// The value of an option that must be there.
    pub fn need<T: OptionValue>(&mut self, name: &'static str) -> Fallible<T> {
        self.take(name)?.ok_or_else(|| self.missing(name))
    }

    /// The value of an option, as its row accepts it.
    pub fn take_judged(&mut self, name: &'static str) -> Fallible<Option<Dynamic>> {
        let Some(value) = self.take_any(name) else { return Ok(None) };
        match self.row(name).kind.judge(&value) {
            Ok(()) => Ok(Some(value)),
            Err(told) => Err(self.error(name, &told)),
        }
    }

    /// As [`Opts::take_judged`], or what holds without it.
    pub fn judged(&mut self, name: &'static str) -> Fallible<Dynamic> {
        match (self.take_judged(name)?, self.row(name).otherwise) {
            (Some(value), _) => Ok(value),
            (None, Otherwise::Is(value)) => Ok(value()),
            (None, _) => Err(self.missing(name)),
        }
    }

    /// The value of an option, whatever it is.
    fn take_any(&mut self, name: &'static str) -> Option<Dynamic> {
        self.rest.remove(self.row(name).name).filter(|value| !value.is_unit()).map(|value| value.flatten())
    }

    /// The value of an option that must be there, as its row accepts it.
    pub fn need_judged(&mut self, name: &'static str) -> Fallible<Dynamic> {
        self.take_judged(name)?.ok_or_else(|| self.missing(name))
    }

    /// The options in a map that is an option itself.
    pub fn take_map(&mut self, name: &'static str) -> Fallible<Option<Opts>> {
        let Some(map) = self.take::<Map>(name)? else { return Ok(None) };
        match self.row(name).kind {
            OptionKind::Map(table) => Ok(Some(Opts::of(table, map))),
            _ => panic!("`{name}` of `{}` is no map with options", self.table.call),
        }
    }

    /// One of our own types, such as a target.
    pub fn take_made<T: Clone + Send + Sync + 'static>(&mut self, name: &'static str) -> Fallible<Option<T>> {
        let Some(value) = self.take_judged(name)? else { return Ok(None) };
        self.cast(name, &value).map(Some)
    }

    /// The value of an option as one of our own types.
    pub fn cast<T: Clone + Send + Sync + 'static>(&self, name: &str, value: &Dynamic) -> Fallible<T> {
        let refused = || self.error(name, &self.row(name).kind.refusal(value));
        value.clone().try_cast::<T>().ok_or_else(refused)
    }

    /// As [`Opts::take_made`], of one that must be there.
    pub fn need_made<T: Clone + Send + Sync + 'static>(&mut self, name: &'static str) -> Fallible<T> {
        self.take_made(name)?.ok_or_else(|| self.missing(name))
    }

    /// A function, bound to the place of the call so that it can be called later and elsewhere.
    pub fn take_fn(&mut self, name: &'static str, context: &NativeCallContext) -> Fallible<Option<Callable>> {
        let function = self.take_made::<FnPtr>(name)?;
        Ok(function.map(|function| bind(context, &function)))
    }

    /// One of a few words, which are those of the option's row.
    pub fn take_word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Fallible<Option<T>> {
        let Some(typed) = self.take::<String>(name)? else { return Ok(None) };
        let word = words.iter().find(|(word, _)| *word == typed);
        Ok(Some(word.unwrap_or_else(|| panic!("the row of `{name}` has other words")).1))
    }

    /// The keys that no row names, with their values, where the table lets them be.
    pub fn rest(&mut self) -> Map {
        let rows = self.table.rows;
        let (known, rest) = std::mem::take(&mut self.rest)
            .into_iter()
            .partition(|(key, _)| rows.iter().any(|row| row.name == key.as_str()));
        self.rest = known;
        rest
    }

    /// An error about the value of an option: `prompts: `input` must be above 0, got -1`.
    pub fn wrong(&self, name: &str, must: &str, value: &Dynamic) -> Box<rhai::EvalAltResult> {
        let got = match value {
            _ if value.is_string() || value.is_int() || value.is_float() || value.is_bool() => shown(value),
            _ => a(&friendly(value.type_name())),
        };
        self.error(name, &format!("{must}, got {got}"))
    }

    /// Any error about an option: `prompts: `input` {told}`.
    pub fn error(&self, name: &str, told: &str) -> Box<rhai::EvalAltResult> {
        raise_at(name, Error::usage(format!("{}: `{name}` {told}", self.what)))
    }

    fn missing(&self, name: &'static str) -> Box<rhai::EvalAltResult> {
        // A slip in the key of a required option is an unknown option, not a missing one.
        let mut slips = self.rest.keys().filter(|key| self.table.row(key).is_none());
        if let Some(slip) = slips.find(|key| nearest(key, [name]).is_some()) {
            return self.unknown(slip);
        }
        raise(Error::usage(self.table.missing(self.what, name)))
    }

    fn unknown(&self, key: &str) -> Box<rhai::EvalAltResult> {
        raise_at(key, Error::usage(self.table.unknown(self.what, key)))
    }

    /// Ends the reading: an option that nobody asked for is an error.
    pub fn finish(self) -> Fallible<()> {
        let mut keys = self.rest.keys();
        if let Some(key) = keys.clone().find(|key| self.table.row(key).is_none()).or(keys.next()) {
            return match self.table.row(key) {
                None => Err(self.unknown(key)),
                Some(row) => Err(self.error(key, &format!("has no meaning here: {}", row.help))),
            };
        }
        Ok(())
    }
}

/// An argument that must be a number: `round: the value must be a number, got a string`.
pub fn need_number(what: &str, argument: &str, value: &Dynamic) -> Fallible<f64> {
    need(what, argument, value)
}

/// A positional argument of a type that an option can have.
pub fn need<T: OptionValue>(what: &str, argument: &str, value: &Dynamic) -> Fallible<T> {
    T::of(value).ok_or_else(|| {
        let got = match value.is_string() {
            true => shown(value),
            false if number(value).is_some() => shown(value),
            false => a(&friendly(value.type_name())),
        };
        raise(Error::usage(format!("{what}: {argument} must be {}, got {got}", T::WANTED)))
    })
}

impl OptionValue for f64 {
    const WANTED: &'static str = "a number";
    fn of(value: &Dynamic) -> Option<Self> {
        number(value)
    }
}

impl OptionValue for i64 {
    const WANTED: &'static str = "a whole number";
    fn of(value: &Dynamic) -> Option<Self> {
        table::whole(value)
    }
}

impl OptionValue for u64 {
    const WANTED: &'static str = "a whole number of at least 0";
    fn of(value: &Dynamic) -> Option<Self> {
        i64::of(value).and_then(|value| value.try_into().ok())
    }
}

impl OptionValue for bool {
    const WANTED: &'static str = "true or false";
    fn of(value: &Dynamic) -> Option<Self> {
        value.as_bool().ok()
    }
}

impl OptionValue for String {
    const WANTED: &'static str = "a string";
    fn of(value: &Dynamic) -> Option<Self> {
        value.clone().into_string().ok()
    }
}

impl OptionValue for ImmutableString {
    const WANTED: &'static str = "a string";
    fn of(value: &Dynamic) -> Option<Self> {
        value.clone().into_immutable_string().ok()
    }
}

impl OptionValue for Duration {
    const WANTED: &'static str = "a duration such as \"250ms\", \"30s\", \"5m\", or a number of seconds";
    fn of(value: &Dynamic) -> Option<Self> {
        table::time(value)
    }
}

impl OptionValue for Array {
    const WANTED: &'static str = "a list such as [1, 2]";
    fn of(value: &Dynamic) -> Option<Self> {
        value.clone().into_array().ok()
    }
}

impl OptionValue for Map {
    const WANTED: &'static str = "a map such as #{ name: value }";
    fn of(value: &Dynamic) -> Option<Self> {
        value.clone().try_cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::fault::ScriptFault;

    fn map(text: &str) -> Map {
        rhai::Engine::new().eval(text).unwrap()
    }

    fn told(error: impl AsRef<rhai::EvalAltResult>) -> (String, Option<String>) {
        let rhai::EvalAltResult::ErrorRuntime(token, _) = error.as_ref() else { panic!("not one of ours") };
        let fault = token.clone().cast::<ScriptFault>();
        (fault.error.message, fault.option)
    }

    fn nothing() -> Dynamic {
        Dynamic::UNIT
    }

    static TABLE: Table = Table::new(
        "x",
        &[
            OptionRow::new("a", OptionKind::Number(f64::MIN, f64::MAX), "", "4").needed(),
            OptionRow::new("b", OptionKind::Whole(0, i64::MAX), "", "4"),
            OptionRow::new("c", OptionKind::Time, "", "4").or(|| "3s".into()),
            OptionRow::new("d", OptionKind::Time, "", "\"4s\""),
            OptionRow::new("f", OptionKind::Text, "", "\"a\"").or(nothing),
            OptionRow::new("input", OptionKind::Text, "", "\"a\""),
            OptionRow::new("w", OptionKind::Word(|| vec!["shuffled", "sequential"]), "", "\"shuffled\""),
        ],
    );

    #[test]
    fn numbers_may_be_int_or_float_and_durations_text_or_seconds() {
        let mut opts = Opts::of(&TABLE, map("#{ a: 4, b: 4.0, d: \"250ms\", f: () }"));
        assert_eq!(opts.take::<f64>("a").unwrap(), Some(4.0));
        assert_eq!(opts.take::<u64>("b").unwrap(), Some(4));
        assert_eq!(opts.get::<Duration>("c").unwrap(), Duration::from_secs(3));
        assert_eq!(opts.take::<Duration>("d").unwrap(), Some(Duration::from_millis(250)));
        assert_eq!(opts.take::<String>("f").unwrap(), None);
        opts.finish().unwrap();
        let mut opts = Opts::of(&TABLE, map("#{ c: 0.5, d: 2 }"));
        assert_eq!(opts.need::<Duration>("c").unwrap(), Duration::from_millis(500));
        assert_eq!(opts.need::<Duration>("d").unwrap(), Duration::from_secs(2));
    }

    #[test]
    fn an_unknown_option_names_the_nearest_or_all() {
        let told_of = |text: &str| told(Opts::of(&TABLE, map(text)).finish().unwrap_err());
        let text = "x: unknown option `inptu`; did you mean `input`?";
        assert_eq!(told_of("#{ inptu: 1 }"), (text.into(), Some("inptu".into())));
        let text = "x: unknown option `elsewhere` (options: a, b, c, d, f, input, w)";
        assert_eq!(told_of("#{ elsewhere: 1 }").0, text);
    }

    #[test]
    fn a_missing_option_gives_an_example_and_a_slip_in_it_is_unknown() {
        let missing = Opts::of(&TABLE, map("#{ b: 1 }")).need::<f64>("a").unwrap_err();
        assert_eq!(told(missing).0, "x: `a` is missing; for example 4");
        let slip = Opts::of(&TABLE, map("#{ inpt: 1 }")).need::<String>("input").unwrap_err();
        assert_eq!(told(slip).0, "x: unknown option `inpt`; did you mean `input`?");
    }

    #[test]
    fn a_value_of_a_wrong_type_says_what_it_must_be() {
        let text = "#{ c: \"5 minutes\", b: -1, a: |x| x, w: \"shufled\", d: [1] }";
        let mut opts = Opts::of(&TABLE, map(text));
        assert_eq!(
            told(opts.take::<Duration>("c").unwrap_err()).0,
            "x: `c` must be a duration such as \"250ms\", \"30s\", \"5m\", or a number of seconds, got \"5 minutes\""
        );
        assert_eq!(
            told(opts.take::<u64>("b").unwrap_err()).0,
            "x: `b` must be a whole number of at least 0, got -1"
        );
        assert_eq!(told(opts.take::<f64>("a").unwrap_err()).0, "x: `a` must be a number, got a function");
        assert!(told(opts.take::<Duration>("d").unwrap_err()).0.ends_with("got a list"));
        assert_eq!(
            told(opts.take_word("w", &[("shuffled", 1), ("sequential", 2)]).unwrap_err()).0,
            "x: `w` must be one of \"shuffled\", \"sequential\", got \"shufled\"; did you mean \"shuffled\"?"
        );
    }
}
