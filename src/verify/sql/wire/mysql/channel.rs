//! Packets in both directions over one stream, with one read buffer in which they are looked at where they lie.
//!
//! The buffer holds [`ROOM`] and grows to hold one packet that is larger. A packet that is continued (16 MiB and more) is joined where it
//! lies. Packets that are longer than [`HELD`] need not be held at all (`pieces`).
//!
//! Not here: what packets say (`packets`).

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::verify::sql::wire::mysql::error::WireError;
use crate::verify::sql::wire::transport::Transport;

/// The read buffer: some hundred rows, and still within the processor's second cache.
pub const ROOM: usize = 256 << 10;
/// Whatever is longer can be taken in pieces.
pub const HELD: usize = 8 << 20;
/// A packet of this length is continued by the next one.
pub const CONTINUED: usize = 0xff_ffff;
/// The largest row that a server may send (`max_allowed_packet` goes no further), and its heads.
pub const LARGEST: usize = (1 << 30) + (1 << 20);

/// Packets in both directions.
pub struct Channel {
    stream: Box<dyn Transport>,
    buffer: Vec<u8>,
    /// What was received and not yet looked at is between these.
    start: usize,
    end: usize,
    /// The number that the next packet has to bear.
    sequence: u8,
}

/// Length and number of a packet; nothing while its head is not whole.
#[inline]
fn head(bytes: &[u8]) -> Option<(usize, u8)> {
    bytes.first_chunk::<4>().map(|[a, b, c, number]| (u32::from_le_bytes([*a, *b, *c, 0]) as usize, *number))
}

#[cold]
fn out_of_order(expected: u8, found: u8) -> WireError {
    WireError::protocol(format!("expected packet {expected} of the answer, found {found}"))
}

impl Channel {
    /// Over a stream of which nothing has been read.
    pub fn new(stream: Box<dyn Transport>) -> Self {
        Self { stream, buffer: vec![0; ROOM], start: 0, end: 0, sequence: 0 }
    }

    /// The stream, to go on in TLS with the same numbers; an error where something has arrived that was not asked for.
    pub fn upgrade(self) -> Result<(Box<dyn Transport>, u8), WireError> {
        match self.start == self.end {
            true => Ok((self.stream, self.sequence)),
            false => Err(WireError::protocol("the server speaks before TLS has begun")),
        }
    }

    /// The other half of [`Channel::upgrade`].
    pub fn upgraded(stream: Box<dyn Transport>, sequence: u8) -> Self {
        Self { sequence, ..Self::new(stream) }
    }

    /// The next packet, where it is whole in the buffer.
    #[inline]
    pub fn at_hand(&mut self) -> Result<Option<&[u8]>, WireError> {
        let have = &self.buffer[self.start..self.end];
        let Some((length, number)) = head(have) else { return Ok(None) };
        if number != self.sequence {
            return Err(out_of_order(self.sequence, number));
        }
        if length == CONTINUED {
            return self.continued_at_hand();
        }
        if have.len() < 4 + length {
            return Ok(None);
        }
        self.sequence = self.sequence.wrapping_add(1);
        let body = self.start + 4;
        self.start = body + length;
        Ok(Some(&self.buffer[body..self.start]))
    }

    /// The same of a packet that is continued: its parts are moved together.
    #[cold]
    fn continued_at_hand(&mut self) -> Result<Option<&[u8]>, WireError> {
        let (Some(after), parts) = self.extent()? else { return Ok(None) };
        let body = self.start + 4;
        let (mut end, mut from) = (body, body);
        for _ in 0..parts {
            let (length, _) = head(&self.buffer[from - 4..]).unwrap_or_default();
            self.buffer.copy_within(from..from + length, end);
            end += length;
            from += length + 4;
        }
        self.start = after;
        self.sequence = self.sequence.wrapping_add(parts);
        Ok(Some(&self.buffer[body..end]))
    }

    /// Where the packet at the front ends, once it is whole, and of how many parts it is.
    fn extent(&self) -> Result<(Option<usize>, u8), WireError> {
        let (needed, whole, parts) = self.needed()?;
        Ok((whole.then_some(needed), parts))
    }

