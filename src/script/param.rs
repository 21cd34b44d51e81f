//! `Param`: a parameter that a script declares with `param(...)`, and the values given for it.
//!
//! Parameters are found in the syntax tree, without running, so that `--help` can list them and
//! a wrong value is refused before anything happens.

use rhai::{Array, Dynamic, Map};

use super::fault::{Fallible, raise};
use super::options::param::{KINDS, PARAM};
use super::opts::{Opts, number};
use crate::error::{Error, Result, nearest};
use crate::experiment::args::Given;

pub use super::options::param::Type as Kind;

/// What a parameter accepts.
#[derive(Debug, Clone)]
pub struct Param {
    pub name: String,
    /// `None` until the script runs, when the default is computed.
    pub kind: Option<Kind>,
    /// A list of values: the default is one, or `many`.
    pub list: bool,
    /// May be given several times; its value is a list.
    pub many: bool,
    /// The default when it is written down in the script.
    pub default: Option<Dynamic>,
    pub required: bool,
    pub help: String,
    pub unit: Option<String>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub choices: Vec<Dynamic>,
    /// The flag of a built-in command, without the dashes.
    pub flag: String,
    /// Other names: further flags, and further keys in a file of presets.
    pub also: Vec<String>,
}

impl Kind {
    fn of(value: &Dynamic) -> Option<Kind> {
        Some(match value {
            _ if value.is_int() => Kind::Int,
            _ if value.is_float() => Kind::Float,
            _ if value.is_bool() => Kind::Bool,
            _ if value.is_string() => Kind::Text,
            _ => return None,
        })
    }

    fn of_list(items: &Array) -> Option<Kind> {
        let kinds: Option<Vec<Kind>> = items.iter().map(Kind::of).collect();
        let kinds = kinds?;
        let first = *kinds.first().unwrap_or(&Kind::Text);
        let numbers = kinds.iter().all(|kind| matches!(kind, Kind::Int | Kind::Float));
        match kinds.iter().all(|kind| *kind == first) {
            true => Some(first),
            false => numbers.then_some(Kind::Float),
        }
    }

