//! `Number`: one row of a comparison: a statistic of both sides, and by how much it differs.

use super::loaded::{Loaded, RATES};
use crate::lang::Lang;
use crate::stats::blocks::{Joins, TimeBlocks};
use crate::stats::metric::{Better, Metric, MetricReader};
use crate::stats::names::{Name, Statistic};
use crate::stats::versus::change::{Change, Missing};
use crate::stats::versus::pairs::{self, Pairing, UNMATCHED_MAX};
use crate::stats::versus::rounds::{self, Design};
use crate::stats::versus::rows::{Ended, Habits, STEPS};
use crate::stats::versus::series::{Piece, Series};

/// What a row is of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum What {
    Named(Name),
    /// From the send to so many output tokens, mean; where events cannot be compared.
    TimeTo(usize),
    /// A conversation, thinking apart: mean.
    Session,
}

impl What {
    pub fn label(self) -> String {
        match self {
            What::Named(name) => name.to_string(),
            What::TimeTo(step) => format!("time to {} tokens", STEPS[step]),
            What::Session => "session".into(),
        }
    }

    pub fn head(self, lang: Lang) -> String {
        match self {
            What::TimeTo(step) if lang == Lang::Chinese => format!("前 {} 令牌用时", STEPS[step]),
            What::Session if lang == Lang::Chinese => "会话用时".into(),
            what => what.label(),
        }
    }

    pub fn better(self) -> Better {
        match self {
            What::Named(name) => name.metric.about().better,
            What::TimeTo(_) | What::Session => Better::Lower,
        }
    }

    pub fn statistic(self) -> Statistic {
        match self {
            What::Named(name) => name.statistic,
            What::TimeTo(_) | What::Session => Statistic::Mean,
        }
    }

    pub fn is_share(self) -> bool {
        self.statistic() == Statistic::Share
    }
}

/// A row.
#[derive(Debug, Clone)]
pub struct Number {
    pub what: What,
    pub values: [Option<f64>; 2],
    /// By chance within the runs, or from run to run where there are rounds of them.
    pub change: Result<Change, Missing>,
    /// By chance within the runs, beside that from run to run.
    pub within: Option<Change>,
    /// Computed request by request.
    pub joint: bool,
    pub counts: [u64; 2],
    /// The share of pairs whose replies are not equally long, where so many are not that this row has no
    /// pairs.
    pub unequal_replies: Option<f64>,
    /// An open loop: as many are sent as were planned, however good the server.
    pub fixed_by_arrivals: bool,
}

/// What is not compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Refused {
    /// Gaps between events, since an event holds other numbers of tokens.
    Events(f64, f64),
    /// All that grows with a reply, since only one side kept the lengths that it was forced to; the first?
    Lengths(bool),
}

/// Tokens in an event may differ by this much.
const SAME_EVENTS: f64 = 0.01;

impl Refused {
    pub fn of([a, b]: &[Habits; 2]) -> Option<Refused> {
        let (kept_a, kept_b) = (a.keeps_forced_lengths(), b.keeps_forced_lengths());
        if kept_a != kept_b && a.forced + b.forced > 0 {
            return Some(Refused::Lengths(kept_a));
        }
        let (one, two) = (a.tokens_an_event()?, b.tokens_an_event()?);
        ((two / one - 1.0).abs() > SAME_EVENTS).then_some(Refused::Events(one, two))
    }

    fn has(self, metric: Metric) -> bool {
        let gaps = matches!(metric, Metric::Itl | Metric::ItlRequest | Metric::Stall);
        match self {
            Refused::Events(..) => gaps,
            Refused::Lengths(_) => {
                gaps || matches!(
                    metric,
                    Metric::ItlToken
                        | Metric::Tpot
                        | Metric::Ntpot
                        | Metric::E2el
                        | Metric::ResponseE2el
                        | Metric::OutputTpsPerUser
                        | Metric::OutputTokens
                        | Metric::TotalTokens
                )
            }
        }
    }
}

const fn number(metric: Metric, statistic: Statistic) -> Name {
    Name::new(metric, statistic)
}

