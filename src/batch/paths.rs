//! Where a path in a batch file leads: from the batch file's folder, whatever the current one is.
//!
//! It is told as a person would write it: `templates/a.json.hbs`, where the batch file `jobs/a.toml`
//! says `../templates/a.json.hbs`. Whether anything is there is for whoever opens it to see; and what
//! is told is always the file that the system would open.

use std::path::{Component, Path, PathBuf};

/// Returns the place that a path in a batch file means.
pub(super) fn resolve_path(file: &Path, written: &str) -> PathBuf {
    let mut folder = file.parent().unwrap_or(Path::new(""));
    let mut rest = Path::new(written);
    while let Some(step) = rest.components().next() {
        let above = match step {
            Component::CurDir => folder,
            Component::ParentDir => match parent_folder(folder) {
                Some(above) => above,
                None => break,
            },
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => break,
        };
        (folder, rest) = (above, rest.strip_prefix(step).unwrap_or(rest));
    }
    match folder.join(rest) {
        here if here.as_os_str().is_empty() => PathBuf::from("."),
        place => place,
    }
}

/// Returns the folder around a folder, if its path says which that is: behind a link, `..` leads
/// elsewhere.
fn parent_folder(folder: &Path) -> Option<&Path> {
    let is_named = matches!(folder.components().next_back(), Some(Component::Normal(_)));
    folder.parent().filter(|_| is_named && !folder.is_symlink())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_without_steps_back() {
        for (file, written, place) in [
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
                Path::new(place),
                "{file} {written}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_step_back_from_a_linked_folder_is_left_to_the_system() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (real, linked) = (folder.path().join("far/jobs"), folder.path().join("jobs"));
        std::fs::create_dir_all(&real).expect("there is room");
        std::os::unix::fs::symlink(&real, &linked).expect("links are known here");
        let place = resolve_path(&linked.join("a.toml"), "../t.hbs");
        assert_eq!(place, linked.join("../t.hbs"));
    }
}
