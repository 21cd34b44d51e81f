//! `Verdict`: whether a run may be believed, and if not, why not.
//!
//! [`judge`] compares what a run has measured of itself with the limits below. Each limit says
//! why it lies where it lies; `docs/verdicts.md` says the same to users.

use super::trend::Trend;
use crate::record::Told;

/// What a run is worth as a measurement. Worst first: what comes earlier usually explains what
/// comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The load generator, not the server, set some of the numbers.
    ClientBound,
    /// The load that was asked for was not sent.
    ScheduleMissed,
    /// The network lost, reordered or refused.
    NetworkSuspect,
    /// A level was asked for, and there was none.
    NotSteady,
    /// The server answered from its prefix cache what it should have computed.
    CacheContaminated,
    /// Drafts of speculative decoding were made for words that nobody writes.
    UnrealisticText,
    /// Too little was measured to say anything.
    TooFewSamples,
    Valid,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::ClientBound => "client_bound",
            Verdict::ScheduleMissed => "schedule_missed",
            Verdict::NetworkSuspect => "network_suspect",
            Verdict::NotSteady => "not_steady",
            Verdict::CacheContaminated => "cache_contaminated",
            Verdict::UnrealisticText => "unrealistic_text",
            Verdict::TooFewSamples => "too_few_samples",
            Verdict::Valid => "valid",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Verdict> {
        let all = [
            Verdict::ClientBound,
            Verdict::ScheduleMissed,
            Verdict::NetworkSuspect,
            Verdict::NotSteady,
            Verdict::CacheContaminated,
            Verdict::UnrealisticText,
            Verdict::TooFewSamples,
            Verdict::Valid,
        ];
        all.into_iter().find(|verdict| verdict.name() == name)
    }
}

/// What a run has measured of itself. Times are milliseconds, shares from 0 to 1, `None`: not
/// observed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    pub requests: u64,
    pub succeeded: u64,
    /// The shorter of the medians of `ttft` and `itl`, else that of `e2el`: what a delay of
    /// ours is measured against.
    pub scale_ms: Option<f64>,
    /// Longest delay of a read in each request: median, and the highest percentile up to 99
    /// that the sample supports.
    pub lag_ms: Option<(f64, f64)>,
    /// How late requests were sent: median, highest supported percentile up to 99, maximum.
    pub lateness_ms: Option<(f64, f64, f64)>,
    /// Open loop of one level: requests per second that were asked for. What a schedule draws at
    /// random has another rate, which comes near to it in a long run only.
    pub asked_rate: Option<f64>,
    /// Open loop: requests per second that the schedule had, and that were sent.
    pub rates: Option<(f64, f64)>,
    /// The waiting at the cap is longer than what we were late by.
    pub capped: bool,
    /// Closed loop: places, and the mean number of requests in flight while there were more to
    /// send.
    pub places: Option<(usize, f64)>,
    pub shared_events: Option<f64>,
    pub reconnects: u64,
    /// Requests that waited for a server that refused connections, and replies whose bodies stayed
    /// open.
    pub outlasted: u64,
    pub unclosed: u64,
    pub connect_failures: u64,
    pub retransmits: Option<f64>,
    pub out_of_order: Option<f64>,
    /// Shortest round trips of the connections, microseconds: p10, p90.
    pub rtt_us: Option<(f64, f64)>,
    pub cores: usize,
    pub cpu: Option<f64>,
    /// Share of the time of its cores in which anybody used them.
    pub busy: Option<f64>,
    /// The part of it that went to programs other than this one and the server.
    pub taken: Option<f64>,
    pub waited: Option<f64>,
    pub stolen: Option<f64>,
    pub throttled: Option<f64>,
    pub throttled_periods: Option<u64>,
    pub paused: Option<f64>,
    pub longest_pause_ms: f64,
    pub handing_over_ms: f64,
    pub handing_over: Option<f64>,
    pub writer_blocked_ms: f64,
    pub clock_steps: u32,
    pub largest_step_ms: f64,
    /// The input tokens that came from a prefix cache.
    pub cached: Option<CacheHits>,
    /// With speculative decoding: share of the requests whose prompts are random words, and share
    /// of the drafts that were accepted.
    pub speculation: Option<(f64, Option<f64>)>,
    /// What the server's own counters say; it is shown and not judged.
    pub told: Told,
    /// Trends of the latency, of the gaps between events, of the requests in flight.
    pub trends: [Option<Trend>; 3],
    /// Successful requests that the load calls for.
    pub needed: u64,
    /// The first condition on a percentile that the sample does not support.
    pub unsupported: Option<String>,
}

