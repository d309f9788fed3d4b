//! Callsheet: one spreadsheet, one scene template, one verified video per row.
//!
//! The library behind the `callsheet` command. Each module is a room with one concern; a room
//! imports only what stands below it (`tests/it/tidy.rs` holds the rules, `ARCHITECTURE.md` tells
//! the story). Nothing here talks to a terminal except `cli`.

pub mod aistudios;
pub mod batch;
pub mod cli;
pub mod clock;
pub mod http;
pub mod ledger;
pub mod notify;
pub mod payload;
pub mod plan;
pub mod report;
pub mod request;
pub mod runner;
pub mod sandbox;
pub mod session;
pub mod sheet;
pub mod template;
mod text;
pub mod webhook;

/// A row is dozens of small texts, made on one thread and let go on another: planning is a tenth
/// faster with an allocator that is meant for this.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
