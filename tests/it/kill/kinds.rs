//! Kills during other kinds of request: one that edits a project in place, one with three requests,
//! one with two waits, and one without a tag in a single request.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::test_cli::{LIMITS, TestCli};

/// The settings of a kind, and whether a kill may leave a job to the operator.
struct KindCase {
    studio: &'static str,
    template: &'static str,
    vendor: &'static str,
    faults: &'static str,
    rows: usize,
    /// Nothing shows whether a request in flight was sent before the kill.
    can_stay_uncertain: bool,
}

const EDIT_PROJECT: KindCase = KindCase {
    studio: "request = 'edit-project'",
    template: r#"{"projectId": "66f0a1b2c3d4e5f607182900", "updates": {"value": [
        {"sceneIdx": 0, "type": "aiModel", "values": {"script": "{{script}}"}}]}}"#,
    vendor: "[vendor]\nexport_id = 'same'",
    faults: "lost-answer=export:10%",
    rows: 12,
    can_stay_uncertain: true,
};

const TEMPLATE: KindCase = KindCase {
    studio: "request = 'template'",
    template: r#"{"templateId": "655c744d2b4d3b4051400be0", "name": "{{key}}", "updates": {"value": [
        {"sceneIdx": 0, "type": "aiModel", "values": {"script": "{{script}}"}}]}}"#,
    vendor: "",
    faults: "lost-answer=export:10%, lost-answer=template:5%",
    rows: 100,
    can_stay_uncertain: false,
};

const SCRIPTS_TO_VIDEO: KindCase = KindCase {
    studio: "request = 'scripts-to-video'",
    template: r#"{"scripts": "{{script}}"}"#,
    vendor: "[vendor]\nexport_id = 'same'",
    faults: "lost-answer=export:10%, lost-answer=scripts-to-video:5%",
    rows: 100,
    can_stay_uncertain: false,
};

const SIMPLE_VIDEO: KindCase = KindCase {
    studio: "request = 'simple-video'\nsubmission = 'one-step'",
    template: r#"{"language": "en", "text": "{{script}}", "model": "M000045058",
        "clothes": "BG00002320"}"#,
    vendor: "",
    faults: "lost-answer=simple-video:3%",
    rows: 100,
    can_stay_uncertain: true,
};

/// Kills runs of one batch at random times, and finishes it.
async fn kill_kind_at_random(case: &KindCase, kills: u32, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let cli = TestCli::with_settings(case.rows, case.studio, |settings| {
        settings.seed = rng.random();
        settings.faults.add(case.faults).unwrap();
    })
    .await;
    cli.write("t.json.hbs", case.template);
    cli.write_batch(case.studio, &format!("{LIMITS}\nhalt_after = 50\n{}", case.vendor));
    for _ in 0..kills {
        let mut run = cli.start(&mut cli.command(&["run", "b.toml"]));
        // The random wait is the experiment, so it waits for no event.
        tokio::time::sleep(Duration::from_millis(rng.random_range(20..=500))).await;
        if run.is_running() {
            run.child.kill().unwrap();
        }
        let end = run.wait();
        cli.end_leases();
        assert!(matches!(end.code, None | Some(0 | 5 | 6)), "seed {seed}: {end:?}");
    }
    let end = cli.run(&["run", "b.toml"]);
    let fine = end.code == Some(0) || (case.can_stay_uncertain && end.code == Some(6));
    assert!(fine, "{}, seed {seed}: {end:?}", case.studio);
    let results = cli.results("out");
    assert_eq!(results.len(), case.rows + 1, "rows were lost");
    let status = results[0].iter().position(|heading| heading == "status").unwrap();
    let count = |text: &str| results[1..].iter().filter(|row| row[status] == text).count() as u64;
    let (done, uncertain, renders) =
        (count("done"), count("uncertain"), cli.sandbox.render_count());
    assert!(done <= renders && renders <= done + uncertain, "{renders} for {done} + {uncertain}");
    assert!(end.code == Some(6) || done == case.rows as u64, "{done} of {}: {end:?}", case.rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn edit_project_run_killed_at_any_time_pays_no_row_twice() {
    for seed in [1, 2, 3] {
        kill_kind_at_random(&EDIT_PROJECT, 3, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn template_run_killed_at_any_time_pays_no_row_twice_and_loses_none() {
    for seed in [1, 2] {
        kill_kind_at_random(&TEMPLATE, 3, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_to_video_run_killed_at_any_time_pays_no_row_twice_and_loses_none() {
    for seed in [1, 2] {
        kill_kind_at_random(&SCRIPTS_TO_VIDEO, 3, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn simple_video_run_killed_at_any_time_pays_no_row_twice() {
    for seed in [1, 2] {
        kill_kind_at_random(&SIMPLE_VIDEO, 3, seed).await;
    }
}
