//! Valid batch files, and the messages for some settings.

mod wrong;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const MINIMAL_SOURCE: &str = "sheet = \"a.csv\"\ntemplate = \"a.json.hbs\"\n";

fn parse_source(source: &str) -> Result<Batch, BatchFileProblems> {
    parse(Path::new("jobs/launch.toml"), source.to_owned())
}

/// Returns the messages for the two required lines followed by `rest`.
fn problems_text(rest: &str) -> String {
    parse_source(&format!("{MINIMAL_SOURCE}{rest}")).unwrap_err().to_string()
}

#[test]
fn minimal_batch_has_the_documented_defaults() {
    let batch = parse_source(MINIMAL_SOURCE).unwrap();
    assert_eq!(batch.name.as_str(), "launch");
    assert_eq!(batch.file, Path::new("jobs/launch.toml"));
    assert_eq!(batch.sheet, Path::new("jobs/a.csv"));
    assert_eq!(batch.template, Path::new("jobs/a.json.hbs"));
    assert_eq!(batch.output, Path::new("jobs/out/launch"));
    assert_eq!((batch.key, batch.group_by, batch.video_file), (Vec::new(), None, None));
    assert_eq!((batch.studio, batch.limits), (StudioSettings::default(), BatchLimits::default()));
    assert_eq!(batch.source, MINIMAL_SOURCE);
}

#[test]
fn every_setting_is_read() {
    let batch = parse_source(
        r#"
name = "spring-launch"
sheet = "spring-launch.csv"
template = "../templates/presenter.json.hbs"
key = ["sku", "language"]
group_by = "video"
columns = { script = "Script (EN)" }
defaults = { language = "en", note = "" }
output = "/srv/videos"
file = "{{sku}}-{{language}}.mp4"

[studio]
base_url = "http://127.0.0.1:8080"
request = "project"
submission = "one-step"
on_uncertain = "hold"
resolution = "4k"
workspace_id = "w1"
user_key_command = "op read op://studio/key"

[limits]
requests = "unlimited"
submits = "50/s"
in_flight = 1_000
canary = 0
downloads = 0x10
request_timeout = "500ms"
poll_min = "1s"
poll_max = "1h 30m"
settle_after = "2s"
confirm_after = "3s"
stall_after = "90s"
render_timeout = "24h"
backoff_min = "10ms"
backoff_max = "10ms"
submit_retries = 0
rerenders = 0
fetch_retries = 0
halt_after = 1
max_videos = 0
max_credits = 12
max_credits_per_day = 99.5
"#,
    )
    .unwrap();
    assert_eq!(batch.name.as_str(), "spring-launch");
    assert_eq!(batch.template, Path::new("templates/presenter.json.hbs"));
    assert_eq!(batch.output, Path::new("/srv/videos"));
    assert_eq!(batch.key, ["sku", "language"]);
    assert_eq!(batch.group_by.as_deref(), Some("video"));
    assert_eq!(batch.columns["script"], "Script (EN)");
    assert_eq!((batch.defaults["language"].as_str(), batch.defaults["note"].as_str()), ("en", ""));
    assert_eq!(batch.video_file.as_deref(), Some("{{sku}}-{{language}}.mp4"));
    let StudioSettings { host, request, submission, on_uncertain, resolution, .. } = batch.studio;
    assert_eq!(host.base_url().as_str(), "http://127.0.0.1:8080/");
    assert_eq!((request, submission), (&crate::request::PROJECT, SubmissionMode::OneStep));
    assert_eq!((on_uncertain, resolution), (OnUncertain::Hold, Some(VideoResolution::FourK)));
    let limits = batch.limits;
    assert_eq!(limits.requests, Rate::Unlimited);
    assert_eq!(limits.in_flight, NonZeroU32::new(1_000).unwrap());
    assert_eq!(limits.downloads, NonZeroU32::new(16).unwrap());
    assert_eq!(limits.request_timeout, Duration::from_millis(500));
    assert_eq!(limits.poll_max, Duration::from_secs(5_400));
    assert_eq!(limits.max_credits_per_day, Some(99.5));
    assert_eq!((limits.max_videos, limits.max_credits), (Some(0), Some(12.0)));
}

#[test]
fn single_key_needs_no_list() {
    assert_eq!(parse_source(&format!("{MINIMAL_SOURCE}key = \"sku\"")).unwrap().key, ["sku"]);
}

#[test]
fn source_of_a_batch_parses_to_the_same_batch() {
    let first = parse_source(&format!("{MINIMAL_SOURCE}# a comment\nname = \"x\"")).unwrap();
    assert_eq!(parse(&first.file, first.source.clone()), Ok(first));
}

