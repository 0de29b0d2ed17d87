//! How many requests are under way: one limit for all, found while reading or given, and a window for each prefix that was asked to
//! slow down: halved on `503 SlowDown` and on time-outs, widened by one request per window of answers (Chiu and Jain, 1989).
//!
//! S3 scales by prefix, so one that is throttled does not slow the others down.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::verify::objects::climb::Climber;

/// Requests at a time at the start: connections are opened a few at once.
const FIRST: usize = 8;

/// Fewer requests at a time are not tried: a server that is slow with so few is slowed down by its prefixes' windows.
const FEWEST: usize = 4;

/// Never more requests at a time than this without being told.
const MOST: u64 = 256;

/// Bytes of the budget for each request that may be under way.
const BYTES_EACH: u64 = 1 << 20;

/// How long one limit is tried before it is judged.
const SAMPLE: Duration = Duration::from_millis(200);

/// What a request is worth beside its bytes when throughput is judged.
const REQUEST_BYTES: f64 = 65_536.0;

/// Answers within so long after a window was halved say nothing new.
const ONE_CUT: Duration = Duration::from_millis(100);

/// Counts bytes as they arrive. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// So many more.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The gate that requests pass. Clones share it.
#[derive(Clone, Debug)]
pub struct Flow {
    state: Arc<Mutex<State>>,
    meter: Meter,
}

/// Leave to make one request; dropped, the next may go.
#[derive(Debug)]
pub struct Pass {
    flow: Flow,
    prefix: String,
    held: bool,
}

#[derive(Debug)]
struct State {
    limit: usize,
    most: usize,
    climber: Option<Climber>,
    under_way: usize,
    waiting: VecDeque<(String, oneshot::Sender<Pass>)>,
    windows: HashMap<String, Window>,
    sample: Sample,
    slowed: u64,
}

/// What happened since the limit was last judged.
#[derive(Debug)]
struct Sample {
    since: Instant,
    bytes: u64,
    answers: u64,
    /// The limit was what held requests back: otherwise the sample says nothing about it.
    full: bool,
}

#[derive(Debug)]
struct Window {
    under_way: usize,
    /// Absent while the prefix was never slowed down, or has recovered.
    allowed: Option<f64>,
    cut_at: Instant,
}

/// What of a key S3 is taken to scale by: its first two folders.
fn prefix_of(key: &str) -> &str {
    key.match_indices('/').nth(1).or_else(|| key.match_indices('/').next()).map_or("", |(at, _)| &key[..=at])
}

impl Flow {
    /// At most `concurrency` requests at a time; without it as many as prove best, and no more than the byte budget has room for.
    pub fn new(concurrency: Option<usize>, budget_bytes: u64) -> Self {
        let most = concurrency.unwrap_or((budget_bytes / BYTES_EACH).clamp(4, MOST) as usize).max(1);
        let climber = concurrency.is_none().then(|| Climber::new(FIRST, FEWEST, most));
        let limit = climber.as_ref().map_or(most, Climber::limit);
        let sample = Sample { since: Instant::now(), bytes: 0, answers: 0, full: false };
        let state = State { limit, most, climber, under_way: 0, waiting: VecDeque::new(), windows: HashMap::new(), sample, slowed: 0 };
        Self { state: Arc::new(Mutex::new(state)), meter: Meter::default() }
    }

    /// Where arriving bytes are counted.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The most requests that will ever be under way.
    pub fn most(&self) -> usize {
        self.lock().most
    }

    /// How often a prefix was slowed down.
    pub fn slowed(&self) -> u64 {
        self.lock().slowed
    }

    /// Waits for leave to make a request about `key`.
    pub async fn enter(&self, key: &str) -> Pass {
        let waiting = {
            let (go, waiting) = oneshot::channel();
            let mut state = self.lock();
            state.waiting.push_back((prefix_of(key).to_owned(), go));
            let unclaimed = state.admit(self);
            drop(state);
            drop(unclaimed);
            waiting
        };
        waiting.await.expect("a sender is dropped only when it has sent")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }

    fn leave(&self, prefix: &str) {
        let mut state = self.lock();
        state.under_way -= 1;
        if let Some(window) = state.windows.get_mut(prefix) {
            window.under_way -= 1;
            if window.under_way == 0 && window.allowed.is_none() {
                state.windows.remove(prefix);
            }
        }
        state.judge(Instant::now(), self.meter.total());
        let unclaimed = state.admit(self);
        // Not before the lock is open again: each of them leaves as well.
        drop(state);
        drop(unclaimed);
    }
}

