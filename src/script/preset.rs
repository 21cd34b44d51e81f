//! Presets: a YAML file that gives values for a script's parameters.

use rhai::Map;

use super::json;
use super::param::{Kind, Param};
use super::reading;
use super::state::State;
use super::yaml::{self, Node, Yaml};
use crate::error::{Error, Result, nearest};
use crate::experiment::args::Given;

/// Reads a file of presets. Fails with the place of the first key or value that is wrong, and when
/// a `required` name is given neither there nor on the command line.
pub fn read(state: &State, path: &str, required: &[String]) -> Result<Map> {
    let real = state.experiment.access.may_read(path)?;
    let text = reading::text(state, path)?;
    let plan = yaml::parse(&text, path).map_err(Error::usage)?;
    state.experiment.findings().presets.push((path.to_string(), text.clone()));
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
        // A key without a value is a key that was left out.
        if matches!(item.node, Node::Null) {
            continue;
        }
        let flag = format!("{}: {}", item.place(path), key.name);
        let texts = texts(param, item).map_err(|told| Error::usage(format!("{flag}: {told}")))?;
        let given = Given { name: param.name.clone(), flag, texts, split: false };
        drop(param.parse(&given)?);
        if matches!(param.name.as_str(), "base_url" | "metrics_url") {
            given.texts.iter().for_each(|url| state.experiment.access.learn(&real, url));
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
    match state.experiment.program.built_in {
        true => error.hint(format!(
            "`rampant {} --help` lists the flags, each of which is a key",
            state.experiment.program.name
        )),
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
    let value = json::faithful(&holder)
        .map_err(|told| told.replace("at value.", "at ").replace("at value", "at "))?;
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

#[cfg(test)]
mod tests {
    use crate::host::Host;
    use crate::script::{Switches, testing};

    /// What a script prints that has a file of presets and perhaps parameters of the command line.
    fn printed(yaml: &str, params: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("p.yaml"), yaml).unwrap();
        let script = "let said = preset(\"p.yaml\", #{ required: [\"rate\"] });\n\
                      print(param(\"rate\", 1.0, #{ max: 50.0 })); print(param(\"users\", [1, 2]));\n\
                      print(param(\"tags\", [], #{ type: \"string\", many: true, also: [\"labels\"] }));\n\
                      print(param(\"body\", (), #{ type: \"map\" })); print(param(\"name\", \"x\"));\n\
                      print(said.keys().len());";
        let host = Host::fake(folder.path(), &[]);
        match testing::run_with(script, params, Switches::default(), host.clone()) {
            Ok(()) => host.written().0.trim_end().replace('\n', " "),
            Err(error) => error.message,
        }
    }

    #[test]
    fn a_file_gives_what_the_command_line_does_not() {
        let file = "x-own: 1\nrate: '8'\nusers: [4, 8.0]\nlabels: {tp: 8, gpu: H100}\nbody: {a: [1, .5]}\nname: no\n";
        assert_eq!(printed(file, &[]), "8.0 [4, 8] [\"tp=8\", \"gpu=H100\"] #{\"a\": [1, 0.5]} no 5");
        assert_eq!(
            printed(file, &[("rate", "2"), ("users", "1")]).split(" #").next(),
            Some("2.0 [1] [\"tp=8\", \"gpu=H100\"]")
        );
        assert_eq!(printed("rate: ~\nusers: 3", &[("rate", "2")]), "2.0 [3] []  x 2");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (file, told) in [
            ("users: 3", "p.yaml: the key \"rate\" is missing"),
            ("rate: 51", "p.yaml:1:7: rate: must be at most 50, got 51"),
            ("rate: .nan", "p.yaml:1:7: rate: must be a number, got \"NaN\""),
            ("rate: 1\nusers: [1, [2]]", "p.yaml:2:8: users: must be a whole number, got a list"),
            ("rate: 1\nusers: {a: 1}", "p.yaml:2:8: users: must be a whole number, got a map"),
            (
                "rate: 1\nusers: [1, 007]",
                "p.yaml:2:8: users: 007 is octal for some readers of YAML and decimal for others; write 7",
            ),
            ("rate: 1\nbody: {a: .inf}", "p.yaml:2:7: body: cannot send inf (at a)"),
            ("rate: 1\nbody: 5", "p.yaml:2:7: body: must be a JSON object such as {\"name\": 1}, got 5"),
            ("rate: 1\nusrs: 5", "p.yaml:2:1: unknown key \"usrs\"; did you mean \"users\"?"),
        ] {
            assert_eq!(printed(file, &[]), told, "{file}");
        }
    }
}
