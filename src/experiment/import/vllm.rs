//! The result JSON of vLLM's benchmark, with the lists of single requests or without.

use super::checked::{At, list_of};
use super::found::Found;
use super::reply::Told;
use crate::stats::vllm::{KeyKind, key_kind};
use serde_json::{Map, Value};

/// The lists that stand or are missing together.
const NEEDED: [&str; 4] = ["ttfts", "itls", "input_lens", "output_lens"];

/// Those that old versions do not have.
const FURTHER: [&str; 3] = ["start_times", "errors", "generated_texts"];

pub fn result(stem: &str, map: Map<String, Value>) -> Result<Found, String> {
    // Old versions write `request_goodput:`.
    let map: Map<String, Value> =
        map.into_iter().map(|(key, value)| (key.trim_end_matches(':').to_string(), value)).collect();
    for (key, value) in &map {
        let is_number = value.is_number() || value.is_null() || key == "request_rate" && value == "inf";
        if key_kind(key) == Some(KeyKind::Number) && !is_number {
            At::new(value, key).number()?;
        }
    }
    let (requests, starts_known) = requests(&map)?;
    let scalar = |(_, value): &(&String, &Value)| !value.is_array() && !value.is_object();
    let mut values: Map<String, Value> =
        map.iter().filter(scalar).map(|(key, value)| (key.clone(), value.clone())).collect();
    // Without sound it is 0 there.
    values.retain(|key, value| key != "rtfx" || value.as_f64().is_some_and(|rtfx| rtfx > 0.0));
    let note = "it does not say when requests began: all stand at the beginning of the run".to_string();
    let mut found = Found {
        tool: "vllm",
        name: stem.to_string(),
        values,
        note: (!requests.is_empty() && !starts_known).then_some(note),
        records: requests.into_iter().map(Told::record).collect(),
        ..Found::default()
    };
    found.date_of_values();
    Ok(found)
}

/// The requests that are listed, and whether it is known when they began.
fn requests(map: &Map<String, Value>) -> Result<(Vec<Told>, bool), String> {
    let Some(ttfts) = list_of(map, NEEDED[0])? else {
        let stray = NEEDED.iter().find(|key| map.contains_key(**key));
        return match stray {
            Some(key) => Err(format!("it has `{key}`, and no `ttfts`")),
            None => Ok((Vec::new(), false)),
        };
    };
    let same_length = |key: &str, entries: &[At]| match entries.len() == ttfts.len() {
        true => Ok(()),
        false => Err(format!("`{key}` has {} entries, and `ttfts` has {}", entries.len(), ttfts.len())),
    };
    let mut lists = Vec::new();
    for key in NEEDED.iter().skip(1).chain(&FURTHER) {
        let list = list_of(map, key)?;
        if let Some(entries) = &list {
            same_length(key, entries)?;
        } else if NEEDED.contains(key) {
            return Err(format!("it has `ttfts`, and no `{key}`"));
        }
        lists.push(list);
    }
    let [Some(itls), Some(inputs), Some(outputs), starts, errors, texts] = &lists[..] else {
        return Err("lists of requests are missing".into());
    };
    let began: Option<Vec<f64>> = starts
        .as_ref()
        .map(|starts| starts.iter().map(|at| at.moment(1.0)).collect::<Result<_, _>>())
        .transpose()?;
    let first = began.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let word = |list: &Option<Vec<At>>, i: usize| {
        list.as_ref().and_then(|list| list[i].value.as_str()).unwrap_or_default().to_string()
    };
    let request = |i: usize| -> Result<Told, String> {
        let ttft = ttfts[i].seconds(1.0)?;
        let mut events = Vec::new();
        if ttft > 0.0 {
            events.push(ttft);
            let mut last = ttft;
            for gap in itls[i].entries()? {
                last += gap.seconds(1.0)?;
                events.push(last);
            }
        }
        let error = word(errors, i);
        // A failure has no first token and no word either, in some versions.
        let failed = !error.is_empty() || events.is_empty();
        let words = if error.is_empty() { "failed, without a word".to_string() } else { error };
        Ok(Told {
            seq: i as u64,
            start: began.as_ref().map_or(0.0, |began| began[i] - first),
            events: if failed { Vec::new() } else { events },
            input: Some(inputs[i].count()?),
            output: Some(outputs[i].count()?).filter(|_| !failed),
            error: failed.then_some(words),
            text: Some(word(texts, i)),
            ..Told::default()
        })
    };
    let requests = (0..ttfts.len()).map(request).collect::<Result<Vec<_>, _>>()?;
    Ok((requests, began.is_some()))
}
