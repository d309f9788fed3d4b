//! The last few centimetres: connections that can be made to fail on the wire.
//!
//! A handler that panics or returns an error still leaves the server to close politely. Here the
//! socket itself is wrapped: whoever holds its [`Line`] decides the fate of what is written next,
//! byte for byte. A line without a fate costs one relaxed load per write.
//!
//! Invariant: bytes that a fate lets pass are the server's own, in order; only [`Fate::Raw`] puts
//! others in their place.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};

/// How a connection ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// With a FIN, as if the server had finished.
    Close,
    /// With a RST.
    Reset,
}

/// Where in the answer it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// After so many more bytes.
    Byte(usize),
    /// After so many bytes of the body.
    Body(usize),
    StatusLine,
}

/// What becomes of the next answer on a connection.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    Plain,
    End(Place, How),
    /// `chunk` bytes at a time with a pause after each.
    Slow {
        chunk: usize,
        pause: Duration,
    },
    /// The answer leaves whole; then the connection closes unannounced.
    HangUp,
    /// These bytes instead of the answer, the last `tail` of them `again` times more; then a close.
    Raw {
        bytes: Vec<u8>,
        sent: usize,
        tail: usize,
        again: u32,
    },
}

#[derive(Debug)]
struct Shared {
    /// Whether `fate` is anything but plain.
    eventful: AtomicBool,
    fate: Mutex<Fate>,
}

/// A handle on one connection, given to every request that comes in on it.
#[derive(Clone, Debug)]
pub(super) struct Line(Arc<Shared>);

impl Line {
    fn new() -> Self {
        let shared = Shared { eventful: AtomicBool::new(false), fate: Mutex::new(Fate::Plain) };
        Self(Arc::new(shared))
    }

    /// Decides what becomes of the answer to the request now under way.
    pub(super) fn meet(&self, fate: Fate) {
        let eventful = !matches!(fate, Fate::Plain);
        *self.fate() = fate;
        self.0.eventful.store(eventful, Ordering::Release);
    }

    fn fate(&self) -> MutexGuard<'_, Fate> {
        self.0.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_eventful(&self) -> bool {
        self.0.eventful.load(Ordering::Acquire)
    }
}

/// A socket whose answers can be made to fail.
#[derive(Debug)]
pub(super) struct Wire {
    tcp: TcpStream,
    line: Line,
    pause: Option<Pin<Box<Sleep>>>,
    /// Nothing more is read: to the server it looks as if the client had gone.
    hung_up: bool,
}

impl Wire {
    fn new(tcp: TcpStream) -> Self {
        Self { tcp, line: Line::new(), pause: None, hung_up: false }
    }

    fn write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let line = self.line.clone();
        let mut fate = line.fate();
        match &mut *fate {
            Fate::Plain | Fate::HangUp => Pin::new(&mut self.tcp).poll_write(cx, buf),
            Fate::End(place, how) => {
                let allowed = allowed(*place, buf);
                if allowed == Some(0) {
                    return Poll::Ready(Err(self.end(*how)));
                }
                let part = &buf[..allowed.unwrap_or(buf.len()).min(buf.len())];
                let sent = ready!(Pin::new(&mut self.tcp).poll_write(cx, part))?;
                if let Some(allowed) = allowed {
                    *place = Place::Byte(allowed - sent);
                }
                Poll::Ready(Ok(sent))
            }
            Fate::Slow { chunk, pause } => {
                if let Some(sleeping) = &mut self.pause {
                    ready!(sleeping.as_mut().poll(cx));
                }
                let part = &buf[..buf.len().min((*chunk).max(1))];
                let sent = ready!(Pin::new(&mut self.tcp).poll_write(cx, part))?;
                self.pause = Some(Box::pin(sleep(*pause)));
                Poll::Ready(Ok(sent))
            }
            Fate::Raw { bytes, sent, tail, again } => {
                while *sent < bytes.len() {
                    *sent += ready!(Pin::new(&mut self.tcp).poll_write(cx, &bytes[*sent..]))?;
                    if *sent == bytes.len() && *again > 0 {
                        *again -= 1;
                        *sent -= *tail;
                    }
                }
                Poll::Ready(Err(self.end(How::Close)))
            }
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.tcp).poll_flush(cx))?;
        let line = self.line.clone();
        let fate = line.fate();
        match &*fate {
            // The cut fell on the very end of what the server had to say.
            Fate::End(Place::Byte(0), how) => Poll::Ready(Err(self.end(*how))),
            Fate::HangUp => {
                self.hung_up = true;
                Poll::Ready(Ok(()))
            }
            Fate::Plain | Fate::End(..) | Fate::Slow { .. } | Fate::Raw { .. } => {
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Prepares the socket for its end; the server drops it on the error.
    fn end(&self, how: How) -> io::Error {
        match how {
            How::Close => io::ErrorKind::BrokenPipe.into(),
            How::Reset => {
                // Without this a drop says goodbye; if it fails the client sees a close, which is
                // as much of a lost answer.
                let _ = self.tcp.set_zero_linger();
                io::ErrorKind::ConnectionReset.into()
            }
        }
    }
}

/// Returns how many bytes from the start of `buf` may still leave; `None` while that is open.
fn allowed(place: Place, buf: &[u8]) -> Option<usize> {
    match place {
        Place::Byte(left) => Some(left),
        Place::StatusLine => find(buf, b"\r\n").map(|at| at + 2),
        Place::Body(bytes) => find(buf, b"\r\n\r\n").map(|at| at + 4 + bytes),
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.hung_up {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.line.is_eventful() {
            return self.write(cx, buf);
        }
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.line.is_eventful() {
            let first = bufs.iter().find(|buf| !buf.is_empty());
            return self.write(cx, first.map_or(&[], |buf| buf));
        }
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.line.is_eventful() {
            return self.flush(cx);
        }
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Where connections come in. `refuses` is asked about each before anything is read from it.
pub(super) struct Port<F> {
    listener: TcpListener,
    refuses: F,
}

impl<F: FnMut() -> bool> Port<F> {
    pub(super) fn new(listener: TcpListener, refuses: F) -> Self {
        Self { listener, refuses }
    }
}

/// Long enough not to spin when descriptors run out, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

impl<F: FnMut() -> bool + Send + 'static> Listener for Port<F> {
    type Io = Wire;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Wire, Self::Addr) {
        loop {
            match self.listener.accept().await {
                Ok((tcp, _)) if (self.refuses)() => {
                    let _ = tcp.set_zero_linger();
                }
                Ok((tcp, from)) => {
                    // Answers are small; waiting to fill a segment would only slow polls down.
                    let _ = tcp.set_nodelay(true);
                    return (Wire::new(tcp), from);
                }
                Err(error) => {
                    tracing::warn!(%error, "the sandbox could not take a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl<F: FnMut() -> bool + Send + 'static> Connected<IncomingStream<'_, Port<F>>> for Line {
    fn connect_info(stream: IncomingStream<'_, Port<F>>) -> Self {
        stream.io().line.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_measured_from_the_start_of_the_body() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\":1}";
        assert_eq!(allowed(Place::StatusLine, answer), Some(17));
        assert_eq!(allowed(Place::Body(3), answer), Some(answer.len() - 7 + 3));
        assert_eq!(allowed(Place::Byte(5), answer), Some(5));
        assert_eq!(allowed(Place::Body(3), b"HTTP/1.1 200 OK\r\n"), None);
    }
}
