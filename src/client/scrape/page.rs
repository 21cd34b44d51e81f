//! `Page`: one answer of `/metrics` in our own names. Pure.

use super::counters;
use super::names::{ACCEPT_LENGTH, ACCEPT_SHARE, Join, RULES, Rule, STARTED};
use crate::client::control::{labels, samples};
use crate::record::Span;
use std::collections::BTreeMap;

/// Series without a name of ours that are kept of one answer.
const RAW_MAX: usize = 500;

/// One answer of `/metrics`.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    /// Those with a name of ours first, in a fixed order.
    pub values: Vec<Value>,
    /// Series beyond the `RAW_MAX` that are kept.
    pub left_out: usize,
    /// By the number of the [`Span`]: milliseconds in all, and of how many observations.
    pub means: [Option<(f64, f64)>; Span::ALL.len()],
    /// When the one process that answers began, or its first counter, seconds since 1970.
    pub started: Option<f64>,
    /// Of speculative decoding, as it stands: see [`ACCEPT_LENGTH`].
    pub accept_length: Option<f64>,
    pub accept_share: Option<f64>,
}

/// One value of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Our name, or the server's where we have none.
    pub metric: String,
    /// Empty: none.
    pub labels: String,
    pub value: f64,
    pub raw_name: String,
}

/// The series of one name: labels and value.
type Family<'a> = Vec<(&'a str, f64)>;

impl Page {
    /// Reads Prometheus text. Of histograms the sum and the count are kept and the buckets left
    /// out, which are nine tenths of an answer; so are the birth dates of counters (`_created`)
    /// and values that are no numbers. Text without any series gives an empty page.
    pub fn read(text: &str) -> Page {
        let mut families: BTreeMap<&str, Family> = BTreeMap::new();
        let mut born: Option<f64> = None;
        let mut several = false;
        for (name, labels, value) in samples(text) {
            if name.ends_with("_created") && value.is_finite() {
                born = Some(born.map_or(value, |born| born.min(value)));
                // Pages that the user has named stand here as one.
                several |= labels.contains("server=\"");
            }
            if value.is_finite() && !name.ends_with("_bucket") && !name.ends_with("_created") {
                families.entry(name).or_default().push((labels, value));
            }
        }
        let mut page = Page::default();
        let mut told = Vec::new();
        for rule in RULES {
            let found = rule.names.iter().find_map(|names| {
                let value = joined(rule, names, &families)?;
                Some((*names, value))
            });
            let Some((names, value)) = found else { continue };
            page.values.push(Value {
                metric: rule.metric.into(),
                labels: String::new(),
                value,
                raw_name: names.join(" + "),
            });
            // One series under our name says all; what was joined is kept as well.
            if let [name] = names
                && families.get(name).is_some_and(|family| family.len() == 1)
            {
                told.push(*name);
            }
        }
        page.means = counters::means(|name| joined(&ANY, &[name], &families));
        page.started = match families.get(STARTED).map(Vec::as_slice) {
            Some([(_, started)]) => Some(*started),
            Some(_) => None,
            None => born.filter(|_| !several),
        };
        let gauge = |rule: &Rule| rule.names.iter().find_map(|names| joined(rule, names, &families));
        (page.accept_length, page.accept_share) = (gauge(&ACCEPT_LENGTH), gauge(&ACCEPT_SHARE));
        let raw = families.iter().filter(|(name, _)| !told.contains(name));
        let raw =
            raw.flat_map(|(name, family)| family.iter().map(move |(labels, value)| (name, labels, value)));
        for (i, (name, labels, value)) in raw.enumerate() {
            if i >= RAW_MAX {
                page.left_out += 1;
                continue;
            }
            let name = name.to_string();
            page.values.push(Value {
                metric: name.clone(),
                labels: labels.to_string(),
                value: *value,
                raw_name: name,
            });
        }
        page
    }

    /// The value under a name of ours.
    pub fn value(&self, metric: &str) -> Option<f64> {
        self.values.iter().find(|value| value.metric == metric).map(|value| value.value)
    }
}