/// What of the input came from a prefix cache.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CacheHits {
    /// Of the input tokens.
    pub share: f64,
    /// What the workload wanted at most. `None`: unknown.
    pub wanted: Option<f64>,
    /// By the server's own counters, not by the usage of the replies.
    pub counters: bool,
}

impl CacheHits {
    /// Who told, as in `runs.parquet`.
    pub fn source(self) -> &'static str {
        if self.counters { "server" } else { "usage" }
    }
}

/// Above this the cores are full: whoever wakes has to wait for somebody.
const CROWDED_FROM: f64 = 0.9;

/// Full cores, and more than half of them with programs that are neither client nor server: each
/// wake is a wait for somebody, and how long is up to the scheduler.
const TAKEN_SHARE: f64 = 0.5;

/// Half of the requests had a read that came this much after the bytes had, and the cores were
/// full. On cores of its own the client reads within 0.1 to 0.2 ms.
const LAG_CROWDED_MS: f64 = 0.25;
const LAG_CROWDED_SHARE: f64 = 0.03;

/// The same on cores that were not full. A server beside the client that wakes hundreds of
/// streams at once makes them wait for each other some milliseconds, which spoils nothing: event
/// times are the kernel's, and what is sent late is judged as such.
const LAG_TYPICAL_MS: f64 = 5.0;
const LAG_TYPICAL_SHARE: f64 = 0.25;

/// One request in a hundred: a scheduler gives a busy core away after some milliseconds, so
/// single delays below 10 ms belong to every machine; half of a gap mixes events up.
const LAG_RARE_MS: f64 = 10.0;
const LAG_RARE_SHARE: f64 = 0.5;

/// The cores were full, and a sending thread was ready and had none for this share of the run,
/// and for longer than the whole client ran. It counts where reads were late enough to be felt.
const WAITED_SHARE: f64 = 0.01;
const FELT_MS: f64 = 2.0;
const FELT_SHARE: f64 = 0.25;

/// Above this, queues form inside any program, whatever its scheduler does.
const CPU_SHARE: f64 = 0.8;

/// Stopped by a CPU limit, or standing still altogether: a percentile of 99 is made of this.
const STOPPED_SHARE: f64 = 0.01;

/// Time that a hypervisor gave away is missing on both sides; at this share throughputs are off
/// by as much.
const STOLEN_SHARE: f64 = 0.05;

/// Time that finished requests waited for the collector, of the run.
const HANDING_OVER_SHARE: f64 = 0.01;

/// The rate that was asked for, to within what two runs differ by anyway.
const RATE_SHARE: f64 = 0.01;

/// Lateness against the mean gap of the schedule: from a tenth on, bursts are no longer those
/// of the schedule. Below 2 ms no server notices.
const LATE_MS: f64 = 2.0;
const LATE_SHARE: f64 = 0.1;

/// A place is empty from a reply to the next request; when that is longer than 5 % of a
/// request, throughput is that of fewer places.
const PLACES_SHARE: f64 = 0.95;

/// Requests that a network may lose or resend before it shapes a percentile of 99.
const LOST_SHARE: f64 = 0.01;

/// Spread of the shortest round trips (p10 to p90): connections that take different ways.
const JITTER_MS: f64 = 1.0;
const JITTER_SHARE: f64 = 0.1;

/// Share of input tokens beyond what the workload wanted.
const CACHED_SHARE: f64 = 0.01;

/// Share of requests with random words that does not move a mean.
const RANDOM_SHARE: f64 = 0.01;

