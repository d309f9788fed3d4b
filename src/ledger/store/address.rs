//! The address of a ledger: a file, or a database on a `PostgreSQL` server.
//!
//! Connecting is left to the store. Invariant: no `Debug`, `Display` or error of an address contains a
//! password.

use std::ffi::OsStr;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use url::Url;

/// The schema of a server ledger whose address names none.
const DEFAULT_SCHEMA: &str = "callsheet";
/// What the name of a ledger of rehearsals ends with: of a file before its extension, and of a schema.
const REHEARSAL_SUFFIX: &str = "-sandbox";
const REHEARSAL_SCHEMA_SUFFIX: &str = "_sandbox";
/// `PostgreSQL` truncates longer names silently.
const SCHEMA_BYTES_MAX: usize = 63 - REHEARSAL_SCHEMA_SUFFIX.len();
/// The parameters of an address, other than those of this program.
const PARAMETERS: [&str; 9] = [
    "host",
    "port",
    "user",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "statement-cache-capacity",
];
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Where a ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerAddress {
    /// An `SQLite` file.
    File(PathBuf),
    /// A database on a `PostgreSQL` server.
    Server(ServerAddress),
}

/// A database on a `PostgreSQL` server, without its password unless the address contained one.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// Without password and schema.
    url: Url,
    password: Option<String>,
    schema: String,
}

/// Why a text is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerAddressError {
    /// It cannot be parsed.
    #[error(
        "the ledger's address is not a valid URL: write postgres://USER@HOST/DATABASE, and special \
         characters percent-encoded"
    )]
    InvalidUrl,
    /// It names no database.
    #[error(
        "the ledger's address `{address}` names no database: write postgres://USER@HOST/DATABASE"
    )]
    NoDatabase {
        /// The address.
        address: String,
    },
    /// It names several hosts.
    #[error(
        "the ledger's address `{address}` names several hosts: use one address that leads to the \
         primary server, such as that of a proxy or of your provider"
    )]
    SeveralHosts {
        /// The address.
        address: String,
    },
    /// It has an unknown parameter.
    #[error("the ledger's address has an unknown parameter `{name}`; known: schema, {}", PARAMETERS.join(", "))]
    UnknownParameter {
        /// Its name.
        name: String,
    },
    /// Its `sslmode` is unknown.
    #[error("the ledger's address has an unknown sslmode `{mode}`; known: {}", SSL_MODES.join(", "))]
    UnknownSslMode {
        /// The value.
        mode: String,
    },
    /// Its schema is not a plain name.
    #[error(
        "the ledger's address has the schema `{schema}`: it must be a name of lower-case letters, \
         digits and `_`, at most {SCHEMA_BYTES_MAX} long"
    )]
    InvalidSchema {
        /// The value.
        schema: String,
    },
}

impl LedgerAddress {
    /// Parses what the user wrote: a URL with the scheme `postgres`, or else a path.
    ///
    /// # Errors
    /// A URL is not the address of a server ledger.
    pub fn parse(given: &OsStr) -> Result<Self, LedgerAddressError> {
        match given.to_str() {
            Some(text) if is_server_url(text) => {
                ServerAddress::parse(text.trim()).map(Self::Server)
            }
            Some(_) | None => Ok(Self::File(PathBuf::from(given))),
        }
    }

    /// Returns the path of a ledger in a file.
    pub fn as_file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server(_) => None,
        }
    }

    /// Returns the server of a ledger on one.
    pub fn as_server(&self) -> Option<&ServerAddress> {
        match self {
            Self::File(_) => None,
            Self::Server(server) => Some(server),
        }
    }

    /// Returns whether the file exists. Only opening it shows whether a server has the ledger.
    pub fn may_exist(&self) -> bool {
        self.as_file().is_none_or(Path::exists)
    }

    /// Returns the ledger of rehearsals that belongs to this one, which may be one itself: a rehearsal
    /// never touches the real ledger.
    #[must_use]
    pub fn for_rehearsals(&self) -> Self {
        match self {
            Self::File(path) => Self::File(rehearsal_file(path)),
            Self::Server(server) => Self::Server(server.for_rehearsals()),
        }
    }

    /// Returns the address as seen from every folder.
    #[must_use]
    pub fn absolute(&self) -> Self {
        match self {
            Self::File(path) => Self::File(std::path::absolute(path).unwrap_or(path.clone())),
            Self::Server(server) => Self::Server(server.clone()),
        }
    }

    /// Returns the path of a file of this machine that belongs to the ledger: beside its file; for a
    /// server, in the current folder, named after database and schema.
    pub fn companion_file(&self, extension: &str) -> PathBuf {
        match self {
            Self::File(path) => path.with_added_extension(extension),
            Self::Server(server) => {
                let name = format!("{}-{}.db", server.database(), server.schema);
                let name = name.replace(['/', '\\'], "_");
                PathBuf::from(name).with_added_extension(extension)
            }
        }
    }
}

