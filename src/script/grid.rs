//! The points of a grid, and the table of its runs.

use rhai::{Array, Dynamic, ImmutableString, Map};

use super::bind::result::Handle;
use super::columns::columns;
use super::fault::Fallible;
use super::opts::number;

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

/// One line a run, one column a metric.
pub fn table(runs: &[Handle], metrics: Array) -> Fallible<String> {
    let metrics: Vec<String> = metrics.iter().map(ToString::to_string).collect();
    let mut rows = Vec::new();
    for run in runs {
        let mut row = vec![run.name()];
        for metric in &metrics {
            row.push(shown(&run.value(metric)?));
        }
        rows.push(row);
    }
    Ok(columns(std::iter::once("run".to_string()).chain(metrics).collect(), rows))
}

/// A number to about four digits; `-` for a value that was not observed.
fn shown(value: &Dynamic) -> String {
    match number(value) {
        Some(value) if value.abs() >= 1000.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.3}"),
        None => "-".into(),
    }
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
