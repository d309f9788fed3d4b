//! The terminal of the progress bars: frames go through the queue of stderr, so that a stopped
//! terminal stops no run.

use std::io;
use std::sync::{Mutex, PoisonError};

use indicatif::TermLike;

use crate::cli::output::stream_writer::{OutputWeight, StreamWriter};

/// Columns of a terminal that reports none.
const DEFAULT_COLUMNS: u16 = 80;

/// Collects the bytes of a frame, and writes it as a whole.
#[derive(Debug)]
pub(crate) struct BarTerminal {
    writer: StreamWriter,
    frame: Mutex<String>,
}

impl BarTerminal {
    pub(crate) fn new(writer: StreamWriter) -> Self {
        Self { writer, frame: Mutex::default() }
    }

    fn add(&self, text: &str) -> io::Result<()> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }

    fn move_cursor(&self, steps: usize, direction: char) -> io::Result<()> {
        match steps {
            0 => Ok(()),
            steps => self.add(&format!("\u{1b}[{steps}{direction}")),
        }
    }
}

impl TermLike for BarTerminal {
    fn width(&self) -> u16 {
        let found = terminal_size::terminal_size_of(io::stderr());
        let columns = found.map_or(0, |(terminal_size::Width(columns), _)| columns);
        if columns == 0 { DEFAULT_COLUMNS } else { columns }
    }

    fn height(&self) -> u16 {
        let found = terminal_size::terminal_size_of(io::stderr());
        found.map_or(24, |(_, terminal_size::Height(rows))| rows.max(1))
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(text).and_then(|()| self.add("\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let mut frame = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
        if !frame.is_empty() {
            self.writer.write(std::mem::take(&mut *frame), OutputWeight::Frame);
        }
        Ok(())
    }
}
