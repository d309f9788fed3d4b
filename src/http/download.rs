//! Downloads of videos and sheets: redirects by hand, resumed where that is safe, no credentials.
//!
//! The bytes are passed on as they arrive; their content is checked by the caller. Invariants: no
//! request here carries credentials; every address, also after a redirect, is one that the
//! address policy allows; a resumed body continues exactly the file that it was to continue.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::stream::{BoxStream, StreamExt};
use reqwest::{Response, StatusCode, header};
use tokio_util::bytes::Bytes;
use url::Url;

use super::address_policy::{AddressError, AddressPolicy, GuardedResolver};
pub(crate) use super::download_body::DownloadPace;
use super::download_body::{BodyEncoding, BodyReader, decode_gzip};
use super::not_sent::NotSentReason;
use super::redact::Redactor;
use super::retry_after;
use super::transport::{self, ConnectOptions, ProxyMode, TlsSetupError, host_and_port};
use crate::clock::Clock;

/// The largest video. Finished files have a few hundred MB; anything larger is not a video.
pub const DOWNLOAD_BYTES_MAX: u64 = 8 << 30;
/// Redirects that are followed; a storage service needs one or two.
const REDIRECTS_MAX: usize = 3;
/// The default for name resolution, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The default for how slow a download may be.
pub(crate) const DOWNLOAD_PACE: DownloadPace =
    DownloadPace { idle_timeout: Duration::from_secs(30), period: Duration::from_secs(60) };

/// The point at which a download can be resumed: the bytes on disk, and the strong entity tag of
/// the file, without which it might be another file by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadResume {
    /// The number of bytes on disk; more than 0.
    pub offset: u64,
    /// The strong entity tag that came with them.
    pub etag: String,
}

impl DownloadResume {
    /// Returns `None` if there is nothing to resume or the entity tag is weak.
    pub fn new(offset: u64, etag: &str) -> Option<Self> {
        (offset > 0 && is_strong_etag(etag)).then(|| Self { offset, etag: etag.to_owned() })
    }
}

/// A download in progress.
pub struct HttpDownload {
    /// The offset of the first byte in `body`: 0 when it starts from the beginning, even if it was
    /// to be resumed. Bytes on disk after it must be discarded.
    pub offset: u64,
    /// The size of the whole file, if the server reports it.
    pub total_bytes: Option<u64>,
    /// The file's strong entity tag, for [`DownloadResume`].
    pub etag: Option<String>,
    /// The bytes. It ends after the last one, or after the first error.
    pub body: BoxStream<'static, Result<Bytes, DownloadError>>,
}

impl fmt::Debug for HttpDownload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpDownload")
            .field("offset", &self.offset)
            .field("total_bytes", &self.total_bytes)
            .finish_non_exhaustive()
    }
}

impl HttpDownload {
    /// Returns the next bytes, or `None` once the file is complete.
    ///
    /// # Errors
    /// [`DownloadError::Truncated`] if it ends early, [`DownloadError::Stalled`] if nothing arrives
    /// within the idle time-out, [`DownloadError::TooLarge`] past [`DOWNLOAD_BYTES_MAX`].
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, DownloadError> {
        self.body.next().await.transpose()
    }
}

/// The reason why there is no file, or only a part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// The host could not be reached.
    #[error("{0}")]
    Unreachable(NotSentReason),
    /// No response began, or none in time.
    #[error("`{host}` accepted the request and did not respond")]
    NoResponse {
        /// The host.
        host: String,
    },
    /// 401, 403, 404 or 410: the service has to issue a new link.
    #[error("the download link has expired (HTTP {status})")]
    LinkExpired {
        /// HTTP status.
        status: u16,
    },
    /// 429, or 503 with a time.
    #[error("rate limited by the download host")]
    RateLimited {
        /// The wait that the host asks for, at most 24 h.
        retry_after: Option<Duration>,
    },
    /// Any other status without a file.
    #[error("the download host responded with HTTP {status}")]
    UnexpectedStatus {
        /// HTTP status.
        status: u16,
    },
    /// The link, or the target of its redirect, may not be requested.
    #[error("`{url}` {why}; it was not followed")]
    UrlRejected {
        /// The URL without its query.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file is larger than [`DOWNLOAD_BYTES_MAX`].
    #[error("the file is larger than {} GiB", DOWNLOAD_BYTES_MAX >> 30)]
    TooLarge,
    /// The body ended early.
    #[error("the download broke off after {received} bytes")]
    Truncated {
        /// Bytes of the file received so far, including those on disk.
        received: u64,
        /// The size of the whole file, if the server reported it.
        total: Option<u64>,
    },
    /// The host encodes the file in a way that cannot be decoded here.
    #[error("the download host sent the file encoded as `{encoding}`, which was not requested")]
    UnsupportedEncoding {
        /// The encoding, as the host calls it.
        encoding: String,
    },
    /// The body is not what its encoding states, or ends early.
    #[error("the download host sent the file as `gzip`, and it cannot be decoded")]
    Undecodable,
    /// Nothing arrived for too long, or too little.
    #[error("the download stalled: less than 64 KB in {} s", idle.as_secs_f64())]
    Stalled {
        /// The time that was waited.
        idle: Duration,
    },
}

