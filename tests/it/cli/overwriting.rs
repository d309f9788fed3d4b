//! Files that are never written over: what a batch is made from, and the ledger; and a run that
//! could not write its videos and reports, which is told before it pays.

use std::fs;

use crate::support::binary::Office;

fn asked(office: &Office) -> usize {
    office.sandbox.requests().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_folder_that_cannot_be_made_is_told_before_anything_is_asked() {
    let office = Office::new(3).await;
    office.write("out", "a file in the way");
    let planned = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let words = "warning: the output folder cannot be made: `out` is a file\n";
    assert!(planned.err.ends_with(words), "{planned:?}");
    assert!(fs::read_to_string(office.path("out")).unwrap().starts_with("a file"));
    for args in [&["run", "b.toml"][..], &["run", "b.toml", "--no-download"], &["resume"]] {
        let ended = office.run(args);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let words =
            "error: the output folder cannot be made: `out` is a file; nothing was submitted\n";
        assert!(ended.err.contains(words), "{ended:?}");
    }
    assert_eq!(asked(&office), 0);
    fs::remove_file(office.path("out")).unwrap();
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(office.sandbox.renders(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_is_told_of_a_file_in_the_way_of_its_own_folder() {
    let office = Office::new(3).await;
    office.write("out-rehearsal", "a file in the way");
    let ended = office.run(&["run", "b.toml", "--sandbox"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("`out-rehearsal` is a file; nothing was submitted"), "{ended:?}");
    assert!(!office.path("out").exists());
}
