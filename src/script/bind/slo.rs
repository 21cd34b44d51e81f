//! Service-level objectives: what makes a request, and a run, good.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, ImmutableString, Map};

use crate::error::Error;
use crate::script::fault::{Fallible, raise, raise_at};
use crate::script::options::slo::{self as slo_options, SLO};
use crate::script::opts::Opts;
use crate::script::state::State;
use crate::stats::{Limit, Slo};

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<Slo>("slo");
    engine.register_global_module(exported_module!(functions).into());
}

/// The option `slo` of a call: what `slo(#{ .. })` made, or the map itself.
pub fn taken(opts: &mut Opts) -> Fallible<Option<Slo>> {
    let Some(value) = opts.take_judged("slo")? else { return Ok(None) };
    match value.clone().try_cast::<Map>() {
        Some(map) => read(map).map(Some),
        None => opts.cast("slo", &value).map(Some),
    }
}

/// The objectives in a map of options.
pub fn read(options: Map) -> Fallible<Slo> {
    let mut opts = Opts::of(&SLO, options);
    let mut slo = Slo::default();
    if let Some(list) = opts.take_judged("overall")? {
        slo.overall = slo_options::conditions(&list).map_err(|what| opts.error("overall", &what))?;
    }
    slo.from_sent = opts.get::<String>("from")? == "sent";
    for (metric, limit) in opts.rest() {
        let wrong = |told: String| raise_at(&metric, Error::usage(told));
        SLO.judge_rest(&metric, Some(&limit)).map_err(wrong)?;
        slo.limits.push(slo_options::limit(&metric, &limit).map_err(wrong)?);
    }
    opts.finish()?;
    if slo.limits.is_empty() && slo.overall.is_empty() {
        let told = "slo: it asks for nothing; give a limit such as `ttft: \"400ms\"`, or `overall`";
        return Err(raise(Error::usage(told)));
    }
    Ok(slo)
}

#[export_module]
mod functions {
    /// What makes a request good (`ttft: "400ms"`, also `itl`, `tpot`, `e2el` ...: most that it may
    /// take), and what makes a run good.
    #[rhai_fn(name = "slo", return_raw)]
    pub fn slo(options: Map) -> Fallible<Slo> {
        read(options)
    }

    /// Objectives as the field's tools write them, in milliseconds: `["ttft:400", "tpot:30"]`.
    /// An empty list gives `()`.
    #[rhai_fn(return_raw)]
    pub fn goodput_slo(list: Array) -> Fallible<Dynamic> {
        if list.is_empty() {
            return Ok(Dynamic::UNIT);
        }
        let mut slo = Slo { from_sent: true, ..Slo::default() };
        for limit in list {
            let text = limit.into_string().unwrap_or_default();
            let wrong = |what| raise_at("goodput", Error::usage(format!("--goodput: {what}")));
            let limit = Limit::parse_goodput(&text).map_err(wrong)?;
            // Given twice, the last one counts.
            slo.limits.retain(|known| known.metric != limit.metric);
            slo.limits.push(limit);
        }
        Ok(Dynamic::from(slo))
    }

    /// The objectives in words.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(slo: &mut Slo) -> ImmutableString {
        let limits = slo.limits.iter().map(|limit| format!("{} <= {} ms", limit.metric, limit.ms));
        let overall = slo.overall.iter().map(|condition| condition.text.clone());
        limits.chain(overall).collect::<Vec<_>>().join(", ").into()
    }
}

#[cfg(test)]
mod tests {
    use crate::script::testing::error;

    #[test]
    fn objectives_that_everything_would_meet_are_refused() {
        for empty in ["#{}", "#{ overall: [] }", "#{ from: \"sent\" }"] {
            assert!(error(&format!("slo({empty})")).starts_with("slo: it asks for nothing; give a limit"));
        }
    }
}