/// What is compared where nobody says.
const DEFAULT: [Name; 12] = [
    number(Metric::Ttft, Statistic::Mean),
    number(Metric::Ttft, Statistic::Percentile(50.0)),
    number(Metric::Ttft, Statistic::Percentile(99.0)),
    number(Metric::Tpot, Statistic::Mean),
    number(Metric::Tpot, Statistic::Percentile(99.0)),
    number(Metric::Itl, Statistic::Mean),
    number(Metric::Itl, Statistic::Percentile(99.0)),
    number(Metric::E2el, Statistic::Mean),
    number(Metric::E2el, Statistic::Percentile(99.0)),
    number(Metric::Requests, Statistic::Rate),
    number(Metric::OutputTokens, Statistic::Rate),
    number(Metric::Errors, Statistic::Share),
];

pub fn names(wanted: &[Name]) -> Vec<Name> {
    if wanted.is_empty() { DEFAULT.to_vec() } else { wanted.to_vec() }
}

/// Reads the name of a number that can be compared; the error is a sentence.
pub fn parse(text: &str) -> Result<Name, String> {
    let name = Name::parse(text)?;
    let about = name.metric.about();
    let of_values = matches!(name.statistic, Statistic::Mean | Statistic::Median | Statistic::Percentile(_))
        && (matches!(about.reader, MetricReader::Each(_)) || name.metric == Metric::Itl);
    let rate = name.statistic == Statistic::Rate && RATES.contains(&name.metric);
    let share = name == number(Metric::Errors, Statistic::Share);
    if about.better == Better::Neither {
        return Err(format!("{text} says what the load was: none of two values is better"));
    }
    match of_values || rate || share {
        true => Ok(name),
        false => Err(format!(
            "{text} cannot be compared: means and percentiles of requests can, requests.rate, \
             output_tokens.rate, total_tokens.rate and errors.share"
        )),
    }
}

/// What is asked of a cell.
pub struct Asked {
    pub names: Vec<Name>,
    /// Nobody said which.
    pub default: bool,
    pub refused: Option<Refused>,
    pub steady: bool,
    pub open: bool,
    pub design: Option<(Design, (usize, usize))>,
}

type Sides<'a> = (&'a [Loaded], &'a [Loaded]);

pub fn compare(asked: &Asked, sides: Sides, pairings: Option<&[Pairing]>) -> Vec<Number> {
    let mut numbers = Vec::new();
    for name in &asked.names {
        let rate = name.statistic == Statistic::Rate;
        let left_out = asked.refused.is_some_and(|refused| refused.has(name.metric));
        if left_out || asked.default && rate && asked.open {
            continue;
        }
        let mut number = of(asked, What::Named(*name), sides, pairings);
        number.fixed_by_arrivals = rate && asked.open;
        numbers.push(number);
    }
    if matches!(asked.refused, Some(Refused::Events(..))) {
        let reached = |step: &usize| {
            let reached = |side: &[Loaded]| {
                side.iter().all(|run| {
                    let there = run.rows.times_to(*step).iter().filter(|time| !time.is_nan()).count();
                    there as f64 >= 0.99 * run.rows.habits.successes as f64 && there > 0
                })
            };
            reached(sides.0) && reached(sides.1)
        };
        let step = (0..STEPS.len()).rev().find(reached);
        numbers.extend(step.map(|step| of(asked, What::TimeTo(step), sides, pairings)));
    }
    if pairings.is_some_and(|all| all.iter().any(|pairing| pairing.later_turns > 0)) && asked.default {
        numbers.push(of(asked, What::Session, sides, pairings));
    }
    let none = |number: &Number| number.what.is_share() && number.values == [Some(0.0), Some(0.0)];
    numbers.retain(|number| !asked.default || !none(number));
    // What was never observed on either side, such as the gaps of replies that came whole, is no row.
    numbers.retain(|number| !asked.default || number.values != [None, None]);
    numbers
}

fn of(asked: &Asked, what: What, sides: Sides, pairings: Option<&[Pairing]>) -> Number {
    let Found { a, b, joint, unequal_replies } = found(what, sides, pairings);
    let all = |series: &Series| vec![true; series.pieces.len()];
    let values = [a.value(&all(&a)), b.value(&all(&b))];
    let within = match (asked.steady, values) {
        (false, _) => Err(Missing::NotSteady),
        (true, [None, _] | [_, None]) => Err(Missing::NotObserved),
        (true, _) => a.change_to(&b, joint),
    };
    let between = asked.design.filter(|_| asked.steady).and_then(|(design, runs)| {
        rounds::change(design, runs, |in_a, in_b| a.value(in_a).zip(b.value(in_b)))
    });
    Number {
        what,
        values,
        within: between.and(within.ok()),
        change: between.map_or(within, Ok),
        joint,
        counts: [a.count(), b.count()],
        unequal_replies,
        fixed_by_arrivals: false,
    }
}

