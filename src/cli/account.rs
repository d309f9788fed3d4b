//! Who we are to AI Studios: where the credentials come from, and where they never come from.
//!
//! Never from the command line (`ps` shows it) and never from the batch file (it is shared). In
//! order: a profile that the batch file names, the environment, the batch file's
//! `user_key_command`, the credentials file. Invariant: every pair has a place that it belongs to,
//! and none is returned for another.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::batch::{Host, Studio};
use crate::studio::{Credentials, SetupError};

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub(super) enum AccountError {
    #[error(
        "no credentials: set {} and {} in the environment, or put app_id and user_key {}into \
         `{}`{}", names.app_id, names.user_key, names.table(), file.display(), names.not_these()
    )]
    None { names: Names, file: PathBuf },
    #[error("{given} is set, but not {missing}: both are needed")]
    Half { given: &'static str, missing: &'static str },
    #[error(
        "others can read the credentials file `{}`: run `chmod 600 {}`",
        path.display(), path.display()
    )]
    Open { path: PathBuf },
    #[error("the credentials file `{}` needs two lines: app_id = \"…\" and user_key = \"…\"", path.display())]
    File { path: PathBuf },
    #[error("the credentials file `{}` has no profile `{profile}`: add [{profile}] with app_id and user_key", path.display())]
    NoProfile { path: PathBuf, profile: String },
    #[error(
        "profile `{profile}` belongs to {belongs}, and its credentials are not sent to {asked}: give \
         it base_url = \"{asked}\" in the credentials file, or choose another profile"
    )]
    Elsewhere { profile: String, belongs: String, asked: String },
    #[error("`user_key_command` in the batch file failed: {why}")]
    Command { why: String },
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// Where the credentials of a region stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Names {
    app_id: &'static str,
    user_key: &'static str,
    china: bool,
}

const GLOBAL: Names =
    Names { app_id: "AISTUDIOS_APP_ID", user_key: "AISTUDIOS_USER_KEY", china: false };
const CHINA: Names =
    Names { app_id: "AISTUDIOS_CN_APP_ID", user_key: "AISTUDIOS_CN_USER_KEY", china: true };
/// The table of the credentials file that belongs to that region.
const CHINA_TABLE: &str = "china";
const FILE: &str = "AISTUDIOS_CREDENTIALS";

impl Names {
    /// Returns the names for a host. The regions know nothing of each other's accounts, so the one
    /// is recognised however it is written; every other host has the first pair.
    fn of(host: &Host) -> Self {
        let url = host.base_url();
        let name = url.host_str().unwrap_or_default();
        let china = name == "aistudios.cn" || name.ends_with(".aistudios.cn");
        if china { CHINA } else { GLOBAL }
    }

    fn table(self) -> &'static str {
        if self.china { "under [china] " } else { "" }
    }

    /// What is set for the other region was perhaps meant for this one.
    fn not_these(self) -> &'static str {
        match self.china {
            true if said(GLOBAL.app_id).is_some() => {
                "; AISTUDIOS_APP_ID belongs to the other region and is not sent to this one"
            }
            true | false => "",
        }
    }
}

fn said(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Who is asking, and whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whose<'a> {
    pub(super) host: &'a Host,
    pub(super) profile: Option<&'a str>,
    pub(super) user_key_command: Option<&'a str>,
}

impl<'a> Whose<'a> {
    /// Whoever a batch file says, at a host.
    pub(super) fn of(host: &'a Host, studio: Option<&'a Studio>) -> Self {
        Self {
            host,
            profile: studio.and_then(|studio| studio.profile.as_deref()),
            user_key_command: studio.and_then(|studio| studio.user_key_command.as_deref()),
        }
    }
}

/// Returns the credentials for a run.
pub(super) fn credentials(whose: Whose<'_>) -> Result<Credentials, AccountError> {
    let path = file();
    if let Some(profile) = whose.profile {
        return of_profile(&path, profile, whose);
    }
    let names = Names::of(whose.host);
    let app_id = said(names.app_id);
    let user_key = match (said(names.user_key), whose.user_key_command) {
        (Some(key), _) => Some(key),
        (None, Some(command)) => Some(output_of(command)?),
        (None, None) => None,
    };
    match (app_id, user_key) {
        (Some(app_id), Some(user_key)) => Ok(Credentials::new(app_id.trim(), user_key.trim())?),
        (Some(_), None) => Err(AccountError::Half { given: names.app_id, missing: names.user_key }),
        (None, Some(_)) => Err(AccountError::Half { given: names.user_key, missing: names.app_id }),
        (None, None) => from_file(&path, whose.host),
    }
}

