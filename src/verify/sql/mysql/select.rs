//! One statement that gives a table's rows, until the receiver has enough.
//!
//! Not here: what is read in which order, and what becomes of a session that was lost (`snapshot`).

use std::time::{Duration, Instant};

use crate::verify::sql::connect::errors::Broken;
use crate::verify::sql::mysql::rows::RowStream;
use crate::verify::sql::mysql::session::{Mark, Opener};
use crate::verify::sql::reading::{BREATH, Delivery, Flow};
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::table::Table;
use crate::verify::sql::wire::mysql::session::WireSession;

/// How a reading came to its end.
pub enum Selected {
    /// Every row was read.
    All,
    /// The receiver had enough; a session in which rows are still on their way cannot be asked anything else.
    Enough,
    /// The receiver had enough, and this session shows the same.
    Instead(WireSession),
}

/// How long rows that nobody wants are read, so that their session can be used again and its snapshot is kept.
const READ_OUT: Duration = Duration::from_secs(20);

/// Reads `columns` of `table`; where the receiver has enough, the session stays usable, or another that shows the same as `standing` takes its
/// place.
pub async fn select(
    connection: &mut WireSession,
    table: &Table,
    columns: &[usize],
    (opener, standing): (&Opener, Option<&Mark>),
    delivery: &mut Delivery<'_>,
) -> Result<Selected, Broken> {
    let mut stream = RowStream::open(connection, table, columns, &[], opener.limits).await?;
    let mut row = std::mem::replace(&mut delivery.row, Row::empty());
    loop {
        match stream.some(BREATH, &mut row, &mut |row| delivery.deliver_row(row)).await? {
            Flow::On => {}
            Flow::Ended => return Ok(Selected::All),
            Flow::Enough => break,
        }
    }
    if delivery.has_failed() {
        return Ok(Selected::Enough);
    }
    if let Some(standing) = standing
        && let Ok(session) = opener.open_at(standing).await
    {
        return Ok(Selected::Instead(session));
    }
    let deadline = Instant::now() + READ_OUT;
    while Instant::now() < deadline && stream.some(BREATH, &mut row, &mut |_| true).await? == Flow::On {}
    Ok(Selected::Enough)
}
