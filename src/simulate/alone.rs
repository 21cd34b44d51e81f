//! One request that nothing else is beside.

use super::flight::{Flight, Leaving};
use crate::client::Target;
use crate::client::protocol::{self, Api};
use crate::engine::{Config, GenerationRequest, Played, VirtualEngine};
use crate::error::{Error, Result};
use crate::record::{Outcome, Phase, Record, Request, Timeout};

/// Sends one request to an engine of this configuration that does nothing else; times are nanoseconds since it
/// was sent. Its text are the engine's words.
///
/// Fails when the engine's configuration is impossible, or when it does not speak the target's protocol.
pub fn alone(target: &Target, mut request: Request, config: &Config) -> Result<Record> {
    request.forced_length = protocol::forces_length(target, &request);
    let body = protocol::body(target, &request);
    let ask = GenerationRequest::read(target.api == Api::Chat, &body, config)
        .map_err(|refusal| Error::run(format!("the engine refuses the request: {}", refusal.body)))?;
    let mut engine = VirtualEngine::new(config.clone()).map_err(Error::usage)?;
    let leaving = Leaving { planned: 0, admitted: 0, phase: Phase::Measured, setbacks: 0 };
    let mut flight = Flight::new(request, None, target, ask.prompt_tokens, leaving);
    flight.send();
    flight.open(0, 0);
    if let Err((mut refused, status)) = engine.arrive(&ask, 0, flight) {
        refused.record.status = Some(status);
        refused.fail(0, Outcome::Status, format!("status {status}: simulated failure"));
        return Ok(*refused.record);
    }
    while let Some(now) = engine.next() {
        // Whatever does not fit shows in the record.
        match engine.play(now, |flight, at, written| {
            flight.write(at, written);
        }) {
            Played::Nothing | Played::Something => {}
            Played::Stalled(number) => {
                let mut flight = engine.leave(number, now).expect("it is there, and stalls");
                let at = now.saturating_add(target.timeouts.idle.as_nanos() as i64);
                flight.fail(at, Outcome::TimedOut(Timeout::Idle), "no event for too long".into());
                return Ok(*flight.record);
            }
            Played::Ended { mut kept, ending, at, .. } => {
                kept.end(at, ending);
                let text = kept.reply().text;
                kept.record.text = Some(text);
                return Ok(*kept.record);
            }
        }
    }
    Err(Error::run("the simulated engine has nothing more to do, and the request has not ended"))
}
