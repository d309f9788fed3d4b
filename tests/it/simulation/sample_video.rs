//! The videos of the simulated studio: small, complete, and each different from all others.

use std::sync::OnceLock;

const SAMPLE_VIDEO: &[u8] = include_bytes!("../../../src/sandbox/sample_videos/landscape.mp4");

/// Returns the video of the bill with this number: a complete MP4 with a distinct `free` box after its
/// first box. It is not at the end: a video without that box would be complete as well, and its
/// truncation could not be detected.
pub(super) fn video_for_bill(number: usize) -> Vec<u8> {
    let (first, rest) = split_first_box();
    let label = format!("bill {number}");
    let length = u32::try_from(label.len() + 8).expect("a short label");
    [first, &length.to_be_bytes(), b"free", label.as_bytes(), rest].concat()
}

/// Returns the number of the bill whose complete video these bytes are.
pub(super) fn bill_number_of(bytes: &[u8]) -> Option<usize> {
    let (first, rest) = split_first_box();
    let label = bytes.strip_prefix(first)?.strip_suffix(rest)?.get(8..)?;
    let number = std::str::from_utf8(label).ok()?.strip_prefix("bill ")?.parse().ok()?;
    (video_for_bill(number) == bytes).then_some(number)
}

/// Returns the first box of a complete MP4, and all others.
fn split_first_box() -> (&'static [u8], &'static [u8]) {
    let length = SAMPLE_VIDEO.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    SAMPLE_VIDEO.split_at(length as usize)
}

/// Returns the initial ledger of every seed: migrated and empty.
pub(super) fn empty_ledger_file() -> &'static [u8] {
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
