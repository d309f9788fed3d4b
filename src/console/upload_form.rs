//! A form with a file, as a browser sends it (`multipart/form-data`).
//!
//! The file's name is not read: what a browser sends there names nothing on this machine. Invariant: no
//! more than the limit is kept in memory.

use std::convert::Infallible;

use axum::body::Bytes;
use axum::http::header;
use futures_util::stream;
use multer::Multipart;

use crate::console::page_error::PageError;
use crate::console::page_request::PageRequest;

/// The largest spreadsheet that is taken.
pub(crate) const UPLOAD_BYTES_MAX: usize = 32 << 20;

/// The fields of a form, and its file.
#[derive(Debug, Default)]
pub(crate) struct UploadForm {
    fields: Vec<(String, String)>,
    file: Option<Bytes>,
}

impl UploadForm {
    /// Reads the form of a request. `file` is the name of the field with the file.
    pub(crate) async fn read(page: &mut PageRequest, file: &str) -> Result<Self, PageError> {
        let content_type =
            page.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = content_type.and_then(|value| multer::parse_boundary(value).ok());
        let boundary =
            boundary.ok_or_else(|| PageError::Invalid("this is not a form".to_owned()))?;
        let body = page.read_body(UPLOAD_BYTES_MAX).await?;
        let chunks = stream::once(async move { Ok::<_, Infallible>(body) });
        let mut parts = Multipart::new(chunks, boundary);
        let mut form = Self::default();
        while let Some(part) = parts.next_field().await.map_err(|_| incomplete())? {
            let name = part.name().unwrap_or_default().to_owned();
            if name == file {
                let bytes = part.bytes().await.map_err(|_| incomplete())?;
                form.file = Some(bytes).filter(|bytes| !bytes.is_empty());
            } else {
                let text = part.text().await.map_err(|_| incomplete())?;
                form.fields.push((name, text));
            }
        }
        Ok(form)
    }

    /// Returns the first value with this name, trimmed, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(found, _)| found == name);
        found.map(|(_, text)| text.trim()).filter(|text| !text.is_empty())
    }

    /// Returns the file, unless it is empty.
    pub(crate) fn file(&self) -> Option<&[u8]> {
        self.file.as_deref()
    }
}

fn incomplete() -> PageError {
    PageError::Invalid("the form arrived incomplete: send it again".to_owned())
}
