//! `Scraper`: asks a target for its `/metrics` once a second while a run goes on.
//!
//! It has a thread, a runtime and connections of its own: nothing that is timed waits for it.

mod counters;
pub mod names;
mod page;

pub use counters::Counters;
pub use page::{Page, Value};

use super::control::ServerControl;
use super::target::Target;
use crate::error::{Error, Result};
use crate::os;
use crate::record::{Nanos, Point, Source};
use names::{SCRAPE_GAP, SCRAPE_MS, SHARES};
use reqwest::StatusCode;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// The distance of two scrapes.
const EVERY: Nanos = 1_000_000_000;
/// Limits of the first scrape, which the run waits for, of those during the run, and of the last,
/// which waits for nothing from a server that has not answered at all.
const FIRST: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(10);
const LAST: Duration = Duration::from_secs(2);
const WORDS_MAX: usize = 20_000;
/// How often the run is asked for its zero.
const LOOK: Duration = Duration::from_millis(5);

/// Scrapes until it is finished.
pub struct Scraper {
    /// Whether to look once more.
    stop: oneshot::Sender<bool>,
    thread: JoinHandle<Scrapes>,
}

/// What came of the scrapes of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scrapes {
    pub answers: u64,
    /// Whole seconds without an answer.
    pub gaps: u64,
    /// Why the first of them has none.
    pub gap_reason: Option<String>,
    /// Why the target was not scraped at all.
    pub not_scraped: Option<String>,
    /// Series of the largest answer that were left out.
    pub series_left_out: u64,
    /// What the counters said at each of them.
    pub counters: Counters,
}

/// Why there is no page.
enum Miss {
    /// There is no such thing here, now or later.
    Never(String),
    Now(String),
}

impl Scraper {
    /// Starts, and returns when the first answer is there or its time is over. `zero` gives the
    /// run's zero once it is known; `each` gets it and what every later scrape gave, in the
    /// scraper's own thread. Fails when the target's CA file or a header of it cannot be used.
    pub fn start(
        target: &Target,
        zero: impl Fn() -> Option<Nanos> + Send + 'static,
        each: impl FnMut(Nanos, Vec<Point>) + Send + 'static,
    ) -> Result<Scraper> {
        let cannot = |error: std::io::Error| {
            Error::run(format!("cannot start the thread that reads metrics: {error}"))
        };
        let control = ServerControl::new(target)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let (stop, stopped) = oneshot::channel();
        let (first, first_done) = sync_channel(1);
        let work = move || runtime.block_on(follow(&control, zero, each, first, stopped));
        let thread = std::thread::Builder::new().name("scrape".into()).spawn(work).map_err(cannot)?;
        // An error says that the thread is gone; `finish` tells.
        let _ = first_done.recv();
        Ok(Scraper { stop, thread })
    }

    /// Ends; `once_more`: with a last scrape.
    pub fn finish(self, once_more: bool) -> Scrapes {
        let _ = self.stop.send(once_more);
        let gone = || Scrapes {
            not_scraped: Some("the thread that reads metrics has failed".into()),
            ..Scrapes::default()
        };
        self.thread.join().unwrap_or_else(|_| gone())
    }
}

/// From the first scrape, before the run's zero, to the one after its end.
async fn follow(
    control: &ServerControl,
    zero: impl Fn() -> Option<Nanos>,
    each: impl FnMut(Nanos, Vec<Point>),
    first_done: SyncSender<()>,
    mut stopped: oneshot::Receiver<bool>,
) -> Scrapes {
    let first = scrape(control, FIRST).await;
    let _ = first_done.send(());
    if let Err(Miss::Never(why)) = first.page {
        return Scrapes { not_scraped: Some(why), ..Scrapes::default() };
    }
    let zero = tokio::select! {
        zero = known(zero) => zero,
        _ = &mut stopped => return Scrapes::default(),
    };
    let mut teller = Teller::new(zero, each);
    teller.tell(first);
    let once_more = loop {
        let mark = zero + ((os::now() - zero).div_euclid(EVERY) + 1) * EVERY;
        tokio::select! {
            () = sleep_until(mark) => {}
            once_more = &mut stopped => break once_more,
        }
        tokio::select! {
            scraped = scrape(control, LATER) => teller.tell_at(mark, scraped),
            once_more = &mut stopped => {
                teller.tell_none_since(mark, os::now());
                break once_more;
            }
        }
    };
    if once_more == Ok(true) && teller.scrapes.answers > 0 {
        teller.tell(scrape(control, LAST).await);
    }
    teller.scrapes
}

