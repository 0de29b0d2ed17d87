//! Reading one stretch of an object to its end: asked for again where the request fails, resumed where the body breaks, given up
//! where a body brings nothing, held to its declared length.
//!
//! Not here: what an entry is made of (`fetch`, `split`), and how many requests go at a time (`flow`).

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::task::JoinSet;

use crate::model::failure::{Failure, FailureKind};
use crate::verify::hashing::Hasher;
use crate::verify::objects::flow::{Flow, Meter};
use crate::verify::objects::source::{Body, Entry, ObjectSource, S3Checksum, Told};

/// How often a body may break without bringing anything worth having, the first time included.
const ATTEMPTS: u32 = 5;

/// A body that brought so much before it broke has not used up an attempt.
const PROGRESS_BYTES: u64 = 1 << 20;

/// The pause before the second attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Bodies up to this size are read where they are asked for; larger ones on a task of their own, so that they use all processors.
const INLINE_BYTES: u64 = 64 << 10;

/// What bytes go into as they arrive.
pub trait Sink: Send + 'static {
    /// Takes `bytes` after everything before.
    fn take(&mut self, bytes: &[u8]);

    /// Bytes so far.
    fn bytes(&self) -> u64;
}

impl Sink for Hasher {
    fn take(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }

    fn bytes(&self) -> u64 {
        Hasher::bytes(self)
    }
}

