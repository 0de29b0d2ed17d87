//! Messages in both directions over one stream, with one read buffer in which they are looked at where they lie.
//!
//! The buffer holds [`ROOM`]. A piece of a copy that is larger, which is what a row with a large value is, is never held: it is given in
//! pieces as they arrive. Other messages that are larger are held once, up to [`LARGEST`].
//!
//! Not here: what messages say (`messages`).

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::verify::sql::wire::postgres::error::PgWireError;
use crate::verify::sql::wire::postgres::messages::kind;
use crate::verify::sql::wire::transport::Transport;

/// The read buffer: some hundred rows, and still within the processor's second cache.
pub const ROOM: usize = 256 << 10;
/// The largest message that is held whole: no error or answer of a catalogue comes near it.
const LARGEST: usize = 16 << 20;
/// What a message begins with: its kind and its length.
const HEAD: usize = 5;

/// What is at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtHand<'a> {
    /// A message, whole.
    Message(u8, &'a [u8]),
    /// A part of a message of a copy that is larger than the room.
    Piece(&'a [u8]),
    /// More has to arrive.
    Wait,
}

/// Messages in both directions.
pub struct Channel {
    stream: Box<dyn Transport>,
    buffer: Vec<u8>,
    /// What was received and not yet looked at is between these.
    start: usize,
    end: usize,
    /// What has still to come of a message that is given in pieces.
    left: usize,
}

impl Channel {
    /// Over a stream of which nothing has been read.
    pub fn new(stream: Box<dyn Transport>) -> Self {
        Self { stream, buffer: vec![0; ROOM], start: 0, end: 0, left: 0 }
    }

    /// Kind and length of the message at the front; nothing while its head is not whole.
    #[inline]
    fn head(&self) -> Result<Option<(u8, usize)>, PgWireError> {
        let Some([kind, a, b, c, d]) = self.buffer[self.start..self.end].first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_be_bytes([*a, *b, *c, *d]);
        match usize::try_from(length).ok().and_then(|length| length.checked_sub(4)).filter(|_| length <= i32::MAX as u32) {
            Some(body) => Ok(Some((*kind, body))),
            None => Err(PgWireError::protocol(format!("a message of {length} bytes"))),
        }
    }

    /// The next message, or what there is of it.
    #[inline]
    pub fn at_hand(&mut self) -> Result<AtHand<'_>, PgWireError> {
        if self.left > 0 {
            return Ok(self.piece());
        }
        let Some((kind, length)) = self.head()? else { return Ok(AtHand::Wait) };
        let body = self.start + HEAD;
        if self.end - self.start >= HEAD + length {
            self.start = body + length;
            return Ok(AtHand::Message(kind, &self.buffer[body..body + length]));
        }
        if HEAD + length <= ROOM {
            return Ok(AtHand::Wait);
        }
        if kind == kind::COPY_DATA {
            (self.start, self.left) = (body, length);
            return Ok(self.piece());
        }
        if length > LARGEST {
            return Err(PgWireError::protocol(format!("a message of {length} bytes that begins with {kind:#04x}")));
        }
        Ok(AtHand::Wait)
    }

    #[inline]
    fn piece(&mut self) -> AtHand<'_> {
        let from = self.start;
        let count = self.left.min(self.end - from);
        if count == 0 {
            return AtHand::Wait;
        }
        self.left -= count;
        self.start += count;
        AtHand::Piece(&self.buffer[from..from + count])
    }

    /// Waits until more has arrived.
    pub async fn fill(&mut self) -> Result<(), PgWireError> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let needed = match self.head()? {
            Some((_, length)) if self.left == 0 => HEAD + length,
            _ => 0,
        };
        if needed > self.buffer.len() {
            self.buffer.resize(needed.min(HEAD + LARGEST), 0);
        } else if self.buffer.len() > ROOM && needed.max(self.end) <= ROOM {
            self.buffer.truncate(ROOM);
            self.buffer.shrink_to_fit();
        }
        match self.stream.read(&mut self.buffer[self.end..]).await? {
            0 => Err(PgWireError::ended()),
            count => {
                self.end += count;
                Ok(())
            }
        }
    }

    /// The next message, whole; an error where a copy stands in its place that is larger than the room.
    pub async fn next(&mut self) -> Result<(u8, &[u8]), PgWireError> {
        loop {
            // Once more below: a borrow that is returned in one branch lasts for all of them.
            match self.head()? {
                Some((_, length)) if self.left == 0 && self.end - self.start >= HEAD + length => break,
                Some((kind::COPY_DATA, length)) if HEAD + length > ROOM => return Err(PgWireError::protocol("rows that nobody asked for")),
                Some((kind, length)) if length > LARGEST => {
                    return Err(PgWireError::protocol(format!("a message of {length} bytes that begins with {kind:#04x}")));
                }
                _ => self.fill().await?,
            }
        }
        match self.at_hand()? {
            AtHand::Message(kind, body) => Ok((kind, body)),
            _ => Err(PgWireError::protocol("a message that is not there")),
        }
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), PgWireError> {
        self.stream.write_all(message).await?;
        Ok(self.stream.flush().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(messages: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let one = |(kind, body): &(u8, Vec<u8>)| [&[*kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat();
        messages.iter().flat_map(one).collect()
    }

    /// What a channel gives of bytes that arrive so many at a time; pieces are put together.
    async fn received(bytes: &[u8], at_once: usize) -> (Vec<(u8, Vec<u8>)>, PgWireError, usize) {
        let (near, mut far) = tokio::io::duplex(at_once.max(1));
        let mut channel = Channel::new(Box::new(near));
        let feed = async move {
            let _ = far.write_all(bytes).await;
        };
        let read = async move {
            let (mut messages, mut most): (Vec<(u8, Vec<u8>)>, usize) = (Vec::new(), 0);
            let mut joins = false;
            loop {
                most = most.max(channel.buffer.capacity());
                match channel.at_hand() {
                    Ok(AtHand::Message(kind, body)) => messages.push((kind, body.to_vec())),
                    Ok(AtHand::Piece(piece)) => {
                        if !joins {
                            messages.push((kind::COPY_DATA, Vec::new()));
                        }
                        messages.last_mut().unwrap().1.extend(piece);
                        joins = channel.left > 0;
                    }
                    Ok(AtHand::Wait) => {
                        if let Err(error) = channel.fill().await {
                            return (messages, error, most);
                        }
                    }
                    Err(error) => return (messages, error, most),
                }
            }
        };
        tokio::join!(feed, read).1
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    #[test]
    fn rows_larger_than_the_room_are_given_in_pieces_and_other_messages_held() {
        let long: Vec<u8> = (0..5 * ROOM + 7).map(|at| (at % 251) as u8).collect();
        let rows =
            vec![(b'd', vec![1; 9]), (b'd', long.clone()), (b'd', vec![2; ROOM - HEAD]), (b'd', vec![3; ROOM - HEAD + 1]), (b'c', vec![])];
        for at_once in [4_099, 3 * ROOM] {
            let (messages, error, most) = run(received(&sent(&rows), at_once));
            assert!(messages == rows && matches!(error, PgWireError::Io(_)), "{error}");
            assert_eq!(most, ROOM);
        }
        let held = vec![(b'E', long), (b'Z', vec![b'I'])];
        let (messages, _, most) = run(received(&sent(&held), 1 << 20));
        assert!(messages == held && most > 5 * ROOM);
        run(async {
            let mut channel = Channel::new(Box::new(std::io::Cursor::new(sent(&held))));
            assert_eq!(channel.next().await.unwrap().1.len(), 5 * ROOM + 7);
            assert_eq!(channel.next().await.unwrap(), (b'Z', &b"I"[..]));
            assert!(channel.next().await.is_err());
            assert_eq!(channel.buffer.capacity(), ROOM, "given back");
            let mut channel = Channel::new(Box::new(std::io::Cursor::new(sent(&rows))));
            assert_eq!(channel.next().await.unwrap().1.len(), 9);
            assert!(channel.next().await.unwrap_err().to_string().contains("nobody asked"));
        });
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        for (bytes, part) in [
            (b"Z\0\0\0\x03I".to_vec(), "3 bytes"),
            (b"Z\xff\xff\xff\xffI".to_vec(), "4294967295 bytes"),
            (b"E\x7f\0\0\0I".to_vec(), "0x45"),
        ] {
            let (_, error, most) = run(received(&bytes, 64));
            assert!(matches!(&error, PgWireError::Protocol(said) if said.contains(part)), "{error}");
            assert_eq!(most, ROOM);
            let mut channel = Channel::new(Box::new(std::io::Cursor::new(bytes)));
            assert!(matches!(run(async { channel.next().await.map(|_| ()) }), Err(PgWireError::Protocol(_))));
        }
    }

    proptest! {
        #[test]
        fn messages_arrive_whatever_the_chunks(bodies in prop::collection::vec((any::<u8>(), 0usize..600), 0..30), at_once in 1usize..700) {
            let messages: Vec<(u8, Vec<u8>)> = bodies.into_iter().map(|(kind, size)| (kind, vec![size as u8; size])).collect();
            let whole = sent(&messages);
            let (read, error, _) = run(received(&whole, at_once));
            prop_assert!(read == messages && matches!(error, PgWireError::Io(_)));
            let cut = whole.len() / 2;
            let (read, ..) = run(received(&whole[..cut], at_once));
            prop_assert!(messages.starts_with(&read));
        }

        #[test]
        fn any_bytes_are_messages_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = run(received(&bytes, 16));
        }
    }
}
