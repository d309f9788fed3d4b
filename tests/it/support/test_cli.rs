//! The real binary, started as cron starts it: a bare environment, no terminal, files for output.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use callsheet::sandbox::{self, Sandbox};
use rustix::process::WaitOptions;
use tempfile::TempDir;

pub(crate) use super::TEMPLATE;
use super::postgres_server::TestDatabase;

/// No invocation in a test takes longer, or it hangs.
pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(90);

/// The same for a run whose ledger is on a server: its quiet wait takes at least five minutes.
const SERVER_COMMAND_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Limits under which a test takes no time.
pub(crate) const LIMITS: &str = "
[limits]
requests = 'unlimited'
submits = 'unlimited'
in_flight = 32
canary = 0
poll_min = '20ms'
poll_max = '100ms'
backoff_min = '20ms'
backoff_max = '100ms'
settle_after = '1s'
confirm_after = '50ms'
request_timeout = '2s'
";

/// A folder where the binary works, with a virtual studio in this process that outlives it.
pub(crate) struct TestCli {
    pub(crate) dir: TempDir,
    pub(crate) sandbox: Sandbox,
    /// The ledger's server, if it is not a file in the folder.
    database: Option<TestDatabase>,
    /// The address of the ledger, if it is not found by the batch file.
    ledger: Option<String>,
    output_count: AtomicU32,
}

/// What an invocation came to.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    /// `None`: ended by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    /// Without the times at the beginning of its lines.
    pub(crate) stderr: String,
    /// The same with these times, as a log file holds it.
    pub(crate) log: String,
}

