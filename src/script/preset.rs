//! Presets: a YAML file that gives values for a script's parameters.

use rhai::Map;

use super::json;
use super::param::{Given, Kind, Param};
use super::reading;
use super::state::State;
use super::yaml::{self, Node, Yaml};
use crate::error::{Error, Result, nearest};

/// Reads a file of presets. Fails with the place of the first key or value that is wrong, and when
/// a `required` name is given neither there nor on the command line.
pub fn read(state: &State, path: &str, required: &[String]) -> Result<Map> {
    let text = reading::text(state, path)?;
    let plan = yaml::parse(&text, path).map_err(Error::usage)?;
    let Node::Map(items) = &plan.node else {
        let told =
            format!("{path}: it must be keys with values, such as `model: NAME`, got {}", kind_of(&plan));
        return Err(Error::usage(told));
    };
    let mut map = Map::new();
    for (key, item) in items.iter().filter(|(key, _)| !key.name.starts_with("x-")) {
        let at = format!("{path}:{}:{}", key.line, key.column);
        let Some(param) = state.params().iter().find(|param| param.is_called(&key.name)) else {
            return Err(unknown(state, &at, &key.name));
        };
        map.insert(key.name.as_str().into(), item.to_dynamic());
        let flag = format!("{}: {}", item.place(path), key.name);
        let texts = texts(param, item).map_err(|told| Error::usage(format!("{flag}: {told}")))?;
        let given = Given { name: param.name.clone(), flag, texts, split: false };
        if matches!(item.node, Node::Null) {
            continue;
        }
        drop(param.parse(&given)?);
        if state.source.is_built_in() && param.name == "base_url" {
            // Also where the file was not named, but is the one that the command looks for.
            given.texts.iter().for_each(|url| state.access.grant(url));
        }
        let mut presets = state.presets();
        presets.retain(|known| known.name != given.name);
        presets.push(given);
    }
    match required.iter().find(|name| state.given(name).is_none()) {
        Some(name) => Err(Error::usage(format!("{path}: the key {name:?} is missing"))),
        None => Ok(map),
    }
}

fn unknown(state: &State, at: &str, key: &str) -> Error {
    let names = || state.params().iter().map(|param| param.name.as_str());
    let near = nearest(key, names()).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
    let error = Error::usage(format!("{at}: unknown key {key:?}{near}"));
    match state.source.is_built_in() {
        true => error
            .hint(format!("`rampant {} --help` lists the flags, each of which is a key", state.source.name)),
        false => error.hint(format!("keys: {}", names().collect::<Vec<_>>().join(", "))),
    }
}

fn kind_of(yaml: &Yaml) -> &'static str {
    match yaml.node {
        Node::Null => "nothing",
        Node::Bool(_) => "true or false",
        Node::Int(_) | Node::Float(_) => "a number",
        Node::Text(_) => "text",
        Node::List(_) => "a list",
        Node::Map(_) => "a map",
    }
}

/// A value of the file as the command line would have it.
fn texts(param: &Param, yaml: &Yaml) -> std::result::Result<Vec<String>, String> {
    let kind = param.kind.unwrap_or(Kind::Text);
    match &yaml.node {
        Node::List(_) | Node::Map(_) if matches!(kind, Kind::Pairs | Kind::Map) => whole(yaml),
        Node::List(items) if param.list => items.iter().map(|item| scalar(kind, item)).collect(),
        Node::Map(items) if param.many && kind == Kind::Text => items
            .iter()
            .map(|(key, item)| match &item.node {
                Node::List(_) | Node::Map(_) => {
                    whole(item).map(|text| format!("{}={}", key.name, text.concat()))
                }
                _ => scalar(kind, item).map(|text| format!("{}={text}", key.name)),
            })
            .collect(),
        _ => scalar(kind, yaml).map(|text| vec![text]),
    }
}

/// A list or a map as JSON. Fails with what JSON cannot hold.
fn whole(yaml: &Yaml) -> std::result::Result<Vec<String>, String> {
    ambiguous(yaml)?;
    let holder = Map::from([("value".into(), yaml.to_dynamic())]);
    let value = json::faithful(&holder).map_err(|told| told.replace("at value", "at "))?;
    Ok(vec![value["value"].to_string()])
}

fn scalar(kind: Kind, yaml: &Yaml) -> std::result::Result<String, String> {
    let number = matches!(kind, Kind::Int | Kind::Float);
    if number {
        ambiguous(yaml)?;
    }
    Ok(match &yaml.node {
        Node::Text(text) => text.clone(),
        Node::Bool(truth) if kind == Kind::Bool => truth.to_string(),
        Node::Int(int) if kind != Kind::Text => int.to_string(),
        Node::Float(float) if kind != Kind::Text => match float.is_infinite() {
            true if *float > 0.0 => "inf".into(),
            _ => float.to_string(),
        },
        Node::Float(float) if float.is_infinite() => if *float > 0.0 { "inf" } else { "-inf" }.into(),
        Node::Bool(truth) => yaml.raw.clone().unwrap_or_else(|| truth.to_string()),
        Node::Int(int) => yaml.raw.clone().unwrap_or_else(|| int.to_string()),
        Node::Float(float) => yaml.raw.clone().unwrap_or_else(|| float.to_string()),
        Node::Null => return Err("must not be empty in a list".into()),
        Node::List(_) | Node::Map(_) => {
            let must = match kind {
                Kind::Int => "a whole number",
                Kind::Float => "a number",
                Kind::Bool => "true or false",
                _ => "text",
            };
            return Err(format!("must be {must}, got {}", kind_of(yaml)));
        }
    })
}

/// Refuses a number whose value depends on the reader.
fn ambiguous(yaml: &Yaml) -> std::result::Result<(), String> {
    match &yaml.node {
        Node::List(items) => items.iter().try_for_each(ambiguous),
        Node::Map(items) => items.iter().try_for_each(|(_, item)| ambiguous(item)),
        _ if yaml.is_ambiguous() => {
            let written = yaml.raw.as_deref().unwrap_or_default();
            let plain = written.trim_start_matches(['+', '-', '0']);
            let plain = if plain.is_empty() { "0" } else { plain };
            Err(format!("{written} is octal for some readers of YAML and decimal for others; write {plain}"))
        }
        _ => Ok(()),
    }
}
