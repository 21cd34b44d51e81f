//! The points of a grid, and the table of its runs.

use rhai::{Array, Dynamic, ImmutableString, Map};

use super::bind::result::ResultHandle;
use super::fault::{Fallible, raise};
use crate::error::Error;
use crate::lang::Lang;
use crate::stats::names::Name;
use crate::stats::runs;

/// Every combination, the first axis outermost.
pub fn points(axes: &[(ImmutableString, Array)]) -> Vec<Map> {
    let mut points = vec![Map::new()];
    for (name, values) in axes {
        let longer = |point: &Map| {
            let point = point.clone();
            values
                .iter()
                .map(move |value| {
                    let mut longer = point.clone();
                    longer.insert(name.as_str().into(), value.clone());
                    longer
                })
                .collect::<Vec<_>>()
        };
        points = points.iter().flat_map(longer).collect();
    }
    points
}

/// One line a run, one column a metric, and the verdict.
pub fn table(runs: &[ResultHandle], metrics: Array, lang: Lang) -> Fallible<String> {
    let parse = |metric: &Dynamic| Name::parse(&metric.to_string()).map_err(|what| raise(Error::usage(what)));
    let numbers = metrics.iter().map(parse).collect::<Fallible<Vec<_>>>()?;
    let rows: Vec<_> = runs.iter().map(|run| (run.name(), run.summary())).collect();
    Ok(runs::table(&rows, &numbers, lang))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_axis_is_the_outermost() {
        let list = |values: &[i64]| values.iter().map(|value| Dynamic::from(*value)).collect::<Array>();
        let points = points(&[("b".into(), list(&[1, 2])), ("a".into(), list(&[7, 8]))]);
        let pairs: Vec<(i64, i64)> =
            points.iter().map(|point| (point["b"].as_int().unwrap(), point["a"].as_int().unwrap())).collect();
        assert_eq!(pairs, [(1, 7), (1, 8), (2, 7), (2, 8)]);
    }
}
