//! The credentials for AI Studios and their sources.
//!
//! They never come from the command line (`ps` shows it) or the batch file (it is shared). In this
//! order: the profile that the batch file names, the environment, the batch file's
//! `user_key_command`, the credentials file. Invariant: every pair of credentials belongs to a host,
//! and is never returned for another one; a host that only a batch file or a ledger names gets no
//! pair but its own.

use std::path::{Path, PathBuf};

use crate::aistudios::{ClientSetupError, Credentials};
use crate::batch::{Batch, HostOrigin, StudioHost};
use crate::process::ForeignCommand;
use crate::session::account::credentials_file::{CredentialEntry, CredentialsFile};

/// The reason why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error(
        "no credentials: run `callsheet login{}`, which saves them in `{}`, or set {} and {} in the \
         environment{}. A rehearsal (`callsheet run BATCH --sandbox`) needs none", names.login_option(), file.display(),
        names.app_id, names.user_key, names.wrong_region_hint()
    )]
    Missing { names: EnvVars, file: PathBuf },
    #[error("{given} is set, but not {missing}: both are needed")]
    Incomplete { given: &'static str, missing: &'static str },
    #[error("{name} is set, but it is not valid UTF-8 text")]
    NotText { name: &'static str },
    #[error(
        "others can read the credentials file `{}`: run `chmod 600 {}`",
        path.display(), path.display()
    )]
    InsecurePermissions { path: PathBuf },
    #[error("the credentials file `{}` cannot be read ({kind})", path.display())]
    Unreadable { path: PathBuf, kind: std::io::ErrorKind },
    #[error(
        "the credentials file `{}` needs two lines: app_id = \"…\" and user_key = \"…\"; \
         `callsheet login` writes them", path.display()
    )]
    InvalidFile { path: PathBuf },
    #[error(
        "there is no credentials file `{}`, and so no profile `{profile}`: run `callsheet login \
         --profile {profile}`", path.display()
    )]
    NoFile { path: PathBuf, profile: String },
    #[error(
        "the credentials file `{}` has no profile `{profile}`: run `callsheet login --profile \
         {profile}`", path.display()
    )]
    UnknownProfile { path: PathBuf, profile: String },
    #[error(
        "profile `{profile}` belongs to {belongs}, and its credentials are not sent to {requested}: give \
         it base_url = \"{requested}\" in the credentials file, or choose another profile"
    )]
    WrongHost { profile: String, belongs: String, requested: String },
    #[error(
        "this {} would send your credentials to `{host}`; to allow it, put `base_url = \
         \"{base_url}\"` beside them in the credentials file `{}`", origin.as_str(), path.display()
    )]
    ForeignHost { origin: HostOrigin, host: String, base_url: String, path: PathBuf },
    #[error("`user_key_command` in the batch file {why}")]
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
/// A longer output is not a user key.
const KEY_BYTES_MAX: usize = 16 << 10;

impl EnvVars {
    /// Returns the variables for a host. The regions have separate accounts, so the Chinese host is
    /// recognized in any spelling; every other host uses the global variables.
    fn from_host(host: &StudioHost) -> Self {
        if host.is_china() { CHINA_ENV_VARS } else { GLOBAL_ENV_VARS }
    }

    fn login_option(self) -> &'static str {
        if self.is_china { " --region china" } else { "" }
    }

    /// Returns a hint if the variables of the other region are set.
    fn wrong_region_hint(self) -> &'static str {
        match self.is_china {
            true if std::env::var_os(GLOBAL_ENV_VARS.app_id).is_some() => {
                "; AISTUDIOS_APP_ID belongs to the other region and is not sent to this one"
            }
            true | false => "",
        }
    }

    fn read(self) -> Result<PartialPair, CredentialsError> {
        Ok(PartialPair { app_id: env_var(self.app_id)?, user_key: env_var(self.user_key)? })
    }
}

fn env_var(name: &'static str) -> Result<Option<String>, CredentialsError> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.trim().is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(CredentialsError::NotText { name }),
    }
}

