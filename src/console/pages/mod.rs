//! The pages, one file each, and the parts that several of them show.

pub(super) mod action;
pub(super) mod audit;
pub(super) mod batch;
mod batch_settings;
pub(super) mod healthz;
pub(super) mod metrics;
pub(super) mod new_batch;
pub(super) mod overview;
pub(crate) mod page_parts;
pub(super) mod request;
pub(super) mod resolve;
pub(super) mod review;
pub(super) mod row;
mod row_cells;
pub(super) mod rows;
pub(super) mod settings;
pub(super) mod share;
mod uncertain_rows;
pub(super) mod video;
