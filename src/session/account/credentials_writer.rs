//! Adds a pair to the credentials file, and keeps everything else in it.
//!
//! Invariant: the file is replaced completely or not at all, and only its owner can read it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::text::describe_io_error;
use toml_edit::{DocumentMut, Item, Table, TableLike, Value, value};

/// The reason why the credentials file cannot be changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsWriteError {
    #[error("the credentials file `{}` is not TOML: fix it, or move it away", path.display())]
    Invalid { path: PathBuf },
    #[error("the credentials file `{}` has `{profile}`, which is not a table: choose another name", path.display())]
    NotTable { path: PathBuf, profile: String },
    #[error("the credentials file `{}` cannot be {action} ({})", path.display(), describe_io_error(*kind))]
    Io { path: PathBuf, action: &'static str, kind: io::ErrorKind },
}

/// A pair with its place in the file.
pub(crate) struct CredentialsEntry<'a> {
    /// The table; `None` for the top of the file.
    pub(crate) profile: Option<&'a str>,
    pub(crate) app_id: &'a str,
    pub(crate) user_key: &'a str,
    /// The address or the region of the pair.
    pub(crate) place: Option<EntryPlace>,
}

/// The address to which a pair belongs.
pub(crate) enum EntryPlace {
    BaseUrl(String),
    Region(&'static str),
}

/// The credentials file, opened for a change.
pub(crate) struct CredentialsDocument {
    path: PathBuf,
    document: DocumentMut,
}

impl CredentialsDocument {
    /// Opens the file, which may be missing.
    pub(crate) fn open(path: &Path) -> Result<Self, CredentialsWriteError> {
        // A link to the file stays a link.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                let (action, kind) = ("read", error.kind());
                return Err(CredentialsWriteError::Io { path, action, kind });
            }
        };
        match text.parse() {
            Ok(document) => Ok(Self { path, document }),
            Err(_) => Err(CredentialsWriteError::Invalid { path }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the file has a pair in this place.
    pub(crate) fn has_pair(&self, profile: Option<&str>) -> bool {
        let table = match profile {
            Some(profile) => self.document.get(profile).and_then(Item::as_table_like),
            None => Some(self.document.as_table() as &dyn TableLike),
        };
        table.is_some_and(|table| table.contains_key("app_id") || table.contains_key("user_key"))
    }

    /// Sets the pair, and writes the file.
    pub(crate) fn save(
        mut self,
        entry: &CredentialsEntry<'_>,
    ) -> Result<(), CredentialsWriteError> {
        let table = match entry.profile {
            None => self.document.as_table_mut() as &mut dyn TableLike,
            Some(profile) => {
                let item = self.document.entry(profile).or_insert(Item::Table(Table::new()));
                let Some(table) = item.as_table_like_mut() else {
                    let (path, profile) = (self.path, profile.to_owned());
                    return Err(CredentialsWriteError::NotTable { path, profile });
                };
                table
            }
        };
        set_text(table, "app_id", entry.app_id);
        set_text(table, "user_key", entry.user_key);
        if entry.place.is_some() {
            table.remove("base_url");
            table.remove("region");
        }
        match &entry.place {
            Some(EntryPlace::BaseUrl(url)) => drop(table.insert("base_url", value(url))),
            Some(EntryPlace::Region(region)) => drop(table.insert("region", value(*region))),
            None => {}
        }
        let text = self.document.to_string();
        write_private(&self.path, &text).map_err(|error| {
            let (path, action, kind) = (self.path, "written", error.kind());
            CredentialsWriteError::Io { path, action, kind }
        })
    }
}

/// Sets a text. Comments beside and above a text that it replaces stay.
fn set_text(table: &mut dyn TableLike, key: &str, text: &str) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = Value::from(text);
            *old.decor_mut() = decor;
        }
        None => drop(table.insert(key, value(text))),
    }
}

/// Replaces the file by one that only its owner can read.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // A temporary file is readable by its owner alone, from the first byte on.
    let mut file = tempfile::Builder::new().prefix(".credentials-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(profile: Option<&'a str>, place: Option<EntryPlace>) -> CredentialsEntry<'a> {
        CredentialsEntry { profile, app_id: "new", user_key: "new-key", place }
    }

    #[test]
    fn a_saved_pair_keeps_the_rest_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/credentials.toml");
        let save = |profile, place| {
            CredentialsDocument::open(&path).unwrap().save(&entry(profile, place)).unwrap();
            std::fs::read_to_string(&path).unwrap()
        };
        assert_eq!(save(None, None), "app_id = \"new\"\nuser_key = \"new-key\"\n");
        let before =
            "# mine\napp_id = \"old\" # first\nuser_key = \"old-key\"\n\n[other]\napp_id = \"o\"\n";
        std::fs::write(&path, before).unwrap();
        assert!(CredentialsDocument::open(&path).unwrap().has_pair(None));
        assert!(!CredentialsDocument::open(&path).unwrap().has_pair(Some("agency")));
        save(None, None);
        let url = EntryPlace::BaseUrl("https://proxy.example".to_owned());
        insta::assert_snapshot!(save(Some("agency"), Some(url)), @r#"
        # mine
        app_id = "new" # first
        user_key = "new-key"

        [other]
        app_id = "o"

        [agency]
        app_id = "new"
        user_key = "new-key"
        base_url = "https://proxy.example"
        "#);
        let changed = save(Some("agency"), Some(EntryPlace::Region("china")));
        assert!(
            changed.contains("region = \"china\"") && !changed.contains("base_url"),
            "{changed}"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(&path, "app_id = \n").unwrap();
        assert!(CredentialsDocument::open(&path).is_err());
    }
}
