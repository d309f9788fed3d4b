//! The binary on a pseudo-terminal, with typed keys and what is shown.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use callsheet::sandbox;

use crate::support::test_cli::{CommandOutput, TestCli};

/// The program on a pseudo-terminal, where it asks.
pub(crate) struct TerminalSession {
    child: Child,
    shown: String,
}

impl TerminalSession {
    pub(crate) fn start(office: &TestCli, args: &str) -> Self {
        let mut terminal = Self::command(office, args);
        terminal.env("AISTUDIOS_APP_ID", sandbox::APP_ID);
        Self::spawn(terminal.env("AISTUDIOS_USER_KEY", sandbox::USER_KEY))
    }

    /// Returns the command that runs the program on a pseudo-terminal, without credentials.
    pub(crate) fn command(office: &TestCli, args: &str) -> Command {
        let line = format!("{} {args}", env!("CARGO_BIN_EXE_callsheet"));
        let mut command = Command::new("script");
        command.args(["-q", "-e", "-c", &line, "/dev/null"]).current_dir(office.dir.path());
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", office.dir.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self { child: command.spawn().unwrap(), shown: String::new() }
    }

    /// Types a line.
    pub(crate) fn answer(&mut self, answer: &str) {
        self.type_keys(&format!("{answer}\n"));
    }

    /// Types keys, without Enter.
    pub(crate) fn type_keys(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Reads until the terminal has shown `words`.
    pub(crate) fn wait_for_text(&mut self, words: &str) {
        self.wait_for_text_behind(0, words);
    }

    /// Reads until the terminal shows `words` once more.
    pub(crate) fn wait_for_new_text(&mut self, words: &str) {
        self.wait_for_text_behind(self.shown.len(), words);
    }

    fn wait_for_text_behind(&mut self, offset: usize, words: &str) {
        let out = self.child.stdout.as_mut().unwrap();
        let mut some = [0; 4096];
        while !self.shown[offset..].contains(words) {
            let length = out.read(&mut some).unwrap();
            assert!(length > 0, "it ended without `{words}`: {}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&some[..length]));
        }
    }

    /// Types a line, and waits for the end.
    pub(crate) fn answer_and_wait(mut self, answer: &str) -> CommandOutput {
        self.answer(answer);
        self.wait()
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> CommandOutput {
        drop(self.child.stdin.take());
        let ended = self.child.wait_with_output().unwrap();
        let out = format!("{}{}", self.shown, String::from_utf8_lossy(&ended.stdout));
        CommandOutput {
            code: ended.status.code(),
            stdout: out,
            stderr: String::new(),
            log: String::new(),
        }
    }
}
