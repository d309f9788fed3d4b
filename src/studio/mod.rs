//! AI Studios, as this program sees it: the V3 client and the meaning of every answer.
//!
//! The service has no idempotency key, so the one thing that matters here is to know, after every
//! request that may cost money, whether it was *accepted*, certainly *not* accepted, or neither.
//! That is decided by one pure function (`meaning`), and what it says is carried out of the room as
//! an [`Answer`]. The room never retries such a request, never guesses, and keeps nothing on disk.
//!
//! It does not wait, pace, poll or settle: that is the runner's work. Facts about the service come
//! from the vendor's public V3 reference; section marks such as `AISTUDIOS_V3 §4.1` name the
//! part of it that a tolerance was written for.
//!
//! Invariants: a paid call puts exactly one request on the wire (plus one more after a clear token
//! refusal); the access token goes to the API host and nowhere else; no secret is in any value,
//! error or log line that leaves the room.

mod answer;
mod catalogue;
mod client;
mod contact;
mod courier;
mod download;
mod envelope;
mod guard;
mod listing;
mod meaning;
mod media;
mod project;
mod redact;
mod retry_after;
mod settings;
mod state_words;
mod token;
mod transport;
mod trouble;
mod vendor_words;
mod verdict;
mod wire;

pub use answer::{
    AccountKind, AccountTrouble, Answer, Doubt, Evidence, Heard, Reason, ReasonKind, Refusal,
    RefusalKind,
};
pub use catalogue::{Catalogue, Offer};
pub use client::{Client, Confirmed};
pub use contact::TurnedAway;
pub use courier::{Courier, Parcel};
pub use download::{DOWNLOAD_BYTES_MAX, Download, DownloadStatus, DownloadTrouble, Resume};
pub use listing::Listing;
pub use media::{Found, look_for_media};
pub use project::{ExportRequest, ListItem, Progress, Project, ProjectId, RenderState};
pub use settings::{Credentials, Settings, SetupError};
pub use state_words::StateWords;
pub use trouble::Trouble;
