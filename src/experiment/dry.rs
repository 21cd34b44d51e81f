//! Dry runs: plans in virtual time, through the same collector and into the same tables as measured ones.
//! Nothing is sent.

use super::finished::Finished;
use super::measure::Underway;
use super::server::Ready;
use super::{Experiment, folder};
use crate::error::{Error, Result};
use crate::lang::Lang;
use crate::os;
use crate::record::{Health, Nanos, Phase};
use crate::run::{Ended, Message, Plan};
use crate::simulate::{Way, simulate};
use crate::stats::words::fixed;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// Bars of the line that shows a load.
const BARS: usize = 60;

/// Plays plans, one after the other: in virtual time they do not meet. What became of each, as
/// [`super::measure::measure`] gives it.
pub fn play(experiment: &Experiment, plans: Vec<(Plan, &Ready)>) -> Result<Vec<(Finished, Result<()>)>> {
    let Some((first, _)) = plans.first() else { return Ok(Vec::new()) };
    let folder = folder::need(experiment, Some(&first.target.model))?;
    let of = |(plan, ready)| {
        let (run, out) = Underway::start(experiment, plan, ready, folder.clone(), None)?;
        let ended = one(&run.plan, ready, out).map(|(ended, load)| {
            let lang = experiment.console.words();
            experiment.console.mention(&format!("{}{}{}", run.plan.name, lang.colon(), load.line(lang)));
            ended
        });
        run.finish(experiment, ended)
    };
    plans.into_iter().map(of).collect()
}

fn one(plan: &Arc<Plan>, ready: &Ready, out: Sender<Message>) -> Result<(Ended, PlannedLoad)> {
    let config =
        ready.simulated.as_ref().ok_or_else(|| Error::run("the server of a dry run is simulated"))?;
    let zero_ms = os::wall() / 1_000_000;
    // A collector that is gone has failed, and says so at its end.
    let send = |message| drop(out.blocking_send(message));
    send(Message::Zero(zero_ms));
    let known = plan.window_start();
    known.into_iter().for_each(|at| send(Message::Window(at)));
    let (mut window, mut load) = (known, PlannedLoad::default());
    let simulated = simulate(plan, config, Way::NONE, |record| {
        let planned = record.timeline.planned;
        if known.is_none() && record.phase == Phase::Measured && window.is_none_or(|at| planned < at) {
            window = Some(planned);
            send(Message::Window(planned));
        }
        load.planned.push(planned);
        send(Message::Record(record.into()));
    });
    send(Message::End);
    let simulated = simulated?;
    let ended = Ended {
        reason: simulated.reason,
        zero: os::now(),
        zero_ms,
        lasted: simulated.lasted,
        never_sent: 0,
        unrecorded: 0,
        health: Health::default(),
    };
    Ok((ended, load))
}

/// When requests were to leave.
#[derive(Default)]
struct PlannedLoad {
    planned: Vec<Nanos>,
}

impl PlannedLoad {
    /// One line: bars of the planned rate over time, with its highest value and the length.
    fn line(&self, lang: Lang) -> String {
        const SIGNS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let last = self.planned.iter().copied().max().unwrap_or(0).max(1);
        let mut counts = [0_usize; BARS];
        for at in &self.planned {
            counts[(*at as i128 * BARS as i128 / (last as i128 + 1)).clamp(0, BARS as i128 - 1) as usize] +=
                1;
        }
        let most = counts.iter().copied().max().unwrap_or(0).max(1);
        let bar = |n: &usize| if *n == 0 { ' ' } else { SIGNS[(n * 8).div_ceil(most).clamp(1, 8) - 1] };
        let bars: String = counts.iter().map(bar).collect();
        let seconds = last as f64 / 1e9;
        let peak = fixed(most as f64 * BARS as f64 / seconds, 1);
        let seconds = fixed(seconds, 1);
        lang.pick(
            format!("planned requests over {seconds} s, {peak}/s at most:\n  {bars}"),
            format!("{seconds} s 内的计划请求，最高 {peak}/s：\n  {bars}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_a_line_of_bars() {
        let even = PlannedLoad { planned: (0..600).map(|i| i * 100_000_000).collect() };
        let line = even.line(Lang::English);
        assert_eq!(line, format!("planned requests over 59.9 s, 10.0/s at most:\n  {}", "█".repeat(60)));
        let line = PlannedLoad { planned: vec![0, 1_000_000_000] }.line(Lang::English);
        assert!(line.ends_with(&format!("\n  █{}█", " ".repeat(58))), "{line}");
        PlannedLoad::default().line(Lang::Chinese);
    }
}