/// The address as a user may see it, without its password.
impl fmt::Display for LedgerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server) => server.fmt(f),
        }
    }
}

impl From<&Path> for LedgerAddress {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for LedgerAddress {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Self> for LedgerAddress {
    fn from(address: &Self) -> Self {
        address.clone()
    }
}

impl ServerAddress {
    fn parse(text: &str) -> Result<Self, LedgerAddressError> {
        let mut url = Url::parse(text).map_err(|_| LedgerAddressError::InvalidUrl)?;
        let mut password = url.password().map(decode_percent);
        url.set_password(None).map_err(|()| LedgerAddressError::InvalidUrl).or_else(|error| {
            // A URL without a host, such as `postgres:///name`, cannot have one.
            if password.is_none() { Ok(()) } else { Err(error) }
        })?;
        let (mut schema, mut kept) = (DEFAULT_SCHEMA.to_owned(), Vec::new());
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "schema" => schema = parse_schema(&value)?,
                "password" => password = Some(value.into_owned()),
                "sslmode" if !SSL_MODES.contains(&value.as_ref()) => {
                    return Err(LedgerAddressError::UnknownSslMode { mode: value.into_owned() });
                }
                known if PARAMETERS.contains(&known) => {
                    kept.push((name.into_owned(), value.into_owned()));
                }
                _ => return Err(LedgerAddressError::UnknownParameter { name: name.into_owned() }),
            }
        }
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
        url.set_fragment(None);
        let server = Self { url, password, schema };
        let address = server.to_string();
        if server.database().is_empty() {
            return Err(LedgerAddressError::NoDatabase { address });
        }
        if server.host().contains(',') {
            return Err(LedgerAddressError::SeveralHosts { address });
        }
        Ok(server)
    }

    /// Returns the address without its password, as the database library parses it. The certificate of
    /// a server on another machine is verified unless the address says otherwise.
    pub fn connect_url(&self) -> Url {
        let mut url = self.url.clone();
        if !self.is_local() && self.parameter("sslmode").is_none() {
            url.query_pairs_mut().append_pair("sslmode", "verify-full");
        }
        url
    }

    /// Returns the password, if the address contained one. Otherwise the database library reads
    /// `PGPASSWORD`, and the file that `PGPASSFILE` names.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Returns the schema that contains the tables; a plain name that needs no quotes.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Returns the name of the database.
    pub fn database(&self) -> String {
        let named = decode_percent(self.url.path().trim_start_matches('/'));
        self.parameter("dbname").unwrap_or(named)
    }

    /// Returns the host name, the folder of the socket, or an empty text for the library's default.
    pub fn host(&self) -> String {
        let named = decode_percent(self.url.host_str().unwrap_or_default());
        self.parameter("host").unwrap_or(named)
    }

    /// Returns whether the server is on this machine: behind a socket or a loopback address.
    pub fn is_local(&self) -> bool {
        let host = self.host();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host.is_empty()
            || host.starts_with('/')
            || host == "localhost"
            || address.is_ok_and(|address| address.is_loopback())
    }

    fn for_rehearsals(&self) -> Self {
        let mut rehearsals = self.clone();
        if !self.schema.ends_with(REHEARSAL_SCHEMA_SUFFIX) {
            rehearsals.schema.push_str(REHEARSAL_SCHEMA_SUFFIX);
        }
        rehearsals
    }

    fn parameter(&self, wanted: &str) -> Option<String> {
        let found = self.url.query_pairs().filter(|(name, _)| name == wanted).last();
        found.map(|(_, value)| value.into_owned())
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        if self.schema != DEFAULT_SCHEMA {
            url.query_pairs_mut().append_pair("schema", &self.schema);
        }
        f.write_str(&url.as_str().replace("%2F", "/"))
    }
}

