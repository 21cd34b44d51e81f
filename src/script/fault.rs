//! `ScriptFault`: one of our errors on its way through the script language, and the way back out.
//!
//! A native function returns [`raise`]`(error)`; kind, hint and exit code survive. What the
//! language itself reports is put into our own words by [`explain`].

use rhai::{Dynamic, EvalAltResult, ParseError, ParseErrorType, Position};

use super::scan;
use super::sources::{SourcePlace, Sources};
use super::vocabulary::{Vocabulary, friendly};
use crate::error::{Error, ErrorKind, nearest};

/// What is said of a script that its cancel token ended.
pub const STOPPED: &str = "the script was stopped";

/// What a native function returns.
pub type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// One of our errors inside the language. A script that catches it sees `.message` and `.kind`.
#[derive(Debug, Clone)]
pub struct ScriptFault {
    pub error: Error,
    /// The option at which the caret should stand, rather than at the call.
    pub option: Option<String>,
}

/// Carries `error` out of a native function. `fail()` and an interruption cannot be caught.
pub fn raise(error: Error) -> Box<EvalAltResult> {
    ScriptFault { error, option: None }.into()
}

/// As [`raise`], with the caret at the option `name` of the call.
pub fn raise_at(name: &str, error: Error) -> Box<EvalAltResult> {
    ScriptFault { error, option: Some(name.into()) }.into()
}

impl From<ScriptFault> for Box<EvalAltResult> {
    fn from(fault: ScriptFault) -> Self {
        let kind = fault.error.kind;
        let token = Dynamic::from(fault);
        Box::new(match kind {
            ErrorKind::Failed | ErrorKind::Interrupted => {
                EvalAltResult::ErrorTerminated(token, Position::NONE)
            }
            _ => EvalAltResult::ErrorRuntime(token, Position::NONE),
        })
    }
}

/// A function of ours that a script called, and where from.
#[derive(Debug)]
struct Frame {
    function: String,
    place: Option<SourcePlace>,
}

/// The chain of calls around an error: the innermost error, where it is, and who called.
struct Chain {
    inner: Box<EvalAltResult>,
    place: Option<SourcePlace>,
    frames: Vec<Frame>,
}

fn unwind(error: Box<EvalAltResult>, source: &str, sources: &Sources) -> Chain {
    let mut inner = error;
    let mut source = source.to_string();
    let mut frames = Vec::new();
    loop {
        let here = place(inner.position_of_itself(), &source);
        match *inner {
            EvalAltResult::ErrorInFunctionCall(name, its_source, deeper, _) => {
                let its_source =
                    sources.home_of(&name, if its_source.is_empty() { &source } else { &its_source });
                // A native function that calls back adds a frame without a place: say nothing of it.
                if here.is_some() {
                    frames.push(Frame { function: sources.function(&name, &its_source), place: here });
                }
                source = its_source;
                inner = deeper;
            }
            EvalAltResult::ErrorInModule(name, deeper, _) => {
                if here.is_some() {
                    frames.push(Frame { function: format!("module \"{name}\""), place: here });
                }
                source = name;
                inner = deeper;
            }
            _ => {
                let place = here.or_else(|| frames.pop().and_then(|frame| frame.place));
                frames.reverse();
                // A native that calls back (`map`) stands at the same place as its callback.
                frames.dedup_by(|outer, inner| outer.place == inner.place);
                return Chain { inner, place, frames };
            }
        }
    }
}

trait OwnPosition {
    fn position_of_itself(&self) -> Position;
}

impl OwnPosition for EvalAltResult {
    fn position_of_itself(&self) -> Position {
        match self {
            EvalAltResult::ErrorInFunctionCall(_, _, _, position)
            | EvalAltResult::ErrorInModule(_, _, position) => *position,
            other => other.position(),
        }
    }
}

fn place(position: Position, source: &str) -> Option<SourcePlace> {
    let line = position.line()?;
    Some(SourcePlace { source: source.into(), line, column: position.position().unwrap_or(1).max(1) })
}

