//! `Dialect`: which of our optional fields a server does without, and what it calls the limit
//! of a reply. Learnt before any load, the same for every request of a target.

use super::Target;
use super::target::Exact;
use serde_json::{Map, Value};

/// Every name that servers have for the limit of a reply, ours first.
pub const LIMITS: [&str; 4] = ["max_completion_tokens", "max_tokens", "max_new_tokens", "max_output_tokens"];

/// What is changed in the fields that we send by ourselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dialect {
    left_out: Vec<String>,
    limit: Option<String>,
}

impl Dialect {
    /// Changes our own fields; before anything of the user's is laid over them.
    pub fn apply(&self, fields: &mut Map<String, Value>) {
        if *self == Dialect::default() {
            return;
        }
        for field in &self.left_out {
            fields.shift_remove(field);
        }
        if let Some(name) = &self.limit
            && let Some(limit) = LIMITS.iter().find_map(|old| fields.shift_remove(*old))
        {
            fields.insert(name.clone(), limit);
        }
        // TGI has most of them one level below.
        if let Some(Value::Object(parameters)) = fields.get_mut("parameters") {
            self.apply(parameters);
        }
    }
}

impl Target {
    /// The same target, whose requests go without `fields` and with their limit under another
    /// name.
    pub fn adapted(&self, fields: &[String], limit: Option<&str>) -> Target {
        let mut target = self.clone();
        target.dialect.limit = limit.map(str::to_string);
        for field in fields {
            target.dialect.left_out.push(field.clone());
        }
        let without = |name: &str| target.dialect.left_out.iter().any(|field| field == name);
        let (ends, least) = (
            ["ignore_eos", "ignore_eos_token", "min_length"].into_iter().any(without),
            without("min_tokens"),
        );
        // What is asked for must not be more than what is sent: results say by it whether replies
        // were held beyond their end.
        target.exact = match target.exact {
            Exact::MinTokens if ends && least => Exact::No,
            Exact::MinTokens if least => Exact::IgnoreEos,
            Exact::IgnoreEos if ends => Exact::No,
            exact => exact,
        };
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::protocol::{Api, own_fields};

    fn target(api: Api, exact: Exact) -> Target {
        let mut target = Target::new(Target::base_url("http://localhost:1").expect("a base URL"), api);
        target.exact = exact;
        target
    }

    #[test]
    fn fields_are_left_out_and_the_limit_renamed() {
        let chat = target(Api::Chat, Exact::MinTokens);
        let has = |target: &Target, name: &str| own_fields(target).iter().any(|field| field == name);
        for field in ["temperature", "min_tokens", "ignore_eos", "stream_options", "max_completion_tokens"] {
            assert!(has(&chat, field), "{field}");
        }
        let adapted = chat.adapted(&["temperature".into(), "stream_options".into()], Some("max_tokens"));
        for field in ["temperature", "stream_options", "max_completion_tokens"] {
            assert!(!has(&adapted, field), "{field}");
        }
        assert!(has(&adapted, "max_tokens") && has(&adapted, "stream"));
        let tgi = target(Api::Tgi, Exact::IgnoreEos);
        assert!(has(&tgi, "ignore_eos_token") && has(&tgi, "truncate"));
        let adapted = tgi.adapted(&["ignore_eos_token".into(), "truncate".into()], None);
        assert!(!has(&adapted, "ignore_eos_token") && !has(&adapted, "truncate") && has(&adapted, "inputs"));
    }

    #[test]
    fn a_target_asks_for_no_more_than_it_sends() {
        let exact = |exact, fields: &[&str]| {
            let fields: Vec<String> = fields.iter().map(|field| field.to_string()).collect();
            target(Api::Chat, exact).adapted(&fields, None).exact
        };
        assert_eq!(exact(Exact::MinTokens, &["min_tokens"]), Exact::IgnoreEos);
        assert_eq!(exact(Exact::MinTokens, &["ignore_eos"]), Exact::MinTokens);
        assert_eq!(exact(Exact::MinTokens, &["ignore_eos", "min_tokens"]), Exact::No);
        assert_eq!(exact(Exact::IgnoreEos, &["ignore_eos"]), Exact::No);
        assert_eq!(exact(Exact::IgnoreEos, &["temperature"]), Exact::IgnoreEos);
    }
}
