//! Lanes: several sessions that show the same rows read one table, each a range of it at a time.
//!
//! A range counts only when it was read to its end, so that a lane that loses its session reads the range again and nothing is counted
//! twice. Ranges that an earlier run has read to their end are taken from where it kept them.
//!
//! Not here: how a table is cut into ranges and how a range is read (`postgres::block_ranges`, `mysql::key_ranges`).

use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::model::failure::{Failure, FailureKind};
use crate::verify::buckets::Record;
use crate::verify::sql::connect::errors::Broken;
use crate::verify::sql::connect::heard::with_patience;
use crate::verify::sql::kept::KeptTable;
use crate::verify::sql::reading::{Cause, HELD_BACK, Harvest, HarvestSink, Ranges, ReadError};
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::digester::Digester;

/// A table that is read in ranges.
#[async_trait]
pub trait Ranged: Send + Sync + 'static {
    /// What reads it.
    type Session: Send + 'static;

    /// Another session that shows the same rows.
    async fn open(&self) -> Result<Self::Session, Failure>;

    /// Fewer sessions could be had than were wanted.
    fn fewer(&self, had: usize, wanted: usize, why: &Failure);

    /// Reads one range to its end; false where nobody receives any more.
    async fn read(&self, session: &mut Self::Session, range: &[String], outlet: &mut Outlet) -> Result<bool, Broken>;

    /// Whether a session in which a reading broke, and which was not lost, still shows the same rows.
    fn is_good(session: &Self::Session) -> bool;

    /// Ends a session in the middle of something.
    async fn discard(session: Self::Session);
}

enum Message {
    Read { rows: u64, bytes: u64 },
    Records { of: (usize, u32), records: Vec<Record>, notes: Vec<Record>, last: bool },
}

/// Where the rows of one range go.
pub struct Outlet {
    sender: mpsc::Sender<Message>,
    digester: Digester,
    of: (usize, u32),
    records: Vec<Record>,
    rooms: Rooms,
    handed_on: bool,
    rows: u64,
    bytes: u64,
}

impl Outlet {
    /// An empty row to fill.
    pub fn blank(&self) -> Row {
        self.digester.row()
    }

    /// Takes a row in.
    pub fn row(&mut self, row: &Row) {
        self.digester.gather(row, &mut self.records);
        self.rows += 1;
        self.bytes += row.hashed_bytes();
    }

    /// To be called every [`crate::verify::sql::reading::BREATH`] rows; false where nobody receives any more.
    pub async fn breathe(&mut self) -> bool {
        // A lane whose rows are always there already would leave those beside it no turn.
        tokio::task::yield_now().await;
        let (rows, bytes) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.bytes));
        if rows > 0 && self.sender.send(Message::Read { rows, bytes }).await.is_err() {
            return false;
        }
        if self.records.len() + self.digester.noted() < HELD_BACK {
            return true;
        }
        self.handed_on = true;
        self.hand_on(false).await
    }

    async fn hand_on(&mut self, last: bool) -> bool {
        self.digester.flush(&mut self.records);
        let room = if last { Vec::new() } else { self.rooms.take() };
        let (records, notes) = (std::mem::replace(&mut self.records, room), self.digester.take_notes());
        self.sender.send(Message::Records { of: self.of, records, notes, last }).await.is_ok()
    }
}

struct Plan<S> {
    source: S,
    digester: Digester,
    ranges: Ranges,
    todo: Vec<usize>,
    shares: Shares,
    rooms: Rooms,
}

/// Room for records, given back by whoever has taken them in. What nobody is going to take is not kept: it would grow with the table.
#[derive(Clone, Default)]
struct Rooms(Arc<Mutex<Vec<Vec<Record>>>>);

impl Rooms {
    /// As many as are under way at once.
    const MOST: usize = 8;

    fn take(&self) -> Vec<Record> {
        self.0.lock().expect("no panic while held").pop().unwrap_or_default()
    }

    fn give_back(&self, mut room: Vec<Record>) {
        let mut rooms = self.0.lock().expect("no panic while held");
        if rooms.len() < Self::MOST {
            room.clear();
            rooms.push(room);
        }
    }
}

/// Which of what is to be done each lane does: a stretch of neighbours, since servers read ahead, and when that is done the second half of
/// the longest stretch that another has left.
struct Shares(Mutex<Vec<Range<usize>>>);

impl Shares {
    fn new(count: usize, lanes: usize) -> Self {
        let lanes = lanes.max(1);
        Self(Mutex::new((0..lanes).map(|lane| count * lane / lanes..count * (lane + 1) / lanes).collect()))
    }

