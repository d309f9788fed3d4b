//! The pages, one file each, and the parts that several of them show.

pub(super) mod batch;
pub(super) mod healthz;
pub(super) mod new_batch;
pub(super) mod overview;
pub(crate) mod page_parts;
pub(super) mod row;
pub(super) mod rows;
pub(super) mod settings;
pub(super) mod video;
