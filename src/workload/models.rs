//! `Models`: a workload spread over several model names, such as LoRA adapters of one server.

use super::draw::Draw;
use super::{Session, Workload, merged};
use rand::Rng;
use serde_json::Map;
use std::sync::Arc;

/// Each session of `workload` names one of `models`, at random, in its body field `model`.
#[derive(Debug, Clone)]
pub struct Models {
    pub models: Vec<String>,
    pub workload: Box<Workload>,
}

impl Models {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.models.is_empty() {
            return Err("a list of models needs at least one name".into());
        }
        if self.models.iter().any(|name| name.trim().is_empty()) {
            return Err("the name of a model must not be empty".into());
        }
        self.workload.check()
    }

    /// One name for all requests of a session.
    pub(super) fn session(&self, draw: &Draw) -> Session {
        let index = draw.rng("models").random_range(0..self.models.len());
        let mut session = self.workload.session_in(draw);
        let model = Map::from_iter([("model".to_string(), self.models[index].clone().into())]);
        session.over = merged(&session.over, &Some(Arc::new(model)));
        session
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Request;
    use crate::tokens::Tokens;
    use crate::workload::testing::{requests, traffic};
    use crate::workload::{Length, Prompts};

    fn models(names: &[&str]) -> Workload {
        let prompts = Prompts {
            class: "".into(),
            input: Length::Fixed(3),
            output: Length::Fixed(5),
            prefix: None,
            extra: Some(Arc::new(Map::from_iter([("top_k".to_string(), 5.into())]))),
            tokens: Arc::new(Tokens::Words),
        };
        Workload::Models(Models {
            models: names.iter().map(|name| name.to_string()).collect(),
            workload: Box::new(Workload::Prompts(prompts)),
        })
    }

    #[test]
    fn each_request_names_one_model_and_keeps_its_other_fields() {
        let workload = models(&["a", "b", "c"]);
        let requests = requests(&workload, &traffic("cell", 0), 900);
        let extra = |r: &Request| r.extra.clone().expect("body fields");
        assert!(requests.iter().all(|r| extra(r)["top_k"] == 5));
        for name in ["a", "b", "c"] {
            let count = requests.iter().filter(|r| extra(r)["model"] == name).count();
            assert!((250..=350).contains(&count), "{name}: {count}");
        }
    }

    #[test]
    fn a_list_without_names_is_named_in_a_sentence() {
        assert_eq!(models(&[]).check(), Err("a list of models needs at least one name".into()));
        assert_eq!(models(&["a", " "]).check(), Err("the name of a model must not be empty".into()));
    }
}
