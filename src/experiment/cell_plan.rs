//! `CellPlan`: what defines the load of one run, in full: as the manifest keeps it, and as a resumed
//! invocation finds again which of its runs are there.

use crate::store::manifest::sha256;
use serde_json::{Map, Value, json};

/// What defines the load of one run: server, workload, shape, ends, limits, seed, tags. Its salt is none of
/// it: that makes the words fresh.
#[derive(Debug, Clone, PartialEq)]
pub struct CellPlan {
    /// The run's name.
    pub name: String,
    pub plan: Map<String, Value>,
}

/// Where two plans of one name are not the same first.
#[derive(Debug, PartialEq)]
pub struct Difference {
    /// `warmup`, `workload.input`
    pub key: String,
    pub was: Value,
    pub is: Value,
}

impl CellPlan {
    /// The first 16 hexadecimal digits of the SHA-256 of the plan's JSON.
    pub fn hash(&self) -> String {
        hash(&self.plan)
    }

    pub fn to_json(&self) -> Value {
        json!({ "name": self.name, "plan_hash": self.hash(), "plan": self.plan })
    }

    /// `None` for what is no plan.
    pub fn from_json(value: &Value) -> Option<CellPlan> {
        let name = value.get("name")?.as_str()?.to_string();
        Some(CellPlan { name, plan: value.get("plan")?.as_object()?.clone() })
    }

    /// `self` is what was, `other` what is.
    pub fn difference(&self, other: &CellPlan) -> Option<Difference> {
        difference("", &Value::Object(self.plan.clone()), &Value::Object(other.plan.clone()))
    }
}

pub fn hash(plan: &Map<String, Value>) -> String {
    let text = serde_json::to_string(plan).expect("a map of JSON values is JSON");
    sha256(text)[..16].to_string()
}

fn difference(key: &str, was: &Value, is: &Value) -> Option<Difference> {
    let (Value::Object(before), Value::Object(after)) = (was, is) else {
        let differ = was != is;
        return differ.then(|| Difference { key: key.to_string(), was: was.clone(), is: is.clone() });
    };
    let more = after.keys().filter(|key| !before.contains_key(*key));
    before.keys().chain(more).find_map(|name| {
        let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
        let of = |map: &Map<String, Value>| map.get(name).cloned().unwrap_or_default();
        difference(&key, &of(before), &of(after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(value: Value) -> CellPlan {
        CellPlan { name: "a".into(), plan: value.as_object().unwrap().clone() }
    }

    #[test]
    fn a_plan_comes_back_as_it_went_with_the_same_hash() {
        let there =
            plan(json!({"seed": 7_u64, "rate": 1.5, "slo": [{"metric": "ttft", "ms": 400.0}], "cap": null}));
        let text = there.to_json().to_string();
        let back = CellPlan::from_json(&serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!((&back, back.hash()), (&there, there.hash()));
        assert_eq!(there.difference(&back), None);
    }

    #[test]
    fn what_differs_is_named_by_its_way() {
        let there = plan(json!({"seed": 0, "workload": {"input": 8, "output": 4}}));
        for (other, key, was, is) in [
            (json!({"seed": 1, "workload": {"input": 8, "output": 4}}), "seed", json!(0), json!(1)),
            (
                json!({"seed": 0, "workload": {"input": 8, "output": 5}}),
                "workload.output",
                json!(4),
                json!(5),
            ),
            (json!({"workload": {"input": 8, "output": 4}}), "seed", json!(0), Value::Null),
            (
                json!({"seed": 0, "workload": {"input": 8, "output": 4}, "warmup": 5}),
                "warmup",
                Value::Null,
                json!(5),
            ),
        ] {
            let other = plan(other);
            let told = there.difference(&other).unwrap();
            assert_eq!(told, Difference { key: key.into(), was, is });
            assert_ne!(there.hash(), other.hash());
        }
    }
}
