//! `together`: several plans at the same time, from one zero.

use super::drive::{LEAD, LOOK_EVERY, Start, drive};
use super::ended::Ended;
use super::load::{Load, Zero};
use super::monitor::{self, Monitor};
use super::plan::Plan;
use super::prepare::{self, Ahead};
use super::{Control, Message, Stop, room};
use crate::error::Error;
use crate::record::Nanos;
use std::pin::Pin;
use std::task::Poll;

/// What handing its bytes to the pacer takes a session, with room for a busy machine.
const HANDING_OVER: Nanos = 60_000;

/// Runs all plans of `loads` from one zero, each to its own end; in the order of the loads, how
/// each ended. All stop when `control` says so.
///
/// An error means that nothing was sent, of none of them.
pub async fn together(loads: Vec<Load<'_>>, control: &Control) -> Result<Vec<Ended>, Error> {
    let asks: Vec<_> = loads.iter().map(|load| (load.plan, &*load.client)).collect();
    let rooms = room::divide(&asks)?;
    let prepared: Vec<Ahead> = loads.iter().map(make_ahead).collect::<Result<_, _>>()?;
    let at_start = loads.iter().zip(&rooms).map(|(load, room)| load.plan.connections_at_start(*room));
    let open_at_start: Nanos = at_start.clone().map(|n| n as Nanos).sum();
    join_all(loads.iter().zip(at_start).map(|(load, n)| open_ahead(load, n, control)).collect()).await;
    let starts = loads.into_iter().zip(prepared).zip(rooms).map(|((load, prepared), places)| Start {
        monitor: Monitor::start(server_place(load.plan)),
        load,
        prepared,
        places,
    });
    let starts: Vec<Start> = starts.collect();
    // Time for the first sessions to hand their bytes to the pacer: still at it, they would take a
    // core from the kernel's deliveries and from a server on the same machine.
    let zero = Zero::after(LEAD / 2 + open_at_start * HANDING_OVER);
    for Start { load, .. } in &starts {
        load.progress.begin(zero.at);
        let _ = load.out.send(Message::Zero(zero.wall_ms)).await;
    }
    Ok(join_all(starts.into_iter().map(|start| drive(start, zero, control)).collect()).await)
}

fn make_ahead(load: &Load) -> Result<Ahead, Error> {
    let Load { plan, client, id_prefix, .. } = load;
    prepare::start(plan, client.clone(), id_prefix.to_string(), plan.slots())
        .map_err(|error| Error::run(format!("cannot start the thread that makes requests: {error}")))
}

/// Opens connections before the zero, for no longer than one may take and as long as nobody wants
/// to stop: a server that does not let us in is the requests' to tell.
async fn open_ahead(load: &Load<'_>, n: usize, control: &Control) {
    let stopped = async {
        while control.stop() == Stop::No {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        biased;
        () = load.client.open_ahead(n) => {}
        () = tokio::time::sleep(load.plan.target.timeouts.connect) => {}
        () = stopped => {}
    }
}

/// Where the server of a plan is, as far as its address tells.
fn server_place(plan: &Plan) -> monitor::ServerPlace {
    let base = &plan.target.base;
    let here = match base.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    monitor::ServerPlace {
        port: base.port_or_known_default().unwrap_or(80),
        here,
        named: plan.target.server_processes.clone(),
    }
}

/// Drives all of them to their ends. Who comes first changes from turn to turn: a task may do only
/// so much in one, and a load that always has more to do would leave nothing of it to the others.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    let mut first = 0;
    std::future::poll_fn(|context| {
        let n = futures.len();
        for i in (0..n).map(|i| (first + i) % n) {
            if outputs[i].is_none()
                && let Poll::Ready(output) = futures[i].as_mut().poll(context)
            {
                outputs[i] = Some(output);
            }
        }
        first += 1;
        if outputs.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
