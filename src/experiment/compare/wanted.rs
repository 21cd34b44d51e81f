//! `Comparison`: how two sides are compared.

use crate::lang::Lang;
use crate::stats::names::Name;
use crate::stats::{Limit, Slo};

#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// As a share; `None`: 3 % of pairs, 5 % else.
    pub margin: Option<f64>,
    /// A gate: it fails when the second side is worse by more than this; `None` in it: than the margin.
    pub fail_if_worse: Option<Option<f64>>,
    /// Every run was made on a server that was started for it.
    pub restarted: bool,
    /// The first side is the past.
    pub history: bool,
    /// Empty: those that everybody asks for.
    pub metrics: Vec<Name>,
    /// By which requests of both sides are good; `None`: by what their runs were asked.
    pub goals: Option<Slo>,
    /// There is no second side: the first one as if it were measured again, with other requests.
    pub alone: bool,
    pub lang: Lang,
}

/// Objectives as vLLM's benchmark writes them: `ttft:400`, in milliseconds. `None`: there are none. The error
/// is a sentence.
pub fn goals(limits: &[&String]) -> Result<Option<Slo>, String> {
    let limits = limits.iter().map(|text| Limit::parse_goodput(text)).collect::<Result<Vec<_>, _>>()?;
    Ok((!limits.is_empty()).then(|| Slo { limits, ..Slo::default() }))
}
