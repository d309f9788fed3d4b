//! AI Studios: the V3 client, the trait that the runner uses, and the classification of responses.
//!
//! The service has no idempotency key, so after every request that may cost money it must be known
//! whether it was *accepted*, certainly *not* accepted, or neither. One pure function decides
//! (`classify`), and its result leaves this module as a [`SubmitOutcome`]. This module never repeats
//! such a request, never guesses, and stores nothing on disk.
//!
//! Waiting, rate limits, polling and reconciliation are the runner's. The facts about the service,
//! with their sources, are in `docs/internals/vendor-api.md`; comments name its sections.
//!
//! Invariants: a paid call sends exactly one request (plus one after a clear token refusal); the
//! access token is sent to the API host only; no value, error or log line of this module contains a
//! secret.

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
