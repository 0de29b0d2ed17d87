//! A TCP connection that answers are awaited on as on any other, and that bulk is read from by the clock.
//!
//! A server writes rows in pieces of a few KiB. A reader that is woken by each of them sleeps and wakes tens of thousands of times a
//! second, which on a virtual machine costs both sides more than the rows do. Here, once much arrives at a time, the connection is taken
//! out of the poller and looked at every millisecond: what has come in the meantime (the kernel's buffers hold it) is read at once. As
//! soon as a few looks find nothing, or something is written, it waits to be woken again.
//!
//! Not here: what is read, and TLS.

use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// A read of this many bytes is bulk: more than any answer to a question of ours has at once.
const BULK: usize = 16 << 10;
/// After a read of fewer bytes nothing more is looked for before the clock has moved on.
const SCANT: usize = 64 << 10;
/// Time between two looks, which is the clock's own grain.
const PAUSE: Duration = Duration::from_millis(1);
/// Looks in vain before the connection waits to be woken.
const PATIENCE: u32 = 4;

/// A connection; see the file's header.
pub struct SteadyTcp {
    state: State,
}

enum State {
    /// In the poller.
    Woken(TcpStream),
    /// Looked at by the clock.
    Timed(Timed),
    /// Between two of them; stays only where changing over has failed.
    Lost,
}

struct Timed {
    stream: std::net::TcpStream,
    clock: Pin<Box<Sleep>>,
    is_set: bool,
    in_vain: u32,
}

impl Timed {
    fn set(&mut self) {
        self.clock.as_mut().reset(Instant::now() + PAUSE);
        self.is_set = true;
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the connection was given up")
}

impl SteadyTcp {
    /// Over a connection.
    pub fn new(stream: TcpStream) -> Self {
        Self { state: State::Woken(stream) }
    }

    /// The connection in the poller.
    fn woken(&mut self) -> io::Result<&mut TcpStream> {
        self.state = match std::mem::replace(&mut self.state, State::Lost) {
            State::Timed(timed) => State::Woken(TcpStream::from_std(timed.stream)?),
            other => other,
        };
        match &mut self.state {
            State::Woken(stream) => Ok(stream),
            _ => Err(lost()),
        }
    }

    /// Takes the connection out of the poller.
    fn time(&mut self) -> io::Result<()> {
        self.state = match std::mem::replace(&mut self.state, State::Lost) {
            State::Woken(stream) => {
                let (stream, clock) = (stream.into_std()?, Box::pin(sleep(PAUSE)));
                State::Timed(Timed { stream, clock, is_set: false, in_vain: 0 })
            }
            other => other,
        };
        Ok(())
    }
}

impl AsyncRead for SteadyTcp {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let timed = match &mut this.state {
            State::Lost => return Poll::Ready(Err(lost())),
            State::Woken(stream) => {
                let before = buffer.filled().len();
                ready!(Pin::new(stream).poll_read(context, buffer))?;
                let is_bulk = buffer.filled().len() - before >= BULK;
                return Poll::Ready(if is_bulk { this.time() } else { Ok(()) });
            }
            State::Timed(timed) => timed,
        };
        loop {
            if timed.is_set {
                ready!(timed.clock.as_mut().poll(context));
                timed.is_set = false;
            }
            match timed.stream.read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    timed.in_vain = 0;
                    if count < SCANT && buffer.remaining() > 0 {
                        timed.set();
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    timed.in_vain += 1;
                    if timed.in_vain > PATIENCE {
                        return Pin::new(this.woken()?).poll_read(context, buffer);
                    }
                    timed.set();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for SteadyTcp {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // What is written is a question: its answer is awaited.
        Pin::new(self.get_mut().woken()?).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().state {
            State::Woken(stream) => Pin::new(stream).poll_flush(context),
            State::Timed(timed) => Poll::Ready(timed.stream.flush()),
            State::Lost => Poll::Ready(Err(lost())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().woken()?).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn pair() -> (SteadyTcp, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (SteadyTcp::new(near), listener.accept().await.unwrap().0)
    }

    fn bytes(count: usize, seed: usize) -> Vec<u8> {
        (0..count).map(|at| (at * 31 + seed + at / 253) as u8).collect()
    }

    #[tokio::test]
    async fn bulk_with_pauses_and_questions_between_arrive_whole() {
        let (mut near, mut far) = pair().await;
        // Sizes on both sides of every limit, and a pause longer than the patience.
        let sizes = [5, BULK - 1, 3 << 20, 10, 0, SCANT + 1, 700_000, 1];
        let server = tokio::spawn(async move {
            for (seed, size) in sizes.into_iter().enumerate() {
                let mut question = [0; 3];
                far.read_exact(&mut question).await.unwrap();
                assert_eq!(question, *b"go?");
                for (at, some) in bytes(size, seed).chunks(40_000).enumerate() {
                    far.write_all(some).await.unwrap();
                    if at % 5 == 3 {
                        sleep(PAUSE * (2 * PATIENCE + 4)).await;
                    }
                }
            }
        });
        for (seed, size) in sizes.into_iter().enumerate() {
            near.write_all(b"go?").await.unwrap();
            near.flush().await.unwrap();
            let mut read = vec![0; size];
            near.read_exact(&mut read).await.unwrap();
            assert!(read == bytes(size, seed), "{size} bytes");
        }
        server.await.unwrap();
        assert_eq!(near.read(&mut [0; 9]).await.unwrap(), 0, "the end");
    }

    #[tokio::test]
    async fn an_end_and_a_reset_are_seen_while_the_clock_is_looked_at() {
        for reset in [false, true] {
            let (mut near, mut far) = pair().await;
            far.write_all(&bytes(4 * SCANT, 1)).await.unwrap();
            let mut read = vec![0; 4 * SCANT];
            near.read_exact(&mut read).await.unwrap();
            assert!(matches!(near.state, State::Timed(_)), "it has changed over");
            if reset {
                // Closed with something unread: the kernel sends a reset.
                near.write_all(b"unread").await.unwrap();
                far.readable().await.unwrap();
                far.write_all(&bytes(4 * SCANT, 1)).await.unwrap();
                near.read_exact(&mut read[1..]).await.unwrap();
                assert!(matches!(near.state, State::Timed(_)));
            }
            drop(far);
            let end = near.read_to_end(&mut Vec::new()).await;
            assert_eq!(end.is_err(), reset, "{end:?}");
        }
    }
}
