//! From the row of a finished video to its cells.

use super::upload_root;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::session::upload::UploadError;

/// Leads to the cells of a row, if its sheet is in the console.
pub(in crate::console) async fn edit_row(page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let upload = match upload_root(&page).open(&batch.name) {
        Ok(upload) => upload,
        Err(UploadError::NotFound) => {
            let message = format!(
                "the sheet of `{}` is not in the console: change it in its own place, and run the batch",
                batch.name
            );
            return Err(PageError::Invalid(message));
        }
        Err(error) => return Err(error.into()),
    };
    let key = page.param("key").to_owned();
    let row = upload.row_of_key(&key)?;
    let address = page.links().to(&format!("/new/{}?row={row}", upload.name()));
    page.redirect(&format!("{address}#cells"))
}
