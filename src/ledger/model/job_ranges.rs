//! A set of jobs as ranges of their ids, such as `1-5,9`: short however many they are, because the
//! jobs of a batch are planned together.
//!
//! Pure. Invariant: the ranges are sorted and do not touch.

use std::fmt;

/// A set of job ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobRanges(Vec<JobRange>);

/// The ids from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct JobRange {
    pub(in crate::ledger) first: i64,
    pub(in crate::ledger) last: i64,
}

impl JobRanges {
    /// Collects ids that are sorted.
    pub fn from_sorted(ids: impl IntoIterator<Item = i64>) -> Self {
        let mut ranges: Vec<JobRange> = Vec::new();
        for id in ids {
            match ranges.last_mut() {
                Some(range) if id <= range.last => {}
                Some(range) if id == range.last + 1 => range.last = id,
                Some(_) | None => ranges.push(JobRange { first: id, last: id }),
            }
        }
        Self(ranges)
    }

    /// Parses the text of [`fmt::Display`]; `None` if it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut ranges: Vec<JobRange> = Vec::new();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = JobRange { first: parse_id(first)?, last: parse_id(last)? };
            let follows = ranges.last().is_none_or(|before| before.last + 1 < range.first);
            if range.first > range.last || !follows {
                return None;
            }
            ranges.push(range);
        }
        Some(Self(ranges))
    }

    /// Returns the ranges in their order.
    pub(in crate::ledger) fn ranges(&self) -> &[JobRange] {
        &self.0
    }

    /// Returns the number of ids.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|range| range.first.abs_diff(range.last) + 1).sum()
    }

    /// Returns the first ids, at most `max`.
    pub fn first_ids(&self, max: usize) -> Vec<i64> {
        self.0.iter().flat_map(|range| range.first..=range.last).take(max).collect()
    }

    /// Returns the ids of this set that are not in the other. Its effort depends on the number of
    /// ranges, not of ids: a set may come from a form.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for &range in &self.0 {
            let mut first = range.first;
            let from = other.0.partition_point(|out| out.last < range.first);
            for out in other.0[from..].iter().take_while(|out| out.first <= range.last) {
                if first < out.first {
                    left.push(JobRange { first, last: out.first - 1 });
                }
                first = out.last + 1;
            }
            if first <= range.last {
                left.push(JobRange { first, last: range.last });
            }
        }
        Self(left)
    }
}

/// Parses an id of a row: digits, and far from overflow.
fn parse_id(text: &str) -> Option<i64> {
    let is_plain = !text.is_empty() && text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for JobRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            match range.first == range.last {
                true => write!(f, "{separator}{}", range.first)?,
                false => write!(f, "{separator}{}-{}", range.first, range.last)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ledger::model::job_ranges::*;

    #[test]
    fn only_sorted_ranges_of_plain_numbers_are_parsed() {
        for text in ["", "1", "1-5,9", "3,5,7-8"] {
            assert_eq!(JobRanges::parse(text).unwrap().to_string(), text);
        }
        for text in ["x", "5-1", "1,1", "1-5,6", "9,1", "-1", "1,", "1--2", "99999999999999999999"]
        {
            assert_eq!(JobRanges::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn ranges_hold_exactly_their_jobs(
            ids in prop::collection::btree_set(0_i64..200, 0..60),
            other in prop::collection::btree_set(0_i64..200, 0..60),
        ) {
            let ranges = JobRanges::from_sorted(ids.iter().copied());
            prop_assert_eq!(JobRanges::parse(&ranges.to_string()), Some(ranges.clone()));
            let others = JobRanges::from_sorted(other.iter().copied());
            let left = ranges.without(&others);
            let expected: Vec<i64> = ids.difference(&other).copied().collect();
            prop_assert_eq!(left.count() as usize, expected.len());
            prop_assert_eq!(&left.first_ids(500), &expected);
            prop_assert_eq!(&left.first_ids(3)[..], &expected[..expected.len().min(3)]);
        }
    }
}
