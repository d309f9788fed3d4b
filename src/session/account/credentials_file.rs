//! The credentials file: pairs of credentials, each with the host that it belongs to.
//!
//! A pair at the top of the file belongs to AI Studios itself, a table is a profile; a `base_url`
//! beside a pair binds it to that address. Invariant: no message quotes a line of the file.

use std::io;
use std::path::{Path, PathBuf};

use crate::batch::StudioHost;
use crate::session::account::credentials::{CredentialsError, PartialPair, host_url};

/// The table of the credentials file for China.
const CHINA_TABLE: &str = "china";
const FILE_ENV_VAR: &str = "AISTUDIOS_CREDENTIALS";

/// One pair of credentials in the file, and the host that it belongs to.
pub(super) struct CredentialEntry {
    pub(super) pair: PartialPair,
    pub(super) host: StudioHost,
    /// Whether the file gives its address, and not only its region.
    is_bound: bool,
}

/// The parsed credentials file.
pub(crate) struct CredentialsFile {
    pub(super) path: PathBuf,
    /// `None` if there is no file.
    table: Option<toml::Table>,
}

impl CredentialsFile {
    /// Returns the path from the environment, or the default one.
    pub(crate) fn default_path() -> PathBuf {
        if let Some(path) = std::env::var_os(FILE_ENV_VAR).filter(|path| !path.is_empty()) {
            return path.into();
        }
        let config = std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty());
        let config = config.map(PathBuf::from);
        let config = config.or_else(|| std::env::home_dir().map(|home| home.join(".config")));
        config.unwrap_or_default().join("callsheet").join("credentials.toml")
    }

    /// Reads the file, which may be missing.
    pub(crate) fn read(path: &Path) -> Result<Self, CredentialsError> {
        let path = path.to_owned();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    return Ok(Self { path, table: None });
                }
                kind => return Err(CredentialsError::Unreadable { path, kind }),
            },
        };
        if is_open_to_others(&path) {
            return Err(CredentialsError::InsecurePermissions { path });
        }
        // The parser's message could quote a line, which may be a secret.
        match text.parse() {
            Ok(table) => Ok(Self { path, table: Some(table) }),
            Err(_) => Err(CredentialsError::InvalidFile { path }),
        }
    }

    pub(super) fn has_profile(&self, name: &str) -> bool {
        self.table.as_ref().is_some_and(|table| table.get(name).is_some_and(toml::Value::is_table))
    }

    pub(super) fn exists(&self) -> bool {
        self.table.is_some()
    }

    /// Returns a profile; `None` if there is none, or it has no pair or no valid address.
    pub(super) fn profile(&self, name: &str) -> Option<CredentialEntry> {
        parse_entry(name, self.table.as_ref()?.get(name)?.as_table()?)
    }

    /// Returns the pair whose `base_url` is that of `host`.
    pub(super) fn own_entry(&self, host: &StudioHost) -> Option<CredentialEntry> {
        let requested = host_url(host);
        let is_own = |entry: &CredentialEntry| entry.is_bound && host_url(&entry.host) == requested;
        let table = self.table.as_ref()?;
        let mut profiles = table.keys().filter_map(|name| self.profile(name));
        profiles.find(is_own).or_else(|| parse_entry("", table).filter(is_own))
    }

    /// Returns the pair that belongs to `host`: its own, or else that of its region.
    pub(super) fn entry_for_host(&self, host: &StudioHost) -> Option<CredentialEntry> {
        self.own_entry(host).or_else(|| {
            let top = parse_entry("", self.table.as_ref()?);
            let region = if host.is_china() { StudioHost::China } else { StudioHost::Global };
            let is_match = |entry: &CredentialEntry| !entry.is_bound && entry.host == region;
            let china = host.is_china().then(|| self.profile(CHINA_TABLE)).flatten();
            china.filter(is_match).or_else(|| top.filter(is_match))
        })
    }
}

/// Parses a pair from a table; `None` if it has none or its address is invalid.
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
    let pair = PartialPair { app_id: text("app_id"), user_key: text("user_key") };
    let is_bound = table.contains_key("base_url");
    let has_pair = pair.app_id.is_some() || pair.user_key.is_some();
    has_pair.then_some(CredentialEntry { pair, host, is_bound })
}

/// Returns whether the group or others may read or write a file.
#[cfg(unix)]
pub(crate) fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
pub(crate) fn is_open_to_others(_: &Path) -> bool {
    false
}