/// Puts an error of the language into our words, with its place in the script. `kind` is what an
/// error is that the script made itself.
pub fn explain(
    error: Box<EvalAltResult>,
    source: &str,
    kind: ErrorKind,
    sources: &Sources,
    vocabulary: &Vocabulary,
) -> Error {
    let mut chain = unwind(error, source, sources);
    let (mut told, option) = match own(&chain.inner) {
        Some(fault) => (fault.error, fault.option),
        None => (Error::new(kind, sentence(&chain, sources, vocabulary)), None),
    };
    if told.kind == ErrorKind::Usage && kind == ErrorKind::Run {
        told.kind = ErrorKind::Run;
    }
    // `fail()` is the author's own sentence and an interruption has no place.
    if told.place.is_none() && !matches!(told.kind, ErrorKind::Failed | ErrorKind::Interrupted) {
        if let (Some(option), Some(place)) = (option, &mut chain.place)
            && let Some(text) = sources.get(&place.source)
            && let Some((line, column)) = scan::find_option(&text.text, place.line, place.column, &option)
        {
            (place.line, place.column) = (line, column);
        }
        told.place = chain.place.as_ref().map(|place| rendered(place, &chain.frames, sources));
    }
    told
}

/// A mistake found before anything ran.
pub fn explain_parse(error: ParseError, source: &str, sources: &Sources, vocabulary: &Vocabulary) -> Error {
    let ParseError(what, position) = error;
    let place = place(position, source);
    let text = sources.get(source).map(|text| text.text.to_string()).unwrap_or_default();
    let mut told = Error::usage(syntax(&what, &text, place.as_ref(), vocabulary));
    told.place = place.map(|place| sources.render(&place));
    told
}

fn rendered(place: &SourcePlace, frames: &[Frame], sources: &Sources) -> String {
    let mut text = sources.render(place);
    for Frame { function, place } in frames {
        if let Some(place) = place {
            text += &format!("\n  in {function}, called from {}", sources.cite(place));
        }
    }
    text
}

/// The kind of an error of ours, however deep the calls around it.
pub fn kind(error: &EvalAltResult) -> Option<ErrorKind> {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => {
            kind(inner)
        }
        other => own(other).map(|fault| fault.error.kind),
    }
}

/// The option that an error of ours is about, however deep the calls around it.
pub fn option(error: &EvalAltResult) -> Option<String> {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => {
            option(inner)
        }
        other => own(other).and_then(|fault| fault.option),
    }
}

fn own(error: &EvalAltResult) -> Option<ScriptFault> {
    match error {
        EvalAltResult::ErrorRuntime(token, _) | EvalAltResult::ErrorTerminated(token, _) => {
            token.clone().try_cast::<ScriptFault>()
        }
        _ => None,
    }
}

/// What the language reports, as a sentence of ours.
fn sentence(chain: &Chain, sources: &Sources, vocabulary: &Vocabulary) -> String {
    let text = || {
        let source = chain.place.as_ref().and_then(|place| sources.get(&place.source));
        source.map(|text| text.text.to_string()).unwrap_or_default()
    };
    match &*chain.inner {
        EvalAltResult::ErrorFunctionNotFound(call, _) => unknown_function(call, vocabulary),
        EvalAltResult::ErrorVariableNotFound(name, _) => unknown("variable", name, &scan::variables(&text())),
        EvalAltResult::ErrorPropertyNotFound(name, _) => {
            let mut told = unknown("property", name, &scan::keys(&text()));
            told += " (`map?.name ?? other` reads one that may be absent)";
            told
        }
        EvalAltResult::ErrorDotExpr(told, _) => no_property(told, vocabulary),
        EvalAltResult::ErrorModuleNotFound(name, _) => missing_module(name),
        EvalAltResult::ErrorParsing(what, _) => syntax(what, &text(), chain.place.as_ref(), vocabulary),
        EvalAltResult::ErrorRuntime(thrown, _) => match thrown.is_unit() {
            true => "the script threw an error".into(),
            false => format!("the script threw {}", shown(thrown)),
        },
        EvalAltResult::ErrorTooManyOperations(_) => {
            "the script took too many steps; an endless loop? (to wait, use sleep)".into()
        }
        EvalAltResult::ErrorStackOverflow(_) => "functions call each other too deeply".into(),
        EvalAltResult::ErrorDataTooLarge(what, _) => format!("{} grew too large", lower(what)),
        EvalAltResult::ErrorTerminated(..) => STOPPED.into(),
        EvalAltResult::ErrorMismatchDataType(wanted, got, _)
        | EvalAltResult::ErrorMismatchOutputType(wanted, got, _) => {
            format!("expected {}, got {}", a(&friendly(wanted)), a(&friendly(got)))
        }
        EvalAltResult::ErrorDataRace(what, _) => {
            format!(
                "{what} is used while it changes; does it hold itself? (a copy, `value + []`, has no part in it)"
            )
        }
        EvalAltResult::ErrorFor(_) => "`for` needs a list, a map's keys or a range".into(),
        EvalAltResult::ErrorIndexingType(what, _) => format!("{what} cannot be indexed"),
        other => {
            let mut bare = other.to_string();
            if let Some(at) = bare.rfind(" (line ") {
                bare.truncate(at);
            }
            lower(&bare)
        }
    }
}

