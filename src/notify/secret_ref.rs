//! Reads a secret from the place that the batch file names. The result is a type that cannot be
//! printed, and no error message contains a part of it.
//!
//! A batch file decides where its secrets are sent, so a file is only taken for a secret if it looks
//! like one: a short regular file with one line. A private key or a list of users does not.

use std::io::Read;
use std::path::Path;

use secrecy::SecretString;
use url::Url;

use crate::batch::{NotifySettings, NotifyUrl, SecretRef};
use crate::process::ForeignCommand;

/// A longer value is not a secret but, for instance, the wrong file.
const SECRET_BYTES_MAX: usize = 16 << 10;

impl NotifySettings {
    /// Returns the secret to which a setting refers.
    pub(super) async fn resolve_secret(&self, secret: &SecretRef) -> Result<SecretString, String> {
        let source = describe_source(secret);
        let text = match secret {
            SecretRef::Env(name) => std::env::var(name)
                .map_err(|_| format!("{source} is not set in the environment"))?,
            SecretRef::File(path) => read_secret_file(path)?,
            SecretRef::Command(command) => {
                ForeignCommand::shell(command, &self.secret_vars(), &self.folder)
                    .read_output(SECRET_BYTES_MAX)
                    .await
                    .map_err(|failure| format!("{source} {failure}"))?
            }
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(format!("{source} contains no secret"));
        }
        if text.len() > SECRET_BYTES_MAX || text.contains(['\r', '\n']) {
            return Err(format!("{source} contains no secret: a secret is one line"));
        }
        Ok(text.to_owned().into())
    }

    /// Returns a URL, secret or not.
    pub(super) async fn resolve_address(&self, address: &NotifyUrl) -> Result<Url, String> {
        match address {
            NotifyUrl::Plain(url) => Ok(url.clone()),
            NotifyUrl::Secret(secret) => self.resolve_url(secret).await,
        }
    }

    /// Returns a URL that is a secret.
    pub(super) async fn resolve_url(&self, secret: &SecretRef) -> Result<Url, String> {
        use secrecy::ExposeSecret;
        let text = self.resolve_secret(secret).await?;
        let url = Url::parse(text.expose_secret()).ok();
        let is_web_url = |url: &Url| matches!(url.scheme(), "https" | "http") && url.has_host();
        url.filter(is_web_url)
            .ok_or_else(|| format!("{} contains no http(s) URL", describe_source(secret)))
    }
}

fn describe_source(secret: &SecretRef) -> String {
    match secret {
        SecretRef::Env(name) => format!("`{name}`"),
        SecretRef::File(path) => format!("`{}`", path.display()),
        SecretRef::Command(_) => "the command for the secret".to_owned(),
    }
}

fn read_secret_file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let unreadable = |_| format!("`{shown}` cannot be read");
    // Opening a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(format!("`{shown}` is not a file"));
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(SECRET_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}
