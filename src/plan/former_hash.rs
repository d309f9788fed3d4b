//! The hashes of payloads in ledgers of format 1: over the merged text, as it was spelled.
//!
//! They are compared with stored ones, and never stored.

use xxhash_rust::xxh3::Xxh3Default;

use crate::payload::Payload;
use crate::request::{PROJECT, RequestKind};

/// Returns whether `hash` is the former hash of a payload.
pub(super) fn is_former_hash(
    hash: &str,
    payload: &Payload,
    kind: &RequestKind,
    resolution: Option<&str>,
) -> bool {
    // A byte that no JSON text contains separates the text from what follows.
    let resolution = resolution.map(|resolution| ["\0", resolution]);
    let kind = (*kind != PROJECT).then_some(["\u{1}", kind.name]);
    let more = resolution.into_iter().chain(kind).flatten();
    let parts = std::iter::once(payload.text()).chain(more);
    if hash.starts_with('x') {
        let mut hasher = Xxh3Default::new();
        parts.for_each(|part| hasher.update(part.as_bytes()));
        return hash == format!("x{:031x}", hasher.digest128() >> 4);
    }
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().get(..32) == Some(hash)
}
