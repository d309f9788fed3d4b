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

mod call_error;
mod catalog;
mod classify;
mod client;
mod envelope;
mod error_text;
mod exchange;
mod listing;
mod probe;
mod project;
mod settings;
mod state_words;
mod studio;
mod studio_api;
mod submit_outcome;
mod token;

pub use call_error::{CallError, TransientCause};
pub use catalog::{CatalogEntry, CatalogQuery};
pub use client::{ApiClient, CredentialCheck};
pub use probe::TokenRejection;
pub use project::{
    ExportRequest, ListedProject, ProgressReport, ProjectDetails, ProjectId, ProjectList,
    RenderState,
};
pub use settings::{ClientSettings, ClientSetupError, Credentials};
pub use state_words::StateWords;
pub use studio::AiStudios;
pub use studio_api::{CreateRequest, GenerationStatus, ProjectExport, RenderStatus, StudioApi};
pub use submit_outcome::{AccountRefusalKind, RefusalKind, SubmitOutcome, UnknownReason};
