//! Batch files on disk: the whole of one that is right, and one that is wrong.

use std::fs;

use callsheet::batch::{self, BatchLimits, StudioHost, StudioSettings, VideoResolution};
use callsheet::request;

/// The example that the README and the scaffold follow.
const EXAMPLE_BATCH: &str = r#"
name = "spring-launch"                  # the batch's name in the ledger
sheet = "spring-launch.csv"             # paths are relative to this file
template = "../templates/presenter.json.hbs"
key = "sku"                             # column(s) that name a row
# group_by = "video"                    # rows with one value become one video
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
requests = "120/min"                    # every API call
submits = "30/min"                      # calls that start a render
in_flight = 10                          # renders under way
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
fn the_example_says_aloud_what_holds_anyway() {
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
fn a_slip_is_told_with_its_line_on_windows_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("launch.toml");
    let slip = EXAMPLE_BATCH.replace("in_flight = 10 ", "in_fligth = 10 ").replace('\n', "\r\n");
    fs::write(&path, slip).unwrap();
    let told = batch::read(&path).unwrap_err().to_string();
    let told = told.replace(&dir.path().display().to_string(), "jobs");
    insta::assert_snapshot!(told, @"
    jobs/launch.toml:22:1: there is no setting `in_fligth` in `[limits]`
      in_fligth = 10                          # renders under way
      ^^^^^^^^^
      help: did you mean `in_flight`?
    ");
}
