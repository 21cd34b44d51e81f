//! `Counters`: the few counters of which a run tells what they grew by. Pure.

use super::names::{CACHE_HITS, CACHE_QUERIES, MEANS, SPEC_ACCEPTED, SPEC_DRAFT};
use super::page::Page;
use crate::record::{Mean, Nanos, PartOf, Span, Told};

/// Two for each pair: a part and its whole, a sum and its count.
const PAIRS: [(&str, &str); 2] = [(CACHE_HITS, CACHE_QUERIES), (SPEC_ACCEPTED, SPEC_DRAFT)];
const COUNTERS: usize = 2 * (PAIRS.len() + Span::ALL.len());

/// Two times of one start are read from the same text, or lie further apart.
const SAME_START_S: f64 = 0.001;

/// A server that has begun again has counted what came since: no more than so many of the largest
/// steps that were seen.
const STEPS_MAX: f64 = 4.0;

/// What the counters of a server said at each scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counters {
    seen: Vec<Seen>,
}

#[derive(Debug, Clone, PartialEq)]
struct Seen {
    at: Nanos,
    counters: [Option<f64>; COUNTERS],
    /// When the process that answered began, seconds since 1970.
    started: Option<f64>,
    accept_length: Option<f64>,
    accept_share: Option<f64>,
}

impl Counters {
    /// `at`: since the run's zero, in the order of time.
    pub fn add(&mut self, at: Nanos, page: &Page) {
        let mut counters = [None; COUNTERS];
        for (i, (part, whole)) in PAIRS.into_iter().enumerate() {
            (counters[2 * i], counters[2 * i + 1]) = (page.value(part), page.value(whole));
        }
        for (i, pair) in page.means.into_iter().enumerate() {
            let place = 2 * (PAIRS.len() + i);
            (counters[place], counters[place + 1]) = (pair.map(|pair| pair.0), pair.map(|pair| pair.1));
        }
        self.seen.push(Seen {
            at,
            counters,
            started: page.started,
            accept_length: page.accept_length,
            accept_share: page.accept_share,
        });
    }

    /// What came from the last scrape at or before `start` on.
    pub fn since(&self, start: Nanos) -> Told {
        let first = self.seen.partition_point(|seen| seen.at <= start).saturating_sub(1);
        let seen = &self.seen[first..];
        // Whoever answers in turn does so from the beginning.
        let (restarts, jumps) = turns(&self.seen);
        let lengths = || seen.iter().filter_map(|seen| seen.accept_length);
        let mut told = Told { restarts, jumps, speculates: lengths().any(|n| n > 0.0), ..Told::default() };
        let shares: Vec<f64> =
            seen.iter().filter_map(|seen| seen.accept_share).filter(|share| *share > 0.0).collect();
        if !shares.is_empty() {
            told.acceptance = Some(shares.iter().sum::<f64>() / shares.len() as f64);
        }
        if jumps {
            return told;
        }
        let pair =
            |i: usize| Some((grown(seen, 2 * i)?, grown(seen, 2 * i + 1)?)).filter(|pair| pair.1 > 0.0);
        let part = |i| pair(i).map(|(part, whole)| PartOf { part, whole });
        (told.cache, told.drafts) = (part(0), part(1));
        told.speculates |= told.drafts.is_some();
        for (i, mean) in told.means.iter_mut().enumerate() {
            *mean = pair(PAIRS.len() + i).map(|(ms, count)| Mean { ms: ms / count, count });
        }
        told
    }
}

/// What a counter grew by; one that went back began again at zero. `None`: it was seen less than
/// twice.
fn grown(seen: &[Seen], place: usize) -> Option<f64> {
    let values: Vec<f64> = seen.iter().filter_map(|seen| seen.counters[place]).collect();
    let steps = values.windows(2).map(|pair| if pair[1] < pair[0] { pair[1] } else { pair[1] - pair[0] });
    (values.len() > 1).then(|| steps.sum())
}

