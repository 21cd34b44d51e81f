//! `Remedy`: what a server's refusal of a body asks of the next one. Pure.
//!
//! Servers say it in many ways (a `param`, a `loc`, a sentence around a quoted name, a list in
//! Python's notation); all of them name the field. A refusal that is about something else (the
//! prompt's length, the model, the key) names fields, too, and must change nothing.

use super::dialect::LIMITS;

/// What the body held that was refused.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// Names of the fields that we put there by ourselves.
    pub ours: &'a [String],
    /// Names of those that the user asked for; they win where a name is in both.
    pub asked: &'a [String],
    /// Names of the limit that were refused before.
    pub refused: &'a [String],
}

/// What the next body should be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Without this field of ours.
    LeaveOut(String),
    /// With the limit of the reply under this name.
    Limit(String),
    /// With a limit of at least so many tokens.
    AtLeast(u32),
    /// The user asked for this field: nothing is changed.
    Asked(String),
    /// Nothing can be asked without this field: nothing is changed.
    Needed(String),
    /// A field of another API is missing.
    Wants(String),
    /// It is about the prompt's length.
    Length,
    /// It is about something else that no field of ours can mend: model, key, quota.
    Elsewhere,
    /// It names nothing.
    Silent,
}

/// Fields that a request can do without, those first that fewest servers know.
pub const OPTIONAL: [&str; 9] = [
    "min_tokens",
    "ignore_eos",
    "min_length",
    "ignore_eos_token",
    "stream_options",
    "truncate",
    "details",
    "do_sample",
    "temperature",
];

/// Most tokens that a limit is raised to because a server wants more.
const AT_LEAST_MAX: u32 = 64;

/// Names of fields that are words of the language as well.
const WORDS: [&str; 22] = [
    "model",
    "stream",
    "n",
    "stop",
    "prompt",
    "messages",
    "input",
    "inputs",
    "user",
    "echo",
    "suffix",
    "seed",
    "tools",
    "functions",
    "details",
    "truncate",
    "text",
    "store",
    "metadata",
    "modalities",
    "reasoning",
    "parameters",
];

/// What follows one that is the subject of a refusal.
const VERBS: [&str; 8] =
    [" is not ", " is un", " is in", " must ", " should ", " cannot ", " has to ", " not "];

/// How far a word of refusal may stand from the field that it refuses, bytes.
const NEAR: usize = 40;

const REFUSING: [&str; 52] = [
    "unsupported",
    "not support",
    "n't support",
    "unrecognized",
    "unrecognised",
    "not recognized",
    "unknown",
    "unexpected",
    "extra",
    "additional propert",
    "not permitted",
    "not allowed",
    "n't allowed",
    "disallowed",
    "forbidden",
    "invalid",
    "not a valid",
    "not valid",
    "only the default",
    "must be",
    "must not",
    "should be",
    "should not",
    "has to be",
    "cannot be",
    "can't be",
    "cannot find",
    "no field",
    "no such field",
    "no such param",
    "not accept",
    "not implemented",
    "unimplemented",
    "not available",
    "incompatible",
    "deprecated",
    "refus",
    "reject",
    "illegal",
    "greater than",
    "less than",
    "in the range",
    "between",
    "ignored",
    "got an unexpected",
    "not defined",
    "undeclared",
    "不支持",
    "无效",
    "未知",
    "非法",
    "不允许",
];

/// After these the names of fields are those that would be taken.
const TAKEN: [&str; 14] = [
    "expected one of",
    "expected fields",
    "supported parameters",
    "supported fields",
    "supported keys",
    "allowed parameters",
    "allowed fields",
    "allowed keys",
    "valid parameters",
    "valid fields",
    "accepted parameters",
    "accepted fields",
    "permitted fields",
    "known fields",
];

const LENGTH: [&str; 23] = [
    "context length",
    "context window",
    "context size",
    "context limit",
    "maximum context",
    "max context",
    "context_length",
    "exceed_context",
    "too long",
    "prompt is too",
    "input length",
    "input tokens",
    "prompt tokens",
    "input is too",
    "n_ctx",
    "max_model_len",
    "max_position",
    "reduce the length",
    "maximum input",
    "too many tokens",
    "exceeds the limit of tokens",
    "input_tokens",
    "max_seq_len",
];

const WANTED: [&str; 8] = [
    "required",
    "missing",
    "must be provided",
    "must be specified",
    "must be set",
    "instead",
    "please use",
    "expected",
];

/// What the APIs call their prompts.
const PROMPTS: [&str; 5] = ["messages", "prompt", "inputs", "text_input", "input"];