impl fmt::Debug for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_server_url(text: &str) -> bool {
    let text = text.trim();
    ["postgres://", "postgresql://"].iter().any(|scheme| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

fn parse_schema(text: &str) -> Result<String, LedgerAddressError> {
    let is_plain = |c: char| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_valid = text.len() <= SCHEMA_BYTES_MAX
        && text.chars().all(is_plain)
        && text.starts_with(|c: char| c == '_' || c.is_ascii_lowercase())
        && !text.starts_with("pg_");
    match is_valid {
        true => Ok(text.to_owned()),
        false => Err(LedgerAddressError::InvalidSchema { schema: text.to_owned() }),
    }
}

fn decode_percent(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn rehearsal_file(ledger: &Path) -> PathBuf {
    let mut name = ledger.file_stem().unwrap_or_default().to_owned();
    if name.to_string_lossy().ends_with(REHEARSAL_SUFFIX) {
        return ledger.to_owned();
    }
    name.push(REHEARSAL_SUFFIX);
    if let Some(extension) = ledger.extension() {
        name.push(".");
        name.push(extension);
    }
    ledger.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LedgerAddress, LedgerAddressError> {
        LedgerAddress::parse(OsStr::new(text))
    }

    fn server(text: &str) -> ServerAddress {
        parse(text).unwrap().as_server().unwrap().clone()
    }

    #[test]
    fn an_address_is_a_file_unless_its_scheme_is_that_of_a_server() {
        for path in ["callsheet.db", "/srv/l.db", "postgres.db", "C:\\l.db", "postgres:/x", "-"] {
            assert_eq!(parse(path).unwrap().as_file(), Some(Path::new(path)));
        }
        for url in ["postgres://h/d", "postgresql://h/d", " POSTGRES://h/d\n"] {
            assert!(parse(url).unwrap().as_server().is_some(), "{url}");
        }
    }

    #[test]
    fn no_text_about_an_address_contains_its_password() {
        for url in [
            "postgres://ann:s3cr%2Bet@db.example/ledger",
            "postgres://db.example/ledger?user=ann&password=s3cr%2Bet",
            "postgres://ann:s3cr+et@db.example:6543/ledger?schema=spring&sslmode=require",
        ] {
            let address = parse(url).unwrap();
            let server = address.as_server().unwrap();
            assert_eq!(server.password(), Some("s3cr+et"), "{url}");
            let connect = server.connect_url();
            let texts = [address.to_string(), format!("{address:?}"), connect.to_string()];
            for text in texts.iter().chain([&format!("{:?}", address.for_rehearsals())]) {
                assert!(!text.contains("s3cr"), "{text}");
                assert!(text.contains("db.example"), "{text}");
            }
        }
        for url in [
            "postgres://ann:s3cret@h:notaport/d",
            "postgres://ann:s3cret@h/",
            "postgres://ann:s3cret@h/d?sslmode=maybe",
            "postgres://ann:s3cret@h/d?schema=Not%20Plain",
            "postgres://ann:s3cret@h/d?aplication=x",
            "postgres://ann:s3cret@a,b/d",
        ] {
            let error = parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_shown_address_leads_to_the_same_ledger() {
        for url in [
            "postgres://ann@db.example/ledger",
            "postgres://db.example:6543/ledger?sslmode=require&schema=spring",
            "postgres:///ledger?host=/var/run/postgresql&user=ann",
        ] {
            let address = parse(url).unwrap();
            assert_eq!(address.to_string(), url);
            assert_eq!(parse(&address.to_string()).unwrap(), address);
        }
    }

    #[test]
    fn the_certificate_of_another_machine_is_verified_unless_the_address_says_otherwise() {
        for (url, mode) in [
            ("postgres://db.example/d", Some("verify-full")),
            ("postgres://10.0.0.7/d", Some("verify-full")),
            ("postgres://db.example/d?sslmode=require", Some("require")),
            ("postgres://localhost/d", None),
            ("postgres://127.0.0.1:5433/d", None),
            ("postgres://[::1]/d", None),
            ("postgres:///d?host=/tmp/socket", None),
            ("postgres://%2Ftmp%2Fsocket/d", None),
            ("postgres:///d", None),
        ] {
            let connect = server(url).connect_url();
            let found = connect.query_pairs().find(|(name, _)| name == "sslmode");
            assert_eq!(found.map(|(_, value)| value.into_owned()).as_deref(), mode, "{url}");
        }
    }

    #[test]
    fn rehearsals_have_a_file_or_a_schema_of_their_own() {
        for (given, rehearsals) in [
            ("/var/lib/spring.db", "/var/lib/spring-sandbox.db"),
            ("spring", "spring-sandbox"),
            ("callsheet-sandbox.db", "callsheet-sandbox.db"),
            ("postgres://h/d", "postgres://h/d?schema=callsheet_sandbox"),
            ("postgres://h/d?schema=a", "postgres://h/d?schema=a_sandbox"),
            ("postgres://h/d?schema=a_sandbox", "postgres://h/d?schema=a_sandbox"),
        ] {
            assert_eq!(parse(given).unwrap().for_rehearsals().to_string(), rehearsals);
        }
    }
}
