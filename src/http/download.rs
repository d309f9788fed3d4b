//! Fetching a finished video: redirects by hand, resumed where that is safe, never with the token.
//!
//! The bytes are handed on as they come; whether they are a video is for whoever has them on disk
//! to say. Invariants: no request here carries credentials; every address, also after a redirect,
//! is one that may be reached; a resumed body continues exactly the file it was asked to continue.

use std::{fmt, time::Duration};

use reqwest::{Response, StatusCode, header};
use tokio_util::bytes::Bytes;
use url::Url;

use crate::aistudios::exchange::ApiTransport;
use crate::aistudios::settings::{ClientSettings, host_and_port};
use crate::aistudios::submit_outcome::NotSentReason;
use crate::http::address_policy::AddressError;
use crate::http::{retry_after, transport};

/// The largest video. Finished files are a few hundred MB; past this something else is being sent.
pub const DOWNLOAD_BYTES_MAX: u64 = 8 << 30;
/// How many redirects are followed; a storage service needs one or two.
const REDIRECTS_MAX: usize = 3;

/// A download that may be continued: so many bytes are on disk, and the vendor gave the file a
/// strong entity tag, without which nobody can know that it is still the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadResume {
    offset: u64,
    etag: String,
}

impl DownloadResume {
    /// Takes the number of bytes on disk and the tag that came with them; `None` if there is
    /// nothing to continue or the tag is weak.
    pub fn new(from: u64, etag: &str) -> Option<Self> {
        (from > 0 && is_strong_etag(etag)).then(|| Self { offset: from, etag: etag.to_owned() })
    }
}

/// How a download begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadStatus {
    /// At the first byte; whatever is on disk must be thrown away.
    FromStart,
    /// After the bytes that are on disk.
    Resumed {
        /// How many those are.
        offset: u64,
    },
}

/// A download under way.
pub struct HttpDownload {
    /// How it begins.
    pub status: DownloadStatus,
    /// The size of the whole file, if the server tells.
    pub total: Option<u64>,
    /// The file's strong entity tag, to be kept for [`Resume`].
    pub etag: Option<String>,
    body: Response,
    received: u64,
    idle_timeout: Duration,
}

impl fmt::Debug for HttpDownload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("status", &self.status)
            .field("total", &self.total)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl HttpDownload {
    /// Returns the next bytes, or `None` once the file is complete.
    ///
    /// # Errors
    /// [`DownloadTrouble::Cut`] if it ends early, [`DownloadTrouble::Stalled`] if nothing comes
    /// for the idle time-out, [`DownloadTrouble::TooLarge`] past [`DOWNLOAD_BYTES_MAX`].
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, HttpDownloadError> {
        let next = tokio::time::timeout(self.idle_timeout, self.body.chunk()).await;
        let chunk = match next {
            Err(_elapsed) => {
                return Err(HttpDownloadError::Stalled { idle: self.idle_timeout });
            }
            Ok(Err(_broken)) => return Err(self.truncated_error()),
            Ok(Ok(None)) if self.total.is_some_and(|total| total != self.received) => {
                return Err(self.truncated_error());
            }
            Ok(Ok(chunk)) => chunk,
        };
        self.received += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if self.received > DOWNLOAD_BYTES_MAX {
            return Err(HttpDownloadError::TooLarge);
        }
        Ok(chunk)
    }

    fn truncated_error(&self) -> HttpDownloadError {
        HttpDownloadError::Truncated { received: self.received, total: self.total }
    }
}

