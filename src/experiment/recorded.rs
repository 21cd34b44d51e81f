//! Data sets that are asked more often than they have prompts: told once, and kept in the manifest.

use super::console::Console;
use crate::lang::Lang;
use crate::run::Plan;
use crate::run::plan::Warmup;
use crate::stats::words::grouped;
use crate::workload::Recorded;
use serde_json::{Value, json};

/// Says of each data set of a plan of so many requests that its prompts are asked again.
pub fn tell(console: &Console, plan: &Plan) {
    let Some(requests) = plan.requests else { return };
    let warmup = match plan.warmup {
        Warmup::Requests(n) => n,
        Warmup::None | Warmup::Time(_) => 0,
    };
    tell_of(console, plan, requests.saturating_add(warmup));
}

/// The same, once it is known how many requests there were.
pub fn tell_of(console: &Console, plan: &Plan, requests: u64) {
    for set in plan.workload.recorded() {
        if let Some(told) = again(&set, requests, console.words())
            && console.first_time(&format!("asked again: {}", set.name))
        {
            console.warn(&format!("{}{}{told}", set.name, console.words().colon()));
        }
    }
}

fn again(set: &Recorded, requests: u64, lang: Lang) -> Option<String> {
    let (prompts, asked) = (set.prompts?, set.asked(requests));
    if asked <= prompts {
        return None;
    }
    let (times, prompts, asked) =
        ((asked as f64 / prompts as f64).round() as u64, grouped(prompts), grouped(asked));
    Some(match (lang, times) {
        (Lang::English, 1) => format!(
            "{prompts} prompts, asked {asked}: some are used twice; a server's prefix cache may answer"
        ),
        (Lang::English, n) => format!(
            "{prompts} prompts, asked {asked}: each is used about {} times; a server's prefix cache may answer",
            grouped(n)
        ),
        (Lang::Chinese, 1) => {
            format!("{prompts} 条提示，请求 {asked} 次：部分提示会使用两次；服务器的前缀缓存可能直接命中")
        }
        (Lang::Chinese, n) => format!(
            "{prompts} 条提示，请求 {asked} 次：每条约使用 {} 次；服务器的前缀缓存可能直接命中",
            grouped(n)
        ),
    })
}

/// What the manifest keeps of a run's data sets; `requests` is how many the run has made.
pub fn facts(plan: &Plan, requests: u64) -> Value {
    let fact = |set: Recorded| {
        let asked = set.asked(requests);
        let skipped = set.skipped.as_ref();
        json!({
            "name": &*set.name,
            "prompts": set.entries,
            "asked": asked,
            "asked_again": set.prompts.map(|prompts| asked.saturating_sub(prompts)),
            "skipped": skipped.map_or(0, |skipped| skipped.count),
            "entries": skipped.map_or(set.entries, |skipped| skipped.of),
            "first_skipped": skipped.map(|skipped| skipped.first.clone()),
        })
    };
    plan.workload.recorded().into_iter().map(fact).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_that_are_asked_again_are_counted() {
        let set = |prompts, share| Recorded {
            name: "p.jsonl".into(),
            prompts: Some(prompts),
            entries: prompts,
            skipped: None,
            share,
        };
        let told = |prompts, share, asked| again(&set(prompts, share), asked, Lang::English);
        assert_eq!(
            told(12, 1.0, 100).as_deref(),
            Some("12 prompts, asked 100: each is used about 8 times; a server's prefix cache may answer")
        );
        assert_eq!(
            told(1_200, 1.0, 1_201).as_deref(),
            Some("1,200 prompts, asked 1,201: some are used twice; a server's prefix cache may answer")
        );
        assert_eq!(told(100, 1.0, 100), None);
        assert_eq!(told(50, 0.5, 100), None, "a mix asks it every other time");
        assert!(told(10, 0.5, 100).is_some_and(|told| told.contains("asked 50: each is used about 5 times")));
        let made = Recorded { prompts: None, ..set(3, 1.0) };
        assert_eq!(again(&made, 100, Lang::English), None, "its words are fresh");
        let chinese = again(&set(12, 1.0), 100, Lang::Chinese).expect("told");
        assert!(chinese.starts_with("12 条提示，请求 100 次：每条约使用 8 次"), "{chinese}");
    }
}
