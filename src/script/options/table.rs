//! `Table`: the options of a call as data: what each is, in which unit, and what it does.
//!
//! Who reads options, checks a script before it runs, or writes documentation reads these rows, so
//! that none of them can say something else than another.

use rhai::{Array, Dynamic, FnPtr, Map};

use crate::error::nearest;
use crate::script::duration;
use crate::script::fault::{a, shown};
use crate::script::vocabulary::friendly;

/// The options of one call, or of a map inside of one.
#[derive(Debug)]
pub struct Table {
    /// What errors call it: `run`, `prefix`.
    pub call: &'static str,
    pub rows: &'static [OptionRow],
    /// Keys that are no rows.
    pub rest: Rest,
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct OptionRow {
    pub name: &'static str,
    pub kind: OptionKind,
    /// Of a bare number; empty where it has none.
    pub unit: &'static str,
    pub otherwise: Otherwise,
    /// What it does, without a full stop.
    pub help: &'static str,
    /// A value as it is written in a script.
    pub example: &'static str,
}

/// What holds without the option.
#[derive(Debug, Clone, Copy)]
pub enum Otherwise {
    /// It must be given.
    Needed,
    Is(fn() -> Dynamic),
    /// In words, where it is no value that could be written; may be empty.
    Told(&'static str),
}

/// What becomes of a key that no row names.
#[derive(Debug, Clone, Copy)]
pub enum Rest {
    Refused,
    /// Any key, any value: they belong to the user.
    Free,
    /// Told by key and value; without a value, whether the key can be right at all.
    Judged(Judged),
}

/// Fails with a sentence that names the key.
pub type Judged = fn(&str, Option<&Dynamic>) -> Result<(), String>;

/// What values an option accepts.
#[derive(Debug, Clone, Copy)]
pub enum OptionKind {
    Truth,
    Text,
    /// A number, with limits that it may reach.
    Number(f64, f64),
    /// A number above 0, infinity among them.
    Above0,
    /// A whole number, with limits that it may reach.
    Whole(i64, i64),
    Time,
    TimeAbove0,
    /// One of a few words.
    Word(fn() -> Vec<&'static str>),
    List,
    /// A list of which each item is such; what the items are called.
    ListOf(&'static str, fn(&Dynamic) -> bool),
    Map(&'static Table),
    /// What a function of ours returns, or a map of these options; how to make one.
    Made(&'static str, Option<&'static Table>),
    /// A function; an example, and the options of the map that it may return.
    Function(&'static str, Option<&'static Table>),
    /// Whatever the function says; in the words of the documentation.
    Own(&'static str, fn(&Dynamic) -> Result<(), String>),
}

impl OptionRow {
    /// An option that may be left out.
    pub const fn new(
        name: &'static str,
        kind: OptionKind,
        help: &'static str,
        example: &'static str,
    ) -> OptionRow {
        OptionRow { name, kind, unit: "", otherwise: Otherwise::Told(""), help, example }
    }

    pub const fn needed(self) -> OptionRow {
        OptionRow { otherwise: Otherwise::Needed, ..self }
    }

    /// The value that holds without it.
    pub const fn or(self, value: fn() -> Dynamic) -> OptionRow {
        OptionRow { otherwise: Otherwise::Is(value), ..self }
    }

    /// What holds without it, in words.
    pub const fn or_else(self, told: &'static str) -> OptionRow {
        OptionRow { otherwise: Otherwise::Told(told), ..self }
    }

    pub const fn unit(self, unit: &'static str) -> OptionRow {
        OptionRow { unit, ..self }
    }

    /// What holds without it, for a reader; empty when there is nothing to say.
    pub fn default_shown(&self) -> String {
        match self.otherwise {
            Otherwise::Needed => String::new(),
            Otherwise::Is(value) => shown(&value()),
            Otherwise::Told(told) => told.into(),
        }
    }
}

impl Table {
    pub const fn new(call: &'static str, rows: &'static [OptionRow]) -> Table {
        Table { call, rows, rest: Rest::Refused }
    }

    /// A map whose keys are the user's own.
    pub const fn free(call: &'static str) -> Table {
        Table { call, rows: &[], rest: Rest::Free }
    }

    pub fn row(&self, name: &str) -> Option<&'static OptionRow> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// Fails with what is wrong with a key that no row names. Without a value it is the key that is judged.
    pub fn judge_rest(&self, key: &str, value: Option<&Dynamic>) -> Result<(), String> {
        match self.rest {
            Rest::Free => Ok(()),
            Rest::Refused => Err(self.unknown(self.call, key)),
            Rest::Judged(judge) => judge(key, value).map_err(|told| {
                let slip =
                    judge(key, None).is_err() && nearest(key, self.rows.iter().map(|row| row.name)).is_some();
                if slip { self.unknown(self.call, key) } else { format!("{}: {told}", self.call) }
            }),
        }
    }

    /// What is said where an option is missing that must be there.
    pub fn missing(&self, call: &str, name: &str) -> String {
        let example = self.row(name).map_or("", |row| row.example);
        format!("{call}: `{name}` is missing; for example {example}")
    }

    /// What is said of a key that is none of ours. `call` is the function that was called.
    pub fn unknown(&self, call: &str, key: &str) -> String {
        let names = || self.rows.iter().map(|row| row.name);
        match nearest(key, names()) {
            Some(near) => format!("{call}: unknown option `{key}`; did you mean `{near}`?"),
            None => {
                let all = names().collect::<Vec<_>>().join(", ");
                format!("{call}: unknown option `{key}` (options: {all})")
            }
        }
    }
}

impl OptionKind {
    /// What a value must be, in a few words.
    pub fn wanted(&self) -> String {
        match self {
            OptionKind::Truth => "true or false".into(),
            OptionKind::Text => "a string".into(),
            OptionKind::Number(least, most) => format!("a number{}", limits(*least, *most)),
            OptionKind::Above0 => "a number above 0".into(),
            OptionKind::Whole(least, most) => {
                let end = |n: i64, open: i64, far: f64| if n == open { far } else { n as f64 };
                let (least, most) =
                    (end(*least, i64::MIN, f64::NEG_INFINITY), end(*most, i64::MAX, f64::INFINITY));
                format!("a whole number{}", limits(least, most))
            }
            OptionKind::Time | OptionKind::TimeAbove0 => TIME.into(),
            OptionKind::Word(words) => {
                let words: Vec<String> = words().iter().map(|word| format!("{word:?}")).collect();
                format!("one of {}", words.join(", "))
            }
            OptionKind::List => "a list such as [1, 2]".into(),
            OptionKind::ListOf(items, _) => format!("a list of {items}"),
            OptionKind::Map(_) => "a map such as #{ name: value }".into(),
            OptionKind::Made(wanted, _) | OptionKind::Own(wanted, _) => (*wanted).into(),
            OptionKind::Function(example, _) => format!("a function such as {example}"),
        }
    }

    /// Fails with what the value must be and what it is: `must be a number, got "fast"`. A map is
    /// not looked into.
    pub fn judge(&self, value: &Dynamic) -> Result<(), String> {
        let good = match self {
            OptionKind::Truth => value.is_bool(),
            OptionKind::Text => value.is_string(),
            OptionKind::Number(least, most) => {
                number(value).is_some_and(|number| *least <= number && number <= *most)
            }
            OptionKind::Above0 => number(value).is_some_and(|number| number > 0.0),
            OptionKind::Whole(least, most) => {
                whole(value).is_some_and(|number| *least <= number && number <= *most)
            }
            OptionKind::Time => time(value).is_some(),
            OptionKind::TimeAbove0 => match time(value) {
                Some(time) if time.is_zero() => return Err(format!("must be above 0, got {}", got(value))),
                time => time.is_some(),
            },
            OptionKind::Word(words) => return self.judge_word(&words(), value),
            OptionKind::List => value.is_array(),
            OptionKind::ListOf(_, is) => return self.judge_items(*is, value),
            OptionKind::Map(_) => value.is_map(),
            OptionKind::Made(_, table) => !is_plain(value) || (table.is_some() && value.is_map()),
            OptionKind::Function(..) => value.is::<FnPtr>(),
            OptionKind::Own(_, judge) => return judge(value),
        };
        if good { Ok(()) } else { Err(self.refusal(value)) }
    }

    /// `must be a number, got "fast"`.
    pub fn refusal(&self, value: &Dynamic) -> String {
        format!("must be {}, got {}", self.wanted(), got(value))
    }

    /// As [`OptionKind::judge`], of a value of which only the type is known, such as `a list`.
    pub fn judge_type(&self, kind: Type) -> Result<(), String> {
        let may_be = match self {
            OptionKind::Truth | OptionKind::Number(..) | OptionKind::Above0 | OptionKind::Whole(..) => false,
            OptionKind::Text | OptionKind::Word(_) | OptionKind::Time | OptionKind::TimeAbove0 => {
                kind == Type::Text
            }
            OptionKind::List | OptionKind::ListOf(..) => kind == Type::List,
            OptionKind::Map(_) => kind == Type::Map,
            OptionKind::Made(_, table) => kind == Type::Map && table.is_some(),
            OptionKind::Function(..) => kind == Type::Function,
            OptionKind::Own(..) => true,
        };
        if may_be { Ok(()) } else { Err(format!("must be {}, got {}", self.wanted(), kind.shown())) }
    }

    fn judge_word(&self, words: &[&'static str], value: &Dynamic) -> Result<(), String> {
        let Ok(typed) = value.clone().into_immutable_string() else { return Err(self.refusal(value)) };
        if words.contains(&typed.as_str()) {
            return Ok(());
        }
        let near = nearest(&typed, words.iter().copied());
        // A long list helps nobody who has written one letter too much.
        if let Some(near) = near.filter(|_| words.len() > WORDS_SHOWN) {
            return Err(format!("knows no {typed:?}; did you mean {near:?}?"));
        }
        let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        Err(format!("{}{near}", self.refusal(value)))
    }

    fn judge_items(&self, is: fn(&Dynamic) -> bool, value: &Dynamic) -> Result<(), String> {
        let Some(items) = value.read_lock::<Array>() else { return Err(self.refusal(value)) };
        match items.iter().find(|item| !is(item)) {
            Some(wrong) => Err(self.refusal(wrong)),
            None => Ok(()),
        }
    }
}

/// What a value is, where nothing else is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Text,
    List,
    Map,
    Function,
}

impl Type {
    fn shown(self) -> &'static str {
        match self {
            Type::Text => "a string",
            Type::List => "a list",
            Type::Map => "a map",
            Type::Function => "a function",
        }
    }
}

/// So many words are listed also where one of them is near.
const WORDS_SHOWN: usize = 10;

/// A time as a script writes it.
const TIME: &str = "a duration such as \"250ms\", \"30s\", \"5m\", or a number of seconds";

fn limits(least: f64, most: f64) -> String {
    match (least > f64::MIN, most < f64::MAX) {
        (true, true) => format!(" from {least} to {most}"),
        (true, false) => format!(" of at least {least}"),
        (false, true) => format!(" of at most {most}"),
        (false, false) => String::new(),
    }
}

/// A value in an error: plain ones as they are written, others by their type.
fn got(value: &Dynamic) -> String {
    match value {
        _ if value.is_string() || value.is_int() || value.is_float() || value.is_bool() => shown(value),
        _ => a(&friendly(value.type_name())),
    }
}

/// A value of the language itself, and none of our types.
fn is_plain(value: &Dynamic) -> bool {
    let number = value.is_int() || value.is_float() || value.is_bool() || value.is_char();
    number || value.is_string() || value.is_array() || value.is_map() || value.is::<FnPtr>()
}

/// A number, int or float.
pub fn number(value: &Dynamic) -> Option<f64> {
    value.as_float().or_else(|_| value.as_int().map(|int| int as f64)).ok()
}

/// A whole number, also where it is written as `4.0`.
pub fn whole(value: &Dynamic) -> Option<i64> {
    let whole = |float: f64| (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
    value.as_int().ok().or_else(|| value.as_float().ok().and_then(whole))
}

/// A time: text with a unit, or a number of seconds.
pub fn time(value: &Dynamic) -> Option<std::time::Duration> {
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

/// What a flag that was not given looks like.
pub fn is_empty_text(value: &Dynamic) -> bool {
    value.read_lock::<rhai::ImmutableString>().is_some_and(|text| text.trim().is_empty())
}

/// The words of a list of pairs.
pub fn words<T>(pairs: &[(&'static str, T)]) -> Vec<&'static str> {
    pairs.iter().map(|(word, _)| *word).collect()
}

/// Whether an item is text.
pub fn is_text(value: &Dynamic) -> bool {
    value.is_string()
}

/// Whether an item is a number.
pub fn is_number(value: &Dynamic) -> bool {
    number(value).is_some()
}

/// Whether an item is a map.
pub fn is_map(value: &Dynamic) -> bool {
    value.is::<Map>()
}
