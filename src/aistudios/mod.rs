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

pub(crate) mod catalog;
mod classify;
pub(crate) mod client;
mod envelope;
pub(crate) mod error;
mod error_text;
pub(crate) mod exchange;
mod listing;
mod probe;
pub(crate) mod project;
pub(crate) mod settings;
mod state_words;
mod studio;
mod studio_api;
pub(crate) mod submit_outcome;
mod token;
mod verdict;

pub use crate::aistudios::catalog::{CatalogEntry, CatalogQuery};
pub use client::{ApiClient, CredentialCheck};
pub use error::ApiError;
pub use listing::ProjectListing;
pub use probe::TokenRejection;
pub use project::{
    ApiProject, ExportRequest, ProgressReport, ProjectId, ProjectSummary, RenderState,
};
pub use settings::{ClientSettings, ClientSetupError, Credentials};
pub use state_words::StateWords;
pub use studio::AiStudios;
pub use studio_api::{
    CallError, CreateRequest, DownloadError, GenerationStatus, ListedProject, ProjectDetails,
    ProjectExport, ProjectList, RenderStatus, StudioApi, SubmitOutcome, VideoDownload,
};
pub use submit_outcome::{
    AccountRefusal, AccountRefusalKind, NotSentKind, NotSentReason, PaidCallOutcome, RefusalKind,
    RequestRefusal, ResponseRecord, UnknownReason, UnknownResponse,
};