/// The settings of a [`Downloader`].
#[derive(Clone, Debug)]
pub(crate) struct DownloadOptions {
    pub(crate) address_policy: AddressPolicy,
    pub(crate) connect: ConnectOptions,
    /// How slow a download may be.
    pub(crate) pace: DownloadPace,
}

/// Downloads files without credentials.
pub struct Downloader {
    client: reqwest::Client,
    options: DownloadOptions,
    redactor: Arc<Redactor>,
    clock: Clock,
}

impl Downloader {
    /// Creates a downloader for public files, and for files on this machine if `url` is on it.
    ///
    /// # Errors
    /// This machine cannot create a TLS client.
    pub fn for_url(url: &Url, proxy: &ProxyMode, clock: Clock) -> Result<Self, TlsSetupError> {
        let options = DownloadOptions {
            address_policy: AddressPolicy::for_origin(url),
            connect: ConnectOptions { connect_timeout: CONNECT_TIMEOUT, proxy: proxy.for_url(url) },
            pace: DOWNLOAD_PACE,
        };
        Self::new(options, Arc::new(Redactor::new(&[])), clock)
    }

    /// Creates a downloader; `redactor` removes secrets from its messages.
    pub(crate) fn new(
        options: DownloadOptions,
        redactor: Arc<Redactor>,
        clock: Clock,
    ) -> Result<Self, TlsSetupError> {
        let client = transport::build_client(&options.connect, |builder| {
            // A proxy resolves the name itself; here only the proxy's own name would be checked.
            if options.connect.proxy.is_proxied() {
                builder
            } else {
                builder.dns_resolver(GuardedResolver(options.address_policy))
            }
        })?;
        Ok(Self { client, options, redactor, clock })
    }

    /// Starts a download, from the beginning if it cannot be resumed.
    ///
    /// # Errors
    /// See [`DownloadError`].
    pub async fn start(
        &self,
        url: &Url,
        resume: Option<&DownloadResume>,
    ) -> Result<HttpDownload, DownloadError> {
        if let Some(resume) = resume {
            let response = self.get_following_redirects(url, Some(resume)).await?;
            match response.status() {
                StatusCode::PARTIAL_CONTENT => {
                    if let Some(total) = resumed_total(&response, resume) {
                        return self.open(response, resume.offset, total);
                    }
                }
                StatusCode::RANGE_NOT_SATISFIABLE => {}
                _any_other => return self.full_download(response),
            }
            tracing::debug!("the download cannot be resumed; it starts over");
        }
        self.full_download(self.get_following_redirects(url, None).await?)
    }

