//! The credentials for AI Studios and their sources.
//!
//! They never come from the command line (`ps` shows it) or the batch file (it is shared). In this
//! order: the profile that the batch file names, the environment, the batch file's
//! `user_key_command`, the credentials file. Invariant: every pair of credentials belongs to a host,
//! and is never returned for another one.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::aistudios::{ClientSetupError, Credentials};
use crate::batch::{StudioHost, StudioSettings};

/// The reason why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error(
        "no credentials: set {} and {} in the environment, or put app_id and user_key {}into \
         `{}`{}", names.app_id, names.user_key, names.table_hint(), file.display(), names.wrong_region_hint()
    )]
    Missing { names: EnvVars, file: PathBuf },
    #[error("{given} is set, but not {missing}: both are needed")]
    Incomplete { given: &'static str, missing: &'static str },
    #[error(
        "others can read the credentials file `{}`: run `chmod 600 {}`",
        path.display(), path.display()
    )]
    InsecurePermissions { path: PathBuf },
    #[error("the credentials file `{}` needs two lines: app_id = \"…\" and user_key = \"…\"", path.display())]
    InvalidFile { path: PathBuf },
    #[error("the credentials file `{}` has no profile `{profile}`: add [{profile}] with app_id and user_key", path.display())]
    UnknownProfile { path: PathBuf, profile: String },
    #[error(
        "profile `{profile}` belongs to {belongs}, and its credentials are not sent to {requested}: give \
         it base_url = \"{requested}\" in the credentials file, or choose another profile"
    )]
    WrongHost { profile: String, belongs: String, requested: String },
    #[error("`user_key_command` in the batch file failed: {why}")]
    KeyCommandFailed { why: String },
    #[error(transparent)]
    Setup(#[from] ClientSetupError),
}

/// The environment variables for the credentials of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EnvVars {
    app_id: &'static str,
    user_key: &'static str,
    is_china: bool,
}

const GLOBAL_ENV_VARS: EnvVars =
    EnvVars { app_id: "AISTUDIOS_APP_ID", user_key: "AISTUDIOS_USER_KEY", is_china: false };
const CHINA_ENV_VARS: EnvVars =
    EnvVars { app_id: "AISTUDIOS_CN_APP_ID", user_key: "AISTUDIOS_CN_USER_KEY", is_china: true };
/// The table of the credentials file for China.
const CHINA_TABLE: &str = "china";
const FILE_ENV_VAR: &str = "AISTUDIOS_CREDENTIALS";

impl EnvVars {
    /// Returns the variables for a host. The regions have separate accounts, so the Chinese host is
    /// recognized in any spelling; every other host uses the global variables.
    fn from_host(host: &StudioHost) -> Self {
        let url = host.base_url();
        let name = url.host_str().unwrap_or_default();
        let china = name == "aistudios.cn" || name.ends_with(".aistudios.cn");
        if china { CHINA_ENV_VARS } else { GLOBAL_ENV_VARS }
    }

    fn table_hint(self) -> &'static str {
        if self.is_china { "under [china] " } else { "" }
    }

    /// Returns a hint if the variables of the other region are set.
    fn wrong_region_hint(self) -> &'static str {
        match self.is_china {
            true if env_var(GLOBAL_ENV_VARS.app_id).is_some() => {
                "; AISTUDIOS_APP_ID belongs to the other region and is not sent to this one"
            }
            true | false => "",
        }
    }
}

fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The host that credentials are needed for, and where to find them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CredentialQuery<'a> {
    pub(crate) host: &'a StudioHost,
    pub(crate) profile: Option<&'a str>,
    pub(crate) user_key_command: Option<&'a str>,
}

impl<'a> CredentialQuery<'a> {
    /// Returns the query for a host with the settings of a batch file.
    pub(crate) fn new(host: &'a StudioHost, studio: Option<&'a StudioSettings>) -> Self {
        Self {
            host,
            profile: studio.and_then(|studio| studio.profile.as_deref()),
            user_key_command: studio.and_then(|studio| studio.user_key_command.as_deref()),
        }
    }
}

