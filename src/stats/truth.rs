//! `Truth`: what a server really did, and how far from it a client's records are.

use super::fold::Fold;
use super::sample::{Sample, View};
use crate::record::{Fields, Nanos, Phase, Record};
use serde::Deserialize;
use std::collections::HashMap;

/// What a server says of one finished request. Nanoseconds of the machine's monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Truth {
    /// When the last byte of the request had arrived.
    pub arrival_ns: Nanos,
    /// When the server read it; `None` where it does not say.
    #[serde(default)]
    pub read_ns: Option<Nanos>,
    /// The times of the writes, one for each event with text.
    pub emissions_ns: Vec<Nanos>,
}

impl Truth {
    /// Reads the log of the built-in engine: a JSON object by request id. The error is a sentence.
    pub fn read(json: &[u8]) -> Result<HashMap<String, Truth>, String> {
        serde_json::from_slice(json).map_err(|error| format!("this is no log of what a server did: {error}"))
    }
}

/// The measured successes of a run beside what their server did.
#[derive(Debug)]
pub struct Errors<'a> {
    truths: &'a HashMap<String, Truth>,
    /// The run's zero on the server's clock.
    zero: Nanos,
    /// Requests are compared whose place in the schedule is below this.
    first: u64,
    /// Requests whose values are in the metrics below.
    pub compared: u64,
    /// Successes of which the server knows nothing.
    pub missing: u64,
    /// Successes with another number of output events than their server wrote.
    pub uneven: u64,
    pub ttft: Versus,
    pub itl: Versus,
    pub tpot: Versus,
    pub e2el: Versus,
    /// The parts of the error of `ttft`, milliseconds. They make sense where client and server
    /// share a clock.
    pub parts: Parts,
}

/// Where the error of a `ttft` comes about: these three add up to it.
#[derive(Debug, Default)]
pub struct Parts {
    /// From our stamp of the first write to the end of the writing, or to the arrival if that was
    /// earlier.
    pub writing: Sample,
    /// From there to the arrival of the request at the server.
    pub way_there: Sample,
    /// From the server's stamp of its first token to ours.
    pub way_back: Sample,
}

impl<'a> Errors<'a> {
    /// `zero`: the run's zero on the server's clock; `first`: so many requests alone, by their place in
    /// the schedule.
    pub fn beside(truths: &'a HashMap<String, Truth>, zero: Nanos, first: u64) -> Errors<'a> {
        Errors {
            truths,
            zero,
            first,
            compared: 0,
            missing: 0,
            uneven: 0,
            ttft: Versus::default(),
            itl: Versus::default(),
            tpot: Versus::default(),
            e2el: Versus::default(),
            parts: Parts::default(),
        }
    }

    fn compare(&mut self, record: &Record, truth: &Truth) {
        let zero = self.zero;
        self.compared += 1;
        let (Some(first), Some(last)) = (truth.emissions_ns.first(), truth.emissions_ns.last()) else {
            return;
        };
        self.ttft.add(record.ttft_ms(), ms(first - truth.arrival_ns));
        self.e2el.add(record.e2el_ms(), ms(last - truth.arrival_ns));
        self.tpot.add(record.tpot_ms(), ms(last - first) / tokens_after_the_first(record));
        let gaps = truth.emissions_ns.windows(2).map(|pair| ms(pair[1] - pair[0]));
        record.itl_ms().into_iter().zip(gaps).for_each(|(client, server)| self.itl.add(Some(client), server));
        if let (Some(sent), Some(seen)) = (record.timeline.sent, record.first_output()) {
            let arrival = truth.arrival_ns - zero;
            let left = record.timeline.written.map_or(arrival, |written| written.min(arrival));
            self.parts.writing.add(ms(left - sent));
            self.parts.way_there.add(ms(arrival - left));
            self.parts.way_back.add(ms(seen + zero - first));
        }
    }
}

impl Fold for Errors<'_> {
    fn fields(&self) -> Fields {
        Fields::OUTPUT.with(Fields::WAY).with(Fields::ID)
    }