    fn next(&self, lane: usize) -> Option<usize> {
        let mut left = self.0.lock().expect("no panic while held");
        if left[lane].is_empty() {
            let longest = (0..left.len()).max_by_key(|other| left[*other].len())?;
            let middle = left[longest].start + left[longest].len() / 2;
            left[lane] = middle..left[longest].end;
            left[longest].end = middle;
        }
        left[lane].next()
    }

    /// Nothing more is begun.
    fn stop(&self) {
        self.0.lock().expect("no panic while held").fill(0..0);
    }
}

/// Reads `ranges` of a table with at most `lanes` sessions: `first`, then those of `spare`, then new ones. Healthy ones are put back into
/// `spare`. Gives the number of rows.
pub async fn digest<S: Ranged>(
    source: S,
    (first, spare): (S::Session, &mut Vec<S::Session>),
    (ranges, lanes): (Ranges, usize),
    digester: &Digester,
    mut kept: Option<&mut KeptTable<'_>>,
    sink: HarvestSink<'_>,
) -> Result<u64, ReadError> {
    let stopped = |rows| move |failure| ReadError { rows, cause: Cause::Stopped(failure) };
    let ranges = match &mut kept {
        Some(kept) => kept.plan(ranges).map_err(stopped(0))?,
        None => ranges,
    };
    let done = |at: &usize| kept.as_ref().is_some_and(|kept| kept.is_done(*at));
    let (known, todo): (Vec<usize>, Vec<usize>) = (0..ranges.len()).partition(done);
    let mut certain = 0;
    if let Some(kept) = &mut kept {
        for at in known {
            certain += kept.replay(at, sink).map_err(stopped(certain))?;
        }
    }
    let wanted = lanes.clamp(1, todo.len().max(1));
    let shares = Shares::new(todo.len(), wanted);
    let plan = Arc::new(Plan { source, digester: digester.clone(), ranges, todo, shares, rooms: Rooms::default() });
    let (sender, receiver) = mpsc::channel(8);
    let ready: Vec<_> = std::iter::once(first).chain(std::iter::from_fn(|| spare.pop()).take(wanted - 1)).collect();
    // The others are opened while those at hand read.
    let beginning = tokio::spawn(begin(plan.clone(), ready, wanted, sender));
    let (rows, fresh, failed) = gather(receiver, &plan.rooms, kept, sink).await;
    let mut broken = None;
    let lanes = beginning.await.unwrap_or_else(|error| {
        broken = Some(Broken::data(format!("lanes ended: {error}")));
        Vec::new()
    });
    for lane in lanes {
        match lane.await {
            Ok((session, said)) => {
                spare.extend(session);
                broken = broken.or(said);
            }
            Err(error) => broken = broken.or(Some(Broken::data(format!("a lane ended: {error}")))),
        }
    }
    match (failed, broken) {
        (Some(failure), _) => Err(ReadError { rows: certain + rows, cause: Cause::Stopped(failure) }),
        (None, Some(broken)) => Err(ReadError { rows: certain + rows, cause: Cause::Unreadable(broken.failure()) }),
        (None, None) => Ok(certain + fresh),
    }
}

/// What a session that did not open means: a server that is full, gone or lets this reader in no more says nothing of the table, and the
/// next table would fare no better.
pub fn not_opened(failure: Failure) -> ReadError {
    let cause = if failure.kind.is_outside_the_data() { Cause::Stopped(failure) } else { Cause::Unreadable(failure) };
    ReadError { rows: 0, cause }
}

/// What broke first, and why there is no other session to read it again. The first is the reason: the second only follows from it.
fn not_again(first: Option<Broken>, failure: Failure) -> Broken {
    match first {
        Some(first) => Broken { said: format!("{}; no other session takes its place: {}", first.said, failure.message), ..first },
        None => Broken { said: failure.message, lost: true, kind: failure.kind },
    }
}

/// Rows that were read, rows that are certain, and what stopped the receiver. A range that is read again is read twice and counts once.
async fn gather(
    mut receiver: mpsc::Receiver<Message>,
    rooms: &Rooms,
    mut kept: Option<&mut KeptTable<'_>>,
    sink: HarvestSink<'_>,
) -> (u64, u64, Option<Failure>) {
    let (mut read, mut certain) = (0, 0);
    while let Some(message) = receiver.recv().await {
        let taken = match message {
            Message::Read { rows, bytes } => {
                read += rows;
                sink(Harvest::Read { rows, bytes })
            }
            Message::Records { of, records, notes, last } => {
                certain += records.len() as u64;
                let keep = kept.as_mut().map_or(Ok(()), |kept| kept.append(of, (&records, &notes), last));
                let taken = keep.and_then(|()| sink(Harvest::Notes(&notes))).and_then(|_| sink(Harvest::Records(&records)));
                rooms.give_back(records);
                taken
            }
        };
        match taken {
            Ok(true) => {}
            Ok(false) => return (read, certain, None),
            Err(failure) => return (read, certain, Some(failure)),
        }
    }
    (read, certain, None)
}

