//! What the terminal does with keys that are typed while a live view or progress bars are shown.
//!
//! An echoed key would tear the picture. Ctrl-C stays a signal. The former mode is restored at the
//! end of the view and, whatever happened, of the process. A process in the background never touches
//! the terminal: the system would stop it.

use std::sync::{Mutex, PoisonError};

/// The mode before the first change; `None` while it is unchanged.
static FORMER_MODE: Mutex<Option<FormerMode>> = Mutex::new(None);

/// A mode of the terminal. Keys are only hidden where terminals have modes.
struct FormerMode {
    #[cfg(unix)]
    termios: rustix::termios::Termios,
}

/// What happens to a typed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyInput {
    /// It is not shown, and stays for the program that reads the terminal next.
    Kept,
    /// It is not shown, and can be read at once, without Enter.
    Immediate,
}

/// Changes the mode. Returns false if there is no keyboard or no mode to change.
pub(crate) fn set_key_input(input: KeyInput) -> bool {
    let mut former = FORMER_MODE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(found) = change_mode(input) else { return false };
    former.get_or_insert(found);
    true
}

/// Restores the former mode, if it was changed.
pub(crate) fn restore() {
    let former = FORMER_MODE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(former) = former {
        restore_mode(&former);
    }
}

#[cfg(unix)]
fn change_mode(input: KeyInput) -> Option<FormerMode> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = std::io::stdin();
    let termios = tcgetattr(&stdin).ok().filter(|_| is_foreground())?;
    let mut mode = termios.clone();
    mode.local_modes.remove(LocalModes::ECHO);
    if input == KeyInput::Immediate {
        mode.local_modes.remove(LocalModes::ICANON);
    }
    tcsetattr(&stdin, OptionalActions::Now, &mode).ok()?;
    Some(FormerMode { termios })
}

#[cfg(unix)]
fn restore_mode(former: &FormerMode) {
    use rustix::termios::{OptionalActions, tcsetattr};
    if is_foreground() {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &former.termios);
    }
}

/// Returns whether the terminal belongs to this process now.
#[cfg(unix)]
fn is_foreground() -> bool {
    let owner = rustix::termios::tcgetpgrp(std::io::stdin());
    owner.is_ok_and(|owner| owner == rustix::process::getpgrp())
}

#[cfg(not(unix))]
fn change_mode(_: KeyInput) -> Option<FormerMode> {
    None
}

#[cfg(not(unix))]
fn restore_mode(_: &FormerMode) {}
