//! The hash to which the approval of a plan is bound: what would be rendered, and from what.
//!
//! Invariant: two plans with the same hash render the same videos. The states of jobs under way do not
//! count, because they change by themselves.

use std::fs::File;
use std::io;

use super::{Plan, PlanError};
use crate::batch::Batch;

/// Hex digits of a hash.
const DIGITS: usize = 32;

impl Plan {
    /// Returns the hash of this plan of `batch`.
    ///
    /// # Errors
    /// The sheet or the ledger cannot be read.
    pub async fn approval_hash(&mut self, batch: &Batch) -> Result<String, PlanError> {
        self.list_all_rows().await?;
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: &str| {
            // The length separates the parts.
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        };
        add(&batch.source);
        add(&self.template_hash);
        add(&sheet_hash(batch)?);
        let listing = &self.listing;
        listing.new.iter().for_each(|row| add(&row.key));
        add("changed");
        for change in &listing.changed {
            add(&change.key);
            add(if change.is_paid_again { "again" } else { "" });
        }
        add("removed");
        listing.removed.iter().for_each(|row| add(&row.key));
        Ok(hasher.finalize().to_hex()[..DIGITS].to_owned())
    }
}

/// Returns the hash of the bytes of the sheet.
///
/// # Errors
/// The sheet cannot be read.
pub fn sheet_hash(batch: &Batch) -> Result<String, PlanError> {
    let hash = || -> io::Result<String> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(&batch.sheet)?)?;
        Ok(hasher.finalize().to_hex().to_string())
    };
    hash().map_err(|error| PlanError::File {
        what: "the sheet",
        path: batch.sheet.clone(),
        why: crate::text::describe_io_error(error.kind()),
    })
}
