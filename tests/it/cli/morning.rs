//! The operator's morning: from the first look to all mended, typing only what was suggested.

use serde_json::Value;

use crate::support::SPEED;
use crate::support::binary::{Ended, LIMITS, Office};

fn standing(office: &Office) -> Value {
    let told = office.run(&["status", "night", "--json"]);
    let mut document: Value = serde_json::from_str(&told.out).unwrap();
    document["batches"][0].take()
}

fn with_faults(office: &Office, faults: &[&str]) {
    let mut all = callsheet::sandbox::Faults::default();
    for fault in faults {
        all.add(fault).unwrap();
    }
    office.sandbox.set_faults(all);
}

/// Leaves 60 rows behind: 5 failed, 2 uncertain, 1 that stands still, and the rest done.
async fn a_bad_night() -> Office {
    let office = Office::new(60).await;
    // What was lost cannot be looked for, so that it stays uncertain over both runs.
    let silent = ["503=list:always", "503=project:always"];
    with_faults(&office, &[&silent[..], &["400=create:5", "lost-answer=export:2"]].concat());
    let limits = LIMITS.replace("in_flight = 32", "in_flight = 8\nhalt_after = 100");
    office.write_batch("", &limits);
    let but_the_last: Vec<_> = (0..59).map(|n| format!("k{n:03}")).collect();
    let first = office.run(&["run", "b.toml", "--no-wait", "--only", &but_the_last.join(",")]);
    assert_eq!(first.code, Some(6), "{first:?}");
    with_faults(&office, &silent);
    office.write_batch("", &format!("{limits}stall_after = '100ms'\n"));
    office.sandbox.set(|switches| switches.time_scale = 0.0);
    let second = office.start(&mut office.command(&["run", "b.toml"]));
    while standing(&office)["stalled"] != 1 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    second.signal("INT");
    assert_eq!(second.end().code, Some(130));
    // The morning: AI Studios is well again.
    with_faults(&office, &[]);
    office.sandbox.set(|switches| switches.time_scale = SPEED);
    office
}

/// Returns the first command after `mark` in what was said, as a shell would split it.
fn suggested(ended: &Ended, mark: &str) -> Vec<String> {
    let said = format!("{}{}", ended.out, ended.err);
    let line = said.lines().map(str::trim).find_map(|line| line.strip_prefix(mark));
    let line = line.unwrap_or_else(|| panic!("nothing like `{mark}` was suggested: {said}"));
    assert!(!line.contains(['\'', '"']), "this needs a shell: {line}");
    let command =
        if mark.ends_with("callsheet ") { line } else { line.trim_start_matches("callsheet ") };
    command.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_first_look_to_all_mended_it_takes_four_commands_each_suggested_by_the_last() {
    let office = a_bad_night().await;
    let before = standing(&office);
    let counts = |state: &str| before["counts"][state].as_u64().unwrap();
    assert_eq!((counts("failed"), counts("uncertain"), counts("done")), (5, 2, 52), "{before}");
    assert_eq!((&before["stalled"], &before["rows"]), (&1.into(), &60.into()));
    let renders = office.sandbox.renders();

    let type_in = |command: &[String], answer: &[&str]| {
        let args: Vec<&str> =
            command.iter().map(String::as_str).chain(answer.iter().copied()).collect();
        office.run(&args)
    };
    let first = office.run(&["status"]);
    let second = type_in(&suggested(&first, "next: "), &[]);
    assert_eq!(second.code, Some(0), "{second:?}");
    let retry = [vec!["retry".to_owned()], suggested(&second, "callsheet retry ")].concat();
    // Without a terminal nobody can answer the question with `y`.
    let third = type_in(&retry, &["--yes"]);
    assert!(third.out.contains("5 videos to render and pay for again"), "{third:?}");
    let fourth = type_in(&suggested(&third, "now: "), &[]);
    assert_eq!(fourth.code, Some(0), "{fourth:?}");

    assert_eq!(office.assert_promise(60), ["done"; 60]);
    assert_eq!(office.sandbox.renders(), renders + 5, "only what had failed was paid for");
    let last = office.run(&["status"]);
    assert!(last.out.contains("nothing to do"), "{}", last.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rehearsal_suggests_is_meant_for_the_rehearsal() {
    let office = Office::new(3).await;
    let args = ["run", "b.toml", "--sandbox", "--speed", "3000", "--fault", "400=create:1"];
    let ended = office.start(&mut office.bare(&args)).end();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let status = suggested(&ended, "see why: ");
    let at = status.iter().position(|word| word.ends_with(';')).unwrap();
    let status: Vec<_> = status[..=at].iter().map(|word| word.trim_end_matches(';')).collect();
    assert_eq!(status, ["status", "night", "--sandbox"]);
    let told = office.start(&mut office.bare(&status)).end();
    let retry = [vec!["retry".to_owned()], suggested(&told, "callsheet retry ")].concat();
    let retry: Vec<_> = retry.iter().map(String::as_str).chain(["--yes"]).collect();
    let again = office.start(&mut office.bare(&retry)).end();
    let run = suggested(&again, "now: ");
    let run: Vec<_> = run.iter().map(String::as_str).chain(["--speed", "3000"]).collect();
    assert_eq!(office.start(&mut office.bare(&run)).end().code, Some(0));
    assert_eq!(office.sandbox.requests(), [], "the real studio was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_without_a_terminal_reads_a_line_for_every_change_and_leaves_when_told() {
    let office = Office::with(6, "", |settings| settings.switches.time_scale = 20.0).await;
    let run = office.start(&mut office.command(&["run", "b.toml"]));
    office.sandbox.until(|sandbox| sandbox.renders() >= 6).await;
    let watch = office.start(&mut office.bare(&["status", "night", "--watch"]));
    let programs = office.start(&mut office.bare(&["status", "night", "--watch", "--json"]));
    while watch.out().is_empty() || programs.out().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    office.sandbox.set(|switches| switches.time_scale = SPEED);
    assert_eq!(run.end().code, Some(0));
    while !(watch.out().contains("6 done; no run") && programs.out().contains("\"done\":6")) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    watch.signal("INT");
    programs.signal("TERM");
    let (watched, read) = (watch.end(), programs.end());
    assert_eq!((watched.code, read.code), (Some(0), Some(143)));
    assert!(watched.out.lines().next().unwrap().contains("; live"), "{}", watched.out);
    assert!(!watched.out.contains('\u{1b}'), "{}", watched.out);
    let last = watched.out.lines().last().unwrap();
    assert!(last.contains("of 6 rows: 6 done") && last.contains("; 6 videos in "), "{last}");
    let documents: Vec<Value> =
        read.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.last().unwrap()["tempo"]["videos"], 6);
}