/// `poison (f64)` -> near names or accepted signatures.
fn unknown_function(call: &str, vocabulary: &Vocabulary) -> String {
    let (name, given) = call.split_once(" (").unwrap_or((call, ""));
    let given: Vec<String> = given
        .trim_end_matches(')')
        .split(", ")
        .filter(|kind| !kind.is_empty())
        .map(|kind| Some(friendly(kind)).filter(|kind| !kind.is_empty()).unwrap_or("value".into()))
        .collect();
    if !vocabulary.signatures(name).is_empty() {
        let accepted = vocabulary.accepted(name);
        return format!("`{name}` does not take ({}); it is called as {accepted}", given.join(", "));
    }
    if name.starts_with("anon$") {
        let all = match given.len() {
            1 => "1 argument".to_string(),
            n => format!("{n} arguments"),
        };
        return format!("a function that is called with {all} takes another number of them");
    }
    let operator = !name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    match given.as_slice() {
        [left, right] if operator => format!("`{name}` does not work between {} and {}", a(left), a(right)),
        [one] if operator => format!("`{name}` does not work on {}", a(one)),
        _ => unknown("function", name, &vocabulary.names().collect::<Vec<_>>()),
    }
}

/// `Unknown property 'x' - a getter is not registered for type 'Y'` in our words.
fn no_property(told: &str, vocabulary: &Vocabulary) -> String {
    let mut quoted = told.split('\'').skip(1).step_by(2);
    let (Some(name), Some(kind)) = (quoted.next(), quoted.next()) else { return lower(told) };
    let kind = friendly(kind);
    let verb = if told.starts_with("No writable") { "cannot be set on" } else { "is not a property of" };
    let near = vocabulary.nearest_property(name, &kind).filter(|near| *near != name);
    match near {
        Some(near) => format!("`{name}` {verb} {}; did you mean `{near}`?", a(&kind)),
        None => format!("`{name}` {verb} {}", a(&kind)),
    }
}

fn missing_module(name: &str) -> String {
    format!("no module \"{name}\": not beside the script, not in a --lib folder, not in the embedded library")
}

/// `unknown function `poison`; did you mean `poisson`?`
pub fn unknown(what: &str, name: &str, known: &[impl AsRef<str>]) -> String {
    match nearest(name, known.iter().map(AsRef::as_ref).filter(|one| *one != name)) {
        Some(near) => format!("unknown {what} `{name}`; did you mean `{near}`?"),
        None => format!("unknown {what} `{name}`"),
    }
}

fn syntax(what: &ParseErrorType, text: &str, place: Option<&SourcePlace>, vocabulary: &Vocabulary) -> String {
    match what {
        ParseErrorType::VariableUndefined(name) => {
            let mut known = scan::variables(text);
            // `running(...)` is a function; `running` alone is a variable that is not there.
            if nearest(name, known.iter().map(String::as_str)).is_none() {
                known.extend(vocabulary.names().map(String::from));
            }
            let inside = place.is_some_and(|place| scan::is_inside_function(text, place.line, place.column));
            match inside && known.contains(name) {
                true => {
                    format!("variable `{name}` is not visible inside a function; hand it over as an argument")
                }
                false => unknown("variable", name, &known),
            }
        }
        ParseErrorType::ModuleUndefined(name) => {
            format!("unknown module `{name}`; import \"...\" as {name} comes first")
        }
        ParseErrorType::BadInput(told) if told.to_string().contains("'eval'") => {
            "`eval` is not available in scripts".into()
        }
        ParseErrorType::Reserved(name) => format!("`{name}` is a reserved word"),
        ParseErrorType::MissingToken(token, why) => {
            format!("`{token}` is missing {why}").trim_end().to_string()
        }
        other => lower(&other.to_string()),
    }
}

/// With its article: `a string`, `an int`, `nothing`.
pub fn a(kind: &str) -> String {
    match kind {
        "()" => "nothing".into(),
        "" => "a value".into(),
        _ if kind.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

/// A value in an error: strings quoted, long ones cut.
pub fn shown(value: &Dynamic) -> String {
    let text = match value.clone().into_immutable_string() {
        Ok(text) => format!("{:?}", text.as_str()),
        Err(_) => super::text::text(value, 1000, &mut Dynamic::to_string),
    };
    match text.chars().count() {
        0..=60 => text,
        _ => text.chars().take(57).collect::<String>() + "...",
    }
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        // An acronym keeps its capitals.
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().collect::<String>() + letters.as_str()
        }
        _ => text.into(),
    }
}
