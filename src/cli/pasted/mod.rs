//! Commands as people paste them: flags of vLLM's and SGLang's serving benchmarks become ours.
//!
//! `_` is `-`, a unique beginning of a name is the name, and a whole line is understood behind
//! `rampant` or `rampant single`. What has no meaning here is left out with one note; what would
//! change the load is refused by name, with what to use instead.

mod origin;
mod others;
mod table;

use super::flags::Known;
use crate::error::{Error, Result};
pub use origin::{FlagOrigin, command};
use table::{FlagMeaning, Values};

/// A command line in our words.
#[derive(Debug, Default, PartialEq)]
pub struct PastedLine {
    pub args: Vec<String>,
    /// What was left out, read in another way or added; one sentence.
    pub note: Option<String>,
}

/// What happens on the way.
#[derive(Debug, Default)]
struct Notes {
    left_out: Vec<String>,
    read_as: Vec<String>,
    added: Vec<String>,
}

impl Notes {
    fn sentence(self, origin: FlagOrigin) -> Option<String> {
        let parts = [
            ("without a meaning here, left out: ", self.left_out),
            ("read as: ", self.read_as),
            (origin.defaults(), self.added),
        ];
        let told: Vec<String> = parts
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{what}{}", names.join(", ")))
            .collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// What stands behind the name of a command. `known` are its flags; `benchmark` says that the
/// flags of other benchmarks are understood, too.
pub fn translate(
    args: &[String],
    known: &[Known],
    benchmark: bool,
    origin: FlagOrigin,
) -> Result<PastedLine> {
    let mut reader = Reader {
        known,
        benchmark,
        origin,
        left: args,
        out: Vec::new(),
        per_group: None,
        notes: Notes::default(),
    };
    while let Some((token, left)) = reader.left.split_first() {
        reader.left = left;
        reader.token(token)?;
    }
    let mut flags = Flags(reader.out);
    let shared = flags.get("dataset-name").is_some_and(|name| name == "prefix_repetition");
    let per_group = reader.per_group.or((origin == FlagOrigin::Sglang && shared).then(|| "16".to_string()));
    if let Some(per_group) = per_group {
        let usual = if origin == FlagOrigin::Sglang { "64" } else { "10" };
        let groups = flags.get("prefix-repetition-num-prefixes").unwrap_or_else(|| usual.into());
        let [groups, each] = [groups, per_group].map(|text| text.parse::<u64>());
        let (Ok(groups), Ok(each)) = (groups, each) else {
            return Err(Error::usage(
                "--gsp-prompts-per-group: must be a whole number, as --gsp-num-groups must",
            ));
        };
        let all = groups.saturating_mul(each).to_string();
        if flags.get("num-prompts").is_none_or(|known| known != all) {
            reader
                .notes
                .read_as
                .push(format!("{each} prompts in each of {groups} groups as --num-prompts {all}"));
            flags.add("num-prompts", &all);
        }
    }
    origin.fill_in(&mut flags, &mut reader.notes.added, &mut reader.notes.read_as)?;
    Ok(PastedLine { args: flags.0, note: reader.notes.sentence(origin) })
}

struct Reader<'a> {
    known: &'a [Known],
    benchmark: bool,
    origin: FlagOrigin,
    left: &'a [String],
    out: Vec<String>,
    /// Prompts of each shared prefix.
    per_group: Option<String>,
    notes: Notes,
}

/// A flag as far as it is typed: `--name` or `--name=value`.
struct Typed<'a> {
    name: String,
    value: Option<&'a str>,
}

/// `--name`, with a dash of a word processor in front too.
fn typed(token: &str) -> Option<Typed<'_>> {
    let rest = token.strip_prefix("--").or_else(|| token.strip_prefix(['\u{2013}', '\u{2014}']))?;
    let rest = rest.trim_start_matches('-');
    let (name, value) = match rest.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (rest, None),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    is_name.then(|| Typed { name: name.replace('_', "-"), value })
}

