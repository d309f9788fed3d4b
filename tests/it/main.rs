//! One integration binary: the whole program against real files, sockets and a virtual studio.
#![expect(clippy::unwrap_used, reason = "a test that unwraps is a test that fails")]

mod batch;
mod cli;
mod crash;
mod kill;
mod kinds;
mod ledger;
mod machine;
mod notices;
mod page;
mod people;
mod reading;
mod run;
mod sandbox;
mod scene;
mod scene_checks;
mod settle;
mod sheet;
mod simulation;
mod studio;
mod support;
mod tidy;
mod vendor;
mod webhooks;
