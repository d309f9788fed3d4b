//! Paths in a batch file: relative to the folder of the batch file, not to the current folder; `~/` is
//! the home folder.
//!
//! They are shortened for display: `../templates/a.json.hbs` in `jobs/a.toml` becomes
//! `templates/a.json.hbs`. This file does not check whether a path exists. Invariant: the shortened
//! path names the file that the system would open.

use std::path::{Component, Path, PathBuf};

/// Returns the path that `written` means in the batch file `file`.
pub(super) fn resolve_path(file: &Path, written: &str) -> PathBuf {
    if let (Ok(below_home), Some(home)) =
        (Path::new(written).strip_prefix("~"), std::env::home_dir())
    {
        return home.join(below_home);
    }
    let mut folder = file.parent().unwrap_or(Path::new(""));
    let mut rest = Path::new(written);
    while let Some(component) = rest.components().next() {
        let parent = match component {
            Component::CurDir => folder,
            Component::ParentDir => match parent_folder(folder) {
                Some(parent) => parent,
                None => break,
            },
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => break,
        };
        (folder, rest) = (parent, rest.strip_prefix(component).unwrap_or(rest));
    }
    match folder.join(rest) {
        path if path.as_os_str().is_empty() => PathBuf::from("."),
        path => path,
    }
}

/// Returns the parent of a folder if its path shows it: `..` behind a symbolic link is another
/// folder.
fn parent_folder(folder: &Path) -> Option<&Path> {
    let is_named = matches!(folder.components().next_back(), Some(Component::Normal(_)));
    folder.parent().filter(|_| is_named && !folder.is_symlink())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_components_are_removed_from_paths() {
        for (file, written, expected) in [
            ("jobs/a.toml", "../templates/t.hbs", "templates/t.hbs"),
            ("jobs/a.toml", "./a.csv", "jobs/a.csv"),
            ("jobs/a.toml", "../../x/../t.hbs", "../x/../t.hbs"),
            ("a.toml", "../t.hbs", "../t.hbs"),
            ("../a.toml", "../t.hbs", "../../t.hbs"),
            ("/srv/jobs/a.toml", "../t.hbs", "/srv/t.hbs"),
            ("/a.toml", "../t.hbs", "/../t.hbs"),
            ("jobs/a.toml", "/srv/videos", "/srv/videos"),
            ("jobs/a.toml", "out/a", "jobs/out/a"),
            ("jobs/a.toml", "..", "."),
        ] {
            assert_eq!(
                resolve_path(Path::new(file), written),
                Path::new(expected),
                "{file} {written}"
            );
        }
    }

    #[test]
    fn tilde_is_the_home_folder_only_at_the_beginning_of_a_path() {
        let home = std::env::home_dir().expect("a home folder");
        for (written, expected) in [
            ("~/videos", home.join("videos")),
            ("~", home.clone()),
            ("~draft.csv", PathBuf::from("jobs/~draft.csv")),
            ("a/~/b", PathBuf::from("jobs/a/~/b")),
        ] {
            assert_eq!(resolve_path(Path::new("jobs/a.toml"), written), expected, "{written}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn parent_of_a_symbolic_link_is_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (real, linked) = (folder.path().join("far/jobs"), folder.path().join("jobs"));
        std::fs::create_dir_all(&real).expect("folders can be created");
        std::os::unix::fs::symlink(&real, &linked).expect("links can be created");
        let path = resolve_path(&linked.join("a.toml"), "../t.hbs");
        assert_eq!(path, linked.join("../t.hbs"));
    }
}
