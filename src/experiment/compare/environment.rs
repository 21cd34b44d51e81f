//! `Environment`: what a run was measured with, as far as its folder says: what differs there beside the
//! server may be what one sees.

use crate::lang::Lang;
use serde_json::{Map, Value};

/// Who sent, from where, to which server, for which model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    /// `rampant 0.1.0`, or the tool whose results these are.
    pub client: Option<String>,
    pub machine: Option<String>,
    pub server: Option<String>,
    pub model: Option<String>,
}

/// Something that is not the same in all runs: what it is, and what each side has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlike {
    pub what: [&'static str; 2],
    pub sides: [Vec<String>; 2],
}

impl Unlike {
    pub fn what(&self, lang: Lang) -> &'static str {
        lang.pick(self.what[0], self.what[1])
    }
}

impl Environment {
    /// By the manifest of the folder, and the row of the run.
    pub fn of(manifest: &Map<String, Value>, row: &Map<String, Value>) -> Environment {
        let text = |value: Option<&Value>| match value {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let client = match manifest.get("imported").and_then(|of| of.pointer("/files/0/tool")) {
            Some(tool) => text(Some(tool)),
            None => text(manifest.get("versions").and_then(|versions| versions.get("rampant")))
                .map(|version| format!("rampant {version}")),
        };
        let host = |key: &str| text(manifest.get("host").and_then(|host| host.get(key)));
        let machine = host("hostname").map(|name| {
            let cores = host("cores").map(|cores| format!("{cores} x "));
            let cpu = host("cpu").map(|cpu| format!(" ({}{cpu})", cores.unwrap_or_default()));
            format!("{name}{}", cpu.unwrap_or_default())
        });
        let target = row.get("target").and_then(Value::as_str).unwrap_or_default();
        let of_target = |key: &str| text(manifest.get("targets")?.get(target)?.get(key));
        let server = match (of_target("server"), of_target("version")) {
            (Some(name), Some(version)) if version.contains(&name) => Some(version),
            (name, version) => {
                let both: Vec<String> = [name, version].into_iter().flatten().collect();
                (!both.is_empty()).then(|| both.join(" "))
            }
        };
        Environment { client, machine, server, model: text(row.get("model")) }
    }
}

/// What is not the same in all runs of both sides. What nobody knows of a run is none of it.
pub fn unlike(a: &[Environment], b: &[Environment]) -> Vec<Unlike> {
    let of = |what: [&'static str; 2], fact: fn(&Environment) -> &Option<String>| {
        let side = |runs: &[Environment]| {
            let mut known: Vec<String> = runs.iter().filter_map(|one| fact(one).clone()).collect();
            known.sort_unstable();
            known.dedup();
            known
        };
        let sides = [side(a), side(b)];
        let differs = sides[0] != sides[1] || sides[0].len() > 1;
        let known = sides.iter().all(|side| !side.is_empty());
        (differs && known).then_some(Unlike { what, sides })
    };
    [
        of(["measured with", "测量工具"], |one| &one.client),
        of(["client machine", "客户端机器"], |one| &one.machine),
        of(["server", "服务器"], |one| &one.server),
        of(["model", "模型"], |one| &one.model),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::slice::from_ref;

    fn of(manifest: Value, row: Value) -> Environment {
        Environment::of(manifest.as_object().unwrap(), row.as_object().unwrap())
    }

    #[test]
    fn a_folder_says_what_measured_what_and_from_where() {
        let here = of(
            json!({
                "versions": {"rampant": "0.1.0"},
                "host": {"hostname": "node7", "cpu": "EPYC", "cores": 8},
                "targets": {"t": {"server": "vllm", "version": "0.9.1"}}
            }),
            json!({"target": "t", "model": "llama"}),
        );
        let some = |text: &str| Some(text.to_string());
        assert_eq!(
            (here.client.clone(), here.machine.clone()),
            (some("rampant 0.1.0"), some("node7 (8 x EPYC)"))
        );
        assert_eq!((here.server.clone(), here.model.clone()), (some("vllm 0.9.1"), some("llama")));
        let other = Environment { server: some("vllm 0.9.2"), ..here.clone() };
        let unknown = of(json!({"imported": {"files": [{"tool": "guidellm"}]}}), json!({}));
        assert_eq!(unlike(from_ref(&here), from_ref(&here)), []);
        let told = unlike(from_ref(&here), from_ref(&other));
        assert_eq!((told.len(), told[0].what(Lang::English)), (1, "server"));
        assert_eq!(told[0].sides[1], ["vllm 0.9.2"]);
        let told = unlike(&[here.clone(), other.clone()], from_ref(&other));
        assert_eq!(told[0].sides[0], ["vllm 0.9.1", "vllm 0.9.2"], "the past was not all the same");
        assert_eq!(unlike(from_ref(&here), from_ref(&unknown)).len(), 1, "only what both know");
    }
}
