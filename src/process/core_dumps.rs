//! Core dumps of this process, which would hold the user key.

/// Keeps the operating system from writing this process to a file if it crashes. The commands that it
/// starts inherit this, and may undo it.
pub fn disable_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let allowed = getrlimit(Resource::Core);
        // An error leaves the limit that the operator has set.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..allowed });
    }
}
