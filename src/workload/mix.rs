//! A mix: each request comes from one of several workloads, by weight.

use super::length::weighted;
use super::{Draw, Workload};
use crate::record::Request;

pub(super) fn check(parts: &[(f64, Workload)]) -> Result<(), String> {
    if parts.is_empty() {
        return Err("a mix needs at least one part".into());
    }
    for (index, (weight, workload)) in parts.iter().enumerate() {
        let part = index + 1;
        if !weight.is_finite() || *weight < 0.0 {
            return Err(format!("the weight of part {part} must be 0 or above, got {weight}"));
        }
        workload.check().map_err(|problem| format!("part {part}: {problem}"))?;
    }
    match parts.iter().any(|(weight, _)| *weight > 0.0) {
        true => Ok(()),
        false => Err("a mix needs a part with a weight above 0".into()),
    }
}

pub(super) fn request(parts: &[(f64, Workload)], draw: &Draw) -> Request {
    let index = weighted(parts.iter().map(|(weight, _)| *weight), &mut draw.rng("mix"));
    parts[index].1.request(&draw.at_part(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Tokens;
    use crate::workload::testing::{requests, text, traffic};
    use crate::workload::{Length, Prefix, Prompts};
    use std::sync::Arc;

    fn part(class: &str) -> Workload {
        Workload::Prompts(Prompts {
            class: class.into(),
            input: Length::Fixed(10),
            output: Length::Fixed(5),
            prefix: Some(Prefix { tokens: 10, groups: 1 }),
            extra: None,
            tokens: Arc::new(Tokens::Words),
        })
    }

    #[test]
    fn each_part_has_its_share_and_keeps_its_class() {
        let inner = Workload::Mix(vec![(1.0, part("b")), (1.0, part("c"))]);
        let mix = Workload::Mix(vec![(3.0, part("a")), (1.0, inner)]);
        let requests = requests(&mix, &traffic("cell", 0), 4000);
        let share = |class: &str| requests.iter().filter(|r| &*r.class == class).count() as f64 / 4000.0;
        assert!((share("a") - 0.75).abs() < 0.03, "{}", share("a"));
        assert!((share("b") - 0.125).abs() < 0.02, "{}", share("b"));
        assert!((share("c") - 0.125).abs() < 0.02, "{}", share("c"));
    }

    #[test]
    fn parts_that_look_alike_share_no_prefix() {
        let mix = Workload::Mix(vec![(1.0, part("a")), (1.0, part("b"))]);
        let requests = requests(&mix, &traffic("cell", 0), 50);
        let start = |class: &str| {
            let request = requests.iter().find(|r| &*r.class == class).expect("both classes");
            text(request).split(' ').take(10).collect::<Vec<_>>()
        };
        assert_ne!(start("a"), start("b"));
    }

    #[test]
    fn a_bad_mix_is_named_in_a_sentence() {
        let check = |parts| Workload::Mix(parts).check().expect_err("bad");
        assert_eq!(check(vec![]), "a mix needs at least one part");
        assert_eq!(check(vec![(0.0, part("a"))]), "a mix needs a part with a weight above 0");
        assert_eq!(
            check(vec![(1.0, part("a")), (f64::NAN, part("b"))]),
            "the weight of part 2 must be 0 or above, got NaN"
        );
        assert_eq!(
            check(vec![(1.0, part("a")), (1.0, Workload::Mix(vec![]))]),
            "part 2: a mix needs at least one part"
        );
    }
}
