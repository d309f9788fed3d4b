//! Tests of readers under a memory limit, which a process can only set for itself.
//!
//! The test runs itself once more, alone, in a shell that limits its memory.

use std::process::Command;

/// Set in the process with little memory.
const CHILD_VARIABLE: &str = "CALLSHEET_TEST_LITTLE_MEMORY";

/// Runs `work` in a process of its own with at most so many MB of memory. `test` is the name of the
/// test that calls this.
pub(crate) fn with_little_memory(test: &str, megabytes: u32, work: impl FnOnce()) {
    if std::env::var_os(CHILD_VARIABLE).is_some() {
        return work();
    }
    let limited = format!("ulimit -d {}; exec \"$0\" \"$@\"", megabytes << 10);
    let mut command = Command::new("sh");
    command.args(["-c", &limited]).arg(std::env::current_exe().expect("a test is a program"));
    command.args([test, "--exact", "--test-threads=1"]).env(CHILD_VARIABLE, "1");
    let ended = command.output().expect("a shell");
    let printed = String::from_utf8_lossy(&ended.stdout);
    let failed = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && printed.contains("1 passed"), "{printed}{failed}");
}
