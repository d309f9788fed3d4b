//! Full or read-only disks, and disks with unreliable locks: the run stops with one clear error, no
//! paid request is forgotten, and the same command finishes once the disk is fixed.

use std::fs;
use std::process::Command;

use crate::support::test_cli::{CommandOutput, TestCli};

const ROWS: usize = 120;

/// One command run twice: on a full disk, and after space was freed.
struct RunsBeforeAndAfter {
    before: CommandOutput,
    after: CommandOutput,
}

impl TestCli {
    /// Runs `args` twice with `folder` on a disk of `size` that then grows. `None` where the
    /// machine does not permit mounts.
    fn run_on_small_disk(
        &self,
        folder: &str,
        size: &str,
        args: &str,
    ) -> Option<RunsBeforeAndAfter> {
        self.run_on_disk(folder, (&format!("size={size}"), "size=64m"), args)
    }

    /// Runs `args` twice with `folder` on a disk of its own, mounted with the first options and
    /// then with the second.
    fn run_on_disk(
        &self,
        folder: &str,
        (options, remounted): (&str, &str),
        args: &str,
    ) -> Option<RunsBeforeAndAfter> {
        fs::create_dir(self.path(folder)).unwrap();
        let script = format!(
            "mount -t tmpfs -o {options} none {folder} || exit 99
             \"$CALLSHEET\" {args} > tight.out 2> tight.err; echo $? > tight.code
             \"$CALLSHEET\" status > status.txt
             mount -o remount,{remounted} {folder}
             \"$CALLSHEET\" {args} > roomy.out 2> roomy.err; echo $? > roomy.code
             mkdir kept && cp -a {folder}/. kept/"
        );
        let inside = ["unshare", "--user", "--map-root-user", "--mount"];
        let ended = self.start(&mut self.shell_command(&inside, &script)).wait();
        if ended.code != Some(0) {
            assert!(!self.path("before.code").exists(), "{ended:?}");
            return None;
        }
        fs::remove_dir(self.path(folder)).unwrap();
        fs::rename(self.path("kept"), self.path(folder)).unwrap();
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap();
        let end = |name: &str| CommandOutput {
            code: read(&format!("{name}.code")).trim().parse().ok(),
            stdout: read(&format!("{name}.out")),
            stderr: read(&format!("{name}.err")),
            log: String::new(),
        };
        Some(RunsBeforeAndAfter { before: end("tight"), after: end("roomy") })
    }

    /// Runs `args` where no file may grow beyond `blocks` of 512 bytes.
    fn run_with_file_size_limit(&self, blocks: u32, args: &str) -> CommandOutput {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$CALLSHEET\" {args}");
        self.start(&mut self.shell_command(&["env"], &script)).wait()
    }

    /// A script for the shell, within `outer`, in the environment that the binary gets, and with
    /// the binary's own path in `CALLSHEET`.
    pub(crate) fn shell_command(&self, outer: &[&str], script: &str) -> Command {
        let binary = self.command(&[]);
        let mut command = Command::new(outer[0]);
        command.args(&outer[1..]).args(["sh", "-c", script]).env_clear();
        for (name, value) in binary.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.env("CALLSHEET", env!("CARGO_BIN_EXE_callsheet")).current_dir(self.dir.path());
        command
    }
}

