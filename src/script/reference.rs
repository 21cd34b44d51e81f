//! `Reference`: everything that scripts can call, from the documentation that is registered with
//! it, so that the two cannot disagree.

use std::any::TypeId;
use std::sync::Arc;

use rhai::{Array, Engine, FnAccess, FnPtr, FuncMetadata, ImmutableString, Map};

use super::Script;
use super::bind;
use super::options::{self, Call, shown};
use super::state::State;
use super::vocabulary::friendly;
use crate::error::{Error, Result, nearest};

/// All chapters, in the order in which a newcomer meets them.
#[derive(Debug)]
pub struct Reference {
    chapters: Vec<(&'static str, Vec<Entry>)>,
}

/// One way to call a function, or one property.
#[derive(Debug, Clone)]
struct Entry {
    /// On which value it is called; `None`: on none.
    receiver: Option<&'static str>,
    name: String,
    arguments: usize,
    /// `poisson(rate) -> arrivals`.
    shown: String,
    docs: String,
    /// Where it takes a map of options.
    options: Option<&'static Call>,
}

/// Functions that are registered together, and the type that they are about.
struct Chapter {
    title: &'static str,
    handle: &'static str,
    register: fn(&mut Engine, &Arc<State>),
}

const CHAPTERS: [Chapter; 25] = [
    Chapter { title: "Parameters", handle: "", register: bind::param::register },
    Chapter { title: "Targets", handle: "target", register: bind::target::register },
    Chapter { title: "Workloads and lengths", handle: "workload", register: bind::workload::register },
    Chapter { title: "Traces", handle: "workload", register: bind::trace::register },
    Chapter { title: "Turns of conversations", handle: "turn", register: bind::turn::register },
    Chapter {
        title: "Requests before they are sent",
        handle: "outgoing",
        register: bind::outgoing::register,
    },
    Chapter { title: "Runs that go on", handle: "so far", register: bind::so_far::register },
    Chapter { title: "Metrics of your own", handle: "metric", register: bind::metric::register },
    Chapter { title: "Load shapes", handle: "arrivals", register: bind::arrivals::register },
    Chapter { title: "Objectives", handle: "slo", register: bind::slo::register },
    Chapter { title: "Runs", handle: "result", register: bind::run::register },
    Chapter { title: "Results", handle: "result", register: bind::result::register },
    Chapter { title: "Accuracy", handle: "result", register: bind::accuracy::register },
    Chapter { title: "Sweeps", handle: "sweep", register: bind::sweep::register },
    Chapter { title: "Comparisons", handle: "comparison", register: bind::comparison::register },
    Chapter { title: "Single requests", handle: "response", register: bind::request::register },
    Chapter { title: "Output and verdicts", handle: "", register: bind::output::register },
    Chapter { title: "Charts", handle: "chart", register: bind::chart::register },
    Chapter { title: "Files and earlier results", handle: "", register: bind::files::register },
    Chapter { title: "Numbers and text", handle: "", register: bind::numbers::register },
    Chapter { title: "Lists", handle: "", register: bind::lists::register },
    Chapter { title: "Time", handle: "", register: bind::time::register },
    Chapter { title: "Random values", handle: "rng", register: bind::random::register },
    Chapter { title: "Secrets", handle: "secret", register: bind::secret::register },
    Chapter { title: "Errors", handle: "error", register: bind::error::register },
];

/// Columns of a line of names.
const LINE: usize = 76;

impl Reference {
    /// What a session's scripts can call.
    pub fn of(session: &Script) -> Reference {
        let mut chapters = Vec::new();
        let mut known: Vec<Entry> = Vec::new();
        for chapter in &CHAPTERS {
            let mut engine = Engine::new_raw();
            (chapter.register)(&mut engine, &session.state);
            let entries = entries(&engine, chapter.handle);
            known.extend(entries.iter().cloned());
            chapters.push((chapter.title, entries));
        }
        // What belongs to no chapter is shown all the same.
        let mut rest = entries(&session.engine, "");
        rest.retain(|one| !known.iter().any(|entry| entry.name == one.name));
        if !rest.is_empty() {
            chapters.push(("Further", rest));
        }
        Reference { chapters }
    }

