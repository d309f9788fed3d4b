//! `--check-media`: asks for every address in the payloads of a batch, each once, before anything
//! is spent.
//!
//! What is surely not there is a problem; what a slow server leaves open is a warning.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::batch::Batch;
use crate::cli::output::printer::Printer;
use crate::http::{MediaAvailability, check_media_urls};
use crate::payload::{PayloadMerger, media_urls};
use crate::plan::{PlanError, PlanInputs, VariantMapping};
use crate::session::exit_code::ExitReason;
use crate::session::open_batch::CommandError;
use crate::text::{pluralize, strip_control};

/// The most different addresses that are asked for: the first in the sheet.
const ADDRESSES_MAX: usize = 5000;
/// How long all of them may take together. A server that says nothing takes 15 s of it each time.
const CHECK_DURATION_MAX: Duration = Duration::from_secs(600);

/// Asks, tells what was found, and says whether everything may go on.
///
/// A batch that cannot be read has no media; the plan tells of that.
pub(crate) async fn check_media(batch: &Batch, talk: &Printer) -> Result<bool, CommandError> {
    let Ok(MediaAddresses { first_rows, overflow_hashes: beyond, .. }) =
        collect_media_addresses(batch)
    else {
        return Ok(true);
    };
    let all = first_rows.len() + beyond.len();
    let asked = first_rows.keys().cloned().collect();
    let found = check_media_urls(&batch.studio.host.base_url(), asked, CHECK_DURATION_MAX)
        .await
        .map_err(|error| CommandError::new(ExitReason::Unexpected, error))?;
    let (mut absent, mut unclear) = (0, 0);
    for (address, found) in &found {
        let (row, rows) = first_rows[address];
        let more = if rows > 1 { format!(" and {} more", rows - 1) } else { String::new() };
        match found {
            MediaAvailability::Available => {}
            MediaAvailability::Unavailable(words) => {
                absent += 1;
                talk.error(&format!("row {row}{more}: {words}\n  {}", strip_control(address)));
            }
            MediaAvailability::Undetermined(words) => {
                unclear += 1;
                talk.status(&format!(
                    "warning: row {row}{more}: {words}\n  {}",
                    strip_control(address)
                ));
            }
        }
    }
    let there = found.len() as u64 - absent - unclear;
    let left = if all > found.len() {
        let minutes = CHECK_DURATION_MAX.as_secs() / 60;
        let left = all - found.len();
        format!(", {left} left open ({ADDRESSES_MAX} in {minutes} min are the most)")
    } else {
        String::new()
    };
    talk.status(&format!("{} of {} there{left}", there, pluralize(all as u64, "media address")));
    Ok(absent == 0)
}

/// The addresses of a batch.
#[derive(Default)]
struct MediaAddresses {
    /// The first row that names each, and how many do.
    first_rows: BTreeMap<String, (u64, u64)>,
    /// Those for which there was no room: only that they are different ones is known of them.
    overflow_hashes: HashSet<u64>,
    hasher: RandomState,
}

impl MediaAddresses {
    fn add(&mut self, address: String, row: u64) {
        let has_room = self.first_rows.len() < ADDRESSES_MAX;
        if has_room || self.first_rows.contains_key(&address) {
            self.first_rows.entry(address).or_insert((row, 0)).1 += 1;
        } else {
            self.overflow_hashes.insert(self.hasher.hash_one(address));
        }
    }
}

/// Finds every address that a payload of the batch names.
fn collect_media_addresses(batch: &Batch) -> Result<MediaAddresses, PlanError> {
    let PlanInputs { template, sheet, variants: editions, request_kind: kind, .. } =
        PlanInputs::open(batch)?;
    let merger = |edition: &VariantMapping| {
        PayloadMerger::new(&template, &edition.columns).with_request_kind(kind)
    };
    let mut mergers: Vec<_> = editions.iter().map(merger).collect();
    let mut found = MediaAddresses::default();
    // Rows that are wrong are the plan's to tell.
    for entry in sheet.entries().flatten() {
        let row = entry.rows.first().map_or(1, |row| row.number);
        let rows: Vec<Vec<String>> = entry.rows.iter().map(|row| row.cells.clone()).collect();
        for (edition, merger) in editions.iter().zip(&mut mergers) {
            let Some(payload) = edition.should_make(&entry, &rows).then(|| merger.merge(&rows))
            else {
                continue;
            };
            for address in payload.iter().flat_map(media_urls) {
                found.add(address, row);
            }
        }
    }
    Ok(found)
}

/// The same for several batches, all of which are asked about.
pub(crate) async fn check_all_media(
    batches: impl Iterator<Item = &Batch>,
    talk: &Printer,
) -> Result<bool, CommandError> {
    let mut fine = true;
    for batch in batches {
        fine &= check_media(batch, talk).await?;
    }
    Ok(fine)
}

#[cfg(test)]
mod tests {
    use crate::session::media_check::*;

    #[test]
    fn the_first_addresses_are_kept_and_the_others_only_counted() {
        let mut addresses = MediaAddresses::default();
        for row in 0..ADDRESSES_MAX as u64 + 2 {
            addresses.add(format!("https://example.com/{row}"), row);
        }
        addresses.add("https://example.com/7".to_owned(), 9000);
        addresses.add(format!("https://example.com/{ADDRESSES_MAX}"), 9001);
        assert_eq!(addresses.first_rows.len(), ADDRESSES_MAX);
        assert_eq!(addresses.first_rows["https://example.com/7"], (7, 2));
        assert_eq!(addresses.overflow_hashes.len(), 2);
    }
}
