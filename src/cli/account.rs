//! Who we are to AI Studios: where the credentials come from, and where they never come from.
//!
//! Never from the command line (`ps` shows it) and never from the batch file (it is shared). In
//! order: the environment, the batch file's `user_key_command`, the credentials file.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::studio::{Credentials, SetupError};

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub(super) enum AccountError {
    #[error(
        "no credentials: set AISTUDIOS_APP_ID and AISTUDIOS_USER_KEY in the environment, or put \
         app_id and user_key into `{}`", file.display()
    )]
    None { file: PathBuf },
    #[error("{given} is set, but not {missing}: both are needed")]
    Half { given: &'static str, missing: &'static str },
    #[error(
        "others can read the credentials file `{}`: run `chmod 600 {}`",
        path.display(), path.display()
    )]
    Open { path: PathBuf },
    #[error("the credentials file `{}` needs two lines: app_id = \"…\" and user_key = \"…\"", path.display())]
    File { path: PathBuf },
    #[error("`user_key_command` in the batch file failed: {why}")]
    Command { why: String },
    #[error(transparent)]
    Setup(#[from] SetupError),
}

const APP_ID: &str = "AISTUDIOS_APP_ID";
const USER_KEY: &str = "AISTUDIOS_USER_KEY";
const FILE: &str = "AISTUDIOS_CREDENTIALS";

/// Returns the credentials for a run.
pub(super) fn credentials(user_key_command: Option<&str>) -> Result<Credentials, AccountError> {
    let said = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let app_id = said(APP_ID);
    let user_key = match (said(USER_KEY), user_key_command) {
        (Some(key), _) => Some(key),
        (None, Some(command)) => Some(output_of(command)?),
        (None, None) => None,
    };
    match (app_id, user_key) {
        (Some(app_id), Some(user_key)) => Ok(Credentials::new(app_id.trim(), user_key.trim())?),
        (Some(_), None) => Err(AccountError::Half { given: APP_ID, missing: USER_KEY }),
        (None, Some(_)) => Err(AccountError::Half { given: USER_KEY, missing: APP_ID }),
        (None, None) => from_file(&file()),
    }
}

/// Says where the credentials come from, without reading any.
pub(super) fn source(user_key_command: Option<&str>) -> String {
    let said = |name| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
    match (said(APP_ID) || said(USER_KEY), said(USER_KEY), user_key_command) {
        (_, true, _) => "the environment".to_owned(),
        (_, false, Some(_)) => "the environment and `user_key_command`".to_owned(),
        (true, false, None) => "the environment".to_owned(),
        (false, false, None) => format!("`{}`", file().display()),
    }
}

/// Returns where the credentials file is looked for.
fn file() -> PathBuf {
    if let Some(path) = std::env::var_os(FILE) {
        return path.into();
    }
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.or_else(|| std::env::home_dir().map(|home| home.join(".config")));
    config.unwrap_or_default().join("callsheet").join("credentials.toml")
}

#[derive(serde::Deserialize)]
struct Stored {
    app_id: String,
    user_key: String,
}

fn from_file(path: &Path) -> Result<Credentials, AccountError> {
    let Ok(text) = std::fs::read_to_string(path) else {
        return Err(AccountError::None { file: path.to_owned() });
    };
    if is_open_to_others(path) {
        return Err(AccountError::Open { path: path.to_owned() });
    }
    // The parser's own words could quote a line, and a line here is a secret.
    let stored: Stored =
        toml::from_str(&text).map_err(|_| AccountError::File { path: path.to_owned() })?;
    Ok(Credentials::new(stored.app_id.trim(), stored.user_key.trim())?)
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}

fn output_of(command: &str) -> Result<String, AccountError> {
    let failed = |why: &str| AccountError::Command { why: why.to_owned() };
    let shell = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut shell_command = Command::new(shell.0);
    shell_command.args([shell.1, command]).stderr(std::process::Stdio::inherit());
    let output = shell_command.output().map_err(|_| failed("it could not be started"))?;
    if !output.status.success() {
        return Err(failed(&format!("it ended with {}", output.status)));
    }
    let key = String::from_utf8(output.stdout).map_err(|_| failed("it printed no text"))?;
    if key.trim().is_empty() {
        return Err(failed("it printed nothing"));
    }
    Ok(key)
}
