//! What a batch file means, and what people are told about one that is wrong.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const NEEDED: &str = "sheet = \"a.csv\"\ntemplate = \"a.json.hbs\"\n";

fn parsed(source: &str) -> Result<Batch, Problems> {
    parse(Path::new("jobs/launch.toml"), source.to_owned())
}

/// What people are told about the two lines every batch needs, with these after them.
fn told(rest: &str) -> String {
    parsed(&format!("{NEEDED}{rest}")).unwrap_err().to_string()
}

#[test]
fn two_lines_make_a_batch() {
    let batch = parsed(NEEDED).unwrap();
    assert_eq!(batch.name.as_str(), "launch");
    assert_eq!(batch.file, Path::new("jobs/launch.toml"));
    assert_eq!(batch.sheet, Path::new("jobs/a.csv"));
    assert_eq!(batch.template, Path::new("jobs/a.json.hbs"));
    assert_eq!(batch.output, Path::new("jobs/out/launch"));
    assert_eq!((batch.key, batch.group_by, batch.video_file), (Vec::new(), None, None));
    assert_eq!((batch.studio, batch.limits), (Studio::default(), Limits::default()));
    assert_eq!(batch.source, NEEDED);
}

#[test]
fn every_setting_is_understood() {
    let batch = parsed(
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
    assert_eq!(batch.template, Path::new("jobs/../templates/presenter.json.hbs"));
    assert_eq!(batch.output, Path::new("/srv/videos"));
    assert_eq!(batch.key, ["sku", "language"]);
    assert_eq!(batch.group_by.as_deref(), Some("video"));
    assert_eq!(batch.columns["script"], "Script (EN)");
    assert_eq!((batch.defaults["language"].as_str(), batch.defaults["note"].as_str()), ("en", ""));
    assert_eq!(batch.video_file.as_deref(), Some("{{sku}}-{{language}}.mp4"));
    let Studio { host, request, submission, on_uncertain, resolution, .. } = batch.studio;
    assert_eq!(host.base_url().as_str(), "http://127.0.0.1:8080/");
    assert_eq!((request, submission), (&crate::request::PROJECT, Submission::OneStep));
    assert_eq!((on_uncertain, resolution), (OnUncertain::Hold, Some(Resolution::FourK)));
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
fn one_key_is_written_without_a_list() {
    assert_eq!(parsed(&format!("{NEEDED}key = \"sku\"")).unwrap().key, ["sku"]);
}

#[test]
fn a_batch_is_read_again_from_the_text_it_keeps() {
    let first = parsed(&format!("{NEEDED}# a remark\nname = \"x\"")).unwrap();
    assert_eq!(parse(&first.file, first.source.clone()), Ok(first));
}

#[test]
fn every_listed_key_is_asked_for() {
    for (section, keys) in keys::SECTIONS {
        for key in *keys {
            // A date is right for no setting at all, so whoever asks for the key complains.
            let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
            let source = format!("{header}{key} = 2026-11-21\n");
            let problems = parsed(&source).unwrap_err();
            let named = problems.list.iter().filter(|problem| problem.span.is_some());
            // What else its table needs is not its own complaint.
            let told: Vec<_> = named
                .map(|problem| problem.message.as_str())
                .filter(|message| !message.contains(" has no `"))
                .collect();
            assert!(
                matches!(told[..], [message] if message.contains(&format!("`{key}` must be"))),
                "{key}: {told:?}"
            );
        }
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let problems = parsed(
        r#"nmae = "spring"
template = 7
key = []
file = ""
in_flight = 3

[studio]
region = "chnia"
base_url = "http://studio.example"
request = "simple-vidoe"
resolution = 1080
output = "out"

[limits]
submits = "30 per minute"
downloads = 0
request_timeout = 30
poll_min = "2min"
canary = -1
max_credits = nan
render_timeout = "40 days"
settle_after = "0s"

[limit]
"#,
    );
    insta::assert_snapshot!(problems.unwrap_err(), @r#"
    jobs/launch.toml:1:1: there is no setting `nmae`
      nmae = "spring"
      ^^^^
      help: did you mean `name`?
    jobs/launch.toml:2:12: `template` must be a text, not a whole number
      template = 7
                 ^
      help: write it in quotes
    jobs/launch.toml:3:7: `key` is an empty list
      key = []
            ^^
      help: fill it in, or leave it out
    jobs/launch.toml:4:8: `file` is empty
      file = ""
             ^^
      help: fill it in, or leave it out
    jobs/launch.toml:5:1: there is no setting `in_flight`
      in_flight = 3
      ^^^^^^^^^
      help: `in_flight` belongs under `[limits]`
    jobs/launch.toml:8:10: `region` is none of the words that may stand here
      region = "chnia"
               ^^^^^^^
      help: did you mean "china"? One of "global", "china"
    jobs/launch.toml:9:12: `base_url` must begin with `https://` (plain `http://` is for this machine alone)
      base_url = "http://studio.example"
                 ^^^^^^^^^^^^^^^^^^^^^^^
    jobs/launch.toml:9:12: `base_url` and `region` are given together
      base_url = "http://studio.example"
                 ^^^^^^^^^^^^^^^^^^^^^^^
      help: keep the one that is meant
    jobs/launch.toml:10:11: `request` is none of the words that may stand here
      request = "simple-vidoe"
                ^^^^^^^^^^^^^^
      help: did you mean "simple-video"? One of "project", "simple-video", "simple-custom", "edit-project", "template", "scripts-to-video", "topic-to-video", "url-to-video"
    jobs/launch.toml:11:14: `resolution` must be a word in quotes, not a whole number
      resolution = 1080
                   ^^^^
      help: one of "4k", "1080", "720", "480"
    jobs/launch.toml:12:1: there is no setting `output` in `[studio]`
      output = "out"
      ^^^^^^
      help: `output` belongs at the top of the file, above the first `[…]`
    jobs/launch.toml:15:11: `submits` is wrong: a rate is written like `30/min`, `50/s`, `10/h` or `unlimited`
      submits = "30 per minute"
                ^^^^^^^^^^^^^^^
    jobs/launch.toml:16:13: `downloads` must be at least 1: with 0 the batch would wait for ever
      downloads = 0
                  ^
    jobs/launch.toml:17:19: `request_timeout` must be a duration in quotes, not a whole number
      request_timeout = 30
                        ^^
      help: write it like "90s", "500ms", "20min" or "1h 30m"
    jobs/launch.toml:18:12: `poll_min` is above `poll_max`
      poll_min = "2min"
                 ^^^^^^
      help: `poll_min` is "2m" and `poll_max` is "1m"
    jobs/launch.toml:19:10: `canary` must be a whole number from 0 to 4294967295
      canary = -1
               ^^
    jobs/launch.toml:20:15: `max_credits` must be a number of credits from 0 up
      max_credits = nan
                    ^^^
    jobs/launch.toml:21:18: `render_timeout` is not a duration that can be understood
      render_timeout = "40 days"
                       ^^^^^^^^^
      help: write it like "90s", "500ms", "20min" or "1h 30m"
    jobs/launch.toml:22:16: `settle_after` must be longer than nothing
      settle_after = "0s"
                     ^^^^
      help: write it like "90s", "500ms", "20min" or "1h 30m"
    jobs/launch.toml:24:2: there is no setting `limit`
      [limit]
       ^^^^^
      help: did you mean `limits`?
    jobs/launch.toml: `sheet` is missing
      help: say which sheet this batch is made from: `sheet = "…"`
    "#);
}

#[test]
fn a_list_names_a_column_once() {
    insta::assert_snapshot!(told("key = [\"sku\", \"sku\"]\ndefaults = { rate = 1 }\ncolumns = 3"), @r#"
    jobs/launch.toml:3:7: `key` names `sku` twice
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

#[test]
fn a_file_whose_name_cannot_name_a_batch_needs_a_name() {
    let problems = parse(Path::new("jobs/spring launch.toml"), NEEDED.to_owned()).unwrap_err();
    insta::assert_snapshot!(problems, @r#"
    jobs/spring launch.toml: `name` is missing, and the file's own name `spring launch` cannot stand in
      help: give the batch a name, as in `name = "spring-launch"`
    "#);
    insta::assert_snapshot!(told("name = \"spring launch\""), @r#"
    jobs/launch.toml:3:8: `name` is wrong: a batch's name is 1 to 64 of the letters a to z, digits, `-`, `_` and `.`, and does not begin with a dot
      name = "spring launch"
             ^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn broken_toml_is_told_in_our_words() {
    let mut all = String::new();
    for rest in [
        "name = spring",
        "name = \"spring\nfile = \"a\"",
        "name",
        "name =",
        "name = \"a\" file = \"b\"",
        "key = [\"a\", \"b\"\nname = \"a\"",
        "key = [\"a\" \"b\"]",
        "columns = { a = \"b\"",
        "columns = { a \"b\" }",
        "[limits\nin_flight = 3",
        "sheet = \"b\"",
        "output = \"C:\\videos\"",
        "name == \"a\"",
        "in_flight = 010",
        "größe = 1",
        "}",
    ] {
        all.push_str(&told(rest));
    }
    insta::assert_snapshot!(all, @r#"
    jobs/launch.toml:3:8: a text must stand in quotes
      name = spring
             ^^^^^^
      help: write it like `name = "spring-launch"`
    jobs/launch.toml:3:15: a text in quotes is not ended, or holds a character that needs a `\` before it
      name = "spring
                    ^
      help: end it with `"` on the same line; write a path with `/`, not with `\`
    jobs/launch.toml:3:5: this line has no `=`
      name
          ^
      help: a setting is written like `name = "spring-launch"`; a remark begins with `#`
    jobs/launch.toml:3:7: there is nothing after the `=`
      name =
            ^
      help: fill it in, or delete the line
    jobs/launch.toml:3:12: something follows the value on the same line
      name = "a" file = "b"
                 ^
      help: put each setting on a line of its own, and a text wholly in quotes
    jobs/launch.toml:4:1: there is a comma missing
      name = "a"
      ^
      help: put a comma between two values, and close the list when it ends
    jobs/launch.toml:3:12: there is a comma missing
      key = ["a" "b"]
                 ^
      help: put a comma between two values, and close the list when it ends
    jobs/launch.toml:3:20: a `{` is opened and not closed
      columns = { a = "b"
                         ^
      help: add the missing `}`
    jobs/launch.toml:3:15: there is no `=` here
      columns = { a "b" }
                    ^
      help: write `{ script = "Script (EN)" }`
    jobs/launch.toml:3:8: the `[` of this line is not closed
      [limits
             ^
      help: write `[limits]`
    jobs/launch.toml:3:1: this setting is given twice
      sheet = "b"
      ^^^^^
      help: keep one of the two lines
    jobs/launch.toml:3:14: a `\` in a text does not go together with what follows it
      output = "C:\videos"
                   ^
      help: write a path with `/`, or put the text in 'single quotes'
    jobs/launch.toml:3:7: there is one `=` too many
      name == "a"
            ^
      help: put quotes around a text that contains `=`
    jobs/launch.toml:3:13: a number cannot begin with 0
      in_flight = 010
                  ^
      help: leave the 0 out
    jobs/launch.toml:3:3: this cannot be the name of a setting
      größe = 1
        ^^
      help: a column's name that is more than plain letters, digits, `_` and `-` stands in quotes
    jobs/launch.toml:3:1: this line is not written as a batch file is
      }
      ^
      help: a setting is written like `name = "spring-launch"`; a remark begins with `#`
    "#);
}

#[test]
fn a_secret_is_refused_and_never_shown() {
    let problems = parsed(&format!(
        "user_key = \"hush-1\"\n{NEEDED}[studio]\nappId = '''\nhush-2\n'''\n\
         base_url = \"https://ann:hush-3@studio.example\"\n"
    ));
    let problems = problems.unwrap_err();
    assert!(!format!("{problems:?}{problems}").contains("hush"), "{problems:?}");
    insta::assert_snapshot!(problems, @r"
    jobs/launch.toml:1:1: `user_key` does not belong in a batch file, which is shared
      user_key = ********
      ^^^^^^^^
      help: delete it, and set the environment variable `AISTUDIOS_USER_KEY` or use a credentials file
    jobs/launch.toml:5:1: `appId` does not belong in a batch file, which is shared
      appId = ***
      ^^^^^
      help: delete it, and set the environment variable `AISTUDIOS_APP_ID` or use a credentials file
    jobs/launch.toml:8:12: `base_url` must not contain a user or a password
      base_url = ***********************************
                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    ");
    let broken = told("user_key = hush-4\nname = ");
    assert!(!broken.contains("hush"), "{broken}");
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let cases = [
        (dir.path().join("none.toml"), "there is no such file"),
        (dir.path().to_owned(), "this is a folder"),
        (file("latin.toml", b"name = \"\xe9t\xe9\""), "the file is not UTF-8 text"),
        (file("big.toml", &vec![b'#'; 1 << 21]), "larger than 1 MB"),
    ];
    for (path, want) in cases {
        let told = read(&path).unwrap_err().to_string();
        assert!(told.contains(want), "{told}");
    }
    let marked = file("marked.toml", format!("\u{feff}{NEEDED}").as_bytes());
    assert_eq!(read(&marked).unwrap().source, NEEDED);
}

/// Text that is nearly TOML.
const NEARLY: &str = "\\PC{0,40}|([a-z_]{1,9}|[\\[\\]={}\"'\n#.,0-9é]){0,60}";

/// One value of each kind, right and wrong.
const VALUE: &str = "true|0|[1-9][0-9]{0,11}|-1|1\\.5|inf|\\[\\]|\\{\\}|\"[^\"\\\\\\p{C}]{0,12}\"|\
                     \\[\"a\", 1\\]|07:30:00";

fn any_setting() -> impl Strategy<Value = (&'static str, &'static str)> {
    let of = |(section, keys): &(&'static str, &'static [&'static str])| {
        let section = *section;
        keys.iter().map(move |key| (section, *key)).collect::<Vec<_>>()
    };
    prop::sample::select(keys::SECTIONS.iter().flat_map(of).collect::<Vec<_>>())
}

proptest! {
    /// Whatever stands in a batch file, there is a batch, or problems that can be drawn.
    #[test]
    fn any_text_gives_a_batch_or_problems(source in NEARLY) {
        for text in [source.clone(), format!("{NEEDED}{source}")] {
            if let Err(problems) = parsed(&text) {
                prop_assert!(!problems.list.is_empty());
                prop_assert_eq!(problems.source.len(), text.len());
                prop_assert!(problems.to_string().lines().count() >= problems.list.len());
            }
        }
    }

    /// A setting with a value of any kind is taken, or complained of by its name and place.
    #[test]
    fn any_value_of_any_setting_is_taken_or_told((section, key) in any_setting(), value in VALUE) {
        let needed: String =
            NEEDED.lines().filter(|line| !line.starts_with(key)).map(|l| format!("{l}\n")).collect();
        let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
        let with: &[&str] = match section {
            "window" => &["from = '22:00'\n", "to = '06:00'\n", "zone = 'UTC'\n"],
            "measured" => &["on = 'a day'\n", "host = 'a host'\n"],
            "webhook" => &["public_url = 'https://hooks.example'\n"],
            _ => &[],
        };
        let others: String =
            with.iter().filter(|line| !line.starts_with(&format!("{key} "))).copied().collect();
        let source = format!("{needed}{header}{others}{key} = {value}\n");
        match parsed(&source) {
            Ok(batch) => prop_assert_eq!(parse(&batch.file, batch.source.clone()), Ok(batch)),
            Err(problems) => {
                for problem in &problems.list {
                    prop_assert!(problem.message.contains(&format!("`{key}")), "{}", problem.message);
                    let span = problem.span.clone().unwrap();
                    prop_assert!(span.start >= source.len() - value.len() - 1, "{problem:?}");
                }
            }
        }
    }
}

#[test]
fn rows_to_leave_out_are_named_by_a_column_or_by_column_and_words() {
    let skip = |rest: &str| parsed(&format!("{NEEDED}{rest}")).unwrap().skip.unwrap();
    let plain = skip("skip = \"Status\"");
    assert_eq!((plain.column.as_str(), plain.values.len()), ("Status", 0));
    let full = skip("[skip]\ncolumn = \"Status\"\nvalues = [\"done\", \"hold\"]");
    assert_eq!(full.values, ["done", "hold"]);
    for (rest, want) in [
        ("skip = 3", "`skip` must be a text"),
        ("skip = { values = \"x\" }", "`skip` names no `column`"),
        ("skip = { column = \"\" }", "`skip` is wrong: its `column` is empty"),
        ("[skip]\ncolum = \"a\"", "`skip` has no setting `colum`"),
    ] {
        assert!(told(rest).contains(want), "{}", told(rest));
    }
}
