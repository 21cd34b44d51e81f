//! The simulator against theory, and against the same plan over sockets.

use super::*;
use crate::client::protocol::Api;
use crate::client::target::Exact;
use crate::client::{Client, Http, Target, Transport};
use crate::record::{Events, Outcome, Phase};
use crate::run::tests::{alone, closed, even, ms, plan};
use crate::run::{Control, Message, Progress, Stop};
use crate::tokens::Tokens;
use crate::workload::{Carry, Chat, Length, Prefix, Prompts, Think, Workload};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

fn prompts(input: Length, output: Length) -> Workload {
    Workload::Prompts(Prompts {
        class: "chat".into(),
        input,
        output,
        prefix: None,
        extra: None,
        tokens: Arc::new(Tokens::Words),
    })
}

fn poisson(per_second: f64) -> Shape {
    Shape::Rate { per_second, process: Process::Poisson }
}

/// Records in order of their slots.
fn play(plan: &Plan, engine: &str) -> (Vec<Record>, Simulated) {
    play_on(plan, engine, Way::NONE)
}

fn play_on(plan: &Plan, engine: &str, way: Way) -> (Vec<Record>, Simulated) {
    let mut records = Vec::new();
    let engine = engine::parse(engine).unwrap();
    let ended = simulate(plan, &engine, way, |record| records.push(record)).unwrap();
    records.sort_by_key(|record| record.seq);
    (records, ended)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn one_server_makes_its_queue_wait_as_pollaczek_and_khinchine_say() {
    // A reply of n tokens is served for n - 1 gaps of 1 ms: mean waiting is
    // rate * E[S^2] / (2 (1 - rho)) for Poisson arrivals (M/D/1, then M/G/1).
    let lengths = [(Length::Fixed(11), 10.0, 100.0), (Length::Uniform(1, 21), 10.0, 100.0 + 440.0 / 12.0)];
    for (output, served, square) in lengths {
        for rho in [0.5, 0.8] {
            let rate = rho / served;
            let mut plan = plan(poisson(rate * 1e3));
            plan.workload = prompts(Length::Fixed(4), output.clone());
            plan.requests = Some(60_000);
            plan.warmup = Warmup::Requests(2_000);
            let (records, _) = play(&plan, "ttft=0ms,itl=1ms,slots=1");
            let measured = records.iter().filter(|record| record.phase == Phase::Measured);
            let waited = mean(measured.map(|record| record.ttft_ms().unwrap()));
            let expected = rate * square / (2.0 * (1.0 - rho));
            // Chance moves such a mean by 2 % at 0.8.
            assert!((waited / expected - 1.0).abs() < 0.06, "{output:?} {rho}: {waited} for {expected}");
        }
    }
}

#[test]
fn a_closed_loop_is_as_fast_as_its_replies_and_little_s_law_holds() {
    let mut plan = plan(closed(4));
    plan.workload = prompts(Length::Fixed(4), Length::Fixed(11));
    plan.duration = Some(std::time::Duration::from_secs(60));
    let (records, ended) = play(&plan, "ttft=50ms,itl=5ms");
    // 100 ms each, four at a time.
    assert_eq!((records.len(), ended.in_flight_max), (4 * 600, 4));
    assert!(records.iter().all(|record| record.success() && record.e2el_ms() == Some(100.0)));
    assert_eq!((ended.reason, ended.window, ended.lasted), (Reason::Duration, Some(0), 60_000_000_000));
    // Where slots are fewer than users, they are what limits it.
    let (records, _) = play(&plan, "ttft=50ms,itl=5ms,slots=2");
    let late = &records[100..];
    assert!(late.iter().all(|record| record.e2el_ms() == Some(200.0)), "two wait, two are served");
}

#[test]
fn the_same_plan_gives_the_same_records_and_another_seed_others() {
    let mut plan = plan(poisson(50.0));
    plan.workload = prompts(Length::Uniform(10, 200), Length::Lognormal { median: 10.0, sigma: 0.5 });
    plan.requests = Some(300);
    let engine = "prefill=20000,itl=2ms,itl_per_seq=0.2ms,slots=4";
    let times = |plan: &Plan, way: Way| {
        play_on(plan, engine, way).0.iter().map(|r| (r.timeline.clone(), r.asked_output)).collect::<Vec<_>>()
    };
    let first = times(&plan, Way::NONE);
    assert_eq!(first, times(&plan, Way::NONE));
    let jitter = |seed| Way { fixed_ms: 0.1, jitter_ms: 0.5, seed };
    assert_eq!(times(&plan, jitter(1)), times(&plan, jitter(1)));
    assert_ne!(times(&plan, jitter(1)), times(&plan, jitter(2)));
    plan.seed = 1;
    assert_ne!(first, times(&plan, Way::NONE));
}

/// As a client over sockets does: see the tests of its limits.
#[test]
fn a_reply_whose_times_cannot_be_kept_fails_at_once_and_frees_its_place() {
    let mut plan = plan(closed(1));
    plan.workload = prompts(Length::Fixed(4), Length::Fixed(6));
    plan.requests = Some(2);
    // The last gap that fits ends at 4,000 s; there is room for 4,294.967295 s.
    let (records, ended) = play(&plan, "ttft=0ms,itl=1000s,slots=1");
    assert_eq!(records.len(), 2);
    for (i, record) in records.iter().enumerate() {
        assert_eq!((record.outcome, record.error.as_deref()), (Outcome::Protocol, Some(Events::TOO_LATE)));
        assert_eq!(record.timeline.events.at_us.last(), Some(&4_000_000_000), "{:?}", record.timeline.events);
        assert_eq!(record.timeline.end, (i as i64 + 1) * 5_000_000_000_000);
    }
    assert_eq!(ended.lasted, 10_000_000_000_000);
    plan.workload = prompts(Length::Fixed(4), Length::Fixed(5));
    assert!(play(&plan, "ttft=0ms,itl=1000s,slots=1").0.iter().all(Record::success));
}

#[test]
fn a_cap_holds_requests_back_or_drops_them_and_none_is_forgotten() {
    let mut plan = plan(even(100.0));
    plan.workload = prompts(Length::Fixed(4), Length::Fixed(1));
    plan.duration = Some(ms(1_000));
    plan.cap = Some(2);
    let engine = "ttft=40ms";
    let (records, ended) = play(&plan, engine);
    assert_eq!((records.len(), ended.in_flight_max), (100, 2));
    let sent: Vec<&Record> = records.iter().filter(|record| record.timeline.sent.is_some()).collect();
    assert_eq!(sent.len(), 50, "two at a time, 40 ms each");
    assert!(records.iter().all(|r| r.success() || r.outcome == Outcome::Cancelled));
    assert_eq!(sent[10].queue_delay_ms(), Some(100.0), "due at 100 ms, its place is free at 200");
    plan.over_cap = OverCap::Drop;
    let (records, _) = play(&plan, engine);
    let dropped = records.iter().filter(|record| record.outcome == Outcome::Dropped).count();
    assert_eq!((records.len(), dropped), (100, 50));
}

#[test]
fn warm_up_comes_on_top_and_opens_the_window_later() {
    let mut plan = plan(even(10.0));
    plan.requests = Some(20);
    for (warmup, warm) in [(Warmup::Requests(5), 5), (Warmup::Time(ms(1_000)), 10)] {
        plan.warmup = warmup;
        let (records, ended) = play(&plan, "ttft=10ms");
        let count = |phase| records.iter().filter(|record| record.phase == phase).count();
        assert_eq!((count(Phase::Warmup), count(Phase::Measured)), (warm, 20));
        assert_eq!(ended.window, Some(warm as i64 * 100_000_000));
    }
}

#[test]
fn faults_stalls_and_the_drain_end_a_run_as_they_do_on_sockets() {
    let mut plan = plan(even(10.0));
    plan.workload = prompts(Length::Fixed(4), Length::Fixed(4));
    plan.requests = Some(10);
    let count = |plan: &Plan, engine: &str, outcome| {
        play(plan, engine).0.iter().filter(|record| record.outcome == outcome).count()
    };
    assert_eq!(count(&plan, "fail=status:503:0.5", Outcome::Status), 5);
    assert_eq!(count(&plan, "fail=error_event:0.5", Outcome::ServerError), 5);
    assert_eq!(count(&plan, "fail=cut:0.5", Outcome::Truncated), 5);
    assert_eq!(count(&plan, "fail=no_finish:0.5", Outcome::Unfinished), 5);
    let silent = Outcome::TimedOut(crate::record::Timeout::Idle);
    assert_eq!(count(&plan, "fail=stall:0.5", silent), 5);
    plan.drain = Some(ms(100));
    assert_eq!(count(&plan, "fail=stall:0.5", Outcome::Cancelled), 5);
    plan.max_errors = Some(MaxErrors::Count(2));
    let (records, ended) = play(&plan, "fail=status:503:1");
    assert_eq!((records.len(), ended.reason), (3, Reason::Early("3 failed requests, more than 2".into())));
}

#[test]
fn what_the_engine_does_not_speak_is_told() {
    let mut plan = plan(even(10.0));
    plan.requests = Some(1);
    plan.target = Arc::new(Target::new(plan.target.base.clone(), Api::Tgi));
    let config = engine::Config::default();
    let error = simulate(&plan, &config, Way::NONE, |_| {}).unwrap_err();
    assert_eq!(error.message, "only completions and chats can be simulated");
}

/// The same plan over sockets, records in order of their slots.
fn over_sockets(plan: &Plan) -> Vec<Record> {
    crate::run::runtime().unwrap().block_on(async {
        let (out, mut inbox) = mpsc::channel(1024);
        let transport = Transport::start().unwrap();
        let http = Http::new(plan.target.clone(), transport).await.unwrap();
        let client = Arc::new(Client::Http(Box::new(http)));
        let gather = tokio::spawn(async move {
            let mut records = Vec::new();
            while let Some(message) = inbox.recv().await {
                if let Message::Record(parcel) = message {
                    records.push(*parcel.open());
                }
            }
            records
        });
        let control = Control::watching(|| Stop::No);
        alone(plan, client, &control, Arc::new(Progress::default()), out).await;
        let mut records = gather.await.unwrap();
        records.sort_by_key(|record| record.seq);
        records
    })
}

#[test]
fn a_run_over_sockets_and_a_simulated_one_say_the_same() {
    let engine = "prefill=4000,itl=20ms,itl_per_seq=2ms,slots=3,eos=0.05";
    for (api, exact, shape) in
        [(Api::Completions, Exact::No, poisson(8.0)), (Api::Chat, Exact::IgnoreEos, closed(4))]
    {
        let (port, _running) = engine::start_in_thread(engine::parse(engine).unwrap());
        let base = Target::base_url(&format!("http://127.0.0.1:{port}")).unwrap();
        let mut plan = plan(shape);
        plan.target = Arc::new(Target { exact, ..Target::new(base, api) });
        plan.workload = prompts(Length::Uniform(20, 200), Length::Uniform(4, 12));
        plan.requests = Some(24);
        plan.warmup = Warmup::Requests(2);
        let (real, simulated) = (over_sockets(&plan), play(&plan, engine).0);
        assert_eq!((real.len(), simulated.len()), (26, 26));
        for (real, simulated) in real.iter().zip(&simulated) {
            let told = |r: &Record| {
                let lengths = (r.asked_input, r.asked_output, r.forced_length, r.synthetic_text);
                let place = (r.seq, r.phase, r.class.clone(), r.session, r.turn);
                (place, lengths, r.usage, r.outcome, r.finish.clone(), r.status, r.streamed)
            };
            assert_eq!(told(real), told(simulated));
            let events = |r: &Record| (r.timeline.events.kind.clone(), r.timeline.events.tokens.clone());
            assert_eq!(events(real), events(simulated), "request {}", real.seq);
        }
        // In an open loop each request has a time of its own; in a closed one who comes next depends on
        // a hair, and only means are alike.
        let ttft = |records: &[Record]| mean(records.iter().filter_map(Record::ttft_ms));
        let itl = |records: &[Record]| mean(records.iter().filter_map(Record::itl_request_ms));
        let tokens_per_s = |records: &[Record]| {
            let end = records.iter().map(|record| record.timeline.end).max().unwrap();
            records.iter().map(|r| f64::from(r.usage.output.unwrap())).sum::<f64>() / (end as f64 / 1e9)
        };
        let alike = |of: &dyn Fn(&[Record]) -> f64| of(&real) / of(&simulated);
        let ratios = [alike(&ttft), alike(&itl), alike(&tokens_per_s)];
        // A few percent on an idle machine.
        assert!(ratios.iter().all(|ratio| (0.8..1.25).contains(ratio)), "{api:?}: {ratios:?}");
        #[allow(clippy::print_stderr, reason = "how alike they are")]
        {
            eprintln!("{api:?}: real over simulated: TTFT, ITL, tokens per second {ratios:.4?}");
        }
    }
}

#[test]
fn conversations_over_sockets_and_simulated_ask_the_same_turn_by_turn() {
    let engine = "prefill=4000,itl=2ms,slots=8";
    for (carry, shape) in [
        (Carry::Synthetic, closed(3)),
        (Carry::Reply, closed(3)),
        (Carry::Reply, Shape::InFlight { places: 2 }),
        (Carry::Synthetic, poisson(40.0)),
    ] {
        let (port, _running) = engine::start_in_thread(engine::parse(engine).unwrap());
        let base = Target::base_url(&format!("http://127.0.0.1:{port}")).unwrap();
        let mut plan = plan(shape);
        plan.target = Arc::new(Target { exact: Exact::IgnoreEos, ..Target::new(base, Api::Chat) });
        plan.workload = Workload::Chat(Arc::new(Chat {
            class: "chat".into(),
            turns: Length::Uniform(1, 4),
            think: Think::For(Duration::from_millis(20)),
            system: Some(Prefix { tokens: 30, groups: 2 }),
            user: Length::Uniform(5, 20),
            reply: Length::Uniform(2, 6),
            carry,
            next_turn: None,
            extra: None,
            tokens: Arc::new(Tokens::Words),
        }));
        plan.sessions = Some(8);
        let told = |mut records: Vec<Record>| {
            records.sort_by_key(|record| (record.seq, record.turn));
            let told = |r: &Record| ((r.seq, r.turn), r.asked_input, r.asked_output, r.usage, r.outcome);
            records.iter().map(told).collect::<Vec<_>>()
        };
        let (real, simulated) = (told(over_sockets(&plan)), told(play(&plan, engine).0));
        assert!(real.len() > 10, "{}", real.len());
        assert_eq!(real, simulated, "{carry:?} {:?}", plan.arrivals);
    }
}

/// Conversations against an engine that keeps what it has read, in blocks of 4 tokens.
fn remembered(carry: Carry, port: u16) -> Plan {
    let base = Target::base_url(&format!("http://127.0.0.1:{port}")).unwrap();
    let mut plan = plan(closed(3));
    plan.target = Arc::new(Target { exact: Exact::IgnoreEos, ..Target::new(base, Api::Chat) });
    plan.workload = Workload::Chat(Arc::new(Chat {
        next_turn: None,
        class: "chat".into(),
        turns: Length::Uniform(2, 5),
        think: Think::For(Duration::from_millis(5)),
        system: Some(Prefix { tokens: 30, groups: 2 }),
        user: Length::Uniform(5, 20),
        reply: Length::Uniform(2, 9),
        carry,
        extra: None,
        tokens: Arc::new(Tokens::Words),
    }));
    plan.sessions = Some(10);
    plan
}

#[test]
fn what_a_turn_repeats_of_its_conversation_is_in_the_cache_in_whole_blocks() {
    let engine = "prefill=20000,itl=1ms,cache=10000,block=4";
    for carry in [Carry::Reply, Carry::Synthetic] {
        let (port, _running) = engine::start_in_thread(engine::parse(engine).unwrap());
        let plan = remembered(carry, port);
        let mut all = Vec::new();
        for mut records in [over_sockets(&plan), play(&plan, engine).0] {
            records.sort_by_key(|record| (record.seq, record.turn));
            let mut told = Vec::new();
            for pair in records.windows(2).filter(|pair| pair[1].turn > 0) {
                let (input, before) = (pair[1].usage.input.unwrap(), pair[0].usage.input.unwrap());
                let cached = pair[1].usage.cached.unwrap();
                let history = before + pair[0].usage.output.unwrap();
                assert!(history < input);
                match carry {
                    Carry::Reply => assert_eq!(cached, history / 4 * 4, "turn {}", pair[1].turn),
                    // Other words than the server's own: what was asked before is all that it knows.
                    Carry::Synthetic => {
                        assert!((before / 4 * 4..history).contains(&cached), "{cached} {before}")
                    }
                }
                told.push((pair[1].seq, pair[1].turn, cached));
            }
            assert!(told.len() > 10);
            // Of the conversations of a group, all but the first find its system prompt.
            let first = records.iter().filter(|record| record.turn == 0);
            assert!(first.filter(|record| record.usage.cached == Some(28)).count() >= 4);
            all.push(told);
        }
        assert_eq!(all[0], all[1], "the same over sockets and simulated");
    }
}

#[test]
fn only_what_is_not_in_the_cache_is_read() {
    let mut plan = remembered(Carry::Reply, 9);
    (plan.arrivals, plan.sessions) = (closed(1), Some(6));
    let ttft = |engine: &str| {
        let records = play(&plan, engine).0;
        let told = |r: &Record| (r.usage.input.unwrap(), r.usage.cached, r.ttft_ms().unwrap());
        records.iter().map(told).collect::<Vec<_>>()
    };
    for (input, cached, ms) in ttft("prefill=1000,itl=1ms,cache=10000,block=4") {
        assert_eq!(ms, f64::from(input - cached.unwrap()), "{input} {cached:?}");
    }
    assert!(
        ttft("prefill=1000,itl=1ms")
            .iter()
            .all(|(input, cached, ms)| { cached.is_none() && *ms == f64::from(*input) })
    );
    // Fixed times are as they are; the tokens are counted all the same.
    let fixed = ttft("ttft=7ms,itl=1ms,cache=10000,block=4");
    assert!(
        fixed.iter().all(|(_, _, ms)| *ms == 7.0) && fixed.iter().any(|(_, cached, _)| *cached > Some(28))
    );
    // A cache that is too small for a conversation keeps its beginning.
    let small = ttft("prefill=1000,itl=1ms,cache=9,block=4");
    assert!(
        small.iter().all(|(_, cached, _)| *cached <= Some(36)) && small.iter().any(|told| told.1 == Some(36))
    );
}