/// How often the server began again, and whether several servers answer in turn. A server that
/// begins again is younger than before and has counted nothing; counters that go back twice, a
/// process that is older than the one before, or a younger one whose counters went on are those of
/// others. Where nobody says since when it counts, so are those that go back to more than comes
/// between two scrapes.
fn turns(seen: &[Seen]) -> (u32, bool) {
    let (mut backs, mut jumps) = (0, false);
    let steps = steps(seen);
    for pair in seen.windows(2) {
        let both = || pair[0].counters.iter().zip(&pair[1].counters);
        let back = both().any(|(before, now)| before.zip(*now).is_some_and(|(before, now)| now < before));
        let on = both().any(|(before, now)| before.zip(*now).is_some_and(|(before, now)| now > before));
        backs += u32::from(back);
        if let Some((before, now)) = pair[0].started.zip(pair[1].started) {
            jumps |= now < before - SAME_START_S || now > before + SAME_START_S && on && !back;
        } else {
            let high = |(i, (before, now)): (usize, (&Option<f64>, &Option<f64>))| {
                let fell = before.zip(*now).filter(|(before, now)| now < before);
                fell.zip(steps[i]).is_some_and(|((_, now), step)| now > STEPS_MAX * step)
            };
            jumps |= both().enumerate().any(high);
        }
    }
    (backs, jumps || backs > 1)
}

/// The most that came to each counter between two scrapes; `None`: nothing ever did.
fn steps(seen: &[Seen]) -> [Option<f64>; COUNTERS] {
    let mut most = [None; COUNTERS];
    for pair in seen.windows(2) {
        for (most, (before, now)) in most.iter_mut().zip(pair[0].counters.iter().zip(&pair[1].counters)) {
            let step = before.zip(*now).map(|(before, now)| now - before).filter(|step| *step > 0.0);
            *most = (*most).into_iter().chain(step).reduce(f64::max);
        }
    }
    most
}

