//! Reads a secret from the place that the batch file names. The result is a type that cannot be
//! printed, and no error message contains a part of it.

use std::path::Path;
use std::process::Stdio;

use secrecy::SecretString;
use url::Url;

use crate::batch::{NotifyUrl, SecretRef};

/// A longer value is not a secret but, for instance, the wrong file.
const SECRET_MAX: usize = 16 * 1024;

/// Returns the secret.
pub(super) async fn resolve_secret(secret_ref: &SecretRef) -> Result<SecretString, String> {
    let text = match secret_ref {
        SecretRef::Env(name) => {
            std::env::var(name).map_err(|_| format!("`{name}` is not set in the environment"))?
        }
        SecretRef::File(path) => read_secret_file(path)?,
        SecretRef::Command(command) => command_output(command).await?,
    };
    let text = text.trim();
    if text.is_empty() || text.len() > SECRET_MAX {
        return Err(format!("{} contains no secret", describe_source(secret_ref)));
    }
    Ok(text.to_owned().into())
}

/// Returns a URL, secret or not.
pub(super) async fn resolve_address(address: &NotifyUrl) -> Result<Url, String> {
    match address {
        NotifyUrl::Plain(url) => Ok(url.clone()),
        NotifyUrl::Secret(secret_ref) => resolve_url(secret_ref).await,
    }
}

/// Returns a URL that is a secret.
pub(super) async fn resolve_url(secret_ref: &SecretRef) -> Result<Url, String> {
    use secrecy::ExposeSecret;
    let secret = resolve_secret(secret_ref).await?;
    let url = Url::parse(secret.expose_secret()).ok();
    let is_web_url = |url: &Url| matches!(url.scheme(), "https" | "http") && url.has_host();
    url.filter(is_web_url)
        .ok_or_else(|| format!("{} contains no http(s) URL", describe_source(secret_ref)))
}

fn describe_source(secret_ref: &SecretRef) -> String {
    match secret_ref {
        SecretRef::Env(name) => format!("`{name}`"),
        SecretRef::File(path) => format!("`{}`", path.display()),
        SecretRef::Command(_) => "the output of the command for the secret".to_owned(),
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
            .map_err(|_| "the command for the secret printed invalid text".to_owned()),
        Ok(output) => Err(format!("the command for the secret exited with {}", output.status)),
        Err(_) => Err("the command for the secret could not be started".to_owned()),
    }
}