/// Returns the credentials of the first source that has any.
pub(crate) fn load_credentials(
    query: CredentialQuery<'_>,
) -> Result<Credentials, CredentialsError> {
    let path = credentials_path();
    if let Some(profile) = query.profile {
        return load_from_profile(&path, profile, query);
    }
    let names = EnvVars::from_host(query.host);
    let app_id = env_var(names.app_id);
    let user_key = match (env_var(names.user_key), query.user_key_command) {
        (Some(key), _) => Some(key),
        (None, Some(command)) => Some(run_key_command(command)?),
        (None, None) => None,
    };
    match (app_id, user_key) {
        (Some(app_id), Some(user_key)) => Ok(Credentials::new(app_id.trim(), user_key.trim())?),
        (Some(_), None) => {
            Err(CredentialsError::Incomplete { given: names.app_id, missing: names.user_key })
        }
        (None, Some(_)) => {
            Err(CredentialsError::Incomplete { given: names.user_key, missing: names.app_id })
        }
        (None, None) => load_from_file(&path, query.host),
    }
}

/// Returns the source of the credentials, without reading any.
pub(crate) fn describe_source(query: CredentialQuery<'_>) -> String {
    if let Some(profile) = query.profile {
        return format!("profile `{profile}` of `{}`", credentials_path().display());
    }
    let names = EnvVars::from_host(query.host);
    let (app_id, user_key) = (env_var(names.app_id).is_some(), env_var(names.user_key).is_some());
    match (app_id || user_key, user_key, query.user_key_command) {
        (_, true, _) => "the environment".to_owned(),
        (_, false, Some(_)) => "the environment and `user_key_command`".to_owned(),
        (true, false, None) => "the environment".to_owned(),
        (false, false, None) => format!("`{}`", credentials_path().display()),
    }
}

/// Returns the path of the credentials file.
fn credentials_path() -> PathBuf {
    if let Some(path) = std::env::var_os(FILE_ENV_VAR) {
        return path.into();
    }
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.or_else(|| std::env::home_dir().map(|home| home.join(".config")));
    config.unwrap_or_default().join("callsheet").join("credentials.toml")
}

/// One pair of credentials in the file, and the host that it belongs to.
struct CredentialEntry {
    app_id: Option<String>,
    user_key: Option<String>,
    host: StudioHost,
}

/// Parses the credentials file; `None` if there is none.
fn read_credentials_file(path: &Path) -> Result<Option<toml::Table>, CredentialsError> {
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(None) };
    if is_open_to_others(path) {
        return Err(CredentialsError::InsecurePermissions { path: path.to_owned() });
    }
    // The parser's message could quote a line, which may be a secret.
    text.parse().map(Some).map_err(|_| CredentialsError::InvalidFile { path: path.to_owned() })
}