/// One reason not to believe a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Doubt {
    ReadLate {
        typical: bool,
        ms: f64,
    },
    WaitedForCore {
        share: f64,
    },
    CpuFull {
        share: f64,
        cores: usize,
    },
    CoresTaken {
        share: f64,
    },
    Throttled {
        share: f64,
    },
    Stolen {
        share: f64,
    },
    Paused {
        longest_ms: f64,
        share: f64,
    },
    HandedOverLate {
        share: f64,
    },
    Rate {
        scheduled: f64,
        sent: f64,
        capped: bool,
    },
    SentLate {
        ms: f64,
        gap_ms: f64,
    },
    /// `failed`: requests that did, after which places may have rested.
    Places {
        asked: usize,
        mean: f64,
        failed: u64,
    },
    Unreached {
        share: f64,
    },
    Retransmits {
        share: f64,
    },
    OutOfOrder {
        share: f64,
    },
    Jitter {
        ms: f64,
    },
    Latency(Trend),
    Gaps(Trend),
    InFlight(Trend),
    Cached {
        share: f64,
        wanted: f64,
        counters: bool,
    },
    RandomWords {
        accepted: Option<f64>,
    },
    Few {
        succeeded: u64,
        needed: u64,
    },
    Unsupported {
        condition: String,
        succeeded: u64,
    },
    /// What the process that measured the run found, in its words.
    Kept {
        verdict: Verdict,
        reason: String,
    },
}

impl Doubt {
    pub fn verdict(&self) -> Verdict {
        match self {
            Doubt::ReadLate { .. }
            | Doubt::WaitedForCore { .. }
            | Doubt::CpuFull { .. }
            | Doubt::CoresTaken { .. }
            | Doubt::Throttled { .. }
            | Doubt::Stolen { .. }
            | Doubt::Paused { .. }
            | Doubt::HandedOverLate { .. } => Verdict::ClientBound,
            Doubt::Rate { .. } | Doubt::SentLate { .. } | Doubt::Places { .. } => Verdict::ScheduleMissed,
            Doubt::Unreached { .. }
            | Doubt::Retransmits { .. }
            | Doubt::OutOfOrder { .. }
            | Doubt::Jitter { .. } => Verdict::NetworkSuspect,
            Doubt::Latency(_) | Doubt::Gaps(_) | Doubt::InFlight(_) => Verdict::NotSteady,
            Doubt::Cached { .. } => Verdict::CacheContaminated,
            Doubt::RandomWords { .. } => Verdict::UnrealisticText,
            Doubt::Few { .. } | Doubt::Unsupported { .. } => Verdict::TooFewSamples,
            Doubt::Kept { verdict, .. } => *verdict,
        }
    }
}

/// Every reason not to believe the run, the worst first; none: it is valid.
pub fn judge(evidence: &Evidence) -> Vec<Doubt> {
    let mut doubts = client(evidence);
    doubts.extend(schedule(evidence));
    doubts.extend(network(evidence));
    doubts.extend(steadiness(evidence));
    doubts.extend(cache(evidence));
    doubts.extend(words(evidence));
    doubts.extend(samples(evidence));
    doubts
}

/// Causes stand before the delay of reads, which they bring about.
fn client(evidence: &Evidence) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let limit = |least: f64, share: f64| evidence.scale_ms.map_or(least, |scale| least.max(share * scale));
    let over = |share: Option<f64>, limit: f64| share.filter(|share| *share > limit);
    let longest_ms = evidence.longest_pause_ms;
    doubts.extend(over(evidence.paused, STOPPED_SHARE).map(|share| Doubt::Paused { longest_ms, share }));
    doubts.extend(over(evidence.throttled, STOPPED_SHARE).map(|share| Doubt::Throttled { share }));
    doubts.extend(over(evidence.stolen, STOLEN_SHARE).map(|share| Doubt::Stolen { share }));
    let cores = evidence.cores;
    doubts.extend(over(evidence.cpu, CPU_SHARE).map(|share| Doubt::CpuFull { share, cores }));
    if let Some(share) = over(evidence.taken, TAKEN_SHARE)
        && evidence.busy.is_some_and(|busy| busy > CROWDED_FROM)
    {
        doubts.push(Doubt::CoresTaken { share });
    }
    let ran = evidence.cpu.unwrap_or(0.0) * cores as f64;
    // Where nobody tells, the cores may have been full.
    let crowded = evidence.busy.is_none_or(|busy| busy > CROWDED_FROM);
    let felt = evidence.lag_ms.is_none_or(|(_, rare)| rare > limit(FELT_MS, FELT_SHARE));
    let waited = evidence.waited.filter(|_| felt && crowded);
    doubts.extend(over(waited, WAITED_SHARE.max(ran)).map(|share| Doubt::WaitedForCore { share }));
    if let Some((typical, rare)) = evidence.lag_ms {
        let late = match crowded {
            true => limit(LAG_CROWDED_MS, LAG_CROWDED_SHARE),
            false => limit(LAG_TYPICAL_MS, LAG_TYPICAL_SHARE),
        };
        if typical > late {
            doubts.push(Doubt::ReadLate { typical: true, ms: typical });
        } else if rare > limit(LAG_RARE_MS, LAG_RARE_SHARE) {
            doubts.push(Doubt::ReadLate { typical: false, ms: rare });
        }
    }
    doubts
        .extend(over(evidence.handing_over, HANDING_OVER_SHARE).map(|share| Doubt::HandedOverLate { share }));
    doubts
}

