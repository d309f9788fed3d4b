//! Connections that can be made to fail at any byte.
//!
//! A handler that panics or returns an error still leaves the server to close the connection properly.
//! Here the socket itself is wrapped: the holder of its [`ConnectionControl`] decides how the next
//! response is written, byte by byte. A connection without a fault costs one relaxed load per write.
//!
//! Invariant: bytes that a fault lets through are the server's own, in order; only
//! [`ResponseFault::RawBytes`] replaces them.

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

/// How a connection is closed early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseKind {
    /// With a FIN, as if the server had finished.
    Close,
    /// With a RST.
    Reset,
}

/// Where in the response it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CutPoint {
    /// After this many more bytes.
    Bytes(usize),
    /// After this many bytes of the body.
    BodyBytes(usize),
    StatusLine,
}

/// The fault applied to the next response on a connection.
#[derive(Clone, Debug)]
pub(super) enum ResponseFault {
    NoFault,
    Cut(CutPoint, CloseKind),
    /// `chunk` bytes at a time with a pause after each.
    Slow {
        chunk: usize,
        pause: Duration,
    },
    /// The response is sent completely; then the connection closes unannounced.
    CloseAfterResponse,
    /// These bytes instead of the response, the last `tail` of them `again` times more; then a close.
    RawBytes {
        bytes: Vec<u8>,
        sent: usize,
        tail_len: usize,
        repeats_left: u32,
    },
}

#[derive(Debug)]
struct ConnectionState {
    /// Whether a fault is set.
    has_fault: AtomicBool,
    fault: Mutex<ResponseFault>,
}

/// A handle on one connection, given to every request received on it.
#[derive(Clone, Debug)]
pub(super) struct ConnectionControl(Arc<ConnectionState>);

impl ConnectionControl {
    fn new() -> Self {
        let shared = ConnectionState {
            has_fault: AtomicBool::new(false),
            fault: Mutex::new(ResponseFault::NoFault),
        };
        Self(Arc::new(shared))
    }

    /// Sets the fault for the response to the current request.
    pub(super) fn set_fault(&self, fault: ResponseFault) {
        let eventful = !matches!(fault, ResponseFault::NoFault);
        *self.fault() = fault;
        self.0.has_fault.store(eventful, Ordering::Release);
    }

    fn fault(&self) -> MutexGuard<'_, ResponseFault> {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_fault(&self) -> bool {
        self.0.has_fault.load(Ordering::Acquire)
    }
}

/// A socket whose responses can be made to fail.
#[derive(Debug)]
pub(super) struct FaultyStream {
    tcp: TcpStream,
    control: ConnectionControl,
    pause: Option<Pin<Box<Sleep>>>,
    /// Nothing more is read: to the server the client seems to have disconnected.
    is_read_closed: bool,
}

impl FaultyStream {
    fn new(tcp: TcpStream) -> Self {
        Self { tcp, control: ConnectionControl::new(), pause: None, is_read_closed: false }
    }

    fn write_with_fault(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let line = self.control.clone();
        let mut fault = line.fault();
        match &mut *fault {
            ResponseFault::NoFault | ResponseFault::CloseAfterResponse => {
                Pin::new(&mut self.tcp).poll_write(cx, buf)
            }
            ResponseFault::Cut(place, how) => {
                let allowed = bytes_before_cut(*place, buf);
                if allowed == Some(0) {
                    return Poll::Ready(Err(self.close_error(*how)));
                }
                let part = &buf[..allowed.unwrap_or(buf.len()).min(buf.len())];
                let sent = ready!(Pin::new(&mut self.tcp).poll_write(cx, part))?;
                if let Some(allowed) = allowed {
                    *place = CutPoint::Bytes(allowed - sent);
                }
                Poll::Ready(Ok(sent))
            }
            ResponseFault::Slow { chunk, pause } => {
                if let Some(sleeping) = &mut self.pause {
                    ready!(sleeping.as_mut().poll(cx));
                }
                let part = &buf[..buf.len().min((*chunk).max(1))];
                let sent = ready!(Pin::new(&mut self.tcp).poll_write(cx, part))?;
                self.pause = Some(Box::pin(sleep(*pause)));
                Poll::Ready(Ok(sent))
            }
            ResponseFault::RawBytes { bytes, sent, tail_len: tail, repeats_left: again } => {
                while *sent < bytes.len() {
                    *sent += ready!(Pin::new(&mut self.tcp).poll_write(cx, &bytes[*sent..]))?;
                    if *sent == bytes.len() && *again > 0 {
                        *again -= 1;
                        *sent -= *tail;
                    }
                }
                Poll::Ready(Err(self.close_error(CloseKind::Close)))
            }
        }
    }

