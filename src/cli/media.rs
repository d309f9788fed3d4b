//! `--check-media`: asks for every address in the payloads of a batch, each once, before anything
//! is spent.
//!
//! What is surely not there is a problem; what a slow server leaves open is a warning.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::drive::Early;
use super::exit::Exit;
use super::talk::{Talk, counted, plain};
use crate::batch::Batch;
use crate::plan::{Edition, Materials, PlanError};
use crate::scene::media_of;
use crate::studio::{Found, look_for_media};

/// The most different addresses that are asked for: the first in the sheet.
const ADDRESSES_MAX: usize = 5000;
/// How long all of them may take together. A server that says nothing takes 15 s of it each time.
const LOOK_MAX: Duration = Duration::from_secs(600);

/// Asks, tells what was found, and says whether everything may go on.
///
/// A batch that cannot be read has no media; the plan tells of that.
pub(super) async fn check(batch: &Batch, talk: &Talk) -> Result<bool, Early> {
    let Ok(Addresses { first_rows, beyond, .. }) = addresses(batch) else { return Ok(true) };
    let all = first_rows.len() + beyond.len();
    let asked = first_rows.keys().cloned().collect();
    let found = look_for_media(&batch.studio.host.base_url(), asked, LOOK_MAX)
        .await
        .map_err(|error| Early::new(Exit::Unexpected, error))?;
    let (mut absent, mut unclear) = (0, 0);
    for (address, found) in &found {
        let (row, rows) = first_rows[address];
        let more = if rows > 1 { format!(" and {} more", rows - 1) } else { String::new() };
        match found {
            Found::There => {}
            Found::Absent(words) => {
                absent += 1;
                talk.error(&format!("row {row}{more}: {words}\n  {}", plain(address)));
            }
            Found::Unclear(words) => {
                unclear += 1;
                talk.say(&format!("warning: row {row}{more}: {words}\n  {}", plain(address)));
            }
        }
    }
    let there = found.len() as u64 - absent - unclear;
    let left = if all > found.len() {
        let minutes = LOOK_MAX.as_secs() / 60;
        let left = all - found.len();
        format!(", {left} left open ({ADDRESSES_MAX} in {minutes} min are the most)")
    } else {
        String::new()
    };
    talk.say(&format!("{} of {} there{left}", there, counted(all as u64, "media address")));
    Ok(absent == 0)
}

/// The addresses of a batch.
#[derive(Default)]
struct Addresses {
    /// The first row that names each, and how many do.
    first_rows: BTreeMap<String, (u64, u64)>,
    /// Those for which there was no room: only that they are different ones is known of them.
    beyond: HashSet<u64>,
    hashes: RandomState,
}

impl Addresses {
    fn take(&mut self, address: String, row: u64) {
        let has_room = self.first_rows.len() < ADDRESSES_MAX;
        if has_room || self.first_rows.contains_key(&address) {
            self.first_rows.entry(address).or_insert((row, 0)).1 += 1;
        } else {
            self.beyond.insert(self.hashes.hash_one(address));
        }
    }
}

/// Finds every address that a payload of the batch names.
fn addresses(batch: &Batch) -> Result<Addresses, PlanError> {
    let Materials { template, sheet, editions, kind, .. } = Materials::open(batch)?;
    let merger = |edition: &Edition| template.merger(&edition.columns).of_kind(kind);
    let mut mergers: Vec<_> = editions.iter().map(merger).collect();
    let mut found = Addresses::default();
    // Rows that are wrong are the plan's to tell.
    for entry in sheet.entries().flatten() {
        let row = entry.rows.first().map_or(1, |row| row.number);
        let rows: Vec<Vec<String>> = entry.rows.iter().map(|row| row.cells.clone()).collect();
        for (edition, merger) in editions.iter().zip(&mut mergers) {
            let Some(payload) = edition.makes(&entry, &rows).then(|| merger.merge(&rows)) else {
                continue;
            };
            for address in payload.iter().flat_map(media_of) {
                found.take(address, row);
            }
        }
    }
    Ok(found)
}

/// The same for several batches, all of which are asked about.
pub(super) async fn all_there(
    batches: impl Iterator<Item = &Batch>,
    talk: &Talk,
) -> Result<bool, Early> {
    let mut fine = true;
    for batch in batches {
        fine &= check(batch, talk).await?;
    }
    Ok(fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_addresses_are_kept_and_the_others_only_counted() {
        let mut addresses = Addresses::default();
        for row in 0..ADDRESSES_MAX as u64 + 2 {
            addresses.take(format!("https://example.com/{row}"), row);
        }
        addresses.take("https://example.com/7".to_owned(), 9000);
        addresses.take(format!("https://example.com/{ADDRESSES_MAX}"), 9001);
        assert_eq!(addresses.first_rows.len(), ADDRESSES_MAX);
        assert_eq!(addresses.first_rows["https://example.com/7"], (7, 2));
        assert_eq!(addresses.beyond.len(), 2);
    }
}