/// Says where the credentials come from, without reading any.
pub(super) fn source(whose: Whose<'_>) -> String {
    if let Some(profile) = whose.profile {
        return format!("profile `{profile}` of `{}`", file().display());
    }
    let names = Names::of(whose.host);
    let (app_id, user_key) = (said(names.app_id).is_some(), said(names.user_key).is_some());
    match (app_id || user_key, user_key, whose.user_key_command) {
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

/// One pair of the credentials file, and the place that it belongs to.
struct Pair {
    app_id: Option<String>,
    user_key: Option<String>,
    place: Host,
}

/// Reads the credentials file as far as its tables.
fn read(path: &Path) -> Result<Option<toml::Table>, AccountError> {
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(None) };
    if is_open_to_others(path) {
        return Err(AccountError::Open { path: path.to_owned() });
    }
    // The parser's own words could quote a line, and a line here is a secret.
    text.parse().map(Some).map_err(|_| AccountError::File { path: path.to_owned() })
}

/// Reads a pair from a table; `None` if its place is none.
fn pair(name: &str, table: &toml::Table) -> Option<Pair> {
    let text = |key: &str| {
        let text = table.get(key)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let place = match (text("base_url"), text("region").as_deref()) {
        (Some(address), None) => Host::at(&address).ok()?,
        (None, Some("global")) => Host::Global,
        (None, Some("china")) => Host::China,
        (None, None) if name == CHINA_TABLE => Host::China,
        (None, None) => Host::Global,
        (_, Some(_)) => return None,
    };
    Some(Pair { app_id: text("app_id"), user_key: text("user_key"), place })
}

/// Returns a host as people write it.
fn place(host: &Host) -> String {
    host.base_url().as_str().trim_end_matches('/').to_owned()
}

fn of_profile(path: &Path, profile: &str, whose: Whose<'_>) -> Result<Credentials, AccountError> {
    let no_profile =
        || AccountError::NoProfile { path: path.to_owned(), profile: profile.to_owned() };
    let file = read(path)?.ok_or_else(no_profile)?;
    let table = file.get(profile).and_then(toml::Value::as_table).ok_or_else(no_profile)?;
    let damaged = || AccountError::File { path: path.to_owned() };
    let pair = pair(profile, table).ok_or_else(damaged)?;
    let (belongs, asked) = (place(&pair.place), place(whose.host));
    if belongs != asked {
        return Err(AccountError::Elsewhere { profile: profile.to_owned(), belongs, asked });
    }
    let user_key = match (pair.user_key, whose.user_key_command) {
        (Some(key), _) => Some(key),
        (None, Some(command)) => Some(output_of(command)?),
        (None, None) => None,
    };
    let (Some(app_id), Some(user_key)) = (pair.app_id, user_key) else { return Err(damaged()) };
    Ok(Credentials::new(app_id.trim(), user_key.trim())?)
}

/// Takes the pair that belongs to `host`: a profile that names this very place, or else the
/// region's own.
fn from_file(path: &Path, host: &Host) -> Result<Credentials, AccountError> {
    let names = Names::of(host);
    let none = || AccountError::None { names, file: path.to_owned() };
    let file = read(path)?.ok_or_else(none)?;
    let damaged = || AccountError::File { path: path.to_owned() };
    let named_here = |(name, value): (&String, &toml::Value)| {
        let table = value.as_table()?;
        let pair = pair(name, table)?;
        let here = table.contains_key("base_url") && place(&pair.place) == place(host);
        here.then_some(pair)
    };
    let pair = match (file.iter().find_map(named_here), names.china) {
        (Some(pair), _) => pair,
        (None, true) => {
            let table = file.get(CHINA_TABLE).and_then(toml::Value::as_table).ok_or_else(none)?;
            let china = pair(CHINA_TABLE, table).ok_or_else(damaged)?;
            if place(&china.place) != place(&Host::China) {
                return Err(none());
            }
            china
        }
        (None, false) => pair("", &file).ok_or_else(damaged)?,
    };
    let (Some(app_id), Some(user_key)) = (pair.app_id, pair.user_key) else {
        return Err(damaged());
    };
    Ok(Credentials::new(&app_id, &user_key)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_known_however_its_host_is_written() {
        for (address, names) in [
            ("https://app.aistudios.com", GLOBAL),
            ("https://app.aistudios.cn", CHINA),
            ("https://APP.AISTUDIOS.CN:443/x", CHINA),
            ("https://other.aistudios.cn", CHINA),
            ("https://app.deepbrain.io", GLOBAL),
            ("https://notaistudios.cn", GLOBAL),
            ("http://127.0.0.1:1", GLOBAL),
        ] {
            assert_eq!(Names::of(&Host::at(address).unwrap()), names, "{address}");
        }
        assert_eq!((Names::of(&Host::Global), Names::of(&Host::China)), (GLOBAL, CHINA));
    }

    #[test]
    fn a_pair_belongs_to_one_place_and_is_never_returned_for_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.toml");
        let pair = |name: &str| format!("app_id = \"{name}\"\nuser_key = \"{name}-key\"\n");
        let text = format!(
            "{}[china]\n{}[agency]\n{}[old]\nbase_url = \"https://app.deepbrain.io\"\n{}",
            pair("global"),
            pair("china"),
            pair("agency"),
            pair("old")
        );
        std::fs::write(&path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let of = |name: &str| Credentials::new(name, &format!("{name}-key")).unwrap();
        let old = Host::at("https://app.deepbrain.io/").unwrap();
        for (host, name) in [(&Host::Global, "global"), (&Host::China, "china"), (&old, "old")] {
            assert!(from_file(&path, host).unwrap() == of(name), "{host}");
        }
        for (profile, host, name) in [
            ("agency", &Host::Global, Some("agency")),
            ("agency", &Host::China, None),
            ("agency", &old, None),
            ("china", &Host::China, Some("china")),
            ("china", &Host::Global, None),
            ("old", &old, Some("old")),
            ("old", &Host::Global, None),
            ("nobody", &Host::Global, None),
        ] {
            let whose = Whose { host, profile: Some(profile), user_key_command: None };
            let given = of_profile(&path, profile, whose).ok();
            assert!(given == name.map(of), "{profile} at {host}");
        }
        std::fs::write(&path, pair("global")).unwrap();
        let none = from_file(&path, &Host::China).unwrap_err();
        assert!(none.to_string().contains("AISTUDIOS_CN_APP_ID"), "{none}");
    }
}
