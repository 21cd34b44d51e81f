//! The list of all metrics, for the documentation.

use super::metric::{Better, Metric};
use super::names::{Unit, statistics};
use crate::lang::Lang;

/// A table in Markdown, one row a metric.
pub fn page() -> String {
    let mut text = String::from(
        "| metric | unit | better | statistics | column of a request | what it is | 含义 |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for metric in Metric::all() {
        let about = metric.about();
        let better = match about.better {
            Better::Lower => "lower",
            Better::Higher => "higher",
            Better::Neither => "",
        };
        let unit = match about.unit {
            Unit::Ms => "ms",
            Unit::Seconds => "s",
            Unit::PerSecond => "per second",
            Unit::Share | Unit::Plain => "",
        };
        let cells = [
            format!("`{}`", about.name),
            unit.into(),
            better.into(),
            statistics(metric),
            about.stored.map_or(String::new(), |column| format!("`{column}`")),
            metric.says(Lang::English).into(),
            metric.says(Lang::Chinese).into(),
        ];
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_own_name_and_words_in_both_languages() {
        for metric in Metric::all() {
            assert_eq!(Metric::all().filter(|other| other.name() == metric.name()).count(), 1);
            let [english, chinese] = Lang::ALL.map(|lang| metric.says(lang));
            assert!(english.is_ascii() && english.len() > 5, "{metric:?}: {english}");
            assert!(chinese.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{metric:?}: {chinese}");
            assert!(page().contains(&format!("| `{}` |", metric.name())));
        }
        for metric in Metric::OF_VLLM {
            assert_ne!(metric.written_out(Lang::Chinese), metric.written_out(Lang::English));
        }
    }
}
