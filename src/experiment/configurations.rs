//! From rows of the aggregated CSV to what is compared in pictures: labels that tell them apart,
//! repeats as one, what is known against a run.

use crate::chart::compare::{ComparedRow, PER_GPU};
use crate::chart::elided;
use crate::stats::metric::{Better, Metric};
use crate::store::folder::short_model_name;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use unicode_width::UnicodeWidthChar;

type Row = Map<String, Value>;

/// The rows as configurations, repeats of one as one. `gpus`: how many served each of them, where their
/// own tag `gpus` is not to count.
pub fn configurations(rows: &[Row], gpus: Option<f64>) -> Vec<ComparedRow> {
    let groups = Groups::of(rows);
    let mut found: Vec<(String, Vec<ComparedRow>)> = Vec::new();
    for row in rows {
        let one = configuration(row, groups.name(row), gpus);
        match found.iter_mut().find(|(label, _)| *label == one.label) {
            Some((_, repeats)) => repeats.push(one),
            None => found.push((one.label.clone(), vec![one])),
        }
    }
    found.into_iter().map(|(_, repeats)| folded(repeats)).collect()
}

/// The short names of the models that rows have, or nothing when there are more than a title holds.
pub fn models_of(rows: &[Row]) -> String {
    let mut models: Vec<String> = Vec::new();
    for row in rows {
        let model = text(row, "model_id");
        if !model.is_empty() && !models.iter().any(|known| known == model) {
            models.push(model.to_string());
        }
    }
    match models.len() {
        1 => elided(&short_model_name(&models[0]), TITLE_LETTERS, |_| 1.0),
        2..=3 => names_of(&models).join(", "),
        _ => String::new(),
    }
}

/// Letters of a model's name in a title, and in a label.
const TITLE_LETTERS: f64 = 72.0;
const MODEL_LETTERS: f64 = 26.0;

/// Short names of models, no two the same: of long ones their beginning and their end, the whole name
/// where two have the same short one, and a number where that is not enough.
fn names_of(models: &[String]) -> Vec<String> {
    let short = |model: &String| short_model_name(model);
    let same = |name: &str, of: &dyn Fn(&String) -> String| {
        models.iter().filter(|other| of(other) == name).count() > 1
    };
    let cut = |name: &str| elided(name, MODEL_LETTERS, |c| c.width().unwrap_or(0) as f64);
    let named: Vec<String> = models
        .iter()
        .map(|model| if same(&short(model), &short) { model.clone() } else { short(model) })
        .map(|name| cut(&name))
        .collect();
    let numbered = |(i, name): (usize, &String)| match named.iter().filter(|other| *other == name).count() {
        1 => name.clone(),
        _ => format!("{name} #{}", 1 + named[..i].iter().filter(|other| *other == name).count()),
    };
    named.iter().enumerate().map(numbered).collect()
}

fn text<'a>(row: &'a Row, key: &str) -> &'a str {
    row.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A value as it is written.
