//! A process of its own session: it survives the one that started it.

/// Begins a session of its own, without a terminal: neither Ctrl-C nor a closed terminal of the parent
/// reaches this process.
pub fn detach() {
    // Fails only for the leader of a group, which has what is wanted.
    #[cfg(unix)]
    let _ = rustix::process::setsid();
}

/// Returns whether a process with this id exists.
pub fn is_alive(id: i32) -> bool {
    #[cfg(unix)]
    {
        rustix::process::Pid::from_raw(id)
            .is_some_and(|id| rustix::process::test_kill_process(id).is_ok())
    }
    #[cfg(not(unix))]
    {
        let _ = id;
        false
    }
}

/// Asks a process to end. Returns whether it exists.
pub fn terminate(id: i32) -> bool {
    #[cfg(unix)]
    {
        let id = rustix::process::Pid::from_raw(id);
        id.is_some_and(|id| {
            rustix::process::kill_process(id, rustix::process::Signal::TERM).is_ok()
        })
    }
    #[cfg(not(unix))]
    {
        let _ = id;
        false
    }
}