    /// Requests `url` and follows its redirects.
    async fn get_following_redirects(
        &self,
        url: &Url,
        resume: Option<&DownloadResume>,
    ) -> Result<Response, DownloadError> {
        let mut url = url.clone();
        for _hop in 0..=REDIRECTS_MAX {
            let response = self.get_once(&url, resume).await?;
            let Some(next) = redirect_target(&response, &url) else { return Ok(response) };
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(self.rejected(&next, "would leave https"));
            }
            url = next;
        }
        Err(self.rejected(&url, "is one redirect too many"))
    }

    async fn get_once(
        &self,
        url: &Url,
        resume: Option<&DownloadResume>,
    ) -> Result<Response, DownloadError> {
        let check = self.options.address_policy.check_url(url);
        check.map_err(|error| self.rejected(url, address_error_message(error)))?;
        let mut request = self.client.get(url.clone()).header(header::ACCEPT_ENCODING, "identity");
        if let Some(resume) = resume {
            request = request
                .header(header::RANGE, format!("bytes={}-", resume.offset))
                .header(header::IF_RANGE, &resume.etag);
        }
        let host = host_and_port(url);
        let started = self.clock.awake_time();
        let timeout = self.options.connect.connect_timeout + self.options.pace.idle_timeout;
        let sent = tokio::time::timeout(timeout, request.send()).await;
        let ms = self.clock.awake_time().saturating_sub(started).as_millis();
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.send_error(&error, url)),
            Err(_elapsed) => return Err(DownloadError::NoResponse { host }),
        };
        let status = response.status().as_u16();
        tracing::debug!(host, status, ms, "GET a file from {host}: {status} in {ms} ms");
        Ok(response)
    }

    fn send_error(&self, error: &reqwest::Error, url: &Url) -> DownloadError {
        if transport::is_private_address_error(error) {
            return self.rejected(url, address_error_message(AddressError::PrivateAddress));
        }
        let host = host_and_port(url);
        match transport::not_sent_reason(error, &host, &self.options.connect) {
            Some(reason) => DownloadError::Unreachable(reason),
            None => DownloadError::NoResponse { host },
        }
    }

    fn rejected(&self, url: &Url, why: &'static str) -> DownloadError {
        DownloadError::UrlRejected { url: self.redactor.redact_url(url.as_str()), why }
    }

    fn full_download(&self, response: Response) -> Result<HttpDownload, DownloadError> {
        let retry_after = || {
            let text = |name| response.headers().get(name)?.to_str().ok();
            retry_after::parse_retry_after(text(header::RETRY_AFTER), text(header::DATE))
        };
        match response.status().as_u16() {
            200 => {
                let total = content_length(&response);
                self.open(response, 0, total)
            }
            status @ (401 | 403 | 404 | 410) => Err(DownloadError::LinkExpired { status }),
            429 => Err(DownloadError::RateLimited { retry_after: retry_after() }),
            503 if retry_after().is_some() => {
                Err(DownloadError::RateLimited { retry_after: retry_after() })
            }
            status => Err(DownloadError::UnexpectedStatus { status }),
        }
    }

    fn open(
        &self,
        response: Response,
        offset: u64,
        total_bytes: Option<u64>,
    ) -> Result<HttpDownload, DownloadError> {
        if total_bytes.is_some_and(|total| total > DOWNLOAD_BYTES_MAX) {
            return Err(DownloadError::TooLarge);
        }
        let etag = etag_header(&response).filter(|etag| is_strong_etag(etag)).map(str::to_owned);
        let encoding = BodyEncoding::from_response(&response);
        let body = BodyReader {
            response,
            received: offset,
            total: total_bytes,
            pace: self.options.pace,
            clock: self.clock.clone(),
            waited: Duration::ZERO,
            arrived: 0,
        };
        let body = body.into_stream();
        match encoding {
            BodyEncoding::Identity => Ok(HttpDownload { offset, total_bytes, etag, body }),
            // Neither the size nor the entity tag is that of the file itself.
            BodyEncoding::Gzip => {
                let body = decode_gzip(body);
                Ok(HttpDownload { offset: 0, total_bytes: None, etag: None, body })
            }
            BodyEncoding::Unsupported(encoding) => {
                Err(DownloadError::UnsupportedEncoding { encoding })
            }
        }
    }
}

/// Returns the target of a redirect; `None` if this is no redirect, or one without a valid target.
fn redirect_target(response: &Response, from: &Url) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    from.join(response.headers().get(header::LOCATION)?.to_str().ok()?).ok()
}

/// Returns the size of the whole file, if known, when a 206 continues exactly the requested file.
#[expect(clippy::option_option, reason = "whether it continues, and whether the size is known")]
fn resumed_total(response: &Response, resume: &DownloadResume) -> Option<Option<u64>> {
    let is_encoded = BodyEncoding::from_response(response) != BodyEncoding::Identity;
    if is_encoded || etag_header(response).is_some_and(|etag| etag != resume.etag) {
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

/// Only a strong tag guarantees the same bytes (RFC 9110 §8.8.1). Overlong tags are not stored.
fn is_strong_etag(etag: &str) -> bool {
    etag.len() > 2
        && etag.len() <= 512
        && etag.starts_with('"')
        && etag.ends_with('"')
        && etag.bytes().all(|byte| byte.is_ascii_graphic())
}

fn address_error_message(error: AddressError) -> &'static str {
    match error {
        AddressError::UnsupportedUrl => "is not a plain http or https address",
        AddressError::PrivateAddress => "leads into a private network",
        AddressError::PlainHttp => "is not https, and `plain_links` does not allow it",
    }
}
