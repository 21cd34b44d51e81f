//! `Check`: a promise of a script, and what became of it.

use crate::lang::Lang;
use crate::stats::ruling::Ruling;
use serde_json::{Value, json};

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    Yes,
    No,
    /// It may be chance.
    Undecided,
}

impl Held {
    pub fn of(held: bool) -> Held {
        if held { Held::Yes } else { Held::No }
    }

    /// `None`: undecided.
    pub fn known(self) -> Option<bool> {
        match self {
            Held::Yes => Some(true),
            Held::No => Some(false),
            Held::Undecided => None,
        }
    }
}

/// One promise: a condition on a run (`require`), or what a script found itself (`check`).
#[derive(Debug, Clone)]
pub struct Check {
    /// The run that it is about.
    pub run: Option<String>,
    /// The condition as it was written, or the name that the script gave: the same in every invocation.
    pub name: String,
    pub held: Held,
    /// What was measured, of a condition.
    pub ruling: Option<Ruling>,
    /// Why it was not kept, where that is more than its name.
    pub why: Option<String>,
}

impl Check {
    /// What a script found itself.
    pub fn own(name: impl Into<String>, held: Held) -> Check {
        Check { run: None, name: name.into(), held, ruling: None, why: None }
    }

    /// A condition on a run. What was not observed is not kept.
    pub fn condition(run: String, ruling: Ruling) -> Check {
        let held = match ruling.holds {
            Some(true) => Held::Yes,
            None if ruling.is_undecided() => Held::Undecided,
            _ => Held::No,
        };
        Check { run: Some(run), name: ruling.said.condition.clone(), held, ruling: Some(ruling), why: None }
    }

    /// One line: the run, the condition, what was measured.
    pub fn told(&self, lang: Lang) -> String {
        let what = self.ruling.as_ref().map_or_else(|| self.name.clone(), |ruling| ruling.said.text(lang));
        let parts = [self.run.as_deref(), Some(&what), self.why.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(lang.colon())
    }

    /// As the manifest keeps it; numbers are in the value's own unit.
    pub fn to_json(&self) -> Value {
        let mut value = json!({ "name": self.told(Lang::English), "held": self.held.known() });
        if let Some(run) = &self.run {
            value["run"] = run.as_str().into();
        }
        if let Some(ruling) = &self.ruling {
            let interval = ruling.estimate.interval;
            value["condition"] = self.name.as_str().into();
            value["measured"] = ruling.measured.into();
            value["low"] = interval.map(|of| of.low).into();
            // JSON knows no infinite number.
            value["high"] = interval.map(|of| of.high).filter(|high| high.is_finite()).into();
            value["n"] = ruling.estimate.n.into();
        }
        value
    }
}