impl Reader<'_> {
    fn token(&mut self, token: &str) -> Result<()> {
        // A backslash with a space behind it is no end of a line, but a word of its own.
        if token.trim().is_empty() || token.trim() == "\\" {
            return Ok(());
        }
        let Some(typed) = typed(token) else {
            self.out.push(token.into());
            return Ok(());
        };
        let name = self.resolve(&typed.name)?;
        if let Some(known) = self.known.iter().find(|known| known.is_called(&name)) {
            let known = known.clone();
            return self.ours(&known, &typed);
        }
        match table::meaning(&name).filter(|_| self.benchmark) {
            Some(meaning) => self.theirs(&name, meaning, &typed),
            None if self.benchmark && typed.value.is_none() && self.is_off(&name) => {
                self.notes.left_out.push(format!("--{name}"));
                Ok(())
            }
            None => {
                self.out.push(token.into());
                Ok(())
            }
        }
    }

    /// `--no-X` of a switch that is off, or that does nothing here.
    fn is_off(&self, name: &str) -> bool {
        let Some(name) = name.strip_prefix("no-") else { return false };
        let switch = self.known.iter().any(|known| known.is_called(name) && !known.takes_value);
        switch
            || matches!(
                table::meaning(name),
                Some(FlagMeaning::Nothing(Values::None, _) | FlagMeaning::Is(_))
            )
    }

    /// The name that a unique beginning means.
    fn resolve(&self, typed: &str) -> Result<String> {
        let theirs: &[(&str, FlagMeaning)] = if self.benchmark { table::FLAGS } else { &[] };
        let exact = self.known.iter().any(|known| known.is_called(typed))
            || theirs.iter().any(|(name, _)| *name == typed);
        if exact {
            return Ok(typed.into());
        }
        let ours = self.known.iter().flat_map(Known::names);
        let mut found: Vec<&str> =
            ours.chain(theirs.iter().map(|(name, _)| *name)).filter(|name| name.starts_with(typed)).collect();
        // Two names of one flag are no two flags.
        let canonical =
            |name: &str| self.known.iter().find(|known| known.is_called(name)).map(|k| k.flag.clone());
        found.sort_unstable();
        found.dedup_by(|one, other| {
            one == other || canonical(one).is_some_and(|flag| Some(flag) == canonical(other))
        });
        match &found[..] {
            [] => Ok(typed.into()),
            [one] => Ok((*one).to_string()),
            several => {
                let names: Vec<String> = several.iter().take(6).map(|name| format!("--{name}")).collect();
                let told = format!("--{typed} is the beginning of several flags: {}", names.join(", "));
                Err(Error::usage(told).hint("write one of them out"))
            }
        }
    }

    /// One of our own flags. Its value is taken along, whatever it looks like.
    fn ours(&mut self, known: &Known, typed: &Typed) -> Result<()> {
        if !known.takes_value {
            self.out.push(match typed.value {
                Some(value) => format!("--{}={value}", known.flag),
                None => format!("--{}", known.flag),
            });
            return Ok(());
        }
        match self.value(typed) {
            Some(value) if self.benchmark && table::is_map_of_ratios(&known.flag, &value) => {
                for (flag, ratio) in table::ratios(&value)? {
                    let (ratio, note) = table::value(flag, &ratio, self.origin)?;
                    self.notes.read_as.extend(note);
                    self.push(flag, &ratio);
                }
            }
            Some(value) if self.benchmark => {
                let (value, note) = table::value(&known.flag, &value, self.origin)?;
                self.notes.read_as.extend(note);
                self.push(&known.flag, &value);
            }
            Some(value) => self.push(&known.flag, &value),
            None => self.out.push(format!("--{}", known.flag)),
        }
        Ok(())
    }

    fn theirs(&mut self, name: &str, meaning: &FlagMeaning, typed: &Typed) -> Result<()> {
        let need = |value: Option<String>| {
            value.ok_or_else(|| {
                Error::usage(format!("a value is required for '--{name}' but none was supplied"))
            })
        };
        match meaning {
            FlagMeaning::Same(flag) => {
                let value = need(self.value(typed))?;
                let (value, note) = table::value(flag, &value, self.origin)?;
                self.notes.read_as.extend(note);
                self.push(flag, &value);
            }
            FlagMeaning::Seconds(flag) => {
                let value = need(self.value(typed))?;
                self.push(flag, &format!("{value}s"));
            }
            FlagMeaning::Is(args) => self.out.extend(args.iter().map(|arg| arg.to_string())),
            FlagMeaning::File => {
                let file = need(self.value(typed))?;
                let path = std::path::Path::new(&file);
                self.out.extend(["--save-result".into(), "--append-result".into()]);
                if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                    self.push("result-dir", &folder.display().to_string());
                }
                let name =
                    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                self.push("result-filename", &name);
            }
            FlagMeaning::Nothing(values, why) => {
                self.skip(*values, typed);
                let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
                self.notes.left_out.push(format!("--{name}{why}"));
            }
            FlagMeaning::NothingIf(harmless, instead) => {
                let value = need(self.value(typed))?;
                let same = |a: &str, b: &str| {
                    a == b || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
                };
                if !same(&value, harmless) {
                    return Err(refused(&format!("--{name} {value}"), instead));
                }
                self.notes.left_out.push(format!("--{name}"));
            }
            FlagMeaning::PerGroup => self.per_group = Some(need(self.value(typed))?),
            FlagMeaning::Instead(instead) => return Err(refused(&format!("--{name}"), instead)),
        }
        Ok(())
    }

    fn push(&mut self, flag: &str, value: &str) {
        // Joined, so that a value may begin with a dash.
        match value.starts_with('-') {
            true => self.out.push(format!("--{flag}={value}")),
            false => self.out.extend([format!("--{flag}"), value.into()]),
        }
    }

    /// The value that belongs to a flag: behind `=`, or the next word that is no flag.
    fn value(&mut self, flag: &Typed) -> Option<String> {
        if let Some(value) = flag.value {
            return Some(value.into());
        }
        let (next, left) = self.left.split_first()?;
        if typed(next).is_some() {
            return None;
        }
        self.left = left;
        Some(next.clone())
    }

    fn skip(&mut self, values: Values, flag: &Typed) {
        match values {
            Values::None => {}
            Values::One => drop(self.value(flag)),
            Values::Many if flag.value.is_some() => {}
            Values::Many => while self.value(flag).is_some() {},
        }
    }
}

fn refused(what: &str, instead: &str) -> Error {
    Error::usage(format!("{what} is not available here")).hint(instead)
}

/// Flags that are already ours, to be looked up and added to.
pub(crate) struct Flags(Vec<String>);

impl Flags {
    pub fn has(&self, flag: &str) -> bool {
        let (alone, joined) = (format!("--{flag}"), format!("--{flag}="));
        self.0.iter().any(|arg| *arg == alone || arg.starts_with(&joined))
    }

    /// The value that counts: the last one.
    pub fn get(&self, flag: &str) -> Option<String> {
        let (alone, joined) = (format!("--{flag}"), format!("--{flag}="));
        let behind = |(i, arg): (usize, &String)| match arg.strip_prefix(&joined) {
            Some(value) => Some(value.to_string()),
            None if *arg == alone => self.0.get(i + 1).cloned(),
            None => None,
        };
        self.0.iter().enumerate().filter_map(behind).next_back()
    }

    pub fn add(&mut self, flag: &str, value: &str) {
        self.0.extend([format!("--{flag}"), value.into()]);
    }
}

#[cfg(test)]
mod tests;
