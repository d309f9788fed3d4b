//! A second PostgreSQL server that follows the first, and what happens when the first one fails.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::postgres_server::{PostgresServer, TestDatabase, unprivileged_user};

impl PostgresServer {
    /// Returns the server's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    /// Starts a standby that streams from this server.
    pub(crate) fn start_standby(&self, name: &str) -> &'static Self {
        let folder =
            std::env::temp_dir().join(format!("callsheet-pg-{}{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        if let Some((uid, gid)) = unprivileged_user() {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let data = folder.join("data");
        self.command("pg_basebackup")
            .args(["-U", "callsheet", "-R", "-X", "stream", "-c", "fast", "-h"])
            .arg(&self.folder)
            .arg("-D")
            .arg(&data)
            .status()
            .map(|status| assert!(status.success(), "pg_basebackup"))
            .unwrap();
        Box::leak(Box::new(Self::launch(folder, &self.programs)))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        if let Some((uid, gid)) = unprivileged_user() {
            command.uid(uid).gid(gid);
        }
        command.current_dir(&self.folder).env("LC_ALL", "C");
        command
    }

    /// Makes every commit of this server wait for its standby.
    pub(crate) fn wait_for_standbys(&self) {
        self.change_setting("synchronous_standby_names", "*");
        self.wait_for("select 1 from pg_stat_replication where sync_state = 'sync'");
    }

    /// Lets this standby fall behind from now on. Stopping its process is not enough: the kernel still
    /// delivers what is in its buffers.
    pub(crate) fn stop_receiving(&self) {
        self.change_setting("primary_conninfo", "");
        self.wait_for("select 1 where not exists (select 1 from pg_stat_wal_receiver)");
    }

    fn change_setting(&self, name: &str, value: &str) {
        self.query("postgres", &format!("alter system set {name} = '{value}'"));
        self.query("postgres", "select pg_reload_conf()");
    }

    fn wait_for(&self, query: &str) {
        for _ in 0..600 {
            if !self.query("postgres", query).is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("never true: {query}");
    }

    /// Kills the server, as a machine that loses power.
    pub(crate) fn kill(&self) {
        let pid = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
        while fs::exists(format!("/proc/{pid}/exe")).unwrap_or(false) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts a server again that was killed.
    pub(crate) fn restart(&self) -> &'static Self {
        // Its other processes end by themselves. The killed one is not reaped before the tests end, and
        // these files would let it count as running.
        std::thread::sleep(Duration::from_millis(500));
        for lock in ["data/postmaster.pid", ".s.PGSQL.5432.lock"] {
            let _ = fs::remove_file(self.folder.join(lock));
        }
        Box::leak(Box::new(Self::launch(self.folder.clone(), &self.programs)))
    }

    /// Makes this standby the primary server.
    pub(crate) fn promote(&self) {
        self.query("postgres", "select pg_promote()");
        self.wait_for("select 1 where not pg_is_in_recovery()");
    }

    /// Returns a database that this server has from its primary.
    pub(crate) fn replicated(&'static self, database: &TestDatabase) -> TestDatabase {
        TestDatabase { server: self, name: database.name.clone() }
    }
}