/// The halves of a pair that were found.
pub(super) struct PartialPair {
    pub(super) app_id: Option<String>,
    pub(super) user_key: Option<String>,
}

/// The host of a command, and who chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChosenHost {
    pub(crate) host: StudioHost,
    pub(crate) origin: HostOrigin,
}

/// The host that credentials are needed for, and where to find them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CredentialQuery<'a> {
    pub(crate) host: &'a StudioHost,
    pub(crate) origin: HostOrigin,
    pub(crate) batch: Option<&'a Batch>,
}

impl<'a> CredentialQuery<'a> {
    /// Returns the query for a host with the settings of a batch file.
    pub(crate) fn new(chosen: &'a ChosenHost, batch: Option<&'a Batch>) -> Self {
        Self { host: &chosen.host, origin: chosen.origin, batch }
    }

    /// Returns the query for a batch at its own host.
    pub(crate) fn from_batch(batch: &'a Batch) -> Self {
        let (host, origin) = (&batch.studio.host, batch.studio.host_origin);
        Self { host, origin, batch: Some(batch) }
    }

    pub(crate) fn profile(self) -> Option<&'a str> {
        self.batch?.studio.profile.as_deref()
    }

    fn user_key_command(self) -> Option<&'a str> {
        self.batch?.studio.user_key_command.as_deref()
    }

    /// Returns whether the host gets no credentials but those that the credentials file assigns to
    /// it: another user may have chosen it.
    fn needs_own_pair(self) -> bool {
        match self.origin {
            HostOrigin::BatchFile | HostOrigin::Ledger => {
                !self.host.is_official() && !self.host.is_loopback()
            }
            HostOrigin::Operator => false,
        }
    }

    fn foreign_host_error(self, path: &Path) -> CredentialsError {
        let url = self.host.base_url();
        CredentialsError::ForeignHost {
            origin: self.origin,
            host: url.authority().to_owned(),
            base_url: host_url(self.host),
            path: path.to_owned(),
        }
    }
}

/// Credentials that were found, except for a user key that a command prints.
pub(crate) enum FoundCredentials<'a> {
    Pair(Credentials),
    /// The command of the batch file has not been run.
    KeyCommand {
        app_id: String,
        command: &'a str,
        secret_vars: Vec<String>,
        folder: &'a Path,
    },
}

impl FoundCredentials<'_> {
    /// Runs the command, if that is where the user key comes from.
    pub(crate) async fn resolve(self) -> Result<Credentials, CredentialsError> {
        match self {
            Self::Pair(pair) => Ok(pair),
            Self::KeyCommand { app_id, command, secret_vars, folder } => {
                let failed = |why: String| CredentialsError::KeyCommandFailed { why };
                let key = ForeignCommand::shell(command, &secret_vars, folder)
                    .read_output(KEY_BYTES_MAX)
                    .await
                    .map_err(|failure| failed(failure.to_string()))?;
                if key.trim().is_empty() {
                    return Err(failed("printed nothing".to_owned()));
                }
                Ok(Credentials::new(app_id.trim(), key.trim())?)
            }
        }
    }
}

/// Returns the credentials of the first source that has any.
pub(crate) async fn load_credentials(
    query: CredentialQuery<'_>,
) -> Result<Credentials, CredentialsError> {
    find_credentials(query)?.resolve().await
}

/// Finds the credentials of the first source that has any. Runs no command.
pub(crate) fn find_credentials(
    query: CredentialQuery<'_>,
) -> Result<FoundCredentials<'_>, CredentialsError> {
    find_in(&CredentialsFile::default_path(), query)
}