    fn flush_with_fault(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.tcp).poll_flush(cx))?;
        let line = self.control.clone();
        let fault = line.fault();
        match &*fault {
            // The cut is exactly at the end of the response.
            ResponseFault::Cut(CutPoint::Bytes(0), how) => Poll::Ready(Err(self.close_error(*how))),
            ResponseFault::CloseAfterResponse => {
                self.is_read_closed = true;
                Poll::Ready(Ok(()))
            }
            ResponseFault::NoFault
            | ResponseFault::Cut(..)
            | ResponseFault::Slow { .. }
            | ResponseFault::RawBytes { .. } => Poll::Ready(Ok(())),
        }
    }

    /// Prepares the socket for closing; the server drops it on the error.
    fn close_error(&self, how: CloseKind) -> io::Error {
        match how {
            CloseKind::Close => io::ErrorKind::BrokenPipe.into(),
            CloseKind::Reset => {
                // Without this, dropping it sends a FIN; if it fails the client sees a close, which loses the
                // response as well.
                let _ = self.tcp.set_zero_linger();
                io::ErrorKind::ConnectionReset.into()
            }
        }
    }
}

/// Returns how many bytes from the start of `buf` may still be sent; `None` while that is open.
fn bytes_before_cut(place: CutPoint, buf: &[u8]) -> Option<usize> {
    match place {
        CutPoint::Bytes(left) => Some(left),
        CutPoint::StatusLine => find_bytes(buf, b"\r\n").map(|at| at + 2),
        CutPoint::BodyBytes(bytes) => find_bytes(buf, b"\r\n\r\n").map(|at| at + 4 + bytes),
    }
}

fn find_bytes(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

impl AsyncRead for FaultyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_read_closed {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for FaultyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.control.has_fault() {
            return self.write_with_fault(cx, buf);
        }
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.control.has_fault() {
            let first = bufs.iter().find(|buf| !buf.is_empty());
            return self.write_with_fault(cx, first.map_or(&[], |buf| buf));
        }
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.control.has_fault() {
            return self.flush_with_fault(cx);
        }
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Accepts connections. `refuses` decides about each before anything is read from it.
pub(super) struct FaultyListener<F> {
    listener: TcpListener,
    should_refuse: F,
}

impl<F: FnMut() -> bool> FaultyListener<F> {
    pub(super) fn new(listener: TcpListener, should_refuse: F) -> Self {
        Self { listener, should_refuse }
    }
}

/// Long enough not to spin when descriptors run out, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

impl<F: FnMut() -> bool + Send + 'static> Listener for FaultyListener<F> {
    type Io = FaultyStream;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (FaultyStream, Self::Addr) {
        loop {
            match self.listener.accept().await {
                Ok((tcp, _)) if (self.should_refuse)() => {
                    let _ = tcp.set_zero_linger();
                }
                Ok((tcp, from)) => {
                    // Responses are small; waiting to fill a segment would only slow polls down.
                    let _ = tcp.set_nodelay(true);
                    return (FaultyStream::new(tcp), from);
                }
                Err(error) => {
                    tracing::warn!(%error, "the sandbox could not accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl<F: FnMut() -> bool + Send + 'static> Connected<IncomingStream<'_, FaultyListener<F>>>
    for ConnectionControl
{
    fn connect_info(stream: IncomingStream<'_, FaultyListener<F>>) -> Self {
        stream.io().control.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_measured_from_the_start_of_the_body() {
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\":1}";
        assert_eq!(bytes_before_cut(CutPoint::StatusLine, response), Some(17));
        assert_eq!(
            bytes_before_cut(CutPoint::BodyBytes(3), response),
            Some(response.len() - 7 + 3)
        );
        assert_eq!(bytes_before_cut(CutPoint::Bytes(5), response), Some(5));
        assert_eq!(bytes_before_cut(CutPoint::BodyBytes(3), b"HTTP/1.1 200 OK\r\n"), None);
    }
}
