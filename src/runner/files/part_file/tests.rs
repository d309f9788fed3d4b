//! Part files in a real folder: incomplete and changed videos, crashes, links, owners, simultaneous downloads.

use crate::runner::files::part_file::*;

const VIDEO: &[u8] = include_bytes!("../../../sandbox/sample_videos/landscape.mp4");

async fn download(folder: &Path, name: &str, bytes: &[u8]) -> Result<VerifiedVideo, PartFileError> {
    let mut part = PartFile::open(folder, name, "ann").await.unwrap();
    part.begin_at(0, Some("\"m\"")).await.unwrap();
    part.append(bytes).await.unwrap();
    part.finish().await
}

fn file_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn complete_video_gets_its_name_and_leaves_no_other_file() {
    let dir = tempfile::tempdir().unwrap();
    let video = download(dir.path(), "a.mp4", VIDEO).await.unwrap();
    assert_eq!((video.file.as_str(), video.bytes), ("a.mp4", VIDEO.len() as i64));
    assert_eq!(file_names(dir.path()), ["a.mp4"]);
}

#[tokio::test]
async fn incomplete_video_never_gets_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let error = download(dir.path(), "a.mp4", &VIDEO[..VIDEO.len() / 2]).await.unwrap_err();
    assert!(matches!(error, PartFileError::Incomplete(_)), "{error}");
    assert!(file_names(dir.path()).is_empty());
}

#[tokio::test]
async fn existing_file_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.mp4"), "mine").unwrap();
    let video = download(dir.path(), "a.mp4", VIDEO).await.unwrap();
    assert_eq!(video.file, "a (2).mp4");
    assert_eq!(std::fs::read(dir.path().join("a.mp4")).unwrap(), b"mine");
}

#[tokio::test]
async fn truncated_copy_of_the_video_is_replaced_and_any_other_file_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("a.mp4");
    std::fs::write(&target, &VIDEO[..1000]).unwrap();
    assert_eq!(download(dir.path(), "a.mp4", VIDEO).await.unwrap().file, "a.mp4");
    assert_eq!(std::fs::read(&target).unwrap(), VIDEO);
    for other in [&[][..], &VIDEO[1..1000], &[VIDEO, b"more"].concat()] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.mp4"), other).unwrap();
        assert_eq!(download(dir.path(), "a.mp4", VIDEO).await.unwrap().file, "a (2).mp4");
        assert_eq!(std::fs::read(dir.path().join("a.mp4")).unwrap(), other);
    }
}

#[tokio::test]
async fn file_renamed_before_a_crash_is_recognised() {
    let dir = tempfile::tempdir().unwrap();
    download(dir.path(), "a.mp4", VIDEO).await.unwrap();
    let again = download(dir.path(), "a.mp4", VIDEO).await.unwrap();
    assert_eq!(again.file, "a.mp4");
    assert_eq!(file_names(dir.path()), ["a.mp4"]);
}

#[tokio::test]
async fn crash_between_link_and_unlink_leaves_the_final_file_untouched() {
    let dir = tempfile::tempdir().unwrap();
    download(dir.path(), "a.mp4", VIDEO).await.unwrap();
    std::fs::hard_link(dir.path().join("a.mp4"), dir.path().join("a.mp4.part")).unwrap();
    let mut part = PartFile::open(dir.path(), "a.mp4", "ann").await.unwrap();
    part.begin_at(0, None).await.unwrap();
    part.append(b"other").await.unwrap();
    assert_eq!(std::fs::read(dir.path().join("a.mp4")).unwrap(), VIDEO);
}

#[tokio::test]
async fn part_file_resumes_only_with_its_etag() {
    let dir = tempfile::tempdir().unwrap();
    let mut part = PartFile::open(dir.path(), "a.mp4", "ann").await.unwrap();
    part.begin_at(0, Some("\"m\"")).await.unwrap();
    part.append(&VIDEO[..100]).await.unwrap();
    part.sync_for_resume().await.unwrap();
    let part = PartFile::open(dir.path(), "a.mp4", "ann").await.unwrap();
    assert_eq!(part.resume_point(), DownloadResume::new(100, "\"m\""));
    drop(part);
    std::fs::remove_file(dir.path().join("a.mp4.part.mark")).unwrap();
    let part = PartFile::open(dir.path(), "a.mp4", "ann").await.unwrap();
    assert_eq!(part.resume_point(), None);
}

#[tokio::test]
async fn file_whose_check_ended_the_process_is_discarded_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.mp4.part"), VIDEO).unwrap();
    std::fs::write(dir.path().join("a.mp4.part.scan"), "").unwrap();
    let error = PartFile::open(dir.path(), "a.mp4", "ann").await.unwrap_err();
    assert!(matches!(error, PartFileError::Incomplete(Mp4Defect::UnfinishedCheck)), "{error}");
    assert!(file_names(dir.path()).is_empty());
    assert_eq!(download(dir.path(), "a.mp4", VIDEO).await.unwrap().file, "a.mp4");
    assert_eq!(file_names(dir.path()), ["a.mp4"]);
}

