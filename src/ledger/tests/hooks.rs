//! Calls of AI Studios as the ledger takes them: hearsay, and nothing more.

use sqlx::Row;

use super::*;

fn drawn() -> Option<Secret> {
    Some(Secret::new([7; 16]))
}

fn called() -> Room {
    Room { draw: Some(drawn), at_once: 1, ..room() }
}

fn ending() -> Call {
    Call { progress: Some(100.0), task: Some("t1".to_owned()), credits: Some(3.0), ended: true }
}

/// A batch of one job, whose paid request is on its way.
async fn sent(desk: &Desk) -> (BatchId, Lease, Claim) {
    let (batch, _) = desk.plan(&[row(0, "ann", "one")]).await;
    let (lease, _) = desk.run(batch).await;
    let way = (Way::OneStep, called());
    let claimed = desk.ledger.claim_paid(lease, batch, way, NOW).await.unwrap();
    (batch, lease, claimed.claims.into_iter().next().unwrap())
}

fn lost() -> News {
    News::AnswerLost { due_at: later(900), words: "cut".to_owned() }
}

async fn hooks(desk: &Desk) -> Vec<(String, bool)> {
    let rows = sqlx::query("select secret_hash, submission_id is not null as own from hook")
        .fetch_all(&desk.ledger.readers)
        .await
        .unwrap();
    rows.into_iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn a_secret_is_kept_as_a_hash_and_goes_with_its_job() {
    let desk = Desk::new().await;
    let (_, lease, claim) = sent(&desk).await;
    let secret = claim.secret.clone().unwrap();
    assert_eq!(hooks(&desk).await, [(secret.hash(), true)]);
    for news in [accepted("p1"), rendered()] {
        desk.ledger.record(lease, claim.job, claim.submission, news, NOW).await.unwrap();
        assert_eq!(hooks(&desk).await.len(), 1);
    }
    desk.ledger.record(lease, claim.job, claim.submission, fetched("a.mp4"), NOW).await.unwrap();
    assert_eq!(hooks(&desk).await, []);
    let heard = desk.ledger.hear(&secret, ending(), later(9)).await.unwrap();
    assert_eq!(heard, Heard::Nobody);
    assert_eq!(desk.ledger.hearsay(claim.submission).await.unwrap(), None);
}

#[tokio::test]
async fn a_call_brings_a_look_forward_and_moves_nothing() {
    let desk = Desk::new().await;
    let (batch, lease, claim) = sent(&desk).await;
    let accepted = News::Accepted {
        project_id: "p1".to_owned(),
        render_id: None,
        due_at: later(600),
        words: "answered".to_owned(),
    };
    desk.ledger.record(lease, claim.job, claim.submission, accepted, NOW).await.unwrap();
    let next = async || desk.ledger.next_due(batch, State::Rendering, None).await.unwrap().unwrap();
    let secret = claim.secret.unwrap();
    let step = Call { progress: Some(50.0), ..Call::default() };
    desk.ledger.hear(&secret, step, later(10)).await.unwrap();
    assert_eq!(next().await, later(600), "a step on the way");
    desk.ledger.hear(&secret, ending(), later(20)).await.unwrap();
    assert_eq!(next().await, later(20));
    assert_eq!(desk.state(batch).await, [State::Rendering]);

    // A poll that was in the air puts the next one off, and brings it forward again.
    let polled = News::Polled { progress: 60.0, due_at: later(700), stalled: false };
    desk.ledger.record(lease, claim.job, claim.submission, polled, later(21)).await.unwrap();
    assert_eq!(next().await, later(700));
    let heard = desk.ledger.hearsay(claim.submission).await.unwrap().unwrap();
    desk.ledger.look_at(claim.job, claim.submission, heard.look_at.unwrap()).await.unwrap();
    assert_eq!(next().await, later(20));
    assert_eq!((heard.credits, heard.progress), (Some(3.0), Some(100.0)));

    let other = Call { task: Some("t2".to_owned()), credits: Some(99.0), ..ending() };
    let heard = desk.ledger.hear(&secret, other, later(21)).await.unwrap();
    let Heard::Job { key, strange: Some(words) } = heard else { panic!("{heard:?}") };
    assert_eq!(key, "ann");
    assert!(words.contains("taken that twice"), "{words}");
    let rows = desk.ledger.rows(batch, -1, 9).await.unwrap();
    assert_eq!(rows[0].credits, None, "never counted");
}

#[tokio::test]
async fn a_call_about_a_former_submission_wakes_nobody() {
    let desk = Desk::new().await;
    let (batch, lease, former) = sent(&desk).await;
    let record = async |claim: &Claim, news| {
        desk.ledger.record(lease, claim.job, claim.submission, news, NOW).await.unwrap();
    };
    record(&former, accepted("p1")).await;
    record(&former, News::Rerendered { due_at: NOW, words: "it failed".to_owned() }).await;
    let way = (Way::OneStep, Room { draw: Some(Secret::fresh), ..called() });
    let claimed = desk.ledger.claim_paid(lease, batch, way, NOW).await.unwrap();
    let claim = &claimed.claims[0];
    assert!(!claim.called_about, "another submission");
    let due_at = later(600);
    let (project_id, words) = ("p2".to_owned(), "answered".to_owned());
    record(claim, News::Accepted { project_id, render_id: None, due_at, words }).await;
    desk.ledger.hear(&former.secret.unwrap(), ending(), later(9)).await.unwrap();
    let next = desk.ledger.next_due(batch, State::Rendering, None).await.unwrap();
    assert_eq!(next, Some(due_at));
    assert!(desk.ledger.hearsay(former.submission).await.unwrap().is_some(), "it is noted");
    assert_eq!(desk.ledger.hearsay(claim.submission).await.unwrap(), None);
}

#[tokio::test]
async fn what_was_called_about_is_not_taken_as_not_made_and_stays_known() {
    let desk = Desk::new().await;
    let (batch, lease, claim) = sent(&desk).await;
    let secret = claim.secret.clone().unwrap();
    // Before the answer that is lost, and from an earlier process.
    desk.ledger.hear(&secret, Call::default(), NOW).await.unwrap();
    let desk = desk.reopened().await;
    desk.ledger.record(lease, claim.job, claim.submission, lost(), NOW).await.unwrap();
    let quiet = News::ProvenNotMade { due_at: NOW, words: "no trace".to_owned() };
    let recorded = desk.ledger.record(lease, claim.job, claim.submission, quiet, NOW).await;
    assert_eq!(recorded.unwrap(), Recorded { step: Step::Unchanged, state: State::Uncertain });
    assert_eq!(desk.state(batch).await, [State::Uncertain]);
}

/// The proof came too soon: the draft is taken for its second export, and says that it was heard of.
#[tokio::test]
async fn a_draft_that_was_called_about_says_so_when_it_is_claimed_again() {
    let desk = Desk::new().await;
    let (batch, _) = desk.plan(&[row(0, "ann", "one")]).await;
    let (lease, _) = desk.run(batch).await;
    let drafts = desk.ledger.claim_drafts(lease, batch, called(), NOW).await.unwrap();
    assert!(drafts.claims[0].secret.is_none(), "a draft has nothing to call about");
    let (job, submission) = (drafts.claims[0].job, drafts.claims[0].submission);
    let record = async |news| desk.ledger.record(lease, job, submission, news, NOW).await.unwrap();
    let project_id = "p1".to_owned();
    record(News::Drafted { project_id, edited: None, mark: None }).await;
    let claim = async || {
        let way = (Way::TwoStep, Room { draw: Some(Secret::fresh), ..called() });
        let claimed = desk.ledger.claim_paid(lease, batch, way, NOW).await.unwrap();
        claimed.claims.into_iter().next().unwrap()
    };
    let first = claim().await;
    assert!(!first.called_about);
    record(lost()).await;
    record(News::ProvenNotMade { due_at: NOW, words: "no trace".to_owned() }).await;
    let heard = desk.ledger.hear(&first.secret.unwrap(), ending(), NOW).await.unwrap();
    let Heard::Job { strange: Some(words), .. } = heard else { panic!("{heard:?}") };
    assert!(words.contains("may have been accepted after all"), "{words}");
    assert!(claim().await.called_about);
}

#[tokio::test]
async fn a_call_to_ourselves_is_expected_once_and_forgotten() {
    let desk = Desk::new().await;
    let (secret, other) = (Secret::new([1; 16]), Secret::new([2; 16]));
    for one in [&secret, &other] {
        desk.ledger.expect_ourselves(one, NOW).await.unwrap();
    }
    let heard = desk.ledger.hear(&secret, Call::default(), NOW).await.unwrap();
    assert_eq!(heard, Heard::Ourselves);
    assert!(desk.ledger.heard_ourselves(&secret).await.unwrap());
    assert!(!desk.ledger.heard_ourselves(&other).await.unwrap(), "it never came");
    assert_eq!(hooks(&desk).await, []);
    let heard = desk.ledger.hear(&secret, ending(), NOW).await.unwrap();
    assert_eq!(heard, Heard::Nobody);
}

impl Secret {
    /// Another one each time.
    fn fresh() -> Option<Self> {
        use std::sync::atomic::{AtomicU8, Ordering};
        static NEXT: AtomicU8 = AtomicU8::new(100);
        Some(Self::new([NEXT.fetch_add(1, Ordering::Relaxed); 16]))
    }
}
