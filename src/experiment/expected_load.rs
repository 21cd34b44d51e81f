//! `intent`: what a plan wanted, as far as it can be held against its run.

use crate::run::Plan;
use crate::schedule::Shape;
use crate::stats::report::ExpectedLoad;
use crate::workload::Workload;

pub fn intent(plan: &Plan) -> ExpectedLoad {
    let places_from = match plan.arrivals {
        Shape::Closed { over, .. } => (over * 1e9) as i64,
        _ => 0,
    };
    ExpectedLoad {
        // A user who thinks is nobody in flight.
        places: plan.arrivals.places().and(plan.places()).filter(|_| !plan.workload.converses()),
        places_from,
        rate: plan.arrivals.level(),
        level: plan.arrivals.level().is_some() || plan.arrivals.places().is_some(),
        exact: plan.target.exact_length,
        streamed: plan.target.stream,
        shared_tokens: shared_tokens(&plan.workload),
    }
}

/// Input tokens that a request shares with others, on average. `None` where prompts come from
/// a file, which may share anything.
fn shared_tokens(workload: &Workload) -> Option<f64> {
    match workload {
        Workload::Prompts(prompts) => {
            Some(prompts.prefix.as_ref().map_or(0.0, |prefix| f64::from(prefix.tokens)))
        }
        Workload::Mix(parts) => {
            let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
            parts.iter().map(|(weight, part)| Some(weight / total * shared_tokens(part)?)).sum()
        }
        Workload::Models(models) => shared_tokens(&models.workload),
        Workload::Marked(marked) => shared_tokens(&marked.workload),
        Workload::Sonnet(sonnet) => Some(f64::from(sonnet.prefix)),
        Workload::Trace(replay) => {
            Some(replay.trace.reusable_tokens().unwrap_or(0) as f64 / replay.trace.rows() as f64)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Tokens;
    use crate::workload::{Length, Prefix, Prompts};
    use std::sync::Arc;

    fn prompts(prefix: Option<u32>) -> Workload {
        Workload::Prompts(Prompts {
            class: "".into(),
            input: Length::Fixed(100),
            output: Length::Fixed(1),
            prefix: prefix.map(|tokens| Prefix { tokens, groups: 2 }),
            extra: None,
            tokens: Arc::new(Tokens::Words),
        })
    }

    #[test]
    fn random_prompts_share_their_prefix_and_nothing_else() {
        assert_eq!(shared_tokens(&prompts(None)), Some(0.0));
        assert_eq!(shared_tokens(&prompts(Some(40))), Some(40.0));
    }

    #[test]
    fn a_mix_shares_what_its_parts_share_by_their_weights() {
        let mix = Workload::Mix(vec![(3.0, prompts(Some(40))), (1.0, prompts(None))]);
        assert_eq!(shared_tokens(&mix), Some(30.0));
    }
}
