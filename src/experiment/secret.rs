//! `Secret`: a value that goes into a request header and nowhere else.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Value};

use super::limits;
use crate::chart::Figure;
use crate::chart::figure::{Scale, Style};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::scrub::Scrubber;

/// A secret in a script: it prints as `<secret>`, and cannot be compared, measured or stored.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// The value, for the header of a request.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Where `--secret NAME=...` takes a value from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    Env(String),
    File(PathBuf),
}

/// Reads `NAME=env:VAR` or `NAME=file:PATH`.
pub fn parse(text: &str) -> std::result::Result<(String, From), String> {
    let wrong = || format!("{text:?} is not NAME=env:VAR or NAME=file:PATH (a secret never stands in argv)");
    let (name, from) = text.split_once('=').ok_or_else(wrong)?;
    let from = match from.split_once(':') {
        Some(("env", variable)) if !variable.is_empty() => From::Env(variable.into()),
        Some(("file", path)) if !path.is_empty() => From::File(path.into()),
        _ => return Err(wrong()),
    };
    if name.is_empty() { Err(wrong()) } else { Ok((name.into(), from)) }
}

/// The secrets of a session.
#[derive(Debug, Default)]
pub struct Secrets {
    known: RwLock<Vec<(String, Secret)>>,
    scrubber: Arc<Scrubber>,
}

impl Secrets {
    /// Reads every secret. Fails when one is not there or empty.
    pub fn read(wanted: &[(String, From)], host: &Host) -> Result<Self> {
        let secrets = Secrets::default();
        for (name, from) in wanted {
            let value = match from {
                From::Env(variable) => host.env(variable).ok_or_else(|| {
                    Error::usage(format!("--secret {name}: environment variable {variable} is not set"))
                })?,
                From::File(path) => std::fs::read_to_string(host.cwd().join(path)).map_err(|error| {
                    let why = crate::os::file::plain(&error);
                    Error::usage(format!("--secret {name}: cannot read {}: {why}", path.display()))
                })?,
            };
            let value = value.trim();
            if value.is_empty() {
                return Err(Error::usage(format!("--secret {name}: the value is empty")));
            }
            secrets.learn(name, value);
        }
        Ok(secrets)
    }

    pub fn get(&self, name: &str) -> Option<Secret> {
        self.read_known().iter().find(|(known, _)| known == name).map(|(_, secret)| secret.clone())
    }

    /// As [`Secrets::get`], or the environment variable of that name: for the built-in commands,
    /// which alone take a key without being told.
    pub fn get_or_env(&self, name: &str, host: &Host) -> Option<Secret> {
        if let Some(secret) = self.get(name) {
            return Some(secret);
        }
        let value = host.env(name).map(|value| value.trim().to_string()).filter(|value| !value.is_empty())?;
        Some(self.learn(name, &value))
    }

    /// Takes a value as a secret from now on.
    pub fn learn(&self, name: &str, value: &str) -> Secret {
        self.scrubber.learn_header(value);
        let secret = Secret(value.into());
        self.known.write().unwrap_or_else(PoisonError::into_inner).push((name.into(), secret.clone()));
        secret
    }

    fn read_known(&self) -> std::sync::RwLockReadGuard<'_, Vec<(String, Secret)>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What takes the secrets out of a text, for who talks to servers.
    pub fn scrubber(&self) -> Arc<Scrubber> {
        self.scrubber.clone()
    }

    /// `text` without secrets: see [`Scrubber`].
    pub fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.scrubber.scrub(text)
    }

    /// The same for every text of a map, names included.
    pub fn scrub_map(&self, map: Map<String, Value>) -> Map<String, Value> {
        let clean = |key: String| match self.scrub(&key) {
            Cow::Borrowed(_) => key,
            Cow::Owned(clean) => clean,
        };
        map.into_iter().map(|(key, value)| (clean(key), self.scrub_value(value))).collect()
    }

    fn scrub_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => match self.scrub(&text) {
                Cow::Borrowed(_) => Value::String(text),
                Cow::Owned(clean) => clean.into(),
            },
            Value::Array(list) => list.into_iter().map(|value| self.scrub_value(value)).collect(),
            Value::Object(map) => Value::Object(self.scrub_map(map)),
            other => other,
        }
    }

    /// The same for every word of a picture.
    pub fn scrub_figure(&self, figure: &mut Figure) {
        let clean = |text: &mut String| {
            if let Cow::Owned(scrubbed) = self.scrub(text) {
                *text = scrubbed;
            }
            // Nobody reads more in a picture, and laying it out takes long.
            if let Cow::Owned(beginning) = limits::shortened(text, limits::NAME_MAX) {
                *text = beginning;
            }
        };
        clean(&mut figure.title);
        let mut lines: Vec<String> = figure.subtitle.lines().map(String::from).collect();
        lines.iter_mut().for_each(clean);
        figure.subtitle = lines.join("\n");
        for panel in figure.panels.iter_mut().chain(&mut figure.below) {
            clean(&mut panel.title);
            panel.note.iter_mut().for_each(clean);
            for axis in [&mut panel.x, &mut panel.y] {
                clean(&mut axis.label);
                if let Scale::Names(names) = &mut axis.scale {
                    names.iter_mut().for_each(clean);
                }
            }
            for series in &mut panel.series {
                clean(&mut series.name);
                match &mut series.style {
                    Style::Marks(texts) | Style::Labels(texts) => texts.iter_mut().for_each(clean),
                    Style::Cells(cells) => cells.iter_mut().for_each(|(_, text)| clean(text)),
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_stands_on_the_command_line() {
        assert_eq!(parse("KEY=env:VAR"), Ok(("KEY".into(), From::Env("VAR".into()))));
        assert_eq!(parse("KEY=file:a/b"), Ok(("KEY".into(), From::File("a/b".into()))));
        assert!(parse("KEY=sk-123").unwrap_err().contains("NAME=env:VAR"));
    }

    #[test]
    fn secrets_are_removed_from_text_by_value() {
        let host = Host::fake("/", &[("VAR", "sk-12345\n")]);
        let secrets = Secrets::read(&[("KEY".into(), From::Env("VAR".into()))], &host).unwrap();
        assert_eq!(secrets.scrub("Bearer sk-12345"), "Bearer <secret>");
        assert_eq!(format!("{:?}", secrets.get("KEY")), "Some(<secret>)");
    }

    #[test]
    fn a_missing_secret_is_a_usage_error() {
        let wanted = [("KEY".to_string(), From::Env("NONE".into()))];
        let error = Secrets::read(&wanted, &Host::fake("/", &[])).unwrap_err();
        assert_eq!(error.to_string(), "--secret KEY: environment variable NONE is not set");
    }
}
