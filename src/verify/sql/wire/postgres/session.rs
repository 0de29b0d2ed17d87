//! One session: statements without rows, questions whose answers are small, and a copy whose rows are taken as they arrive.
//!
//! A session whose rows were not taken to their end answers nothing else: it is to be dropped.
//!
//! Not here: how long is waited for what (the callers' limits), and what is asked.

use std::io;

use crate::verify::sql::wire::postgres::channel::{AtHand, Channel};
use crate::verify::sql::wire::postgres::error::PgWireError;
use crate::verify::sql::wire::postgres::login;
use crate::verify::sql::wire::postgres::messages::{self, kind};
use crate::verify::sql::wire::postgres::options::PgOptions;

/// A row of text; nothing for NULL.
pub type Answer = Vec<Option<String>>;

/// What is at hand of a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next<'a> {
    /// A message of it, whole.
    Whole(&'a [u8]),
    /// A part of one.
    Piece(&'a [u8]),
    /// It has ended, after so many rows as the server counts them.
    End(u64),
    /// Something that is not of the copy, and has been dealt with.
    Aside,
    /// More has to arrive ([`PgWireSession::fill`]).
    Wait,
}

/// How far a copy is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Copied {
    /// Rows arrive.
    Rows,
    /// The server has said that there are no more.
    Done,
    /// It has said how many there were.
    Counted(u64),
}

/// One session.
pub struct PgWireSession {
    channel: Channel,
    /// Whether an answer is on its way.
    busy: bool,
    copied: Copied,
}

impl PgWireSession {
    /// Connects and logs in.
    pub async fn connect(options: &PgOptions) -> Result<Self, PgWireError> {
        Ok(Self::over(login::connect(options).await?))
    }

    /// Over a channel on which somebody has logged in.
    pub fn over(channel: Channel) -> Self {
        Self { channel, busy: false, copied: Copied::Rows }
    }

    /// True while an answer was not taken to its end: nothing more can be asked.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    async fn begin(&mut self, statements: &str) -> Result<(), PgWireError> {
        if self.busy {
            // What broke it has been told; nothing that the server said is wrong.
            return Err(PgWireError::Io(io::Error::new(io::ErrorKind::ConnectionAborted, "an earlier answer was not taken to its end")));
        }
        if statements.contains('\0') {
            return Err(PgWireError::Login("a statement with a NUL in it".into()));
        }
        self.busy = true;
        self.channel.send(&messages::query(statements)).await
    }

    /// Runs statements that have no rows, or whose rows do not matter.
    pub async fn run(&mut self, statements: &str) -> Result<(), PgWireError> {
        self.ask(statements).await.map(|_| ())
    }

    /// The rows of a question, as text.
    pub async fn ask(&mut self, question: &str) -> Result<Vec<Answer>, PgWireError> {
        self.begin(question).await?;
        let (mut answers, mut refused) = (Vec::new(), None);
        loop {
            match self.channel.next().await? {
                (kind::DATA_ROW, body) => answers.push(messages::data_row(body)?),
                (kind::ERROR, body) => refused = refused.or(Some(messages::error(body))),
                (kind::READY, _) => {
                    self.busy = false;
                    return refused.map_or(Ok(answers), Err);
                }
                (kind::ROW_DESCRIPTION | kind::COMMAND_COMPLETE | kind::EMPTY_QUERY, _) => {}
                (other, _) if messages::is_aside(other) => {}
                (other, _) => return Err(login::unexpected(other, "an answer")),
            }
        }
    }

    /// Begins a copy to this side in binary and gives the number of its columns. What arrives is taken with [`PgWireSession::at_hand`].
    pub async fn copy_out(&mut self, statement: &str) -> Result<usize, PgWireError> {
        self.begin(statement).await?;
        self.copied = Copied::Rows;
        loop {
            match self.channel.next().await? {
                (kind::COPY_OUT, body) => return messages::copy_out(body),
                (kind::ERROR, body) => {
                    let refused = messages::error(body);
                    self.until_ready().await?;
                    return Err(refused);
                }
                (other, _) if messages::is_aside(other) => {}
                (other, _) => return Err(login::unexpected(other, "rows")),
            }
        }
    }

    /// What is at hand of the copy.
    #[inline]
    pub fn at_hand(&mut self) -> Result<Next<'_>, PgWireError> {
        let Self { channel, busy, copied } = self;
        match (channel.at_hand()?, &copied) {
            (AtHand::Message(kind::COPY_DATA, body), Copied::Rows) => Ok(Next::Whole(body)),
            (AtHand::Piece(bytes), Copied::Rows) => Ok(Next::Piece(bytes)),
            (AtHand::Wait, _) => Ok(Next::Wait),
            (AtHand::Message(kind, body), _) => after_rows(kind, body, busy, copied),
            (AtHand::Piece(_), _) => Err(PgWireError::protocol("rows after their end")),
        }
    }

    async fn until_ready(&mut self) -> Result<(), PgWireError> {
        loop {
            match self.channel.next().await? {
                (kind::READY, _) => {
                    self.busy = false;
                    return Ok(());
                }
                (other, _) if messages::is_aside(other) => {}
                (other, _) => return Err(login::unexpected(other, "the end of an answer")),
            }
        }
    }

    /// Waits until more has arrived.
    pub async fn fill(&mut self) -> Result<(), PgWireError> {
        self.channel.fill().await
    }

    /// Ends the session politely.
    pub async fn close(mut self) {
        if !self.busy {
            let _ = self.channel.send(&messages::terminate()).await;
        }
    }
}

/// What stands between the rows of a copy, and follows them.
#[cold]
fn after_rows<'a>(kind: u8, body: &[u8], busy: &mut bool, copied: &mut Copied) -> Result<Next<'a>, PgWireError> {
    match (kind, *copied) {
        (kind::ERROR, _) => return Err(messages::error(body)),
        (kind::COPY_DONE, Copied::Rows) => *copied = Copied::Done,
        (kind::COMMAND_COMPLETE, Copied::Done) => *copied = Copied::Counted(messages::rows_copied(body)?),
        (kind::READY, Copied::Counted(rows)) => {
            *busy = false;
            return Ok(Next::End(rows));
        }
        (aside, _) if messages::is_aside(aside) => {}
        (other, _) => return Err(login::unexpected(other, "rows or their end")),
    }
    Ok(Next::Aside)
}
