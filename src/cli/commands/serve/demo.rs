//! The demo of `callsheet serve --sandbox`: a first batch for a console that has none, rehearsed by the
//! simulator while the user watches.
//!
//! Files that exist are left as they are. Invariant: only the ledger of rehearsals is used, so nothing
//! is paid and no account is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::ledger::Ledger;
use crate::scaffold;
use crate::session::error::CommandError;
use crate::session::ledger_location::pass_ledger_to;
use crate::text::describe_io_error;

/// The folder of the demo, in the current one.
const DEMO_FOLDER: &str = "callsheet-demo";
const DEMO_BATCH_FILE: &str = "jobs/demo.toml";
const DEMO_FILES: [(&str, &str); 3] = [
    (DEMO_BATCH_FILE, scaffold::DEMO_BATCH),
    ("jobs/demo.csv", scaffold::DEMO_SHEET),
    ("templates/presenter.json.hbs", include_str!("../../../../templates/presenter.json.hbs")),
];

/// Starts the rehearsal of the demo batch, unless the ledger has a batch. Returns its batch file.
pub(super) async fn start_demo(ledger: &Ledger) -> Result<Option<PathBuf>, CommandError> {
    if !ledger.batches().await?.is_empty() {
        return Ok(None);
    }
    let file = write_demo_files(Path::new(DEMO_FOLDER))?;
    let program = std::env::current_exe().map_err(CommandError::unexpected)?;
    let mut run = tokio::process::Command::new(program);
    run.arg("run").arg(&file).args(["--sandbox", "--yes"]);
    pass_ledger_to(&mut run, ledger.address());
    // A process of its own, like every run: it ends with its batch, and not with the console.
    run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    run.spawn().map_err(CommandError::unexpected)?;
    Ok(Some(file))
}

fn write_demo_files(folder: &Path) -> Result<PathBuf, CommandError> {
    for (name, text) in DEMO_FILES {
        let path = folder.join(name);
        if path.exists() {
            continue;
        }
        let written = path.parent().map_or(Ok(()), fs::create_dir_all);
        written.and_then(|()| fs::write(&path, text)).map_err(|error| {
            let path = path.display();
            let reason = describe_io_error(error.kind());
            CommandError::unexpected(format!("cannot write the demo `{path}`: {reason}"))
        })?;
    }
    Ok(folder.join(DEMO_BATCH_FILE))
}
