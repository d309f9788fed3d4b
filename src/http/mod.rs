//! HTTP for every module: clients and TLS, the address policy, downloads, posts, checks of media
//! URLs, `Retry-After`, and the redaction of secrets.
//!
//! It knows no service in particular; the client of AI Studios is `aistudios`. Invariants: no
//! client here follows a redirect by itself; nothing here sends credentials unless the caller
//! adds them to the request.

pub(crate) mod address_policy;
pub(crate) mod download;
mod download_body;
pub(crate) mod media;
mod not_sent;
pub(crate) mod post;
pub(crate) mod redact;
pub(crate) mod retry_after;
pub(crate) mod transport;

pub use download::{DOWNLOAD_BYTES_MAX, DownloadError, DownloadResume, Downloader, HttpDownload};
pub use media::{MediaAvailability, check_media_urls};
pub use not_sent::{NotSentKind, NotSentReason};
pub use post::{HttpPoster, PostRequest};
pub use transport::{
    ProxyMode, TlsSetupError, check_certificate_file, is_loopback as is_loopback_url,
    unused_proxy_variable,
};
