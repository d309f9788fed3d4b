//! Ledgers with changed bytes: read, or refused with a message.

use super::*;
use crate::text::fuzz::FuzzTarget;

/// Opens a ledger and reads all of it.
async fn read_whole_ledger(path: &std::path::Path) -> Result<(), LedgerError> {
    let ledger = Ledger::open(path, Durability::PowerLoss).await?;
    let mut read = ledger.find_defects().await.map(drop);
    for batch in ledger.batches().await.unwrap_or_default() {
        read = read.and(ledger.rows(batch.id, -1, 1_000).await.map(drop));
        read = read.and(ledger.state_counts(batch.id).await.map(drop));
        read = read.and(ledger.last_run(batch.id).await.map(drop));
    }
    ledger.close().await;
    read
}

#[test]
fn fuzz_ledgers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("l.db");
    let old = include_bytes!("../../../tests/data/ledgers/0001.db");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    std::fs::write(&path, old).expect("a file");
    runtime.block_on(read_whole_ledger(&path)).expect("an old ledger is brought up to date");
    let samples = vec![old.to_vec(), std::fs::read(&path).expect("the file")];
    let words: [&[u8]; 4] =
        [b"SQLite format 3\0", b"done", b"create table job", b"\xff\xff\xff\xff"];
    FuzzTarget { name: "ledgers", samples, words: &words }.check_inputs(|input| {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(dir.path().join(format!("l.db{suffix}")));
        }
        std::fs::write(&path, input).expect("a file");
        match runtime.block_on(read_whole_ledger(&path)) {
            Ok(()) => true,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                false
            }
        }
    });
}
