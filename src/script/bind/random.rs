//! `rng`: random values that are the same in every run of the script.

use std::sync::{Arc, Mutex};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine};

use crate::error::Error;
use crate::random::Stream;
use crate::script::fault::{Fallible, raise};
use crate::script::opts::need_number;
use crate::script::state::State;

/// A random generator in a script. Copies continue the same sequence.
#[derive(Debug, Clone)]
pub struct Random(Arc<Mutex<ChaCha8Rng>>);

impl Random {
    pub fn of(rng: ChaCha8Rng) -> Random {
        Random(Arc::new(Mutex::new(rng)))
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut ChaCha8Rng) -> T) -> T {
        draw(&mut self.0.lock().expect("nobody panics while drawing"))
    }
}

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<Random>("rng");
    engine.register_global_module(exported_module!(functions).into());
}

fn refuse<T>(told: String) -> Fallible<T> {
    Err(raise(Error::usage(told)))
}

#[export_module]
mod functions {
    /// A random generator. The same seed gives the same values; there is no unseeded one.
    pub fn rng(seed: i64) -> Random {
        Random(Arc::new(Mutex::new(Stream::new(seed as u64, "script", "rng").at(0))))
    }

    /// A whole number from `low` to `high`, both included.
    #[rhai_fn(return_raw, volatile)]
    pub fn int(rng: &mut Random, low: i64, high: i64) -> Fallible<i64> {
        match low <= high {
            true => Ok(rng.draw(|rng| rng.random_range(low..=high))),
            false => refuse(format!("int: {low} to {high} holds no number")),
        }
    }

    /// A number from 0 up to, not including, 1.
    #[rhai_fn(volatile)]
    pub fn float(rng: &mut Random) -> f64 {
        rng.draw(|rng| rng.random())
    }

    /// True with probability `p`, 0 to 1.
    #[rhai_fn(return_raw, volatile)]
    pub fn chance(rng: &mut Random, p: Dynamic) -> Fallible<bool> {
        let p = need_number("chance", "the probability", &p)?;
        match (0.0..=1.0).contains(&p) {
            true => Ok(rng.draw(|rng| rng.random_bool(p))),
            false => refuse(format!("chance: the probability must be 0 to 1, got {p}")),
        }
    }

    /// One item of a list, each equally likely.
    #[rhai_fn(return_raw, volatile)]
    pub fn pick(rng: &mut Random, list: Array) -> Fallible<Dynamic> {
        match list.len() {
            0 => refuse("pick: the list is empty".into()),
            items => Ok(list[rng.draw(|rng| rng.random_range(0..items))].clone()),
        }
    }

    /// A number from the normal distribution with this mean and standard deviation.
    #[rhai_fn(return_raw, volatile)]
    pub fn normal(rng: &mut Random, mean: Dynamic, deviation: Dynamic) -> Fallible<f64> {
        let mean = need_number("normal", "the mean", &mean)?;
        let deviation = need_number("normal", "the standard deviation", &deviation)?;
        match rand_distr::Normal::new(mean, deviation) {
            Ok(normal) if deviation >= 0.0 => Ok(rng.draw(|rng| rng.sample(normal))),
            _ => refuse(format!("normal: the standard deviation must be at least 0, got {deviation}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::script::testing::{error, printed};

    #[test]
    fn the_same_seed_gives_the_same_values() {
        let script = "let r = rng(7); print([r.int(1, 6), r.float(), r.chance(0.5), r.pick([1, 2, 3]), r.normal(0, 1)]);";
        assert_eq!(printed(script), printed(script));
        assert_ne!(printed(script), printed(&script.replace("rng(7)", "rng(8)")));
    }

    #[test]
    fn impossible_draws_are_refused() {
        assert!(error("rng(1).int(2, 1);").starts_with("int: 2 to 1 holds no number"));
        assert!(error("rng(1).pick([]);").starts_with("pick: the list is empty"));
        assert!(error("rng(1).chance(2);").starts_with("chance: the probability must be 0 to 1, got 2"));
    }
}
