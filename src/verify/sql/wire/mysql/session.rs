//! One session: statements without rows, questions whose answers are small, and a prepared statement whose rows are taken one by one.
//!
//! A session whose rows were not taken to their end answers nothing else: it is to be dropped.
//!
//! Not here: how long is waited for what (the callers' limits), and what is asked.

use std::io;

use crate::verify::sql::wire::mysql::answers::Answer;
use crate::verify::sql::wire::mysql::channel::Channel;
use crate::verify::sql::wire::mysql::error::WireError;
use crate::verify::sql::wire::mysql::login;
use crate::verify::sql::wire::mysql::options::MysqlOptions;
use crate::verify::sql::wire::mysql::packets;
use crate::verify::sql::wire::mysql::pieces::Pieces;
use crate::verify::sql::wire::mysql::values::{RowFault, Shape, each_value};

/// What is at hand of rows that stream.
#[derive(Debug)]
pub enum Next<'a> {
    /// A row's packet.
    Row(&'a [u8]),
    /// The rows have ended.
    End,
    /// More has to arrive ([`WireSession::fill`]).
    Wait,
}

/// One session.
pub struct WireSession {
    channel: Channel,
    /// Whether rows end with a packet of the new kind.
    deprecated: bool,
    /// Whether an answer is on its way.
    busy: bool,
}

impl WireSession {
    /// Connects and logs in; text is UTF-8 from here on, and times are UTC.
    pub async fn connect(options: &MysqlOptions) -> Result<Self, WireError> {
        let (channel, deprecated) = login::connect(options).await?;
        let mut session = Self::over(channel, deprecated);
        session.run("SET time_zone = '+00:00', NAMES utf8mb4").await?;
        Ok(session)
    }

    /// Over a channel on which somebody has logged in.
    pub fn over(channel: Channel, deprecated: bool) -> Self {
        Self { channel, deprecated, busy: false }
    }

    /// True while an answer was not taken to its end: nothing more can be asked.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    async fn command(&mut self, packets: &[&[u8]]) -> Result<(), WireError> {
        if self.busy {
            // What broke it has been told; nothing that the server said is wrong.
            return Err(WireError::Io(io::Error::new(io::ErrorKind::ConnectionAborted, "an earlier answer was not taken to its end")));
        }
        self.busy = true;
        self.channel.command(packets).await
    }

    /// The end of an answer: what the server says instead of one is an end too.
    fn ended<T>(&mut self, answer: Result<T, WireError>) -> Result<T, WireError> {
        if matches!(answer, Ok(_) | Err(WireError::Server { .. })) {
            self.busy = false;
        }
        answer
    }

    /// Runs a statement that has no rows.
    pub async fn run(&mut self, statement: &str) -> Result<(), WireError> {
        self.command(&[&packets::query(statement)]).await?;
        let done = packets::done(self.channel.next().await?);
        self.ended(done)
    }

    /// Has the server send rows up to so many bytes at a time: its buffer, 16 KiB at first, grows to the longest packet that it was sent, and
    /// stays so. It must allow packets of that length.
    pub async fn widen(&mut self, length: usize) -> Result<(), WireError> {
        self.command(&[&packets::ping(length)]).await?;
        let done = packets::done(self.channel.next().await?);
        self.ended(done)
    }

    /// The rows of a question with texts for its `?`.
    pub async fn ask(&mut self, question: &str, values: &[&str]) -> Result<Vec<Answer>, WireError> {
        let shapes = self.select(question, values).await?;
        let mut answers = Vec::new();
        loop {
            let mut answer = Answer::default();
            match self.at_hand()? {
                Next::Wait => self.fill().await?,
                Next::End => return Ok(answers),
                Next::Row(packet) => {
                    let taken = each_value(&shapes, packet, |_, value| {
                        answer.0.push(value.map(<[u8]>::to_vec));
                        Ok(())
                    });
                    match taken {
                        Ok(()) => answers.push(answer),
                        Err(RowFault::Wire(error)) => return Err(error),
                        Err(RowFault::Value(_, said)) => return Err(WireError::Protocol(said)),
                    }
                }
            }
        }
    }

    /// Runs a question as a prepared statement, since the text protocol rounds floats, and gives the shapes of its columns. Its rows are
    /// taken with [`WireSession::at_hand`] until they end.
    pub async fn select(&mut self, question: &str, values: &[&str]) -> Result<Vec<Shape>, WireError> {
        self.command(&[&packets::prepare(question)]).await?;
        let prepared = packets::prepared(self.channel.next().await?);
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return self.ended(Err(error)),
        };
        // What they say of values and columns is not yet final.
        for count in [prepared.parameters, prepared.columns] {
            for _ in 0..count {
                self.channel.next().await?;
            }
            self.end_of_definitions(count.into()).await?;
        }
        self.busy = false;
        if usize::from(prepared.parameters) != values.len() {
            return Err(WireError::protocol(format!("a statement with {} values, given {}", prepared.parameters, values.len())));
        }
        // The server forgets the statement when its rows have been sent, and says nothing of it.
        self.command(&[&packets::execute(prepared.id, values), &packets::close(prepared.id)]).await?;
        let count = packets::column_count(self.channel.next().await?);
        match count {
            Ok(0) => self.ended(Err(WireError::protocol("a question without rows"))),
            Ok(count) => self.definitions(count).await,
            Err(error) => self.ended(Err(error)),
        }
    }

    async fn definitions(&mut self, count: u64) -> Result<Vec<Shape>, WireError> {
        let mut shapes = Vec::new();
        for _ in 0..count {
            shapes.push(Shape::of(packets::definition(self.channel.next().await?)?)?);
        }
        self.end_of_definitions(count).await?;
        Ok(shapes)
    }

    async fn end_of_definitions(&mut self, count: u64) -> Result<(), WireError> {
        if count == 0 || self.deprecated {
            return Ok(());
        }
        packets::end(self.channel.next().await?, false)
    }

    /// What is at hand of the rows that stream.
    #[inline]
    pub fn at_hand(&mut self) -> Result<Next<'_>, WireError> {
        let Some(packet) = self.channel.at_hand()? else { return Ok(Next::Wait) };
        if packet.first() == Some(&0) {
            return Ok(Next::Row(packet));
        }
        let end = packets::end(packet, self.deprecated);
        if matches!(end, Ok(()) | Err(WireError::Server { .. })) {
            self.busy = false;
        }
        end.map(|()| Next::End)
    }

    /// Waits until more has arrived.
    pub async fn fill(&mut self) -> Result<(), WireError> {
        self.channel.fill().await
    }

    /// Whether the packet that has begun to arrive is too long to be held ([`WireSession::pieces`]).
    #[inline]
    pub fn is_long(&self) -> bool {
        self.channel.is_long()
    }

    /// That packet, in pieces.
    pub fn pieces(&mut self) -> Pieces<'_> {
        Pieces::new(&mut self.channel)
    }

    /// Ends the session politely.
    pub async fn close(mut self) {
        if !self.busy {
            let _ = self.channel.command(&[&packets::quit()]).await;
        }
    }
}
