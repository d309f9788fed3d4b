//! Finding a secret where the batch file says it is. What is found is a type that cannot be
//! printed, and what went wrong never holds a part of it.

use std::path::Path;
use std::process::Stdio;

use secrecy::SecretString;
use url::Url;

use crate::batch::{NotifyUrl, SecretRef};

/// A secret fits a page; past this, something else was named.
const SECRET_MAX: usize = 16 * 1024;

/// Returns the secret.
pub(super) async fn resolve_secret(hidden: &SecretRef) -> Result<SecretString, String> {
    let text = match hidden {
        SecretRef::Env(name) => {
            std::env::var(name).map_err(|_| format!("`{name}` is not set in the environment"))?
        }
        SecretRef::File(path) => read_secret_file(path)?,
        SecretRef::Command(command) => command_output(command).await?,
    };
    let text = text.trim();
    if text.is_empty() || text.len() > SECRET_MAX {
        return Err(format!("{} holds no secret", describe_source(hidden)));
    }
    Ok(text.to_owned().into())
}

/// Returns an address, hidden or not.
pub(super) async fn resolve_address(address: &NotifyUrl) -> Result<Url, String> {
    match address {
        NotifyUrl::Plain(url) => Ok(url.clone()),
        NotifyUrl::Secret(hidden) => resolve_url(hidden).await,
    }
}

/// Returns an address that is a secret.
pub(super) async fn resolve_url(hidden: &SecretRef) -> Result<Url, String> {
    use secrecy::ExposeSecret;
    let found = resolve_secret(hidden).await?;
    let url = Url::parse(found.expose_secret()).ok();
    let web = |url: &Url| matches!(url.scheme(), "https" | "http") && url.has_host();
    url.filter(web)
        .ok_or_else(|| format!("{} holds no address of the web", describe_source(hidden)))
}

fn describe_source(hidden: &SecretRef) -> String {
    match hidden {
        SecretRef::Env(name) => format!("`{name}`"),
        SecretRef::File(path) => format!("`{}`", path.display()),
        SecretRef::Command(_) => "what the command for the secret printed".to_owned(),
    }
}

fn read_secret_file(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|_| format!("`{}` cannot be read", path.display()))
}

async fn command_output(command: &str) -> Result<String, String> {
    let shell = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut shell_command = tokio::process::Command::new(shell.0);
    shell_command.args([shell.1, command]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = shell_command.kill_on_drop(true).output().await;
    match output {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout)
            .map_err(|_| "the command for the secret printed no text".to_owned()),
        Ok(output) => Err(format!("the command for the secret ended with {}", output.status)),
        Err(_) => Err("the command for the secret could not be started".to_owned()),
    }
}
