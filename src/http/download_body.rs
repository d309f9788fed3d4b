//! The body of a download: its length, its pauses, its pace, and a gzip encoding that was not asked
//! for.
//!
//! Invariants: a body that ends early, or that arrives too slowly, ends with an error; never more than
//! [`DOWNLOAD_BYTES_MAX`] bytes are passed on, decoded or not.

use std::io::Write;
use std::time::Duration;

use flate2::write::MultiGzDecoder;
use futures_util::stream::{self, BoxStream, StreamExt};
use reqwest::{Response, header};
use tokio_util::bytes::{Buf, Bytes};

use super::download::{DOWNLOAD_BYTES_MAX, DownloadError};
use crate::clock::Clock;

/// The bytes of a download.
pub(super) type DownloadStream = BoxStream<'static, Result<Bytes, DownloadError>>;

/// A slot that brings less than this in a period is better used for another file.
const PACE_BYTES_MIN: u64 = 64 << 10;
/// Encoded bytes that are decoded together: gzip expands them by a factor of at most a thousand.
const DECODED_TOGETHER: usize = 4096;

/// How slow a download may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DownloadPace {
    /// The longest time between two chunks.
    pub(crate) idle_timeout: Duration,
    /// The time of waiting within which [`PACE_BYTES_MIN`] must arrive.
    pub(crate) period: Duration,
}

/// How the host has encoded the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BodyEncoding {
    Identity,
    Gzip,
    /// Any other, by its name.
    Unsupported(String),
}

impl BodyEncoding {
    /// Returns the encoding that the response states.
    pub(super) fn from_response(response: &Response) -> Self {
        let values = response.headers().get_all(header::CONTENT_ENCODING).iter();
        let names = values.map(|value| String::from_utf8_lossy(value.as_bytes()).to_lowercase());
        let names: Vec<String> = names
            .flat_map(|value| {
                value.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>()
            })
            .filter(|name| !name.is_empty() && name != "identity")
            .collect();
        match names.as_slice() {
            [] => Self::Identity,
            [one] if one == "gzip" || one == "x-gzip" => Self::Gzip,
            names => Self::Unsupported(names.join(", ").chars().take(40).collect()),
        }
    }
}

/// Reads a body and checks its length, its pauses and its pace.
pub(super) struct BodyReader {
    pub(super) response: Response,
    /// Bytes of the file so far, including those on disk.
    pub(super) received: u64,
    pub(super) total: Option<u64>,
    pub(super) pace: DownloadPace,
    pub(super) clock: Clock,
    /// The time waited for, and the bytes that arrived, since the pace was last met.
    pub(super) waited: Duration,
    pub(super) arrived: u64,
}

impl BodyReader {
    pub(super) fn into_stream(self) -> DownloadStream {
        let chunks = stream::unfold(Some(self), |reader| async {
            let mut reader = reader?;
            match reader.next_chunk().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(reader))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        chunks.boxed()
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, DownloadError> {
        let chunk = match self.receive().await? {
            Err(_broken) => return Err(self.truncated()),
            Ok(None) if self.total.is_some_and(|total| total != self.received) => {
                return Err(self.truncated());
            }
            Ok(chunk) => chunk,
        };
        let length = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        self.received += length;
        if self.received > DOWNLOAD_BYTES_MAX {
            return Err(DownloadError::TooLarge);
        }
        self.arrived += length;
        if self.arrived >= PACE_BYTES_MIN {
            (self.waited, self.arrived) = (Duration::ZERO, 0);
        }
        Ok(chunk)
    }

    /// Waits for the next chunk. Only this wait counts against the pace: a slow disk is not the
    /// host's fault.
    async fn receive(&mut self) -> Result<Result<Option<Bytes>, reqwest::Error>, DownloadError> {
        let left = self.pace.period.saturating_sub(self.waited);
        let wait = self.pace.idle_timeout.min(left);
        let began = self.clock.awake_time();
        let received = tokio::time::timeout(wait, self.response.chunk()).await;
        self.waited += self.clock.awake_time().saturating_sub(began);
        received.map_err(|_elapsed| {
            let idle = if wait < left { self.pace.idle_timeout } else { self.pace.period };
            DownloadError::Stalled { idle }
        })
    }

    fn truncated(&self) -> DownloadError {
        DownloadError::Truncated { received: self.received, total: self.total }
    }
}

/// Decodes a gzip body piece by piece.
struct GzipBody {
    encoded: DownloadStream,
    /// Encoded bytes that were received and not decoded yet.
    pending: Bytes,
    decoder: MultiGzDecoder<Vec<u8>>,
    decoded: u64,
    is_over: bool,
}

/// Returns the decoded bytes of a gzip body.
pub(super) fn decode_gzip(encoded: DownloadStream) -> DownloadStream {
    let body = GzipBody {
        encoded,
        pending: Bytes::new(),
        decoder: MultiGzDecoder::new(Vec::new()),
        decoded: 0,
        is_over: false,
    };
    let chunks = stream::unfold(Some(body), |body| async {
        let mut body = body?;
        match body.next_chunk().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(body))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    chunks.boxed()
}

impl GzipBody {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, DownloadError> {
        while self.decoder.get_ref().is_empty() && !self.is_over {
            self.decode_more().await?;
        }
        let decoded = Bytes::from(std::mem::take(self.decoder.get_mut()));
        self.decoded += decoded.len() as u64;
        if self.decoded > DOWNLOAD_BYTES_MAX {
            return Err(DownloadError::TooLarge);
        }
        Ok((!decoded.is_empty()).then_some(decoded))
    }

    async fn decode_more(&mut self) -> Result<(), DownloadError> {
        let undecodable = |_| DownloadError::Undecodable;
        if self.pending.is_empty() {
            match self.encoded.next().await.transpose()? {
                Some(chunk) => self.pending = chunk,
                None => {
                    self.is_over = true;
                    return self.decoder.try_finish().map_err(undecodable);
                }
            }
        }
        let piece = self.pending.len().min(DECODED_TOGETHER);
        self.decoder.write_all(&self.pending[..piece]).map_err(undecodable)?;
        self.pending.advance(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn decode(encoded: &[u8], piece: usize) -> Result<Vec<u8>, DownloadError> {
        let chunks: Vec<_> = encoded.chunks(piece).map(Bytes::copy_from_slice).map(Ok).collect();
        let mut body = decode_gzip(stream::iter(chunks).boxed());
        let mut decoded = Vec::new();
        while let Some(chunk) = body.next().await {
            decoded.extend_from_slice(&chunk?);
        }
        Ok(decoded)
    }

    #[tokio::test]
    async fn gzip_is_decoded_in_pieces_and_a_part_of_it_is_an_error() {
        let file: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
        let encoded = gzip(&file);
        for piece in [1000, 100_000, encoded.len()] {
            assert_eq!(decode(&encoded, piece).await.unwrap(), file);
        }
        assert_eq!(decode(&gzip(b""), 7).await.unwrap(), b"");
        for wrong in
            [&encoded[..encoded.len() / 2], &encoded[..encoded.len() - 3], b"not gzip", b""]
        {
            assert_eq!(decode(wrong, 1000).await, Err(DownloadError::Undecodable));
        }
    }

    #[tokio::test]
    async fn highly_compressed_bytes_are_decoded_little_by_little() {
        let encoded = gzip(&vec![0; 64 << 20]);
        let chunks = vec![Ok(Bytes::from(encoded))];
        let mut body = decode_gzip(stream::iter(chunks).boxed());
        while let Some(chunk) = body.next().await {
            assert!(chunk.unwrap().len() <= DECODED_TOGETHER * 1100);
        }
    }
}