/// Parses a pair from a table; `None` if its host is invalid.
fn parse_entry(name: &str, table: &toml::Table) -> Option<CredentialEntry> {
    let text = |key: &str| {
        let text = table.get(key)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let host = match (text("base_url"), text("region").as_deref()) {
        (Some(address), None) => StudioHost::parse(&address).ok()?,
        (None, Some("global")) => StudioHost::Global,
        (None, Some("china")) => StudioHost::China,
        (None, None) if name == CHINA_TABLE => StudioHost::China,
        (None, None) => StudioHost::Global,
        (_, Some(_)) => return None,
    };
    Some(CredentialEntry { app_id: text("app_id"), user_key: text("user_key"), host })
}

/// Returns a host as users write it.
fn host_url(host: &StudioHost) -> String {
    host.base_url().as_str().trim_end_matches('/').to_owned()
}

fn load_from_profile(
    path: &Path,
    profile: &str,
    query: CredentialQuery<'_>,
) -> Result<Credentials, CredentialsError> {
    let no_profile =
        || CredentialsError::UnknownProfile { path: path.to_owned(), profile: profile.to_owned() };
    let file = read_credentials_file(path)?.ok_or_else(no_profile)?;
    let table = file.get(profile).and_then(toml::Value::as_table).ok_or_else(no_profile)?;
    let invalid = || CredentialsError::InvalidFile { path: path.to_owned() };
    let pair = parse_entry(profile, table).ok_or_else(invalid)?;
    let (belongs, requested) = (host_url(&pair.host), host_url(query.host));
    if belongs != requested {
        return Err(CredentialsError::WrongHost {
            profile: profile.to_owned(),
            belongs,
            requested,
        });
    }
    let user_key = match (pair.user_key, query.user_key_command) {
        (Some(key), _) => Some(key),
        (None, Some(command)) => Some(run_key_command(command)?),
        (None, None) => None,
    };
    let (Some(app_id), Some(user_key)) = (pair.app_id, user_key) else { return Err(invalid()) };
    Ok(Credentials::new(app_id.trim(), user_key.trim())?)
}

/// Returns the pair that belongs to `host`: a profile with this `base_url`, or else that of the
/// region.
fn load_from_file(path: &Path, host: &StudioHost) -> Result<Credentials, CredentialsError> {
    let names = EnvVars::from_host(host);
    let missing = || CredentialsError::Missing { names, file: path.to_owned() };
    let file = read_credentials_file(path)?.ok_or_else(missing)?;
    let invalid = || CredentialsError::InvalidFile { path: path.to_owned() };
    let entry_for_host = |name: &str, value: &toml::Value| {
        let table = value.as_table()?;
        let entry = parse_entry(name, table)?;
        let is_match = table.contains_key("base_url") && host_url(&entry.host) == host_url(host);
        is_match.then_some(entry)
    };
    let named = file.iter().find_map(|(name, value)| entry_for_host(name, value));
    let pair = match (named, names.is_china) {
        (Some(pair), _) => pair,
        (None, true) => {
            let table =
                file.get(CHINA_TABLE).and_then(toml::Value::as_table).ok_or_else(missing)?;
            let china = parse_entry(CHINA_TABLE, table).ok_or_else(invalid)?;
            if host_url(&china.host) != host_url(&StudioHost::China) {
                return Err(missing());
            }
            china
        }
        (None, false) => parse_entry("", &file).ok_or_else(invalid)?,
    };
    let (Some(app_id), Some(user_key)) = (pair.app_id, pair.user_key) else {
        return Err(invalid());
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

fn run_key_command(command: &str) -> Result<String, CredentialsError> {
    let failed = |why: &str| CredentialsError::KeyCommandFailed { why: why.to_owned() };
    let shell = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut shell_command = Command::new(shell.0);
    shell_command.args([shell.1, command]).stderr(std::process::Stdio::inherit());
    let output = shell_command.output().map_err(|_| failed("it could not be started"))?;
    if !output.status.success() {
        return Err(failed(&format!("it ended with {}", output.status)));
    }
    let key = String::from_utf8(output.stdout).map_err(|_| failed("its output is not text"))?;
    if key.trim().is_empty() {
        return Err(failed("it printed nothing"));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use crate::session::account::credentials::*;

    #[test]
    fn a_region_is_recognized_in_every_spelling_of_its_host() {
        for (address, names) in [
            ("https://app.aistudios.com", GLOBAL_ENV_VARS),
            ("https://app.aistudios.cn", CHINA_ENV_VARS),
            ("https://APP.AISTUDIOS.CN:443/x", CHINA_ENV_VARS),
            ("https://other.aistudios.cn", CHINA_ENV_VARS),
            ("https://app.deepbrain.io", GLOBAL_ENV_VARS),
            ("https://notaistudios.cn", GLOBAL_ENV_VARS),
            ("http://127.0.0.1:1", GLOBAL_ENV_VARS),
        ] {
            assert_eq!(
                EnvVars::from_host(&StudioHost::parse(address).unwrap()),
                names,
                "{address}"
            );
        }
        assert_eq!(
            (EnvVars::from_host(&StudioHost::Global), EnvVars::from_host(&StudioHost::China)),
            (GLOBAL_ENV_VARS, CHINA_ENV_VARS)
        );
    }

    #[test]
    fn credentials_of_one_host_are_never_returned_for_another() {
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
        let credentials = |name: &str| Credentials::new(name, &format!("{name}-key")).unwrap();
        let old = StudioHost::parse("https://app.deepbrain.io/").unwrap();
        for (host, name) in
            [(&StudioHost::Global, "global"), (&StudioHost::China, "china"), (&old, "old")]
        {
            assert!(load_from_file(&path, host).unwrap() == credentials(name), "{host}");
        }
        for (profile, host, name) in [
            ("agency", &StudioHost::Global, Some("agency")),
            ("agency", &StudioHost::China, None),
            ("agency", &old, None),
            ("china", &StudioHost::China, Some("china")),
            ("china", &StudioHost::Global, None),
            ("old", &old, Some("old")),
            ("old", &StudioHost::Global, None),
            ("unknown", &StudioHost::Global, None),
        ] {
            let query = CredentialQuery { host, profile: Some(profile), user_key_command: None };
            let loaded = load_from_profile(&path, profile, query).ok();
            assert!(loaded == name.map(credentials), "{profile} at {host}");
        }
        std::fs::write(&path, pair("global")).unwrap();
        let error = load_from_file(&path, &StudioHost::China).unwrap_err();
        assert!(error.to_string().contains("AISTUDIOS_CN_APP_ID"), "{error}");
    }
}
