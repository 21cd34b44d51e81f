//! The options of `chart`, and of the pictures and texts over configurations.

use rhai::{Array, Dynamic};

use crate::chart::Theme;

use super::table::{self, OptionKind, OptionRow, Table, is_number};

/// The kinds of charts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Picture {
    Line,
    Cdf,
    Bar,
    Scatter,
    Heatmap,
}

pub const PICTURES: [(&str, Picture); 5] = [
    ("line", Picture::Line),
    ("cdf", Picture::Cdf),
    ("bar", Picture::Bar),
    ("scatter", Picture::Scatter),
    ("heatmap", Picture::Heatmap),
];

/// Which charts over configurations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    Simple,
    Advanced,
    Both,
}

pub const MODES: [(&str, Mode); 3] =
    [("simple", Mode::Simple), ("advanced", Mode::Advanced), ("both", Mode::Both)];

pub static CHART: Table = Table::new("chart", &[
    OptionRow::new("data", OptionKind::Own(DATA, data), "what is drawn", "[#{ users: 1, ttft: 12.5 }]").needed(),
    OptionRow::new("kind", OptionKind::Word(|| table::words(&PICTURES)), "how", "\"bar\"").or(|| "line".into()),
    OptionRow::new(
        "x",
        OptionKind::Text,
        "what lies on the x axis: a metric such as \"ttft.p99\", an axis of the sweep, or a key; for a cdf the metric \
         whose distribution it is, such as \"ttft\"",
        "\"users\"",
    )
    .needed(),
    OptionRow::new(
        "y",
        OptionKind::Own("a name or a list of names", |value| names(value).map(drop)),
        "what lies on the y axis, one line each; for a heat map [\"row\", \"value\"]",
        "[\"ttft.p50\", \"ttft.p99\"]",
    )
    .or_else("needed, save for a cdf"),
    OptionRow::new("series", OptionKind::Text, "one line for each value of this key", "\"model\"").or_else("none"),
    OptionRow::new("title", OptionKind::Text, "what stands above", "\"TTFT by users\"").or(|| "".into()),
    OptionRow::new("x_label", OptionKind::Text, "what stands at the x axis", "\"users\"").or_else("`x`, with its unit"),
    OptionRow::new("y_label", OptionKind::Text, "what stands at the y axis", "\"ms\"").or_else("`y`, with its unit"),
    OptionRow::new("log_x", OptionKind::Truth, "a logarithmic x axis", "true").or(|| false.into()),
    OptionRow::new("log_y", OptionKind::Truth, "a logarithmic y axis", "true").or(|| false.into()),
    OptionRow::new("mark", OptionKind::ListOf("numbers", is_number), "values of x that are marked", "[16]").or_else("none"),
    THEME,
]);

pub static COMPARISON_CHARTS: Table = Table::new(
    "comparison_charts",
    &[
        OptionRow::new("output", OptionKind::Text, "folder for the pictures", "\"charts\"")
            .or(|| "charts".into()),
        OptionRow::new(
            "mode",
            OptionKind::Word(|| table::words(&MODES)),
            "\"simple\": throughput and latency; \"advanced\" and \"both\": all pictures and the text report",
            "\"simple\"",
        )
        .or(|| "advanced".into()),
        THEME,
        TITLE,
        GPUS,
        WEIGHTS_ROW,
    ],
);

pub static COMPARISON_REPORT: Table = Table::new("comparison_report", &[TITLE, GPUS, WEIGHTS_ROW]);

pub static TERMINAL_CHARTS: Table = Table::new("terminal_charts", &[TITLE]);

const TITLE: OptionRow =
    OptionRow::new("title", OptionKind::Text, "what stands above", "\"Before and after\"")
        .or_else("the model's short name");

const GPUS: OptionRow = OptionRow::new(
    "gpus",
    OptionKind::Above0,
    "how many GPUs served: throughput is also told for one of them, as `output_tps_per_gpu`",
    "8",
)
.or_else("the tag `gpus` of each run");

const WEIGHTS_ROW: OptionRow = OptionRow::new(
    "weights",
    OptionKind::Own("three numbers, none below 0 and not all 0", |value| weights(value).map(drop)),
    "of output throughput, mean TTFT and mean TPOT in the ranking",
    "[0.5, 0.25, 0.25]",
)
.or_else("`[0.5, 0.25, 0.25]`");

const THEME: OptionRow = OptionRow::new(
    "theme",
    OptionKind::Word(|| table::words(&Theme::ALL)),
    "colours for paper or for a dark slide",
    "\"dark\"",
)
.or_else("what `--theme` says, else `\"light\"`");

/// The weights of a ranking, as shares of their sum.
pub fn weights(value: &Dynamic) -> Result<[f64; 3], String> {
    let list = value.read_lock::<Array>();
    let numbers: Vec<f64> = list.iter().flat_map(|list| list.iter().filter_map(table::number)).collect();
    let whole = list.is_some_and(|list| list.len() == numbers.len());
    let sum: f64 = numbers.iter().sum();
    match numbers[..] {
        [a, b, c] if whole && [a, b, c].iter().all(|one| *one >= 0.0) && sum > 0.0 && sum.is_finite() => {
            Ok([a / sum, b / sum, c / sum])
        }
        _ => Err("must be three numbers, none below 0 and not all 0, such as [0.5, 0.25, 0.25]".into()),
    }
}

const DATA: &str = "a run, a list of runs, a sweep, or a list of maps";

fn data(value: &Dynamic) -> Result<(), String> {
    match value.read_lock::<Array>() {
        Some(list) if list.is_empty() => Err("is empty".into()),
        Some(_) => Ok(()),
        None => OptionKind::Made(DATA, None).judge(value),
    }
}

/// A name, or a list of names.
pub fn names(value: &Dynamic) -> Result<Vec<String>, String> {
    if value.is_string() {
        return Ok(vec![value.to_string()]);
    }
    match value.read_lock::<Array>() {
        Some(list) if list.iter().all(Dynamic::is_string) => {
            Ok(list.iter().map(ToString::to_string).collect())
        }
        _ => Err(OptionKind::Own("a name or a list of names", |_| Ok(())).refusal(value)),
    }
}