const ELSEWHERE: [&str; 26] = [
    "model not found",
    "no such model",
    "unknown model",
    "invalid model",
    "model does not exist",
    "not a valid model",
    "does not exist",
    "no model",
    "model name",
    "model_not_found",
    "no healthy deployment",
    "api key",
    "api_key",
    "unauthori",
    "authenticat",
    "credential",
    "permission",
    "quota",
    "credit",
    "billing",
    "balance",
    "insufficient",
    "content policy",
    "content filter",
    "chat template",
    "chat_template",
];

/// What `words`, the server's own, ask for.
#[cfg(test)]
pub fn read(words: &str, sent: Sent) -> Remedy {
    read_closely(words, sent).0
}

/// What `words`, the server's own, ask for, and whether the field is named as the one that is refused: then it is believed
/// whatever the status.
pub fn read_closely(words: &str, sent: Sent) -> (Remedy, bool) {
    let words = words.to_lowercase();
    let said = before_the_taken(&words);
    let named = named(said, sent);
    let certain = named.as_ref().is_some_and(|named| named.distance < BARE);
    let is_limit = |name: &str| LIMITS.contains(&name);
    let placed = |named: &Named| named.distance == 0 && OPTIONAL.contains(&named.name.as_str());
    if LENGTH.iter().any(|sign| said.contains(sign)) && !named.as_ref().is_some_and(placed) {
        return (Remedy::Length, false);
    }
    let ours = |name: &str| sent.ours.iter().any(|field| field == name);
    let asked = |name: &str| sent.asked.iter().any(|field| field == name);
    // vLLM's `n must be 1 when using greedy sampling`: what is greedy is our temperature of 0.
    if said.contains("greedy") && ours("temperature") && !asked("temperature") {
        return (Remedy::LeaveOut("temperature".into()), true);
    }
    let other_limit = || {
        let free =
            |name: &&&str| !ours(name) && !asked(name) && !sent.refused.iter().any(|known| known == **name);
        let suggested = LIMITS.iter().filter(free).find(|name| places(&words, name).next().is_some());
        suggested.map(|name| name.to_string())
    };
    let wanted = WANTED.iter().any(|sign| said.contains(sign));
    let foreign = |name: &&&str| {
        let clear = |(at, end)| distance(said, name, at, end).is_some_and(|distance| distance < BARE);
        let missing = |(at, _): (usize, usize)| {
            said[..at].ends_with("missing field `") || said[..at].ends_with("you must provide a ")
        };
        !ours(name) && !asked(name) && places(said, name).any(|place| clear(place) || missing(place))
    };
    if let Some(name) = PROMPTS.iter().find(foreign).filter(|_| wanted) {
        return (Remedy::Wants(name.to_string()), false);
    }
    let Some(Named { name, .. }) = named else {
        let refusal = match other_limit().filter(|_| wanted) {
            Some(name) => Remedy::Limit(name),
            None if ELSEWHERE.iter().any(|sign| said.contains(sign)) => Remedy::Elsewhere,
            None => Remedy::Silent,
        };
        return (refusal, false);
    };
    let refusal = if asked(&name) {
        Remedy::Asked(name)
    } else if is_limit(&name) {
        match (least(said), other_limit().or_else(|| next_limit(sent))) {
            (Some(least), _) => Remedy::AtLeast(least),
            (None, Some(other)) => Remedy::Limit(other),
            (None, None) => Remedy::Needed(name),
        }
    } else if OPTIONAL.contains(&name.as_str()) {
        Remedy::LeaveOut(name)
    } else {
        Remedy::Needed(name)
    };
    (refusal, certain)
}

/// The usual name of the limit that was not tried yet.
pub fn next_limit(sent: Sent) -> Option<String> {
    let tried = |name: &str| {
        [sent.ours, sent.asked, sent.refused].iter().any(|list| list.iter().any(|known| known == name))
    };
    // Only where the limit goes by one of the two names that OpenAI's API has had.
    let usual = &LIMITS[..2];
    let ours = usual.iter().any(|name| sent.ours.iter().any(|field| field == name));
    usual.iter().find(|name| ours && !tried(name)).map(|name| name.to_string())
}

/// A field that is named.
struct Named {
    name: String,
    /// 0: as the place of the fault; else how far from a word of refusal, [`BARE`] where there is
    /// none near.
    distance: usize,
}

const BARE: usize = usize::MAX;

