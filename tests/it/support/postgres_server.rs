//! A PostgreSQL server for the tests of one binary, with one database per test.
//!
//! Uses the standard library alone, so that the ledger's own tests can include this file. Invariant: the
//! server ends with the tests, also after `kill -9`, and leaves no files.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Ends the server when its input closes, which happens with the test process, however it ends.
const SUPERVISOR: &str = r#"
"$0/postgres" -D "$1/data" -k "$1" -c listen_addresses= >>"$1/log" 2>&1 &
read -r _
kill -INT $!
wait
rm -rf "$1"
"#;

/// Files are synced, because the program refuses a server that does not; ledgers of tests mostly commit
/// without waiting for it.
const SETTINGS: &str = "
max_connections = 300
shared_buffers = 64MB
autovacuum_naptime = 10s
checkpoint_timeout = 30min
max_wal_size = 4GB
";

/// A server starts, or recovers from a crash, within this time.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running server, reached by a socket in its own folder.
pub(crate) struct PostgresServer {
    pub(super) folder: PathBuf,
    pub(super) programs: PathBuf,
    _supervisor: Child,
}

/// A database of one test, deleted with this value.
pub(crate) struct TestDatabase {
    pub(super) server: &'static PostgresServer,
    pub(super) name: String,
}

impl PostgresServer {
    /// Returns the server of this test binary and starts it first if necessary. `None`, with a line on
    /// stderr, where PostgreSQL is not installed, unless `CALLSHEET_TEST_POSTGRES=require` is set.
    #[expect(clippy::print_stderr, reason = "a skipped test must not look like one that passed")]
    pub(crate) fn shared() -> Option<&'static Self> {
        static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
        let server =
            SERVER.get_or_init(|| find_programs().map(|programs| Self::start(&programs, "")));
        if server.is_none() {
            let is_required =
                std::env::var("CALLSHEET_TEST_POSTGRES").is_ok_and(|set| set == "require");
            assert!(!is_required, "no PostgreSQL here (apt-get install postgresql)");
            eprintln!("skipped: no PostgreSQL here (apt-get install postgresql)");
        }
        server.as_ref()
    }

    /// Starts one more server, for a test that makes it crash. `None` as for [`Self::shared`].
    pub(crate) fn start_another(name: &str) -> Option<&'static Self> {
        Self::shared()?;
        find_programs().map(|programs| &*Box::leak(Box::new(Self::start(&programs, name))))
    }

    fn start(programs: &Path, name: &str) -> Self {
        // Short, because the path of a socket has at most 107 bytes.
        let folder =
            std::env::temp_dir().join(format!("callsheet-pg-{}{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let user = unprivileged_user();
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let as_user = |program: &Path| {
            let mut command = Command::new(program);
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command.current_dir(&folder).env("LC_ALL", "C");
            command
        };
        let made = as_user(&programs.join("initdb"))
            .args([
                "--no-sync",
                "-U",
                "callsheet",
                "--auth=trust",
                "-E",
                "UTF8",
                "--no-locale",
                "-D",
            ])
            .arg(folder.join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let settings = folder.join("data/postgresql.auto.conf");
        fs::write(&settings, SETTINGS).unwrap();
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(&settings, Some(uid), Some(gid)).unwrap();
        }
        Self::launch(folder, programs)
    }

    /// Starts the server of a folder that has its data.
    pub(super) fn launch(folder: PathBuf, programs: &Path) -> Self {
        let mut shell = Command::new("/bin/sh");
        if let Some((uid, gid)) = unprivileged_user() {
            shell.uid(uid).gid(gid);
        }
        let supervisor = shell
            .current_dir(&folder)
            .env("LC_ALL", "C")
            .args(["-c", SUPERVISOR])
            .args([programs, &folder])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let server = Self { folder, programs: programs.to_owned(), _supervisor: supervisor };
        server.wait_until_ready();
        server
    }

    /// Waits until it accepts connections, as after a crash.
    pub(crate) fn wait_until_ready(&self) {
        for _ in 0..600 {
            let ready = Command::new(self.programs.join("pg_isready"))
                .args(["-q", "-d", "postgres", "-U", "callsheet", "-h"])
                .arg(&self.folder)
                .status();
            if ready.unwrap().success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        panic!("PostgreSQL did not start: {log}");
    }

    /// Creates an empty database.
    pub(crate) fn create_database(&'static self) -> TestDatabase {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.query("postgres", &format!("create database {name}"));
        TestDatabase { server: self, name }
    }

    /// Executes `sql` in `database` with `psql` and returns the rows, with fields separated by `|`.
    /// Waits for a server that is starting.
    pub(super) fn query(&self, database: &str, sql: &str) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let output = self.psql(database, sql);
            let error = String::from_utf8_lossy(&output.stderr);
            let is_starting = ["in recovery mode", "starting up", "not yet accepting"]
                .iter()
                .any(|words| error.contains(words));
            if !is_starting || begun.elapsed() > START_TIMEOUT {
                assert!(output.status.success(), "{sql}: {error}");
                return String::from_utf8(output.stdout)
                    .unwrap()
                    .lines()
                    .map(str::to_owned)
                    .collect();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn psql(&self, database: &str, sql: &str) -> Output {
        Command::new(self.programs.join("psql"))
            .args([
                "-XqAt",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "callsheet",
                "-d",
                database,
                "-c",
                sql,
                "-h",
            ])
            .arg(&self.folder)
            .env("PGOPTIONS", "-c client_min_messages=warning")
            .output()
            .unwrap()
    }
}

impl TestDatabase {
    /// Returns a new database; `None` where PostgreSQL is not installed, see [`PostgresServer::shared`].
    pub(crate) fn create() -> Option<Self> {
        PostgresServer::shared().map(PostgresServer::create_database)
    }

    /// Returns the ledger address of this database.
    pub(crate) fn url(&self) -> String {
        let folder = self.server.folder.display();
        format!("postgres:///{}?host={folder}&user=callsheet", self.name)
    }

    /// Returns the ledger address of this database for a user who needs a password.
    pub(crate) fn url_with_password(&self, password: &str) -> String {
        let (name, folder) = (&self.name, &self.server.folder);
        let user = format!("user_of_{name}");
        self.query(&format!("create role {user} login password '{password}'"));
        self.query(&format!("alter database {name} owner to {user}"));
        self.query(&format!("alter schema public owner to {user}"));
        let rules = folder.join("data/pg_hba.conf");
        let others = fs::read_to_string(&rules).unwrap();
        fs::write(&rules, format!("local {name} {user} scram-sha-256\n{others}")).unwrap();
        self.query("select pg_reload_conf()");
        format!("postgres:///{name}?host={}&user={user}&password={password}", folder.display())
    }

    /// Executes `sql` and returns the rows, with fields separated by `|`.
    pub(crate) fn query(&self, sql: &str) -> Vec<String> {
        self.server.query(&self.name, sql)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.query_of_server(&format!("drop database if exists {} with (force)", self.name));
    }
}

impl TestDatabase {
    fn query_of_server(&self, sql: &str) {
        // A failed test may leave a server that no longer responds; its folder is removed with it.
        if !std::thread::panicking() {
            self.server.query("postgres", sql);
        }
    }
}

/// Returns the folder of the server's programs.
fn find_programs() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .unwrap_or_default();
    let configured = Command::new("pg_config").arg("--bindir").output().ok();
    let configured = configured.and_then(|output| String::from_utf8(output.stdout).ok());
    let mut installed: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    installed.sort();
    configured
        .map(|folder| PathBuf::from(folder.trim()))
        .into_iter()
        .chain(installed.into_iter().rev())
        .chain(on_path)
        .find(|folder| {
            ["initdb", "postgres", "psql", "pg_isready"]
                .iter()
                .all(|name| folder.join(name).is_file())
        })
}

/// Returns the user `postgres` if the tests run as root: the server refuses to start as root.
pub(super) fn unprivileged_user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    let is_root = fs::metadata("/proc/self").ok()?.uid() == 0;
    if !is_root {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let fields: Vec<_> =
        users.lines().find(|line| line.starts_with("postgres:"))?.split(':').collect();
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}
