//! An output stream, written directly or by a thread with a queue.
//!
//! A reader that stops reading (Ctrl-S, a full pipe) must not delay a run: its requests, polls and
//! downloads wait for no message. The thread writes from a bounded queue; progress is dropped and
//! counted when the queue is full, other messages only when it is very long. Commands that only
//! print write directly: there the reader sets the pace, and nothing may be lost. Two streams of one
//! terminal share a queue, or the end of a run would be read before its results.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes in the queue above which progress is dropped, and above which every message is.
const PROGRESS_BYTES_MAX: usize = 256 << 10;
const QUEUE_BYTES_MAX: usize = 16 << 20;
/// Bytes in the queue above which bars are no longer drawn; the next frame replaces them.
const FRAME_BYTES_MAX: usize = 16 << 10;
/// How long the end of the program waits for a reader that reads nothing, and for one that does.
const STALLED_READER_WAIT: Duration = Duration::from_secs(2);
const READER_WAIT: Duration = Duration::from_secs(10);

/// What may be done with a text while the reader does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputWeight {
    /// Kept.
    Message,
    /// Dropped and counted: a later line says the same.
    Progress,
    /// Dropped: a frame of the progress bars.
    Frame,
}

/// An output stream of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputStream {
    Stdout,
    Stderr,
}

impl OutputStream {
    fn write(self, text: &str) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            }
            Self::Stderr => io::stderr().write_all(text.as_bytes()),
        }
    }
}

/// Writes to one stream. Clones share the queue.
#[derive(Clone, Debug)]
pub(crate) struct StreamWriter {
    stream: OutputStream,
    state: Arc<WriterState>,
    is_queued: bool,
}

#[derive(Debug, Default)]
struct WriterState {
    queue: Mutex<TextQueue>,
    /// Notified when a text was added, and when one was written.
    changed: Condvar,
}

#[derive(Debug)]
struct QueuedText {
    stream: OutputStream,
    text: String,
}

#[derive(Debug, Default)]
struct TextQueue {
    texts: VecDeque<QueuedText>,
    /// Bytes of all texts, the one that is being written included.
    bytes: usize,
    /// Texts written so far.
    written: u64,
    /// Progress dropped since it was last reported.
    dropped: u64,
    /// The first error. After it nothing more is written.
    error: Option<io::ErrorKind>,
}

impl StreamWriter {
    /// Returns a writer whose callers wait for the reader.
    pub(crate) fn direct(stream: OutputStream) -> Self {
        Self { stream, state: Arc::default(), is_queued: false }
    }

    /// Starts a writer whose callers never wait; a direct one if no thread can be started.
    pub(crate) fn queued(stream: OutputStream) -> Self {
        let writer = Self { is_queued: true, ..Self::direct(stream) };
        let state = writer.state.clone();
        let thread = std::thread::Builder::new().name("output".to_owned());
        match thread.spawn(move || state.write_queue()) {
            Ok(_) => writer,
            Err(_) => Self::direct(stream),
        }
    }

    /// Returns a writer that holds all texts, for a test that reads them.
    #[cfg(test)]
    pub(crate) fn holding(stream: OutputStream) -> Self {
        Self { is_queued: true, ..Self::direct(stream) }
    }

    /// Takes the texts that were not written.
    #[cfg(test)]
    pub(crate) fn take_texts(&self) -> String {
        self.state.lock().texts.drain(..).map(|queued| queued.text).collect()
    }

    /// Returns a writer to another stream with the same queue: what is written to both keeps its order.
    pub(crate) fn with_shared_queue(&self, stream: OutputStream) -> Self {
        Self { stream, ..self.clone() }
    }

    /// Writes a text, now or when the reader is ready. Returns false if the stream is closed.
    pub(crate) fn write(&self, text: String, weight: OutputWeight) -> bool {
        if self.is_queued {
            return self.state.push(QueuedText { stream: self.stream, text }, weight);
        }
        let result = self.stream.write(&text);
        let mut queue = self.state.lock();
        queue.error = queue.error.or(result.err().map(|error| error.kind()));
        queue.error.is_none()
    }

    /// Returns how much progress was dropped since the last call.
    pub(crate) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.state.lock().dropped)
    }

    /// Returns the first error, if it is not a closed pipe, whose reader has enough.
    pub(crate) fn error(&self) -> Option<io::ErrorKind> {
        self.state.lock().error.filter(|kind| *kind != io::ErrorKind::BrokenPipe)
    }

    /// Waits until everything is written, as long as the reader reads.
    pub(crate) fn wait_until_written(&self) {
        self.state.wait_until_written(Instant::now() + READER_WAIT);
    }
}

impl WriterState {
    fn lock(&self) -> MutexGuard<'_, TextQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, queued: QueuedText, weight: OutputWeight) -> bool {
        let mut queue = self.lock();
        let bytes_max = match weight {
            OutputWeight::Message => QUEUE_BYTES_MAX,
            OutputWeight::Progress => PROGRESS_BYTES_MAX,
            OutputWeight::Frame => FRAME_BYTES_MAX,
        };
        if queue.error.is_some() {
            return false;
        }
        if queue.bytes < bytes_max {
            queue.bytes += queued.text.len();
            queue.texts.push_back(queued);
            self.changed.notify_all();
        } else if weight != OutputWeight::Frame {
            queue.dropped += 1;
        }
        true
    }

    /// Writes texts as they come, until the process ends.
    fn write_queue(&self) {
        let mut queue = self.lock();
        loop {
            let Some(QueuedText { stream, text }) = queue.texts.pop_front() else {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(queue);
            let result = stream.write(&text);
            queue = self.lock();
            queue.bytes -= text.len();
            queue.written += 1;
            if let Err(error) = result {
                queue.error = queue.error.or(Some(error.kind()));
                queue.texts.clear();
                queue.bytes = 0;
            }
            self.changed.notify_all();
        }
    }

    fn wait_until_written(&self, deadline: Instant) {
        let mut queue = self.lock();
        while queue.bytes > 0 && Instant::now() < deadline {
            let written = queue.written;
            let wait = self.changed.wait_timeout_while(queue, STALLED_READER_WAIT, |queue| {
                queue.bytes > 0 && queue.written == written
            });
            queue = wait.unwrap_or_else(PoisonError::into_inner).0;
            if queue.written == written {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::output::stream_writer::*;

    /// A state without a thread stands for a reader that reads nothing.
    #[test]
    fn a_full_queue_drops_progress_with_a_count_and_keeps_messages() {
        let state = WriterState::default();
        let line = || QueuedText { stream: OutputStream::Stderr, text: "x".repeat(1 << 10) };
        for _ in 0..300 {
            assert!(state.push(line(), OutputWeight::Progress));
        }
        let kept = || {
            let queue = state.lock();
            (queue.texts.len(), queue.dropped)
        };
        assert_eq!(kept(), (256, 44));
        assert!(state.push(line(), OutputWeight::Message));
        assert!(state.push(line(), OutputWeight::Frame));
        assert_eq!(kept(), (257, 44));
    }
}
