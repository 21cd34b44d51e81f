//! `Vocabulary`: the functions and properties that an engine knows, with what they take.

use std::collections::{BTreeMap, HashSet};

use rhai::{Engine, FnAccess, FuncMetadata};

use crate::error::nearest;

/// Names that the language handles by itself; any number of arguments.
const LANGUAGE: [&str; 9] =
    ["call", "curry", "Fn", "is_shared", "type_of", "is_def_fn", "is_def_var", "print", "debug"];

/// What can be called, taken from the engine itself.
#[derive(Debug, Default)]
pub struct Vocabulary {
    functions: BTreeMap<String, Vec<Signature>>,
    /// Property -> types that have it.
    properties: BTreeMap<String, Vec<String>>,
    /// Our types: name in Rust, without its path -> name in scripts.
    types: BTreeMap<String, String>,
}

/// One way to call a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub name: String,
    /// `rate: number`, one for each argument.
    pub params: Vec<String>,
    /// Empty for what came with the language.
    pub docs: String,
    /// Came with the language, not from us.
    pub standard: bool,
}

impl Signature {
    /// `poisson(rate: number)`.
    pub fn shown(&self) -> String {
        format!("{}({})", self.name, self.params.join(", "))
    }

    /// As it is called on a value: `.save(path: string)`.
    pub fn shown_as_method(&self) -> String {
        format!(".{}({})", self.name, self.params.get(1..).unwrap_or_default().join(", "))
    }
}

impl Vocabulary {
    pub fn of(engine: &Engine) -> Self {
        let mut vocabulary = Vocabulary { types: types(engine), ..Default::default() };
        let ours = engine.collect_fn_metadata(None, |info| Some(info.metadata.hash), false);
        let ours: HashSet<u64> = ours.into_iter().collect();
        let all = engine.collect_fn_metadata(None, |info| Some(owned(&info)), true);
        for (name, metadata) in all {
            if metadata.access == FnAccess::Private {
                continue;
            }
            if let Some(property) = metadata.name.strip_prefix("get$") {
                let kind = metadata.params_info.first().map_or("", |param| param.as_str());
                let kind = vocabulary.type_name(kind.split_once(':').map_or(kind, |(_, kind)| kind));
                vocabulary.properties.entry(property.into()).or_default().push(kind);
                continue;
            }
            if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') || name.contains('$') {
                continue;
            }
            let standard = !ours.contains(&metadata.hash);
            // It stands for one that came with the language.
            if !standard && stands_for_the_languages(&metadata) {
                continue;
            }
            let signature = Signature {
                name: name.clone(),
                params: vocabulary.params(&metadata),
                docs: if standard { String::new() } else { metadata.comments.join("\n") },
                standard,
            };
            let known = vocabulary.functions.entry(name).or_default();
            if !known.contains(&signature) {
                known.push(signature);
            }
        }
        vocabulary
    }

    /// True for names that take whatever they are given.
    pub fn is_language(&self, name: &str) -> bool {
        LANGUAGE.contains(&name)
    }

    /// Every way to call `name`.
    pub fn signatures(&self, name: &str) -> &[Signature] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names that can be called. Ours come first, so that a slip is corrected to one of ours.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (ours, standard): (Vec<_>, Vec<_>) =
            self.functions.iter().partition(|(_, signatures)| signatures.iter().any(|one| !one.standard));
        ours.into_iter().chain(standard).map(|(name, _)| name.as_str()).chain(LANGUAGE)
    }

    /// Everything that we registered ourselves: name and signature.
    pub fn ours(&self) -> impl Iterator<Item = (&str, &Signature)> {
        self.functions
            .iter()
            .flat_map(|(name, signatures)| signatures.iter().map(move |signature| (name.as_str(), signature)))
            .filter(|(_, signature)| !signature.standard)
    }

    /// The property of `kind` that is nearest to what was typed.
    pub fn nearest_property(&self, typed: &str, kind: &str) -> Option<&str> {
        let of_kind = self.properties.iter().filter(|(_, kinds)| kinds.iter().any(|one| one == kind));
        nearest(typed, of_kind.map(|(name, _)| name.as_str()))
    }

    /// The ways to call `name`, for an error: `poisson(rate: number)` or `a(x) or a(x, y)`.
    pub fn accepted(&self, name: &str) -> String {
        list_ways(self.worth_telling(name).map(Signature::shown).collect())
    }

    /// As [`Vocabulary::accepted`], called on a value.
    pub fn accepted_as_method(&self, name: &str) -> String {
        list_ways(self.worth_telling(name).map(Signature::shown_as_method).collect())
    }

    /// A type as scripts know it.
    fn type_name(&self, kind: &str) -> String {
        let kind = friendly(kind);
        self.types.get(&kind).cloned().unwrap_or(kind)
    }

    fn params(&self, metadata: &FuncMetadata) -> Vec<String> {
        (0..metadata.num_params)
            .map(|index| {
                let param = metadata.params_info.get(index).map_or("_", |param| param.as_str());
                let (param, kind) = param.split_once(':').unwrap_or((param, ""));
                match (param.trim(), self.type_name(kind)) {
                    ("_" | "?" | "", kind) if kind.is_empty() => "value".into(),
                    ("_" | "?" | "", kind) => kind,
                    (param, kind) if kind.is_empty() => param.into(),
                    (param, kind) => format!("{param}: {kind}"),
                }
            })
            .collect()
    }

    /// A name that we share with the language is meant in our sense.
    fn worth_telling(&self, name: &str) -> impl Iterator<Item = &Signature> {
        let all = self.signatures(name);
        let has_ours = all.iter().any(|one| !one.standard);
        all.iter().filter(move |one| !has_ours || !one.standard)
    }
}