    /// The whole reference as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for (title, entries) in &self.chapters {
            text += &format!("\n## {title}\n");
            for entry in entries {
                text += &format!("\n- `{}`:\n  {}\n", entry.shown, entry.docs.replace('\n', "\n  "));
                let list = match entry.options_of_another() {
                    Some(other) => format!("\nOptions: those of `{other}`.\n"),
                    None => entry.options.map_or(String::new(), |call| shown::markdown(call.table)),
                };
                for line in list.lines() {
                    text += &format!("  {line}\n").replace("  \n", "\n");
                }
            }
        }
        text
    }

    /// Every function and property called `name`, for the terminal; `result.by` and `result[]` are
    /// those of one type, as [`Reference::list`] shows them. Fails with the nearest name.
    pub fn about(&self, name: &str) -> Result<String> {
        let asked = name.trim().trim_end_matches("()");
        let told = |entry: &Entry| {
            let mut text = entry.docs.clone();
            match entry.options_of_another() {
                Some(other) => text += &format!("\nOptions: those of `{other}`."),
                None => {
                    text += &entry
                        .options
                        .map_or(String::new(), |call| format!("\n{}", shown::terminal(call.table)))
                }
            }
            format!("{}\n    {}", entry.shown, text.trim_end().replace('\n', "\n    "))
        };
        if let Some((_, entries)) = self.chapters.iter().find(|(title, _)| title.eq_ignore_ascii_case(asked))
        {
            return Ok(entries.iter().map(told).collect::<Vec<_>>().join("\n\n"));
        }
        let all = || self.chapters.iter().flat_map(|(_, entries)| entries);
        let of_type: Vec<&Entry> = all().filter(|entry| entry.short() == asked).collect();
        let called = match of_type.is_empty() {
            true => all().filter(|entry| entry.name == asked).collect(),
            // A function of the name that belongs to no type is one among those of that name.
            false if of_type[0].receiver.is_none() => all().filter(|entry| entry.name == asked).collect(),
            false => of_type,
        };
        let option = shown::about(asked);
        if called.is_empty() && option.is_empty() {
            let names: Vec<String> = all().flat_map(|entry| [entry.name.clone(), entry.short()]).collect();
            let near = nearest(asked, names.iter().map(String::as_str).chain(shown::all_names()));
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            let told = format!("there is no function or option {name:?}{near}");
            return Err(Error::usage(told).hint("rampant docs"));
        }
        let option = Some(option).filter(|option| !option.is_empty());
        Ok(called.into_iter().map(told).chain(option).collect::<Vec<_>>().join("\n\n"))
    }

    /// The names of all functions and properties by chapter, for the terminal.
    pub fn list(&self) -> String {
        let chapter = |(title, entries): &(&str, Vec<Entry>)| {
            let mut names: Vec<String> = entries.iter().map(Entry::short).collect();
            names.dedup();
            let mut lines = vec![title.to_string()];
            let mut line = String::new();
            for name in names {
                if line.len() + name.len() > LINE {
                    lines.push(std::mem::take(&mut line));
                }
                line += if line.is_empty() { "    " } else { "  " };
                line += &name;
            }
            lines.push(line);
            lines.join("\n")
        };
        self.chapters.iter().map(chapter).collect::<Vec<_>>().join("\n")
    }
}

