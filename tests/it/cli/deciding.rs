//! What a person decides, and what is looked at first: trying again, and adopting a project.

use std::time::Duration;

use callsheet::sandbox::Faults;

use crate::support::binary::{LIMITS, Office};

/// An office whose renders take for ever, and were given up.
async fn given_up(rows: usize) -> Office {
    let office = Office::with(rows, "", |settings| settings.switches.time_scale = 0.0).await;
    office.write_batch("", &format!("{LIMITS}render_timeout = '100ms'"));
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    office
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_tries_again_takes_what_came_late_and_pays_for_nothing() {
    let office = given_up(3).await;
    office.sandbox.advance(Duration::from_secs(3600));
    let ended = office.run(&["run", "b.toml", "--retry-failed"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let words = "3 jobs are tried again, but for those whose video has come meanwhile\n";
    assert!(ended.err.contains(words), "{ended:?}");
    assert_eq!(office.assert_promise(3), ["done"; 3]);
    assert_eq!(office.sandbox.renders(), 3);
}