    /// Warm-up and failures are left out.
    fn add(&mut self, record: &Record) {
        if record.seq >= self.first || record.phase != Phase::Measured || !record.success() {
            return;
        }
        let truths = self.truths;
        match truths.get(&record.id) {
            None => self.missing += 1,
            Some(truth) if truth.emissions_ns.len() != record.timeline.events.output().count() => {
                self.uneven += 1;
            }
            Some(truth) => self.compare(record, truth),
        }
    }

    fn merge(&mut self, other: Self) {
        self.compared += other.compared;
        self.missing += other.missing;
        self.uneven += other.uneven;
        self.ttft.merge(&other.ttft);
        self.itl.merge(&other.itl);
        self.tpot.merge(&other.tpot);
        self.e2el.merge(&other.e2el);
        self.parts.writing.merge(&other.parts.writing);
        self.parts.way_there.merge(&other.parts.way_there);
        self.parts.way_back.merge(&other.parts.way_back);
    }

    fn fresh(&self) -> Self {
        Errors::beside(self.truths, self.zero, self.first)
    }
}

impl Parts {
    /// Means of `writing`, `way_there` and `way_back`; nothing where an effect stands before its
    /// cause, because the two clocks are not one.
    pub fn means(&self) -> Option<[f64; 3]> {
        let views = [self.writing.view(), self.way_there.view(), self.way_back.view()];
        if views.iter().any(|view| view.min().is_none_or(|least| least < -CLOCK_MS)) {
            return None;
        }
        Some(views.map(|view| view.mean().unwrap_or_default()))
    }
}

/// What stamps of one clock may differ by: ours are cut to microseconds.
const CLOCK_MS: f64 = 0.1;

/// One metric as the client and as the server has it, value by value, in milliseconds.
#[derive(Debug)]
pub struct Versus {
    client: Sample,
    server: Sample,
    /// |client - server| of one and the same value.
    apart: Sample,
}

/// Values that are kept as they are (32 MB): the errors are smaller than the steps of a histogram.
const VALUES_MAX: usize = 1 << 22;

impl Default for Versus {
    fn default() -> Versus {
        let [client, server, apart] = [(); 3].map(|()| Sample::keeping(VALUES_MAX));
        Versus { client, server, apart }
    }
}

impl Versus {
    fn add(&mut self, client: Option<f64>, server: f64) {
        if let Some(client) = client.filter(|_| server.is_finite()) {
            self.client.add(client);
            self.server.add(server);
            self.apart.add((client - server).abs());
        }
    }

    fn merge(&mut self, other: &Versus) {
        self.client.merge(&other.client);
        self.server.merge(&other.server);
        self.apart.merge(&other.apart);
    }

    /// Names and numbers: `mean`, `p50`, `p99` are the client's number less the server's;
    /// `each_p50`, `each_p99`, `each_max` how far apart one and the same value is; `server_mean`,
    /// `server_p50`, `server_p99` what the server did. `None` without values.
    pub fn numbers(&self) -> [(&'static str, Option<f64>); 9] {
        let (client, server, apart) = (self.client.view(), self.server.view(), self.apart.view());
        let less = |of: &dyn Fn(&View) -> Option<f64>| Some(of(&client)? - of(&server)?);
        [
            ("mean", less(&|view| view.mean())),
            ("p50", less(&|view| view.percentile(50.0))),
            ("p99", less(&|view| view.percentile(99.0))),
            ("each_p50", apart.percentile(50.0)),
            ("each_p99", apart.percentile(99.0)),
            ("each_max", apart.max()),
            ("server_mean", server.mean()),
            ("server_p50", server.percentile(50.0)),
            ("server_p99", server.percentile(99.0)),
        ]
    }

    pub fn count(&self) -> u64 {
        self.client.count()
    }
}

/// What `tpot` divides by.
fn tokens_after_the_first(record: &Record) -> f64 {
    let events = &record.timeline.events;
    let first = events.output().next().map_or(1, |first| events.tokens[first].max(1));
    f64::from(record.output_tokens().map_or(0, |(n, _)| n)) - f64::from(first)
}

fn ms(time: Nanos) -> f64 {
    time as f64 / 1e6
}

/// Kolmogorov's distance between the gaps of moments and the exponential distribution of `rate`
/// per second: 0 to 1. `None` for fewer than two moments.
pub fn distance_to_poisson(moments: impl IntoIterator<Item = Nanos>, rate: f64) -> Option<f64> {
    let mut moments: Vec<Nanos> = moments.into_iter().collect();
    moments.sort_unstable();
    let mut gaps: Vec<f64> = moments.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9).collect();
    gaps.sort_by(f64::total_cmp);
    let n = gaps.len() as f64;
    let distances = gaps.iter().enumerate().map(|(i, gap)| {
        let share = 1.0 - (-rate * gap).exp();
        (share - i as f64 / n).max((i + 1) as f64 / n - share)
    });
    distances.reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{MS, reply};
    use super::*;
    use crate::record::Outcome;