impl Entry {
    /// `None` for what scripts do not call by its name.
    fn of(metadata: &FuncMetadata, handle: &'static str) -> Option<Entry> {
        let docs: Vec<&str> =
            metadata.comments.iter().flat_map(|text| text.lines()).map(without_marks).collect();
        let of_handle = metadata.param_types.first().and_then(|id| type_name(*id));
        let receiver = of_handle.filter(|name| *name == handle && !handle.is_empty());
        let returns = returned(&metadata.return_type);
        let arguments: Vec<String> =
            (usize::from(receiver.is_some())..metadata.num_params).map(|i| argument(metadata, i)).collect();
        let (name, call) = match metadata.name.strip_prefix("get$") {
            Some(property) => (property, property.to_string()),
            None if metadata.name == "index$get$" => ("[]", format!("[{}]", arguments.join(", "))),
            None => (metadata.name.as_str(), format!("{}({})", metadata.name, arguments.join(", "))),
        };
        let spoken = name == "[]" || name.starts_with(|c: char| c.is_alphabetic());
        if !spoken || name.contains('$') || ["to_string", "to_debug"].contains(&name) {
            return None;
        }
        let dot = if name == "[]" { "" } else { "." };
        let on = receiver.map_or(String::new(), |receiver| format!("{receiver}{dot}"));
        let returns = if returns.is_empty() { returns } else { format!(" -> {returns}") };
        Some(Entry {
            receiver,
            name: name.into(),
            arguments: metadata.num_params,
            shown: format!("{on}{call}{returns}"),
            docs: docs.join("\n"),
            options: options::of_call(name, metadata.num_params),
        })
    }

    /// The function, before this one, that takes the same options.
    fn options_of_another(&self) -> Option<&'static str> {
        let call = self.options?;
        let first = options::CALLS.iter().find(|one| std::ptr::eq(one.table, call.table))?;
        (first.function != call.function).then_some(first.function)
    }

    fn short(&self) -> String {
        match self.receiver {
            Some(receiver) if self.name == "[]" => format!("{receiver}[]"),
            Some(receiver) => format!("{receiver}.{}", self.name),
            None => self.name.clone(),
        }
    }
}

fn entries(engine: &Engine, handle: &'static str) -> Vec<Entry> {
    let public = |info: rhai::FuncInfo| {
        let of_the_language = super::vocabulary::stands_for_the_languages(info.metadata);
        let shown =
            info.metadata.access != FnAccess::Private && info.namespace.is_empty() && !of_the_language;
        shown.then(|| Entry::of(info.metadata, handle)).flatten()
    };
    let mut entries = engine.collect_fn_metadata(None, public, false);
    entries.sort_by_key(|one| (one.receiver.is_some(), one.name.clone(), one.arguments, one.shown.clone()));
    entries.dedup_by(|one, before| one.shown == before.shown);
    entries
}

fn without_marks(line: &str) -> &str {
    line.trim_start().trim_start_matches("///").trim()
}

fn argument(metadata: &FuncMetadata, index: usize) -> String {
    let told = metadata.params_info.get(index).map_or("value", |param| param.as_str());
    let name = told.split(':').next().unwrap_or(told).trim();
    match metadata.param_types.get(index).and_then(|id| type_name(*id)) {
        Some(kind) if kind != name => format!("{name}: {kind}"),
        _ => name.into(),
    }
}

/// A type in the words of a script author; `None` where any value will do.
fn type_name(id: TypeId) -> Option<&'static str> {
    let types: [(TypeId, &str); 18] = [
        (TypeId::of::<i64>(), "int"),
        (TypeId::of::<f64>(), "float"),
        (TypeId::of::<bool>(), "bool"),
        (TypeId::of::<ImmutableString>(), "string"),
        (TypeId::of::<Array>(), "list"),
        (TypeId::of::<Map>(), "map"),
        (TypeId::of::<FnPtr>(), "function"),
        (TypeId::of::<bind::target::TargetHandle>(), "target"),
        (TypeId::of::<bind::result::ResultHandle>(), "result"),
        (TypeId::of::<bind::request::RequestHandle>(), "response"),
        (TypeId::of::<bind::chart::ChartHandle>(), "chart"),
        (TypeId::of::<bind::sweep::Sweep>(), "sweep"),
        (TypeId::of::<bind::comparison::Compared>(), "comparison"),
        (TypeId::of::<bind::random::Random>(), "rng"),
        (TypeId::of::<crate::schedule::Shape>(), "arrivals"),
        (TypeId::of::<crate::stats::Slo>(), "slo"),
        (TypeId::of::<super::fault::ScriptFault>(), "error"),
        (TypeId::of::<crate::experiment::source::WorkloadSource>(), "workload"),
    ];
    types.into_iter().find(|(known, _)| *known == id).map(|(_, name)| name)
}

