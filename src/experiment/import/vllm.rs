//! The result JSON of vLLM's benchmark, with the lists of single requests or without.

use super::found::Found;
use super::reply::Told;
use serde_json::{Map, Value};

/// The lists of requests.
const LISTS: [&str; 7] =
    ["input_lens", "output_lens", "ttfts", "itls", "start_times", "generated_texts", "errors"];

pub fn result(stem: &str, map: Map<String, Value>) -> Found {
    // Old versions write `request_goodput:`.
    let map: Map<String, Value> =
        map.into_iter().map(|(key, value)| (key.trim_end_matches(':').to_string(), value)).collect();
    let list = |key: &str| map.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let lists = LISTS.map(list);
    let requests = lists[2].len();
    let starts: Vec<f64> = lists[4].iter().filter_map(Value::as_f64).collect();
    let first = starts.iter().copied().fold(f64::INFINITY, f64::min);
    let record = |i: usize| {
        let at = |list: &[Value]| list.get(i).cloned().unwrap_or_default();
        let ttft = at(&lists[2]).as_f64().unwrap_or_default();
        let mut events = Vec::new();
        if ttft > 0.0 {
            events.push(ttft);
            let gaps = at(&lists[3]);
            let mut last = ttft;
            for gap in gaps.as_array().into_iter().flatten().filter_map(Value::as_f64) {
                last += gap;
                events.push(last);
            }
        }
        let error = at(&lists[6]).as_str().unwrap_or_default().to_string();
        // A failure has no first token and no word either, in some versions.
        let failed = !error.is_empty() || events.is_empty();
        let words = if error.is_empty() { "failed, without a word".to_string() } else { error };
        Told {
            seq: i as u64,
            start: starts.get(i).map_or(0.0, |start| start - first),
            events: if failed { Vec::new() } else { events },
            input: at(&lists[0]).as_u64(),
            output: at(&lists[1]).as_u64().filter(|_| !failed),
            error: failed.then_some(words),
            text: at(&lists[5]).as_str().map(String::from),
            ..Told::default()
        }
        .record()
    };
    let records: Vec<_> = (0..requests).map(record).collect();
    let no_starts = requests > 0 && starts.is_empty();
    let scalar = |(_, value): &(&String, &Value)| !value.is_array() && !value.is_object();
    let values = map.iter().filter(scalar).map(|(key, value)| (key.clone(), value.clone())).collect();
    let note = "it does not say when requests began: all stand at the beginning of the run".to_string();
    let mut found = Found {
        tool: "vllm",
        name: stem.to_string(),
        values,
        records,
        note: no_starts.then_some(note),
        ..Found::default()
    };
    found.date_of_values();
    found
}