impl Pass {
    /// The request was answered and its body read.
    pub fn answered(self) {
        let mut state = self.flow.lock();
        state.sample.answers += 1;
        let most = state.most as f64;
        if let Some(window) = state.windows.get_mut(&self.prefix)
            && let Some(allowed) = window.allowed
        {
            let wider = allowed + 1.0 / allowed;
            window.allowed = (wider < most).then_some(wider);
        }
    }

    /// The request was answered with `SlowDown`, or not in time: its prefix gets half as many at a time.
    pub fn slowed_down(self) {
        let now = Instant::now();
        let mut state = self.flow.lock();
        let most = state.most as f64;
        state.slowed += 1;
        if let Some(window) = state.windows.get_mut(&self.prefix)
            && (window.allowed.is_none() || now.duration_since(window.cut_at) >= ONE_CUT)
        {
            let now_at = window.allowed.unwrap_or(most).min(window.under_way as f64);
            window.allowed = Some((now_at / 2.0).max(1.0));
            window.cut_at = now;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if std::mem::take(&mut self.held) {
            self.flow.leave(&self.prefix);
        }
    }
}

impl State {
    /// Lets those go that may; gives back the leave of those who wait no more.
    fn admit(&mut self, flow: &Flow) -> Vec<Pass> {
        let mut unclaimed = Vec::new();
        let mut index = 0;
        while self.under_way < self.limit && index < self.waiting.len() {
            let now = Instant::now();
            let prefix = &self.waiting[index].0;
            let closed = self.windows.get(prefix).is_some_and(|w| w.allowed.is_some_and(|allowed| w.under_way as f64 + 1.0 > allowed));
            if closed {
                index += 1;
                continue;
            }
            let Some((prefix, go)) = self.waiting.remove(index) else { break };
            self.under_way += 1;
            let window = self.windows.entry(prefix.clone()).or_insert(Window { under_way: 0, allowed: None, cut_at: now });
            window.under_way += 1;
            if let Err(pass) = go.send(Pass { flow: flow.clone(), prefix, held: true }) {
                unclaimed.push(pass);
            }
        }
        self.sample.full |= self.under_way >= self.limit && !self.waiting.is_empty();
        unclaimed
    }

    /// Judges the limit when it was tried for long enough.
    fn judge(&mut self, now: Instant, bytes: u64) {
        let elapsed = now.duration_since(self.sample.since);
        let Some(climber) = self.climber.as_mut().filter(|_| elapsed >= SAMPLE) else { return };
        if self.sample.full {
            let done = (bytes - self.sample.bytes) as f64 + REQUEST_BYTES * self.sample.answers as f64;
            self.limit = climber.sample(done / elapsed.as_secs_f64());
        }
        self.sample = Sample { since: now, bytes, answers: 0, full: false };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_pass_than_the_limit_and_all_come_back() {
        let flow = Flow::new(Some(2), 1 << 30);
        let (a, b) = (flow.enter("a").await, flow.enter("b").await);
        let third = tokio::spawn({
            let flow = flow.clone();
            async move { flow.enter("c").await.answered() }
        });
        // One that gives up waiting must not take a place with it.
        let gone = tokio::spawn({
            let flow = flow.clone();
            async move { drop(flow.enter("d").await) }
        });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        gone.abort();
        drop(a);
        third.await.unwrap();
        drop(b);
        let state = flow.lock();
        assert_eq!((state.under_way, state.windows.len(), state.waiting.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_prefix_that_is_slowed_down_waits_for_itself_alone_and_recovers() {
        let flow = Flow::new(Some(8), 1 << 30);
        let mut passes = Vec::new();
        for n in 0..4 {
            passes.push(flow.enter(&format!("hot/x/{n}")).await);
        }
        passes.pop().unwrap().slowed_down();
        // Of four, two at a time from now on; three are under way.
        let waiting = tokio::spawn({
            let flow = flow.clone();
            async move { flow.enter("hot/x/9").await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "its window is closed");
        drop(flow.enter("cold/y/1").await);
        drop(flow.enter("").await);
        passes.pop().unwrap().answered();
        passes.pop().unwrap().answered();
        waiting.await.unwrap().answered();
        for _ in 0..60 {
            flow.enter("hot/x/1").await.answered();
        }
        drop(passes);
        assert!(flow.lock().windows.is_empty(), "as wide as any other again");
        assert_eq!(flow.slowed(), 1);
    }

    #[test]
    fn prefixes_are_the_first_two_folders() {
        for (key, prefix) in [("a", ""), ("a/b", "a/"), ("a/b/c", "a/b/"), ("a/b/c/d", "a/b/"), ("/x", "/"), ("", "")] {
            assert_eq!(prefix_of(key), prefix);
        }
    }
}
