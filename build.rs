//! Tells cargo that the embedded migrations are part of the source, and which version `--version` shows.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rustc-env=CALLSHEET_VERSION={}", version());
}

/// Returns the version, for a release build with its commit. A development build leaves the commit out: it would
/// otherwise be compiled again after each commit.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return version.to_owned();
    }
    // The file changes with every commit and checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
    match git(&["log", "-1", "--format=%h %cs", "--abbrev=9"]) {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    }
}

/// Returns the output of git, if there is a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
