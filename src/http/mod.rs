//! HTTP for every module: TLS and connections, the policy for addresses, downloads, posts, checks of
//! media addresses, `Retry-After`, and the redaction of secrets.
//!
//! It knows no service in particular; the client of AI Studios is `aistudios`.

pub(crate) mod address_policy;
pub(crate) mod download;
pub(crate) mod media;
pub(crate) mod post;
pub(crate) mod redact;
pub(crate) mod retry_after;
pub(crate) mod transport;

pub use download::{
    DOWNLOAD_BYTES_MAX, DownloadResume, DownloadStatus, HttpDownload, HttpDownloadError,
};
pub use media::{MediaAvailability, check_media_urls};
pub use post::{HttpPoster, PostRequest};