fn assert_all_done(office: &TestCli) {
    assert_eq!(office.assert_guarantees(ROWS), vec!["done"; ROWS]);
    assert_eq!(office.sandbox.render_count(), ROWS as u64, "each row is paid for once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_ledger_stops_the_run_and_the_same_command_finishes() {
    // Full while the ledger is created, while the plan is committed, and during the run.
    for size in ["60k", "240k", "480k"] {
        let office = TestCli::new(ROWS).await;
        let args = "--ledger tight/l.db run b.toml";
        let Some(RunsBeforeAndAfter { before, after }) =
            office.run_on_small_disk("tight", size, args)
        else {
            return;
        };
        assert_eq!(before.code, Some(1), "{size}: {before:?}");
        assert!(
            before.stderr.contains("error: the disk is full: the ledger cannot be written"),
            "{before:?}"
        );
        assert_eq!(after.code, Some(0), "{size}: {after:?}");
        assert_all_done(&office);
    }
}

/// Checks the reason in `status` on the full disk, and that the record of the run exists
/// somewhere.
fn assert_disk_is_named(office: &TestCli) {
    let status = fs::read_to_string(office.path("status.txt")).unwrap();
    let line = status.lines().nth(1).unwrap();
    assert!(line.contains("the disk is full") && line.ends_with("callsheet run b.toml"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_video_disk_is_reported_before_anything_is_paid() {
    let office = TestCli::new(3).await;
    let Some(RunsBeforeAndAfter { before, after }) =
        office.run_on_small_disk("out", "64k", "run b.toml")
    else {
        return;
    };
    assert_eq!(before.code, Some(1), "{before:?}");
    let words = "cannot be written (the disk is full; free some space); nothing was submitted";
    assert!(before.stderr.contains(words), "{before:?}");
    assert_disk_is_named(&office);
    assert_eq!(after.code, Some(0), "{after:?}");
    assert_eq!(office.assert_guarantees(3), ["done"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_video_disk_stops_the_run_and_leaves_only_downloads() {
    let office = TestCli::new(ROWS).await;
    let Some(RunsBeforeAndAfter { before, after }) =
        office.run_on_small_disk("out", "1200k", "run b.toml")
    else {
        return;
    };
    assert_eq!(before.code, Some(1), "{before:?}");
    // With even less space left, the results cannot be written, and only that is reported.
    let is_told =
        ["the output folder", "the disk is full"].iter().any(|words| before.stderr.contains(words));
    assert!(is_told, "{before:?}");
    assert_disk_is_named(&office);
    assert_eq!(after.code, Some(0), "{after:?}");
    assert_all_done(&office);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_size_limit_stops_the_run_and_the_same_command_finishes() {
    for blocks in [100, 480, 900] {
        let office = TestCli::new(ROWS).await;
        let tight = office.run_with_file_size_limit(blocks, "run b.toml");
        assert_eq!(tight.code, Some(1), "{blocks}: {tight:?}");
        assert!(tight.stderr.contains("error: the disk under the ledger fails"), "{tight:?}");
        assert!(!tight.stderr.contains("database"), "a library's words: {}", tight.stderr);
        let roomy = office.run(&["run", "b.toml"]);
        assert_eq!(roomy.code, Some(0), "{blocks}: {roomy:?}");
        assert_all_done(&office);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_stops_the_run_before_anything_is_lost() {
    for (folder, args) in [("tight", "--ledger tight/l.db run b.toml"), ("out", "run b.toml")] {
        let office = TestCli::new(3).await;
        let Some(RunsBeforeAndAfter { before, after }) =
            office.run_on_disk(folder, ("ro", "rw"), args)
        else {
            return;
        };
        assert_eq!(before.code, Some(1), "{before:?}");
        assert!(before.stderr.contains("read-only"), "{folder}: {before:?}");
        assert_eq!(after.code, Some(0), "{after:?}");
        assert_eq!(office.assert_guarantees(3), ["done"; 3]);
        assert_eq!(office.sandbox.render_count(), 3);
    }
}

/// Behaves like a network disk without working locks, for one program.
const FAKE_FLOCK_SOURCE: &str =
    "int flock(int file, int how) { (void)file; (void)how; return 0; }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_reliable_locks_is_rejected_before_anything_is_spent() {
    let office = TestCli::new(3).await;
    office.write("lies.c", FAKE_FLOCK_SOURCE);
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o", "lies.so", "lies.c"])
        .current_dir(office.dir.path())
        .status();
    assert!(built.unwrap().success());
    let mut command = office.command(&["run", "b.toml"]);
    command.env("LD_PRELOAD", office.path("lies.so"));
    let ended = office.start(&mut command).wait();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    insta::assert_snapshot!(office.normalize(&ended.stderr), @"error: file locking does not work on the disk of `callsheet.db.promo.lock`, so two runs could pay twice; move the ledger to a local disk");
    assert_eq!(office.sandbox.counters().requests.values().sum::<u64>(), 0);
}