/// Why there is no file, or only a part.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HttpDownloadError {
    /// The host could not be reached.
    #[error("{0}")]
    Unreachable(NotSentReason),
    /// No answer began, or none in time.
    #[error("`{host}` took the request and did not answer")]
    NoResponse {
        /// The host.
        host: String,
    },
    /// 401, 403, 404 or 410: ask the service for a fresh link.
    #[error("the download link has expired (HTTP {status}): a fresh one must be asked for")]
    LinkExpired {
        /// HTTP status.
        status: u16,
    },
    /// 429, or 503 with a time: the host asks for patience.
    #[error("the download host asks us to slow down")]
    RateLimited {
        /// How long it asked to be left alone, at most 24 h.
        retry_after: Option<Duration>,
    },
    /// Any other status that brings no file.
    #[error("the download host answered HTTP {status}")]
    UnexpectedStatus {
        /// HTTP status.
        status: u16,
    },
    /// The link, or where it redirects to, is not one that may be followed.
    #[error("`{url}` {why}; it was not followed")]
    UrlRejected {
        /// The address without its query.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file, or what poses as one, is larger than [`DOWNLOAD_BYTES_MAX`].
    #[error("the file is larger than {} GiB", DOWNLOAD_BYTES_MAX >> 30)]
    TooLarge,
    /// The body ended early.
    #[error("the download broke off after {received} bytes")]
    Truncated {
        /// Bytes of the file had so far, those on disk included.
        received: u64,
        /// The size of the whole file, if the server told.
        total: Option<u64>,
    },
    /// Nothing came for too long.
    #[error("the download stalled for {} s", idle.as_secs_f64())]
    Stalled {
        /// The idle time-out.
        idle: Duration,
    },
}

/// Begins a download, from the start if it cannot be continued.
pub(crate) async fn start_download(
    wire: &ApiTransport,
    settings: &ClientSettings,
    url: &Url,
    resume: Option<&DownloadResume>,
) -> Result<HttpDownload, HttpDownloadError> {
    let getter = DownloadRequester { wire, settings };
    if let Some(resume) = resume {
        let response = getter.get_following_redirects(url, Some(resume)).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                if let Some(total) = resumed_total(&response, resume) {
                    return getter.open_download(response, Some(resume.offset), total);
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {}
            _any_other => return getter.full_download(response),
        }
        tracing::debug!("the download cannot be continued; it starts over");
    }
    getter.full_download(getter.get_following_redirects(url, None).await?)
}

struct DownloadRequester<'a> {
    wire: &'a ApiTransport,
    settings: &'a ClientSettings,
}