fn find_in<'a>(
    path: &Path,
    query: CredentialQuery<'a>,
) -> Result<FoundCredentials<'a>, CredentialsError> {
    let invalid_file = || CredentialsError::InvalidFile { path: path.to_owned() };
    if let Some(profile) = query.profile() {
        let entry = profile_entry(&CredentialsFile::read(path)?, profile, query.host)?;
        return complete_pair(entry.pair, query, invalid_file);
    }
    if query.needs_own_pair() {
        let own = CredentialsFile::read(path)?.own_entry(query.host);
        let own = own.ok_or_else(|| query.foreign_host_error(path))?;
        return complete_pair(own.pair, query, invalid_file);
    }
    let names = EnvVars::from_host(query.host);
    let pair = names.read()?;
    let incomplete = |given, missing| CredentialsError::Incomplete { given, missing };
    match (&pair.app_id, &pair.user_key) {
        (Some(_), _) => complete_pair(pair, query, || incomplete(names.app_id, names.user_key)),
        (None, Some(_)) => Err(incomplete(names.user_key, names.app_id)),
        (None, None) => match CredentialsFile::read(path)?.entry_for_host(query.host) {
            Some(entry) => complete_pair(entry.pair, query, invalid_file),
            None if query.user_key_command().is_some() => {
                Err(incomplete("`user_key_command`", names.app_id))
            }
            None => Err(CredentialsError::Missing { names, file: path.to_owned() }),
        },
    }
}

fn complete_pair(
    pair: PartialPair,
    query: CredentialQuery<'_>,
    incomplete: impl FnOnce() -> CredentialsError,
) -> Result<FoundCredentials<'_>, CredentialsError> {
    match (pair.app_id, pair.user_key, query.user_key_command()) {
        (Some(app_id), Some(user_key), _) => {
            Ok(FoundCredentials::Pair(Credentials::new(app_id.trim(), user_key.trim())?))
        }
        (Some(app_id), None, Some(command)) => {
            let secret_vars = query.batch.map(Batch::secret_vars).unwrap_or_default();
            let folder = query.batch.map_or(Path::new(""), Batch::folder);
            Ok(FoundCredentials::KeyCommand { app_id, command, secret_vars, folder })
        }
        (Some(_), None, None) | (None, _, _) => Err(incomplete()),
    }
}

/// Returns the profile, if its credentials may be sent to `host`.
fn profile_entry(
    file: &CredentialsFile,
    profile: &str,
    host: &StudioHost,
) -> Result<CredentialEntry, CredentialsError> {
    let (path, profile) = (file.path.clone(), profile.to_owned());
    if !file.exists() {
        return Err(CredentialsError::NoFile { path, profile });
    }
    if !file.has_profile(&profile) {
        return Err(CredentialsError::UnknownProfile { path, profile });
    }
    let entry = file.profile(&profile).ok_or(CredentialsError::InvalidFile { path })?;
    let (belongs, requested) = (host_url(&entry.host), host_url(host));
    if belongs != requested {
        return Err(CredentialsError::WrongHost { profile, belongs, requested });
    }
    Ok(entry)
}

/// Returns a host as users write it.
pub(super) fn host_url(host: &StudioHost) -> String {
    host.base_url().as_str().trim_end_matches('/').to_owned()
}