/// Begins a lane for each session at hand, and for others as they open, `wanted` in all. A server that gives no more sessions is read with
/// those that there are.
async fn begin<S: Ranged>(plan: Arc<Plan<S>>, ready: Vec<S::Session>, wanted: usize, sender: mpsc::Sender<Message>) -> Vec<Lane<S>> {
    let mut lanes = Vec::new();
    let mut ready = ready.into_iter();
    while lanes.len() < wanted {
        let session = match ready.next() {
            Some(session) => session,
            None if sender.is_closed() => break,
            None => match plan.source.open().await {
                Ok(session) => session,
                Err(failure) => {
                    if failure.kind == FailureKind::Throttled {
                        plan.source.fewer(lanes.len(), wanted, &failure);
                    }
                    break;
                }
            },
        };
        lanes.push(tokio::spawn(lane(plan.clone(), lanes.len(), session, sender.clone())));
    }
    lanes
}

/// A lane at work: in the end it gives its session back where it is still good, and what broke it.
type Lane<S> = JoinHandle<(Option<<S as Ranged>::Session>, Option<Broken>)>;

/// Takes range after range; gives its session back where it is still good, and what broke it.
async fn lane<S: Ranged>(
    plan: Arc<Plan<S>>,
    number: usize,
    session: S::Session,
    sender: mpsc::Sender<Message>,
) -> (Option<S::Session>, Option<Broken>) {
    let mut session = Some(session);
    let mut again = None;
    let mut first = None;
    let mut attempt = 0;
    loop {
        let next = again.take().or_else(|| plan.todo.get(plan.shares.next(number)?).copied());
        let Some((at, range)) = next.and_then(|at| Some((at, plan.ranges.get(at)?))) else { return (session, None) };
        let (mut open, is_new) = match session.take() {
            Some(open) => (open, false),
            // The one that was lost may not have ended on the server's side yet.
            None => match with_patience(|| plan.source.open()).await {
                Ok(open) => (open, true),
                Err(failure) => return (None, Some(not_again(first, failure))),
            },
        };
        attempt += 1;
        let mut outlet = Outlet {
            sender: sender.clone(),
            digester: plan.digester.clone(),
            of: (at, attempt),
            records: plan.rooms.take(),
            rooms: plan.rooms.clone(),
            handed_on: false,
            rows: 0,
            bytes: 0,
        };
        match plan.source.read(&mut open, range, &mut outlet).await {
            Ok(true) if outlet.breathe().await && outlet.hand_on(true).await => (session, first) = (Some(open), None),
            Ok(_) => {
                tokio::spawn(S::discard(open));
                return (None, None);
            }
            Err(broken) if !broken.lost && S::is_good(&open) => {
                plan.shares.stop();
                return (Some(open), Some(broken));
            }
            Err(broken) => {
                tokio::spawn(S::discard(open));
                if !broken.lost || outlet.handed_on || is_new {
                    // The others need not begin what cannot be concluded.
                    plan.shares.stop();
                    return (None, Some(broken));
                }
                (again, first) = (Some(at), Some(broken));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn room_is_used_again_and_does_not_grow_with_the_table() {
        let rooms = Rooms::default();
        (0..1_000).for_each(|_| rooms.give_back(vec![[1; size_of::<Record>()]; 10]));
        let kept: Vec<_> = std::iter::repeat_with(|| rooms.take()).take_while(|room| room.capacity() > 0).collect();
        assert!(kept.len() == Rooms::MOST && kept.iter().all(Vec::is_empty));
    }

    proptest! {
        /// Whatever the lanes' speeds, each range is read by one lane, and mostly after its neighbour.
        #[test]
        fn each_range_is_somebodys(count in 0usize..200, turns in prop::collection::vec(0usize..5, 0..300), lanes in 1usize..6) {
            let shares = Shares::new(count, lanes);
            let mut taken: Vec<usize> = turns.iter().filter_map(|lane| shares.next(lane % lanes)).collect();
            prop_assert_eq!(taken.len(), count.min(turns.len()));
            taken.extend((0..lanes).flat_map(|lane| std::iter::from_fn(|| shares.next(lane)).collect::<Vec<_>>()));
            taken.sort_unstable();
            prop_assert!(taken.iter().copied().eq(0..count));
            let shares = Shares::new(count + 2 * lanes, lanes);
            prop_assert_eq!((shares.next(0), shares.next(0)), (Some(0), Some(1)));
            shares.stop();
            prop_assert!((0..lanes).all(|lane| shares.next(lane).is_none()));
        }
    }
}