/// The field that is named most clearly; of equals the first.
fn named(said: &str, sent: Sent) -> Option<Named> {
    let names = sent.asked.iter().chain(sent.ours).filter(|name| *name != "parameters");
    let mut found: Vec<(usize, usize, &String)> = Vec::new();
    for name in names {
        let nearest =
            places(said, name).filter_map(|(at, end)| Some((distance(said, name, at, end)?, at))).min();
        if let Some((distance, at)) = nearest
            && !found.iter().any(|(_, _, known)| *known == name)
        {
            found.push((distance, at, name));
        }
    }
    let many = found.len();
    let (distance, _, name) = found.into_iter().min()?;
    // A refusal that repeats the whole request names all of its fields, and none.
    (distance < BARE || many < 4).then(|| Named { name: name.clone(), distance })
}

/// How clearly the field between `at` and `end` is meant; `None`: it is a word of the sentence.
fn distance(said: &str, name: &str, at: usize, end: usize) -> Option<usize> {
    if is_place(said, at, end) {
        return Some(0);
    }
    let gap = |start: usize, stop: usize| if stop <= at { at - stop } else { start.saturating_sub(end) };
    let near = REFUSING
        .iter()
        .flat_map(|sign| said.match_indices(sign))
        .map(|(start, sign)| gap(start, start + sign.len()));
    let near = near.min().filter(|gap| *gap <= NEAR);
    let quoted = |c: Option<char>| c.is_some_and(|c| "'\"`‘’“”「」".contains(c));
    let is_quoted = quoted(said[..at].chars().next_back()) && quoted(said[end..].chars().next());
    let a_word = WORDS.contains(&name);
    let subject = opens_a_sentence(said, at) && VERBS.iter().any(|verb| said[end..].starts_with(verb));
    match near {
        Some(gap) if !a_word || is_quoted || subject || gap <= 2 => Some(gap.max(1)),
        _ if !a_word || is_quoted => Some(BARE),
        _ => None,
    }
}

/// Where a sentence of the server's own may begin.
fn opens_a_sentence(said: &str, at: usize) -> bool {
    at == 0 || [": ", ". ", "; "].iter().any(|end| said[..at].ends_with(end))
}

/// `body.temperature: not permitted`, `'loc': ('body', 'temperature')`, `'param': 'temperature'`.
fn is_place(said: &str, at: usize, end: usize) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || "_.[]".contains(c);
    let start = said[..at]
        .rfind(|c| !part(c))
        .map_or(0, |before| before + said[before..].chars().next().map_or(1, char::len_utf8));
    let stop = said[end..].find(|c| !part(c)).map_or(said.len(), |length| end + length);
    let opens = start == 0 || said[..start].ends_with("; ") || said[..start].ends_with(": ");
    if opens && said[stop..].starts_with(": ") {
        return true;
    }
    let from = said[..at].char_indices().rev().nth(NEAR).map_or(0, |(from, _)| from);
    let before = &said[from..at];
    ["loc'", "loc\"", "param'", "param\"", "param=", "parameter="].into_iter().any(|key| {
        before.rfind(key).is_some_and(|key| !before[key..].contains("}") && !before[key..].contains("msg"))
    })
}

/// Where a name stands by itself, also as `ignoreEos`.
fn places(said: &str, name: &str) -> impl Iterator<Item = (usize, usize)> {
    let name = name.to_lowercase();
    let joined = name.replace('_', "");
    let spellings = if joined == name { vec![name] } else { vec![name, joined] };
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut places: Vec<(usize, usize)> = Vec::new();
    for spelling in spellings.iter().filter(|spelling| !spelling.is_empty()) {
        let ends = said.match_indices(spelling.as_str()).map(|(at, found)| (at, at + found.len()));
        places.extend(ends.filter(|(at, end)| {
            !part(said[..*at].chars().next_back()) && !part(said[*end..].chars().next())
        }));
    }
    places.into_iter()
}

/// The part before a list of what would be taken.
fn before_the_taken(words: &str) -> &str {
    let starts = TAKEN.iter().flat_map(|sign| words.match_indices(sign)).map(|(at, _)| at);
    // `unsupported parameters` is the contrary of `supported parameters`.
    let starts = starts.filter(|at| !words[..*at].ends_with(|c: char| c.is_alphabetic()));
    starts.min().map_or(words, |at| &words[..at])
}

/// The least limit that a server takes, where it says so and it is not much.
fn least(said: &str) -> Option<u32> {
    let signs =
        ["at least ", ">= ", "greater than or equal to ", "minimum of ", "minimum is ", "no less than "];
    let after = signs.iter().find_map(|sign| said.split_once(sign))?.1;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|least| (2..=AT_LEAST_MAX).contains(least))
}

#[cfg(test)]
mod tests;