    /// The word in `--help`.
    pub fn word(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// Whether a text is an address that can be loaded.
fn is_address(text: &str) -> bool {
    let http = || url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    text.is_empty() || text == "builtin" || text.starts_with("builtin:") || http()
}

/// A default that means "not given": nothing to tell in a help text.
fn is_empty(default: &Dynamic) -> bool {
    default.is_unit()
        || default.read_lock::<rhai::ImmutableString>().is_some_and(|text| text.is_empty())
        || default.read_lock::<Array>().is_some_and(|list| list.is_empty())
}

impl Param {
    /// Reads a declaration. `default` is `None` when it is computed and the script does not run.
    pub fn describe(name: &str, default: Option<&Dynamic>, options: Map) -> Fallible<Param> {
        let mut opts = Opts::of(&PARAM, options);
        let help = opts.get("help")?;
        let min = opts.take::<f64>("min")?;
        let max = opts.take::<f64>("max")?;
        let choices = opts.take::<Array>("choices")?.unwrap_or_default();
        let unit = opts.take::<String>("unit")?;
        let stated = opts.take_word("type", KINDS)?;
        let many = opts.get("many")?;
        let flag = opts.take::<String>("flag")?;
        let also = opts.take::<Array>("also")?.unwrap_or_default();
        let required = opts.get("required")?;
        opts.finish()?;
        if !is_name(name) {
            let told = format!("param: {name:?} is not a name; use letters, digits and _");
            return Err(raise(Error::usage(told)));
        }
        let items = default.and_then(|value| value.clone().into_array().ok());
        let implied = match (default, &items) {
            (Some(_), Some(items)) if items.is_empty() => Some(Kind::Text),
            (Some(_), Some(items)) => Kind::of_list(items),
            (Some(value), None) => Kind::of(value),
            (None, _) => None,
        };
        if let (Some(value), None, None) = (default, implied, stated) {
            let told = match value.is_unit() {
                true => format!("param: `{name}` has no default, so it needs a type: #{{ type: \"int\" }}"),
                false => format!(
                    "param: the default of `{name}` must be a number, a bool, a string or a list of one of these"
                ),
            };
            return Err(raise(Error::usage(told)));
        }
        let flag = flag.map(|flag| flag.trim_start_matches('-').to_string());
        Ok(Param {
            flag: flag.unwrap_or_else(|| name.replace('_', "-")),
            name: name.into(),
            kind: stated.or(implied),
            list: many || items.is_some(),
            many,
            default: default.cloned(),
            required,
            help,
            unit,
            min,
            max,
            choices,
            also: also
                .iter()
                .map(|name| name.to_string().trim_start_matches('-').replace('_', "-"))
                .collect(),
        })
    }

    /// Whether `name` means this parameter: its own name, its flag or another one, with `-` or `_`.
    pub fn is_called(&self, name: &str) -> bool {
        let name = name.replace('_', "-");
        name == self.name.replace('_', "-") || name == self.flag || self.also.contains(&name)
    }

    /// The value for the script: what was given, or the default in the parameter's own type.
    pub fn value(&self, given: Option<&Given>) -> Result<Dynamic> {
        match given {
            Some(given) => self.parse(given),
            None if self.required => {
                let help = if self.help.is_empty() { String::new() } else { format!(" ({})", self.help) };
                Err(Error::usage(format!("--{} is required{help}", self.flag))
                    .hint(format!("--{} ... or -p {}=...", self.flag, self.name)))
            }
            None => Ok(self.own_default()),
        }
    }

    fn own_default(&self) -> Dynamic {
        let default = self.default.clone().unwrap_or(Dynamic::UNIT);
        let floated = |value: Dynamic| match (self.kind, value.as_int()) {
            (Some(Kind::Float), Ok(int)) => (int as f64).into(),
            _ => value,
        };
        match default.clone().into_array() {
            Ok(items) => items.into_iter().map(floated).collect::<Array>().into(),
            Err(_) if default.is_unit() && self.many => Array::new().into(),
            Err(_) if default.is_unit() => default,
            Err(_) if self.many => vec![floated(default)].into(),
            Err(_) => floated(default),
        }
    }

    /// Reads what was given; an error names the flag.
    pub fn parse(&self, given: &Given) -> Result<Dynamic> {
        let wrong = |told: String| Error::usage(format!("{}: {told}", given.flag));
        if !self.list {
            return match given.texts.as_slice() {
                [one] => self.parse_one(one).map_err(wrong),
                several => Err(wrong(format!("takes one value, got {}", several.len()))),
            };
        }
        let split = given.split || !self.many;
        let items = given.texts.iter().flat_map(|text| match split {
            true => text.split(',').map(str::trim).collect::<Vec<_>>(),
            false => vec![text.as_str()],
        });
        // `-p lengths=` is an empty list.
        let items: Vec<&str> = items.collect();
        if items == [""] {
            return Ok(Array::new().into());
        }
        let items: std::result::Result<Array, String> =
            items.into_iter().map(|text| self.parse_one(text)).collect();
        items.map(Dynamic::from).map_err(wrong)
    }

    fn parse_one(&self, text: &str) -> std::result::Result<Dynamic, String> {
        let value: Dynamic = match self.kind {
            Some(Kind::Int) => match text.replace('_', "").parse::<i64>() {
                Ok(int) => int.into(),
                Err(_) => return Err(format!("must be a whole number, got {text:?}")),
            },
            Some(Kind::Float) => match text.replace('_', "").parse::<f64>() {
                Ok(float) if !float.is_nan() => float.into(),
                _ => return Err(format!("must be a number, got {text:?}")),
            },
            Some(Kind::Bool) => match text {
                "true" | "yes" | "on" | "1" => true.into(),
                "false" | "no" | "off" | "0" => false.into(),
                _ => return Err(format!("must be true or false, got {text:?}")),
            },
            Some(Kind::Url) if !is_address(text) => {
                return Err(format!("must be an address such as http://127.0.0.1:8000, got {text:?}"));
            }
            Some(Kind::Text | Kind::Url) | None => text.to_string().into(),
            Some(Kind::Pairs) => return parse_pairs(text),
            Some(Kind::Map) => return parse_map(text),
        };
        self.check_bounds(&value, text)?;
        Ok(value)
    }

    fn check_bounds(&self, value: &Dynamic, text: &str) -> std::result::Result<(), String> {
        let unit = self.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
        if let Some(value) = number(value) {
            if let Some(min) = self.min.filter(|min| value < *min) {
                return Err(format!("must be at least {min}{unit}, got {text}"));
            }
            if let Some(max) = self.max.filter(|max| value > *max) {
                return Err(format!("must be at most {max}{unit}, got {text}"));
            }
        }
        let same = |choice: &Dynamic| match (number(choice), number(value)) {
            (Some(one), Some(other)) => one == other,
            _ => choice.to_string() == value.to_string(),
        };
        if self.choices.is_empty() || self.choices.iter().any(same) {
            return Ok(());
        }
        let all: Vec<String> = self.choices.iter().map(Dynamic::to_string).collect();
        let near = nearest(text, all.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        Err(format!("must be one of {}, got {text}{near}", all.join(", ")))
    }

    /// What `--help` says behind the flag: the help text, the limits, the default.
    pub fn about(&self) -> String {
        let mut facts = Vec::new();
        if let Some(unit) = &self.unit {
            facts.push(unit.clone());
        }
        match (self.min, self.max) {
            (Some(min), Some(max)) => facts.push(format!("{min} to {max}")),
            (Some(min), None) => facts.push(format!("at least {min}")),
            (None, Some(max)) => facts.push(format!("at most {max}")),
            (None, None) => {}
        }
        if !self.choices.is_empty() {
            let choices: Vec<String> = self.choices.iter().map(Dynamic::to_string).collect();
            facts.push(format!("one of {}", choices.join(", ")));
        }
        match &self.default {
            _ if self.required => facts.push("required".into()),
            None => facts.push("default: computed".into()),
            Some(default) if is_empty(default) => {}
            Some(default) => facts.push(format!("default: {}", plain(default))),
        }
        let facts = if facts.is_empty() { String::new() } else { format!("[{}]", facts.join("; ")) };
        [self.help.as_str(), &facts].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// A bool that is off unless its flag is given.
    pub fn is_switch(&self) -> bool {
        let is_off = self.default.as_ref().is_some_and(|default| default.as_bool() == Ok(false));
        self.kind == Some(Kind::Bool) && !self.list && is_off
    }

    /// `int`, `list of float`, `value`.
    pub fn type_name(&self) -> String {
        let kind = self.kind.map_or("value", Kind::word);
        if self.list { format!("list of {kind}") } else { kind.into() }
    }
}

/// A default as one types it: `1,2,4`, `openai-chat`.
fn plain(value: &Dynamic) -> String {
    match value.clone().into_array() {
        Ok(items) if items.is_empty() => "none".into(),
        Ok(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        Err(_) if value.is_string() && value.to_string().is_empty() => "\"\"".into(),
        Err(_) => value.to_string(),
    }
}

/// `[[128, 64], [512, 64]]` or `128x64,512x64`.
fn parse_pairs(text: &str) -> std::result::Result<Dynamic, String> {
    let wrong = || {
        let text: String = text.chars().take(60).collect();
        format!(
            "must be a list of pairs of whole numbers above 0, such as [[128, 64], [512, 64]] or 128x64,512x64, got {text}"
        )
    };
    use serde_json::Value;
    let number = |text: &str| text.trim().parse().ok().filter(|n: &i64| *n > 0);
    // A quoted number is one.
    let whole = |value: &Value| value.as_i64().filter(|n| *n > 0).or_else(|| number(value.as_str()?));
    let words = |pair: &str| {
        let (one, other) = pair.trim().split_once('x')?;
        Some([number(one)?, number(other)?])
    };
    let pairs: Option<Vec<[i64; 2]>> = match serde_json::from_str::<Vec<Value>>(text) {
        Ok(pairs) => pairs
            .iter()
            .map(|pair| match pair {
                Value::String(pair) => words(pair),
                Value::Array(pair) => match &pair[..] {
                    [one, other] => Some([whole(one)?, whole(other)?]),
                    _ => None,
                },
                _ => None,
            })
            .collect(),
        Err(_) => text.split(',').map(words).collect(),
    };
    let pairs = pairs.filter(|pairs| !pairs.is_empty()).ok_or_else(wrong)?;
    Ok(pairs
        .into_iter()
        .map(|pair| Dynamic::from(pair.map(Dynamic::from).to_vec()))
        .collect::<Array>()
        .into())
}

/// A JSON object; an empty text is an empty one.
fn parse_map(text: &str) -> std::result::Result<Dynamic, String> {
    if text.trim().is_empty() {
        return Ok(Map::new().into());
    }
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(map)) => Ok(super::json::to_map(&map).into()),
        Ok(other) => Err(format!("must be a JSON object such as {{\"name\": 1}}, got {other}")),
        Err(error) => Err(format!("must be a JSON object such as {{\"name\": 1}}: {error}")),
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads `-p name=value`.
pub fn parse_assignment(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if is_name(name) => Ok((name.into(), value.into())),
        _ => Err(format!("{text:?} is not name=value")),
    }
}

/// Refuses unknown names, values of a wrong type or out of bounds, and missing required ones,
/// before anything runs.
pub fn check(params: &[Param], given: &[Given]) -> Result<()> {
    for given in given {
        let Some(param) = params.iter().find(|param| param.name == given.name) else {
            return Err(unknown(params, given));
        };
        if param.kind.is_some() {
            drop(param.parse(given)?);
        }
    }
    for param in params.iter().filter(|param| param.required) {
        drop(param.value(given.iter().find(|given| given.name == param.name))?);
    }
    Ok(())
}

fn unknown(params: &[Param], given: &Given) -> Error {
    let names = || params.iter().map(|param| param.name.as_str());
    let near = nearest(&given.name, names());
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    let all = names().collect::<Vec<_>>().join(", ");
    let all = if all.is_empty() { "it has none".into() } else { format!("parameters: {all}") };
    Error::usage(format!("{}: the script has no such parameter{near} ({all})", given.flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(default: &str, options: &str) -> Param {
        let engine = rhai::Engine::new();
        let default = engine.eval::<Dynamic>(default).unwrap();
        Param::describe("max_concurrency", Some(&default), engine.eval(options).unwrap()).unwrap()
    }

    fn flag(texts: &[&str]) -> Given {
        let texts = texts.iter().map(|text| text.to_string()).collect();
        Given { name: "max_concurrency".into(), flag: "--max-concurrency".into(), texts, split: false }
    }

    fn parse(param: &Param, texts: &[&str]) -> std::result::Result<String, String> {
        param.parse(&flag(texts)).map(|value| value.to_string()).map_err(|error| error.message)
    }

    #[test]
    fn the_default_gives_the_type() {
        assert_eq!(parse(&param("4", "#{}"), &["8"]), Ok("8".into()));
        assert_eq!(parse(&param("4.0", "#{}"), &["8"]), Ok("8.0".into()));
        assert_eq!(parse(&param("1.0", "#{}"), &["inf"]), Ok("inf".into()));
        assert_eq!(parse(&param("false", "#{}"), &["true"]), Ok("true".into()));
        assert_eq!(parse(&param("\"a\"", "#{}"), &["1,2"]), Ok("1,2".into()));
        assert_eq!(parse(&param("[1, 2]", "#{}"), &["4, 8"]), Ok("[4, 8]".into()));
        assert_eq!(parse(&param("[1, 2.5]", "#{}"), &["4"]), Ok("[4.0]".into()));
        assert_eq!(parse(&param("[1]", "#{}"), &[""]), Ok("[]".into()));
    }

    #[test]
    fn a_wrong_value_is_a_sentence_that_names_the_flag() {
        let cases = [
            ("10", "#{ min: 1 }", "0", "--max-concurrency: must be at least 1, got 0"),
            (
                "10",
                "#{ max: 64, unit: \"users\" }",
                "65",
                "--max-concurrency: must be at most 64 users, got 65",
            ),
            ("10", "#{}", "1.5", "--max-concurrency: must be a whole number, got \"1.5\""),
            ("1.0", "#{}", "fast", "--max-concurrency: must be a number, got \"fast\""),
            ("1.0", "#{}", "nan", "--max-concurrency: must be a number, got \"nan\""),
            ("true", "#{}", "maybe", "--max-concurrency: must be true or false, got \"maybe\""),
            (
                "\"vllm\"",
                "#{ choices: [\"vllm\", \"sglang\"] }",
                "vlm",
                "--max-concurrency: must be one of vllm, sglang, got vlm; did you mean vllm?",
            ),
            ("[1, 2]", "#{ min: 1 }", "4,0", "--max-concurrency: must be at least 1, got 0"),
        ];
        for (default, options, text, wanted) in cases {
            assert_eq!(parse(&param(default, options), &[text]), Err(wanted.into()));
        }
        assert_eq!(
            parse(&param("1", "#{}"), &["1", "2"]),
            Err("--max-concurrency: takes one value, got 2".into())
        );
    }

    #[test]
    fn a_parameter_without_default_is_optional_and_needs_a_type() {
        let optional = param("()", "#{ type: \"int\" }");
        assert_eq!(optional.value(None).unwrap().type_name(), "()");
        assert_eq!(parse(&optional, &["3"]), Ok("3".into()));
        assert!(Param::describe("x", Some(&Dynamic::UNIT), Map::new()).is_err());
    }

    #[test]
    fn pairs_are_written_in_several_ways() {
        let pairs = param("()", "#{ type: \"pairs\" }");
        for text in [
            "8x4,16x8",
            "[[8, 4], [16, 8]]",
            "[[\"8\", \"4\"], [16, \"8\"]]",
            "[\"8x4\", \"16x8\"]",
            " 8 x 4 , 16x8 ",
        ] {
            assert_eq!(parse(&pairs, &[text]), Ok("[[8, 4], [16, 8]]".into()), "{text}");
        }
        for text in [
            "8",
            "[8, 4]",
            "[[8]]",
            "[[\"a\", 4]]",
            "[[8, 4, 2]]",
            "[[0, 4]]",
            "[]",
            "8x",
            "[[8.5, 4]]",
            "{}",
        ] {
            assert!(parse(&pairs, &[text]).unwrap_err().contains("must be a list of pairs"), "{text}");
        }
    }

    #[test]
    fn a_repeatable_parameter_is_a_list_and_keeps_commas() {
        let many = param("()", "#{ type: \"string\", many: true }");
        assert_eq!(many.value(None).unwrap().to_string(), "[]");
        assert_eq!(parse(&many, &["a=1,2", "b=3"]), Ok("[\"a=1,2\", \"b=3\"]".into()));
        let typed_with_p = Given { split: true, ..flag(&["a=1,b=2"]) };
        assert_eq!(many.parse(&typed_with_p).unwrap().to_string(), "[\"a=1\", \"b=2\"]");
    }

    #[test]
    fn a_whole_default_of_a_float_parameter_is_a_float() {
        assert!(param("4", "#{ type: \"float\" }").value(None).unwrap().is_float());
    }

    #[test]
    fn unknown_and_missing_parameters_are_refused_before_anything_runs() {
        let mut rate = param("4.0", "#{ required: true, help: \"requests per second\" }");
        rate.name = "rate".into();
        rate.flag = "rate".into();
        let params = [rate];
        let typo =
            Given { name: "ratte".into(), flag: "-p ratte".into(), texts: vec!["1".into()], split: true };
        assert_eq!(
            check(&params, &[typo]).unwrap_err().to_string(),
            "-p ratte: the script has no such parameter; did you mean `rate`? (parameters: rate)"
        );
        assert_eq!(
            check(&params, &[]).unwrap_err().to_string(),
            "--rate is required (requests per second)\n  try: --rate ... or -p rate=..."
        );
    }

    #[test]
    fn help_states_limits_and_default() {
        let about = param("[1, 2]", "#{ help: \"how many\", min: 1, unit: \"users\" }").about();
        assert_eq!(about, "how many [users; at least 1; default: 1,2]");
    }
}