/// Returns the source of the credentials, without reading any.
pub(crate) fn describe_source(query: CredentialQuery<'_>) -> String {
    let path = CredentialsFile::default_path();
    let path = path.display();
    if let Some(profile) = query.profile() {
        return format!("profile `{profile}` of `{path}`");
    }
    if query.needs_own_pair() {
        return format!("the pair with this `base_url` in `{path}`");
    }
    let names = EnvVars::from_host(query.host);
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match (is_set(names.app_id), is_set(names.user_key), query.user_key_command()) {
        (_, true, _) | (true, false, None) => "environment variables".to_owned(),
        (true, false, Some(_)) => "environment variables and `user_key_command`".to_owned(),
        (false, false, None) => format!("`{path}`"),
        (false, false, Some(_)) => format!("`{path}` and `user_key_command`"),
    }
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

    fn write_private(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    fn pair(name: &str) -> String {
        format!("app_id = \"{name}\"\nuser_key = \"{name}-key\"\n")
    }

    /// Returns the name of the pair in the file that is found for a host of the batch file.
    fn found_in(path: &Path, batch: &Batch) -> Option<String> {
        let query = CredentialQuery::from_batch(batch);
        let Ok(FoundCredentials::Pair(found)) = find_in(path, query) else { return None };
        let names = ["global", "china", "agency", "old", "proxy"];
        let is_pair =
            |name: &&str| found == Credentials::new(name, &format!("{name}-key")).unwrap();
        names.into_iter().find(is_pair).map(str::to_owned)
    }

    fn batch_at(host: &StudioHost, profile: Option<&str>) -> Batch {
        let text = "sheet = 's.csv'\ntemplate = 't.json'".to_owned();
        let mut batch = crate::batch::parse(Path::new("b.toml"), text).unwrap();
        batch.studio.host = host.clone();
        batch.studio.profile = profile.map(str::to_owned);
        batch
    }

    #[test]
    fn credentials_of_one_host_are_never_returned_for_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.toml");
        let text = format!(
            "{}[china]\n{}[agency]\n{}[old]\nbase_url = \"https://app.deepbrain.io\"\n{}\
             [proxy]\nbase_url = \"https://proxy.example:8443/studio\"\n{}",
            pair("global"),
            pair("china"),
            pair("agency"),
            pair("old"),
            pair("proxy")
        );
        write_private(&path, &text);
        let old = StudioHost::parse("https://app.deepbrain.io/").unwrap();
        for (profile, host, name) in [
            (None, &StudioHost::Global, Some("global")),
            (None, &StudioHost::China, Some("china")),
            (None, &old, Some("old")),
            (Some("agency"), &StudioHost::Global, Some("agency")),
            (Some("agency"), &StudioHost::China, None),
            (Some("agency"), &old, None),
            (Some("china"), &StudioHost::China, Some("china")),
            (Some("china"), &StudioHost::Global, None),
            (Some("old"), &old, Some("old")),
            (Some("old"), &StudioHost::Global, None),
            (Some("unknown"), &StudioHost::Global, None),
        ] {
            let found = found_in(&path, &batch_at(host, profile));
            assert_eq!(found.as_deref(), name, "{profile:?} at {host}");
        }
        for (address, name) in [
            ("https://proxy.example:8443/studio", Some("proxy")),
            ("https://PROXY.example:8443/studio/", Some("proxy")),
            ("https://proxy.example:8443/other", None),
            ("https://proxy.example/studio", None),
            ("https://proxy.example.evil.example:8443/studio", None),
            ("https://aistudios.com.evil.example", None),
            ("https://evil.example", None),
            ("https://app.aistudios.com:8443", None),
            ("http://127.0.0.1:9", Some("global")),
            ("https://other.aistudios.com", Some("global")),
        ] {
            let mut batch = batch_at(&StudioHost::parse(address).unwrap(), None);
            assert_eq!(found_in(&path, &batch).as_deref(), name, "{address}");
            batch.studio.host_origin = HostOrigin::Ledger;
            assert_eq!(found_in(&path, &batch).as_deref(), name, "{address} in a ledger");
            batch.studio.host_origin = HostOrigin::Operator;
            let name = name.unwrap_or("global");
            assert_eq!(found_in(&path, &batch).as_deref(), Some(name), "{address} by option");
        }
        write_private(&path, &pair("global"));
        let china = batch_at(&StudioHost::China, None);
        let error = find_in(&path, CredentialQuery::from_batch(&china)).err().unwrap();
        assert!(error.to_string().contains("AISTUDIOS_CN_APP_ID"), "{error}");
    }

    #[test]
    fn a_pair_without_a_profile_belongs_to_the_address_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.toml");
        let text = format!("base_url = \"https://proxy.example\"\n{}", pair("proxy"));
        write_private(&path, &text);
        for (address, name) in [
            ("https://proxy.example", Some("proxy")),
            ("https://app.aistudios.com", None),
            ("https://evil.example", None),
        ] {
            let batch = batch_at(&StudioHost::parse(address).unwrap(), None);
            assert_eq!(found_in(&path, &batch).as_deref(), name, "{address}");
        }
    }
}
