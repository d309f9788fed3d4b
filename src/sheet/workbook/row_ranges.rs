//! Sets of rows, as ranges: a few bytes also for a million consecutive rows.

use std::ops::RangeInclusive;

/// Row numbers that were added in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::sheet) struct RowRanges(Vec<RangeInclusive<u64>>);

impl RowRanges {
    /// Adds a row at or behind the last one.
    pub(in crate::sheet) fn push(&mut self, row: u64) {
        match self.0.last_mut() {
            Some(last) if *last.end() + 1 >= row => *last = *last.start()..=row.max(*last.end()),
            _ => self.0.push(row..=row),
        }
    }

    pub(in crate::sheet) fn contains(&self, row: u64) -> bool {
        let behind = self.0.partition_point(|range| *range.end() < row);
        self.0.get(behind).is_some_and(|range| range.contains(&row))
    }

    pub(in crate::sheet) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of rows.
    pub(in crate::sheet) fn count(&self) -> u64 {
        self.0.iter().map(|range| range.end() - range.start() + 1).sum()
    }

    /// Returns the rows within `range`.
    pub(in crate::sheet) fn within(&self, range: &RangeInclusive<u64>) -> Self {
        let cut = |own: &RangeInclusive<u64>| {
            let cut = *own.start().max(range.start())..=*own.end().min(range.end());
            (!cut.is_empty()).then_some(cut)
        };
        Self(self.0.iter().filter_map(cut).collect())
    }

    /// Returns the rows for a message: `row 3`, `rows 3 and 5`, `rows 3 to 9, 12 and others`.
    pub(in crate::sheet) fn describe(&self) -> String {
        const RANGES_MAX: usize = 6;
        let mut shown: Vec<String> = Vec::new();
        for range in self.0.iter().take(RANGES_MAX) {
            match range.end() - range.start() {
                0 => shown.push(range.start().to_string()),
                1 => shown.extend([range.start().to_string(), range.end().to_string()]),
                _ => shown.push(format!("{} to {}", range.start(), range.end())),
            }
        }
        if self.0.len() > RANGES_MAX {
            shown.push("others".to_owned());
        }
        let noun = if self.count() == 1 { "row" } else { "rows" };
        match shown.split_last() {
            Some((last, [])) => format!("{noun} {last}"),
            Some((last, before)) => format!("{noun} {} and {last}", before.join(", ")),
            None => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kept_as_ranges() {
        let ranges = |rows: &[u64]| {
            let mut ranges = RowRanges::default();
            rows.iter().for_each(|row| ranges.push(*row));
            ranges
        };
        for (rows, want) in [
            (&[3][..], "row 3"),
            (&[3, 4], "rows 3 and 4"),
            (&[3, 4, 5, 9], "rows 3 to 5 and 9"),
            (&[1, 3, 5, 7, 9, 11, 13, 15], "rows 1, 3, 5, 7, 9, 11 and others"),
        ] {
            assert_eq!(ranges(rows).describe(), want);
        }
        let some = ranges(&[3, 4, 5, 9]);
        assert_eq!((some.count(), some.contains(4), some.contains(6)), (4, true, false));
        assert_eq!(some.within(&(5..=20)), ranges(&[5, 9]));
    }
}