/// The check of one file ends the process, whatever the cause.
#[cfg(unix)]
#[test]
fn check_that_ends_the_process_leaves_a_note_of_its_file() {
    const FOLDER_VARIABLE: &str = "CALLSHEET_TEST_CRASHED_CHECK";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE) {
        let part = runtime.block_on(PartFile::open(Path::new(&folder), "a.mp4", "ann"));
        drop(runtime.block_on(part.unwrap().finish()));
        unreachable!("the check waits for its file to be killed");
    }
    let dir = tempfile::tempdir().unwrap();
    let part = dir.path().join("a.mp4.part");
    write_endless_film(&part);
    let test = "runner::files::part_file::tests::\
                check_that_ends_the_process_leaves_a_note_of_its_file";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact"])
        .env(FOLDER_VARIABLE, dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let scan = dir.path().join("a.mp4.part.scan");
    while !scan.exists() {
        assert!(child.try_wait().unwrap().is_none(), "the check ended without a note");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let opened = runtime.block_on(PartFile::open(dir.path(), "a.mp4", "ann"));
    let error = opened.unwrap_err();
    assert!(matches!(error, PartFileError::Incomplete(Mp4Defect::UnfinishedCheck)), "{error}");
    assert!(file_names(dir.path()).is_empty());
}

/// Writes a film whose tables of sizes take long to read, and no space on the disk.
#[cfg(unix)]
fn write_endless_film(path: &Path) {
    const TABLES: u64 = 40;
    let sizes: u32 = 15 << 20;
    let moov_size = 60 + sizes * 4;
    let mut file = File::create(path).unwrap();
    file.write_all(b"\0\0\0\x08ftyp").unwrap();
    for number in 0..TABLES {
        let mut head = Vec::new();
        for (depth, kind) in (0..).zip([b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsz"]) {
            head.extend((moov_size - 8 * depth).to_be_bytes());
            head.extend(kind);
        }
        head.extend([0, 0, sizes].map(u32::to_be_bytes).concat());
        let at = 8 + number * u64::from(moov_size);
        io::Seek::seek(&mut file, io::SeekFrom::Start(at)).unwrap();
        file.write_all(&head).unwrap();
    }
    file.set_len(8 + TABLES * u64::from(moov_size)).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn link_at_the_part_file_is_not_followed() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let victim = other.path().join("victim");
    std::fs::write(&victim, "mine").unwrap();
    std::os::unix::fs::symlink(&victim, dir.path().join("a.mp4.part")).unwrap();
    std::os::unix::fs::symlink(&victim, dir.path().join("a.mp4")).unwrap();
    assert_eq!(download(dir.path(), "a.mp4", VIDEO).await.unwrap().file, "a (2).mp4");
    assert_eq!(std::fs::read(&victim).unwrap(), b"mine");
}

#[tokio::test]
async fn simultaneous_downloads_of_one_name_give_two_complete_files() {
    let dir = tempfile::tempdir().unwrap();
    let other: &[u8] = include_bytes!("../../../sandbox/sample_videos/portrait.mp4");
    let mut first = PartFile::open(dir.path(), "a.mp4", "ann").await.unwrap();
    first.begin_at(0, Some("\"m\"")).await.unwrap();
    first.append(&VIDEO[..100]).await.unwrap();
    let mut second = PartFile::open(dir.path(), "a.mp4", "bob").await.unwrap();
    assert_eq!(second.resume_point(), None);
    second.begin_at(0, Some("\"n\"")).await.unwrap();
    second.append(other).await.unwrap();
    first.append(&VIDEO[100..]).await.unwrap();
    assert_eq!(first.finish().await.unwrap().file, "a.mp4");
    assert_eq!(second.finish().await.unwrap().file, "a (2).mp4");
    assert_eq!(file_names(dir.path()), ["a (2).mp4", "a.mp4"]);
    assert_eq!(std::fs::read(dir.path().join("a.mp4")).unwrap(), VIDEO);
    assert_eq!(std::fs::read(dir.path().join("a (2).mp4")).unwrap(), other);
}

#[tokio::test]
async fn part_file_resumes_only_for_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let mut part = PartFile::open(dir.path(), "a.mp4", "ann").await.unwrap();
    part.begin_at(0, Some("\"m\"")).await.unwrap();
    part.append(&VIDEO[..100]).await.unwrap();
    part.sync_for_resume().await.unwrap();
    drop(part);
    let part = PartFile::open(dir.path(), "a.mp4", "bob").await.unwrap();
    assert_eq!(part.resume_point(), None);
}

#[cfg(unix)]
#[tokio::test]
async fn pipe_with_the_name_of_a_video_does_not_block_the_download() {
    let dir = tempfile::tempdir().unwrap();
    let (name, mode) = (dir.path().join("a.mp4"), rustix::fs::Mode::RUSR);
    rustix::fs::mkfifoat(rustix::fs::CWD, name, mode).unwrap();
    assert_eq!(download(dir.path(), "a.mp4", VIDEO).await.unwrap().file, "a (2).mp4");
}
