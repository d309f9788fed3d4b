//! The messages for invalid batch files.

use super::*;

#[test]
fn all_problems_are_reported_at_once() {
    let problems = parse_source(
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
    jobs/launch.toml:1:1: unknown setting `nmae`
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
      help: fill it in, or remove it
    jobs/launch.toml:4:8: `file` is empty
      file = ""
             ^^
      help: fill it in, or remove it
    jobs/launch.toml:5:1: unknown setting `in_flight`
      in_flight = 3
      ^^^^^^^^^
      help: `in_flight` belongs under `[limits]`
    jobs/launch.toml:8:10: `region` cannot be "chnia"
      region = "chnia"
               ^^^^^^^
      help: did you mean "china"? One of "global", "china"
    jobs/launch.toml:9:12: `base_url` must begin with `https://` (`http://` is allowed for this machine only)
      base_url = "http://studio.example"
                 ^^^^^^^^^^^^^^^^^^^^^^^
    jobs/launch.toml:9:12: `base_url` cannot be combined with `region`
      base_url = "http://studio.example"
                 ^^^^^^^^^^^^^^^^^^^^^^^
      help: remove one of the two
    jobs/launch.toml:10:11: `request` cannot be "simple-vidoe"
      request = "simple-vidoe"
                ^^^^^^^^^^^^^^
      help: did you mean "simple-video"? One of "project", "simple-video", "simple-custom", "edit-project", "template", "scripts-to-video", "topic-to-video", "url-to-video"
    jobs/launch.toml:11:14: `resolution` must be a text in quotes, not a whole number
      resolution = 1080
                   ^^^^
      help: one of "4k", "1080", "720", "480"
    jobs/launch.toml:12:1: unknown setting `output` in `[studio]`
      output = "out"
      ^^^^^^
      help: `output` belongs at the top of the file, above the first `[…]`
    jobs/launch.toml:15:11: `submits` is invalid: a rate is written like `30/min`, `50/s`, `10/h` or `unlimited`
      submits = "30 per minute"
                ^^^^^^^^^^^^^^^
    jobs/launch.toml:16:13: `downloads` must be at least 1: with 0 the batch would wait forever
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
    jobs/launch.toml:20:15: `max_credits` must be a number of credits, 0 or more
      max_credits = nan
                    ^^^
    jobs/launch.toml:21:18: `render_timeout` is not a valid duration
      render_timeout = "40 days"
                       ^^^^^^^^^
      help: write it like "90s", "500ms", "20min" or "1h 30m"
    jobs/launch.toml:22:16: `settle_after` must be longer than 0
      settle_after = "0s"
                     ^^^^
      help: write it like "90s", "500ms", "20min" or "1h 30m"
    jobs/launch.toml:24:2: unknown setting `limit`
      [limit]
       ^^^^^
      help: did you mean `limits`?
    jobs/launch.toml: `sheet` is missing
      help: add the path of the sheet: `sheet = "…"`
    "#);
}

#[test]
fn file_name_that_is_no_batch_name_requires_a_name() {
    let problems =
        parse(Path::new("jobs/spring launch.toml"), MINIMAL_SOURCE.to_owned()).unwrap_err();
    insta::assert_snapshot!(problems, @r#"
    jobs/spring launch.toml: `name` is missing, and the file name `spring launch` is not a batch name
      help: add a name, such as `name = "spring-launch"`
    "#);
    insta::assert_snapshot!(problems_text("name = \"spring launch\""), @r#"
    jobs/launch.toml:3:8: `name` is invalid: a batch's name is 1 to 64 of the letters a to z, digits, `-`, `_` and `.`, and does not begin with a dot
      name = "spring launch"
             ^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn syntax_errors_are_explained_without_terms_of_the_grammar() {
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
        all.push_str(&problems_text(rest));
    }
    insta::assert_snapshot!(all, @r#"
    jobs/launch.toml:3:8: a text must be in quotes
      name = spring
             ^^^^^^
      help: write it like `name = "spring-launch"`
    jobs/launch.toml:3:15: a text in quotes does not end, or contains a character that needs a `\` before it
      name = "spring
                    ^
      help: end it with `"` on the same line; write a path with `/`, not with `\`
    jobs/launch.toml:3:5: this line has no `=`
      name
          ^
      help: a setting is written like `name = "spring-launch"`; a comment begins with `#`
    jobs/launch.toml:3:7: there is nothing after the `=`
      name =
            ^
      help: fill it in, or delete the line
    jobs/launch.toml:3:12: something follows the value on the same line
      name = "a" file = "b"
                 ^
      help: put each setting on its own line, and the whole text in quotes
    jobs/launch.toml:4:1: a comma is missing
      name = "a"
      ^
      help: put a comma between two values, and close the list at its end
    jobs/launch.toml:3:12: a comma is missing
      key = ["a" "b"]
                 ^
      help: put a comma between two values, and close the list at its end
    jobs/launch.toml:3:20: this `{` is not closed
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
    jobs/launch.toml:3:1: this setting is set twice
      sheet = "b"
      ^^^^^
      help: keep one of the two lines
    jobs/launch.toml:3:14: a `\` in a text is followed by a character that is not allowed there
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
      help: remove the 0
    jobs/launch.toml:3:3: this is not a valid name of a setting
      größe = 1
        ^^
      help: put a column name in quotes unless it consists of plain letters, digits, `_` and `-`
    jobs/launch.toml:3:1: this line is not valid in a batch file
      }
      ^
      help: a setting is written like `name = "spring-launch"`; a comment begins with `#`
    "#);
}

#[test]
fn secrets_are_rejected_and_never_shown() {
    let problems = parse_source(&format!(
        "user_key = \"hush-1\"\n{MINIMAL_SOURCE}[studio]\nappId = '''\nhush-2\n'''\n\
         base_url = \"https://ann:hush-3@studio.example\"\n"
    ));
    let problems = problems.unwrap_err();
    assert!(!format!("{problems:?}{problems}").contains("hush"), "{problems:?}");
    insta::assert_snapshot!(problems, @"
    jobs/launch.toml:1:1: `user_key` does not belong in a batch file, which is shared
      user_key = ********
      ^^^^^^^^
      help: delete it, and set the environment variable `AISTUDIOS_USER_KEY` or use a credentials file
    jobs/launch.toml:5:1: `appId` does not belong in a batch file, which is shared
      appId = ***
      ^^^^^
      help: delete it, and set the environment variable `AISTUDIOS_APP_ID` or use a credentials file
    jobs/launch.toml:8:12: `base_url` must not contain a user name or a password
      base_url = ***********************************
                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    ");
    let broken = problems_text("user_key = hush-4\nname = ");
    assert!(!broken.contains("hush"), "{broken}");
}

#[test]
fn unreadable_files_have_distinct_messages() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let cases = [
        (dir.path().join("none.toml"), "there is no such batch or batch file"),
        (dir.path().to_owned(), "this is a folder"),
        (file("latin.toml", b"name = \"\xe9t\xe9\""), "the file is not UTF-8 text"),
        (file("big.toml", &vec![b'#'; 1 << 21]), "larger than 1 MB"),
    ];
    for (path, want) in cases {
        let message = read(&path).unwrap_err().to_string();
        assert!(message.contains(want), "{message}");
    }
    let marked = file("marked.toml", format!("\u{feff}{MINIMAL_SOURCE}").as_bytes());
    assert_eq!(read(&marked).unwrap().source, MINIMAL_SOURCE);
}

#[test]
fn variable_in_a_path_is_a_problem_with_its_position() {
    for (line, key) in ["sheet", "template", "output"].into_iter().enumerate() {
        let lines = ["sheet = 's.csv'", "template = 't.json.hbs'", "output = 'out'"];
        let lines = lines.map(|text| match text.starts_with(key) {
            true => format!("{key} = '$HOME/x'"),
            false => text.to_owned(),
        });
        let problems = parse_source(&lines.join("\n")).unwrap_err().to_string();
        let expected = format!("launch.toml:{}:{}: `{key}` contains `$`", line + 1, key.len() + 4);
        assert!(problems.contains(&expected), "{problems}");
    }
}
