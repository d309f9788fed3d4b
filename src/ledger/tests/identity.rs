//! The identity of a ledger, and its generation.

use super::*;

#[tokio::test]
async fn identity_survives_reopening_and_copying_and_no_two_ledgers_share_it() {
    let (test, other) = (TestLedger::in_file().await, TestLedger::in_file().await);
    let identity = test.ledger.identity().clone();
    assert_ne!(&identity, other.ledger.identity());
    assert_ne!(identity.tag_secret.as_bytes(), other.ledger.identity().tag_secret.as_bytes());
    let copy = test.dir.path().join("copy.db");
    test.ledger.back_up(&copy, Timestamp::UNIX_EPOCH).await.unwrap();
    let copy = Ledger::open(&copy, Durability::PowerLoss).await.unwrap();
    assert_eq!(copy.identity(), &identity);
    assert_eq!(test.reopen().await.ledger.identity(), &identity);
}

#[tokio::test]
async fn every_intent_makes_the_copies_before_it_fall_behind() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one"), row(1, "bob", "two")]).await;
    let lease = test.run(batch).await;
    assert_eq!(test.ledger.generation().await.unwrap(), 0);
    claim_one_step(&lease).await;
    let submissions = test.job_states(batch).await.len() as i64;
    assert_eq!(test.ledger.generation().await.unwrap(), submissions);
}

#[test]
fn tag_secret_is_not_printed() {
    let identity = LedgerIdentity {
        id: LedgerId("0123456789abcdef".to_owned()),
        tag_secret: TagSecret::new(*b"a secret of bits"),
    };
    let printed = format!("{identity:?} {identity:#?}");
    assert!(!printed.contains("97") && !printed.contains("secret of"), "{printed}");
}
