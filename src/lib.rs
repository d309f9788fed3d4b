//! Callsheet: one spreadsheet, one scene template, one verified video for each row.
//!
//! The library behind the `callsheet` command. Each module has one concern and imports only the modules
//! listed for it in `ARCHITECTURE.md`; `tests/it/tidy/` enforces the list. Only `cli` writes to a
//! terminal.

pub mod aistudios;
pub mod batch;
pub mod cli;
pub mod clock;
mod console;
pub mod http;
pub mod ledger;
pub mod notify;
pub mod payload;
pub mod plan;
pub mod process;
pub mod report;
pub mod request;
pub mod runner;
pub mod sandbox;
pub mod scaffold;
pub mod session;
pub mod sheet;
pub mod template;
mod text;
pub mod webhook;
