//! Secrets: no file and no output of a run contains one, at any verbosity.

use std::fs;

use callsheet::sandbox::{APP_ID, USER_KEY};

use crate::support::test_cli::TestCli;

#[tokio::test(flavor = "multi_thread")]
async fn no_output_contains_the_user_key_or_the_token() {
    let office = TestCli::with_settings(12, "", |settings| {
        settings.state = None;
        for fault in [
            "lost-answer=export:20%",
            "401-html=progress:1",
            "token-expires=export:1",
            "truncate=create:20%",
            "http-500-after=project:20%",
            "wrong-json=progress:10%",
        ] {
            settings.faults.add(fault).unwrap();
        }
    })
    .await;
    let run = office.start(&mut office.command(&["-vv", "run", "b.toml"]));
    office.sandbox.wait_until(|sandbox| sandbox.render_count() >= 2).await;
    run.signal("KILL");
    drop(run.wait());
    // Killed: the write-ahead log of the ledger remains and is searched as well.
    let mut looked_at = assert_no_secrets_in_files(&office);
    for _ in 0..20 {
        let ended = office.run(&["-vv", "run", "b.toml", "--json"]);
        looked_at += assert_no_secrets_in_files(&office);
        if ended.code == Some(0) {
            break;
        }
    }
    office.assert_guarantees(12);
    assert!(looked_at > 20, "{looked_at} files");
    let mut wrong = office.command(&["-vv", "run", "b.toml"]);
    wrong.env("AISTUDIOS_USER_KEY", format!("{USER_KEY}x"));
    assert_eq!(office.start(&mut wrong).wait().code, Some(7));
    assert_no_secrets_in_files(&office);
}

/// A crash must not leave the memory of the process, with its user key, in a file.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_no_core_dump() {
    let office = TestCli::new(1).await;
    let mut command = std::process::Command::new("sh");
    let raised = "ulimit -S -c \"$(ulimit -H -c)\"; exec \"$0\" serve --listen 127.0.0.1:0";
    command.args(["-c", raised, env!("CARGO_BIN_EXE_callsheet")]).current_dir(office.dir.path());
    let mut server = office.start(&mut command);
    while !format!("{}{}", server.stdout(), server.stderr()).contains("Ctrl-C stops") {
        assert!(server.is_running(), "{}", server.stderr());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.child.id())).unwrap();
    let limit = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(limit.split_whitespace().nth(4), Some("0"), "{limit}");
    server.signal("INT");
    assert_eq!(server.wait().code, Some(0));
}

/// Searches every file of the folder, output included, and returns their number.
fn assert_no_secrets_in_files(office: &TestCli) -> usize {
    // A token begins with this; fewer letters would be in some compressed payload by chance.
    let files = office.assert_absent_from_files(&[USER_KEY, APP_ID, "eyJhbGciOi"]);
    #[cfg(unix)]
    for file in files.iter().filter(|file| file.display().to_string().contains("callsheet.db")) {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "others can read {}", file.display());
    }
    files.len()
}