    /// How far the buffer must be filled before more is known of the packet at the front, whether that is the case, and its parts.
    fn needed(&self) -> Result<(usize, bool, u8), WireError> {
        let (mut at, mut parts) = (self.start, 0u8);
        loop {
            let Some((length, number)) = head(&self.buffer[at..self.end]) else { return Ok((at + 4, false, parts)) };
            let expected = self.sequence.wrapping_add(parts);
            if number != expected {
                return Err(out_of_order(expected, number));
            }
            at += 4 + length;
            parts = parts.wrapping_add(1);
            if at - self.start > LARGEST {
                return Err(WireError::protocol(format!("a packet of more than {LARGEST} bytes")));
            }
            if at > self.end || length < CONTINUED {
                return Ok((at, at <= self.end, parts));
            }
        }
    }

    /// Whether the packet at the front is longer than [`HELD`]; false while its head is not whole.
    #[inline]
    pub fn is_long(&self) -> bool {
        head(self.ahead()).is_some_and(|(length, _)| length > HELD)
    }

    /// Goes past the head at the front and gives the length that it states; nothing while it is not whole.
    pub fn pass_head(&mut self) -> Result<Option<usize>, WireError> {
        let Some((length, number)) = head(self.ahead()) else { return Ok(None) };
        if number != self.sequence {
            return Err(out_of_order(self.sequence, number));
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.start += 4;
        Ok(Some(length))
    }

    /// What was received and not yet looked at.
    #[inline]
    pub fn ahead(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The first bytes of what is [`Channel::ahead`], at most so many; goes past them.
    pub fn pass(&mut self, most: usize) -> &[u8] {
        let from = self.start;
        self.start += most.min(self.end - from);
        &self.buffer[from..self.start]
    }

    /// Moves what is ahead to the front of the buffer.
    fn move_to_front(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
    }

    /// Waits until more has arrived of a packet that need not be whole; there must be room, which few bytes ahead leave.
    pub async fn receive(&mut self) -> Result<(), WireError> {
        self.move_to_front();
        self.read_on().await
    }

    /// Waits until more has arrived.
    pub async fn fill(&mut self) -> Result<(), WireError> {
        self.move_to_front();
        let (needed, ..) = self.needed()?;
        if needed > self.buffer.len() {
            // No further than to where the packet goes: values of hundreds of MiB are held once.
            self.buffer.reserve_exact(needed - self.buffer.len());
            self.buffer.resize(needed, 0);
        } else if self.buffer.len() > ROOM && needed.max(self.end) <= ROOM {
            self.buffer.truncate(ROOM);
            self.buffer.shrink_to_fit();
        }
        self.read_on().await
    }

    async fn read_on(&mut self) -> Result<(), WireError> {
        match self.stream.read(&mut self.buffer[self.end..]).await? {
            0 => Err(WireError::ended()),
            count => {
                self.end += count;
                Ok(())
            }
        }
    }

    /// The next packet.
    pub async fn next(&mut self) -> Result<&[u8], WireError> {
        loop {
            // Once more below: a borrow that is returned in one branch lasts for all of them.
            if self.extent()?.0.is_some() {
                break;
            }
            self.fill().await?;
        }
        Ok(self.at_hand()?.unwrap_or_default())
    }

    /// Sends packets, the first of which begins a command.
    pub async fn command(&mut self, packets: &[&[u8]]) -> Result<(), WireError> {
        let mut bytes = Vec::new();
        for packet in packets {
            self.sequence = 0;
            self.put(packet, &mut bytes)?;
        }
        self.stream.write_all(&bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// Sends a packet that goes on where the server left off.
    pub async fn answer(&mut self, packet: &[u8]) -> Result<(), WireError> {
        let mut bytes = Vec::new();
        self.put(packet, &mut bytes)?;
        self.stream.write_all(&bytes).await?;
        Ok(self.stream.flush().await?)
    }

    fn put(&mut self, packet: &[u8], to: &mut Vec<u8>) -> Result<(), WireError> {
        if packet.len() >= CONTINUED {
            return Err(WireError::protocol(format!("a statement of {} bytes, at most {CONTINUED} are sent", packet.len())));
        }
        to.extend_from_slice(&(packet.len() as u32).to_le_bytes()[..3]);
        to.push(self.sequence);
        to.extend_from_slice(packet);
        self.sequence = self.sequence.wrapping_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Packets as a server sends them, numbered from 1 on.
    fn sent(packets: &[Vec<u8>]) -> Vec<u8> {
        let (mut bytes, mut number) = (Vec::new(), 1u8);
        for packet in packets {
            let mut rest = &packet[..];
            loop {
                let (part, more) = rest.split_at(rest.len().min(CONTINUED));
                bytes.extend_from_slice(&(part.len() as u32).to_le_bytes()[..3]);
                bytes.push(number);
                bytes.extend_from_slice(part);
                number = number.wrapping_add(1);
                rest = more;
                if part.len() < CONTINUED {
                    break;
                }
            }
        }
        bytes
    }

    /// What a channel reads of bytes that arrive so many at a time.
    async fn received(bytes: &[u8], at_once: usize) -> (Vec<Vec<u8>>, WireError) {
        let (near, mut far) = tokio::io::duplex(at_once.max(1));
        let mut channel = Channel::upgraded(Box::new(near), 1);
        let feed = async move {
            let _ = far.write_all(bytes).await;
        };
        // With the channel, so that what is still written to it fails once it is given up.
        let read = async move {
            let mut packets = Vec::new();
            loop {
                match channel.next().await {
                    Ok(packet) => packets.push(packet.to_vec()),
                    Err(error) => return (packets, error),
                }
            }
        };
        tokio::join!(feed, read).1
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    #[test]
    fn continued_packets_are_joined_and_the_buffer_is_given_back() {
        let long: Vec<u8> = (0..2 * CONTINUED + 5).map(|at| (at % 251) as u8).collect();
        let packets = vec![b"before".to_vec(), long, vec![7; CONTINUED], vec![8; CONTINUED - 1], b"after".to_vec()];
        let (read, error) = run(received(&sent(&packets), 1 << 20));
        assert!(read == packets, "lengths {:?}", read.iter().map(Vec::len).collect::<Vec<_>>());
        assert!(matches!(error, WireError::Io(_)), "{error}");
        run(async {
            let bytes = sent(&[vec![1; 3 << 20], vec![2; 10], vec![3; 10]]);
            let mut channel = Channel::upgraded(Box::new(std::io::Cursor::new(bytes)), 1);
            assert_eq!(channel.next().await.unwrap().len(), 3 << 20);
            assert!(channel.buffer.len() > 3 << 20 && channel.buffer.capacity() < 4 << 20, "held once");
            channel.next().await.unwrap();
            assert_eq!(channel.buffer.capacity(), ROOM);
        });
    }

    #[test]
    fn packets_out_of_order_and_without_end_are_refused() {
        let mut bytes = sent(&[b"one".to_vec(), b"two".to_vec()]);
        bytes[7 + 3] = 9;
        let (read, error) = run(received(&bytes, 64));
        assert_eq!((read.len(), error.to_string()), (1, "not as the protocol has it: expected packet 2 of the answer, found 9".into()));
        // The second part of a continued packet counts too.
        let mut bytes = sent(&[vec![0; CONTINUED + 1]]);
        bytes[4 + CONTINUED + 3] = 1;
        assert!(matches!(run(received(&bytes, 1 << 20)).1, WireError::Protocol(_)));
        let whole = sent(&[b"one".to_vec(), vec![5; 300]]);
        for cut in 0..whole.len() {
            let (read, error) = run(received(&whole[..cut], 64));
            assert!(read.len() < 2 && matches!(error, WireError::Io(_)), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn packets_arrive_whatever_the_chunks(sizes in prop::collection::vec(0usize..600, 0..30), at_once in 1usize..700) {
            let packets: Vec<Vec<u8>> = sizes.iter().map(|size| vec![*size as u8; *size]).collect();
            let (read, error) = run(received(&sent(&packets), at_once));
            prop_assert!(read == packets && matches!(error, WireError::Io(_)));
        }

        #[test]
        fn any_bytes_are_packets_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = run(received(&bytes, 16));
        }
    }
}
