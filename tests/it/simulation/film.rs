//! The videos of the simulated studio: small, whole, and each different from all others.

use std::sync::OnceLock;

const LANDSCAPE: &[u8] = include_bytes!("../../../src/sandbox/film/landscape.mp4");

/// Returns the video of the bill with this number: a whole MP4 and a `free` box that differs.
pub(super) fn film(number: usize) -> Vec<u8> {
    let mut bytes = LANDSCAPE.to_vec();
    let label = format!("bill {number}");
    let length = u32::try_from(label.len() + 8).expect("a short label");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(b"free");
    bytes.extend_from_slice(label.as_bytes());
    bytes
}

/// Returns the number of the bill whose whole video these bytes are.
pub(super) fn number_of(bytes: &[u8]) -> Option<usize> {
    let box_of = bytes.strip_prefix(LANDSCAPE)?;
    let label = std::str::from_utf8(box_of.get(8..)?).ok()?;
    let number = label.strip_prefix("bill ")?.parse().ok()?;
    (film(number) == bytes).then_some(number)
}

/// Returns the file that every seed's ledger begins as: migrated, and empty.
pub(super) fn empty_ledger() -> &'static [u8] {
    static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();
    EMPTY.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("empty.db");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            use callsheet::ledger::{Durability, Ledger};
            Ledger::open(&path, Durability::ProcessDeath).await.unwrap().close().await;
        });
        std::fs::read(&path).unwrap()
    })
}
