//! The account of a run: which AI Studios it is sent to, with which credentials, and what the account offers.

pub(crate) mod account_catalog;
pub(crate) mod batch_trust;
pub(crate) mod credentials;
pub(crate) mod credentials_file;
pub(crate) mod credentials_writer;
pub(crate) mod target;