    const ZERO: Nanos = 7_000_000 * MS;

    /// Requests 0, 1, ... of which the server had the first token after 10 ms and one each 5 ms,
    /// and which arrived 1 ms after they were sent.
    fn truths(count: i64) -> HashMap<String, Truth> {
        let truth = |seq: i64| {
            let arrival = ZERO + (seq * 100 + 1) * MS;
            let emissions_ns = [10, 15, 20].map(|after| arrival + after * MS).to_vec();
            (format!("r{seq}"), Truth { arrival_ns: arrival, read_ns: None, emissions_ns })
        };
        (0..count).map(truth).collect()
    }

    fn compared<'a>(
        records: impl IntoIterator<Item = &'a Record>,
        truths: HashMap<String, Truth>,
        zero: Nanos,
    ) -> Errors<'static> {
        let mut errors = Errors::beside(Box::leak(Box::new(truths)), zero, u64::MAX);
        records.into_iter().for_each(|record| errors.add(record));
        errors
    }

    fn number(versus: &Versus, name: &str) -> f64 {
        let found = versus.numbers().into_iter().find(|(known, _)| *known == name);
        found.unwrap().1.unwrap()
    }

    #[track_caller]
    fn is(value: f64, wanted: f64) {
        assert!((value - wanted).abs() < 1e-9, "{value}, not {wanted}");
    }

    #[test]
    fn a_record_that_is_off_by_3_ms_shows_3_ms() {
        // Sent at 0, so the server's 10 ms are 11 ms here; each event is seen 2 ms later than that.
        let record = reply(0, 0).tokens_at(&[13, 18, 23]).usage(1, 3).record();
        let errors = compared([&record], truths(1), ZERO);
        assert_eq!((errors.compared, errors.missing, errors.uneven), (1, 0, 0));
        for name in ["mean", "p50", "p99", "each_p50", "each_p99", "each_max"] {
            is(number(&errors.ttft, name), 3.0);
            is(number(&errors.e2el, name), 3.0);
        }
        is(number(&errors.ttft, "server_mean"), 10.0);
        is(number(&errors.e2el, "server_p99"), 20.0);
        for name in ["mean", "each_max"] {
            is(number(&errors.itl, name), 0.0);
            is(number(&errors.tpot, name), 0.0);
        }
        is(number(&errors.tpot, "server_p50"), 5.0);
    }

    #[test]
    fn the_parts_of_an_error_add_up_to_it() {
        let mut record = reply(0, 0).tokens_at(&[13, 18, 23]).usage(1, 3).record();
        record.timeline.written = Some(MS / 4);
        let errors = compared([&record], truths(1), ZERO);
        let parts = errors.parts.means().unwrap();
        parts.into_iter().zip([0.25, 0.75, 2.0]).for_each(|(part, wanted)| is(part, wanted));
        is(parts.iter().sum(), number(&errors.ttft, "mean"));
        // The call that wrote came back only after the bytes had arrived.
        record.timeline.written = Some(4 * MS);
        let parts = compared([&record], truths(1), ZERO).parts.means().unwrap();
        parts.into_iter().zip([1.0, 0.0, 2.0]).for_each(|(part, wanted)| is(part, wanted));
    }

    #[test]
    fn with_two_clocks_there_are_no_parts_and_the_errors_stay() {
        let record = reply(0, 0).tokens_at(&[13, 18, 23]).usage(1, 3).record();
        let errors = compared([&record], truths(1), ZERO + 50 * MS);
        assert_eq!(errors.parts.means(), None);
        is(number(&errors.ttft, "mean"), 3.0);
    }

    #[test]
    fn errors_of_single_values_do_not_cancel_each_other() {
        // The middle token is seen 2 ms late: one gap is too long and the next one too short.
        let record = reply(0, 0).tokens_at(&[11, 18, 21]).usage(1, 3).record();
        let errors = compared([&record], truths(1), ZERO);
        is(number(&errors.itl, "mean"), 0.0);
        is(number(&errors.itl, "each_p50"), 2.0);
        is(number(&errors.itl, "p99"), 1.96);
        assert_eq!(errors.itl.count(), 2);
        is(number(&errors.tpot, "each_max"), 0.0);
    }

    #[test]
    fn a_reply_that_was_seen_too_early_has_a_negative_error() {
        let record = reply(0, 0).tokens_at(&[8, 13, 18]).usage(1, 3).record();
        let errors = compared([&record], truths(1), ZERO);
        is(number(&errors.ttft, "mean"), -2.0);
        is(number(&errors.ttft, "each_p99"), 2.0);
    }

    #[test]
    fn a_request_that_the_server_does_not_know_is_missing() {
        let known = reply(0, 0).tokens_at(&[11, 16, 21]).usage(1, 3).record();
        let unknown = reply(1, 100).tokens_at(&[50, 60, 70]).usage(1, 3).record();
        let errors = compared([&known, &unknown], truths(1), ZERO);
        assert_eq!((errors.compared, errors.missing), (1, 1));
        is(number(&errors.ttft, "each_max"), 1.0);
    }

    #[test]
    fn a_reply_with_another_number_of_events_is_not_laid_beside_the_wrong_ones() {
        let record = reply(0, 0).tokens_at(&[11, 21]).usage(1, 3).record();
        let errors = compared([&record], truths(1), ZERO);
        assert_eq!((errors.compared, errors.uneven, errors.itl.count()), (0, 1, 0));
        assert_eq!(errors.ttft.numbers()[0], ("mean", None));
    }

    #[test]
    fn warm_up_and_failures_are_left_out() {
        let reply = |seq| reply(seq, seq as Nanos * 100).tokens_at(&[11, 16, 21]).usage(1, 3);
        let records = [
            reply(0).warmup().record(),
            reply(1).fails(Outcome::Truncated, "cut off").record(),
            reply(2).record(),
        ];
        let errors = compared(&records, truths(3), ZERO);
        assert_eq!((errors.compared, errors.missing), (1, 0));
    }

    #[test]
    fn the_log_of_the_engine_is_read_and_something_else_is_not() {
        let log = br#"{"a":{"arrival_ns":5,"read_ns":6,"admitted_ns":null,"outcome":"length","emissions_ns":[7,9]}}"#;
        let read = Truth::read(log).unwrap();
        assert_eq!(read["a"], Truth { arrival_ns: 5, read_ns: Some(6), emissions_ns: vec![7, 9] });
        assert!(Truth::read(b"{\"detail\":\"Not Found\"}").unwrap_err().starts_with("this is no log"));
    }

    #[test]
    fn gaps_of_the_exponential_distribution_are_near_it_and_even_ones_are_not() {
        // The middle of each of 1,000 equally likely parts of the distribution.
        let gap = |i: i64| -(1.0 - (i as f64 + 0.5) / 1_000.0).ln() / 50.0;
        let moments = (0..1_000).scan(0, |at, i| {
            *at += (gap(i) * 1e9) as Nanos;
            Some(*at)
        });
        let near = distance_to_poisson(std::iter::once(0).chain(moments), 50.0).unwrap();
        assert!(near < 0.001, "{near}");
        // Every gap is 1 / rate: all of the distribution below 1 - 1/e stands before it.
        let even = distance_to_poisson((0..1_000).map(|i| i * 20 * MS), 50.0).unwrap();
        is((even * 1e6).round() / 1e6, 0.632121);
        assert_eq!(distance_to_poisson([3], 50.0), None);
    }
}
