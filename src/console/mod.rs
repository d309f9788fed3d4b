//! The console: the ledger in a browser, served by `callsheet serve`.
//!
//! It reads through `ledger` and `session`, contains no SQL, and drives no batch: the ledger is the
//! only link to a run, so a console that is killed loses nothing. Invariants: no request is handled
//! before its host, its origin, its session and its role were checked; `GET` changes nothing; every
//! text from outside is escaped; no page shows a credential.
//!
//! **To add a page**: write `pages/NAME.rs` with a function
//! `async fn show(page: PageRequest) -> PageResult`, and add its line to `routes.rs`, with its
//! method, address and minimum role. `page.requester` is the user, `page.batch().await` the batch of
//! the address (or a 404), `page.query` and `page.read_form().await` what was sent, `page.links()` the
//! addresses for `href` and `action`. End with `page.render(ConsolePage { … }, json)`, which answers
//! in HTML or JSON, or with `page.redirect(address)` after a `POST`. An element with an `id` and
//! `data-live` is replaced when the ledger changes.

mod assets;
mod batch_spending;
mod console_link;
mod form;
mod layout;
mod live;
mod page_error;
mod page_request;
mod pages;
mod routes;
mod safety;
mod server;
mod settings;
mod sign_in;
mod state;
#[cfg(test)]
mod tests;
mod upload_form;

pub(crate) use crate::console::server::ConsoleServer;
pub(crate) use crate::console::settings::{
    BasePath, CONSOLE_ADDRESS, ConsoleAddressRule, ConsoleSettings, TrustedHeader,
};
pub(crate) use crate::console::sign_in::password;