struct Found {
    a: Series,
    b: Series,
    joint: bool,
    unequal_replies: Option<f64>,
}

fn found(what: What, (a, b): Sides, pairings: Option<&[Pairing]>) -> Found {
    let statistic = what.statistic();
    let series = |pieces: Vec<Piece>| Series { pieces, statistic };
    let alone = |side: &[Loaded]| series(side.iter().map(|run| piece(what, run)).collect());
    let apart = |unequal_replies| Found { a: alone(a), b: alone(b), joint: false, unequal_replies };
    let Some(pairings) = pairings else { return apart(None) };
    let runs = || a.iter().zip(b).zip(pairings);
    match what {
        What::Session => {
            let (mut in_a, mut in_b) = (Vec::new(), Vec::new());
            for ((one, two), _) in runs() {
                let both = pairs::sessions(&one.rows, &two.rows);
                let at: Vec<i64> = both.iter().map(|session| session.0 + one.rows.offset()).collect();
                in_a.push(Piece::Values { at: at.clone(), values: both.iter().map(|both| both.1).collect() });
                in_b.push(Piece::Values { at, values: both.iter().map(|both| both.2).collect() });
            }
            Found { a: series(in_a), b: series(in_b), joint: true, unequal_replies: None }
        }
        What::Named(name) if name.metric == Metric::Itl => {
            // Gaps lie at the planned times of their requests, which a closed loop has of its own.
            let joint = pairings.iter().all(|pairing| pairing.open && pairing.later_turns == 0);
            Found { joint, ..apart(None) }
        }
        What::Named(name) if !matches!(name.metric.about().reader, MetricReader::Each(_)) => apart(None),
        What::Named(name) if name.statistic == Statistic::Rate => apart(None),
        What::Named(_) | What::TimeTo(_) => {
            let grows = matches!(what, What::Named(name)
                if matches!(name.metric, Metric::E2el | Metric::ResponseE2el | Metric::Ntpot));
            let (mut in_a, mut in_b, mut kept, mut all) = (Vec::new(), Vec::new(), 0, 0);
            for ((one, two), pairing) in runs() {
                let equal = grows.then(|| pairing.equally_long(&one.rows, &two.rows).0);
                let pairs = equal.as_ref().unwrap_or(&pairing.pairs);
                (kept, all) = (kept + pairs.len(), all + pairing.pairs.len());
                let (from_a, from_b) = (column(what, one), column(what, two));
                let at = |pair: &(u32, u32)| one.rows.places()[pair.0 as usize].planned + one.rows.offset();
                // A value that only one side has makes no pair.
                let both = pairs.iter().map(|pair| {
                    let (va, vb) = (from_a[pair.0 as usize], from_b[pair.1 as usize]);
                    if va.is_nan() || vb.is_nan() { (f32::NAN, f32::NAN) } else { (va, vb) }
                });
                let (values_a, values_b): (Vec<f32>, Vec<f32>) = both.unzip();
                let at: Vec<i64> = pairs.iter().map(at).collect();
                in_a.push(Piece::Values { at: at.clone(), values: values_a });
                in_b.push(Piece::Values { at, values: values_b });
            }
            let left_out = 1.0 - kept as f64 / (all as f64).max(1.0);
            if left_out > UNMATCHED_MAX {
                return apart(Some(left_out));
            }
            Found { a: series(in_a), b: series(in_b), joint: true, unequal_replies: None }
        }
    }
}

fn column(what: What, run: &Loaded) -> &[f32] {
    match what {
        What::Named(name) => run.rows.values(name.metric).unwrap_or(&[]),
        What::TimeTo(step) => run.rows.times_to(step),
        What::Session => &[],
    }
}

