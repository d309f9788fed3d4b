//! The key that closes the live view: `q`, without Enter.
//!
//! While it is read, the terminal does not echo and does not wait for a line; Ctrl-C stays a signal.
//! The former mode is restored on every exit path.

use std::future;
use std::sync::Arc;

use tokio::sync::Notify;

/// Reads keys until it is dropped.
pub(crate) struct QuitKey {
    pressed: Arc<Notify>,
    mode: Option<KeyMode>,
}

impl QuitKey {
    /// Listens for the key, if there is a screen and a keyboard.
    pub(crate) fn listen(has_screen: bool) -> Self {
        let pressed = Arc::new(Notify::new());
        let mode = has_screen.then(KeyMode::enter).flatten();
        if mode.is_some() {
            let pressed = pressed.clone();
            std::thread::spawn(move || read_keys(&pressed));
        }
        Self { pressed, mode }
    }

    /// Waits for the key.
    pub(crate) async fn pressed(&self) {
        match self.mode {
            Some(_) => self.pressed.notified().await,
            None => future::pending().await,
        }
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

/// The mode of the terminal before keys were read. Keys are only read where terminals have modes.
struct KeyMode {
    #[cfg(unix)]
    former: rustix::termios::Termios,
}

impl KeyMode {
    #[cfg(unix)]
    fn enter() -> Option<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let former = tcgetattr(std::io::stdin()).ok()?;
        let mut mode = former.clone();
        mode.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &mode).ok()?;
        Some(Self { former })
    }

    #[cfg(not(unix))]
    fn enter() -> Option<Self> {
        None
    }
}

#[cfg(unix)]
impl Drop for KeyMode {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.former);
    }
}
