//! `ConcurrencyLimit`: the concurrency cap. A request holds a place from its admission to its end.

use crate::record::Nanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify, mpsc};

/// The places of a run: a number of them, or no limit. Whoever asks first has the next that comes free.
pub struct ConcurrencyLimit {
    free: Option<Free>,
}

/// Places that nobody has used yet, and those that were given back.
struct Free {
    unused: AtomicUsize,
    home: Arc<Home>,
    returned: Mutex<mpsc::UnboundedReceiver<Returned>>,
}

/// Where places go back to.
struct Home {
    back: mpsc::UnboundedSender<Returned>,
    closed: GiveUp,
}

/// When a place was given back, and how many of its requests had failed at once by then, one after
/// another.
type Returned = (Nanos, u32);

/// One place in use; dropping it gives it back.
pub struct Permit {
    home: Option<Arc<Home>>,
    /// When the place became free, for whoever took it: 0 when it always was.
    pub free_since: Nanos,
    /// Requests that failed at once in this place, one after another.
    pub setbacks: u32,
    freed_at: Nanos,
}

impl ConcurrencyLimit {
    pub fn new(cap: Option<usize>) -> ConcurrencyLimit {
        let free = cap.map(|cap| {
            let (back, returned) = mpsc::unbounded_channel();
            let home = Arc::new(Home { back, closed: GiveUp::default() });
            Free { unused: AtomicUsize::new(cap), home, returned: Mutex::new(returned) }
        });
        ConcurrencyLimit { free }
    }

    /// Waits for a free place.
    pub async fn take(&self) -> Permit {
        if let Some(place) = self.try_take() {
            return place;
        }
        let free = self.free.as_ref().expect("a place without a limit is always free");
        let returned = free.returned.lock().await.recv().await.expect("we hold a sender");
        free.permit(returned)
    }

    /// A place that is free now, and that nobody waits for.
    pub fn try_take(&self) -> Option<Permit> {
        let Some(free) = &self.free else {
            return Some(Permit { home: None, free_since: 0, setbacks: 0, freed_at: 0 });
        };
        let less = |unused: usize| unused.checked_sub(1);
        let returned = match free.unused.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(_) => (0, 0),
            Err(_) => free.returned.try_lock().ok()?.try_recv().ok()?,
        };
        Some(free.permit(returned))
    }

    /// Nobody rests any more: no slot will take the place.
    pub fn close(&self) {
        if let Some(free) = &self.free {
            free.home.closed.give_up();
        }
    }
}

impl Free {
    fn permit(&self, (free_since, setbacks): Returned) -> Permit {
        Permit { home: Some(self.home.clone()), free_since, setbacks, freed_at: 0 }
    }
}

impl Permit {
    /// Keeps the place for a while; not after [`ConcurrencyLimit::close`].
    pub async fn rest(&self, time: Duration) {
        let closed = async {
            match &self.home {
                Some(home) => home.closed.given().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = closed => {}
            () = tokio::time::sleep(time) => {}
        }
    }

    /// Gives the place back as of `at`, which is the end of its request.
    pub fn free(mut self, at: Nanos) {
        self.freed_at = at;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            let at = if self.freed_at == 0 { crate::os::now() } else { self.freed_at };
            // Nobody waits for places after the last slot.
            let _ = home.back.send((at, self.setbacks));
        }
    }
}

/// Alive as long as one session is: the last one to end wakes [`Sessions::all_ended`].
pub struct Sessions {
    alive: Option<mpsc::Sender<()>>,
    ended: mpsc::Receiver<()>,
}

/// Held by a session.
pub type Alive = mpsc::Sender<()>;

impl Sessions {
    pub fn new() -> Sessions {
        let (alive, ended) = mpsc::channel(1);
        Sessions { alive: Some(alive), ended }
    }

    pub fn start(&self) -> Alive {
        self.alive.clone().expect("sessions start before the last has been waited for")
    }

    /// Waits until no session lives.
    pub async fn all_ended(&mut self) {
        self.alive = None;
        let _ = self.ended.recv().await;
    }
}

/// Tells every session to give up.
#[derive(Clone, Default)]
pub struct GiveUp(Arc<GivenUp>);

#[derive(Default)]
struct GivenUp {
    is: AtomicBool,
    told: Notify,
}

impl GiveUp {
    pub fn give_up(&self) {
        self.0.is.store(true, Ordering::Release);
        self.0.told.notify_waiters();
    }

    /// Ends when sessions must give up.
    pub fn given(&self) -> impl Future<Output = ()> + Send + use<> {
        let given = self.0.clone();
        async move {
            // Listens before it looks, so that nothing is missed.
            let told = given.told.notified();
            if !given.is.load(Ordering::Acquire) {
                told.await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(future)
    }

    #[test]
    fn a_freed_place_tells_since_when_it_is_free() {
        block_on(async {
            let places = ConcurrencyLimit::new(Some(1));
            let place = places.take().await;
            assert_eq!(place.free_since, 0);
            assert!(places.try_take().is_none());
            place.free(77);
            assert_eq!(places.take().await.free_since, 77);
        });
    }

    #[test]
    fn a_place_rests_no_longer_than_places_are_taken_and_remembers_its_setbacks() {
        block_on(async {
            let places = ConcurrencyLimit::new(Some(1));
            let mut place = places.take().await;
            place.setbacks = 3;
            place.free(1);
            let place = places.take().await;
            assert_eq!(place.setbacks, 3);
            places.close();
            place.rest(Duration::from_secs(3_600)).await;
        });
    }

    #[test]
    fn places_that_nobody_takes_cost_nothing() {
        let places = ConcurrencyLimit::new(Some(usize::MAX));
        assert_eq!(places.try_take().map(|place| place.free_since), Some(0));
    }

    #[test]
    fn places_that_were_never_used_go_first() {
        block_on(async {
            let places = ConcurrencyLimit::new(Some(2));
            places.take().await.free(77);
            assert_eq!(places.take().await.free_since, 0);
            assert_eq!(places.take().await.free_since, 77);
        });
    }

    #[test]
    fn without_a_cap_there_is_always_a_place() {
        block_on(async {
            let places = ConcurrencyLimit::new(None);
            let held: Vec<Permit> = (0..1000).map(|_| places.try_take().expect("no limit")).collect();
            assert_eq!(held.len(), 1000);
        });
    }

    #[test]
    fn the_last_session_to_end_is_waited_for() {
        block_on(async {
            let mut sessions = Sessions::new();
            let (a, b) = (sessions.start(), sessions.start());
            let waiter = async {
                sessions.all_ended().await;
                true
            };
            let ender = async {
                drop(a);
                tokio::task::yield_now().await;
                drop(b);
            };
            assert!(tokio::join!(waiter, ender).0);
        });
    }
}
