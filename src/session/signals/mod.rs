//! The signals that stop a command: the first stops it gracefully, the second at once.
//!
//! Ctrl-C, SIGTERM, SIGHUP and the failure of a task arrive here and nowhere else. [`ShutdownSignals`] reports them in order; what
//! stopping means is decided by the phase of the session (see [`super::Session`]) and by the
//! runner's [`StopSignal`].

#[cfg(test)]
mod session_panics;

use std::convert::Infallible;

use tokio::signal;
use tokio::sync::{Notify, watch};

use crate::runner::StopSignal;

/// A signal that stops a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// The terminal was closed (SIGHUP), such as by a lost connection.
    HangUp,
    /// SIGTERM. It determines the exit code if several signals arrive.
    Terminate,
    /// A task of this program panicked: the run cannot finish, and stops as after a signal.
    Panic,
}

/// Stores the panic of a task until a session stops because of it.
static PANICKED: Notify = Notify::const_new();

/// Stops the session of this process after the panic of a task.
pub(crate) fn report_panic() {
    PANICKED.notify_one();
}

/// A request to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShutdownRequest {
    /// Stop gracefully.
    First(Signal),
    /// Stop at once.
    Second(Signal),
}

/// Receives shutdown requests for the whole duration of a command. Clones receive the same ones.
#[derive(Clone, Debug)]
pub(crate) struct ShutdownSignals {
    requests: watch::Receiver<Option<ShutdownRequest>>,
}

impl ShutdownSignals {
    /// Listens from now on. A signal that arrives between two calls is not lost.
    pub(crate) fn listen() -> Self {
        let (sender, requests) = watch::channel(None);
        if let Some(streams) = SignalStreams::open() {
            tokio::spawn(forward_signals(streams, sender));
        }
        Self { requests }
    }

    /// Returns the signal that determines the exit code, if any has arrived.
    pub(crate) fn received(&self) -> Option<Signal> {
        let request = *self.requests.borrow();
        request.map(ShutdownRequest::signal)
    }

    /// Waits for the first signal.
    pub(crate) async fn first(&self) -> Signal {
        let mut requests = self.requests.clone();
        match requests.wait_for(Option::is_some).await.map(|request| *request) {
            Ok(Some(request)) => request.signal(),
            // Signals cannot be received on this machine.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Passes every request on to the runs: the first drains them, the second abandons their open
    /// requests.
    pub(crate) async fn escalate(&self, stop: &StopSignal) -> Infallible {
        self.first().await;
        stop.escalate();
        let mut requests = self.requests.clone();
        let is_second =
            |request: &Option<ShutdownRequest>| matches!(request, Some(ShutdownRequest::Second(_)));
        if requests.wait_for(is_second).await.is_ok() {
            stop.escalate();
        }
        std::future::pending().await
    }
}

impl ShutdownRequest {
    fn signal(self) -> Signal {
        match self {
            Self::First(signal) | Self::Second(signal) => signal,
        }
    }

    /// Returns the request after one more signal.
    fn next(former: Option<Self>, signal: Signal) -> Self {
        former.map_or(Self::First(signal), |former| Self::Second(former.signal().max(signal)))
    }
}

async fn forward_signals(
    mut streams: SignalStreams,
    sender: watch::Sender<Option<ShutdownRequest>>,
) {
    loop {
        let signal = tokio::select! {
            signal = streams.next() => signal,
            // A command that has ended must not take the panic that concerns the next one.
            () = sender.closed() => return,
        };
        let Some(signal) = signal else { break };
        sender.send_modify(|request| *request = Some(ShutdownRequest::next(*request, signal)));
    }
    // Waiting receivers must not take the end of the channel for a signal.
    sender.closed().await;
}

#[cfg(unix)]
struct SignalStreams {
    interrupt: signal::unix::Signal,
    terminate: signal::unix::Signal,
    hang_up: signal::unix::Signal,
}

#[cfg(unix)]
impl SignalStreams {
    fn open() -> Option<Self> {
        use signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt()).ok()?;
        let terminate = signal(SignalKind::terminate()).ok()?;
        let hang_up = signal(SignalKind::hangup()).ok()?;
        Some(Self { interrupt, terminate, hang_up })
    }

    async fn next(&mut self) -> Option<Signal> {
        tokio::select! {
            received = self.interrupt.recv() => received.map(|()| Signal::Interrupt),
            received = self.terminate.recv() => received.map(|()| Signal::Terminate),
            received = self.hang_up.recv() => received.map(|()| Signal::HangUp),
            () = PANICKED.notified() => Some(Signal::Panic),
        }
    }
}

#[cfg(windows)]
struct SignalStreams {
    interrupt: signal::windows::CtrlC,
    close: signal::windows::CtrlClose,
    shutdown: signal::windows::CtrlShutdown,
}

#[cfg(windows)]
impl SignalStreams {
    fn open() -> Option<Self> {
        use signal::windows::{ctrl_c, ctrl_close, ctrl_shutdown};
        let (interrupt, close) = (ctrl_c().ok()?, ctrl_close().ok()?);
        Some(Self { interrupt, close, shutdown: ctrl_shutdown().ok()? })
    }

    /// A closed console window is a lost terminal; a shutdown of the machine is a SIGTERM.
    async fn next(&mut self) -> Option<Signal> {
        tokio::select! {
            received = self.interrupt.recv() => received.map(|()| Signal::Interrupt),
            received = self.shutdown.recv() => received.map(|()| Signal::Terminate),
            received = self.close.recv() => received.map(|()| Signal::HangUp),
            () = PANICKED.notified() => Some(Signal::Panic),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::session::signals::*;

    #[test]
    fn the_second_signal_stops_at_once_and_sigterm_determines_the_exit_code() {
        let first = ShutdownRequest::next(None, Signal::Terminate);
        assert_eq!(first, ShutdownRequest::First(Signal::Terminate));
        let second = ShutdownRequest::next(Some(first), Signal::Interrupt);
        assert_eq!(second, ShutdownRequest::Second(Signal::Terminate));
        assert_eq!(ShutdownRequest::next(Some(second), Signal::Interrupt), second);
    }

    #[tokio::test]
    async fn each_of_two_signals_escalates_the_stop_signal_once() {
        let (sender, requests) = watch::channel(None);
        let (signals, stop) = (ShutdownSignals { requests }, StopSignal::default());
        let escalation = tokio::spawn({
            let (signals, stop) = (signals.clone(), stop.clone());
            async move { signals.escalate(&stop).await }
        });
        sender.send_replace(Some(ShutdownRequest::First(Signal::Interrupt)));
        stop.draining().await;
        assert_eq!(signals.first().await, Signal::Interrupt);
        sender.send_replace(Some(ShutdownRequest::Second(Signal::Interrupt)));
        stop.abandoned().await;
        assert_eq!(signals.received(), Some(Signal::Interrupt));
        escalation.abort();
    }
}
