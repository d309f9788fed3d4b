//! `[review]`: whether videos have to be approved; `[on_done]`: the command that each video is handed to.

use std::time::Duration;

use super::limits::BatchLimits;
use super::notify::parse_command;
use super::problem::BatchFileProblem;
use super::reader::{SettingProblem, SettingsReader};
use super::value;

/// What has to be approved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReviewSettings {
    /// `required`: only approved videos are handed over.
    pub required: bool,
    /// `sample`: the canary videos have to be approved before the others are submitted.
    pub sample: bool,
}

/// The command that each finished video is handed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDoneSettings {
    /// `command`: a program and its arguments; receives the video as JSON on standard input.
    pub command: Vec<String>,
    /// `timeout`: the limit for one video; default 10 min.
    pub timeout: Duration,
}

impl ReviewSettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>, limits: &BatchLimits) -> Self {
        let mut flag = |key| reader.get("review", key, value::parse_flag).unwrap_or_default();
        let settings = Self { required: flag("required"), sample: flag("sample") };
        if settings.sample && limits.canary == 0 {
            let problem = SettingProblem::new("needs videos to approve, and `canary` is 0");
            let help = "set `canary` of `[limits]` to the number of videos of the sample";
            reader.reject_value("review", "sample", problem.with_help(help));
        }
        settings
    }
}

impl OnDoneSettings {
    /// A file may have to be uploaded over a slow line.
    const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        if !reader.has_table("on_done") {
            return None;
        }
        let command = reader.get("on_done", "command", parse_command);
        if !reader.has_key("on_done", "command") {
            reader.add_problem(BatchFileProblem {
                message: "`on_done` has no `command`".to_owned(),
                help: Some("write it like `command = [\"./deliver.sh\"]`".to_owned()),
                span: reader.section_span("on_done"),
            });
        }
        let timeout = reader.get("on_done", "timeout", value::parse_duration);
        Some(Self { command: command?, timeout: timeout.unwrap_or(Self::DEFAULT_TIMEOUT) })
    }
}