async fn known(zero: impl Fn() -> Option<Nanos>) -> Nanos {
    loop {
        if let Some(zero) = zero() {
            return zero;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn sleep_until(time: Nanos) {
    let left = time - os::now();
    if left > 0 {
        tokio::time::sleep(Duration::from_nanos(left as u64)).await;
    }
}

/// One scrape and its times.
struct Scrape {
    asked: Nanos,
    answered: Nanos,
    page: std::result::Result<Page, Miss>,
}

async fn scrape(control: &ServerControl, limit: Duration) -> Scrape {
    let asked = os::now();
    let answer = control.metrics_now(limit).await;
    let answered = os::now();
    Scrape { asked, answered, page: judged(answer) }
}

fn judged(answer: Result<(StatusCode, String)>) -> std::result::Result<Page, Miss> {
    let (status, text) = answer.map_err(|error| Miss::Now(error.message))?;
    if !status.is_success() {
        let told = format!("/metrics says {}", status.as_u16());
        // A server that is busy says 429 or 5xx, and may answer a second later.
        let never =
            status.is_redirection() || status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
        let never = never || status == StatusCode::NOT_IMPLEMENTED;
        return Err(if never { Miss::Never(told) } else { Miss::Now(told) });
    }
    let page = Page::read(&text);
    match page.values.is_empty() {
        true => Err(Miss::Never("/metrics holds no Prometheus text".into())),
        false => Ok(page),
    }
}

/// Turns scrapes into points and hands them on.
struct Teller<F> {
    zero: Nanos,
    each: F,
    scrapes: Scrapes,
    /// The same few hundred words every second.
    words: HashMap<String, Arc<str>>,
    /// Values of the answer before, for shares, and when its process began.
    before: HashMap<&'static str, f64>,
    started: Option<f64>,
}

impl<F: FnMut(Nanos, Vec<Point>)> Teller<F> {
    fn new(zero: Nanos, each: F) -> Self {
        Teller {
            zero,
            each,
            scrapes: Scrapes::default(),
            words: HashMap::new(),
            before: HashMap::new(),
            started: None,
        }
    }

    /// Tells of a scrape that was due at `mark`, and of the marks that passed meanwhile.
    fn tell_at(&mut self, mark: Nanos, scrape: Scrape) {
        let answered = scrape.answered;
        let passed = (answered - mark).div_euclid(EVERY);
        let took = (answered - scrape.asked) as f64 / 1e9;
        self.tell(scrape);
        if passed > 0 {
            self.gap(answered, passed, &format!("the answer took {took:.1} s"));
        }
    }

    /// Tells of a scrape that was due at `mark` and has no answer when the run ends.
    fn tell_none_since(&mut self, mark: Nanos, now: Nanos) {
        let passed = (now - mark).div_euclid(EVERY);
        if passed > 0 {
            self.gap(now, passed, "no answer before the end of the run");
        }
    }

    fn tell(&mut self, scrape: Scrape) {
        let page = match scrape.page {
            Ok(page) => page,
            Err(Miss::Never(why) | Miss::Now(why)) => return self.gap(scrape.answered, 1, &why),
        };
        self.scrapes.answers += 1;
        self.scrapes.series_left_out = self.scrapes.series_left_out.max(page.left_out as u64);
        let at = scrape.answered - self.zero;
        let took = (scrape.answered - scrape.asked) as f64 / 1e6;
        self.scrapes.counters.add(at, &page);
        let mut points = vec![self.point(at, SCRAPE_MS, None, took, None)];
        for (name, value) in self.shares(&page) {
            points.push(self.point(at, name, None, value, None));
        }
        for value in &page.values {
            let labels = Some(value.labels.as_str()).filter(|labels| !labels.is_empty());
            points.push(self.point(at, &value.metric, labels, value.value, Some(&value.raw_name)));
        }
        (self.each)(self.zero, points);
    }

    fn gap(&mut self, at: Nanos, seconds: i64, why: &str) {
        self.scrapes.gaps += seconds.unsigned_abs();
        self.scrapes.gap_reason.get_or_insert_with(|| why.to_string());
        let reason = format!("reason={why:?}");
        let point = self.point(at - self.zero, SCRAPE_GAP, Some(&reason), seconds as f64, None);
        (self.each)(self.zero, vec![point]);
    }

    /// Shares of what came in since the answer before; none where nothing did, or where a
    /// counter went back because the server was started again.
    fn shares(&mut self, page: &Page) -> Vec<(&'static str, f64)> {
        let mut shares = Vec::new();
        if std::mem::replace(&mut self.started, page.started) != page.started {
            // Another process has another count.
            self.before.clear();
        }
        for (name, part, whole) in SHARES {
            let mut came = |metric| {
                let now = page.value(metric)?;
                Some(now - self.before.insert(metric, now)?)
            };
            if let (Some(part), Some(whole)) = (came(part), came(whole))
                && whole > 0.0
                && part >= 0.0
            {
                shares.push((name, (part / whole).min(1.0)));
            }
        }
        shares
    }

    fn point(
        &mut self,
        at: Nanos,
        metric: &str,
        labels: Option<&str>,
        value: f64,
        raw_name: Option<&str>,
    ) -> Point {
        let metric = self.word(metric);
        let labels = labels.map(|labels| self.word(labels));
        let raw_name = raw_name.map(|name| self.word(name));
        Point { at, source: Source::Server, metric, labels, value, raw_name }
    }

    fn word(&mut self, text: &str) -> Arc<str> {
        if let Some(word) = self.words.get(text) {
            return word.clone();
        }
        // A server that makes up new labels all the time must not fill the memory.
        if self.words.len() >= WORDS_MAX {
            self.words.clear();
        }
        let word: Arc<str> = text.into();
        self.words.insert(text.to_string(), word.clone());
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::protocol::Api;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Mutex;

    const SECOND: Nanos = 1_000_000_000;

    type Told = Arc<Mutex<Vec<Point>>>;

    fn teller() -> (Teller<impl FnMut(Nanos, Vec<Point>)>, Told) {
        let told = Told::default();
        let theirs = told.clone();
        (Teller::new(0, move |_, points| theirs.lock().expect("told").extend(points)), told)
    }

    fn answered(asked: Nanos, answered: Nanos, text: &str) -> Scrape {
        Scrape { asked, answered, page: judged(Ok((StatusCode::OK, text.to_string()))) }
    }

    fn of(told: &Told, metric: &str) -> Vec<(Nanos, f64, Option<String>)> {
        let told = told.lock().expect("told");
        let points = told.iter().filter(|point| &*point.metric == metric);
        points.map(|point| (point.at, point.value, point.labels.as_ref().map(ToString::to_string))).collect()
    }

    #[test]
    fn a_value_has_the_time_at_which_its_answer_arrived() {
        let (mut teller, told) = teller();
        teller.tell_at(
            SECOND,
            answered(SECOND, SECOND + 4_000_000, "vllm:num_requests_running{engine=\"0\"} 3\n"),
        );
        assert_eq!(of(&told, "running"), [(SECOND + 4_000_000, 3.0, None)]);
        assert_eq!(of(&told, SCRAPE_MS), [(SECOND + 4_000_000, 4.0, None)]);
        assert_eq!((teller.scrapes.answers, teller.scrapes.gaps), (1, 0));
    }

    #[test]
    fn a_slow_answer_is_kept_and_the_seconds_that_it_took_are_a_gap() {
        let (mut teller, told) = teller();
        teller.tell_at(SECOND, answered(SECOND, 4 * SECOND + 5, "tgi_queue_size 1\n"));
        assert_eq!(of(&told, "waiting").len(), 1);
        let reason = Some("reason=\"the answer took 3.0 s\"".to_string());
        assert_eq!(of(&told, SCRAPE_GAP), [(4 * SECOND + 5, 3.0, reason)]);
        assert_eq!((teller.scrapes.answers, teller.scrapes.gaps), (1, 3));
    }

    #[test]
    fn a_scrape_that_the_end_of_the_run_cuts_off_is_a_gap() {
        let (mut teller, told) = teller();
        teller.tell_none_since(SECOND, SECOND + 999_999_999);
        assert_eq!(teller.scrapes.gaps, 0);
        teller.tell_none_since(SECOND, 8 * SECOND);
        assert_eq!((teller.scrapes.gaps, of(&told, SCRAPE_GAP)[0].1), (7, 7.0));
    }

    #[test]
    fn a_scrape_that_fails_is_a_gap_with_its_reason() {
        let (mut teller, told) = teller();
        let page = judged(Ok((StatusCode::SERVICE_UNAVAILABLE, String::new())));
        teller.tell_at(SECOND, Scrape { asked: SECOND, answered: SECOND + 1, page });
        let page = judged(Err(Error::run("no answer in time")));
        teller.tell_at(2 * SECOND, Scrape { asked: 2 * SECOND, answered: 2 * SECOND + 1, page });
        let reasons: Vec<String> = of(&told, SCRAPE_GAP).into_iter().filter_map(|gap| gap.2).collect();
        assert_eq!(reasons, ["reason=\"/metrics says 503\"", "reason=\"no answer in time\""]);
        assert_eq!(
            (teller.scrapes.gaps, teller.scrapes.gap_reason.as_deref()),
            (2, Some("/metrics says 503"))
        );
    }

    #[test]
    fn a_share_is_of_what_came_since_the_answer_before() {
        let (mut teller, told) = teller();
        let page = |hits: u32, queries: u32| {
            format!("vllm:prefix_cache_hits_total {hits}\nvllm:prefix_cache_queries_total {queries}\n")
        };
        // Nothing came in the third second; in the fourth the server had started anew.
        for (second, (hits, queries)) in
            [(90, 100), (92, 108), (92, 108), (1, 4), (4, 8)].into_iter().enumerate()
        {
            let at = second as Nanos * SECOND;
            teller.tell(answered(at, at, &page(hits, queries)));
        }
        assert_eq!(of(&told, "prefix_cache_hit_share"), [(SECOND, 0.25, None), (4 * SECOND, 0.75, None)]);
    }

    #[test]
    fn servers_without_metrics_are_told_from_busy_ones() {
        let never = |status: u16| {
            let status = StatusCode::from_u16(status).expect("a status");
            matches!(judged(Ok((status, "x".into()))), Err(Miss::Never(_)))
        };
        assert!([401, 403, 404, 405, 501].into_iter().all(never));
        assert!(![429, 500, 503].into_iter().any(never));
        for text in ["", "<html>hello</html>", "{}"] {
            let page = judged(Ok((StatusCode::OK, text.into())));
            assert!(matches!(page, Err(Miss::Never(why)) if why == "/metrics holds no Prometheus text"));
        }
    }

    /// Answers every call with the same bytes; gives the target and the number of calls.
    fn server(answer: &'static str) -> (Target, Arc<Mutex<usize>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let calls = Arc::new(Mutex::new(0));
        let count = calls.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(mut socket) = socket else { return };
                *count.lock().expect("calls") += 1;
                let _ = socket.read(&mut [0; 4096]);
                let _ = socket.write_all(answer.as_bytes());
            }
        });
        let base = Target::base_url(&format!("http://127.0.0.1:{port}")).expect("a base URL");
        (Target::new(base, Api::Completions), calls)
    }

    #[test]
    fn the_first_scrape_is_before_the_zero_and_the_last_after_the_end() {
        let (target, calls) =
            server("HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: 17\r\n\r\ntgi_queue_size 1\n");
        let told = Told::default();
        let theirs = told.clone();
        let zero = Arc::new(Mutex::new(None));
        let asked = zero.clone();
        let (heard, first) = sync_channel(8);
        let each = move |_, points: Vec<Point>| {
            theirs.lock().expect("told").extend(points);
            let _ = heard.send(());
        };
        let scraper = Scraper::start(&target, move || *asked.lock().expect("zero"), each).expect("a scraper");
        assert_eq!(*calls.lock().expect("calls"), 1);
        *zero.lock().expect("zero") = Some(os::now());
        first.recv().expect("the first answer");
        let scrapes = scraper.finish(true);
        assert_eq!((scrapes.answers, scrapes.gaps), (2, 0));
        let times: Vec<Nanos> = of(&told, "waiting").into_iter().map(|value| value.0).collect();
        assert!(times[0] < 0 && times[1] > 0, "{times:?}");
    }

    #[test]
    fn a_server_without_metrics_is_asked_once() {
        let (target, calls) = server("HTTP/1.1 404 X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        let scraper = Scraper::start(&target, || Some(1), |_, _| panic!("there is nothing to tell"))
            .expect("a scraper");
        assert_eq!(scraper.finish(true).not_scraped.as_deref(), Some("/metrics says 404"));
        assert_eq!(*calls.lock().expect("calls"), 1);
    }
}
