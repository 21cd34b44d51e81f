//! `Patience`: how long a server is waited for before any load, and how the time between two
//! tries grows. Readiness, discovery and the first request share one.

use crate::error::{Error, ErrorKind, Result};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The first pause, and the longest.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_millis(1_500);

/// Waiting is told once it has lasted so long.
const TOLD_AFTER: Duration = Duration::from_secs(3);

/// A call that lasts longer is told while it lasts.
const ALOUD_AFTER: Duration = Duration::from_secs(2);

/// How often somebody looks whether to stop.
const LOOK: Duration = Duration::from_millis(20);

/// The time that a server has to become ready.
pub struct Patience<'a> {
    began: Instant,
    limit: Duration,
    pause: Duration,
    stop: &'a (dyn Fn() -> bool + Sync),
    tell: &'a (dyn Fn(Option<u64>, &str) + Sync),
    told: bool,
    /// When a call is told that lasts, and what was told last of one.
    aloud_after: Duration,
    said: Mutex<String>,
}

/// Whether there is a next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    Yes,
    /// The time is over.
    No,
    /// The server asks for a wait that is longer than what is left.
    NotThatLong(Duration),
}

impl<'a> Patience<'a> {
    /// `stop`: the user wants no more of it. `tell`: says for how many seconds more there are tries,
    /// and why; or, without a time, what is awaited.
    pub fn new(
        limit: Duration,
        stop: &'a (dyn Fn() -> bool + Sync),
        tell: &'a (dyn Fn(Option<u64>, &str) + Sync),
    ) -> Patience<'a> {
        Patience {
            began: Instant::now(),
            limit,
            pause: FIRST,
            stop,
            tell,
            told: false,
            aloud_after: ALOUD_AFTER,
            said: Mutex::default(),
        }
    }

    /// The whole of it.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Nobody is waited for, and nothing is asked that need not be.
    pub fn is_none(&self) -> bool {
        self.limit.is_zero()
    }

    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.began.elapsed())
    }

    /// Awaits `call`; the interruption once the user wants no more of it.
    pub async fn over<T>(&self, call: impl Future<Output = T>) -> Result<T> {
        let stopped = async {
            while !(self.stop)() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => Err(Error::new(ErrorKind::Interrupted, "interrupted before any load was sent")),
            answer = call => Ok(answer),
        }
    }

    fn said(&self) -> MutexGuard<'_, String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, and says `what` is awaited once that lasts long; the same words once.
    pub async fn aloud<T>(&self, what: &str, call: impl Future<Output = T>) -> Result<T> {
        let said = async {
            tokio::time::sleep(self.aloud_after).await;
            if std::mem::replace(&mut *self.said(), what.to_string()) != what {
                (self.tell)(None, what);
            }
            std::future::pending::<Result<T>>().await
        };
        tokio::select! {
            biased;
            answer = self.over(call) => answer,
            never = said => never,
        }
    }

    /// Waits before the next try: as long as the server asks for, or a little longer each time.
    /// The last try is made when the time is over. `why`: what is waited for.
    pub async fn again(&mut self, asked: Option<Duration>, why: &str) -> Result<Again> {
        let left = self.left();
        if left.is_zero() {
            return Ok(Again::No);
        }
        if let Some(asked) = asked.filter(|asked| *asked > left) {
            return Ok(Again::NotThatLong(asked));
        }
        if !self.told && self.began.elapsed() + asked.unwrap_or_default() > TOLD_AFTER {
            self.told = true;
            (self.tell)(Some(left.as_secs().max(1)), why);
        }
        let wait = asked.unwrap_or(self.pause).max(Duration::from_millis(50)).min(left);
        self.pause = (self.pause * 3 / 2).min(LONGEST);
        self.over(tokio::time::sleep(wait)).await?;
        Ok(Again::Yes)
    }
}

/// A `retry-after` header: seconds, or the time of day at which to come back.
pub fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return (seconds.is_finite() && (0.0..1e7).contains(&seconds))
            .then(|| Duration::from_secs_f64(seconds));
    }
    let at = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    let left = at.signed_duration_since(chrono::Utc::now());
    Some(left.to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn pauses_grow_and_end_with_the_time() {
        let told = Mutex::new(Vec::new());
        let tell = |_: Option<u64>, why: &str| told.lock().expect("lines").push(why.to_string());
        let never = || false;
        let mut patience = Patience::new(Duration::from_millis(700), &never, &tell);
        let mut tries = 0;
        while patience.again(None, "it says 503").await.expect("not stopped") == Again::Yes {
            tries += 1;
        }
        assert!((2..=4).contains(&tries), "{tries}");
        assert!(told.lock().expect("lines").is_empty(), "a short wait is not told");
    }

    #[tokio::test]
    async fn a_server_that_asks_for_more_time_than_there_is_is_not_waited_for() {
        let told = Mutex::new(Vec::new());
        let tell = |_: Option<u64>, why: &str| told.lock().expect("lines").push(why.to_string());
        let stopped = AtomicUsize::new(0);
        let stop = || stopped.fetch_add(1, Ordering::Relaxed) > 1;
        let mut patience = Patience::new(Duration::from_secs(20), &stop, &tell);
        let hour = Duration::from_secs(3600);
        assert_eq!(patience.again(Some(hour), "busy").await.expect("not stopped"), Again::NotThatLong(hour));
        let error = patience.again(Some(Duration::from_secs(10)), "it says 429").await.expect_err("stopped");
        assert_eq!(error.kind, ErrorKind::Interrupted);
        let told = told.lock().expect("lines").join("\n");
        assert!(told.contains("it says 429"), "{told}");
    }

    #[tokio::test]
    async fn a_call_that_lasts_is_told_once_and_a_short_one_is_not() {
        let told = Mutex::new(Vec::new());
        let tell = |_: Option<u64>, what: &str| told.lock().expect("lines").push(what.to_string());
        let never = || false;
        let mut patience = Patience::new(Duration::from_secs(60), &never, &tell);
        patience.aloud_after = Duration::from_millis(20);
        for (what, ms) in [("a", 0), ("b", 60), ("b", 60), ("c", 60)] {
            let call = tokio::time::sleep(Duration::from_millis(ms));
            patience.aloud(what, call).await.expect("not stopped");
        }
        let expected = ["b", "c"];
        assert_eq!(*told.lock().expect("lines"), expected);
    }

    #[test]
    fn a_time_to_come_back_is_seconds_or_a_date() {
        assert_eq!(retry_after("3"), Some(Duration::from_secs(3)));
        assert_eq!(retry_after(" 0.5 "), Some(Duration::from_millis(500)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = chrono::Utc::now() + chrono::TimeDelta::seconds(30);
        let read = retry_after(&soon.format("%a, %d %b %Y %H:%M:%S GMT").to_string()).expect("a time");
        assert!((Duration::from_secs(20)..=Duration::from_secs(30)).contains(&read), "{read:?}");
        for bad in ["", "soon", "-1", "inf", "1e99"] {
            assert_eq!(retry_after(bad), None, "{bad}");
        }
    }
}