/// An invocation under way.
pub(crate) struct RunningCommand {
    pub(crate) child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl TestCli {
    /// An office with a batch `b.toml` of `rows` rows, and a studio that keeps to the documents.
    pub(crate) async fn new(rows: usize) -> Self {
        Self::with_settings(rows, "", |_| ()).await
    }

    /// The same with more lines under `[studio]`, and a studio of other habits.
    pub(crate) async fn with_settings(
        rows: usize,
        studio: &str,
        change: impl FnOnce(&mut sandbox::SandboxSettings),
    ) -> Self {
        let mut settings = sandbox::SandboxSettings::default();
        settings.switches.time_scale = super::TIME_SCALE;
        change(&mut settings);
        let sandbox = Sandbox::start(settings).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut office =
            Self { dir, sandbox, database: None, ledger: None, output_count: AtomicU32::new(0) };
        if std::env::var("CALLSHEET_TEST_LEDGER").is_ok_and(|store| store == "postgres")
            && let Some(database) = TestDatabase::create()
        {
            office.ledger = Some(database.url());
            office.database = Some(database);
        }
        office.write("t.json.hbs", TEMPLATE);
        office.write_rows(rows);
        office.write_batch(studio, LIMITS);
        office
    }

    /// Moves the ledger to a database that needs this password; `false` where there is no server.
    pub(crate) fn use_server_with_password(&mut self, password: &str) -> bool {
        let Some(database) = TestDatabase::create() else { return false };
        self.ledger = Some(database.url_with_password(password));
        self.database = Some(database);
        true
    }

    /// Returns the server of the ledger; `None` if it is a file.
    pub(crate) fn database(&self) -> Option<&TestDatabase> {
        self.database.as_ref()
    }

    /// Ends the leases of processes that were killed, for whose end on a server the next run would wait.
    pub(crate) fn end_leases(&self) {
        if let Some(database) = &self.database {
            database.query(
                "do $$ begin
                    if to_regclass('callsheet.batch_lease') is not null then
                        update callsheet.batch_lease set until = 0;
                    end if;
                end $$",
            );
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Looks into every file of the folder, the output included: none holds one of these words.
    /// Returns the files.
    pub(crate) fn assert_absent_from_files<S: AsRef<str>>(&self, words: &[S]) -> Vec<PathBuf> {
        let (mut folders, mut files) = (vec![self.dir.path().to_owned()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        for file in &files {
            let bytes = fs::read(file).unwrap();
            for word in words.iter().map(|word| word.as_ref().as_bytes()) {
                let found = bytes.windows(word.len()).any(|window| window == word);
                assert!(!found, "{} is in {}", String::from_utf8_lossy(word), file.display());
            }
        }
        files
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn write_rows(&self, rows: usize) {
        let rows = (0..rows).map(|n| format!("k{n:03},Hello {n}\n"));
        self.write("s.csv", &format!("key,script\n{}", rows.collect::<String>()));
    }

    pub(crate) fn write_batch(&self, studio: &str, limits: &str) {
        let url = self.sandbox.base_url();
        // A server takes no shorter quiet wait.
        let limits = match self.database {
            Some(_) => {
                let is_short =
                    |line: &&str| line.starts_with("settle_after") && line.ends_with("s'");
                let lines = limits.lines().map(|line| match is_short(&line) {
                    true => "settle_after = '5m'\n".to_owned(),
                    false => format!("{line}\n"),
                });
                lines.collect()
            }
            None => limits.to_owned(),
        };
        self.write(
            "b.toml",
            &format!(
                "name = 'promo'\nsheet = 's.csv'\ntemplate = 't.json.hbs'\nkey = 'key'\n\
                 output = 'out'\n[studio]\nbase_url = '{url}'\n{studio}\n{limits}"
            ),
        );
    }

    /// Adds a batch `c.toml`, called `second`, of `rows` rows.
    pub(crate) fn add_second_batch(&self, rows: usize, limits: &str) {
        let sheet: String = (0..rows).map(|n| format!("m{n:03},Good evening {n}\n")).collect();
        self.write("s2.csv", &format!("key,script\n{sheet}"));
        let text = fs::read_to_string(self.path("b.toml")).unwrap();
        let (text, _) = text.split_once("\n[limits]").unwrap();
        let text = text.replace("'promo'", "'second'").replace("'s.csv'", "'s2.csv'");
        self.write("c.toml", &format!("{}\n{limits}", text.replace("'out'", "'out2'")));
    }

    /// The binary with credentials in an environment that has little else.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.command_without_credentials(args);
        command.env("AISTUDIOS_APP_ID", sandbox::APP_ID);
        command.env("AISTUDIOS_USER_KEY", sandbox::USER_KEY);
        command
    }

    /// The binary without credentials.
    pub(crate) fn command_without_credentials(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callsheet"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.dir.path());
        command.current_dir(self.dir.path()).args(args);
        if let Some(ledger) = &self.ledger {
            command.env("CALLSHEET_LEDGER", ledger);
        }
        command
    }

    /// Runs with credentials to the end.
    pub(crate) fn run(&self, args: &[&str]) -> CommandOutput {
        let timeout = self.database().map_or(COMMAND_TIMEOUT, |_| SERVER_COMMAND_TIMEOUT);
        self.start(&mut self.command(args)).wait_at_most(timeout)
    }

    /// Starts a command; its output goes to files, which never block it.
    pub(crate) fn start(&self, command: &mut Command) -> RunningCommand {
        let number = self.output_count.fetch_add(1, Ordering::Relaxed);
        let (out, err) = (self.path(&format!("{number}.out")), self.path(&format!("{number}.err")));
        command.stdin(Stdio::null());
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        RunningCommand { child: command.spawn().unwrap(), stdout: out, stderr: err }
    }

    /// Returns text with what differs from run to run taken out.
    pub(crate) fn normalize(&self, text: &str) -> String {
        let folder = self.dir.path().display().to_string();
        text.replace(&self.sandbox.base_url(), "http://STUDIO")
            .replace(self.sandbox.base_url().trim_start_matches("http://"), "STUDIO")
            .replace(&folder, "DIR")
    }

    /// The same while a run may not have written it yet.
    pub(crate) fn results_if_written(&self, folder: &str) -> Vec<Vec<String>> {
        if self.path(folder).join("results.csv").exists() {
            self.results(folder)
        } else {
            Vec::new()
        }
    }

    /// Returns `results.csv` as records, the headings first.
    pub(crate) fn results(&self, folder: &str) -> Vec<Vec<String>> {
        let path = self.path(folder).join("results.csv");
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
        let record = |record: Result<csv::StringRecord, _>| {
            record.unwrap().iter().map(str::to_owned).collect()
        };
        reader.records().map(record).collect()
    }

    /// The promise, by the studio's bill and the report: nothing was paid twice, every row is
    /// there in its order, and what is done lies whole in the folder.
    pub(crate) fn assert_guarantees(&self, rows: usize) -> Vec<String> {
        assert_eq!(self.sandbox.bill().paid_twice(), [], "paid twice");
        let results = self.results("out");
        assert_eq!(results.len(), rows + 1, "rows were lost");
        let column = |name| results[0].iter().position(|heading| heading == name).unwrap();
        let (status, file) = (column("status"), column("video_file"));
        for (place, row) in results[1..].iter().enumerate() {
            assert_eq!(row[0], format!("k{place:03}"), "the sheet's order");
            if row[status] == "done" {
                assert_complete_mp4(&self.path("out").join(&row[file]));
            }
        }
        results[1..].iter().map(|row| row[status].clone()).collect()
    }
}

/// Returns a log without the times at the beginning of its lines, such as
/// `2026-11-29 13:05:12+01:00 `.
pub(crate) fn without_times(log: &str) -> String {
    let line = |line: &str| -> String {
        match line.get(..26).filter(|time| is_log_time(time)) {
            Some(time) => line[time.len()..].to_owned(),
            None => line.to_owned(),
        }
    };
    log.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Returns whether a text is a local date and time with its offset, and a blank.
pub(crate) fn is_log_time(text: &str) -> bool {
    let shape = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c });
    let shape = shape.collect::<String>().replace("-00:00 ", "+00:00 ");
    shape == "0000-00-00 00:00:00+00:00 "
}

impl CommandOutput {
    /// Returns stdout without the line about this run, whose duration differs each time.
    pub(crate) fn stdout_without_totals(&self) -> String {
        let lines = self.stdout.lines().filter(|line| !line.contains("This run: "));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

impl RunningCommand {
    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(sent.success(), "no {name} for {pid}");
    }

    /// Stops it, as Ctrl-Z does, and returns when each of its threads stands still: the signal alone
    /// reaches one of them, and the others may be in the middle of a commit before they hear of it.
    pub(crate) fn stop(&self) {
        self.signal("STOP");
        let pid = rustix::process::Pid::from_child(&self.child);
        let seen = rustix::process::waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
        assert!(seen.is_some_and(|(_, status)| status.stopped()), "it ended instead: {seen:?}");
    }

    /// Returns whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it has printed so far.
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap()
    }

    /// What it has said so far.
    pub(crate) fn stderr(&self) -> String {
        without_times(&fs::read_to_string(&self.stderr).unwrap())
    }

    /// Waits for its end.
    pub(crate) fn wait(self) -> CommandOutput {
        self.wait_at_most(COMMAND_TIMEOUT)
    }

    /// Waits for the end of one that takes longer than most.
    pub(crate) fn wait_at_most(mut self, time: Duration) -> CommandOutput {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > time {
                self.child.kill().unwrap();
                panic!("it hangs; so far it said:\n{}", self.stderr());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let log = read(&self.stderr);
        let stderr = without_times(&log);
        CommandOutput { code: status.code(), stdout: read(&self.stdout), stderr, log }
    }
}

impl Drop for RunningCommand {
    fn drop(&mut self) {
        // A test that failed must not leave a stopped process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Walks the boxes of an MP4 file: they fill it to its last byte, and what plays is among them.
pub(crate) fn assert_complete_mp4(path: &Path) {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut at, mut kinds) = (0, Vec::new());
    while at < bytes.len() {
        let head = bytes.get(at..at + 8).unwrap_or_else(|| panic!("{} is cut", path.display()));
        let length = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
        kinds.push(String::from_utf8_lossy(&head[4..]).into_owned());
        assert!(length >= 8, "{}: a box of {length} bytes", path.display());
        at += length;
    }
    assert_eq!(at, bytes.len(), "{} is cut", path.display());
    for kind in ["ftyp", "moov", "mdat"] {
        assert!(kinds.iter().any(|found| found == kind), "{}: {kinds:?}", path.display());
    }
}
