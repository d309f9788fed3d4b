//! `--check-media`: requests every media URL in the payloads of a batch once, before anything is
//! spent.
//!
//! A URL that certainly does not exist is a problem; one that a slow server leaves undetermined is a
//! warning.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::batch::Batch;
use crate::http::{MediaAvailability, check_media_urls};
use crate::payload::{PayloadMerger, media_urls};
use crate::plan::{PlanError, PlanInputs, VariantMapping};
use crate::session::error::CommandError;

/// Different URLs that are requested: the first in the sheet.
pub(crate) const ADDRESSES_MAX: usize = 5000;
/// The duration of the whole check. A server that does not respond takes 15 s of it each time.
pub(crate) const CHECK_DURATION_MAX: Duration = Duration::from_secs(600);

/// The result of a check.
#[derive(Clone, Debug, Default)]
pub(crate) struct MediaReport {
    /// URLs that are unavailable or undetermined.
    pub(crate) findings: Vec<MediaFinding>,
    /// URLs that were requested.
    pub(crate) checked: u64,
    /// URLs that were not requested: too many, or too slow.
    pub(crate) unchecked: u64,
}

/// A media URL that may not work.
#[derive(Clone, Debug)]
pub(crate) struct MediaFinding {
    pub(crate) url: String,
    pub(crate) availability: MediaAvailability,
    /// The first row with this URL; the findings are in its order.
    pub(crate) first_row: u64,
    /// How many rows have it.
    pub(crate) rows: u64,
}

impl MediaFinding {
    /// Returns the host of the URL.
    pub(crate) fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split(['/', '?', '#']).next().unwrap_or(rest)
    }
}

impl MediaReport {
    /// Returns the findings grouped by what is wrong at one host, in the order of the sheet: a host
    /// that is down is one finding, not one for each of its files.
    pub(crate) fn grouped_findings(&self) -> Vec<Vec<&MediaFinding>> {
        let mut groups: Vec<Vec<&MediaFinding>> = Vec::new();
        for finding in &self.findings {
            let is_same = |group: &&mut Vec<&MediaFinding>| {
                group[0].host() == finding.host() && group[0].availability == finding.availability
            };
            match groups.iter_mut().find(is_same) {
                Some(group) => group.push(finding),
                None => groups.push(vec![finding]),
            }
        }
        groups
    }

    /// Returns whether every requested URL may exist.
    pub(crate) fn is_ok(&self) -> bool {
        let is_unavailable = |finding: &MediaFinding| {
            matches!(finding.availability, MediaAvailability::Unavailable(_))
        };
        !self.findings.iter().any(is_unavailable)
    }
}

/// Checks the media URLs of a batch. `None` if the batch cannot be read, which its plan reports.
pub(crate) async fn check_media(batch: &Batch) -> Result<Option<MediaReport>, CommandError> {
    let Ok(MediaAddresses { rows_by_url, overflow_hashes, .. }) = collect_media_addresses(batch)
    else {
        return Ok(None);
    };
    let all = rows_by_url.len() + overflow_hashes.len();
    let urls = rows_by_url.keys().cloned().collect();
    let checked = check_media_urls(&batch.studio.host.base_url(), urls, CHECK_DURATION_MAX)
        .await
        .map_err(CommandError::unexpected)?;
    let mut report = MediaReport {
        findings: Vec::new(),
        checked: checked.len() as u64,
        unchecked: (all - checked.len()) as u64,
    };
    for (url, availability) in checked {
        if !matches!(availability, MediaAvailability::Available) {
            let RowsWithUrl { first_row, rows } = rows_by_url[&url];
            report.findings.push(MediaFinding { url, availability, first_row, rows });
        }
    }
    report
        .findings
        .sort_by(|one, other| (one.first_row, &one.url).cmp(&(other.first_row, &other.url)));
    Ok(Some(report))
}

/// The rows that name a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RowsWithUrl {
    first_row: u64,
    rows: u64,
}

/// The media URLs of a batch.
#[derive(Default)]
struct MediaAddresses {
    rows_by_url: BTreeMap<String, RowsWithUrl>,
    /// URLs beyond the limit, kept only to be counted.
    overflow_hashes: HashSet<u64>,
    hasher: RandomState,
}

impl MediaAddresses {
    fn add(&mut self, url: String, row: u64) {
        if self.rows_by_url.len() < ADDRESSES_MAX || self.rows_by_url.contains_key(&url) {
            let rows = self.rows_by_url.entry(url);
            rows.or_insert(RowsWithUrl { first_row: row, rows: 0 }).rows += 1;
        } else {
            self.overflow_hashes.insert(self.hasher.hash_one(url));
        }
    }
}

/// Collects every URL in the payloads of the batch.
fn collect_media_addresses(batch: &Batch) -> Result<MediaAddresses, PlanError> {
    let PlanInputs { template, sheet, variants, request_kind, .. } = PlanInputs::open(batch)?;
    let merger = |variant: &VariantMapping| {
        PayloadMerger::new(&template, &variant.columns).with_request_kind(request_kind)
    };
    let mut mergers: Vec<_> = variants.iter().map(merger).collect();
    let mut addresses = MediaAddresses::default();
    // Invalid rows are reported by the plan.
    for entry in sheet.entries().flatten() {
        let row = entry.rows.first().map_or(1, |row| row.number);
        let rows: Vec<Vec<String>> = entry.rows.iter().map(|row| row.cells.clone()).collect();
        for (variant, merger) in variants.iter().zip(&mut mergers) {
            let Some(payload) = variant.should_make(&entry, &rows).then(|| merger.merge(&rows))
            else {
                continue;
            };
            for url in payload.iter().flat_map(media_urls) {
                addresses.add(url, row);
            }
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use crate::session::files::media_check::*;

    #[test]
    fn findings_of_one_host_with_one_cause_are_one_group() {
        let finding = |url: &str, first_row, message: &str| MediaFinding {
            url: url.to_owned(),
            availability: MediaAvailability::Undetermined(message.to_owned()),
            first_row,
            rows: 1,
        };
        let findings = vec![
            finding("https://a.example/1.png", 2, "no answer"),
            finding("https://b.example/1.png", 3, "no answer"),
            finding("https://a.example/2.png?x=/", 4, "no answer"),
            finding("https://a.example/3.png", 5, "HTTP 503"),
        ];
        let report = MediaReport { findings, checked: 4, unchecked: 0 };
        let rows = |group: Vec<&MediaFinding>| -> Vec<u64> {
            group.into_iter().map(|finding| finding.first_row).collect()
        };
        let groups: Vec<Vec<u64>> = report.grouped_findings().into_iter().map(rows).collect();
        assert_eq!(groups, [vec![2, 4], vec![3], vec![5]]);
    }

    #[test]
    fn the_first_urls_are_kept_and_the_others_only_counted() {
        let mut addresses = MediaAddresses::default();
        for row in 0..ADDRESSES_MAX as u64 + 2 {
            addresses.add(format!("https://example.com/{row}"), row);
        }
        addresses.add("https://example.com/7".to_owned(), 9000);
        addresses.add(format!("https://example.com/{ADDRESSES_MAX}"), 9001);
        assert_eq!(addresses.rows_by_url.len(), ADDRESSES_MAX);
        let rows = RowsWithUrl { first_row: 7, rows: 2 };
        assert_eq!(addresses.rows_by_url["https://example.com/7"], rows);
        assert_eq!(addresses.overflow_hashes.len(), 2);
    }
}
