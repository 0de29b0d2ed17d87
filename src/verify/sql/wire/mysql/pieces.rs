//! A packet that is too long to be held, in the pieces that arrive. It may be continued any number of times: the heads of its parts are
//! passed over.
//!
//! Not here: what the pieces are of, and how long is waited for the next one.

use crate::verify::sql::wire::mysql::channel::{CONTINUED, Channel, LARGEST};
use crate::verify::sql::wire::mysql::error::WireError;

/// The packet at the front of a channel, of which nothing has been looked at.
pub struct Pieces<'a> {
    channel: &'a mut Channel,
    /// Bytes to come of the part at hand.
    left: usize,
    /// Whether another part follows.
    goes_on: bool,
    passed: usize,
}

impl<'a> Pieces<'a> {
    /// Of the next packet.
    pub fn new(channel: &'a mut Channel) -> Self {
        Self { channel, left: 0, goes_on: true, passed: 0 }
    }

    /// The next piece, of at most `most` bytes (at least one is to be asked for); empty where the packet has ended.
    pub async fn next(&mut self, most: usize) -> Result<&[u8], WireError> {
        while self.left == 0 && self.goes_on {
            match self.channel.pass_head()? {
                Some(length) => (self.left, self.goes_on) = (length, length == CONTINUED),
                None => self.channel.receive().await?,
            }
        }
        while self.left > 0 && self.channel.ahead().is_empty() {
            self.channel.receive().await?;
        }
        let piece = self.channel.pass(most.min(self.left));
        self.left -= piece.len();
        self.passed += piece.len();
        if self.passed > LARGEST {
            return Err(WireError::protocol(format!("a packet of more than {LARGEST} bytes")));
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    /// A packet as a server sends it, and one behind it.
    fn sent(packet: &[u8]) -> Vec<u8> {
        let (mut bytes, mut number, mut rest) = (Vec::new(), 1u8, packet);
        loop {
            let (part, more) = rest.split_at(rest.len().min(CONTINUED));
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes()[..3]);
            bytes.push(number);
            bytes.extend_from_slice(part);
            (number, rest) = (number.wrapping_add(1), more);
            if part.len() < CONTINUED {
                break;
            }
        }
        bytes.extend([5, 0, 0, number]);
        bytes.extend(b"after");
        bytes
    }

    /// The packet in pieces of `most` bytes, put together, and what follows it.
    async fn taken(bytes: &[u8], at_once: usize, most: usize) -> Result<(Vec<u8>, Vec<u8>), WireError> {
        let (near, mut far) = tokio::io::duplex(at_once.max(1));
        let mut channel = Channel::upgraded(Box::new(near), 1);
        let feed = async move {
            let _ = far.write_all(bytes).await;
        };
        let read = async move {
            let (mut packet, mut pieces) = (Vec::new(), Pieces::new(&mut channel));
            loop {
                let piece = pieces.next(most).await?;
                if piece.is_empty() {
                    break;
                }
                assert!(piece.len() <= most);
                packet.extend_from_slice(piece);
            }
            assert!(pieces.next(most).await?.is_empty(), "an end is an end");
            Ok((packet, channel.next().await?.to_vec()))
        };
        tokio::join!(feed, read).1
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    #[test]
    fn parts_are_joined_wherever_they_end() {
        for length in [CONTINUED - 1, CONTINUED, CONTINUED + 1, 2 * CONTINUED, 2 * CONTINUED + 300] {
            let packet: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            for (at_once, most) in [(1 << 20, 1 << 20), (70_001, 65_536)] {
                let (read, after) = run(taken(&sent(&packet), at_once, most)).unwrap();
                assert!(read == packet && after == b"after", "{length} bytes, {at_once} at once");
            }
        }
        let mut wrong = sent(&vec![0; CONTINUED + 1]);
        wrong[4 + CONTINUED + 3] = 9;
        assert!(matches!(run(taken(&wrong, 1 << 20, 1 << 20)), Err(WireError::Protocol(_))), "a part out of order");
        let cut = &sent(&vec![0; CONTINUED + 9])[..CONTINUED + 6];
        assert!(matches!(run(taken(cut, 1 << 20, 1 << 20)), Err(WireError::Io(_))));
    }

    proptest! {
        #[test]
        fn any_way_to_cut_it_gives_the_packet(packet in prop::collection::vec(any::<u8>(), 0..900), at_once in 1usize..300, most in 1usize..300) {
            let (read, after) = run(taken(&sent(&packet), at_once, most)).unwrap();
            prop_assert_eq!((read, after), (packet, b"after".to_vec()));
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80), most in 1usize..20) {
            let _ = run(taken(&bytes, 16, most));
        }
    }
}