/// What a function gives back; nothing where it gives nothing, or any value.
fn returned(kind: &str) -> String {
    let kind = kind.replace(' ', "");
    let inner = kind.strip_prefix("Fallible<").and_then(|kind| kind.strip_suffix('>')).unwrap_or(&kind);
    match inner.rsplit("::").next().unwrap_or(inner) {
        "()" => String::new(),
        "TargetHandle" => "target".into(),
        "ResultHandle" => "result".into(),
        "RequestHandle" => "response".into(),
        "ChartHandle" => "chart".into(),
        "Shape" => "arrivals".into(),
        "Length" => "length".into(),
        "WorkloadSource" => "workload".into(),
        "Sweep" => "sweep".into(),
        "Compared" => "comparison".into(),
        "Slo" => "slo".into(),
        "Secret" => "secret".into(),
        "Random" => "rng".into(),
        _ => friendly(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::testing;

    fn reference() -> Reference {
        Reference::of(&testing::session(""))
    }

    #[test]
    fn whatever_the_list_prints_can_be_asked_for() {
        let reference = reference();
        let list = reference.list();
        assert!(list.lines().all(|line| line.len() <= 80), "{list}");
        let names = list.lines().flat_map(|line| match line.starts_with(' ') {
            true => line.split_whitespace().collect::<Vec<_>>(),
            false => vec![line],
        });
        let names: Vec<&str> = names.collect();
        assert!(names.len() > 100, "{}", names.len());
        for name in names {
            let told = reference.about(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(told.len() > 20, "{name}: {told}");
        }
    }

    #[test]
    fn functions_methods_and_properties_are_shown_as_they_are_called() {
        let text = reference().markdown();
        for shown in [
            "`poisson(rate) -> arrivals`",
            "`arrivals.bursty(cv) -> arrivals`",
            "`target(url: string, options: map) -> target`",
            "`result[name: string]`",
            "`result.name -> string`",
            "`request(server: target, options: map) -> response`",
            "`run(plan: map) -> result`",
        ] {
            assert!(text.contains(shown), "{shown} is not in\n{text}");
        }
    }

    #[test]
    fn every_function_of_ours_is_in_a_chapter() {
        let titles: Vec<&str> = reference().chapters.iter().map(|(title, _)| *title).collect();
        assert!(!titles.contains(&"Further"), "{:?}", reference().chapters.last());
    }

    #[test]
    fn every_name_that_is_listed_can_be_asked_for() {
        let reference = reference();
        let listed = reference.list();
        let names: Vec<&str> =
            listed.lines().filter(|line| line.starts_with("    ")).flat_map(str::split_whitespace).collect();
        assert!(
            names.len() > 100 && names.contains(&"result.by") && names.contains(&"result[]"),
            "{names:?}"
        );
        for name in names {
            let told = reference.about(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            let receiver = name.split_once('.').map(|(receiver, _)| format!("{receiver}."));
            let shown = told.lines().filter(|line| !line.starts_with(' ') && !line.is_empty());
            for line in shown {
                assert!(
                    receiver.as_ref().is_none_or(|receiver| line.starts_with(receiver)),
                    "{name}: {line}"
                );
            }
        }
        let told = reference.about("result.by").unwrap();
        assert!(told.starts_with("result.by("), "{told}");
        assert_eq!(reference.about("poisson()").unwrap(), reference.about("poisson").unwrap());
        let error = reference.about("result.bby").unwrap_err();
        assert_eq!(error.message, "there is no function or option \"result.bby\"; did you mean result.by?");
    }

    #[test]
    fn a_name_gives_all_its_ways_and_a_slip_the_nearest_name() {
        let told = reference().about("closed").unwrap();
        assert!(told.starts_with("closed(users) -> arrivals\n    `users` users; each"), "{told}");
        assert!(told.contains("closed(from, users, over)"), "{told}");
        let error = reference().about("poison").unwrap_err();
        assert_eq!(error.message, "there is no function or option \"poison\"; did you mean poisson?");
    }
}