impl Sink for Vec<u8> {
    fn take(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn bytes(&self) -> u64 {
        self.len() as u64
    }
}

/// Why an entry was not read.
#[derive(Debug)]
pub enum Unread {
    /// Something about this entry: it is `unreadable`.
    Entry(Failure),
    /// The source did not answer, or denied the request, which alone says nothing of the entry.
    Source(Failure),
    /// The run was told to read no more: nothing was tried.
    Stopped(Failure),
}

/// How requests go and how long they may take.
#[derive(Clone, Debug)]
pub struct Requests {
    /// The gate before each request.
    pub flow: Flow,
    /// A request or a body that brings nothing for so long has stalled.
    pub stall: Duration,
}

/// Reads the bytes `stretch` of `entry` into the sink that `make` gives once the source has told its checksum; what it told stands beside.
pub async fn read<S: Sink>(
    source: &dyn ObjectSource,
    entry: &Entry,
    stretch: Range<u64>,
    requests: &Requests,
    make: impl FnOnce(Option<&S3Checksum>) -> S + Send,
) -> Result<(S, Told), Unread> {
    let length = stretch.end - stretch.start;
    let mut make = Some(make);
    let mut sink: Option<S> = None;
    let mut told = Told::default();
    let mut tries = Tries::new(source.request_attempts());
    loop {
        let before = sink.as_ref().map_or(0, Sink::bytes);
        let pass = requests.flow.enter(&entry.key).await;
        let from = stretch.start + before;
        let asked = async {
            if stretch.end == entry.size { source.read(entry, from).await } else { source.read_range(entry, from..stretch.end).await }
        };
        let answer = match tokio::time::timeout(requests.stall, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(stalled("no answer", requests.stall)),
        };
        let failure = match answer {
            Ok(mut body) => {
                if told == Told::default() {
                    told = std::mem::take(&mut body.told);
                }
                let into = match (sink.take(), make.take()) {
                    (Some(sink), _) => sink,
                    (None, Some(make)) => make(told.checksum.as_ref()),
                    (None, None) => return Err(Unread::Entry(Failure::new(FailureKind::Remote, "reading the body ended abnormally"))),
                };
                let (into, ended) = take_body(into, body, length - before, requests).await.map_err(Unread::Entry)?;
                let now = into.bytes();
                match ended {
                    Some(failure) if !failure.kind.is_retryable() => return Err(Unread::Entry(failure)),
                    // Every byte that was asked for is here: how the connection ended afterwards says nothing.
                    _ if now == length => {
                        pass.answered();
                        return Ok((into, told));
                    }
                    ended => {
                        let said = || Failure::new(FailureKind::Network, format!("the body ended after {now} of {length} bytes"));
                        let failure = ended.unwrap_or_else(said);
                        if !tries.body_broke(now - before) {
                            let read = stretch.start + now;
                            let said = format!("gave up after {ATTEMPTS} attempts, {read} of {} bytes read", entry.size);
                            return Err(Unread::Entry(failure.context(said)));
                        }
                        sink = Some(into);
                        failure
                    }
                }
            }
            Err(failure) if tries.may_ask_again(&failure) => failure,
            Err(failure) => return Err(of_request(failure)),
        };
        if matches!(failure.kind, FailureKind::Throttled) || failure.message.contains(STALLED) {
            pass.slowed_down();
        } else {
            drop(pass);
        }
        tokio::time::sleep(tries.pause()).await;
    }
}

/// A request that failed to its end. What fails for many objects alike says nothing of one: the caller sees whether others are read.
pub fn of_request(failure: Failure) -> Unread {
    match failure.kind {
        FailureKind::Throttled | FailureKind::Network | FailureKind::Interrupted | FailureKind::Denied | FailureKind::Invalid => {
            Unread::Source(failure)
        }
        _ => Unread::Entry(failure),
    }
}

const STALLED: &str = "stalled:";

fn stalled(what: &str, stall: Duration) -> Failure {
    Failure::new(FailureKind::Network, format!("{STALLED} {what} for {} s", stall.as_secs_f64()))
}

/// Feeds one body to its end. An error means that the sink is lost.
async fn take_body<S: Sink>(sink: S, body: Body, expected: u64, requests: &Requests) -> Result<(S, Option<Failure>), Failure> {
    if body.declared_length != expected {
        let said = format!("expected a body of {expected} bytes, the source declares {}", body.declared_length);
        return Ok((sink, Some(Failure::new(FailureKind::Remote, said))));
    }
    let feeding = feed(sink, body.stream, expected, requests.stall, requests.flow.meter().clone());
    if expected <= INLINE_BYTES {
        return Ok(feeding.await);
    }
    // Dropping the set with this future ends the task.
    let mut task = JoinSet::new();
    task.spawn(feeding);
    match task.join_next().await {
        Some(Ok(fed)) => Ok(fed),
        // A panic of the transport: nothing of this body counts.
        _ => Err(Failure::new(FailureKind::Remote, "reading the body ended abnormally")),
    }
}

/// Feeds `stream` to `sink`; at most `limit` bytes, for a source that sends more than it declared has sent something else.
async fn feed<S: Sink>(
    mut sink: S,
    mut stream: BoxStream<'static, Result<Bytes, Failure>>,
    limit: u64,
    stall: Duration,
    meter: Meter,
) -> (S, Option<Failure>) {
    let mut arrived: u64 = 0;
    loop {
        let bytes = match tokio::time::timeout(stall, stream.next()).await {
            Err(_) => return (sink, Some(stalled("no bytes", stall))),
            Ok(None) => return (sink, None),
            Ok(Some(Err(failure))) => return (sink, Some(failure)),
            Ok(Some(Ok(bytes))) => bytes,
        };
        arrived += bytes.len() as u64;
        if arrived > limit {
            return (sink, Some(Failure::new(FailureKind::Remote, format!("expected {limit} bytes, more arrived"))));
        }
        meter.add(bytes.len() as u64);
        sink.take(&bytes);
    }
}

/// How often it was tried.
struct Tries {
    requests_allowed: u32,
    requests_failed: u32,
    bodies_broken: u32,
    pauses: u32,
}

impl Tries {
    fn new(requests_allowed: u32) -> Self {
        Self { requests_allowed, requests_failed: 0, bodies_broken: 0, pauses: 0 }
    }

    fn may_ask_again(&mut self, failure: &Failure) -> bool {
        self.requests_failed += 1;
        self.pauses += 1;
        failure.kind.is_retryable() && self.requests_failed < self.requests_allowed
    }

    fn body_broke(&mut self, brought: u64) -> bool {
        self.requests_failed = 0;
        if brought >= PROGRESS_BYTES {
            (self.bodies_broken, self.pauses) = (0, 0);
        }
        self.bodies_broken += 1;
        self.pauses += 1;
        self.bodies_broken < ATTEMPTS
    }

    /// Twice as long each time, and up to half of it less by chance: many that fail together must not come back together.
    fn pause(&self) -> Duration {
        let longest = FIRST_PAUSE.saturating_mul(1 << self.pauses.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
        let chance = getrandom::u32().unwrap_or(u32::MAX);
        longest / 2 + longest.mul_f64(f64::from(chance) / f64::from(u32::MAX) / 2.0)
    }
}