fn plain(row: &Row, key: &str) -> Option<String> {
    match row.get(key)? {
        Value::Number(n) => Some(n.as_f64().map_or_else(|| n.to_string(), |n| n.to_string())),
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

/// `io512x512_mc4_np40`, its numbers, and what is known against them.
fn configuration(row: &Row, group: String, gpus: Option<f64>) -> ComparedRow {
    let whole = |key: &str| plain(row, key).unwrap_or_else(|| "-".into());
    // A data set has lengths of its own: its runs are known by their names.
    let run = text(row, "filename").strip_prefix("bench_").and_then(|name| name.strip_suffix(".json"));
    let (mut label, mut shape) = match run.filter(|_| whole("input_len") == "-") {
        Some(run) => (run.to_string(), data_set(run)),
        None => {
            let shape = format!("{}x{}", whole("input_len"), whole("output_len"));
            let known = |name: &str, key: &str| plain(row, key).map(|value| format!("_{name}{value}"));
            let load = [known("mc", "max_concurrency"), known("np", "num_prompts")];
            (format!("io{shape}{}", load.into_iter().flatten().collect::<String>()), shape)
        }
    };
    if let Some(rate) = row.get("request_rate").and_then(Value::as_f64) {
        label = format!("{label}_r{rate}");
    }
    if shape == "-x-" {
        shape = String::new();
    }
    if !group.is_empty() {
        label = format!("{group} {label}");
    }
    let mut one =
        ComparedRow { label, group, shape, repeats: 1, verdict: verdict(row), ..ComparedRow::default() };
    one.weak =
        text(row, "marks").split(' ').filter_map(|mark| mark.strip_prefix('~')).map(String::from).collect();
    one.values = row.iter().filter_map(|(key, value)| Some((key.clone(), value.as_f64()?))).collect();
    for key in row.keys() {
        let ends = [format!("{key}_low"), format!("{key}_high")].map(|end| one.values.get(&end).copied());
        if let [Some(low), Some(high)] = ends {
            one.intervals.insert(key.clone(), (low, high));
        }
    }
    let gpus = gpus.or_else(|| one.values.get("gpus").copied()).filter(|gpus| *gpus > 0.0);
    if let (Some(gpus), Some(output)) = (gpus, one.values.get("output_throughput").copied()) {
        one.values.insert(PER_GPU.into(), output / gpus);
        if let Some((low, high)) = one.interval("output_throughput") {
            one.intervals.insert(PER_GPU.into(), (low / gpus, high / gpus));
        }
    }
    one
}

/// The name of a run without how many requests there were at once.
fn data_set(run: &str) -> String {
    run.split('_').filter(|part| !is_load(part)).collect::<Vec<_>>().join("_")
}

/// `mc4`, `np40`, `r2.5`.
fn is_load(part: &str) -> bool {
    ["mc", "np", "r"].iter().any(|name| {
        part.strip_prefix(name).is_some_and(|rest| !rest.is_empty() && rest.parse::<f64>().is_ok())
    })
}

/// Why a run is not to be quoted, in a word.
fn verdict(row: &Row) -> Option<String> {
    let told = text(row, "verdict");
    if row.get("completed").and_then(Value::as_f64) == Some(0.0) {
        return Some("all_failed".into());
    }
    if !told.is_empty() && told != "valid" {
        return Some(told.to_string());
    }
    let cut_short = ["interrupted", "ended_early", "recovered"];
    text(row, "marks").split(' ').find(|mark| cut_short.contains(mark)).map(String::from)
}

/// Which of two middle values counts: the worse.
fn higher_is_better(column: &str) -> bool {
    let rates = [Metric::TotalTokens, Metric::OutputTokens, Metric::Requests, Metric::Goodput];
    let higher = rates.iter().all(|metric| metric.about().better == Better::Higher);
    higher && (column.contains("throughput") || column.contains("goodput") || column == PER_GPU)
}

/// Repeats as one: of each value the middle one, of two middle ones the worse, since percentiles have no
/// average; from the lowest to the highest is its interval.
fn folded(mut repeats: Vec<ComparedRow>) -> ComparedRow {
    if repeats.len() < 2 {
        return repeats.pop().unwrap_or_default();
    }
    let mut one = ComparedRow { intervals: Default::default(), repeats: repeats.len(), ..repeats[0].clone() };
    one.verdict = repeats.iter().find_map(|row| row.verdict.clone());
    one.weak = repeats.iter().flat_map(|row| row.weak.iter().cloned()).collect();
    let columns: BTreeSet<&String> = repeats.iter().flat_map(|row| row.values.keys()).collect();
    for column in columns {
        let mut values: Vec<f64> = repeats.iter().filter_map(|row| row.values.get(column).copied()).collect();
        values.sort_by(f64::total_cmp);
        let middle = if higher_is_better(column) { (values.len() - 1) / 2 } else { values.len() / 2 };
        one.values.insert(column.clone(), values[middle]);
        if values.len() > 1 {
            one.intervals.insert(column.clone(), (values[0], values[values.len() - 1]));
        }
    }
    one
}

/// What tells rows apart beside their configuration.
struct Groups {
    models: Vec<String>,
    /// What they are called, in their order.
    names: Vec<String>,
    folders: Vec<(String, String)>,
    /// Columns in which rows differ.
    columns: Vec<(&'static str, &'static str)>,
}

impl Groups {
    fn of(rows: &[Row]) -> Groups {
        let mut models: Vec<String> = Vec::new();
        let mut folders: Vec<(String, String)> = Vec::new();
        for row in rows {
            let (model, folder) = (text(row, "model_id").to_string(), text(row, "result_dir").to_string());
            if !models.contains(&model) {
                models.push(model.clone());
            }
            if !folders.contains(&(model.clone(), folder.clone())) {
                folders.push((model, folder));
            }
        }
        let told = [("backend", ""), ("data_type", ""), ("tp", "tp"), ("gpus", "gpus")];
        let differ = |column: &str| rows.iter().any(|row| plain(row, column) != plain(&rows[0], column));
        let columns = told.into_iter().filter(|(column, _)| differ(column)).collect();
        let names = names_of(&models);
        Groups { models, names, folders, columns }
    }

    /// Model, date and tags, each only where several are compared.
    fn name(&self, row: &Row) -> String {
        let (model, folder) = (text(row, "model_id"), text(row, "result_dir"));
        let mut parts: Vec<String> = Vec::new();
        if self.models.len() > 1 {
            parts.push(self.model(model));
        }
        let of_model: Vec<&str> =
            self.folders.iter().filter(|(of, _)| of == model).map(|(_, folder)| folder.as_str()).collect();
        if of_model.len() > 1 {
            parts.push(dated(folder, &of_model));
        }
        let tag = |(column, name): &(&str, &str)| Some(format!("{name}{}", plain(row, column)?));
        parts.extend(self.columns.iter().filter_map(tag));
        parts.join(" ")
    }

    fn model(&self, model: &str) -> String {
        let place = self.models.iter().position(|known| known == model);
        place.map(|place| self.names[place].clone()).unwrap_or_default()
    }
}

/// `2026-11-30` of a folder such as `Qwen_20261130_065500`, with its time where others are of that day.
fn dated(folder: &str, all: &[&str]) -> String {
    let Some((day, time)) = stamp(folder) else { return folder.to_string() };
    let same = all.iter().filter(|other| stamp(other).is_some_and(|(of, _)| of == day)).count();
    if same > 1 { format!("{day} {time}") } else { day }
}

fn stamp(folder: &str) -> Option<(String, String)> {
    let mut parts = folder.rsplit('_');
    let (time, day) = (parts.next()?, parts.next()?);
    // A name that was taken has `-2` behind it.
    let (time, again) = time.split_once('-').map_or((time, ""), |(time, again)| (time, again));
    let digits = |text: &str, count: usize| text.len() == count && text.chars().all(|c| c.is_ascii_digit());
    if !digits(day, 8) || !digits(time, 6) {
        return None;
    }
    let again = if again.is_empty() { String::new() } else { format!(" #{again}") };
    let day = format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]);
    Some((day, format!("{}:{}:{}{again}", &time[..2], &time[2..4], &time[4..])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(more: Value) -> Row {
        let mut row = json!({"input_len": 16, "output_len": 8, "max_concurrency": 2, "num_prompts": 5, "model_id": "a/Qwen-AWQ"});
        let (row, more) = (row.as_object_mut().expect("a map"), more);
        row.extend(more.as_object().expect("a map").clone());
        row.clone()
    }

    fn labels(rows: &[Row]) -> Vec<String> {
        configurations(rows, None).into_iter().map(|row| row.label).collect()
    }

    #[test]
    fn labels_tell_models_dates_and_tags_apart_where_they_differ() {
        for (one, other, wanted) in [
            (json!({}), json!({"num_prompts": 9}), ["io16x8_mc2_np5", "io16x8_mc2_np9"]),
            (json!({}), json!({"request_rate": 2.5}), ["io16x8_mc2_np5", "io16x8_mc2_np5_r2.5"]),
            (
                json!({"max_concurrency": null, "request_rate": 1}),
                json!({"max_concurrency": null, "request_rate": 2.5}),
                ["io16x8_np5_r1", "io16x8_np5_r2.5"],
            ),
            (json!({}), json!({"model_id": "b/Llama"}), ["Qwen io16x8_mc2_np5", "Llama io16x8_mc2_np5"]),
            (json!({}), json!({"model_id": "Qwen"}), ["a/Qwen-AWQ io16x8_mc2_np5", "Qwen io16x8_mc2_np5"]),
            (json!({"tp": 4}), json!({"tp": 8}), ["tp4 io16x8_mc2_np5", "tp8 io16x8_mc2_np5"]),
            (
                json!({"result_dir": "Qwen_20260101_080000"}),
                json!({"result_dir": "Qwen_20260102_080000"}),
                ["2026-01-01 io16x8_mc2_np5", "2026-01-02 io16x8_mc2_np5"],
            ),
            (
                json!({"result_dir": "Qwen_20260101_080000"}),
                json!({"result_dir": "Qwen_20260101_090000-2"}),
                ["2026-01-01 08:00:00 io16x8_mc2_np5", "2026-01-01 09:00:00 #2 io16x8_mc2_np5"],
            ),
            (
                json!({"input_len": null, "filename": "bench_chat_mc2_np5.json"}),
                json!({"input_len": null, "filename": "bench_docs_mc2_np5.json"}),
                ["chat_mc2_np5", "docs_mc2_np5"],
            ),
        ] {
            assert_eq!(labels(&[row(one), row(other)]), wanted);
        }
    }

    #[test]
    fn repeats_are_one_with_the_middle_value_and_their_range() {
        let ttft = |ms: f64| row(json!({"mean_ttft_ms": ms, "output_throughput": ms}));
        let found = configurations(&[ttft(30.0), ttft(10.0), ttft(20.0), ttft(40.0)], None);
        assert_eq!((found.len(), found[0].repeats), (1, 4));
        // Of the two in the middle the worse.
        assert_eq!((found[0].value("mean_ttft_ms"), found[0].value("output_throughput")), (30.0, 20.0));
        assert_eq!(found[0].interval("mean_ttft_ms"), Some((10.0, 40.0)));
        assert_eq!(found[0].label, "io16x8_mc2_np5");
    }

    #[test]
    fn what_is_known_against_a_run_is_its_verdict() {
        for (more, wanted) in [
            (json!({"verdict": "valid"}), None),
            (json!({"verdict": "valid", "marks": "~p99_ttft_ms"}), None),
            (json!({"verdict": "not_steady"}), Some("not_steady")),
            (json!({"verdict": "too_few_samples", "completed": 0}), Some("all_failed")),
            (json!({"verdict": "valid", "marks": "~p99_ttft_ms interrupted"}), Some("interrupted")),
        ] {
            let found = configurations(&[row(more)], None);
            assert_eq!(found[0].verdict.as_deref(), wanted);
        }
        let weak = configurations(&[row(json!({"marks": "~p99_ttft_ms"}))], None);
        assert!(weak[0].is_doubtful("p99_ttft_ms") && !weak[0].is_doubtful("mean_ttft_ms"));
    }

    #[test]
    fn gpus_come_from_the_tag_unless_they_are_given() {
        let rows = [row(json!({"gpus": 4, "output_throughput": 80.0}))];
        assert_eq!(configurations(&rows, None)[0].value(PER_GPU), 20.0);
        assert_eq!(configurations(&rows, Some(8.0))[0].value(PER_GPU), 10.0);
        assert!(configurations(&[row(json!({"output_throughput": 80.0}))], None)[0].value(PER_GPU).is_nan());
    }

    #[test]
    fn intervals_stand_beside_their_values() {
        let rows = [row(json!({"mean_ttft_ms": 10.0, "mean_ttft_ms_low": 9.0, "mean_ttft_ms_high": 12.0}))];
        assert_eq!(configurations(&rows, None)[0].interval("mean_ttft_ms"), Some((9.0, 12.0)));
    }

    #[test]
    fn the_title_has_the_short_names_of_up_to_three_models() {
        let of = |names: &[&str]| {
            models_of(&names.iter().map(|name| row(json!({"model_id": name}))).collect::<Vec<_>>())
        };
        assert_eq!(of(&["a/Qwen-AWQ", "a/Qwen-AWQ"]), "Qwen");
        assert_eq!(of(&["a/Qwen-AWQ", "b"]), "Qwen, b");
        assert_eq!(of(&["a", "b", "c", "d"]), "");
    }

    #[test]
    fn long_names_of_models_keep_their_ends_and_are_told_apart() {
        let long = |end: &str| format!("org/{}-{end}", "very-long-name".repeat(9));
        let names = names_of(&[long("checkpoint-42"), long("checkpoint-43")]);
        assert!(names[0].ends_with("42") && names[1].ends_with("43"), "{names:?}");
        assert!(names.iter().all(|name| name.chars().count() <= 26));
        let middle = |digit: &str| format!("{0}{digit}{0}", "x".repeat(60));
        let names = names_of(&[middle("1"), middle("2")]);
        assert!(names[0].ends_with("#1") && names[1].ends_with("#2"), "{names:?}");
    }
}
