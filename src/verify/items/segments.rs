//! All segments of a table at once: pages as they come, each segment with its own back-off, capacity shared.
//!
//! A segment that is throttled or cut off begins again after its last page, with growing pauses, until its patience is at an end without
//! a page: then it fails, and what follows in it is unread.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::model::failure::{Failure, FailureKind};
use crate::verify::items::pace::Pacer;
use crate::verify::items::page::{Next, Page};
use crate::verify::items::source::{ItemSource, Part};

/// The first pause of a back-off; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// A page and the segment that it is of.
pub type Read = (u32, Result<Page, Failure>);

/// Pages of all segments as they come; dropping it stops the reading.
pub struct Pages {
    pages: mpsc::Receiver<Read>,
    /// Aborted when dropped.
    readers: JoinSet<()>,
}

/// Where each segment begins: at its start, after a position, or not at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum From {
    /// At its start.
    Start,
    /// After the position of an earlier scan.
    After(String),
    /// It was read to its end.
    Read,
}

impl Pages {
    /// Begins to read; `from` has one entry a segment.
    pub fn start(
        source: &Arc<dyn ItemSource>,
        from: Vec<From>,
        projection: Option<&[String]>,
        pacer: &Arc<Pacer>,
        patience: Duration,
    ) -> Self {
        let total = u32::try_from(from.len()).unwrap_or(u32::MAX);
        // One page a segment may wait while others are being digested: memory is bounded by 2 MiB a segment.
        let (sender, pages) = mpsc::channel(total.clamp(1, 64) as usize);
        let mut readers = JoinSet::new();
        for (segment, from) in (0..total).zip(from) {
            let after = match from {
                From::Read => continue,
                From::Start => None,
                From::After(position) => Some(position),
            };
            let projection = projection.map(<[String]>::to_vec);
            let part = Part { segment, total, after, projection, pacer: pacer.clone() };
            let reader = Reader { source: source.clone(), part, patience, sender: sender.clone() };
            readers.spawn(reader.run());
        }
        Self { pages, readers }
    }

    /// The next page; a reader that died without a word is a failure, not the end of its segment.
    pub async fn next(&mut self) -> Option<Read> {
        if let Some(page) = self.pages.recv().await {
            return Some(page);
        }
        while let Some(ended) = self.readers.join_next().await {
            if let Err(error) = ended {
                let failure = Failure::new(FailureKind::Remote, format!("a segment's reader ended by itself: {error}"));
                return Some((u32::MAX, Err(failure)));
            }
        }
        None
    }
}

struct Reader {
    source: Arc<dyn ItemSource>,
    part: Part,
    patience: Duration,
    sender: mpsc::Sender<Read>,
}

impl Reader {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut stuck_since: Option<Instant> = None;
        // Whether a new stream would begin where the last one broke off.
        let mut can_begin_again = true;
        loop {
            let mut stream = self.source.scan(&self.part);
            let failure = loop {
                let booked = self.part.pacer.turn().await;
                let page = match stream.next().await {
                    None => return,
                    Some(Err(failure)) => break failure,
                    Some(Ok(page)) => page,
                };
                self.part.pacer.spent(booked, page.consumed_rcu.or(self.source.is_free().then_some(0.0)), page.records.count());
                (pause, stuck_since) = (FIRST_PAUSE, None);
                can_begin_again = match &page.next {
                    Next::After(position) => {
                        self.part.after = Some(position.clone());
                        true
                    }
                    Next::Onward => false,
                    Next::End => {
                        let _ = self.sender.send((self.part.segment, Ok(page))).await;
                        return;
                    }
                };
                if self.sender.send((self.part.segment, Ok(page))).await.is_err() {
                    return;
                }
            };
            let since = *stuck_since.get_or_insert_with(Instant::now);
            let may_pass = matches!(failure.kind, FailureKind::Throttled | FailureKind::Network);
            if !may_pass || !can_begin_again || since.elapsed() + pause > self.patience {
                let _ = self.sender.send((self.part.segment, Err(failure))).await;
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
