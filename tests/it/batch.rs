//! Batch files on disk: the documented example, and one with a problem.

use std::fs;

use callsheet::batch::{self, BatchLimits, StudioHost, StudioSettings, VideoResolution};
use callsheet::request;

/// The example with all common settings and their defaults.
const EXAMPLE_BATCH: &str = r#"
name = "spring-launch"                  # the batch's name in the ledger
sheet = "spring-launch.csv"             # paths are relative to this file
template = "../templates/presenter.json.hbs"
key = "sku"                             # column(s) that identify a row
# group_by = "video"                    # rows with the same value become one video
# columns = { script = "Script (EN)" }  # template name = heading in the sheet
# defaults = { language = "en" }        # for empty cells
output = "out/spring-launch"
file = "{{sku}}-{{language}}.mp4"       # name of each video

[studio]
region = "global"
request = "project"
submission = "two-step"
on_uncertain = "settle"
resolution = "1080"

[limits]
requests = "120/min"                    # all API requests
submits = "30/min"                      # requests that start a render
in_flight = 10                          # concurrent renders
canary = 2
downloads = 4
request_timeout = "30s"
poll_min = "3s"
poll_max = "60s"
settle_after = "20min"
stall_after = "30min"
render_timeout = "6h"
submit_retries = 8
rerenders = 1
fetch_retries = 10
halt_after = 5
backoff_min = "1s"
backoff_max = "2min"
"#;

#[test]
fn example_states_the_default_settings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("launch.toml");
    fs::write(&path, EXAMPLE_BATCH.replace('\n', "\r\n")).unwrap();
    let batch = batch::read(&path).unwrap();
    assert_eq!(batch.limits, BatchLimits::default());
    assert_eq!(
        batch.studio,
        StudioSettings { resolution: Some(VideoResolution::P1080), ..StudioSettings::default() }
    );
    assert_eq!((batch.studio.host, batch.studio.request), (StudioHost::Global, &request::PROJECT));
    assert_eq!(batch.sheet, dir.path().join("spring-launch.csv"));
    assert_eq!(batch.output, dir.path().join("out/spring-launch"));
    assert_eq!(batch.key, ["sku"]);
}

#[test]
fn problem_has_its_line_with_windows_line_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("launch.toml");
    let misspelled =
        EXAMPLE_BATCH.replace("in_flight = 10 ", "in_fligth = 10 ").replace('\n', "\r\n");
    fs::write(&path, misspelled).unwrap();
    let message = batch::read(&path).unwrap_err().to_string();
    let message = message.replace(&dir.path().display().to_string(), "jobs");
    insta::assert_snapshot!(message, @"
    jobs/launch.toml:22:1: unknown setting `in_fligth` in `[limits]`
      in_fligth = 10                          # concurrent renders
      ^^^^^^^^^
      help: did you mean `in_flight`?
    ");
}
