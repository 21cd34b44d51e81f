//! `Opts`: the one reader of option maps.
//!
//! ```text
//! let mut opts = Opts::new("prompts", map);
//! let input = opts.need::<u64>("input", "512")?;
//! let think = opts.take::<Duration>("think")?.unwrap_or_default();
//! opts.finish()?;
//! ```
//! A slip in a key, a missing option or a value of a wrong type becomes an error that names the
//! call and the option, with the caret under the option.

use std::time::Duration;

use rhai::{Array, Dynamic, FnPtr, ImmutableString, Map, NativeCallContext};

use super::duration;
use super::fault::{Fallible, a, raise, raise_at, shown};
use super::function::{Callable, bind};
use super::vocabulary::friendly;
use crate::error::{Error, nearest};

/// The options of one call, taken one by one.
#[derive(Debug)]
pub struct Opts {
    /// The function that was called.
    what: &'static str,
    rest: Map,
    asked: Vec<&'static str>,
}

/// A type that an option can have.
pub trait OptionValue: Sized {
    /// What such a value is called in an error, with an example.
    const WANTED: &'static str;
    /// `None` when the value is of another type.
    fn of(value: &Dynamic) -> Option<Self>;
}

impl Opts {
    /// `what` is the name of the function that was called, as in `prompts`.
    pub fn new(what: &'static str, map: Map) -> Self {
        Opts { what, rest: map, asked: Vec::new() }
    }

    /// The value of an option; `None` when it is absent or `()`.
    pub fn take<T: OptionValue>(&mut self, name: &'static str) -> Fallible<Option<T>> {
        let Some(value) = self.take_any(name) else { return Ok(None) };
        match T::of(&value) {
            Some(value) => Ok(Some(value)),
            None => Err(self.wrong(name, &format!("must be {}", T::WANTED), &value)),
        }
    }

    /// The value of an option that must be there. `example` completes "for example ...".
    pub fn need<T: OptionValue>(&mut self, name: &'static str, example: &str) -> Fallible<T> {
        match self.take(name)? {
            Some(value) => Ok(value),
            None => Err(self.missing(name, example)),
        }
    }

    /// The value of an option, whatever it is.
    pub fn take_any(&mut self, name: &'static str) -> Option<Dynamic> {
        if !self.asked.contains(&name) {
            self.asked.push(name);
        }
        self.rest.remove(name).filter(|value| !value.is_unit()).map(|value| value.flatten())
    }

    /// The value of an option that must be there, whatever it is.
    pub fn need_any(&mut self, name: &'static str, example: &str) -> Fallible<Dynamic> {
        self.take_any(name).ok_or_else(|| self.missing(name, example))
    }

    /// One of our own types, such as a target. `wanted` says what it is and how it is made.
    pub fn take_handle<T: Clone + Send + Sync + 'static>(
        &mut self,
        name: &'static str,
        wanted: &str,
    ) -> Fallible<Option<T>> {
        let Some(value) = self.take_any(name) else { return Ok(None) };
        match value.clone().try_cast::<T>() {
            Some(value) => Ok(Some(value)),
            None => Err(self.wrong(name, &format!("must be {wanted}"), &value)),
        }
    }

    /// A function, bound to the place of the call so that it can be called later and elsewhere.
    pub fn take_fn(&mut self, name: &'static str, context: &NativeCallContext) -> Fallible<Option<Callable>> {
        let function = self.take_handle::<FnPtr>(name, "a function such as |x| x + 1")?;
        Ok(function.map(|function| bind(context, &function)))
    }

    /// One of a few words.
    pub fn take_word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Fallible<Option<T>> {
        let Some(typed) = self.take::<String>(name)? else { return Ok(None) };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == typed) {
            return Ok(Some(*value));
        }
        let all: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let near = nearest(&typed, words.iter().map(|(word, _)| *word));
        let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        let must = format!("must be one of {}", all.join(", "));
        Err(self.error(name, &format!("{must}, got {typed:?}{near}")))
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

    fn missing(&self, name: &str, example: &str) -> Box<rhai::EvalAltResult> {
        // A slip in the key of a required option is an unknown option, not a missing one.
        if let Some(slip) = self.rest.keys().find(|key| nearest(key, [name]).is_some()) {
            return self.unknown(slip);
        }
        let told = format!("{}: `{name}` is missing; for example {example}", self.what);
        raise(Error::usage(told))
    }

    fn unknown(&self, key: &str) -> Box<rhai::EvalAltResult> {
        if let Some(near) = nearest(key, self.asked.iter().copied()) {
            let told = format!("{}: unknown option `{key}`; did you mean `{near}`?", self.what);
            return raise_at(key, Error::usage(told));
        }
        let mut known: Vec<&str> = Vec::new();
        self.asked.iter().filter(|name| **name != key).for_each(|name| {
            if !known.contains(name) {
                known.push(name);
            }
        });
        let told = format!("{}: unknown option `{key}` (options: {})", self.what, known.join(", "));
        raise_at(key, Error::usage(told))
    }

    /// Ends the reading: an option that nobody asked for is an error.
    pub fn finish(self) -> Fallible<()> {
        match self.rest.keys().next() {
            Some(key) => Err(self.unknown(key)),
            None => Ok(()),
        }
    }
}