/// Every series counts.
const ANY: Rule = Rule { metric: "", join: Join::Sum, names: &[], not: &[] };

/// One value out of all series of `names`; `None` unless each name has one that counts.
fn joined(rule: &Rule, names: &[&str], families: &BTreeMap<&str, Family>) -> Option<f64> {
    let mut sum = 0.0;
    for name in names {
        let counting = counting(rule, name, families.get(name)?);
        if counting.is_empty() {
            return None;
        }
        let total: f64 = counting.iter().sum();
        sum += match rule.join {
            Join::Sum => total,
            Join::Mean => total / counting.len() as f64,
        };
    }
    Some(sum)
}

/// The values that stand for something of their own.
fn counting(rule: &Rule, name: &str, family: &Family) -> Vec<f64> {
    let counts = |own: &str| !labels(own).any(|label| rule.not.contains(&label));
    let family = family.iter().filter(|(own, _)| counts(own));
    if !name.starts_with("sglang:") {
        return family.map(|(_, value)| *value).collect();
    }
    // SGLang repeats a queue's length for each priority beside the whole; and, when asked for
    // the metrics of all schedulers, each rank of a tensor or pipeline group tells the same.
    let mut groups: BTreeMap<Vec<&str>, f64> = BTreeMap::new();
    for (own, value) in family {
        let own: Vec<&str> = labels(own).collect();
        if own.iter().any(|label| label.starts_with("priority=") && *label != "priority=\"\"") {
            continue;
        }
        let ranks = ["tp_rank=", "pp_rank=", "moe_ep_rank="];
        let unranked = |label: &&str| !ranks.iter().any(|rank| label.starts_with(rank));
        let group = groups.entry(own.into_iter().filter(unranked).collect()).or_insert(*value);
        *group = group.max(*value);
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::super::names::RULES;
    use super::*;

    macro_rules! answer {
        ($name:literal) => {
            Page::read(include_str!(concat!("../../../tests/data/metrics/", $name)))
        };
    }

    /// What stands under names of ours.
    fn ours(page: &Page) -> Vec<(&str, f64)> {
        let ours = page.values.iter().filter(|value| RULES.iter().any(|rule| rule.metric == value.metric));
        ours.map(|value| (value.metric.as_str(), value.value)).collect()
    }

    fn raw<'a>(page: &'a Page, name: &str) -> Vec<(&'a str, f64)> {
        let raw = page.values.iter().filter(|value| value.metric == name);
        raw.map(|value| (value.labels.as_str(), value.value)).collect()
    }

    #[test]
    fn engines_of_vllm_are_added_and_their_shares_averaged() {
        let page = answer!("vllm-two-engines.txt");
        let expected = [
            ("running", 8.0),
            ("waiting", 4.0),
            ("kv_use", 0.5),
            ("preemptions_total", 1.0),
            ("prefix_cache_queries_total", 1000.0),
            ("prefix_cache_hits_total", 150.0),
            ("prompt_tokens_total", 1030.0),
            ("generation_tokens_total", 3000.0),
            ("spec_accepted_tokens_total", 60.0),
            ("spec_draft_tokens_total", 90.0),
            ("requests_success_total", 22.0),
        ];
        assert_eq!(ours(&page), expected);
        // What was joined is kept as the server told it, what stood alone is told once.
        let engines = raw(&page, "vllm:num_requests_running");
        assert_eq!(engines[1], ("engine=\"1\",model_name=\"org/m\"", 3.0));
        assert!(raw(&page, "vllm:spec_decode_num_draft_tokens_total").is_empty());
        assert_eq!(raw(&page, "process_resident_memory_bytes"), [("", 1_043_324_928.0)]);
    }

    #[test]
    fn of_a_histogram_the_sum_and_the_count_are_kept_and_no_birth_date() {
        let page = answer!("vllm-two-engines.txt");
        let of = |ending: &str| page.values.iter().filter(|value| value.metric.ends_with(ending)).count();
        assert_eq!(
            (of("_bucket"), of("_created"), of("_tokens_total_sum"), of("_tokens_total_count")),
            (0, 0, 1, 1)
        );
        assert_eq!(raw(&page, "vllm:iteration_tokens_total_sum")[0].1, 2620.0);
    }

    #[test]
    fn old_names_of_vllm_stand_in_for_new_ones() {
        let expected = [
            ("running", 2.0),
            ("kv_use", 0.5),
            ("prefix_cache_queries_total", 10.0),
            ("prefix_cache_hits_total", 4.0),
        ];
        assert_eq!(ours(&answer!("vllm-old.txt")), expected);
        // A version that told both must not be counted twice.
        let both = "vllm:prefix_cache_hits_total 4\nvllm:gpu_prefix_cache_hits_total 4\n";
        assert_eq!(ours(&Page::read(both)), [("prefix_cache_hits_total", 4.0)]);
    }

    #[test]
    fn ranks_and_priorities_of_sglang_are_not_counted_twice() {
        let page = answer!("sglang.txt");
        let expected = [
            ("running", 7.0),
            ("waiting", 12.0),
            ("kv_use", 0.6000000000000001),
            ("preemptions_total", 3.0),
            ("prefix_cache_queries_total", 8000.0),
            ("prefix_cache_hits_total", 2000.0),
            ("prompt_tokens_total", 8000.0),
            ("generation_tokens_total", 7_557_572.0),
            ("requests_success_total", 40.0),
        ];
        assert_eq!(ours(&page), expected);
        assert_eq!(raw(&page, "sglang:gen_throughput")[0].1, 512.5);
        assert!(raw(&page, "sglang:fwd_occupancy").is_empty(), "a value that is no number");
    }

    #[test]
    fn prompt_tokens_of_llamacpp_are_those_from_its_cache_as_well() {
        let page = answer!("llamacpp.txt");
        let expected = [
            ("running", 3.0),
            ("waiting", 2.0),
            ("prefix_cache_queries_total", 40.0),
            ("prefix_cache_hits_total", 9.0),
            ("prompt_tokens_total", 40.0),
            ("generation_tokens_total", 8.0),
            ("spec_accepted_tokens_total", 0.0),
            ("spec_draft_tokens_total", 0.0),
        ];
        assert_eq!(ours(&page), expected);
        assert_eq!(
            page.values[2].raw_name,
            "llamacpp:prompt_tokens_total + llamacpp:prompt_tokens_cached_total"
        );
        assert_eq!(raw(&page, "llamacpp:prompt_tokens_total"), [("", 31.0)]);
        // Builds without a count of cached tokens.
        let old = Page::read("llamacpp:prompt_tokens_total 31\nllamacpp:kv_cache_usage_ratio 0.25\n");
        assert_eq!(ours(&old), [("kv_use", 0.25), ("prompt_tokens_total", 31.0)]);
    }

    #[test]
    fn tgi_counts_tokens_in_the_sums_of_its_histograms() {
        let page = answer!("tgi.txt");
        let expected = [
            ("running", 4.0),
            ("waiting", 7.0),
            ("prompt_tokens_total", 5200.0),
            ("generation_tokens_total", 8123.0),
            ("requests_success_total", 40.0),
        ];
        assert_eq!(ours(&page), expected);
        assert_eq!(raw(&page, "tgi_batch_inference_count").len(), 2);
    }

    #[test]
    fn text_that_is_no_metrics_is_an_empty_page() {
        for text in [
            "",
            "<!doctype html>\n<html><body>hello 5</body></html>\n",
            "{\"data\": [1, 2]}\n",
            "# TYPE a gauge\n",
        ] {
            assert_eq!(Page::read(text), Page::default(), "{text:?}");
        }
    }

    #[test]
    fn series_beyond_the_limit_are_counted_and_ours_are_never_among_them() {
        let many: String = (0..600).map(|i| format!("a{{i=\"{i}\"}} 1\n")).collect();
        let page = Page::read(&format!("{many}vllm:num_requests_running 2\n"));
        assert_eq!((page.values.len(), page.left_out), (RAW_MAX + 1, 100));
        assert_eq!(page.value("running"), Some(2.0));
    }
}