fn owned(info: &rhai::FuncInfo) -> (String, FuncMetadata) {
    let name = match info.namespace.is_empty() {
        true => info.metadata.name.to_string(),
        false => format!("{}::{}", info.namespace, info.metadata.name),
    };
    (name, info.metadata.clone())
}

fn list_ways(mut ways: Vec<String>) -> String {
    ways.dedup();
    match ways.len() {
        0..=4 => ways.join(" or "),
        more => format!("{} and {} more ways", ways[..4].join(", "), more - 4),
    }
}

/// The types that were registered with a name of their own.
fn types(engine: &Engine) -> BTreeMap<String, String> {
    /// What the engine tells of itself; its functions, most of it, are passed over.
    #[derive(Default, serde::Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Told {
        custom_types: Vec<Type>,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Type {
        type_name: String,
        display_name: String,
    }
    let json = engine.gen_fn_metadata_to_json(false).unwrap_or_default();
    let told: Told = serde_json::from_str(&json).unwrap_or_default();
    let short = |rust: &str| rust.rsplit("::").next().unwrap_or(rust).to_string();
    told.custom_types.into_iter().map(|one| (short(&one.type_name), one.display_name)).collect()
}

/// A Rust type in the words of a script author.
pub fn friendly(kind: &str) -> String {
    let kind = kind.trim().trim_start_matches("&mut ").trim_start_matches('&').trim();
    match kind.rsplit("::").next().unwrap_or(kind) {
        "Dynamic" | "?" | "_" => "",
        "i64" | "INT" => "int",
        "f64" | "FLOAT" => "float",
        "str" | "String" | "ImmutableString" => "string",
        "str | ImmutableString | String" => "string",
        "Map" => "map",
        "Array" | "Dynamic>" => "list",
        "FnPtr" | "Fn" => "function",
        "array" => "list",
        other => other,
    }
    .into()
}

/// Functions of the language that `bind/growth.rs` replaces: the language documents them.
pub const REPLACED: [&str; 14] = [
    "append",
    "pad",
    "blob",
    "replace",
    "split",
    "split_rev",
    "to_chars",
    "to_array",
    "to_string",
    "to_debug",
    "print",
    "debug",
    "to_json",
    "parse_json",
];

/// Whether a function is one of those.
pub fn stands_for_the_languages(function: &FuncMetadata) -> bool {
    function.comments.is_empty() && REPLACED.contains(&function.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rhai::{FuncRegistration, ImmutableString};

    #[test]
    fn signatures_are_in_the_words_of_a_script_author() {
        let mut engine = Engine::new();
        FuncRegistration::new("wait")
            .with_params_info(["what: &str", "how_long", "Dynamic"])
            .register_into_engine(&mut engine, |_: ImmutableString, _: rhai::Dynamic| 1_i64);
        engine.register_fn("plain", |_: i64, _: f64| ());
        let vocabulary = Vocabulary::of(&engine);
        assert_eq!(vocabulary.accepted("wait"), "wait(what: string, how_long)");
        assert_eq!(vocabulary.accepted("plain"), "plain(int, float)");
        assert!(vocabulary.signatures("len").iter().all(|one| one.standard));
        assert!(vocabulary.ours().any(|(name, _)| name == "wait"));
    }
}