/// A number, int or float.
pub fn number(value: &Dynamic) -> Option<f64> {
    value.as_float().or_else(|_| value.as_int().map(|int| int as f64)).ok()
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
        let whole = |float: f64| (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
        value.as_int().ok().or_else(|| value.as_float().ok().and_then(whole))
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
        match number(value) {
            Some(seconds) => duration::seconds(seconds),
            None => {
                // A flag of the command line is text, also where it is a bare number of seconds.
                let text = value.clone().into_immutable_string().ok()?;
                let bare = || text.trim().parse().ok().and_then(duration::seconds);
                duration::parse(&text).or_else(bare)
            }
        }
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
    use crate::script::fault::Fault;

    fn map(text: &str) -> Map {
        rhai::Engine::new().eval(text).unwrap()
    }

    fn told(error: impl AsRef<rhai::EvalAltResult>) -> (String, Option<String>) {
        let rhai::EvalAltResult::ErrorRuntime(token, _) = error.as_ref() else { panic!("not one of ours") };
        let fault = token.clone().cast::<Fault>();
        (fault.error.message, fault.option)
    }

    #[test]
    fn numbers_may_be_int_or_float_and_durations_text_or_seconds() {
        let mut opts = Opts::new("x", map("#{ a: 4, b: 4.0, c: 2, d: \"250ms\", e: 0.5, f: () }"));
        assert_eq!(opts.take::<f64>("a").unwrap(), Some(4.0));
        assert_eq!(opts.take::<u64>("b").unwrap(), Some(4));
        assert_eq!(opts.take::<Duration>("c").unwrap(), Some(Duration::from_secs(2)));
        assert_eq!(opts.take::<Duration>("d").unwrap(), Some(Duration::from_millis(250)));
        assert_eq!(opts.need::<Duration>("e", "1").unwrap(), Duration::from_millis(500));
        assert_eq!(opts.take::<String>("f").unwrap(), None);
        opts.finish().unwrap();
    }

    #[test]
    fn an_unknown_option_names_the_nearest_and_all() {
        let mut opts = Opts::new("prompts", map("#{ inptu: 1 }"));
        opts.take::<u64>("input").unwrap();
        opts.take::<u64>("output").unwrap();
        let text = "prompts: unknown option `inptu`; did you mean `input`?";
        assert_eq!(told(opts.finish().unwrap_err()), (text.into(), Some("inptu".into())));
    }

    #[test]
    fn a_missing_option_gives_an_example_and_a_slip_in_it_is_unknown() {
        let missing = Opts::new("run", map("#{}")).need::<f64>("arrivals", "poisson(4.0)").unwrap_err();
        assert_eq!(told(missing).0, "run: `arrivals` is missing; for example poisson(4.0)");
        let slip = Opts::new("run", map("#{ arrivls: 1 }")).need::<f64>("arrivals", "poisson(4.0)");
        let text = "run: unknown option `arrivls`; did you mean `arrivals`?";
        assert_eq!(told(slip.unwrap_err()).0, text);
    }

    #[test]
    fn a_value_of_a_wrong_type_says_what_it_must_be() {
        let mut opts = Opts::new("run", map("#{ warmup: \"5 minutes\", n: -1, m: |x| x, w: \"shufled\" }"));
        assert_eq!(
            told(opts.take::<Duration>("warmup").unwrap_err()).0,
            "run: `warmup` must be a duration such as \"250ms\", \"30s\", \"5m\", or a number of seconds, got \"5 \
             minutes\""
        );
        assert_eq!(
            told(opts.take::<u64>("n").unwrap_err()).0,
            "run: `n` must be a whole number of at least 0, got -1"
        );
        assert_eq!(told(opts.take::<f64>("m").unwrap_err()).0, "run: `m` must be a number, got a function");
        assert_eq!(
            told(opts.take_word("w", &[("shuffled", 1), ("sequential", 2)]).unwrap_err()).0,
            "run: `w` must be one of \"shuffled\", \"sequential\", got \"shufled\"; did you mean \"shuffled\"?"
        );
    }
}
