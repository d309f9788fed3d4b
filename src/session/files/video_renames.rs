//! `rename`: finished videos get the names of a changed `file` pattern.
//!
//! The file is renamed before the ledger, so a command that was killed in between finds the new name and
//! records it. Invariant: nothing is rendered, downloaded or overwritten.

use std::path::PathBuf;

use crate::batch::Batch;
use crate::ledger::{FileRename, FormerFileName};
use crate::plan::Plan;
use crate::report;
use crate::runner::{VideoRename, rename_video};
use crate::session::error::CommandError;
use crate::session::files::output_dir;
use crate::session::locked_batch::LeasedBatch;
use crate::session::next_steps::CommandHints;
use crate::session::reports::report_page;

/// The videos of a batch that have former names.
pub(crate) struct VideoRenames {
    pub(crate) videos: Vec<FormerFileName>,
    folder: PathBuf,
}

/// A video that was renamed, or was not.
pub(crate) struct RenamedVideo {
    pub(crate) key: String,
    pub(crate) former: String,
    pub(crate) rename: VideoRename,
}

impl VideoRenames {
    /// Finds the videos whose names differ from those of the plan.
    pub(crate) async fn find(
        batch: &Batch,
        is_rehearsal: bool,
        plan: &mut Plan,
    ) -> Result<Self, CommandError> {
        let videos = plan.list_former_file_names().await?;
        Ok(Self { videos, folder: output_dir::output_dir(batch, is_rehearsal) })
    }

    /// Renames the videos, and writes the reports that name them again.
    ///
    /// A name may be free only after another video has left it, so those are tried again.
    pub(crate) async fn apply(
        self,
        leased: &LeasedBatch,
        commands: CommandHints,
    ) -> Result<Vec<RenamedVideo>, CommandError> {
        let Self { videos, folder } = self;
        let (mut waiting, mut results) = (videos, Vec::new());
        loop {
            let count = waiting.len();
            let mut taken = Vec::new();
            for video in waiting {
                let rename = rename_one(&folder, &video, leased).await?;
                match rename {
                    VideoRename::NameTaken(_) => taken.push((video, rename)),
                    VideoRename::Renamed(_) | VideoRename::Missing | VideoRename::Altered => {
                        results.push(RenamedVideo { key: video.key, former: video.file, rename });
                    }
                }
            }
            if taken.len() == count {
                results.extend(taken.into_iter().map(|(video, rename)| RenamedVideo {
                    key: video.key,
                    former: video.file,
                    rename,
                }));
                break;
            }
            waiting = taken.into_iter().map(|(video, _)| video).collect();
        }
        let LeasedBatch { ledger, stored, clock, .. } = leased;
        let skip_columns = report_page::stored_skip_columns(stored);
        report::write_results(ledger, stored.id, &folder, &skip_columns).await?;
        report_page::renew_page(ledger, stored, commands, clock.now()).await?;
        Ok(results)
    }
}

async fn rename_one(
    folder: &std::path::Path,
    video: &FormerFileName,
    leased: &LeasedBatch,
) -> Result<VideoRename, CommandError> {
    let FormerFileName { job, version, file, video_hash, file_name, .. } = video;
    let rename = rename_video(folder, file, video_hash, file_name, *version).map_err(|error| {
        CommandError::unexpected(output_dir::unwritable_message(folder, &error))
    })?;
    if let VideoRename::Renamed(new_file) = &rename {
        let (job, version) = (*job, *version);
        let (file_name, file) = (file_name.clone(), new_file.clone());
        leased.lease.rename_file(FileRename { job, version, file_name, file }).await?;
    }
    Ok(rename)
}