impl DownloadRequester<'_> {
    /// Asks for `url` and follows it to where the file is.
    async fn get_following_redirects(
        &self,
        url: &Url,
        resume: Option<&DownloadResume>,
    ) -> Result<Response, HttpDownloadError> {
        let mut url = url.clone();
        for _hop in 0..=REDIRECTS_MAX {
            let response = self.get_once(&url, resume).await?;
            let Some(next) = redirect_target(&response, &url) else { return Ok(response) };
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(self.rejected_url_error(&next, "would leave https"));
            }
            url = next;
        }
        Err(self.rejected_url_error(&url, "is one redirect too many"))
    }

    async fn get_once(
        &self,
        url: &Url,
        resume: Option<&DownloadResume>,
    ) -> Result<Response, HttpDownloadError> {
        let transport = &self.wire.http_clients;
        transport
            .address_policy
            .check_url(url)
            .map_err(|unfit| self.rejected_url_error(url, address_error_message(unfit)))?;
        let mut request =
            transport.download.get(url.clone()).header(header::ACCEPT_ENCODING, "identity");
        if let Some(resume) = resume {
            request = request
                .header(header::RANGE, format!("bytes={}-", resume.offset))
                .header(header::IF_RANGE, &resume.etag);
        }
        let host = host_and_port(url);
        let started = self.wire.clock.awake_time();
        let patience = self.settings.connect_timeout + self.settings.idle_timeout;
        let answered = tokio::time::timeout(patience, request.send()).await;
        let ms = self.wire.clock.awake_time().saturating_sub(started).as_millis();
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.send_error(&error, url)),
            Err(_elapsed) => return Err(HttpDownloadError::NoResponse { host }),
        };
        let status = response.status().as_u16();
        tracing::debug!(host, status, ms, "GET a video from {host}: {status} in {ms} ms");
        Ok(response)
    }

    fn send_error(&self, error: &reqwest::Error, url: &Url) -> HttpDownloadError {
        if transport::is_private_address_error(error) {
            return self
                .rejected_url_error(url, address_error_message(AddressError::PrivateAddress));
        }
        let host = host_and_port(url);
        match transport::not_sent_reason(error, &host, self.settings.connect_timeout) {
            Some(reason) => HttpDownloadError::Unreachable(reason),
            None => HttpDownloadError::NoResponse { host },
        }
    }

    fn rejected_url_error(&self, url: &Url, why: &'static str) -> HttpDownloadError {
        HttpDownloadError::UrlRejected { url: self.wire.redact_url(url.as_str()), why }
    }

    fn full_download(&self, response: Response) -> Result<HttpDownload, HttpDownloadError> {
        let retry_after = || {
            let text = |name| response.headers().get(name)?.to_str().ok();
            retry_after::parse_retry_after(text(header::RETRY_AFTER), text(header::DATE))
        };
        match response.status().as_u16() {
            200 => {
                let total = content_length(&response);
                self.open_download(response, None, total)
            }
            status @ (401 | 403 | 404 | 410) => Err(HttpDownloadError::LinkExpired { status }),
            429 => Err(HttpDownloadError::RateLimited { retry_after: retry_after() }),
            503 if retry_after().is_some() => {
                Err(HttpDownloadError::RateLimited { retry_after: retry_after() })
            }
            status => Err(HttpDownloadError::UnexpectedStatus { status }),
        }
    }

    fn open_download(
        &self,
        response: Response,
        from: Option<u64>,
        total: Option<u64>,
    ) -> Result<HttpDownload, HttpDownloadError> {
        if total.is_some_and(|total| total > DOWNLOAD_BYTES_MAX) {
            return Err(HttpDownloadError::TooLarge);
        }
        Ok(HttpDownload {
            status: from
                .map_or(DownloadStatus::FromStart, |from| DownloadStatus::Resumed { offset: from }),
            total,
            etag: etag_header(&response).filter(|etag| is_strong_etag(etag)).map(str::to_owned),
            received: from.unwrap_or(0),
            idle_timeout: self.settings.idle_timeout,
            body: response,
        })
    }
}

/// Returns where a redirect leads; `None` if it is none, or leads nowhere.
fn redirect_target(response: &Response, from: &Url) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    from.join(response.headers().get(header::LOCATION)?.to_str().ok()?).ok()
}

/// Returns the whole file's size (if told) when a 206 continues exactly what was asked for.
#[expect(clippy::option_option, reason = "does it continue, and is the size told: two questions")]
fn resumed_total(response: &Response, resume: &DownloadResume) -> Option<Option<u64>> {
    if etag_header(response).is_some_and(|etag| etag != resume.etag) {
        return None;
    }
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (span, total) = range.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = span.split_once('-')?;
    let (start, end): (u64, u64) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
    let total = if total.trim() == "*" { None } else { Some(total.trim().parse::<u64>().ok()?) };
    let fits = start == resume.offset && end >= start && total.is_none_or(|total| end < total);
    fits.then_some(total)
}

fn content_length(response: &Response) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

fn etag_header(response: &Response) -> Option<&str> {
    response.headers().get(header::ETAG)?.to_str().ok()
}

/// Only a strong tag promises the same bytes (RFC 9110 §8.8.1). One that long is not kept.
fn is_strong_etag(etag: &str) -> bool {
    etag.len() > 2
        && etag.len() <= 512
        && etag.starts_with('"')
        && etag.ends_with('"')
        && etag.bytes().all(|byte| byte.is_ascii_graphic())
}

fn address_error_message(unfit: AddressError) -> &'static str {
    match unfit {
        AddressError::UnsupportedUrl => "is not a plain http or https address",
        AddressError::PrivateAddress => "leads into a private network",
    }
}