fn schedule(evidence: &Evidence) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if let Some((scheduled, sent)) = evidence.rates {
        if (sent - scheduled).abs() > RATE_SHARE * scheduled {
            doubts.push(Doubt::Rate { scheduled, sent, capped: evidence.capped });
        }
        let gap_ms = 1e3 / scheduled;
        if let Some((_, ms, _)) =
            evidence.lateness_ms.filter(|(_, ms, _)| *ms > LATE_MS.max(LATE_SHARE * gap_ms))
        {
            doubts.push(Doubt::SentLate { ms, gap_ms });
        }
    }
    if let Some((asked, mean)) = evidence.places
        && mean < PLACES_SHARE * asked as f64
    {
        let failed = evidence.requests.saturating_sub(evidence.succeeded);
        doubts.push(Doubt::Places { asked, mean, failed });
    }
    doubts
}

fn network(evidence: &Evidence) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let unreached = evidence.connect_failures as f64 / evidence.requests.max(1) as f64;
    if unreached > LOST_SHARE {
        doubts.push(Doubt::Unreached { share: unreached });
    }
    let over = |share: Option<f64>| share.filter(|share| *share > LOST_SHARE);
    doubts.extend(over(evidence.retransmits).map(|share| Doubt::Retransmits { share }));
    doubts.extend(over(evidence.out_of_order).map(|share| Doubt::OutOfOrder { share }));
    if let Some((low, high)) = evidence.rtt_us {
        let ms = (high - low) / 1e3;
        if ms > JITTER_MS.max(JITTER_SHARE * evidence.scale_ms.unwrap_or(0.0)) {
            doubts.push(Doubt::Jitter { ms });
        }
    }
    doubts
}

fn steadiness(evidence: &Evidence) -> Vec<Doubt> {
    let kinds: [fn(Trend) -> Doubt; 3] = [Doubt::Latency, Doubt::Gaps, Doubt::InFlight];
    let moved = kinds.into_iter().zip(evidence.trends);
    moved.filter_map(|(kind, trend)| trend.filter(|trend| trend.unsteady).map(kind)).collect()
}

/// Only too much is contamination: a server whose cache is off, or works in blocks, answers
/// less from it than the workload would allow.
fn cache(evidence: &Evidence) -> Option<Doubt> {
    let CacheHits { share, wanted, counters } = evidence.cached?;
    let wanted = wanted?;
    (share > wanted + CACHED_SHARE).then_some(Doubt::Cached { share, wanted, counters })
}

/// A draft model guesses words that people write, and fails on random ones.
fn words(evidence: &Evidence) -> Option<Doubt> {
    let (random, accepted) = evidence.speculation?;
    (random > RANDOM_SHARE).then_some(Doubt::RandomWords { accepted })
}

fn samples(evidence: &Evidence) -> Vec<Doubt> {
    let (succeeded, needed) = (evidence.succeeded, evidence.needed);
    let few = (succeeded < needed).then_some(Doubt::Few { succeeded, needed });
    let unsupported = evidence.unsupported.clone();
    let unsupported = unsupported.map(|condition| Doubt::Unsupported { condition, succeeded });
    few.into_iter().chain(unsupported).collect()
}

#[cfg(test)]
mod tests;
