//! The compressed form of a payload.
//!
//! The payloads of one template differ in a few texts. Each is compressed alone, with the first
//! payload of its plan as dictionary: about 0.2 KB instead of 3 KB, and any version can be read and
//! deleted without the others. A checksum detects damage, so that what is read is what was checked.

use std::fmt;
use std::io::{self, Read};

use zstd::bulk::Compressor;
use zstd::stream::read::Decoder;

/// Higher levels are slower and save nothing here: nearly everything is in the dictionary.
const LEVEL: i32 = 1;
/// No payload is larger. A ledger of another user could unpack to any size.
const PAYLOAD_BYTES_MAX: u64 = 32 << 20;

/// A payload as it is stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct StoredPayload {
    payload: Option<Vec<u8>>,
    dictionary: Option<String>,
}

/// Why a stored payload cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredPayloadError {
    /// It was planned before payloads were stored, and could not be made from its stored cells.
    #[error("an earlier version of callsheet planned this row; plan it again with `callsheet run`")]
    Missing,
    /// The bytes are not those that were stored.
    #[error("its payload is damaged in the ledger; `callsheet ledger check` lists all damage")]
    Damaged,
}

impl StoredPayload {
    /// Returns the payload with this compressed form and dictionary.
    pub(in crate::ledger) fn new(payload: Option<Vec<u8>>, dictionary: Option<String>) -> Self {
        Self { payload, dictionary }
    }

    /// Returns the text that was checked.
    ///
    /// # Errors
    /// [`StoredPayloadError`], also if a single byte differs.
    pub fn text(&self) -> Result<String, StoredPayloadError> {
        let (Some(frame), Some(dictionary)) = (&self.payload, &self.dictionary) else {
            return Err(StoredPayloadError::Missing);
        };
        decompress(frame, dictionary).map_err(|_| StoredPayloadError::Damaged)
    }
}

fn decompress(frame: &[u8], dictionary: &str) -> io::Result<String> {
    let mut text = String::new();
    let mut decoder = Decoder::with_dictionary(frame, dictionary.as_bytes())?;
    decoder.by_ref().take(PAYLOAD_BYTES_MAX + 1).read_to_string(&mut text)?;
    match text.len() as u64 <= PAYLOAD_BYTES_MAX {
        true => Ok(text),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Compresses the payloads of one template. Its dictionary is one that the ledger has, or the first
/// payload, which is then to be stored with them.
#[derive(Default)]
pub(in crate::ledger) struct PayloadCompressor {
    dictionary: Option<PayloadDictionary>,
    compressor: Option<Compressor<'static>>,
}

/// The dictionary of some payloads; its id is that of its row, once it is stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(in crate::ledger) struct PayloadDictionary {
    pub(in crate::ledger) id: Option<i64>,
    pub(in crate::ledger) payload: String,
}

impl PayloadCompressor {
    pub(in crate::ledger) fn new(dictionary: Option<PayloadDictionary>) -> Self {
        Self { dictionary, compressor: None }
    }

    /// Returns the dictionary; `None` before the first payload.
    pub(in crate::ledger) fn dictionary(&self) -> Option<&PayloadDictionary> {
        self.dictionary.as_ref()
    }

    pub(in crate::ledger) fn compress(&mut self, payload: &str) -> Result<Vec<u8>, sqlx::Error> {
        let first = || PayloadDictionary { id: None, payload: payload.to_owned() };
        let dictionary = self.dictionary.get_or_insert_with(first);
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => {
                let dictionary = dictionary.payload.as_bytes();
                none.insert(
                    new_compressor(dictionary)
                        .map_err(|source| sqlx::Error::Encode(source.into()))?,
                )
            }
        };
        compressor.compress(payload.as_bytes()).map_err(|source| sqlx::Error::Encode(source.into()))
    }
}

fn new_compressor(dictionary: &[u8]) -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::with_dictionary(LEVEL, dictionary)?;
    compressor.include_checksum(true)?;
    Ok(compressor)
}

impl fmt::Debug for PayloadCompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadCompressor")
            .field("dictionary", &self.dictionary)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(payloads: &[String]) -> Vec<StoredPayload> {
        let mut compressor = PayloadCompressor::default();
        let mut frames: Vec<_> =
            payloads.iter().map(|payload| compressor.compress(payload).unwrap()).collect();
        let dictionary = compressor.dictionary().unwrap().payload.clone();
        frames
            .drain(..)
            .map(|frame| StoredPayload {
                payload: Some(frame),
                dictionary: Some(dictionary.clone()),
            })
            .collect()
    }

    #[test]
    fn each_payload_is_read_without_the_others() {
        let scene = "{\"clips\":[{\"id\":\"a\",\"top\":0,\"left\":0}],\"script\":\"".repeat(30);
        let payloads: Vec<String> =
            ["one", "", "three 봄 \u{1f331}"].iter().map(|text| format!("{scene}{text}")).collect();
        let stored = stored(&payloads);
        for (stored, payload) in stored.iter().zip(&payloads).rev() {
            assert_eq!(stored.text().as_ref(), Ok(payload));
            assert!(stored.payload.as_ref().unwrap().len() < 100, "it is small");
        }
    }

    #[test]
    fn a_payload_that_unpacks_to_more_than_any_payload_has_is_damage() {
        let most = usize::try_from(PAYLOAD_BYTES_MAX).unwrap();
        for (length, is_read) in [(most, true), (most + 1, false)] {
            let stored = stored(&["{}".to_owned(), " ".repeat(length)]);
            assert_eq!(stored[1].text().is_ok(), is_read, "{length}");
        }
    }

    #[test]
    fn a_changed_byte_is_damage() {
        let [first, second] = ["{\"a\":\"Good morning\"}", "{\"a\":\"Good evening, all\"}"];
        let stored = stored(&[first.to_owned(), second.to_owned()]);
        let frame = stored[1].payload.clone().unwrap();
        for index in 0..frame.len() {
            let mut changed = frame.clone();
            changed[index] ^= 4;
            let read = StoredPayload { payload: Some(changed), ..stored[1].clone() }.text();
            assert!(read.is_err() || read.as_deref() == Ok(second), "byte {index}: {read:?}");
        }
        let other = Some("{\"a\":\"Other words\"}".to_owned());
        let read = StoredPayload { dictionary: other, ..stored[1].clone() }.text();
        assert_eq!(read, Err(StoredPayloadError::Damaged));
    }
}