/// The sum in milliseconds and the count behind each mean.
pub(super) fn means(joined: impl Fn(&str) -> Option<f64>) -> [Option<(f64, f64)>; Span::ALL.len()] {
    let mut means = [None; Span::ALL.len()];
    for (span, sum, count, ms) in MEANS {
        let mean = &mut means[*span as usize];
        *mean = mean.or_else(|| Some((joined(sum)? * ms, joined(count)?)));
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Nanos = 1_000_000_000;

    fn counters(pages: &[(Nanos, &str)]) -> Counters {
        let mut counters = Counters::default();
        pages.iter().for_each(|(at, text)| counters.add(*at, &Page::read(text)));
        counters
    }

    fn cache(hits: f64, queries: f64, more: &str) -> String {
        format!("vllm:prefix_cache_hits_total {hits}\nvllm:prefix_cache_queries_total {queries}\n{more}")
    }

    fn told(pages: &[String]) -> Told {
        let mut counters = Counters::default();
        pages.iter().enumerate().for_each(|(i, page)| counters.add(i as Nanos * S, &Page::read(page)));
        counters.since(0)
    }

    #[test]
    fn counters_count_from_the_last_scrape_before_the_window() {
        let pages: [(Nanos, &str); 4] = [
            (-1, "llamacpp:prompt_tokens_total 100\nllamacpp:prompt_tokens_cached_total 900\n"),
            (S, "llamacpp:prompt_tokens_total 200\nllamacpp:prompt_tokens_cached_total 900\n"),
            (2 * S, "llamacpp:prompt_tokens_total 250\nllamacpp:prompt_tokens_cached_total 910\n"),
            (3 * S, "llamacpp:prompt_tokens_total 275\nllamacpp:prompt_tokens_cached_total 925\n"),
        ];
        let counters = counters(&pages);
        assert_eq!(counters.since(S + 5).cache, Some(PartOf { part: 25.0, whole: 100.0 }));
        assert_eq!(counters.since(-9).cache, Some(PartOf { part: 25.0, whole: 200.0 }));
        assert_eq!(counters.since(3 * S).cache, None, "one answer is no growth");
        assert_eq!(Counters::default().since(0), Told::default());
    }

    #[test]
    fn a_server_that_began_again_is_told_from_several_that_answer_in_turn() {
        let at = |hits, queries, started: f64| {
            cache(hits, queries, &format!("process_start_time_seconds {started}\n"))
        };
        let born =
            |hits, queries, at: f64| cache(hits, queries, &format!("vllm:prefix_cache_hits_created {at}\n"));
        let younger = told(&[born(10.0, 90.0, 1000.5), born(1.0, 9.0, 2000.5)]);
        assert_eq!((younger.restarts, younger.jumps), (1, false));
        let busy = told(&[cache(900.0, 9000.0, ""), cache(910.0, 9100.0, ""), cache(20.0, 250.0, "")]);
        assert_eq!((busy.restarts, busy.jumps), (1, false), "what came since it began again");
        let once = told(&[cache(10.0, 90.0, ""), cache(0.0, 0.0, ""), cache(5.0, 10.0, "")]);
        assert_eq!((once.restarts, once.jumps), (1, false));
        assert_eq!(once.cache, Some(PartOf { part: 5.0, whole: 10.0 }));
        let turns = [
            // Back and forth.
            vec![cache(10.0, 90.0, ""), cache(1.0, 9.0, ""), cache(11.0, 95.0, ""), cache(2.0, 10.0, "")],
            // Up and down once, but the second process is older than the first.
            vec![at(10.0, 90.0, 2000.5), at(1.0, 9.0, 1000.5)],
            // Once, to what no server counts in so short a time.
            vec![
                cache(900.0, 9000.0, ""),
                cache(910.0, 9050.0, ""),
                cache(500.0, 5000.0, ""),
                cache(510.0, 5050.0, ""),
            ],
            // By the birth dates of their counters.
            vec![born(10.0, 90.0, 1000.5), born(50.0, 900.0, 2000.5)],
            vec![born(10.0, 90.0, 2000.5), born(1.0, 9.0, 1000.5)],
            // A younger process that has counted more.
            vec![at(10.0, 90.0, 1000.5), at(50.0, 900.0, 2000.5)],
        ];
        for pages in turns {
            let told = told(&pages);
            assert!(told.jumps && told.cache.is_none(), "{pages:?}: {told:?}");
        }
        let restarted = told(&[at(10.0, 90.0, 1000.5), at(1.0, 9.0, 2000.5)]);
        assert_eq!((restarted.restarts, restarted.jumps), (1, false));
    }

    #[test]
    fn means_are_those_of_what_was_observed_in_between() {
        let page = |ttft: f64, n: f64| {
            format!(
                "vllm:time_to_first_token_seconds_sum {ttft}\nvllm:time_to_first_token_seconds_count {n}\n\
                 vllm:request_queue_time_seconds_sum 1\nvllm:request_queue_time_seconds_count 4\n"
            )
        };
        let told = told(&[page(100.0, 10.0), page(100.5, 20.0)]);
        assert_eq!(told.mean(Span::Ttft), Some(Mean { ms: 50.0, count: 10.0 }));
        assert_eq!(told.mean(Span::Queue), None, "nothing came");
    }

    macro_rules! answer {
        ($name:literal) => {
            Page::read(include_str!(concat!("../../../tests/data/metrics/", $name)))
        };
    }

    /// Means since a server without any requests.
    fn spans(page: &Page) -> Vec<(&'static str, f64)> {
        let all = Span::ALL.into_iter().zip(page.means);
        all.filter_map(|(span, mean)| Some((span.name(), mean?.0 / mean?.1))).collect()
    }

    #[test]
    fn every_server_tells_its_means_under_its_own_names() {
        let rounded = |page: &Page| -> Vec<(&str, f64)> {
            spans(page).into_iter().map(|(name, ms)| (name, (ms * 100.0).round() / 100.0)).collect()
        };
        assert_eq!(
            rounded(&answer!("vllm-means.txt")),
            [("ttft", 45.0), ("itl", 8.0), ("queue", 2.5), ("e2el", 450.0), ("kv_transfer", 3.0)]
        );
        assert_eq!(
            rounded(&answer!("sglang-means.txt")),
            [("ttft", 60.0), ("itl", 10.0), ("queue", 5.0), ("e2el", 700.0)]
        );
        assert_eq!(rounded(&answer!("tgi-means.txt")), [("itl", 20.0), ("queue", 4.0), ("e2el", 300.0)]);
        assert_eq!(rounded(&answer!("llamacpp-means.txt")), [("itl", 25.0)]);
    }

    #[test]
    fn speculative_decoding_is_seen_where_drafts_are_made() {
        let drafts = |accepted: u32, drafted: u32| {
            format!(
                "vllm:spec_decode_num_accepted_tokens_total {accepted}\nvllm:spec_decode_num_draft_tokens_total {drafted}\n"
            )
        };
        let seen = told(&[drafts(10, 100), drafts(40, 200)]);
        assert_eq!((seen.speculates, seen.accepted()), (true, Some(0.3)));
        let idle = told(&[drafts(10, 100), drafts(10, 100)]);
        assert_eq!((idle.speculates, idle.accepted()), (false, None));
        let sglang = |length: f64, share: f64| {
            format!("sglang:spec_accept_length {length}\nsglang:spec_accept_rate {share}\n")
        };
        let seen = told(&[sglang(0.0, 0.0), sglang(2.5, 0.5)]);
        assert_eq!((seen.speculates, seen.accepted()), (true, Some(0.5)));
        assert!(!told(&[sglang(0.0, 0.0), sglang(0.0, 0.0)]).speculates);
    }
}
