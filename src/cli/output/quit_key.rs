//! The key that closes the live view: `q`, without Enter.

use std::future;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::cli::output::terminal_mode::{self, KeyInput};

/// Reads keys until it is dropped.
pub(crate) struct QuitKey {
    pressed: Option<Arc<Notify>>,
}

impl QuitKey {
    /// Listens for the key, if there is a screen and a keyboard.
    pub(crate) fn listen(has_screen: bool) -> Self {
        if !has_screen || !terminal_mode::set_key_input(KeyInput::Immediate) {
            return Self { pressed: None };
        }
        let pressed = Arc::new(Notify::new());
        let notify = pressed.clone();
        std::thread::spawn(move || read_keys(&notify));
        Self { pressed: Some(pressed) }
    }

    /// Waits for the key.
    pub(crate) async fn pressed(&self) {
        match &self.pressed {
            Some(pressed) => pressed.notified().await,
            None => future::pending().await,
        }
    }
}

impl Drop for QuitKey {
    fn drop(&mut self) {
        terminal_mode::restore();
    }
}

/// Ends with the process, or with the terminal.
fn read_keys(pressed: &Notify) {
    use std::io::Read;
    let mut key = [0];
    while matches!(std::io::stdin().read(&mut key), Ok(1)) {
        if matches!(key, [b'q' | b'Q']) {
            pressed.notify_one();
        }
    }
}
