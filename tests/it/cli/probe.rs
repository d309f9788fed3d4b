//! The probe of an account: its requests, the recorded profile, and that nothing is rendered without
//! confirmation.

use callsheet::batch;
use callsheet::sandbox::{self, ListFilter, ListResponseShape};
use serde_json::{Value, json};

use crate::support::test_cli::{CommandOutput, TestCli};

/// Returns the profile written by a probe, as read by a batch.
fn read_profile(office: &TestCli) -> batch::VendorProfile {
    let [name] = &profile_files(office)[..] else { panic!("{:?}", profile_files(office)) };
    let text = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("named.toml", &format!("{text}\n[vendor]\nfile = '{name}'\n"));
    batch::read(&office.path("named.toml")).unwrap_or_else(|problems| panic!("{problems}")).vendor
}

fn profile_files(office: &TestCli) -> Vec<String> {
    let entries = std::fs::read_dir(office.dir.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("vendor-")).collect();
    names.sort();
    names
}

fn topic_lines<'o>(ended: &'o CommandOutput, topic: &str) -> Vec<&'o str> {
    ended
        .stdout
        .lines()
        .filter(|line| line.get(6..).is_some_and(|on| on.starts_with(topic)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_makes_and_deletes_one_draft_and_renders_nothing() {
    let office = TestCli::new(1).await;
    let probed = office.run(&["check", "b.toml", "--probe"]);
    assert_eq!(probed.code, Some(0), "{probed:?}");
    let told = office.normalize(&probed.stdout);
    let (before, _) = told.split_once("\nA run can start").unwrap();
    let shown: Vec<_> = before.lines().skip_while(|line| !line.contains("  token ")).collect();
    insta::assert_snapshot!(without_ids_and_dates(&shown.join("\n")));
    let draft = probed.stderr.find("creating one draft").expect(&probed.stderr);
    assert!(probed.stderr[draft..].contains("assumed to be free"), "{}", probed.stderr);
    let counters = office.sandbox.counters();
    assert_eq!((counters.request_count("create"), counters.request_count("delete")), (1, 1));
    assert_eq!((counters.request_count("export"), office.sandbox.render_count()), (0, 0));
    assert_eq!(read_profile(&office).list, None, "the list shows exported projects, perhaps more");

    // A second profile of the same day gets another name.
    let again = office.run(&["check", "b.toml", "--probe"]);
    assert_eq!((again.code, profile_files(&office).len()), (Some(0), 2), "{again:?}");
}

/// Replaces ids and dates.
fn without_ids_and_dates(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_id = bare.len() == 24 && bare.bytes().all(|b| b.is_ascii_hexdigit());
        if is_id {
            word.replace(bare, "ID")
        } else if word.contains("vendor-2") {
            "`vendor-DATE.toml`:".to_owned()
        } else {
            word.to_owned()
        }
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_records_the_profile_for_every_list_format() {
    for shape in [
        ListResponseShape::Bare,
        ListResponseShape::DataArray,
        ListResponseShape::DataKeyed,
        ListResponseShape::NumericObject,
    ] {
        for include in [ListFilter::All, ListFilter::Exported] {
            let office = TestCli::with_settings(1, "", |settings| {
                settings.switches.catalogue.projects = shape;
                settings.switches.list.include = include;
            })
            .await;
            let probed = office.run(&["check", "b.toml", "--probe"]);
            assert_eq!(probed.code, Some(0), "{shape:?} {include:?}: {probed:?}");
            let shows = (include == ListFilter::All).then_some(batch::ListContents::Everything);
            assert_eq!(read_profile(&office).list, shows, "{shape:?} {include:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_records_draft_states_and_changed_names() {
    let office = TestCli::with_settings(1, "", |settings| {
        settings.switches.export.draft_state = "waiting".to_owned();
        settings.switches.names.strip_brackets = true;
        settings.switches.unknown_id = sandbox::UnknownIdResponse::ProgressZero;
        settings.switches.auth.confirm_says_false = true;
    })
    .await;
    let probed = office.run(&["check", "b.toml", "--probe"]);
    assert_eq!(probed.code, Some(0), "{probed:?}");
    let learnt = read_profile(&office);
    assert_eq!(
        (&learnt.draft_words[..], learnt.names),
        (&["waiting".into()][..], batch::ProjectNameHandling::Changed)
    );
    assert!(topic_lines(&probed, "unknown id")[0].contains("appears stalled"), "{probed:?}");
    assert!(
        topic_lines(&probed, "wrong token")[0].contains("refused, as expected ("),
        "{probed:?}"
    );
    // The next check shows it with its date.
    let shown = office.run(&["check", "named.toml", "--offline", "--json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let all = shown["vendor"].as_array().unwrap();
    let words = all.iter().find(|answer| answer["key"] == "draft_words").unwrap();
    assert_eq!(words["value"], json!("waiting"));
    assert!(words["from"].as_str().unwrap().starts_with("measured on 20"), "{words}");
    // A batch started with it resumes from the ledger.
    let begun = office.run(&["run", "named.toml"]);
    assert_eq!(begun.code, Some(0), "{begun:?}");
    std::fs::remove_file(office.path(&profile_files(&office)[0])).unwrap();
    assert_eq!(office.run(&["resume", "promo"]).code, Some(0));
    let gone = office.run(&["run", "named.toml"]);
    assert!(gone.code == Some(4) && gone.stderr.contains("cannot be read"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_render_renders_one_video_after_confirmation() {
    let office = TestCli::new(1).await;
    let asked = office.run(&["check", "b.toml", "--probe-render"]);
    assert_eq!((asked.code, office.sandbox.render_count()), (Some(0), 0), "{asked:?}");
    assert!(asked.stderr.contains("use --yes"), "{asked:?}");

    for (include, shows, id) in [
        (ListFilter::Exported, batch::ListContents::Finished, sandbox::ReturnedId::Same),
        (ListFilter::All, batch::ListContents::Everything, sandbox::ReturnedId::New),
    ] {
        let office = TestCli::with_settings(1, "", |settings| {
            settings.switches.list.include = include;
            settings.switches.export.id = id;
        })
        .await;
        let probed = office.run(&["check", "b.toml", "--probe-render", "--yes"]);
        assert_eq!(probed.code, Some(0), "{probed:?}");
        assert_eq!(
            (office.sandbox.render_count(), office.sandbox.counters().request_count("export")),
            (1, 1)
        );
        let learnt = read_profile(&office);
        assert_eq!(learnt.list, Some(shows), "{probed:?}");
        let kept = learnt.export_id == Some(batch::ExportIdBehavior::Same);
        assert_eq!(kept, id == sandbox::ReturnedId::Same, "{probed:?}");
        assert!(probed.stdout.contains("does not report the price"), "{probed:?}");
        assert_eq!(
            office.sandbox.counters().request_count("delete"),
            0,
            "a paid video was deleted"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_export_of_a_probe_is_never_resubmitted() {
    for (rule, code, renders) in
        [("close-before=export:1", Some(5), 0), ("lost-answer=export:1", Some(0), 1)]
    {
        let office =
            TestCli::with_settings(1, "", |settings| settings.faults.add(rule).unwrap()).await;
        let probed = office.run(&["check", "b.toml", "--probe-render", "--yes"]);
        assert_eq!((probed.code, office.sandbox.render_count()), (code, renders), "{probed:?}");
        assert_eq!(office.sandbox.counters().request_count("export"), 1, "{rule}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_requests_of_a_probe_are_reported_and_decide_nothing() {
    for (rule, code, topic) in [
        ("http-500-before=list:always", 5, "list"),
        ("http-500-before=progress:1", 0, "unknown id"),
        ("http-500-before=create:always", 0, "draft"),
        ("http-500-before=delete:always", 0, "delete"),
        ("http-500-before=project:always", 5, "draft"),
    ] {
        let office =
            TestCli::with_settings(1, "", |settings| settings.faults.add(rule).unwrap()).await;
        let leave: &[&str] = match topic {
            "delete" => &["check", "b.toml", "--probe"],
            _ => &["check", "b.toml", "--probe-render", "--yes"],
        };
        let probed = office.run(leave);
        assert_eq!(probed.code, Some(code), "{rule}: {probed:?}");
        assert!(!topic_lines(&probed, topic).is_empty(), "{rule}: {probed:?}");
        if rule.contains("create") || rule.contains("project") {
            assert_eq!(office.sandbox.render_count(), 0, "{rule}: rendered what is not known");
        }
    }
    // Without an account no request is sent and no file written.
    let office = TestCli::new(1).await;
    let mut refused = office.command(&["check", "b.toml", "--probe"]);
    let refused = office.start(refused.env("AISTUDIOS_USER_KEY", "wrong")).wait();
    assert_eq!(refused.code, Some(7), "{refused:?}");
    assert!(refused.stdout.contains("skipped"), "{refused:?}");
    assert_eq!(
        (profile_files(&office).len(), office.sandbox.counters().request_count("create")),
        (0, 0)
    );
}
