//! Renders whose progress page is wrong: nothing is paid twice for that, and nothing is lost.

use callsheet::ledger::State;
use serde_json::json;

use super::odd::{Asked, Odd, no, yes};
use super::states;
use crate::support::Night;

const HASTY: &str = "[limits]\nrender_timeout = '1500ms'";

#[tokio::test(flavor = "multi_thread")]
async fn a_hiccup_of_the_progress_page_is_no_failed_render() {
    for words in ["failed to get video progress, please try again", "export failed"] {
        let odd = Odd::start(move |books, asked| {
            let polled = books.times(|asked| matches!(asked, Asked::Progress(_)));
            matches!(asked, Asked::Progress(_)).then_some(())?;
            (polled == 1).then(|| no(200, words))
        })
        .await;
        let ending = odd.run(&Night::new(1).await).await;
        assert_eq!(states(&ending, State::Done), 1, "{words}: {ending:?}");
        assert_eq!(odd.books().exports.len(), 1, "{words}: paid again for a hiccup");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_the_project_contradicts_is_not_paid_again() {
    let odd = Odd::start(|_, asked| {
        matches!(asked, Asked::Progress(_)).then(|| yes(&json!({"state": "failed", "progress": 9})))
    })
    .await;
    let limits = "[limits]\npoll_min = '300ms'\npoll_max = '400ms'";
    let ending = odd.run(&Night::with(1, limits, |_| ()).await).await;
    assert_eq!(states(&ending, State::Done), 1, "{ending:?}");
    assert_eq!(odd.books().exports.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_render_that_the_progress_page_does_not_know_is_found_at_its_project() {
    let odd = Odd::start(|_, asked| {
        matches!(asked, Asked::Progress(_)).then(|| no(404, "project not found"))
    })
    .await;
    let ending = odd.run(&Night::with(1, HASTY, |_| ()).await).await;
    assert_eq!(states(&ending, State::Done), 1, "{ending:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_render_under_an_id_that_nobody_told_is_found_by_its_tag_before_it_is_given_up() {
    let odd = Odd::start(|books, asked| {
        let Asked::Export(id) = asked else { return None };
        let other = books.make(&books.projects[id].0.clone());
        books.export(&other);
        Some(yes(&json!({"exportId": other})))
    })
    .await;
    let ending = odd.run(&Night::with(1, HASTY, |_| ()).await).await;
    assert_eq!(states(&ending, State::Done), 1, "{ending:?}");
    assert_eq!(odd.books().exports.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_render_that_was_given_up_is_found_by_its_tag_in_the_next_run() {
    let odd = Odd::start(|books, asked| match asked {
        Asked::Export(id) => {
            let other = books.make(&books.projects[id].0.clone());
            books.export(&other);
            Some(yes(&json!({"exportId": other})))
        }
        // It does not show before it was given up.
        Asked::List if books.times(|asked| *asked == Asked::List) == 0 => Some(yes(&json!([]))),
        Asked::Draft(_) | Asked::List | Asked::Progress(_) | Asked::Project(_) | Asked::Film => {
            None
        }
    })
    .await;
    let night = Night::with(1, HASTY, |_| ()).await;
    let ending = odd.run(&night).await;
    assert_eq!(states(&ending, State::Failed), 1, "{ending:?}");
    let ending = odd.run(&night).await;
    assert_eq!(states(&ending, State::Done), 1, "{ending:?}");
    assert_eq!(odd.books().exports.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_from_0_to_1_ends_with_the_link() {
    let odd = Odd::start(|books, asked| {
        let Asked::Progress(id) = asked else { return None };
        let mut progress = books.progress(id);
        progress["progress"] = json!(progress["progress"].as_f64().unwrap() / 100.0);
        Some(yes(&progress))
    })
    .await;
    let ending = odd.run(&Night::with(1, HASTY, |_| ()).await).await;
    assert_eq!(states(&ending, State::Done), 1, "{ending:?}");
}

/// The first export is taken, its answer lost, and nothing shows it until long after the quiet wait.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_refused_after_one_that_nobody_saw_is_looked_for_once_more() {
    for (status, words) in [(400, "project is already being exported"), (422, "invalid state")] {
        let odd = Odd::start(move |books, asked| match asked {
            Asked::Export(_) if !books.exports.is_empty() => Some(no(status, words)),
            Asked::Export(id) => {
                books.export(id);
                Some(Vec::new())
            }
            // Nothing shows it before it was asked for again.
            Asked::Project(id) if books.times(|asked| matches!(asked, Asked::Export(_))) < 2 => {
                let name = books.projects[id].0.clone();
                Some(yes(&json!({"project": {"_id": id, "name": name, "scenes": []}})))
            }
            Asked::List if books.times(|asked| matches!(asked, Asked::Export(_))) < 2 => {
                Some(yes(&json!([])))
            }
            Asked::Draft(_)
            | Asked::Project(_)
            | Asked::List
            | Asked::Progress(_)
            | Asked::Film => None,
        })
        .await;
        let ending = odd.run(&Night::new(1).await).await;
        assert_eq!(states(&ending, State::Done), 1, "{words}: {ending:?}");
        assert_eq!(odd.books().exports.len(), 1, "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_is_refused_for_good_is_not_looked_for_without_end() {
    let odd = Odd::start(|books, asked| match asked {
        Asked::Export(_) if books.times(|asked| matches!(asked, Asked::Export(_))) == 0 => {
            Some(Vec::new())
        }
        Asked::Export(_) => Some(no(422, "invalid voice")),
        Asked::Draft(_) | Asked::Project(_) | Asked::List | Asked::Progress(_) | Asked::Film => {
            None
        }
    })
    .await;
    let ending = odd.run(&Night::new(1).await).await;
    assert_eq!(states(&ending, State::Failed), 1, "{ending:?}");
    assert!(odd.books().exports.is_empty());
}

/// A cache, or an answer that crossed another.
#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_is_answered_with_another_rows_project_is_never_exported() {
    let odd = Odd::start(|books, asked| {
        matches!(asked, Asked::Draft(_)).then_some(())?;
        let drafts = books.times(|asked| matches!(asked, Asked::Draft(_)));
        (drafts == 1 || drafts == 2).then(|| yes(&json!({"projectId": "p0000"})))
    })
    .await;
    let night = Night::new(4).await;
    let ending = odd.run(&night).await;
    assert_eq!(states(&ending, State::Done), 4, "{ending:?}");
    let mut exports = odd.books().exports.clone();
    exports.sort();
    assert_eq!(exports, ["p0000", "p0001", "p0002", "p0003"]);
}
