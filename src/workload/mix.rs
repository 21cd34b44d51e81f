//! A mix: each request comes from one of several workloads, by weight.

use super::Workload;
use super::draw::{Draw, part_key};
use super::length::weighted;

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

/// Hands over the part whose turn it is, with where it draws.
pub(super) fn pick<T>(parts: &[(f64, Workload)], draw: &Draw, with: impl FnOnce(&Workload, &Draw) -> T) -> T {
    let index = weighted(parts.iter().map(|(weight, _)| *weight), &mut draw.rng("mix"));
    let part = &parts[index].1;
    let rank = parts[..index].iter().filter(|(_, before)| before.class() == part.class()).count();
    with(part, &draw.at_part(&part_key(part.class(), rank)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Tokens;
    use crate::workload::testing::{requests, text, traffic};
    use crate::workload::{Length, Prefix, Prompts};
    use std::collections::HashSet;
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

    /// The prefixes in the requests of a mix, each once.
    fn prefixes(parts: Vec<(f64, Workload)>) -> HashSet<String> {
        let requests = requests(&Workload::Mix(parts), &traffic("cell", 0), 60);
        let prefix = |text: &str| text.split(' ').take(10).collect::<Vec<_>>().join(" ");
        requests.iter().map(|request| prefix(text(request))).collect()
    }

    #[test]
    fn parts_share_no_prefix_also_where_their_classes_repeat() {
        let inner = || Workload::Mix(vec![(1.0, part("a")), (1.0, part(""))]);
        for (parts, different) in [
            (vec![part("a"), part("b")], 2),
            (vec![part("a"), part("a"), part("b"), part("a")], 4),
            (vec![part(""), part(""), part("0")], 3),
            (vec![part("a"), part("a#1"), part("a"), part("/*0")], 4),
            (vec![part("a"), part(""), inner(), inner()], 6),
        ] {
            let parts = parts.into_iter().map(|part| (1.0, part)).collect();
            assert_eq!(prefixes(parts).len(), different);
        }
    }

    #[test]
    fn a_class_asks_the_same_alone_in_a_mix_and_in_any_place_of_it() {
        let asked = |workload: &Workload| {
            let requests = requests(workload, &traffic("cell", 3), 200);
            let of_a = requests.into_iter().filter(|request| &*request.class == "a");
            of_a.map(|request| (request.seq, text(&request).to_string(), request.max_tokens))
                .collect::<Vec<_>>()
        };
        let mut a = part("a");
        if let Workload::Prompts(prompts) = &mut a {
            (prompts.input, prompts.output) = (Length::Uniform(5, 50), Length::Uniform(1, 99));
        }
        let alone = asked(&a);
        let first = asked(&Workload::Mix(vec![(9.0, a.clone()), (1.0, part("b"))]));
        let last = asked(&Workload::Mix(vec![(1.0, part("b")), (0.5, part("")), (9.0, a)]));
        for mixed in [first, last] {
            assert!((100..200).contains(&mixed.len()));
            assert!(mixed.iter().all(|request| alone.contains(request)));
        }
    }

    #[test]
    fn what_is_asked_is_known_without_the_text() {
        let inner = Workload::Mix(vec![(1.0, part("b")), (1.0, part("c"))]);
        let mix = Workload::Mix(vec![(3.0, part("a")), (1.0, inner)]);
        let run = traffic("cell", 0);
        for request in requests(&mix, &run, 100) {
            let asked = mix.asked(&run, request.seq);
            assert_eq!((asked.input, asked.output), (20, request.max_tokens));
        }
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
