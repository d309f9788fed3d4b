//! Finds keys that more than one row has, without keeping the keys.
//!
//! While all goes well it remembers 8 bytes of hash per row. The first hash that comes again makes
//! it read the whole sheet twice more: once for the hashes that repeat, once for the keys and
//! first rows behind them. From then on it compares keys themselves, so that no two different keys
//! are ever taken for one, and however many are doubled, it costs two more readings and the memory
//! of the keys that are.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use super::Sheet;
use super::problem::SheetProblem;
use super::records::CsvRecord;

/// The keys of a sheet that is being read.
#[derive(Debug)]
pub(super) struct DuplicateKeys {
    hashing: RandomState,
    /// Which bits of a hash are used: all of them, but in tests.
    mask: u64,
    known: Known,
}

#[derive(Debug)]
enum Known {
    /// The hashes of all rows so far; none came twice.
    Hashes(Hashes),
    /// The hashes that repeat in the sheet, with the keys behind each and the first row of each.
    Firsts(HashMap<u64, Vec<(String, u64)>>),
}

/// Hashes in shelves by their first bits. A shelf that is full moves into one of twice the size,
/// and for that moment has both; of all hashes in one that would be half as much again.
#[derive(Debug)]
struct Hashes {
    shelves: Vec<HashSet<u64, BuildHasherDefault<AsItIs>>>,
}

const SHELF_BITS: u32 = 4;

impl Default for Hashes {
    fn default() -> Self {
        Self { shelves: vec![HashSet::default(); 1 << SHELF_BITS] }
    }
}

impl Hashes {
    /// Tells whether the hash is new.
    fn insert(&mut self, hash: u64) -> bool {
        // The bits in front of those by which a set itself finds its way.
        let shelf = hash << 8 >> (u64::BITS - SHELF_BITS);
        self.shelves[shelf as usize].insert(hash)
    }
}

impl DuplicateKeys {
    pub(super) fn new() -> Self {
        Self::with_mask(u64::MAX)
    }

    fn with_mask(mask: u64) -> Self {
        Self { hashing: RandomState::new(), mask, known: Known::Hashes(Hashes::default()) }
    }

    /// Returns the first row with this key, unless `row` itself is.
    ///
    /// # Errors
    ///
    /// The sheet could not be read again.
    pub(super) fn first(
        &mut self,
        sheet: &Sheet,
        key: &str,
        row: u64,
    ) -> Result<Option<u64>, SheetProblem> {
        let hash = self.hash(key);
        if let Known::Hashes(hashes) = &mut self.known {
            if hashes.insert(hash) {
                return Ok(None);
            }
            // Their memory is given back before the second reading needs as much.
            *hashes = Hashes::default();
            self.known = Known::Firsts(self.survey(sheet)?);
        }
        let Known::Firsts(firsts) = &self.known else { return Ok(None) };
        let same = firsts.get(&hash).into_iter().flatten().find(|(known, _)| known == key);
        Ok(same.map(|(_, first)| *first).filter(|first| *first != row))
    }

    fn survey(&self, sheet: &Sheet) -> Result<HashMap<u64, Vec<(String, u64)>>, SheetProblem> {
        let mut seen = Hashes::default();
        let mut firsts: HashMap<u64, Vec<(String, u64)>> = HashMap::new();
        each_key(sheet, |key, _| {
            let hash = self.hash(&key);
            if !seen.insert(hash) {
                firsts.entry(hash).or_default();
            }
        })?;
        drop(seen);
        each_key(sheet, |key, row| {
            if let Some(keys) = firsts.get_mut(&self.hash(&key))
                && keys.iter().all(|(known, _)| *known != key)
            {
                keys.push((key, row));
            }
        })?;
        Ok(firsts)
    }

    fn hash(&self, key: &str) -> u64 {
        self.hashing.hash_one(key) & self.mask
    }
}

/// Goes through the keys of all rows that have one.
fn each_key(sheet: &Sheet, mut visit: impl FnMut(String, u64)) -> Result<(), SheetProblem> {
    let mut records = sheet.open_records()?;
    let mut record = CsvRecord::new();
    while records.read_non_blank(&mut record).map_err(|err| sheet.source.read_problem(&err))? {
        let cells = sheet.shape.decode_row(&record);
        if cells.as_ref().is_ok_and(|cells| sheet.should_skip(cells)) {
            continue;
        }
        let key = cells.and_then(|cells| sheet.row_key(&cells));
        // Whoever reads the rows is told of those without a key.
        if let Ok(key) = key {
            visit(key, record.position.row);
        }
    }
    sheet.source.ensure_unchanged(records.get_ref())
}

/// Hashes what is a hash already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        // Only `u64`s are hashed, and those by `write_u64`.
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::open_sheet;
    use super::*;

    #[test]
    fn keys_are_compared_themselves_where_hashes_agree() {
        let text: String = (0..100).map(|n| format!("k{}\n", n % 90)).collect();
        let (_dir, sheet) = open_sheet(&format!("id\n{text}"), &["id"], None);
        // With two bits of hash nearly every key meets another's.
        let mut doubles = DuplicateKeys::with_mask(0b11);
        for n in 0..100 {
            let first = doubles.first(&sheet, &format!("k{}", n % 90), n + 2).unwrap();
            assert_eq!(first, (n >= 90).then(|| n - 90 + 2), "row {}", n + 2);
        }
    }
}
