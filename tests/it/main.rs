//! One integration binary: the whole program against real files, sockets and a virtual studio.
#![expect(clippy::unwrap_used, reason = "a test that unwraps is a test that fails")]

mod aistudios;
mod batch;
mod cli;
mod console;
mod console_start;
mod crash;
mod docs;
mod download;
mod human_output;
mod json_output;
mod kill;
mod kinds;
mod ledger;
mod ledger_schemas;
mod metrics;
mod notifications;
mod operator;
mod payload_checks;
mod reconcile;
mod report_page;
mod review;
mod review_console;
mod run;
mod same_content;
mod sandbox;
mod shared;
mod sheet;
mod sheet_encodings;
mod simulation;
mod support;
mod templates;
mod tidy;
mod vendor_profile;
mod webhooks;
mod workbooks;
