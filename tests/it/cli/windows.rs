//! Time windows of a batch, by the machine's clock.

use jiff::{Timestamp, ToSpan, tz::TimeZone};

use crate::support::TIME_SCALE;
use crate::support::test_cli::{LIMITS, TestCli};

/// Adds a window, given in minutes from now.
fn add_window(office: &TestCli, from: i64, to: i64) {
    let zone = TimeZone::get("Asia/Seoul").unwrap();
    let at = |minutes: i64| {
        let at = Timestamp::now() + minutes.minutes();
        at.to_zoned(zone.clone()).strftime("%H:%M").to_string()
    };
    let window = format!(
        "{LIMITS}[window]\nfrom = '{}'\nto = '{}'\nzone = 'Asia/Seoul'\n",
        at(from),
        at(to)
    );
    office.write_batch("", &window.replace("in_flight = 32", "in_flight = 2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_10_outside_the_window_after_downloads() {
    let office =
        TestCli::with_settings(4, "", |settings| settings.switches.time_scale = 20.0).await;
    add_window(&office, -60, 60);
    let run = office.start(&mut office.command(&["run", "b.toml"]));
    office.sandbox.wait_until(|sandbox| sandbox.render_count() >= 2).await;
    run.signal("INT");
    assert_eq!(run.wait().code, Some(130));
    let renders = office.sandbox.render_count();
    add_window(&office, 120, 180);
    office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
    let asked = |word| office.sandbox.counters().request_count(word);
    let (drafts, exports) = (asked("create"), asked("export"));
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(10), "{ended:?}");
    assert!(ended.stderr.contains("outside the time window"), "{}", ended.stderr);
    assert_eq!((asked("create"), asked("export")), (drafts, exports), "something was begun");
    let done = office.results("out").iter().filter(|row| row.contains(&"done".into())).count();
    assert_eq!(done as u64, renders, "a paid video was not downloaded");
    assert_eq!(office.run(&["resume", "promo"]).code, Some(10));
    assert_eq!(office.run(&["run", "b.toml", "--any-time"]).code, Some(0));
    assert_eq!(office.assert_guarantees(4), ["done"; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_overrides_the_cap_of_the_batch_file() {
    let office = TestCli::new(4).await;
    office.write_batch("", &format!("{LIMITS}max_videos = 1\n"));
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(8));
    assert_eq!(office.sandbox.render_count(), 1);
    assert_eq!(office.run(&["run", "b.toml", "--max-videos", "2"]).code, Some(8));
    assert_eq!(office.sandbox.render_count(), 3);
    assert_eq!(office.run(&["run", "b.toml", "--max-videos", "9", "--limit", "1"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_problems_of_a_window_are_reported_together() {
    let office = TestCli::new(1).await;
    let window = "[window]\nfrom = '25:00'\nzone = 'Asia/Soul'\ndays = ['mon', 'caturday']\n";
    office.write_batch("", &format!("{LIMITS}{window}"));
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(4));
    for words in [
        "`from` is not a time of day",
        "`window` has no `to`",
        "`zone` is not a known time zone",
        "`days` contains the unknown day `caturday`",
        "4 problems in the batch file",
    ] {
        assert!(ended.stderr.contains(words), "{words}:\n{}", ended.stderr);
    }
    assert_eq!(office.sandbox.requests(), []);
}