/// What a run has of a number, whoever it is compared with.
fn piece(what: What, run: &Loaded) -> Piece {
    let rows = &run.rows;
    match what {
        What::Named(name) if name.statistic == Statistic::Rate => rate(name.metric, run),
        What::Named(name) if name.metric == Metric::Errors => failures(run),
        What::Named(name) if name.metric == Metric::Itl => {
            Piece::Gaps { gaps: rows.gaps.clone(), blocks: rows.gap_blocks.clone() }
        }
        what => Piece::Values {
            at: rows.places().iter().map(|place| place.planned + rows.offset()).collect(),
            values: column(what, run).to_vec(),
        },
    }
}

/// What ended in the window, in the blocks that lie in it.
fn rate(metric: Metric, run: &Loaded) -> Piece {
    let (start, end) = run.rows.window();
    let (start, end) = (start + run.rows.offset(), end + run.rows.offset());
    let blocks = &run.rows.ended;
    let amount = |ended: &Ended| match metric {
        Metric::Requests => ended.requests as f64,
        Metric::TotalTokens => (ended.input_tokens + ended.output_tokens) as f64,
        _ => ended.output_tokens as f64,
    };
    let parts = blocks.blocks().iter().enumerate().map(|(place, ended)| {
        let (from, to) = (blocks.start(place).max(start), (blocks.start(place) + blocks.width()).min(end));
        (amount(ended), (to - from).max(0) as f64 / 1e9)
    });
    let seconds = (end - start) as f64 / 1e9;
    let place = RATES.iter().position(|known| *known == metric).unwrap_or_default();
    // By the run's own definition: tokens count when they arrive, not when their reply has ended.
    let part = run.rates[place].unwrap_or_default() * seconds;
    Piece::Parts { blocks: parts.collect(), part, whole: seconds }
}

#[derive(Debug, Clone, Copy, Default)]
struct Failed {
    failed: f64,
    all: f64,
}

impl Joins for Failed {
    fn join(&mut self, other: &Failed) {
        self.failed += other.failed;
        self.all += other.all;
    }
}

fn failures(run: &Loaded) -> Piece {
    let mut blocks: TimeBlocks<Failed> = TimeBlocks::default();
    for place in run.rows.places() {
        let block = blocks.at(place.planned);
        block.all += 1.0;
        block.failed += f64::from(u8::from(!place.success));
    }
    let habits = &run.rows.habits;
    Piece::Parts {
        blocks: blocks.blocks().iter().map(|block| (block.failed, block.all)).collect(),
        part: (habits.requests - habits.successes) as f64,
        whole: habits.requests as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn habits(tokens: u64, forced_kept: u64) -> Habits {
        Habits {
            requests: 100,
            successes: 100,
            tokens,
            events: 1_000,
            forced: 100,
            forced_kept,
            asked: [0; 2],
        }
    }

    #[test]
    fn gaps_are_refused_where_events_hold_other_numbers_of_tokens() {
        assert_eq!(Refused::of(&[habits(1_000, 100), habits(1_009, 100)]), None);
        let refused = Refused::of(&[habits(1_000, 100), habits(2_000, 100)]).unwrap();
        assert_eq!(refused, Refused::Events(1.0, 2.0));
        assert!(refused.has(Metric::Itl) && !refused.has(Metric::Tpot));
    }

    #[test]
    fn what_grows_with_a_reply_is_refused_where_one_side_kept_forced_lengths() {
        let refused = Refused::of(&[habits(1_000, 100), habits(1_000, 50)]).unwrap();
        assert_eq!(refused, Refused::Lengths(true));
        assert!(refused.has(Metric::E2el) && refused.has(Metric::Itl) && !refused.has(Metric::Ttft));
        let free = Habits { forced: 0, ..habits(1_000, 0) };
        assert_eq!(Refused::of(&[free, free]), None);
        assert_eq!(Refused::of(&[habits(1_000, 100), free]), Some(Refused::Lengths(true)));
    }

    #[test]
    fn names_that_cannot_be_compared_say_why() {
        assert!(parse("ttft.p99.9").is_ok() && parse("itl.mean").is_ok() && parse("requests.rate").is_ok());
        for (text, told) in [
            ("ttft.max", "cannot be compared"),
            ("itl_token.mean", "cannot be compared"),
            ("goodput.share", "cannot be compared"),
            ("input_tokens.mean", "says what the load was"),
            ("tftt.mean", "did you mean \"ttft.mean\"?"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        assert!(DEFAULT.iter().all(|name| parse(&name.to_string()) == Ok(*name)));
    }
}
