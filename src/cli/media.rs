//! `--check-media`: asks for every address in the payloads of a batch, each once, before anything
//! is spent.
//!
//! What is surely not there is a problem; what a slow server leaves open is a warning.

use std::collections::BTreeMap;

use super::drive::Early;
use super::exit::Exit;
use super::talk::{Talk, counted, plain};
use crate::batch::Batch;
use crate::plan::{Edition, Materials, PlanError};
use crate::scene::media_of;
use crate::studio::{Found, look_for_media};

/// The most different addresses that are asked for.
const ADDRESSES_MAX: usize = 5000;

/// Asks, tells what was found, and says whether everything may go on.
///
/// A batch that cannot be read has no media; the plan tells of that.
pub(super) async fn check(batch: &Batch, talk: &Talk) -> Result<bool, Early> {
    let Ok(mut first_rows) = addresses(batch) else { return Ok(true) };
    let all = first_rows.len();
    while first_rows.len() > ADDRESSES_MAX {
        first_rows.pop_last();
    }
    let asked = first_rows.keys().cloned().collect();
    let found = look_for_media(&batch.studio.host.base_url(), asked)
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
        format!(", {} not asked for", all - found.len())
    } else {
        String::new()
    };
    talk.say(&format!("{} of {} there{left}", there, counted(all as u64, "media address")));
    Ok(absent == 0)
}

/// Returns every address with the first row that names it, and how many do.
fn addresses(batch: &Batch) -> Result<BTreeMap<String, (u64, u64)>, PlanError> {
    let Materials { template, sheet, editions, kind, .. } = Materials::open(batch)?;
    let merger = |edition: &Edition| template.merger(&edition.columns).of_kind(kind);
    let mut mergers: Vec<_> = editions.iter().map(merger).collect();
    let mut found = BTreeMap::new();
    // Rows that are wrong are the plan's to tell.
    for entry in sheet.entries().flatten() {
        let row = entry.rows.first().map_or(1, |row| row.number);
        let rows: Vec<Vec<String>> = entry.rows.iter().map(|row| row.cells.clone()).collect();
        for (edition, merger) in editions.iter().zip(&mut mergers) {
            let Some(payload) = edition.makes(&entry, &rows).then(|| merger.merge(&rows)) else {
                continue;
            };
            for address in payload.iter().flat_map(media_of) {
                found.entry(address).or_insert((row, 0)).1 += 1;
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