#[test]
fn every_listed_key_is_read() {
    for (section, keys) in keys::SECTIONS {
        for key in *keys {
            // A date is invalid for every setting, so reading the key records a problem.
            let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
            let source = format!("{header}{key} = 2026-11-21\n");
            let problems = parse_source(&source).unwrap_err();
            let located = problems.problems.iter().filter(|problem| problem.span.is_some());
            // Missing required keys of the section are problems of their own.
            let messages: Vec<_> = located
                .map(|problem| problem.message.as_str())
                .filter(|message| !message.contains(" has no `"))
                .collect();
            assert!(
                matches!(messages[..], [message] if message.contains(&format!("`{key}` must be"))),
                "{key}: {messages:?}"
            );
        }
    }
}

#[test]
fn repeated_columns_and_wrong_tables_are_rejected() {
    insta::assert_snapshot!(problems_text("key = [\"sku\", \"sku\"]\ndefaults = { rate = 1 }\ncolumns = 3"), @r#"
    jobs/launch.toml:3:7: `key` contains `sku` twice
      key = ["sku", "sku"]
            ^^^^^^^^^^^^^^
    jobs/launch.toml:4:21: `defaults.rate` must be a text, not a whole number
      defaults = { rate = 1 }
                          ^
      help: write it in quotes
    jobs/launch.toml:5:11: `columns` must be a table of names and texts
      columns = 3
                ^
      help: write it like `columns = { script = "…" }`
    "#);
}

/// Text that resembles TOML.
const ALMOST_TOML: &str = "\\PC{0,40}|([a-z_]{1,9}|[\\[\\]={}\"'\n#.,0-9é]){0,60}";

/// Values of each type, valid and invalid.
const VALUE: &str = "true|0|[1-9][0-9]{0,11}|-1|1\\.5|inf|\\[\\]|\\{\\}|\"[^\"\\\\\\p{C}]{0,12}\"|\
                     \\[\"a\", 1\\]|07:30:00";

fn any_setting() -> impl Strategy<Value = (&'static str, &'static str)> {
    let with_section = |(section, keys): &(&'static str, &'static [&'static str])| {
        let section = *section;
        keys.iter().map(move |key| (section, *key)).collect::<Vec<_>>()
    };
    prop::sample::select(keys::SECTIONS.iter().flat_map(with_section).collect::<Vec<_>>())
}

proptest! {
    /// Every text gives a batch, or problems that can be displayed.
    #[test]
    fn any_text_gives_a_batch_or_problems(source in ALMOST_TOML) {
        for text in [source.clone(), format!("{MINIMAL_SOURCE}{source}")] {
            if let Err(problems) = parse_source(&text) {
                prop_assert!(!problems.problems.is_empty());
                prop_assert_eq!(problems.source.len(), text.len());
                prop_assert!(problems.to_string().lines().count() >= problems.problems.len());
            }
        }
    }

    /// A setting of any value is accepted, or rejected with its name and position.
    #[test]
    fn any_value_is_accepted_or_rejected_by_name((section, key) in any_setting(), value in VALUE) {
        let required: String =
            MINIMAL_SOURCE.lines().filter(|line| !line.starts_with(key)).map(|l| format!("{l}\n")).collect();
        let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
        let with: &[&str] = match section {
            "window" => &["from = '22:00'\n", "to = '06:00'\n", "zone = 'UTC'\n"],
            "measured" => &["on = 'a day'\n", "host = 'a host'\n"],
            "on_done" => &["command = ['./deliver']\n"],
            "webhook" => &["public_url = 'https://hooks.example'\n"],
            _ => &[],
        };
        let others: String =
            with.iter().filter(|line| !line.starts_with(&format!("{key} "))).copied().collect();
        let source = format!("{required}{header}{others}{key} = {value}\n");
        match parse_source(&source) {
            Ok(batch) => prop_assert_eq!(parse(&batch.file, batch.source.clone()), Ok(batch)),
            Err(problems) => {
                for problem in &problems.problems {
                    prop_assert!(problem.message.contains(&format!("`{key}")), "{}", problem.message);
                    let span = problem.span.clone().unwrap();
                    prop_assert!(span.start >= source.len() - value.len() - 1, "{problem:?}");
                }
            }
        }
    }
}

#[test]
fn skipped_rows_are_selected_by_a_column_or_by_its_values() {
    let skip = |rest: &str| parse_source(&format!("{MINIMAL_SOURCE}{rest}")).unwrap().skip.unwrap();
    let plain = skip("skip = \"Status\"");
    assert_eq!((plain.column.as_str(), plain.values.len()), ("Status", 0));
    let full = skip("[skip]\ncolumn = \"Status\"\nvalues = [\"done\", \"hold\"]");
    assert_eq!(full.values, ["done", "hold"]);
    for (rest, want) in [
        ("skip = 3", "`skip` must be a text"),
        ("skip = { values = \"x\" }", "`skip` has no `column`"),
        ("skip = { column = \"\" }", "`skip` is invalid: its `column` is empty"),
        ("[skip]\ncolum = \"a\"", "`skip` has the unknown setting `colum`"),
    ] {
        assert!(problems_text(rest).contains(want), "{}", problems_text(rest));
    }
}
