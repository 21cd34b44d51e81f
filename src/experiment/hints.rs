//! `Hints`: what to try next, in the words of whoever is asking: flags for a built-in command,
//! options for a script.

use super::bound::Bound;
use super::program::Program;
use crate::client::Target;
use crate::error::{Error, ErrorKind};
use crate::record::{Outcome, Record};

/// How options are called where the user is.
#[derive(Debug, Clone, Copy)]
pub struct Hints {
    flags: bool,
}

impl Hints {
    pub fn of(program: &Program) -> Hints {
        Hints { flags: program.built_in }
    }

    /// The name of a target's option: `--ready-timeout`, or `ready_timeout` in a script.
    pub fn option(self, name: &str) -> String {
        match self.flags {
            true => format!("--{}", name.replace('_', "-")),
            false => format!("`{name}` of target()"),
        }
    }

    /// An option with a value.
    pub fn set(self, name: &str, value: &str) -> String {
        match (self.flags, name) {
            (true, "stream") => "--no-stream".into(),
            (true, _) => format!("--{} {value}", name.replace('_', "-")),
            (false, _) if matches!(value, "true" | "false") || value.parse::<f64>().is_ok() => {
                format!("{name}: {value} in target()")
            }
            (false, _) => format!("{name}: {value:?} in target()"),
        }
    }

    /// The options that a limit has.
    pub fn options(self, bound: &Bound) -> String {
        bound.options.iter().map(|option| self.option(option)).collect::<Vec<_>>().join(" and ")
    }

    /// A first reply that did not come in time, and how to give it more.
    pub fn late(self, url: &url::Url, bound: &Bound) -> Error {
        let (seconds, options) = (bound.time.as_secs_f64(), self.options(bound));
        let told = match bound.options[..] {
            ["idle_timeout"] => format!("the reply stopped for {seconds} s ({options})"),
            _ => format!("no reply within {seconds} s ({options})"),
        };
        let longer: Vec<String> =
            bound.options.iter().map(|option| self.set(option, &bound.longer())).collect();
        Error::new(ErrorKind::NotReady, format!("the first request to {url} failed: {told}")).hint(format!(
            "look whether the server is busy or still loading, or give it longer: {}",
            longer.join(", ")
        ))
    }

    /// Fields laid over the body.
    pub fn extra_body(self, json: &str) -> String {
        match self.flags {
            true => format!("--extra-body '{json}'"),
            false => format!("extra_body: #{json} in target()").replace("null", "()"),
        }
    }

    /// Where a sampling field comes from.
    pub fn sampling(self, field: &str) -> String {
        match (self.flags, field) {
            (true, _) => format!("--{}", field.replace('_', "-")),
            (false, "temperature") => "`temperature` of target()".into(),
            (false, _) => format!("`{field}` of the workload's sampling"),
        }
    }

    /// What to do when the server wants to know who we are.
    pub fn key(self, target: &Target) -> String {
        match (target.sends_key(), self.flags) {
            (true, true) => {
                "the API key (of OPENAI_API_KEY, or of --api-key-env) is refused: check that it is this server's"
                    .into()
            }
            (true, false) => "the API key that was sent is refused: check that it is this server's".into(),
            (false, true) => {
                "give the API key in OPENAI_API_KEY, or set the variable that --api-key-env names".into()
            }
            (false, false) => "give the API key: api_key: secret(\"NAME\") in target()".into(),
        }
    }

    /// What to do about a first request that failed.
    pub fn failed(self, record: &Record, target: &Target) -> String {
        let [model, base, endpoint] = ["model", "base_url", "endpoint"].map(|name| match self.flags {
            true => format!(" (--{})", name.replace('_', "-")),
            false => String::new(),
        });
        match (record.outcome, record.status) {
            (_, Some(401 | 403)) => self.key(target),
            (_, Some(404 | 405)) => format!(
                "check the model's name {:?}{model}, the base URL{base} and the endpoint {:?}{endpoint}",
                target.model, target.endpoint
            ),
            (_, Some(413)) => "the server, or a proxy in front of it, takes no body of this size".into(),
            (_, Some(400 | 422)) => format!(
                "check what the body holds ({}, {}, the prompt's length)",
                self.option("extra_body"),
                self.option("backend")
            ),
            (_, Some(300..400)) => "give the address that it leads to as base URL or endpoint".into(),
            (_, Some(408 | 429)) => "wait until the server is less busy".into(),
            (Outcome::Status, Some(500..)) => "look into the server's log".into(),
            (Outcome::Protocol, _) | (Outcome::Unfinished, Some(200)) => format!(
                "check that this address is the model server's, http or https as it is, and that {} fits it",
                self.option("backend")
            ),
            (Outcome::Connect, _)
                if record.error.as_deref().is_some_and(|words| words.contains("certificate")) =>
            {
                match (target.insecure, &target.ca_cert) {
                    (true, _) => {
                        "every certificate is accepted already: look at the server's TLS settings".into()
                    }
                    (_, Some(_)) => format!(
                        "look at the CA file that was given, or accept any ({})",
                        self.option("insecure")
                    ),
                    (_, None) => format!(
                        "name the server's authority ({}), or accept any ({})",
                        self.option("ca_cert"),
                        self.option("insecure")
                    ),
                }
            }
            _ => "look into the server's log, and whether a proxy stands in between".into(),
        }
    }
}
